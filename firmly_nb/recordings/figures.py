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
from firmly_nb.store.schema import (
    arrow_schema,
    conform,
    series,
)
from firmly_nb.store.stages import own_milestones, stage_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.schema import Column, Table
    from firmly_nb.store.columns import StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.signedinteger[Any]]

NOTED = r'"unfinished_bytes":[1-9]|"clock_step_us":-?(?:[1-9]|0\.[0-9]*[1-9])'
MOST_SEARCHED = 100_000  # events of an older set; to read what more held would take too long
SCHEDULED_PLACED = "scheduled_time_to_order_placed_ms"
MEMORY = "1GB"  # of DuckDB, whatever the size of the set: columns go on as they are read
BATCH = 122_880  # rows
AT_ONCE = 100_000_000  # bytes of the stages that are in memory at once
OFTEN = 0.25  # of the orders: stages of more have a place for each of them
DENSE_BYTES, SPARSE_BYTES = 20, 60  # of one stage of an order, while it is read
NOT_A_NUMBER = "'nan'::DOUBLE"
# SQL of the columns that figures take of a stage, and of all that a table of stages has.
OF_BLOCKS = {
    "row": "order_row + first_row",
    "duration_ms": f"coalesce(duration_ms, {NOT_A_NUMBER})",
    "uncertainty_us": f"coalesce(uncertainty_us, {NOT_A_NUMBER})",
    "told": ("(16 * place + 8 * gathered::INT + 4 * together::INT + 2 * coalesced::INT + 1)::INT"),
}
OF_STAGES = {
    "place": "place",
    "duration_ms": f"coalesce(duration_ms, {NOT_A_NUMBER})",
    "uncertainty_us": f"coalesce(uncertainty_us, {NOT_A_NUMBER})",
    "coalesced": "coalesced",
    "together": "together",
    "gathered": "gathered",
    "start_ms": f"coalesce(start_ms, {NOT_A_NUMBER})",
    "end_ms": f"coalesce(end_ms, {NOT_A_NUMBER})",
}
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
    begin = 0
    # Each value goes to its place at once: of millions a second copy takes its time.
    for batch in _order_batches(stored_set, there):
        numbers = number[begin : begin + len(batch)]
        begin += len(batch)
        mine = None if numbers.min(initial=0) >= 0 else np.flatnonzero(numbers >= 0)
        numbers = numbers if mine is None else numbers[mine]
        for name, values in zip(there, batch.columns, strict=True):
            if name in numeric:
                nothing = EMPTY[stored[name].dtype]
                filled = values.fill_null(nothing) if values.null_count else values
                numbers_or_codes = filled.to_numpy(zero_copy_only=False)
            else:
                numbers_or_codes = _numbered(values, texts[name])
                if len(texts[name]) > MANY_TEXTS and found[name].dtype == np.int16:
                    found[name] = found[name].astype(np.int32)
            whole = numbers_or_codes if mine is None else numbers_or_codes[mine]
            found[name][numbers] = whole
    columns: dict[str, Any] = {}
    # What is a column of the table already need not stay as it was read.
    for name, column in stored.items():
        values = found.pop(name)
        if name in texts:
            values = categorical(values, [*texts[name]])
        columns[column.name] = pd.Series(values, dtype=column.dtype, copy=False)
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


def _order_batches(stored_set: StoredSet, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Return columns of all orders of a set, in its order, some rows at a time.

    What no SHA-256 vouches for, and what is damaged, is read with a look at each page.
    """
    if not names:
        return
    parts, paths = stored_set.parts, stored_set.checked_paths("orders")
    if len(paths) < len(parts) or not all(part.orders.is_known for part in parts):
        yield from pa.table(stored_set.fresh_orders(names)).to_batches(BATCH)
        return
    is_mixed = any(not part.orders.has(name) for part in parts for name in names)
    files = parquet(paths, connected(), union_by_name=is_mixed)
    held: list[pa.RecordBatch] = []
    # As they stay in order, DuckDB gives a small one for each file.
    for batch in _batches(files.project(", ".join(f'"{name}"' for name in names))):
        held.append(batch)
        if sum(map(len, held)) >= BATCH:
            yield pa.concat_batches(held)
            held = []
    if held:
        yield pa.concat_batches(held)


def _numbered(values: pa.Array, known: dict[str, int]) -> NDArray[np.int32]:
    """Return the number of each text, -1 for a null; new ones get the next numbers."""
    if values.null_count == len(values):
        return np.full(len(values), -1, dtype=np.int32)
    values = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    codes = [known.setdefault(text, len(known)) for text in values.dictionary.to_pylist()]
    places = values.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    found: NDArray[np.int32] = np.array([*codes, -1], dtype=np.int32)[places]
    return found


def connected() -> Any:
    """Return a connection to DuckDB with a limit to its memory, whatever the size of the set."""
    import duckdb

    return duckdb.connect(config={"memory_limit": MEMORY})


def _batches(relation: Any) -> Iterator[pa.RecordBatch]:
    """Read a relation some rows at a time."""
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    yield from read(BATCH)


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


class _Stages:
    """Stages of some recordings of a set, asked of DuckDB; a ``StageBlocks``.

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
        self._db = connected()
        # Rows come in any order, and are put in that of the orders here. Files are asked often.
        self._db.execute("SET preserve_insertion_order = false")
        self._db.execute("SET parquet_metadata_cache = true")
        self._views: list[str] = []
        if files.tables or not files.paths:
            nothing = arrow_schema(STORED_STAGES).empty_table()
            made = pa.concat_tables([nothing, *files.tables]).unify_dictionaries()
            self._view(self._db.from_arrow(made).project("*, 0 AS first_row"))
        if files.paths:
            begins = pa.table({"filename": files.paths, "first_row": pa.array(files.begins)})
            read = parquet(files.paths, self._db, filename=True)
            # Joined with a table of DuckDB's own it costs nothing.
            self._db.from_arrow(begins).create("begins")
            self._view(read.join(self._db.table("begins"), "filename"))

    def _view(self, relation: Any) -> None:
        self._views.append(f"stages_{len(self._views)}")
        relation.create_view(self._views[-1])

    @cached_property
    def _counted(self) -> dict[str, _Counted]:
        """Number of times that the set has each stage, with its ends and the events counted."""
        sums = "count(*), sum(n_events), sum(n_coalesced), count_if(n_events > 0)"
        found: dict[str, _Counted] = {}
        for view in self._views:
            asked = f"SELECT stage, to_milestone, {sums} FROM {view} GROUP BY ALL"  # noqa: S608 - its own names
            for stage, end, *counts in sorted(self._db.execute(asked).fetchall()):
                one = found.setdefault(stage, _Counted([], np.zeros(4, dtype=np.int64)))
                one.ends.append(end)
                one.counts[:] += [int(value or 0) for value in counts]
        return found

    def __iter__(self) -> Iterator[StageBlock]:
        """Return each stage; few are read at once, so that others need not be in memory."""
        often, seldom = _Batch(), _Batch()
        for stage, (ends, counts) in self._counted.items():
            if len(set(ends)) == 1 and counts[0] >= OFTEN * self._orders:
                yield from often.read_with(stage, DENSE_BYTES * self._orders, self._often)
            else:
                yield from seldom.read_with(stage, SPARSE_BYTES * int(counts[0]), self._seldom)
        yield from often.rest(self._often)
        yield from seldom.rest(self._seldom)

    def _often(self, stages: list[str]) -> Iterator[StageBlock]:
        """Read stages that most orders have: each value goes to the place of its order."""
        found = self._placed(stages)
        # Its own event names may have one twice, so that an order has a stage twice.
        twice = [placed.stage for placed in found if not placed.is_once]
        found = [placed for placed in found if placed.is_once and placed.count]
        while found:
            # Nothing here holds what was given.
            yield found.pop(0).block()
        if twice:
            yield from self._seldom(twice)

    def _placed(self, stages: list[str]) -> list[_Placed]:
        ends = [self._counted[stage].ends[0] for stage in stages]
        found = [_Placed(*one, self._orders) for one in zip(stages, ends, strict=True)]
        for view in self._views:
            # Names of events are given as values: they may hold anything.
            asked = (
                f"SELECT {', '.join(OF_BLOCKS.values())}, list_position(?, stage) - 1 "  # noqa: S608 - its own names
                f"FROM {view} WHERE stage IN ({', '.join('?' * len(stages))})"
            )
            for batch in _batches(self._db.sql(asked, params=[stages, *stages])):
                row, *columns, codes = (column.to_numpy() for column in batch.columns)
                numbers = self._number[row]
                if numbers.min(initial=0) < 0:  # of no order that was asked for
                    codes = np.where(numbers < 0, -1, codes)
                for code, placed in enumerate(found):
                    mine = np.flatnonzero(codes == code)
                    placed.put(numbers[mine], [values[mine] for values in columns])
        return found

    def _seldom(self, stages: list[str]) -> Iterator[StageBlock]:
        """Read stages that few orders have, or one order twice, or that end in several ways."""
        ends = list({end: None for stage in stages for end in self._counted[stage].ends})
        columns = {
            **OF_BLOCKS,
            "code": "list_position(?, stage) - 1",
            "ended": "list_position(?, to_milestone) - 1",
        }
        del columns["row"]
        found = self._ask(columns, "list_contains(?, stage)", [stages, ends, stages])
        for code, stage in enumerate(stages):
            mine = np.flatnonzero(found.columns["code"] == code)
            duration, unsure, told, _, which = (of[mine] for of in found.columns.values())
            if len(mine):
                yield _block(stage, ends, found.numbers[mine], (duration, unsure, told), which)

    def _ask(self, columns: Mapping[str, str], where: str, values: list[Any]) -> _Rows:
        """Return columns of stages, and the number of each one's order, by which they are sorted.

        Parameters
        ----------
        columns
            SQL of each column, by its name.
        where, values
            Which rows, with ``?`` for each of the values.
        """
        named = [f"{sql} AS {name}" for name, sql in columns.items()]
        found: list[dict[str, Any]] = []
        for view in self._views:
            asked = f"SELECT order_row + first_row AS row, {', '.join(named)} FROM {view}"  # noqa: S608 - its own names
            self._db.execute(f"{asked} WHERE {where}", values)
            found.append(self._db.fetchnumpy())
        joined = found[0]
        if len(found) > 1:
            joined = {name: np.concatenate([one[name] for one in found]) for name in joined}
        numbers = self._number[joined.pop("row")]
        at = np.full(self._orders + 1, -1, dtype=np.int32)
        at[numbers] = np.arange(len(numbers), dtype=np.int32)
        in_order: Rows = at[:-1][at[:-1] >= 0]
        if len(in_order) < np.count_nonzero(numbers >= 0):
            # Its own event names may have one twice, so that an order has a stage twice.
            in_order = np.lexsort((joined["place" if "place" in joined else "told"], numbers))
            in_order = in_order[numbers[in_order] >= 0]
        kept = {name: column[in_order] for name, column in joined.items()}
        return _Rows(numbers[in_order], kept)

    def reads(self) -> Reads:
        """Return how many events the orders have, and how many of these share a read."""
        if self._orders == len(self._number):
            counts = sum((one.counts for one in self._counted.values()), np.zeros(4, np.int64))
            return Reads(*counts[1:].tolist())
        found = self._ask({"n": "n_events", "shared": "n_coalesced"}, "place = 0", [])
        n, shared = (found.columns[name].astype(np.int64) for name in ("n", "shared"))
        return Reads(int(n.sum()), int(shared.sum()), int(np.count_nonzero(n)))

    def event_counts(self) -> pd.DataFrame:
        """Return ``EVENT_COUNTS``."""
        found = self._ask({"n": "n_events", "shared": "n_coalesced"}, "place = 0", [])
        counts = np.zeros((2, self._orders), dtype=np.int32)
        counts[:, found.numbers] = found.columns["n"], found.columns["shared"]
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
        blocks = self._blocks(OF_STAGES)
        found = _joined(blocks, [*OF_STAGES, *NAMED])
        names = list(dict.fromkeys(name for column in NAMED for name in found[column].categories))
        codes = {
            column: np.array([names.index(name) for name in found[column].categories], np.int32)[
                found[column].codes
            ]
            for column in NAMED
        }
        orders = found.pop("recording_id")
        counts = np.bincount(orders, minlength=self._orders)
        at = (np.cumsum(counts) - counts)[orders] + found["place"]
        put = np.empty(len(at), dtype=np.intp)
        put[at] = np.arange(len(at))
        columns = {name: values[put] for name, values in {**found, **codes}.items()}
        return StageColumns(names, orders[put], **columns)

    def _blocks(self, columns: Mapping[str, str]) -> list[_Block]:
        """Return each stage that some of the orders have, in order of first appearance."""
        names = ", ".join(NAMED)
        each = (f"SELECT DISTINCT {names} FROM {view}" for view in self._views)  # noqa: S608 - its own names
        triples = self._db.execute(" UNION ".join(each)).fetchall() if self._views else []
        blocks = []
        for stage in sorted({triple[0] for triple in triples}):
            ends = [sorted({t[end] for t in triples if t[0] == stage}) for end in (1, 2)]
            # Nearly always there is one of each.
            coded = {
                name: "0" if len(known) == 1 else f"list_position(?, {name}) - 1"
                for name, known in zip(NAMED[1:], ends, strict=True)
            }
            values = [*(known for known in ends if len(known) > 1), stage]
            found = self._ask({**coded, **columns}, "stage = ?", values)
            if len(found.numbers):
                blocks.append(_Block(stage, ends[0], ends[1], found))
        return sorted(blocks, key=lambda b: (b.rows.numbers[0], b.rows.columns["place"][0]))


class _Counted(NamedTuple):
    """Ends of a stage; its number, events of its orders, coalesced ones, and orders with events."""

    ends: list[str]
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

    def put(self, numbers: Numbers, columns: list[NDArray[Any]]) -> None:
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


class _Rows(NamedTuple):
    """Columns of some stages, and the number of each one's order."""

    numbers: Numbers
    columns: dict[str, NDArray[Any]]


class _Block(NamedTuple):
    """A stage of all orders that have it; the milestones it begins and ends with are numbers."""

    stage: str
    begins: list[str]
    ends: list[str]
    rows: _Rows


def _joined(blocks: Sequence[_Block], names: Sequence[str]) -> dict[str, Any]:
    """Put the columns of stages under one another."""
    sizes = [len(block.rows.numbers) for block in blocks]
    joined: dict[str, Any] = {}
    for name in names:
        if name == "stage":
            codes = np.repeat(np.arange(len(blocks)), sizes)
            joined[name] = categorical(codes, [block.stage for block in blocks])
        elif name in NAMED:
            known: dict[str, int] = {}
            parts = [np.empty(0, dtype=np.int32)]
            for block in blocks:
                here = block.begins if name == NAMED[1] else block.ends
                codes = np.array([known.setdefault(one, len(known)) for one in here], np.int32)
                parts.append(codes[block.rows.columns[name]])
            joined[name] = categorical(np.concatenate(parts), list(known))
        else:
            empty = np.empty(0, dtype=DTYPES[name])
            joined[name] = np.concatenate([empty, *(b.rows.columns.pop(name) for b in blocks)])
    numbers = [np.empty(0, dtype=np.int32), *(block.rows.numbers for block in blocks)]
    return joined | {"recording_id": np.concatenate(numbers)}


def _own_milestones(
    stored_set: StoredSet, rows: Rows
) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Return for each order the place of its own event names, -1 for none; and these names."""
    column = stored_set.fresh_orders(["milestones"])["milestones"].take(pa.array(rows))
    return own_milestones(column)[:2]
