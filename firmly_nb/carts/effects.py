"""How strongly one thing goes with another: effect sizes on ranks, with intervals.

Ranks, because latencies are skewed and have outliers; what holds for the ranks of a latency holds
for those of its logarithm. Spearman's rho for numbers, epsilon squared of Kruskal and Wallis for
categories: H / (n - 1), the share of the ranks' variance that lies between the categories
(M. Tomczak and E. Tomczak, "The need to report effect size estimates revisited", 2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]


class Effect(NamedTuple):
    """An effect size with its interval, and what it would be by chance alone."""

    size: float
    low: float
    high: float
    by_chance: float
    p_value: float


def codes_of(values: Sequence[Any] | NDArray[Any]) -> Codes:
    """Code values by the place of each among the distinct ones."""
    return np.unique(np.asarray(values), return_inverse=True)[1]


def spearman(x: Codes, y: Codes, weights: Floats | None = None) -> float:
    """Return Spearman's rho of two coded variables; weights say how often each row counts.

    Examples
    --------
    >>> x = codes_of([1, 2, 3, 4])
    >>> round(spearman(x, codes_of([10, 20, 40, 30])), 3)
    0.8
    """
    w = np.ones(len(x)) if weights is None else weights
    rx, ry = _ranks(x, w), _ranks(y, w)
    rx, ry = rx - np.average(rx, weights=w), ry - np.average(ry, weights=w)
    spread = np.sqrt((w * rx * rx).sum() * (w * ry * ry).sum())
    return float((w * rx * ry).sum() / spread) if spread > 0 else 0.0


def epsilon_squared(groups: Codes, y: Codes, weights: Floats | None = None) -> float:
    """Return epsilon squared: the share of y's rank variance that lies between the groups.

    Examples
    --------
    >>> groups = codes_of(["a", "a", "b", "b"])
    >>> epsilon_squared(groups, codes_of([1, 2, 3, 4]))
    0.8
    """
    w = np.ones(len(y)) if weights is None else weights
    ranks = _ranks(y, w)
    ranks = ranks - np.average(ranks, weights=w)
    sizes = np.bincount(groups, weights=w)
    sums = np.bincount(groups, weights=w * ranks)
    between = (sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum()
    whole = (w * ranks * ranks).sum()
    return float(between / whole) if whole > 0 else 0.0


def cramers_v(a: Codes, b: Codes) -> float:
    """Return Cramér's V of two categorical variables, 0 to 1.

    Examples
    --------
    >>> a = codes_of(["x", "x", "y", "y"])
    >>> cramers_v(a, a)
    1.0
    """
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    smaller = min(table.shape) - 1
    if smaller == 0:
        return 0.0
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (len(a) * smaller)))


def numeric_effect(x: Codes, y: Codes, *, resamples: int, seed: int, level: float) -> Effect:
    """Return rho with its interval; p from the t approximation of its null distribution."""
    from scipy.stats import t as student

    n, rho = len(x), spearman(x, y)
    low, high = _interval(spearman, x, y, resamples=resamples, seed=seed, level=level)
    near_one = min(abs(rho), 1 - 1e-15)
    score = near_one * np.sqrt((n - 2) / (1 - near_one**2))
    return Effect(rho, max(low, -1.0), min(high, 1.0), 0.0, float(2 * student.sf(score, n - 2)))


def categorical_effect(
    groups: Codes, y: Codes, *, resamples: int, seed: int, level: float
) -> Effect:
    """Return epsilon squared with its interval; p from the chi-squared approximation of H."""
    from scipy.stats import chi2

    n, others = len(y), int(groups.max())
    size = epsilon_squared(groups, y)
    low, high = _interval(epsilon_squared, groups, y, resamples=resamples, seed=seed, level=level)
    p_value = float(chi2.sf(size * (n - 1), others))
    return Effect(size, max(low, 0.0), min(high, 1.0), others / (n - 1), p_value)


def holm(p_values: Floats) -> Floats:
    """Adjust p values so that the chance of one false alarm in the whole list is bounded.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    count = len(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjust p values so that the share of false alarms among the alarms is bounded.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.04, 0.04]
    """
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    return np.asarray(false_discovery_control(p_values, method="bh"), dtype=np.float64)


def _ranks(codes: Codes, weights: Floats) -> Floats:
    """Rank rows that count ``weights`` times; equal values share their middle rank."""
    per_value = np.bincount(codes, weights=weights)
    middle: Floats = np.cumsum(per_value) - per_value / 2 + 0.5
    return middle[codes]


def _interval(
    measure: Callable[[Codes, Codes, Floats], float],
    a: Codes,
    b: Codes,
    *,
    resamples: int,
    seed: int,
    level: float,
) -> tuple[float, float]:
    """Bootstrap an interval: whole orders are drawn again, ranks are taken anew each time.

    A squared measure comes out too large in resamples, by what chance adds to it; the interval is
    moved back by that much.
    """
    rng, n = np.random.default_rng(seed), len(a)
    drawn = np.empty(resamples)
    for number in range(resamples):
        times = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        drawn[number] = measure(a, b, times)
    bias = drawn.mean() - measure(a, b, np.ones(n))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) - bias
    return float(low), float(high)
