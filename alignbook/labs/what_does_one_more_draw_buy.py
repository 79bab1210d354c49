"""The picture of "What does one more draw buy?": the law by tenths with what was drawn, and the KL against N."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.what_does_one_more_draw_buy import EXPERIMENT, TENTHS
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

CURVES = {"exact": "kl", "bound": "bound", "estimate": "estimate"}
BEST_OF_N, BOUND, ESTIMATE = (figures.PALETTE[place] for place in (1, 3, 5))
ASKED = 64  # the number of draws that the question asks about


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_law(data), _divergence(data)).properties(usermeta={"phone": [85, 85]})


def _law(data: alt.NamedData) -> Any:
    """Return the law as bars, the reference as a dashed line, the shares of what was drawn as points."""
    tenths = alt.Scale(domain=list(range(1, TENTHS + 1)))
    title = "tenth of the answers, worst to best"
    x = alt.X("tenth:O", title=title, scale=tenths, axis=alt.Axis(labelAngle=0))
    y = alt.Y("share:Q", title="probability", scale=alt.Scale(domain=[0, 1], nice=False))
    base = alt.Chart(data).encode(x=x, y=y)
    law, drawn = (base.transform_filter(f"datum.part === '{part}'") for part in ("law", "drawn"))
    found = drawn.transform_joinaggregate(end="max(step)", groupby=["ghost"]).transform_filter(
        "datum.step === datum.end"
    )
    reference = law.transform_filter(NOW).transform_calculate(share=f"1 / {TENTHS}")
    return alt.layer(
        law.transform_filter(NOW).mark_bar(color=BEST_OF_N, opacity=0.55),
        law.transform_filter(LAST).mark_tick(color=BEST_OF_N, thickness=2, opacity=0.6),
        reference.mark_tick(color=figures.INK, thickness=2, opacity=0.8),
        found.transform_filter(NOW).mark_point(color=figures.INK, size=60, filled=False, strokeWidth=2),
        _wins(data),
    ).properties(height=200)


def _wins(data: alt.NamedData) -> Any:
    """Return the words on the win rate, where the bars are lowest."""
    words = f"'wins ' + {_all_but('datum.loses')} + ', at most ' + {_all_but('datum.least')}"
    now = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'now'")
    text = now.transform_calculate(words=words).mark_text(align="left", baseline="top", fontSize=12)
    return text.encode(x=alt.value(4), y=alt.value(4), text="words:N", color=alt.value(figures.INK))


def _all_but(missing: str) -> str:
    """Return the expression of 1 less a share, in percent; next to 100 with as many digits as tell it from 100."""
    digits = f"{missing} > 5e-8 && {missing} < 1e-3 ? -2 - floor(log({missing}) / LN10 + 1e-3) : 1"
    return f"format(1 - {missing}, '.' + ({digits}) + '%')"


def _divergence(data: alt.NamedData) -> Any:
    """Return the divergence, its bound and its estimate against the number of draws."""
    axis = alt.Axis(values=[1, 10, 100, 1000, 1e4, 1e5, 1e6], format="~s")
    x = alt.X("n:Q", title="draws N (log scale)", scale=alt.Scale(type="log", domain=[1, 1e6], nice=False), axis=axis)
    scale = alt.Scale(domain=[0, 14], nice=False)
    names = list(CURVES)
    row = alt.Legend(columns=3)
    color = alt.Color(
        "curve:N", title=None, legend=row, scale=alt.Scale(domain=names, range=[BEST_OF_N, BOUND, ESTIMATE])
    )
    dashes = alt.Scale(domain=names, range=[figures.DASHES[k] for k in (0, 3, 2)])
    curves = (
        alt.Chart(data)
        .transform_filter("datum.part === 'curve'")
        .transform_fold(list(CURVES.values()), as_=["of", "nats"])
        .transform_calculate(curve=f"{ {field: name for name, field in CURVES.items()} }[datum.of]")
        .encode(
            x=x,
            y=alt.Y("nats:Q", title="nats", scale=scale),
            color=color,
            strokeDash=alt.StrokeDash("curve:N", title=None, legend=row, scale=dashes),
        )
    )
    place = (
        alt.Chart(data).transform_filter("datum.part === 'now'").encode(x=x, y=alt.Y("kl:Q", title="nats", scale=scale))
    )
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(n=f"{ASKED}")
    return alt.layer(
        curves.transform_filter(NOW).mark_line(clip=True),
        curves.transform_filter(LAST).mark_line(opacity=0.3, clip=True),
        place.transform_filter(NOW).mark_point(color=BEST_OF_N, filled=True, size=110, opacity=1),
        guess.mark_point(shape="diamond", size=140, filled=False, strokeWidth=2.5, color=figures.INK).encode(
            x=x, y=alt.Y("guess:Q", title="nats", scale=scale)
        ),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Four draws, a thousand times", {"n": 4, "drawn": "1000 times"}),
        ("A thousand answers, right or wrong", {"answers": "a thousand", "reward": "right or wrong", "n": 1000}),
        ("Endless answers, a million draws", {"answers": "endless", "reward": "all different", "n": 1_000_000}),
    ),
)
