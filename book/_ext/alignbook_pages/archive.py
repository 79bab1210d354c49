"""The code that a page's worker needs beside numpy: ours up to the experiments, and the pure packages below it.

One archive, made of what is installed, so that a build needs no network; the same files make the same bytes.
"""

import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.requirements import Requirement

from .cache import PACKAGE, ROOT

COMPILED = {"numpy"}  # Pyodide brings it; all else must be pure Python
ABOVE = {"exercises", "labs", "figures.py", "charts.js"}  # the floors that no experiment needs
LEFT_OUT = {"__pycache__", "tests", "vendor_tests"}
NOTES = {"METADATA", "WHEEL", "licenses"}  # of what pip writes beside a package; the rest may know the machine


def archive() -> tuple[str, bytes]:
    """Return the archive's name, which tells its content, and the archive."""
    files, buffer, digest = dict(sorted(members())), io.BytesIO(), hashlib.sha256()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980, always
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content, zipfile.ZIP_DEFLATED)
            digest.update(name.encode() + b"\0" + content + b"\0")
    return f"alignbook-{digest.hexdigest()[:12]}.zip", buffer.getvalue()


def members() -> Iterator[tuple[str, bytes]]:
    """Yield every file's path in the archive and its content."""
    for path in PACKAGE.rglob("*"):
        within = path.relative_to(PACKAGE)
        if path.is_file() and within.parts[0] not in ABOVE and not LEFT_OUT & set(within.parts):
            yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    for name in sorted(pure_packages("alignbook")):
        for path in importlib.metadata.files(name) or ():
            if is_wanted(path):
                yield path.as_posix(), path.locate().read_bytes()


def pure_packages(name: str) -> set[str]:
    """Return the installed packages below a package; ValueError if one is compiled and Pyodide does not bring it."""
    wanted = map(Requirement, importlib.metadata.requires(name) or ())
    below = {want.name for want in wanted if want.marker is None or want.marker.evaluate({"extra": ""})} - COMPILED
    for package in below:
        if "Root-Is-Purelib: true" not in (importlib.metadata.distribution(package).read_text("WHEEL") or ""):
            raise ValueError(f"`{package}` must be pure Python for a page to load it, got a compiled package.")
    return below.union(*map(pure_packages, below))


def is_wanted(path: PurePosixPath) -> bool:
    """Tell whether a page needs an installed file: code, licenses and a package's own notes."""
    if path.parts[0].endswith(".dist-info"):
        return path.parts[1] in NOTES
    return ".." not in path.parts and not LEFT_OUT & set(path.parts)
