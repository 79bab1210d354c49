"""The checkers of Chapter 4 accept the book's solutions and meet each typical mistake with its own hint."""

import re

import numpy as np
import pytest

from alignbook.exercises import dpo as check
from alignbook.policies import log_linear_policy


def solution_loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    chosen, rejected = chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps
    return np.logaddexp(0, -beta * (chosen - rejected))


def naive_loss(*logps_and_beta):
    *logps, beta = logps_and_beta
    return -np.log(1 / (1 + np.exp(-beta * (logps[0] - logps[2] - logps[1] + logps[3]))))


def solution_turn(ref_log_p, features, chosen, rejected, never=np.inf, at_once=None):
    reach = features @ (features[chosen] - features[rejected])
    if reach.max() <= reach[chosen]:
        return never
    if at_once is not None and np.exp(ref_log_p) @ reach >= reach[chosen]:
        return at_once
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        law = np.exp(log_linear_policy(ref_log_p, reach[:, None], np.array([middle])))
        low, high = (middle, high) if law @ reach < reach[chosen] else (low, middle)
    return low


def turn_other_way(ref_log_p, features, chosen, rejected):
    return -solution_turn(ref_log_p, features, chosen, rejected)


SOLUTIONS = [
    (check.check_margin, [0.1 * (-0.5 - (-3))]),
    (check.check_winner, ["No"]),
    (check.check_dpo_loss, [solution_loss]),
    (check.check_turn, [solution_turn]),
    (check.check_guard, [0.12]),
]

MISTAKES = [
    (check.check_margin, [2.5], "includes beta"),
    (check.check_margin, [0.55], "left the reference out"),
    (check.check_margin, [-0.35], "added the two"),
    (check.check_margin, [-0.25], "chosen minus rejected"),
    (check.check_margin, [7.0], "then times beta"),
    (check.check_winner, ["Maybe"], "longest vector"),
    (check.check_winner, ["Certainly"], "Does another reach farther"),
    (check.check_winner, ["Sure"], "reaches -1"),
    (check.check_winner, ["Never"], "The answers are"),
    (check.check_dpo_loss, [lambda c, r, p, q, beta: solution_loss(r, c, q, p, beta)], "wrong way round"),
    (check.check_dpo_loss, [lambda c, r, p, q, beta: beta * solution_loss(c, r, p, q, 1)], "inside the sigmoid"),
    (check.check_dpo_loss, [lambda c, r, p, q, beta: solution_loss(c, r, p, q, 1)], "Beta is missing"),
    (check.check_dpo_loss, [lambda c, r, p, q, beta: solution_loss(c, r, 0, 0, beta)], "reference is missing"),
    (check.check_dpo_loss, [lambda c, r, p, q, beta: solution_loss(c, r, -p, -q, beta)], "wrong sign"),
    (check.check_dpo_loss, [lambda *logps: solution_loss(*logps).mean()], "one loss for each pair"),
    (check.check_dpo_loss, [lambda *logps: solution_loss(*logps) ** 2], "At the margin"),
    (check.check_dpo_loss, [naive_loss], "overflows"),
    (check.check_turn, [lambda *case: solution_turn(*case, never=100.0)], "rises for ever"),
    (check.check_turn, [lambda *case: solution_turn(*case, at_once=1.0)], "falls from the first step"),
    (check.check_turn, [turn_other_way], "strength is positive"),
    (check.check_turn, [lambda *case: 2 * solution_turn(*case)], "most likely at the strength 1.452"),
    (check.check_guard, [0.1], "more guards"),
    (check.check_guard, [0.5], "is enough as well"),
    (check.check_guard, [12], "lies between 0 and 1"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_4_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_in_chapter_4_meets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict
