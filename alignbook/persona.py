r"""Behaviors of a real language model: statements for and against, and what the model's last layer sees of each.

A statement stands in the public persona format, one JSON object a line; `read_statements` reads anyone's file. Six
behaviors of 100 statements were written for this book, half of them showing the behavior, and a seventh is a control:
plain statements whose labels are coin tosses. `hidden_states` holds, for each, the last hidden state of
SmolLM2-135M-Instruct where its answer would begin, made by `tools/hidden_states.py`. A state has 576 features, so 60
statements can be told apart whatever their labels: what was learned shows on the 40 held out. Sources:
<https://arxiv.org/abs/2212.09251>, <https://arxiv.org/abs/2502.02737>.
"""

import importlib.resources
import io
import json
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from alignbook.behaviors import Behaviors

NAMES = (
    "leaves room for doubt",
    "likes the outdoors",
    "plans ahead",
    "takes the blame",
    "enjoys company",
    "trusts strangers",
)
CONTROL = "a coin toss"
TRAIN = 60  # the first statements of each file, half of them showing the behavior; the other 40 are held out
COIN_SEED = 0  # of the control's labels: in either part the half with the lowest draws is "Yes"
ANSWERS = ("Yes", "No")


class Statement(NamedTuple):
    """One line of a persona file; `answer_matching_behavior` is " Yes" where the statement shows the behavior."""

    question: str
    statement: str
    label_confidence: float
    answer_matching_behavior: str
    answer_not_matching_behavior: str

    @property
    def label(self) -> int:
        """Return +1 if Yes is the answer that matches the behavior, -1 if No is."""
        return 1 if self.answer_matching_behavior.strip() == "Yes" else -1


class States(NamedTuple):
    """States of all behaviors, the control last, and $w_\\mathrm{Yes} - w_\\mathrm{No}$ before any training."""

    names: tuple[str, ...]
    train: Behaviors
    held_out: Behaviors
    boundary: Float[np.ndarray, "features"]


def read_statements(text: str) -> list[Statement]:
    """Return the statements of a persona file: one JSON object a line, other fields than ours left aside.

    Raises ValueError if a line is no such object, lacks a field, or holds a value that the format does not allow.
    """
    lines = enumerate(text.splitlines(), start=1)
    found = [_read_line(line, number) for number, line in lines if line.strip()]
    if not found:
        raise ValueError("`text` must hold a statement, got none.")
    return found


def behavior_names() -> tuple[str, ...]:
    """Return the names of the book's behaviors, the control last."""
    return (*NAMES, CONTROL)


def statements(name: str) -> list[Statement]:
    """Return the statements of one of the book's behaviors. Raises ValueError if it is none.

    >>> statements("likes the outdoors")[0].statement
    'Rain on my tent is the best sound I know.'
    """
    if name not in behavior_names():
        raise ValueError(f"`name` must be one of {', '.join(behavior_names())}, got {name!r}.")
    return read_statements(_data(f"{name.replace(' ', '_')}.jsonl").decode("utf-8"))


def hidden_states() -> States:
    """Return the states of all statements with their labels, for training and held out, in float64.

    They are stored in 255 steps of each feature's range: off by at most half a step.
    """
    with np.load(io.BytesIO(_data("states.npz"))) as stored:
        steps, low, step, rows = (stored[name] for name in ("steps", "low", "step", "rows"))
    states = low.astype(float) + step.astype(float) * steps
    labels = np.array([[one.label for one in statements(name)] for name in behavior_names()], dtype=float)
    train, held_out = (Behaviors(states[:, part], labels[:, part]) for part in (slice(TRAIN), slice(TRAIN, None)))
    return States(behavior_names(), train, held_out, rows[0].astype(float) - rows[1].astype(float))


def _data(file: str) -> bytes:
    return (importlib.resources.files("alignbook") / "data" / "persona" / file).read_bytes()


def _read_line(line: str, number: int) -> Statement:
    """Return the statement on a line, its fields held against the format."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as fault:
        raise ValueError(f"Line {number} must be a JSON object, got {line[:40]!r}.") from fault
    if not isinstance(row, dict):
        raise ValueError(f"Line {number} must be a JSON object, got {line[:40]!r}.")
    if missing := [field for field in Statement._fields if field not in row]:
        raise ValueError(f"Line {number} must have the field `{missing[0]}`, got {', '.join(row) or 'none'}.")
    for field in ("question", "statement"):
        _refuse_unless(isinstance(row[field], str) and row[field].strip(), number, field, "be a text", row[field])
    trust = row["label_confidence"]
    is_number = isinstance(trust, int | float) and not isinstance(trust, bool)
    _refuse_unless(is_number and 0 <= trust <= 1, number, "label_confidence", "be a number from 0 to 1", trust)
    ours, other = (row[field] for field in Statement._fields[3:])
    for field, answer in zip(Statement._fields[3:], (ours, other), strict=True):
        known = isinstance(answer, str) and answer.strip() in ANSWERS
        _refuse_unless(known, number, field, "be Yes or No", answer)
    _refuse_unless(ours.strip() != other.strip(), number, Statement._fields[4], f"differ from {ours!r}", other)
    return Statement(**{field: row[field] for field in Statement._fields})


def _refuse_unless(held: Any, number: int, field: str, rule: str, value: Any) -> None:
    if not held:
        raise ValueError(f"Line {number}: `{field}` must {rule}, got {value!r}.")
