"""What a sweep does when the other side says no: it waits, holds back, or stops in a sentence."""

import asyncio
import threading

import pytest

import firmly_nb as fnb
from firmly_nb.api.errors import Forbidden, InvalidAppId, RateLimited, Unauthorized
from firmly_nb.recorder.records import End
from firmly_nb.sweep.pace import Setbacks
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
    monkeypatch.setattr("firmly_nb.sweep.run.HANDED_OVER_S", 1.2)
    monkeypatch.setattr("firmly_nb.sweep.run.AHEAD_S", 1.3)
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
    monkeypatch.setattr("firmly_nb.sweep.run.HANDED_OVER_S", 60.0)
    monkeypatch.setattr("firmly_nb.sweep.run.AHEAD_S", 60.0)
    started = lab.start_sweep(ORDER, count=3, rate=50)
    until(lambda: len(started._run.sender._handed) == 3, "three orders with the recorder")
    started.stop(let_finish=True)
    assert len(started.wait()) == 0
    assert started.progress.left == 3


def test_a_stop_takes_back_what_waits_for_a_recorder_that_starts(lab, until, monkeypatch):
    monkeypatch.setattr("firmly_nb.sweep.run.HANDED_OVER_S", 60.0)
    monkeypatch.setattr("firmly_nb.sweep.run.AHEAD_S", 60.0)
    worker, ready = lab._bench.worker(), threading.Event()
    as_ever = worker._started_within

    async def slowly(left_s):
        await asyncio.to_thread(ready.wait)
        return await as_ever(left_s)

    monkeypatch.setattr(worker, "_started_within", slowly)
    started = lab.start_sweep(ORDER, count=1, rate=50)
    until(lambda: worker._waiting, "an order that the recorder was not given yet")
    started.stop(let_finish=True)
    ready.set()
    assert len(started.wait()) == 0
    assert started.progress.left == 1


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that goes on by hand."""

    class Clock:
        now_ns = 10**15

        def goes_on(self, seconds):
            self.now_ns += round(seconds * 1e9)

    one = Clock()
    monkeypatch.setattr("firmly_nb.sweep.pace.monotonic_ns", lambda: one.now_ns)
    return one


def heed(setbacks, status, outcome="http_error", retry_after_s=None, error="Odd"):
    """Tell of an order that ended so."""
    row = {"http_status": status, "outcome": outcome, "error_code": error}
    return setbacks.ended(row, End(outcome, 0, retry_after_s=retry_after_s))


@pytest.mark.parametrize(
    ("status", "retry_after_s", "pause_s"),
    [(429, 2.5, 2.5), (503, 7.0, 7.0), (429, None, 5.0), (503, None, 0.0), (200, None, 0.0),
     (428, None, 0.0), (430, None, 0.0)],
)  # fmt: skip
def test_it_pauses_for_as_long_as_it_is_asked_to(clock, status, retry_after_s, pause_s):
    setbacks = Setbacks()
    assert heed(setbacks, status, retry_after_s=retry_after_s) == ""
    assert setbacks.pause_left_s() == pause_s
    assert setbacks.shift_ns == pause_s * 1e9
    said = f"HTTP {status}: asked to wait, paused for {pause_s:g} s; the plan moved back"
    assert setbacks.message == (said if pause_s else "")
    clock.goes_on(1)
    assert setbacks.pause_left_s() == max(pause_s - 1, 0)


def test_pauses_that_overlap_move_the_plan_by_what_they_last_together(clock):
    setbacks = Setbacks()
    heed(setbacks, 429, retry_after_s=5)
    clock.goes_on(1)
    heed(setbacks, 429, retry_after_s=4)  # until the same moment
    heed(setbacks, 429, retry_after_s=2)
    assert (setbacks.shift_ns, setbacks.pause_left_s()) == (5 * 10**9, 4.0)
    assert "paused for 5 s" in setbacks.message
    heed(setbacks, 503, retry_after_s=10)
    assert (setbacks.shift_ns, setbacks.pause_left_s()) == (11 * 10**9, 10.0)
    assert setbacks.message.startswith("HTTP 503: asked to wait, paused for 10 s")
    clock.goes_on(20)
    assert setbacks.pause_left_s() == 0
    heed(setbacks, 429, retry_after_s=3)
    assert setbacks.shift_ns == 14 * 10**9


@pytest.mark.parametrize("status", [401, 403])
def test_five_refusals_at_the_door_in_a_row_end_it(status):
    setbacks = Setbacks()
    for _ in range(4):
        assert heed(setbacks, status) == ""
    assert heed(setbacks, status, error="Expired") == (
        f"5 failures in a row, the last: Expired (HTTP {status})"
    )
    assert heed(setbacks, status).startswith("6 failures in a row")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "placed"), (200, "error_event"), (404, "http_error"), (500, "http_error"),
     (401, "timeout"), (None, "transport_error")],
)  # fmt: skip
def test_any_other_end_begins_the_count_anew(status, outcome):
    setbacks = Setbacks()
    for _ in range(4):
        heed(setbacks, 401)
    for _ in range(9):
        assert heed(setbacks, status, outcome) == ""
    assert setbacks.in_a_row == 0


@pytest.mark.parametrize("kind", [Unauthorized, InvalidAppId, Forbidden])
def test_an_app_id_with_which_nothing_can_be_ordered_ends_it_at_once(kind):
    error = kind("Odd", "not yours", 401)
    assert Setbacks().not_sent(error) == f"nothing can be ordered with this app id: {error}"


@pytest.mark.parametrize(
    ("error", "words"), [(OSError("no way"), "no way"), (TimeoutError(), "TimeoutError")]
)
def test_orders_that_could_not_be_sent_count_as_refusals_do(clock, error, words):
    setbacks = Setbacks()
    heed(setbacks, 401)
    heed(setbacks, 403)
    assert [setbacks.not_sent(error) for _ in range(3)] == [
        "", "", f"5 failures in a row, the last: {words}"
    ]  # fmt: skip
    assert setbacks.pause_left_s() == 0


@pytest.mark.parametrize(("asked_s", "pause_s"), [(3.0, 3.0), (None, 5.0)])
def test_too_many_requests_before_an_order_is_sent_pause_it_as_well(clock, asked_s, pause_s):
    setbacks = Setbacks()
    error = RateLimited("TooManyRequests", "slowly", 429)
    error.retry_after_s = asked_s
    assert setbacks.not_sent(error) == ""
    assert setbacks.pause_left_s() == pause_s
    assert setbacks.message.startswith("HTTP 429: asked to wait")
