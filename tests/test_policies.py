"""Vouches for the softmax table: it is a law, forgets a common shift, and its chain rule is autograd's."""

import math
import re

import exact
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alignbook.policies import pull_back, softmax, softmax_policy

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
