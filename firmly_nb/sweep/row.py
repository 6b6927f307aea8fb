"""What a sweep reads off a recording: its row, its total, its place in the progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.outcomes import NO, YES
from firmly_nb.recording.cut_off import end_of_cut_off
from firmly_nb.recording.records import End, Event, Record, Start
from firmly_nb.recording.rows import order_row
from firmly_nb.sweep.progress import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.sweep.budget import Amount


def row_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return a recording's row of the table of orders, without a table."""
    start, last = records[0], records[-1]
    if not isinstance(start, Start):
        raise TypeError("a recording begins with a start record")
    events = [record for record in records if isinstance(record, Event)]
    end = last if isinstance(last, End) else end_of_cut_off(start, events)
    return order_row(start, events, end)


def amount_of(row: dict[str, Any]) -> Amount | None:
    """Return the last total that was seen of an order; None if none was."""
    return None if row["total_minor"] is None else (row["total_minor"], row["currency"])


def point_of(number: int, row: dict[str, Any], started_s: float) -> Point:
    """Return an order as progress shows it."""
    placed_ms = row["time_to_order_placed_ms"]
    return Point(
        number,
        started_s,
        row["order_latency_ms"] if placed_ms is None else placed_ms,
        row["outcome"],
        row["schedule_lag_ms"],
    )


def was_ordered(row: dict[str, Any]) -> bool | None:
    """Whether there is an order; None where that is not known."""
    return {YES: True, NO: False}.get(row["order_exists"])
