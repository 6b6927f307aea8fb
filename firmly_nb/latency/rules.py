"""Rules that speak up: what someone who reads a table of times should know before she believes it.

metrics.md, section 5. Each rule is a sentence with numbers, or nothing where nothing is amiss. The
rules that test something alarm at one in a hundred, each; a test measures how often any of them
speaks where nothing is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.columns import floats, is_value
from firmly_nb.latency.grid import whole_ms
from firmly_nb.latency.modes import two_modes
from firmly_nb.latency.quantiles import estimate, values_needed
from firmly_nb.latency.runs import ENOUGH_RUNS, design_effect, runs_of
from firmly_nb.latency.stage_times import StageTimes, stage_times
from firmly_nb.latency.within_run import drift_within, warm_up
from firmly_nb.outcomes import PLACED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PART = 0.05  # of a stage: errors and lags above it, and shares of coalesced events
ALIKE = 1.5  # design effect from which the runs' likeness is told


def sentences(events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame) -> list[str]:
    """Return what should be known before the times are believed; empty where nothing is amiss.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``coalesced``.
    stages
        ``STAGES``.
    orders
        Needs ``recording_id``, ``outcome``, ``started_at``, ``time_to_order_placed_ms``,
        ``time_to_headers_ms``, ``schedule_lag_ms``; ``run_id`` where there are runs.

    Examples
    --------
    >>> from firmly_nb.latency.stages import STAGES
    >>> import pandas as pd
    >>> EVENTS = pd.DataFrame({"recording_id": ["a"], "coalesced": [False]})
    >>> orders = pd.DataFrame({"recording_id": ["a"], "outcome": "placed",
    ...     "started_at": pd.Timestamp("2026-01-01", tz="UTC"), "time_to_order_placed_ms": 900.0})
    >>> sentences(EVENTS, STAGES.empty(), orders)
    ['Too few orders for p95: 72 placed orders are needed, there are 1.']
    """
    if not len(orders):
        return []
    parts = [part for part in stage_times(stages, orders) if len(part.times_ms)]
    found = [
        *_few_orders(orders),
        *_warm_up(orders),
        *_drift(orders),
        *_runs(orders),
        *_modes(parts),
        *_error_bounds(parts),
        *_lag(orders, parts),
        *_coalesced(events),
        *_out_of_order(parts),
    ]
    return list(found)


def _placed(orders: pd.DataFrame) -> Floats:
    return floats(orders["time_to_order_placed_ms"])[is_value(orders["outcome"], PLACED)]


def _few_orders(orders: pd.DataFrame) -> Iterator[str]:
    n, needed = int((~np.isnan(_placed(orders))).sum()), values_needed(0.95)
    if n < needed:
        yield f"Too few orders for p95: {needed} placed orders are needed, there are {n}."


def _warm_up(orders: pd.DataFrame) -> Iterator[str]:
    for column, words in (
        ("time_to_headers_ms", "to the headers"),
        ("time_to_order_placed_ms", "to order-placed"),
    ):
        found = warm_up(orders, column) if column in orders else None
        if found:
            which = "the first order" if found.runs == 1 else f"first orders of {found.runs} runs"
            yield (
                f"Warm-up: {which} took {found.first_ms / found.others_ms:.1f} times as long "
                f"{words} as the others ({whole_ms(found.first_ms)} against "
                f"{whole_ms(found.others_ms)} ms)."
            )
            return


def _drift(orders: pd.DataFrame) -> Iterator[str]:
    found = drift_within(orders)
    if found:
        word = "slower" if found.ratio > 1 else "faster"
        yield (
            f"Drift within the run: orders grew {word}, the last third took {found.ratio:.2f} "
            f"times as long as the first."
        )


def _runs(orders: pd.DataFrame) -> Iterator[str]:
    placed = orders[is_value(orders["outcome"], PLACED)]
    runs = runs_of(placed) if len(placed) else None
    if runs is None:
        return
    count = len(runs.names)
    if count < ENOUGH_RUNS:
        yield f"Few runs: {count}; intervals by whole runs become useful from {ENOUGH_RUNS} on."
    times = np.log(np.maximum(floats(placed["time_to_order_placed_ms"]), 1e-3))
    effect = design_effect(times, runs.codes)
    if effect > ALIKE:
        yield (
            f"Runs differ: {len(placed):,} orders of {count} runs tell as much as "
            f"{len(placed) / effect:,.0f} independent ones (design effect {effect:.1f})."
        )


def _modes(parts: list[StageTimes]) -> Iterator[str]:
    for part in parts:
        found = two_modes(part.times_ms)
        if found:
            yield (
                f"Two modes: {part.name} takes {found.ratio:.1f} times as long in "
                f"{found.slow_share:.0%} of the orders ({whole_ms(found.slow_ms)} against "
                f"{whole_ms(found.quick_ms)} ms)."
            )


def _error_bounds(parts: list[StageTimes]) -> Iterator[str]:
    for part in parts:
        bound_ms = estimate(part.uncertainty_us, 0.99) / 1000
        if bound_ms > PART * part.median_ms:
            yield (
                f"Error bound: times of {part.name} can be off by {whole_ms(bound_ms)} ms (p99), "
                f"more than {PART:.0%} of its median of {whole_ms(part.median_ms)} ms."
            )


def _lag(orders: pd.DataFrame, parts: list[StageTimes]) -> Iterator[str]:
    if "schedule_lag_ms" not in orders:
        return
    lag = estimate(floats(orders["schedule_lag_ms"]), 0.99)
    shortest = min(parts, key=lambda part: part.median_ms, default=None)
    if shortest is not None and lag > PART * shortest.median_ms:
        yield (
            f"Lag: orders started up to {whole_ms(lag)} ms after their time (p99), more than "
            f"{PART:.0%} of {shortest.name} ({whole_ms(shortest.median_ms)} ms); "
            f"scheduled_order_latency_ms counts it in."
        )


def _coalesced(events: pd.DataFrame) -> Iterator[str]:
    together = events["coalesced"].to_numpy(bool)
    # The first event of an order has none before it.
    others = len(events) - events["recording_id"].nunique()
    share = together.sum() / others if others else 0.0
    if share > PART:
        yield (
            f"Coalesced: {share:.0%} of the events share a read with the one before; the gaps "
            f"before them are not known, only bounded."
        )


def _out_of_order(parts: list[StageTimes]) -> Iterator[str]:
    for part in parts:
        count = int((part.times_ms < 0).sum())
        if count:
            yield (
                f"Out of order: {part.name} came before the milestone that it follows in {count:,} "
                f"of {len(part.times_ms):,} orders; its negative times are kept."
            )
