"""Streams in pieces, and what the parser makes of them, as plain data."""

from collections.abc import Iterable
from itertools import pairwise

from firmly_nb.wire.sse import EventStreamParser, ServerSentEvent

Fields = tuple[str, str, str, int | None]


def fields_of(events: Iterable[ServerSentEvent]) -> list[Fields]:
    return [(event.event, event.data, event.id, event.retry) for event in events]


def pieces_of(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def cut_at(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


def parsed(chunks: Iterable[bytes]) -> tuple[list[Fields], EventStreamParser]:
    parser = EventStreamParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    parser.close()
    return fields_of(events), parser
