"""Recordings whose times another tool told, as a source beside those in memory and saved sets.

Their columns are arrays, and each table is built of them when it is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.latency.columns import categorical
from firmly_nb.latency.stages import Arrivals, last_arrivals, stage_columns
from firmly_nb.outcomes import EXTERNAL
from firmly_nb.recorder.records import End, Event, Recorded, Start, Told
from firmly_nb.recorder.tables import EVENT_TIMES, EVENTS, HEADERS, ORDERS
from firmly_nb.recordings.relations import RELATIONS, arrow_relation
from firmly_nb.recordings.sources import (
    EVENT_NOTES,
    ORDER_ENDS,
    ORDER_NOTES,
    array_of_ids,
    compact,
    event_counts,
    numbered,
    stage_ends,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from firmly_nb.latency.stages import StageColumns
    from firmly_nb.recordings.sources import Selection
    from firmly_nb.schema import Table

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Times of an order that its table may have beside the events.
TIMES = (
    "time_to_order_placed_ms",
    "time_to_failure_ms",
    "order_latency_ms",
    "time_to_headers_ms",
    "schedule_lag_ms",
)


class Given(NamedTuple):
    """Events as they were given, order by order, and the ids of the orders."""

    ids: list[str]
    owner: Rows  # number of each event's order
    names: Rows  # place of its name in ``known``
    known: list[str]
    t_ns: Rows
    uncertainty_us: Floats
    coalesced: Flags
    first: Rows  # place of each order's first event; one more at the end

    @property
    def t_ms(self) -> Floats:
        """Arrival times in ms."""
        return self.t_ns / 1e6


def _events(given: Given, started: pd.Series, own: tuple[str, ...] | None) -> pd.DataFrame:
    """Return ``EVENT_TIMES``."""
    many = len(given.owner)
    milestones = set(own or (*REFERENCE, *GUIDE))
    place = np.arange(many)
    seq = place - given.first[given.owner] + 1
    gap_ms = np.diff(given.t_ns, prepend=0) / 1e6
    ids = pd.Series(given.ids, dtype="str").array
    columns: dict[str, Any] = {
        "recording_id": ids.take(given.owner),
        "seq": seq,
        "event": categorical(given.names, given.known),
        "milestone": categorical(
            np.where(
                np.array([n in milestones for n in given.known], bool)[given.names], given.names, -1
            ),
            given.known,
        ),
        "t_ms": given.t_ms,
        "gap_ms": np.where(seq > 1, gap_ms, np.nan),
        "at": started.array.take(given.owner) + pd.to_timedelta(given.t_ns, unit="ns"),
        "clock": categorical(np.zeros(many, dtype=np.int64), [EXTERNAL]),
        "uncertainty_us": given.uncertainty_us,
        "coalesced": given.coalesced,
        "bytes": np.zeros(many, dtype=np.int64),
    }
    nulls = {c.name: _nulls(c.dtype, many) for c in EVENT_TIMES.columns if c.name not in columns}
    return EVENT_TIMES.from_columns(columns | nulls)


def _nulls(dtype: str, many: int) -> Any:
    if dtype == "category":
        return pd.Categorical.from_codes(
            np.full(many, -1, dtype=np.int8), pd.Index([], dtype="str")
        )
    return pd.Series([None], dtype=dtype).array.take(np.zeros(many, dtype=np.intp))


def check_apart(selections: Sequence[Selection]) -> None:
    """Look that selections which are joined have no id that means two orders.

    Raises
    ------
    ValueError
        If two tables that were told name different orders alike: one would be left out.
    """
    seen: dict[str, int] = {}
    for selection in selections:
        for source, rows in selection.split:
            for recording_id in source.ids(rows) if isinstance(source, ToldSource) else ():
                if seen.setdefault(recording_id, id(source)) != id(source):
                    raise coded_error(
                        ValueError,
                        "FNB332",
                        f"Both sets have an order {quoted(recording_id, 30)}, from different "
                        "tables. Give each its own id, such as 'monday-' + recording_id.",
                    )


class ToldSource:
    """Recordings whose times another tool told; ``rows`` are some of them, each once.

    Parameters
    ----------
    orders
        ``ORDERS``, one row a recording.
    given
        Their events.
    milestones
        Event names in order; None for the vocabularies of the Place Order API.
    """

    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(
        self, orders: pd.DataFrame, given: Given, milestones: tuple[str, ...] | None
    ) -> None:
        self._orders = orders
        self._given = given
        self._milestones = milestones
        self._started = orders["started_at"].reset_index(drop=True)

    def __len__(self) -> int:
        return len(self._orders)

    def one(self, row: int) -> Recorded:
        """Make the records of one."""
        value = {name: column[row] for name, column in self._columns.items()}
        given = self._given
        rows = slice(int(given.first[row]), int(given.first[row + 1]))
        started_ns = value["started_at"]
        start = Start(
            recording_id=value["recording_id"],
            started_at_ns=started_ns,
            environment=EXTERNAL,
            domain=value["domain"],
            items=[{} for _ in range(value["n_items"])],
            sse=True,
            connection="warm",
            timeout_s=0.0,
            milestones=list(self._milestones) if self._milestones else None,
            run_id=value["run_id"],
            schedule_lag_ns=_ns(value["schedule_lag_ms"]),
            tags=dict(value["tags"]),
        )
        each = zip(
            given.names[rows].tolist(),
            given.t_ns[rows].tolist(),
            given.uncertainty_us[rows].tolist(),
            given.coalesced[rows].tolist(),
            strict=True,
        )
        events = [
            Event(
                seq=seq,
                event=given.known[name],
                data=None,
                t_ns=t_ns,
                wall_ns=None if started_ns is None else started_ns + t_ns,
                clock=EXTERNAL,
                uncertainty_us=uncertainty_us,
                read_no=None,
                coalesced=coalesced,
                read_delay_us=0.0,
                size=0,
            )
            for seq, (name, t_ns, uncertainty_us, coalesced) in enumerate(each, 1)
        ]
        told = Told(
            placed_ns=_ns(value["time_to_order_placed_ms"]),
            failed_ns=_ns(value["time_to_failure_ms"]),
            latency_ns=_ns(value["order_latency_ms"]),
        )
        ends = (told.latency_ns, told.placed_ns, told.failed_ns, events[-1].t_ns if events else 0)
        end = End(
            outcome=value["outcome"],
            t_end_ns=next(ns for ns in ends if ns is not None),
            t_headers_ns=_ns(value["time_to_headers_ms"]),
            schedule_lag_ns=start.schedule_lag_ns,
            told=told,
        )
        return Recorded(start, events, end)

    def ids(self, rows: Rows) -> list[str]:
        """Return the recording ids."""
        return [self._given.ids[row] for row in rows.tolist()]

    def id_array(self, rows: Rows) -> Any:
        """Return the recording ids."""
        return array_of_ids(self.ids(rows))

    def started_at_ns(self, rows: Rows) -> NDArray[np.int64]:
        """Return when each began; 0 where that is not known."""
        found = [self._columns["started_at"][row] or 0 for row in rows.tolist()]
        return np.array(found, dtype=np.int64)

    def cut_off(self, rows: Rows) -> list[bool]:
        """Return for each that it has an end."""
        return [False] * len(rows)

    def asked(self, rows: Rows) -> dict[str, list[dict[str, Any]]]:
        """Return that nothing is known of what was asked for."""
        return {recording_id: [] for recording_id in self.ids(rows)}

    def orders(self, rows: Rows) -> pd.DataFrame:
        """Return one row an order."""
        return ORDERS.from_columns(
            {c.name: _used(self._orders[c.name].array.take(rows)) for c in ORDERS.columns}
        )

    def events(self, rows: Rows) -> pd.DataFrame:
        """Return one row an event; nothing is known of what came in it."""
        found = self.event_times(rows)
        columns: dict[str, Any] = {name: found[name] for name in EVENT_TIMES.names}
        nothing = np.full(len(found), None, dtype=object)
        return EVENTS.from_columns({name: columns.get(name, nothing) for name in EVENTS.names})

    def order_column(self, name: str, rows: Rows) -> pd.Series[Any]:
        """Return one column of the orders."""
        return self.orders(rows)[name]

    def event_times(self, rows: Rows) -> pd.DataFrame:
        """Return one row an event."""
        given = self._some(rows)
        return _events(given, self._started.take(rows), self._milestones)

    def stages(self, rows: Rows) -> pd.DataFrame:
        """Return all stages."""
        made = self._stages(rows)
        return made.table(np.array(self.ids(rows), dtype=object)[made.orders])

    def answers(self, rows: Rows) -> pd.DataFrame:  # noqa: ARG002 - as in Source
        """Return that there are no answers."""
        return EVENTS.empty()

    def headers(self, rows: Rows) -> pd.DataFrame:  # noqa: ARG002 - as in Source
        """Return that there are no headers."""
        return HEADERS.empty()

    def order_ends(self, rows: Rows, table: Table = ORDER_ENDS) -> pd.DataFrame:
        """Return what figures need of orders."""
        columns = {n: _used(self._orders[n].array.take(rows)) for n in table.names[1:]}
        return compact(table, columns | {"recording_id": np.arange(len(rows))})

    def stage_ends(self, rows: Rows) -> pd.DataFrame:
        """Return what figures need of stages."""
        return stage_ends(self._stages(rows))

    def event_counts(self, rows: Rows) -> pd.DataFrame:
        """Return what figures need of events."""
        given = self._some(rows)
        n_events = np.bincount(given.owner, minlength=len(rows))
        shared = np.bincount(given.owner[given.coalesced], minlength=len(rows))
        return event_counts(n_events, shared)

    def stage_blocks(self, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the same tables: there are no more than those."""
        return self.stage_ends(rows), self.event_counts(rows)

    def notes_of(self, rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what caveats need of orders; of events there are none about their data."""
        numbers = np.arange(len(rows))
        return numbered(ORDER_NOTES, self.orders(rows), numbers), EVENT_NOTES.empty()

    def relation(self, table: str, rows: Rows, connection: Any) -> Any:
        """Return a table as a relation, with the columns that it has in files."""
        from firmly_nb.store.schema import arrow_of

        made = {"events": self.events, "stages": self.stages, "headers": self.headers}
        found = made.get(table, self.orders)(rows)
        if table == "orders":
            tags = [orjson.dumps(one).decode() if one else None for one in found["tags"]]
            found["tags"] = tags
        return arrow_relation(arrow_of(RELATIONS[table], found), table, connection)

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the orders as lists: whoever asks for one order asks for the next."""
        started = self._started
        known = started.notna().tolist()
        names = ("recording_id", "domain", "run_id", "n_items", "outcome", "tags", *TIMES)
        return {
            **{name: self._orders[name].astype(object).tolist() for name in names},
            "run_id": self._orders["run_id"]
            .astype(object)
            .where(self._orders["run_id"].notna(), None)
            .tolist(),
            "started_at": [
                ns if is_known else None
                for ns, is_known in zip(started.astype("int64").tolist(), known, strict=True)
            ],
        }

    def _some(self, rows: Rows) -> Given:
        """Return the events of some orders."""
        given = self._given
        if np.array_equal(rows, np.arange(len(given.ids))):
            return given
        counts = (given.first[1:] - given.first[:-1])[rows]
        first = np.concatenate([[0], np.cumsum(counts)])
        owner = np.repeat(np.arange(len(rows)), counts)
        places = np.arange(first[-1]) - first[owner] + given.first[rows][owner]
        return Given(
            self.ids(rows),
            owner,
            given.names[places],
            given.known,
            given.t_ns[places],
            given.uncertainty_us[places],
            given.coalesced[places],
            first,
        )

    def _stages(self, rows: Rows) -> StageColumns:
        given, own = self._some(rows), [self._milestones] if self._milestones else []
        came = Arrivals(
            given.owner,
            given.names,
            given.known,
            given.t_ms,
            given.uncertainty_us,
            given.coalesced,
        )
        which = np.full(len(rows), len(own) - 1)
        return stage_columns([last_arrivals(came, which, own)])


def _ns(time_ms: float) -> int | None:
    return None if np.isnan(time_ms) else round(time_ms * 1e6)


def _used(values: Any) -> Any:
    """Return a column with the categories that occur."""
    return values.remove_unused_categories() if isinstance(values, pd.Categorical) else values
