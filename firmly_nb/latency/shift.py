"""The shift function: by how many milliseconds each quantile of B lies above that of A.

metrics.md, section 4. The band is simultaneous: it holds all shifts at once. Each side's quantile
has its exact order-statistics interval, at a level raised so that all of them hold together; the
two are put together as Newcombe does it with shares (G. Y. Zou and A. Donner, "Construction of
confidence limits about effect measures", Statistics in Medicine 27, 2008).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.quantiles import in_order, quantiles_of_sorted, type_7
from firmly_nb.latency.runs import SEED, drawn_runs, expanded_tail, resampled_quantiles
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

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
