"""The picture of "Teach it No": the answers in the plane of their features, and the curves that a trainer logs."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.teach_it_no import ANSWERS, EXPERIMENT, TILT, place
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import at_the_end, colors, plane, said, unit_per_pixel

HEIGHTS = 300, 230
X_RANGE, Y_RANGE = (-1.4, 2.0), (-0.9, 1.65)  # what the plane shows at least; the pair is 1 apart
KEY = "arrow: No over Never, the pair", "area: probability, ✖: mean"
SMALL: dict[str, Any] = {"fontSize": 12, "opacity": 0.8}
CURVES = ("loss", "accuracy", "chosen", "rejected")


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    # the plane needs the room: its height on a phone, and that of the curves
    return alt.hconcat(_plane(data), _curves(data)).properties(usermeta={"phone": [175, 90]})


def _plane(data: alt.NamedData) -> Any:
    """Return the answers as discs whose area is their probability, the line through No, and the mean as a cross."""
    color = alt.Color("answer:N", legend=None, scale=colors(ANSWERS))
    # a disc's area: its radius is half the pair's distance
    certain = alt.expr(f"0.75 / pow({unit_per_pixel(X_RANGE, Y_RANGE)}, 2)")
    area = alt.Size("chance:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0, certain], nice=False))
    answers = at_the_end(data).transform_fold(list(ANSWERS), as_=["answer", "chance"])
    never_x, never_y = place(180.0, 1.0)
    discs = answers.transform_calculate(
        h=f"datum.answer === 'Yes' ? datum.x : datum.answer === 'Never' ? {never_x} : 0",
        v=f"datum.answer === 'Yes' ? datum.y : datum.answer === 'Never' ? {never_y} : 0",
        words="datum.answer + ' ' + format(datum.chance, datum.chance < 0.095 ? '.1%' : '.0%')",
    ).encode(**_axes())
    now, before = discs.transform_filter(NOW), discs.transform_filter(LAST)
    means = at_the_end(data).transform_calculate(h="datum['mean x']", v="datum['mean y']").encode(**_axes())
    cross = {"shape": "cross", "angle": 45, "size": 130, "filled": True, "color": figures.INK}
    return alt.layer(
        *_frame(),
        before.mark_circle(filled=False, color=figures.INK, strokeOpacity=0.35).encode(size=area),
        now.mark_circle(opacity=0.5).encode(size=area, color=color),
        now.mark_point(filled=True, size=16, opacity=1).encode(color=color),
        means.transform_filter(LAST).mark_point(**cross, opacity=0.25),
        means.transform_filter(NOW).mark_point(**cross, opacity=0.9),
        *(_words(now, name, below) for name, below in zip(ANSWERS, (20, 20, -13), strict=True)),
        said(data, "top left", opacity=0.8),
    ).properties(height=HEIGHTS[0])


def _frame() -> list[Any]:
    """Return what never moves, there before the bet: an arrow from Never to No, the line through No, the key."""
    start: Any = alt.Chart(alt.sequence(0, 1))
    (to_x, to_y), (from_x, from_y) = place(180.0, 0.09), place(180.0, 0.93)
    (up_x, up_y), (down_x, down_y) = place(90.0, 9.0), place(-90.0, 9.0)
    arrow = start.transform_calculate(h=f"{from_x}", v=f"{from_y}", h2=f"{to_x}", v2=f"{to_y}")
    line = start.transform_calculate(h=f"{down_x}", v=f"{down_y}", h2=f"{up_x}", v2=f"{up_y}")
    ends = {"x2": "h2:Q", "y2": "v2:Q"}
    head = arrow.transform_calculate(h="datum.h2", v="datum.v2").encode(**_axes())
    return [
        line.mark_rule(strokeDash=[6, 4], clip=True).encode(**_axes(), **ends),
        arrow.mark_rule(strokeWidth=1.5).encode(**_axes(), **ends),
        head.mark_point(shape="triangle", angle=90 - TILT, size=60, filled=True, color=figures.INK, opacity=0.7),
        start.mark_text(align="right", baseline="line-bottom", text=list(KEY), dy=-15 * (len(KEY) - 1), **SMALL).encode(
            x=alt.value("width"), y=alt.value("height")
        ),
    ]


def _axes() -> dict[str, Any]:
    """Return both axes: as many pixels to a unit along x as along y, so that a right angle looks like one."""
    return plane(X_RANGE, Y_RANGE)


def _words(discs: Any, answer: str, below: int) -> Any:
    """Return the layer that names an answer and its probability, so many pixels below its place."""
    named = discs.transform_filter(f"datum.answer === '{answer}'")
    return named.mark_text(dy=below, fontSize=13).encode(text="words:N")


def _curves(data: alt.NamedData) -> Any:
    """Return the four curves over a logarithmic axis of steps, on one axis that is stretched near 0."""
    steps = alt.Scale(type="symlog", constant=1, domain=[0, 1000], nice=False)
    values = alt.Scale(type="symlog", constant=0.3, domain=[-10, 1], nice=False)
    base = (
        alt.Chart(data)
        .transform_fold(list(CURVES), as_=["curve", "value"])
        .encode(
            x=alt.X("step:Q", title="step (log scale)", scale=steps, axis=alt.Axis(values=[0, 3, 10, 30, 100, 1000])),
            y=alt.Y("value:Q", title="trainer's log", scale=values, axis=alt.Axis(values=[-10, -3, -1, 0, 1])),
            **figures.series("curve", CURVES),
        )
    )
    now = base.transform_filter(NOW)
    return alt.layer(
        now.mark_line(clip=True), base.transform_filter(LAST).mark_line(clip=True, opacity=0.3)
    ).properties(height=HEIGHTS[1])


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Before training", {"steps": 0}),
        ("When No is highest", {"steps": 14}),
        ("Yes behind the line", {"angle": 120.0}),
    ),
)
