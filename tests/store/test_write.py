"""A saved set is what was saved: records, tables, tags, notes; again adds nothing."""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.store.files import KINDS
from tests.recorder.test_records import ends, events, starts, text
from tests.store.stored_recordings import placed, same, same_table, several


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
    tables = [pq.read_table(path).to_pylist() for path in masked.rglob("*.parquet")]
    assert tables
    assert personal not in str(tables)
    assert fnb.load(masked)[0].cart["shipping_info"]["first_name"] == "***"
    assert fnb.load(masked).events["raw"].isna().all()


def with_end(told, end):
    told = [replace(event, seq=number) for number, event in enumerate(told, start=1)]
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


@pytest.mark.parametrize("seqs", [(1, 1), (2, 1)])
def test_an_order_whose_events_come_out_of_turn_is_left_out_and_said(tmp_path, seqs):
    """As its journal would be read without them: in a set such rows are damage."""
    start, *told = placed(1).records()
    odd = [replace(event, seq=seq) for event, seq in zip(told, seqs, strict=False)]
    saved = fnb.Recordings([fnb.Recording([start, *odd]), placed(2)]).save(tmp_path)
    assert (saved.added, len(fnb.load(tmp_path))) == (1, 1)
    assert "'r1' was left out, it does not fit the tables: an event comes" in saved.left_out[0]


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
    listed = {tmp_path / kind / part for part in save["parts"] for kind in KINDS}
    assert listed == set(tmp_path.rglob("*.parquet"))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.*") if path.is_file()} == {
        0o600
    }


def test_notes_and_tags_do_not_carry_card_numbers(tmp_path, recs):
    recs.save(tmp_path, notes="paid with 4111 1111 1111 1111", tags={"card": "4111111111111111"})
    assert fnb.load(tmp_path).notes == ["paid with [redacted]"]
    content = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for number in (b"4111 1111", b"41111111"):  # four digits alone can be a digest's
        assert number not in content
