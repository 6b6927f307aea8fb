"""``CartView``: the cart at each event of an order, what changed in it, what is wrong with it."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from firmly_nb.widgets.cart_view_reading import CartReading
from firmly_nb.widgets.event_json import event_json
from firmly_nb.widgets.frontend import module, style

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording

    Wanted = tuple[int, Recording | None, int | None]

SHOW_EVERY_S = 0.1
REST_FOR_EACH = 3
LONGEST_REST_S = 0.6
EMPTY = "CartView: no cart yet; show(recording) shows one."


class CartView(anywidget.AnyWidget):
    """The cart of an order as a shopper would see it, event by event.

    Beside each line and amount: what it was at the event before, and what the checks found. The
    slider goes over the events; the raw JSON of each can be opened and searched.

    Parameters
    ----------
    recording
        One order; none shows what will be here.
    seq
        The event to show; by default the last one that carries a cart.

    Attributes
    ----------
    seq
        Number of the event that is shown. It can be set (the next lower event is taken where there
        is none of that number) and observed; moving the slider sets it.
    recording
        The order that is shown; setting it is `show`.

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

    def __init__(self, recording: Recording | None = None, seq: int | None = None) -> None:
        self._recording: Recording | None = None
        self._reading: CartReading | None = None
        self._turns = count(1)
        self._drawn = 0
        self._follows = True
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
        """The order that is shown, or is just being drawn; None before the first."""
        return self._recording

    @recording.setter
    def recording(self, recording: Recording | None) -> None:
        self.show(recording)

    def show(self, recording: Recording | None, seq: int | None = None) -> None:
        """Show an order, or None to show nothing; from any thread.

        An order that still runs can be shown again with each event. Off the main thread the
        drawing is left to a thread of its own, is done at most ten times a second, and the last
        call counts. The slider follows the events unless it was moved.

        Raises
        ------
        LookupError
            If there is no event of the number ``seq``.
        """
        if recording is not None and seq is not None and seq not in _numbers(recording):
            raise LookupError(f"there is no event {seq}; there are {_numbers(recording)}")
        with self._lock:
            wanted = (next(self._turns), recording, seq)
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
            if turn < self._drawn:
                return  # a later one was faster
            self._drawn = turn
            before = self._reading.recording if self._reading else None
            self._reading = reading = CartReading(recording) if recording else None
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
            self._follows = seq == reading.last
            if str(seq) not in self._sheets:
                self._sheets = reading.sheets(seq, self._sheets)

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

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Add what is shown as a still page, for readers without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            if self._reading:
                data["text/html"] = self._reading.html(self.seq)
        return bundle

    def __repr__(self) -> str:
        return self._reading.text(self.seq) if self._reading else EMPTY


def _numbers(recording: Recording) -> list[int]:
    return [int(seq) for seq in recording.cart_events["seq"]]
