"""Small labs for the tests of the machinery: a curve that grows step by step, and what goes wrong with one."""

import weakref
from collections.abc import Iterator
from typing import Any

import altair as alt

from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, Vector, entries_of
from alignbook.labs.lab import NOW, Lab, ghosted

STARTED: list[weakref.ref] = []

RATE = Number("rate", "Rate", 0.1, 1.0, 0.5, unit="per step", grid=(0.1, 0.25, 0.5, 1.0))
SHAPE = Choice("shape", "Shape", ("line", "square"), "line")
WEIGHTS = Vector("weights", "Weights", ("a", "b"), 0.0, 2.0, {"even": (1.0, 1.0), "odd": (0.5, 2.0)}, "even")
STEPS = Number("steps", "Steps", 1, 1_000_000, 10, log=True)


def grow(settings: Settings, seed: int) -> Iterator[Table]:
    """Yield a curve that grows, at most 100 points of it, in up to 100,000 frames; seed 13 fails."""
    power = 1 if settings["shape"] == "line" else 2
    weight = sum(entries_of(WEIGHTS, settings["weights"]))
    every, keep = max(1, settings["steps"] // 100_000), max(1, settings["steps"] // 100)
    table: Table = {"step": [], "height": []}
    for step in range(0, settings["steps"] + 1, every):
        if seed == 13 and step > 2:
            raise ValueError("`seed` must not be 13, got 13.")
        if step % keep == 0:
            table["step"].append(step)
            table["height"].append(weight * (settings["rate"] * step / settings["steps"]) ** power)
        yield {name: list(column) for name, column in table.items()}


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Return the generator of `grow`, and remember it weakly."""
    frames = grow(settings, seed)
    STARTED.append(weakref.ref(frames))
    return frames


def describe(table: Table, settings: Settings) -> str:
    """Say how high the curve is."""
    return f"At rate {settings['rate']:g} the curve reaches {table['height'][-1]:.4g} after {table['step'][-1]} steps."


def chart(data: alt.NamedData) -> Any:
    """Draw the curve, with its end as a point."""
    base = alt.Chart(data).encode(
        x=alt.X("step:Q", scale=alt.Scale(domain=[0, 10])),
        y=alt.Y("height:Q", scale=alt.Scale(domain=[0, 2.5])),
    )
    return alt.layer(base.mark_line().encode(opacity=ghosted()), base.transform_filter(NOW).mark_point())


PREDICTION = Prediction(
    question="How high does the curve end?",
    kind="number",
    answer=lambda table, settings: table["height"][-1],
    why="Both weights count.",
    high=3.0,
    unit="units",
)

GROWTH = Experiment("How does it grow?", (RATE, SHAPE, WEIGHTS, STEPS), run, describe, PREDICTION, ("numpy",))
LAB = Lab(GROWTH, chart, tries=(("Twice as fast", {"rate": 1.0}), ("Square", {"shape": "square"})))
OPEN = Lab(Experiment("How does it grow?", GROWTH.parameters, run, describe), chart, LAB.tries)
