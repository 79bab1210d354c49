"""The checkers of Chapter 8 accept the book's solutions and meet each typical mistake with its own hint."""

import re

import numpy as np
import pytest

from alignbook.exercises import undoing as check


def solution_clock(times, log_odds, level, never=np.inf, straight=True, first=0):
    below = np.flatnonzero(log_odds <= level)
    if len(below) == 0:
        return never
    k = below[first]
    if k == 0 or not straight:
        return times[k]
    share = (log_odds[k - 1] - level) / (log_odds[k - 1] - log_odds[k])
    return times[k - 1] + share * (times[k] - times[k - 1])


FALLEN = -np.log(np.expm1(0.3)) / 0.1
NARROW = 4 * np.sqrt(7 / 8)

SOLUTIONS = [
    (check.check_log_odds, [1 - FALLEN, 6 - FALLEN]),
    (check.check_log_odds, [-9.5, -4.5]),
    (check.check_separation, [NARROW]),
    (check.check_clock, [solution_clock]),
    (check.check_length, [25.016]),
    (check.check_tie, [0.0167]),
]

MISTAKES = [
    (check.check_log_odds, [1 - 0.1 * FALLEN, 6 - 0.1 * FALLEN], "divide by beta"),
    (check.check_log_odds, [1 + FALLEN, 6 + FALLEN], "make the log-odds"),
    (check.check_log_odds, [-FALLEN, -FALLEN], "where it started"),
    (check.check_log_odds, [6 - FALLEN, 1 - FALLEN], "wrong way round"),
    (check.check_log_odds, [0.0, 0.0], "From the loss get the margin"),
    (check.check_separation, [NARROW / 4], "the feature a"),
    (check.check_separation, [4 * np.sqrt(0.75)], "twice as fast"),
    (check.check_separation, [4.0], "at the start"),
    (check.check_separation, [0.0], "imaginary"),
    (check.check_separation, [2.0], "one of the two factors"),
    (check.check_clock, [lambda *case: solution_clock(*case, never=case[0][-1])], "return inf"),
    (check.check_clock, [lambda *case: solution_clock(*case, straight=False)], "straight line"),
    (check.check_clock, [lambda *case: solution_clock(*case, first=-1)], "For at the start"),
    (check.check_clock, [lambda times, odds, level: np.interp(-level, -odds, times)], "return inf"),
    (check.check_length, [10.0], "align longer"),
    (check.check_length, [100.0], "shorter alignment"),
    (check.check_length, [-1.0], "positive time"),
    (check.check_tie, [0.1], "smaller loss"),
    (check.check_tie, [0.005], "larger loss"),
    (check.check_tie, [0.7], "between 0 and log 2"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_8_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_8_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
