r"""Comparisons of two answers, and the rewards that explain them: the Bradley-Terry model.

A person who sees two answers says which is better; nobody says how good one is. The model turns rewards into the
chance of each outcome, $P(y \succ z) = \sigma(r(y) - r(z))$, and its maximum-likelihood fit turns outcomes back into
rewards. Only differences of rewards are identified: fitted rewards are centered, and errors are those of differences.

Answers are known by their index; `wins[..., i, j]` counts how often answer i was chosen over answer j and may hold
any weights of at least 0; leading axes are a batch of data sets. Source: <https://arxiv.org/abs/2312.13619>.
"""

import math
from typing import NamedTuple, TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Bool, Float, Int, Real

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, draw, log_sigmoid, logsumexp, namespace, per_law
from alignbook.information import LogLaw, Values

PerPair: TypeAlias = float | Float[Array, "*#batch"]
Indices: TypeAlias = Int[Array, "*#batch pairs"]
Wins: TypeAlias = Real[Array, "*batch answers answers"]

MOST_STEPS = 200  # of Newton's; a fit of counts takes about ten
LAST_STEP = 1e-9  # in reward: convergence is quadratic, so the error left is its square


class Preferences(NamedTuple):
    """Compared pairs of answers, by index: the chosen one and the rejected one of each."""

    chosen: Array
    rejected: Array


class FittedRewards(NamedTuple):
    """Rewards of mean 0, their covariance, the standard error of every difference, the log-likelihood in nats."""

    reward: Float[Array, "*batch answers"]
    covariance: Float[Array, "*batch answers answers"]
    standard_error: Float[Array, "*batch answers answers"]
    log_likelihood: Float[Array, "*batch"]


def bradley_terry(reward_chosen: PerPair, reward_rejected: PerPair) -> Float[Array, "..."]:
    r"""Return $\log P(y^+ \succ y^-) = \log \sigma(r(y^+) - r(y^-))$, entry by entry.

    A log-probability, like all laws of the book. Raises ValueError if a reward is not finite.

    >>> round(math.exp(bradley_terry(math.log(3.0), 0.0)), 12)
    0.75
    """
    checks.finite(reward_chosen=reward_chosen, reward_rejected=reward_rejected)
    _, chosen, rejected = as_arrays(reward_chosen, reward_rejected)
    return log_sigmoid(chosen - rejected)


def sample_pairs(log_p: LogLaw, num_pairs: int, *, seed: int = 0) -> tuple[Indices, Indices]:
    r"""Draw pairs of different answers, $P(y, z) \propto p(y)\, p(z)$, as two arrays of indices.

    `seed` fixes the draws on every engine, and may be the one of `sample_preferences` too; equal rows of a batch
    are independent. Raises ValueError if `log_p` is no law or gives fewer than two answers a chance, or if
    `num_pairs` is below 1.
    """
    checks.laws(log_p=log_p)
    checks.positive(num_pairs=num_pairs)
    xp, log_p = as_arrays(log_p)
    if bool(xp.any(xp.sum(xp.astype(log_p > -math.inf, xp.int64), axis=-1) < 2)):
        raise ValueError("`log_p` must give at least two answers a chance, got a law with one.")
    log_p = xp.astype(log_p, xp.float64)[..., None, :]
    first_u, second_u = (_uniforms((*log_p.shape[:-2], num_pairs), log_p, (seed, place)) for place in (0, 1))
    log_rest = logsumexp(xp.where(_identity(log_p) > 0, -math.inf, log_p))
    first = draw(log_p + log_rest[..., None, :], first_u)
    return first, draw(xp.where(_one_hot(first, log_p) > 0, -math.inf, log_p), second_u)


def sample_preferences(
    reward: Values, pairs: tuple[Indices, Indices], *, label_noise: Scalar = 0.0, seed: int = 0
) -> Preferences:
    r"""Let Bradley-Terry decide given pairs of answers, then flip each label with probability $\varepsilon$.

    `pairs` are two arrays of indices, as `sample_pairs` returns them. `seed` fixes the outcomes on every engine;
    equal rows of a batch are independent. Raises ValueError if `reward` is not finite, an index is none of its
    answers or `label_noise` is not between 0 and 1/2.
    """
    checks.finite(reward=reward)
    checks.not_negative(label_noise=label_noise)
    checks.at_most(0.5, label_noise=label_noise)
    xp, reward, noise = as_arrays(reward, label_noise)
    reward, noise = xp.astype(reward, xp.float64)[..., None, :], xp.astype(noise, xp.float64)[..., None]
    first, second = (xp.asarray(index, device=array_api_compat.device(reward)) for index in pairs)
    _refuse_strangers("pairs", reward.shape[-1], first, second)
    r_first, r_second = (xp.sum(_one_hot(index, reward) * reward, axis=-1) for index in (first, second))
    chance = xp.exp(log_sigmoid(r_first - r_second))
    chance = chance + noise * (1 - 2 * chance)
    first_wins = _uniforms(tuple(chance.shape), chance, (seed, 2)) < chance
    return Preferences(xp.where(first_wins, first, second), xp.where(first_wins, second, first))


def win_counts(preferences: Preferences, num_answers: int) -> Int[Array, "*_batch answers answers"]:
    """Return how often answer i was chosen over answer j, in row i and column j.

    Raises ValueError if an index is none of so many answers.
    """
    xp, (chosen, rejected) = namespace(*preferences), preferences
    _refuse_strangers("preferences", num_answers, chosen, rejected)
    like = xp.zeros(num_answers, dtype=xp.float64, device=array_api_compat.device(chosen))
    counts = xp.matmul(xp.matrix_transpose(_one_hot(chosen, like)), _one_hot(rejected, like))
    return xp.astype(counts, xp.int64)


def has_finite_fit(wins: Wins) -> Bool[Array, "*batch"]:
    """Tell whether the likelihood has a maximum: a chain of wins leads from every answer to every other.

    Otherwise some group of answers never lost to the rest, or never met it, and rewards run away. This is
    Ford's condition; source: <https://arxiv.org/abs/1411.1168>.
    """
    xp, wins = as_arrays(wins)
    return xp.all(xp.all(_reaches(wins), axis=-1), axis=-1)


def fit_bradley_terry(wins: Wins, *, prior_variance: Scalar | None = None) -> FittedRewards:
    r"""Return the rewards of highest likelihood $\sum_{ij} w_{ij} \log \sigma(r_i - r_j)$, with mean 0.

    Errors are those of large samples, from the curvature at the maximum. With a `prior_variance` each reward
    has a normal prior of mean 0, the fit is the posterior mode, and no data are too few. The search runs in
    float64 and is not differentiable. Raises ValueError if `wins` is no square of finite weights of at least 0
    with zeros on its diagonal, if without a prior a data set breaks Ford's condition (`has_finite_fit`; the
    answers are named), or if `prior_variance` is not positive and finite.

    >>> fit_bradley_terry(np.array([[0, 30], [10, 0]])).reward.round(4).tolist()  # their difference is log 3
    [0.5493, -0.5493]
    """
    xp, wins = as_arrays(wins)
    _refuse_no_counts(wins)
    weights = xp.astype(wins, xp.float64)
    pull = xp.zeros_like(weights[..., 0])
    if prior_variance is None:
        _refuse_runaways(weights)
    else:
        checks.positive(prior_variance=prior_variance)
        checks.finite(prior_variance=prior_variance)
        pull = pull + 1 / per_law(xp, prior_variance, weights)
    reward = _newton(weights, pull)
    _, precision, common = _slope_and_precision(weights, reward, pull)
    covariance = xp.linalg.inv(precision) - 1 / (wins.shape[-1] * common)
    own = xp.linalg.diagonal(covariance)
    standard_error = xp.sqrt(xp.clip(own[..., :, None] + own[..., None, :] - 2 * covariance, min=0.0))
    log_likelihood = xp.sum(weights * log_sigmoid(_gaps(reward)), axis=(-2, -1))
    found = (reward, covariance, standard_error, log_likelihood)
    return FittedRewards(*(xp.astype(part, wins.dtype) for part in found))


def _newton(wins: Array, pull: Array) -> Array:
    r"""Climb to the maximum by Newton steps, each cut to a share that cannot overshoot.

    A step changes differences of rewards by at most D, and with them the log of every curvature. So the slope
    along the step stays positive up to the share $\log(1 + D)/D$, which tends to 1 as steps get short.
    """
    xp, reward = namespace(wins), 0 * pull
    for _ in range(MOST_STEPS):
        slope, precision, _ = _slope_and_precision(wins, reward, pull)
        step = xp.linalg.solve(precision, slope[..., None])[..., 0]
        reach = xp.max(step, axis=-1, keepdims=True) - xp.min(step, axis=-1, keepdims=True) + 1e-300  # no 0/0
        reward = reward + xp.log1p(reach) / reach * step
        if bool(xp.all(reach < LAST_STEP)):
            return reward - xp.mean(reward, axis=-1, keepdims=True)
    raise ValueError(f"`wins` must allow a fit within {MOST_STEPS} steps, got weights of too many orders of magnitude.")


def _slope_and_precision(wins: Array, reward: Array, pull: Array) -> tuple[Array, Array, Array]:
    r"""Return the log-posterior's gradient, minus its Hessian made invertible, and the eigenvalue of $1$ there.

    The likelihood does not see a common shift: a multiple of $1 1^T$ is added, of the size of the rest.
    """
    xp, answers = namespace(wins), wins.shape[-1]
    upset = xp.exp(log_sigmoid(-_gaps(reward)))  # the chance that the column's answer beats the row's
    surprise = wins * upset
    slope = xp.sum(surprise, axis=-1) - xp.sum(surprise, axis=-2) - pull * reward
    weight = (wins + xp.matrix_transpose(wins)) * upset * xp.matrix_transpose(upset)
    curvature = xp.sum(weight, axis=-1) + pull
    level = xp.mean(curvature, axis=-1)[..., None, None]
    level = xp.where(level > 0, level, 1.0)  # a single answer has no curvature
    return slope, _identity(wins) * curvature[..., None] - weight + level / answers, level + pull[..., :1, None]


def _gaps(reward: Array) -> Array:
    return reward[..., :, None] - reward[..., None, :]


def _reaches(wins: Array) -> Array:
    """Tell for answers i and j whether a chain of wins leads from i to j, by squaring the matrix of wins."""
    xp, linked = namespace(wins), (wins > 0) | (_identity(wins) > 0)
    for _ in range(wins.shape[-1].bit_length()):
        paths = xp.astype(linked, wins.dtype)
        linked = xp.matmul(paths, paths) > 0
    return linked


def _identity(like: Array) -> Array:
    return namespace(like).eye(like.shape[-1], dtype=like.dtype, device=array_api_compat.device(like))


def _refuse_runaways(wins: Array) -> None:
    """Refuse a data set without a finite fit, and name the group of answers, the smaller one, that runs away."""
    finite = has_finite_fit(wins)
    if bool(namespace(wins).all(finite)):
        return
    reaches, won = _reaches(wins)[~finite][0].tolist(), (wins > 0)[~finite][0].tolist()
    answers = range(len(won))
    above = min(([k for k in answers if reaches[k][j]] for j in answers), key=len)
    under = min(([k for k in answers if reaches[j][k]] for j in answers), key=len)
    group, fate = (above, "never lost to") if len(above) <= len(under) else (under, "never won against")
    if not any(won[i][j] or won[j][i] for i in group for j in answers if j not in group):
        fate = "never met"
    raise ValueError(
        f"`wins` must lead from every answer to every other by a chain of wins, got answers {group} that {fate} "
        "the others; a `prior_variance` would keep the fit finite."
    )


def _refuse_no_counts(wins: Array) -> None:
    if wins.ndim < 2 or wins.shape[-1] != wins.shape[-2] or wins.shape[-1] == 0:
        raise ValueError(f"`wins` must be square in its last two axes, got shape {tuple(wins.shape)}.")
    checks.finite(wins=wins)
    checks.not_negative(wins=wins)
    xp = namespace(wins)
    own = xp.max(xp.linalg.diagonal(wins))
    if bool(own > 0):
        raise ValueError(f"`wins` must be 0 on the diagonal, got {float(own)} wins of an answer over itself.")


def _refuse_strangers(name: str, num_answers: int, *indices: Array) -> None:
    for index in indices:
        strangers = index[(index < 0) | (index >= num_answers)]
        if strangers.shape[0]:
            raise ValueError(f"`{name}` must hold indices of {num_answers} answers, got {int(strangers[0])}.")


def _one_hot(index: Array, like: Array) -> Array:
    xp = namespace(like)
    places = xp.arange(like.shape[-1], device=array_api_compat.device(like))
    return xp.astype(index[..., None] == places, like.dtype)


def _uniforms(shape: tuple[int, ...], like: Array, stream: tuple[int, int]) -> Array:
    """Return numpy's draws from [0, 1), moved, so that every engine sees the same."""
    random = np.random.default_rng(stream).random(shape)
    return namespace(like).asarray(random, dtype=like.dtype, device=array_api_compat.device(like))
