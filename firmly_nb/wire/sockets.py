"""A non-blocking TCP or unix socket on asyncio, whose every read is stamped, and TLS over it.

What is left to `firmly_nb.wire.transport` is httpcore's interface and its errors; here deadlines
are times of the event loop, and errors are those of the operating system.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from typing_extensions import override

from firmly_nb.wire.stamps import (
    ArrivalLedger,
    SocketRead,
    holds_nothing,
    monotonic_ns,
    receive_stamped,
    sample_offset,
    stamp_of,
    tcp_counters,
    wall_clock_offset,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.wire.stamps import Read


BUFFER_SIZE: Final = 64 * 1024
"""As much as httpcore asks for at once."""

READS_IN_A_ROW: Final = 4
"""So many reads may find data waiting before other tasks of the event loop get their turn."""

LOOK_INTERVAL_S: Final = 0.01
LOOK_SHARE: Final = 0.01
"""Interval of a waiting read's looks at the queue: 10 ms, later a hundredth of the wait so far.

Of several segments that come close together the kernel tells when the last one came; the first came
after the last such look. Without looks that could be seconds, at the end of a long silence.
"""


class DeadlinePassedError(TimeoutError):
    """Timeout by our own deadline, unlike ETIMEDOUT."""


class Channel(Protocol):
    """Bytes in both directions: a socket, or TLS over another channel."""

    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        """Wait for bytes; return b"" after the peer has sent its last."""
        ...

    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Hand all of `data` to the network."""
        ...

    def send_now(self, data: bytes) -> None:
        """Hand over as much as needs no waiting; ignore errors."""
        ...

    def close(self) -> None:
        """Close at once, wake whoever waits; do nothing a second time."""
        ...

    def extra_info(self, name: str) -> Any:
        """Return what httpcore or the recorder asks for by name, or None."""
        ...


class SocketChannel(Channel):
    """Connected socket; stamps its reads and waits on the running event loop.

    Parameters
    ----------
    sock
        A non-blocking stream socket; it is closed with the channel.
    opened_ns
        Monotonic time before it was connected.
    stamped
        Whether `firmly_nb.wire.stamps.request_kernel_stamps` succeeded for it.
    """

    def __init__(self, sock: socket.socket, *, opened_ns: int, stamped: bool) -> None:
        self.ledger = ArrivalLedger(opened_ns, wall_clock_offset())
        self._socket = sock
        self._stamped = stamped
        self._counted = True
        # One buffer for the connection's life: a new one of 64 KiB for each small event is waste.
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._reads_in_a_row = 0
        self._next_look: asyncio.TimerHandle
        self._sending = asyncio.Lock()
        self._sent = 0  # bytes that the kernel took
        self._waiting: dict[asyncio.Future[None], Callable[[int], Any]] = {}
        self._receiving = False

    async def connect(self, address: Any, deadline: float | None) -> None:
        """Connect to `address`."""
        try:
            self._socket.connect(address)
        except (BlockingIOError, InterruptedError):
            loop = asyncio.get_running_loop()
            await self._wait(loop.add_writer, loop.remove_writer, deadline)
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, f"{os.strerror(code)}: {_shown(address)}") from None

    @override
    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        if self._receiving:
            raise OSError(errno.EBUSY, "another task is reading from this connection")
        self._receiving = True
        try:
            return await self._receive(self._buffer[:max_bytes], deadline)
        finally:
            self._receiving = False

    async def _receive(self, room: memoryview, deadline: float | None) -> bytes:
        if self._reads_in_a_row >= READS_IN_A_ROW:
            # Before the read, not after it: bytes that were read must not be lost by cancellation.
            self._reads_in_a_row = 0
            await asyncio.sleep(0)
        while True:
            asked_ns = monotonic_ns()
            try:
                size, stamp_ns, read_ns = self._read_once(room)
            except (BlockingIOError, InterruptedError):
                self.ledger.found_empty(asked_ns)
                self._reads_in_a_row = 0
                await self._wait_for_data(deadline)
                continue
            self._reads_in_a_row += 1
            if size:
                self._note(asked_ns, read_ns, stamp_ns, size, limited=size == len(room))
            return bytes(room[:size])

    def _read_once(self, room: memoryview) -> tuple[int, int | None, int]:
        if not self._stamped:
            return self._socket.recv_into(room), None, monotonic_ns()
        size, ancillary = receive_stamped(self._socket, room)
        read_ns = monotonic_ns()
        return size, stamp_of(ancillary), read_ns

    def _note(
        self, asked_ns: int, read_ns: int, stamp_ns: int | None, size: int, *, limited: bool
    ) -> None:
        offset_ns, error_ns, counted_ns = sample_offset(read_ns)
        counters = tcp_counters(self._socket) if self._counted else None
        self._counted = counters is not None
        self.ledger.record(
            SocketRead(
                asked_ns=asked_ns,
                read_ns=read_ns,
                counted_ns=counted_ns,
                offset_ns=offset_ns,
                offset_error_ns=error_ns,
                stamp_ns=stamp_ns,
                size=size,
                limited=limited,
                counters=counters,
            )
        )
        if self.ledger.disordered and holds_nothing(self._socket):
            self.ledger.settled()

    @override
    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        async with self._sending:
            while rest:
                try:
                    sent = self._socket.send(rest)
                except (BlockingIOError, InterruptedError):
                    await self._wait(loop.add_writer, loop.remove_writer, deadline)
                    continue
                rest, self._sent = rest[sent:], self._sent + sent

    @override
    def send_now(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError:
            return

    async def _wait_for_data(self, deadline: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(LOOK_INTERVAL_S, self._look, loop, loop.time())
        try:
            await self._wait(loop.add_reader, loop.remove_reader, deadline)
        finally:
            self._next_look.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        now_ns = monotonic_ns()
        if not _is_readable(self._socket):
            self.ledger.found_empty(now_ns)
            pause_s = max(LOOK_INTERVAL_S, LOOK_SHARE * (loop.time() - began))
            self._next_look = loop.call_later(pause_s, self._look, loop, began)

    async def _wait(
        self,
        watch: Callable[..., Any],
        unwatch: Callable[[int], Any],
        deadline: float | None,
    ) -> None:
        """Wait until the socket is ready; leaves nothing registered, however it ends."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise _closed_error()
        timer = None if deadline is None else loop.call_at(deadline, _expire, ready)
        watch(descriptor, _wake, ready)
        self._waiting[ready] = unwatch
        try:
            await ready
        finally:
            # close() takes its waiters off itself: by now the number may be another socket's.
            if self._waiting.pop(ready, None) is not None:
                unwatch(descriptor)
            if timer is not None:
                timer.cancel()

    @override
    def close(self) -> None:
        descriptor = self._socket.fileno()
        while self._waiting:
            ready, unwatch = self._waiting.popitem()
            unwatch(descriptor)
            if not ready.done():
                ready.set_exception(_closed_error())
        self._socket.close()

    @override
    def extra_info(self, name: str) -> Any:
        if name == "last_read":
            return self.ledger.last
        if name in {"reads", "sent"}:
            return self.ledger.count if name == "reads" else self._sent
        if name == "socket":
            return self._socket
        if name == "is_readable":
            return _is_readable(self._socket)
        if name in {"client_addr", "server_addr"}:
            return _address(self._socket, peer=name == "server_addr")
        return None


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _expire(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_exception(DeadlinePassedError("the deadline passed"))


def _shown(address: Any) -> str:
    return str(address) if isinstance(address, str) else f"{address[0]} port {address[1]}"


def _closed_error() -> OSError:
    return OSError(errno.EBADF, "the connection was closed")


def _is_readable(sock: socket.socket) -> bool:
    # A closed socket counts as readable, as in httpcore: a read would end at once.
    descriptor = sock.fileno()
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _address(sock: socket.socket, *, peer: bool) -> Any:
    try:
        return sock.getpeername() if peer else sock.getsockname()
    except OSError:
        return None


_RECORD_SIZE: Final = 16 * 1024
_HEADER_SIZE: Final = 5
_T = TypeVar("_T")


class TlsChannel(Channel):
    """Client's side of a TLS connection.

    The standard library's TLS sockets read the network themselves, without stamps. Here OpenSSL
    works on two buffers in memory, and every byte between them and the network goes through the
    channel below. That channel can be TLS itself: an HTTPS proxy on the way to an HTTPS host.

    Plaintext belongs to the socket read that completed its TLS record, which is the last one:
    records that were already whole are handed out before the network is read again.

    Parameters
    ----------
    below
        The channel that carries the encrypted bytes; it is closed with this one.
    context
        What to trust. It is used as it is.
    server_hostname
        The name that the server's certificate must carry.
    """

    def __init__(
        self, below: Channel, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=False, server_hostname=server_hostname
        )
        self._closed = False
        self._header = b""  # what has come of the next record's header
        self._missing = 0  # how much of the present record is still to come
        self._cut: Read | None = None

    async def handshake(self, deadline: float | None) -> None:
        """Agree on keys and verify the server; ssl.SSLError says what is wrong with it."""
        try:
            await self._drive(self._tls.do_handshake, deadline)
        except ssl.SSLError:
            # The alert tells the server why, which is worth a try and not a wait.
            self._below.send_now(self._outgoing.read())
            raise

    @override
    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        while True:
            plaintext = self._decrypt(max_bytes)
            if plaintext is not None:
                # Nothing may wait here, or a cancellation would lose it. What OpenSSL wants to
                # answer goes out with the next read or write.
                return plaintext
            await self._flush(deadline)
            await self._fill(deadline)

    def _decrypt(self, max_bytes: int) -> bytes | None:
        """Return the plaintext of whole records, b"" at the end, None if more bytes are needed.

        OpenSSL gives one record at a time; they are joined, because the records of one socket read
        belong together.
        """
        parts: list[bytes] = []
        room = max_bytes
        while room > 0:
            try:
                part = self._tls.read(min(room, _RECORD_SIZE))
            except ssl.SSLWantReadError:
                return b"".join(parts) if parts else None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # Also without the peer's farewell, as httpcore's own backends: HTTP has its own
                # ways to tell a whole body from a cut one.
                break
            except ssl.SSLError:
                if parts:
                    break  # what was sound is delivered; OpenSSL repeats the error at the next read
                raise
            if not part:
                break
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    @override
    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        # Pieces: a large body is not held twice.
        rest = memoryview(data)
        while rest:
            taken = await self._drive(partial(self._tls.write, rest[:BUFFER_SIZE]), deadline)
            rest = rest[taken:]

    @override
    def send_now(self, data: bytes) -> None:
        try:
            self._tls.write(data)
        except (ssl.SSLError, ValueError):
            return
        self._below.send_now(self._outgoing.read())

    @override
    def close(self) -> None:
        if not self._closed:
            self._closed = True
            # The farewell then lies in the buffer; the peer's answer to it is not awaited.
            with suppress(ssl.SSLError, ValueError):
                self._tls.unwrap()
            self._below.send_now(self._outgoing.read())
        self._below.close()

    @override
    def extra_info(self, name: str) -> Any:
        if name == "ssl_object":
            return self._tls
        if name == "last_read":
            return self._last_read()
        if name == "is_readable" and self._tls.pending():
            return True
        return self._below.extra_info(name)

    async def _drive(self, operation: Callable[[], _T], deadline: float | None) -> _T:
        """Repeat a TLS operation with more bytes from the network until it succeeds."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._flush(deadline)
                await self._fill(deadline)
            else:
                await self._flush(deadline)
                return result

    async def _flush(self, deadline: float | None) -> None:
        if self._outgoing.pending:
            await self._below.send(self._outgoing.read(), deadline)

    async def _fill(self, deadline: float | None) -> None:
        data = await self._below.receive(BUFFER_SIZE, deadline)
        if data:
            self._incoming.write(data)
            self._follow_records(data)
        else:
            self._incoming.write_eof()

    def _follow_records(self, data: bytes) -> None:
        """Keep count of where records end; OpenSSL does not say."""
        at = 0
        while at < len(data):
            if self._missing:
                step = min(self._missing, len(data) - at)
                self._missing -= step
            else:
                step = min(_HEADER_SIZE - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == _HEADER_SIZE:
                    self._missing = int.from_bytes(self._header[3:])
                    self._header = b""
            at += step

    def _last_read(self) -> Read | None:
        """Return the last socket read; if it ended within a record, as one that was not emptied.

        The plaintext then ended before the read did, and the stamp of the read's last segment is
        not that of the plaintext's last byte.
        """
        read: Read | None = self._below.extra_info("last_read")
        if read is None or not (self._missing or self._header):
            return read
        if self._cut is None or self._cut.read_no != read.read_no:
            self._cut = replace(read, emptied=False)
        return self._cut
