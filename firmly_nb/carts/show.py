"""Carts for the eye: as HTML in a notebook and as text in a terminal.

Colours are JupyterLab's own, with fallbacks that read on light and dark grounds. There is no
script, no picture and no link: whatever a merchant sent is escaped text, and looking at a cart
fetches nothing.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.api.snapshots import Snapshot, find_snapshot
from firmly_nb.carts.changes import AMOUNT_NAMES, amount_or_value
from firmly_nb.carts.tables import Found, records, tables_of
from firmly_nb.display.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd


LONGEST_CURRENCY = 8  # its name has three letters where all is well
MOST_LINES = 50
NOTHING = "—"
MINUS = "\N{MINUS SIGN}"
ALWAYS = ("sub_total", "shipping_total", "tax_total")
OFTEN = ("cart_discount", "addon_total", "store_credit")


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: pieces, name, variant, sku, price of one piece and of the line, discount."""

    quantity: str
    name: str
    variant: str
    sku: str
    each: str
    price: str
    discount: str


@dataclass(frozen=True, slots=True)
class Bill:
    """All that is shown of a cart, as texts; amounts are written in their currency's form."""

    shop: str
    status: str
    order_number: str
    currency: str
    lines: list[BillLine]
    n_lines: int
    shipments: list[tuple[str, str]]
    codes: list[str]
    totals: list[tuple[str, str]]
    total: str
    notices: list[str]


def bill(snapshot: Mapping[str, Any], most_lines: int = MOST_LINES) -> Bill:
    """Read a bill from a cart, an order, or the data of an event that holds one.

    Examples
    --------
    >>> usd = {"currency": "USD", "number": 3700}
    >>> read = bill({"line_items": [{"description": "Mug", "quantity": 2, "line_price": usd}]})
    >>> read.lines[0].quantity, read.lines[0].name, read.lines[0].price, read.total
    ('2', 'Mug', '37.00', '—')
    """
    seen = find_snapshot(dict(snapshot)) or Snapshot("cart", dict(snapshot), None)
    read = tables_of(Found([""], [0], [""], [seen.data], [seen.kind], [seen.order_number]))
    (row,) = records(read.snapshots)
    return bill_of(
        row,
        list(records(read.line_items.head(most_lines))),
        list(records(read.shipments.head(most_lines))),
        read.discounts["code"].dropna().tolist()[:most_lines],
        list(records(read.notices.head(most_lines))),
    )


def bill_of(
    row: Any, lines: list[Any], shipments: list[Any], codes: list[str], notices: list[Any]
) -> Bill:
    """Write a bill from the rows of one snapshot in the tables; nulls are None."""
    known = row.currency or next((line.currency for line in lines if line.currency), "")
    currency = printable(known, LONGEST_CURRENCY)
    return Bill(
        shop=printable(row.display_name or row.shop_id or "Cart"),
        status=printable(row.cart_status or ""),
        order_number=printable(row.order_number or ""),
        currency=currency,
        lines=[_line(line, currency) for line in lines],
        n_lines=row.n_lines,
        shipments=[_shipment(part, currency) for part in shipments],
        codes=[printable(code) for code in codes],
        totals=_totals(row, currency),
        total=_amount(row.total_minor, currency),
        notices=[_notice_text(notice) for notice in notices],
    )


def _line(line: Any, currency: str) -> BillLine:
    own = printable(line.currency or currency, LONGEST_CURRENCY)
    many = line.quantity != 1
    mark = f" {own}" if own != currency else ""
    return BillLine(
        quantity=NOTHING if line.quantity is None else str(line.quantity),
        name=printable(line.description or line.sku or line.variant_id or "(no name)"),
        variant=printable(line.variant_description or ""),
        sku=printable(line.sku or ""),
        each=_amount(line.price_minor, own) if many and line.price_minor is not None else "",
        price=_amount(line.line_price_minor, own) + mark,
        discount=_amount(-abs(line.discount_minor), own) if line.discount_minor else "",
    )


def _shipment(part: Any, currency: str) -> tuple[str, str]:
    said = (
        part.method_description or part.method_id or "",
        part.estimated_delivery or "",
        part.fulfillment_name or part.fulfillment_type or "",
    )
    words = " · ".join(printable(word) for word in said if word) or "shipment"
    if part.method_price_minor is None:
        return words, ""
    return words, _amount(part.method_price_minor, part.currency or currency)


def _totals(row: Any, currency: str) -> list[tuple[str, str]]:
    totals = []
    for name, label in AMOUNT_NAMES.items():
        if name not in (*ALWAYS, *OFTEN):
            continue
        minor = getattr(row, f"{name}_minor")
        if minor or (name in ALWAYS and (row.n_lines or minor is not None)):
            taken_off = label in ("discount", "store credit") and minor
            totals.append((label, _amount(-abs(minor) if taken_off else minor, currency)))
    return totals


def _notice_text(notice: Any) -> str:
    words = (notice.code or "", notice.message or "")
    return ": ".join(printable(word) for word in words if word) or "a notice without words"


def _amount(minor: int | None, currency: str) -> str:
    return NOTHING if minor is None else format_minor(minor, currency).replace("-", MINUS)


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
    return card(
        f"{_head(read)}{_table(rows)}"
        f"{_table(sent + codes, ruled=True) if sent or codes else ''}"
        f"{_table(sums + _total_row(read), ruled=True)}"
        f"{''.join(map(_notice, read.notices))}",
        width="34em",
        padding="10px 14px",
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


def card(inside: str, *, width: str, padding: str) -> str:
    """Put HTML into a frame in the notebook's font."""
    return (
        f'<div style="font-family:{FONT};color:{INK};font-size:13px;line-height:1.45;'
        f'max-width:{width};border:{RULE};border-radius:8px;padding:{padding};margin:4px 0">'
        f"{inside}</div>"
    )


def tinted(tint: str) -> str:
    """Return the style of a cell on a tint, as ``red,green,blue``."""
    return f"{LEFT};background:rgba({tint},.10);padding:3px 8px"


def _head(read: Bill) -> str:
    number = f"order {read.order_number}" if read.order_number else ""
    right = " · ".join(said for said in (number, read.status) if said)
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


# Changes of carts for the eye; signs say what colours say, so that either is enough.


Shown = tuple[str, str, str, str]  # kind, path, before, after
MOST_CHANGES = 200
SIGNS = {"added": "+", "removed": MINUS, "changed": "→"}
TINTS = {"added": "46,160,67", "removed": "218,54,51", "changed": "56,132,255"}


def changes_html(changes: pd.DataFrame, most: int = MOST_CHANGES) -> str:
    """Show changes, one block an event: + added, - removed, → changed.

    Parameters
    ----------
    changes
        As made by `firmly_nb.carts.changes.changes`.
    most
        Changes shown; the others are counted.

    Examples
    --------
    >>> from firmly_nb.carts import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "tax", "kind": "changed", "before": 0, "after": 374, "currency": "USD"}
    >>> all(word in changes_html(CHANGES.frame([row])) for word in ("→", "tax", "0.00", "3.74"))
    True
    """
    blocks = [
        f'<div style="font-weight:600;padding:6px 0 2px">{escape(title)}</div>'
        '<table style="margin:0;border:0;border-collapse:separate;border-spacing:0 2px;width:100%;'
        'font-size:inherit;color:inherit;font-variant-numeric:tabular-nums"><tbody>'
        f"{''.join(map(_row, rows))}</tbody></table>"
        for title, rows in _blocks(changes.head(most))
    ]
    if len(changes) > most:
        blocks.append(
            f'<div style="color:{FAINT}">… and {len(changes) - most:,} more changes</div>'
        )
    inside = "".join(blocks) or f'<div style="color:{FAINT}">no changes</div>'
    return card(inside, width="52em", padding="6px 14px 10px")


def changes_text(changes: pd.DataFrame, most: int = MOST_CHANGES) -> str:
    """Write changes as plain text, one line a change.

    Examples
    --------
    >>> from firmly_nb.carts import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "tax", "kind": "changed", "before": 0, "after": 374, "currency": "USD"}
    >>> print(changes_text(CHANGES.frame([row])))
    shipping-updated
      -> tax  0.00 -> 3.74
    """
    signs = SIGNS | {"removed": "-", "changed": "->"}
    lines = []
    for title, rows in _blocks(changes.head(most)):
        lines.append(title)
        width = min(max(len(path) for _, path, _, _ in rows), 48)
        for kind, path, before, after in rows:
            values = f"{before} -> {after}" if kind == "changed" else before or after
            lines.append(f"  {signs[kind]:<2} {path:<{width}}  {values}")
    if len(changes) > most:
        lines.append(f"… and {len(changes) - most:,} more changes")
    return "\n".join(lines) or "no changes"


def _blocks(changes: pd.DataFrame) -> Iterator[tuple[str, list[Shown]]]:
    """Yield each event's title and its changes as kind, path, before and after."""
    many = changes["recording_id"].nunique() > 1
    names = ("kind", "path", "before", "after", "currency")
    for (recording_id, _), rows in changes.groupby(["recording_id", "seq_after"], sort=False):
        event = printable(str(rows["event"].iloc[0]))
        columns = (rows[name].tolist() for name in names)
        shown = [_shown(*row) for row in zip(*columns, strict=True)]
        yield (f"{recording_id} · {event}" if many else event), shown


def _shown(kind: str, path: str, before: Any, after: Any, currency: Any) -> Shown:
    old = "" if kind == "added" else printable(amount_or_value(before, currency))
    new = "" if kind == "removed" else printable(amount_or_value(after, currency))
    return kind, printable(path), old, new


def _row(change: Shown) -> str:
    kind, path, before, after = change
    tint = TINTS[kind]
    cell = tinted(tint)
    arrow = f' <span style="color:{FAINT}">→</span> ' if kind == "changed" else ""
    old = f'<bdi style="color:{FAINT}">{escape(before)}</bdi>' if before else ""
    if kind == "removed":
        old = f"<s><bdi>{escape(before)}</bdi></s>"
    new = f"<strong><bdi>{escape(after)}</bdi></strong>" if after else ""
    return (
        f'<tr style="background:none"><td title="{kind}" style="{cell};width:1.2em;'
        f'border-left:3px solid rgb({tint});text-align:center;font-weight:600">{SIGNS[kind]}</td>'
        f'<td style="{cell};font-family:{CODE};font-size:12px;width:62%">'
        f"<bdi>{escape(path)}</bdi></td>"
        f'<td style="{cell};text-align:right">{old}{arrow}{new}</td></tr>'
    )
