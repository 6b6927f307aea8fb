"""A small table for the eye: text for a terminal, plain HTML for a notebook.

No script and no style sheet, so that it survives untrusted notebooks, code hosts and exports;
everything is escaped, since names of stages are what a merchant sent.
"""

from __future__ import annotations

import math
from html import escape
from typing import NamedTuple

from firmly_nb.display.text import LONGEST_NAME, THIN_SPACE

FONT = "font-family:var(--jp-ui-font-family,sans-serif);font-size:13px;line-height:1.45;"
QUIET = "color:var(--jp-ui-font-color2,#767676);"
RULE = "1px solid var(--jp-border-color2,rgba(128,128,128,.35))"
CELL = (
    "border:0;background:none;padding:2px 0 2px 18px;white-space:nowrap;line-height:1.25;"
    "vertical-align:top;"
)
NUMBER = "text-align:right;font-variant-numeric:tabular-nums;"


class Grid(NamedTuple):
    """Heads and rows of texts; the first column is left-aligned, and some rows stand out."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: tuple[int, ...] = ()


def whole_ms(value: float) -> str:
    """Write a time in ms with three digits that count: thin spaces in thousands.

    Examples
    --------
    >>> [whole_ms(value).replace("\u202f", "_") for value in (1204.3, 96.21, 0.852, math.nan)]
    ['1_204', '96.2', '0.85', '-']
    """
    if math.isnan(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", THIN_SPACE)


def grid_text(grid: Grid) -> str:
    """Write a grid with aligned columns.

    Examples
    --------
    >>> print(grid_text(Grid(("", "n"), (("item-added", "7"), ("order", "12")))))
                 n
    item-added   7
    order       12
    """
    table = [tuple(_short(cell) for cell in row) for row in (grid.heads, *grid.rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(grid.heads))]
    lines = []
    for first, *others in table:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def grid_html(grid: Grid) -> str:
    """Show a grid as an HTML table."""
    heads = "".join(
        f'<th scope="col" style="{CELL}{_side(i)}{QUIET}font-weight:400;border-bottom:{RULE}">'
        f"{escape(head)}</th>"
        for i, head in enumerate(grid.heads)
    )
    rows = "".join(_row(row, number in grid.bold) for number, row in enumerate(grid.rows))
    return (
        f'<div style="overflow-x:auto"><table style="{FONT}color:inherit;border:0;margin:6px 0;'
        f'border-collapse:collapse;table-layout:auto"><thead><tr style="background:none">{heads}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def page(body: str) -> str:
    """Put parts into one block in the notebook's font."""
    ink = "color:var(--jp-ui-font-color1,inherit);"
    return f'<div style="{FONT}{ink}max-width:1100px">{body}</div>'


def _row(row: tuple[str, ...], is_bold: bool) -> str:
    weight = "font-weight:600;" if is_bold else ""
    cells = "".join(
        f'<td style="{CELL}{_side(i)}{weight}">{_cell(cell) if i else _isolated(cell)}</td>'
        for i, cell in enumerate(row)
    )
    return f'<tr style="background:none">{cells}</tr>'


def _cell(text: str) -> str:
    """Put what stands in brackets on a line of its own: so a row fits into a notebook's cell."""
    begin = min((text.find(mark) for mark in (" [", " (") if mark in text), default=-1)
    if begin < 0:
        return _isolated(text)
    small = f'<small style="{QUIET}font-weight:400">{escape(text[begin + 1 :])}</small>'
    return f"{_isolated(text[:begin])}<br>{small}"


def _isolated(text: str) -> str:
    return f"<bdi>{escape(_short(text))}</bdi>"


def _side(column: int) -> str:
    return NUMBER if column else "text-align:left;padding-left:0;"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
