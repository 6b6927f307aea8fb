"""A budget holds: orders, minutes, and money before anybody knows what the next order costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.sweep.budget import Budget
from firmly_nb.sweep.ledger import WAIT, YES, Ledger, kind_of

TEE = kind_of(fnb.Order.example())
FIVE = kind_of(fnb.Order.example(quantity=5))


def ledger(**limits):
    return Ledger(Budget(**limits))


def test_orders_are_counted_when_they_start_and_not_if_they_were_never_sent():
    account = ledger(orders=2)
    account.begin(1, TEE)
    account.begin(2, TEE)
    assert account.asks(TEE, 0) == "the budget of 2 orders is used up"
    account.end(2, TEE, None, None)
    assert account.asks(TEE, 0) == YES


def test_minutes_end():
    account = ledger(minutes=5)
    assert account.asks(TEE, 4.9) == YES
    assert account.asks(TEE, 5.0) == "the budget of 5 minutes is used up"


def test_until_a_price_is_known_one_order_of_its_kind_runs_alone():
    account = ledger(total_minor={"USD": 10_000})
    assert account.asks(TEE, 0) == YES
    account.begin(1, TEE)
    assert account.asks(TEE, 0) == WAIT
    account.end(1, TEE, "placed", (3_000, "USD"))
    assert account.asks(TEE, 0) == YES
    account.begin(2, TEE)
    assert account.asks(FIVE, 0) == WAIT, "five may cost anything"


def test_orders_in_flight_count_with_what_they_may_cost():
    account = ledger(total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, "placed", (3_000, "USD"))
    account.begin(2, TEE)
    account.begin(3, TEE)
    # 3,000 spent, twice 3,300 reserved: a third might be too much, unless one is refused.
    assert account.asks(TEE, 0) == WAIT
    account.end(2, TEE, "error_event", (3_000, "USD"))
    assert account.asks(TEE, 0) == YES
    account.end(3, TEE, "placed", (3_000, "USD"))
    account.begin(4, TEE)
    account.end(4, TEE, "placed", (3_000, "USD"))
    assert "has 10.00 USD left, and the next order may cost 33.00 USD" in account.asks(TEE, 0)


@pytest.mark.parametrize("outcome", ["timeout", "incomplete", "cancelled", "transport_error"])
def test_an_order_with_an_unknown_end_counts_as_ordered(outcome):
    account = ledger(total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, "placed", (3_000, "USD"))
    account.begin(2, TEE)
    account.end(2, TEE, outcome, None)
    assert account.spent["USD"] == 3_000 + 3_300


def test_another_currency_has_no_budget():
    account = ledger(total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, "placed", (3_000, "JPY"))
    assert "there is no budget in JPY" in account.asks(TEE, 0)


@given(
    st.integers(100, 100_000),
    st.lists(st.tuples(st.integers(50, 5_000), st.booleans(), st.booleans()), max_size=60),
)
def test_whatever_happens_no_more_is_spent_than_the_budget_and_one_price_rise(limit, orders):
    """Totals that stay within a tenth of the dearest so far never break the budget."""
    account = ledger(total_minor={"USD": limit})
    price = orders[0][0] if orders else 0
    in_flight = []
    for number, (_, placed, ends_now) in enumerate(orders):
        answer = account.asks(TEE, 0)
        while answer == WAIT:
            account.end(in_flight.pop(0), TEE, "placed", (price, "USD"))
            answer = account.asks(TEE, 0)
        if answer != YES:
            break
        account.begin(number, TEE)
        in_flight.append(number)
        if ends_now:
            outcome = "placed" if placed else "error_event"
            account.end(in_flight.pop(0), TEE, outcome, (price, "USD"))
    for number in in_flight:
        account.end(number, TEE, "placed", (price, "USD"))
    # Only the very first order, of which nobody knows the price, may cost more than there is.
    assert account.spent["USD"] <= max(limit, price)


def test_what_is_no_budget_is_refused():
    for wrong in ({"orders": 0}, {"minutes": -1}, {"total_minor": {"USD": 9.5}}):
        with pytest.raises(ValueError, match="budget"):
            Budget(**wrong)
    with pytest.raises(ValueError, match="unknown money; there are orders, minutes"):
        Budget.of({"money": 3})


def test_where_nothing_is_said_there_is_a_limit_and_a_low_one_where_others_are_met():
    here, there = Budget().within(local=True), Budget().within(local=False)
    assert (here.orders, there.orders, there.minutes) == (10_000, 25, 15.0)
    assert Budget(orders=80).within(local=False).minutes == 15.0
