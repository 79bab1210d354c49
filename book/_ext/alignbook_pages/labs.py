"""Labs: their script and style, and their records, which leave the page for files of their own."""

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from alignbook.labs.front_end import STYLE, page_script

from .assets import CHARTS

SCRIPT = "lab.js"
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
    """Write the script and the style."""
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    (static / SCRIPT).write_text(page_script(), "utf-8")
    (static / STYLE.name).write_text(STYLE.read_text("utf-8"), "utf-8")


def load(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Give a page with a lab what the lab needs."""
    body = str(context.get("body", ""))
    if 'class="alignbook-lab"' not in body:
        return
    context["body"] = move_records(body, Path(app.outdir), "../" * page.count("/"))
    for script in (CHARTS, SCRIPT):
        app.add_js_file(script, loading_method="defer")
    app.add_css_file(STYLE.name)


def move_records(body: str, folder: Path, up: str) -> str:
    """Write each record to a file below `folder`; return the body, whose labs know their file's address."""

    def move(match: re.Match[str]) -> str:
        name, record = match["name"], match["record"]
        target = folder / "_static" / "labs" / f"{name}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f'(window.alignbookRecords ??= {{}})["{name}"] = {record};\n', "utf-8")
        version = hashlib.sha256(record.encode()).hexdigest()[:8]
        return (
            f'id="lab-{name}" data-lab="{name}" data-record="{up}_static/labs/{name}.js?v={version}">{match["about"]}'
        )

    return RECORD.sub(move, body)
