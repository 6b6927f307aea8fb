"""How often and how many times as long: SciPy's test, and the median of all pairs."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.effect import Effect, effect, logs, median_difference, probability, ratio

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


def last_accepted(a, b, middle, side, level):
    """How far b can be moved before SciPy's test rejects that it is like a, to nine digits."""
    inside, outside = 0.0, 0.6
    while outside - inside > 1e-9:
        tried = (inside + outside) / 2
        p_value = stats.brunnermunzel(a, b - middle - side * tried).pvalue
        inside, outside = (tried, outside) if p_value > 1 - level else (inside, tried)
    return inside


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_the_ratios_ends_are_exact_to_a_thousandth_of_their_distance(seed, level):
    rng = np.random.default_rng(seed)
    a, b = logs(rng.lognormal(7, 0.3, 60)), logs(rng.lognormal(7.2, 0.5, 35))
    found = ratio(a, b, level)
    middle = math.log(found.estimate)
    for end, side in ((found.low, -1), (found.high, 1)):
        expected = last_accepted(a, b, middle, side, level)
        assert side * (math.log(end) - middle) == pytest.approx(expected, rel=1.5e-3)


@pytest.mark.parametrize("first_step", [1e-4, 0.01, 0.3, 4.0])
def test_the_ratios_ends_do_not_depend_on_where_the_search_begins(first_step, monkeypatch):
    rng = np.random.default_rng(4)
    a, b = logs(rng.lognormal(7, 0.3, 60)), logs(rng.lognormal(7.2, 0.5, 35))
    expected = ratio(a, b)
    monkeypatch.setitem(vars(sys.modules[ratio.__module__]), "_spread", lambda *_: first_step)
    assert np.log(ratio(a, b)) == pytest.approx(np.log(expected), rel=2e-3)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_probabilitys_interval_is_the_t_interval_of_its_error(level):
    rng = np.random.default_rng(5)
    a, b = both(rng.normal(0, 1, 30), rng.normal(0.4, 2, 18))
    found, parts = probability(a, b, level), effect(a, b)
    # Welch's degrees of freedom, of the values' places among the other side.
    of_b, of_a = ((np.subtract.outer(x, y) > 0).mean(axis=1) for x, y in ((b, a), (a, b)))
    part_a, part_b = of_a.var(ddof=1) / 30, of_b.var(ddof=1) / 18
    freedom = (part_a + part_b) ** 2 / (part_a**2 / 29 + part_b**2 / 17)
    half = stats.t.isf((1 - level) / 2, freedom) * math.sqrt(part_a + part_b)
    assert parts.freedom == pytest.approx(freedom)
    assert found.low == pytest.approx(found.estimate - half)
    assert found.high == pytest.approx(found.estimate + half)


def test_a_probability_and_its_ends_stay_between_0_and_1():
    a, b = np.array([1.0, 2.0, 9.0]), np.array([3.0, 4.0, 5.0, 6.0, 10.0])
    low, high = probability(a, b, 0.999).low, probability(b, a, 0.999).high
    assert (low, high) == (0.0, 1.0)


def test_intervals_are_at_95_percent_where_no_level_is_given():
    rng = np.random.default_rng(6)
    a, b = both(rng.normal(0, 1, 30), rng.normal(0.4, 2, 18))
    assert ratio(a, b) == ratio(a, b, 0.95)
    assert probability(a, b) == probability(a, b, 0.95)


def test_without_an_error_even_is_certain_and_anything_else_is_infinitely_far_from_it():
    statistics = [Effect(p, 0.0, math.inf).statistic for p in (0.0, 0.5, 1.0)]
    assert statistics == [-math.inf, 0.0, math.inf]
    assert [Effect(p, 0.0, math.inf).rejects(0.999) for p in (0.0, 0.5, 1.0)] == [True, False, True]


@pytest.mark.parametrize("level", [0.9, 0.98])
def test_even_is_rejected_where_the_p_value_is_below_what_the_level_leaves(level):
    rng = np.random.default_rng(7)
    answers = set()
    for _ in range(40):
        found = effect(*both(rng.normal(0, 1, 12), rng.normal(0.8, 2, 15)))
        assert found.rejects(level) == (found.p_value < 1 - level)
        answers.add(found.rejects(level))
    assert answers == {True, False}
