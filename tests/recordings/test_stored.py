"""The tables of a saved set, of selections of it and of several: those of the same recordings."""

from __future__ import annotations

import tempfile

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.records import End
from firmly_nb.recorder.tables import last_snapshot, order_row
from firmly_nb.recordings import stored
from firmly_nb.schema import Table
from firmly_nb.store import write
from tests.latency.plain_stages import plain_stages, same_stages
from tests.recorder.made_records import NAMES, cart, event, start
from tests.store.stored_recordings import TABLES, placed, same, same_table, several


@pytest.fixture
def recs():
    return fnb.Recordings(several())


def test_selections_and_sums_stay_on_the_disk(tmp_path, recs, monkeypatch):
    recs.save(tmp_path, keep_personal=True)
    made = []
    real = stored.recorded_of
    monkeypatch.setattr(stored, "recorded_of", lambda *args: made.append(1) or real(*args))
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


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The same recordings, spread: two sets that share one, and memory that shares one."""
    recs = fnb.Recordings(several())
    folder = tmp_path_factory.mktemp("sets")
    recs[:4].save(folder / "a", keep_personal=True)
    recs[3:6].save(folder / "b", keep_personal=True)
    return recs, [fnb.load(folder / "a"), fnb.load(folder / "b"), recs[5:]]


slices = st.builds(
    slice,
    st.integers(-3, 5) | st.none(),
    st.integers(-3, 5) | st.none(),
    st.sampled_from([1, -1, 2]),
)
operands = st.tuples(st.integers(0, 2), slices)


@settings(max_examples=25, deadline=None)
@given(st.lists(operands, min_size=1, max_size=5), slices)
def test_whatever_is_joined_and_selected_is_there_once_and_in_order(three, joined, last):
    recs, parts = three
    by_id = {rec.recording_id: rec for rec in recs}
    found, ids = fnb.Recordings([]), []
    for number, part in joined:
        found = found + parts[number][part]
        ids += [rec.recording_id for rec in parts[number]][part]
    expected = fnb.Recordings(by_id[name] for name in list(dict.fromkeys(ids))[last])
    found = found[last]
    assert [rec.records() for rec in found] == [rec.records() for rec in expected]
    for name in ("orders", "event_times", "stages"):
        same_table(getattr(found, name), getattr(expected, name))
    assert found.asked() == expected.asked()
    assert [rec.recording_id for rec in found.cut_off] == [r.recording_id for r in expected.cut_off]
    assert len(found.relation("events").df()) == len(expected.events)
    ends = found.ends
    known = [rec.recording_id for rec in expected]
    for of in ("stages", "orders"):
        table, full = getattr(ends, of), getattr(expected, of)
        numbered = table["recording_id"].dtype.kind == "i"
        if "place" in table:  # they stand stage by stage
            table = table.sort_values(["recording_id", "place"], ignore_index=True)
        names = [known[n] for n in table["recording_id"]] if numbered else table["recording_id"]
        assert list(names) == full["recording_id"].tolist()
        column = {"stages": "duration_ms", "orders": "order_latency_ms"}[of]
        pd.testing.assert_series_equal(table[column], full[column])


def test_what_is_in_memory_stays_the_same_object(three):
    recs, (_, _, held) = three
    assert (held[1:] + held)[0] is held[1] is recs[6]
    assert (three[1][0] + held)[-1] is held[-1]


def test_figures_of_sets_are_told_where_one_has_no_runs_and_no_errors(tmp_path):
    """A column without a value in one set, and with some in another, made ``latency`` fail."""
    made = [placed(1), placed(2, run_id="x"), several()[2]]
    for rec in made:
        fnb.Recordings([rec]).save(tmp_path / rec.recording_id)
    found = fnb.load(tmp_path)
    assert repr(found.latency()) == repr(fnb.Recordings(made).latency())
    assert found.ends.orders["run_id"].astype("object").tolist()[1:] == ["x", "run-1"]


def test_a_journal_that_was_copied_is_one_recording(tmp_path, recs):
    for folder in ("one", "two"):
        for rec in recs[:2]:
            journal = Journal(tmp_path / folder)
            for record in rec.records():
                journal.append(record)
            journal.close()
    assert [rec.recording_id for rec in fnb.load(tmp_path)] == ["r1", "r2"]


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
    same_table(found, recs.stages)
    expected = []
    for rec, (_, configured) in zip(recs, made, strict=True):
        columns = (rec.events[name] for name in ("event", "t_ms", "uncertainty_us"))
        expected += plain_stages(zip(*columns, strict=True), configured)
    same_stages(found, expected)


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
        asked = chosen.relation("stages", connection).df()
        assert list(asked.columns) == list(chosen.stages.columns)
        by = ["recording_id", "to_milestone"]
        expected = pd.DataFrame(chosen.stages).astype({"stage": "str", "from_milestone": "str"})
        expected = expected.astype({"to_milestone": "str"}).sort_values(by, ignore_index=True)
        pd.testing.assert_frame_equal(
            asked.sort_values(by, ignore_index=True), expected, check_dtype=False
        )
    median = found.relation("events").aggregate("median(t_ms)").fetchall()[0][0]
    assert median == pytest.approx(found.event_times["t_ms"].median())
    with pytest.raises(KeyError, match=r"^Unknown relation 'carts'"):
        found.relation("carts")


def followed(number):
    """An order that the next cart follows in its stream."""
    success = cart(200)["cart"] | {"platform_order_number": f"T-{number}"}
    told = [event(1, "order-placed", {"cart": success}), event(2, "later", cart(700))]
    return fnb.Recording([start(number), *told, End("placed", 50_000_000)])


def test_totals_that_an_older_version_took_of_a_later_cart_are_read_anew(tmp_path, monkeypatch):
    def older_row(order, events, end):
        row = order_row(order, events, end)
        total = last_snapshot(order, events[-1:], end).total
        return row | dict(zip(stored.TOTAL, total, strict=True))

    recs = fnb.Recordings([placed(1), followed(2)])
    with monkeypatch.context() as patch:
        kept = [c for c in write.STORED_EVENTS.columns if c.name != "outline"]
        patch.setattr(write, "STORED_EVENTS", Table("stored_events", "", tuple(kept)))
        patch.setattr(write, "order_row", older_row)
        recs.save(tmp_path)
    found, expected = fnb.load(tmp_path), recs.orders["total_minor"].tolist()
    assert expected == [400, 200]
    assert found.orders["total_minor"].tolist() == expected
    assert found.order_column("total_minor").tolist() == expected
    assert [rec.orders["total_minor"][0] for rec in found] == expected
    asked = found.sql("SELECT total_minor, currency FROM orders ORDER BY recording_id")
    assert asked["total_minor"].tolist() == expected
    assert asked["currency"].tolist() == ["USD", "USD"]


def test_a_large_cart_of_a_set_is_kept_as_text(tmp_path):
    lines = [{"sku": f"line {n}"} for n in range(5_000)]
    data = {"cart": cart(200)["cart"] | {"line_items": lines}}
    rec = fnb.Recording([start(1), event(1, "item-added", data), End("incomplete", 9_000_000)])
    fnb.Recordings([rec]).save(tmp_path, keep_personal=True)
    [found] = fnb.load(tmp_path)
    [told] = found.recorded.events
    assert told.is_outlined
    assert told.outline == rec.recorded.events[0].packed().outline
    assert told.data == data
    assert found.records() == rec.records()
