// Draws every figure.alignbook-chart on the page, now and whenever one appears: in the book and in a notebook.
// Needs window.vegaEmbed. The colors of axes and labels are currentColor, so a change of theme needs no redraw.
(() => {
  "use strict";
  const SELECTOR = "figure.alignbook-chart";
  if (window.alignbookCharts) {
    return; // this script may be run again, as when a notebook's cell is
  }

  // Datasets travel as columns, which are half as long as the rows that Vega-Lite reads.
  function rows(dataset) {
    const [first] = Object.values(dataset);
    return Array.isArray(dataset)
      ? dataset
      : first.map((_, row) => Object.fromEntries(Object.entries(dataset).map(([name, values]) => [name, values[row]])));
  }

  function read(source) {
    const spec = JSON.parse(source);
    const datasets = Object.entries(spec.datasets).map(([name, dataset]) => [name, rows(dataset)]);
    return { ...spec, datasets: Object.fromEntries(datasets) };
  }

  // Charts side by side are drawn one by one, so that a narrow page can put one below the other.
  function panels(spec) {
    const { hconcat, description, ...shared } = spec;
    return hconcat ? hconcat.map((panel) => ({ ...shared, ...panel })) : [{ ...shared }];
  }

  // One view takes the width it is given; facets and nested layouts keep theirs and are scaled down by the style below.
  function fitted(spec, width) {
    const composed = spec.vconcat || spec.hconcat || spec.concat || spec.facet || spec.repeat;
    const facets = spec.encoding && (spec.encoding.row || spec.encoding.column || spec.encoding.facet);
    const config = structuredClone(spec.config ?? {});
    config.legend = { ...config.legend, columns: Math.max(1, Math.floor(width / 200)) };
    const size = composed || facets ? {} : { width, autosize: { type: "fit-x", contains: "padding" } };
    return { ...spec, ...size, config };
  }

  function prepare(figure) {
    const source = figure.querySelector('script[type="application/json"]');
    const words = figure.querySelector("p");
    const box = document.createElement("div");
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", words.textContent);
    box.style.cssText = "display: flex; flex-wrap: wrap; gap: 1rem";
    figure.style.margin = "0.25rem 0";
    const drawings = panels(read(source.textContent)).map((spec) => {
      const place = document.createElement("div");
      place.style.cssText = "flex: 1 1 280px; min-width: 0; overflow: hidden";
      box.append(place);
      return { spec, place, width: 0, busy: false, result: null };
    });
    return { box, words, drawings };
  }

  async function draw(drawing) {
    const width = Math.floor(drawing.place.clientWidth);
    if (drawing.busy || width === 0 || width === drawing.width) {
      return;
    }
    drawing.busy = true;
    drawing.width = width;
    try {
      // ast: a formula in a chart is interpreted, so that a site's content policy need not allow eval
      const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true };
      const last = drawing.result;
      drawing.result = await window.vegaEmbed(drawing.place, fitted(drawing.spec, width), options);
      last?.finalize();
      const svg = drawing.place.querySelector("svg");
      svg.style.maxWidth = "100%";
      svg.style.height = "auto";
      svg.setAttribute("aria-hidden", "true"); // its box speaks for it
    } finally {
      drawing.busy = false;
    }
    await draw(drawing); // the place may have changed meanwhile
  }

  // A figure in a closed fold has its width already, though no size is observed; paper shows it without opening.
  function watch(figure) {
    figure.dataset.found = "";
    const { box, words, drawings } = prepare(figure);
    figure.append(box);
    const update = () => Promise.all(drawings.map(draw)).then(
      () => { words.hidden = drawings.every((drawing) => drawing.result); },
      (error) => { box.remove(); words.hidden = false; console.error(error); },
    );
    const sizes = new ResizeObserver(update);
    drawings.forEach((drawing) => sizes.observe(drawing.place));
    update();
  }

  function find() {
    document.querySelectorAll(`${SELECTOR}:not([data-found])`).forEach(watch);
  }

  window.alignbookCharts = { find, fitted, panels }; // labs draw with the last two
  new MutationObserver(find).observe(document.documentElement, { childList: true, subtree: true });
  find();
})();
