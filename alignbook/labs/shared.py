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


def colors(names: Sequence[str]) -> alt.Scale:
    """Return the scale that gives names the palette's colors in their order."""
    return alt.Scale(domain=list(names), range=list(figures.PALETTE[: len(names)]))


def bars(data: alt.NamedData, answers: Sequence[str], laws: Sequence[str]) -> Any:
    """Return laws on answers as bars, between 0 and 1."""
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'law'")
        .encode(
            x=of_answers(answers),
            y=alt.Y("probability:Q", title="probability", scale=alt.Scale(domain=[0, 1])),
        )
    )
    return alt.layer(*side_by_side(base, "law", laws, colors(answers))).properties(height=200)


def of_answers(answers: Sequence[str]) -> alt.X:
    """Return the axis of answers, a long name in several lines."""
    wrapped = alt.Axis(labelAngle=0, labelExpr="length(datum.label) > 8 ? split(datum.label, ' ') : datum.label")
    return alt.X("answer:N", sort=list(answers), title=None, scale=alt.Scale(domain=list(answers)), axis=wrapped)


def side_by_side(base: Any, field: str, laws: Sequence[str], colors: alt.Scale) -> list[Any]:
    """Return the layers of bars in their answers' colors, at each place one for every law that `field` names.

    The first law's are nearly hollow, the last one's full; a tick marks where the last one's stood before.
    """
    names = list(laws)
    fills = alt.Scale(type="ordinal", domain=names, range=figures.fullness(len(names)))
    base = base.encode(xOffset=alt.XOffset(f"{field}:N", sort=names, scale=alt.Scale(domain=names)))
    now = base.transform_filter(NOW).encode(color=alt.Color("answer:N", scale=colors, legend=None))
    before = base.transform_filter(LAST).transform_filter(f"datum.{field} === '{names[-1]}'")
    return [
        now.mark_bar().encode(opacity=alt.Opacity(f"{field}:N", sort=names, scale=fills, legend=alt.Legend())),
        now.mark_bar(filled=False, strokeWidth=1.5),
        before.mark_tick(color=figures.INK, thickness=2, opacity=0.6),
    ]


def said(data: alt.NamedData, corner: str = "top right", *, words: str = "datum.guess", **style: Any) -> Any:
    """Return the layer that says in a corner of the panel what the reader guessed, clear of the axes left and below."""
    edge, side = corner.split()
    place: Any = {"dx": 6 if side == "left" else 0, "dy": -4 if edge == "bottom" else 0, "baseline": edge, **style}
    guess: Any = alt.Chart(data).transform_filter(GUESS).transform_calculate(words=f"'you said: ' + {words}")
    return guess.mark_text(align=side, **place).encode(
        x=alt.value(0 if side == "left" else "width"), y=alt.value(0 if edge == "top" else "height"), text="words:N"
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


def statements(data: alt.NamedData, axes: dict[str, Any], behaviors: Sequence[str]) -> Any:
    """Return the rows of two behaviors' statements in a plane, each behavior in its color."""
    rows = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'statement'")
    color = alt.Color("behavior:N", scale=colors(behaviors), legend=None)
    return rows.transform_calculate(h="datum.x", v="datum.y").encode(**axes, color=color)


def boundary(rows: Any, axes: dict[str, Any]) -> Any:
    """Return the line through the origin of a plane across the direction in the columns x and y."""
    line = rows.transform_calculate(h="9 * datum.y", v="-9 * datum.x", h2="-9 * datum.y", v2="9 * datum.x")
    return line.encode(**axes, x2="h2:Q", y2="v2:Q")


def stroke(rows: Any, axes: dict[str, Any], length: float) -> Any:
    """Return the line from the origin of a plane so far along the direction in the columns x and y."""
    line = rows.transform_calculate(h="0", v="0", h2=f"{length} * datum.x", v2=f"{length} * datum.y")
    return line.encode(**axes, x2="h2:Q", y2="v2:Q")


def at_the_end(data: alt.NamedData) -> Any:
    """Return the rows of each run's last step."""
    last = alt.Chart(data).transform_joinaggregate(end="max(step)", groupby=["ghost"])
    return last.transform_filter("datum.step === datum.end")
