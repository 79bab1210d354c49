"""Vouches for the labs of the book's pages. Each is found by itself; a small lab of the tests joins them.

The tests of one lab share its page. Their order is that in which they leave each other the least to undo.
"""

import json
import re
from pathlib import Path

import pytest

from tests.browser.visits import MOVES, PHONE, Visit, away, barriers, commit, fresh_tab, main_sliders

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^from alignbook\.labs\.(\w+) import", re.MULTILINE)
PAGES = [*sorted((ROOT / "chapters").glob("*.md")), *sorted((ROOT / "book").glob("*.md"))]
HOMES = {name: path for path in reversed(PAGES) for name in SHOWN.findall(path.read_text("utf-8"))}
LABS = [("sample", "labs_sample"), *((f"{path.parent.name}/{path.stem}", name) for name, path in HOMES.items())]
HEADER = 60  # pixels that the theme's header covers
AXES = """(name) => [...document.querySelectorAll(`[data-lab="${name}"] svg .role-axis text`)].map((label) =>
  label.textContent + label.closest("g[transform]").getAttribute("transform"))"""
# Rows of a table are all alike, and axe takes seconds to look at two hundred.
FEWER_ROWS = "(lab) => lab.querySelectorAll('tbody tr:nth-child(n + 11)').forEach((row) => row.remove())"
SENTENCE = "([name, said]) => document.querySelector(`[data-lab='${name}'] .alignbook-sentence`).textContent !== said"
RECORD = "(lab) => new URL(lab.dataset.record, location).pathname"
KEPT = "JSON.parse(localStorage.getItem('alignbook-guesses'))"


@pytest.fixture(scope="module", params=LABS, ids=[name for _, name in LABS])
def tour(request, browser):
    """Each lab on its page, opened as a file."""
    page, name = request.param
    if page == "sample":
        uri = request.getfixturevalue("sample_page").as_uri()
    else:
        uri = (request.getfixturevalue("built_book") / f"{page}.html").as_uri()
    with fresh_tab(browser) as tab:
        yield Visit(tab, uri, name)


@pytest.fixture
def visit(tour, request):
    """A lab on its page for one test, during which it asks nothing outside and logs no error."""
    failed = request.session.testsfailed
    yield tour
    outside, errors = list(tour.tab.outside), list(tour.tab.errors)
    tour.tab.outside.clear()
    tour.tab.errors.clear()
    tour.tab.emulate_media(color_scheme="light", reduced_motion="no-preference")
    tour.spent |= request.session.testsfailed > failed
    assert (outside, errors) == ([], [])


@pytest.fixture
def asking(visit):
    """A lab that has just asked its question."""
    return visit.asking() or pytest.skip("this lab asks no question")


@pytest.fixture
def lab(visit):
    """A lab at its start, settled, the guess given."""
    return visit.opened()


def sentence(lab):
    return lab.locator(".alignbook-sentence").text_content()


def verdict(lab):
    return lab.locator(".alignbook-verdict").text_content()


def test_nothing_of_the_outcome_is_there_before_the_reader_commits(visit):
    lab = visit.untouched()
    if not visit.asks:
        pytest.skip("this lab asks no question")
    assert lab.get_attribute("data-state") == "asking"
    assert not [url for url in visit.requests if "/labs/" in url]
    assert visit.tab.evaluate("window.alignbookRecords") is None
    assert all(rows == [] for rows in visit.rows())
    assert sentence(lab) == ""
    question = lab.get_by_role("heading").text_content()
    assert lab.get_by_role("img", name=question, exact=True).count() == 1
    html = lab.evaluate("(lab) => lab.outerHTML")
    source = Path(lab.evaluate(RECORD)).read_text("utf-8")
    record = json.loads(source.partition(" = ")[2].strip().removesuffix(";"))
    assert record["why"] not in html
    assert not [one for one in record["sentences"] if one in html]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lab_has_no_barrier_while_it_asks(visit, scheme):
    _ = visit.asking() or visit.opened()
    visit.in_scheme(scheme)
    assert barriers(visit.tab, visit.selector) == {}


def test_the_address_names_no_setting_before_the_reader_moves_one(visit):
    commit(visit.untouched())
    visit.settle()
    assert "#" not in visit.tab.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lab_has_no_barrier_when_all_is_unfolded(visit, lab, scheme):
    visit.in_scheme(scheme)
    for fold in lab.locator("summary:visible").all():
        fold.press("Enter")
    lab.evaluate(FEWER_ROWS)
    assert barriers(visit.tab, visit.selector) == {}


def test_a_lab_moves_by_keyboard(visit, lab):
    for slider in main_sliders(lab).all():
        before, said = slider.input_value(), sentence(lab)
        slider.press("ArrowRight" if before != slider.get_attribute("max") else "ArrowLeft")
        assert slider.input_value() != before
        visit.tab.wait_for_function(SENTENCE, arg=[visit.name, said])


def test_the_number_box_moves_as_its_slider_does(lab):
    slider, box = main_sliders(lab).first, lab.locator(".alignbook-main input[type=number]:visible").first
    before = int(slider.input_value())
    key, step = ("ArrowUp", 1) if before < int(slider.get_attribute("max")) else ("ArrowDown", -1)
    box.press(key)
    assert int(slider.input_value()) == before + step


def test_every_input_has_a_name_and_every_slider_says_its_value(lab):
    for one in lab.locator("input, select").all():
        assert one.evaluate("(one) => one.ariaLabel || [...one.labels].map((label) => label.textContent).join('')")
    for slider in lab.locator("input[type=range]").all():
        assert slider.get_attribute("aria-valuetext")


def test_the_sentence_is_the_picture_s_name_and_is_announced_when_things_settle(visit, lab):
    said = sentence(lab)
    assert lab.get_by_role("img", name=said, exact=True).count() == 1
    announced = lab.locator("[aria-live=polite]")
    heard = announced.text_content()
    assert heard in (said, f"{verdict(lab)} {said}")
    slider = main_sliders(lab).first
    last = int(slider.get_attribute("max"))
    assert slider.evaluate(MOVES, [0, last, last - 1]) == heard  # what is announced while it moves
    visit.settle()
    assert announced.text_content() == sentence(lab)


def test_axes_stand_still_while_a_slider_moves(visit, lab):
    axes = visit.tab.evaluate(AXES, visit.name)
    assert axes
    for slider in main_sliders(lab).all():
        for key in ("End", "Home"):
            slider.press(key)
            visit.settle()
            assert visit.tab.evaluate(AXES, visit.name) == axes


def test_the_last_setting_stays_as_a_ghost(visit, lab):
    before = visit.drawn("")
    assert visit.drawn("last") == []
    away(main_sliders(lab).first)
    visit.settle()
    assert [{**row, "ghost": ""} for row in visit.drawn("last")] == before


def test_every_setting_to_try_sets_the_controls(visit, lab):
    for button in lab.get_by_role("button", name=re.compile("^Try: ")).all():
        button.press("Enter")
        visit.settle()
        assert sentence(lab)


def test_the_table_is_a_real_one(visit, lab):
    lab.get_by_text("Show table").press("Enter")
    table = lab.get_by_role("table")
    table.wait_for()
    rows = visit.drawn("")
    assert table.locator("tbody tr").count() == min(len(rows), 200)
    assert table.get_by_role("columnheader").count() == len([name for name in rows[0] if name != "ghost"])


def test_what_the_reader_said_and_set_comes_back_with_the_address(visit, lab):
    about_the_start = verdict(lab)
    away(main_sliders(lab).first)
    visit.settle()
    said, judged = sentence(lab), verdict(lab)
    fragment = visit.tab.url.partition("#")[2]
    assert fragment.startswith(f"lab-{visit.name}?")
    visit.load(f"#{fragment}", PHONE)
    visit.settle()
    assert (sentence(lab), verdict(lab)) == (said, judged)
    lab.get_by_role("button", name="Reset").press("Enter")
    visit.settle()
    assert visit.tab.url.partition("#")[2] != fragment
    assert verdict(lab) == about_the_start


def test_a_phone_shows_slider_chart_and_sentence_together(visit):
    lab = visit.opened(PHONE)
    first = main_sliders(lab).first
    top = min(one.bounding_box()["y"] for one in (first, lab.locator(".alignbook-picture")))
    words = lab.locator(".alignbook-sentence").bounding_box()
    assert words["y"] + words["height"] - top <= PHONE["height"] - HEADER
    assert visit.tab.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    right = lab.bounding_box()["x"] + lab.bounding_box()["width"]
    assert all(one.bounding_box()["x"] + one.bounding_box()["width"] <= right for one in lab.locator("svg").all())


def test_after_committing_the_guess_stands_beside_the_answer_until_forgotten(visit, asking):
    commit(asking)
    visit.settle()
    assert asking.locator(":focus").count() == 1  # not lost with the form
    assert re.match(r"You said: .+\. It is: .+\. ", verdict(asking))
    assert asking.locator("[aria-live=polite]").text_content() == f"{verdict(asking)} {sentence(asking)}"
    assert any(row["ghost"] == "guess" for rows in visit.rows() for row in rows)
    asking.get_by_role("button", name="Forget my guesses").press("Enter")
    asking.locator(".alignbook-ask").wait_for()
    assert asking.locator(".alignbook-ask :focus").count() == 1
    assert sentence(asking) == ""
    assert visit.tab.evaluate(KEPT) == {}


def test_show_me_anyway_tells_the_answer_and_no_guess(visit, asking):
    asking.get_by_role("button", name="Show me anyway").press("Enter")
    visit.settle()
    assert verdict(asking).startswith("It is: ")
    assert visit.tab.evaluate(KEPT) in (None, {})
    visit.spent = True  # without a guess there is none to forget
