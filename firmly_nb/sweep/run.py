"""A sweep while it runs: each order gets its turn, and what became of it counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firmly_nb.environments import GuardError
from firmly_nb.recording.recording import Recording
from firmly_nb.recording.records import Record, Start
from firmly_nb.sweep import sender
from firmly_nb.sweep.budget import amount_from
from firmly_nb.sweep.plan import Kind, kind_of
from firmly_nb.sweep.progress import Counts, Progress, State
from firmly_nb.sweep.row import amount_of, point_of, row_of, was_ordered
from firmly_nb.sweep.stand_ins import StandIn, find_stand_ins, settled
from firmly_nb.sweep.threads import next_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from firmly_nb.sweep.plan import Plan, Planned, Variant
    from firmly_nb.sweep.sender import Sender

STOPPED = "stopped by the analyst"
KEPT_RECORDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """An order of which nothing was sent: its number and why."""

    number: int
    error: str


class Run:
    """A sweep while it runs, on the background loop."""

    def __init__(self, plan: Plan, sending: Sender) -> None:
        self.plan = plan
        self.sender = sending
        self.pace = sending.pace
        self.ledger = sending.ledger
        self.counts = Counts(plan.size)
        self.recordings: list[Recording] = []
        self.problems: list[Problem] = []
        self.stand_ins: list[StandIn] = []
        self.message = ""
        self.state: State = "preparing"
        self.on_change: Callable[[], None] = lambda: None
        self.on_stand_ins: Callable[[], None] = lambda: None
        self._why_not_all = ""  # where nothing was stopped, and yet not every order was started
        self._done_before: dict[int, Kind] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        sending.on_start = self._has_started
        sending.on_end = self._has_ended
        sending.on_refusal = self._allow_no_more

    def progress(self) -> Progress:
        """Return how far it is now."""
        return self.counts.picture(
            self.state,
            spent_minor=dict(self.ledger.spent),
            message=self.message,
            notes=tuple(one.said for one in self.stand_ins),
            elapsed_s=self.pace.elapsed_s(),
        )

    def was_done(self, records: Sequence[Record]) -> None:
        """Take over an order that an earlier part of the run placed; it is not placed again.

        Nor is one whose end is unknown: there may be an order.
        """
        start, row = records[0], row_of(records)
        if not isinstance(start, Start):
            return
        number = int(start.tags.get(sender.ORDER_NUMBER_TAG, 0))
        items = tuple((item["variant_id"], item["quantity"]) for item in start.items)
        self._done_before[number] = (start.domain, items)
        set_aside = amount_from(start.tags.get(sender.SET_ASIDE_TAG))
        self.ledger.take_over(amount_of(row), set_aside, ordered=was_ordered(row))
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
            self.pace.end()
            self.message = self.message or self._why_not_all
            left = self.counts.picture(self.state).left
            self.state = "stopped" if self.pace.stopping.is_set() or left else "finished"

    def stop(self, why: str, *, let_finish: bool = False) -> None:
        """Start no order any more; those in flight are closed unless they may finish."""
        self._allow_no_more(why)
        self.sender.hold_back()
        for task in list(self._tasks):
            if not let_finish:
                task.cancel()

    async def _make_ready(self) -> None:
        """Find out what is not known yet, ask the guard, and open what the first order needs."""
        self.sender.check_guard(*self.plan.variants)
        await self.pace.unless_stopped(self._find_items(self.plan.variants))
        self.plan.settle(lambda variant: settled(variant, self.stand_ins))
        await self.sender.make_ready(self.plan.variants, self.counts.picture(self.state).left)
        self.pace.begin(sender.AHEAD_S if self.pace.schedule.is_open else 0.0)

    async def _find_items(self, variants: Sequence[Variant]) -> None:
        """Look up what is ordered at merchants that were named without items."""
        missing = [v for v in variants if settled(v, self.stand_ins).find_items]
        if missing:
            self.stand_ins += await find_stand_ins(self.sender.bench, missing)
            self.on_stand_ins()

    async def _start_all(self) -> None:
        self.state = "stopping" if self.pace.stopping.is_set() else "running"
        offsets = self.pace.schedule.offsets_ns()
        planned_orders = iter(self.plan)
        while planned := await self._next(planned_orders):
            if planned.number in self._done_before:
                self._check_same(planned)
                continue
            offset_ns = next(offsets, -1)
            if offset_ns == -1 or not await self._turn(offset_ns):
                break
            task = asyncio.create_task(self._place(planned, offset_ns))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if planned and self.plan.size is not None:
            self._why_not_all = self._why_not_all or "the time is over"

    async def _next(self, planned_orders: Iterator[Planned]) -> Planned | None:
        """Return the next order of the plan; a generator may take its time, or ask somebody."""
        if self.plan.variants:
            return next(planned_orders, None)
        # One that never answers keeps nobody from stopping.
        asked = next_in_thread(planned_orders)
        await self.pace.unless_stopped(asked)
        planned = None if asked.cancelled() or not asked.done() else asked.result()
        if planned and planned.variant.find_items:
            self.sender.check_guard(planned.variant)
            await self._find_items([planned.variant])
            planned = replace(planned, variant=settled(planned.variant, self.stand_ins))
        return planned

    async def _turn(self, offset_ns: int | None) -> bool:
        """Wait until the next order is to be made ready; False if it is not any more."""
        if why := self.ledger.too_late(self.pace.minutes(offset_ns)):
            # A start that is never to be is not waited for; those before it are.
            self._why_not_all = why
            return False
        return await self.sender.turn(offset_ns) and not self.pace.time_is_over()

    def _check_same(self, planned: Planned) -> None:
        """Refuse to go on where the orders are not those that the run began with."""
        now, before = kind_of(planned.variant.order), self._done_before[planned.number]
        if now != before:
            raise ValueError(
                f"order {planned.number} of this run was at {before[0]} with {dict(before[1])}; "
                f"now it would be at {now[0]} with {dict(now[1])}. Resume with the same orders."
            )

    async def _place(self, planned: Planned, offset_ns: int | None) -> None:
        try:
            await self.sender.send(planned, offset_ns)
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - one order's mishap is not the others'
            self._not_sent(planned, error)

    def _has_started(self) -> None:
        self.counts.begin()
        self.on_change()

    def _has_ended(self, planned: Planned, records: list[Record]) -> None:
        """Count how an order ended, and keep its recording."""
        start, row = records[0], row_of(records)
        if not isinstance(start, Start):
            return
        started_s = (start.started_at_ns - self.pace.began_at_ns) / 1e9
        self.counts.end(point_of(planned.number, row, started_s))
        if len(self.recordings) < KEPT_RECORDINGS:
            self.recordings.append(Recording(records))
        self._heed(self.pace.setbacks.ended(row, records[-1]))
        self.on_change()

    def _not_sent(self, planned: Planned, error: Exception) -> None:
        """Note an order of which nothing was sent."""
        self.problems.append(Problem(planned.number, f"{type(error).__name__}: {error}"))
        self.counts.not_started += 1
        why = str(error) if isinstance(error, GuardError) else self.pace.setbacks.not_sent(error)
        self._heed(why)

    def _heed(self, why: str) -> None:
        """Stop if there is a reason to; if there is a pause, hold back what has not begun."""
        if why:
            self.stop(why, let_finish=True)
        elif not self.pace.stopping.is_set():
            self.message = self.pace.setbacks.message
            if self.pace.setbacks.pause_left_s():
                self.sender.hold_back()

    def _allow_no_more(self, why: str) -> None:
        """Let no order start any more but those that were allowed to; the first reason counts."""
        if not self.pace.stopping.is_set():
            self.message = why
            self.pace.stopping.set()
            self.state = "stopping"
        self.sender.wake()

    async def _all_ended(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))
