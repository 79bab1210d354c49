"""The statements of Part III on best-of-N at any N, on random instances, at the edges, and without an assumption.

The second opinion: the sum over all sequences of draws, densities on the quantile scale, exact powers at 60 digits and
plain numpy. Where the reward has no atom, a fine grid of equally likely answers stands for it, with the error stated.
"""

import itertools
import math

import numpy as np
import pytest
from mpmath import mp, mpf
from strategies import normalized

from alignbook.best_of_n import (
    best_of_n,
    best_win_rate,
    kl_estimate,
    kl_upper_bound,
    soft_best_of_n,
    win_rate_upper_bound,
)
from alignbook.information import entropy, expectation, kl_divergence, win_rate
from alignbook.tilting import condition_on_best, tilt

INSTANCES = 60
ROUNDING = 1e-12


def instances(seed, answers=5, levels=3, count=INSTANCES):
    """Uneven references, rewards with ties, real numbers of draws from 1 to 1000, the first of them 1."""
    rng = np.random.default_rng(seed)
    ref = normalized(2 * rng.standard_normal((count, answers)))
    reward = rng.integers(0, levels, (count, answers)).astype(float)
    n = 10.0 ** (3 * rng.random(count))
    n[0] = 1.0
    return ref, reward, n


def grid(answers):
    """Equally likely answers of different rewards: an atomless reward, seen at this many levels."""
    return np.full(answers, -math.log(answers)), np.arange(answers) / answers


# The law


def best_of_all_sequences(p, reward, n):
    """The law by its definition: every sequence of n draws keeps the first of its best."""
    law = np.zeros(len(p))
    for sequence in itertools.product(range(len(p)), repeat=n):
        law[max(sequence, key=lambda y: reward[y])] += np.prod(p[list(sequence)])  # max keeps the first
    return law


def test_best_of_n_is_the_law_of_the_best_of_n_draws():
    ref, reward, _ = instances(0, answers=4)
    for i, (one_ref, one_reward) in enumerate(zip(ref, reward, strict=True)):
        n = 1 + i % 5
        expected = best_of_all_sequences(np.exp(one_ref), one_reward, n)
        np.testing.assert_allclose(np.exp(best_of_n(one_ref, one_reward, n)), expected, rtol=0, atol=1e-14)


def share_of_the_reference(log_law, ref, group):
    """How an answer's share among its equals differs from its share under the reference, at most."""
    shares = [np.exp(normalized(law[group])) for law in (log_law, ref)]
    return np.max(np.abs(shares[0] - shares[1]))


def test_ties_share_in_proportion_to_the_reference():
    for ref, reward, n in zip(*instances(1), strict=True):
        law = best_of_n(ref, reward, n)
        for level in np.unique(reward):
            assert share_of_the_reference(law, ref, reward == level) < ROUNDING


def test_if_the_last_of_equals_is_kept_by_index_they_do_not_share_in_proportion():
    ref, reward, _ = instances(2, answers=4)
    for one_ref, one_reward in zip(ref, reward, strict=True):
        by_index = best_of_n(one_ref, one_reward + 1e-3 * np.arange(4), 3)  # ties broken by the index
        levels, counts = np.unique(one_reward, return_counts=True)
        group = one_reward == levels[np.argmax(counts)]
        assert np.sum(group) < 2 or share_of_the_reference(by_index, one_ref, group) > 1e-4


def test_the_distribution_function_of_the_kept_reward_is_a_power():
    for ref, reward, n in zip(*instances(3), strict=True):
        law = np.exp(best_of_n(ref, reward, n))
        for level in np.unique(reward):
            below = np.sum(np.exp(ref)[reward <= level])
            assert np.sum(law[reward <= level]) == pytest.approx(below**n, abs=ROUNDING)


def test_best_of_n_of_best_of_m_is_best_of_the_product():
    ref, reward, n = instances(4)
    m = np.roll(n, 1) ** 0.5
    twice = best_of_n(best_of_n(ref, reward, m), reward, n)
    np.testing.assert_allclose(np.exp(twice), np.exp(best_of_n(ref, reward, n * m)), rtol=0, atol=ROUNDING)


def test_the_law_does_not_change_under_increasing_maps_of_the_reward():
    ref, reward, n = instances(5)
    expected = best_of_n(ref, reward, n)
    assert best_of_n(ref, np.exp(3 * reward) - 7, n).tolist() == expected.tolist()
    assert np.max(np.abs(np.exp(best_of_n(ref, np.abs(reward - 1), n)) - np.exp(expected))) > 0.1  # not increasing


def by_subtraction(ref, reward, n, *, renormalized):
    """F^N - F_-^N from cumulative sums, as one would write it; rewards in rising order."""
    up_to = np.cumsum(np.exp(ref))
    return np.diff((up_to / up_to[-1] if renormalized else up_to) ** n, prepend=0.0)


def rare_best(k):
    """200 answers, of which the 20 best have masses around 10^-k."""
    rng = np.random.default_rng(0)
    best = -k * math.log(10) + rng.uniform(-0.5, 0.5, 20)
    return normalized(np.concatenate([np.zeros(180), best + math.log(180)])), np.arange(200.0)


def exact_kl(ref, n):
    """D(pi_N || p) for rewards in rising order, at 60 digits."""
    with mp.workdps(60):
        weights = [mp.exp(mpf(float(x))) for x in ref]
        p = [w / mp.fsum(weights) for w in weights]
        up_to = [mpf(0), *itertools.accumulate(p[:-1]), mpf(1)]
        law = [a ** mpf(n) - b ** mpf(n) for a, b in itertools.pairwise(up_to[::-1])][::-1]
        return float(mp.fsum(a * mp.log(a / b) for a, b in zip(law, p, strict=True) if a > 0))


@pytest.mark.parametrize(("renormalized", "first_lost"), [(False, 14), (True, 17)])
def test_subtraction_of_powers_loses_what_the_survival_keeps(renormalized, first_lost):
    for k in (8, 14, 16, 17, 18, 25):
        ref, reward = rare_best(k)
        n = 10.0**k
        expected = exact_kl(ref, n)
        assert float(kl_divergence(best_of_n(ref, reward, n), ref)) == pytest.approx(expected, rel=1e-12)
        naive = by_subtraction(ref, reward, n, renormalized=renormalized)
        kept = naive > 0
        kl = np.sum(naive[kept] * (np.log(naive[kept]) - ref[kept]))
        assert (abs(kl / expected - 1) > 0.2) == (k >= first_lost)
        assert (np.sum(naive[180:]) == 0) == (k >= 17)  # the best answers get no mass at all


# Its divergence from the reference


def test_the_kl_stays_under_its_bound():
    for seed in range(5):
        ref, reward, n = instances(seed, answers=8, levels=8)
        kl = kl_divergence(best_of_n(ref, reward, n), ref)
        assert np.all(kl <= kl_upper_bound(n) + 1e-15)
        assert np.all(kl[1:] < kl_upper_bound(n)[1:])  # strictly: finitely many answers have atoms


def test_without_atoms_the_kl_is_its_bound():
    for n in (1, 2, 3.5, 16, 64):
        off = [float(kl_upper_bound(n) - kl_divergence(best_of_n(*grid(k), n), grid(k)[0])) for k in (10**4, 10**5)]
        # the density n u^(n-1), averaged over cells of 1/k, loses (n-1)^2/(24 (n-2)) n/k^2 of KL; at n = 2 a log more
        assert -1e-15 <= off[0] <= n**2 * math.log(10**4) / 10**8 + 1e-15
        assert off[1] <= off[0] / 50 + 1e-13


def test_among_ten_equally_likely_answers_the_bound_is_far_off():
    ref = np.full(10, math.log(0.1))
    kl = float(kl_divergence(best_of_n(ref, np.arange(10.0), 64), ref))
    assert (round(kl, 2), round(float(kl_upper_bound(64)), 2)) == (2.29, 3.17)
    assert kl < math.log(10)  # what the best answer alone costs


def test_without_atoms_the_reverse_divergence_is_n_minus_one_minus_log_n():
    for n in (1.5, 2, 4, 8):
        for k in (10**3, 10**4, 10**5):
            off = float(kl_divergence(grid(k)[0], best_of_n(*grid(k), n))) - (n - 1 - math.log(n))
            assert abs(off) <= n * math.log(k) / k  # the lowest cells


# Its win rate


def test_the_win_rate_stays_under_its_bound():
    for seed in range(5):
        ref, reward, n = instances(seed, answers=8, levels=8)
        rate = win_rate(best_of_n(ref, reward, n), ref, reward)
        assert np.all(rate <= win_rate_upper_bound(n) + 1e-15)
        assert np.all(rate[1:] < win_rate_upper_bound(n)[1:])
    for n in (1, 2, 16.5, 64):
        rate = float(win_rate(best_of_n(*grid(10**5), n), *grid(10**5)))
        assert rate == pytest.approx(n / (n + 1), abs=n / 10**9)  # a cell's ties count one half


def test_no_policy_of_the_same_kl_wins_more_often_than_the_best():
    rng = np.random.default_rng(6)
    for seed in range(5):
        ref, reward, n = instances(seed, answers=8, levels=8)
        spread = 10.0 ** rng.uniform(-2, 1, (INSTANCES, 1))
        for policy in (normalized(ref + spread * rng.standard_normal(ref.shape)), best_of_n(ref, reward, n)):
            assert np.all(win_rate(policy, ref, reward) <= best_win_rate(kl_divergence(policy, ref)) + ROUNDING)


def test_if_ties_counted_as_wins_a_policy_would_win_more_often():
    ref, reward = np.log([0.5, 0.5]), np.array([1.0, 1.0])
    wins_and_ties = 1.0  # of the reference against itself, at KL 0
    assert float(win_rate(ref, ref, reward)) == float(best_win_rate(0.0)) == 0.5
    assert wins_and_ties > float(best_win_rate(0.0))


def test_the_tilt_of_the_quantile_attains_the_best_win_rate():
    ref, quantile = grid(10**5)
    for beta in (5.0, 1.0, 0.3, 0.05):
        law = tilt(ref, quantile, beta)
        rate, best = float(win_rate(law, ref, quantile)), float(best_win_rate(kl_divergence(law, ref)))
        assert rate == pytest.approx(best, abs=1e-9)


def test_best_of_n_loses_little_against_the_best_win_rate():
    lost = [float(best_win_rate(kl_upper_bound(n)) - win_rate_upper_bound(n)) for n in (1, 2, 4, 8)]
    assert lost == pytest.approx([0, 0.0092, 0.0040, 0.0008], abs=5e-5)


# The estimate from one mass


def mean_estimate(ref, reward, n):
    """What the estimate is on average over the answers that best-of-N selects."""
    return float(expectation(best_of_n(ref, reward, n), kl_estimate(ref, n)))


def test_with_small_masses_and_no_ties_the_estimate_is_the_bound_and_the_kl():
    rng = np.random.default_rng(7)
    for _ in range(INSTANCES):
        ref, n = normalized(rng.standard_normal(20_000)), 10.0 ** (2 * rng.random())
        kl = float(kl_divergence(best_of_n(ref, rng.standard_normal(20_000), n), ref))
        estimate = mean_estimate(ref, rng.standard_normal(20_000), n)
        assert estimate == pytest.approx(kl, abs=0.02)
        assert estimate == pytest.approx(float(kl_upper_bound(n)), abs=0.02)


def test_for_one_answer_that_takes_all_the_estimate_sees_what_the_bound_does_not():
    ref, reward = normalized([math.log(0.2), *[math.log(0.8 / 10**4)] * 10**4]), np.array([1.0] + [0.0] * 10**4)
    law = best_of_n(ref, reward + 1e-6 * np.arange(10**4 + 1) * (reward == 0), 64)
    kl = float(kl_divergence(law, ref))
    estimate = float(expectation(law, kl_estimate(ref, 64)))
    assert kl == pytest.approx(-math.log(0.2), abs=1e-4)
    assert estimate == pytest.approx(kl, abs=1e-4)
    assert float(kl_upper_bound(64)) > 1.5 + kl


def test_under_ties_the_estimate_is_far_too_large():
    ref = np.full(1000, -math.log(1000))
    reward = (np.arange(1000) < 500).astype(float)  # right or wrong, each with many answers
    kl = float(kl_divergence(best_of_n(ref, reward, 64), ref))
    assert kl == pytest.approx(math.log(2), abs=1e-10)
    assert mean_estimate(ref, reward, 64) > 4 * kl


# Limits


def test_more_draws_buy_more_kl_and_less_entropy_below_the_best():
    ref, reward, _ = instances(8)
    kls = np.stack([kl_divergence(best_of_n(ref, reward, n), ref) for n in (1, 2, 5, 50, 1e4, 1e12)])
    assert np.all(np.diff(kls, axis=0) >= -1e-15)
    best = condition_on_best(ref, reward)
    np.testing.assert_allclose(np.exp(best_of_n(ref, reward, 1e12)), np.exp(best), rtol=0, atol=1e-9)
    assert np.all(entropy(best_of_n(ref, reward, 1e12)) <= entropy(best) + 1e-8)


def test_soft_best_of_n_lies_between_best_of_n_and_the_tilt():
    ref, reward, _ = instances(9)
    hard, soft = (np.exp(law) for law in (best_of_n(ref, reward, 9), soft_best_of_n(ref, reward, 9, 1e-3)))
    np.testing.assert_allclose(soft, hard, rtol=0, atol=1e-13)
    off = np.exp(soft_best_of_n(ref, reward, 1e8, 0.5)) - np.exp(tilt(ref, reward, 0.5))
    assert np.max(np.abs(off)) < 1e-5
    assert np.max(np.abs(np.exp(soft_best_of_n(ref, reward, 9, 0.5)) - hard)) > 0.1
