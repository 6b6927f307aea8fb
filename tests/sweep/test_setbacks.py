"""What a sweep does when the other side says no: it waits, holds back, or stops in a sentence."""

import pytest

import firmly_nb as fnb
from firmly_nb.sweep.plan import Variant

ORDER = fnb.Order.example()
REFUSED = Variant(ORDER, options={"headers": {"x-sim-fault": "rate-limited"}})  # Retry-After: 2


def sweep(lab, orders=ORDER, **arguments):
    return lab.sweep(orders, progress=False, **arguments)


def test_a_door_that_stays_shut_ends_the_sweep_in_a_sentence(lab):
    recs = sweep(lab, count=50, headers={"x-sim-fault": "token-expired"})
    assert len(recs) == 5
    assert "5 failures in a row, the last: " in recs.warnings[0]
    assert "(HTTP 401)" in recs.warnings[0]


def test_orders_that_cannot_even_be_prepared_are_told_and_end_the_sweep(connect, simulator):
    lab = connect(app_id="unknown")
    recs = sweep(lab, count=9)
    assert len(recs) == 0
    assert "nothing can be ordered with this app id" in recs.warnings[0]
    assert lab.last_sweep.problems[0].number == 1


def true_orders(simulator):
    return {line["order"] for line in simulator.truth()}


def test_asked_to_wait_it_waits_and_sends_no_order_twice(lab, simulator):
    before = true_orders(simulator)
    recs = sweep(lab, iter([REFUSED, ORDER, ORDER]), concurrency=1)
    orders = recs.orders.sort_values("started_at")
    assert orders["http_status"].tolist() == [429, 200, 200]
    waited_s = orders["started_at"].diff().dt.total_seconds().iloc[1]
    assert waited_s >= 2.0, "Retry-After: 2"
    assert len(true_orders(simulator) - before) == 2


@pytest.mark.parametrize("isolated", [True, False])
def test_asked_to_wait_it_holds_back_what_the_recorder_was_given_ahead(
    lab, simulator, monkeypatch, isolated
):
    """Orders are given to the recorder ahead of their time; those went out into the pause."""
    # So far ahead that the second one is with the recorder when the first one is refused.
    monkeypatch.setattr("firmly_nb.sweep.sender.HANDED_OVER_S", 1.2)
    monkeypatch.setattr("firmly_nb.sweep.sender.AHEAD_S", 1.3)
    before = true_orders(simulator)
    recs = sweep(lab, [REFUSED, ORDER], rate=1, isolated=isolated)
    orders = recs.orders.sort_values("started_at")
    assert orders["http_status"].tolist() == [429, 200]
    starts_ms = orders["started_at"].astype("int64") / 1e6
    ended_ms = starts_ms.iloc[0] + orders["order_latency_ms"].iloc[0]
    assert starts_ms.iloc[1] - ended_ms >= 1990, "Retry-After: 2"
    # The plan has moved back as a whole, a second between them as before.
    planned_ms = starts_ms - orders["schedule_lag_ms"]
    assert planned_ms.diff().iloc[1] == pytest.approx(3000, abs=10)
    assert sorted(int(rec.tags["order_no"]) for rec in recs) == [1, 2]
    assert len(true_orders(simulator) - before) == 1, "and it is sent once"
    assert "paused for 2 s; the plan moved back" in recs.warnings[0]


def test_an_order_that_was_begun_is_not_taken_back(lab, until):
    started = lab.start_sweep(ORDER, count=1, headers={"x-sim-profile": "calm"})
    until(lambda: started.progress.running == 1, "an order in flight")
    lab._bench.recall(next(iter(lab._bench.devices().by_recording)))
    assert [rec.outcome for rec in started.wait()] == ["placed"]


def test_a_stop_takes_back_what_the_recorder_was_given_ahead(lab, until, monkeypatch):
    monkeypatch.setattr("firmly_nb.sweep.sender.HANDED_OVER_S", 60.0)
    monkeypatch.setattr("firmly_nb.sweep.sender.AHEAD_S", 60.0)
    started = lab.start_sweep(ORDER, count=3, rate=50)
    until(lambda: len(started._run.sender._handed) == 3, "three orders with the recorder")
    started.stop(let_finish=True)
    assert len(started.wait()) == 0
    assert started.progress.left == 3
