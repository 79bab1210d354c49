"""Vouches for a lab that runs Python in its page: press, drag, stop, and every way in which it cannot be had."""

import re
import shutil
import time

import pytest

from alignbook.labs import own_run, retrain_it, what_does_a_nat_buy
from tests.browser.visits import PHONE, barriers
from tools import bare_page as bare

BOOT = 120_000  # ms; a machine under load
STATE = "(wish) => document.querySelector(`[data-lab='${wish[0]}']`).dataset.state === wish[1]"


@pytest.fixture(scope="module")
def page(pyodide_folder, tmp_path_factory):
    """A page with two labs, whose records take seconds to make, and Python of its own."""
    return bare.write_page(tmp_path_factory.mktemp("site"), retrain_it.LAB, what_does_a_nat_buy.LAB, runtime="pyodide/")


@pytest.fixture(scope="module")
def site(page):
    """The page's address on a server."""
    with bare.serve(page.parent) as address:
        yield f"{address}{page.name}"


def lab_of(tab, name="retrain_it"):
    return tab.locator(f'[data-lab="{name}"]')


def in_state(tab, state, name="retrain_it"):
    tab.wait_for_function(STATE, arg=[name, state], timeout=BOOT)


def recorded(tab, address):
    """Open the page and commit to no guess, by keyboard alone."""
    tab.goto(address)
    for name in ("retrain_it", "what_does_a_nat_buy"):
        lab_of(tab, name).get_by_role("button", name="Show me anyway").press("Enter")
        in_state(tab, "settled", name)
    return lab_of(tab)


def live(tab, address):
    """Open the page and start Python, by keyboard alone."""
    lab = recorded(tab, address)
    lab.get_by_role("button", name="Run live").press("Enter")
    lab.get_by_role("button", name="Stop live").wait_for(timeout=BOOT)
    in_state(tab, "settled")
    return lab


def sentence(lab):
    return lab.locator(".alignbook-sentence").text_content()


def set_steps(tab, lab, steps):
    lab.get_by_label("Steps", exact=True).fill(str(steps))
    lab.get_by_label("Steps", exact=True).press("Enter")


def test_one_press_makes_every_lab_of_the_page_live(tab, site):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    lab = recorded(tab, site)
    said = sentence(lab)
    assert not [url for url in asked if "pyodide" in url or "worker" in url]
    assert lab.get_by_label("Steps", exact=True).is_disabled()
    lab.get_by_role("button", name="Run live").press("Enter")
    lab.get_by_role("button", name="Stop live").wait_for(timeout=BOOT)
    assert lab.get_by_role("button", name="Stop live").evaluate("(one) => one === document.activeElement")
    in_state(tab, "settled")
    assert sentence(lab) == said
    assert lab.get_by_label("Steps", exact=True).is_enabled()
    other = lab_of(tab, "what_does_a_nat_buy")
    other.get_by_label("KL budget (nats)", exact=True).fill("0.123")
    other.get_by_label("KL budget (nats)", exact=True).press("Enter")
    in_state(tab, "settled", "what_does_a_nat_buy")
    assert sentence(other).startswith("A budget of 0.123 nats spends 0.123 nats")
    assert [one.get_by_label("Seed", exact=True).count() for one in (lab, other)] == [1, 0]  # nothing is random there
    assert [one.get_by_role("button", name=re.compile("^(Run|Pause)$")).count() for one in (lab, other)] == [1, 0]
    assert len([url for url in asked if url.endswith("pyodide.mjs")]) == 1
    assert tab.outside == []
    assert tab.errors == []


def test_a_slider_moved_during_a_run_shows_its_own_and_pause_stops_it(tab, site):
    lab = live(tab, site)
    set_steps(tab, lab, 100_000)
    in_state(tab, "running")
    slider = lab.get_by_label("Learning rate, slider")
    for _ in range(5):
        slider.press("ArrowRight")
    shown = "(lab) => lab.dataset.painted === lab.dataset.run && lab.dataset.state === 'running'"
    tab.wait_for_function(shown, arg=lab.element_handle())
    began = time.perf_counter()
    lab.get_by_role("button", name="Pause").press("Enter")
    in_state(tab, "paused")
    assert time.perf_counter() - began < 5  # the benchmark measures; here it must only end
    said = sentence(lab)
    tab.wait_for_timeout(400)
    assert sentence(lab) == said
    lab.get_by_role("button", name="Run").and_(lab.get_by_text("Run", exact=True)).press("Enter")
    set_steps(tab, lab, 100)
    in_state(tab, "settled")
    assert sentence(lab).startswith("After 100 steps")
    assert tab.errors == []


def test_stop_goes_back_to_the_record_and_python_can_be_started_again(tab, site):
    lab = live(tab, site)
    set_steps(tab, lab, 100_000)
    lab.get_by_label("Learning rate", exact=True).fill("1.7")
    lab.get_by_label("Learning rate", exact=True).press("Enter")
    in_state(tab, "running")
    stop = lab.get_by_role("button", name="Stop live")
    stop.focus()
    tab.add_style_tag(content="* { overflow-anchor: none }")  # not every browser holds a place by itself
    place = stop.bounding_box()["y"]
    stop.press("Enter")
    in_state(tab, "settled")
    assert lab.get_by_role("button", name="Run live").bounding_box()["y"] == pytest.approx(place, abs=1)
    assert "back at recorded values" in lab.get_by_role("status").text_content()
    assert lab.get_by_label("Learning rate", exact=True).input_value() == "1"  # the nearest that is recorded
    assert lab.get_by_label("Steps", exact=True).input_value() == "200"
    lab.get_by_role("button", name="Run live").press("Enter")
    lab.get_by_role("button", name="Stop live").wait_for(timeout=BOOT)
    in_state(tab, "running")
    assert lab.get_by_label("Learning rate", exact=True).input_value() == "1.7"  # as the reader left it
    assert lab.get_by_label("Steps", exact=True).input_value() == "100000"
    assert tab.errors == []


def test_loading_can_be_cancelled(tab, site):
    lab = recorded(tab, site)
    said = sentence(lab)
    lab.get_by_role("button", name="Run live").press("Enter")
    lab.get_by_role("button", name="Cancel").press("Enter")
    lab.get_by_role("button", name="Run live").wait_for()
    assert sentence(lab) == said
    assert lab.get_by_role("progressbar").count() == 0


def test_without_its_runtime_the_record_stands_and_a_sentence_says_what_to_do(tab, page, tmp_path):
    shutil.copytree(page.parent, tmp_path / "site")
    with bare.serve(tmp_path) as nowhere:
        html = page.read_text("utf-8")
        assert html.count('"runtime": "pyodide/"') == 1
        (tmp_path / "site" / page.name).write_text(html.replace('"pyodide/"', f'"{nowhere}none/"'), "utf-8")
        lab = recorded(tab, f"{nowhere}site/{page.name}")
        said = sentence(lab)
        lab.get_by_role("button", name="Run live").press("Enter")
        told = lab.get_by_role("status").get_by_text("Python did not start in this page")
        told.wait_for(timeout=BOOT)
        assert "open the chapter in a notebook" in lab.get_by_role("status").text_content()
        assert sentence(lab) == said
        lab.get_by_label("Learning rate, slider").press("End")
        in_state(tab, "settled")
        assert sentence(lab) != said


def test_a_page_opened_as_a_file_says_how_to_serve_it(tab, page):
    lab = recorded(tab, page.as_uri())
    said = sentence(lab)
    lab.get_by_role("button", name="Run live").press("Enter")
    assert "python -m http.server" in lab.get_by_role("status").text_content()
    assert sentence(lab) == said
    assert tab.errors == []


def test_a_worker_that_dies_leaves_the_record(tab, site):
    lab = live(tab, site)
    lab.get_by_label("Learning rate", exact=True).fill("1.7")
    lab.get_by_label("Learning rate", exact=True).press("Enter")
    in_state(tab, "settled")
    worker = next(one for one in tab.workers if one.url.partition("?")[0].endswith("worker.js"))
    worker.evaluate("() => { setTimeout(() => { throw new RangeError('out of memory'); }); }")
    lab.get_by_role("button", name="Run live").wait_for()
    in_state(tab, "settled")
    assert "stopped" in lab.get_by_role("status").text_content()
    assert lab.get_by_label("Learning rate", exact=True).input_value() == "1"


def test_a_hidden_page_asks_python_for_nothing(tab, site):
    lab = live(tab, site)
    set_steps(tab, lab, 100_000)
    in_state(tab, "running")
    tab.evaluate("""() => {
      const real = Worker.prototype.postMessage;
      window.posted = 0;
      Worker.prototype.postMessage = function (...message) { window.posted += 1; return real.apply(this, message); };
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
    }""")
    tab.wait_for_timeout(500)
    posted = tab.evaluate("window.posted")
    tab.wait_for_timeout(500)
    assert tab.evaluate("window.posted") == posted
    tab.evaluate("""() => {
      Object.defineProperty(document, "hidden", { value: false, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    tab.wait_for_function("(before) => window.posted > before", arg=posted)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_live_lab_has_no_barrier_and_fits_a_phone(tab, site, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size(PHONE)
    lab = live(tab, site)
    assert barriers(tab, '[data-lab="retrain_it"]') == {}
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert lab.get_by_role("button", name="Stop live").is_visible()


LOG = "step,loss,rewards/chosen,rewards/rejected\n" + "".join(
    f"{step},{0.69 - 0.001 * step:.4f},{-0.001 * step:.4f},{-0.003 * step:.4f}\n" for step in range(1, 101)
)


def test_a_reader_s_own_log_is_read_in_the_page_and_goes_nowhere(tab, pyodide_folder, tmp_path):
    page = bare.write_page(tmp_path, own_run.LAB, runtime="pyodide/")
    sent = []
    tab.on("request", lambda request: sent.append((request.method, request.post_data, request.url)))
    with bare.serve(tmp_path) as site:
        tab.goto(f"{site}{page.name}")
        in_state(tab, "settled", "own_run")
        lab = lab_of(tab, "own_run")
        assert lab.locator("input[type=file]").count() == 0
        lab.get_by_role("button", name="Run live").press("Enter")
        lab.get_by_role("button", name="Stop live").wait_for(timeout=BOOT)
        in_state(tab, "settled", "own_run")
        picker = lab.get_by_label("Your file (it stays on this machine)")
        picker.set_input_files({"name": "log.csv", "mimeType": "text/csv", "buffer": LOG.encode()})
        tab.wait_for_function(
            "() => document.querySelector('.alignbook-sentence').textContent.includes('to 0.595')", timeout=BOOT
        )
        in_state(tab, "settled", "own_run")
        assert lab.locator("option:checked").first.text_content() == "your file"
        assert "step" not in tab.url
        picker.set_input_files({"name": "log.csv", "mimeType": "text/csv", "buffer": b"step,loss\n1,0.69\n"})
        in_state(tab, "failed", "own_run")
        assert sentence(lab).startswith("The run stopped: ValueError: ")
    assert {method for method, _, _ in sent} == {"GET"}
    assert not [url for _, _, url in sent if "rewards" in url]
    assert tab.errors == []
