"""Vouches for what the labs of Chapter 3 show: by enumeration, by training without the lab's loop, by quadrature."""

import itertools
import math

import numpy as np
import pytest
from mpmath import mp

from alignbook.experiments import race_to_the_optimum as race
from alignbook.experiments import which_gradient_is_honest as honest
from alignbook.experiments import which_kl_estimate as kl
from alignbook.experiments.declare import starts
from alignbook.gradient_estimators import score_gradient
from alignbook.information import kl_divergence
from alignbook.tilting import tilt


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


# Which gradient is honest?


@pytest.mark.parametrize("method", honest.METHODS)
@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_average_group_is_the_sum_over_all_groups(size, method):
    log_p, reward = np.log(honest.LAW), np.array([1.0, 0.0, 0.3])
    groups = np.array(list(itertools.product(range(3), repeat=size)))
    estimates = score_gradient(log_p, groups, honest.METHODS[method](reward[groups]))
    direct = np.exp(log_p[groups].sum(axis=-1)) @ estimates
    found = honest.expected(log_p, reward, size, honest.METHODS[method])
    np.testing.assert_allclose(found, direct, rtol=0, atol=1e-13)


def test_the_dots_are_two_hundred_and_scatter_around_the_average():
    for method, size in itertools.product(honest.METHODS, (2, 8, 64)):
        table, settings = last(honest, method=method, group_size=size)
        counts = [count for count in table["count"] if count is not None]
        assert sum(counts) == honest.ESTIMATES
        place = {source: np.array([x, y]) for source, x, y in zip(table["source"], table["x"], table["y"], strict=True)}
        length = np.linalg.norm(place["exact"])
        away = np.linalg.norm(place["mean of 200"] - place["average group"]) / length
        assert away < 4 * honest.scatter(table) / math.sqrt(honest.ESTIMATES)  # four standard errors
        assert f"{honest.scatter(table):.1f} lengths off" in honest.describe(table, settings)


def test_only_grpo_is_turned_and_it_turns_back_as_groups_grow():
    angles = []
    for size in (2, 4, 8, 16, 64):
        for method in ("RLOO", "own mean", "REINFORCE"):
            assert honest.angle(last(honest, method=method, group_size=size)[0]) < 1e-5
        angles.append(honest.angle(last(honest, method="GRPO", group_size=size)[0]))
    assert angles == sorted(angles, reverse=True)
    assert angles[0] > 30
    assert angles[-1] < 0.2


# Who reaches the optimum?


def plain_step(law, drawn, name, beta, rate):
    """One step of a method for one run, on plain lists of probabilities."""
    ref, reward = np.exp(race.REF_LOG_P), race.REWARD
    ratio = np.log(law / ref)
    values = (reward if name == "GRPO" else reward - beta * ratio)[drawn]
    if name == "RLOO":
        values = np.array([v - np.delete(values, i).mean() for i, v in enumerate(values)])
    if name == "GRPO":
        spread = values.std(ddof=1)
        values = (values - values.mean()) / spread if spread > 1e-12 else 0 * values
        values = values - beta * ratio[drawn]
    step = sum(v * (np.eye(4)[y] - law) for v, y in zip(values, drawn, strict=True)) / len(drawn)
    weight = law * np.exp(rate * step)
    return weight / weight.sum()


@pytest.mark.parametrize("name", ["REINFORCE", "RLOO", "GRPO"])
def test_every_method_trains_as_a_plain_loop_does(name):
    settings = starts(race.EXPERIMENT) | {"steps": 20, "group_size": 5}
    *_, table = race.run(settings, seed=3)
    random, laws = np.random.default_rng(3), [np.exp(race.REF_LOG_P)] * race.SEEDS
    for _ in range(20):
        uniforms = random.random((race.SEEDS, 5))
        drawn = [np.searchsorted(np.cumsum(law), u, side="right") for law, u in zip(laws, uniforms, strict=True)]
        laws = [plain_step(law, y, name, 0.5, 0.3) for law, y in zip(laws, drawn, strict=True)]
    distance = kl_divergence(np.log(laws), tilt(race.REF_LOG_P, race.REWARD, 0.5))
    assert race.course(table, name)[-1] == pytest.approx(np.median(distance), rel=1e-9)


def test_rloo_keeps_up_with_the_exact_climb_and_grpo_passes_the_tilt():
    table, _ = last(race)
    exact, plain, rloo, grpo = (np.array(race.course(table, name)) for name in race.METHODS)
    assert np.all(np.abs(np.log(rloo / exact)) < 0.3)
    assert plain[-1] > 5 * rloo[-1]
    assert grpo[1] < exact[1] / 3
    assert grpo[-1] > 10 * grpo[1]


def test_the_question_tells_the_distances_of_the_run():
    table, _ = last(race)
    question = race.EXPERIMENT.prediction.question
    assert f"start {race.course(table, 'RLOO')[0]:.2f} nat" in question
    assert table["step"][len(race.METHODS)] == 10
    assert f"RLOO is at {race.course(table, 'RLOO')[1]:.2f}, GRPO at {race.course(table, 'GRPO')[1]:.2f}" in question


# Which KL estimate?


@pytest.mark.parametrize("divergence", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("draws", [1, 30])
def test_the_errors_are_those_of_quadrature(divergence, draws):
    definitions = {"k1": lambda x: x, "k2": lambda x: x**2 / 2, "k3": lambda x: mp.exp(-x) - 1 + x}
    for name, estimate in definitions.items():

        def mean_of(power, estimate=estimate):
            width = mp.sqrt(2 * divergence)
            return mp.quad(lambda z: estimate(divergence + width * z) ** power * mp.npdf(z), [-16, -6, 0, 6, 16])

        first, second = mean_of(1), mean_of(2)
        error = mp.sqrt((second - first**2) / draws + (first - divergence) ** 2)
        assert kl.error(name, divergence, draws) == pytest.approx(float(error), rel=1e-9)


def test_estimates_scatter_as_the_formula_says():
    """Where k3's tail is light: at a tenth of a nat, with ten answers each."""
    table, _ = last(kl, kl=0.1, draws=10)
    for k, name in enumerate(kl.ESTIMATORS):
        assert table["error"][k] == pytest.approx(kl.error(name, 0.1, 10), rel=0.1)


def test_the_crossing_is_where_the_variances_agree():
    with mp.workdps(20):
        exact = float(mp.findroot(lambda d: mp.exp(2 * d) - 1 - 4 * d, 0.6))
    for draws in (1, 10, 1000):
        assert kl.crossing(last(kl, draws=draws)[0]) == pytest.approx(exact, rel=1e-3)
