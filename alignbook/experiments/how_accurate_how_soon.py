"""How accurate, how soon? Heads for every distinguishability and noise, all trained at once, beside their guarantee."""

import itertools
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import accuracy_lower_bound, gradient_descent, normal_cdf
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table
from alignbook.experiments.running_example import BETA, FEATURES, LEARNING_RATE

DELTAS, NOISES = 0.25 * np.arange(1, 17), 0.1 * np.arange(1, 17)  # 256 heads
LEVEL = 0.9
ASKED_NOISE = 0.5
REWARD, POLICY = "reward", "policy"
COLUMNS = "part", "delta", "noise", "accuracy"

TIME = Number("time", "Time", low=1, high=300, start=10, log=True, grid=(1, 3, 10, 30, 100))
ACCURACY = Choice("accuracy", "Accuracy", (REWARD, POLICY), REWARD)
STATEMENTS = Number("statements", "Statements", low=10, high=500, start=200, log=True, grid=(20, 200))
BOUNDARY = Number("boundary", "Starting boundary", low=0.0, high=5.0, start=1.0)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield nothing while the heads are trained, then their accuracies and where measured and promised reach 90 %."""
    delta, noise = (to_engine(grid.ravel(), engine) for grid in np.meshgrid(DELTAS, NOISES))
    b = delta[:, None, None] * to_engine(np.eye(1, FEATURES), engine)
    data = behaviors(b, noise, num_statements=settings["statements"], seed=seed)
    length = settings["boundary"] if settings["accuracy"] == POLICY else 0.0
    boundary = length * to_engine(np.eye(1, FEATURES, 1)[0], engine)
    steps = round(settings["time"] / LEARNING_RATE)
    for shot in itertools.islice(gradient_descent(data, BETA, LEARNING_RATE), steps + 1):
        if shot.step < steps:
            yield {name: [] for name in COLUMNS}
            continue
        found = accuracy(shot.change + boundary, b[:, 0], noise)
        yield _table(found, promise(data, b[:, 0], noise, shot.time, length))


def accuracy(head: Array, difference: Array, noise: Array) -> Array:
    r"""Return the share of all statements there are that a head gets right, $\Phi(x \cdot b / (2 s \|x\|))$."""
    xp = namespace(head)
    towards = xp.sum(head * difference, axis=-1) / 2
    return normal_cdf(towards / (noise * xp.linalg.vector_norm(head, axis=-1)))


def promise(data: Behaviors, difference: Array, noise: Array, time: Array, boundary_length: float) -> Array:
    """Return the guarantee for heads trained on these statements, their gap and second moment taken as they are."""
    xp = namespace(difference)
    mean = xp.mean(data.labels[..., None] * data.embeddings, axis=-2)[:, 0]
    gap = xp.linalg.vector_norm(mean - difference / 2, axis=-1)
    delta = xp.linalg.vector_norm(difference, axis=-1)
    return accuracy_lower_bound(
        time, BETA, delta, noise, second_moment(data), boundary_length=boundary_length, finite_sample_gap=gap
    )


def second_moment(data: Behaviors) -> Array:
    """Return the largest eigenvalue of the mean of h h' over the statements of each data set of one behavior."""
    embeddings = data.embeddings[:, 0]
    return namespace(embeddings).linalg.matrix_norm(embeddings, ord=2) ** 2 / embeddings.shape[-2]


def _table(found: Array, promised: Array) -> Table:
    heads = [("head", delta, noise) for noise in NOISES.tolist() for delta in DELTAS.tolist()]
    edges = {"measured": crossings(found), "promised": crossings(promised)}
    for part, ends in edges.items():
        heads += [(part, end, noise) for end, noise in zip(ends, NOISES.tolist(), strict=True)]
    part, delta, noise = (list(column) for column in zip(*heads, strict=True))
    filled = found.tolist() + [None] * (len(part) - found.shape[0])
    return dict(zip(COLUMNS, (part, delta, noise, filled), strict=True))


def crossings(found: Array) -> list[float | None]:
    """Return, for each noise, the least distinguishability from which on all heads reach 90 %, between the grid's."""
    rows = np.reshape(found.tolist(), (len(NOISES), len(DELTAS)))
    ends: list[float | None] = []
    for row in rows:
        below = np.flatnonzero(row < LEVEL)
        last = int(below[-1]) if len(below) else -1
        if last == len(DELTAS) - 1:
            ends.append(None)
        elif last < 0:
            ends.append(float(DELTAS[0]))
        else:
            share = (LEVEL - row[last]) / (row[last + 1] - row[last])
            ends.append(float(DELTAS[last] + share * (DELTAS[last + 1] - DELTAS[last])))
    return ends


def edge(table: Table, part: str) -> float | None:
    """Return where a part of the table reaches 90 % at the noise that the question asks about."""
    ends = [
        delta
        for name, delta, noise in zip(table["part"], table["delta"], table["noise"], strict=True)
        if name == part and abs(noise - ASKED_NOISE) < 1e-9
    ]
    return ends[0] if ends else None


def describe(table: Table, settings: Settings) -> str:
    """Say how many heads are right on 90 %, and where that begins and where it is promised."""
    found = [value for value in table["accuracy"] if value is not None]
    if not found:
        return f"{len(DELTAS) * len(NOISES)} heads are being trained."
    good = sum(value >= LEVEL for value in found)
    measured, promised = (edge(table, part) for part in ("measured", "promised"))
    begins = "no head" if measured is None else f"heads from Δ = {measured:.2f} on"
    says = "promises it to none" if promised is None else f"promises it from Δ = {promised:.2f} on"
    return (
        f"At time {settings['time']:g}, {good} of {len(found)} heads have a {settings['accuracy']} accuracy of 90 % on "
        f"new statements. At noise {ASKED_NOISE:g} it is {begins}; the guarantee {says}."
    )


EXPERIMENT = Experiment(
    question="How accurate, how soon?",
    parameters=(TIME, ACCURACY, STATEMENTS, BOUNDARY),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Noise of standard deviation 0.5 in each of 32 directions, heads trained on 200 statements. From which "
            "distinguishability on is the reward accuracy on new statements 90 %?"
        ),
        kind="number",
        low=0.25,
        high=4.0,
        answer=lambda table, settings: edge(table, "measured"),
        why=(
            "A statement is on the wrong side if its noise along one direction exceeds half of Δ. One draw in ten "
            "exceeds 1.28 deviations, so Δ must be 2.56 times 0.5, or 1.28. The 32 directions cost a little: "
            "the noise of 200 statements turns the head somewhat astray."
        ),
    ),
)
