"""The map of the book: its chapters in order, each with its minutes, and an arc to every chapter that it requires.

`{chapter-map}` in a page marks the place. The list says all in words and links; the arcs beside it show the same.
"""

import html

from docutils import nodes
from sphinx.application import Sphinx

from .catalog import Chapter, Gathered, chapters

MARK = "<!-- chapter map -->"
ROW, WIDTH, AXIS = 64, 76, 64  # of the drawing, in its own units, 16 to a rem: book.css gives the rows this height


class ChapterMap(Gathered):
    """The place of the map in a page."""

    mark = MARK


def setup(app: Sphinx) -> None:
    """Offer the directive, and put the map where it stands."""
    app.add_directive("chapter-map", ChapterMap)
    app.connect("html-page-context", insert, priority=400)


def insert(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Put the map where its mark is."""
    body = str(context.get("body", ""))
    if MARK in body:
        found = chapters(app.env)
        addresses = {one.number: app.builder.get_relative_uri(page, one.page) for one in found}
        context["body"] = body.replace(MARK, drawn(found, addresses))


def drawn(found: list[Chapter], addresses: dict[int, str]) -> str:
    """Return the map: the arcs, hidden from those who cannot see them, and the list that says the same."""
    rows = {one.number: place for place, one in enumerate(found)}
    arcs = [arc(rows[need], rows[one.number]) for one in found for need in one.requires if need in rows]
    dots = [f'<circle cx="{AXIS}" cy="{middle(row)}" r="6"/>' for row in rows.values()]
    height = ROW * len(found)
    return (
        f'<div class="alignbook-map"><svg viewBox="0 0 {WIDTH} {height}" style="height: {height / 16}rem" '
        f'aria-hidden="true">{"".join(arcs + dots)}</svg>'
        f"<ol>{''.join(entry(one, addresses[one.number]) for one in found)}</ol></div>"
    )


def middle(row: int) -> float:
    """Return how far down the middle of a row is."""
    return ROW * (row + 0.5)


def arc(upper: int, lower: int) -> str:
    """Return the arc between two rows; the farther apart they are, the farther it reaches to the left."""
    left = max(4.0, AXIS - 24 * (lower - upper) ** 0.75)
    start, end = middle(upper), middle(lower)
    return f'<path d="M{AXIS} {start}C{left:.1f} {start} {left:.1f} {end} {AXIS} {end}"/>'


def entry(one: Chapter, address: str) -> str:
    """Return a chapter's line: number, title, minutes, what it requires."""
    requires = " ".join(map(str, one.requires))
    return (
        f'<li data-chapter="{one.number}" data-requires="{requires}">'
        f'<a href="{html.escape(address)}">{one.number} {html.escape(one.title)}</a>'
        f"<small>{one.minutes} minutes, {needs(one.requires)}</small></li>"
    )


def needs(requires: tuple[int, ...]) -> str:
    """Say what a chapter requires."""
    if not requires:
        return "needs no other chapter"
    *others, last = map(str, requires)
    return f"needs Chapters {', '.join(others)} and {last}" if others else f"needs Chapter {last}"
