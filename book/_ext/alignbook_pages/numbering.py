"""A chapter has its file's number: chapters/02_....md is Chapter 2 with Sections 2.1, 2.2, Theorem 2.1."""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

CHAPTER = re.compile(r"chapters/(\d\d)_")
DEPTH = 2

Numbers = dict[str, tuple[int, ...] | None]


def setup(app: Sphinx) -> None:
    """Take the place of Sphinx's own numbering, which counts from one in the order of the contents."""
    TocTreeCollector.assign_section_numbers = assign_section_numbers  # type: ignore[method-assign]


def assign_section_numbers(collector: TocTreeCollector, env: BuildEnvironment) -> list[str]:
    """Number the headings of all chapters; return the pages whose numbers have changed."""
    old, env.toc_secnumbers = env.toc_secnumbers, {}
    for page, toc in env.tocs.items():
        if match := CHAPTER.match(page):
            numbers: Numbers = {}
            _number(toc.children[:1], (), int(match[1]), numbers)
            env.toc_secnumbers[page] = numbers
            env.titles[page]["secnumber"] = numbers[""]
    return [page for page, numbers in env.toc_secnumbers.items() if numbers != old.get(page)]


def _number(items: list[nodes.Node], prefix: tuple[int, ...], first: int, numbers: Numbers) -> None:
    for count, item in enumerate(items, first):
        number = (*prefix, count) if len(prefix) < DEPTH else None
        for part in item.children:
            if isinstance(part, addnodes.compact_paragraph):
                reference = part[0]
                reference["secnumber"] = numbers[reference["anchorname"]] = number
            elif isinstance(part, nodes.bullet_list):
                _number(part.children, number or prefix, 1, numbers)
