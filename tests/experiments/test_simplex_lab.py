"""The mathematics behind Chapter 10's triangle: all sequences one by one, a fine grid of laws, plain numpy."""

import itertools
import math

import numpy as np
import pytest

from alignbook.experiments import the_simplex as lab
from alignbook.experiments.declare import starts

PAIRS = list(lab.EXAMPLES.items())
NAMES = list(lab.EXAMPLES)


def last(**changes):
    settings = starts(lab.EXPERIMENT) | changes
    *_, table = lab.EXPERIMENT.run(settings, seed=0, engine="numpy")
    return table, settings


def laws(table, part):
    """The rows of a part as laws, and their values."""
    rows = [row for row, name in enumerate(table["part"]) if name == part]
    good, fair, value = (np.array([table[column][row] for row in rows]) for column in ("good", "fair", "value"))
    return np.stack([good, fair, 100 - good - fair], axis=-1) / 100, value


def kl(laws, p):
    return np.sum(np.where(laws > 0, laws * np.log(np.maximum(laws, 1e-300) / p), 0), axis=-1)


def grid(steps=400):
    """All laws whose shares are multiples of 1/steps."""
    good, fair = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1))
    inside = good + fair <= steps
    good, fair = good[inside], fair[inside]
    return np.stack([good, fair, steps - good - fair], axis=-1) / steps


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.4, 0.8])
@pytest.mark.parametrize(("p", "q"), lab.EXAMPLES.values(), ids=NAMES)
def test_the_edge_of_a_ball_has_its_radius_unless_it_passes_a_corner(p, q, radius):
    edge = np.exp(lab.edge(np.log(p), np.log(q), radius, 60))
    distance = kl(edge, p)
    corner = edge.max(axis=-1) > 1 - 1e-12
    np.testing.assert_allclose(distance[~corner], radius, rtol=1e-9, atol=0)
    assert np.all(distance[corner] <= radius)
    assert not np.all(corner)


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.4])
@pytest.mark.parametrize(("p", "q"), lab.EXAMPLES.values(), ids=NAMES)
def test_the_edge_encloses_the_ball_and_nothing_else(p, q, radius):
    """As a polygon, against a fine grid of laws: their shares of the triangle agree, but for what chords cut off."""
    edge = np.exp(lab.edge(np.log(p), np.log(q), radius, 400))
    x, y = edge[:, 0], edge[:, 1]
    area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))  # twice the polygon's, as a share of the triangle's half
    inside = np.mean(kl(grid(), p) <= radius)
    assert area == pytest.approx(inside, rel=0.02)


@pytest.mark.parametrize("rate", lab.NATS.grid)
@pytest.mark.parametrize("name", NAMES)
def test_ball_and_line_touch_in_the_tilt(name, rate):
    p, q = lab.EXAMPLES[name]
    table, _ = last(example=name, rate=rate, length=5)
    (touch,), _ = laws(table, "touch")
    level = laws(table, "above")[1][0]
    assert kl(touch, p) == pytest.approx(rate, rel=1e-9)
    assert touch @ np.log(q) == pytest.approx(level, abs=1e-12)
    slope = np.log(touch / p)  # a line in the reward: the law is a tilt
    tilted = np.polyfit(np.log(q), slope, 1)
    np.testing.assert_allclose(np.polyval(tilted, np.log(q)), slope, rtol=0, atol=1e-9)
    every = grid()
    ball = every[kl(every, p) <= rate]
    assert np.all(ball @ np.log(q) <= level + 1e-12)  # the ball lies on one side of the line
    assert np.max(ball @ np.log(q)) > level - 0.02  # and reaches it, but for the grid's spacing
    beyond = every[every @ np.log(q) >= level]
    assert np.all(kl(beyond, p) >= rate - 1e-12)  # the touching point is the cheapest law beyond


@pytest.mark.parametrize("name", NAMES)
def test_the_path_of_tilts_runs_from_the_reference_to_the_best_letters(name):
    p, q = lab.EXAMPLES[name]
    path, nats = laws(last(example=name, length=5)[0], "path")
    best = q == q.max()
    np.testing.assert_allclose(path[0], p, rtol=0, atol=1e-3)
    np.testing.assert_allclose(path[-1], np.where(best, p, 0) / p[best].sum(), rtol=0, atol=1e-3)  # rounded shares
    assert np.all(np.diff(nats) > 0)
    np.testing.assert_allclose(kl(path, p), nats, rtol=0, atol=0.01)
    clear = path[(path > 0.05).all(axis=-1)]  # where rounding moves no logarithm far
    steep, flat = (np.log(clear[:, i] * p[2] / (p[i] * clear[:, 2])) for i in (0, 1))
    np.testing.assert_allclose(flat * np.log(q[0] / q[2]), steep * np.log(q[1] / q[2]), rtol=0, atol=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_the_shaded_laws_are_those_of_the_line_and_above(name):
    """The polygon's area against a grid's."""
    _, q = lab.EXAMPLES[name]
    corners, level = laws(last(example=name, length=5)[0], "above")
    assert np.all(corners @ np.log(q) >= level - 1e-12)
    x, y = corners[:, 0], corners[:, 1]
    area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    assert area == pytest.approx(np.mean(grid() @ np.log(q) >= level[0]), rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_beyond_the_line_are_those_that_enumeration_finds(name):
    """All sequences of up to eight letters, one by one."""
    p, q = lab.EXAMPLES[name]
    for length, rate in itertools.product((5, 8), (0.1, 0.4)):
        table, _ = last(example=name, rate=rate, length=length)
        level = laws(table, "above")[1][0]
        letters = np.array(list(itertools.product(range(3), repeat=length)))
        chance, total = p[letters].prod(axis=-1), np.log(q)[letters].sum(axis=-1)
        reached = total >= length * level - 1e-9
        shares = (letters[:, :, None] == np.arange(3)).mean(axis=1)[reached]
        chance = chance[reached]
        (touch,), _ = laws(table, "touch")
        near = np.abs(shares - touch).sum(axis=-1) / 2 <= lab.NEAR
        rare, share = table["value"][-2:]
        assert rare == pytest.approx(-math.log(chance.sum()), rel=1e-12)
        assert share == pytest.approx(100 * chance[near].sum() / chance.sum(), abs=1e-9)
        means, lengths = laws(table, "kept")
        assert lengths[-1] == length
        np.testing.assert_allclose(means[-1], chance @ shares / chance.sum(), rtol=0, atol=1e-12)
        drawn, percent = laws(table, "type")
        for law, value in zip(drawn, percent, strict=True):
            mine = np.abs(shares - law).max(axis=-1) < 1e-3
            assert value == pytest.approx(100 * chance[mine].sum() / chance.sum(), abs=0.0051)


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_gather_at_the_touching_point_as_they_grow_longer(name):
    """Gibbs conditioning; the mean is off by order 1/length, but for where the line falls between the types."""
    (touch,), _ = laws(last(example=name, length=5)[0], "touch")
    means, lengths = laws(last(example=name, length=200)[0], "kept")
    off = np.abs(means - touch).sum(axis=-1) / 2
    assert np.all(off * lengths < 3)
    assert off[-1] < 0.01
    near = [last(example=name, length=length)[0]["value"][-1] for length in (10, 50, 200)]
    assert near[0] < near[1] < near[2]
    assert near[2] > 99


def test_the_answer_is_no_share_of_q_and_hardly_fewer_letters_are_fair():
    table, settings = last()
    good = lab.good_letters(table, settings)
    (mean,) = laws(table, "kept")[0][-1:]
    assert good == pytest.approx(100 * mean[0])
    assert 34.5 < good < 35.5
    assert 0.5 < mean[1] < 0.53
    assert math.exp(table["value"][-2]) == pytest.approx(240_000, rel=0.02)  # as the question says
