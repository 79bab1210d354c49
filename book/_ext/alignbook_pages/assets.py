"""The scripts and fonts that pages would otherwise fetch from outside: MathJax, Vega and our drawing code."""

import importlib.util
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from alignbook.figures import drawing_code

from .cache import key

CHARTS = "charts.js"
MATHJAX = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")


def setup(app: Sphinx) -> None:
    """Write the files before any page, so that Sphinx can stamp them with their checksums."""
    app.connect("builder-inited", write)
    app.connect("html-page-context", load_charts)


def write(app: Sphinx) -> None:
    """Copy the part of MathJax the book uses, and write the drawing code, once for all pages and till it changes."""
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    charts, stamp = static / CHARTS, f"// {key()}\n"
    if charts.is_file() and charts.read_text("utf-8").startswith(stamp):
        return
    for part in MATHJAX:
        source, target = mathjax() / part, static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    charts.write_text(stamp + drawing_code(), "utf-8")


def mathjax() -> Path:
    """Return MathJax's folder in its Python package, whose hyphenated name no import can spell."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The book needs the package sphinx-mathjax-offline: pip install 'alignbook[book]'.")
    return Path(spec.origin).parent / "static" / "mathjax"


def load_charts(
    app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None
) -> None:
    """Load the drawing code on the pages that have a chart, and on no other: it is large."""
    if doctree and any("alignbook-chart" in raw.astext() for raw in doctree.findall(nodes.raw)):
        app.add_js_file(CHARTS, loading_method="defer")
