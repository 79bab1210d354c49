"""The statements of Chapter 1, each on random instances, at its edges, and once without an assumption.

How large standard errors are and how many comparisons a study needs stands in `test_how_many_comparisons.py`.
The second opinion never runs the book's own code: mpmath, scipy's optimizer, Zermelo's iteration, and a search through
all groups.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
from comparisons import plain_log_likelihood, random_wins, sigmoid
from scipy.optimize import minimize

from alignbook.preferences import (
    bradley_terry,
    fit_bradley_terry,
    has_finite_fit,
    sample_preferences,
    win_counts,
)

mpmath.mp.dps = 50
INSTANCES = 60


def one_sided_group(wins):
    """A group of answers that has beaten nobody outside, found by trying all groups; None where there is none."""
    answers = range(len(wins))
    for size in range(1, len(wins)):
        for group in itertools.combinations(answers, size):
            rest = [j for j in answers if j not in group]
            if not wins[np.ix_(group, rest)].any():
                return list(group), rest
    return None


# Only differences are identified


def check_same_chances(reward, other):
    """Whether all chances agree, at 50 digits."""
    pairs = itertools.permutations(range(len(reward)), 2)
    for i, j in pairs:
        gaps = [mpmath.mpf(float(r[i])) - mpmath.mpf(float(r[j])) for r in (reward, other)]
        first, second = (1 / (1 + mpmath.exp(-gap)) for gap in gaps)
        assert abs(first - second) < mpmath.mpf(10) ** -12


def test_only_differences_are_identified():
    rng = np.random.default_rng(0)
    for _ in range(INSTANCES):
        reward = 2 * rng.standard_normal(4)
        shifted = reward + 5 * rng.standard_normal()
        check_same_chances(reward, shifted)
        chance = np.exp(bradley_terry(reward[:, None], reward[None, :]))
        np.testing.assert_allclose(chance, sigmoid(reward[:, None] - reward[None, :]), rtol=1e-14)
        np.testing.assert_allclose(np.log(chance / chance.T)[:, 0], reward - reward[0], rtol=0, atol=1e-12)
        far = np.exp(bradley_terry(100 + shifted[:, None], 100 + shifted[None, :]))
        np.testing.assert_allclose(far, chance, rtol=0, atol=1e-13)


def test_a_reward_of_another_scale_or_with_one_answer_raised_gives_other_chances():
    reward = np.array([1.0, 0.0, 0.6])
    for other in (1.01 * reward, reward + np.array([0.01, 0.0, 0.0])):
        with pytest.raises(AssertionError):
            check_same_chances(reward, other)


# One maximum, or none to speak of


def check_concave(wins, rng):
    for _ in range(20):
        here, there = 3 * rng.standard_normal((2, len(wins)))
        middle = plain_log_likelihood((here + there) / 2, wins)
        assert middle >= (plain_log_likelihood(here, wins) + plain_log_likelihood(there, wins)) / 2 - 1e-9


def test_one_maximum_the_log_likelihood_is_concave():
    rng = np.random.default_rng(1)
    for _ in range(INSTANCES):
        check_concave(random_wins(rng, sparse=0.3), rng)


def test_one_maximum_needs_counts_of_at_least_zero():
    rng = np.random.default_rng(2)
    with pytest.raises(AssertionError):
        check_concave(-1 - random_wins(rng), rng)


def expected_wins(wins, reward):
    return np.sum((wins + wins.T) * sigmoid(reward[:, None] - reward[None, :]), axis=1)


def test_one_maximum_every_answer_wins_as_often_as_the_fit_expects():
    rng = np.random.default_rng(3)
    for _ in range(INSTANCES):
        wins = random_wins(rng) + 1 - np.eye(4)
        reward = fit_bradley_terry(wins).reward
        np.testing.assert_allclose(wins.sum(axis=1), expected_wins(wins, reward), rtol=1e-12)
        best = minimize(lambda r, wins=wins: -plain_log_likelihood(r, wins), np.zeros(4), tol=1e-12).x
        np.testing.assert_allclose(reward, best - best.mean(), rtol=0, atol=1e-4)  # scipy's gradient is numerical


def test_one_maximum_with_a_prior_the_best_answer_wins_less_often_than_it_did():
    rng = np.random.default_rng(3)
    for _ in range(INSTANCES):
        wins = random_wins(rng, most=60) + 1 - np.eye(4)
        reward = fit_bradley_terry(wins, prior_variance=0.1).reward
        missing = wins.sum(axis=1) - expected_wins(wins, reward)
        np.testing.assert_allclose(missing, reward / 0.1, rtol=0, atol=1e-9)
        assert missing[np.argmax(reward)] > 0.01


def test_one_maximum_is_where_zermelo_s_iteration_ends():
    rng = np.random.default_rng(2)
    wins = np.stack([random_wins(rng, most=55) + 5 * (1 - np.eye(4)) for _ in range(INSTANCES)])
    met, strength = wins + np.swapaxes(wins, -1, -2), np.ones((INSTANCES, 4))
    for _ in range(2000):
        strength = np.sum(wins, -1) / np.sum(met / (strength[:, :, None] + strength[:, None, :]), -1)
    expected = np.log(strength) - np.log(strength).mean(-1, keepdims=True)
    np.testing.assert_allclose(fit_bradley_terry(wins).reward, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("answers", [4, 5])
def test_one_maximum_exists_if_and_only_if_chains_of_wins_lead_everywhere(answers):
    rng = np.random.default_rng(4)
    kinds = []
    for _ in range(3 * INSTANCES):
        wins = random_wins(rng, answers=answers, most=3, sparse=0.45)
        found = one_sided_group(wins)
        kinds.append(found is None)
        assert bool(has_finite_fit(wins)) == (found is None)
        if found is None:
            check_unique_maximum(wins, rng)
        else:
            check_never_falls(wins, *found, 2 * rng.standard_normal(answers))
            with pytest.raises(ValueError, match="chain of wins"):
                fit_bradley_terry(wins)
    assert 20 < sum(kinds) < 160


def check_never_falls(wins, group, rest, reward):
    """Whoever never lost to the group can be raised for ever: there is no maximizer, or none that is unique."""
    up = np.isin(np.arange(len(wins)), rest)
    rises = np.diff([plain_log_likelihood(reward + step * up, wins) for step in (0, 1, 5, 20)])
    assert (rises >= -1e-12).all()
    assert (rises[0] > 1e-9) == wins[np.ix_(rest, group)].any()


def check_unique_maximum(wins, rng):
    fit = fit_bradley_terry(wins)
    assert plain_log_likelihood(fit.reward, wins) == pytest.approx(float(fit.log_likelihood), abs=1e-9)
    for size in (1e-2, 1.0, 10.0):
        step = rng.standard_normal(len(wins))
        step -= step.mean()
        assert plain_log_likelihood(fit.reward + size * step, wins) < fit.log_likelihood


def test_one_maximum_at_the_edges_one_answer_and_two():
    np.testing.assert_array_equal(fit_bradley_terry(np.zeros((1, 1))).reward, [0.0])
    fit = fit_bradley_terry(np.array([[0, 30], [10, 0]]))
    assert float(fit.reward[0] - fit.reward[1]) == pytest.approx(math.log(3), abs=1e-12)


# Rewards have no rings


def check_no_rings(chance):
    """Whether a reward with these chances exists, found from the first column, and triangles sum to 0."""
    odds = np.log(chance / (1 - chance))
    sums = [odds[i, j] + odds[j, k] + odds[k, i] for i, j, k in itertools.permutations(range(len(chance)), 3)]
    exists = np.allclose(sigmoid(odds[:, :1] - odds[:, :1].T), chance, rtol=0, atol=1e-9)
    assert exists == np.allclose(sums, 0, rtol=0, atol=1e-7)
    return exists


def random_chances(rng, answers=4):
    upper = np.triu(3 * rng.standard_normal((answers, answers)), 1)
    return sigmoid(upper - upper.T)


def test_rewards_have_no_rings():
    rng = np.random.default_rng(9)
    for _ in range(INSTANCES):
        reward = 2 * rng.standard_normal(4)
        assert check_no_rings(sigmoid(reward[:, None] - reward[None, :]))
        assert not check_no_rings(random_chances(rng))
    assert check_no_rings(random_chances(rng, answers=2))  # two answers have no triangle


def test_triangles_say_nothing_where_chances_do_not_complement_each_other():
    rng = np.random.default_rng(10)
    reward = rng.standard_normal(3)
    bias = np.array([[0, 1, -2], [1, 0, 1], [-2, 1, 0]])  # for what is shown first, in each pair another
    first_shown_wins = sigmoid(reward[:, None] - reward[None, :] + bias)
    with pytest.raises(AssertionError):
        check_no_rings(first_shown_wins)


# Balanced records fit as even


def balanced(rng, answers=5):
    """A sum of weighted rounds, the first through all answers: each wins as often as it loses."""
    wins = np.zeros((answers, answers))
    for length in (answers, *rng.integers(3, answers + 1, 5)):
        order = rng.permutation(answers)[:length]
        wins[order, np.roll(order, -1)] += rng.random() + 0.1
    return wins


def test_balanced_records_fit_as_even():
    rng = np.random.default_rng(11)
    for _ in range(INSTANCES):
        wins = balanced(rng)
        np.testing.assert_allclose(fit_bradley_terry(wins).reward, 0, rtol=0, atol=1e-13)
        assert plain_log_likelihood(np.zeros(5), wins) > plain_log_likelihood(0.1 * rng.standard_normal(5), wins)
        wins[0, 1] += 0.5
        assert np.max(np.abs(fit_bradley_terry(wins).reward)) > 1e-3


def ring(strength, answers=3):
    """Each answer beats the next with the given chance, the last one the first."""
    even = np.eye(answers)
    return strength * np.roll(even, 1, axis=1) + (1 - strength) * np.roll(even, -1, axis=1)


@pytest.mark.parametrize("strength", [0.5, 0.6, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("answers", [3, 4, 7])
def test_a_ring_of_any_strength_and_length_is_called_even(strength, answers):
    fit = fit_bradley_terry(ring(strength, answers))
    np.testing.assert_allclose(fit.reward, 0, rtol=0, atol=1e-14)
    surprise = -float(fit.log_likelihood) / answers  # in nats a match
    assert surprise == pytest.approx(math.log(2), rel=1e-14)
    known = -strength * math.log(strength) - (1 - strength) * math.log(1 - strength)
    assert (surprise - known > 0.1) == (strength >= 0.75)  # who knows the ring is surprised less


def test_a_ring_that_is_not_compared_evenly_is_given_an_order():
    wins = ring(0.9)
    wins[[0, 1], [1, 0]] *= 5  # the first match is played five times as often
    reward = fit_bradley_terry(wins).reward
    assert reward[0] - reward[1] > 1
    assert reward[0] - reward[2] > 0.3  # although the third beats the first nine times in ten


def test_balanced_records_of_two_groups_that_never_met_say_nothing_of_the_groups():
    rng = np.random.default_rng(12)
    apart = np.zeros((6, 6))
    apart[:3, :3], apart[3:, 3:] = balanced(rng, 3), balanced(rng, 3)
    even, raised = np.zeros(6), np.array([0, 0, 0, 1.0, 1.0, 1.0])
    assert plain_log_likelihood(raised, apart) == pytest.approx(plain_log_likelihood(even, apart), rel=1e-12)
    with pytest.raises(ValueError, match="never met"):
        fit_bradley_terry(apart)


# A crowd's ring is faint


def check_faint(share):
    for i, j, k in itertools.permutations(range(len(share)), 3):
        assert 1 - 1e-12 <= share[i, j] + share[j, k] + share[k, i] <= 2 + 1e-12


def test_a_crowd_s_ring_is_faint():
    rng = np.random.default_rng(13)
    rankings = list(itertools.permutations(range(4)))
    for size in np.geomspace(0.02, 10, INSTANCES):  # from crowds of nearly one mind to crowds of all kinds
        weights = rng.dirichlet(size * np.ones(len(rankings)))
        share = np.zeros((4, 4))
        for weight, order in zip(weights, rankings, strict=True):
            for place, better in enumerate(order):
                share[better, list(order[place + 1 :])] += weight
        check_faint(share)


def test_condorcet_s_three_people_reach_the_bound_and_a_ring_of_90_to_10_breaks_it():
    condorcet = np.array([[0, 2, 1], [1, 0, 2], [2, 1, 0]]) / 3
    check_faint(condorcet)
    assert condorcet[0, 1] + condorcet[1, 2] + condorcet[2, 0] == pytest.approx(2, abs=1e-15)
    with pytest.raises(AssertionError):
        check_faint(np.array([[0, 0.9, 0.1], [0.1, 0, 0.9], [0.9, 0.1, 0]]))  # people who contradict themselves


# Label noise shrinks rewards


def check_noise_shrinks(chance, noise):
    p, e = mpmath.mpf(chance), mpmath.mpf(noise)
    q = p + e * (1 - 2 * p)
    seen, true = mpmath.log(q / (1 - q)), mpmath.log(p / (1 - p))
    assert seen < true
    assert seen < mpmath.log((1 - e) / e)
    return seen, true


def test_label_noise_shrinks_rewards():
    rng = np.random.default_rng(14)
    for chance, noise in zip(0.5 + 0.4999 * rng.random(INSTANCES), 0.001 + 0.498 * rng.random(INSTANCES), strict=True):
        seen, _ = check_noise_shrinks(chance, noise)
        q = chance + noise * (1 - 2 * chance)
        fit = fit_bradley_terry(np.array([[0, q], [1 - q, 0]]))
        assert float(fit.reward[0] - fit.reward[1]) == pytest.approx(float(seen), abs=1e-12)
    for noise in (0.1, 0.2, 0.4):
        seen, true = check_noise_shrinks("0.500001", noise)
        assert abs(seen / true - (1 - 2 * mpmath.mpf(noise))) < 1e-9


def test_sampled_labels_with_noise_lead_to_the_shrunken_reward():
    reward, first = np.array([math.log(9), 0.0]), np.zeros(200_000, dtype=np.int64)
    data = sample_preferences(reward, (first, first + 1), label_noise=0.1, seed=15)
    fit = fit_bradley_terry(win_counts(data, 2))
    lead, error = float(fit.reward[0] - fit.reward[1]), float(fit.standard_error[0, 1])
    assert abs(lead - math.log(0.82 / 0.18)) < 4 * error


def test_more_than_half_of_the_labels_turned_over_turns_the_reward_over():
    seen, true = (
        (lambda q: mpmath.log(q / (1 - q)))(mpmath.mpf("0.9") + mpmath.mpf("0.6") * (1 - 2 * mpmath.mpf("0.9"))),
        1,
    )
    assert seen < 0 < true
    with pytest.raises(AssertionError):
        check_noise_shrinks("0.9", "0")  # without noise nothing shrinks


def test_of_more_than_two_answers_noisy_labels_leave_no_reward_that_fits():
    reward, off = np.array([4.0, 1.0, 0.0]), ~np.eye(3, dtype=bool)
    clean = sigmoid(reward[:, None] - reward[None, :])
    for noise, fits in ((0.0, True), (0.1, False)):
        chance = (1 - noise) * clean + noise * (1 - clean)
        fitted = fit_bradley_terry(chance * off).reward
        far = np.abs(sigmoid(fitted[:, None] - fitted[None, :]) - chance)[off]
        assert bool(np.all(far < 1e-12)) == fits


# The ceiling of accuracy


def test_accuracy_stays_under_the_bound_from_two_people_s_agreement():
    rng = np.random.default_rng(16)
    for _ in range(INSTANCES):
        chance, weight = rng.random(6), rng.dirichlet(np.ones(6))
        agreement = float(weight @ (chance**2 + (1 - chance) ** 2))
        assert float(weight @ np.maximum(chance, 1 - chance)) <= (1 + math.sqrt(2 * agreement - 1)) / 2 + 1e-12


# Moods that make Bradley-Terry


def check_moods(density, cumulative, gap):
    chance = mpmath.quad(lambda g: density(g) * (1 - cumulative(g - gap)), [-30, -5, 0, 5, 10, 60])
    assert abs(chance - 1 / (1 + mpmath.exp(-gap))) < mpmath.mpf(10) ** -10


def test_moods_of_the_gumbel_law_make_bradley_terry():
    with mpmath.workdps(20):
        for gap in np.linspace(-6, 6, 50):
            check_moods(
                lambda g: mpmath.exp(-g - mpmath.exp(-g)), lambda g: mpmath.exp(-mpmath.exp(-g)), mpmath.mpf(float(gap))
            )


def test_normal_moods_do_not_make_bradley_terry():
    deviation = mpmath.pi / mpmath.sqrt(6)
    with mpmath.workdps(20), pytest.raises(AssertionError):
        check_moods(lambda g: mpmath.npdf(g, 0, deviation), lambda g: mpmath.ncdf(g, 0, deviation), mpmath.mpf(1))
