"""Targets and rates: did enough orders come in time, what is left of the budget, how many a second.

An order that is not placed misses every target. A rate is counted over the time of the runs: idle
time between two runs is nobody's.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.display.html import page
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import TEXT_WIDTH, Cell, Grid, Head, grid_html, grid_text
from firmly_nb.display.text import (
    and_more,
    as_html,
    count,
    interval,
    listed,
    number,
    percent,
    percent_interval,
    printable,
    stated,
    stated_percent,
)
from firmly_nb.latency.asked import limit_of, share_of
from firmly_nb.latency.columns import ended_ms, floats, is_value
from firmly_nb.latency.shares import Share, never_narrower, share_of_attempted
from firmly_nb.outcomes import PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.groups import Keys

    Floats = NDArray[np.float64]

MET, MISSED, UNDECIDED = "met", "missed", "not enough data"
MOST_SHOWN = 40
IDLE_S = 60.0  # a pause that ends a run of orders that have no run id, if it is long for them
LONG_PAUSE = 10.0  # times the usual time from start to start
LONGEST_PAUSE_S = 3600.0  # ends a run of such orders in any case

SLO = Table(
    "slo",
    "one row a day, or a group",
    (
        Column("attempted", "int64", "orders", "all orders without the cancelled ones"),
        Column("good", "int64", "orders", "placed within the limit"),
        Column("share", "float64", "", "good / attempted; null if nothing was attempted"),
        Column("low", "float64", "", "its interval, lower end; family-wise level"),
        Column("high", "float64", "", "the same, upper end"),
        Column("verdict", "str", "", f"{MET}, {MISSED} or {UNDECIDED}"),
        Column("allowed", "float64", "orders", "error budget: orders that may miss the limit"),
        Column("missed", "int64", "orders", "orders that missed it"),
        Column("budget_left", "float64", "", "part of the budget that is left; below 0: overspent"),
        Column("budget_low", "float64", "", "its interval, lower end"),
        Column("budget_high", "float64", "", "its interval, upper end"),
        Column("goodput_per_s", "float64", "1/s", "good orders per second of the runs"),
    ),
)


class Budget(NamedTuple):
    """Error budget: how many orders may miss the limit, how many did, and what part is left."""

    allowed: float
    missed: int
    left: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.left):
            return "no orders"
        allowed = stated(round(self.allowed, 2))
        times = f"{number(1 - self.left)} times the budget"
        ends = interval(1 - self.high, 1 - self.low, "")
        left = "overspent" if self.left < 0 else f"{percent(self.left)} left"
        return f"{count(self.missed)} of {allowed} allowed misses, {times} ({ends}); {left}"


def _left(share: float) -> str:
    """Write what is left of a budget; below nothing it is overspent."""
    return f"-{percent(-share)}" if share < 0 else percent(share)


def budget_of(attained: Share, wanted: float) -> Budget:
    """Return the error budget of a share of orders.

    Examples
    --------
    >>> from firmly_nb.latency import share
    >>> found = budget_of(share(196, 200), 0.95)
    >>> found.missed, round(found.left, 9)
    (4, 0.6)
    """
    missed, of = attained.of - attained.count, attained.of
    allowed = (1 - wanted) * of
    ends = [1 - (1 - end) / (1 - wanted) for end in (attained.share, attained.low, attained.high)]
    return Budget(allowed, missed, *ends)


def verdict_of(attained: Share, wanted: float) -> str:
    """Return ``met``, ``missed`` or ``not enough data``: where the interval lies."""
    if attained.low >= wanted:
        return MET
    return MISSED if attained.high < wanted else UNDECIDED


def slo_attainment(orders: pd.DataFrame, limit_ms: float, level: float = 0.95) -> Share:
    """Return the share of attempted orders that were placed within a limit.

    Its interval is never narrower than that of Clopper and Pearson.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed", "placed", "error_event"],
    ...     "time_to_order_placed_ms": [100.0, 300.0, None]})
    >>> slo_attainment(orders, 200).count
    1
    """
    found = good_fraction(orders, {"time_to_order_placed_ms": limit_ms}, level)
    if not found.of or (found.dependence is not None and found.dependence.unit == "none"):
        return found
    n = found.worth if found.worth > 0 else float(found.of)
    low, high = never_narrower(found.low, found.high, n * found.share, n, level)
    return replace(found, low=float(low), high=float(high))


@tells_names
@dataclass(frozen=True, slots=True)
class Attainment:
    """Share of orders placed within a limit, against the wanted share; it shows itself.

    Attributes
    ----------
    attained
        Share of the attempted orders, with its interval.
    order_ms, wanted
        The limit, and the share that must keep it.
    goodput_per_s
        Orders a second that kept it; not a number if the starts are not known.
    days
        ``SLO`` behind a column ``day``: the same for each day, by UTC. The intervals of all days
        hold together.
    """

    attained: Share
    order_ms: float
    wanted: float
    goodput_per_s: float = field(default=math.nan, compare=False)
    days: pd.DataFrame = field(default_factory=SLO.empty, compare=False, repr=False)

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``not enough data``: where the interval lies."""
        return verdict_of(self.attained, self.wanted)

    @property
    def budget(self) -> Budget:
        """Error budget: ``allowed``, ``missed``, ``left`` with ``low`` and ``high``."""
        return budget_of(self.attained, self.wanted)

    @property
    def sentence(self) -> str:
        """The verdict, the share and what decides, in words."""
        wanted = wanted_words(self.wanted, self.order_ms)
        basis = self.attained.dependence
        known = basis is not None and basis.unit != "none" and self.attained.of
        how = f" Interval: {basis.way}." if basis is not None and known else ""
        budget = f" Error budget: {self.budget}." if self.attained.of else ""
        rate = f" Goodput: {number(self.goodput_per_s)} orders/s."
        rate = "" if math.isnan(self.goodput_per_s) else rate
        verdict = self.verdict.capitalize()
        return f"{verdict}: {self.attained}. Wanted: {wanted}.{how}{budget}{rate}"

    def __repr__(self) -> str:
        if len(self.days) < 2:
            return self.sentence
        return f"{self.sentence}\n{grid_text(slo_grid(self.days, ('day',)))}"

    def _repr_html_(self) -> str:
        verdict, _, rest = self.sentence.partition(":")
        grid = grid_html(slo_grid(self.days, ("day",))) if len(self.days) > 1 else ""
        return page(f"<b>{escape(verdict)}</b>:{escape(rest)}{grid}")


def wanted_words(wanted: float, order_ms: float) -> str:
    """Return a target in words."""
    return f"{stated_percent(wanted)} placed within {stated(order_ms)} ms"


def attainment(
    orders: pd.DataFrame, order_ms: float | str, wanted: float | str, level: float = 0.95
) -> Attainment:
    """Hold the share of attempted orders that were placed within a limit against a wanted one.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``time_to_order_placed_ms``; ``started_at`` and ``order_latency_ms`` for
        days and goodput, ``run_id`` where there are runs.
    order_ms
        The limit, in ms; or ``"1.5s"``.
    wanted
        The share that must keep it: 0.95 or ``"95%"``.
    level
        The level of the interval that decides.

    Raises
    ------
    ValueError
        If the wanted share is not between 0 and 1, or the limit is no time above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": "placed", "time_to_order_placed_ms": [900.0] * 80})
    >>> attainment(orders, 900, 0.95)  # doctest: +ELLIPSIS
    Met: 100% (95.4% to 100%; 80 of 80). Wanted: 95% placed within 900 ms. Interval: ...
    """
    limit, share_wanted = limit_of("order_ms", order_ms), share_of("share", wanted, 0.95)
    attained = slo_attainment(orders, limit, level)
    rate = math.nan
    if {"started_at", "order_latency_ms"} <= set(orders):
        rate = goodput(orders, {"time_to_order_placed_ms": limit})
    return Attainment(
        attained, limit, share_wanted, rate, _by_day(orders, limit, share_wanted, level)
    )


def _by_day(orders: pd.DataFrame, limit: float, wanted: float, level: float) -> pd.DataFrame:
    """Return ``SLO`` of each day that has orders, by UTC."""
    import pandas as pd

    if "started_at" not in orders or not len(orders):
        return SLO.empty()
    days = orders["started_at"].dt.floor("D")
    known = days.dropna().unique()
    each = 1 - (1 - level) / max(len(known), 1)
    found = sorted(known)
    parts = [orders[(days == day).to_numpy(bool)] for day in found]
    table = slo_table(parts, limit, wanted, each)
    names = pd.Series([f"{day:%Y-%m-%d}" for day in found], dtype="str")
    return pd.concat([names.rename("day").to_frame(), pd.DataFrame(table)], axis=1)


def slo_table(
    parts: Sequence[pd.DataFrame], limit_ms: float, wanted: float, level: float
) -> pd.DataFrame:
    """Return ``SLO`` of some groups of orders, each interval at that level."""
    rows = []
    for orders in parts:
        one = slo_attainment(orders, limit_ms, level)
        left = budget_of(one, wanted)
        has_times = {"started_at", "order_latency_ms"} <= set(orders)
        limits = {"time_to_order_placed_ms": limit_ms}
        rows.append(
            {
                "attempted": one.of,
                "good": one.count,
                "share": one.share if one.of else None,
                "low": one.low,
                "high": one.high,
                "verdict": verdict_of(one, wanted),
                "allowed": left.allowed,
                "missed": left.missed,
                "budget_left": left.left if one.of else None,
                "budget_low": left.low,
                "budget_high": left.high,
                "goodput_per_s": goodput(orders, limits) if has_times else None,
            }
        )
    return SLO.frame(rows)


def slo_grid(table: pd.DataFrame, names: Sequence[str], labels: Sequence[str] = ()) -> Grid:
    """Return a table of targets as texts; the first columns name its rows."""
    heads = (
        listed(names),
        "attempted",
        "in time",
        Head("verdict", left=True),
        "budget left",
        Head("goodput", "1/s"),
    )
    told = list(labels) or [", ".join(map(str, row)) for row in table[list(names)].to_numpy()]
    rows = [
        (
            label,
            count(row["attempted"]),
            Cell(percent(row["share"]), small=_range(row)),
            row["verdict"],
            _left(row["budget_left"]),
            number(row["goodput_per_s"]),
        )
        for label, row in zip(told[:MOST_SHOWN], table.to_dict("records"), strict=False)
    ]
    return Grid(heads, rows, more=and_more(len(table) - MOST_SHOWN, "row"))


def _range(row: dict[Any, Any]) -> str:
    if not row["attempted"]:
        return ""
    if row["low"] <= 0 and row["high"] >= 1:
        return "no interval"
    return percent_interval(row["low"], row["high"])


@tells_names
@dataclass(frozen=True, slots=True)
class GroupedAttainment:
    """Share of orders placed within a limit, group by group; it shows itself.

    Attributes
    ----------
    table
        ``SLO`` behind the columns that name the group.
    order_ms, wanted
        The limit, and the share that must keep it.
    level
        How often the intervals of all groups hold together.
    names, labels
        Columns that name the group; the groups' names.
    """

    table: pd.DataFrame
    order_ms: float
    wanted: float
    level: float
    names: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``missed`` if a group missed, ``met`` if all met, else ``not enough data``."""
        found = set(self.table["verdict"])
        return MISSED if MISSED in found else MET if found == {MET} else UNDECIDED

    @property
    def sentence(self) -> str:
        """Which groups met the target, missed it, or have too few orders."""
        said = []
        for verdict in (MISSED, UNDECIDED, MET):
            who = [
                label
                for label, own in zip(self.labels, self.table["verdict"], strict=True)
                if own == verdict
            ]
            if who:
                named = [*who[:3], *([f"{count(len(who) - 3)} more"] if len(who) > 3 else [])]
                said.append(f"{verdict.capitalize()}: {listed(named)}.")
        wanted = f"Wanted: {wanted_words(self.wanted, self.order_ms)}."
        return " ".join([*said, wanted]) if said else f"No orders. {wanted}"

    @property
    def how(self) -> str:
        """Level of the intervals, in words."""
        return f"Family-wise level of the intervals: {stated_percent(self.level)}."

    def __repr__(self) -> str:
        lines = textwrap.wrap(printable(self.sentence), TEXT_WIDTH)
        if len(self.table):
            lines += ["", grid_text(slo_grid(self.table, self.names, self.labels)), self.how]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        grid = grid_html(slo_grid(self.table, self.names, self.labels)) if len(self.table) else ""
        return page(f"<div><b>{as_html(self.sentence)}</b></div>{grid}<div>{self.how}</div>")


def grouped_attainment(
    orders: pd.DataFrame, keys: Keys, order_ms: float, wanted: float, level: float
) -> GroupedAttainment:
    """Hold each group against a target; the intervals of all groups hold together."""
    from firmly_nb.latency.groups import keyed

    groups = len(keys.values)
    each = 1 - (1 - level) / max(groups, 1)
    parts = [orders[keys.codes == group] for group in range(groups)]
    rows = slo_table(parts, order_ms, wanted, each)
    table = keyed(keys, [rows.iloc[[at]] for at in range(groups)]) if groups else rows
    return GroupedAttainment(table, order_ms, wanted, level, keys.names, tuple(keys.labels))


def good_fraction(
    orders: pd.DataFrame, limits_ms: Mapping[str, float], level: float = 0.95
) -> Share:
    """Return the share of attempted orders that were placed and kept every limit.

    Parameters
    ----------
    orders
        Needs ``outcome`` and the limited columns.
    limits_ms
        The most that a column of ``orders`` may be, in ms.
    level
        The interval's level.
    """
    return share_of_attempted(is_good(orders, limits_ms), orders, level)


def is_good(orders: pd.DataFrame, limits_ms: Mapping[str, float]) -> NDArray[np.bool_]:
    """Return for each order whether it was placed and kept every limit."""
    good = is_value(orders["outcome"], PLACED)
    for name, limit in limits_ms.items():
        good &= floats(orders[name]) <= limit
    return good


# Orders per second, and how many were open at a time.


CONCURRENCY = Table(
    "concurrency",
    "one row a moment at which an order began or ended",
    (
        Column("at", "datetime64[ns, UTC]", "", "that moment"),
        Column("open", "int64", "orders", "orders open from then on"),
    ),
)


def throughput(orders: pd.DataFrame) -> float:
    """Return placed orders per second of the runs; idle gaps between runs do not count.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at``, ``order_latency_ms``; ``run_id`` where there are runs.
    """
    return goodput(orders, {})


def goodput(orders: pd.DataFrame, limits_ms: Mapping[str, float]) -> float:
    """Return the orders per second of the runs that were placed and kept every limit.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at``, ``order_latency_ms`` and the limited columns; ``run_id``
        where there are runs.
    limits_ms
        The most that a column of ``orders`` may be, in ms.
    """
    window = running_s(orders)
    return int(is_good(orders, limits_ms).sum()) / window if window > 0 else math.nan


def running_s(orders: pd.DataFrame) -> float:
    """Return for how many seconds runs were under way: from first start to last end of each.

    Time in which several runs were is counted once. A run is parted where none of its orders was
    open for over an hour and ten times as long as usual from start to start. Orders without a run
    id are parted after a minute and ten times as long as usual, or after an hour.

    Examples
    --------
    >>> import pandas as pd
    >>> starts = pd.to_datetime(["2026-01-05 09:00:00", "2026-01-05 09:00:04",
    ...                          "2026-01-05 21:00:00"], utc=True)
    >>> orders = pd.DataFrame({"started_at": starts, "order_latency_ms": 1000.0,
    ...     "time_to_order_placed_ms": 1000.0, "run_id": ["a", "a", "b"]})
    >>> running_s(orders)
    6.0
    """
    import pandas as pd

    if not len(orders):
        return 0.0
    begins, ends, known = _spans_ns(orders)
    if not len(begins):
        return 0.0
    runs = np.full(len(orders), -1)
    if "run_id" in orders:
        runs = pd.factorize(orders["run_id"])[0]
    runs = _parted(runs[known], begins, ends)
    count_ = int(runs.max()) + 1
    first = np.full(count_, np.iinfo(np.int64).max)
    last = np.full(count_, np.iinfo(np.int64).min)
    np.minimum.at(first, runs, begins)
    np.maximum.at(last, runs, ends)
    return _union_ns(first, last) / 1e9


def _parted(
    runs: NDArray[np.integer[Any]], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.integer[Any]]:
    """Return the run of each order, parted at long idle times.

    A run id lasts over a short pause, such as one that a merchant asked for, but a run that was
    resumed the next day was not under way at night.
    """
    found = np.array(runs, dtype=np.int64)
    by_start = np.lexsort((begins, found))
    bounds = np.flatnonzero(np.diff(found[by_start])) + 1
    top = int(found.max(initial=-1)) + 1
    for rows in np.split(by_start, bounds):
        idle = begins[rows][1:] - np.maximum.accumulate(ends[rows])[:-1]
        usual = float(np.median(np.diff(begins[rows]))) if len(rows) > 1 else 0.0
        short, long = LONG_PAUSE * usual, LONGEST_PAUSE_S * 1e9
        has_id = found[rows[0]] >= 0
        is_new = idle > (max(short, long) if has_id else min(max(IDLE_S * 1e9, short), long))
        if is_new.any() or not has_id:
            found[rows] = top + np.concatenate([[0], np.cumsum(is_new)])
            top += 1 + int(is_new.sum())
    return found


def _union_ns(first: NDArray[np.int64], last: NDArray[np.int64]) -> float:
    """Return how long at least one of some spans lasted."""
    by_start = np.argsort(first, kind="stable")
    first, last = first[by_start], np.maximum.accumulate(last[by_start])
    begins = first.copy()
    begins[1:] = np.maximum(first[1:], last[:-1])
    return float(np.maximum(last - begins, 0).sum())


def concurrency(orders: pd.DataFrame) -> pd.DataFrame:
    """Return how many orders were open, from moment to moment; see ``CONCURRENCY``."""
    begins, ends, _ = _spans_ns(orders)
    moments = np.concatenate([begins, ends])
    steps = np.concatenate([np.ones(len(begins), int), -np.ones(len(ends), int)])
    # One that begins at the moment at which another ends comes after it.
    by_moment = np.lexsort((steps, moments))
    return CONCURRENCY.from_columns({"at": moments[by_moment], "open": np.cumsum(steps[by_moment])})


def _spans_ns(
    orders: pd.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return begin and end of each order where both are known, and for which orders they are."""
    begins = orders["started_at"].dt.as_unit("ns").astype("int64").to_numpy()
    lasted_ms = ended_ms(orders)
    known = orders["started_at"].notna().to_numpy() & ~np.isnan(lasted_ms)
    return begins[known], begins[known] + (lasted_ms[known] * 1e6).astype(np.int64), known
