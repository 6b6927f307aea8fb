"""Compare reading carts with ``pandas.json_normalize``: ``python -m benchmarks.carts``.

10,000 recordings of 5 snapshots with 10 lines each, decoded JSON as it stands in the table of
events. The contestants take turns in one process, and each ratio is the median over the rounds
of the ratio within the round: a machine that is busy for a while then slows both. The table is
printed and written to ``docs/benchmarks-carts.md``.

``--against COMMIT`` has an earlier version of the toolkit take turns with this one as well, each in
a process of its own, by the time of the processor.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import IO, TYPE_CHECKING, Any

import orjson
import pandas as pd

from firmly_nb.api.money import Money
from firmly_nb.carts.changes import changes
from firmly_nb.carts.drift import field_presence
from firmly_nb.carts.report import run_checks
from firmly_nb.carts.tables import cart_tables, line_items

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-carts.md"
EVENTS = ("item-added", "shipping-updated", "shipping-updated", "shipping-updated", "order-placed")
KEYED = "pandas.json_normalize, lines with their keys"
BARE = "pandas.json_normalize, lines alone, no keys"
TABLES = "cart_tables: all five tables"
LINES = "line_items alone"
CHANGES = "changes between snapshots"
CHECKS = "run_checks: all checks"
PRESENCE = "field_presence"
TARGET = 5.0

Json = dict[str, Any]


def money(minor: int) -> Json:
    """Return a money object."""
    return Money(minor, "USD").wire()


def line(draw: random.Random, number: int) -> Json:
    """Return a line item as docs/firmly-api.md#carts describes carts; some have no msrp."""
    price, quantity = draw.randrange(500, 20_000), draw.randrange(1, 4)
    sku = f"MUG-{draw.randrange(10_000)}"
    made = {
        "line_item_id": f"item_{draw.getrandbits(100):025x}",
        "platform_line_item_id": str(number),
        "sku": sku,
        "base_sku": "MUG",
        "variant_id": sku,
        "description": "Stoneware mug",
        "variant_description": "Blue / Small",
        "quantity": quantity,
        "price": money(price),
        "line_price": money(price * quantity),
        "image": {"url": f"https://cdn.test/{sku}.jpg", "alt": "Blue mug", "type": "default"},
        "requires_shipping": True,
    }
    return made | {"msrp": money(price + 200)} if draw.random() < 0.9 else made


def carts(draw: random.Random, n_lines: int) -> list[Json]:
    """Return the five snapshots of one order."""
    lines = [line(draw, number) for number in range(n_lines)]
    sub_total = sum(each["line_price"]["number"] for each in lines)
    method = {"id": "GROUND", "description": "Ground", "price": money(625)}
    fulfillment = {"id": "SHIP_TO_ADDRESS", "name": "Ship to Address"}
    shipment = {
        "shipment_id": f"ship_{draw.getrandbits(100):025x}",
        "line_item_ids": [each["line_item_id"] for each in lines],
        "fulfillment_type": fulfillment,
        "fulfillment_type_options": [fulfillment],
        "shipping_method": method,
        "shipping_method_options": [method, method],
    }
    cart = {
        "cart_id": f"cart_{draw.getrandbits(100):025x}",
        "platform_id": "magento",
        "shop_id": "staging.luma.gift",
        "display_name": "Luma",
        "cart_status": "active",
        "line_items": lines,
        "shipments": [shipment],
        "shipping_info": {"city": "Seattle", "state_or_province": "WA", "country": "US"},
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": [],
        "notices": [],
        "addons": {"offers": [], "selections": []},
        "sub_total": money(sub_total),
        "shipping_total": money(0),
        "tax_total": money(0),
        "total": money(sub_total),
        "urls": {},
        "schema_version": "2.0",
    }
    priced = cart | {
        "shipping_total": money(625),
        "tax_total": money(900),
        "total": money(sub_total + 1525),
    }
    order = priced | {"cart_status": "submitted", "platform_order_number": "100004711"}
    return [cart, priced, priced, priced, order]


def table_of_events(recordings: int, n_lines: int) -> pd.DataFrame:
    """Return the table of events, every snapshot decoded from JSON of its own."""
    draw = random.Random(7)
    rows = []
    for number in range(recordings):
        for seq, (event, cart) in enumerate(zip(EVENTS, carts(draw, n_lines), strict=True), 1):
            key = "order" if event == "order-placed" else "cart"
            rows.append((f"r{number}", seq, event, orjson.loads(orjson.dumps({key: cart}))))
    return pd.DataFrame(rows, columns=["recording_id", "seq", "event", "data"])


def contestants(events: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """Return what takes turns; what ``json_normalize`` needs is laid out for it beforehand."""
    records = [
        {"recording_id": row.recording_id, "seq": row.seq, "event": row.event} | cart
        for row in events.itertuples(index=False)
        for cart in row.data.values()
    ]
    lines = [each for record in records for each in record["line_items"]]
    meta = ["recording_id", "seq", "event"]
    return {
        KEYED: lambda: pd.json_normalize(records, "line_items", meta),
        BARE: lambda: pd.json_normalize(lines),
        TABLES: lambda: cart_tables(events),
        LINES: lambda: line_items(events),
    }


def measure(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that a call takes."""
    gc.collect()
    start = clock()
    result = work()
    seconds = clock() - start
    del result
    return seconds


def serve(options: argparse.Namespace) -> None:
    """Measure what each line of the input names, and answer with the seconds of the processor."""
    events = table_of_events(options.recordings, options.lines)
    works = {
        TABLES: lambda: cart_tables(events),
        LINES: lambda: line_items(events),
        CHANGES: lambda: changes(events),
        CHECKS: lambda: run_checks(events),
        PRESENCE: lambda: field_presence(events),
    }
    print("ready", flush=True)
    for name in sys.stdin:
        print(measure(works[name.strip()], time.process_time), flush=True)


def compare(options: argparse.Namespace) -> list[dict[str, tuple[float, float]]]:
    """Return for each round the seconds of the earlier version and of this one, by what was done.

    Who is first changes from round to round.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        command = ["git", "archive", options.against, "firmly_nb"]
        packed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        sides = [stack.enter_context(_start(where, options)) for where in (folder, ROOT)]
        for side in sides:
            _ask(side)
        rounds = []
        for number in range(options.rounds):
            took: dict[str, tuple[float, float]] = {}
            for name in (TABLES, LINES, CHANGES, CHECKS, PRESENCE):
                order = sides if number % 2 == 0 else sides[::-1]
                seconds = [float(_ask(side, name)) for side in order]
                before, now = seconds if number % 2 == 0 else seconds[::-1]
                took[name] = before, now
            rounds.append(took)
        for side in sides:
            _pipes(side)[0].close()
        return rounds


def _start(where: str | Path, options: argparse.Namespace) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve"]
    command += ["--recordings", str(options.recordings), "--lines", str(options.lines)]
    # Its own folder comes first on the path: that of this file has no firmly_nb in it.
    environment = {**os.environ, "PYTHONPATH": str(where)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def _ask(side: subprocess.Popen[str], name: str = "") -> str:
    told, heard = _pipes(side)
    if name:
        print(name, file=told, flush=True)
    answer = heard.readline().strip()
    if not answer:
        raise SystemExit("A side of the comparison has ended.")
    return answer


def _pipes(side: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert side.stdin
    assert side.stdout
    return side.stdin, side.stdout


def main() -> int:
    """Run the rounds, print the table and write the page; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.carts", description=__doc__)
    parser.add_argument("--recordings", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-page", action="store_true", help="print only")
    parser.add_argument("--against", metavar="COMMIT", help="an earlier version, for comparison")
    parser.add_argument("--only-against", action="store_true", help="nothing but that")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return 0
    versions = compare(options) if options.against else []
    if options.only_against:
        print(beside(options, versions))
        return 0
    events = table_of_events(options.recordings, options.lines)
    works = contestants(events)
    rounds = [{name: measure(work) for name, work in works.items()} for _ in range(options.rounds)]
    more = {
        CHANGES: lambda: changes(events),
        CHECKS: lambda: run_checks(events),
        PRESENCE: lambda: field_presence(events),
    }
    once = {name: measure(work) for name, work in more.items()}
    page = report(options, rounds, once) + beside(options, versions)
    print(page)
    if not options.no_page:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
    return int(ratio(rounds, KEYED) < TARGET)


def ratio(rounds: list[dict[str, float]], name: str) -> float:
    """Return how many times as long as all our tables a contestant took, median of the rounds."""
    return median(seconds[name] / seconds[TABLES] for seconds in rounds)


def beside(options: argparse.Namespace, rounds: list[dict[str, tuple[float, float]]]) -> str:
    """Write the table of this version beside an earlier one; nothing without one."""
    if not rounds:
        return ""
    rows = []
    for name in rounds[0]:
        before, now = (median(each[name][side] for each in rounds) for side in (0, 1))
        times = median(each[name][1] / each[name][0] for each in rounds)
        rows.append(f"| {name} | {before:.2f} | {now:.2f} | {times:.2f} |")
    return f"""
## This version beside commit {options.against}

The same {options.recordings:,} recordings, medians of {options.rounds} rounds. The versions take
turns, each in a process of its own. Seconds are those of the processor, and the ratio is the
median of the rounds' own. Below 1, this version is faster. It runs more checks than that one.

| what | s before | s now | ratio |
| --- | ---: | ---: | ---: |
{chr(10).join(rows)}
"""


def report(
    options: argparse.Namespace, rounds: list[dict[str, float]], once: dict[str, float]
) -> str:
    """Write the page."""
    n_lines = options.recordings * len(EVENTS) * options.lines
    rows = [
        f"| {name} | {median(seconds[name] for seconds in rounds):.2f} "
        f"| {median(seconds[name] for seconds in rounds) / n_lines * 1e6:.1f} "
        f"| {ratio(rounds, name):.1f} |"
        for name in rounds[0]
    ]
    rows += [
        f"| {name} | {took:.2f} | {took / n_lines * 1e6:.1f} | |" for name, took in once.items()
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    times, least = ratio(rounds, KEYED), median(seconds[TABLES] for seconds in rounds)
    return f"""# Reading carts: how long it takes

All five cart tables take {least / n_lines * 1e6:.0f} µs a line item. That is {times:.1f} times as \
fast as `pandas.json_normalize`; at least {TARGET:g} times was wanted.

`python -m benchmarks.carts` repeats it. {options.recordings:,} recordings of {len(EVENTS)} \
snapshots with {options.lines} lines each, {n_lines:,} lines in all. Python {python}, pandas \
{pd.__version__}; medians of {options.rounds} rounds in one process.

| what | s | µs a line | times as long as all tables |
| --- | ---: | ---: | ---: |
{chr(10).join(rows)}

- **First row**: `json_normalize` reads the line items with the keys that join them to their \
events (`record_path` and `meta`).
- **Second row**: the least that it can do. The lines are picked out beforehand, without keys. It \
makes one table of the five.
- **Both rows**: amounts are integers beside floats. `json_normalize` neither mends nor marks what \
a merchant got wrong.
"""


if __name__ == "__main__":
    sys.exit(main())
