"""What Linux tells about a socket beyond its bytes; elsewhere each answer is "not known".

Constants and layouts are those of <linux/tcp.h> and <asm-generic/socket.h>: the socket module does
not name them, or not in every supported version.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

from firmly_nb.recording.arrivals import TcpCounters

__all__ = ["holds_nothing", "receive_stamped", "request_kernel_stamps", "stamp_of", "tcp_counters"]

Ancillary = list[tuple[int, int, bytes]]

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
    """Whether nothing waits in the kernel for `sock`, neither in order nor ahead of a gap."""
    try:
        # Its first number is the memory of everything received and not yet read.
        memory = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4)
    except OSError:
        return False
    return memory == b"\0\0\0\0"
