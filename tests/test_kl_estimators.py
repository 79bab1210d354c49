"""Vouches for the values and slopes of k1, k2 and k3; what they are on average belongs to the theorems."""

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from alignbook.kl_estimators import k1, k1_slope, k2, k2_slope, k3, k3_slope

LOG_RATIOS = np.concatenate([np.linspace(-20, 20, 81), 10.0 ** np.arange(-12, 0), -(10.0 ** np.arange(-12, 0))])


def test_values_by_hand():
    # the policy gives the answer twice as often as the reference: r = 1/2
    twice = np.array([math.log(2)])
    assert k1(twice).tolist() == [math.log(2)]
    assert k2(twice).tolist() == pytest.approx([math.log(2) ** 2 / 2])
    assert k3(twice).tolist() == pytest.approx([math.log(2) - 1 / 2])
    assert [k1_slope(twice)[0], k2_slope(twice)[0]] == [1.0, math.log(2)]
    assert k3_slope(twice).tolist() == pytest.approx([1 / 2])


def exactly(definition):
    """The definition at each log-ratio, of which the source's r is e^-l."""
    with mp.workdps(50):
        return np.array([float(definition(mp.exp(-mpf(float(x))))) for x in LOG_RATIOS])


def test_values_are_the_sources_in_its_own_letter():
    np.testing.assert_allclose(k1(LOG_RATIOS), exactly(lambda r: -mp.log(r)), rtol=1e-15)
    np.testing.assert_allclose(k2(LOG_RATIOS), exactly(lambda r: mp.log(r) ** 2 / 2), rtol=1e-15)
    k3_exactly = exactly(lambda r: (r - 1) - mp.log(r))
    error = np.abs(k3(LOG_RATIOS) - k3_exactly)
    assert np.all(error <= 1e-15 * (np.abs(LOG_RATIOS) + k3_exactly))  # the rounding of l itself
    assert np.all(k3(LOG_RATIOS) >= 0)


def derivatives(definition):
    """The derivative with respect to l at each log-ratio, by a central difference with an error of 1e-40."""
    with mp.workdps(80):
        step = mpf(10) ** -20
        return [
            float((definition(mp.exp(-mpf(float(x)) - step)) - definition(mp.exp(-mpf(float(x)) + step))) / (2 * step))
            for x in LOG_RATIOS
        ]


def test_slopes_are_the_derivatives():
    for slope, definition in (
        (k1_slope, lambda r: -mp.log(r)),
        (k2_slope, lambda r: mp.log(r) ** 2 / 2),
        (k3_slope, lambda r: r - 1 - mp.log(r)),
    ):
        np.testing.assert_allclose(slope(LOG_RATIOS), derivatives(definition), rtol=1e-14, atol=1e-30)


def test_an_answer_the_reference_never_gives_costs_everything_but_pulls_k3_by_one():
    never = np.array([math.inf])
    assert [float(k(never)[0]) for k in (k1, k2, k3)] == [math.inf] * 3
    assert k3_slope(never).tolist() == [1.0]
