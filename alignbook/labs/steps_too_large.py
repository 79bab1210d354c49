"""The picture of "Steps too large": training jumps about on the loss over the margin, and the loss step by step."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.steps_too_large import CURVE, EXPERIMENT, STEPS
from alignbook.labs.lab import LAST, NOW, Lab

START = 0.693  # log 2
LOSSES: Any = alt.Y(
    "loss:Q",
    title="mean loss",
    scale=alt.Scale(domain=[0, 1.5], nice=False),
    axis=alt.Axis(values=[0, START, 1.5], format="~g"),
)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_valley(data), _course(data))


def _valley(data: alt.NamedData) -> Any:
    """Return the loss over the margin, with the places where training has been, joined in their order."""
    margins = alt.Scale(domain=[float(CURVE[0]), float(CURVE[-1])], nice=False)
    base: Any = alt.Chart(data).encode(x=alt.X("margin:Q", title="margin", scale=margins), y=LOSSES)
    curve, path = (base.transform_filter(f"datum.part === '{part}'") for part in ("curve", "path"))
    walked = path.transform_filter(NOW).encode(order=alt.Order("step:Q"))
    return alt.layer(
        curve.transform_filter(NOW).mark_line(color=figures.INK, clip=True),
        walked.mark_line(color=figures.PALETTE[1], strokeWidth=1, clip=True),
        walked.mark_point(color=figures.PALETTE[1], filled=True, size=30, clip=True),
    ).properties(height=200)


def _course(data: alt.NamedData) -> Any:
    """Return the loss by step, with the loss at the start as a line across."""
    base: Any = (
        alt.Chart(data)
        .transform_filter("datum.part === 'path'")
        .encode(
            x=alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, STEPS], nice=False)),
            y=LOSSES,
        )
    )
    first = base.transform_filter(NOW).transform_filter("datum.step === 0")
    return alt.layer(
        first.mark_rule(color=figures.INK, strokeDash=[6, 4]).encode(x=alt.value(0), x2=alt.value("width")),
        base.transform_filter(LAST).mark_line(color=figures.PALETTE[1], opacity=0.3, clip=True),
        base.transform_filter(NOW).mark_line(color=figures.PALETTE[1], clip=True),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Small steps", {"learning_rate": 4.0}),
        ("Just beyond the edge", {"learning_rate": 20.0}),
        ("Nobody disagrees", {"noise": 0.0}),
    ),
)
