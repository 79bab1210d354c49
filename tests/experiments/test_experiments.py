"""Every experiment keeps its declaration's word, on every engine; the mathematics behind Chapter 2's three is right."""

import importlib
import itertools
import pkgutil

import numpy as np
import pytest

from alignbook import experiments
from alignbook.arrays import engines
from alignbook.experiments import is_near_optimal_near, retrain_it, what_does_a_nat_buy
from alignbook.experiments.declare import Choice, Experiment, starts
from alignbook.information import expectation, kl_divergence
from alignbook.policy_gradient import gradient_ascent, objective_gradient
from alignbook.tilting import tilt

MODULES = [
    importlib.import_module(f"alignbook.experiments.{m.name}") for m in pkgutil.iter_modules(experiments.__path__)
]
ALL = [module.EXPERIMENT for module in MODULES if hasattr(module, "EXPERIMENT")]
NAMES = [experiment.run.__module__.rpartition(".")[2] for experiment in ALL]


def last(experiment: Experiment, seed=0, **changes):
    settings = starts(experiment) | changes
    *_, table = experiment.run(settings, seed=seed, engine="numpy")
    return table, settings


@pytest.mark.parametrize("experiment", ALL, ids=NAMES)
def test_every_frame_is_a_table_with_a_sentence_that_begins_with_the_frame_before(experiment):
    settings = starts(experiment)
    frames = list(experiment.run(settings, seed=0, engine="numpy"))
    for table in frames:
        assert len({len(column) for column in table.values()}) == 1
        assert experiment.describe(table, settings).endswith(".")  # a live lab shows any of them
    for before, after in itertools.pairwise(frames):
        assert list(before) == list(after)
        assert all(after[name][: len(column)] == column for name, column in before.items())


@pytest.mark.parametrize("experiment", ALL, ids=NAMES)
def test_the_sentence_and_the_answer_follow_from_the_last_table(experiment):
    table, settings = last(experiment)
    assert experiment.describe(table, settings).endswith(".")
    if experiment.prediction is None:
        return
    answer = experiment.prediction.answer(table, settings)
    if experiment.prediction.kind == "choice":
        assert answer in range(len(experiment.prediction.options))
    else:
        assert experiment.prediction.low < answer < experiment.prediction.high


@pytest.mark.parametrize("experiment", ALL, ids=NAMES)
def test_a_seed_changes_the_table_where_one_is_shown_and_nowhere_else(experiment):
    options = [(p.name, option) for p in experiment.parameters if isinstance(p, Choice) for option in p.options]
    settings = ({}, *({name: option} for name, option in options))
    changes = (last(experiment, **changed)[0] != last(experiment, seed=1, **changed)[0] for changed in settings)
    assert any(changes) == experiment.seeded


@pytest.mark.parametrize("engine", [name for name in engines() if name != "numpy"])
@pytest.mark.parametrize("experiment", ALL, ids=NAMES)
def test_an_engine_gives_the_table_of_numpy(experiment, engine):
    table, settings = last(experiment)
    *_, other = experiment.run(settings, seed=0, engine=engine)
    for name, column in table.items():
        for mine, theirs in zip(column, other[name], strict=True):
            assert mine == theirs or abs(mine - theirs) < 1e-9  # the sums run in another order


def test_four_times_the_nats_buy_about_twice_the_gain_and_the_exact_factor_by_direct_search():
    table, settings = last(what_does_a_nat_buy.EXPERIMENT)
    slopes = np.geomspace(1e-3, 50, 400001)
    laws = tilt(np.log([0.2, 0.4, 0.3, 0.1]), np.array([1.0, 0.0, 0.6, 0.0]), 1 / slopes)
    spent = kl_divergence(laws, np.log([0.2, 0.4, 0.3, 0.1]))
    low, high = np.interp([0.1, 0.4], spent, expectation(laws, np.array([1.0, 0.0, 0.6, 0.0])) - 0.38)
    assert abs(what_does_a_nat_buy.growth(table, settings) - high / low) < 1e-8  # the grid's spacing, squared


def test_the_budget_stops_buying_at_minus_the_logarithm_of_the_best_answers_probability():
    table, _ = last(what_does_a_nat_buy.EXPERIMENT)
    everything = table["part"].index("all")
    assert abs(table["kl"][everything] + np.log(0.2)) < 1e-14
    frontier = [row for row, part in enumerate(table["part"]) if part == "frontier"]
    for row in frontier:
        assert (table["share"][row] < 1 - 1e-9) == (table["kl"][row] < table["kl"][everything])


@pytest.mark.parametrize("shortfall", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("beta", [0.003, 0.03, 0.3])
def test_no_policy_within_budget_and_reward_is_farther_than_the_farthest(beta, shortfall):
    """Against a grid of laws on three answers by mean reward: none beats the search, which is itself feasible."""
    ref, reward = np.log([0.3, 0.2, 0.5]), np.array([1.0, 0.9, 0.0])
    optimum = tilt(ref, reward, beta)
    budget, floor = kl_divergence(optimum, ref), expectation(optimum, reward) - shortfall
    far = is_near_optimal_near.farthest(ref, reward, beta, shortfall)
    assert kl_divergence(far, ref) <= budget * (1 + 1e-9)
    assert expectation(far, reward) >= floor - 1e-9
    moved = np.abs(np.exp(far) - np.exp(optimum)).sum() / 2
    best = float(expectation(optimum, reward))
    means = np.linspace(best - shortfall, best, 40)  # none within the budget earns more than the optimum
    mean, third = (x.ravel() for x in np.meshgrid(means, np.geomspace(1e-12, 0.9, 6000)))
    second = (1 - third - mean) / 0.1  # from p1 + p2 + p3 = 1 and p1 + 0.9 p2 = mean
    grid = np.stack([1 - third - second, second, third], axis=-1)
    laws = np.log(grid[(grid > 1e-12).all(axis=-1)])
    feasible = laws[(kl_divergence(laws, ref) <= budget) & (expectation(laws, reward) >= floor - 1e-12)]
    assert len(feasible)
    rival = (np.abs(np.exp(feasible) - np.exp(optimum)).sum(axis=-1) / 2).max()
    assert rival <= moved + 1e-6
    assert rival >= 0.98 * moved  # the grid's spacing


def test_the_farthest_policy_uses_all_that_the_corollary_allows():
    for beta in (0.01, 0.1, 1.0):
        optimum = tilt(is_near_optimal_near.REF_LOG_P, is_near_optimal_near.REWARD, beta)
        far = is_near_optimal_near.farthest(is_near_optimal_near.REF_LOG_P, is_near_optimal_near.REWARD, beta, 0.01)
        assert abs(kl_divergence(far, optimum) * beta / 0.01 - 1) < 1e-5  # the multiplier's bracket after 26 halvings


def test_the_first_answer_to_move_is_the_one_with_the_steepest_probability():
    ref, reward = retrain_it.REF_LOG_P, retrain_it.REWARD
    slope = objective_gradient(ref, ref, reward, 0.5)
    law = np.exp(ref)
    rates = law * (slope - law @ slope)
    table, settings = last(retrain_it.EXPERIMENT)
    assert retrain_it.first_to_move(table, settings) == int(np.argmax(np.abs(rates)))


@pytest.mark.parametrize("beta", [0.25, 0.5, 1.0, 2.0])
def test_steps_below_the_edge_settle_and_steps_beyond_it_do_not(beta):
    """Proposition 2.5, with the tilt slightly disturbed: the linear theory's own ground."""
    ref, reward = retrain_it.REF_LOG_P, retrain_it.REWARD
    optimum = tilt(ref, reward, beta)
    start = optimum + 1e-4 * np.array([1.0, -1.0, 0.5, -0.2])

    def distance(rate):
        run = gradient_ascent(ref, reward, beta, rate, start_logits=start, record_every=50)
        snapshots = itertools.islice(run, 40)
        return [np.abs(np.exp(s.log_p) - np.exp(optimum)).sum() for s in snapshots]

    below, beyond = distance(0.98 * retrain_it.edge(beta)), distance(1.02 * retrain_it.edge(beta))
    assert below[-1] < 1e-9
    assert min(beyond[-5:]) > 10 * beyond[0]
