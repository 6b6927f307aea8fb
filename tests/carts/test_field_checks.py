"""The checks of fields and status: what a cart must say at all."""

from __future__ import annotations

from typing import Any

import pytest

from firmly_nb.carts.report import checks
from tests.carts.looked import clean, counted, of, of_each, one, plant

Json = dict[str, Any]


def test_a_merchant_that_blocks_the_cart_is_a_warning(build):
    def block(cart: Json) -> None:
        if cart["cart_status"] == "active":
            cart["cart_status"] = "item_not_shippable"

    found = checks(build.events(plant(clean(build), block)))
    assert found["severity"].tolist() == ["warning"]
    assert "item_not_shippable" in found["sentence"].item()


def lacking(build: Any, cart: Json, event: str = "item-added") -> list[tuple[str, str]]:
    return lacking_each(build, [cart], event)[0]


def lacking_each(build: Any, carts: list[Json], event: str) -> list[list[tuple[str, str]]]:
    found = of_each(build, carts, "required-fields", event)
    assert all(each[1].startswith(("a ", "an ")) for findings in found for each in findings)
    return [
        [(each[0], each[3].removeprefix(each[0]).strip(" .")) for each in findings]
        for findings in found
    ]


ALWAYS = ("cart_id", "cart_status", "line_items")


FILLED = ("sub_total", "total")


PRICED = ("shipping_total", "tax_total")


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("item-added", [*ALWAYS, *FILLED]),
        ("another-event", [*ALWAYS, *FILLED]),
        ("shipping-updated", [*ALWAYS, *FILLED, *PRICED]),
        ("order-placed", ["line_items", *FILLED, *PRICED, "platform_order_number"]),
    ],
)
def test_what_a_cart_must_say_grows_with_the_order(build, event, fields):
    whole = build.order(build.cart()) if event == "order-placed" else build.cart()
    # Without its lines a cart is empty, and then other fields are asked for.
    names = [*ALWAYS[:2], *FILLED, *PRICED, "platform_order_number", "urls", "nothing"]
    carts = [{key: value for key, value in whole.items() if key != name} for name in names]
    for name, found in zip(names, lacking_each(build, carts, event), strict=True):
        assert found == ([(name, "is missing")] if name in fields else [])


def test_an_empty_cart_needs_no_amounts(build):
    empty = {"cart_id": "c", "cart_status": "active", "line_items": []}
    for event in ("item-added", "shipping-updated"):
        assert lacking(build, empty, event) == []
    assert lacking(build, empty, "order-placed") == [("platform_order_number", "is missing")]
    assert lacking(build, empty | {"line_items": None}) == [("line_items", "is missing")]
    assert lacking(build, empty | {"line_items": {}}) == [
        ("line_items", "is there, but is no list")
    ]


@pytest.mark.parametrize("field", ["line_item_id", "quantity", "price", "line_price"])
def test_each_line_must_say_what_it_is_and_costs(build, field):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    cart["line_items"][1][field] = None
    assert lacking(build, cart) == [(f"line_items[B].{field}", "is missing")]


@pytest.mark.parametrize("field", [*FILLED, *PRICED, "price", "line_price"])
def test_an_amount_that_cannot_be_read_is_told(build, field):
    cart = build.order(build.cart())
    holder, path = (cart, field)
    if field.endswith("price"):
        holder, path = cart["line_items"][0], f"line_items[WS12-XS-Orange].{field}"
    holder[field] = "free"
    assert lacking(build, cart, "order-placed") == [(path, "is there, but is no amount")]


def test_a_quantity_that_is_no_number_is_told(build):
    cart = build.cart()
    cart["line_items"][0]["quantity"] = "many"
    path = "line_items[WS12-XS-Orange].quantity"
    assert lacking(build, cart) == [(path, "is there, but is no number")]


@pytest.mark.parametrize(
    ("spelling", "held"), [("sku", True), ("id", True), ("variant_id", True), ("base_sku", False)]
)
def test_a_line_may_name_its_variant_in_three_ways(build, spelling, held):
    cart = build.cart()
    line = cart["line_items"][0]
    line |= {"sku": None, "variant_id": None, "base_sku": None}
    line[spelling] = "A"
    assert lacking(build, cart) == ([] if held else [("line_items[A].sku", "is missing")])


def test_the_tax_of_the_first_version_is_the_tax(build):
    cart = build.order(build.cart())
    cart["tax"] = cart.pop("tax_total")
    assert lacking(build, cart, "order-placed") == []


@pytest.mark.parametrize(
    ("event", "status", "sentence"),
    [
        ("item-added", "active", None),
        ("shipping-updated", "active", None),
        ("order-placed", "submitted", None),
        ("item-added", "submitted", "The status at item-added is submitted; it should be active."),
        (
            "shipping-updated",
            "submitted",
            "The status at shipping-updated is submitted; it should be active.",
        ),
        ("order-placed", "active", "The status at order-placed is active; it should be submitted."),
        ("item-added", "on_hold", "The merchant says on_hold at item-added."),
        ("order-placed", "on_hold", "The merchant says on_hold at order-placed."),
    ],
)
def test_the_status_is_that_of_the_event(build, event, status, sentence):
    cart = build.cart() | {"cart_status": status}
    expected = "submitted" if event == "order-placed" else "active"
    severity = "warning" if status == "on_hold" else "error"
    assert of(build.events(one(cart, event)), "status-fits-event") == (
        [("cart_status", expected, status, sentence, severity)] if sentence else []
    )


def test_a_status_is_not_asked_of_other_events_nor_where_there_is_none(build):
    for cart, event in (
        (build.cart() | {"cart_status": "submitted"}, "session-created"),
        (build.cart() | {"cart_status": None}, "item-added"),
    ):
        assert counted(build.events(one(cart, event)), "status-fits-event") == (0, 1, 0)


def test_what_is_no_line_among_the_lines_is_passed_over(build):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    cart["line_items"][1:1] = ["x", None]
    cart["line_items"][3]["price"] = None
    assert lacking(build, cart) == [("line_items[B].price", "is missing")]
