"""Vouches for what the labs of Chapter 11 show: by scipy's binomial law, by all sequences, by draws, by mpmath."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy.stats import binom

from alignbook.experiments import how_rare_is_a_good_answer as rare
from alignbook.experiments import which_moments_see_the_tail as moments
from alignbook.experiments.declare import starts
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, STEP_LOG_P, STEP_REWARD


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


# How rare is a good answer?

STEPS = rare.Letters(STEP_LOG_P, STEP_REWARD, 1.0)
LETTERS = rare.Letters(LETTER_LOG_P, LETTER_REWARD, 0.0)


@pytest.mark.parametrize("length", [1, 7, 100, 300])
def test_chances_of_right_steps_are_binomial(length):
    shares = [0.0, 0.31, 0.5, 2 / 3, 0.9, 1.0]
    found = rare.log_chances(STEPS, length, shares)
    reached = [math.ceil(length * x - 1e-9) for x in shares]
    np.testing.assert_allclose(found, binom.logsf(np.array(reached) - 1, length, 0.3), rtol=1e-10, atol=1e-12)


def test_chances_of_letters_are_sums_over_all_sequences():
    words = np.array(list(itertools.product(range(3), repeat=8)))
    chance, total = np.exp(LETTER_LOG_P[words].sum(-1)), LETTER_REWARD[words].sum(-1)
    means = [-1.6, -1.3, -1.0, -0.7, float(np.max(LETTER_REWARD))]
    found = np.exp(rare.log_chances(LETTERS, 8, means))
    np.testing.assert_allclose(found, [chance[total >= 8 * x - 1e-9].sum() for x in means], rtol=1e-11)


def test_the_rate_of_steps_is_a_divergence_and_bounds_every_chance():
    table, _ = last(rare, length=30)
    for part, x, exact, bound in zip(table["part"], table["x"], table["exact"], table["bound"], strict=True):
        if part == "curve":
            divergence = x * math.log(x / 0.3) + ((1 - x) * math.log((1 - x) / 0.7) if x < 1 else 0.0)
            assert bound == pytest.approx(-divergence, abs=1e-9)
        assert exact <= bound + 1e-9


def test_the_estimates_of_bahadur_and_rao_by_their_formula():
    row = rare.now(last(rare, length=100, share=0.6)[0])
    t, v = math.log(0.6 / 0.4 * 0.7 / 0.3), math.sqrt(0.24)
    smooth = math.exp(row["bound"]) / (t * v * math.sqrt(200 * math.pi))
    exact = binom.sf(59, 100, 0.3)
    assert row["smooth"] == pytest.approx(smooth / exact, rel=1e-6)
    assert row["lattice"] == pytest.approx(smooth / exact * t / (1 - math.exp(-t)), rel=1e-6)
    assert abs(row["lattice"] - 1) < 0.03 < abs(row["smooth"] - 1)


def test_a_threshold_between_two_totals_is_the_next_total():
    low, high = (rare.now(last(rare, length=10, share=share)[0]) for share in (0.45, 0.5))
    assert low["exact"] == high["exact"]
    assert low["bound"] == high["bound"]


def test_at_the_largest_reward_the_rate_is_exact_and_there_is_no_estimate():
    table, settings = last(rare, share=1.0)
    row = rare.now(table)
    assert row["rate_alone"] == pytest.approx(1, rel=1e-12)
    assert row["smooth"] is None
    assert "exact" in rare.describe(table, settings)


def test_off_the_lattice_there_is_no_factor():
    table, settings = last(rare, alphabet=rare.LETTERS, length=300)
    assert rare.now(table)["lattice"] is None
    assert "lattice" not in rare.describe(table, settings)
    assert abs(rare.now(table)["smooth"] - 1) < 0.05


@pytest.mark.parametrize(("log_chance", "words"), [(-math.log(6.65), "6.65"), (-math.log(45329.4), "45,329")])
def test_how_many_draws_reads_as_a_number(log_chance, words):
    assert rare.one_in(log_chance) == words
    assert rare.one_in(-23.35424523754582) == "1.4 · 10¹⁰"


# Which moments see the tail?


def exact_cumulants(log_p, reward, length, rate, order):
    """Best-of-N's scaled cumulant for letters 0 and 1 in fifty digits; ties among sequences of one total are exact."""
    mpmath.mp.dps = 50
    p, n = mpmath.mpf(3) / 10, mpmath.e ** (length * mpmath.mpf(rate))
    masses = [mpmath.binomial(length, k) * p**k * (1 - p) ** (length - k) for k in range(length + 1)]
    below = [mpmath.mpf(0), *itertools.accumulate(masses)]
    best = [above**n - under**n for under, above in itertools.pairwise(below)]
    return float(mpmath.log(sum(b * mpmath.e ** (order * k) for k, b in enumerate(best))) / length)


@pytest.mark.parametrize("length", [3, 30, 100])
@pytest.mark.parametrize("rate", [0.03, 0.3])
def test_best_of_n_s_cumulants_in_fifty_digits(length, rate):
    table, _ = last(moments, length=length, rate=rate)
    for order in (-2.0, -0.7, 0.0, 0.9, 2.0):
        found = moments.row_at(table, order)["best"]
        assert found == pytest.approx(exact_cumulants(None, None, length, rate, order), abs=1e-9)


@pytest.mark.parametrize("alphabet", moments.EXAMPLES)
def test_the_tilt_is_above_the_limit_everywhere_but_at_zero(alphabet):
    for rate in (0.03, 0.1, 0.3):
        table, settings = last(moments, alphabet=alphabet, rate=rate)
        gaps = np.array([row["tilt"] - row["limit"] for row in moments._curves(table)])
        assert gaps[20] == pytest.approx(0, abs=1e-15)
        assert np.all(np.delete(gaps, 20) > 0)
        assert np.all(np.diff(gaps[20:]) > 0)
        assert np.all(np.diff(gaps[:21]) < 0)
        assert moments.apart(table, settings) == 3


def test_the_limit_is_straight_up_to_the_bend_and_then_the_references_raised_by_the_rate():
    table, _ = last(moments, rate=0.1)
    mean, bend = table["tilt"][-1], table["order"][-2]
    assert mean * math.log(mean / 0.3) + (1 - mean) * math.log((1 - mean) / 0.7) == pytest.approx(0.1, abs=1e-9)
    assert bend == pytest.approx(math.log(mean / (1 - mean) * 0.7 / 0.3), abs=1e-7)
    for row in moments._curves(table):
        beyond = 0.1 + math.log(0.3 * math.exp(row["order"]) + 0.7)
        straight = row["order"] * mean
        assert row["limit"] == pytest.approx(straight if row["order"] < bend else beyond, abs=1e-7)
        assert row["tilt_excess"] == pytest.approx(row["tilt"] - straight, abs=1e-9)


def test_each_place_where_curves_differ_has_its_option():
    table, settings = last(moments)
    for k, differ in enumerate((lambda x: 0, lambda x: x > 0.95, lambda x: x < 0, lambda x: x != 0)):
        changed = table | {
            "limit": [t - 0.1 * bool(differ(x)) for t, x in zip(table["tilt"], table["order"], strict=True)]
        }
        assert moments.apart(changed, settings) == k


@pytest.mark.parametrize("module", [rare, moments])
def test_a_run_that_is_under_way_says_so(module):
    settings = starts(module.EXPERIMENT)
    first = next(module.EXPERIMENT.run(settings, seed=0, engine="numpy"))
    assert module.EXPERIMENT.describe(first, settings).endswith("are being counted.")
