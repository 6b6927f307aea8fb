"""The completion curve: which share of the attempted orders was placed within how long.

metrics.md, section 4. With one limit for all orders and none cancelled it is a simple share. An
order that was cancelled, or that ran into a shorter limit than others had, says only that it took
longer than that: then the curve is the cumulative incidence of ``placed`` by Aalen and Johansen,
the other ends being competing risks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.columns import floats, is_value
from firmly_nb.latency.outcomes import Share, attempted, share, wilson
from firmly_nb.outcomes import CANCELLED, PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SAME_LIMIT = 1.05  # a timeout is noticed a little after its limit
ROUNDING = 1e-12  # of a sum of shares

COMPLETION = Table(
    "completion",
    "one row a time at which an order was placed; from 0",
    (
        Column("t_ms", "float64", "ms", "time since the request"),
        Column("share", "float64", "", "share of the attempted orders placed by then"),
        Column("low", "float64", "", "pointwise Wilson interval, lower end"),
        Column("high", "float64", "", "the same, upper end"),
    ),
)


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
    low, high = wilson(curve.share * curve.of, curve.of, level)
    return COMPLETION.from_columns(
        {"t_ms": curve.t_ms, "share": curve.share, "low": low, "high": high}
    )


def slo_attainment(orders: pd.DataFrame, limit_ms: float, level: float = 0.95) -> Share:
    """Return the share of attempted orders that were placed within a limit.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed", "placed", "error_event"],
    ...     "time_to_order_placed_ms": [100.0, 300.0, None]})
    >>> slo_attainment(orders, 200).count
    1
    """
    return good_fraction(orders, {"time_to_order_placed_ms": limit_ms}, level)


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
    """
    counted = attempted(orders)
    return share(int(is_good(counted, limits_ms).sum()), len(counted), level)


def is_good(orders: pd.DataFrame, limits_ms: Mapping[str, float]) -> NDArray[np.bool_]:
    """Say for each order whether it was placed and kept every limit."""
    good = is_value(orders["outcome"], PLACED)
    for name, limit in limits_ms.items():
        good &= floats(orders[name]) <= limit
    return good


def is_censored(orders: pd.DataFrame) -> bool:
    """Say whether some orders could only be watched for less long than others."""
    if is_value(orders["outcome"], CANCELLED).any():
        return True
    limits = orders.loc[is_value(orders["outcome"], "timeout"), "order_latency_ms"]
    longest = max(limits.max(), orders["time_to_order_placed_ms"].max(), 0.0)
    return bool(len(limits) and longest > limits.min() * SAME_LIMIT)


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
    placed_ms, latency_ms = (
        floats(orders[name]) for name in ("time_to_order_placed_ms", "order_latency_ms")
    )
    ended_ms = np.where(is_placed, placed_ms, latency_ms)
    t_ms, place = np.unique(ended_ms, return_inverse=True)
    is_watched_to_its_end = ~(is_cancelled | is_timeout)
    size = len(t_ms)
    all_here = np.bincount(place, minlength=size)
    at_risk = len(orders) - np.concatenate([[0], np.cumsum(all_here)[:-1]])[:size]
    placed = np.bincount(place, weights=is_placed, minlength=size)
    ended = np.bincount(place, weights=is_watched_to_its_end, minlength=size)
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
