"""Which element of a list is which: the same line, shipment or code in two snapshots.

Elements are matched by identity (a line's id, a shipment's id), then, where ids were made anew,
by what a person would call them (a line's sku). Position means nothing: merchants reorder lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.fields import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()
IDENTITIES = ("line_item_id", "shipment_id", "addon_id", "slot_id", "window_id", "id", "code")
LINE_LABELS = ("sku", "variant_id", "base_sku", "description", "line_item_id")
LABELS = ("sku", "id", "code", "type", "name", "date", "addon_id", "description", "shipment_id")
LONGEST_LABEL = 60


def label_of(element: object, field: str = "") -> str:
    """Say what a person would call an element of a list; empty where nothing in it tells.

    Examples
    --------
    >>> label_of({"line_item_id": "item_1", "sku": "WS12-XS-Orange"}, "line_items")
    'WS12-XS-Orange'
    >>> label_of({"fulfillment_type": {"id": "SHIP_TO_ADDRESS"}}, "shipments")
    'SHIP_TO_ADDRESS'
    """
    if not isinstance(element, dict):
        return "" if isinstance(element, list) else _short(element)
    if field == "shipments":
        kind = element.get("fulfillment_type")
        name = kind.get("id") if isinstance(kind, dict) else kind
        return _short(name) if isinstance(name, str) and name else label_of(element)
    names = ("sku", "id", *LINE_LABELS) if field == "line_items" else LABELS
    values = (element.get(name) for name in names)
    return next((_short(v) for v in values if isinstance(v, (str, int)) and v != ""), "")


def labels(elements: Iterable[object], field: str = "") -> list[str]:
    """Name each element of a list; the second of one name is ``name#2``.

    Examples
    --------
    >>> labels([{"sku": "MUG"}, {"sku": "TEE"}, {"sku": "MUG"}, {}], "line_items")
    ['MUG', 'TEE', 'MUG#2', '4']
    """
    named = [label_of(element, field) or str(place) for place, element in enumerate(elements, 1)]
    if len(set(named)) == len(named):
        return named
    seen: Counter[str] = Counter()
    return [_numbered(name, seen) for name in named]


def pair(before: list[Any], after: list[Any], field: str = "") -> list[tuple[str, Any, Any]]:
    """Match the elements of two lists.

    Returns
    -------
    list of (label, before, after)
        `ABSENT` stands for the side that lacks the element; the earlier list's order comes first.

    Examples
    --------
    >>> pair([{"sku": "A"}, {"sku": "B"}], [{"sku": "B", "quantity": 2}], "line_items")
    [('A', {'sku': 'A'}, ABSENT), ('B', {'sku': 'B'}, {'sku': 'B', 'quantity': 2})]
    """
    partner = _match(before, after, field)
    taken = set(partner.values())
    seen: Counter[str] = Counter()
    pairs = []
    for place, element in enumerate(before):
        label = _numbered(label_of(element, field) or str(place + 1), seen)
        pairs.append((label, element, after[partner[place]] if place in partner else ABSENT))
    for place, element in enumerate(after):
        if place not in taken:
            label = _numbered(label_of(element, field) or str(place + 1), seen)
            pairs.append((label, ABSENT, element))
    return pairs


def _match(before: list[Any], after: list[Any], field: str) -> dict[int, int]:
    partner: dict[int, int] = {}
    free = set(range(len(after)))
    for name in (_identity, lambda element: label_of(element, field), _shape):
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        for place in sorted(free, reverse=True):
            waiting[name(after[place])].append(place)
        for place, element in enumerate(before):
            known = name(element) if place not in partner else ""
            if known and waiting.get(known):
                partner[place] = waiting[known].pop()
                free.discard(partner[place])
    return partner


def _identity(element: object) -> str:
    if not isinstance(element, dict):
        return ""
    for name in IDENTITIES:
        value = element.get(name)
        if isinstance(value, (str, int)) and value != "":
            return f"{name}={value!r}" if not _is_huge(value) else ""
    return ""


def _shape(element: object) -> str:
    """Match what has neither identity nor name by its place among its like."""
    if isinstance(element, dict):
        return "" if label_of(element) else "object"
    return "list" if isinstance(element, list) else ""


def _numbered(label: str, seen: Counter[str]) -> str:
    number, name = seen[label] + 1, label
    if number > 1:
        # An element can be called as we would call the second of its neighbours: MUG#2.
        while (name := f"{label}#{number}") in seen:
            number += 1
    seen[label], seen[name] = number, max(seen[name], 1)
    return name


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > 64


def _short(value: object) -> str:
    text = "a huge number" if _is_huge(value) else str(value)
    clean = text if text.isascii() else str(read_text(text))
    clean = clean.replace("\n", " ")
    return clean if len(clean) <= LONGEST_LABEL else clean[: LONGEST_LABEL - 1] + "…"
