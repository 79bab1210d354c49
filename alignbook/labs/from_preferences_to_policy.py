"""The picture of "From preferences to policy": reference, tilt and DPO's law as bars, and the distance in training."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.from_preferences_to_policy import ANSWERS, EXPERIMENT, STEPS
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import bars, said


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    laws = bars(data, ANSWERS, ("reference", "tilt", "DPO"))
    laws.layer.append(said(data))
    return alt.hconcat(laws, _distance(data))


def _distance(data: alt.NamedData) -> Any:
    """Return the divergence from the tilt: the median over data sets as a line within the band of nine in ten."""
    steps = alt.Scale(type="symlog", constant=1, domain=[0, STEPS], nice=False)
    nats = alt.Scale(type="log", domain=[1e-4, 1], nice=False)
    base: Any = (
        alt.Chart(data)
        .transform_filter("datum.part === 'distance'")
        .transform_calculate(floor="max(datum.low, 1e-4)", roof="min(datum.high, 1)", value="max(datum.middle, 1e-4)")
        .encode(
            x=alt.X("step:Q", title="step (log scale)", scale=steps, axis=alt.Axis(values=[0, 3, 10, 30, 100, 300])),
            y=alt.Y(
                "value:Q",
                title="nats from the tilt",
                scale=nats,
                axis=alt.Axis(format="~g", values=[1e-4, 1e-3, 1e-2, 0.1, 1]),
            ),
        )
    )
    now, color = base.transform_filter(NOW), figures.PALETTE[0]
    band = now.mark_area(color=figures.INK, opacity=0.15).encode(y=alt.Y("floor:Q", scale=nats), y2="roof:Q")
    return alt.layer(
        now.mark_line(color=color), band, base.transform_filter(LAST).mark_line(color=color, opacity=0.3)
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("No noise", {"noise": 0.0}),
        ("Thirty pairs, no noise", {"noise": 0.0, "pairs": 30}),
        ("Canberra in no pair", {"noise": 0.0, "coverage": "never Canberra"}),
    ),
)
