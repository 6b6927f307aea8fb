"""What Linux tells about a socket, asked of real ones."""

from __future__ import annotations

import socket
import sys

import pytest

from firmly_nb.recording.kernel import (
    holds_nothing,
    receive_stamped,
    request_kernel_stamps,
    stamp_of,
    tcp_counters,
)
from tests.recording.peers import wait_until_queued

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
