r"""Reaching the optimum by climbing: exact gradient ascent on the objective of `tilting`.

The optimum of $J(\pi) = E_\pi\, r - \beta\, D(\pi \| \pi_\mathrm{ref})$ is known in closed form, so a run shows what
training adds to it: speed, overshoot, noise. The learning rate acts on the logits of a softmax table; time is
step × learning rate. The expectation in the gradient is taken exactly, not by sampling.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_softmax, masked, namespace, per_law
from alignbook.information import LogLaw, Values, kl_from_log_ratio
from alignbook.policies import pull_back, softmax, softmax_policy


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
    the simplex. Raises ValueError if a law is no law, `reward` is not finite, answers differ or `beta` is not
    positive.
    """
    checks.laws(log_p=log_p, ref_log_p=ref_log_p)
    checks.finite(reward=reward)
    checks.positive(beta=beta)
    checks.same_answers(log_p=log_p, ref_log_p=ref_log_p, reward=reward)
    xp, log_p, ref_log_p, reward = as_arrays(log_p, ref_log_p, reward)
    possible = (ref_log_p > -math.inf) & (log_p > -math.inf)  # an answer never given has no slope
    log_ratio = masked(log_p, possible) - masked(ref_log_p, possible)
    return pull_back(xp.exp(log_p), reward - per_law(xp, beta, log_p) * log_ratio)


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
    checks.positive(learning_rate=learning_rate, record_every=record_every)
    checks.finite(beta=beta, learning_rate=learning_rate, noise=noise)
    checks.not_negative(noise=noise)
    checks.laws(ref_log_p=ref_log_p)
    checks.scores(start_logits=ref_log_p if start_logits is None else start_logits)
    log_p = softmax_policy(ref_log_p if start_logits is None else start_logits)
    objective_gradient(log_p, ref_log_p, reward, beta)  # refuses what it refuses, before the first step
    xp, ref_log_p, reward, logits = as_arrays(ref_log_p, reward, log_p)
    if bool(xp.any((ref_log_p == -math.inf) & (logits > -math.inf))):
        raise ValueError("`start_logits` must be -inf where the reference has no mass, got a finite value.")
    beta, rate, noise = (per_law(xp, x, logits) for x in (beta, learning_rate, noise))
    possible = (logits > -math.inf) & (ref_log_p + beta + rate + noise + reward > -math.inf)  # at the common shape
    return _climb(xp, logits, possible, ref_log_p, reward, beta, rate, noise, seed, record_every)


def _climb(xp, logits, possible, ref_log_p, reward, beta, rate, noise, seed, record_every) -> Iterator[Snapshot]:
    """Run the loop of `gradient_ascent` on checked arrays."""
    # A logit of -1e4 is a probability of exactly 0 without the nan of inf - inf, and nothing moves it.
    logits = xp.where(possible, logits, -1e4)
    score = masked(reward + beta * masked(ref_log_p, possible), possible)
    draws = _standard_normals(xp, logits, seed) if bool(xp.any(noise > 0)) else itertools.repeat(0.0)
    step_noise = masked(noise * rate, possible)
    for step, xi in enumerate(draws):
        if step % record_every == 0:
            log_p = xp.where(possible, log_softmax(logits), -math.inf)
            yield _snapshot(step, rate[..., 0], log_p, ref_log_p, reward, beta[..., 0])
        # r - beta log(pi / pi_ref), but for log Z: a constant, which the chain rule removes
        slope = score - beta * logits
        logits = logits + (rate * pull_back(softmax(logits), slope) + step_noise * xi)


def _snapshot(step: int, rate: Array, log_p: Array, ref_log_p: Array, reward: Array, beta: Array) -> Snapshot:
    xp, possible = namespace(log_p), log_p > -math.inf
    mean = xp.sum(xp.exp(log_p) * masked(reward, possible), axis=-1)
    log_ratio = xp.where(possible, log_p - masked(ref_log_p, possible), -math.inf)
    kl = kl_from_log_ratio(ref_log_p, log_ratio)  # nothing is left to check: the loop's laws are laws
    return Snapshot(step, step * rate, log_p, mean - beta * kl, mean, kl)


def _standard_normals(xp: Any, like: Array, seed: int) -> Iterator[Array]:
    """Yield standard normal draws shaped like the logits, from numpy, so that every engine sees the same."""
    random, device = np.random.default_rng(seed), array_api_compat.device(like)
    while True:
        yield xp.asarray(random.standard_normal(tuple(like.shape)), dtype=like.dtype, device=device)
