"""Tables go into spreadsheets and Parquet, whatever their cells hold."""

import zipfile
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.frames import CUT, LONGEST_CELL, TableFrame

TABLES = (
    *("events", "event_times", "orders", "stages", "snapshots", "line_items", "shipments"),
    *("notices", "discounts", "changes"),
)
SUMMARIES = ("outcomes", "funnel", "completion", "field_presence")


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    with fnb.connect(profile="instant", journal=tmp_path_factory.mktemp("journal")) as lab:
        one = lab.place(fnb.Order.example(), progress=False)
        lab.sweep(fnb.Order.example(), count=3, progress=False)
        return one, lab.last_sweep.recordings


def rows(path):
    """Return the sheet's rows, and fail if a cell holds a formula."""
    with zipfile.ZipFile(path) as file:
        sheet = ET.fromstring(file.read("xl/worksheets/sheet1.xml"))
    named = [element.tag.rsplit("}", 1)[-1] for element in sheet.iter()]
    assert "f" not in named
    return named.count("row")


@pytest.mark.parametrize("which", [0, 1], ids=["one", "many"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_written(held, name, which, tmp_path):
    table = getattr(held[which], name)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_excel(tmp_path / "t.xlsx", index=False)
    again = pd.read_parquet(tmp_path / "t.parquet")
    assert list(again.columns) == list(table.columns)
    assert len(again) == len(table)
    assert rows(tmp_path / "t.xlsx") == len(table) + 1


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_summary_can_be_written(held, name, tmp_path):
    table = getattr(held[1], name)()
    table.to_parquet(tmp_path / "t.parquet")
    table.to_excel(tmp_path / "t.xlsx")
    assert rows(tmp_path / "t.xlsx") == len(table) + 1


def test_what_is_chosen_of_a_table_can_be_written_too(held, tmp_path):
    orders = held[1].orders
    chosen = orders[orders["outcome"] == "placed"].sort_values("time_to_order_placed_ms")
    chosen.to_parquet(tmp_path / "t.parquet")
    chosen.to_excel(tmp_path / "t.xlsx")
    assert pd.read_parquet(tmp_path / "t.parquet")["started_at"].dt.tz is not None


def test_numbers_times_and_zones_stay_what_they_are_in_parquet(held, tmp_path):
    events = held[0].events
    events.to_parquet(tmp_path / "t.parquet")
    again = pd.read_parquet(tmp_path / "t.parquet")
    for name in ("t_ms", "gap_ms", "at", "seq", "coalesced"):
        assert again[name].equals(events[name])


def test_json_is_text_in_parquet(tmp_path):
    table = TableFrame({"data": [{"a": 1}, [1, "x"], "plain", None, float("nan"), 1.5]})
    table.to_parquet(tmp_path / "t.parquet")
    again = pd.read_parquet(tmp_path / "t.parquet")["data"].tolist()
    assert again[:3] == ['{"a":1}', '[1,"x"]', "plain"]
    assert pd.isna(again[3])
    assert pd.isna(again[4])
    assert again[5] == "1.5"


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("http://x.test")', "+1", "@SUM(A1)", "a\x00b"]
)
def test_no_text_becomes_a_formula_or_breaks_the_sheet(text, tmp_path):
    TableFrame({"title": [text]}).to_excel(tmp_path / "t.xlsx")
    assert rows(tmp_path / "t.xlsx") == 2


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
@pytest.mark.parametrize("sign", ["x", "\N{GRINNING FACE}"])
def test_a_text_that_no_cell_can_hold_is_cut_and_says_so(tmp_path, dtype, sign):
    TableFrame({"data": pd.Series([sign * 50_000], dtype=dtype)}).to_excel(tmp_path / "t.xlsx")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as file:
        texts = file.read("xl/sharedStrings.xml").decode()
    kept = (LONGEST_CELL - len(CUT)) // (len(sign.encode("utf-16-le")) // 2)
    assert f">{sign * kept}{CUT}<" in texts


def test_several_tables_go_into_one_file(held, tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx", engine="xlsxwriter") as file:
        held[0].events.to_excel(file, sheet_name="events")
        held[0].orders.to_excel(file, sheet_name="orders")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as file:
        assert "xl/worksheets/sheet2.xml" in file.namelist()


ALL = [(name, which) for name in TABLES for which in (0, 1)]


@pytest.mark.parametrize(("name", "which"), ALL)
def test_every_table_prints_within_80_columns(held, name, which):
    table = getattr(held[which], name)
    assert max(map(len, repr(table).splitlines())) <= 80
    shown = " ".join(repr(table).split())
    assert all(column in shown for column in table.columns)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("orders", "outcome time_to_order_placed_ms order_number"),
        ("events", "seq event t_ms gap_ms"),
        ("stages", "stage duration_ms start_ms end_ms"),
        ("line_items", "seq event description variant_id quantity"),
        ("changes", "path kind before after"),
    ],
)
def test_a_printed_table_begins_with_what_people_look_for(held, name, first):
    head = repr(getattr(held[1], name)).splitlines()[0]
    assert " ".join(head.split()).startswith(first)
    html = getattr(held[1], name)._repr_html_()
    assert html.index(f">{first.split()[0]}<") < html.index(">recording_id<")


@pytest.mark.parametrize(
    "picked", [["stage", "start_ms", "end_ms", "duration_ms"], ["recording_id", "stage"]]
)
def test_columns_that_somebody_picked_stay_in_their_order(held, picked):
    html = held[1].stages[picked]._repr_html_()
    places = [html.index(f"<th>{name}</th>") for name in picked]
    assert places == sorted(places)


def test_a_sentence_in_a_table_is_shown_to_its_end(held):
    said = "Orders started up to 12 ms after their planned start, and that is late. " * 2
    table = held[1].caveats.reindex([0]).assign(text=said)
    assert said.strip() in table._repr_html_()


def test_a_long_table_is_printed_as_soon_as_a_short_one(held):
    many = held[1].orders.sample(100_000, replace=True, random_state=1)
    shown = repr(many)
    assert "100000 rows; more columns: " in shown
    assert len(shown.splitlines()) < 40


def test_a_narrow_table_is_printed_by_pandas(held):
    table = held[1].orders[["outcome", "domain"]]
    assert repr(table) == repr(pd.DataFrame(table))


def test_columns_of_other_names_and_none_are_printed():
    assert repr(TableFrame()) == repr(pd.DataFrame())
    assert "more columns" in repr(TableFrame({n: [1.23456] for n in range(60)}))


def test_prices_begin_with_the_price_and_what_changed(held):
    _, recs = held
    assert repr(recs.prices()).split()[:6] == [
        "seq", "event", "variant_id", "price_minor", "before_minor", "change_minor",
    ]  # fmt: skip
