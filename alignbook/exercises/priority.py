"""Checks for the exercises on behaviors that share one head: who is learned first, and what is fair."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from alignbook.behaviors import two_differences
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong

FAIR_LENGTH = math.sqrt(4 / 7)  # of the puzzle's shortest pooled difference
NINETY = 1.2815515655446004  # where the normal law's distribution function is .9


@forgiving
def check_ratio(ratio: float) -> Verdict:
    """Check the ratio of early margins of lengths 3 and 2 at 120 degrees with equal shares."""
    mistakes = {
        2.25: "That is the ratio for orthogonal differences; at 120 degrees each pulls against the other.",
        1.5: "Lengths count twice: a longer difference pulls harder and is moved farther by the same pull.",
        12 / 7: "The sign of the scalar product: the cosine of 120 degrees is negative.",
        1 / 6: "The other way round: the first one over the second one.",
    }
    if words := known_mistake(ratio, mistakes, rel_tol=1e-2):
        return wrong(words)
    if not math.isclose(ratio, 6, rel_tol=1e-3):
        return wrong("It is (9 + <b1, b2>) over (4 + <b1, b2>).")
    return right("The weak one is slowed by the angle a little more than by its length; it is not reversed.")


@forgiving
def check_shares(shares: Sequence[float]) -> Verdict:
    """Check the shares that give orthogonal differences of lengths 4, 2 and 1 equal early margins."""
    given, squares = np.asarray(shares, dtype=float), np.array([16.0, 4.0, 1.0])
    if given.shape != (3,):
        return wrong(f"Give three shares; got {len(given)}.")
    if not math.isclose(given.sum(), 1, rel_tol=1e-3):
        return wrong(f"Shares sum to one; yours to {given.sum():g}.")
    slips = {
        "These are in proportion to one over the length; the margin has its square.": 1 / np.sqrt(squares),
        "The other way round: the longest difference needs the smallest share.": squares,
        "With equal shares the margins stand as 16 to 4 to 1.": np.ones(3),
    }
    for words, weights in slips.items():
        if np.allclose(given, weights / weights.sum(), rtol=1e-3):
            return wrong(words)
    margins = given * squares
    if not np.allclose(margins, margins[0], rtol=1e-2):
        return wrong(f"Early margins stand as {', '.join(f'{value / margins[2]:.3g}' for value in margins)}.")
    return right("The weakest behavior gets sixteen parts of 21.")


@forgiving
def check_reversal_angle(my_angle: Callable) -> Verdict:
    """Check a reader's angle beyond which the first pull learns the weak behavior backwards."""
    for strong, weak, share in ((4.0, 1.0, 0.5), (3.0, 2.0, 0.5), (4.0, 1.0, 0.25), (4.0, 1.0, 0.7), (2.0, 1.0, 0.9)):
        mine, cosine = float(my_angle(strong, weak, share)), -share * weak / ((1 - share) * strong)
        answer, at = math.degrees(math.acos(max(cosine, -1.0))), f"At lengths {strong:g} and {weak:g}, share {share:g}"
        if math.isclose(mine, answer, abs_tol=1e-6):
            continue
        if cosine < -1:
            return wrong(f"{at}, no angle is enough: return 180, not {mine:g}.")
        if math.isclose(mine, math.radians(answer), abs_tol=1e-6):
            return wrong("That is in radians: multiply by 180 and divide by pi.")
        if share != 0.5 and math.isclose(mine, math.degrees(math.acos(-weak / strong)), abs_tol=1e-6):
            return wrong(f"Right for equal shares. {at}, the share moves the angle.")
        if math.isclose(mine, 180 - answer, abs_tol=1e-6):
            return wrong("The sign of the cosine: the angle is beyond 90 degrees.")
        return wrong(f"{at}, the angle is {answer:.2f} degrees; yours is {mine:.2f}.")
    return right("A larger share of the weak one pushes the angle outwards, until no angle is enough.")


@forgiving
def check_fairest_shares(my_shares: Callable) -> Verdict:
    """Check a reader's shares of the shortest pooled difference: on two, three and ten behaviors."""
    rng = np.random.default_rng(7)
    puzzle = np.asarray(two_differences(4.0, 1.0, math.radians(120), 2))
    cases = {
        "three orthogonal behaviors": np.diag([4.0, 2.0, 1.0]),
        "the puzzle": puzzle,
        "a behavior that another one makes idle": np.array([[4.0, 0.0], [1.0, 0.2]]),
        "ten behaviors": rng.standard_normal((10, 12)) + 0.7,
    }
    for name, differences in cases.items():
        mine = np.asarray(my_shares(differences), dtype=float)
        if mine.shape != (len(differences),):
            return wrong(f"Return one share for each of {len(differences)} behaviors; yours has shape {mine.shape}.")
        if not math.isclose(mine.sum(), 1, rel_tol=1e-6):
            return wrong(f"Shares sum to one; yours to {mine.sum():g}.")
        if mine.min() < -1e-9:
            return wrong(f"With {name} a share is negative, {mine.min():.3g}: the least allowed is 0.")
        pooled = mine @ differences
        short, length = float(np.min(differences @ pooled)), float(pooled @ pooled)
        if np.allclose(mine, 1 / len(mine)):
            return wrong("These are equal shares; move some to the behavior with the smallest projection.")
        if short < length * (1 - 1e-3):
            return wrong(f"With {name} the pooled difference can be shorter than {math.sqrt(length):.4f}.")
    return right("The same shares give the fairest first pull and the fairest boundary.")


@forgiving
def check_noise(noise: float) -> Verdict:
    """Check the largest noise at which some head brings both behaviors of the puzzle above 90 percent."""
    answer = FAIR_LENGTH / (2 * NINETY)
    mistakes = {
        2 * answer: "Half of the distance between the halves counts: the argument is the length over 2 s.",
        1 / (2 * NINETY): "That is the weak behavior alone; the strong one costs something.",
        FAIR_LENGTH / (2 * 0.9): "The 90 percent go through the normal law: its quantile is 1.2816.",
    }
    if words := known_mistake(noise, mistakes, rel_tol=5e-3):
        return wrong(words)
    if not math.isclose(noise, answer, rel_tol=1e-2):
        return wrong("Find the length of the shortest pooled difference, then solve for s.")
    return right(f"At s = {answer:.3f} the fairest head has both at 90 percent exactly.")
