"""Vouches for the closed forms and bounds of gradient flow on pairs: digits, limits, batches, engines, bad input.

Second opinions: mpmath at forty digits, scipy's Wright omega function, normal law and ODE solver, hand-worked values.
That runs keep the bounds belongs to the theorems.
"""

import math
import re

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.special import expit, ndtr, wrightomega

from alignbook import dynamics
from alignbook.arrays import to_engine
from alignbook.dynamics import (
    PEAK_MARGIN,
    accuracy_lower_bound,
    bayes_head,
    gaussian_flow,
    gaussian_policy_accuracy,
    gaussian_reward_accuracy,
    linear_regime_error,
    noise_free_loss,
    noise_free_margin,
    noise_free_weight_change,
    normal_cdf,
    off_course,
    peak_time,
    waiting_time,
    weight_change_bound,
)

# Without noise


def exact_margin(time, beta, delta):
    """The root of z + e^z = 1 + k, to forty digits."""
    with mpmath.workdps(40):
        clock = (mpmath.mpf(beta) * mpmath.mpf(delta)) ** 2 * mpmath.mpf(time) / 2
        z = mpmath.log1p(clock)
        for _ in range(30):
            z -= (z + mpmath.expm1(z) - clock) / (1 + mpmath.exp(z))
        return z


@pytest.mark.parametrize("beta", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("delta", [0.01, 1.0, 4.0])
def test_the_margin_keeps_thirteen_digits_from_the_first_moment_to_the_last(beta, delta):
    times = 10.0 ** np.linspace(-12, 300, 105)
    found = noise_free_margin(times, beta, delta)
    worst = max(
        abs(mpmath.mpf(float(z)) / exact_margin(float(t), beta, delta) - 1) for t, z in zip(times, found, strict=True)
    )
    assert worst < 1e-13


def test_the_margin_is_c_minus_the_wright_omega_function():
    times = np.linspace(0, 1e5, 999)
    c = 1 + (0.1 * 4) ** 2 * times / 2
    np.testing.assert_allclose(noise_free_margin(times, 0.1, 4.0), c - wrightomega(c).real, rtol=1e-11, atol=1e-13)


def test_the_margin_solves_the_flow_it_is_made_for():
    path = solve_ivp(lambda t, z: 0.5**2 * 2**2 / 2 / (1 + np.exp(z)), (0, 50), [0.0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(noise_free_margin(path.t, 0.5, 2.0), path.y[0], rtol=0, atol=1e-8)


def test_no_time_and_no_difference_leave_everything_as_it_was():
    times = np.array([0.0, 1.0, 1e300])
    for f in (noise_free_margin, noise_free_weight_change):
        assert f(times, 0.1, 0.0).tolist() == [0, 0, 0]
        assert float(f(0.0, 0.1, 4.0)) == 0
    assert noise_free_loss(times, 0.1, 0.0).tolist() == [math.log(2)] * 3


def test_loss_and_weight_change_follow_from_the_margin():
    times = np.array([0.5, 30.0, 1e4])
    z = np.array([float(exact_margin(t, 0.1, 3.0)) for t in times])
    np.testing.assert_allclose(noise_free_loss(times, 0.1, 3.0), np.log1p(np.exp(-z)), rtol=1e-13)
    np.testing.assert_allclose(noise_free_weight_change(times, 0.1, 3.0), math.sqrt(2) * z / 0.3, rtol=1e-13)


def test_at_its_peak_time_a_distinguishability_has_moved_farther_than_any_other():
    deltas = np.geomspace(0.1, 100, 20001)
    for beta, delta in ((0.1, 4.0), (1.0, 0.7)):
        time = float(peak_time(beta, delta))
        moved = noise_free_weight_change(time, beta, deltas)
        assert deltas[np.argmax(moved)] == pytest.approx(delta, rel=1e-3)
        assert float(noise_free_margin(time, beta, delta)) == pytest.approx(PEAK_MARGIN, rel=1e-14)


def test_gradients_of_the_margin_are_those_of_the_equation():
    time = torch.tensor([0.0, 1e-6, 1.0, 300.0, 1e200], dtype=torch.float64, requires_grad=True)
    z = noise_free_margin(time, 0.1, 4.0)
    (slope,) = torch.autograd.grad(z.sum(), time)
    expected = 0.4**2 / 2 / (1 + z.detach().exp())
    np.testing.assert_allclose(slope, expected, rtol=1e-12)


# The normal law


def test_the_normal_law_keeps_its_digits_in_both_tails():
    x = np.concatenate([np.linspace(-37, 9, 461), [-1e-12, 0.0, 1e-12]])
    exact = [float(mpmath.ncdf(mpmath.mpf(float(v)))) for v in x]
    np.testing.assert_allclose(normal_cdf(x), exact, rtol=5e-13)
    np.testing.assert_allclose(normal_cdf(x), ndtr(x), rtol=5e-13)
    assert normal_cdf(np.array([-math.inf, math.inf])).tolist() == [0, 1]


def test_the_slope_of_the_normal_law_is_its_density():
    x = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(normal_cdf(x).sum(), x)
    expected = torch.exp(-(x.detach() ** 2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(slope, expected, rtol=1e-10)


# Gaussian classes


def test_gaussian_accuracies_are_those_of_drawn_statements():
    rng = np.random.default_rng(0)
    draws, delta, noise = 10**6, 1.0, 0.7
    labels = np.repeat([1.0, -1.0], draws // 2)
    g = labels[:, None] * [delta / 2, 0] + noise * rng.standard_normal((draws, 2))
    reward = np.mean(labels * g[:, 0] > 0)
    policy = np.mean(labels * (g @ [0.3, 0.4]) > 0)
    assert reward == pytest.approx(float(gaussian_reward_accuracy(delta, noise)), abs=4 / math.sqrt(draws))
    assert policy == pytest.approx(float(gaussian_policy_accuracy(0.3, delta, noise, 0.4)), abs=4 / math.sqrt(draws))


def test_policy_accuracy_rises_with_distinguishability_and_falls_with_noise_and_boundary():
    grid = np.linspace(0.1, 3, 30)
    assert np.all(np.diff(gaussian_policy_accuracy(0.5, grid, 0.7, 1.0)) > 0)
    assert np.all(np.diff(gaussian_policy_accuracy(grid, 1.0, 0.7, 1.0)) > 0)
    assert np.all(np.diff(gaussian_policy_accuracy(0.5, 1.0, grid, 1.0)) < 0)
    assert np.all(np.diff(gaussian_policy_accuracy(0.5, 1.0, 0.7, grid)) < 0)


def test_without_noise_accuracy_is_certain_and_a_tie_counts_one_half():
    assert gaussian_reward_accuracy(np.array([0.0, 1e-9]), 0.0).tolist() == [0.5, 1]
    assert gaussian_reward_accuracy(0.0, 0.3) == 0.5
    assert gaussian_policy_accuracy(0.0, 1.0, 0.3, np.array([0.0, 1.0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("beta", "delta", "noise"), [(0.1, 4.0, 0.3), (0.1, 1.0, 0.3), (1.0, 1.0, 1.0), (0.5, 0.5, 2)])
def test_the_gaussian_flow_is_what_an_ode_solver_finds(beta, delta, noise):
    x = np.linspace(-10, 10, 4001)
    weights = np.exp(-(x**2) / 2) / np.sum(np.exp(-(x**2) / 2))
    x = delta / 2 + noise * x
    times = np.geomspace(1e-2, 1e4, 25) / (beta * delta) ** 2
    path = solve_ivp(lambda t, u: [2 * beta * np.sum(weights * x * expit(-beta * u[0] * x))], (0, times[-1]), [0.0],
                     t_eval=times, rtol=1e-10, atol=1e-12, method="LSODA")  # fmt: skip
    np.testing.assert_allclose(gaussian_flow(times, beta, delta, noise), path.y[0], rtol=1e-8)


def test_the_gaussian_flow_starts_noise_free_and_ends_at_the_bayes_head():
    early = 1e-6
    assert float(gaussian_flow(early, 1.0, 2.0, 0.5)) == pytest.approx(
        2 * float(noise_free_margin(early, 1.0, 2.0)) / 2.0, rel=1e-5
    )
    assert float(gaussian_flow(0.0, 1.0, 2.0, 0.5)) == pytest.approx(0, abs=1e-50)
    assert float(gaussian_flow(1e9, 1.0, 2.0, 0.5)) == pytest.approx(float(bayes_head(2.0, 0.5, 1.0)), rel=1e-12)


def test_the_bayes_head_states_the_log_odds_of_the_label():
    delta, noise, beta, g = 1.3, 0.4, 0.2, 0.7
    log_odds = (-((g - delta / 2) ** 2) + (g + delta / 2) ** 2) / (2 * noise**2)
    assert beta * float(bayes_head(delta, noise, beta)) * g == pytest.approx(log_odds, rel=1e-14)


# Bounds


def test_bounds_by_hand():
    assert float(weight_change_bound(3.0, 0.5, 4.0)) == pytest.approx(3 / math.sqrt(2))
    assert float(linear_regime_error(2.0, 0.5, 4.0)) == 0.5
    # eps = .1, gap 2 * .1 / 2 = .1, boundary 2 * .5 / (1 * .4 * 2) = 1.25
    assert float(off_course(0.4, 1.0, 2.0, 1.0, boundary_length=0.5, finite_sample_gap=0.1)) == pytest.approx(1.46)
    assert float(accuracy_lower_bound(0.8, 1.0, 2.0, 0.5, 3.0)) == pytest.approx(1 - math.exp(-2 * (1 - 0.36)))


def test_nothing_is_promised_once_the_path_may_have_turned_around():
    assert float(accuracy_lower_bound(1.0, 2.0, 1.0, 0.1, 1.0)) == 0
    assert float(accuracy_lower_bound(1e9, 2.0, 1.0, 0.1, 1.0)) == 0
    assert float(accuracy_lower_bound(0.0, 1.0, 1.0, 0.1, 1.0, boundary_length=1e-9)) == 0
    assert float(accuracy_lower_bound(0.0, 1.0, 1.0, 1.0, 1.0)) == pytest.approx(1 - math.exp(-1 / 8))


def test_the_waiting_time_is_the_first_time_the_bound_reaches_the_level():
    rng = np.random.default_rng(1)
    beta, delta, noise = rng.uniform(0.05, 2, 200), rng.uniform(0.5, 4, 200), rng.uniform(0.05, 0.3, 200)
    level, boundary, gap = rng.uniform(0.1, 0.9, 200), rng.uniform(0, 0.05, 200), rng.uniform(0, 0.05, 200) * delta
    moment = delta**2 / 4 + noise**2
    extra = {"boundary_length": boundary, "finite_sample_gap": gap}
    wait = waiting_time(level, beta, delta, noise, moment, **extra)
    sure = np.isfinite(wait)
    assert 100 < np.sum(sure) < 200
    times = np.geomspace(1e-6, 1e6, 100001)[:, None]
    for i in range(200):
        mine = {k: v[i] for k, v in extra.items()}
        bound = accuracy_lower_bound(times[:, 0], beta[i], delta[i], noise[i], moment[i], **mine)
        reached = bound >= level[i]
        assert bool(np.any(reached)) == bool(sure[i])
        if sure[i]:
            first = times[np.argmax(reached), 0]
            assert first == pytest.approx(max(wait[i], 1e-6), rel=3e-4)


def test_waiting_without_a_boundary_takes_no_time_or_for_ever():
    assert waiting_time(np.array([0.0, 0.5, 0.99]), 0.1, 1.0, 0.3, 0.34).tolist() == [0, 0, math.inf]
    assert float(waiting_time(0.5, 0.1, 1.0, 0.3, 0.34, finite_sample_gap=0.5)) == math.inf


def test_a_batch_is_its_settings_one_by_one():
    time, delta = np.array([[0.0], [3.0], [200.0]]), np.array([0.5, 1.0, 4.0, 2.0])
    for f, rest in ((noise_free_margin, ()), (gaussian_flow, (0.3,)), (accuracy_lower_bound, (0.3, 2.0))):
        batch = f(time, 0.1, delta, *rest)
        assert batch.shape == (3, 4)
        for i, j in np.ndindex(3, 4):
            assert float(batch[i, j]) == pytest.approx(float(f(time[i, 0], 0.1, delta[j], *rest)), rel=1e-13, abs=1e-50)


CASES = {
    "noise_free_margin": (0.1, 2.0),
    "noise_free_loss": (0.1, 2.0),
    "noise_free_weight_change": (0.1, 2.0),
    "weight_change_bound": (0.1, 2.0),
    "linear_regime_error": (0.1, 1.3),
    "gaussian_flow": (0.1, 2.0, 0.5),
    "gaussian_policy_accuracy": (2.0, 0.5, 3.0),
    "accuracy_lower_bound": (0.1, 2.0, 0.5, 1.25),
    "off_course": (0.1, 2.0, 1.25),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("name", CASES)
def test_every_engine_agrees_and_keeps_its_type(name, engine, dtype, tolerance):
    times = np.array([0.0, 0.25, 3.0, 30.0, 1e30])
    found = getattr(dynamics, name)(to_engine(times, engine, dtype), *CASES[name])
    assert str(found.dtype).endswith(dtype)
    expected = getattr(dynamics, name)(times, *CASES[name])
    np.testing.assert_allclose(np.array(found.tolist()), expected, rtol=tolerance, atol=tolerance * 1e-3)


def test_single_precision_does_not_overflow_where_double_does_not():
    assert float(noise_free_margin(np.float32(3e38) * np.ones(1, "float32"), 10.0, 100.0)[0]) == pytest.approx(
        float(noise_free_margin(3e38, 10.0, 100.0)), rel=1e-6
    )


# Bad input

NAN, INF = math.nan, math.inf
REFUSED = [
    (noise_free_margin, (-1.0, 0.1, 1.0), "`time` must be at least 0, got -1.0."),
    (noise_free_margin, (1.0, 0.0, 1.0), "`beta` must be positive, got 0.0."),
    (noise_free_margin, (1.0, INF, 1.0), "`beta` must be finite, got inf."),
    (noise_free_margin, (1.0, 0.1, NAN), "`distinguishability` must be at least 0, got nan."),
    (noise_free_loss, (1.0, 0.1, INF), "`distinguishability` must be finite, got inf."),
    (peak_time, (0.1, 0.0), "`distinguishability` must be positive, got 0.0."),
    (gaussian_reward_accuracy, (1.0, -0.1), "`noise` must be at least 0, got -0.1."),
    (gaussian_policy_accuracy, (1.0, 1.0, 0.1, INF), "`boundary_length` must be finite, got inf."),
    (bayes_head, (1.0, 0.0, 0.1), "`noise` must be positive, got 0.0."),
    (gaussian_flow, (1.0, 0.1, 0.0, 0.3), "`distinguishability` must be positive, got 0.0."),
    (weight_change_bound, (1.0, -0.1, 1.0), "`beta` must be positive, got -0.1."),
    (linear_regime_error, (1.0, 0.1, -1.0), "`second_moment` must be at least 0, got -1.0."),
    (accuracy_lower_bound, (1.0, 0.1, 0.0, 0.3, 1.0), "`distinguishability` must be positive, got 0.0."),
    (accuracy_lower_bound, (1.0, 0.1, 1.0, 0.0, 1.0), "`noise` must be positive, got 0.0."),
    (waiting_time, (1.0, 0.1, 1.0, 0.3, 1.0), "`level` must be below 1.0, got 1.0."),
    (waiting_time, (-0.1, 0.1, 1.0, 0.3, 1.0), "`level` must be at least 0, got -0.1."),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("f", "values", "sentence"), REFUSED)
def test_bad_input_is_refused(f, values, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        f(*values)
