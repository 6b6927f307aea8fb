"""How an order ended, in words that a person can act on (the words of the ux page)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.api.printable import printable

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording

MARKS = {
    "placed": "✓",
    "error_event": "✕",
    "http_error": "✕",
    "transport_error": "✕",
    "timeout": "✕",
    "incomplete": "?",
    "cancelled": "■",
}
THIN_SPACE = "\u2009"


def milliseconds(value: float | None, digits: int = 1) -> str:
    """Write a time: thin spaces in thousands, a dash where it is not known.

    Examples
    --------
    >>> milliseconds(1204.31).replace("\u2009", "_"), milliseconds(None)
    ('1_204.3', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.{digits}f}".replace(",", THIN_SPACE)


def verdict(rec: Recording) -> str:
    """Return one sentence or two: how it ended, after what, and whether something was ordered."""
    row = rec.summary()
    after = f" after {printable(row['last_milestone'])}" if row["last_milestone"] else ""
    at = f"{milliseconds(row['order_latency_ms'], 0)} ms"
    error, code = rec.error, printable(rec.error.error) if rec.error else ""
    match rec.outcome:
        case "placed":
            text = f"Placed: order {printable(rec.order_number or '')} in {at}{_total(row)}."
        case "error_event":
            who = "Declined by the merchant" if code == "ErrorPaymentDeclined" else "Refused"
            text = f"{who} ({code}){after}, {at}. Nothing was ordered."
        case "http_error":
            said = "" if code.startswith("HTTP") else f" ({code})"
            # 200 with something else than an event stream says nothing about the order.
            refused = row["http_status"] != 200
            begin = "Refused with" if refused else "Not understood:"
            text = f"{begin} HTTP {row['http_status']}{said}, {at}."
            text += "" if refused else f" {_unknown(rec)}"
        case "transport_error":
            text = f"The connection failed{after}, {at} ({code}). {_unknown(rec)}"
        case "timeout":
            text = f"No end within {rec.timeout_s:g} s{after}. {_unknown(rec)}"
        case "cancelled":
            text = f"Cancelled{after}, {at}. {_unknown(rec)}"
        case _:
            text = f"Unknown: the stream ended{after or ' before any event'}. {_unknown(rec)}"
    detail = (
        _detail(error) if rec.outcome in {"error_event", "http_error", "transport_error"} else ""
    )
    return f"{text} {detail}".strip()


def precision(rec: Recording) -> str:
    """Return how far off the times can be, and by which clock."""
    events = rec.events
    if not len(events):
        return "no events"
    worst_ms = float(events["uncertainty_us"].max()) / 1000
    clocks = " and ".join(sorted(set(events["clock"])))
    bound = "0.1" if worst_ms <= 0.1 else f"{worst_ms:.1f}"
    return f"times within {bound} ms, {clocks} clock"


def _detail(error: Exception | None) -> str:
    text = printable(getattr(error, "description", ""))
    advice = getattr(error, "advice", "")
    sentence = f"{text[:1].upper()}{text[1:]}." if text and not text.endswith(".") else text
    return f"{sentence} {advice}".strip()


def _total(row: dict[str, Any]) -> str:
    if row["total_minor"] is None:
        return ""
    currency = printable(row["currency"])
    return f", {format_minor(row['total_minor'], currency)} {currency}"


def _unknown(rec: Recording) -> str:
    return f'The order may exist; lab.cart("{rec.domain}") tells.'
