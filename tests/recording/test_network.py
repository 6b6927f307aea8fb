"""Connections that stamp their reads, against real peers on loopback."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import struct
import sys
import threading
import time

import httpcore
import pytest

from firmly_nb.recording import network
from firmly_nb.recording.network import (
    Read,
    StampingBackend,
    StampingStream,
    event_uncertainty_us,
    monotonic_ns,
    wall_clock_offset,
)

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")

HOSTS = ["127.0.0.1", "::1"]
MS = 1_000_000


@pytest.fixture(scope="module")
def backend():
    # One for all: stamping is switched on once, and the switch takes a moment.
    backend = StampingBackend()
    yield backend
    backend.close()


@pytest.fixture(params=["plain", "tls"])
def secure(request, certificates):
    """The server's side and the client's side of a connection with or without TLS."""
    if request.param == "plain":
        return None, None
    return certificates.server, certificates.client


async def connected(backend, port, client_tls=None, host="127.0.0.1") -> StampingStream:
    stream = await backend.connect_tcp(host, port, timeout=10)
    return stream if client_tls is None else await stream.start_tls(client_tls, host, 10)


async def drained(stream) -> bytes:
    parts = []
    while part := await stream.read(65536, timeout=10):
        parts.append(part)
    return b"".join(parts)


def last(stream) -> Read:
    read = stream.get_extra_info("last_read")
    assert isinstance(read, Read)
    return read


def wait_until_queued(stream, size: int) -> None:
    """Block, as a busy notebook would, until the kernel holds `size` bytes for the stream."""
    sock = stream.get_extra_info("socket")
    queued = 0
    while queued < size:
        select.select([sock], [], [])
        queued = len(sock.recv(size, socket.MSG_PEEK))


def keep_busy(seconds: float) -> None:
    """Hold the event loop up, as a cell that computes does."""
    time.sleep(seconds)


class EventSender:
    """Sends 200 bytes at a time on request, and notes the time before and after."""

    def __init__(self, total: int = 1) -> None:
        self.go = threading.Semaphore(0)
        self.sent_ns: list[tuple[int, int]] = []
        self.total = total

    def __call__(self, peer: socket.socket) -> None:
        while len(self.sent_ns) < self.total and self.go.acquire(timeout=20):
            before_ns = time.perf_counter_ns()
            peer.sendall(b"e" * 200)
            self.sent_ns.append((before_ns, time.perf_counter_ns()))


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
            assert await stream.read(65536, timeout=10) == b"e" * 200
            reads.append(last(stream))
        assert await stream.read(65536, timeout=10) == b""
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
        wait_until_queued(stream, 200)
        keep_busy(0.02)
        await stream.read(65536, timeout=10)
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
            wait_until_queued(stream, 200 * count)
            keep_busy(0.005)
        assert len(await stream.read(65536, timeout=10)) == 600
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
        wait_until_queued(stream, 200)
        sender.go.release()
        wait_until_queued(stream, 400)
        await stream.read(300, timeout=10)
        part = last(stream)
        await stream.read(65536, timeout=10)
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

    def handler(peer: socket.socket) -> None:
        time.sleep(0.5)
        peer.sendall(b"e" * 200)
        peer.sendall(b"e" * 200)

    with serve(handler) as port:
        stream = await connected(backend, port)
        await stream.read(65536, timeout=10)
        read = last(stream)
        await stream.aclose()
    assert read.arrived_ns - read.earliest_ns < 300 * MS


async def test_user_clock_is_used_and_said_where_kernel_stamps_are_not_wanted(serve, secure):
    server_tls, client_tls = secure
    backend = StampingBackend(kernel_stamps=False)
    sender = EventSender()
    with serve(sender, tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        sender.go.release()
        await stream.read(65536, timeout=10)
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
    monkeypatch.setattr(network, "request_kernel_stamps", lambda _: False)
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
            await stream.read(65536, timeout=10)
            assert (last(stream).read_no, last(stream).size) == (number, 200)
        assert await stream.read(65536, timeout=10) == b""
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
    assert read.retransmits == 0


async def test_ten_megabytes_go_both_ways(backend, serve, secure):
    server_tls, client_tls = secure
    body = bytes(range(256)) * 40_000

    def echo_all(peer: socket.socket) -> None:
        received = bytearray()
        while len(received) < len(body):
            received += peer.recv(1 << 20)
        peer.sendall(received)

    with serve(echo_all, tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        await stream.write(body, timeout=10)
        assert await drained(stream) == body
        await stream.aclose()


async def test_a_flood_of_data_lets_other_tasks_run(backend, serve):
    with serve(lambda peer: peer.sendall(b"x" * 4_000_000)) as port:
        stream = await connected(backend, port)
        turns = 0

        async def bystander() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(bystander())
        received = 0
        while received < 4_000_000:
            received += len(await stream.read(4_096, timeout=10))
        task.cancel()
        assert turns > 100
        await stream.aclose()


async def test_a_peer_that_stops_sending_still_reads(backend, serve):
    answers = []

    def half_close(peer: socket.socket) -> None:
        peer.sendall(b"bye")
        peer.shutdown(socket.SHUT_WR)
        answers.append(peer.recv(100))

    with serve(half_close) as port:
        stream = await connected(backend, port)
        assert await drained(stream) == b"bye"
        assert await stream.read(65536, timeout=10) == b""
        await stream.write(b"thanks", timeout=10)
        await stream.aclose()
    assert answers == [b"thanks"]


async def test_timeouts_have_httpcores_names(backend, serve, secure):
    server_tls, client_tls = secure
    done = threading.Event()
    with serve(lambda _: done.wait(20), tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, timeout=0.02)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, timeout=0)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(b"x" * 50_000_000, timeout=0.1)
        await stream.aclose()
        done.set()


async def test_a_silent_listener_gives_a_connect_timeout(backend):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue of a listener that accepts nobody
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            with pytest.raises(httpcore.ConnectTimeout):
                await backend.connect_tcp("127.0.0.1", port, timeout=0.1)
        finally:
            for filler in fillers:
                filler.close()


async def test_a_server_that_never_answers_the_handshake_gives_a_connect_timeout(
    backend, serve, certificates
):
    done = threading.Event()
    with serve(lambda _: done.wait(20)) as port:
        stream = await connected(backend, port)
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(certificates.client, "localhost", timeout=0.05)
        assert stream.get_extra_info("socket").fileno() == -1
        done.set()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no-such-host.invalid", "a" * 70])
async def test_failures_to_connect_are_connect_errors(backend, host):
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp(host, unused_port(), timeout=10)


async def test_a_name_is_tried_at_each_of_its_addresses(backend, serve):
    """localhost is ::1 and 127.0.0.1 here or 127.0.0.1 alone; the server has only one of them."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def both(host, port, **options):
        assert host == "shop.test"
        first = await resolve("::1", port, **options)
        return first + await resolve("127.0.0.1", port, **options)

    with pytest.MonkeyPatch.context() as patch, serve(lambda peer: peer.sendall(b"v4")) as port:
        patch.setattr(loop, "getaddrinfo", both)
        stream = await backend.connect_tcp("shop.test", port, timeout=10)
        assert await drained(stream) == b"v4"
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()


async def test_a_failure_at_every_address_names_them_all(backend, monkeypatch):
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def both(_, port, **options):
        first = await resolve("::1", port, **options)
        return first + await resolve("127.0.0.1", port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", both)
    with pytest.raises(httpcore.ConnectError, match=r"::1 port .*127\.0\.0\.1 port"):
        await backend.connect_tcp("shop.test", unused_port(), timeout=10)


async def test_local_address_and_socket_options_are_used(backend, serve):
    with serve(lambda peer: peer.sendall(peer.getpeername()[0].encode())) as port:
        stream = await backend.connect_tcp(
            "127.0.0.1",
            port,
            timeout=10,
            local_address="127.0.0.9",
            socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
        )
        assert await drained(stream) == b"127.0.0.9"
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.9"
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await stream.aclose()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no unix sockets")
async def test_unix_sockets_work_with_the_user_clock(backend, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stream = await backend.connect_unix_socket(path, timeout=10)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"local")
            assert await stream.read(100, timeout=10) == b"local"
            assert last(stream).clock == "user"
            assert last(stream).segments is None
            await stream.write(b"answer", timeout=10)
            assert peer.recv(100) == b"answer"
            await stream.aclose()
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_unix_socket(str(tmp_path / "none"), timeout=10)


async def test_a_cancelled_read_loses_nothing_and_leaves_nothing_registered(backend, serve, secure):
    server_tls, client_tls = secure
    sender = EventSender()
    with serve(sender, tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        reading = await begun(stream.read(65536))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not asyncio.get_running_loop().remove_reader(stream.get_extra_info("socket"))
        sender.go.release()
        assert await drained(stream) == b"e" * 200
        await stream.aclose()


async def begun(coroutine) -> asyncio.Task:
    """Start a task and let it come as far as it can without the network."""
    task = asyncio.create_task(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_closing_wakes_a_waiting_read_and_can_be_repeated(backend, serve, secure):
    server_tls, client_tls = secure
    done = threading.Event()
    with serve(lambda _: done.wait(20), tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        reading = await begun(stream.read(65536))
        await stream.aclose()
        with pytest.raises(httpcore.ReadError, match="closed"):
            await reading
        await stream.aclose()
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, timeout=10)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x", timeout=10)
        assert stream.get_extra_info("is_readable") is True
        assert stream.get_extra_info("server_addr") is None
        done.set()


async def test_two_readers_at_once_are_refused(backend, serve):
    done = threading.Event()
    with serve(lambda _: done.wait(20)) as port:
        stream = await connected(backend, port)
        reading = await begun(stream.read(65536))
        with pytest.raises(httpcore.ReadError, match="another task"):
            await stream.read(65536)
        await stream.aclose()
        with pytest.raises(httpcore.ReadError):
            await reading
        done.set()


async def test_a_cancelled_connection_attempt_closes_its_socket(backend):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        attempt = await begun(backend.connect_tcp(*full.getsockname()))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        for filler in fillers:
            filler.close()
    gc.collect()  # a socket left open would warn here, and warnings are errors


async def test_a_reset_by_the_peer_is_a_read_error(backend, serve):
    def reset(peer: socket.socket) -> None:
        assert peer.recv(100) == b"connected"
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serve(reset) as port:
        stream = await connected(backend, port)
        await stream.write(b"connected", timeout=10)
        with pytest.raises(httpcore.ReadError) as caught:
            await stream.read(100, timeout=10)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x" * 100, timeout=10)
        await stream.aclose()


async def test_is_readable_tells_an_idle_connection_from_one_that_was_hung_up(backend, serve):
    hang_up = threading.Event()
    with serve(lambda _: hang_up.wait(20)) as port:
        stream = await connected(backend, port)
        assert stream.get_extra_info("is_readable") is False
        hang_up.set()
        select.select([stream.get_extra_info("socket")], [], [], 10)
        assert stream.get_extra_info("is_readable") is True
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("something else") is None
        await stream.aclose()


async def test_a_blocked_loop_does_not_make_an_arrival_late(backend, serve):
    """Bytes are dated by the kernel although the loop was blocked when they came."""
    sender = EventSender()
    with serve(sender) as port:
        stream = await connected(backend, port)
        reading = await begun(stream.read(65536, timeout=10))
        sender.go.release()
        wait_until_queued(stream, 200)
        keep_busy(0.03)
        await reading
        read = last(stream)
        await stream.aclose()
    if read.clock == "kernel":
        assert read.read_ns - read.arrived_ns > 25 * MS
    assert read.earliest_ns - 2 * MS <= sender.sent_ns[0][1]
    assert sender.sent_ns[0][0] <= read.arrived_ns


async def test_the_backend_sleeps_and_closes_twice():
    backend = StampingBackend()
    began_ns = monotonic_ns()
    await backend.sleep(0.01)
    assert monotonic_ns() - began_ns > 5 * MS
    backend.close()
    backend.close()


async def test_a_forgotten_backend_leaves_no_open_socket():
    backend = StampingBackend()
    del backend
    gc.collect()  # an unclosed socket would warn here, and warnings are errors
