"""The sentence of a chart, and what it draws, are the figures that the tables have."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from firmly_nb import charts
from firmly_nb.charts.look import log_ticks, time_axis
from firmly_nb.charts.orders import along
from firmly_nb.charts.waterfall import chosen
from firmly_nb.display.text import duration
from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.shares import funnel
from firmly_nb.latency.summary import latency_table
from firmly_nb.outcomes import outcome


def trace(chart, name):
    return next(t for t in chart.data if t.name and t.name.startswith(name))


def test_the_ecdf_says_the_median_of_the_table(made):
    tables = made(300)
    table = latency_table(tables.event_times, tables.stages, tables.orders)
    order = table.set_index("stage").loc["order"]
    chart = charts.ecdf(tables.orders)
    for name in ("p50_ms", "p50_low_ms", "p95_ms", "p95_high_ms"):
        assert duration(order[name]).split("\u00a0")[0] in chart.sentence


def test_of_several_merchants_each_has_a_median_of_its_own(made):
    orders = made(120, failures=0.1).orders
    sentence = charts.ecdf(orders, by_merchant=True).sentence
    for name in ("a.test", "b.test"):
        q = quantile(orders.loc[orders["domain"] == name, "time_to_order_placed_ms"], 0.5)
        assert re.search(f"{duration(q.estimate)} .[^)]*. at {name}", sentence)
    few = charts.ecdf(made(6, failures=0, domains=tuple("abcd")).orders, by_merchant=True)
    assert few.sentence.startswith("Too few to say")


def test_intervals_of_charts_allow_for_runs_as_the_table_does(made):
    tables = made(300, runs=6)
    table = latency_table(tables.event_times, tables.stages, tables.orders)
    order = table.set_index("stage").loc["order"]
    sentence = charts.percentiles(tables.orders).sentence
    assert duration(order["p50_high_ms"]) in sentence
    assert "from 6 runs, for runs like these" in charts.percentiles(tables.orders).caption


def test_the_curve_rises_to_one_and_the_dashed_one_to_the_share_placed(usual):
    chart = charts.ecdf(usual.orders)
    placed = (usual.orders["outcome"] == "placed").mean()
    assert trace(chart, "placed orders").y[-1] == 1.0
    assert trace(chart, "all attempted").y[-1] == pytest.approx(placed)


def test_a_long_name_is_cut_and_keeps_its_count(made):
    chart = charts.ecdf(made(40, failures=0, domains=("x" * 80, "b.test")).orders, by_merchant=True)
    named = [t.name for t in chart.data if t.name]
    assert len(named) == 2
    assert all(re.fullmatch(r".{1,48} \(\d+\)", name) for name in named)


def test_a_percentile_that_is_not_estimable_is_not_told(made):
    sentence = charts.percentiles(made(60, failures=0).orders).sentence
    assert "p95 needs 72 placed orders, there are 60." in sentence
    assert "p90" in sentence


def test_each_further_nine_has_room_of_its_own(made):
    chart = charts.percentiles(made(1000, failures=0).orders)
    axis = chart.layout.xaxis
    ticks = dict(zip(axis.ticktext, np.log10(axis.tickvals), strict=True))
    assert ticks["99"] - ticks["90"] == pytest.approx(ticks["99.9"] - ticks["99"])


def test_waiting_for_the_planned_start_is_a_line_of_its_own(made):
    tables = made(100, failures=0)
    late = tables.orders.assign(schedule_lag_ms=500.0)
    chart = charts.percentiles(late)
    gap = trace(chart, "from the planned start").y - trace(chart, "time to order placed").y
    assert gap == pytest.approx(np.full(100, 500.0))
    assert "500 ms after their planned start" in chart.caption.replace("\u00a0", " ")


def test_stage_bars_are_the_medians_of_the_table(usual):
    table = latency_table(usual.event_times, usual.stages, usual.orders)
    bars = charts.stages(usual.event_times, usual.stages, usual.orders).data[:4]
    assert [bar.x[0] for bar in bars] == table["p50_ms"].head(4).tolist()
    high = table["p50_high_ms"] - table["p50_ms"]
    assert [bar.error_x.array[0] for bar in bars] == pytest.approx(high.head(4).tolist())


def test_the_stage_with_most_of_the_time_is_named(usual):
    for chart in (
        charts.stages(usual.event_times, usual.stages, usual.orders),
        charts.waterfall(usual.stages, usual.orders),
        charts.ridge(usual.stages, usual.orders),
    ):
        assert "shipping-updated" in chart.sentence


def test_the_name_of_a_narrow_hill_stands_above_it_and_touches_none(usual):
    chart = charts.ridge(usual.stages, usual.orders)
    names = [note["y"] for note in chart.bare().layout.meta["narrow"]["annotations"]]
    hills = [max(trace.y) for trace in chart.data if trace.fill]
    assert len(hills) == len(names) == 4
    for hill in hills:
        above = min(y for y in names if y > hill)
        assert above - hill > 0.25


def test_the_waterfall_draws_forty_of_many_and_some_of_each_end(many):
    rows = chosen(many.orders)
    placed = many.orders[many.orders["outcome"] == "placed"]
    assert len(rows) == 40
    assert rows["order_latency_ms"].iloc[0] == placed["order_latency_ms"].max()
    assert placed["order_latency_ms"].min() in rows["order_latency_ms"].to_list()
    assert (rows["outcome"] != "placed").sum() == 5


def test_an_order_without_any_stage_is_no_part_of_the_shares(made):
    """Its success was recognised by its content, in an event of an unknown name."""
    tables = made(3, failures=0)
    first = tables.stages["recording_id"] == tables.orders["recording_id"].iloc[0]
    for unknown in (first, first | True):
        stages = tables.stages.assign(
            duration_ms=tables.stages["duration_ms"].mask(unknown),
            end_ms=tables.stages["end_ms"].mask(unknown & (tables.stages.index > 0)),
        )
        sentence = charts.waterfall(stages, tables.orders).sentence
        assert ("is not known" in sentence) == unknown.all()


def test_aligned_orders_have_their_milestone_at_zero(made):
    tables = made(30, failures=0.2)
    chart = charts.waterfall(tables.stages, tables.orders, align="item-added")
    bar = trace(chart, "item-added")
    assert np.asarray(bar.base) + np.asarray(bar.x) == pytest.approx(np.zeros(len(bar.x)), abs=1e-6)
    assert "Zero is item-added" in chart.caption


def test_a_time_out_does_not_press_the_others_together(made):
    tables = made(40, failures=0.3)
    assert (tables.orders["outcome"] == "timeout").any()
    chart = charts.waterfall(tables.stages, tables.orders)
    placed = tables.orders.loc[tables.orders["outcome"] == "placed", "order_latency_ms"]
    assert chart.layout.xaxis.range[1] < 2 * placed.max()
    assert any(
        "20\u202f000\u00a0ms in all" in (note.text or "") for note in chart.layout.annotations
    )


def test_the_funnel_draws_the_funnel(usual):
    table = funnel(usual.stages, usual.orders)
    reached = [t.x[0] for t in charts.funnel(usual.stages, usual.orders).data[1:5]]
    assert reached == table["reached"].tolist()


def test_the_funnel_says_where_most_are_lost_and_to_what(made):
    tables = made(50, failures=0)
    lost = tables.orders.index < 10
    orders = tables.orders.assign(
        outcome=np.where(lost, "error_event", "placed"),
        error_code=pd.Series(np.where(lost, "ErrorOutOfStock", None), dtype="category"),
        last_milestone=pd.Series(np.where(lost, "item-added", "order-placed"), dtype="category"),
    )
    ids = orders.loc[lost, "recording_id"]
    gone = tables.stages["recording_id"].isin(ids) & tables.stages["to_milestone"].isin(
        ["shipping-updated", "order-placed"]
    )
    stages = tables.stages.assign(end_ms=tables.stages["end_ms"].where(~gone))
    sentence = charts.funnel(stages, orders).sentence
    assert sentence.startswith("40 of 50 orders were placed: 80.0%")
    assert sentence.endswith("10 stopped after item-added: 10 ErrorOutOfStock.")


def test_the_funnel_says_which_orders_exist_although_they_stopped(made):
    tables = made(40, failures=0)
    rows = tables.orders.index
    known = tables.orders.assign(
        outcome=pd.Series(np.where(rows < 6, "timeout", "placed"), dtype="category"),
        last_milestone=pd.Series(np.where(rows < 6, "item-added", "order-placed")),
        order_exists=np.select([rows < 1, rows < 3, rows < 6], ["yes", "no", "unknown"], "yes"),
    )
    sentence = charts.funnel(tables.stages, known).sentence
    assert sentence.endswith("Of those that stopped 1 exists and 3 may exist.")
    sure = known.assign(order_exists=np.where(rows < 6, "no", "yes"))
    assert charts.funnel(tables.stages, sure).sentence.endswith("6 timed out.")


def test_the_funnel_does_not_say_most_of_what_is_a_part(made):
    tables = made(300, failures=0.2)
    said = charts.funnel(tables.stages, tables.orders).sentence
    lost, here = map(int, re.search(r"; (\d+) stopped, (\d+) of them", said).groups())
    assert lost == (tables.orders["outcome"] != "placed").sum()
    last = tables.orders.loc[tables.orders["outcome"] != "placed", "last_milestone"]
    assert here == last.astype("object").fillna("start").value_counts().max()
    assert here == sum(map(int, re.findall(r"(?:: |, |and )(\d+) ", said.split("of them")[1])))


def test_one_order_that_took_very_long_does_not_press_the_others_together(made):
    tables = made(30, failures=0)
    slow = tables.orders["recording_id"].iloc[3]
    orders = tables.orders.copy()
    orders.loc[orders["recording_id"] == slow, "order_latency_ms"] = 90_000.0
    chart = charts.waterfall(tables.stages, orders)
    assert chart.layout.xaxis.range[1] < 10_000
    assert any("90\u202f000\u00a0ms in all" in note.text for note in chart.layout.annotations)
    assert "Bars that leave the picture" in chart.caption


def test_a_milestone_out_of_order_is_marked_and_counted(made):
    tables = made(12, failures=0)
    stages = tables.stages.copy()
    row = stages.index[stages["stage"] == "shipping-updated"][4]
    stages.loc[row, ["end_ms", "duration_ms"]] = [stages.loc[row, "start_ms"] - 80, -80.0]
    mark = trace(charts.waterfall(stages, tables.orders), "out of order")
    assert list(mark.x) == [stages.loc[row, "end_ms"]]
    drawn = [
        charts.stages(tables.event_times, stages, tables.orders),
        charts.ridge(stages, tables.orders),
        charts.waterfall(stages, tables.orders),
    ]
    for chart in drawn:
        assert "1 time of stages is not known and left out: 1 out-of-order." in chart.caption


def test_the_stage_that_takes_most_but_is_mostly_short_is_told_with_its_longest(made):
    tables = made(60, failures=0)
    stages = tables.stages.copy()
    row = stages.index[stages["stage"] == "creating-cart"][5]
    stages.loc[row, ["end_ms", "duration_ms"]] = 600_000.0
    sentence = charts.stages(tables.event_times, stages, tables.orders).sentence
    assert sentence.startswith("creating-cart takes")
    assert "but its longest 600\u202f000\u00a0ms" in sentence


@pytest.mark.parametrize("chart", [charts.over_time, charts.cart_total])
def test_every_failure_stands_inside_the_picture(made, chart):
    orders = made(120, failures=0.3).orders
    times = orders["time_to_order_placed_ms"].to_numpy().copy()
    times[np.flatnonzero(~np.isnan(times))[0]] *= 40  # so that the axis is logarithmic
    drawn = chart(orders.assign(time_to_order_placed_ms=times))
    low, high = (10**end for end in drawn.layout.yaxis.range)
    lost = {outcome(name).word for name in orders.loc[orders["outcome"] != "placed", "outcome"]}
    marks = [t for t in drawn.data if t.name and t.name.split(" (")[0] in lost]
    assert sum(len(mark.y) for mark in marks) == (orders["outcome"] != "placed").sum()
    assert all(low < y < high for mark in marks for y in mark.y)


@pytest.mark.parametrize("chart", [charts.over_time, charts.cart_total])
def test_more_merchants_than_colours_are_drawn_together_and_named(made, chart):
    names = tuple(f"{letter}.test" for letter in "abcdef")
    drawn = chart(made(90, failures=0, domains=names).orders)
    points = [t for t in drawn.data if t.mode == "markers" and "median" not in t.name]
    assert sum(len(t.x) for t in points) == 90
    assert points[-1].name.startswith("3 more merchants (")
    assert {who for t in points for *_, who in t.customdata} == set(names)


def test_each_kind_of_failure_has_a_mark_of_its_own(made):
    orders = made(200, failures=0.5).orders
    lost = {outcome(name).word for name in set(orders["outcome"]) - {"placed"}}
    named = [t for t in charts.over_time(orders).data if t.name]
    marks = {t.name.split(" (")[0]: t.marker.symbol for t in named}
    assert len({marks[name] for name in lost}) == len(lost) == 4


def test_the_tail_leads_to_its_orders(made):
    orders = made(50, failures=0).orders
    line = trace(charts.percentiles(orders), "time to order placed")
    slowest = orders.sort_values("time_to_order_placed_ms").iloc[-1]
    assert list(line.customdata[-1][1:]) == [slowest["recording_id"], slowest["order_number"]]


def test_one_order_has_a_curve(made):
    line = trace(charts.ecdf(made(1, failures=0).orders), "placed orders")
    assert list(line.y) == [0.0, 1.0]


def test_of_orders_that_all_failed_it_is_said_what_became_of_them(made):
    orders = made(40, failures=1).orders
    sentence = charts.ecdf(orders).sentence
    assert sentence.startswith("None of 40 orders was placed: ")
    assert sum(map(int, re.findall(r"(\d+) (?=\D)", sentence.split(":")[1]))) == 40
    assert charts.ecdf(orders.iloc[:0]).sentence == "There are no orders."


def test_a_time_that_no_placed_order_has_is_said(made):
    sentence = charts.ecdf(
        made(9, failures=0).orders, measure="scheduled_order_latency_ms"
    ).sentence
    assert sentence == "No placed order has a known order latency from the planned start."


def test_drift_is_told_when_the_intervals_are_apart_and_only_then(made):
    tables = made(400, failures=0)
    ordered = tables.orders.sort_values("started_at")
    assert "no clear change" in charts.over_time(ordered).sentence
    factor = np.linspace(1, 2, len(ordered))
    slower = ordered.assign(time_to_order_placed_ms=ordered["time_to_order_placed_ms"] * factor)
    assert charts.over_time(slower).sentence.endswith("slower.")


def test_run_medians_are_drawn(usual):
    chart = charts.over_time(usual.orders)
    first = usual.orders[usual.orders["run_id"] == "run 0"]
    wanted = quantile(first["time_to_order_placed_ms"], 0.5)
    assert trace(chart, "median").y[0] == wanted.estimate


def test_a_slow_hour_is_found_and_chance_is_not_taken_for_one(made):
    orders = made(1200, failures=0).orders.sort_values("started_at")
    assert "No stretch of time stands out" in charts.heatmap(orders).sentence
    times = orders["time_to_order_placed_ms"].to_numpy().copy()
    times[500:600] *= 2.5
    sentence = charts.heatmap(orders.assign(time_to_order_placed_ms=times)).sentence
    assert sentence.startswith("From ")
    begin = orders["started_at"].iloc[500].strftime("%H:")
    assert begin in sentence


def test_runs_that_are_hours_apart_stand_side_by_side(made):
    assert along(made(60, runs=3).orders).side_by_side
    assert not along(made(60).orders).side_by_side
    axis = along(made(60, runs=3).orders).axis()
    assert len(axis["tickvals"]) == 3


def test_bigger_carts_that_take_longer_are_seen(made):
    orders = made(300, failures=0).orders
    assert charts.cart_total(orders).sentence.startswith("No sign of it")
    longer = orders.assign(time_to_order_placed_ms=orders["total_minor"].astype(float) / 4)
    assert charts.cart_total(longer).sentence.startswith("Bigger carts take longer")


def test_amounts_of_two_currencies_do_not_share_an_axis(made):
    orders = made(60, failures=0).orders
    currency = np.where(np.arange(60) < 10, "JPY", "USD")
    chart = charts.cart_total(orders.assign(currency=pd.Series(currency, dtype="category")))
    assert "10 placed orders without a total in USD not drawn" in chart.caption
    assert "USD" in chart.layout.xaxis.title.text


def test_the_axis_is_logarithmic_where_times_span_a_decade():
    assert time_axis([10, 5000], "time")["type"] == "log"
    assert "type" not in time_axis([100, 500], "time")
    assert log_ticks(0.5, 20_000) == [1.0, 10.0, 100.0, 1000.0, 10000.0]


def test_a_percentile_without_an_interval_says_what_it_needs(usual):
    said = charts.percentiles(usual.orders).sentence
    assert re.search(r"; p\d+ has no interval: about \d+ runs are needed, there are 6\.$", said)


def test_runs_without_a_median_are_not_taken_for_the_last(usual):
    chart = charts.over_time(usual.orders)
    steps = sum(at is None for at in trace(chart, "median").y)
    missing = 6 - steps
    assert missing == 1
    assert "Without an interval: 1 run." in chart.caption
    assert "in run 5 of 6: " in chart.sentence


def test_medians_of_carts_stand_at_totals_that_exist(made):
    orders = made(100, failures=0).orders
    totals = np.where(np.arange(100) % 2, 1_000, 9_000)
    chart = charts.cart_total(orders.assign(total_minor=totals))
    assert set(trace(chart, "median of a fifth").x) <= {10.0, 90.0}
    assert trace(chart, "median of a fifth").mode == "markers"
    assert list(chart.layout.xaxis.tickvals) == [10.0, 90.0]
    assert chart.layout.xaxis.range[0] >= 0
