"""The timeline's Python side: what it holds, what it sends, and that it can be read and set."""

from __future__ import annotations

import gc
import json
import threading
from dataclasses import replace

import nbformat
import pytest
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter

import firmly_nb as fnb
from firmly_nb.charts.look import stage_look
from firmly_nb.display.text import CLOCKS
from firmly_nb.outcomes import STAGE_LOOKS, look_of_stage
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.widgets import timeline as timeline_module
from firmly_nb.widgets import timeline_rows
from firmly_nb.widgets.frontend import BEAT, module
from firmly_nb.widgets.timeline import Timeline

HOSTILE = '<script>alert(1)</script>\u202e\U0001f9e8"&'


def start(name="r1", **changes):
    values = {
        "recording_id": name,
        "started_at_ns": 1_700_000_000_000_000_000,
        "environment": "simulator",
        "domain": "shop.example",
        "items": [{"variant_id": "v", "quantity": 1}],
        "sse": True,
        "connection": "warm",
        "timeout_s": 60.0,
    }
    return Start(**values | changes)


def event(seq, name, t_ms, **changes):
    number = {"platform_order_number": "T-1"} if name == "order-placed" else {}
    made = Event(seq, name, {"cart": {"cart_id": "c", **number}}, int(t_ms * 1e6), 0, "kernel",
                 20.0, seq, False, 5.0, 800, 40.0, 0)  # fmt: skip
    return replace(made, **changes)


def order(name="r1", outcome="placed", **changes):
    names = ("creating-cart", "item-added", "shipping-updated", "order-placed")
    events = [event(n, e, 100.0 * n) for n, e in enumerate(names, 1)]
    return [start(name), *events, End(outcome, 500_000_000, **changes)]


def rows(sent):
    """Return the rows of the events that were sent, in the order of sending."""
    return [row for message in sent if message["kind"] == "events" for row in message["events"]]


@pytest.fixture
def sent(monkeypatch):
    """Keep the custom messages that timelines send, but for their signs of life."""
    messages = []

    def keep(_, content):
        if content != BEAT:
            messages.append(content)

    monkeypatch.setattr(Timeline, "send", keep)
    return messages


def test_an_event_that_comes_alone_is_sent_at_once(sent, monkeypatch):
    monkeypatch.setattr(timeline_module, "SEND_EVERY_S", 0.0)
    timeline = Timeline()
    feed = timeline.feed
    for count, record in enumerate(order(), 1):
        feed(record)
        assert len(sent) == count
    assert [message["kind"] for message in sent] == ["order", *["events"] * 4, "order"]
    assert [row["seq"] for row in rows(sent)] == [1, 2, 3, 4]
    assert sent[2]["stages"][1]["duration_ms"] == 100.0
    assert sent[5]["order"]["end"]["word"] == "placed"


def test_events_that_follow_one_another_quickly_share_a_message(sent, monkeypatch, until):
    monkeypatch.setattr(timeline_module, "SEND_EVERY_S", 3600.0)
    feed = Timeline().feed
    first, *_, end = order()
    feed(first)
    for seq in range(1, 201):
        feed(event(seq, "tick", 5.0 * seq))
    assert [len(rows([message])) for message in sent[1:]] == [1]
    feed(end)
    assert [message["kind"] for message in sent] == ["order", "events", "events", "order"]
    assert [row["seq"] for row in rows(sent)] == list(range(1, 201))


def test_stages_are_sent_with_the_events_that_change_them(sent, monkeypatch):
    monkeypatch.setattr(timeline_module, "SEND_EVERY_S", 0.0)
    feed = Timeline().feed
    feed(start())
    for seq, name in enumerate(("creating-cart", "tick", "item-added", "tick"), 1):
        feed(event(seq, name, 100.0 * seq))
    told = [message["stages"] for message in sent[1:]]
    assert [stages is not None for stages in told] == [True, False, True, False]
    assert [stage["seq"] for stage in told[2]] == [1, 3, None, None]


def test_a_page_that_loads_later_finds_everything_in_the_state(sent, until):
    timeline = Timeline()
    feed = timeline.feed
    *before, end = order()
    for record in before:
        feed(record)
    # The last of a quick sequence is shown when the moment is over.
    until(lambda: timeline._live and len(timeline._live[0]["events"]) == 4)
    assert timeline._recent == []
    feed(end)
    assert timeline._live == []
    assert timeline._recent[0]["end"]["word"] == "placed"
    kept = [{**row, "arrived_at_ms": None} for row in rows(sent)]
    assert [{**row, "arrived_at_ms": None} for row in timeline._recent[0]["events"]] == kept


def test_the_state_is_sent_ten_times_a_second_at_most(sent, monkeypatch):
    shown = []
    monkeypatch.setattr(Timeline, "_show", lambda _: shown.append(1))
    monkeypatch.setattr(timeline_module, "SHOW_EVERY_S", 3600.0)
    feed = Timeline().feed
    first, *events, end = order()
    feed(first)
    before = len(shown)
    for _ in range(200):
        for record in events:
            feed(record)
    assert len(shown) == before
    feed(end)
    assert len(shown) == before + 1


def test_orders_under_way_at_once_are_kept_apart(sent):
    timeline = Timeline()
    one, other = timeline.feed, timeline.feed
    for record, twin in zip(order("one"), order("other", "timeout"), strict=True):
        one(record)
        other(twin)
    assert [(r.recording_id, r.outcome) for r in timeline.recordings] == [
        ("one", "placed"),
        ("other", "timeout"),
    ]
    assert [len(r.records()) for r in timeline.recordings] == [6, 6]


def test_a_recording_is_the_same_live_and_loaded():
    live, loaded = Timeline(), Timeline(Recording(order()))
    feed = live.feed
    for record in order():
        feed(record)
    assert live._recent == loaded._recent


def test_an_order_can_be_had_as_far_as_it_has_come():
    timeline = Timeline()
    feed = timeline.feed
    *before, end = order()
    for record in before[:3]:
        feed(record)
    assert timeline.recording("r1").records() == before[:3]
    for record in [*before[3:], end]:
        feed(record)
    assert timeline.recording("r1") is timeline.recordings[0]
    assert timeline.recording("r2") is timeline.recording(None) is None


def test_it_takes_one_recording_or_several():
    recs = Recordings([Recording(order("a")), Recording(order("b"))])
    assert Timeline(recs)._recent == Timeline(list(recs))._recent
    assert len(Timeline(recs[0]).recordings) == 1
    with pytest.raises(TypeError, match=r"each recording must be a fnb\.Recording, got str"):
        Timeline(["a"])


def test_adding_a_recording_again_replaces_it():
    timeline = Timeline(Recording(order()[:-2]))
    assert timeline._recent[0]["end"]["word"] == "incomplete"
    timeline.add(Recording(order()))
    assert [state["end"]["word"] for state in timeline._recent] == ["placed"]


def test_an_end_in_another_thread_than_its_start_is_fine(sent):
    timeline = Timeline()
    feed = timeline.feed
    threads = [threading.Thread(target=feed, args=(record,)) for record in order()]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(timeline.recordings) == 1


def test_an_end_that_comes_while_a_page_is_refused_something_stays(monkeypatch):
    """With the page's own change traitlets took the end back: it was under way for ever."""
    timeline = Timeline()
    feed, (*before, end) = timeline.feed, order()
    for record in before:
        feed(record)
    monkeypatch.setattr(timeline, "recording", lambda _: feed(end))  # while it is looked for
    with pytest.raises(traitlets.TraitError, match="has no order 'nope'"):
        timeline.set_state({"selected": {"recording_id": "nope"}})
    assert (timeline._live, len(timeline._recent)) == ([], 1)


def test_what_an_event_carried_goes_only_to_those_who_ask(sent):
    records = order()
    records[2] = replace(records[2], data={"cart": {"cart_id": "canary-in-the-cart"}})
    timeline = Timeline(Recording(records))
    timeline.select("r1", 2)
    assert "canary" not in json.dumps([timeline.get_state(), sent], default=str)
    timeline._answer(None, {"kind": "details", "recording_id": "r1", "seq": 2}, None)
    assert [message["kind"] for message in sent] == ["json", "cart"]
    assert json.loads(sent[0]["text"]) == {"cart": {"cart_id": "canary-in-the-cart"}}
    assert sent[1]["cart"]["sheet"]["seq"] == 2


@pytest.mark.parametrize(
    "content",
    [None, "x", {}, {"kind": "details"}, {"kind": "details", "recording_id": "r1", "seq": "x"},
     {"kind": "details", "recording_id": [], "seq": 1}, {"kind": "details", "recording_id": "r2"}],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_not_answered(sent, content):
    Timeline(Recording(order()))._answer(None, content, None)
    assert sent == []


def test_what_is_looked_at_can_be_read_set_and_observed():
    timeline = Timeline(Recordings([Recording(order("a")), Recording(order("b"))]))
    seen = []
    timeline.observe(lambda change: seen.append(change["new"]), "selected")
    timeline.select("a", 3)
    timeline.selected = {"recording_id": "b"}
    timeline.select(None)
    assert seen == [
        {"recording_id": "a", "seq": 3},
        {"recording_id": "b", "seq": None},
        None,
    ]


def test_a_wrong_choice_says_what_is_wrong():
    timeline = Timeline(Recording(order()))
    with pytest.raises(LookupError, match="The timeline has no order 'x'"):
        timeline.select("x")
    with pytest.raises(LookupError, match="'r1' has no event 9"):
        timeline.select("r1", 9)
    with pytest.raises(traitlets.TraitError, match="Unknown milestone 'paid'"):
        timeline.align = "paid"
    with pytest.raises(traitlets.TraitError, match="has no order"):
        timeline.compared = "x"
    assert (timeline.selected, timeline.align, timeline.compared) == (None, "start", None)


def test_it_aligns_on_milestones_of_any_vocabulary():
    own = [start(milestones=["paid", "sent"]), event(1, "paid", 5.0)]
    timeline = Timeline(Recording(own), align="paid")
    timeline.align = "item-added"
    assert [stage["milestone"] for stage in timeline._recent[0]["stages"]] == ["paid", "sent"]


def test_who_looks_at_the_newest_order_goes_on_to_the_next(sent):
    timeline = Timeline(Recordings([Recording(order("a")), Recording(order("b"))]))
    timeline.select("b", 2)
    timeline.feed(start("c"))
    assert timeline.selected is None
    timeline.select("a", 2)
    timeline.feed(start("d"))
    assert timeline.selected == {"recording_id": "a", "seq": 2}


def test_of_very_many_orders_the_newest_are_drawn_and_the_rest_is_counted(until):
    recs = [Recording(order(f"r{n}")) for n in range(timeline_module.MOST_ORDERS + 50)]
    timeline = Timeline(recs)
    assert len(timeline._orders) == timeline_module.MOST_ORDERS
    assert (timeline._first, timeline._left_out) == (51, 50)
    assert len(timeline.recordings) == len(recs)
    timeline.select("r7")
    until(lambda: timeline._orders[0]["recording_id"] == "r7")
    assert len(timeline._states) == timeline_module.MOST_ORDERS + 1


def test_the_state_of_all_orders_is_sent_again_only_now_and_then(sent):
    timeline = Timeline([Recording(order(f"r{n}")) for n in range(timeline_module.MOST_ORDERS)])
    changes = []
    timeline.observe(lambda change: changes.append(len(change["new"])), "_orders")
    for number in range(timeline_module.MOST_RECENT):
        feed = timeline.feed
        for record in order(f"new{number}"):
            feed(record)
    assert changes == []
    assert len(timeline._recent) == timeline_module.MOST_RECENT
    timeline.add(Recording(order("one more")))
    timeline._show()
    assert changes == [timeline_module.MOST_ORDERS]
    assert (timeline._recent, timeline._left_out) == ([], timeline_module.MOST_RECENT + 1)


def test_clearing_takes_everything_away(sent):
    timeline = Timeline(Recording(order("a")))
    feed = timeline.feed
    feed(start("b"))
    timeline.select("a", 1)
    timeline.only, timeline.brush = "placed", (1, 2)
    timeline.clear()
    feed(event(1, "creating-cart", 5.0))
    assert (len(timeline.recordings), timeline._recent, timeline._live) == (0, [], [])
    assert timeline.selected is timeline.only is timeline.brush is None
    assert timeline._first == 3


def test_a_failure_to_show_never_harms_the_order(monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("the page is gone")

    monkeypatch.setattr(Timeline, "send", broken)
    feed = Timeline().feed
    for record in order():
        feed(record)
    assert "a start record could not be shown" in caplog.text


@pytest.mark.parametrize(
    ("outcome", "error", "word", "tone", "said"),
    [
        ("placed", None, "placed", "good", "Placed"),
        ("error_event", "ErrorPaymentDeclined", "declined", "bad", "Declined by the merchant"),
        ("error_event", "ErrorNotEnoughStock", "refused", "bad", "ErrorNotEnoughStock"),
        ("http_error", "TokenExpired", "refused", "bad", "HTTP"),
        ("transport_error", "ReadError", "connection failed", "bad", "may exist"),
        ("timeout", None, "timeout", "bad", "No end within"),
        ("incomplete", None, "incomplete", "warn", "may exist"),
        ("cancelled", None, "cancelled", "quiet", "may exist"),
    ],
)
def test_how_it_ended_is_a_word_a_mark_a_colour_and_a_sentence(outcome, error, word, tone, said):
    status = 401 if outcome == "http_error" else 200
    records = order("r", outcome, error_code=error, http_status=status)
    if outcome != "placed":
        records.pop(-2)  # its success
    timeline = Timeline(Recording(records))
    end = timeline._recent[0]["end"]
    assert (end["word"], end["tone"]) == (word, tone)
    assert end["mark"]
    assert said in end["verdict"]


def test_names_of_merchants_are_bounded_and_sendable():
    records = [start(domain="d" * 999), event(1, f"{HOSTILE}\ud800" + "x" * 999, 5.0)]
    state = Timeline(Recording(records))._recent[0]
    assert len(state["domain"]) <= 301
    name = state["events"][0]["event"]
    assert name.startswith("<script>alert(1)</script>·\U0001f9e8")
    assert not set("\u202e\ud800") & set(name)
    json.dumps(state, ensure_ascii=False).encode()


def long_stream(count=1603):
    """A placed order of very many events: four milestones, the last at the end, and an error."""
    told = {1: "creating-cart", 700: "item-added", 1500: "shipping-updated", 801: "error"}
    names = [told.get(seq, "tick") for seq in range(1, count)] + ["order-placed"]
    return [start(), *[event(seq, name, seq / 2) for seq, name in enumerate(names, 1)]]


@pytest.mark.parametrize("isolated", [True, False])
def test_the_exact_bytes_are_shown_and_neither_journal_nor_state_has_them(lab, sent, isolated):
    timeline = Timeline()
    rec = lab.place(fnb.Order.example(), progress=False, on_record=timeline.feed, isolated=isolated)
    asked = {"kind": "bytes", "recording_id": rec.recording_id, "seq": 2}
    timeline._answer(None, asked, None)
    text = sent[-1]["text"]
    assert json.loads(text) == rec.events["data"][1]
    assert len(text.encode()) == rec.events["bytes"][1]
    assert rec.events["raw"].isna().all()
    assert text not in json.dumps(timeline.get_state(), default=str)
    (written,) = lab.journal.rglob(f"{rec.recording_id}.jsonl")
    assert "exact" not in written.read_text("utf-8")
    loaded = Timeline(fnb.load(written))
    loaded._answer(None, asked, None)
    assert (sent[-1]["text"], sent[-1]["note"]) == (None, timeline_module.NO_BYTES)


def test_of_a_long_stream_milestones_and_errors_are_kept_and_the_count_is_true():
    records = [*long_stream(), End("placed", 900_000_000)]
    timeline = Timeline(Recording(records))
    state = timeline._recent[0]
    assert state["event_count"] == 1603
    assert len(state["events"]) <= timeline_rows.MOST_EVENTS + 5
    assert {1, 700, 801, 1500, 1603} <= {row["seq"] for row in state["events"]}
    assert [stage["seq"] for stage in state["stages"]] == [1, 700, 1500, 1603]
    assert state["end"]["word"] == "placed"


def test_a_long_stream_is_the_same_live_and_loaded(sent, until):
    live, loaded = Timeline(), Timeline(Recording([*long_stream(), End("placed", 900_000_000)]))
    feed = live.feed
    for record in long_stream():
        feed(record)
    until(lambda: live._live[0]["event_count"] == 1603)
    running = live._live[0]
    assert len(running["events"]) <= timeline_rows.MOST_EVENTS + 5
    assert running["stages"] == loaded._recent[0]["stages"]
    assert {1, 700, 801, 1500, 1603} <= {row["seq"] for row in running["events"]}
    feed(End("placed", 900_000_000))
    assert live._recent == loaded._recent
    assert [row["seq"] for row in rows(sent)] == list(range(1, 1604))


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(
        st.sampled_from(["creating-cart", "item-added", "order-placed", "error", "x"]), max_size=12
    ),
    times=st.lists(st.integers(0, 10**9), min_size=1, max_size=12),
    together=st.sets(st.integers(2, 12)),
)
def test_live_stages_are_those_of_the_whole_recording(names, times, together):
    live, events, read_no = timeline_rows.LiveOrder(start()), [], 0
    for n, name in enumerate(names, 1):
        shares = n > 1 and n in together
        read_no += not shares
        t_ms = times[n % len(times)] / 1e6
        events.append(event(n, name, t_ms, read_no=read_no, coalesced=shares))
        live.take(events[-1])
    assert live.stages == timeline_rows.stage_list(events, None)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 30))
def test_each_moment_that_had_an_event_still_has_one(times, most):
    events = [event(n, "tick", 0, t_ns=t) for n, t in enumerate(sorted(times), 1)]
    kept = timeline_rows.thinned(events, {len(events)}, most)
    width = max(max(times) - min(times), 1)
    moments = [{(e.t_ns - min(times)) * most // width for e in some} for some in (events, kept)]
    assert moments[0] == moments[1]
    assert events[-1] in kept
    assert len(kept) <= most + 2


def test_the_event_that_is_selected_is_sent_even_if_it_was_left_out():
    timeline = Timeline(Recording([*long_stream(), End("placed", 900_000_000)]))
    left_out = next(
        n for n in range(2, 700) if n not in {r["seq"] for r in timeline._recent[0]["events"]}
    )
    timeline.select("r1", left_out)
    assert timeline._picked["event"]["seq"] == left_out
    timeline.select(None)
    assert timeline._picked is None


def test_a_page_gets_more_of_a_long_stream_when_it_asks(sent):
    timeline = Timeline(Recording([*long_stream(), End("placed", 900_000_000)]))
    asked = {"kind": "events", "recording_id": "r1"}
    timeline._answer(None, asked | {"from_ms": 0, "to_ms": 900}, None)
    timeline._answer(None, asked | {"from_ms": 100, "to_ms": 120.2}, None)
    timeline._answer(None, asked | {"from_ms": "0", "to_ms": None}, None)
    whole, part = (message["events"] for message in sent)
    assert timeline_rows.MOST_ASKED * 0.9 < len(whole) < 1603
    assert [row["seq"] for row in part] == list(range(200, 241))


def test_of_a_very_long_order_the_carts_around_an_event_are_read(sent, monkeypatch):
    totals = {3: 500, 6: 700, 9: 900}
    carts = {
        seq: {"cart": {"cart_id": "c", "total": {"currency": "USD", "number": total}}}
        for seq, total in totals.items()
    }
    events = [event(n, "tick", n, data=carts.get(n, {"n": n})) for n in range(1, 12)]
    timeline = Timeline(Recording([start(), *events]))
    asked = [{"kind": "details", "recording_id": "r1", "seq": seq} for seq in (6, 8, 2)]
    for each in asked:
        timeline._answer(None, each, None)
    whole = list(sent)
    sent.clear()
    monkeypatch.setattr(timeline_module, "MOST_READ", 5)
    timeline = Timeline(Recording([start(), *events]))
    for each in asked:
        timeline._answer(None, each, None)
    told = [
        [
            (m["cart"] and m["cart"]["sheet"]["totals"], m.get("changes"))
            for m in all_sent
            if m["kind"] == "cart"
        ]
        for all_sent in (whole, sent)
    ]
    assert told[0] == told[1]
    assert [bool(changes) for _, changes in told[0]] == [True, False, False]


def test_a_stage_with_both_ends_in_one_read_has_no_time():
    together = event(2, "item-added", 100.0, coalesced=True, read_no=1)
    rec = Recording(
        [start(), event(1, "creating-cart", 100.0), together, event(3, "x", 1), event(4, "y", 2)]
    )
    stages = Timeline(rec)._recent[0]["stages"]
    assert [stage["no_time"] for stage in stages] == ["", "gathered", "", ""]
    assert stages[1]["duration_ms"] is None
    assert stages[1]["untimed"]


def test_the_brush_and_the_chips_select_recordings():
    ends = {"a": 0.1, "b": 0.2, "c": 0.3}
    orders = [
        Recording([start(name), event(1, "order-placed", 1e3 * s), End("placed", int(s * 1e9))])
        for name, s in ends.items()
    ]
    declined = Recording(
        [start("d"), End("error_event", 200_000_000, error_code="ErrorPaymentDeclined")]
    )
    timeline = Timeline([*orders, declined])
    ids = lambda: [rec.recording_id for rec in timeline.brushed]  # noqa: E731
    assert ids() == ["a", "b", "c", "d"]
    timeline.brush = (150, 250)
    assert ids() == ["b", "d"]
    timeline.only = "placed"
    assert ids() == ["b"]
    timeline.brush, timeline.align = None, "order-placed"
    assert ids() == ["a", "b", "c"]
    timeline.brush = [1, -1]
    assert timeline.brush == [-1, 1]
    assert ids() == ["a", "b", "c"]
    assert isinstance(timeline.brushed, Recordings)
    assert timeline._recent[3]["end"]["reason"] == "PaymentDeclined"


def test_events_are_found_by_name_and_by_text_in_one_order_or_all(sent):
    records = order("a")
    records[2] = replace(records[2], data={"note": "Fragile GLASS"})
    timeline = Timeline([Recording(records), Recording(order("b"))])
    for text, recording_id in [
        ("glass", None),
        ("Item-", None),
        ("item-", "a"),
        ("", None),
        (7, None),
    ]:
        timeline._answer(None, {"kind": "find", "text": text, "recording_id": recording_id}, None)
    told = [(m["total"], [(r["recording_id"], r["event"]["seq"]) for r in m["rows"]]) for m in sent]
    assert told == [(1, [("a", 2)]), (2, [("b", 2), ("a", 2)]), (1, [("a", 2)])]


def test_an_event_is_compared_with_the_same_one_of_another_order(sent):
    one = [start("a"), event(1, "x", 1, data={"total": 5}), event(2, "x", 2, data={"total": 6})]
    other = [start("b"), event(1, "y", 1), event(2, "x", 2), event(3, "x", 3, data={"total": 9})]
    nameless = order("c")[:-2]  # ended before it had a number
    timeline = Timeline([Recording(one), Recording(other), Recording(nameless)])
    for name in ("b", "c", "nobody"):
        asked = {"kind": "differences", "recording_id": "a", "seq": 2, "other": name}
        timeline._answer(None, asked, None)
    assert [(m["other_seq"], m["rows"]) for m in sent] == [
        (3, [{"path": "total", "before": "6", "after": "9"}]),
        (None, []),
    ]
    assert sent[1]["note"] == "Order #3 has no such event."


def test_without_a_front_end_there_is_a_still_picture():
    hostile = [*order("a")[:-1], End("timeout", 1_000_000, warnings=[HOSTILE])]
    timeline = Timeline(Recordings([Recording(hostile), Recording(order("b"))]))
    timeline.select("a")
    data, _ = timeline._repr_mimebundle_()
    assert data["text/plain"] == "Timeline: 1 timeout, 1 placed"
    assert "item-added" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert "&lt;script&gt;" in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "place an order" in Timeline()._repr_mimebundle_()[0]["text/html"]


def test_an_exported_page_shows_the_still_picture():
    data, metadata = Timeline(Recording(order()))._repr_mimebundle_()
    shown = nbformat.v4.new_output("execute_result", data, metadata=metadata, execution_count=1)
    cell = nbformat.v4.new_code_cell("timeline", outputs=[shown])
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert "widget-view" not in page
    assert "creating-cart" in page


def test_a_live_order_of_the_simulator_is_drawn_as_it_was_recorded(lab, sent):
    timeline = Timeline()
    rec = lab.place(fnb.Order.example(), progress=False, on_record=timeline.feed)
    (shown,) = timeline.recordings
    assert shown.records() == rec.records()
    assert timeline._recent[0]["end"]["order_number"] == rec.order_number
    assert [row["event"] for row in rows(sent)] == rec.events["event"].tolist()


def test_a_timeline_that_is_gone_leaves_no_thread(sent, until):
    before = set(threading.enumerate())
    timeline = Timeline()
    feed = timeline.feed
    for record in order():
        feed(record)
    # Others come and go as they like: only those that began here must end.
    own = set(threading.enumerate()) - before
    del timeline, feed
    gc.collect()
    until(lambda: not any(thread.is_alive() for thread in own), "the end of the threads")


def test_a_stage_looks_the_same_live_in_static_html_and_in_charts():
    """One that spans a missing milestone had the colour of its row, and not that of its end."""
    times = {"creating-cart": 10.0, "shipping-updated": 40.0, "order-placed": 50.0}
    events = [event(seq, name, ms) for seq, (name, ms) in enumerate(times.items(), 1)]
    rec = Recording([start(), *events, End("placed", 60_000_000)])
    timeline = Timeline(rec)
    stages = {row["stage"]: row for row in timeline._recent[0]["stages"]}
    across = "creating-cart->shipping-updated"
    assert stages[across]["is_across"]
    assert not stages["order-placed"]["is_across"]
    html = timeline_module.static_html(timeline.recordings, None)
    for name in rec.stages.dropna(subset="duration_ms")["stage"]:
        look = look_of_stage(name)
        assert STAGE_LOOKS[stages[name]["look"] - 1].colour == look.colour
        assert f'height:12px;{look.css}"' in html
        assert stage_look(name, [])["color"] == look.colour


def test_the_page_names_arrival_times_as_python_does():
    said = ", ".join(f'{clock}: "{words}"' for clock, words in CLOCKS.items())
    assert f"const CLOCKS = {{ {said} }};" in module("timeline")
