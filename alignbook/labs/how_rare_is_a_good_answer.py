"""The picture of "How rare is a good answer?": chances a letter over the threshold, and each estimate's error."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.how_rare_is_a_good_answer import EXPERIMENT, LETTERS, STEPS
from alignbook.labs.lab import GUESS, LAST, NOW, Lab, ghosted

CURVES = {"bound": "rate alone", "exact": "exact"}
ESTIMATES = {"rate_alone": "rate alone", "smooth": "Bahadur-Rao", "lattice": "with lattice (steps)"}
COLORS = {
    "exact": figures.PALETTE[5],
    "rate alone": figures.PALETTE[3],
    "Bahadur-Rao": figures.PALETTE[4],
    "with lattice (steps)": figures.PALETTE[2],
}
DASHES = dict(zip(COLORS, figures.DASHES, strict=False))
ENDS = "datum.value ? 'largest' : 'mean'"
ASKED_LENGTH, ASKED_SHARE = 100, 0.5


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    left = [*_lines(data, "curve", CURVES, _curve_axes()), *_threshold(data)]
    right = [_level(data), *_lines(data, "error", ESTIMATES, _error_axes()), *_points(data), _guess(data)]
    drawn = (alt.layer(*panel).properties(height=200) for panel in (left, right))
    return alt.hconcat(*drawn).properties(usermeta={"phone": [82, 82]})


def _curve_axes() -> dict[str, Any]:
    way = alt.Scale(domain=[0, 1], nice=False)
    chance = alt.Scale(domain=[-1.7, 0], nice=False)
    return {
        "x": alt.X(
            "way:Q", title="threshold", scale=way, axis=alt.Axis(values=[0, 1], labelExpr=ENDS, labelFlush=True)
        ),
        "y": alt.Y("value:Q", title="log-chance / length", scale=chance),
    }


def _error_axes() -> dict[str, Any]:
    lengths = alt.Scale(type="log", domain=[10, 300], nice=False)
    ratio = alt.Scale(type="log", domain=[0.3, 60], nice=False)
    return {
        "x": alt.X("length:Q", title="length", scale=lengths, axis=alt.Axis(values=[10, 30, 100, 300])),
        "y": alt.Y(
            "value:Q", title="estimate / exact", scale=ratio, axis=alt.Axis(values=[0.5, 1, 3, 10, 30], format="~g")
        ),
    }


def _folded(data: alt.NamedData, part: str, fields: dict[str, str], axes: dict[str, Any]) -> Any:
    """Return one row for each named field, its value in `value` and its name in `curve`."""
    names = ", ".join(f"{field}: '{name}'" for field, name in fields.items())
    rows = alt.Chart(data).transform_filter(f"datum.part === '{part}'").transform_fold(list(fields), ["field", "value"])
    rows = rows.transform_filter("isValid(datum.value)").transform_calculate(curve=f"{{{names}}}[datum.field]")
    return rows.encode(**axes)


def _lines(data: alt.NamedData, part: str, fields: dict[str, str], axes: dict[str, Any]) -> list[Any]:
    """Return the curves now and, faint, at the setting before."""
    legend, names = alt.Legend(columns=2), list(fields.values())
    dash = alt.Scale(domain=names, range=[DASHES[name] for name in names])
    rows = _folded(data, part, fields, axes).encode(
        color=alt.Color("curve:N", scale=_colors(fields), legend=legend),
        strokeDash=alt.StrokeDash("curve:N", scale=dash, legend=legend),
        opacity=ghosted(),
    )
    return [rows.transform_filter(ghost).mark_line(clip=True) for ghost in (LAST, NOW)]


def _colors(fields: dict[str, str]) -> alt.Scale:
    return alt.Scale(domain=list(fields.values()), range=[COLORS[name] for name in fields.values()])


def _points(data: alt.NamedData) -> list[Any]:
    """Return the estimates at the length that is set, on its rule."""
    rows = _folded(data, "now", ESTIMATES, _error_axes()).transform_filter(NOW)
    points = rows.mark_point(filled=True, size=60, opacity=1, clip=True)
    return [
        _rule(data, _error_axes()["x"]),
        points.encode(color=alt.Color("curve:N", scale=_colors(ESTIMATES), legend=None)),
    ]


def _rule(data: alt.NamedData, x: alt.X) -> Any:
    """Return the rule where the slider stands."""
    rows = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'now'")
    return rows.mark_rule(color=figures.INK, opacity=0.4, strokeDash=[2, 3]).encode(x=x)


def _threshold(data: alt.NamedData) -> list[Any]:
    """Return the rule at the threshold, with its value in the slider's unit."""
    rule = _rule(data, _curve_axes()["x"])
    text = alt.expr("datum.way > 0.8 ? 'right' : 'left'")
    words = rule.mark_text(align=text, baseline="top", dx=alt.expr("datum.way > 0.8 ? -4 : 4"))
    return [rule, words.encode(y=alt.value(0), text=alt.Text("x:Q", format=".2f"))]


def _level(data: alt.NamedData) -> Any:
    """Return the line on which an estimate is right."""
    rows = alt.Chart(data).transform_filter(NOW).transform_aggregate(rows="count()").transform_calculate(value="1")
    return rows.mark_rule(color=figures.INK, opacity=0.6).encode(y=_error_axes()["y"])


def _guess(data: alt.NamedData) -> Any:
    """Return the reader's guess at the length it was asked for, while the threshold is the one it was asked for."""
    asked = f"datum.part === 'now' && {NOW} && abs(datum.x - {ASKED_SHARE}) < 1e-9 ? 1 : 0"
    rows = alt.Chart(data).transform_calculate(asked=asked).transform_joinaggregate(asked="max(asked)")
    rows = rows.transform_filter(f"{GUESS} && datum.asked").transform_calculate(
        length=f"{ASKED_LENGTH}", value="datum.guess"
    )
    mark = rows.mark_point(shape="diamond", size=140, filled=False, strokeWidth=2.5, color=figures.INK, clip=True)
    return mark.encode(**_error_axes())


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Four in five right", {"alphabet": STEPS, "share": 0.8}),
        ("All right", {"alphabet": STEPS, "share": 1.0}),
        ("No lattice", {"alphabet": LETTERS, "mean": -1.0}),
    ),
)
