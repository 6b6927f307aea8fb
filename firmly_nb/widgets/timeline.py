"""``Timeline``: orders as bars on the time since the request, while they run and afterwards.

The front end gets what is drawn, as plain data: names, times and how sure they are, and, at the
end, how it ended in words. The data of an event can be large and is sent when a page asks for it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.display.arguments import public
from firmly_nb.display.html import QUIET
from firmly_nb.display.messages import coded_error, quoted, unknown, without_code, wrong_type
from firmly_nb.display.text import count, printable
from firmly_nb.latency.stages import START
from firmly_nb.outcomes import WORDS
from firmly_nb.recorder.records import Event, Record, Start
from firmly_nb.recorder.tables import headline_ms
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.recordings.show import outcome_word, recording_html, recordings_html
from firmly_nb.widgets.cart_view import CartReading, event_json
from firmly_nb.widgets.frontend import (
    SHOW_EVERY_S,
    Fields,
    Heartbeat,
    Throttle,
    display_with_image,
    module,
    style,
    with_static,
)
from firmly_nb.widgets.timeline_rows import (
    LONGEST_NAME,
    Json,
    LiveOrder,
    change_rows,
    ended_order,
    event_differences,
    event_row,
    events_between,
    found,
    looks,
    twin,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# Events that follow one another faster than this share a message. An event alone is sent at once.
SEND_EVERY_S = 0.02
LONGEST_QUERY = 1_000
UNDER_WAY = "under way"  # timeline_list.js
MOST_SHOWN_BYTES = 200_000
# Of an order with more events than these, so many carts are read before the one that is shown.
MOST_READ = 2_000
MOST_CARTS = 20
CURL_NOTE = "Set the variables that its first lines name. Running it places an order."
NO_BYTES = (
    "The exact bytes are not kept. The first MB of an order that was placed here is in memory; "
    "keep_raw=True keeps all and writes them down."
)
MOST_ORDERS = 300
# The state of all orders is half a megabyte, so it is sent once for so many that have ended.
MOST_RECENT = 25
log = logging.getLogger(__name__)


@public
class Timeline(Fields, anywidget.AnyWidget):
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

    Raises
    ------
    TraitError
        If ``align`` is not a milestone.

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
    only
        The outcome of the orders that are listed, in the timeline's words such as ``"declined"``;
        None for all.
    brush
        The orders that are listed, by their time in ms: from and to; None for all. A time is
        counted from what the orders are lined up on.
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
    _picked: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    only = traitlets.Unicode(allow_none=True, default_value=None).tag(sync=True)
    _how = ""  # what tells whether an order exists, where a widget beside it does
    brush: Any = traitlets.List(
        traitlets.Float(), minlen=2, maxlen=2, allow_none=True, default_value=None
    ).tag(sync=True)
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
        self._running: dict[str, LiveOrder] = {}
        self._ended: dict[str, Recording] = {}
        self._states: dict[str, Json] = {}
        self._settled: set[str] = set()
        self._kept: list[str] = []
        self._numbered = 0
        self._newest: str | None = None
        self._carried = EventDetails()
        self._throttle = Throttle(self._show, SHOW_EVERY_S)
        self._unsent: dict[str, Json] = {}
        self._sender = Throttle(self._send_events, SEND_EVERY_S)
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
    def brushed(self) -> Recordings:
        """Recordings of the orders that the chips and the brush select, also those not drawn."""
        with self._lock:
            ended = [self._ended[i] for i in self._numbers if i in self._ended]
        return Recordings(recording for recording in ended if self._is_brushed(recording))

    def _is_brushed(self, recording: Recording) -> bool:
        if self.only is not None and outcome_word(recording) != self.only:
            return False
        if self.brush is None:
            return True
        zero_ms: float | None = 0.0
        if self.align != START:
            reached = self._state(recording.recording_id)["stages"]
            ends = (stage["end_ms"] for stage in reached if stage["milestone"] == self.align)
            zero_ms = next(ends, None)
        from_ms, to_ms = self.brush
        return (
            zero_ms is not None and from_ms <= headline_ms(recording.summary()) - zero_ms <= to_ms
        )

    @property
    def feed(self) -> Feed:
        """Feed for the records of an order: ``lab.start(order, on_record=timeline.feed)``.

        Each use gives a feed of its own, so that orders under way at once are kept apart. It can
        be called on any thread.
        """
        return Feed(self)

    def add(self, recording: Recording) -> None:
        """Show a recording; one that is there already is replaced.

        Parameters
        ----------
        recording
            Recording to add.

        Examples
        --------
        ::

            fnb.Timeline().add(rec)
        """
        (recording,) = _recordings(recording)
        with self._lock:
            self._keep(recording)
        self._throttle.soon()

    def clear(self) -> None:
        """Remove all orders, including those that are running.

        Examples
        --------
        ::

            fnb.Timeline(rec).clear()
        """
        with self._lock:
            for kept in (self._numbers, self._running, self._ended, self._states, self._settled):
                kept.clear()
            self._heart.end()
            self._kept = []
            self._newest = None
            self.selected = self.compared = self.only = self.brush = None
        self._throttle.now()

    def select(self, recording_id: str | None, seq: int | None = None) -> None:
        """Look at an order, or at one of its events; None looks at the newest order.

        Parameters
        ----------
        recording_id
            Id of the recording.
        seq
            Number of an event of it; None selects the order only.

        Raises
        ------
        LookupError
            If there is no such order or event.

        Examples
        --------
        ::

            fnb.Timeline(rec).select(rec.recording_id, 3)
        """
        try:
            self.selected = None if recording_id is None else _selection(recording_id, seq)
        except traitlets.TraitError as error:
            raise coded_error(LookupError, "FNB712", without_code(str(error))) from None

    def recording(self, recording_id: Any) -> Recording | None:
        """Return an order as far as it has come; None if it is not here.

        Parameters
        ----------
        recording_id
            Id of the recording.

        Examples
        --------
        ::

            fnb.Timeline(rec).recording(rec.recording_id)
        """
        if not isinstance(recording_id, str):
            return None
        with self._lock:
            if recording_id in self._running:
                return Recording(self._running[recording_id].records)
            return self._ended.get(recording_id)

    def take(self, record: Record, recording_id: str | None) -> str | None:
        """Take a record of an order, or of the newest one; return the order's id.

        Parameters
        ----------
        record
            Record of an order, as the journal has it.
        recording_id
            Id of the recording; None begins a new one.

        Examples
        --------
        ::

            timeline = fnb.Timeline()
            for record in rec.records():
                timeline.take(record, rec.recording_id)
        """
        with self._lock:
            if isinstance(record, Start):
                return self._begin(record)
            recording_id = recording_id or self._newest
            if recording_id in self._running:
                if isinstance(record, Event):
                    self._arrived(recording_id, record)
                else:
                    self._finish(recording_id, record)
            return recording_id

    def _begin(self, start: Start) -> str:
        if self._looked_at() in {None, self._newest}:
            # Who looks at the newest order goes on to the next; who studies an older one stays.
            self.selected = None
        number = self._number(start.recording_id)
        self._running[start.recording_id] = live = LiveOrder(start)
        self._heart.begin()
        self._newest = start.recording_id
        self.send({"kind": "order", "order": live.state(number)})
        self._throttle.soon()
        return start.recording_id

    def _arrived(self, recording_id: str, event: Event) -> None:
        live = self._running[recording_id]
        is_milestone = live.take(event)
        message = self._unsent.setdefault(
            recording_id,
            {"kind": "events", "recording_id": recording_id, "events": [], "stages": None},
        )
        message["events"].append(event_row(event) | {"arrived_at_ms": (event.wall_ns or 0) / 1e6})
        if is_milestone:
            message["stages"] = live.stages
        self._sender.soon()
        self._throttle.soon()

    def _send_events(self) -> None:
        with self._lock:
            unsent, self._unsent = self._unsent, {}
            for message in unsent.values():
                try:
                    self.send(message)
                except Exception:
                    log.exception("events could not be shown")

    def _finish(self, recording_id: str, end: Record) -> None:
        self._keep(Recording([*self._running[recording_id].records, end]))
        self._send_events()
        try:
            self.send({"kind": "order", "order": self._state(recording_id)})
        finally:
            # Whatever failed, the state has the end: else an order would be under way for ever.
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
            self._live = [live.state(number) for number, live in running]

    def _state(self, recording_id: str) -> Json:
        """Return an ended order as the page gets it; made for those only that are shown."""
        if recording_id not in self._states:
            number = self._numbers[recording_id]
            self._states[recording_id] = ended_order(number, self._ended[recording_id], self._how)
        return self._states[recording_id]

    def _answer(self, _: object, content: Any, __: object) -> None:
        """Send what the browser asks for: what an event carried, more events, a command."""
        if not isinstance(content, dict):
            return
        kind, recording = content.get("kind"), self.recording(content.get("recording_id"))
        if kind == "find":
            self._find(content.get("text"), recording)
        elif recording and kind == "curl":
            self.send({"kind": "curl", **curl_words(recording)})
        elif recording and kind == "events":
            self._send_part(recording, content.get("from_ms"), content.get("to_ms"))
        elif recording and (event := _event(recording, content.get("seq"))):
            which = {"recording_id": recording.recording_id, "seq": event.seq}
            for message in self._about(recording, event, kind, content.get("other")):
                self.send(which | message)

    def _about(
        self, recording: Recording, event: Event, kind: Any, other_id: Any
    ) -> Iterator[Json]:
        if kind == "details":
            yield from self._carried.of(recording, event)
        elif kind == "bytes":
            yield {"kind": "bytes", **bytes_words(event)}
        elif kind == "differences" and (other := self.recording(other_id)):
            yield {"kind": "differences", **self._compare(recording, event, other)}

    def _send_part(self, recording: Recording, from_ms: Any, to_ms: Any) -> None:
        if all(isinstance(each, int | float) for each in (from_ms, to_ms)):
            events = events_between(recording, from_ms, to_ms)
            self.send({"kind": "part", "recording_id": recording.recording_id, "events": events})

    def _find(self, text: Any, recording: Recording | None) -> None:
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_QUERY:
            return
        with self._lock:
            ids = sorted(self._numbers, key=lambda i: -self._numbers[i])
        every = (self.recording(i) for i in ids)
        first, total = found([recording] if recording else filter(None, every), text)
        rows = [
            {
                "recording_id": rec.recording_id,
                "order": self._name(rec),
                "event": event_row(event),
            }
            for rec, event in first
        ]
        self.send({"kind": "found", "text": text, "rows": rows, "total": total})

    def _compare(self, recording: Recording, event: Event, other: Recording) -> Json:
        name, same = self._name(other), twin(recording, event, other)
        if same is None:
            note = f"Order {name} has no such event."
            return {"other_seq": None, "rows": [], "name": name, "note": note}
        rows = list(event_differences(event, same))
        note = f"{count(len(rows), 'difference')}." if rows else "No difference."
        return {"other_seq": same.seq, "rows": rows, "name": name, "note": note}

    def _name(self, recording: Recording) -> str:
        known = recording.order_number or f"#{self._numbers[recording.recording_id]}"
        return printable(known, LONGEST_NAME)

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

    @traitlets.validate("only")
    def _check_only(self, proposal: Any) -> str | None:
        word: str | None = proposal["value"]
        if word not in {None, UNDER_WAY, *WORDS}:
            raise _not_shown(unknown("outcome", word, [*WORDS, UNDER_WAY]))
        return word

    @traitlets.validate("brush")
    def _check_brush(self, proposal: Any) -> list[float] | None:
        ends: list[float] | None = proposal["value"]
        return ends and sorted(ends)

    @traitlets.validate("align")
    def _check_align(self, proposal: Any) -> str:
        name: str = proposal["value"]
        known = {START, *REFERENCE, *GUIDE, *self._milestones()}
        if self._numbers and name not in known:
            raise _not_shown(unknown("milestone", name, sorted(known)))
        return name

    def _milestones(self) -> set[str]:
        with self._lock:
            starts = [live.start for live in self._running.values()]
            starts += [recording.recorded.start for recording in self._ended.values()]
        # In the words in which the page knows them.
        names = (name for start in starts for name in start.milestones or ())
        return {printable(name, LONGEST_NAME) for name in names}

    @traitlets.observe("selected", "compared")
    def _pin(self, _: object) -> None:
        """Send what the browser may not have: the event, and an order not among the newest."""
        looked_at = self.recording(self._looked_at())
        event = _event(looked_at, self.selected["seq"]) if looked_at and self.selected else None
        row = event and {"recording_id": self._looked_at(), "event": event_row(event)}
        self._picked = row
        if self._left_out:
            self._throttle.soon()

    def __repr__(self) -> str:
        with self._lock:
            counts = Counter(recording.outcome for recording in self._ended.values())
            running = len(self._running)
        parts = [f"{count} {outcome}" for outcome, count in counts.most_common()]
        parts += [f"{running} under way"] if running else []
        return f"Timeline: {', '.join(parts) or 'no orders yet'}"

    _ipython_display_ = display_with_image

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
    return next((event for event in recording.recorded.events if event.seq == seq), None)


def curl_words(recording: Recording) -> Json:
    """Return an order as a command, and what to fill in before it runs."""
    return {"text": recording.curl(), "note": CURL_NOTE}


def bytes_words(event: Event) -> Json:
    """Return the exact bytes of an event where they are kept, bounded, and what is left out."""
    exact = event.exact
    if exact is None:
        return {"text": None, "note": NO_BYTES}
    shown = exact[:MOST_SHOWN_BYTES]
    left = len(exact) - len(shown)
    note = "As they came, secrets redacted."
    return {"text": shown, "note": f"{note} {count(left, 'character')} more." if left else note}


def _not_shown(text: str) -> traitlets.TraitError:
    return coded_error(traitlets.TraitError, "FNB712", text)


def _selection(recording_id: str, seq: int | None) -> Json:
    return {"recording_id": recording_id, "seq": seq}


def _recordings(source: Recording | Iterable[Recording] | None) -> list[Recording]:
    given = [source] if isinstance(source, Recording) else list(source or ())
    for each in given:
        if not isinstance(each, Recording):
            raise wrong_type("each recording", "a fnb.Recording", each, "fnb.Timeline(recs)")
    return given


class EventDetails:
    """JSON and cart of events; the reading of an order is kept for its next event."""

    def __init__(self) -> None:
        self._read: tuple[str, int, int | None] | None = None
        self._reading: CartReading | None = None
        self._of: Recording | None = None

    def of(self, recording: Recording, event: Event) -> Iterator[Json]:
        """Give the messages that answer the browser: the JSON at once, then the cart."""
        text, left_out = event_json(event.data)
        yield {"kind": "json", "text": text, "left_out": left_out}
        reading, read = self._reading_of(recording, event)
        changes = change_rows(read, event.seq)
        yield {"kind": "cart", "cart": _cart(reading, event.seq), "changes": changes}

    def _reading_of(self, recording: Recording, event: Event) -> tuple[CartReading, Recording]:
        count = len(recording.recorded.events)
        key = (recording.recording_id, count, event.seq if count > MOST_READ else None)
        if self._reading is None or self._of is None or self._read != key:
            self._of = recording if count <= MOST_READ else _until(recording, event)
            self._read, self._reading = key, CartReading(self._of)
        return self._reading, self._of


def _cart(reading: CartReading, seq: int) -> Json | None:
    sheet = reading.sheet(seq)
    if sheet["lines"] is None:
        return None
    known = {seq, sheet["from_seq"]}
    steps = [step for step in reading.steps if step["seq"] in known]
    return {"sheet": sheet, "steps": steps, "about": reading.about}


def _until(recording: Recording, event: Event) -> Recording:
    """Return an order with few of its events: this one, and the last carts until then."""
    start, events, end, *_ = recording.recorded
    earlier = (each for each in reversed(events) if each.seq < event.seq)
    with_cart = (each for each in earlier if find_snapshot(each.outline))
    kept = [event, *islice(with_cart, MOST_CARTS)]
    return Recording([start, *reversed(kept), end], recording.warnings)


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
