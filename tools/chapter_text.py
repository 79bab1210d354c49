"""A chapter's source taken apart: words, terms, formulas, labs, each with what it stands in; and how long they take.

`python tools/chapter_text.py` prints each chapter's minutes, counted as `book/how_to_read.md` says: words / 180, plus
two for a displayed formula and six for a lab. The main text counts. Folded boxes (of which the title is read),
sections with a star in the heading and the exercises come on top, and code is not counted. A word is what stands
between blanks, in formulas within a line too; a reference is one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

ROOT = Path(__file__).parents[1]
WORDS_A_MINUTE, FORMULA, LAB = 180, 2, 6
ON_TOP = {"folded", "★", "Exercises"}  # what takes no minutes of the main text

MARKDOWN = MarkdownIt().enable("table")
for plugin in (front_matter_plugin, dollarmath_plugin, colon_fence_plugin, myst_block_plugin, myst_role_plugin):
    MARKDOWN.use(plugin)
DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}\s*(?P<title>.*)")
OPTIONS = re.compile(r"(?:\s*:[\w-]+:.*\n?)*")
SHOWN = re.compile(r"^show\(", re.MULTILINE)


class Piece(NamedTuple):
    """A piece of a text: its kind, itself, what it stands in.

    The kind is "text", "math" within a line, "formula" for a displayed one, "show" for a lab, or a role's name.
    """

    kind: str
    text: str
    within: frozenset[str]


def pieces(text: str, within: frozenset[str] = frozenset()) -> Iterator[Piece]:
    """Yield a text's pieces in their order; around a piece are directives, "folded", "heading", "★", "Exercises"."""
    tokens = MARKDOWN.parse(text)
    section: frozenset[str] = frozenset()
    rank = "h0"
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and (not section or token.tag <= rank):
            rank, words = token.tag, tokens[place + 1].content
            section = frozenset(word for word in ("★", "Exercises") if word in words)
        heading = {"heading"} if place and tokens[place - 1].type == "heading_open" else set()
        yield from _of_token(token, within | section | heading)


def _of_token(token: Token, within: frozenset[str]) -> Iterator[Piece]:
    if token.type.startswith("math_block"):
        yield Piece("formula", token.content, within)
    elif token.type in ("fence", "colon_fence"):
        yield from _of_directive(token, within)
    for child in token.children or []:
        if child.content:
            kind = {"math_inline": "math", "myst_role": child.meta.get("name", "")}.get(child.type, "text")
            yield Piece(kind, child.content, within)


def _of_directive(token: Token, within: frozenset[str]) -> Iterator[Piece]:
    match = DIRECTIVE.match(token.info.strip())
    if not match:
        return  # code that is shown and not run
    if match["name"] == "code-cell":
        yield from (Piece("show", token.content, within) for _ in SHOWN.findall(token.content))
        return
    inside = within | {match["name"]}
    options = OPTIONS.match(token.content)[0]
    yield from pieces(match["title"], inside | {"heading"})
    yield from pieces(token.content[len(options) :], inside | ({"folded"} if "dropdown" in options else set()))


def minutes(text: str) -> float:
    """Return the minutes that a chapter's main text takes."""
    count = counted(piece for piece in pieces(text) if not piece.within & ON_TOP)
    return count["words"] / WORDS_A_MINUTE + FORMULA * count["formulas"] + LAB * count["labs"]


def counted(found: Iterable[Piece]) -> Counter[str]:
    """Count words, displayed formulas and labs."""
    count = Counter(words=0, formulas=0, labs=0)
    for piece in found:
        if piece.kind in ("formula", "show"):
            count["formulas" if piece.kind == "formula" else "labs"] += 1
        elif piece.kind in ("text", "math"):
            count["words"] += len(piece.text.split())
        else:
            count["words"] += len(piece.text.partition("<")[0].split()) or 1
    return count


if __name__ == "__main__":
    for page in sorted((ROOT / "chapters").glob("[0-9][0-9]_*.md")):
        print(f"{minutes(page.read_text('utf-8')):5.1f}  {page.name}")
