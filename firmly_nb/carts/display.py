"""Carts for the eye: as HTML in a notebook and as text in a terminal.

Colours are JupyterLab's own, with fallbacks that read on light and dark grounds. There is no
script, no picture and no link: whatever a merchant sent is escaped text, and looking at a cart
fetches nothing.
"""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.bill import MOST_LINES, Bill, BillLine, bill

if TYPE_CHECKING:
    from collections.abc import Mapping

INK = "var(--jp-ui-font-color1, inherit)"
FAINT = "var(--jp-ui-font-color2, #808080)"
RULE = "1px solid var(--jp-border-color2, rgba(128,128,128,.35))"
FONT = "var(--jp-ui-font-family, system-ui, sans-serif)"
CODE = "var(--jp-code-font-family, ui-monospace, monospace)"
CELL = "border:0;background:none;vertical-align:top;padding:4px 0"
LEFT = f"{CELL};text-align:left;white-space:normal;overflow-wrap:anywhere"
RIGHT = f"{CELL};text-align:right;white-space:nowrap;padding-left:16px"
WIDTH = 64
TIMES = "\N{MULTIPLICATION SIGN}"


def cart_html(snapshot: Mapping[str, Any], most_lines: int = MOST_LINES) -> str:
    """Show a cart as a shopper would see it: lines, shipments, totals.

    Parameters
    ----------
    snapshot
        A cart, an order, or the data of an event that holds one.
    most_lines
        Lines shown; the others are counted.

    Examples
    --------
    >>> "&lt;script&gt;" in cart_html({"line_items": [{"description": "<script>"}]})
    True
    """
    read = bill(snapshot, most_lines)
    rows = "".join(map(_line_row, read.lines)) or _wide("The cart is empty.")
    if read.n_lines > len(read.lines):
        rows += _wide(f"… and {read.n_lines - len(read.lines):,} more lines")
    sent = "".join(_sum_row(words, price, FAINT) for words, price in read.shipments)
    codes = "".join(_sum_row(f"code {code}", "", FAINT) for code in read.codes)
    sums = "".join(_sum_row(label, amount) for label, amount in read.totals)
    return (
        f'<div style="font-family:{FONT};color:{INK};font-size:13px;line-height:1.45;'
        f'max-width:34em;border:{RULE};border-radius:8px;padding:10px 14px;margin:4px 0">'
        f"{_head(read)}{_table(rows)}"
        f"{_table(sent + codes, ruled=True) if sent or codes else ''}"
        f"{_table(sums + _total_row(read), ruled=True)}"
        f"{''.join(map(_notice, read.notices))}</div>"
    )


def cart_text(snapshot: Mapping[str, Any], most_lines: int = MOST_LINES) -> str:
    """Write a cart as a shopper would see it, in plain text of 64 columns.

    Examples
    --------
    >>> usd = {"currency": "USD", "number": 3700}
    >>> cart = {"display_name": "Luma", "sub_total": usd, "total": usd, "line_items": [
    ...     {"description": "Stoneware mug", "quantity": 2, "line_price": usd}]}
    >>> print(cart_text(cart))
    Luma
      2 x Stoneware mug                                        37.00
    ----------------------------------------------------------------
    subtotal                                                   37.00
    shipping                                                       —
    tax                                                            —
    total                                                  USD 37.00
    """
    read = bill(snapshot, most_lines)
    said = (read.shop, f"order {read.order_number}" if read.order_number else "", read.status)
    lines = [" · ".join(word for word in said if word)]
    for line in read.lines:
        lines += _columns(f"{line.quantity:>3} x {_named(line)}", line.price)
        if line.discount:
            lines += _columns("      discount", line.discount)
    if not read.lines:
        lines.append("  The cart is empty.")
    if read.n_lines > len(read.lines):
        lines.append(f"  … and {read.n_lines - len(read.lines):,} more lines")
    rule = "-" * WIDTH
    extra = [(words, price) for words, price in read.shipments]
    extra += [(f"code {code}", "") for code in read.codes]
    if extra:
        lines.append(rule)
    for words, price in extra:
        lines += _columns(words, price)
    lines.append(rule)
    for label, amount in (*read.totals, ("total", f"{read.currency} {read.total}".strip())):
        lines += _columns(label, amount)
    lines += [f"! {notice}" for notice in read.notices]
    return "\n".join(line.rstrip() for line in lines)


def _head(read: Bill) -> str:
    order = f"order {read.order_number}" if read.order_number else ""
    right = " · ".join(word for word in (order, read.status) if word)
    return (
        '<div style="display:flex;justify-content:space-between;gap:16px;padding-bottom:4px">'
        f"<strong><bdi>{escape(read.shop)}</bdi></strong>"
        f'<span style="color:{FAINT}"><bdi>{escape(right)}</bdi></span></div>'
    )


def _line_row(line: BillLine) -> str:
    small = " · ".join(word for word in (line.variant, line.sku) if word)
    under = f'<br><small style="color:{FAINT}"><bdi>{escape(small)}</bdi></small>' if small else ""
    each = f" {TIMES} {escape(line.each)}" if line.each else ""
    price = f"{escape(line.price)}"
    if line.discount:
        price += f'<br><small style="color:{FAINT}">discount {escape(line.discount)}</small>'
    quantity = f'{escape(line.quantity)}<small style="color:{FAINT}">{each}</small>'
    return (
        f'<tr style="background:none"><td style="{LEFT}"><bdi>{escape(line.name)}</bdi>{under}</td>'
        f'<td style="{RIGHT}">{quantity}</td><td style="{RIGHT}">{price}</td></tr>'
    )


def _sum_row(label: str, amount: str, colour: str = "inherit") -> str:
    return (
        f'<tr style="background:none;color:{colour}"><td style="{LEFT};padding:1px 0">'
        f'<bdi>{escape(label)}</bdi></td><td style="{RIGHT};padding:1px 0 1px 16px">'
        f"{escape(amount)}</td></tr>"
    )


def _total_row(read: Bill) -> str:
    large = "font-weight:600;font-size:15px;padding-top:5px"
    currency = f'<small style="color:{FAINT};font-weight:400">{escape(read.currency)}</small> '
    return (
        f'<tr style="background:none"><td style="{LEFT};{large}">total</td>'
        f'<td style="{RIGHT};{large}">{currency if read.currency else ""}{escape(read.total)}</td>'
        "</tr>"
    )


def _wide(words: str) -> str:
    return (
        f'<tr style="background:none"><td colspan="3" style="{LEFT};color:{FAINT}">'
        f"{escape(words)}</td></tr>"
    )


def _table(rows: str, *, ruled: bool = False) -> str:
    top = f"border-top:{RULE};margin-top:4px;padding-top:4px" if ruled else ""
    return (
        f'<div style="{top}"><table style="width:100%;margin:0;border:0;border-collapse:collapse;'
        f'font-size:inherit;color:inherit;font-variant-numeric:tabular-nums;table-layout:auto">'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _notice(words: str) -> str:
    return (
        '<div style="margin-top:8px;padding:4px 8px;border-left:3px solid '
        'var(--jp-warn-color1, #e08a00);background:rgba(224,138,0,.12);overflow-wrap:anywhere">'
        f"⚠ <bdi>{escape(words)}</bdi></div>"
    )


def _named(line: BillLine) -> str:
    each = f"at {line.each}" if line.each else ""
    return "  ".join(word for word in (line.name, line.variant, each) if word)


def _columns(words: str, amount: str) -> list[str]:
    """Put words on the left, wrapped, and an amount on the right of their first line."""
    room = max(WIDTH - len(amount) - 2, WIDTH // 3)
    first, *others = textwrap.wrap(words, room, drop_whitespace=False) or [""]
    indent = " " * 6
    rest = textwrap.wrap("".join(others), room - len(indent))
    return [f"{first:<{room}}  {amount}", *(f"{indent}{line}" for line in rest)]
