"""What the browser's tests share: the browser, contexts of it that reach this machine only, and JupyterLab."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tools.find_browser import MISSING, find

ROOT = Path(__file__).parents[2]
FOLDERS = ("book", "chapters", "jupyter", "tools")
FILES = ("Makefile", "pyproject.toml", "constraints.txt", "jupytext.toml")
MINUTE = 60_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOPBACK = {None, "localhost", "127.0.0.1", "::1"}  # None: files and data


@pytest.fixture(scope="session")
def browser_path():
    """The browser's path; without one its tests are skipped on a reader's machine, and fail where CI is set."""
    path = find()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    return path


@pytest.fixture(scope="module")
def browser(browser_path):
    """A running browser. It lives as long as a file's tests: while it does, no other event loop can run."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser):
    """A fresh page that may ask this machine alone; `tab.outside` and `tab.errors` say what else it tried."""
    context = browser.new_context()
    outside, errors = [], []

    def guard(route):
        if urlsplit(route.request.url).hostname in LOOPBACK:
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    page = context.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.outside, page.errors = outside, errors
    yield page
    context.close()


class Lab(NamedTuple):
    """A running JupyterLab: the folder it serves, its home folder, and the address it printed."""

    folder: Path
    home: Path
    address: str

    def url(self, path: str) -> str:
        """Return the address of a file or folder, in a layout of its own."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}/lab/tree/{path}?{parts.query}&reset"


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab as `make lab` starts it, on a checkout and with a home of its own."""
    folder, home = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("home")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    options = "--no-browser --ServerApp.port=0 --LabApp.expose_app_in_browser=True"
    # --old-file: the environment is the one in use, never to be set up anew from this folder
    command = ["make", "--old-file=.venv/.ready", "lab", f"LAB_ARGS={options}"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        said = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
                break
        assert found, "".join(said)
        reader = threading.Thread(target=server.stdout.read)  # a full pipe would halt the server
        reader.start()
        yield Lab(folder, home, found[0])
        os.killpg(server.pid, signal.SIGTERM)
        reader.join()


@pytest.fixture
def page(tab):
    """A tab with room for JupyterLab and time for it to start."""
    tab.set_viewport_size({"width": 1400, "height": 1000})
    tab.set_default_timeout(MINUTE)
    return tab
