"""No word of a chart is cut or lies on another, whatever the times, days, names and widths are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import plotly
import pytest

from firmly_nb import charts
from tests.charts.made_orders import made_orders
from tests.charts.test_charts import DRAW
from tests.charts.words import CUT

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
EXTENSION = Path(charts.__file__).parent / "labextension" / "static" / "remoteEntry.js"
# As JupyterLab's extension lays a chart out, and as a report does.
DRAWN = """async ([{ data, layout, config }, width, isReport]) => {
    const isNarrow = width < layout.meta.narrow_px;
    const right = isReport
        ? { ...layout, ...(isNarrow ? layout.meta.narrow : {}) }
        : laidOut(layout, fitFor(width, layout.meta));
    const place = document.createElement("div");
    document.body.replaceChildren(place);
    await Plotly.newPlot(place, data, structuredClone({ ...right, width }), config);
    return (%s)(place);
}"""
WIDTHS_PX = (330, 360, 420, 520, 610, 760, 900, 1400)
NAMES = (
    ("a.test", "b.test"),
    ("harbor.example.test",),
    tuple(f"a-long-name-of-a-shop-{number}.example.test" for number in range(6)),
)


@pytest.fixture(scope="module")
def page(browser):
    """An empty page with Plotly and the functions of the extension."""
    opened = browser.new_page()
    opened.set_content("<body></body>")
    opened.add_script_tag(path=PLOTLY)
    opened.add_script_tag(content=EXTENSION.read_text("utf-8").partition("const plugin =")[0])
    yield opened
    opened.close()


def varied(seed):
    """Make orders of any number, speed, price and day; the same ones for the same seed."""
    draw = np.random.default_rng(seed)
    n = int(draw.choice([1, 2, 5, 8, 30, 200]))
    found = made_orders(
        n,
        seed=seed,
        failures=float(draw.choice([0, 0.2])),
        runs=int(draw.choice([1, min(n, 4)])),
        domains=NAMES[seed % len(NAMES)],
    )
    faster = 10 ** draw.uniform(-2.5, 2.5)
    for table in (found.orders, found.stages, found.event_times):
        times = [name for name in table if name.endswith("_ms") and table[name].dtype.kind == "f"]
        table[times] *= faster
    orders = found.orders
    dearer = orders["total_minor"].astype(float) * 10 ** draw.uniform(-2, 4)
    orders["total_minor"] = dearer.astype("int64").astype(orders["total_minor"].dtype)
    begin = pd.Timestamp("2026-11-28 18:00", tz="UTC") + pd.Timedelta(hours=draw.uniform(0, 12))
    since_ns = np.sort(draw.uniform(0, 10 ** draw.uniform(7, 15.5), n)).astype("int64")
    starts = begin.as_unit("ns") + pd.to_timedelta(since_ns, unit="ns")
    orders["started_at"] = starts.astype(orders["started_at"].dtype)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_all_words_are_whole_in_a_notebook_and_in_a_report(page, seed):
    made, wrong = varied(seed), []
    for number, (name, draw) in enumerate(DRAW.items()):
        chart = draw(made)
        for is_report in (False, True):
            shown = chart.bare().to_json() if is_report else json.dumps(chart._shown())
            for width in WIDTHS_PX[(number + seed) % 4 :: 4]:
                cut = page.evaluate(DRAWN % CUT, [json.loads(shown), width, is_report])
                if cut:
                    wrong.append((name, width, is_report, cut))
    assert wrong == []
