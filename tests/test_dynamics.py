"""Vouches for descent on pairs in margin form: it is torch's autograd on the whole policy, step for step.

The second opinion knows nothing of margins: log-probabilities of a softmax over all answers, a loss on them, autograd.
"""

import functools
import itertools
import math
import re

import numpy as np
import pytest
import torch
from strategies import normalized

from alignbook.arrays import to_engine
from alignbook.dynamics import dpo_descent
from alignbook.losses import cdpo_slope, dpo_slope, hinge_slope, ipo_slope, robust_dpo_slope
from alignbook.policies import log_linear_policy

CHOSEN, REJECTED = [0, 2, 0, 3], [1, 0, 3, 4]


def problem(seed, answers=5, features=3):
    """A reference and features for its answers."""
    rng = np.random.default_rng(seed)
    return normalized(rng.standard_normal(answers)), rng.standard_normal((answers, features))


def after(run, steps):
    return next(itertools.islice(run, steps, None))


def plain_descent(ref_log_p, features, beta, rate, steps, loss, weights, start):
    """The law after so many steps on all answers' log-probabilities."""
    ref_log_p, features, weights = (torch.as_tensor(x) for x in (ref_log_p, features, weights))
    theta = torch.as_tensor(start)
    for _ in range(steps):
        theta.requires_grad_()
        log_ratio = torch.log_softmax(ref_log_p + features @ theta, -1) - ref_log_p
        h = log_ratio[CHOSEN] - log_ratio[REJECTED]
        (slope,) = torch.autograd.grad(torch.sum(weights * loss(h, beta)), theta)
        theta = theta.detach() - rate * slope
    return torch.log_softmax(ref_log_p + features @ theta, -1).numpy()


def log_sigma(m):
    return torch.nn.functional.logsigmoid(m)


METHODS = {
    "dpo": (lambda beta: dpo_slope, lambda h, b: -log_sigma(b * h)),
    "ipo": (lambda beta: functools.partial(ipo_slope, beta=beta), lambda h, b: (h - 1 / (2 * b)) ** 2),
    "cdpo": (
        lambda beta: functools.partial(cdpo_slope, label_noise=0.1),
        lambda h, b: -0.9 * log_sigma(b * h) - 0.1 * log_sigma(-b * h),
    ),
    "robust": (
        lambda beta: functools.partial(robust_dpo_slope, label_noise=0.1),
        lambda h, b: (-0.9 * log_sigma(b * h) + 0.1 * log_sigma(-b * h)) / 0.8,
    ),
    "hinge": (lambda beta: hinge_slope, lambda h, b: torch.relu(1 - b * h)),
}


def test_two_steps_by_hand():
    # d = (3, 4), beta 1/5: m = 0, then theta = rate beta/2 d = d/2 at rate 5, m = 5/2
    first, second, third = itertools.islice(dpo_descent(np.array([[3.0, 4.0]]), 0.2, 5.0), 3)
    assert (first.step, float(first.time), first.theta.tolist(), first.margin.tolist()) == (0, 0.0, [0.0, 0.0], [0.0])
    assert (second.step, float(second.time), second.margin.tolist()) == (1, 5, [2.5])
    assert second.theta.tolist() == pytest.approx([1.5, 2], rel=1e-15)
    assert third.theta.tolist() == pytest.approx([1.5 + 3 / (1 + math.exp(2.5)), 2 + 4 / (1 + math.exp(2.5))])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("table", [False, True])
def test_the_descent_is_that_of_plain_autograd(name, table):
    slope, loss = METHODS[name]
    weights = np.array([0.5, 0.2, 0.2, 0.1])
    for seed in range(4):
        ref, features = problem(seed)
        features = np.eye(5) if table else features
        beta = (0.2, 0.5, 1.0, 2.0)[seed]
        start = 0.1 * np.random.default_rng(seed).standard_normal(features.shape[-1])
        run = dpo_descent(features[CHOSEN] - features[REJECTED], beta, 0.05, weights=weights, start=start,
                          slope=slope(beta))  # fmt: skip
        found = log_linear_policy(ref, features, after(run, 100).theta)
        expected = plain_descent(ref, features, beta, 0.05, 100, loss, weights, start)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_by_default_the_loss_is_the_mean_over_pairs_from_the_reference():
    ref, features = problem(5)
    found = after(dpo_descent(features[CHOSEN] - features[REJECTED], 0.5, 0.3), 100)
    expected = plain_descent(ref, features, 0.5, 0.3, 100, METHODS["dpo"][1], np.full(4, 0.25), np.zeros(3))
    np.testing.assert_allclose(log_linear_policy(ref, features, found.theta), expected, rtol=0, atol=1e-10)


def test_a_margin_is_beta_times_the_difference_of_log_ratios():
    ref, features = problem(6)
    shot = after(dpo_descent(features[CHOSEN] - features[REJECTED], 0.3, 0.5), 20)
    log_ratio = log_linear_policy(ref, features, shot.theta) - ref
    np.testing.assert_allclose(shot.margin, 0.3 * (log_ratio[CHOSEN] - log_ratio[REJECTED]), rtol=0, atol=1e-14)


def test_snapshots_come_every_so_many_steps_along_the_same_run():
    directions = problem(7)[1]
    every = list(itertools.islice(dpo_descent(directions, 0.5, 0.3), 13))
    sparse = list(itertools.islice(dpo_descent(directions, 0.5, 0.3, record_every=4), 4))
    assert [shot.step for shot in sparse] == [0, 4, 8, 12]
    assert [float(shot.time) for shot in sparse] == pytest.approx([0, 1.2, 2.4, 3.6])
    assert [shot.theta.tolist() for shot in sparse] == [shot.theta.tolist() for shot in every[::4]]


def test_a_batch_is_its_runs_one_by_one():
    """Betas and rates along one axis; pairs, weights and starts along the other."""
    rng = np.random.default_rng(8)
    directions, start = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 2))
    weights = rng.random((3, 4))
    beta, rate = np.array([[0.1], [1.0]]), np.array([[0.1], [0.2]])
    batch = after(dpo_descent(directions, beta, rate, weights=weights, start=start), 50)
    assert batch.theta.shape == (2, 3, 2)
    for i, j in np.ndindex(2, 3):
        single = after(
            dpo_descent(directions[j], beta[i, 0], rate[i, 0], weights=weights[j], start=start[j]), 50
        )  # fmt: skip
        np.testing.assert_allclose(batch.theta[i, j], single.theta, rtol=1e-13)
        np.testing.assert_allclose(batch.margin[i, j], single.margin, rtol=1e-13)
        assert float(np.broadcast_to(batch.time, (2, 3))[i, j]) == float(single.time)


def test_a_curve_over_betas_shares_its_pairs():
    directions = problem(9)[1]
    shots = list(itertools.islice(dpo_descent(directions, np.array([0.1, 0.2, 0.4]), 1.0), 3))
    assert [shot.theta.shape for shot in shots] == [(3, 3)] * 3
    assert [shot.margin.shape for shot in shots] == [(3, 5)] * 3


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_every_engine_descends_alike_and_keeps_its_type(engine, dtype, tolerance):
    directions = problem(10)[1]
    found = after(dpo_descent(to_engine(directions, engine, dtype), 0.5, 0.5), 100)
    expected = after(dpo_descent(directions, 0.5, 0.5), 100)
    for name in ("theta", "margin", "time"):
        got = getattr(found, name)
        assert str(got.dtype).endswith(dtype)
        np.testing.assert_allclose(np.array(got.tolist()), getattr(expected, name), rtol=0, atol=tolerance)


# Bad input

NAN, INF = math.nan, math.inf
GOOD = {"directions": np.ones((2, 3)), "beta": 0.1, "learning_rate": 0.5}
REFUSED = [
    ({"directions": np.array([[0.0, NAN]])}, "`directions` must be finite, got nan."),
    ({"directions": np.ones(3)}, "`directions` must have pairs and features as its last axes, got (3,)."),
    ({"directions": np.ones((0, 3))}, "`directions` must have pairs and features as its last axes, got (0, 3)."),
    ({"beta": 0.0}, "`beta` must be positive, got 0.0."),
    ({"beta": INF}, "`beta` must be finite, got inf."),
    ({"learning_rate": -1.0}, "`learning_rate` must be positive, got -1.0."),
    ({"learning_rate": NAN}, "`learning_rate` must be positive, got nan."),
    ({"record_every": 0}, "`record_every` must be positive, got 0.0."),
    ({"weights": np.ones(3)}, "`weights` must have length 2 on its last axis, got shape (3,)."),
    ({"weights": np.array([1.0, -0.5])}, "`weights` must be at least 0, got -0.5."),
    ({"weights": np.array([1.0, INF])}, "`weights` must be finite, got inf."),
    ({"start": np.zeros(2)}, "`start` must have length 3 on its last axis, got shape (2,)."),
    ({"start": np.array([0.0, 0.0, NAN])}, "`start` must be finite, got nan."),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("bad", "sentence"), REFUSED)
def test_bad_input_is_refused_before_the_first_step(bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        dpo_descent(**(GOOD | bad))
