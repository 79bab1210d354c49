"""Who moves first? A strong and a weak behavior, each with a last layer of its own, against what theory allows."""

import itertools
import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from alignbook.arrays import to_engine
from alignbook.behaviors import Behaviors, behaviors, distinguishability
from alignbook.dynamics import (
    HeadSnapshot,
    adam,
    gradient_descent,
    noise_free_margin,
    noise_free_weight_change,
    weight_change_bound,
)
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import BEHAVIORS, BETA, DIFFERENCES, LEARNING_RATE, NOISE, STATEMENTS
from alignbook.losses import dpo_loss

OPTIMIZERS = {
    "gradient descent": partial(gradient_descent, learning_rate=LEARNING_RATE),
    "Adam": partial(adam, learning_rate=0.05),
}
QUANTITIES = ("weight change", "margin", "loss")
SHOWN = 15  # statements of each half in the picture
START = 4.0 * np.array([-1.0, -1.0]) / math.sqrt(2)  # the boundary before training: most answers are wrong
MOMENTS = (0, 1, 2, 3, 5, 7, 10, 14, 20, 30, 42, 60, 80, 100, 140, 200, 300, 420, 600, 800, 1000)
STRIDE = 20  # steps between two chances to stop, some 5 ms of work

STEPS = Number("steps", "Steps", low=1, high=1000, start=10, log=True, grid=(1, 3, 10, 30, 100, 300, 1000))
QUANTITY = Choice("quantity", "Curve", QUANTITIES, "weight change")
OPTIMIZER = Choice("optimizer", "Optimizer", tuple(OPTIMIZERS), "gradient descent")
NAMES = ("part", "behavior", "half", "x", "y", "step", "quantity", "run", "noise-free", "bound")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield some statements, then, moment by moment, each boundary's normal and the curve beside its theory."""
    data = behaviors(to_engine(DIFFERENCES[:, :2], engine), NOISE, num_statements=STATEMENTS, seed=seed)
    delta = np.array(distinguishability(data.embeddings, data.labels).tolist())
    alone = Behaviors(data.embeddings[:, None], data.labels[:, None])
    training = OPTIMIZERS[settings["optimizer"]](alone, BETA, boundary=to_engine(START, engine))
    table, last = _clouds(data), settings["steps"]
    for snapshot in itertools.islice(training, last + 1):
        if snapshot.step in MOMENTS or snapshot.step == last:
            _add_moment(table, snapshot, settings["quantity"], delta)
        if snapshot.step % STRIDE == 0 or snapshot.step == last:
            yield so_far(table)


def theory(quantity: str, time: float, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the noise-free value of a quantity, and the value that no run of gradient descent gets beyond."""
    margin, most = noise_free_margin(time, BETA, delta), time * (BETA * delta / 2) ** 2
    return {
        "weight change": (noise_free_weight_change(time, BETA, delta), weight_change_bound(time, BETA, delta)),
        "margin": (margin, most),
        "loss": (dpo_loss(margin), dpo_loss(most)),
    }[quantity]


def _clouds(data: Behaviors) -> Table:
    table: Table = {name: [] for name in NAMES}
    for name, rows, labels in zip(BEHAVIORS, data.embeddings.tolist(), data.labels.tolist(), strict=True):
        for place in (*range(SHOWN), *range(-SHOWN, 0)):
            half = "Yes" if labels[place] > 0 else "No"
            add_row(table, ("statement", name, half, *rows[place], *[None] * 5))
    return table


def _add_moment(table: Table, snapshot: HeadSnapshot, quantity: str, delta: np.ndarray) -> None:
    figures = {
        "weight change": snapshot.weight_change,
        "margin": np.mean(snapshot.margin.tolist(), axis=(-2, -1)),
        "loss": snapshot.loss[:, 0],
    }
    normals = START + np.array(snapshot.change.tolist())
    exact, bound = theory(quantity, snapshot.step * LEARNING_RATE, delta)
    for k, (name, value) in enumerate(zip(BEHAVIORS, figures[quantity].tolist(), strict=True)):
        x, y = normals[k] / np.hypot(*normals[k])
        add_row(table, ("moment", name, "", x, y, snapshot.step, quantity, value, float(exact[k]), float(bound[k])))


def describe(table: Table, settings: Settings) -> str:
    """Say where the curve of each behavior stands, and where theory has it."""
    step, quantity = table["step"][-1], settings["quantity"]
    (strong, weak), (strong_exact, weak_exact), (strong_bound, weak_bound) = (
        table[name][-2:] for name in ("run", "noise-free", "bound")
    )
    return (
        f"After {step} step{'s' * (step != 1)} of {settings['optimizer']} the {quantity} is {strong:.3g} for strong "
        f"and {weak:.3g} for weak. Gradient descent without noise: {strong_exact:.3g} and {weak_exact:.3g}; its "
        f"bound: {strong_bound:.3g} and {weak_bound:.3g}."
    )


EXPERIMENT = Experiment(
    question="Who moves first?",
    parameters=(STEPS, QUANTITY, OPTIMIZER),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Two behaviors have the distinguishabilities 4 (strong) and 1 (weak). A last layer of its own is trained "
            "on each for ten steps of gradient descent. How many times as far has the strong one's layer moved?"
        ),
        kind="number",
        unit="times",
        low=0.0,
        high=20.0,
        answer=lambda table, settings: table["run"][-2] / table["run"][-1],
        why=(
            "The first step is proportional to the distinguishability: 4 times as far. After ten steps the strong "
            "one's margins have grown, and pairs that are right pull less. The margin itself is what moves 16 times "
            "as fast at the start."
        ),
    ),
)
