"""The same two figures as ``rank_effect``, with intervals from drawing whole runs again.

Drawing orders as if they were independent would promise too much: orders of one run are alike. The
pairs are counted once for each two runs; a resample only weighs the counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.rank_effect import Interval, effect, median_difference
from firmly_nb.latency.runs import SEED, drawn_runs, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

POINTS = 24  # factors at which pairs are counted; between them the share of pairs is interpolated
MOST_TIMES = 4000  # of one side; longer runs are represented by some of their quantiles


class Sample(NamedTuple):
    """Values and the run of each."""

    values: Floats
    codes: Codes


class _Side(NamedTuple):
    """The values of one side run by run, each run's sorted, and how much each value counts."""

    runs: list[Floats]
    orders: Floats

    @property
    def values(self) -> Floats:
        return np.concatenate(self.runs)

    @property
    def begins(self) -> Codes:
        lengths = [len(run) for run in self.runs]
        return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)


def probability_by_run(a: Sample, b: Sample, level: float = 0.95) -> Interval:
    """Return how probable it is that an order of B takes longer; intervals by whole runs."""
    estimate = effect(np.sort(a.values), np.sort(b.values)).probability
    left, right = _side(a), _side(b)
    draws = _shares(left, right, [0.0])[:, 0]
    low, high = percentile_interval(draws, level, min(len(left.runs), len(right.runs)))
    return Interval(estimate, min(low, estimate), max(high, estimate))


def ratio_by_run(a: Sample, b: Sample, level: float = 0.95) -> Interval:
    """Return how many times as long B takes, of logarithms; intervals by whole runs.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> runs = np.repeat(np.arange(8), 20)
    >>> a = Sample(rng.normal(7, 0.3, 160), runs)
    >>> found = ratio_by_run(a, Sample(a.values + math.log(1.3), runs))
    >>> round(found.estimate, 6), found.low < 1.3 < found.high
    (1.3, True)
    """
    middle = median_difference(np.sort(a.values), np.sort(b.values))
    left, right = _side(a), _side(b)
    low = float(right.values.min() - left.values.max())
    high = float(right.values.max() - left.values.min())
    draws = np.array([middle])
    for _ in range(3):  # each time on the range that the last one found
        points = np.linspace(low, high, POINTS)
        draws = _crossings(_shares(left, right, points.tolist()), points)
        step = points[1] - points[0]
        low, high = float(draws.min()) - step, float(draws.max()) + step
    low, high = percentile_interval(draws, level, min(len(left.runs), len(right.runs)))
    return Interval(math.exp(middle), math.exp(min(low, middle)), math.exp(max(high, middle)))


def _side(sample: Sample) -> _Side:
    present = np.unique(sample.codes)
    groups = [np.sort(sample.values[sample.codes == run]) for run in present]
    most = max(MOST_TIMES // len(groups), 8)
    orders = np.array([len(group) for group in groups], dtype=np.float64)
    return _Side([_thinned(group, most) for group in groups], orders)


def _thinned(group: Floats, most: int) -> Floats:
    if len(group) <= most:
        return group
    return np.asarray(np.quantile(group, (np.arange(most) + 0.5) / most), dtype=np.float64)


def _shares(a: _Side, b: _Side, shifts: list[float]) -> Floats:
    """Return for each resample and shift the share of pairs in which b - shift is above a."""
    draws_a = drawn_runs(len(a.runs)) * a.orders
    draws_b = drawn_runs(len(b.runs), seed=SEED + 1) * b.orders
    pairs = draws_a.sum(axis=1) * draws_b.sum(axis=1)
    found = [((draws_a @ _above(a, b, shift)) * draws_b).sum(axis=1) / pairs for shift in shifts]
    return np.column_stack(found)


def _above(a: _Side, b: _Side, shift: float) -> Floats:
    """Return for each run of A and of B the share of pairs with b - shift above a."""
    moved, begins = b.values - shift, b.begins
    lengths = np.array([len(run) for run in b.runs], dtype=np.float64)
    rows = []
    for run in a.runs:
        below = np.searchsorted(run, moved, "left") + np.searchsorted(run, moved, "right")
        rows.append(np.add.reduceat(below, begins) / (2 * len(run) * lengths))
    return np.array(rows)


def _crossings(shares: Floats, points: Floats) -> Floats:
    """Return for each resample the shift at which its share of pairs falls to one half."""
    after = np.clip((shares > 0.5).sum(axis=1), 1, len(points) - 1)
    rows = np.arange(len(shares))
    high, low = shares[rows, after - 1], shares[rows, after]
    part = np.divide(high - 0.5, high - low, out=np.full(len(rows), 0.5), where=high > low)
    step = points[after] - points[after - 1]
    return np.asarray(points[after - 1] + np.clip(part, 0, 1) * step, dtype=np.float64)
