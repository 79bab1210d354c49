"""Checks for the exercises on the KL-constrained optimum."""

import math
from collections.abc import Callable

import numpy as np

from alignbook import information, tilting
from alignbook.exercises.verdict import Verdict, forgiving, right, wrong
from alignbook.experiments.running_example import REF_LOG_P, REWARD


@forgiving
def check_which_beta(beta: float) -> Verdict:
    """Check the beta at which two even answers with rewards 1 and 0 get 0.8 and 0.2."""
    answer = 1 / math.log(4)
    if _near(beta, 1 / answer):
        return wrong("That is 1/beta, the reward difference in units of the price: turn it over.")
    if _near(beta, 1 / math.log(0.8 / 0.5)):
        return wrong("You used 0.8/0.5, the rise of one probability. The reward adds to the log-odds, log(0.8/0.2).")
    if beta <= 0:
        return wrong(f"Beta is a price and must be positive, got {beta}.")
    if not _near(beta, answer):
        return wrong(f"At this beta the first answer gets {1 / (1 + math.exp(-1 / beta)):.4f}, not 0.8.")
    return right("The log-odds of 0.8 are log 4, and 1/beta is what the reward adds to log-odds of 0.")


@forgiving
def check_temperature(beta_of: Callable[[float], float]) -> Verdict:
    """Check the beta whose tilt by the reference's own log-probability is sampling at a temperature."""
    for tau in (0.9, 0.5, 0.25):
        beta, answer = beta_of(tau), tau / (1 - tau)
        if _near(beta, answer):
            continue
        if _near(beta, tau):
            return wrong("With beta = tau the exponent is 1 + 1/tau: the tilt comes on top of the reference itself.")
        if _near(beta, 1 / answer):
            return wrong("That is 1/tau - 1, the exponent: it stands for 1/beta.")
        return wrong(f"At tau = {tau} the exponent must be {1 / tau:.4g} in all; yours is {1 + 1 / beta:.4g}.")
    return right("Low temperature is a tilt towards what the reference already likes, at the price tau / (1 - tau).")


@forgiving
def check_tilt(my_tilt: Callable) -> Verdict:
    """Check a reader's tilt on small rewards, on huge ones and against its typical slips."""
    mine, answer = my_tilt(REF_LOG_P, REWARD, 0.5), tilting.tilt(REF_LOG_P, REWARD, 0.5)
    if np.allclose(mine, np.exp(answer)):
        return wrong("These are probabilities; return their logarithms.")
    if np.allclose(mine, tilting.tilt(REF_LOG_P, REWARD, 2.0)):
        return wrong("You multiplied the reward by beta; divide by it.")
    if np.allclose(mine, REF_LOG_P + REWARD / 0.5):
        return wrong("The probabilities do not sum to one yet: subtract log Z.")
    if not np.allclose(mine, answer, rtol=0, atol=1e-10):
        return wrong(f"At beta = 0.5 the first answer should get {math.exp(answer[0]):.4f}, yours gets {_share(mine)}.")
    return _check_tilt_of_huge_rewards(my_tilt)


@forgiving
def check_beta_for_budget(my_beta: Callable) -> Verdict:
    """Check a reader's search for the beta that spends a KL budget."""
    for budget in (0.01, 0.1, 1.0):
        beta = my_beta(REF_LOG_P, REWARD, budget)
        if not (np.isfinite(beta) and beta > 0):
            return wrong(f"At a budget of {budget} your beta is {beta}; it must be a positive number.")
        law = tilting.tilt(REF_LOG_P, REWARD, float(beta))
        spent = float(information.kl_divergence(law, REF_LOG_P))
        if abs(spent - budget) <= 1e-6 * budget:
            continue
        if _near(float(information.kl_divergence(REF_LOG_P, law)), budget):
            return wrong("You spend the budget in D(ref || tilt); the budget is in D(tilt || ref).")
        if beta < 1e-3 or beta > 1e3:
            return wrong("Your search runs to its end. The divergence falls as beta rises: turn the comparison over.")
        return wrong(f"At a budget of {budget} your beta spends {spent:.6g}; come within a millionth of it.")
    return right("Each budget below the largest has exactly one beta.")


@forgiving
def check_split(first: float, second: float) -> Verdict:
    """Check how two prompts share an average budget of 0.2 nat."""
    if abs((first + second) / 2 - 0.2) > 1e-3:
        return wrong(f"The average of the two divergences must be 0.2, got {(first + second) / 2:.4f}.")
    if abs(first - second) < 1e-3:
        return wrong("An even split: but the next nat then buys more on the second prompt. Equalize the prices.")
    even = np.log([0.5, 0.5])
    price = [
        float(tilting.tilt_to_kl(law, reward, budget).beta)
        for law, reward, budget in ((REF_LOG_P, REWARD, first), (even, np.array([2.0, 0.0]), second))
    ]
    if abs(price[0] - price[1]) > 0.01 * max(price):
        poorer = "first" if price[0] > price[1] else "second"
        return wrong(f"The prices are {price[0]:.3f} and {price[1]:.3f}: move budget to the {poorer} prompt.")
    return right(f"Both prompts are at the price {price[0]:.3f}: no nat can be moved to a better place.")


def _check_tilt_of_huge_rewards(my_tilt: Callable) -> Verdict:
    huge = my_tilt(REF_LOG_P, 1000 * REWARD, 0.1)
    if not np.allclose(huge, tilting.tilt(REF_LOG_P, 1000 * REWARD, 0.1), rtol=1e-10, atol=1e-10):
        return wrong("Right for small rewards; at rewards of 1000 something overflows or turns to log 0. Stay in logs.")
    return right("Also where e to the reward over beta would be a number with thousands of digits.")


def _share(log_p: np.ndarray) -> str:
    return f"{math.exp(min(float(np.ravel(log_p)[0]), 700.0)):.4g}"


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-3)
