"""What the browser's tests share: the browser, and contexts of it that reach this machine only."""

import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tools.find_browser import MISSING, find

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
