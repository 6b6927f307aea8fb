"""Rules that speak up about orders that are not all alike, and are else silent."""

from itertools import chain

import numpy as np
import pytest

from benchmarks.dependent_orders import latent
from benchmarks.rules_that_speak import AMISS, CLEAN, spoken, study, usual
from firmly_nb.display.text import duration, number
from firmly_nb.latency.rules import rules
from firmly_nb.latency.summary import sentences


def seeded(seed=1):
    return np.random.default_rng(seed)


def only(orders, rule):
    return [said for said in chain.from_iterable(rules(orders)) if said.startswith(f"{rule}: ")]


def evenly(n):
    """Return times between 900 and 1,100 ms in an order that shows nothing."""
    return 900 + 200 * (np.arange(n) * 0.618034 % 1)


@pytest.mark.parametrize("n", [0, 1, 19, 60, 400, 90_000])
def test_rules_are_silent_where_nothing_is_amiss(n):
    assert [*chain.from_iterable(rules(study(evenly(n))))] == []


@pytest.mark.parametrize("n", [100, 90_000])
def test_a_bad_tenth_is_told_with_its_time(n):
    times = evenly(n)
    times[n // 2 : n // 2 + n // 10] *= 3
    assert len(only(study(times), "Bad tenth")) == 1
    if n == 100:
        [said] = only(study(times), "Bad tenth")
        assert said.startswith("Bad tenth: orders from 09:00:50 to 09:00:59 UTC took 3.0")
        assert "times as long as the rest of their run" in said


@pytest.mark.parametrize(("factor", "told"), [(1.4, 0), (1.6, 1)])
def test_a_bad_tenth_matters_from_half_as_long_again(factor, told):
    times = np.resize([999.0, 1001.0], 100)
    times[50:60] *= factor
    assert len(only(study(times), "Bad tenth")) == told


def test_a_tenth_that_fails_is_a_bad_tenth():
    outcome = np.full(100, "placed", dtype=object)
    outcome[30:40:2] = "timeout"
    [said] = only(study(evenly(100), outcome=outcome), "Bad tenth")
    assert said.endswith("failed in 50.0%, the rest of their run in 0%.")


def test_the_worst_of_several_runs_is_told_and_short_runs_are_left_alone():
    times = evenly(200)
    times[140:150] *= 3
    runs = np.repeat(["a", "b"], 100)
    assert len(only(study(times, run_id=runs), "Bad tenth")) == 1
    assert only(study(times, run_id=np.repeat(list("abcd"), 50)), "Bad tenth") == []


def test_neighbours_that_are_alike_are_told_with_their_correlation():
    orders = study(np.exp(7 + 0.2 * latent(seeded(), 200, 0.6)))
    [said] = only(orders, "Dependence")
    assert said.endswith("200 of them tell less than as many independent ones.")
    shuffled = orders.sample(frac=1, random_state=1)
    assert only(shuffled, "Dependence") == [said]


def test_a_warm_up_of_five_orders_is_told_of_one_run_and_of_many():
    times = evenly(60)
    times[:5] *= 2
    [said] = only(study(times), "Warm-up of 5 orders")
    first, others = np.median(times[:5]), np.median(times[5:])
    assert said == (
        f"Warm-up of 5 orders: the first 5 orders of the run took {number(first / others)} times "
        f"as long as the others ({duration(first)} against {duration(others)})."
    )
    runs = np.tile(evenly(25), 4)
    for run in range(4):
        runs[25 * run : 25 * run + 5] *= 1.5
    [said] = only(study(runs, run_id=np.repeat(list("abcd"), 25)), "Warm-up of 5 orders")
    assert "the first 5 orders of 4 runs took" in said


def test_one_slow_first_order_is_no_warm_up_of_five():
    times = evenly(60)
    times[0] *= 9
    assert only(study(times), "Warm-up of 5 orders") == []


@pytest.mark.parametrize(("factor", "told"), [(1.15, False), (1.3, True)])
def test_merchants_that_differ_are_told_by_name(factor, told):
    times, domain = usual(seeded(), 400, 0.1), np.tile(["a.test", "b.test"], 200)
    times[1::2] *= factor
    said = only(study(times, domain=domain), "Mixed merchants")
    assert len(said) == told
    if told:
        assert "at b.test and " in said[0]
        assert "at a.test (medians)" in said[0]
    few = np.array(["a.test"] * 391 + ["b.test"] * 9)
    assert only(study(np.where(few == "b.test", 9e3, times), domain=few), "Mixed merchants") == []


def test_a_merchants_name_cannot_steer_a_terminal():
    times, domain = evenly(100), np.tile(["a.test", "b\x1b[31m.test"], 50)
    times[1::2] *= 2
    [said] = only(study(times, domain=domain), "Mixed merchants")
    assert "\x1b" not in said
    long = np.tile(["a.test", "x" * 5000], 50)
    assert "x" * 200 not in only(study(times, domain=long), "Mixed merchants")[0]


def test_cancelled_orders_that_hung_are_told_with_what_they_could_mean():
    outcome = np.full(120, "placed", dtype=object)
    outcome[::10] = "cancelled"
    times = evenly(120)
    times[::10] = 30_000.0
    assert only(study(times, outcome=outcome), "Cancelled") == [
        (
            "Cancelled: 12 of 120 orders were cancelled and are in no share. 12 of them had waited "
            "longer than 90.0% of the placed ones. If all had failed, 90.0% would be placed."
        )
    ]


@pytest.mark.parametrize(("cancelled", "told"), [(1, 0), (2, 1)])
def test_the_last_order_of_a_sweep_that_was_stopped_is_nothing_to_tell_of(cancelled, told):
    outcome = np.array(["placed"] * (100 - cancelled) + ["cancelled"] * cancelled, dtype=object)
    times = np.append(evenly(100 - cancelled), [5.0] * cancelled)
    assert len(only(study(times, outcome=outcome), "Cancelled")) == told


def test_all_orders_cancelled_is_told():
    orders = study(evenly(5), outcome="cancelled")
    assert only(orders, "Cancelled") == [
        (
            "Cancelled: 5 of 5 orders were cancelled and are in no share. If all had failed, 0% "
            "would be placed."
        )
    ]


def test_the_table_has_the_sentences_of_the_rules(delays, tables):
    events, stages, orders = tables(delays(seeded(), 120))
    orders.loc[60:71, "time_to_order_placed_ms"] *= 5
    assert any(said.startswith("Bad tenth: ") for said in sentences(events, stages, orders))


# How often they speak; the seeds are fixed.


@pytest.mark.parametrize("name", [name for name in CLEAN if name.endswith("n = 100")])
def test_rules_seldom_speak_of_clean_studies(name):
    assert max(spoken(CLEAN[name], 300).values(), default=0) <= 300 * 0.02


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("Dependence", "AR(1) 0.6, n = 100"),
        ("Bad tenth", "2.7 times slower, n = 400"),
        ("Bad tenth", "half of it fails, n = 400"),
        ("Warm-up of 5 orders", "2.0 times slower, n = 100"),
        ("Mixed merchants", "1.6 times slower, n = 60"),
    ],
)
def test_rules_find_what_they_look_for(rule, case):
    assert spoken(AMISS[rule][case], 60)[rule] >= 54
