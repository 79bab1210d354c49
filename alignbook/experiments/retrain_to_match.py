r"""Retrain to match: one law on letters climbs to the optimum, another imitates best-of-N; where does each of them end?

Either policy writes n letters independently from one law, the same at every place: reference and reward treat all
places alike, so do the optimum and best-of-N, and a law for each place would only learn the same n times over.

The climb follows $J/\beta = a\, E_\pi\, r - D(\pi \| p)$ a letter, which is $-D(\pi \| \phi_\delta)$ and a constant;
imitation follows $E_{\pi_N} \log \pi(y) / n$, which is $-D(m \| \pi)$ and a constant, with m the share of each letter
among best-of-N's. Near its end either is as curved as the other: one learning rate serves both.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from alignbook.arrays import Array, log_softmax, namespace, to_engine
from alignbook.asymptotics import aligned_letter
from alignbook.best_of_n import best_of_n
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, LETTERS
from alignbook.experiments.running_example import RATE as START_RATE
from alignbook.gradient_estimators import penalized_reward, rloo_advantages
from alignbook.information import expectation, kl_divergence
from alignbook.tilting import Tilted
from alignbook.type_classes import log_class_probability, types

ARMS = ("policy gradient", "imitation")
TEACHER = "best-of-N"
SEEDS = 256
FRAMES = 20
STRIDE = 10  # steps between two chances to stop, some 5 ms of work
TOLERANCE = 0.03  # of the teacher's gain or KL: what is nearer counts as the same

LENGTH = Number("length", "Letters n", 2, 300, 30, log=True, grid=(3, 10, 30, 100, 300))
RATE = Number("rate", "Nats a letter", 0.01, 1.0, START_RATE, log=True, grid=(0.03, 0.1, 0.3))
LEARNING_RATE = Number("learning_rate", "Learning rate", 0.03, 3.0, 0.3, log=True)
GROUP_SIZE = Number("group_size", "Answers a step K", 2, 16, 4, log=True)
STEPS = Number("steps", "Steps", 20, 2000, 200, log=True)


class Teacher(NamedTuple):
    """Best-of-N of n letters: counts of the letters, its law over them, and what it earns and costs a letter."""

    counts: np.ndarray
    log_p: np.ndarray
    letter: np.ndarray
    reward: float
    kl: float


def teacher(length: int, rate: float) -> Teacher:
    """Return best-of-N at N = e^(length rate), by types: at length 300 the draws themselves would be 10^13."""
    counts = types(len(LETTERS), length)
    ref = log_class_probability(LETTER_LOG_P, counts)
    law = best_of_n(ref, counts @ LETTER_REWARD, log_n=length * rate)
    letter = np.exp(law) @ counts / length
    return Teacher(counts, law, letter, letter @ LETTER_REWARD, kl_divergence(law, ref) / length)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield both arms' gain and KL so far, as quantiles over the seeds, after the values they are held against."""
    goal = aligned_letter(LETTER_LOG_P, LETTER_REWARD, settings["rate"])
    taught = teacher(settings["length"], settings["rate"])
    randoms = np.random.default_rng(seed).spawn(2)
    arms = climb(goal, settings, randoms[0], engine), imitate(taught, settings, randoms[1], engine)
    every = min(STRIDE, max(1, round(settings["steps"] / 100)))
    ticks = round(settings["steps"] / every)
    moments = {1} | {round(ticks * (k / FRAMES) ** 2) for k in range(FRAMES + 1)}
    table: Table = {name: [] for name in ("part", "step", "progress", "name", *_SPREAD)}
    _add_ends(table, taught, goal)
    frame = so_far(table)
    for step, laws in enumerate(itertools.islice(zip(*arms, strict=True), ticks * every + 1)):
        if step % every == 0:
            if step // every in moments:
                _add_courses(table, step, step / every / ticks, laws, goal)
                frame = so_far(table)
            yield frame  # also where nothing is new: whoever pulls may stop here


def climb(goal: Tilted, settings: Settings, random: np.random.Generator, engine: str) -> Iterator[Array]:
    """Yield the letter laws of all runs before each step of the policy gradient."""
    ref, reward, logits = (to_engine(x, engine) for x in (LETTER_LOG_P, LETTER_REWARD / goal.beta, _starts()))
    while True:
        log_p = log_softmax(logits)
        yield log_p
        # of a whole answer its counts are all that reward and score see
        own = np.exp(log_p.tolist())[:, None, :]
        counts = random.multinomial(settings["length"], own, size=(SEEDS, settings["group_size"]))
        value = penalized_reward(log_p, ref, reward, 1.0)  # in units of beta
        logits = logits + settings["learning_rate"] * estimate(log_p, value, to_engine(counts, engine))


def estimate(log_p: Array, value: Array, counts: Array) -> Array:
    r"""Return $\frac1{nK} \sum_i A_i \nabla_\theta \log \pi(y_i)$ a run, with RLOO's advantages of whole answers.

    Values of letters add up to the answer's; its score is $\sum_j (e_{y_j} - \pi) = c - n \pi$, c the counts.
    """
    xp = namespace(log_p)
    advantages = rloo_advantages(xp.matmul(counts, value[..., None])[..., 0])
    share = xp.matmul(advantages[:, None, :], counts)[:, 0, :] / xp.sum(counts, axis=(-2, -1))[:, None]
    return share - xp.exp(log_p) * xp.sum(share, axis=-1, keepdims=True)


def imitate(taught: Teacher, settings: Settings, random: np.random.Generator, engine: str) -> Iterator[Array]:
    """Yield the letter laws of all runs before each step up the mean log-probability of answers that best-of-N kept.

    An answer is drawn by its type, straight from best-of-N's exact law over types: of the N answers beside it, and of
    the order of its own letters, a law on letters sees nothing.
    """
    up_to = np.cumsum(np.exp(taught.log_p))
    shape = (SEEDS, settings["group_size"])
    logits = to_engine(_starts(), engine)
    while True:
        log_p = log_softmax(logits)
        yield log_p
        kept = np.searchsorted(up_to, up_to[-1] * random.random(shape), side="right")
        share = to_engine(taught.counts[kept].mean(axis=1) / settings["length"], engine)
        logits = logits + settings["learning_rate"] * (share - namespace(log_p).exp(log_p))


def describe(table: Table, settings: Settings) -> str:
    """Say where both arms are, where best-of-N is, and how many answers that took."""
    ends = {name: rows(table, name)[-1] for name in (*ARMS, TEACHER)}
    climbed, copied, kept = (f"{gain:.1%} and {kl:.1%}" for gain, kl in ends.values())
    step = table["step"][-1]
    if not step:
        return f"Both policies start at the reference; best-of-N has {kept} of the optimum's gain and KL."
    seen = step * settings["group_size"]
    drawn = seen * np.exp(settings["length"] * settings["rate"])
    return (
        f"Gain and KL, of the optimum's, after {step} steps: policy gradient {climbed}, imitation {copied} (medians); "
        f"best-of-N itself {kept}. Each run saw {seen} answers, an imitator's are the best of {_short(drawn)}."
    )


def rows(table: Table, name: str) -> list[tuple[float, float]]:
    """Return gain and KL in the rows of an arm's course, or of the teacher."""
    part = "end" if name == TEACHER else "course"
    columns = (table[key] for key in ("part", "name", "gain", "kl"))
    return [(gain, kl) for where, who, gain, kl in zip(*columns, strict=True) if (where, who) == (part, name)]


OPTIONS = (
    "less reward",
    "same reward, less KL",
    "same reward, same KL",
    "same reward, more KL",
    "more reward",
)


def end_of_imitation(table: Table, settings: Settings) -> int:
    """Return the option that compares the imitator with its teacher."""
    (gain, kl), (taught, cost) = rows(table, "imitation")[-1], rows(table, TEACHER)[-1]
    if abs(gain - taught) > TOLERANCE * taught:
        return 4 if gain > taught else 0
    return 2 if abs(kl - cost) <= TOLERANCE * cost else 1 if kl < cost else 3


EXPERIMENT = Experiment(
    question="Does imitating best-of-N match the optimum?",
    parameters=(LENGTH, RATE, LEARNING_RATE, GROUP_SIZE, STEPS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Answers have 30 letters. Best-of-20 keeps the one of 20 whose total reward is the highest; how its "
            "letters turn out then depends on one another. A policy with one law on letters, the same at every place, "
            "is trained to imitate what was kept. What does it have in the end, compared with best-of-20 itself?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=end_of_imitation,
        why=(
            "The reward adds up over the letters, so its mean depends on how often each letter stands there, and "
            "nothing else: that imitation learns, up to noise. What it cannot learn, how the letters depend on one "
            "another, costs best-of-20 nats and earns it nothing."
        ),
    ),
)

_SPREAD = ("gain", "gain low", "gain high", "kl", "kl low", "kl high")


def _starts() -> np.ndarray:
    return np.tile(LETTER_LOG_P, (SEEDS, 1))


def _shares(log_p: np.ndarray, goal: Tilted) -> np.ndarray:
    """Return the gain of letter laws, of the optimum's, and their KL, of the optimum's."""
    return np.stack([_gain(expectation(log_p, LETTER_REWARD), goal), kl_divergence(log_p, LETTER_LOG_P) / goal.kl])


def _gain(reward: Array, goal: Tilted) -> Array:
    start = expectation(LETTER_LOG_P, LETTER_REWARD)
    return (reward - start) / (goal.reward - start)


def _add_ends(table: Table, taught: Teacher, goal: Tilted) -> None:
    """Append where both arms end without noise, and what best-of-N itself has."""
    best = float(_gain(taught.reward, goal)), float(taught.kl / goal.kl)
    ends = (1.0, 1.0), _shares(np.log(taught.letter), goal).tolist(), best
    for name, (gain, kl) in zip((*ARMS, TEACHER), ends, strict=True):
        add_row(table, ("end", 0, 1.0, name, gain, None, None, kl, None, None))


def _add_courses(table: Table, step: int, progress: float, laws: tuple[Array, ...], goal: Tilted) -> None:
    """Append both arms' gain and KL, each with the median and the 5 and 95 % quantiles over the seeds."""
    for name, log_p in zip(ARMS, laws, strict=True):
        spread = np.quantile(_shares(np.asarray(log_p.tolist()), goal), [0.5, 0.05, 0.95], axis=-1)
        add_row(table, ("course", step, progress, name, *spread.T.ravel().tolist()))


def _short(count: float) -> str:
    return f"{count:,.0f}" if count < 1e6 else f"10^{np.log10(count):.0f}"
