"""Tables as files of other programs: what they keep, and that nothing in them runs."""

from __future__ import annotations

import gc
import io
import json
import math
import re
import zipfile
from pathlib import Path
from threading import Thread

import duckdb
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.display.messages import code_of
from firmly_nb.exchange.tables import (
    ALIASES,
    FORMATS,
    LOST,
    TABLES,
    as_csv,
    with_prefix,
    without_prefix,
)
from firmly_nb.recorder import Event
from firmly_nb.recorder.records import encode
from firmly_nb.schema import Column, Table
from tests.exchange.test_har import file, made, same_tables, saved  # noqa: F401 - fixtures

ROOT = Path(fnb.__file__).parents[1]
EVIL = [
    "=1+1",
    " =1+1",
    "+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",  # noqa: RUF001 - a full-width sign is meant
    "'quoted",
    "''",
    "\ufeff=1",
    "\u200b=1",
    "\0=1",
    "plain",
    "two;=1+1",
    "two\t@x",
]


def without_nulls(column):
    return [None if pd.isna(value) else value for value in column]


@pytest.fixture(scope="module")
def folders(made, tmp_path_factory):  # noqa: F811
    """The same recordings in each format."""
    root = tmp_path_factory.mktemp("export")
    return {name: made.export(root / name, format=name) for name in FORMATS}


def test_each_table_is_there(folders):
    for name in ("parquet", "csv", "jsonl"):
        found = {path.stem for path in folders[name].iterdir()} - {"recordings"}
        assert found == set(TABLES)


def test_a_recording_is_the_same_after_json_lines(folders, saved):  # noqa: F811
    loaded = fnb.load(folders["jsonl"])
    assert loaded.warnings == []
    same_tables(loaded, saved)
    assert [rec.records() for rec in loaded] == [rec.records() for rec in saved]
    same_tables(fnb.load(folders["jsonl"] / "recordings.jsonl"), saved)


def test_one_that_was_cut_off_is_so_after_json_lines(made, tmp_path):  # noqa: F811
    rec = next(rec for rec in made if len(rec.events) > 1)
    said = "the recording was cut off after 1 events: the process that wrote it ended"
    cut = fnb.Recordings([type(rec)(rec.records()[:2], [said]), made[1]])
    loaded = fnb.load(cut.export(tmp_path / "out", format="jsonl"))
    assert [one.cut_off for one in loaded] == [True, False]
    assert [one.warnings for one in loaded] == [one.warnings for one in cut]


@pytest.mark.parametrize("name", TABLES)
def test_json_lines_are_exact(folders, saved, name):  # noqa: F811
    table, of = TABLES[name]
    rows = [
        json.loads(line) for line in (folders["jsonl"] / f"{name}.jsonl").read_text().splitlines()
    ]
    expected = of(saved)
    assert len(rows) == len(expected)
    for column in table.columns:
        values = [row[column.name] for row in rows]
        if "datetime" in column.dtype:
            found = pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601")
            assert found.astype("int64").tolist() == expected[column.name].astype("int64").tolist()
        elif column.dtype != "object":
            named = {math.inf: "Infinity", -math.inf: "-Infinity"}
            assert values == [named.get(one, one) for one in without_nulls(expected[column.name])]
        else:
            assert values == json.loads(json.dumps(expected[column.name].tolist()))


@pytest.mark.parametrize("name", TABLES)
def test_parquet_keeps_numbers_times_and_zones(folders, saved, name):  # noqa: F811
    table, of = TABLES[name]
    found, expected = pd.read_parquet(folders["parquet"] / f"{name}.parquet"), of(saved)
    assert found.columns.tolist() == table.names
    for column in table.columns:
        if column.dtype == "object":
            continue
        a, b = found[column.name], expected[column.name]
        if "datetime" in column.dtype:
            assert str(a.dtype) == column.dtype
        assert without_nulls(a) == without_nulls(b)


@pytest.mark.parametrize("name", TABLES)
def test_csv_has_numbers_as_they_are_and_times_to_the_nanosecond(folders, saved, name):  # noqa: F811
    table, of = TABLES[name]
    found = pd.read_csv(folders["csv"] / f"{name}.csv", dtype=str, keep_default_na=False)
    expected = of(saved)
    assert found.columns.tolist() == table.names
    for column in table.columns:
        values, wanted = found[column.name], expected[column.name]
        if column.dtype in {"str", "category"}:
            texts = wanted.astype(object).where(wanted.notna(), "").tolist()
            assert values.map(without_prefix).tolist() == texts
        elif "datetime" in column.dtype:
            times = pd.to_datetime(values.replace("", None), utc=True, format="ISO8601")
            nanoseconds = times.astype(column.dtype).astype("int64")
            assert nanoseconds.tolist() == wanted.astype("int64").tolist()
        elif column.dtype in {"float64", "int64", "Int64", "Float64"}:
            assert not values.str.startswith("'").any()
            assert [float(v) if v else None for v in values] == without_nulls(wanted)


def test_no_text_of_a_merchant_is_a_formula(made, tmp_path):  # noqa: F811
    start, *_, end = next(rec for rec in made if rec.outcome == "placed").records()
    cart = {"cart": {"cart_status": "active", "line_items": [], "notice": EVIL}}
    events = [
        Event(n, name, cart, n, n, "kernel", 0.0, n, False, 0.0, 0)
        for n, name in enumerate(EVIL, start=1)
    ]
    recs = fnb.Recordings([fnb.Recording([start, *events, end])])
    recs.export(tmp_path / "csv", format="csv")
    names = pd.read_csv(tmp_path / "csv" / "events.csv", dtype=str)["event"]
    assert names.map(without_prefix).tolist() == EVIL
    for cells in (names, names.str.split("[;\t]").explode()):
        assert not [cell for cell in cells if re.match(r"[\s\0\u200b\ufeff]*[=+\-@＝]", cell)]  # noqa: RUF001
    recs.export(tmp_path / "xlsx", format="xlsx")
    with zipfile.ZipFile(tmp_path / "xlsx" / "tables.xlsx") as book:
        sheets = [book.read(name).decode() for name in book.namelist() if "worksheets" in name]
    assert len(sheets) == len(TABLES)
    assert not [sheet for sheet in sheets if "<f>" in sheet or "<hyperlink" in sheet]


def test_a_workbook_says_that_its_times_are_utc(folders):
    with zipfile.ZipFile(folders["xlsx"] / "tables.xlsx") as book:
        texts = book.read("xl/sharedStrings.xml").decode()
    assert "started_at (UTC)" in texts
    assert ">at (UTC)<" in texts


TEXTS = st.text(alphabet=st.sampled_from("=+-@'\t\r\n ;\0\u200b＝ａ1.e5x,\"")) | st.text()  # noqa: RUF001


@given(st.lists(TEXTS, min_size=1))
@example(EVIL)
@example(["-12.5", "1e5", "-1e-5", "-", "+5", "--1"])
def test_prefixes_are_taken_off_again_and_numbers_have_none(texts):
    marked = [with_prefix(text) for text in texts]
    assert [without_prefix(text) for text in marked] == texts
    for before, after in zip(texts, marked, strict=True):
        if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", before, re.ASCII):
            assert after == before
        elif before.lstrip()[:1] in {*"=+-@＝＋－＠"}:  # noqa: RUF001
            assert after[0] == "'"
        assert not re.search("[;\t][ \0]{0,9}[=+@-]", after)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_any_text_survives_a_csv(texts):
    table = Table(
        "t", "a row", (Column("text", "str", "", "a text"), Column("n", "int64", "", "n"))
    )
    frame = table.from_columns({"text": texts, "n": range(len(texts))})
    read = pd.read_csv(io.BytesIO(as_csv(table, frame)), dtype=str, keep_default_na=False)
    assert read["text"].map(without_prefix).tolist() == texts


def test_an_unknown_format_says_which_there_are(made, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match="Use parquet, csv, xlsx, jsonl") as refused:
        made.export(tmp_path, format="exel")
    assert code_of(refused.value) == "FNB350"


def test_times_of_others_without_a_cart_are_the_same_after_each_way(tmp_path):
    events = pd.DataFrame(
        {"recording_id": ["a"], "event": ["\N{GRINNING FACE}\0=1"], "t_ms": [5.0]}
    )
    recs = fnb.from_events(events)
    for again in (
        fnb.load(recs.har(tmp_path / "a.har")),
        fnb.load(recs.export(tmp_path / "lines", format="jsonl")),
    ):
        pd.testing.assert_frame_equal(again.events, recs.events)
        pd.testing.assert_frame_equal(again.orders, recs.orders)


def test_a_text_of_a_merchant_does_not_take_for_ever():
    text = "\t" * 500_000 + ";" * 500_000
    assert without_prefix(with_prefix(text)) == text


def test_a_folder_of_recordings_is_no_place_for_tables(made, tmp_path):  # noqa: F811
    made.save(tmp_path / "set")
    for name in FORMATS:
        with pytest.raises(ValueError, match="is a folder of a saved set") as refused:
            made.export(tmp_path / "set", format=name)
        assert code_of(refused.value) == "FNB353"
    lines = [encode(record) + b"\n" for record in made[0].records()]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    # Beside recordings.jsonl another file of this ending is a table: the journal was not found.
    with pytest.raises(ValueError, match="is a folder of journals"):
        made.export(tmp_path, format="jsonl")
    made.export(tmp_path, format="csv")
    assert len(fnb.load(tmp_path / "a.jsonl")) == 1


def test_a_folder_that_cannot_be_made_says_so(made, tmp_path):  # noqa: F811
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Name another folder") as refused:
        made.export(tmp_path / "file" / "out")
    assert code_of(refused.value) == "FNB441"


def test_the_page_says_what_each_format_loses():
    page = (ROOT / "docs" / "export.md").read_text()
    assert set(LOST) == set(FORMATS)
    for text in LOST.values():
        assert text in page


def test_empty_recordings_have_all_tables(tmp_path):
    for name in FORMATS:
        fnb.Recordings([]).export(tmp_path / name, format=name)
    assert fnb.load(tmp_path / "jsonl").orders.empty
    assert pd.read_parquet(tmp_path / "parquet" / "orders.parquet").columns[0] == "recording_id"


# SQL.


@pytest.mark.parametrize("name", TABLES)
def test_no_column_needs_quotes(made, name):  # noqa: F811
    connection = made.duckdb()
    for column in TABLES[name][0].names:
        said = ALIASES.get(column, column)
        connection.sql(
            f"select min({said}), count({said}) from {name} where {said} is not null "
            f"group by {said} order by {said}"
        ).fetchall()


def test_sql_is_of_the_tables(made):  # noqa: F811
    counted = made.sql("select outcome, count(*) as n from orders group by outcome")
    assert dict(zip(counted["outcome"], counted["n"], strict=True)) == (
        made.orders["outcome"].value_counts().to_dict()
    )
    times = made.sql("select arrived_at from events order by recording_id, seq")["arrived_at"]
    events = made.events.sort_values(["recording_id", "seq"])
    assert str(times.dtype) == "datetime64[ns, UTC]"
    assert times.astype("int64").tolist() == events["at"].astype("int64").tolist()


def test_views_last_as_long_as_their_connection(made):  # noqa: F811
    connection = made[:2].duckdb()
    gc.collect()
    found = []

    def ask(connection=connection):
        found.append(connection.cursor().sql("select count(*) from orders").fetchall())

    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[(2,)]] * 3
    # The files are in a folder of this process, and go with the connection.
    views = "select sql from duckdb_views() where view_name = 'orders'"
    said = connection.sql(views).fetchall()[0][0]
    folder = Path(re.search(r"'(/[^']+)/orders.parquet'", said)[1])
    assert folder.exists()
    connection.close()
    del connection, ask
    gc.collect()
    assert not folder.exists()


def test_a_table_that_does_not_exist_is_told_beside_those_that_do(made):  # noqa: F811
    assert sorted(made.sql("show tables")["name"]) == sorted(TABLES)
    with pytest.raises(duckdb.CatalogException, match='Did you mean "events"'):
        made.sql("select * from evnts")


MEDIAN = "select median(hash(i)) as m from orders, range(200000) t(i)"  # it holds all values


def test_a_query_that_does_not_fit_into_memory_says_what_to_do(made):  # noqa: F811
    with pytest.raises(MemoryError, match=r"raise memory_limit of recs\.duckdb\(\)") as refused:
        made.sql(f"set memory_limit = '16MB'; {MEDIAN}")
    assert code_of(refused.value) == "FNB355"


@pytest.mark.parametrize("query", ["", "  "])
def test_no_query_says_what_one_is(made, query):  # noqa: F811
    with pytest.raises(ValueError, match="select") as refused:
        made.sql(query)
    assert code_of(refused.value) == "FNB352"


def test_the_command_writes_tables_and_hars(folders, command, tmp_path):
    code, said, _ = command("export", folders["jsonl"], tmp_path / "out", "--format", "csv")
    assert (code, "14 orders as csv" in said) == (0, True)
    assert (tmp_path / "out" / "orders.csv").exists()
    code, said, _ = command("export", folders["jsonl"], tmp_path / "all.har")
    assert (code, "14 orders as har" in said) == (0, True)
    assert len(fnb.load(tmp_path / "all.har")) == 14


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["a.har", "a.har"], "FNB353"),
        (["a.har", "orders.csv"], "FNB354"),
        (["a.har", "orders.xlsx", "--format", "xlsx"], "FNB354"),
        (["a.har", "orders.json"], "FNB354"),
        (["a.har", "out", "--format", "pdf"], "FNB350"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused(made, command, tmp_path, monkeypatch, words, code):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    before = made.har("a.har").read_bytes()
    status, _, said = command("export", *words)
    assert (status, code in said) == (2, True)
    assert Path("a.har").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.har"]


def test_what_is_replaced_is_told(made, command, tmp_path):  # noqa: F811
    made.har(tmp_path / "a.har")
    for text in ("as har\n", "as har, in place of what was there\n"):
        assert command("export", tmp_path / "a.har", tmp_path / "b.har")[1].endswith(text)
    for text in (" now\n", ", in place of what was there\n"):
        told = command("clean", tmp_path / "a.har", "--output", tmp_path / "c.har")[1]
        assert told.endswith(text) or "nothing to take out" in told
