"""What a checker returns: right or not yet, and one sentence that says why.

A checker never raises on a wrong answer: a reader's notebook goes on, and the sentence is the teaching.
"""

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """A checker's answer; shown in a notebook it reads as one sentence.

    >>> wrong("That is in bits: multiply by log 2.")
    Not yet. That is in bits: multiply by log 2.
    """

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"{'Right.' if self.ok else 'Not yet.'} {self.message}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"  # a paragraph breaks its lines, printed text does not


def right(message: str) -> Verdict:
    """Return the verdict of a right answer, with what it shows."""
    return Verdict(True, message)


def wrong(message: str) -> Verdict:
    """Return the verdict of an answer that is not right yet, with what to look at."""
    return Verdict(False, message)


def known_mistake(value: float, mistakes: Mapping[float, str], rel_tol: float = 1e-3, abs_tol: float = 0.0) -> str:
    """Return the words on the first mistake that gives this number; none if no mistake does.

    >>> known_mistake(2.0, {2.0: "That is in bits.", 3.0: "That is in trits."})
    'That is in bits.'
    """
    near = (
        words for mistake, words in mistakes.items() if math.isclose(value, mistake, rel_tol=rel_tol, abs_tol=abs_tol)
    )
    return next(near, "")


def forgiving(checker: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Let a checker answer with a sentence where the reader's value or function raises."""

    @wraps(checker)
    def checked(*answers: Any) -> Verdict:
        try:
            with np.errstate(all="ignore"):
                return checker(*answers)
        except Exception as error:  # a reader's own function may raise anything
            return wrong(f"It could not be evaluated: {type(error).__name__}: {error}.")

    return checked
