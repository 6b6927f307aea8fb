"""The devices of a lab: sessions, renewed in time, one call at a time for each.

A token stands for a device and carts belong to devices (firmly-api.md, section 2.1); the API does
not guard against two calls for one device at once (section 7.4). So whoever needs a device takes
one for the length of the call; the first is taken again and again as long as it is free, and
orders that run at the same time get devices of their own.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmly_nb.api.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from firmly_nb.api.client import FirmlyClient, Session
    from firmly_nb.api.secrets import SecretStr

# A token must outlive the order that is placed with it.
RENEW_BEFORE_S = 180.0
# Many orders at once need many devices; the API is asked for a few at a time.
OPENED_AT_ONCE = 2


@dataclass
class Device:
    """One device: its place in the list (the first is 0) and its session."""

    number: int
    session: Session


@dataclass
class Devices:
    """The devices that a lab has opened."""

    client: FirmlyClient
    app_id: SecretStr
    free: list[Device] = field(default_factory=list)
    opened: int = 0
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENED_AT_ONCE))
    given_back: asyncio.Event = field(default_factory=asyncio.Event)
    # Whose cart an order's is: the number of its device by recording id, and of the last by domain.
    by_recording: dict[str, int] = field(default_factory=dict)
    by_domain: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def take(self, number: int | None = None) -> AsyncIterator[Device]:
        """Hand out a free device with a token that lasts, opening one if there is none.

        With a number, that device; a call that is still running for it is waited for.
        """
        if number is not None:
            device = await self._numbered(number)
        elif self.free:
            device = self.free.pop(0)
        else:
            device = await self._open()
        try:
            if device.session.expires - time.time() < RENEW_BEFORE_S:
                await self.renew(device)
            yield device
        finally:
            self.free.append(device)
            self.free.sort(key=lambda d: d.number)
            self.given_back.set()

    def note(self, device: Device, recording_id: str, domain: str) -> None:
        """Remember which device places an order: only its session shows that order's cart."""
        self.by_recording[recording_id] = self.by_domain[domain] = device.number

    async def _numbered(self, number: int) -> Device:
        while True:
            for place, device in enumerate(self.free):
                if device.number == number:
                    return self.free.pop(place)
            self.given_back.clear()
            await self.given_back.wait()

    async def ready(self, number: int) -> None:
        """Open devices, a few at a time, until there are so many."""
        missing = max(number - self.opened, 0)
        await asyncio.gather(*(self._add() for _ in range(missing)))

    async def _add(self) -> None:
        self.free.append(await self._open())

    async def _open(self) -> Device:
        # Counted before the call, so that two at once are two devices.
        number, self.opened = self.opened, self.opened + 1
        async with self.opening:
            return Device(number, await self.client.browser_session(self.app_id))

    async def renew(self, device: Device) -> None:
        """Exchange the token; the device, and so its carts, stay the same where it can."""
        try:
            session = await self.client.browser_session(self.app_id, device.session.access_token)
        except Unauthorized:
            # Older than a week: only a new device is to be had.
            session = await self.client.browser_session(self.app_id)
        device.session = session
