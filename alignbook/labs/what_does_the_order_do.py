"""The picture of "What does the order do?": a law and what the order weighs, three measures against the order."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_does_the_order_do import EXPERIMENT, KINDS, MEASURES
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import bars, said

SERIES = figures.series("measure", MEASURES)
COLORS = alt.Scale(domain=list(MEASURES), range=list(figures.PALETTE[3:6]))  # the answers have the first three


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    base = alt.Chart(data).encode(
        x=alt.X(
            "order:Q", title="order", scale=alt.Scale(domain=[0, 4], nice=False), axis=alt.Axis(values=[0, 1, 2, 3, 4])
        ),
        y=alt.Y("nats:Q", title="nats", scale=alt.Scale(domain=[0, 20], nice=False)),
    )
    curves = base.transform_filter("datum.part === 'curve'").encode(
        color=alt.Color("measure:N", scale=COLORS, legend=alt.Legend()), strokeDash=SERIES["strokeDash"]
    )
    right = alt.layer(
        curves.transform_filter(NOW).mark_line(clip=True),
        curves.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        *_point(base),
        said(data, words="datum.guess + ' answers'"),
    ).properties(height=200)
    return alt.hconcat(bars(data, KINDS, ("p", "weighed")), right).properties(usermeta={"phone": [85, 85]})


def _point(base: Any) -> list[Any]:
    """Return the layers of the point on the chosen curve: filled where it is, hollow where it stood before."""
    point = base.transform_filter("datum.part === 'point'").encode(
        color=alt.Color("measure:N", scale=COLORS, legend=None)
    )
    return [
        point.transform_filter(LAST).mark_point(filled=False, size=120, clip=True),
        point.transform_filter(NOW).mark_point(filled=True, size=150, opacity=1, clip=True),
    ]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Order 0: all count alike", {"order": 0.0, "measure": "entropy"}),
        ("Order 2: two draws agree", {"order": 2.0, "measure": "entropy"}),
        ("Divergence from a narrower law", {"order": 2.0, "measure": "divergence", "other": "narrow"}),
    ),
)
