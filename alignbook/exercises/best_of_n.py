"""Checks for the exercises on best-of-N at a given number of draws."""

import math
from collections.abc import Callable

import numpy as np

from alignbook import best_of_n as exact
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong
from alignbook.experiments.running_example import REF_LOG_P, REWARD
from alignbook.information import kl_divergence

RARE, ASKED, RIGHT = 0.05, 0.95, 0.3
MARKS = np.array([2.0, 3, 3, 5, 4, 3, 2, 5, 1, 4])


@forgiving
def check_draws(n: float) -> Verdict:
    """Check the least number of draws of which one is right with chance 0.95, where one draw is with 0.05."""
    answer = math.ceil(math.log(1 - ASKED) / math.log(1 - RARE))
    slips = {
        answer - 1: "Very near, but with 58 draws the chance is 94.9 percent: round up.",
        ASKED / RARE: "19 draws hold 0.95 right answers on average: some hold two, and 38 percent hold none.",
        1 / RARE: "20 draws hold one right answer on average: some hold two, and 36 percent hold none.",
    }
    if words := known_mistake(n, slips):
        return wrong(words)
    if n != answer:
        return wrong(f"With {n:g} draws a right one is among them with chance {1 - (1 - RARE) ** n:.4f}.")
    return right("59: about 3 over the chance of one draw, since log 0.05 is -3.")


@forgiving
def check_right_or_wrong(kl: float) -> Verdict:
    """Check the divergence of best-of-4 where three answers in ten are right and the others wrong."""
    n, q = 4, 1 - (1 - RIGHT) ** 4
    answer = q * math.log(q / RIGHT) + (1 - q) * math.log((1 - q) / (1 - RIGHT))
    slips = {
        math.log(n) - (n - 1) / n: "That is the bound, for rewards without ties; here all right answers tie.",
        math.log(n): "That is log N, what a single answer can gain at most in log-probability.",
        -math.log(RIGHT): "That is what only right answers cost; best-of-4 is still wrong with 24 percent.",
        q * math.log(q / RIGHT): "The wrong answers count as well: their log-ratio is negative.",
        RIGHT * math.log(RIGHT / q) + (1 - RIGHT) * math.log((1 - RIGHT) / (1 - q)): (
            "That is the divergence of the reference from best-of-4: average over best-of-4."
        ),
    }
    if words := known_mistake(kl, slips):
        return wrong(words)
    if not math.isclose(kl, answer, abs_tol=6e-4):
        return wrong(f"Best-of-4 is right with chance 1 - 0.7^4 = {q:.4f}; compare this law on two with (0.3, 0.7).")
    return right("0.449 nat, where the bound says 0.636.")


@forgiving
def check_best_of_n(my_best_of_n: Callable) -> Verdict:
    """Check a reader's law of best-of-N, from probabilities and rewards with ties."""
    p = np.exp(REF_LOG_P)
    mine = np.asarray(my_best_of_n(p, REWARD, 3), dtype=float)
    answer = np.exp(exact.best_of_n(REF_LOG_P, REWARD, 3))
    up_to, below = (np.array([p[worse(REWARD, r)].sum() for r in REWARD]) for worse in (np.less_equal, np.less))
    by_index = np.exp(exact.best_of_n(REF_LOG_P, REWARD - 1e-6 * np.arange(4), 3))
    if mine.shape != answer.shape:
        return wrong(f"Return one probability an answer, {len(answer)} of them; yours has the shape {mine.shape}.")
    if np.allclose(mine, np.log(answer)):
        return wrong("These are log-probabilities; return probabilities.")
    if np.allclose(mine, up_to**3):
        return wrong("That is F to the N, the chance that no draw is better: subtract the chance that all are worse.")
    if np.allclose(mine, by_index) or np.allclose(mine, by_index[[0, 3, 2, 1]]):
        return wrong("Sydney and Melbourne tie, and you rank one above the other: sum over r(y) <= r and r(y) < r.")
    if np.allclose(mine, up_to**3 - below**3):
        return wrong("Each of the two equals gets the mass of both: multiply by its share of their level.")
    if not np.allclose(mine, answer, rtol=0, atol=1e-9):
        return wrong(f"Best of 3 gives Sydney {answer[1]:.4f}, yours {mine[1]:.4f}; your sum is {mine.sum():.4f}.")
    broken = np.asarray(my_best_of_n(p, REWARD, 2.5), dtype=float)
    if not np.allclose(broken, np.exp(exact.best_of_n(REF_LOG_P, REWARD, 2.5)), rtol=0, atol=1e-9):
        return wrong("Right at N = 3; the formula also holds at N = 2.5, and yours does not.")
    return right("Ties, and any real N.")


@forgiving
def check_kl_of_marks(my_kl: Callable) -> Verdict:
    """Check a reader's divergence of best-of-N from the marks of equally likely answers."""
    for marks, n in ((MARKS, 4), (MARKS, 64), (np.arange(10.0), 64)):
        ref = np.full(len(marks), -math.log(len(marks)))
        law = exact.best_of_n(ref, marks, n)
        answer, mine = float(kl_divergence(law, ref)), float(my_kl(marks, n))
        untied = exact.best_of_n(ref, np.arange(len(marks)), n)
        slips = {
            float(exact.kl_upper_bound(n)): "That is the bound, which knows no marks.",
            float(kl_divergence(ref, law)): "That is the divergence of the reference from best-of-N: turn it round.",
            float(kl_divergence(untied, ref)): "You rank equals one above the other; count each mark once.",
        }
        if math.isclose(mine, answer, rel_tol=1e-8):
            continue
        if words := known_mistake(mine, slips, rel_tol=1e-6):
            return wrong(words)
        return wrong(f"For the marks {marks.astype(int).tolist()} and N = {n} it is {answer:.4f}, yours is {mine:.4f}.")
    return right("The marks of the reference's own answers are all that it takes.")


@forgiving
def check_mean_of_best(my_mean: Callable) -> Verdict:
    """Check a reader's unbiased estimate of best-of-N's mean reward from the rewards of a pool."""
    pool = np.array([3.0, 1, 4, 1, 5, 9, 2, 6])
    for n in (1, 3, 8):
        ranked = np.sort(pool)
        weights = np.array([math.comb(k, n - 1) / math.comb(len(pool), n) for k in range(len(pool))])
        again = np.diff((np.arange(len(pool) + 1) / len(pool)) ** n)
        answer, mine = float(weights @ ranked), float(my_mean(pool, n))
        if math.isclose(mine, answer, rel_tol=1e-9):
            continue
        if math.isclose(mine, float(again @ ranked), rel_tol=1e-9):
            return wrong("You draw from the pool with repetition: its largest is then missed too often. Take subsets.")
        if math.isclose(mine, float(weights @ ranked[::-1]), rel_tol=1e-9):
            return wrong("You keep the worst of each subset: rank from the lowest reward up.")
        return wrong(f"Of the pool {pool.astype(int).tolist()} and N = {n} it is {answer:.4f}, yours is {mine:.4f}.")
    return right("The average over all subsets of N different draws, each as likely as any N fresh ones.")
