"""The chart of a comparison shows the three questions that decide, and claims no more than they."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from firmly_nb import charts
from firmly_nb.charts.compare import comparison_chart
from firmly_nb.charts.look import LIGHT
from firmly_nb.latency.compare import compare

MONDAY = pd.Timestamp("2026-11-23 10:00", tz="UTC")


def sides(made):
    """The tables of one side of a comparison."""
    return made.event_times, made.stages, made.orders


@pytest.fixture
def in_turn(made):
    """Make A and B in the same runs, in turn: `in_turn(400, late=0.1)`."""

    def make(n, *, late=0.0, failures_b=0.03, runs=8, seed=3):
        draw, both = np.random.default_rng(seed), []
        first = draw.integers(0, 2, n)
        run = np.arange(n) * runs // n
        for which in (0, 1):
            side = made(
                n,
                seed=seed + which,
                failures=failures_b if which else 0.03,
                domains=("a.test",),
            )
            turn = 2 * np.arange(n) + (first if which == 0 else 1 - first) + 3_600 * run
            starts = (MONDAY + pd.to_timedelta(turn, unit="s")).as_unit("ns")
            slow = np.where(draw.random(n) < (late if which else 0.0), 3.0, 1.0)
            side.orders = side.orders.assign(
                run_id=pd.Categorical([f"run {each}" for each in run]),
                started_at=starts,
                time_to_order_placed_ms=side.orders["time_to_order_placed_ms"] * slow,
            )
            both.append(side)
        return both

    return make


def question_lines(chart):
    """The intervals of the upper part, by the row they are in."""
    rows = {}
    for trace in chart.data:
        if trace.xaxis == "x3" and trace.mode == "lines":
            rows.setdefault(trace.y[0], []).append(trace)
    return rows


def words(chart):
    return [note.text for note in chart.layout.annotations if note.name != "caption"]


def drawn(a, b, **how):
    found = compare(sides(a), sides(b), **how)
    return found, comparison_chart(found, a.orders, b.orders, ("A", "B"))


def test_the_question_is_the_title_and_the_verdict_the_answer(made):
    a, b = made(200, seed=1), made(200, seed=2)
    found = compare(sides(a), sides(b), 0.2)
    chart = charts.compare(sides(a), sides(b), margin=0.2, names=("monday", "tuesday"))
    assert chart.question == "Is tuesday slower than monday?"
    assert chart.sentence == found.verdict
    assert "A, monday: 200 orders" in chart.caption
    shift = next(t for t in chart.data if t.name == "shift of each percentile")
    assert shift.y == pytest.approx(found.shift["shift_ms"].to_numpy())


def test_each_question_is_drawn_with_both_intervals_in_units_of_its_margin(in_turn):
    found, chart = drawn(*in_turn(400, late=0.1))
    assert found.order.verdict == "slower"
    rows = question_lines(chart)
    typical, late, very_late, placed = (rows[at] for at in range(4))
    unit = math.log1p(found.margin)
    assert typical[0].x == pytest.approx(
        (math.log(found.typical.low) / unit, math.log(found.typical.high) / unit)
    )
    assert late[1].x == pytest.approx(
        np.clip([found.tail.inside_low / 0.05, found.tail.inside_high / 0.05], -3, 3)
    )
    assert len(very_late) == 1
    # Fewer placed is worse, so it is on the right as a later order is.
    assert placed[0].x == pytest.approx((-found.success.high / 0.05, -found.success.low / 0.05))
    assert any(
        text.startswith("<b>Late, over ") and ": slower<br>" in text for text in words(chart)
    )


def test_the_limits_of_lateness_are_drawn_with_the_shares_beyond_them(in_turn):
    found, chart = drawn(*in_turn(400, late=0.1))
    lines = [shape.x0 for shape in chart.layout.shapes if shape.yref == "y domain"]
    assert lines == [found.tail.late_ms, found.tail.very_late_ms]
    beside = [text for text in words(chart) if text.startswith("later than")]
    assert f"{100 * found.tail.b.share:.1f}%" in beside[0]
    assert f"{100 * found.tail.very_late_b.share:.1f}%" in beside[1]


def test_the_curves_count_what_was_not_placed(in_turn):
    found, chart = drawn(*in_turn(300, failures_b=0.3))
    b = next(t for t in chart.data if t.name == "B (300)")
    assert b.y[-1] == pytest.approx(found.success.b.share)
    assert found.success.b.share < 0.8


def test_what_is_not_put_down_to_b_is_grey_and_its_rows_say_so(made):
    a, b = made(200, seed=1), made(200, seed=2)
    found, chart = drawn(a, b)
    assert found.order.verdict == "not attributable"
    colours = {line.line.color for row in question_lines(chart).values() for line in row}
    assert colours == {LIGHT.quiet}
    assert "Grey: not attributed to B." in chart.caption
    assert any("<b>Typical time</b>: not attributable" in text for text in words(chart))


def test_of_what_cannot_be_compared_only_the_curves_are_drawn(made):
    found, chart = drawn(made(90, domains=("a.test",)), made(90, domains=("b.test",)))
    assert found.order.verdict == chart.sentence[:14].lower() == "not comparable"
    assert not question_lines(chart)
    assert {t.name for t in chart.data if t.name} == {"A (90)", "B (90)"}


def test_stages_that_were_gathered_are_not_drawn(in_turn):
    a, b = in_turn(120)
    assert any("<b>item-added</b>" in text for text in words(drawn(a, b)[1]))
    b.stages = b.stages.assign(coalesced=True, gathered=True, duration_ms=0.0)
    _, chart = drawn(a, b)
    assert not any("<b>item-added</b>" in text for text in words(chart))


def test_one_order_that_took_very_long_flattens_neither_curves_nor_shift(in_turn):
    a, b = in_turn(100)
    times = b.orders["time_to_order_placed_ms"].to_numpy().copy()
    times[np.flatnonzero(~np.isnan(times))[0]] = 600_000.0
    b.orders = b.orders.assign(time_to_order_placed_ms=times)
    _, chart = drawn(a, b)
    end = chart.layout.xaxis.range[1]
    assert (10**end if chart.layout.xaxis.type == "log" else end) < 10_000
    assert "1 order took longer than is drawn, at most 600\u202f000\u00a0ms." in chart.caption
    assert max(map(abs, chart.layout.yaxis2.range)) < 10_000


def test_where_the_band_of_the_shift_ends_is_said(in_turn):
    a, b = in_turn(40)
    found, chart = drawn(a, b)
    bounded = np.isfinite(found.shift[["low_ms", "high_ms"]].to_numpy()).all(axis=1)
    assert not bounded.all()
    last = found.shift["q"][np.flatnonzero(bounded)[-1]]
    assert f"and p{100 * last:g}: beyond, orders are too few." in chart.caption


def test_a_shift_of_too_few_orders_is_not_drawn(made):
    few = made(9, failures=0)
    _, chart = drawn(few, few)
    assert not [t for t in chart.data if t.name and t.name.startswith("shift")]
    assert "Lower part" not in chart.caption
