"""What stays between best-of-N and the tilt, however long the answer."""

import math
from typing import NamedTuple

import array_api_compat

from alignbook import checks
from alignbook.arrays import Scalar, as_arrays
from alignbook.best_of_n import kl_upper_bound
from alignbook.information import PerSetting

EULER = 0.57721566490153286  # gamma, minus the mean of the logarithm of an exponential variable
NORMAL_STEP = 1 / 128  # of the trapezoidal rule over a normal variable's values from -12 to 40


class FixedN(NamedTuple):
    """Best-of-N against the tilt at its KL: the ratios of gain and of reward variance, the divergence in nats."""

    gain_ratio: PerSetting
    divergence: PerSetting
    variance_ratio: PerSetting


def refined_gap(length: Scalar, variance: Scalar, beta: Scalar) -> PerSetting:
    r"""Return $\frac12 \log(2 \pi n \sigma^2 / \beta^2) - \gamma - 1$, to which $D(\pi_N \| \mathrm{tilt})$ tends.

    $N = e^{n \delta}$ draws of n letters whose rewards lie on no lattice; $\sigma^2$ and beta are the aligned letter's.
    Void, and nan, where it is negative: up to $n \sigma^2/\beta^2 = e^{2 (\gamma + 1)}/2 \pi = 3.73$.
    Raises ValueError if an argument is not positive.
    """
    checks.positive(length=length, variance=variance, beta=beta)
    xp, n, v, beta = as_arrays(length, variance, beta)
    gap = xp.log(2 * math.pi * n * v / beta**2) / 2 - EULER - 1
    return xp.where(gap >= 0, gap, math.nan)


def lattice_gap(length: Scalar, variance: Scalar, beta: Scalar, span: Scalar, offset: Scalar) -> PerSetting:
    r"""Return $\frac12 \log(2 \pi n \sigma^2 / h^2) - H(K)$, to which the gap tends on a lattice of span h.

    K numbers the totals near $n x^*$, $x_k = n x^* + \mathrm{offset} + k h$, with $P(K \le k) = e^{-\lambda(k + 1)}$
    and $\lambda(k) = h e^{-(x_k - n x^*)/\beta} / [\sqrt{2 \pi n}\, \sigma (1 - e^{-h/\beta})]$, the draws expected at
    $x_k$ or above. As h falls it is `refined_gap`. Void, and nan, where it is negative. Raises ValueError if another
    argument than `offset` is not positive, or that one is not finite.
    """
    checks.positive(length=length, variance=variance, beta=beta, span=span)
    checks.finite(offset=offset)
    xp, *given = as_arrays(length, variance, beta, span, offset)
    n, v, beta, h, offset = xp.broadcast_arrays(*given)
    deviation, step = xp.sqrt(2 * math.pi * n * v), h / beta
    # log lambda falls by a step with each k: from 7, where P is 0, to -45, below the rounding of 1
    highest = xp.log(h / deviation / -xp.expm1(-step)) - offset / beta
    highest = highest - step * xp.floor((highest - 7) / step)
    k = xp.arange(int(xp.max(xp.astype(52 / step, xp.int64))) + 2, dtype=v.dtype, device=array_api_compat.device(v))
    draws = xp.exp(highest[..., None] - step[..., None] * k)
    mass = xp.exp(-draws[..., 1:]) * -xp.expm1(draws[..., 1:] - draws[..., :-1])
    entropy = -xp.sum(mass * xp.log(xp.where(mass > 0, mass, 1.0)), axis=-1)
    gap = xp.log(deviation / h) - entropy
    return xp.where(gap >= 0, gap, math.nan)


def fixed_n_limits(n: Scalar) -> FixedN:
    r"""Return the limits at fixed N: $e(N)/\sqrt{2k}$ of the gain, at the divergence $\sqrt{2k} (\sqrt{2k} - e(N))$.

    Against the tilt at best-of-N's own KL, which tends to $k = \log N - (N - 1)/N$, for a reward that sums independent
    letters; $e(N)$ is the mean of the largest of N standard normals, the variance ratio its variance. N is real; at
    N = 1 there is no gain, and the ratio is nan. Raises ValueError if `n` is below 1 or infinite.
    """
    checks.at_least(1, n=n)
    checks.finite(n=n)
    xp, draws = as_arrays(n)
    z, log_below = (xp.asarray(x, dtype=draws.dtype, device=array_api_compat.device(draws)) for x in _normal_grid())
    # the law of the largest minus that of one draw, so that little is lost near N = 1
    normal = xp.exp(-(z**2) / 2) * NORMAL_STEP / math.sqrt(2 * math.pi)
    excess = xp.expm1(xp.log(draws)[..., None] + (draws - 1)[..., None] * log_below)
    mean, square = (xp.sum(normal * excess * z**power, axis=-1) for power in (1, 2))
    root = xp.sqrt(2 * kl_upper_bound(draws))
    gains = draws > 1
    ratio = xp.where(gains, mean / xp.where(gains, root, 1.0), math.nan)
    return FixedN(ratio, root * (root - mean), 1 + square - mean**2)


def _normal_grid() -> tuple[list[float], list[float]]:
    r"""Return z from -12 to 40 and $\log \Phi(z)$, exact in both tails."""
    z = [-12 + NORMAL_STEP * i for i in range(int(52 / NORMAL_STEP) + 1)]
    below = (math.erfc(abs(x) / math.sqrt(2)) / 2 for x in z)
    return z, [math.log1p(-tail) if x > 0 else math.log(tail) for x, tail in zip(z, below, strict=True)]
