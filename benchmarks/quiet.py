"""How much of the machine other programs use: a measurement that they disturb is repeated.

That holds for all clients alike, and the page says how often it happened.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

FOREIGN_SHARE = 0.05
LOOK_S, WAIT_S, TRIES = 0.2, 60.0, 6


class Foreign:
    """The share of all processors that programs other than this benchmark have used so far."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.busy, self.own = _busy(), _own()

    def share(self) -> float:
        """Return the share since this was made."""
        elapsed = (time.perf_counter() - self.began) * (os.cpu_count() or 1)
        return max((_busy() - self.busy) - (_own() - self.own), 0.0) / elapsed


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _own() -> float:
    """CPU seconds of this process or the one that started it, and of all that it started.

    Those that have ended count with who waited for them.
    """
    parent = psutil.Process(os.environ.get("BENCHMARK_PID") and int(os.environ["BENCHMARK_PID"]))
    total = 0.0
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # own, and of children that have ended
    return total


async def undisturbed(
    measure: Callable[[], Awaitable[Any]],
) -> tuple[Any, int, float]:
    """Measure until nobody disturbs; return the result, the tries, and what others used in it."""
    tries = 0
    while True:
        tries += 1
        await _quiet()
        foreign = Foreign()
        result = await measure()
        share = foreign.share()
        if share <= FOREIGN_SHARE or tries == TRIES:
            return result, tries, share


async def _quiet() -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        foreign = Foreign()
        await asyncio.sleep(LOOK_S)
        if foreign.share() <= FOREIGN_SHARE:
            return
