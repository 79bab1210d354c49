"""The statements on letters that depend on the one before: random chains, cycles among them, and a chain in two pieces.

The second opinion: all sequences one by one, powers of the matrix in plain numpy, the exact law of a total step by
step, numpy's eigenvalues, scipy's suprema. Limits are met as 1/n, and how near is stated.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from strategies import normalized

from alignbook.asymptotics import log_mgf, markov_log_mgf, tilted_chain
from alignbook.best_of_n import best_of_n
from alignbook.information import expectation, kl_divergence, variance
from alignbook.tilting import tilt

INSTANCES = 60
IN_TWO_PIECES = np.log([[0.5, 0.5, 1e-300], [0.5, 0.5, 1e-300], [1e-300, 1e-300, 1.0]])
IN_TWO_PIECES[IN_TWO_PIECES < -600] = -np.inf


def chains(seed, letters=3, count=INSTANCES):
    """Log-transitions and rewards of steps; in half of the chains no letter repeats, in a sixth they go round."""
    rng = np.random.default_rng(seed)
    weights = 1.5 * rng.standard_normal((count, letters, letters))
    weights[::2, range(letters), range(letters)] = -np.inf
    around = np.where(np.roll(np.eye(letters), 1, axis=1) > 0, 0.0, -np.inf)
    weights[::6] = around
    return normalized(weights), rng.standard_normal((count, letters, letters))


def coins(seed, count=INSTANCES):
    """Two letters, the second one earns 1; their transitions are uneven."""
    rng = np.random.default_rng(seed)
    ones = rng.uniform(0.1, 0.9, (count, 2))
    return np.log(np.stack([1 - ones, ones], axis=-1)), np.array([0.0, 1.0])


def log_moments(log_transition, reward, t, length):
    """The logarithm of E e^(t R) of so many letters, for each first letter, by powers of the matrix."""
    kernel = np.exp(log_transition + t * reward)
    vector, scale = np.ones(kernel.shape[:-1]), 0.0
    for _ in range(length):
        vector = np.einsum("...yz,...z->...y", kernel, vector)
        scale = scale + np.log(vector.max(axis=-1))
        vector = vector / vector.max(axis=-1, keepdims=True)
    return np.log(vector) + scale[..., None]


def log_totals(log_p, length):
    """The exact log-laws of the number of second letters among so many, from the first letter 0, step by step."""
    zero, one = np.exp(log_p[..., 0]), np.exp(log_p[..., 1])
    law = np.zeros((len(log_p), 2, length + 1))
    law[:, 0, 0] = 1.0
    for _ in range(length):
        to_zero, to_one = (np.einsum("iy,iyk->ik", p, law) for p in (zero, one))
        law = np.stack([to_zero, np.pad(to_one[:, :-1], ((0, 0), (1, 0)))], axis=1)
    with np.errstate(divide="ignore"):
        return normalized(np.log(law.sum(axis=1)))


def eigen(log_p, reward, t):
    """The logarithm of the largest eigenvalue and its eigenvector, by numpy."""
    values, vectors = np.linalg.eig(np.exp(log_p + t * reward))
    top = np.argmax(values.real)
    return np.log(values[top].real), np.abs(vectors[:, top])


def test_the_log_moments_of_a_markov_source_grow_as_the_spectral_radius():
    """Within the span of the eigenvector's logarithm, at every length and from every letter."""
    log_p, reward = chains(0)
    for t in (-3.0, -0.5, 0.0, 0.8, 2.0):
        found = markov_log_mgf(log_p, reward, t)
        for i in range(INSTANCES):
            log_radius, vector = eigen(log_p[i], reward[i], t)
            assert found[i] == pytest.approx(log_radius, abs=1e-12)
            span = np.ptp(np.log(vector))
            for length in (1, 2, 7, 60):
                off = log_moments(log_p[i], reward[i], t, length) - length * found[i]
                assert np.all(np.abs(off) <= span + 1e-9)


def test_the_log_moments_are_those_of_all_sequences():
    log_p, reward = chains(1)
    for first, t in itertools.product(range(3), (-1.0, 0.7)):
        letters = np.array([(first, *rest) for rest in itertools.product(range(3), repeat=6)])
        steps = letters[:, :-1], letters[:, 1:]
        whole = np.log(np.exp(log_p[:, *steps].sum(-1) + t * reward[:, *steps].sum(-1)).sum(-1))
        np.testing.assert_allclose(log_moments(log_p, reward, t, 6)[:, first], whole, rtol=0, atol=1e-10)


def test_letters_that_forget_at_once_are_independent():
    rng = np.random.default_rng(2)
    log_p, reward = normalized(rng.standard_normal((INSTANCES, 4))), rng.standard_normal((INSTANCES, 4))
    rows = np.repeat(log_p[:, None, :], 4, axis=1)
    for t in (-20.0, -1.0, 0.0, 1e-3, 3.0):
        found = markov_log_mgf(rows, reward[:, None, :], t)
        np.testing.assert_allclose(found, log_mgf(log_p, reward, t), rtol=1e-13, atol=1e-14)
    chain, letter = tilted_chain(rows, reward[:, None, :], 1.5), tilt(log_p, reward, 1 / 1.5)
    np.testing.assert_allclose(chain.log_transition, np.repeat(letter[:, None, :], 4, axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.log_p, letter, rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.kl, kl_divergence(letter, log_p), rtol=1e-11, atol=1e-13)


def test_independent_letters_of_the_same_frequencies_miss_what_depends():
    """Without independence the log-MGF of the stationary letter has the right mean and a wrong variance."""
    log_p, reward = coins(3)
    stationary = tilted_chain(log_p, reward, 0.0).log_p
    step = 1e-4
    chain, letter = (
        (f(step) + f(-step)) / step**2
        for f in (lambda t: markov_log_mgf(log_p, reward, t), lambda t: log_mgf(stationary, reward, t))
    )
    np.testing.assert_allclose(letter, variance(stationary, reward), rtol=0, atol=1e-5)
    ones = np.exp(log_p[..., 1])
    again = ones[:, 1] - ones[:, 0]  # the correlation of neighbors
    np.testing.assert_allclose(chain / letter, (1 + again) / (1 - again), rtol=1e-4)
    assert np.median(np.abs(chain / letter - 1)) > 0.3


def test_rate_and_log_moments_of_a_markov_source_are_each_others_legendre_transforms():
    log_p, reward = chains(4)
    for t in (-1.5, -0.3, 0.4, 1.2):
        chain = tilted_chain(log_p, reward, t)
        step = 1e-5
        slope = (markov_log_mgf(log_p, reward, t + step) - markov_log_mgf(log_p, reward, t - step)) / (2 * step)
        np.testing.assert_allclose(chain.reward, slope, rtol=0, atol=1e-8)
        np.testing.assert_allclose(chain.kl, t * chain.reward - markov_log_mgf(log_p, reward, t), rtol=0, atol=1e-12)
        for i in range(INSTANCES):
            best = minimize_scalar(
                lambda s, i=i, x=chain.reward[i]: eigen(log_p[i], reward[i], s)[0] - s * x,
                bounds=(-6, 6),
                method="bounded",
            )
            assert chain.kl[i] == pytest.approx(-best.fun, abs=1e-8)


def test_the_tilted_chain_is_a_chain_with_its_stationary_law():
    log_p, reward = chains(5, letters=5)
    chain = tilted_chain(log_p, reward, 1.3)
    transition, law = np.exp(chain.log_transition), np.exp(chain.log_p)
    np.testing.assert_allclose(transition.sum(-1), 1, rtol=1e-13)
    np.testing.assert_allclose(np.einsum("iy,iyz->iz", law, transition), law, rtol=0, atol=1e-12)
    assert np.array_equal(np.isneginf(chain.log_transition), np.isneginf(log_p))


def test_cramers_theorem_for_a_markov_source():
    """The exact chance of a high mean reward; Chernoff's bound with the eigenvector's span holds at every length."""
    log_p, reward = coins(6)
    chain = tilted_chain(log_p, reward, 0.7)
    vectors = np.stack([eigen(law, reward, 0.7)[1] for law in log_p])
    slack = np.log(vectors[:, 0] / vectors.min(axis=-1))  # the first letter is the first of the two
    off = []
    for length in (100, 900):
        least = np.ceil(length * chain.reward)
        reached = np.arange(length + 1) >= least[:, None]
        tail = np.logaddexp.reduce(np.where(reached, log_totals(log_p, length), -np.inf), axis=-1)
        above = 0.7 * (least - length * chain.reward)  # what rounding up to a whole total costs
        assert np.all(tail <= -length * chain.kl - above + slack + 1e-9)
        off.append(-(tail + above) / length - chain.kl)
    assert np.all(off[1] < 0.5 * off[0])
    assert np.all(off[1] < 1.5 * math.log(900) / 900)


def test_the_optimum_of_a_long_answer_settles_into_the_tilted_chain():
    """The whole answer's tilt, exactly by a recursion from its end: its transitions, reward and KL a letter."""
    log_p, reward = chains(7)
    t, length = 0.8, 400
    chain = tilted_chain(log_p, reward, t)
    ahead = np.zeros((INSTANCES, 3))
    law, reward_of, kl_of = [], np.zeros((INSTANCES, 3)), np.zeros((INSTANCES, 3))
    for _ in range(length):  # from the last letter to the first
        weights = log_p + t * reward + ahead[:, None, :]
        step = normalized(weights)
        ahead = np.logaddexp.reduce(weights, axis=-1)
        ahead -= ahead.max(axis=-1, keepdims=True)
        p = np.exp(step)
        reward_of = np.sum(p * (reward + reward_of[:, None, :]), axis=-1)
        kl_of = np.sum(p * (np.where(p > 0, step - np.where(p > 0, log_p, 0), 0) + kl_of[:, None, :]), axis=-1)
        law.append(p)
    middle = np.abs(law[length // 2] - np.exp(chain.log_transition)).max(axis=(-2, -1))
    values = np.sort(np.abs(np.linalg.eigvals(np.exp(log_p + t * reward))), axis=-1)
    assert np.all(middle < 100 * (values[:, -2] / values[:, -1]) ** (length // 2) + 1e-12)  # as a chain forgets
    assert np.median(middle) < 1e-12
    for total, limit in ((reward_of, chain.reward), (kl_of, chain.kl)):
        assert np.max(np.abs(total / length - limit[:, None])) < 10 / length


def test_best_of_n_meets_the_tilt_of_a_markov_source():
    """At N = e^(n rate) draws: reward, KL and divergence from the tilt, a letter."""
    log_p, reward = coins(8)
    chain = tilted_chain(log_p, reward, 0.6)
    off = []
    for length in (150, 1200):
        ref, totals = log_totals(log_p, length), np.arange(length + 1.0)
        best = best_of_n(ref, totals, log_n=length * chain.kl)
        accounts = expectation(best, totals), kl_divergence(best, ref), kl_divergence(best, tilt(ref, totals, 1 / 0.6))
        limits = chain.reward, chain.kl, 0.0
        off.append([np.abs(found / length - limit) for found, limit in zip(accounts, limits, strict=True)])
    assert np.max(off[1]) < 0.02
    assert np.all(np.array(off[1]) < 0.5 * np.array(off[0]) + 1e-4)


def test_a_chain_in_two_pieces_has_no_log_mgf_of_its_own():
    """The dropped assumption: where letters cannot all reach each other, the limit depends on the first one."""
    reward = np.array([0.0, 1.0, 0.2])
    found = log_moments(IN_TWO_PIECES, reward, 1.0, 500) / 500
    np.testing.assert_allclose(found[:2], math.log((1 + math.e) / 2), rtol=0, atol=1e-2)
    assert found[2] == pytest.approx(0.2, abs=1e-12)
    for function in (markov_log_mgf, tilted_chain):
        with pytest.raises(ValueError, match=r"^`log_transition` must lead from every letter to every other"):
            function(IN_TWO_PIECES, reward, 1.0)
