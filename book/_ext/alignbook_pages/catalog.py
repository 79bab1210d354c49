"""What the book holds, gathered while its pages are read: chapters with their front matter, labs with their places.

Front matter reaches Sphinx as text; lists and numbers are read back from it.
"""

import html
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from .numbering import CHAPTER

LAB = re.compile(r'<section class="alignbook-lab" data-lab="(?P<name>\w+)"><p>(?P<question>.*?)</p>')


class Chapter(NamedTuple):
    """A chapter: its number, its page and its title; what it requires, how long it takes, what it is good for."""

    number: int
    page: str
    title: str
    requires: tuple[int, ...]
    minutes: int
    after: str


class Place(NamedTuple):
    """Where a page shows a lab: its name, its question, the section around it."""

    name: str
    question: str
    page: str
    anchor: str
    section: str


class Gathered(SphinxDirective):
    """A place in a page for what can be known once all pages are read."""

    mark = ""

    def run(self) -> list[nodes.Node]:
        """Leave the mark."""
        self.env.metadata[self.env.docname]["gathers"] = True
        return [nodes.raw("", self.mark, format="html")]


def setup(app: Sphinx) -> None:
    """Keep a page's labs among its metadata, which Sphinx forgets, merges and stores by itself."""
    app.connect("doctree-read", note_labs)
    app.connect("env-updated", renew)


def note_labs(app: Sphinx, doctree: nodes.document) -> None:
    """Note the labs of a page that was just read."""
    app.env.metadata[app.env.docname]["labs"] = list(labs_in(doctree, app.env.docname))


def renew(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Have the pages written again that show what is gathered from others: any of them may have changed."""
    return [page for page in sorted(env.found_docs) if "gathers" in env.metadata[page]]


def labs_in(doctree: nodes.document, page: str) -> Iterator[Place]:
    """Yield the labs of a page, each with the nearest section's name and title."""
    for raw in doctree.findall(nodes.raw):
        if found := LAB.search(raw.astext()):
            section = raw
            while not isinstance(section, nodes.section):
                section = section.parent
            title = section[0].astext()
            yield Place(found["name"], html.unescape(found["question"]), page, section["ids"][-1], title)


def labs(env: BuildEnvironment) -> dict[str, Place]:
    """Return every lab's home by its name, in the book's order: a chapter before any other page that shows it."""
    everywhere = [place for page in env.found_docs for place in env.metadata[page].get("labs", [])]
    everywhere.sort(key=lambda place: (not CHAPTER.match(place.page), place.page))
    homes: dict[str, Place] = {}
    for place in everywhere:
        homes.setdefault(place.name, place)
    return homes


def chapters(env: BuildEnvironment) -> list[Chapter]:
    """Return the book's chapters, by number."""
    return [chapter(env, page) for page in sorted(env.found_docs) if CHAPTER.match(page)]


def chapter(env: BuildEnvironment, page: str) -> Chapter:
    """Return what a chapter's front matter says; a chapter without says that it requires nothing."""
    front = env.metadata[page]
    requires = json.loads(str(front.get("requires", "[]")))
    number = int(CHAPTER.match(page)[1])
    title = env.titles[page].astext()
    return Chapter(number, page, title, tuple(requires), int(front.get("minutes", 0)), str(front.get("after", "")))
