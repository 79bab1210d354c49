"""The guarantee on fresh statements and what breaks it: accuracies are sums over every statement there is.

Noise is a vector of random signs, so that a class is a handful of points, its law is known exactly and its variance
proxy is the square of the longest sign. The guarantee speaks of that whole law, training of it or of a sample from it.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from alignbook.behaviors import Behaviors, behaviors, laplace_noise
from alignbook.dynamics import (
    accuracy_lower_bound,
    evaluate,
    gaussian_flow,
    gaussian_policy_accuracy,
    gaussian_reward_accuracy,
    gradient_descent,
    waiting_time,
)

INSTANCES = 60
STEPS = 40  # the last of them is at epsilon = 1, where nothing is promised any more


def population(rng, features=3, delta=None, positive=1):
    """All statements of a behavior, its difference b and the variance proxy; Yes statements `positive` times each."""
    direction = rng.standard_normal(features)
    b = (delta or rng.uniform(0.3, 4)) * direction / np.linalg.norm(direction)
    lengths = rng.uniform(0.1, 1.5, features)
    noise = lengths * np.array(list(itertools.product([-1, 1], repeat=features)))
    noise = noise @ np.linalg.qr(rng.standard_normal((features, features)))[0]
    halves = [b / 2 + noise] * positive + [-b / 2 + noise]
    labels = np.repeat([1.0] * positive + [-1.0], len(noise))
    return Behaviors(np.concatenate(halves)[None], labels[None]), b, lengths.max()


def instances(features=3, **options):
    """Many behaviors as one batch, with their differences, variance proxies and betas."""
    drawn = [population(np.random.default_rng(seed), features, **options) for seed in range(INSTANCES)]
    data, b, proxy = zip(*drawn, strict=True)
    beta = np.random.default_rng(99).uniform(0.05, 2, INSTANCES)
    return Behaviors(*map(np.stack, zip(*data, strict=True))), np.stack(b), np.array(proxy), beta


def moments(data):
    """The mean of h and the largest eigenvalue of its second moment."""
    h = (data.labels[..., None] * data.embeddings)[..., 0, :, :]
    mean_square = np.swapaxes(h, -1, -2) @ h / h.shape[-2]
    return h.mean(axis=-2), np.linalg.norm(mean_square, ord=2, axis=(-2, -1))


def broken_promises(train, everything, b, proxy, beta, boundary=None):
    """How often accuracy on the whole law is below what the guarantee says for training on `train`."""
    mean, second_moment = moments(train)
    rate = 4 / (beta**2 * second_moment * STEPS)
    length = np.zeros(()) if boundary is None else np.linalg.norm(boundary, axis=-1)
    gap = np.linalg.norm(mean - b / 2, axis=-1)
    broken = 0
    for shot in itertools.islice(gradient_descent(train, beta, rate, boundary=boundary), 1, STEPS):
        promised = accuracy_lower_bound(shot.time, beta, np.linalg.norm(b, axis=-1), proxy, second_moment,
                                        boundary_length=length, finite_sample_gap=gap)  # fmt: skip
        found = evaluate(shot.change, everything, beta, boundary=boundary)
        broken += np.sum(found.policy_accuracy[..., 0] < promised - 1e-12)
        if boundary is None:
            broken += np.sum(found.reward_accuracy[..., 0] < promised - 1e-12)
    return broken


@pytest.mark.parametrize("features", [1, 2, 5])
def test_a_head_trained_on_the_population_keeps_the_guarantee(features):
    everything, b, proxy, beta = instances(features)
    assert broken_promises(everything, everything, b, proxy, beta) == 0


def test_a_head_with_a_boundary_to_overcome_keeps_the_guarantee_for_its_policy():
    everything, b, proxy, beta = instances()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        boundary = 10 ** rng.uniform(-3, 0, (INSTANCES, 1)) * rng.standard_normal((INSTANCES, 3))
        assert broken_promises(everything, everything, b, proxy, beta, boundary) == 0


@pytest.mark.parametrize("count", [4, 30, 1000])
def test_a_head_trained_on_a_sample_keeps_the_guarantee_that_knows_the_gap(count):
    everything, b, proxy, beta = instances()
    chosen = np.random.default_rng(count).integers(everything.labels.shape[-1], size=(INSTANCES, 1, count))
    sample = Behaviors(
        np.take_along_axis(everything.embeddings, chosen[..., None], axis=-2),
        np.take_along_axis(everything.labels, chosen, axis=-1),
    )
    assert broken_promises(sample, everything, b, proxy, beta) == 0


def test_the_guarantee_is_not_void_in_these_instances():
    everything, b, proxy, beta = instances()
    promised = accuracy_lower_bound(1e-9, beta, np.linalg.norm(b, axis=-1), proxy, moments(everything)[1])
    assert np.mean(promised > 0.5) > 0.2


def test_the_cruder_factor_follows():
    """1 - eps^2 is at least ((1 - eps)/(1 + eps))^2, the factor by the triangle inequality alone."""
    eps = np.linspace(0, 1, 1001)
    assert np.all(1 - eps**2 >= ((1 - eps) / (1 + eps)) ** 2)


def test_no_vector_within_the_error_of_another_leans_farther_than_the_sine_says_and_one_does():
    rng = np.random.default_rng(3)
    for chi in (0.1, 0.5, 0.99):
        off = rng.standard_normal((10000, 3))
        x = np.array([1.0, 0, 0]) + chi * off / np.linalg.norm(off, axis=-1, keepdims=True)
        cosine = x[:, 0] / np.linalg.norm(x, axis=-1)
        assert cosine.min() >= math.sqrt(1 - chi**2) - 1e-12
        tangent = np.array([1 - chi**2, chi * math.sqrt(1 - chi**2)])
        assert np.linalg.norm(tangent - [1, 0]) == pytest.approx(chi)
        assert tangent[0] / np.linalg.norm(tangent) == pytest.approx(math.sqrt(1 - chi**2))


def test_gaussian_accuracy_is_above_the_guarantee_at_every_time():
    delta, noise = np.meshgrid(np.linspace(0.1, 6, 40), np.linspace(0.1, 3, 40))
    exact = gaussian_reward_accuracy(delta, noise)
    for time in (0.0, 1.0, 30.0):
        assert np.all(exact >= accuracy_lower_bound(time, 0.3, delta, noise, delta**2 / 4 + noise**2))


def test_accuracy_rises_with_distinguishability_and_falls_with_variance_for_centered_classes():
    """By runs: heads trained on drawn statements, right on as many fresh ones as the normal law says."""
    grid = [(0.5, 0.3), (1.0, 0.3), (2.0, 0.3), (1.0, 0.6), (1.0, 1.2)]
    found = []
    for delta, noise in grid:
        b = np.array([[delta, 0, 0, 0]])
        train, fresh = (behaviors(b, noise, num_statements=20000, seed=seed) for seed in (1, 2))
        *_, shot = itertools.islice(gradient_descent(train, 0.1, 1.0), 20)
        found.append(evaluate(shot.change, fresh, 0.1).reward_accuracy[0])
        assert found[-1] == pytest.approx(gaussian_reward_accuracy(delta, noise), abs=0.015)  # four standard errors
    assert found[0] < found[1] < found[2]
    assert found[1] > found[3] > found[4]


def test_at_the_waiting_time_the_policy_has_the_accuracy_that_was_asked_for():
    rng = np.random.default_rng(6)
    beta, delta, noise = rng.uniform(0.05, 1, 100), rng.uniform(0.5, 4, 100), rng.uniform(0.05, 0.25, 100)
    length, level = rng.uniform(0, 1, 100), rng.uniform(0.5, 0.95, 100)
    wait = waiting_time(level, beta, delta, noise, delta**2 / 4 + noise**2, boundary_length=length)
    sure = np.isfinite(wait)
    assert 50 <= np.sum(sure) < 100
    u = gaussian_flow(wait[sure], beta[sure], delta[sure], noise[sure])
    assert np.all(gaussian_policy_accuracy(u, delta[sure], noise[sure], length[sure]) >= level[sure])


def test_a_larger_distinguishability_overcomes_the_boundary_earlier():
    delta, time = np.array([0.8, 1.0, 1.5, 2.0, 3.0, 4.0]), np.geomspace(0.1, 1000, 30)
    u = gaussian_flow(time[:, None], 0.1, delta, 0.3)
    reached = gaussian_policy_accuracy(u, delta, 0.3, 1.0) >= 0.8
    assert np.all(np.diff(time[np.argmax(reached, axis=0)]) < 0)


def test_the_squared_gap_of_a_training_mean_is_the_trace_over_the_number_of_statements():
    rng = np.random.default_rng(4)
    for features, count, noise in ((3, 10, 0.5), (50, 200, 0.3)):
        b = np.zeros((1, features))
        b[0, 0] = 1.0
        data = behaviors(b, noise, num_statements=count, seed=rng.integers(10**6, size=400))
        mean = (data.labels[..., None] * data.embeddings).mean(axis=-2)[:, 0]
        squares = np.sum((mean - b / 2) ** 2, axis=-1)
        assert squares.mean() == pytest.approx(features * noise**2 / count, abs=4 * squares.std() / math.sqrt(400))


# What breaks it


def test_with_a_common_mean_the_same_check_fails():
    everything, b, proxy, beta = instances(delta=4.0)
    shifted = Behaviors(everything.embeddings + 0.9 * b[:, None, None, :], everything.labels)
    assert broken_promises(everything, everything, b, proxy, beta) == 0
    assert broken_promises(shifted, shifted, b, proxy, beta) > 0


def test_with_unbalanced_labels_and_a_common_mean_the_same_check_fails():
    everything, b, proxy, beta = instances(delta=6.0, positive=9)
    balanced = instances(delta=6.0)[0]
    across = 10 * np.linalg.svd(b[:, None, :])[2][:, None, None, -1]
    shifted, target = (Behaviors(data.embeddings + across, data.labels) for data in (everything, balanced))
    assert broken_promises(everything, balanced, b, proxy, beta) == 0  # unbalanced, but centered: harmless
    _, shot = itertools.islice(gradient_descent(shifted, beta, 1e-4), 2)
    promised = accuracy_lower_bound(shot.time, beta, 6.0, proxy, moments(shifted)[1])
    found = evaluate(shot.change, target, beta).reward_accuracy[:, 0]
    assert np.all(found == 0.5)  # every Yes, no No
    assert np.mean(found < promised) > 0.5


def test_with_the_measured_distinguishability_the_guarantee_is_false_on_fresh_statements():
    """200 features, 20 statements, Delta .5, s .3: .994 promised; .582 is true, on average over training sets."""
    b = np.zeros((1, 200))
    b[0, 0] = 0.5
    train = behaviors(b, 0.3, num_statements=20, seed=range(400))
    *_, shot = itertools.islice(gradient_descent(train, 0.1, 1.0), 3)
    measured = 2 * np.linalg.norm((train.labels[..., None] * train.embeddings).mean(axis=-2)[:, 0], axis=-1)
    cosine = shot.change[:, 0] / np.linalg.norm(shot.change, axis=-1)
    assert accuracy_lower_bound(0.0, 0.1, measured, 0.3, 1.0).mean() == pytest.approx(0.994, abs=0.001)
    assert norm.cdf(cosine * 0.5 / 0.6).mean() == pytest.approx(0.582, abs=0.002)
    gap = np.linalg.norm((train.labels[..., None] * train.embeddings).mean(axis=-2)[:, 0] - b / 2, axis=-1)
    assert np.all(accuracy_lower_bound(0.0, 0.1, 0.5, 0.3, 1.0, finite_sample_gap=gap) == 0)


def test_with_tails_heavier_than_a_normal_law_s_the_guarantee_is_false():
    """Laplace noise of the same variance, on the population's own direction: wrong with half e^(-sqrt2 Delta/2s)."""
    delta, noise = 4.0, 0.5
    wrong = np.exp(-math.sqrt(2) * delta / (2 * noise)) / 2
    fresh = laplace_noise(np.random.default_rng(5), (4 * 10**6,))
    assert np.mean(delta / 2 + noise * fresh <= 0) == pytest.approx(wrong, abs=4 * math.sqrt(wrong / 4e6))
    assert wrong > 4 * (1 - accuracy_lower_bound(0.0, 0.1, delta, noise, 1.0))


def test_a_boundary_breaks_the_guarantee_for_the_policy_and_not_for_the_reward():
    everything, b, proxy, beta = instances(delta=6.0)
    _, shot = itertools.islice(gradient_descent(everything, beta, 1e-3, boundary=-b), 2)
    promised = accuracy_lower_bound(shot.time, beta, 6.0, proxy, moments(everything)[1])
    assert np.all(shot.reward_accuracy[:, 0] >= promised)
    assert np.mean(shot.policy_accuracy[:, 0] < promised) > 0.5


def shifted_accuracy(noise, shift, delta):
    """Both classes moved by `shift` along their difference: mean over the two of the share on the right side."""
    return (norm.cdf((delta / 2 + shift) / noise) + norm.cdf((delta / 2 - shift) / noise)) / 2


@pytest.mark.parametrize(("shift", "delta"), [(1.0, 1.0), (0.6, 1.0), (3.0, 2.0), (0.26, 0.5)])
def test_beyond_half_the_distinguishability_noise_helps_up_to_the_book_s_formula(shift, delta):
    best = minimize_scalar(lambda s: -shifted_accuracy(s, shift, delta), bounds=(1e-3, 20), method="bounded",
                           options={"xatol": 1e-9})  # fmt: skip
    formula = shift * delta / math.log((shift + delta / 2) / (shift - delta / 2))
    assert best.x**2 == pytest.approx(formula, rel=1e-5)
    assert shifted_accuracy(1e-3, shift, delta) == pytest.approx(0.5, abs=1e-3)


def test_heads_trained_on_shifted_classes_are_better_with_more_noise_until_then():
    b = np.array([[1.0, 0, 0, 0]])
    found = {}
    for noise in (0.1, 0.3, 0.95, 3.0):
        train, fresh = (
            behaviors(b, noise, num_statements=20000, common_mean=np.array([1.0, 0, 0, 0]), seed=seed)
            for seed in (1, 2)
        )
        *_, shot = itertools.islice(gradient_descent(train, 0.1, 1.0), 30)
        found[noise] = evaluate(shot.change, fresh, 0.1).reward_accuracy[0]
        assert found[noise] == pytest.approx(shifted_accuracy(noise, 1.0, 1.0), abs=0.02)
    assert found[0.1] < found[0.3] < found[0.95] > found[3.0]
