"""Orders that are not independent: what counts as one observation, and intervals that know it.

Neighbouring orders are alike where a merchant has good and bad minutes, and orders of one run are
alike where it has good and bad days. Then many orders tell as little as few independent ones. With
five runs or more the run is the unit, always; no test decides. In one run consecutive orders are
put into batches if a test finds neighbours alike. Two to four runs that differ allow no interval.
The tests look at times within their kind of order (merchant, number of items and the machine that
sent it), so that a mix that changes does not look like dependence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from firmly_nb.display.text import count, stated_percent
from firmly_nb.latency.columns import coded, starts
from firmly_nb.latency.quantiles import (
    Quantile,
    in_order,
    in_places,
    log_times,
    quantiles_of_sorted,
    type_7,
    values_needed,
)
from firmly_nb.latency.runs import ENOUGH_RUNS, runs_of
from firmly_nb.neighbours import LAG_ALARM, neighbours_alike, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from firmly_nb.latency.quantiles import Ordered

    Floats = NDArray[np.float64]
    Codes = NDArray[np.signedinteger[Any]]
    Rows = NDArray[np.bool_ | np.signedinteger[Any]]

MOST_TESTED = 20_000  # orders, in stretches of neighbours; more would only take time
STRETCHES = 10
ALIKE = 0.10  # p value above which two to four runs count as alike
BATCHES, FEW_BATCHES = 10, 8
BATCHES_FROM, MANY = 40, 80  # orders; from the second number on the larger number of batches
EXACT_FROM = 100  # orders of a run: with fewer the test misses too much to call an interval exact
MOST_ITEMS = 1000  # of an order, less the least: from there on only those that occur are numbered
SMALL = 5  # a kind of order with fewer has no median to speak of
PERMUTATIONS = 999
FEWER_PERMUTATIONS, MANY_RUNS = 199, 1000
SEED = 7
TOO_FEW = 0.1  # degrees of freedom: Student's factor is as good as infinite


@dataclass(frozen=True, slots=True)
class Units:
    """Run, kind and time of start of each of some orders.

    Attributes
    ----------
    runs
        Number of each order's run; None: all are of one run.
    kinds
        Number of each order's kind (merchant, items, machine); None: all are alike.
    place
        Place of each in the order of start; None: they are in that order.
    """

    runs: Codes | None = None
    kinds: Codes | None = None
    place: Codes | None = None

    def of(self, rows: Rows) -> Units:
        """Return where some of the orders stand: a mask, or their positions."""
        return Units(
            None if self.runs is None else self.runs[rows],
            None if self.kinds is None else self.kinds[rows],
            None if self.place is None else self.place[rows],
        )


def units_of(orders: pd.DataFrame, *, kinds: bool = True) -> Units:
    """Return where orders stand.

    Parameters
    ----------
    orders
        Of ``run_id``, ``domain``, ``n_items``, ``host`` and ``started_at`` what there is.
    kinds
        Whether their kinds are wanted; only times depend on them.

    Examples
    --------
    >>> import pandas as pd
    >>> units_of(pd.DataFrame({"run_id": ["a", "b", "a"], "domain": "m.test"})).runs.tolist()
    [0, 1, 0]
    """
    runs = runs_of(orders)
    place = None
    if "started_at" in orders:
        started = starts(orders)
        if not bool((started[1:] >= started[:-1]).all()):
            place = np.empty(len(started), dtype=np.intp)
            place[np.argsort(started, kind="stable")] = np.arange(len(started))
    return Units(None if runs is None else runs.codes, _kinds(orders) if kinds else None, place)


def _kinds(orders: pd.DataFrame) -> Codes | None:
    """Return each order's merchant, items and machine as a number; small kinds put together."""
    if "domain" not in orders or not len(orders):
        return None
    merchants = coded(orders["domain"])[0]
    merchants += 1  # in place: of millions each copy counts
    if "host" in orders and orders["host"].notna().any():
        # From another place the same merchant takes another time.
        hosts = coded(orders["host"])[0] + 1
        merchants = merchants * np.intp(int(hosts.max()) + 1) + hosts
    if "n_items" not in orders:
        return _without_small(merchants, lambda: 0)
    # Rare numbers of items are one kind of their merchant, rare merchants one kind together.
    items = _items(orders["n_items"])
    most = (int(merchants.max()) + 1) * (int(items.max()) + 1)
    if most > np.iinfo(merchants.dtype).max:
        merchants = merchants.astype(np.intp)
    merchants *= int(items.max()) + 1
    merchants += items
    found = _without_small(_without_small(merchants, lambda: merchants - items), lambda: 0)
    return None if (found == found[0]).all() else found.astype(np.int32)


def _items(column: pd.Series[Any]) -> Codes:
    """Return a number above 0 for each number of items."""
    values = column.to_numpy()
    if values.dtype.kind == "i" and values.max() - values.min() < MOST_ITEMS:
        found: Codes = np.empty(len(values), dtype=np.int16)
        np.subtract(values, values.min() - 1, out=found, casting="unsafe")
        return found
    return coded(column)[0] + 2


def _without_small(kinds: Codes, larger: Callable[[], Codes | int]) -> Codes:
    """Return the kinds, of small ones the larger kind that they belong to."""
    sizes = np.bincount(kinds)
    if sizes[sizes > 0].min() >= SMALL:
        return kinds
    return np.where(sizes[kinds] < SMALL, larger(), kinds)


Unit = Literal["orders", "batches", "runs", "none"]


@dataclass(frozen=True, slots=True)
class Dependence:
    """Unit that counts as one independent observation among some orders.

    Attributes
    ----------
    unit
        ``orders``, ``batches`` of consecutive orders, ``runs``, or ``none``: no interval.
    n
        Orders.
    runs
        Runs that they are of; orders without a run are one.
    units
        Batches or runs that intervals rest on; else the orders.
    why
        Why there is no interval.
    correlation
        Lag-1 correlation of ranks, where it was found too high; else 0.
    codes
        Number of each order's unit, from 0; None where the unit is not a group.
    """

    unit: Unit
    n: int
    runs: int
    units: int
    why: str = ""
    correlation: float = 0.0
    codes: Codes | None = None

    @property
    def exact(self) -> bool:
        """True for one run of 100 orders or more whose neighbours were not found alike."""
        return self.unit == "orders" and self.runs <= 1 and self.n >= EXACT_FROM

    @property
    def scope(self) -> str:
        """Runs that intervals speak of, in words."""
        if self.runs >= ENOUGH_RUNS:
            return "for runs like these"
        return "for this run only" if self.runs <= 1 else f"for these {self.runs} runs only"

    @property
    def way(self) -> str:
        """Way in which intervals were made, in words.

        Examples
        --------
        >>> Dependence("orders", 100, 1, 100).way, Dependence("orders", 99, 1, 99).way
        ('exact, for this run only', 'for independent orders, for this run only')
        """
        if self.unit == "none":
            return f"not estimable: {self.why}"
        if self.unit == "orders":
            return f"{'exact' if self.exact else 'for independent orders'}, {self.scope}"
        kind = "batches of consecutive orders" if self.unit == "batches" else "runs"
        return f"from {self.units} {kind}, {self.scope}"

    @property
    def missing_kind(self) -> float:
        """Share up to which a kind of run may be missing from these, at 95 %.

        Examples
        --------
        >>> [round(Dependence("runs", 300, runs, runs).missing_kind, 2) for runs in (5, 20)]
        [0.45, 0.14]
        """
        return float(1 - 0.05 ** (1 / self.runs)) if self.runs else 1.0


def basis_words(bases: Mapping[str, Dependence], level: float, worth: str = "") -> str:
    """Return in words how the intervals of some rows were made, and which runs they speak of.

    Parameters
    ----------
    bases
        What each row rests on, by the row's name.
    level
        The intervals' level.
    worth
        A sentence to put behind the first.

    Examples
    --------
    >>> basis_words({"order": Dependence("runs", 300, 10, 10)}, 0.95)  # doctest: +ELLIPSIS
    '95% intervals are from 10 runs, for runs like these. A kind of run as frequent as 26% may...'
    """
    rows: dict[str, list[str]] = {}
    for name, basis in bases.items():
        rows.setdefault(basis.way, []).append(name)
    if not rows:
        return ""
    # The way of most rows is said of all, those of others by name.
    main = max(rows, key=lambda way: len(rows[way]))
    said = [f"{stated_percent(level)} intervals are {main}.{worth}"]
    said += [f"{', '.join(names)}: {way}." for way, names in rows.items() if way != main]
    widest = max(bases.values(), key=lambda basis: basis.runs)
    if widest.runs >= ENOUGH_RUNS:
        said.append(
            f"A kind of run as frequent as {stated_percent(round(widest.missing_kind, 2))} may be "
            f"missing from {widest.runs} runs; no interval allows for it."
        )
    return " ".join(said)


def dependence_of_times(values: ArrayLike, units: Units) -> Dependence:
    """Return what counts as independent among times; there must be no nulls.

    Examples
    --------
    >>> from itertools import chain, repeat
    >>> times = [*chain.from_iterable(repeat(800.0 + 10 * (i % 7), 10) for i in range(12))]
    >>> dependence_of_times(times, Units()).way
    'from 10 batches of consecutive orders, for this run only'
    """
    x = np.asarray(values, dtype=np.float64)
    runs, present = _present(units.runs, len(x))
    if present >= ENOUGH_RUNS:
        return Dependence("runs", len(x), present, present, codes=runs)
    rows = _tested(units, len(x))
    some, runs = units.of(rows), runs[rows] if present > 1 else runs
    residuals = _residuals(x[rows], some.kinds)
    if present > 1 and kruskal_wallis(residuals, runs) <= ALIKE:
        return _none(len(x), present, "runs differ")
    return _by_neighbours(residuals, runs, len(x), present, units.place)


def dependence_of_shares(flags: ArrayLike, units: Units) -> Dependence:
    """Return what counts as independent among orders that did something or did not.

    Examples
    --------
    >>> dependence_of_shares([True, False] * 60, Units()).way
    'exact, for this run only'
    """
    x = np.asarray(flags)  # as numbers those of millions of orders would be large
    runs, present = _present(units.runs, len(x))
    if present >= ENOUGH_RUNS:
        return Dependence("runs", len(x), present, present, codes=runs)
    if len(x) and x.min() == x.max():
        return Dependence("orders", len(x), present, len(x))
    if present > 1 and outcomes_differ(x, runs) <= ALIKE:
        return _none(len(x), present, "runs differ")
    rows = _tested(units, len(x))
    runs = runs[rows] if present > 1 else runs
    return _by_neighbours(x[rows].astype(np.float64), runs, len(x), present, units.place)


def _tested(units: Units, n: int) -> NDArray[np.signedinteger[Any]]:
    """Return the positions of orders that the tests look at, in order of start."""
    if n <= MOST_TESTED:
        return np.arange(n) if units.place is None else np.argsort(units.place, kind="stable")
    length = MOST_TESTED // STRETCHES
    if units.place is None:
        begins = np.linspace(0, n - length, STRETCHES).astype(np.intp)
        return (begins[:, None] + np.arange(length)).ravel()
    # Places of orders that have no time are gaps, so that a stretch can be a little shorter.
    first, last = int(units.place.min()), int(units.place.max())
    length = min(length * (last - first + 1) // n, (last - first + 1) // STRETCHES)
    begins = np.linspace(first, last + 1 - length, STRETCHES).astype(np.intp)
    wanted = np.zeros(last + 1, dtype=bool)
    for begin in begins:
        wanted[begin : begin + length] = True
    rows = np.flatnonzero(wanted[units.place])
    return rows[np.argsort(units.place[rows], kind="stable")]


def _by_neighbours(
    series: Floats, runs: Codes, n: int, present: int, place: Codes | None
) -> Dependence:
    """Let the likeness of neighbours decide, of one run or of few that are alike.

    The series and its runs are in order of start; of very many orders some stretches.
    """
    parts = [series[runs == code] for code in range(present)] if present > 1 else [series]
    if n > MOST_TESTED:
        parts = [piece for part in parts for piece in np.array_split(part, STRETCHES)]
    score, correlation = neighbours_alike(parts)
    if score <= LAG_ALARM:
        return Dependence("orders", n, present, n)
    if present > 1:
        return _none(n, present, "neighbouring orders are alike", correlation)
    if n < BATCHES_FROM:
        why = f"neighbouring orders are alike; {BATCHES_FROM} are needed, there are {count(n)}"
        return Dependence("none", n, present, 0, why, correlation)
    batches = BATCHES if n >= MANY else FEW_BATCHES
    codes = np.arange(n) * batches // n
    if place is not None:
        codes[np.argsort(place, kind="stable")] = codes.copy()
    return Dependence("batches", n, present, batches, "", correlation, codes)


def _none(n: int, runs: int, what: str, correlation: float = 0.0) -> Dependence:
    needed = "5 are needed" if what == "runs differ" else "5 runs are needed"
    return Dependence("none", n, runs, 0, f"{what}; {needed}, there are {runs}", correlation)


def _present(runs: Codes | None, n: int) -> tuple[Codes, int]:
    """Return the runs that have orders, numbered from 0, and how many there are."""
    if runs is None or not n:
        return np.zeros(0, dtype=np.intp), min(n, 1)
    here = np.bincount(runs) > 0
    present = int(here.sum())
    return (runs if here.all() else (np.cumsum(here) - 1)[runs]), present


def _residuals(x: Floats, kinds: Codes | None) -> Floats:
    """Return the logarithms of times without the median of their kind; of one kind the times."""
    if kinds is None:
        return x
    logs = log_times(x)
    by_kind = np.argsort(kinds, kind="stable")
    for mine in np.split(by_kind, np.cumsum(np.bincount(kinds))[:-1]):
        if len(mine):
            logs[mine] -= np.median(logs[mine])
    return logs


# The tests.


def kruskal_wallis(values: Floats, codes: Codes) -> float:
    """Return the p value of groups that differ in place (Kruskal and Wallis, with ties)."""
    from scipy.special import chdtrc

    codes = _present(codes, len(values))[0]
    ranks, sizes = ranked(values), np.bincount(codes)
    n, sums = len(values), np.bincount(codes, weights=ranks)
    spread = float(((ranks - (n + 1) / 2) ** 2).sum())
    if spread <= 0 or len(sizes) < 2:
        return 1.0
    between = float((sums**2 / sizes).sum()) - n * (n + 1) ** 2 / 4
    return float(chdtrc(len(sizes) - 1, (n - 1) * between / spread))


def outcomes_differ(flags: Floats, codes: Codes) -> float:
    """Return the p value of shares that differ between runs: chi-square, by permutation."""
    sizes = np.bincount(codes)
    return shares_differ(np.bincount(codes, weights=flags).round().astype(np.int64), sizes)


def shares_differ(found: NDArray[np.int64], sizes: NDArray[np.integer[Any]]) -> float:
    """Return the p value of the shares ``found`` / ``sizes`` being one and the same.

    The same orders are dealt to the runs at random; how often do shares differ as much?

    Examples
    --------
    >>> shares_differ(np.array([10, 10]), np.array([20, 20]))
    1.0
    """
    k, n = int(found.sum()), int(sizes.sum())
    if k in (0, n) or len(sizes) < 2:
        return 1.0
    rng = np.random.default_rng(SEED)
    draws = PERMUTATIONS if len(sizes) <= MANY_RUNS else FEWER_PERMUTATIONS
    expected = sizes * (k / n)
    # Without the factor that all have in common.
    seen = float(((found - expected) ** 2 / sizes).sum()) * (1 - 1e-9)
    extreme = 0
    for rows in np.array_split(np.arange(draws), max(draws * len(sizes) // 1_000_000, 1)):
        dealt = rng.multivariate_hypergeometric(sizes, k, size=len(rows), method="marginals")
        extreme += int((((dealt - expected) ** 2 / sizes).sum(axis=1) >= seen).sum())
    return (1 + extreme) / (1 + draws)


# Intervals over units.


def t_factor(level: float, units: float) -> float:
    """Return Student's factor of an interval that rests on some units.

    Examples
    --------
    >>> round(t_factor(0.95, 10), 3)
    2.262
    """
    from scipy.special import stdtrit

    return float(stdtrit(units - 1, 0.5 + level / 2)) if units > 1 + TOO_FEW else math.inf


def effective_units(sizes: NDArray[np.integer[Any]]) -> float:
    """Return how many units of one size weigh as evenly; one long run among short ones is one.

    Examples
    --------
    >>> effective_units(np.array([20, 20, 20])), round(effective_units(np.array([980, 10, 10])), 2)
    (3.0, 1.04)
    """
    return float(sizes.sum()) ** 2 / float(sizes.astype(np.float64) @ sizes)


def error_over(found: NDArray[Any], sizes: NDArray[np.integer[Any]]) -> float:
    """Return the standard error of a share of all orders, from how many each unit has of them.

    Each unit is left out in turn (jackknife), so that a unit's weight is its number of orders. Of
    units of one size it is the standard deviation of their shares over the root of their number.

    Examples
    --------
    >>> shares = np.array([1.0, 2.0, 6.0]) / 10
    >>> bool(np.isclose(error_over(10 * shares, np.full(3, 10)), shares.std(ddof=1) / 3**0.5))
    True
    """
    n, units = int(sizes.sum()), len(sizes)
    whole = float(found.sum()) / n
    moved = (found - sizes * whole) / (n - sizes)
    return math.sqrt((units - 1) / units * float(moved @ moved))


class Estimates(NamedTuple):
    """Quantiles, and what their intervals rest on."""

    quantiles: list[Quantile]
    dependence: Dependence


def quantiles_over(
    values: ArrayLike,
    ps: Iterable[float],
    units: Units,
    level: float = 0.95,
    ordered: Ordered | None = None,
) -> Estimates:
    """Return quantiles with intervals that allow for orders which are not independent.

    Parameters
    ----------
    values
        Times of orders; nulls are left out.
    ps
        Which quantiles.
    units
        Where the orders stand, from ``units_of``.
    level
        How often, at least, such intervals hold the true quantile.
    ordered
        The times as ``in_places`` gives them for these quantiles, if that was done already.

    Examples
    --------
    >>> runs = np.repeat(np.arange(10), 30)
    >>> found = quantiles_over(np.arange(300.0) % 30 + 3 * runs, [0.5], Units(runs))
    >>> print(found.quantiles[0], found.dependence.way)
    28.0 (21.0 to 35.0) from 10 runs, for runs like these
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    known = ~np.isnan(x)
    if not known.all():
        x, units = x[known], units.of(known)
    wanted = tuple(ps)
    basis = dependence_of_times(x, units)
    if basis.unit == "none":
        return Estimates([_no_interval(len(x), p, basis.why, level) for p in wanted], basis)
    if basis.codes is not None:
        # How far apart the ends of intervals are is known only on the way.
        every = in_order(x)
        found = [_over((x, every), p, basis, basis.codes, level) for p in wanted]
        return Estimates(found, basis)
    ordered = in_places(x, wanted, level) if ordered is None else ordered
    return Estimates(quantiles_of_sorted(ordered, wanted, level), basis)


def _no_interval(n: int, p: float, why: str, level: float) -> Quantile:
    return Quantile(p, n, math.nan, -math.inf, math.inf, values_needed(p, level), why)


def _over(
    values: tuple[Floats, Floats], p: float, basis: Dependence, codes: Codes, level: float
) -> Quantile:
    """Return a quantile whose interval rests on batches or runs, of times and these in order."""
    x, ordered = values
    n, sizes = len(x), np.bincount(codes)
    estimate = type_7(ordered, p)
    below = np.bincount(codes, weights=x <= estimate, minlength=len(sizes))
    error = max(error_over(below, sizes), math.sqrt(p * (1 - p) / n))
    # Half of an interval that says nothing is 1: every share is inside.
    half = min(t_factor(level, effective_units(sizes)) * error, 1.0)
    lower, upper = math.floor(n * (p - half)), math.ceil(n * (p + half)) + 1
    low = float(ordered[lower - 1]) if lower >= 1 else -math.inf
    high = float(ordered[upper - 1]) if upper <= n else math.inf
    closed = lower >= 1 and upper <= n
    why = "" if closed else _short_of(p, half, error, basis, level)
    worth = p * (1 - p) / error**2
    return Quantile(p, n, estimate if closed else math.nan, low, high, 0, why, worth)


MOST_RUNS_TRIED = 10_000


def _short_of(p: float, half: float, error: float, basis: Dependence, level: float) -> str:
    """Say how many orders or runs as these would close an interval."""
    room = min(p, 1 - p)
    if basis.unit == "batches":
        needed = max(math.ceil(basis.n * (half / room) ** 2 + 1 / room), basis.n + 1)
        return f"about {count(needed)} orders are needed, there are {count(basis.n)}"
    spread, a_run = error * math.sqrt(basis.units), basis.n / basis.units
    for runs in range(basis.units, MOST_RUNS_TRIED):
        if t_factor(level, runs) * spread / math.sqrt(runs) + 2 / (runs * a_run) <= room:
            more = count(max(runs, basis.units + 1))
            return f"about {more} runs are needed, there are {basis.units}"
    return f"more than {count(MOST_RUNS_TRIED)} runs are needed, there are {basis.units}"
