"""Carts for the tests: small ones whose amounts add up, in the words of the API."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from firmly_nb.api.money import Money

Json = dict[str, Any]


def money(minor: int, currency: str = "USD") -> Json:
    return Money(minor, currency).wire()


def line(
    sku: str = "WS12-XS-Orange",
    price: int = 2200,
    quantity: int = 1,
    number: int = 1,
    currency: str = "USD",
) -> Json:
    return {
        "line_item_id": f"item_{number}",
        "platform_line_item_id": str(number),
        "sku": sku,
        "base_sku": sku.split("-", maxsplit=1)[0],
        "variant_id": sku,
        "description": "Radiant Tee",
        "variant_description": "XS / Orange",
        "quantity": quantity,
        "price": money(price, currency),
        "line_price": money(price * quantity, currency),
        "image": {"url": "https://cdn.example.test/tee.jpg?sig=1", "alt": "Tee", "type": "default"},
        "requires_shipping": True,
    }


def method(price: int, currency: str = "USD") -> Json:
    return {
        "id": "GROUND",
        "description": "Ground",
        "price": money(price, currency),
        "estimated_delivery": "4-6 business days",
    }


def cart(
    lines: list[Json] | None = None, shipping: int = 0, tax: int = 0, currency: str = "USD"
) -> Json:
    """A v2 cart whose totals follow from its lines."""
    lines = [line(currency=currency)] if lines is None else lines
    sub_total = sum(each["line_price"]["number"] for each in lines)
    shipment = {
        "shipment_id": "ship_1",
        "line_item_ids": [each["line_item_id"] for each in lines],
        "fulfillment_type": {"id": "SHIP_TO_ADDRESS", "name": "Ship to Address"},
        "fulfillment_type_options": [{"id": "SHIP_TO_ADDRESS", "name": "Ship to Address"}],
    }
    if shipping:
        shipment["shipping_method"] = method(shipping, currency)
        shipment["shipping_method_options"] = [method(shipping, currency)]
    return {
        "cart_id": "cart_1",
        "platform_id": "magento",
        "shop_id": "staging.luma.gift",
        "display_name": "Luma",
        "cart_status": "active",
        "line_items": lines,
        "shipments": [shipment] if lines else [],
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": [],
        "notices": [],
        "addons": {"offers": [], "selections": []},
        "sub_total": money(sub_total, currency),
        "shipping_total": money(shipping, currency),
        "tax_total": money(tax, currency),
        "total": money(sub_total + shipping + tax, currency),
        "urls": {},
        "schema_version": "2.0",
    }


def order(of: Json) -> Json:
    """The order that a cart becomes."""
    placed = {
        "platform_order_number": "100004711",
        "cart_status": "submitted",
        "submitted_at": "2026-01-15T12:34:56.789Z",
    }
    return copy.deepcopy(of) | placed


def recording(
    lines: list[Json] | None = None, shipping: int = 625, tax: int = 222, currency: str = "USD"
) -> list[tuple[str, Json]]:
    """The events of one clean order; each has a cart of its own, to be broken by a test."""
    lines = [line(currency=currency)] if lines is None else lines
    added = cart(copy.deepcopy(lines), currency=currency)
    updated = cart(copy.deepcopy(lines), shipping, tax, currency)
    updated["shipping_info"] = {"country": "US", "state_or_province": "WA", "city": "Seattle"}
    return [
        ("creating-cart", {}),
        ("item-added", {"cart": added}),
        ("shipping-updated", {"cart": updated}),
        ("order-placed", {"order": order(updated)}),
    ]


def events(*recordings: list[tuple[str, Any]]) -> pd.DataFrame:
    """The table of events of some recordings, named r1, r2, ..."""
    rows = [
        (f"r{number}", seq, event, data)
        for number, each in enumerate(recordings, 1)
        for seq, (event, data) in enumerate(each)
    ]
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    return pd.DataFrame(
        {
            "recording_id": pd.Series(columns[0], dtype="str"),
            "seq": pd.Series(columns[1], dtype="int64"),
            "event": pd.Series(columns[2], dtype="category"),
            "data": pd.Series(columns[3], dtype="object"),
        }
    )


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """The functions above, under one name."""
    named = (money, line, method, cart, order, recording, events)
    return SimpleNamespace(**{each.__name__: each for each in named})
