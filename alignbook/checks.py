"""Sentences for bad input: each names the argument in backticks, the rule it broke and the value it had.

The checks stand at the door of public functions and read their arguments once; training loops check before
their first step, not in it. Arguments come by keyword: the keyword is the name in the sentence.
"""

import math

from alignbook.arrays import Array, Scalar, as_arrays, logsumexp, namespace


def laws(**log_ps: Array) -> None:
    """Refuse a law that is empty, holds nan or does not sum to one.

    The logarithm of the sum may be off by the square root of the dtype's rounding unit.

    >>> laws(log_p=[0.0, 0.0])
    Traceback (most recent call last):
        ...
    ValueError: `log_p` must hold log-probabilities that sum to one on its last axis, got the sum 2.0.
    """
    for name, log_p in log_ps.items():
        xp, log_p = as_arrays(log_p)
        _refuse_empty(name, log_p)
        _refuse(name, "hold log-probabilities", log_p, xp.isnan(log_p))
        log_total = logsumexp(log_p)
        off = xp.abs(log_total) > math.sqrt(xp.finfo(log_p.dtype).eps)
        rule = "hold log-probabilities that sum to one on its last axis"
        _refuse(name, rule, xp.exp(log_total), off, "the sum ")


def same_answers(**arrays: Array) -> None:
    """Refuse arrays whose last axes differ in length: they must speak of the same answers."""
    shapes = {name: tuple(as_arrays(array)[1].shape) for name, array in arrays.items()}
    if len({shape[-1:] for shape in shapes.values()}) > 1:
        names = ", ".join(f"`{name}`" for name in shapes)
        found = " and ".join(str(shape) for shape in shapes.values())
        raise ValueError(f"{names} must have the same answers on the last axis, got shapes {found}.")


def rewards(**values: Array) -> None:
    """Refuse rewards that hold nan or +inf; -inf forbids an answer and may stand."""
    for name, value in values.items():
        xp, value = as_arrays(value)
        _refuse(name, "be finite or -inf", value, xp.isnan(value) | (value == math.inf))


def scores(**values: Array) -> None:
    """Refuse scores, as of a softmax, that are empty, hold nan or +inf, or forbid every answer with -inf."""
    for name, value in values.items():
        xp, value = as_arrays(value)
        _refuse_empty(name, value)
        rewards(**{name: value})
        top = xp.max(value, axis=-1)
        _refuse(name, "allow an answer", top, top == -math.inf)


def finite(**values: Scalar) -> None:
    """Refuse nan and infinities."""
    for name, value in values.items():
        xp, value = as_arrays(value)
        _refuse(name, "be finite", value, ~xp.isfinite(value))


def positive(**values: Scalar) -> None:
    """Refuse what is not above 0; inf may stand.

    >>> positive(beta=0.0)
    Traceback (most recent call last):
        ...
    ValueError: `beta` must be positive, got 0.0.
    """
    for name, value in values.items():
        _, value = as_arrays(value)
        _refuse(name, "be positive", value, ~(value > 0))


def not_negative(**values: Scalar) -> None:
    """Refuse what is below 0 or nan; inf may stand."""
    for name, value in values.items():
        _, value = as_arrays(value)
        _refuse(name, "be at least 0", value, ~(value >= 0))


def at_least(limit: float, **values: Scalar) -> None:
    """Refuse what is below a limit or nan."""
    for name, value in values.items():
        _, value = as_arrays(value)
        _refuse(name, f"be at least {limit}", value, ~(value >= limit))


def at_most(limit: float, **values: Scalar) -> None:
    """Refuse what is above a limit or nan."""
    for name, value in values.items():
        _, value = as_arrays(value)
        _refuse(name, f"be at most {limit}", value, ~(value <= limit))


def below(limit: float, **values: Scalar) -> None:
    """Refuse what is not below a limit, or nan."""
    for name, value in values.items():
        _, value = as_arrays(value)
        _refuse(name, f"be below {limit}", value, ~(value < limit))


def _refuse_empty(name: str, values: Array) -> None:
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"`{name}` must have an answer on its last axis, got shape {tuple(values.shape)}.")


def _refuse(name: str, rule: str, values: Array, bad: Array, what: str = "") -> None:
    xp = namespace(values)
    if bool(xp.any(bad)):
        first = values[bad][0] if values.ndim else values
        raise ValueError(f"`{name}` must {rule}, got {what}{float(first)}.")
