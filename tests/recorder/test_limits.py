"""Limits of an order: the time that somebody waits, how much is kept, and what is said of it."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb.api.errors import FirmlyError
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.process import RecorderError
from firmly_nb.recorder.recorder import MAX_COMMENTS, record
from firmly_nb.recorder.worker import Lanes, record_over
from firmly_nb.recordings.recording import Recording
from firmly_nb.wire.stamps import monotonic_ns
from tests import merchant_server, servers
from tests.recorder.order_server import chunk, event, job, names, run, serving

pytestmark = pytest.mark.anyio
ORDER = fnb.Order.example()


@contextmanager
def black_hole():
    """Take connections and never say a word; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def accept():
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


@contextmanager
def limits_of_requests_do_not_help(monkeypatch):
    """Make the limits of single requests so long that only the order's own can end it."""
    import httpx

    for name in ("SESSION_TIMEOUT", "KEY_TIMEOUT"):
        monkeypatch.setattr(f"firmly_nb.api.client.{name}", httpx.Timeout(600.0))
    yield


def test_a_session_that_never_comes_ends_with_the_order_s_time(connect, monkeypatch):
    with limits_of_requests_do_not_help(monkeypatch), black_hole() as url:
        lab = connect(api_url=url, app_id="app", allow_domains=[ORDER.domain])
        with pytest.raises(FirmlyError, match="no session and key within timeout_s=") as caught:
            lab.place(ORDER, progress=False, timeout_s=0.3)
        lab.close()
    assert caught.value.error == "Timeout"
    assert lab.last is None


async def test_a_warm_connection_that_never_comes_ends_with_the_order_s_time(tmp_path, monkeypatch):
    """The key that a warm connection begins with was waited for before the time began."""
    told = []
    with limits_of_requests_do_not_help(monkeypatch), black_hole() as url:
        lanes = Lanes(url)
        waits = job(connection="warm", deadline_ns=monotonic_ns() + 300_000_000)
        await record_over(lanes, Journal(tmp_path), waits, told.append)
        await lanes.aclose()
    rec = Recording(told)
    assert (rec.outcome, rec.error.error, rec.order_exists) == ("timeout", "Timeout", "no")
    [twin] = fnb.load(tmp_path)
    assert twin.outcome == "timeout"


async def test_an_order_whose_time_is_over_is_not_sent():
    async def behave(wire):
        raise AssertionError("it was sent")

    told = []
    async with serving(behave, told) as url:
        lanes = Lanes(url)
        over = job(deadline_ns=monotonic_ns())
        async with lanes.take(warm=False) as lane:
            end = await record(over, lane, told.append)
        await lanes.aclose()
    assert (end.outcome, end.sent) == ("timeout", False)
    assert Recording(told).order_exists == "no"


async def test_a_flood_that_does_not_end_is_ended_by_the_limit():
    """One read after another brings thousands of events; working on them looks at the clock."""

    async def behave(wire):
        await wire.stream()
        flood = chunk(b"data:1\n\n" * 8_000)
        while not wire.writer.is_closing():
            await wire.send(flood)

    rec = await run(behave, timeout_s=2.0)
    assert (rec.outcome, rec.order_exists) == ("timeout", "unknown")


def test_a_recorder_that_starts_too_slowly_costs_no_more_than_the_order_s_time(
    lab, tmp_path, monkeypatch
):
    lab.public_key()
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nread never\n")
    slow.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(slow))
        with pytest.raises(RecorderError, match="had not started when timeout_s was over"):
            lab.place(ORDER, progress=False, timeout_s=2.0)


NUMBER = {"order": {"platform_order_number": "T-1", "cart_status": "submitted"}}
BEGUN = [event("creating-cart"), event("item-added"), event("shipping-updated")]
PLACED = event("order-placed", NUMBER)
DECLINED = event("error", {"error": "ErrorPaymentDeclined", "description": "no funds"})
LARGE = 5_000


def streamed(*events):
    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    return behave


def large(name, **data):
    return event(name, {"before": "x" * LARGE, **data, "after": "y" * LARGE})


# What comes under which limits: the outcome, the order's number, what is kept, what is said.
PAST_A_LIMIT = {
    "more events than max_events": (
        [*BEGUN, PLACED], {"max_events": 1}, "placed", "T-1",
        ["creating-cart", "order-placed"], "dropped 2 events beyond max_events=1"),
    "a flood before the success": (
        [event("tick", 1) * 3_000, PLACED], {"max_events": 10}, "placed", "T-1",
        ["tick"] * 10 + ["order-placed"], "dropped 2,990 events beyond max_events=10"),
    "a flood after the success": (
        [PLACED, event("tick", 1) * 3_000], {"max_events": 10}, "placed", "T-1",
        ["order-placed"] + ["tick"] * 9, "dropped 2,991 events beyond max_events=10"),
    "a flood before the error": (
        [event("tick", 1) * 3_000, DECLINED], {"max_events": 10}, "error_event", None,
        ["tick"] * 10 + ["error"], "dropped 2,990 events"),
    "a flood before a success that content tells": (
        [event("tick", 1) * 300, event("done", NUMBER)], {"max_events": 10}, "placed", "T-1",
        ["tick"] * 10 + ["done"], "dropped 290 events"),
    "a flood of successes": (
        [PLACED * 300], {"max_events": 10}, "placed", "T-1",
        ["order-placed"] * 30, "dropped 270 events"),
    "a flood without an end": (
        [event("tick", 1) * 300], {"max_events": 10}, "incomplete", None,
        ["tick"] * 10, "dropped 290 events"),
    "more bytes than max_stream_bytes": (
        [event("creating-cart"), large("item-added"), event("tick"), PLACED],
        {"max_stream_bytes": 1_000}, "placed", "T-1",
        ["creating-cart", "order-placed"], "dropped 2 events beyond max_stream_bytes=1000"),
    "a large event on the way": (
        [event("creating-cart"), large("item-added"), PLACED], {"max_event_bytes": 1_000},
        "placed", "T-1", ["creating-cart", "item-added", "order-placed"],
        "dropped the data of 1 event above max_event_bytes=1000"),
    "a large event with the order's number": (
        [*BEGUN, large("order-placed", **NUMBER)], {"max_event_bytes": 1_000}, "placed", "T-1",
        ["creating-cart", "item-added", "shipping-updated", "order-placed"], "the data of 1 event"),
    "a large event of an unknown name with the order's number": (
        [large("done", platform_order_number=7001)], {"max_event_bytes": 1_000}, "placed", "7001",
        ["done"], "the data of 1 event"),
    "a large event in many lines, its name last": (
        [b"data: " + b"\ndata: ".join([b"1"] * LARGE) + b"\nevent: order-placed\n\n"],
        {"max_event_bytes": 1_000}, "placed", None, ["order-placed"], "the data of 1 event"),
    "a large event, its lines ended by CRLF": (
        [large("item-added").replace(b"\n", b"\r\n"), PLACED.replace(b"\n", b"\r\n")],
        {"max_event_bytes": 1_000}, "placed", "T-1", ["item-added", "order-placed"],
        "the data of 1 event"),
    "a large field that is no data": (
        [b"note: " + b"x" * LARGE + b"\n\n", PLACED], {"max_event_bytes": 1_000}, "placed", "T-1",
        ["message", "order-placed"], "the data of 1 event"),
    "a large error event": (
        [large("error", error="ErrorPaymentDeclined")], {"max_event_bytes": 1_000}, "error_event",
        None, ["error"], "the data of 1 event"),
    "many large events": (
        [large("item-added") * 50, PLACED], {"max_event_bytes": 1_000}, "placed", "T-1",
        ["item-added"] * 50 + ["order-placed"], "the data of 50 events"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PAST_A_LIMIT)
async def test_past_a_limit_the_stream_is_read_for_its_end(kind):
    events, limits, outcome, number, kept, said = PAST_A_LIMIT[kind]
    rec = await run(streamed(*events), timeout_s=60.0, **limits)
    assert (rec.outcome, rec.order_number) == (outcome, number)
    assert names(rec) == kept
    assert said in " ".join(rec.warnings).replace("\u202f", ",")
    [name] = limits
    assert f"pass {name}= to place()" in " ".join(rec.warnings)


async def test_a_large_event_keeps_its_time_and_its_size():
    events = [event("creating-cart"), large("item-added"), PLACED]
    rec = await run(streamed(*events), max_event_bytes=1_000, keep_raw=True)
    whole = len(large("item-added")) - len(b"event: item-added\ndata: \n\n")
    # What stands around the data in its block may be counted with it.
    assert whole <= rec._events[1].size <= len(large("item-added"))
    assert (rec._events[1].data, rec._events[1].raw) == (None, "")
    assert rec.events["t_ms"].is_monotonic_increasing


async def test_a_large_event_that_never_ends_is_told():
    async def behave(wire):
        await wire.stream(event("creating-cart"), b"event: item-added\ndata: " + b"x" * LARGE)
        await wire.finish()

    rec = await run(behave, max_event_bytes=1_000)
    assert rec.outcome == "incomplete"
    assert rec._end.unfinished_bytes > LARGE


async def test_a_confirmation_that_is_cut_keeps_the_order_s_number():
    text = json.dumps({"platform_order_number": "T-1", "items": "x" * LARGE})

    async def behave(wire):
        await wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}")

    rec = await run(behave, sse=False, max_event_bytes=1_000)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert "the answer's body was cut at max_event_bytes=1000 bytes" in rec.warnings


# JSON of many small values, and what goes before the order's number in it.
COSTLY = {
    "empty lists": "[]," * 200_000,
    "empty objects": "{}," * 200_000,
    "small objects": '{"a": 12},' * 100_000,
    "small numbers": "1," * 1_000_000,
    "lists in lists": "[[[[[[]]]]]]," * 60_000,
}


@pytest.mark.parametrize("kind", COSTLY)
async def test_json_that_takes_many_times_its_text_is_not_decoded(kind):
    number = json.dumps(NUMBER["order"])
    data = f'{{"items": [{COSTLY[kind]}0], {number[1:]}'.encode()
    rec = await run(streamed(b"event: order-placed\ndata: " + data + b"\n\n"), timeout_s=60.0)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert "dropped the data of 1 event: its JSON has more values" in " ".join(rec.warnings)
    assert rec._events[0].size == len(data)

    async def behave(wire):
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))

    rec = await run(behave, timeout_s=60.0, sse=False)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert "dropped the body of the answer: its JSON has more values" in " ".join(rec.warnings)


async def test_a_large_cart_is_decoded():
    price = {"currency": "USD", "symbol": "$", "number": 1299, "value": 12.99}
    line = {"line_item_id": "line", "sku": "WS12", "description": "A tee", "quantity": 1}
    lines = [{**line, "price": price, "total": price}] * 8_000
    rec = await run(
        streamed(event("order-placed", {"order": {**NUMBER["order"], "line_items": lines}}))
    )
    assert len(rec._events[0].data["order"]["line_items"]) == 8_000


@pytest.mark.parametrize("name", ["max_event_bytes", "max_stream_bytes", "max_events"])
def test_a_limit_that_a_message_names_can_be_set_where_it_says(lab, name):
    limit = {name: 1}
    rec = lab.place(ORDER, progress=False, **limit)
    assert (rec.outcome, bool(rec.order_number)) == ("placed", True)
    assert any(f"pass {name}= to place()" in warning for warning in rec.warnings)
    [swept] = lab.sweep(ORDER, count=1, progress=False, **limit)
    assert any(f"pass {name}= to place()" in warning for warning in swept.warnings)
    for wrong in (0, -1, 1.5, True, "8", 2**60):
        with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 to .*FNB605"):
            lab.start(ORDER, **{name: wrong})


async def test_headers_without_an_end_end_the_order():
    async def behave(wire):
        await wire.send("HTTP/1.1 200 OK\r\n")
        while not wire.writer.is_closing():
            await wire.send("x-more: and more\r\n" * 1_000)

    rec = await run(behave, timeout_s=60.0)
    assert (rec.outcome, rec.order_exists) == ("transport_error", "unknown")


async def test_of_heartbeats_without_an_end_so_many_are_kept():
    async def behave(wire):
        await wire.stream()
        await wire.send(chunk(b":\n" * (MAX_COMMENTS + 1_000)))
        await wire.send(chunk(PLACED))
        await wire.finish()

    rec = await run(behave, timeout_s=60.0)
    assert (rec.outcome, len(rec.comments_ms)) == ("placed", MAX_COMMENTS)


# By what comes before the success: events and their data.
FLOODS = {
    "tiny events": [("tick", "1")] * 100_000,
    "an event of 9 MB": [("item-added", json.dumps("x" * 9_000_000))],
    "an event of costly JSON": [("item-added", "[" + "[]," * 650_000 + "0]")],
    "an event of 30 MB": [("item-added", json.dumps("x" * 30_000_000))],
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", FLOODS)
def test_the_recorder_stays_below_200_mb(connect, kind):
    with servers.serving(merchant_server.Merchant()) as server:
        server.events = [*FLOODS[kind], ("order-placed", json.dumps(NUMBER))]
        lab = connect(api_url=server.url, app_id="app", allow_domains=[ORDER.domain])
        rec = lab.place(ORDER, progress=False, max_event_bytes=32 * 1024 * 1024)
        status = Path(f"/proc/{lab._bench.worker().pid}/status").read_text()
        lab.close()
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert int(status.split("VmHWM:")[1].split()[0]) < 200_000
