"""Style of what a notebook or a report shows: its fragments, and the blocks made of them.

Styles stand in the elements and there is no script, so that a display survives untrusted notebooks,
code hosts and exports. Colours are JupyterLab's own; where there are none, what follows the comma
reads on light and dark grounds.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from firmly_nb.display.text import PAGES, as_html

if TYPE_CHECKING:
    from collections.abc import Iterable

FONT = "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;"
CODE = "font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;"
INK = "color:var(--jp-ui-font-color1,inherit);"
QUIET = "color:var(--jp-ui-font-color2,#767676);"
LINK = "color:var(--jp-content-link-color,inherit);text-decoration:underline;"
RULE = "1px solid var(--jp-border-color2,rgba(128,128,128,.35))"
# In forced colours a background vanishes, and with it a bar that is nothing else.
SEEN = "forced-color-adjust:none;"
CELL = (
    "border:0;background:none;padding:2px 0 2px 18px;white-space:nowrap;line-height:1.25;"
    "vertical-align:top;"
)
NUMBER = "text-align:right;font-variant-numeric:tabular-nums;"
LEFT = "text-align:left;"


def page(body: str, width: str = "1100px") -> str:
    """Put HTML into one block in the notebook's font."""
    return f'<div style="{FONT}{INK}max-width:{width}">{body}</div>'


def card(body: str, width: str) -> str:
    """Put HTML into a frame in the notebook's font."""
    frame = f"border:{RULE};border-radius:8px;padding:8px 14px;margin:4px 0;"
    return f'<div style="{FONT}{INK}{frame}max-width:{width}">{body}</div>'


def quiet(text: str) -> str:
    """Write a line that is less important than what is around it."""
    return f'<div style="{QUIET}">{as_html(text)}</div>' if text else ""


def toned(text: str, colour: str) -> str:
    """Write a word of good or bad news; on dark ground its colour is mixed with that of the text.

    Examples
    --------
    >>> toned("<b>", "#c62828").endswith('">&lt;b&gt;</span>')
    True
    """
    mixed = f"color:{colour};color:color-mix(in srgb,{colour} 75%,currentColor)"
    return f'<span style="{mixed};font-weight:600">{escape(text)}</span>'


def page_link(text: str, page_name: str) -> str:
    """Link a page of the documentation, in a quiet line."""
    link = f'<a style="{LINK}" href="{PAGES}{page_name}">{escape(text)}</a>'
    return f'<div style="{QUIET}">{link}</div>'


def notes(texts: Iterable[str]) -> str:
    """Write what qualifies the display above, each note in a box of its own."""
    box = (
        "margin-top:4px;padding:2px 8px;border-left:3px solid var(--jp-warn-color1,#e08a00);"
        "background:rgba(224,138,0,.12);overflow-wrap:anywhere"
    )
    return "".join(f'<div style="{box}">⚠ {as_html(text)}</div>' for text in texts)


def swatch(colour: str) -> str:
    """Return a small square of a colour, which names what has the same colour in a picture."""
    style = f"{SEEN}display:inline-block;width:10px;height:10px;background-color:{colour}"
    return f'<span style="{style}"></span>'
