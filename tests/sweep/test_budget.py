"""A budget holds: orders, minutes, and money before anybody knows what the next order costs."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.sweep.budget import (
    GO,
    WAIT,
    Budget,
    BudgetError,
    Ledger,
    amount_from,
    noted_amount,
    what_of,
)

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
    assert account.asks(TEE, 0) == GO


def test_minutes_end():
    account = ledger(minutes=5)
    assert account.asks(TEE, 4.9) == GO
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
    assert ledger({TEE: (3_000, "USD")}, total_minor={"USD": 3_300}).asks(TEE, 0) == GO


def test_one_kind_at_a_time_shows_that_it_costs_what_its_cart_said():
    account = ledger({TEE: (3_000, "USD"), FIVE: (9_000, "USD")}, total_minor={"USD": 50_000})
    account.begin(1, TEE)
    assert account.asks(TEE, 0) == WAIT
    assert account.asks(FIVE, 0) == WAIT
    account.end(1, TEE, (3_000, "USD"), ordered=True)
    account.begin(2, FIVE)
    assert account.asks(FIVE, 0) == WAIT
    assert account.asks(TEE, 0) == GO, "tried already"


def test_orders_in_flight_count_with_what_they_may_cost():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, (3_000, "USD"), ordered=True)
    account.begin(2, TEE)
    account.begin(3, TEE)
    # 3,000 spent, twice 3,300 set aside: a third might be too much, unless one is refused.
    assert account.asks(TEE, 0) == WAIT
    account.end(2, TEE, (3_000, "USD"), ordered=False)
    assert account.asks(TEE, 0) == GO
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
    assert account.asks(ELSEWHERE, 0) == GO


def test_what_an_earlier_part_of_the_run_set_aside_counts():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.take_over((2_200, "USD"), (3_300, "USD"), ordered=None)
    account.take_over((3_000, "USD"), (3_300, "USD"), ordered=True)
    account.take_over((3_000, "USD"), (3_300, "USD"), ordered=False)
    assert account.spent["USD"] == 6_300
    with pytest.raises(BudgetError, match="an order of unknown outcome"):
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
        if answer == GO:
            account.begin(number, what)
            in_flight.append((number, what, ordered, share))
        for _ in range(min(ending, len(in_flight))):
            end_one()
    while in_flight:
        end_one()
    assert charged <= account.spent["USD"] <= limit


def test_an_amount_is_read_back_as_it_was_written():
    for amount in [(123_456, "USD"), (1_250, "JPY"), (5, "USD"), (10**14, "USD"), (-1, "KWD")]:
        assert amount_from(noted_amount(*amount)) == amount
    assert amount_from("1,234.56 USD") == (123_456, "USD"), "as earlier versions wrote it"
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
        with pytest.raises(ValueError, match=r"^budget\."):
            Budget(**wrong)
    with pytest.raises(
        ValueError, match=r"^Unknown limit 'money' for budget\. Use orders, minutes"
    ):
        Budget.of({"money": 3})


def test_where_nothing_is_said_there_is_a_limit_and_a_low_one_where_others_are_met():
    here, there = Budget().within(local=True), Budget().within(local=False)
    assert (here.orders, there.orders, there.minutes) == (10_000, 25, 15.0)
    assert Budget(orders=80).within(local=False).minutes == 15.0


def set_aside(account, what):
    return account.begin(99, what)


def test_of_two_prices_of_one_kind_the_dearer_counts():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 50_000})
    account.note_price(TEE, (2_000, "USD"))
    assert set_aside(account, TEE) == (3_300, "USD")
    account.note_price(TEE, (4_000, "USD"))
    assert set_aside(account, TEE) == (4_400, "USD")
    account.note_price(TEE, (500, "JPY"))  # amounts of two currencies cannot be compared
    assert set_aside(account, TEE) == (550, "JPY")


@given(st.integers(0, 10**12))
def test_a_tenth_more_is_set_aside_rounded_up_to_a_whole_minor_unit(price):
    account = ledger({TEE: (price, "USD")}, total_minor={"USD": 1})
    minor, currency = set_aside(account, TEE)
    assert isinstance(minor, int)
    assert 0 <= minor - Fraction(11, 10) * price < 1
    assert currency == "USD"


def test_a_cart_that_gives_money_back_counts_as_nothing():
    account = ledger({TEE: (-500, "USD")}, total_minor={"USD": 10})
    assert set_aside(account, TEE) == (0, "USD")
    account.end(99, TEE, (-500, "USD"), ordered=True)
    assert account.spent["USD"] == 0


def test_money_of_an_order_that_was_never_sent_is_free_again():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 3_300}, orders=9)
    account.begin(1, TEE)
    assert account.asks(TEE, 0) == WAIT
    account.take_back(1)
    assert account.asks(TEE, 0) == GO
    assert (account.started, account.spent["USD"]) == (0, 0)


def test_nobody_waits_where_not_even_a_refusal_of_all_in_flight_would_leave_enough():
    prices = {TEE: (3_000, "USD"), FIVE: (9_000, "USD")}
    for limit, answer in (
        (16_200, GO),
        (16_199, WAIT),
        (12_900, WAIT),
        (
            12_899,
            "the budget of 128.99 USD has 98.99 USD left, and the next order may cost 99.00 USD",
        ),
    ):
        account = ledger(prices, total_minor={"USD": limit})
        account.begin(1, TEE)
        account.end(1, TEE, (3_000, "USD"), ordered=True)
        account.begin(2, TEE)
        assert account.asks(FIVE, 0) == answer


def test_a_currency_without_a_budget_is_told_with_what_gives_one():
    account = ledger({TEE: (3_000, "JPY")}, total_minor={"USD": 1})
    assert account.asks(TEE, 0) == "there is no budget in JPY: total_minor={'JPY': ...} gives one"


@pytest.mark.parametrize(
    ("ordered", "total", "aside", "counts"),
    [
        (True, (3_000, "USD"), (3_300, "USD"), 3_000),
        (True, (3_000, "USD"), None, 3_000),
        (True, None, (3_300, "USD"), 3_300),
        (True, None, None, None),
        (None, (2_200, "USD"), (3_300, "USD"), 3_300),
        (None, (4_400, "USD"), (3_300, "USD"), 4_400),
        (None, None, (3_300, "USD"), 3_300),
        (None, (2_200, "USD"), None, None),
        (None, None, None, None),
        (False, (3_000, "USD"), (3_300, "USD"), 0),
        (False, None, None, 0),
    ],
)
def test_an_earlier_order_counts_or_is_refused_where_its_money_is_not_known(
    ordered, total, aside, counts
):
    account = ledger(total_minor={"USD": 10_000})
    if counts is None:
        with pytest.raises(BudgetError, match="a budget of money cannot be kept"):
            account.take_over(total, aside, ordered=ordered)
    else:
        account.take_over(total, aside, ordered=ordered)
        assert account.spent["USD"] == counts
    assert account.started == 1
    free = ledger()
    free.take_over(total, aside, ordered=ordered)
    assert free.started == 1


@pytest.mark.parametrize("seen", [(2_200, "JPY"), (9_900, "JPY")])
def test_a_cart_seen_in_another_currency_does_not_free_what_was_set_aside(seen):
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000, "JPY": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, seen, ordered=None)
    assert dict(account.spent) == {"USD": 3_300, "JPY": seen[0]}


def test_what_goes_beyond_the_budget_is_told_by_currency():
    account = ledger(total_minor={"USD": 3_000, "CAD": 100})
    account.take_over((3_000, "USD"), None, ordered=True)
    account.take_over((99, "CAD"), None, ordered=True)
    assert account.beyond() == "", "all of it, and no more"
    account.take_over((3, "CAD"), None, ordered=True)
    account.take_over((1, "JPY"), None, ordered=True)
    assert account.beyond() == (
        "0.02 CAD and 1 JPY more than the budget was ordered for: a merchant charged over a "
        "tenth more than its own cart had said before"
    )
    free = ledger()
    free.take_over((3_000, "USD"), None, ordered=True)
    assert free.beyond() == "", "without a budget nothing goes beyond it"


def test_an_account_is_not_shown_with_an_address():
    account = ledger({TEE: (3_000, "USD")}, total_minor={"USD": 10_000})
    account.begin(1, TEE)
    account.end(1, TEE, (3_000, "USD"), ordered=True)
    assert "Sample Way" not in repr(account)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "Budget(the environment decides)"),
        ({"orders": 12_000}, "Budget(12\u202f000 orders)"),
        ({"minutes": 2.5}, "Budget(2.5 minutes)"),
        (
            {"orders": 5, "minutes": 90, "total_minor": {"USD": 150, "JPY": 20}},
            "Budget(5 orders, 90 minutes, 1.50 USD, 20 JPY)",
        ),
    ],
)
def test_a_budget_shows_what_it_limits(given, shown):
    assert repr(Budget(**given)) == shown


def test_a_budget_may_be_given_as_itself_as_a_dict_or_not_at_all():
    one = Budget(orders=5)
    assert Budget.of(one) is one
    assert Budget.of({"orders": 5}) == one
    assert Budget.of(None) == Budget()
    with pytest.raises(TypeError) as caught:
        Budget.of(5)
    assert str(caught.value) == (
        "budget must be a fnb.Budget or a dict, got int. Try fnb.Budget(orders=100). [FNB102]"
    )


def test_the_least_of_each_limit_is_accepted():
    least = Budget(orders=1, minutes=0.01, total_minor={"USD": 0})
    assert (least.orders, least.minutes, least.total_minor) == (1, 0.01, {"USD": 0})
    assert ledger({TEE: (1, "USD")}, total_minor={"USD": 0}).asks(TEE, 0) == (
        "the budget of 0.00 USD has 0.00 USD left, and the next order may cost 0.02 USD"
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"orders": 0}, "budget.orders must be a whole number above 0, got 0. Try orders=100."),
        (
            {"orders": True},
            "budget.orders must be a whole number above 0, got True. Try orders=100.",
        ),
        ({"minutes": 0}, "budget.minutes must be a number above 0, got 0. Try minutes=100."),
        (
            {"minutes": float("inf")},
            "budget.minutes must be a number above 0, got inf. Try minutes=100.",
        ),
        ({"minutes": "5"}, "budget.minutes must be a number above 0, got '5'. Try minutes=100."),
        (
            {"total_minor": 7},
            'budget.total_minor must be amounts by currency, got 7. Example: {"USD": 50_000}.',
        ),
        (
            {"total_minor": {"US": 7}},
            "budget.total_minor: 'US' is not a currency code. Example: USD.",
        ),
        ({"total_minor": {7: 7}}, "budget.total_minor: 7 is not a currency code. Example: USD."),
        (
            {"total_minor": {"USD": -1}},
            (
                "budget.total_minor['USD'] must be whole minor units (cents), at least 0, got -1. "
                "For 500.00 pass 50_000."
            ),
        ),
    ],
)
def test_a_refused_limit_is_named_with_what_it_must_be(wrong, words):
    with pytest.raises(ValueError, match="budget") as caught:
        Budget(**wrong)
    assert str(caught.value) == f"{words} [FNB517]"


def test_the_own_limits_of_each_environment_are_those_that_it_says():
    for limits in ({}, {"total_minor": {"USD": 5}}):
        money = limits.get("total_minor")
        assert Budget(**limits).within(local=True) == Budget(10_000, 240.0, money)
        assert Budget(**limits).within(local=False) == Budget(25, 15.0, money)
    assert Budget(minutes=300).within(local=False) == Budget(25, 300)
