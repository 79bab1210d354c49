"""How soon a lab answers in JupyterLab: Chapter 2's own notebook in Chromium, its slider dragged with the mouse.

A time begins with the mouse's move, as the browser stamps it, and ends once the awaited frame has been painted.
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, sync_playwright

from alignbook.experiments.retrain_it import EXPERIMENT
from tools.drive_notebook import LAB, in_state, open_notebook, run_all, set_steps
from tools.find_browser import FLAGS, MISSING, find
from tools.start_jupyter import started

CHAPTER = "work/02_kl_constrained_optimum.ipynb"
MOVES = 20
MINUTE = 60_000
# Tells after how many ms from the next event of a slider its lab has painted: a first frame, or the last one.
WATCH = """(lab, last) => {
  window.painted = new Promise((resolve) => {
    lab.addEventListener("input", (event) => {
      const watch = new MutationObserver(() => {
        const { run, painted, state } = lab.dataset;
        if (last ? state === "done" : painted === run) {
          watch.disconnect();
          setTimeout(() => resolve(performance.now() - event.timeStamp)); // a task of its own: after the paint
        }
      });
      watch.observe(lab, { attributes: true });
    }, { capture: true, once: true });
  });
}"""
ADD_CELL = """(lab) => {
  const { content } = jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.findIndex((cell) => cell.node.contains(lab));
  jupyterapp.commands.execute("notebook:insert-cell-below");
  content.activeCell.model.sharedModel.setSource("1 + 1");
}"""
ANSWERED = """async () => {
  const began = performance.now();
  await jupyterapp.commands.execute("notebook:run-cell");
  return performance.now() - began;
}"""


def main() -> None:
    """Print the median and the worst of each time."""
    print(f"\na lab in JupyterLab (Chapter 2's Retrain it, 256 seeds): median (worst) of {MOVES}, ms")
    path = find()
    if path is None:
        print(f"  not measured: {MISSING}")
        return
    with retrain_it(path) as lab:
        set_steps(lab, 100_000)
        in_state(lab, "running")
        tell("a moved slider's first frame, during 100,000 steps", drag(lab, last=False))
        tell("another cell's answer, 1 + 1, meanwhile", ask_another_cell(lab))
        set_steps(lab, 1000)
        in_state(lab, "settled")
        tell("a moved slider's last frame, of 1000 steps", drag(lab, last=True))


@contextmanager
def retrain_it(browser_path: str) -> Iterator[Locator]:
    """Run the whole chapter in JupyterLab and answer the question of its lab."""
    with (
        tempfile.TemporaryDirectory() as place,
        started(Path(place)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser_path, args=FLAGS) as browser,
    ):
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(2 * MINUTE)
        open_notebook(page, server.url(CHAPTER))
        run_all(page, timeout=5 * MINUTE)
        lab = page.locator(LAB, has_text=EXPERIMENT.question)
        lab.evaluate("(lab) => lab.scrollIntoView()")
        lab.locator("input[type=radio]").first.check()
        lab.get_by_role("button", name="Commit").click()
        in_state(lab, "settled")
        yield lab


def drag(lab: Locator, last: bool) -> list[float]:
    """Drag a lab's main slider along, waiting at each place for what is to be shown; return the times."""
    slider, mouse = lab.locator("input[type=range]").first, lab.page.mouse
    slider.scroll_into_view_if_needed()
    times = []
    for move in range(MOVES):
        box = slider.bounding_box()
        lab.evaluate(WATCH, last)
        mouse.move(box["x"] + box["width"] * (20 + 3 * move) / 100, box["y"] + box["height"] / 2)
        if move == 0:
            mouse.down()
        times.append(lab.page.evaluate("painted"))
    mouse.up()
    return times


def ask_another_cell(lab: Locator) -> list[float]:
    """Return how long a cell below the lab takes while the lab is running."""
    lab.evaluate(ADD_CELL)
    times = [lab.page.evaluate(ANSWERED) for _ in range(MOVES)]
    if lab.get_attribute("data-state") != "running":
        raise RuntimeError("The long run has ended before the other cell's last answer.")
    return times


def tell(what: str, times: list[float]) -> None:
    """Print a line."""
    print(f"  {what:52} {statistics.median(times):4.0f} ({max(times):.0f})", flush=True)


if __name__ == "__main__":
    main()
