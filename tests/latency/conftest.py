"""Orders whose true delay distribution is known: drawn from the simulator's own profiles.

The draw is that of ``firmly_nb.sim.behaviour``, for many orders at once; a test compares the two.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from firmly_nb.latency.stages import STAGES as STAGES_TABLE
from firmly_nb.recorder.tables import EVENTS, ORDERS
from firmly_nb.sim.behaviour import PROFILES, STAGES

NAMES = list(STAGES)


def draw_delays(rng, n, profile="typical", slower=None):
    """Draw the delays of n orders with one item, one column a stage, in ms."""
    chosen = PROFILES[profile]
    shared = rng.standard_normal(n)
    found = np.empty((n, len(NAMES)))
    for column, stage in enumerate(NAMES):
        delay = chosen.delays[stage]
        z = math.sqrt(chosen.correlation) * shared
        z += math.sqrt(1 - chosen.correlation) * rng.standard_normal(n)
        is_slow = rng.random(n) < delay.slow_share
        found[:, column] = delay.median_ms * np.exp(delay.sigma * z)
        found[:, column] *= np.where(is_slow, delay.slow_factor, 1.0)
        found[:, column] *= (slower or {}).get(stage, 1.0)
    return found


def make_tables(delays, outcomes=None, run_ids=None, ids="r", per_s=1.0):
    """Return events, stages and orders of orders with these delays; failed ones end half-way."""
    n, count = delays.shape
    recording_ids = np.array([f"{ids}{i}" for i in range(n)], dtype=object)
    outcomes = np.array(["placed"] * n if outcomes is None else outcomes, dtype=object)
    ends = np.cumsum(delays, axis=1)
    reached = np.where((outcomes == "placed")[:, None], True, np.arange(count) < count // 2)
    per_stage = {
        "recording_id": np.repeat(recording_ids, count),
        "stage": np.tile(NAMES, n),
        "from_milestone": np.tile(["start", *NAMES[:-1]], n),
        "to_milestone": np.tile(NAMES, n),
        "start_ms": np.where(reached, ends - delays, np.nan).ravel(),
        "end_ms": np.where(reached, ends, np.nan).ravel(),
        "duration_ms": np.where(reached, delays, np.nan).ravel(),
        "uncertainty_us": np.where(reached, 2.0, np.nan).ravel(),
        "coalesced": np.zeros(reached.size, dtype=bool),
        "gathered": np.zeros(reached.size, dtype=bool),
    }
    stages = STAGES_TABLE.from_columns(per_stage)
    came = reached.ravel()
    events = pd.DataFrame(
        {
            "recording_id": per_stage["recording_id"][came],
            "seq": np.tile(np.arange(1, count + 1), n)[came],
            "event": per_stage["stage"][came],
            "milestone": pd.Categorical(per_stage["stage"][came]),
            "t_ms": ends.ravel()[came],
            "coalesced": np.zeros(int(came.sum()), dtype=bool),
            "uncertainty_us": np.full(int(came.sum()), 1.0),
        }
    )
    begun = pd.Timestamp("2026-01-05T09:00:00Z")
    is_placed = outcomes == "placed"
    orders = pd.DataFrame(
        {
            "recording_id": recording_ids,
            "run_id": pd.Series(run_ids if run_ids is not None else [None] * n, dtype="str"),
            "started_at": begun + pd.to_timedelta(np.arange(n) / per_s, unit="s"),
            "environment": "simulator",
            "domain": "a.test",
            "outcome": pd.Categorical(outcomes),
            "time_to_headers_ms": rng_of(delays).uniform(0.5, 1.5, n),
            "time_to_first_event_ms": ends[:, 0],
            "time_to_order_placed_ms": np.where(is_placed, ends[:, -1], np.nan),
            "scheduled_time_to_order_placed_ms": np.where(is_placed, ends[:, -1] + 0.2, np.nan),
            "order_latency_ms": np.where(is_placed, ends[:, -1], ends[:, count // 2 - 1]) + 0.5,
            "schedule_lag_ms": np.full(n, 0.2),
        }
    )
    assert set(orders) <= set(ORDERS.names)
    assert set(events) <= set(EVENTS.names)
    return events, stages, orders


def rng_of(values):
    """Return a generator that depends on nothing but the values."""
    return np.random.default_rng(int(abs(values).sum()) % 2**32)


@pytest.fixture(scope="session")
def delays():
    return draw_delays


@pytest.fixture(scope="session")
def tables():
    return make_tables
