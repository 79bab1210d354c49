"""Which moments see the tail? Scaled cumulants of the reward, of the tilt and of best-of-N, and their limits."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from alignbook.arrays import to_engine
from alignbook.asymptotics import finite_length, limits
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, RATE, STEP_LOG_P, STEP_REWARD

STEPS, LETTERS = "right, wrong", "good, fair, poor"
EXAMPLES = {STEPS: (STEP_LOG_P, STEP_REWARD), LETTERS: (LETTER_LOG_P, LETTER_REWARD)}
ORDERS = np.linspace(-2, 2, 41).round(2)
APART = 1e-6  # limits that differ by more are not the same

LENGTH = Number("length", "Length", 3, 300, 30, unit="letters", log=True, grid=(3, 10, 30, 100, 300))
RATES = Number("rate", "Rate", 0.02, 0.5, RATE, unit="nats a letter", log=True, grid=(0.03, RATE, 0.3))
ALPHABET = Choice("alphabet", "Letters", (STEPS, LETTERS), STEPS)
COLUMNS = "part", "order", "tilt", "best", "limit", "tilt_excess", "best_excess", "limit_excess"


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield both limits and best-of-N's cumulants order by order, also less the order times the common mean.

    Two rows more: where the limit bends, at the order 1/beta, and best-of-N's mean at this length.
    """
    law, reward = (to_engine(values, engine) for values in EXAMPLES[settings["alphabet"]])
    found, limit = (
        finite_length(law, reward, settings["length"], settings["rate"]),
        limits(law, reward, settings["rate"]),
    )
    mean, bend = float(limit.reward), 1 / float(limit.letter.beta)
    table: Table = {name: [] for name in COLUMNS}
    for order in ORDERS.tolist():
        curves = [float(found.scaled_cumulants(order)[1]), float(limit.best_of_n_cumulant(order))]
        _add(table, "curve", order, float(limit.tilt_cumulant(order)), *curves, mean=mean)
        yield so_far(table)
    _add(table, "bend", bend, float(limit.tilt_cumulant(bend)), math.nan, bend * mean, mean=mean)
    _add(table, "mean", 0.0, mean, float(found.best_of_n.reward) / settings["length"], mean, mean=0.0)
    yield table


def _add(table: Table, part: str, order: float, *curves: float, mean: float) -> None:
    values = [None if math.isnan(value) else value for value in curves]
    add_row(table, (part, order, *values, *(None if value is None else value - order * mean for value in values)))


def describe(table: Table, settings: Settings) -> str:
    """Say what both have in common and how far their cumulants are apart at 1, at -1, and at this length."""
    if table["part"][-1] != "mean":
        return "The orders are being counted."
    mean, best = table["tilt"][-1], table["best"][-1]
    below, above = (row_at(table, order) for order in (-1.0, 1.0))
    return (
        f"Both means tend to {mean:.3f} a letter; at {settings['length']} letters best-of-N's is {best:.3f}. In the "
        f"limit the tilt's cumulant lies above best-of-N's by {_gap(below):.3f} at order -1 and {_gap(above):.3f} at "
        f"1, and best-of-N's is a straight line up to the order {table['order'][-2]:.2f}, which is 1/β."
    )


def row_at(table: Table, order: float) -> dict[str, Any]:
    """Return the row of an order of the grid."""
    place = table["order"].index(order)
    return {name: column[place] for name, column in table.items()}


def _gap(row: dict[str, Any]) -> float:
    return row["tilt"] - row["limit"]


OPTIONS = ("nowhere", "only beyond 1/β", "only below 0", "everywhere but at 0")


def apart(table: Table, settings: Settings) -> int:
    """Return which of the options describes where the two limits differ."""
    bend = table["order"][-2]
    gaps = [(row["order"], _gap(row) > APART * row["order"] ** 2) for row in _curves(table) if row["order"] != 0]
    where = (
        lambda order: False,
        lambda order: order > bend,
        lambda order: order < 0,
        lambda order: True,
    )
    return next(k for k, differ in enumerate(where) if all(seen == differ(order) for order, seen in gaps))


def _curves(table: Table) -> list[dict[str, Any]]:
    return [row_at(table, order) for order in ORDERS.tolist()]


EXPERIMENT = Experiment(
    question="Which moments see the tail?",
    parameters=(LENGTH, RATES, ALPHABET),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "The tilt and best-of-N at the same rate have, a letter, the same mean reward and the same KL divergence "
            "in the limit of long answers. At which orders is the limit of the scaled cumulant another?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=apart,
        why=(
            "The mean is the slope at 0 and nothing more. The tilt's curve is strictly convex, for its total has a "
            "variance in proportion to n. Best-of-N's total stays within a few units of one place, so its curve is "
            "straight; it bends only where higher totals weigh more than they are rare, from 1/β on, and "
            "even then stays below."
        ),
    ),
    seeded=False,
)
