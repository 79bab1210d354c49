"""Which method buys most per nat? Tilts, best-of-N and its soft kin, and what each loses against the best at its KL."""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from alignbook.arrays import Array, log_softmax, namespace, to_engine
from alignbook.best_of_n import best_of_n, kl_upper_bound, soft_best_of_n
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table
from alignbook.experiments.running_example import REF_LOG_P, REWARD
from alignbook.information import expectation, kl_divergence, variance, win_rate
from alignbook.tilting import tilt_to_kl

TILT, BEST, SOFT, RANK_TILT = METHODS = ("tilt", "best-of-N", "soft best-of-N", "win-rate tilt")
MEASURES = MEAN, WIN = ("mean reward", "win rate")
STEPS = np.arange(-24, 25) / 4
BELL = np.exp(-(STEPS**2) / 2)
TAIL = np.arange(80) / 4
TABLES = {  # masses, up to a factor, and rewards
    "four answers": (np.exp(REF_LOG_P), REWARD),
    "right or wrong": (np.array([0.3, 0.7]), np.array([1.0, 0.0])),
    "bell": (BELL, STEPS),
    "long tail": (np.exp(-TAIL), TAIL),
    "jackpot": (np.append(0.999 * BELL / np.sum(BELL), 0.001), np.append(STEPS, 100.0)),
}
ASKED, MOST = 4.0, 64.0
DRAWS = tuple(2.0 ** np.append(1 / 8, np.arange(1, 25) / 4))
END = float(kl_upper_bound(MOST))  # the axis of KL ends here
CHUNK = 5  # numbers of draws between two pulls

N = Number("n", "Draws N", low=1.1, high=MOST, start=ASKED, log=True, grid=(2.0, 4.0, 8.0, 16.0, 32.0, 64.0))
MEASURE = Choice("measure", "What counts", MEASURES, MEAN)
REWARD_OF = Choice("reward", "Reward", tuple(TABLES), "bell")
BETA = Number(
    "beta",
    "Soft beta",
    low=0.25,
    high=4.0,
    start=0.5,
    unit="standard deviations",
    log=True,
    grid=(0.25, 0.5, 1.0),
)


class Setting(NamedTuple):
    """A reference; every answer's two values, of mean 0: reward in standard deviations, win rate less one half.

    The best possible win rate is a tilt's too: win rates are means, of each answer's own. `most` is what END buys.
    """

    ref: Array
    values: dict[str, Array]
    most: dict[str, Array]


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield nothing while laws are computed, then every method's KL, gain and loss along the draws."""
    yield {name: [] for name in _COLUMNS}
    draws = tuple(sorted({*DRAWS, float(settings["n"])}))
    table: Table = {name: [] for name in _COLUMNS}
    for method, start in itertools.product(METHODS, range(0, len(draws), CHUNK)):
        some = draws[start : start + CHUNK]
        beta = settings["beta"] if method == SOFT else None
        found = measured(method, settings["reward"], some, beta, engine)
        here = [int(n == settings["n"]) for n in some]
        columns = ([method] * len(some), some, found.kl, *found.of[settings["measure"]], here)
        for name, column in zip(_COLUMNS, columns, strict=True):
            table[name].extend(column)
        yield {name: [] for name in _COLUMNS}
    yield table


@functools.cache
def setting(name: str, engine: str) -> Setting:
    """Return one of the tables on an engine."""
    masses, reward = (to_engine(x, engine) for x in TABLES[name])
    ref = log_softmax(namespace(masses).log(masses))
    reward = (reward - expectation(ref, reward)) / variance(ref, reward) ** 0.5
    alone = to_engine(np.where(np.eye(len(TABLES[name][0])) > 0, 0.0, -np.inf), engine)
    values = {MEAN: reward, WIN: win_rate(alone, ref, reward) - 0.5}
    return Setting(ref, values, {measure: tilt_to_kl(ref, value, END).reward for measure, value in values.items()})


class Measured(NamedTuple):
    """KLs, and for each measure gains, as shares of what the axis can buy, and the shares of the best gain lost."""

    kl: list[float]
    of: dict[str, tuple[list[float], list[float]]]


@functools.cache  # a page's record asks for the same points at every N
def measured(method: str, name: str, draws: tuple[float, ...], beta: float | None, engine: str) -> Measured:
    """Return what a method's laws spend, gain and lose at these numbers of draws."""
    which = setting(name, engine)
    law = _law(method, which, to_engine(draws, engine), beta)
    kl, of = kl_divergence(law, which.ref), {}
    for measure, value in which.values.items():
        gain = expectation(law, value)
        lost = 1 - gain / tilt_to_kl(which.ref, value, kl).reward
        floored = [max(0.0, float(x)) for x in lost]  # an optimum's own loss is rounding, of either sign
        of[measure] = (gain / which.most[measure]).tolist(), floored
    return Measured(kl.tolist(), of)


def _law(method: str, which: Setting, n: Array, beta: float | None) -> Array:
    """Return a method's laws; the tilts are taken at the KL of best-of-N."""
    if method == SOFT:
        return soft_best_of_n(which.ref, which.values[MEAN], n, beta)
    best = best_of_n(which.ref, which.values[MEAN], n)
    if method == BEST:
        return best
    value = which.values[MEAN if method == TILT else WIN]
    return tilt_to_kl(which.ref, value, kl_divergence(best, which.ref)).log_p


def points(table: Table, n: float) -> dict[str, tuple[float, float]]:
    """Return every method's KL and the share it loses, at so many draws."""
    rows = zip(*(table[name] for name in ("method", "n", "kl", "lost")), strict=True)
    return {method: (kl, lost) for method, draws, kl, lost in rows if abs(draws - n) < 1e-9}


def describe(table: Table, settings: Settings) -> str:
    """Say what each method loses at this number of draws, and at which KL."""
    if not table["n"]:
        return "The laws are being computed."
    found = points(table, settings["n"])
    kl, lost = ({method: pair[k] for method, pair in found.items()} for k in (0, 1))
    shares = {method: _percent(share) for method, share in lost.items()}
    return (
        f"Best-of-{settings['n']:.3g} spends {kl[BEST]:.3f} nats and loses {shares[BEST]} of the gain in "
        f"{settings['measure']} that the best policy has at this KL. The tilt loses {shares[TILT]} there, the win-rate "
        f"tilt {shares[RANK_TILT]}. Soft best-of-{settings['n']:.3g}, at a beta of {settings['beta']:.3g}, spends "
        f"{kl[SOFT]:.3f} nats and loses {shares[SOFT]}."
    )


EXPERIMENT = Experiment(
    question="Which method buys most per nat?",
    parameters=(N, MEASURE, REWARD_OF, BETA),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Many answers, whose rewards are spread like a bell. At the KL of best-of-4, 0.63 nats, the best policy "
            "gains some mean reward. Which share of this gain does best-of-4 lose?"
        ),
        kind="number",
        low=0.0,
        high=50.0,
        unit="%",
        answer=lambda table, settings: 100 * points(table, ASKED)[BEST][1],
        why=(
            "Best-of-4 is nearly the best in win rate, of which it loses 1.3 %: that measure counts ranks, and so does "
            "best-of-4. A mean also counts by how much an answer is better. Best-of-4 never asks; the tilt does, and "
            "spends more of its nats on the largest rewards."
        ),
    ),
    seeded=False,
)

_COLUMNS = ("method", "n", "kl", "gain", "lost", "here")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-4 else "0 %"
