"""The same bytes give the same cart and the same amount in every table, the catalogue and budgets.

A merchant on this machine sends them over HTTP, as bytes.
"""

from __future__ import annotations

import json

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.background import follow, submit
from firmly_nb.sweep.budget import Quotes
from firmly_nb.sweep.run import amount_of, row_of
from tests.merchant_server import Merchant
from tests.odd_amounts import AMOUNTS
from tests.servers import serving

SHOP = "shop.test"
ORDER = fnb.Order.example(domain=SHOP)
NOTHING = (None, None)


@pytest.fixture(scope="module")
def merchant():
    with serving(Merchant()) as server:
        yield server


@pytest.fixture(scope="module")
def shop(merchant):
    with fnb.connect(api_url=merchant.url, app_id="a", allow_domains=[SHOP]) as lab:
        yield lab


def cart(amount, **more):
    """A cart, as bytes, in which every amount is the same."""
    line = f'{{"sku":"A","quantity":1,"line_price":{amount}}}'
    shipment = f'{{"shipment_id":"s","shipping_method":{{"id":"m","price":{amount}}}}}'
    fields = "".join(f',"{name}":{json.dumps(value)}' for name, value in more.items())
    return (
        f'{{"cart_id":"c","line_items":[{line}],"shipments":[{shipment}],"total":{amount},'
        f'"coupons":[{{"code":"TEN","amount":{amount}}}]{fields}}}'
    )


def placed(shop, merchant, *data, **options):
    names = ["item-added"] * (len(data) - 1) + ["order-placed"]
    merchant.events = list(zip(names, data, strict=True))
    return shop.place(ORDER, progress=False, isolated=False, **options)


def quoted(shop, merchant, answer):
    """What a budget of money takes the order to cost; None where it is not sent."""
    merchant.answer = answer
    quotes = Quotes(shop._bench.client(), shop._bench.app_id)
    try:
        return follow(submit(quotes.ask, ORDER))
    except fnb.FirmlyError as error:
        assert error.error == "NoTotal"  # noqa: PT017 - most raise nothing
        return None


def rows(table, minor):
    """Each row's amount and currency, nulls as None."""
    pairs = table[[minor, "currency"]].astype(object)
    return list(pairs.where(pairs.notna(), None).itertuples(index=False, name=None))


@pytest.mark.parametrize(("amount", "read"), AMOUNTS.items())
def test_an_amount_is_the_same_everywhere(shop, merchant, amount, read):
    expected = read or NOTHING
    rec = placed(shop, merchant, f'{{"cart":{cart(amount)}}}', f'{{"order":{cart(amount)}}}')
    assert rows(rec.orders, "total_minor") == [expected]
    assert rows(rec.events, "total_minor") == [expected] * 2
    assert rows(rec.snapshots, "total_minor") == [expected] * 2
    assert rows(rec.line_items, "line_price_minor") == [expected] * 2
    assert rows(rec.shipments, "method_price_minor") == [expected] * 2
    assert rows(rec.discounts, "amount_minor") == [expected] * 2
    assert amount_of(row_of(rec.records())) == read
    assert quoted(shop, merchant, cart(amount)) == read
    merchant.answer = f'{{"variants":[{{"price":{amount}}}]}}'
    assert rows(shop.variants("h", SHOP), "price_minor") == [expected]


@pytest.mark.parametrize("amount", [a for a in AMOUNTS if a.startswith('{"currency":"USD"')])
def test_checks_say_which_amounts_contradict_themselves(shop, merchant, amount):
    sent = json.loads(amount)
    rec = placed(shop, merchant, f'{{"order":{cart(amount)}}}')
    findings = rec.checks.findings
    told = set(findings.loc[findings["path"] == "total", "check"])
    said = [sent.get("number"), sent.get("value")]
    if AMOUNTS[amount]:
        assert told == ({"not-negative"} if AMOUNTS[amount][0] < 0 else set())
    elif None not in said:
        assert told == {"number-agrees-with-value"}
    else:
        assert told == {"required-fields"}


GOOD = '{"currency":"USD","value":46.99}'
USD = (4699, "USD")
CARTS = {
    f'{{"order":{cart(GOOD)}}}': ("c", USD, None),
    f'{{"cart":{cart(GOOD)}}}': ("c", USD, None),
    cart(GOOD): ("c", USD, None),
    f'{{"order":{{}},"cart":{cart(GOOD)}}}': ("c", USD, None),
    f'{{"order":{{"step":2}},"cart":{cart(GOOD)}}}': ("c", USD, None),
    f'{{"order":[1],"cart":{cart(GOOD)}}}': ("c", USD, None),
    f'{{"order":{cart(GOOD)},"platform_order_number":7}}': ("c", USD, "7"),
    f'{{"order":{{"platform_order_number":"7"}},"cart":{cart(GOOD)}}}': ("c", USD, "7"),
    cart(GOOD, platform_order_number="7"): ("c", USD, "7"),
    cart(GOOD, platform_order_number=""): ("c", USD, None),
    cart(GOOD, platform_order_number=True): ("c", USD, None),
    cart(GOOD, cart_id=["c"]): (None, USD, None),
    cart(GOOD, cart_id=5): ("5", USD, None),
    f'{{"platform_order_number":"7","total":{GOOD}}}': (None, USD, "7"),
    f'{{"done":1,"total":{GOOD}}}': None,
    f'{{"data":{{"cart":{cart(GOOD)}}}}}': None,
    f'{{"merchant_custom_data":{{"cart":{cart(GOOD)}}}}}': None,
}


@pytest.mark.parametrize(("data", "read"), CARTS.items())
def test_a_cart_is_the_same_everywhere(shop, merchant, data, read):
    cart_id, total, number = read or (None, None, None)
    rec = placed(shop, merchant, data)
    assert rec.order_number == number
    assert _value(rec.orders["order_number"]) == number
    assert (rec.cart is None) == (read is None)
    assert rows(rec.orders, "total_minor") == rows(rec.events, "total_minor") == [total or NOTHING]
    assert _value(rec.events["cart_id"]) == cart_id
    if read is None:
        assert rec.snapshots.empty
        with pytest.raises(LookupError):
            rec.show_cart()
    else:
        assert _value(rec.snapshots["cart_id"]) == cart_id
        assert _value(rec.snapshots["order_number"]) == number
        assert rows(rec.snapshots, "total_minor") == [total]
        assert str(rec.show_cart()) == str(rec.show_cart(1))
    assert quoted(shop, merchant, data) == total


@pytest.mark.parametrize(("data", "read"), CARTS.items())
def test_the_answer_of_an_order_without_events_is_read_like_an_event(shop, merchant, data, read):
    merchant.answer = data
    rec = shop.place(ORDER, progress=False, isolated=False, sse=False)
    cart_id, total, number = read or (None, None, None)
    assert rec.outcome == ("placed" if number else "incomplete")
    assert rec.order_number == number
    assert rows(rec.orders, "total_minor") == [total or NOTHING]
    assert len(rec.snapshots) == (read is not None)
    if read:
        row = rec.snapshots.iloc[0]
        assert row["kind"] == ("order" if number or data.startswith('{"order":{"cart') else "cart")
        assert (_value(rec.snapshots["cart_id"]), _value(rec.snapshots["order_number"])) == (
            cart_id,
            number,
        )


def test_an_error_that_names_its_cart_hides_no_cart(shop, merchant):
    """The total of an order was lost when the error named the cart: its data was taken for one."""
    merchant.events = [
        ("item-added", f'{{"cart":{cart(GOOD)}}}'),
        ("error", '{"error":"ErrorPaymentDeclined","cart_id":"c"}'),
    ]
    rec = shop.place(ORDER, progress=False, isolated=False)
    assert rows(rec.orders, "total_minor") == [USD]
    assert rec.snapshots["seq"].tolist() == [1]


def test_an_order_number_is_not_lost_in_what_follows_it(shop, merchant):
    merchant.events = [
        ("order-placed", f'{{"order":{cart(GOOD, platform_order_number="7")}}}'),
        ("shipping-updated", f'{{"cart":{cart(GOOD)}}}'),
    ]
    assert shop.place(ORDER, progress=False, isolated=False).order_number == "7"


def test_prices_of_a_search_are_whole_minor_units_or_null(shop, merchant):
    sent = [1299, 1299.0, "1299", -1, 12.99, True, None, [1299], 2**63, "12.99"]
    merchant.answer = {"products": [{"price_range": {"min": each, "max": 1}} for each in sent]}
    found = shop.search("q")["min_price_minor"]
    assert found.fillna(0).tolist() == [1299, 1299, 1299, -1, 0, 0, 0, 0, 0, 0]


def _value(column):
    value = column.iloc[0]
    return None if pd.isna(value) else value
