"""Measure saved sets: ``python -m benchmarks.store``.

A million events in the structure of real recordings are saved, then loaded up to the table of
percentiles, each time in a process of its own that has imported everything beforehand. What other
programs used of the machine meanwhile stands beside each figure. The table is printed and written
to ``docs/benchmarks-store.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.quiet import FOREIGN_SHARE, Foreign
from benchmarks.store_recordings import recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmly_nb.recorder.records import Recorded

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-store.md"
TARGET_S = 2.0
ORDERS_A_RUN = 500


class Told:
    """Recordings on their way to a set: counted, as long as their making takes taken off."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.making_s = 0.0
        self.jsonl_bytes = 0

    def __iter__(self) -> Iterator[Recorded]:
        from firmly_nb.recorder.records import encode

        begin = time.process_time()
        for recording in recordings(self.count):
            self.jsonl_bytes += sum(len(encode(record)) + 1 for record in recording.records())
            self.making_s += time.process_time() - begin
            yield recording.recorded
            begin = time.process_time()


def write(folder: str, count: int) -> dict[str, float]:
    """Save, and say how long it took and how large it became."""
    from firmly_nb.store.files import read_manifest
    from firmly_nb.store.write import save

    told = Told(count)
    begin = time.process_time()
    save(told, folder)
    seconds = time.process_time() - begin - told.making_s
    manifest = read_manifest(Path(folder))
    files = list(Path(folder).rglob("*.parquet"))
    return {
        "seconds": seconds,
        "events": manifest.saves[0].events if manifest else 0,
        "files": len(files),
        "parquet_bytes": sum(file.stat().st_size for file in files),
        "jsonl_bytes": told.jsonl_bytes,
    }


def table(folder: str) -> dict[str, float]:
    """Load up to the table of percentiles, once as it is and once as many runs."""
    import duckdb
    import numpy as np
    import scipy.special
    import scipy.stats  # noqa: F401 - the same

    import firmly_nb as fnb
    import firmly_nb.recordings.stored
    from firmly_nb.latency.summary import summary

    found: dict[str, Any] = {}

    def load() -> None:
        found["recs"] = fnb.load(folder)
        found["table"] = found["recs"].latency().table

    used = time.process_time()
    row = {"table_s": _timed(load), "table_mib": _peak_mib()}
    row["processor_s"] = time.process_time() - used
    recs = found["recs"]
    # The first row is a whole stage; what it is made of must have been there.
    assert len(found["table"]) >= 6, found["table"]
    ends = recs.ends
    runs = ends.orders.assign(run_id=[f"r{n // ORDERS_A_RUN}" for n in range(len(recs))])
    row["runs_s"] = _timed(lambda: summary(ends.events, ends.stages, runs))
    again = fnb.load(folder)
    places = np.random.default_rng(7).integers(0, len(again), 20)
    row["one_s"] = median(_timed(lambda p=p: again[int(p)].records()) for p in places)
    row["thousand_s"] = _timed(lambda: [rec.outcome for rec in again[:1000]])
    row["events_s"] = _timed(lambda: len(again[:2000].events))
    sql = "event, quantile_cont(t_ms, [0.5, 0.9, 0.95, 0.99])"
    asked = again.relation("events", duckdb.connect())
    row["duckdb_s"] = _timed(lambda: asked.aggregate(sql, "event").fetchall())
    return row


def _timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(*arguments: str) -> dict[str, float]:
    """Run a step in a process of its own; add the peak of its memory and what others used."""
    foreign = Foreign()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.store", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "BENCHMARK_PID": str(os.getpid())},
    )
    # What a child used counts as this process's own once it has ended.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    share = foreign.share() - _ended_share(used, foreign)
    row: dict[str, float] = json.loads(done.stdout)
    return row | {"foreign": max(share, 0.0)}


_ended = [0.0]


def _ended_share(used: resource.struct_rusage, foreign: Foreign) -> float:
    seconds = used.ru_utime + used.ru_stime
    share = (seconds - _ended[0]) / ((time.perf_counter() - foreign.began) * (os.cpu_count() or 1))
    _ended[0] = seconds
    return share


def main() -> int:
    """Measure, print the table and write the page; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--orders", type=int, default=235_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", help="keep the set there, and take it from there")
    parser.add_argument("--no-page", action="store_true", help="print only")
    parser.add_argument("--step", choices=["write", "table"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        work = {"write": lambda: write(options.folder, options.orders)}
        row = work.get(options.step, lambda: table(options.folder))()
        print(json.dumps(row | {"peak_mib": _peak_mib()}))
        return 0
    folder = options.folder or tempfile.mkdtemp(prefix="firmly-nb-store-")
    try:
        written = _written(folder, options.orders)
        rows = [child("--step", "table", "--folder", folder) for _ in range(options.repeats)]
    finally:
        if not options.folder:
            shutil.rmtree(folder)
            Path(f"{folder}.json").unlink(missing_ok=True)
    page = report(options, written, rows)
    print(page)
    if not options.no_page:
        PAGE.write_text(page, encoding="utf-8")
    return int(median(row["table_s"] for row in rows) > TARGET_S)


def _written(folder: str, orders: int) -> dict[str, float]:
    """Return how the set was written; one that is kept is not written again."""
    told = Path(f"{folder}.json")
    if not told.exists():
        row = child("--step", "write", "--folder", folder, "--orders", str(orders))
        told.write_text(json.dumps(row), "utf-8")
    found: dict[str, float] = json.loads(told.read_text("utf-8"))
    return found


def report(
    options: argparse.Namespace, written: dict[str, float], rows: list[dict[str, float]]
) -> str:
    """Write the page."""
    import duckdb
    import pandas as pd
    import pyarrow as pa

    events = written["events"]
    n_runs = -(-options.orders // ORDERS_A_RUN)
    measured = {
        "**`fnb.load(...).latency()`**: from the files to the table of percentiles": "table_s",
        "the same, time of all processors": "processor_s",
        f"`latency()` of the same orders as {n_runs} runs, tables loaded": "runs_s",
        "DuckDB: four quantiles of each event name": "duckdb_s",
        "`recs[i]`, anywhere": "one_s",
        "1,000 recordings one after the other": "thousand_s",
        "`recs[:2000].events`, JSON decoded": "events_s",
    }
    lines = [
        f"| {what} | {median(times):.3f} | {max(times):.3f} |"
        for what, times in ((what, [row[name] for row in rows]) for what, name in measured.items())
    ]
    sizes = [
        f"| {what} | {written[name] / events:,.0f} | {written[name] / 1e6:,.0f} |"
        for what, name in (
            ("journals: JSON, one record a line", "jsonl_bytes"),
            (f"the set: {written['files']:.0f} Parquet files, zstd", "parquet_bytes"),
        )
    ]
    foreign = max(row["foreign"] for row in [written, *rows])
    peak = max(row["table_mib"] for row in rows)
    reached = median(row["table_s"] for row in rows) <= TARGET_S
    verdict = "It was" if reached else "It was not"
    if foreign > FOREIGN_SHARE:
        verdict += ", on a machine that others used: to be measured again where it is quiet"
    each_us = written["seconds"] / events * 1e6
    return f"""# Saved sets: how large they are and how fast

Written by `python -m benchmarks.store`. {options.orders:,} orders with {events:,.0f} events, carts
of one to three lines in them, over ten days and four merchants. {os.cpu_count()} processors,
Python {platform.python_version()}, pandas {pd.__version__}, pyarrow {pa.__version__}, DuckDB
{duckdb.__version__}. {len(rows)} processes one after the other, everything imported beforehand,
files in the system's cache. Other programs used up to {foreign:.0%} of the machine meanwhile.

| what | median s | longest s |
| --- | ---: | ---: |
{chr(10).join(lines)}

Wanted: the first row in at most {TARGET_S:g} s. {verdict}.

The process that loaded and made the table took
{peak:,.0f} MiB at its peak, imports included.

| on disk | bytes an event | MB |
| --- | ---: | ---: |
{chr(10).join(sizes)}

Saving took {written["seconds"]:.0f} s of processor time, {each_us:.0f} µs an event, and
{written["peak_mib"]:,.0f} MiB at the peak, which does not grow with their number.
"""


if __name__ == "__main__":
    sys.exit(main())
