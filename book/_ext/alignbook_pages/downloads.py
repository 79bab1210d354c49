"""Each chapter's notebook, as its page offers it for download: the source's cells, without outputs."""

from pathlib import Path

import jupytext
import nbformat
from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    """Offer the notebook on the page, before the theme looks for it, and write it beside the page's source."""
    app.connect("html-page-context", offer, priority=400)
    app.connect("build-finished", write)


def offer(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: object) -> None:
    """Tell the theme's download button of the notebook."""
    if is_notebook(app, page):
        context["ipynb_source"] = f"{page}.ipynb"


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks."""
    if error or app.builder.format != "html":
        return
    for page in filter(lambda page: is_notebook(app, page), app.env.found_docs):
        notebook = jupytext.read(app.env.doc2path(page))
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # the same from build to build
        nbformat.write(notebook, Path(app.outdir, "_sources", f"{page}.ipynb"), version=4)


def is_notebook(app: Sphinx, page: str) -> bool:
    """Tell whether a page's source has code to run."""
    return "kernelspec" in app.env.metadata.get(page, {})
