"""Factor between the times of two samples, like held against like.

Orders are compared within strata (merchant and number of items, and run where there are shared
ones), and the strata's counts are put together (P. van Elteren, "On the combination of independent
two-sample tests of Wilcoxon", 1960). With one stratum the factor is that of Hodges and Lehmann, and
its interval has those factors which a rank test does not reject. It asks two variances: that of
equal samples, and that of E. Brunner and U. Munzel ("The Nonparametric Behrens-Fisher
Problem", Biometrical Journal 42, 2000), which does not take A and B to be equally spread.

The pairs are never written down: counting them takes two searches in sorted times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.messages import tells_names
from firmly_nb.latency.quantiles import in_order, log_times, quantiles_of_sorted, type_7
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Codes = NDArray[np.intp]

FINE = 1e-4  # to which part of an interval its ends are found
STEPS = 60  # halvings that take a logarithm's range to its last digit
LOOK_EVERY = 3  # halvings, after which the pairs that are left are counted
FEW = 1.0  # pairs for each time: so few are sorted sooner than more halvings are made
APART = 256.0  # logarithms of times are within 60 of one another: strata do not meet
NEVER = 30.0  # the logarithm of a time that is later than all others
MOST_TIMES = 30_000  # of a side; more are represented by so many of their quantiles
FEW_TIMES = 1_000  # that say at first about where a factor is
CLOSE = 1e-4  # how far off that is, as a logarithm
FEWEST_TIMES = 200  # of a stratum, which are never thinned
ROUNDING = 1e-13  # of a sum of weighted pairs
NEXT_TO_NONE = 2.0**-52  # the nearest end of an interval that does not hold 0


@tells_names
class Interval(NamedTuple):
    """A figure with its interval."""

    estimate: float
    low: float
    high: float


class Sample(NamedTuple):
    """Logarithms of times; of each its stratum, and the unit that a factor of its own is for."""

    values: Floats
    strata: Codes
    units: Codes


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of an order of A with one of B in the same stratum.

    Attributes
    ----------
    a, b
        Values of each side, sorted; those of a stratum lie apart from those of all others.
    of_a, of_b
        The stratum of each value, numbered from 0.
    begin_a, begin_b
        Where each stratum begins.
    last_a
        For each value of A how many are not above it.
    weight_a, weight_b
        How many orders a value of each stratum stands for.
    n, m
        Orders of each side in each stratum.
    unit
        The unit of each stratum, numbered from 0.
    """

    a: Floats
    b: Floats
    of_a: Codes
    of_b: Codes
    begin_a: Codes
    begin_b: Codes
    last_a: Codes
    weight_a: Floats
    weight_b: Floats
    n: Floats
    m: Floats
    unit: Codes

    @property
    def weights(self) -> Floats:
        """Van Elteren's weight of each stratum."""
        return 1 / (self.n + self.m + 1)

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.unit.max()) + 1 if len(self.unit) else 0


class Shared(NamedTuple):
    """Codes that two samples share; of each value the number of its code, -1 if not shared."""

    codes: Codes
    of_a: Codes
    of_b: Codes


def shared_codes(a: Codes, b: Codes) -> Shared:
    """Return the codes, none below 0, that are in both samples; they are numbered from 0.

    Examples
    --------
    >>> shared_codes(np.array([5, 2]), np.array([5, 7, 5])).of_b.tolist()
    [0, -1, 0]
    """
    top = 1 + max((int(one.max()) for one in (a, b) if len(one)), default=-1)
    present = np.zeros((2, top), dtype=bool)
    present[0, a] = present[1, b] = True
    codes = np.flatnonzero(present.all(axis=0))
    number = np.full(top, -1, dtype=np.intp)
    number[codes] = np.arange(len(codes))
    return Shared(codes, number[a], number[b])


class Strata(NamedTuple):
    """Two samples in order within each stratum that both have.

    Values stand stratum by stratum; ``codes``, ``n``, ``m`` and ``unit`` have one of each.
    """

    a: Floats
    b: Floats
    codes: Codes
    n: Codes
    m: Codes
    unit: Codes

    def of(self, mask: Flags) -> Strata:
        """Return some of the strata; nothing is sorted again."""
        if mask.all():
            return self
        return Strata(
            self.a[np.repeat(mask, self.n)],
            self.b[np.repeat(mask, self.m)],
            *(one[mask] for one in self[2:]),
        )

    def pairs(self, most: int = MOST_TIMES) -> Pairs:
        """Return them for counting; of more than so many times a side has so many quantiles."""
        (keys_a, of_a), (keys_b, of_b) = (
            _keys(values, sizes, most) for values, sizes in ((self.a, self.n), (self.b, self.m))
        )
        size_a, size_b = (np.bincount(of, minlength=len(self.n)) for of in (of_a, of_b))
        return Pairs(
            a=keys_a,
            b=keys_b,
            of_a=of_a,
            of_b=of_b,
            begin_a=np.cumsum(size_a) - size_a,
            begin_b=np.cumsum(size_b) - size_b,
            last_a=np.searchsorted(keys_a, keys_a, "right"),
            weight_a=self.n / size_a,
            weight_b=self.m / size_b,
            n=self.n.astype(np.float64),
            m=self.m.astype(np.float64),
            unit=np.unique(self.unit, return_inverse=True)[1].astype(np.intp),
        )


def strata_of(a: Sample, b: Sample) -> Strata:
    """Sort two samples, each stratum by itself; strata of one side only are left out."""
    shared = shared_codes(a.strata, b.strata)
    count = len(shared.codes)
    (values_a, n), (values_b, m) = (
        _sorted(one.values, of, count) for one, of in ((a, shared.of_a), (b, shared.of_b))
    )
    unit = np.zeros(count + 1, dtype=np.intp)  # the last place is for what is not shared
    unit[shared.of_a] = a.units
    return Strata(values_a, values_b, shared.codes, n, m, unit[:-1])


def pairs_of(a: Sample, b: Sample) -> Pairs:
    """Sort two samples for counting; strata of one side only are left out."""
    return strata_of(a, b).pairs()


def _sorted(values: Floats, of: Codes, count: int) -> tuple[Floats, Codes]:
    sizes = np.bincount(of + 1, minlength=count + 1)  # before the strata is what is in none
    if count and len(values) == sizes[-1]:  # one stratum alone
        found = np.sort(values)
    else:
        # Of narrow numbers it is counted, not compared.
        by = np.argsort(of.astype(np.min_scalar_type(-max(count, 1))), kind="stable")
        found = values[by[sizes[0] :]]
        for begin, end in pairwise(np.cumsum(sizes).tolist()):
            found[begin - sizes[0] : end - sizes[0]].sort()
    return np.minimum(found, NEVER), sizes[1:]


def _keys(values: Floats, sizes: Codes, most: int) -> tuple[Floats, Codes]:
    """Return values of strata so that each stratum lies apart, and their strata."""
    kept = _kept(sizes, most)
    of = np.repeat(np.arange(len(sizes)), sizes)[kept]
    return values[kept] + APART * of, of


def _kept(sizes: Codes, most: int) -> Codes | slice:
    """Return the places that are kept of sorted values: all, or evenly spaced ones of each stratum.

    So many quantiles say where the others lie to a small part of a sample's own error.
    """
    total = int(sizes.sum())
    if total <= most:
        return slice(None)
    few = np.minimum(sizes, np.maximum(sizes * most // total, FEWEST_TIMES))
    begins = np.cumsum(sizes) - sizes
    kept = [
        begin + ((np.arange(k) + 0.5) * (size / k)).astype(np.intp)
        for begin, size, k in zip(begins, sizes, few, strict=True)
    ]
    return np.concatenate(kept)


def balance(pairs: Pairs, factors: Floats) -> Floats:
    """Return by how much B's orders are the longer ones, if they are moved by a factor a unit.

    It is the weighted number of pairs in which B is longer, less half of all pairs; ties are half.
    """
    left, right = _places(pairs, pairs.b - factors[pairs.unit][pairs.of_b])
    return _balance(pairs, (left + right) / 2 - pairs.begin_a[pairs.of_b])


def _balance(pairs: Pairs, above: Floats) -> Floats:
    """Return the balance of each unit, given over how many values of A each value of B is."""
    scale = pairs.weight_a * pairs.weight_b
    counted = np.bincount(pairs.of_b, weights=above, minlength=len(pairs.n)) * scale
    found = pairs.weights * (counted - pairs.n * pairs.m / 2)
    return np.bincount(pairs.unit, weights=found, minlength=pairs.units).astype(np.float64)


class Balance(NamedTuple):
    """Balance of all units, with two variances: of equal samples, and that of the samples seen."""

    balance: float
    equal: float
    seen: float
    freedom: float  # degrees of freedom of the variance seen

    def beyond(self, level: float) -> float:
        """Return by how much it is too far from even at that level; not above 0 if it is not."""
        from scipy.special import ndtri, stdtrit

        upper = 0.5 + level / 2
        limit = float(ndtri(upper)) * math.sqrt(self.equal)
        if self.seen > 0:
            limit = max(limit, float(stdtrit(self.freedom, upper)) * math.sqrt(self.seen))
        return abs(self.balance) - limit


def balance_of_all(pairs: Pairs, factor: float) -> Balance:
    """Return the balance of all units together, B being moved by a factor."""
    left, right = _places(pairs, pairs.b - factor)
    above = (left + right) / 2 - pairs.begin_a[pairs.of_b]
    of_b = above * pairs.weight_a[pairs.of_b]
    size = len(pairs.a) + 1
    below = np.cumsum(np.bincount(left, minlength=size) + np.bincount(right, minlength=size))[:-1]
    of_a = (below / 2 - pairs.begin_b[pairs.of_a]) * pairs.weight_b[pairs.of_a]
    count, squared = len(pairs.n), pairs.weights**2
    part_b = squared * pairs.m * _variances(of_b, pairs.of_b, count)
    part_a = squared * pairs.n * _variances(of_a, pairs.of_a, count)
    seen = float((part_a + part_b).sum())
    # Satterthwaite's: each stratum and side has its own.
    parts = (part_b**2 / np.maximum(pairs.m - 1, 1) + part_a**2 / np.maximum(pairs.n - 1, 1)).sum()
    return Balance(
        balance=float(_balance(pairs, above).sum()),
        equal=float((pairs.n * pairs.m * pairs.weights).sum()) / 12,
        seen=seen,
        freedom=seen**2 / float(parts) if parts > 0 else math.inf,
    )


def _places(pairs: Pairs, moved: Floats) -> tuple[Codes, Codes]:
    """Return for each moved value of B how many values of A are below it, how many not above."""
    left = np.searchsorted(pairs.a, moved, "left")
    near = np.minimum(left, len(pairs.a) - 1)
    right = np.where(pairs.a[near] == moved, np.maximum(pairs.last_a[near], left), left)
    return left, right


def _variances(values: Floats, of: Codes, count: int) -> Floats:
    """Return the variance of the values of each stratum; of a single value it is 0."""
    sizes = np.bincount(of, minlength=count)
    means = np.bincount(of, weights=values, minlength=count) / sizes
    squares = np.bincount(of, weights=(values - means[of]) ** 2, minlength=count)
    return squares / np.maximum(sizes - 1, 1)


def log_factors(pairs: Pairs, near: Floats | None = None) -> Floats:
    """Return for each unit the logarithm of how many times as long B takes.

    Parameters
    ----------
    pairs
        The samples.
    near
        What fewer of their quantiles gave: it is looked for there first.

    Examples
    --------
    >>> one = np.zeros(2, dtype=np.intp)
    >>> a, b = (Sample(np.array(x), one, one) for x in ([1.0, 2.0], [4.0, 8.0]))
    >>> log_factors(pairs_of(a, b)).round(9).tolist()
    [4.5]
    """
    count = pairs.units
    if not count:
        return np.empty(0)
    nothing: Floats = ROUNDING * np.bincount(
        pairs.unit, weights=pairs.weights * pairs.n * pairs.m, minlength=count
    ).astype(np.float64)
    low, high = _around(pairs, near, nothing)
    steps = STEPS if len(pairs.a) + len(pairs.b) < MOST_TIMES else STEPS // 2
    # A range of factors leaves the pairs even; its ends are looked for apart where there is one.
    upto, beyond = high.copy(), low.copy()
    for step in range(steps):
        if step % LOOK_EVERY == 0 and _are_few(pairs, low, high):
            break
        middle = (low + high) / 2
        found = balance(pairs, middle)
        even = np.abs(found) <= nothing
        upto = np.where(even, np.minimum(upto, middle), upto)
        beyond = np.where(even, np.maximum(beyond, middle), beyond)
        low = np.where(found > nothing, middle, low)
        high = np.where(found < -nothing, middle, high)
        if even.any():
            break
    else:
        return np.asarray((low + high) / 2)
    left = _edge(pairs, low, np.minimum(upto, high), lambda x: x > nothing, steps)
    right = _edge(pairs, np.maximum(beyond, low), high, lambda x: x >= -nothing, steps)
    return np.asarray((left + right) / 2)


def _around(pairs: Pairs, near: Floats | None, nothing: Floats) -> tuple[Floats, Floats]:
    """Return two factors of each unit between which B becomes the shorter one."""
    reach = _reach(pairs)
    step = reach if near is None else CLOSE
    middle = np.zeros(pairs.units) if near is None else near
    low, high = middle - step, middle + step
    while near is not None and step < 2 * reach:
        is_above, is_below = balance(pairs, low) <= nothing, balance(pairs, high) >= -nothing
        if not (is_above | is_below).any():
            break
        step *= 8
        low = np.where(is_above, middle - step, low)
        high = np.where(is_below, middle + step, high)
    return low, high


def _edge(
    pairs: Pairs, low: Floats, high: Floats, is_below: Callable[[Floats], Flags], steps: int
) -> Floats:
    """Return for each unit where the balance stops being below, between two factors."""
    for step in range(steps):
        if step % LOOK_EVERY == 0 and _are_few(pairs, low, high):
            return _step_between(pairs, low, high, is_below)
        middle = (low + high) / 2
        below = is_below(balance(pairs, middle))
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _between(pairs: Pairs, low: Floats, high: Floats) -> tuple[Codes, Codes]:
    """Return for each value of B which values of A differ from it by a factor between two."""
    of_b = pairs.unit[pairs.of_b]
    first = np.searchsorted(pairs.a, pairs.b - high[of_b], "left")
    return first, np.searchsorted(pairs.a, pairs.b - low[of_b], "right")


def _are_few(pairs: Pairs, low: Floats, high: Floats) -> bool:
    """Return whether the pairs between two factors are soon written down."""
    first, last = _between(pairs, low, high)
    return int((last - first).sum()) <= FEW * (len(pairs.a) + len(pairs.b))


def _step_between(
    pairs: Pairs, low: Floats, high: Floats, is_below: Callable[[Floats], Flags]
) -> Floats:
    """Return for each unit the pair at whose difference the balance stops being below.

    The balance changes at differences of pairs only: the halvings are those of a list of them.
    """
    first, last = _between(pairs, low, high)
    sizes = last - first
    of_b = np.repeat(np.arange(len(pairs.b)), sizes)
    of_a = np.arange(len(of_b)) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
    jumps, unit = pairs.b[of_b] - pairs.a[of_a], pairs.unit[pairs.of_b[of_b]]
    jumps = jumps[np.lexsort((jumps, unit))]
    count = np.bincount(unit, minlength=len(low))
    begin = np.cumsum(count) - count
    # Of each unit: below after that many jumps, and not below any more after so many.
    after, before = np.zeros_like(count), count
    while (open_ := before - after > 1).any():
        tried = np.where(open_, (after + before) // 2, 0)
        at = np.where(open_, begin + tried, 1)
        factor = np.where(open_, (jumps[at - 1] + jumps[at]) / 2, low)
        below = is_below(balance(pairs, factor))
        after = np.where(open_ & below, tried, after)
        before = np.where(open_ & ~below, tried, before)
    found = (low + high) / 2
    some = count > 0
    found[some] = jumps[(begin + before - 1)[some]]
    return np.asarray(found)


def _reach(pairs: Pairs) -> float:
    """Return a logarithm that is beyond every difference within a stratum."""
    low_a, low_b = pairs.a[pairs.begin_a], pairs.b[pairs.begin_b]
    high_a = pairs.a[np.append(pairs.begin_a[1:], len(pairs.a)) - 1]
    high_b = pairs.b[np.append(pairs.begin_b[1:], len(pairs.b)) - 1]
    return float(max((high_b - low_a).max(), (high_a - low_b).max(), 0.0)) + 1.0


def log_interval(pairs: Pairs, middle: float, level: float) -> tuple[float, float]:
    """Return the logarithms of the factors that are not rejected; infinite if open.

    Whether 0, no difference, is among them is decided by the test at 0 itself. Where times are tied
    the pairs jump there, and an end close to 0 would not tell on which side of it 0 lies.
    """
    reach = _reach(pairs)
    low, high = (_end(pairs, middle, side, reach, level) for side in (-1, 1))
    at_none = balance_of_all(pairs, 0.0)
    if at_none.beyond(level) <= 0:
        return min(low, 0.0), max(high, 0.0)
    if at_none.balance > 0:
        low = max(low, NEXT_TO_NONE)
        return low, max(low, high)
    high = min(high, -NEXT_TO_NONE)
    return min(low, high), high


def _end(pairs: Pairs, middle: float, side: int, reach: float, level: float) -> float:
    """Return the last factor on one side that is not rejected, as seen from the middle.

    The balance falls with the factor: only that it is too far off to this side rejects one.
    """

    def rejected(factor: float) -> float:
        found = balance_of_all(pairs, factor)
        beyond = found.beyond(level)
        return beyond if side * found.balance < 0 else beyond - 2 * abs(found.balance)

    step = 0.02
    inside, outside = middle, middle + side * step
    below, above = rejected(inside), rejected(outside)
    if above <= 0 and rejected(side * reach) <= 0:
        return side * math.inf
    if below > 0:  # so many ties that the balance jumps from one side to the other
        return middle
    while above <= 0:
        step *= 3
        inside, below, outside = outside, above, middle + side * step
        above = rejected(outside)
    turn = 0
    while abs(outside - inside) > FINE * max(abs(outside - middle), 1e-9):
        # On a line between both ends, and a little beyond towards the end that is farther off, so
        # that both come close; now and then half-way, as it goes in steps.
        turn += 1
        part = below / (below - above)
        little = FINE / 4 * abs(outside - middle) / abs(outside - inside)
        part += little if part < 0.5 else -little
        part = 0.5 if turn % 4 == 0 else min(max(part, 0.002), 0.998)
        tried = inside + part * (outside - inside)
        found = rejected(tried)
        if found > 0:
            outside, above = tried, found
        else:
            inside, below = tried, found
    return _last_step(pairs, inside, outside)


def _last_step(pairs: Pairs, inside: float, outside: float) -> float:
    """Return the outermost difference of a pair between two factors: the balance jumps there."""
    outwards = outside > inside
    places = np.searchsorted(pairs.a, pairs.b - outside, "left" if outwards else "right")
    places = places if outwards else places - 1
    known = (places >= 0) & (places < len(pairs.a))
    steps = pairs.b[known] - pairs.a[places[known]]
    steps = steps[(min(inside, outside) <= steps) & (steps <= max(inside, outside))]
    if not len(steps):
        return inside
    return float(steps.max() if outwards else steps.min())


def ends_of(strata: Strata, levels: Sequence[float]) -> tuple[float, list[tuple[float, float]]]:
    """Return the logarithm of how many times as long B takes, and its interval at each level.

    Of very many times few quantiles say where to look for the first.

    Examples
    --------
    >>> one = np.zeros(9, dtype=np.intp)
    >>> a, b = (Sample(np.linspace(0, 1, 9) + more, one, one) for more in (0, 2))
    >>> middle, [(low, high)] = ends_of(strata_of(a, b), [0.9])
    >>> round(middle, 6), low < 2 < high
    (2.0, True)
    """
    pairs, near = strata.pairs(), None
    if len(pairs.a) + len(pairs.b) < len(strata.a) + len(strata.b):
        near = log_factors(strata.pairs(FEW_TIMES))
    middle = float(log_factors(pairs, near)[0])
    found = {level: log_interval(pairs, middle, level) for level in set(levels)}
    return middle, [found[level] for level in levels]


def is_shorter(pairs: Pairs, level: float) -> bool:
    """Return whether B takes less time than A at that level, whatever the factor is."""
    found = balance_of_all(pairs, 0.0) if pairs.units else None
    return found is not None and found.balance < 0 and found.beyond(level) > 0


def ratio(
    a: ArrayLike,
    b: ArrayLike,
    level: float = 0.95,
    strata: tuple[ArrayLike, ArrayLike] | None = None,
) -> Interval:
    """Return how many times as long B takes, with its interval.

    Parameters
    ----------
    a, b
        Times in ms, without nulls.
    level
        The interval's level.
    strata
        The stratum of each time of A and of B, as whole numbers: times are compared within them.

    Examples
    --------
    >>> a = np.linspace(100, 200, 50)
    >>> found = ratio(a, 1.3 * a)
    >>> round(found.estimate, 6), found.low < 1.3 < found.high
    (1.3, True)
    """
    sides = []
    for side, values in enumerate((a, b)):
        logs = log_times(np.asarray(values, dtype=np.float64))
        one = np.zeros(len(logs), dtype=np.intp)
        of = one if strata is None else np.asarray(strata[side], dtype=np.intp)
        sides.append(Sample(logs, of, one))
    pairs = pairs_of(*sides)
    if not pairs.units:
        return Interval(math.nan, 0.0, math.inf)
    middle = float(log_factors(pairs)[0])
    low, high = log_interval(pairs, middle, level)
    return Interval(math.exp(min(max(middle, low), high)), math.exp(low), math.exp(high))


# The shift function: by how many milliseconds each quantile of B lies above that of A. It is drawn,
# and decides nothing.
#
# The band is simultaneous: it holds all shifts at once. Each side's quantile has its exact
# order-statistics interval, at a level raised so that all of them hold together; the two are put
# together as Newcombe does it with shares (G. Y. Zou and A. Donner, "Construction of confidence
# limits about effect measures", Statistics in Medicine 27, 2008).


SEED = 7
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
        Column("low_ms", "float64", "ms", "confidence band, lower end; -inf: open"),
        Column("high_ms", "float64", "ms", "confidence band, upper end; inf: open"),
    ),
)


def shift_function(
    a: ArrayLike,
    b: ArrayLike,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return by how much each quantile of B lies above that of A, with a band for all of them.

    Parameters
    ----------
    a, b
        Times in ms; nulls are left out.
    level
        How often the band holds all shifts at once.

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
