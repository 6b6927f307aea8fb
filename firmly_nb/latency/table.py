"""The table of a run: every stage with its quantiles, their intervals and what qualifies them.

metrics.md, section 5. Orders that the analyst cancelled are left out of everything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.latency.columns import coded, floats, is_value, places
from firmly_nb.latency.outcomes import wilson
from firmly_nb.latency.quantiles import estimate, in_order_for, quantiles_of_sorted
from firmly_nb.latency.runs import Runs, quantiles_by_run, runs_of
from firmly_nb.latency.stage_times import stage_times
from firmly_nb.outcomes import CANCELLED, PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.quantiles import Quantile

    Floats = NDArray[np.float64]

SHOWN = (0.5, 0.9, 0.95)
ORDER, FIRST_EVENT, HEADERS = "order", "first event", "headers"


def _quantile_columns() -> tuple[Column, ...]:
    columns = []
    for p in SHOWN:
        name = f"p{100 * p:.0f}"
        words = f"the time that {p:.0%} of the orders do not exceed"
        columns += [
            Column(f"{name}_ms", "float64", "ms", f"{words}; null: not estimable"),
            Column(f"{name}_low_ms", "float64", "ms", "its interval, lower end; -inf: open"),
            Column(f"{name}_high_ms", "float64", "ms", "its interval, upper end; inf: open"),
        ]
    return tuple(columns)


LATENCY = Table(
    "latency",
    "one row a stage, then the whole order, the first event and the headers",
    (
        Column("stage", "str", "", "the stage, or what the time runs to"),
        Column("n", "int64", "orders", "orders that completed it"),
        *_quantile_columns(),
        Column("max_ms", "float64", "ms", "the longest"),
        Column("share_of_order", "float64", "", "its part of all time to placed orders"),
        Column("reached", "int64", "orders", "orders that came to its end"),
        Column("attempted", "int64", "orders", "all orders without the cancelled ones"),
        Column("reached_share", "float64", "", "reached / attempted"),
        Column("reached_low", "float64", "", "Wilson interval of it, lower end"),
        Column("reached_high", "float64", "", "Wilson interval of it, upper end"),
        Column("coalesced_share", "float64", "", "ends that share a read with the event before"),
        Column("uncertainty_p99_us", "float64", "µs", "how far off the times can be, p99"),
    ),
)


class _Part(NamedTuple):
    """What one row is made of."""

    stage: str
    values: Floats
    runs: Runs | None
    extra: dict[str, Any]


def latency_table(
    events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame, level: float = 0.95
) -> pd.DataFrame:
    """Return the quantiles of every stage with their intervals.

    Where orders belong to two runs or more, the intervals are those of resampled runs; else they
    are the exact ones of order statistics.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``milestone``, ``coalesced``, ``uncertainty_us``; in order of
        arrival.
    stages
        ``STAGES``: for each order its stages in order.
    orders
        Needs ``recording_id``, ``outcome``, ``time_to_order_placed_ms``,
        ``time_to_first_event_ms``, ``time_to_headers_ms``; ``run_id`` where there are runs.
    level
        The intervals' level.

    Returns
    -------
    pandas.DataFrame
        ``LATENCY``.

    Examples
    --------
    >>> from firmly_nb.latency.stages import STAGES
    >>> import pandas as pd
    >>> nothing = pd.DataFrame({"outcome": []})
    >>> latency_table(pd.DataFrame(), STAGES.empty(), nothing)["stage"].tolist()
    []
    """
    if not len(orders):
        return LATENCY.empty()
    counted = ~is_value(orders["outcome"], CANCELLED)
    attempted = int(counted.sum())
    runs = runs_of(orders)
    parts = [
        *_stage_parts(events, stages, orders, runs),
        *_order_parts(orders, counted, runs),
    ]
    return LATENCY.frame([_row(part, attempted, level) for part in parts])


def _row(part: _Part, attempted: int, level: float) -> dict[str, Any]:
    values = in_order_for(part.values, SHOWN, level)
    found = _quantiles(part, values, level)
    reached = int(part.extra.get("reached", len(values)))
    low, high = wilson(reached, attempted, level)
    row = {
        "stage": part.stage,
        "n": len(values),
        "max_ms": float(values[-1]) if len(values) else None,
        **part.extra,
        "reached": reached,
        "attempted": attempted,
        "reached_share": reached / attempted if attempted else None,
        "reached_low": float(low),
        "reached_high": float(high),
    }
    for q in found:
        row |= {f"{q.name}_ms": q.estimate, f"{q.name}_low_ms": q.low, f"{q.name}_high_ms": q.high}
    return row


def _quantiles(part: _Part, values: Floats, level: float) -> list[Quantile]:
    if part.runs is None:
        return quantiles_of_sorted(values, SHOWN, level)
    return quantiles_by_run(part.values, part.runs.codes, SHOWN, level)


def _order_parts(
    orders: pd.DataFrame, counted: NDArray[np.bool_], runs: Runs | None
) -> list[_Part]:
    """Return the rows of times that run from the request: the order's, and to its first signs."""
    placed = counted & is_value(orders["outcome"], PLACED)
    found = []
    for name, column, mask, share in (
        (ORDER, "time_to_order_placed_ms", placed, 1.0),
        (FIRST_EVENT, "time_to_first_event_ms", counted, None),
        (HEADERS, "time_to_headers_ms", counted, None),
    ):
        if column in orders:
            values = floats(orders[column])[mask]
            found.append(_Part(name, values, runs and runs.of(mask), {"share_of_order": share}))
    return found


def _stage_parts(
    events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame, runs: Runs | None
) -> list[_Part]:
    together = _ends_coalesced(events, stages, orders)
    placed_ms = floats(orders["time_to_order_placed_ms"])
    is_placed = is_value(orders["outcome"], PLACED)
    whole = float(np.nansum(placed_ms[is_placed]))
    parts = []
    for one in stage_times(stages, orders):
        extra = {
            "share_of_order": float(one.times_ms[is_placed[one.orders]].sum()) / whole
            if whole
            else None,
            "coalesced_share": float(together[one.rows].mean()) if len(one.rows) else None,
            "uncertainty_p99_us": _p99(one.uncertainty_us),
        }
        parts.append(_Part(one.name, one.times_ms, runs and runs.at(one.orders), extra))
    return parts


def _p99(values: Floats) -> float | None:
    found = estimate(values, 0.99)
    return None if math.isnan(found) else found


def _ends_coalesced(
    events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame
) -> NDArray[np.bool_]:
    """Say for each stage whether the event that ended it shares its read with the one before."""
    ends, milestones = coded(stages["to_milestone"])
    came, names = coded(events["milestone"])
    number = {name: code for code, name in enumerate(milestones)}
    # The last row and column take what belongs to no stage; their code is -1.
    code_of = np.array([*(number.get(name, -1) for name in names), -1], dtype=np.intp)
    found = np.zeros((len(orders) + 1, len(milestones) + 1), dtype=bool)
    # Of several assignments to one place the last one stays, as the last event counts.
    found[places(orders, events), code_of[came]] = events["coalesced"].to_numpy(bool)
    return np.asarray(found[places(orders, stages), ends], dtype=bool)
