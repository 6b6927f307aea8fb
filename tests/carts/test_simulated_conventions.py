"""The simulator's merchants that count in other ways: found right, told right, and spoiled."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmly_nb.carts.conventions import conventions
from firmly_nb.carts.report import run_checks
from firmly_nb.sim.behaviour import CART_FAULTS
from firmly_nb.sim.faults import spoil_carts
from firmly_nb.sim.keys import PaymentSummary
from firmly_nb.sim.merchants import merchants
from firmly_nb.sim.placement import CheckedOrder, play
from tests.carts.test_simulated_faults import MADE_FOR

VISA = PaymentSummary("Ada Example", "411111", "1111", 12, 2035, "Visa", None)
# What 20 orders of each merchant tell, beside that shipping is the sum of the chosen methods.
TELLS = {
    "linden": {"tax": "inside", "rounding": "by piece"},
    "abacus": {"tax": "on top", "rounding": "by piece", "rounding of tax": "by piece"},
    "dozen": {"tax": "on top", "rounding": "by line"},
    "ounce": {"tax": "on top", "rounding": "by order"},
    "tally": {"tax": "on top", "rounding": "by piece", "cart discount": "in the total"},
    "purse": {"tax": "on top", "rounding": "by piece", "store credit": "taken off the total"},
    "club": {
        "tax": "on top",
        "rounding": "by piece",
        "discount stated twice": "taken off once",
        "store credit": "shown only",
        "membership": "not in the total",
    },
}
Events = list[tuple[str, Any]]


def order(name: str, seed: object, fault: str = "", version: int = 2) -> tuple[Events, Any]:
    """The events of one order of two to five things, and what was asked for."""
    draw = random.Random(f"{seed}")
    shop = merchants()[f"{name}.example.test"]
    variants = [each for each in shop.variants if not each.startswith("FAULT-")]
    items = [
        ({"variant_id": each}, draw.randint(1, 5))
        for each in draw.sample(variants, draw.randint(2, 5))
    ]
    state = "BE" if "DE" in shop.countries else draw.choice(["WA", "NY", "TX", "OR"])
    address = {"country": min(shop.countries), "state_or_province": state}
    asked = CheckedOrder(shop, items, address, address, VISA, "1001", version, fault)
    steps = spoil_carts(play(asked, draw), fault)
    events = [(step.stage, dict(step.payload)) for step in steps]
    return events, [{**ref, "quantity": quantity} for ref, quantity in items]


def judge(build: Any, made: list[tuple[Events, Any]], name: str) -> Any:
    """The report on orders of one merchant."""
    table = build.events(*[events for events, _ in made])
    table["domain"] = f"{name}.example.test"
    return run_checks(table, {f"r{n}": asked for n, (_, asked) in enumerate(made, 1)})


@pytest.mark.parametrize("name", TELLS)
def test_no_order_of_a_merchant_is_called_wrong_however_it_counts(build, name):
    """160 orders of each, in both versions of the API; 20 of them are of one merchant."""

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, 2**64), min_size=20, max_size=20))
    def no_finding(seeds: list[int]) -> None:
        made = [order(name, seed, version=1 + seed % 2) for seed in seeds]
        assert judge(build, made, name).findings["sentence"].tolist() == []

    no_finding()


@pytest.mark.parametrize("fault", CART_FAULTS)
@pytest.mark.parametrize("name", TELLS)
def test_a_fault_is_found_by_its_check_alone_however_the_merchant_counts(build, name, fault):
    for version in (1, 2):
        made = [order(name, f"{fault} {seed}", fault, version) for seed in range(4)]
        findings = judge(build, made, name).findings
        assert set(findings["check"]) == {MADE_FOR[fault][0]}
        assert findings["recording_id"].nunique() == len(made)


@pytest.mark.parametrize("name", TELLS)
def test_twenty_orders_tell_how_a_merchant_counts(build, name):
    made = [order(name, seed) for seed in range(20)]
    table = build.events(*[events for events, _ in made])
    found = conventions(table).set_index("question")["answer"]
    assert {question: found[question] for question in TELLS[name]} == TELLS[name]
    assert found["shipping"] == "the sum of the chosen methods"
    silent = {"line discount", "add-ons", "cart discount", "store credit", "membership"}
    assert set(found[list(silent - set(TELLS[name]))]) == {"cannot be told"}


def test_what_a_reader_can_add_up_by_hand():
    """119.00 with 19.00 inside, three for 10.00, and seven at 12.95 for 90.64."""

    def cart_of(name: str, variant: str, quantity: int) -> Any:
        shop = merchants()[f"{name}.example.test"]
        address = {"country": min(shop.countries), "state_or_province": "OR"}
        items = [({"variant_id": variant}, quantity)]
        steps = play(CheckedOrder(shop, items, address, address, VISA, "1"), random.Random(1))
        return steps[1].payload["cart"]

    lamp = cart_of("linden", "LF00-Oak", 1)
    assert (lamp["total"]["value"], lamp["tax_total"]["value"]) == (119.0, 19.0)
    for variant, pieces, price, line_price in (
        ("DZ00-Plain-S", 3, 3.33, 10.0),
        ("DZ01-Plain-S", 7, 12.95, 90.64),
    ):
        (line,) = cart_of("dozen", variant, pieces)["line_items"]
        assert (line["price"]["value"], line["line_price"]["value"]) == (price, line_price)
