"""Arrival times of bytes, and their uncertainty.

One `Read` describes one read of a socket. The kernel stamps segments, not bytes, and hands over
only the stamp of the last segment of a read; what can be said about the bytes before it follows
from what is known about the receive queue. `ArrivalLedger` keeps that knowledge for a connection.
It does arithmetic only. The functions that ask the kernel stand below it, and
`firmly_nb.wire.sockets` calls them.

"Arrived" means: received by the kernel and readable in order. A segment that came ahead of a lost
one counts from the moment at which the gap was closed.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

# On Linux and macOS perf_counter is the monotonic clock, the same one in every process; on Windows
# it is the one that ticks finer than 15 ms.
monotonic_ns = time.perf_counter_ns

CLOCK_RESOLUTION_NS: Final = 1_000
"""No kernel stamp is claimed to be better than this."""

QUEUEING_SLACK_NS: Final = 1_000_000
"""Longest time of a stamped segment inside the kernel before a read can see it.

The stamp is taken when a segment enters the network stack, and the queue is filled a little later:
a queue that was seen empty can be followed by a segment whose stamp is older than that look.
"""

_WALL_RESOLUTION_NS: Final = max(1, round(time.get_clock_info("time").resolution * 1e9))
_OFFSET_TRIES: Final = 3
_GOOD_BRACKET_NS: Final = 2_000
_COUNTER_MASK: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Read:
    """Read of a socket: the arrival time of its bytes, and the bounds of that time.

    Every byte of the read arrived in [`earliest_ns`, `arrived_ns`], up to `wall_offset_error_ns`.
    With TLS the sizes and times are those of the encrypted bytes; plaintext belongs to the read
    that completed its TLS record, since nothing of a record can be used before its last byte.

    Attributes
    ----------
    read_no
        Number of this read on its connection, from 1. Reads that brought no bytes do not count.
    arrived_ns
        Monotonic clock; arrival of the last segment of this read. With ``clock="user"`` the moment
        right after the read.
    earliest_ns
        Monotonic clock; no byte of this read arrived before it.
    read_ns
        Monotonic clock; the moment at which the bytes were ours.
    clock
        ``"kernel"``: the kernel's receive stamp. ``"user"``: the time after the read, because there
        was no stamp, the wall clock was stepped, or segments had come out of order.
    wall_offset_ns
        Wall clock minus monotonic clock, sampled right after this read.
    wall_offset_error_ns
        How far off that difference can be.
    size
        Number of bytes read.
    segments
        How many TCP segments brought these bytes, or None: the system does not say, or more bytes
        came while they were counted.
    rtt_us
        The kernel's smoothed round-trip time of the connection, or None. It changes only when the
        peer acknowledges what we sent.
    retransmits
        Segments that we sent again on this connection so far, or None: not counted. The peer's are
        not among them: the receiving side cannot tell that a segment was sent twice.
    reordered
        Segments that came ahead of an earlier one on this connection so far, or None: not counted.
        The earlier one was lost or overtaken, which the counter cannot tell. A segment that was
        lost with nothing sent after it leaves no trace on the receiving side.
    emptied
        Whether the read took everything that had arrived by `arrived_ns`; only then did its last
        byte come with the stamped segment. With TLS also: whether the read ended with a record.
    """

    read_no: int
    arrived_ns: int
    earliest_ns: int
    read_ns: int
    clock: Literal["kernel", "user"]
    wall_offset_ns: int
    wall_offset_error_ns: int
    size: int
    segments: int | None
    rtt_us: int | None
    retransmits: int | None
    reordered: int | None
    emptied: bool


class TcpCounters(NamedTuple):
    """TCP_INFO of a connection; counters cover its whole life."""

    rtt_us: int
    retransmitted: int
    bytes_received: int
    segments_received: int
    out_of_order: int


class SocketRead(NamedTuple):
    """Result of the system calls of one successful read.

    `asked_ns` is the moment before the read, `read_ns` the moment after it, `counted_ns` one before
    `counters` were taken. `limited` says that the read filled all the room it had.
    """

    asked_ns: int
    read_ns: int
    counted_ns: int
    offset_ns: int
    offset_error_ns: int
    stamp_ns: int | None
    size: int
    limited: bool
    counters: TcpCounters | None


def wall_clock_offset() -> tuple[int, int]:
    """Sample how far the wall clock is ahead of the monotonic clock.

    Returns
    -------
    tuple of int
        The offset and its greatest error, both in nanoseconds: ``monotonic + offset = wall``.

    Examples
    --------
    >>> offset_ns, error_ns = wall_clock_offset()
    >>> abs(monotonic_ns() + offset_ns - time.time_ns()) < 60_000_000_000
    True
    """
    return sample_offset(monotonic_ns())[:2]


def sample_offset(before_ns: int) -> tuple[int, int, int]:
    """Sample the wall clock between two monotonic samples, the first of which was just taken.

    Returns the offset, its error, and a monotonic time after the sampling. A sample during which
    the process lost its processor is repeated, and the best one is kept.
    """
    best_offset_ns, best_width_ns = 0, -1
    for _ in range(_OFFSET_TRIES):
        wall_ns = time.time_ns()
        after_ns = monotonic_ns()
        width_ns = after_ns - before_ns
        if best_width_ns < 0 or width_ns < best_width_ns:
            best_offset_ns, best_width_ns = wall_ns - (before_ns + after_ns) // 2, width_ns
        before_ns = after_ns
        if best_width_ns <= _GOOD_BRACKET_NS:
            break
    return best_offset_ns, best_width_ns // 2 + _WALL_RESOLUTION_NS, before_ns


def event_uncertainty_us(read: Read, *, last_in_read: bool) -> float:
    """Return how much earlier than its stamp an event can have arrived, in microseconds.

    Parameters
    ----------
    read
        The read that brought the last byte of the event; its `arrived_ns` is the event's stamp.
    last_in_read
        Whether the last byte of the event was the last one of that read. With HTTP chunks, the line
        break that closes the chunk may follow. If in doubt, say no.

    Returns
    -------
    float
        At least 1. An event at the end of a read came with the stamped segment. An event before the
        end, and any event without a kernel stamp, can have come at any time since `earliest_ns`.
    """
    width_ns = read.arrived_ns - read.earliest_ns
    if last_in_read and read.emptied and read.clock == "kernel":
        width_ns = min(width_ns, CLOCK_RESOLUTION_NS)
    return max(width_ns + read.wall_offset_error_ns, CLOCK_RESOLUTION_NS) / 1_000


class ArrivalLedger:
    """Knowledge about the receive queue of one connection, from read to read.

    Parameters
    ----------
    opened_ns
        Monotonic time before the connection was made: nothing can have arrived earlier.
    offset
        The wall clock's offset then, and its error (see `wall_clock_offset`).
    """

    __slots__ = (
        "_consumed",
        "_counted_segments",
        "_empty_ns",
        "_emptying_reads",
        "_offset",
        "_out_of_order",
        "_stamped_ns",
        "_stepped",
        "count",
        "disordered",
        "last",
    )

    def __init__(self, opened_ns: int, offset: tuple[int, int]) -> None:
        self.last: Read | None = None
        self.count = 0
        self.disordered = False
        """Segments came out of order, and some of them may still wait in the kernel."""
        self._empty_ns = opened_ns  # the queue is known to have been empty at this moment
        self._stamped_ns = opened_ns  # stamp of the last segment before the present queue
        self._consumed = 0
        self._counted_segments = 0  # segments received when nothing was left to read
        self._emptying_reads = 0  # reads since then that left nothing behind
        self._out_of_order = 0
        self._offset = offset
        self._stepped = False  # the wall clock was, and what was stamped before may still wait

    def found_empty(self, asked_ns: int) -> None:
        """Note that a read begun at `asked_ns` found nothing."""
        self._empty_ns = asked_ns
        self._stepped = False

    def settled(self) -> None:
        """Note that the kernel holds nothing for this connection, in order or not."""
        self.disordered = False

    def record(self, raw: SocketRead) -> Read:
        """Turn the results of one read into a `Read`, and learn from it for the next one."""
        self.count += 1
        self._consumed += raw.size
        counters = raw.counters
        if counters is not None and counters.bytes_received < self._consumed:
            counters = None  # emulated kernels answer with zeros
        self._notice_disorder(counters)
        caught_up = counters is not None and counters.bytes_received == self._consumed
        segments = self._segments_of_this_read(counters, caught_up=caught_up)
        emptied = caught_up or not raw.limited
        arrived_ns = self._trusted_arrival(raw)
        clock: Literal["kernel", "user"] = "user" if arrived_ns is None else "kernel"
        if arrived_ns is None:
            arrived_ns = raw.read_ns
        earliest_ns = min(arrived_ns, max(self._empty_ns - QUEUEING_SLACK_NS, self._stamped_ns))
        if clock == "kernel" and segments == 1:
            earliest_ns = arrived_ns - CLOCK_RESOLUTION_NS
        self._learn(raw, emptied=emptied, caught_up=caught_up)
        if clock == "kernel" and emptied:
            self._stamped_ns = arrived_ns
        self.last = Read(
            read_no=self.count,
            arrived_ns=arrived_ns,
            earliest_ns=earliest_ns,
            read_ns=raw.read_ns,
            clock=clock,
            wall_offset_ns=raw.offset_ns,
            wall_offset_error_ns=raw.offset_error_ns,
            size=raw.size,
            segments=segments,
            rtt_us=None if counters is None else counters.rtt_us,
            retransmits=None if counters is None else counters.retransmitted,
            reordered=None if counters is None else counters.out_of_order,
            emptied=emptied,
        )
        return self.last

    def _notice_disorder(self, counters: TcpCounters | None) -> None:
        # The counters are taken after the read, so every early segment among its bytes is in them.
        if counters is not None and counters.out_of_order != self._out_of_order:
            self._out_of_order = counters.out_of_order
            self.disordered = True

    def _segments_of_this_read(
        self, counters: TcpCounters | None, *, caught_up: bool
    ) -> int | None:
        if counters is None:
            return None
        arrived = (counters.segments_received - self._counted_segments) & _COUNTER_MASK
        # Each earlier read that left nothing behind had at least one of them for itself.
        at_most = arrived - self._emptying_reads
        certain = at_most == 1 or (caught_up and at_most == arrived > 0)
        return at_most if certain and not self.disordered else None

    def _trusted_arrival(self, raw: SocketRead) -> int | None:
        """Convert the kernel's stamp to the monotonic clock, unless it would mislead."""
        (offset_ns, error_ns), self._offset = self._offset, (raw.offset_ns, raw.offset_error_ns)
        if abs(raw.offset_ns - offset_ns) > raw.offset_error_ns + error_ns:
            self._stepped = True
        if raw.stamp_ns is None:
            return None
        # A queue that was out of order ends with the stamp of a segment that came before the one
        # it had to wait for.
        if self.disordered:
            return None
        # The stamp may be from before the step or from after it.
        if self._stepped:
            return None
        arrived_ns = raw.stamp_ns - raw.offset_ns
        if arrived_ns > raw.read_ns + raw.offset_error_ns:
            return None
        return min(arrived_ns, raw.read_ns)

    def _learn(self, raw: SocketRead, *, emptied: bool, caught_up: bool) -> None:
        if caught_up and raw.counters is not None:
            self._empty_ns = raw.counted_ns
            self._stepped = False
            self._counted_segments = raw.counters.segments_received
            self._emptying_reads = 0
        elif emptied:
            self._empty_ns = raw.asked_ns
            self._emptying_reads += 1


Ancillary = list[tuple[int, int, bytes]]

# What Linux tells about a socket beyond its bytes; elsewhere each answer is "not known". Constants
# and layouts are those of <linux/tcp.h> and <asm-generic/socket.h>: the socket module does not name
# them, or not in every supported version.
_SO_TIMESTAMPNS: Final = 35
_SO_MEMINFO: Final = 55
_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(_TIMESPEC.size) if sys.platform == "linux" else 0
# struct tcp_info: tcpi_state at 0, tcpi_rtt at 68, tcpi_total_retrans at 100, tcpi_bytes_received
# at 128, tcpi_data_segs_in at 152, tcpi_rcv_ooopack at 224 (since Linux 5.4).
_TCP_INFO: Final = struct.Struct("=B67xI28xI24xQ16xI68xI")
_CLOSE_WAIT: Final = 8


def request_kernel_stamps(sock: socket.socket) -> bool:
    """Ask the kernel to stamp what `sock` receives; must come before ``connect``."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def receive_stamped(sock: socket.socket, room: memoryview) -> tuple[int, Ancillary]:
    """Read into `room` from a socket with stamps; return the size and what `stamp_of` takes."""
    size, ancillary, _, _ = sock.recvmsg_into([room], _ANCILLARY_SIZE)
    return size, ancillary


def stamp_of(ancillary: Ancillary) -> int | None:
    """Return the wall-clock time, in nanoseconds, of the last segment that a read touched."""
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(payload)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


def tcp_counters(sock: socket.socket) -> TcpCounters | None:
    """Return the counters of a connection, or None where not all of them are kept.

    An old kernel does not count segments that came out of order; without that no claim is safe.
    """
    if sys.platform != "linux":
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except OSError:
        return None
    if len(info) < _TCP_INFO.size:
        return None
    state, rtt_us, retransmitted, received, segments, out_of_order = _TCP_INFO.unpack(info)
    # The peer's last word (FIN) is counted as a byte once it has come.
    received -= state == _CLOSE_WAIT
    return TcpCounters(rtt_us, retransmitted, received, segments, out_of_order)


def holds_nothing(sock: socket.socket) -> bool:
    """Return whether the kernel holds nothing for `sock`, in order or ahead of a gap."""
    try:
        # Its first number is the memory of everything received and not yet read.
        memory = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4)
    except OSError:
        return False
    return memory == b"\0\0\0\0"
