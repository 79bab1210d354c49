// A lab on the screen.
//
// Frames come from a source, { live, parameters, note, offer, run(request, onFrame), watch(handler), stop() }: run()
// calls onFrame({ table, sentence, done, answer, why, error, traceback }) and waits for what it returns before the
// next frame, so that a slow painter, a pause or a hidden page slows the training down; a later run() ends this one.
// `parameters` are those that the source adds; `note` says how to change what it holds fixed; `offer` may be an
// element with which the reader gets another source.
// A memory, { guess(), keep(guess), forget(), settings(), write(settings), changed(handler) }, outlives the elements.

const SETTLED_AFTER = 400; // ms without a change until the sentence is announced
const LONG = 500; // ms until a run shows its progress
const SEED = { kind: "number", name: "seed", label: "Seed", unit: "", low: 0, high: 999, whole: true, start: 0, grid: [] };

const FIRST_INPUT = ".alignbook-input:not([hidden]) :is(input, select)";

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const painted = () => new Promise((resolve) => { requestAnimationFrame(() => resolve()); });
const visible = () => new Promise((resolve) => {
  const look = () => {
    if (!document.hidden) {
      document.removeEventListener("visibilitychange", look);
      resolve();
    }
  };
  document.addEventListener("visibilitychange", look);
  look();
});
const group = (name, legend, ...children) =>
  make("fieldset", { className: name }, make("legend", {}, legend), ...children);
// Notebook 7 looks for the mark no further up than to what has the focus.
const keepKeys = ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; };

// The lab's title as a heading one level below the last before it; a heading of another lab does not count.
function heading(root, words) {
  const all = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  const before = all.filter((one) => one.compareDocumentPosition(root) & Node.DOCUMENT_POSITION_FOLLOWING);
  const level = Number(before.at(-1)?.tagName[1] ?? 1) + 1;
  return make("p", { className: "alignbook-question", role: "heading", "aria-level": Math.min(6, level) }, words);
}

// A gate that a pause closes: whoever passes waits until it opens.
function pauseGate() {
  let wait = null;
  let release = () => {};
  return {
    isClosed: () => wait !== null,
    pass: async () => wait,
    close() { wait = new Promise((resolve) => { release = resolve; }); },
    open() {
      wait = null;
      release();
    },
  };
}

// What the reader sets: recorded numbers, and the choices that show or hide them, stand above the chart.
function controls(lab, parameters, start, source, extras, act) {
  const inputs = parameters.map((parameter) =>
    input(parameter, source.live, (value) => act.change({ [parameter.name]: value })));
  const dials = parameters.map(({ when }) => when?.[0]);
  const isMain = ({ kind, grid, name }) => (kind === "number" && grid.length > 0) || dials.includes(name);
  const elements = (main) => inputs.filter((_, i) => isMain(parameters[i]) === main).map(({ element }) => element);
  const gridOf = (name) => parameters.find((parameter) => parameter.name === name).grid;
  const reachable = (wish) => source.live
    || Object.entries(wish).every(([name, value]) => gridOf(name).some((one) => same(one, value)));
  const tries = lab.tries.filter(({ settings }) => reachable(settings))
    .map(({ label, settings }) => button(`Try: ${label}`, () => act.change({ ...start, ...settings })));
  const runner = button("Pause", act.toggle);
  const runs = source.live && (lab.seeded || parameters.some(({ name }) => name === "steps")); // else all is there at once
  const reset = button("Reset", act.reset);
  const buttons = make("div", { className: "alignbook-buttons" }, ...tries, ...(runs ? [runner] : []), reset, ...extras);
  const fixed = parameters.filter(({ grid }) => !source.live && !grid.length).map(({ label }) => label);
  const note = fixed.length ? [make("small", {}, `${source.note} ${fixed.join(", ")}.`)] : [];
  const offer = source.offer ? [source.offer] : [];
  const main = group("alignbook-main", "Settings", ...elements(true));
  const rest = group("alignbook-rest", "More settings", ...elements(false), ...note, buttons, ...offer);
  return {
    main,
    rest,
    nameRunner(name) { runner.textContent = name; },
    sync(settings, open) {
      parameters.forEach(({ name, when }, i) => {
        inputs[i].set(settings[name]);
        inputs[i].element.hidden = Boolean(when) && settings[when[0]] !== when[1];
      });
      main.disabled = rest.disabled = !open;
    },
  };
}

// What the reader sees of a run: chart, sentence, verdict, key, progress, error, table.
function display(lab) {
  const words = make("p", { className: "alignbook-sentence" });
  const verdict = make("p", { className: "alignbook-verdict", hidden: true });
  const key = make("small", { hidden: true });
  const announced = make("div", { className: "alignbook-announced", "aria-live": "polite" });
  const chart = make("div", { className: "alignbook-picture", role: "img", "aria-label": lab.question });
  const progress = make("progress", { hidden: true, "aria-label": "Progress of the run" });
  const fault = make("details", { className: "alignbook-fault", hidden: true });
  const inTable = make("div", { className: "alignbook-table", tabIndex: 0, role: "region", "aria-label": "Table" });
  const fold = make("details", {}, make("summary", {}, "Show table"), inTable);
  const drawing = picture(chart, lab.spec);
  let table = null;
  let unheard = ""; // the verdict, until it is announced, once
  const fill = () => inTable.replaceChildren(...(fold.open && table ? [tableOf(table)] : []));
  fold.addEventListener("toggle", fill);
  return {
    elements: { chart, words, verdict, key, progress, fault, fold, announced },
    stop: drawing.stop,
    open: () => drawing.show(),
    start() { fault.hidden = true; },
    advance(step, steps) {
      if (step !== undefined && steps) {
        Object.assign(progress, { max: steps, value: step });
      }
    },
    async draw(frame, rows) {
      words.textContent = frame.sentence;
      chart.setAttribute("aria-label", frame.sentence);
      await drawing.show(rows);
      await painted();
    },
    explain(text) {
      key.hidden = !text;
      key.textContent = text;
    },
    judge(text) {
      unheard = verdict.hidden ? `${text} ` : unheard;
      verdict.hidden = false;
      verdict.textContent = text;
    },
    say(text) { announced.textContent = text; },
    settle(newTable) {
      announced.textContent = unheard + words.textContent;
      unheard = "";
      table = newTable;
      fill();
    },
    fail(message, trace) {
      announced.textContent = words.textContent = `The run stopped: ${message}`;
      fault.replaceChildren(make("summary", {}, "Traceback"), make("pre", { tabIndex: 0 }, trace ?? ""));
      fault.hidden = false;
    },
  };
}

function mount(root, lab, source, memory, handle = {}) {
  const { prediction } = lab;
  const parameters = [...lab.parameters, ...source.parameters];
  const start = Object.fromEntries(parameters.map((parameter) => [parameter.name, parameter.start]));
  const guess = memory.guess();
  const open = handle.open || !prediction || guess !== null; // whoever said "Show me anyway" is not asked again
  const settings = { ...start, ...(open ? memory.settings() : {}) }; // a question is about the start
  const pause = pauseGate();
  let touched = false;
  let run = Number(root.dataset.run ?? 0);
  let running = false;
  let frame = {};
  let verdictOf = null; // the frame that told the right answer
  let settled = null; // the table when things settled last, and the one that stays as a ghost
  let last = null;
  let timers = [];

  const extras = guess === null ? [] : [button("Forget my guesses", () => memory.forget())];
  const dials = controls(lab, parameters, start, source, extras, { change, toggle, reset });
  const shown = display(lab);
  const { chart, words, verdict, key, progress, fault, fold, announced } = shown.elements;
  const asked = open ? [] : [ask(prediction, commit, named(memory.settings(), start))];
  const title = heading(root, lab.question);
  const below = [words, verdict, key, progress, fault, dials.rest, fold, announced];
  root.replaceChildren(title, ...asked, dials.main, chart, ...below);
  root.classList.add("alignbook-lab");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves keys to the lab
  root.addEventListener("focusin", keepKeys);
  root.onkeydown = (event) => { // other hosts learn of no key at all
    if (!event.ctrlKey && !event.metaKey) {
      event.stopPropagation();
    }
  };
  shown.open();
  source.watch((news) => {
    if (Object.entries(news).some(([name, value]) => !same(settings[name], value))) {
      change(news);
    }
  });
  memory.changed(() => {
    handle.open = false;
    remount(source, root.contains(document.activeElement) && ".alignbook-ask input");
  });
  sync();
  state("asking");
  begin();
  return Object.assign(handle, { stop, remount, settings: () => settings });

  function sync() {
    dials.sync(settings, open);
    fold.hidden = !open;
  }

  // Names the values of some settings that are not those of others.
  function named(some, others) {
    const differs = ({ name }) => name in some && !same(some[name], others[name]);
    return lab.parameters.filter(differs).map(({ label, name }) => `${label} ${short(some[name])}`).join(", ");
  }

  function state(name) {
    root.dataset.state = name;
    dials.nameRunner(name === "running" ? "Pause" : "Run");
  }

  function change(news) {
    last = settled ?? last;
    touched = true;
    Object.assign(settings, news);
    sync();
    begin();
  }

  function commit(said) {
    handle.open = true;
    if (said !== null) {
      memory.keep(said);
    }
    remount(source, FIRST_INPUT);
  }

  function reset() {
    change(start);
    last = null; // a fresh start has no ghost
  }

  function toggle() {
    if (pause.isClosed()) {
      pause.open();
      state("running");
    } else if (running) {
      pause.close();
      state("paused");
      shown.say(`Paused. ${frame.sentence ?? ""}`);
    } else {
      begin(true);
    }
  }

  function begin(anew = false) {
    if (!open) {
      return;
    }
    const mine = (run += 1);
    root.dataset.run = mine;
    settled = null;
    rest();
    timers = source.live ? [setTimeout(() => { progress.hidden = false; }, LONG)] : [];
    running = true;
    pause.open();
    shown.start();
    state("running");
    source.run({ settings: { ...settings }, anew }, (next) => onFrame(next, mine)).catch((error) => {
      if (mine === run) {
        fail(error.message, error.stack);
      }
    });
  }

  async function onFrame(next, mine) {
    await visible();
    await pause.pass();
    if (mine !== run) {
      return;
    }
    if (next.error) {
      fail(next.error, next.traceback);
      return;
    }
    const isNew = root.dataset.painted !== String(mine) || !same(next.table, frame.table);
    frame = next;
    shown.advance(next.table.step?.at(-1), settings.steps);
    if (next.done || (isNew && !still())) {
      const ghost = same(last, next.table) ? null : last;
      shown.explain([ghost && "Faint, hollow or thin marks: the setting before.", guess !== null && "Diamond, dots or words: your guess."]
        .filter(Boolean).join(" "));
      await shown.draw(next, () => [...rows(ghost, "last"), ...rows(next.table, ""), ...guessRows(prediction, guess)]);
      root.dataset.painted = mine; // whose frame is on the screen
    }
    if (next.done && mine === run) {
      finish();
    }
  }

  function finish() {
    rest();
    if (frame.answer !== undefined) {
      verdictOf = frame;
    }
    if (verdictOf) {
      shown.judge(verdictWords(prediction, guess, verdictOf, named(start, settings)));
    }
    state("done");
    timers.push(setTimeout(settle, SETTLED_AFTER));
  }

  function settle() {
    settled = frame.table;
    shown.settle(settled);
    if (touched) {
      memory.write(settings);
    }
    state("settled");
  }

  function fail(message, trace) {
    rest();
    shown.fail(message, trace);
    state("failed");
  }

  function rest() {
    timers.forEach(clearTimeout);
    timers = [];
    progress.hidden = true;
    running = false;
  }

  function stop() {
    run += 1;
    rest();
    pause.open();
    shown.stop();
    source.stop();
  }

  // Focus would be lost with the element that had it: it goes to the first that fits `focus`.
  function remount(newSource, focus) {
    stop();
    mount(root, lab, newSource, memory, handle);
    if (focus) {
      root.querySelector(focus)?.focus();
    }
  }
}

// Mounts once the drawing code is here; says what to do where it is not.
function whenDrawable(root, go) {
  const ready = () => window.vegaEmbed && window.alignbookCharts?.fitted;
  if (ready()) {
    go();
    return () => {};
  }
  root.textContent = "Run the chapter's first cell: it brings the drawing code (figures.enable()).";
  const timer = setInterval(() => {
    if (ready()) {
      clearInterval(timer);
      go();
    }
  }, 250);
  return () => clearInterval(timer);
}
