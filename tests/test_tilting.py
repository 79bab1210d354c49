"""Vouches for the tilt and for the search that finds it at a KL budget, digit by digit.

For the beta that `tilt_to_kl` returns, the KL of the exact tilt of the same floats, at 80 digits, is the budget to
1e-12 relative, whatever the reference, the reward and the budget: the package's promise and the tolerance here.
"""

import math
import re

import exact
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from strategies import laws, normalized, references

from alignbook import tilting
from alignbook.information import expectation, kl_divergence, variance
from alignbook.tilting import (
    Tilted,
    condition_on_best,
    log_partition,
    max_kl,
    near_optimality_gap,
    objective,
    tilt,
    tilt_to_kl,
)

PROMISE = 1e-12
COIN = np.log([0.5, 0.5])
BUDGETS = [1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 10.0, 300.0]  # in nats
SHARES = [1e-6, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12]  # of the largest KL


def assert_is_the_tilt(found, ref_log_p, reward, kl_budget):
    """Hold one result, inside the range of budgets, against the exact tilt of the same floats at its beta."""
    p = exact.masses(ref_log_p)
    optimum = exact.tilt(p, reward, float(found.beta))
    possible = np.isfinite(ref_log_p)
    exact.assert_close(exact.kl(optimum, p), [mpf(float(kl_budget))], relative=PROMISE)
    exact.assert_close(found.kl, [exact.kl(optimum, p)], relative=PROMISE)
    # probabilities are as good as the exponents below them, which round to 1e-16 of themselves, up to 1e4 here
    exact.assert_close(np.exp(found.log_p), optimum, relative=PROMISE, absolute=1e-300)
    exact.assert_close(found.variance, [exact.variance(optimum, reward)], relative=PROMISE, absolute=1e-300)
    rounding = 1e-15 * np.max(np.abs(reward[possible])) + PROMISE * math.sqrt(float(found.variance))
    exact.assert_close(found.reward, [exact.expectation(optimum, reward)], absolute=rounding)


# By hand


def test_values_by_hand():
    reward = np.array([math.log(3), 0.0])
    assert np.exp(tilt(COIN, reward, 1.0)).tolist() == pytest.approx([0.75, 0.25], rel=1e-15)
    assert float(log_partition(COIN, reward, 1.0)) == pytest.approx(math.log(2), rel=1e-15)
    assert float(max_kl(COIN, reward)) == pytest.approx(math.log(2), rel=1e-15)
    kl = 0.75 * math.log(1.5) - 0.25 * math.log(2)
    assert float(objective(np.log([0.75, 0.25]), COIN, reward, 1.0)) == pytest.approx(math.log(2), rel=1e-15)
    found = tilt_to_kl(COIN, reward, kl)
    assert float(found.beta) == pytest.approx(1, rel=1e-14)
    assert float(found.reward) == pytest.approx(0.75 * math.log(3), rel=1e-14)
    assert float(found.variance) == pytest.approx(3 / 16 * math.log(3) ** 2, rel=1e-14)


# The tilt


@given(references(), st.one_of(st.sampled_from([1e-3, 1.0, 1e3, math.inf]), st.floats(1e-3, 1e9)))
def test_the_tilt_multiplies_by_the_exponential_of_the_reward(reference, beta):
    ref_log_p, reward = reference
    p = exact.masses(ref_log_p)
    law = tilt(ref_log_p, reward, beta)
    optimum = exact.tilt(p, reward, beta)
    possible = np.isfinite(ref_log_p)
    # an exponent rounds to 1e-16 of itself, and so does the reference's logarithm
    spread = np.max(reward[possible]) - np.min(reward[possible])
    rounding = 1e-15 * (4 + spread / beta + np.max(np.abs(ref_log_p[possible])))
    exact.assert_close(np.exp(law), optimum, relative=rounding, absolute=1e-300)
    assert np.all(law[~possible] == -math.inf)


@given(references(), st.floats(1e-3, 1e9))
def test_the_partition_function_averages_the_exponential(reference, beta):
    ref_log_p, reward = reference
    with mp.workdps(exact.DIGITS):
        expected = exact.log_mean_exp(exact.masses(ref_log_p), [mpf(float(r)) / mpf(beta) for r in reward])
    possible = np.isfinite(ref_log_p)
    rounding = 1e-15 * (4 + np.max(np.abs(reward[possible])) / beta)
    exact.assert_close(log_partition(ref_log_p, reward, beta), [expected], relative=1e-14, absolute=rounding)


def test_at_infinite_beta_the_tilt_is_the_reference_without_what_is_forbidden():
    ref = np.log([0.5, 0.25, 0.25])
    np.testing.assert_allclose(tilt(ref, np.array([1.0, 5.0, 2.0]), math.inf), ref, rtol=0, atol=1e-15)
    assert np.exp(tilt(ref, np.array([1.0, 5.0, -math.inf]), math.inf)).tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_as_beta_falls_the_tilt_becomes_the_best_answers():
    rng = np.random.default_rng(0)
    ref, reward = normalized(rng.standard_normal((50, 6))), rng.integers(0, 3, (50, 6)).astype(float)
    np.testing.assert_allclose(np.exp(tilt(ref, reward, 1e-6)), np.exp(condition_on_best(ref, reward)), rtol=1e-14)


def test_a_forbidden_answer_never_gets_mass():
    law = tilt(normalized([0.0, 0.0, 0.0]), np.array([1.0, -math.inf, 0.0]), 0.5)
    assert law[1] == -math.inf
    assert np.exp(law).sum() == pytest.approx(1, rel=1e-15)


@given(references())
def test_the_best_answers_share_in_proportion_to_the_reference(reference):
    ref_log_p, reward = reference
    p = exact.masses(ref_log_p)
    best = max(r for mass, r in zip(ref_log_p, reward, strict=True) if mass > -math.inf)
    kept = [mass if r == best else mpf(0) for mass, r in zip(p, reward, strict=True)]
    with mp.workdps(exact.DIGITS):
        total = mp.fsum(kept)
        expected = [mass / total for mass in kept]
        rest = mp.fsum(mass for mass, r in zip(p, reward, strict=True) if r != best)
        most = -mp.log1p(-rest) if rest < 0.5 else -mp.log(total)
    rounding = 4e-15 * (1 + np.max(np.abs(ref_log_p[np.isfinite(ref_log_p)])))
    exact.assert_close(np.exp(condition_on_best(ref_log_p, reward)), expected, relative=rounding, absolute=1e-300)
    exact.assert_close(max_kl(ref_log_p, reward), [most], relative=rounding, absolute=1e-300)


# The objective and the gap to the optimum


@given(references(), laws(6), st.floats(1e-2, 1e3))
def test_the_gap_by_the_identity_is_the_divergence_from_the_tilt(reference, weights, beta):
    ref_log_p, reward = reference
    log_p = normalized(np.maximum(weights[: len(reward)], -50) + ref_log_p)
    p, ref = exact.masses(log_p), exact.masses(ref_log_p)
    expected = exact.kl(p, exact.tilt(ref, reward, beta))
    terms = np.max(np.abs(reward[np.isfinite(ref_log_p)])) / beta + np.max(np.abs(ref_log_p[np.isfinite(ref_log_p)]))
    rounding = 1e-14 * (1 + terms)  # a difference of two budgets and two rewards
    exact.assert_close(
        near_optimality_gap(log_p, ref_log_p, reward, beta), [expected], relative=1e-12, absolute=rounding
    )


def test_off_the_reference_the_gap_is_infinite():
    ref = np.array([0.0, -math.inf])
    assert float(near_optimality_gap(COIN, ref, np.array([0.0, 1.0]), 1.0)) == math.inf
    assert float(objective(COIN, ref, np.array([0.0, 1.0]), 1.0)) == -math.inf


# The search: the promise


@given(references(), st.one_of(st.sampled_from(BUDGETS), st.floats(-12, 2).map(lambda x: 10.0**x)))
def test_the_tilt_spends_its_budget_exactly(reference, kl_budget):
    ref_log_p, reward = reference
    found = tilt_to_kl(ref_log_p, reward, kl_budget)
    if kl_budget < float(max_kl(ref_log_p, reward)):
        assert_is_the_tilt(found, ref_log_p, reward, kl_budget)
    else:
        assert_is_the_best(found, ref_log_p, reward)


@given(references(), st.sampled_from(SHARES))
def test_the_tilt_spends_any_share_of_the_largest_budget_exactly(reference, share):
    ref_log_p, reward = reference
    kl_budget = share * float(max_kl(ref_log_p, reward))
    if kl_budget >= 1e-12:
        assert_is_the_tilt(tilt_to_kl(ref_log_p, reward, kl_budget), ref_log_p, reward, kl_budget)


def heavy_tailed(rng, count):
    return normalized(rng.standard_normal(count)), rng.standard_cauchy(count) * 100


def rare_best(rng, count):
    ref = np.concatenate([rng.standard_normal(count - 1), [-700.0]])
    return normalized(ref), np.sort(rng.standard_normal(count))


def tied(rng, count):
    return normalized(3 * rng.standard_normal(count)), rng.integers(0, 3, count).astype(float)


def on_a_pedestal(rng, count):
    return normalized(rng.standard_normal(count)), 1e6 + 1e-3 * rng.integers(0, 5, count)


def with_holes(rng, count):
    ref = rng.standard_normal(count)
    ref[::3] = -math.inf
    return normalized(ref), rng.standard_normal(count)


def tiny_masses(rng, count):
    return normalized(-700 * rng.random(count)), rng.standard_normal(count)


def of_all_scales(rng, count):
    return normalized(rng.standard_normal(count)), 10.0 ** rng.uniform(-12, 12, count)


@pytest.mark.parametrize("kind", [heavy_tailed, rare_best, tied, on_a_pedestal, with_holes, tiny_masses, of_all_scales])
def test_a_batch_of_hard_cases_spends_every_budget_exactly(kind):
    rng = np.random.default_rng(0)
    cases = [kind(rng, 12) for _ in range(8)]
    ref, reward = (np.stack(part) for part in zip(*cases, strict=True))
    most = max_kl(ref, reward)
    budgets = np.concatenate([np.broadcast_to(np.array(BUDGETS)[:, None], (8, 8)), np.array(SHARES)[:, None] * most])
    found = tilt_to_kl(ref, reward, budgets)
    for i, j in np.ndindex(*budgets.shape):
        single = Tilted(*(part[i, j] for part in found))
        if budgets[i, j] < most[j]:
            assert_is_the_tilt(single, ref[j], reward[j], budgets[i, j])
        else:
            assert_is_the_best(single, ref[j], reward[j])


# The search: its ends


def assert_is_the_best(found, ref_log_p, reward):
    assert float(found.beta) == 0
    assert found.log_p.tolist() == condition_on_best(ref_log_p, reward).tolist()
    assert float(found.kl) == float(max_kl(ref_log_p, reward))
    assert float(found.reward) == np.max(reward[np.isfinite(ref_log_p)])
    assert float(found.variance) == 0


@given(references(), st.sampled_from([0, 1e-300, 1.0, math.inf]))
@example((np.array([0.0]), np.array([3.0])), 1.0)
@example((COIN, np.array([2.0, 2.0])), 1.0)
def test_at_and_beyond_the_largest_budget_only_the_best_answers_remain(reference, excess):
    ref_log_p, reward = reference
    most = float(max_kl(ref_log_p, reward))
    if most > 0:
        assert_is_the_best(tilt_to_kl(ref_log_p, reward, most + excess), ref_log_p, reward)


@given(references())
def test_a_budget_of_zero_leaves_the_reference(reference):
    ref_log_p, reward = reference
    found = tilt_to_kl(ref_log_p, reward, 0)
    assert float(found.beta) == math.inf
    assert float(found.kl) == 0
    np.testing.assert_allclose(np.exp(found.log_p), np.exp(ref_log_p), rtol=1e-12, atol=1e-300)
    assert float(found.reward) == float(expectation(ref_log_p, reward))
    assert float(found.variance) == float(variance(ref_log_p, reward))


@pytest.mark.parametrize("ref", [np.array([0.0]), np.array([0.0, -math.inf]), COIN])
def test_where_all_rewards_are_equal_any_budget_buys_nothing(ref):
    found = tilt_to_kl(ref, np.full(ref.shape, 7.0), np.array([0.0, 1e-12, 1.0, math.inf]))
    assert found.beta.tolist() == [math.inf, 0.0, 0.0, 0.0]
    assert found.reward.tolist() == [7.0] * 4
    np.testing.assert_allclose(np.exp(found.log_p), np.exp(ref) * np.ones((4, 1)), rtol=0, atol=1e-15)
    assert found.kl.tolist() == [0.0] * 4


def test_single_precision_is_searched_in_double_and_returned_as_it_came():
    ref = normalized(np.random.default_rng(0).standard_normal(9)).astype(np.float32)
    found = tilt_to_kl(ref, np.arange(9, dtype=np.float32), 0.25)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    exact_beta = tilt_to_kl(ref.astype(float), np.arange(9.0), 0.25).beta
    assert float(found.beta) == pytest.approx(float(exact_beta), rel=1e-7)


# The search: its length


@pytest.fixture
def evaluations(monkeypatch):
    """Count how often the search evaluates a tilt."""
    calls = []
    evaluate = tilting._at_inverse_beta
    monkeypatch.setattr(tilting, "_at_inverse_beta", lambda *args: calls.append(1) or evaluate(*args))
    return calls


@given(reference=references(), kl_budget=st.one_of(st.sampled_from(BUDGETS), st.floats(0, 1e3)))
def test_the_search_ends_long_before_its_limit(reference, kl_budget):
    with pytest.MonkeyPatch.context() as patch:
        calls = []
        evaluate = tilting._at_inverse_beta
        patch.setattr(tilting, "_at_inverse_beta", lambda *args: calls.append(1) or evaluate(*args))
        tilt_to_kl(*reference, kl_budget)
    assert len(calls) <= 100  # of 201 allowed: bisection alone needs 60 once the bracket is of one scale


def test_a_search_among_many_answers_takes_few_evaluations(evaluations):
    rng = np.random.default_rng(0)
    ref, reward = normalized(rng.standard_normal(100_000)), rng.standard_normal(100_000)
    for kl_budget in (1e-12, 1e-3, 1.0, 8.0):
        evaluations.clear()
        tilt_to_kl(ref, reward, kl_budget)
        assert len(evaluations) <= 20


def test_a_million_answers_spend_their_budget_exactly():
    # ten masses and ten rewards, each pair of them many times: exact sums of 100 terms
    rng = np.random.default_rng(0)
    masses, values = rng.integers(0, 10, 10**6), rng.integers(0, 10, 10**6)
    log_weights, rewards = 3 * rng.standard_normal(10), rng.standard_normal(10)
    ref = normalized(log_weights[masses])
    _, first, counts = np.unique(10 * masses + values, return_index=True, return_counts=True)
    for kl_budget in (1e-12, 1.0):
        found = tilt_to_kl(ref, rewards[values], kl_budget)
        with mp.workdps(exact.DIGITS):
            weights = [int(n) * mp.exp(mpf(float(ref[i]))) for n, i in zip(counts, first, strict=True)]
            total = mp.fsum(weights)
            p = [w / total for w in weights]
        optimum = exact.tilt(p, rewards[values[first]], float(found.beta))
        exact.assert_close(exact.kl(optimum, p), [mpf(kl_budget)], relative=PROMISE)
        exact.assert_close(found.kl, [mpf(kl_budget)], relative=PROMISE)


# Bad input

past_the_shapes = pytest.mark.usefixtures("shapes_unchecked")
NAN, INF = math.nan, math.inf
REWARD = np.array([1.0, 0.0])
NOT_A_LAW = np.array([0.0, 0.0])
NOT_ONE = "`ref_log_p` must hold log-probabilities that sum to one on its last axis, got the sum 2.0."
THREE = np.array([1.0, 0.0, 0.0])
LENGTHS = "`ref_log_p`, `reward` must have the same answers on the last axis, got shapes (2,) and (3,)."
FORBIDDEN = "`reward` must allow an answer the reference can give, got -inf on all of them."
WITH_BETA = {
    "log_partition": log_partition,
    "tilt": tilt,
    "near_optimality_gap": lambda *args: near_optimality_gap(args[0], *args),
    "objective": lambda *args: objective(args[0], *args),
}
WITHOUT_BETA = {
    "condition_on_best": lambda ref, reward, _: condition_on_best(ref, reward),
    "max_kl": lambda ref, reward, _: max_kl(ref, reward),
    "tilt_to_kl": tilt_to_kl,
}


def refuses(call, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        call()


@past_the_shapes
@pytest.mark.parametrize("name", WITH_BETA)
@pytest.mark.parametrize("beta", [0.0, -1.0, NAN, np.array([1.0, -1.0])])
def test_a_beta_that_is_not_positive(name, beta):
    value = float(np.ravel(beta)[-1])
    refuses(lambda: WITH_BETA[name](COIN, REWARD, beta), f"`beta` must be positive, got {value}.")


@past_the_shapes
@pytest.mark.parametrize("name", ["log_partition", "tilt", *WITHOUT_BETA])
def test_a_reference_that_is_no_law(name):
    call = (WITH_BETA | WITHOUT_BETA)[name]
    refuses(lambda: call(NOT_A_LAW, REWARD, 1.0), NOT_ONE)
    empty = "`ref_log_p` must have an answer on its last axis, got shape (0,)."
    refuses(lambda: call(np.zeros(0), np.zeros(0), 1.0), empty)
    refuses(lambda: call(np.array([NAN, 0.0]), REWARD, 1.0), "`ref_log_p` must hold log-probabilities, got nan.")


@past_the_shapes
@pytest.mark.parametrize("name", ["log_partition", "tilt", *WITHOUT_BETA])
def test_rewards_of_other_answers(name):
    refuses(lambda: (WITH_BETA | WITHOUT_BETA)[name](COIN, THREE, 1.0), LENGTHS)


@past_the_shapes
@pytest.mark.parametrize("name", ["log_partition", "tilt", *WITHOUT_BETA])
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_reward_that_is_nan_or_infinite(name, value):
    call = (WITH_BETA | WITHOUT_BETA)[name]
    refuses(lambda: call(COIN, np.array([value, 0.0]), 1.0), f"`reward` must be finite or -inf, got {value}.")


@past_the_shapes
@pytest.mark.parametrize("name", ["log_partition", "tilt", *WITHOUT_BETA])
def test_a_reward_that_forbids_all_answers(name):
    refuses(lambda: (WITH_BETA | WITHOUT_BETA)[name](COIN, np.array([-INF, -INF]), 1.0), FORBIDDEN)


@past_the_shapes
@pytest.mark.parametrize("budget", [-1e-300, -INF, NAN, np.array([0.0, -1.0])])
def test_a_budget_that_is_negative_or_nan(budget):
    value = float(np.ravel(budget)[-1])
    refuses(lambda: tilt_to_kl(COIN, REWARD, budget), f"`kl_budget` must be at least 0, got {value}.")


@past_the_shapes
def test_a_forbidden_answer_in_a_search():
    refuses(lambda: tilt_to_kl(COIN, np.array([0.0, -INF]), 0.1), "`reward` must be finite, got -inf.")
    assert float(tilt_to_kl(np.array([0.0, -INF]), np.array([0.0, -INF]), 0.1).beta) == 0  # not one it can give


def test_a_policy_that_is_no_law_is_refused():
    for measure in (objective, near_optimality_gap):
        with pytest.raises(ValueError, match=re.escape("`log_p` must hold log-probabilities that sum to one")):
            measure(NOT_A_LAW, COIN, REWARD, 1.0)


def test_the_tilt_found_is_the_tilt_at_its_beta():
    found = tilt_to_kl(COIN, REWARD, np.array([1e-6, 0.1, 0.5]))
    np.testing.assert_allclose(found.log_p, tilt(COIN, REWARD, found.beta), rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.kl, kl_divergence(found.log_p, COIN), rtol=1e-9, atol=0)  # of the rounded law
