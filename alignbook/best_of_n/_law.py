"""The exact law of best-of-N and its draws."""

import math
from typing import NamedTuple, TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float, Int

from alignbook import checks
from alignbook.arrays import (
    Array,
    Scalar,
    as_arrays,
    draw,
    log_softmax,
    logsumexp,
    masked,
    namespace,
    per_law,
    tie_ranges,
)
from alignbook.best_of_n._draws import LARGEST_EXPONENT, bounded_exp, checked, log_minus_log, log_of_draws, log_some_of
from alignbook.information import LogLaw, PerSetting, Values

Laws: TypeAlias = Float[Array, "*_batch answers"]

LOWEST = -700.0  # e^-700 is a normal float, whose sums lose no digit


def best_of_n(ref_log_p: LogLaw, reward: Values, n: Scalar | None = None, *, log_n: Scalar | None = None) -> Laws:
    r"""Return $\log \pi_N$ with $\pi_N(y) = \frac{p(y)}{F - F_-} (F^N - F_-^N)$.

    Here $F = P(r \le r(y))$ and $F_- = P(r < r(y))$ under the reference p. Raises ValueError if `ref_log_p` is no
    law, `reward` holds nan or +inf, their answers differ, or not exactly one of `n` (at least 1) and `log_n` (at
    least 0) is given, finite.

    >>> np.exp(best_of_n(np.log([0.5, 0.5]), np.array([1.0, 0.0]), 3)).round(12).tolist()
    [0.875, 0.125]
    """
    xp, log_p, reward = checked(ref_log_p, reward)
    log_n = per_law(xp, log_of_draws(n, log_n, log_p), log_p)
    ladder = _ladder(log_p, reward)
    log_better = log_n + ladder.log_better
    law = ladder.log_share - bounded_exp(log_better) + log_some_of(log_n + ladder.log_as_good)
    law = xp.where(log_better < LARGEST_EXPONENT, law, -math.inf)
    law = law - xp.log(xp.sum(xp.exp(law), axis=-1, keepdims=True))  # takes off the rounding of long sums
    law = xp.take_along_axis(law, xp.broadcast_to(ladder.back, law.shape), axis=-1)
    return xp.astype(law, as_arrays(ref_log_p)[1].dtype)


def log_kl_to_best_of_n(
    log_p: LogLaw, ref_log_p: LogLaw, reward: Values, n: Scalar | None = None, *, log_n: Scalar | None = None
) -> PerSetting:
    r"""Return $\log D(q \| \pi_N)$ for a law q, whose D soon exceeds a float: bad answers hardly ever win.

    Raises ValueError as `best_of_n` does and if `log_p` is no law.
    """
    xp, ref, reward = checked(ref_log_p, reward)
    _, law, _ = checked(log_p, reward)
    log_n = per_law(xp, log_of_draws(n, log_n, ref), ref)
    ref, reward, law = xp.broadcast_arrays(ref, reward, log_softmax(law))
    ladder = _ladder(ref, reward)
    law = xp.take_along_axis(law, xp.argsort(ladder.back, axis=-1, stable=False), axis=-1)
    given = law > -math.inf
    log_ratio = masked(law, given) - ladder.log_share - log_some_of(log_n + ladder.log_as_good)
    rest = xp.sum(masked(xp.exp(law) * xp.where(given, log_ratio, 0.0), given), axis=-1)
    log_beaten = logsumexp(law + log_n + ladder.log_better)  # by so many draws, on average over q: minus log F^N
    kl = bounded_exp(log_beaten) + rest
    differ = kl > 0
    log_kl = xp.where(differ, xp.log(xp.where(differ, kl, 1.0)), -math.inf)
    log_kl = xp.where((log_beaten < LARGEST_EXPONENT - 9) | (rest == math.inf), log_kl, log_beaten)
    return xp.astype(log_kl, as_arrays(log_p)[1].dtype)


def sample_best_of_n(
    ref_log_p: LogLaw, reward: Values, n: int, num_samples: int, *, seed: int = 0
) -> Int[Array, "*_batch samples"]:
    """Draw n answers from the reference and keep the best, the first of equals; so many times, as indices.

    numpy draws, so that every engine sees the same answers. Raises ValueError if `ref_log_p` is no law, `reward`
    holds nan or +inf, their answers differ, or `n` or `num_samples` is below 1.
    """
    xp, log_p, reward = checked(ref_log_p, reward)
    checks.at_least(1, n=n, num_samples=num_samples)
    log_p, reward = xp.broadcast_arrays(log_p, reward)
    shape, device = (*log_p.shape[:-1], num_samples), array_api_compat.device(log_p)
    rng = np.random.default_rng(seed)

    def drawn() -> Array:
        return draw(log_p[..., None, :], xp.asarray(rng.random(shape), device=device))

    best = drawn()
    for _ in range(n - 1):
        answer = drawn()
        better = xp.take_along_axis(reward, answer, axis=-1) > xp.take_along_axis(reward, best, axis=-1)
        best = xp.where(better, answer, best)
    return best


class _Ladder(NamedTuple):
    r"""The answers in rising order of reward, and the order `back`.

    With the log of an answer's share among its equals, and on the scale of $\log(-\log(1 - x))$ the chance x that a
    draw is better, and that one that is not better is as good.
    """

    back: Array
    log_share: Array
    log_better: Array
    log_as_good: Array


def _ladder(log_p: Array, reward: Array) -> _Ladder:
    """Sum the law from below and from above, so that both tails keep their digits."""
    xp = namespace(log_p)
    log_p, reward = xp.broadcast_arrays(log_p, reward)
    order = xp.argsort(reward, axis=-1, stable=False)
    reward, log_p = (xp.take_along_axis(x, order, axis=-1) for x in (reward, log_p))
    upward, downward = _cumulative_logsumexp(xp.stack([log_p, xp.flip(log_p, axis=-1)]))
    log_p, upward, downward = (x - upward[..., -1:] for x in (log_p, upward, downward))  # of total mass 1
    nothing = xp.full_like(log_p[..., :1], -math.inf)
    upward, downward = xp.concat([nothing, upward], axis=-1), xp.concat([xp.flip(downward, axis=-1), nothing], axis=-1)
    if bool(xp.all(reward[..., 1:] > reward[..., :-1])):
        below, at_most, above, at = upward[..., :-1], upward[..., 1:], downward[..., 1:], log_p
    else:
        below, at_most, above, at = _among_ties(reward, log_p, upward, downward)
    possible = log_p > -math.inf
    at_most, above = (xp.where(possible, part, -1.0) for part in (at_most, above))
    below, at = (xp.where(possible, part, -2.0) for part in (below, at))
    better, as_good = log_minus_log(above, at_most), log_minus_log(at - at_most, below - at_most)
    return _Ladder(xp.argsort(order, axis=-1, stable=False), log_p - at, better, as_good)


def _among_ties(reward: Array, log_p: Array, upward: Array, downward: Array) -> tuple[Array, Array, Array, Array]:
    """Return each answer's sums over what is worse, at most as good, better and as good; answers in rising order."""
    xp = namespace(log_p)
    _, first, last = tie_ranges(reward)
    below, at_least = (xp.take_along_axis(sums, first, axis=-1) for sums in (upward, downward))
    at_most, above = (xp.take_along_axis(sums, last + 1, axis=-1) for sums in (upward, downward))
    # the mass of equals is a difference: of the smaller sums, and never less than the answer's own
    small = at_least < at_most
    equals = _log_difference(xp.where(small, at_least, at_most), xp.where(small, above, below))
    return below, at_most, above, xp.where(first == last, log_p, xp.maximum(log_p, equals))


def _cumulative_logsumexp(x: Array) -> Array:
    """Return the logarithms of the running sums: plain sums while no term underflows, else the engine's own."""
    xp = namespace(x)
    if bool(xp.any((x < LOWEST) & (x > -math.inf))):
        return xp.logcumsumexp(x, -1) if array_api_compat.is_torch_array(x) else np.logaddexp.accumulate(x, axis=-1)
    total = xp.cumulative_sum(xp.exp(x), axis=-1)  # loses fewer digits than a sum of logarithms
    some = total > 0
    return xp.where(some, xp.log(xp.where(some, total, 1.0)), -math.inf)


def _log_difference(larger: Array, smaller: Array) -> Array:
    """Return the log of the difference of two exponentials; -inf where they are equal."""
    xp = namespace(larger)
    some = smaller > -math.inf
    gap = masked(smaller, some) - masked(larger, some)
    differ = gap < 0
    share = xp.log(-xp.expm1(xp.where(differ, gap, -1.0)))
    return xp.where(differ, larger + share, xp.where(some, -math.inf, larger))
