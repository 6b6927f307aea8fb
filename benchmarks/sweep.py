"""How punctual a sweep is, and how right its times are: ``python -m benchmarks.sweep``.

An open-loop sweep of 50 orders a second against the simulator, while the notebook waits and while
it computes: how late does each order start? Then 10 a second with some 20 in flight: how far are
the recorded times of events from the simulator's own? The page is written to
``docs/benchmarks-sweep.md``.
"""

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pandas as pd

import firmly_nb as fnb
from benchmarks.quiet import FOREIGN_SHARE, TRIES, undisturbed
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.sweep.sweep import Sweep

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-sweep.md"
RATE, SECONDS = 50, 20
MANY_RATE, MANY_SECONDS = 10, 20
MANY_PROFILE = "slow-shipping"  # some two seconds an order: 20 and more in flight
WARM_UP = 30
TEXT = """# How punctual a sweep is

{machine}

{disturbed}

## Start times at {rate} orders a second

An open-loop sweep of {orders} orders in {seconds} s against the simulator (profile `calm`, half a
second an order), on the same machine as the simulator and the notebook. The lag is the time from
the planned start of an order to the moment before its request is handed to the HTTP client
(`schedule_lag_ms` in docs/tables.md). The target is a 99th percentile of at most 5 ms.

{lag}

"Busy" computes in the notebook's main thread all the while, in pure Python, which holds Python's
lock; "pandas" sorts and groups a table of a million rows again and again. Orders are made ready a
second ahead and sent by the recorder's own process, so what the notebook does matters little.

Other tools say of themselves:

- [wrk2](https://github.com/giltene/wrk2) measures from the planned start, as
  `scheduled_order_latency_ms` does, and states that its times are accurate to about ±1 ms, "due to
  OS sleep time behavior". The clock of the recorder's event loop ticks as finely.
- [k6](https://grafana.com/docs/k6/latest/using-k6/scenarios/concepts/dropped-iterations/) drops an
  iteration when no virtual user is free for it and counts it in `dropped_iterations`. Here nothing
  is dropped: an order that the cap on concurrency holds back starts later, and its lag says so.
  k6 does not say how late its iterations start.

## Times of events with {in_flight:.0f} orders in flight

{many_rate} orders a second for {many_seconds} s, profile `{many_profile}`. The error is the
recorded arrival minus the simulator's own time, taken immediately before it sends the event. So
the simulator's delay between the two counts as error. "Within uncertainty" is the share of events
that were sent no earlier than their recorded arrival minus its uncertainty.

{errors}
"""


@dataclass(frozen=True)
class Turn:
    """One sweep: what ran beside it, its recordings, and what others used of the machine."""

    name: str
    recs: Recordings
    tries: int
    foreign: float


def wait(sweep: Sweep) -> None:
    """Wait as a cell does that shows a bar."""
    sweep.wait()


def compute(sweep: Sweep) -> None:
    """Hold Python's lock in the main thread until the sweep has ended."""
    total = 0
    while not sweep.done:
        total += sum(n * n for n in range(20_000))


def work(sweep: Sweep) -> None:
    """Sort and group a large table until the sweep has ended."""
    table = pd.DataFrame({"key": range(1_000_000)})
    while not sweep.done:
        table.assign(group=table["key"] % 97).sort_values("group").groupby("group").sum()


async def turn(
    lab: fnb.Lab, name: str, beside: Callable[[Sweep], None], rate: float, count: int
) -> Turn:
    """Run a sweep, again if others disturb it."""

    async def measure() -> Recordings:
        sweep = lab.start_sweep(fnb.Order.example(), count=count, rate=rate, concurrency=256)
        beside(sweep)
        return sweep.wait()

    recs, tries, foreign = await undisturbed(measure)
    print(f"{name}: {tries} tries, others used {foreign:.1%}, {recs!r}")
    return Turn(name, recs, tries, foreign)


async def lags() -> list[Turn]:
    """Measure start times, idle and busy."""
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        fnb.connect(profile="calm", journal=folder) as lab,
    ):
        warm_up(lab)
        for name, beside in (
            ("idle", wait),
            ("busy, pure Python", compute),
            ("busy, pandas", work),
        ):
            found.append(await turn(lab, name, beside, RATE, RATE * SECONDS))
    return found


async def errors() -> tuple[Turn, pd.DataFrame]:
    """Measure recorded times against the simulator's stamps."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fnb.connect(profile=MANY_PROFILE, journal=folder) as lab,
    ):
        warm_up(lab)
        found = await turn(lab, "events", wait, MANY_RATE, MANY_RATE * MANY_SECONDS)
        truth = pd.DataFrame(lab.simulator.truth() if lab.simulator else [])
    return found, compared(found.recs, truth)


def warm_up(lab: fnb.Lab) -> None:
    """Load what is loaded once."""
    lab.sweep(fnb.Order.example(), count=WARM_UP, rate=10, progress=False)


def compared(recs: Recordings, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the error of each event, in ms, and whether it is within its bound."""
    numbers = recs.orders.set_index("recording_id")["order_number"]
    events = recs.events.assign(order=recs.events["recording_id"].map(numbers).astype("int64"))
    # The log counts events from 0, recordings from 1.
    truth = truth.assign(seq=truth["seq"] + 1)
    joined = events.merge(
        truth[["order", "seq", "event", "sent_wall_ns"]].astype({"event": "str"}),
        on=["order", "seq"],
        suffixes=("", "_sent"),
    )
    if len(joined) != len(events) or (joined["event"].astype("str") != joined["event_sent"]).any():
        raise RuntimeError("the simulator's log and the recordings do not tell the same events")
    error_ns = joined["at"].astype("int64") - joined["sent_wall_ns"]
    return pd.DataFrame(
        {
            "error_ms": error_ns / 1e6,
            "inside": error_ns >= -joined["uncertainty_us"] * 1000,
            "coalesced": joined["coalesced"],
        }
    )


def lag_table(turns: list[Turn]) -> str:
    """Return the page's table of start times."""
    head = ["notebook", "orders", "placed", "median ms", "p95 ms", "p99 ms", "max ms", "others"]
    rows = []
    for one in turns:
        lag = one.recs.orders["schedule_lag_ms"]
        placed = (one.recs.orders["outcome"] == "placed").sum()
        figures = [f"{lag.quantile(q):.2f}" for q in (0.5, 0.95, 0.99, 1.0)]
        rows.append([one.name, str(len(lag)), str(placed), *figures, f"{one.foreign:.0%}"])
    return table(head, rows)


def error_table(found: pd.DataFrame) -> str:
    """Return the page's table of errors."""
    head = ["events", "median ms", "p99 ms", "max ms", "share a read", "within uncertainty"]
    figures = [f"{found['error_ms'].quantile(q):.3f}" for q in (0.5, 0.99, 1.0)]
    shares = [f"{found['coalesced'].mean():.2%}", f"{found['inside'].mean():.2%}"]
    return table(head, [[str(len(found)), *figures, *shares]])


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def in_flight(recs: Recordings) -> float:
    """Return how many orders were open when one started, in the middle of the run (median)."""
    orders = recs.orders.sort_values("started_at")
    starts = orders["started_at"].astype("int64").to_numpy() / 1e6
    ends = starts + orders["order_latency_ms"].to_numpy()
    middle = starts[len(starts) // 4 : 3 * len(starts) // 4]
    return float(pd.Series([((starts <= t) & (ends > t)).sum() for t in middle]).median())


def page(turns: list[Turn], many: Turn, found: pd.DataFrame) -> str:
    """Write the page."""
    machine = (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}."
    )
    disturbed = sum(one.foreign > FOREIGN_SHARE for one in (*turns, many))
    said = (
        f"A turn in which other programs used more than {FOREIGN_SHARE:.0%} of the machine was "
        f"repeated; {disturbed} of {len(turns) + 1} turns stayed disturbed after {TRIES} tries and "
        'were kept. "Others" is the share that other programs used.'
    )
    return TEXT.format(
        machine=machine,
        disturbed=said,
        rate=RATE,
        orders=RATE * SECONDS,
        seconds=SECONDS,
        lag=lag_table(turns),
        in_flight=in_flight(many.recs),
        many_rate=MANY_RATE,
        many_seconds=MANY_SECONDS,
        many_profile=MANY_PROFILE,
        errors=error_table(found),
    )


async def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-page", action="store_true", help="print only")
    arguments = parser.parse_args()
    os.environ["BENCHMARK_PID"] = str(os.getpid())
    began = monotonic()
    turns = await lags()
    many, found = await errors()
    text = page(turns, many, found)
    print(text)
    if not arguments.no_page:
        PAGE.write_text(text)
    print(f"{monotonic() - began:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
