"""TLS over stamped reads, against the standard library's server."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

import httpcore
import pytest

pytestmark = pytest.mark.anyio


async def secured(backend, port, context, name="localhost"):
    stream = await backend.connect_tcp("127.0.0.1", port, timeout=60)
    return await stream.start_tls(context, name, timeout=60)


async def test_the_negotiated_protocol_and_certificate_can_be_seen(backend, serve, certificates):
    certificates.client.set_alpn_protocols(["http/1.1"])
    with serve(lambda peer: peer.sendall(b"hi"), tls=certificates.server) as port:
        stream = await secured(backend, port, certificates.client)
        tls = stream.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() == "TLSv1.3"
        assert await stream.read(100, timeout=60) == b"hi"
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_end_with_a_farewell_in_both_directions(
    backend, serve, certificates, version
):
    ends = []

    def farewell(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"x" * 40_000)
        # An end without the client's farewell would raise here.
        peer.suppress_ragged_eofs = False
        ends.append(peer.recv(100))

    context = ssl.create_default_context(cafile=str(certificates.authority))
    context.minimum_version = context.maximum_version = version
    with serve(farewell, tls=certificates.server) as port:
        stream = await secured(backend, port, context)
        received = 0
        while received < 40_000:
            received += len(await stream.read(65536, timeout=60))
        await stream.aclose()
    assert ends == [b""]


async def test_an_end_without_farewell_reads_as_an_end(backend, serve, certificates):
    def hang_up(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"cut")
        peer.shutdown(socket.SHUT_WR)
        peer.recv(100)

    with serve(hang_up, tls=certificates.server) as port:
        stream = await secured(backend, port, certificates.client)
        assert await stream.read(100, timeout=60) == b"cut"
        assert await stream.read(100, timeout=60) == b""
        assert await stream.read(100, timeout=60) == b""
        await stream.aclose()


async def test_plaintext_belongs_to_the_read_that_completed_its_record(
    backend, serve, certificates
):
    """Records that came together are handed out piece by piece, all with the same read."""
    both = threading.Event()

    def send(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"a" * 100)
        peer.sendall(b"b" * 100)
        both.set()
        peer.recv(100)

    with serve(send, tls=certificates.server) as port:
        stream = await secured(backend, port, certificates.client)
        assert both.wait(60)
        pieces = []
        while sum(len(piece) for piece, _ in pieces) < 200:
            piece = await stream.read(70, timeout=60)
            pieces.append((piece, stream.get_extra_info("last_read")))
            pending = stream.get_extra_info("ssl_object").pending()
            assert not pending or stream.get_extra_info("is_readable")
        assert b"".join(piece for piece, _ in pieces) == b"a" * 100 + b"b" * 100
        # More pieces than reads: a piece of what is already here brings no read of its own.
        assert len({read.read_no for _, read in pieces}) < len(pieces)
        assert all(read.size >= len(piece) for piece, read in pieces)
        await stream.aclose()


async def test_records_that_came_together_are_read_together(backend, serve, certificates):
    sent = threading.Event()

    def send(peer: ssl.SSLSocket) -> None:
        for letter in b"abc":
            peer.sendall(bytes([letter]) * 10)
        sent.set()
        peer.recv(100)

    with serve(send, tls=certificates.server) as port:
        stream = await secured(backend, port, certificates.client)
        assert sent.wait(60)
        assert await stream.read(65536, timeout=60) == b"a" * 10 + b"b" * 10 + b"c" * 10
        await stream.aclose()


@pytest.mark.parametrize(
    ("name", "trusted", "complaint"),
    [("localhost", False, "local issuer"), ("shop.example", True, "not valid for 'shop.example'")],
)
async def test_a_certificate_that_does_not_fit_is_refused(
    backend, serve, certificates, name, trusted, complaint
):
    context = certificates.client if trusted else ssl.create_default_context()
    alerts = []

    def expect_alert(peer: socket.socket) -> None:
        with pytest.raises(ssl.SSLError) as caught:
            certificates.server.wrap_socket(peer, server_side=True).recv(1)
        alerts.append(caught.value.reason)

    with serve(expect_alert) as port:
        stream = await backend.connect_tcp("127.0.0.1", port, timeout=60)
        with pytest.raises(httpcore.ConnectError, match=complaint):
            await stream.start_tls(context, name, timeout=60)
        assert stream.get_extra_info("socket").fileno() == -1
    assert "ALERT" in alerts[0]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_a_server_that_does_not_speak_tls_gives_a_connect_error(
    backend, serve, certificates, answer
):
    def plain(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(answer)

    with serve(plain) as port:
        stream = await backend.connect_tcp("127.0.0.1", port, timeout=60)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(certificates.client, "localhost", timeout=60)


async def test_damaged_records_are_a_read_error(backend, serve, certificates):
    def damage(peer: ssl.SSLSocket) -> None:
        with socket.socket(fileno=peer.detach()) as raw:
            raw.settimeout(60)
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"?" * 32)
            with suppress(ConnectionResetError):  # either way of giving up will do
                raw.recv(4096)

    with serve(damage, tls=certificates.server) as port:
        stream = await secured(backend, port, certificates.client)
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, timeout=60)
        await stream.aclose()


async def test_tls_inside_tls_keeps_the_stamps(backend, serve, certificates):
    """As on the way through an HTTPS proxy to an HTTPS host."""

    def proxy_and_host(peer: ssl.SSLSocket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        host = certificates.server.wrap_bio(incoming, outgoing, server_side=True)
        handshake(host, incoming, outgoing, peer)
        host.write(b"from inside")
        peer.sendall(outgoing.read())
        incoming.write(peer.recv(65536))
        assert host.read(100) == b"thanks"

    with serve(proxy_and_host, tls=certificates.server) as port:
        outer = await secured(backend, port, certificates.client)
        inner = await outer.start_tls(certificates.client, "shop.test", timeout=60)
        assert await inner.read(100, timeout=60) == b"from inside"
        assert inner.get_extra_info("last_read").size > len(b"from inside")
        await inner.write(b"thanks", timeout=60)
        await inner.aclose()
        assert outer.get_extra_info("socket").fileno() == -1


async def test_an_event_before_half_a_record_is_not_dated_by_that_half(
    backend, serve, certificates
):
    """The stamp is that of the segment with the half record; the event may be older.

    The plaintext ends with the event, so its reader cannot see that the socket read did not.
    """
    go = threading.Semaphore(0)
    sent = threading.Semaphore(0)

    def send(peer: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates.server.wrap_bio(incoming, outgoing, server_side=True)
        handshake(tls, incoming, outgoing, peer)
        for text in (b"tickets", b"event", b"half"):
            tls.write(text)
            record = outgoing.read()
            if text == b"half":
                for piece in (record[:3], record[3:9], record[9:]):
                    peer.sendall(piece)
                    sent.release()
                    assert go.acquire(timeout=60)
            else:
                peer.sendall(record)

    with serve(send) as port:
        stream = await secured(backend, port, certificates.client)
        assert sent.acquire(timeout=60)
        plaintext = b""
        while plaintext != b"ticketsevent":
            plaintext += await stream.read(65536, timeout=60)
        first = stream.get_extra_info("last_read")
        with pytest.raises(httpcore.ReadTimeout):  # takes the first piece, if it was not there yet
            await stream.read(65536, timeout=0.05)
        cut = stream.get_extra_info("last_read")
        assert not cut.emptied
        assert stream.get_extra_info("last_read") is cut
        assert first.read_no <= cut.read_no
        go.release()
        assert sent.acquire(timeout=60)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(65536, timeout=0.05)
        assert not stream.get_extra_info("last_read").emptied
        go.release()
        assert await stream.read(65536, timeout=60) == b"half"
        assert stream.get_extra_info("last_read").emptied
        go.release()
        await stream.aclose()


def handshake(tls: ssl.SSLObject, incoming, outgoing, peer: socket.socket) -> None:
    finished = False
    while not finished:
        try:
            tls.do_handshake()
            finished = True
        except ssl.SSLWantReadError:
            pass
        if outgoing.pending:
            peer.sendall(outgoing.read())
        if not finished:
            incoming.write(peer.recv(65536))
