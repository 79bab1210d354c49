"""The checkers of Chapter 12 accept the book's solutions and meet each typical mistake with its own hint."""

import re

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import norm

from alignbook.exercises import best_of_n_meets_the_optimum as check

GRID = np.linspace(-10, 10, 4001)


def largest(n):
    density = n * ndtr(GRID) ** (n - 1) * norm.pdf(GRID)
    return np.sum(GRID * density) / np.sum(density)


def budget(n):
    return np.log(n) - (n - 1) / n


def share(n):
    return largest(n) / np.sqrt(2 * budget(n))


def entropy(step, shift, low=-2, high=60, log=np.log, sign=-1, keep=True):
    first = int(np.floor((shift - 7) / step)) + low
    below = np.exp(-np.exp(shift - step * (np.arange(first, first + int(high / step) + 6) + 1)))
    mass = np.diff(below)
    mass = mass[mass > 0] if keep else mass
    return sign * np.sum(mass * log(mass))


SOLUTIONS = [
    (check.check_growth, [np.log(10)]),
    (check.check_growth, [2.303]),
    (check.check_power, [0.5]),
    (check.check_share, [share]),
    (check.check_entropy, [entropy]),
    (check.check_turning_length, [440]),
    (check.check_turning_length, [470.5]),
]

MISTAKES = [
    (check.check_growth, [np.log(100)], "half a logarithm"),
    (check.check_growth, [0.0], "whole answers"),
    (check.check_growth, [1.0], "base 10"),
    (check.check_growth, [3.3219], "bits"),
    (check.check_growth, [7.0], "difference of the formula"),
    (check.check_power, [1.0], "beat one of the tilt"),
    (check.check_power, [0.25], "divide by the rate"),
    (check.check_power, [-0.5], "N such draws"),
    (check.check_power, [0.75], "at a/2"),
    (check.check_power, [3.0], "in units of"),
    (check.check_share, [largest], "in standard deviations"),
    (check.check_share, [lambda n: largest(n) / np.sqrt(2 * np.log(n))], "less than log N"),
    (check.check_share, [lambda n: largest(n) / np.sqrt(budget(n))], "Half the square"),
    (check.check_share, [lambda n: 1 / share(n)], "wrong way round"),
    (check.check_share, [lambda n: 0.93], "For N = 2 the share"),
    (check.check_entropy, [lambda *case: entropy(*case, log=np.log2)], "bits"),
    (check.check_entropy, [lambda *case: entropy(*case, sign=1)], "minus before the sum"),
    (check.check_entropy, [lambda *case: entropy(*case, keep=False)], "0 log 0"),
    (check.check_entropy, [lambda *case: entropy(*case, low=10)], "all the mass"),
    (check.check_turning_length, [200], "go on"),
    (check.check_turning_length, [700], "earlier"),
    (check.check_turning_length, [0], "lengths from 1"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_12_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_12_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
