"""Is near-optimal near? The farthest policy with the optimum's budget and almost its reward."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table
from alignbook.information import expectation, kl_divergence
from alignbook.tilting import tilt, tilt_to_kl

ANSWERS = ("Canberra", "It is Canberra", "I don't know", "Sydney")
REF_LOG_P = np.log([0.2, 0.2, 0.2, 0.4])
REWARD = np.array([1.0, 0.99, 0.6, 0.0])

BETA = Number(
    "beta",
    "beta",
    low=0.001,
    high=1.0,
    start=0.01,
    unit="reward per nat",
    log=True,
    grid=(0.001, 0.002, 0.004, 0.007, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.4, 0.7, 1.0),
)
SHORTFALL = Number("shortfall", "Reward given up", low=0.0005, high=0.1, start=0.01, log=True)


def farthest(ref_log_p: Array, reward: Array, beta: float, shortfall: float) -> Array:
    r"""Return the policy farthest from the tilt in total variation, within its budget and near its reward.

    That is, with no larger divergence from the reference than the tilt's, and a mean reward at most `shortfall` lower.
    The distance is the largest $\pi(S) - \pi_\beta(S)$ over sets S of answers, and for one set this is a
    KL-constrained optimum for the reward $1_S + \mu r$: the multiplier $\mu \ge 0$ is bisected for all sets at once.
    """
    xp = namespace(ref_log_p)
    optimum = tilt(ref_log_p, reward, beta)
    budget, floor = kl_divergence(optimum, ref_log_p), expectation(optimum, reward) - shortfall
    sets = xp.asarray(list(itertools.product((0.0, 1.0), repeat=reward.shape[-1]))[1:-1], dtype=reward.dtype)
    low, high = 1e-4 * xp.ones_like(sets[:, :1]), 1e4 * xp.ones_like(sets[:, :1])
    for _ in range(26):
        middle = xp.sqrt(low * high)
        enough = expectation(tilt_to_kl(ref_log_p, sets + middle * reward, budget).log_p, reward) >= floor
        low, high = xp.where(enough[:, None], low, middle), xp.where(enough[:, None], middle, high)
    least, most = (tilt_to_kl(ref_log_p, sets + multiplier * reward, budget).log_p for multiplier in (low, high))
    # At a tie of the combined reward the optimum jumps; between the two sides every mixture is as far.
    lack, rise = floor - expectation(least, reward), expectation(most, reward) - expectation(least, reward)
    weight = xp.clip(lack / xp.where(rise > 0, rise, 1.0), 0.0, 1.0)[:, None]
    laws = weight * xp.exp(most) + (1 - weight) * xp.exp(least)
    apart = xp.sum(laws * sets, axis=-1) - expectation(optimum, sets)
    law = laws[int(xp.argmax(apart))]
    return xp.where(law > 0, xp.log(xp.where(law > 0, law, 1.0)), -math.inf)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the two laws, and their distance beside what the corollary and Pinsker allow."""
    ref, reward = to_engine(REF_LOG_P, engine), to_engine(REWARD, engine)
    beta, shortfall = settings["beta"], settings["shortfall"]
    optimum, far = tilt(ref, reward, beta), farthest(ref, reward, beta, shortfall)
    laws = [[math.exp(float(x)) for x in law] for law in (optimum, far)]
    moved = sum(abs(p - q) for p, q in zip(*laws, strict=True)) / 2
    nats = [shortfall / b for b in BETA.grid]
    allowed = [min(1.0, math.sqrt(most / 2)) for most in nats]
    grid = len(BETA.grid)
    yield {
        "part": ["law"] * 8 + ["bound"] * grid + ["point"],
        "answer": [*ANSWERS, *ANSWERS] + [None] * (grid + 1),
        "law": ["optimum"] * 4 + ["farthest"] * 4 + [None] * (grid + 1),
        "probability": [*laws[0], *laws[1]] + [None] * (grid + 1),
        "beta": [None] * 8 + [*BETA.grid, beta],
        "moved": [None] * 8 + [*allowed, moved],
        "kl": [None] * 8 + [*nats, float(kl_divergence(far, optimum))],
    }


def describe(table: Table, settings: Settings) -> str:
    """Say how far the farthest policy is, in mass and in nats."""
    moved, kl, bound = table["moved"][-1], table["kl"][-1], settings["shortfall"] / settings["beta"]
    return (
        f"At beta {settings['beta']:g} a policy with the optimum's budget and at most {settings['shortfall']:g} less "
        f"reward can have {moved:.3f} of its mass elsewhere. Its divergence from the optimum is {kl:.4g} nat, and "
        f"the corollary allows {bound:.4g}."
    )


EXPERIMENT = Experiment(
    question="Is near-optimal near?",
    parameters=(BETA, SHORTFALL),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "At beta 0.01 a policy spends no more than the optimum and earns at most 0.01 less, on a scale from "
            "0 to 1. How much of its mass can lie elsewhere?"
        ),
        kind="number",
        low=0.0,
        high=1.0,
        answer=lambda table, settings: table["moved"][-1],
        why=(
            "The reward given up is divided by beta: 0.01 of reward at beta 0.01 is a whole nat of divergence, "
            "enough to move half the mass between two answers that the reward can hardly tell apart."
        ),
    ),
    seeded=False,
)
