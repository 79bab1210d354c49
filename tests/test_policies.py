"""Vouches for the policies: each is the law its formula names, and each chain rule is autograd's.

The second opinion is exact numbers for the softmax, torch's autograd for the chain rules, and products over the letters
of strings for the unigram policy.
"""

import itertools
import math
import re

import exact
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import normalized

from alignbook.arrays import to_engine
from alignbook.policies import (
    last_layer_policy,
    letter_counts,
    log_linear_policy,
    pull_back,
    pull_back_to_parameters,
    softmax,
    softmax_policy,
    unigram_policy,
)

LOGITS = st.lists(st.one_of(st.floats(-800, 800), st.just(-math.inf), st.floats(-1, 1)), min_size=1, max_size=7).filter(
    lambda x: max(x) > -math.inf
)


def test_values_by_hand():
    logits = np.log([3.0, 1.0])
    assert np.exp(softmax_policy(logits)).tolist() == pytest.approx([0.75, 0.25], rel=1e-15)
    assert softmax(logits).tolist() == pytest.approx([0.75, 0.25], rel=1e-15)
    # 3/4 (1 - 3/4) and 1/4 (0 - 3/4)
    assert pull_back(softmax(logits), np.array([1.0, 0.0])).tolist() == pytest.approx([3 / 16, -3 / 16], rel=1e-15)


@given(LOGITS)
def test_a_table_of_logits_is_a_law(logits):
    exactly = exact.masses(np.array(logits))
    rounding = 1e-15 * (4 + max(abs(x) for x in logits if x > -math.inf))  # of the logits themselves
    exact.assert_close(softmax(np.array(logits)), exactly, relative=rounding, absolute=1e-300)
    exact.assert_close(np.exp(softmax_policy(np.array(logits))), exactly, relative=rounding, absolute=1e-300)


def test_a_common_shift_changes_nothing():
    logits = np.random.default_rng(0).standard_normal((50, 6))
    for shift in (-700.0, 1e3):
        # adding the shift rounds each logit to 1e-16 of the shift
        np.testing.assert_allclose(softmax_policy(logits + shift), softmax_policy(logits), rtol=0, atol=1e-12)


def test_the_chain_rule_of_the_table_is_autograds():
    rng = np.random.default_rng(0)
    logits = torch.tensor(3 * rng.standard_normal((50, 6)), requires_grad=True)
    slope = torch.tensor(rng.standard_normal((50, 6)))
    total = torch.sum(torch.softmax(logits, -1) * slope)
    (expected,) = torch.autograd.grad(total, logits)
    found = pull_back(softmax(logits.detach()), slope)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.sum(-1), 0, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("logits", "sentence"),
    [
        ([0.0, math.nan], "`logits` must be finite or -inf, got nan."),
        ([0.0, math.inf], "`logits` must be finite or -inf, got inf."),
        ([[0.0, 0.0], [-math.inf, -math.inf]], "`logits` must allow an answer, got -inf."),
        ([], "`logits` must have an answer on its last axis, got shape (0,)."),
    ],
)
def test_logits_that_are_no_scores_are_refused(logits, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        softmax_policy(np.array(logits))


# A log-linear policy on features


def test_a_log_linear_policy_by_hand():
    # weights 1/2 e^(log 3), 1/2 e^0: three to one
    law = log_linear_policy(np.log([0.5, 0.5]), np.array([[1.0, 7.0], [0.0, 7.0]]), np.array([math.log(3), 5.0]))
    assert np.exp(law).tolist() == pytest.approx([0.75, 0.25], rel=1e-14)


def log_linear_settings(seed, count=50):
    """References with an answer that is never given among them, features and parameters."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((count, 5))
    logits[::5, 2] = -np.inf
    return normalized(logits), rng.standard_normal((count, 5, 3)), rng.standard_normal((count, 3))


def test_a_log_linear_policy_is_its_formula():
    ref, features, theta = log_linear_settings(0)
    weights = np.exp(ref) * np.exp(np.einsum("byf,bf->by", features, theta))
    expected = weights / weights.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_linear_policy(ref, features, theta)), expected, rtol=1e-13)


def test_parameters_of_zero_give_the_reference():
    ref, features, theta = log_linear_settings(1)
    np.testing.assert_allclose(log_linear_policy(ref, features, 0 * theta), ref, rtol=0, atol=1e-15)


def test_with_one_feature_for_each_answer_a_log_linear_policy_is_the_softmax_table():
    logits = 3 * np.random.default_rng(2).standard_normal((50, 4))
    found = log_linear_policy(np.log(np.full(4, 0.25)), np.eye(4), logits)
    np.testing.assert_allclose(found, softmax_policy(logits), rtol=0, atol=1e-14)


def test_the_chain_rule_of_the_log_linear_policy_is_autograds():
    ref, features, theta = (torch.tensor(x) for x in log_linear_settings(3))
    slope = torch.tensor(np.random.default_rng(3).standard_normal(ref.shape))
    theta.requires_grad_()
    logits = ref + torch.einsum("byf,bf->by", features, theta)
    (expected,) = torch.autograd.grad(torch.sum(torch.softmax(logits, -1) * slope), theta)
    law = torch.exp(log_linear_policy(ref, features, theta.detach()))
    found = pull_back_to_parameters(features, pull_back(law, slope))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_features_and_theta_may_have_batches_of_their_own():
    ref, features, theta = log_linear_settings(4, count=6)
    both = log_linear_policy(ref[0], features[0], theta.reshape(2, 3, 3))
    assert both.shape == (2, 3, 5)
    for i, j in np.ndindex(2, 3):
        single = log_linear_policy(ref[0], features[0], theta[3 * i + j])
        np.testing.assert_allclose(both[i, j], single, rtol=0, atol=1e-15)


# A model's last layer


def test_a_last_layer_is_torchs_linear_layer_and_log_softmax(engine):
    rng = np.random.default_rng(20)
    unembedding, embeddings = rng.standard_normal((3, 5, 4)), rng.standard_normal((2, 3, 7, 4))
    found = last_layer_policy(to_engine(unembedding, engine), to_engine(embeddings, engine))
    for i, j in np.ndindex(2, 3):
        layer = torch.nn.Linear(4, 5, bias=False, dtype=torch.float64)
        layer.weight.data = torch.as_tensor(unembedding[j])
        expected = torch.log_softmax(layer(torch.as_tensor(embeddings[i, j])), -1).detach()
        np.testing.assert_allclose(found[i, j].tolist(), expected, rtol=0, atol=1e-13)


# A unigram policy on strings


def test_a_unigram_policy_by_hand():
    # aa, ab, ba, bb from letters with chances 3/4 and 1/4
    law = np.exp(unigram_policy(np.log([3.0, 1.0]), 2))
    assert law.tolist() == pytest.approx([9 / 16, 3 / 16, 3 / 16, 1 / 16], rel=1e-14)


@pytest.mark.parametrize(("alphabet_size", "length"), [(1, 1), (1, 70), (2, 9), (3, 5), (4, 6), (7, 1)])
def test_a_unigram_policy_multiplies_the_chances_of_its_letters(alphabet_size, length):
    logits = 2 * np.random.default_rng(length).standard_normal(alphabet_size)
    chance = np.exp(logits) / np.exp(logits).sum()
    strings = itertools.product(range(alphabet_size), repeat=length)
    expected = [math.prod(chance[letter] for letter in string) for string in strings]
    np.testing.assert_allclose(np.exp(unigram_policy(logits, length)), expected, rtol=1e-12)


def test_letter_counts_count_the_letters_of_each_string():
    expected = [[string.count(letter) for letter in "abc"] for string in itertools.product("abc", repeat=4)]
    assert letter_counts(3, 4).tolist() == expected


def test_the_chain_rule_of_the_unigram_policy_is_autograds():
    rng = np.random.default_rng(5)
    logits = torch.tensor(rng.standard_normal((50, 3)), requires_grad=True)
    slope = torch.tensor(rng.standard_normal((50, 3**4)))
    letters = torch.tensor(list(itertools.product(range(3), repeat=4)))
    law = torch.exp(torch.log_softmax(logits, -1)[:, letters].sum(-1))
    (expected,) = torch.autograd.grad(torch.sum(law * slope), logits)
    counts = to_engine(letter_counts(3, 4), "torch-cpu")
    found = pull_back_to_parameters(counts, pull_back(torch.exp(unigram_policy(logits.detach(), 4)), slope))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


REFUSED = [
    (letter_counts, (0, 3), "`alphabet_size` must be positive, got 0.0."),
    (letter_counts, (3, 0), "`length` must be positive, got 0.0."),
    (
        letter_counts,
        (26, 6),
        "`length` must keep alphabet_size^(length + 1), the numbers in the table of letter counts, within 10000000, "
        "got 8031810176.",
    ),
    (unigram_policy, (np.array([0.0, -math.inf]), 3), "`letter_logits` must be finite, got -inf."),
    (unigram_policy, (np.array([0.0, math.nan]), 3), "`letter_logits` must be finite, got nan."),
    (log_linear_policy, (np.zeros(2), np.eye(2), np.zeros(2)), "`ref_log_p` must hold log-probabilities that sum"),
    (log_linear_policy, (np.zeros(1), np.array([[math.inf]]), np.zeros(1)), "`features` must be finite, got inf."),
    (log_linear_policy, (np.zeros(1), np.ones((1, 1)), np.array([math.nan])), "`theta` must be finite, got nan."),
    (
        log_linear_policy,
        (np.zeros(1), np.ones((2, 1)), np.zeros(1)),
        "`features` must have answers and parameters, (1, 1), as its last axes, got shape (2, 1).",
    ),
    (last_layer_policy, (np.array([[math.nan]]), np.ones((1, 1))), "`unembedding` must be finite, got nan."),
    (last_layer_policy, (np.ones((2, 3)), np.ones((1, 2))), "`embeddings` must have length 3 on its last axis, got"),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("call", "args", "sentence"), REFUSED)
def test_what_is_no_policy_is_refused(call, args, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        call(*args)
