"""Vouches for what "Which method buys most per nat?" shows: by powers and double sums, by search, by known limits.

The second opinion knows neither tilts at a KL nor best-of-N's law in logarithms: laws are differences of powers, win
rates sums over pairs, and the best policy at a KL comes from a fine grid of tilts, or of all policies.
"""

import itertools
import math
import re

import numpy as np
import pytest

from alignbook.asymptotics import fixed_n_limits
from alignbook.best_of_n import best_win_rate, kl_upper_bound
from alignbook.experiments import which_method_buys_most as lab
from alignbook.experiments.declare import starts

SLOPES = np.concatenate([np.linspace(0, 1, 4001)[1:], np.geomspace(1, 400, 20001)[1:]])


def last(**changes):
    settings = starts(lab.EXPERIMENT) | changes
    *_, table = lab.EXPERIMENT.run(settings)
    return table, settings


def plain(name):
    """Masses, rewards of mean 0 and variance 1, and each answer's win rate less one half, by a sum over pairs."""
    masses, reward = lab.TABLES[name]
    p = masses / np.sum(masses)
    reward = reward - p @ reward
    reward = reward / math.sqrt(p @ reward**2)
    beats = np.sign(reward[:, None] - reward) / 2
    return p, {lab.MEAN: reward, lab.WIN: beats @ p}


def by_powers(p, reward, n):
    up_to, below = ((compare * p).sum(-1) for compare in (reward <= reward[:, None], reward < reward[:, None]))
    return p / (up_to - below) * (up_to**n - below**n)


def by_all_draws(p, reward, n, beta):
    """Soft best-of-n of few answers, by a sum over all sequences of draws."""
    law, w = np.zeros(len(p)), np.exp(reward / beta)
    for drawn in itertools.product(range(len(p)), repeat=n):
        drawn = list(drawn)
        np.add.at(law, drawn, np.prod(p[drawn]) * w[drawn] / np.sum(w[drawn]))
    return law


def kl(law, p):
    return float(np.sum(law * np.log(law / p), where=law > 0))


def by_search(p, value, budget):
    """The best mean of a value within a KL, between neighbors of a fine grid of tilts."""
    laws = p * np.exp(SLOPES[:, None] * (value - np.max(value)))
    laws /= laws.sum(-1, keepdims=True)
    ratio = np.where(laws > 0, laws, 1) / p
    return float(np.interp(budget, np.sum(laws * np.log(ratio), axis=-1), laws @ value))


@pytest.mark.parametrize("measure", lab.MEASURES)
@pytest.mark.parametrize("name", lab.TABLES)
def test_losses_are_those_of_powers_against_a_grid_of_tilts(name, measure):
    p, values = plain(name)
    for n in (2.0, 4.0, 16.0):
        found = lab.points(last(reward=name, measure=measure, n=n)[0], n)
        law = by_powers(p, values[lab.MEAN], n)
        spent = kl(law, p)
        assert [found[name][0] for name in (lab.BEST, lab.TILT, lab.RANK_TILT)] == pytest.approx([spent] * 3, rel=1e-9)
        best = by_search(p, values[measure], spent)
        assert found[lab.BEST][1] == pytest.approx(1 - law @ values[measure] / best, abs=1e-6)  # the grid's spacing
        optimal = lab.TILT if measure == lab.MEAN else lab.RANK_TILT
        assert found[optimal][1] < 1e-9
        assert all(lost >= 0 for _, lost in found.values())


def test_no_policy_of_a_fine_grid_beats_the_optimum_of_either_measure():
    p, values = plain("four answers")
    steps = np.arange(1, 100) / 100
    first, second, third = (x.ravel() for x in np.meshgrid(steps, steps, steps))
    laws = np.stack([first, second, third, 1 - first - second - third], axis=-1)
    laws = laws[laws[:, 3] > 1e-9]
    spent = np.sum(laws * np.log(laws / p), axis=-1)
    for measure, value in values.items():
        for n in (2.0, 4.0, 8.0):
            where, lost = lab.points(last(reward="four answers", measure=measure, n=n)[0], n)[lab.BEST]
            best = by_powers(p, values[lab.MEAN], n) @ value / (1 - lost)
            rival = np.max(laws[spent <= where] @ value)
            assert 0.97 * best < rival <= best


def test_soft_best_of_n_is_the_sum_over_all_draws():
    p, values = plain("four answers")
    for n, beta in ((2, 0.25), (4, 0.5), (4, 1.0)):
        law = by_all_draws(p, values[lab.MEAN], n, beta)
        spent, lost = lab.points(last(reward="four answers", n=float(n), beta=beta)[0], n)[lab.SOFT]
        assert spent == pytest.approx(kl(law, p), abs=1e-11)
        best = by_search(p, values[lab.MEAN], spent)
        assert lost == pytest.approx(1 - law @ values[lab.MEAN] / best, abs=1e-6)


def test_a_bell_of_many_answers_loses_what_long_answers_lose_for_ever():
    for n in (2.0, 4.0, 16.0, 64.0):
        lost = lab.points(last(n=n)[0], n)[lab.BEST][1]
        assert lost == pytest.approx(1 - float(fixed_n_limits(n).gain_ratio), abs=1.5e-3)  # ties a quarter apart


def test_win_rates_of_the_bell_lose_what_they_lose_without_ties():
    for n in (2.0, 4.0, 8.0):
        lost = lab.points(last(n=n, measure=lab.WIN)[0], n)[lab.BEST][1]
        best = float(best_win_rate(kl_upper_bound(n)))
        assert lost == pytest.approx((best - n / (n + 1)) / (best - 0.5), rel=0.02)
    near_one = lab.points(last(n=1.001, measure=lab.WIN)[0], 1.001)[lab.BEST][1]
    assert near_one == pytest.approx(1 - math.sqrt(3) / 2, rel=0.02)  # the correlation of U and log U


def test_right_or_wrong_leaves_nothing_to_lose():
    for measure in lab.MEASURES:
        assert max(last(reward="right or wrong", measure=measure)[0]["lost"]) < 1e-9


def test_no_n_draws_raise_a_jackpot_more_than_n_times():
    p, values = plain("jackpot")
    for n in (4.0, 64.0):
        gain = by_powers(p, values[lab.MEAN], n) @ values[lab.MEAN]
        most = n * p[-1] * values[lab.MEAN][-1] + np.max(values[lab.MEAN][:-1])
        assert gain <= most
        spent, lost = lab.points(last(reward="jackpot", n=n)[0], n)[lab.BEST]
        assert by_search(p, values[lab.MEAN], spent) > 2 * most
        assert lost > 0.8


def test_the_question_and_its_answer_state_the_numbers_of_the_run():
    table, settings = last()
    prediction = lab.EXPERIMENT.prediction
    spent, lost = lab.points(table, 4)[lab.BEST]
    assert float(re.search(r"([\d.]+) nats", prediction.question)[1]) == round(spent, 2)
    assert prediction.answer(table, settings) == 100 * lost
    assert prediction.answer(*last(n=64.0)) == 100 * lost  # it is asked of best-of-4, wherever the reader stands
    by_rank = lab.points(last(measure=lab.WIN)[0], 4)[lab.BEST][1]
    assert float(re.search(r"loses ([\d.]+) %", prediction.why)[1]) == round(100 * by_rank, 1)


def test_a_number_of_draws_between_the_recorded_ones_lies_on_the_same_curves():
    whole, between = last()[0], last(n=5.3)[0]
    for method in lab.METHODS:
        rows = [k for k, name in enumerate(whole["method"]) if name == method]
        spent, lost = lab.points(between, 5.3)[method]
        curve = ([whole[name][k] for k in rows] for name in ("kl", "lost"))
        assert lost == pytest.approx(float(np.interp(spent, *curve)), abs=2e-4)
        assert [between["here"][k] for k, name in enumerate(between["method"]) if name == method].count(1) == 1
