"""Measure how late events are on the screen: ``python -m benchmarks.widgets``.

A real JupyterLab in a real browser, as in the browser tests. Each event leaves a mark in the
page's own record once it is painted, with the time since it arrived at the recorder's socket; the
page's clock and the recorder's are the same machine's. The table is printed and written to
``docs/benchmarks-widgets.md``. Needs Debian's chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from benchmarks.quiet import Foreign
from firmly_nb.widgets.frontend import module, style
from tests.browser.jupyter import Notebook, running_jupyter, write_notebook

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-widgets.md"
TARGET_MS = 100.0
MARKS = "performance.getEntriesByName('firmly-nb:drawn').map(mark => mark.detail.late_ms)"
WIDGETS = {"Timeline": "timeline", "OrderForm": "order_form", "CartView": "cart_view"}

SETUP = """
import concurrent.futures, time, firmly_nb as fnb
lab = fnb.connect(profile="typical")
order = fnb.Order.example()
warm = lab.place(order, progress=False)
timeline = fnb.Timeline()
def place(profile):
    headers = {"x-sim-profile": profile}
    return lab.place(order, progress=False, on_record=timeline.feed, headers=headers)
timeline
"""
SEQUENCE = "for _ in range({orders}): place({profile!r})"
AT_ONCE = """
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(place, ["typical"] * {orders}))
"""
BUSY = """
for _ in range({orders}):
    attempt = lab.start(order, on_record=timeline.feed)
    while not attempt.done:
        sum(i * i for i in range(100_000))
"""
# A stream that is faster than any of firmly's: 200 events a second, each dated as it is fed.
FAST = """
from dataclasses import replace
from firmly_nb.recorder.records import Event
def stream(count, per_second, own=timeline):
    start, *_, end = warm.records()
    began_ns, first_ns = time.time_ns(), time.monotonic_ns()
    feed = own.feed
    feed(replace(start, recording_id=f"fast {{count}}", started_at_ns=began_ns))
    told = {{1: "creating-cart", count // 3: "item-added", count // 2: "shipping-updated",
            count: "order-placed"}}
    for seq in range(1, count + 1):
        time.sleep(max(first_ns + seq * 1e9 / per_second - time.monotonic_ns(), 0) / 1e9)
        t_ns = time.monotonic_ns() - first_ns
        feed(Event(seq, told.get(seq, "tick"), {{"n": seq}}, t_ns, began_ns + t_ns, "kernel", 20.0,
                   seq, False, 5.0, 8))
    feed(replace(end, t_end_ns=time.monotonic_ns() - first_ns))
stream({events}, 200)
"""
# The same order many times over in one timeline: 100,000 events to show, and one more to draw.
LARGE = """
from dataclasses import replace
from firmly_nb.recorder.records import Event
from firmly_nb.recordings.recording import Recording
start, *_, end = warm.records()
told = {1: "creating-cart", 2: "item-added", 3: "shipping-updated", 100_000: "order-placed"}
many = [Event(n, told.get(n, "tick"), {}, n * 100_000, n, "kernel", 20.0, n, False, 5.0, 8)
        for n in range(1, 100_001)]
timeline.add(Recording([replace(start, recording_id="large"), *many,
                        replace(end, t_end_ns=10_001_000_000)]))
"""
CROWD = """
from dataclasses import replace
from firmly_nb.recordings.recording import Recording
start, *rest = warm.records()
for number in range(300):
    timeline.add(Recording([replace(start, recording_id=f"copy {number}"), *rest]))
"""
RUNS = {
    "one order after another, 500 ms each": (SEQUENCE, "calm"),
    "one order after another, 1.2 s each": (SEQUENCE, "typical"),
    "four orders at once": (AT_ONCE, "typical"),
    "beside a cell that computes": (BUSY, "typical"),
    "with 300 orders on the timeline": (SEQUENCE, "calm"),
    "beside an order of 100,000 events": (SEQUENCE, "calm"),
    "200 events a second": (FAST, ""),
}
BEFORE = {"with 300 orders on the timeline": CROWD, "beside an order of 100,000 events": LARGE}
OBSERVE = """() => {
    window.longest = 0;
    const take = list => list.getEntries().forEach(
        entry => window.longest = Math.max(window.longest, entry.duration));
    new PerformanceObserver(take).observe({type: "longtask"});
}"""


def measure(notebook: Notebook, *, rows: int) -> tuple[list[float], float]:
    """Run the cells of a notebook; return how late each event was, and the longest task, in ms.

    Parameters
    ----------
    notebook
        Its second cell makes the timeline large.
    rows
        Number of orders that are then listed; 0 to wait for none.
    """
    shown = notebook.run_cell(0).locator(".timeline")
    expect(shown.get_by_text("Place an order to see yours.")).to_be_visible()
    notebook.run_cell(1)
    if rows:
        expect(shown.locator(".order-row")).to_have_count(rows)
    notebook.page.evaluate(OBSERVE)
    notebook.run_cell(2)
    # The marks of the last events come a frame or two after their state.
    notebook.page.evaluate("new Promise(done => setTimeout(done, 500))")
    late_ms: list[float] = notebook.page.evaluate(MARKS)
    return late_ms, notebook.page.evaluate("window.longest")


def main() -> int:
    """Measure each run, print the table and write the page; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.widgets", description=__doc__)
    parser.add_argument("--orders", type=int, default=20, help="orders of each run")
    parser.add_argument("--events", type=int, default=2_000, help="events of the fast stream")
    parser.add_argument("--only", default="", help="runs whose name has this text")
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[tuple[str, list[float], float, float]] = []
    home = Path(tempfile.mkdtemp(prefix="firmly-nb-widgets-"))
    with running_jupyter(home) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("FIRMLY_NB_CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        for number, (name, (cell, profile)) in enumerate(RUNS.items()):
            if options.only not in name:
                continue
            path = server.root / f"run-{number}.ipynb"
            filled = cell.format(orders=options.orders, profile=profile, events=options.events)
            write_notebook(path, [SETUP, BEFORE.get(name, "pass"), filled])
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            notebook = Notebook(server, page, path).open()
            foreign = Foreign()
            late_ms, longest = measure(notebook, rows=300 if name.startswith("with 300") else 0)
            rows.append((name, late_ms, longest, foreign.share()))
            print(f"{name}: {len(rows[-1][1])} events", file=sys.stderr, flush=True)
            page.goto("about:blank")
            page.close()
            server.end_kernels()
        version = browser.version
        browser.close()
    shutil.rmtree(home, ignore_errors=True)
    written = report(options, rows, version)
    print(written)
    if not options.no_page:
        PAGE.write_text(written, encoding="utf-8")
    return int(max(quantile(late_ms, 0.95) for _, late_ms, *_ in rows) > TARGET_MS)


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share of all is not above."""
    ordered = sorted(values)
    return ordered[max(round(len(ordered) * share) - 1, 0)]


def size_kb(text: str) -> str:
    """Return a text's size."""
    return f"{len(text.encode()) / 1000:.0f}"


def report(options: argparse.Namespace, rows: list[Any], version: str) -> str:
    """Write the page."""
    lines = [
        f"| {name} | {len(late_ms)} | {quantile(late_ms, 0.5):.0f} | {quantile(late_ms, 0.95):.0f} "
        f"| {max(late_ms):.0f} | {longest:.0f} | {share:.0%} |"
        for name, late_ms, longest, share in rows
    ]
    sizes = [
        f"| {name} | {size_kb(module(part))} | {size_kb(style(part))} |"
        for name, part in WIDGETS.items()
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    return f"""# Widgets: how late an event is on the screen

Written by `python -m benchmarks.widgets`. JupyterLab and Chromium {version} on one machine with
{os.cpu_count()} processors, Python {python}; {options.orders} orders a run. From the arrival of an
event at the recorder's socket, by the kernel timestamp, to the frame after the one that painted its
bar. "Longest task" is the longest time for which the page answered nothing, 0 if none was above 50
ms. The last column is what programs other than this one used of the processors meanwhile.

| what | events | p50 ms | p95 ms | most ms | longest task ms | others |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(lines)}

Wanted: at most {TARGET_MS:g} ms at p95 in every row, and no task above {TARGET_MS:g} ms. Two
frames (33 ms at 60 a second) are part of each number: the mark is set once the paint is over. The
rest is the way from the recorder's process over the journal, the kernel, the server and the page's
socket. The events of the fast stream do not come from a recorder: a cell dates and feeds them.

Each widget loads, without compression, from memory and not from a network:

| widget | JavaScript kB | style sheets kB |
| --- | ---: | ---: |
{chr(10).join(sizes)}
"""


if __name__ == "__main__":
    sys.exit(main())
