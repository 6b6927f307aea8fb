"""From events to stages: how long each step of an order took.

Milestones are the configured event names in order. A repeated event counts at its last occurrence,
the one that ends the order at its first.
The stages telescope to ``time_to_order_placed``. A missing milestone leaves its stage null, and the
next stage is labelled ``a->c``. Milestones out of order give a negative duration, which is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.latency.columns import categorical, coded, floats, is_value, positions
from firmly_nb.latency.quantiles import estimate
from firmly_nb.outcomes import CANCELLED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    ),
)
START = "start"


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
    came = Arrivals(numbers[len(asked) :], *coded(events["event"]), times, uncertainty)
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


class LastArrivals(NamedTuple):
    """Last arrival of each milestone, of orders with the same ones; NaN where it did not come."""

    milestones: tuple[str, ...]
    orders: Ints
    t_ms: Floats  # one row an order, one column a milestone
    uncertainty_us: Floats


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
        for column, name in enumerate(lists[code]):
            if name not in events:
                continue
            mine = events[name]
            rows = came.orders[mine]
            if len(used) > 1:
                here = which[rows] == code
                mine, rows = mine[here], row[rows[here]]
            # Of several arrivals at one order the last one stays; of the order's end the first.
            if column == len(lists[code]) - 1 and name not in lists[code][:-1]:
                mine, rows = mine[::-1], rows[::-1]
            t_ms[rows, column] = came.t_ms[mine]
            uncertainty_us[rows, column] = came.uncertainty_us[mine]
        found.append(LastArrivals(lists[code], orders, t_ms, uncertainty_us))
    return found


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

    def column(self, name: str) -> Any:
        """Return a column of ``STAGES``, with names for their numbers."""
        values = getattr(self, name)
        return values if name.endswith(("_ms", "_us")) else categorical(values, self.names)

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
    blocks = blocks or [
        _block(LastArrivals(REFERENCE, np.empty(0, np.int32), *np.empty((2, 0, 4))), labels)
    ]
    columns = blocks[0]
    if len(blocks) > 1:
        columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
        by_order = np.argsort(columns[0], kind="stable")
        columns = [column[by_order] for column in columns]
    return StageColumns(list(labels), *columns)


def _merged(group: Sequence[LastArrivals]) -> LastArrivals:
    """Return the orders of all, by number."""
    numbers = np.concatenate([one.orders for one in group])
    by_number = np.argsort(numbers, kind="stable")
    position = np.empty(len(numbers), dtype=np.int32)
    position[by_number] = np.arange(len(numbers))
    t_ms, uncertainty_us = np.empty((2, len(numbers), len(group[0].milestones)))
    begin = 0
    for one in group:
        rows = position[begin : begin + len(one.orders)]
        t_ms[rows], uncertainty_us[rows] = one.t_ms, one.uncertainty_us
        begin += len(rows)
    return LastArrivals(group[0].milestones, numbers[by_number], t_ms, uncertainty_us)


def _block(found: LastArrivals, labels: dict[str, int]) -> list[NDArray[Any]]:
    """Return the columns of orders that have the same milestones, order by order."""

    def code(label: str) -> int:
        return labels.setdefault(label, len(labels))

    # One row an order and one column a milestone: read row by row, an order's stages follow.
    shape = found.t_ms.shape
    stage, begins, ends = (np.empty(shape, dtype=np.int32) for _ in range(3))
    start_ms, duration_ms, uncertainty_us = (np.empty(shape) for _ in range(3))
    previous = code(START)
    reached = np.full(shape[0], previous, dtype=np.int32)
    begin, begin_us = np.zeros(shape[0]), np.zeros(shape[0])
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
        previous = code(name)
        reached = np.where(came, np.int32(previous), reached)
        begin, begin_us = np.where(came, end, begin), np.where(came, end_us, begin_us)
    columns = (stage, begins, ends, start_ms, found.t_ms, duration_ms, uncertainty_us)
    return [np.repeat(found.orders, shape[1]), *(values.ravel() for values in columns)]


# The times of each stage, as the table, the rules and comparing take them.


class StageTimes(NamedTuple):
    """Times of the orders that completed a stage, and their uncertainty."""

    name: str
    times_ms: Floats
    uncertainty_us: Floats
    orders: Positions  # place of each one's order among the orders
    rows: Codes  # place among the stages

    @property
    def median_ms(self) -> float:
        """Median time, in ms."""
        return estimate(self.times_ms, 0.5)


def stage_times(stages: pd.DataFrame, orders: pd.DataFrame) -> list[StageTimes]:
    """Return the times of each stage, without those of cancelled orders.

    Parameters
    ----------
    stages
        Needs ``recording_id``, ``stage``, ``to_milestone``, ``duration_ms``, ``uncertainty_us``.
    orders
        Needs ``recording_id``, ``outcome``.

    Returns
    -------
    list of StageTimes
        In order of the milestones they end with; those after a gap behind the plain one. One that
        no order completed is there without times.
    """
    position = positions(orders, stages)
    duration, uncertainty = floats(stages["duration_ms"]), floats(stages["uncertainty_us"])
    done = (position >= 0) & ~np.isnan(duration)
    cancelled = is_value(orders["outcome"], CANCELLED)
    if cancelled.any():
        done[done] = ~cancelled[position[done]]
    codes, names = coded(stages["stage"])
    found = []
    for code in _in_order(stages, codes, names):
        rows = np.flatnonzero(done & (codes == code))
        found.append(
            StageTimes(names[code], duration[rows], uncertainty[rows], position[rows], rows)
        )
    return found


def _in_order(stages: pd.DataFrame, codes: Codes, names: list[str]) -> list[int]:
    """Return the stages' codes sorted by milestone, those after a gap behind the plain one."""
    ends, milestones = coded(stages["to_milestone"])
    end_of = np.zeros(len(names), dtype=np.intp)
    end_of[codes] = ends
    return sorted(range(len(names)), key=lambda i: (end_of[i], names[i] != milestones[end_of[i]]))
