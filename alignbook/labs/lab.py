"""What a lab is: an experiment, its picture, settings worth a try; and how it is told to the front end.

The picture is one Altair chart of one dataset, whose rows are the experiment's table with a column `ghost`
added: "" for now, "last" for the setting before, "guess" for the reader's guess, whose rows hold `guess` and,
where three points were asked for, their place `at`. Axes must not move with a slider: every scale has a domain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from alignbook.experiments.declare import Choice, Experiment, File, Number, Parameter, Prediction, Vector

NOW, LAST, GUESS = (f"datum.ghost === {name!r}" for name in ("", "last", "guess"))
"""Filters that keep the rows of the present setting, of the one before, of the reader's guess."""


@dataclass(frozen=True)
class Lab:
    """An experiment with its picture and up to three settings to try, each with a label."""

    experiment: Experiment
    chart: Callable[[alt.NamedData], Any]
    tries: Sequence[tuple[str, Mapping[str, Any]]] = ()

    def __post_init__(self) -> None:
        """Refuse settings to try that the front end could not set."""
        names = {parameter.name for parameter in self.experiment.parameters}
        unknown = [name for _, settings in self.tries for name in settings if name not in names]
        if len(self.tries) > 3 or unknown:
            raise ValueError(f"`tries` must be up to three settings of {sorted(names)}, got {self.tries}.")

    @property
    def name(self) -> str:
        """The name of the experiment's module, which is the lab's name in pages and addresses."""
        return self.experiment.run.__module__.rpartition(".")[2]


def ghosted() -> alt.Opacity:
    """Return the encoding that lets the last setting fade behind the present one."""
    ghosts = ["", "last", "guess"]
    return alt.Opacity("ghost:N", sort=ghosts, scale=alt.Scale(domain=ghosts, range=[1, 0.3, 1]), legend=None)


def declaration(lab: Lab) -> dict[str, Any]:
    """Return what the front end needs to know of a lab; nothing of any outcome."""
    return {
        "name": lab.name,
        "question": lab.experiment.question,
        "inPage": "numpy" in lab.experiment.engines,
        "seeded": lab.experiment.seeded,
        "parameters": [_parameter(parameter) for parameter in lab.experiment.parameters],
        "prediction": _question(lab.experiment.prediction),
        "tries": [{"label": label, "settings": dict(settings)} for label, settings in lab.tries],
        "spec": lab.chart(alt.NamedData("table")).to_dict(),
    }


def recorded_values(parameter: Parameter) -> list[Any]:
    """Return the values of a parameter that are recorded; none where it is live only."""
    if isinstance(parameter, Number):
        return list(parameter.grid)
    if not parameter.recorded:
        return []
    return list(parameter.options if isinstance(parameter, Choice) else parameter.presets)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    common = {
        "name": parameter.name,
        "label": parameter.label,
        "start": parameter.start,
        "grid": recorded_values(parameter),
    }
    if isinstance(parameter, Choice):
        return {"kind": "choice", "options": parameter.options, **common}
    if isinstance(parameter, File):  # the samples' names; their texts stay where the lab runs
        return {"kind": "file", "options": list(parameter.presets), **common}
    limits = {"low": parameter.low, "high": parameter.high}
    if isinstance(parameter, Vector):
        presets = {"options": list(parameter.presets), "presets": dict(parameter.presets)}
        return {"kind": "vector", "entries": parameter.entries, **limits, **presets, **common}
    whole = isinstance(parameter.start, int)
    shape = {"unit": parameter.unit, "log": parameter.log, "whole": whole, "when": parameter.when}
    return {"kind": "number", **limits, **shape, **common}


def _question(prediction: Prediction | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    names = ("question", "kind", "options", "low", "high", "unit", "at")
    return {name: getattr(prediction, name) for name in names}
