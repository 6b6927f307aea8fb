"""The HTTP connection underneath: stamps each write, can break off, and waits for nobody for ever.

uvicorn's own protocol class, with a transport that notes the time of each write. What a client
sends that is no HTTP gets an answer in the API's form, and so does a request whose head does not
arrive in time.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_TIMEOUT_S = 10.0
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class StampedTransport:
    """Passes everything on to a transport, and notes when the last write was made."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.wall_ns = 0
        self.mono_ns = 0

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
    """uvicorn's HTTP/1.1 with stamps; the application finds the transport in ``scope["wire"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the stamping transport in front, and start the clock for the request's head."""
        wire = StampedTransport(transport)
        app: Any = self.app

        async def with_wire(scope: Scope, receive: Receive, send: Send) -> None:
            scope["wire"] = wire
            await app(scope, receive, send)

        self.app = with_wire
        super().connection_made(wire)  # type: ignore[arg-type]
        self._impatience = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._impatience.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        cycle: Any = self.cycle  # None until the first head is complete, whatever its annotation
        if cycle is None and not self.transport.is_closing():
            self._refuse(408, "Request Timeout", "the request did not arrive in time")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer what is no HTTP."""
        self._refuse(400, "Bad Request", "this is no HTTP/1.1 request")

    def _refuse(self, status: int, phrase: str, description: str) -> None:
        body = {"code": status, "error": "ErrorInvalidInputBody", "description": description}
        payload = orjson.dumps(body)
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + payload)
        self.transport.close()
