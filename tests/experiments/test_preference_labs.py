"""The mathematics behind Chapter 1's two labs: binomial sums, a wide search, rewards written out by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom

from alignbook.experiments import how_many_comparisons as study
from alignbook.experiments import when_no_reward_fits as ring
from alignbook.experiments.declare import starts


def last(experiment, seed=0, **changes):
    settings = starts(experiment) | changes
    *_, table = experiment.run(settings, seed=seed, engine="numpy")
    return table, settings


def exact_share(chance, comparisons):
    """The chance that a study can tell, summed over all its outcomes, with the interval written out by hand."""
    wins = np.arange(1, comparisons)
    lead = np.log(wins / (comparisons - wins))
    tells = np.abs(lead) > 1.959964 * np.sqrt(comparisons / (wins * (comparisons - wins)))
    never = binom.pmf(0, comparisons, chance) + binom.pmf(comparisons, comparisons, chance)
    return float(binom.pmf(wins, comparisons, chance)[tells].sum() + never * (0.05 ** (1 / comparisons) > 0.5))


@pytest.mark.parametrize("chance", [0.5, 0.55, 0.7])
def test_the_share_of_studies_that_can_tell_is_the_binomial_one(chance):
    table, _ = last(study.EXPERIMENT, chance=chance)
    exact = np.minimum(1.0, [exact_share(chance, m) for m in table["comparisons"]])
    error = np.sqrt(exact * (1 - exact) / study.STUDIES)
    assert (np.abs(np.array(table["share"]) - exact) <= 4 * error + 1e-12).all()
    late = np.array(table["comparisons"]) >= 300
    np.testing.assert_allclose(np.array(table["theory"])[late], exact[late], rtol=0, atol=0.03)


def test_half_of_all_studies_of_a_55_percent_answer_can_tell_after_385_comparisons():
    table, settings = last(study.EXPERIMENT)
    needed = study.EXPERIMENT.prediction.answer(table, settings)
    assert needed == pytest.approx(1.959964**2 / (0.2475 * math.log(11 / 9) ** 2), rel=1e-6)
    around = [exact_share(0.55, m) for m in range(round(needed) - 20, round(needed) + 21)]  # wins are whole numbers
    assert abs(np.mean(around) - 0.5) < 0.01


def test_an_interval_is_the_one_of_the_share_of_wins():
    low, middle, high = study.interval(np.array([30, 1, 25]), 40)
    lead = np.log(np.array([3.0, 1 / 39, 25 / 15]))
    reach = 1.959964 * np.sqrt(1 / np.array([30, 1, 25]) + 1 / np.array([10, 39, 15]))
    np.testing.assert_allclose(middle, lead, rtol=0, atol=1e-12)
    np.testing.assert_allclose(low, lead - reach, rtol=0, atol=1e-6)
    np.testing.assert_allclose(high, lead + reach, rtol=0, atol=1e-6)


def test_an_answer_that_never_lost_has_a_lower_end_alone():
    low, middle, high = study.interval(np.array([40, 0]), 40)
    assert np.isnan(middle).all()
    assert high[0] == math.inf
    assert low[1] == -math.inf
    chance = 1 / (1 + math.exp(-float(low[0])))
    assert binom.pmf(40, 40, chance) == pytest.approx(0.05, rel=1e-12)
    assert high[1] == -low[0]


def test_with_a_prior_an_answer_that_never_lost_runs_away_slowly():
    table, settings = last(study.EXPERIMENT, chance=1.0, prior="deviation 2")
    assert np.isfinite(table["middle"]).all()
    assert (np.diff(table["middle"]) > 0).all()
    for comparisons, lead in zip(table["comparisons"], table["middle"], strict=True):
        slope = comparisons / (1 + math.exp(lead)) - lead / 8  # two rewards of half the lead, each of variance 4
        assert abs(slope) < 1e-6 * comparisons
    assert "only the prior" in study.describe(table, settings)


def test_label_noise_moves_the_fit_and_not_the_truth():
    table, _ = last(study.EXPERIMENT, chance=0.9, label_noise=0.2)
    assert table["lead"][-1] == pytest.approx(math.log(9))
    assert table["low"][-1] < math.log(0.74 / 0.26) < table["high"][-1]


@pytest.mark.parametrize("asked", ring.ASKED.grid)
@pytest.mark.parametrize("closing", [0.05, 0.4, 0.9])
def test_no_reward_has_a_smaller_loss_than_the_best_fit(closing, asked):
    table, settings = last(ring.EXPERIMENT, closing=closing, asked=asked)
    share = np.array([1, 1, asked]) / (2 + asked)
    people = np.array([0.9, 0.9, closing])

    def loss(free):
        reward = np.array([free[0], free[1], -free[0] - free[1]])
        margin = reward - np.roll(reward, -1)
        return float(share @ (people * np.logaddexp(0, -margin) + (1 - people) * np.logaddexp(0, margin)))

    best = min(minimize(loss, start, tol=1e-12).fun for start in ([0, 0], [2, -1], [-2, 1]))
    assert abs(table["loss"][0] - best) < 1e-10
    assert table["possible_loss"][0] <= table["loss"][0]
    assert abs(loss(table["reward"][:2]) - best) < 1e-10
    reward = table["reward"][:3]
    right = [people[i] if reward[i] > reward[(i + 1) % 3] else 1 - people[i] for i in range(3)]
    if len({round(value, 9) for value in reward}) == 3:
        assert table["accuracy"][0] == pytest.approx(float(share @ right), abs=1e-12)
    assert ring.describe(table, settings).count("%") == 5


def test_an_equal_ring_is_called_even_and_its_report_is_that_of_a_coin():
    for strength in ring.RING.grid:
        closing = min(ring.CLOSING.grid, key=lambda value, strength=strength: abs(value - strength))
        table, _ = last(ring.EXPERIMENT, ring=strength, closing=closing)
        np.testing.assert_allclose(table["chance"][6:], 0.5, rtol=0, atol=1e-12)
        assert table["loss"][0] == pytest.approx(math.log(2), abs=1e-12)
        assert table["accuracy"][0] == pytest.approx(0.5, abs=1e-12)


def test_the_right_option_is_even():
    table, settings = last(ring.EXPERIMENT)
    assert ring.OPTIONS[ring.EXPERIMENT.prediction.answer(table, settings)] == "0.5"
