"""Connections that stamp their reads, against real peers on loopback: how they open and end."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import struct
import sys
import threading

import httpcore
import pytest

from firmly_nb.wire.stamps import monotonic_ns
from firmly_nb.wire.transport import StampingBackend
from tests.wire.peers import EventSender, begun, connected, drained, last

pytestmark = pytest.mark.anyio
MS = 1_000_000


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
        await stream.write(body, timeout=60)
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
            received += len(await stream.read(4_096, timeout=60))
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
        assert await stream.read(65536, timeout=60) == b""
        await stream.write(b"thanks", timeout=60)
        await stream.aclose()
    assert answers == [b"thanks"]


async def test_timeouts_have_httpcores_names(backend, serve, secure):
    server_tls, client_tls = secure
    done = threading.Event()
    with serve(lambda _: done.wait(60), tls=server_tls) as port:
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
    with serve(lambda _: done.wait(60)) as port:
        stream = await connected(backend, port)
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(certificates.client, "localhost", timeout=0.05)
        assert stream.get_extra_info("socket").fileno() == -1
        done.set()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no-such-host.invalid", "a" * 70])
async def test_failures_to_connect_are_connect_errors(backend, host, unused_port):
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp(host, unused_port, timeout=60)


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
        stream = await backend.connect_tcp("shop.test", port, timeout=60)
        assert await drained(stream) == b"v4"
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()


async def test_a_failure_at_every_address_names_them_all(backend, monkeypatch, unused_port):
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def both(_, port, **options):
        first = await resolve("::1", port, **options)
        return first + await resolve("127.0.0.1", port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", both)
    with pytest.raises(httpcore.ConnectError, match=r"::1 port .*127\.0\.0\.1 port"):
        await backend.connect_tcp("shop.test", unused_port, timeout=60)


async def test_local_address_and_socket_options_are_used(backend, serve):
    with serve(lambda peer: peer.sendall(peer.getpeername()[0].encode())) as port:
        stream = await backend.connect_tcp(
            "127.0.0.1",
            port,
            timeout=60,
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
        stream = await backend.connect_unix_socket(path, timeout=60)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"local")
            assert await stream.read(100, timeout=60) == b"local"
            assert last(stream).clock == "user"
            assert last(stream).segments is None
            await stream.write(b"answer", timeout=60)
            assert peer.recv(100) == b"answer"
            await stream.aclose()
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_unix_socket(str(tmp_path / "none"), timeout=60)


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


async def test_closing_wakes_a_waiting_read_and_can_be_repeated(backend, serve, secure):
    server_tls, client_tls = secure
    done = threading.Event()
    with serve(lambda _: done.wait(60), tls=server_tls) as port:
        stream = await connected(backend, port, client_tls)
        reading = await begun(stream.read(65536))
        await stream.aclose()
        with pytest.raises(httpcore.ReadError, match="closed"):
            await reading
        await stream.aclose()
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, timeout=60)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x", timeout=60)
        assert stream.get_extra_info("is_readable") is True
        assert stream.get_extra_info("server_addr") is None
        done.set()


async def test_two_readers_at_once_are_refused(backend, serve):
    done = threading.Event()
    with serve(lambda _: done.wait(60)) as port:
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
        await stream.write(b"connected", timeout=60)
        with pytest.raises(httpcore.ReadError) as caught:
            await stream.read(100, timeout=60)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x" * 100, timeout=60)
        await stream.aclose()


async def test_is_readable_tells_an_idle_connection_from_one_that_was_hung_up(backend, serve):
    hang_up = threading.Event()
    with serve(lambda _: hang_up.wait(60)) as port:
        stream = await connected(backend, port)
        assert stream.get_extra_info("is_readable") is False
        hang_up.set()
        select.select([stream.get_extra_info("socket")], [], [], 60)
        assert stream.get_extra_info("is_readable") is True
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("something else") is None
        await stream.aclose()


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
