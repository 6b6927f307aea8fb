"""The stages of very many orders, column by column: what ``latency.stages.stage_rows`` does by row.

A test holds that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.api.event_names import GUIDE, REFERENCE
from firmly_nb.latency.stages import START
from firmly_nb.recording.parquet_schema import categorical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Ints = NDArray[np.integer[Any]]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Group = tuple[tuple[str, ...], Ints]


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
