"""The picture of "Same mean, another law": best-of-N above, the tilt below, in right steps and in shares of them."""

import json
import math
from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.long_answers import GROWING
from alignbook.experiments.running_example import STEP_LOG_P
from alignbook.experiments.same_mean_another_law import EXPERIMENT, LAWS, RATIOS, WINDOW
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors, said

TILT, BEST = LAWS
UP = f"datum.law === '{BEST}' ? 1 : -1"
HEIGHT = alt.Y("h:Q", axis=None, stack=None, scale=alt.Scale(domain=[-1.7, 1.7], nice=False))
TOTAL = alt.X(
    "total:Q",
    title="right steps, less the tilt's mean",
    scale=alt.Scale(domain=[-WINDOW, WINDOW], nice=False),
    axis=alt.Axis(values=[-100, -50, 0, 50, 100], grid=False, labelExpr="(datum.value > 0 ? '+' : '') + datum.label"),
)
SHARE = alt.X(
    "share:Q",
    title=["share of right steps", "(peaks drawn equally high)"],
    scale=alt.Scale(domain=[0, 1], nice=False),
    axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], grid=False, format="%"),
)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    left = alt.layer(*_histograms(data, TOTAL), *_names(data), *_guessed(data)).properties(height=230)
    right = alt.layer(*_reference(data), *_histograms(data, SHARE)).properties(height=230)
    return alt.hconcat(left, right).properties(usermeta={"phone": [100, 75]})


def _histograms(data: alt.NamedData, x: alt.X) -> list[Any]:
    """Return both laws' bars, in parts of the highest, outlines of those before, and triangles at the means."""
    base = alt.Chart(data).transform_calculate(up=UP).encode(x=x, y=HEIGHT)
    bars = base.transform_filter("datum.part === 'bar'").transform_calculate(h="datum.height * datum.up")
    bars = bars.encode(color=alt.Color("law:N", scale=colors(LAWS), legend=None))
    means = (
        base.transform_filter(NOW).transform_filter("datum.part === 'mean'").transform_calculate(h="1.18 * datum.up")
    )
    shapes = alt.Scale(domain=LAWS, range=["triangle-up", "triangle-down"])
    return [
        bars.transform_filter(NOW).mark_area(interpolate="step-after", clip=True, line={"strokeWidth": 1}),
        bars.transform_filter(LAST).mark_line(interpolate="step-after", clip=True, opacity=0.5, strokeWidth=1.5),
        means.mark_point(filled=True, size=60, color=figures.INK, opacity=1).encode(
            shape=alt.Shape("law:N", scale=shapes, legend=None)
        ),
        alt.Chart(data).mark_rule(opacity=0.5, strokeWidth=1).encode(y=alt.YDatum(0, axis=None)),
    ]


def _names(data: alt.NamedData) -> list[Any]:
    """Return the laws' names and widths in the left corners of their halves, and what is outside the picture."""
    widths = alt.Chart(data).transform_filter(NOW).transform_pivot("part", value="height", groupby=["law"])
    share = "datum.outside > 0.005 ? ', ' + format(datum.outside, '.0%') + ' outside' : ''"
    words = widths.transform_calculate(words=f"datum.law + ' ± ' + format(datum.spread, '.3~r') + ({share})")
    style: Any = {"align": "left", "fontSize": 13, "fontWeight": 600}
    above, below = (words.transform_filter(f"datum.law === '{law}'") for law in (BEST, TILT))
    corner = {"x": alt.value(2), "text": "words:N"}
    return [
        above.mark_text(baseline="top", **style).encode(y=alt.value(0), **corner),
        below.mark_text(baseline="bottom", **style).encode(y=alt.value("height"), **corner),
    ]


def _reference(data: alt.NamedData) -> list[Any]:
    """Return the line at the reference's share of right steps, and its name."""
    one = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'mean'")
    one = one.transform_filter(f"datum.law === '{TILT}'").transform_calculate(share=f"{math.exp(STEP_LOG_P[0]):.6f}")
    return [
        one.mark_rule(strokeDash=[2, 3], opacity=0.6).encode(x=SHARE),
        one.mark_text(align="right", baseline="top", dx=-4, text="reference").encode(x=SHARE, y=alt.value(0)),
    ]


def _guessed(data: alt.NamedData) -> list[Any]:
    """Return a bell as wide as the tilt would be if the reader were right, and the guess in words."""
    width = "datum.part === 'asked' && datum.ghost === '' ? datum.height : 0"
    bell = (
        alt.Chart(data)
        .transform_calculate(width=width)
        .transform_joinaggregate(width="max(width)")
        .transform_filter(f"{GUESS} && datum.width > 0")
        .transform_calculate(
            spread=f"datum.width * {json.dumps(RATIOS)}[datum.guess]", total=f"sequence({-WINDOW}, {WINDOW + 1}, 0.5)"
        )
        .transform_flatten(["total"])
        .transform_calculate(h="-exp(-pow(datum.total / datum.spread, 2) / 2)")
        .transform_filter("datum.h < -0.005")
    )
    line = bell.mark_line(color=figures.INK, strokeWidth=1.5, strokeDash=[4, 3], clip=True).encode(x=TOTAL, y=HEIGHT)
    return [line, said(data)]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("A million steps", {"draws": GROWING, "length": 1_000_000}),
        ("Ten steps", {"draws": GROWING, "length": 10}),
        ("64 draws, a million steps", {"draws": "64", "length": 1_000_000}),
    ),
)
