"""Latency profiles and faults, as data: what each does, and what a client should make of it.

An order's delays are drawn from its profile with a seed, so that a run can be had again.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


LONGEST_MS = 120_000.0
STAGES = ("creating-cart", "item-added", "shipping-updated", "order-placed")


@dataclass(frozen=True, slots=True)
class StageDelay:
    """How long a stage takes: lognormal, with an optional slow mode.

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
    """How the stages of an order take their time.

    Attributes
    ----------
    correlation
        Correlation of the stages' z within an order: a slow shop is slow in all of them.
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
    "typical": Profile("a shop on an ordinary day", TYPICAL),
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


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on purpose.

    Attributes
    ----------
    what
        What the server does.
    outcome
        What a client that listens to the stream should report, one of the seven outcomes.
    plain
        What a client should report that asked without ``sse=true``.
    placed
        Whether the shop holds an order afterwards: the truth behind an unclear outcome.
    group
        ``answer`` (instead of the stream), ``stream`` (within it), or ``cart`` (what it says).
    """

    what: str
    outcome: str
    plain: str
    placed: bool = False
    group: str = "stream"


def _error(name: str, stage: str) -> Fault:
    return Fault(f"{name} {stage}", "error_event", "http_error")


def _answer(what: str, outcome: str = "http_error") -> Fault:
    return Fault(what, outcome, outcome, group="answer")


def _harmless(what: str) -> Fault:
    return Fault(what, "placed", "placed", placed=True)


def _cart(what: str) -> Fault:
    return Fault(what, "placed", "placed", placed=True, group="cart")


FAULTS: Mapping[str, Fault] = {
    # Each documented error of Place Order, where it is realistic.
    "product-not-found": _error("ErrorProductNotFound", "when the first item is added"),
    "not-enough-stock": _error("ErrorNotEnoughStock", "when the order is placed"),
    "payment-declined": _error("ErrorPaymentDeclined", "when the order is placed"),
    "store-unavailable": _error("ErrorStoreUnavailable", "when the first item is added"),
    "error-event": _error("ErrorStoreUnavailable", "when shipping is quoted, mid-stream"),
    "invalid-input": _answer("400 ErrorInvalidInputBody, whatever the body is"),
    # Instead of the stream.
    "token-expired": _answer("401 TokenExpired, although the token is good"),
    "rate-limited": _answer("429 RateLimitExceeded with Retry-After: 2"),
    "unavailable": _answer("503 ServiceUnavailable with Retry-After: 1"),
    "bad-gateway": _answer("502 with an HTML page, as from a proxy"),
    "internal-error": _answer("500 InternalError"),
    "empty-answer": _answer("500 without a body"),
    "redirect": _answer("307 to another path; a client must not send a card after it"),
    "content-type": Fault(
        "a good answer, but as text/html", "http_error", "placed", placed=True, group="answer"
    ),
    "silent": _answer("no answer at all, for ever", "timeout"),
    "reset-at-once": _answer("the connection is reset before any answer", "transport_error"),
    # Within the stream: it ends too soon.
    "early-end": Fault("the stream ends, cleanly, after item-added", "incomplete", "http_error"),
    "cut": Fault(
        "the connection is closed after item-added, in the middle of the chunked body",
        "transport_error",
        "transport_error",
    ),
    "reset": Fault(
        "the connection is reset after item-added", "transport_error", "transport_error"
    ),
    "stall": Fault("silence for ever after item-added", "timeout", "timeout"),
    "half-event": Fault(
        "the stream ends in the middle of shipping-updated", "incomplete", "http_error"
    ),
    "lost-confirmation": Fault(
        "the order is placed, but the stream ends before saying so",
        "incomplete",
        "transport_error",
        placed=True,
    ),
    "reset-after-order": Fault(
        "the order is placed, but the connection is reset before saying so",
        "transport_error",
        "transport_error",
        placed=True,
    ),
    "no-last-blank-line": Fault(
        "the blank line after order-placed never comes; the stream ends",
        "incomplete",
        "placed",
        placed=True,
    ),
    "broken-chunk": Fault(
        "bytes that break the chunked encoding after item-added",
        "transport_error",
        "transport_error",
    ),
    # Within the stream: it arrives in a strange form, and is still right.
    "garbage": _harmless("bytes that are no UTF-8 and no field, between the events"),
    "garbage-data": Fault("the data of item-added is no JSON", "placed", "placed", placed=True),
    "trickle": _harmless("every event byte by byte"),
    "split": _harmless("every event in two writes, cut within the data"),
    "buffered": _harmless("all events at once at the end, as behind a buffering proxy"),
    "duplicated": _harmless("every event twice"),
    "reordered": _harmless("shipping-updated before item-added"),
    "crlf": _harmless("CRLF line ends"),
    "cr": _harmless("CR line ends"),
    "bom": _harmless("a byte order mark at the start"),
    "comments": _harmless("comments as heartbeats before and between the events"),
    "multi-line": _harmless("data spread over several data: lines"),
    "no-space": _harmless("no space after the colons"),
    "ids-and-retry": _harmless("id: and retry: fields on every event"),
    "unknown-events": _harmless("events of unknown names, and one without a name, in between"),
    "huge": _harmless("a 4 MiB field in the cart of item-added"),
    "error-after-order": Fault(
        "an error event after order-placed", "placed", "placed", placed=True
    ),
    # What the carts say is wrong; the stream is as it should be.
    "cart-wrong-total": _cart("total is 1 minor unit off from shipping-updated on"),
    "cart-price-change": _cart("the first line's price rises between item-added and the next"),
    "cart-item-removed": _cart("the last line is missing from shipping-updated on"),
    "cart-missing-field": _cart("sub_total is missing from shipping-updated on"),
    "cart-other-currency": _cart("shipping_total is in another currency"),
    "cart-duplicated-line": _cart("the first line is there twice, with one id"),
}


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
    >>> factor(PROFILES["degrading"], "item-added", Moment(uptime_h=0.5))
    1.5
    """
    grown = 1 + profile.growth_per_hour * moment.uptime_h
    daily = 1 + profile.daily_amplitude * math.cos(2 * math.pi * (moment.hour - 20) / 24)
    after = profile.shift_after_orders
    shifted = after is not None and moment.order_no >= after and stage == "item-added"
    return grown * daily * (profile.shift_factor if shifted else 1.0)
