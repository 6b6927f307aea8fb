"""Causes of failed connections, and the certificates that are trusted.

A company's network adds proxies, authorities and gateways of its own. What failed reaches the user
as the step that failed, with host, issuer or proxy, and what to do. The libraries below say it in
many ways: here is the one place that reads them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx

from firmly_nb.api.errors import FirmlyError, safe_text
from firmly_nb.api.secrets import redact_text
from firmly_nb.display.messages import coded_error
from firmly_nb.display.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509

# Whoever has these set expects them to count, in this order: OpenSSL's, then that of requests.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
LOOK_S = 5.0  # for looking at a certificate that was refused
LONGEST_HEAD = 65_536  # of a proxy's answer
UNREADABLE = "with an unreadable address"
MOST_NAMES = 4  # of a certificate, in a sentence

BYTES = re.compile(r"bytearray\(b(['\"])(.*?)\1\)")  # as h11 quotes what it cannot read
HTTP_WORDS = {
    "Receive buffer too long": "the head of the response, or a line between its chunks, is too "
    "long to be read",
    "Received server _SWITCH_UPGRADE event without a pending proposal": "the server switched to "
    "another protocol (HTTP 101), which was not asked for",
}

# As OpenSSL numbers what is wrong with a certificate (X509_V_ERR_...).
NOT_YET_VALID, EXPIRED = 9, 10
OTHER_HOST = frozenset({62, 64})
UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates that are trusted: the file or folder, and who named it.

    Without a file these are certifi's, as in httpx; none where no TLS is spoken.
    """

    file: str | None = None
    named_by: str = ""
    secure: bool = True

    def __str__(self) -> str:
        return f"{self.file} ({self.named_by})" if self.file else "certifi's list"

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies certificates and host names against them.

        Raises
        ------
        OSError
            If the file is missing or cannot be read.
        ValueError
            If it has no certificates.
        """
        if self.file is None:
            # To load certifi's list takes 20 ms; a recorder needs 250 in all.
            return _certifis() if self.secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        path = Path(self.file)
        why = ""
        try:
            if path.is_dir():
                return ssl.create_default_context(capath=self.file)
            return ssl.create_default_context(cafile=self.file)
        except ssl.SSLError:
            why = "it has no certificate in PEM form"
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            why = "the file does not exist" if missing else f"{error.strerror or error}"
        text = f"The CA file {path} ({self.named_by}) cannot be used: {why}."
        kind = ValueError if path.is_file() and os.access(path, os.R_OK) else OSError
        else_do = {"ca_file": "remove ca_file", "firmly-nb.toml": "delete its line in that file"}
        do = else_do.get(self.named_by, f"unset {self.named_by}")
        text = f"{text} Name a PEM file with the certificates to trust, or {do}."
        raise coded_error(kind, "FNB025", text)


@cache
def _certifis() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def find_trust(
    ca_file: str | None = None, named_by: str = "ca_file", *, secure: bool = True
) -> Trust:
    """Return what is trusted: a file that was named, else that of the environment's variables.

    Where no TLS is spoken (``secure=False``) the variables do not matter, and may name anything.

    Examples
    --------
    >>> str(find_trust("corp.pem"))
    'corp.pem (ca_file)'
    """
    if ca_file:
        return Trust(ca_file, named_by)
    named = next((name for name in VARIABLES if secure and os.environ.get(name)), None)
    return Trust(os.environ[named], named) if named else Trust(secure=secure)


@dataclass(frozen=True, slots=True)
class Way:
    """Way of requests to an environment, as far as it bears on why one failed.

    Attributes
    ----------
    trust
        Certificates that are trusted.
    proxy_of
        Gives the URL of the proxy for a URL; None without one.
    to_simulator
        Whether the environment is a simulator that the lab started.
    """

    trust: Trust = Trust()
    proxy_of: Callable[[httpx.URL], str | None] = lambda _: None
    to_simulator: bool = False


def cause_of(error: BaseException, url: str, way: Way) -> FirmlyError:
    """Return the error that says why a connection failed, as far as the failure itself tells.

    Examples
    --------
    >>> refused = httpx.ConnectError("all failed")
    >>> refused.__cause__ = ConnectionRefusedError(111, "refused")
    >>> print(cause_of(refused, "http://127.0.0.1:9/cart", Way()))
    ConnectionRefused: nothing listens at 127.0.0.1:9. Check that the server runs, and the URL's \
host and port. [FNB224]
    """
    found = [*_chain(error)]
    proxy = _proxy(url, way)
    failed = next((one for one in found if isinstance(one, ssl.SSLError)), None)
    whose = _refused_name(found, url)
    is_refused = isinstance(failed, ssl.SSLCertVerificationError)
    if failed and proxy and whose != _host(url) and not is_refused:
        text = f"the proxy {proxy} cannot be used: no TLS with it, {_no_tls(failed)}"
        return FirmlyError("ProxyUnreachable", text)
    if failed:
        return _tls_failure(failed, whose, way)
    refusal = next((one for one in found if isinstance(one, httpx.ProxyError)), None)
    if refusal:
        return _proxy_refusal(str(refusal), proxy, _host(url))
    name, why = _network_failure(found)
    if name is None:
        # Not a failure to connect: the connection was there, and ended. By whom is not told.
        before = f", or the proxy {proxy} before it," if proxy else ""
        return FirmlyError("TransportError", f"{_host(url)}{before} {_ended(found)}")
    if proxy == UNREADABLE:
        name, said = "ProxyUnreachable", "the environment's address of the proxy cannot be read"
    elif proxy:
        name, said = "ProxyUnreachable", f"the proxy {proxy} {why}"
    elif name != "ConnectionRefused":
        said = f"{_host(url)} {why}"
    elif way.to_simulator:
        name, said = "SimulatorGone", f"the simulator at {_place(url)} has ended"
    else:
        said = f"nothing listens at {_place(url)}"
    return FirmlyError(name, said)


async def full_cause_of(error: BaseException, url: str, way: Way) -> FirmlyError:
    """Return the error that says why a connection failed; a refused certificate is looked at.

    For that a second connection is opened, shown the certificate, and closed: nothing is sent.
    """
    found = [*_chain(error)]
    failed = next((one for one in found if isinstance(one, ssl.SSLCertVerificationError)), None)
    name = _refused_name(found, url)
    if failed is None or name != _host(url):
        return cause_of(error, url, way)
    seen = None
    with suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(LOOK_S):
            proxy_url = way.proxy_of(httpx.URL(url))
            seen = await asyncio.to_thread(partial(look_at_certificate, url, proxy_url))
    return _tls_failure(failed, name, way, seen)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certificate as a host shows it: who issued it, for which names and times."""

    issuer: str
    subject: str
    names: tuple[str, ...]
    not_before: str
    not_after: str

    @classmethod
    def read(cls, der: bytes) -> Certificate:
        """Read it from its bytes; names that others chose are made harmless."""
        from cryptography import x509

        read = x509.load_der_x509_certificate(der)
        return cls(
            issuer=_name(read.issuer),
            subject=_name(read.subject),
            names=tuple(printable(name, 100) for name in _names_of(read)),
            not_before=f"{read.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            not_after=f"{read.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        )


def _names_of(read: x509.Certificate) -> list[str]:
    from cryptography import x509

    with suppress(x509.ExtensionNotFound, ValueError):
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = found.get_values_for_type(x509.DNSName)
        return [*dns, *map(str, found.get_values_for_type(x509.IPAddress))]
    return []


def _name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    parts = []
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME):
        parts += [str(one.value) for one in name.get_attributes_for_oid(oid)]
    first, *rest = [printable(part, 80) for part in dict.fromkeys(parts)] or ["without a name"]
    return f"{first} ({', '.join(rest[:2])})" if rest else first


def look_at_certificate(url: str, proxy_url: str | None) -> Certificate:
    """Return the certificate that a host shows, trusted or not; nothing is sent to it.

    Raises
    ------
    OSError
        If it cannot be had.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whatever it is, it is only looked at: the connection is closed after the handshake.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = _tunnel(proxy_url, host, port) if proxy_url else _connected(host, port)
    with sock, context.wrap_socket(sock, server_hostname=host) as secured:
        return Certificate.read(secured.getpeercert(binary_form=True) or b"")


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=LOOK_S)


def _tunnel(proxy_url: str, host: str, port: int) -> socket.socket:
    """Return a connection through a proxy that speaks HTTP."""
    proxy = urlsplit(proxy_url)
    sock = _connected(proxy.hostname or "", proxy.port or 80)
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        head += f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"
    try:
        sock.sendall(f"{head}\r\n".encode())
        answer, piece = b"", b" "
        while piece and b"\r\n\r\n" not in answer and len(answer) < LONGEST_HEAD:
            piece = sock.recv(1)
            answer += piece
    except BaseException:
        sock.close()
        raise
    # Whatever it answered: without a tunnel the handshake fails.
    return sock


def _tls_failure(
    failed: ssl.SSLError, name: str, way: Way, seen: Certificate | None = None
) -> FirmlyError:
    whose = f"the certificate of {name}"
    if not isinstance(failed, ssl.SSLCertVerificationError):
        return FirmlyError("TlsFailed", f"no TLS with {name}: {_no_tls(failed)}")
    code = failed.verify_code
    if code == EXPIRED:
        when = f" at {seen.not_after}" if seen else ""
        return FirmlyError("CertificateNotValid", f"{whose} expired{when}{_issued(seen)}")
    if code == NOT_YET_VALID:
        when = f" before {seen.not_before}" if seen else " yet"
        return FirmlyError("CertificateNotValid", f"{whose} is not valid{when}{_issued(seen)}")
    if code in OTHER_HOST:
        if seen and not seen.names:
            text = f"{whose} names no host{_issued(seen)}: it has no subjectAltName"
            return FirmlyError("CertificateOfAnotherHost", text)
        names = listed(seen.names[:MOST_NAMES]) if seen else "other hosts"
        return FirmlyError("CertificateOfAnotherHost", f"{whose} is for {names}{_issued(seen)}")
    issuer = f"'{seen.issuer}'" if seen else "an issuer"
    by = "itself" if seen and seen.issuer == seen.subject else issuer
    text = f"{whose} is issued by {by}, which {way.trust} does not trust"
    return FirmlyError("UntrustedIssuer", text)


def _issued(seen: Certificate | None) -> str:
    return f" (issued by '{seen.issuer}')" if seen else ""


def _no_tls(failed: ssl.SSLError) -> str:
    if "WRONG_VERSION" in str(failed) or "RECORD_LAYER" in str(failed):
        return "it responds without TLS"
    if "CERTIFICATE_REQUIRED" in str(failed):
        return "it wants a certificate of this machine, and firmly-nb shows none"
    if "PROTOCOL_VERSION" in str(failed) or "UNSUPPORTED_PROTOCOL" in str(failed):
        return "it speaks no version that is safe (1.2 or newer)"
    return _reason(failed)


def _reason(failed: ssl.SSLError) -> str:
    if isinstance(failed, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it hung up during the handshake"
    return printable(failed.reason or str(failed), 100).lower().replace("_", " ")


def _proxy_refusal(said: str, proxy: str | None, host: str) -> FirmlyError:
    status = printable(said, 100)
    if not status[:3].isdigit():
        return FirmlyError("ProxyUnreachable", f"the proxy {proxy} cannot be used: {status}")
    if status.startswith("407"):
        return FirmlyError("ProxyLogin", f"the proxy {proxy} wants a login (HTTP 407)")
    text = f"the proxy {proxy} does not lead to {host} (HTTP {status})"
    return FirmlyError("ProxyRefused", text)


def _network_failure(found: list[BaseException]) -> tuple[str | None, str]:
    """Return the name of a failure to connect, and what follows a host in a sentence."""
    for one in found:
        if isinstance(one, socket.gaierror | UnicodeError):
            return "UnknownHost", "has no address: its name does not resolve"
        if isinstance(one, httpx.ConnectTimeout):
            return "NoConnection", "did not accept a connection in time"
        if isinstance(one, ConnectionRefusedError):
            return "ConnectionRefused", "refuses connections: nothing listens there"
        if isinstance(one, OSError) and one.errno in UNREACHABLE:
            return "NoConnection", "cannot be reached: this machine has no route to it"
    if any(isinstance(one, httpx.ConnectError) for one in found):
        said = next((safe_text(one) for one in found if str(one)), "the connection failed")
        return "NoConnection", f"cannot be reached: {printable(said, 200)}"
    return None, ""


def said_of_http(error: BaseException) -> str:
    """Return the words of the HTTP library, without the names of Python's and its own types."""
    text = BYTES.sub(lambda found: f"{found[2]!r}", str(error))
    return HTTP_WORDS.get(text, text)


def _ended(found: list[BaseException]) -> str:
    if isinstance(found[0], httpx.InvalidURL | UnicodeError):
        return f"cannot be reached: {type(found[0]).__name__}"
    gone = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
    if isinstance(found[0], gone):
        said = printable(redact_text(said_of_http(found[0])), 200) or type(found[0]).__name__
        return f"ended the connection without a whole response ({said})"
    if isinstance(found[0], httpx.DecodingError):
        return "responded with compressed data that is damaged"
    return f"cannot be reached: {type(found[0]).__name__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, also what several attempts had."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        left += filter(None, [one.__cause__, one.__context__])


def _refused_name(found: list[BaseException], url: str) -> str:
    """Return whose certificate was refused: of a proxy that is reached by TLS it is the proxy's."""
    name = next((one.tls_name for one in found if hasattr(one, "tls_name")), None)
    with suppress(ValueError):
        return _host(url) if name in {None, urlsplit(url).hostname} else printable(name, 200)
    return _host(url)


def _proxy(url: str, way: Way) -> str | None:
    """Return a proxy as it may be shown: without its user and password."""
    with suppress(httpx.InvalidURL, UnicodeError):
        if proxy_url := way.proxy_of(httpx.URL(url)):
            return shown_proxy(proxy_url)
    return None


def shown_proxy(proxy_url: str) -> str:
    """Return host and port of a proxy; its user and password stay inside.

    Examples
    --------
    >>> shown_proxy("http://ada:secret@proxy.corp.test:3128")
    'proxy.corp.test:3128'
    """
    try:
        parts = urlsplit(proxy_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return UNREADABLE
    return printable(f"{host}:{port}" if port else host, 200)


def _host(url: str) -> str:
    with suppress(ValueError):
        parts = urlsplit(url)
        host = parts.hostname or ""
        with suppress(ValueError):
            # Of an address the port tells which server.
            if parts.port and ip_address(host):
                return f"{host}:{parts.port}"
        return printable(host, 200)
    return "the host"


def _place(url: str) -> str:
    with suppress(ValueError):
        return printable(urlsplit(url).netloc.rpartition("@")[2], 200)
    return "the URL"
