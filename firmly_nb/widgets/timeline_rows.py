"""Orders and events as the timeline's page gets them: plain data, bounded, safe to show.

A stream can have any number of events. The page gets so many that each place of the picture has
its mark: events that end a stage and errors always, of the others one for each moment.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from firmly_nb.api.event_names import ERROR, GUIDE, REFERENCE
from firmly_nb.carts.changes import amount_or_value, differences, path_in_words
from firmly_nb.display.text import printable
from firmly_nb.latency.stages import BUFFERED, COALESCED, OUT_OF_ORDER, REASONS, own_reasons
from firmly_nb.outcomes import (
    ACROSS,
    PLACED,
    STAGE_LOOKS,
    look_of_stage,
    outcome,
)
from firmly_nb.recorder.tables import headline_ms
from firmly_nb.recordings.show import look_of, outcome_word, untimed_words, verdict
from firmly_nb.recordings.sources import recorded_stages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from firmly_nb.recorder.records import Event, Record, Start
    from firmly_nb.recordings.recording import Recording


Json = dict[str, Any]
LONGEST_NAME = 300
MOST_EVENTS = 100  # of an order in the widget's state, beside those that are always there
MOST_ASKED = 1_000  # of an order that a page looks at
MOST_ERRORS = 200
MOST_COMMENTS = 500
MOST_FOUND = 100
# In place of a time that is not known.
NO_TIME = {BUFFERED: "gathered", COALESCED: "gathered", OUT_OF_ORDER: "out of order"}
MOST_ROWS = 200
LONGEST_PATH = 200


def thinned(
    events: Sequence[Event], always: Collection[int] = (), most: int = MOST_EVENTS
) -> list[Event]:
    """Return some of the events, so that each moment that had one still has one.

    Parameters
    ----------
    events
        In order of arrival.
    always
        Numbers of events that are kept in any case. The first errors are kept as well.
    most
        Number of moments. So many events and fewer are returned as they are.
    """
    if len(events) <= most:
        return list(events)
    begin = min(event.t_ns for event in events)
    width = max(max(event.t_ns for event in events) - begin, 1)
    seen: set[int] = set()
    kept, errors = [], 0
    for event in events:
        moment = (event.t_ns - begin) * most // width
        errors += event.event == ERROR
        is_told = event.seq in always or (event.event == ERROR and errors <= MOST_ERRORS)
        if is_told or moment not in seen:
            kept.append(event)
        seen.add(moment)
    return kept


class LiveOrder:
    """Order that has not ended: its records, and what is drawn of it, event by event.

    Parameters
    ----------
    start
        Its first record.
    """

    def __init__(self, start: Start) -> None:
        self.start = start
        self.records: list[Record] = [start]
        self.count = 0
        self.stages: list[Json] = stage_list([], start.milestones)
        self._kept: list[Event] = []
        self._names = frozenset(start.milestones or (*REFERENCE, *GUIDE))
        # The first and the last event of each milestone: stages are made of no others.
        self._ends: dict[str, tuple[Event, Event]] = {}

    def take(self, event: Event) -> bool:
        """Take an event; return whether the stages are others with it."""
        self.records.append(event)
        self.count += 1
        self._kept.append(event)
        if event.event in self._names:
            first = self._ends.get(event.event, (event,))[0]
            self._ends[event.event] = (first, event)
            self.stages = stage_list(self._ends_in_order(), self.start.milestones)
        # Thinned now and then, so that an event costs the same however many came before.
        if len(self._kept) > 4 * MOST_EVENTS + MOST_ERRORS:
            self._kept = thinned(self._kept, self._told())
        return event.event in self._names

    def _ends_in_order(self) -> list[Event]:
        ends = {one.seq: one for pair in self._ends.values() for one in pair}
        events = [ends[seq] for seq in sorted(ends)]
        # Of those that are left each says whether it came with the one before.
        reads = [None, *(event.read_no for event in events)]
        pairs = zip(events, reads, strict=False)
        return [event.changed(coalesced=event.read_no == before) for event, before in pairs]

    def _told(self) -> set[int]:
        return {one.seq for pair in self._ends.values() for one in pair}

    def state(self, number: int) -> Json:
        """Return it as the page gets it."""
        return _order(
            number, self.start, thinned(self._kept, self._told()), self.count, self.stages
        )


def ended_order(number: int, recording: Recording, how: str = "") -> Json:
    """Return an order that has ended, or of which nothing more can come.

    Parameters
    ----------
    number
        Its number among the timeline's orders, from 1.
    recording
        Its recording.
    how
        What tells whether the order exists, as for :func:`verdict`.
    """
    start, events, *_ = recording.recorded
    stages = stage_list(events, start.milestones, ended=True)
    kept = thinned(events, {stage["seq"] for stage in stages})
    return _order(number, start, kept, len(events), stages) | {"end": _end(recording, how)}


def events_between(recording: Recording, from_ms: float, to_ms: float) -> list[Json]:
    """Return the events of a part of an order, thinned to what can be drawn."""
    events = [e for e in recording.recorded.events if from_ms <= e.t_ns / 1e6 <= to_ms]
    return [event_row(event) for event in thinned(events, most=MOST_ASKED)]


def _order(
    number: int, start: Start, events: Iterable[Event], count: int, stages: list[Json]
) -> Json:
    return {
        "recording_id": start.recording_id,
        "number": number,
        "domain": printable(start.domain, LONGEST_NAME),
        "environment": start.environment,
        "started_at_ms": (start.started_at_ns or 0) / 1e6,
        "events": [event_row(event) for event in events],
        "event_count": count,
        "stages": stages,
        "end": None,
    }


def event_row(event: Event) -> Json:
    """Return one event as the page draws it."""
    return {
        "seq": event.seq,
        "event": printable(event.event, LONGEST_NAME),
        "t_ms": event.t_ns / 1e6,
        "uncertainty_us": event.uncertainty_us,
        "clock": event.clock,
        "coalesced": event.coalesced,
        "bytes": event.size,
        "rtt_us": event.rtt_us,
        "retransmits": event.retransmits,
        "reordered": event.reordered,
    }


def stage_list(
    events: Sequence[Event], milestones: list[str] | None, *, ended: bool = False
) -> list[Json]:
    """Return a row for each stage, reached or not, with the event that ended it.

    Where its time is not known, it is null and ``untimed`` says why. Whether events were gathered
    shows when the order has ended.
    """
    made = recorded_stages([(events, milestones)])
    milestone_names = [made.names[code] for code in made.to_milestone]
    stages = [made.names[code] for code in made.stage]
    looks = [look_of_stage(stage, milestone_names) for stage in stages]
    reasons = own_reasons(made.duration_ms, made.uncertainty_us, made.coalesced)
    if ended:
        reasons[made.gathered & ~np.isnan(made.end_ms)] = REASONS.index(BUFFERED)
    untimed = untimed_words(reasons.tolist())
    # The end of the order counts at its first event, all others at their last.
    last = {event.event: event for event in events}
    if milestone_names:
        first = (event for event in events if event.event == milestone_names[-1])
        last |= {event.event: event for event in [*first][:1]}
    return [
        {
            "stage": printable(stages[row], LONGEST_NAME),
            "milestone": printable(name, LONGEST_NAME),
            "seq": last[name].seq if name in last else None,
            "start_ms": _known(made.start_ms[row]),
            "end_ms": _known(made.end_ms[row]),
            "duration_ms": None if untimed[row] else _known(made.duration_ms[row]),
            "untimed": untimed[row],
            "no_time": "" if reasons[row] < 0 else NO_TIME[REASONS[reasons[row]]],
            "uncertainty_us": _known(made.uncertainty_us[row]),
            "look": looks[row].number,
            "is_across": looks[row].pattern is ACROSS,
        }
        for row, name in enumerate(milestone_names)
    ]


def looks() -> Json:
    """Return patterns of stages and the words of a placed order, for the page."""
    placed = outcome(PLACED)
    return {
        "tiles": [look.pattern.tile for look in STAGE_LOOKS],
        "across": ACROSS.tile,
        "placed": {"outcome": placed.name, "word": placed.word, "mark": placed.mark},
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _end(recording: Recording, how: str) -> Json:
    row = recording.summary()
    look = look_of(recording)
    return {
        "outcome": recording.outcome,
        "order_exists": recording.order_exists,
        "word": outcome_word(recording),
        "reason": _reason(recording),
        "mark": look.mark,
        "tone": look.tone,
        "t_ms": headline_ms(row),
        "order_number": printable(recording.order_number or "", LONGEST_NAME),
        "verdict": printable(verdict(recording, how), 2_000),
        "comments_ms": recording.comments_ms[:MOST_COMMENTS],
        "warnings": [printable(warning, 1_000) for warning in recording.warnings[:20]],
    }


def _reason(recording: Recording) -> str:
    """Return the error that kept an order from being placed; empty where its outcome says all."""
    if recording.outcome == PLACED or recording.error is None:
        return ""
    return printable(recording.error.error.removeprefix("Error"), LONGEST_NAME)


# Finding and comparing events.


def found(recordings: Iterable[Recording], text: str) -> tuple[list[tuple[Recording, Event]], int]:
    """Find the events that have a text in their name or their data.

    Parameters
    ----------
    recordings
        In the order in which they are searched.
    text
        Any case.

    Returns
    -------
    tuple
        The first of them, and how many there are.
    """
    wanted, count = text.casefold(), 0
    first: list[tuple[Recording, Event]] = []
    for recording in recordings:
        for event in recording.recorded.events:
            if wanted in event.event.casefold() or wanted in _text(event.data).casefold():
                count += 1
                if len(first) < MOST_FOUND:
                    first.append((recording, event))
    return first, count


def _text(data: Any) -> str:
    return data if isinstance(data, str) else orjson.dumps(data).decode()


def twin(recording: Recording, event: Event, other: Recording) -> Event | None:
    """Return the event of another order that has the same name, of several the same one in turn."""
    turn = sum(e.event == event.event and e.seq < event.seq for e in recording.recorded.events)
    same = [each for each in other.recorded.events if each.event == event.event]
    return same[turn] if turn < len(same) else None


def event_differences(own: Event, other: Event) -> Iterator[Json]:
    """Give a row for each field in which the data of two events differ, in words."""
    if not (isinstance(own.data, dict) and isinstance(other.data, dict)):
        if own.data != other.data:
            yield {"path": "data", "before": _value(own.data), "after": _value(other.data)}
        return
    for each in differences(own.data, other.data, ignore_noise=False)[:MOST_ROWS]:
        yield {
            "path": printable(path_in_words(each.path), LONGEST_PATH),
            "before": _value(each.before, each.currency),
            "after": _value(each.after, each.currency),
        }


def _value(value: Any, currency: Any = None) -> str:
    return "-" if value is None else printable(amount_or_value(value, currency), LONGEST_NAME)


def change_rows(recording: Recording, seq: int) -> list[Json]:
    """Return the changes that came with an event, in words."""
    changes = recording.changes
    return [
        {
            "path": printable(path_in_words(row["path"]), LONGEST_PATH),
            "before": _value(_null(row["before"]), row["currency"]),
            "after": _value(_null(row["after"]), row["currency"]),
        }
        for row in changes[changes["seq_after"] == seq].head(MOST_ROWS).to_dict("records")
    ]


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
