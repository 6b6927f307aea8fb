"""What recordings cannot say: recorded over real sockets, from disk, and as a person sees it."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest

import firmly_nb as fnb
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.records import End
from firmly_nb.recordings import figures
from firmly_nb.recordings.show import precision
from firmly_nb.widgets.timeline import ended_order
from tests.recorder import made_records
from tests.recorder.made_records import BEGIN, NAMES, SECOND
from tests.recorder.order_server import CHUNKED, STREAM, chunk, event, run
from tests.store.stored_recordings import older

ORDERED = {"order": {"cart_id": "c", "platform_order_number": "7"}}
EVENTS = [event(name, ORDERED if name == NAMES[-1] else {}) for name in NAMES]


def recorded(*pieces, head=STREAM + CHUNKED, cut=False):
    """Record an order whose server sends each piece when the one before was read."""
    counts = [piece.count(b"event: ") for piece in pieces]

    async def behave(wire):
        # The recorder waits for the first event before it comes, as it does for a merchant.
        await wire.send(head)
        for number, piece in enumerate(pieces):
            await wire.told(sum(counts[:number]))
            await asyncio.sleep(0.02)
            await wire.send(chunk(piece))
        if not cut:
            await wire.finish()

    return asyncio.run(run(behave))


def codes(recs):
    return set(recs.caveats["code"])


def text(recs, code):
    return "".join(recs.caveats.loc[recs.caveats["code"] == code, "text"])


@pytest.fixture(scope="module")
def gathered():
    """One order whose stream a proxy gathered."""
    return recorded(b"".join(EVENTS))


def test_a_gathered_stream_has_a_time_to_the_order_and_no_stage(gathered):
    assert codes(gathered) == {"coalesced", "buffered"}
    assert "No stage has a time for shop.test: all events" in text(gathered, "buffered")
    assert gathered.orders["time_to_order_placed_ms"].item() > 15
    times = fnb.Recordings([gathered]).latency().table.set_index("stage")
    assert times.loc[list(NAMES), "n"].tolist() == [0] * 4
    assert times.loc[list(NAMES), "left_out_why"].tolist() == ["1 buffered"] * 4
    assert times.loc["order", "n"] == 1


def test_a_proxy_that_the_response_names_is_told_as_a_possible_cause(gathered, tmp_path):
    head = STREAM + "Via: 1.1 squid\r\nCF-Ray: 8f2a\r\n" + CHUNKED
    named = recorded(b"".join(EVENTS), head=head)
    told = "The response names a proxy, a possible cause: via: 1.1 squid, cf-ray."
    assert text(named, "buffered").endswith(told)
    assert "proxy, a possible" not in text(gathered, "buffered")
    fnb.Recordings([named]).save(tmp_path / "set")
    assert text(fnb.load(tmp_path / "set"), "buffered").endswith(told)
    apart = recorded(*EVENTS, head=head)
    assert apart.orders["proxies"].tolist() == ["via: 1.1 squid, cf-ray"]
    assert "buffered" not in codes(apart)  # a header voids nothing


def test_no_display_of_a_gathered_stream_shows_a_stage_or_its_bound(gathered, tmp_path):
    recs = fnb.Recordings([gathered])
    drawn = ended_order(1, gathered)["stages"]
    assert [stage["duration_ms"] for stage in drawn] == [None] * 4
    assert [stage["untimed"] for stage in drawn] == ["not known: the events were gathered"] * 4
    assert precision(gathered) == "kernel timestamp, events were gathered"
    page = fnb.report(recs, tmp_path / "one.html", pictures=False).read_text("utf-8")
    for each in (repr(gathered), gathered._repr_html_(), repr(gathered.waterfall())):
        assert "0.00" not in each
        assert "1.50" not in each
    assert page.index("What cannot be said") < page.index('id="summary"')
    assert "4 times of stages are not known and left out: 4 buffered." in page
    chart = recs.charts.waterfall()
    assert {trace.name for trace in chart.data} == {"time of the stage not known"}
    assert recs.charts.stages().sentence == "No time of a stage is known."


def test_of_many_orders_one_gathered_stage_is_left_out():
    """Two events in one write; each of the others by itself."""
    rec = recorded(EVENTS[0], EVENTS[1] + EVENTS[2], EVENTS[3])
    assert codes(rec) == {"coalesced"}
    assert text(rec, "coalesced") == (
        "No time is known for shipping-updated: begin and end came in one read."
    )
    assert "too close to the event before" in repr(rec)
    assert repr(rec).count("not known") == 1
    drawn = ended_order(1, rec)["stages"]
    assert [stage["duration_ms"] is None for stage in drawn] == [False, False, True, False]


def test_events_that_came_one_by_one_have_no_caveat():
    rec = recorded(*EVENTS)
    assert codes(rec) == set()
    assert "not known" not in repr(rec)


def test_a_success_without_a_number_is_not_confirmed():
    rec = recorded(*EVENTS[:3], event(NAMES[3], {}))
    assert codes(rec) == {"unconfirmed"}
    assert "lab.settle(rec)" in text(rec, "unconfirmed")


@pytest.mark.parametrize(
    "data", ['{"cart": {"cart_id": "c', '{"data": {"cart": {"line_items": []}}}']
)
def test_a_cart_that_was_not_read_is_named_here_and_in_the_checks(data):
    rec = recorded(EVENTS[0], event(NAMES[1], data), *EVENTS[2:])
    assert codes(rec) == {"unreadable"}
    (lost,) = rec.checks.not_read.to_dict("records")
    assert text(rec, "unreadable") == (
        f"The cart of event 2 'item-added' of shop.test was not read: {lost['reason']}."
    )
    assert rec.events["unread"].tolist()[1] == lost["reason"]


def test_a_compressed_stream_is_told_with_its_encoding():
    head = STREAM + "Content-Encoding: gzip\r\n" + CHUNKED
    rec = recorded(gzip.compress(b"".join(EVENTS)), head=head)
    assert {"compressed", "buffered"} <= codes(rec)
    assert text(rec, "compressed").startswith("The response was compressed (gzip) in 1 order of ")


def test_an_event_that_did_not_end_is_told_with_its_size_and_begin():
    rec = recorded(*EVENTS[:2], b'event: shipping-updated\ndata: {"car')
    assert codes(rec) == {"unfinished"}
    assert text(rec, "unfinished").endswith(
        'It has 35 bytes, beginning: event: shipping-updated data: {"car'
    )


def made(number, *, t_ms=(100, 400, 700, 900), names=NAMES, end=(), **changes):
    """One order from records: what a socket does not do when it is asked."""
    events = [
        made_records.event(
            seq,
            name,
            ORDERED if name == NAMES[-1] else None,
            t_ns=at * 1_000_000,
            coalesced=False,
            **changes.get(name, {}),
        )
        for seq, (name, at) in enumerate(zip(names, t_ms, strict=True), start=1)
    ]
    begun = {"started_at_ns": BEGIN + number * SECOND, **changes.get("start", {})}
    return fnb.Recording(
        [made_records.start(number, **begun), *events, End("placed", 950_000_000, **dict(end))]
    )


KINDS = {
    "late-start": made(1, start={"schedule_lag_ns": 600_000_000}),
    "clock-step": made(2, end={"clock_step_us": 900.0}),
    "user-clock": made(3, **{NAMES[1]: {"clock": "user", "uncertainty_us": 70.0}}),
    "out-of-order": made(4, names=(NAMES[0], NAMES[2], NAMES[1], NAMES[3])),
}


@pytest.mark.parametrize("code", KINDS)
def test_each_kind_is_told_of_one_order(code):
    assert codes(KINDS[code]) == {code}
    assert (KINDS[code].caveats["orders"] == 1).all()


def test_no_text_or_bar_of_an_order_has_a_negative_time():
    rec = KINDS["out-of-order"]
    assert "-300" not in repr(rec) + rec._repr_html_()
    assert "not known: out of order" in repr(rec)
    assert "ended before the milestone" in rec._repr_html_()


@pytest.fixture(scope="module")
def mixed(gathered):
    """Every kind of caveat, of several merchants."""
    found = [
        moved(gathered, domain="proxy.test"),
        *KINDS.values(),
        recorded(*EVENTS[:3], event(NAMES[3], {})),
    ]
    found += [recorded(EVENTS[0], event(NAMES[1], "{"), *EVENTS[2:])]
    found += [recorded(*EVENTS[:2], b"event: order-pl"), made(9, start={"domain": "b.test"})]
    head = STREAM + "Content-Encoding: gzip\r\n" + CHUNKED
    found += [recorded(gzip.compress(b"".join(EVENTS)), head=head)]
    found = sorted(found, key=lambda rec: rec.started_at_ns)
    return fnb.Recordings(moved(rec, recording_id=f"id{n}") for n, rec in enumerate(found))


def moved(rec, **changes):
    start, *rest = rec.records()
    return fnb.Recording([replace(start, **changes), *rest])


def test_a_set_has_the_caveats_of_its_recordings(mixed, tmp_path):
    assert codes(mixed) >= {*KINDS, "buffered", "unconfirmed", "unreadable", "unfinished"}
    mixed.save(tmp_path / "set")
    loaded = fnb.load(tmp_path / "set")
    same(loaded, mixed)
    same(loaded[::2], mixed[::2])
    same(loaded[:1], mixed[:1])
    same(loaded[:0], mixed[:0])
    same(loaded[:4] + fnb.Recordings(list(mixed)[4:]), mixed)


def test_journals_have_the_caveats_of_their_recordings(mixed, tmp_path):
    for rec in mixed:
        journal = Journal(tmp_path)
        for record in rec.records():
            journal.append(record)
    same(fnb.load(tmp_path), mixed)


def same(found, expected):
    assert found.caveats.to_dict("records") == expected.caveats.to_dict("records")


@pytest.mark.parametrize("name", ["set-format-1", "first-edition"])
def test_sets_of_older_versions_have_caveats(name, monkeypatch):
    found = fnb.load(older(name))
    by_hand = fnb.Recordings(list(found))
    assert codes(by_hand) >= {"coalesced"}
    assert found.caveats.equals(by_hand.caveats)
    few = fnb.load(older(name))[::3]
    assert few.caveats.equals(fnb.Recordings(list(few)).caveats)
    # Too many events to be searched are told, and nothing else is lost.
    monkeypatch.setattr(figures, "MOST_SEARCHED", 0)
    again = fnb.load(older(name))
    assert codes(again) == codes(by_hand) - {"unreadable"}
    assert any("were not searched for carts" in warning for warning in again.warnings)


def test_plain_answers_that_were_not_read_are_told(tmp_path):
    answer = {"data": {"cart": {"line_items": []}}}
    rec = fnb.Recording(
        [made_records.start(1, sse=False), End("incomplete", SECOND, confirmation=answer)]
    )
    assert codes(rec) == {"unreadable"}
    recs = fnb.Recordings([rec])
    recs.save(tmp_path / "set")
    assert fnb.load(tmp_path / "set").caveats.equals(recs.caveats)


def test_a_simulated_proxy_that_buffers_is_told(connect):
    lab = connect()
    recs = lab.sweep(
        fnb.Order.example(), count=3, headers={"x-sim-fault": "buffered"}, progress=False
    )
    assert "buffered" in codes(recs)
    assert "No stage has a time for staging.luma.gift (3 of 3 orders)" in text(recs, "buffered")
    assert recs.latency().sentences[0].startswith("Buffered: No stage has a time")
