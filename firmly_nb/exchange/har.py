"""Recordings as a HAR file: what browsers' developer tools export, and many programs read.

Each order is an entry. Its events stand twice, as Chrome's DevTools write them: as the text of the
response, and in ``_eventSourceMessages`` with their times. Keys that begin with ``_fnb`` hold what
HAR has no room for, so that loading the file gives the recording again. Nothing in the file is a
secret or names a person.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.secrets import REDACTED
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import storage
from firmly_nb.environments import staging
from firmly_nb.exchange.curl import order_path, posted
from firmly_nb.recorder.masking import shareable
from firmly_nb.recorder.records import Event, Recorded, began_ns, field_names, written

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from firmly_nb.recorder.records import Start

SUFFIX = ".har"
BEGIN = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"log"\s*:')
START, END, EVENTS, WARNINGS = "_fnbStart", "_fnbEnd", "_fnbEvents", "_fnbWarnings"
# Of an event these stand in its message.
IN_MESSAGE = frozenset({"event", "data", "id", "raw", "kind"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINE_END = re.compile("\r\n|\r|\n")
NO_TEXT = re.compile("[\r\n\0]")
NOT_SENT = -1  # what HAR says of a phase that did not occur, and of a size that is not known
EVENT_STREAM = "text/event-stream"
MOST_BYTES = 512 * 1024 * 1024
MANY = 2**31 - 1


class HarError(ValueError):
    """File that is not a HAR, or cannot be read."""

    code = "FNB440"


def har_of(path: Path) -> dict[str, Any]:
    """Read a HAR file.

    Raises
    ------
    HarError
        If it cannot be read, or is not a HAR.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MOST_BYTES and path.is_file() else b""
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}. Check the path and its permissions."
        raise coded_error(HarError, "FNB440", text) from error
    if size > MOST_BYTES:
        text = f"{path} has {storage(size)}; {storage(MOST_BYTES)} are read. Export fewer requests."
        raise coded_error(HarError, "FNB440", text)
    try:
        whole = _read(content.removeprefix(b"\xef\xbb\xbf"))
        if isinstance(whole["log"]["entries"], list):
            return dict(whole)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    text = f"{path} is not a HAR file. Export one in the browser's network panel."
    raise coded_error(HarError, "FNB440", text)


def _read(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # Browsers write half a surrogate pair of a page as an escape, and PowerShell UTF-16: Python
        # takes both.
        text = json.dumps(json.loads(content), ensure_ascii=False)
        return orjson.loads(text.encode("utf-8", "replace"))


def write_har(orders: Iterable[Recorded], path: str | os.PathLike[str]) -> Path:
    """Write recordings to a HAR file; an older one is replaced.

    Parameters
    ----------
    orders
        The recordings; what names a person is masked.
    path
        The file; its folder is there.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    where = expanded(path)
    entries = [entry(order) for order in orders]
    # A reader goes through entries by time.
    entries.sort(key=lambda one: str(one["startedDateTime"]))
    log = {
        "version": "1.2",
        "creator": {"name": "firmly-nb", "version": version("firmly-nb")},
        "entries": entries,
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    content = orjson.dumps({"log": log}, default=written, option=options)
    try:
        write_whole(where, content)
    except OSError as error:
        text = f"{where} cannot be written: {error.strerror}. Name a file in a folder that exists."
        raise coded_error(type(error), "FNB441", text) from error
    return where


def entry(order: Recorded) -> dict[str, Any]:
    """Return the entry of an order."""
    order = shareable(order)
    start, events, end = order[:3]
    timings = _timings(order)
    status = end.http_status or 0
    accept = EVENT_STREAM if start.sse else "application/json"
    is_stream = bool(events) or (start.sse and end.confirmation is None and 200 <= status < 300)
    mime = EVENT_STREAM if is_stream else "application/json"
    text = stream_text(events) if is_stream else _json(end.confirmation)
    path, query = order_path(start)
    body = orjson.dumps(posted(start, REDACTED, {})).decode()
    made: dict[str, Any] = {
        "startedDateTime": iso(started_ns(order) or 0),
        "time": sum(time for name, time in timings.items() if name != "ssl" and time > 0),
        "request": {
            "method": "POST",
            "url": f"{origin(start)}{path}{'?sse=true' if query else ''}",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [
                _pair("x-firmly-authorization", REDACTED),
                _pair("accept", accept),
                _pair("accept-encoding", "identity"),
                _pair("content-type", "application/json"),
                *([_pair("x-firmly-request-id", start.request_id)] if start.request_id else []),
            ],
            "queryString": [_pair("sse", "true")] if query else [],
            "postData": {"mimeType": "application/json", "params": [], "text": body},
            "headersSize": NOT_SENT,
            "bodySize": NOT_SENT,
        },
        "response": {
            "status": status,
            "statusText": _phrase(status),
            "httpVersion": "HTTP/1.1" if status else "",
            "cookies": [],
            "headers": [_pair(name, value) for name, value in end.headers],
            "content": {"size": len(text.encode()), "mimeType": mime, "text": text},
            "redirectURL": "",
            "headersSize": NOT_SENT,
            "bodySize": NOT_SENT,
        },
        "cache": {},
        "timings": timings,
        "_resourceType": "fetch",
        START: start,
        END: None if order.cut_off else end,
        WARNINGS: list(order.warnings),
    }
    if events:
        made["_eventSourceMessages"] = [message(event) for event in events]
        made[EVENTS] = [_facts(event) for event in events]
    return made


def message(event: Event) -> dict[str, Any]:
    """Return an event as Chrome's DevTools write it: Unix seconds, name, id and text.

    Examples
    --------
    >>> from firmly_nb.recorder import Event
    >>> message(Event(1, "item-added", {"total": 5}, 7, 1_700_000_000_500_000_000, "kernel", 5.0,
    ...     1, False, 0.0, 11))
    {'time': 1700000000.5, 'eventName': 'item-added', 'eventId': '', 'data': '{"total":5}'}
    """
    at_ns = event.t_ns if event.wall_ns is None else event.wall_ns
    return {
        "time": at_ns / 1e9,
        "eventName": event.event,
        "eventId": event.id,
        "data": data_text(event.data),
    }


def data_text(data: Any) -> str:
    """Return the text of an event's data, such that reading it gives the data.

    Examples
    --------
    >>> data_text({"a": 1}), data_text("no JSON"), data_text("7"), data_text(None)
    ('{"a":1}', 'no JSON', '"7"', '')
    """
    if data is None:
        return ""
    if isinstance(data, str):
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError:
            return data
    return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).decode()


def stream_text(events: Sequence[Event]) -> str:
    r"""Return the event stream that says these events.

    Examples
    --------
    >>> from firmly_nb.recorder import Event
    >>> stream_text([Event(1, "note", "two\nlines", 7, 8, "kernel", 5.0, 1, False, 0.0, 9)])
    'event: note\ndata: two\ndata: lines\n\n'
    """
    lines: list[str] = []
    last = ""
    for event in events:
        lines += stream_lines(event.event, event.id, data_text(event.data), last)
        last = event.id
    return "".join(f"{line}\n" for line in lines)


def stream_lines(name: str, event_id: str, data: str, last_id: str = "") -> list[str]:
    """Return the lines of an event in an event stream, the blank one included.

    Examples
    --------
    >>> stream_lines("item-added", "7", "{}")
    ['event: item-added', 'id: 7', 'data: {}', '']
    """
    return [
        f"event: {NO_TEXT.sub(' ', name)}",
        *([f"id: {NO_TEXT.sub(' ', event_id)}"] if event_id != last_id else []),
        *(f"data: {line}" for line in LINE_END.split(data)),
        "",
    ]


def started_ns(order: Recorded) -> int | None:
    """Return the start of the request by the wall clock; None where nobody told it."""
    start, events, end = order[:3]
    if start.started_at_ns is not None and events and events[0].wall_ns is not None:
        # Each event was stamped by both clocks; the start was written down a little before.
        return events[0].wall_ns - events[0].t_ns
    return began_ns(start, end)


def _facts(event: Event) -> dict[str, Any]:
    names = (name for name in field_names(Event) if name not in IN_MESSAGE)
    return {name: getattr(event, name) for name in names}


def _timings(order: Recorded) -> dict[str, float]:
    """Return the phases in ms; what no phase has is in ``blocked``, so that they add up."""
    end, phases = order.end, order.end.phases
    t_end = max(end.t_end_ns, end.t_headers_ns or 0)
    receive = t_end - end.t_headers_ns if end.t_headers_ns is not None else 0
    connect = (phases.connecting_ns or 0) + (phases.tls_ns or 0)
    known = (phases.sending_ns or 0) + (phases.waiting_ns or 0) + connect + receive
    is_cold = phases.connecting_ns is not None
    return {
        "blocked": max(t_end - known, 0) / 1e6,
        "dns": NOT_SENT,
        "connect": connect / 1e6 if is_cold else NOT_SENT,
        "ssl": phases.tls_ns / 1e6 if phases.tls_ns is not None else NOT_SENT,
        "send": (phases.sending_ns or 0) / 1e6,
        "wait": (phases.waiting_ns or 0) / 1e6,
        "receive": receive / 1e6,
    }


def origin(start: Start) -> str:
    """Return scheme, host and port of the request of an order, as far as they are known."""
    if start.environment == "staging" or not start.server:
        return staging().card_url if start.environment == "staging" else "http://not-known.invalid"
    local = start.server.startswith(("127.", "localhost", "[::1]"))
    return f"{'http' if local else 'https'}://{start.server}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _pair(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _json(value: Any) -> str:
    return "" if value is None else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def iso(at_ns: int) -> str:
    """Return a Unix time in ns as text, to the microsecond."""
    at = EPOCH + timedelta(microseconds=at_ns // 1000)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z"
