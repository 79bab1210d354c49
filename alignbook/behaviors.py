r"""Behaviors that a model is taught by yes or no, as clouds of embeddings, and how far apart their two halves lie.

A statement becomes a question with the answers Yes and No; what the model's last layer sees of it is one vector g,
its embedding. The label is +1 where Yes is the chosen answer, because the statement shows the behavior, and -1 where
No is. All that training the last layer can use of a behavior starts from the difference b of the two halves' means.

Embeddings have features on their last axis, statements before it, then behaviors; leading axes are a batch of data
sets. Source of the setting and of both measures: <https://arxiv.org/abs/2403.18742>.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float, Int, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, masked, namespace

Embeddings: TypeAlias = Real[Array, "*#batch statements features"]
Labels: TypeAlias = Real[Array, "*#batch statements"]
Difference: TypeAlias = Real[Array, "*#batch features"]
Seeds: TypeAlias = int | Sequence[int] | Int[np.ndarray, "*seeds"]
NoiseDraw: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Behaviors(NamedTuple):
    """Statements of several behaviors: their embeddings, and labels +1 (Yes is chosen) or -1 (No is) in one dtype."""

    embeddings: Float[Array, "*batch behaviors statements features"]
    labels: Float[Array, "*batch behaviors statements"]


def gaussian_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return independent draws from the standard normal law."""
    return generator.standard_normal(shape)


def laplace_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    r"""Return independent draws of variance 1 with density $\frac{1}{\sqrt 2}\, e^{-\sqrt 2 |x|}$.

    Tails are exponential: sub-exponential, not sub-Gaussian. A normal draw whose variance is an exponential one.
    """
    variance = -np.log1p(-generator.random(shape))
    return np.sqrt(variance) * generator.standard_normal(shape)


def behaviors(
    differences: Real[Array, "*#batch behaviors features"],
    noise: Scalar,
    *,
    num_statements: int,
    common_mean: float | Real[Array, "*#common"] = 0.0,
    positive_share: Scalar = 0.5,
    label_noise: Scalar = 0.0,
    noise_draw: NoiseDraw = gaussian_noise,
    seed: Seeds = 0,
) -> Behaviors:
    r"""Draw statements of each behavior, $g = \bar g \pm \frac12 b + s \cdot$ noise.

    Row i of `differences` is $b_i$, `common_mean` is $\bar g$ and broadcasts against `differences`, `noise` is the
    standard deviation s in every direction. Exactly round(`positive_share` × `num_statements`) statements show the
    behavior and come first; then each label is flipped with probability `label_noise`. Several seeds are a leading
    axis of data sets, each the one its seed gives alone. Seeds fix the draws on every engine; equal rows of a batch
    are independent. Raises ValueError if an argument is not finite, `noise` is negative, `positive_share` is not
    between 0 and 1, `label_noise` is not between 0 and 1/2 or `num_statements` is below 1.
    """
    checks.finite(differences=differences, noise=noise, common_mean=common_mean)
    checks.not_negative(noise=noise, positive_share=positive_share, label_noise=label_noise)
    checks.at_most(1.0, positive_share=positive_share)
    checks.at_most(0.5, label_noise=label_noise)
    checks.positive(num_statements=num_statements)
    xp, b, center = as_arrays(differences, common_mean)
    scale, share, flip = (_per_statement(xp, x, b) for x in (noise, positive_share, label_noise))
    center = center[..., None, :] if center.ndim else center
    means = center + b[..., None, :] / 2, center - b[..., None, :] / 2
    single = np.broadcast_shapes(tuple(means[0].shape), *((*x.shape, 1) for x in (scale, share, flip)))
    shape = (*single[:-2], num_statements, single[-1])
    deviation, chance = _draws(shape, b, noise_draw, seed)
    place = xp.arange(num_statements, dtype=b.dtype, device=array_api_compat.device(b))
    shows = (place < xp.round(share * num_statements)) & (chance >= 0)  # at the shape of all data sets
    embeddings = xp.where(shows[..., None], *means) + scale[..., None] * deviation
    labels = xp.where(shows ^ (chance < flip), xp.ones_like(chance), -xp.ones_like(chance))
    return Behaviors(embeddings, labels)


def two_differences(length_1: Scalar, length_2: Scalar, angle: Scalar, features: int) -> Float[Array, "..."]:
    r"""Return two mean differences of these lengths, `angle` radians apart, in the first two of the `features`.

    The first lies along the first axis; shape `(*batch, 2, features)`. Raises ValueError if an argument is not finite,
    a length is negative or `features` is below 2.
    """
    checks.finite(length_1=length_1, length_2=length_2, angle=angle)
    checks.not_negative(length_1=length_1, length_2=length_2)
    if features < 2:
        raise ValueError(f"`features` must be at least 2, got {features}.")
    xp, first, second, angle = as_arrays(length_1, length_2, angle)
    first, second, angle = xp.broadcast_arrays(first, second, angle)
    along = xp.stack([first, second * xp.cos(angle)], axis=-1)
    across = xp.stack([0 * first, second * xp.sin(angle)], axis=-1)
    rest = xp.zeros((*along.shape, features - 2), dtype=along.dtype, device=array_api_compat.device(along))
    return xp.concat([along[..., None], across[..., None], rest], axis=-1)


def mean_difference(embeddings: Embeddings, labels: Labels) -> Float[Array, "*_batch features"]:
    r"""Return $b$ = mean(g | Yes) - mean(g | No).

    Raises ValueError if `labels` are not +1 and -1 or only one of them occurs.
    """
    xp, embeddings, labels = _checked(embeddings, labels, at_least=1)
    return xp.matmul(_shares(labels)[..., None, :], embeddings)[..., 0, :]


def distinguishability(embeddings: Embeddings, labels: Labels) -> Float[Array, "*_batch"]:
    r"""Return the preference distinguishability $\Delta = \lVert b \rVert$ of a data set.

    Raises ValueError as `mean_difference` does.
    """
    return _length(mean_difference(embeddings, labels))


def concentration(embeddings: Embeddings, labels: Labels) -> Float[Array, "*_batch"]:
    r"""Return the largest variance in any direction of the two halves, each around its own mean.

    It is the larger operator norm of the two covariances, each a mean over its half. Raises ValueError as
    `mean_difference` does.
    """
    xp, embeddings, labels = _checked(embeddings, labels, at_least=1)
    halves = ((_deviations(embeddings, own), own) for own in _halves(labels))
    norms = [xp.linalg.matrix_norm(rows, ord=2) ** 2 / xp.sum(own, axis=-1) for rows, own in halves]
    return xp.maximum(*norms)


def priority_level(difference_i: Difference, difference_j: Difference) -> Float[Array, "*_batch"]:
    r"""Return how much more of the common pull behavior i gets than behavior j, a number from -2 to 2.

    With $\bar b = \frac12 (b_i + b_j)$ it is $\frac{\bar b \cdot b_i - \bar b \cdot b_j}{\lVert \bar b \rVert}$ over
    the longer of the two lengths; 0 where the pulls cancel. Raises ValueError if a difference is not finite.

    >>> float(priority_level(np.array([3.0, 0.0]), np.array([1.0, 0.0])))
    0.6666666666666666
    """
    checks.finite(difference_i=difference_i, difference_j=difference_j)
    xp, b_i, b_j = as_arrays(difference_i, difference_j)
    common = _length(b_i + b_j) * xp.maximum(_length(b_i), _length(b_j))
    gap = xp.sum((b_i + b_j) * (b_i - b_j), axis=-1)
    cancel = common == 0
    return xp.where(cancel, 0.0, gap / xp.where(cancel, 1.0, common))


def permuted_distinguishability(
    embeddings: Embeddings, labels: Labels, num_permutations: int, *, seed: int
) -> Float[Array, "*_batch permutations"]:
    r"""Return the distinguishability under so many random permutations of the labels.

    It is what the noise alone shows: labels that know nothing of the statements. `seed` fixes the permutations on
    every engine; rows of a batch have their own. Raises ValueError as `mean_difference` does, or if
    `num_permutations` is below 1.
    """
    checks.positive(num_permutations=num_permutations)
    xp, embeddings, labels = _checked(embeddings, labels, at_least=1)
    batch = np.broadcast_shapes(tuple(embeddings.shape[:-1]), tuple(labels.shape))
    places = np.random.default_rng(seed).random((*batch[:-1], num_permutations, batch[-1])).argsort(axis=-1)
    order = xp.asarray(places, device=array_api_compat.device(embeddings))
    shares = xp.broadcast_to(_shares(labels)[..., None, :], tuple(order.shape))
    return _length(xp.matmul(xp.take_along_axis(shares, order, axis=-1), embeddings))


def corrected_distinguishability(embeddings: Embeddings, labels: Labels) -> Float[Array, "*_batch"]:
    r"""Return $\sqrt{\Delta^2 - \mathrm{tr} \Sigma_+ / n_+ - \mathrm{tr} \Sigma_- / n_-}$, or 0 where that is negative.

    The noise of two means makes them differ by itself, by the traces on average: what stands under the root is an
    unbiased estimate of the population's $\Delta^2$. Covariances are over $n - 1$. Raises ValueError as
    `mean_difference` does, or if a half has fewer than two statements.
    """
    xp, embeddings, labels = _checked(embeddings, labels, at_least=2)
    excess = xp.sum(mean_difference(embeddings, labels) ** 2, axis=-1)
    for own in _halves(labels):
        count = xp.sum(own, axis=-1)
        excess = excess - xp.sum(_deviations(embeddings, own) ** 2, axis=(-2, -1)) / (count * (count - 1))
    found = excess > 0
    return masked(xp.sqrt(xp.where(found, excess, 1.0)), found)


def _per_statement(xp, scalar: Scalar, like: Array) -> Array:
    """Return an argument of a data set as an array that broadcasts against behaviors and statements."""
    if array_api_compat.is_array_api_obj(scalar):
        return xp.astype(scalar, like.dtype)[..., None, None]
    return xp.asarray(scalar, dtype=like.dtype, device=array_api_compat.device(like))[..., None, None]


def _draws(shape: tuple[int, ...], like: Array, noise_draw: NoiseDraw, seed: Seeds) -> tuple[Array, Array]:
    """Return deviations and, for each statement, a uniform draw; labels and embeddings have streams of their own."""
    xp, single = namespace(like), np.ndim(seed) == 0
    seeds = np.atleast_1d(seed).tolist()
    deviations = np.stack([noise_draw(np.random.default_rng((one, 0)), shape) for one in seeds])
    chances = np.stack([np.random.default_rng((one, 1)).random(shape[:-1]) for one in seeds])
    held = (part[0] if single else part for part in (deviations, chances))
    deviation, chance = (xp.asarray(part, dtype=like.dtype, device=array_api_compat.device(like)) for part in held)
    return deviation, chance


def _checked(embeddings: Embeddings, labels: Labels, *, at_least: int) -> tuple:
    checks.finite(embeddings=embeddings, labels=labels)
    xp, embeddings, labels = as_arrays(embeddings, labels)
    if embeddings.ndim < 2 or labels.shape[-1:] != embeddings.shape[-2:-1]:
        shapes = f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"`embeddings` and `labels` must have the same statements, got shapes {shapes}.")
    strangers = labels[xp.abs(labels) != 1]
    if strangers.shape[0]:
        raise ValueError(f"`labels` must be +1 or -1, got {float(strangers[0])}.")
    fewest = min(int(xp.min(xp.sum(own, axis=-1))) for own in _halves(labels))
    if fewest < at_least:
        raise ValueError(f"`labels` must hold +1 and -1 at least {_times(at_least)} each, got a half of {fewest}.")
    return xp, embeddings, labels


def _times(count: int) -> str:
    return "once" if count == 1 else "twice"


def _halves(labels: Array) -> tuple[Array, Array]:
    """Return 1 where Yes is chosen and 1 where No is, 0 elsewhere."""
    return (1 + labels) / 2, (1 - labels) / 2


def _shares(labels: Array) -> Array:
    """Return the weights of statements whose sum is the difference of the halves' means."""
    yes, no = _halves(labels)
    xp = namespace(labels)
    return yes / xp.sum(yes, axis=-1, keepdims=True) - no / xp.sum(no, axis=-1, keepdims=True)


def _deviations(embeddings: Array, own: Array) -> Array:
    """Return the embeddings of one half less their mean, and zeros for the other half."""
    xp = namespace(embeddings)
    mean = xp.matmul(own[..., None, :], embeddings) / xp.sum(own, axis=-1)[..., None, None]
    return own[..., None] * (embeddings - mean)


def _length(vector: Array) -> Array:
    return namespace(vector).linalg.vector_norm(vector, axis=-1)
