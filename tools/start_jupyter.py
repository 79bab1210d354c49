"""Start JupyterLab, or Notebook 7, as `make lab` does, for tests and benchmarks: on a copy of the checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
FOLDERS = ("book", "chapters", "jupyter", "tools")
FILES = ("Makefile", "pyproject.toml", "constraints.txt", "jupytext.toml")
NOTEBOOKS = {"lab": "lab/tree", "notebook": "notebooks"}  # where each application shows a file
OPTIONS = (
    "--no-browser --ServerApp.port=0 "
    "--LabApp.expose_app_in_browser=True --JupyterNotebookApp.expose_app_in_browser=True"
)


class Server(NamedTuple):
    """A running Jupyter: its application, the folder it serves, its home folder, and the address it printed."""

    app: str
    folder: Path
    home: Path
    address: str

    def url(self, path: str) -> str:
        """Return the address of a file or folder, in a layout of its own."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}/{NOTEBOOKS[self.app]}/{path}?{parts.query}&reset"


@contextmanager
def started(place: Path, app: str = "lab") -> Iterator[Server]:
    """Serve a copy of the checkout, made in a folder beside an empty home, until the block ends."""
    folder, home = place / "checkout", place / "home"
    home.mkdir()
    copy_checkout(folder)
    # --old-file: the environment is the one in use, never to be set up anew from this folder
    command = ["make", "--old-file=.venv/.ready", "lab", f"LAB_APP={app}", f"LAB_ARGS={OPTIONS}"]
    environment, log = {**os.environ, "HOME": str(home)}, place / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield Server(app, folder, home, address_in(log, server))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def copy_checkout(folder: Path) -> None:
    """Copy what `make lab` reads, with the environment in use."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)


def address_in(log: Path, server: subprocess.Popen[bytes]) -> str:
    """Return the address that a server prints; RuntimeError with all it said if it ends before."""
    while server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", log.read_text("utf-8")):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(log.read_text("utf-8"))
