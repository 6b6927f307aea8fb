"""Made-up studies whose truth is known: how long orders take, which are placed, when they start.

All is drawn by numpy, and becomes recordings by ``fnb.from_events``; so what is measured with them
goes the way of a user's own data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

import firmly_nb as fnb
from firmly_nb.latency.stages import STAGES as STAGES_OF_ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = np.random.Generator
    Shape = Callable[[Draw, int], Floats]

MEDIAN_MS, SIGMA = 1_000.0, 0.21
SUCCESS = 0.98
CONTROL = "control.test"
STAGES = ("creating-cart", "item-added", "shipping-updated", "order-placed")
STAGE_MS, STAGE_SIGMA = np.array([100.0, 400.0, 500.0, 220.0]), np.array([0.25, 0.35, 0.4, 0.3])
BEGIN = pd.Timestamp("2026-11-23 09:00", tz="UTC")
NO_EVENTS = pd.DataFrame({"recording_id": [], "event": [], "t_ms": []}).astype(
    {"recording_id": str, "event": str, "t_ms": float}
)


# How long an order takes.


def lognormal(draw: Draw, n: int, sigma: float = SIGMA) -> Floats:
    """Return times whose logarithms are normal."""
    return MEDIAN_MS * np.exp(sigma * draw.standard_normal(n))


def wide(draw: Draw, n: int) -> Floats:
    """Return the same, more spread out."""
    return lognormal(draw, n, 0.4)


def slow_mode(draw: Draw, n: int, share: float = 0.08, factor: float = 4.0) -> Floats:
    """Return times of which some are several times longer."""
    return lognormal(draw, n) * np.where(draw.random(n) < share, factor, 1.0)


def pareto(draw: Draw, n: int) -> Floats:
    """Return times with a heavy tail."""
    return 500.0 * (1.0 + draw.pareto(1.2, n))


def ties(draw: Draw, n: int) -> Floats:
    """Return times in whole steps of 50 ms."""
    return np.round(lognormal(draw, n) / 50.0) * 50.0


def alike(draw: Draw, n: int, rho: float = 0.6) -> Floats:
    """Return standard normal values of which each goes along with the one before: AR(1)."""
    steps = draw.standard_normal(n) * np.sqrt(1.0 - rho**2)
    steps[:1] /= np.sqrt(1.0 - rho**2)
    found: Floats = lfilter([1.0], [1.0, -rho], steps)
    return found


def autocorrelated(draw: Draw, n: int) -> Floats:
    """Return times of which each goes along with the one before."""
    return MEDIAN_MS * np.exp(SIGMA * alike(draw, n))


def trend(draw: Draw, n: int) -> Floats:
    """Return times that grow by 40% from the first order to the last."""
    return lognormal(draw, n) * np.linspace(1.0, 1.4, n)


def of_stages(draw: Draw, n: int) -> Floats:
    """Return the times of the four stages, one row an order."""
    return STAGE_MS * np.exp(STAGE_SIGMA * draw.standard_normal((n, 4)))


def placed_alike(draw: Draw, n: int, share: float = 0.9) -> NDArray[np.bool_]:
    """Return which orders are placed, where each goes along with the one before."""
    found: NDArray[np.bool_] = ndtr(alike(draw, n)) < share
    return found


# A study: orders in order of their start.


@dataclass
class Study:
    """Orders as columns.

    Attributes
    ----------
    ms
        Time to the order, or one row an order and one column a stage.
    placed
        Which are placed; the others time out.
    run
        Number of each order's run; None where there are no runs.
    start_s
        Starts, in seconds.
    domain, items
        Merchant and number of items of each.
    """

    ms: Floats
    placed: NDArray[np.bool_]
    run: NDArray[np.int64] | None
    start_s: Floats
    domain: Any = "a.test"
    items: Any = 1
    more: dict[str, Any] = field(default_factory=dict)

    def recordings(self, name: str) -> fnb.Recordings:
        """Return recordings of it, their ids made of a name."""
        n = len(self.placed)
        ids = np.array([f"{name}{i}" for i in range(n)], dtype=object)
        orders = pd.DataFrame(
            {
                "recording_id": ids,
                "outcome": np.where(self.placed, "placed", "timeout"),
                "started_at": BEGIN + pd.to_timedelta(self.start_s, unit="s"),
                "domain": self.domain,
                "n_items": self.items,
                **self.more,
            }
        )
        if self.run is not None:
            orders["run_id"] = [f"run {number}" for number in self.run]
        if self.ms.ndim == 1:
            times = np.where(self.placed, self.ms, np.nan)
            return fnb.from_events(NO_EVENTS, orders.assign(time_to_order_placed_ms=times))
        kept = np.repeat(self.placed, 4) | (np.tile(np.arange(4), n) < 3)
        events = pd.DataFrame(
            {
                "recording_id": np.repeat(ids, 4),
                "event": np.tile(STAGES, n),
                "t_ms": self.ms.cumsum(axis=1).ravel(),
            }
        )
        return fnb.from_events(events[kept], orders)

    def tables(self, name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return the same as events, stages and orders: what is read of recordings, at once."""
        n = len(self.placed)
        ids = np.array([f"{name}{i}" for i in range(n)], dtype=object)
        whole = self.ms if self.ms.ndim == 1 else self.ms.sum(axis=1)
        orders: dict[str, Any] = {
            "recording_id": ids,
            "outcome": pd.Categorical(np.where(self.placed, "placed", "timeout")),
            "started_at": BEGIN + pd.to_timedelta(self.start_s, unit="s"),
            "domain": self.domain,
            "n_items": self.items,
            "time_to_order_placed_ms": np.where(self.placed, whole, np.nan),
        }
        if self.run is not None:
            orders["run_id"] = [f"run {number}" for number in self.run]
        events = pd.DataFrame({"recording_id": pd.Series([], dtype=str), "coalesced": []})
        if self.ms.ndim == 1:
            return events, STAGES_OF_ORDERS.empty(), pd.DataFrame(orders)
        ends = self.ms.cumsum(axis=1)
        came = self.placed[:, None] | (np.arange(4) < 3)
        stages = STAGES_OF_ORDERS.from_columns(
            {
                "recording_id": np.repeat(ids, 4),
                "stage": np.tile(STAGES, n),
                "from_milestone": np.tile(["start", *STAGES[:-1]], n),
                "to_milestone": np.tile(STAGES, n),
                "start_ms": np.where(came, ends - self.ms, np.nan).ravel(),
                "end_ms": np.where(came, ends, np.nan).ravel(),
                "duration_ms": np.where(came, self.ms, np.nan).ravel(),
                "uncertainty_us": np.where(came, 0.0, np.nan).ravel(),
                "coalesced": np.zeros(4 * n, dtype=bool),
                "gathered": np.zeros(4 * n, dtype=bool),
            }
        )
        return events, stages, pd.DataFrame(orders)

    def part(self, which: NDArray[np.bool_]) -> Study:
        """Return some of its orders."""
        return Study(
            self.ms[which],
            self.placed[which],
            None if self.run is None else self.run[which],
            self.start_s[which],
            self.domain if isinstance(self.domain, str) else self.domain[which],
            self.items if isinstance(self.items, int) else self.items[which],
            {name: values[which] for name, values in self.more.items()},
        )


def one(draw: Draw, n: int, shape: Shape = lognormal, success: float = 0.98) -> Study:
    """Return a study of one run, an order each second."""
    ms = shape(draw, n)
    return Study(ms, draw.random(n) < success, np.zeros(n, np.int64), np.arange(n, dtype=float))


def runs(
    draw: Draw, count: int, size: int, icc: float, success: tuple[float, float] = (0.9, 0.3)
) -> Study:
    """Return a study of several runs an hour apart.

    Parameters
    ----------
    draw
        The generator.
    count, size
        Runs, and orders of each.
    icc
        Part of the variance of log times that is between runs.
    success
        Share of placed orders, and the part of its variance that is between runs.
    """
    run = np.repeat(np.arange(count), size)
    between = SIGMA * np.sqrt(icc / (1 - icc)) * draw.standard_normal(count)
    mean, alike_ = success
    scale = (1 - alike_) / alike_
    share = draw.beta(mean * scale, (1 - mean) * scale, count)
    return Study(
        lognormal(draw, count * size) * np.exp(between[run]),
        draw.random(count * size) < share[run],
        run,
        run * 3_600.0 + np.tile(np.arange(size, dtype=float), count),
        more={},
    )


# Two sides of a comparison.


Pair = tuple[Study, Study]


def in_turn(draw: Draw, n: int, m: int) -> NDArray[np.bool_]:
    """Return which orders of a run are B's: blocks with both sides, in random order within."""
    sides = [
        draw.permutation(np.arange(len(a) + len(b)) >= len(a))
        for a, b in zip(
            np.array_split(np.arange(n), max(min(n, m) // 10, 1)),
            np.array_split(np.arange(m), max(min(n, m) // 10, 1)),
            strict=True,
        )
    ]
    return np.concatenate(sides)


def shared_runs(
    draw: Draw, count: int, n: int, m: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Floats]:
    """Return run, side and start of orders of both sides in shared runs, an hour apart."""
    is_b = np.concatenate([in_turn(draw, n, m) for _ in range(count)])
    run = np.repeat(np.arange(count), n + m)
    start_s = run * 3_600.0 + np.tile(np.arange(n + m, dtype=float), count)
    return run, is_b, start_s


def two(whole: Study, is_b: NDArray[np.bool_]) -> tuple[Study, Study]:
    """Return both sides of a study."""
    return whole.part(~is_b), whole.part(is_b)


def in_one_run(
    draw: Draw,
    n: int,
    m: int | None = None,
    *,
    shape: Shape = lognormal,
    change: Callable[[Draw, Study], None] | None = None,
    success: float = 0.98,
) -> Pair:
    """Return orders of A and B that take turns in one run."""
    run, is_b, start_s = shared_runs(draw, 1, n, m or n)
    whole = len(is_b)
    study = Study(shape(draw, whole), draw.random(whole) < success, run, start_s)
    a, b = two(study, is_b)
    if change:
        change(draw, b)
    return a, b


def in_shared_runs(
    draw: Draw,
    count: int,
    m: int,
    *,
    factor: float = 1.0,
    success: Callable[[Draw, int], Floats] | None = None,
) -> Pair:
    """Return orders of A and B that take turns in several runs, which have levels of their own."""
    run, is_b, start_s = shared_runs(draw, count, m, m)
    level = SIGMA * math.sqrt(0.3 / 0.7) * draw.standard_normal(count)
    share = success(draw, count) if success else np.full(count, 0.98)
    ms = lognormal(draw, len(run)) * np.exp(level[run]) * np.where(is_b, factor, 1.0)
    return two(Study(ms, draw.random(len(run)) < share[run], run, start_s), is_b)


def in_own_runs(  # noqa: PLR0913 - each is one thing that may differ
    draw: Draw,
    count: int,
    m: int,
    *,
    turns: bool,
    day: float = 0.0,
    icc: float = 0.3,
    factor: float = 1.0,
    success: Callable[[Draw, int], Floats] | None = None,
    named: bool = True,
) -> Pair:
    """Return runs of A and runs of B: in turns, or all of A first; the day may grow slower."""
    order = np.tile([0, 1], count) if turns else np.repeat([0, 1], count)
    if turns:  # in random order, each pair of neighbours has both
        order = np.concatenate([draw.permutation([0, 1]) for _ in range(count)])
    run = np.repeat(np.arange(2 * count), m)
    level = SIGMA * math.sqrt(icc / (1 - icc)) * draw.standard_normal(2 * count) if icc else None
    share = success(draw, 2 * count) if success else np.full(2 * count, 0.98)
    ms = lognormal(draw, len(run)) * (1.0 + day * np.arange(len(run)) / len(run))
    ms = ms * (np.exp(level[run]) if level is not None else 1.0)
    is_b = order[run].astype(bool)
    start_s = run * 3_600.0 + np.tile(np.arange(m, dtype=float), 2 * count)
    study = Study(
        ms * np.where(is_b, factor, 1.0),
        draw.random(len(run)) < share[run],
        run if named else None,
        start_s,
    )
    return two(study, is_b)


def outage(draw: Draw, count: int) -> Floats:
    """Return shares of placed orders: one run in ten has an outage."""
    found: Floats = np.where(draw.random(count) < 0.1, 0.3, 0.98)
    return found


def along_one_run(draw: Draw, n: int) -> Pair:
    """Return orders that take turns in a run in which each goes along with the one before."""
    run, is_b, start_s = shared_runs(draw, 1, n, n)
    ms = MEDIAN_MS * np.exp(SIGMA * alike(draw, 2 * n))
    return two(Study(ms, draw.random(2 * n) < 0.98, run, start_s), is_b)


def apart_in_time(draw: Draw, n: int) -> Pair:
    """Return a run of A and a later run of B, in which each order goes along with the last."""
    a, b = one(draw, n, autocorrelated), one(draw, n, autocorrelated)
    b.run, b.start_s = b.run + 1 if b.run is not None else None, b.start_s + 3_600.0
    return a, b


def slower(factor: float) -> Callable[[Draw, Study], None]:
    """Return what makes every order of a side take longer."""

    def change(_: Draw, side: Study) -> None:
        side.ms = side.ms * factor

    return change


def late(share: float, factor: float, stage: int | None = None) -> Callable[..., None]:
    """Return what makes some orders take longer: in one stage, or in all."""

    def change(draw: Draw, side: Study) -> None:
        side.ms = side.ms.copy()
        which = draw.random(len(side.placed)) < share
        side.ms[which] = side.ms[which] * (factor if stage is None else _in_stage(factor, stage))

    return change


def _in_stage(factor: float, stage: int) -> Floats:
    found = np.ones(4)
    found[stage] = factor
    return found


def later_than_p95(share: float) -> Callable[[Draw, Study], None]:
    """Return what makes further orders later than p95 of A, and none very late.

    Failures are late too: of all orders 95% are placed by then.
    """

    def change(draw: Draw, side: Study) -> None:
        border = MEDIAN_MS * np.exp(SIGMA * ndtri(0.95 / SUCCESS))
        which = (draw.random(len(side.placed)) < share / 0.95) & (side.ms < border)
        side.ms = np.where(which, border * 1.2, side.ms)

    return change


def fewer(share: float) -> Callable[[Draw, Study], None]:
    """Return what makes further orders time out."""

    def change(draw: Draw, side: Study) -> None:
        side.placed = side.placed & (draw.random(len(side.placed)) >= share / SUCCESS)

    return change


def lost_and_faster(draw: Draw, side: Study) -> None:
    """Let a third time out, and the others be faster."""
    side.placed = draw.random(len(side.placed)) >= 0.34
    side.ms = side.ms * 0.93


def mixed(draw: Draw, n: int, *, factor: float, by_items: bool) -> Pair:
    """Return two sides whose mix differs: of merchants, one twice as slow, or of cart sizes."""
    run, is_b, start_s = shared_runs(draw, 1, n, n)
    is_slow = draw.random(2 * n) < np.where(is_b, 0.8, 0.2)
    ms = lognormal(draw, 2 * n) * np.where(is_slow, 2.0, 1.0) * np.where(is_b, factor, 1.0)
    named = np.where(is_slow, "b.test", "a.test").astype(object)
    domain, items = ("a.test", 1 + is_slow) if by_items else (named, 1)
    study = Study(ms, draw.random(2 * n) < 0.98, run, start_s, domain, items)
    return two(study, is_b)


def against_control(
    draw: Draw,
    count: int,
    m: int,
    *,
    day: float = 0.2,
    noise: float = 0.0,
    spread: float = SIGMA,
    factor: float = 1.0,
) -> Pair:
    """Return runs of A, then runs of B, each with orders to a merchant and to a control merchant.

    The day grows slower for both; each merchant of a run has a little noise of its own. The times
    of the control may spread more than those of the merchant.
    """
    is_control = np.concatenate([draw.permutation(np.arange(2 * m) >= m) for _ in range(2 * count)])
    run = np.repeat(np.arange(2 * count), 2 * m)
    sigma = np.where(is_control, spread, SIGMA)
    own = noise * draw.standard_normal((2 * count, 2))[run, is_control.astype(int)]
    ms = MEDIAN_MS * np.exp(sigma * draw.standard_normal(len(run)) + own)
    ms = ms * (1.0 + day * run / (2 * count - 1))
    is_b = run >= count
    study = Study(
        np.where(is_b & ~is_control, ms * factor, ms),
        draw.random(len(run)) < SUCCESS,
        run,
        run * 3_600.0 + np.tile(np.arange(2 * m, dtype=float), 2 * count),
        np.where(is_control, CONTROL, "a.test").astype(object),
    )
    return two(study, is_b)
