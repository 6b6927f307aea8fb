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
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

POINTS = 24  # factors at which pairs are counted; between them the share of pairs is interpolated
MOST_CELLS = 4_000_000  # of a product of resamples, shifts and runs
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
    def lengths(self) -> Codes:
        return np.array([len(run) for run in self.runs], dtype=np.intp)


class _Below(NamedTuple):
    """The sorted values of all runs; and how many of each run are among so many of the first."""

    values: Floats
    counts: NDArray[np.int32]


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
    below, each = _below(a), 2.0 * np.multiply.outer(a.lengths, b.lengths)
    found = []
    # Several shifts in one product: one by one, most of the time goes by between products.
    for some in _batches(shifts, max(MOST_CELLS // draws_b.size, 1)):
        above = np.stack([_above(below, b, shift) / each for shift in some], axis=1)
        weighed = (draws_a @ above.reshape(len(a.runs), -1)).reshape(len(draws_a), len(some), -1)
        found.append(np.einsum("dsr,dr->ds", weighed, draws_b) / pairs[:, None])
    return np.concatenate(found, axis=1)


def _batches(shifts: list[float], size: int) -> Iterator[list[float]]:
    return (shifts[begin : begin + size] for begin in range(0, len(shifts), size))


def _below(side: _Side) -> _Below:
    order = np.argsort(side.values, kind="stable")
    run_of = np.repeat(np.arange(len(side.runs)), side.lengths)[order]
    counts = np.zeros((len(order) + 1, len(side.runs)), dtype=np.int32)
    counts[np.arange(1, len(order) + 1), run_of] = 1
    return _Below(side.values[order], np.cumsum(counts, axis=0, dtype=np.int32))


def _above(below: _Below, b: _Side, shift: float) -> Floats:
    """Return for each run of A and of B twice the number of pairs with b - shift above a."""
    moved = b.values - shift
    lengths = b.lengths
    begins = np.cumsum(lengths) - lengths
    # An equal pair counts half: it is in one of the two.
    both = (np.searchsorted(below.values, moved, side) for side in ("left", "right"))
    counts = sum(np.add.reduceat(below.counts[places], begins, axis=0) for places in both)
    return np.asarray(counts, dtype=np.float64).T


def _crossings(shares: Floats, points: Floats) -> Floats:
    """Return for each resample the shift at which its share of pairs falls to one half."""
    after = np.clip((shares > 0.5).sum(axis=1), 1, len(points) - 1)
    rows = np.arange(len(shares))
    high, low = shares[rows, after - 1], shares[rows, after]
    part = np.divide(high - 0.5, high - low, out=np.full(len(rows), 0.5), where=high > low)
    step = points[after] - points[after - 1]
    return np.asarray(points[after - 1] + np.clip(part, 0, 1) * step, dtype=np.float64)
