"""The picture of "Is near-optimal near?": the optimum beside the farthest policy, and the mass it moved."""

import altair as alt

from alignbook import figures
from alignbook.experiments.is_near_optimal_near import ANSWERS, BETA, EXPERIMENT
from alignbook.labs.lab import GUESS, NOW, Lab
from alignbook.labs.shared import bars, moving_point


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    moved = alt.Y("moved:Q", title="mass elsewhere", scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(data).encode(
        x=alt.X("beta:Q", title="beta (log scale)", scale=alt.Scale(type="log", domain=[BETA.low, BETA.high])), y=moved
    )
    bound = base.transform_filter("datum.part === 'bound'").transform_filter(NOW)
    guess = alt.Chart(data).transform_filter(GUESS)
    right = alt.layer(
        bound.mark_line(color=figures.INK, strokeDash=[6, 4]),
        *moving_point(base),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]).encode(y=alt.Y("guess:Q", title="mass elsewhere")),
    ).properties(height=200)
    return alt.hconcat(bars(data, ANSWERS, ("optimum", "farthest")), right)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("A high price, beta 1", {"beta": 1.0}),
        ("A low price, beta 0.1", {"beta": 0.1}),
        ("Nearly free, beta 0.001", {"beta": 0.001}),
    ),
)
