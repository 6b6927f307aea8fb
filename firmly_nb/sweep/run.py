"""Run of a sweep: each order waits for its turn, is sent, and its outcome is counted.

Everything that costs time (a session, the key, the encryption, a connection) happens before the
planned start. The recorder's own process, where nothing computes, then sends the order at the
moment, so a busy notebook does not shift the schedule. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from firmly_nb.api.card import encrypt_card
from firmly_nb.api.errors import FirmlyError, InvalidInput, make_error
from firmly_nb.display.messages import coded_error, tells_names
from firmly_nb.environments import GuardError, guard
from firmly_nb.outcomes import ANSWERED, NO, YES
from firmly_nb.recorder.endings import recorded
from firmly_nb.recorder.process import Recalled, RecorderError
from firmly_nb.recorder.records import End, Record, Start, start_of
from firmly_nb.recorder.tables import headline_ms, order_row
from firmly_nb.recordings.recording import Recording
from firmly_nb.sweep.budget import GO, WAIT, Ledger, Quotes, amount_from, noted_amount, what_of
from firmly_nb.sweep.plan import Kind, StandIn, find_stand_ins, kind_of, settled
from firmly_nb.sweep.progress import Counts, Point, Progress, State
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from firmly_nb.api.card import PublicKey
    from firmly_nb.api.client import FirmlyClient
    from firmly_nb.api.models import Card
    from firmly_nb.engine import Bench
    from firmly_nb.options import Options
    from firmly_nb.recorder.job import Job
    from firmly_nb.sweep.budget import Amount
    from firmly_nb.sweep.pace import Pace, Schedule
    from firmly_nb.sweep.plan import Plan, Planned, Variant


# Keys rotate and are not to be kept for long.
KEPT_S = 1.0
# Made ready so long before its start: a session, the key, the encryption.
AHEAD_S = 1.0
# Given to the recorder so long before its start: its connection.
HANDED_OVER_S = 0.6
# What was made ready longer ago is made ready again: keys rotate.
FRESH_S = 5.0
ORDER_NUMBER_TAG = "order_no"
# In the recording itself, so that it counts in a budget of money also after `kill -9`.
SET_ASIDE_TAG = "set_aside"
STOPPED = "stopped by the analyst"
KEPT_RECORDINGS = 10_000


def row_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return a recording's row of the table of orders, without a table."""
    return order_row(*recorded(records)[:3])


def amount_of(row: dict[str, Any]) -> Amount | None:
    """Return the last total that was seen of an order; None if none was."""
    return None if row["total_minor"] is None else (row["total_minor"], row["currency"])


def point_of(number: int, row: dict[str, Any], started_s: float) -> Point:
    """Return an order as progress shows it."""
    return Point(number, started_s, headline_ms(row), row["outcome"], row["schedule_lag_ms"])


def was_ordered(records: Sequence[Record], row: dict[str, Any]) -> bool | None:
    """Return whether the order exists; None if that is not known for good."""
    if isinstance(records[-1], End) and records[-1].settled and row["order_exists"] == NO:
        return None  # the merchant may still be at work on a cart that was active when asked
    return {YES: True, NO: False}.get(row["order_exists"])


def take_over(ledger: Ledger, records: Sequence[Record]) -> None:
    """Count an order of an earlier part in the account of a sweep."""
    row, set_aside = row_of(records), amount_from(start_of(records).tags.get(SET_ASIDE_TAG))
    ledger.take_over(amount_of(row), set_aside, ordered=was_ordered(records, row))


@dataclass
class FreshKey:
    """Key for cards, fetched at most once a second for all orders.

    Attributes
    ----------
    client
        The client that fetches it.
    kid
        Id of the key that was fetched last.
    """

    client: FirmlyClient
    kid: str = ""
    _key: PublicKey | None = None
    _asked_ns: int = 0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self) -> PublicKey:
        """Return a key that was asked for within the last second."""
        async with self._asking:
            if self._key is None or monotonic_ns() - self._asked_ns > KEPT_S * 1e9:
                self._asked_ns = monotonic_ns()
                self._key = await self.client.payment_key()
                self.kid = self._key.kid
            return self._key

    async def has_changed(self) -> bool:
        """Fetch it anew, and return whether it is another one."""
        before, self._key = self.kid, None
        await self.get()
        return self.kid != before


@dataclass
class Desk:
    """A lab's part of a sweep: who sends, the key for cards, and what orders cost there."""

    bench: Bench
    key: FreshKey
    quotes: Quotes

    @classmethod
    def of(cls, bench: Bench) -> Desk:
        """Return the part of a lab."""
        return cls(bench, FreshKey(bench.client()), Quotes(bench.client(), bench.app_id))

    def is_fresh(self, job: Job, key: PublicKey, ready_ns: int) -> bool:
        """Return whether what was made ready is still good: its age, its key and its session."""
        devices = self.bench.devices()
        session = devices.session_of(job.start.recording_id)
        ended = session is not None and devices.is_stale(session)
        is_young = monotonic_ns() - ready_ns <= FRESH_S * 1e9
        return is_young and not ended and key.kid == self.key.kid


class Sender:
    """Sender of a sweep's orders, up to the allowed number at a time.

    Attributes
    ----------
    desks
        The lab, and the other one of a comparison of two labs.
    slots
        Of the orders in flight; one of each.
    before_s
        How long before its planned start an order is given away.
    on_start
        Called when an order is begun.
    on_end
        Called with what was recorded of an order, its row, and why the sweep must stop, if it must.
    on_refusal
        Called with the reason when the budget allows no order more.
    """

    before_s = HANDED_OVER_S

    def __init__(
        self,
        benches: Sequence[Bench],
        pace: Pace,
        ledger: Ledger,
        options: Options,
        card: Card,
    ) -> None:
        self.desks = [Desk.of(bench) for bench in benches]
        self.pace = pace
        self.ledger = ledger
        self.options = options
        self.card = card
        self.on_start: Callable[[], None] = lambda: None
        self.on_end: Callable[[Planned, list[Record], dict[str, Any], str], None]
        self.on_end = lambda *_: None
        self.on_refusal: Callable[[str], None] = lambda _why: None
        # With a recorder and not begun yet: what can still be taken back, by number.
        self._handed: dict[int, tuple[Desk, str]] = {}
        self._lost_once: set[int] = set()
        self.slots = asyncio.Semaphore(pace.schedule.concurrency)
        self._ahead = asyncio.Semaphore(_orders_ahead(pace.schedule))
        self._ended = asyncio.Event()  # set whenever an order ends, for whoever waits for one

    async def make_ready(self, variants: Iterable[Variant], left: int | None) -> None:
        """Find out what known orders cost, and open what the first ones need."""
        await self.pace.unless_stopped(self._ask_prices(variants))
        for desk in self.desks:
            with suppress(FirmlyError, RecorderError):
                if self.options.isolated:
                    await desk.bench.worker().ready()
                self._rehearse(variants, await desk.key.get())
                devices = self._devices_at_first(left)
                await self.pace.unless_stopped(desk.bench.devices().ready(devices))

    def _rehearse(self, variants: Iterable[Variant], key: PublicKey) -> None:
        """Encrypt a card once for nothing: the first time takes as long as ten orders later on."""
        for variant in islice(variants, 1):
            variant.order.wire(encrypt_card(variant.card or self.card, key))

    async def turn(self, offset_ns: int | None) -> bool:
        """Wait until the next order is to be made ready; False if it is not any more."""
        if offset_ns is None:
            await self.pace.unless_stopped(self.slots.acquire())
        else:
            await self.pace.until(offset_ns, AHEAD_S)
            await self.pace.unless_stopped(self._ahead.acquire())
        return not self.pace.stopping.is_set()

    async def send(self, planned: Planned, offset_ns: int | None) -> None:
        """See one order through whose turn it is; whatever happens, its slots are given back.

        Raises
        ------
        Exception
            Whatever kept it from being sent.
        """
        held = {self.slots} if offset_ns is None else {self._ahead}
        try:
            while not await self._sent_while_fresh(planned, offset_ns, held):
                pass
        finally:
            for slots in held:
                slots.release()
            self.wake()

    def wake(self) -> None:
        """Let whoever waits for an order to end look again."""
        self._ended.set()

    def hold_back(self) -> None:
        """Take back what the recorder was given ahead of its time and has not begun."""
        for desk in self.desks:
            self._take_back(desk)

    async def aclose(self) -> None:
        """Give back what is held elsewhere than in the labs: nothing."""

    def _take_back(self, desk: Desk) -> None:
        for of, recording_id in self._handed.values():
            if of is desk:
                desk.bench.recall(recording_id)

    def _desk(self, variant: Variant) -> Desk:
        return self.desks[variant.lab]

    def check_guard(self, *variants: Variant) -> None:
        """Ask whether these may be ordered there."""
        for variant in variants:
            environment = self._desk(variant).bench.environment
            guard(environment, variant.order.domain, variant.card or self.card)

    async def _ask_prices(self, variants: Iterable[Variant]) -> None:
        for variant in variants:
            # Whoever does not say now is asked again when its order is due.
            with suppress(FirmlyError):
                await self._ask_price(variant)

    async def _ask_price(self, variant: Variant, offset_ns: int | None = None) -> None:
        """Find out what an order costs; the plan waits for it."""
        what = what_of(variant.order)
        if self.ledger.needs_price(what):
            with self.pace.held_up(offset_ns, self.before_s):
                self.ledger.note_price(what, await self._desk(variant).quotes.ask(variant.order))

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
        await self._ask_price(planned.variant, offset_ns)
        desk, how = self._desk(planned.variant), self._options_of(planned)
        key = await desk.key.get()
        async with desk.bench.prepared(order, card, how, key) as job:
            ready_ns = monotonic_ns()
            if offset_ns is not None:
                await self.pace.until(offset_ns, self.before_s)
                if self.slots not in held:
                    await self.slots.acquire()
                    held.add(self.slots)
            if not await self._may_start(planned, offset_ns):
                return True
            if not desk.is_fresh(job, key, ready_ns):
                return False
            # Nothing is waited for since the budget was asked.
            return await self._record(planned, self._booked(planned, job, offset_ns), held)

    async def _heed_refusal(self, desk: Desk, end: Record) -> None:
        """Take back what was made ready with a session or a key that has ended by now."""
        if not isinstance(end, End) or end.outcome not in ANSWERED:
            return
        error = make_error(end.error_code or "", "", end.http_status)
        is_over = error.refuses_token
        if isinstance(error, InvalidInput):
            # The card may be encrypted with a key that is no more.
            with suppress(FirmlyError):
                is_over = await desk.key.has_changed()
        if is_over:
            self._take_back(desk)

    async def _may_start(self, planned: Planned, offset_ns: int | None) -> bool:
        """Ask guard, budget and pauses; end the sweep if one refuses."""

        def asked() -> str:
            minutes = self.pace.minutes(offset_ns)
            return self.ledger.asks(what_of(planned.variant.order), minutes)

        while not self.pace.stopping.is_set():
            self.check_guard(planned.variant)
            if await self.pace.pauses():
                continue
            answer = asked()
            if answer == GO:
                return True
            if answer != WAIT:
                self.on_refusal(answer)
                return False
            with self.pace.held_up(offset_ns, self.before_s):
                while asked() == WAIT and not self.pace.stopping.is_set():
                    self._ended.clear()
                    await self._ended.wait()
            if offset_ns is not None:
                await self.pace.until(offset_ns, self.before_s)
        return False

    def _booked(self, planned: Planned, job: Job, offset_ns: int | None) -> Job:
        """Count an order as started; what is set aside for it is written into its recording."""
        set_aside = self.ledger.begin(planned.number, what_of(planned.variant.order))
        if set_aside:
            tags = {**job.start.tags, SET_ASIDE_TAG: noted_amount(*set_aside)}
            job = replace(job, start=replace(job.start, tags=tags))
        return replace(
            job, planned_ns=None if offset_ns is None else self.pace.planned_ns(offset_ns)
        )

    async def _record(self, planned: Planned, job: Job, held: set[asyncio.Semaphore]) -> bool:
        """Have the order sent and recorded, and count how it ended; False if it was taken back."""
        records: list[Record] = []

        def keep(item: Record) -> None:
            records.append(item)
            if len(records) == 1 and isinstance(item, Start):
                self._has_started(planned, held)

        desk = self._desk(planned.variant)
        self._handed[planned.number] = desk, job.start.recording_id
        try:
            rec = await desk.bench.record(job, keep, settle=self.options.settle)
            records[:] = rec.records()
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
        await self._heed_refusal(desk, records[-1])
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
        self.ledger.end(planned.number, what, amount_of(row), ordered=was_ordered(records, row))
        why = self.pace.setbacks.ended(row, records[-1], self._session_ns(planned, records))
        self.on_end(planned, records, row, why)

    def _session_ns(self, planned: Planned, records: Sequence[Record]) -> int | None:
        """Return when the session of an order at work was made."""
        devices = self._desk(planned.variant).bench.devices()
        session = devices.session_of(start_of(records).recording_id)
        return session.made_ns if session else None

    def _options_of(self, planned: Planned) -> Options:
        tags = {**self.options.tags, **planned.variant.tags, ORDER_NUMBER_TAG: str(planned.number)}
        return replace(self.options, **{**planned.variant.options, "tags": tags})


def _orders_ahead(schedule: Schedule) -> int:
    return max(4, math.ceil((schedule.rate_per_s or 0) * AHEAD_S * 1.5) + 2)


Thing = TypeVar("Thing")


def next_in_thread(things: Iterator[Thing]) -> asyncio.Future[Thing | None]:
    """Ask an iterator for its next thing in a thread of its own; None at its end.

    Not ``asyncio.to_thread``: its threads are waited for when the loop or the interpreter ends, and
    a generator that never answers would hold up both.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Thing | None] = loop.create_future()

    def tell(thing: Thing | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(thing)
        else:
            answer.set_exception(error)

    def ask() -> None:
        thing, error = None, None
        try:
            thing = next(things, None)
        except BaseException as failure:  # noqa: BLE001 - raised again where it is awaited
            error = failure
        with suppress(RuntimeError):  # the loop may be gone by now
            loop.call_soon_threadsafe(tell, thing, error)

    threading.Thread(target=ask, name="firmly-nb orders", daemon=True).start()
    return answer


@tells_names
@dataclass(frozen=True, slots=True)
class Problem:
    """Order of which nothing was sent, or of which nothing is known: its number and why."""

    number: int
    error: str
    unknown: bool = False


class Run:
    """Running sweep on the background loop."""

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
        self.notes: list[str] = []  # on the machines of the sweep
        self.hosts: list[dict[str, Any]] = []  # in the form of ``HOSTS``; empty on one machine
        self._why_not_all = ""  # where nothing was stopped, and yet not every order was started
        self._done_before: dict[int, Kind] = {}
        self._left_out: set[int] = set()  # of unknown end: never placed again
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
            notes=(*self.notes, *(one.said for one in self.stand_ins)),
            elapsed_s=self.pace.elapsed_s(),
            hosts=tuple(self.hosts),
        )

    def was_done(self, records: Sequence[Record]) -> None:
        """Take over an order that an earlier part of the run placed; it is not placed again.

        Nor is one whose end is unknown: there may be an order.
        """
        start, row = start_of(records), row_of(records)
        number = int(start.tags.get(ORDER_NUMBER_TAG, 0))
        items = tuple((item["variant_id"], item["quantity"]) for item in start.items)
        self._done_before[number] = (start.domain, items)
        take_over(self.ledger, records)
        self.counts.resume(point_of(number, row, 0.0))

    def was_found(self, records: list[Record]) -> None:
        """Take over an order of an earlier part that another machine had kept; once only."""
        if int(start_of(records).tags.get(ORDER_NUMBER_TAG, 0)) in self._done_before:
            return
        self.was_done(records)
        self.recordings.append(Recording(records))

    def note_hosts(self, rows: Sequence[dict[str, Any]]) -> None:
        """Note what is known of machines now, in the form of ``HOSTS``."""
        told = {row["host"]: row for row in (*self.hosts, *rows)}
        self.hosts = list(told.values())
        self.on_change()

    def is_unknown(self, number: int, why: str, begun: bool) -> None:
        """Note an order that may exist, and that nobody can be asked about; it is left out."""
        self._left_out.add(number)
        self.problems.append(Problem(number, why, unknown=True))
        self.counts.leave(begun=begun)
        self.on_change()

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
            await self.sender.aclose()
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
        self.pace.begin(AHEAD_S if self.pace.schedule.is_open else 0.0)

    async def _find_items(self, variants: Sequence[Variant]) -> None:
        """Look up what is ordered at merchants that were named without items."""
        missing = [v for v in variants if settled(v, self.stand_ins).find_items]
        if missing:
            self.stand_ins += await find_stand_ins(self.sender.desks[0].bench, missing)
            self.on_stand_ins()

    async def _start_all(self) -> None:
        self.state = "stopping" if self.pace.stopping.is_set() else "running"
        offsets = self.pace.schedule.offsets_ns()
        planned_orders = iter(self.plan)
        while planned := await self._next(planned_orders):
            if planned.number in self._done_before:
                self._check_same(planned)
                continue
            if planned.number in self._left_out:
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
            raise coded_error(
                ValueError,
                "FNB516",
                f"Order {planned.number} of this run was at {before[0]} with {dict(before[1])}; "
                f"now it would be at {now[0]} with {dict(now[1])}. Resume with the same orders.",
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

    def _has_ended(
        self, planned: Planned, records: list[Record], row: dict[str, Any], why: str
    ) -> None:
        """Count how an order ended, and keep its recording."""
        started_ns = start_of(records).started_at_ns or self.pace.began_at_ns
        started_s = (started_ns - self.pace.began_at_ns) / 1e9
        self.counts.end(point_of(planned.number, row, started_s))
        if len(self.recordings) < KEPT_RECORDINGS:
            self.recordings.append(Recording(records))
        self._heed(why)
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
