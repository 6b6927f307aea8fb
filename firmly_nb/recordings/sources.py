"""Where the tables of many recordings come from: memory, a saved set, or several of these.

``Recordings`` asks a source and keeps what it gets. A source never changes; a selection of it is
another one, so that a saved set is read as late and as little as can be.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from firmly_nb.latency.columns import places
from firmly_nb.latency.stages import STAGES, stage_rows
from firmly_nb.recorder.tables import (
    EVENT_TIMES,
    EVENTS,
    ORDERS,
    confirmation_rows,
    event_rows,
    order_row,
)
from firmly_nb.schema import Column, Table
from firmly_nb.store.schema import STORED_EVENTS, STORED_ORDERS, arrow_table
from firmly_nb.store.write import stored_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.recordings.recordings import Recording, Recordings

    Places = NDArray[np.integer[Any]]

# What figures are made of: when events ended stages, by the number of the order and not its id.
#
# The figures of ``latency`` take any tables. Of a saved set they get these, which are small: a
# number for each id, and no column that no figure needs. So the same functions serve ten orders
# and ten million; a test holds that the figures are those of the full tables.


ORDER_NUMBER = Column("recording_id", "int32", "", "place of the order among the orders")


def _some_of(table: Table, name: str, wanted: set[str], **dtypes: str) -> Table:
    columns = [column for column in table.columns if column.name in wanted]
    return Table(
        name,
        f"{table.row}, what figures need",
        (
            ORDER_NUMBER,
            *(Column(c.name, dtypes.get(c.name, c.dtype), c.unit, c.meaning) for c in columns),
        ),
    )


EVENT_ENDS = _some_of(EVENTS, "event_ends", {"milestone", "coalesced"})
STAGE_ENDS = _some_of(
    STAGES, "stage_ends", {"stage", "to_milestone", "end_ms", "duration_ms", "uncertainty_us"}
)
ORDER_ENDS = _some_of(
    ORDERS,
    "order_ends",
    {
        "run_id",
        "started_at",
        "environment",
        "domain",
        "outcome",
        "time_to_headers_ms",
        "time_to_first_event_ms",
        "time_to_order_placed_ms",
        "order_latency_ms",
        "schedule_lag_ms",
    },
    run_id="category",  # of many orders few run ids are different
)


class Ends(Protocol):
    """Three tables that belong together: their ``recording_id`` are of one kind."""

    @property
    def events(self) -> pd.DataFrame:
        """One row an event."""

    @property
    def stages(self) -> pd.DataFrame:
        """One row a stage."""

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order."""


class HeldEnds:
    """The full tables, which recordings in memory have at hand."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    @property
    def events(self) -> pd.DataFrame:
        """Return ``EVENT_TIMES``."""
        return self._recordings.event_times

    @property
    def stages(self) -> pd.DataFrame:
        """Return ``STAGES``."""
        return self._recordings.stages

    @property
    def orders(self) -> pd.DataFrame:
        """Return ``ORDERS``."""
        return self._recordings.orders


class _Numbered(NamedTuple):
    """Tables with numbers for their ids."""

    events: pd.DataFrame
    stages: pd.DataFrame
    orders: pd.DataFrame


class JoinedEnds:
    """Those of several sources as one.

    Parameters
    ----------
    sources
        Where they come from.
    chosen
        Which of all orders, counted from the first source's first, in which order.
    """

    def __init__(self, sources: Sequence[Source], chosen: Sequence[int]) -> None:
        self._sources = sources
        self._chosen = chosen

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Return ``ORDER_ENDS``."""
        import numpy as np

        joined = _joined(ORDER_ENDS, [_ends_of(source).orders for source in self._sources])
        found = joined.take(np.asarray(self._chosen, dtype=np.int64)).reset_index(drop=True)
        return found.assign(recording_id=np.arange(len(found), dtype=np.int32))

    @cached_property
    def stages(self) -> pd.DataFrame:
        """Return ``STAGE_ENDS``."""
        return self._rows(STAGE_ENDS, [_ends_of(source).stages for source in self._sources])

    @cached_property
    def events(self) -> pd.DataFrame:
        """Return ``EVENT_ENDS``."""
        return self._rows(EVENT_ENDS, [_ends_of(source).events for source in self._sources])

    def _rows(self, table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Return the rows of the chosen orders, in their order and with their numbers."""
        import numpy as np

        sizes = [len(source) for source in self._sources]
        new = np.full(sum(sizes), -1, dtype=np.int32)
        new[np.asarray(self._chosen, dtype=np.int64)] = np.arange(len(self._chosen))
        begins = np.cumsum([0, *sizes])
        numbers = [
            new[begin + frame["recording_id"].to_numpy()]
            for begin, frame in zip(begins, frames, strict=False)
        ]
        number = np.concatenate(numbers)
        order = np.argsort(number, kind="stable")
        order = order[np.searchsorted(number[order], 0) :]
        joined = _joined(table, frames).take(order).reset_index(drop=True)
        return joined.assign(recording_id=number[order])


def compact(table: Table, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Build a table of arrays that are used as they are: a copy of many would not be small."""
    import pandas as pd

    return pd.DataFrame(
        {c.name: pd.Series(columns[c.name], dtype=c.dtype, copy=False) for c in table.columns},
        copy=False,
    )


def _ends_of(source: Source) -> Ends:
    """Return those of one source; tables in memory get numbers for their ids."""
    if source.ends is not None:
        return source.ends
    import numpy as np

    orders = source.orders()
    frames = {EVENT_ENDS: source.event_times(), STAGE_ENDS: source.stages(), ORDER_ENDS: orders}
    events, stages, numbered = (
        compact(
            table,
            {name: frame[name] for name in table.names}
            | {"recording_id": places(orders, frame).astype(np.int32)},
        )
        for table, frame in frames.items()
    )
    return _Numbered(events, stages, numbered)


def _joined(table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {}
    for column in table.columns:
        parts = [frame[column.name] for frame in frames]
        if column.dtype == "category":
            # Categories that differ would come out as objects, one for each row.
            columns[column.name] = pd.api.types.union_categoricals(parts)
        else:
            columns[column.name] = pd.concat(parts, ignore_index=True)
    return compact(table, columns)


class Source(ABC):
    """Recordings in an order, and their tables."""

    @property
    def warnings(self) -> list[str]:
        """What could not be read."""
        return []

    @property
    def notes(self) -> list[str]:
        """What was noted when they were saved."""
        return []

    @property
    def parts(self) -> list[Source]:
        """Return the sources that this one is made of."""
        return [self]

    @property
    def places(self) -> Sequence[int]:
        """Return which recordings of its parts it has, in order."""
        return range(len(self))

    @property
    def ends(self) -> Ends | None:
        """What figures are made of; None if it is the tables, which are at hand."""
        return None

    def judged_now(self) -> Any:
        """Return what was judged of orders that were saved without; None where there are none."""
        return None

    def paths(self, kind: str) -> list[str] | None:  # noqa: ARG002 - of those that have files
        """Return the files of ``orders`` or ``events``; None if they are in memory."""
        return None

    @property
    def is_whole(self) -> bool:
        """Whether its files hold nothing else."""
        return False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Recording]: ...

    @abstractmethod
    def recording(self, place: int) -> Recording:
        """Return one."""

    @abstractmethod
    def take(self, places: Sequence[int]) -> Source:
        """Return those at these places, in this order."""

    @abstractmethod
    def ids(self) -> list[str]:
        """Return the recording ids."""

    @abstractmethod
    def started_at_ns(self) -> Sequence[int]:
        """Return when each began, by the wall clock, in Unix nanoseconds."""

    @abstractmethod
    def cut_off(self) -> list[bool]:
        """Say of each whether it has no end."""

    @abstractmethod
    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id."""

    @abstractmethod
    def orders(self, table: Table = ORDERS) -> pd.DataFrame:
        """Return ``ORDERS``, or a selection of its columns."""

    @abstractmethod
    def events(self) -> pd.DataFrame:
        """Return ``EVENTS``."""

    @abstractmethod
    def event_times(self, table: Table = EVENT_TIMES) -> pd.DataFrame:
        """Return ``EVENTS`` without its wide columns, or another selection of its columns."""

    @abstractmethod
    def stages(self) -> pd.DataFrame:
        """Return ``STAGES``."""

    @abstractmethod
    def answers(self) -> pd.DataFrame:
        """Return the answers of orders without events, in the form of ``EVENTS``."""


class Held(Source):
    """Recordings in memory."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = list(recordings)

    def __len__(self) -> int:
        return len(self._recordings)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._recordings)

    def recording(self, place: int) -> Recording:
        """Return one, the same object each time."""
        return self._recordings[place]

    def take(self, places: Sequence[int]) -> Held:
        """Return those at these places."""
        return Held([self._recordings[place] for place in places])

    def ids(self) -> list[str]:
        """Return the recording ids."""
        return [r.recording_id for r in self._recordings]

    def started_at_ns(self) -> list[int]:
        """Return when each began."""
        return [r.started_at_ns for r in self._recordings]

    def cut_off(self) -> list[bool]:
        """Say of each whether it has no end."""
        return [r.cut_off for r in self._recordings]

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for."""
        return {r.recording_id: r.items for r in self._recordings}

    def orders(self, table: Table = ORDERS) -> pd.DataFrame:
        """Return one row an order."""
        return table.frame(
            [order_row(r._start, r._events, r._end) for r in self._recordings]  # noqa: SLF001 - same room
        )

    def events(self) -> pd.DataFrame:
        """Return one row an event."""
        rows = (event_rows(r._start, r._events) for r in self._recordings)  # noqa: SLF001 - same room
        return EVENTS.frame([row for group in rows for row in group])

    def event_times(self, table: Table = EVENT_TIMES) -> pd.DataFrame:
        """Return one row an event, without what came in it."""
        return self.events()[table.names]

    def stages(self) -> pd.DataFrame:
        """Return all stages."""
        # From the records at once: a table for each recording would cost a thousand times more.
        return STAGES.frame(
            [
                {"recording_id": r.recording_id, **row}
                for r in self._recordings
                for row in stage_rows(
                    {e.event: (e.t_ns / 1e6, e.uncertainty_us) for e in r._events},  # noqa: SLF001 - same room
                    r._start.milestones,  # noqa: SLF001 - same room
                )
            ]
        )

    def answers(self) -> pd.DataFrame:
        """Return the plain answers."""
        rows = (confirmation_rows(r._start, r._end) for r in self._recordings)  # noqa: SLF001 - same room
        return EVENTS.frame([row for group in rows for row in group])


class Joined(Source):
    """Several sources as one, their recordings in any order.

    Parameters
    ----------
    sources
        Where they come from.
    places
        Which of all recordings, counted from the first source's first, in which order; by default
        all as they come.
    """

    def __init__(self, sources: Sequence[Source], places: Sequence[int] | None = None) -> None:
        self._sources: list[Source] = []
        every: list[int] = []
        begin = 0
        for source in sources:
            # What is joined again and again stays one level deep.
            every += [begin + place for place in source.places]
            begin += sum(len(each) for each in source.parts)
            self._sources += source.parts
        self._places: list[int] = every if places is None else [every[place] for place in places]
        self._as_they_come = self._places == list(range(begin))

    @property
    def warnings(self) -> list[str]:
        """What could not be read."""
        return [text for source in self._sources for text in source.warnings]

    @property
    def notes(self) -> list[str]:
        """What was noted when they were saved."""
        return [text for source in self._sources for text in source.notes]

    @cached_property
    def ends(self) -> Ends | None:
        """What figures are made of; None if all of it is in memory."""
        if all(source.ends is None for source in self._sources):
            return None
        return JoinedEnds(self._sources, self._places)

    @property
    def parts(self) -> list[Source]:
        """Return the joined sources."""
        return self._sources

    @property
    def places(self) -> Sequence[int]:
        """Return which recordings of its parts it has."""
        return self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Recording]:
        return (self.recording(place) for place in range(len(self)))

    def recording(self, place: int) -> Recording:
        """Return one."""
        place = self._places[place]
        for source in self._sources:
            if place < len(source):
                return source.recording(place)
            place -= len(source)
        raise IndexError(place)

    def take(self, places: Sequence[int]) -> Source:
        """Return those at these places; of each source no more than is needed."""
        if all(isinstance(source, Held) for source in self._sources):
            return Held([self.recording(place) for place in places])
        wanted = [self._places[place] for place in places]
        new_place: dict[int, int] = {}
        parts: list[Source] = []
        before = 0
        for source in self._sources:
            inside = sorted({p - before for p in wanted if before <= p < before + len(source)})
            new_place |= {p + before: len(new_place) + n for n, p in enumerate(inside)}
            parts.append(source.take(inside))
            before += len(source)
        return Joined(parts, [new_place[place] for place in wanted])

    def ids(self) -> list[str]:
        """Return the recording ids."""
        return self._picked([x for source in self._sources for x in source.ids()])

    def started_at_ns(self) -> list[int]:
        """Return when each began."""
        found = [int(x) for source in self._sources for x in source.started_at_ns()]
        return self._picked(found)

    def cut_off(self) -> list[bool]:
        """Say of each whether it has no end."""
        return self._picked([x for source in self._sources for x in source.cut_off()])

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for."""
        found = {k: v for source in self._sources for k, v in source.asked().items()}
        return {recording_id: found[recording_id] for recording_id in self.ids()}

    def orders(self, table: Table = ORDERS) -> pd.DataFrame:
        """Return one row an order."""
        return self._table(table, lambda source: source.orders(table))

    def events(self) -> pd.DataFrame:
        """Return one row an event."""
        return self._table(EVENTS, lambda source: source.events())

    def event_times(self, table: Table = EVENT_TIMES) -> pd.DataFrame:
        """Return one row an event, without what came in it."""
        return self._table(table, lambda source: source.event_times(table))

    def stages(self) -> pd.DataFrame:
        """Return all stages."""
        return self._table(STAGES, lambda source: source.stages())

    def answers(self) -> pd.DataFrame:
        """Return the plain answers."""
        return self._table(EVENTS, lambda source: source.answers())

    def _picked(self, values: list[Any]) -> list[Any]:
        return [values[place] for place in self._places]

    def _table(self, table: Table, of: Callable[[Source], pd.DataFrame]) -> pd.DataFrame:
        """Put the tables of all under one another, in the order of the recordings."""
        import numpy as np
        import pandas as pd

        joined = table.concat(of(source) for source in self._sources)
        if self._as_they_come:
            return joined
        owners = pd.Index(self.ids()).get_indexer(pd.Index(joined["recording_id"]))
        order = np.argsort(owners, kind="stable")
        return joined.take(order[owners[order] >= 0]).reset_index(drop=True)


# Tables as DuckDB relations: the files of a saved set are asked where they lie.


TABLES = {"events": (EVENTS, STORED_EVENTS), "orders": (ORDERS, STORED_ORDERS)}
NOW = "judged now: "  # no column of a table begins so
GLOB = re.compile(r"[*?\[]")


def relation(source: Source, table: str, connection: Any = None) -> Any:
    """Return a table of a source as a relation; see ``Recordings.relation``.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    if table not in TABLES:
        raise KeyError(f"no relation {table!r}; there are {sorted(TABLES)}")
    asked = connection or duckdb.default_connection()
    return reduce(lambda a, b: a.union(b), [_one(part, table, asked) for part in source.parts])


def _one(source: Source, table: str, connection: Any) -> Any:
    paths = source.paths(table)
    if not paths:
        return _as_declared(connection.from_arrow(_in_memory(source, table)), table)
    # A path is a pattern to DuckDB: brackets make each of its own signs a plain one.
    plain = [GLOB.sub(lambda found: f"[{found[0]}]", path) for path in paths]
    files = connection.read_parquet(plain, union_by_name=True, hive_partitioning=False)
    judged = source.judged_now() if table == "orders" else None
    if judged is not None:
        files = files.join(connection.from_arrow(_judged(source, judged)), "recording_id", "left")
    found = _as_declared(files, table)
    if source.is_whole:
        return found
    wanted = connection.from_arrow(pa.table({"recording_id": pa.array(source.ids(), pa.string())}))
    return found.join(wanted, "recording_id", how="semi")


def _as_declared(found: Any, table: str) -> Any:
    """Select the columns of the table; one that an older version did not write is null."""
    columns = []
    for name in TABLES[table][0].names:
        there = "merchant" if name == "domain" else name
        value = f'"{there}"' if there in found.columns else "NULL"
        if (now := f"{NOW}{name}") in found.columns:
            value = f'coalesce({value}, "{now}")'
        columns.append(f'{value} AS "{name}"')
    return found.project(", ".join(columns))


def _judged(source: Source, judged: Any) -> pa.Table:
    """Return what was judged now of orders that an older version saved."""
    ids = source.ids()
    columns = {name: getattr(judged, name) for name in judged._fields if name != "places"}
    columns = {f"{NOW}{name}": pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table({"recording_id": pa.array([ids[n] for n in judged.places]), **columns})


def _in_memory(source: Source, table: str) -> pa.Table:
    """Return the table of recordings in memory, none where a set has no readable file."""
    held = [] if source.paths(table) is not None else list(source)
    rows = [stored_rows(recording, {}, keep_personal=True) for recording in held]
    found = [order for order, _ in rows] if table == "orders" else [e for _, es in rows for e in es]
    return arrow_table(TABLES[table][1], found)
