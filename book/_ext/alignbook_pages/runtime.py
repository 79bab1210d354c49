"""Python in the page: the worker's files, and how a page with a lab finds them.

_config.yml says where they lie: `alignbook_runtime` for Pyodide, `alignbook_code` for our archive. Each is the address
of a host or a folder within _static/ that the build fills; with OFFLINE_RUNTIME=1 the site carries Pyodide itself.
Nothing of it is loaded before the reader asks for it.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from alignbook.labs.front_end import FRONT

from .archive import archive
from .cache import ROOT

WORKER = "worker.js"
CARRIED = "pyodide/"
BYTES = 15_639_620  # of Pyodide and numpy, unpacked, as the worker counts them


def setup(app: Sphinx) -> None:
    """Settle the addresses; write the files before any page; tell the pages that have a lab."""
    app.add_config_value("alignbook_runtime", CARRIED, "html", str)
    app.add_config_value("alignbook_code", "./", "html", str)
    app.add_config_value("alignbook_told", {}, "html", dict)
    app.connect("config-inited", settle)
    app.connect("builder-inited", write)
    app.connect("html-page-context", tell)


def settle(app: Sphinx, config: Config) -> None:
    """Let the site carry Pyodide where it is asked to; Sphinx compares what pages tell with the last build's."""
    if os.environ.get("OFFLINE_RUNTIME", "0") not in ("", "0"):
        config.alignbook_runtime = CARRIED
    config.alignbook_told = addresses(config.alignbook_runtime, config.alignbook_code)


def write(app: Sphinx) -> None:
    """Write the files into the site."""
    fill(Path(app.outdir, "_static"), app.config.alignbook_runtime)


def fill(static: Path, runtime: str) -> None:
    """Write the worker, our archive and, where the site carries it, Pyodide."""
    name, content = archive()
    static.mkdir(parents=True, exist_ok=True)
    for old in static.glob("alignbook-*.zip"):
        old.unlink()
    shutil.rmtree(static / CARRIED, ignore_errors=True)
    shutil.copy(FRONT / WORKER, static)
    (static / name).write_bytes(content)
    if "//" not in runtime:
        shutil.copytree(fetched(), static / runtime)


def fetched() -> Path:
    """Return the folder of Pyodide's files; RuntimeError if they cannot be had."""
    done = subprocess.run([sys.executable, ROOT / "tools/runtime.py"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return Path(done.stdout.strip())


def tell(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Give a page with a lab the worker's address and what the worker is told."""
    body = str(context.get("body", ""))
    if 'class="alignbook-lab"' in body:
        context["body"] = body + note(app.config.alignbook_told, "../" * page.count("/"))


def note(told: dict[str, str | int], up: str = "") -> str:
    """Return the element that tells a page so far up of the worker."""
    told = told | {"worker": f"{up}_static/{told['worker']}"}
    return f'<script type="application/json" id="alignbook-runtime">{json.dumps(told)}</script>'


def addresses(runtime: str, code: str) -> dict[str, str | int]:
    """Return where the worker and all that it loads are, from _static/; what our archive must be; how much comes."""
    name, content = archive()
    version = hashlib.sha256((FRONT / WORKER).read_bytes()).hexdigest()[:8]
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {
        "worker": f"{WORKER}?v={version}",
        "runtime": runtime,
        "code": code + name,
        "integrity": f"sha256-{digest}",
        "bytes": BYTES + len(content),
    }
