"""Discounts: on the cart, on a line, and the codes applied, whichever field they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import read_money
from firmly_nb.api.values import INT64_MAX
from firmly_nb.carts.fields import Rows
from firmly_nb.carts.find import Json, as_list, parts

if TYPE_CHECKING:
    from firmly_nb.carts.batch import Batch

DISCOUNT_FIELDS = "code description amount discount value price line_item_id"
AMOUNT_FIELDS = ("amount", "discount", "value", "price")
ON_A_LINE = ("line_discount", "discount", "discounts")


def discount_columns(batch: Batch) -> dict[str, list[Any]]:
    """Read the columns of `DISCOUNTS` from a batch of carts."""
    on_lines = batch.line_rows.has(*ON_A_LINE)
    lists = [_on_cart(cart) + (_on_lines(cart) if on_lines else []) for cart in batch.found.carts]
    rows = Rows([row for found in lists for _, row in found], DISCOUNT_FIELDS.split())
    return batch.found.keys(list(map(len, lists))) | {
        "field": [field for found in lists for field, _ in found],
        "line_item_id": rows.text("line_item_id"),
        "code": rows.text("code"),
        "description": rows.text("description"),
        "amount_minor": rows.money(*AMOUNT_FIELDS),
        "currency": rows.currency(),
        "other": rows.other(),
    }


def line_discounts(lines: Rows) -> list[int | None]:
    """Read the discount of each line in minor units, from whichever field it stands in."""
    amounts = lines.money("line_discount", "discount")
    if not lines.has("discounts"):
        return amounts
    for place, listed in enumerate(lines.raw("discounts")):
        if amounts[place] is None and (described := as_list(listed)):
            amounts[place] = _sum([_described(value) for value in described])
    return amounts


def _sum(described: list[Json]) -> int | None:
    """Add discounts up; null where one cannot be read or is in another currency.

    Part of a sum would be a wrong discount. A code without an amount adds nothing.
    """
    amounts = []
    for each in described:
        sent = [each[field] for field in AMOUNT_FIELDS if each.get(field) is not None]
        if sent:
            amounts.append(next(filter(None, map(read_money, sent)), None))
    known = [money for money in amounts if money is not None]
    if not known or len(known) < len(amounts) or len({money.currency for money in known}) > 1:
        return None
    minor = sum(money.minor for money in known)
    return minor if abs(minor) <= INT64_MAX else None


def _on_cart(cart: Json) -> list[tuple[str, Json]]:
    found = []
    if cart.get("cart_discount"):
        found.append(("cart_discount", _described(cart["cart_discount"])))
    for field in ("coupons", "promo_codes"):
        if cart.get(field):
            found += [(field, _described(value)) for value in as_list(cart[field])]
    return found


def _on_lines(cart: Json) -> list[tuple[str, Json]]:
    found = []
    for line in parts(cart, "line_items"):
        line_id = {"line_item_id": line.get("line_item_id")}
        for field in ON_A_LINE:
            value = line.get(field)
            values = as_list(value) if field == "discounts" else [value]
            found += [(field, _described(each) | line_id) for each in values if each]
    return found


def _described(value: Any) -> Json:
    """Bring a code, an amount or a described discount into one form."""
    if isinstance(value, dict):
        return {"amount": value} if "currency" in value else value
    return {"code": value}
