"""From events to stages: how long each step of an order took.

Milestones are the configured event names in order. A repeated event counts at its last occurrence,
the one that ends the order at its first.
The stages telescope to ``time_to_order_placed``. A missing milestone leaves its stage null, and the
next stage is labelled ``a->c``. Milestones out of order give a negative duration, which is kept.

Not every duration is known as well as it looks. ``voided`` says which are not, and ``stage_times``,
which everything else takes times from, leaves these out.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.latency.columns import (
    categorical,
    coded,
    counts_of,
    flags,
    floats,
    is_value,
    looked_up,
    positions,
)
from firmly_nb.latency.quantiles import Largest, estimate
from firmly_nb.outcomes import CANCELLED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Codes = NDArray[np.intp]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Ints = NDArray[np.integer[Any]]
    Positions = NDArray[np.signedinteger[Any]]

STAGES = Table(
    "stages",
    "one row a stage of an order",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("stage", "category", "", "the milestone it ends with; a->c where one was missed"),
        Column("from_milestone", "category", "", "where it begins; start is the request"),
        Column("to_milestone", "category", "", "where it ends"),
        Column("start_ms", "float64", "ms", "begin after t_start; null if the stage is"),
        Column("end_ms", "float64", "ms", "end after t_start; null if not reached"),
        Column("duration_ms", "float64", "ms", "end minus begin; negative if out of order"),
        Column("uncertainty_us", "float64", "µs", "how far off the duration can be"),
        Column("coalesced", "bool", "", "begin and end came in one read: no duration is known"),
        Column("gathered", "bool", "", "all events of its order came in at most two reads"),
    ),
)
# Of a saved set: what figures need of an order stands beside its stages.
STORED_STAGES = Table(
    "stored_stages",
    "one row a stage of an order, stage by stage, in the files of a saved set",
    (
        *STAGES.columns,
        Column("run_id", "category", "", "the run of its order"),
        Column("merchant", "category", "", "the domain of its order, exactly"),
        Column("variants", "category", "", "what its order asked for"),
        Column("outcome", "category", "", "how its order ended"),
        Column("started_at_ns", "Int64", "ns", "start of its order since 1970, UTC"),
        Column("void", "category", "", "why its duration says nothing; null where it holds"),
        Column("order_row", "int32", "", "row of its order in the file of orders, from 0"),
        Column("place", "int32", "", "place among the stages of its order, from 0"),
        Column("together", "bool", "", "its last end shares a read with the event before"),
        Column("n_events", "Int32", "", "events of its order; null but in the first stage"),
        Column("n_coalesced", "Int32", "", "how many of these share a read; null likewise"),
    ),
)
START = "start"
MOST_READS = 2  # of an order whose events were gathered on their way


def stages(
    events: pd.DataFrame,
    milestones: Sequence[str] | None = None,
    recording_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the stages of every recording in an events table.

    Parameters
    ----------
    events
        Columns ``recording_id``, ``event``, ``t_ms``, ``uncertainty_us``; in order of arrival.
        Without ``coalesced`` each event counts as read by itself.
    milestones
        Event names in order; by default the vocabulary that each stream speaks.
    recording_ids
        Which recordings get rows, in this order; one without events gets null stages. By default
        those that have events.

    Returns
    -------
    DataFrame
        ``STAGES``: for each recording one row a milestone, reached or not.

    Examples
    --------
    >>> import pandas as pd
    >>> events = pd.DataFrame({"recording_id": "r", "event": ["creating-cart", "shipping-updated"],
    ...                        "t_ms": [100.0, 900.0], "uncertainty_us": [1.0, 2.0]})
    >>> stages(events)[["stage", "duration_ms"]].to_dict("list")  # doctest: +NORMALIZE_WHITESPACE
    {'stage': ['creating-cart', 'item-added', 'creating-cart->shipping-updated', 'order-placed'],
     'duration_ms': [100.0, nan, 800.0, nan]}
    """
    import pandas as pd

    asked = list(recording_ids or ())
    numbers, ids = pd.factorize(pd.Index([*asked, *events["recording_id"]], dtype=object))
    times, uncertainty = floats(events["t_ms"]), floats(events["uncertainty_us"])
    together = flags(events, "coalesced")
    came = Arrivals(numbers[len(asked) :], *coded(events["event"]), times, uncertainty, together)
    own = [tuple(milestones)] if milestones else []
    which = np.full(len(ids), len(own) - 1)
    made = stage_columns([last_arrivals(came, which, own)])
    return made.table(ids.to_numpy()[made.orders])


class Arrivals(NamedTuple):
    """Events of many orders; those of one order in the order in which they came."""

    orders: Ints  # number of each one's order, from 0
    names: Ints  # place of its name in ``known``
    known: Sequence[str]
    t_ms: Floats
    uncertainty_us: Floats
    coalesced: Flags  # whether it shares its read with the event before


class LastArrivals(NamedTuple):
    """Last arrival of each milestone, of orders with the same ones; NaN where it did not come."""

    milestones: tuple[str, ...]
    orders: Ints
    t_ms: Floats  # one row an order, one column a milestone
    uncertainty_us: Floats
    reads: Ints  # number of the read that brought it; -1 where it did not come
    together: Flags  # whether its last event shares its read with the event before
    gathered: Flags  # for each order: all its events, of any name, came in at most two reads


def last_arrivals(
    came: Arrivals, which: Ints, own: Sequence[tuple[str, ...]] = ()
) -> list[LastArrivals]:
    """Find when each milestone came last to each order.

    Parameters
    ----------
    came
        The events of all orders.
    which
        For each order the place of its milestones in ``own``; -1 where it has none of its own.
        Such orders go by the vocabulary that their stream speaks.
    own
        Lists of milestones in order.
    """
    lists = [*own, REFERENCE, GUIDE]
    code_of = {name: code for code, name in enumerate(came.known)}
    events = {
        name: np.flatnonzero(came.names == code_of[name])
        for name in dict.fromkeys(name for names in lists for name in names)
        if name in code_of
    }

    def speaks(names: Sequence[str]) -> Flags:
        found = np.zeros(len(which), dtype=bool)
        for mine in (events[name] for name in names if name in events):
            found[came.orders[mine]] = True
        return found

    reads, gathered = _reads(came, len(which))
    guide = speaks(GUIDE)
    if guide.any():
        guide &= ~speaks(REFERENCE)
    which = np.where(which < 0, len(own) + guide, which)
    used = np.unique(which).tolist()
    row = np.empty(len(which), dtype=np.intp)
    found = []
    for code in used:
        orders = np.flatnonzero(which == code).astype(np.int32)
        row[orders] = np.arange(len(orders))
        t_ms, uncertainty_us = np.full((2, len(orders), len(lists[code])), np.nan)
        read = np.full(t_ms.shape, -1, dtype=np.int32)
        together = np.zeros(t_ms.shape, dtype=bool)
        for column, name in enumerate(lists[code]):
            if name not in events:
                continue
            mine = events[name]
            rows = came.orders[mine]
            if len(used) > 1:
                here = which[rows] == code
                mine, rows = mine[here], row[rows[here]]
            together[rows, column] = came.coalesced[mine]
            # Of several arrivals at one order the last one stays; of the order's end the first.
            if column == len(lists[code]) - 1 and name not in lists[code][:-1]:
                mine, rows = mine[::-1], rows[::-1]
            t_ms[rows, column] = came.t_ms[mine]
            uncertainty_us[rows, column] = came.uncertainty_us[mine]
            read[rows, column] = reads[mine]
        found.append(
            LastArrivals(
                lists[code], orders, t_ms, uncertainty_us, read, together, gathered[orders]
            )
        )
    return found


def _reads(came: Arrivals, count: int) -> tuple[Ints, Flags]:
    """Return the number of each event's read, and which orders came in at most two reads.

    An order with as many reads as events was not gathered, however few they are.
    """
    orders, first = came.orders, np.ones(len(came.orders), dtype=bool)
    by_order = None
    if len(orders) and (orders[1:] < orders[:-1]).any():
        by_order = np.argsort(orders, kind="stable")
        orders = orders[by_order]
    first[1:] = orders[1:] != orders[:-1]
    together = came.coalesced if by_order is None else came.coalesced[by_order]
    alone = first | ~together
    reads = np.cumsum(alone, dtype=np.int32)
    events = np.bincount(orders, minlength=count)
    begins = np.flatnonzero(first)
    own = np.zeros(count, dtype=np.int32)
    own[orders[begins]] = np.diff(reads[begins], append=reads[-1:] + 1)
    if by_order is not None:
        reads[by_order] = reads.copy()
    return reads, (own <= MOST_READS) & (own < events)


NAMES = frozenset({"stage", "from_milestone", "to_milestone"})


@dataclass(frozen=True, slots=True)
class StageColumns:
    """The columns of ``STAGES``; orders and names are numbers."""

    names: list[str]
    orders: Ints
    stage: Ints
    from_milestone: Ints
    to_milestone: Ints
    start_ms: Floats
    end_ms: Floats
    duration_ms: Floats
    uncertainty_us: Floats
    coalesced: Flags
    together: Flags  # whether the event that ended it shares its read with the one before
    place: Ints  # among the stages of its order, from 0
    gathered: Flags

    def column(self, name: str) -> Any:
        """Return a column of ``STAGES``, with names for their numbers."""
        values = getattr(self, name)
        return categorical(values, self.names) if name in NAMES else values

    def table(self, recording_ids: Any) -> pd.DataFrame:
        """Return ``STAGES``, given the id of each stage's order."""
        columns = {name: self.column(name) for name in STAGES.names[1:]}
        return STAGES.from_columns(columns | {"recording_id": recording_ids})


def stage_columns(parts: Sequence[Sequence[LastArrivals]]) -> StageColumns:
    """Return the stages of all orders of some parts, by number of the order."""
    groups: dict[tuple[str, ...], list[LastArrivals]] = {}
    for found in (found for part in parts for found in part):
        groups.setdefault(found.milestones, []).append(found)
    labels: dict[str, int] = {}
    blocks = [_block(_merged(group), labels) for group in groups.values()]
    blocks = blocks or [_block(_NOTHING, labels)]
    columns = blocks[0]
    if len(blocks) > 1:
        columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
        by_order = np.argsort(columns[0], kind="stable")
        columns = [column[by_order] for column in columns]
    return StageColumns(list(labels), *columns)


_NOTHING = LastArrivals(
    REFERENCE,
    orders=np.empty(0, np.int32),
    t_ms=np.empty((0, len(REFERENCE))),
    uncertainty_us=np.empty((0, len(REFERENCE))),
    reads=np.empty((0, len(REFERENCE)), np.int32),
    together=np.empty((0, len(REFERENCE)), dtype=bool),
    gathered=np.empty(0, dtype=bool),
)


def _merged(group: Sequence[LastArrivals]) -> LastArrivals:
    """Return the orders of all, by number."""
    numbers = np.concatenate([one.orders for one in group])
    by_number = np.argsort(numbers, kind="stable")
    position = np.empty(len(numbers), dtype=np.int32)
    position[by_number] = np.arange(len(numbers))
    t_ms, uncertainty_us = np.empty((2, len(numbers), len(group[0].milestones)))
    reads, gathered = np.empty(t_ms.shape, np.int32), np.empty(len(numbers), dtype=bool)
    together = np.empty(t_ms.shape, dtype=bool)
    begin = 0
    for one in group:
        rows = position[begin : begin + len(one.orders)]
        t_ms[rows], uncertainty_us[rows] = one.t_ms, one.uncertainty_us
        reads[rows], gathered[rows] = one.reads, one.gathered
        together[rows] = one.together
        begin += len(rows)
    numbers = numbers[by_number]
    return LastArrivals(
        group[0].milestones, numbers, t_ms, uncertainty_us, reads, together, gathered
    )


def _block(found: LastArrivals, labels: dict[str, int]) -> list[NDArray[Any]]:
    """Return the columns of orders that have the same milestones, order by order."""

    def code(label: str) -> int:
        return labels.setdefault(label, len(labels))

    # One row an order and one column a milestone: read row by row, an order's stages follow.
    shape = found.t_ms.shape
    stage, begins, ends = (np.empty(shape, dtype=np.int32) for _ in range(3))
    start_ms, duration_ms, uncertainty_us = (np.empty(shape) for _ in range(3))
    coalesced = np.empty(shape, dtype=bool)
    previous = code(START)
    reached = np.full(shape[0], previous, dtype=np.int32)
    begin, begin_us = np.zeros(shape[0]), np.zeros(shape[0])
    begin_read = np.full(shape[0], -1, dtype=np.int32)  # the request is no read
    for column, name in enumerate(found.milestones):
        end, end_us = found.t_ms[:, column], found.uncertainty_us[:, column]
        came = ~np.isnan(end)
        skipped = came & (reached != previous)
        stage[:, column] = ends[:, column] = code(name)
        begins[:, column] = np.where(skipped, reached, previous)
        for missed in np.unique(reached[skipped]).tolist():
            label = code(f"{list(labels)[missed]}->{name}")
            stage[skipped & (reached == missed), column] = label
        start_ms[:, column] = np.where(came, begin, np.nan)
        duration_ms[:, column] = end - begin
        uncertainty_us[:, column] = begin_us + end_us
        end_read = found.reads[:, column]
        coalesced[:, column] = came & (begin_read == end_read)
        previous = code(name)
        reached = np.where(came, np.int32(previous), reached)
        begin, begin_us = np.where(came, end, begin), np.where(came, end_us, begin_us)
        begin_read = np.where(came, end_read, begin_read)
    place = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    columns = (
        *(stage, begins, ends, start_ms, found.t_ms, duration_ms, uncertainty_us),
        *(coalesced, found.together, place),
    )
    orders, gathered = (np.repeat(values, shape[1]) for values in (found.orders, found.gathered))
    return [orders, *(values.ravel() for values in columns), gathered]


# Which durations say nothing. A stage that begins and ends in one read, whose uncertainty is above
# half of it, or whose end came before its begin has none. Neither has any stage of a merchant whose
# streams something on the way gathered.


BUFFERED, OUT_OF_ORDER, COALESCED = "buffered", "out-of-order", "coalesced"
REASONS = (BUFFERED, OUT_OF_ORDER, COALESCED)  # where several hold, the first is told
MOST_UNCERTAIN = 0.5  # of a duration
AT_ONCE = 16_384  # stages that are looked at together, so that they stay near the processor


class Voided(NamedTuple):
    """Durations that say nothing, and why.

    Attributes
    ----------
    reasons
        For each stage the place of the reason in ``REASONS``, -1 where its duration holds.
    positions
        For each stage the place of its order among the orders, -1 where there is none.
    buffered
        Merchants whose streams were gathered: no stage of theirs has a time.
    gathered
        For each order whether all its events came in at most two reads.
    """

    reasons: NDArray[np.int8]
    positions: Positions
    buffered: frozenset[str]
    gathered: Flags


def voided(stages: pd.DataFrame, orders: pd.DataFrame) -> Voided:
    """Say which durations of stages must not be used, and why.

    Parameters
    ----------
    stages
        Needs ``recording_id``, ``duration_ms``, ``uncertainty_us``; ``coalesced`` and ``gathered``
        where it is known how events were read.
    orders
        Needs ``recording_id``; ``domain`` where there are merchants.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"recording_id": ["r"], "domain": "a.test"})
    >>> table = pd.DataFrame({"recording_id": "r", "duration_ms": [90.0, 0.1, -3.0],
    ...                       "uncertainty_us": [2.0, 80.0, 2.0]})
    >>> [REASONS[code] if code >= 0 else "" for code in voided(table, orders).reasons]
    ['', 'coalesced', 'out-of-order']
    """
    position = positions(orders, stages)
    duration, uncertainty = floats(stages["duration_ms"]), floats(stages["uncertainty_us"])
    reasons = own_reasons(duration, uncertainty, flags(stages, "coalesced"))
    known = gathered_in(TableBlocks(stages, orders), orders)
    if known.buffered:
        theirs = np.append(known.of_buffered, False)  # the last place is for no order
        reasons[theirs[position] & ~np.isnan(duration)] = REASONS.index(BUFFERED)
    return Voided(reasons, position, known.buffered, known.gathered)


class StageBlock(NamedTuple):
    """A stage of all orders that have it, in the order of these."""

    name: str
    ends: Mapping[str, tuple[int, int]]  # the milestones that end it, and where each came first
    orders: Positions  # place of each one's order among the orders
    duration_ms: Floats
    uncertainty_us: Floats | Largest  # the largest of those that no own reason leaves out
    coalesced: Flags
    gathered: Flags
    together: Flags | None  # whether its last end shares a read; None where that is not told
    rows: Positions  # place of each in the table; of no table that of its order
    place: Ints | None = None  # of each among the stages of its order
    which: Ints | None = None  # of each the place of its end in ``ends``; None: there is one
    is_own: bool = False  # nobody else has its times: who takes it may write over them
    own: NDArray[np.int8] | None = None  # its own reasons, where they were looked for already

    @property
    def first(self) -> tuple[int, int]:
        """Place where it came first: an order, and a place in that."""
        return min(self.ends.values())

    @property
    def own_reasons(self) -> NDArray[np.int8]:
        """Reasons why durations say nothing, as far as each tells it alone; see ``Voided``."""
        if self.own is not None:
            return self.own
        return own_reasons(self.duration_ms, _all_of(self.uncertainty_us), self.coalesced)

    def some(self, rows: Positions, orders: Positions) -> StageBlock:
        """Return some rows of it, with other places of their orders, in the order of these."""
        which = None if self.which is None else self.which[rows]
        milestones, firsts = [*self.ends], [0]
        if which is not None:
            # The milestone that ends the last order is told last, as in the whole.
            last = len(which) - 1 - np.unique(which[::-1], return_index=True)[1]
            codes = which[np.sort(last)].tolist()
            milestones = [milestones[code] for code in codes]
            firsts = [int(np.argmax(which == code)) for code in codes]
            of_code = np.zeros(len(self.ends), dtype=np.intp)
            of_code[codes] = np.arange(len(codes))
            which = of_code[which] if len(codes) > 1 else None
        place = np.asarray(self.place if self.place is not None else self.rows)[rows]
        at = zip(milestones, firsts, strict=True)
        return StageBlock(
            self.name,
            {name: (int(orders[first]), int(place[first])) for name, first in at},
            orders,
            self.duration_ms[rows],
            self.uncertainty_us.some(rows)
            if isinstance(self.uncertainty_us, Largest)
            else self.uncertainty_us[rows],
            self.coalesced[rows],
            self.gathered[rows],
            None if self.together is None else self.together[rows],
            orders,
            place,
            which,
            own=None if self.own is None else self.own[rows],
        )


def _all_of(values: Floats | Largest) -> Floats:
    return values.whole() if isinstance(values, Largest) else values


class StageBlocks(Protocol):
    """Stages of some orders, one after the other; each time anew, and in any order."""

    def __iter__(self) -> Iterator[StageBlock]:
        """Return each stage."""


class TableBlocks:
    """Stages of a table, one after the other.

    Parameters
    ----------
    stages, orders
        As ``voided`` takes them; with ``stage`` and ``to_milestone`` for more than that.
    """

    def __init__(self, stages: pd.DataFrame, orders: pd.DataFrame) -> None:
        self._stages = stages
        self._positions = positions(orders, stages)

    def __iter__(self) -> Iterator[StageBlock]:
        stages, position = self._stages, self._positions
        if "stage" not in stages:
            codes, names = np.zeros(len(stages), dtype=np.intp), [""]
        else:
            codes, names = coded(stages["stage"])
        ends, milestones = codes, names
        if "to_milestone" in stages:
            ends, milestones = coded(stages["to_milestone"])
        duration, uncertainty = floats(stages["duration_ms"]), floats(stages["uncertainty_us"])
        coalesced, gathered = flags(stages, "coalesced"), flags(stages, "gathered")
        together = flags(stages, "together") if "together" in stages else None
        places = stages["place"].to_numpy() if "place" in stages else None
        known = position >= 0
        for code, name in enumerate(names):
            rows = np.flatnonzero((codes == code) & known)
            # Of several ends the last is told, as the last event of an order counts.
            own, first = np.unique(ends[rows[::-1]], return_index=True)
            firsts = {e: int(rows[np.argmax(ends[rows] == e)]) for e in own.tolist()}
            in_turn = own[np.argsort(-first)].tolist()
            which = np.empty(len(milestones), dtype=np.intp)
            which[in_turn] = np.arange(len(in_turn))
            yield StageBlock(
                name,
                {milestones[e]: (firsts[e], 0) for e in in_turn},
                position[rows],
                duration[rows],
                uncertainty[rows],
                coalesced[rows],
                gathered[rows],
                None if together is None else together[rows],
                rows,
                None if places is None else places[rows],
                which[ends[rows]] if len(in_turn) > 1 else None,
            )


class JoinedBlocks:
    """Stages of several sources as those of all their orders, one after the other.

    Parameters
    ----------
    parts
        For each source its stages, and the place of each of its orders among all.
    """

    def __init__(self, parts: Sequence[tuple[StageBlocks, Positions]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[StageBlock]:
        found: dict[str, list[tuple[StageBlock, Positions]]] = {}
        for blocks, places in self._parts:
            for block in blocks:
                if len(block.orders):
                    found.setdefault(block.name, []).append((block, places[block.orders]))
        for name in [*found]:
            yield _joined(found.pop(name))


def _joined(parts: Sequence[tuple[StageBlock, Positions]]) -> StageBlock:
    """Return blocks of one stage as one, given the places of their orders among all."""
    known: dict[str, int] = {}
    which = []
    for block, _ in parts:
        codes = np.array([known.setdefault(name, len(known)) for name in block.ends], np.int32)
        own = np.zeros(len(block.orders), np.int8) if block.which is None else block.which
        which.append(codes[own])
    blocks = [block for block, _ in parts]

    def every(name: str) -> Any:
        columns = [getattr(block, name) for block in blocks]
        return None if any(one is None for one in columns) else np.concatenate(columns)

    orders = np.concatenate([places for _, places in parts])
    in_order: Any = slice(None)
    if not bool((orders[1:] >= orders[:-1]).all()):
        in_order = np.argsort(orders, kind="stable")
    bounds = [block.uncertainty_us for block in blocks]
    largest = [one for one in bounds if isinstance(one, Largest)]
    whole = StageBlock(
        blocks[0].name,
        dict.fromkeys(known, (0, 0)),
        orders,
        duration_ms=every("duration_ms"),
        uncertainty_us=np.concatenate([*map(_all_of, bounds)])
        if len(largest) < len(bounds)
        else largest[0],
        coalesced=every("coalesced"),
        gathered=every("gathered"),
        together=every("together"),
        rows=orders,
        place=np.concatenate([one.rows if one.place is None else one.place for one in blocks]),
        which=np.concatenate(which) if len(known) > 1 else None,
        own=every("own"),
    )
    found = whole.some(in_order, orders[in_order])
    if len(largest) == len(bounds):
        found = found._replace(uncertainty_us=Largest.joined(largest, in_order))
    return found


def blocks_of(stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame) -> StageBlocks:
    """Return the stages of a table, or those that come one by one already."""
    import pandas as pd

    return TableBlocks(stages, orders) if isinstance(stages, pd.DataFrame) else stages


class Gathered(NamedTuple):
    """Orders whose events something on the way gathered."""

    gathered: Flags  # for each order whether all its events came in at most two reads
    buffered: frozenset[str]  # merchants of whose orders no stage has a time
    of_buffered: Flags  # for each order whether it is of one of these


class Look(Protocol):
    """Whoever looks at each stage once."""

    def add(self, block: StageBlock, own: NDArray[np.int8]) -> None:
        """Look at a stage, given its own reasons why durations say nothing."""

    def found(self) -> Gathered:
        """Return which streams were gathered."""


class Gatherings:
    """Finds the merchants whose streams were gathered, stage by stage.

    Parameters
    ----------
    orders
        The orders.
    """

    def __init__(self, orders: pd.DataFrame) -> None:
        self._orders = orders
        self._found: Gathered | None = None
        self._gathered = np.zeros(len(orders), dtype=bool)
        self._reached = np.zeros(len(orders), dtype=np.int32)

    def add(self, block: StageBlock, own: NDArray[np.int8] | None = None) -> None:
        """Look at a stage; reasons do not matter here."""
        del own
        self._found = None
        is_there = ~np.isnan(block.duration_ms)
        if is_each(block.orders, len(self._reached)):  # of millions no place need be looked up
            self._gathered[:] = block.gathered
            self._reached += is_there
            return
        self._gathered[block.orders] = block.gathered
        came = block.orders[is_there]
        if len(came) < 2 or bool((came[1:] > came[:-1]).all()):
            self._reached[came] += 1
        else:  # an order has the stage twice
            self._reached += np.bincount(came, minlength=len(self._reached)).astype(np.int32)

    def found(self) -> Gathered:
        """Return what was found."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def _find(self) -> Gathered:
        gathered = self._gathered
        if not gathered.any():
            return Gathered(gathered, frozenset(), gathered)
        merchants, names = merchants_of(self._orders)
        # An order with one event cannot tell.
        telling = gathered | (self._reached >= 2)
        of_all = counts_of(merchants, telling, len(names))
        is_buffered = 2 * counts_of(merchants, gathered, len(names)) > of_all
        buffered = frozenset(names[code] for code in np.flatnonzero(is_buffered).tolist())
        of_buffered = looked_up(is_buffered, merchants) if buffered else np.zeros_like(gathered)
        return Gathered(gathered, buffered, of_buffered)


def is_each(numbers: Ints, count: int) -> bool:
    """Say whether these are all numbers below a count, in order.

    Examples
    --------
    >>> is_each(np.array([0, 1, 2]), 3), is_each(np.array([0, 2, 1]), 3)
    (True, False)
    """
    if len(numbers) != count or (count and (numbers[0], numbers[-1]) != (0, count - 1)):
        return False
    return bool((numbers[1:] > numbers[:-1]).all())


def gathered_in(blocks: StageBlocks, orders: pd.DataFrame) -> Gathered:
    """Find the merchants whose streams were gathered."""
    found = Gatherings(orders)
    for block in blocks:
        found.add(block)
    return found.found()


def own_reasons(duration_ms: Floats, uncertainty_us: Floats, coalesced: Flags) -> NDArray[np.int8]:
    """Return why durations say nothing, as far as each tells it alone; see ``Voided.reasons``."""
    reasons = np.full(len(duration_ms), -1, dtype=np.int8)
    for begin in range(0, len(duration_ms), AT_ONCE):
        here = slice(begin, begin + AT_ONCE)
        duration = duration_ms[here]
        # A comparison with not-a-number is false: what was not reached has no reason.
        unsure = uncertainty_us[here] / 1000 > MOST_UNCERTAIN * duration
        reasons[here][unsure | coalesced[here]] = REASONS.index(COALESCED)
        reasons[here][duration < 0] = REASONS.index(OUT_OF_ORDER)
    return reasons


def merchants_of(orders: pd.DataFrame) -> tuple[Codes, list[str]]:
    """Return the number of each order's merchant, and their names; without any it has no name."""
    if "domain" not in orders:
        return np.zeros(len(orders), dtype=np.intp), [""]
    codes, names = coded(orders["domain"])
    codes[codes < 0] = len(names)
    return codes, [*names, ""]


# The times of each stage, as the table, the rules and comparing take them.


class StageTimes(NamedTuple):
    """Times of the orders that completed a stage, and their uncertainty.

    Those that say nothing are left out of all fields but the last two, which are of them alone.
    """

    name: str
    times_ms: Floats
    uncertainty_us: Floats | Largest
    orders: Positions  # place of each one's order among the orders
    rows: Codes  # place among the stages
    left_out: Mapping[str, int] = MappingProxyType({})  # how many, by reason of ``REASONS``
    left_out_rows: Codes = np.empty(0, dtype=np.intp)
    left_out_orders: Positions = np.empty(0, dtype=np.intp)
    coalesced_share: float | None = None  # of all of them: the last end shares a read

    @property
    def median_ms(self) -> float:
        """Median time, in ms."""
        return estimate(self.times_ms, 0.5)

    @property
    def reached(self) -> int:
        """Number of orders that completed the stage, whether its time is known or not."""
        return len(self.rows) + len(self.left_out_rows)

    @property
    def is_unknown(self) -> bool:
        """True if orders completed the stage and the time of none is known."""
        return not len(self.rows) and bool(len(self.left_out_rows))


def stage_times(stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame) -> list[StageTimes]:
    """Return the times of each stage that hold, without those of cancelled orders.

    Parameters
    ----------
    stages
        Needs ``stage``, ``to_milestone``, and what ``voided`` needs.
    orders
        Needs ``outcome``, and what ``voided`` needs.

    Returns
    -------
    list of StageTimes
        In order of the milestones they end with; those after a gap behind the plain one. One that
        no order completed is there without times.
    """
    blocks = blocks_of(stages, orders)
    found = TimesOfStages(orders)
    while not found.done:
        for block in blocks:
            found.add(block)
        found.end()
    return found.times


class TimesOfStages:
    """Collects the times of stages that hold, stage by stage.

    Nearly always no merchant's streams were gathered. Where some were, that is known at the end
    only: then ``done`` is false, and all stages have to be added again.

    Parameters
    ----------
    orders
        The orders.
    look
        What looks at each stage as well; of uncertainties nothing is held then.
    """

    def __init__(self, orders: pd.DataFrame, look: Look | None = None) -> None:
        self.done = False
        self.times: list[StageTimes] = []
        self._is_slim = look is not None
        self._look = look or Gatherings(orders)
        self._cancelled = is_value(orders["outcome"], CANCELLED)
        self._known = Gathered(self._cancelled[:0], frozenset(), self._cancelled[:0])
        self._ends: list[tuple[str, Mapping[str, tuple[int, int]]]] = []

    @property
    def buffered(self) -> frozenset[str]:
        """Merchants of whose orders no stage has a time."""
        return self._known.buffered

    def add(self, block: StageBlock) -> None:
        """Look at a stage."""
        own = block.own_reasons
        if not self.buffered:
            self._look.add(block, own)
        one = times_of(block, own, self._known, self._cancelled)
        self._ends.append((block.name, block.ends))
        self.times.append(one._replace(uncertainty_us=np.empty(0)) if self._is_slim else one)

    def end(self) -> None:
        """Put the stages in order of their milestones, unless all have to come again."""
        known = self._known if self.buffered else self._look.found()
        self.done = known.buffered == self.buffered
        self.times = [self.times[at] for at in order_of(self._ends)] if self.done else []
        self._known, self._ends = known, []


def times_of(
    block: StageBlock,
    own: NDArray[np.int8],
    known: Gathered,
    cancelled: Flags,
    *,
    in_place: bool = False,
) -> StageTimes:
    """Return the times of a stage that hold.

    Parameters
    ----------
    block, own
        The stage, and its own reasons why durations say nothing.
    known
        Which orders were gathered.
    cancelled
        For each order whether it was cancelled.
    in_place
        Whether the block's times may be written over: of millions a copy is much.
    """
    duration, orders = block.duration_ms, block.orders
    done = ~np.isnan(duration)
    if cancelled.any():
        done &= ~cancelled[orders]
    if known.buffered:
        own = np.where(known.of_buffered[orders], np.int8(REASONS.index(BUFFERED)), own)
    kept, n_done = done & (own < 0), int(np.count_nonzero(done))
    without = np.flatnonzero(done & (own >= 0))
    counts = np.bincount(own[without], minlength=len(REASONS)).tolist()
    is_whole = kept.all()
    kept_orders = orders if is_whole else orders[kept]
    together = block.together
    uncertainty = block.uncertainty_us
    if isinstance(uncertainty, Largest):
        uncertainty = uncertainty.kept(kept)
    elif not is_whole:
        uncertainty = uncertainty[kept]
    return StageTimes(
        block.name,
        duration if is_whole else _some_of(duration, kept, in_place=in_place),
        uncertainty,
        kept_orders,
        kept_orders if block.rows is orders else block.rows if is_whole else block.rows[kept],
        {reason: n for reason, n in zip(REASONS, counts, strict=True) if n},
        block.rows[without],
        orders[without],
        None if together is None or not n_done else np.count_nonzero(together & done) / n_done,
    )


def _some_of(values: Floats, kept: Flags, *, in_place: bool) -> Floats:
    """Return the values that are kept, at the begin of where all were if need be."""
    if not in_place:
        return values[kept]
    end = 0
    for begin in range(0, len(values), AT_ONCE):
        here = slice(begin, begin + AT_ONCE)
        some = values[here][kept[here]]
        values[end : end + len(some)] = some
        end += len(some)
    return values[:end]


def order_of(stages: Sequence[tuple[str, Mapping[str, tuple[int, int]]]]) -> list[int]:
    """Return the places of stages in order of their milestones, each behind a gap after the plain.

    Parameters
    ----------
    stages
        For each its name and where its ends came first, as of ``StageBlock``.
    """
    first: dict[str, tuple[int, int]] = {}
    for _, ends in stages:
        for milestone, at in ends.items():
            first[milestone] = min(at, first.get(milestone, at))

    def key(at: int) -> tuple[tuple[int, int], bool, tuple[int, int]]:
        name, ends = stages[at]
        milestone = [*ends][-1]
        return first[milestone], name != milestone, min(ends.values())

    return sorted((at for at, (_, ends) in enumerate(stages) if ends), key=key)
