"""Right carts that merchants send, however they count: no check finds anything in them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from firmly_nb.carts.report import run_checks
from firmly_nb.carts.show import cart_html, cart_text
from firmly_nb.carts.tables import snapshots
from tests.carts.looked import carts_of, of, one

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
NO_ID = "00000000-0000-0000-0000-000000000000"


def clean(build: Any, events: Any, asked: Any = None) -> None:
    report = run_checks(build.events(events), asked and {"r1": asked})
    assert report.findings["sentence"].tolist() == []
    assert report.headline().startswith("✓ ")


def each_cart(recording: Any, change: Callable[[Json], None]) -> Any:
    for cart in carts_of(recording):
        change(cart)
    return recording


def less(build: Any, cart: Json, name: str, minor: int) -> None:
    cart[name] = build.money(cart[name]["number"] - minor, cart[name]["currency"])


def test_tax_that_is_inside_of_the_prices_at_every_event(build):
    recording = build.recording([build.line("A", 11_900, currency="EUR")], 0, 0, "EUR")
    clean(build, each_cart(recording, lambda cart: cart.update(tax_total=build.money(1900, "EUR"))))


def test_a_subtotal_without_the_tax_of_its_lines(build):
    """Lines of 119.00, a subtotal of 100.00, and the tax on top of it again."""
    cart = build.cart([build.line("A", 11_900)], shipping=500, tax=1995)
    cart |= {"sub_total": build.money(10_000), "total": build.money(12_495)}
    clean(build, [("shipping-updated", {"cart": cart})])


@pytest.mark.parametrize(
    ("price", "pieces", "line_price", "currency"),
    [
        (333, 3, 1000, "EUR"),
        (1295, 7, 9064, "EUR"),
        (1295, 7, 9066, "USD"),
        (333, 3, 1000, "JPY"),
        (3333, 3, 10_000, "KWD"),
        (17, 12, 200, "USD"),
    ],
)
def test_the_price_of_a_piece_may_be_shown_rounded(build, price, pieces, line_price, currency):
    line = build.line("A", price, pieces, currency=currency)
    line["line_price"] = build.money(line_price, currency)
    clean(build, build.recording([line], 500, 100, currency))


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_subtotal_may_be_rounded_once_for_all_lines(build, off):
    lines = [build.line("A", 1001, number=1), build.line("B", 2003, number=2)]

    def rounded(cart: Json) -> None:
        less(build, cart, "sub_total", off)
        less(build, cart, "total", off)

    clean(build, each_cart(build.recording(lines), rounded))


@pytest.mark.parametrize("order", [{}, {"total": {"currency": "USD", "value": 28.47}}])
def test_an_order_that_carries_only_its_number(build, order):
    recording = build.recording([build.line("A", 1000, 2)])
    recording[-1] = ("order-placed", {"order": {"platform_order_number": "1001"} | order})
    clean(build, recording, [{"variant_id": "A", "quantity": 2}])


@pytest.mark.parametrize(
    ("quantity", "price", "line_price"), [(1.5, 1000, 1500), ("0.25", 999, 250), (0.333, 2999, 999)]
)
def test_goods_by_weight(build, quantity, price, line_price):
    line = build.line("A", price) | {"quantity": quantity, "line_price": build.money(line_price)}
    recording = build.recording([line])
    clean(build, recording, [{"variant_id": "A", "quantity": quantity}])
    assert f"{float(quantity):g}" in cart_text(recording[1][1])
    assert f"{float(quantity):g}" in cart_html(recording[1][1])
    # A table of whole pieces does not say that there are none.
    assert snapshots(build.events(recording))["quantity"].isna().all()


@pytest.mark.parametrize("field", ["coupons", "promo_codes"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_coupon_that_is_the_only_place_of_its_discount(build, field, sign):
    def coupon(cart: Json) -> None:
        cart[field] = [{"code": "FIVE", "amount": build.money(sign * 500)}]
        less(build, cart, "total", 500)

    clean(build, each_cart(build.recording([build.line("A", 5000)]), coupon))


@pytest.mark.parametrize("where", ["total", "sub_total", "line_price"])
def test_a_coupon_that_names_no_amount(build, where):
    def coupon(cart: Json) -> None:
        cart["coupons"] = ["FIVE"]
        less(build, cart, "total", 500)
        if where != "total":
            less(build, cart, "sub_total", 500)
        if where == "line_price":
            less(build, cart["line_items"][0], "line_price", 500)

    clean(build, each_cart(build.recording([build.line("A", 5000)]), coupon))


def test_a_code_that_names_no_amount_explains_no_higher_total(build):
    recording = each_cart(
        build.recording(), lambda cart: (cart.update(coupons=["X"]), less(build, cart, "total", -5))
    )
    assert set(run_checks(build.events(recording)).findings["check"]) == {"total"}


def test_amounts_without_number(build):
    def strip(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node:
            if isinstance(value, dict) and "currency" in value:
                del value["number"]
            elif isinstance(value, (dict, list)):
                strip(value)

    clean(build, each_cart(build.recording(), strip))


def test_a_confirmation_of_a_front_end_with_one_id_for_all_lines(build):
    lines = [build.line("A", 5000), build.line("B", 3000, 2, number=2)]
    recording = build.recording(lines)
    order = recording[-1][1]["order"]
    del order["cart_id"], order["cart_status"]
    for line in order["line_items"]:
        line["line_item_id"] = NO_ID
    order["shipments"][0]["line_item_ids"] = [NO_ID] * 2
    order |= {"payment_method": {"month": "12"}, "handle": "***"}
    clean(build, recording, [{"variant_id": "A"}, {"variant_id": "B", "quantity": 2}])


def test_a_membership_outside_of_all_sums(build):
    def join(cart: Json) -> None:
        member = build.line("CLUB", 1999, number=9)
        more = {"fixed_quantity": True, "recurring": "monthly", "requires_shipping": False}
        cart["line_items"] = [*cart["line_items"], member | more]

    clean(build, each_cart(build.recording([build.line("A")]), join), [{"variant_id": "A"}])


def test_a_reduction_that_is_stated_twice_and_taken_off_once(build):
    def reduce(cart: Json) -> None:
        cart["line_items"][0]["line_discount"] = build.money(700)
        step = {"label": "Members", "step": 1, "discount": build.money(700), "is_vip": True}
        cart |= {"cart_discount": build.money(700), "cart_discount_breakdown": [step]}
        less(build, cart, "total", 700)

    clean(build, each_cart(build.recording([build.line("A", 5000)]), reduce))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("taken", [0, 1000])
def test_store_credit_that_is_shown_or_taken_off(build, taken, sign):
    def credit(cart: Json) -> None:
        cart |= {
            "store_credit": build.money(sign * 1000),
            "available_store_credit": build.money(9000),
            "reward_points": build.money(300),
            "available_reward_points": build.money(800),
        }
        less(build, cart, "total", taken)

    clean(build, each_cart(build.recording([build.line("A", 5000)]), credit))


def test_a_gift_card_is_taken_off_wherever_it_stands(build):
    for gift in (
        {"gift_card_total": build.money(400)},
        {"gift_cards": [{"code": "***", "amount": build.money(400)}]},
    ):

        def pay(cart: Json, gift: Json = gift) -> None:
            cart |= gift
            less(build, cart, "total", 400)

        clean(build, each_cart(build.recording([build.line("A", 5000)]), pay))


@pytest.mark.parametrize("name", ["handling_fee", "duties_total", "tip"])
def test_a_further_cost_may_be_in_the_total(build, name):
    def cost(cart: Json) -> None:
        cart[name] = build.money(350)
        less(build, cart, "total", -350)

    clean(build, each_cart(build.recording(), cost))


def test_a_discount_as_a_line_of_its_own(build):
    def line(cart: Json) -> None:
        off = build.line("TEN-OFF", 1000, number=7)
        off |= {name: build.money(-1000) for name in ("price", "line_price")}
        cart["line_items"] = [*cart["line_items"], off]
        less(build, cart, "sub_total", 1000)
        less(build, cart, "total", 1000)

    recording = each_cart(build.recording([build.line("A", 5000)]), line)
    clean(build, recording, [{"variant_id": "A"}])


def test_a_free_gift_was_not_asked_for_and_is_no_fault(build):
    recording = build.recording([build.line("A", 5000), build.line("GIFT", 0, number=2)])
    clean(build, recording, [{"variant_id": "A"}])


def test_a_discount_of_the_cart_that_is_spread_over_its_lines(build):
    def spread(cart: Json) -> None:
        cart["cart_discount"] = build.money(1000)
        for line, off in zip(cart["line_items"], (333, 667), strict=True):
            less(build, line, "line_price", off)
        less(build, cart, "sub_total", 1000)
        less(build, cart, "total", 1000)

    lines = [build.line("A", 5000, number=1), build.line("B", 10_000, number=2)]
    clean(build, each_cart(build.recording(lines), spread))


def test_two_shipments_cost_the_sum_of_their_methods(build):
    recording = build.recording([build.line("A", number=1), build.line("B", number=2)], 1000)
    for cart in carts_of(recording)[1:]:
        first = cart["shipments"][0] | {"line_item_ids": ["item_1"]}
        second = copy.deepcopy(first) | {"shipment_id": "ship_2", "line_item_ids": ["item_2"]}
        first["shipping_method"] = build.method(400)
        second["shipping_method"] = build.method(600)
        cart["shipments"] = [first, second]
    clean(build, recording)


def test_shipping_that_is_free_by_a_discount(build):
    def free(cart: Json) -> None:
        if cart["shipping_total"]["number"]:
            cart["cart_discount"] = build.money(625)
            less(build, cart, "total", 625)

    clean(build, each_cart(build.recording(), free))


def test_shipping_whose_methods_are_quoted_with_tax(build):
    cart = build.cart([build.line("A", 10_000)], shipping=500, tax=2100)
    cart["shipments"][0]["shipping_method"] = build.method(600)
    clean(build, [("shipping-updated", {"cart": cart})])


def test_totals_in_francs_may_be_rounded_to_what_can_be_paid(build):
    cart = build.cart([build.line("A", 1002, currency="CHF")], currency="CHF")
    cart["total"] = build.money(1000, "CHF")
    clean(build, [("item-added", {"cart": cart})])


def test_a_country_that_is_said_by_code_and_by_name(build):
    recording = build.recording()
    recording[-1][1]["order"]["shipping_info"] = {"country": "United States", "city": "Seattle"}
    clean(build, recording)


def test_the_address_that_was_guessed_before_the_real_one(build):
    recording = build.recording()
    carts_of(recording)[0]["shipping_info"] = {"country": "DE", "city": "Berlin"}
    clean(build, recording)


@pytest.mark.parametrize("event", ["set-shipping-info", "set-shipping-info-2"])
def test_a_call_that_sets_another_address_may_change_the_country(build, event):
    here, there = build.cart(), build.cart()
    here["shipping_info"], there["shipping_info"] = {"country": "US"}, {"country": "CA"}
    events = build.events([*one(here, "set-shipping-info"), *one(there, event)])
    assert of(events, "same-order") == []
    elsewhere = build.events([*one(here, "set-shipping-info"), *one(there, "complete-order")])
    assert len(of(elsewhere, "same-order")) == 1


@pytest.mark.parametrize("event", ["update-line-item", "remove-line-item-2"])
def test_a_call_that_takes_lines_away_loses_none(build, event):
    both, left = (
        build.cart([build.line("A"), build.line("B", number=2)]),
        build.cart([build.line("A")]),
    )
    events = build.events([*one(both, "add-line-item"), *one(left, event)])
    assert run_checks(events).findings.empty
    shipped = build.events([*one(both, "add-line-item"), *one(left, "set-shipping-info")])
    assert set(run_checks(shipped).findings["check"]) == {"lines-kept"}


def test_another_cart_inside_is_shown_and_not_taken_for_the_cart(build):
    recording = build.recording([build.line("A", 5000)])
    other = build.cart([build.line("B", 100)]) | {
        "total": {"currency": "EUR", "number": 9, "value": 8}
    }
    for cart in carts_of(recording):
        cart["merchant_custom_data"] = {
            "alternative_cart_details": build.cart([build.line("B", 4100)])
        }
    clean(build, recording, [{"variant_id": "A"}])
    shown = cart_text(recording[-1][1]), cart_html(recording[-1][1])
    for text in shown:
        assert "alternative cart" in text
        assert "41.00" in text
    for cart in carts_of(recording):
        cart["merchant_custom_data"] = {"alternative_cart_details": other}
    clean(build, recording, [{"variant_id": "A"}])
