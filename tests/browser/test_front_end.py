"""Vouches for the labs' front end: a small lab on a page, and one fed by a kernel that the tests play."""

import dataclasses

import pytest

from alignbook.labs import front_end
from alignbook.labs.lab import declaration
from tests import labs_sample as sample
from tests.browser.visits import Visit, away, commit, main_sliders
from tools import bare_page as bare


def test_a_lab_moves_over_http_too(tab, sample_page):
    with bare.serve(sample_page.parent) as site:
        visit = Visit(tab, f"{site}sample.html", "labs_sample")
        lab = visit.opened()
        away(main_sliders(lab).first)
        visit.settle()
    assert lab.locator(".alignbook-sentence").text_content() == "At rate 1 the curve reaches 2 after 10 steps."
    assert tab.outside == []


@pytest.fixture
def visit(tab, sample_page):
    """The small lab on its page."""
    return Visit(tab, sample_page.as_uri(), "labs_sample")


def test_what_is_live_only_says_so(visit):
    lab = visit.opened()
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


def test_a_lab_without_noise_shows_no_seed_and_one_without_steps_no_run(tab, sample_page):
    exact = dataclasses.replace(sample.GROWTH, seeded=False, prediction=None)
    lab = live_lab(tab, sample_page, frames(1), dataclasses.replace(sample.OPEN, experiment=exact))
    in_state(tab, "settled")
    assert lab.get_by_label("Seed", exact=True).count() == 0
    assert lab.get_by_role("button", name="Run", exact=True).count() == 1
    one_look = dataclasses.replace(exact, parameters=exact.parameters[:-1])
    lab = live_lab(tab, sample_page, frames(1), dataclasses.replace(sample.OPEN, experiment=one_look))
    in_state(tab, "settled")
    assert lab.get_by_role("button", name="Run", exact=True).count() == 0


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


def test_nobody_commits_to_a_number_they_never_chose(visit):
    lab = visit.untouched()
    lab.get_by_role("button", name="Commit").press("Enter")
    assert lab.locator(".alignbook-ask").count() == 1
    assert lab.locator(".alignbook-ask input:invalid").count() == 1


def test_a_typed_value_that_cannot_be_had_is_not_changed_in_silence(visit):
    lab = visit.untouched()
    box = lab.locator(".alignbook-ask input[type=number]").first
    for typed, taken, told in (("7", "3", "7 became 3: 0 to 3."), ("1", "1", "")):
        box.fill(typed)
        box.press("Tab")
        assert box.input_value() == taken
        assert lab.locator(".alignbook-ask [role=alert]").text_content() == told


def test_reset_leaves_no_ghost_and_the_verdict_says_what_it_is_about(visit):
    lab = visit.opened()
    away(main_sliders(lab).first)
    visit.settle()
    verdict = lab.locator(".alignbook-verdict").text_content()
    assert "At Rate 0.5, which the question is about, it is: 1 units. " in verdict
    assert verdict.endswith("(Reset goes back there.)")
    assert "the setting before" in lab.text_content()
    lab.get_by_role("button", name="Reset").press("Enter")
    visit.settle()
    assert visit.drawn("last") == []
    assert "Reset goes back" not in lab.locator(".alignbook-verdict").text_content()


def test_a_link_to_a_setting_waits_for_the_prediction_and_stays_in_view(visit):
    visit.load("#lab-labs_sample?rate=1")
    assert visit.lab.get_by_label("Rate (per step)", exact=True).input_value() == "0.5"
    assert abs(visit.lab.bounding_box()["y"]) < 80
    assert "about the lab as it opens; Rate 1 comes next." in visit.lab.text_content()
    commit(visit.lab)
    visit.settle()
    assert visit.lab.get_by_label("Rate (per step)", exact=True).input_value() == "1"
