"""A budget of money is asked for with a cart beforehand, and holds from the first order on."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.api.client import FirmlyClient, session_clock_ns
from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.secrets import SecretStr
from firmly_nb.sweep.budget import Quotes
from firmly_nb.sweep.plan import Variant

ORDER = fnb.Order.example()
JAPAN = fnb.Address.example(
    city="Kyoto", state_or_province="26", country="JP", postal_code="604-8571", phone="0755550100"
)
PEN = fnb.Order.example(
    domain="sora.example.test",
    items=[fnb.Item(variant_id="SR-PEN-Black")],
    shipping_info=JAPAN,
)


def sweep(lab, orders=ORDER, **arguments):
    """Record here: a process of its own for each test takes 0.2 s, and changes no budget."""
    return lab.sweep(orders, progress=False, isolated=False, **arguments)


@pytest.fixture
def price(lab):
    return int(lab.place(ORDER, progress=False, isolated=False).orders["total_minor"].iloc[0])


def test_not_even_the_first_order_costs_more_than_there_is(lab, price):
    before = len(fnb.load(lab.journal))
    recs = sweep(lab, count=5, concurrency=4, budget={"total_minor": {"USD": price}})
    assert len(recs) == 0
    assert len(fnb.load(lab.journal)) == before
    assert "has 30.47 USD left, and the next order may cost 33.52 USD" in recs.warnings[0]


def test_what_an_order_costs_is_asked_with_a_cart_of_its_own(lab, price):
    sweep(lab, count=5, budget={"total_minor": {"USD": 1}})
    cart = lab.cart(ORDER.domain)
    assert cart["cart_status"] == "submitted", "the analyst's own last cart was left alone"
    assert cart["platform_order_number"]


def test_money_is_a_limit_that_holds(lab, price):
    limit = int(price * 4.5)
    recs = sweep(lab, count=20, concurrency=4, budget={"total_minor": {"USD": limit}})
    spent = recs.orders["total_minor"].sum()
    assert len(recs) == 4
    assert spent <= limit
    assert lab.last_sweep.progress.spent_minor == {"USD": spent}
    assert "may cost" in recs.warnings[0]
    assert {rec.tags["set_aside"] for rec in recs} == {"33.52 USD"}


def test_orders_behind_the_first_of_their_kind_are_planned_after_its_end(lab):
    recs = sweep(lab, count=2, rate=900, budget={"total_minor": {"USD": 100_000}})
    first, second = recs.orders.sort_values("started_at").to_dict("records")
    planned = second["started_at"] - pd.Timedelta(second["schedule_lag_ms"], "ms")
    assert planned > first["started_at"] + pd.Timedelta(first["order_latency_ms"], "ms")
    assert "the plan moved back by" in recs.warnings[0]


def test_it_holds_for_kinds_and_addresses_that_a_generator_brings(lab):
    def orders():
        for number in range(40):
            home = fnb.Address.example(state_or_province=["WA", "NY", "OR"][number % 3])
            yield fnb.Order.example(quantity=1 + number % 4, shipping_info=home)

    recs = sweep(lab, orders(), rate=100, concurrency=8, budget={"total_minor": {"USD": 60_000}})
    assert set(recs.orders["outcome"]) == {"placed"}
    assert 30_000 < recs.orders["total_minor"].sum() <= 60_000


def test_orders_of_unknown_end_count_when_the_run_goes_on(lab, price, until):
    def orders(stalled):
        headers = {"headers": {"x-sim-fault": "stall"}} if stalled else {}
        return iter([Variant(ORDER, options=headers)] * 9)

    budget = {"total_minor": {"USD": int(price * 3.5)}}
    started = lab.start_sweep(orders(stalled=True), run_id="cut", concurrency=1, budget=budget)
    until(lambda: started.progress.running == 1, "an order in flight")
    started.stop()
    [cut] = started.wait()
    assert (cut.outcome, cut.tags["set_aside"]) == ("cancelled", "33.52 USD")
    recs = sweep(lab, orders(stalled=False), resume="cut")
    assert sorted(recs.orders["outcome"].astype(str)) == ["cancelled", "placed", "placed"]
    assert lab.last_sweep.progress.spent_minor == {"USD": 3352 + 2 * price}


def test_an_order_that_its_cart_denies_counts_since_it_may_still_be_submitted(lab, price):
    cut = Variant(ORDER, options={"headers": {"x-sim-fault": "cut"}})
    budget = {"total_minor": {"USD": int(price * 3.5)}}
    recs = sweep(lab, iter([cut] * 9), run_id="denied", concurrency=1, budget=budget, settle=True)
    assert set(recs.orders["order_exists"]) == {"no"}
    assert len(recs) == 3
    assert "the next order may cost 33.52 USD" in recs.warnings[0]
    again = sweep(lab, iter([cut] * 9), resume="denied", settle=True)
    assert len(again) == 3


def test_more_orders_are_not_more_money(lab, price):
    budget = {"orders": 2, "total_minor": {"USD": int(price * 3.5)}}
    lab.sweep(iter([ORDER] * 9), run_id="more", budget=budget, progress=False)
    recs = sweep(lab, iter([ORDER] * 9), resume="more", budget={"orders": 9})
    assert len(recs) == 3
    assert "the next order may cost 33.52 USD" in recs.warnings[0]
    assert (
        len(sweep(lab, iter([ORDER] * 9), resume="more", budget={"total_minor": {"USD": 50_000}}))
        == 9
    )


def test_a_run_without_a_budget_of_money_is_not_given_one_that_could_not_hold(lab, until):
    stalled = {"headers": {"x-sim-fault": "stall"}}
    started = lab.start_sweep(ORDER, count=3, concurrency=1, run_id="free", **stalled)
    until(lambda: started.progress.running == 1, "an order in flight")
    started.stop()
    started.wait()
    with pytest.raises(fnb.sweep.budget.BudgetError, match="an order of unknown outcome"):
        sweep(lab, resume="free", budget={"total_minor": {"USD": 90_000}})
    assert len(fnb.load(lab.journal)) == 1
    assert len(sweep(lab, resume="free")) == 3, "and the run is free to go on without"


def test_where_nothing_may_be_ordered_nobody_is_asked_for_a_price(lab, monkeypatch):
    asked = []
    change_cart = lab._bench.client().change_cart

    async def noted(method, domain, *arguments):
        asked.append(domain)
        return await change_cart(method, domain, *arguments)

    monkeypatch.setattr(lab._bench.client(), "change_cart", noted)
    elsewhere = fnb.Order.example(domain="shop.example.com")
    recs = sweep(lab, iter([ORDER, elsewhere]), budget={"total_minor": {"USD": 90_000}})
    assert "not on the allow-list" in recs.warnings[0]
    assert set(asked) == {ORDER.domain}


def test_each_currency_has_a_budget_of_its_own(lab):
    both = [ORDER, PEN]
    only = sweep(lab, both, count=6, seed=1, budget={"total_minor": {"USD": 90_000}})
    assert set(only.orders["currency"].astype(str)) <= {"USD"}
    assert "there is no budget in JPY" in only.warnings[0]
    limits = {"USD": 90_000, "JPY": 14_000}
    recs = sweep(lab, both, count=20, seed=1, concurrency=3, budget={"total_minor": limits})
    spent = recs.orders.groupby("currency", observed=True)["total_minor"].sum()
    assert set(spent.index) == {"USD", "JPY"}
    assert all(spent[currency] <= limit for currency, limit in limits.items())
    assert "the budget of 14\u202f000 JPY has" in recs.warnings[0]


def test_an_order_whose_price_nobody_says_is_not_sent(lab):
    closed = fnb.Order.example(domain="closed.luma.gift")
    recs = sweep(lab, closed, count=9, budget={"total_minor": {"USD": 90_000}})
    assert len(recs) == 0
    assert "ErrorStoreUnavailable" in recs.warnings[0]
    assert "what the order costs is not known, and money is a limit" in recs.warnings[0]


def test_prices_that_rise_a_little_after_the_cart_was_asked_stay_within_what_was_set_aside(lab):
    candle = fnb.Order.example(
        domain="ember.example.test", items=[fnb.Item(variant_id="EC-MTC-Red")]
    )
    recs = sweep(lab, candle, count=12, concurrency=4, budget={"total_minor": {"USD": 7_000}})
    assert 4_000 < recs.orders["total_minor"].sum() <= 7_000
    assert lab.last_sweep._run.ledger.beyond() == ""


@asynccontextmanager
async def quoting(simulator):
    async with httpx.AsyncClient(trust_env=False) as http:
        client = FirmlyClient(http, simulator.url, simulator.url)
        yield Quotes(client, SecretStr(simulator.app_id))


async def items_left(quotes, domain):
    token = quotes._session.access_token
    return (await quotes.client.cart(domain, token))["line_items"]


def test_a_price_is_that_of_all_items_and_the_cart_is_emptied_afterwards(simulator, price):
    pen = fnb.Item(variant_id=ORDER.items[0].variant_id, quantity=2)
    more = fnb.Order.example(items=[*ORDER.items, pen])

    async def main():
        async with quoting(simulator) as quotes:
            assert await quotes.ask(ORDER) == (price, "USD")
            assert await items_left(quotes, ORDER.domain) == []
            thrice = await quotes.ask(more)
            assert thrice == await quotes.ask(fnb.Order.example(quantity=3))
            assert thrice[0] > 2 * price
            assert await quotes.ask(PEN) == await quotes.ask(PEN)
            assert await items_left(quotes, PEN.domain) == []

    asyncio.run(main())


def test_what_was_left_in_the_cart_does_not_count_and_a_refused_one_is_emptied(simulator, price):
    unknown = fnb.Order.example(items=[*ORDER.items, fnb.Item(variant_id="nothing")])

    async def main():
        async with quoting(simulator) as quotes:
            await quotes.ask(ORDER)
            token = quotes._session.access_token
            item = ORDER.items[0].wire()
            await quotes.client.change_cart("POST", ORDER.domain, "line-items", token, item)
            assert await quotes.ask(ORDER) == (price, "USD")
            with pytest.raises(FirmlyError, match="what the order costs is not known, and money"):
                await quotes.ask(unknown)
            assert await items_left(quotes, ORDER.domain) == []

    asyncio.run(main())


def test_prices_that_are_asked_for_at_once_are_not_mixed_up(simulator, price):
    async def main():
        async with quoting(simulator) as quotes:
            found = await asyncio.gather(*(quotes.ask(one) for one in (ORDER, PEN, ORDER, PEN)))
            assert found[0] == found[2] == (price, "USD")
            assert found[1] == found[3]
            assert found[1][1] == "JPY"

    asyncio.run(main())


@pytest.mark.parametrize(("left_s", "kept"), [(50, False), (70, True)])
def test_a_session_that_ends_within_a_minute_is_replaced(simulator, left_s, kept):
    async def main():
        async with quoting(simulator) as quotes:
            await quotes.ask(ORDER)
            before = quotes._session = replace(
                quotes._session, lifetime_s=left_s, made_ns=session_clock_ns()
            )
            await quotes.ask(ORDER)
            assert (quotes._session is before) == kept

    asyncio.run(main())


def test_a_cart_without_a_total_is_no_price(simulator, monkeypatch):
    async def main():
        async with quoting(simulator) as quotes:
            change_cart = quotes.client.change_cart

            async def without_a_total(method, domain, path, *arguments):
                cart = await change_cart(method, domain, path, *arguments)
                return {} if path == "shipping-info" else cart

            monkeypatch.setattr(quotes.client, "change_cart", without_a_total)
            with pytest.raises(FirmlyError) as caught:
                await quotes.ask(ORDER)
            assert caught.value.error == "NoTotal"
            assert caught.value.description == (
                "what the order costs is not known, and money is a limit: the cart has no "
                "readable total"
            )

    asyncio.run(main())
