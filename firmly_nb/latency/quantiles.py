"""Quantiles of times with exact intervals, or the plain statement that there is none.

The estimate is type 7 of Hyndman and Fan, as numpy and R have it. The
interval runs from one of the measured times to another and holds whatever the distribution is:
how many of n orders are faster than the true quantile is a binomial number (W. J. Conover,
"Practical Nonparametric Statistics", 1999, section 3.2; ``scipy.stats.quantile_test``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from firmly_nb.display.messages import not_a_share, tells_names
from firmly_nb.display.text import count, interval, number
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ordered: TypeAlias = "Floats | Places"
    Rows = NDArray[np.signedinteger[Any]]

ECDF = Table(
    "ecdf",
    "one row a distinct value",
    (
        Column("value", "float64", "as given", "a measured value"),
        Column("share", "float64", "", "share of the values that are not larger"),
        Column("low", "float64", "", "confidence band (Dvoretzky-Kiefer-Wolfowitz), lower end"),
        Column("high", "float64", "", "the same, upper end"),
    ),
)


@tells_names
@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of ``n`` values with its interval.

    Attributes
    ----------
    p
        Which one: 0.95 for p95.
    n
        Values that there are.
    estimate
        Type 7; not a number where the quantile is not estimable.
    low, high
        The interval; infinite where an end is open.
    needed
        Values from which both ends exist, if they are independent.
    why
        Why it is not estimable, where it is not the number of values alone.
    worth
        How many independent values tell as much; not a number where all are independent.
    """

    p: float
    n: int
    estimate: float
    low: float
    high: float
    needed: int
    why: str = ""
    worth: float = math.nan

    @property
    def estimable(self) -> bool:
        """True if the interval has both ends."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def name(self) -> str:
        """Name, such as p95.

        Examples
        --------
        >>> Quantile(0.999, 0, math.nan, -math.inf, math.inf, 3688).name
        'p99.9'
        """
        return quantile_name(self.p)

    def __str__(self) -> str:
        range_ = interval(self.low, self.high, "")
        if self.estimable:
            return f"{number(self.estimate)} ({range_})"
        needs = f"{self.name} needs {count(self.needed)} values, there are {count(self.n)}"
        needs = self.why or needs
        known = math.isfinite(self.low) or math.isfinite(self.high)
        return f"{range_} (not estimable: {needs})" if known else f"not estimable: {needs}"


FEW = 10_000  # values that are put in order sooner than looked through
SAMPLE = 16_384  # values that say where those of some places lie
MARGIN = 256  # places in the sample: four standard deviations at the median
AT_ONCE = 16_384  # values, so that they stay where the processor is quick


def quantile_name(p: float) -> str:
    """Return the name of a quantile.

    Examples
    --------
    >>> quantile_name(0.5), quantile_name(0.999)
    ('p50', 'p99.9')
    """
    return f"p{p * 100:.10g}"


def quantile(values: ArrayLike, p: float, level: float = 0.95) -> Quantile:
    """Return a quantile with its exact order-statistics interval.

    Parameters
    ----------
    values
        Measured values; nulls are left out.
    p
        Which quantile, between 0 and 1.
    level
        How often, at least, such intervals hold the true quantile.

    Examples
    --------
    >>> print(quantile(range(1, 101), 0.5))
    50.5 (40.0 to 61.0)
    >>> print(quantile(range(1, 101), 0.99))
    97.0 or more (not estimable: p99 needs 368 values, there are 100)
    """
    return quantiles(values, (p,), level)[0]


def quantiles(values: ArrayLike, ps: Iterable[float], level: float = 0.95) -> list[Quantile]:
    """Return several quantiles."""
    wanted = tuple(ps)
    return quantiles_of_sorted(in_places(values, wanted, level), wanted, level)


def estimate(values: ArrayLike, p: float) -> float:
    """Return a quantile alone (type 7); nulls are left out.

    Examples
    --------
    >>> estimate([3.0, 1.0, float("nan"), 2.0], 0.5)
    2.0
    """
    x, largest = _known(values)
    if len(x) < FEW:
        return type_7(np.sort(x), p)
    low, part = divmod((len(x) - 1) * p, 1)
    places = sorted({int(low), min(int(low) + 1, len(x) - 1)})
    return type_7(_at_places(x, places, largest), part)


def in_order(values: ArrayLike) -> Floats:
    """Return the values sorted, without nulls."""
    return np.sort(_known(values)[0])


class Places:
    """Some of very many values, by the places that they have in order.

    Parameters
    ----------
    count, places, values
        How many there are of all, and the places and the values of some.
    """

    def __init__(self, count: int, places: Iterable[int], values: Floats) -> None:
        self._count = count
        self._values = dict(zip(places, values.tolist(), strict=True))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Any:
        return self._values[place % self._count]


class Largest:
    """The largest of very many values: a high quantile is not worth holding all of them.

    Parameters
    ----------
    count
        How many values there are of all.
    values, rows
        The largest, and the place of each among all, in any order.
    whole
        What finds all, for a quantile that these do not tell.
    floor
        No other value is larger than this.
    """

    def __init__(
        self,
        count: int,
        values: Floats,
        rows: Rows,
        whole: Callable[[], Floats],
        floor: float = math.inf,
    ) -> None:
        self.whole = whole
        self._count, self._values, self._rows, self._floor = count, values, rows, floor

    @classmethod
    def joined(cls, parts: Sequence[Largest], in_order: Any) -> Largest:
        """Return those of several as those of all, which are put in another order.

        Examples
        --------
        >>> parts = [Largest(2, np.array([3.0, 4.0]), np.array([0, 1]), lambda: None, -math.inf),
        ...          Largest(3, np.array([9.0]), np.array([2]), lambda: None, 3.5)]
        >>> both = Largest.joined(parts, np.array([4, 3, 2, 1, 0]))
        >>> both.kept(np.array([True, False, False, True, True])).estimate(0.9)
        8.0
        """
        floor = max(part._floor for part in parts)  # noqa: SLF001 - of its own kind
        begins = np.cumsum([0, *(part._count for part in parts)])  # noqa: SLF001 - the same
        each = [(part._values, part._rows) for part in parts]  # noqa: SLF001 - the same
        values = np.concatenate([some for some, _ in each])
        rows = np.concatenate([own + begin for (_, own), begin in zip(each, begins, strict=False)])
        place = np.empty(begins[-1], dtype=np.int32)
        place[in_order] = np.arange(begins[-1], dtype=np.int32)
        enough = values >= floor

        def whole() -> Floats:
            found: Floats = np.concatenate([part.whole() for part in parts])[in_order]
            return found

        return cls(int(begins[-1]), values[enough], place[rows[enough]], whole, floor)

    def kept(self, mask: NDArray[np.bool_]) -> Largest:
        """Return those of some of the values, by a mask."""
        values, count = self._values[mask[self._rows]], int(np.count_nonzero(mask))
        return Largest(count, values, self._rows[:0], lambda: self.whole()[mask])

    def some(self, rows: Rows) -> Largest:
        """Return some of the values by their places; the largest are found when asked for."""
        return Largest(self._count, self._values[:0], self._rows[:0], lambda: self.whole()[rows])

    def estimate(self, p: float) -> float:
        """Return a quantile alone (type 7).

        Examples
        --------
        >>> Largest(5, np.array([9.0, 7.0]), np.array([0, 3]), lambda: np.arange(5.0)).estimate(0.9)
        8.2
        """
        held = len(self._values)
        if int((self._count - 1) * p) < self._count - held:
            return estimate(self.whole(), p)
        places = range(self._count - held, self._count)
        return type_7(Places(self._count, places, np.sort(self._values)), p)


def in_places(values: ArrayLike, ps: Iterable[float], level: float = 0.95) -> Ordered:
    """Return the values without nulls in order, at least those that some quantiles ask for.

    The longest is there. To put very many in order would take ten times as long.

    Examples
    --------
    >>> in_places([3.0, 1.0, float("nan"), 2.0], [0.5]).tolist()
    [1.0, 2.0, 3.0]
    """
    x, longest = _known(values)
    n = len(x)
    if n < FEW:
        return np.sort(x)
    ranks = set()
    for p in ps:
        below = int((n - 1) * p)
        ranks |= {below + 1, below + 2, *interval_ranks(n, p, level)}
    wanted = sorted(rank - 1 for rank in ranks if 1 <= rank <= n)
    return Places(n, [*wanted, n - 1], np.append(_at_places(x, wanted, longest), longest))


def _at_places(x: Floats, wanted: Sequence[int], largest: float) -> Floats:
    """Return the values that would stand at some places if very many were in order.

    A sample says between which values those of neighbouring places lie, and only these are put in
    order. Whether the sample is right is counted.

    Examples
    --------
    >>> _at_places(np.arange(10_000.0)[::-1], [0, 5_000, 9_999], 9_999.0).tolist()
    [0.0, 5000.0, 9999.0]
    """
    n = len(x)
    drawn = np.sort(x[:: n // SAMPLE | 1])
    if not len(wanted):
        return drawn[:0]
    # Around each place as many of the sample as make a miss rare; bands that meet are one.
    at = np.array(wanted) * len(drawn) // n
    bands = np.split(wanted, np.flatnonzero(np.diff(at) > 2 * MARGIN) + 1)
    edges = np.concatenate([np.full(MARGIN, -np.inf), drawn, np.full(MARGIN + 1, largest)])
    limits = [
        (edges[band[0] * len(drawn) // n], edges[band[-1] * len(drawn) // n + 2 * MARGIN + 1])
        for band in bands
    ]
    below, within = [0] * len(bands), [0] * len(bands)
    between: list[list[Floats]] = [[] for _ in bands]
    for begin in range(0, n, AT_ONCE):  # read once for all bands: of millions that is what takes
        some = x[begin : begin + AT_ONCE]
        for band_at, (low, high) in enumerate(limits):
            enough = some >= low
            below[band_at] += len(some) - int(np.count_nonzero(enough))
            enough &= some <= high
            within[band_at] += int(np.count_nonzero(enough))
            if low < high:  # of values that are all the same only their number matters
                between[band_at].append(some[np.flatnonzero(enough)])
    found = []
    for band_at, (low, high) in enumerate(limits):
        places = bands[band_at] - below[band_at]
        if places[0] < 0 or places[-1] >= within[band_at]:
            return np.asarray(np.partition(x, wanted)[wanted], dtype=np.float64)
        values = np.full(len(places), low)
        if low < high:
            every = np.concatenate(between[band_at])
            every.partition(places)
            values = every[places]
        found.append(values)
    return np.concatenate(found)


SHORTEST_MS = 0.001  # the stamps' resolution: a shorter time counts as this in a ratio


def log_times(times_ms: Floats) -> Floats:
    """Return the logarithms of times."""
    return np.asarray(np.log(np.maximum(times_ms, SHORTEST_MS)), dtype=np.float64)


def _known(values: ArrayLike) -> tuple[Floats, float]:
    """Return the values without nulls, and the largest, which is not a number if there is none."""
    found = np.asarray(values, dtype=np.float64).ravel()
    # Where one is missing there is no largest: of millions none is marked.
    largest = float(found.max()) if len(found) else math.nan
    if math.isnan(largest):
        found = found[~np.isnan(found)]
        largest = float(found.max()) if len(found) else math.nan
    return found, largest


def quantiles_of_sorted(x: Ordered, ps: Iterable[float], level: float = 0.95) -> list[Quantile]:
    """Return quantiles of values that are in order, or in the places that these ask for."""
    found = []
    for p in ps:
        needed = values_needed(p, level)
        lower, upper = interval_ranks(len(x), p, level)
        low = float(x[lower - 1]) if lower >= 1 else -math.inf
        high = float(x[upper - 1]) if upper <= len(x) else math.inf
        both = math.isfinite(low) and math.isfinite(high)
        estimate = type_7(x, p) if both else math.nan
        found.append(Quantile(p, len(x), estimate, low, high, needed))
    return found


def type_7(x: Ordered, p: float) -> float:
    """Return the quantile of sorted values, with linear interpolation (type 7)."""
    if not len(x):
        return math.nan
    whole, part = divmod((len(x) - 1) * p, 1)
    low = float(x[int(whole)])
    return low if part == 0 else low + part * (float(x[int(whole) + 1]) - low)


def interval_ranks(n: int, p: float, level: float = 0.95) -> tuple[int, int]:
    """Return which of n sorted values, counted from 1, bound the quantile.

    A lower rank of 0 or an upper one of n + 1 says that the interval is open on that side.

    Examples
    --------
    >>> interval_ranks(100, 0.5), interval_ranks(30, 0.9)
    ((40, 61), (23, 31))
    """
    if not n:
        return 0, 1
    tail = (1 - level) / 2
    return _binomial_quantile(tail, n, p), n - _binomial_quantile(tail, n, 1 - p) + 1


def values_needed(p: float, level: float = 0.95) -> int:
    """Return from how many values the interval of a quantile has both ends.

    Examples
    --------
    >>> [values_needed(p) for p in (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)]
    [6, 13, 36, 72, 368, 3688]
    """
    if not 0 < p < 1:
        raise not_a_share("p", p, 0.95)
    tail, extreme = (1 - level) / 2, max(p, 1 - p)
    # One more where the tail is met exactly, as ``interval_ranks`` has it.
    return math.floor(math.log(tail) / math.log(extreme) + 1e-12) + 1


def ecdf(values: ArrayLike, level: float = 0.95, *, of: int | None = None) -> pd.DataFrame:
    """Return the share of values up to each value, with a band for the whole curve.

    The band is simultaneous: it holds the whole true curve at the given level
    (Dvoretzky-Kiefer-Wolfowitz with Massart's constant). ``of`` counts those that have no value,
    as orders that never came.

    Examples
    --------
    >>> ecdf([1.0, 2.0, 2.0, 4.0])[["value", "share"]].to_dict("list")
    {'value': [1.0, 2.0, 4.0], 'share': [0.25, 0.75, 1.0]}
    """
    x = in_order(values)
    last = np.flatnonzero(np.concatenate([x[1:] != x[:-1], np.ones(min(len(x), 1), bool)]))
    n = max(len(x) if of is None else of, 1)
    share = (last + 1) / n
    half = math.sqrt(math.log(2 / (1 - level)) / (2 * n))
    return ECDF.from_columns(
        {
            "value": x[last],
            "share": share,
            "low": np.maximum(share - half, 0.0),
            "high": np.minimum(share + half, 1.0),
        }
    )


def _binomial_quantile(q: float, n: int, p: float) -> int:
    """Return the smallest k with P(X <= k) >= q, X binomial."""
    from scipy.special import bdtr, bdtrik

    k = bdtrik(q, n, p)
    guess = max(math.ceil(float(k)), 0) if math.isfinite(k) else 0
    # The continuous inverse can be off by rounding, at most by one.
    if guess and bdtr(guess - 1, n, p) >= q:
        guess -= 1
    return guess if bdtr(guess, n, p) >= q else guess + 1
