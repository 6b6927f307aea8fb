"""Showing things no more often than a browser needs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """Calls at once, or, where the last call is a moment ago, once when that moment is over.

    Parameters
    ----------
    call
        What is called, on the caller's thread or on a timer's. It must be safe on both.
    every_s
        The moment.

    Examples
    --------
    >>> shown = []
    >>> throttle = Throttle(lambda: shown.append("shown"), every_s=3600)
    >>> throttle.soon(), throttle.soon(), shown
    (None, None, ['shown'])
    >>> throttle.now(), shown
    (None, ['shown', 'shown'])
    """

    def __init__(self, call: Callable[[], None], every_s: float) -> None:
        self._call = call
        self._every_s = every_s
        self._lock = threading.Lock()
        self._last_s = float("-inf")
        self._timer: threading.Timer | None = None

    def soon(self) -> None:
        """Call now or a little later."""
        with self._lock:
            if self._timer:
                return
            wait_s = self._last_s + self._every_s - time.monotonic()
            if wait_s > 0:
                self._timer = threading.Timer(wait_s, self.now)
                self._timer.daemon = True
                self._timer.start()
                return
        self.now()

    def now(self) -> None:
        """Call now; what was put off is done with it."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._timer = None
            self._last_s = time.monotonic()
        self._call()
