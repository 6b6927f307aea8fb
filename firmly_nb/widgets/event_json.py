"""The JSON of one event, made small enough for a page: what is left out says so in its place.

A browser's numbers have 53 bits and no ``22.0``, and a reader of raw JSON wants what was sent. So
a number that a browser would write in another way goes as a text behind a mark, and so does a note
on what was left out; ``static/json_tree.js`` reads them.
"""

from __future__ import annotations

from itertools import count
from typing import Any, NamedTuple

import orjson

NUMBER = "\ue000"  # a number follows, as it was sent
NOTE = "\ue001"  # words of ours follow
TEXT = "\ue002"  # a text follows that itself begins with one of these three
MARKS = (NUMBER, NOTE, TEXT)
MOST_PARTS = 50_000
MOST_BYTES = 2_000_000
LONGEST_TEXT = 20_000
DEEPEST = 100
SAFE = 2**53


class EventJson(NamedTuple):
    """JSON for ``json_tree.js``, and a sentence on what is not in it; empty where all is."""

    text: str
    left_out: str


def event_json(data: Any) -> EventJson:
    """Write an event's data for the browser, bounded.

    Examples
    --------
    >>> event_json({"total": 22}).text
    '{"total":22}'
    >>> event_json({"note": "x" * 50_000}).left_out
    'This JSON is not whole: 1 long text was cut. The recording has all of it.'
    """
    budget = _Budget()
    copy = budget.copy(data, 0)
    return EventJson(orjson.dumps(copy).decode(), budget.sentence())


class _Budget:
    """Copies a JSON value until so many parts, or so many bytes, are used up."""

    def __init__(self) -> None:
        self._parts, self._bytes = MOST_PARTS, MOST_BYTES
        self._cut = self._dropped = 0

    def copy(self, value: Any, depth: int) -> Any:
        self._parts -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (dict, list)):
            if depth >= DEEPEST and value:
                self._dropped += len(value)
                return f"{NOTE}{len(value):,} more below, nested too deeply to show"
            return (
                self._object(value, depth) if isinstance(value, dict) else self._list(value, depth)
            )
        self._bytes -= 8
        return value if value is None or isinstance(value, bool) else _number(value)

    def sentence(self) -> str:
        """Say what is missing."""
        said = []
        if self._cut:
            said.append(
                f"{_count(self._cut, 'long text')} {'was' if self._cut == 1 else 'were'} cut"
            )
        if self._dropped:
            said.append(f"{_count(self._dropped, 'part')} left out")
        words = " and ".join(said)
        return f"This JSON is not whole: {words}. The recording has all of it." if said else ""

    def _is_spent(self) -> bool:
        return self._parts <= 0 or self._bytes <= 0

    def _text(self, text: str) -> str:
        clean = text.encode("utf-8", "replace").decode()
        room = min(LONGEST_TEXT, max(self._bytes, 0))
        if len(clean) > room:
            self._cut += 1
            clean = f"{clean[:room]}… ({len(text):,} characters)"
        self._bytes -= len(clean)
        return TEXT + clean if clean.startswith(MARKS) else clean

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for place, (key, each) in enumerate(value.items()):
            if self._is_spent():
                copy[f"{NOTE}{place}"] = self._rest(len(value) - place)
                break
            copy[_free(self._text(str(key)), place, copy)] = self.copy(each, depth + 1)
        return copy

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        copy: list[Any] = []
        for place, each in enumerate(value):
            if self._is_spent():
                copy.append(self._rest(len(value) - place))
                break
            copy.append(self.copy(each, depth + 1))
        return copy

    def _rest(self, left: int) -> str:
        self._dropped += left
        return f"{NOTE}{left:,} more left out"


def _free(name: str, place: int, taken: dict[str, Any]) -> str:
    """Tell two names apart that are one after they were cut, or made text that can be sent."""
    free, numbers = name, count(place + 1)
    while free in taken:
        free = f"{name} ({next(numbers)})"
    return free


def _number(value: Any) -> Any:
    if isinstance(value, int) and abs(value) <= SAFE:
        return value
    if isinstance(value, float) and not value.is_integer() and 1e-6 < abs(value) < SAFE:
        return value
    try:
        return f"{NUMBER}{value!r}"
    except ValueError:  # an int of thousands of digits
        return f"{NOTE}a number of more than 4,000 digits"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
