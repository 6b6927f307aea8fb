"""Where a change or a finding belongs: the line, the shipment or the amount that its path names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from firmly_nb.carts.bill import LABELS, NOTHING
from firmly_nb.carts.paths import below, joined, read_path
from firmly_nb.carts.sheet_parts import short
from firmly_nb.carts.words import path_in_words

if TYPE_CHECKING:
    from firmly_nb.carts.sheet_parts import Changed, Note, SheetAmount, SheetLine

    Named = dict[str, SheetLine]
    Parts = dict[str, SheetAmount]

TOTALS = {name.removesuffix("_minor"): label for name, label in LABELS.items()}
TOTALS |= {"tax": "tax", "total": "total"}
# What a sheet compares itself, text with text.
SHIPMENT_WORDS = frozenset(
    {
        *("", "shipping_method", "fulfillment_type", "fulfillment_type.id"),
        *("fulfillment_type.name", "shipping_method.id", "shipping_method.sku"),
        *("shipping_method.description", "shipping_method.price"),
        "shipping_method.estimated_delivery",
    }
)
ELSEWHERE = frozenset({"platform_order_number", "notices", "notice"})


class Places:
    """The lines and amounts of a sheet, found by the paths of changes and findings.

    Lines and shipments come by name: under those that the comparison with the snapshot before gave
    them, for changes, and under those they have in their own cart, for findings. The names differ
    where elements of one name changed their order.
    """

    def __init__(
        self,
        lines: tuple[Named, Named],
        shipments: tuple[Parts, Parts],
        totals: list[SheetAmount],
    ) -> None:
        self.status_was: str | None = None
        self._lines, self._found_lines = lines
        self._shipments, self._found_shipments = shipments
        self._totals = {row.label: row for row in totals}

    def take_change(self, path: str, change: Changed) -> bool:
        """Put a change where it belongs; say whether there was such a place."""
        head, label, rest = split_path(path)
        if head == "line_items" and label in self._lines:
            _line_changed(self._lines[label], rest, change)
            return True
        if head == "line_items" and not label and not rest:
            return bool(self._lines)  # all at once: each line says so itself
        if head in ("shipments", "shipping_method") and label in self._shipments:
            return (rest if head == "shipments" else joined(head, rest)) in SHIPMENT_WORDS
        if head == "cart_status":
            self.status_was = change.was
            return True
        row = None if label or rest else self._totals.get(TOTALS.get(head, ""))
        if row is not None:
            row.amount.was, row.state = change.was or NOTHING, change.kind
        return row is not None or head in ELSEWHERE

    def take_finding(self, path: str, note: Note) -> bool:
        """Put a finding beside what it concerns; say whether there was such a place."""
        head, label, _ = split_path(path)
        place: SheetLine | SheetAmount | None = None
        if head == "line_items":
            place = self._found_lines.get(label)
        elif head in ("shipments", "shipping_method"):
            place = self._found_shipments.get(label)
        elif head in TOTALS:
            place = self._totals.get(TOTALS[head])
        if place is not None:
            place.findings.append(note)
        return place is not None


def split_path(path: str) -> tuple[str, str, str]:
    """Split a path into its field, the name of the element that follows, and the rest.

    Examples
    --------
    >>> split_path("line_items[WS12].price"), split_path("total.currency")
    (('line_items', 'WS12', 'price'), ('total', '', 'currency'))
    >>> split_path("somewhere in [the] cart")
    ('', '', 'somewhere in [the] cart')
    """
    try:
        steps = read_path(path)
    except ValueError:  # a check of one's own may say where in words
        return "", "", path
    head = steps[0].name if steps and steps[0].kind == "field" else ""
    begin = 1 if head else 0
    is_element = len(steps) > 1 and steps[1].kind == "element" and bool(head)
    label = steps[1].name if is_element else ""
    return head, label, below("", *steps[begin + is_element :])


def _line_changed(line: SheetLine, field: str, change: Changed) -> None:
    if not field:
        return  # the line was added or removed, and says so itself
    line.state = line.state or "changed"
    values = {"quantity": line.quantity, "line_price": line.price, "price": line.each}
    value = values.get(field)
    # The price of a single piece is that of the line, and is not shown twice.
    if value is not None and (value.now or field != "price"):
        value.was = change.was or NOTHING
    else:
        line.also.append(replace(change, words=short(path_in_words(field))))
    prices = {(each.was, each.now) for each in line.also if each.words == "price"}
    if (line.price.was, line.price.now) in prices:
        line.also = [each for each in line.also if each.words != "price"]
