"""Orders on one machine of a sweep from several: an actor on a Dask worker, and what it drives.

Dask runs an ordinary task again when its worker dies, so no order is a task. One actor is pinned to
each worker. Neither its constructor nor a look at it places anything: the coordinator opens it with
an epoch, and lends it the right to send one order of the plan until some moment. The recorder's
process checks both once more right before the request (``recorder.Lease``).

Every order that was lent ends in a piece of news: recorded, or not sent and why. News is kept until
the coordinator has acknowledged it, so a lost answer loses nothing. A Dask worker that is closed in
order (``Station.end``) gives back what it has not begun, and lets the rest end.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from typing_extensions import override

from firmly_nb.api.errors import FirmlyError, Forbidden, InvalidAppId, RateLimited, Unauthorized
from firmly_nb.api.flow import Flow
from firmly_nb.api.models import TEST_CARDS, Card, Order
from firmly_nb.api.secrets import SecretStr, redact_text
from firmly_nb.background import submit
from firmly_nb.disk import check_is_file, raise_number, read_number, write_whole
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.engine import Bench
from firmly_nb.environments import Environment, find_app_id
from firmly_nb.options import Options
from firmly_nb.outcomes import PLACED
from firmly_nb.recorder.calibration import CalibrationRun, Pattern
from firmly_nb.recorder.job import Job, Lease
from firmly_nb.recorder.journal import (
    BOOTED,
    EPOCH,
    HELD,
    SUFFIX,
    JournalError,
    default_directory,
    find_journal,
    read_journal,
)
from firmly_nb.recorder.masking import masked
from firmly_nb.recorder.process import RecorderError
from firmly_nb.recorder.records import End, Record, Start, decode, encode_line, start_of
from firmly_nb.settings_file import settings_of
from firmly_nb.sweep.budget import Budget, Ledger
from firmly_nb.sweep.pace import Pace, Schedule
from firmly_nb.sweep.plan import Planned, Variant
from firmly_nb.sweep.run import Sender, row_of
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from distributed import Worker


# What a host tells of an order that it was lent.
BEGUN, ENDED, NOT_SENT, FAILED, UNKNOWN = "begun", "recorded", "not sent", "failed", "unknown"
UNFIT = "unfit"  # of itself: it begins nothing more
CARD_VARIABLE = "FIRMLY_CARD"
# A coordinator that was heard of so lately is alive: another one has to wait, or is refused.
HEARD_NS = 5_000_000_000
FORGOTTEN_NS, FORGOTTEN_CHECK_S = 600_000_000_000, 10.0
# Dask kills a worker 8 s after it was told to end: orders have so long, and then their news.
ENDING_S, CLOSED_S, LAST_NEWS_S = 5.0, 0.5, 2.0
ENDS = "its Dask worker is about to end"
CALIBRATION_EVENTS = 40
ROOM_BYTES = 64 * 1024
MOST_NEWS, MOST_NEWS_BYTES = 200, 16 * 1024 * 1024
# So long news that nobody waits for waits for more: a call of Dask costs as much as an order.
GATHERED_S = 0.25
BOOT = Path("/proc/sys/kernel/random/boot_id")  # another one after each start of the machine
# Where there is no such file, as on macOS: a process outlives no start of its machine.
PROCESS = secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Opening:
    """Message to a host before it may place anything; no secret is in it."""

    coordinator: str
    host: str
    environment: Environment
    milestones: tuple[str, ...] | None
    keep_personal: bool
    ca_file: str | None  # of this machine; elsewhere each host has its own
    schedule: Schedule  # with the host's share of the orders in flight
    # That the coordinator took for this host before: another one's has ended its right to lend.
    epochs: tuple[int, ...] = ()
    # What it may have been lent before: the order's number, the id of the lease, and its epoch.
    outstanding: tuple[tuple[int, str, int], ...] = ()
    # Of an embedded simulator, whose app id is nobody's; every other one is in each host's own
    # environment.
    app_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """Order of the plan that is lent to a host, with what may be spent on it."""

    lease_id: str
    epoch: int
    number: int
    order: Order = field(repr=False)
    card: str | None  # name of a test card; None: the host's own
    options: Options
    planned_ns: int | None  # on the host's clock, like until_ns
    until_ns: int
    offset_ns: int
    error_ns: int


class NotSent(Exception):  # noqa: N818 - nothing went wrong
    """Order that was not sent, and why; it may be lent again."""


class Host:
    """Actor: the way from the coordinator to the station of a run in this process.

    Its methods are async: those of another kind would wait for one another.
    """

    def __init__(self, run_id: str, name: str) -> None:
        self.key = run_id, name

    async def clock(self) -> int:
        """Return the time of the clock that orders are planned on."""
        return monotonic_ns()

    async def wall_clock(self) -> int:
        """Return the time by which ``started_at`` is told."""
        return time.time_ns()

    async def describe(self) -> dict[str, str]:
        """Return what is installed here."""
        packages = {name: version(name) for name in ("firmly-nb", "distributed")}
        kind = f"{platform.system()} {platform.machine()}"
        about = {"python": platform.python_version(), "platform": kind}
        return {**packages, **about, "hostname": socket.gethostname()}

    async def knows(self, lent: frozenset[int]) -> bool:
        """Return whether every order that was begun here is one of those that were lent.

        If not, the coordinator has a log of before: others were lent since, maybe elsewhere.
        """
        return await asyncio.wrap_future(submit(_begun_are_in, self.key, lent))

    async def open(self, epoch: int, opening: Opening) -> dict[str, Any]:
        """Take orders of this epoch from now on, and none of an earlier one."""
        await _end_before_worker(self.key[1])
        return await asyncio.wrap_future(submit(open_station, self.key, epoch, opening))

    async def lend(self, epoch: int, slots: Sequence[Slot]) -> bool:
        """Take orders; each ends in a piece of news. False: the run was taken over."""
        return await self._ask(epoch, "lend", slots) is not None

    async def news(self, epoch: int, heard: int, wait_s: float) -> list[Any] | None:
        """Return what was not heard yet, waiting for something; None: the run was taken over."""
        told: list[Any] | None = await self._ask(epoch, "news", heard, wait_s)
        return told

    async def take_back(self, epoch: int, numbers: Sequence[int] | None, *, close: bool) -> None:
        """Take back what is not begun; with ``close``, close the streams of what is."""
        await self._ask(epoch, "take_back", numbers, close)

    async def resize(self, epoch: int, concurrency: int) -> bool:
        """Have at most so many orders in flight, and return then; False: it was taken over."""
        return await self._ask(epoch, "resize", concurrency) is not None

    async def leave(self, epoch: int) -> None:
        """End the recorder, once nobody wants anything of it any more."""
        await self._ask(epoch, "leave")

    async def _ask(self, epoch: int, what: str, *args: Any) -> Any:
        return await asyncio.wrap_future(submit(_ask_station, self.key, epoch, what, args))


# Stations outlive actors: an actor goes with its coordinator, orders in flight go on.
Key = tuple[str, str]  # a run and a host: one process may be several
_stations: dict[Key, Station] = {}


async def _ask_station(key: Key, epoch: int, what: str, args: Sequence[Any]) -> Any:
    station = _stations.get(key)
    if station is None:
        # Nobody has taken the run over: the coordinator opens it again.
        raise LookupError("it has ended its recorder")
    if station.epoch != epoch:
        return None
    station.heard_ns = monotonic_ns()
    return await getattr(station, what)(*args)


async def _end_before_worker(host: str) -> None:
    """Have the Dask worker that is a host end its stations before it closes."""
    from distributed import WorkerPlugin, get_worker

    class Ending(WorkerPlugin):
        async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's own
            await asyncio.wrap_future(submit(_end_stations, host))

    try:
        worker = get_worker()
    except ValueError:
        return  # there is none
    name = f"firmly-nb {host}"
    if name not in worker.plugins:
        await worker.plugin_add(Ending(), name=name)
        _close_on_signals(worker)


def _close_on_signals(worker: Worker) -> None:
    """Close a worker in order that is signalled itself, as all processes of a service or terminal.

    Dask closes one whose nanny is signalled. Others die, or wait for a nanny that is gone. What
    somebody else does with a signal stays.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    dasks = {"distributed._signals"} | ({"asyncio.runners"} if worker.nanny else set())
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def close(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])  # once more is meant otherwise
        worker.loop.add_callback(worker.close, nanny=False, reason=signal.Signals(number).name)

    for number, handler in before.items():
        of = getattr(getattr(handler, "func", handler), "__module__", "")
        if of in dasks or handler in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, close)


async def _end_stations(host: str) -> None:
    stations = [station for key, station in _stations.items() if key[1] == host]
    await asyncio.gather(*(station.end() for station in stations))


async def _begun_are_in(key: Key, lent: frozenset[int]) -> bool:
    station = _stations.get(key)
    begun = station.ever_begun if station else _Journals(_folder_of(*key)).paths.keys()
    return begun <= lent


def _folder_of(run_id: str, host: str) -> Path:
    """Return where a host keeps the journals of a run."""
    # A name may be anything; as a folder it is one name.
    return default_directory().parent / "workers" / quote(host, safe=" ") / run_id


async def open_station(key: Key, epoch: int, opening: Opening) -> dict[str, Any]:
    """Open the station of a run in this process; ``refused``, ``busy`` or ``failed`` say why not.

    The epoch is raised first. From then on nothing that an earlier coordinator lent is sent.
    """
    station = _stations.get(key)
    if station and (refusal := station.why_not_open(opening.coordinator)):
        return refusal
    folder = _folder_of(*key)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        since = read_number(folder / EPOCH)
        if opening.epochs and since > opening.epochs[0] and since not in opening.epochs:
            return {"refused": True}
        if not raise_number(folder / EPOCH, epoch):
            return {"refused": True}
        _check_room(folder)
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror or error}"
        return {"failed": f"{why}. Free space there, or set FIRMLY_NB_HOME there"}
    try:
        if station is None:
            station = _stations[key] = Station(key, folder, opening)
        return await station.take_over(epoch, opening, since, _booted_in(folder, epoch))
    except (FirmlyError, RecorderError, JournalError, ValueError, OSError) as error:
        return {"failed": redact_text(without_code(str(error)))}


def _check_room(folder: Path) -> None:
    """Write as much as a few orders need: a host whose disk is full would fail each of its own."""
    file = folder / "room"
    try:
        write_whole(file, bytes(ROOM_BYTES))
    finally:
        file.unlink(missing_ok=True)


def _booted_in(folder: Path, epoch: int) -> int:
    """Return the first epoch of a run since this machine was started, as far as that is known."""
    file = folder / BOOTED
    boot = BOOT.read_text().strip() if BOOT.exists() else PROCESS
    before, _, first = file.read_text().partition(" ") if file.exists() else ("", "", "")
    if before != boot:
        first = str(epoch)
        write_whole(file, f"{boot} {first}".encode())
    return int(first)


class Station:
    """Orders of one run on this machine, on the background loop of this process."""

    def __init__(self, key: Key, folder: Path, opening: Opening) -> None:
        where = opening.environment
        kept = settings_of(where.name)
        self.key = key
        self.folder = folder
        self.opening = opening
        self.epoch = 0
        self.heard_ns = monotonic_ns()
        given = SecretStr(opening.app_id) if opening.app_id and where.is_local else None
        self.bench = Bench(
            where,
            find_app_id(given, kept.app_id_variable),
            folder,
            ca_file=opening.ca_file,
            kept=kept,
            keep_personal=opening.keep_personal,
            milestones=opening.milestones,
        )
        self.bench.lock = folder / HELD
        self.sender = LeasedSender(self)
        self.slots: dict[int, Slot] = {}
        self.begun: set[int] = set()
        self.taken_back: set[int] = set()
        self.refuses = ""  # why it begins nothing more
        self.is_ending = False
        self.journals = _Journals(folder)
        self.ever_begun: set[int] = set(self.journals.paths)
        self.calibration_us: float | None = None
        self._seen: set[str] = set()  # ids of leases
        self._also: dict[int, list[str]] = {}  # further leases of what is at work already
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._news: deque[tuple[int, dict[str, Any]]] = deque()
        self._serial = 0
        self._told = 0  # of the news, as far as it was asked for
        self._has_news = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._watching = asyncio.create_task(self._leave_when_forgotten())

    async def take_over(
        self, epoch: int, opening: Opening, heard_of: int, booted_in: int
    ) -> dict[str, Any]:
        """Go on for a coordinator: nothing of before is begun any more; what is in flight ends."""
        self.epoch, self.opening, self.heard_ns = epoch, opening, monotonic_ns()
        await self.take_back(None, close=False)
        self.refuses = ""
        self._news = deque(told for told in self._news if told[1]["kind"] != UNFIT)
        if opening.schedule != self.sender.pace.schedule:
            self.sender = LeasedSender(self, self.sender)
        found: dict[str, Any] = {"serial": self._news[0][0] - 1 if self._news else self._serial}
        # It holds the folder from then on: a recorder of before is dead, its journals are whole.
        await self.bench.worker().ready()
        self.journals.look()
        self.ever_begun |= self.journals.paths.keys()
        for number, lease, lent_in in opening.outstanding:
            if lent_in > heard_of:
                self._tell(UNKNOWN, number, lease, why="its journals of before are gone")
            else:
                self._tell_of([(number, lease)], is_sure=lent_in >= booted_in)
        await self.sender.warm_up()
        if self.calibration_us is None:
            self.calibration_us = await _calibrate()
        found["calibration_us"] = self.calibration_us
        self.heard_ns = monotonic_ns()
        return found

    def _tell_of(self, leases: Sequence[tuple[int, str]], *, is_sure: bool = True) -> None:
        """Tell of what was lent before; what nobody is at work on is in the journals, or nowhere.

        The epoch is raised: what has no start there was not sent, and never will be. That is sure
        unless the machine was started again since: its disk may lack what was written last.
        """
        # By lease, not by order: the last word about an earlier lease is none about this one.
        told = {entry["lease"] for _, entry in self._news if entry["kind"] != BEGUN}
        wanted = [(number, lease) for number, lease in leases if lease not in told]
        if wanted:
            self.journals.look()
        for number, lease in wanted:
            if number in self._tasks:
                self._alias(number, lease)
            elif lines := self.journals.lines_of(number):
                self._tell(ENDED, number, lease, records=lines)
            elif self.journals.unread or number in self.ever_begun:
                why = f"a journal in {self.folder} cannot be read"
                self._tell(UNKNOWN, number, lease, why=why)
            elif not is_sure:
                self._tell(UNKNOWN, number, lease, why="its machine may have been started again")
            else:
                self._tell(NOT_SENT, number, lease, why="it was not begun before")

    def _alias(self, number: int, lease: str) -> None:
        """Let the end of an order that is at work answer for another lease of it."""
        slot = self.slots.get(number)
        if slot is None or slot.lease_id != lease:
            self._also.setdefault(number, []).append(lease)

    async def lend(self, slots: Sequence[Slot]) -> bool:
        """Begin with orders; a lease that was seen before is passed over."""
        for slot in slots:
            if slot.lease_id in self._seen:
                continue
            self._seen.add(slot.lease_id)
            if slot.number in self._tasks or slot.number in self.ever_begun:
                self._tell_of([(slot.number, slot.lease_id)])
                continue
            if self.refuses:
                self._tell(NOT_SENT, slot.number, slot.lease_id, why=self.refuses)
                continue
            self.slots[slot.number] = slot
            self.taken_back.discard(slot.number)
            task = asyncio.create_task(self._place(slot))
            self._tasks[slot.number] = task
        return True

    async def news(self, heard: int, wait_s: float) -> list[tuple[int, dict[str, Any]]]:
        """Return what there is to tell after what was heard."""
        while self._news and self._news[0][0] <= heard:
            self._news.popleft()
        if heard < self._told:
            self._has_news.set()  # what was told did not arrive
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._has_news.wait()
        size = 0
        found: list[tuple[int, dict[str, Any]]] = []
        for serial, entry in list(self._news)[:MOST_NEWS]:
            size += len(entry.get("records", b""))
            if found and size > MOST_NEWS_BYTES:
                break
            found.append((serial, entry))
        self._told = found[-1][0] if found else heard
        if len(found) == len(self._news):
            self._has_news.clear()
        return found

    async def take_back(self, numbers: Sequence[int] | None, close: bool) -> None:
        """Take back what is not begun; with ``close``, close the streams of what is."""
        self._take_back(numbers, close=close)

    def _take_back(self, numbers: Sequence[int] | None, *, close: bool) -> None:
        for number in list(self._tasks) if numbers is None else numbers:
            task = self._tasks.get(number)
            if task is None or task is asyncio.current_task():
                continue
            if number in self.begun:
                if close:
                    task.cancel()
                continue
            self.taken_back.add(number)
            # What waits in the recorder is asked for there: it may be about to begin.
            if not self.sender.recall(number):
                task.cancel()

    async def resize(self, concurrency: int) -> bool:
        """Have at most so many orders in flight; return once there are no more."""
        # Whoever asks may not wait so long: what it made smaller stays so.
        await asyncio.shield(self.sender.resize(concurrency))
        await self.sender.warm_up()
        return True

    async def _leave_when_forgotten(self) -> None:
        """End the recorder once its coordinator has died and nobody resumes the run.

        Who does so later opens another one: the journals have all that is known.
        """
        while self._tasks or monotonic_ns() - self.heard_ns < FORGOTTEN_NS:  # noqa: ASYNC110 - waits for a time
            await asyncio.sleep(FORGOTTEN_CHECK_S)
        await self.leave()

    def refuse(self, why: str, *, for_good: bool = False) -> None:
        """Begin nothing more; others place what is not begun. A new opening may find it fit again.

        ``for_good``: no opening would find out whether it is.
        """
        if not self.refuses:
            self.refuses = why
            # Said first: what is taken back must not be lent here once more.
            self._tell(UNFIT, 0, "", why=why, for_good=for_good)
            self._take_back(None, close=False)

    async def end(self) -> None:
        """End in order: let what is in flight end, close it after a time, and have all of it heard.

        Nobody can be asked here later. What is not heard by then is of unknown end.
        """
        self.is_ending = True
        self.refuse(ENDS)
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=ENDING_S)
        await self.take_back(None, close=True)
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=CLOSED_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_NEWS_S):
                while self._news and monotonic_ns() - self.heard_ns < HEARD_NS:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await self.leave()

    async def leave(self) -> None:
        """Close everything."""
        if self._watching is not asyncio.current_task():
            self._watching.cancel()
        self.sender.pace.stopping.set()
        await self.take_back(None, close=True)
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))
        _stations.pop(self.key, None)
        await self.bench.aclose()

    def why_not_open(self, coordinator: str) -> dict[str, Any]:
        """Say why a coordinator cannot open it now; empty if it can."""
        if self.is_ending:
            return {"failed": ENDS}
        left_ns = self.heard_ns + HEARD_NS - monotonic_ns()
        is_held = self.opening.coordinator != coordinator and left_ns > 0
        return {"busy_s": left_ns / 1e9} if is_held else {}

    def why_not(self, number: int) -> str:
        """Say why an order must not be begun; empty if it may."""
        if number in self.taken_back or self.slots[number].epoch != self.epoch:
            return "it was taken back"
        return "its lease was over" if monotonic_ns() > self.slots[number].until_ns else ""

    async def _place(self, slot: Slot) -> None:
        number = slot.number
        try:
            card = Card.test(slot.card) if slot.card else None
            planned = Planned(number, Variant(slot.order, card))
            if await self.sender.turn(slot.planned_ns):
                await self.sender.send(planned, slot.planned_ns)
        except (NotSent, asyncio.CancelledError) as error:
            why = str(error) or "it was taken back"
            self._tell_unless_recorded(number, NOT_SENT, why=why)
        except RateLimited as error:
            about = {"error": error.error, "status": error.http_status}
            wait_s = error.retry_after_s
            self._tell_unless_recorded(
                number, FAILED, why=error.description, wait_s=wait_s, **about
            )
        except (FirmlyError, JournalError, RecorderError) as error:
            # Others can place it, if it was not begun.
            kind = FAILED if number in self.begun else NOT_SENT
            why = redact_text(without_code(str(error)))
            if not self.why_not(number):  # else a recorder that refused it was right
                self._heed_failure(error, why)
            self._tell_unless_recorded(number, kind, why=why)
        except Exception as error:  # noqa: BLE001 - one order's mishap is not the others'
            why = redact_text(f"{type(error).__name__}: {without_code(str(error))}")
            self._tell_unless_recorded(number, FAILED, why=why)
        else:
            self._tell_unless_recorded(number, NOT_SENT, why="the host was about to end")
        finally:
            self._tasks.pop(number, None)
            self.begun.discard(number)

    def _heed_failure(self, error: Exception, why: str) -> None:
        """Begin nothing more if this machine is the reason why an order was not sent."""
        if isinstance(error, FirmlyError):
            why = without_code(self.sender.pace.setbacks.not_sent(error))
        if why:
            no_app_id = isinstance(error, Unauthorized | InvalidAppId | Forbidden)
            self.refuse(why, for_good=no_app_id)

    def has_begun(self, number: int) -> None:
        """Note that an order's start is on the disk."""
        self.begun.add(number)
        self.ever_begun.add(number)
        self._tell_all(BEGUN, number, soon=False)

    def has_ended(self, number: int, records: Sequence[Record]) -> None:
        """Tell of an order that ended; what went wrong is told at once."""
        end = records[-1]
        is_placed = isinstance(end, End) and end.outcome == PLACED
        # In a closed loop the next order waits for the end of this one.
        waits = self.opening.schedule.is_open and is_placed
        self._tell_all(ENDED, number, soon=not waits, records=self._lines_of(records))
        self.slots.pop(number, None)
        self._also.pop(number, None)

    def _lines_of(self, records: Sequence[Record]) -> bytes:
        """Return an order's records as its journal has them, which is masked already."""
        start = start_of(records)
        path = find_journal(self.folder, start.recording_id)
        with suppress(OSError):
            lines = path.read_bytes() if path else b""
            if lines.endswith(b"\n") and lines.count(b"\n") == len(records):
                return lines
        # Not all of it could be written there.
        if not self.bench.keep_personal:
            records = [masked(record, start) for record in records]
        return b"".join(map(encode_line, records))

    def _tell_unless_recorded(self, number: int, kind: str, **about: Any) -> None:
        if number in self.slots:
            self._tell_all(kind, number, **about)
            self.slots.pop(number, None)
            self._also.pop(number, None)

    def _tell_all(self, kind: str, number: int, *, soon: bool = True, **about: Any) -> None:
        """Tell of an order under each lease that it has."""
        for lease in (self.slots[number].lease_id, *self._also.get(number, ())):
            self._tell(kind, number, lease, soon=soon, **about)

    def _tell(self, kind: str, number: int, lease: str, *, soon: bool = True, **about: Any) -> None:
        self._serial += 1
        entry = {"kind": kind, "number": number, "lease": lease, **about}
        self._news.append((self._serial, entry))
        if soon:
            self._tell_now()
        elif self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(GATHERED_S, self._tell_now)

    def _tell_now(self) -> None:
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        self._has_news.set()


class LeasedSender(Sender):
    """Sender of orders whose start, end and budget another machine decides."""

    def __init__(self, station: Station, before: LeasedSender | None = None) -> None:
        card = Card.test(os.environ.get(CARD_VARIABLE) or "visa")
        # Planned starts are given on this machine's clock, so the plan begins at its zero.
        pace = Pace(station.opening.schedule, _began_ns=0)
        super().__init__([station.bench], pace, Ledger(Budget()), Options(), card)
        self.station = station
        if before:
            # What is in flight there counts here: it has its slots until it ends.
            wanted, there = self.pace.schedule.concurrency, before.pace.schedule.concurrency
            self.slots, pace.schedule = before.slots, replace(pace.schedule, concurrency=there)
            self.resize(wanted)

    def resize(self, concurrency: int) -> asyncio.Future[Any]:
        """Have at most so many orders in flight; done once there are no more."""
        more = concurrency - self.pace.schedule.concurrency
        self.pace.schedule = replace(self.pace.schedule, concurrency=concurrency)
        for _ in range(more):
            self.slots.release()
        return asyncio.gather(*(self.slots.acquire() for _ in range(-more)))

    async def warm_up(self) -> None:
        """Open what the first orders need, and do once for nothing what is slow the first time."""
        self._rehearse([Variant(Order.example())], await self.desks[0].key.get())
        await self.station.bench.devices().ready(self._devices_at_first(None))

    def recall(self, number: int) -> bool:
        """Ask the recorder for an order that it was handed; False if it was not."""
        if number not in self._handed:
            return False
        desk, recording_id = self._handed[number]
        desk.bench.recall(recording_id)
        return True

    @override
    def _options_of(self, planned: Planned) -> Options:
        return self.station.slots[planned.number].options

    @override
    async def _may_start(self, planned: Planned, offset_ns: int | None) -> bool:
        self.check_guard(planned.variant)
        if why := self.station.why_not(planned.number):
            raise NotSent(why)
        return True

    @override
    def _booked(self, planned: Planned, job: Job, offset_ns: int | None) -> Job:
        job = super()._booked(planned, job, offset_ns)
        station, slot = self.station, self.station.slots[planned.number]
        error_us = station.calibration_us
        start = replace(
            job.start,
            host=station.opening.host,
            slot=slot.number,
            clock_offset_ns=slot.offset_ns,
            clock_error_ns=slot.error_ns,
            recorder=job.start.recorder
            | ({} if error_us is None else {"calibration_us": f"{error_us:.0f}"}),
        )
        file = quote(os.fsencode(station.folder / EPOCH))
        return replace(job, start=start, lease=Lease(file, slot.epoch, slot.until_ns))

    @override
    def _close(self, planned: Planned, records: list[Record]) -> None:
        # The coordinator keeps the account, and asks what an order came to.
        self.ledger.take_back(planned.number)
        if not records:
            return
        self.station.has_ended(planned.number, records)
        made_ns = self._session_ns(planned, records)
        if why := self.pace.setbacks.refused(row_of(records), made_ns):
            self.station.refuse(why, for_good=True)

    @override
    def _has_started(self, planned: Planned, held: set[asyncio.Semaphore]) -> None:
        super()._has_started(planned, held)
        self.station.has_begun(planned.number)


class _Journals:
    """Journals of a run on this machine, by the order's number; of each only its start is read.

    Attributes
    ----------
    paths
        The file of each order that was begun.
    unread
        Files that may be of any order. One without content is of an order that was not sent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[int, Path] = {}
        self.unread: set[Path] = set()
        self._seen: set[Path] = set()
        self.look()

    def look(self) -> None:
        """Find what has come since."""
        self.unread = set()
        for path in self.folder.glob(f"*/*{SUFFIX}"):
            if path in self._seen:
                continue
            try:
                check_is_file(path)
                with path.open("rb") as file:
                    start = decode(file.readline())
            except (OSError, ValueError):
                if not path.is_file() or path.stat().st_size:
                    self.unread.add(path)
                continue
            self._seen.add(path)
            if isinstance(start, Start) and start.slot is not None:
                self.paths[start.slot] = path

    def lines_of(self, number: int) -> bytes:
        """Return what is recorded of an order; nothing if it was not begun, or cannot be read."""
        try:
            records, _ = read_journal(self.paths[number])
        except (KeyError, JournalError):
            return b""
        return b"".join(map(encode_line, records))


def card_name(card: Card | None) -> str | None:
    """Return the name of a test card, as it travels; None for the host's own.

    Raises
    ------
    ValueError
        For another card: its number would be an argument.
    """
    if card is None:
        return None
    for name in TEST_CARDS:
        if card == Card.test(name):
            return name
    raise coded_error(
        ValueError,
        "FNB544",
        "A card of your own cannot be sent to several machines. Use a test card as it is, like "
        'fnb.Card.test("visa"), or name one in each worker\'s environment: FIRMLY_CARD=visa.',
    )


def check_variant(variant: Variant) -> None:
    """Refuse what cannot travel to another machine."""
    if isinstance(variant.order, Flow):
        text = "An order that is made call by call cannot be sent from several machines. Pass a"
        raise coded_error(ValueError, "FNB544", f"{text} fnb.Order, or sweep without on=...")
    if variant.order.captcha_token is not None:
        text = "A captcha token is a secret, and cannot be sent to several machines. Sweep"
        raise coded_error(ValueError, "FNB544", f"{text} without on=...")
    if variant.options.get("isolated") is False:
        text = "isolated=False cannot be kept on several machines: each has a recorder. Remove it."
        raise coded_error(ValueError, "FNB544", text)


CALIBRATED_FOR_NS = 3600 * 1_000_000_000
_calibrated: dict[str, tuple[int, float]] = {}  # of this process


async def _calibrate() -> float | None:
    """Return the 99th percentile of the error of times on this machine, in µs; an hour old at most.

    None where it could not be measured.
    """
    at_ns, known = _calibrated.get("idle", (-CALIBRATED_FOR_NS, 0.0))
    if monotonic_ns() - at_ns < CALIBRATED_FOR_NS:
        return known
    try:
        async with CalibrationRun() as run:
            rows = await run.measure("idle", Pattern(CALIBRATION_EVENTS, max_gap_ms=10.0))
    except (RuntimeError, OSError, TimeoutError):
        return None
    errors = sorted(row["error_ms"] for row in rows)
    found_us = 1000 * float(errors[min(round(0.99 * len(errors)), len(errors) - 1)])
    _calibrated["idle"] = monotonic_ns(), found_us
    return found_us
