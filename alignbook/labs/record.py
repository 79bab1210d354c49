"""A lab as a page holds it: every run of its grid, made at build, with the sentences that describe them.

The record is a block of its own in the output; the book's extension moves it into a file beside the page,
which the front end loads once the reader has committed to a prediction.
"""

import html
import itertools
import json
from dataclasses import dataclass
from typing import Any

from alignbook.experiments.declare import Experiment, Number, Table, starts
from alignbook.experiments.pull import plain, right_answer
from alignbook.labs.lab import Lab, declaration, recorded_values

DIGITS = 4
MOST_RUNS, MOST_BYTES = 250, 300_000  # and 5 s of CPU, which `make bench` prints: a slow machine fails no build


@dataclass(frozen=True)
class RecordedLab:
    """What `show` returns where the book is built."""

    lab: Lab
    guess: Any = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": page(self.lab), "text/plain": self.lab.experiment.question}


def page(lab: Lab) -> str:
    """Return the lab as HTML: its question, its declaration, its record."""
    about, runs = (_script(content) for content in (declaration(lab), record(lab)))
    return (
        f'<section class="alignbook-lab" data-lab="{html.escape(lab.name)}">'
        f"<p>{html.escape(lab.experiment.question)}</p>"
        f'<script type="application/json">{about}</script>'
        f'<script type="application/json" class="alignbook-record">{runs}</script></section>'
    )


def record(lab: Lab) -> dict[str, Any]:
    """Return the last frame of every recorded setting, in the order of `grid`; equal columns are kept once.

    Raises ValueError if the record takes more runs or bytes than a page may.
    """
    experiment = lab.experiment
    columns: dict[str, int] = {}
    names: list[str] = []
    runs, sentences = [], []
    for settings in grid(experiment):
        table = last_frame(experiment, settings)
        names = names or list(table)
        if list(table) != names:
            raise ValueError(f"`run` must yield the columns {names} at every setting, got {list(table)}.")
        encoded = [_json(values) for values in plain(table, DIGITS).values()]
        runs.append([columns.setdefault(column, len(columns)) for column in encoded])
        sentences.append(experiment.describe(table, settings))
    content = {"names": names, "columns": [json.loads(column) for column in columns], "runs": runs}
    content |= {"sentences": sentences, "settings": [_places(experiment, settings) for settings in grid(experiment)]}
    content |= _answer(experiment)
    size = len(_json(content))
    if size > MOST_BYTES:
        raise ValueError(f"`grid` of {lab.name} must be recorded within {MOST_BYTES} bytes, got {size}.")
    return content


def grid(experiment: Experiment) -> list[dict[str, Any]]:
    """Return every recorded setting; what is not recorded, or is hidden by a choice, stands at its start.

    Raises ValueError if there are too many, or if the start is none of them.
    """
    first = starts(experiment)
    axes = [recorded_values(parameter) or [first[parameter.name]] for parameter in experiment.parameters]
    product = (dict(zip(first, values, strict=True)) for values in itertools.product(*axes))
    found = [settings for settings in product if not _varies_unseen(experiment, settings)]
    if len(found) > MOST_RUNS:
        raise ValueError(f"`parameters` must record at most {MOST_RUNS} runs, got {len(found)}.")
    if first not in found:
        raise ValueError(f"`start` must be one of the recorded values, got {first}.")
    return found


def last_frame(experiment: Experiment, settings: dict[str, Any], seed: int = 0, engine: str = "numpy") -> Table:
    """Return the table a run ends with."""
    table: Table = {}
    for table in experiment.run(settings, seed=seed, engine=engine):  # noqa: B007  # the last one counts
        pass
    return table


def _varies_unseen(experiment: Experiment, settings: dict[str, Any]) -> bool:
    """Tell whether a number that the setting's own choice hides is away from its start."""
    numbers = [parameter for parameter in experiment.parameters if isinstance(parameter, Number)]
    hidden = [number for number in numbers if number.when and settings[number.when[0]] != number.when[1]]
    return any(settings[number.name] != number.start for number in hidden)


def _places(experiment: Experiment, settings: dict[str, Any]) -> list[int]:
    """Return the place of each value among its parameter's recorded ones, for those that have any."""
    axes = {parameter.name: recorded_values(parameter) for parameter in experiment.parameters}
    return [values.index(settings[name]) for name, values in axes.items() if values]


def _answer(experiment: Experiment) -> dict[str, Any]:
    prediction, settings = experiment.prediction, starts(experiment)
    if prediction is None:
        return {}
    table = last_frame(experiment, settings)
    return {"answer": right_answer(prediction, table, settings), "why": prediction.why}


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _script(content: Any) -> str:
    return _json(content).replace("</", r"<\/")
