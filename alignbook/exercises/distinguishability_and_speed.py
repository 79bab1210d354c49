"""Checks for the exercises on distinguishability and the speed of DPO."""

import math
from collections.abc import Callable

import numpy as np

from alignbook.dynamics import gaussian_flow, noise_free_margin
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong


@forgiving
def check_first_row(loss: float) -> Verdict:
    """Check the noise-free loss at step 2000 of a run whose mean margin at step 20 is 0.02."""
    clock = 0.02 + math.expm1(0.02)
    z = float(noise_free_margin(200 * clock, 1.0, 1.0))
    answer = math.log1p(math.exp(-z))
    mistakes = {
        math.log1p(math.exp(-2)): "You let the margin grow in a straight line, to 2. Pairs that are right pull less.",
        z: "That is the margin; the question asks for the loss, log(1 + exp(-z)).",
        math.log1p(math.exp(z)): "The sign: the loss falls as the margin grows.",
        math.log1p(math.exp(-0.02)): "That is the loss at step 20.",
    }
    if words := known_mistake(loss, mistakes, rel_tol=3e-3):
        return wrong(words)
    if not math.isclose(loss, answer, rel_tol=5e-3):
        return wrong("z + exp(z) - 1 at step 2000 is a hundred times that at step 20, which is 0.0402. Solve for z.")
    return right(f"The margin is {z:.3f}. A straight line would have said 2, and a loss of 0.127.")


@forgiving
def check_unbalanced(ratio: float) -> Verdict:
    """Check by how much the first speed exceeds that of balanced classes, at the exercise's means and share."""
    mistakes = {
        1.0: "That holds for balanced classes alone: here the common mean does not cancel from E h.",
        10.0: "That is the square of the ratio.",
        0.8: "The share weighs the common mean, (2 p - 1) g, and not the difference.",
        3.0: "That is the part along the common mean; the difference stands at a right angle to it.",
        math.hypot(1, 5): "With p = 0.8 the common mean has the weight 2 p - 1 = 0.6, not 1.",
        math.hypot(1, 4): "The weight of the common mean is 2 p - 1: No statements count with a minus.",
    }
    if words := known_mistake(ratio, mistakes):
        return wrong(words)
    if not math.isclose(ratio, math.sqrt(10), rel_tol=1e-3):
        return wrong("Compute E h for p = 0.8, and compare its length with half of the distinguishability, 1.")
    return right("Three times as fast, and mostly towards saying Yes to everything.")


@forgiving
def check_step(my_step: Callable) -> Verdict:
    """Check a reader's step of gradient descent on the last layer, at a random place."""
    rng = np.random.default_rng(0)
    g, c, u = rng.standard_normal((8, 3)), np.array([1.0, -1.0] * 4), rng.standard_normal(3)
    beta, rate = 0.5, 0.7
    h = c[:, None] * g
    pull = (1 / (1 + np.exp(beta * h @ u)))[:, None]
    change = rate * 2 * beta * (pull * h).mean(axis=0)
    mine = np.asarray(my_step(u, g, c, beta, rate))
    if mine.shape != u.shape:
        return wrong(f"Return the new u, of shape {u.shape}; yours has shape {mine.shape}.")
    slips = {
        "A factor of 2 is missing: both rows move, and u is their difference.": u + change / 2,
        "You went uphill: the loss must fall.": u - change,
        "Return u after the step, not the change alone.": change,
        "The loss is the mean over statements; you took the sum.": u + 8 * change,
        "The pull is sigma(-m); you have sigma(m).": u + rate * 2 * beta * ((1 - pull) * h).mean(axis=0),
        "The labels are missing: h is the label times the embedding.": u
        + rate * 2 * beta * ((1 / (1 + np.exp(beta * g @ u)))[:, None] * g).mean(axis=0),
        "Beta is missing in front of the mean: the margin's slope in u has it.": u + change / beta,
    }
    for words, values in slips.items():
        if np.allclose(mine, values, rtol=1e-9):
            return wrong(words)
    if not np.allclose(mine, u + change, rtol=1e-9):
        return wrong(f"At a random place the first entry should be {(u + change)[0]:.4f}, yours is {mine[0]:.4f}.")
    return right("It is also what autograd does to a layer of any number of tokens.")


@forgiving
def check_noise_free(my_margin: Callable) -> Verdict:
    """Check a reader's noise-free margin from the start of a run to its far end."""
    if my_margin(0.0, 0.1, 4.0) != 0:
        return wrong(f"At time 0 the margin is 0; yours is {my_margin(0.0, 0.1, 4.0):g}.")
    for time in (1e-6, 0.1, 1.0, 10.0, 1e3, 1e5, 1e8, 1e300):
        mine, answer = float(my_margin(time, 0.1, 4.0)), float(noise_free_margin(time, 0.1, 4.0))
        if math.isclose(mine, answer, rel_tol=1e-6):
            continue
        if not math.isfinite(mine):
            return wrong(f"At time {time:g} something overflows: start Newton at log(1 + a), not at a.")
        if math.isclose(mine, float(noise_free_margin(2 * time, 0.1, 4.0)), rel_tol=1e-6):
            return wrong("The clock is half of beta² Delta² t.")
        if math.isclose(mine, (0.1 * 4.0) ** 2 * time / 4, rel_tol=1e-6):
            return wrong("That is the straight line of the start.")
        return wrong(f"At time {time:g}, beta 0.1 and distinguishability 4 it is {answer:.8g}; yours is {mine:.8g}.")
    return right("From time 0 to 1e300 without an overflow.")


@forgiving
def check_noisy_peak(delta: float) -> Verdict:
    """Check the distinguishability that moves the layer farthest by time 1000, with noise 0.6 and beta 0.1."""
    if not 0 < delta < 20:
        return wrong(f"A distinguishability between 0 and 20 is asked for, got {delta}.")
    grid = np.linspace(1.5, 3.5, 401)
    answer = grid[np.argmax(gaussian_flow(1000.0, 0.1, grid, 0.6))]
    if abs(delta - math.sqrt(16.778 / 10)) < 0.03:
        return wrong("That is the peak without noise. Noise moves it outwards.")
    if abs(delta - answer) > 0.03 * answer:
        ours, theirs = gaussian_flow(1000.0, 0.1, np.array([delta, answer]), 0.6)
        return wrong(f"There u is {ours:.2f} long; elsewhere it gets to {theirs:.2f}.")
    return right(f"Without noise the peak is at 1.30; with it at {answer:.2f}.")
