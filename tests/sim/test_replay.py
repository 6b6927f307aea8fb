"""A replay answers with what was recorded, at its times, and says what it cannot."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

import firmly_nb as fnb
from firmly_nb.exchange.tape import OWN_HEADERS, write_tape
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.sim.tape import Warp
from tests.recorder.order_server import run

ITEM = "WS12-XS-Orange"
ORDER = fnb.Order.example()
LIMIT_S = 4.0  # of the orders that end by their limit
HERE = {"progress": False, "isolated": False}  # a recorder's own process is 0.2 s, and no matter
# What a recording does not hold: bytes outside of events, and what was larger than it keeps.
BYTES_NOT_KEPT = {"garbage"}
# How an order ended, and what was said of it.
SAME = ["outcome", "error_code", "error_description", "http_status", "order_exists", "order_number"]


def places(lab, fault="", **options):
    limit = LIMIT_S if fault and FAULTS[fault].outcome == "timeout" else 60.0
    headers = {"x-sim-fault": fault} if fault else {}
    options = {"timeout_s": limit, **options}
    return lab.place(ORDER, progress=False, headers=headers, tags={"fault": fault}, **options)


def saved(recs, folder):
    """What is on disk: addresses are masked there, as they are in a replay."""
    recs.save(folder)
    return fnb.load(folder)


def originals(lab, recorded):
    """The recording that each order of a replay was answered with, by its request id."""
    by_id = {rec.recording_id: rec for rec in recorded}
    return {entry["request_id"]: by_id[entry["recording_id"]] for entry in lab.simulator.truth()}


@pytest.fixture(scope="module")
def all_faults(simulator, tmp_path_factory):
    """One recorded order for each fault, with events and without."""
    folder = tmp_path_factory.mktemp("faults")
    with fnb.connect(
        api_url=simulator.url,
        app_id=simulator.app_id,
        allow_domains=simulator.domains,
        journal=folder / "journals",
    ) as lab:
        recs = [places(lab, fault, sse=sse) for fault in ["", *FAULTS] for sse in (True, False)]
    return saved(fnb.Recordings(recs), folder / "set")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Orders with delays, saved."""
    folder = tmp_path_factory.mktemp("study")
    with fnb.connect(profile="calm", journal=folder / "journals") as lab:
        recs = lab.sweep(ORDER, count=6, concurrency=6, progress=False)
    recs.save(folder / "set")
    return folder / "set"


@pytest.fixture
def replay(tmp_path):
    """Open labs that replay; each is closed with the test."""
    opened = []

    def connect(recordings, **options):
        opened.append(fnb.connect(replay=recordings, journal=tmp_path / "journals", **options))
        return opened[-1]

    yield connect
    for lab in opened:
        lab.close()


@pytest.fixture(scope="module")
def again(all_faults, tmp_path_factory):
    """The same orders, placed in turn at a replay of them."""
    with fnb.connect(replay=all_faults, journal=tmp_path_factory.mktemp("again")) as lab:
        recs = [
            lab.place(ORDER, progress=False, sse=was.sse, timeout_s=was.timeout_s)
            for was in all_faults
        ]
    return {
        (was.tags["fault"], was.sse): (was, rec) for was, rec in zip(all_faults, recs, strict=True)
    }


@pytest.mark.parametrize("sse", [True, False], ids=["events", "plain"])
@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_an_order_ends_as_it_did(again, fault, sse):
    was, rec = again[fault, sse]
    row, then = rec.summary(), was.summary()
    assert {name: row[name] for name in SAME} == {name: then[name] for name in SAME}
    for column in ("event", "data"):
        assert rec.events[column].tolist() == was.events[column].tolist()
    # An event above the limit is counted, not kept: to a byte more or less.
    assert rec.events["bytes"].tolist() == pytest.approx(was.events["bytes"].tolist(), abs=1)
    assert len(rec.comments_ms) == len(was.comments_ms)
    assert rec.cart == was.cart
    if fault not in BYTES_NOT_KEPT:
        assert rec.warnings == was.warnings


def test_events_carts_and_endings_of_a_study_are_equal(study, replay):
    recorded = fnb.load(study)
    lab = replay(study, speed=20)
    recs = lab.sweep(ORDER, count=6, concurrency=3, progress=False)
    assert sorted(originals(lab, recorded)) == sorted(rec.request_id for rec in recs)
    told = originals(lab, recorded)
    assert {rec.recording_id for rec in told.values()} == {rec.recording_id for rec in recorded}
    for rec in recs:
        was = told[rec.request_id]
        assert rec.events["data"].tolist() == was.events["data"].tolist()
        assert (rec.cart, rec.outcome, rec.order_number) == (
            was.cart,
            was.outcome,
            was.order_number,
        )
        assert rec.environment == "simulator"


def test_events_are_due_at_their_recorded_times_and_never_sooner(study, replay):
    (was,) = fnb.load(study)[:1]
    lab = replay(was)
    lab.place(ORDER, **HERE)
    sent = lab.simulator.truth()
    assert [entry["due_ms"] for entry in sent] == pytest.approx(was.events["t_ms"].tolist())
    assert all(entry["late_us"] >= 0 for entry in sent)


def test_speed_and_a_slow_stage_change_what_is_due(study, replay):
    (was,) = fnb.load(study)[:1]
    lab = replay(was, speed=10, slow={"shipping-updated": 1.5})
    lab.place(ORDER, **HERE)
    due = {e["event"]: e["due_ms"] for e in lab.simulator.truth()}
    t = dict(zip(was.events["event"], was.events["t_ms"], strict=True))
    later = 0.5 * (t["shipping-updated"] - t["item-added"])
    assert due["item-added"] == pytest.approx(t["item-added"] / 10)
    assert due["shipping-updated"] == pytest.approx((t["shipping-updated"] + later) / 10)
    assert due["order-placed"] == pytest.approx((t["order-placed"] + later) / 10)


def test_orders_come_in_turn_and_begin_again(study, replay):
    recorded = fnb.load(study)
    lab = replay(recorded, speed=50)
    numbers = [lab.place(ORDER, **HERE).order_number for _ in range(8)]
    assert numbers[:6] == [rec.order_number for rec in recorded]
    assert numbers[6:] == numbers[:2]


def test_a_seed_draws_the_same_orders_again(study, replay):
    def drawn(seed):
        lab = replay(study, speed=50, seed=seed)
        return [lab.place(ORDER, **HERE).order_number for _ in range(10)]

    first = drawn(7)
    assert drawn(7) == first
    assert drawn(8) != first


def test_an_order_that_was_never_recorded_says_so(study, replay):
    lab = replay(study)
    rec = lab.place(
        fnb.Order.example(items=[fnb.Item(variant_id=ITEM, quantity=2)]), progress=False
    )
    assert (rec.outcome, rec.order_exists, rec.error.error) == (
        "http_error",
        "no",
        "ErrorProductNotFound",
    )
    assert rec.error.description == (
        f"this order was never recorded: 2 x {ITEM} at staging.luma.gift; "
        f"recorded there: 1 x {ITEM}"
    )


def test_an_order_that_was_recorded_only_with_events_says_so(study, replay):
    rec = replay(study).place(ORDER, **HERE, sse=False)
    assert "recorded only with events" in rec.error.description


def test_another_merchant_is_refused_before_anything_is_sent(study, replay):
    with pytest.raises(fnb.GuardError, match=r"No order at other.test was recorded.*FNB042"):
        replay(study).place(fnb.Order.example(domain="other.test"))


def test_a_merchant_that_was_allowed_but_not_recorded_is_not_there(study, replay):
    lab = replay(study, allow_domains=["other.test"])
    rec = lab.place(fnb.Order.example(domain="other.test"), **HERE)
    assert (rec.error.error, rec.order_exists) == ("Forbidden", "no")
    assert "was recorded" in rec.error.description


def test_items_are_found_in_any_order(replay, connect):
    pair = [fnb.Item(variant_id=ITEM), fnb.Item(variant_id="MH07-XS-Gray", quantity=2)]
    was = connect().place(fnb.Order.example(items=pair), **HERE)
    rec = replay(was).place(fnb.Order.example(items=pair[::-1]), **HERE)
    assert rec.order_number == was.order_number


def test_a_replay_is_a_simulator_and_says_what_it_is(study, replay):
    lab = replay(study, speed=10, slow={"order-placed": 2}, seed=3)
    assert lab.environment.name == "simulator"
    assert repr(lab).startswith("Lab(simulator, replay of 6 recorded orders; ")
    form = fnb.OrderForm(lab)
    assert "REPLAY" in form._repr_mimebundle_()["text/html"]
    asked = f'fnb.connect(replay="{study}", speed=10, slow={{"order-placed": 2}}, seed=3)'
    assert asked in form.code()


def test_what_was_ordered_is_the_catalogue(study, replay):
    lab = replay(study)
    assert lab.products()["title"].tolist() == ["Radiant Tee"]
    (variant,) = lab.variants(ITEM).to_dict("records")
    assert (variant["variant_id"], variant["price_minor"], variant["available"]) == (
        ITEM,
        2200,
        True,
    )


def test_calls_that_were_not_recorded_are_refused(study, replay):
    lab = replay(study)
    simulator = lab.simulator
    token = urllib.request.Request(
        f"{simulator.url}/api/v1/browser-session",
        method="POST",
        headers={"x-firmly-app-id": simulator.app_id},
    )
    with urllib.request.urlopen(token) as answer:
        access = json.load(answer)["access_token"]
    call = urllib.request.Request(
        f"{simulator.url}/api/v2/domains/staging.luma.gift/cart/line-items",
        method="DELETE",
        headers={"x-firmly-authorization": access},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call)
    assert "it answers Place Order alone" in json.load(refused.value)["description"]
    refused.value.close()


def test_faults_and_profiles_of_a_simulator_are_refused(study, replay):
    lab = replay(study)
    rec = lab.place(ORDER, **HERE, headers={"x-sim-fault": "stall"})
    assert "only what was recorded" in rec.error.description
    with pytest.raises(ValueError, match="profile is not for a replay"):
        replay(study, profile="calm")


# What the merchant's cart said afterwards.


def test_a_settled_order_settles_again(connect, replay):
    lab = connect()
    lost = lab.place(ORDER, **HERE, headers={"x-sim-fault": "lost-confirmation"})
    settled = lab.settle(lost)
    again = replay(settled)
    rec = again.settle(again.place(ORDER, **HERE))
    assert (rec.order_exists, rec.order_number) == ("yes", settled.order_number)


def test_a_cart_that_nobody_asked_for_settles_nothing(connect, replay):
    lost = connect().place(ORDER, **HERE, headers={"x-sim-fault": "lost-confirmation"})
    again = replay(lost)
    rec = again.settle(again.place(ORDER, **HERE))
    assert rec.order_exists == "unknown"


# Recordings of all kinds, and those that cannot be replayed.


def start(**more):
    told = {"recording_id": "r", "started_at_ns": 1, "environment": "staging", "domain": "a.test"}
    items = [{"variant_id": ITEM, "quantity": 1}]
    known = {"items": items, "sse": True, "connection": "warm", "timeout_s": 9.0}
    return Start(**{**told, **known, **more})


def event(seq, name, data, ms, **more):
    size = len(json.dumps(data, separators=(",", ":")))
    told = {"read_no": seq, "coalesced": False, "read_delay_us": 0.0, "size": size}
    at = round(ms * 1e6)
    return Event(seq, name, data, at, None, "kernel", 1.0, **{**told, **more})


def end(outcome="placed", ms=9.0, **more):
    return End(outcome, round(ms * 1e6), http_status=200, **more)


def test_a_killed_recorder_leaves_what_it_had(replay):
    was = fnb.Recording([start(), event(1, "creating-cart", {}, 1), event(2, "x", {"a": 1}, 2)])
    assert was.cut_off
    rec = replay(was).place(ORDER_AT_A, progress=False)
    assert rec.events["event"].tolist() == ["creating-cart", "x"]
    assert rec.outcome == was.outcome == "incomplete"


ORDER_AT_A = fnb.Order.example(domain="a.test")


def test_events_of_one_read_come_with_one_read(replay):
    events = [
        event(1, "creating-cart", {}, 30),
        event(2, "item-added", {}, 60),
        event(3, "order-placed", {"order": {"platform_order_number": "7"}}, 60, coalesced=True),
    ]
    lab = replay(fnb.Recording([start(), *events, end(ms=70)]))
    rec = lab.place(ORDER_AT_A, progress=False)
    # The first two are sent apart; a busy machine may read them together nevertheless.
    first, second, third = (entry["sent_mono_ns"] for entry in lab.simulator.truth())
    assert first < second == third
    assert rec.events["coalesced"].iloc[2]


DATA = [
    *(None, "", "text", "two\nlines", "return\rline", '{"a": 1', '"quoted"', "7", " blanks "),
    *(7, 1.5, True, [], [None], {"ä": "€ 😀"}, {"big": 2**63}, {"a": [1, {"b": None}]}),
]


def test_any_data_comes_as_it_was(replay):
    cases = [(data, size) for data in DATA for size in (0, 2, 4, 40)]
    events = [
        event(n, "note", data, 20 + n, size=size) for n, (data, size) in enumerate(cases, start=1)
    ]
    placed = event(len(cases) + 1, "order-placed", {}, 21 + len(cases))
    was = fnb.Recording([start(), *events, placed, end(ms=500)])
    rec = replay(was).place(ORDER_AT_A, progress=False)
    assert rec.events["data"].tolist() == was.events["data"].tolist()
    padded = [
        n
        for n, (data, size) in enumerate(cases)
        if len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()) <= size
        and not isinstance(data, str)
    ]
    told = rec.events["bytes"].tolist()
    assert [told[n] for n in padded] == [cases[n][1] for n in padded]


def test_an_order_of_several_calls_is_left_out_and_answers_no_plain_one(lab, replay):
    with lab.flow(ORDER.domain, progress=False) as flow:
        flow.add_line_item(ORDER.items[0])
        flow.set_shipping_info(ORDER.shipping_info)
        by_calls = flow.complete_order()
    both = [lab.place(ORDER, **HERE), by_calls]
    with pytest.warns(UserWarning, match="1 recording cannot be replayed: several calls placed"):
        again = replay(both)
    assert "replay of 1 recorded order" in repr(again)
    rec = again.place(ORDER, **HERE, sse=False)
    assert (rec.outcome, rec.order_exists) == ("http_error", "no")
    assert "sse=true" in str(rec.error), "it was recorded with events alone"
    with pytest.raises(ValueError, match=r"several calls placed it.*FNB040"):
        fnb.connect(replay=by_calls)


def test_an_order_by_several_calls_is_refused_before_anything_is_sent(study, replay):
    lab, item = replay(study), ORDER.items[0]
    steps = fnb.Flow.example()
    for asked in (
        lambda: lab.flow(progress=False),
        lambda: lab.add_line_item(ORDER.domain, item),
        lambda: lab.complete_order(ORDER.domain),
        lambda: lab.place(steps),
        lambda: lab.sweep(steps, count=2, progress=False),
        lambda: lab.compare(ORDER, steps, count=8, progress=False),
    ):
        with pytest.raises(fnb.GuardError, match=r"answers Place Order alone.*Nothing.*FNB043"):
            asked()
    assert not lab.simulator.truth()


@pytest.mark.parametrize("seed", ["a", 1.5, True])
def test_a_seed_that_is_no_whole_number_is_named(seed, study):
    for more in ({}, {"replay": study}):
        with pytest.raises(ValueError, match=r"seed must be a whole number, got .*FNB016"):
            fnb.connect(seed=seed, **more)


def test_what_cannot_be_replayed_is_said(study, replay, tmp_path):
    recorded = fnb.load(study)
    not_sent = fnb.Recording([start(), End("transport_error", 5, sent=False)])
    killed = fnb.Recording([start(recording_id="k")])
    times = recorded[0].event_times[["recording_id", "event", "t_ms"]]
    told = fnb.from_events(times.assign(recording_id="told"))
    with pytest.warns(UserWarning, match="cannot be replayed") as said:
        lab = fnb.connect(replay=[recorded, not_sent, killed, told], journal=tmp_path)
    lab.close()
    reasons = " ".join(str(one.message) for one in said)
    assert all(why in reasons for why in ("nothing was sent", "was killed", "another tool"))
    with pytest.raises(ValueError, match=r"nothing to replay.*FNB040"):
        fnb.connect(replay=told)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": 0}, "speed must be above 0"),
        ({"speed": "fast"}, "speed must be above 0"),
        ({"speed": float("nan")}, "speed must be above 0"),
        ({"slow": {"shipping": 2}}, "Unknown stage 'shipping' for slow"),
        ({"slow": {"item-added": 0}}, "must be above 0"),
        ({"slow": "item-added=2"}, "slow must map stages to factors"),
    ],
)
def test_a_wrong_option_is_named(study, options, said):
    with pytest.raises(ValueError, match=f"{said}.*FNB041"):
        fnb.connect(replay=study, **options)


def test_options_of_a_replay_need_one():
    with pytest.raises(ValueError, match="FNB041"):
        fnb.connect(speed=2)
    with pytest.raises(ValueError, match="FNB002"):
        fnb.connect("staging", replay="runs/monday")
    with pytest.raises(FileNotFoundError, match="FNB401"):
        fnb.connect(replay="nowhere")
    with pytest.raises(TypeError, match=r"replay must be .*got int"):
        fnb.connect(replay=7)


# Answers that are no order's stream of events, as networks and other servers give them.


def answer(status, body, kind="application/json", *more):
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body.encode())}", *more]
    return "\r\n".join([*head, *([f"content-type: {kind}"] if kind else []), "", body])


STREAM = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
WITH_LENGTH = f"{STREAM}content-length: 99\r\n\r\n"
ODD = {
    "an order as JSON": answer("200 OK", '{"platform_order_number": "7"}'),
    "JSON without an order": answer("200 OK", '{"ok": true}'),
    "a number": answer("200 OK", "7"),
    "null": answer("200 OK", "null"),
    "half of a JSON": answer("200 OK", '{"a":'),
    "nothing": answer("200 OK", ""),
    "accepted": answer("202 Accepted", '{"status": "queued"}'),
    "no content": "HTTP/1.1 204 No Content\r\n\r\n",
    "a page to log in": answer("200 OK", "<title>Log in</title>", "text/html"),
    "a redirect": answer("301 Moved", "", "text/html", "location: https://a.test/b"),
    "an error without a type": answer("500 Oops", "it broke", ""),
    "an error in words of its own": answer("422 No", '{"error": "Ä€", "message": "über\\n😀"}'),
    "a wait": answer("429 Slow", '{"error": "RateLimitExceeded"}', "text/json", "retry-after: 7"),
    "a short body": answer("200 OK", "{" * 9).replace("length: 9", "length: 99"),
    "a short stream": f"{WITH_LENGTH}event: a\ndata: 1\n\n",
    "a comment alone": f"{STREAM}\r\n: wait\n\n",
    "an event that never ended": f"{STREAM}\r\nevent: a\ndata: 1\n\nevent: b\ndata: 2",
    "no type": "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nevent: order-placed\ndata: {}\n\n",
    "a header with other letters": f"{STREAM}server: Zürich €\r\n\r\nevent: a\ndata: 1\n\n",
    "a closed connection": "",
}


def server(text):
    async def behave(wire):
        await wire.send(text)

    return behave


@pytest.fixture(scope="module")
def odd_answers(tmp_path_factory):
    """Each odd answer to an order with events and to one without: then, and in a replay."""
    asked = [(name, sse) for name in ODD for sse in (True, False)]
    then = {}
    for name, sse in asked:
        rec = asyncio.run(run(server(ODD[name]), sse=sse, timeout_s=60.0))
        told, *rest = rec.recorded.records()
        then[name, sse] = fnb.Recording([replace(told, recording_id=f"{name} {sse}"), *rest])
    order = fnb.Order.example(domain="shop.test", items=[fnb.Item(variant_id="a")])
    folder = tmp_path_factory.mktemp("odd")
    with fnb.connect(replay=fnb.Recordings(list(then.values())), journal=folder) as lab:
        now = [lab.place(order, progress=False, sse=sse) for _, sse in asked]
    # One that was not sent would leave its place to the next, then or now.
    assert not [rec for rec in (*then.values(), *now) if rec.recorded.end.sent is False]
    return {key: (then[key], rec) for key, rec in zip(asked, now, strict=True)}


@pytest.mark.parametrize("sse", [True, False], ids=["events", "plain"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_comes_again(odd_answers, name, sse):
    was, rec = odd_answers[name, sse]
    row, then = rec.summary(), was.summary()
    assert {each: row[each] for each in SAME} == {each: then[each] for each in SAME}
    assert rec.warnings == was.warnings
    assert rec.events["data"].tolist() == was.events["data"].tolist()
    assert len(rec.comments_ms) == len(was.comments_ms)
    ends = [one.recorded.end for one in (rec, was)]
    assert ends[0].retry_after_s == ends[1].retry_after_s
    told = [{name: value for name, value in end.headers if name not in OWN_HEADERS} for end in ends]
    assert told[0] == told[1]


# Nothing that names a person, and no secret.


def test_a_tape_holds_no_person_and_no_secret(lab, tmp_path):
    rec = lab.place(ORDER, **HERE)
    assert "Ada" in json.dumps(rec.cart)
    write_tape([rec.recorded], tmp_path / "tape")
    text = (tmp_path / "tape").read_text()
    for word in ("Ada", "Sample Way", "2065550100", "ada@"):
        assert word not in text
    assert (tmp_path / "tape").stat().st_mode & 0o077 == 0


# The times of a replay.


def test_events_keep_their_order_where_times_go_back(lab, tmp_path, replay):
    """A read that the kernel did not stamp is told later than it came."""
    one = lab.place(ORDER, **HERE).recorded
    late = replace(one.events[1], t_ns=one.end.t_end_ns + 1_000_000, clock="user")
    rec = fnb.Recording([one.start, one.events[0], late, *one.events[2:], one.end])
    again = replay(rec).place(ORDER, **HERE)
    assert again.events["event"].tolist() == [event.event for event in one.events]


def test_a_stage_takes_as_many_times_as_long():
    parts = [[100, "", "a", "a"], [150, "", "note", ""], [200, "", "b", "b"], [300, "", "c", "c"]]
    warp = Warp(parts, {"b": 3.0}, speed=1)
    assert [warp(t) for t in (0, 50, 100, 150, 200, 300, 350)] == [0, 50, 100, 250, 400, 500, 550]


def test_two_milestones_of_one_read_stay_together():
    parts = [[100, "", "a", "a"], [100, "", "b", "b"], [200, "", "c", "c"]]
    warp = Warp(parts, {"a": 2.0, "b": 5.0, "c": 0.5}, speed=2)
    assert [warp(t) for t in (100, 200)] == [100, 125]


# In a terminal.


def test_a_terminal_replays_a_set(study):
    command = [sys.executable, "-m", "firmly_nb", "sim", "--replay", str(study)]
    more = ["--speed", "10", "--slow", "shipping-updated=1.3", "--seed", "7"]
    with subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        facts = json.loads(process.stdout.readline())
        with fnb.connect(
            api_url=facts["url"], app_id=facts["app_id"], allow_domains=facts["domains"]
        ) as lab:
            rec = lab.place(ORDER, progress=False)
        process.terminate()
        said = process.stderr.read()
    assert facts["recorded_orders"] == 6
    assert rec.order_number in {one.order_number for one in fnb.load(study)}
    assert said.startswith(f"replays 6 recorded orders of {study}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replay", "nowhere"], "No such path: 'nowhere'"),
        (["--speed", "3"], "speed is for a replay"),
        (["--replay", "SET", "--slow", "shipping"], "slow must be like shipping-updated=1.3"),
        (["--replay", "SET", "--slow", "shipping=2"], "Unknown stage 'shipping' for slow"),
        (["--replay", "SET", "--speed", "0"], "speed must be more than 0"),
        (["--replay=SET", "--fault", "stall"], "fault is not for a replay"),
    ],
)
def test_a_terminal_says_what_is_wrong(command, study, words, said):
    code, _, complaint = command("sim", *[re.sub("SET", str(study), word) for word in words])
    assert (code, said in complaint) == (2, True), complaint
