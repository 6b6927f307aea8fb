"""Statistics' input from a saved set: its columns, as numbers, asked of DuckDB.

The full tables are for looking at orders; those of ten million would not fit into memory. Figures
are made of the stages that lie in the set, few at a time, so that events need not be read.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.snapshots import why_unread
from firmly_nb.display.text import count
from firmly_nb.latency.columns import Reads, categorical, is_value
from firmly_nb.latency.stages import STORED_STAGES, StageBlock, StageColumns
from firmly_nb.recorder.records import End, decode
from firmly_nb.recorder.tables import EVENTS, unfinished
from firmly_nb.recordings.sources import (
    EVENT_NOTES,
    ORDER_NOTES,
    STAGE_ENDS,
    as_declared,
    compact,
    event_counts,
    files_relation,
    parquet,
    plain_texts,
)
from firmly_nb.store.columns import Same, at_once, failed
from firmly_nb.store.schema import (
    arrow_schema,
    conform,
    series,
)
from firmly_nb.store.stages import own_milestones, stage_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.schema import Column, Table
    from firmly_nb.store.columns import PartFile, RowGroup, StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.signedinteger[Any]]

NOTED = r'"unfinished_bytes":[1-9]|"clock_step_us":-?(?:[1-9]|0\.[0-9]*[1-9])'
MOST_SEARCHED = 100_000  # events of an older set; to read what more held would take too long
SCHEDULED_PLACED = "scheduled_time_to_order_placed_ms"
MEMORY = "1GB"  # of DuckDB, whatever the size of the set: rows go on as they are read
AT_ONCE = 100_000_000  # bytes of the stages that are in memory at once
FILES_AT_ONCE = 8  # that are read before what they hold is put to its place
OFTEN = 0.25  # of the orders: stages of more have a place for each of them
DENSE_BYTES, SPARSE_BYTES = 20, 60  # of one stage of an order, while it is read
# What figures take of a stage besides its name and its order, and what a table of stages takes.
OF_BLOCKS = ("duration_ms", "uncertainty_us", "place", "coalesced", "together", "gathered")
OF_STAGES = (*OF_BLOCKS, "start_ms", "end_ms")
EMPTY = {"float64": np.nan, "int64": 0}  # what stands for a null
MANY_TEXTS = 32_000  # of one column: their numbers take two bytes up to here
NAMED = ("stage", "from_milestone", "to_milestone")
DTYPES = {c.name: c.dtype for c in STORED_STAGES.columns}


def order_ends(stored_set: StoredSet, rows: Rows, table: Table) -> pd.DataFrame:
    """Return ``ORDER_ENDS``, or a part of it, of some recordings, by their places among these."""
    columns = _order_columns(stored_set, rows, table.columns[1:])
    return compact(table, columns | {"recording_id": np.arange(len(rows), dtype=np.int32)})


def _order_columns(
    stored_set: StoredSet, rows: Rows, wanted: Sequence[Column]
) -> dict[str, pd.Series[Any]]:
    """Return columns of some orders; what older versions did not write is made of others."""
    import pandas as pd

    own = {SCHEDULED_PLACED, "started_at"}
    stored = {"merchant" if c.name == "domain" else c.name: c for c in wanted if c.name not in own}
    there = [name for name in stored if any(part.orders.has(name) for part in stored_set.parts)]
    numeric = {name for name, column in stored.items() if column.dtype in EMPTY}
    found: dict[str, NDArray[Any]] = {
        name: np.full(len(rows), EMPTY.get(c.dtype, -1), c.dtype if name in numeric else np.int16)
        for name, c in stored.items()
    }
    texts: dict[str, dict[str, int]] = {name: {} for name in stored if name not in numeric}
    number = _numbers_of(stored_set, rows)
    # Each value goes to its place at once: of millions a second copy takes its time.
    for here, values in _order_pieces(stored_set, there):
        numbers: Any = number[here]
        mine: Any = slice(None)
        if numbers.min(initial=0) < 0:
            mine = np.flatnonzero(numbers >= 0)
            numbers = numbers[mine]
        for name in there:
            put = values[name]
            if name in numeric:
                put = _plain(put, EMPTY[stored[name].dtype])
            else:
                put = _numbered(put, texts[name])
                if len(texts[name]) > MANY_TEXTS and found[name].dtype == np.int16:
                    found[name] = found[name].astype(np.int32)
            found[name][numbers] = put[mine] if isinstance(put, np.ndarray) else put
    columns: dict[str, Any] = {}
    # What is a column of the table already need not stay as it was read.
    for name, column in stored.items():
        whole: Any = found.pop(name)
        if name in texts:
            whole = categorical(whole, [*texts[name]])
        columns[column.name] = pd.Series(whole, dtype=column.dtype, copy=False)
    if any(column.name == "started_at" for column in wanted):
        starts = stored_set.starts[rows].view("datetime64[ns]")
        columns["started_at"] = pd.Series(starts, copy=False).dt.tz_localize("UTC")
    if any(column.name == SCHEDULED_PLACED for column in wanted):
        columns[SCHEDULED_PLACED] = columns["time_to_order_placed_ms"] + columns["schedule_lag_ms"]
    return columns


def _numbers_of(stored_set: StoredSet, rows: Rows) -> Numbers:
    """Return the place of each recording of a set among these rows, -1 for the others."""
    number = np.full(len(stored_set), -1, dtype=np.int32)
    number[rows] = np.arange(len(rows), dtype=np.int32)
    return number


def _order_pieces(
    stored_set: StoredSet, names: Sequence[str]
) -> Iterator[tuple[slice, dict[str, pa.Array | Same]]]:
    """Return columns of the orders of a set, and where they stand in it, some rows at a time.

    What no SHA-256 vouches for, and what is damaged, is read with a look at each page; that can
    show in the middle, and then all orders come once more.
    """
    if not names:
        return

    def read(part: tuple[int, PartFile]) -> list[tuple[slice, dict[str, pa.Array | Same]]]:
        begin, file = part
        bounds = begin + file.bounds
        groups = zip(bounds, bounds[1:], file.groups(), strict=False)
        return [(slice(a, b), group.read(names)) for a, b, group in groups]

    parts = [
        (begin, part.orders)
        for begin, part in zip(stored_set.begins.tolist(), stored_set.parts, strict=False)
    ]
    if all(file.is_known for _, file in parts):
        for pieces in read_ahead(read, parts):
            if failed(pieces):
                break
            yield from pieces
        else:
            return
    table = pa.table(stored_set.fresh_orders(names)).combine_chunks()
    yield slice(0, len(table)), {name: table[name].combine_chunks() for name in names}


def read_ahead(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """Do the same for each, as ``at_once`` does it, but only some before they are taken."""
    for begin in range(0, len(items), FILES_AT_ONCE):
        yield from at_once(work, items[begin : begin + FILES_AT_ONCE])


def _plain(values: pa.Array | Same, nothing: float) -> Any:
    """Return numbers as an array, or the one that all have; another one stands for a null."""
    if isinstance(values, Same):
        return nothing if values.value is None else values.value
    if values.null_count and not pa.types.is_floating(values.type):
        values = values.fill_null(nothing)
    return values.to_numpy(zero_copy_only=False)


def _numbered(values: pa.Array | Same, known: dict[str, int]) -> Any:
    """Return the number of each text, or the one of all, -1 for a null; new ones get the next."""
    if isinstance(values, Same):
        return -1 if values.value is None else known.setdefault(values.value, len(known))
    if values.null_count == len(values):
        return -1
    values = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    codes = [known.setdefault(text, len(known)) for text in values.dictionary.to_pylist()]
    places = values.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    return np.array([*codes, -1], dtype=np.int32)[places]


def connected() -> Any:
    """Return a connection to DuckDB with a limit to its memory, whatever the size of the set."""
    import duckdb

    return duckdb.connect(config={"memory_limit": MEMORY})


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
    connection = connected()
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
    connection = connected()
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


def stored_stage_ends(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``STAGE_ENDS`` of some recordings of a set."""
    return _Stages(stored_set, rows).ends()


def stored_event_counts(stored_set: StoredSet, rows: Rows) -> pd.DataFrame:
    """Return ``EVENT_COUNTS`` of some recordings of a set."""
    return _Stages(stored_set, rows).event_counts()


def stage_blocks(stored_set: StoredSet, rows: Rows) -> tuple[StageBlocks, Reads]:
    """Return the stages of some recordings one after the other, and what their events count."""
    found = _Stages(stored_set, rows)
    return found, found.reads()


def stages_relation(stored_set: StoredSet, connection: Any) -> Any:
    """Return the stages of a set as a DuckDB relation: its files, and what is in none."""
    files = stage_files(stored_set)
    nothing = arrow_schema(STORED_STAGES).empty_table()
    made = plain_texts(pa.concat_tables([nothing, *files.tables]).unify_dictionaries())
    found = as_declared(connection.from_arrow(made), "stages")
    if not files.paths:
        return found
    return as_declared(parquet(files.paths, connection), "stages").union(found)


def stored_stages(stored_set: StoredSet, rows: Rows) -> StageColumns:
    """Return the columns of ``STAGES`` of some recordings of a set."""
    return _Stages(stored_set, rows).whole()


class Judged(NamedTuple):
    """Orders that were saved without a judgement: which of those asked for, and what was found."""

    positions: Rows
    order_number: list[str | None]
    order_exists: list[str]
    evidence: list[str]


class _Rows(NamedTuple):
    """Rows of one stage, of orders that were asked for."""

    stage: str
    numbers: Numbers
    columns: dict[str, Any]  # an array each, or the value that all rows have

    def column(self, name: str) -> NDArray[Any]:
        """Return a column with a value for each row."""
        values = self.columns[name]
        if isinstance(values, np.ndarray):
            return values
        return np.full(len(self.numbers), values, dtype=DTYPES[name])


class _Held:
    """Stages in no file, as the group of rows of one."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def same(self, name: str) -> Same | None:
        """Nothing is told of columns."""

    def read(self, names: Sequence[str]) -> dict[str, pa.Array]:
        """Return columns."""
        return {name: self._table[name].combine_chunks() for name in names}


class _Stages:
    """Stages of some recordings of a set; a ``StageBlocks``.

    Of many orders only few stages are in memory at once.

    Parameters
    ----------
    stored_set, rows
        The set, and which of its recordings.
    """

    def __init__(self, stored_set: StoredSet, rows: Rows) -> None:
        files = stage_files(stored_set)
        self._orders = len(rows)
        self._number = _numbers_of(stored_set, rows)
        begins = np.append(stored_set.begins, len(stored_set))
        ends = begins[np.searchsorted(begins, files.begins, side="right").clip(max=len(begins) - 1)]
        # Of a few recordings few files need be opened.
        self._sources: list[tuple[int, PartFile | _Held]] = [
            (begin, file)
            for begin, end, file in zip(files.begins, ends.tolist(), files.files, strict=True)
            if self._number[begin:end].max(initial=-1) >= 0
        ]
        self._sources += [(0, _Held(table)) for table in files.tables if len(table)]

    def _read(self, names: Sequence[str], stages: Sequence[str] | None = None) -> Iterator[_Rows]:
        """Return columns of some stages, or of all, a piece at a time; texts as numbers and names.

        Parameters
        ----------
        names
            Which columns.
        stages
            Which stages.
        """

        def of_group(begin: int, group: RowGroup | _Held) -> list[_Rows]:
            told = group.same("stage")
            if stages is not None and told is not None and told.value not in stages:
                return []
            columns = group.read(["stage", "order_row", *names])
            codes, known = _texts(columns.pop("stage"))
            order_row = np.broadcast_to(_plain(columns.pop("order_row"), 0), len(group))
            numbers = self._number[begin + order_row]
            plain = {
                name: _texts(values) if name in NAMED else _plain(values, _empty(name))
                for name, values in columns.items()
            }
            return [
                _Rows(known[code], numbers[mine], {k: _part(v, mine) for k, v in plain.items()})
                for code, mine in _runs(codes, numbers)
                if stages is None or known[code] in stages
            ]

        def of_source(source: tuple[int, PartFile | _Held]) -> list[_Rows]:
            begin, file = source
            groups = [file] if isinstance(file, _Held) else file.groups()
            return [rows for group in groups for rows in of_group(begin, group)]

        for found in read_ahead(of_source, self._sources):
            if failed(found):  # it was as saved when it was looked at first
                raise found
            yield from found

    @cached_property
    def _counted(self) -> dict[str, _Counted]:
        """Number of times that the orders have each stage, with its ends and the events counted."""
        found: dict[str, _Counted] = {}
        for rows in self._read(("to_milestone", "n_events", "n_coalesced")):
            one = found.setdefault(rows.stage, _Counted({}, np.zeros(4, dtype=np.int64)))
            codes, names = rows.columns["to_milestone"]
            present = np.unique(codes).tolist() if isinstance(codes, np.ndarray) else [codes]
            one.ends.update((names[code], None) for code in present)
            n, shared = (rows.columns[name] for name in ("n_events", "n_coalesced"))
            size = len(rows.numbers)
            one.counts[:] += (size, _sum(n, size), _sum(shared, size), _sum(np.sign(n), size))
        return dict(sorted(found.items()))

    def __iter__(self) -> Iterator[StageBlock]:
        """Return each stage; few are read at once, so that others need not be in memory."""
        often, seldom = _Batch(), _Batch()
        for stage, (ends, counts) in self._counted.items():
            if len(ends) == 1 and counts[0] >= OFTEN * self._orders:
                yield from often.read_with(stage, DENSE_BYTES * self._orders, self._often)
            else:
                yield from seldom.read_with(stage, SPARSE_BYTES * int(counts[0]), self._seldom)
        yield from often.rest(self._often)
        yield from seldom.rest(self._seldom)

    def _often(self, stages: list[str]) -> Iterator[StageBlock]:
        """Read stages that most orders have: each value goes to the place of its order."""
        ends = [[*self._counted[stage].ends] for stage in stages]
        placed = {
            stage: _Placed(stage, end, self._orders)
            for stage, [end] in zip(stages, ends, strict=True)
        }
        for rows in self._read(OF_BLOCKS, stages):
            columns = rows.columns["duration_ms"], rows.columns["uncertainty_us"], _told(rows)
            placed[rows.stage].put(rows.numbers, columns)
        found = [*placed.values()]
        del placed
        # Its own event names may have one twice, so that an order has a stage twice.
        twice = [one.stage for one in found if not one.is_once]
        found = [one for one in found if one.is_once]
        while found:
            # Nothing here holds what was given.
            yield found.pop(0).block()
        if twice:
            yield from self._seldom(twice)

    def _seldom(self, stages: list[str]) -> Iterator[StageBlock]:
        """Read stages that few orders have, or one order twice, or that end in several ways."""
        pieces: dict[str, list[tuple[NDArray[Any], ...]]] = {}
        known: dict[str, int] = {}
        for rows in self._read((*OF_BLOCKS, "to_milestone"), stages):
            codes, names = rows.columns["to_milestone"]
            ends = np.array([known.setdefault(name, len(known)) for name in names], np.int32)[codes]
            told = np.broadcast_to(_told(rows), rows.numbers.shape)
            ends = np.broadcast_to(ends, rows.numbers.shape)
            times = rows.column("duration_ms"), rows.column("uncertainty_us")
            pieces.setdefault(rows.stage, []).append((rows.numbers, *times, told, ends))
        for stage in sorted(pieces):
            columns = [np.concatenate(column) for column in zip(*pieces.pop(stage), strict=True)]
            numbers, duration, unsure, told, which = columns
            in_order = np.lexsort((told >> 4, numbers))
            own = duration[in_order], unsure[in_order], told[in_order]
            yield _block(stage, [*known], numbers[in_order], own, which[in_order])

    def reads(self) -> Reads:
        """Return how many events the orders have, and how many of these share a read."""
        counts = sum((one.counts for one in self._counted.values()), np.zeros(4, np.int64))
        return Reads(*counts[1:].tolist())

    def event_counts(self) -> pd.DataFrame:
        """Return ``EVENT_COUNTS``."""
        counts = np.zeros((2, self._orders), dtype=np.int32)
        for rows in self._read(("place", "n_events", "n_coalesced")):
            place, n, shared = rows.columns.values()
            if not isinstance(place, np.ndarray) and place:
                continue
            first = slice(None) if not isinstance(place, np.ndarray) else place == 0
            counts[:, rows.numbers[first]] = _part(n, first), _part(shared, first)
        return event_counts(*counts)

    def ends(self) -> pd.DataFrame:
        """Return ``STAGE_ENDS``, stage by stage."""
        blocks = sorted((block for block in self if len(block.orders)), key=lambda b: b.first)
        sizes = [len(block.orders) for block in blocks]
        codes = np.repeat(np.arange(len(blocks)), sizes)
        columns: dict[str, Any] = {
            "stage": categorical(codes, [block.name for block in blocks]),
            "to_milestone": _ends_of(blocks),
        }
        for name in STAGE_ENDS.names:
            if name not in columns:
                of = "orders" if name == "recording_id" else name
                parts = [np.empty(0, dtype="int32" if of == "orders" else DTYPES[name])]
                columns[name] = np.concatenate([*parts, *(getattr(one, of) for one in blocks)])
        return compact(STAGE_ENDS, columns)

    def whole(self) -> StageColumns:
        """Return the columns of all stages, order by order."""
        known: dict[str, int] = {}
        pieces: dict[str, list[NDArray[Any]]] = {"orders": [np.empty(0, np.int32)]}
        for name in NAMED:
            pieces[name] = [np.empty(0, np.int32)]
        for name in OF_STAGES:
            pieces[name] = [np.empty(0, DTYPES[name])]
        for rows in self._read((*OF_STAGES, *NAMED[1:])):
            size = rows.numbers.shape
            pieces["orders"].append(rows.numbers)
            of_stage = np.int32(known.setdefault(rows.stage, len(known)))
            pieces["stage"].append(np.full(size, of_stage))
            for name in NAMED[1:]:
                codes, names = rows.columns[name]
                numbers = [known.setdefault(one, len(known)) for one in names]
                pieces[name].append(np.broadcast_to(np.array(numbers, np.int32)[codes], size))
            for name in OF_STAGES:
                pieces[name].append(rows.column(name))
        found = {name: np.concatenate(pieces.pop(name)) for name in [*pieces]}
        orders = found["orders"]
        counts = np.bincount(orders, minlength=self._orders)
        put = np.empty(len(orders), dtype=np.intp)
        put[(np.cumsum(counts) - counts)[orders] + found["place"]] = np.arange(len(orders))
        found = {name: values[put] for name, values in found.items()}
        return StageColumns([*known], **found)


def _texts(values: pa.Array | Same) -> tuple[Any, list[str]]:
    """Return the number of each text, or the one of all rows, and the texts; a null is empty."""
    known: dict[str, int] = {}
    codes = _numbered(values, known)
    # The number of a null, -1, is that of the last.
    return codes, [*known, ""]


def _empty(name: str) -> float:
    """Return what stands for a null in a column of numbers or flags."""
    return np.nan if DTYPES[name] == "float64" else 0


def _part(values: Any, rows: Any) -> Any:
    """Return some rows of a column; one value stands for as many."""
    if isinstance(values, tuple):
        return _part(values[0], rows), values[1]
    return values[rows] if isinstance(values, np.ndarray) else values


def _runs(codes: Any, numbers: Numbers) -> Iterator[tuple[int, Any]]:
    """Return the rows of each stage, without those of no order that was asked for."""
    asked = numbers >= 0
    every = bool(asked.all())
    if not asked.any():
        return
    if not isinstance(codes, np.ndarray):
        yield codes, slice(None) if every else asked
        return
    for code in np.unique(codes if every else codes[asked]).tolist():
        yield code, np.flatnonzero((codes == code) & asked)


def _sum(values: Any, size: int) -> int:
    """Return the sum of a column."""
    return int(values.sum(dtype=np.int64)) if isinstance(values, np.ndarray) else values * size


def _told(rows: _Rows) -> Any:
    """Return the flags and the places of some stages as numbers above 0."""
    place, coalesced, together, gathered = (
        np.asarray(rows.columns[name], np.int32) for name in OF_BLOCKS[2:]
    )
    return 16 * place + 8 * gathered + 4 * together + 2 * coalesced + 1


class _Counted(NamedTuple):
    """Ends of a stage; its number, events of its orders, coalesced ones, and orders with events."""

    ends: dict[str, None]
    counts: NDArray[np.int64]


class _Batch:
    """Stages that are read together, as many as memory has room for."""

    def __init__(self) -> None:
        self._stages: list[str] = []
        self._size = 0

    def read_with(
        self, stage: str, size: int, read: Callable[[list[str]], Iterator[StageBlock]]
    ) -> Iterator[StageBlock]:
        """Return the stages that are read before there is room for one more, which is added."""
        if self._stages and self._size + size > AT_ONCE:
            yield from self.rest(read)
        self._stages.append(stage)
        self._size += size

    def rest(self, read: Callable[[list[str]], Iterator[StageBlock]]) -> Iterator[StageBlock]:
        """Read those that were added."""
        stages, self._stages, self._size = self._stages, [], 0
        if stages:
            yield from read(stages)


class _Placed:
    """A stage while it is read, with a place for each of the orders."""

    def __init__(self, stage: str, end: str, orders: int) -> None:
        told = np.zeros(orders, dtype=np.int32)
        self._columns: list[NDArray[Any]] = [np.empty(orders), np.empty(orders), told]
        self.stage, self._end = stage, end
        self.count = 0

    def put(self, numbers: Numbers, columns: Sequence[Any]) -> None:
        """Put durations, uncertainties and what else is told of some orders to their places."""
        self.count += len(numbers)
        for whole, values in zip(self._columns, columns, strict=True):
            whole[numbers] = values

    @property
    def is_once(self) -> bool:
        """True if no order was put twice."""
        return int(np.count_nonzero(self._columns[2])) == self.count

    def block(self) -> StageBlock:
        """Return the stage, of the orders that have it."""
        duration_ms, unsure, told = self._columns
        if self.count == len(told):
            numbers = np.arange(len(told), dtype=np.int32)
        else:
            numbers = np.flatnonzero(told).astype(np.int32)
            duration_ms, unsure, told = duration_ms[numbers], unsure[numbers], told[numbers]
        return _block(self.stage, [self._end], numbers, (duration_ms, unsure, told))


def _block(
    stage: str,
    ends: Sequence[str],
    numbers: Numbers,
    columns: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    which: NDArray[Any] | None = None,
) -> StageBlock:
    """Return a stage that some orders have.

    Parameters
    ----------
    stage, ends
        Its name, and milestones.
    numbers
        Its orders, in order.
    columns
        Their durations, uncertainties, and what else is told.
    which
        Which of the milestones ended each; None where there is one.
    """
    duration_ms, uncertainty_us, told = columns
    place = told >> 4
    if which is None:
        firsts = {0: 0}
    else:
        last = len(which) - 1 - np.unique(which[::-1], return_index=True)[1]
        by_last = which[np.sort(last)].tolist()
        firsts = {int(code): int(np.argmax(which == code)) for code in by_last}
        of_code = np.zeros(len(ends), dtype=np.intp)
        of_code[by_last] = np.arange(len(by_last))
        which = of_code[which] if len(firsts) > 1 else None
    return StageBlock(
        stage,
        {ends[code]: (int(numbers[at]), int(place[at])) for code, at in firsts.items()},
        numbers,
        duration_ms,
        uncertainty_us,
        coalesced=(told & 2) > 0,
        gathered=(told & 8) > 0,
        together=(told & 4) > 0,
        rows=numbers,
        place=place,
        which=which,
    )


def _ends_of(blocks: Sequence[StageBlock]) -> pd.Categorical[Any]:
    """Return the milestone that ends each row of some stages."""
    known: dict[str, int] = {}
    parts = [np.empty(0, dtype=np.int32)]
    for block in blocks:
        codes = np.array([known.setdefault(name, len(known)) for name in block.ends], np.int32)
        n = len(block.orders)
        parts.append(np.full(n, codes[0]) if block.which is None else codes[block.which])
    return categorical(np.concatenate(parts), [*known])


def _own_milestones(
    stored_set: StoredSet, rows: Rows
) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return for each order the place of its own event names, -1 for none; and these names."""
    column = stored_set.fresh_orders(["milestones"])["milestones"].take(pa.array(rows))
    return own_milestones(column)[:2]
