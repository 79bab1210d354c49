r"""Losses on a pair of answers, chosen and rejected, as functions of one number: the margin.

The margin $m = \beta\,[\log \frac{\pi(y^+)}{\pi_\mathrm{ref}(y^+)} - \log \frac{\pi(y^-)}{\pi_\mathrm{ref}(y^-)}]$ is
the difference of two implicit rewards, beta included; its log-ratios are sums over the tokens of an answer, not
means. Every loss here depends on the policy through it alone, so a training needs the margin's gradient and a
loss's slope in m.

Everything is entry by entry and unreduced: arguments broadcast, one value per pair, no mean is taken. Values and
slopes are exact to rounding also at margins of 1e4 in absolute value. Source: <https://arxiv.org/abs/2305.18290>.
"""

import math
from typing import TypeAlias

from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_sigmoid, namespace

PerPair: TypeAlias = float | Float[Array, "*#batch"]  # one value per answer or per pair: every axis is a batch
Result: TypeAlias = Float[Array, "..."]
Slope: TypeAlias = float | Float[Array, "..."]


def implicit_reward(logps: PerPair, ref_logps: PerPair, beta: Scalar) -> Result:
    r"""Return $r_\pi(y) = \beta \log \frac{\pi(y)}{\pi_\mathrm{ref}(y)}$, beta units of reward to a nat.

    The reward of which the policy is the tilt, but for a constant that no comparison sees. Raises ValueError if
    a log-probability is not finite or `beta` is not positive.
    """
    checks.finite(logps=logps, ref_logps=ref_logps, beta=beta)
    checks.positive(beta=beta)
    _, logps, ref_logps, beta = as_arrays(logps, ref_logps, beta)
    return beta * (logps - ref_logps)


def reward_margin(
    chosen_logps: PerPair,
    rejected_logps: PerPair,
    ref_chosen_logps: PerPair,
    ref_rejected_logps: PerPair,
    beta: Scalar,
) -> Result:
    r"""Return $m = r_\pi(y^+) - r_\pi(y^-)$, the difference of the two implicit rewards.

    Raises ValueError as `implicit_reward` does.
    """
    checks.finite(chosen_logps=chosen_logps, rejected_logps=rejected_logps)
    checks.finite(ref_chosen_logps=ref_chosen_logps, ref_rejected_logps=ref_rejected_logps)
    chosen = implicit_reward(chosen_logps, ref_chosen_logps, beta)
    return chosen - implicit_reward(rejected_logps, ref_rejected_logps, beta)


def dpo_loss(margin: PerPair) -> Result:
    r"""Return $-\log \sigma(m)$: the surprise, in nats, that the chosen answer won.

    It is $\log 2$ at margin 0. Raises ValueError if `margin` is not finite.

    >>> round(float(dpo_loss(0.0)), 4)
    0.6931
    """
    checks.finite(margin=margin)
    return -log_sigmoid(margin)


def ipo_loss(margin: PerPair, beta: Scalar) -> Result:
    r"""Return $(h - \frac{1}{2\beta})^2$ with $h = m/\beta$, the difference of log-ratios in nats.

    The source's $\tau$ is this beta, so the target is a margin of one half whatever beta is. Raises ValueError
    if `margin` or `beta` is not finite or `beta` is not positive. Source: <https://arxiv.org/abs/2310.12036>.
    """
    checks.finite(margin=margin, beta=beta)
    checks.positive(beta=beta)
    _, margin, beta = as_arrays(margin, beta)
    return ((margin - 0.5) / beta) ** 2


def cdpo_loss(margin: PerPair, label_noise: Scalar) -> Result:
    r"""Return $-(1 - \varepsilon) \log \sigma(m) - \varepsilon \log \sigma(-m)$, the DPO loss plus $\varepsilon m$.

    Conservative DPO: a share $\varepsilon \le \frac12$ of the labels counts as flipped, and the lowest loss is at
    the margin $\log \frac{1 - \varepsilon}{\varepsilon}$. Raises ValueError if `margin` is not finite or
    `label_noise` is not between 0 and 1/2. Source: <https://ericmitchell.ai/cdpo.pdf>.
    """
    checks.not_negative(label_noise=label_noise)
    checks.at_most(0.5, label_noise=label_noise)
    checks.finite(margin=margin)
    _, margin, label_noise = as_arrays(margin, label_noise)
    return dpo_loss(margin) + label_noise * margin  # since -log sigma(-m) is -log sigma(m) + m


def robust_dpo_loss(margin: PerPair, label_noise: Scalar) -> Result:
    r"""Return $\frac{(1 - \varepsilon)\, l(m) - \varepsilon\, l(-m)}{1 - 2 \varepsilon}$, l the DPO loss.

    This is $l(m) - \frac{\varepsilon}{1 - 2 \varepsilon} m$. Its mean over labels flipped with probability
    $\varepsilon < \frac12$ is the DPO loss on the true labels; it has no lower bound. Raises ValueError if `margin`
    is not finite or `label_noise` is not at least 0 and below 1/2. Source: <https://arxiv.org/abs/2403.00409>.
    """
    checks.not_negative(label_noise=label_noise)
    checks.below(0.5, label_noise=label_noise)
    checks.finite(margin=margin)
    _, margin, label_noise = as_arrays(margin, label_noise)
    return dpo_loss(margin) - label_noise / (1 - 2 * label_noise) * margin


def hinge_loss(margin: PerPair) -> Result:
    r"""Return $\max(0, 1 - m)$, which is content with any margin of one or more.

    Raises ValueError if `margin` is not finite. Source: <https://arxiv.org/abs/2309.06657>.
    """
    checks.finite(margin=margin)
    xp, margin = as_arrays(margin)
    return xp.where(margin < 1, 1 - margin, 0.0)


# The slopes dl/dm. Nothing is checked or converted: training loops repeat these lines.


def dpo_slope(margin: PerPair) -> Slope:
    r"""Return $-\sigma(-m)$: a pair pulls with the probability that the policy gives to its other outcome."""
    xp, m = as_arrays(margin)
    largest = math.log(xp.finfo(m.dtype).max) - 1  # beyond it the exponential overflows
    return -1 / (1 + xp.exp(xp.minimum(m, largest)))


def ipo_slope(margin: PerPair, beta: Scalar) -> Slope:
    r"""Return $\frac{2}{\beta^2} (m - \frac12)$, unchecked."""
    return 2 * (margin - 0.5) / beta**2


def cdpo_slope(margin: PerPair, label_noise: Scalar) -> Slope:
    r"""Return $\varepsilon - \sigma(-m)$, unchecked."""
    return dpo_slope(margin) + label_noise


def robust_dpo_slope(margin: PerPair, label_noise: Scalar) -> Slope:
    r"""Return $-\sigma(-m) - \frac{\varepsilon}{1 - 2 \varepsilon}$, unchecked; it never reaches 0."""
    return dpo_slope(margin) - label_noise / (1 - 2 * label_noise)


def hinge_slope(margin: PerPair) -> Slope:
    r"""Return -1 where $m < 1$ and 0 elsewhere, unchecked; at the kink the pull has ended."""
    xp = namespace(margin)
    return xp.where(margin < 1, -xp.ones_like(margin), xp.zeros_like(margin))
