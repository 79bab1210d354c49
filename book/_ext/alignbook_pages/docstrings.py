"""Docstrings are written as chapters are, with `code` and $mathematics$; autodoc wants reStructuredText."""

import re

from sphinx.application import Sphinx

# What already is reStructuredText (``code``, :role:`target`) comes first, so that it is left alone.
MARKUP = re.compile(
    r"(?P<done>``.+?``|:[\w:]+:`[^`]+`)|`(?P<code>[^`]+)`|\$(?P<math>[^$]+)\$|<(?P<address>https?://[^>]+)>"
)


def setup(app: Sphinx) -> None:
    """Translate every docstring on its way to a page."""
    app.connect("autodoc-process-docstring", translate)
    app.connect("autodoc-skip-member", skip)


def skip(app: Sphinx, what: str, name: str, obj: object, skipped: bool, options: object) -> bool | None:
    """Leave out a tuple's fields, of which Python's own docstring says nothing but their places."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def translate(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Replace a docstring's lines; code and mathematics may run over the end of a line, doctests stay."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(map(paragraph, paragraphs)).split("\n")


def paragraph(text: str) -> str:
    """Return one paragraph in reStructuredText."""
    return text if text.lstrip().startswith(">>>") else MARKUP.sub(_role, text)


def _role(match: re.Match[str]) -> str:
    if match["code"]:
        return f"``{match['code']}``"
    return f":math:`{match['math']}`" if match["math"] else match["address"] or match["done"]
