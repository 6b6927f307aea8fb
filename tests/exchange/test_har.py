"""Recordings as HAR files: valid, as DevTools write them, and the recording again when loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft6Validator
from referencing import Registry, Resource

import firmly_nb as fnb
from firmly_nb.display.messages import code_of
from firmly_nb.exchange.har import data_text, stream_text
from firmly_nb.recorder import Event
from firmly_nb.wire import EventStreamParser

DATA = Path(__file__).parent / "data"
TABLES = (
    *("events", "orders", "stages", "headers", "snapshots", "line_items", "shipments"),
    *("notices", "discounts", "changes", "caveats"),
)
FAULTS = (None, "payment-declined", "early-end", "unknown-events", "reset", "bad-gateway", "crlf")


def problems(har):
    """Return what a HAR has against the schema, and against what the schema forgets."""
    schemas = json.loads((DATA / "har-schema-2.0.0.json").read_text())
    resources = [(one["$id"].rstrip("#"), Resource.from_contents(one)) for one in schemas.values()]
    judge = Draft6Validator(
        schemas["har.json"],
        registry=Registry().with_resources(resources),
        format_checker=Draft6Validator.FORMAT_CHECKER,
    )
    found = [error.message for error in judge.iter_errors(har)]
    for one in har["log"]["entries"]:
        timings = one["timings"]
        found += [f"{name} is {time}" for name, time in timings.items() if time < 0 and time != -1]
        total = sum(time for name, time in timings.items() if name != "ssl" and time > 0)
        if abs(total - one["time"]) > 1e-6:
            found.append(f"timings add up to {total}, not {one['time']}")
    return found


def same_tables(found, expected):
    for name in TABLES:
        a, b = getattr(found, name), getattr(expected, name)
        pd.testing.assert_frame_equal(a, b, obj=name, check_exact=True)


@pytest.fixture(scope="module")
def made(simulator):
    """Orders of every kind of end, placed once."""
    options = {"api_url": simulator.url, "app_id": simulator.app_id}
    with fnb.connect(**options, allow_domains=simulator.domains) as lab:
        found = [
            lab.place(
                fnb.Order.example(),
                progress=False,
                sse=sse,
                warm=sse,
                tags={"release": "=1+1"},
                headers={"x-sim-fault": fault} if fault else {},
            )
            for fault in FAULTS
            for sse in (True, False)
        ]
    return fnb.Recordings(found)


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    """The same, as a saved set has them: addresses masked."""
    folder = tmp_path_factory.mktemp("sets") / "set"
    made.save(folder)
    return fnb.Recordings(list(fnb.load(folder)))


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    return made.har(tmp_path_factory.mktemp("har") / "orders.har")


def test_a_recording_is_the_same_after_a_har(file, saved):
    loaded = fnb.load(file)
    assert loaded.warnings == []
    assert set(loaded.orders["outcome"]) >= {"placed", "error_event", "http_error", "incomplete"}
    same_tables(loaded, saved)
    assert [rec.records() for rec in loaded] == [rec.records() for rec in saved]
    assert [rec.warnings for rec in loaded] == [rec.warnings for rec in saved]


def test_a_second_har_is_the_first(file, tmp_path):
    again = fnb.load(file).har(tmp_path / "again.har")
    assert again.read_bytes() == file.read_bytes()


def test_it_is_valid(file):
    assert problems(json.loads(file.read_text())) == []


def test_what_is_not_valid_is_found(file):
    har = json.loads(file.read_text())
    har["log"]["entries"][0]["timings"]["wait"] = -3
    har["log"]["entries"][0]["time"] += 100
    del har["log"]["entries"][1]["cache"]
    assert len(problems(har)) == 3


def test_messages_are_those_of_devtools(file, made):
    written = json.loads((DATA / "chrome.har").read_text())["log"]["entries"]
    theirs = next(one for one in written if "_eventSourceMessages" in one)["_eventSourceMessages"]
    entries = json.loads(file.read_text())["log"]["entries"]
    ours = next(one for one in entries if "_eventSourceMessages" in one)["_eventSourceMessages"]
    kinds = [{name: type(value) for name, value in one[0].items()} for one in (ours, theirs)]
    assert kinds[0] == kinds[1]
    rec = next(rec for rec in made if len(rec.events))
    times = rec.events["at"].astype("int64") / 1e9
    assert [one["time"] for one in ours] == times.tolist()
    assert [one["eventName"] for one in ours] == rec.events["event"].tolist()


def test_another_reader_finds_the_times_of_the_phases(file, made):
    entries = json.loads(file.read_text())["log"]["entries"]
    ours = {one["_fnbStart"]["recording_id"]: one for one in entries}
    for rec in made:
        row, timings = rec.summary(), ours[rec.recording_id]["timings"]
        assert ours[rec.recording_id]["time"] == pytest.approx(row["order_latency_ms"], abs=0.001)
        if row["sending_ms"] is not None:
            assert timings["send"] == row["sending_ms"]
        assert (timings["connect"] >= 0) == (row["connection"] == "cold")


def test_orders_that_nobody_knows_the_start_of_come_back(tmp_path):
    events = pd.DataFrame({"recording_id": "a", "event": ["x\ny", "done"], "t_ms": [1.5, 9.0]})
    recs = fnb.from_events(events, milestones=["x\ny", "done"])
    loaded = fnb.load(recs.har(tmp_path / "told.har"))
    assert problems(json.loads((tmp_path / "told.har").read_text())) == []
    assert loaded.orders["started_at"].isna().all()
    assert loaded[0].records() == recs[0].records()
    # Where another tool told the end, it is as it was told.
    assert loaded.stages["duration_ms"].tolist() == [1.5, 7.5]


def test_a_recording_that_was_cut_off_stays_so(made, tmp_path):
    rec = next(rec for rec in made if rec.outcome == "placed" and len(rec.events))
    cut = fnb.Recordings([type(rec)(rec.records()[:2], ["it was cut off"])])
    loaded = fnb.load(cut.har(tmp_path / "cut.har"))
    assert loaded[0].cut_off
    assert loaded[0].warnings == ["it was cut off"]


def test_a_file_that_cannot_be_written_says_so(made, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder that exists") as refused:
        made.har(tmp_path / "nowhere" / "a.har")
    assert code_of(refused.value) == "FNB441"


def event(data, name="item-added", event_id=""):
    return Event(1, name, data, 5, None, "kernel", 0.0, 1, False, 0.0, 0, id=event_id)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.lists(JSON, min_size=1, max_size=4))
@example(["7", "null", "two\nlines", "[1"])
def test_the_text_of_a_stream_says_its_events(values):
    text = stream_text([event(value) for value in values])
    parsed = EventStreamParser().feed(text.encode("utf-8", "surrogatepass"))
    assert [one.event for one in parsed] == ["item-added"] * len(values)
    for one, value in zip(parsed, values, strict=True):
        assert one.data == data_text(value).replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("name", ["a\nb", "a\rdata: x", "a\0"])
def test_no_name_or_id_breaks_a_stream(name):
    parsed = EventStreamParser().feed(stream_text([event({}, name, name)]).encode())
    assert [(one.event[0], one.raw_data) for one in parsed] == [("a", b"{}")]
