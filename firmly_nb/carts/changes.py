"""What changed in the cart between one snapshot of an order and the next.

Own code instead of a diff library: a cart is a tree of lists whose elements have an identity and
of amounts that are objects. Told that much, sixty lines say ``line_items[WS12-XS-Orange].price``
2200 -> 2300; a general library reports the three fields of one amount as three changes and names
lines by position or by generated ids, so its answer would have to be worked over by as much code.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.money import Money, format_minor, read_money
from firmly_nb.carts.find import Json, find_carts, parts
from firmly_nb.carts.pairing import ABSENT, label_of, pair
from firmly_nb.carts.paths import below, element
from firmly_nb.carts.schemas import CHANGES
from firmly_nb.carts.words import summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["Difference", "changes", "differences", "summary"]

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
    for places in found.by_recording():
        for old, new in pairwise(places):
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
                [(element(path, label), "", a, b) for label, a, b in pair(old, new, field)]
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
    """Compare two amounts, or an amount and nothing; None where there is no amount."""
    before, after = read_money(old), read_money(new)
    sides = [money for money in (before, after) if money is not None]
    said = [each for each in (old, new) if each is not ABSENT and each is not None]
    if not sides or len(sides) < len(said):
        return None
    if before and after and before.currency != after.currency:
        return [Difference(path, "changed", _in_words(before), _in_words(after))]
    if before == after:
        return []
    old_minor, new_minor = (money.minor if money else None for money in (before, after))
    kind = _leaf(path, old, new).kind
    return [Difference(path, kind, old_minor, new_minor, sides[0].currency)]


def _in_words(money: Money) -> str:
    return f"{format_minor(money.minor, money.currency)} {money.currency}"


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
