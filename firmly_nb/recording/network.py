"""The network under httpx, with a stamp on every read. Time enters the toolkit here.

`StampingBackend` is an httpcore network backend for asyncio. Each connection that it opens tells
when its bytes arrived: ``stream.get_extra_info("last_read")`` is the `Read` that brought the bytes
handed out last, and ``get_extra_info("reads")`` counts the reads so far. With httpx the stream is
``response.extensions["network_stream"]``.

On Linux the kernel's own receive stamps are used, so that a busy reader does not make events late;
elsewhere, and for single reads that came without a stamp, the time right after the read. Needs an
event loop that can watch sockets (on Windows the selector loop).

Every other time in the toolkit comes from `monotonic_ns` and `wall_clock_offset`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import sys
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

from firmly_nb.recording.arrivals import (
    Read,
    event_uncertainty_us,
    monotonic_ns,
    wall_clock_offset,
)
from firmly_nb.recording.channel import (
    Channel,
    DeadlinePassedError,
    SocketChannel,
)
from firmly_nb.recording.kernel import request_kernel_stamps
from firmly_nb.recording.tls import TlsChannel

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

__all__ = [
    "Read",
    "StampingBackend",
    "StampingStream",
    "event_uncertainty_us",
    "monotonic_ns",
    "wall_clock_offset",
]


class StampingStream(httpcore.AsyncNetworkStream):
    """A connection as httpcore sees it. Made by `StampingBackend`, not by hand.

    One task may read while another writes. A read that was cancelled or timed out has lost
    nothing and can be repeated; after a write that did not end well, close.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        """Return what has arrived, waiting for it if need be; b"" at the end."""
        try:
            return await self._channel.receive(max_bytes, _deadline(timeout))
        except DeadlinePassedError as error:
            raise httpcore.ReadTimeout(f"nothing came for {timeout} s") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's signature
        """Hand all bytes to the kernel."""
        try:
            await self._channel.send(buffer, _deadline(timeout))
        except DeadlinePassedError as error:
            raise httpcore.WriteTimeout(f"the peer took nothing for {timeout} s") from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connection; never waits, and may be called again."""
        self._channel.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> StampingStream:
        """Return a stream that speaks TLS over this one; this one is closed if that fails."""
        try:
            with _connect_errors(f"no TLS within {timeout} s"):
                secured = TlsChannel(self._channel, ssl_context, server_hostname)
                await secured.handshake(_deadline(timeout))
        except BaseException:
            self._channel.close()
            raise
        return StampingStream(secured)

    def get_extra_info(self, info: str) -> Any:
        """Return what is known under a name, or None.

        httpcore's names: ``ssl_object``, ``client_addr``, ``server_addr``, ``socket``,
        ``is_readable``. Ours: ``last_read`` (a `Read` or None) and ``reads`` (int).
        """
        return self._channel.extra_info(info)


class StampingBackend(httpcore.AsyncNetworkBackend):
    """Opens connections whose reads carry the kernel's receive time.

    Parameters
    ----------
    kernel_stamps
        False makes every read use the time after it, as on platforms without stamps.

    Notes
    -----
    The kernel switches stamping on when the first socket asks for it, and a moment later than
    asked. An idle socket keeps it on for as long as the backend lives; make the backend early.
    """

    def __init__(self, *, kernel_stamps: bool = True) -> None:
        self._keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._kernel_stamps = kernel_stamps and request_kernel_stamps(self._keeper)
        self._release = weakref.finalize(self, self._keeper.close)

    @property
    def kernel_stamps(self) -> bool:
        """Whether the kernel's stamps are asked for, and the system has them."""
        return self._kernel_stamps

    def close(self) -> None:
        """Let the kernel stop stamping for us; open connections go on."""
        self._release()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> StampingStream:
        """Connect to the first address of `host` that answers, in the resolver's order."""
        deadline = _deadline(timeout)
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *(socket_options or ())]
        with _connect_errors(f"no connection to {host}:{port} within {timeout} s"):
            addresses = await _resolve(host, port, deadline)
            failures: list[OSError] = []
            for position, (family, address) in enumerate(addresses):
                share = _share(deadline, len(addresses) - position)
                try:
                    return await self._connect(family, address, share, options, local_address)
                except OSError as error:
                    failures.append(error)
            raise _summary(failures)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> StampingStream:
        """Connect to a unix socket; such sockets have no stamps."""
        if sys.platform == "win32":
            raise httpcore.ConnectError("there are no unix sockets on Windows")
        with _connect_errors(f"no connection to {path} within {timeout} s"):
            return await self._connect(
                socket.AF_UNIX, path, _deadline(timeout), list(socket_options or ())
            )

    async def sleep(self, seconds: float) -> None:
        """Sleep; httpcore does so between attempts to connect."""
        await asyncio.sleep(seconds)

    async def _connect(
        self,
        family: int,
        address: Any,
        deadline: float | None,
        options: list[httpcore.SOCKET_OPTION],
        local_address: str | None = None,
    ) -> StampingStream:
        opened_ns = monotonic_ns()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            stamped = self._kernel_stamps and request_kernel_stamps(sock)
            for option in options:
                sock.setsockopt(*option)
            if local_address is not None:
                sock.bind((local_address, 0))
            channel = SocketChannel(sock, opened_ns=opened_ns, stamped=stamped)
            await channel.connect(address, deadline)
        except BaseException:
            sock.close()
            raise
        return StampingStream(channel)


async def _resolve(host: str, port: int, deadline: float | None) -> list[tuple[int, Any]]:
    """Return families and addresses of a host, in the order in which to try them."""
    async with asyncio.timeout_at(deadline):
        if _is_ip(host):
            # Needs no name server, and so no thread that waits for one.
            found = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        else:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else asyncio.get_running_loop().time() + timeout


def _share(deadline: float | None, attempts_left: int) -> float | None:
    """Give each address its part of the time, so that a silent one leaves some for the next."""
    if deadline is None:
        return None
    now = asyncio.get_running_loop().time()
    return now + max(deadline - now, 0.0) / attempts_left


def _summary(failures: list[OSError]) -> OSError:
    if not failures:
        return OSError(errno.EADDRNOTAVAIL, "the name has no address")
    if len(failures) == 1 or isinstance(failures[-1], TimeoutError):
        return failures[-1]
    return OSError(failures[-1].errno, "; ".join(str(failure) for failure in failures))


@contextmanager
def _connect_errors(on_timeout: str) -> Iterator[None]:
    """Turn the system's errors while connecting into httpcore's."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(on_timeout) from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot exist
        raise httpcore.ConnectError(str(error)) from error
