"""The HTTP connection: it notes the time of each write, can break off, and has limited patience.

uvicorn's own protocol class, with a transport that notes the time of each write. What a client
sends that is not HTTP gets a response in the API's form, and so does a request whose head does not
arrive in time.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import h11
import orjson
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


TLS_BEGIN, HTTP2_BEGIN = b"\x16\x03", b"PRI * HTTP/2.0"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


# What uvicorn would warn of is said by `send_400_response`; its errors are logged.
logging.getLogger("uvicorn.error").addFilter(lambda record: record.levelno != logging.WARNING)


async def until_gone(receive: Receive) -> None:
    """Wait until the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class StampedTransport:
    """A transport that notes the time of the last write and passes everything on.

    Attributes
    ----------
    wall_ns, mono_ns
        Clocks before the last write.
    received_ns
        Monotonic clock at the first byte of the present request.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.wall_ns = 0
        self.mono_ns = 0
        self.received_ns = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, with the time taken immediately before."""
        self.wall_ns = time.time_ns()
        self.mono_ns = time.monotonic_ns()
        self._transport.write(data)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        if self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        linger = struct.pack("ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()


class SimProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with times of writes; the transport is ``scope["wire"]``.

    Attributes
    ----------
    patience_s
        Limit for the head of a request, from its first byte on.
    """

    patience_s = 10.0
    _begin = b""  # of the connection

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP
        wire = StampedTransport(transport)
        app: Any = self.app

        async def with_wire(scope: Scope, receive: Receive, send: Send) -> None:
            scope["wire"] = wire
            await app(scope, receive, send)

        self.app = with_wire
        self._wire = wire
        self._impatience: asyncio.TimerHandle | None = None
        super().connection_made(wire)  # type: ignore[arg-type]  # it does what one does

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._wire.received_ns = time.monotonic_ns()
        self._begin = self._begin or data[: len(HTTP2_BEGIN)]
        # A head that has begun must be complete in time.
        super().data_received(data)
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not begun:
            self._stop_clock()
        elif self._impatience is None:
            self._impatience = self.loop.call_later(self.patience_s, self._give_up)

    def _stop_clock(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _give_up(self) -> None:
        self._refuse(408, "Request Timeout", "the request did not arrive in time")

    @override
    def send_400_response(self, msg: str) -> None:
        del msg  # uvicorn's words are not the API's
        if self._begin.startswith(TLS_BEGIN):
            said = "the client spoke TLS to a port of plain HTTP: use http://, or sim --tls"
        elif self._begin == HTTP2_BEGIN:
            said = "the client spoke HTTP/2, and the simulator speaks HTTP/1.1"
        else:
            said = "this is not an HTTP/1.1 request"
        sys.stderr.write(f"firmly-nb sim: {said}\n")
        sys.stderr.flush()
        self._refuse(400, "Bad Request", said)

    def _refuse(self, status: int, phrase: str, description: str) -> None:
        """Answer without the application, if nothing has been answered yet, and hang up."""
        body = {"code": status, "error": "ErrorInvalidInputBody", "description": description}
        payload = orjson.dumps(body)
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        )
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(head.encode() + payload)
        self.transport.close()
