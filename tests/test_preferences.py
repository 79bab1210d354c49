"""Vouches for comparisons and their fit: who is compared, who wins, what rewards that says, and how surely.

The second opinion: scipy's optimizers and its search for strong components, the likelihood's own equations (every
answer wins as often as the fit expects), torch's Hessian, counting, and simulations whose error is stated.
"""

import math
import re

import exact
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components

from alignbook.arrays import to_engine
from alignbook.preferences import (
    Preferences,
    bradley_terry,
    fit_bradley_terry,
    has_finite_fit,
    sample_pairs,
    sample_preferences,
    win_counts,
)

COIN = np.log([0.5, 0.5])
RING = np.array([[0, 9, 1], [1, 0, 9], [9, 1, 0]])  # each beats the next nine times in ten


def random_wins(seed, count=50, answers=5):
    """Counts from a random reward, every pair compared 1 to 100 times, each side once at least."""
    rng = np.random.default_rng(seed)
    reward = 1.5 * rng.standard_normal((count, answers))
    chance = 1 / (1 + np.exp(reward[:, None, :] - reward[:, :, None]))
    compared = rng.integers(2, 101, (count, answers, answers))
    wins = np.triu(1 + np.floor((compared - 1) * chance), 1)
    return wins + np.swapaxes(np.triu(compared - wins, 1), -1, -2)


def plain_log_posterior(reward, wins, prior_variance=math.inf):
    """The log-likelihood written out for torch, and a normal prior."""
    gap = reward[:, None] - reward[None, :]
    return torch.sum(wins * torch.nn.functional.logsigmoid(gap)) - torch.sum(reward**2) / (2 * prior_variance)


def assert_wins_are_as_often_as_expected(wins, reward, relative):
    """The likelihood's equations, in exact arithmetic on the fitted floats.

    Rounding at the pair that met most often, some 1e-15 of its count, reaches the answers that met seldom.
    """
    with mp.workdps(exact.DIGITS):
        r = [mpf(float(x)) for x in reward]
        for i, row in enumerate(wins):
            expected = mp.fsum((mpf(float(a)) + mpf(float(b))) / (1 + mp.exp(r[j] - r[i])) for j, (a, b) in
                               enumerate(zip(row, wins[:, i], strict=True)) if j != i)  # fmt: skip
            compared = float(np.sum(row) + np.sum(wins[:, i]))
            exact.assert_close(np.sum(row), [expected], absolute=relative * compared + 1e-15 * float(np.max(wins)))


# By hand


def test_values_by_hand():
    assert float(bradley_terry(math.log(3), 0.0)) == pytest.approx(math.log(0.75), rel=1e-15)
    assert float(bradley_terry(5.0, 5.0)) == pytest.approx(-math.log(2), rel=1e-16)
    fit = fit_bradley_terry(np.array([[0, 30], [10, 0]]))
    assert fit.reward.tolist() == pytest.approx([math.log(3) / 2, -math.log(3) / 2], rel=1e-15)
    error = math.sqrt(1 / 30 + 1 / 10)
    np.testing.assert_allclose(fit.standard_error, [[0, error], [error, 0]], rtol=1e-14)
    np.testing.assert_allclose(fit.covariance, error**2 / 4 * np.array([[1, -1], [-1, 1]]), rtol=1e-14)
    assert float(fit.log_likelihood) == pytest.approx(30 * math.log(0.75) + 10 * math.log(0.25), rel=1e-15)


def test_along_a_chain_of_answers_differences_and_squared_errors_add_up():
    wins = np.array([[0, 30, 0], [10, 0, 8], [0, 2, 0]])
    fit = fit_bradley_terry(wins)
    gaps = fit.reward[:-1] - fit.reward[1:]
    assert gaps.tolist() == pytest.approx([math.log(3), math.log(4)], rel=1e-14)
    squares = 1 / 30 + 1 / 10, 1 / 8 + 1 / 2
    assert fit.standard_error[[0, 1, 0], [1, 2, 2]].tolist() == pytest.approx(
        [math.sqrt(squares[0]), math.sqrt(squares[1]), math.sqrt(sum(squares))], rel=1e-14
    )


def test_a_ring_of_strong_preferences_calls_every_match_even():
    fit = fit_bradley_terry(RING)
    np.testing.assert_allclose(fit.reward, 0, rtol=0, atol=1e-15)
    assert float(fit.log_likelihood) == pytest.approx(-30 * math.log(2), rel=1e-15)


def test_bradley_terry_is_exact_where_the_outcome_is_sure():
    gap = np.array([-800.0, -40.0, 0.1, 40.0, 700.0])
    with mp.workdps(400):
        expected = [-mp.log1p(mp.exp(-mpf(float(x)))) for x in gap]
    exact.assert_close(bradley_terry(gap, 0.0), expected, relative=4e-15)
    np.testing.assert_allclose(np.exp(bradley_terry(gap, 0.0)) + np.exp(bradley_terry(0.0, gap)), 1, rtol=1e-15)


# The fit


def test_the_fit_is_what_scipy_finds():
    for wins in random_wins(0, count=20):
        fit = fit_bradley_terry(wins)

        def cost(free, wins=wins):
            reward = torch.tensor([0.0, *free], dtype=torch.float64, requires_grad=True)
            value = -plain_log_posterior(reward, torch.tensor(wins))
            (slope,) = torch.autograd.grad(value, reward)
            return float(value.detach()), slope.numpy()[1:]

        found = minimize(cost, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-7})
        # the slope left, 1e-7 and sometimes more where rounding ends the search, over a curvature of 1 and more
        np.testing.assert_allclose(fit.reward[1:] - fit.reward[0], found.x, rtol=0, atol=1e-6)
        assert -found.fun == pytest.approx(float(fit.log_likelihood), rel=1e-12)


COUNTS = st.one_of(st.sampled_from([0, 0, 1, 1, 2, 10**6]), st.integers(0, 30), st.floats(0.01, 10))


@st.composite
def win_tables(draw, max_answers=6):
    """Tables of wins with holes, from one answer on; many have no finite fit."""
    answers = draw(st.integers(1, max_answers))
    rows = st.lists(COUNTS, min_size=answers, max_size=answers)
    wins = np.array(draw(st.lists(rows, min_size=answers, max_size=answers)), dtype=float)
    return wins * (1 - np.eye(answers))


@example(np.array([[0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 2, 0, 0, 1e6, 0], [0, 0, 0, 0, 0, 1],
                   [0, 0, 1e6, 0, 0, 0], [1, 0, 0, 0, 0, 0]]))  # fmt: skip
@given(win_tables())
def test_a_finite_fit_is_one_with_a_single_strong_component(wins):
    parts, _ = connected_components(wins > 0, directed=True, connection="strong")
    assert bool(has_finite_fit(wins)) == (parts == 1)
    if parts == 1:
        assert_wins_are_as_often_as_expected(wins, fit_bradley_terry(wins).reward, 1e-13)
    else:
        with pytest.raises(ValueError, match="by a chain of wins, got answers"):
            fit_bradley_terry(wins)


@given(win_tables(), st.sampled_from([1e-3, 1.0, 1e4]))
def test_with_a_prior_every_table_has_a_fit(wins, prior_variance):
    fit = fit_bradley_terry(wins, prior_variance=prior_variance)
    reward = torch.tensor(fit.reward, requires_grad=True)
    (slope,) = torch.autograd.grad(plain_log_posterior(reward, torch.tensor(wins), prior_variance), reward)
    np.testing.assert_allclose(slope, 0, rtol=0, atol=1e-14 * (np.sum(wins) + 1 / prior_variance) + 1e-13)
    assert np.all(np.isfinite(fit.covariance))


@pytest.mark.parametrize("prior_variance", [None, 0.5])
def test_standard_errors_are_those_of_autograds_hessian(prior_variance):
    for wins in random_wins(1, count=20):
        fit = fit_bradley_terry(wins, prior_variance=prior_variance)
        hessian = torch.autograd.functional.hessian(
            lambda reward, wins=wins: plain_log_posterior(reward, torch.tensor(wins), prior_variance or math.inf),
            torch.tensor(fit.reward),
        )
        # without a prior the first reward is pinned: then the others' covariance is that of differences from it
        free = slice(0 if prior_variance else 1, None)
        inverse = np.zeros((5, 5))
        inverse[free, free] = np.linalg.inv(-hessian.numpy()[free, free])
        own = np.diag(inverse)
        expected = np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * inverse, 0))
        np.testing.assert_allclose(fit.standard_error, expected, rtol=1e-10, atol=1e-12)
        centering = np.eye(5) - 1 / 5
        np.testing.assert_allclose(fit.covariance, centering @ inverse @ centering, rtol=0, atol=1e-12)


def test_a_wide_prior_changes_nothing_and_a_narrow_one_everything():
    wins = random_wins(2)
    free = fit_bradley_terry(wins)
    np.testing.assert_allclose(fit_bradley_terry(wins, prior_variance=1e12).reward, free.reward, rtol=0, atol=1e-10)
    np.testing.assert_allclose(fit_bradley_terry(wins, prior_variance=1e-12).reward, 0, rtol=0, atol=1e-9)


def test_without_data_a_prior_is_all_there_is():
    fit = fit_bradley_terry(np.zeros((3, 3)), prior_variance=2.0)
    assert fit.reward.tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(fit.standard_error, 2 * (1 - np.eye(3)), rtol=1e-15)  # sqrt(2 + 2)
    assert float(fit.log_likelihood) == 0.0


def test_more_of_the_same_data_sharpens_errors_alone():
    wins = random_wins(3)
    once, often = fit_bradley_terry(wins), fit_bradley_terry(100 * wins)
    np.testing.assert_allclose(often.reward, once.reward, rtol=0, atol=1e-13)
    np.testing.assert_allclose(often.standard_error, once.standard_error / 10, rtol=1e-12)
    np.testing.assert_allclose(often.log_likelihood, 100 * once.log_likelihood, rtol=1e-14)


def test_names_of_answers_do_not_matter_and_losers_mirror_winners():
    wins, order = random_wins(4), [3, 1, 4, 0, 2]
    fit = fit_bradley_terry(wins)
    renamed = fit_bradley_terry(wins[:, order][:, :, order])
    np.testing.assert_allclose(renamed.reward, fit.reward[:, order], rtol=0, atol=1e-13)
    mirrored = fit_bradley_terry(np.swapaxes(wins, -1, -2))
    np.testing.assert_allclose(mirrored.reward, -fit.reward, rtol=0, atol=1e-13)


def test_very_one_sided_counts_are_fitted_to_the_last_digits():
    odds = 10.0 ** np.array([1, 5, 10, 15])
    wins = np.zeros((4, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = odds, 1
    fit = fit_bradley_terry(wins)
    np.testing.assert_allclose(fit.reward[:, 0] - fit.reward[:, 1], np.log(odds), rtol=1e-13)


def test_hundreds_of_data_sets_are_their_fits_one_by_one():
    wins = random_wins(5, count=300)
    whole = fit_bradley_terry(wins.reshape(3, 100, 5, 5))
    for i, single in enumerate(fit_bradley_terry(table) for table in wins):
        for batched, one in zip(whole, single, strict=True):
            np.testing.assert_allclose(batched.reshape(300, *one.shape)[i], one, rtol=1e-12, atol=1e-13)


def test_a_curve_over_prior_variances_is_a_batch():
    variances = np.array([0.1, 1.0, 10.0])
    curve = fit_bradley_terry(RING + np.triu(RING), prior_variance=variances)
    for k, variance in enumerate(variances):
        single = fit_bradley_terry(RING + np.triu(RING), prior_variance=float(variance))
        np.testing.assert_allclose(curve.reward[k], single.reward, rtol=0, atol=1e-14)
        np.testing.assert_allclose(curve.standard_error[k], single.standard_error, rtol=1e-13)


def test_the_interval_of_95_percent_holds_the_truth_in_95_percent_of_data_sets():
    """On 4,000 simulated data sets of 6 × 200 comparisons.

    The share has a standard error of .0034; the interval is one of large samples, hence 3 errors and .005.
    """
    reward, count = np.array([1.0, 0.3, -0.2, -0.8]), 4000
    first, second = np.triu_indices(4, 1)
    pairs = tuple(np.tile(np.repeat(side, 200), (count, 1)) for side in (first, second))
    fit = fit_bradley_terry(win_counts(sample_preferences(reward, pairs, seed=1), 4))
    for i, j in zip(first, second, strict=True):
        error = fit.reward[:, i] - fit.reward[:, j] - (reward[i] - reward[j])
        covered = np.mean(np.abs(error) < 1.959964 * fit.standard_error[:, i, j])
        assert abs(covered - 0.95) < 3 * 0.0034 + 0.005
        # and errors are as wide as they say; a variance from 4,000 draws is good to 2.2 percent, hence 8
        assert np.var(error) == pytest.approx(float(np.mean(fit.standard_error[:, i, j] ** 2)), rel=0.08)


# Comparisons


def within_four_errors(share, probability, draws):
    return np.all(np.abs(share - probability) <= 4 * np.sqrt(probability * (1 - probability) / draws))


def test_pairs_are_two_different_answers_as_likely_as_their_product():
    p, draws = np.array([0.6, 0.25, 0.1, 0.05, 0.0]), 100_000
    with np.errstate(divide="ignore"):
        first, second = sample_pairs(np.log(p), draws, seed=3)
    expected = np.outer(p, p) * (1 - np.eye(5))
    expected /= expected.sum()
    share = win_counts(Preferences(first, second), 5) / draws
    assert within_four_errors(share, expected, draws)


def test_a_law_nearly_on_one_answer_still_yields_pairs():
    first, second = sample_pairs(np.array([0.0, -800.0, -900.0]), 1000, seed=0)
    assert {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)} == {frozenset({0, 1})}
    assert 400 < np.sum(first == 0) < 600


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
def test_winners_are_as_frequent_as_bradley_terry_and_the_noise_say(noise):
    """Pairs and outcomes from one seed, which must not make them dependent."""
    log_p, reward, draws = np.log([0.4, 0.3, 0.2, 0.1]), np.array([1.0, 0.0, -0.5, 2.0]), 200_000
    pairs = sample_pairs(log_p, draws, seed=7)
    wins = win_counts(sample_preferences(reward, pairs, label_noise=noise, seed=7), 4)
    compared = wins + wins.T
    clean = 1 / (1 + np.exp(reward[None, :] - reward[:, None]))
    off = ~np.eye(4, dtype=bool)
    chance = ((1 - noise) * clean + noise * (1 - clean))[off]
    assert within_four_errors(wins[off] / compared[off], chance, compared[off])


def test_counts_are_counts():
    rng = np.random.default_rng(0)
    chosen, rejected = rng.integers(0, 6, (2, 3, 500))
    expected = np.zeros((3, 6, 6))
    for k in range(3):
        np.add.at(expected[k], (chosen[k], rejected[k]), 1)
    assert np.array_equal(win_counts(Preferences(chosen, rejected), 6), expected)


def test_the_seed_fixes_everything_and_rows_of_a_batch_are_independent():
    law, reward = np.broadcast_to(COIN, (64, 2)), np.array([0.5, 0.0])
    pairs = sample_pairs(law, 40, seed=2)
    assert [x.tolist() for x in pairs] == [x.tolist() for x in sample_pairs(law, 40, seed=2)]
    assert pairs[0].tolist() != sample_pairs(law, 40, seed=3)[0].tolist()
    data = sample_preferences(reward, pairs, seed=2)
    assert data.chosen.tolist() == sample_preferences(reward, pairs, seed=2).chosen.tolist()
    assert data.chosen.tolist() != sample_preferences(reward, pairs, seed=3).chosen.tolist()
    assert len({tuple(row) for row in data.chosen.tolist()}) == 64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_engine_sees_the_same_comparisons_and_fits_them_alike(engine, dtype):
    log_p, reward = np.log([0.5, 0.25, 0.125, 0.125]), np.array([[1.0, 0.0, -0.5, 2.0], [0.0, 0.25, 0.5, 0.75]])

    def run(where):
        pairs = sample_pairs(to_engine(log_p, where), 500, seed=4)
        data = sample_preferences(to_engine(reward, where, dtype), pairs, label_noise=0.125, seed=5)
        fit = fit_bradley_terry(win_counts(data, 4))
        return [np.array(part.tolist()) for part in (*pairs, *data, *fit)]

    for found, expected in zip(run(engine), run("numpy"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# Bad input

WINS = "`wins` must lead from every answer to every other by a chain of wins, got answers "
PRIOR = " the others; a `prior_variance` would keep the fit finite."
RUNAWAYS = [
    ([[0, 5], [0, 0]], "[0] that never lost to"),
    ([[0, 3, 1], [2, 0, 0], [0, 0, 0]], "[2] that never won against"),
    ([[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 2], [0, 0, 3, 0]], "[0, 1] that never lost to"),
    ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 2], [0, 0, 3, 0]], "[0, 1] that never met"),
    ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], "[0] that never met"),
    ([[[0, 1], [1, 0]], [[0, 0], [4, 0]]], "[1] that never lost to"),  # the second data set of two
]


@pytest.mark.parametrize(("wins", "fate"), RUNAWAYS)
def test_runaway_rewards_are_refused_by_the_answers_names(wins, fate, engine):
    with pytest.raises(ValueError, match="^" + re.escape(WINS + fate + PRIOR) + "$"):
        fit_bradley_terry(to_engine(np.array(wins), engine))


NAN, INF = math.nan, math.inf
GOOD = np.array([[0, 2], [1, 0]])
PAIRS = (np.array([0, 1]), np.array([1, 0]))
REFUSED = [
    (bradley_terry, (NAN, 0.0), {}, "`reward_chosen` must be finite, got nan."),
    (bradley_terry, (0.0, -INF), {}, "`reward_rejected` must be finite, got -inf."),
    (fit_bradley_terry, (np.zeros((2, 3)),), {}, "`wins` must be square in its last two axes, got shape (2, 3)."),
    (fit_bradley_terry, (np.zeros(3),), {}, "`wins` must be square in its last two axes, got shape (3,)."),
    (fit_bradley_terry, (np.zeros((0, 0)),), {}, "`wins` must be square in its last two axes, got shape (0, 0)."),
    (fit_bradley_terry, (np.array([[0, NAN], [1, 0]]),), {}, "`wins` must be finite, got nan."),
    (fit_bradley_terry, (np.array([[0, -2], [1, 0]]),), {}, "`wins` must be at least 0, got -2.0."),
    (
        fit_bradley_terry,
        (np.array([[0, 2], [1, 3]]),),
        {},
        "`wins` must be 0 on the diagonal, got 3.0 wins of an answer over itself.",
    ),
    (fit_bradley_terry, (GOOD,), {"prior_variance": 0.0}, "`prior_variance` must be positive, got 0.0."),
    (fit_bradley_terry, (GOOD,), {"prior_variance": INF}, "`prior_variance` must be finite, got inf."),
    (
        fit_bradley_terry,
        (np.array([[0, 1.0], [1e-200, 0]]),),
        {},
        "`wins` must allow a fit within 200 steps, got weights of too many orders of magnitude.",
    ),
    (
        sample_pairs,
        (np.zeros(2), 5),
        {},
        "`log_p` must hold log-probabilities that sum to one on its last axis, got the sum 2.0.",
    ),
    (sample_pairs, (COIN, 0), {}, "`num_pairs` must be positive, got 0.0."),
    (
        sample_pairs,
        (np.array([0.0, -INF]), 5),
        {},
        "`log_p` must give at least two answers a chance, got a law with one.",
    ),
    (sample_preferences, (np.array([0.0, NAN]), PAIRS), {}, "`reward` must be finite, got nan."),
    (sample_preferences, (np.zeros(1), PAIRS), {}, "`pairs` must hold indices of 1 answers, got 1."),
    (sample_preferences, (np.zeros(2), PAIRS), {"label_noise": 0.7}, "`label_noise` must be at most 0.5, got 0.7."),
    (sample_preferences, (np.zeros(2), PAIRS), {"label_noise": -0.1}, "`label_noise` must be at least 0, got -0.1."),
    (win_counts, (Preferences(*PAIRS), 1), {}, "`preferences` must hold indices of 1 answers, got 1."),
    (win_counts, (Preferences(-PAIRS[0], PAIRS[1]), 2), {}, "`preferences` must hold indices of 2 answers, got -1."),
]


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("call", "arguments", "options", "sentence"), REFUSED)
def test_bad_input_is_refused(call, arguments, options, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        call(*arguments, **options)
