"""The picture of "Which moments see the tail?": scaled cumulants, as they are and less the common line."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.which_moments_see_the_tail import EXPERIMENT, LETTERS
from alignbook.labs.lab import LAST, NOW, Lab, ghosted
from alignbook.labs.shared import said

CURVES = {"tilt": "tilt", "best": "best-of-N", "limit": "best-of-N, limit"}
COLORS = (figures.PALETTE[0], figures.PALETTE[1], figures.PALETTE[5])
ORDER = alt.X(
    "order:Q", title="order", scale=alt.Scale(domain=[-2, 2], nice=False), axis=alt.Axis(values=[-2, -1, 0, 1, 2])
)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    panels = (
        [*_panel(data, "", "scaled cumulant", (-2.6, 3.4)), said(data, "top left")],
        _panel(data, "_excess", "cumulant - order · x*", (-0.15, 0.8)),
    )
    drawn = (alt.layer(*panel).properties(height=200) for panel in panels)
    return alt.hconcat(*drawn).properties(usermeta={"phone": [90, 90]})


def _panel(data: alt.NamedData, suffix: str, title: str, domain: tuple[float, float]) -> list[Any]:
    """Return the layers of one panel: the order at which the limit bends, and the three curves."""
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=list(domain), nice=False))
    names = ", ".join(f"{field}{suffix}: '{name}'" for field, name in CURVES.items())
    fields: list[Any] = [f"{field}{suffix}" for field in CURVES]
    rows = alt.Chart(data).transform_filter("datum.part === 'curve'").transform_fold(fields, ["field", "value"])
    rows = rows.transform_calculate(curve=f"{{{names}}}[datum.field]")
    color = alt.Scale(domain=list(CURVES.values()), range=list(COLORS))
    dash = alt.Scale(domain=list(CURVES.values()), range=list(figures.DASHES[:3]))
    legend = alt.Legend(columns=2)
    curves = rows.encode(
        x=ORDER,
        y=y,
        color=alt.Color("curve:N", scale=color, legend=legend),
        strokeDash=alt.StrokeDash("curve:N", scale=dash, legend=legend),
        opacity=ghosted(),
    )
    return [*_bend(data), *(curves.transform_filter(ghost).mark_line(clip=True) for ghost in (LAST, NOW))]


def _bend(data: alt.NamedData) -> list[Any]:
    """Return the rule at the order 1/beta, with its name at the lower edge."""
    rows = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'bend'").encode(x=ORDER)
    name = rows.mark_text(text="1/β", align="left", baseline="bottom", dx=4, dy=-4, clip=True)
    return [
        rows.mark_rule(color=figures.INK, opacity=0.4, strokeDash=[2, 3], clip=True),
        name.encode(y=alt.value("height")),
    ]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Three hundred letters", {"length": 300}),
        ("Three times the rate", {"rate": 0.3, "length": 100}),
        ("No lattice", {"alphabet": LETTERS, "length": 100}),
    ),
)
