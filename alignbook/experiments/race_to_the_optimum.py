"""Who reaches the optimum? The same policy trained by four methods from many seeds, by its distance to the tilt."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from alignbook.arrays import Array, to_engine
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import REF_LOG_P, REWARD
from alignbook.gradient_estimators import (
    at_answers,
    grpo_advantages,
    penalized_reward,
    rloo_advantages,
    score_gradient,
)
from alignbook.information import kl_divergence
from alignbook.policy_gradient import Snapshot, gradient_ascent, stochastic_gradient_ascent
from alignbook.tilting import tilt

METHODS = ("exact", "REINFORCE", "RLOO", "GRPO")
SEEDS = 256
FRAMES = 20
STRIDE = 10  # steps between two chances to stop, some 10 ms of work
FLOOR = 1e-7  # of a distance: below it the logarithm would follow rounding

GROUP_SIZE = Number("group_size", "Group size K", low=2, high=64, start=8, unit="answers", log=True, grid=(2, 8, 32))
LEARNING_RATE = Number("learning_rate", "Learning rate", low=0.03, high=3.0, start=0.3, log=True, grid=(0.1, 0.3, 1.0))
BETA = Number("beta", "beta", low=0.1, high=2.0, start=0.5, unit="reward per nat", log=True)
STEPS = Number("steps", "Steps", low=20, high=2000, start=200, log=True)


def estimator(name: str, ref_log_p: Array, reward: Array, beta: float) -> Callable[[Array, Array], Array]:
    """Return a method that turns a policy and sampled answers into an estimate of the gradient of J."""

    def values(log_p: Array, samples: Array) -> Array:
        return at_answers(penalized_reward(log_p, ref_log_p, reward, beta), samples)

    def reinforce(log_p: Array, samples: Array) -> Array:
        return score_gradient(log_p, samples, values(log_p, samples))

    def rloo(log_p: Array, samples: Array) -> Array:
        return score_gradient(log_p, samples, rloo_advantages(values(log_p, samples)))

    def grpo(log_p: Array, samples: Array) -> Array:
        normalized = grpo_advantages(at_answers(reward, samples))
        return score_gradient(log_p, samples, normalized - beta * at_answers(log_p - ref_log_p, samples))

    return {"REINFORCE": reinforce, "RLOO": rloo, "GRPO": grpo}[name]


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the table so far: at some twenty moments each method's distances, as quantiles over the seeds."""
    every = min(STRIDE, max(1, round(settings["steps"] / 20)))
    ticks = round(settings["steps"] / every)
    moments = {1} | {round(ticks * (k / FRAMES) ** 2) for k in range(FRAMES + 1)}
    climbs = [_climb(name, settings, seed, engine, every) for name in METHODS]
    table: Table = {name: [] for name in ("step", "progress", "method", "low", "middle", "high")}
    frame = table
    for tick, snapshots in enumerate(itertools.islice(zip(*climbs, strict=True), ticks + 1)):
        if tick in moments:
            _add_rows(table, snapshots, tick / ticks, settings["beta"])
            frame = so_far(table)
        yield frame  # also where nothing is new: whoever pulls may stop here


def describe(table: Table, settings: Settings) -> str:
    """Say where the four methods have come, as medians over the seeds."""
    ends = {name: course(table, name)[-1] for name in METHODS}
    spread = [table[name][-1] for name in ("low", "high")]
    return (
        f"After {table['step'][-1]} steps the exact climb is {ends['exact']:.2g} nat from the tilt; the median runs: "
        f"REINFORCE {ends['REINFORCE']:.2g}, RLOO {ends['RLOO']:.2g}, GRPO {ends['GRPO']:.2g} "
        f"(nine in ten between {spread[0]:.2g} and {spread[1]:.2g})."
    )


def course(table: Table, name: str) -> list[float]:
    """Return the median distance of a method's runs at each moment."""
    return [m for m, method in zip(table["middle"], table["method"], strict=True) if method == name]


OPTIONS = (
    "nearer to the tilt than RLOO",
    "about as near as RLOO",
    "behind RLOO, yet nearer than after 10 steps",
    "farther from the tilt than after 10 steps",
)


def _end_of_grpo(table: Table, settings: Settings) -> int:
    grpo, rloo = course(table, "GRPO"), course(table, "RLOO")
    if grpo[-1] > grpo[1]:  # the second moment is step 10 at the start settings
        return 3
    return 1 if 0.5 < grpo[-1] / rloo[-1] < 2 else 2 * (grpo[-1] > rloo[-1])


EXPERIMENT = Experiment(
    question="Who reaches the optimum?",
    parameters=(GROUP_SIZE, LEARNING_RATE, BETA, STEPS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "RLOO and GRPO train with one learning rate and groups of 8. They start 0.33 nat from the tilt. After 10 "
            "steps RLOO is at 0.15, GRPO at 0.04. Where is GRPO after 200?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=_end_of_grpo,
        why=(
            "Dividing by the deviation, about 0.4 here, makes the steps longer, so GRPO is ahead at first. But it "
            "divides the reward alone: the same beta is then a far lower price, and the climb ends at another tilt."
        ),
    ),
)


def _climb(name: str, settings: Settings, seed: int, engine: str, every: int) -> Iterator[Snapshot]:
    ref, reward = to_engine(REF_LOG_P, engine), to_engine(REWARD, engine)
    problem = (ref, reward, settings["beta"])
    if name == "exact":
        return gradient_ascent(*problem, settings["learning_rate"], record_every=every)
    starts = to_engine(np.tile(REF_LOG_P, (SEEDS, 1)), engine)
    draws = {"group_size": settings["group_size"], "start_logits": starts, "seed": seed, "record_every": every}
    return stochastic_gradient_ascent(estimator(name, *problem), *problem, settings["learning_rate"], **draws)


def _add_rows(table: Table, snapshots: Sequence[Snapshot], progress: float, beta: float) -> None:
    """Append each method's distance to the tilt, as the 5, 50 and 95 % quantiles over the seeds."""
    optimum = tilt(REF_LOG_P, REWARD, beta)
    for name, snapshot in zip(METHODS, snapshots, strict=True):
        distance = kl_divergence(np.asarray(snapshot.log_p.tolist()), optimum)
        quantiles = np.maximum(np.quantile(distance, [0.05, 0.5, 0.95]), FLOOR).tolist()
        add_row(table, (snapshot.step, progress, name, *quantiles))
