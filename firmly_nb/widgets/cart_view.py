"""``CartView``: the cart at each event of an order, what changed in it, what is wrong with it.

A page gets the sheets around the event that is looked at. It gets the JSON of an event when it asks
for it, made small enough: what is left out says so where it was. A browser's numbers have 53 bits
and no ``22.0``, and a reader of raw JSON wants what was sent.

Two orders beside each other are one pair of sheets for each event: what the second marks is what
differs from the first, not what its own event changed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from functools import cached_property
from html import escape
from importlib import import_module
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import anywidget
import orjson
import traitlets

from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.carts.report import checks_html, checks_text
from firmly_nb.carts.schemas import CHANGES, FINDINGS
from firmly_nb.carts.sheet import Sheets, masked, pair_of_sheets
from firmly_nb.carts.show import cart_html, cart_text, changes_html, changes_text
from firmly_nb.carts.tables import CartTables
from firmly_nb.display.arguments import public
from firmly_nb.display.html import page
from firmly_nb.display.messages import coded_error, quoted, wrong_type
from firmly_nb.display.text import as_html, printable
from firmly_nb.display.text import count as count_of
from firmly_nb.outcomes import NO, PLACED, YES
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.show import existence, outcome_word
from firmly_nb.widgets.frontend import (
    SHOW_EVERY_S,
    Fields,
    display_with_image,
    module,
    style,
    with_static,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    Wanted = tuple[int, Recording | None, int | None]

Json = dict[str, Any]
MOST_STEPS = 1_000
LONGEST_NAME = 60
# How much goes to the browser ahead of its asking: moving the slider then needs no kernel.
AHEAD_BYTES = 400_000
AHEAD_LIVE_BYTES = 60_000
# Each takes tens of milliseconds to make.
MOST_PAIRS_AHEAD = 5
NO_SHEETS: Mapping[str, Json] = MappingProxyType({})
OF_THE_ORDER = ("seq", "from_seq", "last_words", "mark")
NO_PAIR = "There are no two carts to compare at this event."
SAME = "No difference from the first order."
REST_FOR_EACH = 3
LONGEST_REST_S = 0.6
EMPTY = "CartView: no cart yet; show(recording) shows one."

# A number that a browser would write in another way goes as a text behind a mark, and so does a
# note on what was left out; ``static/json_tree.js`` reads them.
NUMBER = "\ue000"  # a number follows, as it was sent
NOTE = "\ue001"  # words of ours follow
TEXT = "\ue002"  # a text follows that itself begins with one of these three
MARKS = (NUMBER, NOTE, TEXT)
MOST_PARTS = 50_000
MOST_BYTES = 2_000_000
LONGEST_TEXT = 20_000
DEEPEST = 100
SAFE = 2**53


@public
class CartView(Fields, anywidget.AnyWidget):
    """The cart of an order as a buyer would see it, event by event.

    Beside each line and amount: what it was at the event before, and what the checks found. The
    slider goes over the events; the raw JSON of each can be opened and searched.

    Parameters
    ----------
    recording
        One order; none shows what will be here.
    seq
        The event to show; by default the last one that carries a cart.
    beside
        A second order, whose cart is shown beside that of the first: at the event of the same
        name, with what differs.

    Raises
    ------
    TypeError
        If ``recording`` is not a recording.
    LookupError
        If it has no event with this number.

    Attributes
    ----------
    seq
        Number of the event that is shown. It can be set (the next lower event is taken where there
        is none of that number) and observed; moving the slider sets it.
    recording
        The order that is shown; setting it is `show`.
    beside
        The second order, or None. It stays when another recording is shown.

    Examples
    --------
    >>> CartView()
    CartView: no cart yet; show(recording) shows one.
    """

    _esm = module("cart_view")
    _css = f"{style('json_tree')}\n{style('cart_view')}"
    seq = traitlets.Int(None, allow_none=True, help="event that is shown").tag(sync=True)
    _steps = traitlets.List(traitlets.Dict()).tag(sync=True)
    _sheets = traitlets.Dict().tag(sync=True)
    _about = traitlets.Dict().tag(sync=True)
    _pairs = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        recording: Recording | None = None,
        seq: int | None = None,
        *,
        beside: Recording | None = None,
    ) -> None:
        self._recording: Recording | None = None
        self._beside = _one_recording("beside", beside, "fnb.CartView(recs[0], beside=recs[1])")
        self._reading: CartReading | None = None
        self._pairing: Pairing | None = None
        self._turns = count(1)
        self._drawn = 0
        self._follows = True
        self._asked: Wanted | None = None
        self._pending: Wanted | None = None
        self._refresher: threading.Thread | None = None
        self._lock = threading.Lock()  # of what is to be drawn next; held for a moment only
        self._drawing = threading.RLock()
        super().__init__()
        self.on_msg(self._answer)
        if recording is not None:
            self.show(recording, seq)
        else:
            # Loaded while nobody waits: the first cart of an order would be a second late.
            threading.Thread(target=import_module, args=("pandas",), daemon=True).start()

    @property
    def recording(self) -> Recording | None:
        """Order that is shown or is being drawn; None before the first."""
        return self._recording

    @recording.setter
    def recording(self, recording: Recording | None) -> None:
        self.show(recording)

    @property
    def beside(self) -> Recording | None:
        """Second order, shown beside the first; None without one."""
        return self._beside

    @beside.setter
    def beside(self, beside: Recording | None) -> None:
        self._beside = _one_recording("beside", beside, "view.beside = recs[1]")
        self.show(self._recording, self.seq)

    def show(self, recording: Recording | None, seq: int | None = None) -> None:
        """Show an order, or None to show nothing; from any thread.

        An order that still runs can be shown again with each event. Off the main thread the
        drawing is left to a thread of its own, is done at most ten times a second, and the last
        call counts. The slider follows the events unless it was moved.

        Parameters
        ----------
        recording
            Recording to show.
        seq
            Number of the event; by default the last one with a cart.

        Raises
        ------
        LookupError
            If there is no event of the number ``seq``.

        Examples
        --------
        ::

            fnb.CartView(rec).show(rec, seq=3)
        """
        recording = _one_recording("recording", recording, "fnb.CartView(recs[0])")
        if recording is not None and seq is not None and seq not in _numbers(recording):
            numbers = ", ".join(map(str, _numbers(recording))) or "none"
            text = f"The recording has no event {quoted(seq)}. Events: {numbers}."
            raise coded_error(LookupError, "FNB302", text)
        with self._lock:
            if seq is None and recording and self._asked:
                turn, asked, picked = self._asked
                # An event that was picked and is not drawn yet is not followed past.
                if turn > self._drawn and asked and asked.recording_id == recording.recording_id:
                    seq = picked
            self._asked = wanted = (next(self._turns), recording, seq)
            self._recording = recording
        if threading.current_thread() is threading.main_thread():
            self._draw(wanted)
        else:
            self._draw_soon(wanted)

    def _draw_soon(self, wanted: Wanted) -> None:
        with self._lock:
            self._pending = wanted
            if self._refresher is None:
                self._refresher = threading.Thread(target=self._keep_up, daemon=True)
                self._refresher.start()

    def _keep_up(self) -> None:
        while wanted := self._take():
            begun = time.monotonic()
            try:
                self._draw(wanted)
            except Exception as error:  # noqa: BLE001 - shown where the reader looks, see below
                problem = f"This cart could not be drawn: {type(error).__name__}."
                self._about = self._about | {"note": problem}
            # Time of the kernel stays for others, also where drawing takes long.
            took_s = time.monotonic() - begun
            time.sleep(min(max(SHOW_EVERY_S, took_s * REST_FOR_EACH), LONGEST_REST_S))

    def _take(self) -> Wanted | None:
        with self._lock:
            wanted, self._pending = self._pending, None
            if wanted is None:
                self._refresher = None
            return wanted

    def _draw(self, wanted: Wanted) -> None:
        turn, recording, seq = wanted
        with self._drawing:
            if turn <= self._drawn:
                return  # it is drawn, or a later one was faster
            self._drawn = turn
            before = self._reading.recording if self._reading else None
            self._reading = reading = CartReading(recording) if recording else None
            beside = self._beside
            if reading is None or beside is None:
                self._pairing = None
            else:
                self._pairing = Pairing(reading, CartReading(beside))
            is_same = before and recording and before.recording_id == recording.recording_id
            self._follows = seq is None and (self._follows or not is_same)
            stays = seq if seq is not None else self.seq
            shown = None
            if reading:
                shown = reading.last if self._follows else reading.nearest(stays)
            with self.hold_sync():
                self._steps = reading.steps if reading else []
                self._sheets = reading.sheets(shown) if reading else {}
                self._about = reading.about if reading else {}
                self._pairs = self._pairing.state(shown) if self._pairing else {}
                self.seq = shown

    @traitlets.validate("seq")
    def _to_an_event(self, proposal: Any) -> int | None:
        reading = self._reading
        return reading.nearest(proposal["value"]) if reading else None

    @traitlets.observe("seq")
    def _fetch_sheet(self, change: Any) -> None:
        with self._drawing:
            seq, reading = change["new"], self._reading
            if reading is None or seq is None:
                return
            if self.seq != seq:
                # Moved while a cart was being drawn in another thread, which then set its own.
                self.seq = seq
                return
            self._follows = seq == reading.last
            if str(seq) not in self._sheets:
                self._sheets = reading.sheets(seq, self._sheets)
            if self._pairing and str(seq) not in self._pairs.get("by_seq", {}):
                self._pairs = self._pairing.state(seq)

    def _answer(self, _: Any, content: Any, __: Any) -> None:
        """Send the JSON of an event to the page that asks for it; it is in no saved state."""
        reading = self._reading
        if not isinstance(content, dict) or content.get("ask") != "json" or reading is None:
            return
        seq = content.get("seq")
        if isinstance(seq, int) and seq in reading.data:
            text, left_out = event_json(reading.data[seq])
            self.send(
                {
                    "answer": "json",
                    "recording_id": reading.recording.recording_id,
                    "seq": seq,
                    "text": text,
                    "left_out": left_out,
                }
            )

    _ipython_display_ = display_with_image

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Add what is shown as a static page, for readers without a kernel."""
        self._finish()
        shown = self._pairing or self._reading
        html = shown.html(self.seq) if shown else None
        return with_static(super()._repr_mimebundle_(**options), html, repr(self))

    def __repr__(self) -> str:
        self._finish()
        shown = self._pairing or self._reading
        return shown.text(self.seq) if shown else EMPTY

    def _finish(self) -> None:
        """Draw what was asked for last: what is written into a cell is not drawn again."""
        with self._lock:
            asked = self._asked
        if asked is not None:
            self._draw(asked)


def _one_recording(name: str, given: Any, usage: str) -> Recording | None:
    if given is not None and not isinstance(given, Recording):
        raise wrong_type(name, "one fnb.Recording", given, usage)
    return given


def _numbers(recording: Recording) -> list[int]:
    return [int(seq) for seq in recording.cart_events["seq"]]


class CartReading:
    """View of one recording: its events, and a sheet for each; made anew when it has grown."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._events = recording.cart_events
        tables = CartTables(
            recording.snapshots,
            recording.line_items,
            recording.shipments,
            recording.notices,
            recording.discounts,
        )
        checks = self._checks = recording.checks
        self._sheets = Sheets(self._events, tables, recording.changes, checks.findings)
        named = (checks.not_read[name].tolist() for name in ("seq", "reason"))
        self._unread: dict[int, str] = dict(zip(*named, strict=True))

    @cached_property
    def data(self) -> dict[int, Any]:
        """Data of each event, by its number."""
        return dict(zip(self._events["seq"].tolist(), self._events["data"].tolist(), strict=True))

    @cached_property
    def steps(self) -> list[Json]:
        """Events: number, name, time in ms (None if unknown) and findings by severity."""
        with_cart = {*self._sheets.seqs, *self._unread}
        names = ("seq", "event", "t_ms")
        columns = (self._events[name].tolist()[-MOST_STEPS:] for name in names)
        return [
            {
                "seq": seq,
                "event": printable(str(event), LONGEST_NAME),
                "t_ms": self._time(seq, t_ms),
                "has_cart": seq in with_cart,
                "unread": seq in self._unread,
                "findings": self._sheets.severities(seq),
            }
            for seq, event, t_ms in zip(*columns, strict=True)
        ]

    @property
    def last(self) -> int | None:
        """Number of the last event with a cart, or of the last event; None without events."""
        last = self.steps[-1]["seq"] if self.steps else None
        return next((s["seq"] for s in reversed(self.steps) if s["has_cart"]), last)

    def nearest(self, seq: int | None) -> int | None:
        """Return an event's number, or the next lower one that there is."""
        seqs: list[int] = [step["seq"] for step in self.steps]
        if seq is None or not seqs:
            return None
        return max((each for each in seqs if each <= seq), default=seqs[0])

    def sheet(self, seq: int) -> Json:
        """Return the sheet of an event; of one without a cart, the cart that was there before."""
        shown, unread = self._sheets.shown_at(seq), self._unread_at(seq)
        if shown is None or unread:
            return {"seq": seq, "lines": None, "unread": unread}
        sheet = asdict(self._sheets.sheet(shown, marks=shown == seq))
        more = {"from_seq": shown, "last_words": self._last_words(seq)}
        return sheet | more | {"seq": seq, "mark": self._checks.mark(shown)}

    def _unread_at(self, seq: int | None) -> str | None:
        """Say why the cart at this moment was not read; None if it was."""
        last = max((each for each in self._unread if seq is not None and each <= seq), default=None)
        if seq is None or last is None or last < (self._sheets.shown_at(seq) or 0):
            return None
        return self._unread[last]

    def around(self, seq: int | None) -> list[int]:
        """Return the numbers of the events, those nearest to one of them first."""
        numbers: list[int] = [step["seq"] for step in self.steps]
        if seq is None:
            return []
        here = numbers.index(seq)
        nearest_first = sorted(range(len(numbers)), key=lambda index: abs(index - here))
        return [numbers[index] for index in nearest_first]

    def turn(self, seq: int | None) -> tuple[str, int]:
        """Return an event's name, and how many of that name came before it."""
        names = [(step["seq"], step["event"]) for step in self.steps]
        event = next((name for number, name in names if number == seq), "")
        return event, sum(name == event for number, name in names if number < (seq or 0))

    def sheets(self, seq: int | None, held: Mapping[str, Json] = NO_SHEETS) -> dict[str, Json]:
        """Return an event's sheet and as many of those around it as are light to send.

        Parameters
        ----------
        seq
            The event.
        held
            Sheets of this recording that were made before.
        """
        if seq is None:
            return {}
        kept: dict[str, Json] = {}
        room = AHEAD_LIVE_BYTES if self.recording.cut_off else AHEAD_BYTES
        for number in self.around(seq):
            sheet = held.get(str(number)) or self.sheet(number)
            room -= len(orjson.dumps(sheet))
            if kept and room < 0:
                break
            kept[str(number)] = sheet
        return kept

    @cached_property
    def about(self) -> Json:
        """Words about the order as a whole, by name."""
        rec = self.recording
        return {
            "recording_id": rec.recording_id,
            "domain": printable(rec.domain),
            "checks": rec.checks.headline(),
            "unread": len(self._unread),
            "note": _note(rec),
            "steps_left_out": max(len(self._events) - MOST_STEPS, 0),
        }

    def text(self, seq: int | None) -> str:
        """Write what is shown as plain text."""
        cart, rec = self.cart(seq), self.recording
        parts = [self._words(seq), cart_text(cart) if cart else self._without_cart(seq)]
        parts += [changes_text(self._changes(seq)), checks_text(rec.checks)] if cart else []
        return "\n".join(part for part in parts if part)

    def html(self, seq: int | None) -> str:
        """Return what is shown as a static page: no script, no picture, no link."""
        cart, rec = self.cart(seq), self.recording
        note = f"<div>{escape(self._words(seq))}</div>"
        if cart is None:
            return f"{note}<div>{escape(self._without_cart(seq))}</div>"
        after = next((s["event"] for s in self.steps if s["seq"] == seq), "")
        head = f"<div>cart after <b><bdi>{escape(after)}</bdi></b></div>"
        changed = changes_html(self._changes(seq))
        inside = f"{note}{head}{cart_html(cart)}{changed}{checks_html(rec.checks)}"
        return page(inside)

    def _without_cart(self, seq: int | None) -> str:
        reason = self._unread_at(seq)
        return f"The cart was not read: {reason}." if reason else "no cart"

    def _words(self, seq: int | None) -> str:
        return f"{_note(self.recording)} {self._last_words(seq)}".strip()

    def _last_words(self, seq: int | None) -> str:
        """Say that no cart came after this one, for an order that was not placed."""
        is_last = seq is not None and self._sheets.shown_at(seq) == self.last
        return "This is the last cart that was seen." if is_last and _note(self.recording) else ""

    def cart(self, seq: int | None) -> Json | None:
        """Return the cart at an event, or the last before it; None if there is none to show."""
        shown = None if seq is None or self._unread_at(seq) else self._sheets.shown_at(seq)
        found = None if shown is None else find_snapshot(self.data[shown])
        return found.data if found else None

    def _changes(self, seq: int | None) -> Any:
        changes = self.recording.changes
        return masked(changes[changes["seq_after"] == seq])

    def _time(self, seq: int, t_ms: float) -> float | None:
        if seq == 0:  # the answer of an order without events: it came at the end
            t_ms = float(self.recording.orders["order_latency_ms"].iloc[0])
        return None if t_ms != t_ms else t_ms  # noqa: PLR0124 - NaN is not itself


class Pairing:
    """Two orders beside each other: a pair of sheets for each event of the first.

    The second is shown at its event of the same name, or of the same name and turn where a name
    comes several times. Without such an event, at that of the same rank among those with a cart:
    the first, the second, the last.
    """

    def __init__(self, first: CartReading, second: CartReading) -> None:
        self.first, self.second = first, second
        self._made: dict[int, Json] = {}

    def state(self, seq: int | None) -> Json:
        """Return what the page draws: both titles, and the pairs around an event."""
        pairs: dict[str, Json] = {}
        room = AHEAD_BYTES
        for number in self.first.around(seq)[:MOST_PAIRS_AHEAD]:
            pair = self.pair(number)
            room -= len(orjson.dumps(pair))
            if pairs and room < 0:
                break
            pairs[str(number)] = pair
        return {"titles": self._titles(), "about": self.second.about, "by_seq": pairs}

    def pair(self, seq: int) -> Json:
        """Return the two sheets at an event, and words on what differs."""
        if seq not in self._made:
            self._made[seq] = self._new_pair(seq)
        return self._made[seq]

    def _new_pair(self, seq: int) -> Json:
        other = self._partner(seq)
        sheets: list[Json] = [self.first.sheet(seq)]
        sheets += [] if other is None else [self.second.sheet(other)]
        if (carts := self._carts(seq)) is not None:
            drawn = pair_of_sheets(*carts, self._differences(seq), self._findings(seq))
            # Of each order's own: its event, what its end says, its mark.
            sheets = [
                asdict(new) | {name: old[name] for name in OF_THE_ORDER if name in old}
                for new, old in zip(drawn, sheets, strict=True)
            ]
        first, second = [*sheets, None][:2]
        steps = {step["seq"]: step for step in self.second.steps}
        return {
            "first": first,
            "second": second,
            "step": steps.get(other),
            "from": steps.get((second or {}).get("from_seq")),
            "words": self._words(seq),
        }

    def _carts(self, seq: int | None) -> tuple[Json, Json] | None:
        """Return the carts of both at an event; None where one has none."""
        cart, other = self.first.cart(seq), self.second.cart(self._partner(seq))
        return None if cart is None or other is None else (cart, other)

    def _differences(self, seq: int | None) -> pd.DataFrame:
        from firmly_nb.carts.prices import compare_carts

        carts = self._carts(seq)
        name = self.second.recording.recording_id
        return CHANGES.empty() if carts is None else compare_carts(*carts, name)

    def _partner(self, seq: int | None) -> int | None:
        """Return the event of the second order that goes with one of the first."""
        event, turn = self.first.turn(seq)
        same: list[int] = [step["seq"] for step in self.second.steps if step["event"] == event]
        if same:
            return same[min(turn, len(same) - 1)]
        before: list[int] = [step["seq"] for step in self.first.steps if step["has_cart"]]
        others: list[int] = [step["seq"] for step in self.second.steps if step["has_cart"]]
        if seq == self.first.last or not others or seq is None:
            return self.second.last
        rank = sum(1 for each in before if each < seq)
        # Without a cart on this side, what is beside it is the cart before.
        return others[min(rank, len(others) - 1)] if seq in before else others[max(rank - 1, 0)]

    def _findings(self, seq: int) -> pd.DataFrame:
        """Return the findings of both carts, with 1 and 2 for the numbers of their events."""
        found = []
        pairs = ((self.first, seq), (self.second, self._partner(seq)))
        for at, (reading, number) in enumerate(pairs, 1):
            findings = reading.recording.checks.findings
            found.append(findings[findings["seq"] == number].assign(seq=at))
        return FINDINGS.concat(found)

    def _words(self, seq: int | None) -> str:
        """Say how much differs, or why nothing is compared."""
        other = self._partner(seq)
        names = {step["seq"]: step["event"] for step in self.second.steps}
        event, _ = self.first.turn(seq)
        if self._carts(seq) is None:
            return NO_PAIR
        lacks = other is not None and names[other] != event
        said = (
            f"The second order has no {event}: its cart is that of {names[other]}. "
            if lacks
            else ""
        )
        number = len(self._differences(seq))
        return said + (
            f"{count_of(number, 'difference')} from the first order." if number else SAME
        )

    def text(self, seq: int | None) -> str:
        """Write both as plain text, then what differs."""
        parts = []
        for title, reading, at in self._sides(seq):
            cart = reading.cart(at)
            parts += [title, cart_text(cart) if cart else "no cart", ""]
        parts.append(self._words(seq))
        differences = self._differences(seq)
        if not differences.empty:
            parts.append(changes_text(masked(differences)))
        return "\n".join(parts)

    def html(self, seq: int | None) -> str:
        """Return both as a static page: no script, no picture, no link."""
        sides = "".join(
            '<div style="flex:1 1 300px;min-width:0">'
            f"<b>{as_html(title)}</b>"
            f"{cart_html(cart) if (cart := reading.cart(at)) else '<div>no cart</div>'}</div>"
            for title, reading, at in self._sides(seq)
        )
        differences = self._differences(seq)
        changed = "" if differences.empty else changes_html(masked(differences))
        both = f'<div style="display:flex;flex-wrap:wrap;gap:16px">{sides}</div>'
        return page(f"{both}<div>{escape(self._words(seq))}</div>{changed}")

    def _sides(self, seq: int | None) -> Iterator[tuple[str, CartReading, int | None]]:
        readings = ((self.first, seq), (self.second, self._partner(seq)))
        for title, (reading, at) in zip(self._titles(), readings, strict=True):
            event, _ = reading.turn(at)
            yield f"{title}, after {event}" if event else title, reading, at

    def _titles(self) -> list[str]:
        return [
            _title(name, reading.recording)
            for name, reading in (("First order", self.first), ("Second order", self.second))
        ]


def _title(name: str, rec: Recording) -> str:
    """Name an order by its number, if it has one, and by the moment of its request."""
    number = f" {printable(rec.order_number, LONGEST_NAME)}" if rec.order_number else ""
    at = rec.orders["started_at"].iloc[0]
    # A moment that is not known is unlike itself.
    return f"{name}{number}" + ("" if at != at else f" · {at:%Y-%m-%d %H:%M:%S} UTC")  # noqa: PLR0124


def _note(rec: Recording) -> str:
    """Say that the cart is not that of a placed order; empty if it is."""
    if rec.cut_off or (rec.outcome == PLACED and rec.order_exists != NO):
        return ""
    none = "" if rec.cart else " No cart was seen."
    code = f" ({printable(rec.error.error)})" if rec.error else ""
    if rec.order_exists == YES:
        return f"{existence(rec, '')} It ended otherwise: {outcome_word(rec)}{code}.{none}"
    if rec.order_exists == NO:
        return f"Not placed: {outcome_word(rec)}{code}.{none}"
    return f"It is not known whether it was placed: {rec.evidence}{code}.{none}"


class EventJson(NamedTuple):
    """JSON for ``json_tree.js``, and a sentence on what it leaves out; empty if nothing."""

    text: str
    left_out: str


def event_json(data: Any) -> EventJson:
    """Write an event's data for the browser, bounded.

    Examples
    --------
    >>> event_json({"total": 22}).text
    '{"total":22}'
    >>> event_json({"note": "x" * 50_000}).left_out
    'This JSON is not whole: 1 long text was cut. The recording has all of it.'
    """
    budget = _Budget()
    copy = budget.copy(data, 0)
    return EventJson(orjson.dumps(copy).decode(), budget.sentence())


class _Budget:
    """Budget of parts and bytes for the copy of one JSON value."""

    def __init__(self) -> None:
        self._parts, self._bytes = MOST_PARTS, MOST_BYTES
        self._cut = self._dropped = 0

    def copy(self, value: Any, depth: int) -> Any:
        self._parts -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (dict, list)):
            if depth >= DEEPEST and value:
                self._dropped += len(value)
                return f"{NOTE}{count_of(len(value))} more below, nested too deeply to show"
            return (
                self._object(value, depth) if isinstance(value, dict) else self._list(value, depth)
            )
        self._bytes -= 8
        return value if value is None or isinstance(value, bool) else _number(value)

    def sentence(self) -> str:
        """Say what is missing."""
        said = []
        if self._cut:
            said.append(
                f"{count_of(self._cut, 'long text')} {'was' if self._cut == 1 else 'were'} cut"
            )
        if self._dropped:
            said.append(f"{count_of(self._dropped, 'part')} left out")
        words = " and ".join(said)
        return f"This JSON is not whole: {words}. The recording has all of it." if said else ""

    def _is_spent(self) -> bool:
        return self._parts <= 0 or self._bytes <= 0

    def _text(self, text: str) -> str:
        clean = text.encode("utf-8", "replace").decode()
        room = min(LONGEST_TEXT, max(self._bytes, 0))
        if len(clean) > room:
            self._cut += 1
            clean = f"{clean[:room]}… ({count_of(len(text))} characters)"
        self._bytes -= len(clean)
        return TEXT + clean if clean.startswith(MARKS) else clean

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for index, (key, each) in enumerate(value.items()):
            if self._is_spent():
                copy[f"{NOTE}{index}"] = self._rest(len(value) - index)
                break
            copy[_free(self._text(str(key)), index, copy)] = self.copy(each, depth + 1)
        return copy

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        copy: list[Any] = []
        for index, each in enumerate(value):
            if self._is_spent():
                copy.append(self._rest(len(value) - index))
                break
            copy.append(self.copy(each, depth + 1))
        return copy

    def _rest(self, left: int) -> str:
        self._dropped += left
        return f"{NOTE}{count_of(left)} more left out"


def _free(name: str, index: int, taken: dict[str, Any]) -> str:
    """Tell two names apart that are one after they were cut, or made text that can be sent."""
    free, numbers = name, count(index + 1)
    while free in taken:
        free = f"{name} ({next(numbers)})"
    return free


def _number(value: Any) -> Any:
    if isinstance(value, int) and abs(value) <= SAFE:
        return value
    if isinstance(value, float) and not value.is_integer() and 1e-6 < abs(value) < SAFE:
        return value
    try:
        return f"{NUMBER}{value!r}"
    except ValueError:  # an int of thousands of digits
        return f"{NOTE}a number of more than {count_of(4000)} digits"
