"""A saved set is what was saved: records, tables, tags, notes; again adds nothing."""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import replace

import duckdb
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.latency.stages import STAGES, stages
from firmly_nb.recording import parquet_groups, stored
from firmly_nb.recording.journal import Journal
from firmly_nb.recording.parquet_files import partition
from firmly_nb.recording.parquet_schema import STORED_EVENTS, STORED_ORDERS, arrow_schema
from tests.recording.stored_recordings import (
    BEGIN,
    DAY,
    NAMES,
    declined,
    placed,
    plain,
    several,
)
from tests.recording.test_records import ends, events, starts, text

TABLES = ("orders", "event_times", "stages", "events", "cart_events", "snapshots", "changes")


def same_table(found, expected):
    """Two tables are equal; what the categories of a column without values are says nothing."""
    empty = [
        name
        for name, kind in expected.dtypes.items()
        if kind == "category" and not len(expected[name].cat.categories)
    ]
    found, expected = (frame.astype(dict.fromkeys(empty, "str")) for frame in (found, expected))
    pd.testing.assert_frame_equal(found, expected)


def same(found, expected):
    """Two sets of recordings say the same in every respect."""
    assert [rec.records() for rec in found] == [rec.records() for rec in expected]
    for name in ("warnings", "cut_off", "comments_ms", "recorder", "timeout_s", "tags", "items"):
        assert [getattr(rec, name) for rec in found] == [getattr(rec, name) for rec in expected]
    assert [rec.outcome for rec in found] == [rec.outcome for rec in expected]
    for name in TABLES:
        same_table(getattr(found, name), getattr(expected, name))
    assert found.asked() == expected.asked()


@pytest.fixture
def recs():
    return fnb.Recordings(several())


def test_what_is_loaded_is_what_was_saved(tmp_path, recs):
    saved = recs.save(tmp_path / "set", keep_personal=True)
    assert (saved.added, saved.there_before) == (len(recs), 0)
    found = fnb.load(tmp_path / "set")
    assert found.warnings == []
    same(found, recs)
    assert repr(found) == repr(recs)
    assert found._repr_html_() == recs._repr_html_()


def test_real_orders_come_back_too(tmp_path, lab):
    made = fnb.Recordings(
        [
            lab.place(fnb.Order.example(), progress=False, isolated=False, keep_raw=True, **options)
            for options in (
                {},
                {"sse": False, "tags": {"who": "me"}, "run_id": "r"},
                {"headers": {"x-sim-fault": "payment-declined"}},
            )
        ]
    )
    made.save(tmp_path, keep_personal=True)
    same(fnb.load(tmp_path), made)
    # What was kept in memory only does not get to the disk by saving it.
    masked = tmp_path / "masked"
    made.save(masked)
    personal = made[0].cart["shipping_info"]["first_name"]
    content = b"".join(path.read_bytes() for path in masked.rglob("*.parquet"))
    assert personal.encode() not in content
    assert fnb.load(masked)[0].cart["shipping_info"]["first_name"] == "***"
    assert fnb.load(masked).events["raw"].isna().all()


def with_end(told, end):
    return [*told, end] if end else told


odd = st.lists(
    st.tuples(
        starts.map(lambda s: replace(s, items=[])),
        st.builds(with_end, st.lists(events, max_size=4), st.none() | ends),
        st.lists(text, max_size=2),
    ),
    max_size=5,
)


@settings(max_examples=20, deadline=None)
@given(odd)
def test_odd_records_come_back_as_they_were(made):
    made = [
        fnb.Recording([replace(s, recording_id=f"{n}{s.recording_id}"), *rest], warnings)
        for n, (s, rest, warnings) in enumerate(made)
    ]
    with tempfile.TemporaryDirectory() as folder:
        fnb.Recordings(made).save(folder, keep_personal=True)
        found = {rec.recording_id: rec for rec in fnb.load(folder)}
    assert len(found) == len(made)
    for rec in made:
        assert found[rec.recording_id].records() == rec.records()
        assert found[rec.recording_id].warnings == rec.warnings


def test_the_order_is_that_of_time(tmp_path, recs):
    mixed = list(recs)
    random.Random(7).shuffle(mixed)
    for rec in mixed:
        fnb.Recordings([rec]).save(tmp_path)
    found = fnb.load(tmp_path)
    assert [rec.recording_id for rec in found] == [rec.recording_id for rec in recs]
    same_table(found.orders, recs.orders)
    same_table(found.event_times, recs.event_times)
    same_table(found.stages, recs.stages)


def test_saving_again_adds_only_what_is_new(tmp_path, recs):
    recs[:5].save(tmp_path, notes="one")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    saved = recs.save(tmp_path, notes="two")
    assert (saved.added, saved.there_before) == (3, 5)
    assert repr(saved) == f"saved 3 recordings to {tmp_path}; 5 were there before"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert recs.save(tmp_path).added == 0
    found = fnb.load(tmp_path)
    assert (len(found), found.notes) == (len(recs), ["one", "two"])
    found.save(tmp_path)
    assert len(fnb.load(tmp_path)) == len(recs)


def test_a_recording_that_is_given_twice_is_saved_once(tmp_path, recs):
    assert fnb.Recordings([*recs, *recs]).save(tmp_path).added == len(recs)
    assert len(fnb.load(tmp_path).orders) == len(recs)


def test_tags_are_given_to_what_is_added_and_its_own_win(tmp_path, recs):
    recs.save(tmp_path, tags={"release": "2", "who": "me"})
    found = fnb.load(tmp_path)
    assert found[0].tags == {"release": "1", "who": "me"}
    assert found[1].tags == {"release": "2", "who": "me"}
    assert found.orders["tags"].tolist() == [rec.tags for rec in found]


def test_the_manifest_tells_what_is_in_the_set(tmp_path, recs):
    recs.save(tmp_path, notes="before the release", tags={"a": "b"})
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert (told["format_version"], told["recordings"], told["events"]) == (1, 8, 18)
    assert told["environments"] == ["simulator"]
    assert told["runs"] == {
        "run-1": {"recordings": 2, "tags": {"a": "b"}},
        "run-2": {"recordings": 1, "tags": {"a": "b"}},
    }
    [save] = told["saves"]
    assert (save["notes"], save["tags"]) == ("before the release", {"a": "b"})
    assert set(save["written_with"]) == {"firmly_nb", "pyarrow", "python", "platform"}
    listed = {tmp_path / kind / part for part in save["parts"] for kind in ("orders", "events")}
    assert listed == set(tmp_path.rglob("*.parquet"))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.*") if path.is_file()} == {
        0o600
    }


def test_notes_and_tags_do_not_carry_card_numbers(tmp_path, recs):
    recs.save(tmp_path, notes="paid with 4111 1111 1111 1111", tags={"card": "4111111111111111"})
    assert fnb.load(tmp_path).notes == ["paid with [redacted]"]
    assert b"4111" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "domain",
    [
        "../../up",
        "a=b",
        "x" * 300,
        "a\0b",
        "",
        ".",
        "..",
        "ä" * 200,
        "a/b",
        "%2e",
        "~",
        "A.test",
        "*",
    ],
)
def test_a_hostile_domain_stays_in_the_set_and_comes_back(tmp_path, domain):
    inside = tmp_path / "set"
    made = fnb.Recordings([placed(1, domain=domain), placed(2, domain=domain + "b")])
    made.save(inside, keep_personal=True)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    found = fnb.load(inside)
    same(found, made)
    assert len(found.where(domain=domain)) == 1
    for path in inside.rglob("*.parquet"):
        below = path.relative_to(inside).parts
        assert len(below) == 4
        assert max(len(step) for step in below) < 200
    read = pd.read_parquet(inside / "orders")
    assert len(read) == 2
    asked = duckdb.sql(f"SELECT count(*) FROM read_parquet('{inside}/events/*/*/*.parquet')")
    assert asked.fetchall() == [(8,)]


def test_different_names_are_different_folders():
    names = ["x" * 300, "x" * 301, "ä" * 99, "ä" * 98, "~", "%7E", "a=b", "a%3Db"]
    assert len({partition(0, name) for name in names}) == len(names)
    assert partition(-1, "a") == "day=1969-12-31/domain=a"


def test_other_programs_read_it_as_it_is(tmp_path, recs):
    recs.save(tmp_path, keep_personal=True)
    frame = pd.read_parquet(tmp_path / "events")
    assert sorted(frame["t_ms"]) == sorted(recs.events["t_ms"])
    assert set(frame["domain"]) == {"a.test", "b.test"}
    assert set(frame["day"]) == {"2026-09-21", "2026-09-22", "2026-09-23"}
    assert list(map(orjson.loads, frame["data"].dropna()))
    asked = duckdb.sql(
        f"SELECT domain, count(*) FROM '{tmp_path}/orders/**/*.parquet' GROUP BY ALL ORDER BY ALL"
    )
    assert asked.fetchall() == [("a.test", 6), ("b.test", 2)]


def test_the_files_have_the_declared_columns(tmp_path, recs):
    recs.save(tmp_path)
    for kind, table in (("orders", STORED_ORDERS), ("events", STORED_EVENTS)):
        for path in (tmp_path / kind).rglob("*.parquet"):
            assert pq.read_schema(path).equals(arrow_schema(table), check_metadata=True)


def test_memory_is_bounded_by_small_groups(tmp_path, recs, monkeypatch):
    monkeypatch.setattr(parquet_groups, "GROUP_EVENTS", 3)
    monkeypatch.setattr(parquet_groups, "HELD_BYTES", 5_000)
    monkeypatch.setattr(parquet_groups, "OPEN_PARTS", 2)
    many = fnb.Recordings([*recs, *(placed(n, domain=f"{n % 3}") for n in range(10, 30))])
    many.save(tmp_path, keep_personal=True)
    found = fnb.load(tmp_path)
    assert (
        max(pq.ParquetFile(path).metadata.num_row_groups for path in tmp_path.rglob("*.parquet"))
        > 1
    )
    expected = {rec.recording_id: rec.records() for rec in many}
    assert {rec.recording_id: rec.records() for rec in found} == expected
    assert len(found.events) == len(many.events)
    # Backwards and across, each group is read again when it is needed.
    assert [found[-n].recording_id for n in range(1, 29)] == found.orders["recording_id"].tolist()[
        ::-1
    ]


def test_selections_and_sums_stay_on_the_disk(tmp_path, recs, monkeypatch):
    recs.save(tmp_path, keep_personal=True)
    made = []
    real = stored.Recording
    monkeypatch.setattr(stored, "Recording", lambda *args: made.append(1) or real(*args))
    found = fnb.load(tmp_path)
    for pick in (
        lambda r: r.where(outcome="placed", domain="a.test"),
        lambda r: r[2:6],
        lambda r: r[::-1],
        lambda r: r[[n % 2 == 0 for n in range(len(r))]],
        lambda r: r[:3] + r[2:],
        lambda r: (r[5:] + r[:2]).where(outcome="placed"),
        lambda r: r[:0],
        lambda r: r.cut_off,
    ):
        chosen, expected = pick(found), pick(recs)
        for name in TABLES:
            same_table(getattr(chosen, name), getattr(expected, name))
        assert chosen.asked() == expected.asked()
        assert len(chosen) == len(expected)
    assert made == []
    assert found[-1].records() == recs[-1].records()
    assert made == [1]
    with pytest.raises(IndexError):
        found[len(recs)]


def test_memory_and_disk_can_be_added(tmp_path, recs):
    recs[:4].save(tmp_path, keep_personal=True, notes="four")
    both = fnb.load(tmp_path) + recs
    same(both, recs)
    assert both.notes == ["four"]
    added = recs[:2]
    for rec in recs:
        added = added + fnb.Recordings([rec])
    same(added, recs)


def test_a_folder_with_sets_and_journals_is_loaded_in_order_of_time(tmp_path, recs):
    recs[:3].save(tmp_path / "one", notes="first")
    recs[2:5].save(tmp_path / "deep" / "two", notes="second")
    for rec in recs[4:]:
        journal = Journal(tmp_path / "journals", keep_personal=True)
        for record in rec.records():
            journal.append(record)
        journal.close()
    found = fnb.load(tmp_path)
    assert [rec.recording_id for rec in found] == [f"r{n}" for n in range(1, 9)]
    assert sorted(found.notes) == ["first", "second"]
    assert found.orders["recording_id"].tolist() == [f"r{n}" for n in range(1, 9)]
    same_table(found.stages, recs.stages)
    found.save(tmp_path / "all")
    assert len(fnb.load(tmp_path)) == 8


def test_an_empty_set_is_a_set(tmp_path):
    nothing = fnb.Recordings([])
    assert nothing.save(tmp_path / "set", notes="none").added == 0
    found = fnb.load(tmp_path / "set")
    same(found, nothing)
    assert found.notes == ["none"]
    assert found.relation("events").aggregate("count(*)").fetchall() == [(0,)]


names = st.sampled_from([*NAMES, "order_processing", "order_completed", "error", "x"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(names, max_size=6),
            st.none() | st.lists(names | st.just("start"), min_size=1, max_size=3),
        ),
        max_size=5,
    )
)
def test_stages_column_by_column_are_those_of_each_order(made):
    recs = fnb.Recordings(
        [placed(n, came, milestones=configured) for n, (came, configured) in enumerate(made)]
    )
    with tempfile.TemporaryDirectory() as folder:
        recs.save(folder)
        found = fnb.load(folder).stages
    expected = STAGES.concat(
        [
            stages(rec.events, configured, [rec.recording_id])
            for rec, (_, configured) in zip(recs, made, strict=True)
        ]
    )
    same_table(found, recs.stages)
    pd.testing.assert_frame_equal(
        found.astype({"stage": str}), expected.astype({"stage": str}), check_categorical=False
    )


def test_events_too_large_for_memory_say_what_to_do(tmp_path, recs, monkeypatch):
    recs.save(tmp_path)
    monkeypatch.setattr(stored, "MOST_JSON_BYTES", 10)
    found = fnb.load(tmp_path)
    with pytest.raises(MemoryError, match="Narrow them with where"):
        found.events  # noqa: B018
    assert len(found.event_times) == 18
    assert len(found[:1].event_times) == 4
    assert len(found[6:7].events) == 0


def test_relations_are_asked_by_sql(tmp_path, recs):
    folder = tmp_path / "odd [name]* of?a set"
    recs[:6].save(folder, keep_personal=True)
    found = fnb.load(folder)
    columns = list(recs.events.columns)
    connection = duckdb.connect()
    for chosen in (found, found[1:4], found[:0], recs, found + recs, recs[:0]):
        asked = chosen.relation("events", connection)
        assert asked.columns == columns
        assert len(asked.df()) == len(chosen.events)
        asked = chosen.relation("orders", connection)
        counts = dict(asked.aggregate("domain, count(*)", "domain").fetchall())
        assert counts == {k: v for k, v in chosen.orders["domain"].value_counts().items() if v}
    median = found.relation("events").aggregate("median(t_ms)").fetchall()[0][0]
    assert median == pytest.approx(found.event_times["t_ms"].median())
    with pytest.raises(KeyError, match="no relation 'carts'"):
        found.relation("carts")


def test_a_long_run_is_split_by_day(tmp_path):
    made = fnb.Recordings([placed(n, started_at_ns=BEGIN + n * DAY) for n in range(3)])
    made.save(tmp_path)
    assert len(list((tmp_path / "events").glob("day=*"))) == 3
    assert len(list((tmp_path / "events").glob("day=*/domain=a.test/*.parquet"))) == 3
    assert [plain().outcome, declined().outcome] == ["placed", "error_event"]
