"""The checkers of Chapter 0 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest

from alignbook.exercises import foundations as check
from alignbook.exercises.verdict import wrong

REFERENCE = np.array([0.2, 0.4, 0.3, 0.1])


def solution_log_sigmoid(margin):
    return -np.logaddexp(0.0, -margin)


def solution_kl(log_p, log_q):
    possible = log_p > -np.inf
    ratio = np.where(possible, log_p, 0.0) - np.where(possible, log_q, 0.0)
    return np.sum(np.exp(log_p) * ratio, axis=-1)


def law_with(canberra):
    return [canberra, *((1 - canberra) * REFERENCE[1:] / 0.8)]


SOLUTIONS = [
    (check.check_logit_rise, 1.386),
    (check.check_kl_by_hand, 0.167),
    (check.check_log_sigmoid, solution_log_sigmoid),
    (check.check_kl, solution_kl),
    (check.check_within_budget, law_with(0.3952)),
    (check.check_grouped_kl, 0.032),
]

MISTAKES = [
    (check.check_logit_rise, math.log(2.5), "compare odds"),
    (check.check_logit_rise, 4, "its logarithm"),
    (check.check_logit_rise, 2, "in bits"),
    (check.check_logit_rise, 0.3, "rise of the probability"),
    (check.check_logit_rise, 7.0, "too large"),
    (check.check_kl_by_hand, 0.2415, "in bits"),
    (check.check_kl_by_hand, 0.191, "D\\(q \\|\\| p\\)"),
    (check.check_kl_by_hand, 0.3871, "counts negative"),
    (check.check_kl_by_hand, 0.2773, "left out the negative term"),
    (check.check_log_sigmoid, lambda m: np.log(1 / (1 + np.exp(-m))), "not finite"),
    (check.check_log_sigmoid, lambda m: -solution_log_sigmoid(m), "so negative"),
    (check.check_log_sigmoid, lambda m: np.log(np.maximum(1 / (1 + np.exp(-m)), 1e-12)), "clipping"),
    (check.check_log_sigmoid, lambda m: np.minimum(m, 0) - np.log(1 + np.exp(-np.abs(m))), "1 \\+ e"),
    (check.check_log_sigmoid, lambda m: np.where(m == 1, -0.3, solution_log_sigmoid(m)), "At margin 1"),
    (check.check_log_sigmoid, lambda m: math.log(m), "could not be evaluated"),
    (check.check_logit_rise, None, "could not be evaluated"),
    (check.check_log_sigmoid, lambda m: -math.log(2), "array operations"),
    (check.check_kl, lambda p, q: np.sum(np.exp(p) * (p - q), axis=-1), "makes it nan"),
    (check.check_kl, lambda p, q: solution_kl(q, p), "weight the log-ratio by the first law"),
    (check.check_kl, lambda p, q: solution_kl(p, q) / math.log(2), "in bits"),
    (check.check_kl, lambda p, q: -solution_kl(p, q), "sign is off"),
    (check.check_kl, lambda p, q: np.sum(solution_kl(p, q)), "last axis only"),
    (check.check_kl, lambda p, q: solution_kl(p, np.maximum(q, -30.0)), "inf, got"),
    (check.check_kl, lambda p, q: 0.0 * solution_kl(p, q), "it must be 0.035335"),
    (check.check_within_budget, law_with(0.40997), "above 0.1. You have measured"),
    (check.check_within_budget, [0.345, 0.255, 0.3, 0.1], "4:3:1"),
    (check.check_within_budget, law_with(0.3), "budget left"),
    (check.check_within_budget, [0.5, 0.4, 0.3, 0.1], "sum to one"),
    (check.check_within_budget, law_with(0.7), "above 0.1.$"),
    (check.check_grouped_kl, 0.122, "before grouping"),
    (check.check_grouped_kl, 0.0305, "D\\(q \\|\\| p\\)"),
    (check.check_grouped_kl, 0.0467, "in bits"),
]


@pytest.mark.parametrize(("checker", "answer"), SOLUTIONS)
def test_the_books_solution_is_right(checker, answer):
    assert checker(answer), checker(answer)


@pytest.mark.parametrize(("checker", "answer", "hint"), MISTAKES)
def test_a_typical_mistake_meets_its_own_hint(checker, answer, hint):
    verdict = checker(answer)
    assert not verdict
    assert re.search(hint, verdict.message), verdict


def test_the_best_law_within_the_budget_is_what_a_search_finds():
    """The constant in the checker against bisection, an own route."""
    low, high = 0.2, 0.8
    for _ in range(100):
        middle = (low + high) / 2
        spent = middle * math.log(middle / 0.2) + (1 - middle) * math.log((1 - middle) / 0.8)
        low, high = (middle, high) if spent < 0.1 else (low, middle)
    assert abs(low - check.BEST_CANBERRA) < 1e-14


def test_a_notebook_shows_a_verdict_as_a_paragraph():
    assert wrong("It must be < 1.")._repr_html_() == "<p>Not yet. It must be &lt; 1.</p>"
