"""``OrderRun``: one order after another, and the words of the order form about them.

A thread of its own waits, so that neither the kernel's nor the background loop has to. It is also
the one that shows what happens, some ten times a second.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.money import money_text
from firmly_nb.background import Patience
from firmly_nb.display.arguments import public
from firmly_nb.display.text import count, duration, printable, short_name
from firmly_nb.outcomes import (
    CANCELLED,
    NO,
    NOT_SENT,
    PLACED,
    UNKNOWN,
    YES,
    outcome,
    plural,
)
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recorder.tables import headline_ms
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.recordings.show import answer_of, look_of, outcome_word
from firmly_nb.widgets.form_page import guarded, words_of
from firmly_nb.widgets.frontend import SHOW_EVERY_S, Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from firmly_nb.attempt import Attempt
    from firmly_nb.lab import Lab
    from firmly_nb.recorder.records import Record
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.widgets.cart_view import CartView
    from firmly_nb.widgets.form_page import FormView
    from firmly_nb.widgets.timeline import Timeline


THREAD_NAME = "firmly-nb-orders"
# So many failures in a row say that the rest will fail.
MOST_FAILED = 3
FAILED = frozenset({"http_error", "transport_error"})


IDLE: dict[str, Any] = {"state": "idle"}
MOST_RUNS = 8  # that the form lists; the timeline has the orders of all
# One thing to do next, beside what the timeline says of the order.
CHANGE_AND_AGAIN = "Change what it names, and place again."
LOOK = "Look at the cart first; to place it again may order twice."
LOOK_AGAIN = "A merchant still at work may order later: look again before you place again."
CAPTCHA = "Type the captcha token that this merchant asks for."


class Starter(Protocol):
    """Function that starts an order: ``lab.start`` with all but ``on_record``."""

    def __call__(self, *, on_record: Callable[[Record], None]) -> Attempt:
        """Start it and return at once."""


class Watcher(Protocol):
    """Observer of a run; called on the run's thread, except for ``seen``."""

    def seen(self, record: Record) -> None:
        """Take a record the moment it is there, on the background loop; it must not block."""

    def showing(self, run: OrderRun, attempt: Attempt) -> None:
        """Show how far the order is; at most every ``SHOW_EVERY_S``."""

    def finished(self, recording: Recording | None, error: Exception | None) -> None:
        """Show how an order ended; ``error`` says why a recording is missing."""

    def ended(self, run: OrderRun) -> None:
        """Show that no further order comes."""


@public
class OrderRun:
    """Orders that are placed one after another; made by ``OrderForm.place``.

    Parameters
    ----------
    start
        Starts one order.
    count
        Number of orders.
    watcher
        Observer of the run.

    Raises
    ------
    GuardError
        If it may not be ordered there; nothing was sent.
    """

    def __init__(self, start: Starter, count: int, watcher: Watcher) -> None:
        self.count = count
        self.number = 1
        self.stopped_because = ""
        self._recordings: list[Recording] = []
        self._start: Starter | None = start
        self._watcher = watcher
        self._over = threading.Event()
        self._cancelled = threading.Event()
        self._attempt = start(on_record=self._take)
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True once no further order comes."""
        return not self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """True once it was cancelled."""
        return self._cancelled.is_set()

    @property
    def recordings(self) -> Recordings:
        """Recordings of the orders that have ended so far."""
        return Recordings(list(self._recordings))

    def cancel(self) -> None:
        """Close the order's stream and start no further one."""
        self._cancelled.set()
        self._attempt.cancel()
        self._over.set()

    def wait(self, timeout_s: float | None = None) -> Recordings:
        """Wait until all are done and return their recordings; Ctrl-C cancels.

        Raises
        ------
        TimeoutError
            If they are not done in time; they go on.
        """
        patience = Patience(timeout_s)
        try:
            self._thread.join(timeout_s)
        except KeyboardInterrupt:
            self.cancel()
            raise
        if not self.done:
            replace(patience, what=f"Order {self.number}").check()
        return self.recordings

    def _take(self, record: Record) -> None:
        self._watcher.seen(record)
        if isinstance(record, End):
            self._over.set()

    def _run(self) -> None:
        try:
            while self._place_one():
                pass
        finally:
            # The card and the captcha token go with it.
            self._start = None
            self._watcher.ended(self)

    def _place_one(self) -> bool:
        """See one order to its end; return whether a further one is on its way."""
        attempt = self._attempt
        attempt.on_done(lambda _: self._over.set())
        while not self._over.is_set():
            self._watcher.showing(self, attempt)
            self._over.wait(SHOW_EVERY_S)
        # Also a cancelled order has its end, once its stream is closed.
        with suppress(Exception):
            attempt.wait()
        recording, error = attempt.recording, attempt.error
        if recording is not None:
            self._recordings.append(recording)
        self._watcher.finished(recording, error if isinstance(error, Exception) else None)
        if self._is_enough(recording):
            return False
        return self._start_next()

    def _is_enough(self, recording: Recording | None) -> bool:
        last = [rec.outcome in FAILED for rec in self._recordings[-MOST_FAILED:]]
        if len(last) == MOST_FAILED and all(last) and self.number < self.count:
            self.stopped_because = f"{MOST_FAILED} in a row failed"
            return True
        return recording is None or self.cancelled or self.number >= self.count

    def _start_next(self) -> bool:
        if self._start is None:
            return False
        self._over.clear()
        try:
            self._attempt = self._start(on_record=self._take)
        except Exception as error:  # noqa: BLE001 - shown in the form; a thread has no one else
            self._watcher.finished(None, error)
            return False
        self.number += 1
        if self.cancelled:
            # It was cancelled between two orders.
            self._attempt.cancel()
            self._over.set()
        return True


def environment_words(lab: Lab) -> dict[str, str]:
    """Return a lab's environment in words: ``name``, ``label`` and ``text``."""
    environment, simulator = lab.environment, lab.simulator
    host = urlsplit(environment.api_url).netloc
    if simulator is not None and simulator.recorded_orders is not None:
        recorded = count(simulator.recorded_orders, "recorded order")
        text = f"{recorded}, answered again by a simulator on this machine · nothing here is real"
        return {"name": environment.name, "label": "REPLAY", "text": text}
    if simulator is not None:
        made = f"{simulator.settings.profile} · seed {simulator.settings.seed}"
        text = f"a simulator on this machine · {made} · nothing here is real"
    elif environment.name == "staging":
        text = f"{host} · it also reaches live merchants, so only named ones may be ordered from"
    else:
        text = f"{host} · an address of your own, not production; only named merchants"
    return {"name": environment.name, "label": environment.name.upper(), "text": text}


def result_words(recording: Recording) -> dict[str, Any]:
    """Return what the form says of a recorded order: what to do next.

    The timeline beside it says how the order ended, and its warnings.
    """
    is_unknown = recording.order_exists == UNKNOWN
    return {
        "outcome": recording.outcome,
        "next": suggestion(recording),
        "unsure": recording.order_exists != YES and (_is_settled(recording) or is_unknown),
        "asked": _is_settled(recording),
        "recording_id": recording.recording_id,
    }


def suggestion(recording: Recording) -> str:
    """Return the one thing to do next; empty if the order exists, or its error says it."""
    if recording.order_exists == YES:
        return ""
    if recording.order_exists == NO and _is_settled(recording):
        return LOOK_AGAIN
    captcha = CAPTCHA if needs_captcha(recording) else ""
    if recording.order_exists == UNKNOWN:
        return f"{LOOK} {captcha}".strip()
    advice = recording.error.advice if recording.error else ""
    return captcha or ("" if advice else CHANGE_AND_AGAIN)


def _is_settled(recording: Recording) -> bool:
    """Return whether the cart was asked afterwards."""
    return recording.recorded.end.settled is not None


def settled_words(recording: Recording) -> str:
    """Return what the cart said of an order, asked afterwards."""
    said = answer_of(recording, "the merchant").removesuffix(".")
    return f"{said}: {printable(recording.evidence)}."


def failure_words(error: BaseException | None) -> dict[str, Any]:
    """Return the words for an order of which nothing was sent.

    Without an error it was cancelled before.
    """
    if error is None:
        text = "Cancelled before anything was sent. Nothing was ordered."
        return _not_sent("quiet", outcome(CANCELLED).mark, text, [], "")
    if isinstance(error, FirmlyError):
        said = printable(error.description) or "nothing more"
        facts = [["Error", printable(error.error)], ["It says", said]]
        advice = error.advice or "Nothing was sent. Try again."
    else:
        facts = [["Error", type(error).__name__], ["It says", words_of(error)]]
        advice = ""
    return _not_sent("bad", "✕", "Nothing was ordered: it could not be sent.", facts, advice)


def _not_sent(
    tone: str, mark: str, headline: str, facts: list[list[str]], advice: str
) -> dict[str, Any]:
    return {
        "outcome": NOT_SENT.name,
        "tone": tone,
        "mark": mark,
        "headline": headline,
        "facts": facts,
        "next": advice,
        "unsure": False,
        "recording_id": "",
    }


def needs_captcha(recording: Recording) -> bool:
    """Return True if an order showed that its merchant wants a captcha token.

    Either the cart says so, where the flag is a text, or the refusal names it.
    """
    error = recording.error
    if error is not None and "captcha" in f"{error.error} {error.description}".lower():
        return True
    shop = (recording.cart or {}).get("shop_properties")
    asked = shop.get("captcha") if isinstance(shop, dict) else None
    flag = asked.get("captcha_on_place_order") if isinstance(asked, dict) else None
    return str(flag).lower() == "true"


def ends_of(recordings: Iterable[Recording]) -> list[list[str]]:
    """Return how many orders ended how: tone, mark and words of each end, the most frequent first.

    Examples
    --------
    >>> ends_of([])
    []
    """
    looks = [(outcome_word(one), look_of(one)) for one in recordings]
    return [
        [look.tone, look.mark, f"{n} {plural(word, n)}"]
        for (word, look), n in Counter(looks).most_common()
    ]


def run_words(run: OrderRun, settled: Mapping[str, Recording]) -> dict[str, Any]:
    """Return one press of the form in a row: how its orders ended, which, and how long they took.

    ``recording_id`` is the last order's; it is empty if none was recorded. The cart was asked
    afterwards for those in ``settled``.
    """
    recordings = [settled.get(one.recording_id, one) for one in run.recordings]
    left = run.count - len(recordings)
    ends, about, took = ends_of(recordings), "", ""
    if left:
        because = run.stopped_because or ("cancelled" if run.cancelled else "")
        text = f"{left} {NOT_SENT.word}{because and f': {because}'}"
        ends.append(["quiet", outcome(CANCELLED).mark, text])
    if run.count == 1:
        ends = [[tone, mark, text.removeprefix("1 ")] for tone, mark, text in ends]
        about = "".join(_about(recording) for recording in recordings)
    placed = [headline_ms(one.summary()) for one in recordings if one.outcome == PLACED]
    if run.count == 1 and recordings:
        took = duration(headline_ms(recordings[0].summary()))
    elif placed:
        took = f"p50 {duration(median(placed))}"
    last = recordings[-1].recording_id if recordings else ""
    return {"ends": ends, "about": about, "took": took, "recording_id": last}


def _about(recording: Recording) -> str:
    """Return what is known of one order beside its outcome: number and total, or the error."""
    row = recording.summary()
    number, total = row["order_number"], row["total_minor"]
    error = recording.outcome != PLACED and recording.error
    named = printable(error.error) if error else ""
    is_paid = recording.outcome == PLACED and total is not None
    money = money_text(total, short_name(row["currency"])) if is_paid else ""
    return " · ".join(filter(None, [named, f"order {short_name(number)}" if number else "", money]))


class FormWatcher:
    """Observer of a run that shows it in form, timeline and cart view (a :class:`Watcher`)."""

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
        self._begun: dict[str, Any] = {}
        self._listed: list[tuple[dict[str, Any], OrderRun]] = []
        self._settled: dict[str, Recording] = {}

    def begin(self, count: int, how: str) -> None:
        """Show that orders are about to be sent; ``how`` says where to, and with what."""
        self._begun = {"at_ms": round(time.time() * 1e3), "how": how}
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
        # An order must not fail because of a picture; the form says what failed.
        guarded(self._form, lambda: self._feed(record))

    def showing(self, run: OrderRun, attempt: Attempt) -> None:
        """Say which milestone was last, and show the cart as it then was."""
        last = self._last
        state = "cancelling" if run.cancelled else "running"
        doing = f"after {short_name(last.event)}" if last else "sent, waiting for the first event"
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
            guarded(self._form, lambda: self._cart_view.show(recording))
        self._learn(recording)
        self._form.result = result_words(recording)

    def ended(self, run: OrderRun) -> None:
        """Say that all is done, and list the press with how its orders ended."""
        self._heart.end()
        self._timeline.expecting = False
        self._listed = [(self._begun, run), *self._listed][:MOST_RUNS]
        self._list_runs()
        self._form.run = IDLE
        # Once more, since ipywidgets can lose a change that is made while another thread sends.
        self._form.send_state(["run", "runs", "result", "notice"])

    def looked_at(self, recording: Recording) -> None:
        """Say what to do about an order that was picked; not while another one is on its way."""
        with self._form.hold_sync():
            if self._form.run == IDLE:
                if self._form.result.get("recording_id") != recording.recording_id:
                    self._form.looked = ""
                self._form.result = result_words(recording)

    def settled(self, recording: Recording) -> None:
        """Show what the cart said of an order, asked afterwards."""
        self._settled[recording.recording_id] = recording
        self._list_runs()
        if self._form.result.get("recording_id") != recording.recording_id:
            return
        if self._is_looked_at(recording):
            self._cart_view.show(recording)
        with self._form.hold_sync():
            self._form.result = result_words(recording)
            self._form.looked = settled_words(recording)

    def _list_runs(self) -> None:
        self._form.runs = [
            {**begun, **run_words(run, self._settled)} for begun, run in self._listed
        ]

    def _put_run(self, state: str, run: OrderRun, doing: str) -> None:
        told = ", ".join(words for *_, words in ends_of(run.recordings)) if run.count > 1 else ""
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
            guarded(self._form, lambda: self._cart_view.show(recording))

    def _is_looked_at(self, recording: Recording) -> bool:
        """Return True if the timeline shows this order, and not one that the user picked."""
        picked = self._timeline.selected
        return picked is None or picked["recording_id"] == recording.recording_id

    def _learn(self, recording: Recording) -> None:
        known = list(self._form.captcha)
        if needs_captcha(recording) and recording.domain not in known:
            self._form.captcha = [*known, recording.domain]
