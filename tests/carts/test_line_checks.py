"""The checks of line items, one by one: once, kept, as asked for, sent."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from firmly_nb.carts.report import checks, run_checks
from tests.carts.looked import ASKED, clean, counted, of, one, plant, then

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("asked", "sentences"),
    [
        (ASKED, []),
        ([*ASKED[:1], {"variant_id": "B"}], []),
        ([{"variant_id": "A", "quantity": 1}, *ASKED], ["3 of A asked for, 2 in the cart."]),
        (ASKED[:1], ["0 of B asked for, 1 in the cart."]),
        ([*ASKED, {"variant_id": "C", "quantity": 1}], ["1 of C asked for, 0 in the cart."]),
    ],
)
def test_the_cart_against_what_was_asked_for(build, asked, sentences):
    found = checks(build.events(clean(build)), {"r1": asked, "r9": ASKED})
    assert found["sentence"].tolist() == sentences * 3
    rows = [{"recording_id": "r1", "quantity": 1} | item for item in asked]
    assert checks(build.events(clean(build)), pd.DataFrame(rows)).equals(found)


def test_a_merchant_that_names_no_variant_is_held_to_the_number_of_pieces(build):
    def anonymous(cart: Json) -> None:
        for number, line in enumerate(cart["line_items"]):
            line["variant_id"], line["sku"] = None, f"X{number}"

    events = build.events(plant(clean(build), anonymous, since=0))
    assert checks(events, {"r1": ASKED}).empty
    assert set(checks(events, {"r1": ASKED[:1]})["sentence"]) == {
        "The order has quantity 2, the cart quantity 3."
    }


def test_a_cart_that_is_still_being_filled_may_grow(build):
    whole = clean(build)
    first = build.cart([build.line("A", 1850, 1, 1)])
    events = build.events([("item-added", {"cart": first}), *whole])
    assert checks(events, {"r1": ASKED}).empty


def test_lines_reordered_and_ids_made_anew_are_no_fault(build):
    def renew(cart: Json) -> None:
        cart["line_items"].reverse()
        for line in cart["line_items"]:
            line["line_item_id"] += "-new"
        lots = cart["shipments"][0]
        lots["line_item_ids"] = [f"{each}-new" for each in lots["line_item_ids"]]

    assert checks(build.events(plant(clean(build), renew))).empty


@pytest.mark.parametrize(("pieces", "found"), [(-1, 1), (0, 1), (1, 0), (2, 0)])
def test_a_line_holds_at_least_one_piece(build, pieces, found):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    cart["line_items"][1]["quantity"] = pieces
    sentence = f"Line item B has quantity {pieces}."
    assert (
        of(build.events(one(cart)), "quantity")
        == [("line_items[B].quantity", "at least 1", f"{pieces}", sentence, "error")][:found]
    )


def test_lines_that_say_no_quantity_are_not_counted(build):
    cart = build.cart([build.line("A", number=1), build.line("B", quantity=1, number=2)])
    cart["line_items"][0]["quantity"] = None
    assert counted(build.events(one(cart)), "quantity") == (1, 0, 0)
    cart["line_items"][1]["quantity"] = None
    assert counted(build.events(one(cart)), "quantity") == (0, 1, 0)


@pytest.mark.parametrize("times", [2, 3])
def test_a_line_that_is_there_more_than_once_is_an_error(build, times):
    cart = build.cart([build.line("B", number=9), *[build.line("A", number=1)] * times])
    sentence = f"Line item item_1 is in the cart {times} times."
    assert of(build.events(one(cart)), "lines-once") == [
        ("line_items[A]", "item_1 once", f"{times} times", sentence, "error")
    ]


@pytest.mark.parametrize("named_by", ["variant_id", "sku"])
def test_one_variant_in_several_lines_is_a_warning(build, named_by):
    lines = [build.line("A", number=1), build.line("B", number=2), build.line("A", number=3)]
    for line in lines:
        other = {"variant_id": "sku", "sku": "variant_id"}[named_by]
        line[other] = None
    assert of(build.events(one(build.cart(lines))), "lines-once") == [
        (
            "line_items[A]",
            "one line item",
            "2 line items",
            "A is in 2 line items of its own.",
            "warning",
        )
    ]


def test_lines_that_name_no_variant_may_be_called_the_same(build):
    lines = [build.line("A", number=1), build.line("A", number=2)]
    for line in lines:
        line |= {"variant_id": None, "sku": None, "base_sku": None}
    assert of(build.events(one(build.cart(lines))), "lines-once") == []


def test_lines_without_an_id_are_no_line_twice(build):
    lines = [build.line("A", number=1), build.line("B", number=2)]
    for line in lines:
        line["line_item_id"] = None
    assert of(build.events(one(build.cart(lines))), "lines-once") == []
    assert counted(build.events(one(build.cart([]))), "lines-once") == (0, 1, 0)


def test_what_was_in_the_cart_is_still_in_it(build):
    a, b = build.line("A", quantity=3, number=1), build.line("B", number=2)
    assert of(then(build, [a, b], [b, a]), "lines-kept") == []
    assert of(then(build, [a, b], [b]), "lines-kept") == [
        (
            "line_items[A]",
            "3 of A",
            "not there",
            "The cart has lost A; before, it held 3.",
            "error",
        )
    ]
    assert of(then(build, [a | {"quantity": None}], [b]), "lines-kept") == [
        (
            "line_items[A]",
            "A",
            "not there",
            "The cart has lost A.",
            "error",
        )
    ]


@pytest.mark.parametrize("now", [1, 2, 4])
def test_as_many_pieces_as_before_are_in_the_cart(build, now):
    a, other = build.line("A", quantity=3), build.line("A", quantity=now)
    sentence = f"The quantity of A went from 3 to {now}."
    assert of(then(build, [a], [other]), "lines-kept") == [
        ("line_items[A].quantity", "3", f"{now}", sentence, "error")
    ]
    assert of(then(build, [a], [other | {"quantity": None}]), "lines-kept") == []
    assert of(then(build, [a | {"quantity": None}], [other]), "lines-kept") == []


def test_a_cart_that_is_being_filled_may_grow_and_not_shrink(build):
    def found(*pieces: int) -> list[str]:
        carts = [build.cart([build.line("A", quantity=each)]) for each in pieces]
        events = build.events([("item-added", {"cart": cart}) for cart in carts])
        return [each[3] for each in of(events, "lines-kept")]

    assert found(1, 2, 3) == []
    assert found(3, 2) == ["The quantity of A went from 3 to 2."]


def test_a_line_is_known_by_its_id_before_its_name(build):
    """Two lines of one variant change places: each keeps its own price."""
    one_way = [build.line("A", 100, number=1), build.line("A", 200, number=2)]
    assert of(then(build, one_way, one_way[::-1]), "prices-kept") == []
    renamed = [build.line("A", 100, number=1)], [build.line("Z", 150, number=1)]
    assert of(then(build, *renamed), "prices-kept") == [
        (
            "line_items[Z].price",
            "1.00",
            "1.50",
            "The price of Z went from 1.00 to 1.50.",
            "error",
        )
    ]


def test_where_ids_were_made_anew_the_first_line_of_the_name_is_meant(build):
    before = [build.line("A", 100, number=1)]
    after = [build.line("A", 100, number=7), build.line("A", 300, number=8)]
    assert of(then(build, before, after), "prices-kept") == []
    assert len(of(then(build, before, after[::-1]), "prices-kept")) == 1


def test_prices_are_compared_where_both_are_known_and_in_one_currency(build):
    a, dearer = build.line("A", 100), build.line("A", 200)
    yen = build.line("A", 200, currency="JPY")
    assert counted(then(build, [a], [dearer]), "prices-kept") == (1, 1, 1)
    for before, after in (
        (a, dearer | {"price": None}),
        (a | {"price": None}, dearer),
        (a, yen),
        (a, build.line("B", 200, number=2)),
    ):
        assert counted(then(build, [before], [after]), "prices-kept") == (0, 2, 0)
    (found,) = of(then(build, [yen], [build.line("A", 1100, currency="JPY")]), "prices-kept")
    assert found[1:3] == ("200", "1\u202f100")


def test_each_line_whose_price_changed_is_told(build):
    before = [build.line(f"S{n}", 100, number=n) for n in range(4)]
    after = [build.line(f"S{n}", 100 + n % 2, number=n) for n in range(4)]
    found = of(then(build, before, after), "prices-kept")
    assert [each[0] for each in found] == ["line_items[S1].price", "line_items[S3].price"]


def test_the_first_snapshot_has_nothing_to_keep(build):
    for name in ("lines-kept", "prices-kept"):
        assert counted(build.events(one(build.cart())), name) == (0, 1, 0)
    assert counted(then(build, [], [build.line()]), "lines-kept") == (0, 2, 0)


@pytest.mark.parametrize("named_by", ["variant_id", "sku"])
def test_what_was_asked_for_is_found_by_variant_or_sku(build, named_by):
    lines = [build.line("A", quantity=2, number=1), build.line("B", number=2)]
    other = {"variant_id": "sku", "sku": "variant_id"}[named_by]
    for line in lines:
        line[other] = "another" if other == "sku" else "one more"
    events = then(build, lines, lines)
    assert counted(events, "as-asked", {"r1": ASKED}) == (2, 0, 0)


def test_lines_of_one_variant_are_counted_together(build):
    lines = [build.line("A", number=n) for n in (1, 2)] + [build.line("B", number=3)]
    assert counted(then(build, lines, lines), "as-asked", {"r1": ASKED}) == (2, 0, 0)
    more = [*lines, build.line("A", number=4)]
    found = run_checks(then(build, more, more), {"r1": ASKED}, only=["as-asked"]).findings
    assert found[["path", "expected", "found", "sentence"]].iloc[0].tolist() == [
        "line_items[A].quantity",
        "2",
        "3",
        "2 of A asked for, 3 in the cart.",
    ]


def test_a_line_that_names_nothing_was_not_asked_for(build):
    lines = [build.line("A", quantity=2, number=1), build.line("B", number=2)]
    stray = build.line("C", number=3) | {"variant_id": None, "sku": None}
    cart = [*lines, stray]
    found = run_checks(then(build, cart, cart), {"r1": ASKED}, only=["as-asked"]).findings
    assert set(found["sentence"]) == {"0 of ? asked for, 1 in the cart."}


def test_other_variants_than_asked_for_are_told_one_by_one(build):
    """Only a merchant that names no variants is held to the number of pieces."""
    lines = [build.line("X", quantity=3, number=1)]
    found = run_checks(then(build, lines, lines), {"r1": ASKED}, only=["as-asked"]).findings
    assert set(found["sentence"]) == {
        "2 of A asked for, 0 in the cart.",
        "1 of B asked for, 0 in the cart.",
        "0 of X asked for, 3 in the cart.",
    }


def test_every_line_that_is_sent_is_in_one_shipment(build):
    def found(ids: list[Any], ship: bool | None = True) -> list[tuple[Any, ...]]:
        cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
        cart["line_items"][0]["requires_shipping"] = ship
        cart["shipments"] = [{"shipment_id": "s", "line_item_ids": each} for each in ids]
        return of(build.events(one(cart)), "shipments-cover-lines")

    assert found([["item_1", "item_2"]]) == found([["item_1"], ["item_2"]]) == []
    for ids, times in (([["item_2"]], 0), ([["item_1"], ["item_1", "item_2"]], 2)):
        for ship in (True, None):
            sentence = f"Line item A is in {times} shipments."
            assert found(ids, ship) == [
                ("line_items[A]", "1 shipment", f"{times}", sentence, "error")
            ]
    assert found([["item_2"]], ship=False) == found([["item_1", "item_2"]], ship=False) == []
    assert len(found([["item_1"], ["item_1", "item_2"]], ship=False)) == 1
    sentence = "A shipment names line item item_9, which is not in the cart."
    assert found([["item_1", "item_2", "item_9", 7]]) == [
        ("shipments.line_item_ids", "a line item of the cart", "item_9", sentence, "error")
    ]


@pytest.mark.parametrize(
    "shipments",
    [[], [{"shipment_id": "s"}], [{"shipment_id": "s", "line_item_ids": []}], [{"notes": "x"}]],
)
def test_shipments_that_name_no_lines_are_not_held_against_them(build, shipments):
    cart = build.cart() | {"shipments": shipments}
    assert counted(build.events(one(cart)), "shipments-cover-lines") == (0, 1, 0)


def test_lines_without_ids_are_not_looked_for_in_shipments(build):
    cart = build.cart([build.line() | {"line_item_id": None}])
    cart["shipments"][0]["line_item_ids"] = ["item_1"]
    assert counted(build.events(one(cart)), "shipments-cover-lines") == (0, 1, 0)


def test_a_shipment_without_an_id_is_one(build):
    cart = build.cart()
    cart["shipments"] = [{"line_item_ids": ["item_1"]}, {"line_item_ids": ["item_1"]}]
    assert counted(build.events(one(cart)), "shipments-cover-lines") == (1, 0, 1)
