"""Best-of-N's exact law: against draws, against subtracted powers, against mpmath; numpy, float64, one thread.

The KL of kept draws' shares has a standard error, small enough for three digits. The usual code subtracts powers of
cumulative sums. mpmath has 60 digits, which the worst masses, of 1e-25, leave 35 of.
"""

import itertools
import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import numpy as np
from mpmath import mp, mpf

from alignbook.best_of_n import best_of_n, kl_upper_bound, sample_best_of_n
from alignbook.information import kl_divergence, variance

DRAWS, AT_ONCE, ROUNDS = 64_000_000, 500_000, 1000


def main():
    """Print the three tables."""
    against_draws()
    rare_answers()
    thousand_answers()


def against_draws():
    """Ten answers, two of them tied: the exact KL and that of the shares among draws."""
    rng = np.random.default_rng(0)
    ref, reward = log_law(rng.standard_normal(10)), np.append(rng.standard_normal(9), 9.0)
    reward[8] = 9.0
    print(f"\nKL of best-of-N from the reference, in nats: exact, and of the shares among the best of {DRAWS:,} draws")
    print("       N |    exact      kept ± error |    bound")
    for n in (2, 4, 16):
        law = best_of_n(ref, reward, n)
        repeats = DRAWS // n // AT_ONCE
        found = sum(
            np.bincount(sample_best_of_n(ref, reward, n, AT_ONCE, seed=k), minlength=10) for k in range(repeats)
        )
        shares = found / np.sum(found)
        kept = np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)) - shares * ref)
        error = np.sqrt(variance(law, law - ref) / np.sum(found))
        print(
            f"{n:8} | {float(kl_divergence(law, ref)):8.4f} {kept:9.4f} ± {error:.4f} | {float(kl_upper_bound(n)):8.4f}"
        )


def rare_answers():
    """200 answers, the 20 best ever rarer: the KL's relative error, of the exact law and of subtracted powers."""
    print("\n200 answers, the 20 best of masses near 1/N: relative error of the KL against mpmath")
    print("       N | alignbook   subtracted powers")
    worst = 0.0
    for k in range(2, 26):
        ref = rare_best(k)
        exact = exact_kl(ref, 10.0**k)
        off = [abs(float(kl / exact) - 1) for kl in (ours(ref, 10.0**k), by_subtraction(ref, 10.0**k))]
        worst = max(worst, off[0])
        if k in (4, 8, 12, 14, 16, 18, 25):
            print(f"   1e{k:03} | {off[0]:9.1e} {off[1]:19.1e}")
    print(f"   worst of N = 1e2 to 1e25: {worst:.1e}")


def thousand_answers():
    """The time of one law."""
    rng = np.random.default_rng(0)
    ref, reward = log_law(rng.standard_normal(1000)), np.sort(rng.standard_normal(1000))
    calls = (lambda: best_of_n(ref, reward, 64), lambda: by_subtraction(ref, 64.0))
    times = [[seconds(call) for call in calls] for _ in range(ROUNDS)]
    least, naive = 1e6 * np.min(times, axis=0)
    print(f"\n1000 answers: {least:.0f} us a law, checks, sorting and ties included (target: 300)")
    print(f"  subtracted powers of answers already sorted, without checks or ties: {naive:.0f} us")


def log_law(scores):
    """Normalize."""
    return scores - np.log(np.sum(np.exp(scores)))


def rare_best(k):
    """The last 20 of 200 answers have masses around 10^-k."""
    best = np.random.default_rng(0).uniform(-0.5, 0.5, 20) - k * np.log(10) + np.log(180)
    return log_law(np.concatenate([np.zeros(180), best]))


def ours(ref, n):
    """The KL by the package; answers stand in rising order of reward."""
    return mpf(float(kl_divergence(best_of_n(ref, np.arange(float(len(ref))), n), ref)))


def by_subtraction(ref, n):
    """The KL by the usual code."""
    law = np.diff(np.cumsum(np.exp(ref)) ** n, prepend=0.0)
    kept = law > 0
    return mpf(float(np.sum(law[kept] * (np.log(law[kept]) - ref[kept]))))


def exact_kl(ref, n):
    """The KL at 60 digits."""
    with mp.workdps(60):
        weights = [mp.exp(mpf(float(x))) for x in ref]
        total = mp.fsum(weights)
        p = [w / total for w in weights]
        up_to = [mpf(0), *itertools.accumulate(p[:-1]), mpf(1)]
        law = [b ** mpf(n) - a ** mpf(n) for a, b in itertools.pairwise(up_to)]
        return mp.fsum(a * mp.log(a / b) for a, b in zip(law, p, strict=True) if a > 0)


def seconds(call):
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
