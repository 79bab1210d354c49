"""The picture of "Read your own run": the loss beside its prediction, and the rewards.

A reader's numbers may be of any size, and axes may not move: heights are shares of a scale, and the scale's marks,
one, two or five times a power of ten, come with the data.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from alignbook import figures
from alignbook.experiments.own_run import EXPERIMENT, HELD_OUT, PREDICTION, REWARDS, SCALES
from alignbook.labs.lab import LAST, NOW, Lab


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`; a faint line is the prediction at the last setting."""
    panels = _panel(data, ("loss", PREDICTION, HELD_OUT), "loss"), _panel(data, REWARDS, "reward")
    return alt.hconcat(*panels).properties(usermeta={"phone": [85, 85]})  # its sentence is long


def _panel(data: alt.NamedData, names: Sequence[str], quantity: str) -> Any:
    """Return curves over the course of the run, and the marks of their scale."""
    scale = f"{quantity} scale"
    marks = list(SCALES[scale])
    heights = alt.Axis(values=marks, labels=False, ticks=False, titlePadding=44)
    base = alt.Chart(data).encode(
        x=alt.X(
            "progress:Q",
            title="part of the run's steps",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
        ),
        y=alt.Y("shown:Q", title=quantity, scale=alt.Scale(domain=[marks[0], marks[-1]]), axis=heights),
    )
    curves = base.transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=list(names)))
    curves = curves.encode(**figures.series("series", names))
    return alt.layer(
        curves.transform_filter(NOW).mark_line(clip=True),
        curves.transform_filter(LAST)
        .transform_filter(f"datum.series === '{PREDICTION}'")
        .mark_line(opacity=0.3, clip=True),
        base.transform_filter(NOW)
        .transform_filter(f"datum.series === '{scale}'")
        .mark_text(align="right", dx=-6)
        .encode(text=alt.Text("value:Q", format="~g")),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("No noise", {"training_log": "one pair, gradient descent", "fitted": 0.2}),
        ("Noise and AdamW", {"training_log": "strings of letters, AdamW", "fitted": 0.2}),
        ("All rows read", {"training_log": "strings of letters, AdamW", "fitted": 1.0}),
    ),
)
