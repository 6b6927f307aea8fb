"""A sweep's clock: when what is planned is to happen, how far pauses have moved it, and the end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firmly_nb.recording.arrivals import monotonic_ns
from firmly_nb.sweep.setbacks import Setbacks

if TYPE_CHECKING:
    from firmly_nb.sweep.schedule import Schedule


@dataclass
class Pace:
    """The schedule on the clock.

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
        """Whether a closed loop has gone on for long enough; an open one has planned starts."""
        limit_s = None if self.schedule.is_open else self.schedule.duration_s
        return limit_s is not None and self.elapsed_s() >= limit_s

    async def until(self, offset_ns: int, before_s: float) -> None:
        """Sleep until so long before a planned start, also where the plan moves meanwhile."""
        while not self.stopping.is_set():
            rest_s = (self.planned_ns(offset_ns) - monotonic_ns()) / 1e9 - before_s
            if rest_s <= 0:
                return
            await self.unless_stopped(asyncio.sleep(rest_s))

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
