r"""Reaching the optimum by climbing: gradient ascent on the objective of `tilting`, exact or from samples.

The optimum of $J(\pi) = E_\pi\, r - \beta\, D(\pi \| \pi_\mathrm{ref})$ is known in closed form, so a run shows what
training adds to it: speed, overshoot, noise. The learning rate acts on the logits of a softmax table; time is
step × learning rate. `gradient_ascent` takes the expectation in the gradient exactly, `stochastic_gradient_ascent`
leaves it to a method that sees a group of sampled answers; `gradient_estimators` has the parts of such methods.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_softmax, masked, namespace, per_law
from alignbook.gradient_estimators import inverse_cdf, penalized_reward
from alignbook.information import LogLaw, PerSetting, Values, kl_from_log_ratio
from alignbook.policies import pull_back, softmax, softmax_policy
from alignbook.tilting import tilt


class Snapshot(NamedTuple):
    """A training run at one moment: step, time = step × learning rate, law, objective, reward and KL."""

    step: int
    time: Array
    log_p: Array
    objective: Array
    reward: Array
    kl: Array


def objective_gradient(
    log_p: LogLaw, ref_log_p: LogLaw, reward: Values, beta: Scalar
) -> Float[Array, "*_batch answers"]:
    r"""Return $\nabla_\theta J = \pi_y (A_y - E_\pi A)$ with $A = r - \beta \log(\pi/\pi_\mathrm{ref})$.

    The gradient with respect to the logits of a softmax table; it is 0 at the tilt and nowhere else inside
    the simplex. Raises ValueError if a law is no law, the policy has mass where the reference has none, `reward` is
    not finite, answers differ or `beta` is not positive.
    """
    checks.laws(log_p=log_p, ref_log_p=ref_log_p)
    checks.finite(reward=reward)
    checks.positive(beta=beta)
    checks.same_answers(log_p=log_p, ref_log_p=ref_log_p, reward=reward)
    xp, log_p, ref_log_p, reward = as_arrays(log_p, ref_log_p, reward)
    _refuse_mass_outside(ref_log_p, log_p)
    return pull_back(xp.exp(log_p), penalized_reward(log_p, ref_log_p, reward, beta))


def largest_stable_rate(ref_log_p: LogLaw, reward: Values, beta: Scalar) -> PerSetting:
    r"""Return the learning rate beyond which exact ascent leaves the tilt, $2/(\beta \lambda)$.

    Near the tilt the objective curves like $-\beta$ times the covariance $\mathrm{diag}(\pi_\beta) - \pi_\beta
    \pi_\beta^\top$, whose largest eigenvalue is $\lambda$; an ascent is stable while its step times the curvature is
    below 2. inf where the tilt gives a single answer. Raises ValueError as `tilt` does.
    """
    log_p = tilt(ref_log_p, reward, beta)
    xp, law = namespace(log_p), namespace(log_p).exp(log_p)
    between = law[..., None] * law[..., None, :]
    own = xp.eye(law.shape[-1], dtype=law.dtype, device=array_api_compat.device(law))
    between = between * (1 - own)
    # p (1 - p) as a sum of products: no digit is lost where the law is nearly certain
    covariance = own * xp.sum(between, axis=-1, keepdims=True) - between
    curvature = per_law(xp, beta, law)[..., 0] * xp.linalg.eigvalsh(covariance)[..., -1]
    curved = curvature > 0
    return xp.where(curved, 2 / xp.where(curved, curvature, 1.0), math.inf)


def gradient_ascent(
    ref_log_p: LogLaw,
    reward: Values,
    beta: Scalar,
    learning_rate: Scalar,
    *,
    start_logits: Values | None = None,
    noise: Scalar = 0.0,
    seed: int = 0,
    record_every: int = 1,
) -> Iterator[Snapshot]:
    r"""Yield snapshots of $\theta \leftarrow \theta + \eta\,(\nabla_\theta J + s\,\xi)$, without end.

    `start_logits` (default: the reference) sets the batch together with the other arguments: 256 equal rows
    with `noise` s > 0 are 256 independent runs, since $\xi$ is standard normal in every entry. The first
    snapshot is the start, then one comes every `record_every` steps; `seed` fixes the noise on every engine.

    Raises ValueError as `objective_gradient` does, or if a start has mass where the reference has none,
    `learning_rate` is not positive, `noise` is negative or `record_every` is below 1.
    """
    checks.finite(noise=noise)
    checks.not_negative(noise=noise)
    run = _checked(ref_log_p, reward, beta, learning_rate, start_logits, record_every, noise)
    xp, beta = run.xp, run.beta
    noise = _answers_first(xp, masked(per_law(xp, noise, run.logits), run.possible))
    # r - beta log(pi / pi_ref), but for log Z: a constant, which the chain rule removes
    score = _answers_first(xp, masked(run.reward + beta * masked(run.ref_log_p, run.possible), run.possible))

    def exact(logits: Array, _: None) -> Array:
        return pull_back(softmax(logits), score - beta * logits)

    def noisy(logits: Array, xi: Array) -> Array:
        return exact(logits, None) + noise * xi

    if bool(xp.any(noise > 0)):
        return _climb(run, noisy, _standard_normals(run, seed), record_every)
    return _climb(run, exact, itertools.repeat(None), record_every)


def stochastic_gradient_ascent(
    method: Callable[[Array, Array], Array],
    ref_log_p: LogLaw,
    reward: Values,
    beta: Scalar,
    learning_rate: Scalar,
    *,
    group_size: int,
    start_logits: Values | None = None,
    seed: int = 0,
    record_every: int = 1,
) -> Iterator[Snapshot]:
    r"""Yield snapshots of $\theta \leftarrow \theta + \eta\, \hat g$ with the estimate `method(log_p, samples)`.

    Each step draws `group_size` answers for every run from its own policy and hands both to the method, which is
    composed as `gradient_estimators` tells; reward and beta given here only set the objective that snapshots
    account for. Start, batch, seed and record are as in `gradient_ascent`, as is ValueError, which `group_size`
    below 1 raises too.
    """
    checks.positive(group_size=group_size)
    run = _checked(ref_log_p, reward, beta, learning_rate, start_logits, record_every)
    random, shape = np.random.default_rng(seed), (*run.logits.shape[:-1], group_size)

    def estimated(logits: Array, uniforms: np.ndarray) -> Array:
        log_p = run.xp.where(run.possible, log_softmax(logits), -math.inf)
        return method(log_p, inverse_cdf(log_p, uniforms))

    return _climb(run, estimated, (random.random(shape) for _ in itertools.count()), record_every)


class _Run(NamedTuple):
    """A checked run: its start at the common shape of all arguments, and its problem with scalars as `per_law`."""

    xp: Any
    logits: Array
    possible: Array
    ref_log_p: Array
    reward: Array
    beta: Array
    rate: Array


def _checked(ref_log_p, reward, beta, learning_rate, start_logits, record_every, noise: Scalar = 0.0) -> _Run:
    checks.positive(learning_rate=learning_rate, record_every=record_every)
    checks.finite(beta=beta, learning_rate=learning_rate)
    checks.laws(ref_log_p=ref_log_p)
    checks.scores(start_logits=ref_log_p if start_logits is None else start_logits)
    log_p = softmax_policy(ref_log_p if start_logits is None else start_logits)
    _refuse_mass_outside(*as_arrays(ref_log_p, log_p)[1:], name="start_logits")
    objective_gradient(log_p, ref_log_p, reward, beta)  # refuses what it refuses, before the first step
    xp, ref_log_p, reward, logits = as_arrays(ref_log_p, reward, log_p)
    beta, rate, noise = (per_law(xp, x, logits) for x in (beta, learning_rate, noise))
    possible = (logits > -math.inf) & (ref_log_p + beta + rate + noise + reward > -math.inf)  # at the common shape
    # A logit of -1e4 is a probability of exactly 0 without the nan of inf - inf, and nothing moves it.
    logits = _answers_first(xp, xp.where(possible, logits, -1e4))
    return _Run(xp, logits, possible, ref_log_p, reward, beta, rate)


def _climb(
    run: _Run, gradient: Callable[[Array, Any], Array], draws: Iterable[Any], record_every: int
) -> Iterator[Snapshot]:
    """Run the loop of both ascents: a step along the gradient at each draw."""
    logits = run.logits
    for step, draw in enumerate(draws):
        if step % record_every == 0:
            yield _snapshot(step, run, run.xp.where(run.possible, log_softmax(logits), -math.inf))
        logits = logits + run.rate * gradient(logits, draw)


def _snapshot(step: int, run: _Run, log_p: Array) -> Snapshot:
    xp, beta = run.xp, run.beta[..., 0]
    mean = xp.sum(xp.exp(log_p) * masked(run.reward, run.possible), axis=-1)
    log_ratio = xp.where(run.possible, log_p - masked(run.ref_log_p, run.possible), -math.inf)
    kl = kl_from_log_ratio(run.ref_log_p, log_ratio)  # nothing is left to check: the loop's laws are laws
    return Snapshot(step, step * run.rate[..., 0], log_p, mean - beta * kl, mean, kl)


def _standard_normals(run: _Run, seed: int) -> Iterator[Array]:
    """Yield standard normal draws shaped like the logits, from numpy, so that every engine sees the same."""
    random, device, shape = np.random.default_rng(seed), array_api_compat.device(run.logits), tuple(run.logits.shape)
    while True:
        rows = random.standard_normal((math.prod(shape[:-1]), shape[-1]))
        yield run.xp.asarray(np.asfortranarray(rows).reshape(shape), dtype=run.logits.dtype, device=device)


def _answers_first(xp: Any, x: Array) -> Array:
    """Lay an array out in memory answer by answer: sums over few answers then take half the time."""
    return xp.moveaxis(xp.stack(xp.unstack(x, axis=-1)), 0, -1)


def _refuse_mass_outside(ref_log_p: Array, log_p: Array, name: str = "log_p") -> None:
    if bool(namespace(log_p).any((ref_log_p == -math.inf) & (log_p > -math.inf))):
        raise ValueError(f"`{name}` must be -inf where the reference has no mass, got a finite value.")
