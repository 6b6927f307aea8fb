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
import ssl
import sys
import weakref
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

import httpcore
import httpx

from firmly_nb.api.causes import Trust, find_trust
from firmly_nb.display.messages import coded_error
from firmly_nb.wire.sockets import Channel, DeadlinePassedError, SocketChannel, TlsChannel
from firmly_nb.wire.stamps import monotonic_ns, request_kernel_stamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping


class NothingWrittenError(httpcore.WriteError):
    """Write that failed before the kernel took a byte of it."""


class StampingStream(httpcore.AsyncNetworkStream):
    """Connection as httpcore sees it, made by `StampingBackend`.

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
        before = self._channel.extra_info("sent")
        try:
            await self._channel.send(buffer, _deadline(timeout))
        except DeadlinePassedError as error:
            raise httpcore.WriteTimeout(f"the peer took nothing for {timeout} s") from error
        except OSError as error:
            is_none = self._channel.extra_info("sent") == before
            raise (NothingWrittenError if is_none else httpcore.WriteError)(str(error)) from error

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
        except BaseException as error:
            # Of a proxy by TLS the certificate is the proxy's: who says why needs to know.
            vars(error)["tls_name"] = server_hostname
            self._channel.close()
            raise
        return StampingStream(secured)

    def get_extra_info(self, info: str) -> Any:
        """Return what is known under a name, or None.

        httpcore's names: ``ssl_object``, ``client_addr``, ``server_addr``, ``socket``,
        ``is_readable``. Ours: ``last_read`` (a `Read` or None), ``reads`` (int) and ``sent``
        (bytes that the kernel took).
        """
        return self._channel.extra_info(info)


class StampingBackend(httpcore.AsyncNetworkBackend):
    """Backend for connections whose reads carry the kernel's receive time.

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
        """True if kernel timestamps are requested and the system has them."""
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
        if _ip(host) is not None:
            # Needs no name server, and so no thread that waits for one.
            found = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        else:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


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


def proxy_for(url: httpx.URL, settings: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for `url`, or None for a direct connection.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY mean what they mean to httpx (a transport of
    one's own switches httpx's reading of them off), with two differences: what stays on this
    machine never goes through a proxy, and NO_PROXY may name a range of addresses
    (``10.0.0.0/8``).

    Parameters
    ----------
    url
        Where a request goes.
    settings
        As ``urllib.request.getproxies()`` returns them: by scheme, ``all``, and ``no``.

    Examples
    --------
    >>> settings = {"https": "proxy.example:8080", "no": "example.org"}
    >>> proxy_for(httpx.URL("https://example.com/"), settings)
    'http://proxy.example:8080'
    >>> proxy_for(httpx.URL("https://www.example.org/"), settings) is None
    True
    """
    if _is_loopback(url.host):
        return None
    entries = [entry.strip() for entry in settings.get("no", "").split(",")]
    if any(_exempts(entry, url) for entry in entries if entry):
        return None
    proxy = settings.get(url.scheme) or settings.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _exempts(entry: str, url: httpx.URL) -> bool:
    """Say whether one entry of NO_PROXY covers `url`."""
    if entry == "*":
        return True
    if "://" in entry:
        pattern = httpx.URL(entry)
        return (
            pattern.scheme in {"all", url.scheme}
            and pattern.host in {"", "*", url.host}
            and pattern.port in {None, url.port}
        )
    address = _ip(url.host)
    try:
        # One address is a network of one.
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return _covers_name(entry, url)
    return address is not None and address in network


def _covers_name(entry: str, url: httpx.URL) -> bool:
    name, _, port = entry.lower().partition(":")
    if port and port != str(url.port):
        return False
    host = url.host.lower()
    if name == "localhost":
        return host == name
    if name.startswith((".", "*.")):
        return host.endswith(name.removeprefix("*"))
    return host == name or host.endswith(f".{name}")


def _is_loopback(host: str) -> bool:
    address = _ip(host)
    if address is None:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


KEEPALIVE_EXPIRY_S: Final = 5.0
"""As httpx. A longer one meets more servers that hang up just as the next request is sent, and a
request that may be an order cannot be sent again."""


def proxy_of(url: httpx.URL) -> str | None:
    """Return the URL of the proxy that the environment names for `url`, or None."""
    return proxy_for(url, getproxies())


UNASKED = "the server sent a response before it was asked"
SOCKS_PROXY = "the environment names a SOCKS proxy. To use it, run pip install 'httpx[socks]'."

_ERRORS: Final[dict[type[Exception], type[httpx.TransportError]]] = {
    httpcore.TimeoutException: httpx.TimeoutException,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.NetworkError: httpx.NetworkError,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.ProtocolError: httpx.ProtocolError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


class StampingTransport(httpx.AsyncBaseTransport):
    """Transport of HTTP/1.1 for `httpx.AsyncClient`, never retried, every read stamped.

    It does what httpx's own transport does, over `StampingBackend`. The response keeps httpcore's
    extensions, and a request's ``trace`` extension is called as usual.

    Parameters
    ----------
    ssl_context
        What to trust; must verify certificates and host names. By default what httpx trusts:
        certifi's authorities, or if `trust_env` what SSL_CERT_FILE, SSL_CERT_DIR or
        REQUESTS_CA_BUNDLE names.
    backend
        Opens the connections; one of its own by default, which is closed with the transport.
    trust_env
        Whether the environment may name proxies and certificates.
    max_connections
        How many connections at once, for each proxy and for the direct way.
    keepalive_expiry
        For how many seconds an idle connection may be used again.

    Raises
    ------
    ValueError
        If `ssl_context` does not verify.

    Examples
    --------
    >>> client = httpx.AsyncClient(transport=StampingTransport())
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backend: StampingBackend | None = None,
        trust_env: bool = True,
        max_connections: int = 1,
        keepalive_expiry: float = KEEPALIVE_EXPIRY_S,
    ) -> None:
        if ssl_context is None:
            ssl_context = (find_trust() if trust_env else Trust()).context()
        elif ssl_context.verify_mode is not ssl.CERT_REQUIRED or not ssl_context.check_hostname:
            raise coded_error(
                ValueError,
                "FNB022",
                "ssl_context must verify certificates and host names. To trust one more authority, "
                "use ssl_context.load_verify_locations().",
            )
        self._ssl_context = ssl_context
        self._own_backend = StampingBackend() if backend is None else None
        self._backend = backend or self._own_backend
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._proxies = getproxies() if trust_env else {}
        self._pools: dict[str | None, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once, and return the response with its body still to be read."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("the request has a body that only a synchronous client can send")
        began_ns = monotonic_ns()
        with _httpx_errors():
            response = await self._pool_for(request.url).handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=_core_url(request.url),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            read = response.extensions["network_stream"].get_extra_info("last_read")
            if read and read.read_ns < began_ns:
                # It lay behind the response before it: of one order it would tell another.
                await response.aclose()
                raise httpcore.RemoteProtocolError(UNASKED)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseStream(response),
            extensions=response.extensions,
        )

    def has_connection(self) -> bool:
        """Return whether a connection is open and idle, so that a request can go at once."""
        connections = (one for pool in self._pools.values() for one in pool.connections)
        return any(one.is_idle() and not one.has_expired() for one in connections)

    async def aclose(self) -> None:
        """Close every connection; may be called again."""
        pools, self._pools = self._pools, {}
        try:
            with _httpx_errors():
                for pool in pools.values():
                    await pool.aclose()
        finally:
            if self._own_backend is not None:
                self._own_backend.close()

    def _pool_for(self, url: httpx.URL) -> httpcore.AsyncConnectionPool:
        proxy_url = proxy_for(url, self._proxies)
        if proxy_url not in self._pools:
            self._pools[proxy_url] = httpcore.AsyncConnectionPool(
                ssl_context=self._ssl_context,
                proxy=None if proxy_url is None else self._proxy(proxy_url),
                max_connections=self._max_connections,
                keepalive_expiry=self._keepalive_expiry,
                http1=True,
                http2=False,
                retries=0,
                network_backend=self._backend,
            )
        return self._pools[proxy_url]

    def _proxy(self, url: str) -> httpcore.Proxy:
        try:
            proxy = httpx.Proxy(url)
        except ValueError as error:
            raise httpx.ProxyError(str(error)) from None
        if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
            raise httpx.ProxyError(SOCKS_PROXY)
        secure = proxy.url.scheme == "https"
        return httpcore.Proxy(
            url=_core_url(proxy.url),
            auth=proxy.raw_auth,
            headers=proxy.headers.raw,
            ssl_context=self._ssl_context if secure else None,
        )


class _ResponseStream(httpx.AsyncByteStream):
    """Body of a response, with httpx's errors."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with _httpx_errors():
            await self._response.aclose()


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as the errors of the same name in httpx."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            if kind in _ERRORS:
                raise _ERRORS[kind](str(error)) from error
        raise
