"""What the browser's tests share: the browser, contexts of it that reach this machine only, and both Jupyters."""

import os

import nbformat
import pytest
from playwright.sync_api import sync_playwright

from tests import labs_sample
from tests.browser.visits import fresh_tab
from tools import bare_page as bare
from tools.drive_notebook import LAB, LIVE, in_state, open_notebook, run_all, shut_down_kernels
from tools.find_browser import FLAGS, MISSING, find
from tools.start_jupyter import started
from tools.work_copies import KERNEL

CELLS = [
    "from alignbook import figures\nfigures.enable()",
    "from alignbook.labs import show\nfrom alignbook.labs.retrain_it import LAB\n\nlab = show(LAB)\nlab.guess = 0\nlab",
]
MINUTE = 60_000


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
    with fresh_tab(browser) as page:
        yield page


@pytest.fixture(scope="module")
def sample_page(tmp_path_factory):
    """A bare page of the small lab."""
    return bare.write_page(tmp_path_factory.mktemp("sample"), labs_sample.LAB)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab as `make lab` starts it, on a checkout and with a home of its own."""
    with started(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory):
    """Notebook 7, started likewise."""
    with started(tmp_path_factory.mktemp("notebook7"), app="notebook") as server:
        yield server


@pytest.fixture
def page(tab):
    """A tab with room for JupyterLab and time for it to start."""
    tab.set_viewport_size({"width": 1400, "height": 1000})
    tab.set_default_timeout(MINUTE)
    return tab


@pytest.fixture
def run_live(page):
    """Write, open and run live.ipynb on a server: a lab whose guess is given, and more cells. Ends its kernel."""

    def run(server, *more):
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in (*CELLS, *more)]
        nbformat.write(notebook, server.folder / LIVE)
        open_notebook(page, server.url(LIVE))
        assert run_all(page)["errors"] == []
        for lab in page.locator(LAB).all():
            in_state(lab, "settled")
        return page

    yield run
    shut_down_kernels(page)
