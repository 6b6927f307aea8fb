"""What can be said of an order whose recorder died: what its events tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.api.errors import error_from_payload
from firmly_nb.api.event_names import ERROR, SUCCESS
from firmly_nb.api.snapshots import order_number
from firmly_nb.recording.records import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.recording.records import Event, Start


def told_by_events(start: Start, events: Sequence[Event]) -> End | None:
    """Return the end that the events themselves tell (placed, or an error), or None."""
    success = {start.milestones[-1]} if start.milestones else SUCCESS
    t_end = events[-1].t_ns if events else 0
    if any(event.event in success for event in events):
        return End("placed", t_end)
    failed = next((event for event in events if event.event == ERROR), None)
    if failed is None:
        return None
    error = error_from_payload(failed.data)
    return End("error_event", t_end, error_code=error.error, error_description=error.description)


def end_of_cut_off(start: Start, events: Sequence[Event]) -> End:
    """Return an end for a recording that has none."""
    text = "the recording was cut off before the order's end"
    if not any(order_number(event.data) for event in events):
        text += "; the order may exist"
    t_end = events[-1].t_ns if events else 0
    return told_by_events(start, events) or End("incomplete", t_end, error_description=text)
