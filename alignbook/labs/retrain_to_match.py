"""The picture of "Retrain to match": gain and KL of both policies, as bands over the seeds, and where each must end."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.retrain_to_match import ARMS, EXPERIMENT, TEACHER
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import said

CLIMB, COPY = figures.PALETTE[:2]  # the tilt's color for the arm that climbs to it, best-of-N's for its imitator
NAMES = {ARMS[0]: "optimum", TEACHER: "best-of-N"}  # of the lines that the arms are after


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    gain, kl = _panel(data, "gain", "reward gain"), _panel(data, "kl", "KL")
    gain.layer.append(said(data, baseline="bottom", dy=-3))  # above the plot, which it would cross
    return alt.hconcat(gain, kl).properties(usermeta={"phone": [90, 90]})


def _panel(data: alt.NamedData, field: str, title: str) -> Any:
    """Return one quantity: bands and medians of both arms, where they end without noise, and what best-of-N has."""
    scale, axis = alt.Scale(domain=[0, 1.2], nice=False), alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    y, low = (alt.Y(f"{name}:Q", title=title, scale=scale, axis=axis) for name in (field, f"{field} low"))
    x = alt.X(
        "progress:Q",
        title=["part of the run", "(circles: the limit without noise)"],
        scale=alt.Scale(type="sqrt", domain=[0, 1]),
        axis=alt.Axis(format="%", values=[0, 0.1, 0.25, 0.5, 1]),
    )
    courses = alt.Chart(data).transform_filter("datum.part === 'course'").encode(x=x, y=y)
    bands = [
        courses.transform_filter(NOW)
        .transform_filter(f"datum.name === '{arm}'")
        .mark_area(color=color, opacity=0.2, clip=True)
        .encode(y=low, y2=f"{field} high:Q")
        for arm, color in zip(ARMS, (CLIMB, COPY), strict=True)
    ]
    lines = courses.encode(**figures.series("name", ARMS))
    ends = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'end'").encode(y=y)
    return alt.layer(
        *(layer for name in NAMES for layer in _goal(ends, field, name)),
        *bands,
        lines.transform_filter(NOW).mark_line(clip=True),
        lines.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        *(
            ends.transform_filter(f"datum.name === '{arm}'")
            .mark_point(color=color, filled=False, size=90, strokeWidth=2)
            .encode(x=x)
            for arm, color in zip(ARMS, (CLIMB, COPY), strict=True)
        ),
    ).properties(height=200)


def _goal(ends: Any, field: str, name: str) -> list[Any]:
    """Return the line at what the optimum or best-of-N has, and its name, clear of the other line and of the climb."""
    there = ends.transform_filter(f"datum.name === '{name}'")
    high, low = f"datum.{field} > 0.8", f"datum.{field} < 0.4"
    places = [(f"!({high}) && !({low})", "bottom", 0.0), (high, "top", 0.0), (low, "bottom", 0.4)]
    if name in ARMS:
        places = [("true", "bottom", 0.0)]
    texts = [
        there.transform_filter(where)
        .mark_text(text=NAMES[name], align="left", baseline=baseline, dx=4, dy=-3 if baseline == "bottom" else 4)
        .encode(x=alt.value({"expr": f"{share} * width"}))
        for where, baseline, share in places
    ]
    return [there.mark_rule(color=CLIMB if name in ARMS else COPY, strokeDash=[2, 3]), *texts]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Ten times as long", {"length": 300, "rate": 0.1}),
        ("Three times the rate", {"length": 30, "rate": 0.3}),
        ("Three letters, 1.09 draws", {"length": 3, "rate": 0.03}),
    ),
)
