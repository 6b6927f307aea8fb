"""Calibrate: the sync and the async face, and the work that a busy notebook does meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from firmly_nb.portal import awaited, submit, wait
from firmly_nb.recording.calibration import Calibration
from firmly_nb.recording.calibration_run import CalibrationRun, Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE, BUSY = "idle", "busy"
PYTHON_STEPS = 200_000
TABLE_ROWS = 200_000


def calibrate(*, events: int = 200, seed: int = 7, tls: bool = False) -> Calibration:
    """Measure how far off recorded arrivals are on this machine, now.

    A local sender sends the same known pattern twice through the path that every order takes:
    once while this thread waits, once while it computes (pandas and pure Python).

    Parameters
    ----------
    events
        How many, each time; the pauses between them are drawn from 0.5 to 30 ms, 7 ms on average.
    seed
        Of the pattern.
    tls
        Whether it goes over TLS, with a certificate that is made for it and thrown away.

    Raises
    ------
    CalibrationError
        If not every event came through.
    RecorderError
        If the recorder's process cannot be started.

    Examples
    --------
    >>> calibrate(events=20).table["events"].tolist()
    [20, 20]
    """
    pattern = _pattern(events, seed)
    run = CalibrationRun(tls=tls)
    try:
        wait(submit(run.start))
        idle = wait(submit(run.measure, IDLE, pattern))
        future = submit(run.measure, BUSY, pattern)
        try:
            for _ in busy_steps(future.done):
                pass
        except BaseException:
            future.cancel()
            raise
        busy = future.result()
    finally:
        wait(submit(run.aclose))
    return Calibration.from_rows([*idle, *busy], tls=tls)


async def calibrate_async(*, events: int = 200, seed: int = 7, tls: bool = False) -> Calibration:
    """See :func:`calibrate`; the work is done on the running loop, which gets turns in between."""
    pattern = _pattern(events, seed)
    run = CalibrationRun(tls=tls)
    try:
        await awaited(submit(run.start))
        idle = await awaited(submit(run.measure, IDLE, pattern))
        future = submit(run.measure, BUSY, pattern)
        try:
            for _ in busy_steps(future.done):
                await asyncio.sleep(0)
        except BaseException:
            future.cancel()
            raise
        busy = await awaited(future)
    finally:
        await awaited(submit(run.aclose))
    return Calibration.from_rows([*idle, *busy], tls=tls)


def busy_steps(done: Callable[[], bool]) -> Iterator[float]:
    """Compute until it is done: pandas and pure Python in turns; yields the time of each step.

    Examples
    --------
    >>> steps = busy_steps(lambda: False)
    >>> next(steps) > 0
    True
    """
    table = _table()
    while not done():
        begun = time.perf_counter()
        table.groupby("key")["value"].agg(["median", "std"])
        total = 0
        for number in range(PYTHON_STEPS):
            total += number * number % 7
        yield time.perf_counter() - begun


def _table() -> Any:
    import pandas as pd

    numbers = range(TABLE_ROWS)
    return pd.DataFrame(
        {"key": [n * 7919 % 1009 for n in numbers], "value": [float(n % 101) for n in numbers]}
    )


def _pattern(events: int, seed: int) -> Pattern:
    if events < 1:
        raise ValueError(f"events must be at least 1, got {events}")
    return Pattern(events=events, seed=seed)
