"""How many times as long: SciPy's test, the median of all pairs, and strata."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.effect import (
    Sample,
    balance_of_all,
    is_shorter,
    log_factors,
    log_interval,
    pairs_of,
    ratio,
)
from firmly_nb.latency.quantiles import log_times

times = st.floats(0.1, 1e4).map(lambda x: round(x, 3))
samples = st.lists(times, min_size=1, max_size=40)
tied = st.lists(st.integers(1, 6).map(float), min_size=1, max_size=40)


def sample(values, strata=None, units=None):
    zeros = np.zeros(len(values), dtype=np.intp)
    strata = zeros if strata is None else np.asarray(strata, dtype=np.intp)
    units = zeros if units is None else np.asarray(units, dtype=np.intp)
    return Sample(np.asarray(values, dtype=float), strata, units)


def all_differences(a, strata_a, b, strata_b):
    """Write out the differences of all pairs within strata, with van Elteren's weights."""
    found, weights = [], []
    for stratum in np.intersect1d(strata_a, strata_b):
        x, y = a[strata_a == stratum], b[strata_b == stratum]
        found.append(np.subtract.outer(y, x).ravel())
        weights.append(np.full(len(found[-1]), 1 / (len(x) + len(y) + 1)))
    return np.concatenate(found), np.concatenate(weights)


def weighted_median(values, weights):
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(weights[order])
    half = upto[-1] / 2
    low = values[np.searchsorted(upto, half * (1 - 1e-12))]
    return (low + values[np.searchsorted(upto, half * (1 + 1e-12))]) / 2


@given(samples | tied, samples | tied)
def test_of_one_stratum_it_is_the_median_of_all_pairs(a, b):
    logs = [log_times(np.array(x)) for x in (a, b)]
    expected = np.median(np.subtract.outer(logs[1], logs[0]))
    assert math.log(ratio(a, b).estimate) == pytest.approx(expected, abs=1e-9)


def test_so_it_is_of_many_pairs_with_and_without_ties():
    rng = np.random.default_rng(1)
    for digits in (0, 9):
        a, b = rng.lognormal(7, 0.3, 501).round(digits), rng.lognormal(7.1, 0.5, 800).round(digits)
        expected = np.median(np.subtract.outer(np.log(b), np.log(a)))
        assert math.log(ratio(a, b).estimate) == pytest.approx(expected, abs=1e-9)


strata_of = st.integers(0, 2**31).map(np.random.default_rng)


@given(strata_of, st.integers(1, 6), st.integers(1, 30), st.integers(1, 30))
def test_of_several_strata_it_is_the_weighted_median_within_them(rng, strata, n, m):
    of_a, of_b = rng.integers(0, strata, n), rng.integers(0, strata, m)
    a, b = rng.lognormal(7, 0.3, n) * (1 + of_a), rng.lognormal(7, 0.3, m) * (1 + of_b)
    found = ratio(a, b, strata=(of_a, of_b))
    if not len(np.intersect1d(of_a, of_b)):
        assert math.isnan(found.estimate)
        return
    expected = weighted_median(*all_differences(np.log(a), of_a, np.log(b), of_b))
    assert math.log(found.estimate) == pytest.approx(expected, abs=1e-9)
    assert found.low <= found.estimate <= found.high


@given(samples | tied, samples | tied)
def test_the_balance_is_brunners_and_munzels_statistic(a, b):
    if min(len(a), len(b)) < 2:
        return
    a, b = (log_times(np.array(x)) for x in (a, b))
    pairs = pairs_of(sample(a), sample(b))
    found = balance_of_all(pairs, 0.0)
    assert found.equal == pytest.approx(len(a) * len(b) / (12 * (len(a) + len(b) + 1)))
    if found.seen > 0 and min(len(a), len(b)) > 1:
        reference = stats.brunnermunzel(a, b)
        statistic = found.balance / math.sqrt(found.seen)
        assert statistic == pytest.approx(reference.statistic, abs=1e-9)
        p_value = 2 * stats.t.sf(abs(statistic), found.freedom)
        assert p_value == pytest.approx(reference.pvalue, abs=1e-9)


@pytest.mark.parametrize("level", [0.9, 0.9833])
def test_the_interval_has_the_factors_that_the_test_does_not_reject(level):
    rng = np.random.default_rng(2)
    strata = np.repeat([0, 1, 2], [20, 14, 6])
    a, b = rng.lognormal(7, 0.3, 40), rng.lognormal(7.1, 0.5, 40)
    found = ratio(a, b, level, (strata, strata))
    pairs = pairs_of(sample(np.log(a), strata), sample(np.log(b), strata))
    width = math.log(found.high / found.low)
    for end, side in ((found.low, -1), (found.high, 1)):
        inside, outside = (
            balance_of_all(pairs, math.log(end) + side * step * width).beyond(level)
            for step in (-0.003, 0.003)
        )
        assert inside <= 0 < outside


def test_turned_around_it_is_the_inverse():
    rng = np.random.default_rng(3)
    a, b = rng.lognormal(7, 0.3, 50), rng.lognormal(7.1, 0.5, 30)
    one, other = ratio(a, b), ratio(b, a)
    assert other.estimate == pytest.approx(1 / one.estimate)
    assert other.low == pytest.approx(1 / one.high, rel=1e-3)


def test_a_planted_factor_is_found_whatever_the_strata_differ_by():
    rng = np.random.default_rng(4)
    strata = rng.integers(0, 20, 200)
    a = rng.lognormal(7, 0.3, 200) * 2.0**strata
    assert ratio(a, 1.3 * a, strata=(strata, strata)).estimate == pytest.approx(1.3)


def test_strata_of_one_side_only_count_for_nothing():
    rng = np.random.default_rng(5)
    a, b = rng.lognormal(7, 0.3, 50), rng.lognormal(7.2, 0.3, 50)
    zeros = np.zeros(50, dtype=int)
    more = np.append(a, 1e6), np.append(zeros, 7)
    assert ratio(more[0], b, strata=(more[1], zeros)) == ratio(a, b)


@pytest.mark.parametrize(("n", "is_open"), [(1, True), (2, True), (4, True), (5, False)])
def test_few_orders_have_an_interval_without_ends(n, is_open):
    a = np.linspace(100, 110, n)
    found = ratio(a, 2 * a, 0.9833)
    assert (found.low == 0.0, found.high == math.inf) == (is_open, is_open)


def test_equal_constants_do_not_differ():
    assert tuple(ratio([250.0] * 20, [250.0] * 20)) == (1.0, 1.0, 1.0)


few_values = st.sampled_from([2, 3, 6, 30, 10**6])


@given(strata_of, few_values, st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))
@pytest.mark.parametrize("level", [0.5, 0.9, 0.9833])
def test_an_interval_leaves_out_1_if_and_only_if_the_test_of_equality_rejects(
    level, rng, values, strata, n, m
):
    """With ties, however many, as without; in one stratum as in several; of one order as of 40."""
    of_a, of_b = rng.integers(0, strata, n), rng.integers(0, strata, m)
    a = rng.integers(1, values + 1, n).astype(float)
    b = rng.integers(1, values + 1, m) + float(rng.integers(0, 2))
    pairs = pairs_of(sample(np.log(a), of_a), sample(np.log(b), of_b))
    found = ratio(a, b, level, (of_a, of_b))
    if not pairs.units:
        assert math.isnan(found.estimate)
        return
    test = balance_of_all(pairs, 0.0)
    rejects = test.beyond(level) > 0
    assert (found.low > 1) == (rejects and test.balance > 0)
    assert (found.high < 1) == (rejects and test.balance < 0)
    assert found.low <= found.estimate <= found.high


def test_an_end_that_is_a_step_is_that_step():
    """Of times in steps the interval begins and ends at quotients of two of them."""
    rng = np.random.default_rng(12)
    a, b = (np.round(rng.lognormal(7, 0.2, 200) / 100) * 100 for _ in range(2))
    found = ratio(a, b)
    quotients = np.unique(np.divide.outer(np.unique(b), np.unique(a)))
    for end in (found.low, found.high):
        assert np.abs(quotients / end - 1).min() < 1e-12
    assert found.low == 1.0 or found.high == 1.0 or found.low < 1 < found.high


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1000.0] * 400, [1000.0] * 400),
        ([1000.0] * 400, [1000.0]),
        ([1000.0] * 399 + [1050.0], [1000.0] * 400),
        ([1000.0] * 200 + [1050.0] * 200, [1000.0] * 195 + [1050.0] * 205),
        ([1000.0, 1050.0] * 200, [1050.0, 1000.0] * 3),
    ],
)
def test_a_few_values_in_equal_shares_are_equal(a, b):
    found = ratio(a, b, 0.9833)
    assert found.low <= 1 <= found.high
    assert found.estimate == pytest.approx(1)


def test_where_most_times_are_equal_those_that_are_not_can_still_tell():
    found = ratio([1000.0] * 400, [1000.0] * 340 + [1500.0] * 60)
    assert found.estimate == pytest.approx(1)
    assert found.low > 1


def test_one_value_against_a_longer_one_is_their_quotient():
    found = ratio([250.0] * 20, [500.0] * 20)
    assert tuple(found) == pytest.approx((2.0, 2.0, 2.0))
    assert found.low > 1


@pytest.mark.parametrize("shape", ["steps of 50 ms", "free"])
def test_equal_samples_are_told_apart_as_seldom_as_the_level_says(shape):
    """At the level of a question, 1.67 %: of 300 tied pairs, and of 300 untied ones."""
    rng, told = np.random.default_rng(13), 0
    for _ in range(300):
        a, b = rng.lognormal(7, 0.2, 100), rng.lognormal(7, 0.2, 100)
        if shape != "free":
            a, b = (np.round(one / 50) * 50 for one in (a, b))
        pairs = pairs_of(sample(np.log(a)), sample(np.log(b)))
        low, high = log_interval(pairs, float(log_factors(pairs)[0]), 1 - 0.05 / 3)
        told += low > 0 or high < 0
    assert 1 <= told <= 13


def test_times_below_the_stamps_resolution_count_as_it():
    assert ratio([-5.0, 0.0, 0.0005], [0.001] * 3).estimate == pytest.approx(1.0)


def test_many_times_are_represented_by_their_quantiles():
    rng = np.random.default_rng(6)
    a, b = rng.lognormal(7, 0.3, 150_000), rng.lognormal(7.01, 0.3, 120_000)
    found, fewer = ratio(a, b), ratio(a[:90_000], b[:90_000])
    assert math.log(found.estimate) == pytest.approx(0.01, abs=0.005)
    width = [math.log(one.high / one.low) for one in (found, fewer)]
    expected = math.sqrt((1 / 150_000 + 1 / 120_000) / (2 / 90_000))
    assert width[0] / width[1] == pytest.approx(expected, rel=0.02)


def test_each_unit_has_its_own_factor():
    rng = np.random.default_rng(7)
    run = np.repeat([3, 8, 11], 30)
    a = rng.normal(7, 0.3, 90)
    factors = np.log([0.8, 1.0, 1.5])
    b = a + np.repeat(factors, 30)
    found = log_factors(pairs_of(sample(a, run, run), sample(b, run, run)))
    expected = [np.median(np.subtract.outer(b[run == r], a[run == r])) for r in (3, 8, 11)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_failures_count_as_later_than_everything_and_as_equals_of_one_another():
    rng = np.random.default_rng(8)
    quick, slow = rng.normal(6.5, 0.2, 100), rng.normal(7, 0.2, 100)
    never = np.full(100, 30.0)
    assert is_shorter(pairs_of(sample(slow), sample(quick)), 0.98)
    failing = np.where(np.arange(100) < 60, never, quick)
    assert not is_shorter(pairs_of(sample(slow), sample(failing)), 0.98)
    assert not is_shorter(pairs_of(sample(never), sample(never)), 0.98)


@pytest.mark.parametrize(
    ("n", "m", "strata", "spread"), [(2, 2, 20, 1.0), (40, 10, 1, 2.0), (40, 10, 1, 0.5)]
)
def test_the_interval_covers_the_true_factor_in_93_to_99_of_100(n, m, strata, spread):
    """Of strata of two orders a side, and where B is twice or half as widely spread."""
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(400):
        levels = rng.normal(0, 0.5, strata)
        of_a, of_b = np.repeat(np.arange(strata), n), np.repeat(np.arange(strata), m)
        a = np.exp(7 + levels[of_a] + rng.normal(0, 0.2, n * strata))
        b = np.exp(7 + levels[of_b] + rng.normal(0, 0.2 * spread, m * strata))
        pairs = pairs_of(sample(np.log(a), of_a), sample(np.log(b), of_b))
        covered += balance_of_all(pairs, 0.0).beyond(0.95) <= 0
    assert 0.93 <= covered / 400 <= 0.995
