"""The httpx transport on its way through proxies."""

from __future__ import annotations

import base64
import select
import socket
import ssl

import httpx
import pytest

from firmly_nb.wire.transport import StampingTransport
from tests.wire.peers import Server, request_head

pytestmark = pytest.mark.anyio


class Proxy:
    """A forward proxy for one connection: CONNECT tunnels, or a request passed on to `port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[bytes] = []

    def __call__(self, peer: socket.socket) -> None:
        self.heads.append(request_head(peer))
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as beyond:
            if self.heads[0].startswith(b"CONNECT "):
                peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                beyond.sendall(self.heads[0])
            relay(peer, beyond)


def relay(near: socket.socket, far: socket.socket) -> None:
    """Pass bytes on until either side ends; in one thread, as TLS sockets ask for."""
    while True:
        pending = isinstance(near, ssl.SSLSocket) and near.pending()
        ready = [near] if pending else select.select([near, far], [], [], 60)[0]
        if not ready:
            raise TimeoutError("neither side said anything or ended")
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (far if source is near else near).sendall(data)


async def test_plain_requests_are_forwarded_by_the_proxy(serve, monkeypatch):
    server = Server()
    with serve(server) as port:
        proxy = Proxy(port)
        with serve(proxy) as proxy_port:
            monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy_port}")
            async with httpx.AsyncClient(transport=StampingTransport()) as client:
                response = await client.get("http://shop.test/cart")
    assert response.content == server.heads[0]
    assert proxy.heads[0].startswith(b"GET http://shop.test/cart HTTP/1.1\r\n")
    credentials = base64.b64encode(b"user:p@ss")
    assert b"Proxy-Authorization: Basic " + credentials in proxy.heads[0]
    assert response.extensions["network_stream"].get_extra_info("reads") > 0


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
async def test_secure_requests_are_tunnelled_and_still_stamped(
    serve, monkeypatch, certificates, variable, proxy_scheme
):
    server = Server(requests=2)
    proxy_tls = certificates.server if proxy_scheme == "https" else None
    with serve(server, tls=certificates.server) as port:
        proxy = Proxy(port)
        with serve(proxy, tls=proxy_tls) as proxy_port:
            monkeypatch.setenv(variable, f"{proxy_scheme}://127.0.0.1:{proxy_port}")
            transport = StampingTransport(ssl_context=certificates.client)
            async with httpx.AsyncClient(transport=transport) as client:
                await client.get("https://shop.test/one")
                response = await client.get("https://shop.test/two")
    assert proxy.heads[0].startswith(b"CONNECT shop.test:443 HTTP/1.1\r\n")
    assert [head.split()[1] for head in server.heads] == [b"/one", b"/two"]
    read = response.extensions["network_stream"].get_extra_info("last_read")
    assert read.size > len(response.content)


async def test_a_proxy_that_refuses_is_a_proxy_error(serve, monkeypatch):
    def refuse(peer: socket.socket) -> None:
        request_head(peer)
        peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with serve(refuse) as proxy_port:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy_port}")
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            with pytest.raises(httpx.ProxyError, match="407"):
                await client.get("https://shop.test/")


async def test_loopback_no_proxy_and_distrust_go_around_the_proxy(serve, monkeypatch, unused_port):
    """The named proxy does not exist: a request that tried it would fail."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    with serve(Server()) as port:
        async with httpx.AsyncClient(transport=StampingTransport()) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200
    # Neither may ask the proxy, so both fail at the name.
    for transport in (StampingTransport(trust_env=False), exempt_transport(monkeypatch)):
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError, match=r"(?i)name|address"):
                await client.get("http://no-such-host.invalid/")


def exempt_transport(monkeypatch) -> StampingTransport:
    with monkeypatch.context() as patch:
        patch.setenv("no_proxy", "invalid")
        return StampingTransport()


@pytest.mark.parametrize(("scheme", "advice"), [("gopher", "gopher"), ("socks5", "pip install")])
async def test_a_proxy_of_another_kind_is_refused_without_its_password(monkeypatch, scheme, advice):
    monkeypatch.setattr("firmly_nb.wire.transport.find_spec", lambda _: None)
    monkeypatch.setenv("http_proxy", f"{scheme}://user:secret@127.0.0.1:70")
    async with httpx.AsyncClient(transport=StampingTransport()) as client:
        with pytest.raises(httpx.ProxyError, match=advice) as caught:
            await client.get("http://shop.test/")
    assert "secret" not in str(caught.value)
