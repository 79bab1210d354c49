"""Checks for the exercises on reaching the optimum by policy gradient."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from alignbook.exercises.verdict import Verdict, forgiving, right, wrong
from alignbook.experiments.running_example import REF_LOG_P, REWARD
from alignbook.gradient_estimators import grpo_advantages, mean_baseline_advantages, rloo_advantages, score_gradient
from alignbook.policies import pull_back

GROUPS = np.random.default_rng(0).standard_normal((5, 4))
LAW = np.array([2.0, 4.0, 3.0]) / 9
REWARDS = np.array([[1.0, 0.0, 0.1], [1.0, 0.0, 0.6], [0.2, 0.9, 1.0]])


@forgiving
def check_leave_it_out(lead: float) -> Verdict:
    """Check how far an answer is above the others of a group of four, if it is 0.6 above the mean of all."""
    if _near(lead, 0.45):
        return wrong("You multiplied by 3/4. Without the answer the mean of the rest is lower, so the lead is larger.")
    if _near(lead, 0.6):
        return wrong("That is the lead over all four, and the answer is one of them.")
    if _near(lead, 0.75):
        return wrong("You used 5/4: with K = 4 the factor is K/(K - 1).")
    if not _near(lead, 0.8):
        return wrong("Try it with rewards 0.8, 0, 0, 0: what is the mean of all four, and of the last three?")
    return right("The own mean gives (K - 1)/K of the lead over the others, in every group.")


@forgiving
def check_baseline(baseline_of: Callable[[float], float]) -> Verdict:
    """Check the baseline that leaves no noise, for two answers of which the first is right with probability p."""
    for p in (0.9, 0.5, 0.2):
        baseline = baseline_of(p)
        if _near(baseline, 1 - p):
            continue
        if _near(baseline, p):
            return wrong("That is the mean reward. It ignores that the rare answer has the longer score.")
        when_right, when_wrong = (1 - baseline) * (1 - p), baseline * p
        return wrong(
            f"At p = {p} a right draw moves the logit by {when_right:.4g}, a wrong one by {when_wrong:.4g}; "
            "they must agree."
        )
    return right("The better the policy, the lower the baseline: a rare failure must teach as much as many successes.")


@forgiving
def check_rloo(my_rloo: Callable) -> Verdict:
    """Check a reader's leave-one-out advantages on a batch of groups and against the typical slips."""
    mine, answer = np.asarray(my_rloo(GROUPS.copy())), rloo_advantages(GROUPS)
    if mine.shape != GROUPS.shape:
        return wrong(f"From values of shape {GROUPS.shape} come advantages of shape {mine.shape}; they must agree.")
    if np.allclose(mine, mean_baseline_advantages(GROUPS)):
        return wrong("The mean holds the answer itself: yours is (K - 1)/K of RLOO. Leave the answer out.")
    if np.allclose(mine, GROUPS - (GROUPS.sum(axis=-1, keepdims=True) - GROUPS) / GROUPS.shape[-1]):
        return wrong("You left the answer out of the sum and still divided by K. There are K - 1 others.")
    if np.allclose(mine, grpo_advantages(GROUPS)):
        return wrong("You divided by the deviation: that is GRPO.")
    if np.allclose(mine, -answer):
        return wrong("The sign is turned: a value above the others must give a positive advantage.")
    if not np.allclose(mine, answer, rtol=0, atol=1e-10):
        first = ", ".join(f"{value:.4f}" for value in answer[0])
        return wrong(f"For the values {', '.join(f'{value:.4f}' for value in GROUPS[0])} it should give {first}.")
    return right("Each answer is held against the others, in every group of the batch.")


@forgiving
def check_mean(my_mean: Callable) -> Verdict:
    """Check a reader's mean over all groups, for RLOO and for GRPO."""
    for name, advantages in (("RLOO", rloo_advantages), ("GRPO", grpo_advantages)):
        mine, answer = (np.asarray(f(REF_LOG_P, REWARD, 3, advantages)) for f in (my_mean, _mean))
        if mine.shape != answer.shape:
            return wrong(f"It should be a slope for each of the {len(answer)} answers, got shape {mine.shape}.")
        if np.allclose(mine, _mean(REF_LOG_P, REWARD, 3, advantages, weighted=False)):
            return wrong("You counted all groups alike. A group's weight is the product of its answers' probabilities.")
        if np.allclose(mine, 3 * answer):
            return wrong("You summed over the group; the estimate is the mean, a third of it here.")
        if np.allclose(mine, _mean(REF_LOG_P, REWARD, 3, advantages, repeated=False)):
            return wrong("Your groups never repeat an answer. Draws are independent: the same answer may come again.")
        if not np.allclose(mine, answer, rtol=0, atol=1e-10):
            return wrong(f"In groups of 3 the first slope of {name} should be {answer[0]:.5f}, yours is {mine[0]:.5f}")
    return right("For RLOO it is the exact gradient; for GRPO, another vector.")


@forgiving
def check_normalization(advantages: Callable) -> Verdict:
    """Check that advantages do not depend on the scale of rewards and point along the exact gradient, at K = 4."""
    groups = np.abs(GROUPS)

    def one_by_one(values):  # a batch would know more of the scale than its groups do
        return np.stack([advantages(group) for group in values])

    if np.asarray(advantages(groups.copy())).shape != groups.shape:
        return wrong("The advantages must have the shape of the values, the group on the last axis.")
    if not np.allclose(advantages(10 * groups), advantages(groups.copy()), rtol=1e-8, atol=1e-8):
        return wrong("Rewards ten times as large give other advantages: it is not normalized yet.")
    log_p = np.log(LAW)
    for reward in REWARDS:
        mean, exact = _mean(log_p, reward, 4, one_by_one), pull_back(LAW, reward)
        length = float(np.linalg.norm(mean))
        if length < 1e-6:
            return wrong("On average it does not move at all.")
        cosine = float(mean @ exact / length / np.linalg.norm(exact))
        if cosine < math.cos(math.radians(0.01)):
            off = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
            return wrong(f"Scale-free, but {off:.2f} degrees off for the rewards {', '.join(map(str, reward))}.")
    return right("Scale-free, and parallel to the exact gradient for each reward that was tried.")


def _mean(log_p, values, size, advantages, *, weighted: bool = True, repeated: bool = True) -> np.ndarray:
    """Return the mean of the estimate over all groups, or what a slip would give."""
    listed = itertools.product(range(len(log_p)), repeat=size)
    if not repeated:
        listed = itertools.permutations(range(len(log_p)), size)
    groups = np.array(list(listed))
    chance = np.exp(log_p[groups].sum(axis=-1)) if weighted else np.ones(len(groups))
    estimates = score_gradient(log_p, groups, np.asarray(advantages(values[groups])))
    return chance @ estimates / chance.sum()


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-3)
