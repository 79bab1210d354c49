"""Steps too large: one pair, judged by many people who do not all agree; which learning rates raise the loss?"""

import itertools
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.dynamics import dpo_descent
from alignbook.experiments.declare import Experiment, Number, Settings, Table, add_row, so_far
from alignbook.losses import cdpo_loss

PAIR = np.array([[1.0, -1.0]])  # the direction of the pair in a table of two logits
BETA, STEPS, TAIL = 0.5, 60, 10  # TAIL: steps at the end over which the sentence averages
CURVE = np.linspace(-5.0, 7.0, 49)  # margins at which the loss is drawn

# Up to here a run comes to rest or jumps between two margins. Beyond, some settings are chaotic: engines then differ.
FASTEST = 24.0
LEARNING_RATE = Number(
    "learning_rate",
    "Learning rate",
    low=1.0,
    high=FASTEST,
    start=FASTEST,
    grid=(1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0, FASTEST),
)
NOISE = Number("noise", "Share who disagree", low=0.0, high=0.4, start=0.3, grid=(0.0, 0.1, 0.2, 0.3, 0.4))


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the loss as a curve over the margin, then the margins and losses that training runs through."""
    noise = settings["noise"]
    directions = to_engine(np.concatenate([PAIR, -PAIR]), engine)  # chosen by most, and by the others
    weights = to_engine(np.array([1 - noise, noise]), engine)
    heights = cdpo_loss(to_engine(CURVE, engine), noise).tolist()
    unnumbered = [None] * len(CURVE)
    table: Table = {"part": ["curve"] * len(CURVE), "step": unnumbered, "margin": CURVE.tolist(), "loss": heights}
    training = dpo_descent(directions, BETA, settings["learning_rate"], weights=weights)
    for snapshot in itertools.islice(training, STEPS + 1):
        margin = snapshot.margin[:1]
        row = ("path", snapshot.step, *margin.tolist(), *cdpo_loss(margin, noise).tolist())
        add_row(table, row)
        if snapshot.step % 10 == 0:
            yield so_far(table)


def edge(noise: float) -> float:
    """Return the learning rate beyond which steps near the lowest loss overshoot for ever; inf without a lowest loss.

    It is two over the curvature there, which is beta² times the squared length of the pair times noise (1 - noise).
    """
    curvature = BETA**2 * float((PAIR**2).sum()) * noise * (1 - noise)
    return 2 / curvature if curvature else float("inf")


def describe(table: Table, settings: Settings) -> str:
    """Say where the loss ends, and beyond which learning rate it never settles."""
    path = [loss for part, loss in zip(table["part"], table["loss"], strict=True) if part == "path"]
    end, limit = path[-TAIL:], edge(settings["noise"])
    settles = (
        f"Beyond a learning rate of {limit:.3g} it never settles" if np.isfinite(limit) else "No rate is too large"
    )
    return (
        f"Learning rate {settings['learning_rate']:.3g}, {settings['noise']:.0%} disagree: the loss goes from "
        f"{path[0]:.3f} to {sum(end) / len(end):.3f}, the mean of its last {len(end)} steps, which lie between "
        f"{min(end):.3f} and {max(end):.3f}. {settles}."
    )


EXPERIMENT = Experiment(
    question="Can training raise the loss above 0.693?",
    parameters=(LEARNING_RATE, NOISE),
    run=run,
    describe=describe,
    prediction=None,
    seeded=False,
)
