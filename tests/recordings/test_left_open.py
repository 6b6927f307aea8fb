"""Streams that the recorder had to close: its own waiting is in no figure, chart or page."""

from __future__ import annotations

import base64
import json

import numpy as np
import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.display.text import duration
from firmly_nb.latency.targets import concurrency
from firmly_nb.recorder.records import End
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.sweep.run import point_of, row_of
from firmly_nb.widgets.timeline import ended_order, static_html
from tests.recorder import made_records
from tests.recorder.made_records import NAMES, SECOND
from tests.shown import whole
from tests.store.stored_recordings import older

WAITED_NS = 5 * SECOND
ERROR = {"error": "ErrorPaymentDeclined"}


def order(number, last, **changes):
    """An order that took some 40 ms, and 5 s until the recorder gave up waiting for the end."""
    names = NAMES if last == "order-placed" else (*NAMES[:2], "error")
    data = {"order-placed": {"platform_order_number": f"T-{number}"}, "error": ERROR}
    events = [
        made_records.event(n, name, data.get(name), t_ns=n * 10_000_000 + number * 1_000)
        for n, name in enumerate(names, start=1)
    ]
    outcome, code = ("placed", None) if last == "order-placed" else ("error_event", ERROR["error"])
    end = End(outcome, WAITED_NS, error_code=code, stream_left_open=True, schedule_lag_ns=1_000_000)
    start = made_records.start(number, started_at_ns=made_records.BEGIN + number * SECOND // 10)
    return Recording([start, *events, end], **changes)


@pytest.fixture(params=["in memory", "saved"])
def recs(request, tmp_path):
    made = Recordings([order(n, "error" if n % 10 == 0 else "order-placed") for n in range(1, 101)])
    if request.param == "in memory":
        return made
    made.save(tmp_path / "set")
    return fnb.load(tmp_path / "set")


def test_the_columns_say_so(recs):
    orders = recs.orders
    assert orders["stream_left_open"].all()
    assert orders[["order_latency_ms", "scheduled_order_latency_ms"]].isna().all(axis=None)
    is_placed = orders["outcome"] == "placed"
    assert (orders["time_to_order_placed_ms"].notna() == is_placed).all()
    assert (orders["time_to_failure_ms"].notna() == ~is_placed).all()
    assert orders["time_to_failure_ms"].max() < 41


def test_statistics_are_those_of_the_events(recs):
    curve = recs.completion()
    assert curve["t_ms"].max() < 41
    assert curve["share"].iloc[-1] == pytest.approx(0.9)
    open_at_once = concurrency(recs.ends.orders)
    assert open_at_once["open"].max() == 1
    assert recs.throughput() == pytest.approx(90 / 9.93, rel=0.01)
    assert recs.goodput(order_ms=100) == recs.throughput()
    assert recs.latency().table["max_ms"].max() < 41


def test_explanations_are_of_the_time_to_the_order(recs):
    assert recs.explain()["n"].max() == 90
    assert recs.explain("order_latency_ms")["n"].max() == 0


@pytest.mark.parametrize(
    "name", ["waterfall", "ecdf", "percentiles", "stages", "ridge", "over_time", "heatmap"]
)
def test_charts_show_no_waiting(recs, name):
    chart = getattr(recs.charts, name)()
    assert chart.data
    assert_no_waiting(chart.alt, chart.caption)
    assert max(numbers_in(json.loads(chart.to_json())["data"])) < WAITED_NS / 1e6


def numbers_in(node):
    """Every number of a chart's traces but times of day."""
    if isinstance(node, dict):
        node = plain(node["bdata"], node["dtype"]) if "bdata" in node else list(node.values())
    if isinstance(node, list):
        return [number for each in node for number in numbers_in(each)]
    return [node] if isinstance(node, int | float) and node < made_records.BEGIN / 1e9 else []


def plain(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype=dtype).tolist()


def assert_no_waiting(*texts):
    waited = {duration(WAITED_NS / 1e6), f"{WAITED_NS / 1e6:g}", "NaN", "nan ms"}
    assert not [word for text in texts for word in waited if word in text]


def test_displays_show_no_waiting(recs, tmp_path):
    placed, failed = recs[0], recs[9]
    for rec in (placed, failed):
        assert_no_waiting(repr(rec), rec._repr_html_(), repr(rec.waterfall()))
        assert point_of(1, row_of(rec.records()), 0.0).latency_ms == rec.events["t_ms"].iloc[-1]
    assert f"T-1 in {duration(placed.events['t_ms'].iloc[-1])}" in whole(placed)
    assert duration(failed.events["t_ms"].iloc[-1]) in whole(failed)
    assert_no_waiting(recs[:5]._repr_html_(), recs._repr_html_(), repr(recs.latency()))


def test_a_comparison_and_drift_are_told(recs):
    assert_no_waiting(repr(recs[::2].compare(recs[1::2])), repr(recs.drift()))


def test_the_page_shows_no_waiting(recs, tmp_path):
    page = fnb.report(recs, tmp_path / "page.html", pictures=False)
    assert duration(WAITED_NS / 1e6) not in page.read_text("utf-8")


def test_the_timeline_shows_no_waiting():
    rec = order(1, "error")
    shown = ended_order(1, rec)["end"]
    assert shown["t_ms"] == rec.events["t_ms"].iloc[-1]
    assert_no_waiting(shown["verdict"], static_html(Recordings([rec]), rec))


def test_older_sets_know_of_no_such_stream():
    loaded = fnb.load(older("first-edition"))
    assert loaded.orders["stream_left_open"].eq(False).all()
    assert loaded.orders["order_latency_ms"].notna().all()
    assert pd.api.types.is_bool_dtype(loaded.orders["stream_left_open"])


def test_the_waterfall_marks_failed_orders_where_they_failed(recs):
    marks = next(one for one in recs.charts.waterfall().data if one.name == "error event")
    assert len(marks.x) >= 5
    assert np.isfinite(np.array(marks.x, dtype=float)).all()
