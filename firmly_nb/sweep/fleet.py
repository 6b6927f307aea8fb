"""Sweep from several machines, seen by its coordinator: leases, and what becomes of them.

Each order of the plan is lent to one host (``host``) until some moment. The intent is on the disk
before that, and in it what was set aside for the order of the budget's money. An order is lent
again only once its host has said that it was not sent and will not be. One whose host cannot be
asked is of unknown end: it is named, and its money stays spent.
"""

from __future__ import annotations

import asyncio
import platform
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from anyio import CancelScope
from typing_extensions import override

from firmly_nb.api.errors import RateLimited, make_error
from firmly_nb.api.models import Card
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.display.text import count
from firmly_nb.recorder.journal import SUFFIX, JournalError, find_journal
from firmly_nb.recorder.records import Record, decode, start_of
from firmly_nb.sweep.budget import amount_from, noted_amount, what_of
from firmly_nb.sweep.cluster import (
    CALL_S,
    OPEN_S,
    PACKAGE,
    ClientClosed,
    Cluster,
    FleetError,
    HostLost,
    HostSlow,
    is_encrypted,
)
from firmly_nb.sweep.host import (
    BEGUN,
    ENDED,
    FAILED,
    GATHERED_S,
    NOT_SENT,
    UNFIT,
    UNKNOWN,
    Opening,
    Slot,
    card_name,
    check_variant,
)
from firmly_nb.sweep.run import SET_ASIDE_TAG, Sender, amount_of, row_of, was_ordered
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from distributed import Client

    from firmly_nb.engine import Bench
    from firmly_nb.options import Options
    from firmly_nb.sweep.budget import Amount, Ledger
    from firmly_nb.sweep.cluster import Worker
    from firmly_nb.sweep.leases import Intents
    from firmly_nb.sweep.pace import Pace
    from firmly_nb.sweep.plan import Planned, Variant


# An order is lent so long before its start: it is made ready a second ahead.
LENT_AHEAD_S = 2.0
# After its planned start, or after now, an order may be sent for so long.
LEASE_S = 10.0
# Not sent so often, an order is left out and named.
MOST_LEASES = 10
NEWS_S = 1.0
LOOKED_EVERY_S = 2.0  # for hosts that join
MEASURED_EVERY_S = 60.0
# So long a host that went away is waited for.
PATIENCE_S = 60.0
AGAIN_S, MOST_AGAIN_S = 0.5, 5.0
# One that answered, and cannot place orders, is asked less and less often until it has placed one.
MOST_UNFIT_S = 60.0
CANCEL_S = 20.0
MOST_WALL_NS = 1_000_000_000  # by which wall clocks may differ before it is said
BUSY_S = 12.0  # so long a coordinator that may be dead is waited for

Fate = dict[str, Any]


class HostUnfit(HostLost):
    """Host that cannot place orders for a reason of its own, such as a full disk."""


class Superseded(Exception):  # noqa: N818 - somebody else goes on
    """Run that another coordinator took over."""


@dataclass
class Link:
    """Host as the coordinator sees it."""

    name: str
    share: int  # of the orders in flight; 0: it is only asked what became of earlier ones
    address: str = ""
    actor: Any = None
    epochs: tuple[int, ...] = ()  # that were taken for it; it has the last
    offset_ns: int = 0
    error_ns: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    why: str = ""  # why it is not up, or is lent nothing more
    up: bool = False
    slow: bool = False  # at the beginning: it had not answered when the others had
    joined: bool = False  # while orders were placed
    wall_differs: bool = False  # its wall clock, by more than a second
    unfit: bool = False  # it cannot place orders for a reason of its own, as far as is known
    is_told: bool = False  # that it is
    is_out: bool = False  # for good, until another worker has its name
    again_s: float = AGAIN_S  # it is asked again after so long
    seen_ns: int = field(default_factory=monotonic_ns)
    lent_until_ns: int = 0  # the last end of a lease, on the clock here
    is_given_up: bool = False  # since it cannot be asked, and until it is opened again
    heard: int = 0  # news up to there
    n_lent: int = 0  # orders so far
    queue: dict[int, Slot] = field(default_factory=dict)  # not lent yet
    outstanding: dict[int, asyncio.Future[Fate]] = field(default_factory=dict)
    # The id of the lease of each, and the epoch in which it was lent.
    leases: dict[int, tuple[str, int]] = field(default_factory=dict)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def epoch(self) -> int:
        """Epoch of what is lent to it."""
        return self.epochs[-1]

    def wait_for(self, number: int, lease: str, epoch: int) -> asyncio.Future[Fate]:
        """Return what will tell what became of a lease."""
        self.leases[number] = lease, epoch
        self.outstanding[number] = asyncio.get_running_loop().create_future()
        return self.outstanding[number]

    @property
    def takes_orders(self) -> bool:
        """True if orders can be lent to it."""
        return self.up and self.share > 0 and not self.why

    @property
    def load(self) -> float:
        """Share of the room that is taken."""
        return len(self.outstanding) / self.share

    def row(self) -> dict[str, Any]:
        """Return the row of the host, in the form of ``HOSTS``."""
        return {
            "host": self.name,
            "clock_offset_ms": self.offset_ns / 1e6 if self.up else None,
            "clock_error_ms": self.error_ns / 1e6 if self.up else None,
            "tls": is_encrypted(self.address),
            "firmly_nb": self.about.get("firmly-nb"),
            **{name: self.about.get(name) for name in ("python", "distributed", "platform")},
            "calibration_us": self.about.get("calibration_us"),
            "orders": self.share,
            "problem": self.why or None,
        }

    def take_back(self, why: str) -> None:
        """Tell that what waits to be lent is not sent."""
        queued, self.queue = self.queue, {}
        for number in queued:
            self.settle(number, {"kind": NOT_SENT, "why": why})

    def settle(self, number: int, fate: Fate) -> None:
        """Tell whoever waits for an order what became of it."""
        self.leases.pop(number, None)
        future = self.outstanding.pop(number, None)
        if future and not future.done():
            future.set_result(fate)


class Fleet(Sender):
    """Sender of a sweep's orders over the hosts of a cluster; the budget is kept here.

    Attributes
    ----------
    links
        The hosts by name.
    on_found
        Called with the records of an order of an earlier part that a host had kept.
    on_unknown
        Called with the number of an order of unknown end, why, and whether it was seen to begin.
    on_note
        Called with what the analyst should know of the hosts.
    on_hosts
        Called with a row a host, in the form of ``HOSTS``, before the first order of each.
    """

    before_s = LENT_AHEAD_S

    def __init__(
        self,
        benches: Sequence[Bench],
        pace: Pace,
        ledger: Ledger,
        options: Options,
        card: Card | None,
        client: Client,
        intents: Intents,
    ) -> None:
        super().__init__(benches, pace, ledger, options, card or Card.test())
        self.card_name = card_name(card)
        self.cluster = Cluster(client, str(options.run_id))
        self.intents = intents
        self.links: dict[str, Link] = {}
        self.on_found: Callable[[list[Record]], None] = lambda _: None
        self.on_unknown: Callable[[int, str, bool], None] = lambda *_: None
        self.on_note: Callable[[str], None] = lambda _: None
        self.on_hosts: Callable[[list[dict[str, Any]]], None] = lambda _: None
        self._coordinator = secrets.token_hex(8)
        self._serving: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._noted: set[str] = set()
        self._changed = asyncio.Event()  # a host came, went, or has room
        self._begun: set[int] = set()
        self._lent_here: set[int] = set()
        self._recorded: set[int] = set()  # these are lent to nobody any more
        self._leases = 0

    # Before the first order: which hosts there are, and what they know.

    @override
    async def make_ready(self, variants: Iterable[Variant], left: int | None) -> None:
        await self.pace.unless_stopped(self._ask_prices(variants))
        await self.pace.unless_stopped(self._gather())

    async def _gather(self) -> None:
        """Open every host, and find out what became of the orders of earlier parts.

        Raises
        ------
        FleetError
            If there is no host, or another coordinator holds the run.
        """
        found = await self._workers()
        # Taken now: what is heard of is open no more.
        before = dict(self.intents.open)
        waiting = self._make_links(found, before)
        await self._open_all()
        await self._share_out()
        if not any(link.takes_orders for link in self.links.values()):
            raise coded_error(
                FleetError,
                "FNB543",
                f"No host can place orders. {self._why()}. Mend one of them, and resume the run.",
            )
        for link in self.links.values():
            self._go_on(self._serve(link))
        self.on_hosts([link.row() for link in self.links.values()])
        for note in _notes(self.links.values()):
            self._note(note)
        for link in self.links.values():
            link.is_told = link.unfit
        await self._settle_before(before, waiting)
        self._watching = asyncio.create_task(self._watch())

    async def _open_all(self) -> None:
        """Open every host; none that is only slow is refused at once, if no other places orders.

        A busy machine that loads this package for the first time may take longer than a call.
        """
        late_ns = monotonic_ns() + round(OPEN_S * 1e9)
        while True:
            # All are asked before one is told: a log of before must not end another's right to
            # lend.
            await self._try(self._meet)
            await self._try(self._enter)
            slow = [link for link in self.links.values() if link.slow and link.share]
            is_enough = any(link.takes_orders for link in self.links.values())
            if is_enough or not slow or monotonic_ns() > late_ns:
                return
            for link in slow:
                self._note(f"{link.name} is asked again: {link.why}")
                link.why = ""

    async def _workers(self) -> dict[str, Worker]:
        try:
            found = await self.cluster.workers()
            there = await self.cluster.version_at(None)
        except HostLost as lost:
            text = f"The scheduler is not reached: {lost}. Nothing was sent. Start it again."
            raise coded_error(FleetError, "FNB542", text) from None
        if why := _other_version(there):
            text = f"The scheduler has {why}. Install the same version there."
            raise coded_error(FleetError, "FNB543", text)
        if not found:
            text = "The cluster has no worker. Start one, such as dask worker ADDRESS --name paris."
            raise coded_error(FleetError, "FNB542", text)
        return found

    def _make_links(
        self, found: Iterable[str], before: Mapping[int, Mapping[str, Any]]
    ) -> dict[int, asyncio.Future[Fate]]:
        """Make a link to each host; return what will tell what became of earlier leases."""
        total, names = self.pace.schedule.concurrency, sorted(found)
        asked = {entry["host"] for entry in before.values()}
        for name, share in zip(names, _shares(total, len(names)), strict=True):
            if share or name in asked:
                self.links[name] = Link(name, share)
            if not share:
                self._note(_no_room(name, total, len(names)))
        return {
            number: self.links[entry["host"]].wait_for(number, entry["lease"], entry["epoch"])
            for number, entry in before.items()
            if entry["host"] in self.links
        }

    async def _try(self, step: Callable[[Link], Coroutine[Any, Any, None]]) -> None:
        """Take a step with every host that is not lost already."""

        async def tried(link: Link) -> None:
            try:
                await step(link)
                link.slow = False
            except HostLost as lost:
                link.why, link.slow = str(lost), isinstance(lost, HostSlow)
                link.unfit = isinstance(lost, HostUnfit)
            except Superseded:
                raise _held_elsewhere(self.cluster.run_id) from None

        steps = [tried(link) for link in self.links.values() if not link.why]
        for failure in filter(None, await asyncio.gather(*steps, return_exceptions=True)):
            raise failure

    async def _ask(
        self, link: Link, what: str, *given: Any, within_s: float | None = None, **named: Any
    ) -> Any:
        """Call a method of a host; most do at once what they are asked."""
        within_s = CALL_S if within_s is None else within_s
        return await self.cluster.call(link.actor, what, *given, within_s=within_s, **named)

    def _note(self, note: str) -> None:
        """Say something once."""
        if note not in self._noted:
            self._noted.add(note)
            self.on_note(note)

    def _why(self) -> str:
        return "; ".join(f"{one.name}: {one.why.rstrip('.')}" for one in self.links.values())

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _settle_before(
        self,
        before: Mapping[int, Mapping[str, Any]],
        waiting: Mapping[int, asyncio.Future[Fate]],
    ) -> None:
        """Take over what became of orders that an earlier part lent."""
        if waiting:
            limit_s = self.options.timeout_s + PATIENCE_S
            await asyncio.wait(waiting.values(), timeout=limit_s)
        for number, entry in before.items():
            future = waiting.get(number)
            fate: Fate = {"kind": UNKNOWN}
            if future and future.done():
                fate = future.result()
            if fate["kind"] == ENDED:
                self.on_found(fate["records"])
            elif fate["kind"] == UNKNOWN:
                host = entry["host"]
                lacks = "has not answered" if number in waiting else "is not in the cluster"
                why = fate.get("why") or f"{host} {lacks}"
                self.ledger.take_over(None, amount_from(entry.get("set_aside")), ordered=None)
                self.on_unknown(number, f"it was lent to {host}, and {why}", False)

    async def _meet(self, link: Link) -> None:
        """Find a host's worker, and whether it has begun what this coordinator did not lend."""
        link.up = False
        worker = (await self.cluster.workers()).get(link.name)
        if worker is None:
            raise HostLost("it is not in the cluster")
        # An actor would wait there.
        if worker.why_not:
            raise HostUnfit(worker.why_not)
        address = worker.address
        if why := _other_version(await self.cluster.version_at(address)):
            raise HostUnfit(f"it has {why}: install the same version")
        link.actor = await self.cluster.actor(link.name, address)
        link.address = address
        link.about |= await self._ask(link, "describe")
        lent = frozenset(self.intents.lent.get(link.name, ()))
        if not await self._ask(link, "knows", lent, within_s=OPEN_S):
            raise Superseded
        await self._compare_clocks(link)

    async def _compare_clocks(self, link: Link) -> None:
        """Measure a host's clock, and say if its calendar is another one."""
        link.offset_ns, link.error_ns = await self.cluster.offset(link.actor)
        before = time.time_ns()
        there = await self._ask(link, "wall_clock")
        after = time.time_ns()
        off_ns = there - (before + after) // 2
        if abs(off_ns) - (after - before) > MOST_WALL_NS:
            if not link.wall_differs:
                away = f"{count(round(abs(off_ns) / 1e9))} s {'ahead' if off_ns > 0 else 'behind'}"
                said = f"The wall clock of {link.name} is {away}, and so is started_at of its"
                self._note(f"{said} orders. Durations are right. Set the clock there.")
            link.wall_differs = True

    async def _enter(self, link: Link) -> None:
        """Take a host over, with an epoch of its own."""
        where = self.desks[0].bench
        opening = Opening(
            coordinator=self._coordinator,
            host=link.name,
            environment=where.environment,
            milestones=where.milestones,
            keep_personal=where.keep_personal,
            ca_file=where.ca_file if where.environment.is_local else None,
            schedule=replace(self.pace.schedule, concurrency=link.share),
            outstanding=tuple(
                (n, *lease) for n, lease in link.leases.items() if n not in link.queue
            ),
            epochs=link.epochs,
            app_id=where.simulator.app_id if where.simulator else None,
        )
        link.epochs += (await self.intents.next_epoch(link.name),)
        waited_s = 0.0
        while True:
            answer = await self._ask(link, "open", link.epoch, opening, within_s=OPEN_S)
            if "busy_s" not in answer or waited_s > BUSY_S:
                break
            await asyncio.sleep(answer["busy_s"] + AGAIN_S)
            waited_s += answer["busy_s"] + AGAIN_S
        if "busy_s" in answer or "refused" in answer:
            raise Superseded
        if "failed" in answer:
            raise HostUnfit(answer["failed"])
        link.heard = answer["serial"]
        link.about["calibration_us"] = answer["calibration_us"]
        link.up, link.seen_ns, link.is_given_up = True, monotonic_ns(), False
        link.why = link.why if link.is_out else ""
        if link.share and self._watching:
            self.on_hosts([link.row()])
        self._change()

    # While it runs: one task a host, which lends, listens, and opens it again if it was lost.

    async def _serve(self, link: Link) -> None:
        while True:
            try:
                if not link.up:
                    await self._meet(link)
                    await self._enter(link)
                    link.again_s = link.again_s if link.unfit else AGAIN_S
                await self._work(link)
            except Superseded:
                why = "the run was taken over by another coordinator"
                self._give_up(link, why)
                self.on_refusal(why)
                return
            except (HostLost, FleetError, JournalError) as lost:
                link.up = False
                why = without_code(str(lost))
                link.why = link.why if link.is_out else why
                link.unfit |= isinstance(lost, HostUnfit)
                self._change()
                if isinstance(lost, JournalError):
                    self.on_refusal(why)
                if link.is_out and not link.outstanding:
                    await self._let_go(link)
                    return
                is_closed = isinstance(lost, ClientClosed)
                if is_closed or monotonic_ns() - link.seen_ns > PATIENCE_S * 1e9:
                    self._give_up(link, f"it cannot be asked: {why}")
                if is_closed:
                    return
                await asyncio.sleep(link.again_s)
                most_s = MOST_UNFIT_S if isinstance(lost, HostUnfit) else MOST_AGAIN_S
                link.again_s = min(2 * link.again_s, most_s)
            except Exception as error:  # noqa: BLE001 - who waits for its orders would wait for ever
                link.up, link.why = False, f"{type(error).__name__}: {error}"
                self._give_up(link, f"it is asked no more: {link.why}")
                self._change()
                return

    # Hosts that join later.

    async def _watch(self) -> None:
        """Take in hosts that join while orders are placed.

        Each is met and opened as those of the beginning were. It places nothing until the others
        have made room for it: together they have no more in flight than is allowed.
        """
        while True:
            await asyncio.sleep(LOOKED_EVERY_S)
            try:
                found = await self.cluster.workers()
            except HostLost:
                continue
            except FleetError as error:
                self._note(without_code(str(error)))
                continue
            self._take_in_again(found)
            for name in sorted(found.keys() - self.links.keys()):
                if len(self.links) >= self.pace.schedule.concurrency:
                    self._note(_no_room(name, self.pace.schedule.concurrency, len(found)))
                    continue
                self.links[name] = Link(name, 0, joined=True)
                self._go_on(self._serve(self.links[name]))
            for link in [link for link in self.links.values() if link.joined and not link.share]:
                if link.up:
                    await self._let_in(link)
                elif link.why and link.name in found and not (link.is_given_up or link.is_told):
                    self._note(f"{link.name} joined and places nothing: {link.why}")
                    link.is_told = link.unfit
            await self._share_out()

    def _take_in_again(self, found: Mapping[str, Worker]) -> None:
        """Ask a host that is out again if its worker was started anew: it may be set up now."""
        for link in self.links.values():
            is_new = link.name in found and found[link.name].address != link.address
            if link.is_out and not link.up and not link.outstanding and is_new:
                link.is_out = link.unfit = link.is_told = False
                self._go_on(self._serve(link))

    async def _share_out(self) -> None:
        """Let the others have the share of hosts that are gone or unfit; those back join anew.

        Nothing that such a host was lent can be in flight by then.
        """
        others = [link for link in self.links.values() if link.takes_orders]
        longest_ns = round(self.options.timeout_s * 1e9)
        gone = [
            link
            for link in self.links.values()
            if link.share
            and not link.up
            and (
                monotonic_ns() > link.lent_until_ns + longest_ns
                if link.is_given_up
                else link.unfit and not link.outstanding
            )
        ]
        if not gone or not others:
            return
        for link in gone:
            link.share, link.joined = 0, True
            if not link.unfit:
                self._note(f"{link.name} is gone, and the others have its room")
        room = self.pace.schedule.concurrency - sum(link.share for link in self.links.values())
        for link, more in zip(others, _shares(room, len(others)), strict=True):
            with suppress(HostLost):
                if more and await self._resize(link, link.share + more):
                    link.share += more
        self.on_hosts([one.row() for one in (*gone, *others)])
        self._change()

    async def _let_in(self, link: Link) -> None:
        """Lend orders to a host that has joined, once the others have made room for it."""
        others = [one for one in self.links.values() if one.share]
        total = self.pace.schedule.concurrency
        pairs = zip(others, _shares(total, len(others) + 1), strict=False)
        await asyncio.gather(*(self._make_smaller(*pair) for pair in pairs))
        # One that cannot be asked keeps its share.
        share = total - sum(one.share for one in others)
        try:
            if share > 0 and await self._resize(link, share):
                link.share = share
                self.on_hosts([one.row() for one in self.links.values() if one.takes_orders])
                self._note(f"{link.name} joined, and has orders from now on")
                self._change()
        except HostLost as lost:
            self._note(f"{link.name} joined and places nothing: {lost}")

    async def _make_smaller(self, link: Link, share: int) -> None:
        """Have a host take fewer orders at once, if it can be asked."""
        if share >= link.share or not link.up:
            return
        with suppress(HostLost):
            if await self._resize(link, share):
                link.share = share

    async def _resize(self, link: Link, share: int) -> bool:
        """Have a host take so many orders at once; False if it was opened anew meanwhile."""
        # Those in flight end first, those that wait have a lease.
        within_s = self.options.timeout_s + LEASE_S + CALL_S
        epoch = link.epoch
        done = await self._ask(link, "resize", epoch, share, within_s=within_s)
        return bool(done) and link.up and link.epoch == epoch

    async def _work(self, link: Link) -> None:
        """Lend and listen until something goes wrong."""
        works = self._lend(link), self._listen(link), self._measure(link)
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lend(self, link: Link) -> None:
        while True:
            await link.more.wait()
            if self.pace.schedule.is_open:
                # They are lent ahead of their time: several share a write and a call.
                await asyncio.sleep(GATHERED_S)
            link.more.clear()
            slots, link.queue = [replace(s, epoch=link.epoch) for s in link.queue.values()], {}
            if not slots:
                continue
            link.leases |= {s.number: (s.lease_id, s.epoch) for s in slots}
            is_written = await self._log(
                {
                    "kind": "lease",
                    "lease": slot.lease_id,
                    "slot": slot.number,
                    "host": link.name,
                    "epoch": link.epoch,
                    "set_aside": slot.options.tags.get(SET_ASIDE_TAG),
                }
                for slot in slots
            )
            if not is_written:
                for slot in slots:
                    link.settle(slot.number, {"kind": NOT_SENT, "why": "it was not lent"})
                continue
            if link.why:  # it has become unfit meanwhile, and may be gone before it is asked
                await self._hear(link, [_not_lent(slot, link.why) for slot in slots])
            elif not await self._ask(link, "lend", link.epoch, slots):
                raise Superseded

    async def _listen(self, link: Link) -> None:
        while True:
            within_s = CALL_S + NEWS_S
            told = await self._ask(link, "news", link.epoch, link.heard, NEWS_S, within_s=within_s)
            if told is None:
                raise Superseded
            link.seen_ns = monotonic_ns()
            if told:
                await self._hear(link, [entry for _, entry in told])
                link.heard = told[-1][0]
            if link.why and not link.outstanding:
                # It is opened again, which looks whether it can place orders, or let go for good.
                raise HostUnfit(link.why)

    async def _measure(self, link: Link) -> None:
        while True:
            await asyncio.sleep(MEASURED_EVERY_S)
            await self._compare_clocks(link)

    async def _hear(self, link: Link, told: Iterable[dict[str, Any]]) -> None:
        """Take in what a host tells; it is on the disk here before whoever waits hears of it."""
        for entry in (entry for entry in told if entry["kind"] == UNFIT):
            self._lend_no_more(link, entry["why"], for_good=entry["for_good"])
        fates = self._fates(link, told)
        if not fates:
            return
        ended = {number: fate for number, fate in fates.items() if fate["kind"] == ENDED}
        self._recorded |= ended.keys()
        unkept = await asyncio.to_thread(self._keep, ended) if ended else {}
        for number, error in unkept.items():
            # Its lease stays open: who resumes asks the host again.
            why = f"order {number} is on {link.name} only: {self.desks[0].bench.journal} cannot"
            self.on_refusal(f"{why} be written: {error.strerror or error}. Free space, and resume")
        over = {n: fate for n, fate in fates.items() if fate["kind"] != UNKNOWN and n not in unkept}
        for number in over:
            self.intents.open.pop(number, None)
        await self._log(
            {"kind": "fate", "slot": number, "fate": fate["kind"]} for number, fate in over.items()
        )
        for number, fate in fates.items():
            link.settle(number, fate)
        if ended and not link.why:
            link.unfit, link.is_told, link.again_s = False, False, AGAIN_S
        self._change()

    def _lend_no_more(self, link: Link, why: str, *, for_good: bool) -> None:
        """Leave a host's orders to the others; it is heard until all that it was lent has ended."""
        if not link.is_out:
            link.why, link.unfit, link.is_out = why, True, for_good
        if not link.is_told:  # each order has a file, and so a reason, of its own
            link.is_told = True
            self._note(f"{link.name} left orders to the others: {why}")
        link.take_back(link.why)
        self.on_hosts([link.row()])
        self._change()

    async def _let_go(self, link: Link) -> None:
        with suppress(HostLost):
            await self._ask(link, "leave", link.epoch)

    def _fates(self, link: Link, told: Iterable[dict[str, Any]]) -> dict[int, Fate]:
        """Return what became of orders, and count those that were begun."""
        fates: dict[int, Fate] = {}
        for entry in told:
            number = entry["number"]
            if entry["kind"] == UNFIT or link.leases.get(number, ("",))[0] != entry["lease"]:
                continue  # heard before, or given up
            if entry["kind"] != BEGUN:
                fates[number] = {**entry}  # in one process it is still the host's
            elif number in self._lent_here and number not in self._begun:
                # What an earlier part had begun is counted once it is found.
                self._begun.add(number)
                self.on_start()
        return fates

    async def _log(self, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Write into the log; if that fails, no order starts any more. Those lent are heard of."""
        try:
            await self.intents.write(entries)
        except JournalError as error:
            self.on_refusal(without_code(str(error)))
            return False
        return True

    def _keep(self, ended: Mapping[int, Fate]) -> dict[int, OSError]:
        """Write orders' records into the journals here; a second time changes nothing.

        They are decoded on the way. Those that cannot be written are returned, and why.
        """
        unkept = {}
        journal = self.desks[0].bench.journal
        for number, fate in ended.items():
            lines = fate["records"]
            records = fate["records"] = [decode(line) for line in lines.splitlines()]
            name = start_of(records).recording_id
            try:
                path = find_journal(journal, name)
                if path is None:
                    folder = journal / f"{name[:4]}-{name[4:6]}-{name[6:8]}"
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    path = folder / f"{name}{SUFFIX}"
                write_whole(path, lines)
            except OSError as error:
                unkept[number] = error
        return unkept

    def _give_up(self, link: Link, why: str) -> None:
        """Tell that nothing is known of what a host was lent; what waits for it goes elsewhere."""
        link.is_given_up = True
        link.take_back(why)
        for number in list(link.outstanding):
            link.settle(number, {"kind": UNKNOWN, "why": why})

    def _change(self) -> None:
        self._changed.set()
        self.wake()

    @override
    def check_guard(self, *variants: Variant) -> None:
        super().check_guard(*variants)
        for variant in variants:
            check_variant(variant)

    # An order: lent, heard of, and lent again if it was not sent.

    @override
    async def turn(self, offset_ns: int | None) -> bool:
        if offset_ns is None:
            await self.pace.unless_stopped(self.slots.acquire())
        else:
            await self.pace.until(offset_ns, self.before_s)
        return not self.pace.stopping.is_set()

    @override
    async def send(self, planned: Planned, offset_ns: int | None) -> None:
        try:
            why = ""
            for _ in range(MOST_LEASES):
                fate = await self._lent(planned, offset_ns)
                if fate is None or self._has_settled(planned, fate):
                    return
                why = fate["why"]
            raise _not_sent(f"lent {MOST_LEASES} times, the last time in vain: {why}")
        finally:
            if offset_ns is None:
                self.slots.release()
            self.wake()

    async def _lent(self, planned: Planned, offset_ns: int | None) -> Fate | None:
        """Lend an order to a host and wait for what becomes of it; None if it is not to be sent."""
        if offset_ns is not None:
            await self.pace.until(offset_ns, self.before_s)
        if self.pace.stopping.is_set():
            return None
        self.check_guard(planned.variant)
        await self._ask_price(planned.variant, offset_ns)
        link = None
        while link is None:
            # The budget is asked last, and nothing is waited for since.
            if not await self._room() or not await self._may_start(planned, offset_ns):
                return None
            link = self._with_room()
        if planned.number in self._recorded:
            raise _not_sent(f"order {planned.number} has been recorded already")
        set_aside = self.ledger.begin(planned.number, what_of(planned.variant.order))
        slot = self._slot(planned, offset_ns, link, set_aside)
        self._lent_here.add(planned.number)
        future = link.wait_for(planned.number, slot.lease_id, slot.epoch)
        link.queue[planned.number], link.n_lent = slot, link.n_lent + 1
        link.more.set()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with CancelScope(shield=True):
                self._has_settled(planned, await self._cancelled(link, planned.number, future))
            raise

    async def _cancelled(self, link: Link, number: int, future: asyncio.Future[Fate]) -> Fate:
        """Have an order closed, and return what became of it."""
        if link.queue.pop(number, None):
            link.settle(number, {"kind": NOT_SENT, "why": "it was cancelled"})
            return future.result()
        with suppress(HostLost):
            await self._ask(link, "take_back", link.epoch, [number], close=True)
        await asyncio.wait({future}, timeout=CANCEL_S)
        if not future.done():
            link.settle(number, {"kind": UNKNOWN, "why": "it did not answer"})
        return future.result()

    def _with_room(self) -> Link | None:
        """Return the host with the most room; None if none has any."""
        is_open = self.pace.schedule.is_open
        hosts = (link for link in self.links.values() if link.takes_orders)
        free = [link for link in hosts if is_open or link.load < 1]
        return min(free, key=lambda link: (link.load, link.n_lent / link.share), default=None)

    async def _room(self) -> bool:
        """Wait for a host with room; False once nothing is to be sent any more."""
        without_ns = monotonic_ns()
        while not self.pace.stopping.is_set():
            if self._with_room():
                return True
            if any(link.takes_orders for link in self.links.values()):
                without_ns = monotonic_ns()
            elif not self._serving or monotonic_ns() - without_ns > PATIENCE_S * 1e9:
                self.on_refusal(f"no host is left: {self._why()}")
                break
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(NEWS_S):
                    await self.pace.unless_stopped(self._changed.wait())
        return False

    def _slot(
        self, planned: Planned, offset_ns: int | None, link: Link, set_aside: Amount | None
    ) -> Slot:
        now_ns = monotonic_ns()
        planned_ns = None if offset_ns is None else self.pace.planned_ns(offset_ns)
        until_ns = max(planned_ns or now_ns, now_ns) + round(LEASE_S * 1e9)
        link.lent_until_ns = max(link.lent_until_ns, until_ns)
        options = self._options_of(planned)
        if set_aside:
            tags = {**options.tags, SET_ASIDE_TAG: noted_amount(*set_aside)}
            options = replace(options, tags=tags)
        self._leases += 1
        own = planned.variant.card
        return Slot(
            lease_id=f"{self._coordinator}-{self._leases}",
            epoch=link.epoch,
            number=planned.number,
            order=planned.variant.order,
            card=card_name(own) if own else self.card_name,
            options=options,
            planned_ns=None if planned_ns is None else planned_ns + link.offset_ns,
            until_ns=until_ns + link.offset_ns,
            offset_ns=link.offset_ns,
            error_ns=link.error_ns,
        )

    def _has_settled(self, planned: Planned, fate: Fate) -> bool:
        """Close an order's account; return False if it may be lent again."""
        number, kind = planned.number, fate["kind"]
        if kind == UNKNOWN:
            # What was set aside for it stays so.
            self.on_unknown(number, fate["why"], number in self._begun)
            return True
        if kind == ENDED:
            records = fate["records"]
            row, what = row_of(records), what_of(planned.variant.order)
            self.ledger.end(number, what, amount_of(row), ordered=was_ordered(records, row))
            if number not in self._begun:
                self._begun.add(number)
                self.on_start()
            # Refusals are counted by each host: its app id may be refused, and no other one.
            self.pace.setbacks.heed_wait(row, records[-1])
            self.on_end(planned, records, row, "")
            return True
        self.ledger.take_back(number)
        if kind == FAILED:
            if "error" not in fate:
                raise _not_sent(fate["why"])
            failure = make_error(fate["error"], fate["why"], fate["status"])
            if isinstance(failure, RateLimited):
                failure.retry_after_s = fate["wait_s"]
            raise failure
        return False

    @override
    def hold_back(self) -> None:
        for link in self.links.values():
            link.take_back("it was taken back")
            if link.up and link.outstanding:
                self._go_on(self._hold_back(link))

    async def _hold_back(self, link: Link) -> None:
        with suppress(HostLost):
            await self._ask(link, "take_back", link.epoch, None, close=False)

    @override
    async def aclose(self) -> None:
        """End every host's recorder; what they recorded is here."""
        tasks = [*self._serving, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        up = [link for link in self.links.values() if link.up]
        await asyncio.gather(*map(self._let_go, up), return_exceptions=True)
        self.cluster.forget()


def _not_lent(slot: Slot, why: str) -> dict[str, Any]:
    """Return what a host would tell of an order that it was not lent."""
    return {"kind": NOT_SENT, "number": slot.number, "lease": slot.lease_id, "why": why}


def _other_version(there: str) -> str:
    """Say which version is there if it is not the one here: it may read a lease otherwise."""
    here = version(PACKAGE)
    has = f"{PACKAGE} {there}" if there != "no" else f"no {PACKAGE}"
    return "" if there == here else f"{has}, here is {here}"


def _notes(links: Iterable[Link]) -> list[str]:
    """Say which hosts place nothing, and which have other versions than this machine."""
    ours = {"python": platform.python_version(), "distributed": version("distributed")}
    down = [link for link in links if not link.up]
    notes = [f"{x.name} places nothing{' yet' if x.slow else ''}: {x.why}" for x in down]
    for name, here in ours.items():
        others = [one for one in links if one.up and one.about[name] != here]
        what = name.capitalize() if name == "python" else name
        notes += [f"{one.name} has {what} {one.about[name]}, here is {here}" for one in others]
    return notes


def _shares(total: int, hosts: int) -> list[int]:
    """Return what each of so many hosts gets: as much as the others, or one more."""
    return [total // hosts + (at < total % hosts) for at in range(hosts)]


def _no_room(name: str, total: int, hosts: int) -> str:
    return f"{name} places nothing: concurrency={total} is less than {hosts} hosts"


def _not_sent(why: str) -> FleetError:
    return coded_error(
        FleetError, "FNB547", f"No host sent the order: {why.rstrip('.')}. Resume the run."
    )


def _held_elsewhere(run_id: str) -> FleetError:
    return coded_error(
        FleetError,
        "FNB545",
        f"Sweep {run_id} is or was coordinated from elsewhere. Resume it there, or begin a new "
        "sweep with another run_id. Nothing was sent.",
    )
