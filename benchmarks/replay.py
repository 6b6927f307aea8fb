"""How alike a replay is to what was recorded: ``python -m benchmarks.replay``.

Orders are recorded against the simulator and replayed, at speed 1 and at speed 10. Is every event,
cart and outcome equal? How far are the times off? Is ``latency()`` of the replay within the
intervals of the original? The page is written to ``docs/benchmarks-replay.md``.
"""

import argparse
import asyncio
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import firmly_nb as fnb
from benchmarks.quiet import FOREIGN_SHARE, TRIES, undisturbed
from firmly_nb.latency.summary import row_label

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-replay.md"
PROFILE, RATE, SPEED = "typical", 4, 10
TEXT = """# How alike a replay is to what was recorded

{machine}

{orders} orders were recorded against the simulator (profile `{profile}`, {rate} a second) and
saved. A [replay](simulator.md#replay-recorded-orders) of the set then answered as many orders at
the same rate; at speed {speed}, at {speed} times the rate. The simulator, the recorder and the
notebook share the machine. A turn in which other programs used more than {limit} of the machine was
repeated, at most {tries} times. "Others" is the share that they used.

| speed | orders | events | carts | outcomes | median ms | p99 ms | max ms | time | others |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

"Events", "carts" and "outcomes" count the orders that have the same as their recording. The times
in ms are how far an event is off: its time in the replay, minus its recorded time divided
by the speed. The target is a 99th percentile of at most 2 ms at speed 1. "Time" is the sum of all
orders' times, as a share of the recorded sum.

## Latency of the replay

The median of each stage, in ms, at speed 1. The interval is that of the recorded orders (95%).

| stage | recorded | interval | replay | within |
| --- | --- | --- | --- | --- |
{stages}

The headers of a replay can come a little later: the simulator checks the request and opens the card
before it answers, as it does for any order.
"""


@dataclass(frozen=True)
class Turn:
    """A replay: its speed, its recordings, their originals, and what others used of the machine."""

    speed: float
    recs: fnb.Recordings
    originals: list[fnb.Recording]
    foreign: float

    def rows(self) -> str:
        """Return its row of the table."""
        pairs = list(zip(self.recs, self.originals, strict=True))
        off = np.concatenate(
            [rec.events["t_ms"] - was.events["t_ms"] / self.speed for rec, was in pairs]
        )
        equal = [
            sum(rec.events[["event", "data"]].equals(was.events[["event", "data"]])
                for rec, was in pairs),
            sum(rec.cart == was.cart for rec, was in pairs),
            sum(rec.outcome == was.outcome for rec, was in pairs),
        ]  # fmt: skip
        took, took_then = (
            sum(one.events["t_ms"].iloc[-1] for one in side) for side in zip(*pairs, strict=True)
        )
        cells = [
            f"{self.speed:g}",
            str(len(pairs)),
            *map(str, equal),
            *(f"{each:.2f}" for each in (*np.quantile(abs(off), [0.5, 0.99]), max(abs(off)))),
            f"{took / took_then:.1%}",
            f"{self.foreign:.0%}",
        ]
        return f"| {' | '.join(cells)} |"


async def turn(saved: Path, count: int, speed: float) -> Turn:
    """Replay a set, again if others disturb it."""
    recorded = {rec.recording_id: rec for rec in fnb.load(saved)}

    async def measure() -> tuple[fnb.Recordings, list[fnb.Recording]]:
        with (
            tempfile.TemporaryDirectory() as folder,
            fnb.connect(replay=saved, speed=speed, journal=folder) as lab,
        ):
            lab.place(fnb.Order.example(items=[fnb.Item(variant_id="none")]), progress=False)
            order = fnb.Order.example()
            recs = lab.sweep(order, count=count, rate=RATE * speed, concurrency=64, progress=False)
            assert lab.simulator is not None
            told = {e["request_id"]: e["recording_id"] for e in lab.simulator.truth()}
            return recs, [recorded[told[rec.request_id]] for rec in recs]

    (recs, originals), tries, foreign = await undisturbed(measure)
    made = Turn(speed, recs, originals, foreign)
    print(f"{tries} tries: {made.rows()}", flush=True)
    return made


def stages(recorded: fnb.Recordings, replay: fnb.Recordings) -> str:
    """Return the table of the medians."""
    before, after = (recs.latency().table.set_index("stage") for recs in (recorded, replay))
    rows = []
    for stage in before.index:
        low, high = before.loc[stage, ["p50_low_ms", "p50_high_ms"]]
        was, now = before.loc[stage, "p50_ms"], after.loc[stage, "p50_ms"]
        within = "yes" if low <= now <= high else "no"
        shown = f"{was:.1f} | {low:.1f} to {high:.1f} | {now:.1f} | {within}"
        rows.append(f"| {row_label(str(stage))} | {shown} |")
    return "\n".join(rows)


async def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "set"
        with fnb.connect(profile=PROFILE, journal=Path(folder) / "journals") as lab:
            recs = lab.sweep(
                fnb.Order.example(), count=asked.orders, rate=RATE, concurrency=64, progress=False
            )
        recs.save(saved)
        turns = [await turn(saved, asked.orders, speed) for speed in (1, SPEED)]
        text = TEXT.format(
            machine=f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, "
            f"Python {platform.python_version()}.",
            orders=asked.orders,
            profile=PROFILE,
            rate=RATE,
            speed=SPEED,
            limit=f"{FOREIGN_SHARE:.0%}",
            tries=TRIES,
            rows="\n".join(one.rows() for one in turns),
            stages=stages(recs, turns[0].recs),
        )
    asked.page.write_text(text)
    print(text)


if __name__ == "__main__":
    asyncio.run(main())
