"""When each order of a sweep is planned to start.

Open loop (``constant``, ``poisson``): the start times are fixed beforehand and do not depend on how
long orders take, so a slow merchant is not asked less often than a fast one. Closed loop: the next
order starts when one ends (metrics.md, section 2, ``scheduled_order_latency``).
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Arrival = Literal["constant", "poisson", "closed"]
ARRIVALS = get_args(Arrival)
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "m": 60.0}
SECONDS |= {"h": 3600.0, "hour": 3600.0}
# Beyond this one order takes longer to hand over than the time to the next one.
MAX_PER_SECOND = 1_000.0


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
    ValueError: rate 'fast': give orders per second (2), or a text like "30/min", "2/s", "100/h"
    """
    wrong = f'rate {rate!r}: give orders per second (2), or a text like "30/min", "2/s", "100/h"'
    if isinstance(rate, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*([a-z]+))?\s*", rate)
        if not found or (found[2] or "s") not in SECONDS:
            raise ValueError(wrong)
        value = float(found[1]) / SECONDS[found[2] or "s"]
    elif isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ValueError(wrong)  # noqa: TRY004 - one error for whatever is no rate
    else:
        value = float(rate)
    if not 0 < value <= MAX_PER_SECOND:
        raise ValueError(f"rate {rate!r}: must be above 0 and at most {MAX_PER_SECOND:g} a second")
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
        raise ValueError(f"{name} {value!r}: must be a whole number from 1 to {most:,}")
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
        raise ValueError(f'duration {duration!r}: give seconds above 0, or a text like "10 min"')
    return value


@dataclass(frozen=True, slots=True)
class Schedule:
    """How orders follow one another.

    Attributes
    ----------
    arrival
        ``constant``: evenly spaced; ``poisson``: at random, as independent shoppers come;
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
        """Whether starts are planned whatever is still running."""
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
