"""The statements of Chapter 5, each on random instances, at its edges, and once without one of its assumptions.

The second opinion: torch's autograd on a whole softmax, an ODE solver, general root finders and quadrature.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, minimize_scalar

from alignbook.behaviors import Behaviors, behaviors, distinguishability
from alignbook.dynamics import (
    PEAK_MARGIN,
    adam,
    bayes_head,
    gaussian_flow,
    gradient_descent,
    linear_regime_error,
    noise_free_loss,
    noise_free_margin,
    noise_free_weight_change,
    peak_time,
    weight_change_bound,
)
from alignbook.information import kl_divergence
from alignbook.policies import last_layer_policy

INSTANCES, FEATURES, STATEMENTS = 60, 5, 40
ROUNDING = 1e-12


def after(run, steps):
    return next(itertools.islice(run, steps, None))


def instances(seed, **changes):
    """Balanced behaviors of random lengths, noise and common mean, each alone; betas beside them."""
    rng = np.random.default_rng(seed)
    differences = 2 * rng.standard_normal((INSTANCES, 1, FEATURES))
    options = {"common_mean": rng.standard_normal((INSTANCES, 1, FEATURES)), "num_statements": STATEMENTS} | changes
    data = behaviors(differences, rng.uniform(0, 1.5, INSTANCES), seed=seed, **options)
    return data, 10.0 ** rng.uniform(-2, 0, INSTANCES)


def signed(data):
    """The vectors h of each instance's statements."""
    return (data.labels[..., None] * data.embeddings)[:, 0]


def second_moment(data):
    h = signed(data)
    return np.linalg.eigvalsh(np.swapaxes(h, -1, -2) @ h / h.shape[-2])[:, -1]


def delta_of(data):
    return distinguishability(data.embeddings[:, 0], data.labels[:, 0])


def flow(h, beta, times):
    """The gradient flow u' = 2 beta E[sigma(-m) h] by an ODE solver."""

    def slope(_, u):
        return 2 * beta * np.mean(h / (1 + np.exp(beta * h @ u))[:, None], axis=0)

    found = solve_ivp(slope, (0, times[-1]), np.zeros(h.shape[-1]), t_eval=times, rtol=1e-11, atol=1e-13)
    return found.y.T


# Two rows move


def test_only_two_rows_move_and_the_change_has_rank_one():
    """A whole softmax over seven tokens, by autograd: the log-partition cancels."""
    data, beta = instances(0)
    for i in range(INSTANCES):
        rng = np.random.default_rng(i)
        g, label = torch.as_tensor(data.embeddings[i, 0]), torch.as_tensor(data.labels[i, 0])
        start = torch.as_tensor(rng.standard_normal((7, FEATURES)))
        weight = start.clone()
        for _ in range(20):
            weight.requires_grad_()
            change = torch.log_softmax(g @ weight.T, -1) - torch.log_softmax(g @ start.T, -1)
            margin = beta[i] * label * (change[:, 2] - change[:, 5])
            (slope,) = torch.autograd.grad(-torch.nn.functional.logsigmoid(margin).mean(), weight)
            weight = (weight - 0.5 * slope).detach()
        moved = (weight - start).numpy()
        u = moved[2] - moved[5]
        np.testing.assert_allclose(moved[[0, 1, 3, 4, 6]], 0, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(moved[[2, 5]], [u / 2, -u / 2], rtol=0, atol=ROUNDING)
        assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(u) / math.sqrt(2), abs=ROUNDING)
        one = Behaviors(data.embeddings[i], data.labels[i])
        np.testing.assert_allclose(after(gradient_descent(one, beta[i], 0.5), 20).change, u, rtol=0, atol=1e-10)


def test_small_steps_follow_the_flow():
    data, beta = instances(1)
    times = np.array([0.0, 1.0, 5.0])
    shots = [after(gradient_descent(data, beta, 0.001, record_every=1000), int(t)) for t in times]
    for i, h in enumerate(signed(data)):
        exact = flow(h, beta[i], times)
        for shot, u in zip(shots, exact, strict=True):
            np.testing.assert_allclose(shot.change[i], u, rtol=0, atol=2e-3 * (1 + np.linalg.norm(u)))


# The rate theorem


def test_the_first_step_has_the_length_beta_delta_over_two_root_two():
    for seed in range(2):
        data, beta = instances(seed)
        found = after(gradient_descent(data, beta, 0.5), 1).weight_change / 0.5
        np.testing.assert_allclose(found, beta * delta_of(data) / (2 * math.sqrt(2)), rtol=1e-12)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
def test_no_run_moves_faster_than_at_its_start(part):
    """With steps up to 4/(beta^2 S), twice the inverse smoothness."""
    data, beta = instances(2)
    rate = part * 4 / (beta**2 * second_moment(data))
    shots = list(itertools.islice(gradient_descent(data, beta, rate), 300))
    for shot in shots:
        bound = weight_change_bound(shot.time, beta, delta_of(data))
        assert np.all(shot.weight_change <= bound * (1 + ROUNDING))
    steps = np.linalg.norm(np.diff([shot.change for shot in shots], axis=0), axis=-1)
    assert np.all(steps[1:] <= steps[:-1] * (1 + 1e-9) + ROUNDING)


def test_without_a_difference_nothing_moves():
    data = Behaviors(np.ones((1, 4, 3)), np.array([[1.0, 1.0, -1.0, -1.0]]))
    assert after(gradient_descent(data, 0.1, 1.0), 50).weight_change == 0
    assert weight_change_bound(50.0, 0.1, 0.0) == 0


def test_with_unbalanced_classes_the_rate_is_not_delta():
    """One assumption less: nine Yes in ten, with a common mean, and the bound is passed at the first step."""
    data, beta = instances(3, positive_share=0.9)
    shot = after(gradient_descent(data, beta, 0.1), 1)
    assert np.mean(shot.weight_change > weight_change_bound(shot.time, beta, delta_of(data)) * (1 + 1e-9)) > 0.5
    mean = np.linalg.norm(signed(data).mean(axis=-2), axis=-1)
    np.testing.assert_allclose(shot.weight_change, 0.1 * beta * mean / math.sqrt(2), rtol=1e-12)


def test_adam_passes_the_bound():
    """One assumption less: the optimizer."""
    data, beta = instances(2)
    shot = after(adam(data, beta, 0.1), 1)
    assert np.mean(shot.weight_change > weight_change_bound(0.1, beta, delta_of(data))) > 0.5


def test_the_sample_s_distinguishability_exceeds_the_population_s_by_the_traces():
    noise, delta, features, count = 0.5, 1.0, 8, 20
    data = behaviors(delta * np.eye(1, features), noise, num_statements=count, seed=range(4000))
    squares = distinguishability(data.embeddings, data.labels)[:, 0] ** 2
    expected = delta**2 + 4 * features * noise**2 / count
    assert abs(squares.mean() - expected) < 4 * squares.std() / math.sqrt(len(squares))


# The linear regime


def test_early_the_path_is_straight_within_epsilon():
    data, beta = instances(4)
    moment = second_moment(data)
    for i, h in enumerate(signed(data)):
        times = np.array([0.0, 0.1, 0.5, 1.0, 2.0]) * 4 / (beta[i] ** 2 * moment[i])
        straight = beta[i] * times[:, None] * h.mean(axis=0)
        gap = np.linalg.norm(flow(h, beta[i], times) - straight, axis=-1)
        allowed = linear_regime_error(times, beta[i], moment[i]) * np.linalg.norm(straight, axis=-1)
        assert np.all(gap <= allowed + 1e-9 * (1 + np.linalg.norm(straight, axis=-1)))
        assert linear_regime_error(times[3], beta[i], moment[i]) == pytest.approx(1)


def test_early_gradient_descent_is_straight_within_epsilon_too():
    data, beta = instances(4)
    rate = 0.2 / (beta**2 * second_moment(data))
    mean = signed(data).mean(axis=-2)
    for shot in itertools.islice(gradient_descent(data, beta, rate), 40):
        straight = (beta * shot.time)[:, None] * mean
        length = np.linalg.norm(straight, axis=-1)
        gap = np.linalg.norm(shot.change - straight, axis=-1)
        assert np.all(gap <= linear_regime_error(shot.time, beta, second_moment(data)) * length + ROUNDING * length)


def test_the_square_root_of_the_moment_is_not_enough():
    """One number less: with a second moment a tenth of the true one the bound fails."""
    data, beta = instances(4)
    moment = second_moment(data)
    failed = 0
    for i, h in enumerate(signed(data)):
        times = np.array([0.0, 0.5]) * 4 / (beta[i] ** 2 * moment[i])
        straight = beta[i] * times[1] * h.mean(axis=0)
        gap = np.linalg.norm(flow(h, beta[i], times)[1] - straight)
        failed += gap > linear_regime_error(times[1], beta[i], moment[i] / 10) * np.linalg.norm(straight)
    assert failed > INSTANCES / 2


# Without noise


def noise_free(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 6, INSTANCES), 10.0 ** rng.uniform(-2, 0, INSTANCES), 10.0 ** rng.uniform(-1, 4, INSTANCES)


def test_without_noise_the_margin_obeys_z_plus_exp_z():
    for delta, beta, time in zip(*noise_free(5), strict=True):
        u = flow(np.array([[delta / 2]]), beta, np.array([0.0, time]))[1, 0]
        z = beta * u * delta / 2
        assert z + math.expm1(z) == pytest.approx((beta * delta) ** 2 * time / 2, rel=1e-7)
        assert noise_free_margin(time, beta, delta) == pytest.approx(z, rel=1e-7)
        assert noise_free_weight_change(time, beta, delta) == pytest.approx(u / math.sqrt(2), rel=1e-7)
        assert noise_free_loss(time, beta, delta) == pytest.approx(np.log1p(np.exp(-z)), rel=1e-7)


def test_with_noise_the_margin_leaves_the_equation():
    """One assumption less: noise of one half of the distinguishability."""
    data = behaviors(np.array([[2.0]]), 1.0, num_statements=400, seed=0)
    margin = after(gradient_descent(data, 0.5, 0.5), 200).margin.mean()
    assert margin < 0.8 * noise_free_margin(100.0, 0.5, 2.0)


# Where the slogan stops


def test_displacement_peaks_at_mean_margin_two():
    for _, beta, time in zip(*noise_free(6), strict=True):
        top = minimize_scalar(
            lambda log_delta, beta=beta, time=time: -float(noise_free_weight_change(time, beta, math.exp(log_delta))),
            bounds=(math.log(1e-3 / (beta * math.sqrt(time))), math.log(1e3 / (beta * math.sqrt(time)))),
            method="bounded",
            options={"xatol": 1e-10},
        ).x
        delta = math.exp(top)
        assert noise_free_margin(time, beta, delta) == pytest.approx(PEAK_MARGIN, rel=1e-5)
        assert (beta * delta) ** 2 * time == pytest.approx(2 * (1 + math.e**2), rel=1e-5)
        assert peak_time(beta, delta) == pytest.approx(time, rel=1e-5)


def test_before_the_peak_more_distinguishable_is_more_change_and_beyond_it_less():
    for _, beta, time in zip(*noise_free(7), strict=True):
        peak = math.sqrt(2 * (1 + math.e**2) / time) / beta
        below, above = (noise_free_weight_change(time, beta, peak * np.geomspace(*ends, 40))
                        for ends in ((1e-3, 1), (1, 1e3)))  # fmt: skip
        assert np.all(np.diff(below) > 0)
        assert np.all(np.diff(above) < 0)
        assert np.all(above <= weight_change_bound(time, beta, peak * np.geomspace(1, 1e3, 40)))


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_noise_moves_the_peak_to_a_larger_distinguishability(noise):
    """One assumption less: at mean margin 2 of the noise-free curve the Gaussian population's still rises."""
    time, beta = 1000.0, 0.1
    peak = math.sqrt(2 * (1 + math.e**2) / time) / beta
    here, more = gaussian_flow(time, beta, np.array([peak, 1.1 * peak]), noise)
    assert more > here


# Margins without end


def test_with_sure_labels_that_a_direction_separates_the_loss_goes_to_zero_whatever_beta_is():
    rng = np.random.default_rng(8)
    g = rng.standard_normal((INSTANCES, 6, 3))
    labels = np.sign(np.einsum("isf,if->is", g, rng.standard_normal((INSTANCES, 3))))
    beta = 10.0 ** rng.uniform(-2, 1, INSTANCES)
    rate = 4 / beta**2 / np.linalg.eigvalsh(np.swapaxes(g, -1, -2) @ g / 6)[:, -1]
    run = gradient_descent(Behaviors(g[:, None], labels[:, None]), beta, rate, record_every=100)
    losses = np.array([shot.loss[:, 0] for shot in itertools.islice(run, 31)])
    assert np.all(np.diff(losses, axis=0) < 0)
    assert np.all(losses[-1] < 0.2)  # on its way to 0, slower where the gap is narrow


def test_with_one_flipped_label_the_margins_come_to_rest():
    """One assumption less: two statements alike with opposite labels."""
    data = Behaviors(np.ones((1, 3, 1)), np.array([[1.0, 1.0, -1.0]]))
    margins = [after(gradient_descent(data, 0.5, 1.0), k).margin[0, 0] for k in (500, 1000)]
    assert margins == pytest.approx([math.log(2)] * 2)


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0, 10.0])
def test_beta_does_not_bound_the_divergence(beta):
    """Two equally likely answers: in the end the divergence is log 2, after a time that beta tells."""
    divergences = []
    for time in (1.0, 1e10, 1e300):
        u = noise_free_margin(time, beta, 2.0) / beta  # at distinguishability 2 the margin is beta u
        law = last_layer_policy(np.array([[u / 2], [-u / 2]]), np.array([[1.0]]))[0]
        divergences.append(float(kl_divergence(law, np.full(2, -math.log(2)))))
    assert divergences[0] < divergences[1] + 1e-12
    assert divergences[2] == pytest.approx(math.log(2), abs=1e-12)


def test_with_gaussian_noise_the_population_comes_to_rest_at_bayes():
    rng = np.random.default_rng(9)
    for _ in range(INSTANCES):
        delta, noise, beta = rng.uniform(0.3, 2), rng.uniform(0.3, 1.5), 10.0 ** rng.uniform(-2, 0)

        def pull(u, delta=delta, noise=noise, beta=beta):
            def weighted(x):
                density = math.exp(-(((x - delta / 2) / noise) ** 2) / 2)
                return density * x / (1 + math.exp(min(beta * u * x, 700.0)))

            return quad(weighted, delta / 2 - 10 * noise, delta / 2 + 10 * noise, epsabs=1e-13, limit=200)[0]

        rest = float(bayes_head(delta, noise, beta))
        assert brentq(pull, 0.2 * rest, 3 * rest, xtol=1e-9 * rest) == pytest.approx(rest, rel=1e-6)
        assert beta * rest * delta / 2 == pytest.approx(delta**2 / (2 * noise**2))


# The optimizer


def test_adam_moves_every_behavior_alike_at_first_and_gradient_descent_does_not():
    """Displacements after ten steps at distinguishability 1/2, 1, 2, 4, over fifty draws of the noise."""
    lengths = np.array([0.5, 1.0, 2.0, 4.0])
    for seed in range(50):
        data = behaviors(lengths[:, None, None] * np.eye(1, FEATURES), 0.1, num_statements=200, seed=seed)
        plain = after(gradient_descent(data, 0.1, 1.4), 10).weight_change
        np.testing.assert_allclose(plain / plain[0], [1, 2, 4, 7], rtol=0.12)
        first = after(adam(data, 0.1, 0.01), 1).weight_change
        np.testing.assert_allclose(first, 0.01 * math.sqrt(2 * FEATURES), rtol=1e-2)
        tenth = after(adam(data, 0.1, 0.01), 10).weight_change
        np.testing.assert_allclose(tenth / tenth[0], 1, rtol=0.15)


def test_time_runs_as_beta_squared_times_the_learning_rate():
    """Twice the beta at a quarter of the rate is the same margins; under Adam, with no epsilon to speak of, at half."""
    data, beta = instances(10)
    plain, fast = (after(gradient_descent(data, b * beta, r), 100).margin for b, r in ((1, 0.4), (2, 0.1)))
    np.testing.assert_allclose(plain, fast, rtol=1e-9, atol=1e-12)
    one, other = (after(adam(data, b * beta, r, epsilon=1e-200), 20).margin for b, r in ((1, 0.02), (2, 0.01)))
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


# Read your own run


def test_early_the_mean_margin_is_a_quarter_of_the_clock():
    for delta, beta, _ in zip(*noise_free(11), strict=True):
        time = 1e-4 / (beta * delta) ** 2
        assert noise_free_margin(time, beta, delta) == pytest.approx((beta * delta) ** 2 * time / 4, rel=1e-4)


def test_the_first_points_predict_the_rest_without_noise_and_the_gap_grows_with_it():
    gaps = []
    for noise in (0.0, 0.5, 1.0):
        data = behaviors(np.array([[2.0]]), noise, num_statements=1000, seed=3)
        shots = list(itertools.islice(gradient_descent(data, 0.1, 1.0), 1001))
        early = shots[20]
        k = float(early.margin.mean() + np.expm1(early.margin.mean())) / float(early.time)
        predicted = float(noise_free_loss(2 * k * shots[-1].time, 1.0, 1.0))
        gaps.append(float(shots[-1].loss[0]) - predicted)
    assert abs(gaps[0]) < 1e-3  # the length of a step
    assert gaps[0] < gaps[1] < gaps[2]


def test_warm_up_breaks_the_fit_and_the_summed_learning_rate_mends_it():
    rates = np.minimum(1.0, np.arange(1, 301) / 100)
    u, h, margins = 0.0, 1.0, []
    for rate in rates:
        margins.append(0.2 * u * h)
        u += rate * 2 * 0.2 / (1 + math.exp(0.2 * u * h)) * h
    margins = np.array(margins)
    summed = np.concatenate([[0.0], np.cumsum(rates)[:-1]])
    clocks = margins + np.expm1(margins)
    by_time, by_step = clocks[1:] / summed[1:], clocks[1:] / np.arange(1, 300)
    assert by_time.max() / by_time.min() < 1.05
    assert by_step.max() / by_step.min() > 10
