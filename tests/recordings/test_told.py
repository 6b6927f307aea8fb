"""Recordings of anyone's times have the figures of recordings of our own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import firmly_nb as fnb
from firmly_nb.display.messages import code_of
from firmly_nb.outcomes import KNOWN
from firmly_nb.recorder.records import End
from tests.recorder.made_records import BEGIN, NAMES, SECOND, event, start

TABLES = ("orders", "events", "event_times", "stages", "snapshots", "line_items", "changes")
CHARTS = [name for name in vars(type(fnb.Recordings([]).charts)) if not name.startswith("_")]


def events_of(**orders):
    """Events with the milestones of Place Order; ``a=[1, 2]`` is order a with its first two."""
    rows = [(i, n, t) for i, times in orders.items() for n, t in zip(NAMES, times, strict=False)]
    return pd.DataFrame(rows, columns=["recording_id", "event", "t_ms"])


def study(n=200, seed=1, *, failed=0.1, name="o", **columns):
    """A made-up study of another tool: its events, and its orders with further columns."""
    rng = np.random.default_rng(seed)
    ids = [f"{name}{i}" for i in range(n)]
    times = np.cumsum(rng.lognormal(5, 0.3, (n, 4)), axis=1)
    ends = rng.random(n) < failed
    table = events_of(
        **{i: row[: 3 if lost else 4] for i, row, lost in zip(ids, times, ends, strict=True)}
    )
    orders = pd.DataFrame({"recording_id": ids, "outcome": np.where(ends, "timeout", "placed")})
    return table, orders.assign(**columns)


@st.composite
def recordings(draw):
    """Recordings of our own, of every end, with streams that miss, repeat and swap milestones."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        names = draw(st.lists(st.sampled_from([*NAMES, "error", "other"]), max_size=6))
        steps = draw(st.lists(st.integers(0, 10**10), min_size=len(names), max_size=len(names)))
        at = np.cumsum([0, *steps]).tolist()
        events = [
            event(seq, name, t_ns=at[seq], wall_ns=BEGIN + at[seq], coalesced=draw(st.booleans()))
            for seq, name in enumerate(names, 1)
        ]
        outcome = "placed" if NAMES[-1] in names else draw(st.sampled_from(KNOWN))
        lag_ns = draw(st.none() | st.integers(-(10**6), 10**9))
        begun = start(
            number,
            run_id=draw(st.sampled_from([None, "r1", "r2"])),
            domain=draw(st.sampled_from(["a.test", "b.test"])),
            started_at_ns=BEGIN + number * SECOND,
            schedule_lag_ns=lag_ns,
            tags=draw(st.sampled_from([{}, {"day": "monday"}])),
        )
        end = End(
            outcome,
            at[-1] + draw(st.integers(0, 10**9)),
            t_headers_ns=draw(st.none() | st.integers(0, 10**9)),
            stream_left_open=draw(st.booleans()),
            schedule_lag_ns=lag_ns,
        )
        found.append(fnb.Recording([begun, *events, end]))
    return fnb.Recordings(found)


@settings(max_examples=30, deadline=None)
@given(recordings())
def test_tables_of_our_own_give_the_same_figures(ours):
    told = fnb.from_events(ours.events, ours.orders)
    assert_frame_equal(told.stages, ours.stages)
    assert_frame_equal(told.outcomes(), ours.outcomes())
    assert_frame_equal(told.funnel(), ours.funnel())
    assert_frame_equal(told.latency().table, ours.latency().table)
    assert told.latency().sentences == ours.latency().sentences


@settings(max_examples=30, deadline=None)
@given(recordings())
def test_a_recording_has_the_rows_of_the_table(ours):
    told = fnb.from_events(ours.events, ours.orders)
    one_by_one = fnb.Recordings(list(told))
    for name in TABLES:
        assert_frame_equal(getattr(told, name), getattr(one_by_one, name), check_categorical=False)


@pytest.mark.parametrize("columns", [{}, {"started_at": pd.Timestamp("2026-01-05", tz="UTC")}])
def test_a_saved_set_loads_as_it_was(tmp_path, columns):
    told = fnb.from_events(*study(30, domain="a.test", run_id=7, n_items=2, **columns))
    assert told.save(tmp_path / "set").added == 30
    assert told.save(tmp_path / "set").there_before == 30
    loaded = fnb.load(tmp_path / "set")
    assert loaded.warnings == []
    for name in ("orders", "events", "stages"):
        assert_frame_equal(getattr(loaded, name), getattr(told, name), check_categorical=False)
    assert repr(loaded.latency()) == repr(told.latency())
    assert repr(loaded[3]) == repr(told[3])
    assert len(told + loaded) == 30


@pytest.mark.parametrize("columns", [{}, {"started_at": pd.Timestamp("2026-01-05", tz="UTC")}])
def test_every_verb_serves(tmp_path, columns):
    told = fnb.from_events(*study(120, run_id=["r"] * 120, domain="a.test", **columns))
    for recs in (told, told[:3], told[:0], told.where(outcome="timeout"), told[[True, False] * 60]):
        for verb in (
            "latency",
            "outcomes",
            "funnel",
            "completion",
            "throughput",
            "drift",
            "explain",
        ):
            assert repr(getattr(recs, verb)())
        assert repr(recs.slo(900, 0.95))
        for name in CHARTS:
            chart = getattr(recs.charts, name)
            assert repr(chart(told) if name == "compare" else chart())
        assert recs._repr_html_()
        assert repr(fnb.Timeline(recs))
        for table in ("events", "orders", "stages"):
            found = recs.relation(table)
            assert found.columns == list(getattr(recs, table).columns)
            assert len(found.df()) == len(getattr(recs, table))
    assert repr(told.compare(told[:60]))
    assert fnb.report(told, tmp_path / "told.html", pictures=False).exists()


def test_sets_of_several_kinds_are_one(tmp_path):
    a, b = (fnb.from_events(*study(20, name=name)) for name in "ab")
    a.save(tmp_path / "a")
    ours = fnb.Recordings([fnb.Recording([start(), event(1, NAMES[0]), End("timeout", 10**8)])])
    whole = b[:5] + ours + fnb.load(tmp_path / "a") + b
    ids = whole.orders["recording_id"].tolist()
    assert ids == [*(f"b{i}" for i in range(5)), "r1", *(f"a{i}" for i in range(20)),
                   *(f"b{i}" for i in range(5, 20))]  # fmt: skip
    assert whole.events["recording_id"].drop_duplicates().tolist() == ids
    assert whole.latency().outcomes["count"].sum() == 41


def test_two_tables_that_name_different_orders_alike_are_not_added():
    a, b = (fnb.from_events(*study(5, seed)) for seed in (1, 2))
    with pytest.raises(ValueError, match="an order 'o0', from different tables") as caught:
        a + b
    assert code_of(caught.value) == "FNB332"
    assert len(a + a[:2]) == 5


def test_no_cart_was_given_and_that_is_said():
    told = fnb.from_events(*study(12))
    for recs in (told, told[0]):
        assert recs.checks.headline() == (
            "no cart to check: another tool told the times, and no cart was given"
        )
        for name in ("snapshots", "line_items", "shipments", "notices", "discounts", "changes"):
            table = getattr(recs, name)
            assert table.empty
            assert list(table.columns) == list(getattr(fnb.Recordings([]), name).columns)
    with pytest.raises(LookupError, match="no cart was given"):
        told[0].show_cart()
    assert set(told.orders["environment"]) == {"external"}
    assert repr(told[0]).startswith("✓ Placed in ")
    assert "No cart was given" in repr(told[0])
    assert "may exist" not in repr(told)


def test_without_starts_nothing_is_said_of_time():
    told = fnb.from_events(*study(200))
    assert told.orders["started_at"].isna().all()
    assert told[0].started_at_ns is None
    assert np.isnan(told.throughput())
    assert "start not known" in repr(told.latency())
    for chart in (told.charts.over_time(), told.charts.heatmap()):
        assert "No order has a known start." in repr(chart)


def test_orders_without_a_start_are_left_out_of_what_needs_one():
    begins = [pd.Timestamp("2026-01-05", tz="UTC")] * 100 + [pd.NaT] * 100
    told = fnb.from_events(*study(200, started_at=begins))
    assert "not drawn: 100 orders" in repr(told.charts.over_time())


def test_a_slow_stretch_is_told_with_its_time_only_where_starts_are_known():
    table, orders = study(400, failed=0)
    slow = table["recording_id"].isin(orders["recording_id"][100:140])
    table["t_ms"] *= np.where(slow, 2.7, 1.0)
    begins = pd.date_range("2026-01-05", periods=400, freq="1s", tz="UTC").to_series(
        index=orders.index
    )
    for known, said in ((begins, True), (begins.where(orders.index % 2 == 0), True), (None, False)):
        columns = {} if known is None else {"started_at": known}
        sentences = fnb.from_events(table, orders.assign(**columns)).latency().sentences
        assert any("Bad tenth" in text for text in sentences) == said


def test_the_last_milestone_decides_where_no_outcome_is_given():
    table = events_of(a=[1, 2, 3, 4], b=[1, 2])
    orders = fnb.from_events(table).orders
    assert orders["outcome"].tolist() == ["placed", "incomplete"]
    assert orders["time_to_order_placed_ms"].tolist()[0] == 4
    own = fnb.from_events(table, milestones=["creating-cart", "item-added"])
    assert own.orders["outcome"].tolist() == ["placed", "placed"]
    assert own.stages["stage"].tolist() == ["creating-cart", "item-added"] * 2


def test_orders_may_have_no_events():
    orders = pd.DataFrame({"recording_id": ["a", "b"], "time_to_order_placed_ms": [50.0, None]})
    told = fnb.from_events(events_of(), orders)
    assert told.orders["outcome"].tolist() == ["placed", "incomplete"]
    assert told.stages["end_ms"].isna().all()
    assert len(fnb.from_events(events_of())) == 0


def test_events_of_several_orders_may_be_mixed():
    apart = events_of(a=[1, 2, 3, 4], b=[1, 2, 3, 4])
    mixed = apart.sort_values("t_ms", kind="stable", ignore_index=True)
    assert_frame_equal(fnb.from_events(mixed).events, fnb.from_events(apart).events)


@pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]", "large_string[pyarrow]"])
def test_columns_of_any_kind_of_pandas_serve(kind):
    table, orders = study(20, domain="a.test")
    plain = fnb.from_events(table, orders)
    table = table.astype({"recording_id": kind, "event": kind, "t_ms": "Float64"})
    orders = orders.astype(dict.fromkeys(["recording_id", "outcome", "domain"], kind))
    odd = fnb.from_events(table, orders)
    for name in TABLES:
        assert_frame_equal(getattr(odd, name), getattr(plain, name))
    arrow = fnb.from_events(*(f.convert_dtypes(dtype_backend="pyarrow") for f in study(20)))
    assert repr(arrow.latency()) == repr(fnb.from_events(*study(20)).latency())


def test_ids_may_be_whole_numbers():
    table, orders = study(3)
    numbered = table.assign(recording_id=table["recording_id"].str[1:].astype(int))
    told = fnb.from_events(numbered, orders.assign(recording_id=range(3)))
    assert told.orders["recording_id"].tolist() == ["0", "1", "2"]


def test_columns_that_are_not_used_are_named():
    table, orders = study(3, region="eu", OUTCOME="x")
    told = fnb.from_events(table.assign(note=1), orders)
    assert told.warnings == [
        "events: 1 column not used: 'note'",
        "orders: 2 columns not used: 'region', 'OUTCOME'",
    ]


def test_times_in_other_zones_are_the_same_moments():
    here = pd.Timestamp("2026-01-05 10:00", tz="Europe/Berlin")
    told = fnb.from_events(*study(2, started_at=here))
    assert told.orders["started_at"][0] == pd.Timestamp("2026-01-05 09:00", tz="UTC")


TABLE = events_of(a=[1, 2, 3, 4], b=[1, 2])
ORDERS = pd.DataFrame({"recording_id": ["a", "b"]})


class Polars:
    """A table of another library."""

    def to_pandas(self):
        return TABLE


WRONG = {
    "another library": (Polars(), None, "FNB102", r"got Polars. Try events.to_pandas\(\)"),
    "a path to nowhere": ("times.csv", None, "FNB401", "Pass a file of CSV or JSON lines"),
    "rows": ([{}], None, "FNB102", r"Try pd.DataFrame\(events\)"),
    "orders of another kind": (TABLE, {}, "FNB102", "a pandas DataFrame or a path, got dict"),
    "a column missing": (TABLE.drop(columns="t_ms"), None, "FNB330", "events has no column t_ms"),
    "a column named otherwise": (
        TABLE.rename(columns={"t_ms": "T_ms"}),
        None,
        "FNB330",
        "Did you mean T_ms",
    ),
    "the id as index": (TABLE.set_index("recording_id"), None, "FNB330", r"events.reset_index\(\)"),
    "orders without ids": (
        TABLE,
        ORDERS.rename(columns=str.upper),
        "FNB330",
        "orders has no column",
    ),
    "a column twice": (
        pd.concat([TABLE, TABLE["t_ms"]], axis=1),
        None,
        "FNB331",
        "events.t_ms is there twice",
    ),
    "times as text": (TABLE.astype({"t_ms": str}), None, "FNB331", r"pd.to_numeric\(events.t_ms"),
    "times as flags": (TABLE.assign(t_ms=True), None, "FNB331", "must be numbers of ms, got bool"),
    "complex times": (TABLE.assign(t_ms=1j), None, "FNB331", "must be numbers of ms, got complex"),
    "durations": (
        TABLE.assign(t_ms=pd.Timedelta(1)),
        None,
        "FNB331",
        r"dt.total_seconds\(\) \* 1000",
    ),
    "moments": (
        TABLE.assign(t_ms=pd.Timestamp(0)),
        None,
        "FNB331",
        "Subtract the time of the requ",
    ),
    "a negative time": (TABLE.assign(t_ms=[1, 2, 3, 4, -1, 2]), None, "FNB331", "is -1 in row 4"),
    "a time missing": (TABLE.assign(t_ms=[1, 2, None, 4, 1, 2]), None, "FNB331", "null in row 2"),
    "an endless time": (TABLE.assign(t_ms=[1, 2, 3, np.inf, 1, 2]), None, "FNB331", "inf in row 3"),
    "nanoseconds for ms": (TABLE.assign(t_ms=1e18), None, "FNB331", "is 1e.18 in row 0"),
    "times that go back": (
        TABLE.assign(t_ms=[1, 2, 9, 4, 1, 2]),
        None,
        "FNB331",
        "goes back in order 'a': order-placed at 4 ms comes after shipping-updated at 9 ms",
    ),
    "an uncertainty below zero": (
        TABLE.assign(uncertainty_us=-1),
        None,
        "FNB331",
        "uncertainty_us is",
    ),
    "an uncertainty missing": (
        TABLE.assign(uncertainty_us=np.nan),
        None,
        "FNB331",
        "is null in row 0",
    ),
    "coalesced as text": (
        TABLE.assign(coalesced="no"),
        None,
        "FNB331",
        "true or false in each row, got .*. Use events.coalesced == 'true'",
    ),
    "coalesced as numbers": (
        TABLE.assign(coalesced=[0, 1, 2, 0, 1, 2]),
        None,
        "FNB331",
        "Use events.coalesced == 1",
    ),
    "starts in seconds": (
        TABLE,
        ORDERS.assign(started_at=1_764_406_800),
        "FNB331",
        r'pd.to_datetime\(orders.started_at, unit="s", utc=True\)',
    ),
    "starts in milliseconds": (
        TABLE,
        ORDERS.assign(started_at=1_764_406_800_123.5),
        "FNB331",
        r'unit="ms", utc=True\)',
    ),
    "starts in nanoseconds": (
        TABLE,
        ORDERS.assign(started_at=1_764_406_800_123_456_789),
        "FNB331",
        r'unit="ns", utc=True\)',
    ),
    "coalesced missing": (TABLE.assign(coalesced=None), None, "FNB331", "must be true or false"),
    "an event without name": (
        TABLE.assign(event=[None] * 6),
        None,
        "FNB331",
        "events.event is null",
    ),
    "an empty name": (TABLE.assign(event=""), None, "FNB331", "got an empty text in row 0"),
    "a name that is a number": (
        TABLE.assign(event=7),
        None,
        "FNB331",
        r"must be text, got 7 \(int",
    ),
    "names in lists": (
        TABLE.assign(event=[["a"]] * 6),
        None,
        "FNB331",
        "got lists or other objects",
    ),
    "a name that is not Unicode": (
        TABLE.assign(event=pd.Series(["\ud800"] * 6, dtype=object)),
        None,
        "FNB331",
        "is not Unicode",
    ),
    "ids of several kinds": (
        TABLE.assign(recording_id=["a", "a", 1, 1, "b", "b"]),
        None,
        "FNB331",
        r"got 1 \(int\)",
    ),
    "ids as decimals": (TABLE.assign(recording_id=1.5), None, "FNB331", "or whole numbers only"),
    "ids of two kinds": (
        TABLE.assign(recording_id=1),
        pd.DataFrame({"recording_id": ["1"]}),
        "FNB332",
        "whole numbers in events and text in orders",
    ),
    "an order twice": (
        TABLE,
        pd.DataFrame({"recording_id": ["a", "b", "a"]}),
        "FNB332",
        "'a' twice, again in row 2",
    ),
    "events of another order": (
        TABLE,
        ORDERS[:1],
        "FNB332",
        "1 order in events is not in orders: 'b'",
    ),
    "an outcome of its own": (
        TABLE,
        ORDERS.assign(outcome="plcaed"),
        "FNB331",
        "Did you mean placed",
    ),
    "placed at no time": (
        TABLE,
        ORDERS.assign(outcome="placed"),
        "FNB332",
        "'b' in row 1 of orders .* without a time",
    ),
    "not placed at a time": (
        TABLE,
        ORDERS.assign(outcome=["placed", "timeout"], time_to_order_placed_ms=[4, 5]),
        "FNB332",
        "'b' .* is not placed and has a time",
    ),
    "two times": (
        TABLE,
        ORDERS.assign(time_to_order_placed_ms=[9.0, None]),
        "FNB332",
        "its last milestone came at 4 ms, time_to_order_placed_ms is 9 ms",
    ),
    "starts without zone": (
        TABLE,
        ORDERS.assign(started_at=pd.Timestamp("2026-01-05")),
        "FNB331",
        r'tz_localize\("UTC"\)',
    ),
    "starts as text": (TABLE, ORDERS.assign(started_at="2026-01-05"), "FNB331", "utc=True"),
    "starts as numbers": (
        TABLE,
        ORDERS.assign(started_at=1.0),
        "FNB331",
        "must be times, got float64",
    ),
    "starts too early": (
        TABLE,
        ORDERS.assign(started_at=pd.Series(["1500-01-01"] * 2).astype("datetime64[s, UTC]")),
        "FNB331",
        "outside 1678 to 2261",
    ),
    "half an item": (
        TABLE,
        ORDERS.assign(n_items=1.5),
        "FNB331",
        "n_items is 1.5 in row 0 of orders",
    ),
    "a time below zero": (
        TABLE,
        ORDERS.assign(order_latency_ms=-5),
        "FNB331",
        "order_latency_ms is -5",
    ),
    "tags as text": (TABLE, ORDERS.assign(tags="x"), "FNB331", "must be a dict of texts, got 'x'"),
    "tags of numbers": (
        TABLE,
        ORDERS.assign(tags=[{"a": 1}] * 2),
        "FNB331",
        "must be a dict of texts",
    ),
    "a merchant that is a number": (
        TABLE,
        ORDERS.assign(domain=1),
        "FNB331",
        "orders.domain must be",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_table_column_and_row(case):
    events, orders, code, said = WRONG[case]
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=said) as caught:
        fnb.from_events(events, orders)
    assert code_of(caught.value) == code


@pytest.mark.parametrize("milestones", ["order-placed", [], [""], [1], 5, ["a", "b", "a"]])
def test_milestones_are_names_in_order(milestones):
    with pytest.raises(ValueError, match="milestones ") as caught:
        fnb.from_events(TABLE, milestones=milestones)
    assert code_of(caught.value) == "FNB331"


def test_milestones_that_no_order_has_are_told():
    told = fnb.from_events(TABLE, milestones=["cart", "bought"])
    assert told.warnings == ["events: none is 'bought', the last milestone; pass milestones=[...]"]
    told = fnb.from_events(TABLE.assign(event="done"))
    assert told.warnings == ["events: none is a known name of success; pass milestones=[...]"]
    assert not fnb.from_events(TABLE).warnings
    known = pd.DataFrame({"recording_id": TABLE["recording_id"].unique(), "outcome": "timeout"})
    assert not fnb.from_events(TABLE, known, milestones=["cart", "bought"]).warnings
