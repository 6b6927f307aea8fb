"""Outcomes: shares with their intervals, and the milestones that orders reached.

``attempted`` is the number of orders without those that the analyst
cancelled; failures stay in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.display.messages import tells_names
from firmly_nb.display.text import count, percent, percent_interval
from firmly_nb.latency.columns import coded, ended_ms, floats, is_value, positions
from firmly_nb.latency.dependence import (
    Units,
    dependence_of_shares,
    dependence_of_times,
    effective_units,
    error_over,
    shares_differ,
    t_factor,
    units_of,
)
from firmly_nb.outcomes import CANCELLED, KNOWN, PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from firmly_nb.latency.dependence import Dependence
    from firmly_nb.latency.stages import StageBlock, StageBlocks

    Floats = NDArray[np.float64]

OUTCOMES = Table(
    "outcomes",
    "one row an outcome that occurred; placed always",
    (
        Column("outcome", "str", "", f"one of {', '.join(KNOWN)}"),
        Column("count", "int64", "orders", "orders that ended so"),
        Column("attempted", "int64", "orders", "all orders without the cancelled ones"),
        Column("share", "float64", "", "count / attempted; null for cancelled"),
        Column("low", "float64", "", "interval of the share, lower end; 0: none"),
        Column("high", "float64", "", "the same, upper end; 1: none"),
    ),
)
FUNNEL = Table(
    "funnel",
    "one row a milestone, in order",
    (
        Column("milestone", "str", "", "where orders had to come"),
        Column("came_from", "int64", "orders", "reached the milestone before; first: attempted"),
        Column("reached", "int64", "orders", "reached it, or a later one"),
        Column("seen", "int64", "orders", "its own event came"),
        Column("conversion", "float64", "", "reached / came_from"),
        Column("low", "float64", "", "interval of the conversion, lower end; 0: none"),
        Column("high", "float64", "", "the same, upper end; 1: none"),
        Column("share", "float64", "", "reached / attempted: the product of the conversions"),
        Column("share_low", "float64", "", "interval of the share, lower end; 0: none"),
        Column("share_high", "float64", "", "the same, upper end; 1: none"),
    ),
)


@tells_names
@dataclass(frozen=True, slots=True)
class Share:
    """A share of orders with its interval.

    Attributes
    ----------
    count, of, share
        How many of how many.
    low, high
        The interval; from 0 to 1 where there is none.
    dependence
        What the interval rests on; None: on independent orders.
    worth
        How many independent orders tell as much.
    """

    count: int
    of: int
    share: float
    low: float
    high: float
    dependence: Dependence | None = None
    worth: float = math.nan

    def __str__(self) -> str:
        if not self.of:
            return "no orders"
        counted = f"{count(self.count)} of {count(self.of)}"
        return f"{percent(self.share)} ({self.range_words}; {counted})"

    @property
    def range_words(self) -> str:
        """The interval in words, or why there is none."""
        if self.dependence is not None and self.dependence.unit == "none":
            return self.dependence.way
        return percent_interval(self.low, self.high)


def wilson(
    k: ArrayLike, n: ArrayLike, level: float = 0.95, z: float | None = None
) -> tuple[Floats, Floats]:
    """Return Wilson's interval of the share k / n; without orders, from 0 to 1.

    Parameters
    ----------
    k, n
        How many of how many; numbers or arrays, also fractions (effective numbers).
    level
        How often such intervals hold the true share.
    z
        The normal factor; Student's where there are few units. By default that of the level.

    Examples
    --------
    >>> low, high = wilson(190, 200)
    >>> round(float(low), 3), round(float(high), 3)
    (0.91, 0.973)
    """
    from scipy.special import ndtri

    n = np.asarray(n, dtype=np.float64)
    some = np.where(n > 0, n, 1.0)
    z2 = (ndtri(0.5 + level / 2) if z is None else z) ** 2
    p = np.asarray(k, dtype=np.float64) / some
    half = np.sqrt(z2 * p * (1 - p) / some + z2**2 / (4 * some**2))
    middle, scale = p + z2 / (2 * some), 1 + z2 / some
    low = np.where(n > 0, np.where(p <= 0, 0.0, (middle - half) / scale), 0.0)
    high = np.where(n > 0, np.where(p >= 1, 1.0, (middle + half) / scale), 1.0)
    return low, high


def never_narrower(
    low: ArrayLike, high: ArrayLike, k: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Widen an interval of k / n to that of Clopper and Pearson where it is narrower.

    Close to 0 and 1 Wilson's holds the true share on average only: a share of 99% is above it in
    8% of all hundreds of orders. What decides whether a target is missed must not be.

    Examples
    --------
    >>> found = never_narrower(*wilson(97, 100), 97, 100)
    >>> [round(float(end), 3) for end in found]
    [0.915, 0.994]
    """
    from scipy.special import betaincinv

    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    tail = (1 - level) / 2
    bad = n - k
    # An end at 0 or 1 has no beta distribution.
    least = np.where(k > 0, betaincinv(np.maximum(k, 1e-9), bad + 1, tail), 0.0)
    most = np.where(bad > 0, betaincinv(k + 1, np.maximum(bad, 1e-9), 1 - tail), 1.0)
    return np.minimum(low, least), np.maximum(high, most)


def share(k: int, n: int, level: float = 0.95) -> Share:
    """Return k / n with Wilson's interval; the share of none is unknown.

    Examples
    --------
    >>> print(share(190, 200))
    95.0% (91.0% to 97.3%; 190 of 200)
    """
    low, high = wilson(k, n, level)
    return Share(k, n, k / n if n else np.nan, float(low), float(high))


DIFFER = 0.01  # p value from which outcomes of runs differ so much that the next may be of any kind
DRAWS, SEED = 2000, 7
AS_GOOD_AS_INFINITE = 1e3  # of Student's factor
MOST_DRAWN = 1000  # runs; the weights of more are as good as normal


def success_over(flags: ArrayLike, units: Units, level: float = 0.95) -> Share:
    """Return the share of orders that did something, allowing for orders that are alike.

    Over batches or runs it is Wilson's interval for as many orders as have the same error, with
    Student's factor. Where outcomes differ between runs it allows for one more run of any kind.

    Parameters
    ----------
    flags
        For each order whether it did.
    units
        Where the orders stand, from ``firmly_nb.latency.dependence.units_of``.
    level
        How often such intervals hold the true share.

    Examples
    --------
    >>> runs = np.repeat(np.arange(10), 30)
    >>> found = success_over(np.arange(300) % 30 > runs // 2, Units(runs))
    >>> print(found, found.dependence.way)
    90.0% (85.4% to 93.3%; 270 of 300) from 10 runs, for runs like these
    """
    x = np.asarray(flags, dtype=bool)
    return _share_over(x, dependence_of_shares(x, units), level)


def _share_over(x: NDArray[np.bool_], basis: Dependence, level: float) -> Share:
    """Return a share with the interval that such a dependence allows."""
    k, n = int(np.count_nonzero(x)), len(x)
    told = replace(basis, codes=None)
    if basis.unit == "none":
        return Share(k, n, k / n, 0.0, 1.0, told)
    if basis.codes is None or k in (0, n):
        return replace(share(k, n, level), dependence=told)
    sizes = np.bincount(basis.codes)
    found = np.bincount(basis.codes, weights=x, minlength=len(sizes))
    p = k / n
    worth = n / max(1.0, error_over(found, sizes) ** 2 / (p * (1 - p) / n))
    if basis.unit == "runs" and shares_differ(found.astype(np.int64), sizes) <= DIFFER:
        low, high = _one_more_run(found, sizes, level)
    else:
        factor = t_factor(level, effective_units(sizes))
        ends = wilson(p * worth, worth, level, min(factor, AS_GOOD_AS_INFINITE))
        low, high = (float(end) for end in ends)
    return Share(k, n, p, low, high, told, worth)


def _one_more_run(
    found: NDArray[Any], sizes: NDArray[np.integer[Any]], level: float
) -> tuple[float, float]:
    """Return the interval of a share if runs and one more of any kind have random weights.

    The weights are Dirichlet's, times the run's number of orders; in the one more run none, or
    all, of as many orders as a run has on average.
    """
    from scipy.special import ndtri

    ends, tail = [], (1 - level) / 2
    all_sizes = np.append(sizes, sizes.mean())
    for extreme, q in ((0.0, tail), (1.0, 1 - tail)):
        all_found = np.append(found, extreme * all_sizes[-1])
        if len(sizes) <= MOST_DRAWN:
            weights = np.random.default_rng(SEED).standard_exponential((DRAWS, len(all_sizes)))
            ends.append(float(np.quantile((weights @ all_found) / (weights @ all_sizes), q)))
        else:
            middle = all_found.sum() / all_sizes.sum()
            parts = (all_found - middle * all_sizes) / all_sizes.sum()
            ends.append(float(middle + np.sqrt(parts @ parts) * ndtri(q)))
    return ends[0], ends[1]


def attempted(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that count: all but the cancelled ones."""
    return orders[~is_value(orders["outcome"], CANCELLED)]


def success_rate(orders: pd.DataFrame, level: float = 0.95, units: Units | None = None) -> Share:
    """Return the share of attempted orders that were placed.

    Parameters
    ----------
    orders
        Needs ``outcome``; ``run_id``, ``started_at`` where orders may be alike.
    level
        The interval's level.
    units
        Where the orders stand, if that is known already.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed", "placed", "timeout", "cancelled"]})
    >>> success_rate(orders).of
    3
    """
    return share_of_attempted(is_value(orders["outcome"], PLACED), orders, level, units)


def share_of_attempted(
    flags: NDArray[np.bool_], orders: pd.DataFrame, level: float, units: Units | None = None
) -> Share:
    """Return the share of attempted orders that did something; flags of all orders."""
    counted = ~is_value(orders["outcome"], CANCELLED)
    units = units_of(orders, kinds=False) if units is None else units
    if counted.all():
        return success_over(flags, units, level)
    return success_over(flags[counted], units.of(counted), level)


def outcome_table(
    orders: pd.DataFrame, level: float = 0.95, units: Units | None = None
) -> pd.DataFrame:
    """Count how orders ended; each share of the attempted ones has its interval.

    Parameters
    ----------
    orders
        Needs ``outcome``; ``run_id``, ``started_at`` where orders may be alike.
    level
        The intervals' level.
    units
        Where the orders stand, if that is known already.

    Returns
    -------
    pandas.DataFrame
        ``OUTCOMES``: ``placed`` first, then the others that occurred.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed"] * 3 + ["timeout"]})
    >>> outcome_table(orders)[["outcome", "count", "share"]].to_dict("list")
    {'outcome': ['placed', 'timeout'], 'count': [3, 1], 'share': [0.75, 0.25]}
    """
    codes, present = coded(orders["outcome"])
    counts = dict(zip(present, np.bincount(codes, minlength=len(present)).tolist(), strict=True))
    names = [name for name in KNOWN if name == PLACED or name in counts]
    names += sorted(set(counts) - set(KNOWN))
    n = sum(counts.values()) - counts.get(CANCELLED, 0)
    units = units_of(orders, kinds=False) if units is None else units
    tries, rows = codes, []
    if CANCELLED in present:
        counted = codes != present.index(CANCELLED)
        tries, units = codes[counted], units.of(counted)
    for name in names:
        row: dict[str, Any] = {"outcome": name, "count": counts.get(name, 0), "attempted": n}
        if name != CANCELLED and n:
            code = present.index(name) if name in present else len(present)
            found_share = success_over(tries == code, units, level)
            row |= {"share": found_share.share, "low": found_share.low, "high": found_share.high}
        rows.append(row)
    return OUTCOMES.frame(rows)


def funnel(
    stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame, level: float = 0.95
) -> pd.DataFrame:
    """Count how far orders came: of those that reached a milestone, how many reached the next.

    An order that reached a later milestone has reached the ones before it, also where their events
    did not come; ``seen`` counts those whose own event came. With two vocabularies of events in
    the data the milestones of the rarer one are not shown: filter the orders to see them.

    Parameters
    ----------
    stages
        Needs ``recording_id``, ``to_milestone``, ``end_ms``; milestones in order for each order.
        Of very many orders stages one by one.
    orders
        Needs ``recording_id``, ``outcome``.
    level
        The intervals' level.

    Returns
    -------
    pandas.DataFrame
        ``FUNNEL``.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"recording_id": ["a", "b"], "outcome": ["placed", "timeout"]})
    >>> stages = pd.DataFrame({"recording_id": ["a", "a", "b", "b"],
    ...                        "to_milestone": ["cart", "done", "cart", "done"],
    ...                        "end_ms": [1.0, 2.0, 1.0, None]})
    >>> funnel(stages, orders)[["milestone", "reached", "conversion"]].to_dict("list")
    {'milestone': ['cart', 'done'], 'reached': [2, 1], 'conversion': [1.0, 0.5]}
    """
    counted = ~is_value(orders["outcome"], CANCELLED)
    seen, kept, names = _seen(_comings(stages, orders), counted)
    came = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    reached = came.sum(axis=0)
    n = int(seen.shape[0])
    came_from = np.concatenate([[n], reached[:-1]])[: len(names)]
    units = units_of(orders if counted.all() else orders[counted], kinds=False)
    units = units if kept.all() else units.of(kept)
    whole = [success_over(came[:, i], units, level) for i in range(len(names))]
    steps = [
        success_over(came[:, i][came[:, i - 1]], units.of(came[:, i - 1]), level)
        for i in range(1, len(names))
    ]
    steps = [*whole[:1], *steps]
    return FUNNEL.from_columns(
        {
            "milestone": names,
            "came_from": came_from,
            "reached": reached,
            "seen": seen.sum(axis=0),
            "conversion": _ratio(reached, came_from),
            "low": np.array([step.low for step in steps]),
            "high": np.array([step.high for step in steps]),
            "share": _ratio(reached, np.full(len(names), n)),
            "share_low": np.array([one.low for one in whole]),
            "share_high": np.array([one.high for one in whole]),
        }
    )


def _ratio(k: NDArray[np.int64], n: NDArray[np.int64]) -> Floats:
    found: Floats = np.divide(k, n, out=np.full(len(k), np.nan), where=n > 0)
    return found


class _Coming(NamedTuple):
    """Orders that have a stage which ends with some milestone."""

    milestone: str
    first: tuple[int, int]  # where it came first: an order, and a place in that
    orders: NDArray[np.signedinteger[Any]]
    place: NDArray[np.integer[Any]]  # among the stages of each
    came: NDArray[np.bool_]  # whether its event came


def _comings(stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame) -> list[_Coming]:
    """Return who has which milestone, of a table or of stages that come one by one."""
    import pandas as pd

    if not isinstance(stages, pd.DataFrame):
        return [one for block in stages for one in _comings_of(block)]
    found = []
    ids, names = coded(stages["to_milestone"])
    position = positions(orders, stages)
    # A table for figures has no further column that says so.
    came = stages["end_ms" if "end_ms" in stages else "duration_ms"].notna().to_numpy(bool)
    if "place" in stages:
        place = stages["place"].to_numpy()
    else:
        # Rows of an order stand together, its milestones in order.
        row = np.arange(len(ids))
        begins = np.concatenate([np.ones(min(len(ids), 1), bool), position[1:] != position[:-1]])
        place = row - np.maximum.accumulate(np.where(begins, row, 0))
    for code, name in enumerate(names):
        rows = np.flatnonzero(ids == code)
        found.append(_Coming(name, (code, 0), position[rows], place[rows], came[rows]))
    return found


def _comings_of(block: StageBlock) -> Iterator[_Coming]:
    came = ~np.isnan(block.duration_ms)
    places = block.rows if block.place is None else block.place  # of a table rows stand in order
    for code, (milestone, first) in enumerate(block.ends.items()):
        mine = slice(None) if block.which is None else block.which == code
        yield _Coming(milestone, first, block.orders[mine], places[mine], came[mine])


def milestones_of(stages: pd.DataFrame | StageBlocks) -> list[str]:
    """Return the milestones that end stages."""
    import pandas as pd

    if isinstance(stages, pd.DataFrame):
        return coded(stages["to_milestone"])[1]
    return list(dict.fromkeys(name for block in stages for name in block.ends))


def _seen(
    comings: Sequence[_Coming], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[str]]:
    """Return, order by milestone, whether its event came; which orders count; and the names."""
    n = int(np.count_nonzero(counted))
    number = np.append(np.where(counted, np.cumsum(counted, dtype=np.int32) - 1, -1), -1)
    names = _common_vocabulary(comings, counted)
    seen = np.zeros((n, len(names)), dtype=bool)
    speaks, absent = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    # An own list may have a milestone twice: its last place counts.
    column = {name: at for at, name in enumerate(names)}
    for one in comings:
        position = number[one.orders]
        mine = slice(None) if position.min(initial=0) >= 0 else position >= 0
        position = position[mine]
        absent[position] = False
        if one.milestone in column:
            speaks[position] = True
            seen[position, column[one.milestone]] = one.came[mine]
    kept = speaks | absent
    return seen if kept.all() else seen[kept], kept, names


def _common_vocabulary(comings: Sequence[_Coming], counted: NDArray[np.bool_]) -> list[str]:
    """Return the milestones, in order, of the sequence that most of the orders have."""
    names = dict.fromkeys(one.milestone for one in sorted(comings, key=lambda one: one.first))
    counts, firsts = dict.fromkeys(names, 0), dict.fromkeys(names, len(counted))
    asked = np.append(counted, False)  # the last place is for no order
    for one in comings:
        begun = one.orders[(one.place == 0) & asked[one.orders]]
        counts[one.milestone] += len(begun)
        if len(begun):
            firsts[one.milestone] = min(firsts[one.milestone], int(begun.min()))
    if not any(counts.values()):  # all were cancelled
        return [*names]
    order = firsts[max(names, key=counts.__getitem__)]
    own = [
        (place, one.milestone)
        for one in comings
        for place in one.place[one.orders == order].tolist()
    ]
    return [milestone for _, milestone in sorted(own)]


# The completion curve: which share of the attempted orders was placed within how long.
#
# With one limit for all orders and none cancelled it is a simple share. An
# order that was cancelled, or that ran into a shorter limit than others had, says only that it
# took longer than that: then the curve is the cumulative incidence of ``placed`` by Aalen and
# Johansen, the other ends being competing risks.


SAME_LIMIT = 1.05  # a timeout is noticed a little after its limit
ROUNDING = 1e-12  # of a sum of shares

COMPLETION = Table(
    "completion",
    "one row a time at which an order was placed; from 0",
    (
        Column("t_ms", "float64", "ms", "time since the request"),
        Column("share", "float64", "", "share of the attempted orders placed by then"),
        Column("low", "float64", "", "interval at that time, lower end; 0: none"),
        Column("high", "float64", "", "the same, upper end; 1: none"),
    ),
)
LOOKED_AT = 30  # times of a curve at which it is looked at how much wider its band must be


def completion_curve(orders: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the share of orders placed by each time; its last value is the success rate.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``time_to_order_placed_ms``, ``order_latency_ms``.
    level
        The level of the interval at each time.

    Returns
    -------
    pandas.DataFrame
        ``COMPLETION``.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed", "placed", "error_event", "placed"],
    ...     "time_to_order_placed_ms": [100.0, 300.0, None, 200.0],
    ...     "order_latency_ms": [101.0, 301.0, 50.0, 201.0]})
    >>> completion_curve(orders)[["t_ms", "share"]].to_dict("list")
    {'t_ms': [0.0, 100.0, 200.0, 300.0], 'share': [0.0, 0.25, 0.5, 0.75]}
    """
    curve = _incidence(orders) if is_censored(orders) else _plain(orders)
    low, high = _band(curve, orders, level)
    return COMPLETION.from_columns(
        {"t_ms": curve.t_ms, "share": curve.share, "low": low, "high": high}
    )


def is_censored(orders: pd.DataFrame) -> bool:
    """Return whether some orders could only be watched for less long than others."""
    if is_value(orders["outcome"], CANCELLED).any():
        return True
    limits = orders.loc[is_value(orders["outcome"], "timeout"), "order_latency_ms"]
    longest = max(limits.max(), orders["time_to_order_placed_ms"].max(), 0.0)
    return bool(len(limits) and longest > limits.min() * SAME_LIMIT)


def _band(curve: _Curve, orders: pd.DataFrame, level: float) -> tuple[Floats, Floats]:
    """Return Wilson's interval at each time, wider where orders are alike.

    What counts as one observation is decided once for the whole curve. How much wider that makes
    the interval is looked at at some times, and taken from the nearest of these at the others.
    """
    low, high = wilson(curve.share * curve.of, curve.of, level)
    counted = attempted(orders)
    basis = _basis_of_curve(counted)
    if basis is None or basis.unit == "orders":
        return low, high
    if basis.unit == "none":
        return np.zeros(len(low)), np.ones(len(low))
    times = floats(counted["time_to_order_placed_ms"])
    places = np.unique(np.linspace(0, len(curve.t_ms) - 1, LOOKED_AT).round().astype(np.intp))
    wider = np.ones((2, len(places)))
    for column, t in enumerate(curve.t_ms[places]):
        flags = times <= t
        alone = share(int(flags.sum()), len(flags), level)
        found = _share_over(flags, basis, level)
        for row, (own, of) in enumerate(((found.low, alone.low), (found.high, alone.high))):
            if of not in (own, alone.share):
                wider[row, column] = max((own - alone.share) / (of - alone.share), 1.0)
    below, above = (np.interp(np.arange(len(low)), places, each) for each in wider)
    low = np.maximum(curve.share - below * (curve.share - low), 0.0)
    high = np.minimum(curve.share + above * (high - curve.share), 1.0)
    # A curve only rises, so what is possible early is possible later, and the other way round.
    return np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high)


def _basis_of_curve(counted: pd.DataFrame) -> Dependence | None:
    """Return what counts as one observation, by the times and by which orders were placed."""
    if not len(counted):
        return None
    units = units_of(counted)
    times = floats(counted["time_to_order_placed_ms"])
    came = np.isfinite(times)
    by_shares = dependence_of_shares(came, units)
    if by_shares.unit != "orders" or not came.any():
        return by_shares
    return dependence_of_times(np.where(came, times, 2 * times[came].max()), units)


class _Curve(NamedTuple):
    t_ms: Floats
    share: Floats
    of: Floats  # orders, or as many as the variance is worth


def _plain(orders: pd.DataFrame) -> _Curve:
    times = np.sort(orders["time_to_order_placed_ms"].dropna().to_numpy(np.float64))
    t_ms, counts = np.unique(times, return_counts=True)
    shares = np.concatenate([[0.0], np.cumsum(counts) / max(len(orders), 1)])
    return _Curve(np.concatenate([[0.0], t_ms]), shares, np.full(len(shares), float(len(orders))))


def _incidence(orders: pd.DataFrame) -> _Curve:
    """Aalen and Johansen's cumulative incidence of ``placed``, with its variance.

    The variance is the delta-method one (E. Marubini and M. G. Valsecchi, "Analysing Survival Data
    from Clinical Trials and Observational Studies", 1995, section 10.2). The interval is Wilson's
    for as many orders as have that variance, so that without censoring both ways are the same.
    """
    t_ms, placed, ended, at_risk = _by_time(orders)
    survived = np.cumprod(1 - ended / at_risk)
    before = np.concatenate([[1.0], survived[:-1]])
    steps = before * placed / at_risk
    incidence = np.cumsum(steps)
    is_whole = incidence > 1 - ROUNDING
    incidence = np.where(is_whole, 1.0, incidence)
    variance = _variance(incidence, before, placed, ended, at_risk)
    first = np.divide(
        incidence * (1 - incidence),
        variance,
        out=np.full(len(t_ms), np.inf),
        where=(variance > 0) & ~is_whole,
    )
    shown = placed > 0
    of = np.minimum(first[shown], float(at_risk[0]) if len(at_risk) else 0.0)
    if len(of) > 1 and is_whole[shown][-1]:
        of[-1] = of[-2]  # a share of 1 has no variance: it is worth as many orders as the last one
    zero = np.zeros(1)
    return _Curve(
        np.concatenate([zero, t_ms[shown]]),
        np.concatenate([zero, incidence[shown]]),
        np.concatenate([[float(len(orders))], of]),
    )


def _by_time(orders: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the distinct times of ends; at each, how many were placed, ended and at risk."""
    is_placed, is_cancelled, is_timeout = (
        is_value(orders["outcome"], name) for name in (PLACED, CANCELLED, "timeout")
    )
    placed_ms = floats(orders["time_to_order_placed_ms"])
    t_ms, position = np.unique(
        np.where(is_placed, placed_ms, ended_ms(orders)), return_inverse=True
    )
    is_watched_to_its_end = ~(is_cancelled | is_timeout)
    size = len(t_ms)
    all_here = np.bincount(position, minlength=size)
    at_risk = len(orders) - np.concatenate([[0], np.cumsum(all_here)[:-1]])[:size]
    placed = np.bincount(position, weights=is_placed, minlength=size)
    ended = np.bincount(position, weights=is_watched_to_its_end, minlength=size)
    return t_ms.astype(float), placed.astype(float), ended.astype(float), at_risk.astype(float)


def _variance(
    incidence: Floats, before: Floats, placed: Floats, ended: Floats, at_risk: Floats
) -> Floats:
    """Sum the delta-method variance at each time, in running sums instead of a double loop."""
    left = at_risk - ended
    hazard = np.divide(ended, at_risk * left, out=np.zeros(len(ended)), where=left > 0)
    own = before**2 * placed * (at_risk - placed) / at_risk**3
    mixed = before * placed / at_risk**2
    # sum (I - I_j)^2 hazard_j + sum own_j - 2 sum (I - I_j) mixed_j, expanded in powers of I
    h0, h1, h2 = (np.cumsum(hazard * incidence**power) for power in range(3))
    m0, m1 = np.cumsum(mixed), np.cumsum(mixed * incidence)
    found = incidence**2 * h0 - 2 * incidence * h1 + h2 + np.cumsum(own)
    return np.asarray(np.maximum(found - 2 * (incidence * m0 - m1), 0.0), dtype=np.float64)
