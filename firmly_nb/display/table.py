"""A small table for the eye: one description, written as text of 80 columns and as HTML.

Texts in it may come from strangers: they are made harmless and escaped when they are written.
"""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from firmly_nb.display.html import CELL, CODE, LEFT, NUMBER, QUIET, RULE, SEEN, quiet, swatch
from firmly_nb.display.text import as_html, as_markdown, printable, short_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TEXT_WIDTH = 80
FEWEST_LETTERS, MOST_LETTERS = 20, 40  # of a bar, and of a column that wraps, at least
GAP = "  "
SMALL = f'<small style="{QUIET}font-weight:400">'
# What qualifies a number takes a second line rather than widening its column.
UNDER = "display:inline-block;width:max-content;max-width:13em;white-space:normal"
LOOKS = {  # a tag says it where styles are not kept
    "": ("", "", ""),
    "bold": ("font-weight:600;", "<b>", "</b>"),
    "total": ("font-weight:600;font-size:15px;padding-top:5px;", "<b>", "</b>"),
    "quiet": (QUIET, "", ""),
    "struck": ("", "<s>", "</s>"),
    "code": (  # JupyterLab would break it at each hyphen
        "",
        f'<code style="{CODE}background:none;padding:0;color:inherit;white-space:inherit">',
        "</code>",
    ),
}


@dataclass(frozen=True, slots=True)
class Head:
    """A column: its heading and unit, and how its cells are written.

    Attributes
    ----------
    text, unit
        The heading; both empty where a column needs none.
    left
        Whether texts begin on the left; numbers end on the right.
    wraps
        Whether long texts take several lines; elsewhere they are cut.
    look
        ``code``, ``bold`` or ``quiet``: of all its cells.
    """

    text: str = ""
    unit: str = ""
    left: bool = False
    wraps: bool = False
    look: str = ""

    def __str__(self) -> str:
        text = short_name(self.text)
        return f"{text}, {self.unit}" if self.unit else text


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar in a cell: where it begins and how long it is, as shares of the column.

    Lines stand at the marks, shares of the column as well; the bar lies over them.
    """

    left: float
    share: float
    style: str  # CSS: its colour and pattern
    marks: tuple[float, ...] = ()
    letter: str = "▇"  # in a terminal


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is more than a text.

    Attributes
    ----------
    text
        What it says.
    before, small
        Less important texts: in front of it, and below it (as text: behind it, in brackets).
    look
        ``bold``, ``quiet``, ``struck`` or ``code``.
    title
        What hovering says.
    bar, swatch
        A bar instead of a text; a colour in front of it.
    """

    text: str = ""
    before: str = ""
    small: str = ""
    look: str = ""
    title: str = ""
    bar: Bar | None = None
    swatch: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that stands out.

    Attributes
    ----------
    cells
        What is in it.
    look
        ``bold``, ``quiet`` or ``total``.
    tint
        Its ground: ``red,green,blue``.
    ruled
        Whether a line parts it from what is above.
    """

    cells: Sequence[str | Cell]
    look: str = ""
    tint: str = ""
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts.

    Attributes
    ----------
    heads
        The columns; of texts alone, the first begins on the left and the others end on the right.
    rows
        Cells, or a `Row` that stands out.
    caption
        What the table shows; in HTML it can then be scrolled with the keyboard.
    more
        What is said below it: how many rows are left out.
    named_by
        The column that names a row for screen readers; None if no single one does.
    width
        In HTML, the most that it takes of the page, all of which it fills.
    """

    heads: Sequence[str | Head]
    rows: Sequence[Sequence[str | Cell] | Row]
    caption: str = ""
    more: str = ""
    named_by: int | None = 0
    width: str = ""


def grid_text(grid: Grid, indent: str = "", width: int = TEXT_WIDTH) -> str:
    """Write a grid with aligned columns; those that do not fit beside the first come below.

    Examples
    --------
    >>> print(grid_text(Grid(("stage", "n"), (("item-added", "7"), ("order", "12")))))
    stage        n
    item-added   7
    order       12
    """
    heads, rows, room = _heads(grid), list(_rows(grid)), width - len(indent)
    table = _fitted([_cells(row) for row in rows], heads, room)
    ruled = [row.ruled for row in rows]
    if any(map(str, heads)):
        table, ruled = [[str(head) for head in heads], *table], [False, *ruled]
    lines: list[str] = []
    for part in _parts(_widths(table, heads, room), room):
        # A column that wraps has more room in a block of few.
        block = [[texts[at] for at in part] for texts in table]
        own = _widths(block, [heads[at] for at in part], room)
        widths = dict(zip(part, own, strict=True))
        lines += [""] if lines else []
        rule = "-" * (sum(own) + len(GAP) * (len(part) - 1))
        for texts, is_ruled in zip(table, ruled, strict=True):
            lines += [rule] if is_ruled else []
            lines += _lines(texts, heads, widths, part)
    lines += [printable(grid.more)] if grid.more else []
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def grid_markdown(grid: Grid) -> str:
    r"""Return the table for Markdown; columns of bars are left out.

    Examples
    --------
    >>> print(grid_markdown(Grid(("question", "orders"), [("a|b", "7")])))
    | question | orders |
    | :--- | ---: |
    | a\|b | 7 |
    """
    heads = _heads(grid)
    rows = [_cells(row) for row in _rows(grid)]
    kept = [at for at in range(len(heads)) if not any(row[at].bar for row in rows)]
    table = [
        [as_markdown(str(heads[at])) for at in kept],
        [":---" if heads[at].left else "---:" for at in kept],
        *([as_markdown(_plain(row[at], heads[at])) for at in kept] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def grid_html(grid: Grid) -> str:
    """Write a grid as an HTML table.

    Examples
    --------
    >>> "<bdi>&lt;b&gt;</bdi>" in grid_html(Grid(("merchant", "orders"), (("<b>", "1"),)))
    True
    """
    heads, rows = _heads(grid), list(_rows(grid))
    # A column without a name has no header: a screen reader would say an empty one.
    tags = [("th", ' scope="col"') if str(head) else ("td", "") for head in heads]
    titles = "".join(
        f'<{tag}{scope} style="{CELL}{_side(at, head)}{QUIET}font-weight:400;'
        f'border-bottom:{RULE}">{escape(str(head))}</{tag}>'
        for at, (head, (tag, scope)) in enumerate(zip(heads, tags, strict=True))
    )
    tinted = any(row.tint for row in rows)
    table = (
        f"color:inherit;font-size:inherit;border:0;margin:{4 if grid.width else 6}px 0;"
        f"border-collapse:{'separate;border-spacing:0 2px' if tinted else 'collapse'};"
        f"table-layout:auto;{f'width:100%;max-width:{grid.width}' if grid.width else ''}"
    )
    head = f'<thead><tr style="background:none">{titles}</tr></thead>'
    label = caption = ""
    if grid.caption:
        label = f' tabindex="0" role="group" aria-label="{escape(printable(grid.caption))}"'
        caption = f'<caption style="{LEFT}{QUIET}padding:0 0 6px">{as_html(grid.caption)}</caption>'
    return (
        f'<div style="overflow-x:auto"{label}><table style="{table}">{caption}'
        f"{head if any(map(str, heads)) else ''}"
        f"<tbody>{''.join(_row_html(row, heads, grid) for row in rows)}</tbody></table></div>"
        f"{quiet(grid.more)}"
    )


def _heads(grid: Grid) -> list[Head]:
    return [
        head if isinstance(head, Head) else Head(head, left=not at)
        for at, head in enumerate(grid.heads)
    ]


def _rows(grid: Grid) -> Iterator[Row]:
    return (row if isinstance(row, Row) else Row(row) for row in grid.rows)


def _cut(text: str, head: Head, *, wraps: bool = False) -> str:
    """Return a text as its column has room for it; what does not wrap may be a name."""
    return printable(text) if head.wraps or wraps else short_name(text)


def _cells(row: Row) -> list[Cell]:
    return [cell if isinstance(cell, Cell) else Cell(cell) for cell in row.cells]


def _fitted(rows: list[list[Cell]], heads: Sequence[Head], room: int) -> list[list[str]]:
    """Write cells for a terminal; bars take what the other columns leave."""
    plain = [[_plain(cell, head) for cell, head in zip(row, heads, strict=True)] for row in rows]
    others = sum(max(map(_columns, column)) + len(GAP) for column in zip(*plain, strict=True))
    bar_width = min(max(room - others, FEWEST_LETTERS), MOST_LETTERS)
    for row, texts in zip(rows, plain, strict=True):
        for at, cell in enumerate(row):
            if cell.bar:
                texts[at] = _bar_text(cell.bar, bar_width)
    return plain


def _bar_text(bar: Bar, width: int) -> str:
    begin, length = round(bar.left * width), max(round(bar.share * width), 1)
    written = [" "] * max(begin + length, width if bar.marks else 0)
    for mark in bar.marks:
        written[min(round(mark * width), width - 1)] = "|"
    written[begin : begin + length] = bar.letter * length
    return "".join(written)


def _plain(cell: Cell, head: Head) -> str:
    said = [_cut(text, head) for text in (cell.before, cell.text) if text]
    if cell.small:
        small = _cut(cell.small, head)
        said.append(f"({small})" if said else small)
    return " ".join(said)


def _widths(table: Sequence[Sequence[str]], heads: Sequence[Head], room: int) -> list[int]:
    """Return the width of each column; the longest of those that wrap takes what is left."""
    widths = [max(map(_columns, column)) for column in zip(*table, strict=True)]
    wrapping = [at for at, head in enumerate(heads) if head.wraps and widths]
    if wrapping:
        longest = max(wrapping, key=widths.__getitem__)
        others = sum(widths) - widths[longest] + len(GAP) * (len(widths) - 1)
        widths[longest] = min(widths[longest], max(room - others, FEWEST_LETTERS))
    return widths


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the columns of each block: the first, and as many others as fit beside it."""
    parts: list[list[int]] = [[0]] if widths else []
    for at in range(1, len(widths)):
        taken = sum(widths[i] + len(GAP) for i in parts[-1])
        if taken + widths[at] > room and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(at)
    return parts


def _lines(
    row: Sequence[str], heads: Sequence[Head], widths: Mapping[int, int], part: Sequence[int]
) -> Iterator[str]:
    """Yield the lines of a row in a block: more than one where a cell wraps."""
    wrapped = [
        textwrap.wrap(row[at], widths[at]) if len(row[at]) > widths[at] else [row[at]]
        for at in part
    ]
    for line in range(max(map(len, wrapped))):
        cells = []
        for at, texts in zip(part, wrapped, strict=True):
            text = texts[line] if line < len(texts) else ""
            space = " " * (widths[at] - _columns(text))
            cells.append(f"{text}{space}" if heads[at].left else f"{space}{text}")
        yield GAP.join(cells).rstrip()


def _side(at: int, head: Head) -> str:
    side = LEFT if head.left else NUMBER
    return side if at else f"{side}padding-left:0;"


def _row_html(row: Row, heads: Sequence[Head], grid: Grid) -> str:
    cells = "".join(
        _cell_html(cell, row, at, heads[at], grid) for at, cell in enumerate(_cells(row))
    )
    return f'<tr style="background:none">{cells}</tr>'


def _cell_html(cell: Cell, row: Row, at: int, head: Head, grid: Grid) -> str:
    style = f"{CELL}{_side(at, head)}font-weight:400;{LOOKS[row.look][0]}"
    if head.wraps:
        style += "white-space:normal;overflow-wrap:anywhere;"
    elif grid.width:
        style += "width:1%;"
    if row.ruled:
        style += f"border-top:{RULE};"
    if row.tint:
        style += f"background:rgba({row.tint},.10);padding:3px 8px;"
        style += "" if at else f"border-left:3px solid rgb({row.tint});"
    said = cell.title or ("" if _cut(cell.text, head) == printable(cell.text) else cell.text)
    title = f' title="{escape(printable(said))}"' if said else ""
    tag = 'th scope="row"' if at == grid.named_by else "td"
    return f'<{tag} style="{style}"{title}>{_content(cell, row, head)}</{tag[:2]}>'


def _content(cell: Cell, row: Row, head: Head) -> str:
    if cell.bar:
        place = f"margin-left:{max(cell.bar.left, 0):.2%};width:{cell.bar.share:.2%};min-width:2px"
        bar = f'<div style="{SEEN}{place};height:12px;{cell.bar.style}"></div>'
        if not cell.bar.marks:
            return bar
        line = "position:absolute;top:-3px;bottom:-3px;border-left:1px solid;opacity:.55"
        lines = "".join(f'<span style="{line};left:{mark:.2%}"></span>' for mark in cell.bar.marks)
        return f'<div style="position:relative;min-width:120px">{bar}{lines}</div>'
    content = as_html(_cut(cell.text, head)) if cell.text else ""
    for look in dict.fromkeys((head.look, cell.look, row.look)):
        _, begin, end = LOOKS[look]
        content = f"{begin}{content}{end}" if content else ""
    if "quiet" in (head.look, cell.look):
        content = f'<span style="{QUIET}">{content}</span>'
    parts = [swatch(cell.swatch)] if cell.swatch else []
    if cell.before:
        parts.append(f"{SMALL}{as_html(_cut(cell.before, head))}</small>")
    # Below a number it wraps, and so may be long.
    room = "" if head.left else UNDER
    below = _cut(cell.small, head, wraps=not head.left)
    # On a coloured ground the quiet ink is too faint.
    ink = "" if row.tint else QUIET
    small = f'<small style="{ink}font-weight:400;{room}">{as_html(below)}</small>'
    under = f"{'<br>' if content else ''}{small}" if cell.small else ""
    return " ".join([*parts, content]) + under
