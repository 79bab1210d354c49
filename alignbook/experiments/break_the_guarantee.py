"""Break the guarantee: which of its assumptions can go, and which cannot; heads for twelve noises, trained at once."""

import itertools
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.behaviors import Behaviors, behaviors, distinguishability, gaussian_noise, laplace_noise
from alignbook.dynamics import accuracy_lower_bound, gradient_descent
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table
from alignbook.experiments.how_accurate_how_soon import second_moment
from alignbook.experiments.running_example import BETA, FEATURES, LEARNING_RATE

DELTA, LARGE = 1.0, 3.0
NOISES = np.array([0.1, 0.13, 0.17, 0.22, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.4, 2.0])
FRESH = 10_000  # new statements
ASKED = 0.1, 1.0  # the noises that the question compares

TAILS = {"Gaussian": gaussian_noise, "Laplace": laplace_noise}
COMMON_MEANS = {"none": (0.0, 0.0), "1, along Δ": (DELTA, 0.0), "3, across it": (0.0, LARGE)}
SHARES = {"half": 0.5, "nine in ten": 0.9}
BOUNDARIES = {"none": 0.0, "against Δ": -2.0}

TIME = Number("time", "Time", low=1, high=300, start=10, log=True, grid=(10, 100))
COMMON_MEAN = Choice("common_mean", "Common mean", tuple(COMMON_MEANS), "1, along Δ")
SHARE = Choice("share", "Share of Yes", tuple(SHARES), "half")
STATEMENTS = Number("statements", "Training statements", low=10, high=400, start=200, log=True, grid=(20, 200))
NOISE_LAW = Choice("noise_law", "Noise", tuple(TAILS), "Gaussian")
BOUNDARY = Choice("boundary", "Starting boundary", tuple(BOUNDARIES), "none")
COLUMNS = "noise", "promised", "reward", "policy", "training"


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield nothing while the heads are trained, then the shares of wrong answers and what was promised at most.

    New statements show the behavior half of the time. The promise takes the distance Δ as it is measured.
    """
    axes = to_engine(np.eye(2, FEATURES), engine)
    along, across = COMMON_MEANS[settings["common_mean"]]
    center, b = along * axes[0] + across * axes[1], DELTA * axes[:1]
    noise, draw = to_engine(NOISES, engine), TAILS[settings["noise_law"]]
    data = behaviors(b, noise, num_statements=settings["statements"], common_mean=center,
                     positive_share=SHARES[settings["share"]], noise_draw=draw, seed=seed)  # fmt: skip
    boundary = BOUNDARIES[settings["boundary"]] * axes[0]
    fresh = behaviors(0 * b, 1.0, num_statements=FRESH, noise_draw=draw, seed=seed + 1)
    steps = round(settings["time"] / LEARNING_RATE)
    for shot in itertools.islice(gradient_descent(data, BETA, LEARNING_RATE, boundary=boundary), steps + 1):
        if shot.step < steps:
            yield {name: [] for name in COLUMNS}
            continue
        measured = distinguishability(data.embeddings, data.labels)[:, 0]
        promised = accuracy_lower_bound(shot.time, BETA, measured, noise, second_moment(data))
        heads = shot.change, shot.change + boundary
        wrong = [wrong_share(head, center, b[0], noise, fresh) for head in heads]
        columns = (noise, 1 - promised, *wrong, 1 - shot.reward_accuracy[:, 0])
        yield {name: column.tolist() for name, column in zip(COLUMNS, columns, strict=True)}


def wrong_share(head: Array, center: Array, difference: Array, noise: Array, unit: Behaviors) -> Array:
    """Return the share of new statements each head gets wrong; `unit` has their labels and noise of deviation 1."""
    xp = namespace(head)
    labels, middle, half = unit.labels[0], xp.matmul(head, center), xp.matmul(head, difference) / 2
    astray = noise[:, None] * xp.matmul(head, xp.matrix_transpose(unit.embeddings[0]))
    wrong = half[:, None] + labels * (middle[:, None] + astray) <= 0
    return xp.mean(xp.astype(wrong, noise.dtype), axis=-1)


def describe(table: Table, settings: Settings) -> str:
    """Say at how many noises the promise was broken, and what became of it at the two that the question compares."""
    if not table["noise"]:
        return f"{len(NOISES)} heads are being trained."
    least, more = (_words(table, table["noise"].index(noise)) for noise in ASKED)
    broken = [s for s, wrong, most_wrong in zip(table["noise"], table["reward"], table["promised"], strict=True)
              if wrong > most_wrong]  # fmt: skip
    verdict = f"broken at {len(broken)} of {len(NOISES)} noises" if broken else "kept at every noise"
    return f"For reward accuracy the promise is {verdict}. {least} {more}"


def _words(table: Table, place: int) -> str:
    noise, promised, reward, policy, training = (table[name][place] for name in COLUMNS)
    return (
        f"At noise {noise:g} the promise allows {_percent(promised)} to be wrong; found: {_percent(reward)} by reward, "
        f"{_percent(policy)} by policy, {_percent(training)} in training."
    )


def _percent(share: float) -> str:
    return "less than 0.01 %" if 0 < share < 1e-4 else f"{100 * share:.3g} %"


def course(table: Table, settings: Settings) -> int:
    """Return which option the share of wrong answers fulfills as the noise grows from 0.1 to 1."""
    first, last = (table["reward"][table["noise"].index(noise)] for noise in ASKED)
    return 1 if abs(last - first) < 0.02 else 0 if last > first else 2


EXPERIMENT = Experiment(
    question="Break the guarantee",
    parameters=(TIME, COMMON_MEAN, SHARE, STATEMENTS, NOISE_LAW, BOUNDARY),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Two halves at a distance of 1, and both moved by 1 along their difference, so that they lie at 0.5 and "
            "1.5. Noise grows from 0.1 to 1. The share of wrong answers (reward accuracy, new statements)"
        ),
        kind="choice",
        options=("rises", "stays where it is", "falls"),
        answer=course,
        why=(
            "This is for the halves at 0.5 and 1.5. The head learns the direction and has no offset: it says Yes "
            "wherever the embedding points that way, and both halves do. Without noise every No is wrong. Noise throws "
            "some of them across the origin, more than it throws Yes statements."
        ),
    ),
)
