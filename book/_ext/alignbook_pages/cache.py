"""A key to what a chapter's outputs depend on beside its own cells: the package and the pinned versions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

import alignbook

PACKAGE = Path(alignbook.__file__).parent
ROOT = PACKAGE.parent


def setup(app: Sphinx) -> None:
    """Make a changed key read every page again, and a changed look write every page again."""
    app.add_config_value("alignbook_key", "", "env", str)
    app.add_config_value("alignbook_look", "", "html", str)
    app.connect("config-inited", use_keys)


def use_keys(app: Sphinx, config: Config) -> None:
    """Name the execution cache after the key; Sphinx compares both with the last build's."""
    config.alignbook_key = key()
    config.alignbook_look = digest(path for path in sorted((ROOT / "book").glob("_*/**/*.*")) if path.is_file())
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / config.alignbook_key)


def key() -> str:
    """Return a short hash of the package's files, its data among them, and of constraints.txt."""
    sources = sorted(path for path in PACKAGE.rglob("*") if path.is_file())
    return digest([*sources, ROOT / "constraints.txt"])


def digest(paths: Iterable[Path]) -> str:
    """Return a short hash of files and their names."""
    total = hashlib.sha256()
    for path in paths:
        if path.suffix != ".pyc":
            total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
