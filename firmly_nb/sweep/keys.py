"""The key for cards, asked for at most once a second however many orders are made ready.

Keys rotate and are not to be kept for long (firmly-api.md, section 3.1).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmly_nb.recording.arrivals import monotonic_ns

if TYPE_CHECKING:
    from firmly_nb.api.card import PublicKey
    from firmly_nb.api.client import FirmlyClient

KEPT_S = 1.0


@dataclass
class FreshKey:
    """Gives out the key; those who ask at the same time wait for one answer."""

    client: FirmlyClient
    _key: PublicKey | None = None
    _asked_ns: int = 0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self) -> PublicKey:
        """Return a key that was asked for within the last second."""
        async with self._asking:
            if self._key is None or monotonic_ns() - self._asked_ns > KEPT_S * 1e9:
                self._asked_ns = monotonic_ns()
                self._key = await self.client.payment_key()
            return self._key
