"""An order as a short text for whoever runs the service: which it was, when, how long it took.

Plain ASCII of at most 80 columns, so that it survives an e-mail. Of what a merchant sent it has
ids, names of stages and the kept headers, without secrets and personal data, cut to a length.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.api.secrets import redact_text
from firmly_nb.display.text import PLAIN, duration, printable, uncertainty
from firmly_nb.latency.stages import BUFFERED, COALESCED, OUT_OF_ORDER, REASONS, voided
from firmly_nb.outcomes import outcome
from firmly_nb.recorder.masking import masked_text
from firmly_nb.recorder.tables import last_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from firmly_nb.recorder.records import End, Recorded, Start

WIDTH = 80
LABEL = 14  # columns of what stands before a value
NAME = 28  # columns of a stage's name
LONGEST = 200  # characters of a value
MOST_STAGES = 40
NONE = "none"
VOID = {
    BUFFERED: "not known: the events came together",
    COALESCED: "not known: begin and end came together",
    OUT_OF_ORDER: "not known: the events came out of order",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ticket(str):
    r"""Text of a ticket; a notebook shows it as it is to be copied.

    Examples
    --------
    >>> Ticket("two\nlines")
    two
    lines
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def ticket(
    recorded: Recorded, row: dict[str, Any], orders: pd.DataFrame, stages: pd.DataFrame
) -> Ticket:
    """Write the ticket of an order.

    Parameters
    ----------
    recorded
        Its records.
    row
        Its row of ``ORDERS``.
    orders, stages
        The tables of this order alone.
    """
    start, events, end = recorded[:3]
    seen = last_snapshot(start, events, end)
    cart_id = seen.cart_id if seen else None
    lines = [
        "About an order sent to firmly",
        "",
        *_field("When", _utc(row["started_at"])),
        *_field("Environment", ", ".join(filter(None, [start.environment, start.server]))),
        *_field("Merchant", _clean(start.domain, start)),
        *_field("Request id", start.request_id or NONE),
        *_field("Cart id", _clean(cart_id, start)),
        *_field("Order number", _clean(row["order_number"], start)),
        *_field("Order exists", f"{row['order_exists']} ({_clean(row['evidence'], start)})"),
        *_field("Outcome", _ended(recorded, row)),
        *_field("Recorded by", _recorder(start)),
        "",
        "Times after the request was sent, taken where it was sent",
        *_times(row),
        *_stages(stages, orders),
        "",
        "Headers of the response",
        *_headers(end, start),
    ]
    return Ticket("\n".join(line.rstrip() for line in lines) + "\n")


def _ended(recorded: Recorded, row: dict[str, Any]) -> str:
    start, _, end = recorded[:3]
    status = f"HTTP {end.http_status}" if end.http_status else "no response"
    code = _clean(end.error_code, start) if end.error_code else ""
    parts = [
        outcome(end.outcome).word,
        "" if code == status else code,
        status,
        f"after {_clean(row['last_milestone'], start)}" if row["last_milestone"] else "",
        "recording cut off" if recorded.cut_off else "",
    ]
    return ", ".join(filter(None, parts))


def _recorder(start: Start) -> str:
    version = start.recorder.get("firmly_nb")
    name = f"firmly-nb {printable(version, 40)}" if version else start.environment
    return f"{_ascii(name)}, recording {_ascii(printable(start.recording_id, 80))}"


def _times(row: dict[str, Any]) -> Iterator[str]:
    told = {
        "headers": row["time_to_headers_ms"],
        "first event": row["time_to_first_event_ms"],
        "order placed": row["time_to_order_placed_ms"],
        "failure": row["time_to_failure_ms"],
        "end of response": row["order_latency_ms"],
    }
    for name, time_ms in told.items():
        if time_ms is not None and time_ms == time_ms:  # noqa: PLR0124 - not-a-number is not itself
            yield f"  {name:<{NAME}}{_ascii(duration(time_ms)):>12}"


def _stages(stages: pd.DataFrame, orders: pd.DataFrame) -> Iterator[str]:
    """Give a line for each stage that ended: its time, and at most how far that is off."""
    reasons = voided(stages, orders).reasons.tolist()
    names, times = stages["stage"].tolist(), stages["duration_ms"].tolist()
    bounds = stages["uncertainty_us"].tolist()
    each = zip(names, times, bounds, reasons, strict=True)
    ended = [one for one in each if one[1] == one[1]]
    if not ended:
        return
    yield ""
    yield "Stages, each from the milestone before, and how far off at most"
    for name, time_ms, bound_us, reason in ended[:MOST_STAGES]:
        label = f"  {_ascii(printable(name, NAME - 1)):<{NAME}}"
        if reason >= 0:
            yield f"{label}{VOID[REASONS[reason]]}"
        else:
            yield f"{label}{_ascii(duration(time_ms)):>12}   {_ascii(uncertainty(bound_us)):>10}"


def _headers(end: End, start: Start) -> Iterable[str]:
    if not end.headers:
        yield f"  {NONE}"
    for name, value in end.headers:
        # What a journal holds may have been written by anybody.
        yield from _wrapped(_clean(f"{name}: {value}", start, 2 * LONGEST), "  ", "    ")


def _field(label: str, value: str) -> list[str]:
    return _wrapped(value, f"{label:<{LABEL}}", " " * LABEL)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first]


def _clean(value: object, start: Start, longest: int = LONGEST) -> str:
    """Return a stranger's text as it may be sent to somebody else."""
    if value is None:
        return NONE
    return _ascii(printable(masked_text(redact_text(str(value)), start), longest))


def _ascii(text: str) -> str:
    return text.translate(PLAIN).encode("ascii", "backslashreplace").decode()


def _utc(started_at_ns: int | None) -> str:
    if started_at_ns is None:
        return "not known"
    at = EPOCH + timedelta(milliseconds=started_at_ns // 1_000_000)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"
