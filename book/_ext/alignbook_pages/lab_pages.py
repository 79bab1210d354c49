"""A page for every lab, made of what the chapter holds; links to it, with settings if wanted; the list of all labs.

{lab}`words <name?parameter=value>` links to a lab's page, at a setting that its record holds. `{lab-list}` lists all.
"""

import html
import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlencode

from docutils import nodes
from docutils.utils import new_document
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.search import IndexBuilder
from sphinx.util.docutils import SphinxRole

from alignbook.experiments.declare import starts
from alignbook.labs.lab import Lab, recorded_values
from alignbook.labs.record import grid

from . import preview
from .catalog import Gathered, Place, labs
from .numbering import CHAPTER

LIST = "<!-- list of labs -->"
TITLED = re.compile(r"(?P<words>.+?)\s*<(?P<name>\w+)(?:\?(?P<query>\S.*))?>", re.DOTALL)
DECLARED = re.compile(r'<script type="application/json">(.*?)</script>', re.DOTALL)
END = re.compile(r'(<section class="alignbook-lab"[^>]*data-lab="(?P<name>\w+)".*?</section>)', re.DOTALL)


class LabList(Gathered):
    """The place of the list in a page."""

    mark = LIST


class LabLink(SphinxRole):
    """A link to a lab's page, which fails the build if the lab, or its record at this setting, is not there."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link."""
        try:
            words, address = link(self.text)
        except (ModuleNotFoundError, ValueError) as error:
            said = self.inliner.reporter.error(f"{{lab}}`{self.text}`: {error}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, said)], [said]
        up = "../" * self.env.docname.count("/")
        return [nodes.reference("", words, refuri=up + address, internal=True)], []


def setup(app: Sphinx) -> None:
    """Offer the directive and the role; make the pages, and put links to them below the labs."""
    app.add_directive("lab-list", LabList)
    app.add_role("lab", LabLink())
    app.connect("html-page-context", insert, priority=450)  # when the records are out of the way
    app.connect("html-collect-pages", collect)


def insert(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Put the list where its mark is, and below each lab a link to the page that holds it alone."""
    up, body = "../" * page.count("/"), str(context.get("body", ""))
    if LIST in body:
        lines = (line(app, place, up) for place in labs(app.env).values())
        body = body.replace(LIST, f'<ul class="alignbook-labs">{"".join(lines)}</ul>')
    if doctree and 'class="alignbook-lab"' in body:
        body = END.sub(
            rf'\1<p class="alignbook-alone"><a href="{up}labs/\g<name>.html">Open this lab alone</a></p>', body
        )
    if "body" in context:
        context["body"] = body


def line(app: Sphinx, place: Place, up: str) -> str:
    """Return a lab's line in the list: its question, and the section it belongs to."""
    question = html.escape(place.question)
    return f'<li><a href="{up}labs/{place.name}.html">{question}</a> {home(app, place, up)}</li>'


def home(app: Sphinx, place: Place, up: str) -> str:
    """Return the link from so far below to the section that a lab belongs to."""
    match = CHAPTER.match(place.page)
    title = html.escape(app.env.titles[place.page].astext())
    words = f"Chapter {int(match[1])}, {title}" if match else title
    return f'<a class="alignbook-home" href="{up}{place.page}.html#{place.anchor}">{words}</a>'


def collect(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for every lab."""
    for place in labs(app.env).values():
        shown = output(app.env, place)
        preview.draw(app, place.name, shown)
        body = (
            f"<h1>{html.escape(place.question)}</h1>{shown}"
            f"<p>What this is about, and what it shows: {home(app, place, '../')}.</p>"
        )
        page = f"labs/{place.name}"
        if app.builder.indexer:
            app.builder.indexer.feed(page, page, place.question, words_of(page, place, shown))
        yield page, {"title": place.question, "body": body}, "page.html"
    if app.builder.indexer:
        keep_in_search(app.builder.indexer, {f"labs/{name}" for name in labs(app.env)})


def words_of(page: str, place: Place, shown: str) -> nodes.document:
    """Return what a search shall find a lab by: its question, its section, its inputs; nothing of an outcome."""
    lab = json.loads(DECLARED.search(shown)[1])
    asked = [lab["prediction"]["question"]] if lab["prediction"] else []
    named = [place.section, *asked, *(one["label"] for one in [*lab["parameters"], *lab["tries"]])]
    document = new_document(page)
    section = nodes.section("", nodes.title("", place.question), *(nodes.paragraph("", words) for words in named))
    document += section
    return document


def keep_in_search(indexer: IndexBuilder, pages: set[str]) -> None:
    """Keep these pages when Sphinx, at the end, leaves out of its index whatever was not read from a file."""
    prune = indexer.prune
    indexer.prune = lambda read: prune({*read, *pages})


def output(env: BuildEnvironment, place: Place) -> str:
    """Return a lab as its home holds it, record and all."""
    marker = f'data-lab="{place.name}"'
    found = (raw.astext() for raw in env.get_doctree(place.page).findall(nodes.raw))
    return next(text for text in found if marker in text)


def link(text: str) -> tuple[str, str]:
    """Return the words of a link and its address from the root of the site; ValueError where it leads nowhere."""
    match = TITLED.fullmatch(text)
    if match is None:
        raise ValueError("it must read words <name> or words <name?parameter=value>")
    name, query = match["name"], match["query"]
    lab = import_module(f"alignbook.labs.{name}").LAB
    return match["words"], f"labs/{name}.html" + (fragment(lab, query) if query else "")


def fragment(lab: Lab, query: str) -> str:
    """Return the fragment of an address that sets a lab; ValueError unless the lab's record holds the setting."""
    grids = {one.name: recorded_values(one) for one in lab.experiment.parameters}
    wish = dict(parse_qsl(query, strict_parsing=True))
    given = {name: value for name in wish for value in grids.get(name, []) if spelled(value) == wish[name]}
    if len(given) < len(wish) or starts(lab.experiment) | given not in grid(lab.experiment):
        raise ValueError(f"the record of {lab.name} holds no such setting")
    return f"#lab-{lab.name}?{urlencode(wish)}"


def spelled(value: object) -> str:
    """Return how a recorded value is written in an address."""
    return f"{value:g}" if isinstance(value, float) else str(value)
