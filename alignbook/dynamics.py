r"""Training on pairs, step by step: gradient descent on a loss of the margin, its gradient in closed form.

For the log-linear policy $\pi_\theta(y) \propto \pi_\mathrm{ref}(y)\, e^{\langle \theta, f(y) \rangle}$ the
log-partition cancels from the margin of a pair, $m = \beta \langle \theta, f(y^+) - f(y^-) \rangle$. Training then
needs the pairs' directions $f(y^+) - f(y^-)$ alone: it is a logistic regression on them, however many answers there
are, and `alignbook.policies.log_linear_policy` turns each $\theta$ into a law. A softmax table is the case of one
feature for each answer, f(y) a row of the identity. Time is step × learning rate.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, per_law
from alignbook.losses import dpo_slope


class Snapshot(NamedTuple):
    """A training run at one moment: step, time = step × learning rate, parameters, the margin of every pair."""

    step: int
    time: Array
    theta: Float[Array, "*batch features"]
    margin: Float[Array, "*batch pairs"]


def dpo_descent(
    directions: Real[Array, "*#batch pairs features"],
    beta: Scalar,
    learning_rate: Scalar,
    *,
    weights: Real[Array, "*#batch pairs"] | None = None,
    start: Real[Array, "*#batch features"] | None = None,
    slope: Callable[[Array], Array] = dpo_slope,
    record_every: int = 1,
) -> Iterator[Snapshot]:
    r"""Yield snapshots of $\theta \leftarrow \theta - \eta\, \beta \sum_i w_i\, l'(m_i)\, d_i$, without end.

    Row i of `directions` is $d_i = f(y_i^+) - f(y_i^-)$. The loss is $\sum_i w_i\, l(m_i)$, by default the mean of
    the DPO loss over pairs; another `slope` $l'$ makes it another loss. A run starts at the reference,
    $\theta = 0$, or at `start`. The first snapshot is the start, then one comes every `record_every` steps.

    Raises ValueError if an argument is not finite, sizes do not fit, a weight is negative, or `beta`,
    `learning_rate` or `record_every` is not positive.
    """
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
    return _descend(xp, directions, beta, rate, share, theta, slope, record_every)


def _descend(xp: Any, directions, beta, rate, weights, theta, slope, record_every) -> Iterator[Snapshot]:
    """Run the loop of `dpo_descent` on checked arrays."""
    pull = rate * beta * weights
    for step in itertools.count():
        margin = beta * xp.matmul(directions, theta[..., None])[..., 0]
        if step % record_every == 0:
            yield Snapshot(step, step * rate[..., 0], theta, margin)
        theta = theta - xp.matmul((pull * slope(margin))[..., None, :], directions)[..., 0, :]


def _refuse_other_sizes(size: int, **values: Array) -> None:
    checks.finite(**values)
    for name, value in values.items():
        shape = tuple(as_arrays(value)[1].shape)
        if shape[-1:] != (size,):
            raise ValueError(f"`{name}` must have length {size} on its last axis, got shape {shape}.")
