r"""Training the head alone: DPO on the Yes and No rows of an unembedding, over embeddings that stay.

A statement has a last hidden state g, and $\pi(y \mid x) = \mathrm{softmax}(W g)_y$; the label s is +1 where Yes is
chosen, -1 where No is. Only the two rows move, oppositely: with u the change of $w_\mathrm{Yes} - w_\mathrm{No}$ the
margin is $m = \beta s \langle u, g \rangle$, and $\lVert W(t) - W(0) \rVert_F = \lVert u \rVert / \sqrt 2$. With
$\theta = u / \sqrt 2$ and the directions $\sqrt 2\, s g$ it is the log-linear descent, whose $\lVert \theta \rVert$ is
that distance. A learning rate acts on W. Source: <https://arxiv.org/abs/2403.18742>.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, namespace, per_law
from alignbook.behaviors import Behaviors
from alignbook.dynamics._descent import Move, Slope, adam_move, checked, descend, plain_move
from alignbook.losses import dpo_loss, dpo_slope

Boundary: TypeAlias = Real[Array, "*#batch features"]
Change: TypeAlias = Real[Array, "*#batch features"]
Weights: TypeAlias = Real[Array, "*#batch behaviors statements"]

ROOT = math.sqrt(2)


class HeadSnapshot(NamedTuple):
    """A head at one moment of its training, and what it does to each behavior; accuracies count a tie as one half.

    `change` is u; `loss` is the mean DPO loss, whatever loss is trained on; `reward_accuracy` is the share of
    statements with a positive margin, `policy_accuracy` of those where the chosen answer is the likelier one.
    """

    step: int
    time: Array
    change: Float[Array, "*batch features"]
    margin: Float[Array, "*batch behaviors statements"]
    loss: Float[Array, "*batch behaviors"]
    weight_change: Float[Array, "*batch"]
    reward_accuracy: Float[Array, "*batch behaviors"]
    policy_accuracy: Float[Array, "*batch behaviors"]


def gradient_descent(
    data: Behaviors,
    beta: Scalar,
    learning_rate: Scalar,
    *,
    boundary: Boundary | None = None,
    weights: Weights | None = None,
    slope: Slope = dpo_slope,
    batch_size: int | None = None,
    seed: int = 0,
    max_norm: float | None = None,
    start: Change | None = None,
    record_every: int = 1,
) -> Iterator[HeadSnapshot]:
    r"""Yield snapshots of gradient descent on $\sum_i w_i\, l(m_i)$ over all pairs of `data`, without end.

    All behaviors share one head; leading axes are runs of their own. `weights` are 1/pairs unless given; `slope` is
    the loss's $l'$. Batches of `batch_size` come without replacement in an order drawn anew each epoch from `seed`,
    the same for all runs; the last may be smaller. A gradient longer than `max_norm` is cut to it. A run starts at
    the change `start`, by default 0; `boundary` is $w_\mathrm{Yes} - w_\mathrm{No}$ of the reference, by default 0.

    Raises ValueError if an argument is not finite, sizes do not fit, a weight is negative, or `beta`,
    `learning_rate`, `batch_size`, `max_norm` or `record_every` is not positive.
    """
    options = _Options(boundary, weights, slope, batch_size, seed, max_norm, start, record_every)
    return _train(data, beta, learning_rate, plain_move, options)


def adam(
    data: Behaviors,
    beta: Scalar,
    learning_rate: Scalar,
    *,
    decays: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    boundary: Boundary | None = None,
    weights: Weights | None = None,
    slope: Slope = dpo_slope,
    batch_size: int | None = None,
    seed: int = 0,
    max_norm: float | None = None,
    start: Change | None = None,
    record_every: int = 1,
) -> Iterator[HeadSnapshot]:
    r"""Yield snapshots of the same training by Adam on W; without weight decay AdamW is the same.

    `decays` are those of the gradient's running mean and mean square, each from 0 up to but not at 1; `epsilon` is
    added to the root of the latter. Raises ValueError as `gradient_descent` does. Source:
    <https://arxiv.org/abs/1412.6980>.
    """
    checks.not_negative(decays=decays)
    checks.below(1.0, decays=decays)
    checks.positive(epsilon=epsilon)

    def move(rate):  # Adam is not blind to the change from W to theta: its step has the length of the rate in both
        return adam_move(ROOT * rate, decays, ROOT * epsilon)

    options = _Options(boundary, weights, slope, batch_size, seed, max_norm, start, record_every)
    return _train(data, beta, learning_rate, move, options)


def evaluate(
    change: Change,
    data: Behaviors,
    beta: Scalar,
    *,
    boundary: Boundary | None = None,
    step: int = 0,
    time: Scalar = 0.0,
) -> HeadSnapshot:
    """Return the figures of a snapshot on other data, such as held-out statements.

    Raises ValueError if an argument is not finite, sizes do not fit or `beta` is not positive.
    """
    checks.positive(beta=beta)
    checks.finite(change=change, beta=beta)
    pairs, scores, labels = _checked(data, boundary)
    xp, directions, change = as_arrays(pairs, change)
    _refuse_other_length("change", change, directions)
    beta = per_law(xp, beta, directions)
    margin = xp.matmul(directions, (beta * change)[..., None] / ROOT)[..., 0]
    return _snapshot(step, time, change, margin, beta, scores, labels)


class _Options(NamedTuple):
    """What gradient descent and Adam have in common."""

    boundary: Array | None
    weights: Array | None
    slope: Slope
    batch_size: int | None
    seed: int
    max_norm: float | None
    start: Array | None
    record_every: int


def _train(data: Behaviors, beta: Scalar, learning_rate: Scalar, mover: Callable[[Array], Move], given: _Options):
    """Check everything, then return the snapshots of the pooled pairs' log-linear descent."""
    directions, scores, labels = _checked(data, given.boundary)
    if given.batch_size is not None:
        checks.positive(batch_size=given.batch_size)
    if given.max_norm is not None:
        checks.positive(max_norm=given.max_norm)
    weights = given.weights if given.weights is None else _pooled_weights(given.weights, labels)
    start = given.start if given.start is None else as_arrays(directions, given.start)[2] / ROOT
    pairs, rate, theta = checked(directions, beta, learning_rate, weights, start, given.record_every)
    batches = None if given.batch_size is None else _batches(directions, given.batch_size, given.seed)
    shots = descend(pairs, theta, given.slope, mover(rate), batches=batches, max_norm=given.max_norm,
                    record_every=given.record_every)  # fmt: skip
    return (
        _snapshot(step, step * rate[..., 0], ROOT * theta, margin, pairs.beta, scores, labels)
        for step, theta, margin in shots
    )


def _checked(data: Behaviors, boundary: Array | None) -> tuple[Array, Array, Array]:
    r"""Return $\sqrt 2\, s g$ and $s \langle w, g \rangle$ of all pairs in one row, w the boundary, and the labels."""
    checks.finite(embeddings=data.embeddings, labels=data.labels)
    xp, embeddings, labels = as_arrays(data.embeddings, data.labels)
    if embeddings.ndim < 3 or 0 in embeddings.shape[-3:]:
        found = tuple(embeddings.shape)
        raise ValueError(f"`embeddings` must have behaviors, statements and features as its last axes, got {found}.")
    if tuple(labels.shape[-2:]) != tuple(embeddings.shape[-3:-1]):
        wanted, found = tuple(embeddings.shape[-3:-1]), tuple(labels.shape)
        raise ValueError(f"`labels` must have behaviors and statements, {wanted}, as its last axes, got shape {found}.")
    signed = labels[..., None] * embeddings
    signed = xp.reshape(signed, (*signed.shape[:-3], -1, signed.shape[-1]))
    if boundary is None:
        return ROOT * signed, xp.zeros_like(signed[..., 0]), labels
    checks.finite(boundary=boundary)
    _, _, row = as_arrays(signed, boundary)
    _refuse_other_length("boundary", row, signed)
    return ROOT * signed, xp.matmul(signed, row[..., None])[..., 0], labels


def _refuse_other_length(name: str, value: Array, directions: Array) -> None:
    if value.shape[-1:] != directions.shape[-1:]:
        wanted, found = directions.shape[-1], tuple(value.shape)
        raise ValueError(f"`{name}` must have length {wanted} on its last axis, got shape {found}.")


def _pooled_weights(weights: Array, labels: Array) -> Array:
    xp, _, weights = as_arrays(labels, weights)
    if tuple(weights.shape[-2:]) != tuple(labels.shape[-2:]):
        wanted, found = tuple(labels.shape[-2:]), tuple(weights.shape)
        raise ValueError(
            f"`weights` must have behaviors and statements, {wanted}, as its last axes, got shape {found}."
        )
    return xp.reshape(weights, (*weights.shape[:-2], -1))


def _batches(directions: Array, size: int, seed: int) -> Iterator[Array]:
    """Yield indices of pairs: each epoch all of them once, in an order of its own."""
    xp, generator, count = namespace(directions), np.random.default_rng(seed), directions.shape[-2]
    while True:
        order = xp.asarray(generator.random(count).argsort(), device=array_api_compat.device(directions))
        for first in range(0, count, size):
            yield order[first : first + size]


def _snapshot(step, time, change, margin, beta, scores, labels) -> HeadSnapshot:
    """Return all figures from the change and the margins of the pooled pairs."""
    xp = namespace(change)
    by_behavior = tuple(labels.shape[-2:])
    margin, score = (xp.reshape(x, (*x.shape[:-1], *by_behavior)) for x in (margin, margin / beta + scores))
    return HeadSnapshot(
        step=step,
        time=time,
        change=change,
        margin=margin,
        loss=xp.mean(dpo_loss(margin), axis=-1),
        weight_change=xp.linalg.vector_norm(change, axis=-1) / ROOT,
        reward_accuracy=_share_above_zero(margin),
        policy_accuracy=_share_above_zero(score),
    )


def _share_above_zero(values: Array) -> Array:
    return namespace(values).mean((namespace(values).sign(values) + 1) / 2, axis=-1)
