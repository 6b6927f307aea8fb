"""What each read says of when its bytes came, against senders that note when they sent."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import pytest

from firmly_nb.wire import transport
from firmly_nb.wire.stamps import event_uncertainty_us, monotonic_ns, wall_clock_offset
from firmly_nb.wire.transport import StampingBackend
from tests.wire.peers import EventSender, begun, connected, drained, last, wait_until_queued

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")

HOSTS = ["127.0.0.1", "::1"]
MS = 1_000_000


def keep_busy(seconds: float) -> None:
    """Hold the event loop up, as a cell that computes does."""
    time.sleep(seconds)


@linux_only
@pytest.mark.parametrize("host", HOSTS)
async def test_arrival_lies_between_the_senders_own_stamps_and_the_read(
    backend, serve, secure, host
):
    server_tls, client_tls = secure
    sender = EventSender(50)
    with serve(sender, host=host, tls=server_tls) as port:
        stream = await connected(backend, port, client_tls, host)
        reads = []
        for _ in range(50):
            sender.go.release()
            assert await stream.read(65536, timeout=60) == b"e" * 200
            reads.append(last(stream))
        assert await stream.read(65536, timeout=60) == b""
        await stream.aclose()
    for read, (before_ns, after_ns) in zip(reads, sender.sent_ns, strict=True):
        assert read.earliest_ns - 2 * MS <= after_ns
        assert before_ns <= read.arrived_ns <= read.read_ns
    assert sum(read.clock == "kernel" for read in reads) >= 45


@linux_only
async def test_one_segment_is_dated_exactly_however_late_it_is_read(backend, serve):
    sender = EventSender()
    with serve(sender) as port:
        stream = await connected(backend, port)
        sender.go.release()
        wait_until_queued(stream.get_extra_info("socket"), 200)
        keep_busy(0.02)
        await stream.read(65536, timeout=60)
        read = last(stream)
        await stream.aclose()
    assert read.segments == 1
    assert read.read_ns - read.arrived_ns > 15 * MS
    assert read.arrived_ns - read.earliest_ns <= 1_000
    assert event_uncertainty_us(read, last_in_read=False) < 100


@linux_only
async def test_segments_that_waited_together_have_a_wide_interval_and_an_exact_end(backend, serve):
    sender = EventSender(3)
    with serve(sender) as port:
        stream = await connected(backend, port)
        for count in (1, 2, 3):
            sender.go.release()
            wait_until_queued(stream.get_extra_info("socket"), 200 * count)
            keep_busy(0.005)
        assert len(await stream.read(65536, timeout=60)) == 600
        read = last(stream)
        await stream.aclose()
    assert read.segments == 3
    assert read.emptied
    for before_ns, _ in sender.sent_ns:
        assert read.earliest_ns <= before_ns <= read.arrived_ns
    assert event_uncertainty_us(read, last_in_read=False) > 9_000
    assert event_uncertainty_us(read, last_in_read=True) < 100


@linux_only
async def test_a_read_that_leaves_bytes_behind_does_not_date_its_end_exactly(backend, serve):
    sender = EventSender(2)
    with serve(sender) as port:
        stream = await connected(backend, port)
        sender.go.release()
        wait_until_queued(stream.get_extra_info("socket"), 200)
        sender.go.release()
        wait_until_queued(stream.get_extra_info("socket"), 400)
        await stream.read(300, timeout=60)
        part = last(stream)
        await stream.read(65536, timeout=60)
        rest = last(stream)
        await stream.aclose()
    assert (part.size, part.emptied) == (300, False)
    assert (rest.size, rest.emptied) == (100, True)
    width_us = event_uncertainty_us(part, last_in_read=True)
    assert width_us == event_uncertainty_us(part, last_in_read=False)
    # The second segment's first bytes left with the first read: it may be older than that read.
    assert rest.earliest_ns <= sender.sent_ns[1][0]


@linux_only
async def test_a_long_wait_does_not_make_the_interval_long(backend, serve):
    """Two segments that came together after a silence are dated by the last look at the queue."""
    go = threading.Event()

    def handler(peer):
        assert go.wait(60)
        peer.sendall(b"e" * 200)
        peer.sendall(b"e" * 200)

    with serve(handler) as port:
        stream = await connected(backend, port)
        began_ns = monotonic_ns()
        reading = await begun(stream.read(65536, timeout=60))
        while stream._channel.ledger._empty_ns < began_ns + 300 * MS:  # noqa: ASYNC110 - a ledger tells nobody
            await asyncio.sleep(0.01)
        go.set()
        await reading
        read = last(stream)
        await stream.aclose()
    assert read.earliest_ns - began_ns > 290 * MS


async def test_user_clock_is_used_and_said_where_kernel_stamps_are_not_wanted(serve, secure):
    server_tls, client_tls = secure
    backend = StampingBackend(kernel_stamps=False)
    sender = EventSender()
    with serve(sender, tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        sender.go.release()
        await stream.read(65536, timeout=60)
        read = last(stream)
        await stream.aclose()
    backend.close()
    assert not backend.kernel_stamps
    assert read.clock == "user"
    assert read.arrived_ns == read.read_ns
    assert read.earliest_ns <= sender.sent_ns[0][0] <= read.arrived_ns
    width_us = (read.arrived_ns - read.earliest_ns) / 1_000
    assert event_uncertainty_us(read, last_in_read=True) >= width_us > 0


@linux_only
async def test_the_backend_falls_back_where_the_option_cannot_be_set(serve, monkeypatch):
    monkeypatch.setattr(transport, "request_kernel_stamps", lambda _: False)
    backend = StampingBackend()
    with serve(lambda peer: peer.sendall(b"late")) as port:
        stream = await connected(backend, port)
        assert await drained(stream) == b"late"
        assert last(stream).clock == "user"
        await stream.aclose()
    backend.close()


async def test_reads_are_numbered_and_measured(backend, serve):
    sender = EventSender(3)
    with serve(sender) as port:
        stream = await connected(backend, port)
        assert stream.get_extra_info("last_read") is None
        assert stream.get_extra_info("reads") == 0
        for number in (1, 2, 3):
            sender.go.release()
            await stream.read(65536, timeout=60)
            assert (last(stream).read_no, last(stream).size) == (number, 200)
        assert await stream.read(65536, timeout=60) == b""
        assert stream.get_extra_info("reads") == 3
        offset_ns, error_ns = wall_clock_offset()
        allowed_ns = error_ns + last(stream).wall_offset_error_ns + 50 * MS
        assert abs(last(stream).wall_offset_ns - offset_ns) <= allowed_ns
        await stream.aclose()


@linux_only
async def test_the_kernel_reports_round_trips_and_no_loss_on_loopback(backend, serve):
    with serve(lambda peer: peer.sendall(peer.recv(4))) as port:
        stream = await connected(backend, port)
        await stream.write(b"ping")
        assert await drained(stream) == b"ping"
        read = last(stream)
        await stream.aclose()
    assert read.rtt_us is not None
    assert 0 < read.rtt_us < 1_000_000
    assert (read.retransmits, read.reordered) == (0, 0)


async def test_a_blocked_loop_does_not_make_an_arrival_late(backend, serve):
    """Bytes are dated by the kernel although the loop was blocked when they came."""
    sender = EventSender()
    with serve(sender) as port:
        stream = await connected(backend, port)
        reading = await begun(stream.read(65536, timeout=60))
        sender.go.release()
        wait_until_queued(stream.get_extra_info("socket"), 200)
        keep_busy(0.03)
        await reading
        read = last(stream)
        await stream.aclose()
    if read.clock == "kernel":
        assert read.read_ns - read.arrived_ns > 25 * MS
    assert read.earliest_ns - 2 * MS <= sender.sent_ns[0][1]
    assert sender.sent_ns[0][0] <= read.arrived_ns
