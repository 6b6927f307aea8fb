"""Where the tables of many recordings come from: memory, a saved set, or several of these.

``Recordings`` asks a source and keeps what it gets. A source never changes; a selection of it is
another one, so that a saved set is read as late and as little as can be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from firmly_nb.latency.stages import STAGES, stage_rows
from firmly_nb.recording.ends import JoinedEnds
from firmly_nb.recording.rows import confirmation_rows, event_rows, order_row
from firmly_nb.recording.tables import EVENT_TIMES, EVENTS, ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from firmly_nb.recording.ends import Ends
    from firmly_nb.recording.recording import Recording
    from firmly_nb.schema import Table


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
