"""The picture of "The simplex": ball, line and types in the triangle of laws, and the shares of letters by length."""

import math
from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.running_example import LETTERS
from alignbook.experiments.the_simplex import EXPERIMENT, LENGTH
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors, plane, said

TILT, KEPT = figures.PALETTE[0], figures.PALETTE[3]
RISE = math.sqrt(3) / 2  # the triangle's height


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_triangle(data), _curves(data)).properties(usermeta={"phone": [176, 86]})


def _triangle(data: alt.NamedData) -> Any:
    """Return the triangle: a law's share of good letters is its height, the other two decide left and right."""
    axes = plane((-0.1, 1.1), (-0.13, RISE + 0.1))

    def rows(part: str, ghost: str = NOW) -> Any:
        of_part = alt.Chart(data).transform_filter(ghost).transform_filter(f"datum.part === '{part}'")
        placed = of_part.transform_calculate(
            h="(datum.fair + datum.good / 2) / 100", v=f"{RISE:.5f} * datum.good / 100"
        )
        return placed.transform_window(place="row_number()").encode(**axes, order="place:Q")

    ink: Any = {"color": figures.INK, "strokeWidth": 1.2}
    types = rows("type").transform_joinaggregate(top="max(value)").transform_calculate(weight="datum.value / datum.top")
    size = alt.Size("weight:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[3, 80]))
    return alt.layer(
        rows("corner").mark_line(**ink, interpolate="linear-closed"),
        rows("above").mark_line(color=KEPT, strokeWidth=1, fill=KEPT, fillOpacity=0.12),
        rows("path").mark_line(color=TILT, strokeDash=[2, 3], strokeWidth=2),
        rows("inner").mark_line(**ink, opacity=0.75, interpolate="cardinal", tension=0.2),
        rows("ball").mark_line(**ink, opacity=0.75),
        rows("ball", LAST).mark_line(**ink, opacity=0.25),
        types.mark_circle(color=KEPT, opacity=0.7).encode(size=size),
        rows("touch", LAST).mark_point(filled=False, color=TILT, opacity=0.5, size=90),
        rows("touch").mark_point(filled=False, color=TILT, opacity=1, size=90, strokeWidth=2.5),
        rows("reference").mark_point(filled=False, color=figures.INK, opacity=1, size=60, strokeWidth=2),
        rows("q").mark_point(shape="diamond", filled=True, color=figures.INK, opacity=1, size=70),
        *(_name(rows(part), words, **style) for part, words, style in NAMES),
        *(_corner(rows("corner"), k) for k in range(3)),
    ).properties(height=300)


NAMES: Any = (("reference", "p", {"dx": -7, "align": "right"}), ("q", "q", {"dx": -9, "align": "right"}))


def _name(row: Any, words: str, **style: Any) -> Any:
    return row.mark_text(fontSize=13, fontStyle="italic", text=words, **style)


def _corner(rows: Any, k: int) -> Any:
    """Return a corner's name: the first above it, the others below."""
    row = rows.transform_filter(f"datum.place === {k + 1}")
    return row.mark_text(fontSize=12, text=LETTERS[k], dy=-10 if k == 0 else 12)


def _curves(data: alt.NamedData) -> Any:
    """Return the shares of letters beyond the line by length, and dashed those of the touching point.

    The scale leaves room above 100% for the words.
    """
    poor = {"poor": "100 - datum.good - datum.fair"}
    shares = alt.Chart(data).transform_calculate(**poor).transform_fold(list(LETTERS), as_=["letter", "share"])
    percent = alt.Axis(values=[0, 25, 50, 75, 100], labelExpr="datum.value + '%'")
    y = alt.Y("share:Q", title="share of letters", scale=alt.Scale(domain=[0, 115]), axis=percent)
    color = alt.Color("letter:N", scale=colors(LETTERS), sort=list(LETTERS), legend=alt.Legend(columns=3))
    lengths = alt.Scale(type="log", domain=[4, 250], nice=False)
    x = alt.X("value:Q", title="length (log scale)", scale=lengths, axis=alt.Axis(values=list(LENGTH.grid)))
    kept = shares.transform_filter("datum.part === 'kept'").encode(x=x, y=y, color=color)
    touch = shares.transform_filter(NOW).transform_filter("datum.part === 'touch'").encode(y=y, color=color)
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(share="datum.guess").encode(y=y)
    return alt.layer(
        touch.mark_rule(strokeDash=[6, 4], strokeWidth=1.5, opacity=1),
        kept.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        kept.transform_filter(NOW).mark_line(clip=True, point=alt.OverlayMarkDef(size=45)),
        alt.Chart(data)
        .transform_filter(NOW)
        .transform_filter("datum.part === 'touch'")
        .mark_text(text="dashed: touching point", baseline="top", align="right", dx=-2, opacity=0.8)
        .encode(x=alt.value("width"), y=alt.value(0)),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]),
        said(data, "top left", words="format(datum.guess, '.3~g') + '%'"),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Short answers", {"length": 10}),
        ("A wide ball", {"rate": 0.8}),
        ("Good is rare", {"example": "good is rare"}),
    ),
)
