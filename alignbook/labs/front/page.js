// A lab in a page: frames from its record, in a file of its own, which also a page opened as a file may load;
// once the reader has asked for it, from the page's worker.

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

function recordSource(lab, address, offer) {
  const axes = lab.parameters.filter((parameter) => parameter.grid.length);
  const place = (settings, { name, grid, when, start }) =>
    grid.findIndex((one) => same(one, when && settings[when[0]] !== when[1] ? start : settings[name]));
  let record = null;
  return {
    live: false,
    parameters: [],
    note: "Press Run live to change these:",
    offer,
    async run({ settings }, onFrame) {
      record ??= loadRecord(address, lab.name);
      const { names, columns, runs, sentences, answer, why, ...all } = await record;
      const places = axes.map((axis) => place(settings, axis));
      const at = all.settings.findIndex((one) => same(one, places));
      const table = Object.fromEntries(names.map((name, i) => [name, columns[runs[at][i]]]));
      await onFrame({ table, sentence: sentences[at], done: true, answer, why });
    },
    stop() {},
  };
}

function fromFragment(lab) {
  const [name, query] = decodeURI(location.hash.slice(1)).split("?");
  const given = name === `lab-${lab.name}` ? new URLSearchParams(query) : new URLSearchParams();
  return recorded(lab, Object.fromEntries(given));
}

function toFragment(lab, settings) {
  const isShown = ({ when }) => !when || settings[when[0]] === when[1];
  const isNamed = ({ kind, grid, name }) => kind === "number" || grid.includes(settings[name]); // no reader's own data
  const shown = lab.parameters.filter((one) => one.grid.length && isShown(one) && isNamed(one));
  return `#lab-${lab.name}?${new URLSearchParams(shown.map(({ name }) => [name, settings[name]]))}`;
}

// What a record holds, nearest to some settings.
function recorded(lab, settings) {
  const near = ({ kind, grid, start }, value) => (kind === "number"
    ? nearest(grid, Number(value))
    : grid.find((one) => one === value) ?? start);
  const kept = lab.parameters.filter(({ name, grid }) => grid.length && name in settings);
  return Object.fromEntries(kept.map((parameter) => [parameter.name, near(parameter, settings[parameter.name])]));
}

function pageMemory(lab) {
  const all = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // a browser may forbid storage: then the guess lasts as long as the page
    }
  };
  const store = (guesses) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(guesses));
    } catch {
      // as above
    }
  };
  let kept = all()[lab.name] ?? null;
  let settings = fromFragment(lab);
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
    settings: () => settings,
    hold(newSettings) { settings = newSettings; },
    write(newSettings) {
      settings = newSettings;
      history.replaceState(null, "", toFragment(lab, newSettings));
    },
    changed(newHandler) { handler = newHandler; },
  };
}

// Stands on the record, and on the page's worker while that is ready.
function mountLab(root, lab, host) {
  const address = root.dataset.record;
  const memory = pageMemory(lab);
  const offer = liveOffer(host, lab);
  const watch = (handler) => window.addEventListener("hashchange", () => handler(fromFragment(lab)));
  const fromRecord = { ...recordSource(lab, address, offer), watch };
  const handle = mount(root, lab, fromRecord, memory);
  let live = false;
  let free = {}; // where the reader left the live lab
  host.watch(({ state }) => {
    const becomes = state === "ready" && lab.inPage;
    if (becomes !== live) {
      live = becomes;
      const focused = root.contains(document.activeElement);
      const now = handle.settings();
      const unmoved = same(recorded(lab, now), recorded(lab, free)); // since then
      free = live ? free : { ...now };
      memory.hold(live && unmoved ? free : live ? now : recorded(lab, now));
      if (focused) {
        holdStill(offer, root); // its lab is made anew around it
      }
      handle.remount(live ? { ...host.source(lab), watch, offer } : fromRecord);
      if (focused) {
        offer.querySelector("button").focus({ preventScroll: true });
      }
    }
  });
}

// Does something whenever charts and formulas find their heights, until the reader moves.
function atEachSize(element, act) {
  const sizes = new ResizeObserver(act);
  sizes.observe(element);
  const end = () => sizes.disconnect();
  ["wheel", "touchstart", "pointerdown", "keydown"].forEach((name) => addEventListener(name, end, { once: true }));
}

function holdStill(element, around) {
  const { top } = element.getBoundingClientRect();
  atEachSize(around, () => scrollBy({ top: element.getBoundingClientRect().top - top, behavior: "instant" }));
}

const stayAt = (root) => atEachSize(document.body, () => root.scrollIntoView());

function mountPage() {
  const addresses = JSON.parse(document.querySelector("#alignbook-runtime")?.textContent ?? "{}");
  const host = workerHost(addresses);
  document.querySelectorAll("section.alignbook-lab:not([data-state])").forEach((root) => {
    const lab = JSON.parse(root.querySelector("script").textContent);
    root.dataset.state = "waiting";
    whenDrawable(root, () => mountLab(root, lab, host));
    if (location.hash.startsWith(`#lab-${lab.name}`)) {
      stayAt(root);
    }
  });
}
