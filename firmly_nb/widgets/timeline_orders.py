"""Orders as the timeline's front end gets them: plain data, nothing that an event carried.

What an event carried can be large and is sent when it is asked for; here is only what is drawn:
names, times and how sure they are, and, at the end, how it ended in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.api.printable import printable
from firmly_nb.latency.stages import stage_rows
from firmly_nb.outcomes import outcome
from firmly_nb.recording.records import Event, Record, Start
from firmly_nb.recording.words import outcome_word, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.recording.recording import Recording

Json = dict[str, Any]
LONGEST_NAME = 300
MOST_EVENTS = 500


def live_order(number: int, records: Sequence[Record]) -> Json:
    """Return an order that has not ended: the start and the events so far.

    Parameters
    ----------
    number
        Its place among the timeline's orders, from 1.
    records
        Its start and its events.
    """
    start, *rest = records
    if not isinstance(start, Start):
        raise TypeError("an order begins with a start record")
    events = [record for record in rest if isinstance(record, Event)]
    return {
        "recording_id": start.recording_id,
        "number": number,
        "domain": shown(start.domain),
        "environment": start.environment,
        "started_at_ms": start.started_at_ns / 1e6,
        "events": [event_row(event) for event in events[:MOST_EVENTS]],
        "events_left_out": max(len(events) - MOST_EVENTS, 0),
        "stages": stage_list(events, start.milestones),
        "end": None,
    }


def ended_order(number: int, recording: Recording) -> Json:
    """Return an order that has ended, or of which nothing more can come."""
    records = recording.records()
    return live_order(number, records) | {"end": _end(recording)}


def event_row(event: Event) -> Json:
    """Return what is drawn of one event.

    Examples
    --------
    >>> event_row(Event(1, "item-added", None, 498_310_000, 0, "kernel", 50.0, 2, False, 9.0, 800)
    ...     )["t_ms"]
    498.31
    """
    return {
        "seq": event.seq,
        "event": shown(event.event),
        "t_ms": event.t_ns / 1e6,
        "uncertainty_us": event.uncertainty_us,
        "clock": event.clock,
        "coalesced": event.coalesced,
        "bytes": event.size,
        "rtt_us": event.rtt_us,
        "retransmits": event.retransmits,
    }


def stage_list(events: Sequence[Event], milestones: list[str] | None) -> list[Json]:
    """Return a row for each stage, reached or not, with the event that ended it."""
    times = {event.event: (event.t_ns / 1e6, event.uncertainty_us) for event in events}
    seqs = {event.event: event.seq for event in events}
    return [
        {
            "stage": shown(row["stage"]),
            "milestone": shown(row["to_milestone"]),
            "seq": seqs.get(row["to_milestone"]),
            "start_ms": row.get("start_ms"),
            "end_ms": row.get("end_ms"),
            "duration_ms": row.get("duration_ms"),
            "uncertainty_us": row.get("uncertainty_us"),
        }
        for row in stage_rows(times, milestones)
    ]


def _end(recording: Recording) -> Json:
    row, look = recording.summary(), outcome(recording.outcome)
    return {
        "outcome": recording.outcome,
        "order_exists": recording.order_exists,
        "word": outcome_word(recording),
        "mark": look.mark,
        "tone": look.tone,
        "t_ms": row["order_latency_ms"],
        "order_number": shown(recording.order_number or ""),
        "verdict": shown(verdict(recording), 2_000),
        "comments_ms": recording.comments_ms[:MOST_EVENTS],
        "warnings": [shown(warning, 1_000) for warning in recording.warnings[:20]],
    }


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """Bound a text; what would turn a line round or cannot be seen becomes a dot.

    Examples
    --------
    >>> shown("item\u202eadded"), shown("x" * 999, 3)
    ('item·added', 'xxx…')
    """
    safe = printable(text[: longest + 1])
    return safe if len(text) <= longest else f"{safe[:longest]}…"
