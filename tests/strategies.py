"""Hypothesis strategies for laws and rewards that make the awkward cases likely.

Ties, masses down to 1e-300 and below, answers that are never given, a single answer, laws that are equal or nearly so,
rewards of every scale.
"""

import math

import numpy as np
from hypothesis import strategies as st

LOG_MASS = st.one_of(
    st.floats(-3, 3), st.sampled_from([0.0, 0.0, -math.inf, -690.8, -36.8]), st.floats(-1000, 0), st.floats(-20, 0)
)
REWARD = st.one_of(
    st.floats(-5, 5),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.sampled_from([1e6, 1e6 + 1e-3, 1e6 + 2e-3]),
    st.floats(-1e8, 1e8),
    st.floats(-20, -8).map(lambda exponent: 10.0**exponent),
)


def normalized(log_weights):
    """The law with these log-weights, as float64 has it."""
    log_weights = np.asarray(log_weights, dtype=float)
    log_weights = log_weights - np.max(log_weights, axis=-1, keepdims=True)
    return log_weights - np.log(np.sum(np.exp(log_weights), axis=-1, keepdims=True))


@st.composite
def laws(draw, answers):
    """A law on so many answers."""
    weights = draw(st.lists(LOG_MASS, min_size=answers, max_size=answers))
    if max(weights) == -math.inf:
        weights[draw(st.integers(0, answers - 1))] = 0.0
    return normalized(weights)


@st.composite
def law_pairs(draw, max_answers=6):
    """Two laws on the same answers: unrelated, equal, or nearly equal."""
    answers = draw(st.integers(1, max_answers))
    p = draw(laws(answers))
    kind = draw(st.sampled_from(["unrelated", "unrelated", "equal", "near"]))
    if kind == "equal":
        return p, p
    if kind == "unrelated":
        return p, draw(laws(answers))
    step = 10.0 ** draw(st.integers(-15, -1))
    shift = draw(st.lists(st.floats(-1, 1), min_size=answers, max_size=answers))
    return p, normalized(p + step * np.asarray(shift))


@st.composite
def rewards(draw, answers):
    """A finite reward for each of so many answers; often one value many times, or values of one scale.

    Below 1e-60 a value counts as 0: its square, the unit of a variance, must stay a float.
    """
    kind = draw(st.one_of(st.just(REWARD), REWARD.map(st.just), st.just(st.floats(-5, 5))))
    values = np.asarray(draw(st.lists(kind, min_size=answers, max_size=answers)))
    return np.where(np.abs(values) < 1e-60, 0.0, values)


@st.composite
def references(draw, max_answers=6):
    """A reference and a reward on the same answers."""
    answers = draw(st.integers(1, max_answers))
    return draw(laws(answers)), draw(rewards(answers))
