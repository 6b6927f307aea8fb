"""How often an order of B takes longer than one of A, and how many times as long it takes.

metrics.md, section 4. Both answers rest on one count: of all pairs of an order of A with one of B,
in how many is B's the longer? E. Brunner and U. Munzel ("The Nonparametric Behrens-Fisher Problem",
Biometrical Journal 42, 2000) give its variance without assuming that A and B are equally spread.
The ratio is that of Hodges and Lehmann: the factor by which A's times have to be multiplied so that
the count comes out even. Its interval has those factors which the same test does not reject.

The pairs are never written down: counting them takes two searches in sorted times.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHORTEST_MS = 0.001  # the stamps' resolution: a shorter time counts as this in a ratio
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
        """Whether even is excluded at that level."""
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
    """Return the logarithms of times, sorted; what is below the stamps' resolution counts as it."""
    return np.sort(np.log(np.maximum(times_ms, SHORTEST_MS)))


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

    b - limit is rounded, so the place found by it can be off by those a that are nearly equal.
    """
    place = np.searchsorted(a, b - limit, "left")
    while True:
        early = (place > 0) & (b - a[np.maximum(place - 1, 0)] <= limit)
        late = (place < len(a)) & (b - a[np.minimum(place, len(a) - 1)] > limit)
        if not (early.any() or late.any()):
            return place
        place = place - early + (late & ~early)


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
