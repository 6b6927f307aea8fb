"""What a sweep does when the other side says no: it waits, holds back, or stops in a sentence."""

from itertools import count

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


def test_asked_to_wait_it_waits_and_sends_no_order_twice(connect):
    lab = connect(environment="simulator", profile="instant")
    numbers = count()

    def orders():
        for _ in range(4):
            first = next(numbers) == 0
            yield fnb.sweep.plan.Variant(
                ORDER, options={"headers": {"x-sim-fault": "rate-limited"} if first else {}}
            )

    recs = sweep(lab, orders(), concurrency=1)
    orders_ = recs.orders.sort_values("started_at")
    assert orders_["http_status"].tolist() == [429, 200, 200, 200]
    waited_s = orders_["started_at"].diff().dt.total_seconds().iloc[1]
    assert waited_s >= 2.0, "Retry-After: 2"
    assert len({line["order"] for line in lab.simulator.truth()}) == 3


@pytest.mark.parametrize("isolated", [True, False])
def test_asked_to_wait_it_holds_back_what_the_recorder_was_given_ahead(
    connect, tmp_path, monkeypatch, isolated
):
    """Orders are given to the recorder ahead of their time; those went out into the pause."""
    # So far ahead that all of them are with the recorder when the first one is refused.
    monkeypatch.setattr("firmly_nb.sweep.sender.HANDED_OVER_S", 1.5)
    monkeypatch.setattr("firmly_nb.sweep.sender.AHEAD_S", 1.7)
    lab = connect(environment="simulator", profile="instant", journal=tmp_path)
    recs = sweep(lab, [REFUSED, ORDER, ORDER], rate=2, isolated=isolated)
    orders = recs.orders.sort_values("started_at")
    assert orders["http_status"].tolist() == [429, 200, 200]
    ended_ms = orders["order_latency_ms"].iloc[0]
    starts_ms = (orders["started_at"] - orders["started_at"].iloc[0]).dt.total_seconds() * 1000
    assert starts_ms.iloc[1] >= ended_ms + 2000, "Retry-After: 2"
    # The plan has moved back as a whole: what waited does not follow in a burst.
    assert starts_ms.iloc[2] - starts_ms.iloc[1] > 250
    assert sorted(int(rec.tags["order_no"]) for rec in recs) == [1, 2, 3]
    assert len({line["order"] for line in lab.simulator.truth()}) == 2, "and each is sent once"
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
