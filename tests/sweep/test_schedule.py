"""Planned starts: evenly spaced or as shoppers come, fixed beforehand, and over when time is."""

import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.sweep.schedule import Schedule, per_second, seconds, whole


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


@pytest.mark.parametrize(
    ("unit", "length_s"),
    [("s", 1), ("sec", 1), ("second", 1), ("m", 60), ("min", 60), ("minute", 60), ("h", 3600),
     ("hour", 3600)],
)  # fmt: skip
def test_each_unit_of_time_has_its_length(unit, length_s):
    assert per_second(f"2.5/{unit}") == pytest.approx(2.5 / length_s)
    assert seconds(f"2.5 {unit}") == 2.5 * length_s


def test_up_to_a_thousand_orders_a_second_may_be_wanted():
    assert per_second(1_000) == per_second("1000/s") == per_second("60000/min") == 1_000.0
    for rate in (1_000.5, "1001/s"):
        with pytest.raises(ValueError, match="above 0 and at most 1000 a second"):
            per_second(rate)


def test_what_is_just_above_nothing_is_accepted():
    assert per_second(1e-9) == 1e-9
    assert seconds(0.25) == seconds("0.25") == 0.25


def test_a_number_of_orders_is_whole_and_from_1_to_the_most():
    assert [whole("count", n, 7) for n in (1, 7)] == [1, 7]
    for wrong in (0, -1, 8, True, 2.0, "5", None):
        with pytest.raises(ValueError, match="count") as caught:
            whole("count", wrong, 7)
        assert str(caught.value) == f"count {wrong!r}: must be a whole number from 1 to 7"
    with pytest.raises(ValueError, match=r"from 1 to 1,000$"):
        whole("count", 0, 1_000)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_plans_the_same_starts_in_every_version(seed):
    """A run that is resumed plans its starts anew, perhaps after an upgrade."""
    schedule = Schedule("poisson", 1, rate_per_s=10, **({"seed": seed} if seed else {}))
    draw = random.Random(f"{seed}: starts")
    expected = [0]
    at_s = 0.0
    for _ in range(5):
        at_s += draw.expovariate(10)
        expected.append(round(at_s * 1e9))
    assert list(islice(schedule.offsets_ns(), 6)) == expected


@pytest.mark.parametrize("arrival", ["constant", "poisson"])
def test_an_order_planned_exactly_at_the_end_is_not_started(arrival):
    offsets = list(Schedule(arrival, 1, rate_per_s=4, duration_s=1.0).offsets_ns())
    assert offsets[0] == 0
    assert all(0 <= o < 1e9 for o in offsets)
    if arrival == "constant":
        assert offsets == [0, 250_000_000, 500_000_000, 750_000_000]
