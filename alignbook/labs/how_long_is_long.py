"""The picture of "How long is long?": the gap in all and a letter, exactly and by formula, and where that is void."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.how_long_is_long import EXPERIMENT, FROM, NORMAL, OPTIONS
from alignbook.experiments.long_answers import GROWING, SLOWLY
from alignbook.labs.lab import GUESS, LAST, NOW, Lab
from alignbook.labs.shared import said

LENGTH = alt.X(
    "length:Q",
    title="length n",
    scale=alt.Scale(type="log", domain=[0.7, 1_700_000], nice=False),
    axis=alt.Axis(values=[1, 100, 10_000, 1_000_000], format="~s", grid=False),
)
GAP = alt.Y("gap:Q", title="gap, nats", scale=alt.Scale(domain=[0, 7], nice=False), axis=alt.Axis(values=[0, 2, 4, 6]))
LETTER = alt.Y(
    "letter:Q",
    title="nats a letter",
    scale=alt.Scale(type="log", domain=[1e-7, 1], nice=False),
    axis=alt.Axis(
        values=[1e-6, 1e-4, 1e-2, 1], labelExpr="datum.value < 0.001 ? format(datum.value, '.0e') : datum.label"
    ),
)
EXACT, FORMULA = figures.PALETTE[1], figures.PALETTE[3]
GUESSES = (
    f"datum.start * {FROM} / datum.length",
    "datum.start",
    f"datum.start + log(datum.length / {FROM}) / 2",
    f"datum.start * datum.length / {FROM}",
)  # in the order of the options


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    left = alt.layer(*_void(data), *_gaps(data, GAP), _guessed(data), said(data))
    right = alt.layer(*_gaps(data, LETTER), *_names(data))
    return alt.hconcat(left.properties(height=200), right.properties(height=200)).properties(
        usermeta={"phone": [100, 75]}
    )


def _gaps(data: alt.NamedData, y: alt.Y) -> list[Any]:
    """Return the formula's line, the exact dots, the chosen length, and all of this as it was before, but faint."""
    base = alt.Chart(data).transform_filter("datum.gap > 0").encode(x=LENGTH, y=y)
    line, dots = (base.transform_filter(f"datum.part === '{part}'") for part in ("formula", "exact"))
    chosen = dots.transform_filter(NOW).transform_filter("datum.chosen === 1")
    return [
        line.transform_filter(LAST).mark_line(color=FORMULA, opacity=0.35, clip=True),
        dots.transform_filter(LAST).mark_point(filled=False, color=EXACT, opacity=0.4, size=40, clip=True),
        line.transform_filter(NOW).mark_line(color=FORMULA, strokeDash=figures.DASHES[3], clip=True),
        dots.transform_filter(NOW).mark_point(filled=True, color=EXACT, opacity=1, size=45, clip=True),
        chosen.mark_rule(opacity=0.4, strokeWidth=1).encode(y=y, y2=alt.value("height")),
        chosen.mark_point(filled=False, color=figures.INK, opacity=1, size=190, strokeWidth=2),
    ]


def _void(data: alt.NamedData) -> list[Any]:
    """Return the shade over the lengths at which the formula is void."""
    none = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'formula' && !isValid(datum.gap)")
    end = none.transform_aggregate(length="max(length)").transform_filter("isValid(datum.length)")
    return [
        end.mark_rect(color=figures.INK, opacity=0.1).encode(
            x=LENGTH, x2=alt.value(0), y=alt.value(0), y2=alt.value("height")
        ),
        end.mark_text(align="left", baseline="top", text="void").encode(x=alt.value(4), y=alt.value(4)),
    ]


def _names(data: alt.NamedData) -> list[Any]:
    """Return what dots and line are, in the corner that the falling curves leave free."""
    one = alt.Chart(data).transform_filter(NOW).transform_filter("datum.chosen === 1")
    style: Any = {"align": "right", "baseline": "top", "fontSize": 13}
    corner = {"x": alt.value("width"), "y": alt.value(0)}
    return [
        layer.encode(**corner)
        for place, (sign, word, color) in enumerate((("●", "exact", EXACT), ("━", "formula", FORMULA)))
        for layer in (
            one.mark_text(text=sign, color=color, dy=16 * place, **style),
            one.mark_text(text=word, dy=16 * place, dx=-20, **style),
        )
    ]


def _guessed(data: alt.NamedData) -> Any:
    """Return the curve that the gap would follow from a thousand letters on if the reader were right."""
    start = "datum.part === 'asked' && datum.ghost === '' ? datum.gap : 0"
    ways = " : ".join(f"datum.guess === '{option}' ? {way}" for option, way in zip(OPTIONS, GUESSES, strict=True))
    curve = (
        alt.Chart(data)
        .transform_calculate(start=start)
        .transform_joinaggregate(start="max(start)")
        .transform_filter(f"{GUESS} && datum.start > 0")
        .transform_calculate(digits="sequence(0, 3.01, 0.1)")
        .transform_flatten(["digits"])
        .transform_calculate(length=f"{FROM} * pow(10, datum.digits)")
        .transform_calculate(gap=f"{ways} : 0")
    )
    return curve.mark_line(color=figures.INK, strokeWidth=1.5, strokeDash=[4, 3], clip=True).encode(x=LENGTH, y=GAP)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Normal letters", {"letters": NORMAL, "draws": GROWING}),
        ("N grows a hundredfold slower", {"draws": SLOWLY, "length": 1000}),
        ("64 draws", {"draws": "64", "length": 1_000_000}),
    ),
)
