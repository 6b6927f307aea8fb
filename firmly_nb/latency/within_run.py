"""Times that depend on the place in the run: a first order that warms things up, and drift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.columns import coded, floats, is_value
from firmly_nb.outcomes import CANCELLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

FEWEST = 20  # orders of a run
ALARM = 0.01
FAR_OUT = 5.0  # robust standard deviations of the logarithms
MATTERS = 1.2  # a first order this many times the median of the others
DRIFT_MATTERS = 1.05


class WarmUp(NamedTuple):
    """The first orders of runs are slower than the others."""

    runs: int
    first_ms: float
    others_ms: float


class Drift(NamedTuple):
    """Orders become slower or faster in the course of a run."""

    ratio: float  # of the last third to the first
    p_value: float
    orders: int


def warm_up(orders: pd.DataFrame, column: str) -> WarmUp | None:
    """Say whether the first order of each run is slower than the rest of it.

    The first order's rank in its run is as good a p value as there is; those of several runs are
    combined after Fisher. In a single run of less than a hundred orders no rank is rare enough:
    there the first must be the slowest and far out.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at`` and the column; ``run_id`` where there are runs.
    column
        The time that is looked at, such as ``time_to_headers_ms``.
    """
    runs = [x for x in series(orders, column) if len(x) >= FEWEST]
    if not runs:
        return None
    ranks = [float((x >= x[0]).sum()) / len(x) for x in runs]
    is_rare = _fisher(ranks) <= ALARM
    if len(runs) == 1 and not is_rare:
        is_rare = bool(ranks[0] * len(runs[0]) == 1 and _is_far_out(runs[0]))
    found = WarmUp(
        len(runs),
        float(np.median([x[0] for x in runs])),
        float(np.median(np.concatenate([x[1:] for x in runs]))),
    )
    return found if is_rare and found.first_ms > MATTERS * found.others_ms else None


def drift_within(orders: pd.DataFrame, column: str = "time_to_order_placed_ms") -> Drift | None:
    """Say whether orders become slower or faster in the course of their runs.

    Spearman's correlation of time and place within each run, runs put together; and how much the
    last third takes longer than the first, which has to matter.
    """
    runs = [x for x in series(orders, column) if len(x) >= FEWEST]
    if not runs:
        return None
    p_value, ratio = _trend(runs), _last_to_first(runs)
    matters = max(ratio, 1 / ratio) > DRIFT_MATTERS if ratio > 0 else False
    if p_value > ALARM or not matters:
        return None
    return Drift(ratio, p_value, sum(map(len, runs)))


def series(orders: pd.DataFrame, column: str) -> list[Floats]:
    """Return the times of each run in order of start; nulls and cancelled orders left out."""
    x = floats(orders[column])
    started = orders["started_at"].astype("int64").to_numpy()
    codes = coded(orders["run_id"])[0] if "run_id" in orders else np.zeros(len(x), dtype=np.intp)
    known = ~np.isnan(x) & ~is_value(orders["outcome"], CANCELLED)
    order = np.lexsort((started, codes))
    order = order[known[order]]
    if not len(order):
        return []
    ends = np.flatnonzero(np.diff(codes[order])) + 1
    return list(np.split(x[order], ends))


def _fisher(p_values: Iterable[float]) -> float:
    from scipy.special import chdtrc

    parts = list(p_values)
    return float(chdtrc(2 * len(parts), -2 * sum(map(math.log, parts))))


def _is_far_out(x: Floats) -> bool:
    logs = np.log(np.maximum(x, 1e-3))
    middle = np.median(logs[1:])
    spread = 1.4826 * np.median(np.abs(logs[1:] - middle))
    return bool(logs[0] - middle > FAR_OUT * spread)


def _trend(runs: list[Floats]) -> float:
    """Return the two-sided p value of Spearman's correlation, runs put together."""
    from scipy.special import ndtr

    found, variance = 0.0, 0.0
    for x in runs:
        place, rank = np.arange(len(x)) / len(x), _ranks(x) / len(x)
        place, rank = place - place.mean(), rank - rank.mean()
        found += float(place @ rank)
        variance += float((place @ place) * (rank @ rank)) / (len(x) - 1)
    return float(2 * ndtr(-abs(found) / math.sqrt(variance))) if variance > 0 else 1.0


def _ranks(x: Floats) -> Floats:
    """Rank values from 1; equal values share their middle rank."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    middle: Floats = np.cumsum(counts) - (counts - 1) / 2
    return middle[place]


def _last_to_first(runs: list[Floats]) -> float:
    """Return the ratio of the medians of the last and the first third, of runs put together."""
    first, last = [], []
    for x in runs:
        third = len(x) // 3
        middle = np.median(x) or 1.0
        first.append(x[:third] / middle)
        last.append(x[-third:] / middle)
    before = float(np.median(np.concatenate(first)))
    return float(np.median(np.concatenate(last))) / before if before > 0 else math.nan
