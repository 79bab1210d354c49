"""Checks for the exercises on large deviations: rates, draws, and chances that no draw shows."""

import math
from collections.abc import Callable

import numpy as np

from alignbook.asymptotics import finite_length, rate_function
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong

SEEDS = range(5)


@forgiving
def check_all_right(number: float) -> Verdict:
    """Check how many answers of 20 steps, each right with chance one half, are drawn until all steps are right."""
    mistakes = {
        20 * math.log(2): "That is n I(1), the exponent: the number of draws is e to it.",
        math.log(2): "That is the rate I(1). Multiply by the length, then take the exponential.",
        40.0: "The chances of independent steps multiply; they do not add.",
        math.exp(20): "The rate is I(1) = -log p(right), which is log 2 and not 1.",
        2.0**-20: "That is the chance of one answer. How many draws, on average?",
        2**20 * math.log(2): "After so many draws the chance to have one is a half; the mean number is larger.",
    }
    if words := known_mistake(number, mistakes):
        return wrong(words)
    if not math.isclose(number, 2**20, rel_tol=1e-3):
        return wrong("At the largest reward I is -log of the chance of the letters that have it; e^(n I) draws.")
    return right("One type, one answer: the rate alone is exact.")


@forgiving
def check_ordinary(rate: float) -> Verdict:
    """Check the rate of a mean reward of 0.3 under the steps' tilt whose odds are three times the reference's."""
    tilted = 0.9 / 1.6
    mistakes = {
        _divergence(tilted, 0.3): "That is D(tilt || reference), the tilt's price. Which law is drawn from here?",
        0.0: "0.3 is the reference's mean: under the reference its rate is 0, under the tilt it is not.",
        _divergence(0.3, 0.9): "Three times the odds, not three times the chance: 0.9/0.7 is not 0.9.",
        math.log(3) * (tilted - 0.3): "Still to be subtracted: δ, the tilt's own divergence.",
        _divergence(0.3, tilted) / math.log(2): "That is in bits; the book counts in nats.",
    }
    if words := known_mistake(rate, mistakes, rel_tol=3e-3, abs_tol=1e-9):
        return wrong(words)
    if not math.isclose(rate, _divergence(0.3, tilted), rel_tol=5e-3):
        return wrong(
            "The rate at x under the tilt is the divergence of the tilt with mean x from it: here of p itself."
        )
    return right("It is the divergence of the reference from the tilt, a (x* - mean) - δ.")


@forgiving
def check_rate(my_rate: Callable) -> Verdict:
    """Check a reader's rate function of right and wrong steps, at the ends, beyond them and below the mean."""
    for chance in (0.3, 0.8):
        law = np.log([chance, 1 - chance])
        for x in (0.1, chance, 0.5, 0.9, 0.0, 1.0, -0.2, 1.3):
            answer, mine = float(rate_function(law, np.array([1.0, 0.0]), x)), float(my_rate(chance, x))
            if math.isclose(mine, answer, rel_tol=1e-6, abs_tol=1e-9):
                continue
            return wrong(_what_is_off(chance, x, mine, answer))
    return right("Inside a divergence, at the ends -log of a chance, beyond them infinite.")


def _what_is_off(chance: float, x: float, mine: float, answer: float) -> str:
    if not 0 <= x <= 1:
        return f"No mean reward is {x:g}: beyond the range the rate is infinite, not {mine:.4g}."
    if x in (0.0, 1.0):
        return f"At the end {x:g} the rate is {answer:.4f}, not {mine:.4g}: 0 log 0 counts as 0."
    if math.isclose(mine, (x - chance) ** 2 / (2 * chance * (1 - chance)), rel_tol=1e-6):
        return "That is the normal law's parabola, right near the mean only."
    if math.isclose(mine, _divergence(chance, x), rel_tol=1e-6):
        return "The divergence runs from the law with mean x to p: put x on top and weight by x."
    if x < chance and abs(mine) < 1e-9:
        return f"Below the mean the rate of few right steps is positive: at {x:g} it is {answer:.4f}."
    return f"For a chance of {chance:g} it is {answer:.4f} at {x:g}, not {mine:.4g}."


@forgiving
def check_draws(my_draws: Callable) -> Verdict:
    """Check a reader's number of draws with which one answer has enough right steps, with a given probability."""
    cases = ((0.3, 20, 10, 0.95), (0.3, 100, 50, 0.5), (0.6, 10, 10, 0.9), (0.3, 400, 380, 0.95))
    for chance, n, least, sure in cases:
        mine, log_p = float(my_draws(chance, n, least, sure)), _log_tail(chance, n, least)
        answer = math.log1p(-sure) / math.log1p(-math.exp(log_p))
        if math.isclose(mine, answer, rel_tol=1e-6):
            continue
        slips = {
            "That is 1/P, the mean number of draws; here one is to be there with the given probability.": 1 / _p(log_p),
            "That is the draws by the rate alone: use the exact chance.": _by_rate(chance, n, least, sure),
            "At least, not more than: the total `least` itself counts.": _more_than(chance, n, least, sure),
            "With probability `sure` one is there: (1 - P)^N is 1 - sure, not sure.": math.log(sure)
            / math.log1p(-_p(log_p)),
        }
        if words := known_mistake(mine, {slip: words for words, slip in slips.items()}, rel_tol=1e-6):
            return wrong(words)
        if not math.isfinite(mine) or mine < 0:
            return wrong(f"For answers as rare as {math.exp(log_p):.0e}, 1 - P is 1 in double precision: use log1p.")
        return wrong(f"{n} steps of chance {chance:g}, {least} right, {sure:.0%} sure: {answer:.5g}, not {mine:.5g}.")
    return right("With 1/P draws you would have one with probability 63 percent.")


def _p(log_p: float) -> float:
    return math.exp(log_p)


def _by_rate(chance: float, n: int, least: int, sure: float) -> float:
    rate = float(rate_function(np.log([chance, 1 - chance]), np.array([1.0, 0.0]), least / n))
    return math.log1p(-sure) / math.log1p(-math.exp(-n * rate))


def _more_than(chance: float, n: int, least: int, sure: float) -> float:
    more = math.exp(_log_tail(chance, n, least + 1)) if least < n else 0.0
    return math.log1p(-sure) / math.log1p(-more) if more else math.inf


def _log_tail(chance: float, n: int, least: int) -> float:
    found = finite_length(np.log([chance, 1 - chance]), np.array([1.0, 0.0]), n, 0.0)
    return float(np.logaddexp.reduce(found.ref_log_p[found.total >= least - 1e-9]))


@forgiving
def check_estimate(my_estimate: Callable) -> Verdict:
    """Check a reader's estimate from draws of the chance that half of 100 steps are right."""
    answer = math.exp(_log_tail(0.3, 100, 50))
    found = [float(my_estimate(10_000, seed)) for seed in SEEDS]
    if len(set(found)) == 1 and found[0] != 0:
        return wrong("It is the same for every seed: an estimate comes from draws.")
    ratio = float(np.median(found)) / answer
    if ratio > 1e3:
        return wrong("It is near one half: every draw must be weighted by its chance under p over that under the tilt.")
    if all(value == 0 or value >= 5e-5 for value in found):
        return wrong("Plain counting: in 10000 draws there is mostly no such answer. Draw where there are many.")
    worst = max(found, key=lambda value: abs(value / answer - 1))
    if abs(worst / answer - 1) > 0.1:
        return wrong(f"With one seed it is {worst:.2e}, and the chance is {answer:.2e}. Which tilt makes 50 the mean?")
    return right(f"The chance is {answer:.3e}, and your draws of another law show it.")


def _divergence(x: float, y: float) -> float:
    return x * math.log(x / y) + (1 - x) * math.log((1 - x) / (1 - y))
