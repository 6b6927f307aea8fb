"""Statistics' input from a saved set: its columns, as numbers, each put to its place at once.

The full tables are for looking at orders; those of ten million would not fit into memory. Only
what caveats need of events is asked of DuckDB, which gives the few that there is one about.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.snapshots import why_unread
from firmly_nb.disk import database
from firmly_nb.display.text import count
from firmly_nb.latency.columns import categorical, is_value
from firmly_nb.recorder.records import End, decode
from firmly_nb.recorder.tables import EVENTS, unfinished
from firmly_nb.recordings.as_read import (
    TOGETHER,
    in_one,
    joined_columns,
    numbers_of,
    plain,
    together,
)
from firmly_nb.recordings.relations import files_relation
from firmly_nb.recordings.sources import EVENT_NOTES, ORDER_NOTES, compact
from firmly_nb.store.columns import PartFile, Same, at_once, failed
from firmly_nb.store.schema import conform, series
from firmly_nb.store.stages import own_milestones
from firmly_nb.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.schema import Column, Table
    from firmly_nb.store.columns import StoredSet

    Numbers = NDArray[np.int32]
    Columns = tuple[Any, ...]  # an array each, or the value that all rows have
    Rows = NDArray[np.signedinteger[Any]]

NOTED = r'"unfinished_bytes":[1-9]|"clock_step_us":-?(?:[1-9]|0\.[0-9]*[1-9])'
MOST_SEARCHED = 100_000  # events of an older set; to read what more held would take too long
SCHEDULED_PLACED = "scheduled_time_to_order_placed_ms"
MEMORY = "64MB"  # of DuckDB, whatever the size of the set: rows go on as they are read
EMPTY = {"float64": np.nan, "int64": 0}  # what stands for a null
MANY_TEXTS = 32_000  # of one column: their numbers take two bytes up to here


def order_ends(stored_set: StoredSet, rows: Rows, table: Table) -> pd.DataFrame:
    """Return ``ORDER_ENDS``, or a part of it, of some recordings, by their places among these."""
    columns = _order_columns(stored_set, rows, table.columns[1:])
    return compact(table, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def _order_columns(stored_set: StoredSet, rows: Rows, wanted: Sequence[Column]) -> dict[str, Any]:
    """Return columns of some orders; what older versions did not write is made of others."""
    own = {SCHEDULED_PLACED, "started_at"}
    stored = {"merchant" if c.name == "domain" else c.name: c for c in wanted if c.name not in own}
    found = {name: _Column(column, len(rows)) for name, column in stored.items()}
    there = [name for name in stored if any(part.orders.has(name) for part in stored_set.parts)]
    number = numbers_of(stored_set, rows)

    # Each value goes to its place at once: of millions a second copy takes its time.
    def take(here: slice, groups: Sequence[_Group]) -> None:
        numbers: Any = number[here].astype(np.intp)  # numpy would do so for each column
        mine: Any = slice(None)
        if numbers.min(initial=0) < 0:
            mine = np.flatnonzero(numbers >= 0)
            numbers = numbers[mine]
        sizes = [size for size, _ in groups]
        for name in there:
            found[name].put(numbers, mine, [values[name] for _, values in groups], sizes)

    if there:
        _read_orders(stored_set, there, number, take)
    made = in_threads(lambda name: found.pop(name).whole(), [*stored], len(stored))
    columns: dict[str, Any] = {c.name: one for c, one in zip(stored.values(), made, strict=True)}
    if any(column.name == "started_at" for column in wanted):
        columns["started_at"] = stored_set.starts[rows]
    if any(column.name == SCHEDULED_PLACED for column in wanted):
        columns[SCHEDULED_PLACED] = columns["time_to_order_placed_ms"] + columns["schedule_lag_ms"]
    return columns


class _Column:
    """A column while it is read, by several threads: one value until another one comes.

    Parameters
    ----------
    column
        The column.
    size
        How many values it has.
    """

    def __init__(self, column: Column, size: int) -> None:
        self._size = size
        self._column = column
        self._is_number = column.dtype in EMPTY
        self._dtype = column.dtype if self._is_number else "int16"
        self._nothing = EMPTY.get(column.dtype, -1)
        self._one: Any = None
        self._texts: dict[str, int] = {}  # of these there are numbers while it is read
        self._values: NDArray[Any] | None = None
        self._lock = Lock()

    def put(
        self,
        numbers: Rows,
        mine: Any,
        values: Sequence[pa.ChunkedArray | Same],
        sizes: Sequence[int],
    ) -> None:
        """Put some of the values that were read, group by group, to their places."""
        parts = together(values)
        if len(parts) < len(values):
            sizes = [sum(sizes)]
        if self._is_number:
            found = joined_columns([plain(one, self._nothing) for one in parts], sizes)
            with self._lock:
                array = self._array(found)
            if array is not None:
                array[numbers] = found[mine] if np.ndim(found) else found
            return
        with self._lock:
            found = joined_columns([_numbered(one, self._texts) for one in parts], sizes)
            if len(self._texts) > MANY_TEXTS:
                self._dtype = "int32"
                if self._values is not None:
                    self._values = self._values.astype(np.int32, copy=False)
            array = self._array(found)
            if array is not None:
                array[numbers] = found[mine] if np.ndim(found) else found

    def _array(self, values: Any) -> NDArray[Any] | None:
        """Return where values go to; None where all are one value so far."""
        if self._values is None:
            if not np.ndim(values) and self._one in {None, values}:
                self._one = values
            else:
                self._values = self._all().copy()
        return self._values

    def _all(self) -> NDArray[Any]:
        if self._values is not None:
            return self._values
        one = self._nothing if self._one is None else self._one
        return np.broadcast_to(np.array(one, self._dtype), self._size)

    def whole(self) -> pd.Series[Any]:
        """Return all values."""
        import pandas as pd

        texts = [*self._texts]
        values: Any = self._all()
        if self._values is None and not self._is_number:  # they need not be looked through
            values = categorical(values[:1], texts).repeat(self._size)
        elif not self._is_number:
            values = categorical(values, texts)
        return pd.Series(values, dtype=self._column.dtype, copy=False)


# Columns of a group of rows of a file, and how many rows it has.
_Group: TypeAlias = "tuple[int, dict[str, pa.ChunkedArray | Same]]"


def _read_orders(
    stored_set: StoredSet,
    names: Sequence[str],
    number: Numbers,
    take: Callable[[slice, Sequence[_Group]], None],
) -> None:
    """Read columns of the orders of a set; several threads give them on, with where they stand.

    Of parts with no order that was asked for nothing is read. What no SHA-256 vouches for, and
    what is damaged, is read with a look at each page; that can show in the middle, and then all
    orders come once more.
    """

    def read(parts: list[tuple[int, PartFile]]) -> None:
        found: list[_Group] = []
        for _, file in parts:
            with file.groups() as groups:
                for group, size in enumerate(np.diff(file.bounds).tolist()):
                    known = {name: groups.same(group, name) for name in names}
                    there = groups.read([group], [name for name in names if known[name] is None])
                    found.append((size, {name: known[name] or there[name] for name in names}))
        begin = parts[0][0]
        take(slice(begin, begin + sum(size for size, _ in found)), found)

    parts = [
        (begin, part.orders)
        for begin, part in zip(stored_set.begins.tolist(), stored_set.parts, strict=False)
        if number[begin : begin + len(part)].max(initial=-1) >= 0
    ]
    if not all(file.is_known for _, file in parts) or any(map(failed, at_once(read, _runs(parts)))):
        fresh = stored_set.fresh_orders(names)
        take(slice(0, len(number)), [(len(number), dict(fresh))])


def _runs(parts: Sequence[tuple[int, PartFile]]) -> list[list[tuple[int, PartFile]]]:
    """Return parts that follow one another together: each step takes its time, if of few rows."""
    found: list[list[tuple[int, PartFile]]] = []
    rows = end = 0
    for begin, file in parts:
        if not found or begin != end or rows + file.rows > TOGETHER:
            found.append([])
            rows = 0
        found[-1].append((begin, file))
        rows, end = rows + file.rows, begin + file.rows
    return found


def _numbered(values: pa.ChunkedArray | Same, known: dict[str, int]) -> Any:
    """Return the number of each text, or the one of all, -1 for a null; new ones get the next."""
    if isinstance(values, Same):
        return -1 if values.value is None else known.setdefault(values.value, len(known))
    if values.null_count == len(values):
        return -1
    values = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    values = in_one(values)
    codes = [known.setdefault(text, len(known)) for text in values.dictionary.to_pylist()]
    places = values.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    return np.array([*codes, -1], dtype=np.int32)[places]


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
        begin + np.arange(len(part))
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
            end = None
            with suppress(ValueError):  # whoever asks for that order is told
                end = decode(ends[position].as_py().encode())
            if isinstance(end, End):
                unfinished_[positions[position]] = unfinished(end)
                stepped[positions[position]] = end.clock_step_us
        columns |= {"unfinished": unfinished_, "clock_step_us": stepped}
    return compact(ORDER_NOTES, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def event_notes(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``EVENT_NOTES`` of the events of some recordings that there is a caveat about."""
    parts = stored_set.parts_with_events()
    old = [path for path, part in parts.items() if not part.has("unread")]
    new = [path for path in parts if path not in old]
    names = ["recording_id", *EVENT_NOTES.names[1:]]
    found = [conform(pa.table({}), EVENTS, names)]
    connection = database(memory_limit=MEMORY)
    # An older version did not say of a cart whether it was read; what has none may not have been.
    for paths, where in ((new, "unread IS NOT NULL"), (old, "cart_id IS NULL")):
        if paths:
            asked = files_relation(paths, "events", connection)
            asked = asked.filter(f"{where} OR clock = 'user'").project(", ".join(names))
            found.append(conform(asked.to_arrow_table(), EVENTS, names))
    noted = pa.concat_tables(found).combine_chunks()
    if not len(noted):
        return EVENT_NOTES.empty()
    ids = stored_set.recording_ids.take(pa.array(rows)).combine_chunks()
    numbers = pc.fill_null(pc.index_in(noted["recording_id"], value_set=ids), -1).to_numpy()
    seqs = noted["seq"].to_numpy()
    in_order = np.lexsort((seqs, numbers))
    in_order = in_order[numbers[in_order] >= 0]
    noted, numbers = noted.take(pa.array(in_order)), numbers[in_order].astype(np.int32)
    columns: dict[str, Any] = {c.name: series(noted[c.name], c) for c in EVENT_NOTES.columns[1:]}
    if old and len(numbers):
        unread = _why_unread(stored_set, rows, old, noted, numbers)
        columns["unread"] = columns["unread"].astype("object").where(unread.isna(), unread)
    kept = columns["unread"].notna().to_numpy() | is_value(columns["clock"], "user")
    found_notes: pd.DataFrame = compact(EVENT_NOTES, columns | {"recording_id": numbers})[kept]
    return found_notes


def _why_unread(
    stored_set: StoredSet, rows: Rows, paths: Sequence[str], noted: pa.Table, numbers: Numbers
) -> pd.Series[Any]:
    """Say which carts that an older version wrote were not read; a null stands for none.

    Parameters
    ----------
    stored_set, rows
        The set, and which of its recordings.
    paths
        Files of events that an older version wrote.
    noted, numbers
        Events that have no cart, and the place of each one's order among the recordings.
    """
    import pandas as pd

    found = np.full(len(noted), None, dtype=object)
    connection = database(memory_limit=MEMORY)
    mine = pa.table({"recording_id": noted["recording_id"], "seq": noted["seq"]})
    connection.from_arrow(mine.append_column("row", pa.array(np.arange(len(mine))))).create("mine")
    asked = files_relation(paths, "events", connection).filter("cart_id IS NULL")
    asked = asked.join(connection.table("mine"), "recording_id, seq")
    [(n,)] = asked.aggregate("count(*)").fetchall()
    if n > MOST_SEARCHED:
        stored_set.warn(
            f"{stored_set.root}: {count(n, 'event')} were not searched for carts that cannot be "
            "read. A smaller selection is."
        )
    else:
        which, own = _own_milestones(stored_set, rows)
        for at, name, text in asked.project('"row", event, data').fetchall():
            data = None if text is None else orjson.loads(text)
            place = which[numbers[at]]
            found[at] = why_unread(data, name, own[place] if place >= 0 else None)
    return pd.Series(found, dtype="object")


class Judged(NamedTuple):
    """Orders that were saved without a judgement: which of those asked for, and what was found."""

    positions: Rows
    order_number: list[str | None]
    order_exists: list[str]
    evidence: list[str]


def _own_milestones(
    stored_set: StoredSet, rows: Rows
) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return for each order the place of its own event names, -1 for none; and these names."""
    column = stored_set.fresh_orders(["milestones"])["milestones"].take(pa.array(rows))
    return own_milestones(column)[:2]
