"""Soft best-of-N: one of n draws is kept at random, good ones more often."""

import math
from typing import TypeAlias

import array_api_compat
from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_mean_exp, log_softmax, logsumexp, masked, namespace, per_law
from alignbook.best_of_n._draws import checked, log_of_draws
from alignbook.information import LogLaw, Values

Laws: TypeAlias = Float[Array, "*_batch answers"]

STEP = 1 / 8  # of the quadrature in log s: at 1/4 masses are off by up to 1e-9, at 1/8 by rounding alone
TAIL = 40.0  # nats: the quadrature leaves out e^-40 of an integral


def soft_best_of_n(ref_log_p: LogLaw, reward: Values, n: Scalar, beta: Scalar) -> Laws:
    r"""Return $\log \big[n\, p(y)\, w_y \int_0^\infty e^{-s w_y} \big(\sum_z p(z) e^{-s w_z}\big)^{n-1} ds\big]$.

    One of n draws, a real number of at least 1, is kept at random, with chances proportional to $w = e^{r/\beta}$;
    beta near 0 is best-of-N with its ties, large n the tilt. The trapezoidal rule in log s leaves masses an error of
    at most 1e-13; its work grows with the spread of $r/\beta$. Raises ValueError as `best_of_n` does, if a reward
    that the reference can give is -inf or if `beta` is not positive. Source: <https://arxiv.org/abs/2505.03156>.

    >>> import numpy as np
    >>> np.exp(soft_best_of_n(np.log([0.5, 0.5]), np.array([np.log(3.0), 0.0]), 2, 1.0)).round(12).tolist()
    [0.625, 0.375]
    """
    checks.positive(beta=beta)
    xp, log_p, reward = checked(ref_log_p, reward)
    log_p = log_softmax(log_p)
    reward = masked(reward, log_p > -math.inf)
    checks.finite(reward=reward)
    log_n = per_law(xp, log_of_draws(n, None, log_p), log_p)
    log_w = _closed_up(reward / per_law(xp, beta, log_p), log_n)
    log_s = _nodes(log_w, log_n)
    exponent = -xp.exp(log_w[..., None, :] + log_s[:, None])  # nodes, answers
    log_others = xp.expm1(log_n) * log_mean_exp(log_p[..., None, :], exponent)
    kept = exponent + (log_w[..., None, :] + log_s[:, None]) + log_others[..., None]
    law = log_p + log_n + logsumexp(xp.moveaxis(kept, -2, -1)) + math.log(STEP)
    return xp.astype(law, as_arrays(ref_log_p)[1].dtype)


def _closed_up(log_w: Array, log_n: Array) -> Array:
    """Return log-weights from 0 down, with gaps cut to TAIL + log n.

    An answer so far below another has a chance of e^-TAIL against it, however often it is drawn.
    """
    xp = namespace(log_w)
    order = xp.argsort(log_w, axis=-1, descending=True)
    ranked = xp.take_along_axis(log_w, order, axis=-1)
    gaps = xp.minimum(ranked[..., :-1] - ranked[..., 1:], TAIL + log_n)
    ranked = xp.concat([0.0 * (ranked[..., :1] + log_n), -xp.cumulative_sum(gaps, axis=-1)], axis=-1)
    back = xp.broadcast_to(xp.argsort(order, axis=-1), ranked.shape)
    return xp.take_along_axis(ranked, back, axis=-1)


def _nodes(log_w: Array, log_n: Array) -> Array:
    """Return nodes in log s that leave out no more than e^-TAIL of any answer's integral."""
    xp = namespace(log_w)
    below, above = (int(xp.max(xp.astype(x / STEP, xp.int64))) for x in (TAIL + log_n, 4.0 - log_w))
    return STEP * xp.arange(-below, above + 1, dtype=xp.float64, device=array_api_compat.device(log_w))
