"""`tilt_to_kl` against scipy's general constrained optimizer, SLSQP on the simplex: 50 answers, numpy, float64.

Both are asked for the policy of highest mean reward within a KL budget. Their answers are held against the exact one,
at 50 digits. SLSQP gets exact derivatives and starts inside the budget; from the reference itself, where its
constraint has no slope, it rarely arrives. The masses it returns are double precision's, as are tilt_to_kl's.
"""

import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for both; read when numpy and scipy are imported

import numpy as np
from mpmath import mp, mpf
from scipy.optimize import minimize

from alignbook.tilting import tilt, tilt_to_kl

ANSWERS, ROUNDS = 50, 20
BUDGETS = (1e-6, 1e-3, 0.1, 1.0, 3.0)


def problem(seed):
    """Draw a reference and a reward."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal(ANSWERS)
    return logits - np.log(np.sum(np.exp(logits))), rng.standard_normal(ANSWERS)


def ours(ref_log_p, reward, kl_budget):
    """Return the masses of the tilt."""
    return np.exp(tilt_to_kl(ref_log_p, reward, kl_budget).log_p)


def slsqp(ref_log_p, reward, kl_budget):
    """Return the masses SLSQP finds from a start of about half the budget."""
    start = np.exp(tilt(ref_log_p, reward, 1 / np.sqrt(kl_budget)))
    budget = {
        "type": "ineq",
        "fun": lambda p: kl_budget - np.sum(p * (np.log(p) - ref_log_p)),
        "jac": lambda p: ref_log_p - np.log(p) - 1,
    }
    whole = {"type": "eq", "fun": lambda p: np.sum(p) - 1, "jac": np.ones_like}
    found = minimize(
        lambda p: -(p @ reward),
        start,
        jac=lambda p: -reward,
        bounds=[(1e-12, 1)] * ANSWERS,
        constraints=[budget, whole],
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-12},
    )
    return found.x


def exact_mean_and_kl(weights, ref, reward):
    """Return the mean reward and the KL of a law given by its weights, all of them exact numbers."""
    total, ref_total = mp.fsum(weights), mp.fsum(ref)
    mean = mp.fsum(w * r for w, r in zip(weights, reward, strict=True)) / total
    kl = mp.fsum(w * mp.log(w / total / q * ref_total) for w, q in zip(weights, ref, strict=True)) / total
    return mean, kl


def exact_optimum(ref, reward, kl_budget):
    """Return the highest mean reward within the budget: a = 1/beta by halving at 50 digits."""
    low, high = mpf(0), mpf(10) ** 3
    for _ in range(120):
        a = (low + high) / 2
        mean, kl = exact_mean_and_kl([q * mp.exp(a * r) for q, r in zip(ref, reward, strict=True)], ref, reward)
        low, high = (a, high) if kl < kl_budget else (low, a)
    return mean


def errors(masses, ref, reward, kl_budget, optimum):
    """Return the reward's error, as a share of the whole gain, and the KL's, as a share of the budget."""
    mean, kl = exact_mean_and_kl([mpf(float(p)) for p in masses], ref, reward)
    start = exact_mean_and_kl(ref, ref, reward)[0]
    return float(abs((mean - optimum) / (optimum - start))), float(abs(kl / mpf(kl_budget) - 1))


def seconds(function, *args):
    """Time one call."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main():
    """Print the table: accuracy of both, then the ratio of their least times over rounds that take turns."""
    ref_log_p, reward = problem(0)
    print(f"The KL-constrained optimum among {ANSWERS} answers: tilt_to_kl against scipy's SLSQP (numpy, float64)")
    print("  budget |  reward's error, share of gain | KL's error, share of budget |  time of SLSQP")
    print("    nats |      tilt_to_kl          SLSQP |     tilt_to_kl        SLSQP |  in tilt_to_kl's")
    with mp.workdps(50):
        ref, exact_reward = ([mpf(float(x)) for x in values] for values in (np.exp(ref_log_p), reward))
        for kl_budget in BUDGETS:
            args = ref_log_p, reward, kl_budget
            optimum = exact_optimum(ref, exact_reward, kl_budget)
            found = [errors(solve(*args), ref, exact_reward, kl_budget, optimum) for solve in (ours, slsqp)]
            times = [[seconds(solve, *args) for solve in (ours, slsqp)] for _ in range(ROUNDS)]
            least, slsqp_least = np.min(times, axis=0)
            ratio = slsqp_least / least
            (lost, off), (slsqp_lost, slsqp_off) = found
            print(f"{kl_budget:8g} | {lost:15.1e} {slsqp_lost:14.1e} | {off:14.1e} {slsqp_off:12.1e} | {ratio:15.1f}")


if __name__ == "__main__":
    main()
