"""Sources of the tables of many recordings: records in memory, saved sets, or both.

``Recordings`` keep what they get of a source. A source never changes. A selection of it is another
source, so that a saved set is read as late and as little as possible.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, reduce
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firmly_nb.display.messages import UnknownName, coded_error, unknown
from firmly_nb.latency.columns import Reads, is_value, reads_of
from firmly_nb.latency.stages import (
    STORED_STAGES,
    Arrivals,
    JoinedBlocks,
    blocks_of,
    last_arrivals,
    stage_columns,
)
from firmly_nb.outcomes import CANCELLED
from firmly_nb.recorder.records import Recorded, began_ns
from firmly_nb.recorder.tables import (
    EVENT_TIMES,
    EVENTS,
    HEADERS,
    ORDERS,
    confirmation_rows,
    event_rows,
    header_rows,
    order_row,
)
from firmly_nb.schema import Column, Table, dtype_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.stages import StageBlocks, StageColumns
    from firmly_nb.recorder.records import Event

    Rows = NDArray[np.int64]


# What figures are made of: when events ended stages, by the number of the order and not its id.
#
# The functions of ``latency`` take any tables. Of a saved set they get these, which are small: a
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


EVENT_COUNTS = Table(
    "event_counts",
    "one row an order with events, what figures need of these",
    (
        ORDER_NUMBER,
        Column("n_events", "int32", "", "events of the order"),
        Column("n_coalesced", "int32", "", "how many of these share a read with the one before"),
    ),
)
STAGE_ENDS = _some_of(
    STORED_STAGES,
    "stage_ends",
    {
        "stage",
        "to_milestone",
        "duration_ms",
        "uncertainty_us",
        "coalesced",
        "gathered",
        "together",
        "place",
    },
)
ORDER_ENDS = _some_of(
    ORDERS,
    "order_ends",
    {
        "run_id",
        "started_at",
        "environment",
        "domain",
        "n_items",
        "quantity",
        "variants",
        "outcome",
        "time_to_headers_ms",
        "time_to_first_event_ms",
        "time_to_order_placed_ms",
        "time_to_failure_ms",
        "order_latency_ms",
        "schedule_lag_ms",
        "scheduled_time_to_order_placed_ms",
        "connection",
        "host",
        "clock",
    },
    run_id="category",  # of many orders few run ids are different
)

# What the table of times needs of these.
ORDER_TIMES = Table(
    "order_times",
    ORDER_ENDS.row,
    tuple(
        column
        for column in ORDER_ENDS.columns
        if column.name
        not in {
            "quantity",
            "variants",
            "connection",
            "clock",
            "scheduled_time_to_order_placed_ms",
        }
    ),
)

# A table of times needs these only of orders that were cancelled, or if none was placed.
LATENCY_TIMES = Table(
    "latency_times",
    ORDER_ENDS.row,
    tuple(
        column
        for column in ORDER_TIMES.columns
        if column.name not in {"time_to_failure_ms", "order_latency_ms"}
    ),
)

# What caveats are made of besides: looked at when somebody asks for them, and not for figures.
EVENT_NOTES = _some_of(EVENTS, "event_notes", {"seq", "event", "clock", "uncertainty_us", "unread"})
ORDER_NOTES = _some_of(
    ORDERS,
    "order_notes",
    {
        "environment",
        "domain",
        "outcome",
        "order_exists",
        "time_to_order_placed_ms",
        "order_latency_ms",
        "time_to_failure_ms",
        "schedule_lag_ms",
        "content_encoding",
        "proxies",
        "unfinished",
        "clock_step_us",
    },
)


class Ends(Protocol):
    """Three tables that belong together: their ``recording_id`` are of one kind."""

    @property
    def events(self) -> pd.DataFrame:
        """One row an event, or ``EVENT_COUNTS``."""

    @property
    def stages(self) -> pd.DataFrame:
        """One row a stage."""

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order."""


def compact(table: Table, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Build a table of arrays that are used as they are: a copy of many would not be small."""
    import pandas as pd

    return pd.DataFrame(
        {
            c.name: pd.Series(columns[c.name], dtype=dtype_of(c.dtype), copy=False)
            for c in table.columns
        },
        copy=False,
    )


def stage_ends(made: StageColumns) -> pd.DataFrame:
    """Return ``STAGE_ENDS``."""
    columns = {name: made.column(name) for name in STAGE_ENDS.names[1:]}
    return compact(STAGE_ENDS, columns | {"recording_id": made.orders})


def event_counts(n_events: NDArray[Any], n_coalesced: NDArray[Any]) -> pd.DataFrame:
    """Return ``EVENT_COUNTS`` of all orders, given how many events each has."""
    some = np.flatnonzero(n_events)
    counts = {"n_events": n_events[some], "n_coalesced": n_coalesced[some]}
    return compact(EVENT_COUNTS, {"recording_id": some, **counts})


def numbered(table: Table, frame: pd.DataFrame, numbers: NDArray[Any]) -> pd.DataFrame:
    """Return a table of ends, with numbers for the ids."""
    columns: dict[str, Any] = {name: frame[name] for name in table.names}
    return compact(table, columns | {"recording_id": numbers})


class OneOrder(Protocol):
    """A recording, as far as sources know it."""

    @property
    def recorded(self) -> Recorded:
        """All its records."""


def recorded_stages(
    orders: Sequence[tuple[Sequence[Event], Sequence[str] | None]],
) -> StageColumns:
    """Return the stages of many orders at once.

    Parameters
    ----------
    orders
        For each order its events and its milestones; None for the vocabulary of its stream.

    Examples
    --------
    >>> recorded_stages([]).duration_ms.tolist()
    []
    """
    sizes = [len(its_events) for its_events, _ in orders]
    known: dict[str, int] = {}
    own: dict[tuple[str, ...], int] = {}

    def each(of: Callable[[Event], float], dtype: type) -> NDArray[Any]:
        # Not by way of a list: there can be very many events.
        return np.fromiter((of(event) for its, _ in orders for event in its), dtype, sum(sizes))

    came = Arrivals(
        np.repeat(np.arange(len(orders)), sizes),
        each(lambda event: known.setdefault(event.event, len(known)), np.intp),
        list(known),
        each(lambda event: event.t_ns / 1e6, np.float64),
        each(lambda event: event.uncertainty_us, np.float64),
        each(lambda event: event.coalesced, np.bool_),
    )
    which = [own.setdefault(tuple(names), len(own)) if names else -1 for _, names in orders]
    return stage_columns([last_arrivals(came, np.array(which, dtype=np.intp), list(own))])


class Source(Protocol):
    """A source of recordings; ``rows`` are some of them, each once, in any order."""

    @property
    def warnings(self) -> Sequence[str]:
        """Problems of reading that showed so far."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes given to ``save()``, oldest first."""

    def __len__(self) -> int: ...

    def one(self, row: int) -> OneOrder | Recorded:
        """Return one recording, or its records."""

    def ids(self, rows: Rows) -> list[str]:
        """Return the recording ids."""

    def id_array(self, rows: Rows) -> Any:
        """Return the recording ids as an array of Arrow's, or as chunks of one."""

    def started_at_ns(self, rows: Rows) -> NDArray[np.int64]:
        """Return when each began, in Unix nanoseconds by the wall clock; 0 if not known."""

    def cut_off(self, rows: Rows) -> list[bool]:
        """Return for each whether it has no end."""

    def asked(self, rows: Rows) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id."""

    def orders(self, rows: Rows) -> pd.DataFrame:
        """Return ``ORDERS``."""

    def order_column(self, name: str, rows: Rows) -> pd.Series[Any]:
        """Return one column of ``ORDERS``."""

    def events(self, rows: Rows) -> pd.DataFrame:
        """Return ``EVENTS``, order by order."""

    def event_times(self, rows: Rows) -> pd.DataFrame:
        """Return ``EVENT_TIMES``, order by order."""

    def stages(self, rows: Rows) -> pd.DataFrame:
        """Return ``STAGES``, order by order."""

    def answers(self, rows: Rows) -> pd.DataFrame:
        """Return the answers of orders without events, in the form of ``EVENTS``."""

    def headers(self, rows: Rows) -> pd.DataFrame:
        """Return ``HEADERS``, order by order."""

    def order_ends(self, rows: Rows, table: Table = ORDER_ENDS) -> pd.DataFrame:
        """Return ``ORDER_ENDS``, or a part of it; the numbers are those of the rows from 0."""

    def stage_ends(self, rows: Rows) -> pd.DataFrame:
        """Return ``STAGE_ENDS``, with the same numbers."""

    def event_counts(self, rows: Rows) -> pd.DataFrame:
        """Return ``EVENT_COUNTS``, with the same numbers."""

    def stage_blocks(self, rows: Rows) -> tuple[pd.DataFrame | StageBlocks, Events]:
        """Return the same, of very many orders one stage after the other and counts alone."""

    def notes_of(self, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return ``ORDER_NOTES``, and ``EVENT_NOTES`` of events with a caveat, numbered so too."""

    def relation(self, table: str, rows: Rows, connection: Any) -> Any:
        """Return a table of ``RELATIONS`` as a DuckDB relation."""


def array_of_ids(ids: list[str]) -> Any:
    """Return ids as an array of Arrow's."""
    import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

    return pa.array(ids, pa.string())


class Held:
    """Recordings in memory."""

    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(self, recordings: Iterable[OneOrder]) -> None:
        self.recordings = list(recordings)

    def __len__(self) -> int:
        return len(self.recordings)

    def one(self, row: int) -> OneOrder:
        """Return one, the same object each time."""
        return self.recordings[row]

    def ids(self, rows: Rows) -> list[str]:
        """Return the recording ids."""
        return [start.recording_id for start, *_ in self._recorded(rows)]

    def id_array(self, rows: Rows) -> Any:
        """Return the recording ids."""
        return array_of_ids(self.ids(rows))

    def started_at_ns(self, rows: Rows) -> NDArray[np.int64]:
        """Return when each began."""
        found = [began_ns(each.start, each.end) or 0 for each in self._recorded(rows)]
        return np.array(found, dtype=np.int64)

    def cut_off(self, rows: Rows) -> list[bool]:
        """Return for each whether it has no end."""
        return [order.cut_off for order in self._recorded(rows)]

    def asked(self, rows: Rows) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for."""
        starts = (start for start, *_ in self._recorded(rows))
        return {start.recording_id: [dict(item) for item in start.items] for start in starts}

    def orders(self, rows: Rows) -> pd.DataFrame:
        """Return one row an order."""
        return ORDERS.frame([order_row(o.start, o.events, o.end) for o in self._recorded(rows)])

    def order_column(self, name: str, rows: Rows) -> pd.Series[Any]:
        """Return one column of the orders."""
        return self.orders(rows)[name]

    def events(self, rows: Rows) -> pd.DataFrame:
        """Return one row an event."""
        return self._events(EVENTS, rows)

    def event_times(self, rows: Rows) -> pd.DataFrame:
        """Return one row an event, without what came in it."""
        return self._events(EVENT_TIMES, rows)

    def _events(self, table: Table, rows: Rows) -> pd.DataFrame:
        wide, orders = table is EVENTS, self._recorded(rows)
        groups = (event_rows(order.start, order.events, wide=wide) for order in orders)
        return table.frame(chain.from_iterable(groups))

    def stages(self, rows: Rows) -> pd.DataFrame:
        """Return all stages."""
        made = self._stages(rows)
        return made.table(np.array(self.ids(rows), dtype=object)[made.orders])

    def answers(self, rows: Rows) -> pd.DataFrame:
        """Return the plain answers."""
        groups = (confirmation_rows(order.start, order.end) for order in self._recorded(rows))
        return EVENTS.frame([row for group in groups for row in group])

    def headers(self, rows: Rows) -> pd.DataFrame:
        """Return the headers of the answers."""
        groups = (header_rows(o.start.recording_id, o.end.headers) for o in self._recorded(rows))
        return HEADERS.frame([row for group in groups for row in group])

    def order_ends(self, rows: Rows, table: Table = ORDER_ENDS) -> pd.DataFrame:
        """Return what figures need of orders."""
        return numbered(table, self.orders(rows), np.arange(len(rows)))

    def stage_ends(self, rows: Rows) -> pd.DataFrame:
        """Return what figures need of stages."""
        return stage_ends(self._stages(rows))

    def event_counts(self, rows: Rows) -> pd.DataFrame:
        """Return what figures need of events."""
        own = [order.events for order in self._recorded(rows)]
        n_events = np.array([len(events) for events in own], np.int32)
        shared = np.array([sum(e.coalesced for e in events) for events in own], np.int32)
        return event_counts(n_events, shared)

    def stage_blocks(self, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the same tables: these are in memory anyway."""
        return self.stage_ends(rows), self.event_counts(rows)

    def notes_of(self, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what caveats need of orders and events."""
        orders = list(enumerate(self._recorded(rows)))
        in_events = ((n, event_rows(o.start, o.events, wide=False)) for n, o in orders)
        in_answers = ((n, confirmation_rows(o.start, o.end, wide=False)) for n, o in orders)
        noted = (
            row | {ORDER_NUMBER.name: number}
            for number, its in chain(in_events, in_answers)
            for row in its
            if row["unread"] or row.get("clock") == "user"
        )
        told = numbered(ORDER_NOTES, self.orders(rows), np.arange(len(rows)))
        return told, EVENT_NOTES.frame(noted)

    def relation(self, table: str, rows: Rows, connection: Any) -> Any:
        """Return a table as a relation, with the columns that it has in files."""
        from firmly_nb.recordings.relations import RELATIONS, arrow_relation
        from firmly_nb.store.columns import TABLES
        from firmly_nb.store.schema import arrow_of, arrow_table
        from firmly_nb.store.write import stored_rows

        if table in {"headers", "stages"}:
            frame = self.headers(rows) if table == "headers" else self.stages(rows)
            return arrow_relation(arrow_of(RELATIONS[table], frame), table, connection)
        made = [stored_rows(order, {}, keep_personal=True) for order in self._recorded(rows)]
        events = [row for _, rows in made for row in rows]
        found = [order for order, _ in made] if table == "orders" else events
        return arrow_relation(arrow_table(TABLES[table], found), table, connection)

    def _stages(self, rows: Rows) -> StageColumns:
        return recorded_stages([(o.events, o.start.milestones) for o in self._recorded(rows)])

    def _recorded(self, rows: Rows) -> list[Recorded]:
        return [self.recordings[row].recorded for row in rows.tolist()]


class Selection:
    """Recordings of one source or of several, in an order, and their tables.

    Parameters
    ----------
    sources
        What they are read from; at most one is in memory, and that is the last.
    chosen
        Which of all recordings, counted from the first source's first, in which order; by default
        all as they come.
    """

    def __init__(self, sources: Sequence[Source], chosen: Rows | None = None) -> None:
        self.sources = list(sources)
        self.begins = np.cumsum([0, *map(len, sources)]).tolist()
        self.chosen = np.arange(self.begins[-1]) if chosen is None else chosen

    @classmethod
    def joined(cls, selections: Sequence[Selection], *, by_time: bool = False) -> Selection:
        """Join selections; a recording that is in several is there once, where it is first.

        Parameters
        ----------
        selections
            What is joined.
        by_time
            Whether they are put in order of their start.
        """
        every = [source for selection in selections for source in selection.sources]
        held = Held(x for source in every if isinstance(source, Held) for x in source.recordings)
        sets = dict.fromkeys(source for source in every if not isinstance(source, Held))
        sources: list[Source] = [*sets, *([held] if len(held) or not sets else [])]
        begins = dict(zip(sources, np.cumsum([0, *map(len, sources)]).tolist(), strict=False))
        begin, chosen = begins.get(held, 0), []
        for selection in selections:
            shifts = []
            for source, was in zip(selection.sources, selection.begins, strict=False):
                shifts.append(begins.get(source, begin) - was)
                begin += len(source) if isinstance(source, Held) else 0
            chosen.append(selection.chosen + np.array(shifts)[selection.owners])
        numbers = np.concatenate(_numbered_ids(selections))
        first = np.full(numbers.max(initial=-1) + 1, -1)
        # Of several assignments to one place the last one stays.
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        positions = np.sort(first[first >= 0])
        if by_time:
            started = np.concatenate([each.started_at_ns() for each in selections])
            positions = positions[np.argsort(started[positions], kind="stable")]
        return cls(sources, np.concatenate(chosen)).take(positions)

    @property
    def warnings(self) -> list[str]:
        """Problems of reading that showed so far."""
        return [text for source in self.sources for text in source.warnings]

    @property
    def notes(self) -> list[str]:
        """Notes given to ``save()``, oldest first."""
        return [text for source in self.sources for text in source.notes]

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Any]:
        return (self.one(position) for position in range(len(self)))

    def one(self, position: int) -> Any:
        """Return one: what was given where it is in memory, else its records."""
        number = int(self.chosen[position])
        source = bisect_right(self.begins, number) - 1
        return self.sources[source].one(number - self.begins[source])

    def recorded(self) -> Iterator[Recorded]:
        """Return the records of each."""
        return (one if isinstance(one, Recorded) else one.recorded for one in self)

    def take(self, positions: Sequence[int] | Rows) -> Selection:
        """Return those at these places, in this order; nothing is read."""
        chosen, sources = self.chosen[np.asarray(positions, dtype=np.int64)], self.sources
        last, begin = sources[-1], self.begins[-2]
        if isinstance(last, Held):
            # What nobody has chosen need not stay in memory.
            mine = np.flatnonzero(chosen >= begin)
            kept = Held(last.recordings[number] for number in (chosen[mine] - begin).tolist())
            sources = [*sources[:-1], kept]
            chosen[mine] = begin + np.arange(len(mine))
        return Selection(sources, chosen)

    def ids(self) -> list[str]:
        """Return the recording ids."""
        return self._values(lambda source, rows: source.ids(rows))

    def numbered_with(self, other: Selection) -> tuple[Rows, Rows]:
        """Return a number for each id of both selections; of some of the same no id is read."""
        own, others = _numbered_ids([self, other])
        return own, others

    def started_at_ns(self) -> NDArray[np.int64]:
        """Return when each began, by the wall clock, in Unix nanoseconds."""
        found = np.concatenate([source.started_at_ns(rows) for source, rows in self.split])
        return found if len(self.split) == 1 else found[np.argsort(self.by_source)]

    def cut_off(self) -> list[bool]:
        """Return for each whether it has no end."""
        return self._values(lambda source, rows: source.cut_off(rows))

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for, by recording id."""
        found = {k: v for source, rows in self.split for k, v in source.asked(rows).items()}
        return {recording_id: found[recording_id] for recording_id in self.ids()}

    def table(self, table: Table, of: Callable[[Source, Rows], pd.DataFrame]) -> pd.DataFrame:
        """Put the tables of all sources under one another, in the order of the recordings."""
        frames = [of(source, rows) for source, rows in self.split]
        if len(frames) == 1:
            return frames[0]
        import pandas as pd

        joined = table.concat(frames)
        owners = pd.Index(self.ids()).get_indexer(pd.Index(joined["recording_id"]))
        return joined.take(np.argsort(owners, kind="stable")).reset_index(drop=True)

    def order_column(self, name: str) -> pd.Series[Any]:
        """Return one column of ``ORDERS``, without reading the others of a saved set."""
        found = [source.order_column(name, rows) for source, rows in self.split]
        if len(found) == 1:
            return found[0]
        import pandas as pd

        joined = pd.concat([one.astype("object") for one in found], ignore_index=True)
        return joined.iloc[np.argsort(self.by_source)].reset_index(drop=True).rename(name)

    @cached_property
    def read(self) -> _Ends:
        """Input of the statistics."""
        return _Ends(self.split, self.by_source if len(self.split) > 1 else self.chosen[:0])

    @cached_property
    def ends(self) -> _Ends | None:
        """Input of the statistics; None if the tables themselves are at hand."""
        split = self.split
        return None if all(isinstance(source, Held) for source, _ in split) else self.read

    def relation(self, table: str, connection: Any = None) -> Any:
        """Return a table as a DuckDB relation; see ``Recordings.relation``.

        Raises
        ------
        KeyError
            If there is no such table.
        """
        import duckdb

        from firmly_nb.recordings.relations import RELATIONS

        if table not in RELATIONS:
            raise coded_error(UnknownName, "FNB305", unknown("relation", table, sorted(RELATIONS)))
        asked = connection or duckdb.default_connection()
        found = [source.relation(table, rows, asked) for source, rows in self.split]
        return reduce(lambda a, b: a.union(b), found)

    @property
    def owners(self) -> Rows:
        """Position of the source of each recording."""
        return np.searchsorted(self.begins, self.chosen, side="right") - 1

    @cached_property
    def split(self) -> list[tuple[Source, Rows]]:
        """Each source that is needed, and its recordings."""
        if len(self.sources) == 1:
            return [(self.sources[0], self.chosen)]
        ends = np.cumsum(np.bincount(self.owners, minlength=len(self.sources)))
        rows = np.split(self.chosen[self.by_source], ends[:-1])
        split = [
            (source, mine - begin)
            for source, mine, begin in zip(self.sources, rows, self.begins, strict=False)
            if len(mine)
        ]
        return split or [(self.sources[-1], self.chosen)]

    @cached_property
    def by_source(self) -> Rows:
        """Positions of the recordings as they come source by source."""
        return np.argsort(self.owners, kind="stable")

    def _values(self, of: Callable[[Source, Rows], list[Any]]) -> list[Any]:
        """Return a value of each, in order."""
        found = [value for source, rows in self.split for value in of(source, rows)]
        if len(self.split) == 1:
            return found
        return [found[position] for position in np.argsort(self.by_source).tolist()]


def _numbered_ids(selections: Sequence[Selection]) -> list[Rows]:
    """Return a number for each id of some selections; where all have the same sources none is read.

    Ids of millions of orders stay in Arrow's arrays: as texts of Python they would take long.
    """
    if all(_are_same(each, selections[0]) for each in selections):
        return [each.chosen for each in selections]
    import pyarrow as pa

    ids = [source.id_array(rows) for each in selections for source, rows in each.split]
    chunks = (one.chunks if isinstance(one, pa.ChunkedArray) else [one] for one in ids)
    coded = pa.chunked_array(chain.from_iterable(chunks), pa.string()).dictionary_encode()
    numbers = np.concatenate([np.empty(0, np.int32), *(c.indices.to_numpy() for c in coded.chunks)])
    ends = np.cumsum([len(each) for each in selections])
    found = zip(selections, np.split(numbers, ends[:-1]), strict=True)
    return [own if len(each.split) == 1 else own[np.argsort(each.by_source)] for each, own in found]


def _are_same(a: Selection, b: Selection) -> bool:
    """Say whether two selections have the same sources, in which no id comes twice."""
    pairs = zip(a.sources, b.sources, strict=False)
    return len(a.sources) == len(b.sources) and all(
        one is other and not isinstance(one, Held) for one, other in pairs
    )


class _Ends:
    """Input of the statistics, read when it is needed.

    Parameters
    ----------
    split
        The sources, and which of their recordings.
    positions
        The positions of these among all, source by source; of one source they are not needed.
    """

    def __init__(self, split: Sequence[tuple[Source, Rows]], positions: Rows) -> None:
        self._split = split
        self._positions = positions

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Table ``ORDER_ENDS``."""
        return self._joined(ORDER_ENDS, [source.order_ends(rows) for source, rows in self._split])

    @cached_property
    def order_times(self) -> pd.DataFrame:
        """Table ``ORDER_TIMES``, or with further columns if these are at hand."""
        if "orders" in vars(self):
            return self.orders
        found = [source.order_ends(rows, ORDER_TIMES) for source, rows in self._split]
        return self._joined(ORDER_TIMES, found)

    def latency_times(self) -> pd.DataFrame:
        """Return ``LATENCY_TIMES``, or with further columns if these are needed or at hand."""
        if {"orders", "order_times"} & set(vars(self)):
            return self.order_times
        found = self._joined(
            LATENCY_TIMES, [source.order_ends(rows, LATENCY_TIMES) for source, rows in self._split]
        )
        is_placed = found["time_to_order_placed_ms"].notna().any()
        return (
            self.order_times
            if is_value(found["outcome"], CANCELLED).any() or not is_placed
            else found
        )

    @cached_property
    def stages(self) -> pd.DataFrame:
        """Table ``STAGE_ENDS``."""
        return self._joined(STAGE_ENDS, [source.stage_ends(rows) for source, rows in self._split])

    @cached_property
    def events(self) -> pd.DataFrame:
        """Table ``EVENT_COUNTS``."""
        found = [source.event_counts(rows) for source, rows in self._split]
        return self._joined(EVENT_COUNTS, found)

    def looked_at(self) -> tuple[pd.DataFrame | StageBlocks, Events]:
        """Return stages and events for one look at each: all of them need not be in memory."""
        if {"stages", "events"} <= set(vars(self)):
            return self.stages, self.events
        found = [source.stage_blocks(rows) for source, rows in self._split]
        if len(found) == 1:
            return found[0]
        import pandas as pd

        ends = np.cumsum([len(rows) for _, rows in self._split])
        parts = []
        for (stages, _), own in zip(found, np.split(self._positions, ends[:-1]), strict=True):
            numbers = pd.DataFrame({ORDER_NUMBER.name: np.arange(len(own))})
            parts.append((blocks_of(stages, numbers), own.astype(np.int32)))

        def reads() -> Reads:
            return Reads(*np.sum([reads_of(events) for _, events in found], axis=0).tolist())

        return JoinedBlocks(parts), reads

    @cached_property
    def noted(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Tables ``ORDER_NOTES`` and ``EVENT_NOTES``."""
        found = [source.notes_of(rows) for source, rows in self._split]
        orders, events = zip(*found, strict=True)
        return self._joined(ORDER_NOTES, orders), self._joined(EVENT_NOTES, events)

    def _joined(self, table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Put the rows of all sources in the order of the recordings, with their numbers."""
        if len(frames) == 1:
            return frames[0]
        import pandas as pd

        columns: dict[str, Any] = {}
        for column in table.columns[1:]:
            values = [frame[column.name] for frame in frames]
            if column.dtype == "category":
                # Categories that differ would come out as objects, one for each row. Where there
                # are none their kind is another.
                alike = [
                    pd.Categorical.from_codes(x.cat.codes, x.cat.categories.astype("str"))
                    for x in values
                ]
                columns[column.name] = pd.api.types.union_categoricals(alike)
            else:
                columns[column.name] = pd.concat(values, ignore_index=True)
        begins = np.cumsum([0, *(len(rows) for _, rows in self._split)])
        each = zip(begins, frames, strict=False)
        numbers = np.concatenate(
            [begin + frame["recording_id"].to_numpy() for begin, frame in each]
        )
        numbers = self._positions[numbers].astype(np.int32)
        joined = compact(table, columns | {"recording_id": numbers})
        if "place" in columns:  # of stages, which may stand stage by stage
            in_order = np.lexsort((joined["place"], numbers))
        elif bool((numbers[1:] >= numbers[:-1]).all()):
            return joined
        else:
            in_order = np.argsort(numbers, kind="stable")
        return joined.take(in_order).reset_index(drop=True)
