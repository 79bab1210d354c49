"""Vouches for training the head in margin form: it is torch's autograd on the whole softmax model, step for step.

The second opinion knows neither margins nor the difference of two rows: an unembedding of five tokens, log-softmax
over all of them, the loss on log-probabilities, autograd, torch's own optimizers and gradient clipping.
"""

import functools
import itertools
import math
import re

import numpy as np
import pytest
import torch

from alignbook.arrays import to_engine
from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import adam, evaluate, gradient_descent
from alignbook.losses import cdpo_slope, ipo_slope
from alignbook.policies import last_layer_policy

YES, NO, TOKENS, FEATURES = 1, 3, 5, 6
BETA, RATE, STEPS = 0.3, 0.2, 60


def problem(seed, statements=12, batch=()):
    """Two behaviors' statements, and an unembedding to start from."""
    rng = np.random.default_rng(seed)
    data = behaviors(2 * rng.standard_normal((*batch, 2, FEATURES)), 0.7, num_statements=statements, seed=seed)
    return data, rng.standard_normal((TOKENS, FEATURES))


def after(run, steps=STEPS):
    return next(itertools.islice(run, steps, None))


def log_sigma(m):
    return torch.nn.functional.logsigmoid(m)


def usual_training(data, start, optimizer, *, loss=lambda m: -log_sigma(m), weights=None, batches=None, max_norm=None,
                   reference=None):  # fmt: skip
    """The unembedding after so many steps, as it is usually trained."""
    embeddings, labels = (torch.as_tensor(x).flatten(0, 1) for x in (data.embeddings, data.labels))
    reference = torch.as_tensor(start if reference is None else reference)
    weight = torch.as_tensor(start).clone().requires_grad_()
    step_rule = optimizer([weight])
    chosen, rejected = torch.where(labels > 0, YES, NO), torch.where(labels > 0, NO, YES)
    share = torch.full_like(labels, 1 / len(labels)) if weights is None else torch.as_tensor(weights).flatten()
    for _ in range(STEPS):
        rows = torch.arange(len(labels)) if batches is None else torch.as_tensor(next(batches))
        g = embeddings[rows]
        log_ratio = torch.log_softmax(g @ weight.T, -1) - torch.log_softmax(g @ reference.T, -1)
        every = torch.arange(len(rows))
        margin = BETA * (log_ratio[every, chosen[rows]] - log_ratio[every, rejected[rows]])
        step_rule.zero_grad()
        (len(labels) / len(rows) * torch.sum(share[rows] * loss(margin))).backward()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([weight], max_norm)
        step_rule.step()
    return weight.detach().numpy()


def assert_same(found, data, weight, start):
    """The package's snapshot agrees with an unembedding in every figure."""
    np.testing.assert_allclose(found.change, (weight - start)[YES] - (weight - start)[NO], rtol=0, atol=1e-10)
    assert float(found.weight_change) == pytest.approx(np.linalg.norm(weight - start), abs=1e-10)
    log_p, ref_log_p = (last_layer_policy(w, data.embeddings) for w in (weight, start))
    log_odds, ref_log_odds = ((x[..., YES] - x[..., NO]) * data.labels for x in (log_p, ref_log_p))
    margin = BETA * (log_odds - ref_log_odds)
    np.testing.assert_allclose(found.margin, margin, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.loss, np.log1p(np.exp(-margin)).mean(-1), rtol=0, atol=1e-10)
    assert found.reward_accuracy.tolist() == pytest.approx((margin > 0).mean(-1))
    assert found.policy_accuracy.tolist() == pytest.approx((log_odds > 0).mean(-1))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=RATE)


def difference(start):
    return start[YES] - start[NO]


# Gradient descent


def test_two_steps_by_hand():
    # one statement g = (3, 4), Yes chosen, beta 1/5: u = rate 2 beta/2 g = g at rate 5, then m = beta 25 = 5
    data = Behaviors(np.array([[[3.0, 4.0]]]), np.ones((1, 1)))
    first, second, third = itertools.islice(gradient_descent(data, 0.2, 5.0), 3)
    assert (first.step, float(first.time), first.change.tolist(), first.margin.tolist()) == (0, 0, [0, 0], [[0]])
    assert (first.reward_accuracy.tolist(), first.policy_accuracy.tolist()) == ([0.5], [0.5])
    assert first.loss.tolist() == pytest.approx([math.log(2)])
    assert second.change.tolist() == pytest.approx([3, 4])
    assert second.margin.tolist()[0] == pytest.approx([5])
    assert float(second.weight_change) == pytest.approx(5 / math.sqrt(2))
    assert float(second.time) == 5
    assert third.change.tolist() == pytest.approx([3 + 6 / (1 + math.exp(5)), 4 + 8 / (1 + math.exp(5))])


@pytest.mark.parametrize("seed", range(5))
def test_the_head_is_trained_as_autograd_trains_the_whole_softmax(seed):
    data, start = problem(seed)
    found = after(gradient_descent(data, BETA, RATE, boundary=difference(start)))
    assert_same(found, data, usual_training(data, start, sgd), start)


def test_a_statement_counts_by_its_weight():
    data, start = problem(5)
    weights = np.random.default_rng(5).random(data.labels.shape)
    found = after(gradient_descent(data, BETA, RATE, boundary=difference(start), weights=weights))
    assert_same(found, data, usual_training(data, start, sgd, weights=weights), start)


@pytest.mark.parametrize("size", [4, 7, 24, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_mini_batches_visit_every_pair_once_an_epoch(size, weighted):
    data, start = problem(6)
    weights = np.random.default_rng(7).random(data.labels.shape) if weighted else None
    generator = np.random.default_rng(11)

    def batches():
        while True:
            order = generator.random(24).argsort()
            assert sorted(order) == list(range(24))
            yield from np.array_split(order, range(size, 24, size))

    found = after(gradient_descent(data, BETA, RATE, boundary=difference(start), weights=weights, batch_size=size,
                                   seed=11))  # fmt: skip
    assert_same(found, data, usual_training(data, start, sgd, weights=weights, batches=batches()), start)


def test_another_seed_is_another_order_of_the_same_pairs():
    data, _ = problem(8)
    first, again, other = (after(gradient_descent(data, BETA, RATE, batch_size=4, seed=s)).change for s in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("max_norm", [0.01, 0.1, 100.0])
def test_a_long_gradient_is_clipped_as_torch_clips_it(max_norm):
    data, start = problem(9)
    found = after(gradient_descent(data, BETA, RATE, boundary=difference(start), max_norm=max_norm))
    assert_same(found, data, usual_training(data, start, sgd, max_norm=max_norm), start)


SLOPES = {
    "ipo": (functools.partial(ipo_slope, beta=BETA), lambda m: ((m - 0.5) / BETA) ** 2),
    "cdpo": (
        functools.partial(cdpo_slope, label_noise=0.1),
        lambda m: -0.9 * log_sigma(m) - 0.1 * log_sigma(-m),
    ),
}


@pytest.mark.parametrize("name", SLOPES)
def test_another_slope_is_another_loss_and_the_dpo_loss_is_reported(name):
    slope, loss = SLOPES[name]
    data, start = problem(10)
    found = after(gradient_descent(data, BETA, RATE / 10, boundary=difference(start), slope=slope))

    def slower(parameters):
        return torch.optim.SGD(parameters, lr=RATE / 10)

    assert_same(found, data, usual_training(data, start, slower, loss=loss), start)


def test_a_run_may_start_away_from_the_reference():
    data, start = problem(12)
    moved = start.copy()
    change = np.random.default_rng(12).standard_normal(FEATURES)
    moved[YES] += change / 2
    moved[NO] -= change / 2
    found = after(gradient_descent(data, BETA, RATE, boundary=difference(start), start=change))
    assert_same(found, data, usual_training(data, moved, sgd, reference=start), start)


# Adam


@pytest.mark.parametrize("decays", [(0.9, 0.999), (0.0, 0.9), (0.5, 0.0)])
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam_is_torchs_adam_on_the_unembedding(decays, epsilon):
    data, start = problem(13)
    found = after(adam(data, BETA, 0.01, boundary=difference(start), decays=decays, epsilon=epsilon))

    def optimizer(parameters):
        return torch.optim.Adam(parameters, lr=0.01, betas=decays, eps=epsilon)

    weight = usual_training(data, start, optimizer)
    others = [token for token in range(TOKENS) if token not in (YES, NO)]
    weight[others] = start[others]  # their gradient is 0, which autograd misses by a rounding that Adam enlarges
    assert_same(found, data, weight, start)


def test_adam_with_mini_batches_weights_and_clipping_is_torchs_too():
    data, start = problem(14)
    weights = np.random.default_rng(14).random(data.labels.shape)
    generator = np.random.default_rng(3)

    def batches():
        while True:
            yield from np.array_split(generator.random(24).argsort(), [10, 20])

    def optimizer(parameters):
        return torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)

    expected = usual_training(data, start, optimizer, weights=weights, batches=batches(), max_norm=0.3)
    found = after(adam(data, BETA, 0.01, boundary=difference(start), weights=weights, batch_size=10, seed=3,
                       max_norm=0.3))  # fmt: skip
    np.testing.assert_allclose(found.change, difference(expected) - difference(start), rtol=0, atol=1e-10)


# Batches, engines, other data


@pytest.mark.parametrize("train", [gradient_descent, adam])
def test_replicas_are_single_runs(train):
    """Data sets along one axis, betas and rates along another, with mini-batches."""
    data, _ = problem(15, batch=(3,))
    beta, rate = np.array([[0.1], [0.5]]), np.array([[0.1], [0.2]])
    boundary = np.random.default_rng(15).standard_normal(FEATURES)
    batch = after(train(data, beta, rate, batch_size=5, seed=2, boundary=boundary))
    assert batch.margin.shape == (2, 3, 2, 12)
    assert batch.loss.shape == (2, 3, 2)
    for i, j in np.ndindex(2, 3):
        one = Behaviors(data.embeddings[j], data.labels[j])
        single = after(train(one, beta[i, 0], rate[i, 0], batch_size=5, seed=2, boundary=boundary))
        for name in ("change", "margin", "loss", "weight_change", "reward_accuracy", "policy_accuracy"):
            np.testing.assert_allclose(getattr(batch, name)[i, j], getattr(single, name), rtol=1e-12, atol=1e-14)


def test_each_behavior_alone_has_a_head_of_its_own():
    data, _ = problem(16)
    alone = after(gradient_descent(Behaviors(data.embeddings[:, None], data.labels[:, None]), BETA, RATE))
    for i in range(2):
        one = Behaviors(data.embeddings[i : i + 1], data.labels[i : i + 1])
        np.testing.assert_allclose(alone.change[i], after(gradient_descent(one, BETA, RATE)).change, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("train", [gradient_descent, adam])
def test_every_engine_trains_alike_and_keeps_its_type(engine, train, dtype, tolerance):
    data, start = problem(17)
    arrays = {"boundary": difference(start), "weights": np.full((2, 12), 0.05)}
    moved = {name: to_engine(x, engine, dtype) for name, x in arrays.items()}
    expected = after(train(data, BETA, 0.05, batch_size=5, max_norm=0.5, **arrays))
    there = Behaviors(*(to_engine(x, engine, dtype) for x in data))
    found = after(train(there, BETA, 0.05, batch_size=5, max_norm=0.5, **moved))
    for name in ("change", "margin", "loss", "weight_change", "reward_accuracy", "policy_accuracy"):
        got = getattr(found, name)
        assert str(got.dtype).endswith(dtype)
        np.testing.assert_allclose(np.array(got.tolist()), getattr(expected, name), rtol=0, atol=tolerance)


def test_snapshots_come_every_so_many_steps_along_the_same_run():
    data, _ = problem(18)
    every = list(itertools.islice(gradient_descent(data, BETA, RATE, batch_size=5), 13))
    sparse = list(itertools.islice(gradient_descent(data, BETA, RATE, batch_size=5, record_every=4), 4))
    assert [shot.step for shot in sparse] == [0, 4, 8, 12]
    assert [float(shot.time) for shot in sparse] == pytest.approx([0, 0.8, 1.6, 2.4])
    assert [shot.change.tolist() for shot in sparse] == [shot.change.tolist() for shot in every[::4]]


def test_evaluation_on_the_training_data_is_the_snapshot_itself():
    data, start = problem(19)
    shot = after(gradient_descent(data, BETA, RATE, boundary=difference(start)))
    again = evaluate(shot.change, data, BETA, boundary=difference(start), step=shot.step, time=shot.time)
    for one, other in zip(shot, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


def test_evaluation_on_other_data_counts_ties_as_one_half():
    data = Behaviors(np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]]]), np.array([[1.0, 1.0, -1.0, -1.0]]))
    shot = evaluate(np.array([2.0, 0.0]), data, 0.5, boundary=np.array([-3.0, 1.0]))
    assert shot.margin.tolist() == [[1.0, 0.0, -1.0, 1.0]]
    assert shot.reward_accuracy.tolist() == [0.625]
    assert shot.policy_accuracy.tolist() == [0.5]  # scores -1, 1, 1, -1


# Bad input

NAN, INF = math.nan, math.inf
DATA = Behaviors(np.ones((2, 3, 4)), np.ones((2, 3)))
REFUSED = [
    ({"data": Behaviors(np.full((2, 3, 4), NAN), np.ones((2, 3)))}, "`embeddings` must be finite, got nan."),
    ({"data": Behaviors(np.ones((3, 4)), np.ones(3))},
     "`embeddings` must have behaviors, statements and features as its last axes, got (3, 4)."),
    ({"data": Behaviors(np.ones((2, 3, 4)), np.ones((2, 4)))},
     "`labels` must have behaviors and statements, (2, 3), as its last axes, got shape (2, 4)."),
    ({"beta": 0.0}, "`beta` must be positive, got 0.0."),
    ({"learning_rate": INF}, "`learning_rate` must be finite, got inf."),
    ({"record_every": 0}, "`record_every` must be positive, got 0.0."),
    ({"batch_size": 0}, "`batch_size` must be positive, got 0.0."),
    ({"max_norm": -1.0}, "`max_norm` must be positive, got -1.0."),
    ({"weights": np.ones((2, 4))},
     "`weights` must have behaviors and statements, (2, 3), as its last axes, got shape (2, 4)."),
    ({"weights": -np.ones((2, 3))}, "`weights` must be at least 0, got -1.0."),
    ({"start": np.ones(3)}, "`start` must have length 4 on its last axis, got shape (3,)."),
    ({"boundary": np.ones(3)}, "`boundary` must have length 4 on its last axis, got shape (3,)."),
    ({"boundary": np.full(4, NAN)}, "`boundary` must be finite, got nan."),
]  # fmt: skip


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("bad", "sentence"), REFUSED)
@pytest.mark.parametrize("train", [gradient_descent, adam])
def test_bad_input_is_refused_before_the_first_step(train, bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        train(**({"data": DATA, "beta": 0.1, "learning_rate": 0.5} | bad))


@pytest.mark.parametrize(("bad", "sentence"), [
    ({"decays": (1.0, 0.9)}, "`decays` must be below 1.0, got 1.0."),
    ({"decays": (0.9, -0.1)}, "`decays` must be at least 0, got -0.1."),
    ({"epsilon": 0.0}, "`epsilon` must be positive, got 0.0."),
])  # fmt: skip
def test_adam_refuses_bad_settings_of_its_own(bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        adam(DATA, 0.1, 0.5, **bad)


@pytest.mark.usefixtures("shapes_unchecked")
def test_evaluation_refuses_a_change_of_another_size():
    sentence = "`change` must have length 4 on its last axis, got shape (3,)."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        evaluate(np.ones(3), DATA, 0.1)
