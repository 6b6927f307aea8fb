"""Orders of one run are alike: how alike, and intervals that know it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.runs import (
    design_effect,
    drawn_runs,
    expanded_tail,
    intraclass_correlation,
    percentile_interval,
    quantiles_by_run,
    resampled_quantiles,
    runs_of,
)


def like_runs(rng, runs, orders, spread=0.3, between=0.19, shift=0.0):
    """Logarithms of times: each run has a level of its own."""
    levels = np.repeat(rng.normal(0, between, runs), orders)
    return 7 + shift + levels + rng.normal(0, spread, runs * orders), np.repeat(
        np.arange(runs), orders
    )


def test_the_correlation_is_that_of_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    values, codes = like_runs(rng, 8, 20)
    f = stats.f_oneway(*(values[codes == run] for run in range(8))).statistic
    expected = (f - 1) / (f - 1 + 20)
    assert intraclass_correlation(values, codes) == pytest.approx(expected)
    assert design_effect(values, codes) == pytest.approx(1 + 19 * expected)


def test_of_runs_of_unequal_size_it_is_near_the_truth():
    rng = np.random.default_rng(2)
    sizes = rng.integers(5, 60, 200)
    codes = np.repeat(np.arange(200), sizes)
    values = rng.normal(0, 1, 200)[codes] + rng.normal(0, 2, len(codes))
    assert intraclass_correlation(values, codes) == pytest.approx(0.2, abs=0.05)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 4)), max_size=60))
def test_it_lies_between_0_and_1_whatever_the_runs(pairs):
    values, codes = [x for x, _ in pairs], np.array([run for _, run in pairs], dtype=np.intp)
    assert 0 <= intraclass_correlation(values, codes) <= 1
    assert design_effect(values, codes) >= 1


def test_there_are_runs_from_two_on():
    assert runs_of(pd.DataFrame({"run_id": ["a", "a"]})) is None
    assert runs_of(pd.DataFrame({"run_id": [None, None]})) is None
    assert runs_of(pd.DataFrame({"other": [1]})) is None
    found = runs_of(pd.DataFrame({"run_id": ["a", None, "b", None]}))
    assert found.names == ("a", "(no run)", "b")
    assert found.codes.tolist() == [0, 1, 2, 1]


def test_resamples_draw_as_many_runs_as_there_are():
    drawn = drawn_runs(6)
    assert set(drawn.sum(axis=1)) == {6.0}
    assert np.array_equal(drawn, drawn_runs(6))


def test_few_runs_leave_fewer_resamples_out():
    tails = [expanded_tail(0.95, runs) for runs in (2, 5, 10, 100)]
    assert tails == sorted(tails)
    assert expanded_tail(0.95, 10**6) == pytest.approx(0.025, abs=1e-4)


def test_intervals_by_runs_are_wider_where_runs_differ_and_never_narrower():
    rng = np.random.default_rng(3)
    values, codes = like_runs(rng, 10, 30)
    for p in (0.5, 0.9):
        alone, together = quantile(values, p), quantiles_by_run(values, codes, [p])[0]
        assert together.estimate == alone.estimate
        assert together.low <= alone.low <= alone.high <= together.high
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_what_cannot_be_estimated_cannot_by_runs_either():
    found = quantiles_by_run(np.arange(40.0), np.repeat([0, 1], 20), [0.95])[0]
    assert not found.estimable
    assert np.isnan(found.estimate)


def test_resamples_of_many_orders_are_found_as_if_each_had_been_sorted():
    rng = np.random.default_rng(4)
    values, codes = like_runs(rng, 6, 500)
    found = quantiles_by_run(values, codes, [0.9])[0]
    groups = [values[codes == run] for run in range(6)]
    drawn = (np.concatenate([groups[run] for run in rng.choice(6, 6)]) for _ in range(1500))
    draws = [np.quantile(values, 0.9) for values in drawn]
    tail = expanded_tail(0.95, 6)
    assert found.low == pytest.approx(np.quantile(draws, tail), abs=0.05)
    assert found.high == pytest.approx(np.quantile(draws, 1 - tail), abs=0.05)


@pytest.mark.parametrize("runs", [5, 10])
def test_by_runs_the_median_is_covered_where_independent_orders_promise_too_much(runs):
    """10 runs of 30 orders, correlation 0.28: the plain interval covers .61."""
    rng = np.random.default_rng(5)
    plain = by_run = 0
    for _ in range(200):
        values, codes = like_runs(rng, runs, 30)
        one, two = quantile(values, 0.5), quantiles_by_run(values, codes, [0.5])[0]
        plain += one.low <= 7 <= one.high
        by_run += two.low <= 7 <= two.high
    assert plain / 200 < 0.75
    assert 0.90 <= by_run / 200 <= 0.99


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(0, 10**6))
def test_the_correlation_of_runs_of_unequal_size_is_that_of_the_analysis_of_variance(sizes, seed):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(seed).normal(0, 1, len(codes)) + codes % 3
    n, count = len(codes), len(sizes)
    groups = [values[codes == run] for run in range(count)]
    if n == count:
        assert intraclass_correlation(values, codes) == 0
        return
    between = sum(len(g) * (g.mean() - values.mean()) ** 2 for g in groups) / (count - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - count)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (count - 1)
    expected = max((between - within) / (between + (size - 1) * within), 0)
    assert intraclass_correlation(values, codes) == pytest.approx(expected, abs=1e-9)
    seen = sum(len(g) ** 2 for g in groups) / n  # the size of the run that an order is in
    assert design_effect(values, codes) == pytest.approx(1 + (seen - 1) * expected, abs=1e-9)


def test_a_run_that_has_no_orders_left_changes_no_correlation():
    values, codes = like_runs(np.random.default_rng(1), 6, 10)
    assert intraclass_correlation(values, codes * 2) == intraclass_correlation(values, codes)


@pytest.mark.parametrize("runs", [2, 5, 30])
def test_what_few_runs_leave_out_is_what_a_t_interval_would(runs):
    """Of normal draws the interval has the t interval's half width, in standard errors."""
    draws = stats.norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    low, high = percentile_interval(draws, 0.8, runs)
    # The resamples' spread is that of n, not of n - 1.
    expected = stats.t.isf(0.1, runs - 1) * np.sqrt(runs / (runs - 1))
    assert (low, high) == pytest.approx((-expected, expected), rel=0.01)


def test_resamples_without_a_figure_are_left_out_and_one_run_tells_nothing():
    draws = np.array([np.nan, 1.0, 3.0, 2.0, np.nan])
    assert percentile_interval(draws, 0.95, 1) == (1.0, 3.0)
    assert percentile_interval(draws[:1], 0.95, 9) == (-np.inf, np.inf)
    assert expanded_tail(0.95, 1) == 0.0


@pytest.mark.parametrize("orders", [4, 300])
def test_each_resamples_quantile_is_the_first_value_that_enough_are_not_above(orders):
    rng = np.random.default_rng(orders)
    groups = [np.sort(rng.lognormal(0, 0.3, orders + run).round(3)) for run in range(4)]
    drawn = drawn_runs(4)[:150]
    ps = (0.1, 0.5, 0.9)
    found = resampled_quantiles(groups, ps, drawn)
    for p, of_p in zip(ps, found, strict=True):
        expected = []
        for times in drawn.astype(int):
            ordered = np.sort(
                np.concatenate([np.repeat(g, k) for g, k in zip(groups, times, strict=True)])
            )
            expected.append(ordered[int(np.ceil(p * len(ordered) - 1e-9)) - 1])
        width = max(expected) - min(expected)
        # Of more than 400 values: to within a 400th of the resamples' range.
        assert of_p == pytest.approx(expected, abs=1e-12 if orders == 4 else width / 200)


def test_nulls_and_runs_that_have_nothing_else_are_left_out():
    values, codes = like_runs(np.random.default_rng(12), 6, 20)
    holes = np.concatenate([values, [np.nan, np.nan, np.nan]])
    found = quantiles_by_run(holes, np.concatenate([codes, [0, 6, 6]]), [0.5])
    assert found == quantiles_by_run(values, codes, [0.5])
    alone = quantiles_by_run(np.array([1.0, 2.0, np.nan]), np.array([3, 3, 4]), [0.5])
    assert repr(alone) == repr([quantile([1.0, 2.0], 0.5)])
    assert quantiles_by_run([np.nan], np.array([0]), [0.5])[0].n == 0


def test_the_runs_of_some_orders_keep_their_names():
    found = runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]}))
    assert found.of(np.array([False, True, True])).codes.tolist() == [1, 0]
    assert found.of(np.array([2, 1])).codes.tolist() == [0, 1]
    assert found.of(np.array([2])).names == found.of(np.array([True] * 3)).names == ("a", "b")
