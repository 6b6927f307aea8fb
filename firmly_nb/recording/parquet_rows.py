"""From the records of a recording to rows of the stored tables, and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.secrets import PERSONAL_KEYS, mask_personal
from firmly_nb.recording.cut_off import end_of_cut_off
from firmly_nb.recording.records import End, Event, Record, Start, decode, encode
from firmly_nb.recording.rows import event_rows, order_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.recording.recording import Recording

# A personal field whose value is neither empty nor masked; looking costs a tenth of masking.
UNMASKED = re.compile(
    rb'"(?:%s)":(?!null|false|0[,}]|""|\[\]|\{\}|"\*\*\*")'
    % "|".join(sorted(PERSONAL_KEYS)).encode()
)

Row = dict[str, Any]


def stored_rows(
    recording: Recording, tags: dict[str, str], *, keep_personal: bool
) -> tuple[Row, list[Row]]:
    """Return the row of the order and those of its events, in the form of the stored tables.

    Parameters
    ----------
    recording
        What is to be stored.
    tags
        Given to the order beside its own.
    keep_personal
        Whether names, streets, telephone numbers and e-mail addresses stay.
    """
    start, events, end = _records(recording)
    start = replace(start, tags={**tags, **start.tags})
    shown_end = end or end_of_cut_off(start, events)
    row = order_row(start, events, shown_end)
    row["merchant"] = row.pop("domain")
    row["tags"] = _text(row["tags"])
    row["n_events"] = len(events)
    row["milestones"] = _text(start.milestones)
    row["start"] = encode(start).decode()
    row["end"] = None if end is None else encode(_masked_end(end, keep_personal)).decode()
    row["warnings"] = _text(recording.warnings[len(shown_end.warnings) :])
    rows = event_rows(start, events)
    for event, event_row in zip(events, rows, strict=True):
        event_row["data"] = _data(event.data, keep_personal)
        event_row["raw"] = event.raw if keep_personal else None
        event_row["t_ns"] = event.t_ns
        event_row["read_delay_us"] = event.read_delay_us
        event_row["event_id"] = event.id
    return row, rows


def records_of(order: Row, rows: Sequence[Row]) -> tuple[list[Record], list[str]]:
    """Make the records of a recording, and its warnings, from its rows.

    Raises
    ------
    ValueError
        If the start or the end is no whole record.
    """
    start = decode((order["start"] or "").encode())
    if not isinstance(start, Start):
        raise ValueError("its start is missing")  # noqa: TRY004 - of what was read
    records: list[Record] = [start, *(_event(row) for row in rows)]
    if order["end"] is not None:
        end = decode(order["end"].encode())
        if not isinstance(end, End):
            raise ValueError("the end of the recording is another record")
        records.append(end)
    warnings = orjson.loads(order["warnings"] or "[]")
    missing = (order["n_events"] or 0) - len(rows)
    if missing > 0:
        warnings.append(f"{missing} of its {order['n_events']} events could not be read")
    return records, warnings


def _records(recording: Recording) -> tuple[Start, list[Event], End | None]:
    first, *rest = recording.records()
    if not isinstance(first, Start):
        raise TypeError("a recording begins with a start record")
    last = rest[-1] if rest else None
    return first, [r for r in rest if isinstance(r, Event)], last if isinstance(last, End) else None


def _masked_end(end: End, keep_personal: bool) -> End:
    return end if keep_personal else replace(end, confirmation=mask_personal(end.confirmation))


def _data(data: Any, keep_personal: bool) -> str | None:
    if data is None:
        return None
    text = orjson.dumps(data)
    if not keep_personal and UNMASKED.search(text):
        text = orjson.dumps(mask_personal(data))
    return text.decode()


def _event(row: Row) -> Event:
    return Event(
        seq=row["seq"],
        event=row["event"],
        data=None if row["data"] is None else orjson.loads(row["data"]),
        t_ns=row["t_ns"],
        wall_ns=row["at"],
        clock=row["clock"],
        uncertainty_us=row["uncertainty_us"],
        read_no=row["read_no"],
        coalesced=row["coalesced"],
        read_delay_us=row["read_delay_us"],
        size=row["bytes"],
        rtt_us=row["rtt_us"],
        retransmits=row["retransmits"],
        id=row["event_id"] or "",
        raw=row["raw"],
    )


def _text(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None
