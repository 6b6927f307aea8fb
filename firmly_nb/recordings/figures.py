"""Statistics' input from a saved set: its columns, as numbers, asked of DuckDB.

The full tables are for looking at orders; those of ten million would not fit into memory. Figures
are made of the stages that lie in the set, one stage at a time, so that events need not be read.
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
from firmly_nb.latency.stages import STORED_STAGES, StageColumns
from firmly_nb.recorder.records import End, decode
from firmly_nb.recorder.tables import unfinished
from firmly_nb.recordings.sources import (
    EVENT_NOTES,
    ORDER_NOTES,
    STAGE_ENDS,
    compact,
    event_counts,
    parquet,
)
from firmly_nb.store.columns import at_once, failed, read_rows
from firmly_nb.store.schema import STORED_EVENTS, arrow_schema, conform, series
from firmly_nb.store.stages import own_milestones, stage_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.schema import Column, Table
    from firmly_nb.store.columns import Part, PartFile, StoredSet

    Numbers = NDArray[np.int32]
    Rows = NDArray[np.signedinteger[Any]]

FEW = 8  # of so many orders of a part one: not worth reading all of it
NOTED = r'"unfinished_bytes":[1-9]|"clock_step_us":-?(?:[1-9]|0\.[0-9]*[1-9])'
# What events held is read for older sets; of more events that would take too long.
MOST_SEARCHED, SEARCHED_AT_ONCE = 100_000, 2_000
SCHEDULED_PLACED = "scheduled_time_to_order_placed_ms"
MEMORY = "1GB"  # of DuckDB, whatever the size of the set: columns go on as they are read
NOT_A_NUMBER = "'nan'::DOUBLE"
# SQL of the columns that figures take of a stage, and of all that a table of stages has.
OF_ENDS = {
    "place": "place",
    "duration_ms": f"coalesce(duration_ms, {NOT_A_NUMBER})",
    "uncertainty_us": f"coalesce(uncertainty_us, {NOT_A_NUMBER})",
    "coalesced": "coalesced",
    "together": "together",
    "gathered": "gathered",
}
OF_STAGES = OF_ENDS | {
    "start_ms": f"coalesce(start_ms, {NOT_A_NUMBER})",
    "end_ms": f"coalesce(end_ms, {NOT_A_NUMBER})",
}
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
    stored = {c.name: "merchant" if c.name == "domain" else c.name for c in wanted}
    stored.pop(SCHEDULED_PLACED, None)
    found, chosen = stored_set.fresh_orders(list(stored.values())), pa.array(rows)
    # What is a column of the table already need not stay as it was read: of millions it is much.
    columns = {
        c.name: series(found.pop(stored[c.name]).take(chosen), c)
        for c in wanted
        if c.name in stored
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
    """Return ``STAGE_ENDS`` and ``EVENT_COUNTS`` of some recordings of a set."""
    found = _Stages(stored_set, rows)
    return found.ends(), found.event_counts()


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
    """Stages of some recordings of a set, asked of DuckDB stage by stage.

    A stage is read when it is asked for, so that memory holds the columns of one at a time.

    Parameters
    ----------
    stored_set, rows
        The set, and which of its recordings.
    """

    def __init__(self, stored_set: StoredSet, rows: Rows) -> None:
        import duckdb

        files = stage_files(stored_set)
        self._orders = len(rows)
        self._number = np.full(len(stored_set), -1, dtype=np.int32)
        self._number[rows] = np.arange(len(rows))
        self._db = duckdb.connect(config={"memory_limit": MEMORY})
        # Rows come in any order, and are put in that of the orders here.
        self._db.execute("SET preserve_insertion_order = false")
        self._views: list[str] = []
        if files.tables or not files.paths:
            nothing = arrow_schema(STORED_STAGES).empty_table()
            made = pa.concat_tables([nothing, *files.tables]).unify_dictionaries()
            self._view(self._db.from_arrow(made).project("*, 0 AS first_row"))
        if files.paths:
            begins = pa.table({"filename": files.paths, "first_row": pa.array(files.begins)})
            read = parquet(files.paths, self._db, filename=True)
            self._view(read.join(self._db.from_arrow(begins), "filename"))

    def _view(self, relation: Any) -> None:
        self._views.append(f"stages_{len(self._views)}")
        relation.create_view(self._views[-1])

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
            # Names of events are given as values: they may hold anything.
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
            in_order = np.lexsort((joined["place"], numbers))
            in_order = in_order[numbers[in_order] >= 0]
        kept = {name: column[in_order] for name, column in joined.items()}
        return _Rows(numbers[in_order], kept)

    def event_counts(self) -> pd.DataFrame:
        """Return ``EVENT_COUNTS``."""
        found = self._ask({"n": "n_events", "shared": "n_coalesced"}, "place = 0", [])
        counts = np.zeros((2, self._orders), dtype=np.int32)
        counts[:, found.numbers] = found.columns["n"], found.columns["shared"]
        return event_counts(*counts)

    def ends(self) -> pd.DataFrame:
        """Return ``STAGE_ENDS``, stage by stage."""
        blocks = self._blocks(OF_ENDS)
        return compact(STAGE_ENDS, _joined(blocks, [*OF_ENDS, "stage", "to_milestone"]))

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
    return own_milestones(column)[:2]


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
