"""The statements of Chapter 11, each on random instances, at its edges, and once without one of its assumptions.

What stands in test_asymptotics.py is not repeated. The second opinion: all sequences one by one, scipy's binomial law,
general-purpose optimizers, sums over types, mpmath, convolutions.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom
from strategies import normalized

from alignbook.asymptotics import (
    aligned_letter,
    bahadur_rao,
    finite_length,
    limits,
    log_mgf,
    rate_function,
)
from alignbook.information import expectation, kl_divergence, renyi_cross_entropy, variance

INSTANCES = 60


def draw_letters(seed, letters=3, count=INSTANCES):
    """Uneven laws of letters, and rewards between 0 and 1 on no lattice, both ends among them."""
    rng = np.random.default_rng(seed)
    log_p = normalized(rng.standard_normal((count, letters)))
    inner = rng.uniform(0.2, 0.8, (count, letters - 2))
    return log_p, np.concatenate([np.zeros((count, 1)), inner, np.ones((count, 1))], axis=-1)


def leaning(log_p, reward, t):
    """The tilt of slope t, of either sign, by its definition."""
    return normalized(log_p + np.asarray(t)[..., None] * reward)


def slope_at(log_p, reward, x):
    """The slope whose tilt has the mean x, by bisection."""
    low, high = -200.0 * np.ones(len(log_p)), 200.0 * np.ones(len(log_p))
    for _ in range(100):
        t = (low + high) / 2
        above = expectation(leaning(log_p, reward, t), reward) > x
        low, high = np.where(above, low, t), np.where(above, t, high)
    return (low + high) / 2


def between(log_p, reward, share):
    """Thresholds at a share of the way from the mean to the largest reward."""
    mean = expectation(log_p, reward)
    return mean + share * (reward.max(-1) - mean)


def log_tail(log_p, reward, length, x, sign=1):
    """log P(sign (total - n x) >= 0), by types."""
    found = finite_length(log_p, reward, length, 0.0)
    reached = sign * (found.total - length * np.asarray(x)[..., None]) >= -1e-9
    return np.logaddexp.reduce(np.where(reached, found.ref_log_p, -np.inf), axis=-1)


# Chernoff's bound


def test_chernoffs_bound_at_every_slope_and_length():
    log_p, reward = draw_letters(0)
    for length, share, t in itertools.product((1, 2, 5, 40), (-0.5, 0.0, 0.3, 0.8, 1.0, 1.2), (0.0, 0.5, 3.0, 20.0)):
        x = between(log_p, reward, share)
        above = -length * (t * x - log_mgf(log_p, reward, t))
        assert np.all(log_tail(log_p, reward, length, x) <= above + 1e-9)
        below = -length * (-t * x - log_mgf(log_p, reward, -t))
        assert np.all(log_tail(log_p, reward, length, x, sign=-1) <= below + 1e-9)


def test_by_hand_two_of_three_steps():
    steps = np.log([0.3, 0.7]), np.array([1.0, 0.0])
    assert math.exp(float(log_tail(*steps, 3, 2 / 3))) == pytest.approx(0.216, abs=1e-12)
    assert math.exp(-3 * float(rate_function(*steps, 2 / 3))) == pytest.approx(2.1**3 / (14 / 3) ** 2, rel=1e-12)


def test_copied_letters_break_chernoffs_bound():
    log_p, reward = draw_letters(1)
    x = between(log_p, reward, 0.5)
    copied = np.log(np.sum(np.exp(log_p) * (reward >= x[:, None]), axis=-1))  # whatever the length
    assert np.all(copied > -30 * rate_function(log_p, reward, x))


# Three forms of the rate function


def test_the_rate_function_is_a_supremum():
    log_p, reward = draw_letters(2)
    for share in (-1.0, -0.3, 0.0, 0.4, 0.95):
        x = between(log_p, reward, share)
        rate = rate_function(log_p, reward, x)
        for i in range(INSTANCES):
            if not 0 < x[i] < 1:
                continue
            found = minimize_scalar(lambda t, i=i: np.log(np.exp(log_p[i]) @ np.exp(t * (reward[i] - x[i]))))  # noqa: B023
            assert rate[i] == pytest.approx(-found.fun, abs=1e-7)


def test_the_rate_function_is_the_divergence_of_the_tilt_whose_mean_it_is():
    log_p, reward = draw_letters(3)
    for share in (0.05, 0.3, 0.6, 0.95):
        x = share * np.ones(INSTANCES)
        tilted = leaning(log_p, reward, slope_at(log_p, reward, x))
        np.testing.assert_allclose(rate_function(log_p, reward, x), kl_divergence(tilted, log_p), rtol=1e-9, atol=1e-12)


def test_no_law_with_such_a_mean_is_nearer():
    log_p, reward = draw_letters(4, letters=5)
    rivals = normalized(2 * np.random.default_rng(5).standard_normal((2000, 1, 5)))
    means, spent = expectation(rivals, reward), kl_divergence(rivals, log_p)
    for share in (0.2, 0.5):
        x = between(log_p, reward, share)
        allowed = np.where(means >= x, spent, np.inf)
        assert np.all(allowed.min(axis=0) >= rate_function(log_p, reward, x))
        tilted = leaning(log_p, reward, slope_at(log_p, reward, x))  # a step towards any rival costs
        mixed = np.log(0.9 * np.exp(tilted) + 0.1 * np.exp(rivals))
        far = np.where(expectation(mixed, reward) >= x, kl_divergence(mixed, log_p), np.inf)
        assert np.all(far > rate_function(log_p, reward, x))
    below = between(log_p, reward, -0.5)  # the reference itself has a mean of at least that, and costs nothing
    assert np.all(rate_function(log_p, reward, below)[below > 0] > 0.01)


def test_the_rate_function_at_its_ends_and_beyond():
    log_p, reward = draw_letters(6)
    reward[::2, 1] = reward[::2, 2]  # ties at the top
    top = np.log(np.sum(np.exp(log_p) * (reward == 1.0), axis=-1))
    np.testing.assert_allclose(rate_function(log_p, reward, 1.0), -top, rtol=1e-12)
    np.testing.assert_allclose(rate_function(log_p, reward, 0.0), -log_p[:, 0], rtol=1e-12)
    for x in (-1e-9, 1 + 1e-9, 7.0):
        assert np.all(np.isinf(rate_function(log_p, reward, x)))
    near = rate_function(log_p, reward, 1 - 1e-9)
    np.testing.assert_allclose(near, -top, rtol=0, atol=1e-6)


def test_slope_and_curvature_of_the_rate_function():
    log_p, reward = draw_letters(7)
    step = 1e-4
    for share in (0.15, 0.4, 0.85):
        x = share * np.ones(INSTANCES)
        low, middle, high = (rate_function(log_p, reward, x + shift) for shift in (-step, 0.0, step))
        t = slope_at(log_p, reward, x)
        tilted = leaning(log_p, reward, t)
        np.testing.assert_allclose((high - low) / (2 * step), t, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose((high - 2 * middle + low) / step**2, 1 / variance(tilted, reward), rtol=2e-3)
    mean = expectation(log_p, reward)
    np.testing.assert_allclose(rate_function(log_p, reward, mean), 0, rtol=0, atol=1e-12)


def test_a_constant_reward_has_no_curve_for_a_rate():
    constant = np.log([0.4, 0.6]), np.array([2.0, 2.0])
    assert float(rate_function(*constant, 2.0)) == 0
    assert math.isinf(float(rate_function(*constant, 2.0 + 1e-6)))


def test_near_the_mean_the_rate_is_the_normal_laws():
    log_p, reward = draw_letters(8)
    mean, spread = expectation(log_p, reward), variance(log_p, reward)
    off = [rate_function(log_p, reward, mean + s) / (s**2 / (2 * spread)) - 1 for s in (0.02, 0.002)]
    assert np.max(np.abs(off[1])) < 0.03
    assert np.median(off[1] / off[0]) == pytest.approx(0.1, abs=0.01)  # in proportion to the distance
    steps = np.log([0.3, 0.7]), np.array([1.0, 0.0])
    assert abs(float(rate_function(*steps, 0.0)) / (0.09 / 0.42) - 1) > 0.5  # far from it, it is not


# Cramér's theorem


def test_the_sandwich_of_cramers_theorem_at_every_length():
    log_p, reward = draw_letters(9)
    tight = 0
    for length, share, step in itertools.product((4, 25, 70), (0.0, 0.2, 0.6), (0.05, 0.15, 0.3)):
        x, above = between(log_p, reward, share), between(log_p, reward, share + step)
        t = slope_at(log_p, reward, above)
        spread = variance(leaning(log_p, reward, t), reward)
        sure = 1 - spread / (length * (above - x) ** 2)
        tail = log_tail(log_p, reward, length, x)
        upper = -length * rate_function(log_p, reward, x)
        lower = np.log(np.maximum(sure, 1e-300)) - length * (rate_function(log_p, reward, above) + t * (above - x))
        assert np.all(lower <= tail + 1e-9)
        assert np.all(tail <= upper + 1e-9)
        tight += np.sum(sure > 0)
    assert tight > 100  # the bound is not void throughout


def test_cramers_limit_at_the_edges():
    log_p, reward = draw_letters(10)
    for length in (1, 7, 60):
        at_top = log_tail(log_p, reward, length, np.ones(INSTANCES))
        np.testing.assert_allclose(at_top, -length * rate_function(log_p, reward, 1.0), rtol=1e-10)  # exactly
        assert np.all(np.isneginf(log_tail(log_p, reward, length, 1.01 * np.ones(INSTANCES))))
    at_mean = log_tail(log_p, reward, 160, expectation(log_p, reward)) / 160
    assert np.all(np.abs(at_mean) < 0.02)
    below = between(log_p, reward, -0.4)
    assert np.all(log_tail(log_p, reward, 160, below)[below > 0] > -0.2)  # nearly sure, though the rate is positive


def test_cramers_limit_off_a_lattice_on_both_sides():
    log_p, reward = draw_letters(11)
    mean = expectation(log_p, reward)
    for sign, x in ((1, mean + 0.5 * (1 - mean)), (-1, 0.5 * mean)):
        rate = rate_function(log_p, reward, x)
        off = [-log_tail(log_p, reward, n, x, sign) / n - rate for n in (20, 160)]
        assert np.all(off[1] > 0)
        assert np.median(off[1] / off[0]) < 0.3  # of order log n/n


# Local limits, and Bahadur and Rao's estimate


def test_local_limits_on_a_lattice():
    rng = np.random.default_rng(12)
    p, shift = rng.uniform(0.1, 0.9, INSTANCES), rng.integers(-2, 3, INSTANCES)
    off = []
    for n in (100, 1600):
        k = np.round(n * p) + shift
        off.append(math.sqrt(n) * binom.pmf(k, n, k / n) * np.sqrt(2 * math.pi * k / n * (1 - k / n)) - 1)
    assert np.max(np.abs(off[1])) < 2e-3
    assert np.median(np.abs(off[1] / off[0])) < 0.1  # of order 1/n


def test_local_limits_off_a_lattice():
    """Chances of intervals under the tilt of mean x, over all totals; cells of several widths, at several places."""
    log_p, reward = draw_letters(13, letters=4, count=50)
    x = 0.5 * np.ones(50)
    tilted = leaning(log_p, reward, slope_at(log_p, reward, x))
    spread = np.sqrt(variance(tilted, reward))
    off = []
    for n in (15, 60):
        found = finite_length(tilted, reward, n, 0.0)
        gap = found.total - n * x[:, None]
        chance = np.exp(found.ref_log_p)
        for start, width in ((-0.3, 0.5), (0.0, 1.0), (0.4, 0.4)):
            cell = np.sum(np.where((gap >= start) & (gap < start + width), chance, 0.0), axis=-1)
            off.append(math.sqrt(n) * cell * spread * math.sqrt(2 * math.pi) / width - 1)
    assert np.median(np.abs(off[3:])) < 0.1
    assert np.median(np.abs(off[3:])) < np.median(np.abs(off[:3]))


def test_bahadur_and_rao_hold_uniformly_on_a_lattice():
    """The worst of many thresholds, which change with the length; no threshold is near the mean or the end."""
    for chance in np.random.default_rng(14).uniform(0.1, 0.7, INSTANCES):
        law, reward = np.log([1 - chance, chance]), np.array([0.0, 1.0])
        worst = []
        for n in (200, 3200):
            k = np.arange(math.ceil(n * (chance + 0.08)), math.floor(n * (0.92 + 0.08 * chance)))
            masses = finite_length(law, reward, n, 0.0).ref_log_p  # of 0 to n right ones; scipy's tail underflows
            exact = np.logaddexp.accumulate(masses[::-1])[::-1][k]
            worst.append(np.max(np.abs(bahadur_rao(law, reward, n, k / n, 1.0) - exact)))
        assert worst[1] < 0.05
        assert worst[1] < 0.15 * worst[0]  # of order 1/n


def test_bahadur_and_rao_at_a_threshold_between_two_totals_take_the_next():
    for chance in np.random.default_rng(15).uniform(0.1, 0.6, INSTANCES):
        law, reward = np.log([1 - chance, chance]), np.array([0.0, 1.0])
        k = math.ceil(400 * (chance + 0.1)) + 0.5  # half way from one total to the next
        exact = binom.logsf(math.ceil(k) - 1, 400, chance)
        assert abs(float(bahadur_rao(law, reward, 400, math.ceil(k) / 400, 1.0)) - exact) < 0.05
        assert abs(float(bahadur_rao(law, reward, 400, k / 400, 1.0)) - exact) > 0.05


def test_at_the_largest_reward_bahadur_and_rao_have_no_estimate():
    log_p, reward = draw_letters(16)
    for x in (np.ones(INSTANCES), expectation(log_p, reward), between(log_p, reward, -0.2)):
        assert np.all(np.isnan(bahadur_rao(log_p, reward, 50, x)))


# The typical best


def test_the_typical_best_of_the_draws():
    rng = np.random.default_rng(17)
    for _ in range(INSTANCES):
        p, n = rng.uniform(0.1, 0.8), int(rng.integers(20, 2000))
        law, reward = np.log([1 - p, p]), np.array([0.0, 1.0])
        rate = -math.log(p) * rng.uniform(0.1, 0.9)
        draws = math.ceil(math.exp(min(n * rate, 600.0)))
        effective = math.log(draws) / n
        best = float(aligned_letter(law, reward, effective).reward)
        high, low = math.ceil(n * (best + 0.05 * (1 - best))), math.ceil(n * (best - 0.05 * (best - p)))
        tail_high, tail_low = binom.sf(high - 1, n, p), binom.sf(low - 1, n, p)
        reaches = -math.expm1(draws * math.log1p(-tail_high))
        assert reaches <= draws * math.exp(-n * float(rate_function(law, reward, high / n))) * (1 + 1e-9)
        misses = math.exp(draws * math.log1p(-tail_low)) if tail_low < 1 else 0.0
        assert misses <= math.exp(-draws * tail_low) * (1 + 1e-9)


def test_the_best_comes_to_the_aligned_letters_mean_and_fixed_draws_do_not():
    log_p, reward = draw_letters(18)
    rate = 0.5 * -log_p[:, -1]
    top = aligned_letter(log_p, reward, rate).reward
    off = [finite_length(log_p, reward, n, rate).best_of_n.reward / n - top for n in (20, 160)]
    assert np.median(np.abs(off[1] / off[0])) < 0.4
    assert np.max(np.abs(off[1])) < 0.05
    fixed = finite_length(log_p, reward, 160, math.log(16) / 160).best_of_n.reward / 160  # 16 draws at any length
    assert np.median(top - fixed) > 0.1


def test_the_kl_divergence_of_the_best_lies_between_the_rate_of_its_mean_and_that_of_its_draws():
    log_p, reward = draw_letters(29)
    rate = np.random.default_rng(30).uniform(0.1, 0.9, INSTANCES) * -log_p[:, -1]
    off = []
    for n in (1, 5, 20, 160):
        best = finite_length(log_p, reward, n, rate).best_of_n
        assert np.all(best.kl / n <= rate + 1e-9)
        assert np.all(best.kl / n >= rate_function(log_p, reward, best.reward / n) - 1e-9)
        off.append(rate - best.kl / n)
    assert np.max(off[-1]) < 0.02
    assert np.median(off[-1] / off[-2]) < 0.3


# Cumulants and rate of the tilt


def test_only_for_a_tilt_by_the_reward_is_the_rate_the_references_less_a_line():
    log_p, reward = draw_letters(19)
    letter = aligned_letter(log_p, reward, 0.5 * -log_p[:, -1])
    other = normalized(letter.log_p + np.array([0.0, 0.3, 0.0]))  # no tilt of the reference
    x, best = 0.7 * np.ones(INSTANCES), expectation(other, reward)
    a = slope_at(log_p, reward, best)
    line = rate_function(log_p, reward, x) - kl_divergence(other, log_p) - a * (x - best)
    assert np.median(np.abs(rate_function(other, reward, x) - line)) > 1e-4


def test_every_laws_log_mgf_is_a_renyi_cross_entropy_and_at_zero_both_vanish():
    log_p, log_q = draw_letters(20)[0], normalized(np.random.default_rng(21).standard_normal((INSTANCES, 3)))
    for order in (-2.0, -0.5, 1e-6, 1.0, 3.0):
        renyi = -order * renyi_cross_entropy(log_p, log_q, 1 + order)
        np.testing.assert_allclose(log_mgf(log_p, log_q, order), renyi, rtol=1e-9, atol=1e-12)
    assert np.all(log_mgf(log_p, log_q, 0.0) == 0)


# Cumulants of best-of-N


def test_bounds_on_the_cumulants_of_best_of_n_at_every_length():
    log_p, reward = draw_letters(22)
    rate = np.random.default_rng(23).uniform(0.1, 0.9, INSTANCES) * -log_p[:, -1]
    letter = aligned_letter(log_p, reward, rate)
    for n in (1, 2, 10, 50):
        found = finite_length(log_p, reward, n, rate)
        for share in (0.0, 0.3, 0.7, 1.0):
            order = share / letter.beta
            _, best = found.scaled_cumulants(order)
            assert np.all(best <= order * letter.reward + 1e-9)
        for order in (-2.0, -0.5, 0.5, 2.0, 8.0):
            _, best = found.scaled_cumulants(order)
            assert np.all(best <= rate + log_mgf(log_p, reward, order) + 1e-9)


def test_cumulants_of_best_of_n_off_a_lattice_tend_to_their_limits():
    log_p, reward = draw_letters(24)
    rate = 0.4 * -log_p[:, -1]
    limit, a = limits(log_p, reward, rate), 1 / aligned_letter(log_p, reward, rate).beta
    for share in (-1.0, 0.5, 1.5, 3.0):
        off = [
            finite_length(log_p, reward, n, rate).scaled_cumulants(share * a)[1] - limit.best_of_n_cumulant(share * a)
            for n in (20, 160)
        ]
        assert np.max(np.abs(off[1]) / a) < 0.1
        assert np.median(np.abs(off[1])) < 0.4 * np.median(np.abs(off[0])) + 1e-9


def test_beyond_the_bend_the_unscaled_cumulants_meet_their_limit():
    """The proof gives more than the theorem says: without dividing by n the difference vanishes beyond a."""
    for seed in range(INSTANCES):
        p = np.random.default_rng(seed).uniform(0.1, 0.6)
        law, reward = np.log([1 - p, p]), np.array([0.0, 1.0])
        rate = -math.log(p) * 0.3
        a = 1 / float(aligned_letter(law, reward, rate).beta)
        found = finite_length(law, reward, 2000, rate).scaled_cumulants(2 * a)[1]
        assert abs(2000 * (found - rate - log_mgf(law, reward, 2 * a))) < 1e-3


def test_with_one_draw_the_cumulants_are_the_references_and_not_straight():
    log_p, reward = draw_letters(25)
    for order in (-2.0, -1.0):
        for n in (5, 80):
            _, best = finite_length(log_p, reward, n, 0.0).scaled_cumulants(order)
            np.testing.assert_allclose(best, log_mgf(log_p, reward, order), rtol=1e-9, atol=1e-12)
        above = best - order * expectation(log_p, reward)
        assert np.all(above > 0)
        assert np.median(above) > 0.05


def test_the_distance_of_the_cumulants_grows_on_both_sides_of_zero():
    log_p, reward = draw_letters(26)
    rate = 0.5 * -log_p[:, -1]
    limit = limits(log_p, reward, rate)
    a, top = 1 / limit.letter.beta, limit.letter.reward
    orders = np.array([-40.0, -10, -3, -1, -0.2, 0.0, 0.2, 1, 3, 10, 40])
    gaps = np.stack([limit.tilt_cumulant(order) - limit.best_of_n_cumulant(order) for order in orders])
    assert np.all(np.diff(gaps[:6], axis=0) < 0)
    assert np.all(np.diff(gaps[5:], axis=0) > -1e-12)
    assert np.all(gaps[6:] > 0)
    far = limit.tilt_cumulant(400.0) - limit.best_of_n_cumulant(400.0)
    np.testing.assert_allclose(far, a * (1 - top), rtol=1e-6)
    low = limit.tilt_cumulant(-400.0) - limit.best_of_n_cumulant(-400.0)
    assert np.all(low > 0.9 * 400 * top - 20)  # without bound: it falls with the slope r_- - x*


# Break it: one jump


def total_tail(chances, n, threshold):
    """P(sum of n rewards >= threshold) for rewards 1, 2, ... with these chances, by repeated squaring."""
    size = math.ceil(threshold)
    law = np.concatenate([[0.0], chances, np.zeros(size)])[:size]
    total, power = np.eye(1, size)[0], law
    while n:
        if n % 2:
            total = np.convolve(total, power)[:size]
        power, n = np.convolve(power, power)[:size], n // 2
    return 1 - total.sum()


def test_without_a_log_mgf_one_jump_beats_every_rate():
    for power in np.random.default_rng(27).uniform(2.2, 4.0, 50):
        size = np.arange(1.0, 40_000)
        chances = size**-power - (size + 1) ** -power  # P(r >= k) = k^-power: no exponential moment
        mean = np.sum(size**-power)
        rates = []
        for n in (20, 80, 320):
            tail = total_tail(chances, n, n * (mean + 1))
            assert tail >= (1 - 1e-9) * math.ceil(n * (mean + 1)) ** -power  # one letter is enough
            rates.append(-math.log(tail) / n)
        assert rates[1] < 0.6 * rates[0]  # like log n/n: no positive rate bounds it
        assert rates[2] < 0.5 * rates[1]


def test_with_a_log_mgf_the_same_threshold_has_a_rate():
    size = np.arange(1.0, 200)
    for ratio in np.random.default_rng(28).uniform(0.2, 0.6, 50):
        chances = (1 - ratio) * ratio ** (size - 1)  # geometric
        mean = 1 / (1 - ratio)
        rates = [-math.log(total_tail(chances, n, n * (mean + 1))) / n for n in (10, 40)]
        cut = rate_function(normalized(np.log(chances)), size, mean + 1)
        assert rates[1] > float(cut) - 1e-9
        assert rates[1] > 0.3 * rates[0]
