"""Same mean, another law: the total reward under best-of-N and under the tilt, at the same price a step."""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row
from alignbook.experiments.long_answers import GROWING, log_draws, long_answers

LAWS = ("tilt", "best-of-N")
WINDOW = 120  # right steps that the picture shows on both sides of the tilt's mean
BARS, REACH, SLIGHT = 5, 5, 1e-3  # bars a deviation, deviations that are drawn, the least height that is
RATIOS = {"1 : 1": 1, "1 : 2": 2, "1 : 10": 10, "1 : 40": 40}
COLUMNS = ("part", "law", "total", "share", "height")

LENGTH = Number(
    "length",
    "Length n",
    low=10,
    high=1_000_000,
    start=10_000,
    unit="steps",
    log=True,
    grid=(10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000),
)
DRAWS = Choice("draws", "Draws N", (GROWING, "4", "16", "64", "256"), GROWING)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: accounts of both laws, and their histograms in right steps and in shares of the length."""
    length = settings["length"]
    found = long_answers(length, settings["draws"], engine)
    table: Table = {name: [] for name in COLUMNS}
    center = float(found.letter.reward)
    laws = (found.tilt_log_p, found.best_of_n_log_p)
    for law, account, log_p in zip(LAWS, (found.tilt, found.best_of_n), laws, strict=True):
        far = np.abs(found.right - length * center) > WINDOW
        spread = math.sqrt(account.variance)
        said = {"spread": spread, "kl": account.kl, "gap": found.kl_best_of_n_to_tilt}
        said["outside"] = float(np.exp(np.asarray(log_p.tolist()))[far].sum())
        add_row(table, ("mean", law, account.reward - length * center, account.reward / length, account.reward))
        for name, value in said.items():
            add_row(table, (name, law, None, None, value))
        for total, height in bars(found.right, log_p, account.reward, spread):
            add_row(table, ("bar", law, total - length * center, total / length, height))
    if settings["draws"] == GROWING:  # the question is about these: the guess is drawn beside best-of-N's width
        add_row(table, ("asked", LAWS[1], None, None, math.sqrt(found.best_of_n.variance)))
    yield table


def bars(right: np.ndarray, log_p: Array, mean: float, spread: float) -> list[tuple[float, float]]:
    """Return the left edges and the heights, in parts of the highest, of a law's bars; the last one closes the row.

    A bar takes as many totals as it needs for about five bars a deviation.
    """
    width = max(1, round(spread / BARS))
    near = np.flatnonzero(np.abs(right - mean) <= REACH * spread + width)
    start = int(near[0])
    mass = np.exp(np.asarray(log_p.tolist()))[start : int(near[-1]) + 1]
    mass = np.append(mass, np.zeros(-len(mass) % width)).reshape(-1, width).sum(axis=1)
    seen = np.flatnonzero(mass > SLIGHT * mass.max())
    edges = right[start] - 0.5 + width * np.arange(seen[0], seen[-1] + 2)
    heights = np.append(mass[seen[0] : seen[-1] + 1] / mass.max(), 0.0)
    return list(zip(edges.tolist(), heights.tolist(), strict=True))


def said_of(table: Table, name: str, law: str) -> float:
    """Return what the table says of a law: mean, spread, kl, outside and others."""
    rows = zip(table["part"], table["law"], table["height"], strict=True)
    return next(value for part, of, value in rows if (part, of) == (name, law))


def describe(table: Table, settings: Settings) -> str:
    """Say means, widths and prices of both laws, what divides them, and what the picture leaves out."""
    n = settings["length"]
    tilt, best = ({name: said_of(table, name, law) for name in _SAID} for law in LAWS)
    outside = f" {tilt['outside']:.0%} of the tilt lies outside the first picture." if tilt["outside"] > 0.005 else ""
    ratio = tilt["spread"] / best["spread"]
    return (
        f"{n:,} steps, {_number(settings)} draws. Right steps: best-of-N {_mean(best, n)} ± {best['spread']:.3g}, tilt "
        f"{_mean(tilt, n)} ± {tilt['spread']:.3g} (mean ± standard deviation, 1 : {ratio:.3g}). A step: "
        f"{best['mean'] / n:.2%} and {tilt['mean'] / n:.2%} right, for {best['kl'] / n:.3g} and {tilt['kl'] / n:.3g} "
        f"nats. D(best-of-N ‖ tilt): {best['gap']:.2f} nats, {best['gap'] / n:.2g} a step.{outside}"
    )


_SAID = ("mean", "spread", "kl", "outside", "gap")


def _mean(said: dict[str, float], length: int) -> str:
    return f"{said['mean']:,.1f}" if length < 1_000_000 else f"{said['mean']:,.0f}"


def _number(settings: Settings) -> str:
    draws = settings["draws"]
    return draws if draws != GROWING else f"e^{log_draws(draws, settings['length']):,.0f}"


def nearest(table: Table, settings: Settings) -> int:
    """Return which of the offered ratios of widths is nearest to the true one, in its logarithm."""
    ratio = said_of(table, "spread", "tilt") / said_of(table, "spread", "best-of-N")
    return int(np.argmin([abs(math.log(offered / ratio)) for offered in RATIOS.values()]))


EXPERIMENT = Experiment(
    question="Same mean, another law",
    parameters=(LENGTH, DRAWS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Answers of 10,000 steps; the reward counts the right ones. Best-of-N with N = e^1000 draws and the tilt "
            "both cost 0.1 nat a step, and both are right on 51 % of the steps, to the percent. Their totals "
            "scatter. Which ratio is nearest to that of the standard deviations, best-of-N to tilt?"
        ),
        kind="choice",
        options=tuple(RATIOS),
        answer=nearest,
        why=(
            "Of these it is the nearest; the ratio itself stands under the picture. "
            "The tilt draws its steps independently, so that their scatter adds up like the square root of the length. "
            "Best-of-N keeps the largest of very many totals. Near that maximum each right step more is rarer "
            "by the same factor, whatever the length, and so the winner's scatter stays at one or two steps. Equal "
            "means and equal prices a step say nothing about it."
        ),
    ),
    seeded=False,
)
