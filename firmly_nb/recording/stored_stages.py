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
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came, one place an event, those of an order together and in order of arrival."""

    owner: Ints  # place of the order
    codes: Ints  # place of the name in names
    names: Sequence[str]
    t_ms: Floats
    uncertainty_us: Floats


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
    arrivals: Arrivals, orders: int, configured: Sequence[tuple[tuple[str, ...], Ints]] = ()
) -> StageColumns:
    """Return the stages of orders 0, 1, ... in this order.

    Parameters
    ----------
    arrivals
        Their events.
    orders
        How many there are.
    configured
        Orders with event names of their own: the names and the places. All others go by the
        vocabulary that their stream speaks.
    """
    groups = [*configured, *_vocabularies(arrivals, orders, configured)]
    labels: dict[str, int] = {}
    blocks = [_block(arrivals, orders, names, places, labels) for names, places in groups]
    columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
    if len(groups) > 1:
        order = np.argsort(columns[0], kind="stable")
        columns = [column[order] for column in columns]
    names = list(labels)
    return StageColumns(
        columns[0],
        categorical(columns[1], names),
        categorical(columns[2], names),
        categorical(columns[3], names),
        *columns[4:],
    )


def _vocabularies(
    arrivals: Arrivals, orders: int, configured: Sequence[tuple[tuple[str, ...], Ints]]
) -> list[tuple[tuple[str, ...], Ints]]:
    """Sort the orders by the vocabulary of their stream, as ``event_names.vocabulary`` does."""
    guide = _has(arrivals, orders, GUIDE) & ~_has(arrivals, orders, REFERENCE)
    free = np.ones(orders, dtype=bool)
    for _, places in configured:
        free[places] = False
    return [
        (REFERENCE, np.flatnonzero(free & ~guide)),
        *([(GUIDE, np.flatnonzero(free & guide))] if (free & guide).any() else []),
    ]


def _has(arrivals: Arrivals, orders: int, names: Sequence[str]) -> NDArray[np.bool_]:
    found = np.zeros(orders, dtype=bool)
    for code, name in enumerate(arrivals.names):
        if name in names:
            found[arrivals.owner[arrivals.codes == code]] = True
    return found


def _last(arrivals: Arrivals, orders: int, name: str) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return of each order whether the event came, and when and how sure for the last time."""
    there = np.zeros(orders, dtype=bool)
    t_ms, uncertainty_us = np.full(orders, np.nan), np.full(orders, np.nan)
    if name in arrivals.names:
        rows = np.flatnonzero(arrivals.codes == list(arrivals.names).index(name))
        owner = arrivals.owner[rows]
        # Of several events of an order the last one counts: its row is the next order's neighbour.
        last = np.ones(len(owner), dtype=bool)
        last[:-1] = owner[1:] != owner[:-1]
        rows, owner = rows[last], owner[last]
        there[owner] = True
        t_ms[owner] = arrivals.t_ms[rows]
        uncertainty_us[owner] = arrivals.uncertainty_us[rows]
    return there, t_ms, uncertainty_us


def _block(
    arrivals: Arrivals, orders: int, names: tuple[str, ...], places: Ints, labels: dict[str, int]
) -> list[NDArray[np.generic]]:
    """Return the columns of orders that share their milestones, order by order."""

    def code(label: str) -> int:
        return labels.setdefault(label, len(labels))

    reached = np.full(len(places), code(START))
    begin, begin_us = np.zeros(len(places)), np.zeros(len(places))
    previous = START
    rows: list[list[NDArray[np.generic]]] = []
    for name in names:
        there, end, end_us = (column[places] for column in _last(arrivals, orders, name))
        skipped = there & (reached != code(previous))
        stage = np.full(len(places), code(name))
        for missed in np.unique(reached[skipped]):
            label = f"{list(labels)[missed]}->{name}"
            stage[skipped & (reached == missed)] = code(label)
        rows.append(
            [
                places,
                stage,
                np.where(skipped, reached, code(previous)),
                np.full(len(places), code(name)),
                np.where(there, begin, np.nan),
                end,
                np.where(there, end - begin, np.nan),
                np.where(there, begin_us + end_us, np.nan),
            ]
        )
        reached = np.where(there, code(name), reached)
        begin, begin_us = np.where(there, end, begin), np.where(there, end_us, begin_us)
        previous = name
    # One row a milestone so far, one column an order: turned, so that an order's stages follow.
    return [np.stack(column, axis=1).ravel() for column in zip(*rows, strict=True)]
