"""The picture of "Who reaches the optimum?": each method's distance to the tilt during the run, as bands over seeds."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.race_to_the_optimum import EXPERIMENT, FLOOR, METHODS, OPTIONS
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import said

SHORT = dict(zip(OPTIONS, ("nearer than RLOO", "near RLOO", "behind RLOO", "farther"), strict=True))


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    scale = alt.Scale(type="log", domain=[FLOOR, 3], nice=False)
    labels = "datum.value < 0.001 ? format(datum.value, '.0e') : format(datum.value, '~g')"
    base = alt.Chart(data).encode(
        x=alt.X(
            "progress:Q",
            title="part of the run",
            scale=alt.Scale(type="sqrt", domain=[0, 1]),
            axis=alt.Axis(format="%", values=[0, 0.05, 0.25, 0.5, 1]),
        ),
        y=alt.Y(
            "middle:Q",
            title="nats from the tilt",
            scale=scale,
            axis=alt.Axis(values=[1e-6, 1e-4, 1e-2, 1], labelExpr=labels),
        ),
    )
    lines = base.encode(**figures.series("method", METHODS))
    bands = [
        base.transform_filter(NOW)
        .transform_filter(f"datum.method === '{method}'")
        .mark_area(color=color, opacity=0.15, clip=True)
        .encode(y=alt.Y("low:Q", title="nats from the tilt", scale=scale), y2="high:Q")
        for method, color in zip(METHODS, figures.PALETTE, strict=False)
    ]
    return alt.layer(
        lines.transform_filter(NOW).mark_line(clip=True),
        lines.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        *bands,
        said(
            data,
            "bottom left",
            words=f"'GRPO ' + ({SHORT!r})[datum.guess]",
            color=figures.PALETTE[METHODS.index("GRPO")],
        ),
    ).properties(height=220)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Groups of two", {"group_size": 2, "learning_rate": 0.3}),
        ("Large groups", {"group_size": 32, "learning_rate": 0.3}),
        ("Long steps", {"group_size": 2, "learning_rate": 1.0}),
    ),
)
