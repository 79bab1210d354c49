"""The picture of "A real model's states": how far each layer has moved, and how many statements it gets right."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.a_real_models_states import AS_THEY_ARE, EXPERIMENT, LEARNED_BY_HEART, LETTERS
from alignbook.labs.lab import LAST, NOW, Lab, ghosted
from alignbook.labs.shared import at_the_end, said
from alignbook.persona import CONTROL

ROWS = [f"{name} {letter}" for name, letter in LETTERS.items()]
KINDS = {"train": "trained", "held out": "held out", "policy": "policy"}  # the policy's on held-out statements too


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_moved(data), _accuracies(data)).properties(usermeta={"phone": [85, 100]})


def _latest(data: alt.NamedData) -> Any:
    """Return the rows of the last moment, each named by its behavior and its letter."""
    return at_the_end(data).transform_calculate(
        row="datum.name + ' ' + datum.letter", noisy=f"datum.name === '{CONTROL}'"
    )


def _moved(data: alt.NamedData) -> Any:
    """Return each set's weight change over the mean of all, at its distinguishability.

    The bar is what permuted labels show, the line the first step's change; each dot holds its letter, so that none is
    covered.
    """
    x, low = (
        alt.X(
            f"{column}:Q",
            title="distinguishability",
            scale=alt.Scale(domain=[1.2, 4.2], nice=False, zero=False),
            axis=alt.Axis(values=[1.5, 2, 2.5, 3, 3.5, 4], format="~g"),
        )
        for column in ("delta", "low")
    )
    scale, axis = alt.Scale(domain=[0.4, 1.6], nice=False, zero=False), alt.Axis(values=[0.6, 0.8, 1, 1.2, 1.4])
    y = alt.Y("moved:Q", title="relative change", scale=scale, axis=axis)
    base = _latest(data).encode(x=x, y=y)
    now = base.transform_filter(NOW)
    first = alt.Chart(data).transform_filter(NOW).transform_filter("datum.step === 0").encode(x=x, y=y)
    color = alt.condition("datum.noisy", alt.value(figures.PALETTE[1]), alt.value(figures.PALETTE[0]))
    ink = alt.condition("datum.noisy", alt.value("black"), alt.value("white"))  # on vermilion, on blue
    return alt.layer(
        first.mark_line(color=figures.INK, strokeWidth=1, strokeDash=[4, 3]),
        now.mark_rule(strokeWidth=4, opacity=0.3).encode(x=low, x2="high:Q", color=color),
        base.transform_filter(LAST).mark_point(color=figures.INK, filled=False, opacity=0.5),
        now.mark_point(size=220, filled=True, opacity=1).encode(color=color),
        now.mark_text(dy=0.5, fontSize=11, fontWeight="bold").encode(text="letter:N", color=ink),
        said(data, "top left"),
    ).properties(height=230)


def _accuracies(data: alt.NamedData) -> Any:
    """Return the accuracies of each set: the reward's in training and held out, the policy's held out."""
    names, scale = list(KINDS.values()), alt.Scale(domain=[0.3, 1])
    legend = alt.Legend(orient="bottom", title=None, columnPadding=7, labelFontSize=11, symbolSize=50, padding=0)
    base = (
        _latest(data)
        .transform_filter(f"{NOW} || {LAST}")
        .transform_fold(list(KINDS), as_=["column", "accuracy"])
        .transform_calculate(kind=f"({KINDS})[datum.column]")
        .encode(
            x=alt.X(
                "accuracy:Q",
                title="accuracy",
                scale=scale,
                axis=alt.Axis(format="%", values=[0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], labelOverlap=True),
            ),
            y=alt.Y("row:N", title=None, sort=ROWS, scale=alt.Scale(domain=ROWS)),
            shape=alt.Shape(
                "kind:N", legend=legend, scale=alt.Scale(domain=names, range=["square", "circle", "triangle-up"])
            ),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=names, range=list(figures.PALETTE[3:4] + figures.PALETTE[:2]))
            ),
        )
    )
    half = alt.Chart(data).transform_filter(NOW).encode(x=alt.XDatum(0.5, scale=scale))
    return alt.layer(
        half.mark_rule(strokeDash=[4, 3], color=figures.INK, strokeWidth=1),
        base.mark_point(size=80).encode(opacity=ghosted()),
    ).properties(height=230)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("The first step", {"steps": 1, "states": AS_THEY_ARE}),
        ("Learned by heart", LEARNED_BY_HEART),
    ),
)
