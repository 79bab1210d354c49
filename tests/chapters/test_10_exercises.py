"""The checkers of Chapter 10 accept the book's solutions and meet each typical mistake with its own hint."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from alignbook.exercises import renyi_and_types as check
from alignbook.type_classes import log_class_probability, types


def count_of_pairs(samples):
    size, counts = len(samples), np.array(list(Counter(samples).values()))
    agreeing = np.sum(counts * (counts - 1))
    return size * (size - 1) / agreeing if agreeing else math.inf


def kept_letter(log_p, reward, length, mean, slack=1e-9, weigh=True, share=True):
    counts = types(len(log_p), length)
    counts = counts[counts @ reward >= length * mean - slack]
    chances = np.exp(log_class_probability(log_p, counts)) if weigh else np.ones(len(counts))
    return chances @ counts / length / (chances.sum() if share else 1)


def plug_in(samples):
    return 1 / sum((c / len(samples)) ** 2 for c in Counter(samples).values())


def blind_to_no_pair(samples):
    return min(count_of_pairs(samples), 1e9)


SOLUTIONS = [
    (check.check_agreement, [2.632]),
    (check.check_rate, [0.192]),
    (check.check_count, [count_of_pairs]),
    (check.check_kept, [kept_letter]),
    (check.check_rivals, [[0.5] + 50 * [0.01], [0.25] * 4]),
]

MISTAKES = [
    (check.check_agreement, [0.38], "chance that two letters agree"),
    (check.check_agreement, [0.9676], "in nats"),
    (check.check_agreement, [2.8], "order 1"),
    (check.check_agreement, [2.0], "largest chance"),
    (check.check_agreement, [5.0], "chance 0.2;"),
    (check.check_rate, [0.1838], "exchanged the laws"),
    (check.check_rate, [0.277], "in bits"),
    (check.check_rate, [-0.192], "is positive"),
    (check.check_rate, [0.4159], "right steps alone"),
    (check.check_rate, [0.18], "Pinsker"),
    (check.check_rate, [0.5], "nearest law"),
    (check.check_count, [plug_in], "agree with itself"),
    (check.check_count, [lambda samples: 1 / count_of_pairs(samples)], "turn it over"),
    (check.check_count, [lambda samples: math.log(count_of_pairs(samples))], "exponentiate"),
    (check.check_count, [lambda samples: len(set(samples))], "different ones"),
    (check.check_count, [lambda samples: 100.0], "Of the 6 pairs"),
    (check.check_count, [blind_to_no_pair], "no upper bound"),
    (check.check_kept, [lambda *a: np.log(kept_letter(*a))], "return probabilities"),
    (check.check_kept, [lambda *a: kept_letter(*a, weigh=False)], "not equally likely"),
    (check.check_kept, [lambda *a: kept_letter(*a, slack=-1e-9)], "counts too"),
    (check.check_kept, [lambda *a: kept_letter(*a, share=False)], "Divide by the chance"),
    (check.check_kept, [lambda log_p, *_: np.exp(log_p)], "yours 0.2000"),
    (check.check_rivals, [[0.25] * 4, [0.5] + 50 * [0.01]], "other way round"),
    (check.check_rivals, [[0.2] * 5, [0.5, 0.5]], "same law"),
    (check.check_rivals, [[0.5, 0.6], [1.0]], "first is no law"),
    (check.check_rivals, [["a"], [1.0]], "could not be evaluated"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_books_solution_of_chapter_10_is_right(checker, answers):
    assert checker(*answers), checker(*answers)


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_a_typical_mistake_of_chapter_10_gets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert re.search(hint, verdict.message), verdict.message
