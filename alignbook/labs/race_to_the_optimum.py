"""The picture of "Who reaches the optimum?": each method's distance to the tilt during the run, as bands over seeds."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.race_to_the_optimum import EXPERIMENT, FLOOR, METHODS, OPTIONS
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

SHORT = dict(zip(OPTIONS, ("nearer than RLOO", "near RLOO", "behind RLOO", "farther"), strict=True))


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    scale = alt.Scale(type="log", domain=[FLOOR, 3], nice=False)
    y = alt.Y(
        "middle:Q",
        title="nats from the tilt",
        scale=scale,
        axis=alt.Axis(values=[1e-8, 1e-6, 1e-4, 1e-2, 1], format="~g"),
    )
    base = alt.Chart(data).encode(
        x=alt.X(
            "progress:Q",
            title="part of the run",
            scale=alt.Scale(type="sqrt", domain=[0, 1]),
            axis=alt.Axis(format="%", values=[0, 0.05, 0.25, 0.5, 1]),
        ),
        y=y,
        **figures.series("method", METHODS),
    )
    colors = alt.Scale(domain=list(METHODS), range=list(figures.PALETTE[: len(METHODS)]))
    band = (
        alt.Chart(data)
        .transform_filter(NOW)
        .mark_area(opacity=0.15, clip=True)
        .encode(
            x=base.encoding.x,
            y=alt.Y("low:Q", title="nats from the tilt", scale=scale),
            y2="high:Q",
            fill=alt.Fill("method:N", scale=colors, legend=None),
        )
    )
    return alt.layer(
        band,
        base.transform_filter(NOW).mark_line(clip=True),
        base.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        _guessed(data),
    ).properties(height=220)


def _guessed(data: alt.NamedData) -> Any:
    """Return the words that name the reader's guess, at the end of the run."""
    return (
        alt.Chart(data)
        .transform_filter(GUESS)
        .transform_calculate(words=f"'you said GRPO: ' + ({SHORT!r})[datum.guess]")
        .mark_text(align="right", baseline="top", fontSize=13, color=figures.PALETTE[METHODS.index("GRPO")])
        .encode(x=alt.value("width"), y=alt.value(0), text="words:N")
    )


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Groups of two", {"group_size": 2, "learning_rate": 0.3}),
        ("Large groups", {"group_size": 32, "learning_rate": 0.3}),
        ("Long steps", {"group_size": 2, "learning_rate": 1.0}),
    ),
)
