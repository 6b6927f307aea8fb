"""Signs of life, so that a page can tell a long stage from a kernel that is gone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S = 2.0  # kernel.js waits for four of them
BEAT: dict[str, Any] = {"type": "beat"}


class Heartbeat:
    """Sends a beat every two seconds from ``begin`` to ``end``, on a thread of its own.

    The thread goes on while a cell computes; only a kernel that is gone, or that cannot answer
    anybody, is silent.

    Parameters
    ----------
    send
        Sends a message to the widget's pages.

    Examples
    --------
    >>> heart = Heartbeat(print, every_s=3600)
    >>> heart.begin(), heart.begin(), heart.end()
    (None, None, None)
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], *, every_s: float = EVERY_S) -> None:
        self._send = send
        self._every_s = every_s
        self._turns = threading.Lock()
        self._over: threading.Event | None = None

    def begin(self) -> None:
        """Begin, unless it has begun."""
        with self._turns:
            if self._over is not None:
                return
            self._over = over = threading.Event()
        threading.Thread(target=self._go_on, args=(over,), daemon=True).start()

    def end(self) -> None:
        """End, if it has begun."""
        with self._turns:
            if self._over is not None:
                self._over.set()
            self._over = None

    def _go_on(self, over: threading.Event) -> None:
        while not over.wait(self._every_s):
            self._send(BEAT)
