"""Vouches for what the lab of Chapter 10 shows: all the million answers one by one, from the definitions at each order.

Sums of a million terms of one sign are good to 1e-12 of themselves.
"""

import math

import numpy as np
import pytest

from alignbook.experiments import what_does_the_order_do as lab
from alignbook.experiments.declare import starts

SIZES = np.array([1, 100, 1_000_000])


def spread(log_shares):
    """The law on single answers: each kind's share in equal parts."""
    return np.repeat(np.exp(log_shares) / SIZES, SIZES)


def table_at(**changes):
    settings = starts(lab.EXPERIMENT) | changes
    *_, table = lab.EXPERIMENT.run(settings)
    return table, settings


def by_definition(measure, p, q, order):
    """The quantity and the unnormalized weights, answer by answer."""
    if measure == "entropy":
        weights, limit = p**order, -np.sum(p * np.log(p))
    elif measure == "divergence":
        weights, limit = p**order * q ** (1 - order), np.sum(p * np.log(p / q))
    else:
        weights, limit = p * q ** (order - 1), -np.sum(p * np.log(q))
    sign = -1 if measure == "divergence" else 1
    return limit if order == 1 else sign * math.log(np.sum(weights)) / (1 - order), weights


@pytest.mark.parametrize("measure", lab.MEASURES)
@pytest.mark.parametrize("other", lab.OTHERS)
def test_point_and_weights_are_those_of_all_answers_one_by_one(measure, other):
    p, q = spread(lab.LOG_P), spread(lab.OTHERS[other])
    for order in (0.0, 0.5, 1.0, 2.0, 4.0):
        table, _ = table_at(order=order, measure=measure, other=other)
        exact, weights = by_definition(measure, p, q, order)
        assert table["nats"][table["part"].index("point")] == pytest.approx(exact, rel=1e-11, abs=1e-13)
        shares = [part.sum() / weights.sum() for part in np.split(weights, np.cumsum(SIZES)[:-1])]
        assert table["probability"][3:6] == pytest.approx(shares, rel=1e-10)


def test_the_curves_pass_through_the_points():
    for order in lab.ORDER.grid:
        for measure in lab.MEASURES:
            table, _ = table_at(order=order, measure=measure)
            rows = list(zip(table["part"], table["measure"], table["order"], table["nats"], strict=True))
            on_curve = np.interp(order, *zip(*[row[2:] for row in rows if row[:2] == ("curve", measure)], strict=True))
            point = next(row[3] for row in rows if row[0] == "point")
            assert on_curve == pytest.approx(point, abs=0.15)  # between two points of the curve, a straight line


def test_two_answers_agree_as_often_as_among_four():
    pairs = np.sum(spread(lab.LOG_P) ** 2)
    assert pairs == pytest.approx(0.2509, abs=1e-4)
    for changes in ({}, {"measure": "divergence", "order": 3.0, "other": "wide"}):
        table, settings = table_at(**changes)
        chosen = lab.EXPERIMENT.prediction.options[lab.EXPERIMENT.prediction.answer(table, settings)]
        assert chosen == f"about {1 / pairs:.0f}"
    assert math.exp(-np.sum(spread(lab.LOG_P) * np.log(spread(lab.LOG_P)))) == pytest.approx(177, abs=0.5)


def test_the_sentence_counts():
    said = lab.describe(*table_at(order=0.5))
    assert "as of 205,570 equally likely answers" in said
    assert "0.002, 0.012, 0.986" in said


def test_the_sentence_states_both_laws_and_no_negative_zero():
    said = lab.describe(*table_at(order=0.0, measure="divergence", other="narrow"))
    assert "the divergence is 0.000 nats." in said
    assert "those of the narrow q are 0.900, 0.099, 0.001." in said
