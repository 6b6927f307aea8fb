"""The notebook's side of ``benchmarks.timing``: runs in a real kernel, in a cell with ``await``."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.quiet import undisturbed
from benchmarks.timing_clients import CLIENTS, Address, errors_ms
from benchmarks.timing_work import WORK, Step
from firmly_nb.background import follow_async, submit
from firmly_nb.recorder.calibration import CalibrationRun, Pattern

OURS = "firmly-nb"
BREATH_S = 0.005


async def measure(rounds: int, events: int, results: str) -> None:
    """Let the clients take turns under each kind of work; a line of JSON for each turn."""
    runs = [CalibrationRun(tls=False), CalibrationRun(tls=True)]
    steps = {name: make() if make else None for name, make in WORK.items()}
    dice = random.Random(7)
    try:
        for run in runs:
            await follow_async(submit(run.start))
        with Path(results).open("a", encoding="utf-8") as file:  # noqa: ASYNC230 - a line a second
            for turn in range(rounds):
                turns = [
                    (run, condition, client)
                    for run in runs
                    for condition in WORK
                    for client in (OURS, *CLIENTS)
                ]
                dice.shuffle(turns)
                for run, condition, client in turns:
                    measured = partial(
                        _turn, run, client, steps[condition], Pattern(events, seed=turn)
                    )
                    row, tries, foreign = await undisturbed(measured)
                    row |= {"round": turn, "condition": condition, "client": client, "tls": run.tls}
                    row |= {"tries": tries, "foreign": foreign}
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                print(f"round {turn + 1} of {rounds}")
    finally:
        for run in runs:
            await follow_async(submit(run.aclose))


async def _turn(
    run: CalibrationRun, client: str, step: Step | None, pattern: Pattern
) -> dict[str, Any]:
    if client == OURS:
        rows, steps = await _meanwhile(follow_async(submit(run.measure, "", pattern)), step)
        return {
            "errors_ms": [row["error_ms"] for row in rows],
            "own_us": [row["own_error_us"] for row in rows],
            "delay_us": [row["read_delay_us"] for row in rows],
            "inside": [row["inside"] for row in rows],
            "coalesced": sum(row["coalesced"] for row in rows),
            "step_ms": steps,
        }
    address = Address(f"{run.url}/", pattern.body(), str(run.trusted) if run.trusted else None)
    arrivals, steps = await _meanwhile(CLIENTS[client](address), step)
    return {"errors_ms": errors_ms(arrivals), "step_ms": steps}


async def _meanwhile(reading: Awaitable[Any], step: Step | None) -> tuple[Any, float | None]:
    """Work step by step until the reading is done; return its result and a step's median time."""
    task = asyncio.ensure_future(reading)
    if step is None:
        return await task, None
    times = []
    while not task.done():
        begun = time.perf_counter()
        step()
        times.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(BREATH_S)
    return task.result(), median(times)
