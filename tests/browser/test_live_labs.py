"""Vouches for a lab in JupyterLab: it answers at once while it trains, and leaves nothing behind.

How fast it answers belongs to the machine: `make bench` prints it.
"""

import pytest

from tools.drive_notebook import LAB, ask_kernel, cells_and_place, in_state, run_cell, set_steps

TWIN = "twin = show(LAB)\ntwin.guess = 0\ntwin"
# Every generator of the experiment that is still alive and not at its end, whoever holds it.
ALIVE = """import gc, types
sum(
    isinstance(one, types.GeneratorType) and one.gi_frame is not None
    and one.gi_code.co_filename.endswith("experiments/retrain_it.py")
    for one in gc.get_objects()
)"""
MOVES = """(lab) => new Promise((resolve) => {
  const slider = lab.querySelector("input[type=range]");
  let moves = 0;
  const timer = setInterval(() => {
    slider.value = moves += 1;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    if (moves === 100) {
      clearInterval(timer);
      resolve();
    }
  }, 50);
})"""
SHOWN = f"() => {{ const lab = document.querySelector('{LAB}'); return lab.dataset.painted === lab.dataset.run; }}"


@pytest.fixture
def live(lab, run_live):
    """A notebook with a live lab and a cell that asks for its settings."""
    return run_live(lab, "lab.settings")


def start_long_run(lab):
    set_steps(lab, 100_000)
    in_state(lab, "running")


def test_a_moved_slider_shows_its_own_run_and_another_cell_answers_while_a_long_one_goes_on(live):
    lab = live.locator(LAB)
    start_long_run(lab)
    for place in (20, 50, 80):
        lab.locator("input[type=range]").first.fill(str(place))
        live.wait_for_function(SHOWN)
        run_cell(live, 2)
        rate = lab.locator("input[type=number]").first.input_value()
        answer = live.locator(".jp-OutputArea-output", has_text=f"'learning_rate': {rate}")
        answer.wait_for()
        assert lab.get_attribute("data-state") == "running"
    assert ask_kernel(live, ALIVE) == "1"
    assert live.outside == []


def test_a_hundred_moves_leave_one_run_and_the_last_value(live):
    lab = live.locator(LAB)
    start_long_run(lab)
    lab.evaluate(MOVES)
    live.wait_for_function(SHOWN)
    assert ask_kernel(live, ALIVE) == "1"
    shown = lab.locator("input[type=number]").first.input_value()
    assert float(ask_kernel(live, "lab.learning_rate")) == float(shown) == 40.0


def test_a_cell_run_again_leaves_no_run_of_before(live):
    start_long_run(live.locator(LAB))
    assert ask_kernel(live, ALIVE) == "1"
    run_cell(live, 1)
    in_state(live.locator(LAB), "settled")
    assert ask_kernel(live, ALIVE) == "0"


def test_a_view_that_is_gone_leaves_no_run(live):
    start_long_run(live.locator(LAB))
    assert ask_kernel(live, ALIVE) == "1"
    live.evaluate("""async () => {
      jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
      await jupyterapp.commands.execute("notebook:clear-cell-output");
    }""")
    live.locator(LAB).wait_for(state="detached")
    assert ask_kernel(live, ALIVE) == "0"


@pytest.fixture
def twins(lab, run_live):
    """A notebook in which two copies of a lab are at a long run each."""
    page = run_live(lab, TWIN)
    for copy in page.locator(LAB).all():
        start_long_run(copy)
    assert ask_kernel(page, ALIVE) == "2"
    return page


def test_a_closed_notebook_leaves_no_run_of_either_copy(twins):
    twins.evaluate("""async () => {
      await jupyterapp.shell.currentWidget.context.save();
      jupyterapp.shell.currentWidget.close();
    }""")
    twins.locator(".jp-NotebookPanel").wait_for(state="detached")
    assert ask_kernel(twins, ALIVE) == "0"


def test_a_window_that_goes_away_leaves_no_run_of_either_copy(lab, twins):
    twins.goto(lab.url("work"))
    twins.wait_for_function("() => window.jupyterapp?.serviceManager.isReady")
    assert ask_kernel(twins, ALIVE) == "0"


def test_an_arrow_key_moves_the_slider_and_not_the_notebook(live):
    slider = live.locator(LAB).locator("input[type=range]").first
    slider.focus()
    before, cells = int(slider.input_value()), cells_and_place(live)
    slider.press("ArrowRight")
    slider.press("ArrowDown")
    slider.press("ArrowRight")
    assert int(slider.input_value()) == before + 1
    for _ in range(2):  # d, d deletes a cell
        slider.press("d")
    in_state(live.locator(LAB), "settled")
    assert cells_and_place(live) == cells
