"""The statements of Chapter 1, each on random instances, at its edges, and once without an assumption.

The second opinion never runs the book's own code: sums over all outcomes, mpmath, torch's Hessian, scipy's optimizer,
Zermelo's iteration, binomial sums, a differential equation solved numerically, and a search through all groups.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.stats import binom, norm

from alignbook.preferences import (
    bradley_terry,
    fit_bradley_terry,
    has_finite_fit,
    sample_preferences,
    win_counts,
)

mpmath.mp.dps = 50
INSTANCES = 60
Z = float(norm.ppf(0.975))


def sigmoid(margin):
    return 1 / (1 + np.exp(-np.asarray(margin)))


def plain_log_likelihood(reward, wins):
    """The log-likelihood by its definition."""
    gap = reward[:, None] - reward[None, :]
    return float(np.sum(wins * -np.logaddexp(0, -gap) * (1 - np.eye(len(reward)))))


def random_wins(rng, answers=4, most=6, sparse=0.0):
    wins = rng.integers(0, most, (answers, answers)) * (rng.random((answers, answers)) >= sparse)
    return (wins * (1 - np.eye(answers))).astype(float)


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


# Standard errors


def fisher(met, reward):
    """The Fisher information by its sum over pairs."""
    total = np.zeros((len(reward), len(reward)))
    for i, j in itertools.combinations(range(len(reward)), 2):
        e = np.zeros(len(reward))
        e[i], e[j] = 1.0, -1.0
        chance = float(sigmoid(reward[i] - reward[j]))
        total += met[i, j] * chance * (1 - chance) * np.outer(e, e)
    return total


def error_of(met, reward, i, j):
    inverse = np.linalg.pinv(fisher(met, reward))
    return math.sqrt(inverse[i, i] + inverse[j, j] - 2 * inverse[i, j])


def test_standard_errors_the_information_is_the_covariance_of_the_slopes_over_all_outcomes():
    rng = np.random.default_rng(5)
    for _ in range(INSTANCES):
        reward = rng.standard_normal(3)
        met = np.array([[0, 2, 1], [2, 0, 3], [1, 3, 0]])
        games = [pair for pair in itertools.combinations(range(3), 2) for _ in range(met[pair])]
        mean, covariance = np.zeros(3), np.zeros((3, 3))
        for outcome in itertools.product((0, 1), repeat=len(games)):
            probability, slope = 1.0, np.zeros(3)
            for won, (i, j) in zip(outcome, games, strict=True):
                chance = float(sigmoid(reward[i] - reward[j]))
                probability *= chance if won else 1 - chance
                slope[i] += won - chance
                slope[j] -= won - chance
            mean += probability * slope
            covariance += probability * np.outer(slope, slope)
        np.testing.assert_allclose(mean, 0, rtol=0, atol=1e-13)
        np.testing.assert_allclose(covariance, fisher(met, reward), rtol=0, atol=1e-12)


def test_standard_errors_the_information_is_minus_the_hessian_whatever_the_outcomes():
    rng = np.random.default_rng(6)
    for _ in range(INSTANCES):
        wins, reward = random_wins(rng), rng.standard_normal(4)
        counts, apart = torch.tensor(wins), torch.eye(4, dtype=torch.float64)

        def log_likelihood(r, counts=counts, apart=apart):
            return torch.sum(counts * torch.nn.functional.logsigmoid(r[:, None] - r[None, :]) * (1 - apart))

        hessian = torch.autograd.functional.hessian(log_likelihood, torch.tensor(reward)).numpy()
        np.testing.assert_allclose(-hessian, fisher(wins + wins.T, reward), rtol=0, atol=1e-11)


def test_standard_errors_are_those_that_the_fit_reports():
    rng = np.random.default_rng(7)
    for _ in range(INSTANCES):
        wins = random_wins(rng) + 1 - np.eye(4)
        fit = fit_bradley_terry(wins)
        for i, j in itertools.permutations(range(4), 2):
            exact = error_of(wins + wins.T, fit.reward, i, j)
            assert float(fit.standard_error[i, j]) == pytest.approx(exact, rel=1e-9)


def standardized(seed, design, studies, per_pair):
    """The errors of fitted leads over the theorem's standard errors, for a random reward and a random design."""
    rng = np.random.default_rng(seed)
    reward = rng.standard_normal(4)
    pairs = np.array(list(itertools.combinations(range(4), 2)))[design]
    met = np.zeros((4, 4))
    for i, j in pairs:
        met[i, j] = met[j, i] = per_pair
    wins = np.zeros((studies, 4, 4))
    for i, j in pairs:
        won = (rng.random((studies, per_pair)) < sigmoid(reward[i] - reward[j])).sum(axis=1)
        wins[:, i, j], wins[:, j, i] = won, per_pair - won
    fitted = fit_bradley_terry(wins).reward
    return (fitted[:, 0] - fitted[:, 3] - reward[0] + reward[3]) / error_of(met, reward, 0, 3)


DESIGNS = ([0, 1, 2, 3, 4, 5], [0, 3, 5], [2, 3, 5, 0], [0, 1, 2])  # all pairs, a row, a circle, a star


def test_standard_errors_hold_in_fifty_designs_of_many_comparisons():
    errors = np.concatenate([standardized(k, DESIGNS[k % 4], 100, 1500) for k in range(52)])
    assert abs(errors.mean()) < 4 / math.sqrt(len(errors)) + 0.02  # a fit's bias falls as one over the root
    assert abs(errors.var() - 1) < 4 * math.sqrt(2 / len(errors)) + 0.02
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        share = np.mean(errors < norm.ppf(level))
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / len(errors)) + 0.01


def test_standard_errors_become_exact_for_two_answers_as_comparisons_grow():
    """The distance of the standardized error's law from the normal one, summed over all outcomes."""
    gaps = []
    for comparisons in (100, 1600, 25600):
        won = np.arange(1, comparisons)
        lead = np.log(won / (comparisons - won))
        score = (lead - math.log(3)) * math.sqrt(comparisons * 0.75 * 0.25)
        mass = np.cumsum(binom.pmf(won, comparisons, 0.75))
        gaps.append(np.max(np.abs(mass - norm.cdf(score))))
    assert gaps[0] < 0.1
    assert gaps[1] < 0.3 * gaps[0]
    assert gaps[2] < 0.3 * gaps[1]


def test_standard_errors_are_too_small_where_people_vote_many_times():
    rng = np.random.default_rng(8)
    chance = sigmoid(rng.standard_normal((500, 20)))
    won = (rng.random((500, 20, 50)) < chance[..., None]).sum(axis=(1, 2))
    claimed = np.sqrt(1 / won + 1 / (1000 - won))
    assert np.std(np.log(won / (1000 - won))) > 2.5 * claimed.mean()


def test_standard_errors_resist_like_wires_in_a_row_and_side_by_side():
    reward = np.array([0.3, -0.2, 0.5])
    row = np.array([[0, 40, 0], [40, 0, 70], [0, 70, 0]])
    legs = error_of(row, reward, 0, 1) ** 2 + error_of(row, reward, 1, 2) ** 2
    assert error_of(row, reward, 0, 2) ** 2 == pytest.approx(legs, rel=1e-12)
    closed = row + np.array([[0, 0, 30], [0, 0, 0], [30, 0, 0]])
    direct = 30 * float(sigmoid(0.2)) * float(sigmoid(-0.2))
    assert error_of(closed, reward, 0, 2) ** -2 == pytest.approx(1 / legs + direct, rel=1e-12)


# How many comparisons?


def needed(chance):
    return Z**2 / (chance * (1 - chance) * math.log(chance / (1 - chance)) ** 2)


def share_that_can_tell(chance, comparisons, noise=0.0):
    """The share of studies whose interval is above 0, over all outcomes and averaged over nearby sizes."""
    shares = []
    for size in range(comparisons - 10, comparisons + 11):  # whole numbers of wins make single sizes jump
        won = np.arange(1, size)
        tells = np.log(won / (size - won)) > Z * np.sqrt(1 / won + 1 / (size - won))
        shares.append(binom.pmf(won, size, chance + noise * (1 - 2 * chance))[tells].sum())
    return float(np.mean(shares))


def check_half_can_tell(chance, noise=0.0):
    assert abs(share_that_can_tell(chance, round(needed(chance)), noise) - 0.5) < 0.02


@pytest.mark.parametrize("chance", np.linspace(0.51, 0.65, 50).round(4).tolist())
def test_how_many_comparisons_at_the_corollary_s_number_half_of_all_studies_can_tell(chance):
    check_half_can_tell(chance)
    met = np.array([[0.0, 100.0], [100.0, 0.0]])
    reward = np.array([math.log(chance / (1 - chance)), 0.0])
    assert error_of(met, reward, 0, 1) == pytest.approx(1 / math.sqrt(100 * chance * (1 - chance)), rel=1e-12)


def test_how_many_comparisons_both_sides_meet_near_even():
    quotients = [needed(0.5 + gap) / (Z / 2 / gap) ** 2 for gap in (0.1, 0.01, 0.001)]
    np.testing.assert_allclose(quotients, 1, rtol=0, atol=0.03)
    assert abs(quotients[2] - 1) < abs(quotients[1] - 1) < abs(quotients[0] - 1)
    assert needed(0.95) > 1.5 * (Z / 2 / 0.45) ** 2  # the rule is one of small gaps
    assert round(needed(0.55)) == 385


def test_how_many_comparisons_386_expected_ones_tell_a_55_percent_answer_from_an_even_one():
    assert math.ceil(needed(0.55)) == 386
    for n, told in ((385, False), (386, True)):
        fit = fit_bradley_terry(np.array([[0, 0.55 * n], [0.45 * n, 0]]))
        assert (float(fit.reward[0] - fit.reward[1]) > Z * float(fit.standard_error[0, 1])) == told


def share_of_studies(chance, comparisons, holds):
    """The share of studies whose fitted lead and standard error have a property, over all outcomes that have a fit."""
    won = np.arange(1, comparisons)
    wins = np.zeros((len(won), 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = won, comparisons - won
    fit = fit_bradley_terry(wins)
    held = holds(fit.reward[:, 0] - fit.reward[:, 1], fit.standard_error[:, 0, 1])
    return float(np.sum(binom.pmf(won, comparisons, chance) * held))


def test_how_many_comparisons_386_suffice_for_half_of_all_studies_and_788_for_four_in_five():
    def tells(lead, error):
        return lead > Z * error

    assert share_of_studies(0.55, 386, tells) == pytest.approx(0.5, abs=0.03)
    assert math.ceil(needed(0.55) * (1 + norm.ppf(0.8) / Z) ** 2) == 788
    assert share_of_studies(0.55, 788, tells) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("comparisons", "chance"), [(100, 0.5), (200, 0.55), (400, 0.8), (1000, 0.9)])
def test_standard_errors_make_intervals_that_hold_the_truth_in_95_percent_of_studies(comparisons, chance):
    truth = math.log(chance / (1 - chance))
    covered = share_of_studies(chance, comparisons, lambda lead, error: np.abs(lead - truth) < Z * error)
    assert covered == pytest.approx(0.95, abs=0.01)


def test_standard_errors_are_often_missing_where_comparisons_are_few_or_one_sided():
    finite = share_of_studies(0.95, 10, lambda lead, error: np.isfinite(error))
    assert finite == pytest.approx(1 - 0.95**10 - 0.05**10, rel=1e-12)
    assert finite < 0.41


def test_how_many_comparisons_is_too_few_where_labels_are_noisy():
    with pytest.raises(AssertionError):
        check_half_can_tell(0.55, noise=0.1)


# The lead that never settles


def flow(time, losses=0.0):
    """The lead after so long a gradient flow, solved numerically; `losses` is the share of comparisons lost."""

    def slopes(_, r):
        push = (1 - losses) * sigmoid(r[1] - r[0]) - losses * sigmoid(r[0] - r[1])
        return [push, -push]

    path = solve_ivp(slopes, (0, time), [0.0, 0.0], rtol=1e-10, atol=1e-12)
    return path.y[0, -1] - path.y[1, -1]


def check_never_settles(lead, time):
    assert lead + math.exp(lead) == pytest.approx(1 + 2 * time, rel=1e-6)
    assert math.log1p(time) - 1e-9 <= lead <= math.log1p(2 * time) + 1e-9


def test_the_lead_of_an_answer_that_never_lost_never_settles():
    for time in np.geomspace(1e-3, 1e4, 50):
        check_never_settles(flow(time), time)
    with pytest.raises(ValueError, match="never lost"):
        fit_bradley_terry(np.array([[0, 40], [0, 0]]))
    likelihoods = [plain_log_likelihood(np.array([m, 0.0]), np.array([[0, 40], [0, 0]])) for m in (1, 10, 30, 700)]
    assert (np.diff(likelihoods) > 0).all()


def test_one_loss_in_forty_lets_the_lead_settle():
    settled = flow(1e4, losses=1 / 40)
    assert settled == pytest.approx(math.log(39), abs=1e-6)
    with pytest.raises(AssertionError):
        check_never_settles(settled, 1e4)


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
