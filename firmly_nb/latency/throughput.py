"""Orders per second, and how many were open at a time (metrics.md, section 4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.columns import floats
from firmly_nb.latency.completion import is_good
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

CONCURRENCY = Table(
    "concurrency",
    "one row a moment at which an order began or ended",
    (
        Column("at", "datetime64[ns, UTC]", "", "that moment"),
        Column("open", "int64", "orders", "orders open from then on"),
    ),
)


def throughput(orders: pd.DataFrame) -> float:
    """Return placed orders per second, from the first start to the last end; of none, unknown.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at``, ``order_latency_ms``.
    """
    return goodput(orders, {})


def goodput(orders: pd.DataFrame, limits_ms: Mapping[str, float]) -> float:
    """Return the orders per second that were placed and kept every limit.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at``, ``order_latency_ms`` and the limited columns.
    limits_ms
        The most that a column of ``orders`` may be, in ms.
    """
    window = _window_s(orders)
    return int(is_good(orders, limits_ms).sum()) / window if window > 0 else math.nan


def concurrency(orders: pd.DataFrame) -> pd.DataFrame:
    """Return how many orders were open, from moment to moment; see ``CONCURRENCY``."""
    begins, ends = _spans_ns(orders)
    moments = np.concatenate([begins, ends])
    steps = np.concatenate([np.ones(len(begins), int), -np.ones(len(ends), int)])
    # One that begins at the moment at which another ends comes after it.
    order = np.lexsort((steps, moments))
    return CONCURRENCY.from_columns({"at": moments[order], "open": np.cumsum(steps[order])})


def _spans_ns(orders: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    begins = orders["started_at"].dt.as_unit("ns").astype("int64").to_numpy()
    lasted = (floats(orders["order_latency_ms"]) * 1e6).astype(np.int64)
    return begins, begins + lasted


def _window_s(orders: pd.DataFrame) -> float:
    if not len(orders):
        return 0.0
    begins, ends = _spans_ns(orders)
    return float(ends.max() - begins.min()) / 1e9
