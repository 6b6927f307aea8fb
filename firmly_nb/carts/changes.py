"""Changes of the cart between one snapshot of an order and the next.

Own code instead of a diff library: a cart is a tree of lists whose elements have an identity and
of amounts that are objects. Told that much, sixty lines say ``line_items[WS12-XS-Orange].price``
2200 -> 2300; a general library reports the three fields of one amount as three changes and names
lines by position or by generated ids, so its answer would have to be worked over by as much code.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.money import format_minor, money_text, read_money
from firmly_nb.carts.fields import Json, read_text
from firmly_nb.carts.paths import Step, below, element_path, read_path
from firmly_nb.carts.schemas import CHANGES
from firmly_nb.carts.tables import find_carts, parts
from firmly_nb.display.messages import tells_names
from firmly_nb.display.text import cut, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd


# Elements of a list are matched by identity (a line's id, a shipment's id), then, where ids were
# made anew, by what a person would call them (a line's sku). Position means nothing: merchants
# reorder lines.


ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()
IDENTITIES = ("line_item_id", "shipment_id", "addon_id", "slot_id", "window_id", "id", "code")
LINE_LABELS = ("sku", "variant_id", "base_sku", "description", "line_item_id")
LABELS = ("sku", "id", "code", "type", "name", "date", "addon_id", "description", "shipment_id")
LONGEST_LABEL = 60


def label_of(element: object, field: str = "") -> str:
    """Return what a person would call an element of a list; empty where nothing in it tells.

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
    named = [label_of(element, field) or str(number) for number, element in enumerate(elements, 1)]
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
    for index, element in enumerate(before):
        label = _numbered(label_of(element, field) or str(index + 1), seen)
        pairs.append((label, element, after[partner[index]] if index in partner else ABSENT))
    for index, element in enumerate(after):
        if index not in taken:
            label = _numbered(label_of(element, field) or str(index + 1), seen)
            pairs.append((label, ABSENT, element))
    return pairs


def _match(before: list[Any], after: list[Any], field: str) -> dict[int, int]:
    partner: dict[int, int] = {}
    free = set(range(len(after)))
    for name in (_identity, lambda element: label_of(element, field), _shape):
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        for index in sorted(free, reverse=True):
            waiting[name(after[index])].append(index)
        for index, element in enumerate(before):
            known = name(element) if index not in partner else ""
            if known and waiting.get(known):
                partner[index] = waiting[known].pop()
                free.discard(partner[index])
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
    return cut(clean.replace("\n", " "), LONGEST_LABEL)


# In the order in which a buyer reads a bill; what is not named here comes after.
AMOUNT_NAMES = {
    "sub_total": "subtotal",
    "cart_discount": "discount",
    "shipping_total": "shipping",
    "tax_total": "tax",
    "tax": "tax",
    "addon_total": "addons",
    "store_credit": "store credit",
    "total": "total",
}
NAMES = {"platform_order_number": "order", "cart_status": "status"} | AMOUNT_NAMES
FIELDS = NAMES | {
    "shipping_info": "shipping address",
    "billing_info": "billing address",
    "payment_summary": "payment",
    "urls": "links",
    "shipping_method_options": "shipping methods offered",
    "fulfillment_type_options": "ways of delivery offered",
    "line_item_ids": "lines",
    "line_items": "line",
    "shipments": "shipment",
}
LONGEST_VALUE = 40


def summary(changes: pd.DataFrame, *, most: int = 8) -> str:
    """Return the changes in words, one line an event.

    Parameters
    ----------
    changes
        As made by `firmly_nb.carts.changes.changes`.
    most
        How many changes of an event are told; the others are counted.

    Examples
    --------
    >>> from firmly_nb.carts import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "shipping_total", "kind": "changed", "before": 0, "after": 625,
    ...        "currency": "USD"}
    >>> summary(CHANGES.frame([row]))
    'shipping-updated: shipping 0.00 -> 6.25'
    >>> summary(CHANGES.empty())
    'no changes'
    """
    if changes.empty:
        return "no changes"
    many = changes["recording_id"].nunique() > 1
    told = []
    for (recording_id, _), rows in changes.groupby(["recording_id", "seq_after"], sort=False):
        phrases = _phrases(rows)
        shown = phrases[:most]
        if len(rows) > len(shown):
            shown.append(f"and {len(rows) - len(shown)} more")
        prefix = f"{recording_id} " if many else ""
        told.append(printable(f"{prefix}{rows['event'].iloc[0]}: {', '.join(shown)}"))
    return "\n".join(told)


def path_in_words(path: str) -> str:
    """Write a path as one would say it.

    Examples
    --------
    >>> path_in_words("shipments[SHIP_TO_ADDRESS].shipping_method_options")
    'shipment SHIP_TO_ADDRESS, shipping methods offered'
    >>> path_in_words("tax_total")
    'tax'
    """
    said: list[str] = []
    for step in _steps(path):
        if step.kind == "field":
            said.append(FIELDS.get(step.name, step.written.replace("_", " ")))
        elif said and step.written:
            said[-1] += f" {step.written}"
        else:
            said.append(step.written)
    return ", ".join(each for each in said if each) or path


def amount_or_value(value: Any, currency: Any, longest: int = LONGEST_VALUE) -> str:
    """Write one side of a change: an amount in its currency's form, or a value, shortened."""
    if isinstance(currency, str) and type(value) is int:
        return format_minor(value, currency)
    if value is None:
        return "nothing"
    try:
        text = value if isinstance(value, str) else _described(value)
    except (RecursionError, ValueError):  # too deep, or an int of thousands of digits
        text = "a value too large to show"
    return cut(" ".join(str(read_text(text)).split()), longest)


def _described(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return ", ".join(map(_described, value[:LONGEST_VALUE]))
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    for name in ("description", "name", "id", "sku", "code", "city"):
        if isinstance(value.get(name), str):
            return str(value[name])
    if isinstance(value.get("last_four"), str):  # how an order was paid
        kind = next((value[n] for n in ("card_type", "payment_type") if n in value), "card")
        return f"{kind} ending in {value['last_four']}"
    said = ", ".join(f"{key.replace('_', ' ')} {_inner(each)}" for key, each in value.items())
    return said or "nothing in it"


def _inner(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "…" if value else "empty"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.removeprefix("https://")


def _phrases(rows: pd.DataFrame) -> list[str]:
    columns = (rows[name].tolist() for name in ("path", "kind", "before", "after", "currency"))
    ranked = sorted(
        (_phrase(*row) for row in zip(*columns, strict=True)), key=lambda ranked: ranked[0]
    )
    # What only few readers look for is told when there is nothing else to tell.
    plain = [phrase for rank, phrase in ranked if rank <= len(NAMES)]
    return plain or [phrase for _, phrase in ranked]


def _phrase(path: str, kind: str, before: Any, after: Any, currency: Any) -> tuple[int, str]:
    old, new = amount_or_value(before, currency), amount_or_value(after, currency)
    values = {"added": new, "removed": f"{old} removed"}.get(kind, f"{old} -> {new}")
    if path in NAMES:
        return 1 + list(NAMES).index(path), f"{NAMES[path]} {values}"
    match _steps(path):
        case [*_, Step("field", "shipping_method")] if kind == "added":
            return 3, f"shipping method {new}"
        case [Step("field", "line_items"), Step("element") as line]:
            return 0, f"{line.written} {kind}"
        case [
            Step("field", "line_items"),
            Step("element") as line,
            Step("field", "quantity" | "price" as field),
        ]:
            return 0, f"{field} of {line.written} {values}"
    return 1 + len(NAMES), f"{path} {values}"


def _steps(path: str) -> list[Step]:
    """Read a path; one that somebody wrote in a way of their own has no steps."""
    try:
        return read_path(path)
    except ValueError:
        return []


# Made anew by the merchant or by firmly for each answer; they say nothing of the cart.
GENERATED = frozenset(
    {
        *("line_item_id", "platform_line_item_id", "shipment_id", "submitted_at"),
        *("handle", "payment_handle", "session", "symbol"),
    }
)
LINE_ID_LISTS = frozenset(
    {
        *("line_item_ids", "applicable_line_items", "eligible_line_item_ids"),
        *("selected_line_item_ids", "deselected_line_item_ids"),
    }
)
Node = tuple[str, str, Any, Any]


@tells_names
class Difference(NamedTuple):
    """One difference between two carts; amounts are in minor units of ``currency``."""

    path: str
    kind: str
    before: Any
    after: Any
    currency: str | None = None


def changes(events: pd.DataFrame, *, ignore_noise: bool = True) -> pd.DataFrame:
    """Compare each snapshot of an order with the one before it.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    ignore_noise
        Leave out what differs without meaning anything: generated ids, ``submitted_at``, the
        query strings of URLs, and whether an empty field is null, empty or not there.

    Returns
    -------
    pandas.DataFrame
        Columns as in `CHANGES`, in the order of the events.

    Examples
    --------
    >>> import pandas as pd
    >>> def cart(minor):
    ...     return {"line_items": [{"sku": "MUG", "price": {"currency": "USD", "number": minor}}]}
    >>> events = pd.DataFrame({
    ...     "recording_id": ["r1", "r1"], "seq": [1, 2], "event": ["item-added", "order-placed"],
    ...     "data": [{"cart": cart(1850)}, {"order": cart(1900)}],
    ... })
    >>> changes(events)[["path", "kind", "before", "after", "currency"]].to_dict("records")
    [{'path': 'line_items[MUG].price', 'kind': 'changed', 'before': 1850, 'after': 1900, \
'currency': 'USD'}]
    """
    found = find_carts(events)
    columns: dict[str, list[Any]] = {name: [] for name in CHANGES.names}
    for snapshots in found.by_recording():
        for old, new in pairwise(snapshots):
            for difference in differences(
                found.carts[old], found.carts[new], ignore_noise=ignore_noise
            ):
                columns["recording_id"].append(found.recording_ids[new])
                columns["seq_before"].append(found.seqs[old])
                columns["seq_after"].append(found.seqs[new])
                columns["event"].append(found.events[new])
                for name, value in difference._asdict().items():
                    columns[name].append(value)
    return CHANGES.from_columns(columns)


def differences(before: Json, after: Json, *, ignore_noise: bool = True) -> list[Difference]:
    """Compare two carts.

    Examples
    --------
    >>> differences({"coupons": ["TEN"]}, {"coupons": ["TEN", "FREESHIP"]})
    [Difference(path='coupons[FREESHIP]', kind='added', before=None, after='FREESHIP', \
currency=None)]
    """
    found: list[Difference] = []
    if ignore_noise:
        names = _line_names(before), _line_names(after)
    # A stack of its own instead of recursion: a merchant's JSON can be a thousand levels deep.
    stack: list[Node] = [("", "", before, after)]
    while stack:
        path, field, old, new = stack.pop()
        if ignore_noise:
            old, new = _quiet(field, old, names[0]), _quiet(field, new, names[1])
        if _same(old, new):
            continue
        amount = _amounts(path, old, new)
        if amount is not None:
            found += amount
        elif isinstance(old, dict) and isinstance(new, dict):
            stack += reversed(list(_fields(path, old, new, ignore_noise=ignore_noise)))
        elif isinstance(old, list) and isinstance(new, list):
            stack += reversed(
                [(element_path(path, label), "", a, b) for label, a, b in pair(old, new, field)]
            )
        else:
            found.append(_leaf(path, old, new))
    return found


def _fields(path: str, old: Json, new: Json, *, ignore_noise: bool) -> Iterator[Node]:
    for field in dict.fromkeys([*old, *new]):
        if not (ignore_noise and field in GENERATED):
            yield below(path, str(field)), field, old.get(field, ABSENT), new.get(field, ABSENT)


def _leaf(path: str, old: Any, new: Any) -> Difference:
    if old is ABSENT:
        return Difference(path, "added", None, new)
    if new is ABSENT:
        return Difference(path, "removed", old, None)
    return Difference(path, "changed", old, new)


def _amounts(path: str, old: Any, new: Any) -> list[Difference] | None:
    """Compare two amounts, or an amount and nothing; None without an amount."""
    before, after = read_money(old), read_money(new)
    sides = [money for money in (before, after) if money is not None]
    said = [each for each in (old, new) if each is not ABSENT and each is not None]
    if not sides or len(sides) < len(said):
        return None
    if before and after and before.currency != after.currency:
        return [Difference(path, "changed", money_text(*before), money_text(*after))]
    if before == after:
        return []
    old_minor, new_minor = (money.minor if money else None for money in (before, after))
    kind = _leaf(path, old, new).kind
    return [Difference(path, kind, old_minor, new_minor, sides[0].currency)]


def _quiet(field: str, value: Any, names: dict[str, str]) -> Any:
    """Bring what differs without meaning anything into one form."""
    if value is None or (isinstance(value, (list, dict, str)) and not value):
        return ABSENT
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        return value.partition("?")[0].partition("#")[0]
    if field in LINE_ID_LISTS and isinstance(value, list):
        return [names.get(each, each) if isinstance(each, str) else each for each in value]
    return value


def _line_names(cart: Json) -> dict[str, str]:
    return {
        line["line_item_id"]: label_of(line, "line_items")
        for line in parts(cart, "line_items")
        if isinstance(line.get("line_item_id"), str)
    }


def _same(old: Any, new: Any) -> bool:
    try:
        return bool(old == new) or (old != old and new != new)  # noqa: PLR0124 - NaN is not itself
    except RecursionError:  # far too deep to be compared at once: go down level by level
        return False
