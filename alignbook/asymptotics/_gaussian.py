"""Letters whose rewards are standard normal: the total is normal at every length, and nothing is counted by types."""

from typing import NamedTuple

import array_api_compat

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_normal_cdf, log_softmax, namespace
from alignbook.asymptotics._finite_length import Account
from alignbook.best_of_n import kl_upper_bound
from alignbook.information import PerSetting

STEP, LOWEST, HIGHEST = 1 / 16, -24, 48  # of the quadrature, in units of what a factor e of the density takes
RARE = 30.0  # deviations from which on log F is minus the survival, to the last digit


class GaussianLength(NamedTuple):
    """Tilt and best-of-N at one length, and the divergence between them, totals over the sequence."""

    tilt: Account
    best_of_n: Account
    kl_best_of_n_to_tilt: PerSetting


def gaussian_finite_length(length: Scalar, rate: Scalar) -> GaussianLength:
    r"""Return what `finite_length` does, for n letters of standard normal reward and $N = e^{n \delta}$ draws.

    The total over $\sqrt n$ is normal: the tilt moves its mean to $\sqrt{2 n \delta}$, best-of-N has the density
    $N \varphi F^{N - 1}$, here in the trapezoidal rule, and KL $\log N - (N - 1)/N$. The divergence follows from the
    tilt's identity. Any real length, in double precision. Raises ValueError if `length` is below 1 or `rate` is
    negative, or one of them is infinite.
    """
    checks.at_least(1, length=length)
    checks.not_negative(rate=rate)
    checks.finite(length=length, rate=rate)
    xp, *given = as_arrays(length, rate)
    n, delta = (xp.astype(x, xp.float64) for x in xp.broadcast_arrays(*given))
    log_n = n * delta
    shift = xp.sqrt(2 * log_n)
    grid = xp.arange(LOWEST, HIGHEST, STEP, dtype=xp.float64, device=array_api_compat.device(n))
    beyond = grid / xp.where(shift > 1, shift, 1.0)[..., None]  # what z exceeds the tilt's mean by
    mass = xp.exp(log_softmax(_log_density(shift[..., None] + beyond, log_n[..., None])))
    excess = xp.sum(mass * beyond, axis=-1)
    spread = xp.sum(mass * (beyond - excess[..., None]) ** 2, axis=-1)
    kl = kl_upper_bound(log_n=log_n)
    tilt = Account(xp.sqrt(n) * shift, log_n, n)
    best = Account(xp.sqrt(n) * (shift + excess), kl, n * spread)
    gap = xp.expm1(-log_n) - shift * excess
    keep = [[xp.astype(part, given[0].dtype) for part in account] for account in (tilt, best)]
    return GaussianLength(Account(*keep[0]), Account(*keep[1]), xp.astype(gap, given[0].dtype))


def _log_density(z: Array, log_n: Array) -> Array:
    r"""Return $\log[\varphi(z) F(z)^{N - 1}]$ but for a constant near its largest value."""
    xp = namespace(z)
    log_below, log_above = log_normal_cdf(z), log_normal_cdf(-z)
    log_lost = xp.where(z > RARE, log_above, xp.log(-xp.where(z > RARE, -1.0, log_below)))  # of -log F
    others = log_n + xp.log(-xp.expm1(-xp.where(log_n > 0, log_n, 1.0)))  # log (N - 1)
    beaten = xp.exp(xp.clip(others + log_lost, max=700.0))
    return log_n - z**2 / 2 - xp.where(log_n > 0, beaten, 0.0)
