"""The picture of "Which behavior wins": the statements and the boundary in the plane, and both accuracies."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.dynamics import gaussian_reward_accuracy
from alignbook.experiments.running_example import BEHAVIORS, DISTINGUISHABILITY
from alignbook.experiments.which_behavior_wins import ANGLE, EXPERIMENT, GOAL, NOISE
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import at_the_end, boundary, colors, plane, statements, stroke

HEIGHTS = 270, 230
X_RANGE, Y_RANGE = (-2.7, 2.7), (-1.7, 1.7)
COLORS = dict(zip(BEHAVIORS, figures.PALETTE, strict=False))
WORDS = [f"{ANGLE:g}° apart, noise {NOISE}", "filled: say Yes, hollow: say No"]
ALONE = dict(zip(BEHAVIORS, gaussian_reward_accuracy(DISTINGUISHABILITY, NOISE).tolist(), strict=True))


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_plane(data), _curves(data)).properties(usermeta={"phone": [140, 90]})


def _plane(data: alt.NamedData) -> Any:
    """Return the statements, filled where Yes is right, the boundary, and an arrow to the side that is answered Yes."""
    axes = plane(X_RANGE, Y_RANGE)
    points, end = statements(data, axes, BEHAVIORS), at_the_end(data)
    line = boundary(end, axes)
    head = end.transform_calculate(h="1.1 * datum.x", v="1.1 * datum.y", turn="90 - atan2(datum.y, datum.x) * 180 / PI")
    words = end.transform_filter(NOW).transform_calculate(h="1.55 * datum.x", v="1.55 * datum.y")
    turned = alt.Angle("turn:Q", scale=alt.Scale(domain=[0, 360], range=[0, 360], nice=False))
    return alt.layer(
        points.transform_filter("datum.half === 'No'").mark_circle(filled=False, size=40, strokeWidth=1.5),
        points.transform_filter("datum.half === 'Yes'").mark_circle(size=40, opacity=0.85),
        line.transform_filter(LAST).mark_rule(opacity=0.25, clip=True),
        line.transform_filter(NOW).mark_rule(strokeDash=[6, 4], clip=True),
        stroke(end, axes, 1.1).transform_filter(NOW).mark_rule(strokeWidth=2.5),
        head.transform_filter(NOW)
        .mark_point(shape="triangle", size=110, filled=True, color=figures.INK, opacity=1)
        .encode(**axes, angle=turned),
        words.mark_text(fontSize=12, fontWeight="bold").encode(**axes, text=alt.value("Yes")),
        *_key(data),
    ).properties(height=HEIGHTS[0], title=alt.TitleParams(WORDS, anchor="start", fontSize=12, fontWeight="normal"))


def _key(data: alt.NamedData) -> list[Any]:
    """Return the behaviors' names in a corner."""
    row = at_the_end(data).transform_filter(NOW)
    return [
        row.mark_text(align="left", baseline="top", dy=16 * place, fontSize=12, fontWeight="bold", color=color).encode(
            x=alt.value(0), y=alt.value(0), text=alt.value(name)
        )
        for place, (name, color) in enumerate(COLORS.items())
    ]


def _curves(data: alt.NamedData) -> Any:
    """Return both accuracies over steps, what each behavior reaches alone, the goal and the reader's guess."""
    title = "right, fresh statements"
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=[0, 1.1], nice=False), axis=axis)
    steps = alt.Scale(type="sqrt", domain=[0, 1000], nice=False)
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'moment'")
        .transform_fold(list(BEHAVIORS), as_=["name", "value"])
        .encode(
            x=alt.X("step:Q", title="step", scale=steps, axis=alt.Axis(values=[10, 100, 300, 600, 1000])),
            y=y,
            color=alt.Color("name:N", scale=colors(BEHAVIORS), legend=None),
        )
    )
    level = alt.Chart(data).transform_filter(NOW).transform_filter("datum.step === 0")
    alone = [
        level.transform_calculate(value=f"{value}").mark_rule(strokeDash=[5, 4], color=COLORS[name]).encode(y=y)
        for name, value in ALONE.items()
    ]
    goal = level.transform_calculate(value=f"{GOAL}").encode(y=y)
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(value="datum.guess / 100").encode(y=y)
    words = {"align": "right", "dx": -4, "fontSize": 12}
    return alt.layer(
        base.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        base.transform_filter(NOW).mark_line(strokeWidth=2.5, clip=True, point=True),
        *alone,
        goal.mark_rule(strokeWidth=1, opacity=0.6),
        goal.mark_text(dy=11, **words, opacity=0.8).encode(x=alt.value("width"), text=alt.value("goal 90%")),
        level.mark_text(baseline="bottom", dy=-3, **words, opacity=0.8).encode(
            x=alt.value("width"), y=alt.value("height"), text=alt.value("dashed: learned alone")
        ),
        guess.mark_rule(strokeDash=[2, 3], color=COLORS["weak"]),
        guess.mark_text(dy=-8, dx=30, align="left", fontSize=12, color=COLORS["weak"]).encode(
            x=alt.value(0), text=alt.value("you said")
        ),
    ).properties(height=HEIGHTS[1])


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("A faster clock", {"beta": 0.1}),
        ("Too much of a good thing", {"weight": 8.0}),
        ("Nearly: Adam", {"optimizer": "Adam"}),
    ),
)
