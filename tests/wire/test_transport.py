"""The httpx transport, against real servers on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import httpcore
import httpx
import pytest

from firmly_nb.wire.stamps import Read
from firmly_nb.wire.transport import StampingBackend, StampingTransport
from tests.wire.peers import Server, answer, request_head

pytestmark = pytest.mark.anyio


async def test_a_response_carries_the_read_that_brought_it(serve):
    server = Server()
    with serve(server) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            response = await client.get(f"http://127.0.0.1:{port}/path?q=1")
            read = response.extensions["network_stream"].get_extra_info("last_read")
    assert response.status_code == 200
    assert response.http_version == "HTTP/1.1"
    assert response.content == server.heads[0]
    assert server.heads[0].startswith(b"GET /path?q=1 HTTP/1.1\r\n")
    assert isinstance(read, Read)
    assert read.size >= len(response.content)


async def test_each_chunk_of_a_stream_is_seen_with_its_own_read(serve):
    """A chunk is handed out as soon as it is whole, and the read is then the one that ended it."""
    go = threading.Semaphore(0)

    def stream_events(peer: socket.socket) -> None:
        request_head(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            assert go.acquire(timeout=60)
            event = b"data: %d\n\n" % number
            peer.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        peer.sendall(b"0\r\n\r\n")

    with serve(stream_events) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            numbers, chunks = [], []
            async with client.stream("GET", f"http://127.0.0.1:{port}/") as response:
                stream = response.extensions["network_stream"]
                go.release()
                async for chunk in response.aiter_raw():
                    chunks.append(chunk)
                    numbers.append(stream.get_extra_info("last_read").read_no)
                    go.release()
    assert chunks == [b"data: %d\n\n" % number for number in range(5)]
    assert numbers == sorted(set(numbers))


async def test_connections_are_kept_for_the_next_request_and_expire(serve):
    server = Server(requests=2)
    with serve(server) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            first = await client.get(f"http://127.0.0.1:{port}/1")
            second = await client.get(f"http://127.0.0.1:{port}/2")
    streams = [response.extensions["network_stream"] for response in (first, second)]
    assert streams[0] is streams[1]
    with serve(Server(), peers=2) as port:
        transport = StampingTransport(keepalive_expiry=0.0)
        async with httpx.AsyncClient(transport=transport) as client:
            first = await client.get(f"http://127.0.0.1:{port}/1")
            second = await client.get(f"http://127.0.0.1:{port}/2")
    streams = [response.extensions["network_stream"] for response in (first, second)]
    assert streams[0] is not streams[1]


async def test_a_response_behind_the_one_before_it_answers_no_request(serve):
    """It told the next order that it was placed, with the number of another one."""

    def twice(peer: socket.socket) -> None:
        request_head(peer)
        peer.sendall(answer(b"first") + answer(b"unasked"))
        request_head(peer)

    with serve(twice) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/1")).content == b"first"
            with pytest.raises(httpx.RemoteProtocolError, match="before it was asked"):
                await client.get(f"http://127.0.0.1:{port}/2")


async def test_the_trace_of_a_request_is_called(serve, certificates):
    seen = []

    async def trace(name, _):
        seen.append(name)

    with serve(Server(), tls=certificates.server) as port:
        transport = StampingTransport(ssl_context=certificates.client)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(f"https://127.0.0.1:{port}/", extensions={"trace": trace})
    expected = ["connect_tcp", "start_tls"]
    assert [name.split(".")[1] for name in seen if name.startswith("connection.")] == [
        name for name in expected for _ in range(2)
    ]
    assert "http11.receive_response_headers.complete" in seen


async def test_bodies_of_ten_megabytes_go_up_and_come_down(serve, certificates):
    body = b"0123456789" * 1_000_000

    def echo(peer: socket.socket) -> None:
        request_head(peer)
        received = bytearray()
        while len(received) < len(body):
            received += peer.recv(1 << 20)
        peer.sendall(answer(bytes(received)))

    with serve(echo, tls=certificates.server) as port:
        transport = StampingTransport(ssl_context=certificates.client)
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
            response = await client.post(f"https://127.0.0.1:{port}/", content=body)
    assert response.content == body


async def test_the_environments_authorities_are_trusted(serve, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with serve(Server(requests=2), tls=certificates.server) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            assert (await client.get(f"https://localhost:{port}/")).status_code == 200
            await client.get(f"https://localhost:{port}/")


async def test_an_unknown_authority_is_refused(serve, certificates):
    def refused(peer: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            certificates.server.wrap_socket(peer, server_side=True).recv(1)

    with serve(refused) as port:
        async with httpx.AsyncClient(transport=StampingTransport(trust_env=False)) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://localhost:{port}/")


def test_there_is_no_way_around_verification():
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(ValueError, match="must verify"):
        StampingTransport(ssl_context=careless)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="must verify"):
        StampingTransport(ssl_context=careless)


def reset_after(head: bytes):
    def handler(peer: socket.socket) -> None:
        request_head(peer)
        peer.sendall(head)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return handler


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", httpx.ReadError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", httpx.ReadError),
    ],
)
async def test_a_reset_is_httpxs_read_error_and_names_the_request(serve, sent, error):
    with serve(reset_after(sent)) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            with pytest.raises(error) as caught:
                await client.get(f"http://127.0.0.1:{port}/")
    assert caught.value.request.url.port == port
    assert isinstance(caught.value.__cause__, httpcore.ReadError)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", httpx.RemoteProtocolError),
    ],
)
async def test_broken_answers_are_httpxs_protocol_errors(serve, sent, error):
    def handler(peer: socket.socket) -> None:
        request_head(peer)
        peer.sendall(sent)

    with serve(handler) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            with pytest.raises(error):
                await client.get(f"http://127.0.0.1:{port}/")


async def test_timeouts_have_httpxs_names(serve):
    done = threading.Event()
    with serve(lambda _: done.wait(60)) as port:
        url = f"http://127.0.0.1:{port}/"
        limits = httpx.Timeout(60, read=0.05)
        async with httpx.AsyncClient(transport=StampingTransport(), timeout=limits) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url)
        done.set()
    done.clear()
    with serve(lambda _: done.wait(60)) as port:
        url = f"http://127.0.0.1:{port}/"
        limits = httpx.Timeout(60, write=0.1)
        async with httpx.AsyncClient(transport=StampingTransport(), timeout=limits) as client:
            with pytest.raises(httpx.WriteTimeout):
                await client.post(url, content=b"x" * 50_000_000)
        done.set()


async def test_a_second_request_waits_for_the_only_connection(serve):
    done = threading.Event()
    with serve(lambda _: done.wait(60)) as port:
        url = f"http://127.0.0.1:{port}/"
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            first = asyncio.create_task(client.get(url, timeout=60))
            await asyncio.sleep(0)
            with pytest.raises(httpx.PoolTimeout):
                await client.get(url, timeout=httpx.Timeout(60, pool=0.05))
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        done.set()


async def test_other_failures_have_httpxs_names(unused_port):
    async with httpx.AsyncClient(transport=StampingTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{unused_port}/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


async def test_a_body_for_synchronous_clients_is_refused():
    class Body(httpx.SyncByteStream):
        def __iter__(self):
            yield b""

    transport = StampingTransport()
    with pytest.raises(TypeError, match="synchronous"):
        await transport.handle_async_request(
            httpx.Request("POST", "http://127.0.0.1/", stream=Body())
        )
    await transport.aclose()


async def test_a_cancelled_request_closes_its_connection(serve):
    asked, hung_up = threading.Event(), []

    def wait_for_the_end(peer: socket.socket) -> None:
        request_head(peer)
        asked.set()
        hung_up.append(peer.recv(1))

    with serve(wait_for_the_end) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            request = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/", timeout=None))
            assert await asyncio.to_thread(asked.wait, 60)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
    assert hung_up == [b""]


async def test_a_given_backend_is_used_and_left_open(serve):
    backend = StampingBackend(kernel_stamps=False)
    with serve(Server(), peers=2) as port:
        for _ in range(2):
            async with httpx.AsyncClient(transport=StampingTransport(backend=backend)) as client:
                response = await client.get(f"http://127.0.0.1:{port}/")
                stream = response.extensions["network_stream"]
                assert stream.get_extra_info("last_read").clock == "user"
    backend.close()
