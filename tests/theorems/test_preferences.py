"""What comparisons tell of rewards: the fit, its existence, rings, intervals, label noise.

Each on random instances, at its edges, and once without an assumption; Chapter 1 has a file of its own name besides.

The second opinion: the likelihood written out, an older algorithm for its maximum, exact sums over all outcomes of a
series of comparisons, and moves along which the likelihood never stops rising.
"""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from alignbook.preferences import bradley_terry, fit_bradley_terry, has_finite_fit

INSTANCES = 60
Z = float(norm.ppf(0.975))


def random_wins(seed, answers=4, low=1, high=60):
    """Tables of counts, every answer met by every other."""
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (INSTANCES, answers, answers)) * (1 - np.eye(answers, dtype=int))


def sigma(x):
    return 1 / (1 + np.exp(-x))


def gaps(reward):
    return reward[..., :, None] - reward[..., None, :]


def plain_log_likelihood(wins, reward):
    return np.sum(wins * -np.logaddexp(0, -gaps(reward)), axis=(-2, -1))


# What comparisons can tell


def test_only_differences_of_rewards_are_identified():
    rng = np.random.default_rng(0)
    reward, wins = rng.standard_normal((INSTANCES, 4)), random_wins(0)
    likelihood = plain_log_likelihood(wins, reward)
    for shift in (-3.0, 100.0):
        np.testing.assert_allclose(plain_log_likelihood(wins, reward + shift), likelihood, rtol=1e-13)
        np.testing.assert_allclose(
            bradley_terry(reward[:, 0] + shift, reward[:, 1] + shift),
            bradley_terry(reward[:, 0], reward[:, 1]),
            rtol=0,
            atol=1e-13,
        )


def test_a_shift_of_one_reward_alone_is_seen():
    rng = np.random.default_rng(0)
    reward, wins = rng.standard_normal((INSTANCES, 4)), random_wins(0)
    moved = plain_log_likelihood(wins, reward + np.array([1.0, 0, 0, 0])) - plain_log_likelihood(wins, reward)
    assert np.all(np.abs(moved) > 1e-3)


# The fit


def test_at_the_fit_every_answer_wins_as_often_as_it_did():
    wins = random_wins(1)
    reward = fit_bradley_terry(wins).reward
    expected = np.sum((wins + np.swapaxes(wins, -1, -2)) * sigma(gaps(reward)), axis=-1)
    np.testing.assert_allclose(expected, np.sum(wins, axis=-1), rtol=1e-12)


def test_with_a_prior_the_best_answers_win_less_often_than_they_did():
    wins = random_wins(1)
    reward = fit_bradley_terry(wins, prior_variance=0.1).reward
    expected = np.sum((wins + np.swapaxes(wins, -1, -2)) * sigma(gaps(reward)), axis=-1)
    best = np.argmax(reward, axis=-1)[:, None]
    missing = np.take_along_axis(np.sum(wins, axis=-1) - expected, best, axis=-1)
    np.testing.assert_allclose(missing, np.take_along_axis(reward, best, axis=-1) / 0.1, rtol=1e-9)
    assert np.all(missing > 0.01)


def test_the_likelihood_has_one_maximum_and_zermelos_iteration_finds_it_too():
    wins = random_wins(2, low=5)
    strength = np.ones((INSTANCES, 4))
    compared = wins + np.swapaxes(wins, -1, -2)
    for _ in range(2000):
        strength = np.sum(wins, -1) / np.sum(compared / (strength[:, :, None] + strength[:, None, :]), -1)
    expected = np.log(strength)
    fit = fit_bradley_terry(wins)
    np.testing.assert_allclose(fit.reward, expected - expected.mean(-1, keepdims=True), rtol=0, atol=1e-11)
    rng = np.random.default_rng(3)
    for distance in (1e-2, 1.0, 10.0):
        other = fit.reward + distance * rng.standard_normal(fit.reward.shape)
        assert np.all(plain_log_likelihood(wins, other) < fit.log_likelihood)


def sparse_wins(seed):
    """Tables in which most answers never met, about half of them joined by chains of wins."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 9, (INSTANCES, 5, 5)) * (rng.random((INSTANCES, 5, 5)) < 0.45) * (1 - np.eye(5))


def unbeaten_group(wins):
    """Some answers, not all, that never lost to the rest, by trying every group; none is None."""
    for members in range(1, 2**5 - 1):
        group = np.array([bool(members >> k & 1) for k in range(5)])
        if not np.any(wins[~group][:, group]):
            return group
    return None


def test_a_finite_fit_exists_exactly_where_no_group_of_answers_is_unbeaten():
    tables = sparse_wins(4)
    groups = [unbeaten_group(wins) for wins in tables]
    assert has_finite_fit(tables).tolist() == [group is None for group in groups]
    assert 15 < sum(group is None for group in groups) < 45


def test_an_unbeaten_group_can_be_raised_for_ever():
    rng = np.random.default_rng(5)
    for wins in sparse_wins(4):
        group, start = unbeaten_group(wins), rng.standard_normal(5)
        if group is None:
            continue
        path = start + np.linspace(0, 30, 100)[:, None] * group
        climb = np.diff(plain_log_likelihood(wins, path))
        assert np.all(climb >= -1e-12)
        if np.any(wins[group][:, ~group]):
            assert climb[0] > 0


# When no reward fits


def ring(strength, answers, compared=1.0):
    """Each answer beats the next with the given probability; the last one beats the first."""
    wins = np.zeros((answers, answers))
    for k in range(answers):
        wins[k, (k + 1) % answers], wins[(k + 1) % answers, k] = strength * compared, (1 - strength) * compared
    return wins


@pytest.mark.parametrize("strength", [0.5, 0.6, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("answers", [3, 4, 7])
def test_of_a_ring_of_preferences_the_best_fit_calls_every_match_even(strength, answers):
    fit = fit_bradley_terry(ring(strength, answers))
    np.testing.assert_allclose(fit.reward, 0, rtol=0, atol=1e-14)
    surprise = -float(fit.log_likelihood) / answers  # in nats a match
    assert surprise == pytest.approx(math.log(2), rel=1e-14)
    known = -strength * math.log(strength) - (1 - strength) * math.log(1 - strength)
    assert (surprise - known > 0.1) == (strength >= 0.75)  # who knows the ring is surprised less


def test_whoever_wins_as_often_as_he_loses_is_called_even():
    """Sums of random cycles: every answer has as many wins as losses."""
    rng = np.random.default_rng(6)
    for _ in range(INSTANCES):
        wins = ring(0.5, 6)
        for _ in range(10):
            cycle = rng.permutation(6)[: rng.integers(3, 7)]
            wins[cycle, np.roll(cycle, -1)] += rng.integers(1, 20)
        np.testing.assert_allclose(fit_bradley_terry(wins).reward, 0, rtol=0, atol=1e-14)


def test_a_ring_that_is_not_compared_evenly_is_given_an_order():
    wins = ring(0.9, 3)
    wins[[0, 1], [1, 0]] *= 5  # the first match is played five times as often
    reward = fit_bradley_terry(wins).reward
    assert reward[0] - reward[1] > 1
    assert reward[0] - reward[2] > 0.3  # although the third beats the first nine times in ten


# How many comparisons


def test_the_standard_error_is_that_of_the_fisher_information():
    """Two answers at chance p, n expected comparisons: 1/sqrt(n p (1 - p))."""
    rng = np.random.default_rng(7)
    p, n = rng.uniform(0.05, 0.95, INSTANCES), rng.integers(10, 10_000, INSTANCES)
    wins = np.zeros((INSTANCES, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = n * p, n * (1 - p)
    error = fit_bradley_terry(wins).standard_error[:, 0, 1]
    np.testing.assert_allclose(error, 1 / np.sqrt(n * p * (1 - p)), rtol=1e-10)


def comparisons_to_tell(p):
    """n at which the 95 % interval around the expected counts of an answer chosen with chance p just excludes even."""
    return Z**2 / (p * (1 - p) * np.log(p / (1 - p)) ** 2)


def test_telling_a_55_percent_answer_from_an_even_one_takes_386_comparisons():
    assert math.ceil(comparisons_to_tell(0.55)) == 386
    for n, excluded in ((385, False), (386, True)):
        fit = fit_bradley_terry(np.array([[0, 0.55 * n], [0.45 * n, 0]]))
        assert (float(fit.reward[0] - fit.reward[1]) > Z * float(fit.standard_error[0, 1])) == excluded


def test_half_the_edge_takes_four_times_the_comparisons():
    edges = np.array([0.01, 0.02, 0.04])
    counts = comparisons_to_tell(0.5 + edges)
    np.testing.assert_allclose(counts * 4 * edges**2, Z**2, rtol=0.01)
    assert comparisons_to_tell(0.95) * 4 * 0.45**2 > 1.5 * Z**2  # the law is one of small edges


def share_of_data_sets(n, p, holds):
    """The exact probability of a property of the fit over all outcomes of n comparisons."""
    won = np.arange(1, n)  # with 0 or n wins there is no finite fit
    wins = np.zeros((n - 1, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = won, n - won
    fit = fit_bradley_terry(wins)
    gap, error = fit.reward[:, 0] - fit.reward[:, 1], fit.standard_error[:, 0, 1]
    return float(np.sum(binom.pmf(won, n, p) * holds(gap, error)))


def test_at_that_number_half_of_all_data_sets_tell_and_at_788_four_in_five():
    def tells(gap, error):
        return gap > Z * error

    assert share_of_data_sets(386, 0.55, tells) == pytest.approx(0.5, abs=0.03)
    assert math.ceil(comparisons_to_tell(0.55) * (1 + norm.ppf(0.8) / Z) ** 2) == 788
    assert share_of_data_sets(788, 0.55, tells) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("n", "p"), [(100, 0.5), (200, 0.55), (400, 0.8), (1000, 0.9)])
def test_the_interval_holds_the_truth_in_95_percent_of_data_sets(n, p):
    truth = math.log(p / (1 - p))
    covered = share_of_data_sets(n, p, lambda gap, error: np.abs(gap - truth) < Z * error)
    assert covered == pytest.approx(0.95, abs=0.01)


def test_of_few_or_one_sided_comparisons_there_is_often_no_interval_at_all():
    finite = share_of_data_sets(10, 0.95, lambda gap, error: np.ones_like(gap))
    assert finite == pytest.approx(1 - 0.95**10 - 0.05**10, rel=1e-12)
    assert finite < 0.41


# Label noise


def test_flipped_labels_look_like_smaller_differences_of_reward():
    rng = np.random.default_rng(8)
    gap, noise = 2 * rng.standard_normal(INSTANCES), rng.uniform(0.01, 0.45, INSTANCES)
    chance = (1 - noise) * sigma(gap) + noise * sigma(-gap)
    wins = np.zeros((INSTANCES, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = chance, 1 - chance
    reward = fit_bradley_terry(wins).reward
    seen = reward[:, 0] - reward[:, 1]
    np.testing.assert_allclose(seen, np.log(chance / (1 - chance)), rtol=0, atol=1e-12)
    assert np.all(np.abs(seen) < np.abs(gap))
    assert np.all(np.abs(seen) < np.log((1 - noise) / noise))  # however far apart the answers are


def test_of_more_than_two_answers_noisy_labels_leave_no_reward_that_fits():
    reward = np.array([4.0, 1.0, 0.0])
    clean = sigma(gaps(reward))
    off = ~np.eye(3, dtype=bool)
    for noise, fits in ((0.0, True), (0.1, False)):
        chance = (1 - noise) * clean + noise * (1 - clean)
        fitted = sigma(gaps(fit_bradley_terry(chance * off).reward))
        assert bool(np.all(np.abs(fitted - chance)[off] < 1e-12)) == fits
