"""Measure very large saved sets: ``python -m benchmarks.store_large SET COPIES``.

Each part of a set (``python -m benchmarks.store --folder SET`` keeps one) is copied so many times,
with other ids and later days and without what came in its events, which no figure reads. The copies
gain their stages, then each verb is called once, in a process of its own. Beside them DuckDB alone
puts the events of the same files beside one another, order by order, and asks for the same
quantiles, in a process of its own. The table is printed and written to
``docs/benchmarks-store-large.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.quiet import Foreign
from firmly_nb.store.files import Digest, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-store-large.md"
DAYS = 10  # of the set that is copied
DAY_NS = 86_400 * 10**9


def grow(source: Path, target: Path, copies: int) -> int:
    """Write the copies as one set; return how many events it has."""
    manifest = json.loads((source / "manifest.json").read_text("utf-8"))
    [save] = manifest["saves"]
    # The copies are other files, and have no stages yet.
    manifest.pop("sha256", None)
    save["parts"] = [
        _copied(source, target, part, number) for number in range(copies) for part in save["parts"]
    ]
    names = [f"{kind}/{part}" for kind in ("orders", "events") for part in save["parts"]]
    save["files"] = {name: asdict(Digest.of(target / name)) for name in names}
    for counted in (save, manifest):
        counted["recordings"] *= copies
        counted["events"] *= copies
    (target / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return int(save["events"])


def _copied(source: Path, target: Path, part: str, number: int) -> str:
    import pyarrow.parquet as pq

    day, domain, name = part.split("/")
    later = dt.date.fromisoformat(day.removeprefix("day=")) + dt.timedelta(days=DAYS * number)
    copy = f"day={later}/{domain}/{name.removesuffix('.parquet')}-{number}.parquet"
    for kind in ("orders", "events"):
        with pq.ParquetFile(source / kind / part) as file:
            writer = opened(target / kind / copy, file.schema_arrow)
            for group in range(file.metadata.num_row_groups):
                table = _renamed(file.read_row_group(group), number)
                writer.write_table(table, row_group_size=len(table))
            writer.close()
    return copy


def _renamed(table: pa.Table, number: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = pc.binary_join_element_wise(table["recording_id"], pa.scalar(f"-{number}"), "")
    new: dict[str, Any] = {"recording_id": ids}
    if "data" in table.column_names:
        new["data"] = pa.nulls(len(table), pa.string())
    for name in {"started_at", "at"} & set(table.column_names):
        moved = pc.add(table[name].cast(pa.int64()), DAYS * DAY_NS * number)
        new[name] = moved.cast(table.schema.field(name).type)
    for name, values in new.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), values)
    return table


# What is called of recordings; a comparison is that of the later half with the first.
VERBS: dict[str, Callable[[Any], Any]] = {
    "latency()": lambda recs: recs.latency(),
    "outcomes()": lambda recs: recs.outcomes(),
    "funnel()": lambda recs: recs.funnel(),
    "completion()": lambda recs: recs.completion(),
    "drift()": lambda recs: recs.drift(),
    'drift("item-added")': lambda recs: recs.drift("item-added"),
    "compare(...)": lambda recs: recs[: len(recs) // 2].compare(recs[len(recs) // 2 :]),
    'by("domain").latency()': lambda recs: recs.by("domain").latency(),
    'by("domain").funnel()': lambda recs: recs.by("domain").funnel(),
}
EVENTS = ("creating-cart", "item-added", "shipping-updated", "order-placed")
ROUNDS = 3


def verb(what: str, folder: Path) -> list[Cost]:
    """Load a set and call a verb once."""
    import scipy.special
    import scipy.stats  # noqa: F401 - loaded beforehand

    import firmly_nb as fnb
    import firmly_nb.latency.summary
    import firmly_nb.recordings.stored

    lines: list[Cost] = []
    recs = timed("fnb.load(...)", lambda: fnb.load(folder), lines)
    timed(what, lambda: VERBS[what](recs), lines)
    return lines


def plain(folder: Path) -> list[Cost]:
    """Put events beside one another with DuckDB alone, and ask for quantiles of the stages."""
    import duckdb

    last = [f"max(t_ms) FILTER (event = '{name}') AS e{n}" for n, name in enumerate(EVENTS)]
    took = ["e0", *(f"e{n} - e{n - 1}" for n in range(1, len(EVENTS)))]
    asked = ", ".join(f"quantile_cont({one}, [0.5, 0.9, 0.95])" for one in took)
    query = (
        f"WITH orders AS (SELECT recording_id, {', '.join(last)} FROM "
        f"read_parquet('{folder}/events/**/*.parquet') GROUP BY recording_id) "
        f"SELECT {asked} FROM orders"
    )
    lines: list[Cost] = []
    timed("DuckDB alone", lambda: duckdb.connect().execute(query).fetchall(), lines)
    return lines


def timed(what: str, work: Callable[[], Any], lines: list[Cost]) -> Any:
    """Do something and note what it cost."""
    began, used = time.perf_counter(), time.process_time()
    result = work()
    seconds, busy = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines.append(Cost(what, seconds, busy, peak))
    return result


class Cost(NamedTuple):
    """What something cost: s by the clock, s of processors, MiB at the peak of its process."""

    what: str
    seconds: float
    busy: float
    peak: float


def alone(what: str, folder: Path) -> list[Cost]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.store_large", "--alone", what, str(folder), "0"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Cost(*one) for one in json.loads(done.stdout)]


def measure(folder: Path, rounds: int) -> list[list[Cost]]:
    """Measure both in turns, so that what else the machine does meets both."""
    for what in ("latency()", "plain"):  # the stages are made, the files are in the cache
        alone(what, folder)
    found = []
    for _ in range(rounds):
        each = [alone(what, folder) for what in ("plain", *VERBS)]
        # Of all that were loaded the first is told.
        found.append([*each[0], *each[1], *(lines[-1] for lines in each[2:])])
    return found


def report(events: int, rounds: list[list[Cost]], foreign: float) -> str:
    """Write the page."""
    costs = [
        Cost(each[0].what, *(median(one[n] for one in each) for n in range(1, 4)))
        for each in zip(*rounds, strict=True)
    ]
    names = [costs[0].what, *(f"`{one.what}`" for one in costs[1:])]
    lines = [
        f"| {name} | {one.seconds:.2f} | {one.busy:.2f} | {one.peak:,.0f} |"
        for name, one in zip(names, costs, strict=True)
    ]
    ratios = [
        (
            latency.seconds / alone.seconds,
            latency.busy / alone.busy,
            (load.busy + latency.busy) / alone.busy,
            latency.peak / alone.peak,
        )
        for alone, load, latency, *_ in rounds
    ]
    clock, of_latency, with_load, of_memory = (median(each) for each in zip(*ratios, strict=True))
    return f"""# Very large saved sets: every verb, beside DuckDB alone

Written by `python -m benchmarks.store_large SET COPIES`, of a set that
`python -m benchmarks.store --folder SET` made. {events:,} events, in the structure of
[the smaller set](benchmarks-store.md); {os.cpu_count()} processors. Other programs used
{foreign:.0%} of the machine meanwhile. Everything was imported beforehand, the files were in the
system's cache. Rounds: {len(rounds)}; medians of them.

DuckDB alone puts the events of the same files beside one another, order by order, and asks for
three quantiles of each stage. It has no intervals, outcomes and rules, and leaves no time out that
says nothing. Each row ran in a process of its own, in this order. A verb's peak has that of
`fnb.load` in it. `compare` holds the later half against the first.

| what | s by the clock | s of processors | MiB at the peak |
| --- | ---: | ---: | ---: |
{chr(10).join(lines)}

`latency()` took {clock:.2f} times as long as DuckDB alone, and {of_latency:.2f} times the
processors, with `fnb.load` {with_load:.1f} times; and {of_memory:.1f} times the memory. Statistics
read the stages and the orders of a set, and no events. `outcomes()`, `completion()` and `drift()` read no stages. The
stages of many orders come one by one. Comparing and grouping hold their times for longer.
"""


def main() -> int:
    """Copy the set, measure, print the table and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store_large", description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("copies", type=int, help="0: measure the set itself")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-page", action="store_true", help="print only")
    parser.add_argument("--alone", choices=["plain", *VERBS], help="measure one, print JSON")
    options = parser.parse_args()
    if options.alone:
        what = options.alone
        print(json.dumps(plain(options.set) if what == "plain" else verb(what, options.set)))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="firmly-nb-large-")) if options.copies else options.set
    try:
        if options.copies:
            events = grow(options.set, folder, options.copies)
        else:
            events = int(json.loads((folder / "manifest.json").read_text("utf-8"))["events"])
        foreign = Foreign()
        page = report(events, measure(folder, options.rounds), foreign.share())
    finally:
        if options.copies:
            shutil.rmtree(folder)
    print(page)
    if not options.no_page:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
