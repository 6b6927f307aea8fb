"""Statistics' input from a saved set, read part by part: some fifty bytes for each event.

The full tables are for looking at orders; those of ten million would not fit into memory. Here each
part is read, the last arrival of each event is noted with its order, and the part is let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.latency.columns import categorical
from firmly_nb.latency.stages import Arrivals, last_arrivals, stage_columns
from firmly_nb.recordings.sources import EVENT_ENDS, ORDER_ENDS, compact, stage_ends
from firmly_nb.store.columns import at_once, failed, read_rows
from firmly_nb.store.schema import STORED_EVENTS, coded, conform, series

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.stages import LastArrivals, StageColumns
    from firmly_nb.store.columns import Part, StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.int64]

FEW = 8  # of so many orders of a part one: not worth reading all of it
COLUMNS = ("event", "t_ms", "uncertainty_us", "coalesced")


def order_ends(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``ORDER_ENDS`` of some recordings of a set, by their places among these."""
    stored = {c.name: "merchant" if c.name == "domain" else c.name for c in ORDER_ENDS.columns}
    stored.pop("recording_id")
    found, chosen = stored_set.fresh_orders(list(stored.values())), pa.array(rows)
    columns: dict[str, Any] = {
        c.name: series(found[stored[c.name]].take(chosen), c)
        for c in ORDER_ENDS.columns
        if c.name in stored
    }
    return compact(ORDER_ENDS, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def stage_and_event_ends(stored_set: StoredSet, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ``STAGE_ENDS`` and ``EVENT_ENDS`` of some recordings of a set."""
    parts = _read(stored_set, rows)
    return stage_ends(stage_columns([part.last for part in parts])), _event_ends(parts)


def stored_stages(stored_set: StoredSet, rows: Rows) -> StageColumns:
    """Return the columns of ``STAGES`` of some recordings of a set."""
    return stage_columns([part.last for part in _read(stored_set, rows)])


class _Read(NamedTuple):
    """A part as it was read: stages and events, with the numbers of their orders."""

    last: list[LastArrivals]
    orders: Numbers
    names: Numbers
    known: list[str]
    coalesced: NDArray[np.bool_]


def _read(stored_set: StoredSet, rows: Rows) -> list[_Read]:
    """Read the events of all parts; one that is damaged is left out, with a warning."""
    which, own = _own_milestones(stored_set, rows)
    number = np.full(len(stored_set), -1, dtype=np.int32)
    number[rows] = np.arange(len(rows))

    def noted(columns: pa.Table, orders: Numbers, owner: Rows) -> _Read:
        """Return the events of these orders; those of an order are in order of arrival."""
        names, known = coded(columns["event"])
        t_ms, uncertainty_us, coalesced = (_numbers(columns[name]) for name in COLUMNS[1:])
        came = Arrivals(owner, names, known, t_ms, uncertainty_us)
        last = last_arrivals(came, which[orders], own)
        last = [one._replace(orders=orders[one.orders]) for one in last]
        return _Read(last, orders[owner], names, known, coalesced)

    def read(one: tuple[Part, Numbers]) -> _Read:
        part, numbers = one
        chosen = np.flatnonzero(numbers >= 0)
        columns, owner = _columns(stored_set, part, chosen)
        return noted(columns, numbers[chosen], owner)

    ends = np.cumsum([len(part.index) for part in stored_set.parts], dtype=np.int64)
    every = zip(stored_set.parts, np.split(number, ends), strict=False)
    each = [(part, numbers) for part, numbers in every if (numbers >= 0).any()]
    found = []
    for one, done in zip(each, at_once(read, each), strict=True):
        if failed(done):
            stored_set.leave_out_events(one[0], done)
        # Without its events a part still has its orders.
        found.append(read(one) if failed(done) else done)
    return found


def _own_milestones(
    stored_set: StoredSet, rows: Rows
) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return for each order the place of its own event names, -1 for none; and these names."""
    column = stored_set.fresh_orders(["milestones"])["milestones"].take(pa.array(rows))
    codes, texts = coded(column)
    position = np.full(len(texts) + 1, -1)  # the last place is for code -1
    own: list[tuple[str, ...]] = []
    for code in np.unique(codes[codes >= 0]).tolist():
        names = _event_names(texts[code])
        if names is None:
            stored_set.warn(f"{stored_set.root}: {texts[code]!r:.80} is no list of event names")
        else:
            position[code] = len(own)
            own.append(names)
    return position[codes], own


def _event_names(text: str) -> tuple[str, ...] | None:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def _event_ends(parts: list[_Read]) -> pd.DataFrame:
    known: dict[str, int] = {}
    codes = [np.empty(0, dtype=np.int32)]
    for part in parts:
        shared = [known.setdefault(name, len(known)) for name in part.known]
        codes.append(np.array([*shared, -1], dtype=np.int32)[part.names])
    orders = np.concatenate([codes[0], *(part.orders for part in parts)])
    coalesced = np.concatenate([np.empty(0, bool), *(part.coalesced for part in parts)])
    milestone = categorical(np.concatenate(codes), list(known))
    return compact(
        EVENT_ENDS, {"recording_id": orders, "milestone": milestone, "coalesced": coalesced}
    )


def _columns(stored_set: StoredSet, part: Part, chosen: Rows) -> tuple[pa.Table, Rows]:
    """Read the events of the chosen orders of a part, and the place of each one's order."""
    nothing = conform(pa.table({}), STORED_EVENTS, COLUMNS), np.empty(0, dtype=np.int64)
    if part.events is None:
        return nothing
    rows, owner = stored_set.positions_of(part).rows(chosen)
    if part.events is None or not len(rows):  # its ids could not be read
        return nothing
    if len(rows) * FEW < part.events.rows:
        wanted = np.sort(rows)
        table = read_rows(part.events, wanted, COLUMNS).take(
            pa.array(np.searchsorted(wanted, rows))
        )
    else:
        table = part.events.read(COLUMNS)
        if not np.array_equal(rows, np.arange(len(table))):
            table = table.take(pa.array(rows))
    return table, owner


def _numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    found: NDArray[Any] = values.to_numpy()
    return found
