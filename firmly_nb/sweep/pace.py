"""Pace of a sweep: planned starts, what moves them, and the end.

Open loop (``constant``, ``poisson``): the start times are fixed beforehand and do not depend on how
long orders take, so a slow merchant is not asked less often than a fast one. Closed loop: the next
order starts when one ends. ``scheduled_order_latency_ms`` counts from the planned start.

When the other side says no, the sweep waits where it is asked to and stops where it must. Such
waits, and those for the budget, move the whole plan: no order is late because of them.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Callable  # noqa: TC003 - annotates a module variable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from firmly_nb.api.client import session_clock_ns
from firmly_nb.api.errors import Forbidden, InvalidAppId, RateLimited, Unauthorized, refuses_token
from firmly_nb.display.messages import coded_error, quoted, unknown
from firmly_nb.display.text import count, duration
from firmly_nb.outcomes import ANSWERED
from firmly_nb.recorder.records import End, Record
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Iterator


Arrival = Literal["constant", "poisson", "closed"]
ARRIVALS = get_args(Arrival)
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "m": 60.0}
SECONDS |= {"h": 3600.0, "hour": 3600.0}
# Beyond this one order takes longer to hand over than the time to the next one.
MAX_PER_SECOND = 1_000.0
LEAST_PER_SECOND = 1e-9  # an order in 32 years; of far less no clock counts to the second
MAX_CONCURRENCY = 256
MAX_COUNT = 10_000_000


def per_second(rate: float | str) -> float:
    """Read a rate: a number of orders a second, or a text like ``"30/min"``.

    Raises
    ------
    ValueError
        If it is none, not above zero, or beyond 1,000 a second.

    Examples
    --------
    >>> per_second(2), per_second("30/min"), per_second("90 / h")
    (2.0, 0.5, 0.025)
    >>> per_second("fast")
    Traceback (most recent call last):
    ...
    ValueError: rate must be orders per second, or a text like "30/min", "2/s" or "100/h", got \
'fast'. Try rate="30/min". [FNB503]
    """
    text = 'rate must be orders per second, or a text like "30/min", "2/s" or "100/h", got'
    wrong = coded_error(ValueError, "FNB503", f'{text} {quoted(rate)}. Try rate="30/min".')
    if isinstance(rate, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*([a-z]+))?\s*", rate)
        if not found or (found[2] or "s") not in SECONDS:
            raise wrong
        value = float(found[1]) / SECONDS[found[2] or "s"]
    elif isinstance(rate, bool) or not isinstance(rate, int | float):
        raise wrong
    else:
        value = float(rate)
    if not 0 < value <= MAX_PER_SECOND:
        text = f"rate must be above 0 and at most {MAX_PER_SECOND:g} a second, got {quoted(rate)}."
        raise coded_error(ValueError, "FNB503", f"{text} Try rate=2.")
    if value < LEAST_PER_SECOND:
        text = f"rate must be at least {LEAST_PER_SECOND:g} a second, got {quoted(rate)}."
        raise coded_error(ValueError, "FNB503", f'{text} Try rate="1/h".')
    return value


def whole(name: str, value: Any, most: int) -> int:
    """Check a number of orders.

    Raises
    ------
    ValueError
        If it is no whole number from 1 to ``most``.

    Examples
    --------
    >>> whole("count", 20, 1_000)
    20
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        text = f"{name} must be a whole number from 1 to {count(most)}, got {quoted(value)}."
        raise coded_error(ValueError, "FNB503", f"{text} Try {name}={min(20, most)}.")
    return int(value)


def seconds(duration: float | str) -> float:
    """Read a duration: a number of seconds, or a text like ``"90 s"``, ``"10 min"``, ``"1 h"``.

    Raises
    ------
    ValueError
        If it is none, or not above zero.

    Examples
    --------
    >>> seconds(90), seconds("10 min")
    (90.0, 600.0)
    """
    value = float("nan")
    if isinstance(duration, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", duration)
        if found and (found[2] or "s") in SECONDS:
            value = float(found[1]) * SECONDS[found[2] or "s"]
    elif not isinstance(duration, bool) and isinstance(duration, int | float):
        value = float(duration)
    if not 0 < value < math.inf:
        text = f'duration must be seconds above 0, or a text like "10 min", got {quoted(duration)}.'
        raise coded_error(ValueError, "FNB504", f"{text} Try duration=600.")
    return value


def _arrival(arrival: Any) -> Any:
    if arrival not in ARRIVALS:
        raise coded_error(ValueError, "FNB505", unknown("arrival", arrival, ARRIVALS))
    return arrival


MAX_SEED = 2**63 - 1  # what the plan's file can hold


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or abs(seed) > MAX_SEED:
        text = f"seed must be a whole number up to {MAX_SEED}, got {quoted(seed)}. Pass seed=7."
        raise coded_error(ValueError, "FNB503", text)
    return seed


# What checks each thing of a schedule, by its name in the plan: given, or read back.
SCHEDULED: dict[str, Callable[[Any], Any]] = {
    "arrival": _arrival,
    "rate_per_s": per_second,
    "concurrency": partial(whole, "concurrency", most=MAX_CONCURRENCY),
    "count": partial(whole, "count", most=MAX_COUNT),
    "duration_s": seconds,
    "seed": _seed,
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Schedule of a sweep: how orders follow one another.

    Attributes
    ----------
    arrival
        ``constant``: evenly spaced; ``poisson``: at random, as independent buyers come;
        ``closed``: when another one ends.
    concurrency
        How many orders are in flight: in a closed loop always, in an open one at most.
    rate_per_s
        Orders a second; None in a closed loop.
    duration_s
        No order is planned to start later than this; None: until the orders end.
    seed
        Of the Poisson process.

    Examples
    --------
    >>> times = Schedule("constant", 4, rate_per_s=2.0, duration_s=2.0).offsets_ns()
    >>> [next(times) for _ in range(4)], next(times, "over")
    ([0, 500000000, 1000000000, 1500000000], 'over')
    """

    arrival: Arrival
    concurrency: int
    rate_per_s: float | None = None
    duration_s: float | None = None
    seed: int = 0

    @property
    def is_open(self) -> bool:
        """True for an open loop: starts are planned whatever is still running."""
        return self.rate_per_s is not None

    def offsets_ns(self) -> Iterator[int | None]:
        """Give out each planned start in nanoseconds after the first; None: as soon as may be."""
        if self.rate_per_s is None:
            while True:
                yield None
        for offset_s in self._offsets_s(self.rate_per_s):
            if self.duration_s is not None and offset_s >= self.duration_s:
                return
            yield round(offset_s * 1e9)

    def _offsets_s(self, rate_per_s: float) -> Iterator[float]:
        if self.arrival == "constant":
            number = 0
            while True:
                # Counted, not added up: rounding must not move the thousandth order.
                yield number / rate_per_s
                number += 1
        gaps = random.Random(f"{self.seed}: starts")  # noqa: S311 - a seeded draw, no secret
        at_s = 0.0
        while True:
            yield at_s
            at_s += gaps.expovariate(rate_per_s)


FAILURES_IN_A_ROW = 5
PAUSE_S = 5.0  # after "too many requests" without a time
SHUT_DOORS = {401, 403}


@dataclass
class Setbacks:
    """Refusals in a row, and the time until which nothing is sent.

    Attributes
    ----------
    shift_ns
        How far the plan has moved back, by pauses and by waits for the budget.
    held_up_ns
        The part of it that is the budget's.
    paused_until_ns
        On the clock of ``monotonic_ns``.
    in_a_row
        Orders that were refused at the door, or of which nothing was sent.
    token_refused_ns
        When a token was last refused, on the clock of sessions.
    message
        What is to be said of a pause.
    """

    shift_ns: int = 0
    held_up_ns: int = 0
    paused_until_ns: int = 0
    in_a_row: int = 0
    message: str = ""
    token_refused_ns: int = -1

    def ended(self, row: dict[str, Any], last: Record, session_ns: int | None = None) -> str:
        """Heed how an order ended; returns why the sweep must stop, or nothing."""
        self.heed_wait(row, last)
        return self.refused(row, session_ns)

    def heed_wait(self, row: dict[str, Any], last: Record) -> None:
        """Pause if the end of an order asks for it."""
        status = row["http_status"]
        if isinstance(last, End) and last.retry_after_s:
            self._pause(last.retry_after_s, f"HTTP {status}")
        elif status == 429:
            self._pause(PAUSE_S, "HTTP 429")

    def refused(self, row: dict[str, Any], session_ns: int | None = None) -> str:
        """Count refusals at the door; returns why nothing more can be ordered, or nothing.

        ``session_ns`` is when the order's session was made: those in flight when sessions end are
        all refused, and that is one setback.
        """
        status = row["http_status"]
        shut = row["outcome"] == "http_error" and status in SHUT_DOORS
        if row["outcome"] in ANSWERED and refuses_token(row["error_code"], status):
            if session_ns is not None and session_ns <= self.token_refused_ns:
                return ""
            self.token_refused_ns, shut = session_clock_ns(), True
        self.in_a_row = self.in_a_row + 1 if shut else 0
        return self._hopeless(f"{row['error_code']} (HTTP {status})")

    def not_sent(self, error: Exception) -> str:
        """Heed why an order was not sent; returns why the sweep must stop, or nothing."""
        self.in_a_row += 1
        if isinstance(error, RateLimited):
            self._pause(error.retry_after_s or PAUSE_S, "HTTP 429")
        if isinstance(error, Unauthorized | InvalidAppId | Forbidden):
            return f"nothing can be ordered with this app id: {error}"
        return self._hopeless(str(error) or type(error).__name__)

    def hold_up(self, ns: int) -> None:
        """Move the plan back by so much, for an order whose cost had to be seen first."""
        self.shift_ns += ns
        self.held_up_ns += ns

    def said(self) -> str:
        """Say by how much the budget has moved the plan back; empty if it has not."""
        if not self.held_up_ns:
            return ""
        moved = duration(self.held_up_ns / 1e6)
        return f"the plan moved back by {moved} in all, to see first what orders cost"

    def pause_left_s(self) -> float:
        """Return how long nothing is to be sent yet."""
        return max(self.paused_until_ns - monotonic_ns(), 0) / 1e9

    def _hopeless(self, last: str) -> str:
        if self.in_a_row < FAILURES_IN_A_ROW:
            return ""
        return f"{self.in_a_row} failures in a row, the last: {last}"

    def _pause(self, seconds: float, why: str) -> None:
        """Note a pause; what is planned moves back as a whole, so that no burst follows it."""
        now_ns = monotonic_ns()
        until_ns = now_ns + round(seconds * 1e9)
        added_ns = until_ns - max(self.paused_until_ns, now_ns)
        if added_ns > 0:
            self.shift_ns += added_ns
            self.paused_until_ns = until_ns
            self.message = f"{why}: asked to wait, paused for {seconds:g} s; the plan moved back"


@dataclass
class Pace:
    """Schedule of a sweep on the clock.

    Attributes
    ----------
    schedule
        When orders are planned, counted from the beginning.
    setbacks
        The pauses, which move what is planned.
    stopping
        Set once nothing is to be started any more; whoever waits here waits no longer then.
    began_at_ns
        The beginning by the wall clock, for the eye.
    """

    schedule: Schedule
    setbacks: Setbacks = field(default_factory=Setbacks)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    began_at_ns: int = field(default_factory=time.time_ns)
    _began_ns: int = field(default_factory=monotonic_ns)
    _over_ns: int = 0

    def begin(self, lead_s: float) -> None:
        """Let the schedule begin in so many seconds."""
        lead_ns = round(lead_s * 1e9)
        self._began_ns = monotonic_ns() + lead_ns
        self.began_at_ns = time.time_ns() + lead_ns

    def end(self) -> None:
        """Let time stand still."""
        self._over_ns = monotonic_ns()

    def elapsed_s(self) -> float:
        """Return for how long it has gone on."""
        return max((self._over_ns or monotonic_ns()) - self._began_ns, 0) / 1e9

    def planned_ns(self, offset_ns: int) -> int:
        """Return a planned start on the clock of ``monotonic_ns``, as it is now."""
        return self._began_ns + offset_ns + self.setbacks.shift_ns

    def minutes(self, offset_ns: int | None) -> float:
        """Return how far into the sweep an order starts: now, or when it is planned if later."""
        start_ns = monotonic_ns()
        if offset_ns is not None:
            start_ns = max(start_ns, self.planned_ns(offset_ns))
        return (start_ns - self._began_ns) / 60e9

    def time_is_over(self) -> bool:
        """Return whether a closed loop has run for its duration; open loops plan their starts."""
        limit_s = None if self.schedule.is_open else self.schedule.duration_s
        return limit_s is not None and self.elapsed_s() >= limit_s

    async def until(self, offset_ns: int, before_s: float) -> None:
        """Sleep until so long before a planned start, also where the plan moves meanwhile."""
        while not self.stopping.is_set():
            rest_s = (self.planned_ns(offset_ns) - monotonic_ns()) / 1e9 - before_s
            if rest_s <= 0:
                return
            await self.unless_stopped(asyncio.sleep(rest_s))

    @contextmanager
    def held_up(self, offset_ns: int | None, before_s: float) -> Iterator[None]:
        """Move the plan back by what is waited for meanwhile, and would make an order late.

        It is ready so long before its planned start then, unless it was late before.
        """
        late_ns = self._late_ns(offset_ns, before_s)
        yield
        if not self.stopping.is_set():
            self.setbacks.hold_up(max(self._late_ns(offset_ns, before_s) - late_ns, 0))

    def _late_ns(self, offset_ns: int | None, before_s: float) -> int:
        if offset_ns is None:
            return 0
        return max(monotonic_ns() + round(before_s * 1e9) - self.planned_ns(offset_ns), 0)

    async def pauses(self) -> bool:
        """Wait while nothing is to be sent; returns whether there was anything to wait for."""
        pause_s = self.setbacks.pause_left_s()
        if pause_s:
            await self.unless_stopped(asyncio.sleep(pause_s))
        return pause_s > 0

    async def unless_stopped(self, waiting: Any) -> None:
        """Wait for something, or until the sweep is stopped."""
        task = asyncio.ensure_future(waiting)
        stopped = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for one in (task, stopped):
                one.cancel()
