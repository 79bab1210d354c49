"""How rare is a good answer? The chance that an answer's mean reward reaches a threshold, exactly and by its rate."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from alignbook.arrays import Array, logsumexp, namespace, to_engine
from alignbook.asymptotics import bahadur_rao, finite_length, rate_function
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, STEP_LOG_P, STEP_REWARD

STEPS, LETTERS = "right, wrong", "good, fair, poor"
LENGTHS = (10, 20, 30, 50, 70, 100, 150, 200, 300)
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ROUNDING = 1e-9  # of a threshold on the total: a total as near as this reaches it

LENGTH = Number("length", "Length", 10, 300, 100, unit="letters", log=True, grid=(10, 30, 100, 300))
ALPHABET = Choice("alphabet", "Letters", (STEPS, LETTERS), STEPS)
SHARE = Number(
    "share", "Share of right steps, at least", 0.35, 1.0, 0.5, grid=(0.4, 0.5, 0.6, 0.8, 1.0), when=("alphabet", STEPS)
)
MEAN = Number("mean", "Mean reward, at least", -1.3, -0.55, -1.0, grid=(-1.2, -1.0, -0.8), when=("alphabet", LETTERS))
COLUMNS = "part", "length", "x", "way", "exact", "bound", "rate_alone", "smooth", "lattice"


class Letters(NamedTuple):
    """A letter's law and reward, and the span of the lattice of its totals: 0 where there is none."""

    log_p: Array
    reward: Array
    span: float


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the curve of log-chances a letter over thresholds, then the estimates' errors at growing lengths."""
    steps = settings["alphabet"] == STEPS
    law, reward = (STEP_LOG_P, STEP_REWARD) if steps else (LETTER_LOG_P, LETTER_REWARD)
    letters = Letters(to_engine(law, engine), to_engine(reward, engine), 1.0 if steps else 0.0)
    n, threshold = settings["length"], settings["share"] if steps else settings["mean"]
    table: Table = {name: [] for name in COLUMNS}
    low, high = float(np.exp(law) @ reward), float(np.max(reward))
    x = np.linspace(low, high, 36)[1:]
    rates = rate_function(letters.log_p, letters.reward, to_engine(x, engine))
    for at, chance, rate in zip(x.tolist(), log_chances(letters, n, x.tolist()), rates.tolist(), strict=True):
        add_row(table, ("curve", None, at, (at - low) / (high - low), chance / n, -rate, None, None, None))
    yield so_far(table)
    lengths = [*LENGTHS, n]
    for length, estimates in zip(lengths, _log_estimates(letters, lengths, threshold), strict=True):
        (exact,) = log_chances(letters, length, [threshold])
        off = (None if value is None else math.exp(value - exact) for value in estimates)
        part = "error" if len(table["part"]) < len(x) + len(LENGTHS) else "now"
        way = (threshold - low) / (high - low)
        add_row(table, (part, length, threshold, way, exact, estimates[0], *off))
        yield so_far(table)


def log_chances(letters: Letters, length: int, thresholds: list[float]) -> list[float]:
    r"""Return $\log P(r(y) \ge n x)$ for answers of n letters and each threshold x, exactly, by types."""
    found = finite_length(letters.log_p, letters.reward, length, 0.0)
    xp, reached = namespace(found.total), (found.total >= length * x - ROUNDING for x in thresholds)
    return [float(logsumexp(xp.where(some, found.ref_log_p, -math.inf))) for some in reached]


def reachable(letters: Letters, length: int, x: float) -> float:
    """Return the least mean reward, x or above, that lies on the lattice of this length; x where there is none."""
    return math.ceil(length * x - ROUNDING) / length if letters.span else x


def _log_estimates(letters: Letters, lengths: list[int], x: float) -> list[list[float | None]]:
    """Return, for each length, log-chances of the rate alone and of Bahadur and Rao without and with the lattice."""
    law, reward = letters.log_p, letters.reward
    xp = namespace(law)
    at = xp.asarray([reachable(letters, length, x) for length in lengths], dtype=law.dtype, device=device(law))
    n = xp.asarray(lengths, dtype=law.dtype, device=device(law))
    bound = -n * rate_function(law, reward, at)
    smooth, lattice = (bahadur_rao(law, reward, n, at, h) for h in (0.0, letters.span))
    known = [column.tolist() for column in (bound, smooth, lattice)]
    return [[b, _number(s), _number(k) if letters.span else None] for b, s, k in zip(*known, strict=True)]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def now(table: Table) -> dict[str, Any]:
    """Return the row of the length and the threshold that are set."""
    return {name: column[-1] for name, column in table.items()}


def describe(table: Table, settings: Settings) -> str:
    """Say how rare such an answer is, what the rate alone says, and how far both forms of the estimate are off."""
    if table["part"][-1] != "now":
        return "The lengths are being counted."
    row = now(table)
    what = f"{row['x']:.0%} right steps" if settings["alphabet"] == STEPS else f"a mean reward of {row['x']:.2f}"
    words = (
        f"Of answers with {settings['length']} letters one in {one_in(row['exact'])} has {what} or more. "
        f"The rate alone says one in {one_in(row['bound'])}"
    )
    if row["smooth"] is None:
        return words + ", which is exact at the largest reward, where Bahadur and Rao have no estimate."
    words += f", {row['rate_alone']:.3g} times as often."
    lattice = "" if row["lattice"] is None else f", with the lattice factor {row['lattice']:.3f}"
    return words + f" Bahadur and Rao's estimate is {row['smooth']:.3f} of the truth{lattice}."


def one_in(log_chance: float) -> str:
    """Return how many draws one such answer takes on average, as a short text."""
    digits = -log_chance / math.log(10)
    return f"{10**digits:,.3g}" if digits < 3 else f"{10**digits:,.0f}" if digits < 7 else _power(digits)


def _power(digits: float) -> str:
    raised = str(math.floor(digits)).translate(SUPERSCRIPTS)
    return f"{10 ** (digits - math.floor(digits)):.1f} · 10{raised}"


EXPERIMENT = Experiment(
    question="How rare is a good answer?",
    parameters=(LENGTH, SHARE, MEAN, ALPHABET),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "100 steps, each right with chance 0.3. By the rate alone one answer in 6,110 has at least "
            "half its steps right. How many times as rare are such answers in truth?"
        ),
        kind="number",
        low=0.5,
        high=30.0,
        unit="times as rare",
        answer=lambda table, settings: now(table)["rate_alone"],
        why=(
            "The rate is a bound, so the truth is rarer; and it is the right power of e only in the long run. What "
            "it leaves out is a factor that grows with the root of the length: under the tilt only totals within a "
            "few units of the threshold count, one of the many within the tilt's spread."
        ),
    ),
    seeded=False,
)
