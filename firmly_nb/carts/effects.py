"""Effect sizes on ranks, with their intervals, and how rare they are by chance.

Orders of one run are compared with one another. Where neighbouring orders are alike, times are
moved along in a circle and not shuffled; where a field is the same within runs, whole runs are
shuffled.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.neighbours import LAG_ALARM, MOST_ALIKE, alike_noise, neighbours_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

MANY_RUNS = 200  # from which only likenesses near the one seen are tried
REACH = 8.0  # standard errors
DRAWS = 1999
MOST_LEVELS = 50  # that are told apart; the rest are put together
CURVED = 10  # values from which a number is taken as a curve, not value by value

# Effect sizes on ranks, because latencies are skewed and have outliers; what holds for the ranks of
# a latency holds for those of its logarithm. Spearman's rho for numbers, epsilon squared of Kruskal
# and Wallis for categories: H / (n - 1), the share of the ranks' variance that lies between the
# categories (M. Tomczak and E. Tomczak, "The need to report effect size estimates revisited",
# 2014).


class Rarity(NamedTuple):
    """Probability that chance alone has such an effect.

    ``alike`` says whether neighbouring orders are alike. ``shuffled`` is how rare it would be if
    neighbouring runs were not; without runs it is the p value.
    """

    p_value: float
    alike: bool
    shuffled: float


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
    by_size = np.argsort(p_values)[::-1]
    count = len(p_values)
    stepped = np.minimum.accumulate(p_values[by_size] * (count / np.arange(count, 0, -1)))
    adjusted = np.empty(count)
    adjusted[by_size] = np.minimum(stepped, 1.0)
    return adjusted


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
    from scipy.special import ndtri, stdtrit

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
        wider = stdtrit(units - 1, share) / ndtri(share) * np.sqrt(units / (units - 1))
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


def rarity(
    columns: Floats,
    y: Floats,
    runs: Codes | None,
    *,
    times: Floats | None = None,
    taken: Floats | None = None,
) -> Rarity:
    """Return how rare such an effect is by chance.

    Parameters
    ----------
    columns
        The field, as from ``columns_of``.
    y
        The ranks of the times.
    runs
        The run of each row; None if there is one run, or if rows are runs.
    times
        If rows are runs, in order of time: what ``y`` ranks.
    taken
        Orthonormal columns that other fields have taken from all of them.
    """
    # scipy.stats has the same under other names, and takes half a second to import.
    from scipy.special import chdtrc, stdtr

    if runs is not None:
        columns = columns - run_means(columns, runs)[runs]
    y = without_runs(y, np.ones(len(y)), runs)
    taken = np.empty((len(y), 0)) if taken is None else taken
    basis = basis_of(columns)
    rank, spread = basis.shape[1], float(y @ y)
    free = len(y) - taken.shape[1] - (1 if runs is None else int(runs.max()) + 1)
    if not rank or spread <= 0 or free <= rank:
        return Rarity(1.0, alike=False, shuffled=1.0)
    share = min(float(((basis.T @ y) ** 2).sum()) / spread, 1 - 1e-15)
    rest = y - basis @ (basis.T @ y)
    if times is not None:
        return _over_runs(basis, taken, y, times)
    if float(rest @ rest) <= 1e-12 * spread:
        rest = np.zeros(len(rest))  # what rounding left has no neighbours
    parts = [rest] if runs is None else [rest[runs == run] for run in range(int(runs.max()) + 1)]
    if neighbours_alike(parts)[0] > LAG_ALARM:
        p_value, alike = _by_shifts(basis, y, runs, share), True
    elif columns.shape[1] == 1:
        score = np.sqrt(share * (free - 1) / (1 - share))
        p_value, alike = float(2 * stdtr(free - 1, -score)), False
    else:
        p_value, alike = float(chdtrc(rank, share * free)), False
    return Rarity(p_value, alike, p_value)


def basis_of(columns: Floats) -> Floats:
    """Return orthonormal columns of the same span; what is as good as nothing is left out."""
    if not columns.size:
        return columns[:, :0]
    u, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, size > 1e-6 * np.sqrt(len(columns))])


def _over_runs(basis: Floats, taken: Floats, ranks: Floats, times: Floats) -> Rarity:
    """Permute whole runs, and make noise with neighbouring runs alike; the larger p value counts.

    How much alike they are is not known. Each likeness counts as much as it fits the rest, and
    more the larger it is: an alarm that is too rare does less harm. Times are not ranked here, for
    among few runs the ranks of a large step are those of a small one.
    """
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.tile(ranks, (DRAWS, 1)), axis=1)
    plain = _rarer(basis, shuffled, float(_shares(basis, ranks[None])[0]))
    times = (times - times.mean())[None]
    share = float(_shares(basis, times)[0])
    seen = float(_neighbours(times - (times @ basis) @ basis.T)[0])
    fits, rare = [], []
    for alike in _likely(seen, len(ranks)):
        noise = _noise(len(ranks), alike)
        noise = noise - (noise @ taken) @ taken.T
        others = _neighbours(noise - (noise @ basis) @ basis.T)
        spread = float(others.std()) or 1.0
        fit = math.exp(-(((seen - float(others.mean())) / spread) ** 2) / 2) / spread
        fits.append(fit * (0.05 + alike))
        rare.append(_rarer(basis, noise, share))
    weights = np.array(fits) if sum(fits) > 0 else np.ones(len(fits))
    lasting = float(np.average(rare, weights=weights))
    return Rarity(max(plain, lasting), alike=False, shuffled=plain)


def _likely(seen: float, size: int) -> list[float]:
    """Return the likenesses to be tried: among many runs only those near the one seen."""
    reach = MOST_ALIKE if size < MANY_RUNS else REACH / math.sqrt(size)
    tried = np.arange(0, MOST_ALIKE + 1e-9, 0.05)
    near = tried[np.abs(tried - min(max(seen, 0.0), MOST_ALIKE)) <= reach]
    return [round(one, 2) for one in near.tolist()]


def _noise(size: int, alike: float) -> Floats:
    """Return centred noise whose neighbours are alike, one series a row."""
    made = _made_noise(size, alike) if size < MANY_RUNS else _made_noise.__wrapped__(size, alike)
    return made.astype(np.float64)


@lru_cache(maxsize=40)
def _made_noise(size: int, alike: float) -> NDArray[np.float32]:
    series = alike_noise(np.random.default_rng(0), DRAWS // 2, size, alike)
    return np.asarray(series - series.mean(axis=1, keepdims=True), dtype=np.float32)


def _neighbours(series: Floats) -> Floats:
    """Return the lag-1 correlation of each series."""
    spread = (series**2).sum(axis=1)
    products = (series[:, 1:] * series[:, :-1]).sum(axis=1)
    return np.asarray(products / np.where(spread > 0, spread, np.inf))


def _rarer(basis: Floats, series: Floats, share: float) -> float:
    return float((1 + (_shares(basis, series) >= share - 1e-12).sum()) / (1 + len(series)))


def _shares(basis: Floats, series: Floats) -> Floats:
    """Return which share of the spread of each series lies in the columns."""
    series = series - series.mean(axis=1, keepdims=True)
    spread = (series**2).sum(axis=1)
    return np.asarray(((series @ basis) ** 2).sum(axis=1) / np.where(spread > 0, spread, np.inf))


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
