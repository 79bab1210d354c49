"""Checks for the exercises on accuracy: of what, from when on, and what breaks the promise."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import evaluate, gradient_descent, normal_cdf
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong


@forgiving
def check_reward_accuracy(share: float) -> Verdict:
    """Check the reward accuracy at distinguishability 2 and noise 1."""
    mistakes = {
        float(normal_cdf(2.0)): "Each half is half of Δ away from the boundary, not all of it.",
        float(normal_cdf(0.5)): "Half of Δ is 1, and so is the noise: how many deviations is that?",
        1 - math.exp(-0.5): "That is what the guarantee promises; the noise is Gaussian, so you can be exact.",
        84.1: "A share, please: a number between 0 and 1.",
    }
    if words := known_mistake(share, mistakes, rel_tol=2e-3):
        return wrong(words)
    if not math.isclose(share, normal_cdf(1.0), rel_tol=2e-3):
        return wrong("How far is the mean of a half from the boundary, in standard deviations? Then Φ of it.")
    return right("And it is the same after a thousand steps.")


@forgiving
def check_statements(number: float) -> Verdict:
    """Check how many statements make twice the gap a quarter of Δ, with 200 features, Δ 0.5 and noise 0.3."""
    mistakes = {
        200 * 0.3 * 256: "The total variance is 200 times s squared, not 200 times s.",
        0.09 * 256: "That is for one feature; there are 200.",
        18 * 64: "The gap is multiplied by 2 in χ: it must be an eighth of Δ, not a quarter.",
        18 / (1 / 16): "18 over M is the mean square of the gap; you took it for the gap itself.",
    }
    if words := known_mistake(number, mistakes):
        return wrong(words)
    if not math.isclose(number, 4608, rel_tol=1e-3):
        return wrong("The gap is to be 1/16. Its mean square is the total variance, 18, over the number.")
    return right("The chapter's 20 statements are 230 times too few.")


@forgiving
def check_accuracy(my_accuracy: Callable) -> Verdict:
    """Check a reader's share of fresh statements that a head gets right."""
    head, b, noise = np.array([1.0, 2.0, -0.5]), np.array([1.0, 0.5, 0.0]), 0.4
    mean, length = head @ b / 2, np.linalg.norm(head)
    answer, mine = float(normal_cdf(mean / (noise * length))), float(my_accuracy(head, b, noise))
    slips = {
        "Each half lies at half the difference.": 2 * mean / (noise * length),
        "The spread of the score grows with the length of the head.": mean / noise,
        "Divide by the standard deviation, not by the variance.": mean / (noise**2 * length),
        "Only the length of b counts if the head points along it; this one does not.": np.linalg.norm(b) / 2 / noise,
    }
    for words, slip in slips.items():
        if math.isclose(mine, float(normal_cdf(slip)), rel_tol=1e-9):
            return wrong(words)
    if not math.isclose(mine, answer, rel_tol=1e-9):
        return wrong(
            f"For the head {head.tolist()}, b = {b.tolist()} and noise {noise} it is {answer:.4f}, not {mine:.4f}."
        )
    if not math.isclose(float(my_accuracy(-3 * head, b, noise)), 1 - answer, rel_tol=1e-9):
        return wrong("A head turned round is right where this one is wrong, however long it is.")
    return right("Only the angle counts, and Δ over s.")


@forgiving
def check_best_noise(my_best_noise: Callable) -> Verdict:
    """Check a reader's noise at which heads of shifted halves are most accurate."""
    answer, mine = math.sqrt(1 / math.log(3)), float(my_best_noise(1.0, 1.0))
    if math.isclose(mine, answer**2, rel_tol=1e-6):
        return wrong("That is the variance; the standard deviation is its root.")
    if not math.isclose(mine, answer, rel_tol=1e-6):
        return wrong(f"For a shift of 1 and Δ = 1 it is {answer:.4f}, not {mine:.4f}.")
    centered = float(my_best_noise(0.3, 1.0))
    if centered != 0:
        return wrong(
            f"At a shift of 0.3 the halves lie on both sides of the origin: no noise is best, not {centered:.4g}."
        )
    if not math.isclose(float(my_best_noise(3.0, 2.0)), math.sqrt(6 / math.log(2)), rel_tol=1e-6):
        return wrong("Right for Δ = 1, but not for a shift of 3 and Δ = 2: where does Δ come in?")
    return right("Beyond it, noise drowns both halves.")


@forgiving
def check_offset(size: float) -> Verdict:
    """Check the smallest constant feature, to one decimal, that brings shifted halves above 83 % in 1000 steps.

    In twenty draws of the statements 0.6 brings at most 82.3 %, 0.7 at least 84.1 %: no draw decides the answer.
    """
    found = _accuracy_with_offset(size)
    if found <= 0.83:
        more = "The steps are too large for it: take a smaller one." if size > 20 else "Take a larger one."
        return wrong(f"With {size:g} it is {found:.1%} after 1000 steps. {more}")
    if _accuracy_with_offset(round(size - 0.1, 6)) > 0.83:
        return wrong(f"With {size:g} it is {found:.1%}, but {size - 0.1:.1f} is enough as well.")
    return right(f"{found:.1%}, where without an offset it is {_accuracy_with_offset(0.0):.1%} after as many steps.")


def _accuracy_with_offset(size: float) -> float:
    def drawn(count, seed):
        data = behaviors(np.eye(1, 32), 0.3, num_statements=count, common_mean=np.eye(32)[0], seed=seed)
        constant = np.full((1, count, 1), float(size))
        return Behaviors(np.concatenate([data.embeddings, constant], axis=-1), data.labels)

    shot = next(itertools.islice(gradient_descent(drawn(500, 0), 0.1, 1.0), 1000, None))
    return float(evaluate(shot.change, drawn(20_000, 1), 0.1).reward_accuracy[0])
