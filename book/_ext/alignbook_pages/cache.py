"""A key to what a chapter's outputs depend on beside its own cells: the package and the pinned versions."""

import hashlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

import alignbook

PACKAGE = Path(alignbook.__file__).parent
ROOT = PACKAGE.parent


def setup(app: Sphinx) -> None:
    """Make a changed key read every page again and look for its outputs in another cache."""
    app.add_config_value("alignbook_key", "", "env", str)
    app.connect("config-inited", use_key)


def use_key(app: Sphinx, config: Config) -> None:
    """Name the execution cache after the key."""
    config.alignbook_key = key()
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / key())


def key() -> str:
    """Return a short hash of alignbook/**/*.py and *.js and of constraints.txt."""
    sources = sorted(path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".js"})
    digest = hashlib.sha256()
    for path in (*sources, ROOT / "constraints.txt"):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
