"""The picture of "Retrain it": the law and the objective during the run, as bands over 256 seeds."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.retrain_it import ANSWERS, EXPERIMENT
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import colors, said

OBJECTIVES = ["objective", "optimum"]
REWARDS = [0.2, 1.0]  # every optimum, and every run that is not far beyond the edge; the others leave the picture below


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    law = _bands(data, list(ANSWERS), "probability", [0.0, 1.0])
    law.layer.append(said(data).encode(color=alt.Color("guess:N", scale=colors(ANSWERS), legend=None)))
    return alt.hconcat(law, _bands(data, OBJECTIVES, "objective J", REWARDS))


def _bands(data: alt.NamedData, names: list[str], title: str, domain: list[float]) -> Any:
    """Return the median of each quantity as a line within its band; a faint line is the run before."""
    base = (
        alt.Chart(data)
        .transform_filter(alt.FieldOneOfPredicate(field="quantity", oneOf=names))
        .encode(
            x=alt.X(
                "progress:Q",
                title="part of the run",
                scale=alt.Scale(type="sqrt", domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.1, 0.25, 0.5, 1]),
            ),
            y=alt.Y("middle:Q", title=title, scale=alt.Scale(domain=domain)),
            **figures.series("quantity", names),
        )
    )
    band = alt.Chart(data).transform_filter(alt.FieldOneOfPredicate(field="quantity", oneOf=names))
    return alt.layer(
        band.transform_filter(NOW)
        .mark_area(color=figures.INK, opacity=0.15, clip=True)
        .encode(x=base.encoding.x, y=alt.Y("low:Q", title=title), y2="high:Q", detail="quantity:N"),
        base.transform_filter(NOW).mark_line(clip=True),
        base.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("A careful step", {"learning_rate": 1.0, "beta": 0.5}),
        ("Just below the edge", {"learning_rate": 9.5, "beta": 0.5}),
        ("Just beyond the edge", {"learning_rate": 10.5, "beta": 0.5}),
    ),
)
