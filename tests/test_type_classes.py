"""Vouches for types: all of them, their sizes and their chances, against sequences one by one and mpmath at 60 digits.

Logarithms of sizes are exact to 4e-15 of themselves; of chances too, plus 2e-16 times the length, and near the law
itself to 1e-13 whatever the length.
"""

import itertools
import math
import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from mpmath import loggamma, mp, mpf
from strategies import normalized

from alignbook import type_classes
from alignbook.type_classes import log_class_probability, log_class_size, number_of_types, types

COIN = np.log([0.5, 0.5])


def exact_log_size(counts):
    return loggamma(sum(counts) + 1) - mp.fsum(loggamma(c + 1) for c in counts)


def test_values_by_hand():
    assert types(2, 3).tolist() == [[0, 3], [1, 2], [2, 1], [3, 0]]
    assert types(3, 1).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(np.exp(log_class_size(types(2, 3))), [1, 3, 3, 1], rtol=1e-14)
    fair = log_class_probability(np.log([0.5, 0.5]), types(2, 3))
    np.testing.assert_allclose(np.exp(fair), [1 / 8, 3 / 8, 3 / 8, 1 / 8], rtol=1e-14)


@pytest.mark.parametrize(("letters", "length"), [(1, 5), (2, 0), (2, 9), (3, 6), (4, 5), (5, 4)])
def test_types_and_their_sizes_are_those_of_all_sequences(letters, length):
    rng = np.random.default_rng(0)
    log_p = normalized(2 * rng.standard_normal((60, letters)))
    found = types(letters, length)
    sequences = itertools.product(range(letters), repeat=length)
    sizes = Counter(tuple(one.count(letter) for letter in range(letters)) for one in sequences)
    assert sorted(sizes) == sorted(map(tuple, found.tolist()))
    assert len(found) == len(sizes) == number_of_types(letters, length)
    assert np.exp(log_class_size(found)) == pytest.approx([sizes[tuple(row)] for row in found.tolist()], rel=1e-13)
    each = np.exp(log_p @ found.T) * [sizes[tuple(row)] for row in found.tolist()]
    np.testing.assert_allclose(np.exp(log_class_probability(log_p, found)), each, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("letters", "length"), [(2, 10**6), (3, 1000), (4, 60)])
def test_sizes_and_chances_of_long_sequences(letters, length):
    rng = np.random.default_rng(1)
    log_p = normalized(rng.standard_normal(letters))
    found = types(letters, length)
    chances = log_class_probability(log_p, found)
    assert math.fsum(np.exp(chances)) == pytest.approx(1, abs=1e-13)
    sizes = log_class_size(found)
    near = np.argmax(chances)
    with mp.workdps(60):
        p = [mp.exp(mpf(float(x))) for x in log_p]
        shares = [mp.log(q / mp.fsum(p)) for q in p]
        for i in [0, -1, near, *rng.integers(0, len(found), 60)]:
            size = exact_log_size([int(c) for c in found[i]])
            chance = size + mp.fsum(int(c) * share for c, share in zip(found[i], shares, strict=True))
            assert float(sizes[i]) == pytest.approx(float(size), rel=4e-15, abs=1e-14)
            rounding = 1e-13 if i == near else 4e-15 * abs(chance) + 2e-16 * length + 1e-14
            assert abs(mpf(float(chances[i])) - chance) <= rounding


def test_sizes_of_single_types_of_different_lengths():
    counts = np.array([[0, 0, 0], [23, 0, 0], [24, 1, 0], [10**6, 10**3, 1], [5, 25, 24]])
    with mp.workdps(60):
        expected = [float(exact_log_size([int(c) for c in row])) for row in counts]
    np.testing.assert_allclose(log_class_size(counts), expected, rtol=1e-14, atol=1e-14)


def test_letters_that_never_come():
    chances = log_class_probability(np.array([*COIN, -math.inf]), types(3, 4))
    expected = log_class_probability(COIN, types(2, 4))
    assert chances[types(3, 4)[:, 2] > 0].max() == -math.inf
    np.testing.assert_allclose(chances[types(3, 4)[:, 2] == 0], expected, rtol=0, atol=1e-14)


def test_memory_is_in_proportion_to_the_types():
    peaks = []
    for length in (60, 120):
        tracemalloc.start()
        types(4, length)
        peaks.append(tracemalloc.get_traced_memory()[1] / number_of_types(4, length))
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 4 * 4 * 8  # bytes: less than four times the counts themselves


def test_too_many_types_are_refused_with_their_number():
    limit = type_classes.MOST_TYPES
    sentence = f"`alphabet_size` 4 and `length` 3000 make 4509005501 types, more than the {limit} that are listed."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        types(4, 3000)
    assert math.comb(3003, 3) == 4509005501 == number_of_types(4, 3000)


def test_bad_arguments():
    for call, sentence in {
        lambda: types(0, 3): "`alphabet_size` must be at least 1, got 0.0.",
        lambda: types(2, -1): "`length` must be at least 0, got -1.0.",
        lambda: log_class_size(np.array([1, -1])): "`counts` must be at least 0, got -1.0.",
        lambda: log_class_probability(np.log([0.5, 0.5]), np.array([[1, 1], [1, 2]])): (
            "`counts` must sum to one length, got 2 and others."
        ),
        lambda: log_class_probability(np.log([0.5, 0.5]), np.array([[1, 1, 1]])): (
            "`log_p`, `counts` must have the same answers on the last axis, got shapes (2,) and (1, 3)."
        ),
    }.items():
        with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
            call()
