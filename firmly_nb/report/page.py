"""The page of a report: head, style, script and the packed Plotly; and its tables, accessibly.

Nothing is fetched when it is read: everything is inside, and its content security policy allows no
other script than the two it was written with, by their hashes. So a name that a merchant chose
could not run anything even if it got past the escaping.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from firmly_nb.charts.chart import CONFIG
from firmly_nb.charts.look import TURNED
from firmly_nb.display.text import as_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from firmly_nb.charts.chart import Chart


def whole_page(title: str, body: str, figures: Mapping[str, str]) -> str:
    """Put a page together.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML.
    figures
        By the id that the body names: a figure as JSON.
    """
    packed, plotly_hash = _plotly()
    script = _static("report.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}' '{plotly_hash}'",
            # Plotly writes styles on what it draws.
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    data = {"turned": json.dumps(TURNED), "config": json.dumps({**CONFIG, "responsive": True})}
    blocks = "".join(
        f'<script type="application/json" id="{name}">{_inside_script(text)}</script>\n'
        for name, text in (data | dict(figures)).items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_static('report.css')}</style>\n</head>\n"
        f'<body>\n<div class="page">\n{body}</div>\n{blocks}'
        f'<script type="text/plain" id="plotly">{packed}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def figure_html(chart: Chart, name: str, picture: bytes | None) -> str:
    """Show a bare chart: question, answer, drawing, caption; a picture until it is drawn."""
    height = int(chart.layout.height)
    if picture is None:
        # Goes when the chart is drawn.
        instead = '<p class="instead">The drawing needs JavaScript; the answer is above.</p>'
    else:
        data = base64.b64encode(picture).decode()
        instead = f'<img alt="{escape(chart.alt)}" src="data:image/png;base64,{data}">'
    return (
        f'<figure class="chart" aria-labelledby="{name}-question">\n'
        f'<h3 id="{name}-question">{escape(chart.question)}</h3>\n<p>{escape(chart.sentence)}</p>\n'
        f'<div class="plot" data-figure="{name}" style="min-height:{height}px" tabindex="0" '
        f'role="group" aria-label="drawing">{instead}</div>\n'
        f"<figcaption>{escape(chart.caption)}</figcaption>\n</figure>\n"
    )


def term_list(pairs: Iterable[tuple[str, str]]) -> str:
    """Show terms and what they mean."""
    return (
        "<dl>"
        + "".join(f"<dt>{as_html(term)}</dt><dd>{as_html(said)}</dd>\n" for term, said in pairs)
        + "</dl>\n"
    )


def _inside_script(text: str) -> str:
    # HTML ends a script at "</script>" whatever stands in it; JSON may write "<" as \\u003c.
    return text.replace("<", "\\u003c")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _static(name: str) -> str:
    return (files("firmly_nb.report") / "static" / name).read_text("utf-8")


@cache
def _plotly() -> tuple[str, str]:
    """Return plotly.js packed (a third of its size), and the hash of what it unpacks to."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped] # plotly has no types

    source: Any = get_plotlyjs()
    packed = gzip.compress(source.encode(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode(), _hash(source)
