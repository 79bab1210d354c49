"""A lab as a notebook holds it: a small widget whose kernel side trains only when the browser asks for a frame.

The browser asks once it has painted the last frame; Python then advances the run for a moment and replies. So
nothing runs on its own: no thread, no task, nothing to cancel, and a moved slider simply starts another run.
"""

import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from alignbook import arrays
from alignbook.experiments.declare import Choice, Number, Parameter, Table, starts
from alignbook.labs.lab import Lab, declaration, plain, right_answer

DIGITS = 6
PULL_SECONDS = 0.025
MOST_VIEWS = 4  # a browser's tab that went away never said so: its run gives way to younger ones
HERE = Path(__file__).parent


class Run:
    """One run under way: its settings, its generator until it ends, and the newest table."""

    def __init__(self, settings: dict[str, Any], frames: Iterator[Table]) -> None:
        """Start from a generator that nobody else advances."""
        self.settings = settings
        self.frames: Iterator[Table] | None = frames
        self.table: Table = {}

    def advance(self, seconds: float) -> None:
        """Go on for about so long, at least by one frame; forget the generator at its end."""
        until = time.perf_counter() + seconds
        while self.frames is not None:
            table = next(self.frames, None)
            if table is None:
                self.frames = None
                return
            self.table = table
            if time.perf_counter() >= until:
                return


class LiveLab(anywidget.AnyWidget):
    """What `show` returns in a notebook. Its parameters are traits: link them, observe them, set them."""

    _esm = (HERE / "lab.js").read_text("utf-8")
    _css = (HERE / "lab.css").read_text("utf-8")
    declaration = traitlets.Dict().tag(sync=True)
    engines = traitlets.List().tag(sync=True)
    engine = traitlets.Unicode().tag(sync=True, echo_update=False)
    seed = traitlets.Int(0, min=0).tag(sync=True, echo_update=False)
    guess = traitlets.Any(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, lab: Lab) -> None:
        """Make a trait of each parameter. Nothing runs yet."""
        self._lab = lab
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()  # messages may arrive on two threads
        names = [parameter.name for parameter in lab.experiment.parameters]
        if taken := [name for name in names if hasattr(type(self), name)]:
            raise ValueError(f"`name` must not be one that every widget has, got {taken}.")
        self.add_traits(**{parameter.name: _trait(parameter) for parameter in lab.experiment.parameters})
        engines = [engine for engine in arrays.engines() if engine in lab.experiment.engines]
        super().__init__(declaration=declaration(lab), engines=engines, engine=engines[0])
        self.on_msg(self._receive)

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters' values, by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self._lab.experiment.parameters}

    def close(self) -> None:
        """Forget every run; the widget is gone from its pages."""
        self._runs.clear()
        super().close()

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Answer a request for the next frame; whatever goes wrong becomes part of the answer."""
        view = message["view"]
        with self._lock:
            if message["kind"] == "stop":
                self._runs.pop(view, None)
                return
            try:
                self.set_state(message["changed"])
                frame = self._frame(self._current(view, message["again"]))
            except Exception as error:
                self._runs.pop(view, None)
                frame = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        self.send({**frame, "view": view, "request": message["request"]})

    def _current(self, view: str, again: bool) -> Run:
        """Return the view's run if it has the present settings, a fresh one otherwise."""
        wanted = {**self.settings, "seed": self.seed, "engine": self.engine}
        run = self._runs.get(view)
        if run is None or again or run.settings != wanted:
            self._runs.pop(view, None)
            while len(self._runs) >= MOST_VIEWS:
                del self._runs[next(iter(self._runs))]
            frames = self._lab.experiment.run(self.settings, seed=self.seed, engine=self.engine)
            run = self._runs[view] = Run(wanted, frames)
        return run

    def _frame(self, run: Run, seconds: float = PULL_SECONDS) -> dict[str, Any]:
        run.advance(seconds)
        experiment, settings = self._lab.experiment, self.settings
        sentence = experiment.describe(run.table, settings)
        frame = {"table": plain(run.table, DIGITS), "sentence": sentence, "done": run.frames is None}
        prediction = experiment.prediction
        if prediction and frame["done"] and settings == starts(experiment):
            frame |= {"answer": right_answer(prediction, run.table, settings), "why": prediction.why}
        return frame

    def _words(self) -> str:
        """Return what stands for the lab where nothing can be shown: its question, and one frame in words."""
        question, prediction = self._lab.experiment.question, self._lab.experiment.prediction
        if prediction and self.guess is None:
            return question
        run = Run({}, self._lab.experiment.run(self.settings, seed=self.seed, engine=self.engine))
        return f"{question} {self._frame(run, 0.0)['sentence']}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**bundle, "text/plain": self._words()}, metadata


def _trait(parameter: Parameter) -> traitlets.TraitType[Any, Any]:
    tags = {"sync": True, "echo_update": False}  # an echo of an old value would pull the slider back
    if isinstance(parameter, Number):
        kind: Any = traitlets.Int if isinstance(parameter.start, int) else traitlets.Float
        return kind(parameter.start, min=parameter.low, max=parameter.high).tag(**tags)
    if isinstance(parameter, Choice):
        return traitlets.Enum(parameter.options, parameter.start).tag(**tags)
    size = len(parameter.entries)
    entries = traitlets.List(traitlets.Float(min=parameter.low, max=parameter.high), minlen=size, maxlen=size)
    named = traitlets.Enum(tuple(parameter.presets))
    return traitlets.Union([named, entries], default_value=parameter.start).tag(**tags)
