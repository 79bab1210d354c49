"""The checkers of Chapter 5 accept the book's solutions and meet each typical mistake with its own hint."""

import math

import numpy as np
import pytest

from alignbook.exercises import distinguishability_and_speed as check


def solution_step(u, embeddings, labels, beta, rate, factor=2, sign=1):
    h = labels[:, None] * embeddings
    pull = 1 / (1 + np.exp(beta * sign * h @ u))
    return u + rate * factor * beta * (pull[:, None] * h).mean(axis=0)


def solution_margin(time, beta, delta, half=2, start=np.log1p, steps=60):
    a = (beta * delta) ** 2 * time / half
    z = start(a)
    for _ in range(steps):
        z -= (z + np.expm1(z) - a) / (1 + np.exp(z))
    return z


def without_labels(u, g, c, beta, rate):
    return solution_step(u, g, np.ones_like(c), beta, rate)


SOLUTIONS = [
    (check.check_first_row, [0.239]),
    (check.check_unbalanced, [math.sqrt(10)]),
    (check.check_step, [solution_step]),
    (check.check_noise_free, [solution_margin]),
    (check.check_noisy_peak, [2.25]),
]

MISTAKES = [
    (check.check_first_row, [0.127], "straight line"),
    (check.check_first_row, [1.311], "asks for the loss"),
    (check.check_first_row, [1.55], "The sign"),
    (check.check_first_row, [0.683], "at step 20"),
    (check.check_first_row, [0.5], "Solve for z"),
    (check.check_unbalanced, [1.0], "balanced classes alone"),
    (check.check_unbalanced, [10.0], "square of the ratio"),
    (check.check_unbalanced, [0.8], "not the difference"),
    (check.check_unbalanced, [3.0], "right angle"),
    (check.check_unbalanced, [math.sqrt(26)], "not 1"),
    (check.check_unbalanced, [math.sqrt(17)], "with a minus"),
    (check.check_unbalanced, [7.0], "Compute E h"),
    (check.check_step, [lambda *a: solution_step(*a, factor=1)], "both rows move"),
    (check.check_step, [lambda u, *a: 2 * u - solution_step(u, *a)], "uphill"),
    (check.check_step, [lambda u, *a: solution_step(u, *a) - u], "not the change alone"),
    (check.check_step, [lambda *a: solution_step(*a, factor=16)], "took the sum"),
    (check.check_step, [lambda *a: solution_step(*a, sign=-1)], "sigma(-m)"),
    (check.check_step, [without_labels], "labels are missing"),
    (check.check_step, [lambda *a: solution_step(*a, factor=4)], "Beta is missing"),
    (check.check_step, [lambda *a: solution_step(*a, factor=3)], "At a random place"),
    (check.check_step, [lambda *a: 1.0], "of shape"),
    (check.check_noise_free, [lambda *a: solution_margin(*a) + 1], "At time 0"),
    (check.check_noise_free, [lambda *a: solution_margin(*a, half=1)], "half of beta"),
    (check.check_noise_free, [lambda *a: solution_margin(*a, steps=0, start=lambda a: a / 2)], "straight line of"),
    (check.check_noise_free, [lambda *a: solution_margin(*a, start=lambda a: a, steps=400)], "overflows"),
    (check.check_noise_free, [lambda t, *a: solution_margin(t, *a) if t < 5 else 3.0], "At time 10,"),
    (check.check_noise_free, [lambda *a: 1 / 0], "could not be evaluated"),
    (check.check_noisy_peak, [1.3], "without noise"),
    (check.check_noisy_peak, [3.5], "elsewhere it gets to"),
    (check.check_noisy_peak, [-1.0], "between 0 and 20"),
]


@pytest.mark.parametrize(("checker", "answers"), SOLUTIONS)
def test_the_solution_passes(checker, answers):
    verdict = checker(*answers)
    assert verdict, verdict


@pytest.mark.parametrize(("checker", "answers", "hint"), MISTAKES)
def test_each_mistake_gets_its_own_hint(checker, answers, hint):
    verdict = checker(*answers)
    assert not verdict
    assert hint in verdict.message
