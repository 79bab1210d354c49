"""Vouches for the sentences that refuse bad input: each names the argument, its rule and the value it had."""

import math
import re

import numpy as np
import pytest
import torch

from alignbook import checks

NAN, INF = math.nan, math.inf
LAW = "`p` must hold log-probabilities"
REFUSED = [
    (checks.laws, [0.0, 0.0], LAW + " that sum to one on its last axis, got the sum 2.0."),
    (checks.laws, [[0.0], [-1.0]], LAW + f" that sum to one on its last axis, got the sum {math.exp(-1.0)}."),
    (checks.laws, [-INF, -INF], LAW + " that sum to one on its last axis, got the sum 0.0."),
    (checks.laws, [INF, 0.0], LAW + " that sum to one on its last axis, got the sum inf."),
    (checks.laws, [NAN, 0.0], LAW + ", got nan."),
    (checks.laws, [], "`p` must have an answer on its last axis, got shape (0,)."),
    (checks.laws, np.zeros((3, 0)), "`p` must have an answer on its last axis, got shape (3, 0)."),
    (checks.laws, 0.0, "`p` must have an answer on its last axis, got shape ()."),
    (checks.rewards, [0.0, NAN], "`p` must be finite or -inf, got nan."),
    (checks.rewards, [[0.0], [INF]], "`p` must be finite or -inf, got inf."),
    (checks.finite, -INF, "`p` must be finite, got -inf."),
    (checks.finite, [1.0, NAN], "`p` must be finite, got nan."),
    (checks.positive, 0.0, "`p` must be positive, got 0.0."),
    (checks.positive, [1.0, -2.0], "`p` must be positive, got -2.0."),
    (checks.positive, NAN, "`p` must be positive, got nan."),
    (checks.not_negative, [[0.0, -1e-300]], "`p` must be at least 0, got -1e-300."),
    (checks.not_negative, NAN, "`p` must be at least 0, got nan."),
]

NOT_UNDER_A_LIMIT = [
    (checks.at_most, [0.5, 0.75], "`p` must be at most 0.5, got 0.75."),
    (checks.at_most, NAN, "`p` must be at most 0.5, got nan."),
    (checks.below, 0.5, "`p` must be below 0.5, got 0.5."),
    (checks.below, [[0.0, INF]], "`p` must be below 0.5, got inf."),
    (checks.below, NAN, "`p` must be below 0.5, got nan."),
]


@pytest.mark.parametrize(("check", "value", "sentence"), REFUSED)
@pytest.mark.parametrize("move", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_a_refusal_names_argument_rule_and_value(check, value, sentence, move):
    value = move(np.asarray(value, dtype=np.float64))
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        check(p=value)


@pytest.mark.parametrize(("check", "value", "sentence"), NOT_UNDER_A_LIMIT)
def test_a_limit_is_named_in_the_refusal(check, value, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        check(0.5, p=value)


def test_answers_that_differ_are_refused_with_both_shapes():
    sentence = "`p`, `q` must have the same answers on the last axis, got shapes (2,) and (4, 3)."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        checks.same_answers(p=np.zeros(2), q=np.zeros((4, 3)))


def test_an_answer_axis_of_one_does_not_stand_for_many():
    with pytest.raises(ValueError, match="same answers"):
        checks.same_answers(p=np.zeros(1), q=np.zeros(3))


def test_good_input_passes():
    checks.laws(p=np.log([0.5, 0.5]), q=[0.0], with_zero=[0.0, -INF])
    checks.rewards(r=[0.0, -INF, 3])
    checks.finite(x=3, y=np.array([1, 2]))
    checks.positive(x=1e-300, y=INF, z=np.array([1, 2]))
    checks.not_negative(x=0, y=INF)
    checks.at_most(0.5, x=0.5, y=np.array([-1, 0]))
    checks.below(0.5, x=0.499, y=-INF)
    checks.same_answers(p=np.zeros(3), q=np.zeros((4, 3)), r=[1, 2, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_law_may_miss_one_by_the_rounding_of_its_type(dtype):
    allowed = math.sqrt(np.finfo(dtype).eps)
    checks.laws(p=np.asarray([allowed / 2], dtype=dtype))
    with pytest.raises(ValueError, match="sum to one"):
        checks.laws(p=np.asarray([2 * allowed], dtype=dtype))


def test_a_law_may_be_long():
    checks.laws(p=np.full(10**6, -math.log(1e6)), q=np.full(10**6, -math.log(1e6), dtype=np.float32))
