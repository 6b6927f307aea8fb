"""Recordings of a saved set: tables straight from its columns, single recordings on demand."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.event_names import SUCCESS
from firmly_nb.disk import check_is_file, database
from firmly_nb.display.messages import coded_error, no_such_path, quoted
from firmly_nb.display.paths import expanded, is_there
from firmly_nb.display.text import count, storage
from firmly_nb.exchange.har import BEGIN as HAR_BEGIN
from firmly_nb.exchange.har import SUFFIX as HAR
from firmly_nb.exchange.har import HarError
from firmly_nb.latency.stages import STAGES
from firmly_nb.outcomes import EXTERNAL, JUDGED_BY, PLACED, judge_rows
from firmly_nb.recorder.journal import (
    LEFT_OUT,
    RECORDINGS,
    SUFFIX,
    JournalError,
    default_directory,
    read_recordings,
)
from firmly_nb.recorder.records import End, Start, decode
from firmly_nb.recorder.tables import (
    EVENT_TIMES,
    EVENTS,
    HEADERS,
    ORDERS,
    PLACE_ORDER,
    WIDE,
    confirmation_rows,
    header_rows,
    last_snapshot,
    number_of_order,
)
from firmly_nb.recordings.figures import (
    MEMORY,
    SCHEDULED_PLACED,
    Judged,
    event_notes,
    order_ends,
    order_notes,
)
from firmly_nb.recordings.relations import NOW, arrow_relation, files_relation
from firmly_nb.recordings.sources import (
    EVENT_NOTES,
    ORDER_ENDS,
    Held,
    Selection,
)
from firmly_nb.recordings.stored_stages import (
    stage_blocks,
    stages_relation,
    stored_event_counts,
    stored_stage_ends,
    stored_stages,
)
from firmly_nb.schema import Table
from firmly_nb.store.columns import DAMAGED, TABLES, Part, PartFile, StoredSet, read_rows
from firmly_nb.store.files import (
    KIND,
    KINDS,
    MANIFEST,
    WRITING,
    NewerFormatError,
    StoreError,
    is_locked,
    parts_on_disk,
    read_manifest,
)
from firmly_nb.store.schema import STORED_EVENTS, arrow_schema, series
from firmly_nb.store.write import recorded_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.stages import StageBlocks
    from firmly_nb.recorder.records import Record, Recorded
    from firmly_nb.recordings.sources import OneOrder
    from firmly_nb.store.files import Manifest

    Positions = NDArray[np.int64]

# Decoded JSON takes about ten times the memory of its text.
MOST_JSON_BYTES = 256 * 1024 * 1024
MOST_LOOKED_AT, FEW_PARTS = 10_000, 20  # orders and parts of a set whose ids are read at once
FEW = 8  # of so many recordings one: not worth reading all of a set
GROUPS_KEPT = 24  # orders of a dozen merchants take turns
ORDER_PARTS = [
    *("recording_id", "start", "end", "warnings", "n_events"),
    *("order_exists", "evidence", "order_number"),
]
EVENT_PARTS = [
    "seq",
    "event",
    "data",
    "t_ns",
    "at",
    "clock",
    "uncertainty_us",
    "read_no",
    "coalesced",
    "read_delay_us",
    "bytes",
    "rtt_us",
    "retransmits",
    "reordered",
    "event_id",
    "outline",
    "raw",
]
Columns = dict[str, list[Any]]
JUDGED = frozenset({"order_number", "order_exists", "evidence"})
ORDER_NUMBER = '"platform_order_number":'  # as it stands in an event's JSON
TOTAL = ("total_minor", "currency")
SOME_HEADERS = '"headers":[['  # as it stands in an end's JSON
# What events held is read for orders of older sets; of more orders that would take too long.
MOST_SEARCHED, SEARCHED_AT_ONCE = 20_000, 1_000
_JUDGED_BY = Table(
    "judged_by",
    f"{ORDERS.row}, what decides whether it exists",
    tuple(column for column in ORDERS.columns if column.name in JUDGED_BY),
)


class Stored:
    """Recordings of one saved set; ``rows`` are some of them, each once, in any order."""

    def __init__(self, stored_set: StoredSet) -> None:
        self._set = stored_set
        self._groups: OrderedDict[tuple[str, int], Columns] = OrderedDict()

    @property
    def warnings(self) -> list[str]:
        """Problems of reading that showed so far: damage inside a file shows when it is read."""
        return list(self._set.warnings)

    @property
    def notes(self) -> list[str]:
        """Notes given at each saving of the set."""
        return list(self._set.notes)

    def __len__(self) -> int:
        return len(self._set)

    def oldest_first(self) -> Positions:
        """Return the rows of all recordings, each id once."""
        started = self._set.started_at_ns
        order: Positions = np.argsort(started, kind="stable")
        # Two savings at once on a file system without locks can both add a recording: it began at
        # the same nanosecond, so in a large set no other ids need be looked at.
        looked_at = np.arange(len(order))
        if len(order) > MOST_LOOKED_AT or len(self._set.parts) > FEW_PARTS:
            same = np.diff(started[order]) == 0
            looked_at = np.flatnonzero(np.append(False, same) | np.append(same, False))
        if not len(looked_at):
            return order
        ids = self._set.recording_ids.take(pa.array(order[looked_at])).to_pandas()
        twice = looked_at[(ids.duplicated() & ids.notna()).to_numpy()]
        if len(twice):
            self._set.warn(f"{self._set.root}: orders that are there twice: {len(twice)}")
        return np.delete(order, twice)

    def one(self, row: int) -> Recorded:
        """Make the records of one.

        Raises
        ------
        StoreError
            If what is stored of it is damaged.
        """
        part, position = self._set.part_of(row)
        try:
            order = self._row(part.orders, position, ORDER_PARTS)
            return recorded_of(order, self._event_rows(part, position))
        except DAMAGED as error:
            found = self._set.recording_ids[row].as_py()
            raise coded_error(
                StoreError,
                "FNB404",
                f"Recording {quoted(found, 80)} in {part.orders.path} is damaged: "
                f"{str(error)[:200].rstrip('.')}. Load the set from a backup.",
            ) from None

    def ids(self, rows: Positions) -> list[str]:
        """Return the recording ids."""
        found: list[str] = self.id_array(rows).to_pylist()
        return found

    def id_array(self, rows: Positions) -> pa.ChunkedArray:
        """Return the recording ids."""
        return self._set.recording_ids.take(pa.array(rows))

    def started_at_ns(self, rows: Positions) -> Positions:
        """Return when each began."""
        return self._set.started_at_ns[rows]

    def cut_off(self, rows: Positions) -> list[bool]:
        """Return for each whether it has no end."""
        found: list[bool] = pc.is_null(self._order_column("end", rows)).to_pylist()
        return found

    def asked(self, rows: Positions) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id."""
        texts = self._order_column("start", rows).to_pylist()
        starts = map(self._record, texts)
        found = {s.recording_id: s.items for s in starts if isinstance(s, Start)}
        return {recording_id: found.get(recording_id, []) for recording_id in self.ids(rows)}

    def _record(self, text: str | None) -> Record | None:
        """Return a record of an order; None if it is damaged, which is said."""
        try:
            return decode((text or "").encode())
        except ValueError as error:
            self._set.warn(f"{self._set.root}: what is saved of an order is damaged: {error}")
            return None

    def _readable(self, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Make a table, without what turns out to be no JSON."""
        try:
            return make()
        except orjson.JSONDecodeError:
            self._set.leave_out_no_json()
            return make()

    def orders(self, rows: Positions) -> pd.DataFrame:
        """Return one row an order."""
        return self._readable(lambda: self._orders(rows))

    def _orders(self, rows: Positions) -> pd.DataFrame:
        columns: dict[str, Any] = self._order_columns(ORDERS, rows)
        # Older versions did not write it.
        columns[SCHEDULED_PLACED] = columns["time_to_order_placed_ms"] + columns["schedule_lag_ms"]
        endpoints = columns["endpoint"].astype("object")
        if endpoints.isna().any():
            told = columns["environment"].eq(EXTERNAL)
            endpoints = endpoints.where(endpoints.notna() | told, PLACE_ORDER)
            columns["endpoint"] = endpoints.where(endpoints.notna(), None).tolist()
        judged = self.judged_now(rows)
        for name in JUDGED if judged else ():
            values = columns[name].astype("object").to_numpy(copy=True)
            values[judged.positions] = getattr(judged, name)  # type: ignore[union-attr]  # there is one
            columns[name] = list(values)
        again = [at for at, row in enumerate(rows.tolist()) if row in self._totals_now]
        for place, name in enumerate(TOTAL if again else ()):
            values = columns[name].astype("object").to_numpy(copy=True)
            for at in again:
                values[at] = self._totals_now[int(rows[at])][place]
            columns[name] = [None if pd.isna(value) else value for value in values]
        return ORDERS.from_columns(columns)

    def order_column(self, name: str, rows: Positions) -> pd.Series[Any]:
        """Return one column of the orders; what is made of others needs them all."""
        if name in {*JUDGED, *TOTAL, SCHEDULED_PLACED}:
            return self.orders(rows)[name]
        [column] = [column for column in ORDERS.columns if column.name == name]
        one = Table(name, ORDERS.row, (column,))
        return one.from_columns(self._order_columns(one, rows))[name]

    def judged_now(self, rows: Positions) -> Judged | None:
        """Judge the orders that were saved without a judgement; None where there are none."""
        unjudged = pc.is_null(self._order_column("order_exists", rows)).to_numpy()
        positions = np.flatnonzero(unjudged)
        if not len(positions):
            return None
        orders = _JUDGED_BY.from_columns(self._order_columns(_JUDGED_BY, rows[positions]))
        without = orders["order_number"].isna().to_numpy()
        numbers = orders["order_number"].astype("object").where(~without, None).to_numpy(copy=True)
        for position, number in self._numbers_in_events(rows[positions], np.flatnonzero(without)):
            numbers[position] = number
        orders["order_number"] = pd.Series(numbers, dtype="str")
        return Judged(positions, numbers.tolist(), *judge_rows(orders))

    @cached_property
    def _totals_now(self) -> dict[int, tuple[int | None, str | None]]:
        """Totals of orders by the rule of now, by row: a cart after the order is another one's.

        Versions that wrote no outline of events took the last cart's. Looked at are the orders
        whose last cart did not come with the success, or of which several events told that.
        """
        parts = self._set.parts_with_events()
        paths = [path for path, part in parts.items() if not part.has("outline")]
        if not paths:
            return {}
        own = {(orjson.loads(text) or [""])[-1] for text in self._milestones() if text}
        named = ", ".join("'{}'".format(name.replace("'", "''")) for name in {*SUCCESS, *own})
        told = files_relation(paths, "events", database(memory_limit=MEMORY)).filter(
            "cart_id IS NOT NULL OR total_minor IS NOT NULL"
        )
        doubted = told.aggregate(
            f"recording_id, arg_max(event, seq) AS last, count_if(event IN ({named})) AS n",
            "recording_id",
        ).filter(f"last NOT IN ({named}) OR n > 1")
        ids = doubted.project("recording_id").to_arrow_table()["recording_id"]
        rows = pc.index_in(ids, value_set=self._set.recording_ids.combine_chunks())
        rows = np.sort(rows.drop_null().to_numpy().astype(np.int64))
        rows = rows[pc.equal(self._order_column("outcome", rows), PLACED).to_numpy()]
        if len(rows) > MOST_SEARCHED:
            self._set.warn(
                f"{self._set.root}: an older version saved these orders. The total of "
                f"{count(len(rows), 'order')} may be that of a later cart."
            )
            return {}
        found: dict[int, tuple[int | None, str | None]] = {}
        for row in rows.tolist():
            with suppress(StoreError):  # whoever asks for that one is told
                start, events, end, *_ = self.one(row)
                last = last_snapshot(start, events, end)
                found[row] = (last and last.total) or (None, None)
        return found

    def _milestones(self) -> list[str | None]:
        texts: list[str | None] = (
            self._set.orders(["milestones"])["milestones"].unique().to_pylist()
        )
        return texts

    def _numbers_in_events(self, rows: Positions, wanted: Positions) -> Iterator[tuple[int, str]]:
        """Find order numbers that stand in events only: the first edition kept the last cart's."""
        if len(wanted) > MOST_SEARCHED:
            self._set.warn(
                f"{self._set.root}: {count(len(wanted), 'order')} were saved without "
                "order_exists, and order numbers were not looked for in their events. A "
                "smaller selection has them."
            )
            return
        for begin in range(0, len(wanted), SEARCHED_AT_ONCE):
            some = wanted[begin : begin + SEARCHED_AT_ONCE]
            texts, owner = self._event_columns(["data"], rows[some])
            hits = pc.fill_null(pc.match_substring(texts["data"], ORDER_NUMBER), fill_value=False)
            for position in some[np.unique(owner[hits.to_numpy()])].tolist():
                order = self.one(int(rows[position]))
                number = number_of_order(order.start, order.events, order.end)
                if number is not None:
                    yield position, number

    def event_times(self, rows: Positions) -> pd.DataFrame:
        """Return one row an event, without what came in it."""
        return self._event_table(EVENT_TIMES, rows)

    def events(self, rows: Positions) -> pd.DataFrame:
        """Return one row an event, its JSON decoded.

        Raises
        ------
        MemoryError
            If that would not fit: more than 256 MiB of JSON.
        """
        sizes = self._event_columns(["bytes"], rows)[0]["bytes"]
        size = pc.sum(sizes).as_py() or 0
        if size > MOST_JSON_BYTES:
            raise coded_error(
                MemoryError,
                "FNB311",
                f"These {count(len(sizes))} events hold {storage(size)} of JSON, ten times as much "
                "when decoded. Narrow them with where(...) or a slice, use event_times, or ask "
                'relation("events").',
            )
        return self._readable(lambda: self._event_table(EVENTS, rows))

    def stages(self, rows: Positions) -> pd.DataFrame:
        """Return all stages."""
        made = stored_stages(self._set, rows)
        ids = self._set.recording_ids.take(pa.array(rows[made.orders]))
        return made.table(series(ids, STAGES.columns[0]))

    def answers(self, rows: Positions) -> pd.DataFrame:
        """Return the answers of orders without events."""
        texts = self._order_column("end", rows)
        without = pc.fill_null(pc.match_substring(texts, '"confirmation":null'), fill_value=True)
        found: list[dict[str, Any]] = []
        for position in np.flatnonzero(~without.to_numpy()):
            start = self._record(self._order_column("start", rows)[position].as_py())
            end = self._record(texts[position].as_py())
            if isinstance(start, Start) and isinstance(end, End):
                found += confirmation_rows(start, end)
        return EVENTS.frame(found)

    def headers(self, rows: Positions) -> pd.DataFrame:
        """Return the headers of the answers; older versions kept none."""
        texts = self._order_column("end", rows)
        has = pc.fill_null(pc.match_substring(texts, SOME_HEADERS), fill_value=False).to_numpy()
        some = np.flatnonzero(has)
        found: list[dict[str, Any]] = []
        for recording_id, text in zip(
            self.ids(rows[some]), texts.take(pa.array(some)).to_pylist(), strict=True
        ):
            end = self._record(text)
            if isinstance(end, End):
                found += header_rows(recording_id, end.headers)
        return HEADERS.frame(found)

    def order_ends(self, rows: Positions, table: Table = ORDER_ENDS) -> pd.DataFrame:
        """Return what figures need of orders."""
        return order_ends(self._set, rows, table)

    def stage_ends(self, rows: Positions) -> pd.DataFrame:
        """Return what figures need of stages."""
        return stored_stage_ends(self._set, rows)

    def event_counts(self, rows: Positions) -> pd.DataFrame:
        """Return what figures need of events."""
        return stored_event_counts(self._set, rows)

    def stage_blocks(self, rows: Positions) -> tuple[StageBlocks, Events]:
        """Return the stages one after the other, and what events count."""
        return stage_blocks(self._set, rows)

    def notes_of(self, rows: Positions) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what caveats need of orders and events."""
        orders = order_notes(self._set, rows, self.judged_now(rows))
        events = event_notes(self._set, rows)
        without = pc.equal(self._order_column("n_events", rows), 0).to_numpy()
        plain = np.flatnonzero(without & (orders["order_latency_ms"].notna().to_numpy()))
        answers = self.answers(rows[plain]) if len(plain) else events[:0]
        if len(answers):
            ids = pd.Index(self.ids(rows[plain]))
            numbers = plain[ids.get_indexer(pd.Index(answers["recording_id"]))]
            answers = answers.assign(recording_id=numbers.astype(np.int32))
            events = EVENT_NOTES.concat([events, answers[EVENT_NOTES.names]])
        return orders, events

    def relation(self, table: str, rows: Positions, connection: Any) -> Any:
        """Return the files of a table as a relation, of these rows only."""
        if table == "stages":
            found = stages_relation(self._set, connection)
        else:
            # Headers stand in the ends of the orders.
            paths = self._set.checked_paths("orders" if table == "headers" else table)
            if not paths:
                nothing = arrow_schema({**TABLES, "headers": HEADERS}[table]).empty_table()
                return arrow_relation(nothing, table, connection)
            judged = self._judged_ids(rows) if table == "orders" else None
            found = files_relation(paths, table, connection, judged)
        if len(rows) == len(self._set):
            return found
        ids = pa.table({"recording_id": self._set.recording_ids.take(pa.array(rows))})
        return found.join(connection.from_arrow(ids), "recording_id", how="semi")

    def _judged_ids(self, rows: Positions) -> pa.Table | None:
        """Return what was judged now, by recording id, for a join with the files."""
        judged, found = self.judged_now(rows), None
        if judged is not None:
            ids = self._set.recording_ids.take(pa.array(rows[judged.positions]))
            texts = {f"{NOW}{n}": pa.array(getattr(judged, n), pa.string()) for n in JUDGED}
            found = pa.table({"recording_id": ids, **texts})
        again = [row for row in rows.tolist() if row in self._totals_now]
        if not again:
            return found
        minor, currency = zip(*(self._totals_now[row] for row in again), strict=True)
        ids = self._set.recording_ids.take(pa.array(again))
        values = (pa.array(minor, pa.int64()), pa.array(currency, pa.string()))
        named = {f"{NOW}{name}": column for name, column in zip(TOTAL, values, strict=True)}
        totals = pa.table({"recording_id": ids, f"{NOW}total": [True] * len(again), **named})
        return found.join(totals, "recording_id", join_type="full outer") if found else totals

    def _order_columns(self, table: Table, rows: Positions) -> dict[str, Any]:
        names = {c.name: "merchant" if c.name == "domain" else c.name for c in table.columns}
        found = self._set.orders(list(names.values()))
        return {c.name: series(self._at(found[names[c.name]], rows), c) for c in table.columns}

    def _order_column(self, name: str, rows: Positions) -> pa.ChunkedArray:
        return self._at(self._set.orders([name])[name], rows)

    def _at(self, values: pa.ChunkedArray, rows: Positions) -> pa.ChunkedArray:
        whole = len(rows) == len(values) and np.array_equal(rows, np.arange(len(rows)))
        return values if whole else values.take(pa.array(rows))

    def _event_table(self, table: Table, rows: Positions) -> pd.DataFrame:
        names = [name for name in table.names if name != "recording_id"]
        found, owner = self._event_columns(names, rows)
        # Ids are those of the orders: the column of the events need not be read again.
        found["recording_id"] = self._set.recording_ids.take(pa.array(rows[owner]))
        return table.from_columns({c.name: series(found[c.name], c) for c in table.columns})

    def _event_columns(
        self, names: Sequence[str], orders: Positions
    ) -> tuple[dict[str, pa.ChunkedArray], Positions]:
        """Return columns of the events of orders, and for each event the place of its order.

        The columns of a whole set are kept. Wide ones, and those of a few orders, are read from
        the groups of rows that are needed.
        """
        while True:
            seen = len(self._set.warnings)
            few = len(orders) * FEW < len(self._set)
            whole = [name for name in names if name not in WIDE and not few]
            # A part that cannot be read is known after this, and the places are without it.
            kept = self._set.events(whole)
            rows, owner = self._set.event_positions.rows(orders)
            found = {name: self._at(kept[name], rows) for name in whole}
            found |= self._read(rows, [name for name in names if name not in whole])
            if len(self._set.warnings) == seen:
                return found, owner

    def _read(self, rows: Positions, names: list[str]) -> dict[str, pa.ChunkedArray]:
        """Read columns of some events from the groups that have any of them."""
        if not names:
            return {}
        wanted = np.sort(rows)
        schema = arrow_schema(STORED_EVENTS)
        tables = [pa.schema([schema.field(name) for name in names]).empty_table()]
        for part, begin in zip(self._set.parts, self._set.event_begins, strict=False):
            if part.events is None:
                continue
            own = wanted[(wanted >= begin) & (wanted < begin + part.events.rows)] - begin
            try:
                tables += [read_rows(part.events, own, names)] if len(own) else []
            except DAMAGED as error:
                self._set.leave_out_events(part, error)
                return {}
        joined, positions = pa.concat_tables(tables), pa.array(np.searchsorted(wanted, rows))
        return {name: joined[name].take(positions) for name in names}

    def _event_rows(self, part: Part, row: int) -> list[dict[str, Any]]:
        if part.events is None:
            return []
        rows, _ = self._set.positions_of(part).rows(np.array([row]))
        # A part whose ids could not be read has lost its events just now.
        file = part.events
        return [self._row(file, int(position), EVENT_PARTS) for position in rows] if file else []

    def _row(self, file: PartFile, row: int, names: list[str]) -> dict[str, Any]:
        group = int(np.searchsorted(file.bounds, row, side="right")) - 1
        columns = self._group(file, group, names)
        position = row - int(file.bounds[group])
        return {name: columns[name][position] for name in names}

    def _group(self, file: PartFile, group: int, names: list[str]) -> Columns:
        """Return a group of rows as lists; the last few are kept, since neighbours are asked."""
        key = (str(file.path), group)
        if key not in self._groups:
            table = file.read(names, [group])
            self._groups[key] = {
                name: (table[name].cast(pa.int64()) if name == "at" else table[name]).to_pylist()
                for name in names
            }
            while len(self._groups) > GROUPS_KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]


def open_set(root: Path) -> Selection:
    """Open a saved set, oldest first; what is damaged is left out, with a warning.

    Raises
    ------
    StoreError
        If only a newer version can read it.
    """
    warnings: list[str] = []
    notes: list[str] = []
    try:
        manifest = read_manifest(root)
        if manifest is None:
            warnings.append(f"{root} has no manifest: every part that lies there was loaded")
    except NewerFormatError:
        raise
    except StoreError as error:
        warnings.append(f"{error}; every part that lies there was loaded")
        manifest = None
    found = parts_on_disk(root)
    if manifest is not None:
        if manifest.is_damaged:
            warnings.append(
                f"{root / MANIFEST} is not what was written: its notes, tags and counts may be "
                "wrong, and files it does not know by their SHA-256 are left out"
            )
        notes = manifest.notes
        names = manifest.parts
        unlisted = len(set(found) - set(names))
        # Whoever saves there now moves parts in before it lists them, or has just listed them.
        if unlisted and not is_locked(root) and not _has_changed(root, manifest):
            warnings.append(
                f"{unlisted} parts in {root} are not in its manifest and are left out: a save was "
                "cut off, or they were put there by hand"
            )
    else:
        names = found
    files = manifest.files if manifest else {}
    saves = manifest.saves if manifest and not manifest.is_damaged else ()
    stored = Stored(StoredSet(root, names, warnings, notes, files, saves))
    return Selection([stored], stored.oldest_first())


def _has_changed(root: Path, manifest: Manifest) -> bool:
    try:
        return read_manifest(root) != manifest
    except StoreError:
        return True


# Recordings on disk: reading back what was recorded. Nothing that is read is ever run.


def open_path(
    path: str | os.PathLike[str] | None, make: Callable[[list[Record], list[str]], OneOrder]
) -> tuple[Selection, list[str]]:
    """Find what is recorded at a path; return also what could not be read.

    Parameters
    ----------
    path
        As of ``load``.
    make
        What makes a recording of a journal's records and warnings.
    """
    where = expanded(path) if path is not None else default_directory()
    if not is_there(where):
        raise no_such_path(where)
    warnings: list[str] = []
    folders, files = find(where, warnings)
    if not (folders or files or warnings):
        warnings.append(f"There are no recordings in {where}. Pass a saved set, journal or folder.")
    held = Selection([Held(make(*one) for one in _journals(files, warnings))])
    sets = _sets(folders, where, warnings)
    # One set is in order, and of one set no ids need be read.
    alone = len(sets) == 1 and not len(held)
    return (sets[0] if alone else Selection.joined([*sets, held], by_time=True)), warnings


def find(where: Path, warnings: list[str]) -> tuple[list[Path], list[Path]]:
    """Find the folders of saved sets and the files of journals at a path and below it."""
    if not where.is_dir():
        return [], [where]
    sets, files = [], []

    # Folders may vanish meanwhile, where somebody saves: os.walk takes that as it comes.
    def left_out(error: OSError) -> None:
        warnings.append(f"{error.filename} cannot be read and is left out: {error.strerror}")

    for name, below, names in os.walk(where, onerror=left_out):
        folder = Path(name)
        if _is_set(folder, below, names):
            sets.append(folder)
            below[:] = [each for each in below if each not in KINDS]
        below[:] = [each for each in below if not each.startswith(WRITING)]
        if RECORDINGS in names:
            # Beside it lie tables, made of what is in it.
            names = [each for each in names if Path(each).suffix != SUFFIX]  # noqa: PLW2901 - fewer
            names.append(RECORDINGS)
        files += [folder / each for each in names if Path(each).suffix.lower() in {SUFFIX, HAR}]
    return sorted(sets), sorted(files)


def _is_set(folder: Path, below: list[str], names: list[str]) -> bool:
    """Return whether a folder is a saved set, also one that lost its manifest."""
    if MANIFEST in names:
        with suppress(OSError):
            check_is_file(folder / MANIFEST)
            with (folder / MANIFEST).open("rb") as file:
                if KIND.encode() in file.read(4096):
                    return True
    return "orders" in below and any((folder / "orders").glob("day=*/domain=*/*.parquet"))


def _journals(files: list[Path], warnings: list[str]) -> list[tuple[list[Record], list[str]]]:
    found = []
    # Of an order that is in both, the journal has more.
    for file in sorted(files, key=lambda file: file.suffix.lower() == HAR):
        try:
            if _is_har(file):
                from firmly_nb.exchange.har_load import read_har

                orders, said = read_har(file)
                found += orders
                warnings += said
            else:
                orders = read_recordings(file)
                found += orders
                warnings += _damage(file, orders)
        except (JournalError, HarError) as error:
            warnings.append(str(error))
    return found


def _is_har(file: Path) -> bool:
    """Return whether a file is a HAR: by its name, or by how it begins."""
    if file.suffix.lower() in {SUFFIX, HAR}:
        return file.suffix.lower() == HAR
    with suppress(OSError):
        check_is_file(file)
        with file.open("rb") as content:
            return HAR_BEGIN.match(content.read(1024)) is not None
    return False


def _damage(file: Path, orders: list[tuple[list[Record], list[str]]]) -> list[str]:
    """Say how many lines of a journal are left out, but for one that a killed recorder began."""
    n = sum(text.endswith(LEFT_OUT) for _, warnings in orders for text in warnings)
    if n:
        with file.open("rb") as content:
            content.seek(-1, os.SEEK_END)
            n -= content.read() != b"\n"
    lines = "1 damaged line is" if n == 1 else f"{count(n, 'damaged line')} are"
    return [f"{file}: {lines} left out. rec.warnings says which."] if n > 0 else []


def _sets(folders: list[Path], where: Path, warnings: list[str]) -> list[Selection]:
    found = []
    for folder in folders:
        try:
            found.append(open_set(folder))
        except StoreError as error:
            if folder == where:
                raise
            warnings.append(str(error))
    return found
