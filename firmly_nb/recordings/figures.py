"""What figures need of a saved set, read part by part: some fifty bytes for each event.

The full tables are for looking at orders; those of ten million would not fit into memory. Here each
part is read, the last arrival of each event is noted with its order, and the part is let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.latency.stages import START
from firmly_nb.recordings.sources import EVENT_ENDS, ORDER_ENDS, STAGE_ENDS, compact
from firmly_nb.store.columns import at_once, failed, read_rows
from firmly_nb.store.schema import categorical, coded, series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.store.columns import Part, StoredSet

    Numbers = NDArray[np.int32]
    Places = NDArray[np.int64]
    Ints = NDArray[np.integer[Any]]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Group = tuple[tuple[str, ...], Ints]

# The stages of very many orders, column by column: what ``latency.stages.stage_rows`` does by row.
#
# A test holds that both say the same.


@dataclass(frozen=True, slots=True)
class LastArrivals:
    """The last arrival of one event, one place an order: whether it came, when and how sure."""

    came: Flags
    t_ms: Floats
    uncertainty_us: Floats

    @classmethod
    def none(cls, orders: int) -> LastArrivals:
        """Return it for an event that came to no order so far."""
        nowhere = np.full(orders, np.nan)
        return cls(np.zeros(orders, dtype=bool), nowhere, nowhere.copy())

    def note(self, orders: Ints, t_ms: Floats, uncertainty_us: Floats) -> None:
        """Note arrivals; of several of one order the last one stays."""
        self.came[orders] = True
        self.t_ms[orders] = t_ms
        self.uncertainty_us[orders] = uncertainty_us


@dataclass(frozen=True, slots=True)
class StageColumns:
    """The columns of ``STAGES``; ``owner`` is the place of the order."""

    owner: Ints
    stage: pd.Categorical[Any]
    from_milestone: pd.Categorical[Any]
    to_milestone: pd.Categorical[Any]
    start_ms: Floats
    end_ms: Floats
    duration_ms: Floats
    uncertainty_us: Floats


def stage_columns(
    arrived: Mapping[str, LastArrivals], orders: int, configured: Sequence[Group] = ()
) -> StageColumns:
    """Return the stages of orders 0, 1, ... in this order.

    Parameters
    ----------
    arrived
        Their events by name; a name that is not there came to none.
    orders
        How many there are.
    configured
        Orders with event names of their own: the names and the places. All others go by the
        vocabulary that their stream speaks.
    """
    groups = [*configured, *_vocabularies(arrived, orders, configured)]
    labels: dict[str, int] = {}
    blocks = [_block(arrived, orders, names, places, labels) for names, places in groups]
    columns = blocks[0]
    if len(groups) > 1:
        columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        columns = [column[order] for column in columns]
    owner, *coded, start_ms, end_ms, duration_ms, uncertainty_us = columns
    stage, begin, end = (categorical(codes, list(labels)) for codes in coded)
    return StageColumns(owner, stage, begin, end, start_ms, end_ms, duration_ms, uncertainty_us)


def _vocabularies(
    arrived: Mapping[str, LastArrivals], orders: int, configured: Sequence[Group]
) -> list[Group]:
    """Sort the orders by the vocabulary of their stream, as ``event_names.vocabulary`` does."""
    guide = _has(arrived, orders, GUIDE) & ~_has(arrived, orders, REFERENCE)
    free = np.ones(orders, dtype=bool)
    for _, places in configured:
        free[places] = False
    return [
        (REFERENCE, np.flatnonzero(free & ~guide).astype(np.int32)),
        *([(GUIDE, np.flatnonzero(free & guide).astype(np.int32))] if (free & guide).any() else []),
    ]


def _has(arrived: Mapping[str, LastArrivals], orders: int, names: Sequence[str]) -> Flags:
    found = np.zeros(orders, dtype=bool)
    for name in names:
        if name in arrived:
            found |= arrived[name].came
    return found


def _block(
    arrived: Mapping[str, LastArrivals],
    orders: int,
    names: tuple[str, ...],
    places: Ints,
    labels: dict[str, int],
) -> list[NDArray[Any]]:
    """Return the columns of orders that share their milestones, order by order."""

    def code(label: str) -> int:
        return labels.setdefault(label, len(labels))

    # One row an order and one column a milestone: read row by row, an order's stages follow.
    shape = (len(places), len(names))
    stage, begins, ends = (np.empty(shape, dtype=np.int32) for _ in range(3))
    start_ms, end_ms, duration_ms, uncertainty_us = (np.empty(shape) for _ in range(4))
    everything = len(places) == orders
    reached = np.full(len(places), code(START), dtype=np.int32)
    begin, begin_us = np.zeros(len(places)), np.zeros(len(places))
    previous = START
    for column, name in enumerate(names):
        one = arrived.get(name) or LastArrivals.none(orders)
        came, end, end_us = (
            values if everything else values[places]
            for values in (one.came, one.t_ms, one.uncertainty_us)
        )
        skipped = came & (reached != code(previous))
        stage[:, column] = code(name)
        begins[:, column] = code(previous)
        ends[:, column] = code(name)
        begins[skipped, column] = reached[skipped]
        for missed in np.unique(reached[skipped]):
            label = f"{list(labels)[missed]}->{name}"
            stage[skipped & (reached == missed), column] = code(label)
        start_ms[:, column] = np.where(came, begin, np.nan)
        end_ms[:, column] = end
        duration_ms[:, column] = end - begin
        uncertainty_us[:, column] = begin_us + end_us
        reached = np.where(came, np.int32(code(name)), reached)
        begin, begin_us = np.where(came, end, begin), np.where(came, end_us, begin_us)
        previous = name
    owner = np.repeat(places, len(names))
    columns = (stage, begins, ends, start_ms, end_ms, duration_ms, uncertainty_us)
    return [owner, *(values.ravel() for values in columns)]


FEW = 8  # of so many orders of a part one: not worth reading all of it
COLUMNS = ("event", "t_ms", "uncertainty_us", "coalesced")


class _Events(NamedTuple):
    """Events of a part: the number of the order, the name and whether it shares its read."""

    orders: Numbers
    names: NDArray[np.int32]
    coalesced: NDArray[np.bool_]


class StoredEnds:
    """The tables that figures are made of, of some recordings of a set.

    Parameters
    ----------
    stored_set
        The set.
    rows
        Which of its recordings, in which order; each once.
    """

    def __init__(self, stored_set: StoredSet, rows: Places) -> None:
        self._set = stored_set
        self._rows = rows
        self._number = np.full(len(stored_set), -1, dtype=np.int32)
        self._number[rows] = np.arange(len(rows))

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Return ``ORDER_ENDS``."""
        stored = {c.name: "merchant" if c.name == "domain" else c.name for c in ORDER_ENDS.columns}
        stored.pop("recording_id")
        found = self._set.fresh_orders(list(stored.values()))
        columns: dict[str, Any] = {
            c.name: series(self._chosen(found[stored[c.name]]), c)
            for c in ORDER_ENDS.columns
            if c.name in stored
        }
        numbers = np.arange(len(self._rows), dtype=np.int32)
        return compact(ORDER_ENDS, columns | {"recording_id": numbers})

    @property
    def stages(self) -> pd.DataFrame:
        """Return ``STAGE_ENDS``."""
        return self._tables[1]

    @property
    def events(self) -> pd.DataFrame:
        """Return ``EVENT_ENDS``."""
        return self._tables[0]

    def stage_columns(self) -> StageColumns:
        """Return the columns of ``STAGES``."""
        return self._stages(self._read().arrived)

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        found = self._read()
        made = self._stages(found.arrived)
        stages = {name: getattr(made, name) for name in STAGE_ENDS.names if name != "recording_id"}
        return found.events(), compact(STAGE_ENDS, stages | {"recording_id": made.owner})

    def _stages(self, arrived: dict[str, LastArrivals]) -> StageColumns:
        return stage_columns(arrived, len(self._rows), self._configured)

    @cached_property
    def _configured(self) -> list[tuple[tuple[str, ...], NDArray[np.int32]]]:
        """Return the orders that have event names of their own, by these names."""
        codes, texts = coded(self._chosen(self._set.fresh_orders(["milestones"])["milestones"]))
        groups = []
        for code in sorted(np.unique(codes[codes >= 0]), key=lambda code: texts[code]):
            names = _event_names(texts[code])
            if names is None:
                self._set.warn(f"{self._set.root}: {texts[code]!r:.80} is no list of event names")
            else:
                groups.append((names, np.flatnonzero(codes == code).astype(np.int32)))
        return groups

    def _chosen(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        return values.take(pa.array(self._rows))

    def _read(self) -> _Arrivals:
        """Read the events of all parts; one that is damaged is left out, with a warning."""
        configured = {name for names, _ in self._configured for name in names}
        found = _Arrivals(len(self._rows), {*REFERENCE, *GUIDE, *configured})

        def read(part: Part, numbers: Numbers) -> None:
            columns, orders = _columns(self._set, part, numbers)
            if columns is not None:
                found.add(columns, orders)

        ends = np.cumsum([len(part.index) for part in self._set.parts], dtype=np.int64)
        each = list(zip(self._set.parts, np.split(self._number, ends), strict=False))
        for (part, _), error in zip(each, at_once(lambda one: read(*one), each), strict=True):
            if failed(error):
                self._set.leave_out_events(part, error)
        return found


class _Arrivals:
    """What came, as the parts are read, several at a time.

    Parameters
    ----------
    orders
        How many there are.
    names
        The events whose last arrival counts.
    """

    def __init__(self, orders: int, names: set[str]) -> None:
        self.arrived: dict[str, LastArrivals] = {}
        self._orders = orders
        self._wanted = names
        self._names: dict[str, int] = {}
        self._parts: list[_Events] = []
        self._lock = Lock()

    def add(self, columns: dict[str, pa.ChunkedArray], orders: Numbers) -> None:
        """Add the events of a part; those of an order stand together, in order of arrival."""
        codes, names = coded(columns["event"])
        t_ms, uncertainty_us, coalesced = (_numbers(columns[name]) for name in COLUMNS[1:])
        with self._lock:
            shared = [self._names.setdefault(name, len(self._names)) for name in names]
            for name in self._wanted.intersection(names).difference(self.arrived):
                self.arrived[name] = LastArrivals.none(self._orders)
            renumbered = np.array([*shared, -1], dtype=np.int32)[codes]
            self._parts.append(_Events(orders, renumbered, coalesced))
        for code, name in enumerate(names):
            if name in self._wanted:
                mine = np.flatnonzero(codes == code)
                self.arrived[name].note(orders[mine], t_ms[mine], uncertainty_us[mine])

    def events(self) -> pd.DataFrame:
        """Return ``EVENT_ENDS``."""
        parts = self._parts or [_Events(*(np.empty(0, kind) for kind in ("i4", "i4", "?")))]
        orders, names, coalesced = (np.concatenate(column) for column in zip(*parts, strict=True))
        milestone = categorical(names, list(self._names))
        return compact(
            EVENT_ENDS,
            {"recording_id": orders, "milestone": milestone, "coalesced": coalesced},
        )


def _event_names(text: str) -> tuple[str, ...] | None:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def _columns(
    stored_set: StoredSet, part: Part, numbers: Numbers
) -> tuple[dict[str, pa.ChunkedArray] | None, Numbers]:
    """Read the events of the chosen orders of a part, and the number of each one's order."""
    chosen = np.flatnonzero(numbers >= 0)
    nothing = None, numbers[:0]
    if not len(chosen) or part.events is None:
        return nothing
    rows, owner = stored_set.places_of(part).rows(chosen)
    if part.events is None or not len(rows):  # its ids could not be read
        return nothing
    if len(rows) * FEW < part.events.rows:
        wanted = np.sort(rows)
        table = read_rows(part.events, wanted, COLUMNS).take(
            pa.array(np.searchsorted(wanted, rows))
        )
    else:
        table = part.events.read(COLUMNS)
        if not np.array_equal(rows, np.arange(len(table))):
            table = table.take(pa.array(rows))
    return {name: table[name] for name in COLUMNS}, numbers[chosen[owner]]


def _numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    found: NDArray[Any] = values.to_numpy()
    return found
