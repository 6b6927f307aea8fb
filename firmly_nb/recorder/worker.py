"""Recorder in a process of its own: ``python -m firmly_nb.recorder.worker``.

A notebook that computes holds Python's lock and its event loop; times taken there are late by as
much. Here nothing computes. The process reads orders from its standard input and writes records to
its standard output (``process`` has the protocol). It ends when its input ends or the process that
started it is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import platform
import re
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

if __name__ == "__main__":
    # The command line of httpx: where click and rich are installed, it takes longer than all else.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # Python notes so what is not there
    gc.disable()  # what is imported stays, and no order has begun; _tidy collects what comes later

import httpx

from firmly_nb.api.causes import Trust, Way, find_trust
from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.event_names import REFERENCE
from firmly_nb.api.secrets import Secret, redact_text
from firmly_nb.disk import lock
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.journal import Journal, RecordLog
from firmly_nb.recorder.process import GREETING, VERSION, frame, read_frame, read_job
from firmly_nb.recorder.recorder import NOTEBOOK_GONE, record
from firmly_nb.recorder.records import End, Event, Start, parts_of
from firmly_nb.wire.stamps import monotonic_ns
from firmly_nb.wire.transport import StampingTransport, proxy_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from firmly_nb.disk import Lock
    from firmly_nb.recorder.records import Record


MAX_IDLE = 64
# A connection that was used so lately needs no request before an order that is planned; one that
# the other side is about to close shows it in the time until then.
USED_NS, SHOWN_NS = 400_000_000, 300_000_000


@dataclass(slots=True)
class Lane:
    """Client with a connection of its own, and when an order last went over it."""

    client: FirmlyClient
    transport: StampingTransport
    used_ns: int = 0


class Lanes:
    """Connections for orders to one environment: one order, one connection.

    Orders in flight at the same time do not wait for each other. A warm order takes a lane whose
    connection is open, a cold one opens its own and so measures the connection too.
    """

    def __init__(
        self,
        card_url: str,
        trust: Trust = Trust(secure=False),  # noqa: B008 - frozen
        *,
        to_simulator: bool = False,
    ) -> None:
        self.card_url = card_url
        # Loading the certificates takes longer than the connection: once is enough.
        self.ssl_context = trust.context()
        self.way = Way(trust, proxy_of, to_simulator)
        self.idle: list[Lane] = []
        self.stay_open = True  # as far as was seen

    @asynccontextmanager
    async def take(
        self, *, warm: bool, within_s: float | None = None, planned_ns: int | None = None
    ) -> AsyncIterator[FirmlyClient]:
        """Hand out a lane for one order; a warm one has just been used for another request."""
        lane = self.idle.pop() if warm and self.idle else self._new()
        whole = False
        try:
            if warm and not self._is_warm(lane, planned_ns):
                lane = await self._warmed(lane, within_s)
            yield lane.client
            whole = True
        finally:
            # After a cancelled order nobody knows in which state its connection was left.
            if warm and whole and len(self.idle) < MAX_IDLE:
                lane.used_ns = monotonic_ns()
                self.idle.append(lane)
            else:
                await lane.client.http.aclose()

    async def _warmed(self, lane: Lane, within_s: float | None) -> Lane:
        """Ask for a key, which is public and small; where none came, return a new lane.

        What came may have been meant for somebody else (408 to a connection that was idle for
        long), and what comes next for this request: an order would take it for its own. Should
        there be more amiss, the order itself will tell.
        """
        try:
            async with asyncio.timeout(within_s):
                await lane.client.payment_key()
        except (FirmlyError, TimeoutError):
            await lane.client.http.aclose()
            return self._new()
        return lane

    async def aclose(self) -> None:
        """Close every connection that is not in use."""
        while self.idle:
            await self.idle.pop().client.http.aclose()

    def _is_warm(self, lane: Lane, planned_ns: int | None) -> bool:
        """Return whether a lane's last order warmed it for the next one."""
        now_ns = monotonic_ns()
        is_seen = planned_ns is not None and planned_ns - now_ns > SHOWN_NS
        is_young = now_ns - lane.used_ns < USED_NS
        return is_seen and is_young and self.stay_open and lane.transport.has_connection()

    def _new(self) -> Lane:
        transport = StampingTransport(ssl_context=self.ssl_context)
        http = httpx.AsyncClient(transport=transport, trust_env=False)
        client = FirmlyClient(http, self.card_url, self.card_url, self.way)
        return Lane(client, transport)


async def record_over(
    lanes: Lanes, journal: Journal, job: Job, emit: Callable[[Record], None], **how: Any
) -> None:
    """Record an order over a lane of its own; each record is in the journal before it is told."""
    log = RecordLog(journal)
    warm = job.start.connection == "warm"
    try:
        taken = lanes.take(warm=warm, within_s=job.left_s(), planned_ns=job.planned_ns)
        async with taken as lane:
            last = await record(job, lane, lambda item: emit(log.write(item)), **how)
        if warm and isinstance(last, End) and last.connection == "cold":
            # Somebody closes what an order was sent over: from now on each is asked before.
            lanes.stay_open = False
    finally:
        journal.close()


# A single event is dated right however late it is read. But when two events wait in the same queue
# the kernel keeps the later stamp only, so a recorder that gets its processor soon keeps more
# events apart: short turns took the share of events that share a read from 6 % to 2 % on a busy
# machine with two processors.
SLICE_NS: Final = 100_000
"""The kernel's least. Who asks for short turns gets the next one sooner, and not more of them."""

_KEEP_POLICY: Final = 0x08
# sched_setattr has no function in the C library.
_SYSCALLS: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}


class _Attributes(ctypes.Structure):
    """``struct sched_attr`` of <linux/sched/types.h>, as it was first."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def ask_for_short_turns() -> bool:
    """Ask the scheduler for short turns for this thread; return whether it took the wish.

    Needs no privilege. Only Linux knows it, and before 6.12 it listens without acting on it.
    """
    number = _SYSCALLS.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return False
    wish = _Attributes(
        size=ctypes.sizeof(_Attributes),
        flags=_KEEP_POLICY,
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime=SLICE_NS,
    )
    try:
        refused: int = ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wish), 0)
    except (OSError, AttributeError):  # a C library without syscall()
        return False
    return not refused


REHEARSAL_S = 5.0
# What the first order says; a page of milestones as firmly's API sends them.
REHEARSED = b"".join(
    b'event: %b\ndata: {"cart_id": "rehearsal"}\n\n' % name.encode() for name in REFERENCE
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"


class Unkept(Journal):
    """Journal of a rehearsal: it is written to nowhere, so that no folder of it can stay."""

    def _create(self, record: Record) -> None:
        del record
        self._file = os.open(os.devnull, os.O_WRONLY)


async def rehearse() -> None:
    """Record an order that this process answers itself, over loopback, and forget it.

    The first order of a process loads code that no later one has to load: tens of milliseconds in
    which no other order starts on time and no event is read.
    """
    answering: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, OSError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: *([0-9]+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                kind = b"text/event-stream" if length else b"application/json"
                body = REHEARSED if length else b"{}"
                writer.write(HEAD % (kind, len(body), body))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def write(item: Record) -> None:
        frame({"r": item})

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    lanes = Lanes(f"http://{host}:{port}")
    start = Start("rehearsal", 0, "rehearsal", host, [], sse=True, connection="warm", timeout_s=5.0)
    job = Job(start=start, body={}, token=Secret("rehearsal"), planned_ns=monotonic_ns())
    try:
        await record_over(lanes, Unkept(Path(os.devnull)), job, write)
    finally:
        await lanes.aclose()
        await asyncio.gather(*filter(None, answering))
        server.close()
        await server.wait_closed()


PARENT_CHECK_S = 1.0
MOST_UNTOLD_BYTES = 8 * 1024 * 1024  # of records that the notebook has not taken yet
UNTOLD_CHECK_S = 0.01
HELD_NS, HELD_CHECK_S = 10_000_000_000, 0.05
# Looked after so often; so few new objects are not worth it, so many do not wait any longer.
TIDY_S, FEW_OBJECTS, MANY_OBJECTS = 0.05, 2_000, 200_000
TIDY_SHARE = 0.05  # of the time, where very much is in flight
# No order is to start so soon, nor was one so lately: it is being sent.
CALM_NS, SENT_NS = 30_000_000, 5_000_000


class Worker:
    """Worker with the orders in flight and the way back to the notebook."""

    def __init__(self, hello: dict[str, Any], output: asyncio.WriteTransport) -> None:
        ca_file = hello["ca_file"] and os.fsdecode(unquote_to_bytes(hello["ca_file"]))
        card_url, api_url = hello["card_url"], hello.get("api_url") or hello["card_url"]
        is_secure = any(url.startswith("https:") for url in (card_url, api_url))
        trust = find_trust(ca_file, secure=is_secure)
        self.lanes = self.cart_lanes = Lanes(card_url, trust)
        if api_url != card_url:
            self.cart_lanes = Lanes(api_url, trust)
        self.journal_directory = Path(os.fsdecode(unquote_to_bytes(hello["journal"])))
        self.keep_personal = bool(hello["keep_personal"])
        self.output = output
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.without_end: set[str] = set()
        self.not_begun: set[str] = set()
        self.due: dict[str, int] = {}  # when orders are to start, or were

    def handle(self, message: dict[str, Any]) -> None:
        """Do what a message asks for."""
        order_id = message["id"]
        if message["type"] == "place":
            task = asyncio.create_task(self._place(order_id, message["job"]))
            self.tasks[order_id] = task
            self.without_end.add(order_id)
            self.not_begun.add(order_id)
            task.add_done_callback(partial(self._over, order_id))
        elif order_id in {"cancel": self.tasks, "recall": self.not_begun}.get(message["type"], ()):
            self.tasks[order_id].cancel()

    async def finish(self) -> None:
        """Close every stream that is still open; each leaves a recording that says so."""
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel(NOTEBOOK_GONE)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.lanes.aclose()
        await self.cart_lanes.aclose()

    def is_calm(self) -> bool:
        """Return whether no order is about to start."""
        now_ns = monotonic_ns()
        return all(not now_ns - SENT_NS < due < now_ns + CALM_NS for due in self.due.values())

    async def _place(self, order_id: str, message: dict[str, Any]) -> None:
        def tell(item: Record) -> None:
            self.not_begun.discard(order_id)
            values, text = parts_of(item if isinstance(item, Start) else item.packed())
            message = {"type": "record", "id": order_id, "record": values}
            if isinstance(item, Event) and item.raw is None and item.exact is not None:
                message["exact"] = item.exact
            self.output.write(frame(message, text))
            if isinstance(item, End) or (isinstance(item, Event) and not job.ends):
                self.without_end.discard(order_id)

        journal = Journal(self.journal_directory, keep_personal=self.keep_personal)
        job = read_job(message)
        if job.planned_ns:
            self.due[order_id] = job.planned_ns
        lanes = self.lanes if job.ends else self.cart_lanes
        await record_over(lanes, journal, job, tell, give_way=self._until_told)

    async def _until_told(self) -> None:
        """Let a flood of events wait for a notebook that does not take them.

        Whoever gets here has many events in one read: other orders go on meanwhile.
        """
        await asyncio.sleep(0)
        while self.output.get_write_buffer_size() > MOST_UNTOLD_BYTES:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(UNTOLD_CHECK_S)

    def _over(self, order_id: str, task: asyncio.Task[None]) -> None:
        """Say of an order that no end will come, so that nobody waits for it."""
        del self.tasks[order_id]
        self.due.pop(order_id, None)
        self.not_begun.discard(order_id)
        error = None if task.cancelled() else task.exception()
        if order_id not in self.without_end:
            return
        self.without_end.discard(order_id)
        kind = type(error).__name__ if error else "Cancelled"
        message = redact_text(str(error)) if error else "cancelled before anything was sent"
        failed = {"type": "failed", "id": order_id, "error": kind, "message": message}
        self.output.write(frame(failed))


async def serve() -> None:
    """Read messages until the notebook is gone."""
    loop = asyncio.get_running_loop()
    # What a library prints must not get between the frames.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, out)
    hello = await read_frame(reader)
    if hello is None or hello.get("version") != VERSION:
        sys.exit(f"this recorder speaks version {VERSION} of the protocol")
    held = await _held(hello.get("lock"))
    worker = Worker(hello, output)
    # Should it fail, the first order pays.
    with suppress(Exception):
        async with asyncio.timeout(REHEARSAL_S):
            await rehearse()
    output.write(GREETING + frame({"type": "ready", "version": VERSION, "pid": os.getpid()}))
    # What is here now stays: nothing that the collector needs to look at while events come.
    gc.collect()
    gc.freeze()
    watcher = asyncio.create_task(_end_with_parent(reader))
    tidying = asyncio.create_task(_tidy(worker))
    try:
        while (message := await read_frame(reader)) is not None:
            worker.handle(message)
    finally:
        watcher.cancel()
        tidying.cancel()
        await worker.finish()
        if held:
            held.release()


async def _tidy(worker: Worker) -> None:
    """Collect garbage between orders: it takes milliseconds, and comes when it likes otherwise."""
    gc.disable()
    took_s = 0.0
    while True:
        await asyncio.sleep(max(TIDY_S, took_s / TIDY_SHARE))
        new = gc.get_count()[0]
        if new > MANY_OBJECTS or (new > FEW_OBJECTS and worker.is_calm()):
            began_ns = monotonic_ns()
            gc.collect()
            took_s = (monotonic_ns() - began_ns) / 1e9


async def _held(quoted: str | None) -> Lock | None:
    """Hold a file until this process ends, so that others know whether it has.

    A recorder of before may be about to end; one that does not is not waited for.
    """
    if quoted is None:
        return None
    path, late = Path(os.fsdecode(unquote_to_bytes(quoted))), monotonic_ns() + HELD_NS
    while True:
        try:
            return lock(path, wait=False)
        except BlockingIOError:
            if monotonic_ns() > late:
                sys.exit("another recorder still holds the journals' folder")
        await asyncio.sleep(HELD_CHECK_S)


async def _end_with_parent(reader: asyncio.StreamReader) -> None:
    """End the input when the parent is gone: a forked relative may hold the pipe open."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(PARENT_CHECK_S)
    reader.feed_eof()


def _settle_missing_imports() -> None:
    """Remember that a module is not there.

    httpcore asks for it with every lock that it makes, a dozen times an order, and each time every
    folder of the path would be searched again: a tenth of the recorder's work.
    """
    if find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]  # Python notes so what is not there


def main() -> None:
    """Run until the notebook is gone; its Ctrl-C is not meant for this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _settle_missing_imports()
    ask_for_short_turns()
    asyncio.run(serve())


if __name__ == "__main__":
    main()
