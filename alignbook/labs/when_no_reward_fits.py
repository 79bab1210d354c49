"""The picture of "When does no reward fit?": the best rewards, and each match as people and as the fit call it."""

from typing import Any, Literal

import altair as alt

from alignbook import figures
from alignbook.experiments.running_example import ANSWERS as ALL_ANSWERS
from alignbook.experiments.when_no_reward_fits import ANSWERS, EXPERIMENT, NAMES, OPTIONS
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors, side_by_side

BY_ANSWER = colors(ALL_ANSWERS)
SOURCES = ["people", "best fit"]
WRAPPED = alt.Axis(labelAngle=0, labelExpr="split(replace(datum.label, ' over ', '|over|'), '|')")


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_matches(data), _rewards(data))


def _rewards(data: alt.NamedData) -> Any:
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'reward'")
        .encode(
            x=alt.X("answer:N", title=None, scale=alt.Scale(domain=list(ANSWERS)), axis=alt.Axis(labelAngle=0)),
            y=alt.Y("reward:Q", title="fitted reward", scale=alt.Scale(domain=[-3, 3])),
        )
    )
    return alt.layer(
        base.transform_filter(NOW).mark_bar().encode(color=alt.Color("answer:N", scale=BY_ANSWER, legend=None)),
        base.transform_filter(NOW).mark_tick(color=figures.INK, thickness=2),  # a reward of 0 has no bar
        base.transform_filter(LAST).mark_tick(color=figures.INK, thickness=2, opacity=0.4),
        _key(
            data,
            LAST,
            "datum.part === 'reward' && datum.answer === 'Sydney'",
            "'faint: before'",
            side="right",
            above=-14,
        ),
    ).properties(height=200)


def _key(
    data: alt.NamedData, ghost: str, row: str, words: str, *, side: Literal["left", "right"], above: int = 4
) -> Any:
    """Return the layer that says at the panel's upper edge what a mark stands for, while there are such rows."""
    chosen = alt.Chart(data).transform_filter(ghost).transform_filter(row)
    return (
        chosen.transform_calculate(words=words)
        .mark_text(align=side, baseline="bottom")
        .encode(x=alt.value(0 if side == "left" else "width"), y=alt.value(-above), text="words:N")
    )


def _matches(data: alt.NamedData) -> Any:
    chance = alt.Y("chance:Q", title="chance to win", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'match'")
        .encode(
            x=alt.X("match:N", sort=list(NAMES), title=None, scale=alt.Scale(domain=list(NAMES)), axis=WRAPPED),
            y=chance,
        )
    )
    chances = ", ".join(f"'{option}': {option}" for option in OPTIONS[:3])
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(chance=f"({{{chances}}})[datum.guess]")
    return alt.layer(
        *side_by_side(base, "source", SOURCES, BY_ANSWER),
        guess.transform_filter("isValid(datum.chance)")
        .mark_rule(color=figures.INK, strokeDash=[2, 3])
        .encode(y=chance),
        _key(
            data,
            GUESS,
            "isValid(datum.guess)",
            "(datum.guess > 0 ? '┄ ' : '') + 'you said: ' + datum.guess",
            side="left",
        ),
        _key(
            data,
            LAST,
            "datum.part === 'match' && datum.answer === 'Sydney' && datum.source === 'people'",
            "'▬ best fit before'",
            side="right",
        ),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Break the ring", {"closing": 0.1, "ring": 0.9, "asked": 1.0}),
        ("Ask one pair ten times as often", {"closing": 0.9, "ring": 0.9, "asked": 10.0}),
        ("A faint ring", {"closing": 0.6, "ring": 0.6, "asked": 1.0}),
    ),
)
