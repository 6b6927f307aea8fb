"""Tables of made-up orders of any number: two merchants, failures of each kind, runs.

Also what ``python -m benchmarks.charts`` draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from firmly_nb.latency.caveats import claims
from firmly_nb.latency.stages import STAGES
from firmly_nb.recorder.tables import EVENT_TIMES, ORDERS

MILESTONES = np.array(["creating-cart", "item-added", "shipping-updated", "order-placed"], object)
MEDIAN_MS, SIGMA = np.array([100.0, 400.0, 500.0, 220.0]), np.array([0.25, 0.35, 0.4, 0.3])
FAILURES = np.array(["error_event", "timeout", "incomplete", "http_error"], object)


@dataclass
class Made:
    """What charts and reports ask for."""

    orders: pd.DataFrame
    stages: pd.DataFrame
    event_times: pd.DataFrame
    warnings: list[str] = field(default_factory=list)

    def __iter__(self):
        return iter(())

    @property
    def caveats(self):
        return claims(self.event_times, self.stages, self.orders).table


def made_orders(
    n, *, seed=7, failures=0.05, domains=("a.test", "b.test"), runs=1, code="ErrorPaymentDeclined"
):
    """Make orders; the second merchant is slow in shipping-updated."""
    draw = np.random.default_rng(seed)
    domain = draw.integers(len(domains), size=n)
    durations = MEDIAN_MS * np.exp(SIGMA * draw.standard_normal((n, 4)))
    durations[:, 2] *= np.where(domain == 1, 2.4, 1.0)
    ends = durations.cumsum(axis=1)
    is_lost = draw.random(n) < failures
    kind = draw.choice(FAILURES, n)
    reached = np.where(is_lost, draw.integers(0, 4, n), 4)
    last = np.where(reached > 0, ends[np.arange(n), np.maximum(reached - 1, 0)], 0.0)
    last = np.where(is_lost & (kind == "timeout"), 20_000.0, last + np.where(is_lost, 90.0, 0.0))
    run = np.arange(n) * runs // n
    since_ns = (draw.exponential(2.0, n).cumsum() * 1e9).astype(np.int64) + run * 3_600 * 10**9
    ids = np.array([f"{seed:04x}{i:028x}" for i in range(n)], object)
    null, none = np.full(n, np.nan), np.full(n, None)
    orders = ORDERS.from_columns(
        dict.fromkeys(ORDERS.names, none)
        | {name: null for name in ORDERS.names if name.endswith("_ms")}
        | {
            "recording_id": ids,
            "run_id": np.array([f"run {r}" for r in run], object) if runs > 1 else none,
            "started_at": pd.Timestamp("2026-11-23 10:00", tz="UTC").as_unit("ns")
            + pd.to_timedelta(since_ns, unit="ns"),
            "environment": np.full(n, "simulator"),
            "domain": np.array(domains, object)[domain],
            "n_items": np.ones(n, int),
            "quantity": np.ones(n, int),
            "outcome": np.where(is_lost, kind, "placed"),
            "error_code": np.where(is_lost & (kind == "error_event"), code, None),
            "order_number": np.where(is_lost, None, np.array([str(i) for i in range(n)], object)),
            "http_status": np.full(n, 200),
            "last_milestone": np.array([None, *MILESTONES], object)[reached],
            "time_to_headers_ms": np.full(n, 20.0),
            "time_to_first_event_ms": np.where(reached > 0, ends[:, 0], np.nan),
            "time_to_order_placed_ms": np.where(is_lost, np.nan, ends[:, 3]),
            "order_latency_ms": last,
            "total_minor": draw.lognormal(8.2, 0.6, n).astype(int),
            "currency": np.full(n, "USD"),
            "connection": np.full(n, "warm"),
        }
    )
    return Made(orders, *_rows(ids, durations, ends, reached))


def _rows(ids, durations, ends, reached):
    """Return the stages and the events of the orders."""
    n = len(ids)
    came = (np.arange(4) < reached[:, None]).ravel()
    starts = np.column_stack([np.zeros(n), ends[:, :3]])
    stages = STAGES.from_columns(
        {
            "recording_id": np.repeat(ids, 4),
            "stage": np.tile(MILESTONES, n),
            "from_milestone": np.tile(np.array(["start", *MILESTONES[:3]], object), n),
            "to_milestone": np.tile(MILESTONES, n),
            "start_ms": np.where(came, starts.ravel(), np.nan),
            "end_ms": np.where(came, ends.ravel(), np.nan),
            "duration_ms": np.where(came, durations.ravel(), np.nan),
            "uncertainty_us": np.where(came, 60.0, np.nan),
            "coalesced": np.zeros(came.size, dtype=bool),
            "gathered": np.zeros(came.size, dtype=bool),
        }
    )
    rows = int(came.sum())
    events = EVENT_TIMES.from_columns(
        {name: np.full(rows, None) for name in EVENT_TIMES.names}
        | {
            "recording_id": np.repeat(ids, 4)[came],
            "seq": np.tile(np.arange(1, 5), n)[came],
            "event": np.tile(MILESTONES, n)[came],
            "milestone": np.tile(MILESTONES, n)[came],
            "t_ms": ends.ravel()[came],
            "gap_ms": durations.ravel()[came],
            "at": np.full(rows, pd.Timestamp("2026-11-23", tz="UTC")),
            "clock": np.full(rows, "kernel"),
            "uncertainty_us": np.full(rows, 60.0),
            "coalesced": np.zeros(rows, bool),
            "read_no": np.ones(rows, int),
            "bytes": np.full(rows, 900),
        }
    )
    return stages, events
