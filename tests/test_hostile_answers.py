"""A merchant, or whoever stands in for one, sends what it likes: nothing of it steers us."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import httpx
import pytest

import firmly_nb as fnb
from firmly_nb.attempt import EventLines
from tests.merchant_server import Merchant
from tests.servers import serving

SHOP = "shop.test"
STEERING = "\x1b[2J\x1b]0;owned\x07[bold]<b>\u202e\x00\x9b31m"


@pytest.fixture
def merchant():
    with serving(Merchant()) as server:
        yield server


@pytest.fixture
def shop(merchant, connect):
    return connect(api_url=merchant.url, app_id="a", allow_domains=[SHOP])


ODD = [
    None, 5, "x", [], [None, 5, [5]], {"products": 5, "variants": 5}, {"variants": [5, None, "x"]},
    {"variants": {"a": 1}, "variant_option_values": 5}, {"products": [{"price_range": 5}]},
    {"products": [{"price_range": {"min": 2**70, "max": "9"}, "has_available_variants": "yes"}]},
    {"products": [{"price_range": {"min": 1.5, "max": 1e400}, "title": ["x"], "domain": {}}]},
    {"variants": [{"add_to_cart_ref": 5, "price": 5, "available": "x", "variant_option_list": 5}]},
    {"variants": [{"add_to_cart_ref": {"variant_handles": 5}, "available": [1],
                   "price": {"currency": "USD", "value": 1e300, "number": 2**70}}]},
]  # fmt: skip


def test_a_catalogue_of_any_shape_is_a_table_or_an_error_with_a_name(merchant, shop):
    for odd in ODD:
        merchant.answer = odd
        calls = (lambda: shop.products(SHOP), lambda: shop.variants("h", SHOP))
        for call in (*calls, lambda: shop.search("q"), lambda: shop.cart(SHOP)):
            try:
                assert repr(call())
            except fnb.FirmlyError as error:
                assert error.error == "UnexpectedAnswer"  # noqa: PT017 - most raise nothing


def test_what_can_be_read_of_a_product_is_read(merchant, shop):
    price = {"currency": "USD", "value": 2.5}
    reference = {"variant_id": 7, "variant_handles": ["a", 5]}
    merchant.answer = {"variants": [5, {"add_to_cart_ref": reference, "price": price}]}
    (row,) = shop.variants("h", SHOP).to_dict("records")
    assert (row["variant_id"], row["variant_handles"]) == ("7", ("a", "5"))
    assert (row["price_minor"], row["currency"]) == (250, "USD")
    ranged = {"price_range": {"min": 1299.0, "max": 1450}}
    merchant.answer = {"products": [ranged]}
    found = shop.search("q")
    assert found[["min_price_minor", "max_price_minor"]].to_numpy().tolist() == [[1299, 1450]]


def test_a_catalogue_without_an_end_is_read_once(merchant, shop):
    """Whoever passes over the number of the page sends the first one for ever."""
    merchant.answer = [{"handle": "a"}] * 500
    assert len(shop.products(SHOP)) == 500


def test_nothing_that_a_merchant_sends_steers_a_terminal(merchant, shop, capsys):
    cart = {"line_items": [{"description": STEERING}], "cart_status": STEERING, "total": STEERING}
    refused = {"error": STEERING, "description": STEERING, "code": 422}
    name = STEERING.replace("\x00", "")
    for last in (("order-placed", json.dumps({"platform_order_number": STEERING})),
                 ("error", json.dumps(refused))):  # fmt: skip
        merchant.events = [(name, json.dumps({"cart": cart})), last]
        rec = shop.place(fnb.Order.example(domain=SHOP))
        lines = EventLines()
        for record in rec.records():
            lines.show(record)
        recs = fnb.Recordings([rec])
        told = (rec, rec.waterfall(), rec.error, recs, rec.checks, rec.show_changes())
        print(*told, *map(repr, told), rec.show_cart(), recs.outcomes())
        shown = capsys.readouterr().out
        assert not {"\x1b", "\x07", "\u202e", "\x00", "\x9b"} & set(shown)
        assert "[bold]" in shown


@pytest.mark.parametrize("asked", ["/browser-session", "/payment/key", "/place-order", "/cart"])
def test_nothing_is_sent_to_another_server(asked, merchant, shop, monkeypatch):
    """A 307 asks for the same request, card and token, elsewhere; a proxy would get all of them."""
    with serving(Merchant()) as other:
        for scheme in ("http", "https", "all"):
            monkeypatch.setenv(f"{scheme}_proxy", other.url)
            monkeypatch.setenv(f"{scheme.upper()}_PROXY", other.url)
        merchant.redirects, merchant.elsewhere = asked, other.url
        merchant.events = [("order-placed", '{"platform_order_number": "1"}')]
        for isolated, sse in ((True, True), (False, True), (False, False)):
            with suppress(fnb.FirmlyError):
                order = fnb.Order.example(domain=SHOP)
                shop.place(order, isolated=isolated, sse=sse, progress=False)
        with suppress(fnb.FirmlyError):
            shop.cart(SHOP)
        assert any(path.partition("?")[0].endswith(asked) for path, _ in merchant.asked)
        assert other.asked == []


def test_no_cookie_of_an_answer_is_logged(merchant, shop, caplog):
    """httpcore logs the head of each answer where debugging is on."""
    merchant.headers = {"set-cookie": "sid=planted", "x-firmly-authorization": "planted-too"}
    merchant.events = [("order-placed", '{"platform_order_number": "1"}')]
    with caplog.at_level(logging.DEBUG):
        shop.place(fnb.Order.example(domain=SHOP), isolated=False, progress=False)
        httpx.get(f"{merchant.url}/payment/key", trust_env=False)
    heads = [m for m in caplog.messages if m.startswith("receive_response_headers.complete")]
    *ours, others = heads
    assert len(ours) == 4  # a session, the key, the key again to open the connection, the order
    assert not [head for head in ours if "planted" in head or " 200, " not in head]
    assert "sid=planted" in others


def test_no_secret_of_an_event_that_is_no_json_is_kept(merchant, shop):
    """With a NaN in it, or the same field twice, an event was kept as it came."""
    merchant.events = [
        ("item-added", '{"total": NaN, "payment_handle": "planted-a", "cookies": ["planted-b"]}'),
        ("item-added", '{"access_token": "planted-c", "access_token": null}'),
        ("item-added", '{"\\u0063vv": "planted-d", "a": "\\ud800"}'),
        ("order-placed", '{"accessToken": "planted-e"' + "]" * 2000),
    ]
    for isolated in (True, False):
        rec = shop.place(fnb.Order.example(domain=SHOP), isolated=isolated, keep_raw=True)
        kept = repr(rec.records()) + rec.events.to_csv()
        kept += "".join(path.read_text() for path in shop.journal.rglob("*.jsonl"))
        assert "planted" not in kept
        assert "payment_handle" in kept
        assert rec.outcome == "placed"
