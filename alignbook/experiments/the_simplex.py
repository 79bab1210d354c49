r"""The simplex: all laws of three letters as a triangle, and where the answers of high reward gather in it.

A row of the table is a law, its shares of good and fair letters in percent, or a number that goes with the picture.
What `value` says of it depends on its part: a letter's reward (corner), a mean reward (reference, q, above), nats
(path, inner, ball, touch), a length (kept), a chance in percent (type, near) or the nats of a chance (rare).
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from alignbook.arrays import Array, log_softmax, logsumexp, namespace, to_engine
from alignbook.asymptotics import aligned_letter
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, LETTERS, RATE
from alignbook.information import expectation, variance
from alignbook.tilting import max_kl, tilt_to_kl
from alignbook.type_classes import log_class_probability, types

EXAMPLES = {  # the chances of the letters, and q, whose logarithm is their reward
    "good, fair, poor": (np.exp(LETTER_LOG_P), np.exp(LETTER_REWARD)),
    "all letters alike": (np.full(3, 1 / 3), np.exp(LETTER_REWARD)),
    "good is rare": (np.array([0.02, 0.38, 0.6]), np.exp(LETTER_REWARD)),
    "good and fair tie": (np.array([0.15, 0.25, 0.6]), np.array([0.45, 0.45, 0.1])),
}
SHELLS = (("inner", 0.25, 12), ("ball", 1.0, 36))  # share of the rate, points of the edge: a quarter is half as wide
PATH = 14  # steps of the path, to the best letter's corner
NEAR = 0.1  # total variation from the touching point that counts as near
LEAST = 0.04  # types are drawn down to this share of the likeliest one's chance

NATS = Number("rate", "Ball radius", 0.02, 0.8, RATE, unit="nats", log=True, grid=(0.05, 0.1, 0.2, 0.4, 0.8))
LENGTH = Number("length", "Length", 5, 200, 100, unit="letters", log=True, grid=(5, 10, 20, 50, 100, 200))
EXAMPLE = Choice("example", "Letters", tuple(EXAMPLES), "good, fair, poor")


class Kept(NamedTuple):
    """The answers that reach a mean reward: their types, the types' chances among them, how rare they all are."""

    shares: Array
    log_p: Array
    nats: float


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the triangle, the ball as it grows, the line it touches, and the answers beyond, ever longer."""
    ref, reward = (to_engine(np.log(law), engine) for law in EXAMPLES[settings["example"]])
    rate, length = settings["rate"], settings["length"]
    table: Table = {name: [] for name in ("part", *LETTERS[:2], "value")}
    _add(table, "corner", np.eye(3), reward)
    _add(table, "reference", _shares(ref[None, :]), [expectation(ref, reward)])
    _add(table, "q", _shares(reward[None, :]), [expectation(reward, reward)])
    path = tilt_to_kl(ref, reward, max_kl(ref, reward) * to_engine(np.linspace(0, 1, PATH + 1) ** 2, engine))
    _add(table, "path", _rounded(path.log_p), np.round(path.kl.tolist(), 3))
    yield so_far(table)
    for part, share, points in SHELLS:
        _add(table, part, _rounded(edge(ref, reward, share * rate, points)), [share * rate] * (points + 1))
        yield so_far(table)
    touch = aligned_letter(ref, reward, rate)
    _add(table, "touch", _shares(touch.log_p[None, :]), [touch.kl])
    above = region(np.asarray(reward.tolist()), float(touch.reward))
    _add(table, "above", above, [touch.reward] * len(above))
    yield so_far(table)
    for n in LENGTH.grid:
        if n < length:
            _add_mean(table, kept_types(ref, reward, int(n), touch.reward), n)
            yield so_far(table)
    kept = kept_types(ref, reward, length, touch.reward)
    _add_mean(table, kept, length)
    _add_types(table, kept, np.exp(touch.log_p.tolist()))
    yield table


def edge(ref: Array, reward: Array, radius: float, points: int) -> Array:
    """Return the laws on the edge of the ball $D(T \\| p) \\le$ radius, once around from the reward's own tilt.

    Each is the optimum of some reward at this budget: the rewards run around the circle of those of mean 0 and
    variance 1 under p. Where the ball reaches beyond a corner of the triangle, the edge passes the corner.
    """
    xp = namespace(ref)
    first = (reward - expectation(ref, reward)) / xp.sqrt(variance(ref, reward))
    second = xp.stack([first[i - 2] - first[i - 1] for i in range(3)]) / xp.exp(ref)
    second = second / xp.sqrt(variance(ref, second))  # of mean 0, and uncorrelated with the first
    angle = np.linspace(0, 2 * math.pi, points + 1)[:, None]
    cos, sin = (xp.asarray(turn, dtype=ref.dtype, device=device(ref)) for turn in (np.cos(angle), np.sin(angle)))
    return tilt_to_kl(ref, cos * first + sin * second, radius).log_p


def region(reward: np.ndarray, level: float) -> np.ndarray:
    """Return the corners of $\\{T : E_T\\, r \\ge\\}$ level in the triangle, once around."""
    corners = []
    for i in range(3):
        here, there = reward[i], reward[(i + 1) % 3]
        if here >= level:
            corners.append(np.eye(3)[i])
        if (here - level) * (there - level) < 0:
            share = (level - here) / (there - here)
            corners.append((1 - share) * np.eye(3)[i] + share * np.eye(3)[(i + 1) % 3])
    return np.array([*corners, corners[0]])


def kept_types(ref: Array, reward: Array, length: int, level: Array) -> Kept:
    """Return the types of the answers whose mean reward is at least the level."""
    xp = namespace(ref)
    counts = xp.asarray(types(3, length), device=device(ref))
    shares = xp.astype(counts, ref.dtype) / length
    reached = xp.sum(shares * reward, axis=-1) >= level - 1e-12
    chance = log_class_probability(ref, counts)[reached]
    return Kept(shares[reached, :], log_softmax(chance), -float(logsumexp(chance)))


def describe(table: Table, settings: Settings) -> str:
    """Say where ball and line touch, and how rare and how far from there the answers beyond the line are."""
    if "touch" not in table["part"]:
        return "The ball grows around the reference."
    touch, level = table["part"].index("touch"), table["value"][table["part"].index("above")]
    ball = (
        f"Around p, {_said(table, table['part'].index('reference'))}, the ball of {settings['rate']:g} nats touches "
        f"the line of mean reward {level:.3f} at {_said(table, touch)}."
    )
    if "rare" not in table["part"]:
        return ball
    rare, near = table["value"][-2:]
    return (
        f"{ball} Of answers of {settings['length']} letters one in {_large(rare)} reaches it: on average "
        f"{_said(table, _last_kept(table))}, and {near:.0f}% of them within total variation {NEAR:g} of the touching "
        "point."
    )


def good_letters(table: Table, settings: Settings) -> float:
    """Return the percentage of good letters in the answers that reach the line."""
    return table["good"][_last_kept(table)]


EXPERIMENT = Experiment(
    question="The simplex: where do the good answers lie?",
    parameters=(NATS, LENGTH, EXAMPLE),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "A letter is good, fair or poor with chances 20%, 50% and 30%; its reward is the logarithm of 0.6, 0.3 or "
            "0.1. Of all answers of 100 letters one in 240,000 has a mean reward of -1.114 or more; -1.39 is usual. "
            "In these few answers, what percentage of the letters is good?"
        ),
        kind="number",
        low=0.0,
        high=100.0,
        unit="%",
        answer=good_letters,
        why=(
            "60% would be q, whose logarithm is the reward, but nothing draws these answers to q. Each way of reaching "
            "the line has its price in nats, and nearly all of them take the cheapest one: the tilt of the reference, "
            "which turns poor letters into good ones, keeps about as many fair ones, and goes no farther than the line."
        ),
    ),
    seeded=False,
)


def _shares(log_p: Array) -> np.ndarray:
    return np.exp(log_p.tolist())


def _rounded(log_p: Array) -> np.ndarray:
    """Return a law for the eye, in tenths of a percent: a record has many of them."""
    return np.round(_shares(log_p), 3)


def _add(table: Table, part: str, laws: np.ndarray, values: Iterable[Any]) -> None:
    for law, value in zip(laws, values, strict=True):
        add_row(table, (part, 100 * float(law[0]), 100 * float(law[1]), float(value)))


def _add_mean(table: Table, kept: Kept, length: float) -> None:
    mean = np.exp(kept.log_p.tolist()) @ np.asarray(kept.shares.tolist())
    _add(table, "kept", mean[None, :], [length])


def _add_types(table: Table, kept: Kept, touch: np.ndarray) -> None:
    """Append the likeliest types, how rare the kept answers are and how many of them are near the touching point."""
    chances, shares = np.exp(kept.log_p.tolist()), np.asarray(kept.shares.tolist())
    heavy = chances >= LEAST * chances.max()
    _add(table, "type", np.round(shares[heavy], 3), np.round(100 * chances[heavy], 2))
    near = np.abs(shares - touch).sum(axis=-1) / 2 <= NEAR
    add_row(table, ("rare", None, None, kept.nats))
    add_row(table, ("near", None, None, 100 * float(chances[near].sum())))


def _said(table: Table, row: int) -> str:
    good, fair = table["good"][row], table["fair"][row]
    return f"good {good:.1f}, fair {fair:.1f}, poor {abs(100 - good - fair):.1f}%"


def _last_kept(table: Table) -> int:
    return max(row for row, part in enumerate(table["part"]) if part == "kept")


def _large(nats: float) -> str:
    """Return e to the nats, in two digits, or as a power of e where zeros would have to be counted."""
    return f"{float(f'{math.exp(nats):.2g}'):,g}" if nats < math.log(1e6) else f"e^{nats:.1f}"
