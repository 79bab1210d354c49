"""Repairs to the pages' markup: folds that need no script, and what a screen reader or a keyboard needs."""

import re

from bs4 import BeautifulSoup, NavigableString, Tag
from docutils import nodes
from sphinx.application import Sphinx

FOLDED = "div.admonition.dropdown"
JOINTS = re.compile(r"(?<=[a-z)][/.(=])(?=[A-Za-z_]{3})")  # where code in a line of text may break: rewards/|margins
UNDERSCORES = re.compile(r"(?<=[a-z]_)(?=[a-z])")  # and where a long name may
LONG = 16
PLAIN_TOKENS = ("n", "p", "w")  # names, punctuation and blanks have the color of the code around them


def setup(app: Sphinx) -> None:
    """Connect the repairs."""
    # Jupyter Book sets it even where its extension is not loaded, and Sphinx warns of a value nobody knows.
    app.add_config_value("comments_config", {}, "html")
    app.connect("html-page-context", repair, priority=900)


def repair(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document) -> None:
    """Rewrite the body of a page."""
    if "body" not in context:
        return
    body = BeautifulSoup(str(context["body"]), "html.parser")
    for box in body.select(FOLDED):
        fold(body, box)
    for section in body.select("section[id$=-content], .proof#proof"):
        del section["id"]  # every theorem, proof and exercise has the same
    for summary in body.select("summary[aria-label]"):
        del summary["aria-label"]  # its visible text is its name
    for entry in body.select("[role=list] > div.citation"):
        entry["role"] = "listitem"
    for title in body.select("p.sidebar-title:empty"):
        title.decompose()
    for words in body.select("code.literal .pre"):
        if isinstance(words.string, NavigableString):
            let_break(body, words)
    for token in body.select(", ".join(f".highlight span.{plain}" for plain in PLAIN_TOKENS)):
        token.unwrap()  # code in the text's own color needs no markup: a fifth of a page of code
    context["body"] = body.decode(formatter="html5")


def fold(body: BeautifulSoup, box: Tag) -> None:
    """Turn a box of class dropdown into <details>, with its title for the <summary>."""
    title = box.find("p", class_="admonition-title", recursive=False)
    if not isinstance(title, Tag):
        title = untitled_proof(body, box)
    for link in title.select("a"):
        link.unwrap()  # a link within a switch is out of reach for some readers
    box.name, title.name = "details", "summary"
    box.insert(0, title.extract())


def untitled_proof(body: BeautifulSoup, box: Tag) -> Tag:
    """Return a title for a proof, which has the word in its first line instead; take it out there."""
    title = body.new_tag("p", attrs={"class": "admonition-title"})
    title.string = "Proof"
    word = box.find(string=re.compile(r"^Proof\. "))
    if isinstance(word, NavigableString):
        word.replace_with(word.removeprefix("Proof. "))
    return title


def let_break(body: BeautifulSoup, words: Tag) -> None:
    """Mark where a piece of code may break: a browser breaks names at blanks alone, or else anywhere."""
    parts = [
        part
        for piece in JOINTS.split(words.text)
        for part in (UNDERSCORES.split(piece) if len(piece) > LONG else [piece])
    ]
    words.string = parts[0]
    for part in parts[1:]:
        words.append(body.new_tag("wbr"))
        words.append(part)
