"""Stages of a saved set: made of the events of each part once, and kept beside them.

A part's stages stand stage by stage, so that whoever asks for one stage reads a fraction of the
file. They are written with the part. Sets of older versions gain them when they are first asked
for; where nothing can be written they are made each time.
"""

from __future__ import annotations

import os
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.latency.stages import (
    REASONS,
    STORED_STAGES,
    Arrivals,
    last_arrivals,
    own_reasons,
    stage_columns,
)
from firmly_nb.store.columns import (
    DAMAGED,
    ContradictionError,
    EventPositions,
    PartFile,
    Same,
    at_once,
    failed,
    lost_stages,
)
from firmly_nb.store.files import (
    MANIFEST,
    StoreError,
    finished,
    locked,
    opened,
    put_in,
    read_manifest,
    staged,
    write_manifest,
)
from firmly_nb.store.files import STAGES as FOLDER
from firmly_nb.store.schema import (
    STORED_EVENTS,
    STORED_ORDERS,
    arrow_schema,
    coded,
    conform,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from firmly_nb.latency.stages import StageColumns
    from firmly_nb.store.columns import Part, RowGroups, StoredSet
    from firmly_nb.store.files import Digest

    Numbers = NDArray[np.int32]

OF_ORDERS = ("recording_id", "run_id", "merchant", "variants", "outcome", "started_at")
OF_EVENTS = ("event", "t_ms", "uncertainty_us", "coalesced")
# What tells one stage from another.
TELLING = ("stage", "to_milestone", "order_row", "place", "duration_ms", "n_events")
NAMED = ("stage", "from_milestone", "to_milestone")
FLAGS = ("coalesced", "together", "gathered")
COUNTED = ("n_events", "n_coalesced")
OF_RUNS = ("to_milestone", "place")  # what a file says of a stage instead
COUNTS = "counts"  # what these are of all orders, which no file has as a column
NOTED = "firmly_nb.stages"  # what a file says of all rows of each stage
GROUP_ROWS = 122_880  # as many as DuckDB reads at once
ONE_GROUP = 65_536  # rows of a part that are not worth several groups


def stages_of(
    orders: PartFile, events: PartFile | None, positions: EventPositions
) -> tuple[pa.Table, list[str]]:
    """Make the stages of a part from its files; also say what could not be read as event names.

    Parameters
    ----------
    orders, events
        Its files; None if its events cannot be read.
    positions
        Where the events of each order are.
    """
    found = orders.read([*OF_ORDERS, "milestones"])
    rows, owner = positions.rows(np.arange(len(found)))
    if events is None:
        rows, owner = rows[:0], owner[:0]
        came = conform(pa.table({}), STORED_EVENTS, OF_EVENTS)
    else:
        came = events.read(OF_EVENTS)
        if not np.array_equal(rows, np.arange(len(came))):
            came = came.take(pa.array(rows))
    names, known = coded(came["event"])
    t_ms, uncertainty_us, coalesced = (came[name].to_numpy() for name in OF_EVENTS[1:])
    which, own, unknown = own_milestones(found["milestones"])
    arrivals = Arrivals(owner, names, known, t_ms, uncertainty_us, coalesced)
    made = stage_columns([last_arrivals(arrivals, which, own)])
    counts = np.bincount(owner, minlength=len(found)).astype(np.int32)
    shared = np.bincount(owner[coalesced], minlength=len(found)).astype(np.int32)
    return _table(found, made, (counts, shared)), unknown


def own_milestones(
    column: pa.ChunkedArray,
) -> tuple[NDArray[np.intp], list[tuple[str, ...]], list[str]]:
    """Return for each order the place of its own event names, -1 for none; these; and non-names."""
    codes, texts = coded(column)
    position = np.full(len(texts) + 1, -1)  # the last place is for code -1
    own: list[tuple[str, ...]] = []
    unknown = []
    for code in np.unique(codes[codes >= 0]).tolist():
        names = _event_names(texts[code])
        if names is None:
            unknown.append(texts[code])
        else:
            position[code] = len(own)
            own.append(names)
    return position[codes], own, unknown


def _event_names(text: str) -> tuple[str, ...] | None:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def _table(orders: pa.Table, made: StageColumns, counts: tuple[Numbers, Numbers]) -> pa.Table:
    """Return ``STORED_STAGES``, stage by stage."""
    by_stage = np.argsort(made.stage, kind="stable")
    row = made.orders[by_stage]
    of_order = orders.take(pa.array(row))
    place = made.place[by_stage]
    is_first = place == 0
    duration, uncertainty, coalesced = (
        getattr(made, name)[by_stage] for name in ("duration_ms", "uncertainty_us", "coalesced")
    )
    void = own_reasons(duration, uncertainty, coalesced)
    columns: dict[str, Any] = {
        **{name: of_order[name] for name in OF_ORDERS[:-1]},
        "started_at_ns": of_order["started_at"].cast(pa.int64()),
        **{name: _names(getattr(made, name)[by_stage], made.names) for name in NAMED},
        "duration_ms": pa.array(duration, from_pandas=True),
        "uncertainty_us": pa.array(uncertainty, from_pandas=True),
        "start_ms": pa.array(made.start_ms[by_stage], from_pandas=True),
        "end_ms": pa.array(made.end_ms[by_stage], from_pandas=True),
        "coalesced": coalesced,
        "gathered": made.gathered[by_stage],
        "void": _names(void, list(REASONS)),
        "order_row": row.astype(np.int32),
        "place": place,
        "together": made.together[by_stage],
        "n_events": pa.array(counts[0][row], mask=~is_first),
        "n_coalesced": pa.array(counts[1][row], mask=~is_first),
    }
    schema = arrow_schema(STORED_STAGES)
    table = pa.table({name: columns[name] for name in STORED_STAGES.names})
    return conform(table, STORED_STAGES, STORED_STAGES.names).cast(schema)


def _names(codes: NDArray[Any], names: list[str]) -> pa.DictionaryArray:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def write_stages(folder: Path, part: str) -> dict[str, Digest]:
    """Write the stages of a part whose other files are there; return the digest of the file."""
    orders = PartFile(folder / "orders" / part, STORED_ORDERS)
    events = PartFile(folder / "events" / part, STORED_EVENTS)
    positions = EventPositions.of(
        orders.read(["recording_id", "n_events"]), events.read(["recording_id", "seq"])
    )
    return _written(folder, part, stages_of(orders, events, positions)[0], orders.rows)


def _written(folder: Path, part: str, table: pa.Table, orders: int) -> dict[str, Digest]:
    path = folder / FOLDER / part
    notes = {**table.schema.metadata, NOTED: orjson.dumps(_notes(table, orders))}
    with opened(path, table.schema.with_metadata(notes)) as writer:
        for group in _groups(table):
            writer.write_table(group, row_group_size=max(len(group), 1))
    return {f"{FOLDER}/{part}": finished(path)}


def _groups(table: pa.Table) -> Iterable[pa.Table]:
    """Cut a table so that no group of rows has two stages, unless it is small."""
    if len(table) <= ONE_GROUP:
        return [table]
    return [
        table.slice(begin, min(GROUP_ROWS, run.rows.stop - begin))
        for run in _runs(table["stage"])
        for begin in range(run.rows.start, run.rows.stop, GROUP_ROWS)
    ]


class Run(NamedTuple):
    """Rows one after the other that have one stage."""

    stage: str
    rows: slice
    told: dict[str, Same] = {}  # noqa: RUF012 - columns of which all have the same
    is_whole: bool = False  # they are those of each order of the part, in order


def _runs(stage: pa.ChunkedArray) -> list[Run]:
    codes, known = coded(stage)
    cuts = (np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()
    # Stages stand one after the other.
    bounds = pairwise([0, *cuts, len(codes)] if len(codes) else [])
    return [Run(known[codes[begin]], slice(begin, end)) for begin, end in bounds]


def _notes(table: pa.Table, orders: int) -> dict[str, Any] | None:
    """Return what is to be said of the rows of a part; None where a stage has several ends.

    Whoever knows that need not read the columns that say the same for each row.
    """
    order_row, place = (table[name].to_numpy() for name in ("order_row", "place"))
    ends, milestones = coded(table["to_milestone"])
    runs = []
    for stage, rows, *_ in _runs(table["stage"]):
        if (place[rows] != place[rows.start]).any() or (ends[rows] != ends[rows.start]).any():
            return None
        runs.append(
            {
                "stage": stage,
                "rows": rows.stop - rows.start,
                "to_milestone": milestones[ends[rows.start]],
                "place": int(place[rows.start]),
                "is_whole": np.array_equal(order_row[rows], np.arange(orders)),
            }
        )
    n, shared = (table[name].drop_null().to_numpy() for name in COUNTED)
    counts = [int(each) for each in (n.sum(), shared.sum(), np.count_nonzero(n))]
    return {"runs": runs, COUNTS: counts}


class Picked(NamedTuple):
    """Some of the stages of a part, as far as they had to be read."""

    columns: Mapping[str, pa.ChunkedArray | Same]
    runs: Sequence[Run]
    counts: Sequence[int] | None = None  # of all orders of the part, where the file says so

    @classmethod
    def of(cls, table: pa.Table, names: Collection[str]) -> Picked:
        """Return it of a table with all that is asked for."""
        plain = {*names, "order_row", *(COUNTED if COUNTS in names else ())} - {COUNTS}
        return cls({name: table[name] for name in plain}, _runs(table["stage"]))


class Rows(NamedTuple):
    """Number of rows that the other files of a part have; None for events that are not known."""

    orders: int
    events: int | None = None


def picked(
    source: PartFile, names: Sequence[str], stages: Collection[str] | None, part: Rows
) -> Picked:
    """Read columns of a file, except where it says what all rows of a stage have.

    Parameters
    ----------
    source
        The file.
    names
        Which columns. Where their orders stand is read as ``order_row``, if need be; ``COUNTS``
        stands for ``COUNTED``.
    stages
        Which stages; not all groups of rows are needed then.
    part
        What the other files of the part have.

    Raises
    ------
    ContradictionError
        If they are not stages of these orders.
    """
    with source.groups() as groups:
        every = range(len(groups))
        told = [groups.same(group, "stage") if stages else None for group in every]
        wanted = [g for g, one in enumerate(told) if not one or not stages or one.value in stages]
        notes = _noted(groups, source.rows, part)
        if notes is None:
            plain = {"stage", "order_row", *names, *(COUNTED if COUNTS in names else ())}
            table = _checked(groups.read(wanted, [*plain - {COUNTS}]), part)
            if not stages:
                _check_all(table, part)
            return Picked.of(table, names)
        read = [(int(source.bounds[g]), int(source.bounds[g + 1])) for g in wanted]
        same = {name: {groups.same(group, name) for group in wanted} for name in FLAGS}
        known = {
            name: found.pop()
            for name, found in same.items()
            if name in names and len(found) == 1 and None not in found
        }

        def row(before: int) -> int:
            return sum(min(end, before) - min(begin, before) for begin, end in read)

        runs, begin = [], 0
        for run in notes["runs"]:
            rows = slice(row(begin), row(begin + run["rows"]))
            told_of = {name: Same(run[name]) for name in OF_RUNS}
            runs.append(Run(run["stage"], rows, told_of, run["is_whole"]))
            begin += run["rows"]
        needed = [name for name in names if name not in {*known, *OF_RUNS, COUNTS}]
        if not all(run.is_whole for run in runs):
            needed.append("order_row")
        table = _checked(groups.read(wanted, [*dict.fromkeys(needed)]), part)
        columns = {name: table[name] for name in table.column_names} | known
        return Picked(columns, runs, notes[COUNTS] if COUNTS in names else None)


OTHERS = "its stages are not those of its orders"


def _noted(groups: RowGroups, rows: int, part: Rows) -> dict[str, Any] | None:
    """Return what a file of stages says of its rows, which fits them and the part's other files."""
    notes: dict[str, Any] | None = groups.noted(NOTED)
    if notes is None:
        return None
    try:
        runs, counts = notes["runs"], notes[COUNTS]
        fits = sum(run["rows"] for run in runs) == rows and len(counts) == len(COUNTED) + 1
        fits = fits and part.events in {None, counts[0]} and counts[2] <= part.orders
        for run in runs:
            fits = fits and run["rows"] >= 0 and isinstance(run["stage"], str)
            fits = fits and isinstance(run["to_milestone"], str) and run["place"] >= 0
            fits = fits and (run["rows"] == part.orders or not run["is_whole"])
    except (LookupError, TypeError) as error:
        raise ContradictionError(OTHERS) from error
    if not fits:
        raise ContradictionError(OTHERS)
    return notes


def _checked(table: pa.Table, part: Rows) -> pa.Table:
    """Return stages that were read, all of which are of an order that there is."""
    if "order_row" in table.column_names and len(table):
        ends = pc.min_max(table["order_row"])
        if ends["min"].as_py() < 0 or ends["max"].as_py() >= part.orders:
            raise ContradictionError(OTHERS)
    return table


def _check_all(table: pa.Table, part: Rows) -> None:
    """Look whether stages of which the file says nothing are those of the part, each once."""
    names = set(table.column_names)
    if "place" in names and not is_in_place(table):
        raise ContradictionError(OTHERS)
    if "n_events" in names and part.events not in {None, pc.sum(table["n_events"]).as_py() or 0}:
        raise ContradictionError(OTHERS)


def _as_text(table: pa.Table) -> pa.Table:
    """Return a table whose names are texts: their numbers differ from one file to the next."""
    kinds = [pa.string() if pa.types.is_dictionary(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(zip(table.column_names, kinds, strict=True)))


def is_in_place(table: pa.Table) -> bool:
    """Say whether each order's stages have the places 0, 1, 2 and so on, whatever their order."""
    row, place = (table[name].to_numpy() for name in ("order_row", "place"))
    counts = np.bincount(row)
    if not ((place >= 0) & (place < counts[row])).all():
        return False
    at = (np.cumsum(counts) - counts)[row] + place
    return bool((np.bincount(at) == 1).all())


# Reading them, of whatever version the set is.


def stage_files(stored_set: StoredSet) -> StageFiles:
    """Return the stages of a set, looked for once."""
    if stored_set.stages is None:
        stored_set.stages = StageFiles(stored_set)
    found: StageFiles = stored_set.stages
    return found


class StageFiles:
    """Stages of a set, part by part: files where there are some, tables in memory where not.

    Parameters
    ----------
    stored_set
        The set.
    gain
        Whether to write those of parts that have none yet.
    """

    def __init__(self, stored_set: StoredSet, *, gain: bool = True) -> None:
        self._set = stored_set
        self._parts = stored_set.parts
        self._lock = Lock()
        found = at_once(self._saved, self._parts)
        missing = [part for part, file in zip(self._parts, found, strict=True) if file is None]
        gained = self._gain(missing) if gain else {}
        self._sources: list[PartFile | pa.Table] = [
            PartFile(self._path(part), STORED_STAGES, gained[part.name])
            if part.name in gained
            else self._made_again(part, file)
            if failed(file)
            else file or self._made(part)
            for part, file in zip(self._parts, found, strict=True)
        ]

    def rows(self, at: int) -> int:
        """Return how many rows the stages of a part have."""
        source = self._sources[at]
        return source.rows if isinstance(source, PartFile) else len(source)

    def picked(self, at: int, names: Sequence[str], stages: Collection[str] | None) -> Picked:
        """Read stages of a part, as ``picked`` reads a file."""
        source = self._sources[at]
        if isinstance(source, PartFile):
            was_checked = source.is_checked
            try:
                return picked(source, names, stages, self._rows_beside(at))
            except DAMAGED as error:
                if was_checked and not isinstance(error, ContradictionError):
                    raise
                self._replace(at, error)
        return Picked.of(self._sources[at], names)

    def checked(self) -> tuple[list[str], list[pa.Table]]:
        """Return the paths of files that are what was saved, and the tables of other parts."""
        self._look(self._check_notes)
        paths = [str(one.path) for one in self._sources if isinstance(one, PartFile)]
        return paths, [one for one in self._sources if not isinstance(one, PartFile)]

    def check_places(self) -> None:
        """Make the stages of a part again where those of an order have no places of their own."""

        def look(one: tuple[int, PartFile]) -> None:
            if not is_in_place(one[1].read(["order_row", "place"])):
                raise ContradictionError(OTHERS)

        self._look(look)

    def check_durations(self) -> None:
        """Look whether the stages are those of the events, which makes them all again."""

        def look(one: tuple[int, PartFile]) -> None:
            self._check_notes(one)
            part = self._parts[one[0]]
            if part.events is None:
                return
            made = stages_of(part.orders, part.events, self._set.positions_of(part))[0]
            if _as_text(one[1].read(TELLING)) != _as_text(made.select(TELLING)):
                raise ContradictionError(OTHERS)

        self._look(look, one_by_one=True)

    def _look(
        self, look: Callable[[tuple[int, PartFile]], None], *, one_by_one: bool = False
    ) -> None:
        """Look at the files; make the stages of those again that do not fit their part."""
        files = [(n, one) for n, one in enumerate(self._sources) if isinstance(one, PartFile)]
        for some in [[file] for file in files] if one_by_one else [files]:
            for (at, _), error in zip(some, at_once(look, some), strict=True):
                if failed(error):
                    self._replace(at, error)

    def _check_notes(self, one: tuple[int, PartFile]) -> None:
        at, file = one
        file.check()
        part = self._rows_beside(at)
        with file.groups() as groups:
            if _noted(groups, file.rows, part) is None:
                names = ["order_row", "place", "n_events"]
                _check_all(_checked(groups.read(range(len(groups)), names), part), part)

    def _rows_beside(self, at: int) -> Rows:
        part = self._parts[at]
        return Rows(len(part), part.events.rows if part.events else None)

    def _replace(self, at: int, error: Exception) -> None:
        """Make stages again whose file is not what was saved."""
        with self._lock:
            if isinstance(self._sources[at], PartFile):
                self._sources[at] = self._made_again(self._parts[at], error)

    def _made_again(self, part: Part, error: Exception) -> pa.Table:
        self._set.warn(lost_stages(self._path(part), error))
        return self._made(part)

    def _path(self, part: Part) -> Path:
        return self._set.root / FOLDER / part.name

    def _saved(self, part: Part) -> PartFile | None:
        """Return the file of a part, to be checked when it is read; None: an older version's."""
        digest = self._set.files.get(f"{FOLDER}/{part.name}")
        if digest is None:
            return None
        path, is_kept = self._path(part), self._set.is_kept
        return PartFile(path, STORED_STAGES, digest, is_kept=is_kept, is_late=True)

    def _made(self, part: Part) -> pa.Table:
        """Make the stages of a part; one whose events are damaged has none that were reached."""
        stored_set = self._set
        try:
            positions = stored_set.positions_of(part)
            table, unknown = stages_of(part.orders, part.events, positions)
        except DAMAGED as error:
            stored_set.leave_out_events(part, error)
            table, unknown = stages_of(part.orders, None, EventPositions.none(len(part)))
        for text in unknown:
            stored_set.warn(f"{stored_set.root}: {text!r:.80} is no list of event names")
        return table

    def _gain(self, parts: list[Part]) -> dict[str, Digest]:
        """Write the stages of parts that have none yet; return the digests of what was written.

        All are there afterwards, or none. Where somebody saves, or nothing can be written, they
        are made in memory instead.
        """
        stored_set = self._set
        if not parts:
            return {}
        try:
            with locked(stored_set.root, wait=False), staged(stored_set.root) as staging:
                manifest = read_manifest(stored_set.root)
                if manifest is None or manifest.is_damaged:
                    return {}
                # To look at a set is not to save to it: its age counts for ``firmly-nb prune``.
                written = (stored_set.root / MANIFEST).stat()
                times = (written.st_atime_ns, written.st_mtime_ns)
                found: dict[str, Digest] = {}
                for part in parts:
                    name = f"{FOLDER}/{part.name}"
                    if part.name not in manifest.parts or name in manifest.files:
                        continue
                    table = self._made(part)
                    if part.events is not None:
                        found |= _written(staging, part.name, table, len(part))
                for name in found:
                    # One that the manifest does not know was left by somebody who was killed.
                    (stored_set.root / name).unlink(missing_ok=True)
                    put_in(stored_set.root, staging, name)
                    os.utime(stored_set.root / name, ns=times)
                manifest = manifest.with_files(found)
                write_manifest(stored_set.root, manifest)
                os.utime(stored_set.root / MANIFEST, ns=times)
        except (OSError, StoreError, pa.ArrowException):
            return {}
        stored_set.files |= manifest.files
        known = {part.name: manifest.files.get(f"{FOLDER}/{part.name}") for part in parts}
        return {name: digest for name, digest in known.items() if digest}
