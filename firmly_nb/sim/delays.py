"""Drawing the delays of an order from a profile: seeded, so that a run can be had again."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from firmly_nb.sim.behaviour import STAGES, Profile

LONGEST_MS = 120_000.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What drift and shifts depend on.

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
    """Return a generator that depends on nothing but the given parts."""
    return random.Random(":".join(map(str, seed)))  # noqa: S311 - repeatable, nothing secret


def draw(
    profile: Profile, rng: random.Random, n_items: int, moment: Moment | None = None
) -> list[tuple[str, float]]:
    """Draw one order's delays: a pair (stage, ms) for each event.

    Examples
    --------
    >>> from firmly_nb.sim.behaviour import PROFILES
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
    """Return what drift, time of day and shifts multiply a delay by.

    Examples
    --------
    >>> from firmly_nb.sim.behaviour import PROFILES
    >>> factor(PROFILES["degrading"], "item-added", Moment(uptime_h=0.5))
    1.5
    """
    grown = 1 + profile.growth_per_hour * moment.uptime_h
    daily = 1 + profile.daily_amplitude * math.cos(2 * math.pi * (moment.hour - 20) / 24)
    after = profile.shift_after_orders
    shifted = after is not None and moment.order_no >= after and stage == "item-added"
    return grown * daily * (profile.shift_factor if shifted else 1.0)
