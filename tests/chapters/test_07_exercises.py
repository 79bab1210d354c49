"""The checkers of Chapter 7 accept the book's solutions and meet each typical mistake with its own hint."""

import re

import numpy as np
import pytest

from alignbook.exercises import priority as check


def solution_angle(length_strong, length_weak, share_weak):
    cosine = -share_weak * length_weak / ((1 - share_weak) * length_strong)
    return np.degrees(np.arccos(max(cosine, -1.0)))


def angle_of_equal_shares(length_strong, length_weak, share_weak):
    return np.degrees(np.arccos(-length_weak / length_strong))


def angle_without_a_limit(length_strong, length_weak, share_weak):
    return np.degrees(np.arccos(-share_weak * length_weak / ((1 - share_weak) * length_strong)))


def solution_shares(differences):
    shares = np.full(len(differences), 1 / len(differences))
    for _ in range(20_000):
        pooled = shares @ differences
        worst = np.argmin(differences @ pooled)
        towards = differences[worst] - pooled
        step = min(max(-(pooled @ towards) / max(towards @ towards, 1e-30), 0.0), 1.0)
        shares = (1 - step) * shares
        shares[worst] += step
    return shares


def inverse_squares(differences):
    weights = 1 / np.sum(np.asarray(differences) ** 2, axis=-1)
    return weights / weights.sum()


def equal_projections(differences):
    weights = np.linalg.solve(differences @ differences.T, np.ones(len(differences)))
    return weights / weights.sum()


SOLUTIONS = [
    (check.check_ratio, [6]),
    (check.check_shares, [[1 / 21, 4 / 21, 16 / 21]]),
    (check.check_reversal_angle, [solution_angle]),
    (check.check_fairest_shares, [solution_shares]),
    (check.check_noise, [0.7559 / (2 * 1.2816)]),
    (check.check_noise, [0.295]),
]

MISTAKES = [
    (check.check_ratio, [2.25], "orthogonal differences"),
    (check.check_ratio, [1.5], "Lengths count twice"),
    (check.check_ratio, [1.714], "cosine of 120 degrees is negative"),
    (check.check_ratio, [1 / 6], "other way round"),
    (check.check_ratio, [4], "over (4 + <b1, b2>)"),
    (check.check_shares, [[1 / 7, 2 / 7, 4 / 7]], "one over the length"),
    (check.check_shares, [[16 / 21, 4 / 21, 1 / 21]], "smallest share"),
    (check.check_shares, [[1 / 3, 1 / 3, 1 / 3]], "16 to 4 to 1"),
    (check.check_shares, [[1, 4, 16]], "sum to one; yours to 21"),
    (check.check_shares, [[0.5, 0.5]], "three shares"),
    (check.check_shares, [[0.1, 0.2, 0.7]], "stand as 2.29, 1.14, 1"),
    (check.check_reversal_angle, [angle_of_equal_shares], "Right for equal shares"),
    (check.check_reversal_angle, [lambda *case: np.radians(solution_angle(*case))], "in radians"),
    (check.check_reversal_angle, [lambda *case: 180 - solution_angle(*case)], "sign of the cosine"),
    (check.check_reversal_angle, [angle_without_a_limit], "return 180, not nan"),
    (check.check_reversal_angle, [lambda *case: 100.0], "the angle is 104.48 degrees; yours is 100.00"),
    (check.check_fairest_shares, [lambda b: np.full(len(b), 1 / len(b))], "equal shares"),
    (check.check_fairest_shares, [inverse_squares], "With the puzzle the pooled difference can be shorter"),
    (check.check_fairest_shares, [equal_projections], "share is negative"),
    (check.check_fairest_shares, [lambda b: np.ones(len(b))], "sum to one; yours to 3"),
    (check.check_fairest_shares, [lambda b: np.ones((1, len(b)))], "one share for each of 3"),
    (check.check_noise, [0.59], "Half of the distance"),
    (check.check_noise, [0.39], "the weak behavior alone"),
    (check.check_noise, [0.42], "through the normal law"),
    (check.check_noise, [0.1], "shortest pooled difference"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_7_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_of_chapter_7_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(re.escape(hint), verdict.message), verdict
