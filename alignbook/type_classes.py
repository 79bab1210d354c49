r"""Types: all that counts of a sequence of independent letters, once the order of the letters does not.

A sequence's type says how often it holds each letter. All sequences of one type are equally likely and have the same
additive reward, and there are only $\binom{n + A - 1}{A - 1}$ types of $A^n$ sequences: sums over sequences become
sums over types, exactly. Counts stand on the last axis, one row a type. Source: Cover and Thomas, *Elements of
Information Theory*, Chapter 11.
"""

import math
from typing import TypeAlias

import array_api_compat
import numpy as np
from jaxtyping import Float, Int

from alignbook import checks
from alignbook.arrays import Array, as_arrays, masked, namespace
from alignbook.information import LogLaw

Counts: TypeAlias = Int[Array, "*_batch letters"]

MOST_TYPES = 10_000_000  # that are listed: 240 MB of counts for three letters
TABLE = 24  # from here on four terms of Stirling's series leave 1e-16


def number_of_types(alphabet_size: int, length: int) -> int:
    r"""Return $\binom{n + A - 1}{A - 1}$; raises ValueError if `alphabet_size` is below 1 or `length` below 0.

    >>> number_of_types(4, 300)
    4590551
    """
    checks.at_least(1, alphabet_size=alphabet_size)
    checks.not_negative(length=length)
    return math.comb(length + alphabet_size - 1, alphabet_size - 1)


def types(alphabet_size: int, length: int) -> Int[np.ndarray, "types letters"]:
    """Return the counts of all types of a length, one row each, the last letter's from the highest to 0 fastest.

    Raises ValueError if `alphabet_size` is below 1, `length` below 0, or there are more than MOST_TYPES types.

    >>> types(2, 3).tolist()
    [[0, 3], [1, 2], [2, 1], [3, 0]]
    """
    number = number_of_types(alphabet_size, length)
    if number > MOST_TYPES:
        raise ValueError(
            f"`alphabet_size` {alphabet_size} and `length` {length} make {number} types, more than the {MOST_TYPES} "
            "that are listed."
        )
    columns, left = [], np.full(1, length, dtype=np.intp)
    for _ in range(alphabet_size - 1):
        branches = left + 1
        first = np.cumsum(branches) - branches
        columns = [np.repeat(column, branches) for column in columns]
        column = np.arange(first[-1] + branches[-1]) - np.repeat(first, branches)
        columns, left = [*columns, column], np.repeat(left, branches) - column
    return np.stack([*columns, left], axis=-1)


def log_class_size(counts: Counts) -> Float[Array, "*_batch"]:
    r"""Return $\log \frac{n!}{\prod_i c_i!}$, how many sequences have this type.

    As $n H(c/n)$ and what Stirling's formula leaves. Raises ValueError if a count is negative.

    >>> round(math.exp(log_class_size(np.array([2, 1, 1]))), 9)
    12.0
    """
    checks.not_negative(counts=counts)
    xp = namespace(counts)
    length = xp.sum(counts, axis=-1)
    excess = _excess(xp.arange(int(xp.max(length)) + 1, dtype=xp.float64, device=array_api_compat.device(counts)))
    total = _at(excess, length)
    for i in range(counts.shape[-1]):
        c = xp.astype(counts[..., i], xp.float64)
        total = (
            total - c * xp.log(xp.where(c > 0, c / xp.where(length > 0, length, 1), 1.0)) - _at(excess, counts[..., i])
        )
    return total


def log_class_probability(log_p: LogLaw, counts: Int[Array, "types letters"]) -> Float[Array, "*_batch types"]:
    r"""Return $\log \big[\frac{n!}{\prod_i c_i!} \prod_i p_i^{c_i}\big]$, the chance that n letters have this type.

    As $-n D(c/n \| p)$, a sum of positive terms that depend on one count each, and what Stirling's formula leaves:
    near the law itself no large numbers cancel. Raises ValueError if `log_p` is no law, a count is negative, the
    letters differ or so do the lengths.
    """
    checks.laws(log_p=log_p)
    checks.not_negative(counts=counts)
    checks.same_answers(log_p=log_p, counts=counts)
    xp, log_p = as_arrays(log_p)
    length = int(xp.sum(counts[0, :]))
    if bool(xp.any(xp.sum(counts, axis=-1) != length)):
        raise ValueError(f"`counts` must sum to one length, got {length} and others.")
    device = array_api_compat.device(log_p)
    whole = _excess(xp.asarray([length], dtype=log_p.dtype, device=device))
    if counts.shape[0] <= length:  # a table over all counts would be longer than the list
        drawn = xp.astype(counts.T, log_p.dtype)
        return whole - sum(_term(log_p[..., i, None], drawn[i, :], length) for i in range(counts.shape[-1]))
    tables = _term(log_p[..., None], xp.arange(length + 1, dtype=log_p.dtype, device=device), length)
    return whole - sum(_at(tables[..., i, :], counts[:, i]) for i in range(counts.shape[-1]))


def _term(log_p: Array, c: Array, length: int) -> Array:
    """Return what a letter's count takes off the log of its type's chance."""
    return _divergence_term(log_p, c, length) + _excess(c)


def _at(table: Array, c: Array) -> Array:
    """Return the entries of a table over counts, on its last axis."""
    xp = namespace(table)
    found = xp.take(table, xp.reshape(c, (-1,)), axis=-1)
    return xp.reshape(found, (*table.shape[:-1], *c.shape))


def _divergence_term(log_p: Array, c: Array, length: int) -> Array:
    r"""Return $np\,(x \log x - x + 1)$ with $x = c/(np)$, which sum to $n D(c/n \| p)$ over the letters."""
    xp = namespace(log_p)
    expected = length * xp.exp(log_p)
    drawn, possible = c > 0, expected > 0
    log_x = xp.log(xp.where(drawn, c, 1.0) / xp.where(possible, expected, 1.0))
    excess = (c - expected) / xp.where(possible, expected, 1.0)  # x - 1
    near = xp.abs(excess) < 0.1
    series = expected * _entropy_term(masked(excess, near))
    far = c * log_x - c + expected
    term = xp.where(near, series, xp.where(drawn, far, expected))
    return xp.where(drawn & ~possible, math.inf, term)


def _entropy_term(excess: Array) -> Array:
    r"""Return $(1 + e) \log(1 + e) - e$ for $|e| < 0.1$, where the difference would lose digits.

    With $v = e/(2 + e)$, $\log(1 + e) = 2 (v + v^3/3 + \dots)$: $e v + 2 (1 + e) (v^3/3 + v^5/5 + \dots)$ is left.
    """
    v = excess / (2 + excess)
    square, tail = v * v, 0.0 * v
    for k in range(13, 1, -2):
        tail = square * (tail + 1 / k)
    return excess * v + 2 * (1 + excess) * v * tail


def _excess(c: Array) -> Array:
    r"""Return $\log c! - c \log c + c$, by Stirling's series $\frac12 \log 2 \pi c + \frac1{12 c} - \dots$."""
    xp = namespace(c)
    table = xp.asarray(_table(), dtype=c.dtype, device=array_api_compat.device(c))
    small = c < TABLE
    exact = table[xp.astype(xp.where(small, c, 0.0), xp.int64)]
    large = xp.where(small, 1.0 * TABLE, c)
    inverse = 1 / large**2
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / large
    return xp.where(small, exact, xp.log(2 * math.pi * large) / 2 + series)


def _table() -> list[float]:
    """Return the excess of 0, 1, ... from integer factorials."""
    return [math.log(math.factorial(c) / c**c) + c if c else 0.0 for c in range(TABLE)]
