// The front end of every lab: the script of the book's pages, and the ESM of the widget in a notebook.
//
// Frames come from a source, { live, parameters, note, run(request, onFrame), watch(handler), stop() }: run() calls
// onFrame({ table, sentence, done, answer, why, error, traceback }) and waits for what it returns before the next
// frame, so that a slow painter, a pause or a hidden page slows the training down; a later run() ends this one.
// `parameters` are those that the source adds, `note` says how to change what it holds fixed.
// A memory, { guess(), keep(guess), forget(), settings(), write(settings) }, outlives the lab's elements.
// Drawing is done by window.vegaEmbed and window.alignbookCharts: see figures.py.

const SETTLED_AFTER = 400; // ms without a change until the sentence is announced
const LONG = 500; // ms until a run shows its progress
const STEPS = 100; // from one end of a live slider to the other
const ROWS = 200;
let count = 0;

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value ?? ""));
const isShown = ({ when }, settings) => !when || settings[when[0]] === when[1];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
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

// ---- inputs: each is { element, set(value) } and calls change(value)

function numberInput(parameter, live, change) {
  const { label, unit, low, high, log, whole } = parameter;
  const grid = live ? null : parameter.grid;
  const last = grid ? grid.length - 1 : STEPS;
  const nearest = (value) => grid.reduce((best, at, i) => (Math.abs(at - value) < Math.abs(grid[best] - value) ? i : best), 0);
  const fraction = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const place = (value) => (grid ? nearest(value) : Math.round(last * fraction(value)));
  const tidy = (value) => (whole ? Math.round(value) : Number(value.toPrecision(3)));
  const between = (i) => tidy(log ? low * (high / low) ** (i / last) : low + ((high - low) * i) / last);
  const value = (i) => (grid ? grid[i] : i === last ? high : i === 0 ? low : between(i));
  const id = `alignbook-lab-${(count += 1)}`;
  const slider = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": `${label}, slider` });
  const box = make("input", { type: "number", id, min: low, max: high, step: "any", inputMode: "decimal" });
  const set = (now) => {
    slider.value = place(now);
    slider.setAttribute("aria-valuetext", `${short(now)} ${unit}`.trim());
    box.value = String(now);
  };
  const take = (now) => {
    set(now);
    change(now);
  };
  slider.addEventListener("input", () => take(value(Number(slider.value))));
  box.addEventListener("change", () => {
    const typed = box.value === "" ? value(Number(slider.value)) : clamp(Number(box.value), low, high);
    take(grid ? grid[nearest(typed)] : whole ? Math.round(typed) : typed);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step) {
      event.preventDefault(); // by itself the box would step by one unit
      take(value(clamp(Number(slider.value) + step, 0, last)));
    }
  });
  const words = make("label", { htmlFor: id }, unit ? `${label} (${unit})` : label);
  return { element: make("div", { className: "alignbook-input" }, words, slider, box), set };
}

function choiceInput(parameter, live, change) {
  const { label, options } = parameter;
  const id = `alignbook-lab-${(count += 1)}`;
  const select = make("select", { id }, ...options.map((option, i) => make("option", { value: String(i) }, option)));
  const own = make("option", { value: "own", disabled: true, hidden: true }, "your own");
  select.append(own);
  select.addEventListener("change", () => change(options[Number(select.value)]));
  const set = (now) => {
    const found = options.indexOf(now);
    own.hidden = found >= 0;
    select.value = found < 0 ? "own" : String(found);
  };
  return { element: make("div", { className: "alignbook-input" }, make("label", { htmlFor: id }, label), select), set };
}

function vectorInput(parameter, live, change) {
  const preset = choiceInput(parameter, live, change);
  const { presets } = parameter;
  let now = presets[parameter.start];
  const entry = (label, i) => numberInput({ ...parameter, label, unit: "" }, true, (value) => {
    now = now.with(i, value);
    change(now);
  });
  const entries = live ? parameter.entries.map(entry) : [];
  const fold = make("details", {}, make("summary", {}, `Edit ${parameter.label}`), ...entries.map((one) => one.element));
  const set = (value) => {
    now = presets[value] ?? value;
    preset.set(value);
    entries.forEach((one, i) => one.set(now[i]));
  };
  return { element: make("div", {}, preset.element, ...(live ? [fold] : [])), set };
}

function input(parameter, source, change) {
  const kinds = { number: numberInput, choice: choiceInput, vector: vectorInput };
  const movable = source.live || parameter.grid.length > 0;
  const made = kinds[parameter.kind](parameter, source.live || !movable, change);
  made.element.querySelectorAll("input, select").forEach((one) => { one.disabled = !movable; });
  made.set(parameter.start);
  return made;
}

// ---- the prediction: asked before anything of the outcome is here

function guessWords(prediction, guess) {
  const measured = (value) => `${short(value)} ${prediction.unit}`.trim();
  const words = {
    choice: () => prediction.options[guess],
    number: () => measured(guess),
    points: () => guess.map((value, i) => `${measured(value)} at ${short(prediction.at[i])}`).join(", "),
  };
  return words[prediction.kind]();
}

function guessRows(prediction, guess) {
  if (guess === null || !prediction) {
    return [];
  }
  const points = prediction.kind === "points" ? guess : [prediction.kind === "choice" ? prediction.options[guess] : guess];
  return points.map((value, i) => ({ ghost: "guess", guess: value, at: prediction.at[i] ?? null }));
}

function ask(prediction, commit) {
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
    return made.element;
  };
  const name = `alignbook-lab-${(count += 1)}`;
  const inputs = {
    choice: () => options.map((words, i) => option(words, i, name)),
    number: () => [number("Your guess", (value) => { guess = value; })],
    points: () => at.map((x, i) => number(`At ${short(x)}`, (value) => { guess = guess.with(i, value); })),
  };
  const field = make("fieldset", {}, make("legend", {}, prediction.question), ...inputs[kind]());
  const skip = make("button", { type: "button", onclick: () => commit(null) }, "Show me anyway");
  const form = make("form", { className: "alignbook-ask" }, field, make("button", { type: "submit" }, "Commit"), skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    commit(guess);
  });
  return form;
}

// ---- the picture: one long-lived Vega view for each panel, whose rows are replaced

function rows(table, ghost) {
  const names = Object.keys(table ?? {});
  const length = names.length ? table[names[0]].length : 0;
  return Array.from({ length }, (_, i) => Object.fromEntries([...names.map((name) => [name, table[name][i]]), ["ghost", ghost]]));
}

function picture(box, spec) {
  const { fitted, panels } = window.alignbookCharts;
  const parts = panels({ ...spec, datasets: { table: [] } }).map((one) => {
    const place = make("div", { className: "alignbook-panel" });
    box.append(place);
    return { place, spec: one, width: 0, result: null };
  });
  let latest = () => [];
  let busy = null;
  let again = false;

  async function embed(part, width) {
    part.result?.finalize();
    const one = fitted(part.spec, width);
    // On a phone the chart, its main slider and the sentence share the screen.
    const height = Math.min(one.height ?? 260, innerWidth < 600 ? 200 / parts.length : Infinity);
    one.config.legend.columns = Math.max(1, Math.floor(width / 115)); // names of answers are short
    const options = { mode: "vega-lite", renderer: "svg", actions: false };
    part.result = await window.vegaEmbed(part.place, one.width ? { ...one, height } : one, options);
    part.width = width;
    part.place.alignbookView = part.result.view; // for whoever looks in from the console
    const svg = part.place.querySelector("svg");
    svg.style.maxWidth = "100%";
    svg.style.height = "auto";
    svg.setAttribute("aria-hidden", "true"); // its box speaks for it
  }

  async function drawAll() {
    do {
      again = false;
      for (const part of parts) {
        const width = Math.floor(part.place.clientWidth);
        if (width && width !== part.width) {
          await embed(part, width);
        }
        // Vega marks the rows it is given: each view has its own
        await part.result?.view.data("table", latest()).runAsync();
      }
    } while (again);
  }

  function show(makeRows = latest) {
    latest = makeRows;
    again = true;
    busy ??= drawAll().finally(() => { busy = null; });
    return busy;
  }

  const sizes = new ResizeObserver(() => show());
  parts.forEach((part) => sizes.observe(part.place));
  return {
    show,
    stop() {
      sizes.disconnect();
      parts.forEach((part) => part.result?.finalize());
    },
  };
}

function tableOf(table) {
  const names = Object.keys(table ?? {});
  const all = rows(table, "");
  const line = (row) => make("tr", {}, ...names.map((name) => make("td", {}, short(row[name]))));
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const words = all.length > ROWS ? `The last ${ROWS} of ${all.length} rows.` : `${all.length} rows.`;
  const body = make("tbody", {}, ...all.slice(-ROWS).map(line));
  return make("table", {}, make("caption", {}, words), make("thead", {}, head), body);
}

// ---- a lab

function mount(root, lab, source, memory, handle = {}) {
  const { prediction } = lab;
  const parameters = [...lab.parameters, ...source.parameters];
  const start = Object.fromEntries(parameters.map((parameter) => [parameter.name, parameter.start]));
  const guess = memory.guess();
  const settings = { ...start, ...memory.settings() };
  let open = !prediction || guess !== null;
  let run = 0;
  let running = false;
  let frame = {};
  let last = null;
  let settled = null;
  let answer;
  let why;
  let touched = false;
  let resume = null;
  let gate = null;
  let timers = [];

  const words = make("p", { className: "alignbook-sentence" });
  const verdict = make("p", { className: "alignbook-verdict", hidden: true });
  const live = make("div", { className: "alignbook-announced", "aria-live": "polite" });
  const chart = make("div", { className: "alignbook-picture", role: "img", "aria-label": lab.question });
  const progress = make("progress", { hidden: true, "aria-label": "Progress of the run" });
  const fault = make("details", { className: "alignbook-fault", hidden: true });
  const button = (label, onclick) => make("button", { type: "button", onclick }, label);
  const runner = button("Pause", () => (resume ? resume() : running ? pause() : begin(true)));
  const inputs = parameters.map((parameter) => input(parameter, source, (value) => change({ [parameter.name]: value })));
  const reachable = (wish) => source.live || Object.entries(wish).every(([name, value]) =>
    parameters.find((parameter) => parameter.name === name).grid.some((one) => same(one, value)));
  const tries = lab.tries.filter((one) => reachable(one.settings))
    .map((one) => button(`Try: ${one.label}`, () => change({ ...start, ...one.settings })));
  const forget = button("Forget my guesses", () => memory.forget());
  const inTable = make("div", { className: "alignbook-table", tabIndex: 0, role: "region", "aria-label": "Table" });
  const fold = make("details", {}, make("summary", {}, "Show table"), inTable);
  fold.addEventListener("toggle", () => fillTable());
  const group = (name, ...children) => make("fieldset", { className: name }, ...children);
  const dials = parameters.map(({ when }) => when?.[0]);
  const isMain = ({ kind, grid, name }) => (kind === "number" && grid.length > 0) || dials.includes(name);
  const elements = (wanted) => inputs.filter((_, i) => isMain(parameters[i]) === wanted).map((one) => one.element);
  const main = group("alignbook-main", make("legend", {}, "Settings"), ...elements(true));
  const ran = source.live ? [runner] : [];
  const known = guess !== null ? [forget] : [];
  const buttons = make("div", { className: "alignbook-buttons" }, ...tries, ...ran, button("Reset", () => change(start)), ...known);
  const fixed = lab.parameters.filter(({ grid }) => !source.live && !grid.length).map(({ label }) => label);
  const note = fixed.length ? [make("small", {}, `${source.note} ${fixed.join(", ")}.`)] : [];
  const rest = group("alignbook-rest", make("legend", {}, "More settings"), ...elements(false), ...note, buttons);
  const asked = prediction && !open ? [ask(prediction, commit)] : [];
  const title = make("p", { className: "alignbook-question" }, lab.question);
  root.replaceChildren(title, ...asked, main, chart, words, verdict, progress, fault, rest, fold, live);
  root.classList.add("alignbook-lab");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves keys to the lab
  root.onkeydown = (event) => { // other hosts learn of no key at all
    if (!event.ctrlKey && !event.metaKey) {
      event.stopPropagation();
    }
  };
  const drawing = picture(chart, lab.spec);
  sync();
  drawing.show();
  source.watch((news) => {
    if (Object.entries(news).some(([name, value]) => !same(settings[name], value))) {
      change(news);
    }
  });

  function sync() {
    parameters.forEach((parameter, i) => {
      inputs[i].set(settings[parameter.name]);
      inputs[i].element.hidden = !isShown(parameter, settings);
    });
    main.disabled = rest.disabled = !open;
    fold.hidden = !open;
  }

  function state(name) {
    root.dataset.state = name;
    runner.textContent = name === "running" ? "Pause" : "Run";
  }

  function pause() {
    gate = new Promise((resolve) => {
      resume = () => {
        resume = gate = null;
        state("running");
        resolve();
      };
    });
    state("paused");
  }

  function change(news) {
    last = settled ?? last;
    touched = true;
    Object.assign(settings, news);
    sync();
    begin();
  }

  function commit(said) {
    open = true;
    if (said !== null) {
      memory.keep(said);
      return again();
    }
    root.querySelector(".alignbook-ask")?.remove();
    sync();
    return begin();
  }

  function again() {
    stop();
    mount(root, lab, source, memory, handle);
  }

  function begin(anew = false) {
    if (!open) {
      return;
    }
    const mine = (run += 1);
    root.dataset.run = mine;
    settled = null;
    timers.forEach(clearTimeout);
    timers = source.live ? [setTimeout(() => { progress.hidden = false; }, LONG)] : [];
    fault.hidden = true;
    running = true;
    resume?.();
    state("running");
    source.run({ settings: { ...settings }, anew }, (next) => onFrame(next, mine)).catch((error) => {
      if (mine === run) {
        fail(error.message, error.stack);
      }
    });
  }

  async function onFrame(next, mine) {
    await visible();
    await gate;
    if (mine !== run) {
      return;
    }
    if (next.error) {
      fail(next.error, next.traceback);
      return;
    }
    const isNew = root.dataset.painted !== String(mine) || !same(next.table, frame.table);
    frame = next;
    const step = next.table.step?.at(-1);
    if (settings.steps && step !== undefined) {
      progress.max = settings.steps;
      progress.value = step;
    }
    if (next.done || (isNew && !still())) {
      await draw();
    }
    if (next.done && mine === run) {
      finish();
    }
  }

  async function draw() {
    const { table, sentence } = frame;
    const before = same(last, table) ? null : last;
    words.textContent = sentence;
    chart.setAttribute("aria-label", sentence);
    await drawing.show(() => [...rows(before, "last"), ...rows(table, ""), ...guessRows(prediction, guess)]);
    await painted();
    root.dataset.painted = run; // whose frame is on the screen
  }

  function finish() {
    clearTimeout(timers[0]);
    progress.hidden = true;
    running = false;
    if (frame.answer !== undefined) {
      ({ answer, why } = frame);
    }
    judge();
    state("done");
    timers.push(setTimeout(settle, SETTLED_AFTER));
  }

  function judge() {
    verdict.hidden = answer === undefined;
    if (answer !== undefined) {
      const said = guess === null ? "" : `You said: ${guessWords(prediction, guess)}. `;
      verdict.textContent = `${said}It is: ${guessWords(prediction, answer)}. ${why}`;
    }
  }

  function settle() {
    settled = frame.table;
    live.textContent = words.textContent;
    if (touched) {
      memory.write(settings);
    }
    fillTable();
    state("settled");
  }

  function fillTable() {
    inTable.replaceChildren(...(fold.open && open ? [tableOf(frame.table)] : []));
  }

  function fail(message, trace) {
    clearTimeout(timers[0]);
    progress.hidden = true;
    running = false;
    live.textContent = words.textContent = `The run stopped: ${message}`;
    fault.replaceChildren(make("summary", {}, "Traceback"), make("pre", { tabIndex: 0 }, trace ?? ""));
    fault.hidden = false;
    state("failed");
  }

  function stop() {
    run += 1;
    timers.forEach(clearTimeout);
    resume?.();
    drawing.stop();
    source.stop();
  }

  memory.changed(again);
  state("asking");
  begin();
  handle.stop = stop;
  return handle;
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

// ---- in a notebook: frames from the kernel, one request at a time

function kernelSource(model) {
  const engines = model.get("engines");
  const engine = { kind: "choice", name: "engine", label: "Engine", options: engines, start: engines[0], grid: [] };
  const seed = { kind: "number", name: "seed", label: "Seed", unit: "", low: 0, high: 999, whole: true, start: 0, grid: [] };
  const names = [...model.get("declaration").parameters, seed, engine].map((parameter) => parameter.name);
  const view = `${Math.random()}`;
  let wanted = 0;
  let requests = 0;
  let pending = Promise.resolve();
  let answer = () => {};
  let handler = () => {};
  const receive = (frame) => {
    if (frame.view === view && frame.request === requests) {
      answer(frame);
    }
  };
  const moved = () => handler(Object.fromEntries(names.map((name) => [name, model.get(name)])));
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on("msg:custom", receive);
  model.on(events, moved);

  function request({ settings }, again) {
    const news = Object.entries(settings).filter(([name, value]) => !same(model.get(name), value));
    const changed = Object.fromEntries(news);
    Object.entries(changed).forEach(([name, value]) => model.set(name, value));
    requests += 1;
    pending = new Promise((resolve) => { answer = resolve; });
    model.send({ kind: "next", view, request: requests, changed, again });
    return pending;
  }

  return {
    live: true,
    parameters: [seed, engine],
    note: "",
    async run(wish, onFrame) {
      const mine = (wanted += 1);
      for (let first = true; ; first = false) {
        await pending;
        if (mine !== wanted) {
          return;
        }
        const frame = await request(wish, first && wish.anew === true);
        if (mine !== wanted) {
          return;
        }
        await onFrame(frame);
        if (frame.done || frame.error) {
          return;
        }
      }
    },
    watch(newHandler) {
      handler = newHandler;
    },
    stop() {
      wanted += 1;
      model.send({ kind: "stop", view });
    },
    close() {
      model.off("msg:custom", receive);
      model.off(events, moved);
    },
  };
}

function kernelMemory(model) {
  let kept = model.get("guess");
  let handler = () => {};
  const moved = () => {
    if (!same(kept, model.get("guess"))) {
      kept = model.get("guess");
      handler();
    }
  };
  const set = (guess) => {
    kept = guess;
    model.set("guess", guess);
    model.save_changes();
  };
  model.on("change:guess", moved);
  return {
    guess: () => kept,
    keep: set,
    forget() {
      set(null);
      handler();
    },
    settings: () => Object.fromEntries([...model.get("declaration").parameters.map(({ name }) => name), "seed", "engine"].map((name) => [name, model.get(name)])),
    write() {},
    changed(newHandler) { handler = newHandler; },
    close() { model.off("change:guess", moved); },
  };
}

function render({ model, el }) {
  const source = kernelSource(model);
  const memory = kernelMemory(model);
  const root = make("section");
  let lab = null;
  el.append(root);
  const wait = whenDrawable(root, () => { lab = mount(root, model.get("declaration"), source, memory); });
  return () => {
    wait();
    lab?.stop();
    source.close();
    memory.close();
  };
}

// ---- in a page: frames from the record, in a file of its own, which also a page opened as a file may load

const KEY = "alignbook-guesses";
const FORGOTTEN = "alignbook-guesses-forgotten";

function loadRecord(address, name) {
  return new Promise((resolve, reject) => {
    const script = make("script", { src: address });
    script.onload = () => resolve(window.alignbookRecords[name]);
    script.onerror = () => reject(new Error(`The record ${address} is missing.`));
    document.head.append(script);
  });
}

function recordSource(lab, address) {
  const axes = lab.parameters.filter((parameter) => parameter.grid.length);
  const place = (settings, { name, grid, when, start }) =>
    grid.findIndex((one) => same(one, when && settings[when[0]] !== when[1] ? start : settings[name]));
  let record = null;
  let handler = () => {};
  window.addEventListener("hashchange", () => handler(fromFragment(lab)));
  return {
    live: false,
    parameters: [],
    note: "Live only, so open this chapter in a notebook to change them:",
    async run({ settings }, onFrame) {
      record ??= loadRecord(address, lab.name);
      const { names, columns, runs, sentences, answer, why, ...all } = await record;
      const places = axes.map((axis) => place(settings, axis));
      const at = all.settings.findIndex((one) => same(one, places));
      const table = Object.fromEntries(names.map((name, i) => [name, columns[runs[at][i]]]));
      await onFrame({ table, sentence: sentences[at], done: true, answer, why });
    },
    watch(newHandler) { handler = newHandler; },
    stop() {},
  };
}

function fromFragment(lab) {
  const [name, query] = decodeURI(location.hash.slice(1)).split("?");
  const given = name === `lab-${lab.name}` ? new URLSearchParams(query) : new URLSearchParams();
  const read = ({ kind, grid }, text) => grid.find((one) => same(one, kind === "number" ? Number(text) : text));
  const entries = lab.parameters.filter(({ name }) => given.has(name)).map((one) => [one.name, read(one, given.get(one.name))]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function toFragment(lab, settings) {
  const shown = lab.parameters.filter((one) => one.grid.length && isShown(one, settings));
  return `#lab-${lab.name}?${new URLSearchParams(shown.map(({ name }) => [name, settings[name]]))}`;
}

function pageMemory(lab) {
  const all = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // a browser may forbid storage: then the guess lasts as long as the page
    }
  };
  let kept = all()[lab.name] ?? null;
  const store = (guesses) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(guesses));
    } catch {
      // as above
    }
  };
  let handler = () => {};
  window.addEventListener(FORGOTTEN, () => {
    if (kept !== null) {
      kept = null;
      handler();
    }
  });
  return {
    guess: () => kept,
    keep(guess) {
      kept = guess;
      store({ ...all(), [lab.name]: guess });
    },
    forget() {
      store({});
      window.dispatchEvent(new Event(FORGOTTEN));
    },
    settings: () => fromFragment(lab),
    write: (settings) => history.replaceState(null, "", toFragment(lab, settings)),
    changed(newHandler) { handler = newHandler; },
  };
}

function mountPage() {
  document.querySelectorAll("section.alignbook-lab:not([data-state])").forEach((root) => {
    const lab = JSON.parse(root.querySelector("script").textContent);
    root.dataset.state = "waiting";
    whenDrawable(root, () => mount(root, lab, recordSource(lab, root.dataset.record), pageMemory(lab)));
    if (location.hash.startsWith(`#lab-${lab.name}`)) {
      root.scrollIntoView();
    }
  });
}

export default { render, mountPage };
