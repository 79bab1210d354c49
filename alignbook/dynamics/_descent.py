r"""The one loop of every training on pairs: a margin that is linear in the parameters, a slope, a step.

For the log-linear policy $\pi_\theta(y) \propto \pi_\mathrm{ref}(y)\, e^{\langle \theta, f(y) \rangle}$ the
log-partition cancels from the margin of a pair, $m = \beta \langle \theta, f(y^+) - f(y^-) \rangle$. Training then
needs the pairs' directions $f(y^+) - f(y^-)$ alone: it is a logistic regression on them, however many answers there
are. A softmax table is the case of one feature for each answer, f(y) a row of the identity.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, per_law
from alignbook.losses import dpo_slope

Slope: TypeAlias = Callable[[Array], Array]
Move: TypeAlias = Callable[[Array, Array, Any], tuple[Array, Any]]  # parameters, gradient, memory -> parameters, memory


class Snapshot(NamedTuple):
    """A training run at one moment: step, time = step × learning rate, parameters, the margin of every pair."""

    step: int
    time: Array
    theta: Float[Array, "*batch features"]
    margin: Float[Array, "*batch pairs"]


class Pairs(NamedTuple):
    r"""Checked pairs: margins are $\beta \langle \theta, d_i \rangle$, the loss $\sum_i w_i\, l(m_i)$."""

    directions: Array  # (*batch, pairs, features)
    weights: Array  # (*batch, pairs)
    beta: Array  # (*batch, 1)


def dpo_descent(
    directions: Real[Array, "*#batch pairs features"],
    beta: Scalar,
    learning_rate: Scalar,
    *,
    weights: Real[Array, "*#batch pairs"] | None = None,
    start: Real[Array, "*#batch features"] | None = None,
    slope: Slope = dpo_slope,
    record_every: int = 1,
) -> Iterator[Snapshot]:
    r"""Yield snapshots of $\theta \leftarrow \theta - \eta\, \beta \sum_i w_i\, l'(m_i)\, d_i$, without end.

    Row i of `directions` is $d_i = f(y_i^+) - f(y_i^-)$. The loss is $\sum_i w_i\, l(m_i)$, by default the mean of
    the DPO loss over pairs; another `slope` $l'$ makes it another loss. A run starts at the reference,
    $\theta = 0$, or at `start`. The first snapshot is the start, then one comes every `record_every` steps.

    Raises ValueError if an argument is not finite, sizes do not fit, a weight is negative, or `beta`,
    `learning_rate` or `record_every` is not positive.
    """
    pairs, rate, theta = checked(directions, beta, learning_rate, weights, start, record_every)
    shots = descend(pairs, theta, slope, plain_move(rate), record_every=record_every)
    return (Snapshot(step, step * rate[..., 0], theta, margin) for step, theta, margin in shots)


def checked(directions, beta, learning_rate, weights, start, record_every) -> tuple[Pairs, Array, Array]:
    """Return the pairs, the learning rate with a last axis of one and the start, once they are found good."""
    checks.positive(beta=beta, learning_rate=learning_rate, record_every=record_every)
    checks.finite(directions=directions, beta=beta, learning_rate=learning_rate)
    xp, directions = as_arrays(directions)
    if directions.ndim < 2 or 0 in directions.shape[-2:]:
        raise ValueError(f"`directions` must have pairs and features as its last axes, got {tuple(directions.shape)}.")
    pairs, features = directions.shape[-2:]
    given_weights = xp.full_like(directions[..., 0], 1 / pairs) if weights is None else weights
    given_start = xp.zeros_like(directions[..., 0, :]) if start is None else start
    _refuse_other_sizes(pairs, weights=given_weights)
    _refuse_other_sizes(features, start=given_start)
    checks.not_negative(weights=given_weights)
    _, _, share, theta = as_arrays(directions, given_weights, given_start)
    beta, rate = (per_law(xp, x, directions) for x in (beta, learning_rate))
    theta = theta + 0 * (directions[..., 0, :] + beta + rate + share[..., :1])  # at the common shape
    return Pairs(directions, share, beta), rate, theta


def descend(
    pairs: Pairs,
    theta: Array,
    slope: Slope,
    move: Move,
    *,
    batches: Iterator[Array] | None = None,
    max_norm: float | None = None,
    record_every: int = 1,
) -> Iterator[tuple[int, Array, Array]]:
    """Yield step, parameters and the margins of all pairs, every `record_every` steps and without end.

    Each step takes the pairs that `batches` names next, by default all. Nothing is checked.
    """
    xp, memory = as_arrays(theta)[0], None
    for step in itertools.count():
        if step % record_every == 0:
            yield step, theta, margins(xp, pairs, theta)
        part = pairs if batches is None else _part(xp, pairs, next(batches))
        gradient = _gradient(xp, part, slope(margins(xp, part, theta)))
        theta, memory = move(theta, gradient if max_norm is None else _clipped(xp, gradient, max_norm), memory)


def margins(xp: Any, pairs: Pairs, theta: Array) -> Array:
    r"""Return $\beta \langle \theta, d_i \rangle$ for every pair."""
    return xp.matmul(pairs.directions, (pairs.beta * theta)[..., None])[..., 0]


def _gradient(xp: Any, pairs: Pairs, slopes: Array) -> Array:
    return pairs.beta * xp.matmul((pairs.weights * slopes)[..., None, :], pairs.directions)[..., 0, :]


def _part(xp: Any, pairs: Pairs, index: Array) -> Pairs:
    """Return some pairs; their weights grow, so that the mean over all draws of a batch is the whole gradient."""
    grown = pairs.weights.shape[-1] / index.shape[0]
    directions = xp.take(pairs.directions, index, axis=-2)
    return Pairs(directions, grown * xp.take(pairs.weights, index, axis=-1), pairs.beta)


def _clipped(xp: Any, gradient: Array, max_norm: float) -> Array:
    """Shorten a gradient that is longer than `max_norm`; the 1e-6 is that of torch's clip_grad_norm_."""
    ratio = max_norm / (xp.linalg.vector_norm(gradient, axis=-1, keepdims=True) + 1e-6)
    return gradient * xp.minimum(ratio, xp.ones_like(ratio))


def plain_move(rate: Array) -> Move:
    """Return gradient descent's step, which remembers nothing."""
    return lambda theta, gradient, memory: (theta - rate * gradient, memory)


def adam_move(rate: Array, decays: tuple[float, float], epsilon: float) -> Move:
    r"""Return Adam's step: $\hat m / (\sqrt{\hat v} + \varepsilon)$, whose size is the learning rate at first.

    Source: <https://arxiv.org/abs/1412.6980>.
    """
    first_decay, second_decay = decays

    def move(theta, gradient, memory):
        count, first, second = memory or (0, 0.0, 0.0)
        first = first_decay * first + (1 - first_decay) * gradient
        second = second_decay * second + (1 - second_decay) * gradient**2
        count += 1
        direction = first / (1 - first_decay**count)
        spread = (second / (1 - second_decay**count)) ** 0.5
        return theta - rate * direction / (spread + epsilon), (count, first, second)

    return move


def _refuse_other_sizes(size: int, **values: Array) -> None:
    checks.finite(**values)
    for name, value in values.items():
        shape = tuple(as_arrays(value)[1].shape)
        if shape[-1:] != (size,):
            raise ValueError(f"`{name}` must have length {size} on its last axis, got shape {shape}.")
