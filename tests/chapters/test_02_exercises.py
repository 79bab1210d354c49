"""The checkers of Chapter 2 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest

from alignbook import information, tilting
from alignbook.exercises import kl_constrained_optimum as check


def solution_tilt(ref_log_p, reward, beta):
    score = ref_log_p + reward / beta
    top = score.max()
    return score - top - np.log(np.exp(score - top).sum())


def naive_tilt(ref_log_p, reward, beta):
    weight = np.exp(ref_log_p) * np.exp(reward / beta)
    return np.log(weight / weight.sum())


def bisected_beta(ref_log_p, reward, kl_budget, spent=None, falling=True):
    spent = spent or (lambda law: information.kl_divergence(law, ref_log_p))
    low, high = 1e-6, 1e6
    for _ in range(100):
        middle = np.sqrt(low * high)
        too_much = spent(tilting.tilt(ref_log_p, reward, middle)) > kl_budget
        low, high = (middle, high) if too_much == falling else (low, middle)
    return middle


def reversed_beta(ref_log_p, reward, kl_budget):
    return bisected_beta(ref_log_p, reward, kl_budget, lambda law: information.kl_divergence(ref_log_p, law))


def wrong_way_beta(ref_log_p, reward, kl_budget):
    return bisected_beta(ref_log_p, reward, kl_budget, falling=False)


SOLUTIONS = [
    (check.check_which_beta, [0.7213]),
    (check.check_temperature, [lambda tau: tau / (1 - tau)]),
    (check.check_tilt, [solution_tilt]),
    (check.check_beta_for_budget, [bisected_beta]),
    (check.check_split, [0.081, 0.319]),
]

MISTAKES = [
    (check.check_which_beta, [math.log(4)], "turn it over"),
    (check.check_which_beta, [1 / math.log(1.6)], "log-odds"),
    (check.check_which_beta, [1.0], "gets 0.7311"),
    (check.check_which_beta, [-1.0], "must be positive"),
    (check.check_which_beta, ["a"], "could not be evaluated"),
    (check.check_temperature, [lambda tau: tau], "on top of the reference"),
    (check.check_temperature, [lambda tau: (1 - tau) / tau], "stands for 1/beta"),
    (check.check_temperature, [lambda tau: 2 * tau], "must be 1.111 in all"),
    (check.check_tilt, [lambda ref, r, beta: np.exp(solution_tilt(ref, r, beta))], "return their logarithms"),
    (check.check_tilt, [lambda ref, r, beta: solution_tilt(ref, r, 1 / beta)], "divide by it"),
    (check.check_tilt, [lambda ref, r, beta: ref + r / beta], "subtract log Z"),
    (check.check_tilt, [lambda ref, r, beta: ref], "should get 0.4969, yours gets 0.2"),
    (check.check_tilt, [naive_tilt], "overflows"),
    (check.check_beta_for_budget, [reversed_beta], "D\\(ref \\|\\| tilt\\)"),
    (check.check_beta_for_budget, [wrong_way_beta], "turn the comparison over"),
    (check.check_beta_for_budget, [lambda ref, r, kl: 1.0], "come within a millionth"),
    (check.check_beta_for_budget, [lambda ref, r, kl: math.nan], "must be a positive number"),
    (check.check_split, [0.2, 0.2], "even split"),
    (check.check_split, [0.2, 0.4], "average"),
    (check.check_split, [0.319, 0.081], "move budget to the second"),
    (check.check_split, [0.01, 0.39], "move budget to the first"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_2_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_2_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
