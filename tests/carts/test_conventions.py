"""How merchants count is learned from carts that are known, and carts are held to it."""

from __future__ import annotations

import copy
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmly_nb.carts.conventions import QUESTIONS, conventions
from firmly_nb.carts.report import run_checks
from firmly_nb.carts.sums import slack, slack_of_sum
from tests.carts.counting import Counting, order, rounded

if TYPE_CHECKING:
    import pandas as pd

INSIDE = "inside"
COUNTINGS = {
    "tax on top": Counting(),
    "tax inside": Counting(tax=INSIDE, rate=Fraction(19, 100), taxes_shipping=True),
    "tax by line": Counting(tax_unit="by line", rate=Fraction(7, 100)),
    "tax by piece": Counting(
        tax_unit="by piece", rate=Fraction(8875, 100_000), taxes_shipping=True
    ),
    "tax inside by piece": Counting(tax=INSIDE, tax_unit="by piece", rate=Fraction(1, 5)),
    "halves up": Counting(tax_unit="by line", rate=Fraction(1, 4)),
    "halves to even": Counting(tax_unit="by line", rate=Fraction(1, 4), halves="half to even"),
    "prices by line": Counting(prices="by line"),
    "prices by order": Counting(prices="by order"),
    "line discount in the line": Counting(line_discount="in the line price"),
    "line discount in the subtotal": Counting(line_discount="in the subtotal"),
    "line discount in the total": Counting(line_discount="in the total", signs=-1),
    "discount in the subtotal": Counting(cart_discount="in the subtotal"),
    "discount in the total": Counting(cart_discount="in the total", signs=-1, currency="KWD"),
    "both discounts": Counting(line_discount="in the line price", cart_discount="in the total"),
    "stated twice": Counting(line_discount="in the total", is_stated_twice=True),
    "credit taken off": Counting(credit="taken off the total", currency="JPY"),
    "credit shown": Counting(credit="shown only", tax=INSIDE),
    "add-ons in the total": Counting(addons="in the total"),
    "add-ons apart": Counting(addons="not in the total"),
    "membership": Counting(has_member=True, n_shipments=2),
}
# What 20 carts may leave open, because it seldom shows.
SELDOM = {"halves", "rounding of tax", "tax on shipping"}
# The tax of what else is in a cart is not known, so that such carts do not tell how it is rounded.
WITH_MORE = {
    name for name, how in COUNTINGS.items() if how.line_discount or how.cart_discount or how.addons
}


def told(events: pd.DataFrame) -> dict[str, str]:
    table = conventions(events)
    return dict(zip(table["question"], table["answer"], strict=True))


def orders(how: Counting, seed: int, n: int = 20) -> list[Any]:
    draw = random.Random(seed)
    return [order(draw.randint, how, number) for number in range(n)]


@pytest.mark.parametrize("name", COUNTINGS)
def test_no_cart_of_a_merchant_is_called_wrong_however_it_counts(build, name):
    """Each of 160 generated orders by itself: each is the only one of its merchant."""

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, 2**64), min_size=20, max_size=20))
    def judge(seeds: list[int]) -> None:
        made = [order(random.Random(seed).randint, COUNTINGS[name]) for seed in seeds]
        events = build.events(*made)
        events["domain"] = events["recording_id"] + ".test"
        assert run_checks(events).findings["sentence"].tolist() == []

    judge()


@pytest.mark.parametrize("name", COUNTINGS)
def test_the_carts_of_a_merchant_tell_how_it_counts(build, name):
    """Of 20 carts; what they leave open is not told, and nothing is told wrong."""
    how = COUNTINGS[name]
    for seed in range(3):
        events = build.events(*orders(how, seed))
        found = told(events)
        for question, answer in how.answers.items():
            may_be_open = question == "halves" or (question in SELDOM and name in WITH_MORE)
            allowed = {answer or "cannot be told", *(["cannot be told"] if may_be_open else [])}
            assert found[question] in allowed, (seed, question)
        assert run_checks(events).findings.empty
    assert list(found) == list(QUESTIONS)


@pytest.mark.parametrize("halves", ["half up", "half to even"])
def test_halves_are_told_where_amounts_end_on_one(build, halves):
    how = Counting(tax_unit="by line", rate=Fraction(1, 4), halves=halves)
    assert told(build.events(*orders(how, 5)))["halves"] == halves
    # No amount of a merchant whose rate is 20 % has a tax that ends on half a cent.
    never = Counting(rate=Fraction(1, 5), halves=halves)
    assert told(build.events(*orders(never, 5)))["halves"] == "cannot be told"


def test_one_cart_that_decides_is_enough(build):
    recording = order(random.Random(1).randint, Counting(tax=INSIDE))
    found = conventions(build.events(recording)).set_index("question")
    row = found.loc["tax"]
    assert (row["answer"], row["n_for"], row["n_against"]) == (INSIDE, 3, 0)
    assert row["carts_for"] == [("r1", 1), ("r1", 2), ("r1", 3)]
    assert row["sentence"] == "Tax: inside (3 carts for)."
    assert found.loc["rounding", "answer"] == "cannot be told"
    assert found.loc["rounding", "sentence"] == "Rounding: no cart decides it."


def test_one_order_placed_many_times_is_one_observation_of_rounding(build):
    same = order(random.Random(2).randint, Counting())
    events = build.events(*[copy.deepcopy(same) for _ in range(30)])
    assert told(events)["rounding"] == "cannot be told"
    assert told(events)["rounding of tax"] == "cannot be told"


def test_carts_that_disagree_are_counted_on_both_sides(build):
    carts = [*orders(Counting(tax=INSIDE), 1, 12), *orders(Counting(), 2, 8)]
    row = conventions(build.events(*carts)).set_index("question").loc["tax"]
    assert row["answer"] == "differs"
    assert (row["n_for"], row["n_against"]) == (36, 16)
    assert row["sentence"] == "Tax differs: inside in 36 carts, on top in 16 carts."


def test_rates_that_differ_by_line_leave_the_rounding_open(build):
    draw = random.Random(3)
    carts = [
        order(draw.randint, Counting(rate=Fraction(draw.choice([7, 19, 13]), 100)), number)
        for number in range(20)
    ]
    assert told(build.events(*carts))["rounding of tax"] == "cannot be told"
    assert run_checks(build.events(*carts)).findings.empty


def test_each_merchant_is_learned_by_itself(build):
    events = build.events(*orders(Counting(tax=INSIDE), 1, 6), *orders(Counting(), 2, 6))
    ours = events["recording_id"].isin([f"r{n}" for n in range(1, 7)])
    events["domain"] = ours.map({True: "a.test", False: "b.test"})
    found = conventions(events).set_index(["domain", "question"])["answer"]
    assert found["a.test", "tax"] == INSIDE
    assert found["b.test", "tax"] == "on top"
    assert run_checks(events).findings.empty


# What the carts of a merchant say is held against each of them.


def other_way(recording: Any) -> Any:
    """Leave the tax out of an order whose other amounts stay."""
    for _, data in recording:
        cart = data.get("cart") or data.get("order") or {}
        if cart and cart["tax_total"]["number"]:
            minor = cart["total"]["number"] - cart["tax_total"]["number"]
            cart["total"] = cart["total"] | {"number": minor, "value": minor / 100}
    return recording


def test_a_cart_that_breaks_the_convention_says_which(build):
    carts = orders(Counting(), 4)
    other_way(carts[7])
    report = run_checks(build.events(*carts))
    assert set(report.findings["recording_id"]) == {"r8"}
    assert set(report.findings["check"]) == {"total"}
    sentence = report.findings["sentence"].iloc[0]
    assert sentence.endswith("the tax is inside; in 19 of 20 carts of a.test it is on top.")


def test_a_cart_whose_add_ons_are_apart_says_so(build):
    carts = orders(Counting(addons="in the total"), 4)
    carts[7] = orders(Counting(addons="not in the total"), 4)[7]
    sentence = run_checks(build.events(*carts)).findings["sentence"].iloc[0]
    assert sentence.endswith(
        "the add-ons are not in the total; in 19 of 20 carts of a.test they are in the total."
    )


def test_few_carts_hold_no_other_to_their_way(build):
    carts = orders(Counting(), 4, 5)
    other_way(carts[2])
    assert run_checks(build.events(*carts)).findings.empty


def test_another_country_may_count_in_another_way(build):
    carts = [*orders(Counting(), 4), *orders(Counting(tax=INSIDE), 5, 1)]
    for _, data in carts[-1]:
        cart = data.get("cart") or data.get("order") or {}
        if "shipping_info" in cart:
            cart["shipping_info"] = {"country": "FR"}
    assert run_checks(build.events(*carts)).findings.empty


def test_a_subtotal_that_breaks_the_rounding_says_so(build):
    carts = orders(Counting(), 6)
    for _, data in carts[3]:
        cart = data.get("cart") or data.get("order") or {}
        for name in ("sub_total", "total") if cart else ():
            minor = cart[name]["number"] + 1
            cart[name] = cart[name] | {"number": minor, "value": minor / 100}
    found = run_checks(build.events(*carts)).findings
    assert set(found["check"]) == {"subtotal"}
    assert "carts of a.test round by piece" in found["sentence"].iloc[0]


def test_a_bundle_price_of_a_merchant_that_multiplies_is_no_error(build):
    carts = orders(Counting(), 7)
    carts[0] = build.recording([build.line("A", 333, 3) | {"line_price": build.money(1000)}])
    for _, data in carts[0]:
        (data.get("cart") or data.get("order") or {}).update(shop_id="a.test")
    found = run_checks(build.events(*carts)).findings
    assert set(found["severity"]) <= {"info"}


@given(st.integers(1, 10**6), st.integers(1, 40), st.integers(0, 99))
def test_a_price_that_is_shown_rounded_is_within_its_slack(price, pieces, hundredths):
    exact = Fraction(price * 100 + hundredths, 100)
    assert abs(rounded(exact * pieces) - rounded(exact) * pieces) <= slack(pieces)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_rounded_lines_are_within_the_slack_of_their_sum(hundredths):
    exact = [Fraction(each, 100) for each in hundredths]
    assert abs(rounded(sum(exact, Fraction(0))) - sum(map(rounded, exact))) <= slack_of_sum(
        len(exact)
    )
