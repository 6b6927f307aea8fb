"""What Linux tells about a socket, asked of real ones."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from firmly_nb.wire.stamps import (
    holds_nothing,
    receive_stamped,
    request_kernel_stamps,
    stamp_of,
    tcp_counters,
)
from tests.wire.peers import wait_until_queued

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


@pytest.fixture
def pair():
    """Two connected sockets: one that is asked about, and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as near:
        assert request_kernel_stamps(near)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with far:
            yield near, far


def test_bytes_and_segments_are_counted(pair):
    near, far = pair
    before = tcp_counters(near)
    assert (before.bytes_received, before.segments_received) == (0, 0)
    for count in (1, 2, 3):
        far.sendall(b"x" * 100)
        wait_until_queued(near, 100 * count)
    after = tcp_counters(near)
    assert (after.bytes_received, after.segments_received) == (300, 3)
    assert (after.retransmitted, after.out_of_order) == (0, 0)
    assert 0 < after.rtt_us < 1_000_000


def test_the_peers_last_word_is_not_a_byte(pair):
    near, far = pair
    far.sendall(b"x" * 100)
    far.shutdown(socket.SHUT_WR)
    assert near.recv(100, socket.MSG_WAITALL) == b"x" * 100
    assert near.recv(1) == b""
    assert tcp_counters(near).bytes_received == 100


def test_what_waits_is_seen_and_what_was_read_is_gone(pair):
    near, far = pair
    assert holds_nothing(near)
    far.sendall(b"x" * 100)
    wait_until_queued(near, 100)
    assert not holds_nothing(near)
    near.recv(50)
    assert not holds_nothing(near)
    near.recv(50)
    assert holds_nothing(near)


def test_a_stamp_comes_with_the_bytes(pair):
    near, far = pair
    far.sendall(b"stamped")
    wait_until_queued(near, 7)
    room = bytearray(100)
    size, ancillary = receive_stamped(near, memoryview(room))
    assert room[:size] == b"stamped"
    stamp_ns = stamp_of(ancillary)
    assert stamp_ns is None or stamp_ns > 1_500_000_000_000_000_000


def test_other_messages_are_not_taken_for_stamps():
    assert stamp_of([]) is None
    assert stamp_of([(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\1" * 16)]) is None
    stamp = (5).to_bytes(8, sys.byteorder) + (7).to_bytes(8, sys.byteorder)
    assert stamp_of([(socket.SOL_SOCKET, 35, stamp)]) == 5_000_000_007


def test_what_is_not_a_connection_has_no_counters():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert tcp_counters(datagrams) is None
        assert request_kernel_stamps(datagrams)
    assert tcp_counters(datagrams) is None
    assert not request_kernel_stamps(datagrams)
    assert not holds_nothing(datagrams)


def test_a_kernel_that_keeps_fewer_counters_has_none():
    class Old(socket.socket):
        def getsockopt(self, *arguments):
            return super().getsockopt(*arguments)[:192]

    with Old() as sock:
        assert tcp_counters(sock) is None


def test_elsewhere_nothing_is_known(pair, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tcp_counters(pair[0]) is None
    assert not request_kernel_stamps(pair[0])


class Answering:
    """A socket that gives a made answer to one question, and refuses any other."""

    def __init__(self, level, option, answer):
        self.question, self.answer = (level, option), answer

    def getsockopt(self, level, option, size):
        if (level, option) != self.question:
            raise OSError(92, "no such option")
        return self.answer[:size]

    def setsockopt(self, level, option, value):
        if (level, option, value) != (*self.question, self.answer):
            raise OSError(92, "no such option")


def tcp_info(**values):
    """As <linux/tcp.h> lays out struct tcp_info: where each field stands, and how wide it is."""
    places = {
        "state": (0, "=B"),
        "rtt": (68, "=I"),
        "total_retrans": (100, "=I"),
        "bytes_received": (128, "=Q"),
        "data_segs_in": (152, "=I"),
        "rcv_ooopack": (224, "=I"),
    }
    answer = bytearray(b"\xee" * 248)
    for name, (at, form) in places.items():
        struct.pack_into(form, answer, at, values[name])
    return bytes(answer)


@pytest.mark.parametrize(("state", "fin"), [(1, 0), (7, 0), (8, 1), (9, 0)])
def test_each_counter_is_read_where_the_kernel_puts_it(state, fin):
    """In state 8, CLOSE_WAIT, the peer's last word has come and is counted as a byte."""
    info = tcp_info(
        state=state,
        rtt=70_001,
        total_retrans=3,
        bytes_received=2**40 + 5,
        data_segs_in=2**32 - 1,
        rcv_ooopack=4,
    )
    asked = Answering(socket.IPPROTO_TCP, socket.TCP_INFO, info)
    assert tcp_counters(asked) == (70_001, 3, 2**40 + 5 - fin, 2**32 - 1, 4)


@pytest.mark.parametrize(("size", "known"), [(227, False), (228, True), (248, True)])
def test_counters_are_known_if_the_kernel_keeps_all_of_them(size, known):
    """The last one, of segments out of order, ends at byte 228; Linux has it since 5.4."""
    info = tcp_info(
        state=1, rtt=1, total_retrans=0, bytes_received=0, data_segs_in=0, rcv_ooopack=0
    )
    asked = Answering(socket.IPPROTO_TCP, socket.TCP_INFO, info[:size])
    assert (tcp_counters(asked) is not None) == known


@pytest.mark.parametrize(
    ("memory", "nothing"),
    [(b"\0" * 4, True), (b"\1\0\0\0", False), (b"\0\0\0\1", False), (b"\0" * 3, False)],
)
def test_nothing_waits_if_no_memory_is_used(memory, nothing):
    """SO_MEMINFO is 55 in <asm-generic/socket.h>."""
    assert holds_nothing(Answering(socket.SOL_SOCKET, 55, memory)) == nothing
    assert not holds_nothing(Answering(socket.SOL_SOCKET, 56, memory))


def test_stamps_are_asked_for_by_their_number():
    """SO_TIMESTAMPNS is 35 in <asm-generic/socket.h>."""
    assert request_kernel_stamps(Answering(socket.SOL_SOCKET, 35, 1))
    assert not request_kernel_stamps(Answering(socket.SOL_SOCKET, 36, 1))


def test_a_stamp_is_found_among_other_messages():
    stamp = struct.pack("@ll", 1_700_000_000, 999_999_999)
    other = (socket.SOL_SOCKET, 29, stamp)
    assert stamp_of([other, (socket.IPPROTO_TCP, 35, stamp)]) is None
    assert stamp_of([other, (socket.SOL_SOCKET, 35, stamp), other]) == 1_700_000_000_999_999_999


def test_room_is_made_for_the_stamp():
    """Without it the kernel drops the stamp, and the time after the read counts."""
    stamp = (socket.SOL_SOCKET, 35, struct.pack("@ll", 5, 7))

    class Stamping:
        def recvmsg_into(self, buffers, ancillary_size=0):
            buffers[0][:2] = b"ab"
            enough = ancillary_size >= socket.CMSG_SPACE(len(stamp[2]))
            return 2, [stamp] if enough else [], 0, None

    room = bytearray(4)
    size, ancillary = receive_stamped(Stamping(), memoryview(room))
    assert (room[:size], stamp_of(ancillary)) == (b"ab", 5_000_000_007)
