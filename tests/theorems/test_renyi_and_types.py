"""The statements of Chapter 10, each on random instances, at its edges, and once without one of its assumptions.

The second opinion: definitions at 80 digits (`exact`), slopes by differences at 80 digits, all sequences one by one,
integer factorials, policies drawn at random that try to do better.
"""

import itertools
import math

import exact
import numpy as np
import pytest
from mpmath import mp, mpf
from strategies import normalized

from alignbook.asymptotics import log_mgf
from alignbook.information import (
    entropy,
    expectation,
    kl_divergence,
    renyi_cross_entropy,
    renyi_divergence,
    variance,
)
from alignbook.tilting import max_kl, tilt, tilt_to_kl
from alignbook.type_classes import log_class_probability, log_class_size, number_of_types, types

INSTANCES = 60
ROUNDING = 1e-12
ORDERS = np.array([0.0, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 5.0, 40.0])


def laws(seed, letters=4, count=INSTANCES):
    """Uneven laws on the same letters."""
    return normalized(1.5 * np.random.default_rng(seed).standard_normal((count, letters)))


def leaning(log_p, reward, a):
    """The tilt p e^(a r) / e^Lambda(a) for a of either sign, by its definition."""
    return normalized(log_p + np.asarray(a)[..., None] * reward)


def total_variation_norm(log_p, log_q):
    return np.sum(np.abs(np.exp(log_p) - np.exp(log_q)), axis=-1)


# One function for all orders


def quotient(p, reward, a):
    """Lambda(a)/a of masses and rewards, at 80 digits."""
    with mp.workdps(80):
        a = mpf(a)
        moment = mp.fsum(mass * mp.exp(a * mpf(float(r))) for mass, r in zip(p, reward, strict=True))
        return mp.log(moment) / a


def test_the_quotient_rises_by_a_divergence_to_the_tilt():
    """Its slope in a by a difference at 80 digits, against D(p_a || p) / a^2; at 0, half the variance."""
    rng = np.random.default_rng(0)
    for log_p, a in zip(laws(1), rng.uniform(-4, 4, INSTANCES), strict=True):
        reward = rng.standard_normal(4)
        law = exact.masses(log_p)
        with mp.workdps(80):
            step, here = mpf(10) ** -20, mpf(float(a))
            slope = (quotient(law, reward, here + step) - quotient(law, reward, here - step)) / (2 * step)
            flat = (quotient(law, reward, step) - quotient(law, reward, -step)) / (2 * step)
        assert float(slope) == pytest.approx(float(kl_divergence(leaning(log_p, reward, a), log_p)) / a**2, rel=1e-9)
        assert float(flat) == pytest.approx(float(variance(log_p, reward)) / 2, rel=1e-9)
        assert slope > 0


def test_all_three_measures_are_that_quotient():
    """At the order 1 + a: of the log-ratio, less that of the log-probability of p, and of q."""
    p, q = laws(2), laws(3)
    a = np.random.default_rng(4).uniform(-1, 3, INSTANCES)
    for value, reward in (
        (renyi_divergence(p, q, 1 + a), p - q),
        (-renyi_cross_entropy(p, p, 1 + a), p),
        (-renyi_cross_entropy(p, q, 1 + a), q),
    ):
        np.testing.assert_allclose(value, log_mgf(p, reward, a) / a, rtol=1e-9, atol=ROUNDING)


def falls_in_the_order(log_p, log_q):
    """The largest fall of D_alpha and rise of H_alpha from one order to the next."""
    d = np.stack([renyi_divergence(log_p, log_q, order) for order in ORDERS])
    h = np.stack([renyi_cross_entropy(log_p, log_q, order) for order in ORDERS])
    return max(np.max(d[:-1] - d[1:]), np.max(h[1:] - h[:-1]))


def test_divergences_rise_and_entropies_fall_in_the_order():
    assert falls_in_the_order(laws(5), laws(6)) < ROUNDING
    assert falls_in_the_order(laws(7), laws(7)) < ROUNDING
    with np.errstate(divide="ignore"):
        holes = np.log([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8], [0.3, 0.3, 0.4]])
    with np.errstate(invalid="ignore"):
        d = np.stack([renyi_divergence(holes[0], holes[1], order) for order in ORDERS])
    assert (d[1:] >= d[:-1]).all()
    assert np.isinf(d[4:]).all()
    assert np.isfinite(d[:4]).all()  # below order 1 mass where the other law has none costs a finite amount


def test_below_order_one_a_law_with_holes_splits_the_divergence():
    """With m the mass on the other's support: (log m + Lambda(a)) / a at a < 0, Lambda of the law conditioned on it."""
    p = laws(45)
    q = normalized(np.where(np.arange(4) == 0, -np.inf, laws(46)))
    log_m, inside = np.log1p(-np.exp(p[:, 0])), normalized(p[:, 1:])
    d = []
    for order in (0.0, 0.1, 0.5, 0.9):
        a = order - 1
        split = (log_m + log_mgf(inside, p[:, 1:] - q[:, 1:], np.full(INSTANCES, a))) / a
        with np.errstate(invalid="ignore"):
            d.append(renyi_divergence(p, q, order))
        np.testing.assert_allclose(d[-1], split, rtol=1e-9, atol=ROUNDING)
    assert np.all(np.diff(d, axis=0) > 0)


def test_of_two_letters_the_less_even_law_has_the_smaller_entropy_at_orders_above_zero_alone():
    largest = np.sort(np.random.default_rng(47).uniform(0.5, 0.99, INSTANCES))
    log_p = np.log(np.stack([largest, 1 - largest], axis=-1))
    for order in ORDERS[1:]:
        assert np.all(np.diff(renyi_cross_entropy(log_p, log_p, order)) < ROUNDING)
    assert np.all(np.diff(renyi_cross_entropy(log_p, log_p, -1.0)) > 0)


def test_weights_that_do_not_sum_to_one_have_a_quotient_that_falls():
    rng = np.random.default_rng(8)
    for log_p in laws(9):
        reward = rng.standard_normal(4)
        heavy = [1.1 * mass for mass in exact.masses(log_p)]
        assert quotient(heavy, reward, 0.01) > quotient(heavy, reward, 0.1)


def test_limits_in_the_order():
    rng = np.random.default_rng(10)
    for log_p, log_q in zip(laws(11), laws(12), strict=True):
        log_p = normalized(np.where(np.arange(4) == rng.integers(4), -np.inf, log_p))
        on = log_p > -np.inf
        p, q = np.exp(log_p), np.exp(log_q)
        assert renyi_divergence(log_p, log_q, 0.0) == pytest.approx(-np.log(q[on].sum()), abs=ROUNDING)
        assert renyi_cross_entropy(log_p, log_p, 0.0) == pytest.approx(np.log(3), abs=ROUNDING)
        assert renyi_cross_entropy(log_p, log_q, 0.0) == pytest.approx(np.log((p[on] / q[on]).sum()), rel=1e-12)
        assert renyi_divergence(log_p, log_q, np.inf) == pytest.approx(np.max(log_p[on] - log_q[on]), abs=ROUNDING)
        near = 1e-7
        assert renyi_divergence(log_p, log_q, 1 + near) == pytest.approx(kl_divergence(log_p, log_q), rel=1e-5)
        # from order alpha on the distance from the limit is at most the rarest one's surprise over alpha - 1
        far = renyi_cross_entropy(log_p, log_q, 4001.0)
        best = -np.max(log_q[on])
        rarest = -log_p[on][np.argmax(log_q[on])]
        assert best - ROUNDING <= far <= best + rarest / 4000 + ROUNDING


def test_one_answer_and_equal_laws():
    one = np.array([0.0])
    assert entropy(one) == renyi_cross_entropy(one, one, 3.0) == renyi_divergence(one, one, 0.5) == 0
    p = laws(13)
    for order in ORDERS:
        np.testing.assert_allclose(renyi_divergence(p, p, order), 0, atol=ROUNDING)
    even = np.log(np.full(5, 0.2))
    for order in ORDERS:
        assert renyi_cross_entropy(even, even, order) == pytest.approx(np.log(5), abs=ROUNDING)


# Independent letters


def pairs(log_p):
    """The law of two independent letters."""
    return np.reshape(log_p[..., :, None] + log_p[..., None, :], (*log_p.shape[:-1], -1))


def test_renyi_measures_of_independent_letters_add_up():
    p, q = laws(14, 3), laws(15, 3)
    for order in ORDERS:
        d, h = renyi_divergence(p, q, order), renyi_cross_entropy(p, q, order)
        np.testing.assert_allclose(renyi_divergence(pairs(p), pairs(q), order), 2 * d, rtol=1e-10, atol=ROUNDING)
        np.testing.assert_allclose(renyi_cross_entropy(pairs(p), pairs(q), order), 2 * h, rtol=1e-10, atol=ROUNDING)


def test_measures_of_dependent_letters_do_not_add_up():
    """The second letter repeats the first: both letters have the same law, and the pair has the entropy of one."""
    p = laws(16, 3)
    with np.errstate(divide="ignore"):
        twice = np.log(np.reshape(np.exp(p)[:, :, None] * np.eye(3), (INSTANCES, 9)))
    single = renyi_cross_entropy(p, p, 2.0)
    np.testing.assert_allclose(renyi_cross_entropy(twice, twice, 2.0), single, rtol=1e-10)
    assert np.all(np.abs(renyi_cross_entropy(twice, twice, 2.0) - 2 * single) > 1e-3)


# The compromise


def misses_of_the_compromise(phi, p, q, order):
    middle = leaning(p, np.where(p > -np.inf, q - p, 0.0), np.full(p.shape[:-1], 1 - order))
    left = order * kl_divergence(phi, p) + (1 - order) * kl_divergence(phi, q)
    return left - kl_divergence(phi, middle) - (1 - order) * renyi_divergence(p, q, order)


def test_the_compromise_between_two_laws():
    p, q = laws(17), laws(18)
    for seed, order in enumerate((0.0, 0.3, 0.5, 0.9, 1.0, 2.0, 3.0)):  # beyond 1 too, though not between the two
        phi = laws(100 + seed)
        np.testing.assert_allclose(misses_of_the_compromise(phi, p, q, order), 0, rtol=0, atol=1e-10)
        cost = order * kl_divergence(phi, p) + (1 - order) * kl_divergence(phi, q)
        assert np.all(cost >= (1 - order) * renyi_divergence(p, q, order) - ROUNDING)  # D_alpha is the least


def test_no_compromise_where_the_first_law_has_no_mass():
    """A policy on a letter that p never gives: the left side is inf, and p's tilt is infinitely far too; no number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = np.log([[0.5, 0.5, 0.0]]), np.log([[0.2, 0.3, 0.5]])
        assert not np.isfinite(misses_of_the_compromise(q, p, q, 0.5)).any()
    assert float(0.5 * renyi_divergence(p, q, 0.5)[0]) < math.inf


# Pinsker in the order


def lack_of_pinsker(p, q, order):
    """How far D_alpha falls short of (alpha/2) V^2; none if negative."""
    return order / 2 * total_variation_norm(p, q) ** 2 - renyi_divergence(p, q, order)


def test_pinsker_up_to_order_one():
    rng = np.random.default_rng(19)
    for order in (0.0, 0.05, 0.3, 0.5, 0.8, 1.0):
        p = laws(20, 3)
        for distance in (1e-3, 0.1, 1.0, 10.0):
            q = normalized(p + distance * rng.standard_normal(p.shape))
            assert np.all(lack_of_pinsker(p, q, order) <= ROUNDING)
    far, away = np.log([[1 - 1e-12, 1e-12]]), np.log([[1e-12, 1 - 1e-12]])
    assert lack_of_pinsker(far, away, 0.5) < 0


def test_no_larger_constant_will_do():
    """Two nearly even laws come to (alpha/2) V^2 up to a share of V^2."""
    for order in (0.1, 0.5, 1.0):
        step = 1e-3
        p, q = np.log([[0.5 + step, 0.5 - step]]), np.log([[0.5, 0.5]])
        ratio = renyi_divergence(p, q, order) / (order / 2 * total_variation_norm(p, q) ** 2)
        assert 1 <= ratio[0] < 1 + 1e-5


def test_beyond_order_one_the_constant_is_one_half():
    p, q = np.log([[0.7, 0.3]]), np.log([[0.3, 0.7]])
    assert lack_of_pinsker(p, q, 5.0) > 0.8  # what holds up to order 1 fails beyond
    p, q = laws(21), laws(22)
    for order in (1.0, 2.0, 5.0, np.inf):
        assert np.all(renyi_divergence(p, q, order) >= total_variation_norm(p, q) ** 2 / 2)


def test_at_order_two_one_half_is_not_the_best_factor():
    """All pairs of laws on two letters, on a grid; other letters can be merged."""
    first = np.linspace(0.001, 0.999, 500)
    law = np.log(np.stack([first, 1 - first], axis=-1))
    p, q = law[:, None], law[None, :]
    assert np.all(renyi_divergence(p, q, 2.0) >= 0.61 * total_variation_norm(p, q) ** 2 - ROUNDING)


def test_below_order_one_close_laws_have_a_small_divergence_and_from_one_on_they_need_not():
    for order in (0.0, 0.1, 0.5, 0.9):
        p, q = laws(48), laws(49)
        p = normalized(np.where(np.arange(4) == np.arange(INSTANCES)[:, None] % 5, -np.inf, p))
        bound = -np.log1p(-total_variation_norm(p, q) / 2) / (1 - order)
        assert np.all(renyi_divergence(p, q, order) <= bound + ROUNDING)
    hardly = np.array([np.log1p(-1e-300), -1e6])
    near = np.log([0.999, 0.001])
    assert total_variation_norm(near, hardly) < 0.0021
    assert renyi_divergence(near, hardly, 1.0) > 900


# Tilts


def misses_of_three_points(phi, p, reward, a, b):
    near, far = leaning(p, reward, a), leaning(p, reward, b)
    turn = (b - a) * (expectation(near, reward) - expectation(phi, reward))
    return kl_divergence(phi, far) - kl_divergence(phi, near) - kl_divergence(near, far) - turn


def test_three_points():
    rng = np.random.default_rng(23)
    p, reward = laws(24), rng.standard_normal((INSTANCES, 4))
    a, b = rng.uniform(-3, 3, (2, INSTANCES))
    for seed in range(5):
        np.testing.assert_allclose(misses_of_three_points(laws(200 + seed), p, reward, a, b), 0, rtol=0, atol=1e-11)
    zero = np.zeros(INSTANCES)
    np.testing.assert_allclose(misses_of_three_points(laws(25), p, reward, a, zero), 0, rtol=0, atol=1e-11)


def test_tilts_by_different_rewards_make_no_right_angle():
    rng = np.random.default_rng(26)
    p, (first, second) = laws(27), rng.standard_normal((2, INSTANCES, 4))
    one = np.ones(INSTANCES)
    near, far = leaning(p, first, one), leaning(p, second, 2 * one)
    turn = expectation(near, first) - expectation(p, first)
    miss = kl_divergence(p, far) - kl_divergence(p, near) - kl_divergence(near, far) - turn
    assert np.median(np.abs(miss)) > 0.1


def test_a_path_between_two_laws_is_a_path_of_tilts():
    p, q = laws(28), laws(29)
    for s in (0.0, 0.25, 1.0, 1.5):
        np.testing.assert_allclose(
            normalized((1 - s) * p + s * q), leaning(p, q - p, np.full(INSTANCES, s)), atol=1e-12
        )


def test_the_tilt_is_nearest_in_its_half_space():
    rng = np.random.default_rng(30)
    p, reward = laws(31), rng.standard_normal((INSTANCES, 4))
    nearest = leaning(p, reward, rng.uniform(0.1, 2, INSTANCES))
    x = expectation(nearest, reward)
    inside = 0
    for seed in range(40):
        phi = laws(300 + seed)
        lead = kl_divergence(phi, p) - kl_divergence(phi, nearest) - kl_divergence(nearest, p)
        within = expectation(phi, reward) >= x
        assert np.all(lead[within] >= -ROUNDING)
        assert np.all(lead[~within] <= ROUNDING)  # below the half-space the sign turns
        inside += within.sum()
    assert inside > 200


# A tilt by another reward


def test_what_a_tilt_by_another_reward_loses():
    rng = np.random.default_rng(32)
    p, (reward, proxy) = laws(33), rng.standard_normal((2, INSTANCES, 4))
    budget = rng.uniform(0.05, 0.8, INSTANCES) * np.minimum(max_kl(p, reward), max_kl(p, proxy))
    best, mistaken = tilt_to_kl(p, reward, budget), tilt_to_kl(p, proxy, budget)
    lost = best.reward - expectation(mistaken.log_p, reward)
    np.testing.assert_allclose(lost, best.beta * kl_divergence(mistaken.log_p, best.log_p), rtol=1e-6, atol=1e-9)
    half = tilt_to_kl(p, proxy, budget / 2).log_p  # at another budget the loss is another number
    off = best.reward - expectation(half, reward) - best.beta * kl_divergence(half, best.log_p)
    assert np.median(np.abs(off)) > 1e-3


def test_a_small_budget_buys_the_correlations_share():
    """The next term is of order sqrt(kappa): from 1e-4 to 1e-8 nat the miss falls to a hundredth."""
    rng = np.random.default_rng(34)
    p, (reward, proxy) = laws(35), rng.standard_normal((2, INSTANCES, 4))
    mean = expectation(p, reward)
    covariance = expectation(p, reward * proxy) - mean * expectation(p, proxy)
    correlation = covariance / np.sqrt(variance(p, reward) * variance(p, proxy))
    misses = []
    for budget in (1e-4, 1e-8):
        gain = expectation(tilt_to_kl(p, proxy, budget).log_p, reward) - mean
        best = tilt_to_kl(p, reward, budget).reward - mean
        misses.append(np.abs(gain / best - correlation))
    assert np.median(misses[1] / misses[0]) < 0.02
    assert np.max(misses[1]) < 1e-3


# Types


def sequences_of(letters, length):
    """The counts of all sequences, one row each, and the sequences."""
    rows = np.array(list(itertools.product(range(letters), repeat=length)))
    return np.stack([np.sum(rows == letter, axis=-1) for letter in range(letters)], axis=-1), rows


@pytest.mark.parametrize(("letters", "length"), [(1, 4), (2, 1), (2, 12), (3, 8), (4, 6), (5, 5)])
def test_there_are_few_types(letters, length):
    counts, _ = sequences_of(letters, length)
    found = {tuple(row) for row in counts.tolist()}
    assert len(found) == number_of_types(letters, length) <= (length + 1) ** (letters - 1)


def test_sizes_of_classes():
    for letters, length in ((2, 30), (3, 12), (4, 8)):
        counts = types(letters, length)
        with np.errstate(divide="ignore"):
            growth = length * entropy(np.log(counts / length))
        exactly = [math.log(math.factorial(length) // math.prod(map(math.factorial, row))) for row in counts.tolist()]
        np.testing.assert_allclose(log_class_size(counts), exactly, rtol=1e-12, atol=1e-12)
        assert np.all(log_class_size(counts) <= growth + ROUNDING)
        assert np.all(log_class_size(counts) >= growth - math.log(number_of_types(letters, length)) - ROUNDING)
        inner = np.all(counts > 0, axis=-1)
        assert np.all(log_class_size(counts)[inner] < growth[inner] - 0.1)  # the factor before e^(nH) is needed


def test_under_its_own_law_a_type_is_the_likeliest():
    for letters, length in ((2, 30), (3, 12), (4, 8)):
        counts = types(letters, length)
        with np.errstate(divide="ignore"):
            for place in range(0, len(counts), max(1, len(counts) // 60)):
                chances = log_class_probability(np.log(counts[place] / length), counts)
                assert chances[place] >= chances.max() - ROUNDING


def test_chances_of_classes():
    for seed, (letters, length) in enumerate(((2, 10), (3, 7), (4, 5))):
        found, rows = sequences_of(letters, length)
        counts = types(letters, length)
        for log_p in laws(400 + seed, letters, 20):
            each = np.exp(log_p[rows].sum(axis=-1))
            exactly = [each[np.all(found == row, axis=-1)].sum() for row in counts]
            chances = log_class_probability(log_p, counts)
            np.testing.assert_allclose(np.exp(chances), exactly, rtol=1e-10)
            with np.errstate(divide="ignore"):
                rate = length * kl_divergence(np.log(counts / length), log_p)
            assert np.all(chances <= -rate + ROUNDING)
            assert np.all(chances >= -rate - math.log(number_of_types(letters, length)) - ROUNDING)


def test_with_letters_that_stick_a_class_is_likelier_than_its_bound():
    """A chain that repeats its last letter nine times in ten has the same law at each place."""
    rng = np.random.default_rng(36)
    length = 12
    for share in rng.uniform(0.1, 0.6, INSTANCES):
        all_first = share * (0.9 + 0.1 * share) ** (length - 1)
        assert math.log(all_first) > length * math.log(share) + 1  # - n D of the type with the first letter alone


# Sanov's theorem


def half_space(counts, reward, x):
    return counts @ reward / counts.sum(axis=-1) >= x - ROUNDING


def log_chance(log_p, counts, inside):
    chances = log_class_probability(log_p, counts[inside])
    return np.logaddexp.reduce(chances)


def test_sanovs_bounds_for_any_set_of_types():
    rng = np.random.default_rng(37)
    for seed in range(INSTANCES):
        log_p = laws(500 + seed, 3, 1)[0]
        counts = types(3, 20)
        inside = rng.random(len(counts)) < rng.uniform(0.02, 0.9)
        with np.errstate(divide="ignore"):
            nearest = np.min(kl_divergence(np.log(counts[inside] / 20), log_p))
        chance = log_chance(log_p, counts, inside)
        assert -20 * nearest - math.log(len(counts)) - ROUNDING <= chance
        assert chance <= -20 * nearest + math.log(inside.sum()) + ROUNDING


def test_sanovs_theorem_on_half_spaces():
    """The exponent lies within what the number of types allows, and falls towards the divergence of the tilt."""
    rng = np.random.default_rng(38)
    for seed in range(INSTANCES):
        log_p, reward = laws(600 + seed, 3, 1)[0], rng.standard_normal(3)
        nearest = tilt_to_kl(log_p, reward, 0.3 * -log_p[np.argmax(reward)])
        gaps = []
        for length in (20, 320):
            counts = types(3, length)
            rate = -log_chance(log_p, counts, half_space(counts, reward, nearest.reward)) / length
            assert rate >= nearest.kl - math.log(len(counts)) / length
            gaps.append(rate - nearest.kl)
        assert abs(gaps[1]) < abs(gaps[0]) / 4
        assert abs(gaps[1]) < 2 * math.log(321) / 320


def test_sanovs_theorem_on_a_set_that_is_not_convex():
    """Outside a cube around p, in the largest difference of shares: the rate is that of the nearest law of a grid."""
    counts, grid = types(3, 150), types(3, 300) / 300
    for log_p in laws(40, 3):
        apart = np.max(np.abs(counts / 150 - np.exp(log_p)), axis=-1) >= 0.15
        outside = np.max(np.abs(grid - np.exp(log_p)), axis=-1) >= 0.15
        with np.errstate(divide="ignore"):
            nearest = np.min(kl_divergence(np.log(grid[outside]), log_p))
        rate = -log_chance(log_p, counts, apart) / 150
        assert rate == pytest.approx(nearest, abs=2 * math.log(151) / 150)


def test_a_set_without_an_interior_may_hold_no_type():
    """One law with irrational shares, at a finite divergence from p: no type of any length is there."""
    share = math.sqrt(0.5)
    target = np.log([share, 1 - share])
    assert kl_divergence(target, np.log([0.5, 0.5])) < 0.2
    for length in range(1, 200):
        assert not np.any(types(2, length)[:, 0] / length == share)


def test_a_letter_that_never_comes_makes_a_set_unreachable():
    with np.errstate(divide="ignore"):
        log_p = np.log([0.5, 0.5, 0.0])
    counts = types(3, 40)
    assert log_chance(log_p, counts, counts[:, 2] >= 1) == -np.inf


# Conditioning


def kept(log_p, reward, length, x):
    """Among sequences of mean reward x at least: the types, their conditional chances."""
    counts = types(len(log_p), length)
    counts = counts[half_space(counts, reward, x)]
    chances = log_class_probability(log_p, counts)
    return counts / length, np.exp(chances - np.logaddexp.reduce(chances))


def test_kept_sequences_have_the_tilts_letters():
    """The conditional chance of a type far from the tilt obeys the bound; the mean letter tends to the tilt."""
    rng, ratios = np.random.default_rng(39), []
    for seed in range(INSTANCES):
        log_p, reward = laws(800 + seed, 3, 1)[0], rng.standard_normal(3)
        nearest = tilt_to_kl(log_p, reward, 0.3 * -log_p[np.argmax(reward)])
        misses = []
        for length in (20, 320):
            shares, chance = kept(log_p, reward, length, nearest.reward)
            with np.errstate(divide="ignore"):
                apart = kl_divergence(np.log(shares), nearest.log_p)
                excess = np.min(kl_divergence(np.log(shares), log_p)) - nearest.kl
            number = number_of_types(3, length)
            for epsilon in (0.05, 0.1, 0.3):
                assert chance[apart >= epsilon].sum() <= number**2 * math.exp(-length * (epsilon - excess)) + ROUNDING
            misses.append(np.max(np.abs(chance @ shares - np.exp(nearest.log_p))))
        assert misses[1] < 0.02
        ratios.append(misses[1] / misses[0])
    assert np.median(ratios) < 0.2  # where totals lie unevenly a single one may be no better


def test_the_first_letter_of_a_kept_sequence_is_its_mean_share():
    found, rows = sequences_of(3, 8)
    for seed in range(INSTANCES):
        log_p, reward = laws(900 + seed, 3, 1)[0], np.random.default_rng(seed).standard_normal(3)
        x = (np.exp(log_p) @ reward + np.max(reward)) / 2
        inside = half_space(found, reward, x)
        weights = np.exp(log_p[rows].sum(axis=-1))[inside]
        first = [weights[rows[inside, 0] == letter].sum() / weights.sum() for letter in range(3)]
        shares, chance = kept(log_p, reward, 8, x)
        np.testing.assert_allclose(chance @ shares, first, rtol=1e-9, atol=ROUNDING)


def test_where_two_laws_are_nearest_the_kept_letters_are_neither():
    """A fair coin whose share of heads is off by 0.3 either way: no half-space, no one nearest law."""
    counts = types(2, 400)
    counts = counts[np.abs(counts[:, 0] / 400 - 0.5) >= 0.3]
    chances = log_class_probability(np.log([0.5, 0.5]), counts)
    mean = np.exp(chances - np.logaddexp.reduce(chances)) @ counts / 400
    assert mean[0] == pytest.approx(0.5, abs=1e-9)
    near = tilt(np.log([0.5, 0.5]), np.array([1.0, 0.0]), 1 / math.log(4))
    assert np.exp(near[0]) == pytest.approx(0.8)


# Sampling


def test_a_law_conditioned_is_as_far_at_every_order():
    """Top-p keeps the likeliest answers: minus the logarithm of their mass at every order; inf the other way."""
    for log_p in laws(41, 5):
        kept_ones = log_p >= np.sort(log_p)[-3]
        cut = normalized(np.where(kept_ones, log_p, -np.inf))
        mass = np.exp(log_p[kept_ones]).sum()
        for order in (0.0, 0.5, 1.0, 2.0, np.inf):
            assert renyi_divergence(cut, log_p, order) == pytest.approx(-math.log(mass), abs=1e-11)
        assert renyi_divergence(log_p, cut, 1.0) == renyi_divergence(log_p, cut, 2.0) == np.inf
        assert renyi_divergence(log_p, cut, 0.5) < np.inf


def test_a_temperature_draws_from_an_escort_law():
    for log_p, temperature in zip(laws(42), np.random.default_rng(43).uniform(0.2, 0.9, INSTANCES), strict=True):
        escort = normalized(log_p / temperature)
        np.testing.assert_allclose(tilt(log_p, log_p, temperature / (1 - temperature)), escort, atol=1e-11)


def test_pairs_that_agree_estimate_order_two():
    """Three samples, all 4^3 outcomes: the mean share of agreeing pairs is the sum of squares."""
    for log_p in laws(44):
        p, mean = np.exp(log_p), 0.0
        for drawn in itertools.product(range(4), repeat=3):
            agreeing = sum(a == b for a, b in itertools.combinations(drawn, 2))
            mean += math.prod(p[list(drawn)]) * agreeing / 3
        assert mean == pytest.approx(math.exp(-renyi_cross_entropy(log_p, log_p, 2.0)), rel=1e-12)


def test_the_count_that_pairs_give_is_too_large_on_average():
    """Three samples of one even law on two letters: pairs agree always or once of three."""
    shares = [
        sum(a == b for a, b in itertools.combinations(drawn, 2)) / 3 for drawn in itertools.product(range(2), repeat=3)
    ]
    assert np.mean(shares) == pytest.approx(1 / 2)
    assert np.mean(1 / np.array(shares)) == pytest.approx(2.5)  # against the count of 2
