"""Endings of orders as their events tell them: by their names, and by what is in them.

The recorder asks it of each event as it comes; tables, and recordings that were cut off, of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from firmly_nb.api.beside import error_beside, status_beside
from firmly_nb.api.errors import LISTED_STATUSES, FirmlyError, error_from_payload
from firmly_nb.api.event_names import COMPLETE_ORDER, ERROR, milestone_of, says_otherwise
from firmly_nb.api.snapshots import order_number, unsubmitted
from firmly_nb.recorder.records import End, Event, Record, Recorded, Start, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def says_placed(start: Start, name: str, data: Any) -> Literal["name", "content"] | None:
    """Say whether an event tells that the order was placed: by its name, or by what is in it.

    An event of an unknown name does so with an order number, unless it says otherwise as well.

    Examples
    --------
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9)
    >>> says_placed(start, "order-placed", {}), says_placed(start, "item-added", {})
    ('name', None)
    >>> says_placed(start, "order_placed", {"order": {"platform_order_number": "7001"}})
    'content'
    """
    if name in start.success:
        return "name"
    if start.flow or name == ERROR or is_known(start, name) or order_number(data) is None:
        return None
    no = says_otherwise(name) or unsubmitted(data) or error_beside(data) or status_beside(data)
    return None if no else "content"


def says_refused(start: Start, name: str, data: Any) -> FirmlyError | None:
    """Return the error that an event tells: one named so, or one with an error of the API's list.

    Examples
    --------
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9)
    >>> says_refused(start, "order-failed", {"error": "ErrorPaymentDeclined"}).error
    'ErrorPaymentDeclined'
    >>> says_refused(start, "note", {"error": "of our own"}) is None
    True
    """
    if start.flow:
        return None  # the end tells; an error of a call before it need not be the last word
    if name != ERROR and is_known(start, name):
        return None
    if name != ERROR and not isinstance(data, dict):
        return None
    error = error_from_payload(data)
    return error if name == ERROR or error.error in LISTED_STATUSES else None


def failure_data(call: str, ended: Mapping[str, Any], http_status: int | None) -> dict[str, Any]:
    """Return what the event of a failed call tells: which call, how it ended, and its error.

    Examples
    --------
    >>> ended = {"outcome": "http_error", "error_code": "ErrorNotEnoughStock"}
    >>> failure_data("add-line-item", ended, 400)["error"]["error"]
    'ErrorNotEnoughStock'
    """
    error = {"code": http_status, "error": ended.get("error_code") or ended["outcome"]}
    text = ended.get("error_description") or ""
    return {
        "call": call,
        "outcome": ended["outcome"],
        "error": {**error, "description": text},
    }


def failed_call(name: str, call: str, seq: int, t_ns: int, ended: Mapping[str, Any]) -> Event:
    """Return the event of a call whose recorder could not tell it."""
    return Event(
        seq=seq,
        event=name,
        data=failure_data(call, ended, None),
        t_ns=t_ns,
        wall_ns=None,
        clock="user",
        uncertainty_us=0.0,
        read_no=None,
        coalesced=False,
        read_delay_us=0.0,
        size=0,
    )


def is_known(start: Start, name: str) -> bool:
    """Return whether an event's name alone tells what it is; its data is then not looked into."""
    return name in start.success or milestone_of(name, start.milestones) is not None


def tells_end(start: Start, event: Event) -> bool:
    """Return whether an event tells how the order ended: a success or a refusal."""
    name = event.event
    if name in start.success:
        return True
    if name != ERROR and is_known(start, name):
        return False
    data = event.outline
    return bool(says_placed(start, name, data) or says_refused(start, name, data))


def placed_event(start: Start, events: Sequence[Event]) -> Event | None:
    """Return the event that tells that the order was placed: the first by name, else by content."""
    return next(_placed_events(start, events), None)


def numbered_event(start: Start, events: Sequence[Event]) -> Event | None:
    """Return the first event that tells the order with its number; without one the first."""
    told = _placed_events(start, events)
    first = next(told, None)
    if first is None or order_number(first.outline):
        return first
    return next((event for event in told if order_number(event.outline)), first)


def _placed_events(start: Start, events: Sequence[Event]) -> Iterator[Event]:
    """Return the events that tell a success: those that do by their names go first."""
    yield from (event for event in events if event.event in start.success)
    for event in events:
        if not is_known(start, event.event) and says_placed(start, event.event, event.outline):
            yield event


def failed_event(start: Start, events: Sequence[Event]) -> Event | None:
    """Return the event that tells that the order failed: the first by name, else by content."""
    told = [event for event, _ in _refusals(start, events)]
    return next((event for event in told if event.event == ERROR), next(iter(told), None))


def _refusals(start: Start, events: Sequence[Event]) -> Iterator[tuple[Event, FirmlyError]]:
    for event in events:
        if event.event == ERROR or not is_known(start, event.event):
            error = says_refused(start, event.event, event.outline)
            if error:
                yield event, error


def told_by_events(start: Start, events: Sequence[Event]) -> End | None:
    """Return the end that the events themselves tell (placed, or an error), or None.

    It is all that can be said of an order whose recorder died.
    """
    t_end = events[-1].t_ns if events else 0
    placed = placed_event(start, events)
    if placed is not None and placed.event in start.success:
        return End("placed", t_end)
    for _, error in _refusals(start, events):
        code, description = error.error, error.description
        return End("error_event", t_end, error_code=code, error_description=description)
    return End("placed", t_end) if placed is not None else None


def end_of_cut_off(start: Start, events: Sequence[Event]) -> End:
    """Return an end for a recording that has none."""
    t_end = events[-1].t_ns if events else 0
    if not start.orders:
        text = f"the recording was cut off before {COMPLETE_ORDER} was sent"
        return End("incomplete", t_end, error_description=text, sent=False)
    text = "the recording was cut off before the order's end"
    if not any(order_number(event.outline) for event in events):
        text += "; the order may exist"
    return told_by_events(start, events) or End("incomplete", t_end, error_description=text)


def recorded(records: Sequence[Record], warnings: Sequence[str] = ()) -> Recorded:
    """Put the records of an order together; of several starts, those of a flow, the last counts.

    Raises
    ------
    TypeError
        If the first is no start.
    """
    start, last = start_of(records), records[-1]
    events = [record for record in records if isinstance(record, Event)]
    if isinstance(last, End):
        return Recorded(start, events, last, warnings=warnings)
    return Recorded(start, events, end_of_cut_off(start, events), cut_off=True, warnings=warnings)
