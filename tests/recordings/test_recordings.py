"""The tables: exact columns and types, empty ones too; built once; filters."""

from __future__ import annotations

import random
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.latency.stages import STAGES
from firmly_nb.recorder.records import End, Phases
from firmly_nb.recorder.tables import (
    EVENTS,
    ORDERS,
    confirmation_rows,
    error_of,
    event_rows,
    last_snapshot,
    order_row,
)
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings, load
from firmly_nb.report.report import report
from tests.recorder import made_records
from tests.recorder.made_records import NAMES

TABLES = {"events": EVENTS, "orders": ORDERS, "stages": STAGES}
# docs/tables.md has them in this order.
COLUMNS = {
    "events": "recording_id seq event milestone t_ms gap_ms at clock uncertainty_us coalesced "
    "read_no bytes rtt_us retransmits reordered cart_id total_minor currency unread "
    "data raw",
    "orders": "recording_id run_id started_at environment domain endpoint n_items quantity "
    "variants outcome order_exists evidence "
    "error_code error_description order_number request_id http_status last_milestone "
    "time_to_headers_ms "
    "time_to_first_event_ms time_to_order_placed_ms scheduled_time_to_order_placed_ms "
    "time_to_failure_ms order_latency_ms "
    "scheduled_order_latency_ms stream_close_lag_ms max_gap_ms time_per_item_ms wall_time_ms "
    "schedule_lag_ms blocked_ms connecting_ms tls_ms sending_ms waiting_ms total_minor currency "
    "connection host slot clock stream_left_open content_encoding proxies unfinished "
    "clock_step_us tags",
    "stages": "recording_id stage from_milestone to_milestone start_ms end_ms duration_ms "
    "uncertainty_us coalesced gathered",
}


def start(number=1, **changes):
    items = [{"variant_id": "a", "quantity": 2}, {"variant_id": "b"}]
    values = {"environment": "custom", "items": items, "timeout_s": 1.0}
    return made_records.start(number, **{**values, **changes})


def event(seq, name, data=None, **changes):
    plain = {"coalesced": False, "t_ns": seq * 10_000_000, "uncertainty_us": 5.0}
    uncounted = dict.fromkeys(("rtt_us", "retransmits", "reordered"))
    return made_records.event(seq, name, data, **{**plain, **uncounted, **changes})


def cart(total):
    return {"cart": {"cart_id": "c1", "total": total}}


def placed(number=1, **changes):
    events = [event(n, name) for n, name in enumerate(NAMES, start=1)]
    return Recording([start(number, **changes), *events, End("placed", 50_000_000)])


def failed(number=2, **changes):
    end = End("error_event", 20_000_000, error_code="ErrorPaymentDeclined", http_status=200)
    return Recording([start(number, **changes), event(1, "creating-cart"), end])


def same_types(frame, table):
    assert list(frame.columns) == table.names
    assert frame.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in table.columns}


@pytest.mark.parametrize("name", TABLES)
def test_the_columns_are_those_of_the_design(name):
    assert TABLES[name].names == COLUMNS[name].split()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "recs",
    [
        [],
        [placed()],
        [failed()],
        [placed(), failed()],
        [Recording([start()])],
        [Recording([start(), End("timeout", 5)])],
    ],
)
def test_each_table_has_its_columns_and_types_whatever_is_in_it(name, recs):
    same_types(getattr(Recordings(recs), name), TABLES[name])
    for rec in recs:
        same_types(getattr(rec, name), TABLES[name])


def test_a_table_is_built_once():
    recs = Recordings([placed(), failed()])
    for name in TABLES:
        assert getattr(recs, name) is getattr(recs, name)
        assert getattr(recs[0], name) is getattr(recs[0], name)


def test_tables_of_many_are_the_tables_of_each_under_one_another():
    parts = [placed(1), failed(2), placed(3)]
    recs = Recordings(parts)
    for name in TABLES:
        joined = pd.concat([getattr(part, name).astype(object) for part in parts])
        pd.testing.assert_frame_equal(
            getattr(recs, name).astype(object), joined.reset_index(drop=True)
        )


def test_tables_of_many_are_not_put_together_from_tables_of_each(monkeypatch):
    """A small table for each recording made a thousand of them take seconds."""
    recs = Recordings([placed(n) for n in range(200)])
    made = []
    make = pd.DataFrame.__init__
    monkeypatch.setattr(
        pd.DataFrame, "__init__", lambda *args, **how: (made.append(1), make(*args, **how))[1]
    )
    for name in TABLES:
        assert len(getattr(recs, name)) in {200, 800}
    assert 0 < len(made) < 100


def test_the_order_has_what_its_records_say():
    rec = Recording(
        [
            start(run_id="run", schedule_lag_ns=1_000_000, tags={"a": "b"}),
            event(1, "creating-cart"),
            event(2, "order-placed", {"order": {"platform_order_number": 7, "cart_id": 5}}),
            End("placed", 50_000_000, t_headers_ns=2_000_000, http_status=200),
        ]
    )
    order = rec.orders.iloc[0]
    assert (order["n_items"], order["quantity"], order["order_number"]) == (2, 3, "7")
    assert (order["order_latency_ms"], order["scheduled_order_latency_ms"]) == (50.0, 51.0)
    assert (order["time_to_headers_ms"], order["time_to_first_event_ms"]) == (2.0, 10.0)
    assert (order["time_to_order_placed_ms"], order["last_milestone"]) == (20.0, "order-placed")
    assert (order["tags"], order["run_id"]) == ({"a": "b"}, "run")
    assert order["started_at"].tz is not None
    assert rec.events["cart_id"].tolist()[1] == "5"
    assert rec.events["gap_ms"].tolist()[1] == 10.0


def test_each_column_of_an_event_is_its_own_field():
    sent = cart({"currency": "USD", "value": 4.5})
    first = event(1, "creating-cart", t_ns=1_500_000)
    then = made_records.event(
        2,
        "item-added",
        sent,
        t_ns=4_000_000,
        wall_ns=99,
        read_no=7,
        size=31,
        retransmits=3,
        reordered=2,
        raw="x",
    )
    assert [*event_rows(start(), [first, then])][1] == {
        "recording_id": "r1",
        "seq": 2,
        "event": "item-added",
        "milestone": "item-added",
        "t_ms": 4.0,
        "gap_ms": 2.5,
        "at": 99,
        "clock": "kernel",
        "uncertainty_us": 7.0,
        "coalesced": True,
        "read_no": 7,
        "bytes": 31,
        "rtt_us": 40.0,
        "retransmits": 3,
        "reordered": 2,
        "cart_id": "c1",
        "total_minor": 450,
        "currency": "USD",
        "unread": None,
        "data": sent,
        "raw": "x",
    }


def test_an_event_that_names_no_cart_and_no_milestone_has_none():
    plain, odd = event_rows(start(milestones=["mine"]), [event(1, "item-added"), event(2, "mine")])
    assert (plain["milestone"], odd["milestone"]) == (None, "mine")
    assert [plain[name] for name in ("gap_ms", "cart_id", "total_minor", "currency")] == [None] * 4
    (numbered,) = event_rows(start(), [event(1, "x", {"cart": {"cart_id": 0}})])
    assert numbered["cart_id"] == "0"


def test_each_column_of_an_order_is_its_own_field():
    phases = Phases(1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000)
    end = End(
        "error_event",
        50_000_000,
        t_headers_ns=2_000_000,
        http_status=200,
        error_code="ErrorPaymentDeclined",
        error_description="no",
        phases=phases,
        connection="warm",
        unfinished_bytes=12,
        unfinished="event: or",
        clock_step_us=7.5,
        encoding="gzip",
        headers=[["via", "1.1 squid"]],
    )
    events = [
        event(1, "creating-cart", t_ns=1_500_000),
        event(2, "item-added", {"cart": {"platform_order_number": 7, "total": total_in_yen(7)}}),
        event(3, "beat", {"x": 1}),
    ]
    beginning = start(
        started_at_ns=10_000_000,
        run_id="run",
        schedule_lag_ns=4_000_000,
        tags={"a": "b"},
        request_id="q1",
        host="paris",
        slot=3,
    )
    assert order_row(beginning, events, end) == {
        "recording_id": "r1",
        "run_id": "run",
        "started_at": 10_000_000,
        "environment": "custom",
        "domain": "a.test",
        "endpoint": "place-order",
        "n_items": 2,
        "quantity": 3,
        "variants": "2 x a + b",
        "outcome": "error_event",
        "order_exists": "yes",
        "evidence": "order number, then error event",
        "error_code": "ErrorPaymentDeclined",
        "error_description": "no",
        "order_number": "7",
        "request_id": "q1",
        "http_status": 200,
        "last_milestone": "item-added",
        "time_to_headers_ms": 2.0,
        "time_to_first_event_ms": 1.5,
        "time_to_order_placed_ms": None,
        "scheduled_time_to_order_placed_ms": None,
        "time_to_failure_ms": 50.0,
        "order_latency_ms": 50.0,
        "scheduled_order_latency_ms": 54.0,
        "stream_close_lag_ms": 20.0,
        "max_gap_ms": 18.5,
        "time_per_item_ms": None,
        "wall_time_ms": None,
        "schedule_lag_ms": 4.0,
        "blocked_ms": 1.0,
        "connecting_ms": 2.0,
        "tls_ms": 3.0,
        "sending_ms": 4.0,
        "waiting_ms": 5.0,
        "total_minor": 7,
        "currency": "JPY",
        "connection": "warm",
        "host": "paris",
        "slot": 3,
        "clock": "kernel",
        "stream_left_open": False,
        "content_encoding": "gzip",
        "proxies": "via: 1.1 squid",
        "unfinished": "12 bytes, beginning: event: or",
        "clock_step_us": 7.5,
        "tags": {"a": "b"},
    }


def total_in_yen(number):
    return {"currency": "JPY", "value": number, "number": number}


@pytest.mark.parametrize(
    ("expected_ns", "measured_ns", "started_at_ns", "lag_ms"),
    [
        (None, None, 10_000_000, None),
        (4_000_000, None, 10_000_000, 4.0),
        (4_000_000, 5_000_000, 11_000_000, 5.0),
        (4_000_000, 3_000_000, 9_000_000, 3.0),
        (4_000_000, 0, 6_000_000, 0.0),
        (None, 5_000_000, 15_000_000, 5.0),
    ],
)
def test_the_lag_that_was_measured_counts_and_moves_the_beginning(
    expected_ns, measured_ns, started_at_ns, lag_ms
):
    begin = start(started_at_ns=10_000_000, schedule_lag_ns=expected_ns)
    order = order_row(begin, [], End("placed", 20_000_000, schedule_lag_ns=measured_ns))
    assert (order["started_at"], order["schedule_lag_ms"]) == (started_at_ns, lag_ms)
    assert order["scheduled_order_latency_ms"] == (None if lag_ms is None else 20.0 + lag_ms)


def test_recordings_stand_in_one_order_in_memory_and_on_disk_whatever_their_lag_was(tmp_path):
    planned = {"a": (10_000_000, 9_000_000), "b": (12_000_000, 0), "c": (14_000_000, 0)}
    recs = Recordings(
        Recording(
            [
                start(recording_id=name, started_at_ns=at_ns, schedule_lag_ns=0),
                End("placed", 20_000_000, schedule_lag_ns=late_ns),
            ]
        )
        for name, (at_ns, late_ns) in planned.items()
    )
    in_turn = Recordings(sorted(recs, key=lambda rec: rec.started_at_ns))
    recs.save(tmp_path / "set")
    loaded = load(tmp_path / "set")
    for found in (in_turn, loaded, loaded + recs):
        assert found.orders["recording_id"].tolist() == ["b", "c", "a"]
    assert in_turn.orders["started_at"].is_monotonic_increasing


def test_an_order_without_events_says_so():
    order = order_row(start(), [], End("timeout", 20_000_000))
    nothing = ("last_milestone", "time_to_headers_ms", "time_to_first_event_ms", "order_number",
               "time_to_order_placed_ms", "total_minor", "currency", "blocked_ms")  # fmt: skip
    assert [order[name] for name in nothing] == [None] * len(nothing)


@pytest.mark.parametrize(
    ("names", "milestones", "outcome", "placed_ms"),
    [
        (NAMES, None, "placed", 40.0),
        ((*NAMES, "late"), None, "placed", 40.0),
        ((*NAMES, "order-placed"), None, "placed", 40.0),
        (("order_processing", "order_completed"), None, "placed", 20.0),
        (("begin", "order-placed", "done", "late"), ["begin", "done"], "placed", 30.0),
        (("begin", "order-placed"), ["begin", "done"], "placed", 90.0),
        ((), None, "placed", 90.0),
        (NAMES, None, "timeout", None),
        (NAMES, None, "error_event", None),
    ],
)
def test_an_order_was_placed_with_the_first_event_that_says_so(
    names, milestones, outcome, placed_ms
):
    events = [event(n, name) for n, name in enumerate(names, start=1)]
    order = order_row(start(milestones=milestones), events, End(outcome, 90_000_000))
    assert order["time_to_order_placed_ms"] == placed_ms


def test_the_cart_of_an_order_is_the_last_one_and_the_plain_answer_comes_first():
    first, last = cart(total_in_yen(1)), cart(total_in_yen(2))
    events = [event(1, "a", first), event(2, "b", last), event(3, "c", {"x": 1}), event(4, "d")]

    def seen(events, **fields):
        snapshot = last_snapshot(start(), events, End("placed", 1, **fields))
        return snapshot and snapshot.data

    assert seen(events) == last["cart"]
    assert seen(events, confirmation={"order": {"cart_id": "p"}}) == {"cart_id": "p"}
    assert seen([]) is None


def test_the_plain_answer_is_a_row_of_its_own():
    for answer in ({"order": {"cart_id": "p"}}, {"cart": {"cart_id": "p"}}):
        assert confirmation_rows(start(), End("placed", 1, confirmation=answer)) == [
            {
                "recording_id": "r1",
                "seq": 0,
                "event": "confirmation",
                "coalesced": False,
                "bytes": 0,
                "unread": None,
                "data": answer,
            }
        ]
    for answer in (None, {}, {"id": 1}, [1], "x"):
        assert confirmation_rows(start(), End("placed", 1, confirmation=answer)) == []


def test_the_error_of_an_order_has_the_status_only_where_the_answer_was_the_error():
    def error(outcome, **fields):
        return error_of(End(outcome, 1, http_status=422, **fields))

    assert error("placed") is None
    for outcome, status in (("http_error", 422), ("error_event", None), ("timeout", None)):
        found = error(outcome, error_code="ErrorNotEnoughStock", error_description="only 2")
        assert type(found).__name__ == "NotEnoughStock"
        assert (found.description, found.http_status) == ("only 2", status)
    assert error("http_error", error_code="x").description == ""


def test_the_largest_total_that_a_column_holds_is_kept():
    def total(number):
        money = {"currency": "USD", "number": number}
        (row,) = event_rows(start(), [event(1, "x", {"cart": {"total": money}})])
        return row["total_minor"], row["currency"]

    for number in (2**63 - 1, -(2**63 - 1)):
        assert total(number) == (number, "USD")
        assert total(number + (2 if number > 0 else -2)) == (None, None)


@pytest.mark.parametrize(
    "total",
    [
        None,
        "46.99",
        {"currency": "USD", "value": "much"},
        {"currency": "USD", "value": 1e300},
        {"currency": "USD", "value": 1, "number": 10**30},
        {"currency": "USD", "value": float("nan")},
        {"currency": "USD", "value": float("inf")},
    ],
)
def test_an_odd_total_stops_no_table(total):
    """A total beyond 64 bits, which any merchant can send, made every table of the order fail."""
    rec = Recording([start(), event(1, "item-added", cart(total)), End("timeout", 1)])
    assert rec.orders[["total_minor", "currency"]].isna().all(axis=None)
    same_types(rec.events, EVENTS)
    same_types(rec.orders, ORDERS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cart", "order", "cart_id", "total", "value", "currency", "number"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.sampled_from([*list(NAMES), "error", "x"]), json_values), max_size=5))
def test_whatever_a_merchant_sends_the_tables_stand(sent):
    events = [event(n, name, data) for n, (name, data) in enumerate(sent, start=1)]
    rec = Recording([start(), *events])
    for name, table in TABLES.items():
        same_types(getattr(rec, name), table)
    assert isinstance(repr(rec), str)
    assert "<script" not in rec._repr_html_()


def test_a_failed_order_shows_how_long_its_next_stage_was_waited_for():
    events = [event(1, "creating-cart"), event(2, "item-added")]
    rec = Recording([start(), *events, End("timeout", 10 * events[-1].t_ns)])
    text = repr(rec.waterfall()).splitlines()
    (waited,) = [line for line in text if "·" in line]
    assert waited.split()[0] == "shipping-updated"
    assert waited.count("·") > 3 * sum(line.count("▇") for line in text)
    assert "dashed" in rec._repr_html_()
    assert "✕ No end</span>" in rec._repr_html_()
    assert "dashed" not in placed(1)._repr_html_()


def test_html_escapes_what_a_merchant_sends():
    rec = Recording(
        [
            start(domain="a.test", environment="custom"),
            event(1, "<script>alert(1)</script>"),
            End("error_event", 1, error_code="<b>", error_description="<img src=x>"),
        ]
    )
    shown = rec._repr_html_() + Recordings([rec])._repr_html_() + rec.waterfall()._repr_html_()
    assert "<script" not in shown
    assert "<b>Error" not in shown
    assert "<img" not in shown


def test_filters_take_values_lists_masks_and_slices():
    recs = Recordings([placed(1), failed(2), placed(3, domain="b.test")])
    ids = lambda found: [rec.recording_id for rec in found]  # noqa: E731
    assert ids(recs.where(outcome="placed")) == ["r1", "r3"]
    assert ids(recs.where(outcome="placed", domain=["b.test", "c.test"])) == ["r3"]
    assert ids(recs.where()) == ["r1", "r2", "r3"]
    assert ids(recs[recs.orders["outcome"] == "error_event"]) == ["r2"]
    assert ids(recs[1:]) == ["r2", "r3"]
    assert recs[-1].recording_id == "r3"
    assert ids(recs[:1] + recs) == ["r1", "r2", "r3"]
    with pytest.raises(KeyError, match=r"^Unknown column 'colour' for orders"):
        recs.where(colour="red")
    with pytest.raises(IndexError, match="The mask must have 3 values, one a recording; got 1"):
        recs[[True]]
    assert recs[np.int64(2)].recording_id == "r3"
    assert ids(recs[np.array([True, False, True])]) == ["r1", "r3"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("r1", "What is in brackets must be a number, a slice or a mask, got str."),
        (1.5, "What is in brackets must be a number, a slice or a mask, got float."),
        (None, "What is in brackets must be a number, a slice or a mask, got NoneType."),
        ([0, 2], "Each value of a mask must be True or False, got int."),
        ([0, 1, 2], "Each value of a mask must be True or False, got int."),
        (["r1", "r2", "r3"], "Each value of a mask must be True or False, got str."),
    ],
)
def test_brackets_refuse_what_is_no_place(key, said):
    recs = Recordings([placed(1), failed(2), placed(3)])
    with pytest.raises(TypeError, match=re.escape(said)):
        recs[key]


@pytest.mark.parametrize("given", ["nowhere", 7, None])
def test_a_chart_of_a_comparison_takes_what_a_comparison_takes(given):
    recs = Recordings([placed(1), failed(2)])
    for compare in (recs.compare, recs.charts.compare):
        with pytest.raises((TypeError, FileNotFoundError), match=r"\[FNB(102|401)\]"):
            compare(given)


def test_only_a_path_is_loaded():
    with pytest.raises(TypeError, match="path must be a path, got int"):
        load(3)


def test_a_recording_begins_with_a_start():
    with pytest.raises(TypeError, match="begins with a start"):
        Recording([End("placed", 1)])


@given(st.permutations(range(6)))
def test_adding_keeps_each_recording_once(order):
    recs = [placed(n) for n in order]
    cut = random.Random(0).randrange(7)
    both = Recordings(recs[:cut]) + Recordings(recs)
    assert sorted(rec.recording_id for rec in both) == [f"r{n}" for n in range(6)]


def test_a_recording_that_is_given_twice_counts_once_and_can_be_reported(tmp_path):
    one, other = placed(1), placed(0)
    assert [rec.recording_id for rec in Recordings([one, other, one])] == ["r1", "r0"]
    assert report([one, one], tmp_path / "twice.html", pictures=False).exists()


def within(*events, outcome="placed", **changes):
    row = order_row(start(), list(events), End(outcome, 100_000_000, **changes))
    names = ("stream_close_lag_ms", "max_gap_ms", "time_per_item_ms")
    return tuple(row[name] for name in names)


def test_what_happens_between_events_is_measured_where_it_can_be():
    first, second, last = event(1, "item-added"), event(2, "item-added"), event(5, "order-placed")
    assert within(first, second, last) == (50.0, 30.0, 10.0)
    assert within(first, second, last, stream_left_open=True) == (None, 30.0, 10.0)
    assert within(first, second, outcome="timeout") == (None, 10.0, 10.0)
    assert within(first, second, outcome="incomplete") == (80.0, 10.0, 10.0)
    assert within(first, last) == (50.0, 40.0, None)
    assert within(first) == (90.0, None, None)
    assert within() == (None, None, None)


def test_events_of_one_read_have_no_gap():
    first, last = event(1, "item-added"), event(5, "order-placed")
    together = event(2, "item-added", coalesced=True)
    assert within(first, together) == (80.0, None, None)
    assert within(first, together, last) == (50.0, 30.0, None)
