"""Recordings from a HAR file: our own, or one that a browser or a proxy wrote.

Our own is read back as it was. Of any other the response goes through the recorder, so that one
judge says how an order ended; the times are those of the file. Only Chrome's DevTools write the
times of events. Without them an event came at some time until the end, and says so.

A HAR is a stranger's file with tokens, cards and addresses in it. None of them is kept.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import httpx
import orjson

from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.headers import REQUEST_ID, kept_headers
from firmly_nb.api.personal import mask_personal_text
from firmly_nb.api.secrets import SecretStr, decode, redact, redact_broken_json, redact_text
from firmly_nb.display.text import count, cut, printable
from firmly_nb.exchange.har import (
    END,
    EVENT_STREAM,
    EVENTS,
    MANY,
    START,
    WARNINGS,
    har_of,
    stream_lines,
)
from firmly_nb.exchange.har_clean import (
    Private,
    as_dict,
    body_of,
    entries_of,
    mime_of,
    pairs,
    private_of,
)
from firmly_nb.outcomes import EXTERNAL
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.masking import masked, masked_headers
from firmly_nb.recorder.recorder import record
from firmly_nb.recorder.records import End, Event, Phases, Record, Start, from_dict
from firmly_nb.wire.sse import EventStreamParser, ServerSentEvent
from firmly_nb.wire.stamps import Read, monotonic_ns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ORDER_PATH = re.compile(r"/domains/([^/]+)/(?:cart/)?(place-order|complete-order)/?$")
# What is claimed of Chrome's times: an event came at most so much earlier. In trials on an idle
# machine it was 0.5 to 3.1 ms, and the request's start has steps of 1 ms.
BROWSER_US = 5_000.0
STEP_US = 1_000.0
LATE_NS = 1_000_000_000  # so much after the end a message is none of this response
LATEST_S = 9e9  # milliseconds since 1970 are more
LONGEST = 200
LONGEST_MS = 1e10
BODY_LIMIT_S = 60.0
FACTS = frozenset(
    (
        *("seq", "t_ns", "wall_ns", "clock", "uncertainty_us", "read_no", "coalesced"),
        *("read_delay_us", "size", "rtt_us", "retransmits", "reordered"),
    )
)


def read_har(path: Path) -> tuple[list[tuple[list[Record], list[str]]], list[str]]:
    """Read the orders of a HAR file.

    Returns
    -------
    orders, warnings
        Of each order its records and what is to be said of them; and what could not be read.

    Raises
    ------
    HarError
        If it cannot be read, or is not a HAR.
    """
    log = har_of(path)["log"]
    entries = entries_of(log)
    private, tool = private_of(entries), _tool(log)
    found: list[tuple[list[Record], list[str]]] = []
    foreign: list[_Order] = []
    warnings: list[str] = []
    for number, one in enumerate(entries, start=1):
        try:
            if own := _own(one):
                found.append(own)
            elif order := _order(one, tool, private):
                foreign.append(order)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            said = redact_text(str(error))[:LONGEST]
            warnings.append(f"{path}: entry {number} cannot be read and is left out: {said}")
    found += _recorded(foreign)
    # Who loads many looks at no single one.
    for text, many in Counter(text for order in foreign for text in order.said).items():
        warnings.append(f"{path}, {count(many, 'order')}: {text}")
    if not found and not warnings:
        streams = sum(mime_of(one) == EVENT_STREAM for one in entries)
        other = f" Other requests have {count(streams, 'event stream')}." * bool(streams)
        warnings.append(
            f"{path} has no order: no POST to place-order or complete-order is among its "
            f"{count(len(entries), 'request')}.{other} Open the network panel before you order."
        )
    return _apart(found), warnings


# Our own.


def _own(one: dict[str, Any]) -> tuple[list[Record], list[str]] | None:
    """Return the records of an entry that we wrote; None if it is another's."""
    if START not in one:
        return None
    start = from_dict(one[START])
    if not isinstance(start, Start):
        raise ValueError("its start is another record")  # noqa: TRY004 - of what was read
    start = replace(_without_secrets(start), personal=[])
    messages = _messages(one)
    facts = one.get(EVENTS) or []
    if len(facts) != len(messages):
        raise ValueError(f"{len(messages)} messages and {len(facts)} events in {EVENTS}")
    records: list[Record] = [start]
    for said, fact in zip(messages, facts, strict=True):
        # Older readers of SSE say nothing of an event's id.
        values = {name: value for name, value in fact.items() if name in FACTS}
        values |= {"kind": "event", "event": said.name, "id": said.id, "data": _data(said.data)}
        event = from_dict(values)
        records.append(masked(_without_secrets(event), start))
    if one.get(END) is not None:
        end = from_dict(one[END])
        records.append(masked(_without_secrets(end), start))
    warnings = [redact_text(mask_personal_text(str(text))) for text in one.get(WARNINGS) or []]
    return records, warnings


def _without_secrets(one: Any) -> Any:
    """Return a record whose texts have no secrets; whoever wrote the file may have put some in."""
    names = (
        ("tags", "items", "domain")
        if isinstance(one, Start)
        else ("data", "event", "id")
        if isinstance(one, Event)
        else ("error_code", "error_description", "confirmation", "warnings", "headers")
    )
    return replace(one, **{name: redact(getattr(one, name)) for name in names})


# Those of others.


class _Message(NamedTuple):
    """Event as DevTools wrote it; of a sanitized HAR without data."""

    time: float
    name: str
    id: str
    data: str | None


class _Time(NamedTuple):
    """Time of an event, Unix ns; how much earlier it can have come; whether one came with it."""

    at_ns: int
    uncertainty_us: float
    coalesced: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """Order of another tool's HAR: what is fed to the recorder, and what is known of its times."""

    start: Start
    body: bytes | None  # the response, decoded; None: the file has none
    body_cut: str  # why the response ended before its end; empty: it did not
    status: int
    headers: list[tuple[str, str]]
    mime: str
    t_headers_ns: int
    t_end_ns: int
    phases: Phases
    tool: str
    times: list[_Time] | None  # of each event; None: not known
    said: list[str]  # what is to be said of it
    token: SecretStr
    posted: dict[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def _order(one: dict[str, Any], tool: str, private: Private) -> _Order | None:
    request, response = as_dict(one.get("request")), as_dict(one.get("response"))
    url = urlsplit(str(request.get("url") or ""))
    found = ORDER_PATH.search(url.path)
    if not found or str(request.get("method")).upper() != "POST":
        return None
    started_ns = _unix_ns(one.get("startedDateTime"))
    sent = pairs(request.get("headers"))
    posted, secrets = _posted(request), private.secrets
    domain = cut(printable(redact_text(unquote(found[1]), secrets)), LONGEST)
    came = pairs(response.get("headers"))
    status = _whole(response.get("status"))
    t_headers_ns, t_end_ns, phases = _times(one)
    said: list[str] = []
    body, told = body_of(as_dict(response.get("content"))), _messages(one)
    body, messages = _agreed(body, told, said)
    is_stream = bool(messages) or mime_of(one) == EVENT_STREAM or "sse=true" in url.query
    first_ns = started_ns + _before_answer(t_headers_ns, phases)
    times_ns = _usable([message.time for message in messages], started_ns, t_end_ns, said)
    # The times of events are a little late, those of the phases are not.
    t_end_ns = max([t_end_ns, *(at_ns - started_ns for at_ns in times_ns[-1:])])
    times = _apart_from_early(times_ns, first_ns, started_ns + t_headers_ns, tool, said)
    if is_stream and not times and body:
        why = "No times are used" if told else f"{tool} wrote no times of events"
        said.append(
            f"{why}: each event came at some time until the end. Carts and the time to the end "
            "hold; no stage has a time"
        )
    elif times:
        said.append(
            f"times are those of {tool}: an event came up to {BROWSER_US / 1000:g} ms earlier. "
            "Where two have the same time, they cannot be separated"
        )
    if body is None and 200 <= status < 300:
        said.append("the file has no text of the response: the page left before its end")
    request_id = next((v for n, v in sent if n.lower() == REQUEST_ID), None)
    key = f"{started_ns}|{domain}|{t_end_ns}|{request_id}"
    start = Start(
        recording_id=f"har-{sha256(key.encode()).hexdigest()[:16]}",
        started_at_ns=started_ns,
        environment=EXTERNAL,
        domain=domain,
        items=_items(posted, secrets),
        sse=is_stream,
        connection="warm",
        timeout_s=BODY_LIMIT_S,
        recorder={"tool": tool},
        personal=list(private.personal),
        request_id=cut(redact_text(request_id, secrets), 64) if request_id else None,
        server=url.netloc.rpartition("@")[2] or None,
    )
    return _Order(
        start,
        body,
        _failure(one, response, status),
        status,
        came,
        mime_of(one),
        t_headers_ns,
        t_end_ns,
        phases,
        tool,
        times or None,
        said,
        SecretStr(next((v for n, v in sent if n.lower() == "x-firmly-authorization"), "") or "-"),
        posted,
        secrets,
    )


def _recorded(orders: list[_Order]) -> list[tuple[list[Record], list[str]]]:
    """Let the recorder judge the responses, in a thread: a notebook's own loop is running."""
    if not orders:
        return []

    async def all_of_them() -> list[tuple[list[Record], list[str]]]:
        return [await _judged(order) for order in orders]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, all_of_them()).result()


async def _judged(order: _Order) -> tuple[list[Record], list[str]]:
    records: list[Record] = []
    job = Job(
        order.start,
        order.posted,
        order.token,
        max_event_bytes=MANY,
        max_stream_bytes=sys.maxsize,
        max_events=MANY,
    )
    async with httpx.AsyncClient(transport=_Written(order), trust_env=False) as http:
        await record(
            job, FirmlyClient(http, "http://har.invalid", "http://har.invalid"), records.append
        )
    start = replace(order.start, timeout_s=0.0, personal=[])
    made = [
        masked(_timed(one, order) if isinstance(one, Event) else _ended(one, order), order.start)
        for one in records
        if isinstance(one, (Event, End))
    ]
    return [start, *made], []


def _timed(event: Event, order: _Order) -> Event:
    """Return an event with the time that the file has of it."""
    started_ns = order.start.started_at_ns or 0
    clean = replace(
        event,
        event=redact_text(event.event, order.secrets),
        data=redact(event.data, order.secrets),
        id=redact_text(event.id, order.secrets),
        clock=EXTERNAL,
        read_no=None,
        read_delay_us=0.0,
        rtt_us=None,
        retransmits=None,
        reordered=None,
    )
    if order.times is None:
        return replace(
            clean,
            t_ns=order.t_end_ns,
            wall_ns=started_ns + order.t_end_ns,
            uncertainty_us=(order.t_end_ns - order.t_headers_ns) / 1000 + STEP_US,
            coalesced=False,
        )
    at_ns, uncertainty_us, coalesced = order.times[event.seq - 1]
    return replace(
        clean,
        t_ns=at_ns - started_ns,
        wall_ns=at_ns,
        uncertainty_us=uncertainty_us,
        coalesced=coalesced,
    )


def _ended(end: End, order: _Order) -> End:
    headers = kept_headers(order.headers, order.secrets)
    encoding = ", ".join(v for n, v in order.headers if n.lower() == "content-encoding")
    encoding = "" if encoding.lower() == "identity" else encoding
    description = end.error_description
    if order.body is None and end.outcome == "incomplete":
        description = "the file has no text of the response; the order may exist"
    return replace(
        end,
        t_end_ns=order.t_end_ns,
        t_headers_ns=order.t_headers_ns if order.status else None,
        error_description=description and redact_text(description, order.secrets),
        confirmation=redact(end.confirmation, order.secrets),
        phases=order.phases,
        connection="cold" if order.phases.connecting_ns else "warm",
        comments_ns=[],
        clock_step_us=0.0,
        encoding=cut(printable(redact_text(encoding, order.secrets)), LONGEST) or None,
        warnings=[*(redact_text(text, order.secrets) for text in end.warnings), *order.said],
        schedule_lag_ns=None,
        # It may have been: whoever blocks a request in a browser is not written down.
        sent=True,
        headers=masked_headers(headers, order.start),
    )


class _Written(httpx.AsyncBaseTransport):
    """Transport that gives the response of a HAR entry; nothing goes to any network."""

    def __init__(self, order: _Order) -> None:
        self.order = order

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        order = self.order
        if not order.status:
            raise httpx.ReadError(order.body_cut or "no response", request=request)
        now_ns = monotonic_ns()
        read = Read(
            read_no=1,
            arrived_ns=now_ns,
            earliest_ns=now_ns,
            read_ns=now_ns,
            clock="user",
            wall_offset_ns=0,
            wall_offset_error_ns=0,
            size=len(order.body or b""),
            segments=None,
            rtt_us=None,
            retransmits=None,
            reordered=None,
            emptied=True,
        )
        headers = [
            (name.encode("ascii", "replace"), value.encode("utf-8", "replace"))
            for name, value in order.headers
            if name.lower() not in {"content-encoding", "content-length", "transfer-encoding"}
        ]
        if all(name.lower() != b"content-type" for name, _ in headers):
            headers.append((b"content-type", order.mime.encode("ascii", "replace")))
        return httpx.Response(
            order.status,
            headers=headers,
            stream=_Body(order.body or b"", order.body_cut),
            extensions={"network_stream": _Stamp(read)},
        )


class _Stamp:
    def __init__(self, read: Read) -> None:
        self.read = read

    def get_extra_info(self, name: str) -> Read | None:
        return self.read if name == "last_read" else None


class _Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes, body_cut: str) -> None:
        self.content = content
        self.body_cut = body_cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.content:
            yield self.content
        if self.body_cut:
            raise httpx.ReadError(self.body_cut)


# Reading what a stranger wrote.


def _tool(log: dict[str, Any]) -> str:
    """Return which program wrote the file; of Chrome the name that people know."""
    named = []
    for part in ("creator", "browser"):
        one = as_dict(log.get(part))
        name = " ".join(str(one.get(key) or "") for key in ("name", "version")).strip()
        named.append(redact_text(cut(printable(name), 60)))
    tool = named[0] or named[1] or "the tool"
    return f"Chrome DevTools ({tool})" if tool.startswith("WebInspector") else tool


def _messages(one: dict[str, Any]) -> list[_Message]:
    given = one.get("_eventSourceMessages")
    found = []
    for said in map(as_dict, given if isinstance(given, list) else []):
        time, data = said.get("time"), said.get("data")
        at_s = float(time) if isinstance(time, (int, float)) and 0 < time < LATEST_S else math.nan
        name, event_id = str(said.get("eventName") or "message"), str(said.get("eventId") or "")
        text = data if isinstance(data, str) else None
        found.append(_Message(at_s, name, event_id, text))
    return found


def _agreed(
    body: bytes | None, messages: list[_Message], said: list[str]
) -> tuple[bytes | None, list[_Message]]:
    """Return the stream and the messages that tell its times; without these if they disagree."""
    if not messages:
        return body, messages
    has_data = all(message.data is not None for message in messages)
    events = _parsed(body)
    alike = _fit(events, messages)
    if body is not None and alike and len(events) == len(messages):
        return body, messages
    if has_data and alike and len(events) < len(messages):
        # A page that leaves a stream early has no text of it; the messages are whole.
        return _as_stream(messages), messages
    if body is None:
        said.append("the file has names and times of events, and not what was in them")
        return _as_stream(messages), messages
    said.append(
        f"the {count(len(messages), 'message')} and the {count(len(events), 'event')} in the text "
        "of the response disagree: the text counts, and the times of the messages are not used. "
        "Open the network panel before you order"
    )
    return body, []


def _fit(events: list[ServerSentEvent], messages: list[_Message]) -> bool:
    """Return whether events and messages are the same as far as both go."""
    return all(
        event.event == message.name and message.data in {None, event.data}
        for event, message in zip(events, messages, strict=False)
    )


def _parsed(body: bytes | None) -> list[ServerSentEvent]:
    parser = EventStreamParser(max_event_bytes=MANY, max_stream_bytes=sys.maxsize)
    return parser.feed(body) if body else []


def _as_stream(messages: list[_Message]) -> bytes:
    lines: list[str] = []
    for message in messages:
        lines += stream_lines(message.name, message.id, message.data or "")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _usable(times: list[float], started_ns: int, t_end_ns: int, said: list[str]) -> list[int]:
    """Return the times in Unix ns; nothing if they cannot be those of this request."""
    if any(math.isnan(time) for time in times):
        said.append("the times of the messages are not seconds since 1970: they are not used")
        return []
    times_ns = [round(time * 1e9) for time in times]
    before = [started_ns - round(STEP_US * 1000), *times_ns]
    if not all(a <= b for a, b in zip(before, times_ns, strict=False)):
        said.append(
            "the times of the messages go back, or are before the request: they are not used"
        )
        return []
    # A file that does not know the end has 0 or -1 there.
    if times_ns and t_end_ns and times_ns[-1] - started_ns > t_end_ns + LATE_NS:
        said.append("the times of the messages are long after the response: they are not used")
        return []
    return [max(one, started_ns) for one in times_ns]


def _before_answer(t_headers_ns: int, phases: Phases) -> int:
    """Return until when after the start, in ns, nothing of the response can have come."""
    step_ns = round(STEP_US * 1000)
    return max(t_headers_ns - min(phases.waiting_ns or t_headers_ns, step_ns), 0)


def _apart_from_early(
    times_ns: list[int], first_ns: int, headers_ns: int, tool: str, said: list[str]
) -> list[_Time]:
    """Tell when each event came; nothing if that is known of none.

    Where DevTools begin to look at a stream that has begun, what came before has the time of the
    request (``ServerSentEvents.ts`` of their front end). Such an event came after the headers, and
    before the first one that has a time of its own.
    """
    early = sum(at_ns <= first_ns for at_ns in times_ns)
    if early:
        until = ": each came between the headers and the first event that has a time of its own"
        said.append(
            f"{tool} gives {count(early, 'event')} the time of the request"
            f"{until * (early < len(times_ns))}"
        )
    if early == len(times_ns):
        return []
    by_ns = times_ns[early]
    wide_us = (by_ns - headers_ns) / 1000 + STEP_US
    return [
        _Time(by_ns, wide_us, place > 0)
        if place < early
        else _Time(at_ns, BROWSER_US, place > early and at_ns == times_ns[place - 1])
        for place, at_ns in enumerate(times_ns)
    ]


def _times(one: dict[str, Any]) -> tuple[int, int, Phases]:
    """Return when headers and end came, in ns, and the phases."""
    timings = as_dict(one.get("timings"))

    def ns(name: str) -> int | None:
        return _ns(timings.get(name))

    tls, connect, dns = ns("ssl"), ns("connect"), ns("dns")
    # HAR counts the handshake with the connection.
    connecting = None if connect is None else max(connect - (tls or 0), 0) + (dns or 0)
    phases = Phases(ns("blocked"), connecting, tls, ns("send"), ns("wait"))
    headers = sum(filter(None, (ns("blocked"), dns, connect, ns("send"), ns("wait"))))
    end = _ns(one.get("time")) or 0
    return headers, max(end, headers + (ns("receive") or 0)), phases


def _ns(time_ms: Any) -> int | None:
    """Return a time of the file in ns; None for what is none, as -1."""
    is_number = isinstance(time_ms, (int, float)) and not isinstance(time_ms, bool)
    return round(time_ms * 1e6) if is_number and 0 <= time_ms < LONGEST_MS else None


def _posted(request: dict[str, Any]) -> dict[str, Any]:
    text = as_dict(request.get("postData")).get("text")
    try:
        return as_dict(orjson.loads(text)) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}


def _items(posted: dict[str, Any], secrets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what was asked for: the variant and the quantity of each line."""
    found = []
    given = posted.get("items")
    for one in map(as_dict, given if isinstance(given, list) else []):
        reference = as_dict(one.get("add_to_cart_ref"))
        variant = reference.get("variant_id", one.get("variant_id"))
        quantity = one.get("quantity", 1)
        is_count = isinstance(quantity, int) and not isinstance(quantity, bool)
        found.append(
            {
                "variant_id": redact_text(cut(str(variant or ""), LONGEST), secrets),
                "quantity": quantity if is_count and 0 <= quantity < MANY else 1,
            }
        )
    return found


def _failure(one: dict[str, Any], response: dict[str, Any], status: int) -> str:
    text = str(response.get("_error") or one.get("_error") or "")
    text = printable(cut(redact_text(text), LONGEST))
    return text or ("" if status else "the file has no response")


def _data(text: str | None) -> Any:
    """Return what an event's text says, as the recorder reads it."""
    try:
        return decode((text or "").encode(), ())
    except orjson.JSONDecodeError:
        return redact_broken_json(text or "") or None


def _apart(
    found: list[tuple[list[Record], list[str]]],
) -> list[tuple[list[Record], list[str]]]:
    """Give orders of one file ids of their own: two may have begun in the same millisecond."""
    seen: dict[str, int] = {}
    apart = []
    for (start, *rest), warnings in found:
        assert isinstance(start, Start)  # noqa: S101 - for the type checker
        times = seen[start.recording_id] = seen.get(start.recording_id, 0) + 1
        again = times > 1 and start.environment == EXTERNAL
        named = f"{start.recording_id}-{times}" if again else start.recording_id
        apart.append(([replace(start, recording_id=named), *rest], warnings))
    return apart


def _unix_ns(text: Any) -> int:
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError("startedDateTime has no time zone")
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + at.microsecond * 1000


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 100 <= value <= 999 else 0
