"""A budget holds: orders, minutes, and money before anybody knows what the next order costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.sweep.budget import Budget, BudgetError, amount_from, money_text
from firmly_nb.sweep.ledger import WAIT, YES, Ledger, what_of

TEE = what_of(fnb.Order.example())
FIVE = what_of(fnb.Order.example(quantity=5))
ELSEWHERE = what_of(fnb.Order.example(shipping_info=fnb.Address.example(postal_code="10001")))


def ledger(prices=None, **limits):
    account = Ledger(Budget(**limits))
    for what, price in (prices or {}).items():
        account.note_price(what, price)
    return account


def test_orders_are_counted_when_they_start_and_not_if_they_were_never_sent():
    account = ledger(orders=2)
    account.begin(1, TEE)
    account.begin(2, TEE)
    assert account.asks(TEE, 0) == "the budget of 2 orders is used up"
    account.take_back(2)
    assert account.asks(TEE, 0) == YES


def test_minutes_end():
    account = ledger(minutes=5)
    assert account.asks(TEE, 4.9) == YES
    assert account.asks(TEE, 5.0) == "the budget of 5 minutes is used up"


def test_where_money_is_a_limit_every_kind_of_order_needs_a_price_before_it_is_sent():
    assert not ledger().needs_price(TEE)
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    assert not account.needs_price(TEE)
    assert account.needs_price(FIVE)
    assert account.needs_price(ELSEWHERE), "shipping and tax differ by address"


def test_the_first_order_is_refused_if_it_may_cost_more_than_there_is():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 3_299})
    assert "has 32.99 USD left, and the next order may cost 33.00 USD" in account.asks(TEE, 0)
    assert ledger({TEE: (3_000, "USD")}, total_minor={"USD": 3_300}).asks(TEE, 0) == YES


def test_one_kind_at_a_time_shows_that_it_costs_what_its_cart_said():
    account = ledger({TEE: (3_000, "USD"), FIVE: (9_000, "USD")}, total_minor={"USD": 50_000})
    account.begin(1, TEE)
    assert account.asks(TEE, 0) == WAIT
    assert account.asks(FIVE, 0) == WAIT
    account.end(1, TEE, (3_000, "USD"), ordered=True)
    account.begin(2, FIVE)
    assert account.asks(FIVE, 0) == WAIT
    assert account.asks(TEE, 0) == YES, "tried already"


def test_orders_in_flight_count_with_what_they_may_cost():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, (3_000, "USD"), ordered=True)
    account.begin(2, TEE)
    account.begin(3, TEE)
    # 3,000 spent, twice 3,300 set aside: a third might be too much, unless one is refused.
    assert account.asks(TEE, 0) == WAIT
    account.end(2, TEE, (3_000, "USD"), ordered=False)
    assert account.asks(TEE, 0) == YES
    account.end(3, TEE, (3_000, "USD"), ordered=True)
    account.begin(4, TEE)
    account.end(4, TEE, (3_000, "USD"), ordered=True)
    assert "has 10.00 USD left, and the next order may cost 33.00 USD" in account.asks(TEE, 0)


@pytest.mark.parametrize("seen", [None, (2_200, "USD")])
def test_an_order_with_an_unknown_end_counts_with_all_that_was_set_aside(seen):
    """The last cart that was seen of it may lack shipping and tax."""
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, seen, ordered=None)
    assert account.spent["USD"] == 3_300


def test_another_currency_has_no_budget_and_each_has_its_own():
    prices = {TEE: (3_000, "JPY"), FIVE: (3_000, "USD"), ELSEWHERE: (400, "CAD")}
    account = ledger(prices, total_minor={"USD": 3_300, "CAD": 440})
    assert "there is no budget in JPY" in account.asks(TEE, 0)
    account.begin(1, FIVE)
    account.end(1, FIVE, (3_000, "USD"), ordered=True)
    assert "the budget of 33.00 USD has 3.00 USD left" in account.asks(FIVE, 0)
    assert account.asks(ELSEWHERE, 0) == YES


def test_what_an_earlier_part_of_the_run_set_aside_counts():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.take_over((2_200, "USD"), (3_300, "USD"), ordered=None)
    account.take_over((3_000, "USD"), (3_300, "USD"), ordered=True)
    account.take_over((3_000, "USD"), (3_300, "USD"), ordered=False)
    assert account.spent["USD"] == 6_300
    with pytest.raises(BudgetError, match="an order whose end is unknown"):
        account.take_over((2_200, "USD"), None, ordered=None)
    free = ledger()
    free.take_over(None, None, ordered=None)
    assert free.started == 1


def test_a_merchant_that_charges_far_more_than_its_cart_said_is_told_of():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 4_000})
    account.begin(1, TEE)
    account.end(1, TEE, (4_500, "USD"), ordered=True)
    assert account.beyond().startswith("5.00 USD more than the budget was ordered for")
    assert "used up" not in account.asks(TEE, 0)
    assert "has 0.00 USD left, and the next order may cost 49.50 USD" in account.asks(TEE, 0)


ENDS = st.sampled_from([True, False, None])


@given(
    st.integers(100, 100_000),
    st.lists(
        st.tuples(
            st.sampled_from([TEE, FIVE, ELSEWHERE]),
            ENDS,  # whether there is an order
            st.floats(0, 1.1),  # what is charged, as a share of what the cart said
            st.integers(0, 3),  # how many of those in flight end before the next one is asked for
        ),
        max_size=60,
    ),
)
def test_whatever_happens_no_more_is_spent_than_the_budget(limit, orders):
    """Merchants that charge at most a tenth more than their carts said never break a budget."""
    prices = {TEE: (3_000, "USD"), FIVE: (11_111, "USD"), ELSEWHERE: (3_333, "USD")}
    account = ledger(prices, total_minor={"USD": limit})
    charged = 0
    in_flight = []

    def end_one():
        nonlocal charged
        number, what, ordered, share = in_flight.pop(0)
        total = int(prices[what][0] * share)
        # Whoever never saw the end has been charged all the same.
        charged += total if ordered is not False else 0
        account.end(number, what, (total, "USD") if ordered else None, ordered=ordered)

    for number, (what, ordered, share, ending) in enumerate(orders):
        answer = account.asks(what, 0)
        while answer == WAIT:
            assert in_flight, "nobody waits for nothing"
            end_one()
            answer = account.asks(what, 0)
        if answer == YES:
            account.begin(number, what)
            in_flight.append((number, what, ordered, share))
        for _ in range(min(ending, len(in_flight))):
            end_one()
    while in_flight:
        end_one()
    assert charged <= account.spent["USD"] <= limit


def test_an_amount_is_read_back_as_it_was_written():
    for amount in [(123_456, "USD"), (1_250, "JPY"), (5, "USD")]:
        assert amount_from(money_text(*amount)) == amount
    assert amount_from(None) is amount_from("") is amount_from("12") is amount_from("x USD") is None


def test_what_is_no_budget_is_refused():
    for wrong in (
        {"orders": 0},
        {"orders": 2.5},
        {"orders": "5"},
        {"minutes": -1},
        {"minutes": "5"},
        {"minutes": float("nan")},
        {"total_minor": 5_000},
        {"total_minor": {}},
        {"total_minor": {"usd": 5_000}},
        {"total_minor": {"USD": 9.5}},
        {"total_minor": {"USD": True}},
        {"total_minor": {"USD": -1}},
    ):
        with pytest.raises(ValueError, match="budget: "):
            Budget(**wrong)
    with pytest.raises(ValueError, match="unknown money; there are orders, minutes"):
        Budget.of({"money": 3})


def test_where_nothing_is_said_there_is_a_limit_and_a_low_one_where_others_are_met():
    here, there = Budget().within(local=True), Budget().within(local=False)
    assert (here.orders, there.orders, there.minutes) == (10_000, 25, 15.0)
    assert Budget(orders=80).within(local=False).minutes == 15.0
