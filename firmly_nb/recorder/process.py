"""The recorder's process seen from the notebook, and the pipe between the two.

One recorder process a lab, started at the first order and kept. Talking to it runs on the
background loop, like everything async here.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Callable  # noqa: TC003 - read at run time by the dataclass
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from anyio import CancelScope

from firmly_nb.api.secrets import Secret, redact_text, without_app_id
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.outcomes import BEFORE_IT_WAS_SENT
from firmly_nb.recorder.endings import failed_call, tells_end, told_by_events
from firmly_nb.recorder.journal import JournalError, append_record, find_journal, read_journal
from firmly_nb.recorder.records import End, Event, Record, Start, from_dict, written
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from firmly_nb.recorder.job import Job


# The protocol between a notebook and its recorder, version 3.
#
# Both directions carry frames: four bytes of length (big endian), then one JSON object with
# ``type``. If it has ``text``, so many bytes of JSON follow, which are not decoded: what a record
# carries, and can be large, takes this way. The recorder's first frame comes after ``GREETING``:
# whatever stands before it was printed by something else while the interpreter started, and is
# passed over.
#
# To the recorder:
#
# ========== ==================================================== ===============================
# ``type``   further keys                                         meaning
# ========== ==================================================== ===============================
# ``hello``  ``version``, ``card_url``, ``api_url``, ``ca_file``, first: where orders and carts go,
#            ``journal``, ``keep_personal``, ``lock``             where journals are kept, and what
#                                                                 file it holds while it lives
# ``place``  ``id``, ``job``                                      record this order, or call of one
# ``cancel`` ``id``                                               close its stream; an end follows
# ``recall`` ``id``                                               do not send it, if it is not begun
# ========== ==================================================== ===============================
#
# From the recorder:
#
# ========== ==================================================== ===============================
# ``type``   further keys                                         meaning
# ========== ==================================================== ===============================
# ``ready``  ``version``, ``pid``                                 answer to ``hello``
# ``record`` ``id``, ``record``, ``exact``, ``text``              one of ``records``, in order
# ``failed`` ``id``, ``error``, ``message``                       no end will follow, and why; with
#                                                                 no start before, nothing was sent
# ========== ==================================================== ===============================
#
# The pipe is the only way a secret (token, encrypted card) takes to the recorder: not the command
# line, not the environment, not a file. Closing the recorder's input ends it.


VERSION = 3
GREETING = b"\0firmly-nb recorder\n"
LENGTH = struct.Struct(">I")
# An event is at most 2 MiB unless more is asked for. Text that is taken for a length is always
# longer than this.
MAX_FRAME_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 64 * 1024  # of what is read at once


class PipeError(ValueError):
    """Data in the pipe that is not a message of the protocol."""


def frame(message: dict[str, Any], text: bytes | None = None) -> bytes:
    r"""Write one message, with JSON that follows it.

    Raises
    ------
    PipeError
        If it is longer than ``MAX_FRAME_BYTES``.

    Examples
    --------
    >>> frame({"type": "cancel", "id": "a"})
    b'\x00\x00\x00\x1a{"type":"cancel","id":"a"}'
    """
    told = message if text is None else {**message, "text": len(text)}
    body = orjson.dumps(told, default=_opened)
    if (size := max(len(body), len(text or b""))) > MAX_FRAME_BYTES:
        raise PipeError(f"a message of {size} bytes is too long for the pipe")
    return b"".join((LENGTH.pack(len(body)), body, text or b""))


def _opened(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return written(value)


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Read one message, with ``text`` as the bytes that follow it; None when the pipe has ended.

    Raises
    ------
    PipeError
        If what comes is no message. The pipe cannot be read any further then.
    """
    try:
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        message = orjson.loads(await _read(reader, size))
        if isinstance(message, dict) and "text" in message:
            message["text"] = await _read(reader, message["text"])
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except orjson.JSONDecodeError:
        raise PipeError("a message is no JSON") from None
    if not isinstance(message, dict):
        raise PipeError("a message is no JSON object")
    return message


async def _read(reader: asyncio.StreamReader, size: Any) -> bytes:
    """Read so many bytes into one place: the reader itself would hold all of them, and a copy."""
    if type(size) is not int or not 0 <= size <= MAX_FRAME_BYTES:
        raise PipeError(f"a message of {size} bytes was announced: that is no message")
    if size <= PIECE_BYTES:
        return await reader.readexactly(size)
    body = BytesIO()
    while left := size - body.tell():
        piece = await reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        body.write(piece)
    return body.getvalue()


def job_message(job: Job) -> dict[str, Any]:
    """Write a job for the pipe; what is secret is opened by :func:`frame` and not before."""
    return {
        "start": job.start,
        "body": Secret(job.body),
        "token": job.token,
        "headers": job.headers,
        "keep_raw": job.keep_raw,
        "exact_bytes": job.exact_bytes,
        "planned_ns": job.planned_ns,
        "deadline_ns": job.deadline_ns,
        "max_event_bytes": job.max_event_bytes,
        "max_stream_bytes": job.max_stream_bytes,
        "max_events": job.max_events,
        "call": job.call,
        "lease": job.lease,
    }


def read_job(message: dict[str, Any]) -> Job:
    """Read a job back."""
    from firmly_nb.recorder.job import Call, Job, Lease

    start, call = from_dict(message.pop("start")), message.pop("call")
    lease = message.pop("lease", None)
    if not isinstance(start, Start):
        raise TypeError("a job begins with a start record")
    token = Secret(message.pop("token"))
    return Job(
        start=start,
        token=token,
        call=Call(**call) if call else None,
        lease=Lease(**lease) if lease else None,
        **message,
    )


START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 3.0
CANCEL_TIMEOUT_S = 5.0
# After an order's limit its end may take so long to come through the pipe: of a recorder that says
# nothing at all, and of one that says something, but not this.
SILENT_S, LATE_S = 6.0, 30.0
STOPPED_CHECK_S = 0.1
MOST_TOLD = 20
DIED = "RecorderDied"
DID_NOT_RESPOND = "the recorder did not respond and was ended"
DIED_BEFORE_THE_END = "the recorder died before the end of the order"


class RecorderError(RuntimeError):
    """Recorder process that did not start, or ended before the order; nothing was sent."""


class Recalled(Exception):  # noqa: N818 - asked for, so no error
    """Order taken back before it began; nothing was sent."""


@dataclass(slots=True, eq=False)
class _Recorder:
    """Recorder process, with what was heard of it."""

    process: asyncio.subprocess.Process
    words: deque[str] = field(default_factory=lambda: deque(maxlen=20))  # the last
    heard: int = 0  # how often it said something, of whichever order
    was_ended: bool = False  # because it did not respond

    def end(self) -> None:
        """End it, since it does not respond."""
        self.was_ended = True
        _end_now(self.process)

    def how_it_ended(self) -> str:
        """Say how it ended, and its last words."""
        said = DID_NOT_RESPOND if self.was_ended else _last(self.words)
        status = self.process.returncode
        how = "does not end" if status is None else f"ended (status {status})"
        return f"{how}: {said}"


@dataclass(slots=True)
class _Pending:
    """Order in flight: its process, its listeners, and its awaited end."""

    job: Job
    recorder: _Recorder
    on_record: Callable[[Record], None]
    done: asyncio.Future[Record]
    begun_ns: int = field(default_factory=monotonic_ns)  # given to the recorder, then its start
    start: Start | None = None
    recalled: bool = False
    cancelled: bool = False
    last_seq: int = 0
    told: list[Event] = field(default_factory=list)  # of the events those that tell how it ended

    def deliver(self, record: Record) -> None:
        """Pass a record on; an error of whoever is told ends the waiting, not the pump."""
        if self.done.done():
            return
        if isinstance(record, Start):
            self.start, self.begun_ns = record, monotonic_ns()
        elif isinstance(record, Event):
            self.last_seq = record.seq
            # All others are the listener's to keep.
            if self.start and len(self.told) < MOST_TOLD and tells_end(self.start, record):
                self.told.append(record)
        try:
            self.on_record(record)
        except Exception as error:  # noqa: BLE001 - raised again where the order is awaited
            self.done.set_exception(error)
            return
        if isinstance(record, End) or (isinstance(record, Event) and not self.job.ends):
            self.done.set_result(record)

    def left_s(self) -> float:
        """Return how many seconds the order has from now on; the recorder counts the same ones."""
        if self.job.deadline_ns is not None:
            return self.job.left_s()
        begun_ns = max(self.begun_ns, self.job.planned_ns or 0)
        return max((begun_ns - monotonic_ns()) / 1e9 + self.job.left_s(), 0)

    def fail(self, error: Exception) -> None:
        """End the waiting with an error."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass
class WorkerProcess:
    """Recorder process, started when needed and again when it died.

    Parameters
    ----------
    card_url
        Where orders go.
    journal
        Where journals are kept.
    ca_file
        Certificates to trust instead of the usual ones (a simulator with TLS).
    keep_personal
        Whether journals hold addresses unmasked.
    api_url
        Where the calls go that build a cart; empty where orders go there, too.
    lock
        A file that one recorder at a time holds as long as it lives; None: it holds none.
    """

    card_url: str
    journal: Path
    ca_file: str | None = None
    keep_personal: bool = False
    api_url: str = ""
    lock: Path | None = None
    recorder: _Recorder | None = None
    _waiting: set[str] = field(default_factory=set)  # for the process, and not taken back
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _slow: list[asyncio.Task[Any]] = field(default_factory=list)  # starts that nobody waits for
    _pump: asyncio.Task[None] | None = None
    _is_closed: bool = False

    @property
    def process(self) -> asyncio.subprocess.Process | None:
        """Process of the recorder that was started last; None before the first."""
        return self.recorder.process if self.recorder else None

    @property
    def pid(self) -> int | None:
        """Process id of the recorder; None while it does not run."""
        process = self.process
        return process.pid if process and process.returncode is None else None

    async def ready(self) -> None:
        """Have the process running, so that the next order need not wait for it."""
        await self._started()

    async def place(self, job: Job, on_record: Callable[[Record], None]) -> Record:
        """Have one order recorded, or one call of it; the last record is returned.

        ``on_record`` is called with each record as it comes, the end included. Cancelling closes
        the order's stream, gives out its end (outcome ``cancelled``) and then raises.

        Raises
        ------
        RecorderError
            If the process cannot be started, or ended before the order was sent.
        JournalError
            If the journal cannot be written; nothing was sent.
        Recalled
            If it was taken back with :meth:`recall` in time; nothing was sent.
        """
        order_id = job.start.recording_id
        self._waiting.add(order_id)
        try:
            recorder = await self._started_within(job.left_s())
            if order_id not in self._waiting:
                raise Recalled("taken back before the recorder was given it")
        finally:
            self._waiting.discard(order_id)
        done: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        pending = self._pending[order_id] = _Pending(job, recorder, on_record, done)
        try:
            _send(recorder.process, {"type": "place", "id": order_id, "job": job_message(job)})
            await self._ended_in_time(pending)
            return done.result()
        except asyncio.CancelledError:
            pending.cancelled = True
            _send(recorder.process, {"type": "cancel", "id": order_id})
            # The background loop's scope would cancel this waiting, too, again and again.
            with CancelScope(shield=True):
                await self._cancelled(pending)
            raise
        finally:
            self._pending.pop(order_id, None)
            if done.done() and not done.cancelled():
                done.exception()  # it may be that nobody awaits it any more

    def recall(self, order_id: str) -> None:
        """Take an order back that waits for its planned start; one that is begun goes on."""
        self._waiting.discard(order_id)
        pending = self._pending.get(order_id)
        if pending and pending.start is None:
            pending.recalled = True
            _send(pending.recorder.process, {"type": "recall", "id": order_id})

    async def aclose(self) -> None:
        """End the recorder; orders in flight are cancelled by it."""
        self._is_closed = True
        for starting in self._slow:
            starting.cancel()
        async with self._starting:
            recorder, self.recorder = self.recorder, None
            if recorder is None:
                return
            for pending in self._pending.values():
                pending.cancelled = True
            await end_by_input(recorder.process, STOP_TIMEOUT_S, recorder.end)
            if self._pump:
                await self._pump

    async def _started_within(self, left_s: float) -> _Recorder:
        """Return the running recorder; one that starts too slowly goes on for the next order."""
        starting = asyncio.create_task(self._started())
        try:
            await asyncio.wait({starting}, timeout=left_s)
        except asyncio.CancelledError:
            starting.cancel()
            with CancelScope(shield=True):
                await asyncio.wait({starting})
            raise
        if not starting.done():
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._slow.append(starting)
            raise _failed_before("had not started when timeout_s was over")
        return starting.result()

    async def _ended_in_time(self, pending: _Pending) -> None:
        """Wait for the end; a recorder that does not tell it after the limit is ended."""
        recorder, done = pending.recorder, pending.done
        while (left_s := pending.left_s()) and not done.done():
            await asyncio.wait({done}, timeout=left_s)
        # Counted in turns of this loop: while it is held up it hears nothing.
        silent_s = late_s = 0.0
        heard = recorder.heard
        while not done.done():
            if recorder.heard != heard:
                heard, silent_s = recorder.heard, 0.0
            if silent_s > SILENT_S or late_s > LATE_S or is_stopped(recorder.process.pid):
                await self._end(pending)
            await asyncio.wait({done}, timeout=STOPPED_CHECK_S)
            silent_s, late_s = silent_s + STOPPED_CHECK_S, late_s + STOPPED_CHECK_S

    async def _started(self) -> _Recorder:
        """Return the running recorder, started if need be."""
        async with self._starting:
            if self._is_closed:
                raise _closed()
            if self.recorder and self.pid:
                return self.recorder
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "firmly_nb.recorder.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=without_app_id(os.environ),
                # A session of its own: Ctrl-C in a terminal is for the notebook.
                start_new_session=True,
            )
            recorder = _Recorder(process)
            listener = asyncio.create_task(_listen(recorder))
            ready = False
            try:
                ready = await self._greet(process)
            finally:
                # Also when this was cancelled: a recorder that nobody listens to must not be kept.
                if not ready:
                    with CancelScope(shield=True):
                        await _kill(process)
                        await listener
            if not ready:
                raise coded_error(
                    RecorderError,
                    "FNB601",
                    f"The recorder's process did not start: {_last(recorder.words)}. To record in "
                    "this process, use lab.place(..., isolated=False). Nothing was sent.",
                )
            self._pump = asyncio.create_task(self._receive(recorder, listener))
            self.recorder = recorder
            return recorder

    async def _greet(self, process: asyncio.subprocess.Process) -> bool:
        """Say hello and return whether the recorder answered."""
        hello = {
            "type": "hello",
            "version": VERSION,
            "card_url": self.card_url,
            "api_url": self.api_url or self.card_url,
            # Percent-encoded: the name of a file need not be text, and JSON holds only text.
            "ca_file": self.ca_file and quote(os.fsencode(self.ca_file)),
            "journal": quote(os.fsencode(self.journal)),
            "keep_personal": self.keep_personal,
            "lock": self.lock and quote(os.fsencode(self.lock)),
        }
        _send(process, hello)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _stdout(process).readuntil(GREETING)
                ready = await read_frame(_stdout(process))
        except (TimeoutError, PipeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        return ready is not None and ready.get("version") == VERSION

    async def _receive(self, recorder: _Recorder, listener: asyncio.Task[None]) -> None:
        """Pass on what the recorder says until it is gone; then see to what it left."""
        process = recorder.process
        try:
            while (message := await read_frame(_stdout(process))) is not None:
                recorder.heard += 1
                self._take(message)
        except (PipeError, KeyError) as error:
            recorder.words.append(f"it said what is no message: {error}")
            await _kill(process)
        await process.wait()
        await listener
        for pending in list(self._pending.values()):
            if pending.recorder is recorder:
                self._bury(pending, recorder.how_it_ended())

    def _take(self, message: dict[str, Any]) -> None:
        pending = self._pending.get(message["id"])
        if pending is None:
            return
        if message["type"] == "failed":
            self._failed(pending, message["error"], message["message"])
            return
        try:
            record = from_dict(message["record"], message.get("exact"), message.get("text"))
        except ValueError as error:
            raise PipeError(str(error)) from None
        pending.deliver(record)

    def _failed(self, pending: _Pending, error: str, text: str) -> None:
        if pending.start is not None:
            self._bury(pending, f"failed: {error}: {text}")
        elif error == "JournalError":
            pending.fail(coded_error(JournalError, "FNB402", without_code(text)))
        elif pending.recalled and error == "Cancelled":
            pending.fail(Recalled(text))
        else:
            pending.fail(_failed_before(f"failed: {error}: {without_code(text)}"))

    async def _cancelled(self, pending: _Pending) -> None:
        """Wait for the end of an order that was cancelled; end a recorder that does not respond."""
        recorder, done = pending.recorder, pending.done
        late = time.monotonic() + CANCEL_TIMEOUT_S
        while not done.done() and time.monotonic() < late and not is_stopped(recorder.process.pid):
            await asyncio.wait({done}, timeout=STOPPED_CHECK_S)
        if not done.done():
            await self._end(pending)

    async def _end(self, pending: _Pending) -> None:
        """End a recorder that does not respond; its order has an end, however long that takes."""
        pending.recorder.end()
        await asyncio.wait({pending.done}, timeout=CANCEL_TIMEOUT_S)
        if not pending.done.done():
            self._bury(pending, pending.recorder.how_it_ended())

    def _bury(self, pending: _Pending, what_happened: str) -> None:
        """End an order whose recorder died under it, with everything that it wrote."""
        for record in self._left_on_disk(pending):
            pending.deliver(record)
        if pending.done.done():
            return
        # The start is on disk before anything is sent.
        sent = None if pending.start else False
        if pending.start is None and pending.cancelled and pending.job.ends:
            pending.deliver(pending.job.start)
        if pending.start is None:
            closed = _closed() if self._is_closed else None
            pending.fail(closed or _failed_before(f"process {what_happened}"))
            return
        if not pending.job.ends:
            pending.deliver(self._unanswered(pending, what_happened))
            return
        gone = DID_NOT_RESPOND if pending.recorder.was_ended else DIED_BEFORE_THE_END
        end = End(**_cut_off(pending, what_happened), t_end_ns=_since(pending), warnings=[gone])
        if pending.cancelled:
            before = "" if sent is None else f" {BEFORE_IT_WAS_SENT}"
            text = f"cancelled by the analyst{before}; {gone}"
            end = End("cancelled", end.t_end_ns, error_description=text, warnings=[text], sent=sent)
        if told := told_by_events(pending.start, pending.told):
            end = replace(told, warnings=end.warnings)
        pending.deliver(self._written(pending, end))

    def _unanswered(self, pending: _Pending, what_happened: str) -> Event:
        """Return the event of a call whose recorder died under it; the order may go on."""
        call = pending.job.call
        if call is None:
            raise TypeError("an order's last record is its end")
        ended = _cut_off(pending, what_happened)
        event = failed_call(call.failed, call.name, call.seq, _since(pending), ended)
        self._append(pending, event)
        return event

    def _written(self, pending: _Pending, end: End) -> End:
        """Put the end of an order into the journal that the dead recorder left without one."""
        failure = self._append(pending, end)
        return end.changed(warnings=[*end.warnings, failure]) if failure else end

    def _append(self, pending: _Pending, record: Event | End) -> str:
        path = find_journal(self.journal, pending.job.start.recording_id)
        try:
            if path:
                append_record(path, pending.job.start, record, keep_personal=self.keep_personal)
        except JournalError as error:
            return f"not everything is on disk: {error}"
        return ""

    def _left_on_disk(self, pending: _Pending) -> list[Record]:
        """Return what the recorder wrote down and could not tell any more."""
        path = find_journal(self.journal, pending.job.start.recording_id)
        try:
            records = read_journal(path)[0] if path else []
        except JournalError:
            return []
        if pending.job.call:
            # Before them are those of earlier calls.
            mine = pending.job.start.request_id
            begins = [isinstance(r, Start) and r.request_id == mine for r in records]
            records = records[begins.index(True) :] if True in begins else []
        return [
            record
            for record in records
            if (pending.start is None if isinstance(record, Start) else True)
            and not (isinstance(record, Event) and record.seq <= pending.last_seq)
        ]


def _cut_off(pending: _Pending, what_happened: str) -> dict[str, Any]:
    """Return how an order or a call ended under which the recorder ended.

    It may have been ended for another order: this one timed out if its own limit is over.
    """
    is_late = pending.recorder.was_ended and pending.left_s() <= 0
    return {
        "outcome": "timeout" if is_late else "transport_error",
        "error_code": "Timeout" if is_late else DIED,
        "error_description": f"the recorder's process {what_happened}",
    }


async def _listen(recorder: _Recorder) -> None:
    if recorder.process.stderr:
        async for line in recorder.process.stderr:
            recorder.words.append(redact_text(line.decode("utf-8", "replace").strip()))


def _last(words: deque[str]) -> str:
    return words[-1] if words else "it said nothing"


def _send(process: asyncio.subprocess.Process, message: dict[str, Any]) -> None:
    if process.stdin and not process.stdin.is_closing():
        process.stdin.write(frame(message))


async def end_by_input(
    process: asyncio.subprocess.Process, within_s: float, end: Callable[[], object] | None = None
) -> None:
    """End a process that lives as long as its input; kill it if it does not end in time."""
    if process.stdin:
        process.stdin.close()
    ending = asyncio.create_task(process.wait())
    late = time.monotonic() + within_s
    while not ending.done() and time.monotonic() < late and not is_stopped(process.pid):
        await asyncio.wait({ending}, timeout=STOPPED_CHECK_S)
    if not ending.done():
        (end or partial(_end_now, process))()
    await ending


def is_stopped(pid: int) -> bool:
    """Return whether a process is frozen (SIGSTOP, a debugger): it will not respond by itself.

    Only Linux tells it without a further process; elsewhere a limit of time has to do.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])


def _end_now(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def _kill(process: asyncio.subprocess.Process) -> None:
    _end_now(process)
    # Its end is not noticed before everything that it said has been read.
    await _stdout(process).read()
    await process.wait()


def _failed_before(why: str) -> RecorderError:
    text = f"Nothing was sent: the recorder {why.rstrip('.')}. Place the order again."
    return coded_error(RecorderError, "FNB606", text)


def _closed() -> RecorderError:
    text = "Nothing was sent: the lab was closed meanwhile. Open another with fnb.connect()."
    return coded_error(RecorderError, "FNB017", text)


def _since(pending: _Pending) -> int:
    start = pending.start or pending.job.start
    return max(time.time_ns() - (start.started_at_ns or 0) - start.paused_ns, 0)


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        text = "The recorder's process has no output. Nothing was sent. Place the order again."
        raise coded_error(RecorderError, "FNB601", text)
    return process.stdout
