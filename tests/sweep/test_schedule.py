"""Planned starts: evenly spaced or as shoppers come, fixed beforehand, and over when time is."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.sweep.schedule import Schedule, per_second, seconds


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [(2, 2.0), (0.5, 0.5), ("30/min", 0.5), ("2/s", 2.0), ("100/h", 1 / 36), ("7", 7.0)],
)
def test_rates_are_read_as_people_write_them(rate, wanted):
    assert per_second(rate) == pytest.approx(wanted)


@pytest.mark.parametrize("rate", [0, -1, True, None, "fast", "30/day", "0/min", 1e6, float("nan")])
def test_what_is_no_rate_is_refused_with_how_to_write_one(rate):
    with pytest.raises(ValueError, match="rate"):
        per_second(rate)


@pytest.mark.parametrize(("given", "wanted"), [(90, 90), ("90", 90), ("10 min", 600), ("1h", 3600)])
def test_durations_are_read_as_people_write_them(given, wanted):
    assert seconds(given) == wanted


@pytest.mark.parametrize("given", [0, -3, "soon", "5 days", float("inf"), True])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(ValueError, match="duration"):
        seconds(given)


@given(st.floats(0.01, 500), st.integers(1, 3000))
def test_rounding_never_moves_a_later_order(rate, number):
    offsets = Schedule("constant", 1, rate_per_s=rate).offsets_ns()
    nth = next(islice(offsets, number, None))
    assert abs(nth - number / rate * 1e9) <= 1


def test_shoppers_come_at_random_at_the_rate_and_again_the_same_with_the_seed():
    def starts(seed):
        return list(islice(Schedule("poisson", 1, rate_per_s=10, seed=seed).offsets_ns(), 4000))

    first = starts(3)
    gaps_s = [(b - a) / 1e9 for a, b in pairwise(first)]
    assert first == sorted(first) == starts(3)
    assert first != starts(4)
    # The mean of 4,000 exponential gaps is within 5 standard errors of 0.1 s; so is their spread.
    mean = sum(gaps_s) / len(gaps_s)
    assert mean == pytest.approx(0.1, abs=5 * 0.1 / 4000**0.5)
    assert sum(g > 0.1 for g in gaps_s) / len(gaps_s) == pytest.approx(0.368, abs=0.04)


def test_no_order_is_planned_after_the_duration():
    offsets = list(Schedule("constant", 1, rate_per_s=3, duration_s=1.0).offsets_ns())
    assert [round(o / 1e6) for o in offsets] == [0, 333, 667]


def test_a_closed_loop_plans_nothing():
    schedule = Schedule("closed", 3)
    assert not schedule.is_open
    assert list(islice(schedule.offsets_ns(), 3)) == [None, None, None]
