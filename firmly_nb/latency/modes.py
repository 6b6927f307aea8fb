"""Two modes of times: two systems behind one name, a cache that is hit or missed.

Hartigan's dip: how far the measured distribution is from the nearest one with a single mode (J. A.
Hartigan and P. M. Hartigan, "The Dip Test of Unimodality", Annals of Statistics 13, 1985). Beyond
the limit of the uniform distribution, the least favourable with one mode, there are two. That
limit is far off for times, which are never uniform, so of few orders a smaller dip is held against
draws from the times themselves, smoothed just so much that they have one mode (B. W. Silverman,
"Using Kernel Density Estimates to Investigate Multimodality", Journal of the Royal Statistical
Society B 43, 1981; with the dip: J. Ameijeiras-Alonso, R. Crujeiras and A. Rodriguez-Casal, "Mode
Testing, Critical Bandwidth and Excess Mass", TEST 28, 2019).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.messages import tells_names
from firmly_nb.latency.quantiles import type_7

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FEWEST = 40
MOST = 1000  # of more values so many are drawn, with a fixed seed
SEED = 7
# sqrt(n) times the dip that 1 in 100 uniform samples exceeds; a test simulates it.
LIMIT = 0.615
DOUBTFUL = 0.4  # below it draws from one mode have as large a dip often enough
FEW = 300  # of so many times a distribution with two modes that matter is beyond the limit
DRAWS = 399  # none of them may have as large a dip: 1 in 400, and four stages are 1 in 100
MATTERS = 1.5  # times that the slow group takes at least
AT_ONCE = 16_384  # values, so that they stay where the processor is quick
GRID = 200  # points at which a smoothed distribution is looked at


@tells_names
class Modes(NamedTuple):
    """Two groups of times: the share of the slow one, and the medians of both."""

    slow_share: float
    quick_ms: float
    slow_ms: float

    @property
    def ratio(self) -> float:
        """Ratio of the medians: slow to quick."""
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
    is_time = x > 0
    x = x if is_time.all() else x[is_time]
    few = len(x) <= MOST
    # To put very many in order takes long: some decide whether there is a need.
    drawn = _logs(x if few else np.random.default_rng(SEED).choice(x, MOST, replace=False))
    if len(x) < FEWEST or drawn[0] == drawn[-1] or not (few or _has_two_modes(drawn)):
        return None
    x = drawn if few else _logs(x)
    cut = _best_cut(x)
    quick_ms, slow_ms = (math.exp(type_7(part, 0.5)) for part in (x[:cut], x[cut:]))
    if slow_ms < MATTERS * quick_ms or (few and not _has_two_modes(x)):
        return None
    return Modes(1 - cut / len(x), quick_ms, slow_ms)


def _logs(times: Floats) -> Floats:
    """Return the logarithms of times in order."""
    # One may be off by its last digit, but none is below the one before.
    return np.maximum.accumulate(np.log(np.sort(times)))


def _has_two_modes(x: Floats) -> bool:
    """Say whether sorted values have two modes."""
    rng = np.random.default_rng(SEED)
    looked_at = _untied(x)
    root = math.sqrt(len(looked_at))
    found = dip(looked_at)
    if found * root > LIMIT:
        return True
    if found * root < DOUBTFUL or len(looked_at) > FEW:
        return False
    width = _critical_width(looked_at)
    for _ in range(DRAWS):
        drawn = rng.choice(looked_at, len(looked_at)) + width * rng.standard_normal(len(looked_at))
        if dip(np.sort(drawn)) >= found:
            return False
    return True


def _critical_width(x: Floats) -> float:
    """Return the least width of a normal kernel that leaves sorted values one mode."""
    high = float(x[-1] - x[0])
    low = 1e-3 * high
    while high > 1.02 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _count_modes(x, middle) == 1 else (middle, high)
    return high


def _count_modes(x: Floats, width: float) -> int:
    points = np.linspace(x[0] - width, x[-1] + width, GRID)
    density = np.exp(-0.5 * ((points[:, None] - x) / width) ** 2).sum(axis=1)
    rises = np.diff(density) > 0
    return int((rises[:-1] & ~rises[1:]).sum())


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
    values, code, counts = np.unique(x, return_inverse=True, return_counts=True)
    if len(values) == len(x):
        return x
    edges = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, values[-1:]])
    rank = np.arange(len(x)) - (np.cumsum(counts) - counts)[code]
    part = (rank + 0.5) / counts[code]
    return np.asarray(edges[code] + part * (edges[code + 1] - edges[code]), dtype=np.float64)


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
    """Return whether the point b lies on or above the line from a to c."""
    return (y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a])


def _best_cut(x: Floats) -> int:
    """Return how many sorted values are the lower group: the cut between the most unlike groups."""
    n = len(x)
    # Of values around 0 the sum of the upper group is that of the lower, but for its sign.
    mean, total = float(x.mean()), 0.0
    best, cut = -1.0, 1
    for begin in range(0, n - 1, AT_ONCE):
        sums = np.cumsum(x[begin : min(begin + AT_ONCE, n - 1)] - mean) + total
        total = float(sums[-1])
        k = np.arange(begin + 1, begin + len(sums) + 1, dtype=np.float64)
        between = sums * sums / (k * (n - k))
        at = int(between.argmax())
        if between[at] > best:
            best, cut = float(between[at]), begin + at + 1
    return cut
