"""Python in the page, in Chromium over http on this machine: how long until it answers, how much it moves and holds."""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Page, Response, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "book/_ext"))  # for what the book's pages are made of

from alignbook.experiments.declare import starts
from alignbook.experiments.retrain_it import EXPERIMENT
from alignbook.labs import retrain_it
from tools import bare_page, find_browser, runtime

FLAGS = ["--no-sandbox", "--disable-gpu"]
STATE = "(state) => document.querySelector('.alignbook-lab').dataset.state === state"
PAINTED = """([press]) => new Promise((resolve) => {
  const lab = document.querySelector(".alignbook-lab");
  const button = [...lab.querySelectorAll("button")].find((one) => one.textContent === press);
  const began = performance.now();
  const run = lab.dataset.run;
  new MutationObserver(() => {
    if (lab.dataset.painted !== run && lab.dataset.painted === lab.dataset.run) {
      resolve(performance.now() - began);
    }
  }).observe(lab, { attributes: true });
  button.click();
})"""
DONE = """([place]) => new Promise((resolve) => {
  const lab = document.querySelector(".alignbook-lab");
  const slider = lab.querySelector("input[type=range]");
  const began = performance.now();
  const watch = new MutationObserver(() => {
    if (lab.dataset.state === "done") {
      watch.disconnect();
      resolve(performance.now() - began);
    }
  });
  watch.observe(lab, { attributes: true });
  slider.value = place;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""
ANSWERED = """async (message) => {
  const { worker: script, ...addresses } = JSON.parse(document.querySelector("#alignbook-runtime").textContent);
  const worker = new Worker(script, { type: "module" });
  const heard = (kind) => new Promise((resolve) => {
    worker.onmessage = ({ data }) => { if (data.kind === kind) { resolve(data); } };
  });
  worker.postMessage({ kind: "boot", ...addresses });
  await heard("ready");
  const spent = [];
  for (let run = 0; run < 6; run += 1) {
    let busy = 0;
    for (let done = false, again = true; !done; again = false) {
      const began = performance.now();
      worker.postMessage({ ...message, again });
      ({ done } = await heard("frame"));
      busy += performance.now() - began;
    }
    spent.push(busy);
  }
  worker.terminate();
  return spent.slice(1);
}"""
STOPPED = """async (presses) => {
  const lab = document.querySelector(".alignbook-lab");
  const runner = [...lab.querySelectorAll("button")].find((one) => one.textContent === "Pause");
  const real = Worker.prototype.postMessage;
  let last = 0;
  Worker.prototype.postMessage = function (...message) { last = performance.now(); return real.apply(this, message); };
  const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const late = [];
  for (let press = 0; press < presses; press += 1) {
    await wait(150);
    const began = performance.now();
    runner.click();
    await wait(400);
    late.push(Math.max(0, last - began));
    runner.click();
  }
  return late;
}"""


def main() -> None:
    """Print the figures; say in one line what is missing where they cannot be had."""
    print("\nPython in the page (Chromium, http on this machine)")
    path = find_browser.find()
    try:
        runtime.find()
    except runtime.UnavailableError as gone:
        print(f"  not measured: {gone}")
        return
    if path is None:
        print(f"  not measured: {find_browser.MISSING}")
        return
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as profile:
        page = bare_page.write_page(Path(folder), retrain_it.LAB, runtime="pyodide/")
        with bare_page.serve(page.parent) as site, sync_playwright() as playwright:
            start = playwright.chromium.launch_persistent_context
            for name in ("cold", "cached"):
                with start(profile, executable_path=path, args=FLAGS) as context:
                    measure_boot(context, profile, f"{site}{page.name}", name)
            with start(profile, executable_path=path, args=FLAGS) as context:
                measure_runs(context.new_page(), f"{site}{page.name}")


def measure_boot(context: BrowserContext, profile: str, address: str, name: str) -> None:
    """Print the time from the press to the first frame, what came over the wire, and the memory held."""
    tab = context.new_page()
    moved: list[Response] = []
    tab.on("response", lambda response: moved.append(response))
    opened(tab, address)
    before = memory(profile)
    first = tab.evaluate(PAINTED, ["Run live"])
    sizes = [
        one.request.sizes()["responseBodySize"] for one in moved if "pyodide" in one.url or one.url.endswith("zip")
    ]
    megabytes = sum(size for size in sizes if size > 0) / 1e6
    print(f"  press to first frame, {name}: {first / 1000:.1f} s, {megabytes:.1f} MB moved", end="")
    print(f", memory {before:.0f} -> {memory(profile):.0f} MB")


def measure_runs(tab: Page, address: str) -> None:
    """Print how long a warm run takes, against native numpy, and how soon a pause holds."""
    settings = starts(EXPERIMENT) | {"steps": 1000}
    opened(tab, address)
    wish = {"kind": "next", "lab": "retrain_it", "view": "bench", "request": 1, "seed": 0, "engine": "numpy"}
    page = statistics.median(tab.evaluate(ANSWERED, {**wish, "settings": settings}))
    native = statistics.median(timed(settings) for _ in range(6))
    tab.evaluate(PAINTED, ["Run live"])
    set_steps(tab, 1000)
    tab.wait_for_function(STATE, arg="settled", timeout=120_000)
    last = [tab.evaluate(DONE, [20 + 5 * place]) for place in range(10)]
    set_steps(tab, 100_000)
    tab.wait_for_function(STATE, arg="running")
    late = tab.evaluate(STOPPED, 10)
    print(
        f"  a warm run of 1000 steps, 256 seeds: {page:.0f} ms in the worker, {page / native:.1f} times native numpy;"
    )
    print(f"  on the screen {statistics.median(last):.0f} ms (worst {max(last):.0f})")
    print(f"  the last request after a pause: {statistics.median(late):.0f} ms later (worst {max(late):.0f})")


def opened(tab: Page, address: str) -> None:
    """Open the page, with the question answered."""
    tab.goto(address)
    tab.get_by_role("button", name="Show me anyway").click()
    tab.wait_for_function(STATE, arg="settled", timeout=120_000)


def set_steps(tab: Page, steps: int) -> None:
    """Type the number of steps."""
    box = tab.get_by_label("Steps", exact=True)
    box.fill(str(steps))
    box.press("Enter")


def timed(settings: dict[str, Any]) -> float:
    """Return the milliseconds of CPU that a run takes here."""
    began = time.process_time()
    for _ in EXPERIMENT.run(settings, seed=0, engine="numpy"):
        pass
    return 1000 * (time.process_time() - began)


def memory(profile: str) -> float:
    """Return the memory that the browser of this profile holds alone, all its processes, in MB."""
    processes = psutil.process_iter(["cmdline"])  # what ends meanwhile, or is another's, has none
    browsers = [one for one in processes if f"--user-data-dir={profile}" in (one.info["cmdline"] or ())]
    family = {one.pid: one for parent in browsers for one in (parent, *parent.children(recursive=True))}
    return sum(held(one) for one in family.values()) / 1e6


def held(process: psutil.Process) -> int:
    """Return the bytes that a process holds alone, 0 if it has just ended."""
    try:
        return process.memory_full_info().uss
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
