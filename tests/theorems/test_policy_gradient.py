"""The statements about policy gradients from samples, each on random instances, at its edges, and once without an
assumption.

Means and variances are sums over every group that can be drawn, with its probability; what they are held against comes
from torch's autograd or from mpmath. A check that must fail without an assumption is the same function that passes
with it.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from strategies import normalized

from alignbook.arrays import to_engine
from alignbook.gradient_estimators import (
    at_answers,
    clipped_surrogate,
    clipped_surrogate_gradient,
    grpo_advantages,
    mean_baseline_advantages,
    penalized_reward,
    rloo_advantages,
    score_gradient,
)
from alignbook.information import kl_divergence
from alignbook.kl_estimators import k1, k1_slope, k2, k2_slope, k3, k3_slope
from alignbook.tilting import tilt

INSTANCES = 60
ROUNDING = 1e-12  # of sums over a thousand groups of values up to some tens


class Problem(NamedTuple):
    """A batch of policies, references, rewards and prices."""

    log_p: Any
    ref: Any
    reward: Any
    beta: Any


def problems(seed, answers=3):
    """Policies and references, some with an answer neither gives; rewards with ties; betas from 0.1 to 3."""
    rng = np.random.default_rng(seed)
    policy, ref = 1.5 * rng.standard_normal((2, INSTANCES, answers))
    policy[::7, 0] = ref[::7, 0] = -np.inf
    reward = 2 * rng.standard_normal((INSTANCES, answers))
    reward[1::5, 1] = reward[1::5, 2]
    return Problem(normalized(policy), normalized(ref), reward, 10.0 ** rng.uniform(-1, 0.5, INSTANCES))


def inner_problems(seed, answers=3):
    """Problems in which every answer has mass and rewards differ."""
    rng = np.random.default_rng(seed)
    policy, ref = normalized(rng.standard_normal((2, INSTANCES, answers)))
    reward = rng.permuted(np.tile(np.arange(answers), (INSTANCES, 1)), axis=-1) + rng.random((INSTANCES, answers)) / 2
    return Problem(policy, ref, reward, rng.uniform(0.3, 2, INSTANCES))


def autograd_objective(problem):
    """The gradient of J with respect to logits."""
    logits, ref, reward = (torch.tensor(np.maximum(x, -1e4)) for x in problem[:3])
    logits.requires_grad_()
    log_p = torch.log_softmax(logits, -1)
    slope = reward - torch.tensor(problem.beta)[:, None] * (log_p - ref)
    return torch.autograd.grad(torch.sum(log_p.exp() * slope), logits)[0].numpy()


def autograd_mean(log_p, reward):
    """The gradient of the mean reward with respect to logits."""
    logits = torch.tensor(log_p, requires_grad=True)
    return torch.autograd.grad(torch.sum(torch.softmax(logits, -1) * torch.tensor(reward)), logits)[0].numpy()


def every_group(answers, size):
    return np.array(list(itertools.product(range(answers), repeat=size)))


def chances(log_p, samples):
    """The probability of each group under each policy."""
    return np.exp(np.sum(log_p[:, samples], axis=-1))


class Estimates(NamedTuple):
    """Every estimate that can occur, and the probability of each."""

    chance: Any
    gradient: Any

    @property
    def mean(self):
        """The mean estimate of each problem."""
        return np.sum(self.chance[..., None] * self.gradient, axis=1)

    @property
    def variance(self):
        """The variance, summed over the logits."""
        return np.sum(self.chance[..., None] * (self.gradient - self.mean[:, None]) ** 2, axis=(1, 2))


def estimates(log_p, values, advantages, size, samples=None):
    """All estimates of a method that turns the values of a group into advantages."""
    samples = every_group(log_p.shape[-1], size) if samples is None else samples
    held = advantages(at_answers(values[:, None], samples))
    chance = chances(log_p, samples)
    gradient = score_gradient(log_p[:, None], samples, held)
    return Estimates(chance / np.sum(chance, axis=-1, keepdims=True), gradient)


def values_of(problem):
    return penalized_reward(*problem)


def directions(gradient):
    return gradient / np.linalg.norm(gradient, axis=-1, keepdims=True)


def angles(found, exact):
    """The sine of the angle between two gradients, of each problem."""
    cosine = np.sum(directions(found) * directions(exact), axis=-1)
    return np.linalg.norm(directions(found) - cosine[:, None] * directions(exact), axis=-1)


# REINFORCE and its baselines


def misses(found, exact):
    return np.max(np.abs(found - exact), axis=-1)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_reinforce_is_unbiased_whatever_the_fixed_baseline(size):
    problem = problems(0)
    exact, baseline = autograd_objective(problem), np.random.default_rng(0).normal(0, 3, (INSTANCES, 1, 1))
    for advantages in (lambda v: v, lambda v: v - baseline):
        found = estimates(problem.log_p, values_of(problem), advantages, size)
        assert np.all(misses(found.mean, exact) < ROUNDING)


def test_a_baseline_that_saw_the_answer_makes_reinforce_biased():
    problem = inner_problems(1)
    found = estimates(problem.log_p, values_of(problem), lambda v: v - v.max(axis=-1, keepdims=True), 3)
    assert np.all(misses(found.mean, autograd_objective(problem)) > 1e-3)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_rloos_mean_over_all_groups_is_the_exact_gradient(size):
    for problem in (problems(2), problems(3, answers=4)):
        found = estimates(problem.log_p, values_of(problem), rloo_advantages, size)
        np.testing.assert_allclose(found.chance.sum(axis=-1), 1, rtol=0, atol=1e-13)
        assert np.all(misses(found.mean, autograd_objective(problem)) < ROUNDING)


def test_on_every_engine_rloos_mean_is_the_exact_gradient(engine):
    problem, samples = problems(3), every_group(3, 3)
    log_p, ref, reward, beta = (to_engine(x, engine) for x in problem)
    values = at_answers(penalized_reward(log_p, ref, reward, beta)[:, None], to_engine(samples, engine, "int64"))
    gradient = score_gradient(log_p[:, None], to_engine(samples, engine, "int64"), rloo_advantages(values))
    mean = np.sum(chances(problem.log_p, samples)[..., None] * np.array(gradient.tolist()), axis=1)
    assert np.all(misses(mean, autograd_objective(problem)) < ROUNDING)


def test_rloo_is_biased_if_a_group_repeats_no_answer():
    problem = inner_problems(4, answers=4)
    distinct = np.array(list(itertools.permutations(range(4), 2)))
    found = estimates(problem.log_p, values_of(problem), rloo_advantages, 2, samples=distinct)
    assert np.all(misses(found.mean, autograd_objective(problem)) > 1e-3)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_mean_baseline_that_holds_the_answer_shrinks_the_gradient(size):
    problem = problems(5)
    found = estimates(problem.log_p, values_of(problem), mean_baseline_advantages, size)
    shrunk = (size - 1) / size * autograd_objective(problem)
    assert np.all(misses(found.mean, shrunk) < ROUNDING)


def test_a_group_of_one_has_no_others_to_compare_with():
    for advantages in (rloo_advantages, grpo_advantages):
        with pytest.raises(ValueError, match="`values` must hold a group of at least 2"):
            advantages(np.zeros((5, 1)))
    assert mean_baseline_advantages(np.ones((5, 1))).tolist() == [[0.0]] * 5


# Their variance


def fixed_baseline(baseline):
    return lambda values: values - np.asarray(baseline)[:, None, None]


def score_squares(log_p):
    """|e_y - pi|^2 of each answer."""
    law = np.exp(log_p)
    return 1 - 2 * law + np.sum(law**2, axis=-1, keepdims=True)


def best_baseline(log_p, values):
    """The mean of the values, weighted by the squared length of the score."""
    weight = np.exp(log_p) * score_squares(log_p)
    return np.sum(weight * values, axis=-1) / np.sum(weight, axis=-1)


def mean_values(problem):
    return np.sum(np.exp(problem.log_p) * values_of(problem), axis=-1)


def test_k_answers_divide_the_variance_of_reinforce_by_k():
    problem = inner_problems(6)
    alone, three = (estimates(problem.log_p, values_of(problem), lambda v: v, size).variance for size in (1, 3))
    np.testing.assert_allclose(three, alone / 3, rtol=1e-10)


def test_no_fixed_baseline_beats_the_reward_weighted_by_squared_scores():
    problem = inner_problems(7)
    values = values_of(problem)
    best = best_baseline(problem.log_p, values)
    least = estimates(problem.log_p, values, fixed_baseline(best), 2).variance
    for shift in (-2.0, -0.1, 0.1, 2.0):
        shifted = estimates(problem.log_p, values, fixed_baseline(best + shift), 2).variance
        # a parabola: the excess is shift^2 times the mean squared score, over the group size
        width = np.sum(np.exp(problem.log_p) * score_squares(problem.log_p), axis=-1)
        np.testing.assert_allclose(shifted - least, shift**2 * width / 2, rtol=0, atol=ROUNDING)


def test_the_mean_reward_may_be_a_worse_baseline_than_none():
    """A policy that is nearly sure of the good answer: scores are long where the reward is low."""
    log_p, values = np.log([[0.9, 0.1]]), np.array([[1.0, 0.0]])
    assert best_baseline(log_p, values) == pytest.approx(0.1)
    none, mean = (estimates(log_p, values, fixed_baseline([b]), 2).variance for b in (0.0, 0.9))
    assert mean > 10 * none


def test_a_constant_added_to_all_rewards_adds_noise_to_reinforce_alone():
    problem = inner_problems(8)
    values = values_of(problem)
    for advantages, unmoved in ((rloo_advantages, True), (grpo_advantages, True), (lambda v: v, False)):
        before, after = (estimates(problem.log_p, v, advantages, 3).variance for v in (values, values + 100.0))
        assert np.all(np.isclose(after, before, rtol=1e-9, atol=ROUNDING) == unmoved)
        assert unmoved or np.all(after > 10 * before)


@pytest.mark.parametrize("size", [3, 4, 6])
def test_rloos_variance_nears_that_of_the_true_mean_as_baseline(size):
    """V_K = [(K - 2) V' + 2 V_2] / (K (K - 1)), V' the variance of a single answer with the baseline E A."""
    problem = inner_problems(9)
    values = values_of(problem)
    known = estimates(problem.log_p, values, fixed_baseline(mean_values(problem)), 1).variance
    pairs, found = (estimates(problem.log_p, values, rloo_advantages, k).variance for k in (2, size))
    np.testing.assert_allclose(found, ((size - 2) * known + 2 * pairs) / (size * (size - 1)), rtol=1e-10)
    assert np.all(found >= known / size)  # not knowing the mean costs something
    assert np.all(found - known / size <= 2 * pairs / (size * (size - 1)))


def at_the_tilt(problem):
    return problem._replace(log_p=tilt(problem.ref, problem.reward, problem.beta))


def test_at_the_tilt_rloo_is_without_noise():
    """With the KL in the reward all answers are worth the same there: no group pulls anywhere."""
    problem = at_the_tilt(problems(10))
    found = estimates(problem.log_p, values_of(problem), rloo_advantages, 3)
    assert np.max(np.abs(found.gradient[found.chance > 0])) < ROUNDING


def test_with_the_kl_in_the_loss_noise_stays_at_the_tilt():
    problem = at_the_tilt(inner_problems(11))
    samples = every_group(3, 3)
    log_ratio = at_answers((problem.log_p - problem.ref)[:, None], samples)
    advantages = rloo_advantages(at_answers(problem.reward[:, None], samples))
    advantages = advantages - problem.beta[:, None, None] * k2_slope(log_ratio)
    gradient = score_gradient(problem.log_p[:, None], samples, advantages)
    found = Estimates(chances(problem.log_p, samples), gradient)
    assert np.all(misses(found.mean, 0) < ROUNDING)
    assert np.all(found.variance > 1e-6)
    assert np.median(found.variance) > 1e-2


# GRPO


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_grpos_mean_is_not_parallel_to_the_gradient_with_three_reward_values(size):
    problem = inner_problems(12)
    found = estimates(problem.log_p, problem.reward, grpo_advantages, size).mean
    apart = angles(found, autograd_mean(problem.log_p, problem.reward))
    assert np.min(apart) > 1e-4
    assert np.median(apart) > 0.05


def binary(problem):
    """A reward of 0 or 1: the best answer wins, in every other problem the two best."""
    ranks = np.argsort(np.argsort(problem.reward, axis=-1), axis=-1)
    wins = 1 + np.arange(INSTANCES) % 2
    return (ranks >= problem.reward.shape[-1] - wins[:, None]).astype(float)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_with_binary_rewards_on_one_prompt_grpos_mean_is_parallel_to_the_gradient(size):
    for answers in (3, 4):
        problem = inner_problems(13, answers)
        reward = binary(problem)
        found = estimates(problem.log_p, reward, grpo_advantages, size).mean
        exact = autograd_mean(problem.log_p, reward)
        assert np.max(angles(found, exact)) < ROUNDING
        assert np.all(np.sum(found * exact, axis=-1) > 0)


def several_prompts(size):
    """GRPO's mean and the gradient where each two neighbors of a batch are one problem of two prompts."""
    problem = inner_problems(13)
    reward = binary(problem)
    found = estimates(problem.log_p, reward, grpo_advantages, size).mean.reshape(-1, 6)
    return angles(found, autograd_mean(problem.log_p, reward).reshape(-1, 6))


@pytest.mark.parametrize("size", [2, 3])
def test_with_binary_rewards_on_several_prompts_it_still_is_in_groups_of_two_and_three(size):
    """Every group that earned both rewards has the same deviation: one winner, or one loser."""
    assert np.max(several_prompts(size)) < ROUNDING


@pytest.mark.parametrize("size", [4, 5, 6])
def test_with_binary_rewards_on_several_prompts_it_is_not_in_larger_groups(size):
    """A prompt counts the more, the less its rewards vary."""
    apart = several_prompts(size)
    assert np.median(apart) > 5e-3
    assert np.sum(apart > 1e-4) > 0.9 * len(apart)


def stretched(reward):
    """Another reward in the same order, ties included."""
    return np.exp(2 * reward) - 7


def test_in_pairs_only_the_sign_of_the_difference_survives():
    rng = np.random.default_rng(14)
    values = rng.standard_normal((INSTANCES, 2))
    values[::10, 1] = values[::10, 0]
    sign = np.sign(values[:, 0] - values[:, 1]) / math.sqrt(2)
    np.testing.assert_allclose(grpo_advantages(values), np.stack([sign, -sign], axis=-1), rtol=1e-14)
    problem = problems(14)
    before, after = (
        estimates(problem.log_p, reward, grpo_advantages, 2).mean
        for reward in (problem.reward, stretched(problem.reward))
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=ROUNDING)


def test_in_groups_of_three_more_than_the_order_counts():
    problem = inner_problems(14)
    before, after = (
        estimates(problem.log_p, reward, grpo_advantages, 3).mean
        for reward in (problem.reward, stretched(problem.reward))
    )
    assert np.all(misses(after, before) > 1e-4)


def test_a_group_that_earned_the_same_teaches_grpo_nothing():
    problem = problems(15)
    for reward in (0.0, 0.1, 1e6 / 3):
        found = estimates(problem.log_p, np.full_like(problem.reward, reward), grpo_advantages, 3)
        assert np.all(found.gradient == 0)


# PPO's clip


class Rollouts(NamedTuple):
    """A policy that has moved, the one that drew the answers, the answers, their advantages and the clip range."""

    log_p: Any
    old_log_p: Any
    samples: Any
    advantages: Any
    clip_range: Any


def rollouts(seed, moved=0.3, size=4):
    rng = np.random.default_rng(seed)
    old = normalized(rng.standard_normal((INSTANCES, 5)))
    policy = normalized(old + moved * rng.standard_normal(old.shape))
    samples, advantages = rng.integers(0, 5, (INSTANCES, size)), rng.standard_normal((INSTANCES, size))
    return Rollouts(policy, old, samples, advantages, rng.uniform(0.1, 0.3, INSTANCES))


def surrogate(logits, batch, clip):
    """Unclipped if `clip` is the identity."""
    log_p, old = torch.log_softmax(logits, -1), torch.tensor(batch.old_log_p)
    samples, advantages = torch.tensor(batch.samples), torch.tensor(batch.advantages)
    ratio = torch.exp(torch.gather(log_p, -1, samples) - torch.gather(old, -1, samples))
    return torch.mean(torch.minimum(ratio * advantages, clip(ratio) * advantages), -1)


def clip_to(batch):
    limit = torch.tensor(batch.clip_range)[:, None]
    return lambda ratio: torch.minimum(torch.maximum(ratio, 1 - limit), 1 + limit)


def autograd_surrogate(batch, clip):
    logits = torch.tensor(batch.log_p, requires_grad=True)
    value = surrogate(logits, batch, clip)
    return value.detach().numpy(), torch.autograd.grad(value.sum(), logits)[0].numpy()


def test_the_gradient_of_ppos_clipped_surrogate_is_autograds():
    for seed in range(5):
        batch = rollouts(seed)
        value, gradient = autograd_surrogate(batch, clip_to(batch))
        np.testing.assert_allclose(clipped_surrogate(*batch), value, rtol=0, atol=1e-13)
        np.testing.assert_allclose(clipped_surrogate_gradient(*batch), gradient, rtol=0, atol=1e-13)


def test_before_the_first_step_ppos_clip_changes_nothing():
    batch = rollouts(5, moved=0.0)
    unclipped = score_gradient(batch.old_log_p, batch.samples, batch.advantages)
    np.testing.assert_allclose(clipped_surrogate_gradient(*batch), unclipped, rtol=0, atol=1e-14)
    _, exact = autograd_surrogate(batch, lambda ratio: ratio)
    np.testing.assert_allclose(unclipped, exact, rtol=0, atol=1e-13)


def far_beyond(batch, side):
    """The same groups with advantages whose sign asks for more (1) or less (-1) of the move that was made."""
    ratio = np.exp(np.take_along_axis(batch.log_p - batch.old_log_p, batch.samples, -1))
    outside = np.all(np.abs(ratio - 1) > batch.clip_range[:, None], axis=-1)
    advantages = side * np.sign(ratio - 1) * (1 + np.abs(batch.advantages))
    return [x[outside] for x in batch._replace(advantages=advantages)]


def test_where_all_answers_are_clipped_ppos_gradient_vanishes():
    batch = far_beyond(rollouts(6, moved=3.0), side=1)
    assert len(batch[0]) >= 30
    assert np.all(clipped_surrogate_gradient(*batch) == 0)


def test_a_move_to_the_wrong_side_is_never_clipped():
    batch = far_beyond(rollouts(6, moved=3.0), side=-1)
    log_p, old, samples, advantages, _ = batch
    ratio = np.exp(np.take_along_axis(log_p - old, samples, -1))
    unclipped = score_gradient(log_p, samples, ratio * advantages)
    np.testing.assert_allclose(clipped_surrogate_gradient(*batch), unclipped, rtol=1e-12, atol=1e-14)
    assert np.all(np.linalg.norm(unclipped, axis=-1) > 0)


def test_the_clipped_surrogate_never_promises_more_than_the_unclipped_one():
    for seed in range(5):
        batch = rollouts(seed, moved=1.0)
        promised, _ = autograd_surrogate(batch, lambda ratio: ratio)
        assert np.all(clipped_surrogate(*batch) <= promised + 1e-14)
    ratio = np.exp(np.take_along_axis(batch.log_p - batch.old_log_p, batch.samples, -1))
    limit = batch.clip_range[:, None]
    without_the_minimum = np.mean(np.clip(ratio, 1 - limit, 1 + limit) * batch.advantages, axis=-1)
    assert np.any(without_the_minimum > promised + 0.01)


# k1, k2, k3 as values


def expected(log_p, values):
    """The mean over answers drawn from the policy."""
    possible = log_p > -np.inf
    return np.sum(np.where(possible, np.exp(log_p) * np.where(possible, values, 0.0), 0.0), axis=-1)


def log_ratios(problem):
    with np.errstate(invalid="ignore"):
        return np.where(problem.log_p > -np.inf, problem.log_p - problem.ref, 0.0)


def test_k1_and_k3_are_the_divergence_on_average():
    for problem in (problems(16), problems(17, answers=6)):
        exact = kl_divergence(problem.log_p, problem.ref)
        for estimator in (k1, k3):
            found = expected(problem.log_p, estimator(log_ratios(problem)))
            np.testing.assert_allclose(found, exact, rtol=0, atol=ROUNDING)


def test_k3_is_biased_where_the_reference_gives_what_the_policy_never_gives():
    problem = inner_problems(18)
    policy = problem.log_p.copy()
    policy[:, 0] = -np.inf
    problem = problem._replace(log_p=normalized(policy))
    missed = np.exp(problem.ref[:, 0])
    exact = kl_divergence(problem.log_p, problem.ref)
    np.testing.assert_allclose(expected(problem.log_p, k1(log_ratios(problem))), exact, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(expected(problem.log_p, k3(log_ratios(problem))), exact - missed, rtol=0, atol=ROUNDING)


def test_k2_is_biased_in_third_order():
    problem = inner_problems(19)
    for distance in (1.0, 1e-1, 1e-2):
        log_p = normalized(problem.ref + distance * (problem.log_p - problem.ref))
        ratio = log_p - problem.ref
        bias = expected(log_p, k2(ratio)) - kl_divergence(log_p, problem.ref)
        # D = E[l - 1 + e^-l] = E[l^2/2 - l^3/6 + ...]: the bias is E l^3 / 6 and a term of fourth order
        fourth = np.max(np.abs(ratio), axis=-1) ** 4 * np.exp(np.max(np.abs(ratio), axis=-1))
        assert np.all(np.abs(bias - expected(log_p, ratio**3) / 6) <= fourth / 24 + 1e-16)
        assert np.all(np.abs(bias) > 1e-6 * distance**3)


def test_only_k1_is_ever_negative():
    ratio = np.concatenate([np.linspace(-30, 30, 601), 10.0 ** np.arange(-16, 0), [0.0]])
    for estimator in (k2, k3):
        assert np.all(estimator(ratio) >= 0)
        assert np.all(estimator(ratio)[np.abs(ratio) > 1e-7] > 0)
    problem = inner_problems(20)
    assert np.all(np.min(k1(log_ratios(problem)), axis=-1) < 0)


# k1, k2, k3 in the loss


def autograd_divergence(problem, towards_reference):
    """The gradient of D(pi || ref), or of D(ref || pi), with respect to logits."""
    logits, ref = torch.tensor(problem.log_p, requires_grad=True), torch.tensor(problem.ref)
    log_p = torch.log_softmax(logits, -1)
    first, second = (log_p, ref) if towards_reference else (ref, log_p)
    return torch.autograd.grad(torch.sum(first.exp() * (first - second)), logits)[0].numpy()


def mean_in_the_loss(problem, slope, drawn_from=None):
    """The mean gradient of an estimator at answers drawn from the policy, or from another one."""
    samples = every_group(problem.log_p.shape[-1], 1)
    gradient = score_gradient(problem.log_p[:, None], samples, slope(log_ratios(problem)[:, samples]))
    chance = chances(problem.log_p if drawn_from is None else drawn_from, samples)
    return Estimates(chance, gradient).mean


def autograd_in_the_loss(problem, estimator):
    """The same, by autograd through the estimator's own formula."""
    logits = torch.tensor(problem.log_p, requires_grad=True)
    ratio = torch.log_softmax(logits, -1) - torch.tensor(problem.ref)
    loss = torch.sum(torch.exp(torch.tensor(problem.log_p)) * estimator(ratio))
    return torch.autograd.grad(loss, logits)[0].numpy()


def test_slopes_are_autograds():
    problem = inner_problems(21)
    for estimator, slope in ((k1, k1_slope), (k2, k2_slope), (k3, k3_slope)):
        found, exact = mean_in_the_loss(problem, slope), autograd_in_the_loss(problem, estimator)
        np.testing.assert_allclose(found, exact, rtol=0, atol=ROUNDING)


def test_k1_in_the_loss_pulls_nowhere_on_average():
    problem = inner_problems(22)
    assert np.max(np.abs(mean_in_the_loss(problem, k1_slope))) < ROUNDING
    assert np.min(np.max(np.abs(autograd_divergence(problem, True)), axis=-1)) > 1e-3


def test_k2_in_the_loss_pulls_as_the_divergence_does():
    problem = inner_problems(23)
    exact = autograd_divergence(problem, True)
    np.testing.assert_allclose(mean_in_the_loss(problem, k2_slope), exact, rtol=0, atol=ROUNDING)


def test_k2_in_the_loss_is_k1_in_the_reward_sample_by_sample():
    problem = inner_problems(24)
    samples = np.random.default_rng(24).integers(0, 3, (INSTANCES, 8))
    in_reward = at_answers(penalized_reward(problem.log_p, problem.ref, 0 * problem.reward, problem.beta), samples)
    in_loss = -problem.beta[:, None] * k2_slope(at_answers(problem.log_p - problem.ref, samples))
    found, same = (score_gradient(problem.log_p, samples, part) for part in (in_loss, in_reward))
    np.testing.assert_allclose(found, same, rtol=0, atol=1e-14)


def test_k3_in_the_loss_pulls_as_the_other_divergence_does():
    problem = inner_problems(25)
    found = mean_in_the_loss(problem, k3_slope)
    np.testing.assert_allclose(found, autograd_divergence(problem, False), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found, np.exp(problem.log_p) - np.exp(problem.ref), rtol=0, atol=ROUNDING)
    assert np.all(misses(found, autograd_divergence(problem, True)) > 1e-3)


def test_at_answers_of_an_older_policy_none_of_this_holds():
    problem, older = inner_problems(26), inner_problems(27).log_p
    for slope, exact in (
        (k1_slope, 0.0),
        (k2_slope, autograd_divergence(problem, True)),
        (k3_slope, autograd_divergence(problem, False)),
    ):
        assert np.max(misses(mean_in_the_loss(problem, slope), exact)) < ROUNDING
        apart = misses(mean_in_the_loss(problem, slope, drawn_from=older), exact)
        assert np.median(apart) > 0.05
        assert np.min(apart) > 1e-4


# Two normal laws, one shifted by mu: D = mu^2 / 2

SHIFTS = np.linspace(0.02, 2.0, INSTANCES)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(100)  # exact to 1e-12 for e^(4x): shifts up to 2


def moments(estimator, shift):
    """Mean and variance of an estimator where the policy is standard normal and the reference is shifted by `shift`."""
    weight = WEIGHTS / np.sum(WEIGHTS)
    values = estimator(shift**2 / 2 - shift * NODES)
    mean = float(np.sum(weight * values))
    return mean, float(np.sum(weight * (values - mean) ** 2))


def exact_moments(definition, shift):
    """The same by mpmath's quadrature; `definition` is a function of r."""
    with mp.workdps(20):
        mu = mpf(float(shift))

        def mean_of(power):
            # beyond these limits lies less than 1e-17, also of e^(4x)
            return mp.quad(lambda x: definition(mp.exp(mu * x - mu**2 / 2)) ** power * mp.npdf(x), [-14, -6, 0, 6, 20])

        first, second = mean_of(1), mean_of(2)
        return float(first), float(second - first**2)


def closed_moments(shift):
    """Mean and variance of k1, k2 and k3."""
    square = shift**2
    return (
        (square / 2, square),
        (square / 2 + square**2 / 8, square**2 / 2 + square**3 / 4),
        (square / 2, math.expm1(square) - square),
    )


def test_between_normal_laws_k1_varies_by_mu_squared_and_k3_by_its_exponential():
    for shift in SHIFTS:
        for estimator, formula in zip((k1, k2, k3), closed_moments(shift), strict=True):
            assert moments(estimator, shift) == pytest.approx(formula, rel=1e-9, abs=1e-15)
    definitions = (lambda r: -mp.log(r), lambda r: mp.log(r) ** 2 / 2, lambda r: r - 1 - mp.log(r))
    for shift in SHIFTS[::12]:
        for definition, formula in zip(definitions, closed_moments(shift), strict=True):
            assert exact_moments(definition, shift) == pytest.approx(formula, rel=1e-12, abs=1e-15)


def test_k1_and_k3_cross_at_63_hundredths_of_a_nat():
    with mp.workdps(30):
        squared = mp.findroot(lambda s: mp.expm1(s) - 2 * s, mpf("1.2"))  # Var k3 = Var k1, with s = mu^2
    crossing = float(squared) / 2
    assert round(crossing, 2) == 0.63
    for divergence in np.concatenate([np.geomspace(1e-3, 0.99 * crossing, 30), np.linspace(1.01 * crossing, 2, 30)]):
        shift = math.sqrt(2 * divergence)
        assert (moments(k3, shift)[1] < moments(k1, shift)[1]) == (divergence < crossing)


def test_k3_is_for_tokens_and_not_for_sequences():
    """A hundred independent tokens of 0.02 nat each make two nats: k3 of each token, or once of their product."""
    per_token, sequence = math.sqrt(2 * 0.02), math.sqrt(2 * 2.0)
    sum_of_k1, sum_of_k3 = (100 * moments(estimator, per_token)[1] for estimator in (k1, k3))
    assert sum_of_k1 == pytest.approx(moments(k1, sequence)[1], rel=1e-9)
    assert sum_of_k3 < 0.05 * sum_of_k1
    assert moments(k3, sequence)[1] > 10 * sum_of_k1


def test_between_other_laws_k3_may_vary_more_at_any_divergence():
    """The crossing belongs to normal laws: a rare answer that the reference gives often spoils k3 near 0 nats too."""
    rare = 1e-6
    log_p, ref = (np.log([[p, 1 - p]]) for p in (rare, 0.01))
    ratio = log_p - ref
    spread = [expected(log_p, e(ratio) ** 2) - expected(log_p, e(ratio)) ** 2 for e in (k1, k3)]
    assert kl_divergence(log_p, ref) < 0.02
    assert spread[1] > 100 * spread[0]
