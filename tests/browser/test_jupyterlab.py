"""`make lab`, driven as a runner would: the contents, copies that run, chapters that open as notebooks.

The server works on a checkout of its own with a home of its own, so no test touches the runner's files.
"""

import re
from pathlib import Path

import pytest

from tools.drive_notebook import FINISHED, READY

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.md"))
COPIES = [*CHAPTERS, "symptoms"]  # what has code
MINUTE = 60_000


def open_from_file_browser(page, lab, path):
    folder, _, name = path.rpartition("/")
    page.goto(lab.url(folder))
    page.locator(".jp-DirListing-item", has_text=name).dblclick()


def test_make_lab_opens_the_contents_and_each_link_a_notebook(lab, page):
    page.goto(lab.address)
    contents = page.locator(".jp-MarkdownViewer")
    contents.get_by_role("heading", name="Contents").wait_for()
    links = contents.locator("a[href*='.ipynb']")
    assert links.count() == len(COPIES)
    for name in COPIES:
        page.locator(".jp-DirListing-item", has_text=f"{name}.ipynb").wait_for()
    links.first.click()
    page.locator(".jp-NotebookPanel h1").first.wait_for()
    assert page.outside == []


@pytest.mark.parametrize("chapter", COPIES)
def test_each_copy_runs_from_top_to_bottom_and_draws_its_charts(lab, page, chapter):
    open_from_file_browser(page, lab, f"work/{chapter}.ipynb")
    page.locator(".jp-NotebookPanel").wait_for()
    page.wait_for_function(READY)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    state = page.wait_for_function(FINISHED, timeout=5 * MINUTE).json_value()
    assert state["errors"] == []
    assert state["cells"] > 0
    undrawn = "figure.alignbook-chart:not(:has(svg))"
    page.wait_for_function(f"() => document.querySelectorAll('{undrawn}').length === 0")
    if chapter in CHAPTERS and "figures.enable()" in (lab.folder / f"chapters/{chapter}.md").read_text("utf-8"):
        assert page.locator("figure.alignbook-chart svg").count() > 0
    assert page.outside == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_opens_as_a_notebook_with_readable_theorems_and_is_saved_as_the_same_text(lab, page, chapter):
    path = lab.folder / f"chapters/{chapter}.md"
    before = path.read_text("utf-8")
    open_from_file_browser(page, lab, f"chapters/{chapter}.md")
    notebook = page.locator(".jp-NotebookPanel")
    notebook.wait_for()
    notebook.locator("h1").first.wait_for()
    theorems = re.findall(r"^:::+\{prf:theorem\}", before, re.MULTILINE)
    for number in range(1, len(theorems) + 1):
        notebook.get_by_text(re.compile(rf"^Theorem {number}\b")).first.wait_for(state="attached")
    shown = notebook.locator(".jp-MarkdownOutput").all_text_contents()
    assert not [text for text in shown if re.search(r":::|\{prf:|\{exercise\}|\{solution\}", text)]
    page.wait_for_function(READY)
    page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    assert path.read_text("utf-8") == before
    assert page.outside == []


def test_a_page_without_code_opens_as_a_page(lab, page):
    open_from_file_browser(page, lab, "book/how_to_read.md")
    page.locator(".jp-MarkdownViewer h1").first.wait_for()
    assert page.locator(".jp-NotebookPanel").count() == 0


def test_the_runners_own_configuration_is_left_alone(lab):
    """Runs last: by now the server, its kernels and the front end have written what they write."""
    assert [path.name for path in lab.home.rglob("*") if "jupyter" in path.name or "ipython" in path.name] == []
