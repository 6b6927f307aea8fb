"""Times from files of other tools: CSV, JSON lines, AIPerf's raw export."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.display.messages import code_of

DATA = Path(__file__).parent / "data"
FIRST = "2026-11-23T09:00:00.123456789Z"
LINES = f"""\
{{"recording_id": "a", "event": "item-added", "t_ms": 410.5}}
{{"recording_id": "b", "event": "item-added", "t_ms": 380.25, "uncertainty_us": 900}}
{{"recording_id": "a", "event": "order-placed", "t_ms": 905}}
{{"recording_id": "a", "started_at": "{FIRST}", "domain": "a.test", "tags": {{"k": "v"}}}}
{{"recording_id": "b", "outcome": "timeout", "started_at": "2026-11-23T10:01:00+01:00"}}
"""
CSV = """\
recording_id,event,t_ms,uncertainty_us,coalesced
1,item-added,410.5,,false
1,'=1+1,905.25,900,True
"""


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_json_lines_hold_events_and_orders(written):
    recs = fnb.from_events(written("k6.jsonl", LINES))
    assert recs.orders["recording_id"].tolist() == ["a", "b"]
    assert recs.orders["outcome"].tolist() == ["placed", "timeout"]
    assert recs.orders["domain"].tolist() == ["a.test", "not given"]
    assert recs[0].tags == {"k": "v"}
    assert recs.orders["started_at"].astype("int64").tolist() == [
        pd.Timestamp("2026-11-23T09:00:00.123456789Z").value,
        pd.Timestamp("2026-11-23T09:01:00Z").value,
    ]
    assert recs.events["t_ms"].tolist() == [410.5, 905.0, 380.25]
    assert recs.events["uncertainty_us"].tolist() == [0.0, 0.0, 900.0]


def test_a_last_line_that_is_cut_off_is_left_out(written):
    recs = fnb.from_events(written("k6.jsonl", LINES + '{"recording_id": "b", "ev'))
    assert len(recs) == 2


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_with_its_types(written, mark, delimiter):
    text = CSV.replace(",", delimiter)
    text = text.replace(".", ",") if delimiter == ";" else text
    recs = fnb.from_events(written("events.csv", mark + text), milestones=["item-added", "=1+1"])
    assert recs.events["event"].tolist() == ["item-added", "=1+1"]
    assert recs.events["t_ms"].tolist() == [410.5, 905.25]
    assert recs.events["uncertainty_us"].tolist() == [0.0, 900.0]
    assert recs.events["coalesced"].tolist() == [False, True]
    assert recs.orders["outcome"].tolist() == ["placed"]


def test_events_and_orders_may_be_two_files(written):
    events = written("events.csv", "recording_id,event,t_ms\n7,order-placed,5\n")
    orders = written("orders.csv", "recording_id,started_at,tags\n7,2026-11-23T09:00:00Z,{}\n8,,\n")
    recs = fnb.from_events(events, str(orders))
    assert recs.orders["recording_id"].tolist() == ["7", "8"]
    assert recs.orders["started_at"].isna().tolist() == [False, True]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_our_own_tables_give_the_same_times(lab, tmp_path, kind):
    recs = lab.sweep(fnb.Order.example(), count=4, rate=50, progress=False)
    folder = recs.export(tmp_path / "out", format=kind)
    again = fnb.from_events(folder / f"events.{kind}", folder / f"orders.{kind}")
    assert again.events["t_ms"].tolist() == recs.events["t_ms"].tolist()
    assert again.stages["duration_ms"].tolist() == recs.stages["duration_ms"].tolist()
    assert again.orders["started_at"].tolist() == recs.orders["started_at"].tolist()
    assert again.orders["tags"].tolist() == recs.orders["tags"].tolist()
    assert again.latency().table.equals(recs.latency().table)


def test_the_raw_export_of_aiperf_is_read_without_its_secrets():
    recs = fnb.from_events(DATA / "aiperf-raw.jsonl")
    assert recs.orders["recording_id"].tolist() == ["r1", "r2", "request-4"]
    assert recs.orders["outcome"].tolist() == ["placed", "http_error", "timeout"]
    assert recs.events["event"].tolist() == [
        "item-added",
        "shipping-updated",
        "order-placed",
        "message",
    ]
    assert recs.events["t_ms"].tolist() == [410.000007, 900.0, 900.0, 50.0]
    assert recs.events["coalesced"].tolist() == [False, False, True, False]
    assert recs.orders["started_at"].iloc[0].value == 1795884551000000123
    assert recs.orders["order_latency_ms"].tolist() == [900.0, 300.0, 60000.0]
    assert "1 request of the warm-up left out" in recs.warnings[0]
    assert "planted" not in str([rec.records() for rec in recs]) + str(recs.warnings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recording_id,event,t_ms\na,x,fast\n", "has no number in t_ms: 'fast' in row 0"),
        ("recording_id,event,t_ms\na,x\n", "has 2 values in line 2 and 3 columns"),
        ("recording_id,event,t_ms,coalesced\na,x,5,maybe\n", "has 'maybe' in coalesced in row 0"),
        ("recording_id,event,t_ms,t_ms\na,x,5,6\n", "has two columns 't_ms'"),
        ("recording_id,event,t_ms\na,x\ry,5\n", "cannot be read in line"),
        ('[{"recording_id": "a", "event": "x", "t_ms": 5}]', "is one JSON array"),
        ('{"recording_id": "a"}\nnot JSON\n{}\n', "has no JSON in line 2: 'not JSON'"),
        ('{"recording_id": "a"}\n[1]\n{}\n', "has no object in line 2"),
        ('{"event": "x", "recording_id": "a", "t_ms": true}\n', "has no number in t_ms"),
        ('{"start_perf_ns": 1, "responses": [], "metadata": 5}\n', "in line 1 that cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(written, text, said):
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        fnb.from_events(written("bad.csv", text))
    assert code_of(refused.value) == "FNB333"


@pytest.mark.parametrize(
    "text",
    [
        "recording_id,event,t_ms\ra,order-placed,5\r",
        f"recording_id,event,t_ms,data\r\na,order-placed,5,{'x' * 200_000}\r\n",
    ],
)
def test_old_line_ends_and_a_large_cart_are_read(written, text):
    limit = csv.field_size_limit()
    assert fnb.from_events(written("e.csv", text)).orders["outcome"].tolist() == ["placed"]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("start", ["2026-11-23 09:00", "yesterday", "2026-13-45T00:00:00Z"])
def test_a_start_without_zone_is_refused(written, start):
    events = written("e.csv", "recording_id,event,t_ms\na,order-placed,5\n")
    orders = written("o.csv", f"recording_id,started_at\na,{start}\n")
    with pytest.raises(ValueError, match="started_at") as refused:
        fnb.from_events(events, orders)
    assert code_of(refused.value) == "FNB333"


def test_a_missing_column_is_named_as_for_a_table(written):
    with pytest.raises(ValueError, match="events has no column t_ms") as refused:
        fnb.from_events(written("e.csv", "recording_id,event,ms\na,x,5\n"))
    assert code_of(refused.value) == "FNB330"


def test_a_missing_file_and_one_that_is_no_text_say_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        fnb.from_events(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"recording_id\xff")
    for path in (tmp_path, tmp_path / "bytes.csv"):
        with pytest.raises(ValueError, match="FNB333"):
            fnb.from_events(path)
