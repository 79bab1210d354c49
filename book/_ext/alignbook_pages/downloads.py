"""Each chapter's notebook, as its page offers it for download: the source's cells, without outputs."""

from pathlib import Path

import jupytext
import nbformat
from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    """Replace the notebooks that myst-nb leaves beside the sources: they hold the outputs of the build."""
    app.connect("build-finished", write)


def write(app: Sphinx, error: Exception | None) -> None:
    """Write each notebook from its source."""
    if error or app.builder.format != "html":
        return
    for target in Path(app.outdir, "_sources").rglob("*.ipynb"):
        source = Path(app.srcdir, target.relative_to(Path(app.outdir, "_sources"))).with_suffix(".md")
        notebook = jupytext.read(source)
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # the same from build to build
        nbformat.write(notebook, target, version=4)
