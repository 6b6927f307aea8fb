"""Money is exact, whatever the currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firmly_nb.api.money import (
    MINOR_DIGITS,
    Money,
    format_minor,
    from_minor,
    minor_digits,
    to_minor,
)

currencies = st.sampled_from(["USD", "EUR", *MINOR_DIGITS])
int64 = st.integers(-(2**63), 2**63 - 1)


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


# Beyond 15 digits a float does not hold every amount; then `number` is what counts.
@given(st.integers(-(10**14), 10**14), currencies)
def test_minor_units_survive_the_float_of_the_wire(minor, currency):
    money = Money.of(minor, currency)
    assert to_minor(money.value, currency) == minor
    assert Money(currency=currency, value=money.value).minor == minor


@given(int64, currencies)
def test_a_money_object_survives_the_wire(minor, currency):
    back = Money.model_validate(Money.of(minor, currency).wire())
    assert (back.minor, back.currency) == (minor, currency)


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
    with pytest.raises(ValueError, match="is no amount of money in USD"):
        to_minor(value, "USD")


def test_number_wins_over_value():
    assert Money(currency="USD", value=1.0, number=99).minor == 99


def test_fields_that_are_not_known_are_passed_over():
    assert Money.model_validate({"currency": "USD", "value": 2, "more": []}).minor == 200


@pytest.mark.parametrize("payload", [None, [], {}, {"currency": "USD"}, {"value": 1.0}, "USD 1"])
def test_what_is_no_money_object_is_refused_without_quoting_it(payload):
    with pytest.raises(ValidationError) as caught:
        Money.model_validate(payload)
    assert "input_value" not in str(caught.value)


@given(int64, currencies)
def test_a_written_amount_can_be_read_back(minor, currency):
    text = format_minor(minor, currency)
    assert to_minor(text.replace(",", ""), currency) == minor
    assert len(text.partition(".")[2]) == minor_digits(currency)
