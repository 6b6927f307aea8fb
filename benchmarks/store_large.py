"""Measure very large saved sets: ``python -m benchmarks.store_large SET COPIES``.

Each part of a set (``python -m benchmarks.store --folder SET`` keeps one) is copied so many times,
with other ids and later days and without what came in its events, which no figure reads. Then each
verb is called once, in one process. The table is printed and written to
``docs/benchmarks-store-large.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.quiet import Foreign

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
    save["files"] = {}
    save["parts"] = [
        _copied(source, target, part, number) for number in range(copies) for part in save["parts"]
    ]
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
        (target / kind / copy).parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetFile(source / kind / part) as file:
            writer = pq.ParquetWriter(target / kind / copy, file.schema_arrow, compression="zstd")
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


def measure(folder: Path) -> list[str]:
    """Call each verb once; return the lines of the table."""
    import scipy.special
    import scipy.stats  # noqa: F401 - loaded beforehand

    import firmly_nb as fnb
    import firmly_nb.recordings.stored

    lines: list[str] = []

    def timed(what: str, work: Callable[[], Any]) -> Any:
        began, used = time.perf_counter(), time.process_time()
        result = work()
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines.append(f"| `{what}` | {seconds:.2f} | {busy:.2f} | {peak:,.0f} |")
        return result

    recs = timed("fnb.load(...)", lambda: fnb.load(folder))
    for verb in ("latency", "outcomes", "funnel", "completion", "drift"):
        timed(f"{verb}()", getattr(recs, verb))
    return lines


def report(events: int, lines: list[str], foreign: float) -> str:
    """Write the page."""
    return f"""# Very large saved sets: every verb, once

Written by `python -m benchmarks.store_large`. {events:,} events, in the structure of
[the smaller set](benchmarks-store.md); {os.cpu_count()} processors. One process, everything
imported beforehand, files in the system's cache. The processors' time is that of this process;
other programs used {foreign:.0%} of the machine meanwhile.

| what | s by the clock | s of processors | MiB at the peak so far |
| --- | ---: | ---: | ---: |
{chr(10).join(lines)}

Each verb reads what it needs and that only: `outcomes()` alone reads no events.
"""


def main() -> int:
    """Copy the set, measure, print the table and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store_large", description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("copies", type=int)
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="firmly-nb-large-"))
    try:
        events = grow(options.set, folder, options.copies)
        foreign = Foreign()
        lines = measure(folder)
        page = report(events, lines, foreign.share())
    finally:
        shutil.rmtree(folder)
    print(page)
    if not options.no_page:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
