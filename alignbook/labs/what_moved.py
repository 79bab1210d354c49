"""The picture of "What moved?": the embeddings of a base model and of the trained one, and the road between them."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_moved import EXPERIMENT, STAGES
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import colors

LABELS = ("Yes", "No")
SHOWN = 3  # one statement in so many: more would hide which are hollow


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    panels = alt.layer(*_clouds(data)).properties(height=200), alt.layer(*_road(data)).properties(height=200)
    apart = alt.hconcat(*panels).resolve_scale(color="independent", shape="independent")
    return apart.properties(usermeta={"phone": [90, 85]})


def _clouds(data: alt.NamedData) -> list[Any]:
    """Return the statements in the plane of both separations: the base's hollow, those of now full."""
    shapes = alt.Scale(domain=list(LABELS), range=["circle", "square"])
    few = alt.Chart(data).transform_window(place="row_number()", groupby=["ghost", "part", "label"])
    base = few.transform_filter(f"datum.place % {SHOWN} === 0").encode(
        x=alt.X("x:Q", title="along the aligned separation", **_axis([-12, 12], [-10, 0, 10])),
        y=alt.Y("y:Q", title="across it", **_axis([-8, 8], [-5, 0, 5])),
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
            x=alt.X("odds:Q", title="log-odds of the right answer", **_axis([-110, 60], [-100, -50, 0, 50])),
            y=alt.Y("separation:Q", title="separation", **_axis([0, 26], [0, 10, 20])),
        )
    )
    stages = alt.Scale(domain=list(STAGES), range=list(figures.PALETTE[2:4]))
    dashes = alt.Scale(domain=list(STAGES), range=[[1, 0], [6, 4]])
    lines = base.encode(
        order="step:Q",
        color=alt.Color("stage:N", legend=None, scale=stages),
        strokeDash=alt.StrokeDash("stage:N", legend=None, scale=dashes),
    )
    out, back = (lines.transform_filter(NOW).transform_filter(f"datum.stage === '{stage}'") for stage in STAGES)
    last = base.transform_filter(NOW).transform_window(rank="rank()", sort=[alt.SortField("step", order="descending")])
    sides: dict[str, Any] = {">": {"baseline": "top", "dy": 2}, "<=": {"baseline": "bottom", "dy": -2}}
    guess = alt.Chart(data).transform_filter(GUESS).encode(y=alt.Y("guess:Q", title="separation"))
    return [
        lines.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        out.mark_line(clip=True, strokeWidth=7, opacity=0.4),
        back.mark_line(clip=True, strokeWidth=2.5),
        last.transform_filter("datum.rank === 1").mark_point(
            filled=True, size=90, color=figures.INK, opacity=1, clip=True
        ),
        _corner(data, "wide: aligning, dashed: undoing"),
        guess.mark_rule(color=figures.INK, strokeDash=[2, 3]),
        *(
            guess.transform_filter(f"datum.guess {where} 10")  # below a high guess, clear of the key
            .mark_text(align="left", dx=4, fontSize=12, text="your guess", color=figures.INK, **side)
            .encode(x=alt.value(0))
            for where, side in sides.items()
        ),
    ]


def _axis(domain: list[float], ticks: list[float]) -> dict[str, Any]:
    """Return the options of an axis that stands still, with few ticks."""
    return {"scale": alt.Scale(domain=domain, nice=False), "axis": alt.Axis(values=ticks)}


def _corner(data: alt.NamedData, words: str) -> Any:
    """Return the key to a panel, in its upper left corner."""
    once = alt.Chart(data).transform_filter(NOW).transform_aggregate(rows="count()")
    place = {"x": alt.value(6), "y": alt.value(6)}
    return once.mark_text(align="left", baseline="top", text=words, fontSize=12, color=figures.INK).encode(**place)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Half way back", {"flips": 10.0}),
        ("Back at the base", {"flips": 1000.0}),
        ("The base as reference", {"reference": "base"}),
    ),
)
