"""What Chapter 4 adds to the theorem on one pair: the turning point, a fitted reference, tables, and Adam.

The second opinion: training by torch's autograd over all answers, which knows nothing of margins, means or lines.
"""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from strategies import normalized

INSTANCES = 60


def trained(ref_log_p, features, beta, make_optimizer, steps):
    """The law of every step of training on answer 0 over answer 1, by autograd on the whole softmax."""
    ref, features = torch.tensor(ref_log_p), torch.tensor(features)
    theta = torch.zeros(features.shape[-1], dtype=torch.float64, requires_grad=True)
    optimizer, laws = make_optimizer([theta]), []
    for _ in range(steps + 1):
        log_p = torch.log_softmax(ref + features @ theta, -1)
        laws.append(log_p.detach().numpy())
        optimizer.zero_grad()
        log_ratio = log_p - ref
        (-torch.nn.functional.logsigmoid(beta * (log_ratio[0] - log_ratio[1]))).backward()
        optimizer.step()
    return np.array(laws), theta.detach().numpy()


def descent(parameters):
    return torch.optim.SGD(parameters, lr=0.3)


def fitted_to_the_first(rng, answers=5):
    """Features, and a reference whose mean of them is the first answer's: the other answers are centered on it."""
    features, ref = rng.standard_normal((answers, 2)), normalized(rng.standard_normal(answers))
    rest = np.exp(ref[1:]) / np.exp(ref[1:]).sum()
    features[0] = rest @ features[1:]
    return ref, features


def test_a_fitted_reference_gives_the_chosen_answer_away_from_the_first_step():
    for seed in range(INSTANCES):
        ref, features = fitted_to_the_first(np.random.default_rng(seed))
        laws, _ = trained(ref, features, 0.5, descent, 40)
        assert np.all(np.diff(laws[:, 0]) < 0)


def test_a_reference_whose_mean_is_on_the_rejected_side_lets_the_chosen_answer_rise_at_first():
    for seed in range(INSTANCES):
        ref, features = fitted_to_the_first(np.random.default_rng(seed))
        features[0] = features[0] + 0.3 * (features[0] - features[1])  # the mean moves too, but by a part of it
        laws, _ = trained(ref, features, 0.01, descent, 1)
        assert laws[1, 0] > laws[0, 0]


def test_maximum_likelihood_on_the_chosen_answer_makes_such_a_reference():
    """The gradient of log pi(chosen) is f(chosen) minus the mean, so where it vanishes the two are equal."""
    rng = np.random.default_rng(1)
    for _ in range(INSTANCES):
        features = rng.standard_normal((5, 2))
        features[0] = rng.dirichlet(np.ones(4)) @ features[1:]  # inside the others' hull: the likelihood has a maximum

        def surprise(theta, features=features):
            x = torch.tensor(theta, requires_grad=True)
            value = -torch.log_softmax(torch.tensor(features) @ x, -1)[0]
            (slope,) = torch.autograd.grad(value, x)
            return float(value.detach()), slope.numpy()

        found = minimize(surprise, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-9})
        law = torch.softmax(torch.tensor(features @ found.x), -1).numpy()
        np.testing.assert_allclose(law @ features, features[0], rtol=0, atol=1e-7)  # the search's own accuracy


@pytest.mark.parametrize("answers", [2, 3, 6])
def test_on_a_table_one_pair_always_raises_the_chosen_answer(answers):
    rng = np.random.default_rng(2)
    for _ in range(INSTANCES):
        ref = normalized(3 * rng.standard_normal(answers))
        laws, _ = trained(ref, np.eye(answers), 0.5, descent, 30)
        assert np.all(np.diff(laws[:, 0]) > 0)
        assert np.all(np.diff(laws[:, 1]) < 0)


def test_on_a_table_the_chosen_answer_s_slope_is_one_minus_it_plus_the_rejected_one():
    rng = np.random.default_rng(3)
    for _ in range(INSTANCES):
        ref = torch.tensor(normalized(rng.standard_normal(4)))
        a = torch.tensor(float(rng.uniform(0, 3)), dtype=torch.float64, requires_grad=True)
        log_p = torch.log_softmax(ref + a * torch.tensor([1.0, -1.0, 0.0, 0.0], dtype=torch.float64), -1)
        (slope,) = torch.autograd.grad(log_p[0], a)
        law = np.exp(log_p.detach().numpy())
        assert float(slope) == pytest.approx(1 - law[0] + law[1], abs=1e-14)


def test_adam_may_crown_another_answer_than_descent_does():
    """Yes at 80 degrees: it reaches farther than No along the pair, and less far along the signs of the pair."""
    angle = math.radians(80 - 15)
    never = (-math.cos(math.radians(-15)), -math.sin(math.radians(-15)))
    features = np.array([(0.0, 0.0), never, (math.cos(angle), math.sin(angle))])
    ref = np.log([0.3, 0.65, 0.05])
    by_descent, _ = trained(ref, features, 0.5, lambda p: torch.optim.SGD(p, lr=100.0), 20_000 // 10)
    by_adam, theta = trained(ref, features, 0.5, lambda p: torch.optim.Adam(p, lr=0.03), 2000)
    assert by_descent[-1].argmax() == 2
    assert by_adam[-1].argmax() == 0
    assert theta[0] == pytest.approx(-theta[1], rel=1e-3)
