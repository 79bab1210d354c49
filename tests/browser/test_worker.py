"""Vouches for the worker that runs Python in a page: over http, under a strict policy, from a host of its own.

The site and the host of Pyodide are two servers on this machine; what the page does with the replies is for others.
"""

import re
import shutil
from pathlib import Path

import pytest
from alignbook_pages import runtime as pages

from alignbook.experiments.declare import starts
from alignbook.experiments.retrain_it import EXPERIMENT
from tools.bare_page import serve

README = Path(__file__).parents[2] / "README.md"
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {host}; worker-src 'self'; connect-src 'self' {host}"
HEAR = """() => {
  const { worker, ...addresses } = JSON.parse(document.querySelector("#alignbook-runtime").textContent);
  window.heard = [];
  window.worker = new Worker(worker, { type: "module" });
  window.worker.onmessage = ({ data }) => window.heard.push(data);
  window.worker.postMessage({ kind: "boot", ...addresses });
}"""
NEXT = """async (message) => {
  const before = window.heard.length;
  window.worker.postMessage(message);
  while (window.heard.length === before) {
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  return window.heard.at(-1);
}"""
ASK = {"kind": "next", "lab": "retrain_it", "view": "v", "request": 1, "seed": 0, "engine": "numpy", "again": False}
ASK |= {"settings": starts(EXPERIMENT)}


@pytest.fixture(scope="module")
def host(pyodide_folder):
    """The address of a server that has Pyodide and lets other sites use it, as a public one does."""
    with serve(pyodide_folder, Access_Control_Allow_Origin="*") as address:
        yield address


@pytest.fixture
def boot(tab, host, tmp_path):
    """Serves a bare page and its worker under a policy, boots Python and returns what was heard until it stands."""
    with_servers = []

    def start(policy=POLICY, runtime=host, spoil=lambda static: None):
        pages.fill(tmp_path / "_static", runtime)
        spoil(tmp_path / "_static")
        html = f"<!doctype html><title>Bare</title>{pages.note(pages.addresses(runtime, './'))}"
        (tmp_path / "index.html").write_text(html, "utf-8")
        server = serve(tmp_path, Content_Security_Policy=policy.format(host=host))
        tab.goto(server.__enter__())
        with_servers.append(server)
        tab.evaluate(HEAR)
        tab.wait_for_function("() => /ready|failed/.test(window.heard.at(-1)?.kind)", timeout=120_000)
        return tab.evaluate("() => window.heard")

    yield start
    for server in with_servers:
        server.__exit__(None, None, None)


def test_python_boots_under_a_strict_policy_and_answers_as_a_kernel_does(tab, boot):
    heard = boot()
    assert heard[-1] == {"kind": "ready"}, heard[-1]
    loaded = [one["loaded"] for one in heard[:-1]]
    assert loaded == sorted(loaded)
    assert len(loaded) > 5
    assert heard[-2] == {"kind": "progress", "loaded": heard[-2]["total"], "total": heard[-2]["total"]}
    frame = {"done": False}
    while not frame["done"]:
        frame = tab.evaluate(NEXT, ASK)
        assert frame["kind"] == "frame"
        assert "error" not in frame, frame
    *_, table = EXPERIMENT.run(ASK["settings"], seed=0, engine="numpy")
    assert frame["sentence"] == EXPERIMENT.describe(table, ASK["settings"])
    assert (frame["view"], frame["request"], frame["why"]) == ("v", 1, EXPERIMENT.prediction.why)
    refused = [
        ({"lab": "os"}, "ValueError: `lab` must be the name of an experiment, got 'os'."),
        ({"lab": "pull"}, "ValueError: `lab` must be the name of an experiment, got 'pull'."),
        ({"seed": -1}, "ValueError: `seed` must be a whole number between 0 and 999999, got -1."),
        ({"engine": "sys"}, "ValueError: `engine` must be one of numpy, torch-cpu, torch-cuda, got 'sys'."),
        ({"settings": {}}, "ValueError: `settings` must name learning_rate, beta, start, noise, steps, got []."),
    ]
    for change, sentence in refused:
        answer = tab.evaluate(NEXT, ASK | change)
        assert (answer["error"], answer["view"], answer["request"]) == (sentence, "v", 1)
    tab.evaluate("() => window.worker.postMessage({ kind: 'stop', lab: 'retrain_it', view: 'v' })")
    assert tab.evaluate(NEXT, ASK)["table"]["step"][0] == 0  # a stop has no reply; the next request starts anew
    assert tab.outside == []
    assert tab.errors == []


def test_what_a_policy_forbids_is_named(boot):
    heard = boot(policy=POLICY.replace("'wasm-unsafe-eval' ", ""))
    assert heard[-1] == {
        "kind": "failed",
        "message": "The site's content security policy, script-src, forbids wasm-eval.",
    }


def test_a_runtime_that_is_not_there_is_named(boot, tmp_path):
    with serve(tmp_path) as nowhere:
        heard = boot(policy=POLICY.replace("{host}", nowhere), runtime=f"{nowhere}none/")
    assert heard[-1]["kind"] == "failed"
    assert f"{nowhere}none/pyodide.mjs" in heard[-1]["message"]


@pytest.mark.parametrize("name", ["pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "numpy-2.0.2-*.whl"])
def test_no_file_that_is_missing_leaves_the_reader_waiting(boot, pyodide_folder, tmp_path, name):
    part = tmp_path / "part"
    shutil.copytree(pyodide_folder, part)
    (missing,) = part.glob(name)
    missing.unlink()
    with serve(part, Access_Control_Allow_Origin="*") as host:
        heard = boot(policy=POLICY.replace("{host}", host), runtime=host)
    assert heard[-1]["kind"] == "failed"
    assert missing.name in heard[-1]["message"]


def test_an_archive_that_was_changed_is_not_run(boot):
    def spoil(static):
        (archive,) = static.glob("alignbook-*.zip")
        archive.write_bytes(archive.read_bytes() + b"\0")

    heard = boot(spoil=spoil)
    assert heard[-1]["kind"] == "failed"
    assert "alignbook-" in heard[-1]["message"]


def test_the_policy_that_the_readme_states_is_enough_for_the_pages(tab, built_book):
    (stated,) = re.findall(r"Content-Security-Policy: (.*?)```", README.read_text("utf-8"), re.DOTALL)
    policy = f"default-src 'self'; {' '.join(stated.split())}"
    with serve(built_book, Content_Security_Policy=policy) as address:
        tab.goto(f"{address}chapters/02_kl_constrained_optimum.html")
        tab.locator("figure.alignbook-chart svg").last.wait_for()
        tab.locator("mjx-container").first.wait_for()
    assert tab.errors == []
