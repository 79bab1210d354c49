"""Tilt and best-of-N of answers of any length, exactly: sums over types in place of sums over sequences."""

import math
from typing import NamedTuple

import array_api_compat
from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_mean_exp, log_softmax, masked, namespace, per_law
from alignbook.asymptotics._large_deviations import aligned_letter
from alignbook.best_of_n import best_of_n, log_kl_to_best_of_n
from alignbook.information import LogLaw, PerSetting, Values, expectation, kl_divergence, variance
from alignbook.tilting import Tilted
from alignbook.type_classes import log_class_probability, types

ROUNDING = 1e-12  # of the length times the largest |reward|: totals that differ by no more are ties


class Account(NamedTuple):
    """A policy's mean reward, its KL from the reference and its reward's variance, totals over the sequence."""

    reward: PerSetting
    kl: PerSetting
    variance: PerSetting


class FiniteLength(NamedTuple):
    """Tilt and best-of-N at one length, and their laws over types, in rising order of the total reward."""

    tilt: Account
    best_of_n: Account
    kl_best_of_n_to_tilt: PerSetting
    log_kl_tilt_to_best_of_n: PerSetting
    length: int
    letter: Tilted
    total: Float[Array, "*_batch types"]
    ref_log_p: Float[Array, "*_batch types"]
    tilt_log_p: Float[Array, "*_batch types"]
    best_of_n_log_p: Float[Array, "*_batch types"]

    def scaled_cumulants(self, order: Scalar) -> tuple[PerSetting, PerSetting]:
        r"""Return $\frac1n \log E\, e^{\rho r}$ of the tilt and of best-of-N at the order $\rho$."""
        checks.finite(order=order)
        xp, total = as_arrays(self.total)
        exponent = per_law(xp, order, total) * total
        tilted, best = (log_mean_exp(law, exponent) / self.length for law in (self.tilt_log_p, self.best_of_n_log_p))
        return tilted, best


def finite_length(log_p: LogLaw, reward: Values, length: int, rate: Scalar) -> FiniteLength:
    r"""Return the accounts of the tilt at KL $n \delta$ and of best-of-N at $N = e^{n \delta}$, for n letters.

    N is real. The divergence from best-of-N soon exceeds a float, hence its logarithm. Computed in double precision
    on the engine of `log_p`; not differentiable. Raises ValueError if `length` is below 1 or has too many types, if
    `rate` is negative or infinite, and as `tilt_to_kl` does.
    """
    checks.at_least(1, length=length)
    checks.finite(rate=rate)
    letter = aligned_letter(log_p, reward, rate)
    xp, log_p, reward, rate = as_arrays(log_p, reward, rate)
    log_n = length * xp.astype(rate, xp.float64)
    total, rank, (ref, tilted) = _by_types(length, reward, log_p, letter.log_p)
    best = best_of_n(ref, rank, log_n=log_n)
    account = expectation(best, total), kl_divergence(best, ref), variance(best, total)
    divergences = kl_divergence(best, tilted), log_kl_to_best_of_n(tilted, ref, rank, log_n=log_n)
    account, divergences, laws = (
        [xp.astype(part, log_p.dtype) for part in parts] for parts in (account, divergences, (total, ref, tilted, best))
    )
    tilt = Account(length * letter.reward, length * letter.kl, length * letter.variance)
    return FiniteLength(tilt, Account(*account), *divergences, length, letter, *laws)


def _by_types(length: int, reward: Array, *letter_laws: Array) -> tuple[Array, Array, list[Array]]:
    """Return totals in rising order, ranks that rounding does not tell apart, and the laws of whole sequences."""
    xp = namespace(reward)
    possible = letter_laws[0] > -math.inf
    reward = xp.astype(masked(reward, possible), xp.float64)
    counts = xp.asarray(types(reward.shape[-1], length), device=array_api_compat.device(reward))
    total = sum(reward[..., i, None] * counts[:, i] for i in range(counts.shape[-1]))
    order = xp.argsort(total, axis=-1)
    total = xp.take_along_axis(total, order, axis=-1)
    rounding = ROUNDING * length * xp.max(xp.abs(reward), axis=-1, keepdims=True)
    rises = xp.astype(total[..., 1:] - total[..., :-1] > rounding, xp.float64)
    rank = xp.concat([xp.zeros_like(total[..., :1]), xp.cumulative_sum(rises, axis=-1)], axis=-1)
    laws = (log_class_probability(log_softmax(xp.astype(law, xp.float64)), counts) for law in letter_laws)
    return total, rank, [_along(law, order) for law in laws]


def _along(law: Array, order: Array) -> Array:
    """Return the law in an order, each broadcast to the batch of the other."""
    xp = namespace(law)
    law, order = xp.broadcast_arrays(law, order)
    return xp.take_along_axis(law, order, axis=-1)
