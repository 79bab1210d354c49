"""More distinguishable, more change? How far runs have moved a last layer, against distinguishability, at any time."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import (
    adam,
    gradient_descent,
    noise_free_weight_change,
    peak_time,
    weight_change_bound,
)
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, so_far
from alignbook.experiments.running_example import BETA, LEARNING_RATE

DISTINGUISHABILITY = np.linspace(0.25, 8.0, 32)
STATEMENTS, FEATURES = 200, 16
OPTIMIZERS = {"gradient descent": (gradient_descent, LEARNING_RATE), "Adam": (adam, 0.02)}
SERIES = ("run", "noise-free", "bound")
STRIDE = 20  # steps between two chances to stop, some 5 ms of work

STEPS = Number(
    "steps", "Time", low=1, high=3000, start=1000, unit="steps", log=True,
    grid=(3, 10, 20, 40, 70, 130, 250, 500, 1000, 2000),
)  # fmt: skip
NOISE = Number("noise", "Noise", low=0.0, high=2.0, start=0.3, grid=(0.0, 0.3, 1.0))
OPTIMIZER = Choice("optimizer", "Optimizer", tuple(OPTIMIZERS), "gradient descent")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the two curves of theory, and at the end that of as many runs as it has points."""
    time = settings["steps"] * LEARNING_RATE
    table: Table = {name: [] for name in ("series", "distinguishability", "weight change")}
    _add(table, "noise-free", noise_free_weight_change(time, BETA, DISTINGUISHABILITY))
    _add(table, "bound", weight_change_bound(time, BETA, DISTINGUISHABILITY))
    train, rate = OPTIMIZERS[settings["optimizer"]]
    every = math.gcd(STRIDE, settings["steps"])
    training = train(drawn(settings["noise"], seed, engine), BETA, rate, record_every=every)
    for snapshot in itertools.islice(training, settings["steps"] // every + 1):
        if snapshot.step == settings["steps"]:
            _add(table, "run", np.array(snapshot.weight_change.tolist()))
        yield so_far(table)


def drawn(noise: float, seed: int, engine: str) -> Behaviors:
    """Return one data set for each distinguishability, all with the same noise."""
    difference = np.eye(1, FEATURES) * DISTINGUISHABILITY[:, None, None, None]
    noisy = behaviors(np.zeros((1, FEATURES)), noise, num_statements=STATEMENTS, seed=seed)
    embeddings = noisy.embeddings + noisy.labels[..., None] * difference / 2
    labels = np.broadcast_to(noisy.labels, embeddings.shape[:-1]).copy()
    return Behaviors(to_engine(embeddings, engine), to_engine(labels, engine))


def _add(table: Table, series: str, values: np.ndarray) -> None:
    table["series"] += [series] * len(values)
    table["distinguishability"] += DISTINGUISHABILITY.tolist()
    table["weight change"] += values.tolist()


def curve(table: Table, series: str) -> np.ndarray:
    """Return one curve, a value for each of `DISTINGUISHABILITY`."""
    return np.array([y for y, name in zip(table["weight change"], table["series"], strict=True) if name == series])


def peak(settings: Settings) -> float:
    """Return the distinguishability of the largest displacement without noise."""
    return math.sqrt(float(peak_time(BETA, 1.0)) / (settings["steps"] * LEARNING_RATE))


def describe(table: Table, settings: Settings) -> str:
    """Say how far 1, 2 and 4 have moved the layer, and where the curves are highest."""
    found = curve(table, "run")
    if not len(found):
        return "The layers are being trained."
    at = ", ".join(f"{value:.3g}" for value in np.interp([1, 2, 4], DISTINGUISHABILITY, found))
    top = DISTINGUISHABILITY[int(np.argmax(found))]
    most = "at the largest shown" if top == DISTINGUISHABILITY[-1] else f"at {top:.3g}"
    exact = peak(settings)
    theory = "beyond what is shown" if exact > DISTINGUISHABILITY[-1] else f"at {exact:.3g}"
    return (
        f"After {settings['steps']} steps of {settings['optimizer']} with noise {settings['noise']:g}, the "
        f"distinguishabilities 1, 2 and 4 have moved the layer by {at}. The runs' curve is highest {most}; without "
        f"noise, under gradient descent, {theory}."
    )


def more_or_less(table: Table, settings: Settings) -> int:
    """Return which option is right of doubling the distinguishability from 2 to 4."""
    before, after = np.interp([2, 4], DISTINGUISHABILITY, curve(table, "run"))
    return 0 if after > 1.1 * before else 2 if after < 0.9 * before else 1


EXPERIMENT = Experiment(
    question="More distinguishable, more change?",
    parameters=(STEPS, NOISE, OPTIMIZER),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Two behaviors of distinguishability 2 and 4 are trained alike, each with its own layer, for 1000 steps "
            "of gradient descent. Compared with the first, the second has changed its layer"
        ),
        kind="choice",
        options=("more", "about as much", "less"),
        answer=more_or_less,
        why=(
            "Twice the distinguishability is twice the speed at the start. But the loss asks for a margin, and the "
            "margin is the change times the distinguishability: once both losses are nearly 0, the second needs only "
            "half the change for the same margin."
        ),
    ),
)
