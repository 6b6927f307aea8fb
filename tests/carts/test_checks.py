"""Each fault is found by the check made for it, and a clean cart by none."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from firmly_nb.carts.checks import CHECKS, Finding, check, checks, remove_check, run_checks
from firmly_nb.carts.schemas import CHECK_SUMMARY, FINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
ASKED = [{"variant_id": "A", "quantity": 2}, {"variant_id": "B", "quantity": 1}]


def carts_of(recording: list[tuple[str, Json]]) -> list[Json]:
    return [data.get("cart") or data.get("order") for _, data in recording if data]


def plant(recording: Any, fault: Callable[[Json], None], since: int = 1) -> Any:
    """Break the snapshots from the second on."""
    spoilt = copy.deepcopy(recording)
    for cart in carts_of(spoilt)[since:]:
        fault(cart)
    return spoilt


def clean(build: Any, **options: Any) -> Any:
    lines = [
        build.line("A", 1850, 2, 1, options.get("currency", "USD")),
        build.line("B", 2200, 1, 2, options.get("currency", "USD")),
    ]
    return build.recording(lines, **options)


def nothing(_cart: Json) -> None:
    pass


def wrong_total(cart: Json) -> None:
    cart["total"] = {**cart["total"], "number": cart["total"]["number"] + 1}
    cart["total"]["value"] = cart["total"]["number"] / 100


def price_change(cart: Json) -> None:
    line = cart["line_items"][0]
    for money, more in (
        (line["price"], 100),
        (line["line_price"], 200),
        (cart["sub_total"], 200),
        (cart["total"], 200),
    ):
        money["number"] += more
        money["value"] = money["number"] / 100


def item_removed(cart: Json) -> None:
    cart["line_items"].pop()


def missing_field(cart: Json) -> None:
    del cart["sub_total"]


def other_currency(cart: Json) -> None:
    cart["shipping_total"]["currency"] = "EUR"


def duplicated_line(cart: Json) -> None:
    cart["line_items"].insert(0, copy.deepcopy(cart["line_items"][0]))


def wrong_line_price(cart: Json) -> None:
    cart["line_items"][0]["line_price"] |= {"number": 3699, "value": 36.99}


def no_pieces(cart: Json) -> None:
    cart["line_items"][1] |= {"quantity": 0}


def number_against_value(cart: Json) -> None:
    cart["tax_total"]["value"] = 2.23


def wrong_status(cart: Json) -> None:
    cart["cart_status"] = "submitted" if cart["cart_status"] == "active" else "active"


def line_in_no_shipment(cart: Json) -> None:
    cart["shipments"][0]["line_item_ids"].pop()


def order_costs_more(cart: Json) -> None:
    if cart["cart_status"] == "submitted":
        for name in ("tax_total", "total"):
            cart[name]["number"] += 1
            cart[name]["value"] = cart[name]["number"] / 100


FAULTS = {
    "required-fields": missing_field,
    "line-price": wrong_line_price,
    "total": wrong_total,
    "one-currency": other_currency,
    "quantity": no_pieces,
    "lines-once": duplicated_line,
    "lines-kept": item_removed,
    "prices-kept": price_change,
    "shipments-cover-lines": line_in_no_shipment,
    "order-total": order_costs_more,
    "status-fits-event": wrong_status,
    "number-agrees-with-value": number_against_value,
}


def test_clean_carts_give_no_finding_and_every_check_looked(build):
    report = run_checks(build.events(clean(build), clean(build)), {"r1": ASKED, "r2": ASKED})
    assert report.findings.empty
    assert (report.summary["snapshots"] > 0).all()
    assert report.headline() == f"✓ {len(CHECKS)} checks"
    assert (report.summary["snapshots"] + report.summary["skipped"]).tolist() == [6] * len(CHECKS)


@pytest.mark.parametrize(("currency", "shipping"), [("JPY", 500), ("KWD", 1250), ("XXX", 5)])
def test_clean_carts_in_other_currencies(build, currency, shipping):
    orders = clean(build, currency=currency, shipping=shipping)
    assert checks(build.events(orders)).empty


def test_each_fault_is_found_by_its_check(build, capsys):
    """Prints the confusion table: faults down, checks across, findings in the cells."""
    names, rows = list(CHECKS), {}
    for name, fault in {"no check": nothing, **FAULTS}.items():
        events = build.events(plant(clean(build), fault))
        found = run_checks(events, {"r1": ASKED}).findings["check"].value_counts()
        rows[f"{fault.__name__} ({name})"] = found.reindex(names, fill_value=0)
    table = pd.DataFrame(rows).T
    with capsys.disabled():
        short = table.rename(columns={name: str(n) for n, name in enumerate(names, 1)})
        print("\n\nplanted fault (its check) x check that found it")
        print(short.to_string())
        print(", ".join(f"{n} {name}" for n, name in enumerate(names, 1)))
    assert table.iloc[0].sum() == 0
    for row, name in zip(list(rows)[1:], FAULTS, strict=True):
        assert table.loc[row, name] > 0, row


def test_the_sums_add_no_finding_where_another_check_says_it_better(build):
    def found(fault: Callable[[Json], None]) -> set[str]:
        return set(checks(build.events(plant(clean(build), fault)))["check"])

    assert found(wrong_total) == {"total"}
    assert found(missing_field) == {"required-fields"}
    assert found(other_currency) == {"one-currency"}
    assert found(price_change) == {"prices-kept"}


def test_a_finding_says_where_and_how_much(build):
    row = checks(build.events(plant(clean(build), wrong_total))).iloc[0]
    assert row[["recording_id", "seq", "event", "check", "severity", "path"]].tolist() == [
        "r1",
        2,
        "shipping-updated",
        "total",
        "error",
        "total",
    ]
    assert row[["expected", "found"]].tolist() == ["67.47", "67.48"]
    assert row["sentence"] == (
        "The total is 67.48, but subtotal 59.00 + shipping 6.25 + tax 2.22 = 67.47."
    )


def test_prices_that_include_the_tax_are_suspected(build):
    def include(cart: Json) -> None:
        cart["total"] = build.money(cart["total"]["number"] - cart["tax_total"]["number"])

    sentence = checks(build.events(plant(clean(build), include)))["sentence"].iloc[0]
    assert sentence.endswith("(the difference is the tax; prices may include it).")


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
        "2 pieces asked for, 3 in the cart."
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


@pytest.mark.parametrize("in_the_price", [True, False])
def test_discounts_of_lines_may_be_in_their_price_or_not(build, in_the_price):
    def discount(cart: Json) -> None:
        line = cart["line_items"][0]
        line["line_discount"] = build.money(300)
        if in_the_price:
            line["line_price"] = build.money(line["line_price"]["number"] - 300)
            cart["sub_total"] = build.money(cart["sub_total"]["number"] - 300)
        cart["total"] = build.money(cart["total"]["number"] - 300)

    assert checks(build.events(plant(clean(build), discount, since=0))).empty


def test_a_discount_on_the_cart_is_taken_off_whatever_its_sign(build):
    for sign in (1, -1):

        def discount(cart: Json, sign: int = sign) -> None:
            cart["cart_discount"] = build.money(sign * 500)
            cart["total"] = build.money(cart["total"]["number"] - 500)

        assert checks(build.events(plant(clean(build), discount))).empty


def test_a_merchant_that_blocks_the_cart_is_a_warning(build):
    def block(cart: Json) -> None:
        if cart["cart_status"] == "active":
            cart["cart_status"] = "item_not_shippable"

    found = checks(build.events(plant(clean(build), block)))
    assert found["severity"].tolist() == ["warning"]
    assert "item_not_shippable" in found["sentence"].item()


def test_headline_counts_what_was_found(build):
    report = run_checks(build.events(plant(clean(build), wrong_total)))
    assert report.headline() == f"✗ 1 of {len(CHECKS) - 1} checks: 2 errors"


def test_a_check_of_ones_own_runs_with_the_others(build):
    @check(name="own", severity="info")
    def own(cart):
        """Check that nothing is orange."""
        if not cart.lines:
            return None
        return [Finding("x", "1", "2", f"{len(cart.lines)} lines at {cart.row.event}")]

    try:
        report = run_checks(build.events(clean(build)), only=["own", "total"])
    finally:
        remove_check("own")
    assert report.summary["check"].tolist() == ["own", "total"]
    assert report.summary["meaning"].iloc[0] == "Nothing is orange."
    assert report.findings["sentence"].tolist()[0] == "2 lines at item-added"
    assert report.findings["severity"].tolist() == ["info"] * 3
    assert "own" not in CHECKS


def test_a_check_that_fails_says_so_and_costs_no_other_finding(build):
    @check(name="own")
    def own(cart):
        return cart.data["no such field"]

    try:
        found = checks(build.events(plant(clean(build), wrong_total)))
    finally:
        remove_check("own")
    assert set(found["check"]) == {"own", "total"}
    sentences = set(found.loc[found["check"] == "own", "sentence"])
    assert sentences == {"The check itself failed: KeyError: 'no such field'"}


def test_a_severity_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="not 'grave'"):
        check(name="own", severity="grave")


def test_no_carts_no_findings(build):
    report = run_checks(build.events())
    assert report.findings.dtypes.astype("str").tolist() == [c.dtype for c in FINDINGS.columns]
    assert report.summary["check"].tolist() == list(CHECKS)
    assert report.summary.columns.tolist() == CHECK_SUMMARY.names
    assert report.headline() == "no cart to check"


def test_findings_of_one_cart_are_bounded(build):
    lines = [build.line(f"S{n}", number=n) for n in range(5000)]
    cart = build.cart(lines)
    for each in lines:
        each["line_price"] = {"currency": "EUR", "value": 1, "number": 2}
    found = checks(build.events([("item-added", {"cart": cart})]))
    assert 0 < len(found) < 200
