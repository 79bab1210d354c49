r"""Policies and their parameters: a table of logits, a log-linear policy, a model's last layer, strings of letters.

The softmax table has a free score for every answer. It can express every law, so what it fails to reach is the
fault of the objective or of the training, never of the model. The others share parameters between answers, as
every language model does: what is learned on one answer moves others. Their chain rules go through the logits:
`pull_back` leads from probabilities to logits, `pull_back_to_parameters` from logits to what they share.

Answers lie on the last axis of a law, features on the last axis of $\theta$; leading axes are a batch.
"""

import math

import array_api_compat
import numpy as np
from jaxtyping import Float, Int, Real

from alignbook import checks
from alignbook.arrays import Array, as_arrays, log_softmax, namespace

LARGEST_TABLE = 10**7  # numbers in a table of letter counts: 80 MB


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


def log_linear_policy(
    ref_log_p: Float[Array, "*#batch answers"],
    features: Real[Array, "*#batch answers features"],
    theta: Float[Array, "*#batch features"],
) -> Float[Array, "*_batch answers"]:
    r"""Return $\log \pi_\theta$ with $\pi_\theta(y) \propto \pi_\mathrm{ref}(y)\, e^{\langle \theta, f(y) \rangle}$.

    `features` holds f(y) in the row of answer y; $\theta = 0$ is the reference. Raises ValueError if `ref_log_p` is no
    law, `features` or `theta` is not finite, or their sizes do not fit.
    """
    checks.laws(ref_log_p=ref_log_p)
    checks.finite(features=features, theta=theta)
    xp, ref_log_p, features, theta = as_arrays(ref_log_p, features, theta)
    wanted = (ref_log_p.shape[-1], theta.shape[-1])
    if tuple(features.shape[-2:]) != wanted:
        found = tuple(features.shape)
        raise ValueError(f"`features` must have answers and parameters, {wanted}, as its last axes, got shape {found}.")
    return log_softmax(ref_log_p + xp.matmul(features, theta[..., None])[..., 0])


def pull_back_to_parameters(
    features: Real[Array, "*#batch answers features"], logit_slope: Float[Array, "*#batch answers"]
) -> Float[Array, "*_batch features"]:
    r"""Return $\nabla_\theta = \sum_y f(y)\, \partial/\partial z_y$, from a gradient with respect to the logits.

    The log-linear policy's chain rule, since its logits $z_y$ are $\log \pi_\mathrm{ref}(y) + \langle \theta, f(y)
    \rangle$; the unigram policy's with `letter_counts` as features. Unchecked, like the other chain rules.
    """
    xp, logit_slope, features = as_arrays(logit_slope, features)
    return xp.matmul(logit_slope[..., None, :], features)[..., 0, :]


def last_layer_policy(
    unembedding: Real[Array, "*#batch answers features"], embeddings: Real[Array, "*#batch statements features"]
) -> Float[Array, "*_batch statements answers"]:
    r"""Return $\log \pi(y \mid x) = \langle w_y, g(x) \rangle - \log \sum_z e^{\langle w_z, g(x) \rangle}$.

    The last layer of a language model: row y of `unembedding` is $w_y$, a row of `embeddings` is the last hidden state
    g(x) of a statement. Raises ValueError if an argument is not finite or their features differ in number.
    """
    checks.finite(unembedding=unembedding, embeddings=embeddings)
    xp, unembedding, embeddings = as_arrays(unembedding, embeddings)
    if embeddings.shape[-1] != unembedding.shape[-1]:
        wanted, found = unembedding.shape[-1], tuple(embeddings.shape)
        raise ValueError(f"`embeddings` must have length {wanted} on its last axis, got shape {found}.")
    return softmax_policy(xp.matmul(embeddings, xp.matrix_transpose(unembedding)))


def two_layer_policy(
    unembedding: Real[Array, "*#batch answers hidden"],
    features: Real[Array, "*#batch hidden inputs"],
    inputs: Real[Array, "*#batch statements inputs"],
) -> Float[Array, "*_batch statements answers"]:
    r"""Return $\log \pi(y \mid x)$ of the last layer on embeddings that may themselves be trained, $g(x) = A x$.

    `features` is A. Raises ValueError if an argument is not finite or sizes do not fit.
    """
    checks.finite(features=features, inputs=inputs)
    xp, unembedding, features, inputs = as_arrays(unembedding, features, inputs)
    if inputs.shape[-1] != features.shape[-1]:
        wanted, found = features.shape[-1], tuple(inputs.shape)
        raise ValueError(f"`inputs` must have length {wanted} on its last axis, got shape {found}.")
    return last_layer_policy(unembedding, xp.matmul(inputs, xp.matrix_transpose(features)))


def letter_counts(alphabet_size: int, length: int) -> Int[np.ndarray, "strings letters"]:
    """Return how often each letter stands in each string of this length: the features of a unigram policy.

    Strings come in the order of `itertools.product(letters, repeat=length)`. Raises ValueError if an argument
    is below 1 or the table would hold more than ten million numbers.

    >>> letter_counts(2, 2).tolist()
    [[2, 0], [1, 1], [1, 1], [0, 2]]
    """
    checks.positive(alphabet_size=alphabet_size, length=length)
    if (size := alphabet_size ** (length + 1)) > LARGEST_TABLE:
        raise ValueError(
            f"`length` must keep alphabet_size^(length + 1), the numbers in the table of letter counts, "
            f"within {LARGEST_TABLE}, got {size}."
        )
    one_letter = np.eye(alphabet_size, dtype=int)
    counts = np.zeros((1, alphabet_size), dtype=int)
    for _ in range(length):
        counts = (counts[:, None, :] + one_letter).reshape(-1, alphabet_size)
    return counts


def unigram_policy(letter_logits: Float[Array, "*batch letters"], length: int) -> Float[Array, "*batch strings"]:
    r"""Return the log-probabilities of all strings whose letters are drawn independently from one softmax.

    $\log \pi(y) = \sum_a n_a(y) \log p_a$ with the counts $n_a$ of `letter_counts`, in its order: the log-linear policy
    with letter counts as features, letter logits as $\theta$ and a reference of equally likely strings.
    Raises ValueError as `letter_counts` does, or if `letter_logits` is not finite.
    """
    xp, letter_logits = as_arrays(letter_logits)
    counts = letter_counts(letter_logits.shape[-1], length)
    like = {"dtype": letter_logits.dtype, "device": array_api_compat.device(letter_logits)}
    even = xp.full(len(counts), -math.log(len(counts)), **like)
    checks.finite(letter_logits=letter_logits)
    return log_linear_policy(even, xp.asarray(counts, **like), letter_logits)
