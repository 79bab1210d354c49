"""Vouches for the build's strictness: whatever a reader would stumble over makes it fail and is named."""

import shutil
import subprocess
from pathlib import Path

import pytest
from alignbook_pages import cache

ROOT = Path(__file__).parents[2]
CHAPTER = """\
---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{name: python3, display_name: Python 3, language: python}}
---
# A chapter

{text}

```{{code-cell}} ipython3
{code}
```
"""
CONTENTS = "format: jb-book\nroot: index\nparts: [{caption: Part, chapters: [{file: chapters/07_small}]}]\n"
INDEX = "# A book\n\n```{glossary}\nnat\n  A unit.\n```\n"


@pytest.fixture
def build(tmp_path):
    """Builds a book of one chapter with the real book's configuration and command."""

    def run(text: str = "Words.", code: str = "1 + 1") -> subprocess.CompletedProcess[str]:
        shutil.copy(ROOT / "_config.yml", tmp_path)
        for part in ("_ext", "_static"):
            shutil.copytree(ROOT / "book" / part, tmp_path / "book" / part)
        shutil.copy(ROOT / "book/references.bib", tmp_path / "book")
        (tmp_path / "_toc.yml").write_text(CONTENTS)
        (tmp_path / "index.md").write_text(INDEX)
        (tmp_path / "chapters").mkdir()
        (tmp_path / "chapters/07_small.md").write_text(CHAPTER.format(text=text, code=code))
        command = ["make", "--silent", "book", f"BOOK={tmp_path}"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    return run


def test_a_sound_book_builds_and_counts_from_its_file_s_number(build, tmp_path):
    theorem = "A {term}`nat`.\n\n```{prf:theorem}\n:label: thm-small\nSmall.\n```\n\n{prf:ref}`thm-small` holds."
    built = build(theorem)
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "_build/html/chapters/07_small.html").read_text()
    assert ">Theorem 7.1</a> holds" in page


def test_misspelled_references_fail_the_build(build):
    wrong = {
        "term": "{term}`natt`",
        "citation": "{cite}`nobody2024`",
        "function": "{func}`alignbook.tilting.tillt`",
        "label": "{ref}`no-such-label`",
        "equation": "{eq}`no-such-equation`",
        "theorem": "{prf:ref}`no-such-theorem`",
        "lab": "{lab}`words <no_such_lab>`",
        "setting": "{lab}`words <teach_it_no?steps=15>`",
    }
    built = build("\n\n".join(wrong.values()))
    assert built.returncode != 0
    names = ("natt", "nobody2024", "tillt", "no-such-label", "no-such-equation", "no-such-theorem")
    for name in (*names, "no_such_lab", "the record of teach_it_no holds no such setting"):
        assert name in built.stdout + built.stderr


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\nwarnings.warn('an odd number')", "stderr"),
        (
            "import altair as alt\nfrom alignbook import figures\n\nfigures.enable()\n"
            "alt.Chart(figures.data(x=[1])).mark_point().encode(x='x:Q')",
            "description",
        ),
    ],
    ids=["raises", "warns", "draws a chart without words"],
)
def test_a_faulty_cell_fails_the_build(build, code, complaint):
    built = build(code=code)
    assert built.returncode != 0
    assert complaint in built.stdout + built.stderr


@pytest.mark.parametrize("name", ["law.py", "front/lab.css", "data/samples.csv"])
def test_a_changed_file_of_the_package_runs_the_chapters_anew_and_a_compiled_one_does_not(name, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    monkeypatch.setattr(cache, "PACKAGE", tmp_path / "alignbook")
    file, compiled = tmp_path / "alignbook" / name, tmp_path / "alignbook/__pycache__/law.pyc"
    for path in (file, compiled, tmp_path / "constraints.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    before = cache.key()
    compiled.write_text("2")
    assert cache.key() == before
    file.write_text("2")
    assert cache.key() != before
