r"""Policies and their parameters. For now one: the softmax table, a free score for every answer.

A table can express every law, so what it fails to reach is the fault of the objective or of the training,
never of the model. Answers lie on the last axis, leading axes are a batch.
"""

from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, as_arrays, log_softmax, namespace


def softmax_policy(logits: Float[Array, "*batch answers"]) -> Float[Array, "*batch answers"]:
    r"""Return $\log \pi_\theta(y) = \theta_y - \log \sum_z e^{\theta_z}$; a logit of -inf forbids an answer.

    Adding a constant to all logits changes nothing. Raises ValueError if `logits` is empty, holds nan or +inf,
    or forbids every answer.
    """
    checks.scores(logits=logits)
    return log_softmax(as_arrays(logits)[1])


def softmax(logits: Float[Array, "*batch answers"]) -> Float[Array, "*batch answers"]:
    r"""Return $e^{\theta_y} / \sum_z e^{\theta_z}$, unchecked: the one line that training loops repeat."""
    xp = namespace(logits)
    weight = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return weight / xp.sum(weight, axis=-1, keepdims=True)


def pull_back(
    law: Float[Array, "*#batch answers"], slope: Float[Array, "*#batch answers"]
) -> Float[Array, "*_batch answers"]:
    r"""Return $\nabla_\theta \sum_y g_y\, \pi_\theta(y) = \pi_y (g_y - E_\pi g)$ for fixed slopes g.

    The softmax table's chain rule: a logit rises as far as its answer is likely and better than the average.
    """
    return law * (slope - namespace(law).sum(law * slope, axis=-1, keepdims=True))
