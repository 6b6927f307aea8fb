"""A certificate authority of our own, and loopback servers that run a function for each peer."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from firmly_nb.wire.transport import StampingBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """What a TLS server shows, what a client trusts, and the authority's file."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: Path


class ServerSide(ssl.SSLSocket):
    """A server's TLS connection that is closed when its client has gone.

    The standard library leaves it open if the client resets before the handshake; the warning of
    that, whenever it comes, would be an error of another test.
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ConnectionError:
            self.close()
            raise


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = trustme.CA()
    authority = tmp_path_factory.mktemp("certificates") / "authority.pem"
    made.cert_pem.write_to_path(authority)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost", "shop.test", "127.0.0.1", "::1").configure_cert(server)
    server.sslsocket_class = ServerSide
    server.set_alpn_protocols(["http/1.1"])
    return Certificates(server, ssl.create_default_context(cafile=str(authority)), authority)


def has_gone(error: Exception) -> bool:
    """Say whether this is how a client looks to its server once it has gone.

    It was reset, it ended without TLS's farewell, or it had gone before the handshake.
    """
    gone = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return isinstance(error, gone) or getattr(error, "errno", None) == errno.ENOTCONN


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def backend() -> Iterator[StampingBackend]:
    # One for all: stamping is switched on once, and the switch takes a moment.
    backend = StampingBackend()
    yield backend
    backend.close()


@pytest.fixture(params=["plain", "tls"])
def secure(
    request: pytest.FixtureRequest, certificates: Certificates
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """The server's side and the client's side of a connection with or without TLS."""
    if request.param == "plain":
        return None, None
    return certificates.server, certificates.client


@contextmanager
def serving(
    handler: Callable[[socket.socket], None],
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    peers: int = 1,
) -> Iterator[int]:
    """Run `handler` in a thread for each of `peers` connections; yield the port.

    An error of the handler is raised at the end, unless the test failed before. That a client has
    gone is none: whether and when it may is the test's matter, and which of the two notices first
    is chance.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    listener.settimeout(60)
    errors: list[Exception] = []

    def handle(peer: socket.socket) -> None:
        try:
            peer.settimeout(60)
            with peer if tls is None else tls.wrap_socket(peer, server_side=True) as stream:
                handler(stream)
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            peer.close()
            if not has_gone(error):
                errors.append(error)

    def accept() -> None:
        workers = []
        try:
            for _ in range(peers):
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                workers.append(threading.Thread(target=handle, args=(peer,)))
                workers[-1].start()
        except OSError as error:
            errors.append(error)
        for worker in workers:
            worker.join()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    except BaseException:
        # Whoever was still expected does not come any more.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        raise
    finally:
        acceptor.join()
        listener.close()
    if errors:
        raise errors[0]


@pytest.fixture(scope="session")
def serve() -> Callable[..., object]:
    return serving


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
