"""Orders of one run are alike: how alike, and intervals that know it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from firmly_nb.latency.effect import Sample, probability_by_run, ratio_by_run
from firmly_nb.latency.runs import (
    SEED,
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


def by_hand(a, b, level):
    """Resampled shares and median differences, each weighed pair by pair."""
    draws = [
        drawn_runs(count, seed=seed)[:, codes]
        for (_, codes), count, seed in ((a, 6, SEED), (b, 5, SEED + 1))
    ]
    differences = np.subtract.outer(b[0], a[0])
    order = np.argsort(differences, axis=None)
    above = (differences > 0) + 0.5 * (differences == 0)
    shares, medians = [], []
    for of_a, of_b in zip(*draws, strict=True):
        weights = np.outer(of_b, of_a)
        shares.append((weights * above).sum() / weights.sum())
        reached = np.cumsum(weights.ravel()[order]) >= weights.sum() / 2
        medians.append(differences.ravel()[order][reached.argmax()])
    tail = expanded_tail(level, 5)
    return [np.quantile(of, [tail, 1 - tail]) for of in (shares, medians)]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_by_runs_are_those_of_the_same_resamples_weighed_pair_by_pair(level):
    rng = np.random.default_rng(8)
    a, b = like_runs(rng, 6, 9), like_runs(rng, 5, 12, shift=0.2)
    shares, medians = by_hand(a, b, level)
    found = probability_by_run(Sample(*a), Sample(*b), level)
    assert (found.low, found.high) == pytest.approx(tuple(shares))
    assert found.estimate == pytest.approx((np.subtract.outer(b[0], a[0]) > 0).mean())
    factor = ratio_by_run(Sample(*a), Sample(*b), level)
    width = medians[1] - medians[0]
    assert np.log([factor.low, factor.high]) == pytest.approx(medians, abs=0.03 * width)


def test_equal_times_of_two_runs_count_half():
    a, b = like_runs(np.random.default_rng(9), 6, 9), like_runs(np.random.default_rng(3), 5, 12)
    a, b = (a[0].round(1), a[1]), (b[0].round(1), b[1])
    found = probability_by_run(Sample(*a), Sample(*b))
    assert (found.low, found.high) == pytest.approx(tuple(by_hand(a, b, 0.95)[0]))


def test_runs_of_very_many_orders_are_represented_by_their_quantiles():
    rng = np.random.default_rng(10)
    a, b = like_runs(rng, 2, 5000), like_runs(rng, 3, 4000, shift=0.3)
    found = probability_by_run(Sample(*a), Sample(*b))
    shares = [
        [np.searchsorted(np.sort(a[0][a[1] == i]), b[0][b[1] == j]).mean() / 5000 for j in range(3)]
        for i in range(2)
    ]
    weights = [
        np.outer(x, y) / 6 for x, y in zip(drawn_runs(2), drawn_runs(3, seed=SEED + 1), strict=True)
    ]
    tail = expanded_tail(0.95, 2)
    low, high = np.quantile([(w * shares).sum() for w in weights], [tail, 1 - tail])
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


def test_intervals_are_at_95_percent_where_no_level_is_given():
    rng = np.random.default_rng(11)
    one, other = Sample(*like_runs(rng, 6, 9)), Sample(*like_runs(rng, 5, 12))
    assert ratio_by_run(one, other) == ratio_by_run(one, other, 0.95)
    assert probability_by_run(one, other) == probability_by_run(one, other, 0.95)


def test_the_runs_of_some_orders_keep_their_names():
    found = runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]}))
    assert found.of(np.array([False, True, True])).codes.tolist() == [1, 0]
    assert found.of(np.array([2, 1])).codes.tolist() == [0, 1]
    assert found.of(np.array([2])).names == found.of(np.array([True] * 3)).names == ("a", "b")
