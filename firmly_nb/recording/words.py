"""How an order ended, in words that a person can act on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.api.printable import printable
from firmly_nb.outcomes import ANSWERED, ANSWERS, PLACED, YES, began, outcome, word

if TYPE_CHECKING:
    from firmly_nb.recording.recording import Recording

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
    exists, status, error = row["order_exists"], row["http_status"], rec.error
    code = error.error if error else ""
    after = f" after {printable(row['last_milestone'])}" if row["last_milestone"] else ""
    number = row["order_number"]
    text = outcome(rec.outcome).sentence.format(
        at=f"{milliseconds(row['order_latency_ms'], 0)} ms",
        after=after,
        began=began(rec.outcome, exists, code, status),
        code=printable(code),
        ended=_ended(rec, after),
        limit=f"{rec.timeout_s:g} s",
        named="" if not code or code.startswith("HTTP ") else f" ({printable(code)})",
        order="success without an order number" if number is None else f"order {printable(number)}",
        status=status,
        total=_total(row),
    )
    detail = _detail(error) if rec.outcome in {*ANSWERED, "transport_error"} else ""
    return " ".join(filter(None, [text, existence(rec, 'lab.cart("{domain}")'), detail]))


def outcome_word(rec: Recording) -> str:
    """Return how an order ended, in a word or two."""
    return word(rec.outcome, rec.order_exists, rec.error.error if rec.error else None)


def existence(rec: Recording, how: str) -> str:
    """Say whether there is an order, unless that was said: a placed one with a number exists.

    Parameters
    ----------
    rec
        The recording.
    how
        What tells, where it is not known; ``{domain}`` is the merchant.
    """
    if rec.order_exists == YES and rec.outcome == PLACED:
        return ""
    return ANSWERS[rec.order_exists].sentence.format(
        number=printable(rec.order_number or ""), how=how.replace("{domain}", rec.domain)
    )


def _ended(rec: Recording, after: str) -> str:
    """Say how an order came to no end."""
    if rec.cut_off:
        return f"the recording was cut off{after or ' before any event'}"
    if not rec.sse:
        return "the answer has no order number"
    return f"the stream ended{after or ' before any event'}"


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
