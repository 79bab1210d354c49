"""What the labs on undoing alignment share: a base model of two layers for each seed, its training, and clocks.

Training takes steps that double in length, some thirty of each: time then runs over decades at the cost of hundreds
of steps, and late steps may be long because settled pairs hardly pull. A clock reads a time off such a run.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from alignbook.arrays import Array, to_engine
from alignbook.behaviors import behaviors
from alignbook.dynamics import TwoLayerSnapshot, two_layer_descent
from alignbook.experiments.running_example import BETA, DISTINGUISHABILITY, NOISE

SEEDS, STATEMENTS, INPUTS = 8, 60, 16
HEAD = 0.5  # length of a base model's w_Yes - w_No
STEPS, STRIDE = 30, 3  # of one length; from one snapshot to the next
LENGTH_STEPS, FLIP_STEPS = 8, 14  # lengths of a step in the first alignment, and on flipped labels


class Layers(NamedTuple):
    """A model: its head w and its features A."""

    head: Array
    features: Array


class World(NamedTuple):
    """Statements of the strong behavior, with right labels, and the base model that will see them, for each seed."""

    inputs: Array
    labels: Array
    base: Layers


def world(width: int, seed: int, engine: str, models: int = SEEDS) -> World:
    """Draw statements and a base model of so many hidden units, for each of so many seeds."""
    difference = np.zeros((1, INPUTS))
    difference[0, 0] = DISTINGUISHABILITY[0]
    seeds = [models * seed + k for k in range(models)]
    drawn = behaviors(difference, NOISE, num_statements=STATEMENTS, seed=seeds)
    layers = [_base_layers(np.random.default_rng([width, one]), width) for one in seeds]
    head, features = (to_engine(np.stack(each), engine) for each in zip(*layers, strict=True))
    inputs, labels = (to_engine(x[:, 0], engine) for x in drawn)
    return World(inputs, labels, Layers(head, features))


def training(
    inputs: Array,
    labels: Array,
    layers: Layers,
    reference: Layers,
    *,
    until: float,
    lengths: int,
    train_features: bool = True,
) -> Iterator[tuple[float, TwoLayerSnapshot]]:
    """Yield (time, snapshot) from 0 to the time `until`, over steps of so many lengths, each twice the one before."""
    time, rate = 0.0, until / (STEPS * (2**lengths - 1))
    for length in range(lengths):
        run = two_layer_descent(
            inputs,
            labels,
            BETA,
            rate,
            head=layers.head,
            features=layers.features,
            ref_head=reference.head,
            ref_features=reference.features,
            train_features=train_features,
            record_every=STRIDE,
        )
        for shot in itertools.islice(run, STEPS // STRIDE + 1):
            layers = Layers(shot.head, shot.features)
            if shot.step < STEPS or length == lengths - 1:
                yield time + shot.step * rate, shot
        time, rate = time + STEPS * rate, 2 * rate


def aligned(start: World, length: float, train_features: bool = True) -> Layers:
    """Return the models that training on right labels makes of the base, with the base as reference."""
    run = training(
        *start[:2], start.base, start.base, until=length, lengths=LENGTH_STEPS, train_features=train_features
    )
    *_, (_, end) = run
    return Layers(end.head, end.features)


def clock(times: list[float], falling: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    """Return the first time at which each column of `falling` is at its level or below; inf where it never is.

    Between two rows the time is interpolated in a straight line.
    """
    below = falling <= level
    after = np.argmax(below, axis=0)
    before = np.maximum(after - 1, 0)
    columns = np.arange(falling.shape[1])
    high, low, time = falling[before, columns], falling[after, columns], np.asarray(times)
    drop = np.where(high > low, high - low, 1.0)
    found = time[before] + (time[after] - time[before]) * np.clip((high - level) / drop, 0, 1)
    return np.where(below.any(axis=0), found, np.inf)


def _base_layers(rng: np.random.Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a head of the given length in a random direction, and features that keep lengths on average."""
    head = rng.standard_normal(width)
    return HEAD * head / np.linalg.norm(head), rng.standard_normal((width, INPUTS)) / np.sqrt(width)
