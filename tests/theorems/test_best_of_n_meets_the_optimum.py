"""The statements of Chapter 12 beyond `test_asymptotics.py`: fixed N, the law of the best total, imitation, other sums.

The second opinion: quadratures on the normal scale, scipy's laws, sums over types in plain numpy. A limit is met when
the distance from it falls as the proof says. Each statement has a twin in which an assumption is dropped.
"""

import math

import numpy as np
from scipy.integrate import quad
from scipy.special import entr, log_ndtr
from scipy.stats import gumbel_r, norm
from strategies import normalized

from alignbook.asymptotics import (
    aligned_letter,
    finite_length,
    fixed_n_limits,
    lattice_gap,
    limits,
    log_mgf,
    rate_function,
    refined_gap,
)
from alignbook.best_of_n import best_of_n, kl_upper_bound
from alignbook.information import expectation, kl_divergence, variance
from alignbook.tilting import tilt, tilt_to_kl
from alignbook.type_classes import log_class_probability, types

INSTANCES = 60
EULER = 0.5772156649015329
DRAWS = (1.5, 2.0, 4.0, 64.0, 256.0)


def ternary(seed, count=INSTANCES):
    """Letters of three rewards on no lattice, at rates that leave the largest reward rare."""
    rng = np.random.default_rng(seed)
    log_p = normalized(0.5 * rng.standard_normal((count, 3)))
    reward = np.stack([np.zeros(count), rng.uniform(0.3, 0.7, count), np.ones(count)], axis=-1)
    return log_p, reward, rng.uniform(0.05, 0.2, count)


def binary(seed, count=INSTANCES):
    """Letters 0 and 1 of uneven chances, at a fifth to four fifths of the largest rate."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 0.9, count)
    return np.log(np.stack([1 - p, p], axis=-1)), np.array([0.0, 1.0]), -np.log(p) * rng.uniform(0.2, 0.8, count)


def smaller_by(factor, near, far):
    return np.median(np.abs(far)) < factor * np.median(np.abs(near))


# N fixed


def largest_of(n, power, order=0):
    """A mean under the law of the largest of n standard normals, by quadrature."""

    def term(z):
        log_density = math.log(n) + (n - 1) * log_ndtr(z) + norm.logpdf(z)
        return math.exp(log_density) * (z**power if order == 0 else log_density - norm.logpdf(z - order))

    return quad(term, -12, 14, limit=400, epsabs=1e-12)[0]


def test_the_limits_at_fixed_n_are_those_of_the_largest_normal():
    for n in DRAWS:
        limit, root = fixed_n_limits(n), math.sqrt(2 * float(kl_upper_bound(n)))
        mean = largest_of(n, 1)
        assert abs(limit.gain_ratio - mean / root) < 1e-8
        assert abs(limit.variance_ratio - (largest_of(n, 2) - mean**2)) < 1e-8
        # the limit of the divergence is a divergence: of the largest normal from the moved one
        assert abs(limit.divergence - largest_of(n, 0, order=root)) < 1e-7
        assert limit.divergence > 0
        assert limit.gain_ratio < 1


def test_two_draws_by_hand():
    assert abs(fixed_n_limits(2).gain_ratio - 1 / math.sqrt(math.pi) / math.sqrt(2 * math.log(2) - 1)) < 1e-12


def test_a_fixed_number_of_draws_spends_its_bound_in_the_end():
    log_p, reward, _ = ternary(0)
    for n in DRAWS:
        short = []
        for length in (20, 80):
            spent = finite_length(log_p, reward, length, math.log(n) / length).best_of_n.kl
            short.append(kl_upper_bound(n) - spent)
        assert np.all(short[1] > 0)
        assert smaller_by(0.5, *short)


def test_a_fixed_number_of_draws_off_a_lattice():
    log_p, reward, _ = ternary(1)
    for n in DRAWS:
        limit, off = fixed_n_limits(n), []
        for length in (12, 100):
            found = finite_length(log_p, reward, length, math.log(n) / length)
            best = aligned_letter(log_p, reward, found.best_of_n.kl / length)
            start = length * expectation(log_p, reward)
            gain = (found.best_of_n.reward - start) / (length * best.reward - start)
            gap = (length * best.reward - found.best_of_n.reward) / best.beta
            spread = found.best_of_n.variance / (length * best.variance)
            off.append(np.stack([gain - limit.gain_ratio, gap - limit.divergence, spread - limit.variance_ratio]))
        assert smaller_by(0.6, *off)
        assert np.max(np.abs(off[1])) < 0.15


def test_without_a_central_limit_the_share_at_fixed_n_is_another():
    # one letter in as many as the answer has earns anything: totals stay a few whole numbers, however long
    for length in (1000, 16_000):
        log_p = np.log([1 - 2 / length, 2 / length])
        found = finite_length(log_p, np.array([0.0, 1.0]), length, math.log(64) / length)
        most = aligned_letter(log_p, np.array([0.0, 1.0]), found.best_of_n.kl / length)
        share = (found.best_of_n.reward - 2) / (length * most.reward - 2)
        assert abs(share - fixed_n_limits(64).gain_ratio) > 0.02
        assert found.best_of_n.kl < kl_upper_bound(64) - 0.05  # and ties stay


def test_with_draws_that_grow_the_share_tends_to_one():
    log_p, reward, rate = binary(2)
    found = finite_length(log_p, reward, 20_000, rate)
    start = 20_000 * expectation(log_p, reward)
    share = (found.best_of_n.reward - start) / (found.tilt.reward - start)
    assert np.all(share > 0.99)
    assert np.all(share < 1)


def test_as_draws_grow_the_fixed_n_gap_is_the_gaussian_gap():
    for log_n in (10.0, 40.0, 160.0):
        off = float(fixed_n_limits(math.exp(log_n)).divergence) - (math.log(4 * math.pi * log_n) / 2 - EULER - 1)
        assert abs(off) < 0.5 * math.log(log_n) ** 2 / log_n


# The law of the best total


def test_so_many_draws_come_that_far():
    # the expected number of draws at n x* + s or above, over the lemma's formula
    log_p, reward, rate = binary(3)
    off, largest = [], []
    for n in (400, 3200):
        found = finite_length(log_p, reward, n, rate)
        letter, a = found.letter, 1 / found.letter.beta
        log_draws = n * rate[:, None] + np.logaddexp.accumulate(found.ref_log_p[:, ::-1], axis=-1)[:, ::-1]
        s = found.total - n * letter.reward[:, None]
        log_factor = np.log(2 * math.pi * n * letter.variance) / 2 + np.log1p(-np.exp(-a))
        log_ratio = log_draws + a[:, None] * s + log_factor[:, None]
        off.append(np.max(np.where(np.abs(s) <= 4, np.abs(log_ratio), 0), axis=-1))
        largest.append(np.max(log_ratio, axis=-1))
    assert np.max(off[1]) < 0.25  # where the aligned letter hardly varies
    assert smaller_by(0.25, *off)
    assert np.max(largest) < 1.0  # one constant for all levels and lengths


def scaled_best(found, i):
    """Where the i-th instance's best total lies on the Gumbel scale, and its law."""
    letter, n = found.letter, found.length
    a = 1 / letter.beta[i]
    shift = 0.5 * math.log(2 * math.pi * n * letter.variance[i] * a**2)
    return a * (found.total[i] - n * letter.reward[i]) + shift, np.exp(found.best_of_n_log_p[i])


def test_off_a_lattice_the_best_total_is_gumbel():
    log_p, reward, rate = ternary(4)
    distances, means = [], []
    for n in (40, 400):
        found = finite_length(log_p[:20], reward[:20], n, rate[:20])
        for i in range(20):
            level, law = scaled_best(found, i)
            below = np.cumsum(law)
            distances.append(np.max(np.abs(below - gumbel_r.cdf(level))))
            means.append(np.sum(law * level) - EULER)
            # the domination of the proof: both tails, one constant
            above = np.maximum(1 - below, 0)
            assert np.all(above[level > 0] <= 3 * np.exp(-level[level > 0]) + 1e-12)
            low = (level < 0) & (level > -(n**0.25) / 2 / found.letter.beta[i])
            assert np.all(below[low] <= np.exp(-0.4 * np.exp(-level[low])) + 0.02)
    assert smaller_by(0.5, distances[:20], distances[20:])
    assert smaller_by(0.7, means[:20], means[20:])
    assert np.median(distances[20:]) < 0.05
    assert np.max(distances[20:]) < 0.2  # rewards 0, 0.49, 1 are nearly a lattice


def test_on_a_lattice_it_is_not_gumbel_but_k():
    log_p, reward, rate = binary(5)
    apart, gumbel, reward_off, kl_off = [], [], [], []
    for n in (2000, 32_000):
        found = finite_length(log_p, reward, n, rate)
        letter = found.letter
        for i in range(INSTANCES):
            a, v = 1 / letter.beta[i], math.sqrt(letter.variance[i])
            levels = found.total[i] - n * letter.reward[i]
            factor = 1 / (math.sqrt(2 * math.pi * n) * v * -math.expm1(-a))
            with np.errstate(over="ignore"):
                law = np.diff(np.exp(-factor * np.exp(-a * np.append(levels, levels[-1] + 1))))
            best = np.exp(found.best_of_n_log_p[i])
            apart.append(np.abs(law - best).sum() / 2)
            reward_off.append(np.sum(law * levels) - (found.best_of_n.reward[i] - n * letter.reward[i]))
            gap = np.log(2 * math.pi * n) / 2 + math.log(v) - np.sum(entr(law))
            kl_off.append(gap + a * np.sum(law * levels) - (found.best_of_n.kl[i] - n * rate[i]))
            level, _ = scaled_best(found, i)
            gumbel.append(np.max(np.abs(np.cumsum(best) - gumbel_r.cdf(np.maximum(level, -9)))))
    near, far = apart[:INSTANCES], apart[INSTANCES:]
    assert np.max(far) < 0.01
    assert smaller_by(0.2, near, far)
    assert np.max(np.abs(reward_off[INSTANCES:])) < 0.02
    assert np.max(np.abs(kl_off[INSTANCES:])) < 0.03
    assert smaller_by(0.3, kl_off[:INSTANCES], kl_off[INSTANCES:])
    assert np.median(gumbel[INSTANCES:]) > 0.05  # the lattice stays


def test_on_a_lattice_the_variance_is_that_of_k():
    log_p, reward, rate = binary(6)
    n = 32_000
    found = finite_length(log_p, reward, n, rate)
    letter, k = found.letter, np.arange(-200, 400)
    levels = np.ceil(n * letter.reward)[:, None] + k - n * letter.reward[:, None]
    a, v = 1 / letter.beta[:, None], np.sqrt(letter.variance)[:, None]
    factor = 1 / (np.sqrt(2 * math.pi * n) * v * -np.expm1(-a))
    with np.errstate(over="ignore"):
        law = np.diff(np.exp(-factor * np.exp(-a * np.append(levels, levels[:, -1:] + 1, axis=-1))))
    mean = np.sum(law * k, axis=-1, keepdims=True)
    spread = np.sum(law * (k - mean) ** 2, axis=-1)
    np.testing.assert_allclose(found.best_of_n.variance, spread, rtol=0.01)


def test_the_three_lines_of_the_gap_hang_together():
    log_p, reward, rate = ternary(7)
    off = []
    for n in (40, 160):
        found = finite_length(log_p, reward, n, rate)
        letter = found.letter
        smooth = refined_gap(n, letter.variance, letter.beta)
        lost = (found.tilt.reward - found.best_of_n.reward) / letter.beta
        off.append((lost - smooth - 1)[smooth == smooth])
        assert np.median(np.abs(found.best_of_n.kl - n * rate + 1)) < 0.05
    assert smaller_by(0.6, *off)
    assert np.median(np.abs(off[1])) < 0.2


def test_where_the_smooth_formula_is_void():
    edge = math.exp(2 * (EULER + 1)) / (2 * math.pi)
    assert abs(edge - 3.73) < 0.005
    assert math.isnan(float(refined_gap(1, edge * 0.999, 1.0)))
    assert 0 <= float(refined_gap(1, edge * 1.001, 1.0)) < 1e-3


def test_at_the_largest_rate_the_gap_has_no_such_limit():
    # the tilt keeps the best letter alone: with N = e^(n delta) draws best-of-N has it or not, a matter of e^-1
    log_p, reward, rate = np.log([0.7, 0.3]), np.array([0.0, 1.0]), -math.log(0.3)
    for n in (50, 400):
        chance = float(np.exp(finite_length(log_p, reward, n, rate * (1 - 1e-9)).best_of_n_log_p[-1]))
        assert abs(chance - (1 - math.exp(-1))) < 0.02


def test_a_narrow_lattice_has_the_entropy_of_a_gumbel_law():
    rng = np.random.default_rng(8)
    n, v = 10.0 ** rng.uniform(3, 6, INSTANCES), rng.uniform(0.1, 2, INSTANCES)
    for step in (0.3, 0.03):
        gap = lattice_gap(n, v, 1.0, step, rng.random(INSTANCES) * step)
        entropy = np.log(2 * math.pi * n * v / step**2) / 2 - gap
        np.testing.assert_allclose(entropy, gumbel_r.entropy() - math.log(step), rtol=0, atol=0.1 * step)
    assert abs(gumbel_r.entropy() - 1 - EULER) < 1e-12


# What stays different


def test_the_proofs_bounds_enclose_the_reverse_divergence():
    log_p, reward, rate = binary(9)
    n = 300
    found = finite_length(log_p, reward, n, rate)
    for i in range(INSTANCES):
        ref, tilted = np.exp(found.ref_log_p[i]), np.exp(found.tilt_log_p[i])
        at_least = np.cumsum(ref[::-1])[::-1]
        ties, above = np.sum(tilted * at_least), np.sum(tilted[:-1] * at_least[1:])
        log_n, c = n * rate[i], -np.min(log_p[i])
        low = np.log(np.expm1(log_n)) + np.log(above)
        high = log_n + np.log(2 * (1 + n * c) * ties)
        assert low - 1e-9 <= found.log_kl_tilt_to_best_of_n[i] <= high + 1e-9


def test_a_reference_draw_beats_the_tilts_at_the_rate_of_half_way():
    log_p, reward, rate = binary(10)
    letter = aligned_letter(log_p, reward, rate)
    a = 1 / letter.beta
    growth = log_mgf(log_p, reward, a / 2) * 2 - log_mgf(log_p, reward, a)
    assert np.all(rate + growth > 0)  # twice the height above a tangent
    np.testing.assert_allclose(limits(log_p, reward, rate).log_kl_tilt_to_best_of_n, rate + growth, atol=1e-9)
    off = []
    for n in (200, 1600):
        found = finite_length(log_p, reward, n, rate)
        at_least = np.logaddexp.accumulate(found.ref_log_p[:, ::-1], axis=-1)[:, ::-1]
        log_chance = np.logaddexp.reduce(found.tilt_log_p + at_least, axis=-1)
        off.append(log_chance / n - growth)
    assert smaller_by(0.25, *off)


def test_best_of_n_and_tilt_differ_in_both_tails():
    log_p, reward, rate = binary(11)
    letter = aligned_letter(log_p, reward, rate)
    for share in (0.3, 0.7):
        up = letter.reward + share * (1 - letter.reward)
        down = letter.reward - share * (letter.reward - np.exp(log_p[:, 1]))
        for x in (up, down):
            of_tilt = rate_function(letter.log_p, reward, x)
            line = rate_function(log_p, reward, x) - rate - (x - letter.reward) / letter.beta
            np.testing.assert_allclose(of_tilt, line, atol=1e-9)
        assert np.all(rate_function(log_p, reward, up) - rate > rate_function(letter.log_p, reward, up))


def test_below_the_references_mean_the_lower_tail_grows_at_the_rate_itself():
    log_p, reward, rate = binary(17)
    off = []
    for n in (40, 200):
        found = finite_length(log_p, reward, n, rate)
        for i in range(INSTANCES):
            low = found.total[i] <= n * np.exp(log_p[i, 1]) / 2
            off.append(np.log(-np.logaddexp.reduce(found.best_of_n_log_p[i][low])) / n - rate[i])
    assert smaller_by(0.5, off[:INSTANCES], off[INSTANCES:])
    assert np.max(np.abs(off[INSTANCES:])) < 0.03


# Imitation, and other sums


def kept(log_p, reward, length, **draws):
    counts = types(log_p.shape[-1], length)
    ref, total = log_class_probability(log_p, counts), (counts @ reward).round(9)
    return counts, ref, total, best_of_n(ref, total, **draws)


def test_imitation_by_independent_letters_keeps_the_reward_for_fewer_nats():
    rng = np.random.default_rng(12)
    for log_p, reward, rate in zip(*ternary(12), strict=True):
        n = int(rng.integers(2, 40))
        counts, ref, total, best = kept(log_p, reward, n, log_n=n * rate)
        share = np.exp(best) @ counts / n
        other = normalized(rng.standard_normal(3))
        imitator = log_class_probability(np.log(share), counts)
        to_other = kl_divergence(best, log_class_probability(other, counts))
        apart = kl_divergence(best, imitator)
        assert abs(to_other - apart - n * kl_divergence(np.log(share), other)) < 1e-9
        assert abs(expectation(imitator, total) - expectation(best, total)) < 1e-7
        assert abs(kl_divergence(imitator, ref) - (kl_divergence(best, ref) - apart)) < 1e-9
        assert apart > 0


def test_the_imitators_letter_tends_to_the_aligned_letter():
    off = []
    for log_p, reward, rate in zip(*ternary(13), strict=True):
        aligned = aligned_letter(log_p, reward, rate).log_p
        apart = []
        for n in (20, 100):
            counts, *_, best = kept(log_p, reward, n, log_n=n * rate)
            apart.append(float(kl_divergence(np.log(np.exp(best) @ counts / n), aligned)))
            found = finite_length(log_p, reward, n, rate)
            assert apart[-1] <= float(found.kl_best_of_n_to_tilt) / n + 1e-12
        off.append(apart)
    assert smaller_by(0.3, *np.transpose(off))


def test_for_fixed_n_the_imitator_wastes_nothing_in_the_end():
    for draws in (2.0, 64.0):
        root = math.sqrt(2 * float(kl_upper_bound(draws)))
        expected = (float(fixed_n_limits(draws).gain_ratio) * root) ** 2 / 2
        off = []
        for log_p, reward, _ in zip(*ternary(14), strict=True):
            rows = []
            for n in (20, 160):
                counts, ref, total, best = kept(log_p, reward, n, n=draws)
                share = np.log(np.exp(best) @ counts / n)
                spent, start = n * float(kl_divergence(share, log_p)), expectation(ref, total)
                most = n * aligned_letter(log_p, reward, spent / n).reward
                rows.append((spent - expected, 1 - (expectation(best, total) - start) / (most - start)))
            off.append(rows)
        off = np.array(off)
        assert smaller_by(0.7, off[:, 0, 0], off[:, 1, 0])
        assert np.max(np.abs(off[:, 1, 0])) < 0.25 * expected
        assert np.all(off[:, 1, 1] > -1e-9)
        assert np.max(off[:, 1, 1]) < 0.01


def test_letters_that_depend_on_one_another_imitate_at_full_price():
    # a product is what makes imitation cheaper: a policy that may depend on all letters learns best-of-N itself
    log_p, reward, _ = ternary(15, 1)
    _, ref, total, best = kept(log_p[0], reward[0], 30, n=64)
    copied = best.copy()
    assert kl_divergence(copied, ref) == kl_divergence(best, ref)
    assert expectation(copied, total) < tilt_to_kl(ref, total, kl_divergence(best, ref)).reward * 0.999


def test_selection_moves_another_sum_by_its_covariance():
    rng = np.random.default_rng(16)
    for draws in (2.0, 64.0):
        off, share = [], []
        for log_p, reward, _ in zip(*ternary(16), strict=True):
            other = rng.standard_normal(3)
            p = np.exp(log_p)
            slope = (p @ (reward * other) - (p @ reward) * (p @ other)) / variance(log_p, reward)
            rows = []
            for n in (20, 180):
                counts, ref, total, best = kept(log_p, reward, n, n=draws)
                tilted = tilt_to_kl(ref, total, kl_divergence(best, ref)).log_p
                gains = [
                    [expectation(q, x) - expectation(ref, x) for x in (counts @ other, total)] for q in (best, tilted)
                ]
                rows.append([gain / in_reward - slope for gain, in_reward in gains])
            off.append(rows)
            if abs(slope) > 0.5:
                share.append(gains[0][0] / gains[1][0])
        off = np.array(off)
        assert smaller_by(0.45, off[:, 0], off[:, 1])  # of order 1/sqrt(n)
        assert np.median(np.abs(share - fixed_n_limits(draws).gain_ratio)) < 0.05


def test_with_draws_that_grow_the_covariance_does_not_tell():
    # N = e^(n delta): the path of tilts bends, and the ratio of gains is that of phi_delta's means
    log_p, learned, true = np.log([0.49, 0.5, 0.01]), np.array([1.0, 0.0, 3.0]), np.array([1.0, 0.0, -4.0])
    p = np.exp(log_p)
    slope = (p @ (learned * true) - (p @ learned) * (p @ true)) / float(variance(log_p, learned))
    assert slope > 0.4
    phi = aligned_letter(log_p, learned, 0.1).log_p
    assert expectation(phi, true) < expectation(log_p, true)
    counts, ref, _, best = kept(log_p, learned, 200, log_n=20.0)
    assert expectation(best, counts @ true) < expectation(ref, counts @ true)


def test_with_a_learned_reward_the_order_can_turn_round():
    log_p, learned, true = np.log([0.49, 0.5, 0.01]), np.array([1.0, 0.0, 3.0]), np.array([1.0, 0.0, -4.0])
    for n, ahead in ((200, True), (1000, False)):
        counts, ref, total, best = kept(log_p, learned, n, n=16)
        tilted = tilt_to_kl(ref, total, kl_divergence(best, ref)).log_p
        assert expectation(best, total) < expectation(tilted, total)
        assert (expectation(best, counts @ true) > expectation(tilted, counts @ true)) == ahead


def test_with_a_negative_covariance_best_of_n_does_nine_tenths_of_the_harm():
    log_p, reward = np.log([0.3, 0.4, 0.3]), np.array([0.0, 0.47, 1.0])
    counts, ref, total, best = kept(log_p, reward, 400, n=64)
    tilted = tilt_to_kl(ref, total, kl_divergence(best, ref)).log_p
    harmed = counts @ np.array([0.4, 0.5, -1.0])
    lost = [float(expectation(ref, harmed) - expectation(q, harmed)) for q in (best, tilted)]
    assert 0 < lost[0] < lost[1]
    assert abs(lost[0] / lost[1] - fixed_n_limits(64).gain_ratio) < 0.03


def test_a_reward_that_does_not_add_up_breaks_the_equivalence():
    log_p, rate = np.log([0.3, 0.7]), 0.1
    for n in (100, 400, 1600):
        counts, ref, _, best = kept(log_p, np.array([1.0, 0.0]), n, log_n=n * rate)
        steep = n * (counts[:, 0] / n) ** 8
        most = tilt_to_kl(ref, steep, kl_divergence(best, ref))
        assert most.reward / n > 10 * expectation(best, steep) / n
        assert most.reward / n > 0.05


def test_with_one_letter_that_counts_there_is_no_central_limit():
    # a first letter worth all others together: best-of-2 has it, and the total is no bell
    n = 200
    counts = types(2, n - 1)
    rest = log_class_probability(np.log([0.3, 0.7]), counts)
    law = np.concatenate([rest + math.log(0.3), rest + math.log(0.7)])
    total = np.concatenate([counts[:, 0] + n, counts[:, 0]]).astype(float)
    best = best_of_n(law, total, 64)
    kl = kl_divergence(best, law)
    most = tilt_to_kl(law, total, kl)
    start = expectation(law, total)
    share = (expectation(best, total) - start) / (most.reward - start)
    assert abs(share - fixed_n_limits(64).gain_ratio) > 0.02


def test_letters_of_two_kinds_share_one_a():
    law, one, heavy = np.log([0.3, 0.7]), np.array([1.0, 0.0]), np.array([3.0, 0.0])
    pair = (law[:, None] + law).reshape(-1)
    most = tilt_to_kl(pair, (heavy[:, None] + one).reshape(-1), 0.2)
    product = tilt(law, heavy, most.beta)[:, None] + tilt(law, one, most.beta)
    np.testing.assert_allclose(most.log_p, product.reshape(-1), atol=1e-10)
    assert most.reward > 4 * aligned_letter(law, one, 0.1).reward + 0.1
