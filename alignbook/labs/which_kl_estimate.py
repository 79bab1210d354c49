"""The picture of "Which KL estimate?": where nine estimates in ten lie, and each kind's error against the true KL."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.which_kl_estimate import ESTIMATORS, EXPERIMENT, KL
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

NAMES = list(ESTIMATORS)
COLORS = alt.Scale(domain=NAMES, range=list(figures.PALETTE[: len(NAMES)]))


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_estimates(data), _errors(data))


def _estimates(data: alt.NamedData) -> Any:
    """Return the middle nine tenths of the estimates as bars, their mean as a point, and the truth as a line."""
    title, scale = "estimate, nats", alt.Scale(type="symlog", constant=0.05, domain=[-5, 40])
    y = alt.Y(
        "low:Q", title=title, scale=scale, axis=alt.Axis(values=[-3, -0.3, 0, 0.3, 3, 30], labelExpr="'' + datum.value")
    )
    points = alt.Chart(data).transform_filter("datum.part === 'point'")
    base = points.encode(
        x=alt.X("estimator:N", title=None, scale=alt.Scale(domain=NAMES), axis=alt.Axis(labelAngle=0)),
        color=alt.Color("estimator:N", scale=COLORS, legend=None),
    )
    now, before = base.transform_filter(NOW), base.transform_filter(LAST)
    middle, mean = (alt.Y(f"{field}:Q", title=title, scale=scale) for field in ("middle", "mean"))
    return alt.layer(
        now.mark_bar(opacity=0.3, width=30).encode(y=y, y2="high:Q"),
        now.mark_tick(thickness=2, width=30).encode(y=middle),
        before.mark_point(filled=False, size=70, opacity=0.6).encode(y=mean),
        now.mark_point(filled=True, size=110).encode(y=mean),
        points.transform_filter(NOW)
        .mark_rule(color=figures.INK, strokeDash=[6, 4])
        .encode(y=alt.Y("kl:Q", title=title, scale=scale)),
    ).properties(height=220)


def _errors(data: alt.NamedData) -> Any:
    """Return the error of each kind of estimate by formula, and as the estimates show it at the present KL."""
    base = alt.Chart(data).encode(
        x=alt.X(
            "kl:Q",
            title="true KL, nats (log scale)",
            scale=alt.Scale(type="log", domain=[KL.low, KL.high], nice=False),
            axis=alt.Axis(values=[0.01, 0.1, 1, 4], format="~g"),
        ),
        y=alt.Y(
            "error:Q",
            title="error, nats (log scale)",
            scale=alt.Scale(type="log", domain=[3e-4, 100], nice=False),
            axis=alt.Axis(values=[0.001, 0.01, 0.1, 1, 10, 100], format="~g"),
        ),
    )
    curves = base.transform_filter("datum.part === 'curve'").encode(**figures.series("estimator", NAMES))
    points = base.transform_filter("datum.part === 'point'").encode(
        color=alt.Color("estimator:N", scale=COLORS, legend=None)
    )
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(kl=f"max({KL.low}, datum.guess)")
    return alt.layer(
        curves.transform_filter(NOW).mark_line(clip=True),
        curves.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        points.transform_filter(NOW).mark_point(filled=True, size=90, clip=True),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]).encode(x=base.encoding.x),
    ).properties(height=220)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("One token, 0.02 nat", {"kl": 0.02, "draws": 1}),
        ("A whole answer, 2 nats", {"kl": 2.0, "draws": 1}),
        ("2 nats, a hundred answers", {"kl": 2.0, "draws": 100}),
    ),
)
