"""The picture of "Which gradient is honest?": estimates as dots in the answers' triangle, and slopes as bars."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.which_gradient_is_honest import ANSWERS, CORNERS, EXPERIMENT
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import colors, of_answers, said, side_by_side

SOURCES = ["exact", "average group"]
RIM = 0.8  # how far from the center the corners stand: nearly all estimates are nearer
PLACES = {answer: [RIM * x, RIM * y] for answer, (x, y) in zip(ANSWERS, CORNERS, strict=True)}


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_triangle(data), _slopes(data))


def _triangle(data: alt.NamedData) -> Any:
    """Return the plane of logit changes: towards an answer's corner its logit rises."""
    base = alt.Chart(data).encode(
        x=alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-1.15, 1.15], nice=False)),
        y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.6, 1.0], nice=False)),
    )
    now, before = base.transform_filter(NOW), base.transform_filter(LAST)
    exact, average, mean = (f"datum.source === '{source}'" for source in (*SOURCES, "mean of 200"))
    arrows = now.transform_filter("datum.part === 'arrow'")
    return alt.layer(
        *_frame(now),
        now.transform_filter("datum.part === 'dot'")
        .mark_point(color=figures.PALETTE[5], filled=True, opacity=0.5, clip=True)
        .encode(size=alt.Size("count:Q", scale=alt.Scale(domain=[1, 100], range=[15, 300]), legend=None)),
        before.transform_filter(f"datum.part === 'arrow' && {average}").mark_point(size=90, color=figures.PALETTE[4]),
        *_arrow(arrows.transform_filter(exact), figures.INK, [1, 0]),
        *_arrow(arrows.transform_filter(average), figures.PALETTE[4], [5, 3]),
        arrows.transform_filter(mean).mark_point(shape="cross", size=110, strokeWidth=1.5, color=figures.INK),
    ).properties(height=220)


def _frame(now: Any) -> list[Any]:
    """Return the triangle with the answers' names at its corners."""
    corners = now.transform_filter(f"datum.part === 'slope' && datum.source === '{SOURCES[0]}'").transform_calculate(
        x=f"({PLACES!r})[datum.answer][0]", y=f"({PLACES!r})[datum.answer][1]"
    )
    names = corners.transform_calculate(y="datum.y + (datum.y > 0 ? 0.12 : -0.12)")
    return [
        corners.mark_line(interpolate="linear-closed", color=figures.INK, strokeWidth=1, opacity=0.4).encode(
            order=alt.Order("answer:N")
        ),
        names.mark_text(fontSize=13).encode(
            text="answer:N", color=alt.Color("answer:N", scale=colors(ANSWERS), legend=None)
        ),
    ]


def _arrow(tip: Any, color: str, dash: list[int]) -> list[Any]:
    """Return the layers of an arrow from the center to a row's place."""
    turned = tip.transform_calculate(angle="atan2(datum.x, datum.y) * 180 / PI")
    return [
        tip.mark_rule(color=color, strokeWidth=2.5, strokeDash=dash, opacity=1).encode(
            x2=alt.X2Datum(0), y2=alt.Y2Datum(0)
        ),
        turned.mark_point(shape="triangle-up", size=110, filled=True, color=color, opacity=1).encode(
            angle=alt.Angle("angle:Q", scale=None)
        ),
    ]


def _slopes(data: alt.NamedData) -> Any:
    """Return the slope of each logit, exact (hollow) and as the method has it on average."""
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'slope'")
        .encode(
            x=of_answers(ANSWERS),
            y=alt.Y("slope:Q", title="slope of the logit", scale=alt.Scale(domain=[-0.5, 0.5])),
        )
    )
    sources = side_by_side(base, "source", SOURCES, colors(ANSWERS))
    return alt.layer(*sources, said(data, color=figures.PALETTE[2])).properties(height=220)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("RLOO, groups of two", {"method": "RLOO", "group_size": 2}),
        ("GRPO, groups of eight", {"method": "GRPO", "group_size": 8}),
        ("REINFORCE, groups of two", {"method": "REINFORCE", "group_size": 2}),
    ),
)
