"""Runs: orders that were placed together are alike, so there is less to be learned from them.

``dependence`` says what an interval may rest on. A comparison draws whole runs again. The
percentiles that bound an interval are moved outwards for few runs, as a t interval's
ends are (T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
69, 2015, section 4.3: the expanded percentile interval); plain percentiles are too narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

ENOUGH_RUNS = 5
RESAMPLES = 2000
SEED = 7
CELLS = 400  # points at which counts are compared; twice, the second time within the first's range


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs, and the run of each order.

    Attributes
    ----------
    codes
        For each order the number of its run, from 0.
    names
        The runs' ids, in order of appearance.
    """

    codes: Codes
    names: tuple[str, ...]

    def of(self, rows: NDArray[np.bool_ | np.signedinteger[Any]]) -> Runs:
        """Return the runs of some of the orders: a mask, or their indices."""
        return Runs(self.codes[rows], self.names)


def runs_of(orders: pd.DataFrame) -> Runs | None:
    """Return the runs of orders, or None where there are not two.

    Orders without a run are taken as one run of their own.

    Examples
    --------
    >>> import pandas as pd
    >>> runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]})).names
    ('a', 'b')
    >>> runs_of(pd.DataFrame({"run_id": ["a", "a"]})) is None
    True
    """
    import pandas as pd

    if "run_id" not in orders:
        return None
    codes, names = pd.factorize(orders["run_id"], use_na_sentinel=False)
    if len(names) < 2:
        return None
    return Runs(codes, tuple("(no run)" if pd.isna(name) else str(name) for name in names))


@lru_cache(maxsize=4)
def drawn_runs(count: int, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Draw runs with replacement; return how often each run is in each resample.

    The same draws serve every figure of the same runs, so they are kept.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def expanded_tail(level: float, runs: int) -> float:
    """Return the share of resamples to leave out at each end, so that few runs are allowed for.

    Examples
    --------
    >>> [round(expanded_tail(0.95, runs), 4) for runs in (5, 10, 1000)]
    [0.001, 0.0086, 0.0248]
    """
    from scipy.special import ndtr, stdtrit

    if runs < 2:
        return 0.0
    t = float(stdtrit(runs - 1, (1 - level) / 2))
    return float(ndtr(t * math.sqrt(runs / (runs - 1))))


def percentile_interval(draws: Floats, level: float, runs: int) -> tuple[float, float]:
    """Return the interval between two percentiles of resampled figures."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return -math.inf, math.inf
    tail = expanded_tail(level, runs)
    return float(np.quantile(known, tail)), float(np.quantile(known, 1 - tail))


def resampled_quantiles(groups: list[Floats], ps: Iterable[float], drawn: Floats) -> list[Floats]:
    """Return quantiles of each resample, to within a 400th of the range of the resamples."""
    points = np.sort(np.concatenate(groups))
    if len(points) <= CELLS:
        counts = _counts(groups, points, drawn)
        return [_crossings(counts, points, p, groups, drawn) for p in ps]
    coarse = points[np.linspace(0, len(points) - 1, CELLS).round().astype(int)]
    counts = _counts(groups, coarse, drawn)
    found = []
    for p in ps:
        near = _crossings(counts, coarse, p, groups, drawn)
        begin = max(int(np.searchsorted(points, near.min())) - len(points) // CELLS - 1, 0)
        end = min(int(np.searchsorted(points, near.max(), side="right")), len(points) - 1)
        fine = points[np.unique(np.linspace(begin, end, CELLS).round().astype(int))]
        found.append(_crossings(_counts(groups, fine, drawn), fine, p, groups, drawn))
    return found


def _counts(groups: list[Floats], points: Floats, drawn: Floats) -> Floats:
    """Return how many values of each resample are not above each point."""
    counts = np.array([np.searchsorted(g, points, side="right") for g in groups], np.float64)
    found: Floats = drawn @ counts
    return found


def _crossings(
    counts: Floats, points: Floats, p: float, groups: list[Floats], drawn: Floats
) -> Floats:
    """Return for each resample the first point up to which at least p of its values lie."""
    sizes = np.array([len(g) for g in groups], dtype=np.float64)
    reached = counts >= (p * (drawn @ sizes))[:, None] - 1e-9
    return np.asarray(points[reached.argmax(axis=1)], dtype=np.float64)
