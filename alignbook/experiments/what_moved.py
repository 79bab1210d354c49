"""What moved? The embeddings of the statements in a base model, its aligned version, and on the way back."""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array
from alignbook.behaviors import distinguishability
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.undoing import LENGTH_STEPS, STEPS, Layers, World, aligned, training, world

STAGES = ("aligning", "undoing")
FIRST_STEP = 0.06  # at most, on flipped labels
ROWS = 5  # snapshots from one point of the road to the next

FLIPS = Number(
    "flips",
    "Flipped for",
    0.1,
    10000.0,
    3000.0,
    unit="time",
    log=True,
    grid=(0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
)
LENGTH = Number("length", "Aligned for", 1.0, 1000.0, 100.0, unit="time", log=True, grid=(10.0, 30.0, 100.0))
REFERENCE = Choice("reference", "Reference", ("start", "base"), "start")
WIDTH = Number("width", "Width", low=2, high=64, start=16, unit="hidden units", log=True)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the road so far, log-odds and separation, and at the end the clouds of base and trained model."""
    start = world(settings["width"], seed, engine, models=1)
    table: Table = {name: [] for name in ("part", "step", "stage", "odds", "separation", "label", "x", "y")}
    aligning = {"until": settings["length"], "lengths": LENGTH_STEPS}
    for time, shot in _every(training(start.inputs, start.labels, start.base, start.base, **aligning)):
        _add_place(table, "aligning", time - settings["length"], start, Layers(shot.head, shot.features))
        yield so_far(table)
    arm = aligned(start, settings["length"])
    reference = arm if settings["reference"] == "start" else start.base
    undoing = {"until": settings["flips"], "lengths": math.ceil(math.log2(1 + settings["flips"] / STEPS / FIRST_STEP))}
    end = arm
    for time, shot in _every(training(start.inputs, -start.labels, arm, reference, **undoing)):
        end = Layers(shot.head, shot.features)
        _add_place(table, "undoing", time, start, end)
        yield so_far(table)
    _add_clouds(table, start, arm, end)
    yield table


def plane(start: World, arm: Layers) -> np.ndarray:
    """Return two directions: the aligned clouds' separation, and what the base's has across it."""
    along, before = (_means(start, layers) for layers in (arm, start.base))
    along = along / np.linalg.norm(along)
    across = before - (before @ along) * along
    return np.stack([along, across / np.linalg.norm(across)])


def describe(table: Table, settings: Settings) -> str:
    """Say how far apart the clouds are, and the log-odds of the right answer, in the three models."""
    places = list(zip(table["stage"], table["odds"], table["separation"], strict=True))
    ways = {stage: [(odds, apart) for name, odds, apart in places if name == stage] for stage in STAGES}
    said = f"Base: clouds {_words(ways['aligning'][0])}."
    if ways["undoing"]:
        now = _words(ways["undoing"][-1])
        said += f" Aligned: {_words(ways['undoing'][0])}. After time {settings['flips']:g} on flipped labels: {now}."
    return said


def on_return(table: Table, settings: Settings) -> float:
    """Return the separation on the way back, where the log-odds are the base's again."""
    places = list(zip(table["stage"], table["odds"], table["separation"], strict=True))
    base = next(odds for stage, odds, _ in places if stage == "aligning")
    back = [(odds, apart) for stage, odds, apart in places if stage == "undoing"]
    odds, apart = np.array(back[::-1]).T
    return float(np.interp(base, odds, apart))


EXPERIMENT = Experiment(
    question="What moved?",
    parameters=(FLIPS, LENGTH, REFERENCE, WIDTH),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Alignment pulls the embeddings of Yes and No statements apart, from 2.7 to 17.6. Then flipped labels "
            "bring the log-odds back to where the base model had them. How far apart are the embeddings at that moment?"
        ),
        kind="number",
        low=0.0,
        high=20.0,
        answer=on_return,
        why=(
            "Head and features grew together, each because of the other, so they shrink together. Without noise a "
            "model's log-odds tell its separation: the way back is the way out, whatever the pace."
        ),
    ),
)


def _every(snapshots: Iterator) -> Iterator:
    """Keep one snapshot in so many, and the last."""
    held = list(snapshots)
    return iter(held[:-1:ROWS] + held[-1:])


def _add_place(table: Table, stage: str, time: float, start: World, layers: Layers) -> None:
    embeddings, labels = _embedded(start, layers)
    odds = float(np.mean(labels * (embeddings @ np.asarray(layers.head[0].tolist()))))
    _append(table, ("road", time, stage, odds, float(distinguishability(embeddings, labels)), None, None, None))


def _add_clouds(table: Table, start: World, arm: Layers, end: Layers) -> None:
    axes = plane(start, arm)
    for part, layers in (("base", start.base), ("now", end)):
        embeddings, labels = _embedded(start, layers)
        for label, (x, y) in zip(labels, embeddings @ axes.T, strict=True):
            _append(table, (part, None, None, None, None, "Yes" if label > 0 else "No", float(x), float(y)))


def _embedded(start: World, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of the one model's statements and their right labels."""
    inputs, features, labels = (np.asarray(x[0].tolist()) for x in (start.inputs, layers.features, start.labels))
    return inputs @ features.T, labels


def _means(start: World, layers: Layers) -> Array:
    embeddings, labels = _embedded(start, layers)
    return embeddings[labels > 0].mean(axis=0) - embeddings[labels < 0].mean(axis=0)


def _append(table: Table, row: tuple) -> None:
    add_row(table, row)


def _words(place: tuple[float, float]) -> str:
    return f"{place[1]:.1f} apart, log-odds {place[0]:.1f}"
