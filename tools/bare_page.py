"""A bare page of labs, put together from the parts that the book's pages are made of; and servers for such pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from alignbook_pages import labs as labs_pages
from alignbook_pages import runtime as runtime_pages

from alignbook import figures
from alignbook.labs import front_end
from alignbook.labs.lab import Lab
from alignbook.labs.record import page as recorded


def write_page(folder: Path, *labs: Lab, runtime: str | None = None) -> Path:
    """Write a page of labs and all that it loads; `runtime` is where its worker finds Pyodide, if there is one."""
    figures.alt.theme.register("alignbook", enable=True)(figures._theme)
    body = labs_pages.move_records("".join(recorded(lab) for lab in labs), folder, "")
    if runtime is not None:
        runtime_pages.fill(folder / "_static", runtime)
        body += runtime_pages.note(runtime_pages.addresses(runtime, "./"))
    for name, text in (("charts.js", figures.drawing_code()), ("lab.js", front_end.page_script())):
        (folder / name).write_text(text, "utf-8")
    (folder / "lab.css").write_text(front_end.STYLE.read_text("utf-8"), "utf-8")
    style = '<link rel="stylesheet" href="lab.css"><style>:root { color-scheme: light dark }</style>'
    scripts = '<script defer src="charts.js"></script><script defer src="lab.js"></script>'
    head = (
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>Sample</title>{style}{scripts}</head>'
    )
    html = f'<!doctype html><html lang="en">{head}<body><main><h1>Sample</h1>{body}</main></body></html>'
    (folder / "sample.html").write_text(html, "utf-8")
    return folder / "sample.html"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder with more headers, without a word."""

    headers_too: dict[str, str]

    def end_headers(self):
        """Add the headers."""
        for name, value in self.headers_too.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serve(folder: Path, **headers: str) -> Iterator[str]:
    """Serve a folder on this machine; yield its address. A header's dashes are underscores here."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    handler = type("Handler", (Quiet,), {"headers_too": named})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
