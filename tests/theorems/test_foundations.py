"""The statements of Chapter 0, each on random instances, at its edges, and once without an assumption.

The second opinion never runs the book's own code: mpmath at 50 digits, plain sums in Python, torch's
autograd, or a differential equation solved by its implicit solution.
"""

import math

import mpmath
import numpy as np
import pytest
import torch

from alignbook.arrays import log_sigmoid, log_softmax
from alignbook.information import cross_entropy, entropy, kl_divergence, variance

mpmath.mp.dps = 50
INSTANCES = 60


def random_laws(seed, answers=5, count=INSTANCES):
    """Laws of very uneven shapes, some with answers they never give."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((count, answers)) * np.exp(3 * rng.random((count, 1)) - 1.5)
    logits[rng.random((count, answers)) < 0.1] = -np.inf
    logits[:, 0] = np.where(np.isinf(logits).all(axis=-1), 0.0, logits[:, 0])
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def exact_kl(p, q):
    """D(p || q) of non-negative weights at 50 digits, by its definition."""
    pairs = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(p, q, strict=True) if a > 0]
    return mpmath.inf if any(b == 0 for _, b in pairs) else mpmath.fsum(a * mpmath.log(a / b) for a, b in pairs)


# Softmax depends on differences alone


def odds_agree(logits, other):
    """Whether two score vectors give the same law, by ratios of exponentials at 50 digits."""
    ratios = [mpmath.exp(mpmath.mpf(float(a)) - mpmath.mpf(float(b))) for a, b in zip(logits, other, strict=True)]
    return max(ratios) / min(ratios) - 1 < mpmath.mpf(10) ** -12


def test_softmax_depends_on_differences_alone():
    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((INSTANCES, 5))
    shift = 200 * rng.standard_normal((INSTANCES, 1))
    law, shifted = log_softmax(logits), log_softmax(logits + shift)
    np.testing.assert_allclose(shifted, law, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.diff(law), np.diff(logits), rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.sum(np.exp(law), axis=-1), 1, rtol=0, atol=1e-14)
    for z in logits[:10]:
        total = mpmath.fsum(mpmath.exp(mpmath.mpf(float(value))) for value in z)
        exact = [float(mpmath.mpf(float(value)) - mpmath.log(total)) for value in z]
        np.testing.assert_allclose(log_softmax(z), exact, rtol=0, atol=1e-14)


def test_softmax_with_one_answer_or_huge_logits_is_a_law():
    assert log_softmax(np.array([3.7])).tolist() == [0.0]
    np.testing.assert_allclose(log_softmax(np.array([1000.0, 1000.0])), -math.log(2), rtol=0, atol=1e-12)


def test_softmax_tells_scores_apart_that_differ_by_more_than_a_shift():
    rng = np.random.default_rng(1)
    logits = 3 * rng.standard_normal((INSTANCES, 5))
    scaled = 1.1 * logits
    gaps = np.max(np.abs(log_softmax(logits) - log_softmax(scaled)), axis=-1)
    assert (gaps > 1e-3).all()
    assert not any(odds_agree(z, y) for z, y in zip(logits, scaled, strict=True))


# The logistic loss lies between two bounds


def check_between_bounds(margin, loss):
    least = np.maximum(0.0, -margin)
    assert (loss >= least).all()
    assert (loss <= least + math.log(2)).all()


def test_the_logistic_loss_lies_between_two_bounds():
    margin = 20 * np.random.default_rng(2).standard_normal(INSTANCES)
    margin = np.concatenate([margin, [0.0, -1e4, 1e4, 1e-300]])
    loss = -log_sigmoid(margin)
    check_between_bounds(margin, loss)
    exact = [float(mpmath.log1p(mpmath.exp(-mpmath.mpf(float(m))))) for m in margin]
    np.testing.assert_allclose(loss, exact, rtol=1e-14, atol=5e-324)


def test_the_slope_of_the_logistic_loss_is_minus_sigma_of_minus_the_margin():
    margin = torch.linspace(-40, 40, 81, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(-log_sigmoid(margin).sum(), margin, create_graph=True)
    exact = [-float(1 / (1 + mpmath.exp(mpmath.mpf(m)))) for m in margin.tolist()]
    np.testing.assert_allclose(slope.detach().numpy(), exact, rtol=1e-12, atol=0)
    (curvature,) = torch.autograd.grad(slope.sum(), margin)
    assert (curvature >= 0).all()


def test_another_loss_leaves_the_two_bounds():
    margin = 3 * np.random.default_rng(3).standard_normal(INSTANCES)
    with pytest.raises(AssertionError):
        check_between_bounds(margin, np.exp(-margin))


# KL is never negative


def check_gibbs(p, q):
    """D(p || q) >= 0 with equality for equal laws alone, by plain sums; returns the divergences."""
    values = [exact_kl(a, b) for a, b in zip(p, q, strict=True)]
    assert all(value >= 0 for value in values)
    return values


def test_kl_is_never_negative():
    log_p, log_q = random_laws(4), random_laws(5)
    values = kl_divergence(log_p, log_q)
    exact = check_gibbs_up_to_rounding(np.exp(log_p), np.exp(log_q))
    np.testing.assert_allclose(values, exact, rtol=1e-12, atol=1e-14)
    assert (values >= 0).all()
    assert np.isinf(values).any()
    finite = np.isfinite(values)
    sums = cross_entropy(log_p, log_q)[finite] - entropy(log_p)[finite]
    np.testing.assert_allclose(sums, values[finite], rtol=0, atol=1e-13)


def check_gibbs_up_to_rounding(p, q):
    """The exact divergences of the floats after each law is normalized at 50 digits."""
    values = []
    for a, b in zip(p, q, strict=True):
        a_total, b_total = mpmath.fsum(map(mpmath.mpf, a.tolist())), mpmath.fsum(map(mpmath.mpf, b.tolist()))
        values.append(
            exact_kl([mpmath.mpf(x) / a_total for x in a.tolist()], [mpmath.mpf(x) / b_total for x in b.tolist()])
        )
    assert all(value >= -(mpmath.mpf(10) ** -15) for value in values)
    return [float(value) for value in values]


def test_kl_is_zero_for_equal_laws_alone():
    log_p = random_laws(6)
    assert (kl_divergence(log_p, log_p) == 0).all()
    nudged = log_p.copy()
    best = np.argmax(nudged, axis=-1)
    nudged[np.arange(INSTANCES), best] += 1e-6
    nudged -= np.log(np.sum(np.exp(nudged), axis=-1, keepdims=True))
    several = np.sum(np.exp(log_p) > 1e-3, axis=-1) > 1
    assert (kl_divergence(nudged, log_p)[several] > 0).all()


def test_kl_can_be_negative_where_the_second_argument_sums_to_more_than_one():
    p = np.exp(random_laws(7))
    with pytest.raises(AssertionError):
        check_gibbs(p, 1.2 * p)


# KL of nearly equal laws is half the mean square log-ratio


def check_half_mean_square(p, q):
    """Both divergences against half the mean square log-ratio under q, within e^(+-largest), at 50 digits."""
    for a, b in zip(p, q, strict=True):
        log_ratio = [mpmath.log(x / y) for x, y in zip(a, b, strict=True)]
        half = mpmath.fsum(y * r * r for y, r in zip(b, log_ratio, strict=True)) / 2
        largest = max(abs(r) for r in log_ratio)
        for value in (mp_kl(a, b), mp_kl(b, a)):
            assert mpmath.exp(-largest) <= value / half <= mpmath.exp(largest)


def mp_kl(p, q):
    return mpmath.fsum(x * mpmath.log(x / y) for x, y in zip(p, q, strict=True))


def nearby_laws(seed, count=INSTANCES):
    """Pairs of exact mpmath laws, from far apart to 1e-6 apart in log-ratio."""
    rng = np.random.default_rng(seed)
    pairs = []
    for size in np.geomspace(3, 1e-6, count):
        base = [mpmath.exp(mpmath.mpf(float(x))) for x in rng.standard_normal(4)]
        moved = [b * mpmath.exp(mpmath.mpf(float(size * x))) for b, x in zip(base, rng.standard_normal(4), strict=True)]
        pairs.append(([x / mpmath.fsum(moved) for x in moved], [x / mpmath.fsum(base) for x in base]))
    return zip(*pairs, strict=True)


def test_kl_of_nearly_equal_laws_is_half_the_mean_square_log_ratio():
    p, q = map(list, nearby_laws(8))
    check_half_mean_square(p, q)
    for a, b in zip(p, q, strict=True):
        log_p, log_q = (np.array([float(mpmath.log(x)) for x in law]) for law in (a, b))
        log_ratio = np.array([float(mpmath.log(x / y)) for x, y in zip(a, b, strict=True)])
        exact = float(mp_kl(b, a))
        mean_square = float(mpmath.fsum(y * mpmath.log(x / y) ** 2 for x, y in zip(a, b, strict=True)))
        gap = variance(log_q, log_ratio) - (mean_square - exact**2)
        assert abs(gap) <= 1e-12 * mean_square
        assert abs(kl_divergence(log_q, log_p) - exact) <= 1e-9 * exact


def test_half_the_mean_square_fails_where_the_first_argument_is_no_law():
    p, q = map(list, nearby_laws(9))
    with pytest.raises(AssertionError):
        check_half_mean_square([[1.001 * x for x in law] for law in p], q)


# Gradient descent on a quadratic follows the flow


def descend(start, slope, learning_rate, steps):
    """Plain gradient descent on one number: the path with its start."""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * slope(path[-1]))
    return path


def check_follows_flow(rate, steps):
    """Every step of gradient descent from 1, with learning rate times curvature `rate`, against e^-time."""
    path = descend(1.0, lambda u: u, rate, steps)
    for step, value in enumerate(path):
        gap = math.exp(-rate * step) - value
        assert -1e-15 * (step + 1) <= gap <= rate / 2


def test_gradient_descent_on_a_quadratic_follows_the_flow():
    for rate in [*np.random.default_rng(10).random(INSTANCES), 1.0, 1e-4, 1e-12]:
        check_follows_flow(float(rate), 200)


def test_gradient_descent_on_a_quadratic_overshoots_and_settles_between_one_and_two():
    for rate in (1.01, 1.5, 1.99):
        path = np.array(descend(1.0, lambda u: u, rate, 4000))
        assert (path[1:20] * path[:19] < 0).all()
        assert abs(path[-1]) < 1e-9


def test_gradient_descent_on_a_quadratic_leaves_the_flow_beyond_rate_two():
    assert abs(descend(1.0, lambda u: u, 2.0, 101)[-1]) == 1
    for rate in (2.01, 2.5, 4.0):
        assert abs(descend(1.0, lambda u: u, rate, 500)[-1]) > 100
        with pytest.raises(AssertionError):
            check_follows_flow(rate, 200)


# The logistic flow grows like log time


def flow_margin(time, start=0):
    """The flow u' = sigma(-u) at `time`: the root of u + e^u = start + e^start + time, by mpmath."""
    level = mpmath.mpf(time) + start + mpmath.exp(start)
    return level - mpmath.lambertw(mpmath.exp(level)).real


def check_log_time(time, start=0):
    assert mpmath.log1p(mpmath.mpf(time) / 2) <= flow_margin(time, start) <= mpmath.log1p(time)


def test_the_logistic_flow_grows_like_log_time():
    times = [0.0, 1e-6, 1e3, *np.exp(7 * np.random.default_rng(11).standard_normal(INSTANCES)).tolist()]
    for time in times:
        check_log_time(time)


def test_the_implicit_solution_solves_the_logistic_flow():
    for time in (0.5, 3.0, 50.0):
        slope = mpmath.diff(flow_margin, time)
        margin = flow_margin(time)
        assert abs(slope - 1 / (1 + mpmath.exp(margin))) < mpmath.mpf(10) ** -20


def test_the_log_time_bounds_need_the_start_at_zero():
    with pytest.raises(AssertionError):
        check_log_time(1.0, start=-5)


def test_gradient_descent_on_the_logistic_loss_follows_its_flow():
    for rate in (0.01, 0.1, 1.0):
        path = descend(0.0, lambda u: -1 / (1 + math.exp(u)), rate, 500)
        gaps = [abs(u - float(flow_margin(rate * step))) for step, u in enumerate(path)]
        assert max(gaps) <= rate / 8
