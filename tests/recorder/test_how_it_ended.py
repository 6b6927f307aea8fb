"""How an order ended, for what servers, gateways and proxies answer: one row a kind."""

from __future__ import annotations

import json

import pytest

from tests.recorder.order_server import CHUNKED, chunk, event, run

pytestmark = pytest.mark.anyio

NUMBER = {"platform_order_number": "T-1", "cart_status": "submitted"}
DECLINED = {"code": 422, "error": "ErrorPaymentDeclined", "description": "no funds"}
WHOLE = [("creating-cart", {}), ("order-placed", {"order": NUMBER})]


def stream(events, status="200 OK", kind="text/event-stream"):
    async def behave(wire):
        await wire.send(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{CHUNKED}")
        for name, data in events:
            await wire.send(chunk(event(name, data)))
        await wire.finish()

    return behave


def body(content, status="200 OK", kind="application/json"):
    text = content if isinstance(content, str) else json.dumps(content)

    async def behave(wire):
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
        await wire.send(head + text)

    return behave


# What came, how it ended, whether there is an order, its number, the error's name, what is said.
ROWS = {
    "201 with a whole stream": (
        stream(WHOLE, "201 Created"), "placed", "yes", "T-1", None, "HTTP 201"),
    "202 with a whole stream": (
        stream(WHOLE, "202 Accepted"), "placed", "yes", "T-1", None, "HTTP 202"),
    "206 with a whole stream": (
        stream(WHOLE, "206 Partial"), "placed", "yes", "T-1", None, "HTTP 206"),
    "201 with a confirmation": (
        body(NUMBER, "201 Created"), "placed", "yes", "T-1", None,
        "HTTP 201 with application/json"),
    "200 with a confirmation": (
        body({"order": NUMBER}), "placed", "yes", "T-1", None,
        "expected was HTTP 200 with text/event"),
    "200 with a confirmation that is called text": (
        body(NUMBER, kind="text/plain"), "placed", "yes", "T-1", None, "text/plain"),
    "200 with a listed error as JSON": (
        body(DECLINED), "http_error", "no", None, "ErrorPaymentDeclined", "application/json"),
    "200 with a cart as JSON": (
        body({"cart_id": "c", "cart_status": "active"}), "http_error", "unknown", None,
        "UnexpectedContentType", "application/json"),
    "200 with a page": (
        body("<html>hello</html>", kind="text/html"), "http_error", "unknown", None,
        "UnexpectedContentType", "text/html"),
    "422 as a stream with an error event": (
        stream([("error", DECLINED)], "422 No"), "http_error", "no", None, "ErrorPaymentDeclined",
        ""),
    "400 as a stream without an error event": (
        stream([("note", {})], "400 No"), "http_error", "no", None, "HTTP 400", ""),
    "502 as a stream with an error event": (
        stream([("error", {"error": "BadGateway"})], "502 No"), "http_error", "unknown", None,
        "BadGateway", ""),
    "500 as a stream with a listed error": (
        stream([("error", DECLINED)], "500 No"), "http_error", "no", None, "ErrorPaymentDeclined",
        ""),
    "400 as a stream with an order number": (
        stream(WHOLE, "400 No"), "http_error", "yes", "T-1", "HTTP 400", ""),
    "events of unknown names with an order number": (
        stream([("cart-created", {}), ("line-added", {}), ("order_placed", NUMBER)]),
        "placed", "yes", "T-1", None,
        "milestones=['cart-created', 'line-added', 'order_placed']"),
    "an event without a name with an order number": (
        stream([("message", {"order": NUMBER})]), "placed", "yes", "T-1", None, "'message'"),
    "an unknown name with a number of an active cart": (
        stream([("cart", {"cart": {**NUMBER, "cart_status": "active"}})]), "incomplete", "yes",
        "T-1",
        None, ""),
    "an unknown name with a listed error": (
        stream([("creating-cart", {}), ("order-failed", DECLINED)]), "error_event", "no", None,
        "ErrorPaymentDeclined", "'order-failed'"),
    "an unknown name with an error of no list": (
        stream([("note", {"error": "of our own"})]), "incomplete", "unknown", None, None, ""),
    "a listed error under an unknown name, then placed": (
        stream([("warning", DECLINED), *WHOLE]), "placed", "yes", "T-1", None, ""),
    "an order number under an unknown name, then placed": (
        stream([("payment", NUMBER), *WHOLE]), "placed", "yes", "T-1", None, ""),
    "an order number under an unknown name, then an error event": (
        stream([("payment", NUMBER), ("error", DECLINED)]), "error_event", "yes", "T-1",
        "ErrorPaymentDeclined", ""),
    "placed twice with one number": (
        stream([*WHOLE, WHOLE[-1]]), "placed", "yes", "T-1", None, "came 2 times"),
    "placed twice with two numbers": (
        stream([*WHOLE, ("order-placed", {"platform_order_number": "T-2"})]), "placed", "yes",
        "T-1",
        None, "2 orders may exist: T-1 and T-2"),
    "placed three times with three numbers": (
        stream([("order-placed", {"platform_order_number": f"T-{n}"}) for n in (1, 2, 3)]),
        "placed", "yes", "T-1", None, "3 orders may exist: T-1 and T-2 and T-3"),
    "placed without a number": (
        stream([("order-placed", {"cart_status": "active"})]), "placed", "unknown", None, None, ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
async def test_how_it_ended(kind):
    behave, outcome, exists, number, error, said = ROWS[kind]
    rec = await run(behave)
    assert (rec.outcome, rec.order_exists, rec.order_number) == (outcome, exists, number)
    assert (rec.error and rec.error.error) == error
    assert said in " ".join(rec.warnings)
    assert bool(said) == bool(rec.warnings)


SECOND = {**NUMBER, "platform_order_number": "T-2"}
ORDERS_OF_ONE_STREAM = {
    "two numbers": ([WHOLE[-1], ("order-placed", SECOND)], ["2 orders: T-1 and T-2."]),
    "two numbers, each twice": (
        [WHOLE[-1], WHOLE[-1], ("order-placed", SECOND), ("order-placed", SECOND), WHOLE[-1]],
        ["2 orders: T-1 and T-2."]),
    "three numbers": (
        [WHOLE[-1], ("order-placed", SECOND), ("order-placed", {"platform_order_number": 3})],
        ["2 orders: T-1 and T-2.", "3 orders: T-1 and T-2 and 3."]),
    "two numbers of both vocabularies": (
        [WHOLE[-1], ("order_completed", {"order": SECOND})],
        ["2 orders: T-1 and T-2."]),
    "a number under an unknown name, then another": (
        [("receipt", NUMBER), ("order-placed", {"cart": SECOND})],
        ["2 orders: T-1 and T-2."]),
    "the order before, and this one": ([("creating-cart", SECOND), WHOLE[-1]], []),
    "an active cart with a number, and this one": (
        [("cart", {"cart": {**SECOND, "cart_status": "active"}}), WHOLE[-1]], []),
    "one number twice": ([WHOLE[-1], WHOLE[-1]], []),
    "a number and none": ([WHOLE[-1], ("order-placed", {"cart_status": "submitted"})], []),
}  # fmt: skip


@pytest.mark.parametrize("kind", ORDERS_OF_ONE_STREAM)
async def test_two_orders_in_one_stream_are_a_finding(kind):
    events, said = ORDERS_OF_ONE_STREAM[kind]
    rec = await run(stream(events))
    found = rec.checks.findings
    found = found[found["check"] == "one-order"]
    counting = f"{rec.order_number} and T-"
    assert any(counting in words for words in rec.warnings) == bool(said)
    assert found["sentence"].tolist() == said
    assert (found["severity"] == "error").all()
    assert rec.order_number == ("T-2" if "unknown name" in kind else "T-1")


async def test_the_time_of_the_first_success_counts():
    async def behave(wire):
        await wire.stream(event("order-placed", NUMBER))
        await wire.told(1)
        await wire.send(chunk(event("order-placed", NUMBER)))
        await wire.finish()

    rec = await run(behave)
    first, second = rec.events["t_ms"]
    assert rec.orders["time_to_order_placed_ms"].iloc[0] == first < second


async def test_a_success_by_content_has_its_time():
    rec = await run(stream([("a", {}), ("b", NUMBER), ("c", {})]))
    assert rec.orders["time_to_order_placed_ms"].iloc[0] == rec.events["t_ms"].iloc[1]


async def test_milestones_that_are_given_name_the_success():
    start = {"milestones": ["cart-created", "order_placed"]}
    rec = await run(stream([("cart-created", {}), ("order_placed", NUMBER)]), **start)
    assert (rec.outcome, rec.order_number, rec.warnings) == ("placed", "T-1", [])


async def test_a_stream_that_was_asked_for_as_json_is_read():
    rec = await run(stream(WHOLE), sse=False)
    assert (rec.outcome, rec.order_number, len(rec.events)) == ("placed", "T-1", 2)
    assert "expected was HTTP 200 with application/json" in rec.warnings[0]
