// The picture: one long-lived Vega view for each panel, whose rows are replaced; and the table that says the same.
// Drawing is done by window.vegaEmbed and window.alignbookCharts: see figures.py.

const ROWS = 200;

function rows(table, ghost) {
  const names = Object.keys(table ?? {});
  const length = names.length ? table[names[0]].length : 0;
  return Array.from({ length }, (_, i) => Object.fromEntries([...names.map((name) => [name, table[name][i]]), ["ghost", ghost]]));
}

function picture(box, spec) {
  const { fitted, panels } = window.alignbookCharts;
  const parts = panels({ ...spec, datasets: { table: [] } }).map((one, i, { length }) => {
    const place = make("div", { className: "alignbook-panel" });
    box.append(place);
    const phone = spec.usermeta?.phone?.[i] ?? 200 / length; // its height on a phone
    return { place, spec: one, phone, width: 0, result: null };
  });
  let latest = () => [];
  let busy = null;
  let again = false;

  async function embed(part, width) {
    part.result?.finalize();
    const one = fitted(part.spec, width);
    // On a phone the chart, its main slider and the sentence share the screen.
    const height = Math.min(one.height ?? 260, innerWidth < 600 ? part.phone : Infinity);
    one.config.legend.columns = Math.max(1, Math.floor(width / 115)); // names of answers are short
    const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true }; // as in charts.js
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
