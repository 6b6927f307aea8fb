"""What a sheet is made of: lines, amounts, changes and findings, as texts that are safe to show.

Not frozen: changes and findings are put beside them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from firmly_nb.api.printable import printable
from firmly_nb.api.secrets import PERSONAL_KEYS
from firmly_nb.carts.paths import split_last
from firmly_nb.carts.words import amount_or_value, path_in_words

MOST_TEXT = 500
MASKED = "***"


@dataclass(slots=True)
class Value:
    """A text, and what stood there before; ``was`` is None where it did not change."""

    now: str
    was: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A change: where (as a path and in words), its kind, and both sides in words."""

    path: str
    words: str
    kind: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Note:
    """A finding of a check."""

    path: str
    severity: str
    check: str
    sentence: str


@dataclass(slots=True)
class SheetLine:
    """A line of the cart; ``state`` is added, removed, changed or empty."""

    label: str
    name: str
    detail: str
    quantity: Value
    each: Value
    price: Value
    discount: str
    state: str = ""
    also: list[Changed] = field(default_factory=list)
    findings: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class SheetAmount:
    """A shipment or an amount of the bill; ``label`` is the name that paths use."""

    label: str
    words: Value
    amount: Value
    state: str = ""
    findings: list[Note] = field(default_factory=list)


def short(text: str) -> str:
    """Bound a text that is safe to show already.

    Examples
    --------
    >>> len(short("x" * 1000))
    500
    """
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def changed_of(row: Any) -> Changed:
    """Read a row of the table of changes; what names a person is masked."""
    kind, is_personal = str(row.kind), _is_personal(str(row.path))
    old, new = (
        MASKED
        if is_personal and value is not None
        else short(printable(amount_or_value(value, row.currency, MOST_TEXT)))
        for value in (row.before, row.after)
    )
    was, now = ("" if kind == "added" else old), ("" if kind == "removed" else new)
    path, words = (short(printable(text)) for text in (row.path, path_in_words(row.path)))
    return Changed(path, words, kind, was, now)


def _is_personal(path: str) -> bool:
    try:
        name = split_last(path)[1].name
    except ValueError:
        name = path
    return name.rpartition(".")[2] in PERSONAL_KEYS


def note_of(row: Any) -> Note:
    """Read a row of the table of findings."""
    path, sentence = short(printable(row.path)), short(printable(row.sentence))
    return Note(path, str(row.severity), str(row.check), sentence)
