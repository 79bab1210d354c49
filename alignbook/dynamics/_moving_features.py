r"""Two layers that both train: what DPO does to the features of a statement, and what flipped labels undo.

A statement's input x becomes the embedding Ax, and $w = w_\mathrm{Yes} - w_\mathrm{No}$ is the head: the log-odds of
Yes over No are $w \cdot A x$. The two answers' rows move oppositely, so w moves at twice the rate that its slope has;
A moves at the plain rate. With A frozen this is the training of the head alone.

Without noise, inputs $\pm \frac{\Delta}{2} e$, all of training is one motion along a hyperbola: $w \pm \sqrt2\, a$ with
$a = Ae$ change by the factors $e^{\pm\tau}$, so $w^2 - 2a^2$ stays, and data set only the pace.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, per_law
from alignbook.losses import dpo_slope

NODES = 64  # of the Gauss-Legendre rule for the time that a stretch takes
HALVINGS, NEWTON_STEPS = 20, 5  # near enough, then to the last digit
ROOT = math.sqrt(2)


class TwoLayers(NamedTuple):
    r"""The scalar model at some times: w, a, the margin of the labels trained on, the log-odds $w a \Delta/2$.

    The log-odds are those of the answer that unflipped labels choose.
    """

    head: Float[Array, "*batch"]
    feature: Float[Array, "*batch"]
    margin: Float[Array, "*batch"]
    log_odds: Float[Array, "*batch"]


class TwoLayerSnapshot(NamedTuple):
    """A run at one moment: both layers, each statement's margin, and the log-odds of the answer its label chooses."""

    step: int
    time: Array
    head: Float[Array, "*batch hidden"]
    features: Float[Array, "*batch hidden inputs"]
    margin: Float[Array, "*batch statements"]
    log_odds: Float[Array, "*batch statements"]


def two_layer_flow(
    time: Scalar,
    beta: Scalar,
    distinguishability: Scalar,
    *,
    head: Scalar,
    feature: Scalar,
    ref_head: Scalar | None = None,
    ref_feature: Scalar | None = None,
    flipped: bool = False,
) -> TwoLayers:
    r"""Return the gradient flow $\dot w = 2ka$, $\dot a = kw$, $k = \pm\sigma(-m)\, \beta\Delta/2$, at each time.

    $m = \pm\beta (wa - w_\mathrm{ref} a_\mathrm{ref}) \Delta/2$; flipped labels take the lower sign. The reference is
    the start unless it is given. Arguments broadcast. The time that a stretch $\tau$ takes, $\frac{\sqrt2}{\beta\Delta}
    \int_0^\tau (1 + e^m)$, comes by quadrature, the stretch of a time by bisection.

    Raises ValueError if an argument is not finite, `beta` or `distinguishability` is not positive or `time` is
    negative.
    """
    reference = (head if ref_head is None else ref_head), (feature if ref_feature is None else ref_feature)
    checks.positive(beta=beta, distinguishability=distinguishability)
    checks.not_negative(time=time)
    checks.finite(time=time, beta=beta, distinguishability=distinguishability, head=head, feature=feature)
    checks.finite(ref_head=reference[0], ref_feature=reference[1])
    xp, *held = as_arrays(time, beta, distinguishability, head, feature, *reference)
    time, beta, distance, w, a, w_ref, a_ref = (x[..., None] for x in held)  # the last axis: a rule's nodes
    road = _Road(xp, w + ROOT * a, w - ROOT * a, beta * distance / 2, w_ref * a_ref, -1 if flipped else 1)
    w, a, margin = road.at(road.stretch(time))
    return TwoLayers(w[..., 0], a[..., 0], margin[..., 0], (w * a * distance / 2)[..., 0])


def two_layer_descent(
    inputs: Real[Array, "*#batch statements inputs"],
    labels: Real[Array, "*#batch statements"],
    beta: Scalar,
    learning_rate: Scalar,
    *,
    head: Real[Array, "*#batch hidden"],
    features: Real[Array, "*#batch hidden inputs"],
    ref_head: Real[Array, "*#batch hidden"] | None = None,
    ref_features: Real[Array, "*#batch hidden inputs"] | None = None,
    train_features: bool = True,
    record_every: int = 1,
) -> Iterator[TwoLayerSnapshot]:
    r"""Yield snapshots of full-batch gradient descent on the mean DPO loss of both layers, without end.

    `head` is $w_\mathrm{Yes} - w_\mathrm{No}$ and `features` is A, where the run starts; the reference is the start
    unless it is given. `train_features=False` moves the head alone. Leading axes are runs of their own.

    Raises ValueError if an argument is not finite, sizes do not fit, or `beta`, `learning_rate` or `record_every` is
    not positive.
    """
    checks.positive(beta=beta, learning_rate=learning_rate, record_every=record_every)
    given = (head if ref_head is None else ref_head), (features if ref_features is None else ref_features)
    checks.finite(inputs=inputs, labels=labels, beta=beta, learning_rate=learning_rate, head=head, features=features)
    checks.finite(ref_head=given[0], ref_features=given[1])
    xp, x, c, w, a, w_ref, a_ref = as_arrays(inputs, labels, head, features, *given)
    _refuse_other_shapes(x, labels=c, head=w, features=a, ref_head=w_ref, ref_features=a_ref)
    beta, rate = (per_law(xp, value, x) for value in (beta, learning_rate))
    h = c[..., None] * x
    common = 0 * (h[..., 0, :1] + w[..., :1] + a[..., 0, :1] + w_ref[..., :1] + a_ref[..., 0, :1] + beta + rate)
    start = w + common, a + common[..., None]
    feature_rate = rate if train_features else 0 * rate
    return _descend(xp, h, beta, (rate, feature_rate), start, _combined(xp, w_ref, a_ref), record_every)


def two_layer_balance(
    head: Real[Array, "*#batch hidden"], features: Real[Array, "*#batch hidden inputs"]
) -> Float[Array, "*_batch hidden hidden"]:
    r"""Return $w w^\top - 2 A A^\top$, which the gradient flow of both layers never changes, whatever the data."""
    xp, w, a = as_arrays(head, features)
    return w[..., :, None] * w[..., None, :] - 2 * xp.matmul(a, xp.matrix_transpose(a))


class _Road(NamedTuple):
    """The hyperbola a flow moves on, by the stretch from its start; `pull` is beta Delta/2."""

    xp: Any
    rising: Array
    falling: Array
    pull: Array
    ref_product: Array
    sign: int

    def at(self, stretch: Array) -> tuple[Array, Array, Array]:
        """Return w, a and the margin."""
        turn = self.sign * stretch
        up, down = self.rising * self.xp.exp(turn), self.falling * self.xp.exp(-turn)
        w, a = (up + down) / 2, (up - down) / (2 * ROOT)
        return w, a, self.sign * self.pull * (w * a - self.ref_product)

    def slowness(self, stretch: Array) -> Array:
        """Return the time per stretch, which rises with the margin."""
        steepest = 0.9 * _log_of_largest(self.xp, stretch)
        return (1 + self.xp.exp(self.xp.clip(self.at(stretch)[2], max=steepest))) / (ROOT * self.pull)

    def elapsed(self, stretch: Array) -> Array:
        """Return the time that a stretch takes."""
        nodes, shares = (as_arrays(stretch, values)[2] for values in _rule())
        return stretch * self.xp.sum(shares * self.slowness(stretch * nodes), axis=-1, keepdims=True)

    def stretch(self, time: Array) -> Array:
        """Return the stretch after a time: halvings, then Newton's method from above, since time is convex in it."""
        longest = 0.45 * _log_of_largest(self.xp, time)  # beyond it the layers leave a float's range, or rest at zero
        high = self.xp.clip(time / self.slowness(0 * time), max=longest)  # the pace is never above that of the start
        low = 0 * high
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = self.elapsed(middle) > time
            low, high = self.xp.where(beyond, low, middle), self.xp.where(beyond, middle, high)
        for _ in range(NEWTON_STEPS):
            high = self.xp.clip(high - (self.elapsed(high) - time) / self.slowness(high), max=longest)
        return high


def _log_of_largest(xp: Any, like: Array) -> float:
    return math.log(xp.finfo(like.dtype).max)


@functools.cache
def _rule() -> tuple[list[float], list[float]]:
    """Return nodes and shares of a mean over [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return ((nodes + 1) / 2).tolist(), (weights / 2).tolist()


def _combined(xp: Any, w: Array, a: Array) -> Array:
    """Return $A^\\top w$, what both layers do to an input."""
    return xp.matmul(w[..., None, :], a)[..., 0, :]


def _descend(xp: Any, h, beta, rates, start, reference, record_every) -> Iterator[TwoLayerSnapshot]:
    """Run the loop of `two_layer_descent` on checked arrays; rows of `h` are inputs times their labels."""
    (w, a), (rate, feature_rate), count = start, rates, h.shape[-2]
    ref_log_odds = xp.matmul(h, reference[..., None])[..., 0]
    for step in itertools.count():
        log_odds = xp.matmul(h, _combined(xp, w, a)[..., None])[..., 0]
        margin = beta * (log_odds - ref_log_odds)
        if step % record_every == 0:
            yield TwoLayerSnapshot(step, step * rate[..., 0], w, a, margin, log_odds)
        mean = xp.matmul((-beta / count * dpo_slope(margin))[..., None, :], h)[..., 0, :]  # beta E[sigma(-m) h]
        w, a = (
            w + 2 * rate * xp.matmul(a, mean[..., None])[..., 0],
            a + feature_rate[..., None] * w[..., :, None] * mean[..., None, :],
        )


def _refuse_other_shapes(inputs: Array, **arrays: Array) -> None:
    """Refuse what does not fit the inputs, or the hidden width of `features`."""
    if inputs.ndim < 2 or 0 in inputs.shape[-2:]:
        raise ValueError(f"`inputs` must have statements and inputs as its last axes, got {tuple(inputs.shape)}.")
    statements, width = inputs.shape[-2:]
    hidden = arrays["features"].shape[-2] if arrays["features"].ndim > 1 else 0
    wanted = {"labels": (statements,), "features": (hidden, width), "ref_features": (hidden, width)}
    wanted |= {"head": (hidden,), "ref_head": (hidden,)}
    for name, array in arrays.items():
        found, ending = tuple(array.shape), wanted[name]
        if found[-len(ending) :] != ending or 0 in ending:
            raise ValueError(f"`{name}` must end in the axes {ending}, got shape {found}.")
