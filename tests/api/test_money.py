"""Money is exact, whatever the currency."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.money import (
    MINOR_DIGITS,
    Money,
    contradicts,
    format_minor,
    from_minor,
    minor_digits,
    read_amounts,
    read_money,
    to_minor,
)
from firmly_nb.display.text import THIN_SPACE
from tests.odd_amounts import AMOUNTS

currencies = st.sampled_from(["USD", "EUR", *MINOR_DIGITS])
int64 = st.integers(1 - 2**63, 2**63 - 1)  # as much on both sides, so that a sign can be turned


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("usd", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("CLF", 4), ("XYZ", 2)],
)
def test_a_currency_has_its_decimals(currency, digits):
    assert minor_digits(currency) == digits


@given(int64, currencies)
def test_minor_units_survive_the_way_to_decimals_and_back(minor, currency):
    assert to_minor(from_minor(minor, currency), currency) == minor
    assert to_minor(str(from_minor(minor, currency)), currency) == minor


@given(st.integers(-(2**52), 2**52), currencies)
def test_minor_units_survive_the_float_of_the_wire(minor, currency):
    sent = Money(minor, currency).wire()
    assert to_minor(sent["value"], currency) == minor
    assert read_money({"currency": currency, "value": sent["value"]}) == (minor, currency)


@given(int64, currencies)
def test_a_money_object_survives_the_wire(minor, currency):
    assert read_money(Money(minor, currency).wire()) == (minor, currency)


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (46.99, "USD", 4699),
        (0.1 + 0.2, "USD", 30),
        (1.005, "USD", 100),  # half to even, as its shortest form says
        (1.015, "USD", 102),
        (-0.01, "USD", -1),
        ("1e2", "JPY", 100),
        (Decimal("0.0005"), "KWD", 0),
    ],
)
def test_amounts_are_read_by_their_shortest_form(value, currency, minor):
    assert to_minor(value, currency) == minor


@pytest.mark.parametrize("value", ["", "abc", "12,50", float("nan"), float("inf"), float("-inf")])
def test_what_is_no_amount_is_refused(value):
    with pytest.raises(ValueError, match=r"^\S+ is not an amount in USD\. Pass a number"):
        to_minor(value, "USD")


@pytest.mark.parametrize(("sent", "read"), AMOUNTS.items())
def test_an_amount_is_read_by_its_rule(sent, read):
    assert read_money(orjson.loads(sent)) == read


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, pytest.param(10**5000, id="huge"), Decimal(1), "\ud800"],
)
def test_what_no_json_says_is_no_amount(value):
    for sent in ({"value": value}, {"number": value}, {"value": value, "number": 100}):
        assert read_money({"currency": "USD", **sent}) is None
    assert read_amounts(["USD"], [None], [value]) == ([None], [None])
    assert read_amounts(["USD"], [value], [None]) == ([None], [None])


def test_a_currency_that_no_file_can_store_is_made_one_that_can():
    assert read_money({"currency": "\ud800", "number": 1}) == (100, "?")


def test_long_texts_are_not_remembered():
    """A merchant that sends megabytes for an amount would fill the memory with them."""
    for length in (50, 10**6):
        assert read_money({"currency": "USD", "value": "1" * length}) is None
        assert read_money({"currency": "x" * length, "number": 1}) == (100, "x" * length)


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"currency": "USD", "value": 46.99, "number": 4700}, True),
        ({"currency": "USD", "value": "free", "number": 4699}, True),
        ({"currency": "USD", "value": 46.99, "number": True}, True),
        ({"currency": "USD", "value": 46.99, "number": 4699}, False),
        ({"currency": "USD", "value": "free"}, False),
        ({"currency": "USD", "number": "free"}, False),
        ({"value": 46.99, "number": 4700}, False),
        ([4699], False),
    ],
)
def test_a_contradiction_needs_two_statements_and_a_currency(sent, wrong):
    assert contradicts(sent) is wrong


odd = st.sampled_from(
    [None, True, "", "46.99", "4699", "1e2", "free", [], 46.985, 2**52, 2**63, -(2**63), 1e22]
)
numbers = st.integers(-(10**6), 10**6) | int64 | odd | st.floats()
values = st.integers(-(10**6), 10**6) | int64 | odd | st.floats()
said = st.sampled_from(["USD", "usd", "JPY", "KWD", "US$", "", None, 7])
moneys = st.tuples(int64 | st.integers(-(10**6), 10**6), currencies).map(lambda m: Money(*m).wire())
good = st.sampled_from(["number", "value", ""]).flatmap(
    lambda gone: moneys.map(lambda m: {**m, gone: None})
)
any_money = st.fixed_dictionaries({"currency": said, "number": numbers, "value": values})


@given(st.lists(good | any_money, max_size=6) | st.lists(good, max_size=6))
def test_many_amounts_are_read_as_each_is(many):
    columns = ([money[name] for money in many] for name in ("currency", "number", "value"))
    one_by_one = [read_money(money) or (None, None) for money in many]
    assert list(zip(*read_amounts(*columns), strict=True)) == one_by_one


@given(any_money)
def test_an_amount_that_was_read_is_what_each_of_its_fields_says(sent):
    read = read_money(sent)
    if read is None:
        return
    scale = 10 ** minor_digits(read.currency)
    if read.currency not in MINOR_DIGITS:
        number = sent["number"] if sent["value"] is None else sent["value"]
        assert abs(Fraction(Decimal(str(number))) * scale - read.minor) <= Fraction(1, 10**6)
        return
    if sent["number"] is not None:
        assert int(sent["number"]) == read.minor
    if sent["value"] is not None:
        # Half a minor unit, or what a float cannot hold.
        off = abs(Fraction(Decimal(str(sent["value"]))) * scale - read.minor)
        assert off <= max(Fraction(1, 2), Fraction(abs(read.minor), 2**52))


@given(int64, currencies)
def test_a_written_amount_can_be_read_back(minor, currency):
    text = format_minor(minor, currency)
    assert to_minor(text.replace(THIN_SPACE, ""), currency) == minor
    assert len(text.partition(".")[2]) == minor_digits(currency)
