"""``Timeline``: orders as bars on the time since the request, while they run and afterwards.

The front end gets what is drawn, as plain data: names, times and how sure they are, and, at the
end, how it ended in words. The data of an event can be large and is sent when a page asks for it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.display.html import QUIET
from firmly_nb.display.messages import coded_error, quoted, unknown, without_code, wrong_type
from firmly_nb.display.text import printable
from firmly_nb.latency.stages import BUFFERED, REASONS, START, own_reasons
from firmly_nb.outcomes import ACROSS, PLACED, STAGE_LOOKS, look_of_stage, outcome
from firmly_nb.recorder.records import Event, Record, Start
from firmly_nb.recorder.tables import headline_ms
from firmly_nb.recordings.recordings import Recording, Recordings
from firmly_nb.recordings.show import (
    outcome_word,
    recording_html,
    recordings_html,
    untimed_words,
    verdict,
)
from firmly_nb.recordings.sources import recorded_stages
from firmly_nb.widgets.cart_view import CartReading, event_json
from firmly_nb.widgets.frontend import SHOW_EVERY_S, Heartbeat, Throttle, module, style, with_static

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


Json = dict[str, Any]
LONGEST_NAME = 300
MOST_EVENTS = 500
MOST_ORDERS = 300
# The state of all orders is half a megabyte, so it is sent once for so many that have ended.
MOST_RECENT = 25
log = logging.getLogger(__name__)


class Timeline(anywidget.AnyWidget):
    """Orders as bars on the time since the request, live or recorded.

    Each event is sent to the browser the moment it arrives. Its data is sent when somebody
    looks at it.

    Parameters
    ----------
    source
        A recording, several, or nothing yet.
    align
        Time that the orders are lined up on: ``"start"``, the request, or the name of a milestone.
    details
        True if an event that is clicked shows its cart and its JSON below the bars.

    Attributes
    ----------
    selected
        The event that is looked at, as ``{"recording_id": ..., "seq": ...}``; ``seq`` is None for
        the order as a whole, and all is None where the newest order is shown. Can be set and
        observed; a click sets it.
    compared
        The id of the order that the one looked at is compared with, or None.
    align, details
        Can be set and observed.
    expecting
        True while an order is sent of which nothing is recorded yet; the page says so, and shows no
        example.

    Examples
    --------
    A live order: ``lab.place(order, on_record=timeline.feed)``; a recorded one: ``Timeline(rec)``.

    >>> Timeline()
    Timeline: no orders yet
    """

    _esm = module("timeline")
    _css = "\n".join(style(name) for name in ("json_tree", "cart_view", "timeline"))
    _orders = traitlets.List(traitlets.Dict()).tag(sync=True)
    _recent = traitlets.List(traitlets.Dict()).tag(sync=True)
    _live = traitlets.List(traitlets.Dict()).tag(sync=True)
    _first = traitlets.Int(1).tag(sync=True)
    _left_out = traitlets.Int(0).tag(sync=True)
    _looks = traitlets.Dict().tag(sync=True)
    align = traitlets.Unicode(START).tag(sync=True)
    details = traitlets.Bool(True).tag(sync=True)
    expecting = traitlets.Bool(False).tag(sync=True)
    selected: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    compared = traitlets.Unicode(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self,
        source: Recording | Iterable[Recording] | None = None,
        *,
        align: str = START,
        details: bool = True,
    ) -> None:
        self._lock = threading.RLock()
        self._numbers: dict[str, int] = {}
        self._running: dict[str, list[Record]] = {}
        self._ended: dict[str, Recording] = {}
        self._states: dict[str, Json] = {}
        self._settled: set[str] = set()
        self._kept: list[str] = []
        self._numbered = 0
        self._newest: str | None = None
        self._carried = EventDetails()
        self._throttle = Throttle(self._show, SHOW_EVERY_S)
        for recording in _recordings(source):
            self._keep(recording)
        super().__init__(align=align, details=details, _looks=looks())
        self._heart = Heartbeat(self.send)
        self._show()
        self.on_msg(self._answer)

    @property
    def recordings(self) -> Recordings:
        """Recordings of the orders that have ended, in the order in which they began here."""
        with self._lock:
            return Recordings(self._ended[i] for i in self._numbers if i in self._ended)

    @property
    def feed(self) -> Feed:
        """Feed for the records of an order: ``lab.start(order, on_record=timeline.feed)``.

        Each use gives a feed of its own, so that orders under way at once are kept apart. It can
        be called on any thread.
        """
        return Feed(self)

    def add(self, recording: Recording) -> None:
        """Show a recording; one that is there already is replaced."""
        (recording,) = _recordings(recording)
        with self._lock:
            self._keep(recording)
        self._throttle.soon()

    def clear(self) -> None:
        """Remove all orders, including those that are running."""
        with self._lock:
            for kept in (self._numbers, self._running, self._ended, self._states, self._settled):
                kept.clear()
            self._heart.end()
            self._kept = []
            self._newest = None
            self.selected = self.compared = None
        self._throttle.now()

    def select(self, recording_id: str | None, seq: int | None = None) -> None:
        """Look at an order, or at one of its events; None looks at the newest order.

        Raises
        ------
        LookupError
            If there is no such order or event.
        """
        try:
            self.selected = None if recording_id is None else _selection(recording_id, seq)
        except traitlets.TraitError as error:
            raise coded_error(LookupError, "FNB712", without_code(str(error))) from None

    def recording(self, recording_id: Any) -> Recording | None:
        """Return an order as far as it has come; None if it is not here."""
        if not isinstance(recording_id, str):
            return None
        with self._lock:
            if recording_id in self._running:
                return Recording(self._running[recording_id])
            return self._ended.get(recording_id)

    def take(self, record: Record, recording_id: str | None) -> str | None:
        """Take a record of an order, or of the newest one; return the order's id."""
        with self._lock:
            if isinstance(record, Start):
                return self._begin(record)
            recording_id = recording_id or self._newest
            if recording_id in self._running:
                records = self._running[recording_id]
                records.append(record)
                if isinstance(record, Event):
                    self._arrived(recording_id, records, record)
                else:
                    self._finish(recording_id, records)
            return recording_id

    def _begin(self, start: Start) -> str:
        if self._looked_at() in {None, self._newest}:
            # Who looks at the newest order goes on to the next; who studies an older one stays.
            self.selected = None
        number = self._number(start.recording_id)
        self._running[start.recording_id] = [start]
        self._heart.begin()
        self._newest = start.recording_id
        self.send({"kind": "order", "order": live_order(number, [start])})
        self._throttle.soon()
        return start.recording_id

    def _arrived(self, recording_id: str, records: list[Record], event: Event) -> None:
        start, *events = records
        known = [each for each in events if isinstance(each, Event)]
        milestones = start.milestones if isinstance(start, Start) else None
        self.send(
            {
                "kind": "event",
                "recording_id": recording_id,
                "event": event_row(event),
                "stages": stage_list(known, milestones),
                "arrived_at_ms": (event.wall_ns or 0) / 1e6,
            }
        )
        self._throttle.soon()

    def _finish(self, recording_id: str, records: list[Record]) -> None:
        self._keep(Recording(records))
        self.send({"kind": "order", "order": self._state(recording_id)})
        self._throttle.now()

    def _keep(self, recording: Recording) -> None:
        number = self._number(recording.recording_id)
        if self._running.pop(recording.recording_id, None) and not self._running:
            self._heart.end()
        self._ended[recording.recording_id] = recording
        self._states.pop(recording.recording_id, None)
        if number == self._numbered:
            self._newest = recording.recording_id

    def _number(self, recording_id: str) -> int:
        if recording_id not in self._numbers:
            self._numbered += 1
            self._numbers[recording_id] = self._numbered
        return self._numbers[recording_id]

    def _show(self) -> None:
        """Bring the state that reloaded pages and further views start from up to date."""
        with self._lock:
            recent = [i for i in self._numbers if i not in self._settled]
            if sum(i in self._ended for i in recent) > MOST_RECENT:
                self._settled.update(i for i in recent if i in self._ended)
                self._kept = [i for i in self._numbers if i in self._settled][-MOST_ORDERS:]
                recent = [i for i in recent if i not in self._settled]
            pinned = {i for i in (self._looked_at(), self.compared) if i in self._settled}
            older = sorted(pinned | set(self._kept), key=lambda i: self._numbers[i])
            first = next(iter([*self._kept, *recent]), None)
            self._first = self._numbers[first] if first else self._numbered + 1
            self._left_out = len(self._numbers) - len(older) - len(recent)
            self._orders = [self._state(i) for i in older]
            self._recent = [self._state(i) for i in recent if i in self._ended]
            running = ((self._numbers[i], self._running[i]) for i in recent if i in self._running)
            self._live = [live_order(number, records) for number, records in running]

    def _state(self, recording_id: str) -> Json:
        """Return an ended order as the page gets it; made for those only that are shown."""
        if recording_id not in self._states:
            number = self._numbers[recording_id]
            self._states[recording_id] = ended_order(number, self._ended[recording_id])
        return self._states[recording_id]

    def _answer(self, _: object, content: Any, __: object) -> None:
        """Send what an event carried, when the browser asks for it."""
        if not isinstance(content, dict) or content.get("kind") != "details":
            return
        recording = self.recording(content.get("recording_id"))
        event = _event(recording, content.get("seq")) if recording else None
        if recording and event:
            for message in self._carried.of(recording, event):
                self.send(message)

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> Json | None:
        chosen: Json | None = proposal["value"]
        if chosen is None:
            return None
        recording_id, seq = chosen.get("recording_id"), chosen.get("seq")
        recording = self.recording(recording_id)
        if recording is None:
            raise _not_shown(f"The timeline has no order {quoted(recording_id)}.")
        if seq is not None and _event(recording, seq) is None:
            raise _not_shown(f"Order {quoted(recording_id)} has no event {quoted(seq)}.")
        return _selection(recording.recording_id, seq)

    @traitlets.validate("compared")
    def _check_compared(self, proposal: Any) -> str | None:
        recording_id: str | None = proposal["value"]
        if recording_id is not None and recording_id not in self._numbers:
            raise _not_shown(f"The timeline has no order {quoted(recording_id)}.")
        return recording_id

    @traitlets.validate("align")
    def _check_align(self, proposal: Any) -> str:
        name: str = proposal["value"]
        known = {START, *REFERENCE, *GUIDE, *self._milestones()}
        if self._numbers and name not in known:
            raise _not_shown(unknown("milestone", name, sorted(known)))
        return name

    def _milestones(self) -> set[str]:
        with self._lock:
            starts = [records[0] for records in self._running.values()]
            starts += [recording.records()[0] for recording in self._ended.values()]
        # In the words in which the page knows them.
        return {
            printable(name, LONGEST_NAME)
            for start in starts
            for name in getattr(start, "milestones", None) or ()
        }

    @traitlets.observe("selected", "compared")
    def _pin(self, _: object) -> None:
        """Send an order to the browser that is too old to be among the newest."""
        if self._left_out:
            self._throttle.soon()

    def __repr__(self) -> str:
        with self._lock:
            counts = Counter(recording.outcome for recording in self._ended.values())
            running = len(self._running)
        parts = [f"{count} {outcome}" for outcome, count in counts.most_common()]
        parts += [f"{running} under way"] if running else []
        return f"Timeline: {', '.join(parts) or 'no orders yet'}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Add a static page for readers without a front end."""
        looked_at = self._ended.get(self._looked_at() or self._newest or "")
        bundle = super()._repr_mimebundle_(**kwargs)
        return with_static(bundle, static_html(self.recordings, looked_at))

    def _looked_at(self) -> str | None:
        return self.selected["recording_id"] if self.selected else None


class Feed:
    """Function that takes the records of one order after another; made by ``Timeline.feed``."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._recording_id: str | None = None

    def __call__(self, record: Record) -> None:
        """Take a record; a failure to show it never harms the order."""
        try:
            self._recording_id = self._timeline.take(record, self._recording_id)
        except Exception:
            log.exception("a %s record could not be shown", record.kind)


def _event(recording: Recording, seq: Any) -> Event | None:
    events = (record for record in recording.records() if isinstance(record, Event))
    return next((event for event in events if event.seq == seq), None)


def _not_shown(text: str) -> traitlets.TraitError:
    return coded_error(traitlets.TraitError, "FNB712", text)


def _selection(recording_id: str, seq: int | None) -> Json:
    return {"recording_id": recording_id, "seq": seq}


def _recordings(source: Recording | Iterable[Recording] | None) -> list[Recording]:
    given = [source] if isinstance(source, Recording) else list(source or ())
    for each in given:
        if not isinstance(each, Recording):
            raise wrong_type("each recording", "a fnb.Recording", each)
    return given


class EventDetails:
    """JSON and cart of events; the reading of an order is kept for its next event."""

    def __init__(self) -> None:
        self._read: tuple[str, int] | None = None
        self._reading: CartReading | None = None

    def of(self, recording: Recording, event: Event) -> Iterator[Json]:
        """Give the messages that answer the browser: the JSON at once, then the cart."""
        which = {"recording_id": recording.recording_id, "seq": event.seq}
        text, left_out = event_json(event.data)
        yield which | {"kind": "json", "text": text, "left_out": left_out}
        yield which | {"kind": "cart", "cart": self._cart(recording, event.seq)}

    def _cart(self, recording: Recording, seq: int) -> Json | None:
        reading = self._reading_of(recording)
        sheet = reading.sheet(seq)
        if sheet["lines"] is None:
            return None
        known = {seq, sheet["from_seq"]}
        steps = [step for step in reading.steps if step["seq"] in known]
        return {"sheet": sheet, "steps": steps, "about": reading.about}

    def _reading_of(self, recording: Recording) -> CartReading:
        key = (recording.recording_id, len(recording.records()))
        if self._reading is None or self._read != key:
            self._read, self._reading = key, CartReading(recording)
        return self._reading


def live_order(number: int, records: Sequence[Record], *, ended: bool = False) -> Json:
    """Return an order that has not ended: the start and the events so far.

    Parameters
    ----------
    number
        Its number among the timeline's orders, from 1.
    records
        Its start and its events.
    ended
        Whether no event can come any more.
    """
    start, *rest = records
    if not isinstance(start, Start):
        raise TypeError("an order begins with a start record")
    events = [record for record in rest if isinstance(record, Event)]
    return {
        "recording_id": start.recording_id,
        "number": number,
        "domain": printable(start.domain, LONGEST_NAME),
        "environment": start.environment,
        "started_at_ms": (start.started_at_ns or 0) / 1e6,
        "events": [event_row(event) for event in events[:MOST_EVENTS]],
        "events_left_out": max(len(events) - MOST_EVENTS, 0),
        "stages": stage_list(events, start.milestones, ended=ended),
        "end": None,
    }


def ended_order(number: int, recording: Recording) -> Json:
    """Return an order that has ended, or of which nothing more can come."""
    records = recording.records()
    return live_order(number, records, ended=True) | {"end": _end(recording)}


def event_row(event: Event) -> Json:
    """Return one event as the page draws it.

    Examples
    --------
    >>> event_row(Event(1, "item-added", None, 498_310_000, 0, "kernel", 50.0, 2, False, 9.0, 800)
    ...     )["t_ms"]
    498.31
    """
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
    seqs = {event.event: event.seq for event in events}
    made = recorded_stages([(events, milestones)])
    milestone_names = [made.names[code] for code in made.to_milestone]
    stages = [made.names[code] for code in made.stage]
    looks = [look_of_stage(stage, milestone_names) for stage in stages]
    reasons = own_reasons(made.duration_ms, made.uncertainty_us, made.coalesced)
    if ended:
        reasons[made.gathered & ~np.isnan(made.end_ms)] = REASONS.index(BUFFERED)
    untimed = untimed_words(reasons.tolist())
    return [
        {
            "stage": printable(stages[row], LONGEST_NAME),
            "milestone": printable(name, LONGEST_NAME),
            "seq": seqs.get(name),
            "start_ms": _known(made.start_ms[row]),
            "end_ms": _known(made.end_ms[row]),
            "duration_ms": None if untimed[row] else _known(made.duration_ms[row]),
            "untimed": untimed[row],
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


def _end(recording: Recording) -> Json:
    row, look = recording.summary(), outcome(recording.outcome)
    return {
        "outcome": recording.outcome,
        "order_exists": recording.order_exists,
        "word": outcome_word(recording),
        "mark": look.mark,
        "tone": look.tone,
        "t_ms": headline_ms(row),
        "order_number": printable(recording.order_number or "", LONGEST_NAME),
        "verdict": printable(verdict(recording), 2_000),
        "comments_ms": recording.comments_ms[:MOST_EVENTS],
        "warnings": [printable(warning, 1_000) for warning in recording.warnings[:20]],
    }


def static_html(recordings: Recordings, shown: Recording | None) -> str:
    """Return the order that is looked at and, where there are several, a line for each.

    Parameters
    ----------
    recordings
        All that have ended.
    shown
        The one that is looked at; by default the newest.
    """
    if not len(recordings):
        return f'<div style="{QUIET}">no order yet: place an order to see its timeline</div>'
    shown = shown or recordings[-1]
    others = recordings_html(recordings) if len(recordings) > 1 else ""
    return f"<div>{recording_html(shown)}{others}</div>"
