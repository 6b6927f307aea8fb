"""Sweeps against the simulator: schedule, cap, budget, stop, failures, what is kept."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

import firmly_nb as fnb
from firmly_nb.environments import staging
from firmly_nb.sweep.sweep import Request, _plan_file

ORDER = fnb.Order.example()
CALM = {"x-sim-profile": "calm"}
STALL = {"x-sim-fault": "stall"}
DECLINED = {"x-sim-fault": "payment-declined"}


def sweep(lab, orders=ORDER, **arguments):
    return lab.sweep(orders, progress=False, **arguments)


def test_every_order_is_recorded_with_run_and_number_and_comes_back_from_disk(lab):
    recs = sweep(lab, count=6, concurrency=3, name="monday", tags={"release": "7"}, run_id="r-1")
    assert [rec.outcome for rec in recs] == ["placed"] * 6
    assert sorted(int(rec.tags["order_no"]) for rec in recs) == [1, 2, 3, 4, 5, 6]
    assert {(rec.tags["sweep"], rec.tags["release"]) for rec in recs} == {("monday", "7")}
    loaded = fnb.load(lab.journal).where(run_id="r-1")
    assert {rec.recording_id for rec in loaded} == {rec.recording_id for rec in recs}
    assert lab.last_sweep.progress.state == "finished"


def test_an_open_loop_starts_on_schedule_whatever_is_still_running(lab):
    # Orders take half a second each; at 20 a second ten are in flight at once.
    recs = sweep(lab, count=20, rate=20, headers=CALM)
    orders = recs.orders.sort_values("started_at")
    starts = orders["started_at"].astype("int64") / 1e6
    assert (starts < starts.iloc[0] + orders["order_latency_ms"].iloc[0]).sum() >= 2
    assert (orders["schedule_lag_ms"] >= 0).all()
    late = orders["scheduled_order_latency_ms"] - orders["order_latency_ms"]
    assert late.tolist() == pytest.approx(orders["schedule_lag_ms"].tolist())
    # The lag is what it says: planned starts are 50 ms apart, to the sampling of the wall clock
    # (a process that is put aside between two clocks reads them apart).
    planned_ms = starts - orders["schedule_lag_ms"]
    assert planned_ms.diff().dropna().median() == pytest.approx(50.0, abs=0.5)
    assert planned_ms.iloc[-1] - planned_ms.iloc[0] == pytest.approx(19 * 50.0, abs=10)


def test_an_order_that_the_cap_holds_back_says_how_late_it_was(lab):
    recs = sweep(lab, count=4, rate=100, concurrency=1, headers=CALM)
    orders = recs.orders.sort_values("started_at").reset_index(drop=True)
    assert len(orders) == 4, "held back, never dropped"
    ends = orders["started_at"].astype("int64") / 1e6 + orders["order_latency_ms"]
    starts = orders["started_at"].astype("int64") / 1e6
    assert (starts[1:].to_numpy() >= ends[:-1].to_numpy() - 5).all(), "one at a time"
    expected = [orders["order_latency_ms"][:n].sum() - 10 * n for n in range(4)]
    for lag, least in zip(orders["schedule_lag_ms"], expected, strict=True):
        assert lag >= least - 10


def test_a_closed_loop_keeps_as_many_in_flight_as_said_each_on_a_device_of_its_own(lab):
    recs = sweep(lab, count=9, concurrency=3, headers=CALM)
    starts = recs.orders["started_at"].astype("int64") / 1e6
    ends = starts + recs.orders["order_latency_ms"]
    assert max(((starts <= t) & (ends > t)).sum() for t in starts) == 3
    assert recs.orders["schedule_lag_ms"].isna().all(), "nothing was planned"
    assert len(lab._bench.devices().free) == 3


def test_a_duration_ends_an_endless_sweep(lab):
    recs = sweep(lab, duration=1.0, rate=10)
    assert len(recs) == 10
    closed = sweep(lab, duration=1.0)
    assert len(closed) >= 1


def test_what_is_compared_is_interleaved_and_tagged(lab):
    grid = fnb.grid(ORDER, headers={"good": {}, "declined": DECLINED}, quantity=[1, 2])
    recs = sweep(lab, grid, count=12, seed=3)
    found = recs.orders.assign(
        which=[r.tags["headers"] for r in recs], number=[int(r.tags["order_no"]) for r in recs]
    ).sort_values("number")
    assert found.groupby("which")["outcome"].agg(set).astype(str).to_dict() == {
        "declined": "{'error_event'}",
        "good": "{'placed'}",
    }
    for block in range(3):
        part = found.iloc[4 * block : 4 * block + 4]
        assert sorted(zip(part["which"], part["quantity"], strict=True)) == [
            ("declined", 1), ("declined", 2), ("good", 1), ("good", 2),
        ]  # fmt: skip


def test_a_generator_is_followed_and_its_failure_is_told_after_its_orders_ended(lab):
    def orders():
        yield fnb.Order.example(quantity=2)
        yield fnb.Order.example(quantity=3)
        raise RuntimeError("the list broke off")

    with pytest.raises(RuntimeError, match="the list broke off"):
        sweep(lab, orders())
    assert sorted(lab.last_sweep.recordings.orders["quantity"]) == [2, 3]
    assert set(lab.last_sweep.recordings.orders["outcome"]) == {"placed"}


def test_a_generator_that_never_answers_keeps_nobody_from_stopping(lab, until):
    never = threading.Event()

    def orders():
        yield ORDER
        never.wait()

    started = lab.start_sweep(orders())
    until(lambda: started.progress.finished == 1, "the order that came")
    started.stop()
    assert [rec.outcome for rec in started.wait()] == ["placed"]
    assert started.progress.state == "stopped"
    never.set()


def test_a_plan_beyond_the_budget_is_refused_before_anything_is_sent(lab):
    with pytest.raises(fnb.sweep.budget.BudgetError, match=r"budget=fnb\.Budget\(orders=30\)"):
        sweep(lab, count=30, budget=fnb.Budget(orders=20))
    assert lab.last_sweep is None
    assert not lab.journal.exists()


def test_a_start_beyond_the_minutes_is_not_waited_for(lab):
    recs = sweep(lab, count=3, rate="1/h", budget=fnb.Budget(minutes=5))
    assert len(recs) == 1
    assert "the budget of 5 minutes is used up" in recs.warnings[0]


def test_an_endless_sweep_ends_with_its_orders(lab):
    recs = sweep(lab, duration=60, concurrency=2, budget={"orders": 5})
    assert len(recs) == 5
    assert lab.last_sweep.progress.state == "stopped"
    assert "the budget of 5 orders is used up" in recs.warnings[0]


def test_where_others_are_met_the_defaults_are_gentle():
    plan = _plan_file([staging()], Request(count=5), None)
    assert (plan.arrival, plan.rate_per_s, plan.concurrency) == (
        "constant",
        pytest.approx(1 / 3),
        4,
    )
    assert plan.budget == {"orders": 25, "minutes": 15.0, "total_minor": None}


def test_a_merchant_that_is_not_allowed_stops_everything_before_the_first_order(lab):
    elsewhere = fnb.Order.example(domain="shop.example.com")
    with pytest.raises(fnb.GuardError, match=r"shop\.example\.com is not on the allow-list"):
        sweep(lab, [ORDER, elsewhere], count=10)
    assert not lab.journal.exists()


def test_a_merchant_that_a_generator_brings_later_is_refused_when_it_comes(lab):
    elsewhere = fnb.Order.example(domain="shop.example.com")
    recs = sweep(lab, iter([ORDER, ORDER, elsewhere, ORDER]))
    assert set(recs.orders["domain"].astype(str)) == {ORDER.domain}
    assert len(recs) == 2
    assert "not on the allow-list" in recs.warnings[0]


def test_stopping_closes_the_streams_and_keeps_everything(lab, until):
    sweep = lab.start_sweep(ORDER, count=50, concurrency=4, headers=STALL)
    until(lambda: sweep.progress.running == 4, "four orders in flight")
    sweep.stop()
    recs = sweep.wait()
    assert [rec.outcome for rec in recs] == ["cancelled"] * 4
    assert sweep.progress.state == "stopped"
    assert len(fnb.load(lab.journal).where(run_id=sweep.run_id, outcome="cancelled")) == 4


def test_orders_in_flight_may_be_followed_to_their_end(lab, until):
    sweep = lab.start_sweep(ORDER, count=50, concurrency=3, headers=CALM)
    until(lambda: sweep.progress.running == 3, "three orders in flight")
    sweep.stop(let_finish=True)
    assert {rec.outcome for rec in sweep.wait()} == {"placed"}
    assert sweep.progress.started < 50


def test_closing_the_lab_stops_its_sweeps(connect, simulator, tmp_path, until):
    lab = connect(journal=tmp_path)
    sweep = lab.start_sweep(ORDER, count=500, concurrency=2, headers=CALM, name="<b>open</b>")
    until(lambda: sweep.progress.finished >= 2, "two orders")
    lab.close()
    assert sweep.done
    assert sweep.progress.state == "stopped"
    assert sweep.progress.message == "stopped: the lab was closed"
    assert len(fnb.load(tmp_path)) == sweep.progress.started < 500
    assert "&lt;b&gt;open" in sweep._repr_html_()
    assert "<b>open" not in sweep._repr_html_()


def test_ctrl_c_raises_once_everything_is_on_disk(lab, until, ctrl_c):
    def interrupt():
        until(lambda: lab.last_sweep and lab.last_sweep.progress.running == 2, "two orders")
        ctrl_c()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        sweep(lab, count=40, concurrency=2, headers=STALL)
    interrupter.join()
    assert lab.last_sweep.done
    assert [rec.outcome for rec in lab.last_sweep.recordings] == ["cancelled"] * 2
    assert len(fnb.load(lab.journal).where(outcome="cancelled")) == 2


def test_a_cancelled_task_stops_its_sweep(lab, until):
    async def main():
        task = asyncio.create_task(
            lab.sweep_async(ORDER, count=40, concurrency=2, headers=STALL, progress=False)
        )
        two_run = partial(until, lambda: lab.last_sweep and lab.last_sweep.progress.running == 2)
        await asyncio.to_thread(two_run)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(main())
    assert lab.last_sweep.done
    assert [rec.outcome for rec in lab.last_sweep.recordings] == ["cancelled"] * 2


def test_progress_can_be_followed_by_a_listener(lab):
    seen = []
    sweep = lab.start_sweep(ORDER, count=5, concurrency=1)
    sweep.on_progress(lambda s: seen.append((s.progress.started, s.progress.finished)))
    sweep.wait()
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)
    assert len(sweep.latencies_ms) == 5
    assert sweep.progress.latest[-1].outcome == "placed"
    assert sweep.progress.elapsed_s == sweep.progress.elapsed_s > 0, "time stands still at the end"


def test_what_was_ready_for_too_long_is_made_ready_again(lab, monkeypatch):
    monkeypatch.setattr("firmly_nb.sweep.run.FRESH_S", 0.3)
    made = []
    prepared = lab._bench.prepared

    def counted(order, card, options, key):
        made.append(options.tags["order_no"])
        return prepared(order, card, options, key)

    monkeypatch.setattr(lab._bench, "prepared", counted)
    recs = sweep(lab, count=4, rate=100, concurrency=1, headers=CALM)
    assert [rec.outcome for rec in recs] == ["placed"] * 4
    assert sorted(set(made)) == ["1", "2", "3", "4"]
    # The second waited for half a second, the others for longer: each was made ready again, and
    # once more where that itself took too long.
    assert all(made.count(number) >= 2 for number in ("2", "3", "4"))


def test_an_option_that_nobody_knows_is_refused(lab):
    with pytest.raises(TypeError, match="Unknown option 'colour' for sweep"):
        sweep(lab, count=1, colour="red")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"arrival": "sometimes"}, "Use constant, poisson, closed"),
        ({"arrival": "closed", "rate": 2}, "A closed loop has no rate"),
        ({"arrival": "poisson"}, "needs a rate"),
        ({"concurrency": 0}, "concurrency must be a whole number from 1 to 256, got 0"),
        ({"concurrency": 2.5}, "concurrency must be a whole number from 1 to 256, got 2.5"),
        ({"count": 0}, "count must be a whole number from 1 to 10\u202f000\u202f000, got 0"),
        ({"count": 2.5}, "count must be a whole number from 1 to 10\u202f000\u202f000, got 2.5"),
        ({"count": "5"}, "count must be a whole number from 1 to 10\u202f000\u202f000, got '5'"),
        ({"count": True}, "count must be a whole number from 1 to 10\u202f000\u202f000, got True"),
        ({"seed": "x"}, "seed must be a whole number up to .*, got 'x'"),
        ({"tags": ["a"]}, "tags must be a dict"),
        ({"tags": {"order_no": "7"}}, "'order_no' is written by sweeps themselves"),
        ({"run_id": "../x"}, "run_id must be 1 to 100 letters, digits"),
        ({"run_id": 5}, "run_id must be a text, got int"),
        ({"resume": "never"}, "No sweep never"),
        ({"budget": 5}, "budget must be a fnb.Budget or a dict, got int"),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(lab, arguments, words):
    with pytest.raises((ValueError, LookupError, TypeError), match=words):
        sweep(lab, **{"count": 3, **arguments})
    assert not list(lab.journal.glob("*/*.jsonl"))


def test_a_sweep_is_shown_in_the_words_of_outcomes(lab):
    sweep(lab, count=2, headers={"x-sim-fault": "bad-gateway"})
    assert repr(lab.last_sweep).endswith("; finished; 2 of 2: 2 HTTP errors)")


def test_a_sweep_is_neither_shown_nor_stored_with_a_secret_or_an_address(lab):
    sweep(lab, count=2, card=fnb.Card.test("mastercard"), run_id="quiet")
    texts = [repr(lab.last_sweep), repr(lab.last_sweep.plan), repr(lab.last_sweep.progress)]
    texts += [path.read_text() for path in lab.journal.rglob("*") if path.is_file()]
    whole = "\n".join(texts)
    token = lab._bench.devices().free[0].session.access_token.get_secret_value()
    for secret in ("5555555555554444", token, lab._bench.app_id.get_secret_value()):
        assert secret not in whole
    assert "10 Sample Way" not in (lab.journal / "sweeps" / "quiet.json").read_text()
