"""The checkers of Chapter 9 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest

from alignbook.exercises import best_of_n as check


def solution_law(p, reward, n):
    up_to = np.array([p[reward <= r].sum() for r in reward])
    below = np.array([p[reward < r].sum() for r in reward])
    return p / (up_to - below) * (up_to**n - below**n)


def ranked_law(p, reward, n):
    """Ties broken by the place in the list, the earlier above."""
    order = np.lexsort((-np.arange(len(p)), reward))
    law = np.empty(len(p))
    law[order] = np.diff(np.cumsum(p[order]) ** n, prepend=0.0)
    return law


def doubled_law(p, reward, n):
    up_to = np.array([p[reward <= r].sum() for r in reward])
    below = np.array([p[reward < r].sum() for r in reward])
    return up_to**n - below**n


def solution_kl(marks, n):
    counts = np.unique(marks, return_counts=True)[1]
    edges = np.concatenate([[0], np.cumsum(counts) / len(marks)])
    masses, kept = np.diff(edges), np.diff(edges**n)
    return np.sum(kept[kept > 0] * np.log(kept[kept > 0] / masses[kept > 0]))


def reversed_kl(marks, n):
    counts = np.unique(marks, return_counts=True)[1]
    edges = np.concatenate([[0], np.cumsum(counts) / len(marks)])
    masses, kept = np.diff(edges), np.diff(edges**n)
    return np.sum(masses * np.log(masses / kept))


def solution_mean(rewards, n):
    weights = [math.comb(k, n - 1) / math.comb(len(rewards), n) for k in range(len(rewards))]
    return weights @ np.sort(rewards)


def mean_with_repetition(rewards, n):
    return np.diff((np.arange(len(rewards) + 1) / len(rewards)) ** n) @ np.sort(rewards)


RIGHT = 1 - 0.7**4

SOLUTIONS = [
    (check.check_draws, [59]),
    (check.check_right_or_wrong, [0.449]),
    (check.check_best_of_n, [solution_law]),
    (check.check_kl_of_marks, [solution_kl]),
    (check.check_mean_of_best, [solution_mean]),
]

MISTAKES = [
    (check.check_draws, [58], "round up"),
    (check.check_draws, [19], "0.95 right answers on average"),
    (check.check_draws, [20], "one right answer on average"),
    (check.check_draws, [100], "with chance 0.9941"),
    (check.check_right_or_wrong, [math.log(4) - 0.75], "the bound"),
    (check.check_right_or_wrong, [math.log(4)], "log N"),
    (check.check_right_or_wrong, [math.log(10 / 3)], "still wrong"),
    (check.check_right_or_wrong, [RIGHT * math.log(RIGHT / 0.3)], "count as well"),
    (check.check_right_or_wrong, [0.3 * math.log(0.3 / RIGHT) + 0.7 * math.log(0.7 / 0.2401)], "average over"),
    (check.check_right_or_wrong, [1.0], "law on two"),
    (check.check_best_of_n, [lambda *a: np.log(solution_law(*a))], "log-probabilities"),
    (check.check_best_of_n, [lambda p, r, n: np.array([p[r <= x].sum() for x in r]) ** n], "all are worse"),
    (check.check_best_of_n, [ranked_law], "Sydney and Melbourne tie"),
    (check.check_best_of_n, [doubled_law], "its share of their level"),
    (check.check_best_of_n, [lambda p, r, n: p], "gives Sydney"),
    (check.check_best_of_n, [lambda p, r, n: p[:2]], "one probability"),
    (check.check_best_of_n, [lambda p, r, n: solution_law(p, r, int(n))], "N = 2.5"),
    (check.check_kl_of_marks, [lambda marks, n: math.log(n) - 1 + 1 / n], "the bound"),
    (check.check_kl_of_marks, [reversed_kl], "turn it round"),
    (check.check_kl_of_marks, [lambda marks, n: solution_kl(np.arange(len(marks)), n)], "equals"),
    (check.check_kl_of_marks, [lambda marks, n: 0.0], "yours is 0.0000"),
    (check.check_mean_of_best, [mean_with_repetition], "with repetition"),
    (check.check_mean_of_best, [lambda rewards, n: -solution_mean(-rewards, n)], "worst of each"),
    (check.check_mean_of_best, [lambda rewards, n: rewards.max()], "yours is 9"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_9_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_9_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
