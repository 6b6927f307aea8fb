"""Planned starts: evenly spaced or as shoppers come, fixed beforehand, and over when time is."""

import asyncio
import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.sweep.pace import Pace, Schedule, per_second, seconds, whole


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
        assert str(caught.value) == (
            f"count must be a whole number from 1 to 7, got {wrong!r}. Try count=7. [FNB503]"
        )
    with pytest.raises(ValueError, match="from 1 to 1\u202f000, got 0"):
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


SECOND = 10**9
OPEN = Schedule("constant", 4, rate_per_s=2.0, duration_s=30.0)


@pytest.fixture
def clock(monkeypatch):
    """Both clocks and the sleep of a sweep; they go on by hand, and by what is slept."""

    class Clock:
        now_ns = 10**15
        slept_s = ()
        meanwhile = staticmethod(lambda: None)  # what happens in a sleep

        async def sleep(self, seconds):
            self.slept_s += (seconds,)
            self.now_ns += round(seconds * SECOND)
            self.meanwhile()

    one = Clock()
    monkeypatch.setattr("firmly_nb.sweep.pace.monotonic_ns", lambda: one.now_ns)
    monkeypatch.setattr("firmly_nb.sweep.pace.monotonic_ns", lambda: one.now_ns)
    monkeypatch.setattr("firmly_nb.sweep.pace.time.time_ns", lambda: one.now_ns + 7)
    return one


@pytest.fixture
def pace(clock):
    """Start the clock of a schedule, so many seconds from now."""

    def begun(schedule=OPEN, lead_s=0.0):
        found = Pace(schedule, _began_ns=clock.now_ns)
        found.begin(lead_s)
        return found

    return begun


def test_the_schedule_begins_on_both_clocks_after_its_lead(clock, pace):
    begun = pace(lead_s=1.5)
    assert begun.planned_ns(0) == clock.now_ns + 1.5 * SECOND
    assert begun.began_at_ns == clock.now_ns + 7 + 1.5 * SECOND
    assert begun.elapsed_s() == 0.0, "it has not begun yet"
    clock.now_ns += 4 * SECOND
    assert begun.elapsed_s() == 2.5
    begun.end()
    clock.now_ns += SECOND
    assert begun.elapsed_s() == 2.5, "time stands still"


def test_what_is_planned_moves_with_the_pauses(pace):
    begun = pace()
    before = begun.planned_ns(3 * SECOND)
    begun.setbacks.shift_ns += 2 * SECOND
    assert begun.planned_ns(3 * SECOND) - before == 2 * SECOND


def test_minutes_are_those_at_which_an_order_starts_now_or_as_planned_if_later(clock, pace):
    begun = pace()
    clock.now_ns += 90 * SECOND
    assert begun.minutes(None) == 1.5
    assert begun.minutes(60 * SECOND) == 1.5
    assert begun.minutes(120 * SECOND) == 2.0
    begun.setbacks.shift_ns = 60 * SECOND
    assert begun.minutes(120 * SECOND) == 3.0


def test_the_plan_moves_by_what_is_waited_for_as_far_as_an_order_would_be_late(clock, pace):
    begun = pace()
    with begun.held_up(5 * SECOND, 1.0):
        clock.now_ns += 3 * SECOND
    assert begun.setbacks.said() == "", "there was time for it"
    with begun.held_up(5 * SECOND, 1.0), begun.held_up(6 * SECOND, 1.0):
        clock.now_ns += 3 * SECOND
    assert begun.planned_ns(5 * SECOND) == clock.now_ns + SECOND, "two that wait wait once"
    clock.now_ns += 4 * SECOND
    with begun.held_up(5 * SECOND, 1.0):
        clock.now_ns += SECOND
    assert begun.planned_ns(5 * SECOND) == clock.now_ns - 3 * SECOND, "it was late before"
    with begun.held_up(None, 1.0):
        clock.now_ns += SECOND
    assert begun.setbacks.shift_ns == begun.setbacks.held_up_ns == 3 * SECOND
    assert "moved back by 3\u202f000\xa0ms in all" in begun.setbacks.said()


@pytest.mark.parametrize(
    ("schedule", "over"),
    [(Schedule("closed", 3, duration_s=30.0), True), (Schedule("closed", 3), False), (OPEN, False)],
)
def test_only_a_closed_loop_with_a_duration_is_over_by_the_clock(clock, pace, schedule, over):
    begun = pace(schedule)
    clock.now_ns += 30 * SECOND - 1
    assert not begun.time_is_over()
    clock.now_ns += 1
    assert begun.time_is_over() is over


def test_it_sleeps_until_so_long_before_a_planned_start(clock, pace, monkeypatch):
    begun = pace()
    monkeypatch.setattr("firmly_nb.sweep.pace.asyncio.sleep", clock.sleep)
    asyncio.run(begun.until(2 * SECOND, 0.5))
    assert clock.slept_s == (1.5,)
    asyncio.run(begun.until(2 * SECOND, 0.5))
    asyncio.run(begun.until(SECOND, 0.0))
    assert clock.slept_s == (1.5,), "it is time already"
    asyncio.run(begun.until(2 * SECOND, 0.1))
    assert clock.slept_s == pytest.approx((1.5, 0.4))


def test_it_sleeps_again_where_the_plan_has_moved_meanwhile(clock, pace, monkeypatch):
    begun = pace()

    def refused_once():
        begun.setbacks.shift_ns = 3 * SECOND

    clock.meanwhile = refused_once
    monkeypatch.setattr("firmly_nb.sweep.pace.asyncio.sleep", clock.sleep)
    asyncio.run(begun.until(2 * SECOND, 0.5))
    assert clock.slept_s == (1.5, 3.0)


def test_nobody_waits_in_a_sweep_that_is_stopping(clock, pace, monkeypatch):
    begun = pace()
    monkeypatch.setattr("firmly_nb.sweep.pace.asyncio.sleep", clock.sleep)
    clock.meanwhile = begun.stopping.set
    asyncio.run(begun.until(20 * SECOND, 0.0))
    begun.setbacks.shift_ns = 60 * SECOND
    asyncio.run(begun.until(20 * SECOND, 0.0))
    assert clock.slept_s == (20.0,)


def test_it_waits_for_a_pause_and_says_whether_there_was_one(clock, pace, monkeypatch):
    begun = pace()
    monkeypatch.setattr("firmly_nb.sweep.pace.asyncio.sleep", clock.sleep)
    assert asyncio.run(begun.pauses()) is False
    begun.setbacks.paused_until_ns = clock.now_ns + SECOND // 2
    assert asyncio.run(begun.pauses()) is True
    assert asyncio.run(begun.pauses()) is False
    assert clock.slept_s == (0.5,)


def test_a_stop_ends_what_is_waited_for_and_an_error_of_it_is_raised():
    async def main():
        begun = Pace(OPEN)
        ended = []

        async def endless():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("endless")

        async def wrong():
            raise OSError("no way")

        waiting = asyncio.ensure_future(begun.unless_stopped(endless()))
        await asyncio.sleep(0)
        assert not waiting.done()
        with pytest.raises(OSError, match="no way"):
            await begun.unless_stopped(wrong())
        begun.stopping.set()
        await waiting
        await asyncio.sleep(0)
        assert ended == ["endless"]
        assert len(asyncio.all_tasks()) == 1, "nobody is left waiting for the stop"

    asyncio.run(main())
