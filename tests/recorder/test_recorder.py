"""One order against a server of the test's own: milestones, errors, and the outcome they give."""

from __future__ import annotations

import pytest

from tests.recorder.order_server import CHUNKED, chunk, event, names, run

pytestmark = pytest.mark.anyio


REFERENCE = ["creating-cart", "item-added", "shipping-updated", "order-placed"]
GUIDE = ["order_processing", "payment_processing", "order_completed"]


@pytest.mark.parametrize("vocabulary", [REFERENCE, GUIDE])
async def test_either_vocabulary_ends_placed(vocabulary):
    async def behave(wire):
        await wire.stream(*map(event, vocabulary))
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.error, rec.warnings) == ("placed", None, [])
    assert names(rec) == vocabulary
    assert rec.stages["to_milestone"].tolist() == vocabulary
    assert rec.stages["duration_ms"].notna().all()
    order = rec.orders.iloc[0]
    assert order["time_to_order_placed_ms"] == rec.events["t_ms"].iloc[-1]
    assert order["order_latency_ms"] >= order["time_to_order_placed_ms"]
    assert order["time_to_headers_ms"] <= order["time_to_first_event_ms"]
    assert rec.stages["duration_ms"].sum() == pytest.approx(order["time_to_order_placed_ms"])


async def test_milestones_can_be_named():
    async def behave(wire):
        await wire.stream(event("begun"), event("order-placed"), event("booked"))
        await wire.finish()

    rec = await run(behave, milestones=["begun", "booked"])
    assert rec.outcome == "placed"
    assert rec.events["milestone"].astype("str").tolist()[::2] == ["begun", "booked"]
    assert rec.events["milestone"].isna().tolist() == [False, True, False]


async def test_the_last_of_named_milestones_decides():
    async def behave(wire):
        await wire.stream(event("begun"), event("order-placed"))
        await wire.finish()

    assert (await run(behave, milestones=["begun", "booked"])).outcome == "incomplete"


@pytest.mark.parametrize(
    "data",
    [
        {"code": 422, "error": "ErrorPaymentDeclined", "description": "no"},
        {"error": "ErrorPaymentDeclined", "message": "no"},
        {"error": {"error": "ErrorPaymentDeclined", "description": "no"}},
    ],
)
async def test_an_error_event_keeps_its_name(data):
    async def behave(wire):
        await wire.stream(event("creating-cart"), event("error", data))
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.error.error, rec.error.description) == (
        "error_event",
        "ErrorPaymentDeclined",
        "no",
    )
    assert rec.orders["last_milestone"].iloc[0] == "creating-cart"
    assert rec.orders["time_to_order_placed_ms"].isna().all()


async def test_an_error_after_the_order_was_placed_is_said_and_changes_nothing():
    async def behave(wire):
        await wire.stream(event("order-placed"), event("error", {"error": "Late"}))
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.error) == ("placed", None)
    assert rec.warnings == ["error event after the order was placed: Late"]


async def test_an_order_that_is_placed_after_an_error_is_placed():
    async def behave(wire):
        await wire.stream(event("error", {"error": "Early"}), event("order-placed"))
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.error) == ("placed", None)
    assert "counts as placed" in rec.warnings[0]


async def test_the_first_of_two_errors_counts():
    async def behave(wire):
        await wire.stream(event("error", {"error": "First"}), event("error", {"error": "Second"}))
        await wire.finish()

    assert (await run(behave)).error.error == "First"


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 503, 307, 204])
async def test_another_status_than_200_is_an_http_error(status):
    async def behave(wire):
        body = b"" if status == 204 else b'{"error": "TokenExpired", "description": "old"}'
        await wire.send(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    rec = await run(behave)
    assert rec.outcome == "http_error"
    assert rec.orders["http_status"].tolist() == [status]
    assert rec.error.error == ("HTTP 204" if status == 204 else "TokenExpired")
    assert len(rec.events) == 0


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/event-stream-x"])
async def test_a_body_that_is_no_event_stream_is_an_http_error(kind):
    async def behave(wire):
        body = event("order-placed")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        await wire.send(head.encode() + body)

    rec = await run(behave)
    assert (rec.outcome, rec.error.error) == ("http_error", "UnexpectedContentType")
    [warning] = rec.warnings
    assert warning == (
        f"the response was HTTP 200 with {kind}; expected was HTTP 200 with text/event-stream"
    )
    assert rec.order_exists == "unknown"


async def test_the_media_type_is_read_as_http_has_it():
    async def behave(wire):
        await wire.send("HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream ; x=y\r\n" + CHUNKED)
        await wire.send(chunk(event("order-placed")))
        await wire.finish()

    assert (await run(behave)).outcome == "placed"


async def test_a_stream_without_a_verdict_is_incomplete():
    async def behave(wire):
        await wire.stream(event("creating-cart"), b"event: order-placed\ndata: {}\n")
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.error) == ("incomplete", None)
