"""How often and how many times as long: SciPy's test, and the median of all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.rank_effect import effect, logs, median_difference, probability, ratio

numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=60)
tied = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=60)


def both(a, b):
    return np.sort(a), np.sort(b)


@given(samples | tied, samples | tied)
def test_the_median_of_all_differences_is_exact(a, b):
    a, b = both(a, b)
    assert median_difference(a, b) == np.median(np.subtract.outer(b, a))


@pytest.mark.parametrize("n", [300, 501])
@pytest.mark.parametrize("digits", [1, 16])
def test_so_it_is_where_pairs_are_too_many_to_be_written_down_at_once(n, digits):
    rng = np.random.default_rng(n)
    a, b = both(rng.normal(0, 1, n).round(digits), rng.normal(0.3, 2, 2 * n).round(digits))
    assert median_difference(a, b) == np.median(np.subtract.outer(b, a))


@given(samples | tied, samples | tied)
def test_the_effect_and_its_p_value_are_scipys(a, b):
    a, b = both(a, b)
    found = effect(a, b)
    pairs = np.subtract.outer(b, a)
    assert found.probability == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    if found.error:
        reference = stats.brunnermunzel(a, b)
        assert abs(found.statistic) == pytest.approx(abs(reference.statistic))
        assert found.p_value == pytest.approx(reference.pvalue)


@given(samples, samples)
def test_turned_around_the_effect_is_the_other_way_around(a, b):
    a, b = both(a, b)
    one, other = probability(a, b), probability(b, a)
    assert other.estimate == pytest.approx(1 - one.estimate)
    assert other.low == pytest.approx(1 - one.high)


@pytest.mark.parametrize("seed", range(20))
def test_the_ratios_interval_has_the_ratios_that_the_test_does_not_reject(seed):
    rng = np.random.default_rng(seed)
    a, b = logs(rng.lognormal(7, 0.3, 40)), logs(rng.lognormal(7.1, 0.6, 25))
    found = ratio(a, b, 0.95)
    width = found.high - found.low
    for edge, sign in ((found.low, -1), (found.high, 1)):
        inside, outside = (
            stats.brunnermunzel(a, b - math.log(edge + sign * step * width)).pvalue
            for step in (-0.01, 0.01)
        )
        assert inside > 0.05 - 1e-3
        assert outside < 0.05 + 1e-3


def test_a_planted_ratio_is_found_exactly():
    a = logs(np.random.default_rng(1).lognormal(7, 0.4, 200))
    assert ratio(a, a + math.log(1.3)).estimate == pytest.approx(1.3)


def test_samples_that_do_not_overlap_are_not_called_certain():
    a, b = np.arange(20.0), np.arange(100.0, 120)
    assert probability(a, b).estimate == 1
    assert probability(a, b).low == pytest.approx(0.025 ** (1 / 20))
    assert probability(b, a).high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_equal_constants_do_not_differ():
    same = np.zeros(20)
    assert tuple(ratio(same, same)) == (1.0, 1.0, 1.0)
    assert probability(same, same).estimate == 0.5
    assert effect(same, same).p_value == pytest.approx(1.0)


def test_times_below_the_stamps_resolution_count_as_it():
    assert logs(np.array([-5.0, 0.0, 1.0])).tolist() == [math.log(0.001)] * 2 + [0.0]
