"""Two modes: Hartigan's dip, how seldom it alarms, and the groups that it tells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import argrelmax
from scipy.stats import gaussian_kde

from firmly_nb.latency.modes import LIMIT, _critical_width, dip, two_modes


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
