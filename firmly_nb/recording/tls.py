"""TLS over a channel whose reads are stamped.

The standard library's TLS sockets read the network themselves, without stamps. Here OpenSSL works
on two buffers in memory, and every byte between them and the network goes through the channel
below. That channel can be TLS itself: an HTTPS proxy on the way to an HTTPS host.

Plaintext belongs to the socket read that completed its TLS record, which is the last one: records
that were already whole are handed out before the network is read again.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from firmly_nb.recording.channel import BUFFER_SIZE, Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.recording.arrivals import Read

__all__ = ["TlsChannel"]

_RECORD_SIZE: Final = 16 * 1024
_HEADER_SIZE: Final = 5
_T = TypeVar("_T")


class TlsChannel:
    """The client's side of a TLS connection.

    Parameters
    ----------
    below
        The channel that carries the encrypted bytes; it is closed with this one.
    context
        What to trust. It is used as it is.
    server_hostname
        The name that the server's certificate must carry.
    """

    def __init__(
        self, below: Channel, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=False, server_hostname=server_hostname
        )
        self._closed = False
        self._header = b""  # what has come of the next record's header
        self._missing = 0  # how much of the present record is still to come
        self._cut: Read | None = None

    async def handshake(self, deadline: float | None) -> None:
        """Agree on keys and verify the server; ssl.SSLError says what is wrong with it."""
        try:
            await self._drive(self._tls.do_handshake, deadline)
        except ssl.SSLError:
            # The alert tells the server why, which is worth a try and not a wait.
            self._below.send_now(self._outgoing.read())
            raise

    async def receive(self, max_bytes: int, deadline: float | None) -> bytes:
        """Return all plaintext that is whole, or wait for a record to be completed."""
        while True:
            plaintext = self._decrypt(max_bytes)
            if plaintext is not None:
                # Nothing may wait here, or a cancellation would lose it. What OpenSSL wants to
                # answer goes out with the next read or write.
                return plaintext
            await self._flush(deadline)
            await self._fill(deadline)

    def _decrypt(self, max_bytes: int) -> bytes | None:
        """Return the plaintext of whole records, b"" at the end, None if more bytes are needed.

        OpenSSL gives one record at a time; they are joined, because the records of one socket read
        belong together.
        """
        parts: list[bytes] = []
        room = max_bytes
        while room > 0:
            try:
                part = self._tls.read(min(room, _RECORD_SIZE))
            except ssl.SSLWantReadError:
                return b"".join(parts) if parts else None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # Also without the peer's farewell, as httpcore's own backends: HTTP has its own
                # ways to tell a whole body from a cut one.
                break
            except ssl.SSLError:
                if parts:
                    break  # what was sound is delivered; OpenSSL repeats the error at the next read
                raise
            if not part:
                break
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    async def send(self, data: bytes | memoryview, deadline: float | None) -> None:
        """Encrypt and send; pieces, so that a large body is not held twice."""
        rest = memoryview(data)
        while rest:
            taken = await self._drive(partial(self._tls.write, rest[:BUFFER_SIZE]), deadline)
            rest = rest[taken:]

    def send_now(self, data: bytes) -> None:
        """Encrypt, and send as far as it goes at once."""
        try:
            self._tls.write(data)
        except (ssl.SSLError, ValueError):
            return
        self._below.send_now(self._outgoing.read())

    def close(self) -> None:
        """Say farewell if that needs no waiting, and close."""
        if not self._closed:
            self._closed = True
            # The farewell then lies in the buffer; the peer's answer to it is not awaited.
            with suppress(ssl.SSLError, ValueError):
                self._tls.unwrap()
            self._below.send_now(self._outgoing.read())
        self._below.close()

    def extra_info(self, name: str) -> Any:
        """Return what is known under `name`, or None."""
        if name == "ssl_object":
            return self._tls
        if name == "last_read":
            return self._last_read()
        if name == "is_readable" and self._tls.pending():
            return True
        return self._below.extra_info(name)

    async def _drive(self, operation: Callable[[], _T], deadline: float | None) -> _T:
        """Repeat a TLS operation with more bytes from the network until it succeeds."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._flush(deadline)
                await self._fill(deadline)
            else:
                await self._flush(deadline)
                return result

    async def _flush(self, deadline: float | None) -> None:
        if self._outgoing.pending:
            await self._below.send(self._outgoing.read(), deadline)

    async def _fill(self, deadline: float | None) -> None:
        data = await self._below.receive(BUFFER_SIZE, deadline)
        if data:
            self._incoming.write(data)
            self._follow_records(data)
        else:
            self._incoming.write_eof()

    def _follow_records(self, data: bytes) -> None:
        """Keep count of where records end; OpenSSL does not say."""
        at = 0
        while at < len(data):
            if self._missing:
                step = min(self._missing, len(data) - at)
                self._missing -= step
            else:
                step = min(_HEADER_SIZE - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == _HEADER_SIZE:
                    self._missing = int.from_bytes(self._header[3:])
                    self._header = b""
            at += step

    def _last_read(self) -> Read | None:
        """Return the last socket read; if it ended within a record, as one that was not emptied.

        The plaintext then ended before the read did, and the stamp of the read's last segment is
        not that of the plaintext's last byte.
        """
        read: Read | None = self._below.extra_info("last_read")
        if read is None or not (self._missing or self._header):
            return read
        if self._cut is None or self._cut.read_no != read.read_no:
            self._cut = replace(read, emptied=False)
        return self._cut
