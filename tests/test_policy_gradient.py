"""Vouches for the gradient of the objective and for the ascents along it, exact and from samples.

The second opinion is torch's autograd on the objective written out, an ascent in six plain lines over it, and the
norm of numpy's covariance. What stops an ascent, what it reaches and how fast belongs to the theorems.
"""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from strategies import normalized

from alignbook.arrays import to_engine
from alignbook.gradient_estimators import (
    at_answers,
    grpo_advantages,
    penalized_reward,
    rloo_advantages,
    sample_answers,
    score_gradient,
)
from alignbook.information import expectation, kl_divergence
from alignbook.policy_gradient import (
    gradient_ascent,
    largest_stable_rate,
    objective_gradient,
    stochastic_gradient_ascent,
)
from alignbook.tilting import objective, tilt

COIN = np.log([0.5, 0.5])
REWARD = np.array([1.0, 0.0])


def settings(seed, count=50, answers=6):
    """Laws, references, rewards and betas of many scales."""
    rng = np.random.default_rng(seed)
    law, ref = normalized(2 * rng.standard_normal((2, count, answers)))
    return law, ref, 3 * rng.standard_normal((count, answers)), 10.0 ** rng.uniform(-2, 1, count)


def plain_objective(logits, ref_log_p, reward, beta):
    log_p = torch.log_softmax(logits, -1)
    return torch.sum(
        log_p.exp() * (reward - torch.as_tensor(beta, dtype=torch.float64)[..., None] * (log_p - ref_log_p)), -1
    )


def plain_ascent(ref_log_p, reward, beta, learning_rate, steps, kick=lambda: 0.0):
    """The law after so many steps, by autograd."""
    ref_log_p, reward = torch.as_tensor(ref_log_p), torch.as_tensor(reward)
    logits = ref_log_p.clone()
    for _ in range(steps):
        logits.requires_grad_()
        (slope,) = torch.autograd.grad(plain_objective(logits, ref_log_p, reward, beta).sum(), logits)
        logits = logits.detach() + learning_rate * (slope + kick())
    return torch.log_softmax(logits, -1).numpy()


def after(run, steps):
    return next(itertools.islice(run, steps, None))


# The gradient


def test_the_gradient_by_hand():
    # A = (1 - log 2 - log(3/4), 0 - log 2 - log(1/4)) at beta = 1; pi (A - E A) = 3/16 (1 - log 3) on the first
    found = objective_gradient(np.log([0.75, 0.25]), COIN, REWARD, 1.0)
    assert found.tolist() == pytest.approx([3 / 16 * (1 - math.log(3)), -3 / 16 * (1 - math.log(3))], rel=1e-14)


def test_the_gradient_is_autograds():
    law, ref, reward, beta = settings(0)
    logits = torch.tensor(law, requires_grad=True)
    total = plain_objective(logits, torch.tensor(ref), torch.tensor(reward), torch.tensor(beta)).sum()
    (expected,) = torch.autograd.grad(total, logits)
    np.testing.assert_allclose(objective_gradient(law, ref, reward, beta), expected, rtol=0, atol=1e-13)


def test_the_gradient_is_the_limit_of_differences_of_the_objective():
    law, ref, reward, beta = settings(1, count=60)
    step = np.random.default_rng(2).standard_normal(law.shape)

    def along(t):
        return objective(normalized(law + t * step), ref, reward, beta)

    # five points: error h^4/30 of a fifth derivative of order 1e3 plus 1e-16/h of values of order 1e2
    h = 1e-3
    slope = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    found = np.sum(objective_gradient(law, ref, reward, beta) * step, axis=-1)
    np.testing.assert_allclose(found, slope, rtol=0, atol=1e-8)


def test_the_gradient_is_zero_at_the_tilt():
    _, ref, reward, beta = settings(3)
    beta = np.maximum(beta, 0.1)
    at_tilt = objective_gradient(tilt(ref, reward, beta), ref, reward, beta)
    np.testing.assert_allclose(at_tilt, 0, rtol=0, atol=1e-13)


def test_an_answer_without_mass_in_the_reference_takes_no_part():
    hole = np.array([math.log(0.5), math.log(0.5), -math.inf])
    law = np.array([math.log(0.75), math.log(0.25), -math.inf])
    with_hole = objective_gradient(law, hole, np.array([1.0, 0.0, 1e9]), 1.0)
    without = objective_gradient(law[:2], hole[:2], REWARD, 1.0)
    assert with_hole.tolist() == [*without.tolist(), 0.0]


# The ascent


@pytest.mark.parametrize("beta", [0.05, 1.0, 5.0])
def test_the_ascent_is_that_of_plain_autograd(beta):
    _, ref, reward, _ = settings(4, count=20)
    found = after(gradient_ascent(ref, reward, beta, 0.1), 200)
    expected = plain_ascent(ref, reward, beta, 0.1, 200)
    np.testing.assert_allclose(found.log_p, expected, rtol=0, atol=1e-10)


def test_a_noisy_ascent_is_that_of_plain_autograd_with_the_same_noise():
    _, ref, reward, _ = settings(5, count=8)
    found = after(gradient_ascent(ref, reward, 0.5, 0.1, noise=0.7, seed=11), 50)
    random = np.random.default_rng(11)
    expected = plain_ascent(ref, reward, 0.5, 0.1, 50, lambda: torch.tensor(0.7 * random.standard_normal(ref.shape)))
    np.testing.assert_allclose(found.log_p, expected, rtol=0, atol=1e-10)


def test_a_snapshot_accounts_for_its_law():
    _, ref, reward, beta = settings(6, count=4)
    rate = np.array([0.1, 0.2, 0.3, 0.4])
    for step, shot in enumerate(itertools.islice(gradient_ascent(ref, reward, beta, rate), 5)):
        assert shot.step == step
        np.testing.assert_allclose(shot.time, step * rate, rtol=1e-15)
        np.testing.assert_allclose(shot.reward, expectation(shot.log_p, reward), rtol=1e-14)
        np.testing.assert_allclose(shot.kl, kl_divergence(shot.log_p, ref), rtol=1e-12, atol=1e-25)
        np.testing.assert_allclose(shot.objective, objective(shot.log_p, ref, reward, beta), rtol=1e-13)


def test_the_ascent_starts_at_the_reference_or_where_it_is_told():
    _, ref, reward, _ = settings(7, count=3)
    np.testing.assert_allclose(next(gradient_ascent(ref, reward, 1.0, 0.1)).log_p, ref, rtol=0, atol=1e-15)
    start = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    first = next(gradient_ascent(ref, reward, 1.0, 0.1, start_logits=start))
    np.testing.assert_allclose(first.log_p, np.broadcast_to(normalized(start), ref.shape), rtol=0, atol=1e-14)


def test_snapshots_come_every_so_many_steps_along_the_same_run():
    every = list(itertools.islice(gradient_ascent(COIN, REWARD, 0.5, 0.3, noise=0.1), 13))
    sparse = list(itertools.islice(gradient_ascent(COIN, REWARD, 0.5, 0.3, noise=0.1, record_every=4), 4))
    assert [shot.step for shot in sparse] == [0, 4, 8, 12]
    assert [shot.log_p.tolist() for shot in sparse] == [shot.log_p.tolist() for shot in every[::4]]


def test_a_batch_is_its_runs_one_by_one():
    _, ref, reward, _ = settings(8, count=3)
    beta, rate = np.array([[0.1], [1.0]]), np.array([[0.1], [0.2]])
    batch = after(gradient_ascent(ref, reward, beta, rate), 100)
    for i, j in np.ndindex(2, 3):
        single = after(gradient_ascent(ref[j], reward[j], beta[i, 0], rate[i, 0]), 100)
        for whole, one in zip(batch[1:], single[1:], strict=True):
            whole = np.broadcast_to(whole, (2, 3, *np.shape(one)))
            np.testing.assert_allclose(whole[i, j], one, rtol=1e-12, atol=1e-14)


def test_equal_rows_with_noise_are_independent_runs_fixed_by_the_seed():
    start = np.zeros((256, 2))

    def laws(seed):
        return after(gradient_ascent(COIN, REWARD, 1.0, 0.1, start_logits=start, noise=1.0, seed=seed), 10).log_p

    assert laws(0).tolist() == laws(0).tolist()
    assert len({tuple(row) for row in laws(0).tolist()}) == 256
    assert laws(0).tolist() != laws(1).tolist()


def test_every_engine_sees_the_same_noise(engine):
    _, ref, reward, _ = settings(9, count=3)
    moved = (to_engine(x, engine) for x in (ref, reward))
    found = after(gradient_ascent(*moved, 0.5, 0.1, noise=2.0, seed=5), 50).log_p
    expected = after(gradient_ascent(ref, reward, 0.5, 0.1, noise=2.0, seed=5), 50).log_p
    np.testing.assert_allclose(to_engine(found.tolist(), "numpy"), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_an_answer_the_reference_never_gives_stays_without_mass(noise):
    hole = np.array([math.log(0.5), -math.inf, math.log(0.5)])
    shot = after(gradient_ascent(hole, np.array([1.0, 100.0, 0.0]), 0.5, 0.3, noise=noise), 300)
    assert shot.log_p[1] == -math.inf
    assert math.isfinite(float(shot.objective))
    if noise == 0:
        without = plain_ascent(hole[::2], REWARD, 0.5, 0.3, 300)
        np.testing.assert_allclose(shot.log_p[::2], without, rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_an_answer_forbidden_at_the_start_is_never_found_again(noise):
    # its gradient is its probability times something: 0
    ref = np.log([0.4, 0.3, 0.3])
    start = np.array([-math.inf, 0.0, 0.0])
    shot = after(gradient_ascent(ref, np.array([9.0, 1.0, 0.0]), 0.5, 0.3, start_logits=start, noise=noise), 500)
    assert shot.log_p[0] == -math.inf
    if noise == 0:
        expected = tilt(COIN, REWARD, 0.5)
        np.testing.assert_allclose(shot.log_p[1:], expected, rtol=0, atol=1e-6)


def test_an_answer_the_policy_never_gives_has_no_slope():
    law = np.array([-math.inf, 0.0])
    assert objective_gradient(law, COIN, REWARD, 1.0).tolist() == [0.0, 0.0]


# The largest stable rate


def test_the_largest_stable_rate_by_hand():
    # the tilt of a coin by rewards log 3 and 0 is (3/4, 1/4), its covariance 3/16 (1, -1; -1, 1) with eigenvalue 3/8
    assert float(largest_stable_rate(COIN, np.array([math.log(3), 0.0]), 1.0)) == pytest.approx(16 / 3, rel=1e-14)


def test_the_largest_stable_rate_is_two_over_the_steepest_curvature():
    ref, reward = np.random.default_rng(10).standard_normal((2, 60, 5))
    ref, beta = normalized(ref), np.linspace(0.5, 3, 60)
    law = np.exp(tilt(ref, reward, beta))
    steepest = [np.linalg.norm(np.diag(p) - np.outer(p, p), ord=2) for p in law]
    np.testing.assert_allclose(largest_stable_rate(ref, reward, beta), 2 / (beta * np.array(steepest)), rtol=1e-11)


def test_the_largest_stable_rate_of_a_nearly_certain_law_keeps_its_digits():
    # (1 - w, w) has the eigenvalue 2 w (1 - w), w = sigmoid(-gap)
    gap = np.array([1.0, 20.0, 35.0, 300.0])
    found = largest_stable_rate(COIN, np.stack([gap, 0 * gap], axis=-1), 1.0)
    np.testing.assert_allclose(found, (1 + np.exp(-gap)) ** 2 / np.exp(-gap), rtol=1e-13)


def test_nothing_can_overshoot_where_one_answer_is_all_there_is():
    assert float(largest_stable_rate(np.zeros(1), np.ones(1), 0.5)) == math.inf


# The ascent from samples


def by_rloo(ref, reward, beta):
    def method(log_p, samples):
        values = at_answers(penalized_reward(log_p, ref, reward, beta), samples)
        return score_gradient(log_p, samples, rloo_advantages(values))

    return method


def many(start, runs=64):
    return np.tile(start, (runs, 1))


def test_the_method_sees_each_runs_own_policy_and_answers():
    seen = []

    def method(log_p, samples):
        seen.append((log_p, samples))
        return np.array([[1.0, 0.0]]) * np.arange(3)[:, None]

    start = np.log([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    run = stochastic_gradient_ascent(method, COIN, REWARD, 1.0, 0.5, group_size=7, start_logits=start, seed=3)
    shots = list(itertools.islice(run, 3))
    random = np.random.default_rng(3)
    for shot, (log_p, samples) in zip(shots, seen, strict=False):
        assert log_p.tolist() == shot.log_p.tolist()
        assert samples.tolist() == sample_answers(log_p, (3, 7), random).tolist()
    moved = [shot.log_p[:, 0] - shot.log_p[:, 1] for shot in shots]
    np.testing.assert_allclose(np.diff(moved, axis=0), np.tile(0.5 * np.arange(3), (2, 1)), rtol=0, atol=1e-14)


def test_along_the_exact_gradient_both_ascents_are_one():
    _, ref, reward, _ = settings(11, count=5)
    exact = gradient_ascent(ref, reward, 0.5, 0.2, record_every=10)
    sampled = stochastic_gradient_ascent(
        lambda log_p, _: objective_gradient(log_p, ref, reward, 0.5),
        ref,
        reward,
        0.5,
        0.2,
        group_size=1,
        record_every=10,
    )
    for one, other in itertools.islice(zip(exact, sampled, strict=True), 10):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_allclose(part, same, rtol=1e-12, atol=1e-13)


def test_a_step_by_rloo_is_that_of_the_exact_gradient_on_average():
    runs, beta = 20_000, 0.5
    ref, reward = np.log([0.2, 0.4, 0.3, 0.1]), np.array([1.0, 0.0, 0.6, 0.0])
    run = stochastic_gradient_ascent(
        by_rloo(ref, reward, beta), ref, reward, beta, 1.0, group_size=4, start_logits=many(ref, runs)
    )
    before, after_one = (shot.log_p - shot.log_p.mean(axis=-1, keepdims=True) for shot in itertools.islice(run, 2))
    steps = after_one - before
    exact = objective_gradient(ref, ref, reward, beta)
    error = np.std(steps, axis=0) / math.sqrt(runs)
    assert np.all(np.abs(np.mean(steps, axis=0) - exact) < 4 * error)


def test_rloo_climbs_to_the_tilt_and_loses_its_noise_there():
    ref, reward = np.log([0.2, 0.4, 0.3, 0.1]), np.array([1.0, 0.0, 0.6, 0.0])
    run = stochastic_gradient_ascent(
        by_rloo(ref, reward, 1.0), ref, reward, 1.0, 0.5, group_size=8, start_logits=many(ref), record_every=1000
    )
    np.testing.assert_allclose(after(run, 1).log_p, many(tilt(ref, reward, 1.0)), rtol=0, atol=1e-12)


def test_every_engine_sees_the_same_answers(engine):
    _, ref, reward, _ = settings(13, count=3)

    def run(ref, reward):
        ascent = stochastic_gradient_ascent(by_rloo(ref, reward, 0.5), ref, reward, 0.5, 0.1, group_size=4, seed=5)
        return after(ascent, 50).log_p

    found = run(to_engine(ref, engine), to_engine(reward, engine))
    np.testing.assert_allclose(to_engine(found.tolist(), "numpy"), run(ref, reward), rtol=0, atol=1e-11)


@pytest.mark.parametrize("advantages", [rloo_advantages, grpo_advantages])
def test_from_samples_too_an_answer_without_mass_stays_without(advantages):
    hole = np.array([math.log(0.5), -math.inf, math.log(0.5)])
    reward = np.array([1.0, 100.0, 0.0])

    def method(log_p, samples):
        values = at_answers(penalized_reward(log_p, hole, reward, 0.5), samples)
        return score_gradient(log_p, samples, advantages(values))

    shot = after(stochastic_gradient_ascent(method, hole, reward, 0.5, 0.1, group_size=4, start_logits=many(hole)), 300)
    assert np.all(shot.log_p[:, 1] == -math.inf)
    assert np.all(np.isfinite(shot.log_p[:, ::2]))
    assert np.all(np.isfinite(shot.objective))


# Bad input

NAN, INF = math.nan, math.inf
GRADIENT = {"log_p": COIN, "ref_log_p": COIN, "reward": REWARD, "beta": 1.0}
ASCENT = {"ref_log_p": COIN, "reward": REWARD, "beta": 1.0, "learning_rate": 0.1}
SAMPLED = ASCENT | {"method": by_rloo(COIN, REWARD, 1.0), "group_size": 4}
NOT_ONE = "must hold log-probabilities that sum to one on its last axis, got the sum 2.0."
REFUSED = [
    (objective_gradient, GRADIENT, {"log_p": np.zeros(2)}, f"`log_p` {NOT_ONE}"),
    (objective_gradient, GRADIENT, {"ref_log_p": np.zeros(2)}, f"`ref_log_p` {NOT_ONE}"),
    (objective_gradient, GRADIENT, {"reward": np.array([0.0, NAN])}, "`reward` must be finite, got nan."),
    (objective_gradient, GRADIENT, {"reward": np.array([0.0, -INF])}, "`reward` must be finite, got -inf."),
    (
        objective_gradient,
        GRADIENT,
        {"reward": np.zeros(3)},
        "`log_p`, `ref_log_p`, `reward` must have the same answers",
    ),
    (objective_gradient, GRADIENT, {"beta": 0.0}, "`beta` must be positive, got 0.0."),
    (objective_gradient, GRADIENT, {"beta": NAN}, "`beta` must be positive, got nan."),
    (
        objective_gradient,
        GRADIENT,
        {"ref_log_p": np.array([0.0, -INF])},
        "`log_p` must be -inf where the reference has no mass, got a finite value.",
    ),
    (largest_stable_rate, {k: GRADIENT[k] for k in ("ref_log_p", "reward", "beta")}, {"beta": 0.0}, "`beta` must be"),
    (stochastic_gradient_ascent, SAMPLED, {"group_size": 0}, "`group_size` must be positive, got 0.0."),
    (stochastic_gradient_ascent, SAMPLED, {"learning_rate": -1.0}, "`learning_rate` must be positive, got -1.0."),
    (
        stochastic_gradient_ascent,
        SAMPLED,
        {"ref_log_p": np.array([0.0, -INF]), "start_logits": np.zeros(2)},
        "`start_logits` must be -inf where the reference has no mass, got a finite value.",
    ),
    (gradient_ascent, ASCENT, {"ref_log_p": np.zeros(2)}, f"`ref_log_p` {NOT_ONE}"),
    (
        gradient_ascent,
        ASCENT,
        {"ref_log_p": np.zeros(0)},
        "`ref_log_p` must have an answer on its last axis, got shape (0,).",
    ),
    (gradient_ascent, ASCENT, {"reward": np.array([INF, 0.0])}, "`reward` must be finite, got inf."),
    (gradient_ascent, ASCENT, {"reward": np.zeros(3)}, "`log_p`, `ref_log_p`, `reward` must have the same answers"),
    (gradient_ascent, ASCENT, {"beta": -1.0}, "`beta` must be positive, got -1.0."),
    (gradient_ascent, ASCENT, {"beta": NAN}, "`beta` must be finite, got nan."),
    (gradient_ascent, ASCENT, {"beta": INF}, "`beta` must be finite, got inf."),
    (gradient_ascent, ASCENT, {"learning_rate": 0.0}, "`learning_rate` must be positive, got 0.0."),
    (gradient_ascent, ASCENT, {"learning_rate": INF}, "`learning_rate` must be finite, got inf."),
    (gradient_ascent, ASCENT, {"noise": -0.1}, "`noise` must be at least 0, got -0.1."),
    (gradient_ascent, ASCENT, {"noise": NAN}, "`noise` must be finite, got nan."),
    (gradient_ascent, ASCENT, {"record_every": 0}, "`record_every` must be positive, got 0.0."),
    (
        gradient_ascent,
        ASCENT,
        {"start_logits": np.array([NAN, 0.0])},
        "`start_logits` must be finite or -inf, got nan.",
    ),
    (
        gradient_ascent,
        ASCENT,
        {"start_logits": np.array([-INF, -INF])},
        "`start_logits` must allow an answer, got -inf.",
    ),
    (
        gradient_ascent,
        ASCENT,
        {"ref_log_p": np.array([0.0, -INF]), "start_logits": np.zeros(2)},
        "`start_logits` must be -inf where the reference has no mass, got a finite value.",
    ),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("call", "good", "bad", "sentence"), REFUSED)
def test_bad_input_is_refused_before_the_first_step(call, good, bad, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        call(**(good | bad))
