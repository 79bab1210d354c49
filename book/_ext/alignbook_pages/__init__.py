"""What the pages need beyond Jupyter Book: nothing from outside, the files' numbers, exact rebuilds."""

import os

from sphinx.application import Sphinx

from . import (
    assets,
    cache,
    catalog,
    chapter_map,
    docstrings,
    downloads,
    front_page,
    lab_pages,
    labs,
    markup,
    numbering,
    runtime,
    social,
)

PARTS = (
    assets,
    cache,
    catalog,
    chapter_map,
    docstrings,
    downloads,
    front_page,
    lab_pages,
    labs,
    markup,
    numbering,
    runtime,
    social,
)


def setup(app: Sphinx) -> dict[str, object]:
    """Connect each part to the build."""
    os.environ["ALIGNBOOK_RECORD"] = "1"  # kernels inherit it: charts and labs then emit what a page needs
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
