"""Make the runner's own notebooks, work/NN_topic.ipynb, from chapters/NN_topic.md, and the page that lists them.

Pages of book/ that hold code, the symptoms, get a copy too. A copy belongs to the runner once it is there: no copy is
ever written again. Where a chapter has changed since its newest copy was made, or a fresh copy is asked for
(`python tools/work_copies.py 02`), the new one takes a new name, NN_topic-2.ipynb.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).parents[1]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
CONTENTS = """# Contents

Each link opens your own copy of a chapter. A copy is made once and never written again; `make lab FRESH=02` makes a
fresh one of Chapter 2 under a new name. Chapters can also be opened as they are, from the folder `chapters`.

{chapters}

{pages}
"""


def numbered_copies(chapter: Path, work: Path) -> dict[int, Path]:
    """Return the copies of a chapter by number: 1 for NN_topic.ipynb, 2 for NN_topic-2.ipynb, ..."""
    names = {path: re.fullmatch(rf"{chapter.stem}(?:-(\d+))?", path.stem) for path in work.glob("*.ipynb")}
    return {int(name[1] or 1): path for path, name in names.items() if name}


def fingerprint(chapter: Path) -> str:
    """Return what tells one text of a chapter from another."""
    return hashlib.sha256(chapter.read_bytes()).hexdigest()


def is_outdated(copy: Path, chapter: Path) -> bool:
    """Return whether the chapter has changed since the copy was made; False where the runner's file does not tell."""
    try:
        made_from = json.loads(copy.read_text("utf-8"))["metadata"]["alignbook"]["chapter_sha256"]
    except (KeyError, TypeError, ValueError):
        return False
    return made_from != fingerprint(chapter)


def make_copy(chapter: Path, copy: Path) -> None:
    """Write a chapter as a notebook; fail if the file is there."""
    notebook = jupytext.read(chapter)
    notebook.metadata.pop("jupytext", None)  # without it the copy is a plain notebook, tied to no text file
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["alignbook"] = {"chapter_sha256": fingerprint(chapter)}
    copy.parent.mkdir(exist_ok=True)
    with copy.open("x", encoding="utf-8") as file:
        nbformat.write(notebook, file)


def ensure_copy(chapter: Path, work: Path, fresh: bool) -> tuple[Path, str]:
    """Return the newest copy of a chapter, made if need be, and what was done."""
    copies = numbered_copies(chapter, work)
    last = max(copies, default=0)
    if copies and not fresh:
        if not is_outdated(copies[last], chapter):
            return copies[last], "kept"
        print(f"The chapter has changed since {copies[last].name} was made; that copy stays as it is.")
    copy = work / (f"{chapter.stem}-{last + 1}.ipynb" if copies else f"{chapter.stem}.ipynb")
    make_copy(chapter, copy)
    return copy, "made"


def title(page: Path) -> str:
    """Return a page's first heading."""
    return next(line[2:].strip() for line in page.read_text("utf-8").splitlines() if line.startswith("# "))


def entry(chapter: Path, copy: Path) -> str:
    """Return a chapter's lines in the contents: the link, the minutes, what the reader can do afterwards."""
    header = jupytext.read(chapter).metadata
    minutes = f", {header['minutes']} minutes" if "minutes" in header else ""
    after = f"  \n  Afterwards you can {header['after']}." if "after" in header else ""
    return f"- **{int(chapter.name[:2])}** [{title(chapter)}]({copy.name}){minutes}{after}"


def has_code(page: Path) -> bool:
    """Return whether a page has cells to run."""
    return "```{code-cell}" in page.read_text("utf-8")


def line(label: str, pages: list[Path], address: Callable[[Path], str]) -> str:
    """Return a line of the contents that links to some pages, empty without any."""
    return f"{label}: " + " · ".join(f"[{title(page)}]({address(page)})" for page in pages) + "." if pages else ""


def write_contents(entries: list[str], copies: dict[Path, Path], root: Path) -> None:
    """Write work/contents.md, anew each time: the page is no copy of the runner's."""
    plain = [page for page in pages_of(root) if page not in copies]
    pages = [
        line("Also with code", list(copies), lambda page: copies[page].name),
        line("Pages without code", plain, lambda page: f"../book/{page.name}"),
    ]
    (root / "work").mkdir(exist_ok=True)
    text = CONTENTS.format(chapters="\n".join(entries), pages="\n\n".join(filter(None, pages)))
    (root / "work/contents.md").write_text(text, "utf-8")


def pages_of(root: Path) -> list[Path]:
    """Return the pages around the chapters, but for the front door and the references."""
    return [page for page in sorted((root / "book").glob("*.md")) if page.stem not in ("index", "bibliography")]


def main(root: Path = ROOT, fresh: tuple[str, ...] = ()) -> None:
    """Make the copies that are missing and those asked for, by number, by name or as "all"; list the newest ones."""
    chapters = sorted((root / "chapters").glob("[0-9][0-9]_*.md"))
    others = [page for page in pages_of(root) if has_code(page)]
    for name in fresh:
        if name != "all" and not any(source.stem.startswith(name) for source in chapters + others):
            numbers = ", ".join(chapter.name[:2] for chapter in chapters)
            sys.exit(f"FRESH must be a chapter's number ({numbers}), its name, or all, got {name!r}.")
    copies = {}
    for source in chapters + others:
        copies[source], what = ensure_copy(source, root / "work", "all" in fresh or source.stem.startswith(fresh))
        print(f"work/{copies[source].name}: {what}.")
    entries = [entry(chapter, copies[chapter]) for chapter in chapters]
    write_contents(entries, {page: copies[page] for page in others}, root)


if __name__ == "__main__":
    main(fresh=tuple(sys.argv[1:]))
