"""The simulator's planted faults: each is found by its check, over real streams; clean is clean."""

from __future__ import annotations

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.carts.report import run_checks
from firmly_nb.carts.rules import CHECKS
from firmly_nb.sim.behaviour import CART_FAULTS
from firmly_nb.sim.merchants import TRAITS, merchants

# For each fault the check that is made for it, and others that it sets off too.
MADE_FOR = {
    "cart-wrong-total": ("total", set()),
    "cart-price-change": ("prices-kept", set()),
    "cart-item-removed": ("lines-kept", set()),
    "cart-missing-field": ("required-fields", set()),
    "cart-other-currency": ("one-currency", set()),
    "cart-duplicated-line": ("lines-once", set()),
    "cart-discount-thrice": ("discount-once", set()),
    "cart-wrong-shipping": ("shipping-methods", set()),
    "cart-negative-total": ("not-negative", set()),
    "cart-negative-shipping": ("not-negative", set()),
    "cart-negative-tax": ("not-negative", set()),
    "cart-other-id": ("same-order", set()),
    "cart-other-shop": ("same-order", set()),
    "cart-other-country": ("same-order", set()),
    "cart-out-of-stock": ("notices-of-order", set()),
    "cart-warning": ("notices-of-order", set()),
    "cart-number-value": ("number-agrees-with-value", set()),
    "cart-one-id": ("line-ids-differ", set()),
}
# Shops whose carts are faulty on purpose, by what makes them so (sim/merchants.py).
FAULTY_TRAITS = {"crooked", "price-increase", "removes-items"}
EMBER, TANGLE = "ember.example.test", "tangle.example.test"
CLOSED = "closed.luma.gift"  # sells nothing: no order is ever placed there
TWO_LINES = [
    fnb.Item(variant_id="WS12-XS-Orange"),
    fnb.Item(variant_id="MH07-XS-Gray", quantity=2),
]
PLACES = {
    "JP": {"city": "Tokyo", "state_or_province": "Tokyo", "postal_code": "100-0001"},
    "DE": {"city": "Berlin", "state_or_province": "BE", "postal_code": "10115"},
}


def place(lab, order, fault="", **options):
    headers = {"x-sim-fault": fault} if fault else {}
    return lab.place(order, progress=False, headers=headers, isolated=False, **options)


def found_by(recording):
    return set(recording.checks.findings["check"].tolist())


def order_at(domain):
    """One of the first and two of the last thing that a shop sells, sent where it sends to."""
    shop = merchants()[domain]
    in_stock = [
        variant.variant_id
        for product in shop.products
        for variant in product.variants
        if not variant.variant_id.startswith("FAULT") and variant.stock >= 50
    ]
    country = max(shop.countries)
    address = fnb.Address.example(country=country, **PLACES.get(country, {}))
    items = [
        fnb.Item(variant_id=in_stock[0]),
        fnb.Item(variant_id=in_stock[-1], quantity=2),
    ]
    captcha = {"captcha_token": "solved"} if "captcha" in shop.traits else {}
    return fnb.Order.example(domain=domain, items=items, shipping_info=address, **captcha)


def test_every_planted_fault_is_found_by_the_check_made_for_it(lab, capsys):
    """Prints the confusion table: faults down, checks across, findings in the cells."""
    order = fnb.Order.example(items=TWO_LINES)
    names, rows = list(CHECKS), {}
    for fault in ("", *CART_FAULTS):
        recording = place(lab, order, fault)
        assert recording.outcome == "placed", fault
        counts = recording.checks.findings["check"].value_counts()
        rows[fault or "(none)"] = counts.reindex(names, fill_value=0)
    table = pd.DataFrame(rows).T
    with capsys.disabled():
        short = table.rename(columns={name: str(n) for n, name in enumerate(names, 1)})
        print("\n\nfault planted by the simulator x check that found it, findings in one order")
        print(short.rename_axis(columns=None).to_string())
        print(", ".join(f"{n} {name}" for n, name in enumerate(names, 1)))
    assert set(table.index) == {"(none)", *MADE_FOR}
    assert table.loc["(none)"].sum() == 0
    for fault, (check, others) in MADE_FOR.items():
        fired = set(table.columns[table.loc[fault] > 0])
        assert table.loc[fault, check] > 0, f"{check} has not found {fault}"
        assert fired == {check, *others}, fault


@pytest.mark.parametrize("fault", MADE_FOR)
def test_a_fault_is_found_in_a_cart_of_one_line_too(lab, fault):
    found = found_by(place(lab, fnb.Order.example(), fault))
    assert MADE_FOR[fault][0] in found
    assert found <= {MADE_FOR[fault][0], *MADE_FOR[fault][1]}


@pytest.mark.parametrize("fault", MADE_FOR)
def test_a_fault_is_found_in_a_currency_without_decimals(lab, fault):
    found = found_by(place(lab, order_at("sora.example.test"), fault))
    assert found == {MADE_FOR[fault][0], *MADE_FOR[fault][1]}


def test_the_item_that_names_a_fault_plants_it_like_the_header(lab):
    for fault, (check, others) in MADE_FOR.items():
        items = [fnb.Item(variant_id=f"FAULT-{fault.upper()}"), *TWO_LINES]
        found = found_by(place(lab, fnb.Order.example(items=items)))
        assert found == {check, *others}, fault


def test_which_shops_are_faulty_on_purpose():
    assert set(TRAITS) > FAULTY_TRAITS
    faulty = {domain for domain, shop in merchants().items() if shop.traits & FAULTY_TRAITS}
    assert faulty == {EMBER, TANGLE}


@pytest.mark.parametrize("domain", [d for d in merchants() if d not in {EMBER, TANGLE, CLOSED}])
def test_a_clean_shop_gives_no_finding(lab, domain):
    """Whatever the outcome: where the last pair is gone, the carts until then are right."""
    for _ in range(3):
        recording = place(lab, order_at(domain))
        assert recording.checks.findings.empty, repr(recording.checks)
        n_checks = 20 if recording.outcome == "placed" else 17  # three look at the order
        n_checks += "order-discount" in merchants()[domain].traits  # one looks at discounts
        assert recording.checks.headline() == f"✓ {n_checks} checks"
        assert len(recording.snapshots) >= 3


def test_at_the_closed_shop_there_is_nothing_to_check(lab):
    recording = place(lab, order_at(CLOSED))
    assert recording.outcome == "error_event"
    assert recording.checks.headline() == "no cart to check"


def test_ember_is_caught_raising_prices_and_dropping_lines(lab):
    recording = place(lab, order_at(EMBER))
    assert found_by(recording) == {"prices-kept", "lines-kept", "notices-of-order"}
    # The shop says so itself; a notice does not make it what was asked for.
    assert {"PRICE_INCREASED", "CART_ITEMS_REMOVED"} <= set(recording.notices["code"])


def test_tangle_is_caught_each_time(lab, simulator):
    """It has the next fault of carts each time; the simulator's own record says which."""
    recordings = [place(lab, order_at(TANGLE)) for _ in CART_FAULTS]
    planted = {fact["order_number"]: fact["fault"] for fact in simulator.truth()}
    faults = [planted[recording.order_number] for recording in recordings]
    assert set(faults) == set(CART_FAULTS)
    for fault, recording in zip(faults, recordings, strict=True):
        assert found_by(recording) == {MADE_FOR[fault][0], *MADE_FOR[fault][1]}, fault


@pytest.mark.parametrize("fault", ["early-end", "cut", "half-event", "lost-confirmation"])
def test_a_stream_that_broke_is_no_fault_of_its_carts(lab, fault):
    recording = place(lab, fnb.Order.example(items=TWO_LINES), fault)
    assert recording.outcome != "placed"
    assert recording.checks.findings.empty, repr(recording.checks)


def test_an_order_that_failed_while_it_was_filled_is_no_wrong_cart(lab):
    """The items that were never reached were reported as missing from the cart."""
    items = [*TWO_LINES, fnb.Item(variant_id="NO-SUCH-THING")]
    recording = place(lab, fnb.Order.example(items=items))
    assert recording.outcome == "error_event"
    assert recording.line_items["variant_id"].tolist()[-2:] == ["WS12-XS-Orange", "MH07-XS-Gray"]
    assert recording.checks.findings.empty, repr(recording.checks)


def test_a_cart_that_could_not_be_read_leaves_the_one_before_it_unfinished(lab):
    """The last item-added was no JSON, so the first one was taken for the filled cart."""
    recording = place(lab, fnb.Order.example(items=TWO_LINES), "garbage-data")
    assert recording.events["event"].tolist().count("item-added") == 2
    assert recording.snapshots["event"].tolist().count("item-added") == 1
    assert recording.checks.findings.empty, repr(recording.checks)


def test_a_table_typed_in_by_hand_may_number_its_orders(build):
    events = build.events(build.recording(), build.recording()).assign(
        recording_id=[1] * 4 + [2] * 4
    )
    assert run_checks(events).findings.empty
    assert run_checks(events.assign(recording_id=None)).headline().startswith(("✓", "✗", "no"))
