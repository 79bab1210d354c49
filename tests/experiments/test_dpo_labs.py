"""Vouches for what the labs of Chapter 4 show: by the geometry of the pair, by enumeration, by fitted rewards."""

import math

import numpy as np
import pytest

from alignbook.experiments import a_string_nobody_compared as strings
from alignbook.experiments import from_preferences_to_policy as policy
from alignbook.experiments import steps_too_large as large
from alignbook.experiments import teach_it_no as no
from alignbook.experiments.declare import starts
from alignbook.preferences import fit_bradley_terry, sample_pairs, sample_preferences, win_counts


def last(module, **changes):
    settings = starts(module.EXPERIMENT) | changes
    *_, table = module.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


# Teach it No


@pytest.mark.parametrize("distance", no.DISTANCE.grid)
@pytest.mark.parametrize("angle", no.ANGLE.grid)
def test_no_gives_way_exactly_to_what_lies_beyond_the_line(angle, distance):
    """The odds of Yes to No follow the tilt by their reach, at the strength that the odds of Never to No tell."""
    table, _ = last(no, angle=angle, distance=distance)
    first, end = ({name: table[name][k] for name in no.ANSWERS} for k in (0, -1))
    strength = math.log(first["Never"] / first["No"]) - math.log(end["Never"] / end["No"])
    reach = distance * math.cos(math.radians(angle))
    gained = math.log(end["Yes"] / end["No"]) - math.log(first["Yes"] / first["No"])
    assert gained == pytest.approx(strength * reach, abs=1e-9)


def test_no_is_highest_where_the_mean_crosses_the_line():
    for angle in (0.0, 30.0, 60.0):
        table, _ = last(no, angle=angle)
        towards = no.place(0.0, 1.0)
        mean = np.column_stack([table["mean x"], table["mean y"]]) @ towards
        top = int(np.argmax(table["No"]))
        assert np.all(mean[: top - 1] < 0)
        assert np.all(mean[top + 1 :] > 0)


def test_the_trainer_s_curves_do_not_depend_on_yes():
    tables = [last(no, angle=angle)[0] for angle in (0.0, 120.0)]
    assert tables[0]["loss"] == tables[1]["loss"]
    margins = [np.subtract(table["chosen"], table["rejected"]) for table in tables]
    np.testing.assert_allclose(margins[0], margins[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tables[0]["loss"], np.logaddexp(0, -margins[0]), rtol=1e-9)


def test_each_fate_of_no_has_its_setting():
    fates = {
        (): 2,
        (("angle", 120.0),): 0,
        (("steps", 0),): 1,
    }
    for changes, fate in fates.items():
        assert no.fate(*last(no, **dict(changes))) == fate
    falling = {"No": [0.3, 0.2, 0.1]}
    assert no.fate(falling, {}) == 3


# A string nobody compared


@pytest.mark.parametrize("shared", strings.REJECTED)
def test_the_pair_shares_as_many_letters_as_it_says(shared):
    rejected = strings.REJECTED[shared]
    both = sum(min(strings.CHOSEN.count(letter), rejected.count(letter)) for letter in strings.LETTERS)
    assert both == shared


@pytest.mark.parametrize("start", strings.STARTS)
@pytest.mark.parametrize("shared", strings.REJECTED)
def test_the_strings_on_top_are_the_likeliest_by_letters(shared, start):
    """Against letter probabilities found from the odds of two strings, multiplied out for every string."""
    table, _ = last(strings, shared=shared, start=start, steps=100)
    difference = [strings.CHOSEN.count(x) - strings.REJECTED[shared].count(x) for x in strings.LETTERS]
    margin = -math.log(math.expm1(table["loss"][-1]))
    strength = margin / strings.BETA / max(sum(d * d for d in difference), 1)
    weight = [p * math.exp(strength * d) for p, d in zip(strings.STARTS[start], difference, strict=True)]
    chance = {x: w / sum(weight) for x, w in zip(strings.LETTERS, weight, strict=True)}
    law = {string: math.prod(chance[x] for x in string) for string in strings.STRINGS}
    assert table["chance"][-12] == pytest.approx(max(law.values()), rel=1e-9)
    for string, found in zip(table["string"][-12:], table["chance"][-12:], strict=True):
        assert found == pytest.approx(law[string], rel=1e-8)


def test_an_anagram_teaches_nothing():
    table, _ = last(strings, shared=6)
    assert max(abs(loss - math.log(2)) for loss in table["loss"]) < 1e-15
    assert table["chance"][:12] == table["chance"][-12:]


# From preferences to policy


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_training_ends_where_a_fitted_reward_and_its_tilt_do(noise):
    """DPO on a table is the Bradley-Terry fit, then the tilt."""
    table, settings = last(policy, noise=noise)
    drawn_from = np.log(np.full((policy.STUDIES, 4), 0.25))
    pairs = sample_pairs(drawn_from, settings["pairs"], seed=0)
    data = sample_preferences(policy.REWARD, pairs, label_noise=noise, seed=0)
    fitted = fit_bradley_terry(win_counts(data, 4)).reward
    weight = np.exp(policy.REF_LOG_P) * np.exp(np.asarray(fitted) / policy.BETA)
    mean = (weight / weight.sum(axis=-1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(table["probability"][-4:], mean, rtol=0, atol=1e-4)  # what 300 steps leave


def test_an_answer_in_no_pair_keeps_its_logit_and_loses_to_what_rises():
    table, _ = last(policy, noise=0.0, coverage="never Canberra")
    canberra = table["probability"][-4]
    assert canberra < 0.2
    assert policy.where_it_ends(*last(policy, noise=0.0)) == 0
    assert policy.where_it_ends(*last(policy)) == 1


# Steps too large


def path(rate, noise):
    table, settings = last(large, learning_rate=rate, noise=noise)
    rows = [k for k, part in enumerate(table["part"]) if part == "path"]
    return {name: [table[name][k] for k in rows] for name in ("step", "margin", "loss")}, table, settings


@pytest.mark.parametrize("noise", large.NOISE.grid)
@pytest.mark.parametrize("rate", large.LEARNING_RATE.grid)
def test_the_margin_follows_the_map_of_one_number(rate, noise):
    """By hand: a step moves the margin by twice the rate times beta squared times what the labels still ask for."""
    walked, *_ = path(rate, noise)
    margin = 0.0
    for found, loss in zip(walked["margin"], walked["loss"], strict=True):
        assert found == pytest.approx(margin, abs=1e-9)
        p = 1 / (1 + math.exp(-margin))
        assert loss == pytest.approx(-(1 - noise) * math.log(p) - noise * math.log(1 - p), abs=1e-9)
        margin += 2 * rate * large.BETA**2 * (1 - noise - p)


def test_below_the_edge_the_loss_settles_at_the_labels_entropy_and_above_it_never():
    for noise in large.NOISE.grid[1:]:
        entropy = -noise * math.log(noise) - (1 - noise) * math.log(1 - noise)
        edge = large.edge(noise)
        settled, *_ = path(min(0.8 * edge, large.FASTEST), noise)
        assert settled["loss"][-1] == pytest.approx(entropy, abs=1e-6)
        if edge < large.FASTEST:
            jumping, *_ = path((edge + large.FASTEST) / 2, noise)
            assert min(jumping["loss"][-10:]) > entropy + 1e-3


def test_the_recorded_start_is_a_training_loss_above_log_two_and_sure_labels_have_none():
    walked, table, settings = path(large.LEARNING_RATE.start, large.NOISE.start)
    assert min(walked["loss"][-10:]) > math.log(2)
    assert "never settles" in large.describe(table, settings)
    sure, table, settings = path(large.FASTEST, 0.0)
    assert np.all(np.diff(sure["loss"]) < 0)  # one pair that nobody contradicts: each step goes downhill
    assert "No rate is too large" in large.describe(table, settings)
