"""Vouches for the files of the built site: links lead somewhere, nothing is fetched from outside, pages stay light."""

import functools
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from alignbook_pages.markup import let_break
from bs4 import BeautifulSoup, Tag

import alignbook

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
CHAPTER_BYTES = 200_000


@pytest.fixture(scope="session")
def pages(built_book):
    """Every page of the site, by its path within it."""
    found = {path.relative_to(built_book).as_posix(): soup(path) for path in built_book.rglob("*.html")}
    return {name: page for name, page in found.items() if not name.startswith("_")}


@pytest.fixture(scope="session")
def chapters(pages):
    return {name: page for name, page in pages.items() if name.startswith("chapters/")}


@functools.cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def inner_links(page: BeautifulSoup) -> list[str]:
    links = [str(link["href"]) for link in page.select("a[href]")]
    return [link for link in links if not urlsplit(link).scheme and not link.startswith("//")]


def leads_somewhere(page: Path, link: str) -> bool:
    parts = urlsplit(link)  # after a ? in the fragment come a lab's settings
    target = page.parent / unquote(parts.path) if parts.path else page
    anchor = unquote(parts.fragment).partition("?")[0] if target.suffix == ".html" else ""
    return target.is_file() and (not anchor or anchor in names(target))


@functools.cache
def names(path: Path) -> set[str]:
    return {str(tag[key]) for key in ("id", "name") for tag in soup(path).find_all(attrs={key: True})}


def test_every_inner_link_leads_to_a_file_and_an_anchor(built_book, pages):
    dead = [
        (name, link)
        for name, page in pages.items()
        for link in inner_links(page)
        if not leads_somewhere(built_book / name, link)
    ]
    assert not dead


def test_no_page_has_two_elements_of_one_id(pages):
    for name, page in pages.items():
        ids = [str(tag["id"]) for tag in page.find_all(attrs={"id": True})]
        assert sorted(set(ids)) == sorted(ids), name


def test_pages_load_nothing_from_outside(pages):
    outside = [
        (name, tag[key])
        for name, page in pages.items()
        for element, key in LOADED.items()
        for tag in page.find_all(element, attrs={key: True})
        if urlsplit(str(tag[key])).netloc
    ]
    assert not outside


def test_style_sheets_load_nothing_from_outside(built_book):
    for sheet in built_book.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)[\"']?(https?:)?//", sheet.read_text("utf-8")), sheet


def test_outside_links_stand_in_the_text_alone(pages):
    for name, page in pages.items():
        for part in page.select("header, nav, .bd-sidebar, .bd-header-article, .bd-footer-content"):
            assert not [link for link in part.select("a[href]") if urlsplit(str(link["href"])).netloc], name


@pytest.mark.parametrize(
    "marked",
    ["log_p", "0.05", "eval_rewards/|accuracies", "scale_rewards=|False", "frac_|reward_|zero_|std", "test_a.py",
     "alignbook.|behaviors.|permuted_|distinguishability()", "check_margin(|your_margin)"],
)  # fmt: skip
def test_code_may_break_after_marks_that_join_names_and_in_long_names(marked):
    page = BeautifulSoup(f"<code><span>{marked.replace('|', '')}</span></code>", "html.parser")
    let_break(page, page.span)
    assert "|".join(page.span.strings) == marked
    assert len(page.select("wbr")) == marked.count("|")


def test_a_chapter_weighs_less_than_its_limit(built_book, chapters):
    for name in chapters:
        assert (built_book / name).stat().st_size < CHAPTER_BYTES, name


def test_every_picture_and_chart_has_words(pages):
    for name, page in pages.items():
        assert all(image.get("alt") for image in page.select(".bd-article img")), name
        for figure in page.select("figure.alignbook-chart"):
            words = figure.select_one("p")
            assert isinstance(words, Tag), name
            assert len(words.get_text().split()) >= 3, name


def test_every_chart_is_one_the_drawing_code_can_read(chapters):
    for name, page in chapters.items():
        for source in page.select("figure.alignbook-chart > script"):
            assert "$schema" in json.loads(source.get_text()), name


def test_no_cell_shows_a_traceback(chapters):
    for name, page in chapters.items():
        assert not page.select(".output.traceback, .output.stderr"), name


def test_every_chapter_has_its_file_s_number(chapters):
    for name, page in chapters.items():
        number = int(name.removeprefix("chapters/")[:2])
        first = page.select_one("h1 .section-number")
        assert isinstance(first, Tag), name
        assert first.get_text().split() == [str(number)]
        captions = [caption.get_text() for caption in page.select(".caption-number")]
        assert all(re.search(rf" {number}\.\d+ $", caption) for caption in captions), captions


def test_every_chapter_offers_a_notebook_that_jupyter_accepts(built_book, chapters):
    for name, page in chapters.items():
        link = page.select_one("a.btn-download-notebook-button")
        assert isinstance(link, Tag), name
        path = (built_book / name).parent / str(link["href"])
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert code
        assert not any(cell.outputs for cell in code)


def test_no_page_knows_the_machine_it_was_built_on(built_book, pages):
    root = str(built_book.parents[1])
    for name in pages:
        text = (built_book / name).read_text("utf-8")
        assert root not in text, name
        assert "/root/" not in text, name


def test_every_module_of_the_package_has_its_page(pages):
    package = Path(alignbook.__file__).parent
    modules = {path.stem for path in package.glob("[a-z]*.py")} - {"checks"}
    assert modules <= {Path(name).stem for name in pages if name.startswith("book/api/")}
