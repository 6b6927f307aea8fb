"""Simulated studies of two sides, A and B, whose truth is known.

Tests and benchmarks draw from here: delays of orders, designs in which A and B take turns or do
not, and what a day, a run or an outage does to the orders of both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from firmly_nb.latency.stages import STAGES

NAMES = ("creating-cart", "item-added", "shipping-updated", "order-placed")
MEDIANS_MS = np.array([100.0, 300.0, 400.0, 200.0])
SIGMA, CORRELATION = 0.26, 0.5  # the whole order's logarithm then has a deviation of 0.21
MORNING = pd.Timestamp("2026-01-05T09:00:00Z")


def delays(rng, n, *, factor=1.0, slow=None, sigma=SIGMA):
    """Draw the delays of n orders in ms, one column a stage.

    ``slow`` is a share of the orders, the name of a stage (or None for all) and a factor.
    """
    z = np.sqrt(CORRELATION) * rng.standard_normal((n, 1))
    z = z + np.sqrt(1 - CORRELATION) * rng.standard_normal((n, len(NAMES)))
    found = MEDIANS_MS * np.exp(sigma * z) * np.reshape(factor, (-1, 1))
    if slow:
        share, stage, times = slow
        columns = list(range(len(NAMES))) if stage is None else [NAMES.index(stage)]
        found[np.ix_(rng.random(n) < share, columns)] *= times
    return found


def tables(delays_ms, *, ids, outcomes="placed", **columns):
    """Return events, stages and orders; one that was not placed ends after half of its stages."""
    n, count = delays_ms.shape
    outcomes = np.resize(np.asarray(outcomes, dtype=object), n)
    names = np.array([f"{ids}{i}" for i in range(n)], dtype=object)
    ends = np.cumsum(delays_ms, axis=1)
    reached = (outcomes == "placed")[:, None] | (np.arange(count) < count // 2)
    stages = STAGES.from_columns(
        {
            "recording_id": np.repeat(names, count),
            "stage": np.tile(NAMES, n),
            "from_milestone": np.tile(("start", *NAMES[:-1]), n),
            "to_milestone": np.tile(NAMES, n),
            "start_ms": np.where(reached, ends - delays_ms, np.nan).ravel(),
            "end_ms": np.where(reached, ends, np.nan).ravel(),
            "duration_ms": np.where(reached, delays_ms, np.nan).ravel(),
            "uncertainty_us": np.full(n * count, 2.0),
        }
    )
    came = reached.ravel()
    events = pd.DataFrame(
        {
            "recording_id": np.repeat(names, count)[came],
            "milestone": pd.Categorical(np.tile(NAMES, n)[came]),
            "coalesced": np.zeros(int(came.sum()), dtype=bool),
            "uncertainty_us": np.ones(int(came.sum())),
        }
    )
    started_s = columns.pop("started_s", np.arange(n))
    orders = pd.DataFrame(
        {
            "recording_id": names,
            "run_id": columns.pop("run_id", "one"),
            "started_at": MORNING + pd.to_timedelta(np.asarray(started_s, dtype=float), unit="s"),
            "environment": "simulator",
            "domain": columns.pop("domain", "a.test"),
            "n_items": columns.pop("n_items", 1),
            "outcome": pd.Categorical(outcomes),
            "time_to_order_placed_ms": np.where(outcomes == "placed", ends[:, -1], np.nan),
            **columns,
        }
    )
    return events, stages, orders


def outcomes_of(rng, n, success=0.98):
    """Draw how orders end."""
    return np.where(rng.random(n) < success, "placed", "timeout").astype(object)


def turns(rng, n, m=None, runs=1):
    """Return for each run in which places A's and B's orders stand, in a random order."""
    m = n if m is None else m
    places = [rng.permutation(n + m) for _ in range(runs)]
    return [(np.sort(one[:n]), np.sort(one[n:])) for one in places]


def interleaved(rng, n, *, m=None, runs=1, a=None, b=None, level=None, success=0.98, **columns):
    """Draw both sides, their orders taking turns within shared runs.

    Parameters
    ----------
    n, m
        Orders of A and of B in each run.
    a, b
        Options of ``delays`` for each side; ``success`` among them.
    level
        Factor of each order, of both sides, by run and place: an array of runs by n + m.
    """
    order = turns(rng, n, m, runs)
    sides = []
    for number, (ids, given) in enumerate((("a", a), ("b", b))):
        options = dict(given or {})
        rate = options.pop("success", success)
        places = [one[number] for one in order]
        size = len(places[0])
        day = (
            np.concatenate([level[r][p] for r, p in enumerate(places)]) if level is not None else 1
        )
        factor = np.broadcast_to(options.pop("factor", 1.0), runs * size) * day
        started = np.concatenate([3600 * r + p for r, p in enumerate(places)])
        sides.append(
            tables(
                delays(rng, runs * size, factor=factor, **options),
                ids=ids,
                outcomes=outcomes_of(rng, runs * size, rate),
                run_id=np.repeat([f"run {r}" for r in range(runs)], size),
                started_s=started,
                **columns,
            )
        )
    return tuple(sides)


def in_runs(rng, sides, n, *, level=None, a=None, b=None, success=0.98):
    """Draw runs of one side each, one after another: ``"ab"`` is a run of A and then one of B.

    ``level`` is the factor of each run, ``success`` the rate of each or of all.
    """
    level = np.ones(len(sides)) if level is None else np.asarray(level)
    success = np.broadcast_to(success, len(sides))
    found = []
    for ids, options in (("a", a or {}), ("b", b or {})):
        mine = [at for at, side in enumerate(sides) if side == ids]
        factor = np.repeat(level[mine], n) * options.get("factor", 1.0)
        rest = {name: value for name, value in options.items() if name != "factor"}
        found.append(
            tables(
                delays(rng, n * len(mine), factor=factor, **rest),
                ids=ids,
                outcomes=np.concatenate([outcomes_of(rng, n, success[at]) for at in mine]),
                run_id=np.repeat([f"run {at}" for at in mine], n),
                started_s=np.concatenate([3600 * at + np.arange(n) for at in mine]),
            )
        )
    return tuple(found)


def without(side, *columns):
    """Return a side whose orders lack some columns."""
    return side[0], side[1], side[2].drop(columns=list(columns))


def changed(side, **columns):
    """Return a side whose orders have other columns."""
    return side[0], side[1], side[2].assign(**columns)


def together(side, other):
    """Return both as one side; the other's orders came later."""
    other = changed(other, started_at=other[2]["started_at"] + pd.Timedelta(1, "D"))
    ids = [table.assign(recording_id=table["recording_id"] + " later") for table in other]
    return tuple(pd.concat(pair, ignore_index=True) for pair in zip(side, ids, strict=True))
