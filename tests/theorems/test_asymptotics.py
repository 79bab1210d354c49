"""The statements of Part III on long answers, on random instances, at the edges, and without an assumption.

The second opinion: all sequences one by one, scipy's binomial and normal laws, quadratures on the normal scale, plain
numpy. A limit is met when the distance from it falls as the theorem's next term says; each such rate is stated.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import binom
from strategies import normalized

from alignbook.asymptotics import (
    aligned_letter,
    bahadur_rao,
    finite_length,
    fixed_n_limits,
    lattice_gap,
    limits,
    log_mgf,
    rate_function,
    refined_gap,
    scaled_cumulant,
)
from alignbook.best_of_n import kl_upper_bound
from alignbook.information import cross_entropy, expectation, kl_divergence, renyi_cross_entropy, variance
from alignbook.tilting import tilt, tilt_to_kl

INSTANCES = 60
EULER = 0.5772156649015329


def binary(seed, count=INSTANCES):
    """Letters 0 and 1 of uneven chances, their own rewards, at a fifth to four fifths of the largest rate."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 0.9, count)
    return np.log(np.stack([1 - p, p], axis=-1)), np.array([0.0, 1.0]), -np.log(p) * rng.uniform(0.2, 0.8, count)


def ternary(seed, count=INSTANCES):
    """Letters of three rewards on no lattice, at rates that leave the largest reward rare."""
    rng = np.random.default_rng(seed)
    log_p = normalized(0.5 * rng.standard_normal((count, 3)))
    reward = np.stack([np.zeros(count), rng.uniform(0.3, 0.7, count), np.ones(count)], axis=-1)
    return log_p, reward, rng.uniform(0.05, 0.2, count)


def smaller_by(factor, near, far):
    """Whether a distance from a limit has fallen by the factor, up to half of it."""
    return np.median(np.abs(far) / np.maximum(np.abs(near), 1e-300)) < factor


# The optimum of n letters, and what large deviations say of it


def sequences(log_p, reward, length):
    """The log-law and the total of every sequence."""
    indices = np.array(list(itertools.product(range(log_p.shape[-1]), repeat=length)))
    return log_p[..., indices].sum(-1), reward[..., indices].sum(-1)


def test_the_optimum_of_n_letters_is_the_product_of_aligned_letters():
    log_p, reward, rate = ternary(0)
    law, total = sequences(log_p, reward, 4)
    optimum = tilt_to_kl(law, total, 4 * rate)
    letter = aligned_letter(log_p, reward, rate)
    np.testing.assert_allclose(optimum.log_p, sequences(letter.log_p, reward, 4)[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(optimum.reward, 4 * letter.reward, rtol=1e-11)


def test_with_letters_of_two_kinds_the_optimum_is_no_product_of_equals():
    ref, reward = np.log([0.5, 0.5]), np.array([0.0, 1.0])
    law = (ref[:, None] + ref).reshape(-1)
    total = (3 * reward[:, None] + reward).reshape(-1)  # the first letter counts three times
    optimum = np.exp(tilt_to_kl(law, total, 0.2).log_p).reshape(2, 2)
    assert abs(optimum.sum(0)[1] - optimum.sum(1)[1]) > 0.1


def test_the_reward_a_letter_is_minus_a_cross_entropy():
    log_p, log_q, rate = ternary(1)
    log_q = normalized(log_q)  # any reward of the form log q
    letter = aligned_letter(log_p, log_q, rate)
    np.testing.assert_allclose(letter.reward, -cross_entropy(letter.log_p, log_q), rtol=1e-12)
    off = [
        finite_length(log_p, log_q, n, rate).best_of_n.reward / n + cross_entropy(letter.log_p, log_q)
        for n in (30, 120)
    ]
    assert np.all(np.abs(off[1]) < np.log(120) / 120 * (1 + letter.beta))
    assert smaller_by(0.5, *off)  # of order log n/n: 4 times as long is 3 times as near


def test_the_cumulants_of_the_tilt_are_renyi_cross_entropies():
    log_p, log_q, rate = ternary(2)
    log_q = normalized(log_q)
    letter = aligned_letter(log_p, log_q, rate)
    for order in (-2.0, -0.5, 0.0, 0.7, 2.0):
        cumulant = scaled_cumulant(letter.log_p, log_q, order)
        a = 1 / letter.beta
        expected = log_mgf(log_p, log_q, a + order) - log_mgf(log_p, log_q, a)
        np.testing.assert_allclose(cumulant, expected, rtol=1e-10, atol=1e-12)
        renyi = -order * renyi_cross_entropy(letter.log_p, log_q, 1 + order)
        np.testing.assert_allclose(cumulant, renyi, rtol=1e-12, atol=1e-13)
        law, total = sequences(letter.log_p, log_q, 5)
        whole = np.log(np.sum(np.exp(law + order * total), axis=-1)) / 5
        np.testing.assert_allclose(cumulant, whole, rtol=1e-12, atol=1e-13)


def test_the_rate_of_the_tilt_is_the_references_less_a_line():
    log_p, reward, rate = ternary(3)
    letter = aligned_letter(log_p, reward, rate)
    a = 1 / letter.beta
    for share in (0.02, 0.3, 0.6, 0.98):
        x = share * np.ones(INSTANCES)
        line = rate_function(log_p, reward, x) - rate - a * (x - letter.reward)
        found = rate_function(letter.log_p, reward, x)
        np.testing.assert_allclose(found, line, rtol=0, atol=1e-10)
    for other in (0.01, 0.4):  # and it is the divergence between two tilts
        at = tilt_to_kl(log_p, reward, other)
        found = rate_function(letter.log_p, reward, at.reward)
        np.testing.assert_allclose(found, kl_divergence(at.log_p, letter.log_p), rtol=1e-8, atol=1e-12)


def test_cramers_theorem():
    log_p, reward, _ = binary(4)
    p = np.exp(log_p[:, 1])
    for sign, tail in ((1, lambda k, n: binom.logsf(k - 1, n, p)), (-1, lambda k, n: binom.logcdf(k, n, p))):
        off = []
        for n in (100, 400):
            k = np.round(n * np.clip(p + sign * 0.08, 0.02, 0.98))
            off.append(-tail(k, n) / n - rate_function(log_p, reward, k / n))
        assert np.all(off[1] > 0)  # Chernoff's bound, at every length
        assert np.all(off[1] < math.log(400 * 8) / 400)
        assert smaller_by(0.5, *off)


def test_without_a_log_mgf_no_rate_bounds_the_tail():
    # a reward of heavy tails, cut at ever larger values: the rate at a fixed x falls to 0
    rates = []
    for size in (10**2, 10**3, 10**4):
        values = np.arange(1.0, size)
        rates.append(float(rate_function(normalized(-3 * np.log(values)), values, 3.0)))
    assert rates[0] > 5 * rates[1] > 25 * rates[2] > 0


def test_the_tail_of_bahadur_and_rao_needs_the_lattice_factor():
    log_p, reward, _ = binary(5)
    p = np.exp(log_p[:, 1])
    off, without = [], []
    for n in (400, 1600):
        k = np.round(n * (p + 0.06))
        exact = binom.logsf(k - 1, n, p)
        off.append(bahadur_rao(log_p, reward, n, k / n, 1.0) - exact)
        without.append(bahadur_rao(log_p, reward, n, k / n) - exact)
    assert np.all(np.abs(off[1]) < 0.15)
    assert smaller_by(0.35, *off)  # of order 1/n
    assert not smaller_by(0.9, *without)  # a factor is missing, however long
    assert np.median(np.abs(without[1])) > 0.05


def test_off_a_lattice_the_tail_has_no_factor():
    log_p, reward, _ = ternary(6)
    off = []
    for n in (40, 160):
        found = finite_length(log_p, reward, n, 0.0)
        x = expectation(log_p, reward) + 0.1
        tail = np.log(np.sum(np.where(found.total >= n * x[:, None], np.exp(found.ref_log_p), 0), axis=-1))
        off.append(bahadur_rao(log_p, reward, n, x) - tail)
    assert np.median(np.abs(off[1])) < 0.1
    assert np.median(np.abs(off[1])) < np.median(np.abs(off[0]))


# Best-of-N in the limit


def test_the_identity_ties_the_gap_to_reward_and_kl():
    log_p, reward, rate = ternary(7)
    for n in (1, 10, 60):
        found = finite_length(log_p, reward, n, rate)
        a = 1 / found.letter.beta
        lost = found.tilt.reward - found.best_of_n.reward
        gap = found.best_of_n.kl - found.tilt.kl + a * lost
        np.testing.assert_allclose(found.kl_best_of_n_to_tilt, gap, rtol=1e-9, atol=1e-9)


def test_best_of_n_meets_the_tilt_letter_by_letter():
    log_p, reward, rate = binary(8)
    found = [finite_length(log_p, reward, n, rate) for n in (200, 2000)]
    x = found[0].letter.reward
    reward_off = [f.best_of_n.reward / f.length - x for f in found]
    kl_off = [f.best_of_n.kl / f.length - rate for f in found]
    gap = [f.kl_best_of_n_to_tilt / f.length for f in found]
    for off in (reward_off, kl_off, gap):
        assert smaller_by(0.2, *off)  # of order log n/n and 1/n
        assert np.max(np.abs(off[1])) < 0.02


def test_at_a_fixed_number_of_draws_they_do_not_meet():
    log_p, reward, _ = binary(9)
    gaps = []
    for n in (400, 6400):
        found = finite_length(log_p, reward, n, math.log(64) / n)
        kl_rate = found.best_of_n.kl / n
        tilt_at_kl = aligned_letter(log_p, reward, kl_rate)
        gaps.append((n * tilt_at_kl.reward - found.best_of_n.reward) / tilt_at_kl.beta)  # the identity at equal KL
    assert np.all(gaps[1] > 0.3)


def test_fixed_n_limits_of_gain_and_divergence():
    log_p, reward, _ = binary(10)
    for n, ratio in ((2, 0.908), (4, 0.9125), (16, 0.922), (64, 0.930), (256, 0.937)):
        limit = fixed_n_limits(n)
        assert float(limit.gain_ratio) == pytest.approx(ratio, abs=5e-4)
        off = []
        for length in (1000, 16_000):
            found = finite_length(log_p, reward, length, math.log(n) / length)
            at_kl = aligned_letter(log_p, reward, found.best_of_n.kl / length)
            mean = expectation(log_p, reward)
            gain = (found.best_of_n.reward / length - mean) / (at_kl.reward - mean)
            gap = (length * at_kl.reward - found.best_of_n.reward) / at_kl.beta
            spread = found.best_of_n.variance / (length * at_kl.variance)
            off.append(np.stack([gain - limit.gain_ratio, gap - limit.divergence, spread - limit.variance_ratio]))
        assert np.max(np.abs(off[1])) < 0.06
        assert smaller_by(0.5, *off)  # of order 1/sqrt(n): a sixteenfold length is four times as near
    assert float(fixed_n_limits(64).variance_ratio) == pytest.approx(0.20, abs=5e-3)


# What stays between them


def gaussian_best_of_n(n, rate):
    """Gap, lost reward, KL and variance for letters of standard normal reward, by quadrature over the total."""
    log_n, a = n * rate, math.sqrt(2 * rate)
    z = np.linspace(-45, 45, 900_001) / max(a * math.sqrt(n), 1.0) + a * math.sqrt(n)
    log_beaten = log_n + log_ndtr(-z)  # log of N P(draw > z)
    log_below = np.where(
        z > 6, -np.exp(np.minimum(log_beaten, 700)), np.exp(log_n) * log_ndtr(z) if log_n < 700 else -np.inf
    )
    log_normal = -(z**2) / 2 - math.log(2 * math.pi) / 2
    density = np.exp(log_n + log_normal + log_below)
    density /= np.sum(density)  # rounding of exponents near n times the rate

    def mean_of(values):
        return np.sum(np.where(density > 0, density * values, 0))

    mean = mean_of(z)
    log_ratio = log_n + log_below  # to the reference
    to_tilt = log_ratio - (a * math.sqrt(n) * z - n * rate)
    return (
        mean_of(to_tilt),
        mean_of(a * math.sqrt(n) - z) * math.sqrt(n),
        mean_of(log_ratio),
        n * mean_of((z - mean) ** 2),
    )


def test_the_refined_gap_of_gaussian_letters():
    rng = np.random.default_rng(11)
    for _ in range(INSTANCES):
        rate, n = rng.uniform(0.1, 1.0), int(10 ** rng.uniform(3, 5))
        a = math.sqrt(2 * rate)
        gap, lost, kl, spread = gaussian_best_of_n(n, rate)
        expected = float(refined_gap(n, 1.0, 1 / a))
        slack = 3 * (1 + expected) ** 2 / (n * rate)
        assert gap == pytest.approx(expected, abs=slack)
        assert lost == pytest.approx((expected + 1) / a, abs=slack / a)
        assert kl == pytest.approx(n * rate - 1, abs=slack)
        assert spread == pytest.approx(math.pi**2 / (6 * a**2), rel=slack)


def test_the_refined_gap_off_a_lattice():
    log_p, reward, rate = ternary(12)
    off = []
    for n in (40, 160):
        found = finite_length(log_p, reward, n, rate)
        expected = refined_gap(n, found.letter.variance, found.letter.beta)
        off.append(found.kl_best_of_n_to_tilt - expected)
    assert np.nanmedian(np.abs(off[1])) < 0.15
    assert np.nanmedian(np.abs(off[1])) < 0.6 * np.nanmedian(np.abs(off[0]))


def lattice_offsets(found):
    return -(found.length * found.letter.reward) % 1.0


def test_the_lattice_gap_of_binary_letters():
    off, smooth = [], []
    for n in (2000, 20_000):
        log_p, reward, rate = binary(13)
        found = finite_length(log_p, reward, n, rate)
        letter = found.letter
        gap = found.kl_best_of_n_to_tilt
        off.append(gap - lattice_gap(n, letter.variance, letter.beta, 1.0, lattice_offsets(found)))
        smooth.append(gap - refined_gap(n, letter.variance, letter.beta))
    assert np.max(np.abs(off[1])) < 0.02
    assert smaller_by(0.2, *off)  # of order 1/n, with logarithms
    assert np.median(np.abs(smooth[1])) > 0.05  # on a lattice the smooth formula keeps an error
    assert not smaller_by(0.5, *smooth)


def test_as_the_span_falls_the_lattice_gap_is_the_refined_gap():
    rng = np.random.default_rng(14)
    n, v, beta = 10.0 ** rng.uniform(3, 6, INSTANCES), rng.uniform(0.1, 2, INSTANCES), rng.uniform(0.3, 3, INSTANCES)
    smooth = refined_gap(n, v, beta)
    for span, slack in ((1.0, 2.0), (0.1, 0.01), (0.01, 1e-4), (0.001, 1e-6)):
        np.testing.assert_allclose(
            lattice_gap(n, v, beta, span, rng.random(INSTANCES) * span), smooth, rtol=0, atol=slack
        )


# What the equivalence does not say


def test_the_rewards_variance_is_of_another_order():
    log_p, reward, rate = ternary(15)
    off = []
    for n in (40, 160):
        found = finite_length(log_p, reward, n, rate)
        np.testing.assert_allclose(found.tilt.variance, n * variance(found.letter.log_p, reward), rtol=1e-10)
        off.append(found.best_of_n.variance / limits(log_p, reward, rate).best_of_n_variance - 1)
    assert np.median(np.abs(off[1])) < 0.3
    assert smaller_by(0.7, *off)
    on_lattice = finite_length(*binary(16)[:2], 20_000, binary(16)[2]).best_of_n.variance
    assert np.median(np.abs(on_lattice / limits(*binary(16)).best_of_n_variance - 1)) > 0.02


def test_cumulants_touch_only_at_zero():
    log_p, reward, rate = ternary(17)
    found = limits(log_p, reward, rate)
    a = 1 / found.letter.beta
    for order in np.array([-2, -1, -0.3, -0.01, 0.01, 0.3, 1, 2.0]):
        above = found.tilt_cumulant(order) - found.best_of_n_cumulant(order)
        assert np.all(above > 1e-6 * order**2)
    assert np.all(found.tilt_cumulant(0.0) == 0)
    assert np.all(found.best_of_n_cumulant(0.0) == 0)
    step = 1e-5
    for cumulant in (found.tilt_cumulant, found.best_of_n_cumulant):  # with one tangent: the same mean
        slope = (cumulant(step) - cumulant(-step)) / (2 * step)
        np.testing.assert_allclose(slope, found.reward, rtol=1e-6)
    for share in (-3.0, 0.5, 0.999):  # straight up to a
        np.testing.assert_allclose(found.best_of_n_cumulant(share * a), share * a * found.reward, rtol=1e-12)
    bend = found.best_of_n_cumulant(a * (1 + 1e-9)) - a * found.reward
    np.testing.assert_allclose(bend, 0, rtol=0, atol=1e-6)


def test_with_a_constant_reward_the_cumulants_agree_everywhere():
    found = limits(np.log([0.5, 0.5]), np.array([1.0, 1.0]), 0.0)
    for order in (-1.0, 0.5, 2.0):
        assert float(found.tilt_cumulant(order)) == pytest.approx(float(found.best_of_n_cumulant(order)), abs=1e-12)


def test_scaled_cumulants_tend_to_their_limits():
    log_p, reward, rate = binary(18)
    limit = limits(log_p, reward, rate)
    for order in (-0.5, 0.5, 1.0, 2.0):
        off = []
        for n in (500, 4000):
            tilted, best = finite_length(log_p, reward, n, rate).scaled_cumulants(order)
            np.testing.assert_allclose(tilted, limit.tilt_cumulant(order), rtol=1e-8, atol=1e-10)
            off.append(best - limit.best_of_n_cumulant(order))
        assert np.max(np.abs(off[1])) < 0.02
        assert smaller_by(0.35, *off)


def test_the_upper_tail_falls_as_the_reference_and_the_lower_doubly():
    n = 4000
    log_p, reward, rate = binary(19)
    found = finite_length(log_p, reward, n, rate)
    x = found.letter.reward
    for i in range(INSTANCES):
        up, down = round(n * (0.7 * x[i] + 0.3)), round(n * (0.9 * x[i] + 0.1 * np.exp(log_p[i, 1])))
        best, law = found.best_of_n_log_p[i], log_p[i]
        top = np.max(best[up:])  # the largest of n terms
        expected = float(rate_function(law, reward, up / n)) - rate[i]
        assert -top / n == pytest.approx(expected, abs=2 * math.log(n) / n)
        log_masses = binom.logpmf(np.arange(down + 1, n + 1), n, math.exp(law[1]))
        log_beaten = n * rate[i] + np.logaddexp.reduce(log_masses)
        growth = rate[i] - float(rate_function(law, reward, (down + 1) / n))
        assert log_beaten / n == pytest.approx(growth, abs=2 * math.log(n) / n)
        assert best[down] == -math.inf or -best[down] == pytest.approx(math.exp(log_beaten), rel=0.01)


def test_the_reverse_divergence_grows_exponentially():
    log_p, reward, rate = binary(20)
    limit = limits(log_p, reward, rate).log_kl_tilt_to_best_of_n
    assert np.all(limit > 0)
    off = [finite_length(log_p, reward, n, rate).log_kl_tilt_to_best_of_n / n - limit for n in (1000, 8000)]
    assert np.max(np.abs(off[1])) < 2 * math.log(8000) / 8000
    assert smaller_by(0.4, *off)


def test_the_reverse_divergence_of_nearly_gaussian_letters_grows_with_a_quarter_of_the_variance():
    rng = np.random.default_rng(21)
    values = np.linspace(-8, 8, 2001)
    for rate in rng.uniform(0.02, 0.5, INSTANCES):
        found = limits(normalized(-(values**2) / 2), values, rate)
        a = 1 / float(found.letter.beta)
        assert a == pytest.approx(math.sqrt(2 * rate), rel=1e-6)
        assert float(found.log_kl_tilt_to_best_of_n) == pytest.approx(a**2 / 4, rel=1e-5)


def test_the_kl_of_best_of_n_falls_short_of_its_bound_by_what_ties_cost():
    log_p, reward, rate = ternary(22)
    for n in (40, 160):
        found = finite_length(log_p, reward, n, rate)
        short = kl_upper_bound(log_n=n * rate) - found.best_of_n.kl
        assert np.all(short >= -1e-9)
    assert np.median(short) < 0.05  # off a lattice ties vanish: n delta - 1 is left
    log_p, reward, rate = binary(22)
    on_lattice = finite_length(log_p, reward, 800, rate).best_of_n.kl
    assert np.median(kl_upper_bound(log_n=800 * rate) - on_lattice) > 0.02


def test_at_equal_kl_the_tilt_still_pays_more_reward():
    log_p, reward, rate = ternary(23)
    for n in (2, 30):
        found = finite_length(log_p, reward, n, rate)
        at_kl = aligned_letter(log_p, reward, found.best_of_n.kl / n)
        assert np.all(n * at_kl.reward >= found.best_of_n.reward - 1e-10)
    ref = np.log([0.5, 0.5])
    one = finite_length(ref, np.array([0.0, 1.0]), 1, 0.3)  # one binary letter: best-of-N is a tilt
    same = tilt(ref, np.array([0.0, 1.0]), aligned_letter(ref, np.array([0.0, 1.0]), one.best_of_n.kl).beta)
    np.testing.assert_allclose(one.best_of_n_log_p, same, rtol=0, atol=1e-12)
