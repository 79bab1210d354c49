"""What a page's worker calls: a lab's message in, the reply out, both as JSON.

A page is told nothing but names and numbers, and can ask for nothing else: the experiment is looked up among those
that there are, and its settings, seed and engine are held against its declaration before anything runs.
"""

import importlib
import json
import pkgutil
from typing import Any

from alignbook import experiments
from alignbook.arrays import namespace
from alignbook.experiments.declare import Choice, Experiment, Number, checked, checked_value
from alignbook.experiments.pull import Runs, failure

SEED = Number("seed", "Seed", low=0, high=999_999, start=0)
namespace()  # loads numpy now: the first frame need not wait for it
_runs: dict[str, Runs] = {}


def answer(text: str) -> str | None:
    """Return the reply to a message of `Runs.answer` that also names its experiment, `lab`; None if there is none."""
    message = json.loads(text)
    try:
        reply = _reply(**message)
        return None if reply is None else json.dumps(reply, allow_nan=False)
    except Exception as error:
        return json.dumps({**failure(error), "view": message.get("view"), "request": message.get("request")})


def find(name: Any) -> Experiment:
    """Return the experiment of the module `name`; ValueError if there is none."""
    names = sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))
    module = importlib.import_module(f"{experiments.__name__}.{name}") if name in names else None
    if not hasattr(module, "EXPERIMENT"):
        raise ValueError(f"`lab` must be the name of an experiment, got {name!r}.")
    return module.EXPERIMENT  # type: ignore[union-attr]  # just looked


def _reply(*, kind: str, lab: str, settings: Any = None, seed: Any = 0, engine: Any = None, **rest: Any) -> Any:
    experiment = find(lab)
    message = {"kind": kind, **rest}
    if kind == "next":
        engines = Choice("engine", "Engine", experiment.engines, experiment.engines[0])
        message["settings"] = checked(experiment, settings)
        message["seed"] = checked_value(SEED, seed)
        message["engine"] = checked_value(engines, engine)
    return _runs.setdefault(lab, Runs(experiment)).answer(message)
