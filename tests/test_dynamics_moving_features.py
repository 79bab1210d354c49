"""Vouches for the training of two layers: its descent is autograd's on the whole policy, its flow an ODE solver's.

The second opinion of the descent knows nothing of margins or of a head's difference: log-softmax over all answers, a
loss on the Yes and No among them, autograd. That of the flow is scipy's integration of both equations.
"""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from alignbook.arrays import to_engine
from alignbook.dynamics import two_layer_balance, two_layer_descent, two_layer_flow
from alignbook.policies import two_layer_policy

YES, NO = 2, 0  # rows of an unembedding with five answers


def after(run, steps):
    return next(itertools.islice(run, steps, None))


def problem(seed, statements=12, inputs=4, hidden=3):
    """Inputs, labels, a whole unembedding and features, and another pair of layers as a reference."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(statements) < 0.5, 1.0, -1.0)
    layers = [rng.standard_normal(shape) for shape in ((5, hidden), (hidden, inputs)) * 2]
    return rng.standard_normal((statements, inputs)), labels, layers[:2], layers[2:]


def by_autograd(data, labels, start, reference, beta, rate, steps, train_features):
    """Both layers after so many steps on the DPO loss of the whole policy."""
    x, shows_yes = torch.tensor(data), torch.tensor(labels > 0)
    (w, a), ref = (tuple(torch.tensor(layer) for layer in pair) for pair in (start, reference))

    def yes_over_no(w, a):
        log_p = torch.log_softmax(x @ a.T @ w.T, -1)
        return torch.where(shows_yes, 1.0, -1.0) * (log_p[:, YES] - log_p[:, NO])

    for _ in range(steps):
        w.requires_grad_()
        a.requires_grad_()
        loss = -torch.nn.functional.logsigmoid(beta * (yes_over_no(w, a) - yes_over_no(*ref))).mean()
        slopes = torch.autograd.grad(loss, (w, a))
        w, a = (p.detach() - r * s for p, r, s in zip((w, a), (rate, rate * train_features), slopes, strict=True))
    return w.numpy(), a.numpy(), yes_over_no(w, a).numpy()


def difference(unembedding):
    return unembedding[YES] - unembedding[NO]


# Descent


def test_one_step_by_hand():
    # beta 1/2, x = (2, 0), w = 1, A = (3, 0): h = x, and sigma(0) beta h = (1/2, 0) is the mean pull
    run = two_layer_descent(
        np.array([[2.0, 0.0]]), np.array([1.0]), 0.5, 0.1, head=np.array([1.0]), features=np.array([[3.0, 0.0]])
    )
    first, second = itertools.islice(run, 2)
    assert (first.step, float(first.time), first.margin.tolist(), first.log_odds.tolist()) == (0, 0.0, [0.0], [6.0])
    assert second.head.tolist() == pytest.approx([1 + 0.1 * 2 * 3 * 0.5])
    assert second.features.tolist() == [pytest.approx([3 + 0.1 * 1 * 0.5, 0.0])]
    assert second.log_odds.tolist() == pytest.approx([2 * 1.3 * 3.05])
    assert second.margin.tolist() == pytest.approx([0.5 * (2 * 1.3 * 3.05 - 6)])


@pytest.mark.parametrize("train_features", [True, False])
@pytest.mark.parametrize("other_reference", [True, False])
def test_the_descent_is_that_of_plain_autograd(train_features, other_reference):
    for seed in range(6):
        data, labels, start, other = problem(seed)
        reference = other if other_reference else start
        given = {"ref_head": difference(other[0]), "ref_features": other[1]} if other_reference else {}
        run = two_layer_descent(data, labels, 0.4, 0.05, head=difference(start[0]), features=start[1],
                                train_features=train_features, **given)  # fmt: skip
        found = after(run, 100)
        w, a, log_odds = by_autograd(data, labels, start, reference, 0.4, 0.05, 100, train_features)
        np.testing.assert_allclose(found.head, difference(w), rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.features, a, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.log_odds, log_odds, rtol=0, atol=1e-10)
        others = [row for row in range(5) if row not in (YES, NO)]
        np.testing.assert_array_equal(w[others], start[0][others])


def test_the_two_rows_move_by_half_of_the_head_each_way():
    data, labels, start, _ = problem(7)
    found = after(two_layer_descent(data, labels, 0.4, 0.05, head=difference(start[0]), features=start[1]), 50)
    w, _, _ = by_autograd(data, labels, start, start, 0.4, 0.05, 50, True)
    half = (found.head - difference(start[0])) / 2
    np.testing.assert_allclose(w[YES] - start[0][YES], half, rtol=0, atol=1e-11)
    np.testing.assert_allclose(w[NO] - start[0][NO], -half, rtol=0, atol=1e-11)


def test_a_batch_is_its_runs_one_by_one():
    """Seeds along one axis, betas and rates along the other."""
    cases = [problem(seed) for seed in range(3)]
    data, labels = np.stack([case[0] for case in cases]), np.stack([case[1] for case in cases])
    head = np.stack([difference(case[2][0]) for case in cases])
    features = np.stack([case[2][1] for case in cases])
    beta, rate = np.array([[0.1], [1.0]]), np.array([[0.1], [0.02]])
    batch = after(two_layer_descent(data, labels, beta, rate, head=head, features=features), 30)
    assert batch.head.shape == (2, 3, 3)
    for i, j in np.ndindex(2, 3):
        run = two_layer_descent(data[j], labels[j], beta[i, 0], rate[i, 0], head=head[j], features=features[j])
        single = after(run, 30)
        for name in ("head", "features", "margin", "log_odds"):
            np.testing.assert_allclose(getattr(batch, name)[i, j], getattr(single, name), rtol=1e-11)


def test_snapshots_come_every_so_many_steps_along_the_same_run():
    data, labels, start, _ = problem(8)
    layers = {"head": difference(start[0]), "features": start[1]}
    every = list(itertools.islice(two_layer_descent(data, labels, 0.4, 0.05, **layers), 9))
    sparse = list(itertools.islice(two_layer_descent(data, labels, 0.4, 0.05, **layers, record_every=4), 3))
    assert [(s.step, float(s.time)) for s in sparse] == [(0, 0.0), (4, pytest.approx(0.2)), (8, pytest.approx(0.4))]
    assert [s.head.tolist() for s in sparse] == [s.head.tolist() for s in every[::4]]


def test_the_balance_of_the_layers_stays_as_steps_get_small():
    """The change over a fixed time is the step's order: ten times smaller steps, ten times smaller change."""
    data, labels, start, _ = problem(9)
    layers = {"head": difference(start[0]), "features": start[1]}
    before = two_layer_balance(**layers)
    drifts = []
    for steps in (200, 2000):
        end = after(two_layer_descent(data, labels, 0.4, 2.0 / steps, **layers), steps)
        drifts.append(np.abs(two_layer_balance(end.head, end.features) - before).max())
    assert drifts[1] < 0.02
    assert drifts[0] / drifts[1] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_every_engine_descends_alike_and_keeps_its_type(engine, dtype, tolerance):
    data, labels, start, other = problem(10)
    given = (data, labels, difference(start[0]), start[1], difference(other[0]), other[1])
    names = ("head", "features", "ref_head", "ref_features")

    def run(arrays):
        layers = dict(zip(names, arrays[2:], strict=True))
        return after(two_layer_descent(arrays[0], arrays[1], 0.4, 0.05, **layers), 60)

    found, expected = run([to_engine(x, engine, dtype) for x in given]), run(given)
    for name in ("head", "features", "margin", "log_odds"):
        got = getattr(found, name)
        assert str(got.dtype).endswith(dtype)
        np.testing.assert_allclose(np.array(got.tolist()), getattr(expected, name), rtol=0, atol=tolerance)


# The policy


def test_the_policy_is_the_softmax_of_both_layers(engine):
    data, _, (unembedding, features), _ = problem(11)
    found = two_layer_policy(*(to_engine(x, engine) for x in (unembedding, features, data)))
    logits = np.einsum("vk,kd,nd->nv", unembedding, features, data)
    weights = np.exp(logits)
    expected = np.log(weights / weights.sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(np.array(found.tolist()), expected, rtol=0, atol=1e-13)


def test_log_odds_of_a_run_are_those_of_the_policy():
    data, labels, start, _ = problem(12)
    shot = after(two_layer_descent(data, labels, 0.4, 0.05, head=difference(start[0]), features=start[1]), 10)
    unembedding = np.zeros((5, 3))
    unembedding[YES], unembedding[NO] = shot.head / 2, -shot.head / 2
    log_p = two_layer_policy(unembedding, shot.features, data)
    np.testing.assert_allclose(labels * (log_p[:, YES] - log_p[:, NO]), shot.log_odds, rtol=0, atol=1e-12)


# Flow

EXAMPLE = {"beta": 0.1, "distinguishability": 4.0}


def by_solver(time, beta, distance, w, a, product, sign):
    """Both layers of the scalar model, by integration of their equations."""

    def slopes(_, state):
        margin = sign * beta * (state[0] * state[1] - product) * distance / 2
        k = sign * beta * distance / 2 / (1 + np.exp(margin))
        return [2 * k * state[1], k * state[0]]

    method = "DOP853" if time < 100 else "LSODA"
    return solve_ivp(slopes, [0, time], [w, a], rtol=1e-12, atol=1e-12, method=method).y[:, -1]


@pytest.mark.parametrize("flipped", [False, True])
def test_the_flow_is_an_ode_solver_s(flipped):
    rng = np.random.default_rng(0)
    for _ in range(50):
        beta, distance = np.exp(rng.uniform(-3, 0.5)), np.exp(rng.uniform(-1, 1.8))
        w, a, w_ref, a_ref = 1.5 * rng.standard_normal(4)
        time = 10 ** rng.uniform(-1, 4)
        found = two_layer_flow(
            time, beta, distance, head=w, feature=a, ref_head=w_ref, ref_feature=a_ref, flipped=flipped
        )
        expected = by_solver(time, beta, distance, w, a, w_ref * a_ref, -1 if flipped else 1)
        np.testing.assert_allclose([found.head, found.feature], expected, rtol=0, atol=1e-9)  # the solver's accuracy
        sign = -1 if flipped else 1
        assert found.log_odds == pytest.approx(found.head * found.feature * distance / 2, abs=1e-12)
        assert found.margin == pytest.approx(sign * beta * (found.log_odds - w_ref * a_ref * distance / 2), abs=1e-10)


def test_the_square_of_the_head_less_twice_that_of_the_feature_never_changes():
    times = np.geomspace(1e-3, 1e6, 60)
    for w, a in ((0.5, 1.0), (2.0, 0.3), (-1.0, 1.0), (0.0, 0.7)):
        for flipped in (False, True):
            found = two_layer_flow(times, **EXAMPLE, head=w, feature=a, flipped=flipped)
            scale = found.head**2 + 2 * found.feature**2
            np.testing.assert_allclose(found.head**2 - 2 * found.feature**2, w**2 - 2 * a**2, atol=1e-13 * scale.max())


def test_at_time_zero_nothing_has_moved():
    found = two_layer_flow(0.0, **EXAMPLE, head=0.5, feature=1.0)
    assert [float(x) for x in found] == pytest.approx([0.5, 1.0, 0.0, 1.0], abs=1e-15)


def test_small_steps_of_the_descent_tend_to_the_flow():
    """One input each way and one hidden unit; Euler's error falls with the step."""
    data, labels = np.array([[2.0], [-2.0]]), np.array([-1.0, 1.0])  # flipped
    expected = two_layer_flow(20.0, **EXAMPLE, head=0.5, feature=1.0, flipped=True)
    errors = []
    for steps in (1000, 10000):
        run = two_layer_descent(data, labels, 0.1, 20.0 / steps, head=np.array([0.5]), features=np.array([[1.0]]))
        end = after(run, steps)
        errors.append(max(abs(end.head[0] - expected.head), abs(end.features[0, 0] - expected.feature)))
        np.testing.assert_allclose(end.margin, [expected.margin] * 2, rtol=0, atol=20 * errors[-1])
    assert errors[1] < 2e-4
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.05)


def test_layers_that_cancel_come_to_rest_at_zero():
    """With w = -sqrt(2) a nothing turns the head round: both layers shrink for ever, and the margin stays bounded."""
    found = two_layer_flow(1e5, **EXAMPLE, head=-math.sqrt(2), feature=1.0)
    assert abs(found.head) < 1e-6
    assert abs(found.feature) < 1e-6
    assert found.margin == pytest.approx(0.1 * math.sqrt(2) * 2, rel=1e-6)


def test_arguments_broadcast():
    times, feature = np.array([[1.0], [50.0]]), np.array([0.5, 1.0, 2.0])
    grid = two_layer_flow(times, **EXAMPLE, head=0.5, feature=feature)
    assert grid.head.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        single = two_layer_flow(float(times[i, 0]), **EXAMPLE, head=0.5, feature=float(feature[j]))
        assert [x[i, j] for x in grid] == pytest.approx([float(x) for x in single], rel=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_every_engine_flows_alike_and_keeps_its_type(engine, dtype, tolerance):
    times = np.array([0.0, 1.0, 30.0, 1000.0])
    expected = two_layer_flow(times, **EXAMPLE, head=0.5, feature=1.0, flipped=True)
    found = two_layer_flow(to_engine(times, engine, dtype), **EXAMPLE, head=0.5, feature=1.0, flipped=True)
    for got, wanted in zip(found, expected, strict=True):
        assert str(got.dtype).endswith(dtype)
        np.testing.assert_allclose(np.array(got.tolist()), wanted, rtol=tolerance, atol=tolerance)


# Bad input

NAN = math.nan
GOOD_RUN = {"inputs": np.ones((3, 2)), "labels": np.ones(3), "beta": 0.1, "learning_rate": 0.5,
            "head": np.ones(4), "features": np.ones((4, 2))}  # fmt: skip
REFUSED_RUNS = [
    ({"beta": 0.0}, "`beta` must be positive, got 0.0."),
    ({"learning_rate": -1.0}, "`learning_rate` must be positive, got -1.0."),
    ({"record_every": 0}, "`record_every` must be positive, got 0.0."),
    ({"inputs": np.array([[NAN, 0.0]])}, "`inputs` must be finite, got nan."),
    ({"ref_head": np.array([0, 0, 0, NAN])}, "`ref_head` must be finite, got nan."),
    ({"inputs": np.ones(3)}, "`inputs` must have statements and inputs as its last axes, got (3,)."),
    ({"labels": np.ones(4)}, "`labels` must end in the axes (3,), got shape (4,)."),
    ({"head": np.ones(3)}, "`head` must end in the axes (4,), got shape (3,)."),
    ({"features": np.ones((4, 3))}, "`features` must end in the axes (4, 2), got shape (4, 3)."),
    ({"ref_features": np.ones((3, 2))}, "`ref_features` must end in the axes (4, 2), got shape (3, 2)."),
]
GOOD_FLOW = {"time": 1.0, "beta": 0.1, "distinguishability": 4.0, "head": 0.5, "feature": 1.0}
REFUSED_FLOWS = [
    ({"time": -1.0}, "`time` must be at least 0, got -1.0."),
    ({"beta": 0.0}, "`beta` must be positive, got 0.0."),
    ({"distinguishability": 0.0}, "`distinguishability` must be positive, got 0.0."),
    ({"head": NAN}, "`head` must be finite, got nan."),
    ({"ref_feature": math.inf}, "`ref_feature` must be finite, got inf."),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("bad", "sentence"), REFUSED_RUNS)
def test_bad_input_is_refused_before_the_first_step(bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        next(two_layer_descent(**(GOOD_RUN | bad)))


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("bad", "sentence"), REFUSED_FLOWS)
def test_a_flow_refuses_bad_input(bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        two_layer_flow(**(GOOD_FLOW | bad))
