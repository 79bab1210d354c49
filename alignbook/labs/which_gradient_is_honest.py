"""The picture of "Which gradient is honest?": estimates as dots in the answers' triangle, and slopes as bars."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.running_example import ANSWERS as ALL_ANSWERS
from alignbook.experiments.which_gradient_is_honest import ANSWERS, CORNERS, EXPERIMENT
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

COLORS = [figures.PALETTE[ALL_ANSWERS.index(answer)] for answer in ANSWERS]  # as everywhere in Part I
BY_ANSWER = alt.Scale(domain=list(ANSWERS), range=COLORS)
SOURCES = ["exact", "average group"]
RIM = 1.1
WRAPPED = alt.Axis(labelAngle=0, labelExpr="length(datum.label) > 8 ? split(datum.label, ' ') : datum.label")


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_triangle(data), _slopes(data))


def _triangle(data: alt.NamedData) -> Any:
    """Return the plane of logit changes: towards an answer's corner its logit rises."""
    wide = alt.Scale(domain=[-1.5, 1.5], nice=False)
    x, y = alt.X("x:Q", axis=None, scale=wide), alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-1.0, 1.3], nice=False))
    base = alt.Chart(data).encode(x=x, y=y)
    dots = base.transform_filter("datum.part === 'dot'").transform_filter(NOW)
    arrows = base.transform_filter("datum.part === 'arrow'")
    exact, average = (f"datum.source === '{source}'" for source in SOURCES)
    head = arrows.transform_filter(NOW)
    return alt.layer(
        *_frame(x, y),
        dots.mark_point(color=figures.PALETTE[5], filled=True, opacity=0.5).encode(
            size=alt.Size("count:Q", scale=alt.Scale(domain=[1, 100], range=[15, 300]), legend=None)
        ),
        head.transform_filter(exact)
        .mark_rule(color=figures.INK, strokeWidth=3, opacity=1)
        .encode(x2=alt.X2Datum(0), y2=alt.Y2Datum(0)),
        head.transform_filter(exact).mark_point(shape="triangle-up", size=130, filled=True, color=figures.INK),
        arrows.transform_filter(LAST)
        .transform_filter(average)
        .mark_point(size=120, filled=False, color=figures.PALETTE[1]),
        head.transform_filter(average)
        .mark_rule(color=figures.PALETTE[1], strokeWidth=3, opacity=1, strokeDash=[6, 3])
        .encode(x2=alt.X2Datum(0), y2=alt.Y2Datum(0)),
        head.transform_filter(average).mark_point(size=120, filled=True, color=figures.PALETTE[1]),
        head.transform_filter("datum.source === 'mean of 200'").mark_point(shape="cross", size=160, color=figures.INK),
    ).properties(height=220)


def _frame(x: Any, y: Any) -> list[Any]:
    """Return the triangle with the answers' names at its corners."""
    corners = [(RIM * a, RIM * b) for a, b in CORNERS]
    around = figures.data(
        x=[a for a, _ in (*corners, corners[0])], y=[b for _, b in (*corners, corners[0])], order=[0, 1, 2, 3]
    )
    names = figures.data(x=[a for a, _ in corners], y=[1.2, -0.75, -0.75], answer=list(ANSWERS))
    return [
        alt.Chart(around).mark_line(color=figures.INK, strokeWidth=1, opacity=0.4).encode(x=x, y=y, order="order:O"),
        alt.Chart(names)
        .mark_text(fontSize=13)
        .encode(x=x, y=y, text="answer:N", color=alt.Color("answer:N", scale=BY_ANSWER, legend=None)),
    ]


def _slopes(data: alt.NamedData) -> Any:
    """Return the slope of each logit, exact (hollow) and as the method has it on average."""
    fills = alt.Scale(domain=SOURCES, range=[figures.HOLLOW, 1.0])
    legend = alt.Legend(symbolStrokeColor=figures.INK, symbolFillColor=figures.INK)
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'slope'")
        .encode(
            x=alt.X("answer:N", sort=list(ANSWERS), title=None, scale=alt.Scale(domain=list(ANSWERS)), axis=WRAPPED),
            xOffset=alt.XOffset("source:N", sort=SOURCES, scale=alt.Scale(domain=SOURCES)),
            y=alt.Y("slope:Q", title="slope of the logit", scale=alt.Scale(domain=[-0.5, 0.5])),
        )
    )
    before = base.transform_filter(LAST).transform_filter(f"datum.source === '{SOURCES[1]}'")
    return alt.layer(
        base.transform_filter(NOW)
        .mark_bar(strokeWidth=1.5)
        .encode(
            fill=alt.Fill("answer:N", scale=BY_ANSWER, legend=None),
            stroke=alt.Stroke("answer:N", scale=BY_ANSWER, legend=None),
            fillOpacity=alt.FillOpacity("source:N", sort=SOURCES, scale=fills, legend=legend),
        ),
        before.mark_tick(color=figures.INK, thickness=2, opacity=0.6),
        _guessed(data),
    ).properties(height=220)


def _guessed(data: alt.NamedData) -> Any:
    """Return the words that name the reader's guess."""
    return (
        alt.Chart(data)
        .transform_filter(GUESS)
        .transform_calculate(words="'you said ' + datum.guess")
        .mark_text(align="right", baseline="top", fontSize=13, color=COLORS[2])
        .encode(x=alt.value("width"), y=alt.value(0), text="words:N")
    )


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("RLOO, groups of two", {"method": "RLOO", "group_size": 2}),
        ("GRPO, groups of eight", {"method": "GRPO", "group_size": 8}),
        ("REINFORCE, groups of two", {"method": "REINFORCE", "group_size": 2}),
    ),
)
