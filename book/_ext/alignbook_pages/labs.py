"""Labs: their script and style, and their records, which leave the page for files of their own."""

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from .assets import CHARTS

SCRIPT, STYLE = "lab.js", "lab.css"
EXPORT = "export default"
# A file can be loaded later, and by a page opened as a file too; the page itself holds nothing of any outcome.
RECORD = re.compile(
    r'data-lab="(?P<name>\w+)">(?P<about>.*?)<script type="application/json" class="alignbook-record">'
    r"(?P<record>.*?)</script>",
    re.DOTALL,
)


def setup(app: Sphinx) -> None:
    """Write the script before any page; take the records out before the page's markup is repaired."""
    app.connect("builder-inited", write)
    app.connect("html-page-context", load, priority=400)


def write(app: Sphinx) -> None:
    """Write the front end as a plain script, since a page opened as a file may load no module."""
    import alignbook.figures

    source = Path(alignbook.figures.__file__).with_name("labs")
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    (static / STYLE).write_text((source / STYLE).read_text("utf-8"), "utf-8")
    code, found = re.subn(f"^{EXPORT} ", "const lab = ", (source / SCRIPT).read_text("utf-8"), flags=re.MULTILINE)
    if found != 1:
        raise ValueError(f"`{SCRIPT}` must have one line that begins with {EXPORT!r}, got {found}.")
    (static / SCRIPT).write_text(f'(() => {{\n"use strict";\n{code}\nlab.mountPage();\n}})();\n', "utf-8")


def load(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Give a page with a lab what the lab needs."""
    body = str(context.get("body", ""))
    if 'class="alignbook-lab"' not in body:
        return
    up = "../" * page.count("/")
    context["body"] = RECORD.sub(lambda match: move_out(app, match, up), body)
    for script in (CHARTS, SCRIPT):
        app.add_js_file(script, loading_method="defer")
    app.add_css_file(STYLE)


def move_out(app: Sphinx, match: re.Match[str], up: str) -> str:
    """Write a record to its file; return what is left of the lab, which knows the file's address."""
    name, record = match["name"], match["record"]
    target = Path(app.outdir, "_static", "labs", f"{name}.js")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f'(window.alignbookRecords ??= {{}})["{name}"] = {record};\n', "utf-8")
    version = hashlib.sha256(record.encode()).hexdigest()[:8]
    return f'data-lab="{name}" data-record="{up}_static/labs/{name}.js?v={version}">{match["about"]}'
