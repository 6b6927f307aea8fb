"""Records in which nothing names a person: as they are written down, shared and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from firmly_nb.api.event_names import ERROR
from firmly_nb.api.personal import (
    is_without_personal,
    mask_personal,
    mask_personal_name,
    mask_personal_text,
)
from firmly_nb.api.snapshots import order_numbers, why_unread
from firmly_nb.outcomes import YES
from firmly_nb.recorder.endings import is_known
from firmly_nb.recorder.records import Event, Record, Recorded, Settled, Start

AnyRecord = TypeVar("AnyRecord", bound=Record)


def masked(record: AnyRecord, start: Start) -> AnyRecord:
    """Return a record as it may be written down: nothing in it names a person.

    Parameters
    ----------
    record
        A start, an event or an end, its secrets out.
    start
        The start of its order, which knows what to look for.

    Examples
    --------
    >>> from firmly_nb.recorder import End, Start
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9, personal=["Ada"])
    >>> masked(End("incomplete", 0, error_description="no street for Ada"), start)
    ... # doctest: +ELLIPSIS
    End(outcome='incomplete', ... error_description='no street for ***', ...)
    """
    if isinstance(record, Start):
        return _changed(record, personal=[])
    values, kept = tuple(start.personal), _kept(start)

    def text(words: str) -> str:
        return mask_personal_text(words, values, kept)

    # Decoded, a large cart takes ten times its text.
    if not (record.packed_bytes and is_without_personal(record.json.decode(), values, kept)):
        value = getattr(record, record.PACKS)
        clean = mask_personal(value, values, kept)
        if clean is not value:
            record = replace(record, **{record.PACKS: clean})
    if isinstance(record, Event):
        name = _masked_name(record.event, start)
        return _changed(record, event=name, id=text(record.id), raw=None)
    return _changed(
        record,
        error_code=record.error_code and text(record.error_code),
        error_description=record.error_description and text(record.error_description),
        unfinished=record.unfinished and text(record.unfinished),
        encoding=record.encoding and text(record.encoding),
        settled=record.settled and _masked_answer(record.settled, start),
        warnings=[text(words) for words in record.warnings],
    )


def _masked_answer(settled: Settled, start: Start) -> Settled:
    """Return a cart's answer in which its own words name nobody; an order number stays."""
    if settled.order_exists == YES:
        return settled
    return replace(settled, evidence=masked_text(settled.evidence, start))


def _changed(record: AnyRecord, **to: Any) -> AnyRecord:
    """Return a record with other fields; itself if they are the same, since a copy takes long."""
    is_same = all(getattr(record, name) == value for name, value in to.items())
    if is_same or isinstance(record, Start):
        return record if is_same else replace(record, **to)
    changed: AnyRecord = record.changed(**to)  # type: ignore[assignment]  # of the same kind
    return changed


def shareable(order: Recorded) -> Recorded:
    """Return a recording as it may leave the toolkit: nothing in it names a person.

    Examples
    --------
    >>> from firmly_nb.recorder import End, Start
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9, personal=["Ada"])
    >>> end = End("incomplete", 0, error_description="no street for Ada")
    >>> shareable(Recorded(start, [], end)).end.error_description
    'no street for ***'
    """
    start, events, end, cut_off, warnings = order
    return Recorded(
        masked(start, start),
        [masked(event, start).changed(_exact=None) for event in events],
        masked(end, start),
        cut_off,
        [masked_text(text, start) for text in warnings],
    )


def _masked_name(name: str, start: Start) -> str:
    """Return an event's name; one that the API gave is nobody's, whatever a person is called."""
    if name == ERROR or is_known(start, name):
        return name
    return mask_personal_name(name, tuple(start.personal), _kept(start))


def tellable(order: Recorded) -> Recorded:
    """Return a recording of which everything but the events' data and exact text names nobody.

    Examples
    --------
    >>> from firmly_nb.recorder import End, Start
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9, personal=["Ada"])
    >>> tellable(Recorded(start, [], End("incomplete", 0, unfinished="to Ada"))).end.unfinished
    'to ***'
    """
    start, events, end, cut_off, warnings = order
    named = [_tellable_event(event, start) for event in events]
    said = [masked_text(text, start) for text in warnings]
    return Recorded(start, named, masked(end, start), cut_off, said)


def _tellable_event(event: Event, start: Start) -> Event:
    """Return an event of which no name, order number or path of an unread cart names a person."""
    data = event.outline
    told = [*order_numbers(data), why_unread(data, event.event, start.milestones) or ""]
    if any(masked_text(text, start) != text for text in told):
        return masked(event, start)
    return _changed(event, event=_masked_name(event.event, start))


def masked_text(text: str, start: Start) -> str:
    """Return a text of an order's recording in which nothing names a person.

    Examples
    --------
    >>> from firmly_nb.recorder import End, Start
    >>> start = Start("r", 0, "simulator", "a.test", [], True, "warm", 9, personal=["Ada"])
    >>> masked_text("cart of ADA", start)
    'cart of ***'
    """
    return mask_personal_text(text, tuple(start.personal), _kept(start))


def masked_headers(headers: list[list[str]], start: Start) -> list[list[str]]:
    """Return headers of an order's response in which nothing names a person.

    They are so in memory, too: a report tells which proxies there were.
    """
    said = "\n".join(word for header in headers for word in header)
    if masked_text(said, start) == said:
        return headers
    return [[masked_text(word, start) for word in header] for header in headers]


def _kept(start: Start) -> tuple[str, ...]:
    """Return what stays although a name may be part of it: the merchant and what was ordered."""
    return (start.domain, *(str(item.get("variant_id") or start.domain) for item in start.items))
