"""Vouches for the book as a reader sees it: whole without the network, in light and dark, on a phone, by keyboard."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.browser.visits import barriers

ROOT = Path(__file__).parents[2]
FOLDED = "details.admonition:not([open]) > summary"

# Formulas are typeset and charts drawn; what is in neither has nothing to wait for.
SETTLED = """async () => {
  await window.MathJax?.startup?.promise;
  const figures = [...document.querySelectorAll("figure.alignbook-chart")];
  return document.readyState === "complete" && figures.every((figure) => figure.querySelector("svg"));
}"""
UNTYPESET = """() => document.querySelectorAll(".math").length
  - document.querySelectorAll(".math:has(mjx-container)").length + document.querySelectorAll("mjx-merror").length"""
OUT_OF_BOX = """() => [...document.querySelectorAll("figure.alignbook-chart svg")].filter((svg) =>
  svg.getBoundingClientRect().right > svg.closest("figure").getBoundingClientRect().right + 1).length"""
# Names of a table's code whose letters go over the end of a line other than at a marked place.
BROKEN = """() => [...document.querySelectorAll("article :is(td, th) code .pre")].filter((name) => {
  const range = document.createRange();
  return [...name.childNodes].some((part) => part.nodeType === Node.TEXT_NODE
    && (range.selectNodeContents(part), new Set([...range.getClientRects()].map((box) => box.top)).size > 1));
}).map((name) => name.textContent)"""
CUT = """() => [...document.querySelectorAll("nav a")].filter((link) => link.offsetParent
  && link.scrollWidth > link.clientWidth + 1 && getComputedStyle(link).display !== "inline")
  .map((link) => link.textContent.trim())"""
SERIOUS = ("serious", "critical")
INK = "() => getComputedStyle(document.querySelector('figure.alignbook-chart svg text')).fill"


def documents(entry) -> list[str]:
    """The pages of the table of contents, in order."""
    below = [part for key in ("parts", "chapters", "sections") for part in entry.get(key, [])]
    return [*([entry["file"]] if "file" in entry else []), *(page for part in below for page in documents(part))]


CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
ALONE = ("labs/teach_it_no", "labs/own_run")  # pages of labs: one that asks for a guess, one that does not
PAGES = [f"{page}.html" for page in (CONTENTS["root"], *documents(CONTENTS), *ALONE, "search", "genindex")]
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


class Quiet(SimpleHTTPRequestHandler):
    """A server that keeps its log to itself."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(built_book):
    """The address of the book on a server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built_book))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def open_page(tab, address, width=1280):
    tab.set_viewport_size({"width": width, "height": 800})
    turn(tab, "light")
    tab.goto(address)
    tab.wait_for_function(SETTLED)


def turn(tab, scheme):
    """Turn a page light or dark, at once: no color is on its way to another."""
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def faults(tab):
    """What makes an open page less than whole, by kind; nothing where it is whole."""
    found = {
        "formulas that are not typeset": tab.evaluate(UNTYPESET),
        "charts wider than their box": tab.evaluate(OUT_OF_BOX),
        "asked outside": tab.outside,
        "errors": tab.errors,
    }
    return {kind: count for kind, count in found.items() if count}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_over_http_without_the_network_and_has_no_serious_barrier_in_light_or_dark(tab, site, page):
    open_page(tab, f"{site}/{page}")
    assert faults(tab) == {}
    assert tab.evaluate(CUT) == []
    light = barriers(tab, impacts=SERIOUS)
    turn(tab, "dark")
    tab.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    assert {"light": light, "dark": barriers(tab, impacts=SERIOUS)} == {"light": {}, "dark": {}}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_as_a_file_without_the_network_and_no_wider_than_a_phone(tab, built_book, page):
    open_page(tab, (built_book / page).as_uri(), width=390)
    assert faults(tab) == {}
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert tab.evaluate(BROKEN) == []
    if page in CHAPTERS:
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        tab.wait_for_function(SETTLED)
        assert tab.evaluate("document.scrollingElement.scrollWidth") <= 390
        assert barriers(tab, "article", SERIOUS) == {}


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_the_book_s_first_bet_is_in_view_without_scrolling(tab, site, size):
    tab.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    tab.goto(f"{site}/{PAGES[0]}")
    asked = tab.locator(".alignbook-ask")
    asked.wait_for()
    for one in (asked.locator("legend"), *asked.get_by_role("radio").all(), *asked.get_by_role("button").all()):
        box = one.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]
    assert tab.evaluate("scrollY") == 0


def test_the_keyboard_comes_to_all_four_doors_and_to_every_chapter(tab, site):
    open_page(tab, f"{site}/{PAGES[0]}")
    doors = tab.locator(".sd-card a.sd-stretched-link")
    chapters = tab.locator(".alignbook-map a")
    assert (doors.count(), chapters.count()) == (4, len(CHAPTERS))
    for link in (*doors.all(), *chapters.all()):
        link.focus()
        assert link.evaluate("(link) => link === document.activeElement && link.textContent.trim().length > 3")
        assert link.evaluate("(link) => new URL(link.href).origin") == site


@pytest.mark.parametrize("width", [1280, 390])
def test_the_map_s_dots_stand_beside_their_chapters(tab, site, width):
    open_page(tab, f"{site}/{PAGES[0]}", width=width)
    dots, lines = (tab.locator(f".alignbook-map {part}").all() for part in ("circle", "li"))
    for dot, line in zip(dots, lines, strict=True):
        middles = [box["y"] + box["height"] / 2 for box in (dot.bounding_box(), line.bounding_box())]
        assert abs(middles[0] - middles[1]) < 4


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_keyboard_opens_a_folded_solution_and_charts_take_the_ink_of_the_theme(tab, site, page):
    open_page(tab, f"{site}/{page}")
    fold = tab.locator("details.solution").first
    fold.locator("> summary").focus()
    assert not fold.evaluate("(fold) => fold.open")
    tab.keyboard.press("Enter")
    assert fold.evaluate("(fold) => fold.open")
    light = tab.evaluate(INK)
    turn(tab, "dark")
    tab.wait_for_function(f"(light) => ({INK})() !== light", arg=light)
    assert sum(map(int, tab.evaluate(INK)[4:-1].split(","))) > 3 * 170


def test_the_keyboard_stays_on_a_switch_that_it_presses(tab, site):
    open_page(tab, f"{site}/{PAGES[0]}")
    modes = set()
    for switch in [".theme-switch-button"] * 3 + [".primary-toggle"] * 2:
        tab.locator(switch).focus()
        tab.keyboard.press("Enter")
        tab.wait_for_function("(button) => document.querySelector(button) === document.activeElement", arg=switch)
        modes.add(tab.evaluate("document.documentElement.dataset.mode"))
    assert modes == {"light", "dark", "auto"}


def test_a_chart_is_announced_in_words(tab, site):
    open_page(tab, f"{site}/{CHAPTERS[0]}")
    figure = tab.locator("figure.alignbook-chart").first
    words = figure.locator("p").text_content()
    assert figure.get_by_role("img", name=words, exact=True).is_visible()
    assert not figure.locator("p").is_visible()


def test_a_chart_follows_the_width_of_its_column(tab, site):
    open_page(tab, f"{site}/{CHAPTERS[0]}")
    chart = tab.locator("figure.alignbook-chart svg").first
    wide = chart.bounding_box()["width"]
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.wait_for_function(
        "(wide) => document.querySelector('figure.alignbook-chart svg').getBoundingClientRect().width < wide", arg=wide
    )
    tab.wait_for_function(f"() => ({OUT_OF_BOX})() === 0")


def test_paper_shows_what_is_folded(tab, site):
    open_page(tab, f"{site}/{CHAPTERS[0]}")
    folds = tab.locator("details:not([open])")
    assert folds.count() > 0
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert folds.count() == 0
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert folds.count() > 0


@pytest.mark.parametrize("source", ["http", "file"])
def test_search_finds_a_word(tab, site, built_book, source):
    address = site if source == "http" else built_book.as_uri()
    tab.goto(f"{address}/search.html?q=partition")
    tab.locator("#search-results li a").first.wait_for()
    assert tab.outside == []
    assert tab.errors == []
