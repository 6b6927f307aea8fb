"""What one event of an order carried: its cart as a shopper would see it, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.widgets.event_json import event_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.recording.recording import Recording
    from firmly_nb.recording.records import Event
    from firmly_nb.widgets.cart_view_reading import CartReading

Json = dict[str, Any]


class EventDetails:
    """Tells of one event after another; the reading of an order is kept for its next event."""

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
        # Reading carts needs pandas, which nobody waits for before the first event is clicked.
        from firmly_nb.widgets.cart_view_reading import CartReading

        key = (recording.recording_id, len(recording.records()))
        if self._reading is None or self._read != key:
            self._read, self._reading = key, CartReading(recording)
        return self._reading
