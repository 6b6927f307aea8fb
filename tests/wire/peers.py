"""Both ends of a stamped connection: what the client does with it, and peers that answer."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from firmly_nb.wire.stamps import Read

if TYPE_CHECKING:
    from firmly_nb.wire.transport import StampingStream


async def connected(backend, port, client_tls=None, host="127.0.0.1") -> StampingStream:
    stream = await backend.connect_tcp(host, port, timeout=60)
    return stream if client_tls is None else await stream.start_tls(client_tls, host, 60)


async def drained(stream) -> bytes:
    parts = []
    while part := await stream.read(65536, timeout=60):
        parts.append(part)
    return b"".join(parts)


def last(stream) -> Read:
    read = stream.get_extra_info("last_read")
    assert isinstance(read, Read)
    return read


async def begun(coroutine) -> asyncio.Task:
    """Start a task and let it come as far as it can without the network."""
    task = asyncio.create_task(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


def wait_until_queued(sock: socket.socket, size: int) -> None:
    """Block, as a busy notebook would, until the kernel holds `size` bytes for the socket."""
    queued = 0
    while queued < size:
        select.select([sock], [], [])
        queued = len(sock.recv(size, socket.MSG_PEEK))


def request_head(peer: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        if not byte:
            raise ConnectionError(f"the client left after {head!r}")
        head += byte
    return head


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers each request on a connection with its own head, and keeps the heads."""

    def __init__(self, requests: int = 1) -> None:
        self.heads: list[bytes] = []
        self.requests = requests

    def __call__(self, peer: socket.socket) -> None:
        for _ in range(self.requests):
            self.heads.append(request_head(peer))
            peer.sendall(answer(self.heads[-1]))


class EventSender:
    """Sends 200 bytes at a time on request, and notes the time before and after."""

    def __init__(self, total: int = 1) -> None:
        self.go = threading.Semaphore(0)
        self.sent_ns: list[tuple[int, int]] = []
        self.total = total

    def __call__(self, peer: socket.socket) -> None:
        while len(self.sent_ns) < self.total and self.go.acquire(timeout=60):
            before_ns = time.perf_counter_ns()
            peer.sendall(b"e" * 200)
            self.sent_ns.append((before_ns, time.perf_counter_ns()))
