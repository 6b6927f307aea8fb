"""Saving recordings as a Parquet data set, partitioned by day and merchant; again is harmless."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.secrets import redact_text
from firmly_nb.disk import check_is_file
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.display.paths import expanded
from firmly_nb.recorder.endings import recorded
from firmly_nb.recorder.masking import masked
from firmly_nb.recorder.records import (
    End,
    Event,
    Record,
    Recorded,
    Settled,
    Start,
    began_ns,
    decode,
    encode,
)
from firmly_nb.recorder.tables import event_rows, order_row
from firmly_nb.store.files import (
    SOURCES,
    Digest,
    Manifest,
    NewerFormatError,
    PartWriter,
    RunEntry,
    Save,
    StoreError,
    clear_leftovers,
    explained,
    locked,
    move_in,
    now,
    part_name,
    partition,
    parts_on_disk,
    read_manifest,
    staged,
    written_with,
)
from firmly_nb.store.schema import STORED_EVENTS, STORED_ORDERS, arrow_schema, arrow_table
from firmly_nb.store.stages import write_stages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path


# From the records of a recording to rows of the stored tables, and back.


def stored_rows(
    recording: Recorded, tags: dict[str, str], *, keep_personal: bool
) -> tuple[Row, list[Row]]:
    """Return the row of the order and those of its events, in the form of the stored tables.

    Parameters
    ----------
    recording
        What is to be stored.
    tags
        Given to the order beside its own.
    keep_personal
        Whether names, streets, telephone numbers and e-mail addresses stay.

    Raises
    ------
    ValueError
        If an event comes out of turn, as in a journal; or if a value is none that JSON can hold.
    """
    start, events, end, cut_off, warnings = recording
    if any(one.seq >= after.seq for one, after in pairwise(events)):
        raise ValueError("an event comes out of turn")
    if tags:
        start = replace(start, tags={**tags, **start.tags})
    if not keep_personal:
        events = [masked(event, start) for event in events]
        end, start = masked(end, start), masked(start, start)
    row = order_row(start, events, end)
    row["merchant"] = row.pop("domain")
    row["tags"] = _text(row["tags"])
    row["n_events"] = len(events)
    row["milestones"] = _text(start.milestones)
    row["start"] = encode(start).decode()
    row["end"] = None if cut_off else encode(end).decode()
    row["warnings"] = _text(list(warnings))
    rows = [*event_rows(start, events, wide=False)]
    for event, event_row in zip(events, rows, strict=True):
        told = event.packed().outline
        event_row["data"] = None if told is None else event.json.decode()
        told = told if event.is_outlined else None
        event_row["outline"] = None if told is None else orjson.dumps(told).decode()
        event_row["raw"] = event.raw
        event_row["t_ns"] = event.t_ns
        event_row["read_delay_us"] = event.read_delay_us
        event_row["event_id"] = event.id
    return row, rows


def recorded_of(order: Row, rows: Sequence[Row]) -> Recorded:
    """Make the records of a recording from its rows.

    Raises
    ------
    ValueError
        If the start or the end is no whole record.
    """
    start = decode((order["start"] or "").encode())
    if not isinstance(start, Start):
        raise ValueError("the start is missing")  # noqa: TRY004 - of what was read
    if start.recording_id != order["recording_id"]:
        raise ValueError("the start is that of another order")
    records: list[Record] = [start, *(_event(row) for row in rows)]
    if order["end"] is not None:
        end = decode(order["end"].encode())
        if not isinstance(end, End):
            raise ValueError("the end is another record")
        records.append(end)
    warnings = orjson.loads(order["warnings"] or "[]")
    missing = (order["n_events"] or 0) - len(rows)
    if missing > 0:
        warnings.append(f"{missing} of its {order['n_events']} events could not be read")
    made = recorded(records, warnings)
    if missing > 0 and order["order_exists"]:
        # What was judged by all of its events stands, as in the table of orders.
        judged = Settled(order["order_exists"], order["evidence"] or "", order["order_number"])
        made = made._replace(end=made.end.changed(settled=judged))
    return made


def _event(row: Row) -> Event:
    text, told = row["data"], row["outline"]
    event = Event(
        seq=row["seq"],
        event=row["event"],
        data=None if text is None or told is not None else orjson.loads(text),
        t_ns=row["t_ns"],
        wall_ns=row["at"],
        clock=row["clock"],
        uncertainty_us=row["uncertainty_us"],
        read_no=row["read_no"],
        coalesced=row["coalesced"],
        read_delay_us=row["read_delay_us"],
        size=row["bytes"],
        rtt_us=row["rtt_us"],
        retransmits=row["retransmits"],
        reordered=row["reordered"],
        id=row["event_id"] or "",
        raw=row["raw"],
    )
    return event.packed() if told is None else event.hold(text.encode(), orjson.loads(told))


def _text(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None


# Writing recordings into parts: one part a partition, in groups of rows that fit in memory.


# A group is what is held in memory while writing, and what reading one recording costs.
GROUP_EVENTS = 8_192
GROUP_ORDERS = 8_192
GROUP_BYTES = 8 * 1024 * 1024
# Over all partitions: of events as rows, and of orders, which wait longer, as tables.
HELD_BYTES = 6 * GROUP_BYTES
HELD_ORDERS_BYTES = 6 * GROUP_BYTES
OPEN_PARTS = 100  # two files each

Row = dict[str, Any]
Rows = tuple[Row, list[Row]]


@dataclass
class Written:
    """Parts that were written, and their entries for the manifest."""

    parts: list[str] = field(default_factory=list)
    recordings: int = 0
    events: int = 0
    environments: set[str] = field(default_factory=set)
    runs: dict[str, RunEntry] = field(default_factory=dict)
    files: dict[str, Digest] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def count(self, order: Row) -> None:
        """Count one that is in a part."""
        self.recordings += 1
        self.events += order["n_events"]
        self.environments.add(order["environment"])
        run_id = order["run_id"]
        if run_id is not None:
            entry = RunEntry(1, orjson.loads(order["tags"] or "{}"))
            self.runs[run_id] = self.runs[run_id].plus(entry) if run_id in self.runs else entry


@dataclass
class _Group:
    """Rows of one partition that are not written yet."""

    staging: Path
    writer: PartWriter
    held: list[Rows] = field(default_factory=list)
    events: int = 0
    size: int = 0
    orders: list[pa.Table] = field(default_factory=list)
    orders_size: int = 0

    def add(self, rows: Rows) -> int:
        self.held.append(rows)
        self.events += len(rows[1])
        size = 2_000 + sum(len(row["data"] or "") + 500 for row in rows[1])
        self.size += size
        return size

    @property
    def is_full(self) -> bool:
        return self.events >= GROUP_EVENTS or self.size >= GROUP_BYTES

    def flush(self, written: Written) -> int:
        """Write the events that are held; return how many bytes are free by that."""
        for orders, events, rows in _tables(self.held, written.left_out):
            self.writer.write("events", events)
            self.orders.append(orders)
            self.orders_size += orders.get_total_buffer_size()
            for order, _ in rows:
                written.count(order)
        if sum(map(len, self.orders)) >= GROUP_ORDERS:
            self.flush_orders()
        size, self.held, self.events, self.size = self.size, [], 0, 0
        return size

    def flush_orders(self) -> None:
        """Write the orders; they are small, so their groups are of several groups of events."""
        if self.orders:
            joined = pa.concat_tables(self.orders).unify_dictionaries().combine_chunks()
            self.writer.write("orders", joined)
            self.orders, self.orders_size = [], 0

    def close(self, written: Written) -> int:
        """Write what is left, and finish the part; return how many bytes are free by that."""
        size = self.flush(written)
        self.flush_orders()
        written.files |= self.writer.close()
        written.files |= write_stages(self.staging, self.writer.part)
        written.parts.append(self.writer.part)
        return size


def write_parts(
    staging: Path,
    recordings: Iterable[Recorded],
    tags: dict[str, str],
    *,
    keep_personal: bool,
) -> Written:
    """Write recordings into parts below a folder; memory is bounded however many there are."""
    written = Written()
    groups: dict[str, _Group] = {}
    schemas = {"orders": arrow_schema(STORED_ORDERS), "events": arrow_schema(STORED_EVENTS)}
    held = 0
    try:
        for recording in recordings:
            start = recording.start
            where = partition(began_ns(start, recording.end), start.domain)
            try:
                rows = stored_rows(recording, tags, keep_personal=keep_personal)
            except (ValueError, TypeError, OverflowError) as error:
                written.left_out.append(_why(start.recording_id, error))
                continue
            if where not in groups:
                if len(groups) >= OPEN_PARTS:
                    held -= sum(group.close(written) for group in groups.values())
                    groups.clear()
                writer = PartWriter(staging, f"{where}/{part_name()}", schemas)
                groups[where] = _Group(staging, writer)
            held += groups[where].add(rows)
            if groups[where].is_full:
                held -= groups[where].flush(written)
            elif held > HELD_BYTES:
                held -= max(groups.values(), key=lambda group: group.size).flush(written)
            _bound_orders(groups.values())
        for group in groups.values():
            group.close(written)
    except BaseException:
        for group in groups.values():
            group.writer.discard()
        raise
    return written


def _bound_orders(groups: Collection[_Group]) -> None:
    """Write the orders of the partition with most of them if all are too large."""
    if sum(group.orders_size for group in groups) > HELD_ORDERS_BYTES:
        max(groups, key=lambda group: group.orders_size).flush_orders()


def _tables(
    held: list[Rows], left_out: list[str]
) -> Iterable[tuple[pa.Table, pa.Table, list[Rows]]]:
    """Make tables of rows; what does not fit a column is left out alone."""
    if not held:
        return
    try:
        orders = arrow_table(STORED_ORDERS, [order for order, _ in held])
        events = arrow_table(STORED_EVENTS, [row for _, rows in held for row in rows])
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        if len(held) == 1:
            left_out.append(_why(held[0][0]["recording_id"], error))
            return
        half = len(held) // 2
        yield from _tables(held[:half], left_out)
        yield from _tables(held[half:], left_out)
    else:
        yield orders, events, held


def _why(recording_id: str, error: Exception) -> str:
    return f"{recording_id!r:.80} was left out, it does not fit the tables: {error!s:.200}"


@dataclass(frozen=True, slots=True)
class Saved:
    """Result of a save: number of recordings added, and number there before.

    Examples
    --------
    >>> from pathlib import Path
    >>> Saved(Path("runs/monday"), 200, 3)
    saved 200 recordings to runs/monday; 3 were there before
    """

    path: Path
    added: int
    there_before: int = 0
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        noun = "recording" if self.added == 1 else "recordings"
        verb = "was" if self.there_before == 1 else "were"
        before = f"; {self.there_before} {verb} there before" if self.there_before else ""
        notes = "".join(f"\n! {text}" for text in self.left_out)
        return f"saved {self.added} {noun} to {self.path}{before}{notes}"


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of a save."""

    tags: dict[str, str]
    notes: str
    keep_personal: bool


def save(
    recordings: Iterable[Recorded],
    path: str | Path,
    *,
    tags: dict[str, str] | None = None,
    notes: str = "",
    keep_personal: bool = False,
) -> Saved:
    """Save recordings to a folder; see ``Recordings.save``."""
    root = expanded(path)
    if not _is_text(root):
        text = f"{root} is not UTF-8, which Parquet needs. Nothing was saved. Use another folder."
        raise coded_error(StoreError, "FNB406", text)
    tags = {str(key): redact_text(str(text)) for key, text in (tags or {}).items()}
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(root) as alone:
            manifest = _manifest(root)
            if alone:
                clear_leftovers(root, manifest)
            options = _Options(tags, redact_text(notes), keep_personal)
            return _save(root, recordings, manifest, options)
    except StoreError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise explained(root, error) from error


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _save(
    root: Path, recordings: Iterable[Recorded], manifest: Manifest, options: _Options
) -> Saved:
    """Save while the lock is held."""
    known = _known_ids(root, manifest)
    before = 0

    def new() -> Iterator[Recorded]:
        nonlocal before
        for recording in recordings:
            if recording.start.recording_id in known:
                before += 1
            else:
                known.add(recording.start.recording_id)
                yield recording

    with staged(root) as staging:
        written = write_parts(staging, new(), options.tags, keep_personal=options.keep_personal)
        # A set of no recordings is a set, too; saving nothing new to one changes nothing.
        if written.parts or options.notes or not manifest.saves:
            move_in(root, staging, written.parts, manifest.plus(_entry(written, options)))
    return Saved(root, written.recordings, before, tuple(written.left_out))


def _entry(written: Written, options: _Options) -> Save:
    return Save(
        at=now(),
        recordings=written.recordings,
        events=written.events,
        parts=tuple(written.parts),
        notes=options.notes,
        tags=options.tags,
        environments=tuple(sorted(written.environments)),
        runs=written.runs,
        written_with=written_with(),
        files=written.files,
    )


def _manifest(root: Path) -> Manifest:
    try:
        manifest = read_manifest(root)
    except StoreError as error:
        text = f"Nothing was added. {without_code(str(error))}"
        if not isinstance(error, NewerFormatError):
            text += (
                " Or move that file away and save again: the manifest is made anew from the parts."
            )
        raise coded_error(type(error), error.code, text) from error
    return manifest if manifest is not None else _adopted(root)


def _adopted(root: Path) -> Manifest:
    """Make a manifest of the parts that lie there without one."""
    parts = [part for part in parts_on_disk(root) if (root / "events" / part).exists()]
    if not parts:
        return Manifest()
    counts = {kind: sum(_rows(root / kind / part) for part in parts) for kind in SOURCES}
    notes = "the manifest was missing and was made again from the parts there"
    return Manifest((Save(now(), counts["orders"], counts["events"], tuple(parts), notes),))


def _rows(path: Path) -> int:
    try:
        check_is_file(path)
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (OSError, pa.ArrowException):
        return 0


def _known_ids(root: Path, manifest: Manifest) -> set[str]:
    """Return the ids that are in the set; what cannot be read is as if it were not there."""
    found: set[str] = set()
    for part in manifest.parts:
        try:
            path = root / "orders" / part
            check_is_file(path)
            with pq.ParquetFile(path) as file:
                found.update(file.read(["recording_id"])["recording_id"].to_pylist())
        except (OSError, KeyError, pa.ArrowException):
            continue
    return found
