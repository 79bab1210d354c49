"""The picture of "A string nobody compared": the ten most likely strings as bars, and the pair below them."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.a_string_nobody_compared import EXPERIMENT, TOP
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import at_the_end

PLACES = [*map(str, range(1, TOP + 1)), "chosen", "rejected"]
ROLES = ["chosen", "rejected", "uncompared"]


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    colors = alt.Scale(domain=ROLES, range=[figures.PALETTE[0], figures.PALETTE[1], figures.PALETTE[5]])
    scale = alt.Scale(domain=[0, 1.45], nice=False)  # with room for words beside a bar of probability 1
    base: Any = (
        at_the_end(data)
        .transform_calculate(words="datum.string + '  ' + format(datum.chance, '.2~g')")
        .encode(
            x=alt.X("chance:Q", title="probability", scale=scale, axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1])),
            y=alt.Y("place:N", title=None, sort=PLACES, scale=alt.Scale(domain=PLACES)),
        )
    )
    now = base.transform_filter(NOW)
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(words="'you said: ' + datum.guess")
    return alt.layer(
        now.mark_bar().encode(color=alt.Color("role:N", scale=colors, sort=ROLES)),
        base.transform_filter(LAST).mark_tick(color=figures.INK, thickness=2, opacity=0.6),
        now.mark_text(align="left", dx=5).encode(text="words:N"),
        guess.mark_text(align="right", baseline="middle", opacity=0.8).encode(
            x=alt.value("width"), y=alt.value(alt.expr("height / 2")), text="words:N"
        ),
    ).properties(height=260)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("A pair with less in common", {"shared": 1}),
        ("The same letters, reordered", {"shared": 6}),
        ("Ten steps", {"steps": 10}),
    ),
)
