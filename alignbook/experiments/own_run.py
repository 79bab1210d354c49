"""Read your own run: a reader's log of a preference run, beside what its first rows predict.

Without noise, with all pairs alike and plain gradient descent, the margin z of DPO obeys z + e^z = 1 + k t, where
time t is the learning rate summed over the steps: the first rows fix k, and k the rest. What a run does beyond that
is noise in its pairs, or pairs much harder than the rest, Adam and its warm-up, and features that move. Both samples
are runs of small policies, one noisy and with AdamW, the other just what the prediction assumes.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from alignbook.dynamics import noise_free_loss
from alignbook.experiments.declare import Experiment, File, Number, Settings, Table, text_of
from alignbook.experiments.training_log import Columns, read_log
from alignbook.losses import dpo_loss

SAMPLES = Path(__file__).with_name("own_run_samples")
PREDICTION, HELD_OUT = "noise-free", "held-out"
REWARDS = ("chosen", "rejected", "margin")
SCALES = {"loss scale": (0.0, 0.25, 0.5, 0.75, 1.0), "reward scale": (-1.0, -0.5, 0.0, 0.5, 1.0)}
MOST_POINTS = 300  # of a curve: a longer log becomes means of its rows
EXCESS = (-0.1, 0.25)  # of a first DPO loss over that of its mean margin: small, and negative by rounding alone
NOTABLE = 0.05  # of the margin's growth

FITTED = Number(
    "fitted",
    "Read for the prediction",
    low=0.05,
    high=1.0,
    start=0.2,
    unit="of the rows",
    log=True,
    grid=(0.05, 0.1, 0.2, 0.4, 1.0),
)
TRAINING_LOG = File(
    "training_log",
    "Training log",
    presets={
        "strings of letters, AdamW": (SAMPLES / "letter_strings.json").read_text("utf-8"),
        "one pair, gradient descent": (SAMPLES / "one_pair.csv").read_text("utf-8"),
    },
    start="strings of letters, AdamW",
)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: `shown` is a value as a share of its panel's scale, whose marks are rows of their own."""
    log = read_log(text_of(TRAINING_LOG, settings["training_log"]))
    time = times(log.training)
    predicted = predicted_loss(log.training, time, settings["fitted"])
    training = _thinned(log.training | {"time": time, PREDICTION: predicted})
    held_out = _thinned({"step": log.held_out["step"], HELD_OUT: log.held_out["loss"]})
    held_out["time"] = np.interp(held_out["step"], training["step"], training["time"])
    top = {"loss scale": _top(training["loss"], held_out[HELD_OUT])}
    top["reward scale"] = _top(*(training[name] for name in REWARDS))
    table: Table = {name: [] for name in ("step", "time", "progress", "series", "value", "shown")}
    for name in ("loss", PREDICTION):
        _add(table, name, training, top["loss scale"])
    _add(table, HELD_OUT, held_out, top["loss scale"])
    for name in REWARDS:
        _add(table, name, training, top["reward scale"])
    _add(table, "accuracy", training, 1.0)
    for name, marks in SCALES.items():
        _add(table, name, {name: top[name] * np.array(marks)}, top[name])
    if log.repeated:
        _add(table, "rows repeated", {"rows repeated": np.array([log.repeated], dtype=float)}, 1.0)
    end = float(training["step"][-1])
    table["progress"] = [step / end for step in table["step"]]
    yield table


def times(training: Columns) -> np.ndarray:
    """Return the time of each row: the learning rate summed to the middle of its steps, or the steps, if it lacks.

    A row is a mean over the policies that its steps began with: a first row at step 1 is at time 0.
    """
    step, rate = training["step"], training["learning_rate"]
    before = np.concatenate([[0.0], step[:-1]])
    middle = np.maximum((before + step - 1) / 2, 0.0)
    if not np.all(rate >= 0):
        return middle
    between = (np.concatenate([rate[:1], rate[:-1]]) + rate) / 2
    summed = np.concatenate([[0.0], np.cumsum(between * (step - before))])
    time = np.interp(middle, np.concatenate([[0.0], step]), summed)
    return time if time[-1] > 0 else middle


def predicted_loss(training: Columns, time: np.ndarray, fitted: float) -> np.ndarray:
    """Return the noise-free loss whose k fits the margins of the first rows: least squares of z + e^z - 1 = k t.

    It is nan where there is none: the first row's loss is no DPO loss, or the margin does not grow.
    """
    reached = time / time[-1]
    first = slice(max(3, round(fitted * len(time))))
    early = np.minimum(training["margin"][first], 20.0)  # e^z would overflow, and the loss is 2e-9 there
    square = reached[first] @ reached[first]
    k = reached[first] @ (early + np.expm1(early)) / square if square > 0 else 0.0
    if k <= 0 or not _is_dpo(training["loss"][0], training["margin"][0]):
        return np.full(len(time), math.nan)
    return noise_free_loss(2 * k * reached, beta=1.0, distinguishability=1.0)  # a clock of k reached


def describe(table: Table, settings: Settings) -> str:
    """Say what the curves show, from their first row to the mean of the last tenth, and what was predicted."""
    (loss, loss_end), (margin, margin_end) = (_ends(_curve(table, name)) for name in ("loss", "margin"))
    said = (
        f"In {max(table['step']):.0f} steps the loss goes from {_short(loss)} to {_short(loss_end)}, "
        f"the reward margin from {_short(margin)} to {_short(margin_end)}{_of_accuracy(table)}.",
        _of_rewards(table),
        _of_prediction(table, settings["fitted"]),
        _of_held_out(table),
        _of_repeats(table),
    )
    return " ".join(sentence for sentence in said if sentence)


EXPERIMENT = Experiment(
    question="Read your own run",
    parameters=(FITTED, TRAINING_LOG),
    run=run,
    describe=describe,
    engines=("numpy",),
    seeded=False,
)


def _is_dpo(loss: float, margin: float) -> bool:
    """Tell whether a loss may be the mean DPO loss of pairs with this mean margin, which bounds it from below."""
    return bool(EXCESS[0] <= loss - dpo_loss(margin) <= EXCESS[1])


def _of_accuracy(table: Table) -> str:
    curve = _curve(table, "accuracy")
    return ", the reward accuracy from {:.0%} to {:.0%}".format(*_ends(curve)) if curve else ""


def _of_rewards(table: Table) -> str:
    ends = (_ends(_curve(table, name)) for name in REWARDS)
    chosen, rejected, margin = (end - start for start, end in ends)
    if margin <= 0:
        return "The margin does not grow: nothing of the preferences has been learned."
    if chosen < -NOTABLE * margin:
        return f"The chosen reward falls by {_short(-chosen)}: likelihood displacement."
    moves = (f"{'rises' if change > 0 else 'falls'} by {_short(abs(change))}" for change in (chosen, rejected))
    return "The chosen reward {} and the rejected one {}.".format(*moves)


def _of_prediction(table: Table, fitted: float) -> str:
    curve, loss, margin = (_curve(table, name) for name in (PREDICTION, "loss", "margin"))
    if not curve and _is_dpo(loss[0], margin[0]):
        return "In the first rows the margin does not grow, so nothing is predicted."
    if not curve:
        return f"A loss of {_short(loss[0])} at a margin of {_short(margin[0])} is not DPO's: nothing is predicted."
    predicted, end = _ends(curve)[1], _ends(loss)[1]
    off = _short(abs(end - predicted))
    there = "there" if off == "0" else f"{off} {'above' if end > predicted else 'below'}"
    read = "all rows" if fitted == 1 else f"its first {fitted:.0%}"
    return f"With all pairs alike {read} would lead to a loss of {_short(predicted)}; it ends {there}."


def _of_held_out(table: Table) -> str:
    points = [(value, step) for value, step, name in _rows(table) if name == HELD_OUT]
    if not points:
        return ""
    (least, step), end = min(points), points[-1][0]
    if end < least + 0.01:
        return f"The held-out loss ends at {_short(end)}."
    return f"The held-out loss is lowest, {_short(least)}, at step {step:.0f} and ends at {_short(end)}: it overfits."


def _of_repeats(table: Table) -> str:
    repeated = _curve(table, "rows repeated")
    return f"The log goes back to an earlier step: {repeated[0]:.0f} rows gave way to later ones." if repeated else ""


def _rows(table: Table) -> Iterator[tuple[float, float, str]]:
    return zip(table["value"], table["step"], table["series"], strict=True)


def _curve(table: Table, series: str) -> list[float]:
    return [value for value, _, name in _rows(table) if name == series]


def _ends(curve: list[float]) -> tuple[float, float]:
    """Return the first value of a curve, and the mean of its last tenth."""
    return curve[0], float(np.mean(curve[-max(1, len(curve) // 10) :]))


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 0.0005 else "0"


def _add(table: Table, series: str, columns: Columns, top: float) -> None:
    """Append the points that a series has, those of a scale at the start of the run."""
    values = columns[series]
    at = np.isfinite(values)
    nowhere = np.zeros(len(values))
    table["step"] += columns.get("step", nowhere)[at].tolist()
    table["time"] += columns.get("time", nowhere)[at].tolist()
    table["series"] += [series] * int(at.sum())
    table["value"] += values[at].tolist()
    table["shown"] += (values[at] / top).tolist()


def _thinned(columns: Columns) -> Columns:
    """Return means of as many rows as leave few enough points, at the last of their steps."""
    count = len(columns["step"])
    starts = np.arange(0, count, max(1, math.ceil(count / MOST_POINTS)))
    if len(starts) == count:
        return columns
    sizes = np.diff(starts, append=count)
    means = {name: np.add.reduceat(values, starts) / sizes for name, values in columns.items()}
    return means | {"step": columns["step"][starts + sizes - 1]}


def _top(*curves: np.ndarray) -> float:
    """Return the end of a scale that holds all values: one, two or five times a power of ten."""
    largest = max(float(np.max(np.abs(values), initial=0.0)) for values in curves) or 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= largest)
