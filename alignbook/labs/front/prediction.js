// The prediction: asked before anything of the outcome is here.

function guessWords(prediction, guess) {
  const measured = (value) => `${short(value)} ${prediction.unit}`.trim();
  const words = {
    choice: () => prediction.options[guess],
    number: () => measured(guess),
    points: () => guess.map((value, i) => `${measured(value)} at ${short(prediction.at[i])}`).join(", "),
  };
  return words[prediction.kind]();
}

// The guess as rows of the chart's dataset, so that it can leave a mark there.
function guessRows(prediction, guess) {
  if (guess === null || !prediction) {
    return [];
  }
  const points = prediction.kind === "points" ? guess : [prediction.kind === "choice" ? prediction.options[guess] : guess];
  return points.map((value, i) => ({ ghost: "guess", guess: value, at: prediction.at[i] ?? null }));
}

// `asked` names the settings that the question is about, where the lab now stands at others.
function verdictWords(prediction, guess, { answer, why }, asked) {
  const said = guess === null ? "" : `You said: ${guessWords(prediction, guess)}. `;
  const right = guessWords(prediction, answer);
  return asked
    ? `${said}At ${asked}, which the question is about, it is: ${right}. ${why} (Reset goes back there.)`
    : `${said}It is: ${right}. ${why}`;
}

// Returns a form that calls commit(guess), with null for "Show me anyway". A number's box is empty at first: nobody
// commits to a value they never chose. `next` names the settings that a link asks for.
function ask(prediction, commit, next) {
  const { kind, options, at, low, high } = prediction;
  const middle = (low + high) / 2;
  let guess = kind === "points" ? at.map(() => middle) : kind === "number" ? middle : null;
  const option = (words, i, name) => {
    const radio = make("input", { type: "radio", name, required: true, value: String(i) });
    radio.addEventListener("change", () => { guess = i; });
    return make("label", {}, radio, words);
  };
  const number = (label, change) => {
    const made = numberInput({ ...prediction, label, whole: false, log: false }, true, change);
    made.set(middle);
    Object.assign(made.element.querySelector("input[type=number]"), { value: "", required: true });
    return made.element;
  };
  const name = freshId();
  const inputs = {
    choice: () => options.map((words, i) => option(words, i, name)),
    number: () => [number("Your guess", (value) => { guess = value; })],
    points: () => at.map((x, i) => number(`At ${short(x)}`, (value) => { guess = guess.with(i, value); })),
  };
  const field = make("fieldset", {}, make("legend", {}, prediction.question), ...inputs[kind]());
  const note = next ? [make("p", {}, make("small", {}, `The question is about the lab as it opens; ${next} comes next.`))] : [];
  const submit = make("button", { type: "submit" }, "Commit");
  const skip = button("Show me anyway", () => commit(null));
  const form = make("form", { className: "alignbook-ask" }, field, ...note, submit, skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    commit(guess);
  });
  return form;
}
