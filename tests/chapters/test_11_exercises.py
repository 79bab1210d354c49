"""The checkers of Chapter 11 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest
from scipy.stats import binom

from alignbook.exercises import large_deviations as check


def solution_rate(chance, x):
    if not 0 <= x <= 1:
        return np.inf
    right = x * np.log(x / chance) if x > 0 else 0.0
    wrong = (1 - x) * np.log((1 - x) / (1 - chance)) if x < 1 else 0.0
    return right + wrong


def solution_draws(chance, n, least, sure):
    return np.log1p(-sure) / np.log1p(-binom.sf(least - 1, n, chance))


def solution_estimate(num_draws, seed, tilted=0.5):
    k = (np.random.default_rng(seed).random((num_draws, 100)) < tilted).sum(axis=-1)
    weight = np.exp(k * np.log(0.3 / tilted) + (100 - k) * np.log(0.7 / (1 - tilted)))
    return np.mean(weight * (k >= 50))


def divergence(x, y):
    return x * math.log(x / y) + (1 - x) * math.log((1 - x) / (1 - y))


TILTED = 0.5625
SOLUTIONS = [
    (check.check_all_right, [2**20]),
    (check.check_all_right, [1_050_000 / 1.0013]),
    (check.check_ordinary, [0.1404]),
    (check.check_ordinary, [math.log(3) * (TILTED - 0.3) - divergence(TILTED, 0.3)]),
    (check.check_rate, [solution_rate]),
    (check.check_draws, [solution_draws]),
    (check.check_estimate, [solution_estimate]),
]

MISTAKES = [
    (check.check_all_right, [20 * math.log(2)], "the exponent"),
    (check.check_all_right, [0.693], "Multiply by the length"),
    (check.check_all_right, [40], "do not add"),
    (check.check_all_right, [math.exp(20)], "log 2 and not 1"),
    (check.check_all_right, [2**-20], "chance of one answer"),
    (check.check_all_right, [2**20 * math.log(2)], "mean number is larger"),
    (check.check_all_right, [1000], "At the largest reward"),
    (check.check_ordinary, [divergence(TILTED, 0.3)], "Which law is drawn from"),
    (check.check_ordinary, [0.0], "under the tilt it is not"),
    (check.check_ordinary, [divergence(0.3, 0.9)], "Three times the odds"),
    (check.check_ordinary, [math.log(3) * (TILTED - 0.3)], "Still to be subtracted"),
    (check.check_ordinary, [0.1404 / math.log(2)], "in bits"),
    (check.check_ordinary, [0.5], "of p itself"),
    (check.check_rate, [lambda p, x: (x - p) ** 2 / (2 * p * (1 - p))], "parabola"),
    (check.check_rate, [lambda p, x: divergence(p, x)], "put x on top"),
    (check.check_rate, [lambda p, x: 0.0 if x <= p else solution_rate(p, x)], "Below the mean"),
    (check.check_rate, [lambda p, x: solution_rate(p, min(max(x, 1e-3), 1 - 1e-3))], "At the end"),
    (check.check_rate, [lambda p, x: solution_rate(p, min(max(x, 0.0), 1.0))], "beyond the range"),
    (check.check_rate, [lambda p, x: 2 * solution_rate(p, x)], "it is 0."),
    (check.check_draws, [lambda p, n, k, s: 1 / binom.sf(k - 1, n, p)], "1/P"),
    (
        check.check_draws,
        [lambda p, n, k, s: np.log1p(-s) / np.log1p(-np.exp(-n * solution_rate(p, k / n)))],
        "rate alone",
    ),
    (check.check_draws, [lambda p, n, k, s: np.log1p(-s) / np.log1p(-binom.sf(k, n, p))], "itself counts"),
    (check.check_draws, [lambda p, n, k, s: np.log(s) / np.log1p(-binom.sf(k - 1, n, p))], "not sure"),
    (check.check_draws, [lambda p, n, k, s: np.log(1 - s) / np.log(1 - binom.sf(k - 1, n, p))], "log1p"),
    (check.check_draws, [lambda p, n, k, s: 7.0], "not 7"),
    (check.check_estimate, [lambda m, seed: binom.sf(49, 100, 0.3)], "same for every seed"),
    (
        check.check_estimate,
        [lambda m, seed: np.mean((np.random.default_rng(seed).random((m, 100)) < 0.3).sum(-1) >= 50)],
        "Plain counting",
    ),
    (
        check.check_estimate,
        [lambda m, seed: np.mean((np.random.default_rng(seed).random((m, 100)) < 0.5).sum(-1) >= 50)],
        "must be weighted",
    ),
    (check.check_estimate, [lambda m, seed: solution_estimate(m, seed, 0.35)], "Which tilt"),
    (check.check_estimate, [lambda m: 0.5], "could not be evaluated"),
]


@pytest.mark.parametrize(("checker", "answer"), SOLUTIONS)
def test_the_book_s_solution_passes(checker, answer):
    verdict = checker(*answer)
    assert verdict.ok, verdict


@pytest.mark.parametrize(("checker", "answer", "hint"), MISTAKES)
def test_a_typical_mistake_gets_its_hint(checker, answer, hint):
    verdict = checker(*answer)
    assert not verdict.ok
    assert re.search(re.escape(hint), verdict.message), verdict
