"""What an order form shows of its orders while they run, and of how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.recording.records import Event, Start
from firmly_nb.widgets.form_words import (
    counts_words,
    failure_words,
    needs_captcha,
    result_words,
    safe_text,
)
from firmly_nb.widgets.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.attempts import Attempt
    from firmly_nb.recording.recording import Recording
    from firmly_nb.recording.records import Record
    from firmly_nb.widgets.cart_view import CartView
    from firmly_nb.widgets.form_view import FormView
    from firmly_nb.widgets.order_run import OrderRun
    from firmly_nb.widgets.timeline import Timeline

IDLE: dict[str, Any] = {"state": "idle"}


class FormWatcher:
    """Tells form, timeline and cart view of a run of orders; see ``order_run.Watcher``."""

    def __init__(
        self,
        form: FormView,
        timeline: Timeline,
        cart_view: CartView,
        keep: Callable[[Recording], None],
    ) -> None:
        self._form = form
        self._timeline = timeline
        self._cart_view = cart_view
        self._feed = timeline.feed
        self._heart = Heartbeat(form.send)
        self._keep = keep
        self._last: Event | None = None
        self._shown = 0

    def begin(self, count: int) -> None:
        """Show that orders are about to be sent."""
        self._heart.begin()
        self._timeline.expecting = True
        with self._form.hold_sync():
            self._form.notice = self._form.looked = ""
            self._form.result = {}
            self._form.run = {"state": "running", "number": 1, "of": count, "doing": "", "told": ""}

    def failed(self) -> None:
        """Show that nothing could be sent after all."""
        self._heart.end()
        self._timeline.expecting = False
        self._form.run = IDLE

    def seen(self, record: Record) -> None:
        """Hand a record on the moment it is there; on the background loop."""
        if isinstance(record, Start):
            self._last, self._shown = None, 0
            self._feed = self._timeline.feed
        elif isinstance(record, Event):
            self._last = record
        self._try(lambda: self._feed(record))

    def showing(self, run: OrderRun, attempt: Attempt) -> None:
        """Say which milestone was last, and show the cart as it then was."""
        last = self._last
        state = "cancelling" if run.cancelled else "running"
        doing = f"after {last.event[:100]}" if last else "sent, waiting for the first event"
        self._put_run(state, run, doing)
        if last is not None and last.seq != self._shown:
            self._shown = last.seq
            self._show_cart(attempt.recording)

    def finished(self, recording: Recording | None, error: Exception | None) -> None:
        """Say how an order ended; the next one may already follow."""
        if recording is None:
            self._form.result = failure_words(error)
            return
        self._keep(recording)
        if self._is_looked_at(recording):
            # Also one that has no cart: that of the order before would be taken for its own.
            self._try(lambda: self._cart_view.show(recording))
        self._learn(recording)
        self._form.result = result_words(recording)

    def ended(self, run: OrderRun) -> None:
        """Say that all is done, and how many ended how."""
        self._heart.end()
        self._timeline.expecting = False
        told = counts_words(run.recordings) if run.count > 1 else ""
        left = run.count - len(run.recordings)
        if left and run.count > 1:
            because = run.stopped_because or ("cancelled" if run.cancelled else "see below")
            told = f"{told}; {left} of {run.count} not placed: {because}".removeprefix("; ")
        self._form.run = {**IDLE, "told": told}
        # Once more, since ipywidgets can lose a change that is made while another thread sends.
        self._form.send_state(["run", "result", "notice"])

    def _put_run(self, state: str, run: OrderRun, doing: str) -> None:
        told = counts_words(run.recordings) if run.count > 1 else ""
        # Equal dictionaries are not sent again.
        self._form.run = {
            "state": state,
            "number": run.number,
            "of": run.count,
            "doing": doing,
            "told": told,
        }

    def _show_cart(self, recording: Recording | None) -> None:
        if recording is not None and recording.cart is not None and self._is_looked_at(recording):
            self._try(lambda: self._cart_view.show(recording))

    def _is_looked_at(self, recording: Recording) -> bool:
        """Whether the timeline shows this order; who studies another one is left in peace."""
        picked = self._timeline.selected
        return picked is None or picked["recording_id"] == recording.recording_id

    def _learn(self, recording: Recording) -> None:
        known = list(self._form.captcha)
        if needs_captcha(recording) and recording.domain not in known:
            self._form.captcha = [*known, recording.domain]

    def _try(self, show: Callable[[], None]) -> None:
        """Show something beside the form; if that fails, the form says so and the order goes on."""
        try:
            show()
        except Exception as error:  # noqa: BLE001 - an order must not fail because of a picture
            self._form.notice = f"{type(error).__name__}: {safe_text(error)}"
