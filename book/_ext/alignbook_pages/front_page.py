"""The site's own address: a page that leads on to the front door, and says what it leads to where it is shared."""

import html
from pathlib import Path
from urllib.parse import urljoin

from sphinx.application import Sphinx

from .social import about, tags

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{site}</title>
{tags}
<link rel="canonical" href="{whole}">
<meta http-equiv="refresh" content="0; url={address}">
</head>
<body>
<main><h1>{site}</h1><p>{words} <a href="{address}">Open the book</a>.</p></main>
</body>
</html>
"""


def setup(app: Sphinx) -> None:
    """Write the page once the others are there."""
    app.connect("build-finished", write)


def write(app: Sphinx, error: Exception | None) -> None:
    """Write index.html, unless it is the front door itself; Jupyter Book leaves one that is there alone."""
    door = app.config.root_doc
    if error is None and app.builder.format == "html" and door != "index":
        site, base = app.config.html_title, app.config.html_baseurl
        Path(app.outdir, "index.html").write_text(page(door, site, base, *about(app, door)[1:]), "utf-8")


def page(door: str, site: str, base: str, words: str, picture: str) -> str:
    """Return the page that leads to the front door."""
    address = f"{door}.html"
    known = {"site": site, "words": words, "address": address, "whole": urljoin(base, address)}
    return PAGE.format(
        tags=tags("index", site, words, picture, site, base),
        **{name: html.escape(text) for name, text in known.items()},
    )
