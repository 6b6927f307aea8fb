"""Change points: found where there are some, seldom where there are none, and what could be."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.latency.drift import (
    RUN_MEDIANS,
    _best_split,
    _detectable,
    change_points,
    run_medians,
)


def noisy(rng, runs, noise=0.08, steps=()):
    """Medians of runs; at each step they become so many times as long."""
    x = 1200 * np.exp(noise * rng.standard_normal(runs))
    for place, ratio in steps:
        x[place:] *= ratio
    return x


def goodness(x, s):
    """Definition of metrics.md, section 4, written out."""
    before, after = x[:s], x[s:]
    across = np.mean([abs(a - b) for a in before for b in after])
    within = [
        np.mean([abs(a - b) for a, b in itertools.combinations(part, 2)])
        for part in (before, after)
    ]
    return s * (len(x) - s) / len(x) * (2 * across - sum(within))


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=14))
def test_the_best_split_is_that_of_the_definition(values):
    x = np.array(values)
    split, best = _best_split(np.abs(np.subtract.outer(x, x))[None])
    each = {s: goodness(x, s) for s in range(3, len(x) - 2)}
    assert best[0] == pytest.approx(max(each.values()), abs=1e-9)
    assert each[int(split[0])] == pytest.approx(max(each.values()), abs=1e-9)


def test_a_change_is_found_where_it_is_and_told():
    found = change_points(noisy(np.random.default_rng(1), 30, steps=[(12, 1.4)]))
    assert [point.place for point in found.points] == [12]
    assert found.points[0].p_value <= 0.01
    assert found.points[0].ratio == pytest.approx(1.4, abs=0.12)
    assert found.sentence.startswith("From run 12 on orders are slower: 1.")
    assert "with 30 runs as noisy as these, a change by " in found.sentence


def test_several_changes_are_found_one_after_the_other():
    x = noisy(np.random.default_rng(2), 45, steps=[(15, 1.5), (30, 0.6)])
    found = change_points(x, [f"day {i}" for i in range(45)])
    assert [point.run_id for point in found.points] == ["day 15", "day 30"]
    assert [point.ratio > 1 for point in found.points] == [True, False]


def test_where_nothing_changed_an_alarm_is_rare():
    rng = np.random.default_rng(3)
    alarms = sum(bool(change_points(noisy(rng, 20)).points) for _ in range(100))
    assert alarms <= 4


def test_the_size_that_it_says_could_be_found_is_found_in_about_four_of_five():
    rng = np.random.default_rng(4)
    x = noisy(rng, 20)
    detectable = change_points(x).detectable
    found = [
        bool(change_points(noisy(rng, 20, steps=[(10, detectable)])).points) for _ in range(40)
    ]
    assert np.mean(found) >= 0.6
    smaller = 1 + (detectable - 1) / 4
    missed = [bool(change_points(noisy(rng, 20, steps=[(10, smaller)])).points) for _ in range(40)]
    assert np.mean(missed) <= 0.3


def test_noise_is_measured_around_the_segments_not_around_the_change():
    rng = np.random.default_rng(5)
    x = np.log(noisy(rng, 30, steps=[(15, 2.0)]))
    assert _detectable(x, [0, 15, 30]) < 1.3 < _detectable(x, [0, 30])


@pytest.mark.parametrize("runs", [0, 1, 10])
def test_too_few_runs_say_so(runs):
    found = change_points(noisy(np.random.default_rng(6), runs, steps=[(runs // 2, 5.0)]))
    assert found.points == ()
    assert found.detectable is None
    expected = f"Too few runs to look for changes: 11 are the least, there are {runs}."
    assert found.sentence == repr(found) == expected


def test_eleven_runs_are_enough_for_a_change_that_is_large():
    x = noisy(np.random.default_rng(7), 11, noise=0.01, steps=[(5, 2.0)])
    assert [point.place for point in change_points(x).points] == [5]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 1e5), min_size=11, max_size=15))
def test_the_same_series_always_has_the_same_changes(values):
    first, second = change_points(values), change_points(values)
    assert first == second
    assert all(3 <= point.place <= len(values) - 3 for point in first.points)


def test_runs_that_are_all_equal_did_not_change():
    assert change_points([5.0] * 12).points == ()


def test_each_value_needs_its_run():
    with pytest.raises(ValueError, match="there are 2 values and 1 run ids"):
        change_points([1.0, 2.0], ["a"])


def test_runs_are_taken_in_order_of_their_first_order(tables, delays):
    rng = np.random.default_rng(8)
    ids = np.repeat([f"run {i}" for i in range(12)], 10)
    slower = np.where(np.arange(120) >= 60, 2.0, 1.0)[:, None]
    _, _, orders = tables(delays(rng, 120) * slower, run_ids=ids)
    table, changes = run_medians(orders.sample(frac=1, random_state=1))
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in RUN_MEDIANS.columns}
    assert table["run_id"].tolist() == [f"run {i}" for i in range(12)]
    assert table["segment"].tolist() == [0] * 6 + [1] * 6
    assert [point.run_id for point in changes.points] == ["run 6"]
    first = orders[orders["run_id"] == "run 0"]["time_to_order_placed_ms"]
    assert table["median_ms"].iloc[0] == pytest.approx(first.median())
    assert isinstance(table["started_at"].iloc[0], pd.Timestamp)
