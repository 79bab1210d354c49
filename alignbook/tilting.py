r"""The KL-constrained optimum: the reference, tilted towards reward.

Among all policies within a KL budget of the reference, the one of highest expected reward is the reference
times $e^{r/\beta}$, renormalized. This module computes that tilt from a beta or from a budget, and how far any
other policy is from it. Large `beta` stays near the reference; budgets and divergences are in nats; answers
lie on the last axis and leading axes are a batch. Source: <https://arxiv.org/abs/2404.01730>.
"""

import math
from typing import NamedTuple, TypeAlias

from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import (
    Array,
    Scalar,
    as_arrays,
    log1mexp,
    log_mean_exp,
    log_softmax,
    logsumexp,
    masked,
    namespace,
    per_law,
)
from alignbook.information import (
    LogLaw,
    PerSetting,
    Values,
    expectation,
    kl_divergence,
    kl_from_log_ratio,
    variance,
)

Laws: TypeAlias = Float[Array, "*_batch answers"]


class Tilted(NamedTuple):
    """A tilt and its accounts: the law, its beta, its KL from the reference, its reward and reward variance."""

    log_p: Laws
    beta: PerSetting
    kl: PerSetting
    reward: PerSetting
    variance: PerSetting


def log_partition(ref_log_p: LogLaw, reward: Values, beta: Scalar) -> PerSetting:
    r"""Return $\log Z(\beta) = \log E_{\pi_\mathrm{ref}}\, e^{r/\beta}$.

    A reward of -inf forbids an answer. Raises ValueError if `ref_log_p` is no law, `reward` holds nan or +inf,
    their answers differ or `beta` is not positive.
    """
    _, ref_log_p, reward, b = _checked(ref_log_p, reward, beta)
    best = _best_reward(ref_log_p, reward)
    return best[..., 0] / b[..., 0] + log_mean_exp(ref_log_p, _exponent(reward - best, b))


def tilt(ref_log_p: LogLaw, reward: Values, beta: Scalar) -> Laws:
    r"""Return $\log \pi_\beta$ with $\pi_\beta(y) \propto \pi_\mathrm{ref}(y)\, e^{r(y)/\beta}$.

    The KL-constrained optimum; large `beta` stays near the reference, beta = inf is the reference. A reward of
    -inf forbids an answer. Raises ValueError if `ref_log_p` is no law, `reward` holds nan or +inf, their
    answers differ or `beta` is not positive. Source: <https://arxiv.org/abs/2305.18290>.

    >>> import numpy as np
    >>> np.exp(tilt(np.log([0.5, 0.5]), np.array([np.log(3.0), 0.0]), 1.0)).round(12).tolist()
    [0.75, 0.25]
    """
    _, ref_log_p, reward, b = _checked(ref_log_p, reward, beta)
    gap = reward - _best_reward(ref_log_p, reward)
    return log_softmax(ref_log_p) + _log_ratio(ref_log_p, _exponent(gap, b))


def condition_on_best(ref_log_p: LogLaw, reward: Values) -> Laws:
    r"""Return the reference conditioned on its best answers, $\lim_{\beta \to 0} \log \pi_\beta$; ties included.

    Best is the highest reward among the answers the reference can give. Raises ValueError as `tilt` does.
    """
    xp, ref_log_p, reward, _ = _checked(ref_log_p, reward, 1.0)
    best = (reward == _best_reward(ref_log_p, reward)) & (ref_log_p > -math.inf)
    return log_softmax(xp.where(best, ref_log_p, -math.inf))


def max_kl(ref_log_p: LogLaw, reward: Values) -> PerSetting:
    r"""Return the largest budget a tilt can spend, $-\log \pi_\mathrm{ref}(\text{best answers})$.

    Raises ValueError as `tilt` does.
    """
    xp, ref_log_p, reward, _ = _checked(ref_log_p, reward, 1.0)
    best = (reward == _best_reward(ref_log_p, reward)) & (ref_log_p > -math.inf)
    log_best, log_rest = (logsumexp(xp.where(part, ref_log_p, -math.inf)) for part in (best, ~best))
    rest_is_small = log_rest < log_best
    share = xp.where(rest_is_small, log_rest - logsumexp(ref_log_p), -math.inf)
    return xp.where(rest_is_small, -log1mexp(share), logsumexp(ref_log_p) - log_best)


def objective(log_p: LogLaw, ref_log_p: LogLaw, reward: Values, beta: Scalar) -> PerSetting:
    r"""Return $J(\pi) = E_\pi\, r - \beta\, D(\pi \| \pi_\mathrm{ref})$, what the tilt maximizes.

    Raises ValueError if a law is no law, `reward` holds nan or +inf, answers differ or `beta` is not positive.
    """
    checks.positive(beta=beta)
    kl = kl_divergence(log_p, ref_log_p)
    _xp, kl, beta = as_arrays(kl, beta)
    return expectation(log_p, reward) - beta * kl


def near_optimality_gap(log_p: LogLaw, ref_log_p: LogLaw, reward: Values, beta: Scalar) -> PerSetting:
    r"""Return $D(\pi \| \pi_\beta)$ by the identity, from budgets and rewards alone.

    $D(\pi \| \pi_\beta) = D(\pi \| \pi_\mathrm{ref}) - D(\pi_\beta \| \pi_\mathrm{ref}) +
    [E_{\pi_\beta} r - E_\pi r]/\beta$; inf where the policy has mass and the reference has none.
    Raises ValueError as `objective` does.
    """
    kl = kl_divergence(log_p, ref_log_p)
    optimum = tilt(ref_log_p, reward, beta)
    _xp, kl, beta = as_arrays(kl, beta)
    lost_reward = expectation(optimum, reward) - expectation(log_p, reward)
    return kl - kl_divergence(optimum, ref_log_p) + lost_reward / beta


def tilt_to_kl(ref_log_p: LogLaw, reward: Values, kl_budget: Scalar) -> Tilted:
    r"""Return the optimum at a KL budget: the tilt with $D(\pi_\beta \| \pi_\mathrm{ref}) = \kappa$.

    At and beyond the largest KL a tilt can spend it is the reference conditioned on its best answers, with
    beta = 0; at budget 0 the reference, with beta = inf. The search runs in float64 and is not differentiable.
    Raises ValueError if `ref_log_p` is no law, a reward it can give is not finite, their answers differ or
    `kl_budget` is negative.

    >>> import numpy as np
    >>> found = tilt_to_kl(np.log([0.5, 0.5]), np.array([1.0, 0.0]), 0.1)
    >>> round(float(found.kl), 12)
    0.1
    """
    checks.not_negative(kl_budget=kl_budget)
    xp, ref_log_p, reward, _ = _checked(ref_log_p, reward, 1.0)
    checks.finite(reward=reward)
    ref, reward = (xp.astype(x, xp.float64) for x in (ref_log_p, reward))
    if ref_log_p.dtype != ref.dtype:
        ref = log_softmax(ref)  # a law in single precision is none yet in double
    budget = per_law(xp, kl_budget, ref)
    most = max_kl(ref, reward)[..., None]
    inside = (budget > 0) & (budget < most)
    inverse_beta = _inverse_beta_at(ref, reward, budget, most, inside)
    found = _at_inverse_beta(ref, reward, inverse_beta)
    end = _at_an_end(ref, reward, budget, most)
    log_p, *accounts = (xp.astype(xp.where(inside, x, y), ref_log_p.dtype) for x, y in zip(found, end, strict=True))
    return Tilted(log_p, *(account[..., 0] for account in accounts))


def _checked(ref_log_p: LogLaw, reward: Values, beta: Scalar) -> tuple:
    """Refuse bad input; return the namespace, the law, the reward (0 where the law has no mass), beta[..., None]."""
    checks.laws(ref_log_p=ref_log_p)
    checks.rewards(reward=reward)
    checks.same_answers(ref_log_p=ref_log_p, reward=reward)
    checks.positive(beta=beta)
    xp, ref_log_p, reward = as_arrays(ref_log_p, reward)
    reward = masked(reward, ref_log_p > -math.inf)
    if bool(xp.any(_best_reward(ref_log_p, reward) == -math.inf)):
        raise ValueError("`reward` must allow an answer the reference can give, got -inf on all of them.")
    return xp, ref_log_p, reward, per_law(xp, beta, ref_log_p)


def _best_reward(ref_log_p: Array, reward: Array) -> Array:
    xp = namespace(ref_log_p)
    return xp.max(xp.where(ref_log_p > -math.inf, reward, -math.inf), axis=-1, keepdims=True)


def _exponent(gap: Array, beta: Array) -> Array:
    """Return gap / beta; a forbidden answer (-inf) stays forbidden at beta = inf."""
    forbidden = gap == -math.inf
    return namespace(gap).where(forbidden, -math.inf, masked(gap, ~forbidden) / beta)


def _log_ratio(ref_log_p: Array, exponent: Array) -> Array:
    r"""Return $\log(\pi/\pi_\mathrm{ref})$ of the tilt with this exponent; 0 where the reference has no mass."""
    return masked(exponent - log_mean_exp(ref_log_p, exponent)[..., None], ref_log_p > -math.inf)


# The search for beta works with its inverse a = 1/beta, of which the KL is an increasing function with
# dD/da = a Var(r). Everything in it carries a last axis of length one.


def _at_inverse_beta(ref: Array, reward: Array, a: Array) -> Tilted:
    """Return the tilt at a = 1/beta; the reward is centered first, so that no digit is lost at small a."""
    xp = namespace(ref)
    rough = xp.exp(log_softmax(ref + a * masked(reward - _best_reward(ref, reward), ref > -math.inf)))
    center = xp.sum(rough * reward, axis=-1, keepdims=True)
    gap = masked(reward - center, ref > -math.inf)
    log_ratio = _log_ratio(ref, a * gap)
    ref = log_softmax(ref)
    log_p = ref + log_ratio
    law = xp.exp(log_p)
    residue = xp.sum(law * gap, axis=-1, keepdims=True)
    spread = xp.sum(law * (gap - residue) ** 2, axis=-1, keepdims=True)
    kl = kl_from_log_ratio(ref, log_ratio)[..., None]
    return Tilted(log_p, 1 / a, kl, center + residue, spread)


def _at_an_end(ref: Array, reward: Array, budget: Array, most: Array) -> Tilted:
    """Return the reference where nothing is to be spent, and the best answers alone where all is."""
    xp = namespace(ref)
    nothing = budget == 0
    mean, spread = expectation(ref, reward)[..., None], variance(ref, reward)[..., None]
    return Tilted(
        xp.where(nothing, log_softmax(ref), condition_on_best(ref, reward)),
        xp.where(nothing, math.inf, xp.zeros_like(most)),
        xp.where(nothing, 0.0, most),
        xp.where(nothing, mean, _best_reward(ref, reward)),
        xp.where(nothing, spread, 0.0),
    )


def _inverse_beta_at(ref: Array, reward: Array, budget: Array, most: Array, inside: Array) -> Array:
    r"""Solve $D(\pi_{1/a} \| \pi_\mathrm{ref}) = \kappa$ for a: Newton steps, kept within a shrinking bracket.

    A step that leaves the bracket or is not half the one before gives way to the bracket's geometric middle:
    the search ends whatever rounding does, 200 steps are the most, and the best a seen is returned.
    """
    xp = namespace(ref)
    unit = xp.finfo(ref.dtype).eps
    budget, most = xp.where(inside, budget, 0.5), xp.where(inside, most, 1.0)
    low, high, a = _bracket_and_start(ref, reward, budget, most, inside)
    best_a, least_miss, last_step = a, xp.full_like(a, math.inf), xp.full_like(a, math.inf)
    for _ in range(200):
        point = _at_inverse_beta(ref, reward, a)
        miss = xp.where(inside, xp.abs(point.kl - budget) / budget, 0.0)
        best_a, least_miss = xp.where(miss < least_miss, a, best_a), xp.minimum(miss, least_miss)
        done = (least_miss <= 8 * unit) | (high <= low * (1 + 4 * unit))
        if bool(xp.all(done)):
            break
        low, high = xp.where(point.kl < budget, a, low), xp.where(point.kl > budget, a, high)
        newton = _newton_step(a, point, budget, most)
        step = xp.abs(xp.log(newton / a))
        trusted = (newton > low) & (newton < high) & (step <= last_step / 2)
        last_step = xp.where(trusted, step, xp.log(high / low))
        a = xp.where(done, a, xp.where(trusted, newton, xp.sqrt(low) * xp.sqrt(high)))
    return best_a


def _newton_step(a: Array, point: Tilted, budget: Array, most: Array) -> Array:
    r"""Return Newton's next a on $\log D/(D_\mathrm{max} - D)$.

    That is nearly straight in log a for small budgets and in a for large ones; so is each step.
    """
    xp = namespace(a)
    kl = xp.clip(point.kl, budget * 1e-100, most * (1 - 1e-15))
    miss = xp.log(budget / kl) + xp.log((most - kl) / (most - budget))
    slope = a * point.variance * a * (most / kl) / (most - kl)  # with respect to log a
    step = miss / xp.clip(slope, 1e-100)
    small = budget < most / 2
    return a * xp.where(small, xp.exp(xp.clip(step, -50.0, 50.0)), xp.clip(1 + step, 1e-20, 1e20))


def _bracket_and_start(ref: Array, reward: Array, budget: Array, most: Array, inside: Array) -> tuple:
    r"""Return a below, a above and a near the solution; 1, 1 and 1 where there is nothing to solve.

    Below: $D \le a (r_\mathrm{max} - E r)$ and $D \le a^2 \mathrm{range}^2 / 8$. Above, with g the gap from the
    best answers to the rest: $D_\mathrm{max} - D \le 2 e^{D_\mathrm{max} - a g/2}$. Near: $D \approx a^2 v^2/2$.
    """
    xp = namespace(ref)
    possible = ref > -math.inf
    best = _best_reward(ref, reward)
    second = xp.max(xp.where(possible & (reward < best), reward, -math.inf), axis=-1, keepdims=True)
    gap = xp.where(inside, best - second, 1.0)
    width = xp.where(inside, best - xp.min(xp.where(possible, reward, best), axis=-1, keepdims=True), 1.0)
    lead = xp.where(inside, expectation(ref, best - reward)[..., None], 1.0)
    deviation = width * xp.sqrt(xp.clip(variance(ref, (reward - best) / width)[..., None], 1e-300))
    low = xp.maximum(budget / lead, xp.sqrt(8 * budget) / width) * (1 - 1e-12)
    high = xp.maximum(2 / gap * (math.log(2) + most - xp.log(most - budget)), 2 * low)
    start = xp.clip(xp.sqrt(2 * budget) / deviation, low, high)
    return tuple(xp.where(inside, x, 1.0) for x in (low, high, start))
