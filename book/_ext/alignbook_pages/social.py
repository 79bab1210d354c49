"""What a page tells of itself where it is shared: title, one sentence, a picture that lies beside it.

Pictures need a whole address there: `baseurl` in _config.yml, under html, says where the site will stand. Empty, as
it is, addresses are relative, and nothing else changes.
"""

import html
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

from . import preview
from .catalog import chapter, labs
from .numbering import CHAPTER

COVER = "_static/cover.png"
LAB = "labs/"


def setup(app: Sphinx) -> None:
    """Add the tags to every page that may be shared."""
    app.connect("html-page-context", tell)


def tell(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    """Add a page's tags to its head."""
    if doctree or page.startswith(LAB):
        found = tags(page, *about(app, page), app.config.html_title, app.config.html_baseurl)
        context["metatags"] = f"{context.get('metatags', '')}\n{found}"


def tags(page: str, title: str, words: str, picture: str, site: str, base: str) -> str:
    """Return the tags of a page; the picture's address is whole where the site's is known."""
    named = {"og:site_name": site, "og:type": "website", "og:title": title, "og:description": words}
    named["og:image"] = urljoin(base, picture) if base else "../" * page.count("/") + picture
    if base:
        named["og:url"] = urljoin(base, f"{page}.html")
    lines = [f'<meta property="{name}" content="{html.escape(text)}">' for name, text in named.items()]
    lines += [f'<meta name="description" content="{html.escape(words)}">']
    return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">'])


def about(app: Sphinx, page: str) -> tuple[str, str, str]:
    """Return a page's title, what it is in a sentence, and its picture's address from the root."""
    homes = labs(app.env)
    if page.startswith(LAB):
        place = homes[page.removeprefix(LAB)]
        return place.question, "Guess first, then change a setting and see.", preview.address(place.name)
    shown = app.env.metadata[page].get("labs", [])
    picture = preview.address(shown[0].name) if shown else COVER
    title = app.env.titles[page].astext()
    if not CHAPTER.match(page):
        return title, "An interactive textbook on aligning language models with human preferences.", picture
    one = chapter(app.env, page)
    return f"{one.number}. {title}", f"{one.minutes} minutes. Afterwards you can {one.after}.", picture
