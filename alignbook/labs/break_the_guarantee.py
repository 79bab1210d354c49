"""The picture of "Break the guarantee": what was promised, and the wrong answers on new statements, over the noise."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.break_the_guarantee import EXPERIMENT, NOISES
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import said

CURVES = {"promised": "promised at most", "reward": "by reward", "policy": "by policy"}


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    noises = alt.Scale(type="log", domain=[float(NOISES[0]), float(NOISES[-1])], nice=False)
    shares = alt.Scale(type="pow", exponent=1 / 3, domain=[0, 1], nice=False)  # room for 0, for 1e-4 and for 1/2
    ticks = alt.Axis(values=[0, 0.001, 0.01, 0.1, 0.5, 1], labelExpr="format(datum.value, '~%')", labelOverlap=False)
    names = " ".join(f"datum.of === '{name}' ? '{words}' :" for name, words in CURVES.items())
    base = (
        alt.Chart(data)
        .transform_fold(list(CURVES), as_=["of", "share"])
        .transform_calculate(curve=f"{names} ''")
        .encode(
            x=alt.X("noise:Q", title="noise s (log scale)", scale=noises, axis=alt.Axis(values=[0.1, 0.2, 0.5, 1, 2])),
            y=alt.Y("share:Q", title="wrong answers (cube root scale)", scale=shares, axis=ticks),
            **figures.series("curve", list(CURVES.values())),
        )
    )
    return alt.layer(
        base.transform_filter(NOW).mark_line(),
        base.transform_filter(LAST).mark_line(opacity=0.3),
        said(data, "bottom right"),
    ).properties(height=240)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Nothing broken", {"common_mean": "none"}),
        ("Twenty statements", {"common_mean": "none", "statements": 20}),
        ("Heavy tails", {"common_mean": "none", "noise_law": "Laplace", "statements": 200}),
    ),
)
