"""Statistics' input from a saved set, read part by part: some fifty bytes for each event.

The full tables are for looking at orders; those of ten million would not fit into memory. Here each
part is read, the last arrival of each event is noted with its order, and the part is let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.snapshots import why_unread
from firmly_nb.display.text import count
from firmly_nb.latency.columns import categorical, is_value
from firmly_nb.latency.stages import Arrivals, last_arrivals, stage_columns
from firmly_nb.recorder.records import End, decode
from firmly_nb.recorder.tables import unfinished
from firmly_nb.recordings.sources import (
    EVENT_ENDS,
    EVENT_NOTES,
    ORDER_ENDS,
    ORDER_NOTES,
    compact,
    stage_ends,
)
from firmly_nb.store.columns import at_once, failed, read_rows
from firmly_nb.store.schema import STORED_EVENTS, coded, conform, series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.stages import LastArrivals, StageColumns
    from firmly_nb.schema import Column
    from firmly_nb.store.columns import Part, PartFile, StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.int64]

FEW = 8  # of so many orders of a part one: not worth reading all of it
NOTED = r'"unfinished_bytes":[1-9]|"clock_step_us":-?(?:[1-9]|0\.[0-9]*[1-9])'
# What events held is read for older sets; of more events that would take too long.
MOST_SEARCHED, SEARCHED_AT_ONCE = 100_000, 2_000
SCHEDULED_PLACED = "scheduled_time_to_order_placed_ms"
COLUMNS = ("event", "t_ms", "uncertainty_us", "coalesced")


def order_ends(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``ORDER_ENDS`` of some recordings of a set, by their places among these."""
    columns = _order_columns(stored_set, rows, ORDER_ENDS.columns[1:])
    return compact(ORDER_ENDS, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def _order_columns(
    stored_set: StoredSet, rows: Rows, wanted: Sequence[Column]
) -> dict[str, pd.Series[Any]]:
    """Return columns of some orders; what older versions did not write is made of others."""
    stored = {c.name: "merchant" if c.name == "domain" else c.name for c in wanted}
    stored.pop(SCHEDULED_PLACED, None)
    found, chosen = stored_set.fresh_orders(list(stored.values())), pa.array(rows)
    columns = {
        c.name: series(found[stored[c.name]].take(chosen), c) for c in wanted if c.name in stored
    }
    columns[SCHEDULED_PLACED] = columns["time_to_order_placed_ms"] + columns["schedule_lag_ms"]
    return columns


def order_notes(stored_set: StoredSet, rows: Rows, judged: Judged | None) -> pd.DataFrame:
    """Return ``ORDER_NOTES`` of some recordings of a set, by their places among these.

    Parameters
    ----------
    stored_set, rows
        The set, and which of its recordings.
    judged
        Which orders are judged now, since an older version did not; by their places among these.
    """
    columns: dict[str, Any] = dict(_order_columns(stored_set, rows, ORDER_NOTES.columns[1:]))
    if judged:
        exists = columns["order_exists"].astype("object").to_numpy(copy=True)
        exists[judged.positions] = judged.order_exists
        columns["order_exists"] = list(exists)
    # Older versions wrote these down in the record of the end only.
    parts = zip(stored_set.parts, stored_set.begins, strict=False)
    old = [
        begin + np.arange(len(part.index))
        for part, begin in parts
        if not part.orders.has("clock_step_us")
    ]
    positions = np.flatnonzero(np.isin(rows, np.concatenate(old))) if old else rows[:0]
    if len(positions):
        ends = stored_set.fresh_orders(["end"])["end"].take(pa.array(rows[positions]))
        told = pc.fill_null(pc.match_substring_regex(ends, NOTED), fill_value=False).to_numpy()
        unfinished_ = columns["unfinished"].astype("object").to_numpy(copy=True)
        stepped = columns["clock_step_us"].to_numpy(copy=True)
        for position in np.flatnonzero(told).tolist():
            end = decode(ends[position].as_py().encode())
            if isinstance(end, End):
                unfinished_[positions[position]] = unfinished(end)
                stepped[positions[position]] = end.clock_step_us
        columns |= {"unfinished": unfinished_, "clock_step_us": stepped}
    return compact(ORDER_NOTES, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def event_notes(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``EVENT_NOTES`` of the events of some recordings that there is a caveat about."""
    names = EVENT_NOTES.names[1:]
    which, own = _own_milestones(stored_set, rows)

    def read(one: tuple[Part, Numbers]) -> pd.DataFrame:
        part, numbers = one
        chosen = np.flatnonzero(numbers >= 0)
        table, owner = _columns(stored_set, part, chosen, [*names, "cart_id"])
        orders = numbers[chosen][owner]
        found: dict[str, Any] = {c.name: series(table[c.name], c) for c in EVENT_NOTES.columns[1:]}
        if part.events is not None and not part.events.has("unread"):
            positions = np.flatnonzero(pc.is_null(table["cart_id"]).to_numpy())
            found["unread"] = _why_unread(stored_set, part, chosen, positions, (which[orders], own))
        noted = compact(EVENT_NOTES, found | {"recording_id": orders})
        kept = noted["unread"].notna().to_numpy() | is_value(noted["clock"], "user")
        return noted[kept]

    return EVENT_NOTES.concat(_of_parts(stored_set, rows, read))


def _why_unread(
    stored_set: StoredSet,
    part: Part,
    chosen: Rows,
    positions: NDArray[np.intp],
    milestones: tuple[NDArray[np.intp], list[tuple[str, ...]]],
) -> pd.Categorical[Any]:
    """Say which carts of a part that an older version wrote were not read; a null stands for none.

    Parameters
    ----------
    stored_set, part, chosen
        The set, its part, and which orders of it.
    positions
        Which of their events have no cart; all others were read.
    milestones
        For each event the place of its own event names, -1 for none; and these names.
    """
    rows, _ = stored_set.positions_of(part).rows(chosen)
    known: dict[str, int] = {}
    codes = np.full(len(rows), -1, dtype=np.int32)
    if len(positions) > MOST_SEARCHED:
        stored_set.warn(
            f"{stored_set.root}: {count(len(positions), 'event')} of {part.name} were not searched "
            "for carts that cannot be read. A smaller selection is."
        )
        positions = positions[:0]
    which, own = milestones
    for begin in range(0, len(positions), SEARCHED_AT_ONCE):
        some = positions[begin : begin + SEARCHED_AT_ONCE]
        if part.events is None:
            break
        table = _at(part.events, rows[some], ["event", "data"])
        texts, names = table["data"].to_pylist(), table["event"].to_pylist()
        for position, text, name in zip(some.tolist(), texts, names, strict=True):
            data = None if text is None else orjson.loads(text)
            mine = own[which[position]] if which[position] >= 0 else None
            if reason := why_unread(data, name, mine):
                codes[position] = known.setdefault(reason, len(known))
    return categorical(codes, list(known))


def stage_and_event_ends(stored_set: StoredSet, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ``STAGE_ENDS`` and ``EVENT_ENDS`` of some recordings of a set."""
    parts = _read(stored_set, rows)
    return stage_ends(stage_columns([part.last for part in parts])), _event_ends(parts)


def stored_stages(stored_set: StoredSet, rows: Rows) -> StageColumns:
    """Return the columns of ``STAGES`` of some recordings of a set."""
    return stage_columns([part.last for part in _read(stored_set, rows)])


class Judged(NamedTuple):
    """Orders that were saved without a judgement: which of those asked for, and what was found."""

    positions: Rows
    order_number: list[str | None]
    order_exists: list[str]
    evidence: list[str]


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

    def noted(columns: pa.Table, orders: Numbers, owner: Rows) -> _Read:
        """Return the events of these orders; those of an order are in order of arrival."""
        names, known = coded(columns["event"])
        t_ms, uncertainty_us, coalesced = (_numbers(columns[name]) for name in COLUMNS[1:])
        came = Arrivals(owner, names, known, t_ms, uncertainty_us, coalesced)
        last = last_arrivals(came, which[orders], own)
        last = [one._replace(orders=orders[one.orders]) for one in last]
        return _Read(last, orders[owner], names, known, coalesced)

    def read(one: tuple[Part, Numbers]) -> _Read:
        part, numbers = one
        chosen = np.flatnonzero(numbers >= 0)
        columns, owner = _columns(stored_set, part, chosen, COLUMNS)
        return noted(columns, numbers[chosen], owner)

    return _of_parts(stored_set, rows, read)


def _of_parts(
    stored_set: StoredSet, rows: Rows, read: Callable[[tuple[Part, Numbers]], Any]
) -> list[Any]:
    """Read each part that has some of the orders, given their numbers there, -1 for the others."""
    number = np.full(len(stored_set), -1, dtype=np.int32)
    number[rows] = np.arange(len(rows))
    every = zip(stored_set.parts, np.split(number, stored_set.begins[1:]), strict=False)
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


def _columns(
    stored_set: StoredSet, part: Part, chosen: Rows, names: Sequence[str]
) -> tuple[pa.Table, Rows]:
    """Read the events of the chosen orders of a part, and the place of each one's order."""
    rows, owner = stored_set.positions_of(part).rows(chosen)
    if part.events is None or not len(rows):  # perhaps its ids could not be read
        return conform(pa.table({}), STORED_EVENTS, names), owner[:0]
    if len(rows) * FEW < part.events.rows:
        return _at(part.events, rows, names), owner
    table = part.events.read(names)
    if not np.array_equal(rows, np.arange(len(table))):
        table = table.take(pa.array(rows))
    return table, owner


def _at(file: PartFile, rows: Rows, names: Sequence[str]) -> pa.Table:
    """Read some rows of a file, in any order."""
    wanted = np.sort(rows)
    return read_rows(file, wanted, names).take(pa.array(np.searchsorted(wanted, rows)))


def _numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    found: NDArray[Any] = values.to_numpy()
    return found
