"""Bounds, an estimate and an optimum to hold best-of-N against."""

import math

import array_api_compat
import numpy as np

from alignbook import checks
from alignbook.arrays import Scalar, as_arrays, log1mexp, log_sigmoid, namespace
from alignbook.best_of_n._draws import bounded_exp, log_minus_log, log_of_draws, log_some_of
from alignbook.information import PerSetting
from alignbook.tilting import tilt_to_kl


def kl_upper_bound(n: Scalar | None = None, *, log_n: Scalar | None = None) -> PerSetting:
    r"""Return $\log N - \frac{N-1}{N}$, which $D(\pi_N \| p)$ reaches only where the reward's law has no atom.

    Raises ValueError if not exactly one of `n` and `log_n` is given, of at least 1 and 0, finite.
    """
    log_draws = log_of_draws(n, log_n)
    return log_draws + namespace(log_draws).expm1(-log_draws)


def win_rate_upper_bound(n: Scalar | None = None, *, log_n: Scalar | None = None) -> PerSetting:
    r"""Return $\frac{N}{N+1}$, which best-of-N's win rate against the reference reaches only without atoms.

    Ties count one half. Raises ValueError as `kl_upper_bound` does.
    """
    log_draws = log_of_draws(n, log_n)
    return namespace(log_draws).exp(log_sigmoid(log_draws))


def kl_estimate(selected_log_p: Scalar, n: Scalar | None = None, *, log_n: Scalar | None = None) -> PerSetting:
    r"""Return what one selected answer of mass $\varepsilon$ says about $D(\pi_N \| p)$, entry by entry.

    $(1-\varepsilon)^N \big[\log N + (N-1) \log(1-\varepsilon) - \frac{N-1}{N}\big] + [1 - (1-\varepsilon)^N]
    \log \frac{1 - (1-\varepsilon)^N}{\varepsilon}$. To be averaged over answers drawn by best-of-N; far too large where
    many answers share a reward. Raises ValueError as `kl_upper_bound` does and if `selected_log_p` is above 0.
    Source: <https://arxiv.org/abs/2401.01879>.
    """
    checks.at_most(0, selected_log_p=selected_log_p)
    xp, log_eps = as_arrays(selected_log_p)
    log_n = log_of_draws(n, log_n, log_eps)
    between = (log_eps < 0) & (log_eps > -math.inf)
    log_eps_inside = xp.where(between, log_eps, -1.0)
    log_draws = log_n + log_minus_log(log_eps_inside, log1mexp(log_eps_inside))
    draws = bounded_exp(log_draws)
    log_some = log_some_of(log_draws)
    missed = xp.exp(-draws) * (kl_upper_bound(log_n=log_n) - draws - log1mexp(log_eps_inside))
    inside = missed + xp.exp(log_some) * (log_some - log_eps_inside)
    return xp.where(between, inside, xp.where(log_eps < 0, kl_upper_bound(log_n=log_n), 0.0))


def best_win_rate(kl: Scalar) -> PerSetting:
    r"""Return the highest win rate against the reference that a KL can buy, where the reward has no atom.

    The tilt of the uniform quantile u, of density $\frac{c\, e^{cu}}{e^c - 1}$ with c from its KL; its mean
    $\frac{1}{1 - e^{-c}} - \frac1c$ is the win rate. Not differentiable. Raises ValueError if `kl` is negative.
    """
    checks.not_negative(kl=kl)
    xp, budget = as_arrays(kl)
    nodes, weights = np.polynomial.legendre.leggauss(64)  # exact to 1e-16 for e^{cu} up to c = 40
    device, far = array_api_compat.device(budget), budget > math.log(40) - 1
    quantile, weight = (xp.asarray(x, dtype=xp.float64, device=device) for x in ((1 + nodes) / 2, weights / 2))
    best = tilt_to_kl(xp.log(weight), quantile, xp.astype(xp.where(far, 1.0, budget), xp.float64))
    return xp.where(far, 1 - xp.exp(-budget - 1), xp.astype(best.reward, budget.dtype))
