"""Vouches for the labs of Chapter 12 on lengths: by scipy's binomial law, all sequences one by one, the normal law.

The second opinion takes the largest of N totals from the law of the maximum, F^N, and the tilt as the binomial law
whose divergence from the reference is right.
"""

import itertools
import math
import re

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import log_ndtr
from scipy.stats import binom

from alignbook.experiments import how_long_is_long, same_mean_another_law
from alignbook.experiments.declare import starts
from alignbook.experiments.long_answers import GROWING, SLOWLY, log_draws, long_answers

P = 0.3
RATES = {GROWING: 0.1, SLOWLY: 0.001}


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


def binary_kl(x):
    return x * math.log(x / P) + (1 - x) * math.log((1 - x) / (1 - P))


def largest_of_totals(n, log_n):
    """Numbers of right steps near the largest one, and its law by the law of the maximum."""
    x = brentq(lambda x: binary_kl(x) - min(log_n / n, 1.0), P, 1 - 1e-12)
    k = np.arange(max(0, int(n * x - 8 * math.sqrt(n) - 40)), min(n, int(n * x + 5 * math.sqrt(n) + 80)) + 1)
    ref = binom.logpmf(k, n, P)
    above = np.append(np.logaddexp.accumulate(ref[::-1])[::-1][1:], -np.inf)  # of k and more right steps than k
    log_lost = np.where(above < -30, above, np.log(-np.log1p(-np.exp(np.clip(above, -30, -1e-12)))))
    up_to = np.exp(-np.exp(np.minimum(log_n + log_lost, 700)))
    return k, ref, np.diff(up_to, prepend=0.0)


def by_the_maximum(n, draws):
    """Accounts of the largest total, mean and share of the tilt, and the divergence between them."""
    log_n = RATES[draws] * n if draws in RATES else math.log(float(draws))
    k, ref, best = largest_of_totals(n, log_n)
    mean = best @ k
    some = best > 0
    kl = best[some] @ (np.log(best[some]) - ref[some])
    x = brentq(lambda x: binary_kl(x) - RATES.get(draws, kl / n), P, 1 - 1e-12)
    gap = best[some] @ (np.log(best[some]) - binom.logpmf(k[some], n, x))
    return mean, kl, best @ (k - mean) ** 2, x, gap


@pytest.mark.parametrize("draws", [GROWING, SLOWLY, "4", "64", "256"])
@pytest.mark.parametrize("n", [10, 37, 300, 10_000, 100_000])
def test_both_accounts_are_those_of_the_law_of_the_maximum(n, draws):
    found = long_answers(n, draws, "numpy")
    mean, kl, spread, x, gap = by_the_maximum(n, draws)
    rounding = 1e-8 if n < 1000 else 1e-6  # scipy's masses go through logarithms of factorials
    assert found.best_of_n.reward == pytest.approx(mean, rel=rounding)
    assert found.best_of_n.kl == pytest.approx(kl, rel=rounding, abs=rounding)
    assert found.best_of_n.variance == pytest.approx(spread, rel=10 * rounding)
    assert found.tilt.reward == pytest.approx(n * x, rel=1e-8)
    assert found.tilt.variance == pytest.approx(n * x * (1 - x), rel=1e-8)
    assert found.kl_best_of_n_to_tilt == pytest.approx(gap, abs=rounding)


@pytest.mark.parametrize("draws", [GROWING, SLOWLY, "64"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_steps_are_listed_whole(n, draws):
    found = long_answers(n, draws, "numpy")
    assert found.right.tolist() == list(range(n + 1))
    up_to = binom.cdf(np.arange(n + 1), n, P) ** math.exp(log_draws(draws, n))
    np.testing.assert_allclose(np.exp(found.best_of_n_log_p), np.diff(up_to, prepend=0.0), rtol=0, atol=1e-14)


# Same mean, another law


@pytest.mark.parametrize(("n", "draws"), [(10, GROWING), (10_000, GROWING), (1_000_000, GROWING), (50_000, "16")])
def test_the_bars_are_sums_of_the_laws(n, draws):
    table, _ = last(same_mean_another_law, length=n, draws=draws)
    found = long_answers(n, draws, "numpy")
    x = found.tilt.reward / n
    for law, cdf in (("tilt", lambda k: binom.cdf(k, n, x)), ("best-of-N", None)):
        rows = [i for i, (part, of) in enumerate(zip(table["part"], table["law"], strict=True))
                if (part, of) == ("bar", law)]  # fmt: skip
        edges = np.array([table["total"][i] for i in rows]) + n * x
        heights = np.array([table["height"][i] for i in rows])
        np.testing.assert_allclose([table["share"][i] for i in rows], edges / n, rtol=1e-9)
        widths = np.diff(edges)
        assert np.ptp(widths) < 1e-6  # one width for all
        assert widths[0] == pytest.approx(round(widths[0]), abs=1e-6)
        assert heights[-1] == 0
        if cdf is None:
            law_of_k = np.exp(found.best_of_n_log_p)
            up_to = np.concatenate([[0.0], np.cumsum(law_of_k)])
            places = np.clip(np.round(edges + 0.5).astype(int) - found.right[0], 0, len(law_of_k))
            mass = np.diff(up_to[places])
        else:
            mass = np.diff(cdf(np.round(edges - 0.5)))
        assert mass.sum() > 0.995  # slight bars are left out
        np.testing.assert_allclose(heights[:-1], mass / mass.max(), rtol=0, atol=1e-6)


def test_the_answer_is_the_ratio_of_the_widths():
    table, settings = last(same_mean_another_law)
    assert settings == {"length": 10_000, "draws": GROWING}
    mean, _, spread, x, gap = by_the_maximum(10_000, GROWING)
    ratio = math.sqrt(10_000 * x * (1 - x) / spread)
    assert 30 < ratio < 40
    assert list(same_mean_another_law.RATIOS)[same_mean_another_law.nearest(table, settings)] == "1 : 40"
    sentence = same_mean_another_law.describe(table, settings)
    assert f"best-of-N {mean:,.1f} ± {math.sqrt(spread):.3g}, tilt {10_000 * x:,.1f} ± " in sentence
    assert f"D(best-of-N ‖ tilt): {gap:.2f} nats" in sentence
    assert f"{mean / 1e4:.0%}" == f"{x:.0%}" == "51%"  # as the question says


def test_at_64_draws_the_widths_keep_their_ratio():
    for n in (100_000, 1_000_000):
        table, settings = last(same_mean_another_law, length=n, draws="64")
        ratio = float(re.search(r"1 : ([\d.]+)", same_mean_another_law.describe(table, settings))[1])

        def moment(power):
            density = lambda z: 64 * math.exp(63 * log_ndtr(z) - z**2 / 2) / math.sqrt(2 * math.pi)  # noqa: E731
            return quad(lambda z: density(z) * z**power, -8, 12)[0]

        assert ratio == pytest.approx(1 / math.sqrt(moment(2) - moment(1) ** 2), rel=0.01)


def test_the_share_outside_the_picture_is_the_binomial_laws():
    for n in (10_000, 1_000_000):
        table, _ = last(same_mean_another_law, length=n)
        x = brentq(lambda x: binary_kl(x) - 0.1, P, 0.9)
        low, high = math.ceil(n * x - 120), math.floor(n * x + 120)
        outside = 1 - (binom.cdf(high, n, x) - binom.cdf(low - 1, n, x))
        assert same_mean_another_law.said_of(table, "outside", "tilt") == pytest.approx(outside, abs=1e-8)
        assert same_mean_another_law.said_of(table, "outside", "best-of-N") < 1e-12


# How long is long?


def gaps(table):
    rows = zip(table["part"], table["length"], table["gap"], table["formula"], strict=True)
    return {n: (gap, formula) for part, n, gap, formula in rows if part == "exact"}


@pytest.mark.parametrize("draws", [GROWING, "64"])
def test_three_letters_by_all_sequences(draws):
    p, reward = np.array([0.2, 0.5, 0.3]), np.log([0.6, 0.3, 0.1])
    table, _ = last(how_long_is_long, letters="good, fair or poor", draws=draws)
    for n in (1, 3):
        sequences = np.array(list(itertools.product(range(3), repeat=n)))
        law, total = p[sequences].prod(axis=1), reward[sequences].sum(axis=1).round(9)
        levels = np.unique(total)
        mass = np.array([law[total == level].sum() for level in levels])
        draw_count = math.exp(0.1 * n) if draws == GROWING else 64
        best = np.diff(np.cumsum(mass) ** draw_count, prepend=0.0)
        kl = best[best > 0] @ np.log(best[best > 0] / mass[best > 0])

        def tilted(a, mass=mass, levels=levels):
            weights = mass * np.exp(a * (levels - levels.max()))
            return weights / weights.sum()

        def spent(a, mass=mass):
            law = tilted(a)
            return law[law > 0] @ np.log(law[law > 0] / mass[law > 0])

        budget = 0.1 * n if draws == GROWING else kl
        tilt = tilted(brentq(lambda a, budget=budget: spent(a) - budget, 0, 60))
        some = best > 1e-300
        expected = best[some] @ np.log(best[some] / tilt[some])
        assert gaps(table)[n][0] == pytest.approx(expected, abs=1e-6)


def test_normal_letters_at_64_draws_are_at_their_limit_at_once():
    table, _ = last(how_long_is_long, letters="normal", draws="64")

    def density(z):
        return 64 * math.exp(63 * log_ndtr(z) - z**2 / 2) / math.sqrt(2 * math.pi)

    largest = quad(lambda z: z * density(z), -8, 12)[0]
    root = math.sqrt(2 * (math.log(64) - 63 / 64))
    for gap, formula in gaps(table).values():
        assert gap == pytest.approx(root * (root - largest), abs=1e-7)
        assert formula == pytest.approx(gap, abs=1e-9)


@pytest.mark.parametrize("letters", ["right or wrong", "normal"])
@pytest.mark.parametrize("draws", [GROWING, SLOWLY])
def test_the_formula_is_void_for_short_answers_and_right_for_long_ones(letters, draws):
    table, _ = last(how_long_is_long, letters=letters, draws=draws)
    for n, (gap, formula) in gaps(table).items():
        size = 2 * RATES[draws] * n  # n times the variance over beta squared, about
        assert (formula is None) == (size < 3.8)
        if formula is not None:
            assert abs(gap - formula) < 2 * (1 + formula) ** 2 / size


def test_the_gap_grows_like_half_of_log_n():
    table, settings = last(how_long_is_long)
    assert how_long_is_long.OPTIONS[how_long_is_long.growth(table, settings)] == "it grows like log n"
    for changes in ({"letters": "good, fair or poor"}, {"letters": "normal"}):
        assert how_long_is_long.growth(*last(how_long_is_long, **changes)) == 2
    for letters in how_long_is_long.LONGEST:
        assert how_long_is_long.growth(*last(how_long_is_long, letters=letters, draws="64")) == 1
        assert how_long_is_long.growth(*last(how_long_is_long, letters=letters, draws=SLOWLY)) == 2
    found = gaps(table)
    for n in (1000, 10_000, 100_000):
        assert found[10 * n][0] - found[n][0] == pytest.approx(math.log(10) / 2, abs=30 / n**0.8)
        assert found[n][0] == pytest.approx(by_the_maximum(n, GROWING)[-1], abs=1e-6)


def test_the_sentence_says_what_holds_at_the_chosen_length():
    said = {}
    for changes in ({}, {"length": 3}, {"letters": "good, fair or poor"}, {"draws": "64", "length": 77}):
        table, settings = last(how_long_is_long, **changes)
        said[str(changes)] = how_long_is_long.describe(table, settings)
        assert sum(mark == 1 for mark in table["chosen"]) == 1
    first, void, unknown, fixed = said.values()
    assert first.startswith("10,000 letters, e^1,000 draws: D(best-of-N ‖ tilt) is 3.126 nats, 0.00031 a letter;")
    assert "is void there" in void
    assert "counted up to 300" in unknown
    assert "77 letters, 64 draws" in fixed
    assert "The" not in fixed
    assert "the limit at fixed N says 0.443" in fixed
