"""Faults in what carts say: each makes one thing wrong that a check of carts should find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.cart_json import money

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmly_nb.sim.placement import Step

Json = dict[str, Any]


def spoil_carts(steps: list[Step], fault: str) -> list[Step]:
    """Return the steps with a fault in their carts; an unknown or empty name changes nothing."""
    change = CART_FAULTS.get(fault)
    if change is None:
        return steps
    return [_spoil(step, change) for step in steps]


def spoil_cart(cart: Json, fault: str) -> Json:
    """Return a single cart with a fault in it, as it would be late in an order."""
    change = CART_FAULTS.get(fault)
    return change("order-placed", dict(cart)) if change else cart


def _spoil(step: Step, change: Callable[[str, Json], Json]) -> Step:
    payload = {name: change(step.stage, dict(cart)) for name, cart in step.payload.items()}
    return replace(step, payload=payload)


def _wrong_total(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart["total"] = money(cart["total"]["number"] + 1, cart["total"]["currency"])
    return cart


def _price_change(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        first, *others = cart["line_items"]
        currency = first["price"]["currency"]
        price = first["price"]["number"] + 100
        raised = {"price": money(price, currency)}
        raised["line_price"] = money(price * first["quantity"], currency)
        cart["line_items"] = [{**first, **raised}, *others]
        for name in ("sub_total", "total"):
            cart[name] = money(cart[name]["number"] + 100 * first["quantity"], currency)
    return cart


def _item_removed(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart["line_items"] = cart["line_items"][:-1]
    return cart


def _missing_field(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart.pop("sub_total")
    return cart


def _other_currency(_stage: str, cart: Json) -> Json:
    other = "EUR" if cart["total"]["currency"] == "USD" else "USD"
    cart["shipping_total"] = money(cart["shipping_total"]["number"], other)
    return cart


def _duplicated_line(_stage: str, cart: Json) -> Json:
    cart["line_items"] = [cart["line_items"][0], *cart["line_items"]]
    return cart


CART_FAULTS: Mapping[str, Callable[[str, Json], Json]] = {
    "cart-wrong-total": _wrong_total,
    "cart-price-change": _price_change,
    "cart-item-removed": _item_removed,
    "cart-missing-field": _missing_field,
    "cart-other-currency": _other_currency,
    "cart-duplicated-line": _duplicated_line,
}
