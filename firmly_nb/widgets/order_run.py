"""``OrderRun``: one order after another, and the words of the order form about them.

A thread of its own waits, so that neither the kernel's nor the background loop has to. It is also
the one that shows what happens, some ten times a second.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from firmly_nb.api.errors import LONGEST_WORDS, FirmlyError
from firmly_nb.background import Patience
from firmly_nb.display.arguments import public
from firmly_nb.display.text import count, printable, short_name
from firmly_nb.outcomes import (
    CANCELLED,
    NO,
    NOT_SENT,
    PLACED,
    UNKNOWN,
    YES,
    as_judged,
    outcome,
)
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recordings import Recording, Recordings
from firmly_nb.recordings.show import existence, verdict
from firmly_nb.widgets.form_page import guarded, words_of
from firmly_nb.widgets.frontend import SHOW_EVERY_S, Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmly_nb.lab import Attempt, Lab
    from firmly_nb.recorder.records import Record
    from firmly_nb.widgets.cart_view import CartView
    from firmly_nb.widgets.form_page import FormView
    from firmly_nb.widgets.timeline import Timeline


THREAD_NAME = "firmly-nb-orders"
# So many failures in a row say that the rest will fail.
MOST_FAILED = 3
FAILED = frozenset({"http_error", "transport_error"})


IDLE: dict[str, Any] = {"state": "idle"}
# One thing to do next, where the error itself does not say one.
NEXT = {
    "ErrorPaymentDeclined": "Pick another card; the test card “declined” is always declined.",
    "ErrorNotEnoughStock": "Ask for a smaller quantity or another variant.",
    "ErrorProductNotFound": "Pick the item from the list again: the catalogue may have changed.",
    "ErrorStoreUnavailable": "Try again later, or pick another merchant.",
    "ErrorMissingRequiredParameters": "Fill in the field that it names.",
    "ErrorCountryNotSupported": "Ship to a country that the merchant delivers to.",
}
CHANGE_AND_AGAIN = "Change what it names, and place again."
LOOK = "“Look at the cart”"
MAY_BE_TWICE = "Placing it again may be twice."
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
    """Return how an order ended: mark, tone, headline, facts and one suggestion.

    With a failure the facts are the milestone that was reached, the API's name of the error and
    its words.
    """
    look, error = as_judged(recording.outcome, recording.order_exists), recording.error
    facts: list[list[str]] = []
    if recording.outcome != PLACED:
        row = recording.orders.iloc[0]
        reached = "none" if row.isna()["last_milestone"] else row["last_milestone"]
        facts.append(["Reached", printable(reached)])
        if error is not None and error.error:
            facts.append(["Error", printable(error.error, LONGEST_WORDS)])
        if error is not None and error.description:
            facts.append(["It says", printable(error.description, LONGEST_WORDS)])
    headline = verdict(recording)
    if error is not None and error.description:
        # The error's own words and its advice stand below, each on a line of its own.
        headline = headline.partition(_capital(printable(error.description)))[0].strip()
    return {
        "outcome": look.name,
        "order_exists": recording.order_exists,
        "tone": look.tone,
        "mark": look.mark,
        "headline": headline,
        "facts": facts,
        "next": suggestion(recording),
        "unsure": recording.order_exists == UNKNOWN,
        "recording_id": recording.recording_id,
        "warnings": [printable(one, LONGEST_WORDS) for one in recording.warnings[:3]],
    }


def suggestion(recording: Recording) -> str:
    """Return the one thing to do next, or nothing if the order exists."""
    error = recording.error
    name = error.error if error else ""
    if recording.order_exists == YES:
        return ""
    captcha = CAPTCHA if needs_captcha(recording) else ""
    if recording.order_exists == UNKNOWN:
        return f"{existence(recording, LOOK)} {MAY_BE_TWICE} {captcha}".strip()
    if captcha:
        return captcha
    by_name = NEXT.get(name) or getattr(error, "advice", "")
    return str(by_name) or CHANGE_AND_AGAIN


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
        "order_exists": NO,
        "tone": tone,
        "mark": mark,
        "headline": headline,
        "facts": facts,
        "next": advice,
        "unsure": False,
        "recording_id": "",
        "warnings": [],
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


def counts_words(recordings: Iterable[Recording]) -> str:
    """Return how many orders ended how.

    Examples
    --------
    >>> counts_words([])
    ''
    """
    counts = Counter(recording.outcome for recording in recordings)
    return ", ".join(f"{n} {outcome(name).words(n)}" for name, n in counts.most_common())


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


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
        """Say that all is done, and how many ended how."""
        self._heart.end()
        self._timeline.expecting = False
        told = counts_words(run.recordings)
        left = run.count - len(run.recordings)
        if left:
            because = run.stopped_because or ("cancelled" if run.cancelled else "see below")
            told = f"{told}, {left} {NOT_SENT.word}: {because}".removeprefix(", ")
        # The chips beside it count the orders of all presses.
        told = f"{count(run.count, 'order')}: {told}" if run.count > 1 else ""
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
            guarded(self._form, lambda: self._cart_view.show(recording))

    def _is_looked_at(self, recording: Recording) -> bool:
        """Return True if the timeline shows this order, and not one that the user picked."""
        picked = self._timeline.selected
        return picked is None or picked["recording_id"] == recording.recording_id

    def _learn(self, recording: Recording) -> None:
        known = list(self._form.captcha)
        if needs_captcha(recording) and recording.domain not in known:
            self._form.captcha = [*known, recording.domain]
