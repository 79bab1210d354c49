"""Which gradient is honest? Two hundred estimates from groups of answers, their average, and the exact gradient."""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table
from alignbook.gradient_estimators import (
    at_answers,
    grpo_advantages,
    mean_baseline_advantages,
    rloo_advantages,
    sample_answers,
    score_gradient,
)
from alignbook.policies import pull_back

ANSWERS = ("Canberra", "Sydney", "I don't know")
LAW = np.array([2.0, 4.0, 3.0]) / 9  # the running example's, without Melbourne
CORNERS = ((0.0, 1.0), (-math.sqrt(0.75), -0.5), (math.sqrt(0.75), -0.5))
ESTIMATES = 200
METHODS = {
    "GRPO": grpo_advantages,
    "RLOO": rloo_advantages,
    "own mean": mean_baseline_advantages,
    "REINFORCE": lambda values: values,
}

GROUP_SIZE = Number(
    "group_size",
    "Group size K",
    low=2,
    high=64,
    start=2,
    unit="answers",
    log=True,
    grid=(2, 3, 4, 8, 16, 32, 64),
)
METHOD = Choice("method", "Method", tuple(METHODS), "GRPO")
HONESTY = Number(
    "honesty",
    "Reward of I don't know",
    low=0.0,
    high=1.0,
    start=0.1,
    grid=(0.1, 0.3, 0.6, 0.9),
)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the estimates as dots in the triangle, and each answer's slope, exact and on average."""
    log_p, reward = to_engine(np.log(LAW), engine), to_engine([1.0, 0.0, settings["honesty"]], engine)
    method, size = METHODS[settings["method"]], settings["group_size"]
    samples = sample_answers(log_p, (ESTIMATES, size), seed)
    drawn = score_gradient(log_p, samples, method(at_answers(reward, samples)))
    exact = pull_back(namespace(log_p).exp(log_p), reward)
    slopes = [_numbers(exact), _numbers(expected(log_p, reward, size, method)), np.mean(_numbers(drawn), axis=0)]
    dots, counts = np.unique(np.round(_numbers(drawn) @ CORNERS, 3) + 0.0, axis=0, return_counts=True)
    arrows = np.stack(slopes) @ CORNERS
    many = len(dots)
    yield {
        "part": ["slope"] * 6 + ["arrow"] * 3 + ["dot"] * many,
        "answer": [*ANSWERS, *ANSWERS] + [None] * (3 + many),
        "source": ["exact"] * 3 + ["average group"] * 3 + ["exact", "average group", "mean of 200"] + [None] * many,
        "slope": [*slopes[0].tolist(), *slopes[1].tolist()] + [None] * (3 + many),
        "x": [None] * 6 + arrows[:, 0].tolist() + dots[:, 0].tolist(),
        "y": [None] * 6 + arrows[:, 1].tolist() + dots[:, 1].tolist(),
        "count": [None] * 9 + counts.tolist(),
    }


def expected(log_p: Array, reward: Array, group_size: int, method) -> Array:
    """Return a method's mean over all groups of this size: a sum over how often each of three answers is drawn."""
    places = np.arange(group_size + 1)
    first, second = (x.ravel() for x in np.meshgrid(places, places, indexing="ij"))
    first, second = first[first + second <= group_size], second[first + second <= group_size]
    counts = np.stack([first, second, group_size - first - second], axis=-1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(places[1:]))])
    xp, device = namespace(log_p), {"device": log_p.device}
    ways = xp.asarray(log_factorial[-1] - log_factorial[counts].sum(axis=-1), dtype=log_p.dtype, **device)
    chance = xp.exp(ways + xp.sum(xp.asarray(counts, dtype=log_p.dtype, **device) * log_p, axis=-1))
    last = np.cumsum(counts, axis=-1)[:, None, :]
    samples = xp.asarray((places[1:, None] > last).sum(axis=-1), **device)
    estimates = score_gradient(log_p, samples, method(at_answers(reward, samples)))
    return xp.sum(chance[:, None] * estimates, axis=0)


def scatter(table: Table) -> float:
    """Return how far a single estimate is from the mean of 200, root mean square, in lengths of the exact gradient."""
    arrows, dots = ([k for k, part in enumerate(table["part"]) if part == name] for name in ("arrow", "dot"))
    exact, _, mean = (np.array([table["x"][k], table["y"][k]]) for k in arrows)
    away = sum(table["count"][k] * ((table["x"][k] - mean[0]) ** 2 + (table["y"][k] - mean[1]) ** 2) for k in dots)
    return math.sqrt(away / ESTIMATES) / float(np.linalg.norm(exact))


def angle(table: Table) -> float:
    """Return the angle between the exact gradient and the average estimate, in degrees."""
    exact, average = np.array(table["slope"][:3]), np.array(table["slope"][3:6])
    cosine = exact @ average / np.linalg.norm(exact) / np.linalg.norm(average)
    return math.degrees(math.acos(min(1.0, cosine)))


def describe(table: Table, settings: Settings) -> str:
    """Say how far the average is turned and stretched, and what becomes of I don't know."""
    exact, average = table["slope"][:3], table["slope"][3:6]
    length = np.linalg.norm(average) / np.linalg.norm(exact)
    return (
        f"{settings['method']} with groups of {settings['group_size']}: the average estimate is {length:.2f} times as "
        f"long as the exact gradient and turned by {angle(table):.1f} degrees; for I don't know it says "
        f"{average[2]:+.3f}, exact is {exact[2]:+.3f}. A single estimate is {scatter(table):.1f} lengths off."
    )


OPTIONS = ("down", "not at all", "up")


def _direction(table: Table, settings: Settings) -> int:
    slope = table["slope"][5]
    return 1 if abs(slope) < 1e-9 else 2 * (slope > 0)


EXPERIMENT = Experiment(
    question="Which gradient is honest?",
    parameters=(GROUP_SIZE, METHOD, HONESTY),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Canberra earns 1, Sydney 0, I don't know 0.1, less than the mean reward of 0.26: the exact gradient "
            "lowers its logit. GRPO draws groups of two and divides by their deviation. On average, where does it "
            "push that logit?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=_direction,
        why=(
            "In a group of two, division leaves only who won. I don't know wins against Sydney, four draws in nine, "
            "and loses against Canberra, two in nine. That the wins are tiny and the losses large is divided away."
        ),
    ),
)


def _numbers(x: Array) -> np.ndarray:
    return np.asarray(x.tolist())
