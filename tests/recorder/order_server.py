"""A server of the test's own for one order, and what the recorder makes of it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from firmly_nb.api.secrets import SecretStr
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.recorder import record
from firmly_nb.recorder.records import Event, Start
from firmly_nb.recorder.worker import Lanes
from firmly_nb.recordings.recording import Recording

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
    timeout_s=60.0,  # a busy machine is no end
)


def event(name, data=None):
    text = data if isinstance(data, str) else json.dumps({} if data is None else data)
    return f"event: {name}\ndata: {text}\n\n".encode()


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Wire:
    """The server's side of one connection, and the records that the order has given out so far."""

    def __init__(self, reader, writer, records):
        self.reader, self.writer, self.records = reader, writer, records

    async def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())
        await self.writer.drain()

    async def stream(self, *events):
        """Begin an event stream and send events, each in a segment of its own."""
        await self.send(STREAM + CHUNKED)
        for one in events:
            await self.send(chunk(one))

    async def told(self, count):
        """Wait until so many events were recorded: what comes then comes with another read."""
        while sum(isinstance(item, Event) for item in self.records) < count:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.001)

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
async def serving(behave, records):
    """Serve one behaviour to every order, whose records go to a list; yield the URL."""
    errors, handlers = [], []

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"payment/key" in head:
                body = b'{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k"}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            await behave(Wire(reader, writer, records))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it may, also before it asked for anything
        except asyncio.CancelledError:
            writer.transport.abort()  # nobody reads what may still wait to be sent
            raise
        except Exception as error:  # noqa: BLE001 - raised in the test's own task
            errors.append(error)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def begin(reader, writer):
        handlers.append(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        # Nothing outlives the test, where what it leaves open would be another test's warning. A
        # server that is closed between two steps of accepting a connection forgets it: so it
        # accepts none any more, takes those steps, and is closed then.
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
    assert not errors


def job(**changes):
    known = ("keep_raw", "exact_bytes", "max_event_bytes", "max_stream_bytes", "max_events")
    known += ("deadline_ns",)
    keys = {key: changes.pop(key) for key in known if key in changes}
    body = {"encrypted_card": JWE, "captcha_token": CAPTCHA}
    return Job(replace(START, **changes), body, SecretStr(TOKEN), **keys)


async def run(behave, *, warm=False, on_record=None, **changes):
    """Record one order; return the recording."""
    records = []

    def emit(item):
        records.append(item)
        if on_record:
            on_record(item)

    async with serving(behave, records) as url:
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
