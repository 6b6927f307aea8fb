"""Change points: found where there are some, seldom where there are none, and what could be."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.display.text import percent
from firmly_nb.latency.drift import (
    RUN_MEDIANS,
    _best_split,
    _detectable,
    _steps_needed,
    change_points,
    run_medians,
)
from firmly_nb.neighbours import noise_of


def noisy(rng, runs, noise=0.08, steps=()):
    """Medians of runs; at each step they become so many times as long."""
    x = 1200 * np.exp(noise * rng.standard_normal(runs))
    for place, ratio in steps:
        x[place:] *= ratio
    return x


def autoregressive(rng, size, alike):
    """Noise of standard deviation 1 whose neighbours are alike."""
    x = rng.standard_normal(size)
    for at in range(1, size):
        x[at] = alike * x[at - 1] + np.sqrt(1 - alike**2) * x[at]
    return x


def goodness(x, s):
    """The definition, written out."""
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


@pytest.mark.parametrize("runs", [0, 1, 4])
def test_too_few_runs_say_so(runs):
    found = change_points(noisy(np.random.default_rng(6), runs, steps=[(runs // 2, 5.0)]))
    assert found.points == ()
    assert found.detectable is None
    expected = (
        f"Too few runs to look for changes: 5 with a start and a time are needed, there are {runs}."
    )
    assert found.sentence == repr(found) == expected


@pytest.mark.parametrize("runs", [5, 6, 8, 10])
def test_a_doubling_within_few_runs_is_found(runs):
    rng = np.random.default_rng(runs)
    place = runs // 2
    found = [change_points(noisy(rng, runs, 0.05, [(place, 2.0)])) for _ in range(20)]
    assert sum([point.place for point in one.points] == [place] for one in found) >= 19
    assert not any(one.trend for one in found)
    assert found[0].sentence.startswith(f"From run {place} on orders are slower: ")
    assert f"with {runs} runs as noisy as these, a change by " in found[0].sentence


@pytest.mark.parametrize("runs", [6, 10, 11, 14, 30])
def test_runs_that_are_like_the_run_before_raise_few_alarms(runs):
    rng = np.random.default_rng(100 + runs)
    alarms = 0
    for _ in range(100):
        found = change_points(1200 * np.exp(0.08 * autoregressive(rng, runs, 0.6)))
        alarms += bool(found.points or found.trend)
    assert alarms <= 8


@pytest.mark.parametrize("runs", [6, 10, 20, 40])
def test_a_steady_creep_is_a_trend_and_no_change_points(runs):
    rng = np.random.default_rng(200 + runs)
    creep = 1.5 ** (np.arange(runs) / (runs - 1))
    found = [change_points(noisy(rng, runs, 0.02) * creep) for _ in range(20)]
    assert sum(bool(one.trend) for one in found) >= 19
    assert not any(one.points for one in found if one.trend)
    trend = found[0].trend
    assert trend.ratio == pytest.approx(1.5, abs=0.1)
    assert trend.a_run ** (runs - 1) == pytest.approx(trend.ratio)
    assert found[0].sentence.startswith(
        f"Orders grew steadily slower from run to run: by {percent(trend.a_run - 1)} a run, "
        f"{trend.ratio:.2f} times as long after {runs} runs (p "
    )
    faster = change_points(noisy(rng, runs, 0.02) / creep)
    assert faster.trend.ratio < 1
    assert faster.sentence.startswith("Orders grew steadily faster from run to run: by ")


def test_a_doubling_is_found_among_runs_that_are_like_the_run_before():
    rng = np.random.default_rng(12)
    doubled = np.repeat([1.0, 2.0], 10)
    series = [np.exp(0.08 * autoregressive(rng, 20, 0.6)) * doubled for _ in range(20)]
    assert sum(len(change_points(x).points) == 1 for x in series) >= 17


def test_eleven_runs_are_enough_for_a_change_that_is_large():
    x = noisy(np.random.default_rng(7), 11, noise=0.01, steps=[(5, 2.0)])
    assert [point.place for point in change_points(x).points] == [5]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 1e5), min_size=13, max_size=17))
def test_the_same_series_always_has_the_same_changes(values):
    first, second = change_points(values), change_points(values)
    assert first == second
    assert all(3 <= point.place <= len(values) - 3 for point in first.points)


def test_runs_that_are_all_equal_did_not_change():
    assert change_points([5.0] * 12).points == ()


def test_each_value_needs_its_run():
    with pytest.raises(ValueError, match="run_ids must be as many as values: 2, got 1"):
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


def test_a_change_is_told_with_the_medians_on_both_sides():
    x = [*np.resize([105.0, 100.0, 110.0], 15), *np.resize([82.0, 80.0, 84.0, 82.0], 14)]
    found = change_points(x, [f"day {i}" for i in range(29)])
    [point] = found.points
    assert (point.place, point.run_id) == (15, "day 15")
    assert (point.before, point.after) == (105.0, 82.0)
    assert point.ratio == 82 / 105
    assert point.p_value == 1 / 1000, "none of 999 orders is as good"
    assert found.sentence == (
        "From run day 15 on orders are faster: 0.78 times as long (105\u00a0ms before, "
        "82.0\u00a0ms since; p = 0.001); with 29 runs as noisy as these, a change by "
        f"{percent(found.detectable - 1)} would be found in four of five cases."
    )
    assert found.values == tuple(x)


def test_where_nothing_changed_it_says_what_would_have_been_found():
    found = change_points(noisy(np.random.default_rng(9), 20))
    assert found.points == ()
    assert found.sentence == (
        "No change found between runs; with 20 runs as noisy as these, a change by "
        f"{percent(found.detectable - 1)} would be found in four of five cases."
    )


@pytest.mark.parametrize("bounds", [[0, 30], [0, 12, 30], [0, 8, 20, 30]])
def test_what_could_be_found_is_a_number_of_standard_deviations_of_the_segments(bounds):
    x = np.random.default_rng(10).normal(0, 0.1, 30)
    segments = [x[a:b] for a, b in itertools.pairwise(bounds)]
    left = np.concatenate([part - np.median(part) for part in segments])
    noise = np.sqrt((left**2).sum() / (30 - len(segments)))
    step = np.log(_detectable(x, bounds)) / noise
    assert step == pytest.approx(round(2 * step) / 2)
    assert step == pytest.approx(_steps_needed(30, round(noise_of(left).alike, 1)))


@pytest.mark.parametrize("size", [13, 20, 60])
def test_a_step_that_is_needed_is_found_in_four_of_five_and_half_a_step_less_is_not(size):
    rng = np.random.default_rng(size)
    step = _steps_needed(size)

    def found(step, series=400):
        x = rng.standard_normal((series, size)) + step * (np.arange(size) >= size // 2)
        x /= x.std(axis=1, keepdims=True)
        return _best_split(np.abs(x[:, :, None] - x[:, None, :]))[1]

    limit = np.quantile(found(0.0, 4000), 0.996)
    assert (found(step) > limit).mean() >= 0.7
    assert (found(step - 0.5) > limit).mean() <= 0.9
    assert (found(step - 1.0) > limit).mean() <= 0.8


def test_a_change_is_looked_for_in_each_part_again_and_counted_from_the_beginning():
    x = noisy(np.random.default_rng(11), 60, 0.03, [(15, 1.5), (30, 1.5), (45, 0.5)])
    found = change_points(x)
    assert [point.place for point in found.points] == [15, 30, 45]
    bounds = [0, 15, 30, 45, 60]
    medians = [np.median(x[a:b]) for a, b in itertools.pairwise(bounds)]
    assert [point.before for point in found.points] == pytest.approx(medians[:3])
    assert [point.after for point in found.points] == pytest.approx(medians[1:])


def test_runs_are_named_by_their_numbers_where_no_names_are_given():
    assert change_points([1.0, 2.0, 3.0]).run_ids == ("0", "1", "2")


def test_the_medians_of_runs_are_those_of_orders_with_a_time(tables, delays):
    ids = np.repeat([f"run {i}" for i in range(4)], 5)
    _, _, orders = tables(delays(np.random.default_rng(12), 20), run_ids=ids)
    times = np.arange(20.0)
    times[[0, 5, 6, 7, 8, 9]] = np.nan
    table, changes = run_medians(orders, times)
    assert table["run_id"].tolist() == ["run 0", "run 2", "run 3"]
    assert table["n"].tolist() == [4, 5, 5]
    assert table["median_ms"].tolist() == [2.5, 12.0, 17.0]
    assert table["started_at"].tolist() == orders["started_at"].iloc[[0, 10, 15]].tolist()
    assert changes.run_ids == ("run 0", "run 2", "run 3")
    assert changes.values == (2.5, 12.0, 17.0)


def test_runs_without_noise_have_nothing_to_be_found_in():
    found = change_points([5.0] * 4 + [10.0] * 4)
    assert found.sentence.startswith("From run 4 on orders are slower: 2.00 times as long")
    assert found.sentence.endswith("p < 0.001); the runs have no noise of their own.")
