"""The recorder in its own process, the notebook's end: many orders, deaths, cancelling."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from dataclasses import replace

import pytest

import firmly_nb as fnb
from firmly_nb.recorder.process import DID_NOT_RESPOND, RecorderError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
ORDER = fnb.Order.example()
STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def worker_of(lab):
    return lab._bench.worker()


def names(rec):
    return rec.events["event"].astype("str").tolist()


def stalled(lab, until, fault="stall", count=2):
    """Begin an order that never ends; return its attempt once so many events were told."""
    attempt = lab.start(ORDER, headers={"x-sim-fault": fault})
    until(lambda: len(attempt._records) >= count + 1, "the events")
    return attempt


def test_one_recorder_serves_all_orders_of_a_lab(lab):
    pids = set()
    for _ in range(3):
        assert lab.place(ORDER, progress=False).outcome == "placed"
        pids.add(worker_of(lab).pid)
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_many_orders_at_once_do_not_mix(lab):
    async def main():
        orders = [ORDER.example(quantity=n) for n in range(1, 21)]
        return await asyncio.gather(*[lab.place_async(o, progress=False) for o in orders])

    recs = asyncio.run(main())
    assert [rec.outcome for rec in recs] == ["placed"] * 20
    assert len({rec.order_number for rec in recs}) == 20
    for quantity, rec in enumerate(recs, start=1):
        assert rec.cart["line_items"][0]["quantity"] == quantity
        assert names(rec) == STREAMED
        assert set(rec.events["cart_id"].dropna()) == {rec.cart["cart_id"]}
    assert len(list(lab.journal.rglob("*.jsonl"))) == 20


def test_a_recorder_that_dies_leaves_what_it_recorded_and_the_next_order_gets_a_new_one(lab, until):
    attempt = stalled(lab, until)
    old = worker_of(lab).pid
    os.kill(old, signal.SIGKILL)
    rec = attempt.wait(None)
    assert (rec.outcome, rec.error.error) == ("transport_error", "RecorderDied")
    assert names(rec) == ["creating-cart", "item-added"]
    assert rec.warnings == ["the recorder died before the end of the order"]
    assert rec.order_exists == "unknown"
    assert "status -9" in rec.error.description
    assert lab.place(ORDER, progress=False).outcome == "placed"
    assert worker_of(lab).pid not in {old, None}
    assert lab.last.outcome == "placed"


def test_an_order_that_was_placed_before_the_recorder_died_is_placed(lab, until):
    """Its success event had been shown; it was called a transport error all the same."""
    attempt = stalled(lab, until, "error-after-order", 5)
    rec = attempt.wait(None)
    assert rec.outcome == "placed"
    # The same from the pieces: the recorder dies between order-placed and its end.
    from firmly_nb.recorder.endings import told_by_events

    assert told_by_events(rec._start, rec._events).outcome == "placed"


def test_a_recorder_that_never_began_the_order_is_told_apart(lab, until, simulator, monkeypatch):
    """Nothing was sent, so it is no order with an unknown end but an error to try again after."""
    lab.place(ORDER, progress=False)
    pid = worker_of(lab).pid
    before = len(simulator.truth())
    os.kill(pid, signal.SIGSTOP)
    attempt = lab.start(ORDER)
    until(lambda: worker_of(lab)._pending, "the order on its way")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RecorderError, match=r"^Nothing was sent: the recorder "):
        attempt.wait(None)
    assert len(simulator.truth()) == before
    assert lab.place(ORDER, progress=False).outcome == "placed"


def test_whenever_the_recorder_is_killed_nothing_that_was_shown_is_lost(lab, until):
    draw = random.Random(7)
    for _ in range(4):
        lab.place(ORDER, progress=False)
        attempt = lab.start(ORDER, headers={"x-sim-profile": "calm"})
        shown = draw.randrange(0, 5)
        until(lambda n=shown, a=attempt: len(a._records) >= n, "the records")
        until(lambda a=attempt: worker_of(lab)._pending or a.done, "the order")
        os.kill(worker_of(lab).pid, signal.SIGKILL)
        try:
            rec = attempt.wait(None)
        except RecorderError:
            assert attempt._records == []
            continue
        assert rec.outcome in {"transport_error", "placed"}
        [twin] = fnb.load(next(lab.journal.rglob(f"{rec.recording_id}.jsonl")))
        assert names(twin)[: len(rec.events)] == names(rec)
        assert twin.events["t_ms"].tolist()[: len(rec.events)] == rec.events["t_ms"].tolist()
        assert len(rec.events) >= shown - 1
        # Loading said "incomplete" where the lab had said "transport_error".
        assert (twin.outcome, twin.cut_off) == (rec.outcome, False)
        assert set(rec.warnings) <= set(twin.warnings)
        assert twin.orders.equals(rec.orders)


def test_cancelling_ends_the_order_and_leaves_the_others_alone(lab, until):
    async def main():
        stall = {"x-sim-fault": "stall"}
        tasks = [
            asyncio.create_task(lab.place_async(ORDER, progress=False, headers=stall))
            for _ in range(3)
        ]
        await asyncio.to_thread(until, lambda: len(open_orders(lab)) == 3)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert lab.last.outcome == "cancelled"
        assert not tasks[0].done()
        assert not tasks[2].done()
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert worker_of(lab)._pending == {}
    assert [rec.outcome for rec in fnb.load(lab.journal)] == ["cancelled"] * 3
    assert lab.place(ORDER, progress=False).outcome == "placed"


def open_orders(lab):
    worker = lab._bench._worker
    pending = list(worker._pending.values()) if worker else []
    return [one for one in pending if one.last_seq == 2]


def test_an_order_that_is_cancelled_while_the_recorder_starts_leaves_nothing_half_started(
    lab, until, tmp_path, monkeypatch
):
    """The half-started process stayed: the next order was sent to it and waited for ever."""
    begun = tmp_path / "begun"
    with monkeypatch.context() as patch:
        patch.setattr(
            sys, "executable", python_that_runs(tmp_path, f"touch {begun}; exec sleep 600")
        )
        attempt = lab.start(ORDER)
        until(begun.exists, "the start")
        attempt.cancel()
        until(lambda a=attempt: a.done, "its end")
    for _ in range(2):  # and at whatever point a real one is
        attempt = lab.start(ORDER)
        until(lambda a=attempt: worker_of(lab)._starting.locked() or a.done, "it")
        attempt.cancel()
        until(lambda a=attempt: a.done, "its end")
    assert lab.place(ORDER, progress=False).outcome == "placed"


def python_that_runs(folder, script):
    """An interpreter that runs a script of the shell instead."""
    made = folder / "python"
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o700)
    return str(made)


def never_waits(monkeypatch):
    """Make every limit of the recorder's own so long that whoever waits for one is noticed."""
    for name in ("CANCEL_TIMEOUT_S", "STOP_TIMEOUT_S"):
        monkeypatch.setattr(f"firmly_nb.recorder.process.{name}", 600.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is frozen")
def test_a_frozen_recorder_does_not_hold_up_a_cancel(lab, until, gone, monkeypatch):
    never_waits(monkeypatch)
    attempt = stalled(lab, until)
    pid = worker_of(lab).pid
    os.kill(pid, signal.SIGSTOP)
    attempt.cancel()
    until(lambda: attempt.done and gone(pid), "its end")
    assert (lab.last.outcome, lab.last.order_exists) == ("cancelled", "unknown")
    assert lab.last.warnings == [
        "cancelled by the analyst; the recorder did not respond and was ended"
    ]
    [twin] = fnb.load(lab.journal)
    assert (twin.outcome, names(twin)) == ("cancelled", names(lab.last))
    assert lab.place(ORDER, progress=False).outcome == "placed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is frozen")
def test_a_frozen_recorder_does_not_hold_up_closing(connect, until, gone, monkeypatch):
    never_waits(monkeypatch)
    lab = connect()
    lab.place(ORDER, progress=False)
    pid = worker_of(lab).pid
    os.kill(pid, signal.SIGSTOP)
    lab.close()
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is frozen")
def test_an_order_that_a_frozen_recorder_never_began_is_told_when_it_is_cancelled(
    lab, until, simulator, monkeypatch
):
    """After Ctrl-C there was no recording at all, and nothing said that nothing was sent."""
    never_waits(monkeypatch)
    lab.place(ORDER, progress=False)
    before = len(simulator.truth())
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    attempt = lab.start(ORDER)
    until(lambda: worker_of(lab)._pending, "the order on its way")
    attempt.cancel()
    until(lambda: attempt.done, "its end")
    assert (lab.last.outcome, lab.last.order_exists) == ("cancelled", "no")
    assert lab.last.evidence == "nothing was sent"
    assert lab.last.warnings == [
        "cancelled by the analyst before it was sent; the recorder did not respond and was ended"
    ]
    assert len(simulator.truth()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is frozen")
def test_an_order_of_a_lab_that_is_closed_over_a_frozen_recorder_is_cancelled(
    connect, until, monkeypatch
):
    """It was told as a connection that failed."""
    never_waits(monkeypatch)
    lab = connect()
    attempt = stalled(lab, until)
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    lab.close()
    until(lambda: attempt.done, "its end")
    assert (lab.last.outcome, lab.last.order_exists) == ("cancelled", "unknown")
    assert names(lab.last) == ["creating-cart", "item-added"]


def test_a_recorder_that_does_not_answer_a_cancel_is_not_waited_for(lab, until, monkeypatch):
    monkeypatch.setattr("firmly_nb.recorder.process.CANCEL_TIMEOUT_S", 0.1)
    monkeypatch.setattr("firmly_nb.recorder.process.is_stopped", lambda _: False)
    attempt = stalled(lab, until)
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    attempt.cancel()
    until(lambda: attempt.done, "its end")
    assert lab.last.outcome == "cancelled"
    assert "the recorder did not respond" in lab.last.warnings[0]


def test_an_order_whose_recorder_cannot_be_ended_has_an_end(lab, until, monkeypatch):
    """It waits for a disk, say. The order stayed under way for whoever watched it."""
    attempt, pid = stalled(lab, until), worker_of(lab).pid
    os.kill(pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr("firmly_nb.recorder.process.CANCEL_TIMEOUT_S", 0.1)
        for name in ("is_stopped", "_end_now"):
            patch.setattr(f"firmly_nb.recorder.process.{name}", lambda _: None)
        attempt.cancel()
        until(lambda: attempt.done, "its end")
    os.kill(pid, signal.SIGKILL)
    assert (lab.last.outcome, lab.last.cut_off) == ("cancelled", False)
    assert names(lab.last) == ["creating-cart", "item-added"]
    assert lab.last.warnings == [f"cancelled by the analyst; {DID_NOT_RESPOND}"]


def test_a_recorder_that_is_frozen_beyond_the_limit_is_ended(lab, until, monkeypatch):
    """The order's time is over, and nobody else would say so."""
    monkeypatch.setattr("firmly_nb.recorder.process.SILENT_S", 0.1)
    lab.place(ORDER, progress=False)
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    with pytest.raises(RecorderError, match="did not respond and was ended") as caught:
        lab.place(ORDER, progress=False, timeout_s=1.0)
    assert str(caught.value).startswith("Nothing was sent")
    assert lab.place(ORDER, progress=False).outcome == "placed"


@pytest.mark.parametrize("in_sweep", [False, True])
@pytest.mark.parametrize(("is_over", "outcome"), [(True, "timeout"), (False, "transport_error")])
def test_an_order_timed_out_whose_recorder_was_ended_after_its_own_limit(
    lab, until, in_sweep, is_over, outcome
):
    """The recorder did not die by itself; it may have been ended for another order's sake."""
    if in_sweep:  # its limit counts from its start, not from a call
        sweep = lab.start_sweep(ORDER, count=1, headers={"x-sim-fault": "stall"})
        until(lambda: open_orders(lab), "the order")
    else:
        sweep, attempt = None, stalled(lab, until)
    [pending] = open_orders(lab)
    assert (pending.job.deadline_ns is None) == in_sweep
    if is_over:
        pending.job = replace(pending.job, deadline_ns=None, planned_ns=None)
        pending.begun_ns -= 121 * 10**9
    pending.recorder.end()
    rec = sweep.wait()[0] if sweep else attempt.wait(None)
    assert (rec.outcome, rec.order_exists) == (outcome, "unknown")
    assert names(rec) == ["creating-cart", "item-added"]
    assert rec.warnings == [DID_NOT_RESPOND]
    assert "after item-added" in repr(rec)


def test_a_recorder_that_died_while_its_order_was_cancelled_was_not_ended(lab, until):
    attempt = stalled(lab, until)
    [pending] = open_orders(lab)
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    pending.cancelled = True
    os.kill(worker_of(lab).pid, signal.SIGKILL)
    until(lambda: attempt.done, "its end")
    assert lab.last.warnings == [
        "cancelled by the analyst; the recorder died before the end of the order"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is frozen")
def test_a_recorder_that_is_known_to_be_frozen_is_ended_at_the_limit(lab, monkeypatch):
    monkeypatch.setattr("firmly_nb.recorder.process.SILENT_S", 600.0)
    lab.place(ORDER, progress=False)
    os.kill(worker_of(lab).pid, signal.SIGSTOP)
    with pytest.raises(RecorderError, match="Nothing was sent"):
        lab.place(ORDER, progress=False, timeout_s=1.0)
    # Not the order before it: nothing of this one was recorded.
    assert lab.last is None


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
def test_a_callback_that_wants_to_end_the_process_ends_nothing(lab, isolated, error):
    def fail(record):
        raise error("planned")

    rec = lab.place(ORDER, on_record=fail, progress=False, isolated=isolated)
    assert (rec.outcome, len(rec.events)) == ("placed", 4)
    assert rec.warnings[0].startswith(f"on_record failed 6 times: {error.__name__}: planned")
    assert lab.place(ORDER, progress=False).warnings == []


class WordlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


@pytest.mark.parametrize("error", [KeyboardInterrupt, WordlessError])
def test_an_error_of_a_callback_that_says_nothing_is_named_once(lab, error):
    def fail(record):
        raise error

    [warning] = lab.place(ORDER, on_record=fail, progress=False).warnings
    assert warning == f"on_record failed 6 times: {error.__name__}. The recording is whole."


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("kind", ["start", "event", "end", "all"])
def test_a_callback_that_fails_costs_no_recording(lab, isolated, kind):
    def fail(record):
        if kind in {record.kind, "all"}:
            raise KeyError("planned")

    rec = lab.place(ORDER, on_record=fail, progress=False, isolated=isolated)
    assert rec.outcome == lab.last.outcome == "placed"
    assert len(rec.events) == 4
    [warning] = rec.warnings
    assert warning == lab.last.warnings[0]
    assert warning.startswith("on_record failed ")
    assert "KeyError: 'planned'. The recording is whole." in warning
    assert len(fnb.load()) == 1
    assert lab.place(ORDER, progress=False).warnings == []


@pytest.mark.parametrize(
    ("code", "within_s", "said"),
    [
        ("import sys; sys.exit('no disk, no worker')", 60.0, "no disk, no worker"),
        ("print('hello', flush=True); import time; time.sleep(600)", 0.3, "it said nothing"),
        ("print('x' * 200_000, flush=True); input()", 60.0, "it said nothing"),
    ],
)
def test_a_recorder_that_cannot_start_is_told(
    lab, simulator, tmp_path, monkeypatch, code, within_s, said
):
    broken = python_that_runs(tmp_path, f'exec {sys.executable} -c "{code}"')
    lab.public_key()
    before = len(simulator.truth())
    with monkeypatch.context() as patch:
        patch.setattr("firmly_nb.recorder.process.START_TIMEOUT_S", within_s)
        patch.setattr(sys, "executable", broken)
        with pytest.raises(RecorderError, match=f"did not start: {said}") as caught:
            lab.place(ORDER, progress=False)
    assert "isolated=False" in str(caught.value)
    assert len(simulator.truth()) == before
    assert lab.place(ORDER, progress=False).outcome == "placed"


def test_what_is_printed_while_the_recorder_starts_does_no_harm(lab, tmp_path, monkeypatch):
    """A sitecustomize that prints once made the notebook wait for a frame that never came."""
    (tmp_path / "sitecustomize.py").write_text("print('welcome to this machine', flush=True)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert lab.place(ORDER, progress=False).outcome == "placed"


def test_garbage_from_the_recorder_ends_it_and_its_orders(lab, until):
    attempt = stalled(lab, until)
    process = worker_of(lab).process
    from firmly_nb.background import follow, submit

    async def inject():
        process.stdout.feed_data(b"Segmentation fault\n")

    follow(submit(inject))
    rec = attempt.wait(None)
    assert (rec.outcome, rec.error.error) == ("transport_error", "RecorderDied")
    assert process.returncode == -9
    assert lab.place(ORDER, progress=False).outcome == "placed"


def test_closing_ends_the_recorder(connect, until, gone, monkeypatch):
    # Whoever waits this long has a recorder that does not end by itself.
    monkeypatch.setattr("firmly_nb.recorder.process.STOP_TIMEOUT_S", 60.0)
    lab = connect()
    attempt = stalled(lab, until)
    process = worker_of(lab).process
    lab.close()
    assert process.returncode == 0, "ended by itself, not killed"
    assert gone(process.pid)
    assert attempt.wait(None).outcome == "cancelled"
