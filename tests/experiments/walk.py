"""What runs twice, natively and in Pyodide: experiments at given settings, and numpy's random numbers."""

import json
import traceback

import numpy as np

from alignbook.experiments.declare import starts
from alignbook.experiments.in_the_page import answer, find


def walk(jobs: str) -> str:
    """Return, as JSON, what each job gives, a list [experiment, settings]; and the first random draws."""
    results = [report(*job) for job in json.loads(jobs)]
    random, normal = np.random.default_rng(0), np.random.default_rng(0)
    draws = {"random": random.random(1000).tolist(), "normal": normal.standard_normal(1000).tolist()}
    return json.dumps({"results": results, "draws": draws, "index bits": 8 * np.dtype(np.intp).itemsize})


def report(name, settings):
    """Return a run's last table, unrounded, its sentence and the answer; at the start, also a page's last reply."""
    try:
        experiment = find(name)
        *_, table = experiment.run(settings, seed=0, engine="numpy")
        right = np.asarray(experiment.prediction.answer(table, settings)).tolist() if experiment.prediction else None
        return {
            "table": {column: np.asarray(values).tolist() for column, values in table.items()},
            "sentence": experiment.describe(table, settings),
            "answer": right,
            "reply": last_reply(name, settings) if settings == starts(experiment) else None,
        }
    except Exception:
        return {"error": traceback.format_exc()}


def last_reply(name, settings):
    """Pull a run to its end through the door that a page knocks at."""
    reply = {"done": False}
    while not reply["done"]:
        message = {"kind": "next", "lab": name, "view": "walk", "request": 1, "again": False}
        reply = json.loads(answer(json.dumps(message | {"settings": settings, "seed": 0, "engine": "numpy"})))
        if "error" in reply:
            raise RuntimeError(reply["traceback"])
    return reply
