"""How many comparisons? One study of two answers, refitted as its comparisons stream in, beside many more like it."""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.preferences import fit_bradley_terry, has_finite_fit

STUDIES = 200  # of one kind; the first is the one that is drawn
FIRST, LAST, MOMENTS = 10, 10_000, 31
WIDTH = NormalDist().inv_cdf(0.975)  # standard errors to either side of a 95 % interval
PRIORS = {"none": None, "deviation 2": 4.0}

CHANCE = Number(
    "chance",
    "Its chance to win",
    low=0.5,
    high=1.0,
    start=0.55,
    grid=(0.5, 0.525, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0),
)
PRIOR = Choice("prior", "Prior on each reward", tuple(PRIORS), "none")
LABEL_NOISE = Number("label_noise", "Label noise", low=0.0, high=0.4, start=0.0)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the table so far: at each moment the fit of the first study, and how many of all can tell."""
    noise = settings["label_noise"]
    shown_chance = settings["chance"] + noise * (1 - 2 * settings["chance"])
    won = np.random.default_rng(seed).random((STUDIES, LAST)) < shown_chance
    needed = comparisons_needed(shown_chance)
    table: Table = {name: [] for name in ("comparisons", "low", "middle", "high", "share", "theory", "lead", "needed")}
    for moment in np.unique(np.geomspace(FIRST, LAST, MOMENTS).round().astype(int)).tolist():
        low, middle, high = interval(to_engine(won[:, :moment].sum(axis=-1), engine), moment, PRIORS[settings["prior"]])
        told = ((low > 0) | (high < 0)).tolist()
        theory = share_expected(shown_chance, moment)
        row = (moment, *(float(end[0]) for end in (low, middle, high)), sum(told) / STUDIES, theory)
        add_row(table, (*row, log_odds(settings["chance"]), needed))
        yield so_far(table)


def interval(wins: Array, comparisons: int, prior_variance: float | None = None) -> tuple[Array, Array, Array]:
    """Return a 95 % interval of the lead of one answer over the other, and the fitted lead within it.

    For an answer that never lost nothing is fitted (nan) and there is no upper end. The lower end is the lead at
    which so many wins in a row have a chance of 5 %. For one that never won it is the other way round.
    """
    xp = namespace(wins)
    wins = xp.astype(wins, xp.float64)
    losses, nothing = comparisons - wins, 0 * wins
    counts = xp.stack([xp.stack([nothing, wins], axis=-1), xp.stack([losses, nothing], axis=-1)], axis=-2)
    finite = has_finite_fit(counts) if prior_variance is None else wins == wins
    even = counts + xp.matrix_transpose(counts)  # stands in where nothing can be fitted
    fit = fit_bradley_terry(xp.where(finite[..., None, None], counts, even), prior_variance=prior_variance)
    middle, reach = fit.reward[..., 0] - fit.reward[..., 1], WIDTH * fit.standard_error[..., 0, 1]
    at_least = nothing + log_odds(0.05 ** (1 / comparisons))
    low = xp.where(finite, middle - reach, xp.where(wins > 0, at_least, -math.inf))
    high = xp.where(finite, middle + reach, xp.where(wins > 0, math.inf, -at_least))
    return low, xp.where(finite, middle, math.nan), high


def log_odds(chance: float) -> float:
    """Return the lead in reward of an answer with this chance to win: inf for one that always does."""
    return math.log(chance / (1 - chance)) if chance < 1 else math.inf


def comparisons_needed(chance: float) -> float:
    r"""Return the $M$ at which the lead is as large as its interval is wide to one side: half of all studies tell."""
    lead = log_odds(chance)
    return (WIDTH / lead) ** 2 / (chance * (1 - chance)) if 0 < lead < math.inf else math.inf if lead == 0 else math.nan


def share_expected(chance: float, comparisons: int) -> float:
    """Return the share of studies that can tell, if a fitted lead is normal with the theorem's standard error."""
    lead, normal = log_odds(chance), NormalDist()
    if lead == math.inf:
        return math.nan
    away = lead * math.sqrt(comparisons * chance * (1 - chance))
    return normal.cdf(away - WIDTH) + normal.cdf(-away - WIDTH)


def describe(table: Table, settings: Settings) -> str:
    """Say where the interval ends, and after how many comparisons half of all studies can tell."""
    comparisons, low, middle, high = (table[name][-1] for name in ("comparisons", "low", "middle", "high"))
    if math.isnan(middle):
        return (
            f"In {comparisons} comparisons the answer never lost: no finite reward fits best, and the chart has no "
            f"room for it. Its lead is at least {low:.2f}, and nothing in the data bounds it from above."
        )
    fitted = f"After {comparisons} comparisons the lead is {middle:.3f}, with 95 % between {low:.3f} and {high:.3f}."
    share, needed = table["share"][-1], table["needed"][-1]
    if needed == math.inf:
        return f"{fitted} The answers are even, and {share:.1%} of {STUDIES} studies claim that they are not."
    if math.isnan(needed):
        return f"{fitted} The answer never lost: only the prior holds the fit, and more comparisons drive it on."
    return f"{fitted} Half of all studies can tell the answer from an even one after {needed:.0f} comparisons."


EXPERIMENT = Experiment(
    question="How many comparisons?",
    parameters=(CHANCE, PRIOR, LABEL_NOISE),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "An answer truly wins 55 of 100 comparisons. A study can tell it from an even one if its 95 % interval "
            "leaves 0 out. After how many comparisons can half of all studies tell?"
        ),
        kind="number",
        low=10,
        high=2000,
        unit="comparisons",
        answer=lambda table, settings: table["needed"][-1],
        why=(
            "The share of wins among M comparisons is uncertain by half over the root of M, and 5 points must be "
            "twice that: the root of M is about 20. A gap half as large takes four times as many."
        ),
    ),
)
