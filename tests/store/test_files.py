"""What lies in the folder of a saved set: names that stay in it, files that other programs read."""

from __future__ import annotations

import duckdb
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

import firmly_nb as fnb
from firmly_nb.store import write
from firmly_nb.store.files import partition
from firmly_nb.store.schema import STORED_EVENTS, STORED_ORDERS, arrow_schema
from tests.recorder.made_records import BEGIN
from tests.store.stored_recordings import DAY, placed, same, several


@pytest.fixture
def recs():
    return fnb.Recordings(several())


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
    monkeypatch.setattr(write, "GROUP_EVENTS", 3)
    monkeypatch.setattr(write, "HELD_BYTES", 5_000)
    monkeypatch.setattr(write, "OPEN_PARTS", 2)
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


def test_a_long_run_is_split_by_day(tmp_path):
    made = fnb.Recordings([placed(n, started_at_ns=BEGIN + n * DAY) for n in range(3)])
    made.save(tmp_path)
    assert len(list((tmp_path / "events").glob("day=*"))) == 3
    assert len(list((tmp_path / "events").glob("day=*/domain=a.test/*.parquet"))) == 3
