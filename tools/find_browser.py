"""Print the path of a browser for the tests; get one where there is none: python tools/find_browser.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = ("Google Chrome", "Chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "The browser tests need Chromium or Chrome: install one, or run `playwright install chromium`."


def installed() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    mac = (f"/Applications/{name}.app/Contents/MacOS/{name}" for name in MAC)
    found = [shutil.which(name) for name in NAMES]
    return next((path for path in (*found, *mac) if path and Path(path).exists()), None)


def playwrights_own() -> str | None:
    """Return the path of the Chromium that Playwright has downloaded."""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def download() -> str | None:
    """Let Playwright download its Chromium; None where its host cannot be reached."""
    _run(sys.executable, "-m", "playwright", "install", "chromium")
    return playwrights_own()


def install() -> str | None:
    """Install Debian's Chromium, as root; None elsewhere."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return None
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    return installed()


def find() -> str | None:
    """Return the path of a browser by the first way that yields one."""
    return next((path for way in (installed, playwrights_own, download, install) if (path := way())), None)


def _run(*command: str) -> None:
    """Run a command whose failure only means that the next way is tried; its output is not for our stdout."""
    print("Trying:", *command, file=sys.stderr, flush=True)
    subprocess.run(command, stdout=sys.stderr, stderr=subprocess.STDOUT, check=False)


if __name__ == "__main__":
    browser = find()
    print(browser or MISSING, file=sys.stdout if browser else sys.stderr)
    sys.exit(browser is None)
