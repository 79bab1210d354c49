"""`alignbook.behaviors`: clouds have the moments they are asked for, and measures are those of plain numpy."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alignbook.arrays import to_engine
from alignbook.behaviors import (
    Behaviors,
    behaviors,
    concentration,
    corrected_distinguishability,
    distinguishability,
    gaussian_noise,
    laplace_noise,
    mean_difference,
    permuted_distinguishability,
    priority_level,
    two_differences,
)

CORNERS = np.array([[[2.0, 0.0], [4.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])  # means (3, 0) and (0, 0)
YES_YES_NO_NO = np.array([[1.0, 1.0, -1.0, -1.0]])


def as_numpy(array):
    return np.asarray(array.cpu() if isinstance(array, torch.Tensor) else array)


# By hand


def test_values_by_hand():
    assert mean_difference(CORNERS, YES_YES_NO_NO).tolist() == [[3.0, 0.0]]
    assert distinguishability(CORNERS, YES_YES_NO_NO).tolist() == [3.0]
    assert concentration(CORNERS, YES_YES_NO_NO)[0] == pytest.approx(1.0, rel=1e-15)  # both halves have variance 1
    # 9 - 2/2 - 2/2: each half's covariance has the trace 2 over n - 1 = 1
    assert corrected_distinguishability(CORNERS, YES_YES_NO_NO)[0] == pytest.approx(math.sqrt(7), rel=1e-15)
    assert concentration(CORNERS * [2.0, 3.0], YES_YES_NO_NO)[0] == pytest.approx(9.0, rel=1e-15)
    # (16 - 1) / (sqrt 17 · 4)
    assert priority_level(np.array([4.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(15 / (4 * math.sqrt(17)))


def test_two_differences_have_the_lengths_and_the_angle_asked_for():
    pair = two_differences(4.0, np.array([1.0, 2.0, 0.5]), np.array([0.0, 2.0, math.pi]), 5)
    assert pair.shape == (3, 2, 5)
    np.testing.assert_allclose(np.linalg.norm(pair, axis=-1), [[4, 1], [4, 2], [4, 0.5]], rtol=1e-15)
    cosines = np.sum(pair[:, 0] * pair[:, 1], axis=-1) / np.prod(np.linalg.norm(pair, axis=-1), axis=-1)
    np.testing.assert_allclose(np.arccos(cosines), [0.0, 2.0, math.pi], atol=1e-7)
    assert np.all(pair[:, :, 2:] == 0)
    assert np.all(pair[:, 0, 0] == 4)


def test_without_noise_a_statement_is_its_halfs_mean():
    data = behaviors(np.array([[4.0, 0.0], [0.0, 1.0]]), 0.0, num_statements=4, common_mean=np.array([1.0, 5.0]))
    assert data.labels.tolist() == [[1, 1, -1, -1]] * 2
    assert data.embeddings[:, [0, 3]].tolist() == [[[3.0, 5.0], [-1.0, 5.0]], [[1.0, 5.5], [1.0, 4.5]]]
    np.testing.assert_array_equal(mean_difference(*data), [[4.0, 0.0], [0.0, 1.0]])


# The data


@pytest.mark.parametrize("draw", [gaussian_noise, laplace_noise])
def test_both_noises_have_mean_0_and_variance_1(draw):
    x = draw(np.random.default_rng(0), (1_000_000,))
    fourth = {gaussian_noise: 3.0, laplace_noise: 6.0}[draw]
    assert abs(np.mean(x)) < 4e-3  # four standard errors
    assert abs(np.var(x) - 1) < 4 * math.sqrt((fourth - 1) / 1e6)


def test_laplace_tails_are_sub_exponential():
    """Kurtosis 6 against the normal law's 3, and the distribution function of the Laplace law itself.

    The eighth moment of the unit Laplace law is 8!/2^4 = 2520, so over a million draws the fourth moment has a
    standard error of .05 and four of them are .2.
    """
    x = laplace_noise(np.random.default_rng(1), (1_000_000,))
    assert abs(np.mean(x**4) - 6) < 0.2
    assert abs(np.mean(gaussian_noise(np.random.default_rng(1), (1_000_000,)) ** 4) - 3) < 0.04
    for level in (0.5, 2.0, 5.0):
        tail = math.exp(-math.sqrt(2) * level)
        assert abs(np.mean(np.abs(x) > level) - tail) < 4 * math.sqrt(tail / 1e6)


def test_each_half_has_its_mean_and_its_noise_in_every_direction():
    b = np.array([[3.0, 0.0, 1.0], [0.0, 0.5, 0.0]])
    center = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -2.0]])
    data = behaviors(b, 0.5, num_statements=40_000, common_mean=center, positive_share=0.25, seed=3)
    error = 0.5 / math.sqrt(10_000)
    for place, sign in ((slice(None, 10_000), 0.5), (slice(10_000, None), -0.5)):
        half = data.embeddings[:, place]
        np.testing.assert_allclose(np.mean(half, axis=1), center + sign * b, rtol=0, atol=4.5 * error)
        for rows in half:  # a covariance from 10,000 draws is good to .25/100
            np.testing.assert_allclose(np.cov(rows.T), 0.25 * np.eye(3), rtol=0, atol=4.5 * 0.25 * math.sqrt(2e-4))


@given(st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]))
def test_the_positive_share_is_exact(count, share):
    labels = behaviors(np.ones((2, 1)), 1.0, num_statements=count, positive_share=share).labels
    assert np.sum(labels == 1, axis=-1).tolist() == [round(share * count)] * 2
    assert set(np.unique(labels)) <= {-1.0, 1.0}


def test_label_noise_flips_its_share_of_labels_and_no_embedding():
    clean = behaviors(np.array([[4.0, 0.0]]), 0.3, num_statements=50_000, seed=5)
    noisy = behaviors(np.array([[4.0, 0.0]]), 0.3, num_statements=50_000, label_noise=0.2, seed=5)
    assert np.array_equal(noisy.embeddings, clean.embeddings)
    flipped = noisy.labels != clean.labels
    for half in (flipped[0, :25_000], flipped[0, 25_000:]):
        assert abs(np.mean(half) - 0.2) < 4 * math.sqrt(0.16 / 25_000)


def test_seeds_are_a_batch_of_data_sets_each_the_one_of_its_seed():
    b = two_differences(4.0, np.array([[1.0], [2.0], [3.0]]), np.array([0.0, 1.0]), 3)  # (3, 2) settings
    options = {"num_statements": 20, "positive_share": np.array([0.25, 0.5]), "label_noise": 0.1}
    whole = behaviors(b, np.array([[0.1], [0.2], [0.3]]), seed=[7, 3], **options)
    assert whole.embeddings.shape == (2, 3, 2, 2, 20, 3)
    assert whole.labels.shape == (2, 3, 2, 2, 20)
    for given_seed, embeddings, labels in zip((7, 3), *whole, strict=True):
        alone = behaviors(b, np.array([[0.1], [0.2], [0.3]]), seed=given_seed, **options)
        assert np.array_equal(alone.embeddings, embeddings)
        assert np.array_equal(alone.labels, labels)
    assert np.array_equal(behaviors(b, 0.3, num_statements=4, seed=np.array([1])).embeddings[0],
                          behaviors(b, 0.3, num_statements=4, seed=1).embeddings)  # fmt: skip


def test_rows_behaviors_and_seeds_are_independent():
    data = behaviors(np.zeros((4, 3, 2)), 1.0, num_statements=5, seed=range(6))
    assert len(np.unique(data.embeddings)) == 6 * 4 * 3 * 5 * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_engine_draws_the_same_statements(engine, dtype):
    def run(where, kind):
        b = to_engine(np.array([[4.0, 0.5], [0.25, 1.0]]), where, kind)
        return behaviors(b, 0.25, num_statements=50, label_noise=0.2, noise_draw=laplace_noise, seed=[2, 9])

    expected, found = run("numpy", "float64"), run(engine, dtype)
    tolerance = 1e-6 if dtype == "float32" else 1e-15
    np.testing.assert_allclose(as_numpy(found.embeddings), expected.embeddings, rtol=tolerance, atol=10 * tolerance)
    assert np.array_equal(as_numpy(found.labels), expected.labels)
    assert {as_numpy(part).dtype for part in found} == {np.dtype(dtype)}


# The measures


def random_data(seed, batch=(4,), statements=30, features=6):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((*batch, statements)) < 0.4, 1.0, -1.0)
    labels[..., :4] = [1, 1, -1, -1]
    return rng.standard_normal((*batch, statements, features)) + 0.3 * labels[..., None], labels


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_plain_numpy(seed):
    embeddings, labels = random_data(seed, batch=(2, 3))
    for i, j in itertools.product(range(2), range(3)):
        yes, no = (embeddings[i, j][labels[i, j] == sign] for sign in (1, -1))
        b = yes.mean(0) - no.mean(0)
        np.testing.assert_allclose(mean_difference(embeddings, labels)[i, j], b, rtol=0, atol=1e-14)
        assert distinguishability(embeddings, labels)[i, j] == pytest.approx(np.linalg.norm(b), rel=1e-14)
        largest = max(np.linalg.eigvalsh(np.cov(half.T, bias=True))[-1] for half in (yes, no))
        assert concentration(embeddings, labels)[i, j] == pytest.approx(largest, rel=1e-12)
        unbiased = b @ b - sum(np.trace(np.cov(half.T)) / len(half) for half in (yes, no))
        corrected = corrected_distinguishability(embeddings, labels)[i, j]
        assert corrected == pytest.approx(math.sqrt(max(0.0, unbiased)), rel=1e-12)


def test_measures_do_not_see_where_the_cloud_lies_and_flipped_labels_turn_the_difference():
    embeddings, labels = random_data(9)
    for measure in (distinguishability, concentration, corrected_distinguishability):
        moved = measure(embeddings + np.array([5.0, -3.0, 0.0, 0.0, 1.0, 2.0]), labels)
        np.testing.assert_allclose(moved, measure(embeddings, labels), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(measure(embeddings, -labels), measure(embeddings, labels), rtol=1e-13)
    np.testing.assert_allclose(mean_difference(embeddings, -labels), -mean_difference(embeddings, labels), rtol=1e-13)


def test_the_square_under_the_corrections_root_is_unbiased():
    """5,000 small data sets in 40 dimensions: 10 + 30 statements, noise 1 and the true Delta 4.

    The plain square is 16 + 40/10 + 40/30 on average. Both means must lie within four standard errors.
    """
    b = np.zeros((1, 40))
    b[0, 0] = 4.0
    data = behaviors(b, 1.0, num_statements=40, positive_share=0.25, seed=range(5000))
    plain = distinguishability(*data)[:, 0] ** 2
    corrected = corrected_distinguishability(*data)[:, 0] ** 2
    assert np.all(corrected > 0)  # so that no clipping hides a bias
    for values, truth in ((plain, 16 + 40 / 10 + 40 / 30), (corrected, 16.0)):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(5000)


def test_noise_alone_lies_in_its_permutation_band_and_a_behavior_far_above():
    """Labels that know nothing: the share of data sets above their own 95 percent quantile is 5 percent.

    800 data sets, so a standard error of .8 percent.
    """
    data = behaviors(np.zeros((1, 5)), 1.0, num_statements=40, seed=range(800))
    bands = np.quantile(permuted_distinguishability(*data, 199, seed=1), 0.95, axis=-1)
    assert abs(np.mean(distinguishability(*data) > bands) - 0.05) < 4 * 0.0077
    strong = behaviors(np.array([[2.0, 0, 0, 0, 0]]), 1.0, num_statements=40, seed=range(100))
    assert np.all(distinguishability(*strong) > np.quantile(permuted_distinguishability(*strong, 99, seed=1), 0.95, -1))


def test_permutations_keep_the_halves_sizes_and_reach_every_order():
    """Of 1, 2 and 4 in two halves of one and two: six orders of the labels give three lengths."""
    embeddings, labels = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, -1.0, -1.0])
    found = permuted_distinguishability(embeddings, labels, 3000, seed=0)
    lengths, counts = np.unique(found.round(9), return_counts=True)
    assert lengths.tolist() == [0.5, 2.0, 2.5]
    assert np.all(np.abs(counts - 1000) < 4 * math.sqrt(3000 * 2 / 9))


VECTOR = st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-8]) | st.floats(-5, 5), min_size=3, max_size=3).map(np.array)


@given(VECTOR, VECTOR)
def test_the_priority_level_is_antisymmetric_and_between_minus_2_and_2(b_i, b_j):
    level = float(priority_level(b_i, b_j))
    assert abs(level) <= 2 + 1e-7
    assert level == -float(priority_level(b_j, b_i))
    mean = (b_i + b_j) / 2
    scale = np.linalg.norm(mean) * max(np.linalg.norm(b_i), np.linalg.norm(b_j))
    if scale > 1e-6:
        assert level == pytest.approx((mean @ b_i - mean @ b_j) / scale, rel=1e-8, abs=1e-8)


def test_the_priority_levels_edges():
    b = np.array([3.0, 1.0])
    assert priority_level(b, b) == 0
    assert priority_level(b, -b) == 0  # the pulls cancel
    assert priority_level(0 * b, 0 * b) == 0
    assert priority_level(b, 0 * b) == pytest.approx(1.0, rel=1e-15)
    assert priority_level(b, -0.999 * b) == pytest.approx(1.999, rel=1e-12)


# Bad input

ONE = np.ones((1, 2))
GOOD = np.ones((3, 2)), np.array([1.0, -1.0, -1.0])
REFUSED = [
    (behaviors, (ONE * math.nan, 1.0), {}, "`differences` must be finite, got nan."),
    (behaviors, (ONE, -1.0), {}, "`noise` must be at least 0, got -1.0."),
    (behaviors, (ONE, math.inf), {}, "`noise` must be finite, got inf."),
    (behaviors, (ONE, 1.0), {"positive_share": 1.5}, "`positive_share` must be at most 1.0, got 1.5."),
    (behaviors, (ONE, 1.0), {"positive_share": -0.1}, "`positive_share` must be at least 0, got -0.1."),
    (behaviors, (ONE, 1.0), {"label_noise": 0.6}, "`label_noise` must be at most 0.5, got 0.6."),
    (behaviors, (ONE, 1.0), {"num_statements": 0}, "`num_statements` must be positive, got 0.0."),
    (two_differences, (-1.0, 1.0, 0.0, 2), {}, "`length_1` must be at least 0, got -1.0."),
    (two_differences, (1.0, 1.0, math.nan, 2), {}, "`angle` must be finite, got nan."),
    (two_differences, (1.0, 1.0, 0.0, 1), {}, "`features` must be at least 2, got 1."),
    (mean_difference, (GOOD[0], GOOD[1] * 2), {}, "`labels` must be +1 or -1, got 2.0."),
    (
        mean_difference,
        (GOOD[0], 0 * GOOD[1] + 1),
        {},
        "`labels` must hold +1 and -1 at least once each, got a half of 0.",
    ),
    (distinguishability, (GOOD[0] * math.inf, GOOD[1]), {}, "`embeddings` must be finite, got inf."),
    (
        concentration,
        (GOOD[0], GOOD[1][:2]),
        {},
        "`embeddings` and `labels` must have the same statements, got shapes (3, 2) and (2,).",
    ),
    (corrected_distinguishability, GOOD, {}, "`labels` must hold +1 and -1 at least twice each, got a half of 1."),
    (permuted_distinguishability, (*GOOD, 0), {"seed": 0}, "`num_permutations` must be positive, got 0.0."),
    (priority_level, (ONE[0], ONE[0] * math.inf), {}, "`difference_j` must be finite, got inf."),
]


@pytest.mark.parametrize(("function", "arguments", "options", "sentence"), REFUSED)
def test_bad_input_is_refused_by_name_rule_and_value(function, arguments, options, sentence, shapes_unchecked):
    if function is behaviors:
        options = {"num_statements": 4} | options
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        function(*arguments, **options)


def test_a_data_set_is_two_arrays_with_names():
    assert Behaviors._fields == ("embeddings", "labels")
