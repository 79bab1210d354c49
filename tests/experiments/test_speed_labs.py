"""Vouches for what the labs of Chapter 5 show: by the theory of the flow, by autograd, by the geometry of the plane."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from alignbook.experiments import more_distinguishable_more_change as change
from alignbook.experiments import who_moves_first as first
from alignbook.experiments.declare import starts
from alignbook.experiments.running_example import BETA, DISTINGUISHABILITY


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


def moments(table, name, behavior):
    rows = zip(table[name], table["part"], table["behavior"], strict=True)
    return np.array([value for value, part, who in rows if part == "moment" and who == behavior])


# Who moves first?


@pytest.mark.parametrize("quantity", first.QUANTITIES)
@pytest.mark.parametrize("behavior", first.BEHAVIORS)
def test_no_run_of_gradient_descent_gets_beyond_the_bound(quantity, behavior):
    table, _ = last(first, quantity=quantity, steps=1000)
    run, bound = (moments(table, name, behavior) for name in ("run", "bound"))
    assert np.all(run >= bound - 1e-12) if quantity == "loss" else np.all(run <= bound + 1e-12)


@pytest.mark.parametrize("behavior", first.BEHAVIORS)
def test_the_noise_free_curve_solves_the_scalar_equation(behavior):
    table, _ = last(first, quantity="margin", steps=1000)
    steps, found = (moments(table, name, behavior) for name in ("step", "noise-free"))
    delta = 2 * np.sqrt(moments(table, "bound", behavior)[-1] / (steps[-1] * BETA**2))
    assert delta == pytest.approx(DISTINGUISHABILITY[first.BEHAVIORS.index(behavior)], abs=0.06)
    for step, margin in zip(steps, found, strict=True):
        goal = 1 + (BETA * delta) ** 2 * step / 2
        assert margin == pytest.approx(brentq(lambda z, goal=goal: z + np.exp(z) - goal, 0, 50), abs=1e-9)


def test_the_strong_one_is_ahead_at_first_and_behind_in_the_end():
    table, _ = last(first, steps=1000)
    ahead = moments(table, "run", "strong") - moments(table, "run", "weak")
    assert np.all(ahead[1:15] > 0)
    assert ahead[-1] < 0


def test_the_first_steps_of_adam_are_of_one_size():
    table, _ = last(first, optimizer="Adam", steps=3)
    strong, weak = (moments(table, "run", name) for name in first.BEHAVIORS)
    np.testing.assert_allclose(strong, weak, rtol=1e-3)


def test_the_boundary_is_that_of_a_softmax_trained_by_autograd():
    table, _ = last(first, steps=30)
    data = first.behaviors(first.DIFFERENCES[:, :2], first.NOISE, num_statements=first.STATEMENTS, seed=0)
    for k, name in enumerate(first.BEHAVIORS):
        g, label = torch.as_tensor(data.embeddings[k]), torch.as_tensor(data.labels[k])
        start = torch.as_tensor(np.stack([first.START / 2, -first.START / 2]))
        rows = start.clone().requires_grad_()
        for _ in range(30):
            log_p, ref = (torch.log_softmax(g @ w.T, -1) for w in (rows, start))
            margin = BETA * label * ((log_p - ref)[:, 0] - (log_p - ref)[:, 1])
            (slope,) = torch.autograd.grad(-torch.nn.functional.logsigmoid(margin).mean(), rows)
            rows = (rows - slope).detach().requires_grad_()
        normal = (rows[0] - rows[1]).detach().numpy()
        found = [moments(table, axis, name)[-1] for axis in "xy"]
        np.testing.assert_allclose(found, normal / np.linalg.norm(normal), rtol=0, atol=1e-10)


# More distinguishable, more change?


@pytest.mark.parametrize("steps", change.STEPS.grid)
def test_without_noise_the_runs_are_the_exact_curve_but_for_the_length_of_their_steps(steps):
    table, _ = last(change, noise=0.0, steps=steps)
    run, exact, bound = (change.curve(table, name) for name in change.SERIES)
    assert np.all(run <= bound * (1 + 1e-12))
    assert np.all(run >= exact * (1 - 1e-12))  # a step goes on along the steeper slope it began with
    np.testing.assert_allclose(run, exact, rtol=0.05)


def test_the_slogan_holds_early_and_is_turned_over_late():
    early, _ = last(change, steps=10)
    assert np.all(np.diff(change.curve(early, "run")) > 0)
    late, settings = last(change)
    assert change.more_or_less(late, settings) == 2
    run, exact = (change.curve(late, name) for name in ("run", "noise-free"))
    assert change.DISTINGUISHABILITY[np.argmax(run)] >= change.DISTINGUISHABILITY[np.argmax(exact)]
    assert abs(change.DISTINGUISHABILITY[np.argmax(exact)] - change.peak(settings)) < 0.25  # the grid's spacing


def test_noise_moves_the_peak_to_larger_distinguishability():
    tops = [change.DISTINGUISHABILITY[np.argmax(change.curve(last(change, noise=s)[0], "run"))] for s in (0, 0.3, 1)]
    assert tops == sorted(tops)
    assert tops[-1] > 2 * tops[0]


def test_adam_moves_all_layers_alike_at_first():
    table, _ = last(change, optimizer="Adam", steps=3)
    run = change.curve(table, "run")
    assert run.max() / run.min() < 1.02


def test_each_answer_of_the_prediction_is_an_outcome():
    cases = {10: 0, 130: 0, 250: 1, 1000: 2}
    for steps, answer in cases.items():
        assert change.more_or_less(*last(change, steps=steps)) == answer
