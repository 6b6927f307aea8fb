"""One order against a server of the test's own: outcomes, milestones, times, and what is kept."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from firmly_nb.api.secrets import REDACTED, SecretStr
from firmly_nb.recording import recorder
from firmly_nb.recording.lanes import Lanes
from firmly_nb.recording.recorder import NOTEBOOK_GONE, Job, record
from firmly_nb.recording.recording import Recording
from firmly_nb.recording.records import End, Event, Start

pytestmark = pytest.mark.anyio

STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
TOKEN, JWE, CAPTCHA = "planted-token-1", "planted-jwe-2", "planted-captcha-3"
START = Start(
    recording_id="r1",
    started_at_ns=0,
    environment="custom",
    domain="shop.test",
    items=[{"variant_id": "a", "quantity": 1}],
    sse=True,
    connection="cold",
    timeout_s=5.0,
)


def event(name, data=None):
    text = data if isinstance(data, str) else json.dumps({} if data is None else data)
    return f"event: {name}\ndata: {text}\n\n".encode()


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Wire:
    """The server's side of one connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())
        await self.writer.drain()

    async def stream(self, *events):
        """Begin an event stream and send events, each in a segment of its own."""
        await self.send(STREAM + CHUNKED)
        for one in events:
            await self.send(chunk(one))
            await asyncio.sleep(0.002)

    async def finish(self):
        await self.send("0\r\n\r\n")

    async def gone(self):
        """Wait until the client has gone."""
        while await self.reader.read(1000):
            pass

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def serving(behave):
    """Serve one behaviour to every order; yield the URL."""
    errors = []

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"payment/key" in head:
                body = b'{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k"}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            await behave(Wire(reader, writer))
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001 - raised in the test's own task
            errors.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
    assert not errors


def job(**changes):
    keys = {key: changes.pop(key) for key in ("keep_raw", "max_event_bytes") if key in changes}
    body = {"encrypted_card": JWE, "captcha_token": CAPTCHA}
    return Job(replace(START, **changes), body, SecretStr(TOKEN), **keys)


async def run(behave, *, warm=False, on_record=None, **changes):
    """Record one order; return the recording."""
    records = []

    def emit(item):
        records.append(item)
        if on_record:
            on_record(item)

    async with serving(behave) as url:
        lanes = Lanes(url)
        try:
            async with lanes.take(warm=warm) as lane:
                end = await record(job(**changes), lane, emit)
        finally:
            await lanes.aclose()
    assert records[0].recording_id == "r1"
    assert records[-1] is end
    assert [r.seq for r in records[1:-1]] == list(range(1, len(records) - 1))
    return Recording(records)


def names(rec):
    return rec.events["event"].astype("str").tolist()


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


@pytest.mark.parametrize("kind", ["text/html", "application/json", "", "text/event-stream-x"])
async def test_a_body_that_is_no_event_stream_is_an_http_error(kind):
    async def behave(wire):
        body = event("order-placed")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        await wire.send(head.encode() + body)

    rec = await run(behave)
    assert (rec.outcome, rec.error.error) == ("http_error", "UnexpectedContentType")
    assert rec.warnings == ["the answer was not what was asked for; the order may exist"]


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
    assert names(rec) == ["creating-cart"]


async def test_a_reset_is_a_transport_error_with_what_came_before():
    async def behave(wire):
        await wire.stream(event("creating-cart"), event("item-added"))
        await asyncio.sleep(0.05)
        wire.reset()

    rec = await run(behave)
    assert rec.outcome == "transport_error"
    assert names(rec) == ["creating-cart", "item-added"]


async def test_a_reset_after_the_order_was_placed_changes_nothing():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await asyncio.sleep(0.05)
        wire.reset()

    assert (await run(behave)).outcome == "placed"


async def test_a_host_that_is_not_there_is_a_transport_error(unused_port):
    records = []
    lanes = Lanes(f"http://127.0.0.1:{unused_port}")
    async with lanes.take(warm=True) as lane:
        end = await record(job(), lane, records.append)
    assert (end.outcome, end.error_code) == ("transport_error", "ConnectError")
    assert [type(item) for item in records] == [Start, End]
    await lanes.aclose()


@pytest.mark.parametrize("first", [None, "creating-cart"])
async def test_silence_is_a_timeout(first):
    async def behave(wire):
        if first:
            await wire.stream(event(first))
        await wire.gone()

    rec = await run(behave, timeout_s=0.2)
    assert (rec.outcome, rec.error.error) == ("timeout", "Timeout")
    assert rec.orders["order_latency_ms"].iloc[0] >= 200
    assert names(rec) == ([first] if first else [])


async def test_heartbeats_do_not_put_off_the_limit():
    async def behave(wire):
        await wire.stream()
        while not wire.writer.is_closing():
            await wire.send(chunk(b": still here\n\n"))
            await asyncio.sleep(0.01)

    rec = await run(behave, timeout_s=0.3)
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


async def test_the_grace_does_not_put_off_the_limit():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.gone()

    rec = await run(behave, timeout_s=0.3)
    assert rec.outcome == "placed"
    assert rec.orders["order_latency_ms"].iloc[0] < 1_000


async def test_an_event_that_is_too_big_ends_the_recording():
    async def behave(wire):
        await wire.stream(event("creating-cart"), event("item-added", "x" * 5_000))
        await wire.gone()

    rec = await run(behave, max_event_bytes=1_000)
    assert rec.outcome == "transport_error"
    assert "1000" in rec.error.description.replace(",", "").replace("\u202f", "")
    assert names(rec) == ["creating-cart"]


async def test_what_came_whole_in_the_same_read_as_something_too_big_is_kept():
    # Two HTTP chunks in one write: the second one's event breaks the limit before it is whole, and
    # the first one's event used to be lost with it.
    async def behave(wire):
        unfinished = b"data: " + b"x" * 5_000
        await wire.stream(event("creating-cart"))
        await wire.send(chunk(event("item-added")) + chunk(unfinished))
        await wire.gone()

    rec = await run(behave, max_event_bytes=1_000)
    assert rec.outcome == "transport_error"
    assert names(rec) == ["creating-cart", "item-added"]


async def cancelled(last, reason=None):
    seen = asyncio.Event()
    records = []

    def emit(item):
        records.append(item)
        if isinstance(item, Event) and item.event == last:
            seen.set()

    async def behave(wire):
        await wire.stream(event("creating-cart"), event("order-placed"))
        await wire.gone()

    async with serving(behave) as url:
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
    assert "cancelled by the analyst; the order may exist" in rec._end.error_description


async def test_an_order_that_was_placed_before_it_was_cancelled_is_placed():
    assert (await cancelled("order-placed")).outcome == "placed"


async def test_a_notebook_that_died_is_told_from_an_analyst_who_cancelled():
    rec = await cancelled("creating-cart", NOTEBOOK_GONE)
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


async def test_where_the_start_cannot_be_told_nothing_is_sent():
    asked = []

    async def behave(wire):
        asked.append(wire)

    def refuse(item):
        raise OSError("disk full")

    async with serving(behave) as url:
        lanes = Lanes(url)
        with pytest.raises(OSError, match="disk full"):
            async with lanes.take(warm=False) as lane:
                await record(job(), lane, refuse)
    assert not asked


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


@pytest.mark.parametrize("body", [b"", b"{", b'{"platform_order_number": "1"', b"\xff"])
async def test_a_plain_answer_that_is_no_json_is_an_http_error(body):
    rec = await run(answer(body), sse=False)
    assert (rec.outcome, rec.error.error) == ("http_error", "UnexpectedAnswer")
    assert rec.warnings == ["the answer was not what was asked for; the order may exist"]


async def test_a_plain_answer_that_is_a_stream_is_an_http_error():
    rec = await run(answer(event("order-placed"), "text/event-stream"), sse=False)
    assert (rec.outcome, rec.error.error) == ("http_error", "UnexpectedContentType")


async def test_a_plain_answer_that_breaks_off_is_a_transport_error():
    async def behave(wire):
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        await wire.send(head)

    assert (await run(behave, sse=False)).outcome == "transport_error"


async def test_what_the_stream_repeats_of_the_request_is_taken_out():
    everything = f"{TOKEN} {JWE} {CAPTCHA}"
    cart = {"cart_id": "c", "note": everything, everything: 1, "payment_handle": "secret-handle"}

    async def behave(wire):
        await wire.stream(
            f"id: {TOKEN}\nevent: {JWE}\ndata: {json.dumps({'cart': cart})}\n\n".encode(),
            event("message", f"no json {everything}"),
            event("error", {"error": TOKEN, "description": everything}),
        )
        await wire.finish()

    rec = await run(behave, keep_raw=True)
    shown = f"{rec.records()!r} {rec!r} {rec._repr_html_()} {rec.events.to_csv()} {rec.error!r}"
    for secret in (TOKEN, JWE, CAPTCHA, "secret-handle"):
        assert secret not in shown
    assert rec.events["data"].iloc[0]["cart"]["payment_handle"] == REDACTED


@pytest.mark.parametrize("status", [200, 400])
async def test_an_error_answer_that_repeats_the_request_is_cleaned(status):
    async def behave(wire):
        body = json.dumps({"error": f"Bad-{TOKEN}", "description": JWE}).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/{CAPTCHA}\r\nContent-Length: {len(body)}"
        await wire.send(f"{head}\r\n\r\n".encode() + body)

    rec = await run(behave)
    assert rec.outcome == "http_error"
    for secret in (TOKEN, JWE, CAPTCHA):
        assert secret not in f"{rec.records()!r}{rec!r}{rec.error}"


async def test_raw_is_the_exact_text_when_asked_for():
    exact = '{ "a" :  1.50 }'

    async def behave(wire):
        await wire.stream(event("item-added", exact), event("order-placed"))
        await wire.finish()

    assert (await run(behave, keep_raw=True)).events["raw"].tolist() == [exact, "{}"]
    assert (await run(behave)).events["raw"].isna().all()


async def test_a_cold_order_measures_its_connection():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.finish()

    order = (await run(behave)).orders.iloc[0]
    assert order["connection"] == "cold"
    assert order["connecting_ms"] > 0
    phases = ["blocked_ms", "connecting_ms", "sending_ms", "waiting_ms"]
    assert (order[phases].astype(float) >= 0).all()
    assert order[phases].sum() <= order["time_to_headers_ms"] + 0.5


async def test_a_warm_order_has_its_connection_before():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.finish()

    order = (await run(behave, warm=True, connection="warm")).orders.iloc[0]
    assert order["connection"] == "warm"
    assert order[["connecting_ms", "tls_ms"]].isna().all()
    assert order[["blocked_ms", "sending_ms", "waiting_ms"]].notna().all()


async def test_events_that_came_with_one_read_are_marked():
    async def once(wire):
        await wire.stream()
        await asyncio.sleep(0.02)
        await wire.send(chunk(event("creating-cart")))
        await asyncio.sleep(0.05)
        await wire.send(chunk(event("item-added") + event("item-added") + event("order-placed")))
        await wire.finish()

    events = (await run(once)).events
    assert events["coalesced"].tolist() == [False, False, True, True]
    assert events["read_no"].is_monotonic_increasing
    assert events["gap_ms"].iloc[2:].tolist() == [0.0, 0.0]
    assert (events["uncertainty_us"] > 0).all()


async def test_the_request_carries_no_secret_in_its_repr():
    assert "planted" not in repr(job())
