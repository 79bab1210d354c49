"""The picture of "Rescue the weak one": what each remedy reaches over the data sets, as a dot with a range."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.rescue_the_weak_one import ASKED, EXPERIMENT, REMEDIES
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

SAID = dict(zip(EXPERIMENT.prediction.options, ASKED, strict=True)) if EXPERIMENT.prediction else {}


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    names = list(REMEDIES)
    y = alt.Y("remedy:N", sort=names, title=None, scale=alt.Scale(domain=names), axis=alt.Axis(labelLimit=150))
    ticks = alt.Axis(format="%", values=[0, 0.5, 1])
    title = ["weak statements right", "dot: mean, bar: 90% of sets", "dashed: no remedy"]
    x = alt.X("weak:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=ticks)
    base = alt.Chart(data).encode(x=x, y=y)
    now = base.transform_filter(NOW)
    apart = f"datum.remedy === '{names[-1]}'"  # no remedy, but what there is to reach
    weak = alt.when(apart).then(alt.value(figures.INK)).otherwise(alt.value(figures.PALETTE[1]))
    level = alt.Chart(data).transform_filter(NOW).transform_filter("datum.remedy === 'none'").encode(x=x)
    said = alt.Chart(data).transform_filter(GUESS).transform_calculate(remedy=f"({SAID!r})[datum.guess]", weak="0.02")
    return alt.layer(
        level.mark_rule(strokeDash=[5, 4], opacity=0.7),
        now.mark_rule(strokeWidth=5, opacity=0.35).encode(x=alt.X("low:Q", title=title), x2="high:Q", color=weak),
        base.transform_filter(LAST).mark_point(filled=False, size=60, color=figures.INK, opacity=0.45),
        now.mark_circle(size=80, opacity=1).encode(color=weak),
        said.mark_text(align="left", fontSize=12).encode(x=x, y=y, text=alt.value("you said")),
    ).properties(height=230)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("At an obtuse angle", {"angle": 110.0}),
        ("Far beyond the reversal", {"angle": 130.0}),
        ("Half the noise", {"noise": 0.15}),
    ),
)
