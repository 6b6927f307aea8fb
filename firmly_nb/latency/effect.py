"""Probability that an order of B takes longer than one of A, and how many times as long.

Both answers rest on one count: of all pairs of an order of A with one of B,
in how many is B's the longer? E. Brunner and U. Munzel ("The Nonparametric Behrens-Fisher Problem",
Biometrical Journal 42, 2000) give its variance without assuming that A and B are equally spread.
The ratio is that of Hodges and Lehmann: the factor by which A's times have to be multiplied so that
the count comes out even. Its interval has those factors which the same test does not reject.

The pairs are never written down: counting them takes two searches in sorted times.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.quantiles import in_order, log_times, quantiles_of_sorted, type_7
from firmly_nb.latency.runs import (
    SEED,
    drawn_runs,
    expanded_tail,
    percentile_interval,
    resampled_quantiles,
)
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

FINE = 1e-3  # to which part of the interval its ends are found


class Interval(NamedTuple):
    """A figure with its interval."""

    estimate: float
    low: float
    high: float


class Effect(NamedTuple):
    """P(B > A) + 0.5 P(B = A), its standard error, and the degrees of freedom of that."""

    probability: float
    error: float
    freedom: float

    @property
    def p_value(self) -> float:
        """Two-sided p value of no tendency, by the t approximation."""
        from scipy.special import stdtr

        return float(2 * stdtr(self.freedom, -abs(self.statistic)))

    @property
    def statistic(self) -> float:
        """Distance from even, in standard errors."""
        away = self.probability - 0.5
        if self.error > 0:
            return away / self.error
        return math.copysign(math.inf, away) if away else 0.0

    def rejects(self, level: float) -> bool:
        """Return whether even is excluded at that level."""
        return abs(self.statistic) > _t(level, self.freedom)


def effect(a: Floats, b: Floats) -> Effect:
    """Return Brunner and Munzel's effect of two samples that are sorted.

    Examples
    --------
    >>> found = effect(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    >>> round(found.probability, 3)
    0.778
    """
    of_b = (np.searchsorted(a, b, "left") + np.searchsorted(a, b, "right")) / (2 * len(a))
    of_a = (np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")) / (2 * len(b))
    part_a = float(of_a.var(ddof=1)) / len(a)
    part_b = float(of_b.var(ddof=1)) / len(b)
    both = part_a + part_b
    if both <= 0:
        return Effect(float(of_b.mean()), 0.0, math.inf)
    freedom = both**2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return Effect(float(of_b.mean()), math.sqrt(both), freedom)


def probability(a: Floats, b: Floats, level: float = 0.95) -> Interval:
    """Return how probable it is that an order of B takes longer, with its interval.

    Where all orders of one side are longer than all of the other, the samples show no variance;
    then the far end is what their number alone allows.
    """
    found = effect(a, b)
    p = found.probability
    if found.error == 0:
        far = ((1 - level) / 2) ** (1 / min(len(a), len(b)))
        return Interval(p, far if p == 1 else min(p, 0.5), 1 - far if p == 0 else max(p, 0.5))
    half = _t(level, found.freedom) * found.error
    return Interval(p, max(p - half, 0.0), min(p + half, 1.0))


def logs(times_ms: Floats) -> Floats:
    """Return the logarithms of times, sorted."""
    return np.sort(log_times(times_ms))


def ratio(a: Floats, b: Floats, level: float = 0.95) -> Interval:
    """Return how many times as long B takes, with its interval; of logarithms, sorted.

    Examples
    --------
    >>> a = logs(np.linspace(100, 200, 50))
    >>> found = ratio(a, a + np.log(1.3))
    >>> round(found.estimate, 6), found.low < 1.3 < found.high
    (1.3, True)
    """
    middle = median_difference(a, b)
    low, high = (_last_accepted(a, b, middle, side, level) for side in (-1, 1))
    return Interval(math.exp(middle), math.exp(low), math.exp(high))


def median_difference(a: Floats, b: Floats) -> float:
    """Return the median of all differences b - a of two sorted samples, exactly.

    A value is narrowed down by counting the differences that are not above it; when few are left,
    they are written out and sorted.

    Examples
    --------
    >>> median_difference(np.array([1.0, 2.0]), np.array([4.0, 8.0]))
    4.5
    """
    pairs = len(a) * len(b)
    ranks = (pairs - 1) // 2, pairs // 2
    return sum(_ranked_difference(a, b, rank) for rank in ranks) / 2


def _ranked_difference(a: Floats, b: Floats, rank: int) -> float:
    """Return the difference of that rank, counted from 0."""
    low, high = float(np.nextafter(b[0] - a[-1], -math.inf)), float(b[-1] - a[0])
    below, upto = 0, len(a) * len(b)
    while upto - below > 8 * (len(a) + len(b)):
        middle = low + (high - low) / 2
        if not low < middle < high:
            return high  # all that are left are equal
        count = int(_not_above(a, b, middle).sum())
        if count > rank:
            high, upto = middle, count
        else:
            low, below = middle, count
    # What lies in (low, high] stands together for each b.
    begin, end = len(a) - _not_above(a, b, high), len(a) - _not_above(a, b, low)
    number = end - begin
    start = np.repeat(begin - np.concatenate([[0], np.cumsum(number)[:-1]]), number)
    left = np.repeat(b, number) - a[start + np.arange(number.sum())]
    return float(np.partition(left, rank - below)[rank - below])


def _not_above(a: Floats, b: Floats, limit: float) -> NDArray[np.intp]:
    """Count for each b the differences b - a that are at most the limit."""
    return len(a) - _first_within(a, b, limit)


def _first_within(a: Floats, b: Floats, limit: float) -> NDArray[np.intp]:
    """Return for each b the first a with b - a <= limit, as the subtraction itself says.

    b - limit is rounded, so the index found by it can be off by those a that are nearly equal.
    """
    index = np.searchsorted(a, b - limit, "left")
    while True:
        early = (index > 0) & (b - a[np.maximum(index - 1, 0)] <= limit)
        late = (index < len(a)) & (b - a[np.minimum(index, len(a) - 1)] > limit)
        if not (early.any() or late.any()):
            return index
        index = index - early + (late & ~early)


def _last_accepted(a: Floats, b: Floats, middle: float, side: int, level: float) -> float:
    """Return how far B can be moved to one side before the test says that it differs from A."""

    def accepts(shift: float) -> bool:
        return not effect(a, b - shift).rejects(level)

    step = _spread(a, b)
    inside, outside = middle, middle + side * step
    while accepts(outside):
        step *= 2
        inside, outside = outside, middle + side * step
    while abs(outside - inside) > FINE * max(abs(outside - middle), 1e-9):
        tried = (inside + outside) / 2
        inside, outside = (tried, outside) if accepts(tried) else (inside, tried)
    return inside


def _spread(a: Floats, b: Floats) -> float:
    """Return about the standard error of a difference of medians, to begin a search with."""
    widths = [(np.quantile(x, 0.75) - np.quantile(x, 0.25)) ** 2 / len(x) for x in (a, b)]
    return 2 * math.sqrt(float(sum(widths))) or 1e-3


def _t(level: float, freedom: float) -> float:
    from scipy.special import ndtri, stdtrit

    upper = 0.5 + level / 2
    return float(ndtri(upper) if math.isinf(freedom) else stdtrit(freedom, upper))


# Both answers with intervals from drawing whole runs again. Drawing orders as if they were
# independent would promise too much: orders of one run are alike. The pairs are counted once for
# each two runs; a resample only weighs the counts.


POINTS = 24  # factors at which pairs are counted; between them the share of pairs is interpolated
MOST_CELLS = 4_000_000  # of a product of resamples, shifts and runs
MOST_TIMES = 4000  # of one side; longer runs are represented by some of their quantiles


class Sample(NamedTuple):
    """Values and the run of each."""

    values: Floats
    codes: Codes


class _ByRun(NamedTuple):
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
    left, right = _by_run(a), _by_run(b)
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
    left, right = _by_run(a), _by_run(b)
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


def _by_run(sample: Sample) -> _ByRun:
    present = np.unique(sample.codes)
    groups = [np.sort(sample.values[sample.codes == run]) for run in present]
    most = max(MOST_TIMES // len(groups), 8)
    orders = np.array([len(group) for group in groups], dtype=np.float64)
    return _ByRun([_thinned(group, most) for group in groups], orders)


def _thinned(group: Floats, most: int) -> Floats:
    if len(group) <= most:
        return group
    return np.asarray(np.quantile(group, (np.arange(most) + 0.5) / most), dtype=np.float64)


def _shares(a: _ByRun, b: _ByRun, shifts: list[float]) -> Floats:
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


def _below(side: _ByRun) -> _Below:
    by_value = np.argsort(side.values, kind="stable")
    run_of = np.repeat(np.arange(len(side.runs)), side.lengths)[by_value]
    counts = np.zeros((len(by_value) + 1, len(side.runs)), dtype=np.int32)
    counts[np.arange(1, len(by_value) + 1), run_of] = 1
    return _Below(side.values[by_value], np.cumsum(counts, axis=0, dtype=np.int32))


def _above(below: _Below, b: _ByRun, shift: float) -> Floats:
    """Return for each run of A and of B twice the number of pairs with b - shift above a."""
    moved = b.values - shift
    lengths = b.lengths
    begins = np.cumsum(lengths) - lengths
    # An equal pair counts half: it is in one of the two.
    both = (np.searchsorted(below.values, moved, side) for side in ("left", "right"))
    counts = sum(np.add.reduceat(below.counts[upto], begins, axis=0) for upto in both)
    return np.asarray(counts, dtype=np.float64).T


def _crossings(shares: Floats, points: Floats) -> Floats:
    """Return for each resample the shift at which its share of pairs falls to one half."""
    after = np.clip((shares > 0.5).sum(axis=1), 1, len(points) - 1)
    rows = np.arange(len(shares))
    high, low = shares[rows, after - 1], shares[rows, after]
    part = np.divide(high - 0.5, high - low, out=np.full(len(rows), 0.5), where=high > low)
    step = points[after] - points[after - 1]
    return np.asarray(points[after - 1] + np.clip(part, 0, 1) * step, dtype=np.float64)


# The shift function: by how many milliseconds each quantile of B lies above that of A.
#
# The band is simultaneous: it holds all shifts at once. Each side's
# quantile has its exact order-statistics interval, at a level raised so that all of them hold
# together; the two are put together as Newcombe does it with shares (G. Y. Zou and A. Donner,
# "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008).


TENTHS = tuple(i / 10 for i in range(1, 10))
HIGH, ENOUGH_FOR_HIGH = 0.95, 72
DRAWS = 20_000

SHIFT = Table(
    "shift",
    "one row a quantile: .1 to .9, and .95 from 72 orders on each side",
    (
        Column("q", "float64", "", "which quantile"),
        Column("a_ms", "float64", "ms", "that of A"),
        Column("b_ms", "float64", "ms", "that of B"),
        Column("shift_ms", "float64", "ms", "b minus a; positive: B is slower"),
        Column("low_ms", "float64", "ms", "simultaneous band, lower end; -inf: open"),
        Column("high_ms", "float64", "ms", "simultaneous band, upper end; inf: open"),
    ),
)


def shift_function(
    a: ArrayLike,
    b: ArrayLike,
    level: float = 0.95,
    runs: tuple[Codes, Codes] | None = None,
) -> pd.DataFrame:
    """Return by how much each quantile of B lies above that of A, with a band for all of them.

    Parameters
    ----------
    a, b
        Times in ms; nulls are left out.
    level
        How often the band holds all shifts at once.
    runs
        The run of each value of A and of B, where there are runs; then the band comes from drawing
        whole runs again.

    Returns
    -------
    pandas.DataFrame
        ``SHIFT``; empty where a side has no values.

    Examples
    --------
    >>> found = shift_function(range(100), range(10, 110))
    >>> found["shift_ms"].round(6).unique().tolist()
    [10.0]
    """
    x, y = in_order(a), in_order(b)
    if not len(x) or not len(y):
        return SHIFT.empty()
    qs = TENTHS + ((HIGH,) if min(len(x), len(y)) >= ENOUGH_FOR_HIGH else ())
    at_a, at_b = (np.array([type_7(values, q) for q in qs]) for values in (x, y))
    low, high = _band(x, y, qs, level)
    if runs is not None:
        low_runs, high_runs = _band_by_run(a, b, runs, qs, level)
        low, high = np.minimum(low, low_runs), np.maximum(high, high_runs)
    return SHIFT.from_columns(
        {
            "q": qs,
            "a_ms": at_a,
            "b_ms": at_b,
            "shift_ms": at_b - at_a,
            "low_ms": low,
            "high_ms": high,
        }
    )


def _band(x: Floats, y: Floats, qs: tuple[float, ...], level: float) -> tuple[Floats, Floats]:
    single = _raised(qs, level)
    (a, a_low, a_high), (b, b_low, b_high) = (_ends(values, qs, single) for values in (x, y))
    low = (b - a) - np.hypot(b - b_low, a_high - a)
    high = (b - a) + np.hypot(b_high - b, a - a_low)
    return low, high


def _ends(x: Floats, qs: tuple[float, ...], level: float) -> tuple[Floats, Floats, Floats]:
    """Return the quantiles and their exact ends, infinite where there is none."""
    found = quantiles_of_sorted(x, qs, level)
    estimates = np.array([type_7(x, q) for q in qs])
    lows = np.minimum([q.low for q in found], estimates)
    highs = np.maximum([q.high for q in found], estimates)
    return estimates, lows, highs


@cache
def _raised(qs: tuple[float, ...], level: float) -> float:
    """Return the level that each quantile needs so that all hold together.

    Quantiles of one sample are correlated as points of a Brownian bridge; their largest deviation
    is drawn, with a fixed seed.
    """
    from scipy.special import ndtr

    p = np.array(qs)
    spread = np.sqrt(p * (1 - p))
    covariance = np.minimum.outer(p, p) - np.outer(p, p)
    rng = np.random.default_rng(SEED)
    z = rng.standard_normal((DRAWS, len(p))) @ np.linalg.cholesky(covariance).T / spread
    largest = float(np.quantile(np.abs(z).max(axis=1), level))
    return float(2 * ndtr(largest) - 1)


def _band_by_run(
    a: ArrayLike, b: ArrayLike, runs: tuple[Codes, Codes], qs: tuple[float, ...], level: float
) -> tuple[Floats, Floats]:
    """Return the band that holds as many whole resampled curves as the level says."""
    sides = []
    fewest = math.inf
    for number, (values, codes) in enumerate(zip((a, b), runs, strict=True)):
        x = np.asarray(values, dtype=np.float64)
        groups = [np.sort(x[(codes == run) & ~np.isnan(x)]) for run in np.unique(codes)]
        groups = [group for group in groups if len(group)]
        fewest = min(fewest, len(groups))
        drawn = drawn_runs(len(groups), seed=SEED + number)
        sides.append(np.column_stack(resampled_quantiles(groups, qs, drawn)))
    curves = sides[1] - sides[0]
    # How far out is a curve at its most unusual quantile? Its rank there, from the nearer end.
    ranks = curves.argsort(axis=0).argsort(axis=0)
    outermost = np.minimum(ranks, len(curves) - 1 - ranks).min(axis=1) / len(curves)
    tail = float(np.quantile(outermost, 2 * expanded_tail(level, int(fewest))))
    return np.quantile(curves, tail, axis=0), np.quantile(curves, 1 - tail, axis=0)
