"""Devices of a lab: their sessions, renewed in time, and whose cart an order's is."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from firmly_nb.api.client import session_clock_ns
from firmly_nb.api.errors import FirmlyError
from firmly_nb.display.messages import coded_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from firmly_nb.api.client import FirmlyClient, Session
    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.recordings.recording import Recording

# A token must outlive the order that is placed with it.
RENEW_BEFORE_S = 180.0
# Many orders at once need many devices; the API is asked for a few at a time.
OPENED_AT_ONCE = 2

Answered = TypeVar("Answered")


async def once_more(ask: Callable[[], Awaitable[Answered]]) -> Answered:
    """Ask for something that costs nothing; once more if the session had ended.

    By then it is marked as such, and the second time it is renewed first. Never for an order.
    """
    try:
        return await ask()
    except FirmlyError as error:
        if not error.refuses_token:
            raise
    return await ask()


@dataclass
class Device:
    """Device: its number (the first is 0) and its session."""

    number: int
    session: Session


@dataclass
class Devices:
    """Devices of a lab, their sessions renewed in time.

    Carts belong to devices, and the API does not guard against two calls for one device at once. So
    whoever needs a device takes one for the length of the call. The first is taken again and again
    as long as it is free; orders that run at the same time get devices of their own.
    """

    client: FirmlyClient
    app_id: SecretStr
    free: list[Device] = field(default_factory=list)
    opened: int = 0
    numbers: int = 0  # that were given, to those that could not be opened as well
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENED_AT_ONCE))
    given_back: asyncio.Event = field(default_factory=asyncio.Event)
    # When a token was last refused: sessions that are as old are renewed before their next call.
    refused_ns: int = -1
    # Every device, also those that are at work.
    known: dict[int, Device] = field(default_factory=dict)
    # Whose cart an order's is: the number of its device by recording id, and of the last by domain.
    by_recording: dict[str, int] = field(default_factory=dict)
    by_domain: dict[str, int] = field(default_factory=dict)
    # Devices whose cart is being built: they are handed out by their number only.
    reserved: set[int] = field(default_factory=set)
    # How many orders each device placed at each merchant: the cart of a single one is known.
    placed: Counter[tuple[int, str]] = field(default_factory=Counter)
    # Orders of devices that ended with their sessions: nobody sees their carts any more.
    lost: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def take(self, number: int | None = None) -> AsyncIterator[Device]:
        """Hand out a free device with a token that lasts, opening one if there is none.

        With a number, that device; a call that is still running for it is waited for. A token that
        is refused meanwhile is renewed before the next call, and nothing is sent a second time.
        """
        if number is not None:
            device = await self._numbered(number)
        else:
            device = self._unreserved() or await self._open()
        try:
            if self.is_stale(device.session) or device.session.left_s() < RENEW_BEFORE_S:
                await self.renew(device)
            yield device
        except FirmlyError as error:
            if error.refuses_token:
                self.refused(device.session)
            raise
        finally:
            self.free.append(device)
            self.free.sort(key=lambda d: d.number)
            self.given_back.set()

    def refused(self, session: Session) -> None:
        """Note that the token of a session was refused.

        What ends one session before its time often ends all: so all that are as old are stale.
        """
        if not self.is_stale(session):
            self.refused_ns = session_clock_ns()

    def is_stale(self, session: Session) -> bool:
        """Return whether a session is as old as one whose token was refused."""
        return session.made_ns <= self.refused_ns

    def session_of(self, recording_id: str) -> Session | None:
        """Return the session that an order is placed with, while its device is at work for it."""
        device = self.known.get(self.by_recording.get(recording_id, -1))
        return device.session if device else None

    def note(self, device: Device, recording_id: str, domain: str) -> None:
        """Remember which device places an order: only its session shows that order's cart."""
        self.by_recording[recording_id] = self.by_domain[domain] = device.number
        self.placed[device.number, domain] += 1

    def of(self, rec: Recording) -> int:
        """Return the number of the device that placed an order.

        Raises
        ------
        LookupError
            If the order was not placed in this lab.
        """
        if rec.recording_id in self.lost:
            raise coded_error(
                LookupError,
                "FNB109",
                f"The session that placed recording {rec.recording_id} has ended, and no other one "
                "sees its cart. Ask the merchant whether the order exists.",
            )
        if rec.recording_id not in self.by_recording:
            raise coded_error(
                LookupError,
                "FNB109",
                f"Recording {rec.recording_id} was not placed in this lab, and a cart is visible "
                "only with the session that made it. Ask that lab, or pass a merchant domain to "
                "lab.cart().",
            )
        return self.by_recording[rec.recording_id]

    async def for_order(
        self, rec: Recording, ask: Callable[[SecretStr], Awaitable[Answered]]
    ) -> Answered:
        """Ask something with the token of the device that placed an order.

        Raises
        ------
        LookupError
            If the order was not placed in this lab, or its device is no more.
        """

        async def asked() -> Answered:
            async with self.take(self.of(rec)) as device:
                self.of(rec)  # a device that was lost at the renewal sees another cart
                return await ask(device.session.access_token)

        return await once_more(asked)

    async def reserve(self) -> int:
        """Keep a device for a cart that is built call by call, and return its number."""
        async with self.take() as device:
            self.reserved.add(device.number)
            return device.number

    def _unreserved(self) -> Device | None:
        for index, device in enumerate(self.free):
            if device.number not in self.reserved:
                return self.free.pop(index)
        return None

    async def _numbered(self, number: int) -> Device:
        while True:
            for index, device in enumerate(self.free):
                if device.number == number:
                    return self.free.pop(index)
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
        number, self.numbers = self.numbers, self.numbers + 1
        self.opened += 1
        try:
            async with self.opening:
                device = Device(number, await self.client.browser_session(self.app_id))
        except BaseException:
            self.opened -= 1  # whoever needs it opens another
            raise
        self.known[number] = device
        return device

    async def renew(self, device: Device) -> None:
        """Exchange the token; the device, and so its carts, stay the same where it can."""
        before = device.session
        try:
            session = await self.client.browser_session(self.app_id, before.access_token)
        except FirmlyError as error:
            if not error.refuses_token:
                raise
            # Revoked, or older than a week: only a new device is to be had.
            session = await self.client.browser_session(self.app_id)
        device.session = session
        if session.device_id != before.device_id:
            self._forget_orders(device.number)

    def _forget_orders(self, number: int) -> None:
        """Forget whose carts a device saw: it has become another one, with carts of its own."""
        self.lost |= {one for one, placed_by in self.by_recording.items() if placed_by == number}
        self.by_recording = {k: n for k, n in self.by_recording.items() if n != number}
        self.by_domain = {k: n for k, n in self.by_domain.items() if n != number}
        self.placed = Counter({k: n for k, n in self.placed.items() if k[0] != number})
