"""The words in which an experiment is declared: parameters, prediction, experiment.

A *table* is a dict of columns of equal length, plain numbers and strings; a *frame* is the whole table so far,
and replaces the one before. Training time is the column `step`. Values of parameters travel as plain numbers,
strings and lists, so that a page, a kernel and a worker can pass them on as they are; what comes from outside
passes `checked` first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Table: TypeAlias = dict[str, list[Any]]
Settings: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """A number between `low` and `high`: a slider and a number box.

    `grid` lists the values that are recorded at build; without one the parameter is live only and stands at
    `start` in a page. A `log` number moves by equal ratios. `when` = (name, value) of a choice: the number is shown,
    and varied in the record, only while the choice stands there.
    """

    name: str
    label: str
    low: float
    high: float
    start: float
    unit: str = ""
    log: bool = False
    grid: tuple[float, ...] = ()
    when: tuple[str, str] | None = None


@dataclass(frozen=True)
class Choice:
    """One of a few named presets; all of them are recorded if `recorded`."""

    name: str
    label: str
    options: tuple[str, ...]
    start: str
    recorded: bool = True


@dataclass(frozen=True)
class Vector:
    """A number for each of a few named entries; `presets` are its named values.

    A page offers the presets as a choice, and all of them are recorded if `recorded`; a live lab adds a slider
    and a number box for each entry. In settings it is the name of a preset or a list of numbers: see `entries_of`.
    """

    name: str
    label: str
    entries: tuple[str, ...]
    low: float
    high: float
    presets: Mapping[str, tuple[float, ...]]
    start: str
    recorded: bool = True


@dataclass(frozen=True)
class File:
    """A text file of the reader's own, read where the lab runs and sent nowhere; `presets` are named samples.

    A page offers the samples as a choice, and all of them are recorded if `recorded`; a live lab adds a file input.
    In settings it is the name of a sample or the text itself, which a line break or a brace tells apart: see `text_of`.
    """

    name: str
    label: str
    presets: Mapping[str, str]
    start: str
    recorded: bool = True


LONGEST_TEXT = 5_000_000  # characters of a file

Parameter: TypeAlias = Number | Choice | Vector | File


@dataclass(frozen=True)
class Prediction:
    """A question asked before anything of the outcome is seen.

    `kind` is "choice" (an index into `options`), "number" (in `unit`, between `low` and `high`) or "points"
    (three numbers, at the places `at`). `answer` computes the right one from the final table at the start
    settings; `why` says why the common guesses go wrong.
    """

    question: str
    kind: str
    answer: Callable[[Table, Settings], Any]
    why: str
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A question, its parameters, and `run(settings, seed=..., engine=...)` yielding ever longer tables.

    `describe(table, settings)` is one sentence with numbers: the chart's alternative text. Where nothing is random,
    `seeded` is False, and a lab shows no seed.
    """

    question: str
    parameters: Sequence[Parameter]
    run: Callable[..., Iterator[Table]]
    describe: Callable[[Table, Settings], str]
    prediction: Prediction | None = None
    engines: tuple[str, ...] = ("numpy", "torch-cpu", "torch-cuda")
    seeded: bool = True


def add_row(table: Table, row: Sequence[Any]) -> None:
    """Append a row, its values in the order of the columns."""
    for column, value in zip(table.values(), row, strict=True):
        column.append(value)


def so_far(table: Table) -> Table:
    """Return the table so far, which later rows leave alone."""
    return {name: list(column) for name, column in table.items()}


def starts(experiment: Experiment) -> dict[str, Any]:
    """Return the settings at which an experiment stands when it is opened."""
    return {parameter.name: parameter.start for parameter in experiment.parameters}


def entries_of(vector: Vector, value: str | Sequence[float]) -> list[float]:
    """Return the numbers that a vector's setting stands for: a preset's, or the list itself."""
    return list(vector.presets[value]) if isinstance(value, str) else list(value)


def text_of(file: File, value: str) -> str:
    """Return the text that a file's setting stands for: a sample's, or the text itself.

    Raises ValueError if it is neither, or too long.
    """
    if value in file.presets:
        return file.presets[value]
    if not any(mark in value for mark in "\r\n{"):
        samples = ", ".join(file.presets)
        raise ValueError(f"`{file.name}` must be a text of several lines or one of {samples}, got {value[:40]!r}.")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"`{file.name}` must have at most {LONGEST_TEXT} characters, got {len(value)}.")
    return value


def checked(experiment: Experiment, settings: Any) -> dict[str, Any]:
    """Return settings that came from outside, held against the declaration: numbers, names and texts of files.

    Raises ValueError if a parameter is missing, unknown or has a value that its declaration does not allow.
    """
    names = [parameter.name for parameter in experiment.parameters]
    if not isinstance(settings, dict) or set(settings) != set(names):
        given = sorted(map(str, settings)) if isinstance(settings, dict) else settings
        raise ValueError(f"`settings` must name {', '.join(names)}, got {given}.")
    return {parameter.name: checked_value(parameter, settings[parameter.name]) for parameter in experiment.parameters}


def checked_value(parameter: Parameter, value: Any) -> Any:
    """Return one parameter's value as `run` expects it: whole numbers as int, entries of a vector as floats.

    Raises ValueError if the declaration does not allow it.
    """
    if isinstance(parameter, Number):
        whole = isinstance(parameter.start, int)
        number = _checked_number(parameter, value, "a whole number" if whole else "a number")
        if whole and number != int(number):
            raise ValueError(f"`{parameter.name}` must be a whole number, got {value}.")
        return int(number) if whole else number
    if isinstance(parameter, File):
        if not isinstance(value, str):
            raise ValueError(f"`{parameter.name}` must be a text, got {value!r}.")
        text_of(parameter, value)
        return value
    options = parameter.options if isinstance(parameter, Choice) else tuple(parameter.presets)
    if isinstance(value, str) and value in options:
        return value
    if isinstance(parameter, Choice) or not isinstance(value, list) or len(value) != len(parameter.entries):
        rule = f"one of {', '.join(options)}"
        rule += "" if isinstance(parameter, Choice) else f" or a list of {len(parameter.entries)} numbers"
        raise ValueError(f"`{parameter.name}` must be {rule}, got {value!r}.")
    return [_checked_number(parameter, entry, "a number") for entry in value]


def _checked_number(parameter: Number | Vector, value: Any, what: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not parameter.low <= value <= parameter.high:
        low, high = parameter.low, parameter.high
        raise ValueError(f"`{parameter.name}` must be {what} between {low:g} and {high:g}, got {value!r}.")
    return float(value)
