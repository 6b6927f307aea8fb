"""One order: request, stream, milestones, outcome.

The reader task only reads, notes the stamp of the read and queues; parsing, JSON and the journal
come after it, so that they cost no accuracy. Nothing is ever sent twice: the API knows no
idempotency key, so a second POST is a second order.
"""

from __future__ import annotations

import asyncio
import re
import sys
import weakref
from collections import deque
from collections.abc import Callable  # noqa: TC003 - read at run time by the dataclass
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import orjson

from firmly_nb.api.beside import error_beside, status_beside
from firmly_nb.api.causes import cause_of, said_of_http
from firmly_nb.api.errors import (
    ERRORS,
    LISTED_STATUSES,
    FirmlyError,
    begin_of,
    error_from_body,
    error_from_payload,
    seconds_to_wait,
)
from firmly_nb.api.event_names import ERROR, SAYS_NO, milestone_of, says_otherwise
from firmly_nb.api.headers import REQUEST_ID, kept_headers, other_names
from firmly_nb.api.secrets import decode, redact, redact_broken_json, redact_text
from firmly_nb.api.snapshots import (
    ORDER_NUMBER,
    find_snapshot,
    order_number,
    order_numbers,
    two_orders,
    unsubmitted,
    why_unread,
)
from firmly_nb.api.values import as_utf8
from firmly_nb.display.text import count, cut, listed, printable, short_name
from firmly_nb.outcomes import ANSWERED, BEFORE_IT_WAS_SENT, PLACED
from firmly_nb.recorder.endings import failure_data, says_placed, says_refused
from firmly_nb.recorder.job import Call, Job, LeaseOver
from firmly_nb.recorder.masking import masked_headers, masked_text
from firmly_nb.recorder.records import End, Event, Phases, Record, Start
from firmly_nb.wire.encodings import Decoder, DecodingError
from firmly_nb.wire.sse import (
    KEPT_BYTES,
    DroppedData,
    Dropping,
    EventStreamError,
    EventStreamParser,
    ServerSentEvent,
    find_order_number,
    is_costly,
)
from firmly_nb.wire.stamps import (
    CLOCK_RESOLUTION_NS,
    Read,
    event_uncertainty_us,
    monotonic_ns,
    wall_clock_offset,
)
from firmly_nb.wire.transport import NothingWrittenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

    from firmly_nb.api.client import FirmlyClient
    from firmly_nb.outcomes import OutcomeName


CONNECTING = "connection.connect_tcp.started"
SENDING, NOT_SENT = (f"http11.send_request_headers.{how}" for how in ("started", "failed"))
# No byte was handed to the network: the connection was reset before, or this is no HTTP.
NEVER_SENT = (NothingWrittenError, httpcore.LocalProtocolError)


class PhaseClock:
    """Clock of a request's phases: their begin and end, as httpcore traces them.

    Pass :meth:`trace` as the request's ``trace`` extension.
    """

    def __init__(self, may_send: Callable[[], object] = lambda: None) -> None:
        self.times: dict[str, int] = {}
        self.may_send = may_send  # raises if the request is not to be sent after all
        self.sent = False  # whether the network was given any byte of the request, or was about to

    async def trace(self, event_name: str, info: dict[str, Any]) -> None:
        """Take one trace event, e.g. ``http11.send_request_headers.started``."""
        is_ours = event_name == SENDING and (
            getattr(info.get("request"), "method", b"") != b"CONNECT"
        )
        if is_ours:
            self.may_send()
        # Behind a proxy there are two requests, CONNECT and ours: the later one counts.
        self.times[event_name] = monotonic_ns()
        if event_name == NOT_SENT and isinstance(info.get("exception"), NEVER_SENT):
            self.sent = False
        self.sent = self.sent or is_ours

    def how_far(self) -> str:
        """Say how far a request came of which nothing was sent."""
        if SENDING in self.times:
            return "the proxy did not respond"
        for phase, words in (
            ("start_tls", "TLS was not agreed on"),
            ("connect_tcp", "no connection"),
        ):
            if f"connection.{phase}.started" in self.times:
                is_over = f"connection.{phase}.complete" in self.times
                return "the connection was just there" if is_over else words
        return "what comes before it took all of the time"

    @property
    def connected(self) -> bool:
        """True if a connection was opened for this request."""
        return CONNECTING in self.times

    def phases(self, t_start: int, t_headers: int | None) -> Phases:
        """Return the durations that are known, as far as the request got."""
        at = self.times.get
        connect0, connect1 = at(CONNECTING), at("connection.connect_tcp.complete")
        send0, send1 = at(SENDING), at("http11.send_request_body.complete")
        tls0, tls1 = at("connection.start_tls.started"), at("connection.start_tls.complete")
        if send1 is not None and t_headers is not None:
            # The kernel dates the answer; a recorder that was held up notes its sending later.
            send1 = min(send1, t_headers)
        return Phases(
            blocked_ns=_between(t_start, connect0 or send0),
            connecting_ns=_between(connect0, connect1),
            tls_ns=_between(tls0, tls1),
            sending_ns=_between(send0, send1),
            waiting_ns=_between(send1, t_headers),
        )


def _between(begin: int | None, end: int | None) -> int | None:
    """Return a duration; of a response that was there before the request it is 0."""
    return None if begin is None or end is None else max(end - begin, 0)


Group = tuple[Read, list[bytes]]
Chunk = tuple[Read, bytes]

_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
    weakref.WeakKeyDictionary()
)


def last_read(response: httpx.Response) -> Read:
    """Return the stamped read that the answer's connection did last.

    Raises
    ------
    TypeError
        If the answer did not come over a stamping transport.
    """
    stream = response.extensions.get("network_stream")
    read = stream.get_extra_info("last_read") if stream is not None else None
    if not isinstance(read, Read):
        raise TypeError("recording needs firmly_nb.wire.transport.StampingTransport")
    return read


async def stamped(response: httpx.Response) -> AsyncIterator[Chunk]:
    """Iterate over an answer's body, each chunk with the read that brought it."""
    async for chunk in response.aiter_raw():
        yield last_read(response), chunk


@asynccontextmanager
async def read_groups(body: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Group]]:
    """Read an answer's body in a task of its own; iterate over ``(read, chunks)``.

    The task only reads, without a pause while chunks of the same read are at hand. So a group is
    always whole: whoever takes it knows which bytes were the last of their read, and with that how
    far off an event's time can be. The iterator raises what the connection raised, after every
    group that came before it.

    A flood that comes faster than it is taken waits in the socket, where TCP holds its sender back.
    """
    groups: deque[Group] = deque()
    arrived, taken = asyncio.Event(), asyncio.Event()
    waiting = 0  # bytes in the groups

    async def read_all() -> None:
        nonlocal waiting
        try:
            async for read, chunk in body:
                waiting += len(chunk)
                if groups and groups[-1][0] is read:
                    groups[-1][1].append(chunk)
                else:
                    groups.append((read, [chunk]))
                arrived.set()
                while waiting > MOST_WAITING_BYTES:
                    taken.clear()
                    await taken.wait()
        finally:
            arrived.set()

    async def take() -> AsyncIterator[Group]:
        nonlocal waiting
        while groups or not reader.done():
            await arrived.wait()
            await _turn()
            if groups:
                group = groups.popleft()
                waiting -= sum(map(len, group[1]))
                taken.set()
                yield group
            if not groups and not reader.done():
                arrived.clear()
        reader.result()

    reader = asyncio.create_task(read_all())
    try:
        yield take()
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader


async def _turn() -> None:
    """Wait until the event loop has read its sockets since the last turn, of whatever stream.

    What waits in a socket while the groups of others are worked on could be two events, and those
    would have one stamp. In one pass the loop finds the sockets that have something, in the next
    one their readers read.
    """
    lock = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with lock:
        await asyncio.sleep(0)
        await asyncio.sleep(0)


# After its last event a server may leave the stream open; the outcome is known by then.
CLOSE_GRACE_S = 5.0
EVENT_STREAM = "text/event-stream"
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
# Types of those who do not know what they send; any other one is taken at its word.
UNTOLD_TYPES = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})
# How an event stream begins; no JSON and no page begins so.
STREAM_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?::|(?:event|data|id|retry):)")
LONGEST_FIELD = 16
LINE_ENDS = b" \t\x1e"  # what JSON text sequences put before each value, too
MEDIA_TYPE = re.compile(r"[^\s/]+/[^\s/]+")
MAX_ERROR_BODY_BYTES = 1024 * 1024
COSTLY = (
    "its JSON has more values, or more text, than the recorder has memory for. "
    "No option raises this limit."
)
MAX_COMMENTS = 10_000
MOST_KEPT_BEYOND = 20  # of events that tell how the order ended, past a limit
MOST_WAITING_BYTES = 4 * 1024 * 1024  # read and not taken yet
# So many events are worked on before others, the order's limit among them, get their turn.
EVENTS_A_TURN = 100
MOST_NAMES = 20  # of different events, for a sentence
MOST_LATER = 3  # events after the success that say otherwise, each for a sentence
LONGEST_BEGIN = 200  # of what is no event, for a sentence
LONGEST_NAME = 1_000  # of an event, and of its id
AWAKE_NS = 1_200_000
WRITE_AHEAD_NS = 10_000_000
UNEXPECTED = "the answer was not what was asked for"
# What a task is cancelled with (``task.cancel(NOTEBOOK_GONE)``) where it was not the analyst.
NOTEBOOK_GONE = "cut off: the notebook's process ended"


async def _next_turn() -> None:
    await asyncio.sleep(0)


async def record(
    job: Job,
    client: FirmlyClient,
    emit: Callable[[Record], None],
    give_way: Callable[[], Awaitable[None]] = _next_turn,
) -> Record:
    """Place an order and give out its records as they come: the start, each event, the end.

    The last record, which is returned, is the end. A cancelled task gives it out with outcome
    ``cancelled`` and then raises. An error of our own after the start is an end like any other.
    Cancelled well before a planned start, it gives out nothing: nothing was sent. Of a call that
    does not order the last record is its event, also where it failed.

    Parameters
    ----------
    job
        The order, its token and its limits.
    client
        Its transport should stamp reads (``wire.transport.StampingTransport``).
    emit
        Called with each record in order, from this task. The start is given out before anything
        is sent; an exception of ``emit`` then means that nothing was ordered.
    give_way
        Awaited now and then while very many events are worked on.
    """
    if job.planned_ns is not None:
        # To write its start down a millisecond sooner or later does not matter.
        await asyncio.sleep(max(job.planned_ns - WRITE_AHEAD_NS - monotonic_ns(), 0) / 1e9)
    run = _Run(job, client, emit, give_way)
    try:
        await run.follow()
    except asyncio.CancelledError as error:
        reason = NOTEBOOK_GONE if NOTEBOOK_GONE in error.args else "cancelled by the analyst"
        after = "" if run.phases.sent else f" {BEFORE_IT_WAS_SENT}"
        run.begin()
        run.closed_by_us = True
        run.end("cancelled", None, f"{reason}{after}")
        if reason == NOTEBOOK_GONE:
            run.warnings.append(f"the recording was {NOTEBOOK_GONE}")
        run.finish()
        raise
    except Exception as error:
        if not run.t_start:
            raise
        run.end("transport_error", type(error).__name__, f"the recorder failed: {error}")
        run.warnings.append(
            f"the recorder failed ({type(error).__name__}); events may be missing. "
            "Please report this."
        )
    return run.finish()


async def _until(planned_ns: int | None) -> None:
    """Wait for a planned moment; the clock is the same one in every process.

    An event loop sleeps in whole milliseconds and wakes up after the time. So the last of them is
    spent awake, giving way to whatever else there is to do.
    """
    while planned_ns is not None and (rest_ns := planned_ns - monotonic_ns()) > 0:  # noqa: ASYNC110 - waits for a time
        await asyncio.sleep(max(rest_ns - AWAKE_NS, 0) / 1e9)


class _Run:
    """State of one order while it is recorded."""

    def __init__(
        self,
        job: Job,
        client: FirmlyClient,
        emit: Callable[[Record], None],
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        self.job = job
        self.give_way = give_way
        self.secrets = job.secrets
        self.client = client
        self.emit = emit
        self.phases = PhaseClock(self._check_lease)
        # The stream is read to its end, however much of it is kept: the end tells the outcome.
        self.largest = min(job.max_event_bytes, job.max_stream_bytes)
        self.parser = EventStreamParser(
            max_event_bytes=self.largest, max_stream_bytes=sys.maxsize, drop_large=True
        )
        self.decoder = Decoder("")
        self.undecoded_since_ns: int | None = None  # reads that nothing came out of so far
        self.is_held = False  # whether nothing came out of the last chunk
        self.kept_bytes = self.exact_bytes = self.heartbeats = 0
        self.full_by = ""  # the limit beyond which events are not kept
        self.not_kept = self.too_large = self.too_costly = self.kept_beyond = 0
        self.deadline = asyncio.timeout(None)
        self.t_start = 0  # times count from here; of a call it is moved by those before it
        self.answer: Event | None = None  # of the call, once it is given out
        self.t_headers: int | None = None
        self.t_end: int | None = None  # arrival of the body's end, where it came
        self.offsets: list[int] = []
        self.offset_error = 0
        self.seq = job.call.seq - 1 if job.call else 0
        self.last_read_no: int | None = None
        self.comments: list[int] = []
        self.ended: dict[str, Any] = {}
        self.closed_by_us = False  # at the limit, or because somebody cancelled
        self.waited_in_vain = False
        self.succeeded = False
        self.is_refused = False  # by the status of the response
        self.names: list[str] = []
        self.shown: dict[str, str] = {}  # the last name or id as it is shown
        self.unread: dict[tuple[str, str], list[int]] = {}  # events by name and reason
        self.unfinished = ""  # how an event begins that never ended
        self.encoding: str | None = None
        self.told: list[tuple[str, str | None]] = []  # events that told a success, their numbers
        self.told_by: tuple[Any, Read] | None = None  # data and read of the first of these events
        self.placed_by_content = False
        self.beside: tuple[str, str] | None = None  # what told the success has: an error, a status
        self.unsubmitted: tuple[str, str] | None = None  # an order number, its cart's status
        self.after_error: list[str] = []  # milestones
        # Events that say otherwise than success, and what they say.
        self.before_success, self.after_success = dict[str, str](), dict[str, str]()
        self.numbers_beside: list[str] = []  # order numbers in events that say otherwise
        self.is_only_name = False  # whether no event before the success had its name
        self.refused_by: tuple[str, FirmlyError] | None = None  # by the content of an event
        self.not_taken = ""  # name of an event that has an order number and says otherwise
        self.warnings: list[str] = []
        self.http_status: int | None = None
        self.confirmation: Any = None
        self.retry_after_s: float | None = None
        self.headers = httpx.Headers()  # of the response, as they came

    @cached_property
    def named_by(self) -> Start:
        """Start whose names of events count: a call may be answered with a stream that has its own.

        Only the one that orders is looked at so: an event of another one is no order.
        """
        job = self.job
        is_call = job.call is not None and job.ends
        return replace(job.start, flow=False, milestones=None) if is_call else job.start

    def _since_start(self, at_ns: int) -> int:
        """Return a time of the order: a server that speaks first says nothing before its start."""
        return max(at_ns - self.t_start, 0)

    def begin(self) -> None:
        """Let the time begin, unless it has."""
        before_ns = self.job.call.t_ns if self.job.call else 0
        self.t_start = self.t_start or monotonic_ns() - before_ns

    async def follow(self) -> None:
        """Send the order and read the answer to its end; why it ended goes to ``ended``."""
        start = self.job.start
        planned_ns = self.job.planned_ns
        self._check_lease()
        # What is planned is written down a little ahead: a file takes its time.
        expected_ns = max(monotonic_ns(), planned_ns or 0)
        wall_ns, call = expected_ns + wall_clock_offset()[0], self.job.call
        if call and call.seq > 1:
            paused_ns = wall_ns - (start.started_at_ns or wall_ns) - call.t_ns
            start = replace(start, paused_ns=max(paused_ns, start.paused_ns))
        else:
            lag_ns = self._lag_ns(expected_ns)
            start = replace(start, started_at_ns=wall_ns, schedule_lag_ns=lag_ns)
        self.emit(start)
        await _until(planned_ns)
        self.begin()
        try:
            left_s = self.job.left_s()
            async with asyncio.timeout(left_s) as self.deadline:
                if left_s:
                    await self._exchange()
                else:
                    self._end_by_limit()
        except (TimeoutError, httpx.TimeoutException):
            self.closed_by_us = self.waited_in_vain = True
            self._end_by_limit()
        except (EventStreamError, DecodingError) as error:
            if self.decided:
                self.warnings.append(str(error))
            self.end("transport_error", type(error).__name__, str(error))
        except LeaseOver as error:
            self.closed_by_us = True
            self.end("cancelled", None, f"{error} {BEFORE_IT_WAS_SENT}")
        except httpx.HTTPError as error:
            self._end_by_failure(error)

    def _check_lease(self) -> None:
        if self.job.lease:
            self.job.lease.check()

    def _end_by_failure(self, error: httpx.HTTPError) -> None:
        """Say why there was no connection; of one that ended httpx's words are kept."""
        code, text = type(error).__name__, said_of_http(error) or "the connection failed"
        if isinstance(error, httpx.ConnectError | httpx.ProxyError):
            cause = cause_of(error, self.client.card_url, self.client.way)
            code, text = cause.error, cause.description
        self.end("transport_error", code, text)

    def _end_by_limit(self) -> None:
        limit = f"no end within {self.job.start.timeout_s:g} s"
        if not self.phases.sent:
            limit = f"{limit} {BEFORE_IT_WAS_SENT}: {self.phases.how_far()}"
        self.end("timeout", "Timeout", limit)

    def _lag_ns(self, now_ns: int) -> int | None:
        return None if self.job.planned_ns is None else now_ns - self.job.planned_ns

    async def _exchange(self) -> None:
        start = self.job.start
        own_id = {REQUEST_ID: start.request_id} if start.request_id else {}
        call = self.job.call
        async with self.client.stream_order(
            start.domain,
            self.job.body,
            self.job.token,
            sse=start.sse,
            call=(call.method, call.path) if call else None,
            limits=httpx.Timeout(start.timeout_s),
            headers={**self.job.headers, **own_id},
            extensions={"trace": self.phases.trace},
        ) as response:
            self.http_status = response.status_code
            self.retry_after_s = seconds_to_wait(
                response.headers.get("retry-after"), response.headers.get("date")
            )
            read = last_read(response)
            self.t_headers = read.arrived_ns
            self._note(read)
            # Looked through at the end: while that lasts no event could be read.
            self.headers = response.headers
            self.is_refused = not 200 <= response.status_code < 300
            is_stream = _media_type(response) == EVENT_STREAM
            body = stamped(response)
            if not self.is_refused and (response.status_code != 200 or is_stream != start.sse):
                kind = self._kind(response)
                wanted = EVENT_STREAM if start.sse else "application/json"
                self.warnings.append(
                    f"the response was HTTP {response.status_code} with {kind}; "
                    f"expected was HTTP 200 with {wanted}"
                )
            self.decoder = Decoder(response.headers.get("content-encoding", ""))
            if self.decoder.unreadable:
                await self._pass_over(response, self.decoder.unreadable)
                return
            if _media_type(response) in UNTOLD_TYPES:
                is_stream, body = await self._look_ahead(response, body)
            if is_stream:
                await self._read_events(response, body)
            elif self.is_refused:
                await self._read_error(response, body)
            else:
                await self._read_confirmation(response, body)

    async def _look_ahead(
        self, response: httpx.Response, body: AsyncIterator[Chunk]
    ) -> tuple[bool, AsyncIterator[Chunk]]:
        """Return whether a body is an event stream that is not called so, and the body."""
        seen: list[Chunk] = []
        begin = b""
        decoder = Decoder(response.headers.get("content-encoding", ""))
        async for read, chunk in body:
            seen.append((read, chunk))
            with suppress(DecodingError):  # told where it is read
                begin += next(decoder.feed(chunk), b"")
            if len(begin) >= LONGEST_FIELD or STREAM_BEGIN.match(begin):
                break
        return STREAM_BEGIN.match(begin) is not None, _chained(seen, body)

    def _say_encoding(self) -> None:
        """Say that a response was compressed although identity was asked for, or only said so."""
        undone = self.decoder.undone
        passed = [name for name in self.decoder.names if name not in undone]
        named, unlike, unknown = (
            cut(printable(redact_text(", ".join(names), self.secrets)), LONGEST_BEGIN)
            for names in (undone, passed, self.decoder.unknown)
        )
        said = []
        if named:
            self.encoding = named
            bounds = "; times inside one compressed block are upper bounds" if self.seq else ""
            said.append(
                f"the response is compressed ({named}) although identity was asked for{bounds}"
            )
        if unlike:
            said.append(f"the response says that it is compressed ({unlike}), but is not")
        if unknown:
            said.append(f"the response has an unknown encoding ({unknown}); it was read as it came")
        self.warnings[:0] = said

    async def _pass_over(self, response: httpx.Response, reason: str) -> None:
        """Read a response that cannot be decoded to its end: how the order ended is unknown."""
        async for _ in response.aiter_raw():
            self._note(last_read(response))
        self.t_end = last_read(response).arrived_ns
        code = f"HTTP {self.http_status}" if self.is_refused else "UnreadableEncoding"
        self.end("http_error", code, f"the response cannot be read: {reason}")

    async def _read_events(self, response: httpx.Response, body: AsyncIterator[Chunk]) -> None:
        async with read_groups(body) as groups:
            async for read, chunks in groups:
                was_decided = self.decided
                await self._take(read, chunks)
                if self.decided and not was_decided:
                    self._wait_no_longer_than(CLOSE_GRACE_S)
        self.t_end = last_read(response).arrived_ns
        self._close_decoder()
        self.parser.close()
        if not (self.decided or self.placed_by_content):
            self._take_bare(self.parser.strays + self.parser.unfinished)
        if self.is_refused and not self.refused_by:
            named = [f" with {one} and" for one in self.names if one in self.named_by.success]
            said = f"a stream{''.join(named[:1])} without an error event"
            self.end("http_error", f"HTTP {self.http_status}", said)
        self.end("incomplete", None, "the stream ended without order-placed and without error")

    def _take_bare(self, body: bytes) -> None:
        """Read an answer that is JSON, and only called an event stream."""
        answers = _json_in(body, self.secrets)
        if answers and self.is_refused:
            error = error_from_body(self.http_status or 0, body, self.secrets)
            self._keep_order(body)
            self.end("http_error", error.error, error.description)
        else:
            self._take_answers(answers)

    def _take_answers(self, answers: list[Any]) -> None:
        """Take what the values of a response tell, one on each line.

        The first with an order number counts, else the first that tells anything.
        """
        for one in sorted(answers, key=lambda one: order_number(one) is None):
            self._take_answer(one)
        self.told += [("", number) for one in answers for number in order_numbers(one)]
        self.beside = self.beside or next(filter(None, map(_beside, answers)), None)

    def _take_answer(self, answer: Any) -> None:
        """Take an order number or a listed error from a 2xx response without events."""
        if self.decided:
            return
        if reason := why_unread(answer):
            self.warnings.append(f"the cart of the response was not read: {reason}")
        error = error_from_payload(answer)
        if numbers := order_numbers(answer):
            self.told += [("", number) for number in numbers]
            self._note_doubts(answer, numbers)
            self.confirmation = answer
            self.succeeded = True
            return
        if error.error in LISTED_STATUSES:
            self.end("http_error", error.error, error.description)

    def _wait_no_longer_than(self, seconds: float) -> None:
        at = asyncio.get_running_loop().time() + seconds
        limit = self.deadline.when()
        self.deadline.reschedule(at if limit is None else min(at, limit))

    async def _take(self, read: Read, chunks: list[bytes]) -> None:
        """Turn the bytes of one read into records."""
        self._note(read)
        last: ServerSentEvent | None = None  # taken once it is known whether another one follows
        taken = 0
        failure: EventStreamError | DecodingError | asyncio.CancelledError | None = None
        try:
            async for event in self._events_in(read, chunks):
                if last:
                    self._take_event(last, read, last_in_read=False)
                last, taken = event, taken + 1
                if taken % EVENTS_A_TURN == 0:
                    await self.give_way()
        except (EventStreamError, DecodingError, asyncio.CancelledError) as error:
            # The events before it are whole, and are kept.
            failure = error
        if last:
            whole = self.parser.pending_bytes == 0 and not self.decoder.undone
            self._take_event(last, read, last_in_read=whole)
        if not self.is_held:
            self.undecoded_since_ns = None
        elif taken or self.undecoded_since_ns is None:
            self.undecoded_since_ns = read.earliest_ns
        if failure:
            raise failure

    async def _events_in(self, read: Read, chunks: list[bytes]) -> AsyncIterator[ServerSentEvent]:
        for chunk in chunks:
            self.is_held = True
            # A few bytes may unfold into gigabytes: each piece is worked on before the next.
            for piece in self.decoder.feed(chunk):
                self.is_held = self.is_held and not piece
                for event in self.parser.feed(piece):
                    yield event
                self._count_heartbeats(read)
                if self.decoder.names:
                    await self.give_way()

    def _count_heartbeats(self, read: Read) -> None:
        beats = self.parser.comments - self.heartbeats
        self.heartbeats += beats
        beats = min(beats, MAX_COMMENTS - len(self.comments))
        self.comments.extend([self._since_start(read.arrived_ns)] * beats)

    def _take_event(self, event: ServerSentEvent, read: Read, *, last_in_read: bool) -> None:
        raw = event.raw_data
        size = raw.size if isinstance(raw, DroppedData) else len(raw)
        self.too_large += isinstance(raw, DroppedData)
        # A name may have a secret of the request in it, and have a megabyte.
        shown = self._shown(event.event)
        is_first = shown not in self.names
        if len(self.names) < MOST_NAMES and is_first:
            self.names.append(shown)
        # An id holds for all events after it: written with each of them, it can be most of them.
        is_kept = self._has_room(size + len(event.event) + len(event.id))
        tells = False
        if is_kept or self._may_tell(event):
            if is_costly(raw):
                event = event._replace(raw_data=_dropped(raw))
                self.too_costly += 1
            data = self._decode(event)
            tells = self._judge(event.event, data, is_first=is_first)
            if self.told and not self.told_by:
                self.told_by = data, read
        if not is_kept and not (tells and self._tells_beyond()):
            self.not_kept += 1
            self.last_read_no = read.read_no
            return
        self.seq += 1
        self.emit(
            Event(
                seq=self.seq,
                event=shown,
                data=data,
                t_ns=self._since_start(read.arrived_ns),
                wall_ns=read.arrived_ns + read.wall_offset_ns,
                clock=read.clock,
                uncertainty_us=self._uncertainty_us(read, last_in_read=last_in_read),
                read_no=read.read_no,
                coalesced=read.read_no == self.last_read_no,
                read_delay_us=(read.read_ns - read.arrived_ns) / 1000,
                size=size,
                rtt_us=read.rtt_us,
                retransmits=read.retransmits,
                reordered=read.reordered,
                id=self._shown(event.id),
                raw=self._raw(event, data) if self.job.keep_raw else None,
                _exact=self._exact(event, data, size),
            )
        )
        self.last_read_no = read.read_no
        if reason := why_unread(data, event.event, self.job.start.milestones):
            kind = shown, redact_text(reason, self.secrets)
            if len(self.unread) < MOST_NAMES:
                self.unread.setdefault(kind, [])
            if kind in self.unread:
                self.unread[kind].append(self.seq)

    def _shown(self, name: str) -> str:
        """Return a name or an id without secrets, and no longer than names are."""
        if name not in self.shown:
            self.shown.clear()
            text = redact_text(name[:KEPT_BYTES], self.secrets)
            self.shown[name] = cut(text, LONGEST_NAME)
        return self.shown[name]

    def _uncertainty_us(self, read: Read, *, last_in_read: bool) -> float:
        found_us = event_uncertainty_us(read, last_in_read=last_in_read)
        if self.undecoded_since_ns is not None:
            found_us = max(found_us, (read.arrived_ns - self.undecoded_since_ns) / 1000)
        # No event arrives before its request was handed to the network.
        sent_ns = self.phases.times.get(SENDING, self.t_start)
        return min(found_us, max(read.arrived_ns - sent_ns, CLOCK_RESOLUTION_NS) / 1000)

    def _judge(self, name: str, data: Any, *, is_first: bool) -> bool:
        """Take what an event tells of how the order ends; return whether it tells anything."""
        named_by = self.named_by
        placed, error = says_placed(named_by, name, data), says_refused(named_by, name, data)
        numbers = order_numbers(data)
        if not placed:
            self._note_otherwise(name, data, numbers, error)
        if not self.succeeded:
            self._doubt(name, data, numbers, placed)
        if placed and not self.is_refused:
            told: list[str | None] = [*numbers]
            self.told += [(self._shown(name), number) for number in told or [None]]
            if placed == "content" and not self.placed_by_content:
                self.placed_by_content, self.is_only_name = True, is_first
        if placed == "name" and not self.is_refused:
            if self.ended and not self.succeeded:
                self.warnings.append(
                    f"{name} came after an error event; the order counts as placed"
                )
            self.succeeded = True
        elif error and name == ERROR:
            if self.succeeded:
                self.warnings.append(f"error event after the order was placed: {error.error}")
            else:
                self._end_with(error)
        elif error and not self.refused_by:
            self.refused_by = (self._shown(name), error)
        return bool(placed or error or numbers)

    def _doubt(self, name: str, data: Any, numbers: list[str], placed: str | None) -> None:
        """Note what an event says against success: no success came by name before it."""
        is_milestone = self._is_milestone(name)
        if placed == "name" or not self.placed_by_content:
            self._note_doubts(data, numbers, placed=placed)
        if self.ended and is_milestone:
            self.after_error.append(name)
        if numbers and name != ERROR and not (placed or is_milestone):
            says_no = says_otherwise(name) or error_beside(data) or status_beside(data)
            self.not_taken = self._shown(name) if says_no else self.not_taken

    def _note_otherwise(
        self, name: str, data: Any, numbers: list[str], error: FirmlyError | None
    ) -> None:
        """Note the order numbers of an event that says no, and what else it says."""
        says_no = name == ERROR or says_otherwise(name)
        if says_no and len(self.numbers_beside) < MOST_NAMES:
            self.numbers_beside += numbers
        if name == ERROR:
            return
        is_after = self.succeeded or self.placed_by_content
        status = unsubmitted(data) if numbers and is_after else None
        is_unknown = not self._is_milestone(name)
        has_error = error or (isinstance(data, dict) and any(map(data.get, ERRORS)))
        known = error_beside(data) if has_error else None
        state = status_beside(data) if is_unknown and not known else None
        found = self.after_success if is_after else self.before_success
        is_told = known or state or status or (says_no and is_unknown)
        if is_told and len(found) < MOST_NAMES:
            said = f"cart {short_name(status)!r}" if status else state or ""
            said = f"the error {short_name(known)}" if known else short_name(said)
            found.setdefault(self._shown(name), said)

    def _is_milestone(self, name: str) -> bool:
        return milestone_of(name, self.job.start.milestones) is not None

    def _note_doubts(self, data: Any, numbers: list[str], placed: str | None = "name") -> None:
        """Note what speaks against an order in the data that has its number, or tells of it."""
        if placed:
            self.beside = _beside(data)
        if numbers:
            status = unsubmitted(data)
            self.unsubmitted = (numbers[0], status) if status else None

    def _say_doubts(self) -> None:
        if self.beside and self.succeeded:
            has = "beside its number" if any(number for _, number in self.told) else "in its data"
            kind, words = self.beside
            self.warnings.append(f"the order has {kind} {has}: {short_name(words)}")
        if self.unsubmitted:
            number, status = map(short_name, self.unsubmitted)
            self.warnings.append(f"the cart of order {number} is {status!r}, not 'submitted'")
        if self.after_error and self.ended and not self.succeeded:
            named = ", ".join(dict.fromkeys(self.after_error))
            many = count(len(self.after_error), "milestone")
            self.warnings.append(f"{many} came after the error: {named}")
        if self.succeeded:
            # A pause on the way to the success is none against it.
            before = {
                name: said
                for name, said in self.before_success.items()
                if said or SAYS_NO.search(name)
            }
            self._say_otherwise(before, "before")
            self._say_otherwise(self.after_success, "after")
        elif self.ended.get("outcome") not in ANSWERED:
            for name, said in [*self.before_success.items()][:MOST_LATER]:
                has = f", with {said}," if said else ""
                if self._is_milestone(name):
                    self.warnings.append(f"{name!r}{has} is a milestone, and no end of the order")
                elif name != self.not_taken:
                    self.warnings.append(
                        f"{cut(name, LONGEST_BEGIN)!r}{has} is no known event name, and was not "
                        "taken for the order's end"
                    )

    def _say_otherwise(self, events: Mapping[str, str], when: str) -> None:
        for name, said in [*events.items()][:MOST_LATER]:
            has = f", with {said}" if said else ""
            self.warnings.append(
                f"{cut(name, LONGEST_BEGIN)!r} came {when} the order was placed{has}; the order "
                "counts as placed"
            )
        if len(events) > MOST_LATER:
            self.warnings.append(
                f"further events that say otherwise came {when} the order was placed"
            )

    def _end_with(self, error: FirmlyError) -> None:
        outcome: OutcomeName = "http_error" if self.is_refused else "error_event"
        self.end(outcome, error.error, error.description)

    def _judge_by_content(self) -> None:
        """Say what events of unknown names told, where no name did: a number, or a listed error."""
        if self.succeeded or self.ended.get("outcome") in ANSWERED:
            return
        if self.placed_by_content:
            name = self.told[0][0]
            self.succeeded = True
            before = self.names[: self.names.index(name)] if name in self.names else self.names
            begun = [cut(each, LONGEST_BEGIN) for each in (*before, name)]
            # The last of the milestones is the success, whatever it has in it.
            then = (
                f" Pass milestones={begun} to connect() to name the stages."
                if self.is_only_name
                else " Events before it have the same name, so the stages have no names."
            )
            then = "" if self.job.call else then  # its stages are the calls
            self.warnings.append(
                f"{cut(name, LONGEST_BEGIN)!r} is no known event name; it was taken for the "
                f"order's success because it has an order number.{then}"
            )
        elif self.refused_by:
            name, error = self.refused_by
            self.ended = {}
            self._end_with(error)
            self.warnings.append(
                f"{cut(name, LONGEST_BEGIN)!r} is no known event name; it was taken for an error "
                f"event because it has the error {error.error}"
            )
        elif self.not_taken:
            self.warnings.append(
                f"{cut(self.not_taken, LONGEST_BEGIN)!r} has an order number, and was not taken "
                "for the order's success: its name or its data says otherwise"
            )

    def _say_repeats(self) -> None:
        """Say where success came more than once: a repeat, or a second order."""
        # One that is named a success counts before one that was recognised by its content.
        told = sorted(self.told, key=lambda one: one[0] not in self.named_by.success)
        first = [number for _, number in told if number]
        if several := two_orders([*first, *self.numbers_beside], first_counts=bool(first)):
            self.warnings.append(several)
            return
        names = [name for name, _ in self.told]
        again = [name for name in self.named_by.success if names.count(name) > 1]
        if again:
            self.warnings.append(
                f"{again[0]} came {names.count(again[0])} times; the time of the first counts"
            )

    def _say_unread(self) -> None:
        """Say of which events the cart was not read, and why."""
        for (name, reason), seqs in self.unread.items():
            more = f", and of {count(len(seqs) - 1, 'event')} after it," if len(seqs) > 1 else ""
            self.warnings.append(
                f"the cart of event {seqs[0]} {cut(name, LONGEST_BEGIN)!r}{more} was not read: "
                f"{reason}"
            )

    def _say_leftovers(self) -> None:
        """Warn of what came in the stream outside its events: its size, and how it begins."""
        parser = self.parser
        if parser.stray_bytes:
            size, begin = count(parser.stray_bytes, "byte"), self._begin(parser.strays)
            self.warnings.append(f"the stream has {size} outside its events, beginning: {begin}")
        unfinished = parser.unfinished
        # The last line of a page or of JSON belongs to those before it.
        if unfinished and (not parser.stray_bytes or unfinished.startswith((b"event:", b"data"))):
            size, self.unfinished = count(parser.unfinished_bytes, "byte"), self._begin(unfinished)
            self.warnings.append(
                f"the last event did not end; {size} of it came, beginning: {self.unfinished}"
            )

    def _begin(self, content: bytes) -> str:
        """Return the begin of something that is not read, without secrets; of a page its title."""
        text = begin_of(content, self.secrets)
        return cut(printable(" ".join(text.split())), LONGEST_BEGIN)

    def _has_room(self, size: int) -> bool:
        """Return whether an event is kept; after the first that is not, no other is."""
        self.kept_bytes += size
        if not self.full_by:
            if self.seq >= self.job.max_events:
                self.full_by = f"max_events={self.job.max_events}"
            elif self.kept_bytes > self.job.max_stream_bytes:
                self.full_by = f"max_stream_bytes={self.job.max_stream_bytes}"
        return not self.full_by

    def _may_tell(self, event: ServerSentEvent) -> bool:
        """Return whether an event may tell how the order ends: only then is it worth decoding."""
        name, data = event.event, event.raw_data
        is_named = name == ERROR or name in self.named_by.success
        return is_named or _is_dropped(event) or b"order_number" in data or b"rror" in data

    def _tells_beyond(self) -> bool:
        """Return whether an event that tells how the order ends is kept beyond the limits."""
        self.kept_beyond += 1
        return self.kept_beyond <= MOST_KEPT_BEYOND

    def _say_what_was_dropped(self) -> None:
        if self.not_kept:
            name = self.full_by.partition("=")[0]
            self.warnings.append(
                f"the recorder dropped {count(self.not_kept, 'event')} beyond {self.full_by}. To "
                f"keep more, pass {name}= to place()."
            )
        if self.too_large:
            by_event = self.largest == self.job.max_event_bytes
            name = "max_event_bytes" if by_event else "max_stream_bytes"
            self.warnings.append(
                f"the recorder dropped the data of {count(self.too_large, 'event')} above "
                f"{name}={self.largest}. To keep more, pass {name}= to place()."
            )
        if self.too_costly:
            self.warnings.append(
                f"the recorder dropped the data of {count(self.too_costly, 'event')}: {COSTLY}"
            )

    def _decode(self, event: ServerSentEvent) -> Any:
        if isinstance(event.raw_data, DroppedData):
            number = event.raw_data.order_number
            return redact({ORDER_NUMBER: number}, self.secrets) if number else None
        try:
            return decode(event.raw_data, self.secrets)
        except orjson.JSONDecodeError:
            return redact_broken_json(event.data, self.secrets) or None

    def _exact(self, event: ServerSentEvent, data: Any, size: int) -> str | None:
        """Return the exact text for as long as there is room for it in memory."""
        self.exact_bytes += size
        if self.job.keep_raw or self.exact_bytes > self.job.exact_bytes or _is_dropped(event):
            return None
        return self._raw(event, data)

    def _raw(self, event: ServerSentEvent, data: Any) -> str:
        """Return the exact text, or where it holds secrets the JSON without them."""
        if _is_dropped(event):
            return ""
        # The text is looked at, too: of two fields of one name JSON keeps the last.
        text = redact_broken_json(event.data, self.secrets)
        try:
            exact = orjson.loads(event.raw_data) == data and text == event.data
        except orjson.JSONDecodeError:
            return text
        return event.data if exact else orjson.dumps(data).decode()

    async def _read_confirmation(
        self, response: httpx.Response, chunks: AsyncIterator[Chunk]
    ) -> None:
        """Read a 2xx response without an event stream: the order as JSON, asked for or not."""
        limit = self.job.max_event_bytes
        named = f"max_event_bytes={limit}"
        body, rest = await self._read_body(response, chunks, limit, named)
        if not rest.size and is_costly(body):
            rest.write(body)
            self.warnings.append(f"the recorder dropped the body of the answer: {COSTLY}")
        answers = [] if rest.size else _json_in(body, self.secrets)
        if rest.number:
            answers = [redact({ORDER_NUMBER: rest.number}, self.secrets)]
        answer = answers[0] if answers else None
        if not self.job.ends:
            self._take_cart(answer, response, len(body))
            return
        self._take_answers(answers)
        if self.decided:
            if self.job.call and self.succeeded:
                # The order is the event of the call, as it is that of a stream.
                self._tell(self.job.call.name, self.confirmation, last_read(response), len(body))
                self.confirmation = None
            return
        if self.job.start.sse:
            is_ok = response.status_code == 200
            code = "UnexpectedContentType" if is_ok else f"HTTP {response.status_code}"
            text = f"expected an event stream, got {self._kind(response)}"
            self.end("http_error", code, f"{text}{self._besides(answer, body)}")
        elif not answers:
            if not self.warnings:
                self.warnings.append(UNEXPECTED)
            text = f"the answer is no whole JSON{self._words_of(body)}"
            self.end("http_error", "UnexpectedAnswer", text)
        else:
            self.confirmation = answer
            # 200 does not always mean ordered: the answer may be the cart, with a notice.
            said = self._besides(answer, body)
            self.end("incomplete", None, f"the response has no readable order number{said}")

    def _besides(self, answer: Any, body: bytes) -> str:
        """Say what a response without an order says: its notices, or else its own words."""
        notices = _notices(answer)
        return f"; notice: {notices}" if notices else self._words_of(body)

    def _words_of(self, body: bytes) -> str:
        """Say what a response says instead of an order: an error, a page's title, its begin."""
        error = error_from_body(self.http_status or 0, body, self.secrets)
        named = "" if error.error == f"HTTP {self.http_status}" else error.error
        said = ": ".join(filter(None, (named, error.description)))
        return f": {cut(printable(said), LONGEST_BEGIN)}" if said and body.strip() else ""

    def _take_cart(self, cart: Any, response: httpx.Response, size: int) -> None:
        """Take the response of a call that changes the cart."""
        if isinstance(cart, dict):
            self._tell(self.job.call.name, cart, last_read(response), size)  # type: ignore[union-attr]  # there is one
        else:
            self.end("http_error", "UnexpectedAnswer", "the response is not a JSON object")

    def _tell(self, name: str, data: Any, read: Read | None, size: int = 0) -> Event:
        """Give out the event of a call: its response arrived with a read, or it failed."""
        before_us = self.job.call.uncertainty_us if self.job.call else 0.0
        now_ns = read.arrived_ns if read else self.t_end or monotonic_ns()
        offset_ns = read.wall_offset_ns if read else wall_clock_offset()[0]
        found_us = self._uncertainty_us(read, last_in_read=True) if read else 0.0
        self.seq += 1
        self.answer = Event(
            seq=self.seq,
            event=name,
            data=data,
            t_ns=self._since_start(now_ns),
            wall_ns=now_ns + offset_ns,
            clock=read.clock if read else "user",
            # The time of a flow is a sum, and each call before it may have been shorter.
            uncertainty_us=before_us + found_us,
            read_no=read.read_no if read else None,
            coalesced=False,
            read_delay_us=(read.read_ns - read.arrived_ns) / 1000 if read else 0.0,
            size=size,
            rtt_us=read.rtt_us if read else None,
            retransmits=read.retransmits if read else None,
            reordered=read.reordered if read else None,
        )
        self.emit(self.answer)
        return self.answer

    def _tell_failure(self, call: Call) -> Event:
        """Give out the event of a call that failed: the flow may go on after it."""
        told = failure_data(call.name, self.ended, self.http_status)
        return self._tell(call.failed, told, None)

    def _kind(self, response: httpx.Response) -> str:
        return redact_text(_media_type(response), self.secrets) or "no content type"

    async def _read_error(self, response: httpx.Response, chunks: AsyncIterator[Chunk]) -> None:
        body, _ = await self._read_body(response, chunks, MAX_ERROR_BODY_BYTES)
        location = response.headers.get("location")
        error = error_from_body(response.status_code, body, self.secrets, location)
        self.end("http_error", error.error, error.description)

    def _keep_order(self, body: bytes, until: Read | None = None) -> None:
        """Keep an answer that has an order number, also an error's: there is an order.

        One that did not end after some read is whole if it is JSON, and then its error counts.
        """
        if is_costly(body):
            if number := find_order_number(body):
                self.confirmation = redact({ORDER_NUMBER: number}, self.secrets)
            return
        try:
            answer = redact(orjson.loads(body), self.secrets)
        except orjson.JSONDecodeError:
            return
        if numbers := order_numbers(answer):
            self.confirmation = answer
            self._note_doubts(answer, numbers, placed=None)
        elif until and (error := error_from_payload(answer)).error in LISTED_STATUSES:
            self.end("http_error", error.error, error.description)
            # What was waited for after it is in no time.
            self.t_end = until.arrived_ns
            self.warnings.append("the response did not end after its JSON")

    async def _read_body(
        self, response: httpx.Response, chunks: AsyncIterator[Chunk], limit: int, named: str = ""
    ) -> tuple[bytes, Dropping]:
        """Return what is kept of a body, and what is known of the rest.

        A response that may hold an order is read to its end; of an error the begin is enough.
        """
        body, rest = bytearray(), Dropping()
        latest: Read | None = None
        try:
            async for read, chunk in chunks:
                latest = read
                self._note(read)
                for piece in self.decoder.feed(chunk):
                    if rest.size:
                        rest.write(piece)
                    else:
                        body += piece
                        if len(body) > limit:
                            rest.write(bytes(body))
                    if self.decoder.names:
                        await self.give_way()
                if rest.size and self.is_refused:
                    self.closed_by_us = True
                    break
            else:
                self.t_end = last_read(response).arrived_ns
                self._close_decoder()
        finally:
            if rest.size:
                self.warnings.append(f"the answer's body was cut at {named or limit} bytes")
            # What came may be whole although the connection, or the limit, ended before its end.
            content = as_utf8(bytes(body), response.headers.get("content-type", ""))
            self._keep_order(content, None if self.t_end else latest)
        return content, rest

    def _close_decoder(self) -> None:
        if not self.decoder.close():
            self.warnings.append("the compressed response ended before its end")

    def _note(self, read: Read) -> None:
        """Keep what tells whether the wall clock was stepped while we measured by it."""
        offset, error = read.wall_offset_ns, read.wall_offset_error_ns
        self.offset_error = max(self.offset_error, error)
        if not self.offsets:
            self.offsets = [offset, offset]
        self.offsets = [min(self.offsets[0], offset), max(self.offsets[1], offset)]

    @property
    def decided(self) -> bool:
        """True once the outcome is known, whatever else may arrive."""
        return self.succeeded or bool(self.ended)

    def end(self, outcome: OutcomeName, code: str | None, description: str) -> None:
        """Say why it ended; the first reason counts."""
        if not self.decided:
            self.ended = {
                "outcome": outcome,
                "error_code": redact_text(code, self.secrets) if code else None,
                "error_description": redact_text(description, self.secrets),
            }

    def finish(self) -> Record:
        """Give out the last record."""
        if self.job.call and not self.job.ends:
            return self.answer or self._tell_failure(self.job.call)
        t_end = self.t_end or monotonic_ns()
        self._say_encoding()
        self._judge_by_content()
        if self.job.call and self.succeeded and self.told_by and not self.answer:
            self._tell(self.job.call.name, *self.told_by)
        self._say_repeats()
        self._say_doubts()
        self._say_unread()
        self._say_leftovers()
        self._say_what_was_dropped()
        if self.is_refused and self.ended and self.ended["outcome"] not in ANSWERED:
            self.warnings.append(f"the response was HTTP {self.http_status}, and did not end")
        verdict: dict[str, Any] = {"outcome": "placed"} if self.succeeded else self.ended
        is_told = verdict["outcome"] in {PLACED, *ANSWERED}
        left_open = self.closed_by_us and self.t_end is None and is_told
        if left_open and self.waited_in_vain:
            self.warnings.append("the server left the stream open after the last event")
        step_us = self._clock_step_us()
        if step_us:
            self.warnings.append(f"the wall clock was stepped by {step_us:.0f} µs while recording")
        record = End(
            **verdict,
            t_end_ns=self._since_start(t_end),
            t_headers_ns=self._since_start(self.t_headers) if self.t_headers else None,
            http_status=self.http_status,
            phases=self.phases.phases(
                self.t_start + (self.job.call.t_ns if self.job.call else 0), self.t_headers
            ),
            connection="cold" if self.phases.connected else "warm",
            confirmation=self.confirmation,
            comments_ns=self.comments,
            unfinished_bytes=self.parser.unfinished_bytes,
            unfinished=self.unfinished,
            clock_step_us=step_us,
            encoding=self.encoding,
            warnings=self.warnings,
            # That of the start was expected, this one is exact.
            schedule_lag_ns=self._lag_ns(self.t_start),
            retry_after_s=self.retry_after_s,
            sent=self.phases.sent,
            stream_left_open=left_open,
            headers=masked_headers(
                kept_headers(self.headers.multi_items(), self.secrets), self.job.start
            ),
            other_headers=[
                masked_text(name, self.job.start)
                for name in other_names(self.headers, self.secrets)
            ],
        )
        self.emit(record)
        return record

    def _clock_step_us(self) -> float:
        if not self.offsets:
            return 0.0
        moved = self.offsets[1] - self.offsets[0]
        return moved / 1000 if moved > 2 * self.offset_error + 1_000 else 0.0


async def _chained(seen: list[Chunk], body: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    for one in seen:
        yield one
    async for one in body:
        yield one


def _notices(answer: Any) -> str:
    """Return what the cart of an answer has to say: its notices."""
    snapshot = find_snapshot(answer)
    found = [] if snapshot is None else map(snapshot.data.get, ("notice", "notices"))
    words: list[str] = []
    for sent in filter(None, found):
        for one in sent[:MOST_LATER] if isinstance(sent, list) else [sent]:
            parts = map(one.get, ("code", "message")) if isinstance(one, dict) else [one]
            words.append(": ".join(map(str, filter(None, parts))))
    return listed(dict.fromkeys(short_name(word) for word in words if word))


def _beside(data: Any) -> tuple[str, str] | None:
    """Return what the data of a success says besides: an error, else a status, else notices."""
    if error := error_beside(data, parts=True):
        return "an error", error
    if status := status_beside(data):
        return "a status", status
    notices = _notices(data)
    return ("a notice", notices) if notices else None


def _json_in(body: bytes, secrets: tuple[str, ...]) -> list[Any]:
    """Return the JSON of a response: one value, those of a list, or the objects on its lines.

    Lines that are no objects are passed over: the last may be cut, the first a guard.
    """
    try:
        answer = redact(orjson.loads(body), secrets)
    except orjson.JSONDecodeError:
        lines = [line.strip(LINE_ENDS) for line in body.splitlines()]
        found = []
        for line in lines:
            with suppress(orjson.JSONDecodeError):
                found += [orjson.loads(line)] if line.startswith(b"{") else []
        return [redact(one, secrets) for one in found]
    is_list = isinstance(answer, list) and any(isinstance(one, dict) for one in answer)
    return answer if is_list else [answer]


def _dropped(raw: bytes) -> DroppedData:
    store = Dropping()
    store.write(raw)
    return store.getvalue()


def _is_dropped(event: ServerSentEvent) -> bool:
    return isinstance(event.raw_data, DroppedData)


def _media_type(response: httpx.Response) -> str:
    """Return the media type: of several the last one that is one counts, as browsers do."""
    sent: str = response.headers.get("content-type", "")
    kinds = [kind.partition(";")[0].strip().lower() for kind in QUOTED.sub("", sent).split(",")]
    known = [kind for kind in kinds if MEDIA_TYPE.fullmatch(kind) and kind != "*/*"]
    return (known or kinds)[-1]
