"""Wrong carts, each found by the check of its name, and by no other as an error."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from firmly_nb.carts.checked import Skipped, check, remove_check
from firmly_nb.carts.report import run_checks
from tests.carts.looked import ASKED, carts_of, clean, one, plant

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def again(money: Json, minor: int) -> None:
    """Set an amount, in the currency that it has."""
    digits = {"JPY": 0, "KWD": 3}.get(money["currency"], 2)
    money |= {"number": minor, "value": minor / 10**digits}


def off_at_line_subtotal_and_total(cart: Json) -> None:
    line = cart["line_items"][0]
    line["line_discount"] = dict(line["price"])
    again(line["line_discount"], 300)
    for money, times in ((line["line_price"], 1), (cart["sub_total"], 2), (cart["total"], 3)):
        again(money, money["number"] - 300 * times)


def off_twice_for_the_cart(cart: Json) -> None:
    cart["cart_discount"] = dict(cart["total"])
    again(cart["cart_discount"], 400)
    for money, times in ((cart["sub_total"], 1), (cart["total"], 2)):
        again(money, money["number"] - 400 * times)


def other_method(cart: Json) -> None:
    again(cart["shipments"][0]["shipping_method"]["price"], 900)


def negative(name: str) -> Callable[[Json], None]:
    def make(cart: Json) -> None:
        again(cart[name], -cart[name]["number"])

    return make


def other(name: str, value: str) -> Callable[[Json], None]:
    def make(cart: Json) -> None:
        if cart["cart_status"] == "submitted":
            cart[name] = value

    return make


def other_country(cart: Json) -> None:
    if cart["cart_status"] == "submitted":
        cart["shipping_info"] = cart["shipping_info"] | {"country": "DE"}


def noticed(code: str) -> Callable[[Json], None]:
    def make(cart: Json) -> None:
        if cart["cart_status"] == "submitted":
            cart["notices"] = [{"code": code, "message": "Something is wrong."}]

    return make


def contradiction(cart: Json) -> None:
    cart["tax_total"]["value"] = 2 * cart["tax_total"]["value"]


def one_id_for_two(cart: Json) -> None:
    cart["line_items"][1]["line_item_id"] = cart["line_items"][0]["line_item_id"]


def one_id_for_more(cart: Json) -> None:
    line = copy.deepcopy(cart["line_items"][0])
    line["quantity"] += 1
    again(line["line_price"], line["price"]["number"] * line["quantity"])
    cart["line_items"].append(line)


def last_line_gone(cart: Json) -> None:
    cart["line_items"].pop()


WRONG = {
    "off at line, subtotal and total": ("discount-once", off_at_line_subtotal_and_total),
    "off twice for the cart": ("discount-once", off_twice_for_the_cart),
    "another method": ("shipping-methods", other_method),
    "negative total": ("not-negative", negative("total")),
    "negative shipping": ("not-negative", negative("shipping_total")),
    "negative tax": ("not-negative", negative("tax_total")),
    "another cart": ("same-order", other("cart_id", "cart_2")),
    "another merchant": ("same-order", other("shop_id", "b.test")),
    "another country": ("same-order", other_country),
    "out of stock": ("notices-of-order", noticed("ITEM_OUT_OF_STOCK")),
    "not shippable": ("notices-of-order", noticed("ITEM_NOT_SHIPPABLE")),
    "number against value": ("number-agrees-with-value", contradiction),
    "one id for two lines": ("line-ids-differ", one_id_for_two),
    "one id with two quantities": ("line-ids-differ", one_id_for_more),
    "a line gone": ("lines-kept", last_line_gone),
}


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_cart_is_found_by_its_check_alone(build, fault, currency):
    name, spoil = WRONG[fault]
    events = build.events(plant(clean(build, currency=currency, tax=222), spoil))
    found = run_checks(events, {"r1": ASKED}).findings
    assert set(found["check"]) == {name}
    assert set(found["severity"]) == {"error"}


@pytest.mark.parametrize("code", ["PRICE_INCREASED", "PROMO_EXPIRED", "CART_ITEMS_REMOVED"])
def test_a_warning_on_the_order_is_a_warning(build, code):
    found = run_checks(build.events(plant(clean(build), noticed(code)))).findings
    assert found[["check", "severity"]].to_numpy().tolist() == [["notices-of-order", "warning"]]


@pytest.mark.parametrize("code", ["LOW_STOCK", "GIFT_ADDED", "THANK_YOU"])
def test_a_notice_that_only_informs_is_no_finding(build, code):
    assert run_checks(build.events(plant(clean(build), noticed(code)))).findings.empty


def test_a_notice_of_version_1_and_one_that_grades_itself(build):
    def make(cart: Json) -> None:
        cart["notice"] = ["CART_ITEMS_REMOVED"]
        cart["notices"] = [{"message": "Look here", "severity": "warning"}]

    found = run_checks(build.events(plant(clean(build), make, since=2))).findings
    assert found["sentence"].tolist() == [
        "The order was placed with the notice Look here.",
        "The order was placed with the notice CART_ITEMS_REMOVED.",
    ]


def test_a_discount_that_is_taken_off_again_says_where(build):
    found = run_checks(
        build.events(plant(clean(build), off_at_line_subtotal_and_total)), only=["discount-once"]
    ).findings
    assert found["sentence"].iloc[0] == (
        "Discounts of 3.00 are stated, but 9.00 is taken off: "
        "3.00 in the line prices, 3.00 in the subtotal and 3.00 in the total."
    )


def test_shipping_that_the_total_takes_from_the_method_is_one_fault(build):
    def make(cart: Json) -> None:
        other_method(cart)
        again(cart["total"], cart["total"]["number"] + 900 - 625)

    found = run_checks(build.events(plant(clean(build), make))).findings
    assert set(found["check"]) == {"shipping-methods"}


def test_a_line_at_the_same_price_costs_what_it_did(build):
    """Two pieces at 18.50 for 36.99 can be rounding, but not where they cost 37.00 before."""

    def make(cart: Json) -> None:
        again(cart["line_items"][0]["line_price"], 3699)

    found = run_checks(build.events(plant(clean(build), make))).findings
    assert found["check"].tolist()[0] == "line-price"
    assert "at the same price it cost 37.00 before" in found["sentence"].iloc[0]


def test_the_same_lines_have_the_subtotal_that_they_had(build):
    def make(cart: Json) -> None:
        for name in ("sub_total", "total"):
            again(cart[name], cart[name]["number"] + 1)

    (first,) = run_checks(build.events(plant(clean(build), make))).findings.to_dict("records")
    assert (first["check"], first["found"]) == ("subtotal", "59.01")
    assert first["sentence"].endswith("as they did in the snapshot before.")


# A check that did not look is told apart from one that found nothing.


def unread_total(cart: Json) -> None:
    cart["total"] = "free"


def test_what_was_not_read_is_a_result_of_its_own(build):
    report = run_checks(build.events(one(build.cart() | {"total": "free"})))
    summary = report.summary.set_index("check")
    assert summary.loc["total", ["snapshots", "skipped", "not_read"]].tolist() == [0, 0, 1]
    assert summary.loc["order-total", ["snapshots", "skipped", "not_read"]].tolist() == [0, 1, 0]
    assert report.headline().endswith("; 1 skipped: not read")


def test_the_mark_of_a_cart_does_not_count_what_was_skipped(build):
    recording = clean(build)
    recording[2][1]["cart"]["total"] = "free"
    report = run_checks(build.events(recording), {"r1": ASKED})
    first, second, order = report.carts.to_dict("records")
    assert (first["not_read"], second["not_read"], order["not_read"]) == (0, 1, 1)
    for row in (first, second, order):
        assert row["checks"] + row["skipped"] + row["not_read"] == len(report.summary)
    assert report.mark(1) == f"✓ {first['checks']} checks"
    assert report.mark(2) == f"✗ 1 of {second['checks']} checks; 1 skipped: not read"
    assert report.mark(3).startswith(f"✓ {order['checks']} checks; 1 skipped")
    assert report.mark(0) == "no cart to check"


def test_a_check_of_ones_own_may_say_that_it_could_not_read(build):
    @check(name="own")
    def own(_cart: Any) -> Skipped:
        return Skipped.NOT_READ

    try:
        report = run_checks(build.events(one(build.cart())), only=["own"])
    finally:
        remove_check("own")
    assert report.headline() == "no cart to check; 1 skipped: not read"
    assert report.mark(0) == "not checked; 1 skipped: not read"


def test_lines_of_which_nothing_can_be_read_are_not_checked(build):
    cart = build.cart()
    for name in ("price", "line_price", "quantity"):
        cart["line_items"][0][name] = "?"
    summary = run_checks(build.events(one(cart))).summary.set_index("check")
    assert summary.loc[["line-price", "subtotal", "quantity"], "not_read"].tolist() == [1, 1, 1]


def test_number_and_value_that_contradict_each_other_hide_no_other_fault(build):
    recording = plant(clean(build), contradiction)
    for cart in carts_of(recording)[1:]:
        cart["line_items"][0]["line_price"] |= {"number": 9999, "value": 99.99}
    found = set(run_checks(build.events(recording)).findings["check"])
    assert {"number-agrees-with-value", "line-price"} <= found


def test_another_total_that_a_fault_of_the_order_explains_is_no_second_error(build):
    recording = build.recording([build.line("A", 5000)])
    order = recording[-1][1]["order"]
    order["shipments"][0]["shipping_method"]["price"] = build.money(900)
    order["shipping_total"] = build.money(500)
    order["total"] = build.money(order["total"]["number"] - 125)
    found = run_checks(build.events(recording)).findings
    assert found[["check", "severity"]].to_numpy().tolist() == [
        ["shipping-methods", "error"],
        ["order-total", "info"],
    ]


def test_another_total_alone_is_an_error(build):
    recording = build.recording([build.line("A", 5000)])
    recording[-1][1]["order"]["shipping_total"] = build.money(0)
    recording[-1][1]["order"]["shipments"][0]["shipping_method"]["price"] = build.money(0)
    order = recording[-1][1]["order"]
    order["total"] = build.money(order["total"]["number"] - 625)
    found = run_checks(build.events(recording)).findings
    assert found[["check", "severity"]].to_numpy().tolist() == [["order-total", "error"]]


@pytest.mark.parametrize(
    ("field", "value", "is_found"),
    [("cart_id", "CART_1", True), ("shop_id", "Staging.Luma.Gift", False)],
)
def test_the_case_of_an_id_counts_and_that_of_a_host_does_not(build, field, value, is_found):
    recording = build.recording([build.line("A", 5000)])
    recording[-1][1]["order"][field] = value
    found = run_checks(build.events(recording)).findings["check"].tolist()
    assert found == (["same-order"] if is_found else [])


@pytest.mark.parametrize("field", ["notices", "notice"])
@pytest.mark.parametrize("sent", ["ITEM_OUT_OF_STOCK", {"code": "ITEM_OUT_OF_STOCK"}])
def test_a_notice_without_its_list_is_read(build, field, sent):
    recording = build.recording([build.line("A", 5000)])
    recording[-1][1]["order"][field] = sent
    found = run_checks(build.events(recording)).findings
    assert found[["check", "severity"]].to_numpy().tolist() == [["notices-of-order", "error"]]
