"""Each fault is found by the check made for it, a clean cart by none, and the report says so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from firmly_nb.carts.checked import Finding, check, remove_check
from firmly_nb.carts.report import checks, run_checks
from firmly_nb.carts.rules import CHECKS
from firmly_nb.carts.schemas import CHECK_SUMMARY, FINDINGS
from tests.carts.looked import ASKED, clean, of, one, plant

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


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
    def discount(cart: Json) -> None:
        cart["cart_discount"] = build.money(500)
        cart["total"] = build.money(cart["total"]["number"] - 500)

    events = build.events(clean(build), plant(clean(build), discount, since=0))
    report = run_checks(events, {"r1": ASKED, "r2": ASKED})
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


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        (["error"], "1 error"),
        (["error"] * 2, "2 errors"),
        (["warning"], "1 warning"),
        (["warning"] * 2, "2 warnings"),
        (["info"] * 2, "2 info"),
        (["info", "warning", "error", "error"], "2 errors, 1 warning, 1 info"),
    ],
)
def test_the_headline_counts_each_severity(build, severities, said):
    @check(name="own", severity="info")
    def own(_cart: Any) -> list[Finding]:
        return [Finding("x", "1", "2", "three", severity) for severity in severities]

    try:
        report = run_checks(build.events(one(build.cart())), only=["own", "total"])
    finally:
        remove_check("own")
    assert report.headline() == f"✗ 1 of 2 checks: {said}"
    assert report.summary["findings"].tolist() == [len(severities), 0]


def test_a_check_that_only_skipped_did_not_run(build):
    report = run_checks(build.events(one(build.cart())), only=["total", "order-total"])
    assert report.headline() == "✓ 1 check"
    with pytest.raises(KeyError):
        run_checks(build.events(), only=["no such check"])


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Check that all is well.\n\nMore.", "All is well."),
        ("  See that.  \nMore.", "See that.  "),
        (None, "Own"),
    ],
)
def test_the_first_line_of_a_check_is_its_meaning(text, meaning):
    def own(_cart: Any) -> None:
        return None

    own.__doc__ = text
    try:
        assert check(name="own")(own) is own
        assert CHECKS["own"].meaning == meaning
        assert CHECKS["own"].severity == "error"
    finally:
        remove_check("own")


def test_headline_counts_what_was_found(build):
    report = run_checks(build.events(plant(clean(build), wrong_total)))
    # There is nothing to hold a discount or what was asked for against.
    assert report.headline() == f"✗ 1 of {len(CHECKS) - 2} checks: 2 errors"


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
    with pytest.raises(ValueError, match="got 'grave'"):
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


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("line-price", lambda line: line | {"line_price": {"currency": "USD", "number": 1}}),
        ("one-currency", lambda line: line | {"price": {"currency": "EUR", "number": 2200}}),
        (
            "number-agrees-with-value",
            lambda line: line | {"price": {"currency": "USD", "number": 2200, "value": 2}},
        ),
        ("required-fields", lambda line: line | {"quantity": None}),
    ],
)
def test_twenty_findings_of_a_kind_are_told(build, name, spoil):
    for wrong in (19, 20, 21, 50):
        cart = build.cart([build.line(f"S{n}", number=n) for n in range(60)])
        cart["line_items"] = [
            spoil(line) if n < wrong else line for n, line in enumerate(cart["line_items"])
        ]
        found = of(build.events(one(cart)), name)
        assert len(found) == min(wrong, 20)
        assert len(set(found)) == len(found)
