"""The statements of Chapter 2, each on random instances, at its edges, and once without one of its assumptions.

The second opinion: definitions at 80 digits (`exact`), scipy's general optimizers, derivatives by differences at 80
digits, and random policies that try to do better. A check that must fail without an assumption is the same function
that passes with it.
"""

import itertools
import math
from operator import itemgetter
from typing import Any, NamedTuple

import exact
import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.optimize import minimize
from strategies import normalized

from alignbook.information import expectation, kl_divergence, variance
from alignbook.policy_gradient import gradient_ascent, objective_gradient
from alignbook.tilting import (
    condition_on_best,
    log_partition,
    max_kl,
    near_optimality_gap,
    objective,
    tilt,
    tilt_to_kl,
)

INSTANCES = 60
ROUNDING = 1e-12  # of values up to some hundreds, each a sum of a few terms good to 1e-16 of themselves


class Problem(NamedTuple):
    """A batch of references, rewards and prices."""

    ref: Any
    reward: Any
    beta: Any


def problems(seed, answers=5, count=INSTANCES):
    """Uneven references, some with answers they never give; rewards with ties; betas from 0.1 to 10."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((count, answers))
    logits[::6, 0] = -np.inf
    reward = 2 * rng.standard_normal((count, answers))
    reward[1::3] = rng.permuted(np.tile(np.arange(answers) // 2, (count, 1)), axis=-1)[1::3]
    return Problem(normalized(logits), reward, 10.0 ** rng.uniform(-1, 1, count))


def policies_on(ref, seed):
    """One policy for each reference, on its support, from close to far."""
    rng = np.random.default_rng(seed)
    distance = 10.0 ** rng.uniform(-3, 1, ref.shape[:-1])
    return normalized(ref + distance[..., None] * rng.standard_normal(ref.shape))


def within(kl_budget, policy, ref):
    """The policy mixed with the reference until it is within the budget: D is convex, so a share of it is enough."""
    share = np.minimum(1, kl_budget / np.maximum(kl_divergence(policy, ref), 1e-300))[..., None]
    return normalized(np.logaddexp(np.log(share) + policy, np.log1p(-np.minimum(share, 1 - 1e-16)) + ref))


def plain_kl(p, q):
    """D(p || q) of log-laws, by its definition."""
    with np.errstate(invalid="ignore"):
        return np.sum(np.where(p > -np.inf, np.exp(p) * (p - q), 0.0), axis=-1)


def plain_mean(p, values):
    return np.sum(np.exp(p) * values, axis=-1)


def plain_tilt(ref, reward, beta):
    """The definition, for a beta of either sign."""
    return normalized(ref + reward / np.asarray(beta)[..., None])


# The tilt wins, and by exactly this much


def misses_of_the_tilts_lead(problem, policy, optimum):
    """J(pi) - [beta log Z - beta D(pi || optimum)], from the definitions."""
    ref, reward, beta = problem
    log_z = np.log(np.sum(np.exp(ref + reward / beta[:, None]), axis=-1))
    return plain_mean(policy, reward) - beta * plain_kl(policy, ref) - beta * (log_z - plain_kl(policy, optimum))


def test_the_tilt_wins_and_by_exactly_this_much():
    problem = problems(0)
    for seed in range(5):
        policy = policies_on(problem.ref, seed)
        optimum = tilt(*problem)
        np.testing.assert_allclose(misses_of_the_tilts_lead(problem, policy, optimum), 0, rtol=0, atol=ROUNDING)
        lead = problem.beta * log_partition(*problem) - objective(policy, *problem)
        distance = kl_divergence(policy, optimum)
        np.testing.assert_allclose(lead, problem.beta * distance, rtol=1e-9, atol=ROUNDING)
        assert np.all((lead > 0) | (problem.beta * distance < ROUNDING))


def test_the_largest_objective_is_beta_times_the_log_partition_function():
    """Donsker and Varadhan's formula, found by a general optimizer over logits."""
    rng = np.random.default_rng(1)
    ref, reward = normalized(rng.standard_normal((INSTANCES, 5))), rng.standard_normal((INSTANCES, 5))
    problem = Problem(ref, reward, rng.uniform(0.5, 2, INSTANCES))
    best = problem.beta * log_partition(*problem)
    np.testing.assert_allclose(objective(tilt(*problem), *problem), best, rtol=1e-12, atol=ROUNDING)
    for ref, reward, beta, value in zip(*problem, best, strict=True):

        def cost(logits, ref=ref, reward=reward, beta=beta):
            law = normalized(logits)
            price = beta * (law - ref) - reward
            mean = plain_mean(law, price)
            return mean, np.exp(law) * (price - mean)

        found = -minimize(cost, ref, jac=True, method="BFGS", options={"gtol": 1e-9}).fun
        assert found <= value + ROUNDING
        assert found >= value - 1e-8 * (1 + abs(value))  # where the optimizer stops


def test_a_policy_off_the_support_has_objective_minus_infinity():
    ref, off = normalized([0.0, 0.0, -np.inf]), normalized([0.0, 0.0, 0.0])
    assert float(objective(off, ref, np.array([0.0, 1.0, 9.0]), 1.0)) == -math.inf
    assert float(kl_divergence(off, tilt(ref, np.array([0.0, 1.0, 9.0]), 1.0))) == math.inf


def loses_to(optimum, policy, problem):
    ref, reward, beta = problem
    value = [plain_mean(p, reward) - beta * plain_kl(p, ref) for p in (policy, optimum)]
    return value[0] <= value[1] + ROUNDING


def test_at_a_negative_price_the_tilt_no_longer_wins():
    problem = problems(2)
    policy = policies_on(problem.ref, 0)
    assert np.all(loses_to(plain_tilt(*problem), policy, problem))
    negative = problem._replace(beta=-problem.beta)
    assert not np.any(loses_to(plain_tilt(*negative), policy, negative))


def test_among_infinitely_many_answers_there_may_be_no_optimum():
    # p_k ~ e^-k, r_k = k: at beta below 1 the partition function grows with every answer, at beta above it settles
    def largest_objectives(beta):
        lengths = (100, 200, 400, 800)
        return [beta * float(log_partition(normalized(-np.arange(n)), np.arange(n), beta)) for n in lengths]

    settled, growing = largest_objectives(2.0), largest_objectives(0.5)
    assert np.ptp(settled) < 1e-12
    assert np.all(np.diff(growing) > 40)


# What one more unit of a does


def slope(function, a):
    """A derivative at 80 digits: the error of the central difference is of order 1e-40."""
    with mp.workdps(exact.DIGITS):
        step = mpf(10) ** -20
        above, below = function(mpf(a) + step), function(mpf(a) - step)
        return [(x - y) / (2 * step) for x, y in zip(above, below, strict=True)]


def test_slopes_along_the_tilts():
    for ref, reward, beta in zip(*problems(3), strict=True):
        p, a = exact.masses(ref), 1 / float(beta)
        law = tilt(ref, reward, beta)
        possible = np.isfinite(ref)

        def along(a, p=p, reward=reward, possible=possible):
            optimum = exact.tilt(p, reward, 1 / a)
            log_z = mp.log(mp.fsum(w * mp.exp(a * mpf(r)) for w, r in zip(p, reward, strict=True)))
            logs = [mp.log(mass) for mass, held in zip(optimum, possible, strict=True) if held]
            return [log_z, exact.expectation(optimum, reward), exact.kl(optimum, p), *logs]

        mean, spread = float(expectation(law, reward)), float(variance(law, reward))
        expected = [mean, spread, a * spread, *(reward - mean)[possible]]
        exact.assert_close(expected, slope(along, a), relative=ROUNDING, absolute=ROUNDING)


def spends_more_and_more(ref, reward):
    a = np.linspace(0.05, 4, 60)
    return bool(np.all(np.diff(kl_divergence(tilt(ref, reward, 1 / a), ref)) > 0))


def test_the_kl_rises_from_zero_to_the_mass_of_the_best_answers():
    ref, reward, _ = problems(4)
    for one_ref, one_reward in zip(ref, reward, strict=True):
        assert spends_more_and_more(one_ref, one_reward)
    start, end = (tilt(ref, reward, beta) for beta in (1e9, 1e-5))  # rewards differ by 1e-3 or more
    np.testing.assert_allclose(kl_divergence(start, ref), 0, rtol=0, atol=1e-15)
    np.testing.assert_allclose(kl_divergence(end, ref), max_kl(ref, reward), rtol=1e-12)
    np.testing.assert_allclose(np.exp(end), np.exp(condition_on_best(ref, reward)), rtol=1e-12, atol=1e-40)


def test_with_a_constant_reward_no_a_spends_anything():
    for ref in problems(5).ref:
        assert not spends_more_and_more(ref, np.full(ref.shape, 3.0))


# The KL-constrained optimum


def best_within_budget(ref, reward, kl_budget, start):
    """scipy's SLSQP on the simplex: the mean reward and the law; reward -inf where it ends outside the budget."""
    budget = {
        "type": "ineq",
        "fun": lambda p: kl_budget - plain_kl(np.log(p), ref),
        "jac": lambda p: -(np.log(p) - ref + 1),
    }
    whole = {"type": "eq", "fun": lambda p: np.sum(p) - 1, "jac": np.ones_like}
    found = minimize(
        lambda p: -(p @ reward),
        start,
        jac=lambda p: -reward,
        bounds=[(1e-12, 1)] * len(ref),
        constraints=[budget, whole],
        method="SLSQP",
        options={"maxiter": 100, "ftol": 1e-12},
    )
    kept = abs(np.sum(found.x) - 1) < 1e-9 and plain_kl(np.log(found.x), ref) <= kl_budget + 1e-7
    return (-found.fun if kept else -math.inf), found.x


def test_the_tilt_attains_the_kl_constrained_optimum():
    rng = np.random.default_rng(6)
    ref, reward = normalized(rng.standard_normal((INSTANCES, 4))), rng.standard_normal((INSTANCES, 4))
    kl_budget = rng.uniform(0.05, 0.9, INSTANCES) * max_kl(ref, reward)
    found = tilt_to_kl(ref, reward, kl_budget)
    starts = np.exp([within(kl_budget / 2, policies_on(ref, seed), ref) for seed in range(6)])
    reached = 0
    for i in range(INSTANCES):
        tries = [best_within_budget(ref[i], reward[i], kl_budget[i], start[i]) for start in starts]
        value, law = max(tries, key=itemgetter(0))
        assert value <= found.reward[i] + 1e-6  # a budget overstepped by 1e-7, at a price below 10
        if value >= found.reward[i] - 1e-6:
            reached += 1
            np.testing.assert_allclose(law, np.exp(found.log_p[i]), rtol=0, atol=2e-3)  # the square root of that
    assert reached >= 50  # SLSQP gets stuck on the way in some


def gaps_within_budget(ref, reward, kl_budget, policy):
    """What a policy within the budget loses against the optimum, and the least it must lose by the theorem."""
    found = tilt_to_kl(ref, reward, kl_budget)
    return found.reward - expectation(policy, reward), found.beta * kl_divergence(policy, found.log_p)


def test_no_policy_within_the_budget_does_better():
    ref, reward, _ = problems(7)
    kl_budget = np.random.default_rng(7).uniform(0.01, 0.99, INSTANCES) * max_kl(ref, reward)
    optimum = tilt_to_kl(ref, reward, kl_budget).log_p
    for seed in range(10):
        policy = within(kl_budget, policies_on(ref, seed), ref)
        assert np.all(kl_divergence(policy, ref) <= kl_budget * (1 + ROUNDING))
        lost, least = gaps_within_budget(ref, reward, kl_budget, policy)
        assert np.all(lost >= least - ROUNDING)
        assert np.all((lost > 0) | (kl_divergence(policy, optimum) < 1e-9))


def test_no_point_of_a_fine_grid_on_three_answers_does_better():
    share = np.linspace(0, 1, 201)
    x, y = (part.ravel() for part in np.meshgrid(share, share))
    kept = x + y <= 1
    with np.errstate(divide="ignore"):
        grid = np.log(np.stack([x, y, np.maximum(1 - x - y, 0)], axis=-1)[kept])
    rng = np.random.default_rng(8)
    for ref, reward in zip(
        normalized(rng.standard_normal((INSTANCES, 3)) / 2), rng.random((INSTANCES, 3)), strict=True
    ):
        kl_budget = 0.5 * float(max_kl(ref, reward))
        best = float(tilt_to_kl(ref, reward, kl_budget).reward)
        feasible = plain_kl(grid, ref) <= kl_budget
        rewards = plain_mean(grid, reward)[feasible]
        assert np.max(rewards) <= best + ROUNDING
        assert np.max(rewards) >= best - 0.05 * np.ptp(reward)  # ten grid steps


def test_exactly_one_beta_spends_the_budget():
    ref, reward, beta = problems(9)
    spent = kl_divergence(tilt(ref, reward, beta), ref)
    inside = spent < 0.99 * max_kl(ref, reward)  # nearer the maximum a float's KL no longer tells betas apart
    found = tilt_to_kl(ref, reward, spent)
    assert np.sum(inside) >= 50
    np.testing.assert_allclose(found.beta[inside], beta[inside], rtol=1e-10)


def test_with_a_constant_reward_every_policy_is_optimal():
    ref = problems(10).ref
    reward = np.full(ref.shape, 2.0)
    lost, _ = gaps_within_budget(ref, reward, 0.1, within(0.1, policies_on(ref, 0), ref))
    assert not np.any(lost > ROUNDING)


# At and beyond the largest budget


def test_at_and_beyond_the_largest_budget_the_best_answers_remain():
    ref, reward, _ = problems(11)
    most = max_kl(ref, reward)
    best = np.where((reward == np.max(np.where(ref > -np.inf, reward, -np.inf), axis=-1, keepdims=True)), ref, -np.inf)
    expected = normalized(best)
    np.testing.assert_allclose(most, -np.log(np.sum(np.exp(best), axis=-1)), rtol=1e-12)
    for kl_budget in (most, 2 * most, np.inf):
        found = tilt_to_kl(ref, reward, kl_budget)
        np.testing.assert_allclose(np.exp(found.log_p), np.exp(expected), rtol=1e-13)
        assert np.all(found.beta == 0)
    # any policy that gives best answers only costs kappa_max plus its distance from the conditioned reference
    policy = np.where(best > -np.inf, policies_on(expected, 0), -np.inf)
    total = plain_kl(policy, ref)
    np.testing.assert_allclose(total, most + plain_kl(policy, expected), rtol=0, atol=ROUNDING)


def is_the_only_best(law, reward, kl_budget, ref):
    """Whether none of 500 policies within the budget earns as much as this law without being it."""
    others = policies_on(np.broadcast_to(law, (500, *law.shape)), 0)
    allowed = (plain_kl(others, ref) <= kl_budget) & (plain_kl(others, law) > 1e-6)
    return not np.any(plain_mean(others, reward)[allowed] >= plain_mean(law, reward) - ROUNDING)


def test_beyond_the_largest_budget_ties_make_many_policies_optimal():
    ref, reward = normalized(np.zeros(4)), np.array([1.0, 1.0, 0.0, 0.5])
    most = float(max_kl(ref, reward))
    inside, beyond = 0.9 * most, 1.5 * most
    assert is_the_only_best(tilt_to_kl(ref, reward, inside).log_p, reward, inside, ref)
    assert not is_the_only_best(tilt_to_kl(ref, reward, beyond).log_p, reward, beyond, ref)


def test_a_best_answer_the_reference_never_gives_is_never_given():
    ref, reward, beta = problems(12)
    ref, reward, beta = ref[::6], reward[::6].copy(), beta[::6]
    reward[:, 0] = 1e6
    assert np.all(np.exp(tilt(ref, reward, beta))[:, 0] == 0)
    assert np.all(np.exp(tilt_to_kl(ref, reward, np.inf).log_p)[:, 0] == 0)
    assert np.all(np.exp(tilt_to_kl(ref, reward, 0.01).log_p)[:, 0] == 0)


# The frontier


def price_errors(reward_at, beta_at, budgets):
    """Relative difference of the frontier's slope, by five points, from the beta that is spent there."""
    h = 1e-3 * budgets
    near = 8 * (reward_at(budgets + h) - reward_at(budgets - h))
    far = reward_at(budgets + 2 * h) - reward_at(budgets - 2 * h)
    return np.abs((near - far) / (12 * h) / beta_at(budgets) - 1)


def test_beta_is_the_price_of_the_next_nat():
    ref, reward, _ = problems(13)
    budgets = np.array([0.05, 0.2, 0.5, 0.8])[:, None] * max_kl(ref, reward)
    errors = price_errors(
        lambda k: tilt_to_kl(ref, reward, k).reward, lambda k: tilt_to_kl(ref, reward, k).beta, budgets
    )
    assert np.max(errors) < 1e-8  # rounding of 1e-16 over a step of 1e-3 and its fourth power


def test_the_frontier_rises_is_strictly_concave_and_flat_in_the_end():
    ref, reward, _ = problems(14)
    shares = np.linspace(0, 1, 41)[:, None]
    rewards = tilt_to_kl(ref, reward, shares * max_kl(ref, reward)).reward
    assert np.all(np.diff(rewards, axis=0) > 0)
    assert np.all(np.diff(rewards, 2, axis=0) < 0)
    beyond = tilt_to_kl(ref, reward, (1 + shares) * max_kl(ref, reward)).reward
    assert np.all(beyond == beyond[0])


def test_along_mixtures_with_the_best_answers_beta_is_not_the_price():
    ref, reward = normalized([0.0, 0.0, 0.0, -2.0]), np.array([0.0, 0.3, 0.6, 1.0])
    best = np.array([0.0, 0.0, 0.0, 1.0])
    share = np.linspace(0, 1, 4001)[:, None]
    with np.errstate(divide="ignore"):
        path = np.log((1 - share) * np.exp(ref) + share * best)
    spent, earned = plain_kl(path, ref), plain_mean(path, reward)
    budgets = np.array([0.1, 0.5, 1.0])
    assert np.all(np.interp(budgets, spent, earned) < tilt_to_kl(ref, reward, budgets).reward - 0.01)
    errors = price_errors(lambda k: np.interp(k, spent, earned), lambda k: tilt_to_kl(ref, reward, k).beta, budgets)
    assert np.min(errors) > 0.01


# The identity, and near-optimal policies


def misses_of_the_identity(problem, policy, pivot):
    ref, reward, beta = problem
    accounts = plain_kl(policy, ref) - plain_kl(pivot, ref)
    accounts = accounts + (plain_mean(pivot, reward) - plain_mean(policy, reward)) / beta
    return np.abs(plain_kl(policy, pivot) - accounts)


def test_the_identity():
    problem = problems(15)
    for seed in range(5):
        policy = policies_on(problem.ref, seed)
        assert np.all(misses_of_the_identity(problem, policy, tilt(*problem)) < 100 * ROUNDING)  # rewards over 0.1
        gap = near_optimality_gap(policy, *problem)
        np.testing.assert_allclose(gap, kl_divergence(policy, tilt(*problem)), rtol=1e-9, atol=100 * ROUNDING)


def test_the_identity_belongs_to_the_tilt_alone():
    problem = problems(16)
    policy, other = policies_on(problem.ref, 0), policies_on(problem.ref, 1)
    far = kl_divergence(other, tilt(*problem)) > 1e-3
    assert np.sum(far) >= 30
    assert np.all(misses_of_the_identity(problem, policy, other)[far] > 1e-9)


def test_near_optimal_is_near():
    """Same budget or less, and a reward within epsilon: then D(pi || pi_beta) is at most epsilon / beta."""
    ref, reward, _ = problems(17)
    kl_budget = 0.4 * max_kl(ref, reward)
    found = tilt_to_kl(ref, reward, kl_budget)
    for seed in range(10):
        policy = within(kl_budget, policies_on(found.log_p, seed), ref)
        epsilon = found.reward - expectation(policy, reward)
        assert np.all(kl_divergence(policy, found.log_p) <= epsilon / found.beta + 100 * ROUNDING)


def test_a_policy_that_spends_more_may_earn_as_much_and_be_far():
    ref, reward, _ = problems(17)
    found, richer = (tilt_to_kl(ref, reward, share * max_kl(ref, reward)) for share in (0.4, 0.8))
    epsilon = found.reward - richer.reward
    assert np.all(epsilon < 0)
    assert np.all(kl_divergence(richer.log_p, found.log_p) > epsilon / found.beta + 1e-3)


def test_at_small_beta_a_near_optimal_policy_may_be_far():
    ref, reward = np.log([0.2, 0.2, 0.6]), np.array([1.0, 0.99, 0.0])
    for beta, moved_at_least, moved_at_most in ((0.5, 0.0, 0.01), (0.001, 0.999, 1.0)):
        law = tilt(ref, reward, beta)
        swapped = law[[1, 0, 2]]
        lost = float(expectation(law, reward) - expectation(swapped, reward))
        assert 0 < lost < 0.01
        assert float(kl_divergence(swapped, ref)) == pytest.approx(float(kl_divergence(law, ref)), rel=1e-12)
        assert float(kl_divergence(swapped, law)) <= lost / beta + ROUNDING
        assert moved_at_least <= np.sum(np.abs(np.exp(law) - np.exp(swapped))) / 2 <= moved_at_most


# What a budget buys


def misses_of_jeffreys(problem, policy):
    ref, reward, beta = problem
    both_ways = plain_kl(policy, ref) + plain_kl(ref, policy)
    return np.abs(plain_mean(policy, reward) - plain_mean(ref, reward) - beta * both_ways)


def test_the_gain_is_a_jeffreys_divergence():
    problem = problems(18)
    assert np.all(misses_of_jeffreys(problem, tilt(*problem)) < ROUNDING * (1 + problem.beta))


def test_the_gain_of_another_policy_is_no_jeffreys_divergence():
    problem = problems(18)
    policy = policies_on(problem.ref, 0)
    far = kl_divergence(policy, tilt(*problem)) > 1e-2
    assert np.sum(far) >= 30
    assert not np.any(misses_of_jeffreys(problem, policy)[far] < 1e-6)


def excess_over_the_small_budget_formula(ref, reward, kl_budget):
    """(gain / (v sqrt(2 kappa)) - 1) / sqrt(kappa)."""
    mean = expectation(ref, reward)
    gain = expectation(tilt_to_kl(ref, reward, kl_budget).log_p, reward - mean[..., None])
    return (gain / np.sqrt(2 * variance(ref, reward) * kl_budget) - 1) / np.sqrt(kl_budget)


def test_a_small_budget_buys_standard_deviations():
    ref, reward, _ = problems(19)
    mean = expectation(ref, reward)[:, None]
    skewness = expectation(ref, (reward - mean) ** 3) / variance(ref, reward) ** 1.5
    for kl_budget in (1e-4, 1e-6, 1e-8):
        excess = excess_over_the_small_budget_formula(ref, reward, kl_budget)
        # the next term is sqrt(2) skewness / 6; after it comes one of order sqrt(kappa) times the kurtosis
        tolerance = 10 * math.sqrt(kl_budget) * (1 + skewness**2) + 1e-7
        assert np.all(np.abs(excess - math.sqrt(2) / 6 * skewness) < tolerance)


def test_a_rare_jackpot_has_no_small_budgets():
    """As the variance loses its finite bound on higher moments, so does the constant in O(sqrt(kappa))."""
    rare = np.array([1e-4, 1e-8, 1e-12])
    ref = np.log(np.stack([rare, 1 - rare], axis=-1))
    reward = np.stack([rare**-0.5, 0 * rare], axis=-1)  # variance one
    np.testing.assert_allclose(variance(ref, reward), 1, rtol=1e-3)
    excess = np.abs(excess_over_the_small_budget_formula(ref, reward, 1e-4))
    ordinary = excess_over_the_small_budget_formula(np.log([0.5, 0.5]), np.array([2.0, 0.0]), 1e-4)
    assert abs(float(ordinary)) < 0.01
    assert np.all(excess > 10)


def stays_under_the_cap(ref, reward, policy, scale):
    gain = plain_mean(policy, reward) - plain_mean(ref, reward)
    return gain <= scale * np.sqrt(2 * np.maximum(plain_kl(policy, ref), 0)) + ROUNDING


def test_no_method_beats_the_sub_gaussian_cap():
    ref, reward, beta = problems(20)
    reward = (reward - reward.min()) / np.ptp(reward)
    scale = 0.5  # Hoeffding: a reward between 0 and 1
    a = np.linspace(-30, 30, 121)[:, None, None]
    centered = reward - plain_mean(ref, reward)[:, None]
    log_mgf = np.log(np.sum(np.exp(ref + a * centered), axis=-1))
    assert np.all(log_mgf <= a[..., 0] ** 2 * scale**2 / 2 + ROUNDING)
    assert np.all(stays_under_the_cap(ref, reward, tilt(ref, reward, beta / 10), scale))
    for seed in range(20):
        assert np.all(stays_under_the_cap(ref, reward, policies_on(ref, seed), scale))


def test_a_normal_reward_attains_the_cap():
    reward = np.linspace(-12, 12, 2401)
    ref = normalized(-(reward**2) / 2)
    found = tilt_to_kl(ref, reward, np.array([0.01, 0.5, 2.0, 8.0]))
    np.testing.assert_allclose(found.reward, np.sqrt(2 * found.kl), rtol=1e-9)  # the grid ends 8 deviations beyond


def test_a_heavy_tail_breaks_through_the_cap():
    rare = 1e-4
    ref, reward = np.log([rare, 1 - rare]), np.array([rare**-0.5, 0.0])
    deviation = math.sqrt(float(variance(ref, reward)))
    policies = tilt_to_kl(ref, reward, np.array([0.01, 0.1, 1.0])).log_p
    assert not np.any(stays_under_the_cap(ref, reward, policies, deviation))
    assert np.all(stays_under_the_cap(ref, reward, policies, np.ptp(reward) / 2))  # Hoeffding's scale still holds


# What changes nothing


def test_a_constant_added_to_the_reward_changes_no_tilt():
    ref, reward, beta = problems(21)
    for constant in (-100.0, 3.0, 1e3):
        # the shifted rewards themselves round to 1e-16 of the constant, divided by beta
        assert np.max(np.abs(np.exp(tilt(ref, reward + constant, beta)) - np.exp(tilt(ref, reward, beta)))) < 1e-11


def test_reward_and_beta_scaled_together_change_no_tilt():
    ref, reward, beta = problems(22)
    for scale in (1e-3, 0.5, 1e4):
        scaled = tilt(ref, scale * reward, scale * beta)
        np.testing.assert_allclose(np.exp(scaled), np.exp(tilt(ref, reward, beta)), rtol=0, atol=1e-13)


def test_the_reward_scaled_alone_changes_the_tilt():
    ref, reward, beta = problems(22)
    moved = np.max(np.abs(np.exp(tilt(ref, 2 * reward, beta)) - np.exp(tilt(ref, reward, beta))), axis=-1)
    assert np.sum(moved > 1e-6) >= 50  # the others have the best answer alone at either scale


# Gradient ascent


def test_gradient_ascent_rises_to_the_tilt_and_rests_there():
    rng = np.random.default_rng(23)
    ref, reward = normalized(0.5 * rng.standard_normal((INSTANCES, 4))), rng.uniform(0, 1, (INSTANCES, 4))
    beta = rng.uniform(0.3, 1, INSTANCES)
    run = [shot.objective for shot in itertools.islice(gradient_ascent(ref, reward, beta, 0.5, record_every=20), 60)]
    assert np.min(np.diff(run, axis=0)) >= -1e-15
    optimum = tilt(ref, reward, beta)
    last = next(itertools.islice(gradient_ascent(ref, reward, beta, 0.5, record_every=3000), 1, None))
    np.testing.assert_allclose(last.log_p, optimum, rtol=0, atol=1e-9)
    np.testing.assert_allclose(objective_gradient(optimum, ref, reward, beta), 0, rtol=0, atol=1e-15)
    rest = next(itertools.islice(gradient_ascent(ref, reward, beta, 0.5, start_logits=optimum), 100, None))
    np.testing.assert_allclose(rest.log_p, optimum, rtol=0, atol=1e-13)


def after(ref, reward, beta, rate, start, steps):
    """The distance of the law from the tilt after some steps."""
    run = gradient_ascent(ref, reward, beta, rate, start_logits=start, record_every=steps)
    law = next(itertools.islice(run, 1, None)).log_p
    return np.abs(np.exp(law) - np.exp(tilt(ref, reward, beta))).sum(axis=-1)


def stable_rate(law, beta):
    """2 / (beta lambda), lambda the largest eigenvalue of diag(p) - p p', as a spectral norm."""
    largest = [np.linalg.norm(np.diag(p) - np.outer(p, p), ord=2) for p in law]
    return 2 / (beta * np.array(largest))


def test_how_large_a_step():
    """Close to the tilt, steps two percent below the edge come closer and steps two percent beyond it leave."""
    rng = np.random.default_rng(25)
    ref, reward = normalized(0.5 * rng.standard_normal((INSTANCES, 4))), rng.uniform(0, 1, (INSTANCES, 4))
    beta = rng.uniform(0.3, 2, INSTANCES)
    optimum = tilt(ref, reward, beta)
    start = optimum + 1e-6 * rng.standard_normal((INSTANCES, 4))
    near = np.abs(np.exp(start) / np.exp(start).sum(-1, keepdims=True) - np.exp(optimum)).sum(-1)
    edge = stable_rate(np.exp(optimum), beta)
    assert np.all(after(ref, reward, beta, 0.98 * edge, start, 1000) < 1e-3 * near)
    assert np.all(after(ref, reward, beta, 1.02 * edge, start, 1000) > 1e3 * near)


def test_started_far_away_a_stable_step_may_never_arrive():
    """The running example at beta 0.1: the first long step flings the law into a corner, where nothing pulls."""
    ref, reward = np.log([[0.2, 0.4, 0.3, 0.1]]), np.array([[1.0, 0.0, 0.6, 0.0]])
    rate = 0.95 * stable_rate(np.exp(tilt(ref, reward, 0.1)), 0.1)
    near = tilt(ref, reward, 0.1) + np.array([[1e-6, -1e-6, 0.0, 0.0]])
    assert after(ref, reward, 0.1, rate, near, 1000) < 1e-9
    assert after(ref, reward, 0.1, rate, ref, 1000) > 1e-2


def test_gradient_ascent_with_too_long_steps_never_settles():
    # near the optimum a step multiplies the distance by 1 - rate beta (diag p - p p'): beyond 2 it grows
    rng = np.random.default_rng(24)
    ref, reward = normalized(0.5 * rng.standard_normal((INSTANCES, 4))), rng.uniform(0, 1, (INSTANCES, 4))
    law = np.exp(tilt(ref, reward, 0.5))
    curvature = [np.linalg.eigvalsh(np.diag(p) - np.outer(p, p)).max() for p in law]
    rate = 3 / (0.5 * np.array(curvature))
    run = [shot.objective for shot in itertools.islice(gradient_ascent(ref, reward, 0.5, rate), 400)]
    late = np.diff(run[200:], axis=0)
    assert np.all(np.min(late, axis=0) < -1e-6)
    assert np.all(np.max(late, axis=0) > 1e-6)
