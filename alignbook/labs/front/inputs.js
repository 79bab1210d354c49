// Inputs with labels. Each is { element, set(value) } and calls change(value) with what the reader chose.

const STEPS = 100; // from one end of a live slider to the other

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(3)));
const short = (value) => (typeof value === "number" ? String(rounded(value)) : String(value ?? ""));
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const nearest = (grid, value) => grid.reduce((best, at) => (Math.abs(at - value) < Math.abs(best - value) ? at : best));
const freshId = () => `alignbook-lab-${Math.random()}`; // each lab of a notebook counts for itself: numbers would meet

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) {
      element[name] = value;
    } else {
      element.setAttribute(name, value);
    }
  }
  element.append(...children);
  return element;
}

const button = (label, onclick) => make("button", { type: "button", onclick }, label);

function labelled(label, ...inputs) {
  const id = freshId();
  inputs.at(-1).id = id;
  return make("div", { className: "alignbook-input" }, make("label", { htmlFor: id }, label), ...inputs);
}

function numberInput(parameter, live, change) {
  const { label, unit, low, high, log, whole } = parameter;
  const grid = live ? null : parameter.grid;
  const last = grid ? grid.length - 1 : STEPS;
  const fraction = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const place = (value) => (grid ? grid.indexOf(nearest(grid, value)) : Math.round(last * fraction(value)));
  const tidy = (value) => (whole ? Math.round(value) : Number(value.toPrecision(3)));
  const between = (i) => tidy(log ? low * (high / low) ** (i / last) : low + ((high - low) * i) / last);
  const value = (i) => (grid ? grid[i] : i === last ? high : i === 0 ? low : between(i));
  const slider = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": `${label}, slider` });
  const box = make("input", { type: "number", min: low, max: high, step: "any", inputMode: "decimal" });
  const note = make("small", { role: "alert" });
  // A typed value that cannot be had is never changed in silence.
  const tell = (typed, taken) => {
    const rule = typed < low || typed > high ? `${low} to ${high}` : grid ? "recorded values only" : "whole numbers only";
    note.textContent = typed === taken ? "" : `${typed} became ${taken}: ${rule}.`;
  };
  const set = (now) => {
    slider.value = place(now);
    slider.setAttribute("aria-valuetext", `${short(now)} ${unit}`.trim());
    box.value = String(now);
  };
  const take = (now, typed = now) => {
    set(now);
    tell(typed, now);
    change(now);
  };
  slider.addEventListener("input", () => take(value(Number(slider.value))));
  box.addEventListener("change", () => {
    const typed = box.value === "" ? value(Number(slider.value)) : Number(box.value);
    const within = clamp(typed, low, high);
    take(grid ? nearest(grid, within) : whole ? Math.round(within) : within, typed);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step) {
      event.preventDefault(); // by itself the box would step by one unit
      take(value(clamp(Number(slider.value) + step, 0, last)));
    }
  });
  const element = labelled(unit ? `${label} (${unit})` : label, slider, box);
  element.append(note);
  return { element, set };
}

// `own` names what is none of the options, shown but not to be chosen here.
function choiceInput({ label, options }, own, change) {
  const choices = options.map((option, i) => make("option", { value: String(i) }, option));
  const other = make("option", { value: "own", disabled: true, hidden: true }, own);
  const select = make("select", {}, ...choices, other);
  select.addEventListener("change", () => change(options[Number(select.value)]));
  const set = (now) => {
    const found = options.indexOf(now);
    other.hidden = found >= 0;
    select.value = found < 0 ? "own" : String(found);
  };
  return { element: labelled(label, select), set };
}

function vectorInput(parameter, live, change) {
  const { presets, entries, start } = parameter;
  let now = presets[start];
  const preset = choiceInput(parameter, "your own", change);
  const edited = (i) => (value) => {
    now = now.with(i, value);
    change(now);
  };
  const numbers = entries.map((label, i) => numberInput({ ...parameter, label, unit: "" }, true, edited(i)));
  const summary = make("summary", {}, `Edit ${parameter.label}`);
  const fold = make("details", {}, summary, ...numbers.map((one) => one.element));
  const set = (value) => {
    now = presets[value] ?? value;
    preset.set(value);
    numbers.forEach((one, i) => one.set(now[i]));
  };
  return { element: make("div", {}, preset.element, ...(live ? [fold] : [])), set };
}

// The file is read here and goes to the run alone, in the kernel or in the page's worker: nowhere else.
function fileInput(parameter, live, change) {
  const preset = choiceInput(parameter, "your file", change);
  const picker = make("input", { type: "file", accept: ".json,.csv,.txt" });
  picker.addEventListener("change", async () => {
    if (picker.files.length) {
      change(await picker.files[0].text());
    }
  });
  const own = labelled("Your file (it stays on this machine)", picker);
  return { element: make("div", {}, preset.element, ...(live ? [own] : [])), set: preset.set };
}

function input(parameter, live, change) {
  const kinds = {
    number: numberInput,
    choice: (one, _, then) => choiceInput(one, "", then),
    vector: vectorInput,
    file: fileInput,
  };
  const movable = live || parameter.grid.length > 0;
  const made = kinds[parameter.kind](parameter, live || !movable, change);
  made.element.querySelectorAll("input, select").forEach((one) => { one.disabled = !movable; });
  made.set(parameter.start);
  return made;
}
