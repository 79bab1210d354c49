"""A preference run's training log, as trainers write it: the rows, the names, and what may be wrong with them.

Read are `trainer_state.json` of Hugging Face's trainers and CSV tables of the same columns. TRL's DPOTrainer logs
`loss`, `learning_rate`, `rewards/chosen`, `rewards/rejected` and `rewards/accuracies`, with `eval_` before them on
held-out pairs; trackers write train/ and eval/ instead, and W&B puts the run's name and " - " before all that.
A logged row is a mean over the steps since the row before. Rewards have beta in them.
Source: <https://huggingface.co/docs/trl/dpo_trainer#logged-metrics>.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Rows: TypeAlias = list[dict[Any, Any]]
Columns: TypeAlias = dict[str, np.ndarray]

STEPS = ("train/global_step", "global_step", "step", "_step")
NEEDED = ("loss", "rewards/chosen", "rewards/rejected")
WELCOME = ("rewards/accuracies", "learning_rate")
LARGEST = 1e6  # of any number but a step: beyond it a log holds noise, and exponentials overflow
FEWEST = 3


class Log(NamedTuple):
    """The rows of a run: of its training pairs, of its held-out pairs (perhaps none), and how many were repeated.

    Columns are `step`, `loss`, `chosen`, `rejected`, `margin`, `accuracy`, `learning_rate`; what a row does not say
    is nan, which cannot happen to the first five of the training rows. Steps rise.
    """

    training: Columns
    held_out: Columns
    repeated: int


def read_log(training_log: str) -> Log:
    """Return the rows of a log, told apart; where a resumed run goes back to an earlier step, the later rows count.

    Raises ValueError with a sentence for a reader if the text is no log of a preference run.
    """
    rows = _parsed(training_log.lstrip("\ufeff \t\r\n"))
    names = dict.fromkeys(name for row in rows for name in row)
    step = _first(STEPS, names)
    training = {name: _first(_spellings(name, "train"), names) for name in NEEDED + WELCOME}
    held_out = {name: _first(_spellings(name, "eval"), names) for name in NEEDED + WELCOME}
    _refuse_other_logs(step, training, names)
    kept, repeated = _in_order(_numbers(rows, step, training, NEEDED))
    if len(kept) < FEWEST:
        gone = f" and {repeated} that later rows repeat" if repeated else ""
        raise ValueError(f"The log must have at least {FEWEST} rows of training, got {len(kept)}{gone}.")
    tested, _ = _in_order(_numbers(rows, step, held_out, NEEDED[:1]))
    return Log(_columns(kept), _columns(tested), repeated)


def _parsed(text: str) -> Rows:
    if not text:
        raise ValueError("`training_log` must hold a log, got an empty text.")
    return _rows_of_json(text) if text[0] in "{[" else _rows_of_csv(text)


def _rows_of_json(text: str) -> Rows:
    try:
        state = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`training_log` must be JSON or CSV; its JSON fails in line {error.lineno}: {error.msg}."
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; a thousand brackets
        raise ValueError(
            "`training_log` must be JSON as trainers write it, got numbers or brackets without end."
        ) from None
    if isinstance(state, dict) and "log_history" not in state:
        raise ValueError(f"`log_history` must be in the JSON, as in trainer_state.json, got only {_listed(state)}.")
    history = state["log_history"] if isinstance(state, dict) else state
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise ValueError("`log_history` must be a list of rows, each with its names, got something else.")
    return [{_plain_name(name): cell for name, cell in row.items()} for row in history]


def _rows_of_csv(text: str) -> Rows:
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        header, *lines = (line for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if line)
    except csv.Error as error:
        raise ValueError(f"`training_log` must be JSON or CSV; as CSV it fails: {error}.") from None
    names = [_plain_name(name) for name in header]
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        raise ValueError(f"The log must be of one run, got several columns {_listed(twice)}.")
    for number, line in enumerate(lines, start=1):
        if len(line) > len(names):
            raise ValueError(f"Row {number} must have a cell for each of {len(names)} names, got {len(line)} cells.")
    return [dict(zip(names, line, strict=False)) for line in lines]


def _plain_name(name: str) -> str:
    """Return a column's name in small letters, without the run's name that a tracker writes before it."""
    return name.rpartition(" - ")[2].strip().lower()


def _spellings(name: str, part: str) -> tuple[str, ...]:
    """Return how a quantity may be called; a bare name comes before `train_loss`, which is also a whole run's mean."""
    flat = name.replace("/", "_")
    bare = (name, f"train/{name}", flat) if part == "train" else (f"{part}_{name}", f"{part}/{name}")
    return (*bare, f"{part}_{flat}")


def _first(spellings: Iterable[str], names: Mapping[str, None]) -> str | None:
    return next((name for name in spellings if name in names), None)


def _refuse_other_logs(step: str | None, training: Mapping[str, str | None], names: Mapping[str, None]) -> None:
    """Say which column is missing, and what kind of log lacks it."""
    found = f"got {_listed(names)}"
    if {"wall time", "value"} <= names.keys():
        raise ValueError("The log must hold all curves in one table; TensorBoard's own CSV holds a single one.")
    if step is None:
        raise ValueError(f"`step` must be a column of the log, {found}.")
    missing = [name for name in NEEDED if training[name] is None]
    if "loss" in missing:
        raise ValueError(f"`loss` must be a column of the log, {found}.")
    if missing:
        raise ValueError(
            f"`{missing[0]}` must be a column of the log, {found}. A run without pairs, such as supervised "
            "fine-tuning, has no such rewards."
        )


def _numbers(rows: Rows, step: str | None, spelled: Mapping[str, str | None], needed: tuple[str, ...]) -> Rows:
    """Return the rows that say all that is needed, in numbers, each with its step."""
    found = []
    for place, row in enumerate(rows, start=1):
        at = _number("step", row.get(step), f"in row {place}", 1e12)
        if at is None or any(row.get(spelled[name]) in (None, "") for name in needed):
            continue
        if at < 0 or at != int(at):
            raise ValueError(f"`step` must be a whole number, got {at:g} in row {place}.")
        cells = {name: _number(key, row.get(key), f"at step {at:.0f}") for name, key in spelled.items()}
        found.append({"step": at, **cells})
    return found


def _number(name: str | None, cell: Any, where: str, largest: float = LARGEST) -> float | None:
    if cell is None or cell == "":
        return None
    if not isinstance(cell, int | float | str) or isinstance(cell, bool):
        raise ValueError(f"`{name}` must be a number, got a {type(cell).__name__} {where}.")
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    except ValueError:
        raise ValueError(f"`{name}` must be a number, got {str(cell)[:40]!r} {where}.") from None
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number, got {value} {where}: cut the log before the run diverged.")
    if abs(value) > largest:
        raise ValueError(f"`{name}` must be at most {largest:g} in size, got {value:g} {where}.")
    return value


def _in_order(rows: Rows) -> tuple[Rows, int]:
    """Return the rows with rising steps, and how many gave way to later rows that go back before them."""
    kept: Rows = []
    for row in rows:
        while kept and kept[-1]["step"] >= row["step"]:
            kept.pop()
        kept.append(row)
    return kept, len(rows) - len(kept)


def _columns(rows: Rows) -> Columns:
    chosen, rejected = _column(rows, "rewards/chosen"), _column(rows, "rewards/rejected")
    return {
        "step": _column(rows, "step"),
        "loss": _column(rows, "loss"),
        "chosen": chosen,
        "rejected": rejected,
        "margin": chosen - rejected,
        "accuracy": _accuracy(rows, chosen - rejected),
        "learning_rate": _column(rows, "learning_rate"),
    }


def _accuracy(rows: Rows, margin: np.ndarray) -> np.ndarray:
    """Return the reward accuracy, but nan where policy and reference still are one: TRL counts ties as losses."""
    return np.where(margin == 0, math.nan, _column(rows, "rewards/accuracies"))


def _column(rows: Rows, name: str) -> np.ndarray:
    return np.array([math.nan if row[name] is None else row[name] for row in rows], dtype=float)


def _listed(names: Iterable[Any], most: int = 8) -> str:
    listed = [str(name)[:40] for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more if listed else "no columns"
