"""Effect sizes on ranks, with their intervals, and how rare they are by chance.

Orders of one run are compared with one another. Where neighbouring orders are alike, times are
moved along in a circle and not shuffled; where a field is the same within runs, whole runs are
shuffled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.neighbours import LAG_ALARM, alike_noise, neighbours_alike, noise_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

FEW_RUNS, FEW_ALIKE = 11, 0.6  # with fewer they are taken for as much alike as that
DRAWS = 1999
MOST_LEVELS = 50  # that are told apart; the rest are put together
CURVED = 10  # values from which a number is taken as a curve, not value by value

# Effect sizes on ranks, because latencies are skewed and have outliers; what holds for the ranks of
# a latency holds for those of its logarithm. Spearman's rho for numbers, epsilon squared of Kruskal
# and Wallis for categories: H / (n - 1), the share of the ranks' variance that lies between the
# categories (M. Tomczak and E. Tomczak, "The need to report effect size estimates revisited",
# 2014).


class EffectSize(NamedTuple):
    """An effect size with its interval, and what it would be by chance alone."""

    size: float
    low: float
    high: float
    by_chance: float
    p_value: float


def codes_of(values: Sequence[Any] | NDArray[Any]) -> Codes:
    """Code values by the rank of each among the distinct ones."""
    return np.unique(np.asarray(values), return_inverse=True)[1]


def spearman(x: Codes, y: Codes, weights: Floats | None = None, runs: Codes | None = None) -> float:
    """Return Spearman's rho of two coded variables; weights say how often each row counts.

    With runs, ranks are taken without the mean of their run.

    Examples
    --------
    >>> x = codes_of([1, 2, 3, 4])
    >>> round(spearman(x, codes_of([10, 20, 40, 30])), 3)
    0.8
    """
    w = np.ones(len(x)) if weights is None else weights
    rx, ry = (without_runs(ranks_of(one, w), w, runs) for one in (x, y))
    spread = np.sqrt((w * rx * rx).sum() * (w * ry * ry).sum())
    return float((w * rx * ry).sum() / spread) if spread > 0 else 0.0


def epsilon_squared(
    groups: Codes, y: Codes, weights: Floats | None = None, runs: Codes | None = None
) -> float:
    """Return epsilon squared: the share of y's rank variance that lies between the groups.

    With runs, ranks are taken without the mean of their run.

    Examples
    --------
    >>> groups = codes_of(["a", "a", "b", "b"])
    >>> epsilon_squared(groups, codes_of([1, 2, 3, 4]))
    0.8
    """
    w = np.ones(len(y)) if weights is None else weights
    ranks = without_runs(ranks_of(y, w), w, runs)
    sizes = np.bincount(groups, weights=w)
    sums = np.bincount(groups, weights=w * ranks)
    between = (sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum()
    whole = (w * ranks * ranks).sum()
    return float(between / whole) if whole > 0 else 0.0


def without_runs(values: Floats, weights: Floats, runs: Codes | None) -> Floats:
    """Return values without their mean, or without the mean of their run."""
    if runs is None:
        return np.asarray(values - np.average(values, weights=weights))
    sizes = np.bincount(runs, weights=weights)
    means = np.bincount(runs, weights=weights * values) / np.where(sizes > 0, sizes, 1.0)
    return np.asarray(values - means[runs])


def numeric_effect(x: Codes, y: Codes, *, resamples: int, seed: int, level: float) -> EffectSize:
    """Return rho with its interval; p from the t approximation of its null distribution."""
    from scipy.stats import t as student

    n, rho = len(x), spearman(x, y)
    low, high = bootstrapped(spearman, x, y, resamples=resamples, seed=seed, level=level)
    near_one = min(abs(rho), 1 - 1e-15)
    score = near_one * np.sqrt((n - 2) / (1 - near_one**2))
    return EffectSize(rho, max(low, -1.0), min(high, 1.0), 0.0, float(2 * student.sf(score, n - 2)))


def categorical_effect(
    groups: Codes, y: Codes, *, resamples: int, seed: int, level: float
) -> EffectSize:
    """Return epsilon squared with its interval; p from the chi-squared approximation of H."""
    from scipy.stats import chi2

    n, others = len(y), int(groups.max())
    size = epsilon_squared(groups, y)
    low, high = bootstrapped(
        epsilon_squared, groups, y, resamples=resamples, seed=seed, level=level
    )
    p_value = float(chi2.sf(size * (n - 1), others))
    return EffectSize(size, max(low, 0.0), min(high, 1.0), others / (n - 1), p_value)


def holm(p_values: Floats) -> Floats:
    """Adjust p values so that the chance of one false alarm in the whole list is bounded.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    by_size = np.argsort(p_values)
    count = len(p_values)
    stepped = np.maximum.accumulate(p_values[by_size] * np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[by_size] = np.minimum(stepped, 1.0)
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


def ranks_of(codes: Codes, weights: Floats) -> Floats:
    """Rank rows that count ``weights`` times; equal values share their middle rank."""
    per_value = np.bincount(codes, weights=weights)
    middle: Floats = np.cumsum(per_value) - per_value / 2 + 0.5
    return middle[codes]


def bootstrapped(
    measure: Callable[..., float],
    *data: Any,
    resamples: int,
    seed: int,
    level: float,
    clusters: Codes | None = None,
) -> tuple[float, float]:
    """Bootstrap an interval: whole orders are drawn again, ranks are taken anew each time.

    A squared measure comes out too large in resamples, by what chance adds to it; the interval is
    moved back by that much. Clusters are drawn as wholes. Few of them vary too little when they are
    drawn again, so the interval is widened as Student's t is.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    rng, n = np.random.default_rng(seed), len(data[0])
    units = n if clusters is None else int(clusters.max()) + 1
    drawn = np.empty(resamples)
    for at in range(resamples):
        times = np.bincount(rng.integers(0, units, units), minlength=units).astype(np.float64)
        drawn[at] = measure(*data, times if clusters is None else times[clusters])
    plain = measure(*data, np.ones(n))
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) - (drawn.mean() - plain)
    if clusters is not None and units > 1:
        share = (1 + level) / 2
        wider = student.ppf(share, units - 1) / norm.ppf(share) * np.sqrt(units / (units - 1))
        low, high = plain - wider * (plain - low), plain + wider * (high - plain)
    return float(low), float(high)


def columns_of(codes: Codes, *, is_numeric: bool, curved: bool = False) -> Floats:
    """Return a field as centred columns: its ranks, or one column for each value but one.

    ``curved`` takes a number as it could matter in any way, not only as the larger the slower.
    """
    levels = int(codes.max()) + 1 if len(codes) else 0
    if is_numeric and not (curved and levels <= CURVED):
        ranks = ranks_of(codes, np.ones(len(codes)))
        ranks = (ranks - ranks.mean()) / (np.ptp(ranks) or 1.0)
        columns = np.stack([ranks**power for power in ((1, 2, 3) if curved else (1,))], axis=1)
    else:
        sizes = np.bincount(codes)
        kept = np.argsort(-sizes, kind="stable")[1 : MOST_LEVELS + 1]
        columns = (codes[:, None] == kept).astype(np.float64)
    return np.asarray(columns - columns.mean(axis=0))


def run_means(columns: Floats, runs: Codes) -> Floats:
    """Return the mean of each column in each run, one row a run."""
    sizes = np.bincount(runs)[:, None]
    sums = np.stack([np.bincount(runs, weights=one) for one in columns.T], axis=1)
    return np.asarray(sums / np.maximum(sizes, 1))


def p_value_of(
    columns: Floats, y: Floats, runs: Codes | None, *, by_runs: bool, lost: int = 0
) -> tuple[float, bool]:
    """Return how rare such an effect is by chance, and whether neighbouring orders are alike.

    ``lost`` is how many degrees of freedom other fields have taken.
    """
    from scipy.stats import chi2
    from scipy.stats import t as student

    if runs is not None:
        columns = columns - run_means(columns, runs)[runs]
    y = without_runs(y, np.ones(len(y)), runs)
    basis = basis_of(columns)
    rank, spread = basis.shape[1], float(y @ y)
    free = len(y) - lost - (1 if runs is None else int(runs.max()) + 1)
    if not rank or spread <= 0 or free <= rank:
        return 1.0, False
    share = min(float(((basis.T @ y) ** 2).sum()) / spread, 1 - 1e-15)
    rest = y - basis @ (basis.T @ y)
    if by_runs:
        return _over_runs(basis, y, rest, share), False
    parts = [rest] if runs is None else [rest[runs == run] for run in range(int(runs.max()) + 1)]
    if neighbours_alike(parts)[0] > LAG_ALARM:
        return _by_shifts(basis, y, runs, share), True
    if columns.shape[1] == 1:
        score = np.sqrt(share * (free - 1) / (1 - share))
        return float(2 * student.sf(score, free - 1)), False
    return float(chi2.sf(share * free, rank)), False


def basis_of(columns: Floats) -> Floats:
    """Return orthonormal columns of the same span; what is as good as nothing is left out."""
    if not columns.size:
        return columns[:, :0]
    u, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, size > 1e-6 * np.sqrt(len(columns))])


def _over_runs(basis: Floats, y: Floats, rest: Floats, share: float) -> float:
    """Permute whole runs, and make their noise again as if neighbouring runs were alike."""
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.tile(y, (DRAWS, 1)), axis=1)
    size = len(y)
    if size < FEW_RUNS:
        again = alike_noise(rng, DRAWS, size, FEW_ALIKE)
    else:
        again = noise_of(rest).again(DRAWS, size, rng)
    return max(_rarer(basis, one, share) for one in (shuffled, again))


def _rarer(basis: Floats, series: Floats, share: float) -> float:
    series = series - series.mean(axis=1, keepdims=True)
    spread = (series**2).sum(axis=1)
    shares = ((series @ basis) ** 2).sum(axis=1) / np.where(spread > 0, spread, np.inf)
    return float((1 + (shares >= share - 1e-12).sum()) / (1 + len(series)))


def _by_shifts(basis: Floats, y: Floats, runs: Codes | None, share: float) -> float:
    """Move the times of each run along in a circle: like neighbours stay together."""
    rng = np.random.default_rng(0)
    codes = np.zeros(len(y), dtype=np.intp) if runs is None else runs
    sums = np.zeros((DRAWS, basis.shape[1]))
    for run in range(int(codes.max()) + 1):
        mine = codes == run
        far = np.conj(np.fft.rfft(basis[mine], axis=0)) * np.fft.rfft(y[mine])[:, None]
        each = np.fft.irfft(far, n=int(mine.sum()), axis=0)
        sums += each[rng.integers(0, len(each), DRAWS)]
    shares = (sums**2).sum(axis=1) / float(y @ y)
    return float((1 + (shares >= share - 1e-12).sum()) / (1 + DRAWS))
