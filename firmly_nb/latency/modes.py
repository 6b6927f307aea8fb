"""Whether times have two modes: two shops behind one name, a cache that is hit or missed.

Hartigan's dip: how far the measured distribution is from the nearest one with a single mode (J. A.
Hartigan and P. M. Hartigan, "The Dip Test of Unimodality", Annals of Statistics 13, 1985). The
limit is that of the uniform distribution, the least favourable with one mode, so distributions
with one mode give fewer false alarms than the level says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FEWEST = 40
MOST = 1000  # of more values so many are drawn, with a fixed seed
SEED = 7
# sqrt(n) times the dip that 1 in 100 uniform samples exceeds; a test simulates it.
LIMIT = 0.615


class Modes(NamedTuple):
    """Two groups of times: the share of the slow one, and the medians of both."""

    slow_share: float
    quick_ms: float
    slow_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long the slow ones take."""
        return self.slow_ms / self.quick_ms


def two_modes(times_ms: ArrayLike) -> Modes | None:
    """Return the two groups of times with two modes, or None where one mode explains them.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> quick, slow = rng.lognormal(6, 0.2, 150), rng.lognormal(7.4, 0.2, 50)
    >>> found = two_modes(np.concatenate([quick, slow]))
    >>> found.slow_share, round(found.ratio)
    (0.25, 4)
    >>> two_modes(quick) is None
    True
    """
    x = np.asarray(times_ms, dtype=np.float64)
    x = np.sort(np.log(x[x > 0]))
    if len(x) < FEWEST or x[0] == x[-1]:
        return None
    looked_at = x
    if len(x) > MOST:
        looked_at = np.sort(np.random.default_rng(SEED).choice(x, MOST, replace=False))
    if dip(_untied(looked_at)) * np.sqrt(len(looked_at)) <= LIMIT:
        return None
    place = _best_cut(x)
    return Modes(
        slow_share=1 - place / len(x),
        quick_ms=float(np.exp(np.median(x[:place]))),
        slow_ms=float(np.exp(np.median(x[place:]))),
    )


def dip(x: Floats) -> float:
    """Return Hartigan's dip of sorted values, no two of them equal.

    From the whole range inwards: the greatest convex minorant and the least concave majorant of
    the distribution are compared; where they are furthest apart the modal interval begins and
    ends, and the rest of the work is inside it.

    Examples
    --------
    >>> dip(np.arange(10.0)), round(dip(np.array([0.0, 0.01, 1.0, 1.01])), 4)
    (0.05, 0.2475)
    """
    n = len(x)
    before, after = np.arange(n) / n, np.arange(1, n + 1) / n
    begin, end = 0, n - 1
    largest = 1 / n  # twice the dip of the best fit there is
    while begin < end:
        part = slice(begin, end + 1)
        convex, low_touches = _minorant(x[part], before[part])
        concave, high_touches = _majorant(x[part], after[part])
        gap, inner_begin, inner_end = _widest(convex, low_touches, concave, high_touches)
        left = _largest(after[part] - convex, 0, inner_begin)
        right = _largest(concave - before[part], inner_end, end - begin)
        if gap <= largest:
            break
        largest = max(largest, left, right)
        if (inner_begin, inner_end) == (0, end - begin):
            break
        begin, end = begin + inner_begin, begin + inner_end
    return largest / 2


def _untied(x: Floats) -> Floats:
    """Spread equal values evenly, half-way to their neighbours: rounding makes no modes."""
    values, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    if len(values) == len(x):
        return x
    edges = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, values[-1:]])
    rank = np.arange(len(x)) - (np.cumsum(counts) - counts)[place]
    part = (rank + 0.5) / counts[place]
    return np.asarray(edges[place] + part * (edges[place + 1] - edges[place]), dtype=np.float64)


def _largest(values: Floats, first: int, last: int) -> float:
    return float(values[first : last + 1].max())


def _widest(
    convex: Floats, low: NDArray[np.intp], concave: Floats, high: NDArray[np.intp]
) -> tuple[float, int, int]:
    """Return the largest distance of the two hulls, and the modal interval that it makes."""
    at_low, at_high = concave[low] - convex[low], concave[high] - convex[high]
    if at_high.max() > at_low.max():
        last = int(high[np.flatnonzero(at_high == at_high.max())[-1]])
        return float(at_high.max()), int(low[low <= last][-1]), last
    first = int(low[np.flatnonzero(at_low == at_low.max())[0]])
    return float(at_low.max()), first, int(high[high >= first][0])


def _minorant(x: Floats, y: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the greatest convex function below the points, and where it touches them."""
    hull: list[int] = []
    # Plain floats: of an array each single one would be wrapped anew.
    xs, ys = x.tolist(), y.tolist()
    for i in range(len(xs)):
        while len(hull) > 1 and _turns_down(xs, ys, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    touches = np.array(hull)
    return np.interp(x, x[touches], y[touches]), touches


def _majorant(x: Floats, y: Floats) -> tuple[Floats, NDArray[np.intp]]:
    mirrored, touches = _minorant(x, -y)
    return -mirrored, touches


def _turns_down(x: list[float], y: list[float], a: int, b: int, c: int) -> bool:
    """Whether the point b lies on or above the line from a to c."""
    return (y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a])


def _best_cut(x: Floats) -> int:
    """Return how many sorted values are the lower group: the cut between the most unlike groups."""
    sums, n = np.cumsum(x), len(x)
    k = np.arange(1, n)
    between = k * (n - k) * (sums[:-1] / k - (sums[-1] - sums[:-1]) / (n - k)) ** 2
    return int(between.argmax()) + 1
