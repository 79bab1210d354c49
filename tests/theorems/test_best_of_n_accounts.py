"""What best-of-N costs and buys, as Chapter 9 states it: on random instances, and with an assumption dropped.

The second opinion: sums over all draws, sums over the levels of the reward, integrals by mpmath at 30 digits, and
draws without repetition by their counts.
"""

import itertools
import math

import numpy as np
import pytest
from mpmath import mp, mpf, quad
from strategies import normalized

from alignbook.best_of_n import (
    best_of_n,
    best_win_rate,
    kl_estimate,
    kl_upper_bound,
    soft_best_of_n,
    win_rate_upper_bound,
)
from alignbook.information import expectation, kl_divergence, win_rate
from alignbook.tilting import max_kl, tilt, tilt_to_kl

INSTANCES = 60


def instances(seed, answers=6, levels=4):
    """Uneven references, rewards with ties, real numbers of draws from 1 to 1000."""
    rng = np.random.default_rng(seed)
    ref = normalized(2 * rng.standard_normal((INSTANCES, answers)))
    reward = rng.integers(0, levels, (INSTANCES, answers)).astype(float)
    return ref, reward, 10.0 ** (3 * rng.random(INSTANCES))


def masses_of_levels(law, reward):
    return np.array([np.sum(np.exp(law)[reward == level]) for level in np.unique(reward)])


# The law


def test_the_formula_is_a_law_at_every_real_n():
    ref, reward, n = instances(0)
    for one_ref, one_reward, one_n in zip(ref, reward, n, strict=True):
        p = np.exp(one_ref)
        up_to = np.array([np.sum(p[one_reward <= r]) for r in one_reward])
        below = np.array([np.sum(p[one_reward < r]) for r in one_reward])
        formula = p / (up_to - below) * (up_to**one_n - below**one_n)
        assert np.all(formula >= 0)
        assert np.sum(formula) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(np.exp(best_of_n(one_ref, one_reward, one_n)), formula, rtol=0, atol=1e-11)


def test_two_rounds_by_two_rewards_are_not_one_round():
    ref, reward, _ = instances(1, levels=3)
    other = np.roll(reward, 1, axis=-1)
    twice = np.exp(best_of_n(best_of_n(ref, other, 4), reward, 4))
    once = np.exp(best_of_n(ref, reward, 16))
    assert np.max(np.abs(np.exp(best_of_n(best_of_n(ref, reward, 4), reward, 4)) - once)) < 1e-13
    assert np.median(np.max(np.abs(twice - once), axis=-1)) > 0.05


# Its divergence


def test_the_kl_of_the_answers_is_that_of_their_rewards():
    ref, reward, n = instances(2)
    law, other = best_of_n(ref, reward, n), normalized(ref + np.random.default_rng(2).standard_normal(ref.shape) * 3)
    lost = []
    for one in range(INSTANCES):
        rewards = [masses_of_levels(x[one], reward[one]) for x in (law, ref, other)]
        of_rewards = [np.sum(q[q > 0] * np.log(q[q > 0] / rewards[1][q > 0])) for q in (rewards[0], rewards[2])]
        assert kl_divergence(law[one], ref[one]) == pytest.approx(of_rewards[0], abs=1e-12)
        lost.append(float(kl_divergence(other[one], ref[one])) - of_rewards[1])
    assert min(lost) > -1e-12
    assert np.median(lost) > 0.02  # a policy that prefers among equals spends more than its rewards show


def test_the_kl_rises_with_the_draws_up_to_what_the_best_answers_cost():
    ref, reward, _ = instances(3)
    top = max_kl(ref, reward)
    kls = np.stack([kl_divergence(best_of_n(ref, reward, n), ref) for n in (1, 1.5, 2, 7, 60, 1e3, 1e6, 1e14)])
    assert np.all(np.diff(kls, axis=0) >= -1e-13)
    assert np.all(kls <= np.minimum(kl_upper_bound(np.array([1, 1.5, 2, 7, 60, 1e3, 1e6, 1e14]))[:, None], top) + 1e-12)
    np.testing.assert_allclose(kls[-1], top, rtol=0, atol=1e-10)


def test_the_kl_rises_strictly_unless_the_reward_is_constant():
    ref, reward, _ = instances(14)
    kls = np.stack([kl_divergence(best_of_n(ref, reward, n), ref) for n in (1, 1.01, 1.3, 2, 3)])
    assert np.all(np.diff(kls, axis=0) > 0)  # not one of these rewards is constant
    assert float(kl_divergence(best_of_n(ref[0], np.ones(6), 50), ref[0])) == pytest.approx(0, abs=1e-14)


def test_the_slope_of_the_kl_is_a_sum_by_parts_of_positive_terms():
    ref, reward, n = instances(15)
    for one_ref, one_reward, one_n in zip(ref, reward, 1.5 + n / 100, strict=True):
        masses = masses_of_levels(one_ref, one_reward)
        edges = np.append(0, np.cumsum(masses)[:-1]), np.append(np.cumsum(masses)[:-1], 1.0)
        log_ratio = np.log((edges[1] ** one_n - edges[0] ** one_n) / masses)
        inner = edges[1][:-1]
        slope = np.sum(-(inner**one_n) * np.log(inner) * np.diff(log_ratio))
        near = [kl_divergence(best_of_n(one_ref, one_reward, one_n + step), one_ref) for step in (-1e-4, 1e-4)]
        assert slope == pytest.approx(float(near[1] - near[0]) / 2e-4, abs=1e-6)
        assert np.all(np.diff(log_ratio) > 0)


def kl_without_repetition(answers, n):
    """The best of n different ones of equally likely answers, against the reference."""
    of_best = np.array([math.comb(k - 1, n - 1) / math.comb(answers, n) for k in range(n, answers + 1)])
    return float(np.sum(of_best * np.log(of_best * answers)))


def test_draws_that_do_not_repeat_break_the_bound():
    rng = np.random.default_rng(4)
    for _ in range(INSTANCES):
        answers = int(rng.integers(4, 60))
        n = int(rng.integers(2, answers + 1))
        ref = np.full(answers, -math.log(answers))
        assert kl_divergence(best_of_n(ref, np.arange(answers), n), ref) <= kl_upper_bound(n)
        different = kl_without_repetition(answers, n)
        assert different > float(kl_divergence(best_of_n(ref, np.arange(answers), n), ref))
        if n > answers / 2:
            assert different > float(kl_upper_bound(n))


def test_the_reverse_divergence_stays_under_its_bound():
    ref, reward, n = instances(5)
    assert np.all(kl_divergence(ref, best_of_n(ref, reward, n)) <= n - 1 - np.log(n) + 1e-12)
    without_the_worst = normalized(np.array([-math.inf, 0.0, 0.0]))  # the best of two different ones of three
    assert float(kl_divergence(normalized(np.zeros(3)), without_the_worst)) == math.inf


# The estimate


def kl_with_one_atom(eps, n):
    """D(pi_N || p) where the best answer has mass eps and no other reward has any, from the density N u^(N-1)."""
    with mp.workdps(30):
        eps, n = mpf(eps), mpf(n)
        some = 1 - (1 - eps) ** n
        rest = quad(lambda u: n * u ** (n - 1) * mp.log(n * u ** (n - 1)), [0, (1 - eps) / 2, 1 - eps])
        return float(rest + some * mp.log(some / eps))


def test_the_estimate_is_exact_where_the_best_answer_alone_has_a_mass():
    rng = np.random.default_rng(6)
    for _ in range(INSTANCES):
        eps, n = 10 ** rng.uniform(-4, -0.1), 10 ** rng.uniform(0.1, 3)
        expected = kl_with_one_atom(eps, n)
        assert float(kl_estimate(np.log(eps), n)) == pytest.approx(expected, abs=1e-9)
        twins = float(kl_estimate(np.log(eps / 2), n))  # the same best reward, shared by two answers
        assert twins > expected + 0.2 * math.log(2) * -(math.expm1(n * math.log1p(-eps)) ** 2)


def test_averaged_over_kept_answers_the_estimate_is_a_little_too_large():
    rng = np.random.default_rng(16)
    for _ in range(INSTANCES):
        eps, n = rng.uniform(0.02, 0.6), 10 ** rng.uniform(0.1, 2)
        ref = np.log(np.append(np.full(20_000, (1 - eps) / 20_000), eps))
        law = best_of_n(ref, np.arange(20_001), n)
        average, others = expectation(law, kl_estimate(ref, n)), (1 - eps) ** n
        surplus = others * (float(kl_upper_bound(n)) - kl_with_one_atom(eps, n))
        assert average - kl_divergence(law, ref) == pytest.approx(surplus, abs=1e-4)
        assert surplus > 0


# Its win rate


def test_if_ties_counted_as_wins_best_of_n_would_pass_its_bound():
    ref, reward, n = instances(7)
    for one_ref, one_reward, one_n in zip(ref, reward, n, strict=True):
        law = best_of_n(one_ref, one_reward, one_n)
        up_to = np.array([np.sum(np.exp(one_ref)[one_reward <= r]) for r in one_reward])
        assert win_rate(law, one_ref, one_reward) < win_rate_upper_bound(one_n)
        assert expectation(law, up_to) > win_rate_upper_bound(one_n)


def test_a_fair_judge_other_than_the_ranking_reward_lifts_no_win_rate_over_the_bound():
    """Judges that compare pairs by any chances, in rings too; one that leans to best-of-N's side does lift it."""
    ref, reward, n = instances(4)
    chances = np.random.default_rng(4).random((INSTANCES, 6, 6)) ** 3
    fair = (chances + 1 - np.swapaxes(chances, -1, -2)) / 2
    by_reward = np.sign(reward[:, :, None] - reward[:, None, :]) / 2 + 0.5
    law = best_of_n(ref, reward, n)
    kept, drawn = np.exp(law), np.exp(ref)
    wins, own, leaning = (
        np.einsum("iy,iyz,iz->i", kept, judge, drawn) for judge in (fair, by_reward, np.minimum(by_reward + 0.5, 1))
    )
    bound = win_rate_upper_bound(n)
    np.testing.assert_allclose(own, win_rate(law, ref, reward), rtol=0, atol=1e-12)
    assert np.all(wins <= bound + 1e-12)
    assert np.any(leaning > bound)


def test_the_best_win_rate_is_that_of_the_exponential_density():
    rng = np.random.default_rng(8)
    for c in 10 ** rng.uniform(-1, 1.5, INSTANCES):
        with mp.workdps(30):
            density = lambda u, c=c: c * mp.exp(c * u) / mp.expm1(c)  # noqa: E731
            ends = [0, 0.5, max(0.5, 1 - 5 / c), 1]
            rate = quad(lambda u, density=density: u * density(u), ends)
            kl = quad(lambda u, density=density: density(u) * mp.log(density(u)), ends)
        assert float(rate) == pytest.approx(1 / -math.expm1(-c) - 1 / c, abs=1e-12)
        assert float(best_win_rate(float(kl))) == pytest.approx(float(rate), abs=1e-9)


def test_each_divergence_has_one_exponential_density():
    rng = np.random.default_rng(17)
    for c in 10 ** rng.uniform(-1, 1.5, 20):
        with mp.workdps(30):
            kl = lambda c: mp.log(c / mp.expm1(c)) + c / -mp.expm1(-c) - 1  # noqa: E731
            variance = 1 / mpf(c) ** 2 - mp.exp(c) / mp.expm1(c) ** 2
            assert mp.diff(kl, mpf(c)) == pytest.approx(c * variance, abs=1e-12)
            assert variance > 0
            assert kl(mpf(10) ** -9) < 1e-15
            assert kl(mpf(10) ** 9) == pytest.approx(9 * math.log(10) - 1, abs=1e-12)


def lost_of_the_best_win_rate(p, n):
    """What best-of-n on answers of masses p, no two alike in reward, loses against the best win rate at its KL."""
    ref, win = np.log(p), np.cumsum(p) - p / 2
    law = best_of_n(ref, np.arange(len(p)), n)
    return float(tilt_to_kl(ref, win, kl_divergence(law, ref)).reward - expectation(law, win))


def test_without_atoms_the_loss_in_win_rate_is_below_a_hundredth_and_with_atoms_a_little_more():
    fine = np.full(4000, 1 / 4000)
    for n in (1.2, 1.5, 1.78, 2.0, 4.0, 8.0):
        expected = float(best_win_rate(kl_upper_bound(n)) - win_rate_upper_bound(n))
        assert 0 < expected < 0.0095
        assert lost_of_the_best_win_rate(fine, n) == pytest.approx(expected, abs=2e-6)
    assert lost_of_the_best_win_rate(np.array([0.05, 0.1, 0.7, 0.1, 0.05]), 2.0) == pytest.approx(0.0110016, abs=1e-6)


# What it earns


def mean_of_the_largest(survival, n, low, high):
    """E max of n draws, from the law's survival function: the low end plus the integral of 1 - F^n above it."""
    x = np.linspace(low, high, 200_001)
    beaten = -np.expm1(n * np.log1p(-survival(x)))
    return low + np.sum((beaten[1:] + beaten[:-1]) / 2) * (x[1] - x[0])


def test_a_sub_gaussian_reward_gains_no_more_than_the_bound_allows():
    upper = np.vectorize(lambda x: math.erfc(x / math.sqrt(2)) / 2)
    grid = np.linspace(-9, 12, 4001)
    normal = lambda x: np.minimum(1 - 1e-16, np.interp(x, grid, upper(grid)))  # noqa: E731
    rng = np.random.default_rng(9)
    for n in np.concatenate([[2, 64, 256], 10 ** rng.uniform(0.05, 5, 50)]):
        allowed = math.sqrt(2 * float(kl_upper_bound(n)))
        gain = mean_of_the_largest(normal, n, -9.0, 12.0)
        assert gain < allowed < math.sqrt(2 * math.log(n))
        exponential = mean_of_the_largest(lambda x: np.minimum(1 - 1e-16, np.exp(-x)), n, 0.0, 60.0) - 1
        assert n < 8 or exponential > allowed  # tails heavier than a normal law's


def test_rare_right_answers_gain_more_standard_deviations_than_a_normal_reward_may():
    for chance, n in ((0.1, 10), (0.01, 100), (0.001, 1000)):
        gain = (1 - (1 - chance) ** n - chance) / math.sqrt(chance * (1 - chance))
        assert gain > math.sqrt(2 * float(kl_upper_bound(n)))


def test_bounded_rewards_gain_no_more_than_the_bound_allows():
    ref, reward, n = instances(10)
    law = best_of_n(ref, reward / 3, n)
    gain = expectation(law, reward / 3) - expectation(ref, reward / 3)
    assert np.all(gain <= np.sqrt(kl_upper_bound(n) / 2) + 1e-12)


# Soft best-of-N


def soft_by_all_sequences(p, reward, n, beta):
    law, w = np.zeros(len(p)), np.exp(reward / beta)
    for drawn in itertools.product(range(len(p)), repeat=n):
        kept = w[list(drawn)] / np.sum(w[list(drawn)])
        np.add.at(law, list(drawn), np.prod(p[list(drawn)]) * kept)
    return law


def test_soft_best_of_n_is_its_integral_and_its_limits_are_best_of_n_tilt_and_reference():
    ref, reward, _ = instances(11, answers=3)
    for trial, (one_ref, one_reward) in enumerate(zip(ref, reward, strict=True)):
        n, beta = 1 + trial % 5, 0.3 + trial / 20
        expected = soft_by_all_sequences(np.exp(one_ref), one_reward, n, beta)
        np.testing.assert_allclose(np.exp(soft_best_of_n(one_ref, one_reward, n, beta)), expected, rtol=0, atol=1e-12)
    n = 10.0 ** np.random.default_rng(12).uniform(0, 2, INSTANCES)
    for soft, limit, near in (
        (soft_best_of_n(ref, reward, n, 1e-3), best_of_n(ref, reward, n), 1e-12),
        (soft_best_of_n(ref, reward, 1e9, 0.8), tilt(ref, reward, 0.8), 1e-6),
        (soft_best_of_n(ref, reward, n, 1e9), ref, 1e-6),
    ):
        np.testing.assert_allclose(np.exp(soft), np.exp(limit), rtol=0, atol=near)


def test_soft_best_of_n_changes_under_increasing_maps_of_the_reward():
    ref, reward, _ = instances(13)
    soft, mapped = (np.exp(soft_best_of_n(ref, r, 8, 1.0)) for r in (reward, reward**2))
    assert np.median(np.max(np.abs(soft - mapped), axis=-1)) > 0.05
    assert best_of_n(ref, reward, 8).tolist() == best_of_n(ref, reward**2, 8).tolist()
