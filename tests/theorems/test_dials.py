"""Vouches for the statement of the symptoms page: beta and the learning rate act on margins through one product."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alignbook.dynamics import dpo_descent

SEEDS = st.integers(0, 10_000)
FACTORS = st.floats(0.2, 5.0)
STEPS = 12


def pairs(seed):
    return np.random.default_rng(seed).standard_normal((7, 4))


def descent_margins(directions, beta, rate, start=None):
    run = dpo_descent(directions, beta, rate, start=start)
    return np.array([shot.margin for shot, _ in zip(run, range(STEPS), strict=False)])


def adam_margins(directions, beta, rate, epsilon=0.0):
    """Margins along torch's Adam, whose first step from 0 / 0 cannot happen: no gradient of random pairs is 0."""
    theta = torch.zeros(directions.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=rate, eps=epsilon)
    course = []
    for _ in range(STEPS):
        margin = beta * torch.tensor(directions) @ theta
        course.append(margin.detach().numpy())
        optimizer.zero_grad()
        (-torch.nn.functional.logsigmoid(margin)).mean().backward()
        optimizer.step()
    return np.array(course)


@given(seed=SEEDS, factor=FACTORS)
def test_beta_is_a_clock_under_gradient_descent(seed, factor):
    before = descent_margins(pairs(seed), 0.3, 0.5 * factor**2)
    assert np.abs(descent_margins(pairs(seed), 0.3 * factor, 0.5) - before).max() <= 1e-11 * (1 + np.abs(before).max())


@settings(max_examples=50)
@given(seed=SEEDS, factor=FACTORS)
def test_beta_is_a_clock_under_adam(seed, factor):
    before = adam_margins(pairs(seed), 0.3, 0.05 * factor)
    assert np.abs(adam_margins(pairs(seed), 0.3 * factor, 0.05) - before).max() <= 1e-9 * (1 + np.abs(before).max())


def test_with_the_same_product_and_not_the_same_square_descent_differs():
    before = descent_margins(pairs(0), 0.3, 1.0)
    assert np.abs(descent_margins(pairs(0), 0.6, 0.5) - before).max() > 0.1 * np.abs(before).max()


def test_away_from_the_reference_beta_is_more_than_a_clock():
    start = np.ones(4)
    before = descent_margins(pairs(0), 0.3, 2.0, start)
    assert np.abs(descent_margins(pairs(0), 0.6, 0.5, start) - before).max() > 0.1 * np.abs(before).max()


def test_an_epsilon_as_large_as_the_gradient_breaks_adam_s_clock():
    before = adam_margins(pairs(0), 0.3, 0.1, epsilon=0.1)
    assert np.abs(adam_margins(pairs(0), 0.6, 0.05, epsilon=0.1) - before).max() > 0.05 * np.abs(before).max()


@pytest.mark.parametrize("beta", [0.05, 2.0])
def test_under_adam_the_first_step_is_the_learning_rate_whatever_beta_is(beta):
    directions = pairs(1)
    first = adam_margins(directions, beta, 0.01)[1] / beta
    assert np.allclose(first, directions @ (0.01 * np.sign(directions.mean(axis=0))), rtol=0, atol=1e-12)
