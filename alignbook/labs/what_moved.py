"""The picture of "What moved?": the embeddings of a base model and of the trained one, and the road between them."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_moved import EXPERIMENT, STAGES
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

LABELS = ("Yes", "No")


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    panels = alt.layer(*_clouds(data)).properties(height=200), alt.layer(*_road(data)).properties(height=200)
    return alt.hconcat(*panels).resolve_scale(color="independent", shape="independent")


def _clouds(data: alt.NamedData) -> list[Any]:
    """Return the statements in the plane of both separations: the base's hollow, those of now full."""
    base = alt.Chart(data).encode(
        x=alt.X("x:Q", title="along the aligned separation", scale=alt.Scale(domain=[-12, 12], nice=False)),
        y=alt.Y("y:Q", title="across it", scale=alt.Scale(domain=[-8, 8], nice=False)),
        color=alt.Color(
            "label:N",
            title="right answer",
            scale=alt.Scale(domain=list(LABELS), range=list(figures.PALETTE[:2])),
        ),
        shape=alt.Shape(
            "label:N",
            title="right answer",
            scale=alt.Scale(domain=list(LABELS), range=["circle", "square"]),
        ),
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
    colors = alt.Scale(domain=list(STAGES), range=list(figures.PALETTE[2:4]))
    dashes = alt.Scale(domain=list(STAGES), range=[[1, 0], [6, 4]])
    lines = base.encode(
        order="step:Q",
        color=alt.Color("stage:N", title=None, scale=colors),
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
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]),
        guess.mark_text(
            align="left", baseline="bottom", dx=4, dy=-2, fontSize=12, text="your guess", color=figures.INK
        ).encode(x=alt.value(0)),
    ]


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Just aligned", {"flips": 0.1}),
        ("Half way back", {"flips": 100.0}),
        ("The base as reference", {"reference": "base"}),
    ),
)
