"""A real model's states: seven sets of statements, one with coin tosses for labels, teach the last layer of SmolLM2.

Each set trains a layer of its own by DPO from the same start. The first step moves it in proportion to the set's
distinguishability, as the theorem says; what 60 labels in 576 dimensions teach beyond them, 40 held-out ones tell.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.behaviors import (
    Behaviors,
    corrected_distinguishability,
    distinguishability,
    permuted_distinguishability,
)
from alignbook.dynamics import HeadSnapshot, gradient_descent
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table
from alignbook.persona import CONTROL, NAMES, hidden_states

LETTERS = dict(zip((*NAMES, CONTROL), "DBFAGCE", strict=True))  # what the sets are called while nobody has guessed
AS_THEY_ARE, CENTERED = "as they are", "less their mean"
PERMUTATIONS = 400
STRIDE = 10  # steps between two chances to stop, some 10 ms of work
MEASURES = ("delta", "low", "high", "corrected")
COLUMNS = ("step", "letter", "name", *MEASURES, "moved", "loss", "train", "held out", "policy")

STEPS = Number("steps", "Steps", low=1, high=1000, start=300, log=True, grid=(1, 3, 10, 30, 100, 300, 1000))
STATES = Choice("states", "States", (AS_THEY_ARE, CENTERED), AS_THEY_ARE)
RATE = Number("rate", "Learning rate", low=0.01, high=0.9, start=0.9, unit="of the largest stable one", log=True)
BETA = Number("beta", "beta", low=0.1, high=2.0, start=1.0, log=True)

LEARNED_BY_HEART = {"steps": 1000, "states": CENTERED}


class Measured(NamedTuple):
    """For each set: its distinguishability, what nine in ten permutations of its labels show, and the corrected one."""

    delta: np.ndarray
    low: np.ndarray
    high: np.ndarray
    corrected: np.ndarray


@functools.cache
def measured() -> Measured:
    """Return what the training statements of each set measure; the common mean has no part in it."""
    train = hidden_states().train
    low, high = np.quantile(permuted_distinguishability(*train, PERMUTATIONS, seed=0), [0.05, 0.95], axis=-1)
    return Measured(distinguishability(*train), low, high, corrected_distinguishability(*train))


@functools.cache
def sets(states: str) -> tuple[Behaviors, Behaviors, float]:
    """Return each set alone, for training and held out, and the largest S = |E h h^T| of any: it bounds the step."""
    _, train, held_out, _ = hidden_states()
    mean = train.embeddings.mean(axis=-2, keepdims=True) * (states == CENTERED)
    seen = train.embeddings - mean
    moment = np.linalg.matrix_norm(seen, ord=2).max() ** 2 / seen.shape[-2]
    taught, fresh = (Behaviors((x.embeddings - mean)[:, None], x.labels[:, None]) for x in (train, held_out))
    return taught, fresh, float(moment)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the table so far: seven rows, one a set, at each of about a dozen moments."""
    whole, (train, held_out, moment) = hidden_states(), sets(settings["states"])
    beta, steps = settings["beta"], settings["steps"]
    data, fresh = (Behaviors(*(to_engine(x, engine) for x in part)) for part in (train, held_out))
    own = to_engine((whole.held_out.embeddings @ whole.boundary)[:, None], engine)
    training = gradient_descent(data, beta, settings["rate"] * 4 / (beta**2 * moment))
    moments = {0} | {round(steps ** (k / 10)) for k in range(11)}
    table: Table = {name: [] for name in COLUMNS}
    frame = table
    for shot in itertools.islice(training, steps + 1):
        if shot.step in moments:
            _add_rows(table, _moved(shot), shot, _right(fresh, shot.change), _right(fresh, shot.change, own))
            frame = {name: list(column) for name, column in table.items()}
        if shot.step in moments or shot.step % STRIDE == 0:
            yield frame


def describe(table: Table, settings: Settings) -> str:
    """Say how far the sets have come by their distinguishability, and what is true of fresh statements."""
    now = {row["name"]: row for row in _last_rows(table)}
    first, second, coin = (now[name] for name in (*NAMES[:2], CONTROL))
    best = max(now.values(), key=lambda row: row["held out"])
    return (
        f"After {first['step']} step{'s' * (first['step'] != 1)} D has moved {first['moved'] / coin['moved']:.2f} "
        f"times as far as the coin toss E; its distinguishability is {first['delta'] / coin['delta']:.2f} times as "
        f"large. The reward accuracy of E: {coin['train']:.0%} in training, {coin['held out']:.0%} held out. Best "
        f"held out is {best['letter']}: {best['held out']:.0%}, its policy {best['policy']:.0%}; B, the second most "
        f"distinguishable: {second['held out']:.0%} and {second['policy']:.0%}."
    )


def noise(table: Table, settings: Settings) -> int:
    """Return the place, in the order of letters, of the set with the least left once noise is taken off."""
    return sorted(LETTERS.values()).index(min(_last_rows(table), key=lambda row: row["corrected"])["letter"])


def options() -> tuple[str, ...]:
    """Return a letter and a distinguishability for each set."""
    delta = zip(LETTERS.values(), distinguishability(*hidden_states().train), strict=True)
    return tuple(f"{letter}: {distance:.2f}" for letter, distance in sorted(delta))


EXPERIMENT = Experiment(
    question="What does a real model's last layer learn from 60 labels?",
    parameters=(STEPS, STATES, RATE, BETA),
    run=run,
    describe=describe,
    seeded=False,
    prediction=Prediction(
        question=(
            "A language model has read seven sets of 60 statements, half of each labeled Yes. This is how far the mean "
            "states of Yes and No lie apart in each. In one set the labels are coin tosses: in which?"
        ),
        kind="choice",
        options=options(),
        answer=noise,
        why=(
            "No set is at 0: with 60 labels in 576 dimensions coin tosses alone put the means about 2 apart. The least "
            "distance is the best guess, but C, whose labels are real, lies within the same band, and E's layer fits "
            "its training labels as well as C's. Nor do 40 held-out statements part the two after 300 steps, with a "
            "standard error of 8 points. Those learned by heart do (try it)."
        ),
    ),
)


def _add_rows(table: Table, moved: np.ndarray, shot: HeadSnapshot, held_out: Array, policy: Array) -> None:
    """Append a row for each set."""
    figures = (shot.loss, shot.reward_accuracy, held_out, policy)
    numbers = zip(*measured(), moved, *(np.asarray(x[:, 0].tolist()) for x in figures), strict=True)
    for (name, letter), row in zip(LETTERS.items(), numbers, strict=True):
        for column, value in zip(COLUMNS, (shot.step, letter, name, *map(float, row)), strict=True):
            table[column].append(value)


def _moved(shot: HeadSnapshot) -> np.ndarray:
    """Return each layer's change over the mean of all; at the start, where there is none yet, the theorem's."""
    change = np.asarray(shot.weight_change.tolist()) if shot.step else measured().delta
    return change / change.mean()


def _right(data: Behaviors, change: Array, own: Array | float = 0.0) -> Array:
    """Return the share of pairs whose chosen answer a change of the layer favors, or with its `own` score prefers."""
    xp = namespace(change)
    score = xp.matmul(data.embeddings, change[:, None, :, None])[..., 0] + own
    return xp.mean((xp.sign(data.labels * score) + 1) / 2, axis=-1)


def _last_rows(table: Table) -> list[dict]:
    """Return the rows of the last moment, one a set."""
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    return list(rows)[-len(LETTERS) :]
