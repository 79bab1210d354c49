// Python in the page: one worker for all its labs, booted when the reader first asks for it. Whatever goes wrong, the
// labs stand on their records as before, with one sentence that says what to do.

const NEEDS_SERVER = "A page opened as a file cannot start Python. In the book's folder run python -m http.server, "
  + "then open http://localhost:8000.";
const REMEDY = "Try again with a network and a current browser, or open the chapter in a notebook.";
const BACK = "The sliders are back at recorded values. Run live again goes on with yours.";

// `addresses` says where the worker, its runtime and its packages are. A watcher has news({ state, words, loaded, total }).
function workerHost(addresses) {
  const watchers = new Set();
  const sources = new Map();
  let worker = null;
  let current = { state: "absent" };

  function tell(news) {
    current = news;
    watchers.forEach((watcher) => watcher(news));
  }

  function fail(cause) {
    const what = current.state === "ready" ? "stopped" : "did not start";
    end(`Python ${what} in this page${cause ? ` (${cause})` : ""}. ${REMEDY}`);
  }

  function end(words) {
    worker?.terminate();
    worker = null;
    sources.clear();
    tell({ state: "absent", words });
  }

  function hear({ kind, ...message }) {
    if (kind === "progress") {
      tell({ state: "loading", ...message });
    } else if (kind === "ready") {
      tell({ state: "ready" });
    } else if (kind === "failed") {
      fail(message.message.replace(/\.$/, ""));
    } else {
      sources.get(message.view)?.(message);
    }
  }

  return {
    bytes: addresses.bytes,
    news: () => current,
    watch(watcher) { watchers.add(watcher); },
    stop: () => end(current.state === "ready" ? BACK : undefined),
    start() {
      if (location.protocol === "file:") {
        end(NEEDS_SERVER);
        return;
      }
      try {
        worker = new Worker(addresses.worker, { type: "module" });
      } catch {
        fail();
        return;
      }
      worker.onmessage = ({ data }) => hear(data);
      worker.onerror = (event) => {
        event.preventDefault();
        fail(event.message);
      };
      tell({ state: "loading", loaded: 0, total: null });
      worker.postMessage({ kind: "boot", ...addresses });
    },
    source(lab) {
      const source = pulledSource(lab.seeded ? [SEED] : [], ({ settings, ...message }) => {
        const { seed = 0, ...rest } = settings ?? {};
        sources.set(message.view, source.receive);
        worker?.postMessage({ ...message, lab: lab.name, settings: rest, seed, engine: "numpy" });
      });
      return source;
    },
  };
}

// The button that a recorded lab offers, with what is to be said about it.
function liveOffer(host, lab) {
  const press = button("", () => (host.news().state === "absent" ? host.start() : host.stop()));
  const words = make("small", { role: "status" });
  const bar = make("progress", { "aria-label": "Loading Python" });
  const far = make("small", { hidden: true });
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  const idle = "The sliders hold recorded values. With Python in this page, "
    + `${megabytes(host.bytes)} MB to load, they move freely and models retrain here.`;
  const show = ({ state, words: said, loaded, total }) => {
    press.textContent = { absent: "Run live", loading: "Cancel", ready: "Stop live" }[state];
    bar.hidden = state !== "loading";
    if (total) {
      Object.assign(bar, { max: total, value: loaded });
    }
    far.textContent = total ? ` ${megabytes(loaded)} of ${megabytes(total)} MB` : "";
    far.hidden = bar.hidden;
    const text = { absent: said ?? idle, loading: "Loading Python.", ready: "Python runs in this page." }[state];
    if (words.textContent !== text) {
      words.textContent = text; // a reader hears of each state once
    }
  };
  host.watch(show);
  show(host.news());
  if (!lab.inPage) {
    return make("small", {}, "This lab's model needs torch: open the chapter in a notebook to retrain it.");
  }
  return make("div", { className: "alignbook-offer" }, press, words, far, bar);
}
