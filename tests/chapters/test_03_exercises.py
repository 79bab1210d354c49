"""The checkers of Chapter 3 accept the book's solutions and meet each typical mistake with its own hint."""

import itertools
import re

import numpy as np
import pytest

from alignbook.exercises import policy_gradient as check
from alignbook.gradient_estimators import grpo_advantages, mean_baseline_advantages, rloo_advantages


def solution_rloo(values):
    size = values.shape[-1]
    return values - (values.sum(axis=-1, keepdims=True) - values) / (size - 1)


def divided_by_all(values):
    return values - (values.sum(axis=-1, keepdims=True) - values) / values.shape[-1]


def mean_over(log_p, values, size, advantages, groups=None, weight=None, summed=False):
    total, weights = np.zeros(len(log_p)), 0.0
    for group in groups(len(log_p), size) if groups else itertools.product(range(len(log_p)), repeat=size):
        chosen = list(group)
        scores = np.eye(len(log_p))[chosen] - np.exp(log_p)
        chance = np.exp(log_p[chosen].sum()) if weight is None else weight
        total, weights = total + chance * (advantages(values[chosen]) @ scores), weights + chance
    return total / weights / (1 if summed else size)


def left_out(values):
    size = values.shape[-1]
    total = np.zeros(values.shape)
    for i, j in itertools.permutations(range(size), 2):
        deviation = np.delete(values, [i, j], axis=-1).std(axis=-1, ddof=1)
        known = deviation > 1e-9 * np.abs(values).max(axis=-1)
        total[..., i] += (values[..., i] - values[..., j]) * known / np.where(known, deviation, 1.0)
    return total / (size - 1)


def distinct(answers, size):
    return itertools.permutations(range(answers), size)


SOLUTIONS = [
    (check.check_leave_it_out, [0.8]),
    (check.check_baseline, [lambda p: 1 - p]),
    (check.check_rloo, [solution_rloo]),
    (check.check_mean, [mean_over]),
    (check.check_normalization, [left_out]),
]

MISTAKES = [
    (check.check_leave_it_out, [0.45], "lead is larger"),
    (check.check_leave_it_out, [0.6], "one of them"),
    (check.check_leave_it_out, [0.75], r"K/\(K - 1\)"),
    (check.check_leave_it_out, [2.4], "0.8, 0, 0, 0"),
    (check.check_baseline, [lambda p: p], "mean reward"),
    (check.check_baseline, [lambda p: 0.0], "by 0.1, a wrong one by 0;"),
    (check.check_baseline, ["a"], "could not be evaluated"),
    (check.check_rloo, [lambda v: v - v.mean(axis=-1, keepdims=True)], "holds the answer itself"),
    (check.check_rloo, [divided_by_all], "K - 1 others"),
    (check.check_rloo, [grpo_advantages], "that is GRPO"),
    (check.check_rloo, [lambda v: -solution_rloo(v)], "sign is turned"),
    (check.check_rloo, [lambda v: v.mean(axis=-1)], "must agree"),
    (check.check_rloo, [lambda v: v], "it should give"),
    (check.check_mean, [lambda *given: mean_over(*given, weight=1.0)], "counted all groups alike"),
    (check.check_mean, [lambda *given: mean_over(*given, summed=True)], "summed over the group"),
    (check.check_mean, [lambda *given: mean_over(*given, groups=distinct)], "never repeat"),
    (check.check_mean, [lambda *given: 2 * mean_over(*given)], "first slope of RLOO should be 0.12400"),
    (check.check_mean, [lambda *given: 0.0], "each of the 4 answers"),
    (check.check_normalization, [rloo_advantages], "not normalized yet"),
    (check.check_normalization, [grpo_advantages], "degrees off for the rewards 1.0, 0.0, 0.1"),
    (check.check_normalization, [lambda v: np.zeros(v.shape)], "does not move"),
    (check.check_normalization, [lambda v: v.mean(axis=-1)], "must have the shape"),
    (
        check.check_normalization,
        [lambda v: mean_baseline_advantages(v) / np.abs(v).max()],
        "degrees off",
    ),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_3_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_3_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
