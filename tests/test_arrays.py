"""Vouches for the log-domain primitives in both tails, for engines chosen by name, and for ties.

Values are compared with mpmath at 80 digits. A relative tolerance of 4e-15 is some 20 units in the last place: a few
roundings, each of half a unit, and numpy's own exp and log.
"""

import importlib.util
import math
import re
import shutil

import array_api_compat
import exact
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from strategies import laws, normalized

from alignbook import arrays

ULPS = 4e-15
TAILS = np.concatenate(
    [10.0 ** np.arange(-320.0, 3), [0.1, math.log(2), 0.5, 1.0, 19.9, 20.1, 36.7, 37.0, 700.0, 745.0]]
)


def exactly(function, xs):
    with mp.workdps(400):  # 1 - e^x at x = -1e-320 is 1 to 319 digits
        return [function(mpf(float(x))) for x in xs]


# Log-domain primitives


def test_logsumexp_by_hand():
    assert float(arrays.logsumexp(np.log([1.0, 2.0, 3.0]))) == pytest.approx(math.log(6), rel=1e-15)


def test_log_sigmoid_is_exact_in_both_tails():
    x = np.concatenate([-TAILS, [0.0], TAILS[TAILS < 700]])  # beyond 708 the value is a subnormal number
    exact.assert_close(arrays.log_sigmoid(x), exactly(lambda v: -mp.log1p(mp.exp(-v)), x), relative=ULPS)


def test_log1mexp_is_exact_in_both_tails():
    x = -TAILS[TAILS < 700]
    exact.assert_close(arrays.log1mexp(x), exactly(lambda v: mp.log(-mp.expm1(v)), x), relative=ULPS)


def test_log1mexp_ends_at_minus_infinity_and_zero():
    assert arrays.log1mexp(np.array([0.0, -math.inf, -1e4])).tolist() == [-math.inf, 0.0, 0.0]


def test_log_normal_cdf_keeps_its_digits_in_both_tails():
    x = np.concatenate([np.linspace(-12, 12, 401), -np.geomspace(12, 1e6, 60), [-1e-300]])
    with mp.workdps(exact.DIGITS):
        expected = [mp.log(mp.erfc(-mpf(float(v)) / mp.sqrt(2)) / 2) for v in x]
    exact.assert_close(arrays.log_normal_cdf(x), expected, relative=5e-14)
    assert arrays.log_normal_cdf(np.array([-math.inf, math.inf])).tolist() == [-math.inf, 0.0]


@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, -math.inf])), min_size=1, max_size=8))
def test_logsumexp_is_the_logarithm_of_the_sum(x):
    with mp.workdps(exact.DIGITS):
        expected = mp.log(mp.fsum(mp.exp(mpf(v)) for v in x))
    # near a sum of one the logarithm is small and keeps the absolute rounding of its terms
    exact.assert_close(arrays.logsumexp(np.array(x)), [expected], relative=ULPS, absolute=ULPS)


@given(st.lists(st.one_of(st.floats(-800, 800), st.sampled_from([1.0, 1.0])), min_size=1, max_size=8))
def test_log_softmax_is_a_law_and_keeps_differences(x):
    law = arrays.log_softmax(np.array(x))
    with mp.workdps(exact.DIGITS):
        total = mp.log(mp.fsum(mp.exp(mpf(v)) for v in x))
        expected = [mpf(v) - total for v in x]
    exact.assert_close(law, expected, relative=ULPS, absolute=ULPS + max(map(abs, x)) * 2.0**-52)


@given(laws(5), st.lists(st.floats(-1, 1), min_size=5, max_size=5), st.integers(-300, 2))
def test_log_mean_exp_keeps_its_digits_where_the_exponents_are_small(law, x, scale):
    x = np.array(x) * 10.0**scale
    p = exact.masses(law)
    # the sum of terms of either sign may cancel: the error is a rounding of the largest of them
    rounding = ULPS * float(np.max(np.abs(x)))
    exact.assert_close(arrays.log_mean_exp(law, x), [exact.log_mean_exp(p, x)], relative=2e-14, absolute=rounding)


@pytest.mark.parametrize("far", [-math.inf, -1e300, -3.0, 3.0, 100.0])
def test_log_mean_exp_keeps_its_digits_beside_a_rare_answer_far_away(far):
    law = np.array([-400.0, math.log(0.5), math.log(0.5)])
    x = np.array([far, 1e-9, 3e-9])
    found = arrays.log_mean_exp(law, x)
    exact.assert_close(found, [exact.log_mean_exp(exact.masses(law), x)], relative=ULPS)


def test_log_mean_exp_ignores_values_the_law_cannot_give():
    law = np.log(np.array([0.5, 0.5, 1.0])) + np.array([0.0, 0.0, -math.inf])
    for value in (math.inf, -math.inf, math.nan, 1e300):
        assert float(arrays.log_mean_exp(law, np.array([1.0, 1.0, value]))) == pytest.approx(1.0, rel=1e-15)


def test_an_infinite_term_makes_the_sum_infinite():
    assert arrays.logsumexp(np.array([[math.inf, 1e4, -math.inf], [0.0, math.nan, 0.0]])).tolist()[0] == math.inf
    assert math.isnan(float(arrays.logsumexp(np.array([math.nan, 0.0]))))


def test_the_mean_of_an_exponential_is_minus_infinity_where_all_is_forbidden():
    assert float(arrays.log_mean_exp(normalized([0.0, 1.0]), np.array([-math.inf, -math.inf]))) == -math.inf
    assert float(arrays.logsumexp(np.array([-math.inf, -math.inf]))) == -math.inf


# Draws


@given(laws(6), st.floats(0, 1, exclude_max=True))
def test_a_uniform_draw_picks_the_first_answer_whose_share_exceeds_it(law, uniform):
    picked = int(arrays.draw(law, np.array(uniform)))
    up_to = [mp.fsum(exact.masses(law)[: k + 1]) for k in range(6)]
    rounding = 1e-15
    assert law[picked] > -math.inf
    assert uniform < up_to[picked] + rounding
    assert picked == 0 or uniform >= up_to[picked - 1] - rounding


def test_one_law_serves_many_draws_and_each_draw_may_have_a_law():
    log_weights = np.array([[-math.inf, 5.0, 5.0, -math.inf], [0.0, -math.inf, -math.inf, -math.inf]])  # unnormalized
    uniforms = np.array([[0.0, 0.49, 0.5, 1 - 2.0**-53], [0.0, 0.3, 0.6, 0.9]])
    assert arrays.draw(log_weights[:, None, :], uniforms).tolist() == [[1, 1, 2, 2], [0, 0, 0, 0]]
    assert arrays.draw(log_weights, uniforms[:, 2]).tolist() == [2, 0]


# Ties


@given(st.lists(st.one_of(st.sampled_from([0.0, 1.0, -0.0, math.inf]), st.floats(-1, 1)), min_size=1, max_size=9))
def test_tie_ranges_name_the_ends_of_each_tie(x):
    order, first, last = (part.tolist() for part in arrays.tie_ranges(np.array(x)))
    ranked = sorted(x)
    assert [x[i] for i in order] == ranked
    assert sorted(order) == list(range(len(x)))
    assert first == [ranked.index(v) for v in ranked]
    assert last == [len(x) - 1 - ranked[::-1].index(v) for v in ranked]


def test_tie_ranges_of_a_batch_are_those_of_its_rows():
    reward = np.random.default_rng(0).integers(0, 4, (3, 2, 7)).astype(float)
    whole = arrays.tie_ranges(reward)
    for i in np.ndindex(3, 2):
        for part, of_row in zip(whole, arrays.tie_ranges(reward[i]), strict=True):
            assert part[i].tolist() == of_row.tolist()


# Engines


def test_numbers_and_lists_become_numpy_float64():
    xp, whole, listed = arrays.as_arrays(1, [1, 2])
    assert xp is arrays.namespace()
    assert (whole.dtype, listed.dtype) == (np.float64, np.float64)


def test_numbers_and_integers_follow_the_first_floating_array():
    single = torch.tensor([1.0], dtype=torch.float32)
    xp, integers, kept, number = arrays.as_arrays(torch.tensor([1, 2]), single, 0.5)
    assert array_api_compat.is_torch_namespace(xp)
    assert {integers.dtype, kept.dtype, number.dtype} == {torch.float32}
    assert kept is single


def test_every_engine_named_is_one_that_arrays_move_to(engine):
    moved = arrays.to_engine(np.array([0.1, 0.2]), engine, "float32")
    assert arrays.is_floating(moved)
    assert moved.device == "cpu" if engine == "numpy" else moved.device.type == arrays.ENGINES[engine][1]
    assert "float32" in str(moved.dtype)
    assert moved.tolist() == np.array([0.1, 0.2], dtype=np.float32).tolist()


def test_engines_are_listed_without_importing_them(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    assert arrays.engines() == ("numpy", "torch-cpu", "torch-cuda")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert arrays.engines() == ("numpy", "torch-cpu")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    assert arrays.engines() == ("numpy",)
    with pytest.raises(RuntimeError, match=re.escape("`engine` 'torch-cpu' needs torch, which is not installed")):
        arrays.to_engine([1.0], "torch-cpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=re.escape("`engine` 'torch-cuda' needs a GPU")):
        arrays.to_engine([1.0], "torch-cuda")


def test_an_unknown_engine_is_refused_by_name():
    sentence = "`engine` must be one of numpy, torch-cpu, torch-cuda, got 'jax'."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        arrays.to_engine([1.0], "jax")
