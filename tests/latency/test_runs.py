"""Orders of one run are alike: how alike, and intervals that know it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from firmly_nb.latency.runs import (
    drawn_runs,
    expanded_tail,
    percentile_interval,
    resampled_quantiles,
    runs_of,
)


def like_runs(rng, runs, orders, spread=0.3, between=0.19, shift=0.0):
    """Logarithms of times: each run has a level of its own."""
    levels = np.repeat(rng.normal(0, between, runs), orders)
    return 7 + shift + levels + rng.normal(0, spread, runs * orders), np.repeat(
        np.arange(runs), orders
    )


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


def test_the_runs_of_some_orders_keep_their_names():
    found = runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]}))
    assert found.of(np.array([False, True, True])).codes.tolist() == [1, 0]
    assert found.of(np.array([2, 1])).codes.tolist() == [0, 1]
    assert found.of(np.array([2])).names == found.of(np.array([True] * 3)).names == ("a", "b")
