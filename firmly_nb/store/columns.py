"""Saved set while it is read: each column once, when needed; damage is reported.

The order of its recordings is that of its parts, and within a part that of the file. ``Stored``
gives them another order, selects among them and makes tables and recordings.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

from firmly_nb.disk import check_is_file, read_whole
from firmly_nb.display.text import count as counted
from firmly_nb.outcomes import EXTERNAL
from firmly_nb.store.schema import (
    STORED_EVENTS,
    STORED_ORDERS,
    arrow_schema,
    check_columns,
    conform,
)
from firmly_nb.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from firmly_nb.schema import Table
    from firmly_nb.store.files import Digest, Save

    Positions = NDArray[np.int64]

TABLES = {"orders": STORED_ORDERS, "events": STORED_EVENTS}
MOST_IN_ONE = 2**31 - 2**20  # bytes; a text beyond that does not fit in one chunk
MOST_AT_ONCE = 8
MOST_HELD = 32 * 2**20  # bytes of a file that are in memory while they are looked through
FEW_GROUPS = 2  # of rows of a file
NARROW = ("recording_id", "seq", "event", "clock", "uncertainty_us", "unread", "cart_id")
FEW_FILES = 500  # of more it would be a hundred megabytes
NOT_KNOWN = int(np.iinfo(np.int64).min)  # a start; pandas' NaT is the same number
DAMAGED = (OSError, pa.ArrowException, ValueError, TypeError)


class ContradictionError(ValueError):
    """Rows that cannot be those of one set, in a file that is what was saved."""


class _Footer(NamedTuple):
    """Names, groups of rows and metadata of a file."""

    names: tuple[str, ...]
    bounds: NDArray[np.int64]  # of its groups of rows
    metadata: Any  # None where it is not worth keeping
    has_ids: bool | None


class PartFile:
    """Parquet file of a set, opened when it is read.

    Parameters
    ----------
    path
        Where it is.
    table
        Its columns.
    digest
        What it was known by when it was saved; the first reading looks whether it still is.
    is_kept
        Whether what the file says of its columns stays in memory, for whoever reads it often.
    is_late
        Whether it is opened only when somebody asks for what is in it.
    """

    def __init__(
        self,
        path: Path,
        table: Table,
        digest: Digest | None = None,
        *,
        is_kept: bool = True,
        is_late: bool = False,
    ) -> None:
        self.path = path
        self.table = table
        self._unchecked = digest
        self._is_kept = is_kept
        self._blank: frozenset[str] = frozenset()
        self.is_known = digest is not None
        check_is_file(path)
        try:
            if not is_late:
                self._footer  # noqa: B018 - it is looked at here
        except DAMAGED:
            self.check()  # says what is known of the file, where anything is
            raise

    @cached_property
    def _footer(self) -> _Footer:
        # Opened here, its file system need not be looked for.
        with pa.OSFile(str(self.path)) as source:
            return self._footer_of(_opened(source))

    def _footer_of(self, file: pq.ParquetFile) -> _Footer:
        metadata = file.metadata
        # Asked of the metadata, each file's schema would never be let go (pyarrow 26).
        schema = file.schema_arrow
        names = tuple(schema.names)
        check_columns(schema, self.table)
        groups = range(metadata.num_row_groups)
        counts = [metadata.row_group(group).num_rows for group in groups]
        is_kept = self._is_kept and len(groups) <= FEW_GROUPS
        has_ids = _has_ids(metadata, names) if self.table is STORED_ORDERS else None
        return _Footer(names, np.cumsum([0, *counts]), metadata if is_kept else None, has_ids)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """First row of each group of rows, and behind them the number of all."""
        return self._footer.bounds

    @property
    def has_ids(self) -> bool | None:
        """True if the file says that each row has an id; None if it says nothing."""
        return self._footer.has_ids

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.bounds[-1])

    @property
    def _names(self) -> tuple[str, ...]:
        names = self._footer.names
        return (
            tuple("" if name in self._blank else name for name in names) if self._blank else names
        )

    @property
    def is_checked(self) -> bool:
        """True if nobody need look any more whether it is what was saved."""
        return self._unchecked is None

    def blank(self, name: str) -> None:
        """Take a column for one that the file has not."""
        self._blank |= {name}

    def has(self, name: str) -> bool:
        """Say whether the file has a column: an older version may not have written it."""
        return name in self._names

    def check(self) -> None:
        """Look once whether the file is what was saved.

        Raises
        ------
        ValueError
            If it is not.
        OSError
            If it cannot be read.
        """
        if self._unchecked:
            self._believe(self._unchecked.difference(self.path))

    def check_all(self) -> None:
        """Look whether the file is what was saved: by the sums of its pages if nobody knows it."""
        self.check()
        if not self.is_known:
            with self._source() as source:
                file = _opened(source, page_checksum_verification=True)
                for name in file.schema_arrow.names:  # not all of it in memory at once
                    file.read([name], use_threads=False)

    def _believe(self, difference: str | None) -> None:
        # A change that Parquet does not notice would be another quantity, or no cart.
        if difference:
            raise ValueError(difference)
        self._unchecked = None

    @contextmanager
    def _source(self) -> Iterator[Any]:
        """Open the file, which is what was saved; one that is still to be checked is read once."""
        known = self._unchecked
        if known and known.size <= MOST_HELD:
            content = read_whole(self.path)
            self._believe(known.difference_of(content))
            yield pa.BufferReader(content)
            return
        self.check()
        # Opened here, its file system need not be looked for.
        with pa.OSFile(str(self.path)) as source:
            yield source

    def read(self, names: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table:
        """Read columns, of all groups of rows or of some."""
        with self._source() as source:
            file = _opened(source, self._footer.metadata, page_checksum_verification=True)
            known = set(self._names)
            if "reordered" not in known:
                # Older versions wrote the sum of both counters under this name.
                known.discard("retransmits")
            there = [name for name in names if name in known]
            wanted = range(file.num_row_groups) if groups is None else groups
            found = file.read_row_groups(list(wanted), columns=there, use_threads=False)
        if not there:
            rows = sum(int(self.bounds[g + 1] - self.bounds[g]) for g in wanted)
            found = pa.table({"": pa.nulls(rows)})
        return conform(found, self.table, names)

    @contextmanager
    def groups(self) -> Iterator[RowGroups]:
        """Open a file that is what was saved, and give its groups of rows."""
        with self._source() as source:
            footer: _Footer | None = vars(self).get("_footer")
            file = _opened(source, footer and footer.metadata)
            if footer is None:  # it is opened only once
                vars(self)["_footer"] = self._footer_of(file)
            yield RowGroups(file, self._names, told=self.is_known)


def _opened(source: Any, metadata: Any = None, **options: bool) -> pq.ParquetFile:
    """Open a Parquet file without threads of Arrow's: to wait for them takes as long as to read."""
    return pq.ParquetFile(source, metadata=metadata, pre_buffer=False, **options)


class Same(NamedTuple):
    """Value that all rows of a column have; None for a null."""

    value: Any


class RowGroups:
    """Groups of rows of a file that is open.

    Parameters
    ----------
    file, names
        The file, and its columns.
    told
        Whether what the file tells of itself can be believed.
    """

    def __init__(self, file: pq.ParquetFile, names: Sequence[str], *, told: bool) -> None:
        self._file = file
        self._metadata = file.metadata
        self._places = {name: at for at, name in enumerate(names)}
        # With a column of columns among them, their places are not those of the names.
        self._told = told and self._metadata.num_columns == len(names)

    def __len__(self) -> int:
        groups: int = self._metadata.num_row_groups
        return groups

    def same(self, group: int, name: str) -> Same | None:
        """Return the value of a column that has only one, if the file tells it; no fraction."""
        if name not in self._places:
            return Same(None)
        if not self._told:
            return None
        column = self._metadata.row_group(group).column(self._places[name])
        told = column.statistics
        if told is None or not told.has_null_count:
            return None
        if told.null_count == column.num_values:
            return Same(None)
        # Of floating-point numbers neither -0.0 nor what is no number is told.
        is_exact = told.has_min_max and not told.null_count and told.physical_type != "DOUBLE"
        return Same(told.min) if is_exact and told.min == told.max else None

    def noted(self, key: str) -> Any:
        """Return what the writer noted of the file, if that can be believed."""
        if not self._told or key.encode() not in self._metadata.metadata:
            return None
        return orjson.loads(self._metadata.metadata[key.encode()])

    def read(self, groups: Sequence[int], names: Sequence[str]) -> pa.Table:
        """Return columns of some groups, as they are in the file."""
        return self._file.read_row_groups(list(groups), columns=list(names), use_threads=False)


class Part:
    """Part of a set: its orders, and its events if they can be read."""

    def __init__(
        self, root: Path, name: str, files: Mapping[str, Digest], *, is_kept: bool = True
    ) -> None:
        self.name = name
        known = {kind: files.get(f"{kind}/{name}") for kind in TABLES}
        self.orders = PartFile(
            root / "orders" / name, STORED_ORDERS, known["orders"], is_kept=is_kept
        )
        # Of millions of orders the ids are most of what there is: they are read when they are
        # asked for, and here only to see whether they can be, of a file that may have changed.
        is_sure = known["orders"] and self.orders.has_ids is not None
        names = ["started_at"] if is_sure else ["started_at", "recording_id"]
        index = self.orders.read(names)
        self.started_at_ns = _started(index["started_at"])
        self.events: PartFile | None = None
        self.positions: EventPositions | None = None
        self.problem: str | None = None
        if self.orders.has_ids is False:
            raise ValueError("an order without recording_id")
        without = self.started_at_ns == NOT_KNOWN
        if without.any():
            # Who gives times of another tool need not know when each order began.
            environment = self.orders.read(["environment"])["environment"].to_pandas()
            if (environment != EXTERNAL)[without].any():
                raise ValueError("an order without started_at")
        try:
            self.events = PartFile(
                root / "events" / name, STORED_EVENTS, known["events"], is_kept=is_kept
            )
        except DAMAGED as error:
            self.problem = lost_events(root, name, len(self), error)

    def __len__(self) -> int:
        """Return how many orders it has."""
        return self.orders.rows

    def check_ids(self) -> None:
        """Look whether each of its orders is there once.

        Raises
        ------
        ContradictionError
            If not.
        """
        ids = self.orders.read(["recording_id"])["recording_id"]
        if twice := len(ids) - pc.count_distinct(ids).as_py():
            raise ContradictionError(f"orders that are there twice: {twice}")


def lost_orders(root: Path, name: str, error: Exception) -> str:
    """Say that a part is left out."""
    return f"{root / 'orders' / name} cannot be read and is left out: {_short(error)}"


def lost_stages(path: Path, error: Exception) -> str:
    """Say that the stages of a part cannot be read, and what is done instead."""
    return f"{path} cannot be read ({_short(error)}): its stages were made again of the events"


def lost_events(root: Path, name: str, orders: int, error: Exception) -> str:
    """Say that the events of a part cannot be read."""
    return (
        f"{root / 'events' / name} cannot be read ({_short(error)}): "
        f"its {orders} orders are there without their events"
    )


class StoredSet:
    """Saved set: the parts that can be read, and their columns.

    Parameters
    ----------
    root
        The folder of the set.
    names
        Its parts.
    warnings, notes
        What the manifest told.
    files
        What its files were known by when they were saved, by path below the set.
    saves
        What the manifest says of each saving, where that can be believed.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        warnings: Sequence[str] = (),
        notes: Sequence[str] = (),
        files: Mapping[str, Digest] | None = None,
        saves: Sequence[Save] = (),
    ) -> None:
        self.root = root
        self.files = dict(files or {})
        self.notes = list(notes)
        self.warnings = list(warnings)
        self.parts: list[Part] = []
        self.stages: Any = None  # kept here by ``store.stages``
        #: Rows that were asked for last, and the place of each recording among them.
        self.numbers: tuple[Positions, NDArray[np.int32]] | None = None
        self.is_kept = len(names) <= FEW_FILES  # what the files say of their columns
        parts = at_once(lambda name: Part(root, name, files or {}, is_kept=self.is_kept), names)
        for name, part in zip(names, parts, strict=True):
            if isinstance(part, Part):
                self.parts.append(part)
                self.warnings += [part.problem] if part.problem else []
            else:
                self.warnings.append(lost_orders(root, name, part))
        self._columns: dict[tuple[str, str], pa.ChunkedArray] = {}
        self._count(saves)
        self._begins = np.cumsum([0, *map(len, self.parts)])
        #: Start of each recording by the wall clock; ``NOT_KNOWN`` where it is not.
        self.starts = np.concatenate(
            [np.empty(0, np.int64), *(part.started_at_ns for part in self.parts)]
        )
        for part, begin, end in zip(self.parts, self._begins, self._begins[1:], strict=False):
            part.started_at_ns = self.starts[begin:end]

    def _count(self, saves: Sequence[Save]) -> None:
        """Compare the rows of files with what the manifest says; where they differ, say why."""
        there = {part.name: part for part in self.parts}
        for save in saves:
            parts = [there[name] for name in save.parts if name in there]
            found = [sum(map(len, parts)), sum(part.events.rows for part in parts if part.events)]
            is_whole = len(parts) == len(save.parts) and not any(part.problem for part in parts)
            if not is_whole or found == [save.recordings, save.events]:
                continue
            seen = len(self.warnings)
            for part, error in zip(parts, at_once(Part.check_ids, parts), strict=True):
                if failed(error):
                    self.parts.remove(part)
                    self.warnings.append(lost_orders(self.root, part.name, error))
            self._find_places([part for part in parts if part in self.parts])
            if len(self.warnings) == seen:
                self.warn(
                    f"{self.root}: of what was saved at {save.at}, {counted(found[0])} orders with "
                    f"{counted(found[1])} events are there, not {counted(save.recordings)} with "
                    f"{counted(save.events)}"
                )

    def look(self) -> None:
        """Look whether all files agree with one another, which reads most of what is in them.

        What is amiss is among the warnings then.
        """
        for part, error in zip(self.parts, at_once(Part.check_ids, self.parts), strict=True):
            if failed(error):
                self.warn(f"{part.orders.path}: {_short(error)}")
        self._find_places(self.parts)
        ids = self.recording_ids
        if twice := len(ids) - pc.count_distinct(ids).as_py():
            self.warn(f"{self.root}: orders that are there twice: {twice}")

    def __len__(self) -> int:
        return int(self._begins[-1])

    @cached_property
    def recording_ids(self) -> pa.ChunkedArray:
        """Id of each recording."""
        return self.fresh_orders(["recording_id"])["recording_id"]

    @property
    def started_at_ns(self) -> Positions:
        """Start of each recording by the wall clock; 0 where it is not known."""
        without = self.starts == NOT_KNOWN
        return np.where(without, 0, self.starts) if without.any() else self.starts

    @property
    def begins(self) -> Positions:
        """Row of each part's first recording, and behind them the number of all."""
        return self._begins

    def part_of(self, row: int) -> tuple[Part, int]:
        """Return the part that a recording is in, and its row there."""
        position = int(np.searchsorted(self._begins, row, side="right")) - 1
        return self.parts[position], row - int(self._begins[position])

    def orders(self, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        """Return columns of orders, read once; one that is damaged in a part is null there."""
        missing = [name for name in names if ("orders", name) not in self._columns]
        for name, column in self.fresh_orders(missing).items():
            self._columns["orders", name] = column
        return {name: self._columns["orders", name] for name in names}

    def fresh_orders(self, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        """Return columns of orders; they are not kept."""
        if not names:
            return {}
        read = at_once(lambda part: part.orders.read(names), self.parts)
        tables = [
            self._one_by_one(part, names) if failed(table) else table
            for part, table in zip(self.parts, read, strict=True)
        ]
        return {name: self._joined(name, tables) for name in names}

    def events(self, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        """Return columns of events, read once; for the narrow ones.

        A part whose events turn out to be damaged is left out from then on, with a warning.
        """
        missing = [name for name in names if ("events", name) not in self._columns]
        if missing:
            there = [part for part in self.parts if part.events is not None]
            tables = at_once(lambda part: _read_events(part, missing), there)
            if self._left_out(there, tables):
                return self.events(names)
            for name in missing:
                self._columns["events", name] = self._joined(name, tables, "events")
        return {name: self._columns["events", name] for name in names}

    def warn(self, text: str) -> None:
        """Say what is amiss, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def leave_out_events(self, part: Part, error: Exception) -> None:
        """Go on without the events of a part."""
        part.events, part.positions = None, None
        part.problem = lost_events(self.root, part.name, len(part), error)
        self.warnings.append(part.problem)
        for key in [key for key in self._columns if key[0] == "events"]:
            self._columns.pop(key, None)  # another thread may have done so
        self.__dict__.pop("event_positions", None)

    def leave_out_no_json(self) -> None:
        """Go on without columns of which somebody found that they are no JSON."""
        for part in self.parts:
            if part.events is not None and (error := _json_error(part.events, "data")):
                self.leave_out_events(part, error)
            if error := _json_error(part.orders, "tags"):
                part.orders.blank("tags")
                self._columns.pop(("orders", "tags"), None)
                self.warn(_null_column(part, "tags", error))

    def checked_paths(self, table: str) -> list[str]:
        """Return the files of ``orders`` or ``events`` for who looks at nothing while reading.

        What was known when it was saved is believed then: to look for events that are there twice
        takes longer than most questions.
        """
        if table == "events":
            self._find_places([p for p in self.parts if p.events and not p.events.is_known])
        there = [part for part in self.parts if getattr(part, table) is not None]
        checked = at_once(lambda part: getattr(part, table).check_all(), there)
        if table == "events":
            self._left_out(there, checked)
        return [
            str(getattr(part, table).path)
            for part, found in zip(there, checked, strict=True)
            if not failed(found)
        ]

    def parts_with_events(self) -> dict[str, PartFile]:
        """Return the files of events that can be read, by path."""
        there = [part for part in self.parts if part.events is not None]

        def look(part: Part) -> None:
            if part.events is not None:
                part.events.check()
                if not part.events.is_known:  # its pages have sums of their own
                    part.events.read(NARROW)

        self._left_out(there, at_once(look, there))
        return {str(part.events.path): part.events for part in there if part.events is not None}

    def positions_of(self, part: Part) -> EventPositions:
        """Return where the events of each order of a part are, counted from the part's first."""
        self._find_places([part])
        return part.positions or EventPositions.none(len(part))

    @cached_property
    def event_positions(self) -> EventPositions:
        """Positions of each order's events, counted over all parts that have events."""
        self._find_places(self.parts)
        return EventPositions.joined(
            [self.positions_of(part) for part in self.parts], self.event_begins
        )

    def _find_places(self, parts: Sequence[Part]) -> None:
        there = [part for part in parts if part.events is not None and part.positions is None]

        def find(part: Part) -> tuple[EventPositions, int]:
            index = part.orders.read(["recording_id", "n_events"])
            found = EventPositions.of(index, _read_events(part, ["recording_id", "seq"]))
            return found, int(np.count_nonzero(found.count != _numbers(index["n_events"])))

        found = at_once(find, there)
        self._left_out(there, found)
        for part, each in zip(there, found, strict=True):
            part.positions, others = (None, 0) if failed(each) else each
            if others and part.events:
                self.warn(
                    f"{part.events.path}: of {others} of its orders other numbers of events are "
                    "there than were saved"
                )

    def _left_out(self, parts: Sequence[Part], found: Sequence[Any]) -> bool:
        """Go on without the events that could not be read; return whether there were any."""
        damaged = [(p, error) for p, error in zip(parts, found, strict=True) if failed(error)]
        for part, error in damaged:
            self.leave_out_events(part, error)
        return bool(damaged)

    @property
    def event_begins(self) -> list[int]:
        """Position of each part's first event among all events."""
        rows = [part.events.rows if part.events else 0 for part in self.parts]
        return [0, *np.cumsum(rows).tolist()]

    def _one_by_one(self, part: Part, names: Sequence[str]) -> pa.Table:
        """Read columns of orders of which one is damaged."""
        columns = []
        for name in names:
            try:
                table = part.orders.read([name])
            except DAMAGED as error:
                table = conform(pa.table({"": pa.nulls(len(part))}), STORED_ORDERS, [name])
                self.warnings.append(_null_column(part, name, error))
            columns.append(table[name])
        return pa.table(columns, names=list(names))

    def _joined(self, name: str, tables: list[pa.Table], kind: str = "orders") -> pa.ChunkedArray:
        empty = arrow_schema(TABLES[kind]).field(name).type
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        joined = pa.chunked_array(chunks, type=empty).unify_dictionaries()
        # Picking rows from hundreds of chunks takes ten times as long as from one.
        if len(chunks) > 1 and joined.nbytes < MOST_IN_ONE:
            return pa.chunked_array([joined.combine_chunks()])
        return joined


class EventPositions:
    """Position of the first event of each order of a set, and their number."""

    def __init__(self, first: Positions, count: Positions, order: Positions | None = None) -> None:
        self.first = first
        self.count = count
        self.order = order  # the rows as they should stand; None where they do

    @classmethod
    def none(cls, orders: int) -> EventPositions:
        """Return it for orders without events."""
        return cls(np.zeros(orders, np.int64), np.zeros(orders, np.int64))

    @classmethod
    def of(cls, index: pa.Table, events: pa.Table) -> EventPositions:
        """Find the events of each order of a part.

        Raises
        ------
        ContradictionError
            If there are events of no order of the part, or one twice.
        """
        count, event_ids = np.maximum(_numbers(index["n_events"]), 0), events["recording_id"]
        seq, owner = _numbers(events["seq"]), None
        # What a file says of itself is looked at before it is believed: it could be any number.
        if count.sum(dtype=np.float64) == len(event_ids):
            owner = np.repeat(np.arange(len(index)), count)
            if not _same(index["recording_id"], owner, event_ids):
                owner = None
        if owner is None:
            # Another program wrote the file, or rows are missing: look each one up.
            ids = index["recording_id"].combine_chunks()
            found = pc.fill_null(pc.index_in(event_ids, value_set=ids), -1)
            owner = _numbers(found.cast(pa.int64()))
            if strange := int(np.count_nonzero(owner < 0)):
                raise ContradictionError(f"{strange} of its events are of no order of its part")
            count = np.bincount(owner, minlength=len(index))
        order = None
        if not _follow(owner, seq):
            order = np.lexsort((seq, owner))
            if not _follow(owner[order], seq[order]):
                raise ContradictionError("it has events twice")
        return cls(np.cumsum(count) - count, count, order)

    @classmethod
    def joined(cls, parts: Sequence[EventPositions], begins: Sequence[int]) -> EventPositions:
        """Return one for all parts, whose events begin at these rows."""
        nothing = np.empty(0, np.int64)
        orders = [
            (np.arange(part.count.sum()) if part.order is None else part.order) + begin
            for part, begin in zip(parts, begins, strict=False)
        ]
        order = np.concatenate([nothing, *orders])
        count = np.concatenate([nothing, *(part.count for part in parts)])
        in_place = bool(np.array_equal(order, np.arange(len(order))))
        return cls(np.cumsum(count) - count, count, None if in_place else order)

    def rows(self, orders: Positions) -> tuple[Positions, Positions]:
        """Return the rows of the events of some orders, and for each the place of its order."""
        count = self.count[orders]
        owner = np.repeat(np.arange(len(orders)), count)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        rows = self.first[orders][owner] + within
        return (rows if self.order is None else self.order[rows]), owner


def at_once(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Do the same for each, several at a time; where a file is damaged the error is the result."""

    def safely(item: Any) -> Any:
        try:
            return work(item)
        except DAMAGED as error:
            return error

    return in_threads(safely, items, min(MOST_AT_ONCE, len(items)))


def failed(found: Any) -> bool:
    """Say whether what ``at_once`` gave for an item is an error."""
    return isinstance(found, Exception)


def _read_events(part: Part, names: Sequence[str]) -> pa.Table:
    if part.events is None:
        raise FileNotFoundError(part.name)
    return part.events.read(names)


def _null_column(part: Part, name: str, error: Exception) -> str:
    path = part.orders.path
    return f"{path}: the column {name} cannot be read and is null: {_short(error)}"


def _json_error(file: PartFile, name: str) -> Exception | None:
    """Return the error of the first text of a column that is not JSON; None if all are."""
    try:
        for text in file.read([name])[name].to_pylist():
            if text is not None:
                orjson.loads(text)
    except DAMAGED as error:
        return error
    return None


def read_rows(file: PartFile, rows: Positions, names: Sequence[str]) -> pa.Table:
    """Read some rows of a file, in ascending order."""
    group_of = np.searchsorted(file.bounds, rows, side="right") - 1
    groups = np.unique(group_of)
    sizes = np.diff(file.bounds)[groups]
    begins = np.cumsum(sizes) - sizes  # of the groups in what is read
    positions = rows - file.bounds[group_of] + begins[np.searchsorted(groups, group_of)]
    return file.read(names, groups.tolist()).take(pa.array(positions))


def _follow(owner: Positions, seq: Positions) -> bool:
    """Say whether events stand order by order, and in each by their number, none of it twice."""
    is_next = owner[1:] > owner[:-1]
    return bool((is_next | ((owner[1:] == owner[:-1]) & (seq[1:] > seq[:-1]))).all())


def _has_ids(metadata: Any, names: Sequence[str]) -> bool | None:
    if metadata.num_columns != len(names):
        return None
    place, groups = names.index("recording_id"), range(metadata.num_row_groups)
    told = [metadata.row_group(group).column(place).statistics for group in groups]
    if any(one is None or not one.has_null_count for one in told):
        return None
    return not any(one.null_count for one in told)


def _same(ids: pa.ChunkedArray, owner: Positions, event_ids: pa.ChunkedArray) -> bool:
    expected = ids.combine_chunks().take(pa.array(owner))
    return bool(pc.all(pc.equal(expected, event_ids.combine_chunks()), min_count=0).as_py())


def _started(values: pa.ChunkedArray) -> Positions:
    found = values.cast(pa.int64())
    return _numbers(found.fill_null(NOT_KNOWN) if found.null_count else found)


def _numbers(values: pa.ChunkedArray | pa.Array) -> Positions:
    found: Any = values.to_numpy()
    return np.asarray(found, dtype=np.int64)


def _short(error: Exception) -> str:
    # The reader knows the path: it is said beside this.
    words = getattr(error, "strerror", None) or str(error)
    return str(words).partition("\n")[0][:200]
