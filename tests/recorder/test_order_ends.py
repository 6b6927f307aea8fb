"""Orders that end otherwise: silence, limits, broken connections, cancelling."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import replace

import pandas as pd
import pytest

from firmly_nb.display.text import duration
from firmly_nb.recorder import recorder
from firmly_nb.recorder.recorder import NOTEBOOK_GONE, record
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recorder.worker import Lanes
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.recordings.show import recordings_html, verdict
from tests.recorder.order_server import TOKEN, chunk, event, job, names, run, serving

pytestmark = pytest.mark.anyio


async def test_a_reset_is_a_transport_error_with_what_came_before():
    async def behave(wire):
        await wire.stream(event("creating-cart"), event("item-added"))
        await wire.told(2)  # a reset takes with it what was not read yet
        wire.reset()

    rec = await run(behave)
    assert rec.outcome == "transport_error"
    assert names(rec) == ["creating-cart", "item-added"]


async def test_a_reset_after_the_order_was_placed_changes_nothing():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.told(1)
        wire.reset()

    assert (await run(behave)).outcome == "placed"


async def test_a_host_that_is_not_there_is_a_transport_error(unused_port):
    records = []
    lanes = Lanes(f"http://127.0.0.1:{unused_port}")
    async with lanes.take(warm=True) as lane:
        end = await record(job(), lane, records.append)
    assert (end.outcome, end.error_code) == ("transport_error", "ConnectionRefused")
    assert [type(item) for item in records] == [Start, End]
    await lanes.aclose()


@pytest.mark.parametrize(("first", "limit_s"), [(None, 0.2), ("creating-cart", 3.0)])
async def test_silence_is_a_timeout(first, limit_s):
    async def behave(wire):
        if first:
            await wire.stream(event(first))
        await wire.gone()

    rec = await run(behave, timeout_s=limit_s)
    assert (rec.outcome, rec.error.error) == ("timeout", "Timeout")
    assert rec.orders["order_latency_ms"].iloc[0] >= limit_s * 1000
    assert names(rec) == ([first] if first else [])


async def test_heartbeats_do_not_put_off_the_limit():
    async def behave(wire):
        heartbeat = chunk(b": still here\n\n")
        await wire.stream()
        await wire.send(heartbeat * 6)
        while not wire.writer.is_closing():
            await wire.send(heartbeat)
            await asyncio.sleep(0.01)

    rec = await run(behave, timeout_s=2.0)
    assert rec.outcome == "timeout"
    assert len(rec.comments_ms) > 5
    assert rec.comments_ms == sorted(rec.comments_ms)
    assert len(rec.events) == 0


@pytest.mark.parametrize(
    ("last", "outcome"), [("order-placed", "placed"), ("error", "error_event")]
)
async def test_a_server_that_leaves_the_stream_open_is_not_waited_for(monkeypatch, last, outcome):
    monkeypatch.setattr(recorder, "CLOSE_GRACE_S", 0.1)

    async def behave(wire):
        await wire.stream(event(last))
        await wire.gone()

    rec = await run(behave, timeout_s=60.0)
    assert rec.outcome == outcome
    assert rec.warnings == ["the server left the stream open after the last event"]


CONTENT = {"platform_order_number": "T-1", "cart_status": "submitted"}
LEFT_OPEN = {
    "placed": (("order-placed", CONTENT), "placed", 60.0),
    "an error": (("error", {"error": "ErrorPaymentDeclined"}), "error_event", 60.0),
    "placed, by content": (("all-done", CONTENT), "placed", 3.0),
    "an error, by content": (("no-luck", {"error": "ErrorPaymentDeclined"}), "error_event", 3.0),
}


@pytest.mark.parametrize("kind", LEFT_OPEN)
async def test_the_recorders_own_waiting_is_in_no_figure(monkeypatch, kind):
    monkeypatch.setattr(recorder, "CLOSE_GRACE_S", 0.3)
    told, outcome, limit_s = LEFT_OPEN[kind]

    async def behave(wire):
        await wire.stream(event("creating-cart"), event(*told))
        await wire.gone()

    rec = await run(behave, timeout_s=limit_s, schedule_lag_ns=1_000_000)
    row, told_ms = rec.orders.iloc[0], rec.events["t_ms"].iloc[-1]
    assert (rec.outcome, bool(row["stream_left_open"])) == (outcome, True)
    assert pd.isna(row["order_latency_ms"])
    assert pd.isna(row["scheduled_order_latency_ms"])
    kind_of_time = "time_to_order_placed_ms" if outcome == "placed" else "time_to_failure_ms"
    assert row[kind_of_time] == told_ms
    assert rec.warnings[-1] == "the server left the stream open after the last event"
    shown = duration(told_ms)
    assert shown in verdict(rec)
    recs = Recordings([rec])
    waited = duration(rec._end.t_end_ns / 1e6)
    assert shown in recordings_html(recs)
    assert not any(waited in text for text in (verdict(rec), recordings_html(recs), repr(rec)))


async def test_a_stream_that_the_server_closes_has_a_latency():
    async def behave(wire):
        await wire.stream(event("order-placed", CONTENT))
        await wire.told(1)
        await wire.finish()

    row = (await run(behave)).orders.iloc[0]
    assert not row["stream_left_open"]
    assert row["order_latency_ms"] > row["time_to_order_placed_ms"]
    assert pd.isna(row["time_to_failure_ms"])


async def test_an_end_of_our_own_before_the_order_s_end_is_a_limit():
    async def behave(wire):
        await wire.stream(event("creating-cart"))
        await wire.gone()

    row = (await run(behave, timeout_s=0.5)).orders.iloc[0]
    assert not row["stream_left_open"]
    assert row["order_latency_ms"] == row["time_to_failure_ms"] >= 500


async def test_the_grace_does_not_put_off_the_limit(monkeypatch):
    monkeypatch.setattr(recorder, "CLOSE_GRACE_S", 60.0)

    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.gone()

    rec = await run(behave, timeout_s=3.0)
    assert rec.outcome == "placed"
    assert rec._end.t_end_ns < recorder.CLOSE_GRACE_S * 1e9


async def cancelled(*sent, reason=None):
    """Cancel an order once the last of the events that the server sends was recorded."""
    seen = asyncio.Event()
    records = []

    def emit(item):
        records.append(item)
        if isinstance(item, Event) and item.event == sent[-1]:
            seen.set()

    async def behave(wire):
        await wire.stream(*map(event, sent))
        await wire.gone()

    async with serving(behave, records) as url:
        lanes = Lanes(url)
        async with lanes.take(warm=False) as lane:
            task = asyncio.create_task(record(job(), lane, emit))
            await seen.wait()
            task.cancel(*[reason] if reason else [])
            with pytest.raises(asyncio.CancelledError):
                await task
    return Recording(records)


async def test_cancelling_leaves_a_recording_that_says_so():
    rec = await cancelled("creating-cart")
    assert rec.outcome == "cancelled"
    assert not rec.cut_off
    assert rec._end.error_description == "cancelled by the analyst"
    assert (rec.order_exists, rec.evidence) == ("unknown", "cancelled after sending began")


async def test_an_order_that_was_placed_before_it_was_cancelled_is_placed():
    rec = await cancelled("creating-cart", "order-placed")
    assert rec.outcome == "placed"
    assert rec.orders["stream_left_open"].tolist() == [True]
    assert rec.orders["order_latency_ms"].isna().all()
    assert rec.warnings == []


async def test_a_notebook_that_died_is_told_from_an_analyst_who_cancelled():
    rec = await cancelled("creating-cart", reason=NOTEBOOK_GONE)
    assert rec.outcome == "cancelled"
    assert "analyst" not in rec._end.error_description
    assert rec.warnings == ["the recording was cut off: the notebook's process ended"]


async def test_an_error_of_our_own_still_leaves_an_end():
    """A bug in whoever is told once left the order without an end, and everyone waiting."""

    async def behave(wire):
        await wire.stream(event("creating-cart"), event("order-placed"))
        await wire.gone()

    def stumble(item):
        if isinstance(item, Event):
            raise KeyError(TOKEN)

    rec = await run(behave, on_record=stumble)
    assert (rec.outcome, rec.error.error) == ("transport_error", "KeyError")
    assert "the recorder failed" in rec.warnings[0]
    assert TOKEN not in str(rec._end)


async def test_where_the_connection_was_reset_before_the_request_nothing_was_sent():
    """A forwarded port with nobody behind it: the connection is there, and gone at once."""
    records, reset = [], threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def behave():
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert begun.wait(60)
        peer.close()
        reset.set()

    begun = threading.Event()

    class WhileItIsReset:
        """What an order's lease is asked right before its request, in the place of a lease."""

        def check(self):
            if records:
                begun.set()
                assert reset.wait(60)

    server = threading.Thread(target=behave)
    server.start()
    lanes = Lanes(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        async with lanes.take(warm=False) as lane:
            await record(replace(job(), lease=WhileItIsReset()), lane, records.append)
    finally:
        server.join()
        listener.close()
        await lanes.aclose()
    rec = Recording(records)
    assert (rec.outcome, rec.order_exists) == ("transport_error", "no")
    assert rec.evidence == "nothing was sent"


async def test_a_response_that_was_meant_for_another_request_is_not_taken_for_the_order():
    """What a gateway says to a connection that was idle comes as the key is asked for."""
    asked = []

    def response(status, body):
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nContent-Length: "
        return f"{head}{len(body)}\r\n\r\n".encode() + body

    key = response("200 OK", b'{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k"}')
    order = response("200 OK", event("order-placed", {"order": {"platform_order_number": "T-1"}}))
    stale = response("408 Request Timeout", b"")

    async def handle(reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append("key" if b"payment/key" in head else "order")
                size = re.search(rb"(?i)content-length: ([0-9]+)", head)
                await reader.readexactly(int(size[1]) if size else 0)
                answer = key if asked[-1] == "key" else order
                writer.write(stale + answer if asked == ["key", "order", "key"] else answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    lanes = Lanes(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        for _ in range(2):
            records = []
            async with lanes.take(warm=True) as lane:
                await record(job(connection="warm"), lane, records.append)
            assert Recording(records).order_number == "T-1"
        await lanes.aclose()
    assert asked == ["key", "order"] * 2


async def test_where_the_start_cannot_be_told_nothing_is_sent():
    asked = []

    async def behave(wire):
        asked.append(wire)

    def refuse(item):
        raise OSError("disk full")

    async with serving(behave, []) as url:
        lanes = Lanes(url)
        with pytest.raises(OSError, match="disk full"):
            async with lanes.take(warm=False) as lane:
                await record(job(), lane, refuse)
    assert not asked
