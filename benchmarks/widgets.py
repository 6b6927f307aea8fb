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
CROWD = """
from dataclasses import replace
from firmly_nb.recordings.recordings import Recording
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
}


def measure(notebook: Notebook, *, crowd: bool) -> list[float]:
    """Run the cells of a notebook and return how late each event was, in ms."""
    shown = notebook.run_cell(0).locator(".timeline")
    expect(shown.get_by_text("Place an order to see yours.")).to_be_visible()
    if crowd:
        notebook.run_cell(1)
        expect(shown.locator(".order-row")).to_have_count(300)
    notebook.run_cell(2)
    # The marks of the last events come a frame or two after their state.
    notebook.page.evaluate("new Promise(done => setTimeout(done, 500))")
    late_ms: list[float] = notebook.page.evaluate(MARKS)
    return late_ms


def main() -> int:
    """Measure each run, print the table and write the page; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.widgets", description=__doc__)
    parser.add_argument("--orders", type=int, default=20, help="orders of each run")
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[tuple[str, list[float], float]] = []
    home = Path(tempfile.mkdtemp(prefix="firmly-nb-widgets-"))
    with running_jupyter(home) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("FIRMLY_NB_CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        for number, (name, (cell, profile)) in enumerate(RUNS.items()):
            path = server.root / f"run-{number}.ipynb"
            filled = cell.format(orders=options.orders, profile=profile)
            crowd = name.startswith("with 300")
            write_notebook(path, [SETUP, CROWD if crowd else "", filled])
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            notebook = Notebook(server, page, path).open()
            foreign = Foreign()
            rows.append((name, measure(notebook, crowd=crowd), foreign.share()))
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
    return int(max(quantile(late_ms, 0.95) for _, late_ms, _ in rows) > TARGET_MS)


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
        f"| {max(late_ms):.0f} | {share:.0%} |"
        for name, late_ms, share in rows
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
bar. The last column is what programs other than this one used of the processors meanwhile.

| what | events | p50 ms | p95 ms | most ms | others |
| --- | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(lines)}

Wanted: at most {TARGET_MS:g} ms at p95 in every row. Two frames (33 ms at 60 a second) are part of
each number: the mark is set once the paint is over. The rest is the way from the recorder's process
over the journal, the kernel, the server and the page's socket.

Each widget loads, without compression, from memory and not from a network:

| widget | JavaScript kB | style sheets kB |
| --- | ---: | ---: |
{chr(10).join(sizes)}
"""


if __name__ == "__main__":
    sys.exit(main())
