"""Stages of a saved set: written with it, gained by sets of older versions, made where need be."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import firmly_nb as fnb
from firmly_nb.latency.stages import REASONS, STORED_STAGES, voided
from firmly_nb.recordings import verify
from firmly_nb.recordings.kept import kept
from firmly_nb.store.files import locked
from tests.disks import without_permission
from tests.store.stored_recordings import older, same_table, several

AS_WRITTEN = Path(__file__).parent / "data" / "set-format-1"  # only to be copied


@pytest.fixture
def old(tmp_path):
    """A set that an older version saved: it has no stages."""
    return Path(shutil.copytree(AS_WRITTEN, tmp_path / "set"))


def stage_files(folder):
    return sorted(path for path in (folder / "stages").rglob("*.parquet"))


def known_files(folder):
    saves = json.loads((folder / "manifest.json").read_text())["saves"]
    return {name for save in saves for name in save["files"]}


def table(folder):
    return pd.concat(map(pd.read_parquet, stage_files(folder)), ignore_index=True)


def test_a_set_holds_the_stages_of_its_orders(tmp_path):
    recs = fnb.Recordings(several())
    recs.save(tmp_path)
    found, expected = table(tmp_path), recs.stages
    assert list(found.columns)[: len(STORED_STAGES.names)] == STORED_STAGES.names
    key = ["recording_id", "to_milestone"]
    merged = expected.merge(found, on=key, suffixes=("", "_stored"), how="outer")
    assert len(merged) == len(expected) == len(found)
    for name in ("stage", "from_milestone", "duration_ms", "uncertainty_us", "coalesced"):
        stored = merged[f"{name}_stored"].astype(merged[name].dtype)
        pd.testing.assert_series_equal(merged[name], stored, check_names=False, check_exact=True)
    orders = recs.orders.set_index("recording_id")
    for ours, theirs in (("run_id", "run_id"), ("merchant", "domain"), ("outcome", "outcome")):
        given = found["recording_id"].map(orders[theirs].astype("object"))
        assert found[ours].astype("object").fillna("").tolist() == given.fillna("").tolist()
    started = orders["started_at"].astype("int64")
    assert found["started_at_ns"].tolist() == found["recording_id"].map(started).tolist()


def test_a_file_says_why_a_duration_says_nothing(tmp_path):
    recs = fnb.Recordings(several())
    recs.save(tmp_path)
    found = table(tmp_path)
    own = voided(found.assign(gathered=False), recs.orders).reasons
    told = [REASONS[code] if code >= 0 else None for code in own.tolist()]
    assert found["void"].astype("object").where(found["void"].notna(), None).tolist() == told


def test_rows_stand_stage_by_stage_and_no_time_is_a_timestamp(tmp_path):
    fnb.Recordings(several()).save(tmp_path)
    for path in stage_files(tmp_path):
        stages = pd.read_parquet(path)["stage"].astype("str")
        assert (stages != stages.shift()).sum() == stages.nunique()
        schema = pq.read_schema(path)
        assert not [field.name for field in schema if "timestamp" in str(field.type)]


def test_an_older_set_gains_them_when_somebody_first_asks(old):
    before = fnb.Recordings(list(fnb.load(old))).latency()
    assert not stage_files(old)
    assert repr(fnb.load(old).latency()) == repr(before)
    parts = len(list((old / "orders").rglob("*.parquet")))
    assert len(stage_files(old)) == parts
    assert {name for name in known_files(old) if name.startswith("stages/")} == {
        path.relative_to(old).as_posix() for path in stage_files(old)
    }
    again = fnb.load(old)
    assert repr(again.latency()) == repr(before)
    assert again.warnings == []
    assert not list(old.glob(".writing-*"))
    assert set(verify(old)["state"][-parts:]) == {"as saved"}


def test_a_set_of_both_versions_has_one_table(old):
    fnb.Recordings([rec for rec in several() if rec.recording_id != "r1"]).save(old)
    assert len(stage_files(old)) == 0  # all were there before
    by_hand = fnb.Recordings(list(fnb.load(old)))
    same_table(fnb.load(old).stages, by_hand.stages)


def test_two_that_ask_at_once_get_the_same(old):
    said = []
    ready = threading.Barrier(2)

    def ask():
        recs = fnb.load(old)
        ready.wait()
        said.append(repr(recs.latency()))

    both = [threading.Thread(target=ask) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert said == [repr(fnb.load(older("set-format-1")).latency())] * 2
    assert len(stage_files(old)) == len(list((old / "orders").rglob("*.parquet")))
    assert fnb.load(old).warnings == []


def test_somebody_who_saves_there_is_not_waited_for(old):
    expected = repr(fnb.load(older("set-format-1")).latency())
    with locked(old):
        assert repr(fnb.load(old).latency()) == expected
    assert not stage_files(old)


def test_in_a_folder_that_cannot_be_written_they_are_made_in_memory(old):
    elsewhere = older("set-format-1")
    said = without_permission(
        old,
        f"""
        import firmly_nb as fnb
        fnb.load({str(elsewhere)!r}).latency()  # imports what that needs

        recs = fnb.load(".")
        print(recs.latency())
        assert recs.warnings == [], recs.warnings
        """,
    )
    assert said.strip() == repr(fnb.load(older("set-format-1")).latency()).strip()
    assert not stage_files(old)


def test_what_a_killed_one_left_is_written_anew(old):
    """The files were moved in, and the manifest was not replaced."""
    manifest = (old / "manifest.json").read_bytes()
    expected = repr(fnb.load(old).latency())
    (old / "manifest.json").write_bytes(manifest)
    for path in stage_files(old):
        path.write_bytes(b"of somebody else")
    assert repr(fnb.load(old).latency()) == expected
    assert len(table(old)) > 0
    assert fnb.load(old).warnings == []


def test_a_set_is_as_old_as_it_was(old):
    """Else whoever looks at an old set would keep it from being pruned."""
    for path in [*old.rglob("*.parquet"), old / "manifest.json"]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    fnb.load(old).latency()
    assert stage_files(old)
    [found] = kept(old)
    assert found.changed_s == 1_000_000_000


def test_an_older_version_still_knows_which_files_are_of_the_set(old):
    """It looks at the parts alone, and keeps what it does not know of their files."""
    fnb.load(old).latency()
    manifest = json.loads((old / "manifest.json").read_text())
    assert (manifest["format_version"], manifest["readable_from"]) == (1, 1)
    orders = old / "orders"
    parts = {path.relative_to(orders).as_posix() for path in orders.rglob("*.parquet")}
    assert {part for save in manifest["saves"] for part in save["parts"]} == parts
