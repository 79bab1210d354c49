"""Undo it: an aligned model and its base train on flipped labels; which of them gives way first, by three clocks?"""

from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.undoing import FLIP_STEPS, Layers, World, aligned, clock, training, world
from alignbook.losses import dpo_loss

ARMS = ("base", "aligned")
CLOCKS = ("loss", "change", "place")
LOSS, ODDS = 0.35, 8.0  # the loss to reach; the log-odds to change by, and to arrive at with the other sign
END = 30_000.0
EVERY = 5  # snapshots from one that is drawn to the next
MOVING = ("move", "move, then freeze", "frozen")

LENGTH = Number("length", "Aligned for", 1.0, 1000.0, 100.0, unit="time", log=True, grid=(3.0, 10.0, 30.0, 100.0))
FEATURES = Choice("features", "Features", MOVING, "move")
REFERENCE = Choice("reference", "Reference", ("start", "base"), "start")
WIDTH = Choice("width", "Hidden units", ("2", "16"), "16")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield both arms' paths on flipped labels, as quantiles over the seeds, and at the end the three clocks."""
    start = world(int(settings["width"]), seed, engine)
    yield _empty()
    arms = _arms(start, aligned(start, settings["length"], settings["features"] != "frozen"))
    reference = arms if settings["reference"] == "start" else start.base
    flips = {"until": END, "lengths": FLIP_STEPS, "train_features": settings["features"] == "move"}
    times, losses, odds = [], [], []
    table = _empty()
    for place, (time, shot) in enumerate(training(start.inputs, -start.labels, arms, reference, **flips)):
        times.append(time)
        losses.append(_mean(dpo_loss(shot.margin)))
        odds.append(-_mean(shot.log_odds))
        if place == 1 or (place and place % EVERY == 0):
            _add_path(table, time, losses[-1], odds[-1])
        yield so_far(table)
    _add_clocks(table, times, np.stack(losses), np.stack(odds))
    yield table


def clocks(times: list[float], losses: np.ndarray, odds: np.ndarray) -> dict[str, np.ndarray]:
    """Return the three clocks' times; columns of `losses` and `odds` are runs."""
    return {
        "loss": clock(times, losses, LOSS),
        "change": clock(times, odds, odds[0] - ODDS),
        "place": clock(times, odds, -ODDS),
    }


def describe(table: Table, settings: Settings) -> str:
    """Say when each arm reaches each clock's mark."""
    if "clock" not in table["part"]:
        if not table["step"]:
            return "The first alignment is under way."
        first, second = (table["odds"][k] for k in (-2, -1))
        return f"At time {table['step'][-1]:.3g} the log-odds of the right answer are {first:.1f} and {second:.1f}."
    said = {name: times_of(table, name) for name in CLOCKS}
    by_clock = "; ".join(f"{words}: {_short(said[name])}" for name, words in zip(CLOCKS, _WORDS, strict=True))
    return f"Times of base and aligned model (medians): {by_clock}."


def times_of(table: Table, name: str) -> tuple[float, float]:
    """Return the median times of a clock, base and aligned."""
    columns = (table[key] for key in ("clock", "arm", "step"))
    found = {arm: time for clock_name, arm, time in zip(*columns, strict=True) if clock_name == name}
    return found["base"], found["aligned"]


OPTIONS = (
    "aligned on all three",
    "aligned on 1 and 2, base on 3",
    "aligned on 1, base on 2 and 3",
    "base on all three",
    "none of these",
)


WINS = [(True, True, True), (True, True, False), (True, False, False), (False, False, False)]  # of the aligned model


def _winners(table: Table, settings: Settings) -> int:
    base, other = zip(*(times_of(table, name) for name in CLOCKS), strict=True)
    won = tuple(late > soon for late, soon in zip(base, other, strict=True))
    return WINS.index(won) if won in WINS else len(WINS)


EXPERIMENT = Experiment(
    question="Which model is undone first?",
    parameters=(LENGTH, FEATURES, REFERENCE, WIDTH),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "A base model, and the same model aligned: its log-odds for the right answer are 54 instead of 0. Both "
            "train on flipped labels, each with its own start as reference, and features move. Clock 1: the DPO loss "
            "falls to 0.35. Clock 2: the log-odds change by 8. Clock 3: the log-odds reach -8. Which model is first?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=_winners,
        why=(
            "With its own start as reference a model's loss counts how far the log-odds have come, not where they are: "
            "clocks 1 and 2 ask the same thing, and the aligned model, whose features reach farther, moves faster. But "
            "it starts 54 nats above 0, far from the mark of clock 3, and the pull fades on the way."
        ),
    ),
)

_WORDS = ("(1) loss 0.35", "(2) log-odds changed by 8", "(3) at -8")
_COLUMNS = ("part", "step", "arm", "clock", "loss", "loss low", "loss high", "odds", "odds low", "odds high")


def _empty() -> Table:
    return {name: [] for name in _COLUMNS}


def _arms(start: World, trained: Layers) -> Layers:
    """Return base and aligned models as one batch, the arms in front of the seeds."""
    xp = namespace(start.inputs)
    return Layers(*(xp.stack(pair) for pair in zip(start.base, trained, strict=True)))


def _mean(values: Array) -> np.ndarray:
    """Return means over the statements, one column for each arm and seed."""
    return np.asarray(namespace(values).mean(values, axis=-1).tolist()).reshape(-1)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Return for both arms the lower decile, the median and the upper decile over the seeds."""
    return np.quantile(values.reshape(2, -1), [0.5, 0.1, 0.9], axis=1, method="closest_observation").T


def _add_path(table: Table, time: float, losses: np.ndarray, odds: np.ndarray) -> None:
    for arm, loss, log_odds in zip(ARMS, _quantiles(losses), _quantiles(odds), strict=True):
        _append(table, ("path", time, arm, None, *loss.tolist(), *log_odds.tolist()))


def _add_clocks(table: Table, times: list[float], losses: np.ndarray, odds: np.ndarray) -> None:
    """Append each clock's median time, at the height of its mark."""
    for name, found in clocks(times, losses, odds).items():
        middle = _quantiles(found)[:, 0]
        heights = {"loss": None, "change": odds[0].reshape(2, -1), "place": np.full((2, 1), -ODDS)}[name]
        for k, arm in enumerate(ARMS):
            mark = None if heights is None else float(np.median(heights[k])) - (ODDS if name == "change" else 0.0)
            loss = LOSS if name == "loss" else None
            _append(table, ("clock", float(middle[k]), arm, name, loss, None, None, mark, None, None))


def _append(table: Table, row: tuple) -> None:
    add_row(table, row)


def _short(times: tuple[float, float]) -> str:
    return " and ".join("never" if time == float("inf") else f"{float(f'{time:.2g}'):g}" for time in times)
