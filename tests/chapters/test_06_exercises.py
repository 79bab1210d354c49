"""The checkers of Chapter 6 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest

from alignbook.dynamics import normal_cdf
from alignbook.exercises import accuracy as check


def solution_accuracy(head, difference, noise):
    return normal_cdf(head @ difference / (2 * noise * np.linalg.norm(head)))


def solution_noise(shift, delta):
    near, far = shift - delta / 2, shift + delta / 2
    return np.sqrt(shift * delta / np.log(far / near)) if near > 0 else 0.0


SOLUTIONS = [
    (check.check_reward_accuracy, [0.841]),
    (check.check_statements, [4608]),
    (check.check_accuracy, [solution_accuracy]),
    (check.check_best_noise, [solution_noise]),
    (check.check_offset, [0.7]),
]

MISTAKES = [
    (check.check_reward_accuracy, [0.977], "half of Δ away"),
    (check.check_reward_accuracy, [0.691], "how many deviations"),
    (check.check_reward_accuracy, [1 - math.exp(-0.5)], "guarantee promises"),
    (check.check_reward_accuracy, [84.1], "A share"),
    (check.check_reward_accuracy, [0.3], "How far is the mean"),
    (check.check_statements, [15360], "s squared"),
    (check.check_statements, [0.09 * 256], "one feature"),
    (check.check_statements, [1152], "multiplied by 2"),
    (check.check_statements, [288], "mean square of the gap"),
    (check.check_statements, [1000], "1/16"),
    (check.check_accuracy, [lambda w, b, s: normal_cdf(w @ b / (s * np.linalg.norm(w)))], "half the difference"),
    (check.check_accuracy, [lambda w, b, s: normal_cdf(w @ b / (2 * s))], "length of the head"),
    (check.check_accuracy, [lambda w, b, s: normal_cdf(w @ b / (2 * s**2 * np.linalg.norm(w)))], "not by the variance"),
    (check.check_accuracy, [lambda w, b, s: normal_cdf(np.linalg.norm(b) / (2 * s))], "does not"),
    (check.check_accuracy, [lambda w, b, s: 0.5], "it is 0."),
    (check.check_accuracy, [lambda w, b, s: solution_accuracy(np.abs(w) * [1, 1, -1], b, s)], "turned round"),
    (check.check_accuracy, [lambda w, b: 0.5], "could not be evaluated"),
    (check.check_best_noise, [lambda a, d: solution_noise(a, d) ** 2], "variance"),
    (check.check_best_noise, [lambda a, d: 1.0], "it is 0.9541"),
    (check.check_best_noise, [lambda a, d: solution_noise(a, d) or 0.1], "both sides"),
    (check.check_best_noise, [lambda a, d: solution_noise(a, 1.0)], "where does Δ come in"),
    (check.check_offset, [0.5], "a larger one"),
    (check.check_offset, [2.0], "is enough as well"),
    (check.check_offset, [50.0], "too large"),
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
