"""Stages of a saved set: made of the events of each part once, and kept beside them.

A part's stages stand stage by stage, so that whoever asks for one stage reads a fraction of the
file. They are written with the part. Sets of older versions gain them when they are first asked
for; where nothing can be written they are made each time.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

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
    EventPositions,
    PartFile,
    at_once,
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
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from firmly_nb.latency.stages import StageColumns
    from firmly_nb.store.columns import Part, StoredSet
    from firmly_nb.store.files import Digest

    Numbers = NDArray[np.int32]

OF_ORDERS = ("recording_id", "run_id", "merchant", "variants", "outcome", "started_at")
OF_EVENTS = ("event", "t_ms", "uncertainty_us", "coalesced")
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


NAMED = ("stage", "from_milestone", "to_milestone")


def _names(codes: NDArray[Any], names: list[str]) -> pa.DictionaryArray:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def write_stages(folder: Path, part: str) -> dict[str, Digest]:
    """Write the stages of a part whose other files are there; return the digest of the file."""
    orders = PartFile(folder / "orders" / part, STORED_ORDERS)
    events = PartFile(folder / "events" / part, STORED_EVENTS)
    ids = events.read(["recording_id"])["recording_id"]
    positions = EventPositions.of(orders.read(["recording_id", "n_events"]), ids)
    return _written(folder, part, stages_of(orders, events, positions)[0])


def _written(folder: Path, part: str, table: pa.Table) -> dict[str, Digest]:
    path = folder / FOLDER / part
    with opened(path, table.schema) as writer:
        for group in _groups(table):
            writer.write_table(group, row_group_size=max(len(group), 1))
    return {f"{FOLDER}/{part}": finished(path)}


def _groups(table: pa.Table) -> Iterable[pa.Table]:
    """Cut a table so that no group of rows has two stages, unless it is small."""
    if len(table) <= ONE_GROUP:
        return [table]
    codes, _ = coded(table["stage"])
    cuts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(table)]
    return [
        table.slice(begin, min(GROUP_ROWS, end - begin))
        for first, end in pairwise(cuts)
        for begin in range(first, end, GROUP_ROWS)
    ]


# Reading them, of whatever version the set is.


def stage_files(stored_set: StoredSet) -> StageFiles:
    """Return the stages of a set, looked for once."""
    if stored_set.stages is None:
        stored_set.stages = StageFiles(stored_set)
    found: StageFiles = stored_set.stages
    return found


class StageFiles:
    """Stages of a set: files where there are some, tables in memory where there are not.

    Attributes
    ----------
    files, begins
        The files, and for each the row of its part's first order among all of the set.
    tables
        What is in no file; each order's row is that among all of the set.
    """

    def __init__(self, stored_set: StoredSet) -> None:
        self._set = stored_set
        self.files: list[PartFile] = []
        self.begins: list[int] = []
        self.tables: list[pa.Table] = []
        begins = stored_set.begins.tolist()
        missing = []
        found = at_once(self._saved, stored_set.parts)
        for part, begin, file in zip(stored_set.parts, begins, found, strict=False):
            if isinstance(file, PartFile):
                self._add(file, begin)
                continue
            if file is not None:
                self._set.warn(lost_stages(self._path(part), file))
            missing.append((part, begin))
        gained = self._gain([part for part, _ in missing])
        for part, begin in missing:
            if part.name in gained:
                self._add(PartFile(self._path(part), STORED_STAGES, gained[part.name]), begin)
            else:
                table = self._made(part)
                row = pc.add(table["order_row"], pa.scalar(begin, pa.int32()))
                at = table.column_names.index("order_row")
                self.tables.append(table.set_column(at, "order_row", row))

    @property
    def paths(self) -> list[str]:
        """Paths of the files."""
        return [str(file.path) for file in self.files]

    def _path(self, part: Part) -> Path:
        return self._set.root / FOLDER / part.name

    def _saved(self, part: Part) -> PartFile | None:
        """Return the file of a part if it is what was saved; None if an older version wrote it."""
        digest = self._set.files.get(f"{FOLDER}/{part.name}")
        if digest is None:
            return None
        file = PartFile(self._path(part), STORED_STAGES, digest, is_kept=self._set.is_kept)
        file.check()
        return file

    def _add(self, file: PartFile, begin: int) -> None:
        self.files.append(file)
        self.begins.append(begin)

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
        parts = [part for part in parts if f"{FOLDER}/{part.name}" not in stored_set.files]
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
                        found |= _written(staging, part.name, table)
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
