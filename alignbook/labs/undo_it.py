"""The picture of "Undo it": loss and log-odds of both models on flipped labels, and where each clock stops."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.undo_it import ARMS, EXPERIMENT, LOSS, ODDS
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import colors, said

CLOCKS = {"loss": "1", "change": "2", "place": "3"}
TIME = alt.X(
    "step:Q",
    title="time on flipped labels",
    scale=alt.Scale(type="log", domain=[0.15, 30_000], nice=False),
    axis=alt.Axis(values=[1, 10, 100, 1000, 10_000], format="~s"),
)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    losses = alt.Scale(type="log", domain=[0.003, 30], nice=False), alt.Axis(values=[0.01, 0.1, 1, 10], format="~g")
    odds = alt.Scale(domain=[-60, 70], nice=False), alt.Axis()
    left = _panel(data, ("loss", "DPO loss", *losses), LOSS, ("loss",))
    right = _panel(data, ("odds", "log-odds, right answer", *odds), -ODDS, ("change", "place"))
    panels = [*left, said(data)], right
    drawn = (alt.layer(*panel).properties(height=200) for panel in panels)
    return alt.hconcat(*drawn).properties(usermeta={"phone": [85, 85]})


def _panel(data: alt.NamedData, of: tuple[str, str, alt.Scale, alt.Axis], level: float, clocks: tuple) -> list[Any]:
    """Return the layers of one panel: the level, bands over the seeds, paths, the stopped clocks."""
    field, title, scale, axis = of
    y, low, mark = (
        alt.Y(f"{name}:Q", title=title, scale=scale, axis=axis) for name in (field, f"{field} low", "level")
    )
    now = alt.Chart(data).transform_filter(NOW)
    paths = alt.Chart(data).transform_filter("datum.part === 'path'").encode(x=TIME, y=y, **figures.series("arm", ARMS))
    bands = [
        now.transform_filter(f"datum.part === 'path' && datum.arm === '{arm}'")
        .mark_area(color=color, opacity=0.15, clip=True)
        .encode(x=TIME, y=low, y2=f"{field} high:Q")
        for arm, color in zip(ARMS, figures.PALETTE, strict=False)
    ]
    marked = now.transform_aggregate(rows="count()").transform_calculate(level=str(level)).encode(y=mark)
    stops = now.transform_filter("datum.part === 'clock'").encode(x=TIME, y=y)
    return [
        marked.mark_rule(color=figures.INK, opacity=0.4, strokeDash=[2, 3]),
        marked.mark_text(text=f"{level:g}", align="right", baseline="bottom", fontSize=12, color=figures.INK).encode(
            x=alt.value("width")
        ),
        *bands,
        paths.transform_filter(NOW).mark_line(clip=True),
        paths.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        *(layer for name in clocks for layer in _stop(stops, name)),
    ]


def _stop(stops: Any, clock: str) -> list[Any]:
    """Return the points where a clock stops, and its number: that of clock 3 below, the others above.

    The base's numbers are on the right, the aligned model's on the left: they stay apart where both stop at once.
    """
    color = alt.Color("arm:N", legend=None, scale=colors(ARMS))
    there = stops.transform_filter(f"datum.clock === '{clock}'")
    style: Any = {"dy": 14 if clock == "place" else -12, "fontSize": 13, "fontWeight": "bold", "color": figures.INK}
    return [
        there.mark_point(filled=True, size=70, opacity=1, clip=True).encode(color=color),
        *(
            there.transform_filter(f"datum.arm === '{arm}'").mark_text(text=CLOCKS[clock], dx=dx, **style)
            for arm, dx in zip(ARMS, (7, -7), strict=True)
        ),
    ]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("The base as reference", {"reference": "base"}),
        ("Move, then freeze, length 10", {"features": "move, then freeze", "length": 10.0}),
        ("Move, then freeze, base as reference", {"features": "move, then freeze", "reference": "base"}),
    ),
)
