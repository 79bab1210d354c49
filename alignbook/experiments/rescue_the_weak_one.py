"""Rescue the weak one: each remedy alone, over 256 data sets. Which of them helps, and which does harm?"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from alignbook.arrays import to_engine
from alignbook.behaviors import behaviors, two_differences
from alignbook.dynamics import adam, gradient_descent
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table
from alignbook.experiments.running_example import DISTINGUISHABILITY, NOISE
from alignbook.experiments.which_behavior_wins import fresh_accuracy
from alignbook.losses import cdpo_slope, dpo_slope, hinge_slope

SEEDS, STATEMENTS, FEATURES = 256, 40, 8  # statements of the strong behavior
SPARSE = 5  # it has so many statements for each of the weak one
BETA, STEPS, STRIDE = 0.1, 60, 6
DESCENT, ADAM = partial(gradient_descent, learning_rate=10.0), partial(adam, learning_rate=0.3)


class Remedy(NamedTuple):
    """One change of a training run: shares of the two behaviors' pairs, and what else is not as usual."""

    shares: tuple[float, float] = (SPARSE, 1.0)
    train: partial = DESCENT
    beta: float = BETA
    steps: int = STEPS
    slope: Callable = dpo_slope
    batch: int | None = None


REMEDIES = {
    "none": Remedy(),
    "balanced sampling": Remedy(shares=(1.0, 1.0)),
    "balanced, weight 4": Remedy(shares=(1.0, 4.0)),
    "batches of 10": Remedy(batch=10),
    "beta over 3": Remedy(beta=BETA / 3),
    "beta times 3": Remedy(beta=BETA * 3),
    "a tenth of the steps": Remedy(steps=STEPS // 10),
    "label smoothing 0.3": Remedy(slope=partial(cdpo_slope, label_noise=0.3)),
    "hinge loss": Remedy(slope=hinge_slope),
    "Adam": Remedy(train=ADAM),
    "learned alone": Remedy(shares=(0.0, 1.0)),
}
ASKED = ("batches of 10", "beta over 3", "label smoothing 0.3", "Adam")

ANGLE = Number("angle", "Angle of the weak", 30.0, 150.0, 90.0, unit="°", grid=(60.0, 90.0, 110.0, 130.0))
NOISE_LEVEL = Number("noise", "Noise", 0.1, 0.6, NOISE, grid=(0.15, NOISE))


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield, remedy by remedy, the weak behavior's accuracy on fresh statements over the data sets, and the gain."""
    lengths, noise = DISTINGUISHABILITY.tolist(), settings["noise"]
    differences = to_engine(two_differences(lengths[0], lengths[1], math.radians(settings["angle"]), FEATURES), engine)
    data = behaviors(differences, noise, num_statements=STATEMENTS, seed=np.arange(SEEDS) + SEEDS * seed)
    kept = np.stack([np.ones(STATEMENTS), SPARSE * (np.arange(STATEMENTS) % SPARSE == 0)]) / STATEMENTS
    table: Table = {name: [] for name in ("remedy", "weak", "low", "high", "gain", "error", "strong")}
    before = None
    for name, remedy in REMEDIES.items():
        share = np.array(remedy.shares)[:, None] / sum(remedy.shares)
        weights = to_engine(share * kept, engine)
        training = remedy.train(
            data,
            remedy.beta,
            weights=weights,
            slope=remedy.slope,
            batch_size=remedy.batch,
            seed=seed,
            record_every=STRIDE,
        )
        while (snapshot := next(training)).step < remedy.steps:
            yield {column: list(values) for column, values in table.items()}
        strong, weak = np.asarray(fresh_accuracy(snapshot.change, differences, noise).tolist()).T
        before = weak if before is None else before
        gain, error = float(np.mean(weak - before)), 1.96 * float(np.std(weak - before)) / math.sqrt(SEEDS)
        low, high = np.quantile(weak, [0.05, 0.95]).tolist()
        row = (name, float(np.mean(weak)), low, high, gain, error, float(np.mean(strong)))
        for values, value in zip(table.values(), row, strict=True):
            values.append(value)
        yield {column: list(values) for column, values in table.items()}


def describe(table: Table, settings: Settings) -> str:
    """Say where the weak behavior stands without a remedy, what helps most and what does harm."""
    if not table["remedy"]:
        return f"At {settings['angle']:g}°, noise {settings['noise']:g}: training."
    rows = list(zip(table["remedy"], table["weak"], table["gain"], table["error"], strict=True))
    found = f"Without a remedy {rows[0][1]:.1%} of the weak behavior's fresh statements are right"
    tried = [row for row in rows[1:] if row[0] != "learned alone"]
    if not tried:
        return f"{found}."
    name, weak, gain, error = max(tried, key=lambda row: row[1])
    harm = [f"{name} ({100 * gain:+.1f})" for name, _, gain, error in tried if gain + error < 0]
    end = f"Harmful: {', '.join(harm)}." if harm else "None does harm."
    return (
        f"{found}. Helps most: {name}, {weak:.1%} ({100 * gain:+.1f} points, 95% interval ± {100 * error:.1f}). {end}"
    )


def worst(table: Table, settings: Settings) -> int:
    """Return which of the remedies asked about gains least."""
    gains = dict(zip(table["remedy"], table["gain"], strict=True))
    return min(range(len(ASKED)), key=lambda place: gains[ASKED[place]])


EXPERIMENT = Experiment(
    question="Rescue the weak one: which remedy helps?",
    parameters=(ANGLE, NOISE_LEVEL),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "The weak behavior, at a right angle to the strong one, has one statement for each five of the strong one. "
            "Learning rate and steps stay. Which of these remedies, alone, makes it worse?"
        ),
        kind="choice",
        options=("batches of 10 pairs", "a smaller beta", "label smoothing", "Adam"),
        answer=worst,
        why=(
            "Under gradient descent time runs as beta squared: a third of beta is a ninth of the training, and what "
            "comes late, the weak behavior, does not come at all. Batches change next to nothing; label smoothing "
            "lets the strong behavior saturate sooner; Adam evens out the coordinates."
        ),
    ),
)
