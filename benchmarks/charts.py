"""From 100,000 orders to a chart drawn in the browser: ``python -m benchmarks.charts``.

Tables of made-up orders, each chart built from them in this process, then drawn by Plotly in
Chromium, the time taken inside the page from the JSON to two frames after the drawing. Pictures are
timed from the call to the bytes, the first one with the start of the browser. The table is printed
and written to ``docs/benchmarks-charts.md``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import plotly
from plotly.offline import get_plotlyjs

from benchmarks.quiet import Foreign
from firmly_nb import charts
from firmly_nb.charts import pictures
from firmly_nb.report.report import report
from tests.charts.made_orders import Made, made_orders

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-charts.md"
TARGET_S = 3.0
# Two frames later the browser has painted what was drawn.
DRAW = """async ([text]) => {
  const begin = performance.now();
  const { data, layout } = JSON.parse(text);
  const place = document.createElement("div");
  document.body.replaceChildren(place);
  await Plotly.newPlot(place, data, layout, {});
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - begin;
}"""


class Timed(NamedTuple):
    """What one chart took."""

    name: str
    build_s: float
    processor_s: float
    draw_s: float
    picture_s: float
    size: int


def made(n: int, seed: int = 7) -> Made:
    """Make orders of two merchants in eight runs; one in a hundred fails."""
    return made_orders(n, seed=seed, failures=0.01, runs=8)


def kinds(a: Made) -> dict[str, Callable[[], charts.Chart]]:
    """Return every chart as something to be called."""
    n = len(a.orders) // 2
    x, y = made(n, 8), made(n, 9)
    return {
        "waterfall": lambda: charts.waterfall(a.stages, a.orders),
        "ecdf": lambda: charts.ecdf(a.orders),
        "percentiles": lambda: charts.percentiles(a.orders),
        "stages": lambda: charts.stages(a.event_times, a.stages, a.orders),
        "ridge": lambda: charts.ridge(a.stages, a.orders),
        "over_time": lambda: charts.over_time(a.orders),
        "heatmap": lambda: charts.heatmap(a.orders),
        "funnel": lambda: charts.funnel(a.stages, a.orders),
        "cart_total": lambda: charts.cart_total(a.orders),
        "compare, half against half": lambda: charts.compare(
            (x.event_times, x.stages, x.orders), (y.event_times, y.stages, y.orders)
        ),
    }


def measure(name: str, build: Callable[[], charts.Chart], page: Page, rounds: int) -> Timed:
    """Build and draw a chart some times; medians."""
    built, worked, drawn, pictured, size = [], [], [], [], 0
    for _ in range(rounds):
        begin, begin_work = time.perf_counter(), time.process_time()
        chart = build()
        text = str(chart.to_json())
        built.append(time.perf_counter() - begin)
        worked.append(time.process_time() - begin_work)
        size = len(text)
        drawn.append(page.evaluate(DRAW, [text]) / 1000)
        begin = time.perf_counter()
        chart.picture()
        pictured.append(time.perf_counter() - begin)
    return Timed(name, median(built), median(worked), median(drawn), median(pictured), size)


def first_picture() -> float:
    """Return how long the first picture of a process takes: it starts the browser."""
    few = made(50)
    chart = charts.funnel(few.stages, few.orders)
    begin = time.perf_counter()
    chart.picture()
    return time.perf_counter() - begin


def chromium() -> str | None:
    """Return the browser of this machine."""
    named = os.environ.get("FIRMLY_NB_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("google-chrome")


def main() -> int:
    """Measure, print the table and write the page; 1 if the target is missed."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m benchmarks.charts", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    a, foreign = made(options.orders), Foreign()
    first = first_picture()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.add_script_tag(content=get_plotlyjs())
        timed = [measure(name, build, page, options.rounds) for name, build in kinds(a).items()]
        browser.close()
    reports = reported(a)
    text = written(options, timed, first, reports, foreign.share())
    print(text)
    if not options.no_page:
        PAGE.write_text(text, encoding="utf-8")
    return int(max(t.build_s + t.draw_s for t in timed) > TARGET_S)


def reported(recs: Made) -> dict[str, tuple[float, float]]:
    """Return seconds and megabytes of a report, without pictures and with them."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, with_pictures in (("without pictures", False), ("with pictures", True)):
            begin = time.perf_counter()
            path = report(recs, Path(folder) / "report.html", pictures=with_pictures)
            found[name] = (time.perf_counter() - begin, path.stat().st_size / 1e6)
    return found


def written(
    options: argparse.Namespace,
    timed: list[Timed],
    first: float,
    reports: dict[str, tuple[float, float]],
    foreign: float,
) -> str:
    """Write the page."""
    rows = [
        f"| {t.name} | {t.build_s:.2f} | {t.processor_s:.2f} | {t.draw_s:.2f} "
        f"| {t.build_s + t.draw_s:.2f} "
        f"| {t.size / 1000:.0f} | {t.picture_s:.2f} |"
        for t in timed
    ]
    pages = [f"| {name} | {s:.1f} | {mb:.1f} |" for name, (s, mb) in reports.items()]
    python = ".".join(map(str, sys.version_info[:3]))
    return f"""# Charts: how long they take

Written by `python -m benchmarks.charts`. {options.orders:,} orders, 1 % of them failed, in 8 runs.
Python {python}, pandas {pd.__version__}, plotly {plotly.__version__}; {os.cpu_count()} processors,
Chromium without a graphics card; medians of {options.rounds} round(s).
Meanwhile other programs used {foreign:.0%} of the machine.

| chart | built, s | of it processor, s | drawn, s | built and drawn, s | JSON, kB | picture, s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

Wanted: from the tables to the drawn chart in at most {TARGET_S:g} s on a machine that does nothing
else. On a busy machine, read the processor time of building. Drawn: in the
browser, from the JSON to two frames after Plotly's drawing. The first picture of a process took
{first:.1f} s, which is mostly the start of the browser; it stays open for {pictures.IDLE_S:.0f} s
after the last picture. In JupyterLab no picture is made by us: the front end saves its own
([charts](charts.md)).

| report of these orders | s | MB |
| --- | ---: | ---: |
{chr(10).join(pages)}
"""


if __name__ == "__main__":
    sys.exit(main())
