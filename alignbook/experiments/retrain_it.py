"""Retrain it: a softmax policy climbs to the optimum, step by step, from many seeds at once."""

import itertools
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import ANSWERS, REF_LOG_P, REWARD
from alignbook.policy_gradient import Snapshot, gradient_ascent, largest_stable_rate
from alignbook.tilting import objective, tilt

STARTS = {
    "the reference": REF_LOG_P,
    "all equal": np.zeros(4),
    "sure of Sydney": np.array([0.0, 4.0, 0.0, 0.0]),
}
SEEDS = 256
FRAMES = 20
STRIDE = 200  # steps between two chances to stop, some 10 ms of work

LEARNING_RATE = Number(
    "learning_rate",
    "Learning rate",
    low=0.1,
    high=40.0,
    start=1.0,
    log=True,
    grid=(0.1, 0.3, 1.0, 3.0, 6.0, 8.0, 9.5, 10.5, 16.0, 40.0),
)
BETA = Number(
    "beta",
    "beta",
    low=0.05,
    high=2.0,
    start=0.5,
    unit="reward per nat",
    log=True,
    grid=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
)
START = Choice("start", "Start", tuple(STARTS), "the reference", recorded=False)
NOISE = Number("noise", "Gradient noise", low=0.0, high=1.0, start=0.01)
STEPS = Number("steps", "Steps", low=20, high=100_000, start=200, log=True)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the table so far, which grows at about twenty moments, dense at first: there the answers part."""
    start = np.tile(STARTS[settings["start"]], (SEEDS, 1))
    ref, reward, logits = (to_engine(x, engine) for x in (REF_LOG_P, REWARD, start))
    rates = {"beta": settings["beta"], "learning_rate": settings["learning_rate"], "noise": settings["noise"]}
    every = min(STRIDE, max(1, round(settings["steps"] / 100)))
    ticks = round(settings["steps"] / every)
    moments = {1} | {round(ticks * (k / FRAMES) ** 2) for k in range(FRAMES + 1)}
    climb = gradient_ascent(ref, reward, **rates, start_logits=logits, seed=seed, record_every=every)
    table: Table = {name: [] for name in ("step", "progress", "quantity", "low", "middle", "high")}
    frame = table
    for tick, snapshot in enumerate(itertools.islice(climb, ticks + 1)):
        if tick in moments:
            _add_rows(table, snapshot, tick / ticks, best_objective(settings["beta"]))
            frame = so_far(table)
        yield frame  # also where nothing is new: whoever pulls may stop here


def describe(table: Table, settings: Settings) -> str:
    """Say how far the runs have come, how far apart they are, and whether they shake."""
    reached, best = _course(table, "objective")[-1], best_objective(settings["beta"])
    step, spread = table["step"][-1], table["high"][-2] - table["low"][-2]
    settled = f"the median run's objective is {reached:.4f}, {max(best - reached, 0.0):.4f} below the optimum"
    return (
        f"After {step} steps {settled}; nine runs in ten differ by at most {spread:.4f}. "
        f"Steps oscillate beyond a learning rate of {edge(settings['beta']):.3g}."
    )


def best_objective(beta: float) -> float:
    """Return the optimum's objective, beta log Z."""
    return float(objective(tilt(REF_LOG_P, REWARD, beta), REF_LOG_P, REWARD, beta))


def edge(beta: float) -> float:
    """Return the learning rate beyond which steps near the optimum overshoot for ever."""
    return float(largest_stable_rate(REF_LOG_P, REWARD, beta))


def first_to_move(table: Table, settings: Settings) -> int:
    """Return the index of the answer whose probability the first step changes most."""
    courses = [_course(table, answer) for answer in ANSWERS]
    return max(range(len(ANSWERS)), key=lambda i: abs(courses[i][1] - courses[i][0]))


EXPERIMENT = Experiment(
    question="How does training reach the optimum?",
    parameters=(LEARNING_RATE, BETA, START, NOISE, STEPS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question="Training starts at the reference. Which answer's probability changes fastest at first?",
        kind="choice",
        options=ANSWERS,
        answer=first_to_move,
        why=(
            "A logit moves in proportion to how likely its answer is and how far its reward is from the mean. "
            "Canberra is 0.62 above the mean and Sydney 0.38 below it, but Sydney is twice as likely."
        ),
    ),
)


def _add_rows(table: Table, snapshot: Snapshot, progress: float, best: float) -> None:
    """Append each answer's probability and the objective, as the 5, 50 and 95 % quantiles over the seeds."""
    laws = np.exp(np.asarray(snapshot.log_p.tolist()))
    values = np.column_stack([laws, snapshot.objective.tolist(), np.full(len(laws), best)])
    quantiles = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
    for quantity, (low, middle, high) in zip((*ANSWERS, "objective", "optimum"), quantiles.T.tolist(), strict=True):
        row = (snapshot.step, progress, quantity, low, middle, high)
        add_row(table, row)


def _course(table: Table, quantity: str) -> list[float]:
    return [m for m, name in zip(table["middle"], table["quantity"], strict=True) if name == quantity]
