"""Which fields carts have: per event and merchant, with types and how often; and what drifted.

Objects of one path are looked at together, level by level, so that no cart is walked in Python
field by field and none can be too deep. Who is known to send a field is told by the API's
description first, then by the carts themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.description import cart_fields
from firmly_nb.carts.fields import Json, read_text
from firmly_nb.carts.paths import Step, below, read_path, split_last
from firmly_nb.carts.schemas import FIELD_PRESENCE, SCHEMA_DRIFT
from firmly_nb.carts.tables import Found, find_carts
from firmly_nb.display.text import count, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

DOCUMENTED, CODE, SIMULATOR = "documented", "firmly's code", "simulator"
ONE_MERCHANT, MERCHANTS = "this merchant", "several merchants"
ORIGINS = {
    DOCUMENTED: "a page of firmly names it, or has it in a sample",
    CODE: "on no page, but firmly's own code uses it",
    SIMULATOR: "only the simulator sends it",
    ONE_MERCHANT: "described nowhere, and one merchant of these orders sends it",
    MERCHANTS: "described nowhere, and several merchants of these orders send it",
}
OF_MARK = {"documented": DOCUMENTED, "example": DOCUMENTED, "code": CODE}
VERSION_1 = frozenset({"tax", "shipping_method", "shipping_method_options", "notice"})
VERSION_2 = frozenset({"shipments", "schema_version", "tax_total", "addon_total", "notices"})


class Sender(NamedTuple):
    """Sender of a cart: environment and merchant, each empty if it is not known."""

    environment: str
    domain: str


@dataclass(slots=True)
class Counted:
    """Count of a field of an event of a merchant."""

    types: set[str] = field(default_factory=set)
    present: int = 0
    n: int = 0
    senders: set[Sender] = field(default_factory=set)

    @property
    def type_names(self) -> str:
        """JSON types seen, joined by |."""
        return "|".join(sorted(self.types))

    @property
    def presence(self) -> float:
        """Share of the parents that have it."""
        return self.present / self.n


Key = tuple[str, str, str]  # event, domain and path


def field_presence(events: pd.DataFrame) -> pd.DataFrame:
    """Count which fields appear in which event of which merchant.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row). The
        merchant is ``domain`` where the table has it, else the cart's ``shop_id``. With
        ``environment`` as well, fields that only the simulator sends are told from others.

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
    fields, senders = _counted(events)
    origins = _Origins([fields], senders)
    rows = [
        {
            "event": key[0],
            "domain": key[1],
            "path": key[2],
            "types": seen.type_names,
            "presence": seen.presence,
            "present": seen.present,
            "n": seen.n,
            "origin": origins.of(key),
        }
        for key, seen in sorted(fields.items(), key=lambda item: item[0])
    ]
    return FIELD_PRESENCE.frame(rows)


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
    (before, were), (after, are) = _counted(events_before), _counted(events_after)
    origins = _Origins([before, after], were | are)
    comparable = {key[:2] for key in before} & {key[:2] for key in after}
    rows = []
    for key in sorted(before.keys() | after.keys()):
        parent = _parent(key)
        if key[:2] in comparable and (parent is None or {parent} <= before.keys() & after.keys()):
            rows += _drifted(key, before.get(key), after.get(key), origins)
    return SCHEMA_DRIFT.frame(rows)


def _counted(events: pd.DataFrame) -> tuple[dict[Key, Counted], set[Sender]]:
    """Count the fields of carts, and note who sent any."""
    groups: dict[tuple[str, Sender], list[Json]] = {}
    found = find_carts(events)
    for event, sender, cart in zip(found.events, _senders(found, events), found.carts, strict=True):
        groups.setdefault((event, sender), []).append(cart)
    fields: dict[Key, Counted] = {}
    for (event, sender), carts in groups.items():
        for path, types, present, n in _fields(carts):
            seen = fields.setdefault((event, sender.domain, path), Counted())
            seen.types |= types
            seen.present += present
            seen.n += n
            seen.senders.add(sender)
    return fields, {sender for _, sender in groups}


def _senders(found: Found, events: pd.DataFrame) -> Iterator[Sender]:
    noted = [
        dict(zip(events["recording_id"].tolist(), events[name].tolist(), strict=True))
        if name in events
        else {}
        for name in ("environment", "domain")
    ]
    environments, domains = noted
    for recording_id, cart in zip(found.recording_ids, found.carts, strict=True):
        environment = environments.get(recording_id)
        domain = domains.get(recording_id, cart.get("shop_id"))
        yield Sender(
            environment if isinstance(environment, str) else "",
            str(read_text(domain)) if isinstance(domain, str) else "",
        )


def _fields(carts: list[Json]) -> Iterator[tuple[str, set[str], int, int]]:
    """Yield path, types, present and n of every field, level by level."""
    level: dict[str, list[Any]] = {"": list(carts)}
    for _ in range(DEEPEST):
        deeper: dict[str, list[Any]] = {}
        for path, objects in level.items():
            for inner, values, n in _inside(path, objects):
                types = set(map(type, values))
                names = {TYPE_NAMES.get(kind, kind.__name__) for kind in types}
                yield inner, names, len(values), n
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


class _Origins:
    """Origins of the fields of some carts: the description's word, else that of the carts."""

    def __init__(self, sides: list[dict[Key, Counted]], senders: set[Sender]) -> None:
        self._senders = senders
        self._of_path: dict[str, set[Sender]] = {}
        top: dict[tuple[str, str], set[str]] = {}
        for (event, domain, path), seen in chain.from_iterable(side.items() for side in sides):
            self._of_path.setdefault(path, set()).update(seen.senders)
            top.setdefault((event, domain), set()).add(path)
        self._version = {
            key: 1 if paths & VERSION_1 and not paths & VERSION_2 else 2
            for key, paths in top.items()
        }

    def of(self, key: Key) -> str:
        """Return who is known to send a field, one of `ORIGINS`."""
        event, domain, path = key
        way, version = _way(path), self._version[event, domain]
        own = cart_fields(version).get(way)
        if own in OF_MARK:
            return OF_MARK[own]
        senders = self._of_path[path]
        simulated = {sender for sender in senders if sender.environment in ("simulator", "")}
        if simulated == senders and _is_of_simulator(way, version):
            return SIMULATOR
        if (other := cart_fields(3 - version).get(way)) in OF_MARK:
            return OF_MARK[other]
        environments = {sender.environment for sender in self._senders}
        if {sender.environment for sender in senders} == {"simulator"} != environments:
            return SIMULATOR
        return ONE_MERCHANT if len({sender.domain for sender in senders}) == 1 else MERCHANTS

    def sentence(self, key: Key) -> str:
        """Say who is known to send a field."""
        origin = self.of(key)
        senders, merchants = (
            len({sender.domain for sender in each})
            for each in (self._of_path[key[2]], self._senders)
        )
        return {
            DOCUMENTED: "It is documented.",
            CODE: "No page names it; firmly's own code does.",
            SIMULATOR: "Only the simulator sends it.",
        }.get(origin) or f"No page names it; {senders} of {count(merchants, 'merchant')} sent it."


@lru_cache(maxsize=10_000)  # the same fields are in every event
def _way(path: str) -> tuple[str, ...]:
    """Return the names on the way to a field; an element of a list is named as its list."""
    steps = read_path(path)
    return tuple(step.name or "{}" for step in steps if step.kind != "any element")


def _is_of_simulator(way: tuple[str, ...], version: int) -> bool:
    """Say whether a field, or what it is in, is described as the simulator's own or as a guess."""
    known = cart_fields(version)
    marks = (known.get(way[:end]) for end in range(len(way), 0, -1))
    return next((mark for mark in marks if mark), None) in {"simulator", "guessed"}


def _parent(key: Key) -> Key | None:
    event, domain, path = key
    above, _ = split_last(path)
    return (event, domain, above) if above else None


def _drifted(
    key: Key, old: Counted | None, new: Counted | None, origins: _Origins
) -> list[Mapping[str, Any]]:
    change = _change(old, new)
    if not change:
        return []
    event, domain, path = key
    were, are = (side.type_names if side else None for side in (old, new))
    rates = [side.presence if side else 0.0 for side in (old, new)]
    where = f"{path} of {event}" + (f" at {domain}" if domain else "")
    said = {
        "appeared": f"{where} is new ({are}, in {percent(rates[1])}).",
        "vanished": f"{where} is gone (it was {were}, in {percent(rates[0])}).",
        "changed type": f"{where} was {were} and is {are}.",
    }
    words = said.get(change, f"{where} was in {percent(rates[0])}, is in {percent(rates[1])}.")
    return [
        {
            "event": event,
            "domain": domain,
            "path": path,
            "change": change,
            "origin": origins.of(key),
            "types_before": were,
            "types_after": are,
            "presence_before": rates[0],
            "presence_after": rates[1],
            "sentence": f"{words} {origins.sentence(key)}",
        }
    ]


def _change(old: Counted | None, new: Counted | None) -> str:
    if old is None:
        return "appeared"
    if new is None:
        return "vanished"
    if old.types != new.types:
        return "changed type"
    less = old.presence - new.presence
    if abs(less) <= RARE or min(old.n, new.n) < ENOUGH:
        return ""
    return "less often" if less > 0 else "more often"
