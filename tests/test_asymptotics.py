"""Vouches for the numbers of long answers: by hand, against all sequences one by one, scipy and mpmath.

What `finite_length` returns is what the sum over all sequences gives, to 1e-9; the rate function is the supremum that
it is defined as, to 1e-12 of itself.
"""

import itertools
import math
import re

import exact
import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import log_ndtr
from scipy.stats import binom
from strategies import normalized

from alignbook.asymptotics import (
    aligned_letter,
    bahadur_rao,
    finite_length,
    fixed_n_limits,
    gaussian_finite_length,
    lattice_gap,
    limits,
    log_mgf,
    rate_function,
    refined_gap,
    scaled_cumulant,
)
from alignbook.best_of_n import best_of_n
from alignbook.information import kl_divergence, variance
from alignbook.tilting import tilt_to_kl

COIN, HEADS = np.log([0.5, 0.5]), np.array([1.0, 0.0])


def letters(seed, alphabet=3, count=60):
    rng = np.random.default_rng(seed)
    return normalized(rng.standard_normal((count, alphabet))), rng.standard_normal((count, alphabet))


# By hand


def test_values_by_hand():
    assert float(log_mgf(COIN, HEADS, math.log(3))) == pytest.approx(math.log(2), rel=1e-15)
    assert float(scaled_cumulant(COIN, HEADS, -math.log(3))) == pytest.approx(math.log(2 / 3), rel=1e-15)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(rate_function(COIN, HEADS, 0.75)) == pytest.approx(math.log(2) - entropy, rel=1e-14)
    two = finite_length(COIN, HEADS, 2, math.log(2) / 2)  # two coins, two draws: totals 0, 1, 2 of masses 1, 2, 1
    assert np.exp(two.ref_log_p).tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert np.exp(two.best_of_n_log_p).tolist() == pytest.approx([1 / 16, 8 / 16, 7 / 16])
    assert float(two.best_of_n.reward) == pytest.approx(22 / 16)
    assert float(refined_gap(100, 2.0, 0.5)) == pytest.approx(math.log(2 * math.pi * 800) / 2 - 1.5772156649015329)
    assert float(fixed_n_limits(2).gain_ratio) == pytest.approx(
        1 / math.sqrt(math.pi) / math.sqrt(2 * math.log(2) - 1), rel=1e-14
    )


# The log-MGF and the rate function


def test_the_log_mgf_is_the_log_of_its_mean():
    rng = np.random.default_rng(0)
    log_p, reward = letters(0)
    t = 10.0 ** rng.uniform(-12, 1, 60) * rng.choice([-1, 1], 60)
    for law, values, each in zip(log_p, reward, t, strict=True):
        with mp.workdps(exact.DIGITS):
            expected = exact.log_mean_exp(exact.masses(law), [mpf(float(each)) * mpf(float(r)) for r in values])
        exact.assert_close(log_mgf(law, values, each), [expected], relative=4e-15, absolute=1e-16 * abs(each))


def test_the_rate_function_is_the_supremum():
    rng = np.random.default_rng(1)
    for law, values in zip(*letters(1), strict=True):
        low, high = np.min(values), np.max(values)
        x = low + (high - low) * rng.uniform(0.02, 0.98)
        found = minimize_scalar(lambda t, law=law, values=values, x=x: float(log_mgf(law, values, t)) - t * x)
        assert float(rate_function(law, values, x)) == pytest.approx(-found.fun, rel=1e-9, abs=1e-9)


def test_the_rate_near_the_mean_is_half_a_squared_distance_in_deviations():
    for law, values in zip(*letters(2), strict=True):
        p = exact.masses(law)
        mean, spread = exact.expectation(p, values), float(variance(law, values))
        x = float(mean) + 1e-6 * math.sqrt(spread)
        distance = float(mpf(x) - mean)
        assert float(rate_function(law, values, x)) == pytest.approx(distance**2 / (2 * spread), rel=1e-4)


def test_the_rate_at_the_ends_and_beyond_them():
    law, values = np.log([0.2, 0.3, 0.4, 0.1]), np.array([2.0, -1.0, 0.5, 2.0])
    rates = rate_function(law, values, np.array([-1.0, 2.0, -1.0 - 1e-15, 2.0 + 1e-15, -math.inf, math.inf]))
    assert rates[:2].tolist() == pytest.approx([-math.log(0.3), -math.log(0.3)], rel=1e-15)
    assert rates[2:].tolist() == [math.inf] * 4
    near = rate_function(law, values, 2.0 - 1e-9)
    assert float(near) == pytest.approx(-math.log(0.3), abs=1e-7)
    assert rate_function(COIN, np.array([3.0, 3.0]), np.array([3.0, 2.0])).tolist() == [0.0, math.inf]
    never = np.array([0.0, -math.inf])
    assert rate_function(never, np.array([1.0, 9.0]), np.array([1.0, 9.0])).tolist() == [0.0, math.inf]


def test_the_aligned_letter_is_the_tilt_at_the_rate():
    log_p, reward = letters(3)
    for found, expected in zip(aligned_letter(log_p, reward, 0.1), tilt_to_kl(log_p, reward, 0.1), strict=True):
        assert found.tolist() == expected.tolist()


# Any length, exactly


def by_all_sequences(log_p, reward, length, rate):
    """Every sequence on its own; totals are exact sums of decimal fractions, ties are exact."""
    p = exact.masses(log_p)
    with mp.workdps(exact.DIGITS):
        optimum = exact.tilt(p, reward, float(tilt_to_kl(log_p, reward, rate).beta))
        fractions = [round(float(r) * 10**9) for r in reward]
        mass, tilted = {}, {}
        for sequence in itertools.product(range(len(p)), repeat=length):
            total = sum(fractions[i] for i in sequence)
            mass[total] = mass.get(total, 0) + mp.fprod(p[i] for i in sequence)
            tilted[total] = tilted.get(total, 0) + mp.fprod(optimum[i] for i in sequence)
        totals, n = sorted(mass), mp.exp(length * mpf(float(rate)))
        up_to = [mpf(0), *itertools.accumulate(mass[total] for total in totals)]
        best = [b**n - a**n for a, b in itertools.pairwise(up_to)]
        ref, tilt = [mass[total] for total in totals], [tilted[total] for total in totals]
        values = [mpf(total) / 10**9 for total in totals]
        mean = mp.fsum(a * v for a, v in zip(best, values, strict=True))
        spread = mp.fsum(a * (v - mean) ** 2 for a, v in zip(best, values, strict=True))
        return mean, exact.kl(best, ref), spread, exact.kl(best, tilt), mp.log(exact.kl(tilt, best))


@pytest.mark.parametrize(("alphabet", "length"), [(2, 1), (2, 10), (3, 6), (4, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_sums_over_types_are_sums_over_all_sequences(alphabet, length, ties):
    rng = np.random.default_rng(4)
    log_p = normalized(rng.standard_normal((15, alphabet)))
    for law in log_p:
        reward = rng.permutation(alphabet) / 10 if ties else rng.integers(-(10**9), 10**9, alphabet) / 10**9
        rate = 10.0 ** rng.uniform(-2, 0)
        rate = min(rate, 0.9 * -math.log(np.sum(np.exp(law)[reward == reward.max()])))
        found = finite_length(law, reward, length, rate)
        expected = by_all_sequences(law, reward, length, rate)
        account = *found.best_of_n, found.kl_best_of_n_to_tilt, found.log_kl_tilt_to_best_of_n
        for ours, theirs in zip(account, expected, strict=True):
            assert float(ours) == pytest.approx(float(theirs), rel=1e-9, abs=1e-9)


def test_totals_that_differ_by_rounding_are_ties():
    rng = np.random.default_rng(5)
    log_p = normalized(rng.standard_normal((60, 3)))
    tenths, whole = (finite_length(log_p, np.array(r), 30, 0.1) for r in ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]))
    assert len(np.unique(tenths.total[0])) > len(np.unique(whole.total[0]))  # what rounding tells apart
    for name in ("kl_best_of_n_to_tilt", "log_kl_tilt_to_best_of_n"):
        np.testing.assert_allclose(getattr(tenths, name), getattr(whole, name), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tenths.best_of_n.kl, whole.best_of_n.kl, rtol=1e-12, atol=0)
    np.testing.assert_allclose(10 * tenths.best_of_n.reward, whole.best_of_n.reward, rtol=1e-12, atol=0)


def test_the_laws_over_types_give_the_accounts():
    log_p, reward = letters(6)
    found = finite_length(log_p, reward, 40, 0.05)
    assert np.all(np.diff(found.total, axis=-1) >= 0)
    for law, account in ((found.tilt_log_p, found.tilt), (found.best_of_n_log_p, found.best_of_n)):
        mass = np.exp(law)
        np.testing.assert_allclose(mass.sum(-1), 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose((mass * found.total).sum(-1), account.reward, rtol=1e-11, atol=1e-11)
        terms = np.where(mass > 0, mass * (law - found.ref_log_p), 0)
        np.testing.assert_allclose(terms.sum(-1), account.kl, rtol=1e-11, atol=1e-11)


def test_a_long_binary_answer_against_the_binomial_law():
    length, rate = 10**6, 0.1
    law, reward = np.log([0.3, 0.7]), np.array([1.0, 0.0])
    found = finite_length(law, reward, length, rate)
    # scipy's log-masses are good to 1e-8 here; P(best < k) = exp(-N P(draw >= k)) where these chances are tiny
    log_at_least = np.logaddexp.accumulate(binom.logpmf(np.arange(length + 1), length, 0.3)[::-1])[::-1]
    below = np.exp(-np.exp(np.minimum(length * rate + log_at_least[1:], 700)))
    assert float(found.best_of_n.reward) == pytest.approx(length - np.sum(below), abs=1e-6)


def test_no_draw_but_the_first_and_all_there_is_to_spend():
    law, reward = np.log([0.2, 0.3, 0.5]), np.array([1.0, 0.0, 2.0])
    one = finite_length(law, reward, 7, 0.0)
    assert float(one.best_of_n.kl) == pytest.approx(0, abs=1e-14)
    assert float(one.kl_best_of_n_to_tilt) == pytest.approx(0, abs=1e-14)
    assert float(one.letter.beta) == math.inf
    all_spent = finite_length(law, reward, 7, 3.0)
    assert float(all_spent.letter.beta) == 0
    assert float(all_spent.tilt.reward) == 14
    assert float(all_spent.kl_best_of_n_to_tilt) == math.inf  # best-of-N still misses now and then


def test_rates_make_a_batch():
    log_p, reward = letters(7, count=3)
    rates = np.array([[0.0], [0.01], [0.1]])
    batch = finite_length(log_p, reward, 12, rates)
    for i, j in np.ndindex(3, 3):
        one = finite_length(log_p[j], reward[j], 12, rates[i, 0])
        for ours, theirs in zip((*batch.best_of_n, batch.kl_best_of_n_to_tilt), (*one.best_of_n, one[2]), strict=True):
            assert float(ours[i, j]) == pytest.approx(float(theirs), rel=1e-12, abs=1e-12)
    orders = np.linspace(-2, 2, 5)
    assert finite_length(log_p[0], reward[0], 12, 0.1).scaled_cumulants(orders)[1].shape == (5,)


# Gaps and fixed numbers of draws


def test_the_gaps_are_void_below_their_domain():
    least = math.exp(2 * (0.5772156649015329 + 1)) / (2 * math.pi)
    assert least == pytest.approx(3.73, abs=5e-3)
    assert refined_gap(np.array([0.999, 1.001]) * least, 1.0, 1.0).tolist() == pytest.approx(
        [math.nan, 5e-4], nan_ok=True, abs=1e-6
    )
    assert math.isnan(lattice_gap(1, 0.1, 3.0, 1.0, 0.0))


def test_the_lattice_gap_is_its_formula():
    rng = np.random.default_rng(8)
    for _ in range(60):
        n, v, beta, h = 10.0 ** rng.uniform([3, -1, -1, -2], [6, 1, 1, 0.3])
        offset = rng.uniform(-3, 3)
        scale = h / math.sqrt(2 * math.pi * n * v) / (1 - math.exp(-h / beta))
        one = (math.log(scale) - offset / beta) * beta / h  # where one draw is expected
        k = np.arange(math.floor(one - 8 * beta / h) - 2, one + 60 * beta / h + 2)
        expected = scale * np.exp(-(offset + k * h) / beta)
        up_to = np.exp(-np.append(expected[1:], 0))
        mass = np.diff(up_to, prepend=0)
        entropy = -np.sum(mass[mass > 0] * np.log(mass[mass > 0]))
        gap = math.log(2 * math.pi * n * v / h**2) / 2 - entropy
        assert float(lattice_gap(n, v, beta, h, offset)) == pytest.approx(gap, abs=1e-11)


def test_fixed_n_limits_are_integrals_of_the_largest_of_n_normals():
    for n in (1.2, 2, 3, 16, 64.5, 256, 1e6):
        with mp.workdps(30):
            points = [-10, -2, 0, 2, 4, 6, 12]
            density = [lambda z, k=k, n=n: z**k * n * mp.npdf(z) * mp.ncdf(z) ** (n - 1) for k in (1, 2)]
            moments = [mp.quad(one, points) for one in density]
            root = mp.sqrt(2 * (mp.log(n) - (mpf(n) - 1) / n))
            expected = [moments[0] / root, root * (root - moments[0]), moments[1] - moments[0] ** 2]
            exact.assert_close(fixed_n_limits(n), expected, relative=1e-11)
    assert np.isnan(fixed_n_limits(1).gain_ratio)
    huge = fixed_n_limits(1e300)
    z = np.linspace(30, 45, 200_001)
    survival = -np.expm1(-np.exp(300 * math.log(10) + log_ndtr(-z)))
    assert float(huge.gain_ratio) * math.sqrt(2 * (300 * math.log(10) - 1)) == pytest.approx(
        30 + np.sum((survival[1:] + survival[:-1]) / 2) * (z[1] - z[0]), rel=1e-9
    )


def test_the_tail_of_bahadur_and_rao_is_void_where_it_says_nothing():
    assert np.isnan(bahadur_rao(COIN, HEADS, 100, np.array([0.2, 0.5, 1.0, 1.2]), 1.0)).all()
    assert float(bahadur_rao(COIN, HEADS, 100, 0.7, 1.0)) == pytest.approx(binom.logsf(69, 100, 0.5), abs=0.05)


# Bad input


# Letters of normal reward


def largest_of_normals(log_n):
    """KL to the tilt, mean beyond the tilt's and variance of the largest of N normals, by adaptive quadrature."""
    shift = math.sqrt(2 * log_n)

    def log_ratio(y):  # to the tilt, at y beyond its mean: N F^(N - 1) over e^(shift z - log N)
        z = shift + y
        log_below = -math.exp(log_n + log_ndtr(-z)) if z > 8 else math.expm1(log_n) * log_ndtr(z)
        return log_below - shift * y

    places = np.array([-24, -12, -8, -6, -4, -2, 0, 2, 4, 8, 16, 32, 60]) / max(shift, 1)

    def mean_of(value):
        def weighed(y):
            return math.exp(log_ratio(y) - y**2 / 2) / math.sqrt(2 * math.pi) * value(y)

        return math.fsum(quad(weighed, *ends, epsabs=1e-16, epsrel=1e-13)[0] for ends in itertools.pairwise(places))

    beyond = mean_of(lambda y: y)
    return mean_of(log_ratio), beyond, mean_of(lambda y: (y - beyond) ** 2), mean_of(lambda y: 1.0)


@pytest.mark.parametrize(
    ("n", "rate"), [(1, 0.001), (1, 0.3), (1.5, 0.9), (10, 0.1), (100, 0.1), (70, 0.8), (1000, 0.6)]
)
def test_letters_of_normal_reward_by_quadrature(n, rate):
    found = gaussian_finite_length(n, rate)
    gap, beyond, spread, mass = largest_of_normals(n * rate)
    assert mass == pytest.approx(1, abs=1e-12)
    shift = math.sqrt(2 * n * rate)
    assert float(found.kl_best_of_n_to_tilt) == pytest.approx(gap, rel=1e-10)
    assert float(found.best_of_n.reward) == pytest.approx(math.sqrt(n) * (shift + beyond), rel=1e-12)
    assert float(found.best_of_n.variance) == pytest.approx(n * spread, rel=1e-10)
    assert [float(part) for part in found.tilt] == pytest.approx([n * math.sqrt(2 * rate), n * rate, n], rel=1e-14)
    assert float(found.best_of_n.kl) == pytest.approx(n * rate - 1 + math.exp(-n * rate), rel=1e-13, abs=1e-15)


def test_letters_of_normal_reward_at_one_draw_and_against_a_fine_lattice():
    one = gaussian_finite_length(9, 0.0)
    assert [float(part) for part in one.best_of_n] == pytest.approx([0.0, 0.0, 9.0], abs=1e-12)
    assert float(one.kl_best_of_n_to_tilt) == 0
    values = np.linspace(-9, 9, 20_001)  # one letter, its law by sums
    law = normalized(-(values**2) / 2)
    gap = kl_divergence(best_of_n(law, values, log_n=1.2), tilt_to_kl(law, values, 1.2).log_p)
    found = gaussian_finite_length(1, 1.2)
    assert float(found.kl_best_of_n_to_tilt) == pytest.approx(float(gap), abs=1e-6)  # the square of the spacing


def test_bad_arguments():
    calls = {
        lambda: log_mgf(COIN, HEADS, math.inf): "`t` must be finite, got inf.",
        lambda: scaled_cumulant(COIN, HEADS, math.nan): "`order` must be finite, got nan.",
        lambda: rate_function(COIN, HEADS, math.nan): "`x` must be a number, got nan.",
        lambda: rate_function(COIN, np.array([0.0, -math.inf]), 0.0): "`reward` must be finite, got -inf.",
        lambda: aligned_letter(COIN, HEADS, -0.1): "`rate` must be at least 0, got -0.1.",
        lambda: limits(COIN, HEADS, -0.1): "`rate` must be at least 0, got -0.1.",
        lambda: finite_length(COIN, HEADS, 0, 0.1): "`length` must be at least 1, got 0.0.",
        lambda: finite_length(COIN, HEADS, 5, math.inf): "`rate` must be finite, got inf.",
        lambda: finite_length(COIN, HEADS, 5, 0.1).scaled_cumulants(math.inf): "`order` must be finite, got inf.",
        lambda: gaussian_finite_length(0.5, 0.1): "`length` must be at least 1, got 0.5.",
        lambda: gaussian_finite_length(5, -0.1): "`rate` must be at least 0, got -0.1.",
        lambda: gaussian_finite_length(5, math.inf): "`rate` must be finite, got inf.",
        lambda: refined_gap(0, 1.0, 1.0): "`length` must be positive, got 0.0.",
        lambda: lattice_gap(10, 1.0, 1.0, 0.0, 0.0): "`span` must be positive, got 0.0.",
        lambda: lattice_gap(10, 1.0, 1.0, 1.0, math.nan): "`offset` must be finite, got nan.",
        lambda: bahadur_rao(COIN, HEADS, 10, 0.7, -1.0): "`span` must be at least 0, got -1.0.",
        lambda: fixed_n_limits(0.5): "`n` must be at least 1, got 0.5.",
    }
    for call, sentence in calls.items():
        with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
            call()


@pytest.mark.usefixtures("shapes_unchecked")
def test_rewards_of_other_letters():
    sentence = "`log_p`, `reward` must have the same answers on the last axis, got shapes (2,) and (3,)."
    calls = [lambda f=f: f(COIN, np.zeros(3), 1.0) for f in (log_mgf, scaled_cumulant, rate_function)]
    calls += [lambda: bahadur_rao(COIN, np.zeros(3), 10, 1.0)]
    for call in calls:
        with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
            call()
