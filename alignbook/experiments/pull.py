"""Runs that advance only when they are asked to: what answers a lab's requests, in a kernel and in a page's worker.

The browser asks once it has painted the last frame; a run then goes on for a moment and replies. So nothing runs
on its own: no thread, no task, nothing to cancel, and a moved slider simply starts another run. The first moment
is short, for the reader waits for it; the later ones are longer, or half of the time would go into messages.
"""

import math
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from alignbook.experiments.declare import Experiment, Prediction, Settings, Table, starts

DIGITS = 6
FIRST, LATER = 0.025, 0.06  # seconds of a moment
MOST_VIEWS = 4  # a browser's tab that went away never said so: its run gives way to younger ones


class Run:
    """One run under way: what was wished for, its generator until it ends, and the newest table."""

    def __init__(self, wish: Any, frames: Iterator[Table]) -> None:
        """Start from a generator that nobody else advances."""
        self.wish = wish
        self.frames: Iterator[Table] | None = frames
        self.table: Table = {}

    def advance(self) -> None:
        """Go on for a moment, at least by one frame; forget the generator at its end."""
        until = time.perf_counter() + (LATER if self.table else FIRST)
        while self.frames is not None:
            table = next(self.frames, None)
            if table is None:
                self.frames = None
            else:
                self.table = table
            if time.perf_counter() >= until:
                break


class Runs(dict[str, Run]):
    """The runs of one experiment, by the view that watches them."""

    def __init__(self, experiment: Experiment) -> None:
        """Start with none."""
        super().__init__()
        self._experiment = experiment

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what replies to {"kind": "next" | "stop", "view", "request", "settings", "seed", "engine", "again"}.

        The reply is the next frame, {"table", "sentence", "done"}, at the end of a run at the start settings with
        {"answer", "why"}; or {"error", "traceback"}. A "stop" has none.
        """
        view = message["view"]
        if message["kind"] == "stop":
            self.pop(view, None)
            return None
        try:
            run = self._current(message)
            run.advance()
            frame = frame_of(self._experiment, run.table, message["settings"], run.frames is None)
        except Exception as error:
            self.pop(view, None)
            frame = failure(error)
        return {**frame, "view": view, "request": message["request"]}

    def _current(self, message: Mapping[str, Any]) -> Run:
        """Return the view's run if it is the one wished for, a fresh one otherwise."""
        view, wish = message["view"], [message["settings"], message["seed"], message["engine"]]
        run = self.get(view)
        if run is None or message["again"] or run.wish != wish:
            self.pop(view, None)
            while len(self) >= MOST_VIEWS:
                del self[next(iter(self))]
            settings, seed, engine = wish
            run = self[view] = Run(wish, self._experiment.run(settings, seed=seed, engine=engine))
        return run


def frame_of(experiment: Experiment, table: Table, settings: Settings, done: bool) -> dict[str, Any]:
    """Return a frame as JSON can say it, with the right answer if it is the last one at the start settings."""
    frame = {"table": plain(table, DIGITS), "sentence": experiment.describe(table, settings), "done": done}
    if experiment.prediction and done and settings == starts(experiment):
        frame |= {"answer": right_answer(experiment.prediction, table, settings), "why": experiment.prediction.why}
    return frame


def failure(error: Exception) -> dict[str, Any]:
    """Return what a lab shows of an error while it is handled: one sentence, and the traceback to unfold."""
    return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


def plain(table: Table, digits: int) -> Table:
    """Return a table as JSON can say it: rounded to significant digits, None where a number is not finite.

    >>> plain({"step": [0, 1], "kl": [2 / 3, float("inf")]}, 4)
    {'step': [0, 1], 'kl': [0.6667, None]}
    """
    return {name: [_short(value, digits) for value in _listed(values)] for name, values in table.items()}


def right_answer(prediction: Prediction, table: Table, settings: Settings) -> Any:
    """Return the right answer in plain numbers; ValueError if it is none that a reader could give."""
    answer = prediction.answer(table, settings)
    if prediction.kind == "choice":
        if answer not in range(len(prediction.options)):
            raise ValueError(f"`answer` must be an index into {prediction.options}, got {answer!r}.")
        return int(answer)
    values = [float(value) for value in (answer if prediction.kind == "points" else [answer])]
    if not all(prediction.low <= value <= prediction.high for value in values):
        raise ValueError(f"`answer` must be between {prediction.low} and {prediction.high}, got {answer}.")
    if prediction.kind == "points" and len(values) != len(prediction.at):
        raise ValueError(f"`answer` must have a number for each place {prediction.at}, got {answer}.")
    return values if prediction.kind == "points" else values[0]


def _listed(values: Any) -> list[Any]:
    listed = values.tolist() if hasattr(values, "tolist") else values
    return [value.item() if hasattr(value, "item") else value for value in listed]


def _short(value: Any, digits: int) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
