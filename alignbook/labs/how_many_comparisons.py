"""The picture of "How many comparisons?": an interval that narrows, and the share of studies that can tell."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.how_many_comparisons import EXPERIMENT, FIRST, LAST
from alignbook.labs.lab import GUESS, NOW, Lab
from alignbook.labs.lab import LAST as BEFORE

LOWEST, HIGHEST = -1.0, 4.0
COURSES = ["200 studies", "theorem"]


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_interval(data), _shares(data))


def _interval(data: alt.NamedData) -> Any:
    """Return the fitted lead in its band; where nothing is fitted, what is left of the band runs off the chart."""
    lead = alt.Scale(domain=[LOWEST, HIGHEST])
    base = (
        alt.Chart(data)
        .transform_calculate(
            floor="isValid(datum.low) ? datum.low : -99",
            ceiling="isValid(datum.high) ? datum.high : 99",
        )
        .encode(x=_comparisons(), y=alt.Y("middle:Q", title="lead in reward", scale=lead))
    )
    now, before = base.transform_filter(NOW), base.transform_filter(BEFORE)
    color = figures.PALETTE[0]
    band = now.mark_area(color=color, opacity=0.25, clip=True)
    edge = now.transform_filter("!isValid(datum.middle)").mark_line(color=color, clip=True)
    return alt.layer(
        band.encode(y=alt.Y("floor:Q", title="lead in reward", scale=lead), y2="ceiling:Q"),
        edge.encode(y=alt.Y("floor:Q", title="lead in reward", scale=lead)),
        before.mark_line(color=color, opacity=0.3, clip=True),
        now.mark_line(color=color, clip=True),
        now.mark_line(color=figures.INK, strokeDash=[6, 4], strokeWidth=1, clip=True).encode(
            y=alt.Y("lead:Q", title="lead in reward", scale=lead)
        ),
        alt.Chart(data).transform_filter(NOW).mark_rule(color=figures.INK, strokeWidth=0.5).encode(y=alt.YDatum(0)),
    ).properties(height=200)


def _shares(data: alt.NamedData) -> Any:
    """Return the share of studies whose interval leaves 0 out, as simulated and as the theorem expects it."""
    base = (
        alt.Chart(data)
        .transform_fold(["share", "theory"], as_=["from", "told"])
        .transform_calculate(course=f"datum.from === 'share' ? '{COURSES[0]}' : '{COURSES[1]}'")
        .encode(
            x=_comparisons(),
            y=alt.Y("told:Q", title="studies that can tell", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            **figures.series("course", COURSES),
        )
    )
    guess = alt.Chart(data).transform_filter(GUESS)
    return alt.layer(
        base.transform_filter(NOW).mark_line(),
        base.transform_filter(BEFORE).mark_line(opacity=0.3),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]).encode(x=_comparisons("guess:Q")),
    ).properties(height=200)


def _comparisons(field: str = "comparisons:Q") -> alt.X:
    scale = alt.Scale(type="log", domain=[FIRST, LAST], nice=False)
    return alt.X(field, title="comparisons (log scale)", scale=scale, axis=alt.Axis(values=[10, 100, 1000, 10000]))


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Half the gap", {"chance": 0.525, "prior": "none"}),
        ("It never lost", {"chance": 1.0, "prior": "none"}),
        ("Never lost, with a prior", {"chance": 1.0, "prior": "deviation 2"}),
    ),
)
