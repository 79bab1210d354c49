"""Vouches for what the labs of Chapter 6 show: by statements drawn afresh and by the normal law."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import gradient_descent
from alignbook.experiments import break_the_guarantee as broken
from alignbook.experiments import how_accurate_how_soon as soon
from alignbook.experiments.declare import starts


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


def heads(table):
    return np.reshape([a for a in table["accuracy"] if a is not None], (16, 16))  # noise, distinguishability


# How accurate, how soon?


def test_a_head_s_accuracy_is_the_share_of_drawn_statements_that_it_gets_right():
    rng = np.random.default_rng(0)
    head, b, noise = rng.standard_normal((2, 3)), np.array([[1.0, 0, 0], [2.0, 0, 0]]), np.array([0.5, 3.0])
    labels = np.repeat([1.0, -1.0], 200_000)
    for k in range(2):
        g = labels[:, None] * b[k] / 2 + noise[k] * rng.standard_normal((400_000, 3))
        drawn = np.mean(labels * (g @ head[k]) > 0)
        assert float(soon.accuracy(head, b, noise)[k]) == pytest.approx(drawn, abs=0.003)


def test_with_ever_more_statements_accuracy_is_the_normal_law_s():
    table, _ = last(soon, statements=500)
    delta, noise = np.meshgrid(soon.DELTAS, soon.NOISES)
    assert np.all(heads(table) <= norm.cdf(delta / (2 * noise)) + 1e-12)
    assert np.abs(heads(table) - norm.cdf(delta / (2 * noise))).max() < 0.08


@pytest.mark.parametrize("accuracy", [soon.REWARD, soon.POLICY])
@pytest.mark.parametrize("statements", soon.STATEMENTS.grid)
def test_no_head_is_below_what_it_was_promised(accuracy, statements):
    delta, noise = (grid.ravel() for grid in np.meshgrid(soon.DELTAS, soon.NOISES))
    b = delta[:, None, None] * np.eye(1, 32)
    data = behaviors(b, noise, num_statements=statements, seed=0)
    for time in (1, 100):
        table, _ = last(soon, accuracy=accuracy, statements=statements, time=time)
        promised = soon.promise(data, b[:, 0], noise, float(time), 1.0 if accuracy == soon.POLICY else 0.0)
        assert np.all(heads(table).ravel() >= promised)


def test_the_lines_are_where_ninety_percent_begins():
    table, _ = last(soon)
    rows = heads(table)
    for k in range(16):
        end = soon.crossings(rows)[k]
        above = np.greater(soon.DELTAS, np.inf if end is None else end)
        assert np.all((rows[k] >= 0.9) == above)
    assert soon.crossings(np.full(256, 0.95)) == [0.25] * 16
    assert soon.crossings(np.zeros(256)) == [None] * 16


def test_the_answer_is_a_little_above_the_normal_law_s():
    table, settings = last(soon)
    law = 2 * 0.5 * norm.ppf(0.9)
    assert law < soon.EXPERIMENT.prediction.answer(table, settings) < 1.1 * law


# Break the guarantee


@pytest.mark.parametrize("common_mean", broken.COMMON_MEANS)
@pytest.mark.parametrize("boundary", broken.BOUNDARIES)
def test_shares_of_wrong_answers_are_the_normal_law_s_for_each_half(common_mean, boundary):
    table, settings = last(broken, common_mean=common_mean, boundary=boundary)
    center, b = np.zeros(32), np.eye(32)[0]
    center[:2] = broken.COMMON_MEANS[common_mean]
    data = behaviors(b[None], broken.NOISES, num_statements=200, common_mean=center, seed=0)
    *_, shot = itertools.islice(gradient_descent(Behaviors(*data), 0.1, 1.0), settings["time"] + 1)
    for name, start in (("reward", 0.0), ("policy", broken.BOUNDARIES[boundary])):
        head = shot.change + start * b
        spread = broken.NOISES * np.linalg.norm(head, axis=-1)
        law = (norm.cdf(-head @ (center + b / 2) / spread) + norm.cdf(head @ (center - b / 2) / spread)) / 2
        np.testing.assert_allclose(table[name], law, rtol=0, atol=0.02)  # four standard errors of 10 000 draws


def test_the_promise_is_kept_where_nothing_is_broken_and_broken_by_each_switch():
    def breaks(**changes):
        table, _ = last(broken, **({"common_mean": "none"} | changes))
        return sum(wrong > most for wrong, most in zip(table["reward"], table["promised"], strict=True))

    assert breaks() == 0
    assert breaks(share="nine in ten") == 0  # harmless while the halves are centered
    assert breaks(common_mean="3, across it") == 0  # harmless while they are balanced
    assert breaks(common_mean="1, along Δ") > 0
    assert breaks(common_mean="3, across it", share="nine in ten") > 0
    assert breaks(statements=20) > 0
    assert breaks(noise_law="Laplace") > 0
    table, _ = last(broken, common_mean="none", boundary="against Δ")
    assert table["policy"][0] == 1 > table["promised"][0] > table["reward"][0]


def test_each_course_of_the_wrong_answers_has_its_setting():
    assert broken.course(*last(broken)) == 2
    assert broken.course(*last(broken, common_mean="none")) == 0
    assert broken.course({"noise": [0.1, 1.0], "reward": [0.5, 0.51]}, {}) == 1


@pytest.mark.parametrize("module", [soon, broken])
def test_a_run_that_has_not_come_to_its_end_says_that_heads_are_being_trained(module):
    settings = starts(module.EXPERIMENT)
    first = next(module.EXPERIMENT.run(settings, seed=0, engine="numpy"))
    assert module.EXPERIMENT.describe(first, settings).endswith("heads are being trained.")
