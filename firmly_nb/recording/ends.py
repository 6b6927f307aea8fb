"""What figures are made of: when events ended stages, by the number of the order and not its id.

The figures of ``latency`` take any tables. Of a saved set they get these, which are small: a number
for each id, and no column that no figure needs. So the same functions serve ten orders and ten
million; a test holds that the figures are those of the full tables.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from firmly_nb.latency.columns import places
from firmly_nb.latency.stages import STAGES
from firmly_nb.recording.tables import EVENTS, ORDERS
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.recording.recording import Recordings
    from firmly_nb.recording.sources import Source

    Places = NDArray[np.integer[Any]]

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
