"""Orders of one run are alike: how alike, and intervals that know it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.run_effect import Sample, probability_by_run, ratio_by_run
from firmly_nb.latency.runs import (
    design_effect,
    drawn_runs,
    expanded_tail,
    intraclass_correlation,
    quantiles_by_run,
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
    """10 runs of 30 orders, correlation 0.28: the plain interval covers .61 (metrics.md, 6)."""
    rng = np.random.default_rng(5)
    plain = by_run = 0
    for _ in range(200):
        values, codes = like_runs(rng, runs, 30)
        one, two = quantile(values, 0.5), quantiles_by_run(values, codes, [0.5])[0]
        plain += one.low <= 7 <= one.high
        by_run += two.low <= 7 <= two.high
    assert plain / 200 < 0.75
    assert 0.90 <= by_run / 200 <= 0.99


def test_a_ratio_by_runs_agrees_with_resamples_that_are_written_out():
    rng = np.random.default_rng(6)
    (a, runs_a), (b, runs_b) = like_runs(rng, 12, 12), like_runs(rng, 10, 15, shift=0.26)
    found = ratio_by_run(Sample(a, runs_a), Sample(b, runs_b))
    draws = []
    for _ in range(1500):
        left = np.concatenate([a[runs_a == run] for run in rng.choice(12, 12)])
        right = np.concatenate([b[runs_b == run] for run in rng.choice(10, 10)])
        draws.append(np.median(np.subtract.outer(right, left)))
    tail = expanded_tail(0.95, 10)
    low, high = np.exp(np.quantile(draws, [tail, 1 - tail]))
    assert found.estimate == pytest.approx(np.exp(np.median(np.subtract.outer(b, a))))
    assert found.low == pytest.approx(low, rel=0.04)
    assert found.high == pytest.approx(high, rel=0.04)


def test_equal_releases_measured_in_runs_are_seldom_called_different():
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(80):
        a, b = (Sample(*like_runs(rng, 8, 20)) for _ in range(2))
        ratio = ratio_by_run(a, b)
        chance = probability_by_run(a, b)
        assert chance.low <= chance.estimate <= chance.high
        wrong += not ratio.low <= 1 <= ratio.high
    assert wrong / 80 <= 0.08
