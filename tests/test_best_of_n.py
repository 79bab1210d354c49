"""Vouches for best-of-N's law and what is measured of it, digit by digit.

The law's KL from the reference is that of the exact law of the same floats, at 80 digits, to 1e-12 relative plus 1e-15,
for masses of any size and log N from 0 to 60; the law's total mass is 1 to 1e-14. Soft best-of-N's masses are those of
the sum over all draws to 1e-13.
"""

import itertools
import math
import re

import exact
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from strategies import normalized, references

from alignbook.best_of_n import (
    _soft,
    best_of_n,
    best_win_rate,
    kl_estimate,
    kl_upper_bound,
    log_kl_to_best_of_n,
    sample_best_of_n,
    soft_best_of_n,
    win_rate_upper_bound,
)
from alignbook.information import kl_divergence
from alignbook.tilting import condition_on_best, tilt

COIN = np.log([0.5, 0.5])
REWARD = np.array([1.0, 0.0])
PROMISE = {"relative": 1e-12, "absolute": 1e-15}
LOG_N = st.one_of(st.sampled_from([0.0, 1e-9, 1e-3, math.log(2), 60.0]), st.floats(0, 60))


def exact_law(p, reward, log_n):
    """Best-of-N of exact masses, by powers; masses of groups and what lies above them are sums, never differences."""
    with mp.workdps(exact.DIGITS):
        n, law = mp.exp(mpf(float(log_n))), []
        for mass, own in zip(p, reward, strict=True):
            equal = mp.fsum(q for q, r in zip(p, reward, strict=True) if r == own)
            above = mp.fsum(q for q, r in zip(p, reward, strict=True) if r > own)
            below = mp.fsum(q for q, r in zip(p, reward, strict=True) if r < own)
            if mass == 0:
                law.append(mpf(0))
                continue
            log_f = mp.log1p(-above) if above < 0.5 else mp.log(equal + below)
            some = -mp.expm1(n * mp.log1p(-equal / (equal + below))) if below > 0 else mpf(1)
            law.append(mass / equal * mp.exp(n * log_f) * some)
        return law


def assert_is_the_law(found, ref_log_p, reward, log_n):
    p = exact.masses(ref_log_p)
    law = exact_law(p, reward, log_n)
    exact.assert_close(np.exp(found), law, relative=1e-11, absolute=1e-16)
    exact.assert_close(kl_divergence(found, ref_log_p), [exact.kl(law, p)], **PROMISE)
    assert math.fsum(np.exp(found)) == pytest.approx(1, abs=1e-14)


# By hand


def test_values_by_hand():
    assert np.exp(best_of_n(COIN, REWARD, 2)).tolist() == pytest.approx([0.75, 0.25], rel=1e-15)
    thirds = np.log([1 / 3, 1 / 3, 1 / 3])
    assert np.exp(best_of_n(thirds, np.array([1, 1, 0]), 2)).tolist() == pytest.approx([4 / 9, 4 / 9, 1 / 9], rel=1e-15)
    assert float(kl_upper_bound(2)) == pytest.approx(math.log(2) - 0.5, rel=1e-15)
    assert float(win_rate_upper_bound(3)) == pytest.approx(0.75, rel=1e-15)
    # two draws: the selected answer of mass 1/2 was missed with chance 1/4
    by_hand = (math.log(2) + math.log(0.5) - 0.5) / 4 + 0.75 * math.log(1.5)
    assert float(kl_estimate(math.log(0.5), 2)) == pytest.approx(by_hand, rel=1e-14)
    # two draws differ with chance 1/2, and then the better one is kept with chance 3/4
    soft = np.exp(soft_best_of_n(COIN, np.array([math.log(3), 0.0]), 2, 1.0))
    assert soft.tolist() == pytest.approx([0.25 + 0.375, 0.25 + 0.125], rel=1e-14)


# The law: the promise


@given(references(), LOG_N)
@example((np.array([0.0]), np.array([3.0])), 60.0)
@example((normalized([0.0, -700.0, -1400.0, -2500.0]), np.array([0.0, 1.0, 2.0, 3.0])), 60.0)
def test_the_law_is_the_difference_of_two_powers(reference, log_n):
    ref_log_p, reward = reference
    assert_is_the_law(best_of_n(ref_log_p, reward, log_n=log_n), ref_log_p, reward, log_n)


@pytest.mark.parametrize("ranking", ["best are rare", "worst are rare", "any", "ties"])
@pytest.mark.parametrize("log_n", [0.0, 1e-6, 0.7, 5.0, 30.0, 57.0, 60.0])
def test_the_law_of_many_answers_of_masses_down_to_1e_minus_25(ranking, log_n):
    rng = np.random.default_rng(0)
    for count in (3, 10, 60):
        ref = np.sort(normalized(-58 * rng.random(count) ** 2))
        reward = {
            "best are rare": -np.arange(count),
            "worst are rare": np.arange(count),
            "any": rng.permutation(count),
            "ties": rng.integers(0, count // 3, count),
        }[ranking].astype(float)
        assert_is_the_law(best_of_n(ref, reward, log_n=log_n), ref, reward, log_n)


@pytest.mark.parametrize("count", [1000, 100_000])
def test_the_total_mass_stays_one_among_many_answers(count):
    rng = np.random.default_rng(1)
    for ref in (np.full(count, -math.log(count)), normalized(-58 * rng.random(count))):
        for reward in (rng.standard_normal(count), rng.integers(0, count // 5, count).astype(float), ref, -ref):
            for log_n in (0.0, 1.0, 6.0, 30.0, 60.0):
                law = best_of_n(ref, reward, log_n=log_n)
                assert math.fsum(np.exp(law)) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("log_n", [100.0, 700.0, 1400.0, 2000.0])
def test_numbers_beyond_a_float_leave_the_law_finite(log_n):
    ref = normalized([0.0, -100.0, -100.5, -log_n, -log_n - 1, -2500.0])
    reward = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    assert_is_the_law(best_of_n(ref, reward, log_n=log_n), ref, reward, log_n)


def test_a_million_draws_or_their_logarithm():
    rng = np.random.default_rng(0)
    ref, reward = normalized(rng.standard_normal(20)), rng.standard_normal(20)
    by_number, by_log = best_of_n(ref, reward, 10**6), best_of_n(ref, reward, log_n=math.log(10**6))
    np.testing.assert_allclose(np.exp(by_number), np.exp(by_log), rtol=0, atol=1e-15)


# The law: its edges


@given(references())
def test_one_draw_is_the_reference(reference):
    ref_log_p, reward = reference
    np.testing.assert_allclose(best_of_n(ref_log_p, reward, 1), ref_log_p, rtol=1e-15, atol=1e-14)
    assert float(kl_divergence(best_of_n(ref_log_p, reward, 1), ref_log_p)) == pytest.approx(0, abs=1e-15)


def test_more_draws_than_any_mass_needs_leave_the_best_answers():
    rng = np.random.default_rng(0)
    ref, reward = normalized(rng.standard_normal((50, 6))), rng.integers(0, 3, (50, 6)).astype(float)
    found, expected = np.exp(best_of_n(ref, reward, log_n=40.0)), np.exp(condition_on_best(ref, reward))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)


def test_where_all_rewards_are_equal_draws_change_nothing():
    ref = normalized([0.0, -1.0, -50.0])
    for n in (1, 7.5, 1e12):
        np.testing.assert_allclose(best_of_n(ref, np.full(3, 2.0), n), ref, rtol=0, atol=1e-14)


def test_answers_never_given_stay_so_and_do_not_count():
    rng = np.random.default_rng(0)
    logits, reward = rng.standard_normal(5), np.array([3.0, 0.0, 2.0, 2.0, -1.0])
    logits[[0, 4]] = -math.inf
    law = best_of_n(normalized(logits), reward, 5)
    assert law[0] == law[4] == -math.inf
    np.testing.assert_allclose(law[1:4], best_of_n(normalized(logits[1:4]), reward[1:4], 5), rtol=0, atol=1e-15)


def test_a_reward_of_minus_infinity_is_the_worst():
    ref = normalized([0.0, 0.5, -0.5])
    expected = best_of_n(ref, np.array([-9.0, 1.0, 0.0]), 3)
    assert best_of_n(ref, np.array([-math.inf, 1.0, 0.0]), 3).tolist() == expected.tolist()


def test_single_precision_is_computed_in_double_and_returned_as_it_came():
    rng = np.random.default_rng(0)
    ref, reward = normalized(rng.standard_normal(9)).astype(np.float32), rng.standard_normal(9).astype(np.float32)
    for law in (lambda x: best_of_n(x, reward.astype(x.dtype), 1e6), lambda x: soft_best_of_n(x, reward, 50, 0.3)):
        single, double = law(ref), law(normalized(ref.astype(float)))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-6, atol=1e-6)


def test_gradients_hold_for_rare_answers_and_reach_the_number_of_draws():
    logits = torch.tensor([0.0, -20.0, -20.5, -41.0, -700.0], dtype=torch.float64, requires_grad=True)
    log_n = torch.tensor([0.5, 20.0, 41.0], dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0], dtype=torch.float64)

    def masses(logits, log_n):
        return torch.exp(best_of_n(torch.log_softmax(logits, -1), reward, log_n=log_n))

    assert torch.autograd.gradcheck(masses, (logits, log_n), eps=1e-6, atol=1e-7, rtol=1e-6)


# The divergence from it


@given(references(), st.floats(0, 5), st.integers(0, 5))
def test_the_divergence_from_best_of_n_is_its_sum(reference, log_n, seed):
    ref_log_p, reward = reference
    log_q = normalized(ref_log_p + np.random.default_rng(seed).standard_normal(len(reward)))
    law, q = exact_law(exact.masses(ref_log_p), reward, log_n), exact.masses(log_q)
    expected = exact.kl(q, law)
    found = log_kl_to_best_of_n(log_q, ref_log_p, reward, log_n=log_n)
    size = 1 + np.max(np.abs(ref_log_p[np.isfinite(ref_log_p)]))  # logarithms round to 1e-16 of themselves
    exact.assert_close(np.exp(found), [expected], relative=1e-12, absolute=1e-14 * size)


def test_the_divergence_from_best_of_n_beyond_a_float():
    ref, reward = normalized([0.0, 1.0, -900.0]), np.array([0.0, 1.0, 2.0])
    expected = 2000 + ref[0] + math.log(-math.log(math.exp(ref[0])))  # p(worst) times N times -log F
    assert float(log_kl_to_best_of_n(ref, ref, reward, log_n=2000.0)) == pytest.approx(expected, rel=1e-14)
    assert float(log_kl_to_best_of_n(COIN, np.array([0.0, -math.inf]), REWARD, 3)) == math.inf
    assert float(log_kl_to_best_of_n(COIN, COIN, REWARD, 1)) < -33  # of the rounding


# Soft best-of-N


def soft_by_all_draws(p, reward, n, beta):
    """Sum over how often each answer is drawn."""
    w, law = np.exp((reward - np.max(reward)) / beta), np.zeros(len(p))
    for counts in itertools.product(range(n + 1), repeat=len(p)):
        if sum(counts) == n:
            ways = math.factorial(n) * np.prod([a**k / math.factorial(k) for a, k in zip(p, counts, strict=True)])
            law += ways * np.array(counts) * w / np.sum(np.array(counts) * w)
    return law


def test_soft_best_of_n_is_the_sum_over_all_draws():
    rng = np.random.default_rng(0)
    for trial in range(80):
        answers, n, beta = rng.integers(1, 5), int(rng.integers(1, 7)), 10 ** rng.uniform(-1.5, 2)
        ref = normalized(3 * rng.standard_normal(answers))
        reward = rng.integers(0, 2, answers).astype(float) if trial % 3 == 0 else 5 * rng.standard_normal(answers)
        law = np.exp(soft_best_of_n(ref, reward, n, beta))
        np.testing.assert_allclose(law, soft_by_all_draws(np.exp(ref), reward, n, beta), rtol=0, atol=1e-13)
        assert math.fsum(law) == pytest.approx(1, abs=1e-13)


def test_a_finer_quadrature_changes_soft_best_of_n_by_rounding_alone(monkeypatch):
    rng = np.random.default_rng(1)
    ref, reward = normalized(3 * rng.standard_normal((20, 6))), 3 * rng.standard_normal((20, 6))
    settings = [(n, beta) for n in (1.5, 2, 64, 1e6, 1e12) for beta in (0.01, 0.3, 1.0, 30.0)]
    coarse = [np.exp(soft_best_of_n(ref, reward, n, beta)) for n, beta in settings]
    monkeypatch.setattr(_soft, "STEP", _soft.STEP / 3)
    monkeypatch.setattr(_soft, "TAIL", 60.0)
    for (n, beta), law in zip(settings, coarse, strict=True):
        np.testing.assert_allclose(law, np.exp(soft_best_of_n(ref, reward, n, beta)), rtol=0, atol=1e-13)


def test_as_beta_falls_soft_best_of_n_is_best_of_n_with_its_ties():
    rng = np.random.default_rng(2)
    ref, reward = normalized(rng.standard_normal((60, 6))), rng.integers(0, 4, (60, 6)).astype(float)
    n = 10.0 ** rng.uniform(0, 3, 60)
    for beta in (1e-2, 1e-4):  # between rewards 1 apart a worse answer is kept with chance n e^(-1/beta) at most
        soft, hard = (np.exp(law) for law in (soft_best_of_n(ref, reward, n, beta), best_of_n(ref, reward, n)))
        np.testing.assert_allclose(soft, hard, rtol=0, atol=1e-13)
    assert np.max(np.abs(np.exp(soft_best_of_n(ref, reward, n, 1.0)) - hard)) > 0.1


def test_as_n_grows_soft_best_of_n_is_the_tilt():
    rng = np.random.default_rng(3)
    ref, reward = normalized(rng.standard_normal((60, 6))), rng.standard_normal((60, 6))
    limit = np.exp(tilt(ref, reward, 0.7))
    off = [np.max(np.abs(np.exp(soft_best_of_n(ref, reward, n, 0.7)) - limit)) for n in (1e2, 1e3, 1e6, 1e9, 1e14)]
    assert off[1] / off[0] == pytest.approx(0.1, rel=0.2)  # of first order in 1/n
    assert off[2] / off[1] == pytest.approx(1e-3, rel=0.02)
    assert off[3] / off[2] == pytest.approx(1e-3, rel=1e-3)
    assert off[4] < 1e-13


def test_one_draw_or_infinite_beta_leaves_soft_best_of_n_at_the_reference():
    ref, reward = normalized([0.0, -1.0, -30.0]), np.array([0.0, 5.0, 9.0])
    for n, beta in ((1, 0.2), (1, 1e-6), (50, math.inf)):
        np.testing.assert_allclose(soft_best_of_n(ref, reward, n, beta), ref, rtol=0, atol=1e-13)


# Draws


def test_draws_of_the_best_follow_the_law():
    rng = np.random.default_rng(4)
    draws = 40_000
    for trial in range(10):
        ref, reward = normalized(rng.standard_normal(5)), rng.integers(0, 3, 5).astype(float)
        law = np.exp(best_of_n(ref, reward, 4))
        sampled = sample_best_of_n(ref, reward, 4, draws, seed=trial)
        shares = np.bincount(sampled, minlength=5) / draws
        assert np.all(np.abs(shares - law) < 5 * np.sqrt(law * (1 - law) / draws) + 1e-12)  # five standard errors


def test_draws_of_a_batch_are_independent_and_repeat_with_their_seed():
    ref = np.stack([COIN, COIN])
    first, again = (sample_best_of_n(ref, REWARD, 3, 200, seed=5) for _ in range(2))
    assert first.shape == (2, 200)
    assert first.tolist() == again.tolist()
    assert first[0].tolist() != first[1].tolist()
    assert sample_best_of_n(COIN, np.array([1.0, 1.0]), 1, 50, seed=5).tolist() != [0] * 50


# Bounds, the estimate, the best win rate


@given(st.floats(0, 700))
def test_bounds_at_any_number_of_draws(log_n):
    with mp.workdps(exact.DIGITS + 350):
        n = mp.exp(mpf(log_n))
        exact.assert_close(kl_upper_bound(log_n=log_n), [mp.log(n) - (n - 1) / n], absolute=1e-15, relative=1e-15)
        exact.assert_close(win_rate_upper_bound(log_n=log_n), [n / (n + 1)], relative=1e-15)


@given(st.floats(0, 60), st.one_of(st.floats(-80, -1e-9), st.floats(-1e-3, -1e-12)))
def test_the_estimate_is_its_formula(log_n, log_mass):
    with mp.workdps(exact.DIGITS):
        n, eps = mp.exp(mpf(log_n)), mp.exp(mpf(log_mass))
        missed = (1 - eps) ** n
        some = -mp.expm1(n * mp.log1p(-eps))
        expected = missed * (mp.log(n) + (n - 1) * mp.log1p(-eps) - (n - 1) / n)
        if some > 0:
            expected += some * mp.log(some / eps)
        exact.assert_close(kl_estimate(log_mass, log_n=log_n), [expected], relative=1e-13, absolute=1e-13)


def test_the_estimate_at_its_ends():
    assert float(kl_estimate(0.0, 64)) == 0
    assert float(kl_estimate(-math.inf, 64)) == float(kl_upper_bound(64))
    assert kl_estimate(np.array([-1.0, -2.0]), np.array([[2.0], [3.0], [1.0]])).shape == (3, 2)
    np.testing.assert_allclose(kl_estimate(np.array([-1.0, -9.0]), 1), 0, rtol=0, atol=1e-15)


@given(st.one_of(st.floats(-12, 2).map(lambda x: 10.0**x), st.floats(2.6, 2.8)))
def test_the_best_win_rate_is_the_mean_of_its_quantile_density(kl):
    rate = float(best_win_rate(kl))
    with mp.workdps(60):
        # from the win rate back to the KL: c by Newton from c = 12 (rate - 1/2) or 1/(1 - rate)
        start = 12 * (rate - 0.5) if rate < 0.7 else 1 / (1 - rate) if rate < 1 else mp.exp(mpf(kl) + 1)
        budget = mpf(kl)

        def cost(c):
            return mp.log(c / mp.expm1(c)) + c * (1 / (1 - mp.exp(-c)) - 1 / c) - budget

        c = mp.findroot(cost, (mpf(start), mpf(start) * mpf("1.01")), tol=mpf(10) ** -60, maxsteps=200)
        exact.assert_close(rate, [1 / (1 - mp.exp(-c)) - 1 / c], absolute=2e-15)


def test_the_best_win_rate_at_its_ends():
    assert best_win_rate(np.array([0.0, math.inf])).tolist() == pytest.approx([0.5, 1.0], abs=1e-15)
    assert float(best_win_rate(1e-10)) - 0.5 == pytest.approx(math.sqrt(1e-10 / 6), rel=1e-5)


# Bad input

past_the_shapes = pytest.mark.usefixtures("shapes_unchecked")
LAWS = {
    "best_of_n": best_of_n,
    "soft_best_of_n": lambda ref, reward, n: soft_best_of_n(ref, reward, n, 1.0),
    "sample_best_of_n": lambda ref, reward, n: sample_best_of_n(ref, reward, n, 5),
}
COUNTS = {"kl_upper_bound": kl_upper_bound, "win_rate_upper_bound": win_rate_upper_bound}


def refuses(call, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        call()


@past_the_shapes
@pytest.mark.parametrize("name", LAWS)
def test_bad_laws_and_rewards(name):
    call = LAWS[name]
    sums = "`ref_log_p` must hold log-probabilities that sum to one on its last axis, got the sum 2.0."
    refuses(lambda: call(np.array([0.0, 0.0]), REWARD, 2), sums)
    empty = "`ref_log_p` must have an answer on its last axis, got shape (0,)."
    refuses(lambda: call(np.zeros(0), np.zeros(0), 2), empty)
    refuses(lambda: call(COIN, np.array([math.nan, 0.0]), 2), "`reward` must be finite or -inf, got nan.")
    lengths = "`ref_log_p`, `reward` must have the same answers on the last axis, got shapes (2,) and (3,)."
    refuses(lambda: call(COIN, np.zeros(3), 2), lengths)


@pytest.mark.parametrize("name", LAWS)
def test_too_few_draws(name):
    refuses(lambda: LAWS[name](COIN, REWARD, 0), "`n` must be at least 1, got 0.0.")


@pytest.mark.parametrize("name", COUNTS)
def test_one_of_n_and_its_logarithm(name):
    refuses(lambda: COUNTS[name](), "Give one of `n` and `log_n`, got neither.")
    refuses(lambda: COUNTS[name](2, log_n=1.0), "Give one of `n` and `log_n`, got both.")
    refuses(lambda: COUNTS[name](np.array([2.0, 0.5])), "`n` must be at least 1, got 0.5.")
    refuses(lambda: COUNTS[name](math.inf), "`n` must be finite, got inf.")
    refuses(lambda: COUNTS[name](log_n=-0.1), "`log_n` must be at least 0, got -0.1.")
    refuses(lambda: COUNTS[name](log_n=math.inf), "`log_n` must be finite, got inf.")


def test_other_bad_arguments():
    refuses(lambda: soft_best_of_n(COIN, REWARD, 2, 0.0), "`beta` must be positive, got 0.0.")
    refuses(lambda: soft_best_of_n(COIN, np.array([0.0, -math.inf]), 2, 1.0), "`reward` must be finite, got -inf.")
    refuses(lambda: sample_best_of_n(COIN, REWARD, 2, 0), "`num_samples` must be at least 1, got 0.0.")
    refuses(lambda: kl_estimate(0.5, 2), "`selected_log_p` must be at most 0, got 0.5.")
    refuses(lambda: best_win_rate(-0.1), "`kl` must be at least 0, got -0.1.")
