"""A lab as a notebook holds it: a small widget whose traits are the lab's parameters, so that a teacher can link them.

Frames are pulled: see `alignbook.experiments.pull`.
"""

import threading
from typing import Any

import anywidget
import traitlets

from alignbook import arrays
from alignbook.experiments.declare import Choice, File, Number, Parameter
from alignbook.experiments.pull import Runs, failure, frame_of
from alignbook.labs.front_end import STYLE, notebook_module
from alignbook.labs.lab import Lab, declaration


class LiveLab(anywidget.AnyWidget):
    """What `show` returns in a notebook. Its parameters are traits: link them, observe them, set them."""

    _esm = notebook_module()
    _css = STYLE.read_text("utf-8")
    declaration = traitlets.Dict().tag(sync=True)
    engines = traitlets.List().tag(sync=True)
    engine = traitlets.Unicode().tag(sync=True, echo_update=False)
    seed = traitlets.Int(0, min=0).tag(sync=True, echo_update=False)
    guess = traitlets.Any(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, lab: Lab) -> None:
        """Make a trait of each parameter. Nothing runs yet."""
        self._lab = lab
        self._runs = Runs(lab.experiment)
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
        """Take over what the browser has changed, then answer with the traits' values."""
        with self._lock:
            try:
                self.set_state(message.get("changed", {}))
                wish = {"settings": self.settings, "seed": self.seed, "engine": self.engine}
                reply = self._runs.answer({**message, **wish})
            except Exception as error:  # a value that a trait refuses
                reply = {**failure(error), "view": message["view"], "request": message.get("request")}
        if reply is not None:
            self.send(reply)

    def _words(self) -> str:
        """Return what stands for the lab where nothing can be shown: its question, and one frame in words."""
        experiment = self._lab.experiment
        if experiment.prediction and self.guess is None:
            return experiment.question
        table = next(experiment.run(self.settings, seed=self.seed, engine=self.engine))
        return f"{experiment.question} {frame_of(experiment, table, self.settings, done=False)['sentence']}"

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
    if isinstance(parameter, File):
        return traitlets.Unicode(parameter.start).tag(**tags)
    size = len(parameter.entries)
    entries = traitlets.List(traitlets.Float(min=parameter.low, max=parameter.high), minlen=size, maxlen=size)
    named = traitlets.Enum(tuple(parameter.presets))
    return traitlets.Union([named, entries], default_value=parameter.start).tag(**tags)
