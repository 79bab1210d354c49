"""Where climbs come to rest: the exact flow, GRPO's, and the one with k3 in the loss; what GRPO follows on average.

Each statement on random instances, at its edges, and once without one of its assumptions. The second opinion: scipy's
integrator on flows written out here, roots by scipy, sums over all groups or over how often each answer is drawn.
Means of samples from groups, PPO's clip and KL estimates have `test_policy_gradient`.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from strategies import normalized

from alignbook.experiments.running_example import REF_LOG_P, REWARD
from alignbook.experiments.which_gradient_is_honest import expected
from alignbook.gradient_estimators import grpo_advantages, penalized_reward, rloo_advantages, score_gradient
from alignbook.information import kl_divergence, variance, win_rate
from alignbook.kl_estimators import k2_slope, k3_slope
from alignbook.policy_gradient import objective_gradient
from alignbook.tilting import tilt

INSTANCES = 60


class Problem(NamedTuple):
    """A reference, a reward and a price."""

    ref: Any
    reward: Any
    beta: float


def problems(seed, answers=4):
    """References with mass everywhere, rewards within a unit or two, betas from 0.3 to 3."""
    rng = np.random.default_rng(seed)
    refs = normalized(rng.standard_normal((INSTANCES, answers)))
    rewards = (
        rng.permuted(np.tile(np.arange(answers), (INSTANCES, 1)), axis=-1) / 2 + rng.random((INSTANCES, answers)) / 3
    )
    return [Problem(*row) for row in zip(refs, rewards, 10.0 ** rng.uniform(-0.5, 0.5, INSTANCES), strict=True)]


def starts(seed, answers=4):
    return normalized(1.5 * np.random.default_rng(seed).standard_normal((INSTANCES, answers)))


def law_of(logits):
    weight = np.exp(logits - logits.max())
    return weight / weight.sum()


def centered(law, values):
    return law * (values - law @ values)


def flow(slope, start, times, until=1.0):
    """The law at these times along dz/dt = pi (slope - E slope), where `slope` sees log pi.

    Once an answer has the probability `until` nothing more is integrated, and that law is all there is.
    """

    def pull(_, logits):
        law = law_of(logits)
        return centered(law, slope(np.log(law)))

    def sure(_, logits):
        return law_of(logits).max() - until

    sure.terminal = True
    options = {"t_eval": times, "method": "LSODA", "rtol": 1e-10, "atol": 1e-12}
    found = solve_ivp(pull, (0, times[-1]), start, events=sure, **options)
    assert found.success
    return normalized(found.y_events[0] if len(found.y_events[0]) else found.y.T)


def spread(log_ratio):
    return np.max(log_ratio, axis=-1) - np.min(log_ratio, axis=-1)


# One zero, and the flow finds it


def promised_rate(problem, start):
    optimum = tilt(*problem)
    return 2 * problem.beta * math.exp(-2 * spread(start - optimum)) * math.exp(optimum.min())


def test_one_zero_inside_the_simplex_the_tilt():
    for problem, policy in zip(problems(0), starts(0), strict=True):
        optimum = tilt(*problem)
        assert np.max(np.abs(objective_gradient(optimum, *problem))) < 1e-13
        # elsewhere the gradient is at least what the proof says
        log_ratio = policy - optimum
        least = problem.beta * np.sqrt(math.exp(policy.min()) * variance(policy, log_ratio))
        length = np.linalg.norm(objective_gradient(policy, *problem))
        assert length >= least > 0


def test_without_mass_on_every_answer_the_gradient_vanishes_elsewhere_too():
    for problem in problems(1):
        face = problem.ref.copy()
        face[0] = -np.inf
        on_face = tilt(normalized(face), problem.reward, problem.beta)
        assert np.max(np.abs(objective_gradient(on_face, *problem))) < 1e-13
        assert np.max(np.abs(np.exp(on_face) - np.exp(tilt(*problem)))) > 1e-6


def misses_of_the_promise(problem, start):
    """By how much log D exceeds the promised line, at the worst of twenty times."""
    times = np.linspace(0, 30 / problem.beta, 21)
    laws = flow(lambda log_p: problem.reward - problem.beta * (log_p - problem.ref), start, times)
    distance = kl_divergence(laws, tilt(*problem))
    ahead = np.log(distance) - (np.log(distance[0]) - promised_rate(problem, start) * times)
    return np.max(ahead[distance > 1e-14]), spread(laws - tilt(*problem))


def test_the_flow_finds_the_tilt_at_the_promised_rate():
    for problem, start in zip(problems(2), starts(2), strict=True):
        miss, widths = misses_of_the_promise(problem, start)
        assert miss < 1e-6
        assert np.all(np.diff(widths) < 1e-6)


def test_a_rate_without_the_penalty_for_a_far_start_is_not_kept():
    """The promise at the tilt itself, d = 0, fails from far starts: the factor e^(-2d) is no decoration."""
    broken = 0
    for problem, start in zip(problems(2), 4 * starts(2), strict=True):
        start = normalized(start)
        times = np.linspace(0, 30 / problem.beta, 21)
        laws = flow(lambda log_p, p=problem: p.reward - p.beta * (log_p - p.ref), start, times)
        distance, optimum = kl_divergence(laws, tilt(*problem)), tilt(*problem)
        line = distance[0] * np.exp(-2 * problem.beta * math.exp(optimum.min()) * times)
        broken += bool(np.any(distance > 1.01 * line))
    assert broken > INSTANCES / 2


# The noise dies at the tilt, and nowhere else


def test_away_from_the_tilt_some_estimate_of_rloo_is_not_zero():
    groups = np.array(list(itertools.product(range(4), repeat=2)))
    for problem, policy in zip(problems(3), starts(3), strict=True):
        largest = []
        for law in (tilt(*problem), policy):
            values = penalized_reward(law, *problem)
            largest.append(np.max(np.abs(score_gradient(law, groups, rloo_advantages(values[groups])))))
        assert largest[0] < 1e-14
        assert largest[1] > 1e-3


# What GRPO follows


def three_values(seed):
    """Rewards of three values, the best far above the others, and policies."""
    return list(zip((np.exp(3 * p.reward) for p in problems(seed, 3)), starts(seed, 3), strict=True))


def wins_alone(policy, reward):
    """The win rate of each answer against a draw from the policy."""
    alone = np.log(np.eye(3), where=np.eye(3) > 0, out=np.full((3, 3), -np.inf))
    return win_rate(alone, policy, reward)


def test_in_pairs_grpo_climbs_the_win_rate():
    for reward, policy in three_values(4):
        wins = wins_alone(policy, reward)
        found = expected(policy, reward, 2, grpo_advantages)
        np.testing.assert_allclose(found, math.sqrt(2) * np.exp(policy) * (wins - 0.5), rtol=0, atol=1e-13)


def test_in_triples_it_does_not():
    apart = []
    for reward, policy in three_values(4):
        wins = np.exp(policy) * (wins_alone(policy, reward) - 0.5)
        found = expected(policy, reward, 3, grpo_advantages)
        apart.append(np.linalg.norm(found / np.linalg.norm(found) - wins / np.linalg.norm(wins)))
    assert np.median(apart) > 1e-2


def test_in_large_groups_grpo_is_the_gradient_over_the_deviation():
    for problem, policy in zip(problems(5, 3), starts(5, 3), strict=True):
        reward = problem.reward
        limit = centered(np.exp(policy), reward) / np.sqrt(variance(policy, reward))
        misses = [np.linalg.norm(expected(policy, reward, size, grpo_advantages) - limit) for size in (20, 40, 80)]
        assert misses[0] > misses[1] > misses[2]
        assert misses[2] < 0.05


# Where GRPO comes to rest in large groups


def deviation(problem, price):
    return float(np.sqrt(variance(tilt(problem.ref, problem.reward, price), problem.reward)))


def grpos_slope(problem):
    def slope(log_p):
        law = np.exp(log_p)
        away = problem.reward - law @ problem.reward
        return away / np.sqrt(law @ away**2) - problem.beta * (log_p - problem.ref)

    return slope


def lowest_beta(problem):
    """The least beta at which GRPO has a place of rest, and the price there."""
    prices = np.geomspace(1e-2, 20, 4000)
    asked = prices / np.sqrt(variance(tilt(problem.ref, problem.reward, prices), problem.reward))
    return asked.min(), prices[asked.argmin()]


def rest_misses(problem, price):
    """How far GRPO's limit is from resting at the tilt of a price."""
    law = tilt(problem.ref, problem.reward, price)
    return np.max(np.abs(centered(np.exp(law), grpos_slope(problem)(law))))


def test_grpo_rests_at_the_tilt_whose_price_is_beta_deviations():
    for problem in problems(6):
        least, turn = lowest_beta(problem)
        problem = problem._replace(beta=1.5 * least)
        price = brentq(lambda p, q=problem: p - q.beta * deviation(q, p), turn, 100, xtol=1e-13)
        assert rest_misses(problem, price) < 1e-11
        assert rest_misses(problem, problem.beta) > 1e-5  # the tilt of its own beta is no place of rest
        course = flow(grpos_slope(problem), problem.ref, np.array([0.0, 50.0, 400.0]))
        left = kl_divergence(course, tilt(problem.ref, problem.reward, price))
        assert left[0] > 20 * left[1] >= 20 * left[2]  # rare answers are slow to follow


def test_below_the_lowest_beta_grpo_has_no_place_of_rest():
    prices = np.geomspace(1e-2, 20, 1000)
    for problem in problems(7):
        deviations = np.sqrt(variance(tilt(problem.ref, problem.reward, prices), problem.reward))
        beta = 0.99 * lowest_beta(problem)[0]
        assert np.all(prices > beta * deviations)


def test_on_the_running_example_grpo_then_says_canberra_alone():
    problem = Problem(REF_LOG_P, REWARD, 0.5)
    assert lowest_beta(problem)[0] == pytest.approx(1.0693, abs=1e-4)
    end = flow(grpos_slope(problem), problem.ref, np.array([0.0, 1000.0]), until=0.999)[-1]
    assert np.argmax(end) == 0
    assert math.exp(end[0]) > 0.998


def test_on_the_running_example_the_lower_of_two_places_of_rest_repels():
    """From tilts at prices on its two sides the flow goes apart: up to the higher price, or to Canberra alone."""
    problem = Problem(REF_LOG_P, REWARD, 2.0)
    _, turn = lowest_beta(problem)
    lower = brentq(lambda p: p - problem.beta * deviation(problem, p), 0.02, turn, xtol=1e-13)
    higher = brentq(lambda p: p - problem.beta * deviation(problem, p), turn, 5, xtol=1e-13)
    assert (lower, higher) == pytest.approx((0.0801, 0.7971), abs=1e-4)
    assert rest_misses(problem, lower) < 1e-11
    times = np.array([0.0, 1e7])  # answers that have become rare are slow to come back
    back = flow(grpos_slope(problem), tilt(problem.ref, problem.reward, 1.02 * lower), times, until=0.999)[-1]
    away = flow(grpos_slope(problem), tilt(problem.ref, problem.reward, 0.98 * lower), times, until=0.999)[-1]
    assert kl_divergence(back, tilt(problem.ref, problem.reward, higher)) < 1e-3
    assert math.exp(away[0]) > 0.998


# Where a climb with k3 in the loss comes to rest


def rest_with_k3(problem):
    """beta pi_ref / (lambda - r), with the lambda that makes it a law."""

    def excess(height):
        return np.sum(problem.beta * np.exp(problem.ref) / (height - problem.reward)) - 1

    top = problem.reward.max()
    height = brentq(excess, top + 1e-12, top + problem.beta + 1e-9, xtol=1e-14)
    return np.log(problem.beta * np.exp(problem.ref) / (height - problem.reward))


@pytest.mark.parametrize(("slope", "rests"), [(k3_slope, True), (k2_slope, False)])
def test_with_k3_in_the_loss_the_climb_rests_at_a_power_law(slope, rests):
    for problem in problems(8):
        law = rest_with_k3(problem)
        pull = problem.reward - problem.beta * slope(law - problem.ref)
        assert (np.max(np.abs(centered(np.exp(law), pull))) < 1e-10) == rests
        times = np.array([0.0, 500.0 / problem.beta])
        end = flow(lambda x, p=problem: p.reward - p.beta * slope(x - p.ref), problem.ref, times)[-1]
        assert (np.max(np.abs(np.exp(end) - np.exp(law))) < 1e-5) == rests
