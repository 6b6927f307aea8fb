"""A recording as its cart view shows it: steps for the slider, sheets, and what is said beside."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.printable import printable
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.carts.changes_display import changes_html, changes_text
from firmly_nb.carts.checks_display import checks_html, checks_text
from firmly_nb.carts.display import FONT, INK, cart_html, cart_text
from firmly_nb.carts.sheet import Sheets
from firmly_nb.carts.tables import CartTables
from firmly_nb.outcomes import NO, PLACED, YES
from firmly_nb.recording.words import existence, outcome_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.recording.recording import Recording

Json = dict[str, Any]
MOST_STEPS = 1_000
LONGEST_NAME = 60
# How much goes to the browser ahead of its asking: moving the slider then needs no kernel.
AHEAD_BYTES = 400_000
AHEAD_LIVE_BYTES = 60_000
NO_SHEETS: Mapping[str, Json] = MappingProxyType({})


class CartReading:
    """What there is to show of one recording; made anew when it has grown."""

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
        self._sheets = Sheets(self._events, tables, recording.changes, recording.checks.findings)

    @cached_property
    def data(self) -> dict[int, Any]:
        """What each event carries, by its number."""
        return dict(zip(self._events["seq"].tolist(), self._events["data"].tolist(), strict=True))

    @cached_property
    def steps(self) -> list[Json]:
        """One entry an event: number, name, time, and how many findings of each severity."""
        with_cart = set(self._sheets.seqs)
        names = ("seq", "event", "t_ms")
        columns = (self._events[name].tolist()[-MOST_STEPS:] for name in names)
        return [
            {
                "seq": seq,
                "event": printable(str(event))[:LONGEST_NAME],
                "t_ms": self._time(seq, t_ms),
                "has_cart": seq in with_cart,
                "findings": self._sheets.severities(seq),
            }
            for seq, event, t_ms in zip(*columns, strict=True)
        ]

    @property
    def last(self) -> int | None:
        """The last event that carries a cart; the last of all where none does."""
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
        shown = self._sheets.shown_at(seq)
        if shown is None:
            return {"seq": seq, "lines": None}
        sheet = asdict(self._sheets.sheet(shown, marks=shown == seq))
        return sheet | {"seq": seq, "from_seq": shown, "last_words": self._last_words(seq)}

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
        numbers: list[int] = [step["seq"] for step in self.steps]
        here = numbers.index(seq)
        nearest_first = sorted(range(len(numbers)), key=lambda place: abs(place - here))
        kept: dict[str, Json] = {}
        room = AHEAD_LIVE_BYTES if self.recording.cut_off else AHEAD_BYTES
        for number in (numbers[place] for place in nearest_first):
            sheet = held.get(str(number)) or self.sheet(number)
            room -= len(orjson.dumps(sheet))
            if kept and room < 0:
                break
            kept[str(number)] = sheet
        return kept

    @cached_property
    def about(self) -> Json:
        """Return what is said of the order as a whole."""
        rec = self.recording
        return {
            "recording_id": rec.recording_id,
            "domain": printable(rec.domain),
            "checks": rec.checks.headline(),
            "note": _note(rec),
            "steps_left_out": max(len(self._events) - MOST_STEPS, 0),
        }

    def text(self, seq: int | None) -> str:
        """Write what is shown as plain text."""
        cart, rec = self._cart(seq), self.recording
        parts = [self._words(seq), cart_text(cart) if cart else "no cart"]
        parts += [changes_text(self._changes(seq)), checks_text(rec.checks)] if cart else []
        return "\n".join(part for part in parts if part)

    def html(self, seq: int | None) -> str:
        """Return what is shown as a still page: no script, no picture, no link."""
        cart, rec = self._cart(seq), self.recording
        note = f"<div>{escape(self._words(seq))}</div>"
        if cart is None:
            return f"{note}<div>no cart</div>"
        after = next((s["event"] for s in self.steps if s["seq"] == seq), "")
        head = f"<div>cart after <b><bdi>{escape(after)}</bdi></b></div>"
        changed = changes_html(self._changes(seq))
        inside = f"{note}{head}{cart_html(cart)}{changed}{checks_html(rec.checks)}"
        return f'<div style="font-family:{FONT};color:{INK};font-size:13px">{inside}</div>'

    def _words(self, seq: int | None) -> str:
        return f"{_note(self.recording)} {self._last_words(seq)}".strip()

    def _last_words(self, seq: int | None) -> str:
        """Say of the last cart of an order that was not placed that none came after it."""
        is_last = seq is not None and self._sheets.shown_at(seq) == self.last
        return "This is the last cart that was seen." if is_last and _note(self.recording) else ""

    def _cart(self, seq: int | None) -> Json | None:
        shown = None if seq is None else self._sheets.shown_at(seq)
        found = None if shown is None else find_snapshot(self.data[shown])
        return found.data if found else None

    def _changes(self, seq: int | None) -> Any:
        changes = self.recording.changes
        return changes[changes["seq_after"] == seq]

    def _time(self, seq: int, t_ms: float) -> float | None:
        if seq == 0:  # the answer of an order without events: it came at the end
            t_ms = float(self.recording.orders["order_latency_ms"].iloc[0])
        return None if t_ms != t_ms else t_ms  # noqa: PLR0124 - NaN is not itself


def _note(rec: Recording) -> str:
    """Say that this is not the cart of an order that was placed, where it is not."""
    if rec.cut_off or rec.outcome == PLACED:
        return ""
    none = "" if rec.cart else " No cart was seen."
    code = f" ({printable(rec.error.error)})" if rec.error else ""
    if rec.order_exists == YES:
        return f"{existence(rec, '')} It ended otherwise: {outcome_word(rec)}{code}.{none}"
    if rec.order_exists == NO:
        return f"Not placed: {outcome_word(rec)}{code}.{none}"
    return f"It is not known whether it was placed: {rec.evidence}{code}.{none}"
