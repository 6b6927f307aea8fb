"""A non-blocking TCP or unix socket on asyncio, whose every read is stamped.

What is left to `firmly_nb.recording.network` is httpcore's interface and its errors; here deadlines
are times of the event loop, and errors are those of the operating system.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from firmly_nb.recording.arrivals import (
    ArrivalLedger,
    SocketRead,
    monotonic_ns,
    sample_offset,
    wall_clock_offset,
)
from firmly_nb.recording.kernel import holds_nothing, receive_stamped, stamp_of, tcp_counters

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "DeadlinePassedError", "SocketChannel"]

BUFFER_SIZE: Final = 64 * 1024
"""As much as httpcore asks for at once."""

READS_IN_A_ROW: Final = 4
"""So many reads may find data waiting before other tasks of the event loop get their turn."""

LOOK_INTERVAL_S: Final = 0.01
LOOK_SHARE: Final = 0.01
"""How often a waiting read looks whether the queue is still empty: each 10 ms, later each time that
another hundredth of the wait has passed.

Of several segments that come close together the kernel tells when the last one came; the first came
after the last such look. Without looks that could be seconds, at the end of a long silence.
"""


class DeadlinePassedError(TimeoutError):
    """The deadline of an operation passed; unlike ETIMEDOUT, it was ours."""


class Channel(Protocol):
    """Bytes in both directions: a socket, or TLS over another channel."""

    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        """Wait for bytes; none means that the peer has sent its last."""
        ...

    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Hand all of `data` to the network."""
        ...

    def send_now(self, data: bytes) -> None:
        """Hand over what can be handed over without waiting; errors do not matter."""
        ...

    def close(self) -> None:
        """Close at once; a second time does nothing."""
        ...

    def extra_info(self, name: str) -> Any:
        """Return what httpcore or the recorder asks for by name, or None."""
        ...


class SocketChannel:
    """A connected socket; stamps its reads and waits on the running event loop.

    Parameters
    ----------
    sock
        A non-blocking stream socket; it is closed with the channel.
    opened_ns
        Monotonic time before it was connected.
    stamped
        Whether `firmly_nb.recording.kernel.request_kernel_stamps` succeeded for it.
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

    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        """Read what there is, or wait until there is something."""
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

    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Hand all of `data` to the kernel."""
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        async with self._sending:
            while rest:
                try:
                    sent = self._socket.send(rest)
                except (BlockingIOError, InterruptedError):
                    await self._wait(loop.add_writer, loop.remove_writer, deadline)
                    continue
                rest = rest[sent:]

    def send_now(self, data: bytes) -> None:
        """Send as far as the kernel takes it at once."""
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

    def close(self) -> None:
        """Close the socket and wake whoever waits for it."""
        descriptor = self._socket.fileno()
        while self._waiting:
            ready, unwatch = self._waiting.popitem()
            unwatch(descriptor)
            if not ready.done():
                ready.set_exception(_closed_error())
        self._socket.close()

    def extra_info(self, name: str) -> Any:
        """Return what is known under `name`, or None."""
        if name == "last_read":
            return self.ledger.last
        if name == "reads":
            return self.ledger.count
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
