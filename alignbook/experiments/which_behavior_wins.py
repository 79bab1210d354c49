"""Two behaviors share one boundary, and the strong one pulls first: bring both above 90 percent in 1000 steps."""

import itertools
import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from alignbook.arrays import Array, as_arrays, to_engine
from alignbook.behaviors import Behaviors, behaviors, two_differences
from alignbook.dynamics import adam, gradient_descent, normal_cdf
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import BEHAVIORS, DISTINGUISHABILITY
from alignbook.losses import cdpo_slope

ANGLE, NOISE = 120.0, 0.25  # degrees from the strong behavior's difference to the weak one's; standard deviation
STATEMENTS, SHOWN = 200, 15  # of each behavior; of each half of it in the picture
GOAL = 0.9
BEST = {"weight": 5.88, "beta": 0.1}  # the best known solution, and its score
BEST_SCORE = 93.5
BEST_RECORDED = 93.1  # the best score in the record

OPTIMIZERS = {
    "gradient descent": partial(gradient_descent, learning_rate=1.0),
    "Adam": partial(adam, learning_rate=0.1),
}
SMOOTHINGS = {"none": 0.0, "0.3": 0.3}
BATCHES = {"all pairs": None, "20 pairs": 20}
BALANCES = {"half of them": 0.5, "nine in ten": 0.9}
MOMENTS = {0, 1, 20, 40, 60, 80, 100, 140, 200, 300, 400, 500, 600, 800, 1000}
STRIDE = 20  # steps between two chances to stop

WEIGHT = Number("weight", "Weight of weak", 1.0, 16.0, 1.0, unit="times strong", log=True, grid=(1.0, 4.0, 8.0))
STEPS = Number("steps", "Stop at step", low=10, high=1000, start=1000, log=True, grid=(100, 1000))
BETA = Number("beta", "beta", 0.01, 0.1, 0.03, log=True, grid=(0.03, 0.1))
OPTIMIZER = Choice("optimizer", "Optimizer", tuple(OPTIMIZERS), "gradient descent")
SMOOTHING = Choice("smoothing", "Label smoothing", tuple(SMOOTHINGS), "none")
BATCH = Choice("batch", "Each step sees", tuple(BATCHES), "all pairs")
BALANCE = Choice("balance", "Weak ones with Yes", tuple(BALANCES), "half of them")

DIFFERENCES = two_differences(DISTINGUISHABILITY[0], DISTINGUISHABILITY[1], math.radians(ANGLE), 2)


def fresh_accuracy(change: Array, differences: Array, noise: float) -> Array:
    r"""Return $\Phi(\langle u, b \rangle / (2 s \lVert u \rVert))$, the reward accuracy on fresh statements.

    One number for each behavior, for Gaussian noise and halves centered around 0; at u = 0 all are ties, one half.
    """
    xp, change, differences = as_arrays(change, differences)
    length = xp.linalg.vector_norm(change, axis=-1, keepdims=True)
    along = xp.matmul(differences, change[..., None])[..., 0]
    return normal_cdf(along / (2 * noise * xp.where(length > 0, length, 1.0)))


def drawn(seed: int, engine: str, balance: float = 0.5) -> Behaviors:
    """Return the statements; of the weak ones so many have Yes: others are turned over, to what denies them."""
    data = behaviors(to_engine(DIFFERENCES, engine), NOISE, num_statements=STATEMENTS, seed=seed)
    place = np.tile(np.arange(STATEMENTS), (2, 1))
    yes = place < np.array([[0.5], [balance]]) * STATEMENTS
    labels = to_engine(np.where(yes, 1.0, -1.0), engine)
    return Behaviors((labels * data.labels)[..., None] * data.embeddings, labels)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield some statements, then at each moment the change's direction and both accuracies on fresh statements."""
    data, last = drawn(seed, engine, BALANCES[settings["balance"]]), settings["steps"]
    share = np.array([[1.0], [settings["weight"]]]) / (1 + settings["weight"]) / STATEMENTS
    training = partial(
        OPTIMIZERS[settings["optimizer"]],
        data,
        settings["beta"],
        weights=to_engine(np.tile(share, (1, STATEMENTS)), engine),
        slope=partial(cdpo_slope, label_noise=SMOOTHINGS[settings["smoothing"]]),
        batch_size=BATCHES[settings["batch"]],
        seed=seed,
    )
    early = itertools.islice(training(record_every=1), 2)  # the first step is where the most happens
    later = itertools.islice(training(record_every=math.gcd(STRIDE, last)), 1, None)
    table = _clouds(drawn(seed, engine))
    for snapshot in itertools.chain(early, later):
        if snapshot.step in MOMENTS | {last}:
            strong, weak = fresh_accuracy(snapshot.change, to_engine(DIFFERENCES, engine), NOISE).tolist()
            x, y = snapshot.change.tolist()
            length = math.hypot(x, y) or 1.0
            _append(table, "moment", "", "", x / length, y / length, snapshot.step, strong, weak)
        if snapshot.step % STRIDE == 0 or snapshot.step == last:
            yield so_far(table)
        if snapshot.step == last:
            return


def _clouds(data: Behaviors) -> Table:
    """Return the table's first rows: the same few statements of each half, whatever the levers."""
    table: Table = {name: [] for name in ("part", "behavior", "half", "x", "y", "step", "strong", "weak")}
    for name, rows, labels in zip(BEHAVIORS, data.embeddings.tolist(), data.labels.tolist(), strict=True):
        for (x, y), label in (
            *zip(rows[:SHOWN], labels, strict=False),
            *zip(rows[-SHOWN:], labels[-SHOWN:], strict=True),
        ):
            _append(table, "statement", name, "Yes" if label > 0 else "No", x, y, None, None, None)
    return table


def _append(table: Table, *row) -> None:
    add_row(table, row)


def score(table: Table) -> float:
    """Return the lower of the two accuracies at the stop, in percent."""
    return 100 * min(table["strong"][-1], table["weak"][-1])


def ceiling() -> float:
    """Return the score that no straight boundary passes: the best worse accuracy over all directions."""
    turns = np.linspace(0, 2 * math.pi, 100_001)
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    return 100 * float(np.max(np.min(fresh_accuracy(directions, DIFFERENCES, NOISE), axis=-1)))


def describe(table: Table, settings: Settings) -> str:
    """Say where both behaviors stand, whether that solves the puzzle, and with how many levers."""
    strong, weak = (f"{100 * table[name][-1]:.1f}%" for name in BEHAVIORS)
    found = (
        f"After {table['step'][-1]} steps: strong {strong}, weak {weak} of fresh statements. Score {score(table):.1f}"
    )
    if min(table["strong"][-1], table["weak"][-1]) <= GOAL:
        return f"{found}, not solved: both must pass 90."
    moved = sum(settings[parameter.name] != parameter.start for parameter in EXPERIMENT.parameters)
    found += f", solved with {moved} lever{'s' * (moved != 1)} moved"
    return f"{found}. Best recorded: {BEST_RECORDED}, best known: {BEST_SCORE}."


EXPERIMENT = Experiment(
    question="Which behavior wins? Bring both above 90%",
    parameters=(WEIGHT, STEPS, BETA, OPTIMIZER, SMOOTHING, BATCH, BALANCE),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Alone, each behavior is learned within twenty steps: strong to 100% of fresh statements, weak to 97.7%. "
            "Now both train one boundary, with equal weights, for 1000 steps. What share of weak statements is right?"
        ),
        kind="number",
        unit="%",
        low=0.0,
        high=100.0,
        answer=lambda table, settings: 100 * table["weak"][-1],
        why=(
            "The first pull points along the sum of the two differences. That is nearly the strong one's, more than a "
            "right angle away from the weak one's, so the weak behavior is learned backwards. It turns as the strong "
            "one's pull fades, but 1000 steps are too few. Below 50% most of its statements get the wrong answer."
        ),
    ),
)
