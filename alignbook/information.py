r"""How far apart two laws are: entropy, KL and Rényi divergence, and the averages and win rates beside them.

The whole book is about policies that stay close to a reference while their reward rises; these are its two
scales. Laws are log-probabilities on the last axis, results are in nats, leading axes are a batch. Three
conventions hold throughout: $0 \log 0 = 0$, a divergence is inf where the first law has mass and the second
has none, and ties of a win rate count one half. Source: Cover and Thomas, *Elements of Information Theory*.
"""

import math
from typing import TypeAlias

from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_mean_exp, masked, per_law, tie_ranges

LogLaw: TypeAlias = Float[Array, "*#batch answers"]
Values: TypeAlias = Real[Array, "*#batch answers"]
PerLaw: TypeAlias = Float[Array, "*batch"]
PerSetting: TypeAlias = Float[Array, "..."]  # the batch, broadcast against scalar arguments


def entropy(log_p: LogLaw) -> PerLaw:
    r"""Return $H(p) = -\sum_y p(y) \log p(y)$ in nats.

    Raises ValueError if `log_p` is no law.

    >>> import numpy as np
    >>> round(float(entropy(np.log([0.5, 0.5]))), 6)
    0.693147
    """
    return cross_entropy(log_p, log_p)


def cross_entropy(log_p: LogLaw, log_q: LogLaw) -> PerLaw:
    r"""Return $H(p, q) = -\sum_y p(y) \log q(y)$ in nats; inf where p has mass and q has none.

    Raises ValueError if an argument is no law or their answers differ.
    """
    checks.laws(log_p=log_p, log_q=log_q)
    checks.same_answers(log_p=log_p, log_q=log_q)
    return -expectation(log_p, log_q)


def kl_divergence(log_p: LogLaw, log_q: LogLaw) -> PerLaw:
    r"""Return $D(p \| q) = \sum_y p(y) \log \frac{p(y)}{q(y)}$ in nats; inf where p has mass and q has none.

    Never negative, and exact to the rounding of its arguments also where the laws nearly agree.
    Raises ValueError if an argument is no law or their answers differ.

    >>> import numpy as np
    >>> round(float(kl_divergence(np.log([0.75, 0.25]), np.log([0.5, 0.5]))), 6)
    0.130812
    """
    checks.laws(log_p=log_p, log_q=log_q)
    checks.same_answers(log_p=log_p, log_q=log_q)
    xp, log_p, log_q = as_arrays(log_p, log_q)
    possible = log_p > -math.inf
    log_ratio = xp.where(possible, masked(log_p, possible) - log_q, -math.inf)
    return kl_from_log_ratio(log_q, log_ratio)


def kl_from_log_ratio(log_q: LogLaw, log_ratio: Values) -> PerLaw:
    r"""Return $D(p \| q)$ from q and $\ell = \log(p/q)$, as $E_q[e^{\ell}(\ell - 1) + 1]$.

    Both laws sum to one, so this is $E_p\, \ell$; but every term is positive and of second order where the
    laws nearly agree, so that nothing cancels. Nothing is checked: q and $e^\ell q$ must be laws.
    """
    xp, log_q, log_ratio = as_arrays(log_q, log_ratio)
    lost = log_ratio == math.inf  # p has mass where q has none
    near = xp.abs(log_ratio) < 0.1
    far = ~near & (log_ratio > -math.inf) & ~lost
    ratio_far = masked(log_ratio, far)
    p_far = masked(xp.exp(log_q + ratio_far), far)
    q = xp.exp(log_q)
    terms = xp.where(near, q * _relative_entropy_term(masked(log_ratio, near)), p_far * (ratio_far - 1) + q)
    return xp.sum(xp.where(lost, math.inf, terms), axis=-1)


def renyi_divergence(log_p: LogLaw, log_q: LogLaw, order: Scalar) -> PerSetting:
    r"""Return $D_\alpha(p \| q) = \frac{1}{\alpha - 1} \log \sum_y p(y)^\alpha q(y)^{1 - \alpha}$ in nats.

    Order 1 is the KL divergence, order 0 is $-\log q(p > 0)$, order inf the largest log-ratio.
    Raises ValueError if an argument is no law, their answers differ or `order` is negative.
    Source: <https://arxiv.org/abs/1206.2459>.
    """
    kl = kl_divergence(log_p, log_q)
    checks.not_negative(order=order)
    xp, log_p, log_q = as_arrays(log_p, log_q)
    possible = log_p > -math.inf
    log_ratio = masked(log_p, possible) - masked(log_q, possible)
    largest = xp.max(xp.where(possible, log_ratio, -math.inf), axis=-1)
    alpha = per_law(xp, order, kl)
    between = (alpha != 1) & (alpha != math.inf)
    excess = xp.where(between, alpha - 1, 1.0)
    moment = log_mean_exp(log_p, excess * log_ratio) / excess[..., 0]
    special = xp.where(alpha[..., 0] == 1, kl, largest)
    return xp.where(between[..., 0], moment, special)


def renyi_cross_entropy(log_p: LogLaw, log_q: LogLaw, order: Scalar) -> PerSetting:
    r"""Return $H_\alpha(p \| q) = \frac{1}{1 - \alpha} \log \sum_y p(y)\, q(y)^{\alpha - 1}$ in nats.

    Order 1 is the cross entropy; any real order will do. Below it, mass of p where q has none gives inf.
    Raises ValueError if an argument is no law, their answers differ or `order` is not finite.
    Source: <https://arxiv.org/abs/2404.01730>.
    """
    limit = cross_entropy(log_p, log_q)
    checks.finite(order=order)
    xp, log_p, log_q = as_arrays(log_p, log_q)
    score = masked(log_q, log_p > -math.inf)
    alpha = per_law(xp, order, limit)
    is_limit = alpha == 1
    excess = xp.where(is_limit, 1.0, alpha - 1)
    return xp.where(is_limit[..., 0], limit, -log_mean_exp(log_p, excess * score) / excess[..., 0])


def expectation(log_p: LogLaw, values: Values) -> PerLaw:
    r"""Return $E_p\, v = \sum_y p(y)\, v(y)$; where p is 0 the value does not matter.

    Raises ValueError if `log_p` is no law, `values` holds nan or +inf, or their answers differ.
    """
    checks.laws(log_p=log_p)
    checks.rewards(values=values)
    checks.same_answers(log_p=log_p, values=values)
    xp, log_p, values = as_arrays(log_p, values)
    values = _where_possible(log_p, values)
    lost = values == -math.inf  # counts however small its mass, even where exp gives 0
    return xp.sum(xp.where(lost, -math.inf, xp.exp(log_p) * masked(values, ~lost)), axis=-1)


def variance(log_p: LogLaw, values: Values) -> PerLaw:
    r"""Return $\mathrm{Var}_p(v) = E_p (v - E_p v)^2$, in two passes; where p is 0 the value does not matter.

    Raises ValueError if `log_p` is no law, a value it can give is not finite, or their answers differ.
    """
    mean = expectation(log_p, values)
    xp, log_p, values = as_arrays(log_p, values)
    possible_values = _where_possible(log_p, values)
    checks.finite(values=possible_values)
    return xp.sum(xp.exp(log_p) * (possible_values - mean[..., None]) ** 2, axis=-1)


def win_rate(log_p: LogLaw, log_q: LogLaw, reward: Values) -> PerLaw:
    r"""Return $P(r(Y) > r(Y')) + \tfrac12 P(r(Y) = r(Y'))$ for independent $Y \sim p$ and $Y' \sim q$.

    Sorts once: 1e5 answers cost no more than their sorting. Raises ValueError if an argument is no law,
    `reward` holds nan or +inf, or their answers differ.
    """
    checks.laws(log_p=log_p, log_q=log_q)
    checks.rewards(reward=reward)
    checks.same_answers(log_p=log_p, log_q=log_q, reward=reward)
    xp, log_p, log_q, reward = as_arrays(log_p, log_q, reward)
    log_p, log_q, reward = xp.broadcast_arrays(log_p, log_q, reward)
    order, first, last = tie_ranges(reward)
    p, q = (xp.take_along_axis(xp.exp(law), order, axis=-1) for law in (log_p, log_q))
    up_to = xp.cumulative_sum(q, axis=-1)
    beaten = xp.where(first > 0, xp.take_along_axis(up_to, xp.clip(first - 1, 0), axis=-1), 0.0)
    matched = xp.take_along_axis(up_to, last, axis=-1)
    return xp.sum(p * (beaten + matched) / 2, axis=-1)


def _where_possible(log_p: Array, values: Array) -> Array:
    """Return the values, 0 where p is 0, at the common shape of both."""
    return masked(values, log_p > -math.inf)


def _relative_entropy_term(log_ratio: Array) -> Array:
    r"""Return $e^{\ell}(\ell - 1) + 1 = \sum_{k \ge 2} \frac{k - 1}{k!} \ell^k$ for $|\ell| < 0.1$.

    The closed form would lose the digits that the series keeps; 11 terms reach float64's last one.
    """
    total = 0.0 * log_ratio
    for k in range(12, 1, -1):
        total = log_ratio * total + (k - 1) / math.factorial(k)
    return total * log_ratio**2
