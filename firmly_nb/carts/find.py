"""Where the carts are: the snapshots in a table of events, and the parts of a cart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmly_nb.api.snapshots import find_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The carts of a table of events, as parallel lists: one entry a snapshot."""

    recording_ids: list[str]
    seqs: list[int]
    events: list[str]
    carts: list[Json]
    kinds: list[str]
    order_numbers: list[str | None]

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
                self.order_numbers[here],
            )

    def by_recording(self) -> list[list[int]]:
        """Return the places of each recording's snapshots, in the order of their events."""
        places: dict[str, list[int]] = {}
        for place, recording_id in enumerate(self.recording_ids):
            places.setdefault(recording_id, []).append(place)
        return [sorted(order, key=self.seqs.__getitem__) for order in places.values()]


def find_carts(events: pd.DataFrame) -> Found:
    """Find the snapshots of a table of events, in the table's order.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    """
    found = Found([], [], [], [], [], [])
    columns = (events[name].tolist() for name in ("recording_id", "seq", "event", "data"))
    for recording_id, seq, event, data in zip(*columns, strict=True):
        if not data or (snapshot := find_snapshot(data, event)) is None:
            continue
        found.recording_ids.append(recording_id)
        found.seqs.append(seq)
        found.events.append(event)
        found.carts.append(snapshot.data)
        found.kinds.append(snapshot.kind)
        found.order_numbers.append(snapshot.order_number)
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
