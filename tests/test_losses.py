"""Vouches for the losses on the margin and for their slopes: values by definition, at margins up to 1e4 on either side.

The second opinion is mpmath at 50 digits on each loss as its source defines it, and torch's autograd for the slopes. A
relative 1e-13 is the package's promise and the tolerance here; below 1e-300 a float has no more digits to give.
"""

import functools
import math
import re

import exact
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

from alignbook import losses
from alignbook.losses import (
    cdpo_loss,
    cdpo_slope,
    dpo_loss,
    dpo_slope,
    hinge_loss,
    hinge_slope,
    implicit_reward,
    ipo_loss,
    ipo_slope,
    reward_margin,
    robust_dpo_loss,
    robust_dpo_slope,
)

PROMISE = 1e-13
TAILS = [1e-300, 1e-12, 0.1, 0.4375, 0.5, 0.99, 1.0, 1.01, 2.7, 19.9, 20.1, 36.7, 37.3, 700.3, 745.1, 9999.9, 1e4]
MARGINS = np.array([*(-x for x in TAILS), 0.0, *TAILS])
MARGIN = st.one_of(st.floats(-1e4, 1e4), st.floats(-3, 3), st.sampled_from([0.0, 1.0, 0.5]))
NOISE, BETA = 0.1, 0.05

# Each loss and its slope as the sources define them, for a margin of any precision.


def mp_sigma(m):
    return 1 / (1 + mp.exp(-m))


def mp_dpo(m):
    return mp.log1p(mp.exp(-m))


DEFINED = {
    "dpo": (dpo_loss, dpo_slope, mp_dpo, lambda m: -mp_sigma(-m)),
    "ipo": (
        functools.partial(ipo_loss, beta=BETA),
        functools.partial(ipo_slope, beta=BETA),
        lambda m: (m / mpf(BETA) - 1 / (2 * mpf(BETA))) ** 2,
        lambda m: 2 * (m / mpf(BETA) - 1 / (2 * mpf(BETA))) / mpf(BETA),
    ),
    "cdpo": (
        functools.partial(cdpo_loss, label_noise=NOISE),
        functools.partial(cdpo_slope, label_noise=NOISE),
        lambda m: (1 - mpf(NOISE)) * mp_dpo(m) + mpf(NOISE) * mp_dpo(-m),
        lambda m: -(1 - mpf(NOISE)) * mp_sigma(-m) + mpf(NOISE) * mp_sigma(m),
    ),
    "robust": (
        functools.partial(robust_dpo_loss, label_noise=NOISE),
        functools.partial(robust_dpo_slope, label_noise=NOISE),
        lambda m: ((1 - mpf(NOISE)) * mp_dpo(m) - mpf(NOISE) * mp_dpo(-m)) / (1 - 2 * mpf(NOISE)),
        lambda m: (-(1 - mpf(NOISE)) * mp_sigma(-m) - mpf(NOISE) * mp_sigma(m)) / (1 - 2 * mpf(NOISE)),
    ),
    "hinge": (hinge_loss, hinge_slope, lambda m: max(mpf(0), 1 - m), lambda m: mpf(-1 if m < 1 else 0)),
}


def defined(function, margins):
    with mp.workdps(50):
        return [function(mpf(float(m))) for m in margins]


# By hand


def test_values_by_hand():
    # log-ratios log 2 and -log 3 at beta 1/2: rewards log(2)/2 and -log(3)/2, margin log(6)/2, sigma(-m) 1/(1 + √6)
    logps, ref = np.log([0.5, 0.1]), np.log([0.25, 0.3])
    rewards = implicit_reward(logps, ref, 0.5)
    assert rewards.tolist() == pytest.approx([math.log(2) / 2, -math.log(3) / 2], rel=1e-14)
    margin = reward_margin(logps[0], logps[1], ref[0], ref[1], 0.5)
    assert float(margin) == pytest.approx(math.log(6) / 2, rel=1e-14)
    assert float(dpo_loss(margin)) == pytest.approx(math.log(1 + 1 / math.sqrt(6)), rel=1e-14)
    assert float(dpo_slope(margin)) == pytest.approx(-1 / (1 + math.sqrt(6)), rel=1e-14)
    assert float(ipo_loss(1.5, 0.5)) == 4.0  # h = 3, target 1
    assert float(hinge_loss(-1.5)) == 2.5
    log_three = math.log(3)  # sigma is 3/4
    assert float(cdpo_loss(log_three, 0.25)) == pytest.approx(math.log(4) - 0.75 * log_three, rel=1e-15)
    assert float(robust_dpo_loss(log_three, 0.25)) == pytest.approx(math.log(4 / 3) - log_three / 2, rel=1e-14)


def test_at_margin_zero_the_dpo_loss_is_log_two():
    assert float(dpo_loss(0.0)) == pytest.approx(math.log(2), rel=1e-16)
    assert float(dpo_slope(0.0)) == -0.5


def test_torchs_softplus_switches_at_20_and_is_off_by_two_billionths():
    margin = torch.tensor(-20.001, dtype=torch.float64)
    exactly = defined(mp_dpo, [margin])[0]
    miss = float(mpf(float(torch.nn.functional.softplus(-margin))) - exactly)
    assert miss == pytest.approx(-2.06e-9, rel=1e-2)
    exact.assert_close(dpo_loss(margin), [exactly], relative=1e-15)


# Values and slopes


@pytest.mark.parametrize("name", DEFINED)
def test_the_loss_is_its_definition_at_every_margin(name):
    loss, _, definition, _ = DEFINED[name]
    exact.assert_close(loss(MARGINS), defined(definition, MARGINS), relative=PROMISE, absolute=1e-300)


@pytest.mark.parametrize("name", DEFINED)
def test_the_slope_is_the_derivative_at_every_margin(name):
    _, slope, _, derivative = DEFINED[name]
    # where the definition cancels, as cDPO's does at its optimum, its terms of order 1 are what rounds
    exact.assert_close(slope(MARGINS), defined(derivative, MARGINS), relative=PROMISE, absolute=1e-16)
    if name in ("dpo", "robust"):
        exact.assert_close(slope(MARGINS), defined(derivative, MARGINS), relative=PROMISE, absolute=1e-300)


@pytest.mark.parametrize("name", DEFINED)
def test_autograd_through_the_loss_is_the_slope_at_every_margin(name):
    loss, slope, _, derivative = DEFINED[name]
    margin = torch.tensor(MARGINS, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(margin).sum(), margin)
    exact.assert_close(gradient, defined(derivative, MARGINS), relative=PROMISE, absolute=1e-16)
    np.testing.assert_allclose(gradient, slope(MARGINS), rtol=PROMISE, atol=1e-15)


@given(MARGIN)
def test_an_exchange_of_the_answers_changes_the_dpo_loss_by_the_margin(margin):
    change = float(dpo_loss(-margin)) - float(dpo_loss(margin))
    assert change == pytest.approx(margin, rel=0, abs=1e-15 * (1 + abs(margin)))


@given(MARGIN, st.floats(0, 0.5, exclude_max=True))
def test_without_cancellation_the_noisy_losses_keep_their_digits(margin, noise):
    with mp.workdps(50):
        m, e = mpf(margin), mpf(noise)
        conservative = (1 - e) * mp_dpo(m) + e * mp_dpo(-m)
        robust = ((1 - e) * mp_dpo(m) - e * mp_dpo(-m)) / (1 - 2 * e)
        largest = mp_dpo(m) + e / (1 - 2 * e) * abs(m)  # the terms that round
    exact.assert_close(cdpo_loss(margin, noise), [conservative], relative=PROMISE, absolute=1e-300)
    exact.assert_close(robust_dpo_loss(margin, noise), [robust], absolute=1e-15 * float(largest) + 1e-300)


# What each loss wants


@pytest.mark.parametrize("noise", [1e-6, 0.1, 0.3, 0.4999, 0.5])
def test_cdpo_is_lowest_at_the_log_odds_of_a_true_label(noise):
    best = math.log((1 - noise) / noise)
    assert float(cdpo_slope(best, noise)) == pytest.approx(0, abs=1e-16)
    steps = np.array([-3.0, -0.1, -1e-3, 1e-3, 0.1, 3.0])
    assert np.all(cdpo_loss(best + steps, noise) > cdpo_loss(best, noise))


def test_without_label_noise_cdpo_and_robust_dpo_are_dpo():
    for loss in (cdpo_loss, robust_dpo_loss):
        assert np.array_equal(loss(MARGINS, 0.0), dpo_loss(MARGINS))


@given(MARGIN, st.floats(0, 0.49))
def test_robust_dpo_is_unbiased_under_label_noise(margin, noise):
    mean = (1 - noise) * float(robust_dpo_loss(margin, noise)) + noise * float(robust_dpo_loss(-margin, noise))
    rounding = 1e-15 * (1 + abs(margin)) / (1 - 2 * noise)
    assert mean == pytest.approx(float(dpo_loss(margin)), rel=0, abs=rounding)


def test_dpo_and_cdpo_are_biased_under_label_noise():
    margin, noise = 2.0, 0.2
    for loss in (dpo_loss, functools.partial(cdpo_loss, label_noise=noise)):
        mean = (1 - noise) * float(loss(margin)) + noise * float(loss(-margin))
        assert mean > float(dpo_loss(margin)) + 0.3


def test_robust_dpo_has_no_lower_bound():
    assert float(robust_dpo_loss(1e4, 0.1)) == pytest.approx(-1250, rel=1e-15)  # -0.1/0.8 of the margin
    assert np.all(robust_dpo_slope(MARGINS, 0.1) <= -0.125)


def test_ipo_wants_a_margin_of_one_half_whatever_beta_is():
    for beta in (0.01, 0.1, 5.0):
        assert float(ipo_loss(0.5, beta)) == 0.0
        assert float(ipo_loss(0.0, beta)) == pytest.approx(1 / (4 * beta**2), rel=1e-15)
        assert float(ipo_slope(0.6, beta)) > 0 > float(ipo_slope(0.4, beta))


def test_the_hinge_is_content_from_a_margin_of_one_on():
    assert hinge_loss(np.array([1.0, 1.5, 1e4])).tolist() == [0.0, 0.0, 0.0]
    assert hinge_slope(np.array([0.999, 1.0, 1.5])).tolist() == [-1.0, 0.0, 0.0]


def test_a_shift_of_all_log_probabilities_changes_no_margin():
    """As of a longer prompt, or of a partition function that both answers share."""
    rng = np.random.default_rng(0)
    chosen, rejected, ref_chosen, ref_rejected, shift = rng.standard_normal((5, 50))
    margin = reward_margin(chosen, rejected, ref_chosen, ref_rejected, 0.3)
    np.testing.assert_allclose(
        reward_margin(chosen + shift, rejected + shift, ref_chosen, ref_rejected, 0.3), margin, rtol=0, atol=1e-15
    )


def test_arguments_broadcast_and_nothing_is_averaged():
    logps, beta = np.log([0.5, 0.25, 0.125]), np.array([[0.1], [1.0]])
    margins = reward_margin(logps, np.log(0.5), np.log(0.25), np.log(0.25), beta)
    assert margins.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert float(margins[i, j]) == pytest.approx(float(beta[i, 0]) * (logps[j] - math.log(0.5)), abs=1e-16)
    assert cdpo_loss(margins, np.array([[0.1], [0.2]])).shape == ipo_loss(margins, beta).shape == (2, 3)


# Bad input

NAN, INF = math.nan, math.inf
MARGIN_RULE = "`margin` must be finite, got "
PAIR = {"chosen_logps": -1.0, "rejected_logps": -2.0, "ref_chosen_logps": -1.0, "ref_rejected_logps": -1.0, "beta": 0.1}
REFUSED = [
    ("implicit_reward", {"logps": -INF, "ref_logps": -1.0, "beta": 0.1}, "`logps` must be finite, got -inf."),
    ("implicit_reward", {"logps": -1.0, "ref_logps": NAN, "beta": 0.1}, "`ref_logps` must be finite, got nan."),
    ("implicit_reward", {"logps": -1.0, "ref_logps": -1.0, "beta": 0.0}, "`beta` must be positive, got 0.0."),
    ("implicit_reward", {"logps": -1.0, "ref_logps": -1.0, "beta": INF}, "`beta` must be finite, got inf."),
    *(("reward_margin", PAIR | {name: NAN}, f"`{name}` must be finite, got nan.") for name in PAIR),
    ("reward_margin", PAIR | {"beta": -1.0}, "`beta` must be positive, got -1.0."),
    ("dpo_loss", {"margin": NAN}, MARGIN_RULE + "nan."),
    ("dpo_loss", {"margin": np.array([0.0, INF])}, MARGIN_RULE + "inf."),
    ("ipo_loss", {"margin": INF, "beta": 0.1}, MARGIN_RULE + "inf."),
    ("ipo_loss", {"margin": 0.0, "beta": 0.0}, "`beta` must be positive, got 0.0."),
    ("cdpo_loss", {"margin": NAN, "label_noise": 0.1}, MARGIN_RULE + "nan."),
    ("cdpo_loss", {"margin": 0.0, "label_noise": 0.6}, "`label_noise` must be at most 0.5, got 0.6."),
    ("cdpo_loss", {"margin": 0.0, "label_noise": -0.1}, "`label_noise` must be at least 0, got -0.1."),
    ("robust_dpo_loss", {"margin": NAN, "label_noise": 0.1}, MARGIN_RULE + "nan."),
    ("robust_dpo_loss", {"margin": 0.0, "label_noise": 0.5}, "`label_noise` must be below 0.5, got 0.5."),
    ("robust_dpo_loss", {"margin": 0.0, "label_noise": NAN}, "`label_noise` must be at least 0, got nan."),
    ("hinge_loss", {"margin": NAN}, MARGIN_RULE + "nan."),
]


@pytest.mark.parametrize(("name", "arguments", "sentence"), REFUSED)
def test_bad_input_is_refused(name, arguments, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        getattr(losses, name)(**arguments)
