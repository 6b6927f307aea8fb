"""The call without events: the answer's order number is the verdict."""

from __future__ import annotations

import json

import pytest

from firmly_nb.recordings.show import verdict
from tests.recorder.order_server import event, run

pytestmark = pytest.mark.anyio


PLAIN = {"platform_order_number": "100001", "cart_status": "submitted", "cart_id": "c"}


def answer(body, kind="application/json"):
    async def behave(wire):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n\r\n"
        await wire.send(head.encode() + raw)

    return behave


async def test_the_plain_call_is_placed_when_there_is_an_order_number():
    rec = await run(answer(PLAIN), sse=False)
    assert (rec.outcome, rec.order_number, len(rec.events)) == ("placed", "100001", 0)
    order = rec.orders.iloc[0]
    assert order["time_to_order_placed_ms"] == order["order_latency_ms"]


@pytest.mark.parametrize(
    "body", [{"cart_id": "c", "notice": ["CART_ITEMS_REMOVED"]}, [], None, "text"]
)
async def test_a_plain_answer_without_an_order_number_is_incomplete(body):
    rec = await run(answer(body), sse=False)
    assert rec.outcome == "incomplete"
    assert rec.order_number is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"cart_id": "c", "notice": ["CART_ITEMS_REMOVED"]}, "notice: CART_ITEMS_REMOVED"),
        ({"cart": {"cart_id": "c", "notices": [{"code": "A", "message": "b"}]}}, "notice: A: b"),
        ({"success": False, "message": "Card declined"}, "order number: Card declined"),
        ({"error": "Boom", "message": "no luck"}, "order number: Boom: no luck"),
    ],
)
async def test_a_plain_answer_without_an_order_is_quoted(body, said):
    rec = await run(answer(body), sse=False)
    assert (rec.outcome, rec.order_exists) == ("incomplete", "unknown")
    assert said in verdict(rec)


@pytest.mark.parametrize("body", [b"", b"{", b'{"platform_order_number": "1"', b"\xff"])
async def test_a_plain_answer_that_is_no_json_is_an_http_error(body):
    rec = await run(answer(body), sse=False)
    assert (rec.outcome, rec.error.error) == ("http_error", "UnexpectedAnswer")
    assert rec.warnings == ["the answer was not what was asked for"]
    assert rec.order_exists == "unknown"


async def test_a_plain_answer_that_is_a_stream_is_read():
    rec = await run(answer(event("order-placed"), "text/event-stream"), sse=False)
    assert (rec.outcome, rec.order_exists) == ("placed", "unknown")
    assert "expected was HTTP 200 with application/json" in rec.warnings[0]


async def test_a_plain_answer_that_breaks_off_is_a_transport_error():
    async def behave(wire):
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        await wire.send(head)

    assert (await run(behave, sse=False)).outcome == "transport_error"
