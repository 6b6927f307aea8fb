"""The three questions of a comparison: the typical time, the tail, and how many are placed.

Each has a wide interval, which says whether B differs, and a narrow one, which says whether a
difference stays within the margin. The wide ones of the three hold together with 95 %. That all lie
within their margins needs no correction: all narrow ones have to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.effect import (
    NEVER,
    Sample,
    balance,
    ends_of,
    is_shorter,
    log_factors,
    pairs_of,
    shared_codes,
    strata_of,
)
from firmly_nb.latency.looks import level_at
from firmly_nb.latency.quantiles import estimate, log_times
from firmly_nb.latency.shares import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.latency.effect import Codes, Flags, Floats, Strata

TOGETHER = 0.95  # so often the wide intervals of a family hold together
WIDE = 1 - (1 - TOGETHER) / 3
NARROW, NARROW_TAIL = 0.90, 0.95
NEEDED_FOR_TAIL = 72  # orders of A, from which its p95 has an interval
ENOUGH_OF_A_KIND = 100  # orders of A, from which a kind has thresholds of its own
VERY_LATE = 2.0  # times the median of A
ENOUGH_TO_DIFFER = 10  # orders of a kind on each side, from which its ratio is looked at
RATIOS_DIFFER = 0.01
UNDECIDED = "not enough data"
NO_CHANGE = "no change"
WORSE, BETTER = "worse", "better"


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of a question by its two intervals and the margin; positive is worse.

    Attributes
    ----------
    low, high
        The wide interval: of a difference.
    inside_low, inside_high
        The narrow interval.
    margin
        The smallest difference that matters.
    """

    low: float
    high: float
    inside_low: float
    inside_high: float
    margin: float

    @property
    def says(self) -> str:
        """``worse``, ``better``, ``no change`` or ``not enough data``.

        Examples
        --------
        >>> Decision(0.01, 0.2, 0.02, 0.15, 0.1).says, Decision(-0.1, 0.1, -0.04, 0.04, 0.05).says
        ('worse', 'no change')
        >>> Decision(-0.1, 0.1, -0.04, 0.06, 0.05).says
        'not enough data'
        """
        if self.low > 0:
            return WORSE
        if self.high < 0:
            return BETTER
        return NO_CHANGE if -self.margin < self.inside_low and self.holds else UNDECIDED

    @property
    def size(self) -> str:
        """Size of a difference against the margin, in words; empty where there is none."""
        more, less = "by more than your margin", "by less than your margin"
        perhaps = "perhaps by more than your margin, perhaps by less"
        if self.low > 0:
            return more if self.low > self.margin else less if self.holds else perhaps
        if self.high < 0:
            inside = self.inside_low > -self.margin
            return more if self.high < -self.margin else less if inside else perhaps
        return ""

    @property
    def holds(self) -> bool:
        """True if it is shown that B is not worse by the margin."""
        return self.inside_high < self.margin

    @property
    def fails(self) -> bool:
        """True if B is worse, and not shown to be so by less than the margin."""
        return self.low > 0 and not self.holds


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of the intervals: of a whole study, or at a look of one that may stop early.

    Attributes
    ----------
    looks
        Number of blocks at each look up to now; empty for a study that is looked at once.
    blocks
        Number of blocks that were planned.

    Examples
    --------
    >>> round(Levels().wide, 4), round(Levels((5,), 60).wide, 4)
    (0.9833, 0.9999)
    """

    looks: tuple[int, ...] = ()
    blocks: int = 0

    def of(self, total: float) -> float:
        """Return the level of an interval that may be wrong in such a share of studies."""
        return level_at(total, self.looks, self.blocks) if self.looks else 1 - total

    @property
    def wide(self) -> float:
        """Level of the wide interval of each of the three questions."""
        return self.of(1 - WIDE)

    @property
    def narrow(self) -> float:
        """Level of the narrow intervals of the typical time and of placed orders."""
        return self.of(1 - NARROW)

    @property
    def narrow_tail(self) -> float:
        """Level of the narrow interval of the tail."""
        return self.of(1 - NARROW_TAIL)


@dataclass(frozen=True, slots=True)
class Margins:
    """Smallest differences that matter, and the limit of lateness if one was given."""

    typical: float
    tail: float
    placed: float
    slo_ms: float | None


class Group(NamedTuple):
    """Orders of one side of a question: times, infinite where it never came; kind and run."""

    ms: Floats
    kind: Codes
    run: Codes

    @property
    def came(self) -> Group:
        """Orders that came."""
        return self.of(np.isfinite(self.ms))

    def of(self, mask: Flags) -> Group:
        """Return some of them."""
        return Group(self.ms[mask], self.kind[mask], self.run[mask])


@dataclass(frozen=True, slots=True)
class Method:
    """Method of comparing: within which strata, and what the unit is.

    Attributes
    ----------
    design
        ``interleaved``, ``alternating``, ``control``, or empty.
    by_runs
        Whether runs are the unit.
    control
        For each kind whether it belongs to the control merchant.
    merchants
        For each kind the number of its merchant.
    levels
        How sure the intervals are.
    """

    design: str
    by_runs: bool
    control: Flags
    merchants: Codes
    levels: Levels = Levels()

    def cells(self, group: Group) -> Codes:
        """Return the stratum of each order: its kind, and its run where runs are shared."""
        if self.design != "interleaved":
            return group.kind
        return group.run * (len(self.control) + 1) + group.kind

    def kinds(self, cells: Codes) -> Codes:
        """Return the kind of strata."""
        return cells if self.design != "interleaved" else cells % (len(self.control) + 1)


class Ends(NamedTuple):
    """A difference with its wide and its narrow interval, and standard error; positive is worse."""

    estimate: float
    low: float
    high: float
    inside_low: float
    inside_high: float
    error: float = math.nan


UNKNOWN = Ends(*[math.nan] * 6)


# Units that are runs.


def _t_ends(estimate: float, error: float, freedom: float, levels: tuple[float, float]) -> Ends:
    from scipy.special import stdtrit

    wide, narrow = (
        float(stdtrit(freedom, 0.5 + level / 2)) * error if error > 0 else 0.0 for level in levels
    )
    return Ends(
        estimate,
        estimate - wide,
        estimate + wide,
        estimate - narrow,
        estimate + narrow,
        error,
    )


def of_runs(values: Floats, levels: tuple[float, float]) -> Ends:
    """Return the mean of one value a run with its t intervals.

    Examples
    --------
    >>> found = of_runs(np.array([1.0, 2.0, 3.0]), (0.95, 0.9))
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    known = values[np.isfinite(values)]
    count = len(known)
    if count < 2:
        return UNKNOWN
    error = float(known.std(ddof=1)) / math.sqrt(count)
    return _t_ends(float(known.mean()), error, count - 1, levels)


def welch(a: Floats, b: Floats, levels: tuple[float, float], more: float = 0.0) -> Ends:
    """Return the difference of the means of one value a run, b - a, with Welch's t intervals.

    ``more`` is variance of the difference that the values do not show.
    """
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if min(len(a), len(b)) < 2:
        return UNKNOWN
    parts = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    both = sum(parts) + more
    below = parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)
    freedom = both**2 / below if below > 0 else math.inf
    return _t_ends(float(b.mean() - a.mean()), math.sqrt(both), freedom, levels)


def by_run(values: Floats, run: Codes, how: str) -> Floats:
    """Return the median or the mean of each run."""
    runs, of = np.unique(run, return_inverse=True)
    if how == "mean":
        return np.asarray(np.bincount(of, weights=values) / np.bincount(of))
    order = np.lexsort((values, of))
    sizes = np.bincount(of, minlength=len(runs))
    begins, ordered = np.cumsum(sizes) - sizes, values[order]
    lower, upper = begins + (sizes - 1) // 2, begins + sizes // 2
    return np.asarray((ordered[lower] + ordered[upper]) / 2)


def _middles(a: Floats, kind_a: Codes, b: Floats, kind_b: Codes, size: int, how: str) -> Floats:
    """Return for each kind the middle between the typical values of A and of B.

    Taken off, it leaves of a kind only what differs between the sides: the mix of kinds of a run
    does not look like a difference, and half of a true one is taken from neither side alone.
    """
    found = np.zeros((2, size))
    for row, (values, kind) in enumerate(((a, kind_a), (b, kind_b))):
        present = np.unique(kind)
        found[row, present] = by_run(values, kind, how)
    return np.asarray(found.mean(axis=0))


def _excess(a: Codes, b: Codes, method: Method) -> float:
    """Return the variance by which middles of kinds add to a difference, in that of one value.

    Where a side has few orders of a kind its middle is uncertain. That moves all runs of a side
    alike, so their spread does not show it. It is nothing if both sides have one mix.
    """
    found = 0.0
    for mask in (~method.control, method.control):
        n, m = (np.bincount(kind, minlength=len(mask))[mask].astype(np.float64) for kind in (a, b))
        here = (n > 0) & (m > 0)
        n, m = n[here], m[here]
        if len(n) > 1:
            weights = (n / n.sum() + m / m.sum()) / 2
            alike = 1 / n.sum() + 1 / m.sum()
            found += max(float((weights**2 * (1 / n + 1 / m)).sum()) - alike, 0.0)
    return found


def _more_of_medians(logs: Sequence[Floats], a: Group, b: Group, method: Method) -> float:
    """Return the variance that middles of kinds add to medians of times without them."""
    excess = _excess(a.kind, b.kind, method)
    quarters = np.quantile(np.concatenate(logs), [0.25, 0.75], method="nearest")
    if not excess or not np.isfinite(quarters).all():
        return 0.0
    # As if normal, so that a few very late orders do not count: a median varies by pi / 2.
    return excess * math.pi / 2 * (float(np.diff(quarters)[0]) / QUARTERS_APART) ** 2


QUARTERS_APART = 1.349  # of a normal distribution, in standard deviations


# How many times as long.


def _sample(group: Group, cells: Codes, units: Codes | None = None) -> Sample:
    logs = np.where(np.isfinite(group.ms), log_times(group.ms), NEVER)
    return Sample(logs, cells, np.zeros(len(cells), dtype=np.intp) if units is None else units)


class Typical(NamedTuple):
    """Factor of the times, as a logarithm; and by merchant where the ratios differ."""

    ends: Ends
    merchants: dict[int, Ends]


def typical(a: Group, b: Group, method: Method, levels: tuple[float, float]) -> Typical:
    """Return the logarithm of how many times as long B takes, of orders that came."""
    a, b = a.came, b.came
    if not len(a.ms) or not len(b.ms):
        return Typical(UNKNOWN, {})
    if method.by_runs and method.design != "interleaved":
        middles = _middles(
            log_times(a.ms), a.kind, log_times(b.ms), b.kind, len(method.control), "median"
        )
        logs = [log_times(one.ms) - middles[one.kind] for one in (a, b)]
        each = [_typical_of_runs(x, one, method) for x, one in zip(logs, (a, b), strict=True)]
        more = _more_of_medians(logs, a, b, method)
        return Typical(welch(each[0], each[1], levels, more), {})
    strata = _strata(a, b, method)
    found = _ends(strata, method, levels)
    merchants = _by_merchant(a, b, strata, method, levels)
    if not merchants:
        return Typical(found, {})
    return Typical(_weighted(merchants, a, b, method, levels), merchants)


def _typical_of_runs(logs: Floats, group: Group, method: Method) -> Floats:
    """Return for each run the median, or with a control merchant the factor against it."""
    if method.design != "control":
        return by_run(logs, group.run, "median")
    is_control = method.control[group.kind]
    sides = (
        Sample(logs[mask], group.run[mask], group.run[mask]) for mask in (is_control, ~is_control)
    )
    return log_factors(pairs_of(*sides))


def _strata(a: Group, b: Group, method: Method) -> Strata:
    """Return both sides in order within the strata; sorted once, whoever asks for some of them."""
    units = [one.run if method.by_runs else None for one in (a, b)]
    samples = (
        _sample(one, method.cells(one), unit) for one, unit in zip((a, b), units, strict=True)
    )
    return strata_of(*samples)


def _ends(strata: Strata, method: Method, levels: tuple[float, float]) -> Ends:
    if method.by_runs:
        return of_runs(log_factors(strata.pairs()), levels)
    if not len(strata.codes):
        return UNKNOWN
    from scipy.special import ndtri

    middle, (wide, narrow) = ends_of(strata, levels)
    middle = min(max(middle, narrow[0]), narrow[1])
    z = float(ndtri(0.5 + levels[1] / 2))
    return Ends(middle, *wide, *narrow, (narrow[1] - narrow[0]) / (2 * z))


def _by_merchant(
    a: Group, b: Group, strata: Strata, method: Method, levels: tuple[float, float]
) -> dict[int, Ends]:
    """Return the ratio of each merchant, if they differ by more than chance (Cochran's Q)."""
    n, m = (np.bincount(one.kind, minlength=len(method.control)) for one in (a, b))
    large = np.flatnonzero(np.minimum(n, m) >= ENOUGH_TO_DIFFER).tolist()
    if len(large) < 2:
        return {}
    kinds = method.kinds(strata.codes)
    narrow = (levels[1], levels[1])
    each = [_ends(strata.of(kinds == kind), method, narrow) for kind in large]
    if not _differ(each):
        return {}
    n, m = (np.bincount(method.merchants, weights=size).astype(np.intp) for size in (n, m))
    enough = np.flatnonzero(np.minimum(n, m) >= ENOUGH_TO_DIFFER).tolist()
    merchants = method.merchants[kinds]
    return {one: _ends(strata.of(merchants == one), method, levels) for one in enough}


def _differ(each: Sequence[Ends]) -> bool:
    from scipy.special import chdtrc

    known = [one for one in each if np.isfinite(one.error) and one.error > 0]
    if len(known) < 2:
        return False
    weights = np.array([1 / one.error**2 for one in known])
    values = np.array([one.estimate for one in known])
    middle = float((weights * values).sum() / weights.sum())
    q = float((weights * (values - middle) ** 2).sum())
    return float(chdtrc(len(known) - 1, q)) <= RATIOS_DIFFER


def _weighted(
    merchants: dict[int, Ends], a: Group, b: Group, method: Method, levels: tuple[float, float]
) -> Ends:
    """Put ratios that differ together with the weights of A; each kind of an own ratio alone."""
    of_a, of_b = method.merchants[a.kind], method.merchants[b.kind]
    parts: list[tuple[float, Ends]] = []
    for m in merchants:
        in_a, in_b = of_a == m, of_b == m
        kinds = [
            k
            for k in np.intersect1d(a.kind[in_a], b.kind[in_b]).tolist()
            if min((a.kind == k).sum(), (b.kind == k).sum()) >= ENOUGH_TO_DIFFER
        ]
        small_a, small_b = (
            mask & ~np.isin(one.kind, kinds) for one, mask in ((a, in_a), (b, in_b))
        )
        groups = [(a.kind == k, b.kind == k) for k in kinds]
        if min(small_a.sum(), small_b.sum()) >= ENOUGH_TO_DIFFER or not groups:
            groups.append((small_a, small_b))
        elif small_a.any():  # too few for a ratio of their own: with the largest kind
            largest = int(np.argmax([mask.sum() for mask, _ in groups]))
            groups[largest] = (groups[largest][0] | small_a, groups[largest][1] | small_b)
        parts += [
            (float(one.sum()), _ends(_strata(a.of(one), b.of(other), method), method, levels))
            for one, other in groups
        ]
    weights = np.array([weight for weight, _ in parts]) / sum(weight for weight, _ in parts)
    ends = np.array([tuple(one) for _, one in parts])
    middle = float(weights @ ends[:, 0])
    reach = [
        float(np.sqrt((weights**2 * (ends[:, at] - ends[:, 0]) ** 2).sum())) for at in range(1, 5)
    ]
    error = float(np.sqrt((weights**2 * ends[:, 5] ** 2).sum()))
    return Ends(
        middle, middle - reach[0], middle + reach[1], middle - reach[2], middle + reach[3], error
    )


def is_faster_with_failures(a: Group, b: Group, method: Method, level: float) -> bool:
    """Return whether B is faster if an order that was not placed counts as infinitely late."""
    if not len(a.ms) or not len(b.ms):
        return False
    if not method.by_runs:
        return is_shorter(pairs_of(*(_sample(one, method.cells(one)) for one in (a, b))), level)
    levels = level, level
    if method.design == "interleaved":
        pairs = pairs_of(*(_sample(one, method.cells(one), one.run) for one in (a, b)))
        found = balance(pairs, np.zeros(pairs.units))
        all_of = np.bincount(pairs.unit, weights=pairs.weights * pairs.n * pairs.m)
        return of_runs(found / all_of, levels).high < 0
    logs = [_sample(one, one.kind).values for one in (a, b)]
    middles = _middles(logs[0], a.kind, logs[1], b.kind, len(method.control), "median")
    logs = [
        np.where(np.isfinite(one.ms), x - middles[one.kind], NEVER)
        for x, one in zip(logs, (a, b), strict=True)
    ]
    each = [_typical_of_runs(x, one, method) for x, one in zip(logs, (a, b), strict=True)]
    more = _more_of_medians(logs, a, b, method)
    return welch(each[0], each[1], levels, more).high < 0


# Differences of shares: of late orders, and of placed ones.


def difference_of_shares(
    a: Group, is_a: Flags, b: Group, is_b: Flags, method: Method, levels: tuple[float, float]
) -> Ends:
    """Return by how much more of B than of A something is true, like for like.

    With orders as the unit it is MOVER over Wilson's limits with the weights of A; of one stratum,
    Newcombe's interval (Statistics in Medicine 17, 1998, method 10). With runs as the unit it is
    no narrower.
    """
    if not len(a.ms) or not len(b.ms):
        return UNKNOWN
    if method.levels.looks:  # what troubles a block troubles both of its sides
        return _mover(a.kind, is_a, b.kind, is_b, levels)
    if not method.by_runs:
        return _mover(method.cells(a), is_a, method.cells(b), is_b, levels)
    size = len(method.control)
    values = [x.astype(np.float64) for x in (is_a, is_b)]
    if method.design == "interleaved":
        found = of_runs(_differences_by_run(a, is_a, b, is_b, method), levels)
        alone = _mover(a.kind, is_a, b.kind, is_b, levels)
        return _at_least_as_wide(found, alone)
    middles = _middles(values[0], a.kind, values[1], b.kind, size, "mean")
    left = [x - middles[one.kind] for x, one in zip(values, (a, b), strict=True)]
    more = _excess(a.kind, b.kind, method) * float(np.concatenate(left).var())
    if method.design == "control":
        each = [_against_control(x, one, method) for x, one in zip(left, (a, b), strict=True)]
        in_a, in_b = method.control[a.kind], method.control[b.kind]
        mine, other = (
            _mover(a.kind[m_a], is_a[m_a], b.kind[m_b], is_b[m_b], levels)
            for m_a, m_b in ((~in_a, ~in_b), (in_a, in_b))
        )
        return _at_least_as_wide(welch(each[0], each[1], levels, more), _less(mine, other))
    each = [by_run(x, one.run, "mean") for x, one in zip(left, (a, b), strict=True)]
    alone = _mover(a.kind, is_a, b.kind, is_b, levels)
    return _at_least_as_wide(welch(each[0], each[1], levels, more), alone)


def _against_control(values: Floats, group: Group, method: Method) -> Floats:
    runs, of = np.unique(group.run, return_inverse=True)
    means = []
    for mask in (~method.control[group.kind], method.control[group.kind]):
        sums = np.bincount(of[mask], weights=values[mask], minlength=len(runs))
        sizes = np.bincount(of[mask], minlength=len(runs))
        means.append(np.divide(sums, sizes, out=np.full(len(runs), np.nan), where=sizes > 0))
    return np.asarray(means[0] - means[1])


def _cells(of_a: Codes, is_a: Flags, of_b: Codes, is_b: Flags) -> tuple[Codes, list[Floats]]:
    """Return the strata that both sides have; of each the counts k_a, n_a, k_b, n_b."""
    shared = shared_codes(of_a, of_b)
    size = len(shared.codes)
    found: list[Floats] = []
    for of, mask in ((shared.of_a, is_a), (shared.of_b, is_b)):
        here = of >= 0
        found += [
            np.bincount(of[here & mask], minlength=size).astype(np.float64),
            np.bincount(of[here], minlength=size).astype(np.float64),
        ]
    return shared.codes, found


def _mover(of_a: Codes, is_a: Flags, of_b: Codes, is_b: Flags, levels: tuple[float, float]) -> Ends:
    strata, (k_a, n_a, k_b, n_b) = _cells(of_a, is_a, of_b, is_b)
    if not len(strata):
        return UNKNOWN
    weights = n_a / n_a.sum()
    p_a, p_b = k_a / n_a, k_b / n_b
    estimate = float(weights @ (p_b - p_a))
    ends = []
    for level in levels:
        (low_a, high_a), (low_b, high_b) = wilson(k_a, n_a, level), wilson(k_b, n_b, level)
        below = weights**2 @ ((p_b - low_b) ** 2 + (high_a - p_a) ** 2)
        above = weights**2 @ ((high_b - p_b) ** 2 + (p_a - low_a) ** 2)
        ends += [estimate - math.sqrt(below), estimate + math.sqrt(above)]
    variance = weights**2 @ (p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b)
    return Ends(estimate, ends[0], ends[1], ends[2], ends[3], math.sqrt(variance))


def _differences_by_run(a: Group, is_a: Flags, b: Group, is_b: Flags, method: Method) -> Floats:
    strata, (k_a, n_a, k_b, n_b) = _cells(method.cells(a), is_a, method.cells(b), is_b)
    if not len(strata):
        return np.empty(0)
    of = np.unique(strata // (len(method.control) + 1), return_inverse=True)[1]
    sums = np.bincount(of, weights=n_a * (k_b / n_b - k_a / n_a))
    return np.asarray(sums / np.bincount(of, weights=n_a))


def _at_least_as_wide(found: Ends, alone: Ends) -> Ends:
    """Return the ends of runs, but none nearer than if all orders were independent."""
    if math.isnan(found.estimate) or math.isnan(alone.estimate):
        return UNKNOWN
    away = [own - alone.estimate for own in alone[1:5]]
    lows = [min(found[at], found.estimate + away[at - 1]) for at in (1, 3)]
    highs = [max(found[at], found.estimate + away[at - 1]) for at in (2, 4)]
    error = max(found.error, alone.error)
    return Ends(found.estimate, lows[0], highs[0], lows[1], highs[1], error)


def _less(one: Ends, other: Ends) -> Ends:
    """Return the difference of two independent differences, by MOVER."""
    if math.isnan(one.estimate) or math.isnan(other.estimate):
        return UNKNOWN
    ends = []
    for low, high in ((1, 2), (3, 4)):
        below = math.hypot(one.estimate - one[low], other[high] - other.estimate)
        above = math.hypot(one[high] - one.estimate, other.estimate - other[low])
        ends += [one.estimate - other.estimate - below, one.estimate - other.estimate + above]
    error = math.hypot(one.error, other.error)
    return Ends(one.estimate - other.estimate, ends[0], ends[1], ends[2], ends[3], error)


# Late, and very late.


class Limits(NamedTuple):
    """From when an order is late, by its kind; and what is told of all kinds together."""

    late_ms: Floats
    very_late_ms: Floats
    all_late_ms: float
    all_very_late_ms: float


def limits(a: Group, kinds: int) -> Limits:
    """Return when orders are late and very late: by A's p95, and by twice its median.

    A kind of which A has a hundred orders has limits of its own. Where over a twentieth failed, the
    p95 is that of the orders that came: nothing is later than never.
    """
    late, very = np.empty(kinds), np.empty(kinds)
    late[:], very[:] = whole = _limits(a.ms)
    sizes = np.bincount(a.kind, minlength=kinds)
    for kind in np.flatnonzero(sizes >= ENOUGH_OF_A_KIND).tolist():
        late[kind], very[kind] = _limits(a.ms[a.kind == kind])
    return Limits(late, very, *whole)


def _limits(ms: Floats) -> tuple[float, float]:
    came = ms[np.isfinite(ms)]
    if not len(came):
        return math.inf, math.inf
    late = _p95(ms)
    if not math.isfinite(late):
        late = _p95(came)
    return late, VERY_LATE * estimate(came, 0.5)


def _p95(ms: Floats) -> float:
    """Return the smallest value that 95 % do not exceed."""
    at = -(-19 * len(ms) // 20) - 1
    return float(np.partition(ms, at)[at])


class Late(NamedTuple):
    """Shares of late orders: B minus A; very late ones too, unless a limit was given."""

    late: Ends
    very_late: Ends
    is_late: tuple[Flags, Flags]
    is_very_late: tuple[Flags, Flags]
    limits: Limits


def tail(
    a: Group, b: Group, method: Method, level: float, slo_ms: float | None = None
) -> Late | None:
    """Return how many more orders of B are late; None if A has too few to say what late is.

    Parameters
    ----------
    a, b
        All attempted orders; one that was not placed never came.
    method
        How they are compared.
    level
        The level of the wide intervals of all limits together.
    slo_ms
        From when an order is late; by default A's own p95 and twice its median say it.
    """
    if method.design == "control":
        b = _without_what_befell_control(a, b, method)
    if slo_ms is not None:
        given = np.full(len(method.control), slo_ms)
        late = a.ms > slo_ms, b.ms > slo_ms
        levels = level, method.levels.narrow_tail
        ends = difference_of_shares(a, late[0], b, late[1], method, levels)
        never = np.zeros(len(a.ms), bool), np.zeros(len(b.ms), bool)
        return Late(ends, UNKNOWN, late, never, Limits(given, given * np.inf, slo_ms, math.inf))
    if len(a.ms) < NEEDED_FOR_TAIL or not np.isfinite(a.ms).any():
        return None
    found = limits(a, len(method.control))
    levels = 1 - (1 - level) / 2, method.levels.narrow_tail
    masks, ends_of = [], []
    for limit in (found.late_ms, found.very_late_ms):
        late = a.ms > limit[a.kind], b.ms > limit[b.kind]
        masks.append(late)
        ends_of.append(difference_of_shares(a, late[0], b, late[1], method, levels))
    return Late(ends_of[0], ends_of[1], masks[0], masks[1], found)


def _without_what_befell_control(a: Group, b: Group, method: Method) -> Group:
    """Return B with the factor taken out by which the control merchant takes longer than in A.

    A slower hour moves more orders over a limit the wider their times spread, and the more the
    limit was misjudged: shares of late orders of two merchants would differ by that alone.
    """
    controls = [one.came.of(method.control[one.came.kind]) for one in (a, b)]
    pairs = pairs_of(*(_sample(one, one.kind) for one in controls))
    if not pairs.units:
        return b
    return b._replace(ms=b.ms / math.exp(float(log_factors(pairs)[0])))
