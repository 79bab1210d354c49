"""The picture of "What does a nat buy?": both laws as bars, and the point on the frontier."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_does_a_nat_buy import ANSWERS, BUDGETS, EXPERIMENT
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import bars, moving_point


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    base = alt.Chart(data).encode(
        x=alt.X("kl:Q", title="KL divergence, nats", scale=alt.Scale(domain=[0, float(BUDGETS[-1])])),
        y=alt.Y(
            "share:Q", title="share of the possible gain", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
        ),
    )
    frontier = base.transform_filter("datum.part === 'frontier'")
    everything = base.transform_filter(NOW).transform_filter("datum.part === 'all'")  # beyond it no nat buys more
    label = everything.mark_text(align="left", baseline="bottom", dx=4, dy=-4, text="κ max", clip=True)
    right = alt.layer(
        everything.mark_rule(strokeDash=[2, 3], clip=True).encode(y=alt.value(0), y2=alt.value("height")),
        label.encode(y=alt.value("height")),
        frontier.transform_filter(LAST).mark_line(color=figures.INK, opacity=0.3, strokeDash=[4, 4]),
        frontier.transform_filter(NOW).mark_line(color=figures.INK),
        frontier.transform_filter(NOW)
        .transform_filter("datum.kl === 2")
        .mark_text(align="left", baseline="top", dx=4, dy=8)
        .encode(text=alt.value("frontier")),
        *moving_point(base),
        _guessed(base),
    ).properties(height=200)
    return alt.hconcat(bars(data, ANSWERS, ("reference", "tilt")), right)


def _guessed(base: Any) -> Any:
    """Return the layer that stands where the frontier would be at 0.4 nat if the reader's guess were right.

    It is a diamond, or a triangle that points up at the upper edge where the guess lies beyond all that can be gained.
    """
    at_first = "datum.part === 'frontier' && datum.ghost === '' && abs(datum.kl - 0.1) < 1e-9 ? datum.share : 0"
    shapes = alt.Scale(domain=["there", "beyond"], range=["diamond", "triangle-up"])
    return (
        base.transform_calculate(here=at_first)
        .transform_joinaggregate(first="max(here)")
        .transform_filter(GUESS)
        .transform_calculate(
            kl="0.4",
            share="min(1, datum.guess * datum.first)",
            stands="datum.guess * datum.first > 1 ? 'beyond' : 'there'",
        )
        .mark_point(size=140, filled=False, strokeWidth=2.5, color=figures.INK)
        .encode(shape=alt.Shape("stands:N", scale=shapes, legend=None))
    )


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Four times the nats", {"dial": "budget", "kl_budget": 0.4}),
        ("Beta 0.1, our assistant", {"dial": "beta", "beta": 0.1, "reference": "our assistant"}),
        ("Beta 0.1, the newcomer", {"dial": "beta", "beta": 0.1, "reference": "the newcomer"}),
    ),
)
