"""What a sweep does when the other side says no: wait where it is asked to, stop where it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firmly_nb.api.errors import Forbidden, InvalidAppId, RateLimited, Unauthorized
from firmly_nb.recording.arrivals import monotonic_ns
from firmly_nb.recording.records import End, Record

FAILURES_IN_A_ROW = 5
PAUSE_S = 5.0  # after "too many requests" without a time
SHUT_DOORS = {401, 403}


@dataclass
class Setbacks:
    """Counts refusals in a row, and knows until when nothing is to be sent.

    Attributes
    ----------
    shift_ns
        How far pauses have moved the plan back.
    paused_until_ns
        On the clock of ``monotonic_ns``.
    in_a_row
        Orders that were refused at the door, or of which nothing was sent.
    message
        What is to be said of a pause.
    """

    shift_ns: int = 0
    paused_until_ns: int = 0
    in_a_row: int = 0
    message: str = ""

    def ended(self, row: dict[str, Any], last: Record) -> str:
        """Heed how an order ended; returns why the sweep must stop, or nothing."""
        status = row["http_status"]
        if isinstance(last, End) and last.retry_after_s:
            self._pause(last.retry_after_s, f"HTTP {status}")
        elif status == 429:
            self._pause(PAUSE_S, "HTTP 429")
        shut = row["outcome"] == "http_error" and status in SHUT_DOORS
        self.in_a_row = self.in_a_row + 1 if shut else 0
        return self._hopeless(f"{row['error_code']} (HTTP {status})")

    def not_sent(self, error: Exception) -> str:
        """Heed why an order was not sent; returns why the sweep must stop, or nothing."""
        self.in_a_row += 1
        if isinstance(error, RateLimited):
            self._pause(error.retry_after_s or PAUSE_S, "HTTP 429")
        if isinstance(error, Unauthorized | InvalidAppId | Forbidden):
            return f"nothing can be ordered with this app id: {error}"
        return self._hopeless(str(error) or type(error).__name__)

    def pause_left_s(self) -> float:
        """Return how long nothing is to be sent yet."""
        return max(self.paused_until_ns - monotonic_ns(), 0) / 1e9

    def _hopeless(self, last: str) -> str:
        if self.in_a_row < FAILURES_IN_A_ROW:
            return ""
        return f"{self.in_a_row} failures in a row, the last: {last}"

    def _pause(self, seconds: float, why: str) -> None:
        """Note a pause; what is planned moves back as a whole, so that no burst follows it."""
        now_ns = monotonic_ns()
        until_ns = now_ns + round(seconds * 1e9)
        added_ns = until_ns - max(self.paused_until_ns, now_ns)
        if added_ns > 0:
            self.shift_ns += added_ns
            self.paused_until_ns = until_ns
            self.message = f"{why}: asked to wait, paused for {seconds:g} s; the plan moved back"
