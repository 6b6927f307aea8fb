"""How orders ended: shares with Wilson intervals, and how far they came.

metrics.md, sections 3 and 4. ``attempted`` is the number of orders without those that the analyst
cancelled; failures stay in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.latency.columns import coded, is_value, places
from firmly_nb.outcomes import CANCELLED, KNOWN, PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

OUTCOMES = Table(
    "outcomes",
    "one row an outcome that occurred; placed always",
    (
        Column("outcome", "str", "", f"one of {', '.join(KNOWN)}"),
        Column("count", "int64", "orders", "orders that ended so"),
        Column("attempted", "int64", "orders", "all orders without the cancelled ones"),
        Column("share", "float64", "", "count / attempted; null for cancelled"),
        Column("low", "float64", "", "Wilson interval of the share, lower end"),
        Column("high", "float64", "", "Wilson interval of the share, upper end"),
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
        Column("low", "float64", "", "Wilson interval of the conversion, lower end"),
        Column("high", "float64", "", "Wilson interval of the conversion, upper end"),
        Column("share", "float64", "", "reached / attempted: the product of the conversions"),
        Column("share_low", "float64", "", "Wilson interval of the share, lower end"),
        Column("share_high", "float64", "", "Wilson interval of the share, upper end"),
    ),
)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of orders with its interval."""

    count: int
    of: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.of:
            return "no orders"
        return f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%}; {self.count} of {self.of})"


def wilson(k: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return Wilson's interval of the share k / n; without orders, from 0 to 1.

    Parameters
    ----------
    k, n
        How many of how many; numbers or arrays, also fractions (effective numbers).
    level
        How often such intervals hold the true share.

    Examples
    --------
    >>> low, high = wilson(190, 200)
    >>> round(float(low), 3), round(float(high), 3)
    (0.91, 0.973)
    """
    from scipy.special import ndtri

    n = np.asarray(n, dtype=np.float64)
    some = np.where(n > 0, n, 1.0)
    p, z2 = np.asarray(k, dtype=np.float64) / some, ndtri(0.5 + level / 2) ** 2
    half = np.sqrt(z2 * p * (1 - p) / some + z2**2 / (4 * some**2))
    middle, scale = p + z2 / (2 * some), 1 + z2 / some
    low = np.where(n > 0, np.where(p <= 0, 0.0, (middle - half) / scale), 0.0)
    high = np.where(n > 0, np.where(p >= 1, 1.0, (middle + half) / scale), 1.0)
    return low, high


def share(k: int, n: int, level: float = 0.95) -> Share:
    """Return k / n with Wilson's interval; the share of none is unknown.

    Examples
    --------
    >>> print(share(190, 200))
    95.0% (91.0% to 97.3%; 190 of 200)
    """
    low, high = wilson(k, n, level)
    return Share(k, n, k / n if n else np.nan, float(low), float(high))


def attempted(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that count: all but the cancelled ones."""
    return orders[~is_value(orders["outcome"], CANCELLED)]


def success_rate(orders: pd.DataFrame, level: float = 0.95) -> Share:
    """Return the share of attempted orders that were placed.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"outcome": ["placed", "placed", "timeout", "cancelled"]})
    >>> success_rate(orders).of
    3
    """
    counted = attempted(orders)
    return share(int(is_value(counted["outcome"], PLACED).sum()), len(counted), level)


def outcome_table(orders: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Count how orders ended; each share of the attempted ones has its Wilson interval.

    Parameters
    ----------
    orders
        Needs ``outcome``.
    level
        The intervals' level.

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
    found = orders["outcome"].value_counts()
    counts = {str(name): int(count) for name, count in found.items() if count}
    names = [name for name in KNOWN if name == PLACED or name in counts]
    names += sorted(set(counts) - set(KNOWN))
    n = sum(counts.values()) - counts.get(CANCELLED, 0)
    rows = []
    for name in names:
        row: dict[str, Any] = {"outcome": name, "count": counts.get(name, 0), "attempted": n}
        if name != CANCELLED and n:
            found_share = share(row["count"], n, level)
            row |= {"share": found_share.share, "low": found_share.low, "high": found_share.high}
        rows.append(row)
    return OUTCOMES.frame(rows)


def funnel(stages: pd.DataFrame, orders: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Count how far orders came: of those that reached a milestone, how many reached the next.

    An order that reached a later milestone has reached the ones before it, also where their events
    did not come; ``seen`` counts those whose own event came. With two vocabularies of events in
    the data the milestones of the rarer one are not shown: filter the orders to see them.

    Parameters
    ----------
    stages
        Needs ``recording_id``, ``to_milestone``, ``end_ms``; milestones in order for each order.
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
    counted = attempted(orders)
    seen, names = _seen(stages, counted)
    reached = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1].sum(axis=0)
    n = int(seen.shape[0])
    came_from = np.concatenate([[n], reached[:-1]])[: len(names)]
    low, high = wilson(reached, came_from, level)
    share_low, share_high = wilson(reached, n, level)
    return FUNNEL.from_columns(
        {
            "milestone": names,
            "came_from": came_from,
            "reached": reached,
            "seen": seen.sum(axis=0),
            "conversion": _ratio(reached, came_from),
            "low": low,
            "high": high,
            "share": _ratio(reached, np.full(len(names), n)),
            "share_low": share_low,
            "share_high": share_high,
        }
    )


def _ratio(k: NDArray[np.int64], n: NDArray[np.int64]) -> Floats:
    found: Floats = np.divide(k, n, out=np.full(len(k), np.nan), where=n > 0)
    return found


def _seen(stages: pd.DataFrame, orders: pd.DataFrame) -> tuple[NDArray[np.bool_], list[str]]:
    """Return, order by milestone, whether the milestone's event came; and the milestones' names."""
    ids, names = coded(stages["to_milestone"])
    # Rows of a recording stand together, its milestones in order.
    place = places(orders, stages)
    common = _common_vocabulary(ids, place)
    column = np.full(len(names), -1)
    column[common] = np.arange(len(common))
    wanted = (place >= 0) & (column[ids] >= 0) if len(ids) else np.zeros(0, bool)
    seen = np.zeros((len(orders), len(common)), dtype=bool)
    came = stages["end_ms"].notna().to_numpy(bool)[wanted]
    seen[place[wanted], column[ids[wanted]]] = came
    speaks = np.zeros(len(orders), dtype=bool)
    speaks[place[wanted]] = True
    return seen[speaks | _without_stages(place, len(orders))], [names[i] for i in common]


def _without_stages(place: NDArray[np.intp], n: int) -> NDArray[np.bool_]:
    absent = np.ones(n, dtype=bool)
    absent[place[place >= 0]] = False
    return absent


def _common_vocabulary(ids: NDArray[np.intp], place: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the milestones, in order, of the sequence that most orders have."""
    if not len(ids):
        return ids
    begins = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    first = np.bincount(ids[begins])
    start = begins[np.argmax(ids[begins] == first.argmax())]
    end = np.searchsorted(begins, start, side="right")
    stop = begins[end] if end < len(begins) else len(ids)
    return ids[start:stop]
