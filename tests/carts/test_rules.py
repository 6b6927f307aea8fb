"""Each fault is found by the check made for it, and a clean cart by none."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from firmly_nb.carts.report import checks, run_checks
from firmly_nb.carts.rules import CHECKS, Finding, check, remove_check
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


COLUMNS = ["path", "expected", "found", "sentence", "severity"]


def of(events: pd.DataFrame, name: str) -> list[tuple[Any, ...]]:
    """Return what one check found: path, expected, found, sentence and severity."""
    found = run_checks(events, only=[name]).findings
    return list(found[COLUMNS].itertuples(index=False, name=None))


def of_each(
    build: Any, carts: list[Json], name: str, event: str = "item-added"
) -> list[list[tuple[Any, ...]]]:
    """Return what one check found in each of many carts, every one of a recording of its own."""
    found = run_checks(build.events(*(one(cart, event) for cart in carts)), only=[name]).findings
    per_cart: list[list[tuple[Any, ...]]] = [[] for _ in carts]
    for number, *row in found[["recording_id", *COLUMNS]].itertuples(index=False, name=None):
        per_cart[int(number.removeprefix("r")) - 1].append(tuple(row))
    return per_cart


def counted(events: pd.DataFrame, name: str, asked: Any = None) -> tuple[int, int, int]:
    """Return on how many snapshots a check looked, how many it skipped, and what it found."""
    row = run_checks(events, asked, only=[name]).summary.iloc[0]
    return int(row["snapshots"]), int(row["skipped"]), int(row["findings"])


def one(cart: Json, event: str = "item-added") -> list[tuple[str, Json]]:
    return [(event, {"order" if event == "order-placed" else "cart": cart})]


def test_a_wrong_line_price_is_said_in_the_lines_own_currency(build):
    cart = build.cart([build.line("A", 300, 4, currency="JPY")], currency="JPY")
    cart["line_items"][0]["line_price"] = build.money(1201, "JPY")
    assert of(build.events(one(cart)), "line-price") == [
        (
            "line_items[A].line_price",
            "4 x 300 = 1\u202f200",
            "1\u202f201",
            "The line A costs 1\u202f201, but 4 x 300 = 1\u202f200.",
            "error",
        )
    ]


@pytest.mark.parametrize("discount", [300, -300])
def test_a_lines_discount_is_taken_off_its_price_once_or_not_at_all(build, discount):
    def discounted(line_price: int) -> Json:
        cart = build.cart([build.line("A", 1850, 2)])
        cart["line_items"][0] |= {
            "line_discount": build.money(discount),
            "line_price": build.money(line_price),
        }
        return cart

    prices = [3100, 3399, 3400, 3401, 3699, 3700, 3701, 4000]
    found = of_each(build, list(map(discounted, prices)), "line-price")
    for price, findings in zip(prices, found, strict=True):
        wrong = [] if price in (3400, 3700) else ["2 x 18.50 - 3.00 = 34.00"]
        assert [each[1] for each in findings] == wrong


def test_one_wrong_line_among_others_is_found_wherever_it_stands(build):
    for place in range(3):
        cart = build.cart([build.line(f"S{n}", number=n) for n in range(3)])
        cart["line_items"][place]["line_price"] = build.money(1)
        found = of(build.events(one(cart)), "line-price")
        assert [each[0] for each in found] == [f"line_items[S{place}].line_price"]


@pytest.mark.parametrize("field", ["price", "quantity", "line_price"])
def test_a_line_that_lacks_a_factor_is_not_multiplied(build, field):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    del cart["line_items"][0][field]
    assert counted(build.events(one(cart)), "line-price") == (1, 0, 0)
    del cart["line_items"][1][field]
    assert counted(build.events(one(cart)), "line-price") == (0, 1, 0)


def test_the_subtotal_is_the_sum_of_the_lines_with_or_without_their_discounts(build):
    def summed(sub_total: int, discounts: tuple[int, ...] = (300, -200)) -> Json:
        lines = [build.line("A", 1000, 2, 1), build.line("B", 500, 1, 2)]
        for line, discount in zip(lines, discounts, strict=False):
            line["line_discount"] = build.money(discount)
        return build.cart(lines) | {"sub_total": build.money(sub_total)}

    right = [summed(2500, ()), summed(2500), summed(2000)]
    assert of_each(build, right, "subtotal") == [[], [], []]
    amounts = [1999, 2001, 2200, 2300, 2400, 2499, 2600]
    found = of_each(build, list(map(summed, amounts)), "subtotal")
    for wrong, findings in zip(amounts, found, strict=True):
        assert findings == [
            (
                "sub_total",
                "25.00",
                f"{wrong / 100:.2f}",
                f"The subtotal is {wrong / 100:.2f}, but the lines add up to 25.00.",
                "error",
            )
        ]


def test_the_subtotal_of_lines_without_a_price_is_not_judged(build):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    assert counted(build.events(one(cart)), "subtotal") == (1, 0, 0)
    cart["line_items"][0]["line_price"] = None
    assert counted(build.events(one(cart)), "subtotal") == (0, 1, 0)
    without = build.cart([build.line()])
    del without["sub_total"]
    assert counted(build.events(one(without)), "subtotal") == (0, 1, 0)


PARTS_OF_A_BILL = {
    "shipping_total": 625,
    "tax_total": 222,
    "addon_total": 110,
    "cart_discount": -500,
}


def bill(build: Any, total: int, **parts: int) -> Json:
    amounts = {name: build.money(minor) for name, minor in parts.items()}
    return build.cart([build.line("A", 5000)]) | amounts | {"total": build.money(total)}


@pytest.mark.parametrize("name", PARTS_OF_A_BILL)
def test_each_part_of_the_bill_counts_once(build, name):
    minor = PARTS_OF_A_BILL[name]
    right = 5000 + minor
    totals = [right, 5000, 5000 - minor, right + minor, right - 1, right + 1]
    found = of_each(build, [bill(build, each, **{name: minor}) for each in totals], "total")
    assert list(map(len, found)) == [0, 1, 1, 1, 1, 1]


def test_a_wrong_total_is_said_with_all_parts_of_the_bill(build):
    events = build.events(one(bill(build, 5000, **PARTS_OF_A_BILL)))
    costs = "subtotal 50.00 + shipping 6.25 + tax 2.22 + addons 1.10"
    added_up = f"{costs} - discount 5.00 = 54.57."
    assert of(events, "total") == [
        (
            "total",
            "54.57",
            "50.00",
            f"The total is 50.00, but {added_up}",
            "error",
        )
    ]


@pytest.mark.parametrize(
    ("missing", "word"), [(625, "shipping"), (222, "tax"), (110, "addons"), (-625, ""), (0 - 1, "")]
)
def test_a_difference_that_is_a_part_of_the_bill_is_named(build, missing, word):
    parts = {"shipping_total": 625, "tax_total": 222, "addon_total": 110}
    events = build.events(one(bill(build, 5957 - missing, **parts)))
    (sentence,) = (each[3] for each in of(events, "total"))
    end = f" (the difference is the {word}; prices may include it)." if word else "59.57."
    assert sentence.endswith(end)


@pytest.mark.parametrize("sign", [1, -1])
def test_store_credit_and_discounts_of_lines_may_be_taken_off_the_total_or_not(build, sign):
    def reduced(total: int) -> Json:
        cart = bill(build, total, store_credit=sign * 700)
        cart["line_items"][0]["line_discount"] = build.money(sign * 300)
        return cart

    totals = range(3000, 6100, 100)
    found = of_each(build, list(map(reduced, totals)), "total")
    assert [total for total, findings in zip(totals, found, strict=True) if not findings] == [
        4000,
        4300,
        4700,
        5000,
    ]


@pytest.mark.parametrize("field", ["sub_total", "total"])
def test_a_bill_without_one_of_its_ends_is_not_added_up(build, field):
    cart = bill(build, 1)
    assert counted(build.events(one(cart)), "total") == (1, 0, 1)
    del cart[field]
    assert counted(build.events(one(cart)), "total") == (0, 1, 0)


@pytest.mark.parametrize(
    "field",
    ["sub_total", "shipping_total", "tax_total", "tax", "addon_total", "total", "cart_discount"],
)
def test_amounts_in_two_currencies_are_not_added_up(build, field):
    cart = bill(build, 1) | {field: build.money(1, "EUR")}
    assert counted(build.events(one(cart)), "total") == (0, 1, 0)
    assert counted(build.events(one(cart)), "subtotal") == (0, 1, 0)
    assert counted(build.events(one(cart)), "one-currency")[2] > 0


def test_lines_in_two_currencies_are_not_added_up(build):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2, currency="EUR")])
    cart["sub_total"] = build.money(1)
    for name in ("subtotal", "total"):
        assert counted(build.events(one(cart)), name) == (0, 1, 0)


def test_the_usual_currency_of_a_cart_is_that_of_its_total(build):
    """Also where most other amounts are in another one: the total is what is paid."""
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)], currency="USD")
    cart["total"] = build.money(4400, "EUR")
    found = of(build.events(one(cart)), "one-currency")
    assert {each[1:] for each in found if each[0] == "sub_total"} == {
        ("EUR", "USD", "sub_total is in USD, the total in EUR.", "error")
    }
    assert {each[0] for each in found} == {
        "sub_total",
        "shipping_total",
        "tax_total",
        *(f"line_items[{name}].{field}" for name in "AB" for field in ("price", "line_price")),
    }


def without_totals(build: Any, currencies: list[str]) -> Json:
    """A cart whose only amounts are the prices of its lines."""
    names = ("sub_total", "shipping_total", "tax_total", "total")
    cart = build.cart([build.line(f"S{n}", number=n) for n in range(len(currencies))])
    for line, currency in zip(cart["line_items"], currencies, strict=True):
        del line["line_price"]
        line["price"] = build.money(100, currency)
    return {key: value for key, value in cart.items() if key not in names}


@pytest.mark.parametrize("currencies", [["EUR", "USD", "USD"], ["USD", "USD", "EUR"]])
def test_without_totals_the_usual_currency_is_that_of_most_amounts(build, currencies):
    place = currencies.index("EUR")
    found = of(build.events(one(without_totals(build, currencies))), "one-currency")
    assert [each[:3] for each in found] == [(f"line_items[S{place}].price", "USD", "EUR")]


def test_a_total_in_another_currency_than_before_is_found(build):
    first = build.cart([build.line("A", currency="USD")], currency="USD")
    then = build.cart([build.line("A", currency="EUR")], currency="EUR")
    events = build.events([*one(first), *one(then, "shipping-updated"), *one(then, "order-placed")])
    sentence = "The total is in EUR; in the snapshot before it was in USD."
    assert of(events, "one-currency") == [("total.currency", "USD", "EUR", sentence, "error")]


def test_a_cart_without_amounts_has_no_currency(build):
    assert counted(build.events(one({"cart_id": "c", "line_items": []})), "one-currency") == (
        0,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("money", "sentence"),
    [
        ({"currency": "USD", "number": 222, "value": 2.22}, None),
        ({"currency": "JPY", "number": 222, "value": 222}, None),
        ({"currency": "KWD", "number": 2220, "value": "2.220"}, None),
        ({"currency": "USD", "number": 222}, None),
        ({"currency": "USD", "value": 2.22}, None),
        ({"currency": "USD", "number": None, "value": 2.22}, None),
        ({"currency": "USD", "number": 222, "value": None}, None),
        ({"currency": 840, "number": 222, "value": 9}, None),
        ({"currency": "USD", "number": 222, "value": 2.23}, "number 222 and value 2.23 USD"),
        ({"currency": "USD", "number": 222, "value": 222}, "number 222 and value 222 USD"),
        ({"currency": "JPY", "number": 222, "value": 2.22}, "number 222 and value 2.22 JPY"),
        ({"currency": "USD", "number": 222, "value": "free"}, "number 222 and value free USD"),
        ({"currency": "USD", "number": 222, "value": []}, "number 222 and value list USD"),
        ({"currency": "USD", "number": 1, "value": 1e300}, "number 1 and value a huge number USD"),
        ({"currency": "USD", "number": 1, "value": 9e299}, "number 1 and value 9e+299 USD"),
        (
            {"currency": "USD", "number": 1, "value": 0.1234567890123456789},
            "number 1 and value 0.123456789012346 USD",
        ),
        ({"currency": "USD", "number": 1, "value": "x" * 50}, f"number 1 and value {'x' * 40} USD"),
    ],
)
def test_number_and_value_of_an_amount_say_the_same(build, money, sentence):
    found = of(build.events(one({"cart_id": "c", "x": {"fee": money}})), "number-agrees-with-value")
    said = [f"x.fee says {sentence}: not read."] if sentence else []
    assert [(each[0], each[3], each[4]) for each in found] == [
        ("x.fee", text, "error") for text in said
    ]


def test_without_number_and_value_together_nothing_was_compared(build):
    cart = {"cart_id": "c", "total": {"currency": "USD", "value": 1}}
    name = "number-agrees-with-value"
    assert counted(build.events(one(cart)), name) == (0, 1, 0)
    cart["sub_total"] = {"currency": "USD", "value": 1, "number": 100}
    assert counted(build.events(one(cart)), name) == (1, 0, 0)


def test_the_order_is_held_against_the_last_cart(build):
    first, last = build.cart([build.line("A", 1000)]), build.cart([build.line("A", 2000)])
    order = build.order(build.cart([build.line("A", 2001)]))
    events = build.events([*one(first), *one(last), *one(order, "order-placed")])
    sentence = "The order costs 20.01, the cart before it 20.00."
    assert of(events, "order-total") == [("total", "20.00", "20.01", sentence, "error")]
    assert counted(events, "order-total") == (1, 2, 1)


def test_an_order_said_twice_is_held_against_the_cart_both_times(build):
    cart, order = build.cart([build.line("A", 1000)]), build.order(build.cart([build.line("A")]))
    again = [("order-placed", {"order": order}), ("order-confirmed", {"order": order})]
    assert counted(build.events([*one(cart), *again]), "order-total") == (2, 1, 2)


@pytest.mark.parametrize(
    ("cart", "order"),
    [
        (("USD", 1000), ("EUR", 900)),
        (("USD", None), ("USD", 900)),
        (("USD", 1000), ("USD", None)),
    ],
)
def test_totals_that_cannot_be_compared_are_not(build, cart, order):
    def priced(currency: str, total: int | None) -> Json:
        made = build.cart([build.line("A", 1000, currency=currency)], currency=currency)
        return made | {"total": None if total is None else build.money(total, currency)}

    events = build.events([*one(priced(*cart)), *one(build.order(priced(*order)), "order-placed")])
    assert counted(events, "order-total") == (0, 2, 0)


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


@pytest.mark.parametrize(("pieces", "found"), [(-1, 1), (0, 1), (1, 0), (2, 0)])
def test_a_line_holds_at_least_one_piece(build, pieces, found):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    cart["line_items"][1]["quantity"] = pieces
    sentence = f"The line B holds {pieces} pieces."
    assert (
        of(build.events(one(cart)), "quantity")
        == [("line_items[B].quantity", "at least 1", f"{pieces}", sentence, "error")][:found]
    )


def test_lines_that_say_no_quantity_are_not_counted(build):
    cart = build.cart([build.line("A", number=1), build.line("B", quantity=1, number=2)])
    cart["line_items"][0]["quantity"] = None
    assert counted(build.events(one(cart)), "quantity") == (1, 0, 0)
    cart["line_items"][1]["quantity"] = "many"
    assert counted(build.events(one(cart)), "quantity") == (0, 1, 0)


@pytest.mark.parametrize("times", [2, 3])
def test_a_line_that_is_there_more_than_once_is_an_error(build, times):
    cart = build.cart([build.line("B", number=9), *[build.line("A", number=1)] * times])
    sentence = f"The line item_1 is in the cart {times} times."
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
        ("line_items[A]", "one line", "2 lines", "A is in 2 lines of its own.", "warning")
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


def then(build: Any, before: list[Json], after: list[Json], event: str = "shipping-updated") -> Any:
    """Events of two carts, one after the other; the first is complete."""
    return build.events([*one(build.cart(before), "x"), *one(build.cart(after), event)])


def test_what_was_in_the_cart_is_still_in_it(build):
    a, b = build.line("A", quantity=3, number=1), build.line("B", number=2)
    assert of(then(build, [a, b], [b, a]), "lines-kept") == []
    assert of(then(build, [a, b], [b]), "lines-kept") == [
        (
            "line_items[A]",
            "3 of A",
            "not there",
            "3 of A was in the cart before and is not in it now.",
            "error",
        )
    ]
    assert of(then(build, [a | {"quantity": None}], [b]), "lines-kept") == [
        (
            "line_items[A]",
            "A",
            "not there",
            "A was in the cart before and is not in it now.",
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
            sentence = f"The line A is in {times} shipments."
            assert found(ids, ship) == [
                ("line_items[A]", "1 shipment", f"{times}", sentence, "error")
            ]
    assert found([["item_2"]], ship=False) == found([["item_1", "item_2"]], ship=False) == []
    assert len(found([["item_1"], ["item_1", "item_2"]], ship=False)) == 1
    sentence = "A shipment names the line item_9, which is not in the cart."
    assert found([["item_1", "item_2", "item_9", 7]]) == [
        ("shipments.line_item_ids", "a line of the cart", "item_9", sentence, "error")
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
        ("order-placed", [*ALWAYS, *FILLED, *PRICED, "platform_order_number"]),
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


def test_a_quantity_that_is_no_whole_number_is_told(build):
    cart = build.cart()
    cart["line_items"][0]["quantity"] = "many"
    path = "line_items[WS12-XS-Orange].quantity"
    assert lacking(build, cart) == [(path, "is there, but is no whole number")]


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
