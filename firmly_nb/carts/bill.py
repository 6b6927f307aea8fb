"""A cart as a shopper reads it: lines, how it is sent, what it costs; from any snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.api.printable import printable
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.carts.cart_view import records
from firmly_nb.carts.tables import cart_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_CURRENCY = 8  # its name has three letters where all is well
MOST_LINES = 50
NOTHING = "—"
MINUS = "\N{MINUS SIGN}"
LABELS = {
    "sub_total_minor": "subtotal",
    "cart_discount_minor": "discount",
    "shipping_total_minor": "shipping",
    "tax_total_minor": "tax",
    "addon_total_minor": "addons",
    "store_credit_minor": "store credit",
}
ALWAYS = ("sub_total_minor", "shipping_total_minor", "tax_total_minor")


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
    import pandas as pd

    found = find_snapshot(dict(snapshot))
    cart = found.data if found else dict(snapshot)
    data = pd.Series([{"cart": cart}], dtype="object")
    events = pd.DataFrame({"recording_id": "", "seq": 0, "event": "", "data": data})
    read = cart_tables(events)
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
        notices=[_notice(notice) for notice in notices],
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
    for name, label in LABELS.items():
        minor = getattr(row, name)
        if minor or (name in ALWAYS and (row.n_lines or minor is not None)):
            taken_off = label in ("discount", "store credit") and minor
            totals.append((label, _amount(-abs(minor) if taken_off else minor, currency)))
    return totals


def _notice(notice: Any) -> str:
    words = (notice.code or "", notice.message or "")
    return ": ".join(printable(word) for word in words if word) or "a notice without words"


def _amount(minor: int | None, currency: str) -> str:
    return NOTHING if minor is None else format_minor(minor, currency).replace("-", MINUS)
