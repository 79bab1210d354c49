"""Vouches for the set-up: the runner's copies, the wheel, the environments, the floors' contract, the README's tree."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from tools import work_copies

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CHAPTER = """---
kernelspec: {name: python3, display_name: Python 3}
minutes: 5
after: add
---

# Sums

```{code-cell}
1 + 1
```
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one chapter."""
    for folder in ("chapters", "book"):
        (tmp_path / folder).mkdir()
    (tmp_path / "chapters/02_sums.md").write_text(CHAPTER)
    (tmp_path / "book/notation.md").write_text("# Notation\n")
    return tmp_path


def notebooks(checkout):
    return sorted(path.name for path in (checkout / "work").glob("*.ipynb"))


def test_a_copy_is_a_plain_notebook_for_the_environment_s_kernel(checkout):
    work_copies.main(checkout)
    notebook = nbformat.read(checkout / "work/02_sums.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == ["1 + 1"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "jupytext" not in notebook.metadata


def test_a_copy_is_never_overwritten(checkout, capsys):
    work_copies.main(checkout)
    copy = checkout / "work/02_sums.ipynb"
    for own in (copy.read_text().replace("1 + 1", "1 + 2"), "not a notebook", '{"cells": 3}', "[]", "{}", ""):
        copy.write_text(own)
        work_copies.main(checkout)
        assert copy.read_text() == own
    assert notebooks(checkout) == ["02_sums.ipynb"]
    assert capsys.readouterr().out.splitlines() == ["work/02_sums.ipynb: made."] + ["work/02_sums.ipynb: kept."] * 6


def test_a_changed_chapter_gets_a_fresh_copy_under_a_new_name(checkout, capsys):
    work_copies.main(checkout)
    first = (checkout / "work/02_sums.ipynb").read_bytes()
    (checkout / "chapters/02_sums.md").write_text(CHAPTER + "More.\n")
    for _ in range(2):
        work_copies.main(checkout)
    assert notebooks(checkout) == ["02_sums-2.ipynb", "02_sums.ipynb"]
    assert (checkout / "work/02_sums.ipynb").read_bytes() == first
    assert "02_sums.ipynb was made" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["02", "02_sums", "all"])
def test_a_fresh_copy_on_request_gets_the_next_number(checkout, name):
    work_copies.main(checkout)
    (checkout / "work/02_sums-9.ipynb").write_text("the runner's")
    work_copies.main(checkout, fresh=(name,))
    assert notebooks(checkout) == ["02_sums-10.ipynb", "02_sums-9.ipynb", "02_sums.ipynb"]


def test_an_unknown_chapter_is_named(checkout):
    with pytest.raises(SystemExit, match=r"FRESH must be a chapter's number \(02\), its name, or all, got '3'\."):
        work_copies.main(checkout, fresh=("3",))
    assert not (checkout / "work").exists()


def test_the_contents_link_to_the_newest_copies_and_the_plain_pages(checkout):
    work_copies.main(checkout, fresh=())
    work_copies.main(checkout, fresh=("02",))
    contents = (checkout / "work/contents.md").read_text()
    assert "**2** [Sums](02_sums-2.ipynb), 5 minutes" in contents
    assert "Afterwards you can add." in contents
    assert "Pages without code: [Notation](../book/notation.md)." in contents
    assert "Also with code" not in contents


def test_a_page_with_code_beside_the_chapters_gets_a_copy(checkout):
    (checkout / "book/symptoms.md").write_text(CHAPTER.replace("# Sums", "# Symptoms"))
    work_copies.main(checkout)
    work_copies.main(checkout, fresh=("symptoms",))
    assert notebooks(checkout) == ["02_sums.ipynb", "symptoms-2.ipynb", "symptoms.ipynb"]
    contents = (checkout / "work/contents.md").read_text()
    assert "Also with code: [Symptoms](symptoms-2.ipynb)." in contents
    assert "Pages without code: [Notation](../book/notation.md)." in contents


def test_the_wheel_carries_the_jupyter_settings_the_charts_script_and_the_real_data(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-q", "-w"]
    subprocess.run([*command, str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("alignbook-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        data = f"alignbook-{PROJECT['project']['version']}.data/data/share/jupyter"
        settings = json.loads(archive.read(f"{data}/lab/settings/overrides.d/alignbook.json"))
        extension = json.loads(archive.read(f"{data}/labextensions/alignbook/package.json"))
    assert "alignbook/charts.js" in names
    assert {"alignbook/data/persona/states.npz", "alignbook/data/persona/a_coin_toss.jsonl"} <= set(names)
    assert f"{data}/labextensions/alignbook/{extension['jupyterlab']['_build']['load']}" in names
    viewers = settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers["alignbook-chapter"] == "Jupytext Notebook"
    assert not [name for name in names if name.split("/")[0] in ("tests", "work", "chapters")]


def unknown_names(environment: str) -> list[str]:
    """Return what environment.yml asks for beyond Python, pip, constraints.txt and this project's own extras."""
    dependencies = yaml.safe_load(environment)["dependencies"]
    conda = [entry for entry in dependencies if isinstance(entry, str)]
    pip = [line for entry in dependencies if isinstance(entry, dict) for line in entry["pip"]]
    unknown = [entry for entry in conda if re.split(r"[\s<>=]", entry)[0] not in ("python", "pip")]
    for line in pip:
        extras = re.fullmatch(r"-e \.\[([\w,]+)\]", line)
        known = extras and set(extras[1].split(",")) <= set(PROJECT["project"]["optional-dependencies"])
        if not known and line != "-c constraints.txt":
            unknown.append(line)
    return unknown


def test_environment_yml_names_nothing_unknown():
    assert unknown_names((ROOT / "environment.yml").read_text("utf-8")) == []


@pytest.mark.parametrize("wrong", ["- numpyy", "- pip:\n    - -e .[lab,bok]", "- pip:\n    - altair==6.3.0"])
def test_an_unknown_name_in_environment_yml_is_found(wrong):
    assert len(unknown_names(f"dependencies:\n- python >=3.11\n{wrong}\n")) == 1


def test_every_requirement_has_its_version_in_constraints_txt():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {canonical(Requirement(line).name): Requirement(line) for line in lines if line and line[0] != "#"}
    assert all(len(list(pin.specifier)) == 1 and "==" in str(pin.specifier) for pin in pinned.values())
    wanted = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    for requirement in map(Requirement, itertools.chain(*wanted)):
        if requirement.name != "alignbook":
            (pin,) = pinned[canonical(requirement.name)].specifier
            assert requirement.specifier.contains(pin.version), requirement


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


WITHOUT_TORCH = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
import numpy as np
from alignbook.arrays import engines
from alignbook import figures, information, policies, policy_gradient, tilting
ref, reward = np.log([0.2, 0.3, 0.5]), np.array([1.0, 0.0, -1.0])
tilted = tilting.tilt_to_kl(ref, reward, 0.1)
assert abs(information.kl_divergence(tilted.log_p, ref) - 0.1) < 1e-12
snapshot = next(iter(policy_gradient.gradient_ascent(ref, reward, 0.5, 0.1)))
assert np.isfinite(snapshot.log_p).all()
print(engines())
"""


def test_the_package_computes_without_torch():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert ran.stdout == "('numpy',)\n", ran.stderr


def test_the_lower_floors_load_neither_torch_nor_altair():
    code = "import sys, alignbook.policy_gradient; print(sorted({'torch', 'altair', 'IPython'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.fixture
def floors(tmp_path):
    """A copy of the package, and a way to check its imports."""
    shutil.copytree(ROOT / "alignbook", tmp_path / "alignbook", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    linter = Path(sys.executable).with_name("lint-imports")

    def lint():
        return subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)

    return tmp_path / "alignbook", lint


def test_an_upward_import_breaks_the_contract(floors):
    package, lint = floors
    assert lint().returncode == 0
    with (package / "information.py").open("a") as file:
        file.write("\nfrom alignbook import tilting\n")
    broken = lint()
    assert broken.returncode == 1
    assert "alignbook.information -> alignbook.tilting" in broken.stdout


def test_torch_on_a_lower_floor_breaks_the_contract(floors):
    package, lint = floors
    with (package / "tilting.py").open("a") as file:
        file.write("\nimport torch\n")
    assert "alignbook.tilting -> torch" in lint().stdout


def test_the_environment_is_set_up_once_and_again_when_a_version_changes(tmp_path):
    shutil.copytree(ROOT / "jupyter", tmp_path / "jupyter")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.ready").touch()

    def is_up_to_date():
        return subprocess.run(["make", "--question", ".venv/.ready"], cwd=tmp_path).returncode == 0

    assert is_up_to_date()
    later = (tmp_path / ".venv/.ready").stat().st_mtime + 1
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert not is_up_to_date()


def test_the_readme_s_tree_names_what_is_there():
    tree = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    paths = [line.split()[0] for line in tree.splitlines() if line and not line.startswith(" ")]
    assert len(paths) > 10
    assert [path for path in paths if path != "work/" and not (ROOT / path).exists()] == []


def test_contributing_fits_on_a_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()) <= 60
