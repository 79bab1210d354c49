"""Vouches for the numbers of letters that depend on the one before: by hand, against mpmath, at the edges.

The log-MGF is the logarithm of the largest eigenvalue to 1e-13 of itself, also where letters hardly ever change.
"""

import math
import re

import numpy as np
import pytest
from mpmath import mp, mpf
from strategies import normalized

from alignbook.asymptotics import markov_log_mgf, tilted_chain

STAY = np.log([[0.75, 0.25], [0.25, 0.75]])  # a letter stays three times as likely as it changes
WITH_HOLES = np.where(np.eye(3) > 0, -np.inf, math.log(0.5))


def test_values_by_hand():
    # the kernel has the trace (3/4) (2 + 1/2) and the determinant 9/16 - 1/16
    largest = (15 / 8 + math.sqrt((15 / 8) ** 2 - 2)) / 2
    found = markov_log_mgf(STAY, np.array([1.0, -1.0]), math.log(2))
    assert float(found) == pytest.approx(math.log(largest), rel=1e-15)
    chain = tilted_chain(STAY, np.array([1.0, -1.0]), 0.0)
    np.testing.assert_allclose(chain.log_transition, STAY, rtol=0, atol=1e-15)
    np.testing.assert_allclose(np.exp(chain.log_p), [0.5, 0.5], rtol=1e-15)
    assert float(chain.reward) == pytest.approx(0, abs=1e-15)
    assert float(chain.kl) == 0


def test_a_way_around_has_nothing_to_choose():
    around = np.where(np.roll(np.eye(3), 1, axis=1) > 0, 0.0, -np.inf)
    for t in (-700.0, -1.0, 0.0, 2.0, 700.0):
        assert float(markov_log_mgf(around, np.array([1.0, 2.0, 4.0]), t)) == pytest.approx(t * 7 / 3, rel=1e-14)
        chain = tilted_chain(around, np.array([1.0, 2.0, 4.0]), t)
        assert np.array_equal(chain.log_transition, around)
        assert float(chain.reward) == pytest.approx(7 / 3, rel=1e-13)
        assert float(chain.kl) == pytest.approx(0, abs=1e-24)


def test_one_letter():
    assert float(markov_log_mgf(np.zeros((1, 1)), np.array([2.0]), 3.0)) == 6.0
    assert float(tilted_chain(np.zeros((1, 1)), np.array([2.0]), 3.0).kl) == 0.0


def test_the_largest_eigenvalue_to_the_last_digits():
    """Random chains with transitions down to e^-60, rewards of either sign, against mpmath at 60 digits."""
    rng = np.random.default_rng(0)
    for scale, t in ((1.0, 0.3), (20.0, 1.0), (60.0, -2.0)):
        log_p, reward = normalized(-scale * rng.random((4, 4))), rng.standard_normal((4, 4))
        with mp.workdps(60):
            weights = [[mp.exp(mpf(float(x))) for x in row] for row in log_p]
            kernel = mp.matrix(
                [
                    [w / mp.fsum(row) * mp.exp(mpf(t) * mpf(float(r))) for w, r in zip(row, rewards, strict=True)]
                    for row, rewards in zip(weights, reward, strict=True)
                ]
            )
            exact = mp.log(max(abs(value) for value in mp.eig(kernel, left=False, right=False)))
        assert float(markov_log_mgf(log_p, reward, t)) == pytest.approx(float(exact), rel=1e-13, abs=1e-14)


def test_letters_that_hardly_ever_change():
    """Each letter alone earns t or -t: the larger of them is the log-MGF, however rare a change is."""
    rare = normalized(np.array([[0.0, -200.0], [-200.0, 0.0]]))
    assert float(markov_log_mgf(rare, np.array([1.0, -1.0]), 1.5)) == pytest.approx(1.5, rel=1e-15)
    chain = tilted_chain(rare, np.array([1.0, -1.0]), 1.5)
    np.testing.assert_allclose(np.exp(chain.log_p), [1.0, 0.0], rtol=0, atol=1e-15)
    assert float(chain.kl) == pytest.approx(0, abs=1e-15)


def test_a_reward_of_the_letter_reached_and_one_of_the_step():
    rng = np.random.default_rng(1)
    log_p, of_letter = normalized(rng.standard_normal((7, 3, 3))), rng.standard_normal((7, 3))
    of_step = np.repeat(of_letter[:, None, :], 3, axis=1)
    one, other = (tilted_chain(log_p, reward, 0.7) for reward in (of_letter[:, None, :], of_step))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-14)
    alone = markov_log_mgf(log_p[0], of_letter[0], 0.7)
    assert float(alone) == float(markov_log_mgf(log_p, of_step, 0.7)[0])


def test_where_a_step_cannot_be_its_reward_does_not_count():
    reward = np.where(np.eye(3) > 0, np.nan, 1.0)
    assert float(markov_log_mgf(WITH_HOLES, reward, 0.5)) == pytest.approx(0.5, rel=1e-15)


def test_bad_arguments():
    calls = [
        ((STAY, np.zeros(2), math.inf), "`t` must be finite, got inf."),
        ((STAY, np.array([1.0, -math.inf]), 1.0), "`reward` must be finite, got -inf."),
        (
            (np.zeros((2, 2)), np.zeros(2), 1.0),
            "`log_transition` must hold log-probabilities that sum to one on its last axis, got the sum 2.0.",
        ),
        (
            (np.array([[0.0, -np.inf], [-np.inf, 0.0]]), np.zeros(2), 1.0),
            "`log_transition` must lead from every letter to every other, got one that is never reached.",
        ),
    ]
    _refuse(calls)


@pytest.mark.usefixtures("shapes_unchecked")
def test_bad_shapes():
    rows = np.log(np.full((3, 2), 0.5))
    calls = [
        ((STAY[0], np.zeros(2), 1.0), "`log_transition` must have a row for each letter, got shape (2,)."),
        ((rows, np.zeros(2), 1.0), "`log_transition` must have a row for each letter, got shape (3, 2)."),
        (
            (STAY, np.zeros(3), 1.0),
            "`log_transition`, `reward` must have the same answers on the last axis, got shapes (2, 2) and (3,).",
        ),
    ]
    _refuse(calls)


def _refuse(calls):
    for arguments, sentence in calls:
        for function in (markov_log_mgf, tilted_chain):
            with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
                function(*arguments)
