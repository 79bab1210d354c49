"""Vouches for what "A real model's states" shows: by a softmax layer trained by torch on the same states, by hand."""

import altair as alt
import numpy as np
import pytest
import torch

from alignbook.experiments import a_real_models_states as lab
from alignbook.experiments.declare import starts
from alignbook.labs.a_real_models_states import LAB
from alignbook.persona import CONTROL, NAMES, hidden_states

STATES = hidden_states()


def last(**changes):
    settings = starts(lab.EXPERIMENT) | changes
    *_, table = lab.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


def column(table, name):
    return np.array(table[name][-7:])


@pytest.mark.parametrize("states", [lab.AS_THEY_ARE, lab.CENTERED])
def test_the_figures_are_those_of_a_softmax_layer_trained_by_torch(states):
    """The whole of it again for one set: two rows, the DPO loss by autograd, the model's own boundary."""
    place, steps, beta = 3, 30, 0.7
    table, settings = last(states=states, steps=steps, beta=beta)
    mean = STATES.train.embeddings.mean(axis=1) * (states == lab.CENTERED)
    moment = max(
        np.linalg.eigvalsh((x - one).T @ (x - one))[-1] / 60
        for x, one in zip(STATES.train.embeddings, mean, strict=True)
    )
    g, fresh = (torch.tensor(x.embeddings[place] - mean[place]) for x in (STATES.train, STATES.held_out))
    label, truth = (torch.tensor(x.labels[place]) for x in (STATES.train, STATES.held_out))
    rows = torch.zeros(2, 576, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([rows], lr=settings["rate"] * 4 / (beta**2 * moment))
    for _ in range(steps):
        optimizer.zero_grad()
        log_ratio = torch.log_softmax(g @ rows.T, dim=-1)
        torch.nn.functional.softplus(-beta * label * (log_ratio[:, 0] - log_ratio[:, 1])).mean().backward()
        optimizer.step()
    change = (rows[0] - rows[1]).detach()
    own = torch.tensor(STATES.held_out.embeddings[place] @ STATES.boundary)
    assert column(table, "train")[place] == (label * (g @ change) > 0).double().mean()
    assert column(table, "held out")[place] == (truth * (fresh @ change) > 0).double().mean()
    assert column(table, "policy")[place] == (truth * (fresh @ change + own) > 0).double().mean()
    loss = torch.logaddexp(torch.zeros(60, dtype=torch.float64), -beta * label * (g @ change)).mean()
    assert abs(column(table, "loss")[place] - loss) < 1e-9


def test_the_first_step_moves_each_layer_by_its_distinguishability_and_later_ones_do_not():
    table, _ = last(steps=1)
    share = column(table, "delta") / column(table, "delta").mean()
    assert np.abs(column(table, "moved") / share - 1).max() < 1e-12
    later, _ = last(steps=1000)
    assert np.abs(column(later, "moved") / share - 1).max() > 0.2


def test_learned_by_heart_noise_has_moved_farthest():
    """Where the slogan stops: with the mean taken off, the least distinguishable set's layer ends farthest away."""
    table, _ = last(**lab.LEARNED_BY_HEART)
    assert np.argmax(column(table, "moved")) == 6
    assert np.argmin(column(table, "moved")) == 0
    assert np.all(column(table, "train") == 1)
    assert column(table, "held out")[6] < 0.6


def test_the_coin_toss_is_the_answer_and_what_is_said_of_it_is_so():
    table, settings = last()
    letters = sorted(lab.LETTERS.values())
    answer = lab.EXPERIMENT.prediction.answer(table, settings)
    assert letters[answer] == lab.LETTERS[CONTROL]
    delta = column(table, "delta")
    assert lab.EXPERIMENT.prediction.options[answer] == f"{lab.LETTERS[CONTROL]}: {delta[6]:.2f}"
    bands = column(table, "low"), column(table, "high")
    assert np.all((np.array(bands).mean(axis=0) > 1.75) & (np.array(bands).mean(axis=0) < 2.25))
    assert bands[0][5] < delta[5] < bands[1][5]  # a real set within the band
    assert column(table, "train")[6] >= column(table, "train")[5]  # and learned no better
    assert column(table, "held out")[6] > column(table, "held out")[5] - 0.08
    by_heart = column(last(**lab.LEARNED_BY_HEART)[0], "held out")
    assert by_heart[5] > by_heart[6] + 2 * 0.08


def test_held_out_accuracy_does_not_follow_distinguishability():
    """Said in the sentence: the second by distinguishability is not the second, nor the third, on fresh statements."""
    for steps in (300, 1000):
        held_out = column(last(steps=steps)[0], "held out")
        assert np.sum(held_out > held_out[1]) >= 3
    assert [lab.LETTERS[name] for name in (*NAMES[:2], CONTROL)] == ["D", "B", "E"]  # as the sentence calls them


@pytest.mark.parametrize("states", [lab.AS_THEY_ARE, lab.CENTERED])
@pytest.mark.parametrize("steps", [1, 1000])
def test_every_set_is_within_the_axes_and_no_two_dots_cover_one_another(steps, states):
    """The first step and the last are the extremes; letters stand in the dots, 16 of some 290 pixels wide."""
    table, _ = last(steps=steps, states=states)
    encoding = LAB.chart(alt.NamedData("table")).to_dict()["hconcat"][0]["layer"][3]["encoding"]
    domains = {name: encoding[name]["scale"]["domain"] for name in "xy"}
    for name, axis in (("delta", "x"), ("low", "x"), ("high", "x"), ("moved", "y")):
        assert domains[axis][0] < column(table, name).min() <= column(table, name).max() < domains[axis][1]
    pixels = np.sort(column(table, "delta")) * 290 / np.subtract(*domains["x"][::-1])
    assert np.diff(pixels).min() > 16
