"""The front end of every lab: parts in JavaScript, joined for the two hosts, a notebook and the book's pages.

Joined, not imported from each other: a page opened as a file may load no module, and a widget is one module.
"""

from pathlib import Path

FRONT = Path(__file__).parent / "front"
STYLE = FRONT / "lab.css"
COMMON = ("inputs.js", "prediction.js", "picture.js", "pulled.js", "lab.js")


def notebook_module() -> str:
    """Return the module that draws a lab in a notebook, fed by its kernel."""
    return _joined(*COMMON, "kernel.js") + "\nexport default { render };\n"


def page_script() -> str:
    """Return the script that draws the labs of a page, fed by their records and by the page's worker."""
    return f'(() => {{\n"use strict";\n{_joined(*COMMON, "worker_host.js", "page.js")}\nmountPage();\n}})();\n'


def _joined(*names: str) -> str:
    return "\n".join((FRONT / name).read_text("utf-8") for name in names)
