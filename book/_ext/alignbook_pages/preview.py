"""The picture that stands for a lab where its page is shared: its question, and its chart before anything has happened.

Where a lab asks for a guess, the chart holds the start of training, or nothing: no outcome. The chart is drawn panel
by panel, as in a page, and put on one sheet.
"""

import hashlib
import html
import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import vl_convert
from sphinx.application import Sphinx

WIDTH, HEIGHT, MARGIN, TOP = 1200, 630, 50, 160
INK, PAPER = "#1f2328", "#ffffff"
BLOCKS = re.compile(r'<script type="application/json"(?: class="alignbook-record")?>(.*?)</script>', re.DOTALL)
ROOT = re.compile(r"<svg [^>]*?>")


def draw(app: Sphinx, name: str, output: str) -> None:
    """Write the picture of a lab, from its declaration and its record; an unchanged one comes from the last build."""
    sheet = composed(*map(json.loads, BLOCKS.findall(output)))
    key = hashlib.sha256((vl_convert.__version__ + sheet).encode()).hexdigest()[:16]
    kept = Path(app.doctreedir, "previews", f"{key}.png")
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(vl_convert.svg_to_png(sheet))
    shutil.copyfile(kept, Path(app.outdir, address(name)))


def address(name: str) -> str:
    """Return where a lab's picture is, from the root of the site."""
    return f"_static/labs/{name}.png"


def composed(lab: dict[str, Any], record: dict[str, Any]) -> str:
    """Return the picture as SVG: the question over the panels side by side."""
    panels = split(lab["spec"])
    room = (WIDTH - MARGIN * (len(panels) + 1)) / len(panels)
    rows = known(lab, record)
    drawings = [placed(panel, rows, MARGIN + place * (room + MARGIN), room) for place, panel in enumerate(panels)]
    lines = textwrap.wrap(lab["question"], 52)
    words = "".join(
        f'<tspan x="{MARGIN}" dy="{52 * (k > 0)}">{html.escape(one)}</tspan>' for k, one in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>'
        f'<text y="{110 - 52 * (len(lines) - 1)}" font-family="sans-serif" font-size="42" fill="{INK}">{words}</text>'
        f"{''.join(drawings)}"
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 18}" text-anchor="end" font-family="sans-serif" font-size="22" '
        f'fill="{INK}">alignbook</text></svg>'
    )


def split(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a chart's panels, each a chart of its own."""
    shared = {name: value for name, value in spec.items() if name != "hconcat"}
    return [{**shared, **panel} for panel in spec.get("hconcat", [{}])]


def known(lab: dict[str, Any], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that give nothing away: of step 0 where a guess is asked for, else all."""
    start = [one["grid"].index(one["start"]) for one in lab["parameters"] if one["grid"]]
    columns = [record["columns"][place] for place in record["runs"][record["settings"].index(start)]]
    rows = [dict(zip(record["names"], row, strict=True), ghost="") for row in zip(*columns, strict=True)]
    return rows if lab["prediction"] is None else [row for row in rows if row.get("step") == 0]


def placed(panel: dict[str, Any], rows: list[dict[str, Any]], x: float, room: float) -> str:
    """Return a panel's drawing at its place on the sheet."""
    size = {"width": 0.72 * room, "height": 250, "autosize": {"type": "fit-x", "contains": "padding"}}
    spec = {**panel, **size, "datasets": {"table": rows}}
    drawing = vl_convert.vegalite_to_svg(spec).replace("currentColor", INK)
    box = re.search(r'viewBox="([^"]*)"', drawing)[1]
    frame = f'<svg x="{x}" y="{TOP}" width="{room}" height="{HEIGHT - TOP - MARGIN}" viewBox="{box}">'
    return ROOT.sub(frame, drawing, count=1)
