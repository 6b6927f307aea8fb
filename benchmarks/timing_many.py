"""Many orders in one recorder: at once, and one after the other."""

import asyncio
import gc
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import psutil

from benchmarks.quiet import FOREIGN_SHARE, undisturbed
from firmly_nb.recorder.calibration import CalibrationRun, Pattern

REPEATS = 3
# As an order's stream: some events, some ten milliseconds apart.
CALM = {"min_gap_ms": 20.0, "max_gap_ms": 300.0}
MEMORY_ORDERS, MEMORY_EVERY, MEMORY_AT_ONCE = 1000, 100, 10
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class AtOnce:
    """So many orders at once, and how far off their events were."""

    orders: int
    pattern: str
    errors: pd.DataFrame
    disturbed: int

    def row(self) -> list[str]:
        """Return the cells of the page's table."""
        error, own = self.errors["error_ms"], self.errors["own_error_us"] / 1000
        sender = error - own
        return [
            str(self.orders),
            self.pattern,
            str(len(error)),
            *(f"{part.quantile(q):.3f}" for part in (error, own, sender) for q in (0.5, 0.99)),
            f"{self.errors['coalesced'].mean():.1%}",
            f"{self.errors['inside'].mean():.2%}",
            f"{self.disturbed} of {REPEATS}",
        ]


AT_ONCE_HEAD = [
    "orders at once",
    "gaps",
    "events",
    "median ms",
    "p99 ms",
    "own median ms",
    "own p99 ms",
    "sender median ms",
    "sender p99 ms",
    "share a read",
    "within uncertainty",
    "disturbed",
]


async def at_once(run: CalibrationRun, orders: int, events: int, *, calm: bool) -> AtOnce:
    """Let one recorder follow so many orders at once."""
    gaps = CALM if calm else {}
    name = "20-300 ms" if calm else "0.5-30 ms"
    rows, disturbed = [], 0
    for repeat in range(REPEATS):
        patterns = [Pattern(events, seed=100 * repeat + n, **gaps) for n in range(orders)]
        parts, _, foreign = await undisturbed(partial(_together, run, patterns))
        disturbed += foreign > FOREIGN_SHARE
        rows += [row for part in parts for row in part]
    return AtOnce(orders, name, pd.DataFrame(rows), disturbed)


async def _together(run: CalibrationRun, patterns: list[Pattern]) -> list[list[dict[str, Any]]]:
    return await asyncio.gather(*(run.measure("at once", pattern) for pattern in patterns))


async def memory(run: CalibrationRun) -> list[list[str]]:
    """Return the memory of recorder and notebook, each time after so many orders."""
    if run.worker is None or run.worker.pid is None:
        raise RuntimeError("the recorder is not running")
    recorder, notebook = psutil.Process(run.worker.pid), psutil.Process()
    rows = [["orders", "recorder MB", "notebook MB", "notebook's objects"]]
    for done in range(0, MEMORY_ORDERS + 1, MEMORY_EVERY):
        gc.collect()
        rows.append(
            [
                str(done),
                f"{recorder.memory_info().rss / MEGABYTE:.1f}",
                f"{notebook.memory_info().rss / MEGABYTE:.1f}",
                str(len(gc.get_objects())),
            ]
        )
        if done < MEMORY_ORDERS:
            await _orders(run, done)
    return rows


async def _orders(run: CalibrationRun, first: int) -> None:
    for batch in range(0, MEMORY_EVERY, MEMORY_AT_ONCE):
        await _together(
            run,
            [
                Pattern(6, seed=first + batch + n, min_gap_ms=0.5, max_gap_ms=3.0)
                for n in range(MEMORY_AT_ONCE)
            ],
        )


async def many(events: int) -> tuple[list[AtOnce], list[list[str]]]:
    """Measure everything of this module."""
    async with CalibrationRun() as run:
        found = [
            await at_once(run, 10, events, calm=False),
            await at_once(run, 10, events // 5, calm=True),
            await at_once(run, 50, events // 5, calm=True),
            await at_once(run, 50, events, calm=False),
        ]
    async with CalibrationRun() as run:
        return found, await memory(run)
