"""Vouches for what is made of a group of samples: the draws themselves, advantages, the score gradient, bad input.

The second opinion is plain indexing, frequencies with their error, torch's own deviation and autograd. That estimates
are unbiased or biased, and how PPO's clip behaves, belongs to the theorems.
"""

import math
import re

import numpy as np
import pytest
import torch
from strategies import normalized

from alignbook.arrays import to_engine
from alignbook.gradient_estimators import (
    at_answers,
    clipped_surrogate,
    clipped_surrogate_gradient,
    grpo_advantages,
    inverse_cdf,
    mean_baseline_advantages,
    penalized_reward,
    rloo_advantages,
    sample_answers,
    score_gradient,
)
from alignbook.tilting import objective

LAW = np.log([0.5, 0.25, 0.25])


def groups(seed, count=50, size=6, answers=4):
    """Laws, samples and values."""
    rng = np.random.default_rng(seed)
    law = normalized(rng.standard_normal((count, answers)))
    return law, rng.integers(0, answers, (count, size)), 3 * rng.standard_normal((count, size))


# The draws


def test_answers_by_hand():
    uniforms = np.array([0.0, 0.49, 0.5, 0.74, 0.75, 0.999])
    assert inverse_cdf(LAW, uniforms).tolist() == [0, 0, 1, 1, 2, 2]


def test_an_answer_without_mass_is_never_drawn():
    with np.errstate(divide="ignore"):
        law = np.log([0.0, 0.3, 0.0, 0.7, 0.0])
    uniforms = np.array([0.0, 0.3 - 1e-6, 0.3 + 1e-6, 1 - 2.0**-53])
    assert inverse_cdf(law, uniforms).tolist() == [1, 1, 3, 3]
    # a law in single precision may sum to less than the largest uniform number
    assert inverse_cdf(law.astype(np.float32), uniforms).tolist() == [1, 1, 3, 3]
    assert inverse_cdf(np.zeros(1), uniforms).tolist() == [0, 0, 0, 0]


def test_answers_come_as_often_as_the_law_says():
    law = normalized(np.random.default_rng(0).standard_normal((3, 5)))
    samples = sample_answers(law, (3, 100_000), 1)
    shares = np.mean(samples[..., None] == np.arange(5), axis=1)
    deviation = np.sqrt(np.exp(law) * (1 - np.exp(law)) / 100_000)
    assert np.max(np.abs(shares - np.exp(law)) / deviation) < 4  # of fifteen


def test_every_engine_draws_the_same_answers(engine):
    law = normalized(np.random.default_rng(2).standard_normal((20, 5)))
    found = sample_answers(to_engine(law, engine), (20, 50), 3)
    assert found.tolist() == sample_answers(law, (20, 50), 3).tolist()


def test_a_seed_fixes_the_answers_and_a_generator_goes_on():
    random = np.random.default_rng(4)
    first, second = (sample_answers(LAW, (100,), random).tolist() for _ in range(2))
    assert first == sample_answers(LAW, (100,), 4).tolist()
    assert first != second


def test_one_law_serves_many_groups_and_one_group_many_laws():
    laws = np.stack([LAW, LAW[::-1]])
    assert sample_answers(LAW, (200, 16), 5).shape == (200, 16)
    shared = sample_answers(laws, (16,), 5)
    assert shared.tolist() == [sample_answers(law, (16,), 5).tolist() for law in laws]


def test_values_of_answers_are_looked_up():
    law, samples, _ = groups(6)
    found = at_answers(law, samples)
    assert found.tolist() == [[row[i] for i in group] for row, group in zip(law, samples.tolist(), strict=True)]
    assert at_answers(np.array([3, 1, 2]), np.array([[2, 2], [0, 1]])).tolist() == [[2, 2], [3, 1]]
    assert at_answers(law[:, None], np.array([[0], [3]])).shape == (50, 2, 1)


def test_the_mean_of_the_penalized_reward_is_the_objective():
    rng = np.random.default_rng(7)
    law, ref = normalized(rng.standard_normal((2, 50, 4)))
    reward, beta = rng.standard_normal((50, 4)), rng.uniform(0.1, 2, 50)
    mean = np.sum(np.exp(law) * penalized_reward(law, ref, reward, beta), axis=-1)
    np.testing.assert_allclose(mean, objective(law, ref, reward, beta), rtol=0, atol=1e-13)


def test_the_penalty_is_infinite_off_the_references_support_and_nothing_off_the_policys():
    law = np.log([0.5, 0.5, 1e-300]) + np.array([0.0, 0.0, -math.inf])
    ref = np.array([-math.inf, 0.0, -math.inf])
    expected = [-math.inf, 2.0 - 3.0 * math.log(0.5), 4.0]
    assert penalized_reward(law, ref, np.array([1.0, 2.0, 4.0]), 3.0).tolist() == pytest.approx(expected)


# Advantages


def test_advantages_by_hand():
    values = np.array([1.0, 0.0, 0.5, 0.5])
    assert mean_baseline_advantages(values).tolist() == [0.5, -0.5, 0.0, 0.0]
    assert rloo_advantages(values).tolist() == pytest.approx([2 / 3, -2 / 3, 0, 0], abs=1e-15)
    # squares 1/4, 1/4, 0, 0 over three: deviation 1/sqrt(6)
    assert grpo_advantages(values).tolist() == pytest.approx([math.sqrt(1.5), -math.sqrt(1.5), 0, 0])


def test_rloo_leaves_each_answer_out_of_its_own_baseline():
    _, _, values = groups(8)
    for found, row in zip(rloo_advantages(values), values, strict=True):
        expected = [v - np.mean(np.delete(row, i)) for i, v in enumerate(row)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_grpos_deviation_is_torchs_default():
    _, _, values = groups(9)
    held = torch.tensor(values)
    expected = (held - held.mean(-1, keepdim=True)) / held.std(-1, keepdim=True)
    np.testing.assert_allclose(grpo_advantages(values), expected, rtol=1e-12)
    for shift, scale in ((0.0, 1e-8), (0.0, 1e9), (100.0, 1.0)):  # the shift rounds values to 1e-14
        np.testing.assert_allclose(grpo_advantages(shift + scale * values), expected, rtol=0, atol=1e-13 * (1 + shift))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_that_differ_by_rounding_are_equal_to_grpo(engine, dtype):
    values = to_engine([[0.1 + 0.2, 0.3, 0.3], [1e9, 1e9, 1e9], [0.0, 0.0, 0.0], [1e-30, 1e-30, -1e-30]], engine, dtype)
    found = grpo_advantages(values).tolist()
    assert found[:3] == [[0.0] * 3] * 3
    assert found[3][2] == pytest.approx(-2 / math.sqrt(3), rel=1e-5)


# The estimate


def test_the_score_gradient_by_hand():
    # e_0 - pi = (1/2, -1/4, -1/4) weighs 2, e_2 - pi = (-1/2, -1/4, 3/4) weighs -1, over two answers
    found = score_gradient(LAW, np.array([0, 2]), np.array([2.0, -1.0]))
    assert found.tolist() == pytest.approx([3 / 4, -1 / 8, -5 / 8], abs=1e-15)


def test_the_score_gradient_is_autograds():
    law, samples, advantages = groups(10)
    logits = torch.tensor(law, requires_grad=True)
    scores = torch.gather(torch.log_softmax(logits, -1), -1, torch.tensor(samples))
    (expected,) = torch.autograd.grad(torch.sum(torch.mean(torch.tensor(advantages) * scores, -1)), logits)
    np.testing.assert_allclose(score_gradient(law, samples, advantages), expected, rtol=0, atol=1e-14)


def test_groups_may_share_a_policy_or_its_answers():
    law, samples, advantages = groups(11)
    one_law, one_group = score_gradient(law[0], samples, advantages), score_gradient(law, samples[0], advantages)
    for i in range(50):
        expected = score_gradient(law[0], samples[i], advantages[i])
        np.testing.assert_allclose(one_law[i], expected, rtol=0, atol=1e-15)
        expected = score_gradient(law[i], samples[0], advantages[i])
        np.testing.assert_allclose(one_group[i], expected, rtol=0, atol=1e-15)


def test_an_answer_without_mass_keeps_its_logit():
    with np.errstate(divide="ignore"):
        law = np.log([0.5, 0.0, 0.5])
    assert score_gradient(law, np.array([0, 2]), np.array([1.0, 3.0]))[1] == 0


# Bad input

PPO = {
    "log_p": LAW,
    "old_log_p": LAW,
    "samples": np.array([0, 1]),
    "advantages": np.array([1.0, -1.0]),
    "clip_range": 0.2,
}
REFUSED = [
    (sample_answers, (np.zeros(2), (3,), 0), "`log_p` must hold log-probabilities that sum to one on its last axis"),
    (sample_answers, (LAW, (), 0), "`shape` must end in a group of at least 1, got ()."),
    (sample_answers, (LAW, (5, 0), 0), "`shape` must end in a group of at least 1, got (5, 0)."),
    (at_answers, (LAW, np.array([0, 3])), "`samples` must be answers from 0 to 2, got 3."),
    (at_answers, (LAW, np.array([[0, -1]])), "`samples` must be answers from 0 to 2, got -1."),
    (at_answers, (LAW, np.zeros((4, 0), int)), "`samples` must have a group on its last axis, got shape (4, 0)."),
    (score_gradient, (LAW, np.array([3]), np.ones(1)), "`samples` must be answers from 0 to 2, got 3."),
    (
        rloo_advantages,
        (np.zeros((4, 1)),),
        "`values` must hold a group of at least 2 on its last axis, got shape (4, 1).",
    ),
    (grpo_advantages, (np.zeros(()),), "`values` must hold a group of at least 2 on its last axis, got shape ()."),
    *(
        (call, tuple((PPO | bad).values()), sentence)
        for call in (clipped_surrogate, clipped_surrogate_gradient)
        for bad, sentence in (
            ({"clip_range": 0.0}, "`clip_range` must be positive, got 0.0."),
            ({"samples": np.array([0, 7])}, "`samples` must be answers from 0 to 2, got 7."),
        )
    ),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("call", "args", "sentence"), REFUSED)
def test_bad_input_is_refused(call, args, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        call(*args)
