"""Vouches for the labs of the book's pages, and for their front end fed by a kernel that the tests play.

Every lab that a page shows is found by itself, and tested once; a small lab of the tests joins them.
"""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from alignbook.labs import front_end
from alignbook.labs.lab import declaration
from tests import labs_sample as sample
from tools import bare_page as bare

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^from alignbook\.labs\.(\w+) import", re.MULTILINE)
PAGES = [*sorted((ROOT / "chapters").glob("*.md")), *sorted((ROOT / "book").glob("*.md"))]
HOMES = {name: path for path in reversed(PAGES) for name in SHOWN.findall(path.read_text("utf-8"))}
LABS = [("sample", "labs_sample"), *((f"{path.parent.name}/{path.stem}", name) for name, path in HOMES.items())]
HEADER = 60  # pixels that the theme's header covers
VALUES = """(name) => [...document.querySelectorAll(`[data-lab="${name}"] .alignbook-panel`)].map((panel) =>
  panel.alignbookView.data("table"))"""
AXES = """(name) => [...document.querySelectorAll(`[data-lab="${name}"] svg .role-axis text`)].map((label) =>
  label.textContent + label.closest("g[transform]").getAttribute("transform"))"""


@pytest.fixture(scope="module")
def sample_page(tmp_path_factory):
    """A bare page of the small lab."""
    return bare.write_page(tmp_path_factory.mktemp("sample"), sample.LAB)


@pytest.fixture(params=LABS, ids=[name for _, name in LABS])
def address(request):
    """The page of each lab, opened as a file, and the lab's name."""
    page, name = request.param
    if page == "sample":
        return request.getfixturevalue("sample_page").as_uri(), name
    return (request.getfixturevalue("built_book") / f"{page}.html").as_uri(), name


def lab_in(tab, address, query=""):
    """Open the page of a lab and return the lab once it stands."""
    uri, name = address
    tab.goto("about:blank")
    tab.goto(uri + query)
    lab = tab.locator(f'[data-lab="{name}"]')
    lab.locator("svg").first.wait_for()
    return lab


def settled(tab, address):
    tab.wait_for_function(
        "(name) => document.querySelector(`[data-lab='${name}']`).dataset.state === 'settled'", arg=address[1]
    )


def commit(lab):
    """Answer the lab's question, if it asks one, by keyboard alone."""
    form = lab.locator(".alignbook-ask")
    if form.count():
        if form.locator("input[type=radio]").count():
            form.locator("input[type=radio]").first.press("Space")
        for box in form.locator("input[type=number]").all():
            if not box.input_value():
                low, high = (float(box.get_attribute(name)) for name in ("min", "max"))
                box.fill(str((low + high) / 2))
                box.press("Tab")
        form.get_by_role("button", name="Commit").press("Enter")


def opened(tab, address, query=""):
    lab = lab_in(tab, address, query)
    commit(lab)
    settled(tab, address)
    return lab


def main_sliders(lab):
    return lab.locator(".alignbook-main .alignbook-input:not([hidden]) input[type=range]")


MOVES = """(slider, places) => {
  places.forEach((place) => {
    slider.value = place;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return slider.closest(".alignbook-lab").querySelector("[aria-live=polite]").textContent;
}"""


def away(slider):
    """Move a slider, in two steps, to the end where it is not; at once, so that nothing settles in between."""
    last = int(slider.get_attribute("max"))
    slider.evaluate(MOVES, [last // 2, 0 if slider.input_value() == str(last) else last])


def serious(tab, address):
    found = Axe().run(tab, context=f'[data-lab="{address[1]}"]').response["violations"]
    return {rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found}


def test_a_lab_moves_by_keyboard_without_the_network(tab, address):
    lab = opened(tab, address)
    for slider in main_sliders(lab).all():
        before = slider.input_value()
        said = lab.locator(".alignbook-sentence").text_content()
        slider.press("ArrowRight" if before != slider.get_attribute("max") else "ArrowLeft")
        assert slider.input_value() != before
        tab.wait_for_function(
            "([name, said]) => document.querySelector(`[data-lab='${name}'] .alignbook-sentence`).textContent !== said",
            arg=[address[1], said],
        )
    assert tab.outside == []
    assert tab.errors == []


def test_the_number_box_moves_as_its_slider_does(tab, address):
    lab = opened(tab, address)
    slider, box = main_sliders(lab).first, lab.locator(".alignbook-main input[type=number]:visible").first
    before = int(slider.input_value())
    key, step = ("ArrowUp", 1) if before < int(slider.get_attribute("max")) else ("ArrowDown", -1)
    box.press(key)
    assert int(slider.input_value()) == before + step


def test_every_input_has_a_name_and_every_slider_says_its_value(tab, address):
    lab = opened(tab, address)
    for one in lab.locator("input, select").all():
        assert one.evaluate("(one) => one.ariaLabel || [...one.labels].map((label) => label.textContent).join('')")
    for slider in lab.locator("input[type=range]").all():
        assert slider.get_attribute("aria-valuetext")


def test_nothing_of_the_outcome_is_there_before_the_reader_commits(tab, address):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    lab = lab_in(tab, address)
    if not lab.locator(".alignbook-ask").count():
        pytest.skip("this lab asks no question")
    assert lab.get_attribute("data-state") == "asking"
    assert not [url for url in asked if "/labs/" in url]
    assert tab.evaluate("window.alignbookRecords") is None
    assert all(rows == [] for rows in tab.evaluate(VALUES, address[1]))
    assert lab.locator(".alignbook-sentence").text_content() == ""
    question = lab.locator(".alignbook-question").text_content()
    assert lab.get_by_role("img", name=question, exact=True).count() == 1
    html = lab.evaluate("(lab) => lab.outerHTML")
    record = json.loads(load_record(tab, address))
    assert record["why"] not in html
    assert not [sentence for sentence in record["sentences"] if sentence in html]


def load_record(tab, address):
    """The text of a lab's record, read from its file."""
    name = address[1]
    source = tab.locator(f'[data-lab="{name}"]').evaluate("(lab) => new URL(lab.dataset.record, location).pathname")
    return Path(source).read_text("utf-8").partition(" = ")[2].strip().removesuffix(";")


def test_after_committing_the_guess_stands_beside_the_answer_until_forgotten(tab, address):
    lab = lab_in(tab, address)
    if not lab.locator(".alignbook-ask").count():
        pytest.skip("this lab asks no question")
    commit(lab)
    settled(tab, address)
    assert lab.locator(":focus").count() == 1  # not lost with the form
    verdict = lab.locator(".alignbook-verdict").text_content()
    assert re.match(r"You said: .+\. It is: .+\. ", verdict)
    assert any(row["ghost"] == "guess" for rows in tab.evaluate(VALUES, address[1]) for row in rows)
    tab.reload()
    settled(tab, address)
    assert lab.locator(".alignbook-verdict").text_content() == verdict
    lab.get_by_role("button", name="Forget my guesses").press("Enter")
    lab.locator(".alignbook-ask").wait_for()
    assert lab.locator(".alignbook-ask :focus").count() == 1
    assert lab.locator(".alignbook-sentence").text_content() == ""
    assert tab.evaluate("localStorage.getItem('alignbook-guesses')") == "{}"


def test_show_me_anyway_tells_the_answer_and_no_guess(tab, address):
    lab = lab_in(tab, address)
    if not lab.locator(".alignbook-ask").count():
        pytest.skip("this lab asks no question")
    lab.get_by_role("button", name="Show me anyway").press("Enter")
    settled(tab, address)
    assert lab.locator(".alignbook-verdict").text_content().startswith("It is: ")
    assert tab.evaluate("localStorage.getItem('alignbook-guesses')") is None


def test_the_sentence_is_the_picture_s_name_and_is_announced_when_things_settle(tab, address):
    lab = opened(tab, address)
    said = lab.locator(".alignbook-sentence").text_content()
    assert lab.get_by_role("img", name=said, exact=True).count() == 1
    announced = lab.locator("[aria-live=polite]")
    heard = announced.text_content()
    verdict = lab.locator(".alignbook-verdict")
    assert heard == (f"{verdict.text_content()} {said}" if verdict.is_visible() else said)
    slider = main_sliders(lab).first
    last = int(slider.get_attribute("max"))
    assert slider.evaluate(MOVES, [0, last, last - 1]) == heard  # what is announced while it moves
    settled(tab, address)
    assert announced.text_content() == lab.locator(".alignbook-sentence").text_content()


def test_axes_stand_still_while_a_slider_moves(tab, address):
    lab = opened(tab, address)
    axes = tab.evaluate(AXES, address[1])
    assert axes
    for slider in main_sliders(lab).all():
        for key in ("End", "Home"):
            slider.press(key)
            settled(tab, address)
            assert tab.evaluate(AXES, address[1]) == axes


def test_the_last_setting_stays_as_a_ghost(tab, address):
    lab = opened(tab, address)
    before = [row for row in tab.evaluate(VALUES, address[1])[0] if row["ghost"] == ""]
    assert not any(row["ghost"] == "last" for row in tab.evaluate(VALUES, address[1])[0])
    away(main_sliders(lab).first)
    settled(tab, address)
    ghost = [row for row in tab.evaluate(VALUES, address[1])[0] if row["ghost"] == "last"]
    assert [{**row, "ghost": ""} for row in ghost] == before


def test_the_settings_are_in_the_address_and_come_back_from_it(tab, address):
    lab = opened(tab, address)
    assert "#" not in tab.url
    away(main_sliders(lab).first)
    settled(tab, address)
    said = lab.locator(".alignbook-sentence").text_content()
    fragment = tab.url.partition("#")[2]
    assert fragment.startswith(f"lab-{address[1]}?")
    again = opened(tab, address, f"#{fragment}")
    assert again.locator(".alignbook-sentence").text_content() == said
    lab.get_by_role("button", name="Reset").press("Enter")
    settled(tab, address)
    assert tab.url.partition("#")[2] != fragment


def test_every_setting_to_try_sets_the_controls(tab, address):
    lab = opened(tab, address)
    for button in lab.get_by_role("button", name=re.compile("^Try: ")).all():
        button.press("Enter")
        settled(tab, address)
        assert lab.locator(".alignbook-sentence").text_content()
    assert tab.errors == []


def test_the_table_is_a_real_one(tab, address):
    lab = opened(tab, address)
    lab.get_by_text("Show table").press("Enter")
    table = lab.get_by_role("table")
    table.wait_for()
    rows = [row for row in tab.evaluate(VALUES, address[1])[0] if row["ghost"] == ""]
    assert table.locator("tbody tr").count() == min(len(rows), 200)
    assert table.get_by_role("columnheader").count() == len([name for name in rows[0] if name != "ghost"])


def test_a_phone_shows_slider_chart_and_sentence_together(tab, address):
    tab.set_viewport_size({"width": 390, "height": 700})
    lab = opened(tab, address)
    first = main_sliders(lab).first
    top = min(one.bounding_box()["y"] for one in (first, lab.locator(".alignbook-picture")))
    sentence = lab.locator(".alignbook-sentence").bounding_box()
    assert sentence["y"] + sentence["height"] - top <= 700 - HEADER
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 390
    right = lab.bounding_box()["x"] + lab.bounding_box()["width"]
    assert all(one.bounding_box()["x"] + one.bounding_box()["width"] <= right for one in lab.locator("svg").all())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lab_has_no_barrier(tab, address, scheme):
    tab.emulate_media(color_scheme=scheme)
    lab = lab_in(tab, address)
    assert serious(tab, address) == {}
    commit(lab)
    settled(tab, address)
    for fold in lab.locator("summary:visible").all():
        fold.press("Enter")
    assert serious(tab, address) == {}


def test_a_lab_moves_over_http_too(tab, sample_page):
    with bare.serve(sample_page.parent) as site:
        address = (f"{site}sample.html", "labs_sample")
        lab = opened(tab, address)
        away(main_sliders(lab).first)
        settled(tab, address)
    assert lab.locator(".alignbook-sentence").text_content() == "At rate 1 the curve reaches 2 after 10 steps."
    assert tab.outside == []


def test_what_is_live_only_says_so(tab, sample_page):
    lab = opened(tab, (sample_page.as_uri(), "labs_sample"))
    assert lab.get_by_label("Steps", exact=True).is_disabled()
    assert "Press Run live to change these: Steps." in lab.text_content()


# A kernel that the test plays: it answers each request at once with the next of a run's frames.
KERNEL = """async ([code, declaration, frames]) => {
  const lab = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  const handlers = new Map();
  const state = { declaration, engines: ["numpy", "torch-cpu"], engine: "numpy", seed: 0, guess: null };
  declaration.parameters.forEach((parameter) => { state[parameter.name] = parameter.start; });
  const kernel = { asked: [], frame: 0, state, tell: (name) => handlers.get(name)?.() };
  const reply = ({ view, request }) => handlers.get("msg:custom")({ view, request, ...frames[kernel.frame] });
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (names, handler) => names.split(" ").forEach((name) => handlers.set(name, handler)),
    off: (names) => names.split(" ").forEach((name) => handlers.delete(name)),
    send: (message) => {
      kernel.asked.push({ ...message, painted: document.querySelector("#live [role=img]")?.ariaLabel });
      if (message.kind === "next") {
        kernel.frame = Object.keys(message.changed).length || message.again ? 0 : kernel.frame;
        setTimeout(() => { reply(message); kernel.frame += 1; });
      }
    },
  };
  const el = document.createElement("div");
  el.id = "live";
  document.querySelector("main").replaceChildren(el);
  window.kernel = kernel;
  kernel.leave = lab.render({ model, el });
}"""
LIVE = "#live section"


def frames(count, **last):
    def frame(step):
        table = {"step": list(range(step + 1)), "height": [0.2 * k for k in range(step + 1)]}
        return {"table": table, "sentence": f"It is step {step}.", "done": step == count}

    return [*(frame(step) for step in range(count)), {**frame(count), **last}]


def live_lab(tab, sample_page, shown, lab=sample.OPEN):
    tab.goto(sample_page.as_uri())
    tab.locator("svg").first.wait_for()
    code = front_end.notebook_module()
    tab.evaluate(KERNEL, [code, declaration(lab), shown])
    return tab.locator(LIVE)


def in_state(tab, state):
    tab.wait_for_function(f"(state) => document.querySelector('{LIVE}').dataset.state === state", arg=state)


def test_the_next_frame_is_asked_for_once_the_last_is_painted(tab, sample_page):
    live_lab(tab, sample_page, frames(5))
    in_state(tab, "settled")
    painted = [message["painted"] for message in tab.evaluate("kernel.asked")]
    assert painted == ["How does it grow?", *(f"It is step {step}." for step in range(5))]


def test_a_moved_slider_tells_the_kernel_what_has_changed(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(3))
    in_state(tab, "settled")
    lab.get_by_label("Rate, slider").press("End")
    in_state(tab, "settled")
    changed = [message["changed"] for message in tab.evaluate("kernel.asked")]
    assert changed == [{}] * 4 + [{"rate": 1}] + [{}] * 3


def test_a_parameter_set_in_python_moves_the_slider(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(3))
    in_state(tab, "settled")
    tab.evaluate("() => { kernel.state.rate = 1; kernel.frame = 0; kernel.tell('change:rate'); }")
    in_state(tab, "settled")
    assert lab.get_by_label("Rate, slider").input_value() == "100"
    assert not any(message["changed"] for message in tab.evaluate("kernel.asked"))


def test_pause_asks_for_nothing_and_run_goes_on(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(100_000 // 1000))
    lab.get_by_role("button", name="Pause").click()
    in_state(tab, "paused")
    said = lab.locator(".alignbook-sentence").text_content()
    asked = tab.evaluate("() => new Promise((go) => setTimeout(() => go(kernel.asked.length), 300))")
    assert tab.evaluate("() => new Promise((go) => setTimeout(() => go(kernel.asked.length), 300))") == asked
    assert lab.locator(".alignbook-sentence").text_content() == said
    lab.get_by_role("button", name="Run").click()
    in_state(tab, "settled")
    assert lab.locator(".alignbook-sentence").text_content() == "It is step 100."


def test_a_hidden_page_asks_for_nothing(tab, sample_page):
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    live_lab(tab, sample_page, frames(40))
    tab.evaluate(hide, True)
    tab.evaluate("() => new Promise((go) => setTimeout(go, 200))")
    asked = tab.evaluate("kernel.asked.length")
    assert tab.evaluate("() => new Promise((go) => setTimeout(() => go(kernel.asked.length), 300))") == asked
    tab.evaluate(hide, False)
    in_state(tab, "settled")


def test_reduced_motion_shows_the_last_frame_alone(tab, sample_page):
    tab.emulate_media(reduced_motion="reduce")
    live_lab(tab, sample_page, frames(5))
    in_state(tab, "settled")
    assert {message["painted"] for message in tab.evaluate("kernel.asked")} == {"How does it grow?"}
    assert tab.locator(LIVE).get_by_role("img", name="It is step 5.").count() == 1


def test_an_error_is_one_sentence_with_its_traceback_folded(tab, sample_page):
    lab = live_lab(tab, sample_page, [{"error": "ValueError: no.", "traceback": "line 1"}])
    in_state(tab, "failed")
    assert lab.locator(".alignbook-sentence").text_content() == "The run stopped: ValueError: no."
    assert not lab.get_by_text("line 1").is_visible()
    lab.get_by_text("Traceback").press("Enter")
    assert lab.get_by_text("line 1").is_visible()


def test_keys_do_not_leave_the_lab(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(1))
    in_state(tab, "settled")
    assert lab.get_attribute("data-lm-suppress-shortcuts") == "true"
    tab.evaluate("() => { window.heard = []; window.addEventListener('keydown', (event) => heard.push(event.key)); }")
    for one in lab.locator("input:visible, select:visible, button:visible, summary:visible").all():
        one.press("ArrowRight")
    assert tab.evaluate("heard") == []


def test_a_live_lab_asks_for_no_frame_before_the_reader_commits(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(3, answer=1.0, why="So."), sample.LAB)
    lab.get_by_role("button", name="Commit").wait_for()
    assert tab.evaluate("kernel.asked") == []
    commit(lab)
    in_state(tab, "settled")
    assert tab.evaluate("kernel.state.guess") == 1.5
    assert lab.locator(".alignbook-verdict").text_content() == "You said: 1.5 units. It is: 1 units. So."


def test_three_points_are_asked_for_and_stand_at_their_places(tab, sample_page):
    points = dataclasses.replace(sample.PREDICTION, kind="points", at=(0.0, 5.0, 10.0))
    asking = dataclasses.replace(sample.LAB, experiment=dataclasses.replace(sample.GROWTH, prediction=points))
    lab = live_lab(tab, sample_page, frames(3, answer=[0.0, 0.5, 1.0], why="So."), asking)
    lab.get_by_label("At 5 (units)", exact=True).fill("2")
    lab.get_by_label("At 5 (units)", exact=True).press("Tab")
    commit(lab)
    in_state(tab, "settled")
    said = "You said: 1.5 units at 0, 2 units at 5, 1.5 units at 10. "
    right = "It is: 0 units at 0, 0.5 units at 5, 1 units at 10. So."
    assert lab.locator(".alignbook-verdict").text_content() == said + right
    rows = lab.locator(".alignbook-panel").evaluate("(panel) => panel.alignbookView.data('table')")
    assert [(row["at"], row["guess"]) for row in rows if row["ghost"] == "guess"] == [(0, 1.5), (5, 2), (10, 1.5)]


def test_a_vector_s_entries_are_edited_when_live(tab, sample_page):
    lab = live_lab(tab, sample_page, frames(3))
    in_state(tab, "settled")
    lab.get_by_text("Edit Weights").press("Enter")
    lab.get_by_label("a, slider", exact=True).press("End")
    in_state(tab, "settled")
    assert [message["changed"] for message in tab.evaluate("kernel.asked")][4] == {"weights": [2, 1]}
    assert lab.get_by_label("Weights", exact=True).evaluate("(one) => one.selectedOptions[0].text") == "your own"


def test_a_view_that_leaves_says_so(tab, sample_page):
    live_lab(tab, sample_page, frames(3))
    in_state(tab, "settled")
    tab.evaluate("kernel.leave()")
    assert tab.evaluate("kernel.asked.at(-1).kind") == "stop"


def test_a_lab_without_the_drawing_code_says_what_to_run(tab, sample_page):
    tab.goto(sample_page.as_uri())
    tab.locator("svg").first.wait_for()
    tab.evaluate("() => { window.kept = window.vegaEmbed; window.vegaEmbed = undefined; }")
    code = front_end.notebook_module()
    tab.evaluate(KERNEL, [code, declaration(sample.OPEN), frames(1)])
    assert "Run the chapter's first cell" in tab.locator(LIVE).text_content()
    tab.evaluate("() => { window.vegaEmbed = window.kept; }")
    in_state(tab, "settled")


def test_nobody_commits_to_a_number_they_never_chose(tab, sample_page):
    lab = lab_in(tab, (sample_page.as_uri(), "labs_sample"))
    lab.get_by_role("button", name="Commit").press("Enter")
    assert lab.locator(".alignbook-ask").count() == 1
    assert lab.locator(".alignbook-ask input:invalid").count() == 1


def test_reset_leaves_no_ghost_and_the_verdict_says_what_it_is_about(tab, sample_page):
    address = (sample_page.as_uri(), "labs_sample")
    lab = opened(tab, address)
    away(main_sliders(lab).first)
    settled(tab, address)
    assert lab.locator(".alignbook-verdict").text_content().endswith("Reset goes back to them.)")
    assert "the setting before" in lab.text_content()
    lab.get_by_role("button", name="Reset").press("Enter")
    settled(tab, address)
    assert not any(row["ghost"] == "last" for row in tab.evaluate(VALUES, address[1])[0])
    assert "Reset goes back" not in lab.locator(".alignbook-verdict").text_content()


def test_a_link_to_a_setting_waits_for_the_prediction_and_stays_in_view(tab, sample_page):
    address = (sample_page.as_uri(), "labs_sample")
    lab = lab_in(tab, address, "#lab-labs_sample?rate=1")
    assert lab.get_by_label("Rate (per step)", exact=True).input_value() == "0.5"
    assert abs(lab.bounding_box()["y"]) < 80
    commit(lab)
    settled(tab, address)
    assert lab.get_by_label("Rate (per step)", exact=True).input_value() == "1"
