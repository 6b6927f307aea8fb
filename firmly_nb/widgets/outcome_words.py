"""How an order ended, in a word, and whether it is known that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording

WORDS = {
    "placed": "placed",
    "error_event": "refused",
    "http_error": "refused",
    "transport_error": "connection failed",
    "timeout": "timeout",
    "incomplete": "unknown",
    "cancelled": "cancelled",
}
UNSURE = frozenset({"cancelled", "incomplete", "timeout", "transport_error"})


def outcome_word(recording: Recording) -> str:
    """Return how an order ended, in a word or two."""
    error = recording.error
    declined = error is not None and error.error == "ErrorPaymentDeclined"
    return "declined" if declined else WORDS[recording.outcome]


def is_unsure(recording: Recording) -> bool:
    """Whether nobody knows if there is an order; then placing again may be the second one.

    So it is after an answer that was no event stream, and after a server's error without a name
    that we know.
    """
    if recording.outcome != "http_error":
        return recording.outcome in UNSURE
    status = recording.orders["http_status"].iloc[0]
    return bool(status == 200 or (status >= 500 and not getattr(recording.error, "advice", "")))
