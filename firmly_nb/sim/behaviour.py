"""Latency profiles and faults, as data: what each does, and what a client should report.

An order's delays are drawn from its profile with a seed, so that a run can be had again.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


LONGEST_MS = 120_000.0
STAGES = ("creating-cart", "item-added", "shipping-updated", "order-placed")


@dataclass(frozen=True, slots=True)
class StageDelay:
    """Delay of a stage: lognormal, with an optional slow mode.

    Attributes
    ----------
    median_ms, sigma
        The delay is ``median_ms * exp(sigma * z)`` with z standard normal.
    slow_share, slow_factor
        Share of the orders whose delay is multiplied by that factor.
    """

    median_ms: float
    sigma: float = 0.3
    slow_share: float = 0.0
    slow_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Delays of the stages of an order, and how they change.

    Attributes
    ----------
    correlation
        Correlation of the stages' z within an order: a slow merchant is slow in all of them.
    further_item
        The second and each later item takes this share of an ``item-added`` delay.
    growth_per_hour
        Every delay is multiplied by ``1 + growth_per_hour * hours``, hours since the start.
    daily_amplitude
        Every delay is multiplied by ``1 + daily_amplitude * cos(2 pi (hour - 20) / 24)``, hour of
        the day in UTC: slowest at 20:00, fastest at 8:00.
    shift_after_orders, shift_factor
        From that order on (counted for each merchant) ``item-added`` is multiplied by the factor,
        as after a deployment.
    """

    meaning: str
    delays: Mapping[str, StageDelay]
    correlation: float = 0.3
    further_item: float = 0.45
    growth_per_hour: float = 0.0
    daily_amplitude: float = 0.0
    shift_after_orders: int | None = None
    shift_factor: float = 1.0


def _delays(*delays: StageDelay) -> Mapping[str, StageDelay]:
    return dict(zip(STAGES, delays, strict=True))


TYPICAL = _delays(
    StageDelay(100, 0.25), StageDelay(400, 0.35), StageDelay(500, 0.4), StageDelay(220, 0.3)
)
PROFILES: Mapping[str, Profile] = {
    "typical": Profile("a merchant on an ordinary day", TYPICAL),
    "calm": Profile(
        "fast and steady",
        _delays(
            StageDelay(60, 0.08), StageDelay(150, 0.1), StageDelay(180, 0.1), StageDelay(110, 0.08)
        ),
        correlation=0.1,
    ),
    "slow-shipping": Profile(
        "shipping quotes take their time, and some take for ever",
        {**TYPICAL, "shipping-updated": StageDelay(1500, 0.5, 0.05, 3.0)},
    ),
    "bimodal": Profile(
        "a tax service with two replicas, one of them far away: every fourth order waits for it",
        {**TYPICAL, "shipping-updated": StageDelay(320, 0.2, 0.25, 4.0)},
    ),
    "degrading": Profile(
        "grows slower by the minute: all delays double within the hour",
        TYPICAL,
        growth_per_hour=1.0,
    ),
    "daily": Profile("slow in the evening, quick in the morning", TYPICAL, daily_amplitude=0.35),
    "deploy": Profile(
        "after the hundredth order a new version adds items 40 % slower",
        TYPICAL,
        shift_after_orders=100,
        shift_factor=1.4,
    ),
    "instant": Profile("no delays at all", _delays(*[StageDelay(0, 0)] * 4)),
}


# The part of an order that a fault changes; "response" means that another one comes instead.
ACTS: Mapping[str, str] = {
    "answer": "response",
    "order": "order",
    "head": "content type",
    "stream": "stream",
    "cart": "carts",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A planned misbehaviour, and what a client should report of it.

    Attributes
    ----------
    what
        Behaviour of the server, in words.
    acts
        Part that it changes, one of :data:`ACTS`.
    do, parameters
        Function of :mod:`firmly_nb.sim.faults` that does it, and its arguments. Bytes are Latin-1
        text.
    plain_do
        Change of a response without events: ``halve``, ``cut``, ``reset``, ``stall`` or nothing.
    outcome, order_exists
        Report of a client that listens to the stream: one of the seven outcomes, and ``yes``,
        ``no`` or ``unknown``.
    plain, plain_order_exists
        Report of a client that ordered without ``sse=true``.
    placed
        Whether the merchant has the order afterwards: the truth behind ``unknown``.
    """

    what: str
    acts: str
    do: str
    parameters: Mapping[str, Any]
    plain_do: str
    outcome: str
    order_exists: str
    plain: str
    plain_order_exists: str
    placed: bool


def _read_faults() -> Iterator[tuple[str, Fault]]:
    for row in orjson.loads((Path(__file__).parent / "faults.json").read_bytes()):
        yield row.pop("name"), Fault(**row)


# The table of faults, one row a line in faults.json.
FAULTS: Mapping[str, Fault] = dict(_read_faults())
CART_FAULTS: Mapping[str, Fault] = {
    name: fault for name, fault in FAULTS.items() if fault.acts == "cart"
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Order number and times that drift and shifts depend on.

    Attributes
    ----------
    order_no
        Running number of the order at its merchant, from 0.
    uptime_h
        Hours since the simulator started, on its own clock.
    hour
        Hour of the day, UTC, on its own clock.
    """

    order_no: int = 0
    uptime_h: float = 0.0
    hour: float = 14.0


def make_rng(*seed: object) -> random.Random:
    """Return a generator that depends on the given parts only."""
    return random.Random(":".join(map(str, seed)))  # noqa: S311 - repeatable, nothing secret


def draw(
    profile: Profile, rng: random.Random, n_items: int, moment: Moment | None = None
) -> list[tuple[str, float]]:
    """Draw one order's delays: a pair (stage, ms) for each event.

    Examples
    --------
    >>> [stage for stage, _ in draw(PROFILES["typical"], make_rng(7), 2)]
    ['creating-cart', 'item-added', 'item-added', 'shipping-updated', 'order-placed']
    >>> sum(ms for _, ms in draw(PROFILES["instant"], make_rng(7), 1))
    0.0
    """
    shared = rng.gauss()
    slow_draws = {stage: rng.random() for stage in STAGES}
    stages = [STAGES[0], *[STAGES[1]] * n_items, *STAGES[2:]]
    drawn = []
    for n, stage in enumerate(stages):
        delay = profile.delays[stage]
        z = math.sqrt(profile.correlation) * shared
        z += math.sqrt(1 - profile.correlation) * rng.gauss()
        ms = delay.median_ms * math.exp(delay.sigma * z)
        ms *= delay.slow_factor if slow_draws[stage] < delay.slow_share else 1.0
        ms *= profile.further_item if stage == STAGES[1] and n > 1 else 1.0
        drawn.append((stage, min(ms * factor(profile, stage, moment or Moment()), LONGEST_MS)))
    return drawn


def factor(profile: Profile, stage: str, moment: Moment) -> float:
    """Return the factor of a delay from drift, time of day and shifts.

    Examples
    --------
    >>> factor(PROFILES["degrading"], "item-added", Moment(uptime_h=0.5))
    1.5
    """
    grown = 1 + profile.growth_per_hour * moment.uptime_h
    daily = 1 + profile.daily_amplitude * math.cos(2 * math.pi * (moment.hour - 20) / 24)
    after = profile.shift_after_orders
    shifted = after is not None and moment.order_no >= after and stage == "item-added"
    return grown * daily * (profile.shift_factor if shifted else 1.0)
