"""The log-MGF of a letter's reward and what large deviations make of it."""

import math
from typing import NamedTuple

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_mean_exp, log_softmax, logsumexp, masked, namespace, per_law
from alignbook.information import LogLaw, PerSetting, Values
from alignbook.tilting import Tilted, tilt_to_kl

HALVINGS = 80  # of a bracket: what is left of it is below the rounding of its ends


class Limits(NamedTuple):
    """What a letter's share of the accounts tends to; the letter is the tilt's, at the rate as its KL budget."""

    letter: Tilted
    log_p: Array
    letter_reward: Array
    rate: Array
    reward: PerSetting
    best_of_n_variance: PerSetting
    log_kl_tilt_to_best_of_n: PerSetting

    def tilt_cumulant(self, order: Scalar) -> PerSetting:
        r"""Return $\Lambda(a + \rho) - \Lambda(a)$, strictly convex in the order $\rho$."""
        return scaled_cumulant(self.letter.log_p, self.letter_reward, order)

    def best_of_n_cumulant(self, order: Scalar) -> PerSetting:
        r"""Return $\rho x^*$ up to the order $\rho = a$, a straight line, and $\delta + \Lambda(\rho)$ beyond."""
        xp, x, rho = as_arrays(self.reward, order)
        beyond = self.rate + log_mgf(self.log_p, self.letter_reward, order)
        return xp.where(rho * self.letter.beta > 1, beyond, rho * x)


def log_mgf(log_p: LogLaw, reward: Values, t: Scalar) -> PerSetting:
    r"""Return $\Lambda(t) = \log E_p\, e^{t r}$ for any real t.

    Raises ValueError if `log_p` is no law, a reward it can give or `t` is not finite, or their answers differ.

    >>> import numpy as np
    >>> round(float(log_mgf(np.log([0.5, 0.5]), np.array([1.0, -1.0]), 1.0)), 6)
    0.433781
    """
    checks.finite(t=t)
    xp, log_p, reward = _checked(log_p, reward)
    each = per_law(xp, t, log_p)
    center = xp.sum(xp.exp(log_p) * reward, axis=-1, keepdims=True)  # so that small t lose no digit
    return (each * center)[..., 0] + log_mean_exp(log_p, each * masked(reward - center, log_p > -math.inf))


def scaled_cumulant(log_p: LogLaw, reward: Values, order: Scalar) -> PerSetting:
    r"""Return $\frac1n \log E\, e^{\rho r}$ of n letters: their log-MGF at the order $\rho$, whatever n.

    For $r = \log q$ it is $-\rho H_{1+\rho}(p \| q)$, a Rényi cross entropy. Raises ValueError as `log_mgf` does.
    """
    checks.finite(order=order)
    return log_mgf(log_p, reward, order)


def rate_function(log_p: LogLaw, reward: Values, x: Scalar) -> PerSetting:
    r"""Return $I(x) = \sup_t \{t x - \Lambda(t)\} = -\min_t \log E_p\, e^{t (r - x)}$.

    At the ends of the reward's range it is $-\log p$ of the letters there, beyond them inf. Differentiable where it is
    finite, but at the ends. Raises ValueError as `log_mgf` does, and if `x` is nan.
    """
    xp, log_p, reward = _checked(log_p, reward)
    x = per_law(xp, x, log_p)
    if bool(xp.any(xp.isnan(x))):
        raise ValueError("`x` must be a number, got nan.")
    low, high = _range(log_p, reward)
    inside = (x > low) & (x < high)
    t, gap = _minimizer(log_p, reward, xp.where(inside, x, (low + high) / 2))
    end = -logsumexp(xp.where(reward == x, log_p, -math.inf))
    return xp.where(inside[..., 0], 0.0 - log_mean_exp(log_p, t * gap), end)


def aligned_letter(log_p: LogLaw, reward: Values, rate: Scalar) -> Tilted:
    r"""Return the letter $\phi_\delta$ of the optimum: the tilt of one letter at the budget $\delta$ a letter.

    The optimum of n letters at the budget $n \delta$ is the product of n such. Raises ValueError if `rate` is negative,
    and as `tilt_to_kl` does.
    """
    checks.not_negative(rate=rate)
    return tilt_to_kl(log_p, reward, rate)


def bahadur_rao(log_p: LogLaw, reward: Values, length: Scalar, x: Scalar, span: Scalar = 0.0) -> PerSetting:
    r"""Return the approximation of $\log P(\sum_i r_i \ge n x)$ by Bahadur and Rao, with the lattice factor.

    $-n I(x) - \frac12 \log(2 \pi n \sigma_t^2) - \log t$ for rewards on no lattice (span 0); for a lattice of span h
    that holds $n x$ add $\log \frac{t h}{1 - e^{-t h}}$. Here t tilts the letter's mean to x and $\sigma_t^2$ is its
    variance there. Void, and nan, unless x lies between the mean and the largest reward. Not differentiable. Raises
    ValueError as `rate_function` does, and if `length` is not positive or `span` is negative.
    """
    checks.positive(length=length)
    checks.not_negative(span=span)
    rate = rate_function(log_p, reward, x)
    xp, log_p, reward = _checked(log_p, reward)
    x, n, h = (per_law(xp, value, log_p) for value in (x, length, span))
    low, high = xp.sum(xp.exp(log_p) * reward, axis=-1, keepdims=True), _range(log_p, reward)[1]
    inside = (x > low) & (x < high)
    t, gap = _minimizer(log_p, reward, xp.where(inside, x, (low + high) / 2))
    variance = xp.sum(xp.exp(log_softmax(log_p + t * gap)) * gap**2, axis=-1)
    inside, t, n, h = (value[..., 0] for value in (inside & (t > 0), t, n, h))
    t, variance = xp.where(inside, t, 1.0), xp.where(inside, variance, 1.0)
    factor = xp.where(h > 0, t * h / -xp.expm1(-t * xp.where(h > 0, h, 1.0)), 1.0)
    found = -n * rate - xp.log(2 * math.pi * n * variance) / 2 + xp.log(factor / t)
    return xp.where(inside, found, math.nan)


def limits(log_p: LogLaw, reward: Values, rate: Scalar) -> Limits:
    r"""Return what reward, KL, cumulants and divergences tend to as the length grows, $N = e^{n \delta}$ draws.

    Reward $x^*$ and KL $\delta$ a letter for both. Best-of-N's variance, of the whole sum, is $\pi^2/(6 a^2)$ unless
    rewards lie on a lattice. $\frac1n \log D(\mathrm{tilt} \| \pi_N) \to \delta + 2 \Lambda(a/2) - \Lambda(a)$ while
    a is finite. Raises ValueError as `aligned_letter` does.
    """
    letter = aligned_letter(log_p, reward, rate)
    xp, log_p, reward = _checked(log_p, reward)
    rate = per_law(xp, rate, log_p)[..., 0]
    a = xp.where(letter.beta > 0, 1 / xp.where(letter.beta > 0, letter.beta, 1.0), math.nan)  # none at the largest rate
    growth = letter.kl + 2 * log_mgf(log_p, reward, masked(a, a == a) / 2) - log_mgf(log_p, reward, masked(a, a == a))
    variance = math.pi**2 / 6 * letter.beta**2
    return Limits(letter, log_p, reward, rate, letter.reward, variance, xp.where(a == a, growth, math.nan))


def _checked(log_p: LogLaw, reward: Values) -> tuple:
    """Refuse bad input; return the namespace, the law and the reward, 0 where the law has no mass."""
    checks.laws(log_p=log_p)
    checks.same_answers(log_p=log_p, reward=reward)
    xp, log_p, reward = as_arrays(log_p, reward)
    reward = masked(reward, log_p > -math.inf)
    checks.finite(reward=reward)
    return xp, log_softmax(log_p), reward


def _range(log_p: Array, reward: Array) -> tuple[Array, Array]:
    """Return the least and the largest reward that the law can give."""
    xp = namespace(log_p)
    given = log_p > -math.inf
    low = xp.min(xp.where(given, reward, math.inf), axis=-1, keepdims=True)
    return low, xp.max(xp.where(given, reward, -math.inf), axis=-1, keepdims=True)


def _minimizer(log_p: Array, reward: Array, x: Array) -> tuple[Array, Array]:
    r"""Return the t that minimizes $E\, e^{t (r - x)}$, and the gaps r - x; x lies inside the reward's range.

    At the minimum no term exceeds 1: $p\, e^{t (r - x)} \le 1$ at both ends of the range brackets t. The value at the
    minimum is as good as the square of t's error, so that halving the bracket suffices.
    """
    xp = namespace(log_p)
    given = log_p > -math.inf
    gap = masked(reward - x, given)
    top, bottom = (xp.max(xp.where(given, side, -math.inf), axis=-1, keepdims=True) for side in (gap, -gap))
    at_top, at_bottom = (xp.max(xp.where(given & (side == end), log_p, -math.inf), axis=-1, keepdims=True)
                         for side, end in ((gap, top), (-gap, bottom)))  # fmt: skip
    flat = (top <= 0) | (bottom <= 0)
    high, low = -at_top / xp.where(flat, 1.0, top), at_bottom / xp.where(flat, 1.0, bottom)
    for _ in range(HALVINGS):
        t = (low + high) / 2
        rising = xp.sum(xp.exp(log_softmax(log_p + t * gap)) * gap, axis=-1, keepdims=True) > 0
        low, high = xp.where(rising, low, t), xp.where(rising, t, high)
    return (low + high) / 2, gap
