"""Writing recordings into parts: one part a partition, in groups of rows that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.recording.manifest import RunEntry
from firmly_nb.recording.parquet_files import PartWriter, part_name, partition
from firmly_nb.recording.parquet_rows import stored_rows
from firmly_nb.recording.parquet_schema import (
    STORED_EVENTS,
    STORED_ORDERS,
    arrow_schema,
    arrow_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from firmly_nb.recording.recording import Recording

# A group is what is held in memory while writing, and what reading one recording costs.
GROUP_EVENTS = 8_192
GROUP_ORDERS = 8_192
GROUP_BYTES = 8 * 1024 * 1024
HELD_BYTES = 16 * GROUP_BYTES  # over all partitions
OPEN_PARTS = 100  # two files each

Row = dict[str, Any]
Rows = tuple[Row, list[Row]]


@dataclass
class Written:
    """What was written: the parts, and what the manifest tells of them."""

    parts: list[str] = field(default_factory=list)
    recordings: int = 0
    events: int = 0
    environments: set[str] = field(default_factory=set)
    runs: dict[str, RunEntry] = field(default_factory=dict)
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
    """The rows of one partition that are not written yet."""

    writer: PartWriter
    held: list[Rows] = field(default_factory=list)
    events: int = 0
    size: int = 0
    orders: list[pa.Table] = field(default_factory=list)

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
            self.orders = []

    def close(self, written: Written) -> int:
        """Write what is left, and finish the part; return how many bytes are free by that."""
        size = self.flush(written)
        self.flush_orders()
        self.writer.close()
        written.parts.append(self.writer.part)
        return size


def write_parts(
    staging: Path,
    recordings: Iterable[Recording],
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
            where = partition(recording.started_at_ns, recording.domain)
            try:
                rows = stored_rows(recording, tags, keep_personal=keep_personal)
            except (ValueError, TypeError, OverflowError) as error:
                written.left_out.append(_why(recording.recording_id, error))
                continue
            if where not in groups:
                if len(groups) >= OPEN_PARTS:
                    held -= sum(group.close(written) for group in groups.values())
                    groups.clear()
                groups[where] = _Group(PartWriter(staging, f"{where}/{part_name()}", schemas))
            held += groups[where].add(rows)
            if groups[where].is_full:
                held -= groups[where].flush(written)
            elif held > HELD_BYTES:
                held -= sum(group.flush(written) for group in groups.values())
        for group in groups.values():
            group.close(written)
    except BaseException:
        for group in groups.values():
            group.writer.discard()
        raise
    return written


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
