"""Getting one order of a sweep sent: made ready ahead of its time, asked for, handed over.

Everything that costs time (a session, the key, the encryption, a connection) happens before the
planned start. The recorder's own process, where nothing computes, then sends the order at the
moment, so a busy notebook does not shift the schedule. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from firmly_nb.api.errors import FirmlyError
from firmly_nb.environments import guard
from firmly_nb.recording.arrivals import monotonic_ns
from firmly_nb.recording.isolation import Recalled, RecorderError
from firmly_nb.recording.records import Record, Start
from firmly_nb.sweep.budget import money_text
from firmly_nb.sweep.keys import FreshKey
from firmly_nb.sweep.ledger import WAIT, YES, Ledger, what_of
from firmly_nb.sweep.quotes import Quotes
from firmly_nb.sweep.row import amount_of, row_of, was_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmly_nb.api.models import Card, Order
    from firmly_nb.placing import Bench, Options
    from firmly_nb.recording.recorder import Job
    from firmly_nb.sweep.pace import Pace
    from firmly_nb.sweep.plan import Planned, Variant
    from firmly_nb.sweep.schedule import Schedule

# Made ready so long before its start: a session, the key, the encryption.
AHEAD_S = 1.0
# Given to the recorder so long before its start: its connection.
HANDED_OVER_S = 0.6
# What was made ready longer ago is made ready again: keys rotate.
FRESH_S = 5.0
ORDER_NUMBER_TAG = "order_no"
# In the recording itself, so that it counts in a budget of money also after `kill -9`.
SET_ASIDE_TAG = "set_aside"


class Sender:
    """Sends a sweep's orders, as many at a time as there may be.

    Attributes
    ----------
    on_start
        Called when an order is begun.
    on_end
        Called with what was recorded of an order.
    on_refusal
        Called with the reason when the budget allows no order more.
    """

    def __init__(
        self, bench: Bench, pace: Pace, ledger: Ledger, options: Options, card: Card
    ) -> None:
        self.bench = bench
        self.pace = pace
        self.ledger = ledger
        self.options = options
        self.card = card
        self.on_start: Callable[[], None] = lambda: None
        self.on_end: Callable[[Planned, list[Record]], None] = lambda _planned, _records: None
        self.on_refusal: Callable[[str], None] = lambda _why: None
        self._key = FreshKey(bench.client())
        self._quotes = Quotes(bench.client(), bench.app_id)
        # With the recorder and not begun yet: what can still be taken back, by number.
        self._handed: dict[int, str] = {}
        self._lost_once: set[int] = set()
        self._slots = asyncio.Semaphore(pace.schedule.concurrency)
        self._ahead = asyncio.Semaphore(_orders_ahead(pace.schedule))
        self._ended = asyncio.Event()  # set whenever an order ends, for whoever waits for one

    async def make_ready(self, variants: Iterable[Variant], left: int | None) -> None:
        """Find out what known orders cost, and open what the first ones need."""
        await self.pace.unless_stopped(self._ask_prices(variants))
        with suppress(FirmlyError, RecorderError):
            if self.options.isolated:
                await self.bench.worker().ready()
            await self._key.get()
            devices = self._devices_at_first(left)
            await self.pace.unless_stopped(self.bench.devices().ready(devices))

    async def turn(self, offset_ns: int | None) -> bool:
        """Wait until the next order is to be made ready; False if it is not any more."""
        if offset_ns is None:
            await self.pace.unless_stopped(self._slots.acquire())
        else:
            await self.pace.until(offset_ns, AHEAD_S)
            await self.pace.unless_stopped(self._ahead.acquire())
        return not self.pace.stopping.is_set()

    async def send(self, planned: Planned, offset_ns: int | None) -> None:
        """See one order through whose turn it is; whatever happens, its places are given back.

        Raises
        ------
        Exception
            Whatever kept it from being sent.
        """
        held = {self._slots} if offset_ns is None else {self._ahead}
        try:
            while not await self._sent_while_fresh(planned, offset_ns, held):
                pass
        finally:
            for places in held:
                places.release()
            self.wake()

    def wake(self) -> None:
        """Let whoever waits for an order to end look again."""
        self._ended.set()

    def hold_back(self) -> None:
        """Take back what the recorder was given ahead of its time and has not begun."""
        for recording_id in self._handed.values():
            self.bench.recall(recording_id)

    def check_guard(self, *variants: Variant) -> None:
        """Ask whether these may be ordered there."""
        for variant in variants:
            guard(self.bench.environment, variant.order.domain, variant.card or self.card)

    async def _ask_prices(self, variants: Iterable[Variant]) -> None:
        for variant in variants:
            # Whoever does not say now is asked again when its order is due.
            with suppress(FirmlyError):
                await self._ask_price(variant.order)

    async def _ask_price(self, order: Order) -> None:
        what = what_of(order)
        if self.ledger.needs_price(what):
            self.ledger.note_price(what, await self._quotes.ask(order))

    def _devices_at_first(self, left: int | None) -> int:
        """Return how many devices the first orders need; more are opened when they are needed."""
        schedule = self.pace.schedule
        needed = schedule.concurrency
        if schedule.rate_per_s is not None:
            needed = min(needed, math.ceil(schedule.rate_per_s * 2 * AHEAD_S))
        return needed if left is None else min(needed, left)

    async def _sent_while_fresh(
        self, planned: Planned, offset_ns: int | None, held: set[asyncio.Semaphore]
    ) -> bool:
        """Return False if it has to be made ready once more: too old by now, or taken back."""
        if offset_ns is not None:
            await self.pace.until(offset_ns, AHEAD_S)
        if self.pace.stopping.is_set():
            return True
        # Where nothing may be ordered nobody is asked for a price either.
        self.check_guard(planned.variant)
        order, card = planned.variant.order, planned.variant.card or self.card
        await self._ask_price(order)
        key = await self._key.get()
        async with self.bench.prepared(order, card, self._options_of(planned), key) as job:
            ready_ns = monotonic_ns()
            if offset_ns is not None:
                await self.pace.until(offset_ns, HANDED_OVER_S)
                if self._slots not in held:
                    await self._slots.acquire()
                    held.add(self._slots)
            if not await self._may_start(planned, offset_ns):
                return True
            if monotonic_ns() - ready_ns > FRESH_S * 1e9:
                return False
            # Nothing is waited for since the budget was asked.
            return await self._record(planned, self._booked(planned, job, offset_ns), held)

    async def _may_start(self, planned: Planned, offset_ns: int | None) -> bool:
        """Ask guard, budget and pauses; where the answer is no, the sweep ends."""
        what = what_of(planned.variant.order)
        while not self.pace.stopping.is_set():
            self.check_guard(planned.variant)
            if await self.pace.pauses():
                continue
            answer = self.ledger.asks(what, self.pace.minutes(offset_ns))
            if answer == YES:
                return True
            if answer != WAIT:
                self.on_refusal(answer)
                return False
            self._ended.clear()
            await self._ended.wait()
        return False

    def _booked(self, planned: Planned, job: Job, offset_ns: int | None) -> Job:
        """Count an order as started; what is set aside for it is written into its recording."""
        set_aside = self.ledger.begin(planned.number, what_of(planned.variant.order))
        if set_aside:
            tags = {**job.start.tags, SET_ASIDE_TAG: money_text(*set_aside)}
            job = replace(job, start=replace(job.start, tags=tags))
        return replace(
            job, planned_ns=None if offset_ns is None else self.pace.planned_ns(offset_ns)
        )

    async def _record(self, planned: Planned, job: Job, held: set[asyncio.Semaphore]) -> bool:
        """Have the order sent and recorded, and count how it ended; False if it was taken back."""
        records: list[Record] = []

        def keep(item: Record) -> None:
            records.append(item)
            if isinstance(item, Start):
                self._has_started(planned, held)

        self._handed[planned.number] = job.start.recording_id
        try:
            await self.bench.record(job, keep)
        except Recalled:
            return False
        except RecorderError:
            # Nothing was sent: a recorder that died with many orders waiting ends no sweep.
            if planned.number in self._lost_once:
                raise
            self._lost_once.add(planned.number)
            return False
        finally:
            self._handed.pop(planned.number, None)
            self._close(planned, records)
        return True

    def _has_started(self, planned: Planned, held: set[asyncio.Semaphore]) -> None:
        self._handed.pop(planned.number, None)
        if self._ahead in held:
            held.discard(self._ahead)
            self._ahead.release()
        self.on_start()

    def _close(self, planned: Planned, records: list[Record]) -> None:
        """Close an order's account: with its total, or as one that was not sent."""
        if not records:
            self.ledger.take_back(planned.number)
            return
        row, what = row_of(records), what_of(planned.variant.order)
        self.ledger.end(planned.number, what, amount_of(row), ordered=was_ordered(row))
        self.on_end(planned, records)

    def _options_of(self, planned: Planned) -> Options:
        tags = {**self.options.tags, **planned.variant.tags, ORDER_NUMBER_TAG: str(planned.number)}
        return replace(self.options, **{**planned.variant.options, "tags": tags})


def _orders_ahead(schedule: Schedule) -> int:
    return max(4, math.ceil((schedule.rate_per_s or 0) * AHEAD_S * 1.5) + 2)
