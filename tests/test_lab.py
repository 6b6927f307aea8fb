"""A lab in a script, a thread, a running loop; Ctrl-C; and its end, however that comes."""

from __future__ import annotations

import asyncio
import gc
import os
import pkgutil
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from anyio.from_thread import BlockingPortal as Portal

import firmly_nb as fnb
from firmly_nb.background import follow, submit

ORDER = fnb.Order.example()
STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def test_an_order_in_a_script(lab, capsys):
    rec = lab.place(ORDER)
    assert rec.outcome == "placed"
    assert rec.events["event"].astype("str").tolist() == STREAMED
    assert lab.last.recording_id == rec.recording_id
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()][1:5] == STREAMED


def test_an_order_in_a_thread(lab):
    recs = []
    thread = threading.Thread(target=lambda: recs.append(lab.place(ORDER, progress=False)))
    thread.start()
    thread.join()
    assert recs[0].outcome == "placed"


def test_orders_inside_a_running_loop(lab):
    async def main():
        waited = lab.place(ORDER, progress=False)
        awaited = await lab.place_async(ORDER, progress=False)
        return waited, awaited

    assert [rec.outcome for rec in asyncio.run(main())] == ["placed", "placed"]


def test_an_order_in_this_process(lab):
    rec = lab.place(ORDER, progress=False, isolated=False)
    assert rec.outcome == "placed"
    assert rec.recorder["process"] == "shared"
    assert lab._bench._worker is None


def test_the_plain_call(lab):
    rec = lab.place(ORDER, progress=False, sse=False)
    assert (rec.outcome, len(rec.events)) == ("placed", 0)
    assert rec.order_number == rec.cart["platform_order_number"]


def test_a_declined_order_is_a_result(lab):
    rec = lab.place(ORDER, progress=False, headers={"x-sim-fault": "payment-declined"})
    assert (rec.outcome, rec.error.error) == ("error_event", "ErrorPaymentDeclined")


def test_what_was_noted_is_kept(lab):
    rec = lab.place(ORDER, progress=False, run_id="monday", tags={"who": "ada"}, timeout_s=33.0)
    assert (rec.tags, rec.timeout_s) == ({"who": "ada"}, 33.0)
    assert rec.orders["run_id"].tolist() == ["monday"]


def test_the_rest_of_the_api_has_both_faces(lab):
    async def main():
        return (
            await lab.session_async(),
            await lab.public_key_async(),
            await lab.products_async(),
            await lab.variants_async("radiant-tee"),
            await lab.search_async("tee"),
            await lab.cart_async(),
        )

    twins = asyncio.run(main())
    waited = (
        lab.session(),
        lab.public_key(),
        lab.products(),
        lab.variants("radiant-tee"),
        lab.search("tee"),
        lab.cart(),
    )
    for one, other in zip(waited, twins, strict=True):
        assert type(one) is type(other)
        assert str(one) == str(other)
    assert "WS12-XS-Orange" in waited[3]["variant_id"].tolist()


def test_orders_that_ran_at_the_same_time_each_have_their_own_cart(lab):
    async def main():
        return await asyncio.gather(*(lab.place_async(ORDER, progress=False) for _ in range(3)))

    recs = asyncio.run(main())
    numbers = [rec.order_number for rec in recs]
    assert len(set(numbers)) == 3
    assert [lab.cart(rec)["platform_order_number"] for rec in recs] == numbers
    assert lab.cart(ORDER.domain)["platform_order_number"] in numbers


def test_the_cart_of_a_merchant_is_that_of_the_last_order_there(lab, until):
    slow = lab.start(ORDER, headers={"x-sim-fault": "stall"})
    until(lambda: slow.recording, "its first record")
    quick = lab.place(ORDER, progress=False)
    assert lab.cart(ORDER.domain)["platform_order_number"] == quick.order_number
    slow.cancel()
    until(lambda: slow.done, "its end")


def test_a_cart_is_only_seen_by_the_lab_that_placed_the_order(connect):
    rec = connect().place(ORDER, progress=False)
    with pytest.raises(LookupError, match="was not placed in this lab"):
        connect().cart(rec)


@pytest.mark.parametrize("isolated", [True, False])
def test_ctrl_c_leaves_a_recording_that_says_so(lab, ctrl_c, isolated):
    """The portal cancels whatever cleans up after a cancelled order, too.

    The outcome was incomplete, and the next order of the same process waited for ever for the
    connection that had not been given back.
    """
    lab.place(ORDER, progress=False, isolated=isolated)

    class Lines:
        def show(self, record):
            if record.kind == "event" and record.event == "item-added":
                ctrl_c()

    attempt = lab.start(ORDER, headers={"x-sim-fault": "stall"}, isolated=isolated)
    with pytest.raises(KeyboardInterrupt):
        attempt.wait(lines=Lines())
    assert lab.last.outcome == "cancelled"
    assert not lab.last.cut_off
    assert lab.last.events["event"].astype("str").tolist() == STREAMED[:2]
    assert fnb.load(lab.journal)[-1].outcome == "cancelled"
    assert lab.place(ORDER, progress=False, isolated=isolated).outcome == "placed"


async def never(*_, **__):
    await asyncio.Event().wait()


# Where Ctrl-C comes, and whether all goes on there until it is cancelled.
MOMENTS = {
    "before the loop runs it": ("firmly_nb.background.Running.begin", False),
    "with the session": ("firmly_nb.api.client.FirmlyClient.browser_session", True),
    "with the key": ("firmly_nb.api.client.FirmlyClient.payment_key", True),
    "while the recorder starts": ("firmly_nb.recorder.process.WorkerProcess._started", True),
    "given to the recorder": ("firmly_nb.recorder.process._send", False),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_at_any_moment_says_whether_the_order_was_sent(
    connect, simulator, ctrl_c, monkeypatch, moment
):
    """After Ctrl-C in the first second of a lab nothing told whether there was an order."""
    lab, before = connect(), len(simulator.truth())
    name, waits = MOMENTS[moment]
    owner, _, attribute = name.rpartition(".")
    whole = pkgutil.resolve_name(name)

    def pressing(*args, **named):
        monkeypatch.setattr(f"{owner}.{attribute}", whole)
        ctrl_c()
        return never() if waits else whole(*args, **named)

    monkeypatch.setattr(f"{owner}.{attribute}", pressing)
    with pytest.raises(KeyboardInterrupt) as pressed:
        lab.place(ORDER, progress=False, headers={"x-sim-fault": "stall"})
    said, sent = str(pressed.value), len(simulator.truth()) > before
    if lab.last is None:
        assert (said, sent) == ("Nothing was sent.", False)
    else:
        assert moment == "given to the recorder"
        assert lab.last.outcome == "cancelled"
        assert sent <= (lab.last.order_exists == "unknown")
        assert said.endswith("lab.last has what was recorded.")


def test_ctrl_c_again_while_the_order_is_ended_leaves_what_there_is(
    lab, until, ctrl_c, monkeypatch
):
    ended = threading.Event()

    async def again(*_):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.to_thread(ended.wait, 30)

    class Lines:
        def show(self, record):
            if record.kind == "event" and record.event == "item-added":
                monkeypatch.setattr("firmly_nb.recorder.process.WorkerProcess._cancelled", again)
                ctrl_c()

    attempt = lab.start(ORDER, headers={"x-sim-fault": "stall"})
    try:
        with pytest.raises(KeyboardInterrupt, match="The order is still being ended"):
            attempt.wait(lines=Lines())
        assert lab.last.order_exists == "unknown"
        assert lab.last.events["event"].astype("str").tolist() == STREAMED[:2]
    finally:
        ended.set()
    until(lambda: attempt.done, "its end")


def test_ctrl_c_at_the_start_of_an_order_lets_none_go_on(lab, simulator, ctrl_c, monkeypatch):
    """Whoever began it had no name for it yet: it was placed, and nobody knew."""
    before, begin = len(simulator.truth()), Portal.start_task_soon

    def handed_over(*args):
        task = begin(*args)
        monkeypatch.undo()
        del task
        raise KeyboardInterrupt

    monkeypatch.setattr(Portal, "start_task_soon", handed_over)
    with pytest.raises(KeyboardInterrupt):
        lab.start(ORDER)
    lab.session()
    lab.close()
    assert len(simulator.truth()) == before
    assert lab.last is None or lab.last.order_exists != "yes"


def test_cancelling_the_task_cancels_the_order(lab, until):
    async def main():
        task = asyncio.create_task(
            lab.place_async(ORDER, progress=False, headers={"x-sim-fault": "stall"})
        )
        await asyncio.to_thread(until, lambda: list(lab.journal.rglob("*.jsonl")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lab.last.outcome == "cancelled"


def test_what_is_no_order_is_refused(lab):
    with pytest.raises(TypeError, match=r"order must be a fnb.Order, got dict"):
        lab.place({})


def test_connecting_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"No app id\. Pass app_id="):
        fnb.connect("staging")
    with pytest.raises(ValueError, match="Unknown environment 'production'"):
        fnb.connect("production")
    with pytest.raises(TypeError, match="profile is a simulator option; this lab uses staging"):
        fnb.connect("staging", app_id="x", profile="calm")


def test_the_app_id_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("FIRMLY_APP_ID=from-file\n")
    monkeypatch.chdir(tmp_path)
    with fnb.connect("staging") as lab:
        assert lab._bench.app_id.get_secret_value() == "from-file"
        assert "from-file" not in repr(lab)


def test_closing_ends_simulator_and_recorder_and_may_be_repeated(gone):
    lab = fnb.connect(profile="instant")
    assert lab.place(ORDER, progress=False).outcome == "placed"
    pids = lab.simulator.pid, lab._bench.worker().pid
    lab.close()
    lab.close()
    assert all(map(gone, pids))


@pytest.mark.parametrize(
    "ask",
    [
        lambda lab: lab.start(ORDER),
        lambda lab: lab.place(ORDER),
        lambda lab: lab.start_sweep(ORDER, count=2),
        lambda lab: lab.products(),
        lambda lab: lab.session(renew=True),
        lambda lab: asyncio.run(lab.place_async(ORDER)),
        lambda lab: asyncio.run(lab.cart_async()),
    ],
)
def test_a_closed_lab_says_so_whatever_it_is_asked(connect, ask):
    lab = connect()
    lab.close()
    with pytest.raises(
        RuntimeError, match=r"This lab is closed\. Open another with fnb\.connect\(\)\."
    ):
        ask(lab)


def test_what_is_under_way_when_a_lab_is_closed_says_so_and_begins_nothing(connect):
    """It said that the server ended the connection, or that the recorder did."""
    fresh, used = connect(), connect()
    used.place(ORDER, progress=False)
    recorder = used._bench.worker()
    for lab in (fresh, used):
        follow(submit(lab._bench.aclose))  # meanwhile
        with pytest.raises(fnb.FirmlyError, match="the lab was closed meanwhile") as caught:
            lab.place(ORDER, progress=False)
        assert caught.value.code == "FNB017"
    with pytest.raises(RuntimeError, match="Nothing was sent: the lab was closed meanwhile"):
        follow(submit(recorder.ready))
    assert fresh._bench._worker is recorder.pid is None


def test_a_forgotten_lab_is_closed(until, gone):
    lab = fnb.connect(profile="instant")
    lab.place(ORDER, progress=False)
    pids = lab.simulator.pid, lab._bench.worker().pid
    del lab
    gc.collect()
    until(lambda: all(map(gone, pids)), "the end of both processes")


SCRIPT = """
    import sys, time
    import firmly_nb as fnb
    lab = fnb.connect(profile="instant")
    lab.place(fnb.Order.example(), progress=False)
    print(lab.simulator.pid, lab._bench.worker().pid, flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os; os._exit(4)", 4),
    ],
)
def test_both_processes_end_with_their_parent(until, gone, ending, status):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT) + ending],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert done.stderr == ""
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    until(lambda: all(map(gone, pids)), "the end of both processes")


NESTED = """
    import asyncio, sys
    import firmly_nb as fnb
    applied = fnb.allow_nested_loops()
    lab = fnb.connect(api_url=sys.argv[1], app_id=sys.argv[2], allow_domains=["staging.luma.gift"])
    async def inner():
        return (await lab.place_async(fnb.Order.example(), progress=False)).outcome
    async def main():
        nested = asyncio.run(inner())
        return nested, await inner(), lab.place(fnb.Order.example(), progress=False).outcome
    print(applied.startswith("nest_asyncio"), *asyncio.run(main()))
"""


def test_it_works_where_loops_were_allowed_to_nest(simulator):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NESTED), simulator.url, simulator.app_id],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.stdout == "True placed placed placed\n", done.stderr


def test_no_event_can_have_come_before_its_request_was_sent(lab):
    """The last look into an open connection may be long ago."""
    recs = fnb.Recordings(lab.place(fnb.Order.example(), progress=False) for _ in range(8))
    events = recs.events.merge(recs.orders[["recording_id", "blocked_ms"]], on="recording_id")
    since_sent_us = 1000 * (events["t_ms"] - events["blocked_ms"])
    assert (events["uncertainty_us"] <= since_sent_us + 1).all()
    assert (events["uncertainty_us"] >= 1).all()


VERBS = (
    *("place", "start", "flow", "complete_order", "conformance", "sweep", "start_sweep", "compare"),
    *("place_async", "complete_order_async", "conformance_async", "sweep_async", "compare_async"),
)


def called(verb, *args, **given):
    made = verb(*args, **given)
    made.send(None)  # of a coroutine


def test_ctrl_c_while_arguments_are_checked_leaves_no_earlier_order_as_the_last(lab, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    for verb in VERBS:
        where = ORDER.domain if verb == "flow" or verb.startswith("complete") else ORDER
        more = {"card": None} if "compare" in verb else {}
        lab.place(ORDER, progress=False)
        if lab.last_sweep is None:
            lab.sweep(ORDER, count=1, rate="600/min", progress=False)
        with monkeypatch.context() as patch:
            patch.setattr("firmly_nb.display.arguments._fits", pressed)
            with pytest.raises(KeyboardInterrupt, match=r"Nothing was sent\."):
                called(getattr(lab, verb), where, **more)
        assert lab.last is None
        assert (lab.last_sweep is None) == ("sweep" in verb or "compare" in verb)


def test_ctrl_c_in_the_guard_leaves_no_earlier_order_as_the_last(lab, monkeypatch):
    lab.place(ORDER, progress=False)

    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("firmly_nb.lab.guard", pressed)
    with pytest.raises(KeyboardInterrupt, match=r"Nothing was sent\."):
        lab.place(ORDER, progress=False)
    assert lab.last is None


def test_a_flow_under_way_is_the_last_order(lab):
    lab.place(ORDER, progress=False)
    with lab.flow(progress=False) as flow:
        assert lab.last is None
        flow.add_line_item(fnb.Item(variant_id="WS12-XS-Orange"))
        assert lab.last.events["event"].tolist() == ["add-line-item"]


def test_a_lab_that_its_callback_closes_can_still_be_closed(connect, gone, until):
    own = connect()
    rec = own.place(ORDER, progress=False, on_record=lambda _: own.close())
    assert "A lab cannot be used from its own background loop" in rec.warnings[0]
    assert not own.closed
    recorder = own._bench.worker().pid
    own.close()
    until(lambda: gone(recorder), "its recorder's end")
