"""An httpx transport whose connections are stamped.

It does what httpx's own transport does for HTTP/1.1, over `StampingBackend`. The response keeps
httpcore's extensions: ``response.extensions["network_stream"].get_extra_info("last_read")`` is the
`firmly_nb.recording.network.Read` that completed the chunk handed out last, and a request's
``trace`` extension is called as usual.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies

import httpcore
import httpx

from firmly_nb.recording.network import StampingBackend
from firmly_nb.recording.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["KEEPALIVE_EXPIRY_S", "StampingTransport"]

KEEPALIVE_EXPIRY_S: Final = 5.0
"""As httpx. A longer one meets more servers that hang up just as the next request is sent, and a
request that may be an order cannot be sent again."""

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
    """HTTP/1.1 for `httpx.AsyncClient`, never retried, every read stamped.

    Parameters
    ----------
    ssl_context
        What to trust; must verify certificates and host names. By default what httpx trusts:
        certifi's authorities, or SSL_CERT_FILE or SSL_CERT_DIR if `trust_env`.
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
            ssl_context = httpx.create_ssl_context(trust_env=trust_env)
        elif ssl_context.verify_mode is not ssl.CERT_REQUIRED or not ssl_context.check_hostname:
            raise ValueError(
                "ssl_context must verify certificates and host names; "
                "to trust one more authority, load it with ssl_context.load_verify_locations()"
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
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseStream(response),
            extensions=response.extensions,
        )

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
            raise httpx.ProxyError(
                "the environment names a SOCKS proxy; to use it: pip install 'httpx[socks]'"
            )
        secure = proxy.url.scheme == "https"
        return httpcore.Proxy(
            url=_core_url(proxy.url),
            auth=proxy.raw_auth,
            headers=proxy.headers.raw,
            ssl_context=self._ssl_context if secure else None,
        )


class _ResponseStream(httpx.AsyncByteStream):
    """The body of a response, with httpx's errors."""

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
