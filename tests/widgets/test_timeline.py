"""The timeline's Python side: what it holds, what it sends, and that it can be read and set."""

from __future__ import annotations

import gc
import json
import threading
from dataclasses import replace

import nbformat
import pytest
import traitlets
from nbconvert import HTMLExporter

import firmly_nb as fnb
from firmly_nb.charts.look import stage_look
from firmly_nb.outcomes import STAGE_LOOKS, look_of_stage
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recordings import Recording, Recordings
from firmly_nb.widgets import timeline as timeline_module
from firmly_nb.widgets.frontend import BEAT
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
    made = Event(seq, name, {"cart": {"cart_id": "c"}}, int(t_ms * 1e6), 0, "kernel", 20.0, seq,
                 False, 5.0, 800, 40.0, 0)  # fmt: skip
    return replace(made, **changes)


def order(name="r1", outcome="placed", **changes):
    names = ("creating-cart", "item-added", "shipping-updated", "order-placed")
    events = [event(n, e, 100.0 * n) for n, e in enumerate(names, 1)]
    return [start(name), *events, End(outcome, 500_000_000, **changes)]


@pytest.fixture
def sent(monkeypatch):
    """Keep the custom messages that timelines send, but for their signs of life."""
    messages = []

    def keep(_, content):
        if content != BEAT:
            messages.append(content)

    monkeypatch.setattr(Timeline, "send", keep)
    return messages


def test_each_record_is_sent_the_moment_it_is_fed(sent):
    timeline = Timeline()
    feed = timeline.feed
    for count, record in enumerate(order(), 1):
        feed(record)
        assert len(sent) == count
    assert [message["kind"] for message in sent] == ["order", *["event"] * 4, "order"]
    assert [message["event"]["seq"] for message in sent[1:5]] == [1, 2, 3, 4]
    assert sent[2]["stages"][1]["duration_ms"] == 100.0
    assert sent[5]["order"]["end"]["word"] == "placed"


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
    assert timeline._recent[0]["events"] == [message["event"] for message in sent[1:5]]


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
    timeline.clear()
    feed(event(1, "creating-cart", 5.0))
    assert (len(timeline.recordings), timeline._recent, timeline._live) == (0, [], [])
    assert timeline.selected is None
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
    timeline = Timeline(Recording(order("r", outcome, error_code=error, http_status=status)))
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


def test_a_stream_of_thousands_of_events_stays_small():
    records = [start(), *[event(n, "tick", n) for n in range(1, 3001)]]
    state = Timeline(Recording(records))._recent[0]
    assert (len(state["events"]), state["events_left_out"]) == (500, 2500)


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
    assert [m["event"]["event"] for m in sent if m["kind"] == "event"] == rec.events[
        "event"
    ].tolist()


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
