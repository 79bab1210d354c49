r"""What a run of gradient flow must be, where the algebra gives it: no noise, or noise of a Gaussian's shape.

Two classes of statements, their means a distance $\Delta$ apart and centered on the origin, equally many of each.
Without noise the margin obeys one equation; with Gaussian noise the accuracies are values of the normal law. Every
argument may be an array; arguments broadcast against one another. Time is step × learning rate.
"""

import math
from typing import Any, TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_normal_cdf, log_sigmoid, masked, namespace

PerSetting: TypeAlias = Float[Array, "..."]

PEAK_MARGIN = 2.0
NEWTON_STEPS = 6  # from above, on a convex function: at every clock the sixth step no longer moves a float64
SATURATED = 40.0  # above this log-clock z and log k agree to the last digit
LAST_TAU = 30.0  # a population flow that is within e^-30 of its rest counts as there
GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(32)


def noise_free_margin(time: Scalar, beta: Scalar, distinguishability: Scalar) -> PerSetting:
    r"""Return the margin z of a run without noise: $z + e^z = 1 + k$ with the clock $k = \beta^2 \Delta^2 t / 2$.

    Newton on $z + (e^z - 1) = k$ keeps the digits of small times; of large ones z is log k, and nothing overflows.
    Raises ValueError if `time` or `distinguishability` is negative, or `beta` not positive and finite.

    >>> round(float(noise_free_margin(2 * (1 + math.e**2), 1.0, 1.0)), 12)
    2.0
    """
    xp, time, beta, delta = run_setting(time, beta, distinguishability=distinguishability)
    speed = beta * delta
    log_clock = 2 * _log(xp, speed) + _log(xp, time) - math.log(2)
    running = (speed > 0) & (time > 0)
    far = running & (log_clock > SATURATED)
    clock = speed * (speed * xp.where(far, 0.0, time)) / 2
    z = xp.log1p(clock)
    for _ in range(NEWTON_STEPS):
        rise = xp.expm1(z)
        z = z - (z + rise - clock) / (2 + rise)
    return xp.where(far, log_clock, z)


def noise_free_loss(time: Scalar, beta: Scalar, distinguishability: Scalar) -> PerSetting:
    r"""Return the DPO loss $\log(1 + e^{-z})$ of a run without noise, z its margin.

    Raises ValueError as `noise_free_margin` does.
    """
    return -log_sigmoid(noise_free_margin(time, beta, distinguishability))


def noise_free_weight_change(time: Scalar, beta: Scalar, distinguishability: Scalar) -> PerSetting:
    r"""Return $\|W(t) - W(0)\|_F = \sqrt 2\, z / (\beta \Delta)$ of a run without noise; 0 where $\Delta$ is 0.

    Raises ValueError as `noise_free_margin` does.
    """
    xp, time, beta, delta = run_setting(time, beta, distinguishability=distinguishability)
    apart = delta > 0
    return masked(math.sqrt(2) * noise_free_margin(time, beta, delta) / xp.where(apart, beta * delta, 1.0), apart)


def peak_time(beta: Scalar, distinguishability: Scalar) -> PerSetting:
    r"""Return $2(1 + e^2)/(\beta \Delta)^2$: the time at which this $\Delta$ has moved W farther than any other has.

    There the noise-free margin is `PEAK_MARGIN`. Raises ValueError if an argument is not positive and finite.
    """
    checks.positive(distinguishability=distinguishability)
    _, _, beta, delta = run_setting(0.0, beta, distinguishability=distinguishability)
    return 2 * (1 + math.e**2) / (beta * delta) ** 2


def gaussian_reward_accuracy(distinguishability: Scalar, noise: Scalar) -> PerSetting:
    r"""Return $\Phi(\Delta / 2s)$: the share of fresh statements whose margin is positive, at every time above 0.

    For the population flow on two Gaussian classes of standard deviation s in every direction; a tie counts one
    half. Raises ValueError if an argument is negative or not finite.
    """
    return gaussian_policy_accuracy(1.0, distinguishability, noise, 0.0)


def gaussian_policy_accuracy(
    change_length: Scalar, distinguishability: Scalar, noise: Scalar, boundary_length: Scalar
) -> PerSetting:
    r"""Return $\Phi(u \Delta / (2 s \sqrt{u^2 + \lVert w_0 \rVert^2}))$: the share of fresh statements it gets right.

    u is the length of the change along the difference of the classes, $\lVert w_0 \rVert$ that of a starting boundary
    orthogonal to it. A tie counts one half. Raises ValueError if an argument is negative or not finite.
    """
    given = {"change_length": change_length, "distinguishability": distinguishability}
    given |= {"noise": noise, "boundary_length": boundary_length}
    checks.not_negative(**given)
    checks.finite(**given)
    xp, change, delta, noise, boundary = as_arrays(change_length, distinguishability, noise, boundary_length)
    length = xp.hypot(change, boundary)
    pull, spread = change * delta / 2, noise * length
    noisy = spread > 0
    certain = xp.where(pull > 0, xp.ones_like(pull), 0.5)
    return xp.where(noisy, normal_cdf(pull / xp.where(noisy, spread, 1.0)), certain)


def bayes_head(distinguishability: Scalar, noise: Scalar, beta: Scalar) -> PerSetting:
    r"""Return $u^* = \Delta / (\beta s^2)$, where the population flow on Gaussian classes comes to rest.

    There $\beta u \cdot h$ is the log-odds of the label itself, of mean $\Delta^2 / (2 s^2)$. Raises ValueError if
    `distinguishability` is negative, or `noise` or `beta` is not positive and finite.
    """
    checks.positive(noise=noise)
    _, _, beta, delta, noise = run_setting(0.0, beta, distinguishability=distinguishability, noise=noise)
    return delta / (beta * noise**2)


def gaussian_flow(time: Scalar, beta: Scalar, distinguishability: Scalar, noise: Scalar) -> PerSetting:
    r"""Return the length u(t) of the population flow $u' = 2\beta\, E[\sigma(-\beta u X) X]$, X Gaussian.

    X, the part of h along the difference of the classes, has mean $\Delta/2$ and standard deviation s. In the mean
    margin z and the clock k of `noise_free_margin`, $dk/dz = 1/E[x \sigma(-zx)]$: a quadrature, and a bisection and
    Newton to invert it, on $z = z^*(1 - e^{-\tau})$ with $z^* = \Delta^2/(2s^2)$. Runs in float64, not differentiable.
    Raises ValueError if `time` is negative, or another argument is not positive and finite.
    """
    checks.positive(distinguishability=distinguishability, noise=noise)
    xp, *given = run_setting(time, beta, distinguishability=distinguishability, noise=noise)
    now, beta, delta, noise = (xp.astype(x, xp.float64) for x in given)
    clock, rest = (beta * delta) ** 2 * now / 2, (delta / noise) ** 2 / 2
    low = 0 * (clock + rest)
    tau = low + LAST_TAU / 2
    for halving in range(2, 32):
        passed = _clock_and_rate(xp, tau, rest)[0] > clock
        tau = tau + xp.where(passed, -1.0, 1.0) * LAST_TAU / 2**halving
    for _ in range(4):
        reached, rate = _clock_and_rate(xp, tau, rest)
        tau = xp.clip(tau - (reached - clock) / rate, min=0.0, max=LAST_TAU)
    return xp.astype(-2 * rest * xp.expm1(-tau) / (beta * delta), given[0].dtype)


def normal_cdf(x: Scalar) -> PerSetting:
    r"""Return $\Phi(x)$, the standard normal law's distribution function, with its digits in both tails."""
    log_cdf = log_normal_cdf(x)
    return namespace(log_cdf).exp(log_cdf)


def run_setting(time: Scalar, beta: Scalar, **lengths: Scalar) -> tuple[Any, ...]:
    """Check a run's time, beta and lengths and return them as arrays, their namespace first."""
    checks.not_negative(time=time, **lengths)
    checks.positive(beta=beta)
    checks.finite(beta=beta, **lengths)
    return as_arrays(time, beta, *lengths.values())


def _log(xp: Any, x: Array) -> Array:
    """Return log x where x is positive, and 0 elsewhere, with no warning and a gradient that is finite."""
    return xp.log(xp.where(x > 0, x, 1.0))


def _clock_and_rate(xp: Any, tau: Array, rest: Array) -> tuple[Array, Array]:
    r"""Return $k(\tau) = \int_0^\tau q$ and its rate $q = z^* e^{-\tau} / E[x \sigma(-zx)]$, z as in the flow.

    Gauss-Legendre in tau, the trapezoidal rule in x, whose law has mean 1 and variance $2/z^*$.
    """
    like = {"dtype": tau.dtype, "device": array_api_compat.device(tau)}
    nodes, weights = (xp.asarray(x, **like) for x in GAUSS_LEGENDRE)
    normal = xp.linspace(-9.0, 9.0, 401, **like)
    x = 1 + xp.sqrt(2 / rest)[..., None, None] * normal
    share = xp.exp(-(normal**2) / 2)
    share = share / xp.sum(share)

    def rate(tau: Array) -> Array:  # one more axis than rest
        z = -rest[..., None] * xp.expm1(-tau)
        pull = share * x / (1 + xp.exp(xp.clip(z[..., None] * x, max=700.0)))
        return rest[..., None] * xp.exp(-tau) / xp.sum(pull, axis=-1)

    inner = rate(tau[..., None] * (nodes + 1) / 2)
    return xp.sum(weights * inner, axis=-1) * tau / 2, rate(tau[..., None])[..., 0]
