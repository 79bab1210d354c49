"""Vouches for the door to an experiment: settings from outside are those of its declaration, or refused in words."""

import json
import math

import pytest

from alignbook.experiments.declare import checked, checked_value
from tests.labs_sample import GROWTH, RATE, SHAPE, STEPS, WEIGHTS

GOOD = {"rate": 0.25, "shape": "square", "weights": [0.5, 2.0], "steps": 20}


def test_settings_within_the_declaration_pass_unchanged():
    assert checked(GROWTH, GOOD) == GOOD
    assert checked(GROWTH, GOOD | {"weights": "odd"})["weights"] == "odd"


def test_numbers_arrive_in_their_own_type_as_json_does_not_tell_1_from_1_0():
    settings = checked(GROWTH, json.loads('{"rate": 1, "shape": "line", "weights": [1, 2], "steps": 20.0}'))
    assert [type(value) for value in (settings["rate"], settings["steps"])] == [float, int]
    assert [type(entry) for entry in settings["weights"]] == [float, float]


@pytest.mark.parametrize("value", [RATE.low, RATE.high])
def test_the_ends_of_a_slider_pass(value):
    assert checked_value(RATE, value) == value


REFUSED = [
    (RATE, 1.5, "`rate` must be a number between 0.1 and 1, got 1.5."),
    (RATE, math.nan, "`rate` must be a number between 0.1 and 1, got nan."),
    (RATE, True, "`rate` must be a number between 0.1 and 1, got True."),
    (RATE, "0.5", "`rate` must be a number between 0.1 and 1, got '0.5'."),
    (RATE, None, "`rate` must be a number between 0.1 and 1, got None."),
    (STEPS, 2.5, "`steps` must be a whole number, got 2.5."),
    (STEPS, math.inf, "`steps` must be a whole number between 1 and 1e+06, got inf."),
    (STEPS, 10**7, "`steps` must be a whole number between 1 and 1e+06, got 10000000."),
    (SHAPE, "cube", "`shape` must be one of line, square, got 'cube'."),
    (SHAPE, 0, "`shape` must be one of line, square, got 0."),
    (SHAPE, ["line"], "`shape` must be one of line, square, got ['line']."),
    (WEIGHTS, "none", "`weights` must be one of even, odd or a list of 2 numbers, got 'none'."),
    (WEIGHTS, [1.0], "`weights` must be one of even, odd or a list of 2 numbers, got [1.0]."),
    (WEIGHTS, [1.0, "2"], "`weights` must be a number between 0 and 2, got '2'."),
    (WEIGHTS, {"a": 1.0}, "`weights` must be one of even, odd or a list of 2 numbers, got {'a': 1.0}."),
]


@pytest.mark.parametrize(("parameter", "value", "sentence"), REFUSED, ids=[sentence for _, _, sentence in REFUSED])
def test_a_value_outside_the_declaration_is_refused_in_words(parameter, value, sentence):
    with pytest.raises(ValueError) as refusal:
        checked_value(parameter, value)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("settings", [{}, GOOD | {"run": "x"}, [], None, {"rate": 0.25}])
def test_missing_and_unknown_parameters_are_refused(settings):
    with pytest.raises(ValueError, match="`settings` must name rate, shape, weights, steps, got "):
        checked(GROWTH, settings)
