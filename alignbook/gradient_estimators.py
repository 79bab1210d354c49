r"""What a group of sampled answers says about the gradient: REINFORCE, RLOO, GRPO, PPO's clip.

Training cannot sum over all answers. It draws a group of K answers from the policy, gives each an advantage, and moves
along the mean of advantage times score. All methods here share that mean, `score_gradient`; they differ in how
advantages are made from the values of the group, and the caller composes the two::

    values = at_answers(penalized_reward(log_p, ref_log_p, reward, beta), samples)     # KL in the reward
    estimate = score_gradient(log_p, samples, rloo_advantages(values))

REINFORCE takes `values` themselves as advantages, or `values - baseline` with a baseline chosen beforehand. For a KL in
the loss take plain rewards as values and subtract beta times a slope of `alignbook.kl_estimators` from the advantages.

Answers lie on the last axis of laws, the group on the last axis of samples, values and advantages; leading axes are a
batch of groups. Gradients are with respect to the logits of a softmax table, of the objective that is to rise, one for
each group.
"""

import math
from typing import TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float, Int, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, draw, masked, namespace, per_law
from alignbook.information import LogLaw, Values

Samples: TypeAlias = Int[Array, "*#batch group"]  # answers, by their place on the last axis of a law
Group: TypeAlias = Real[Array, "*#batch group"]
Advantages: TypeAlias = Float[Array, "*_batch group"]
Gradients: TypeAlias = Float[Array, "*_batch answers"]


def sample_answers(
    log_p: LogLaw, shape: tuple[int, ...], seed: int | np.random.Generator
) -> Int[Array, "*_batch group"]:
    """Return answers drawn independently from the policy, as many as `shape` says: batch axes, then the group.

    numpy draws, so that every engine sees the same answers. One law serves any number of groups; groups without batch
    axes are drawn once for all laws. Raises ValueError if `log_p` is no law or `shape` is empty.
    """
    checks.laws(log_p=log_p)
    if not shape or shape[-1] < 1:
        raise ValueError(f"`shape` must end in a group of at least 1, got {shape}.")
    _, log_p = as_arrays(log_p)
    return inverse_cdf(log_p, np.random.default_rng(seed).random(shape))


def inverse_cdf(log_p: LogLaw, uniforms: Float[np.ndarray, "*#batch group"]) -> Int[Array, "*_batch group"]:
    """Return the first answer at which the summed probabilities exceed each uniform number, unchecked."""
    xp = namespace(log_p)
    exact = xp.astype(log_p, xp.float64)[..., None, :]  # float32 would round the sums
    return draw(exact, xp.asarray(uniforms, device=array_api_compat.device(log_p)))


def at_answers(values: Values, samples: Samples) -> Real[Array, "*_batch group"]:
    """Return the values of the sampled answers; raises ValueError if a sample is no answer."""
    _refuse_strangers(samples, values.shape[-1])
    xp = namespace(values)
    batch = np.broadcast_shapes(values.shape[:-1], samples.shape[:-1])
    values, samples = (xp.broadcast_to(x, batch + x.shape[-1:]) for x in (values, samples))
    return xp.take_along_axis(values, samples, axis=-1)


def penalized_reward(log_p: LogLaw, ref_log_p: LogLaw, reward: Values, beta: Scalar) -> Float[Array, "*_batch answers"]:
    r"""Return $A(y) = r(y) - \beta \log(\pi(y)/\pi_\mathrm{ref}(y))$, whose mean under the policy is J; unchecked.

    The reward with the KL in it. Answers the policy never gives pay nothing, answers that the reference
    never gives cost -inf.
    """
    xp, log_p, ref_log_p, reward = as_arrays(log_p, ref_log_p, reward)
    given = log_p > -math.inf
    log_ratio = masked(log_p, given) - xp.where(given, ref_log_p, 0.0)
    return reward - per_law(xp, beta, log_p) * log_ratio


def mean_baseline_advantages(values: Group) -> Advantages:
    r"""Return $A_i = v_i - \frac1K \sum_j v_j$; the mean holds the answer itself, so a group of 1 is left with 0."""
    xp, values = as_arrays(values)
    return values - xp.mean(values, axis=-1, keepdims=True)


def rloo_advantages(values: Group) -> Advantages:
    r"""Return $A_i = v_i - \frac{1}{K-1} \sum_{j \ne i} v_j$: the baseline is the mean of the others.

    Leaving the answer itself out keeps REINFORCE unbiased. Raises ValueError in a group of fewer than 2.
    Source: <https://arxiv.org/abs/2402.14740>.

    >>> rloo_advantages(np.array([1.0, 0.0, 0.5])).tolist()
    [0.75, -0.75, 0.0]
    """
    _refuse_lone(values)
    xp, values = as_arrays(values)
    others = (xp.sum(values, axis=-1, keepdims=True) - values) / (values.shape[-1] - 1)
    return values - others


def grpo_advantages(values: Group) -> Advantages:
    r"""Return $A_i = (v_i - \bar v) / \sqrt{\frac{1}{K-1} \sum_j (v_j - \bar v)^2}$, the group normalized.

    The deviation is the sample's, over K - 1, torch's default; the population's, over K, would multiply all
    advantages by $\sqrt{K/(K-1)}$. A group of equal values has nothing to compare: its advantages, 0/0, are 0. Equal
    is what differs by rounding alone, 16 units of the largest value. Raises ValueError in a group of fewer than 2.
    Source: <https://arxiv.org/abs/2402.03300>.
    """
    _refuse_lone(values)
    xp, values = as_arrays(values)
    most, least = xp.max(values, axis=-1, keepdims=True), xp.min(values, axis=-1, keepdims=True)
    spread, largest = most - least, xp.maximum(xp.abs(most), xp.abs(least))
    equal = spread <= 16 * xp.finfo(values.dtype).eps * largest
    gap = mean_baseline_advantages(values) / xp.where(equal, 1.0, spread)  # squares of tiny gaps would be 0
    variance = xp.sum(gap**2, axis=-1, keepdims=True) / (values.shape[-1] - 1)
    return xp.where(equal, 0.0, gap) / xp.sqrt(xp.where(equal, 1.0, variance))


def score_gradient(log_p: LogLaw, samples: Samples, advantages: Group) -> Gradients:
    r"""Return $\frac1K \sum_i A_i \nabla_\theta \log \pi(y_i)$, where $\nabla_\theta \log \pi(y) = e_y - \pi$.

    With $A_i = v_i - b$ it is REINFORCE with the baseline b. Raises ValueError if a sample is no answer.
    Source: <https://doi.org/10.1007/BF00992696>.

    >>> score_gradient(np.log([0.5, 0.5]), np.array([0, 1]), np.array([3.0, 1.0])).tolist()
    [0.5, -0.5]
    """
    answers = log_p.shape[-1]
    _refuse_strangers(samples, answers)
    xp, log_p, advantages = as_arrays(log_p, advantages)
    every = xp.arange(answers, dtype=samples.dtype, device=array_api_compat.device(log_p))
    given = xp.astype(samples[..., None, :] == every[:, None], advantages.dtype)
    share = xp.matmul(given, advantages[..., None])[..., 0] / samples.shape[-1]
    return share - xp.exp(log_p) * xp.sum(share, axis=-1, keepdims=True)


def clipped_surrogate(
    log_p: LogLaw, old_log_p: LogLaw, samples: Samples, advantages: Group, clip_range: Scalar
) -> Float[Array, "*_batch"]:
    r"""Return PPO's $\frac1K \sum_i \min(\rho_i A_i,\ \mathrm{clip}(\rho_i)\, A_i)$ with $\rho = \pi/\pi_\mathrm{old}$.

    The answers were drawn from the old policy; ratios are clipped to 1 minus or plus `clip_range`. Raises
    ValueError if a sample is no answer or `clip_range` is not positive. Source: <https://arxiv.org/abs/1707.06347>.
    """
    checks.positive(clip_range=clip_range)
    xp, log_p, old_log_p, advantages = as_arrays(log_p, old_log_p, advantages)
    ratio, clip = _probability_ratio(log_p, old_log_p, samples), per_law(xp, clip_range, log_p)
    clipped = xp.minimum(xp.maximum(ratio, 1 - clip), 1 + clip)
    return xp.mean(xp.minimum(ratio * advantages, clipped * advantages), axis=-1)


def clipped_surrogate_gradient(
    log_p: LogLaw, old_log_p: LogLaw, samples: Samples, advantages: Group, clip_range: Scalar
) -> Gradients:
    r"""Return the gradient of `clipped_surrogate`, $\frac1K \sum_i \rho_i A_i \nabla_\theta \log \pi(y_i)$.

    The sum leaves out clipped answers, those that have left the range to the side their advantage asks for; beyond
    its other end an answer counts. Raises ValueError as `clipped_surrogate` does.
    """
    checks.positive(clip_range=clip_range)
    xp, log_p, old_log_p, advantages = as_arrays(log_p, old_log_p, advantages)
    ratio, clip = _probability_ratio(log_p, old_log_p, samples), per_law(xp, clip_range, log_p)
    clipped = ((advantages > 0) & (ratio > 1 + clip)) | ((advantages < 0) & (ratio < 1 - clip))
    return score_gradient(log_p, samples, xp.where(clipped, 0.0, ratio * advantages))


def _probability_ratio(log_p: Array, old_log_p: Array, samples: Array) -> Array:
    return namespace(log_p).exp(at_answers(log_p, samples) - at_answers(old_log_p, samples))


def _refuse_strangers(samples: Array, answers: int) -> None:
    xp = namespace(samples)
    if samples.ndim == 0 or samples.shape[-1] == 0:
        raise ValueError(f"`samples` must have a group on its last axis, got shape {tuple(samples.shape)}.")
    least, most = int(xp.min(samples)), int(xp.max(samples))
    if least < 0 or most >= answers:
        found = least if least < 0 else most
        raise ValueError(f"`samples` must be answers from 0 to {answers - 1}, got {found}.")


def _refuse_lone(values: Array) -> None:
    if values.ndim == 0 or values.shape[-1] < 2:
        raise ValueError(f"`values` must hold a group of at least 2 on its last axis, got shape {tuple(values.shape)}.")
