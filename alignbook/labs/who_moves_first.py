"""The picture of "Who moves first?": two clouds with their boundaries in the plane, and one curve beside its theory."""

from typing import Any

import altair as alt

from alignbook.experiments.running_example import BEHAVIORS
from alignbook.experiments.who_moves_first import EXPERIMENT, NAMES
from alignbook.labs.lab import LAST, NOW, Lab
from alignbook.labs.shared import at_the_end, boundary, colors, plane, statements, stroke

CURVES = NAMES[-3:]
RANGE = (-3.0, 3.0), (-1.6, 1.6)


def chart(data: alt.NamedData) -> alt.HConcatChart:
    """Return the chart of the dataset `data`."""
    return alt.hconcat(_plane(data), _curves(data)).properties(usermeta={"phone": [130, 120]})


def _plane(data: alt.NamedData) -> Any:
    """Return statements, filled where Yes is chosen, and each policy's boundary: on the tick's side it says Yes."""
    axes = plane(*RANGE)
    points = statements(data, axes, BEHAVIORS)
    end = at_the_end(data).encode(color=points.encoding.color)
    lines, ticks = boundary(end, axes), stroke(end, axes, 0.5)
    return alt.layer(
        points.transform_filter("datum.half === 'Yes'").mark_point(filled=True, size=30, opacity=0.6, clip=True),
        points.transform_filter("datum.half === 'No'").mark_point(filled=False, size=30, opacity=0.6, clip=True),
        lines.transform_filter(LAST).mark_rule(strokeWidth=2, opacity=0.25, clip=True),
        lines.transform_filter(NOW).mark_rule(strokeWidth=2, clip=True),
        ticks.transform_filter(NOW).mark_rule(strokeWidth=4, clip=True),
    ).properties(height=200)


def _curves(data: alt.NamedData) -> Any:
    """Return the chosen quantity over a logarithmic axis of steps: color is the behavior, dashes what is theory."""
    moments = alt.Chart(data).transform_filter("datum.part === 'moment'")
    dashes = alt.Scale(domain=list(CURVES), range=[[1, 0], [6, 4], [2, 3]])
    base = moments.transform_fold(list(CURVES), as_=["curve", "value"]).encode(
        x=alt.X(
            "step:Q",
            title="step (log scale)",
            scale=alt.Scale(type="symlog", constant=1, domain=[0, 1000], nice=False),
            axis=alt.Axis(values=[0, 3, 10, 30, 100, 1000], format="d"),
        ),
        y=alt.Y(
            "value:Q",
            title=None,
            scale=alt.Scale(type="symlog", constant=0.3, domain=[0, 50], nice=False),
            axis=alt.Axis(values=[0, 0.3, 1, 3, 10, 30], format=".2~r"),
        ),
        color=alt.Color("behavior:N", scale=colors(BEHAVIORS), legend=alt.Legend()),
        strokeDash=alt.StrokeDash("curve:N", scale=dashes, legend=alt.Legend(orient="bottom")),
    )
    before = base.transform_joinaggregate(kinds="distinct(quantity)")  # the last curve only beside one of its kind
    before = before.transform_filter(LAST).transform_filter("datum.kinds === 1 && datum.curve === 'run'")
    name = moments.transform_filter(NOW).transform_aggregate(groupby=["quantity"])
    return alt.layer(
        base.transform_filter(NOW).mark_line(clip=True),
        before.mark_line(clip=True, opacity=0.25),
        name.mark_text(align="left", baseline="top", dx=6, fontWeight="bold").encode(
            x=alt.value(0), y=alt.value(2), text="quantity:N"
        ),
    ).properties(height=200)


LAB = Lab(
    EXPERIMENT,
    chart,
    tries=(
        ("The margin at step 10", {"steps": 10, "quantity": "margin", "optimizer": "gradient descent"}),
        ("Overtaken", {"steps": 1000, "quantity": "weight change", "optimizer": "gradient descent"}),
        ("Adam, three steps", {"steps": 3, "quantity": "weight change", "optimizer": "Adam"}),
    ),
)
