"""The picture of "How accurate, how soon?": a map of all heads, and the lines above which 90 % is true or promised."""

from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.how_accurate_how_soon import ASKED_NOISE, DELTAS, EXPERIMENT, NOISES, POLICY
from alignbook.labs.lab import GUESS, LAST, NOW, Lab

LINES = "90 %", "promised"
HALF_NOISE, HALF_DELTA = (float(grid[1] - grid[0]) / 2 for grid in (NOISES, DELTAS))


def chart(data: alt.NamedData) -> Any:
    """Return the chart of the dataset `data`."""
    heads = alt.Chart(data).transform_filter(NOW).transform_filter("datum.part === 'head'")
    cells = heads.transform_calculate(
        left=f"datum.noise - {HALF_NOISE}",
        right=f"datum.noise + {HALF_NOISE}",
        low=f"datum.delta - {HALF_DELTA}",
        high=f"datum.delta + {HALF_DELTA}",
    )
    fullness = alt.Scale(domain=[0.5, 1], range=[0.03, 0.8], clamp=True)
    legend = alt.Legend(format="%", values=[0.5, 1], symbolType="square", symbolStrokeWidth=0)
    field = cells.mark_rect(color=figures.PALETTE[5]).encode(
        **_axes("left:Q", "low:Q"),
        x2="right:Q",
        y2="high:Q",
        opacity=alt.Opacity("accuracy:Q", scale=fullness, legend=legend),
    )
    lines = (
        alt.Chart(data)
        .transform_filter("datum.part !== 'head' && isValid(datum.delta)")
        .transform_calculate(line=f"datum.part === 'measured' ? '{LINES[0]}' : '{LINES[1]}'")
        .encode(**_axes("noise:Q", "delta:Q"), **figures.series("line", LINES))
    )
    guess = alt.Chart(data).transform_filter(GUESS).transform_calculate(noise=f"{ASKED_NOISE}")
    return alt.layer(
        field,
        lines.transform_filter(NOW).mark_line(clip=True),
        lines.transform_filter(LAST).mark_line(opacity=0.35, clip=True),
        guess.mark_point(shape="diamond", size=140, filled=False, strokeWidth=2.5, color=figures.INK).encode(
            **_axes("noise:Q", "guess:Q")
        ),
    ).properties(height=260)


def _axes(x: str, y: str) -> dict[str, Any]:
    across = alt.Scale(domain=[float(NOISES[0]) - HALF_NOISE, float(NOISES[-1]) + HALF_NOISE], nice=False, zero=False)
    up = alt.Scale(domain=[float(DELTAS[0]) - HALF_DELTA, float(DELTAS[-1]) + HALF_DELTA], nice=False, zero=False)
    return {
        "x": alt.X(x, title="noise s", scale=across, axis=alt.Axis(values=[0.1, 0.5, 1, 1.5], grid=False)),
        "y": alt.Y(y, title="distinguishability Δ", scale=up, axis=alt.Axis(values=[1, 2, 3, 4], grid=False)),
    }


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("Twenty statements", {"statements": 20}),
        ("The policy's own answers", {"accuracy": POLICY, "statements": 200}),
        ("The same, ten times later", {"accuracy": POLICY, "statements": 200, "time": 100}),
    ),
)
