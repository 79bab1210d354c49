"""What does a nat buy? The tilt at a budget or at a beta, and where it stands on the frontier."""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, log_softmax, to_engine
from alignbook.experiments.declare import (
    Choice,
    Experiment,
    Number,
    Prediction,
    Settings,
    Table,
    Vector,
    entries_of,
)
from alignbook.experiments.running_example import ANSWERS, REF_LOG_P, REWARD
from alignbook.information import expectation, kl_divergence
from alignbook.tilting import condition_on_best, tilt, tilt_to_kl

REFERENCES = Vector(
    name="reference",
    label="Reference",
    entries=ANSWERS,
    low=0.001,
    high=1.0,
    presets={
        "our assistant": tuple(np.exp(REF_LOG_P).round(12).tolist()),
        "the newcomer": (0.01, 0.6, 0.3, 0.09),
        "even": (0.25, 0.25, 0.25, 0.25),
    },
    start="our assistant",
)
REWARDS = Vector(
    name="reward",
    label="Reward",
    entries=ANSWERS,
    low=-1.0,
    high=5.0,
    presets={
        "honest": tuple(REWARD.tolist()),
        "tied": (1.0, 0.0, 1.0, 0.0),
        "jackpot": (5.0, 0.0, 0.6, 0.0),
    },
    start="honest",
)
DIAL = Choice("dial", "What you set", ("budget", "beta"), "budget")
KL_BUDGET = Number(
    "kl_budget",
    "KL budget",
    low=0.0,
    high=3.0,
    start=0.1,
    unit="nats",
    grid=(0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4),
    when=("dial", "budget"),
)
BETA = Number(
    "beta",
    "beta",
    low=0.05,
    high=5.0,
    start=0.5,
    unit="reward per nat",
    log=True,
    grid=(0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
    when=("dial", "beta"),
)
BUDGETS = np.concatenate([[0.0, 0.0125, 0.025, 0.05, 0.075], np.linspace(0.1, 3.0, 30)])


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the bars of both laws, the frontier, where it has all the gain, and the point on it."""
    weights = np.array(entries_of(REFERENCES, settings["reference"]))
    ref = log_softmax(to_engine(np.log(weights), engine))
    reward = to_engine(entries_of(REWARDS, settings["reward"]), engine)
    law, beta = _dialed(ref, reward, settings)
    frontier = tilt_to_kl(ref, reward, to_engine(BUDGETS, engine))
    only_best = condition_on_best(ref, reward)
    start, best = float(expectation(ref, reward)), float(expectation(only_best, reward))
    gains = [float(x) - start for x in (*frontier.reward, best, expectation(law, reward))]
    points = len(gains)
    yield {
        "part": ["law"] * 8 + ["frontier"] * (points - 2) + ["all", "point"],
        "answer": [*ANSWERS, *ANSWERS] + [None] * points,
        "law": ["reference"] * 4 + ["tilt"] * 4 + [None] * points,
        "probability": [*_probabilities(ref), *_probabilities(law)] + [None] * points,
        "kl": [None] * 8 + BUDGETS.tolist() + [float(kl_divergence(p, ref)) for p in (only_best, law)],
        "gain": [None] * 8 + gains,
        "share": [None] * 8 + [gain / (best - start) if best > start else 0.0 for gain in gains],
        "beta": [None] * (7 + points) + [beta if beta < math.inf else None],
    }


def _dialed(ref: Array, reward: Array, settings: Settings) -> tuple[Array, float]:
    """Return the tilt that the reader has set, and its beta: inf for the reference, 0 once only the best is left."""
    if settings["dial"] == "beta":
        return tilt(ref, reward, settings["beta"]), settings["beta"]
    found = tilt_to_kl(ref, reward, settings["kl_budget"])
    return found.log_p, float(found.beta)


def describe(table: Table, settings: Settings) -> str:
    """Say what is spent, at which price if that was not set, what it buys and who gains most."""
    before, after = table["probability"][:4], table["probability"][4:8]
    winner = max(range(4), key=lambda i: after[i] - before[i])
    by_beta = settings["dial"] == "beta"
    dial = f"Beta {settings['beta']:g}" if by_beta else f"A budget of {settings['kl_budget']:g} nats"
    price = "" if by_beta or table["beta"][-1] is None else f", at beta {table['beta'][-1]:.3g},"
    return (
        f"{dial} spends {table['kl'][-1]:.3f} nats{price} and gains {table['gain'][-1]:.3f} of mean reward, "
        f"{table['share'][-1]:.0%} of all that can be gained. "
        f"{ANSWERS[winner]} goes from {before[winner]:.3f} to {after[winner]:.3f}."
    )


def growth(table: Table, settings: Settings) -> float:
    """Return how many times the gain at 0.1 nat the frontier reaches at 0.4 nat."""
    frontier = slice(8, -2)
    low, high = np.interp([0.1, 0.4], table["kl"][frontier], table["gain"][frontier])
    return float(high / low)


EXPERIMENT = Experiment(
    question="What does a nat buy?",
    parameters=(KL_BUDGET, BETA, DIAL, REFERENCES, REWARDS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question="A budget of 0.1 nat buys some gain. How many times that gain does 0.4 nat buy?",
        kind="number",
        low=1.0,
        high=8.0,
        unit="times",
        answer=growth,
        why=(
            "Near the reference the KL divergence grows with the square of the change, and the gain only in "
            "proportion to it: four times the nats allow a change twice as large."
        ),
    ),
    seeded=False,
)


def _probabilities(log_p: Array) -> list[float]:
    return [float(np.exp(float(x))) for x in log_p]
