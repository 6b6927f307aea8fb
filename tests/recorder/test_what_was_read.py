"""What was read of what servers, gateways and proxies send: one row a kind."""

from __future__ import annotations

import json

import pytest

import firmly_nb as fnb
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.widgets.cart_view import CartReading
from tests.recorder.order_server import event, run

pytestmark = pytest.mark.anyio


def usd(minor):
    return {"currency": "USD", "number": minor, "value": minor / 100}


CART = {"cart_id": "c1", "cart_status": "active", "line_items": [], "total": usd(4699)}
ORDER = {**CART, "cart_status": "submitted", "platform_order_number": "T-1", "total": usd(5199)}
TEXT = json.dumps({"order": ORDER})


def placed(data):
    """Return a stream of a cart and an order, whose event has this data."""
    line = data if isinstance(data, bytes) else data.encode()
    events = [
        event("shipping-updated", {"cart": CART}),
        b"event: order-placed\ndata: %b\n\n" % line,
    ]

    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    return behave


# The data of order-placed, and why it was not read.
UNREAD = {
    "NaN": (TEXT.replace("5199", "NaN"), "NaN"),
    "infinity": (TEXT.replace("5199", "-Infinity"), "NaN"),
    "1e400": (TEXT.replace("5199", "1e400"), "1e400"),
    "half a surrogate pair": (TEXT.replace("T-1", r"\ud800"), "half a surrogate pair"),
    "broken UTF-8": (TEXT.encode().replace(b"T-1", b"T-\xff"), "not UTF-8"),
    "latin-1": (TEXT.replace("T-1", "Té1").encode("latin-1"), "not UTF-8"),
    "cut off": (TEXT[:60], "not whole JSON"),
    "cut off before any field": ('{"ord', "not whole JSON"),
    "two values": (TEXT + TEXT, "not whole JSON"),
    "single quotes": (TEXT.replace('"', "'"), "not whole JSON"),
    "a comma too many": (TEXT.replace("}}", "},}"), "not whole JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "not whole JSON"),
    "a script prefix": (")]}'," + TEXT, "not whole JSON"),
    "a page": ("<html><style>a{}</style></html>", "not whole JSON"),
    "JSON inside a text": (json.dumps(TEXT), "JSON inside a text"),
    "JSON inside a text, twice": (json.dumps(json.dumps(TEXT)), "JSON inside a text"),
    "JSON inside a field": (json.dumps({"order": TEXT}), "at order"),
    "a list": (json.dumps([{"order": ORDER}]), "a JSON list"),
    "an empty list": ("[]", "a JSON list"),
    "a list inside order": (json.dumps({"order": [ORDER]}), "at order[]"),
    "a number": ("7", "a JSON value"),
    "a truth value": ("true", "a JSON value"),
    "plain text": ("OK", "is text"),
    "camelCase": (json.dumps({"order": {"cartId": "c", "lineItems": []}}), "at order"),
    "camelCase at the top": (json.dumps({"cartId": "c", "subTotal": usd(1)}), "at the top"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREAD)
async def test_nothing_takes_the_place_of_an_order_that_was_not_read(kind):
    data, reason = UNREAD[kind]
    rec = await run(placed(data))
    order = rec.summary()
    assert (order["order_number"], order["total_minor"], order["currency"]) == (None, None, None)
    assert (rec.outcome, rec.order_exists, rec.cart) == ("placed", "unknown", None)
    assert [len(rec.snapshots), rec.snapshots["seq"].tolist()] == [1, [1]]
    assert rec.checks.not_read["seq"].tolist() == [2]
    assert rec.checks.headline().endswith("; 1 cart not read")
    assert "The cart of event 2 was not read" in repr(rec.checks)
    assert rec.checks.findings["event"].eq("shipping-updated").all()
    (warning,) = rec.warnings
    assert warning.startswith("the cart of event 2 'order-placed' was not read: its")
    assert reason in warning
    with pytest.raises(LookupError, match="The cart of event 2 was not read: its"):
        rec.show_cart()
    assert "51.99" not in repr(rec)
    assert "46.99" not in repr(rec)


# A number is read wherever it stands; the cart only where carts are.
@pytest.mark.parametrize(
    "data",
    [
        {"data": {"order": ORDER}},
        {"result": {"cart": ORDER}},
        {"data": {"data": {"data": ORDER}}},
        {"type": "order", "payload": {"platform_order_number": "T-1", "total": usd(5199)}},
    ],
)
async def test_of_another_nesting_the_number_is_read_and_the_cart_is_not(data):
    rec = await run(placed(json.dumps(data)))
    assert (rec.order_number, rec.summary()["total_minor"], rec.cart) == ("T-1", None, None)
    assert "its cart is at" in rec.warnings[0]


# Data without a cart takes nothing away from the one before it.
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("message", "[DONE]"),
        ("message", "ping"),
        ("message", "7"),
        ("message", "[]"),
        ("message", '{"done": 1, "total": 4}'),
        ("note", '{"of": {"cart_id": "c1"}, "text": "line_items are counted"}'),
        ("error", '{"error": "ErrorStoreUnavailable", "cart_status": "active"}'),
        ("error", "declined"),
        ("order-placed", "{}"),
        ("order-placed", '{"merchant_custom_data": {"cart": {"line_items": []}}}'),
    ],
)
async def test_data_without_a_cart_is_not_called_unread(name, data):
    async def behave(wire):
        await wire.stream(event("shipping-updated", {"cart": CART}), event(name, data))
        await wire.finish()

    rec = await run(behave)
    assert (rec.summary()["total_minor"], rec.cart) == (4699, CART)
    assert rec.checks.not_read.empty
    assert not [warning for warning in rec.warnings if "not read" in warning]


async def test_a_cart_after_one_that_was_not_read_is_shown_and_not_compared_across_it():
    events = [
        event("item-added", {"cart": CART}),
        event("shipping-updated", "{"),
        event("order-placed", {"order": ORDER}),
    ]

    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    rec = await run(behave)
    assert (rec.order_number, rec.summary()["total_minor"]) == ("T-1", 5199)
    assert not rec.checks.findings["check"].isin(["order-total", "lines-kept"]).any()
    with pytest.raises(LookupError, match="event 2 was not read"):
        rec.show_cart(2)


async def test_many_events_that_were_not_read_are_one_warning():
    async def behave(wire):
        await wire.stream(*[event("item-added", "{")] * 5)
        await wire.finish()

    rec = await run(behave)
    (warning,) = rec.warnings
    assert "event 1 'item-added', and of 4 events after it, was not read" in warning


@pytest.mark.parametrize("milestones", [["a", "done"], None])
async def test_a_milestone_of_ones_own_without_an_object_is_not_read(milestones):
    async def behave(wire):
        await wire.stream(event("a", {"cart": CART}), event("done", "fine"))
        await wire.finish()

    rec = await run(behave, milestones=milestones)
    assert rec.summary()["total_minor"] == (None if milestones else 4699)
    assert rec.checks.not_read["seq"].tolist() == ([2] if milestones else [])


async def test_a_saved_set_says_the_same(tmp_path):
    rec = await run(placed(TEXT[:60]))
    Recordings([rec]).save(tmp_path / "set")
    (again,) = fnb.load(tmp_path / "set")
    assert (again.cart, again.summary()["total_minor"], again.warnings) == (
        None,
        None,
        rec.warnings,
    )
    assert repr(again.checks) == repr(rec.checks)


async def test_the_view_of_carts_shows_no_other_cart_in_its_place():
    view = CartReading(await run(placed(TEXT[:60])))
    assert view.last == 2
    assert view.sheet(2) == {"seq": 2, "lines": None, "unread": "its data is not whole JSON"}
    assert "46.99" in view.text(1)
    assert "46.99" not in view.text(2) + view.html(2)
    assert "The cart was not read: its data is not whole JSON." in view.text(2)
