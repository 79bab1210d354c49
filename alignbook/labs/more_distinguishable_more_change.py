"""The picture of "More distinguishable, more change?": three curves, and where the noise-free one is highest."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.more_distinguishable_more_change import DISTINGUISHABILITY, EXPERIMENT, SERIES
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import said


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    base = alt.Chart(data).encode(
        x=alt.X("distinguishability:Q", title="distinguishability", scale=alt.Scale(domain=[0, 8])),
        y=alt.Y("weight change:Q", title="weight change", scale=alt.Scale(domain=[0, 40])),
        **figures.series("series", SERIES),
    )
    highest = (
        alt.Chart(data)
        .transform_filter(NOW)
        .transform_filter("datum.series === 'noise-free'")
        .transform_joinaggregate(top="max(weight change)")
        .transform_filter(
            f"datum['weight change'] === datum.top && datum.distinguishability < {DISTINGUISHABILITY[-1]}"
        )
    )
    return alt.layer(
        base.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        base.transform_filter(NOW).mark_line(clip=True),
        highest.mark_point(shape="triangle-down", size=90, filled=True, color=figures.INK, yOffset=-9).encode(
            x=base.encoding.x, y=base.encoding.y
        ),
        said(data),
    ).properties(height=220)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Early: the slogan holds", {"steps": 20, "noise": 0.3, "optimizer": "gradient descent"}),
        ("Late: it is turned over", {"steps": 1000, "noise": 0.3, "optimizer": "gradient descent"}),
        ("Adam, early", {"steps": 10, "noise": 0.3, "optimizer": "Adam"}),
    ),
)
