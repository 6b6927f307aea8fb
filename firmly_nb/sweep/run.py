"""Running a sweep: each order is made ready ahead of its time and sent by the recorder on time.

Everything that costs time (a session, the key, the encryption, a connection) happens before the
planned start. The recorder's own process, where nothing computes, then sends the order at the
moment, so a busy notebook does not shift the schedule. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import FirmlyError
from firmly_nb.environments import GuardError, guard
from firmly_nb.recording.arrivals import monotonic_ns
from firmly_nb.recording.cut_off import end_of_cut_off
from firmly_nb.recording.isolation import RecorderError
from firmly_nb.recording.recording import Recording
from firmly_nb.recording.records import End, Event, Record, Start
from firmly_nb.recording.rows import order_row
from firmly_nb.sweep.keys import FreshKey
from firmly_nb.sweep.ledger import WAIT, YES, Kind, Ledger, kind_of
from firmly_nb.sweep.progress import Counts, Point, Progress, State
from firmly_nb.sweep.setbacks import Setbacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from firmly_nb.api.models import Card
    from firmly_nb.placing import Bench, Options
    from firmly_nb.recording.recorder import Job
    from firmly_nb.sweep.plan import Plan, Planned
    from firmly_nb.sweep.schedule import Schedule

# Made ready so long before its start: a session, the key, the encryption.
AHEAD_S = 1.0
# Given to the recorder so long before its start: its connection.
HANDED_OVER_S = 0.6
# What was made ready longer ago is made ready again: keys rotate.
FRESH_S = 5.0
STOPPED = "stopped by the analyst"
ORDER_NUMBER_TAG = "order_no"
KEPT_RECORDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """An order of which nothing was sent: its number and why."""

    number: int
    error: str


class Run:
    """A sweep while it runs, on the background loop."""

    def __init__(
        self,
        bench: Bench,
        plan: Plan,
        schedule: Schedule,
        ledger: Ledger,
        options: Options,
        card: Card,
    ) -> None:
        self.bench = bench
        self.plan = plan
        self.schedule = schedule
        self.ledger = ledger
        self.options = options
        self.card = card
        self.counts = Counts(plan.size)
        self.recordings: list[Recording] = []
        self.problems: list[Problem] = []
        self.message = ""
        self.state: State = "preparing"
        self.on_change: Callable[[], None] = lambda: None
        self._done_before: dict[int, Kind] = {}
        self._key = FreshKey(bench.client())
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(schedule.concurrency)
        self._ahead = asyncio.Semaphore(_orders_ahead(schedule))
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()  # set whenever an order ends, for whoever waits for one
        self.began_at_ns = time.time_ns()  # by the wall clock, for the eye
        self._began_ns = monotonic_ns()
        self._over_ns = 0
        self._setbacks = Setbacks()

    def progress(self) -> Progress:
        """Return how far it is now."""
        return self.counts.picture(
            self.state,
            spent_minor=dict(self.ledger.spent),
            message=self.message,
            elapsed_s=max((self._over_ns or monotonic_ns()) - self._began_ns, 0) / 1e9,
        )

    def was_done(self, records: Sequence[Record]) -> None:
        """Take over an order that an earlier part of the run placed; it is not placed again.

        Nor is one whose end is unknown: there may be an order.
        """
        start, row = records[0], row_of(records)
        if not isinstance(start, Start):
            return
        number = int(start.tags.get(ORDER_NUMBER_TAG, 0))
        kind = (start.domain, tuple((i["variant_id"], i["quantity"]) for i in start.items))
        self._done_before[number] = kind
        self.ledger.begin(number, kind)
        self.ledger.end(number, kind, row["outcome"], _total(row))
        self.counts.resume(point_of(number, row, 0.0))

    async def follow(self) -> None:
        """Place every order of the plan, or those until it is stopped."""
        try:
            await self._make_ready()
            await self._start_all()
        except asyncio.CancelledError:
            self.stop(STOPPED)
            raise
        finally:
            # Whatever went wrong with the plan, orders in flight are followed to their end.
            await self._all_ended()
            self._over_ns = monotonic_ns()
            left = self.counts.picture(self.state).left
            self.state = "stopped" if self._stopping.is_set() or left else "finished"

    def stop(self, why: str, *, let_finish: bool = False) -> None:
        """Start no order any more; those in flight are closed unless they may finish."""
        if not self._stopping.is_set():
            self.message = why
            self._stopping.set()
            self.state = "stopping"
        self._ended.set()
        for task in list(self._tasks):
            if not let_finish:
                task.cancel()

    async def _make_ready(self) -> None:
        """Ask the guard about what is known, and open what the first order needs."""
        self._check_guard(*self.plan.variants)
        with suppress(FirmlyError, RecorderError):
            if self.options.isolated:
                await self.bench.worker().ready()
            await self._key.get()
            await self._unless_stopped(self.bench.devices().ready(self._devices_at_first()))
        lead_ns = round(AHEAD_S * 1e9) if self.schedule.is_open else 0
        self._began_ns = monotonic_ns() + lead_ns
        self.began_at_ns = time.time_ns() + lead_ns

    def _devices_at_first(self) -> int:
        """Return how many devices the first orders need; more are opened when they are needed."""
        needed = self.schedule.concurrency
        if self.schedule.rate_per_s is not None:
            needed = min(needed, math.ceil(self.schedule.rate_per_s * 2 * AHEAD_S))
        left = self.counts.picture(self.state).left
        return needed if left is None else min(needed, left)

    async def _start_all(self) -> None:
        self.state = "stopping" if self._stopping.is_set() else "running"
        offsets = self.schedule.offsets_ns()
        planned_orders = iter(self.plan)
        while planned := await self._next(planned_orders):
            if planned.number in self._done_before:
                self._check_same(planned)
                continue
            offset_ns = next(offsets, -1)
            if offset_ns == -1 or not await self._turn(offset_ns) or self._time_is_over():
                break
            task = asyncio.create_task(self._place(planned, offset_ns))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if planned and not self.message:
            self.message = "the time is over"

    async def _next(self, planned_orders: Iterator[Planned]) -> Planned | None:
        """Return the next order of the plan; a generator may take its time, or ask somebody."""
        if self.plan.variants:
            return next(planned_orders, None)
        return await asyncio.to_thread(next, planned_orders, None)

    async def _turn(self, offset_ns: int | None) -> bool:
        """Wait until the next order is to be made ready; False if it is not any more."""
        if offset_ns is None:
            await self._unless_stopped(self._slots.acquire())
        else:
            await self._sleep_until_planned(offset_ns, AHEAD_S)
            await self._unless_stopped(self._ahead.acquire())
        return not self._stopping.is_set()

    def _check_same(self, planned: Planned) -> None:
        """Refuse to go on where the orders are not those that the run began with."""
        now, before = kind_of(planned.variant.order), self._done_before[planned.number]
        if now != before:
            raise ValueError(
                f"order {planned.number} of this run was at {before[0]} with {dict(before[1])}; "
                f"now it would be at {now[0]} with {dict(now[1])}. Resume with the same orders."
            )

    def _time_is_over(self) -> bool:
        """Whether a closed loop has gone on for long enough; an open one has planned starts."""
        limit_s = None if self.schedule.is_open else self.schedule.duration_s
        return limit_s is not None and monotonic_ns() - self._began_ns >= limit_s * 1e9

    async def _place(self, planned: Planned, offset_ns: int | None) -> None:
        """See one order through; whatever happens, its places are given back."""
        held = {self._slots} if offset_ns is None else {self._ahead}
        try:
            await self._follow_order(planned, offset_ns, held)
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - one order's mishap is not the others'
            self._not_sent(planned, error)
        finally:
            for places in held:
                places.release()
            self._ended.set()

    async def _follow_order(
        self, planned: Planned, offset_ns: int | None, held: set[asyncio.Semaphore]
    ) -> None:
        """Make an order ready and have it sent; what had to wait for too long, once more."""
        while not await self._sent_while_fresh(planned, offset_ns, held):
            pass

    async def _sent_while_fresh(
        self, planned: Planned, offset_ns: int | None, held: set[asyncio.Semaphore]
    ) -> bool:
        """Return False if it was ready for so long that key and token may be too old."""
        card = planned.variant.card or self.card
        options = self._options_of(planned)
        order, key = planned.variant.order, await self._key.get()
        async with self.bench.prepared(order, card, options, key) as job:
            ready_ns = monotonic_ns()
            if offset_ns is not None and self._slots not in held:
                await self._sleep_until_planned(offset_ns, HANDED_OVER_S)
                await self._slots.acquire()
                held.add(self._slots)
            if not await self._may_start(planned):
                return True
            if monotonic_ns() - ready_ns > FRESH_S * 1e9:
                return False
            # Nothing is waited for since the budget was asked.
            self.ledger.begin(planned.number, kind_of(order))
            planned_ns = None if offset_ns is None else self._planned_ns(offset_ns)
            await self._record(planned, replace(job, planned_ns=planned_ns), held)
            return True

    async def _may_start(self, planned: Planned) -> bool:
        """Ask guard, budget and pauses; where the answer is no, the sweep ends."""
        kind = kind_of(planned.variant.order)
        while not self._stopping.is_set():
            self._check_guard(planned.variant)
            if pause_s := self._setbacks.pause_left_s():
                await self._unless_stopped(asyncio.sleep(pause_s))
                continue
            answer = self.ledger.asks(kind, self._minutes())
            if answer == YES:
                return True
            if answer != WAIT:
                self.stop(answer, let_finish=True)
                return False
            self._ended.clear()
            await self._ended.wait()
        return False

    async def _record(self, planned: Planned, job: Job, held: set[asyncio.Semaphore]) -> None:
        """Have the order sent and recorded, and count how it ended."""
        records: list[Record] = []

        def keep(item: Record) -> None:
            records.append(item)
            if isinstance(item, Start):
                self._has_started(held)

        try:
            await self.bench.record(job, keep)
        finally:
            self._take(planned, records)

    def _has_started(self, held: set[asyncio.Semaphore]) -> None:
        self.counts.begin()
        if self._ahead in held:
            held.discard(self._ahead)
            self._ahead.release()
        self.on_change()

    def _take(self, planned: Planned, records: list[Record]) -> None:
        """Count what an order left: a recording, or nothing if it was not sent."""
        kind = kind_of(planned.variant.order)
        if not records or not isinstance(records[0], Start):
            self.ledger.end(planned.number, kind, None, None)
            return
        row = row_of(records)
        self.ledger.end(planned.number, kind, row["outcome"], _total(row))
        started_s = (records[0].started_at_ns - self.began_at_ns) / 1e9
        self.counts.end(point_of(planned.number, row, started_s))
        if len(self.recordings) < KEPT_RECORDINGS:
            self.recordings.append(Recording(records))
        self._heed(self._setbacks.ended(row, records[-1]))
        self.on_change()

    def _not_sent(self, planned: Planned, error: Exception) -> None:
        """Note an order of which nothing was sent."""
        self.problems.append(Problem(planned.number, f"{type(error).__name__}: {error}"))
        self.counts.not_started += 1
        why = str(error) if isinstance(error, GuardError) else self._setbacks.not_sent(error)
        self._heed(why)

    def _heed(self, why: str) -> None:
        """Stop if there is a reason to; say of a pause that there was one."""
        if why:
            self.stop(why, let_finish=True)
        elif not self._stopping.is_set():
            self.message = self._setbacks.message

    def _options_of(self, planned: Planned) -> Options:
        tags = {**self.options.tags, **planned.variant.tags, ORDER_NUMBER_TAG: str(planned.number)}
        return replace(self.options, **{**planned.variant.options, "tags": tags})

    def _check_guard(self, *variants: Any) -> None:
        for variant in variants:
            guard(self.bench.environment, variant.order.domain, variant.card or self.card)

    def _minutes(self) -> float:
        return (monotonic_ns() - self._began_ns) / 60e9

    def _planned_ns(self, offset_ns: int) -> int:
        return self._began_ns + offset_ns + self._setbacks.shift_ns

    async def _sleep_until_planned(self, offset_ns: int, before_s: float) -> None:
        """Sleep until so long before a planned start, also where the plan moves meanwhile."""
        while not self._stopping.is_set():
            rest_s = (self._planned_ns(offset_ns) - monotonic_ns()) / 1e9 - before_s
            if rest_s <= 0:
                return
            await self._unless_stopped(asyncio.sleep(rest_s))

    async def _unless_stopped(self, waiting: Any) -> None:
        """Wait for something, or until the sweep is stopped."""
        task = asyncio.ensure_future(waiting)
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for one in (task, stopped):
                one.cancel()

    async def _all_ended(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))


def _orders_ahead(schedule: Schedule) -> int:
    return max(4, math.ceil((schedule.rate_per_s or 0) * AHEAD_S * 1.5) + 2)


def row_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return a recording's row of the table of orders, without a table."""
    start, last = records[0], records[-1]
    if not isinstance(start, Start):
        raise TypeError("a recording begins with a start record")
    events = [record for record in records if isinstance(record, Event)]
    end = last if isinstance(last, End) else end_of_cut_off(start, events)
    return order_row(start, events, end)


def _total(row: dict[str, Any]) -> tuple[int, str] | None:
    return None if row["total_minor"] is None else (row["total_minor"], row["currency"])


def point_of(number: int, row: dict[str, Any], started_s: float) -> Point:
    """Return an order as progress shows it."""
    placed_ms = row["time_to_order_placed_ms"]
    return Point(
        number,
        started_s,
        row["order_latency_ms"] if placed_ms is None else placed_ms,
        row["outcome"],
        row["schedule_lag_ms"],
    )
