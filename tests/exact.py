"""The second opinion: the book's quantities by their definitions, at 80 digits, on the very floats they are asked for.

Log-probabilities become masses that sum to one exactly. Nothing here calls the package.
"""

import math

import numpy as np
from mpmath import mp, mpf

DIGITS = 80  # a budget of 1e-12 cancels 12 digits of a KL, a law within 1e-15 of another 30


def masses(log_p):
    """The law as exact numbers."""
    with mp.workdps(DIGITS):
        weights = [mp.exp(mpf(float(x))) for x in log_p]
        total = mp.fsum(weights)
        return [w / total for w in weights]


def expectation(p, values):
    with mp.workdps(DIGITS):
        return mp.fsum(a * mpf(float(v)) for a, v in zip(p, values, strict=True) if a > 0)


def variance(p, values):
    with mp.workdps(DIGITS):
        mean = expectation(p, values)
        return mp.fsum(a * (mpf(float(v)) - mean) ** 2 for a, v in zip(p, values, strict=True) if a > 0)


def cross_entropy(p, q):
    with mp.workdps(DIGITS):
        return mp.fsum(-a * mp.log(b) for a, b in zip(p, q, strict=True) if a > 0)


def kl(p, q):
    with mp.workdps(DIGITS):
        return mp.fsum(mp.inf if b == 0 else a * mp.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def renyi_divergence(p, q, order):
    """Every order from 0 to inf, by the definition of each."""
    with mp.workdps(DIGITS):
        support = [(a, b) for a, b in zip(p, q, strict=True) if a > 0]
        if order == 1:
            return kl(p, q)
        if order == math.inf:
            return max(mp.inf if b == 0 else mp.log(a / b) for a, b in support)
        order = mpf(float(order))
        if order > 1 and any(b == 0 for _, b in support):
            return mp.inf
        moment = mp.fsum(a**order * b ** (1 - order) for a, b in support if b > 0)
        return mp.log(moment) / (order - 1) if moment > 0 else mp.inf


def renyi_cross_entropy(p, q, order):
    """Any real order; the mass of p where q has none counts as inf below order 1, as nothing above it."""
    with mp.workdps(DIGITS):
        if order == 1:
            return cross_entropy(p, q)
        order = mpf(float(order))
        support = [(a, b) for a, b in zip(p, q, strict=True) if a > 0]
        if order < 1 and any(b == 0 for _, b in support):
            return mp.inf
        moment = mp.fsum(a * b ** (order - 1) for a, b in support if b > 0)
        return mp.log(moment) / (1 - order) if moment > 0 else mp.inf


def win_rate(p, q, reward):
    """Every pair of answers, ties at one half."""
    with mp.workdps(DIGITS):
        share = {True: mpf(1), False: mpf(0)}
        return mp.fsum(
            a * b * (mpf(1) / 2 if r == s else share[bool(r > s)])
            for a, r in zip(p, reward, strict=True)
            for b, s in zip(q, reward, strict=True)
        )


def log_mean_exp(p, x):
    with mp.workdps(DIGITS):
        pairs = [(a, mpf(v)) for a, v in zip(p, x, strict=True) if a > 0]
        excess = mp.fsum(a * mp.expm1(v) for a, v in pairs)  # keeps exponents far below 1e-80
        return mp.log1p(excess) if abs(excess) < 0.5 else mp.log(mp.fsum(a * mp.exp(v) for a, v in pairs))


def tilt(p, reward, beta):
    """The masses p e^(r/beta) / Z; beta is a number above 0, or inf."""
    with mp.workdps(DIGITS):
        a = 0 if beta == math.inf else 1 / mpf(beta)
        top = max(mpf(float(r)) for mass, r in zip(p, reward, strict=True) if mass > 0)
        weights = [w * mp.exp(a * (mpf(float(r)) - top)) if w > 0 else w for w, r in zip(p, reward, strict=True)]
        total = mp.fsum(weights)
        return [w / total for w in weights]


def close(actual, expected, relative=0.0, absolute=0.0):
    """Whether a float is the exact number up to a tolerance; inf and nan are themselves alone."""
    actual = float(actual)
    if not mp.isfinite(expected) or not math.isfinite(actual):
        return actual == float(expected)
    with mp.workdps(DIGITS):
        return abs(mpf(actual) - expected) <= mpf(relative) * abs(expected) + mpf(absolute)


def assert_close(actual, expected, relative=0.0, absolute=0.0):
    """Compare arrays of floats with exact numbers entry by entry."""
    for value, exact in zip(np.ravel(actual), np.ravel(np.asarray(expected, dtype=object)), strict=True):
        assert close(value, exact, relative, absolute), f"{float(value)!r}, exactly {mp.nstr(exact, 17)}"
