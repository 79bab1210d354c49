"""The checkers of Chapter 1 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re

import numpy as np
import pytest

from alignbook.exercises import preferences_and_rewards as check


def solution_fit(wins, steps=20_000):
    met = wins + wins.T
    reward = np.zeros(len(wins))
    for _ in range(steps):
        expected = met / (1 + np.exp(reward[None, :] - reward[:, None]))
        reward = reward + 2 * (wins.sum(axis=1) - expected.sum(axis=1)) / met.sum(axis=1).max()
    return reward - reward.mean()


def share_of_wins(wins):
    odds = np.log(wins.sum(axis=1) / wins.sum(axis=0))
    return odds - odds.mean()


def worth(met, reward):
    chance = 1 / (1 + np.exp(reward[None, :] - reward[:, None]))
    return met * chance * (1 - chance)


def solution_error(met, reward, i, j):
    weight = worth(met, reward)
    inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    return np.sqrt(inverse[i, i] + inverse[j, j] - 2 * inverse[i, j])


def direct_error(met, reward, i, j):
    return 1 / np.sqrt(worth(met, reward)[i, j])


def direct_where_met(met, reward, i, j):
    return solution_error(met, reward, i, j) if met[i, j] else direct_error(met, reward, i, j)


def plain_inverse(met, reward, i, j):
    return math.inf


SOLUTIONS = [
    (check.check_chance_to_lose, [0.1391]),
    (check.check_detour, [1600]),
    (check.check_fit, [solution_fit]),
    (check.check_error, [solution_error]),
    (check.check_peeking, [0.4485]),
    (check.check_ring, [2 / 3]),
]

MISTAKES = [
    (check.check_chance_to_lose, [0.8609], "chance to win"),
    (check.check_chance_to_lose, [0.15], "rule of three"),
    (check.check_chance_to_lose, [0.05], "20th root"),
    (check.check_chance_to_lose, [0.0025], "20th root"),
    (check.check_chance_to_lose, [3.0], "between 0 and 1"),
    (check.check_chance_to_lose, [0.5], "probability 0.0000"),
    (check.check_chance_to_lose, ["a"], "could not be evaluated"),
    (check.check_detour, [400], "variances add"),
    (check.check_detour, [800], "400 a leg"),
    (check.check_detour, [200], "cannot be cheaper"),
    (check.check_detour, [3200], "once too often"),
    (check.check_detour, [-1], "must be positive"),
    (check.check_detour, [2500], "is 0.08, not 0.1"),
    (check.check_fit, [lambda wins: solution_fit(wins.T)], "turned over"),
    (check.check_fit, [lambda wins: np.exp(solution_fit(wins))], "take logarithms"),
    (check.check_fit, [lambda wins: solution_fit(wins) + 1], "up to a shift"),
    (check.check_fit, [share_of_wins], "against whom"),
    (check.check_fit, [lambda wins: solution_fit(wins, steps=10)], "take more steps"),
    (check.check_fit, [lambda wins: np.zeros(4)], "off by 0.4"),
    (check.check_fit, [lambda wins: np.zeros(3)], "one reward for each answer"),
    (check.check_fit, [lambda wins: np.full(4, np.nan)], "not finite"),
    (check.check_error, [direct_error], "direct comparisons alone"),
    (check.check_error, [lambda *study: solution_error(*study) ** 2], "square root"),
    (check.check_error, [lambda met, r, i, j: solution_error(met, 0 * r, i, j)], "worth 1/4"),
    (check.check_error, [plain_inverse], "pseudoinverse"),
    (check.check_error, [lambda *study: 1.0], "should get 0.2155, got 1"),
    (check.check_error, [direct_where_met], "never met"),
    (check.check_peeking, [44.85], "between 0 and 1"),
    (check.check_peeking, [0.05], "single look"),
    (check.check_peeking, [1.0], "not within 1000"),
    (check.check_peeking, [0.2], "Simulate"),
    (check.check_ring, [0.5], "no ring yet"),
    (check.check_ring, [0.9], "sum to 2.7"),
    (check.check_ring, [1.0], "sum to 3"),
    (check.check_ring, [0.75], "would sum to 2.25"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_1_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_1_meets_its_own_hint(checker, answers, hint):
    with np.errstate(divide="ignore"):
        verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict


def test_the_share_of_a_study_that_looks_at_every_comparison_lies_within_what_is_accepted():
    """Exactly, by following the law of the number of wins among the studies that have not stopped."""
    alive, stopped = np.array([1.0]), 0.0
    for comparisons in range(1, 1001):
        alive = (np.append(alive, 0) + np.append(0, alive)) / 2
        won = np.arange(comparisons + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.abs(np.log(won / (comparisons - won))) / np.sqrt(1 / won + 1 / (comparisons - won))
        score[[0, -1]] = math.inf
        stops = (score > 1.959964) & (comparisons >= 10)
        stopped, alive = stopped + alive[stops].sum(), np.where(stops, 0, alive)
    assert 0.44 < stopped < 0.50
    assert check.check_peeking(stopped)
    assert abs(stopped + alive.sum() - 1) < 1e-12
    assert abs(0.4485 - stopped) < 4 * math.sqrt(0.25 / 4000)
