"""Rules that speak up: each where it should, with its numbers, and seldom where nothing is."""

import numpy as np
import pandas as pd
import pytest

from firmly_nb.latency.rules import sentences
from firmly_nb.latency.run_drift import run_drift
from firmly_nb.latency.within_run import drift_within, series, warm_up


@pytest.fixture
def study(delays, tables):
    def make(seed=1, n=200, profile="typical", factor=1.0, **options):
        drawn = delays(np.random.default_rng(seed), n, profile)
        return tables(drawn * np.broadcast_to(factor, (n,))[:, None], **options)

    return make


def only(found, begin):
    return [sentence for sentence in found if sentence.startswith(begin)]


def test_where_nothing_is_amiss_nothing_is_said(study):
    assert sentences(*study()) == []


@pytest.mark.parametrize("profile", ["typical", "slow-shipping"])
@pytest.mark.parametrize("n", [80, 200])
def test_a_false_alarm_of_any_rule_is_rare(study, profile, n):
    alarms = [sentences(*study(seed, n, profile)) for seed in range(40)]
    assert sum(map(bool, alarms)) <= 2, alarms


def test_no_orders_need_no_rule(study):
    assert sentences(*study(n=0)) == []


def test_too_few_orders_for_p95(study):
    assert sentences(*study(n=40)) == [
        "Too few orders for p95: 72 placed orders are needed, there are 40."
    ]
    failing = study(outcomes=["placed"] * 71 + ["timeout"] * 129)
    assert only(sentences(*failing), "Too few") == [
        "Too few orders for p95: 72 placed orders are needed, there are 71."
    ]


@pytest.mark.parametrize("n", [30, 200])
def test_a_first_order_that_warms_up(study, n):
    events, stages, orders = study(n=n)
    orders.loc[0, "time_to_headers_ms"] = 40.0
    told = only(sentences(events, stages, orders), "Warm-up")
    assert len(told) == 1
    assert "the first order took" in told[0]
    assert "times as long to the headers as the others (40.0 against" in told[0]


def test_a_slow_order_elsewhere_is_no_warm_up(study):
    events, stages, orders = study()
    orders.loc[7, "time_to_headers_ms"] = 40.0
    assert only(sentences(events, stages, orders), "Warm-up") == []


def test_first_orders_of_several_runs_speak_together(study):
    _, _, orders = study(n=200, run_ids=np.repeat([f"run {i}" for i in range(8)], 25))
    first = ~orders["run_id"].duplicated()
    orders.loc[first, "time_to_headers_ms"] = 1.6  # each alone is one of many
    found = warm_up(orders, "time_to_headers_ms")
    assert found.runs == 8
    assert found.first_ms == 1.6
    assert warm_up(orders[orders["run_id"] == "run 0"], "time_to_headers_ms") is None


def test_orders_that_grow_slower(study):
    factor = np.linspace(1, 1.5, 200)
    told = only(sentences(*study(factor=factor)), "Drift")
    assert len(told) == 1
    assert told[0].startswith("Drift within the run: orders grew slower, the last third took 1.")
    assert "grew faster" in only(sentences(*study(factor=factor[::-1])), "Drift")[0]


def test_a_trend_is_looked_for_within_runs_not_between_them(study):
    factor = np.repeat([1.0, 1.5, 2.0, 2.5], 50)
    _, _, orders = study(factor=factor, run_ids=np.repeat(list("abcd"), 50))
    assert drift_within(orders) is None
    assert drift_within(orders.drop(columns="run_id")).ratio > 1.5


def test_a_trend_too_small_to_matter_is_none(study):
    _, _, orders = study(n=20_000, factor=np.linspace(1, 1.03, 20_000))
    assert drift_within(orders) is None


def test_times_of_a_run_stand_in_order_of_start(study):
    _, _, orders = study(n=6)
    shuffled = orders.sample(frac=1, random_state=2)
    assert np.array_equal(series(shuffled, "order_latency_ms")[0], orders["order_latency_ms"])


def test_two_modes_name_the_stage(study):
    told = sentences(*study(profile="bimodal"))
    assert len(told) == 1
    assert told[0].startswith("Two modes: shipping-updated takes ")


def test_an_error_bound_above_5_percent_of_a_stage(study):
    events, stages, orders = study()
    stages.loc[stages["stage"] == "creating-cart", "uncertainty_us"] = 6_000.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith("Error bound: times of creating-cart can be off by 6.00 ms (p99)")


def test_a_lag_above_5_percent_of_the_shortest_stage(study):
    events, stages, orders = study()
    orders["schedule_lag_ms"] = 8.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith("Lag: orders started up to 8.00 ms after their time (p99)")
    orders["schedule_lag_ms"] = np.nan
    assert sentences(events, stages, orders) == []


def test_coalesced_events_are_a_share_of_those_with_one_before(study):
    events, stages, orders = study(n=100)
    events["coalesced"] = events["seq"] == 4
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith("Coalesced: 33% of the events share a read with the one before; ")


def test_milestones_out_of_order(study):
    events, stages, orders = study()
    stages.loc[stages.index[stages["stage"] == "item-added"][:3], "duration_ms"] = -4.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert "item-added came before the milestone that it follows in 3 of 200 orders" in told[0]


def test_few_runs_and_runs_that_differ(study):
    runs = np.repeat(["a", "b", "c", "d"], 50)
    told = sentences(*study(factor=np.repeat([1.0, 2.0, 1.0, 3.0], 50), run_ids=runs))
    assert any(one.startswith("Few runs: 4; intervals by whole runs") for one in told)
    differ = only(told, "Runs differ: 200 orders of 4 runs tell as much as ")
    assert len(differ) == 1
    assert "design effect" in differ[0]


def test_drift_looks_at_runs_and_within_them(study):
    runs = np.repeat([f"run {i:02}" for i in range(12)], 25)
    factor = np.where(np.arange(300) >= 150, 1.6, 1.0)
    _, stages, orders = study(n=300, factor=factor, run_ids=runs)
    found = run_drift(stages, orders)
    assert [point.run_id for point in found.changes.points] == ["run 06"]
    assert found.sentences[1] == "No drift found within the runs."
    assert "run 06" in repr(found)
    assert "<table" in found._repr_html_()
    of_stage = run_drift(stages, orders, "item-added")
    assert of_stage.what == "item-added"
    assert of_stage.changes.points[0].ratio == pytest.approx(1.6, abs=0.3)


def test_drift_of_one_run_is_a_trend(study):
    _, stages, orders = study(factor=np.linspace(1, 1.5, 200))
    found = run_drift(stages, orders)
    assert found.changes is None
    assert repr(found).startswith("Within the run order grew slower: the last third took 1.")
    few = run_drift(*study(n=5)[1:])
    assert repr(few) == "Too few orders in a run to look for drift within it: 20 are the least."


def test_an_unknown_stage_says_which_there_are(study):
    _, stages, orders = study(n=5)
    with pytest.raises(KeyError, match="no stage 'item'; there are creating-cart, item-added"):
        run_drift(stages, orders, "item")


def test_many_runs_are_told_in_part(study):
    _, stages, orders = study(n=300, run_ids=[f"run {i // 5}" for i in range(300)])
    shown = repr(run_drift(stages, orders))
    assert "and 20 more" in shown
    assert isinstance(run_drift(stages, orders).runs, pd.DataFrame)
