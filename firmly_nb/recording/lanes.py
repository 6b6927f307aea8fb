"""Connections for orders: one order, one connection.

A *lane* is a client with a connection of its own, so that orders in flight at the same time do not
wait for each other. A warm order takes a lane whose connection is open, a cold one opens its own
and so measures the connection too (design.md, section 5).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.errors import FirmlyError
from firmly_nb.recording.transport import StampingTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

MAX_IDLE = 64


class Lanes:
    """The lanes to one environment."""

    def __init__(self, card_url: str, ssl_context: ssl.SSLContext | None = None) -> None:
        self.card_url = card_url
        # Loading the certificates takes longer than the connection: once is enough.
        self.ssl_context = ssl_context or httpx.create_ssl_context()
        self.idle: list[FirmlyClient] = []

    @asynccontextmanager
    async def take(self, *, warm: bool) -> AsyncIterator[FirmlyClient]:
        """Hand out a lane for one order; a warm one has just been used for another request."""
        lane = self.idle.pop() if warm and self.idle else self._new()
        whole = False
        try:
            if warm:
                # Public, without a token, and small. Should it fail, the order itself will tell.
                with suppress(FirmlyError):
                    await lane.payment_key()
            yield lane
            whole = True
        finally:
            # After a cancelled order nobody knows in which state its connection was left.
            if warm and whole and len(self.idle) < MAX_IDLE:
                self.idle.append(lane)
            else:
                await lane.http.aclose()

    async def aclose(self) -> None:
        """Close every connection that is not in use."""
        while self.idle:
            await self.idle.pop().http.aclose()

    def _new(self) -> FirmlyClient:
        transport = StampingTransport(ssl_context=self.ssl_context)
        http = httpx.AsyncClient(transport=transport, trust_env=False)
        return FirmlyClient(http, self.card_url, self.card_url)
