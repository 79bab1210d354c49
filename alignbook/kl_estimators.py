r"""k1, k2, k3: what one sampled answer says about $D(\pi \| \pi_\mathrm{ref})$, as a value and as a part of a loss.

Each is a function of the log-ratio $\ell = \log(\pi(y)/\pi_\mathrm{ref}(y))$ of an answer y drawn from the policy, in
nats. In the letters of the source $r = \pi_\mathrm{ref}/\pi$, so $\ell = -\log r$. k1 and k3 are $D$ on average, k2 is
not; k2 and k3 are never negative.

An estimator may also stand in the loss, to be differentiated at the given answer. Then the answer's score
$\nabla_\theta \log \pi(y)$ gets the estimator's slope as its factor, and what counts is the mean of that product,
not the mean of the value. It is 0 for k1 and $\nabla D(\pi \| \pi_\mathrm{ref})$ for k2; for k3 it is the gradient of
the other divergence, $D(\pi_\mathrm{ref} \| \pi)$.

Sources: <http://joschu.net/blog/kl-approx.html>, <https://arxiv.org/abs/2510.01555>.
"""

from typing import TypeAlias

from jaxtyping import Float

from alignbook.arrays import Array, as_arrays

PerSample: TypeAlias = Float[Array, "*samples"]


def k1(log_ratio: PerSample) -> PerSample:
    r"""Return $k_1 = -\log r = \ell$: unbiased, of either sign."""
    return as_arrays(log_ratio)[1]


def k2(log_ratio: PerSample) -> PerSample:
    r"""Return $k_2 = \frac12 (\log r)^2 = \frac12 \ell^2$: biased, never negative."""
    return as_arrays(log_ratio)[1] ** 2 / 2


def k3(log_ratio: PerSample) -> PerSample:
    r"""Return $k_3 = r - 1 - \log r = e^{-\ell} - 1 + \ell$: unbiased, never negative.

    It is k1 plus $r - 1$, whose mean is 0 if the policy can give all that the reference can give.
    """
    xp, log_ratio = as_arrays(log_ratio)
    return xp.expm1(-log_ratio) + log_ratio


def k1_slope(log_ratio: PerSample) -> PerSample:
    r"""Return $dk_1/d\ell = 1$, the factor of the score with k1 in the loss; its mean gradient is 0."""
    xp, log_ratio = as_arrays(log_ratio)
    return xp.ones_like(log_ratio)


def k2_slope(log_ratio: PerSample) -> PerSample:
    r"""Return $dk_2/d\ell = \ell$, which is k1 itself: k2 in the loss does what k1 in the reward does."""
    return as_arrays(log_ratio)[1]


def k3_slope(log_ratio: PerSample) -> PerSample:
    r"""Return $dk_3/d\ell = 1 - e^{-\ell}$, which never exceeds 1 however far the policy is above the reference."""
    xp, log_ratio = as_arrays(log_ratio)
    return -xp.expm1(-log_ratio)
