"""Chart parts that several labs share; their data have the columns part, answer, law and probability."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from alignbook import figures
from alignbook.labs.lab import GUESS, LAST, NOW


def moving_point(base: Any) -> list[Any]:
    """Return the layers of a point: filled where it is, hollow where it stood before."""
    point = base.transform_filter("datum.part === 'point'").mark_point
    return [
        point(color=figures.PALETTE[1], filled=False, size=120).transform_filter(LAST),
        point(color=figures.PALETTE[1], filled=True, size=150).transform_filter(NOW),
    ]


def bars(data: alt.NamedData, answers: Sequence[str], laws: Sequence[str]) -> Any:
    """Return laws as bars, the first nearly hollow, the last full; a tick marks where the last stood before."""
    colors = alt.Scale(domain=list(answers), range=list(figures.PALETTE[: len(answers)]))
    fills = alt.Scale(type="ordinal", domain=list(laws), range=figures.fullness(len(laws)))
    wrapped = alt.Axis(labelAngle=0, labelExpr="length(datum.label) > 8 ? split(datum.label, ' ') : datum.label")
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'law'")
        .encode(
            x=alt.X("answer:N", sort=list(answers), title=None, scale=alt.Scale(domain=list(answers)), axis=wrapped),
            xOffset=alt.XOffset("law:N", sort=list(laws), scale=alt.Scale(domain=list(laws))),
            y=alt.Y("probability:Q", title="probability", scale=alt.Scale(domain=[0, 1])),
        )
    )
    now = base.transform_filter(NOW).encode(color=alt.Color("answer:N", scale=colors, legend=None))
    before = base.transform_filter(LAST).transform_filter(f"datum.law === '{laws[-1]}'")
    return alt.layer(
        now.mark_bar().encode(opacity=alt.Opacity("law:N", sort=list(laws), scale=fills, legend=alt.Legend())),
        now.mark_bar(filled=False, strokeWidth=1.5),
        before.mark_tick(color=figures.INK, thickness=2, opacity=0.6),
    ).properties(height=200)


def said(data: alt.NamedData, options: Sequence[str]) -> Any:
    """Return the layer that names the option the reader chose, in the option's color, in the upper right corner."""
    colors = alt.Scale(domain=list(options), range=list(figures.PALETTE[: len(options)]))
    return (
        alt.Chart(data)
        .transform_filter(GUESS)
        .transform_calculate(words="'you said ' + datum.guess")
        .mark_text(align="right", baseline="top", fontSize=13)
        .encode(
            x=alt.value("width"), y=alt.value(0), text="words:N", color=alt.Color("guess:N", scale=colors, legend=None)
        )
    )


def plane(x_range: tuple[float, float], y_range: tuple[float, float]) -> dict[str, Any]:
    """Return both axes of a plane, unseen, for the fields h and v: a unit is as long along x as along y.

    The ranges are what is shown at least; a wider or higher panel shows more around them.
    """
    unit = unit_per_pixel(x_range, y_range)
    scales = []
    for (low, high), length in ((x_range, "width"), (y_range, "height")):
        ends = [alt.expr(f"{(low + high) / 2:.3f} {sign} {length} / 2 * {unit}") for sign in "-+"]
        scales.append(alt.Scale(domain=ends, nice=False, zero=False))
    return {"x": alt.X("h:Q", axis=None, scale=scales[0]), "y": alt.Y("v:Q", axis=None, scale=scales[1])}


def unit_per_pixel(x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    """Return the expression of a plane's scale: whichever of width and height is short decides."""
    x, y = (high - low for low, high in (x_range, y_range))
    return f"max({x:.3f} / width, {y:.3f} / height)"


def at_the_end(data: alt.NamedData) -> Any:
    """Return the rows of each run's last step."""
    last = alt.Chart(data).transform_joinaggregate(end="max(step)", groupby=["ghost"])
    return last.transform_filter("datum.step === datum.end")
