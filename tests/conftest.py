"""What all tests share: Hypothesis without chance or clock, the engines, and a way past the shape checks.

Shapes and types of every call into `alignbook` are checked while tests run (pyproject.toml, pytest's addopts).
"""

import subprocess
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

from alignbook.arrays import ENGINES
from tools import runtime

settings.register_profile("alignbook", deadline=None, derandomize=True, database=None)
settings.load_profile("alignbook")


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine by name; one that needs a GPU is reported as not run where there is none."""
    if request.param == "torch-cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU on this machine")
    return request.param


@pytest.fixture
def shapes_unchecked():
    """Let bad input reach the package's own sentences, as it does for every user."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def built_book():
    """The folder of the built site, made by the command every reader uses; seconds where nothing has changed."""
    root = Path(__file__).parents[1]
    build = subprocess.run(["make", "--silent", "book"], cwd=root, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    return root / "_build/html"


@pytest.fixture(scope="session")
def pyodide_folder(request):
    """The folder of Pyodide's files; where they are gone, one line says so and what needs them is not run."""
    try:
        return runtime.find()
    except runtime.UnavailableError as gone:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\nNOT RUN, what needs Python in a page: {gone}")
        pytest.skip(str(gone))


def pytest_collection_modifyitems(items):
    """Run what takes seconds first, then the built pages, then what a browser drives."""
    slow = ("pages", "browser")
    items.sort(key=lambda item: next((1 + place for place, name in enumerate(slow) if name in item.path.parts), 0))
