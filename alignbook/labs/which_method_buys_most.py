"""The picture of "Which method buys most per nat?": gains, which lie on each other, and losses, which do not."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.which_method_buys_most import ASKED, BEST, END, EXPERIMENT, METHODS
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors

KL = alt.X("kl:Q", title="KL divergence, nats", scale=alt.Scale(domain=[0, END], nice=False))
GAIN = alt.Y(
    "gain:Q", title=["gain, of", f"best at {END:.1f} nats"], scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
)
LOST = alt.Y(
    "lost:Q",
    title=["share of best gain", "lost (root scale)"],
    scale=alt.Scale(type="sqrt", domain=[0, 1], nice=False),
    axis=alt.Axis(format="%", values=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]),
)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    panels = _curves(data, GAIN), [*_curves(data, LOST), _guessed(data)]
    drawn = (alt.layer(*panel).properties(height=200) for panel in panels)
    return alt.hconcat(*drawn).properties(usermeta={"phone": [75, 105]})


def _curves(data: alt.NamedData, y: alt.Y) -> list[Any]:
    """Return the layers of one panel: every method's curve, and where it is at the reader's N."""
    base = alt.Chart(data).encode(x=KL, y=y)
    curves, now = base.encode(**figures.series("method", METHODS)), base.transform_filter(NOW)
    color = alt.Color("method:N", legend=None, scale=colors(METHODS))
    return [
        curves.transform_filter(NOW).mark_line(clip=True),
        curves.transform_filter(LAST).mark_line(opacity=0.25, clip=True),
        now.transform_filter("datum.here === 1").mark_point(filled=True, size=70, opacity=1).encode(color=color),
    ]


def _guessed(data: alt.NamedData) -> Any:
    """Return the layer that stands at best-of-4's KL, as high as the reader's guess."""
    asked = f"datum.ghost === '' && datum.method === '{BEST}' && abs(datum.n - {ASKED}) < 1e-9"
    return (
        alt.Chart(data)
        .transform_calculate(there=f"{asked} ? datum.kl : 0")
        .transform_joinaggregate(kl="max(there)")
        .transform_filter(GUESS)
        .transform_calculate(lost="datum.guess / 100")
        .mark_point(shape="diamond", size=140, filled=False, strokeWidth=2.5, color=figures.INK)
        .encode(x=KL, y=LOST)
    )


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("By win rate", {"measure": "win rate", "reward": "bell"}),
        ("A jackpot", {"measure": "mean reward", "reward": "jackpot"}),
        ("Right or wrong", {"measure": "mean reward", "reward": "right or wrong"}),
    ),
)
