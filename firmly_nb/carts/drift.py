"""Which fields carts have: per event and merchant, with types and how often; and what drifted.

Objects of one path are looked at together, level by level, so that no cart is walked in Python
field by field and none can be too deep.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.fields import Json, read_text
from firmly_nb.carts.paths import Step, below, split_last
from firmly_nb.carts.schemas import FIELD_PRESENCE, SCHEMA_DRIFT
from firmly_nb.carts.tables import Found, find_carts
from firmly_nb.display.text import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd


TYPE_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}
DEEPEST = 32  # levels; what lies deeper is counted as its parent's type only
ANY_ELEMENT, ANY_FIELD = Step("any element"), Step("any field")
MOST_KEYS = 100  # an object with more different keys is a map from ids, not a record
RARE = 0.2  # a presence that differs by more than this is a drift
ENOUGH = 20  # parents on both sides, below which a rate says nothing


def field_presence(events: pd.DataFrame) -> pd.DataFrame:
    """Count which fields appear in which event of which merchant.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row). The
        merchant is ``domain`` where the table has it, else the cart's ``shop_id``.

    Returns
    -------
    pandas.DataFrame
        Columns as in `FIELD_PRESENCE`. A field's rate is counted among the objects it could be
        in: that of ``line_items[].msrp`` among all lines. `presence_matrix` lays it out.

    Examples
    --------
    >>> import pandas as pd
    >>> carts = [{"shop_id": "a.test", "line_items": [{"sku": "X"}, {"sku": 7, "gift": True}]}]
    >>> events = pd.DataFrame(
    ...     {"recording_id": "r1", "seq": 1, "event": "item-added", "data": [{"cart": carts[0]}]}
    ... )
    >>> field_presence(events)[["path", "types", "presence", "n"]].to_dict("split")["data"]
    [['line_items', 'array', 1.0, 1], ['line_items[]', 'object', 1.0, 2], \
['line_items[].gift', 'boolean', 0.5, 2], ['line_items[].sku', 'number|string', 1.0, 2], \
['shop_id', 'string', 1.0, 1]]
    """
    groups: dict[tuple[str, str], list[Json]] = {}
    found = find_carts(events)
    for key, cart in zip(_groups(found, events), found.carts, strict=True):
        groups.setdefault(key, []).append(cart)
    rows: list[tuple[Any, ...]] = []
    for (event, domain), carts in sorted(groups.items()):
        rows += [(event, domain, *field) for field in sorted(_fields(carts))]
    columns = list(zip(*rows, strict=True)) or [()] * len(FIELD_PRESENCE.columns)
    return FIELD_PRESENCE.from_columns(dict(zip(FIELD_PRESENCE.names, columns, strict=True)))


def presence_matrix(presence: pd.DataFrame) -> pd.DataFrame:
    """Lay the presence of fields out: a row a field, a column an event of a merchant.

    Examples
    --------
    >>> row = {"event": "item-added", "domain": "a.test", "path": "total", "presence": 1.0,
    ...        "present": 3, "n": 3}
    >>> presence_matrix(FIELD_PRESENCE.frame([row])).to_dict()
    {('a.test', 'item-added'): {'total': 1.0}}
    """
    keyed = presence.astype({"event": "str", "domain": "str"})
    return keyed.pivot_table(
        index="path", columns=["domain", "event"], values="presence", fill_value=0.0
    )


def schema_drift(events_before: pd.DataFrame, events_after: pd.DataFrame) -> pd.DataFrame:
    """Return which fields appeared, vanished, changed their type or became rarer or more frequent.

    Only events of merchants that both sets have are compared, and only fields whose parents both
    have: a field of a coupon says nothing where no cart had a coupon. A rate must differ by
    more than 0.2, with at least 20 parents on both sides.

    Returns
    -------
    pandas.DataFrame
        Columns as in `SCHEMA_DRIFT`.

    Examples
    --------
    >>> import pandas as pd
    >>> def events(cart):
    ...     return pd.DataFrame(
    ...         {"recording_id": "r1", "seq": 1, "event": "item-added", "data": [{"cart": cart}]}
    ...     )
    >>> drift = schema_drift(events({"cart_id": "c", "tax": 1}), events({"cart_id": 7}))
    >>> drift[["path", "change"]].to_dict("split")["data"]
    [['cart_id', 'changed type'], ['tax', 'vanished']]
    """
    before, after = (_by_field(field_presence(each)) for each in (events_before, events_after))
    comparable = {key[:2] for key in before} & {key[:2] for key in after}
    rows = []
    for key in sorted(before.keys() | after.keys()):
        parent = _parent(key)
        if key[:2] in comparable and (parent is None or {parent} <= before.keys() & after.keys()):
            rows += _drifted(key, before.get(key), after.get(key))
    return SCHEMA_DRIFT.frame(rows)


def _groups(found: Found, events: pd.DataFrame) -> Iterator[tuple[str, str]]:
    if "domain" in events:
        named = zip(events["recording_id"].tolist(), events["domain"].tolist(), strict=True)
        domains: dict[str, Any] = dict(named)
    else:
        domains = {}
    for recording_id, event, cart in zip(
        found.recording_ids, found.events, found.carts, strict=True
    ):
        domain = domains.get(recording_id, cart.get("shop_id"))
        yield event, str(read_text(domain)) if isinstance(domain, str) else ""


def _fields(carts: list[Json]) -> Iterator[tuple[str, str, float, int, int]]:
    """Yield path, types, presence, present and n of every field, level by level."""
    level: dict[str, list[Any]] = {"": list(carts)}
    for _ in range(DEEPEST):
        deeper: dict[str, list[Any]] = {}
        for path, objects in level.items():
            for inner, values, n in _inside(path, objects):
                types = Counter(map(type, values))
                names = sorted({TYPE_NAMES.get(kind, kind.__name__) for kind in types})
                yield inner, "|".join(names), len(values) / n, len(values), n
                if dict in types or list in types:
                    deeper[inner] = [each for each in values if type(each) in (dict, list)]
        level = deeper


def _inside(path: str, objects: list[Any]) -> Iterator[tuple[str, list[Any], int]]:
    """Yield what lies in objects of one path: its path, its values, and how many could have it."""
    lists = [each for each in objects if type(each) is list]
    elements = list(chain.from_iterable(lists))
    if elements:
        yield below(path, ANY_ELEMENT), elements, len(elements)
    records = [each for each in objects if type(each) is dict]
    keys = list(dict.fromkeys(chain.from_iterable(records)))
    if len(keys) > MOST_KEYS:
        values = list(chain.from_iterable(map(dict.values, records)))
        yield below(path, ANY_FIELD), values, len(values)
        return
    for key in keys:
        values = [each[key] for each in records if key in each]
        yield below(path, str(key)), values, len(records)


def _by_field(presence: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows: Iterable[dict[Any, Any]] = presence.to_dict("records")
    return {(row["event"], row["domain"], row["path"]): row for row in rows}


def _parent(key: tuple[str, str, str]) -> tuple[str, str, str] | None:
    event, domain, path = key
    above, _ = split_last(path)
    return (event, domain, above) if above else None


def _drifted(
    key: tuple[str, str, str], old: dict[str, Any] | None, new: dict[str, Any] | None
) -> list[dict[str, Any]]:
    change = _change(old, new)
    if not change:
        return []
    event, domain, path = key
    were, are = (side["types"] if side else None for side in (old, new))
    rates = [side["presence"] if side else 0.0 for side in (old, new)]
    where = f"{path} of {event}" + (f" at {domain}" if domain else "")
    said = {
        "appeared": f"{where} is new ({are}, in {percent(rates[1])}).",
        "vanished": f"{where} is gone (it was {were}, in {percent(rates[0])}).",
        "changed type": f"{where} was {were} and is {are}.",
    }
    return [
        {
            "event": event,
            "domain": domain,
            "path": path,
            "change": change,
            "types_before": were,
            "types_after": are,
            "presence_before": rates[0],
            "presence_after": rates[1],
            "sentence": said.get(
                change, f"{where} was in {percent(rates[0])}, is in {percent(rates[1])}."
            ),
        }
    ]


def _change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    if old is None:
        return "appeared"
    if new is None:
        return "vanished"
    if old["types"] != new["types"]:
        return "changed type"
    less = old["presence"] - new["presence"]
    if abs(less) <= RARE or min(old["n"], new["n"]) < ENOUGH:
        return ""
    return "less often" if less > 0 else "more often"
