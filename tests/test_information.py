"""Vouches for entropy, divergences, averages and win rates: by hand, in their limits, and against 80 digits.

The exact values are taken on the same floats, with each law renormalized. A law in float64 misses one by its rounding:
log-probabilities round to 1e-16 of themselves, so that everything of first order in them carries an absolute error of
about 1e-15, the KL divergence (of second order) a relative one. Each tolerance says which it is.
"""

import itertools
import math
import re

import exact
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import law_pairs, laws, normalized, references, rewards

from alignbook import information
from alignbook.information import (
    cross_entropy,
    entropy,
    expectation,
    kl_divergence,
    renyi_cross_entropy,
    renyi_divergence,
    variance,
    win_rate,
)

FIRST_ORDER = 4e-15  # absolute, per unit of the largest value averaged
ORDERS = [0.0, 1e-9, 0.3, 0.5, 1 - 1e-3, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-3, 2.0, 7.5, 100.0, math.inf]
COIN, BIASED, SURE = np.log([0.5, 0.5]), np.log([0.75, 0.25]), np.array([0.0, -math.inf])


def size(*values):
    """The largest finite magnitude among values that count: what an absolute rounding is proportional to."""
    held = np.abs(np.concatenate([np.ravel(v) for v in values]))
    return float(np.max(held[np.isfinite(held)], initial=1.0))


# By hand


def test_values_by_hand():
    assert float(entropy(COIN)) == pytest.approx(math.log(2), rel=1e-15)
    assert float(cross_entropy(BIASED, COIN)) == pytest.approx(math.log(2), rel=1e-15)
    assert float(kl_divergence(BIASED, COIN)) == pytest.approx(0.75 * math.log(1.5) - 0.25 * math.log(2), rel=1e-14)
    assert float(renyi_divergence(BIASED, COIN, 2)) == pytest.approx(math.log(1.25), rel=1e-14)
    assert float(renyi_cross_entropy(COIN, BIASED, 2)) == pytest.approx(math.log(2), rel=1e-14)
    assert float(expectation(BIASED, np.array([4.0, 8.0]))) == pytest.approx(5, rel=1e-15)
    assert float(variance(BIASED, np.array([4.0, 8.0]))) == pytest.approx(3, rel=1e-14)
    assert float(win_rate(BIASED, COIN, np.array([1.0, 0.0]))) == pytest.approx(0.375 + 0.5 * 0.5, rel=1e-15)


def test_integer_rewards_are_as_good_as_floats():
    assert float(expectation(BIASED, np.array([4, 8]))) == pytest.approx(5, rel=1e-15)
    assert float(win_rate(BIASED, COIN, np.array([1, 0]))) == pytest.approx(0.625, rel=1e-15)


def test_mass_where_the_other_law_has_none_costs_infinity():
    for divergence in (kl_divergence, cross_entropy):
        assert float(divergence(COIN, SURE)) == math.inf
        assert float(divergence(SURE, SURE)) == 0.0
    assert float(kl_divergence(SURE, COIN)) == pytest.approx(math.log(2), rel=1e-15)


def test_laws_that_share_no_answer_are_infinitely_far_at_every_order():
    other = SURE[::-1].copy()
    assert [float(renyi_divergence(SURE, other, order)) for order in ORDERS] == [math.inf] * len(ORDERS)


# Entropies and KL


@given(st.integers(1, 6).flatmap(laws))
def test_entropy_is_the_average_surprise(log_p):
    p = exact.masses(log_p)
    exact.assert_close(entropy(log_p), [exact.cross_entropy(p, p)], relative=1e-14, absolute=FIRST_ORDER)
    assert -FIRST_ORDER <= float(entropy(log_p)) <= math.log(len(log_p)) + FIRST_ORDER


@given(law_pairs())
def test_cross_entropy_is_the_average_surprise_under_another_law(pair):
    p, q = map(exact.masses, pair)
    exact.assert_close(cross_entropy(*pair), [exact.cross_entropy(p, q)], relative=1e-14, absolute=FIRST_ORDER)


@given(law_pairs())
def test_kl_keeps_its_digits_down_to_laws_that_nearly_agree(pair):
    p, q = map(exact.masses, pair)
    # 1e-12 relative at any distance; below 1e-30 the laws differ by no more than their own rounding
    exact.assert_close(kl_divergence(*pair), [exact.kl(p, q)], relative=1e-12, absolute=1e-30)
    assert float(kl_divergence(*pair)) >= 0


@pytest.mark.parametrize("step", [1e-1, 1e-2, 1e-4, 1e-6, 1e-8])
def test_kl_of_neighbors_is_half_their_squared_distance(step):
    shift = np.array([1.0, -1.0])
    log_q = np.log([0.5, 0.5])
    log_p = np.log1p(step * shift) + log_q
    found = float(kl_divergence(log_p, log_q))
    assert found == pytest.approx(step**2 / 2, rel=step**2)  # the next term is step^4 / 12
    exact.assert_close(found, [exact.kl(exact.masses(log_p), exact.masses(log_q))], relative=1e-12)


@given(references(), st.integers(-12, 0))
def test_kl_from_a_log_ratio_is_that_of_the_laws_it_stands_for(reference, scale):
    log_q, direction = reference
    q = exact.masses(log_q)
    direction = direction / size(direction) * 10.0**scale
    log_ratio = direction - float(exact.log_mean_exp(q, direction))
    expected = exact.kl(exact.tilt(q, log_ratio, 1.0), q)
    found = information.kl_from_log_ratio(log_q, log_ratio)
    exact.assert_close(found, [expected], relative=1e-12, absolute=1e-30)


# Rényi


@given(law_pairs(), st.one_of(st.sampled_from(ORDERS), st.floats(0, 20)))
def test_renyi_divergence_of_every_order(pair, order):
    p, q = map(exact.masses, pair)
    expected = exact.renyi_divergence(p, q, order)
    ratio = pair[0] - np.where(np.isfinite(pair[0]), pair[1], 0.0)
    # the moment's logarithm carries 1e-15 per unit of its largest exponent, of which the order keeps order/|order - 1|
    absolute = FIRST_ORDER * size(ratio)
    exact.assert_close(renyi_divergence(*pair, order), [expected], relative=1e-12, absolute=absolute)


@given(law_pairs())
def test_renyi_divergence_never_falls_in_the_order(pair):
    log_p, log_q = pair
    ratio = log_p - np.where(np.isfinite(log_p), log_q, 0.0)
    values = [float(renyi_divergence(log_p, log_q, order)) for order in ORDERS]
    for low, high in itertools.pairwise(values):
        assert low <= high + 1e-12 * abs(low if math.isfinite(low) else 1) + FIRST_ORDER * size(ratio)


def test_renyi_limits_in_the_order():
    rng = np.random.default_rng(1)
    log_p, log_q = normalized(rng.standard_normal((2, 50, 5)))
    kl, largest = kl_divergence(log_p, log_q), np.max(log_p - log_q, axis=-1)
    for step in (1e-3, 1e-5, 1e-7):  # the slope in the order is below 10 on these laws: |D_a - D| <= 10 |a - 1|
        for order in (1 - step, 1 + step):
            assert np.all(np.abs(renyi_divergence(log_p, log_q, order) - kl) <= 10 * step)
    # D_a >= (a log(p/q)_max + log q) / (a - 1): as near to the largest log-ratio as 1/a
    assert np.all(np.abs(renyi_divergence(log_p, log_q, 1e6) - largest) <= 20e-6)
    assert np.all(renyi_divergence(log_p, log_q, math.inf) == largest)
    assert np.all(np.abs(renyi_divergence(log_p, log_q, 0.0)) <= FIRST_ORDER)
    masked = np.array([math.log(0.25), math.log(0.75), -math.inf])
    assert float(renyi_divergence(masked, np.log([0.2, 0.3, 0.5]), 0)) == pytest.approx(math.log(2), rel=1e-14)


@given(law_pairs(), st.one_of(st.sampled_from([-3.0, 0.0, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0]), st.floats(-5, 5)))
def test_renyi_cross_entropy_of_every_order(pair, order):
    p, q = map(exact.masses, pair)
    expected = exact.renyi_cross_entropy(p, q, order)
    absolute = FIRST_ORDER * size(*pair)
    exact.assert_close(renyi_cross_entropy(*pair, order), [expected], relative=1e-12, absolute=absolute)


@pytest.mark.parametrize("order", [1 - 1e-9, 1 + 1e-9])
def test_near_order_one_a_rare_answer_costs_no_digits(order):
    p = normalized([-690.8, 0.0, 0.0, 0.0])
    q = normalized([-1e5, 0.3, 0.0, 0.0])
    laws_of = exact.masses(p), exact.masses(q)
    expected = exact.renyi_cross_entropy(*laws_of, order), exact.renyi_divergence(*laws_of, order)
    exact.assert_close((renyi_cross_entropy(p, q, order), renyi_divergence(p, q, order)), expected, relative=1e-12)


def test_orders_may_come_as_a_curve():
    curve = renyi_divergence(BIASED, COIN, np.array(ORDERS))
    assert curve.tolist() == [float(renyi_divergence(BIASED, COIN, order)) for order in ORDERS]


# Averages


@given(references())
def test_expectation_and_variance(reference):
    log_p, values = reference
    p = exact.masses(log_p)
    given_values = values[np.exp(log_p) > 0]
    rounding = FIRST_ORDER * size(given_values)
    exact.assert_close(expectation(log_p, values), [exact.expectation(p, values)], relative=1e-14, absolute=rounding)
    # two passes: the rounded mean enters squared
    found = variance(log_p, values)
    exact.assert_close(found, [exact.variance(p, values)], relative=1e-12, absolute=rounding**2)


def test_an_average_ignores_values_the_law_cannot_give():
    for value in (-math.inf, 1e308):
        values = np.array([3.0, value])
        assert (float(expectation(SURE, values)), float(variance(SURE, values))) == (3.0, 0.0)


def test_a_forbidden_answer_that_can_be_given_makes_the_average_minus_infinity():
    assert float(expectation(COIN, np.array([0.0, -math.inf]))) == -math.inf


# Win rates


@st.composite
def contests(draw):
    p, q = draw(law_pairs())
    return p, q, draw(rewards(len(p)))


@given(contests())
def test_win_rate_counts_every_pair_and_ties_half(contest):
    log_p, log_q, reward = contest
    p, q = exact.masses(log_p), exact.masses(log_q)
    exact.assert_close(win_rate(*contest), [exact.win_rate(p, q, reward)], absolute=FIRST_ORDER)


@given(contests())
def test_one_of_two_wins(contest):
    log_p, log_q, reward = contest
    assert float(win_rate(log_p, log_q, reward) + win_rate(log_q, log_p, reward)) == pytest.approx(1, abs=FIRST_ORDER)


def test_win_rate_against_oneself_is_one_half():
    log_p = normalized(np.random.default_rng(0).standard_normal((50, 7)))
    reward = np.random.default_rng(1).integers(0, 3, (50, 7)).astype(float)
    np.testing.assert_allclose(win_rate(log_p, log_p, reward), 0.5, rtol=0, atol=FIRST_ORDER)


def test_win_rate_of_many_answers_needs_no_table_of_pairs():
    count = 100_000
    uniform = np.full(count, -math.log(count))
    reward = np.random.default_rng(0).permutation(count).astype(float)
    rising = normalized(np.log1p(reward))
    # P(r(Y) > r(Y')) for P(Y = k) = (k + 1) / sum: the average of (k + 1/2) / count under it
    expected = np.sum(np.exp(rising) * (reward + 0.5)) / count
    assert float(win_rate(rising, uniform, reward)) == pytest.approx(expected, abs=1e-11)  # 1e5 roundings of 1e-16


# Bad input

NOT_A_LAW = np.array([0.0, 0.0])
SENTENCES = [
    (
        lambda: entropy(NOT_A_LAW),
        "`log_p` must hold log-probabilities that sum to one on its last axis, got the sum 2.0.",
    ),
    (lambda: entropy(np.zeros(0)), "`log_p` must have an answer on its last axis, got shape (0,)."),
    (lambda: cross_entropy(COIN, NOT_A_LAW), "`log_q` must hold log-probabilities that sum to one"),
    (lambda: cross_entropy(COIN, np.zeros(1)), "`log_p`, `log_q` must have the same answers on the last axis, got"),
    (lambda: kl_divergence(NOT_A_LAW, COIN), "`log_p` must hold log-probabilities that sum to one"),
    (
        lambda: kl_divergence(COIN, np.log([0.2, 0.3, 0.5])),
        "`log_p`, `log_q` must have the same answers on the last axis, got",
    ),
    (lambda: renyi_divergence(COIN, COIN, -0.5), "`order` must be at least 0, got -0.5."),
    (lambda: renyi_divergence(COIN, COIN, np.array([1.0, math.nan])), "`order` must be at least 0, got nan."),
    (lambda: renyi_divergence(COIN, NOT_A_LAW, 2.0), "`log_q` must hold log-probabilities that sum to one"),
    (lambda: renyi_cross_entropy(COIN, COIN, math.inf), "`order` must be finite, got inf."),
    (lambda: renyi_cross_entropy(COIN, COIN, math.nan), "`order` must be finite, got nan."),
    (lambda: expectation(NOT_A_LAW, COIN), "`log_p` must hold log-probabilities that sum to one"),
    (lambda: expectation(COIN, np.array([math.nan, 0.0])), "`values` must be finite or -inf, got nan."),
    (lambda: expectation(COIN, np.array([math.inf, 0.0])), "`values` must be finite or -inf, got inf."),
    (lambda: expectation(COIN, np.zeros(3)), "`log_p`, `values` must have the same answers on the last axis, got"),
    (lambda: variance(COIN, np.array([-math.inf, 0.0])), "`values` must be finite, got -inf."),
    (lambda: variance(COIN, np.zeros(3)), "`log_p`, `values` must have the same answers"),
    (lambda: win_rate(COIN, NOT_A_LAW, COIN), "`log_q` must hold log-probabilities that sum to one"),
    (lambda: win_rate(COIN, COIN, np.array([math.nan, 0.0])), "`reward` must be finite or -inf, got nan."),
    (lambda: win_rate(COIN, COIN, np.zeros(3)), "`log_p`, `log_q`, `reward` must have the same answers"),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("call", "sentence"), SENTENCES)
def test_bad_input_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        call()
