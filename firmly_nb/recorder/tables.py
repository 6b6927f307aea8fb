"""The tables of events and orders, and from the records of one recording to their rows."""

from __future__ import annotations

import math
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import FirmlyError, make_error
from firmly_nb.api.event_names import COMPLETE_ORDER, ITEM_ADDED, milestone_of
from firmly_nb.api.headers import proxies
from firmly_nb.api.snapshots import Snapshot, find_snapshot, order_number, why_unread
from firmly_nb.display.text import count, cut
from firmly_nb.outcomes import (
    ANSWERED,
    BEFORE_IT_WAS_SENT,
    CANCELLED,
    ENDED_HERE,
    EXTERNAL,
    KNOWN,
    NOT_SEEN,
    PLACED,
    Facts,
    Judgement,
    judge,
    was_sent,
)
from firmly_nb.recorder.endings import failed_event, numbered_event, placed_event
from firmly_nb.recorder.records import Event, began_ns, lag_ns
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from firmly_nb.recorder.records import End, Start

HALF_US = 500  # of a millisecond
PLACE_ORDER = "place-order"
LONGEST_VARIANT = 60  # some are long handles in base64

EVENTS = Table(
    "events",
    "one row a server-sent event",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("seq", "int64", "", "place in the stream, from 1"),
        Column("event", "category", "", "name of the event as it was sent"),
        Column("milestone", "category", "", "the milestone it stands for; null if none"),
        Column("t_ms", "float64", "ms", "arrival after t_start"),
        Column("gap_ms", "float64", "ms", "since the event before; null for the first"),
        Column("at", "datetime64[ns, UTC]", "", "arrival by the wall clock"),
        Column(
            "clock",
            "category",
            "",
            "kernel: kernel timestamp; user: right after the read; external: given",
        ),
        Column("uncertainty_us", "float64", "µs", "it came at most this much before t_ms"),
        Column("coalesced", "bool", "", "shares its read with the event before"),
        Column("read_no", "Int64", "", "number of the socket read that brought its last byte"),
        Column("bytes", "int64", "bytes", "size of its data"),
        Column("rtt_us", "Float64", "µs", "smoothed round trip of what we sent, by the kernel"),
        Column("retransmits", "Int64", "", "segments we sent again so far; null: not counted"),
        Column("reordered", "Int64", "", "segments ahead of an earlier one so far; null as above"),
        Column("cart_id", "str", "", "the cart in its data"),
        Column("total_minor", "Int64", "minor units", "the cart's total"),
        Column("currency", "category", "", "ISO 4217"),
        Column("unread", "category", "", "why its cart was not read; null if it was, or has none"),
        Column("data", "object", "", "the decoded JSON, secrets redacted"),
        Column("raw", "object", "", "exact text; null unless keep_raw=True"),
    ),
)

WIDE = ("data", "raw")  # what came in an event; all else is small
EVENT_TIMES = Table(
    "event_times",
    "one row a server-sent event, without what came in it",
    tuple(column for column in EVENTS.columns if column.name not in WIDE),
)

ORDERS = Table(
    "orders",
    "one row an attempted order",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("run_id", "str", "", "the run it belongs to"),
        Column("started_at", "datetime64[ns, UTC]", "", "t_start by the wall clock"),
        Column("environment", "category", "", "simulator, staging, custom or external"),
        Column("domain", "category", "", "the merchant"),
        Column(
            "endpoint",
            "category",
            "",
            "the call that orders: place-order, or complete-order after others; null if external",
        ),
        Column("n_items", "int64", "", "lines asked for"),
        Column("quantity", "int64", "", "sum of the quantities"),
        Column("variants", "category", "", "what was asked for, in the order of its lines"),
        Column("outcome", "category", "", f"how it ended: {', '.join(KNOWN)}"),
        Column("order_exists", "category", "", "whether there is an order: yes, no or unknown"),
        Column("evidence", "category", "", "what decided order_exists"),
        Column("error_code", "category", "", "the API's name of the error"),
        Column("error_description", "str", "", "its words"),
        Column("order_number", "str", "", "the merchant's order number"),
        Column("request_id", "str", "", "the id that its request carried; null: sent without one"),
        Column("http_status", "Int64", "", "status of the response"),
        Column("last_milestone", "category", "", "the last milestone reached"),
        Column("time_to_headers_ms", "float64", "ms", "response headers complete"),
        Column("time_to_first_event_ms", "float64", "ms", "first event"),
        Column(
            "time_to_order_placed_ms",
            "float64",
            "ms",
            "request to order-placed; null unless placed",
        ),
        Column(
            "scheduled_time_to_order_placed_ms", "float64", "ms", "the same from the planned start"
        ),
        Column("time_to_failure_ms", "float64", "ms", "error event, or end; null if placed"),
        Column("order_latency_ms", "float64", "ms", "end of the response; null if left open"),
        Column("scheduled_order_latency_ms", "float64", "ms", "the same from the planned start"),
        Column(
            "stream_close_lag_ms",
            "float64",
            "ms",
            "last event to the end of the response; null if the recorder ended it",
        ),
        Column("max_gap_ms", "float64", "ms", "longest gap between events that are not coalesced"),
        Column(
            "time_per_item_ms",
            "float64",
            "ms",
            "first item-added to the last, per further item; null below two",
        ),
        Column(
            "wall_time_ms",
            "float64",
            "ms",
            "first request to the end, pauses between calls included; null for a single call",
        ),
        Column("schedule_lag_ms", "float64", "ms", "start after the planned start"),
        Column("blocked_ms", "float64", "ms", "before connecting or sending"),
        Column("connecting_ms", "float64", "ms", "TCP connection; null if it was open"),
        Column("tls_ms", "float64", "ms", "TLS handshake; null if none"),
        Column("sending_ms", "float64", "ms", "sending the request"),
        Column("waiting_ms", "float64", "ms", "request sent to headers complete"),
        Column("total_minor", "Int64", "minor units", "total of the order, else of the last cart"),
        Column("currency", "category", "", "ISO 4217"),
        Column("connection", "category", "", "warm: was open before; cold: opened for it"),
        Column("host", "category", "", "which machine sent it; null unless a sweep had several"),
        Column("slot", "Int64", "", "its number in the plan of such a sweep"),
        Column(
            "clock",
            "category",
            "",
            "of its events: kernel, or user if some have no other; null: none",
        ),
        Column(
            "stream_left_open", "bool", "", "the recorder had to close the stream after its end"
        ),
        Column("content_encoding", "category", "", "how the response was compressed; null if not"),
        Column("proxies", "category", "", "headers of proxies in the response; null if none"),
        Column("unfinished", "str", "", "size and begin of an event that never ended; null: none"),
        Column("clock_step_us", "float64", "µs", "by how much the wall clock was stepped"),
        Column("tags", "object", "", "what the analyst noted, by name"),
    ),
)

HOSTS = Table(
    "hosts",
    "one row a host of a sweep from several machines",
    (
        Column("host", "str", "", "name of its Dask worker"),
        Column("clock_offset_ms", "float64", "ms", "its clock minus the coordinator's"),
        Column("clock_error_ms", "float64", "ms", "the offset is at most so far off"),
        Column("tls", "bool", "", "its connections to the cluster are encrypted"),
        Column("firmly_nb", "str", "", "version there"),
        Column("python", "str", "", "version there"),
        Column("distributed", "str", "", "version there"),
        Column("platform", "str", "", "system and processor"),
        Column("calibration_us", "float64", "µs", "99th percentile of the error of its times"),
        Column("orders", "int64", "", "most orders in flight there"),
        Column("problem", "str", "", "why it places nothing; null if it does"),
    ),
)

HEADERS = Table(
    "headers",
    "one row a header of a response; one that came twice has two rows",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("name", "category", "", "name of the header, in lower case"),
        Column("value", "str", "", "its value, secrets redacted"),
    ),
)


def header_rows(recording_id: str, headers: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
    """Return one row a header, in the form of ``HEADERS``.

    Examples
    --------
    >>> header_rows("r1", [["via", "1.1 squid"]])
    [{'recording_id': 'r1', 'name': 'via', 'value': '1.1 squid'}]
    """
    return [{"recording_id": recording_id, "name": name, "value": value} for name, value in headers]


def event_rows(
    start: Start, events: Sequence[Event], *, wide: bool = True
) -> Iterator[dict[str, Any]]:
    """Give one row an event, in the form of ``EVENTS``; else in that of ``EVENT_TIMES``."""
    before: Event | None = None
    for event in events:
        data = event.outline
        snapshot = find_snapshot(data)
        total_minor, currency = _total(snapshot)
        yield {
            "recording_id": start.recording_id,
            "seq": event.seq,
            "event": event.event,
            "milestone": milestone_of(event.event, start.milestones),
            "t_ms": event.t_ns / 1e6,
            "gap_ms": (event.t_ns - before.t_ns) / 1e6 if before else None,
            "at": event.wall_ns,
            "clock": event.clock,
            "uncertainty_us": event.uncertainty_us,
            "coalesced": event.coalesced,
            "read_no": event.read_no,
            "bytes": event.size,
            "rtt_us": event.rtt_us,
            "retransmits": event.retransmits,
            "reordered": event.reordered,
            "cart_id": snapshot.cart_id if snapshot else None,
            "total_minor": total_minor,
            "currency": currency,
            "unread": why_unread(data, event.event, start.milestones),
            **({"data": event.data, "raw": event.raw} if wide else {}),
        }
        before = event


def confirmation_rows(start: Start, end: End, *, wide: bool = True) -> list[dict[str, Any]]:
    """Return the plain answer as a row for the cart tables: event ``confirmation``, number 0."""
    answer = end.outline
    reason = why_unread(answer)
    if not (find_snapshot(answer) or reason):
        return []
    return [
        {
            "recording_id": start.recording_id,
            "seq": 0,
            "event": "confirmation",
            "coalesced": False,
            "bytes": 0,
            "unread": reason,
            **({"data": end.confirmation} if wide else {}),
        }
    ]


def order_row(start: Start, events: Sequence[Event], end: End) -> dict[str, Any]:
    """Return the row of the order, in the form of ``ORDERS``."""
    total_minor, currency = _total(last_snapshot(start, events, end))
    # In what another program told, nothing says which event is the failure.
    is_seen = end.outcome in ANSWERED and end.told is None
    failed = failed_event(start, events) if is_seen else None
    before = (e.event for e in events if failed is None or e.seq < failed.seq)
    milestones = [name for name in before if milestone_of(name, start.milestones)]
    lag_ms = _ms(lag_ns(start, end))
    # The recorder's own waiting is nobody's latency.
    latency_ms = None if end.stream_left_open else end.t_end_ns / 1e6
    if end.told:
        latency_ms = _ms(end.told.latency_ns)
    placed_ms = _placed_ms(start, events, end)
    number = number_of_order(start, events, end)
    judged = judgement(start, events, end, number)
    return {
        "recording_id": start.recording_id,
        "run_id": start.run_id,
        "started_at": began_ns(start, end),
        "environment": start.environment,
        "domain": start.domain,
        "endpoint": endpoint_of(start.environment, flow=start.flow),
        "n_items": len(start.items),
        "quantity": sum(item.get("quantity", 1) for item in start.items),
        "variants": variants(start.items),
        "outcome": end.outcome,
        "order_exists": judged.order_exists,
        "evidence": judged.evidence,
        "error_code": end.error_code,
        "error_description": end.error_description,
        "order_number": number,
        "request_id": start.request_id,
        "http_status": end.http_status,
        "last_milestone": milestones[-1] if milestones else None,
        "time_to_headers_ms": _ms(end.t_headers_ns),
        "time_to_first_event_ms": _first_ms(events, end),
        "time_to_order_placed_ms": placed_ms,
        "scheduled_time_to_order_placed_ms": _later(placed_ms, lag_ms),
        "time_to_failure_ms": _failed_ms(start, events, end),
        "order_latency_ms": latency_ms,
        "scheduled_order_latency_ms": _later(latency_ms, lag_ms),
        "stream_close_lag_ms": _close_lag_ms(events, end, latency_ms),
        "max_gap_ms": _max_gap_ms(events),
        "time_per_item_ms": _per_item_ms(start, events),
        "wall_time_ms": (end.t_end_ns + start.paused_ns) / 1e6 if start.flow else None,
        "schedule_lag_ms": lag_ms,
        "blocked_ms": _ms(end.phases.blocked_ns),
        "connecting_ms": _ms(end.phases.connecting_ns),
        "tls_ms": _ms(end.phases.tls_ns),
        "sending_ms": _ms(end.phases.sending_ns),
        "waiting_ms": _ms(end.phases.waiting_ns),
        "total_minor": total_minor,
        "currency": currency,
        "connection": None if end.told else end.connection,
        "host": start.host,
        "slot": start.slot,
        # Of two clocks the one that says less: the names happen to stand in that order.
        "clock": None if end.told else max((event.clock for event in events), default=None),
        "stream_left_open": end.stream_left_open,
        "content_encoding": end.encoding,
        "proxies": proxies(end.headers),
        "unfinished": unfinished(end),
        "clock_step_us": end.clock_step_us,
        "tags": dict(start.tags),
    }


def endpoint_of(environment: str, *, flow: bool) -> str | None:
    """Return the call that orders; None where another tool told of the order.

    Examples
    --------
    >>> endpoint_of("staging", flow=True), endpoint_of("external", flow=False)
    ('complete-order', None)
    """
    if environment == EXTERNAL:
        return None
    return COMPLETE_ORDER if flow else PLACE_ORDER


def variants(items: Iterable[Mapping[str, Any]]) -> str | None:
    """Return what an order asked for as one text: equal carts have equal texts.

    Examples
    --------
    >>> variants([{"variant_id": "WS12", "quantity": 1}, {"variant_id": "MH09", "quantity": 2}])
    'WS12 + 2 x MH09'
    """
    told = [
        (cut(str(item["variant_id"]), LONGEST_VARIANT), item.get("quantity", 1))
        for item in items
        if "variant_id" in item
    ]
    return " + ".join(name if n == 1 else f"{n} x {name}" for name, n in told) or None


def _last_with_cart(start: Start, events: Sequence[Event], end: End) -> Event | End | None:
    answer = end.outline
    if find_snapshot(answer):
        return end
    if why_unread(answer):
        return None
    for event in most_telling_first(start, events):
        data = event.outline
        if find_snapshot(data):
            return event
        if why_unread(data, event.event, start.milestones):
            return None
    return None


def last_snapshot(start: Start, events: Sequence[Event], end: End) -> Snapshot | None:
    """Return what the last cart or order tells; None if it was not read.

    It is that of the response or of an event. Of a large one the lines are left out.
    """
    last = _last_with_cart(start, events, end)
    return find_snapshot(last.outline) if last else None


def last_cart(start: Start, events: Sequence[Event], end: End) -> Snapshot | None:
    """Return the last cart or order, whole."""
    last = _last_with_cart(start, events, end)
    return find_snapshot(getattr(last, last.PACKS)) if last else None


def most_telling_first(start: Start, events: Sequence[Event]) -> Iterable[Event]:
    """Return the events in which to look for the order, or else for the last cart.

    What comes after the success is left out: it may be the next cart. Where the order came without
    a total, the first event after it that has one beside the same order number goes first.
    """
    placed = numbered_event(start, events)
    if placed is None or placed is events[-1]:  # as it is mostly
        return reversed(events)
    at = next(at for at, event in enumerate(events) if event is placed)
    number, found = order_number(placed.outline), find_snapshot(placed.outline)
    until = reversed(events[: at + 1])
    is_unread = why_unread(placed.outline, placed.event, start.milestones)
    if number is None or is_unread or (found and found.total):
        return until
    same = (event for event in events[at + 1 :] if order_number(event.outline) == number)
    with_total = (event for event in same if (one := find_snapshot(event.outline)) and one.total)
    return chain(islice(with_total, 1), until)


def last_unread(start: Start, events: Sequence[Event]) -> tuple[Event, str] | None:
    """Return the last event whose cart was not read, and why."""
    for event in reversed(events):
        if reason := why_unread(event.outline, event.event, start.milestones):
            return event, reason
    return None


def judgement(start: Start, events: Sequence[Event], end: End, number: str | None) -> Judgement:
    """Judge whether an order exists by what its recording holds, of which its order number."""
    settled = end.settled
    if end.told:
        return NOT_SEEN
    return judge(
        Facts(
            outcome=end.outcome,
            has_number=number is not None,
            success=end.outcome == PLACED or any(one.event in start.success for one in events),
            error_code=end.error_code if end.outcome in ANSWERED else None,
            http_status=end.http_status,
            sent=_sent(events, end) if start.orders else False,
            last_call=COMPLETE_ORDER if start.flow else "",
            settled=Judgement(settled.order_exists, settled.evidence) if settled else None,
        )
    )


def _sent(events: Sequence[Event], end: End) -> bool | None:
    if end.sent is not None:
        return end.sent
    return was_sent(
        error_code=end.error_code,
        cancelled_before=end.outcome == CANCELLED
        and BEFORE_IT_WAS_SENT in (end.error_description or ""),
        responded=end.t_headers_ns is not None or bool(events),
        cold=end.connection == "cold",
        blocked=end.phases.blocked_ns is not None,
        connecting=end.phases.connecting_ns is not None,
    )


def number_of_order(start: Start, events: Sequence[Event], end: End) -> str | None:
    """Return the number of the first event that told a success, else the last that was seen.

    Where none came, it is that of the cart that was asked afterwards.
    """
    placed = numbered_event(start, events)
    if placed is not None and (number := order_number(placed.outline)):
        return number
    # Of a flow only the call that orders has a number of its own: a cart may be an old one.
    others = () if start.flow else events
    if number := next(filter(None, map(order_number, _last_first(others, end))), None):
        return number
    return end.settled.order_number if end.settled else None


def _last_first(events: Sequence[Event], end: End) -> Iterator[Any]:
    yield end.outline
    yield from (event.outline for event in reversed(events))


def _total(snapshot: Snapshot | None) -> tuple[int | None, str | None]:
    return (snapshot and snapshot.total) or (None, None)


def error_of(end: End) -> FirmlyError | None:
    """Return the error that ended an order, or None."""
    if end.error_code is None:
        return None
    status = end.http_status if end.outcome == "http_error" else None
    # Of a response that is not understood the recorder gave the name.
    ours = end.outcome not in ANSWERED or (status is not None and 200 <= status < 300)
    return make_error(end.error_code, end.error_description or "", status, ours=ours)


def _first_ms(events: Sequence[Event], end: End) -> float | None:
    """Return when the first event came; None where a file of responses has no times of events."""
    if not events:
        return None
    first, first_ms = events[0], events[0].t_ns / 1e6
    is_read = first.clock == EXTERNAL and end.told is None
    return None if is_read and first.uncertainty_us > HALF_US * first_ms else first_ms


def _placed_ms(start: Start, events: Sequence[Event], end: End) -> float | None:
    if end.outcome != PLACED:
        return None
    if end.told:
        return _ms(end.told.placed_ns)
    event = placed_event(start, events)
    # Without events the confirmation itself is the moment.
    return (event.t_ns if event else end.t_end_ns) / 1e6


def _failed_ms(start: Start, events: Sequence[Event], end: End) -> float | None:
    if end.outcome in {PLACED, CANCELLED}:
        return None
    if end.told:
        return _ms(end.told.failed_ns)
    event = failed_event(start, events) if end.outcome in ANSWERED else None
    return (event.t_ns if event else end.t_end_ns) / 1e6


def _close_lag_ms(events: Sequence[Event], end: End, latency_ms: float | None) -> float | None:
    if latency_ms is None or not events or end.outcome in ENDED_HERE:
        return None
    return max(latency_ms - events[-1].t_ns / 1e6, 0.0)  # both are rounded


def _max_gap_ms(events: Sequence[Event]) -> float | None:
    gaps = (b.t_ns - a.t_ns for a, b in pairwise(events) if not b.coalesced)
    return _ms(max(gaps, default=None))


def _per_item_ms(start: Start, events: Sequence[Event]) -> float | None:
    """Return the time from the first item to the last, per further item of the order.

    Where one read brought them all, nothing is known.
    """
    places = [at for at, event in enumerate(events) if event.event == ITEM_ADDED]
    if len(start.items) < 2 or len(places) < 2:
        return None
    first, last = places[0], places[-1]
    if all(event.coalesced for event in events[first + 1 : last + 1]):
        return None
    return (events[last].t_ns - events[first].t_ns) / 1e6 / (len(start.items) - 1)


def headline_ms(row: Mapping[str, Any]) -> float:
    """Return the time that is told of an order: to the event that told its end, else to its end.

    Examples
    --------
    >>> row = {"time_to_order_placed_ms": 4.0, "time_to_failure_ms": None}
    >>> headline_ms({**row, "order_latency_ms": 5_007.0})
    4.0
    """
    names = ("time_to_order_placed_ms", "time_to_failure_ms", "order_latency_ms")
    known = (row[name] for name in names if row[name] is not None)
    return next((time for time in known if not math.isnan(time)), math.nan)


def unfinished(end: End) -> str | None:
    """Return size and begin of an event that never ended; None if each did.

    Examples
    --------
    >>> from firmly_nb.recorder import End
    >>> unfinished(End("incomplete", 9, unfinished_bytes=20, unfinished="event: item-added"))
    '20 bytes, beginning: event: item-added'
    """
    if not end.unfinished_bytes or end.unfinished == "":
        return None
    size = count(end.unfinished_bytes, "byte")
    return f"{size}, beginning: {end.unfinished}" if end.unfinished else size


def _later(time_ms: float | None, lag_ms: float | None) -> float | None:
    """Return a time from the planned start on."""
    return None if time_ms is None or lag_ms is None else time_ms + lag_ms


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
