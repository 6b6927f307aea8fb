"""Two modes: Hartigan's dip, how seldom it alarms, and the groups that it tells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import argrelmax
from scipy.stats import gaussian_kde

from firmly_nb.latency.modes import (
    LIMIT,
    _best_cut,
    _critical_width,
    _has_two_modes,
    _untied,
    dip,
    two_modes,
)


def nearest_single_mode(x, mode, dip_tried):
    """Whether a distribution with that mode lies within so much of the measured one.

    Left of the mode it is convex, right of it concave: written as a linear program.
    """
    from scipy.optimize import linprog

    n = len(x)
    low, high = np.arange(1, n + 1) / n - dip_tried, np.arange(n) / n + dip_tried
    rows = []
    for i in range(1, n - 1):
        slopes = np.zeros(n)
        left, right = x[i] - x[i - 1], x[i + 1] - x[i]
        slopes[i - 1 : i + 2] = [1 / left, -1 / left - 1 / right, 1 / right]
        if i != mode:
            rows.append(-slopes if i < mode else slopes)
    rising = np.eye(n)[:-1] - np.eye(n)[1:]
    matrix = np.vstack([*rows, rising]) if rows else rising
    found = linprog(
        np.zeros(n), matrix, np.zeros(len(matrix)), bounds=list(zip(low, high, strict=True))
    )
    return found.status == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_dip_is_the_distance_to_the_nearest_distribution_with_one_mode(seed):
    """By definition, without the algorithm: feasible a little above, infeasible a little below."""
    rng = np.random.default_rng(seed)
    x = np.sort(np.concatenate([rng.normal(0, 1, 7), rng.normal(4 * (seed % 2), 1, 6)]))
    found = dip(x)
    assert any(nearest_single_mode(x, mode, found + 1e-6) for mode in range(len(x)))
    if found > 1 / (2 * len(x)) + 1e-9:
        assert not any(nearest_single_mode(x, mode, found - 1e-4) for mode in range(len(x)))


values = st.lists(
    st.floats(-1e3, 1e3).map(lambda v: round(v, 2)), min_size=4, max_size=60, unique=True
)


@given(values)
def test_it_is_small_and_does_not_depend_on_the_unit(numbers):
    x = np.sort(numbers)
    assert 0 <= dip(x) <= 0.25
    assert dip(x * 4) == pytest.approx(dip(x))
    assert dip(-x[::-1]) == pytest.approx(dip(x))


def test_its_limit_is_that_of_1_in_100_uniform_samples():
    rng = np.random.default_rng(1)
    above = [dip(np.sort(rng.random(200))) * np.sqrt(200) > LIMIT for _ in range(1500)]
    assert 0.002 <= np.mean(above) <= 0.018


def test_the_simulators_two_modes_are_found(delays):
    rng = np.random.default_rng(2)
    found = [two_modes(delays(rng, 200, "bimodal")[:, 2]) for _ in range(40)]
    told = [one for one in found if one]
    assert len(told) >= 38
    assert np.mean([one.slow_share for one in told]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([one.ratio for one in told]) == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(("n", "share"), [(60, 0.35), (80, 0.55), (150, 0.9)])
def test_of_few_orders_two_modes_are_found_so_often(delays, n, share):
    """By the limit of the uniform distribution alone it is 0.2, 0.37 and 0.82."""
    rng = np.random.default_rng(6)
    found = [two_modes(delays(rng, n, "bimodal")[:, 2]) for _ in range(50)]
    assert np.mean([one is not None for one in found]) >= share


@pytest.mark.parametrize("n", [60, 150])
@pytest.mark.parametrize("profile", ["typical", "calm", "slow-shipping"])
def test_one_mode_gives_no_alarm(delays, profile, n):
    rng = np.random.default_rng(3)
    alarms = [two_modes(times) for _ in range(40) for times in delays(rng, n, profile).T]
    assert sum(map(bool, alarms)) <= 2


@pytest.mark.parametrize("draw", ["exponential", "uniform", "polled"])
def test_one_mode_of_another_shape_gives_no_alarm(draw):
    rng = np.random.default_rng(8)
    times = {
        "exponential": lambda: 1 + rng.exponential(1, 80),
        "uniform": lambda: rng.uniform(0, 100, 80),
        "polled": lambda: 1000 + rng.uniform(0, 500, 80),
    }[draw]
    assert sum(two_modes(times()) is not None for _ in range(60)) <= 2


def test_groups_that_are_nearly_as_quick_are_not_told():
    rng = np.random.default_rng(9)
    x = np.concatenate([rng.normal(100, 2, 200), rng.normal(130, 2, 200)])
    assert dip(np.sort(x)) * np.sqrt(400) > LIMIT
    assert two_modes(x) is None


@pytest.mark.parametrize("seed", range(3))
def test_smoothed_by_the_critical_width_there_is_one_mode_and_by_less_there_are_more(seed):
    """Counted on scipy's own kernel estimate."""
    rng = np.random.default_rng(seed)
    x = np.sort(np.concatenate([rng.normal(0, 1, 40), rng.normal(4, 1, 30)]))
    width = _critical_width(x)

    def count(width):
        at = np.linspace(x[0] - 3, x[-1] + 3, 4000)
        density = gaussian_kde(x, bw_method=width / x.std(ddof=1))(at)
        return len(argrelmax(density)[0])

    assert count(1.03 * width) == 1
    assert count(0.9 * width) > 1


def test_of_very_many_orders_some_are_looked_at(delays):
    times = delays(np.random.default_rng(4), 50_000, "bimodal")[:, 2]
    assert two_modes(times).slow_share == pytest.approx(0.25, abs=0.01)


def test_rounded_times_make_no_modes():
    rng = np.random.default_rng(5)
    assert not any(two_modes(rng.lognormal(4, 0.2, 400).round(-1)) for _ in range(20))


@pytest.mark.parametrize("times", [[], [5.0], [5.0] * 100, [0.0] * 100, [-1.0] * 50])
def test_nothing_is_told_of_few_equal_or_impossible_times(times):
    assert two_modes(times) is None


def two_groups(quick, slow, ratio):
    """So many times around 100 ms, and so many around so many times that."""
    rng = np.random.default_rng(quick + slow)
    around = [np.exp(0.02 * rng.standard_normal(n)) for n in (quick, slow)]
    return 100 * around[0], 100 * ratio * around[1]


@pytest.mark.parametrize(("quick", "slow"), [(60, 40), (30, 70), (300, 60), (700, 500)])
def test_both_groups_are_told_with_their_medians_and_the_share_of_the_slow_one(quick, slow):
    groups = two_groups(quick, slow, 3.0)
    found = two_modes(np.random.default_rng(1).permutation(np.concatenate(groups)))
    assert found.slow_share == pytest.approx(slow / (quick + slow))
    assert np.log(found.quick_ms) == pytest.approx(np.median(np.log(groups[0])))
    assert np.log(found.slow_ms) == pytest.approx(np.median(np.log(groups[1])))
    assert found.ratio == pytest.approx(found.slow_ms / found.quick_ms)


@pytest.mark.parametrize(("n", "told"), [(39, False), (40, True)])
def test_forty_times_are_the_least_that_are_looked_at(n, told):
    times = np.concatenate(two_groups(20, n - 20, 3.0))
    assert (two_modes(times) is not None) == told
    assert (two_modes([*times, 0.0, -5.0, np.nan]) is not None) == told


@pytest.mark.parametrize(("ratio", "told"), [(1.48, False), (1.52, True)])
def test_the_slow_group_matters_where_it_takes_half_as_long_again(ratio, told):
    quick, slow = two_groups(200, 200, 1.0)
    slow *= ratio * np.median(quick) / np.median(slow)
    assert (two_modes(np.concatenate([quick, slow])) is not None) == told


@pytest.mark.parametrize("unit", [1e-3, 60_000.0])
def test_two_modes_do_not_depend_on_the_unit(unit):
    times = np.concatenate(two_groups(60, 40, 3.0))
    one, other = two_modes(times), two_modes(times * unit)
    assert other.slow_share == one.slow_share
    assert other.slow_ms == pytest.approx(one.slow_ms * unit)


@pytest.mark.parametrize("seed", range(12))
def test_the_dip_of_uneven_groups_is_the_distance_to_one_mode_as_well(seed):
    rng = np.random.default_rng(100 + seed)
    sizes = [(3, 9), (9, 3), (5, 5), (2, 2), (10, 1), (6, 4)][seed % 6]
    parts = [rng.normal(5 * place, 1 + seed % 3, n) for place, n in enumerate(sizes)]
    x = np.sort(np.concatenate(parts))
    found = dip(x)
    assert any(nearest_single_mode(x, mode, found + 1e-6) for mode in range(len(x)))
    assert found >= 1 / (2 * len(x))
    if found > 1 / (2 * len(x)) + 1e-9:
        assert not any(nearest_single_mode(x, mode, found - 1e-4) for mode in range(len(x)))


@given(values)
def test_the_groups_are_cut_where_their_means_differ_most(numbers):
    """As between the groups of an analysis of variance."""
    x = np.sort(numbers)

    def between(k):
        parts = x[:k], x[k:]
        return sum(len(part) * (part.mean() - x.mean()) ** 2 for part in parts)

    best = max(between(k) for k in range(1, len(x)))
    assert between(_best_cut(x)) == pytest.approx(best, rel=1e-6)


@given(st.lists(st.integers(0, 12).map(float), min_size=4, max_size=60))
def test_equal_values_are_spread_half_way_to_their_neighbours(numbers):
    x = np.sort(numbers)
    if x[0] == x[-1]:
        return
    found = _untied(x)
    assert (np.diff(found) > 0).all()
    distinct = np.unique(x)
    for number, value in enumerate(distinct):
        spread = found[x == value]
        if len(distinct) == len(x):
            assert spread.tolist() == [value]
            continue
        low = (value + distinct[max(number - 1, 0)]) / 2
        high = (value + distinct[min(number + 1, len(distinct) - 1)]) / 2
        # Evenly: each has a part of its own of the same width, and stands in its middle.
        part = (high - low) / len(spread)
        assert spread == pytest.approx(low + part * (np.arange(len(spread)) + 0.5))


def test_of_few_times_a_dip_that_one_mode_often_has_is_not_told():
    """Held against draws from as smooth a distribution as leaves the times one mode."""
    rng = np.random.default_rng(11)
    doubtful = 0
    for _ in range(14):
        x = np.sort(np.concatenate([rng.normal(0, 1, 60), rng.normal(3.2, 1, 60)]))
        found = dip(x)
        if not 0.4 < found * np.sqrt(120) <= LIMIT:
            continue
        width = _critical_width(x)
        noise = width * rng.standard_normal((200, 120))
        drawn = np.sort(rng.choice(x, (200, 120)) + noise, axis=1)
        if np.mean([dip(one) >= found for one in drawn]) > 0.03:
            assert not _has_two_modes(x)
            doubtful += 1
    assert doubtful >= 3
