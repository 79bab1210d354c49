"""Chapter 1's statements on standard errors: what they are, when they hold, how many comparisons a study needs.

The second opinion never runs the book's own code: sums over all outcomes, torch's Hessian, binomial sums, a
differential equation solved numerically.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from comparisons import plain_log_likelihood, random_wins, sigmoid
from scipy.integrate import solve_ivp
from scipy.stats import binom, norm

from alignbook.preferences import fit_bradley_terry

INSTANCES = 60
Z = float(norm.ppf(0.975))


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
