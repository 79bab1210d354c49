"""What tests and benchmarks do with a notebook open in JupyterLab or Notebook 7, and with the labs in it."""

from typing import Any

from playwright.sync_api import Locator, Page

LIVE = "live.ipynb"  # what the tests' notebook is called
LAB = "section.alignbook-lab"
READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.context?.isReady && panel.sessionContext?.session?.kernel?.status === "idle";
}"""
FINISHED = """() => {
  const panel = jupyterapp.shell.currentWidget;
  const cells = panel.content.widgets.filter((cell) => cell.model.type === "code");
  const outputs = cells.flatMap((cell) => cell.model.outputs.toJSON());
  const errors = outputs.filter((output) => output.output_type === "error").map((error) => error.traceback.join("\\n"));
  const idle = panel.sessionContext.session?.kernel?.status === "idle";
  const finished = idle && cells.every((cell) => cell.model.executionCount);
  return errors.length || finished ? { cells: cells.length, errors } : null;
}"""
RUN_CELL = """async (index) => {
  jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  await jupyterapp.commands.execute("notebook:run-cell");
}"""
# A client of its own, so that it can ask after the notebook has been closed too.
ASK = """async ([path, code]) => {
  const { sessions, kernels } = jupyterapp.serviceManager;
  await sessions.refreshRunning();
  const session = [...sessions.running()].find((one) => one.path === path);
  const kernel = kernels.connectTo({ model: session.kernel, handleComms: false });
  const future = kernel.requestExecute({ code });
  let text = "";
  future.onIOPub = ({ content }) => {
    text += content.data?.["text/plain"] ?? content.text ?? content.traceback?.join("\\n") ?? "";
  };
  await future.done;
  kernel.dispose();
  return text;
}"""


def open_notebook(page: Page, address: str) -> None:
    """Open a notebook; return once its kernel stands by."""
    page.goto(address)
    page.wait_for_function(READY)


def run_all(page: Page, timeout: float | None = None) -> Any:
    """Run a notebook from top to bottom; return the number of its code cells and the errors."""
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")
    return page.wait_for_function(FINISHED, timeout=timeout).json_value()


def run_cell(page: Page, index: int) -> None:
    """Run one cell; return once it has been answered."""
    page.evaluate(RUN_CELL, index)


def ask_kernel(page: Page, code: str) -> str:
    """Return what the kernel of live.ipynb answers to a cell of code."""
    return page.evaluate(ASK, [LIVE, code])


def shut_down_kernels(page: Page) -> None:
    """End every kernel of the server."""
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")


def cells_and_place(page: Page) -> list[int]:
    """Return how many cells the notebook has and which one is active."""
    return page.evaluate(
        "(({ content }) => [content.widgets.length, content.activeCellIndex])(jupyterapp.shell.currentWidget)"
    )


def in_state(lab: Locator, state: str) -> None:
    """Wait until a lab is running, done or settled."""
    lab.and_(lab.page.locator(f"[data-state={state}]")).wait_for()


def set_steps(lab: Locator, steps: int) -> None:
    """Bring a lab into view, where alone a notebook lays its cells out, and type into the box of its steps."""
    lab.evaluate("(lab) => lab.scrollIntoView()")
    box = lab.get_by_label("Steps", exact=True)
    box.fill(str(steps))
    box.press("Enter")
