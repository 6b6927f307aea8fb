"""One order after another, watched from a thread of their own.

The thread waits, so that neither the kernel's nor the background loop has to; it also is the one
that shows what happens, some ten times a second.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from firmly_nb.recording.recording import Recording, Recordings
from firmly_nb.recording.records import End

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.attempts import Attempt
    from firmly_nb.recording.records import Record

SHOW_EVERY_S = 0.1
THREAD_NAME = "firmly-nb-orders"
# So many failures in a row say that the rest will fail.
MOST_FAILED = 3
FAILED = frozenset({"http_error", "transport_error"})


class Starter(Protocol):
    """Starts an order: ``lab.start`` with all but ``on_record``."""

    def __call__(self, *, on_record: Callable[[Record], None]) -> Attempt:
        """Start it and return at once."""


class Watcher(Protocol):
    """Who is told; always on the run's thread, except for ``seen``."""

    def seen(self, record: Record) -> None:
        """Take a record the moment it is there, on the background loop; it must not block."""

    def showing(self, run: OrderRun, attempt: Attempt) -> None:
        """Show how far the order is; at most every ``SHOW_EVERY_S``."""

    def finished(self, recording: Recording | None, error: Exception | None) -> None:
        """Show how an order ended; ``error`` is why there is nothing to tell of."""

    def ended(self, run: OrderRun) -> None:
        """Show that no further order comes."""


class OrderRun:
    """Orders on their way, one after another; made by ``OrderForm.place``.

    Parameters
    ----------
    start
        Starts one order.
    count
        How many.
    watcher
        Who is told.

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
        """Whether no further order comes."""
        return not self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    @property
    def recordings(self) -> Recordings:
        """The orders that have ended so far."""
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
        try:
            self._thread.join(timeout_s)
        except KeyboardInterrupt:
            self.cancel()
            raise
        if not self.done:
            raise TimeoutError(f"not done after {timeout_s:g} s: order {self.number} is on its way")
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
