"""Where the carts are: the snapshots in a table of events, and the parts of a cart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

Json = dict[str, Any]
ORDER_EVENTS = frozenset({"order-placed", "order_completed"})
CART_SIGNS = frozenset({"cart_id", "line_items", "total", "sub_total", "cart_status"})


@dataclass(frozen=True, slots=True)
class Found:
    """The carts of a table of events, as parallel lists: one entry a snapshot."""

    recording_ids: list[str]
    seqs: list[int]
    events: list[str]
    carts: list[Json]
    kinds: list[str]

    def keys(self, counts: Sequence[int] | None = None) -> dict[str, list[Any]]:
        """Return the key columns, each snapshot's repeated as often as ``counts`` says."""
        named: dict[str, list[Any]] = {
            "recording_id": self.recording_ids,
            "seq": self.seqs,
            "event": self.events,
        }
        if counts is None:
            return dict(named)
        return {
            name: [value for value, count in zip(column, counts, strict=True) for _ in range(count)]
            for name, column in named.items()
        }

    def slices(self, size: int) -> Iterator[Found]:
        """Return the same snapshots, at most ``size`` at a time."""
        for start in range(0, len(self.carts), size):
            here = slice(start, start + size)
            yield Found(
                self.recording_ids[here],
                self.seqs[here],
                self.events[here],
                self.carts[here],
                self.kinds[here],
            )

    def by_recording(self) -> list[list[int]]:
        """Return the places of each recording's snapshots, in the order of their events."""
        places: dict[str, list[int]] = {}
        for place, recording_id in enumerate(self.recording_ids):
            places.setdefault(recording_id, []).append(place)
        return [sorted(order, key=self.seqs.__getitem__) for order in places.values()]


def cart_in(data: object) -> tuple[str, Json] | None:
    """Find the cart in the data of one event: under ``order``, under ``cart``, or bare.

    Returns
    -------
    tuple or None
        ``order`` or ``cart``, and the cart itself; None where there is no cart.

    Examples
    --------
    >>> cart_in({"cart": {"cart_id": "c1"}})
    ('cart', {'cart_id': 'c1'})
    >>> cart_in({"message": "working"}) is None
    True
    """
    if not isinstance(data, dict):
        return None
    inner = [(key, data[key]) for key in ("order", "cart") if isinstance(data.get(key), dict)]
    for key, cart in inner:
        if not CART_SIGNS.isdisjoint(cart):
            return key, cart
    if "cart_id" in data or "line_items" in data:
        return "cart", data
    return inner[0] if inner else None


def find_carts(events: pd.DataFrame) -> Found:
    """Find the snapshots of a table of events, in the table's order.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    """
    found = Found([], [], [], [], [])
    columns = (events[name].tolist() for name in ("recording_id", "seq", "event", "data"))
    for recording_id, seq, event, data in zip(*columns, strict=True):
        if not data or (hit := cart_in(data)) is None:
            continue
        kind, cart = hit
        is_order = event in ORDER_EVENTS or bool(cart.get("platform_order_number"))
        found.recording_ids.append(recording_id)
        found.seqs.append(seq)
        found.events.append(event)
        found.carts.append(cart)
        found.kinds.append("order" if is_order else kind)
    return found


def parts(cart: Json, field: str) -> list[Json]:
    """Return the objects in a list of the cart, such as its ``line_items``.

    What is no list, or no object in it, is left out here; the snapshot's ``other`` keeps it.
    """
    values = cart.get(field)
    if type(values) is not list:
        return []
    if set(map(type, values)) <= {dict}:
        return values
    return [value for value in values if type(value) is dict]


def as_list(value: object) -> list[Any]:
    """Return the elements of a list that are not null; nothing for what is no list."""
    return [each for each in value if each is not None] if isinstance(value, list) else []
