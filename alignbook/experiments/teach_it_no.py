"""Teach it No: training sees one pair, No over Never; what happens to Yes, which nobody compared?"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.dynamics import dpo_descent
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.losses import dpo_loss, implicit_reward
from alignbook.policies import log_linear_policy

ANSWERS = ("No", "Never", "Yes")
CHANCES = (0.3, 0.65, 0.05)
TILT = -15.0  # degrees: where f(No) - f(Never) points
LEARNING_RATE = 0.5
STRIDE = 100  # steps between two chances to stop, some 5 ms of work
MOMENTS = {0, 1, 2, 3, 5, 7, 10, 14, 20, 30, 42, 60, 90, 120, 180, 250, 350, 500, 700, 1000}

STEPS = Number("steps", "Steps", low=0, high=1000, start=1000, grid=(0, 3, 7, 14, 30, 60, 120, 250, 500, 1000))
ANGLE = Number(
    "angle", "Yes, angle", 0.0, 180.0, 30.0, unit="°", grid=(0.0, 30.0, 60.0, 80.0, 90.0, 100.0, 120.0, 180.0)
)
DISTANCE = Number("distance", "Yes, distance", 0.25, 1.5, 1.0, grid=(0.5, 1.0, 1.5))
BETA = Number("beta", "beta", low=0.05, high=5.0, start=0.5, unit="reward per nat", log=True)


def place(angle: float, distance: float) -> tuple[float, float]:
    """Return the point at this angle from the direction f(No) - f(Never) and this far from No, the origin."""
    turned = math.radians(angle + TILT)
    return distance * math.cos(turned), distance * math.sin(turned)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the training log so far: what a trainer logs, and what it does not, the whole law and its mean."""
    yes = place(settings["angle"], settings["distance"])
    places = [(0.0, 0.0), place(180.0, 1.0), yes]
    ref, features = to_engine(np.log(CHANCES), engine), to_engine(places, engine)
    beta, last = settings["beta"], settings["steps"]
    names = ("step", "loss", "accuracy", "chosen", "rejected", *ANSWERS, "mean x", "mean y", "x", "y")
    table: Table = {name: [] for name in names}
    for snapshot in itertools.islice(dpo_descent(features[:1] - features[1:2], beta, LEARNING_RATE), last + 1):
        if snapshot.step in MOMENTS | {last}:
            log_p = log_linear_policy(ref, features, snapshot.theta)
            rewards = implicit_reward(log_p, ref, beta).tolist()[:2]
            law, loss = np.exp(log_p.tolist()), float(dpo_loss(snapshot.margin)[0])
            row = (snapshot.step, loss, float(rewards[0] > rewards[1]), *rewards, *law.tolist(), *(law @ places), *yes)
            add_row(table, row)
            yield so_far(table)
        elif snapshot.step % STRIDE == 0:
            yield so_far(table)


def describe(table: Table, settings: Settings) -> str:
    """Say what the trainer sees, and what becomes of the three answers."""
    step, loss = table["step"][-1], table["loss"][-1]
    no, never, yes = (f"{table[name][0]:.2f} → {table[name][-1]:.3f}" for name in ANSWERS)
    peak = max(range(len(table["step"])), key=lambda k: table["No"][k])
    turned = 0 < peak < len(table["step"]) - 1
    peaked = f" ({table['No'][peak]:.3f} at step {table['step'][peak]})" if turned else ""
    return (
        f"After {step} steps the loss is {loss:.3f} and reward accuracy {table['accuracy'][-1]:.0%}. "
        f"No {no}{peaked}, Never {never}, Yes {yes}."
    )


def fate(table: Table, settings: Settings) -> int:
    """Return which of the options the probability of No fulfills, by its course in the table."""
    course = table["No"]
    if max(course) < 1.02 * course[0]:
        return 1 if course[-1] > 0.98 * course[0] else 3
    return 2 if course[-1] < course[0] else 0


EXPERIMENT = Experiment(
    question="Teach it No: what does it learn?",
    parameters=(STEPS, ANGLE, DISTANCE, BETA),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "A model answers No with probability 0.3, Never 0.65, Yes 0.05. It is trained on one pair, No over "
            "Never: the loss goes to 0, accuracy to 100%. The probability of No will"
        ),
        kind="choice",
        options=("rise towards 1", "stay where it is", "rise, then fall below 0.3", "fall from the first step"),
        answer=fate,
        why=(
            "The loss asks that No gain on Never, and nothing else. It moves the model along the direction from Never "
            "to No, and whichever answer lies farthest that way wins: here Yes, which nobody compared."
        ),
    ),
    seeded=False,
)
