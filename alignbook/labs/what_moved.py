"""The picture of "What moved?": the embeddings of a base model and of the trained one, and the road between them."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_moved import EXPERIMENT, STAGES
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors

LABELS = ("Yes", "No")


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    panels = alt.layer(*_clouds(data)).properties(height=200), alt.layer(*_road(data)).properties(height=200)
    apart = alt.hconcat(*panels).resolve_scale(color="independent", shape="independent")
    return apart.properties(usermeta={"phone": [90, 85]})


def _clouds(data: alt.NamedData) -> list[Any]:
    """Return the statements in the plane of both separations: the base's hollow, those of now full."""
    shapes = alt.Scale(domain=list(LABELS), range=["circle", "square"])
    base = alt.Chart(data).encode(
        x=alt.X("x:Q", title="along the aligned separation", scale=alt.Scale(domain=[-12, 12], nice=False)),
        y=alt.Y("y:Q", title="across it", scale=alt.Scale(domain=[-8, 8], nice=False)),
        color=alt.Color("label:N", legend=None, scale=colors(LABELS)),
        shape=alt.Shape("label:N", legend=None, scale=shapes),
    )
    clouds = {part: base.transform_filter(f"datum.part === '{part}'") for part in ("base", "now")}
    middles = (
        alt.Chart(data)
        .transform_filter(NOW)
        .transform_filter("datum.part === 'now'")
        .transform_aggregate(x="mean(x)", y="mean(y)", groupby=["label"])
        .encode(x="x:Q", y="y:Q")
    )
    return [
        clouds["now"].transform_filter(LAST).mark_point(filled=True, size=16, opacity=0.2, clip=True),
        clouds["base"].transform_filter(NOW).mark_point(filled=False, size=30, opacity=0.6, clip=True),
        clouds["now"].transform_filter(NOW).mark_point(filled=True, size=30, opacity=0.8, clip=True),
        middles.mark_line(color=figures.INK, opacity=0.8, clip=True),
        middles.mark_text(dy=-16, fontSize=13, color=figures.INK, clip=True).encode(text="label:N"),
        _corner(data, "hollow: base, full: now"),
    ]


def _road(data: alt.NamedData) -> list[Any]:
    """Return the separation against the log-odds, out and back, and where the model is now."""
    base = (
        alt.Chart(data)
        .transform_filter("datum.part === 'road'")
        .encode(
            x=alt.X("odds:Q", title="log-odds of the right answer", scale=alt.Scale(domain=[-110, 60], nice=False)),
            y=alt.Y("separation:Q", title="separation", scale=alt.Scale(domain=[0, 26], nice=False)),
        )
    )
    stages = alt.Scale(domain=list(STAGES), range=list(figures.PALETTE[2:4]))
    dashes = alt.Scale(domain=list(STAGES), range=[[1, 0], [6, 4]])
    lines = base.encode(
        order="step:Q",
        color=alt.Color("stage:N", legend=None, scale=stages),
        strokeDash=alt.StrokeDash("stage:N", legend=None, scale=dashes),
    )
    last = base.transform_filter(NOW).transform_window(rank="rank()", sort=[alt.SortField("step", order="descending")])
    guess = alt.Chart(data).transform_filter(GUESS).encode(y=alt.Y("guess:Q", title="separation"))
    return [
        lines.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        lines.transform_filter(NOW).mark_line(clip=True, strokeWidth=2.5),
        last.transform_filter("datum.rank === 1").mark_point(
            filled=True, size=90, color=figures.INK, opacity=1, clip=True
        ),
        _corner(data, "solid: aligning, dashed: undoing"),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]),
        guess.mark_text(
            align="left", baseline="bottom", dx=4, dy=-2, fontSize=12, text="your guess", color=figures.INK
        ).encode(x=alt.value(0)),
    ]


def _corner(data: alt.NamedData, words: str) -> Any:
    """Return the key to a panel, in its upper left corner."""
    once = alt.Chart(data).transform_filter(NOW).transform_aggregate(rows="count()")
    place = {"x": alt.value(6), "y": alt.value(6)}
    return once.mark_text(align="left", baseline="top", text=words, fontSize=12, color=figures.INK).encode(**place)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Just aligned", {"flips": 0.1}),
        ("Half way back", {"flips": 100.0}),
        ("The base as reference", {"reference": "base"}),
    ),
)
