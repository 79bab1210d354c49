"""Checks for the exercises on preferences and rewards."""

import math
from collections.abc import Callable

import numpy as np

from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong
from alignbook.experiments.running_example import REWARD
from alignbook.preferences import fit_bradley_terry

WINS = np.array([[0, 35, 32, 13], [17, 0, 37, 16], [26, 65, 0, 18], [5, 20, 16, 0]], dtype=float)
CHAIN = np.array([[0, 30, 0, 0], [30, 0, 50, 0], [0, 50, 0, 40], [0, 0, 40, 0]], dtype=float)  # met, in a row
CLOSE = 1e-4


@forgiving
def check_chance_to_lose(chance: float) -> Verdict:
    """Check the largest chance to lose that twenty wins in a row leave, at 5 percent."""
    answer = 1 - 0.05 ** (1 / 20)
    if _near(chance, 1 - answer):
        return wrong("That is the chance to win; you were asked for the chance to lose.")
    if _near(chance, 3 / 20):
        return wrong("That is the rule of three, a good approximation: now solve (1 - w)^20 = 0.05 exactly.")
    if _near(chance, 0.05) or _near(chance, 0.05 / 20) or _near(chance, 0.05 ** (1 / 20) / 20):
        return wrong("The 5 percent belong to all twenty wins together: (1 - w)^20 = 0.05. Take the 20th root.")
    if not 0 <= chance <= 1:
        return wrong(f"A chance lies between 0 and 1, got {chance}.")
    if not _near(chance, answer):
        return wrong(f"With this chance to lose, twenty wins in a row have the probability {(1 - chance) ** 20:.4f}.")
    return right("Close to three over the number of comparisons: the rule of three.")


@forgiving
def check_detour(comparisons: float) -> Verdict:
    """Check how many comparisons by way of a third answer do what 400 direct ones do."""
    hints = {
        400.0: "The two legs share the budget, and their variances add.",
        800.0: "That would be 400 a leg, and a variance of 0.01 each: together 0.02, not 0.01.",
        200.0: "A detour cannot be cheaper than the direct way.",
        3200.0: "Each leg has half of all comparisons: you have halved once too often.",
    }
    if words := known_mistake(comparisons, hints):
        return wrong(words)
    if comparisons <= 0:
        return wrong(f"The number of comparisons must be positive, got {comparisons}.")
    if not _near(comparisons, 1600):
        return wrong(f"With {comparisons:g} in all the standard error is {4 / math.sqrt(comparisons):.4g}, not 0.1.")
    return right("Four times as many: two legs, each with half of the comparisons.")


@forgiving
def check_fit(my_fit: Callable) -> Verdict:
    """Check a reader's Bradley-Terry fit on a table of wins and against its typical slips."""
    mine, answer = np.asarray(my_fit(WINS.copy()), dtype=float), np.asarray(fit_bradley_terry(WINS).reward)
    if mine.shape != answer.shape:
        return wrong(f"Return one reward for each answer, {answer.shape}, got {mine.shape}.")
    if not np.isfinite(mine).all():
        return wrong("Your rewards are not finite: are the steps too large?")
    if np.allclose(mine, -answer, atol=CLOSE):
        return wrong("The signs are turned over: row i of the table holds the wins of answer i.")
    if (mine > 0).all() and np.allclose(np.log(mine) - np.log(mine).mean(), answer, atol=CLOSE):
        return wrong("These are strengths, the exponentials of the rewards: take logarithms, then center.")
    if np.allclose(mine - mine.mean(), answer, atol=CLOSE) and abs(mine.mean()) > CLOSE:
        return wrong("Right up to a shift: subtract the mean.")
    if np.allclose(mine, _by_share_of_wins(), atol=CLOSE):
        return wrong("The log-odds of all wins of an answer forget against whom it played.")
    off = float(np.abs(mine - answer).max())
    if off > CLOSE:
        share = float(off / np.abs(answer).max())
        slow = np.allclose(np.sign(mine), np.sign(answer)) and share < 0.5
        more = " The signs are right: take more steps." if slow else ""
        return wrong(f"One reward is off by {off:.2g}; come within {CLOSE:g}.{more}")
    return right("Every answer wins as often as your rewards expect.")


@forgiving
def check_error(my_error: Callable) -> Verdict:
    """Check a reader's standard error where detours matter, and where there is nothing but a detour."""
    met = WINS + WINS.T
    mine, answer = float(my_error(met, REWARD, 0, 1)), _error(met, REWARD, 0, 1)
    chance = 1 / (1 + math.exp(REWARD[1] - REWARD[0]))
    direct = 1 / math.sqrt(met[0, 1] * chance * (1 - chance))
    if _near(mine, direct):
        return wrong("You count the direct comparisons alone; the others say something too.")
    if _near(mine, answer**2):
        return wrong("That is the variance: take the square root.")
    if _near(mine, _error(met, 0 * REWARD, 0, 1)):
        return wrong("You gave every comparison the worth 1/4; it is the chance times one minus the chance.")
    if not math.isfinite(mine):
        return wrong(
            "Not finite. Row sums of the information are 0, so it has no plain inverse: use the pseudoinverse."
        )
    if not math.isclose(mine, answer, rel_tol=1e-6):
        return wrong(
            f"For the chapter's 300 comparisons the first two answers should get {answer:.4f}, got {mine:.4g}."
        )
    if not math.isclose(float(my_error(CHAIN, REWARD, 0, 3)), _error(CHAIN, REWARD, 0, 3), rel_tol=1e-6):
        return wrong("Right where all pairs were compared. Two answers that never met are linked by others: try a row.")
    return right("Also between two answers that never met.")


@forgiving
def check_peeking(share: float) -> Verdict:
    """Check how often a study of two even answers claims a difference if it looks at every comparison to 1000."""
    if 1 < share <= 100:
        return wrong("Give a share between 0 and 1.")
    if 0.03 <= share <= 0.08:
        return wrong("That is the error of a single look at the end. Whoever looks every time has many chances to err.")
    if share > 0.99:
        return wrong("In the end every such study would err, but not within 1000 comparisons.")
    if not 0.43 <= share <= 0.51:
        return wrong("Simulate a few thousand studies: draw coins, and keep the largest of lead over error from 10 on.")
    return right("Nearly half: an interval is good for one look.")


@forgiving
def check_ring(share: float) -> Verdict:
    """Check the strongest equal ring of three answers that consistent people can produce."""
    if _near(share, 0.5):
        return wrong("That is no ring yet. Can two of the three steps hold for each person?")
    if _near(share, 1.0) or _near(share, 0.9):
        return wrong(f"Three steps of {share:g} sum to {3 * share:g}; nobody's ranking holds more than two of them.")
    if not _near(share, 2 / 3):
        return wrong(f"The three shares would sum to {3 * share:.4g}. What is the largest sum that rankings allow?")
    return right("Two of three people for each step, each of them consistent.")


def _error(met: np.ndarray, reward: np.ndarray, i: int, j: int) -> float:
    chance = 1 / (1 + np.exp(reward[None, :] - reward[:, None]))
    weight = met * chance * (1 - chance)
    information = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.inv(information + 1 / len(met))  # the added level is felt by shifts alone
    return float(math.sqrt(inverse[i, i] + inverse[j, j] - 2 * inverse[i, j]))


def _by_share_of_wins() -> np.ndarray:
    odds = np.log(WINS.sum(axis=1) / WINS.sum(axis=0))
    return odds - odds.mean()


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-3)
