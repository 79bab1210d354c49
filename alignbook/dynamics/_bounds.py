r"""What a run of gradient flow can be promised before it starts: how far, how straight, how accurate, how soon.

Sources: versions of Theorems 4.1-4.3 of <https://arxiv.org/abs/2403.18742> with the book's own constants and proofs.
Time is step × learning rate, $\Delta$ the distance between the classes' means, u the change of the difference of the
two rows. Every argument may be an array; arguments broadcast against one another.
"""

import math
from typing import TypeAlias

from jaxtyping import Float

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays
from alignbook.dynamics._closed_forms import run_setting

PerSetting: TypeAlias = Float[Array, "..."]


def weight_change_bound(time: Scalar, beta: Scalar, distinguishability: Scalar) -> PerSetting:
    r"""Return $t \beta \Delta / (2 \sqrt 2)$: no run of balanced classes has $\|W(t) - W(0)\|_F$ above it.

    Raises ValueError if `time` or `distinguishability` is negative, or `beta` not positive and finite.
    """
    _, time, beta, delta = run_setting(time, beta, distinguishability=distinguishability)
    return time * beta * delta / (2 * math.sqrt(2))


def linear_regime_error(time: Scalar, beta: Scalar, second_moment: Scalar) -> PerSetting:
    r"""Return $\epsilon(t) = \beta^2 t S / 4$, with $\|u(t) - \beta t \bar h\| \le \epsilon(t)\, \beta t \|\bar h\|$.

    S is the largest eigenvalue of $E\, h h^\top$ (`second_moment`). Raises ValueError if `time` or `second_moment` is
    negative, or `beta` not positive and finite.
    """
    _, time, beta, moment = run_setting(time, beta, second_moment=second_moment)
    return beta**2 * time * moment / 4


def off_course(
    time: Scalar,
    beta: Scalar,
    distinguishability: Scalar,
    second_moment: Scalar,
    *,
    boundary_length: Scalar = 0.0,
    finite_sample_gap: Scalar = 0.0,
) -> PerSetting:
    r"""Return $\chi(t)$, which the sine of the angle from the classes' difference to the head cannot exceed.

    $\chi = \epsilon (1 + 2\gamma/\Delta) + 2\gamma/\Delta + 2\lVert w_0 \rVert/(\beta t \Delta)$: the bending of the
    path, the distance $\gamma$ from the training mean of h to the population's (`finite_sample_gap`) and the length of
    the starting boundary; inf where nothing is promised. Raises ValueError as `accuracy_lower_bound` does.
    """
    checks.not_negative(boundary_length=boundary_length, finite_sample_gap=finite_sample_gap)
    checks.positive(distinguishability=distinguishability)
    xp, time, beta, delta, moment, boundary, gap = run_setting(
        time, beta, distinguishability=distinguishability, second_moment=second_moment,
        boundary_length=boundary_length, finite_sample_gap=finite_sample_gap,
    )  # fmt: skip
    bend, miss, old = _parts(beta, delta, moment, boundary, gap)
    begun = time > 0
    at_start = xp.where(old > 0, math.inf, old)
    return bend * time + miss + xp.where(begun, old / xp.where(begun, time, 1.0), at_start)


def accuracy_lower_bound(
    time: Scalar,
    beta: Scalar,
    distinguishability: Scalar,
    noise: Scalar,
    second_moment: Scalar,
    *,
    boundary_length: Scalar = 0.0,
    finite_sample_gap: Scalar = 0.0,
) -> PerSetting:
    r"""Return $1 - e^{-\Delta^2 (1 - \chi^2) / (8 s^2)}$, below which no accuracy on fresh statements falls.

    $\chi$ is that of `off_course`; the bound is 0 where $\chi \ge 1$. Classes are centered on the origin, noise is
    sub-Gaussian of variance proxy s² in every direction. Without a boundary it holds for reward accuracy, with one
    for policy accuracy. Raises ValueError if `beta`, `distinguishability` or `noise` is not positive and finite, or
    another argument is negative.
    """
    checks.positive(noise=noise)
    checks.finite(noise=noise)
    sine = off_course(time, beta, distinguishability, second_moment,
                      boundary_length=boundary_length, finite_sample_gap=finite_sample_gap)  # fmt: skip
    xp, sine, delta, noise = as_arrays(sine, distinguishability, noise)
    cosine_squared = 1 - xp.clip(sine, max=1.0) ** 2
    return -xp.expm1(-cosine_squared * (delta / noise) ** 2 / 8)


def waiting_time(
    level: Scalar,
    beta: Scalar,
    distinguishability: Scalar,
    noise: Scalar,
    second_moment: Scalar,
    *,
    boundary_length: Scalar = 0.0,
    finite_sample_gap: Scalar = 0.0,
) -> PerSetting:
    r"""Return the least time at which `accuracy_lower_bound` reaches a level; inf if it never does.

    The smaller root of $\chi(t) = \sqrt{1 - 8 s^2 \log(1/(1 - a)) / \Delta^2}$, a the level; without a starting
    boundary it is 0 or inf. Raises ValueError if `level` is not in [0, 1), or as `accuracy_lower_bound` does.
    """
    checks.not_negative(level=level, boundary_length=boundary_length, finite_sample_gap=finite_sample_gap)
    checks.below(1.0, level=level)
    checks.positive(distinguishability=distinguishability, noise=noise)
    xp, level, beta, delta, noise, moment, boundary, gap = run_setting(
        level, beta, distinguishability=distinguishability, noise=noise, second_moment=second_moment,
        boundary_length=boundary_length, finite_sample_gap=finite_sample_gap,
    )  # fmt: skip
    bend, miss, old = _parts(beta, delta, moment, boundary, gap)
    cosine_squared = -8 * (noise / delta) ** 2 * xp.log1p(-level)
    room = xp.sqrt(xp.clip(1 - cosine_squared, min=0.0)) - miss
    spare = room**2 - 4 * bend * old
    kept = (cosine_squared <= 1) & (room >= 0) & (spare >= 0) & ((room > 0) | (old == 0))
    twice = xp.where(kept & (room > 0), room + xp.sqrt(xp.where(spare > 0, spare, 0.0)), 1.0)
    return xp.where(kept, 2 * old / twice, math.inf)


def _parts(beta: Array, delta: Array, moment: Array, boundary: Array, gap: Array) -> tuple[Array, Array, Array]:
    """Return the terms of `off_course`: a rate that grows with time, a constant, a rate that falls with time."""
    miss = 2 * gap / delta
    return beta**2 * moment / 4 * (1 + miss), miss, 2 * boundary / (beta * delta)
