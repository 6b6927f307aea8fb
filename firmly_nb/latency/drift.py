"""Change points: runs from which on orders are slower or faster than before.

metrics.md, section 4. E-divisive on the runs' medians (D. S. Matteson and N. A. James, "A
Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", Journal of the
American Statistical Association 109, 2014). A change is told only if splits as good as it are rare
when the runs are put into random order. What could have been found at all is told, too: no change
found among few and noisy runs does not mean that there was none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.columns import coded, floats
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FEWEST_A_SIDE = 3
FEWEST = 11  # even the best split of fewer runs is hardly rarer than the alarm: 2 of 252 orders
ALARM = 0.01
PERMUTATIONS = 999
BATCH = 1_000_000  # distances held at a time
SEED = 7
TRIALS = 200  # simulated series, to say what could have been found
FOUND_IN = 0.8  # of them
STEPS = np.arange(1.0, 10.0, 0.5)  # sizes tried, in standard deviations of a run's median
LONGEST_TRIED = 60  # runs of a simulated series; with more, smaller changes are found

RUN_MEDIANS = Table(
    "run_medians",
    "one row a run, in order of time",
    (
        Column("run_id", "str", "", "which run"),
        Column("started_at", "datetime64[ns, UTC]", "", "its first order"),
        Column("n", "int64", "orders", "orders with that time"),
        Column("median_ms", "float64", "ms", "their median"),
        Column("segment", "int64", "", "counted from 0; changes lie between segments"),
    ),
)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """Between two runs the times changed.

    Attributes
    ----------
    place
        Number of the first run after the change, counted from 0.
    run_id
        That run.
    before, after
        Median of the runs' medians on each side, up to the next change.
    p_value
        How often runs in random order have a split as good.
    """

    place: int
    run_id: str
    before: float
    after: float
    p_value: float

    @property
    def ratio(self) -> float:
        """How many times as long orders take since."""
        return self.after / self.before if self.before else math.nan


@dataclass(frozen=True, slots=True)
class Changes:
    """What ``change_points`` found; it shows itself.

    Attributes
    ----------
    points
        The changes in order of time.
    values, run_ids
        What was looked at.
    detectable
        The ratio from which a change in the middle is found in four of five cases; None if there
        are too few runs.
    """

    points: tuple[ChangePoint, ...]
    values: tuple[float, ...]
    run_ids: tuple[str, ...]
    detectable: float | None

    @property
    def sentence(self) -> str:
        """What was found, and what could have been, in words."""
        count = len(self.values)
        if self.detectable is None:
            return f"Too few runs to look for changes: {FEWEST} are the least, there are {count}."
        bound = (
            f"with {count} runs as noisy as these, a change by {self.detectable - 1:.0%} would be "
            f"found in four of five cases"
        )
        if not self.points:
            return f"No change found between runs; {bound}."
        told = "; ".join(_told(point) for point in self.points)
        return f"{told}; {bound}."

    def __repr__(self) -> str:
        return self.sentence


def change_points(values: ArrayLike, run_ids: Sequence[str] | None = None) -> Changes:
    """Find where a series of runs changed.

    Parameters
    ----------
    values
        One value a run, such as its median, in order of time; positive.
    run_ids
        The runs' names; by default their numbers.

    Examples
    --------
    >>> found = change_points([10, 11, 10, 11, 10, 11, 15, 16, 15, 16, 15, 16])
    >>> [(point.place, round(point.ratio, 2)) for point in found.points]
    [(6, 1.48)]
    """
    x = np.asarray(values, dtype=np.float64)
    names = tuple(run_ids) if run_ids is not None else tuple(str(i) for i in range(len(x)))
    if len(names) != len(x):
        raise ValueError(f"there are {len(x)} values and {len(names)} run ids")
    series = np.log(np.maximum(x, 1e-3))
    found = sorted(_divided(series, 0, np.random.default_rng(SEED)))
    bounds = [0, *(place for place, _ in found), len(x)]
    middles = [float(np.median(x[a:b])) for a, b in pairwise(bounds) if b > a]
    points = tuple(
        ChangePoint(place, names[place], middles[i], middles[i + 1], p_value)
        for i, (place, p_value) in enumerate(found)
    )
    return Changes(points, tuple(x.tolist()), names, _detectable(series, bounds))


def run_medians(
    orders: pd.DataFrame, times_ms: ArrayLike | None = None
) -> tuple[pd.DataFrame, Changes]:
    """Return the median of each run in order of time, and the changes among them.

    Parameters
    ----------
    orders
        Needs ``run_id``, ``started_at``, and ``time_to_order_placed_ms`` unless times are given.
    times_ms
        One time an order, null where it has none.
    """
    x = floats(orders["time_to_order_placed_ms"]) if times_ms is None else np.asarray(times_ms)
    codes, names = coded(orders["run_id"])
    started = orders["started_at"].astype("int64").to_numpy()
    known = (codes >= 0) & ~np.isnan(x)
    here = np.unique(codes[known])
    first = np.array([started[codes == run].min() for run in here])
    here = here[np.argsort(first, kind="stable")]
    medians = [float(np.median(x[known & (codes == run)])) for run in here]
    changes = change_points(medians, [names[run] for run in here])
    places = [point.place for point in changes.points]
    table = RUN_MEDIANS.from_columns(
        {
            "run_id": [names[run] for run in here],
            "started_at": [orders["started_at"][codes == run].min() for run in here],
            "n": [int((known & (codes == run)).sum()) for run in here],
            "median_ms": medians,
            "segment": [sum(place <= i for place in places) for i in range(len(here))],
        }
    )
    return table, changes


def _told(point: ChangePoint) -> str:
    word = "slower" if point.ratio > 1 else "faster"
    return (
        f"From run {point.run_id} on orders are {word}: {point.ratio:.2f} times as long "
        f"({point.before:,.0f} ms before, {point.after:,.0f} ms since; p = {point.p_value:.3f})"
    )


def _divided(series: Floats, begin: int, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Split a series where that is rarer than chance, then each part again."""
    if len(series) < FEWEST or np.ptp(series) == 0:
        return []
    distances = np.abs(np.subtract.outer(series, series))
    split, best = _best_split(distances[None])
    p_value = _rareness(distances, float(best[0]), rng)
    if p_value > ALARM:
        return []
    place = int(split[0])
    left = _divided(series[:place], begin, rng)
    right = _divided(series[place:], begin + place, rng)
    return [*left, (begin + place, p_value), *right]


def _rareness(distances: Floats, best: float, rng: np.random.Generator) -> float:
    """Return how often runs in random order have a split as good."""
    size = len(distances)
    as_good, drawn = 0, 0
    # Some at a time: after the first hundred it is mostly clear that there is no change.
    while drawn < PERMUTATIONS and as_good <= ALARM * (1 + PERMUTATIONS):
        number = min(max(BATCH // size**2, 1), 100, PERMUTATIONS - drawn)
        order = rng.permuted(np.tile(np.arange(size), (number, 1)), axis=1)
        shuffled = distances[order[:, :, None], order[:, None, :]]
        as_good += int((_best_split(shuffled)[1] >= best - 1e-12).sum())
        drawn += number
    return (1 + as_good) / (1 + drawn)


def _best_split(distances: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return for each matrix of distances the best split and how good it is.

    ``q = s (T - s) / T * (2 mean|x - y| - mean|x - x'| - mean|y - y'|)`` for s values x before and
    T - s values y after, at least three each; means over pairs of different runs.
    """
    size = distances.shape[1]
    s = np.arange(FEWEST_A_SIDE, size - FEWEST_A_SIDE + 1)
    total = distances.sum(axis=(1, 2))[:, None]
    corner = np.cumsum(np.cumsum(distances, axis=1), axis=2)
    within = corner[:, s - 1, s - 1]  # pairs before, each counted twice
    rows = corner[:, s - 1, -1]  # pairs of one before with any
    across = rows - within
    after = total - rows - across
    rest = size - s
    spread = within / (s * (s - 1)) + after / (rest * (rest - 1))
    q = s * rest / size * (2 * across / (s * rest) - spread)
    best = q.argmax(axis=1)
    return s[best], q[np.arange(len(q)), best]


def _detectable(series: Floats, bounds: Sequence[int]) -> float | None:
    """Return the ratio from which a change in the middle is found in four of five series.

    Simulated with normal noise of the same standard deviation, that of the runs around their
    segment's median; the limit for an alarm is that of series without a change.
    """
    size = len(series)
    if size < FEWEST:
        return None
    left = np.concatenate([series[a:b] - np.median(series[a:b]) for a, b in pairwise(bounds)])
    noise = math.sqrt(float((left**2).sum()) / max(size - len(bounds) + 1, 1))
    return math.exp(noise * _steps_needed(min(size, LONGEST_TRIED)))


def _steps_needed(size: int) -> float:
    rng = np.random.default_rng(SEED)
    still = _goodness(rng.standard_normal((5 * TRIALS, size)))
    limit = float(np.quantile(still, 1 - ALARM))
    after = np.arange(size) >= size // 2
    for step in STEPS:
        found = _goodness(rng.standard_normal((TRIALS, size)) + step * after) > limit
        if found.mean() >= FOUND_IN:
            return float(step)
    return float(STEPS[-1])


def _goodness(series: Floats) -> Floats:
    scaled = series / series.std(axis=1, keepdims=True)
    return _best_split(np.abs(scaled[:, :, None] - scaled[:, None, :]))[1]
