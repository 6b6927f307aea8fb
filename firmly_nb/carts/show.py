"""Carts for the eye: as HTML in a notebook and as text in a terminal.

Colours are JupyterLab's own, with fallbacks that read on light and dark grounds. There is no
script, no picture and no link: whatever a merchant sent is escaped text, and looking at a cart
fetches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor, money_text, read_money
from firmly_nb.api.snapshots import FIELDS, Snapshot, find_snapshot
from firmly_nb.carts.changes import AMOUNT_NAMES, amount_or_value
from firmly_nb.carts.fields import exact_number
from firmly_nb.carts.tables import Found, records, tables_of
from firmly_nb.display.html import QUIET, card, notes, quiet
from firmly_nb.display.table import Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import and_more, as_html, count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd


LONGEST_CURRENCY = 8  # its name has three letters where all is well
MOST_LINES = 50
MOST_ALTERNATIVES = 5
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
    """Content of the display of a cart, as texts; amounts are in their currency's form."""

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
    alternatives: list[tuple[str, str]]


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
        seen.data,
    )


def bill_of(
    row: Any,
    lines: list[Any],
    shipments: list[Any],
    codes: list[str],
    notices: list[Any],
    cart: Mapping[str, Any],
) -> Bill:
    """Write a bill from the rows of one snapshot in the tables; nulls are None.

    ``cart`` is what was sent: other carts in its ``merchant_custom_data`` are named on the bill.
    """
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
        alternatives=_alternatives(cart),
    )


def _alternatives(cart: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the carts that the merchant shows beside this one, in words with their totals."""
    custom = cart.get("merchant_custom_data")
    found = []
    for name, other in custom.items() if isinstance(custom, dict) else ():
        if not isinstance(other, dict) or FIELDS.isdisjoint(other):
            continue
        total = read_money(other.get("total"))
        lines = other.get("line_items")
        words = f"alternative cart ({printable(name)})"
        if isinstance(lines, list):
            words = f"{words}: {count(len(lines), 'line')}"
        found.append((words, money_text(*total) if total else ""))
    return found[:MOST_ALTERNATIVES]


def _line(line: Any, currency: str) -> BillLine:
    own = printable(line.currency or currency, LONGEST_CURRENCY)
    many = line.quantity != 1
    mark = f" {own}" if own != currency else ""
    return BillLine(
        quantity=_quantity(line),
        name=printable(line.description or line.sku or line.variant_id or "(no name)"),
        variant=printable(line.variant_description or ""),
        sku=printable(line.sku or ""),
        each=_amount(line.price_minor, own) if many and line.price_minor is not None else "",
        price=_amount(line.line_price_minor, own) + mark,
        discount=_amount(-abs(line.discount_minor), own) if line.discount_minor else "",
    )


def _quantity(line: Any) -> str:
    if line.quantity is not None:
        return str(line.quantity)
    # Goods by weight or length: the column holds whole pieces, the number is kept as sent.
    sent = (line.other or {}).get("quantity")
    return NOTHING if exact_number(sent) is None else printable(sent)


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


TIMES = "\N{MULTIPLICATION SIGN}"


def cart_html(snapshot: Mapping[str, Any], most_lines: int = MOST_LINES) -> str:
    """Show a cart as a buyer would see it: lines, shipments, totals.

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
    head = (
        '<div style="display:flex;justify-content:space-between;gap:16px">'
        f'<b>{as_html(read.shop)}</b> <span style="{QUIET}">{as_html(_state(read))}</span></div>'
    )
    return card(f"{head}{grid_html(_bill_grid(read))}{notes(read.notices)}", "34em")


def cart_text(snapshot: Mapping[str, Any], most_lines: int = MOST_LINES) -> str:
    """Write a cart as a buyer would see it, as plain text.

    Examples
    --------
    >>> usd = {"currency": "USD", "number": 3700}
    >>> cart = {"display_name": "Luma", "sub_total": usd, "total": usd, "line_items": [
    ...     {"description": "Stoneware mug", "quantity": 2, "line_price": usd}]}
    >>> print(cart_text(cart))
    Luma
    Stoneware mug  2      37.00
    ---------------------------
    subtotal              37.00
    shipping                  —
    tax                       —
    total             USD 37.00
    """
    read = bill(snapshot, most_lines)
    head = " · ".join(word for word in (read.shop, _state(read)) if word)
    return "\n".join([head, grid_text(_bill_grid(read)), *(f"! {text}" for text in read.notices)])


def _state(read: Bill) -> str:
    number = f"order {read.order_number}" if read.order_number else ""
    return " · ".join(word for word in (number, read.status) if word)


def _bill_grid(read: Bill) -> Grid:
    """Return the lines, then what is sent and taken off, then the totals, with rules between."""
    extra = [Row((words, "", price), look="quiet") for words, price in read.shipments]
    extra += [Row((f"code {code}", "", ""), look="quiet") for code in read.codes]
    sums = [Row((label, "", amount)) for label, amount in read.totals]
    sums.append(Row(("total", "", Cell(read.total, before=read.currency)), look="total"))
    others = [Row((words, "", total), look="quiet") for words, total in read.alternatives]
    rows = [*_line_rows(read), *_ruled(extra), *_ruled(sums), *_ruled(others)]
    return Grid((Head(left=True, wraps=True), Head(), Head()), rows, width="34em")


def _line_rows(read: Bill) -> Iterator[Row]:
    for line in read.lines:
        small = " · ".join(word for word in (line.variant, line.sku) if word)
        quantity = f"{line.quantity} {TIMES} {line.each}" if line.each else line.quantity
        yield Row((Cell(line.name, small=small), quantity, line.price))
        if line.discount:
            yield Row(("discount", "", line.discount), look="quiet")
    if not read.lines:
        yield Row(("The cart is empty.", "", ""), look="quiet")
    if left := and_more(read.n_lines - len(read.lines), "line"):
        yield Row((left, "", ""), look="quiet")


def _ruled(rows: list[Row]) -> list[Row]:
    """Draw a rule above the first of some rows."""
    return [replace(row, ruled=not at) for at, row in enumerate(rows)]


# Changes of carts for the eye; signs say what colours say, so that either is enough.


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
        f'<div style="font-weight:600;padding:6px 0 2px">{as_html(title)}</div>{grid_html(grid)}'
        for title, grid in _blocks(changes.head(most))
    ]
    more = quiet(and_more(len(changes) - most, "change"))
    return card("".join([*blocks, more]) or quiet("no changes"), "52em")


def changes_text(changes: pd.DataFrame, most: int = MOST_CHANGES) -> str:
    """Write changes as plain text, one line a change.

    Examples
    --------
    >>> from firmly_nb.carts import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "tax", "kind": "changed", "before": 0, "after": 374, "currency": "USD"}
    >>> print(changes_text(CHANGES.frame([row])))
    shipping-updated
      →  tax  0.00 → 3.74
    """
    blocks = [
        f"{title}\n{grid_text(grid, indent='  ')}" for title, grid in _blocks(changes.head(most))
    ]
    more = and_more(len(changes) - most, "change")
    return "\n".join([*blocks, *([more] if more else [])]) or "no changes"


def _blocks(changes: pd.DataFrame) -> Iterator[tuple[str, Grid]]:
    """Yield each event's name and its changes, a row each: sign, path, before and after."""
    many = changes["recording_id"].nunique() > 1
    names = ("kind", "path", "before", "after", "currency")
    heads = (
        Head(look="bold"),
        Head(left=True, wraps=True, look="code"),
        Head(left=True, wraps=True),
    )
    for (recording_id, _), rows in changes.groupby(["recording_id", "seq_after"], sort=False):
        event = printable(rows["event"].iloc[0])
        columns = (rows[name].tolist() for name in names)
        shown = [_change(*row) for row in zip(*columns, strict=True)]
        title = f"{recording_id} · {event}" if many else event
        yield title, Grid(heads, shown, named_by=1, width="52em")


def _change(kind: str, path: str, before: Any, after: Any, currency: Any) -> Row:
    old, new = (amount_or_value(value, currency) for value in (before, after))
    value = Cell(old, look="struck") if kind == "removed" else Cell(new, look="bold")
    if kind == "changed":
        value = replace(value, before=f"{printable(old)} →")
    return Row((Cell(SIGNS[kind], title=kind), path, value), tint=TINTS[kind])
