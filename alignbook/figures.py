"""How the book's charts look, and the one way in which they are drawn, on a page and in a notebook.

A chart is an Altair chart with a `description`: the words that stand for it where it cannot be seen.
`enable()` registers the theme and a renderer whose output is a `<figure>` holding those words and the
chart's specification; `charts.js` beside this file draws every such figure, with the same Vega bundle in
the book's pages and in a notebook, and needs no network.

Ink is `currentColor`: axes and labels follow the text around them from light to dark. The colors are those
of Okabe and Ito, the light ones darkened, so that each has a contrast of at least 3:1 against the light and
the dark page; what differs in color differs in dashes, shape, fill or place as well.
"""

import html
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from IPython.display import HTML, display

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#C46A9C", "#A87900", "#7A7A7A")
"""Blue, vermilion, green, purple, ochre, gray; series and answers take them in this order."""

DASHES = ([1, 0], [8, 4], [2, 3], [10, 3, 2, 3], [16, 4], [5, 2])
"""What tells the lines apart where colors do not, in the order of `PALETTE`."""

HOLLOW = 0.2
"""How full the bars of the first law are, usually the reference; the last law's are full."""

INK = "currentColor"


def enable() -> None:
    """Draw charts in the book's way from here on: call it once, in a chapter's first cell.

    In a notebook it shows one invisible output that carries the drawing code; the book's pages load that
    code themselves (their configuration says so with ALIGNBOOK_RECORD=1).
    """
    alt.renderers.register("alignbook", _figure)
    alt.renderers.enable("alignbook")
    alt.theme.register("alignbook", enable=True)(_theme)
    if os.environ.get("ALIGNBOOK_RECORD") != "1":
        code = drawing_code().replace("</script", r"<\/script")  # "</" alone also ends a regular expression
        display(HTML(f"<script>{code}</script>"))


def drawing_code() -> str:
    """Return the script that draws the figures: the Vega bundle, then `charts.js`; it may run twice."""
    schema = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle = vl_convert.javascript_bundle(vl_version=schema)  # pyright: ignore[reportCallIssue]  # its stub lacks a default
    charts = Path(__file__).with_name("charts.js").read_text("utf-8")
    return f"if (!window.vegaEmbed) {{ (() => {{ {bundle} }})(); }}\n{charts}"


def data(**columns: Iterable[Any]) -> alt.InlineData:
    """Return columns of equal length, sequences or arrays, as a chart's data; inf and nan leave a gap.

    >>> data(answer=["yes", "no"], mass=[2 / 3, float("inf")]).to_dict()["values"]
    [{'answer': 'yes', 'mass': 0.66667}, {'answer': 'no', 'mass': None}]
    """
    plain = {name: _plain(values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in plain.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"`columns` must have equal lengths, got {lengths}.")
    return alt.InlineData(values=[dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)])


def bars(
    answers: Sequence[str],
    laws: Mapping[str, Iterable[float]],
    *,
    description: str,
    y_title: str = "probability",
) -> alt.LayerChart:
    """Return a bar chart of laws on a few answers: the answer is the color, the law is how full its bars are.

    `laws` maps the name of each law to its values, in the order of `answers`.
    """
    answers, names = list(answers), list(laws)
    table = data(
        answer=answers * len(names),
        law=[name for name in names for _ in answers],
        value=[value for values in laws.values() for value in _plain(values)],
    )
    legend = alt.Legend() if len(names) > 1 else None
    fills = alt.Scale(type="ordinal", domain=names, range=fullness(len(names)))
    colors = alt.Scale(domain=answers, range=list(PALETTE[: len(answers)]))
    bars = alt.Chart(table).encode(
        x=alt.X("answer:N", sort=answers, title=None, axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("law:N", sort=names),
        y=alt.Y("value:Q", stack=None, title=y_title),
        color=alt.Color("answer:N", scale=colors, legend=None),
        tooltip=["answer:N", "law:N", alt.Tooltip("value:Q", title=y_title)],
    )
    filled = bars.mark_bar().encode(opacity=alt.Opacity("law:N", sort=names, scale=fills, legend=legend))
    outlines = bars.mark_bar(filled=False, strokeWidth=1.5)
    return alt.LayerChart(layer=[filled, outlines], description=description)


def fullness(laws: int) -> list[float]:
    """Return how full the bars of each of so many laws are, from nearly hollow to full.

    >>> [round(full, 2) for full in fullness(3)]
    [0.2, 0.6, 1.0]
    """
    steps = max(1, laws - 1)
    return [1 - (1 - HOLLOW) * place / steps for place in reversed(range(laws))]


def lines(
    x: Iterable[float],
    curves: Mapping[str, Iterable[float]],
    *,
    x_title: str,
    y_title: str,
    description: str,
    x_scale: alt.Scale | None = None,
    y_scale: alt.Scale | None = None,
) -> alt.Chart:
    """Return a chart of curves over one grid `x`; `curves` maps names to values."""
    grid, names = _plain(x), list(curves)
    table = data(
        x=grid * len(names),
        curve=[name for name in names for _ in grid],
        y=[value for values in curves.values() for value in _plain(values)],
    )
    return (
        alt.Chart(table, description=description)
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=x_title, scale=x_scale or alt.Scale()),
            y=alt.Y("y:Q", title=y_title, scale=y_scale or alt.Scale()),
            **series("curve", names),
        )
    )


def series(field: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the encodings that tell the series in column `field` apart: color, dashes, one legend.

    >>> list(series("method", ["tilt", "best-of-N"]))
    ['color', 'strokeDash']
    """
    names = list(names)
    legend = alt.Legend() if len(names) > 1 else None
    color = alt.Scale(domain=names, range=list(PALETTE[: len(names)]))
    dash = alt.Scale(domain=names, range=list(DASHES[: len(names)]))
    return {
        "color": alt.Color(f"{field}:N", scale=color, legend=legend),
        "strokeDash": alt.StrokeDash(f"{field}:N", scale=dash, legend=legend),
    }


def beside(*charts: alt.Chart | alt.LayerChart) -> alt.HConcatChart:
    """Return the charts side by side (stacked on a narrow page), described by all their words."""
    words = " ".join(str(chart.to_dict().get("description", "")) for chart in charts)
    return alt.hconcat(*charts).properties(description=words)


def _plain(values: Any) -> list[Any]:
    """Return what JSON can say: Python values, floats to five digits, None where a number is not finite."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    scalars = [value.item() if hasattr(value, "item") else value for value in listed]
    return [_short(value) if isinstance(value, float) else value for value in scalars]


def _short(number: float) -> float | None:
    return float(f"{number:.5g}") if math.isfinite(number) else None


def _figure(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    """Return a chart's output as a bundle of MIME types: its figure, and its words for a text console."""
    words = str(spec.get("description", "")).strip()
    if not words:
        raise ValueError("`description` must say in words what the chart shows, got none.")
    datasets = {name: _compact(rows) for name, rows in spec.get("datasets", {}).items()}
    source = json.dumps({**spec, "datasets": datasets}, separators=(",", ":")).replace("</", r"<\/")
    figure = (
        f'<figure class="alignbook-chart"><p>{html.escape(words)}</p>'
        f'<script type="application/json">{source}</script></figure>'
    )
    return {"text/html": figure, "text/plain": words}


def _compact(rows: list[dict[str, Any]]) -> dict[str, list[Any]] | list[dict[str, Any]]:
    """Return a dataset's columns, half as long as its rows; rows of different keys stay as they are."""
    uniform = rows and all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows)
    return {name: [row[name] for row in rows] for name in rows[0]} if uniform else rows


def _theme() -> alt.theme.ThemeConfig:
    words = {"labelColor": INK, "titleColor": INK}
    axis = {"domainColor": INK, "tickColor": INK, "gridColor": INK}
    quiet = {"domainOpacity": 0.5, "tickOpacity": 0.5, "gridOpacity": 0.15}
    fonts = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "labelLimit": 0, **words}
    config = {
        "aria": False,  # the figure says it all in one sentence; the parts would only add noise
        "background": "transparent",
        "font": "system-ui, sans-serif",
        "view": {"stroke": None, "continuousWidth": 600, "discreteWidth": 600, "continuousHeight": 260},
        "axis": {**axis, **quiet, **fonts, "titlePadding": 8},
        "axisXDiscrete": {"grid": False},
        "legend": {"orient": "top", "title": None, "symbolSize": 220, "symbolBaseFillColor": INK, **fonts},
        "title": {"color": INK, "fontSize": 14, "fontWeight": "normal", "anchor": "start"},
        "header": fonts,
        "range": {"category": list(PALETTE)},
        "line": {"strokeWidth": 2.5},
        "point": {"filled": True, "size": 70},
        "rule": {"color": INK, "opacity": 0.7},
        "text": {"color": INK, "fontSize": 12},
    }
    return alt.theme.ThemeConfig({"config": config})  # type: ignore[arg-type]  # Altair's own type names every key
