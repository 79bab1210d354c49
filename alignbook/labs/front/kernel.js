// A lab in a notebook: frames from the kernel, settings and guess in the traits of its widget.

function kernelSource(model) {
  const engines = model.get("engines");
  const engine = { kind: "choice", name: "engine", label: "Engine", options: engines, start: engines[0], grid: [] };
  const { parameters, seeded } = model.get("declaration");
  const more = [...(seeded ? [SEED] : []), engine];
  const names = [...parameters, ...more].map(({ name }) => name);
  const current = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  let handler = () => {};

  const source = pulledSource(more, ({ settings, ...message }) => {
    const news = Object.entries(settings ?? {}).filter(([name, value]) => !same(model.get(name), value));
    news.forEach(([name, value]) => model.set(name, value));
    model.send({ ...message, changed: Object.fromEntries(news) });
  });
  const moved = () => handler(current());
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on("msg:custom", source.receive);
  model.on(events, moved);
  return {
    ...source,
    current,
    watch(newHandler) { handler = newHandler; },
    close() {
      model.off("msg:custom", source.receive);
      model.off(events, moved);
    },
  };
}

function kernelMemory(model, settings) {
  let kept = model.get("guess");
  let handler = () => {};
  const moved = () => {
    if (!same(kept, model.get("guess"))) {
      kept = model.get("guess");
      handler();
    }
  };
  const keep = (guess) => {
    kept = guess;
    model.set("guess", guess);
    model.save_changes();
  };
  model.on("change:guess", moved);
  return {
    guess: () => kept,
    keep,
    forget() {
      keep(null);
      handler();
    },
    settings,
    write() {},
    changed(newHandler) { handler = newHandler; },
    close() { model.off("change:guess", moved); },
  };
}

function render({ model, el }) {
  const source = kernelSource(model);
  const memory = kernelMemory(model, source.current);
  const root = make("section");
  let lab = null;
  el.append(root);
  const wait = whenDrawable(root, () => { lab = mount(root, model.get("declaration"), source, memory); });
  // A closed notebook gives up its kernel before its views, a closed window says nothing to them: both say so here.
  const session = model.widget_manager?.context?.sessionContext;
  session?.disposed.connect(source.stop);
  window.addEventListener("pagehide", source.stop);
  return () => {
    wait();
    session?.disposed.disconnect(source.stop);
    window.removeEventListener("pagehide", source.stop);
    lab?.stop();
    source.close();
    memory.close();
  };
}
