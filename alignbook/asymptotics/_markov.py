r"""Letters that depend on the one before: a Markov chain in place of independent draws.

A chain is given by its log-transitions, `log_transition[..., y, z]` the log-probability of letter z after y; each row
is a law. The reward of a step may depend on both letters, `reward[..., y, z]`; one of the letter reached alone has
length one on the axis before the last. What one letter's log-MGF is to independent letters, the logarithm of the
largest eigenvalue of $p(z|y)\, e^{t r(y, z)}$ is to these. Source: Dembo and Zeitouni, *Large Deviations Techniques
and Applications*.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import array_api_compat
from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, log_softmax, logsumexp, masked, namespace, per_law
from alignbook.information import PerSetting, kl_from_log_ratio

LogTransition: TypeAlias = Float[Array, "*#batch letters letters"]
StepReward: TypeAlias = Real[Array, "... letters"]

SQUARINGS = 64  # 2^64 letters: what is left of the first one is below rounding, however slowly the chain forgets it


class TiltedChain(NamedTuple):
    """A tilted chain: its log-transitions, its stationary log-law, its mean reward and its KL, each a letter."""

    log_transition: Float[Array, "*_batch letters letters"]
    log_p: Float[Array, "*_batch letters"]
    reward: PerSetting
    kl: PerSetting


def markov_log_mgf(log_transition: LogTransition, reward: StepReward, t: Scalar) -> PerSetting:
    r"""Return $\Lambda(t) = \lim \frac1n \log E\, e^{t (r_1 + \dots + r_n)}$, whatever the first letter.

    The logarithm of the spectral radius of $p(z|y)\, e^{t r(y, z)}$, by repeated squaring of logarithms. Raises
    ValueError if a row of `log_transition` is no law, letters cannot all reach each other, a reward that can be given
    or `t` is not finite, or the letters differ.

    >>> import numpy as np
    >>> stay = np.log([[0.9, 0.1], [0.1, 0.9]])
    >>> round(float(markov_log_mgf(stay, np.array([1.0, -1.0]), 1.0)), 6)
    0.896566
    """
    _, log_p, _, exponent = _checked(log_transition, reward, t)
    return _log_radius(log_p + exponent)


def tilted_chain(log_transition: LogTransition, reward: StepReward, t: Scalar) -> TiltedChain:
    r"""Return the chain $p(z|y)\, e^{t r(y, z)}\, h(z) / [e^{\Lambda(t)} h(y)]$, h the eigenvector of the kernel.

    The chain in which long answers settle that are tilted by $e^{t (r_1 + \dots + r_n)}$; its mean reward is
    $\Lambda'(t)$, and its KL a letter $t \Lambda'(t) - \Lambda(t)$, the rate function there. Not differentiable.
    Raises ValueError as `markov_log_mgf` does.
    """
    xp, log_p, reward, exponent = _checked(log_transition, reward, t)
    exponent = exponent - _log_radius(log_p + exponent)[..., None, None]
    settled = _settled(log_p + exponent)
    ahead = logsumexp(settled)  # log h, up to a constant
    log_ratio = exponent + ahead[..., None, :] - ahead[..., :, None]
    tilted, stationary = log_softmax(log_p + log_ratio), log_softmax(xp.linalg.diagonal(settled))
    weight = xp.exp(stationary)
    mean = xp.sum(weight * xp.sum(xp.exp(tilted) * reward, axis=-1), axis=-1)
    return TiltedChain(tilted, stationary, mean, xp.sum(weight * kl_from_log_ratio(log_p, log_ratio), axis=-1))


def _checked(log_transition: LogTransition, reward: StepReward, t: Scalar) -> tuple[Any, Array, Array, Array]:
    r"""Refuse bad input; return the namespace, log-transitions, the reward and $t r$, 0 where there is no mass."""
    checks.laws(log_transition=log_transition)
    checks.same_answers(log_transition=log_transition, reward=reward)
    checks.finite(t=t)
    xp, log_p, reward = as_arrays(log_transition, reward)
    if log_p.ndim < 2 or log_p.shape[-2] != log_p.shape[-1]:
        raise ValueError(f"`log_transition` must have a row for each letter, got shape {tuple(log_p.shape)}.")
    reward = masked(reward, log_p > -math.inf)
    checks.finite(reward=reward)
    _refuse_reducible(log_p > -math.inf)
    return xp, log_softmax(log_p), reward, per_law(xp, t, log_p)[..., None] * reward


def _refuse_reducible(possible: Array) -> None:
    """Refuse a chain in which some letter never comes after some other."""
    xp = namespace(possible)
    letters = possible.shape[-1]
    reach = xp.astype(possible, xp.float64) + xp.eye(letters, device=array_api_compat.device(possible))
    for _ in range(letters.bit_length()):
        reach = xp.astype(reach @ reach > 0, xp.float64)
    if bool(xp.any(reach == 0)):
        raise ValueError("`log_transition` must lead from every letter to every other, got one that is never reached.")


def _log_radius(kernel: Array) -> Array:
    r"""Return the logarithm of the spectral radius, $\lim 2^{-k} \log \max K^{2^k}$, each maximum taken out."""
    xp = namespace(kernel)
    log_radius = xp.zeros_like(kernel[..., 0, 0])
    for k in range(SQUARINGS):
        largest = xp.max(kernel, axis=(-2, -1))
        log_radius = log_radius + largest / 2.0**k
        kernel = _squared(kernel - largest[..., None, None])
    return log_radius


def _settled(kernel: Array) -> Array:
    r"""Return $\log$ of the limit of $(\frac12 I + \frac12 K)^m$ up to a factor: $h u^\top$, the eigenvectors' product.

    K has the spectral radius 1. Halfway to the identity has the same eigenvectors, and no cycles.
    """
    xp = namespace(kernel)
    eye = xp.eye(kernel.shape[-1], dtype=kernel.dtype, device=array_api_compat.device(kernel))
    kernel = xp.logaddexp(kernel, xp.where(eye > 0, 0 * eye, -math.inf))
    for _ in range(SQUARINGS):
        kernel = _squared(kernel - xp.max(kernel, axis=(-2, -1), keepdims=True))
    return kernel


def _squared(kernel: Array) -> Array:
    """Return the logarithms of a matrix times itself."""
    return logsumexp(kernel[..., :, None, :] + namespace(kernel).matrix_transpose(kernel)[..., None, :, :])
