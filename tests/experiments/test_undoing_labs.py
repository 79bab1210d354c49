"""Vouches for what the labs of Chapter 8 show: by the flow without noise, by torch's own steps, by hand.

The second opinion is the scalar model whose road is that of a base model with many hidden units: the same log-odds, the
same constant.
"""

import math
import re

import numpy as np
import pytest
import torch

from alignbook.dynamics import two_layer_flow
from alignbook.experiments import undo_it, undoing, what_moved
from alignbook.experiments.declare import starts


def last(module, seed=0, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=seed, engine="numpy")
    return table, settings


def scalar_twin(layers, k):
    """Head and feature of one hidden unit with the same two constants, of the road along the statements' direction."""
    w, a = layers.head[k], layers.features[k, :, 0]
    up, down = (np.linalg.norm(w + sign * math.sqrt(2) * a) for sign in (1, -1))
    return (up - down) / 2, (up + down) / (2 * math.sqrt(2))


# Undo it


@pytest.mark.parametrize("reference", ["start", "base"])
def test_the_clocks_of_the_lab_are_those_of_the_flow_without_noise(reference):
    """Medians over eight seeds, against each seed's scalar twin: noise and steps cost a tenth at most."""
    table, settings = last(undo_it, reference=reference)
    world = undoing.world(int(settings["width"]), 0, "numpy")
    times = np.geomspace(1e-2, 3e4, 3000)
    twins = {name: {clock: [] for clock in undo_it.CLOCKS} for name in undo_it.ARMS}
    for k in range(undoing.SEEDS):
        w, a = scalar_twin(world.base, k)
        up = two_layer_flow(settings["length"], 0.1, 4.0, head=w, feature=a)
        for name, (head, feature) in (("base", (w, a)), ("aligned", (up.head, up.feature))):
            ref = {"ref_head": w, "ref_feature": a} if reference == "base" else {}
            run = two_layer_flow(times, 0.1, 4.0, head=head, feature=feature, flipped=True, **ref)
            start = float(head * feature * 2)
            marks = {"loss": (np.logaddexp(0, -run.margin), 0.35), "change": (run.log_odds, start - 8)}
            for clock, (path, level) in (marks | {"place": (run.log_odds, -8.0)}).items():
                twins[name][clock].append(float(np.interp(-level, -path, times)))
    for clock in undo_it.CLOCKS:
        found = dict(zip(undo_it.ARMS, undo_it.times_of(table, clock), strict=True))
        for name in undo_it.ARMS:
            assert found[name] == pytest.approx(float(np.median(twins[name][clock])), rel=0.12)


def test_frozen_features_tie_on_the_loss_and_the_change_in_every_seed():
    for length in undo_it.LENGTH.grid:
        table, _ = last(undo_it, features="frozen", length=length)
        for clock in ("loss", "change"):
            base, other = undo_it.times_of(table, clock)
            assert base == pytest.approx(other, rel=1e-9)
        base, other = undo_it.times_of(table, "place")
        assert base < other


def test_the_settings_to_try_show_what_the_chapter_says():
    def winners(**changes):
        table, _ = last(undo_it, **changes)
        pairs = [undo_it.times_of(table, clock) for clock in undo_it.CLOCKS]
        return ["aligned" if other < base else "base" for base, other in pairs]

    assert winners() == ["aligned", "aligned", "base"]
    assert winners(reference="base") == ["base", "aligned", "base"]
    assert winners(length=3.0) == ["base"] * 3
    assert winners(length=10.0, features="move, then freeze") == ["aligned"] * 3
    assert winners(reference="base", features="move, then freeze") == ["aligned"] * 3


def test_a_run_s_steps_are_torch_s():
    """The first alignment of the lab, by autograd over both layers of one seed."""
    world = undoing.world(4, 0, "numpy")
    end = undoing.aligned(world, 30.0)
    x, c, w, a = (torch.tensor(each[2]) for each in (world.inputs, world.labels, *world.base))
    start, rate = c * (x @ a.T @ w), 30.0 / (undoing.STEPS * (2**undoing.LENGTH_STEPS - 1))
    for step in range(undoing.STEPS * undoing.LENGTH_STEPS):
        rows = torch.stack([w / 2, -w / 2]).requires_grad_()
        a = a.detach().requires_grad_()
        loss = torch.nn.functional.softplus(-0.1 * (c * (x @ a.T @ (rows[0] - rows[1])) - start)).mean()
        slopes = torch.autograd.grad(loss, (rows, a))
        size = rate * 2 ** (step // undoing.STEPS)
        rows, a = rows.detach() - size * slopes[0], a.detach() - size * slopes[1]
        w = rows[0] - rows[1]
    np.testing.assert_allclose(end.head[2], w, rtol=0, atol=1e-9)
    np.testing.assert_allclose(end.features[2], a, rtol=0, atol=1e-9)


def test_a_clock_reads_a_straight_line_and_says_never():
    times, paths = [0.0, 1.0, 3.0], np.array([[4.0, 4.0, 1.0], [2.0, 3.0, 2.0], [-2.0, 2.5, 0.0]])
    assert undoing.clock(times, paths, 1.0).tolist() == [1.5, math.inf, 0.0]
    assert undoing.clock(times, paths, np.array([4.0, 2.5, 0.5])).tolist() == [0.0, 3.0, 2.5]


def test_every_pattern_of_winners_that_is_an_option_has_its_own():
    columns = {name: [] for name in ("clock", "arm", "step")}
    for wins, place in zip(undo_it.WINS, range(4), strict=True):
        table = {name: list(column) for name, column in columns.items()}
        for clock, win in zip(undo_it.CLOCKS, wins, strict=True):
            for arm, time in (("base", 2.0), ("aligned", 1.0 if win else 3.0)):
                for name, value in (("clock", clock), ("arm", arm), ("step", time)):
                    table[name].append(value)
        assert undo_it.EXPERIMENT.prediction.answer(table, {}) == place


# What moved?


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reference", ["start", "base"])
def test_the_way_back_is_the_way_out(seed, reference):
    """At equal log-odds the separation on the way back is that on the way out, but for noise and steps."""
    table, _ = last(what_moved, seed=seed, reference=reference)
    rows = list(zip(table["stage"], table["odds"], table["separation"], strict=True))
    out, back = (np.array([(o, apart) for stage, o, apart in rows if stage == name]) for name in what_moved.STAGES)
    back = back[back[:, 0] >= out[0, 0]]
    np.testing.assert_allclose(back[:, 1], np.interp(back[:, 0], *out.T), rtol=0, atol=0.5)


def test_the_question_states_the_numbers_of_its_own_run():
    table, settings = last(what_moved)
    said = [float(x) for x in re.findall(r"from ([\d.]+) to ([\d.]+)\.", what_moved.EXPERIMENT.prediction.question)[0]]
    apart = [x for x, stage in zip(table["separation"], table["stage"], strict=True) if stage == "aligning"]
    assert said == [round(apart[0], 1), round(apart[-1], 1)]
    assert what_moved.on_return(table, settings) == pytest.approx(apart[0], abs=0.3)
    odds = re.search(r"log-odds for the right answer are (\d+)", undo_it.EXPERIMENT.prediction.question)
    first = undoing.aligned(undoing.world(16, 0, "numpy"), 100.0)
    world = undoing.world(16, 0, "numpy")
    found = world.labels * np.einsum("snd,skd,sk->sn", world.inputs, first.features, first.head)
    assert round(float(np.median(found.mean(-1)))) == int(odds[1])


def test_the_plane_holds_both_separations():
    start = undoing.world(16, 0, "numpy", models=1)
    arm = undoing.aligned(start, 100.0)
    axes = what_moved.plane(start, arm)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), rtol=0, atol=1e-12)
    for layers in (arm, start.base):
        embeddings, labels = start.inputs[0] @ layers.features[0].T, start.labels[0]
        apart = embeddings[labels > 0].mean(0) - embeddings[labels < 0].mean(0)
        assert np.linalg.norm(axes @ apart) == pytest.approx(np.linalg.norm(apart), rel=1e-12)
