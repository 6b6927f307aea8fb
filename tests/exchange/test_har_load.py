"""HAR files of browsers and proxies: what they tell is read, what they cannot tell is said."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import firmly_nb as fnb

DATA = Path(__file__).parent / "data"
WITHOUT_TIMES = ("firefox.har", "safari.har", "playwright.har", "mitmproxy.har")
MOST_LATE_MS = 5.0  # what is stated of Chrome's times
NAMES = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def stored(name):
    return json.loads((DATA / name).read_text())


def order_of(har):
    """Return the entry of the order."""
    return next(one for one in har["log"]["entries"] if one["request"]["method"] == "POST")


@pytest.fixture
def load(tmp_path):
    """Load a HAR after a change of its order's entry."""

    def changed(change, name="chrome.har"):
        har = stored(name)
        change(order_of(har))
        path = tmp_path / "changed.har"
        path.write_text(json.dumps(har))
        return fnb.load(path)

    return changed


@pytest.mark.parametrize("name", ["chrome.har", "chrome-sanitized.har"])
def test_times_of_chrome_are_within_the_bound_that_is_stated(name):
    rec = fnb.load(DATA / name)[0]
    truth = stored("chrome-truth.json")
    assert rec.events["event"].tolist() == [entry["event"] for entry in truth] == NAMES
    late_ms = (rec.events["at"].astype("int64") - [e["sent_wall_ns"] for e in truth]) / 1e6
    assert late_ms.between(0, MOST_LATE_MS).all()
    assert (rec.events["uncertainty_us"] == 1000 * MOST_LATE_MS).all()
    assert set(rec.events["clock"]) == {"external"}
    assert any("up to 5 ms earlier" in text for text in rec.warnings)
    assert (rec.outcome, rec.order_exists, rec.order_number) == ("placed", "yes", "100004711")
    assert rec.environment == "external"
    assert rec.stages["duration_ms"].notna().all()
    assert rec.checks.findings.empty


def test_both_exports_of_chrome_are_the_same_recording():
    full, sanitized = (fnb.load(DATA / name) for name in ("chrome.har", "chrome-sanitized.har"))
    assert full[0].records() == sanitized[0].records()
    assert len(full + sanitized) == 1


@pytest.mark.parametrize("name", WITHOUT_TIMES)
def test_without_times_of_events_carts_and_total_are_known_and_no_stage(name):
    rec, chrome = fnb.load(DATA / name)[0], fnb.load(DATA / "chrome.har")[0]
    assert rec.events["event"].tolist() == NAMES
    for warnings in (rec.warnings, fnb.load(DATA / name).warnings):
        assert any("wrote no times of events" in text for text in warnings)
    assert rec.summary()["order_latency_ms"] == pytest.approx(1425, abs=10)
    assert rec.summary()["time_to_first_event_ms"] is None
    assert rec.snapshots["total_minor"].tolist() == chrome.snapshots["total_minor"].tolist()
    assert rec.checks.findings.empty
    # Whatever an event's true time was, it is within its bound.
    true_ms = chrome.events["t_ms"]
    assert (rec.events["t_ms"] + 10 >= true_ms).all()
    assert (rec.events["t_ms"] - rec.events["uncertainty_us"] / 1000 <= true_ms).all()
    assert "coalesced" in set(rec.caveats["code"])
    assert fnb.Recordings([rec]).latency().table["n"].iloc[0] == 0


@pytest.mark.parametrize("name", WITHOUT_TIMES)
def test_the_tool_is_named(name):
    tool = fnb.load(DATA / name)[0].recorder["tool"]
    assert tool.split()[0].lower() in {name.split(".")[0], "webkit"}


def test_equal_times_cannot_be_separated(load):
    def together(one):
        messages = one["_eventSourceMessages"]
        messages[2]["time"] = messages[1]["time"]

    rec = load(together)[0]
    assert rec.events["coalesced"].tolist() == [False, False, True, False]
    named = "".join(rec.caveats.loc[rec.caveats["code"] == "coalesced", "text"])
    assert "shipping-updated" in named


def looked_late(one, events):
    """DevTools that begin to look at a stream late give what they find the request's time."""
    start = datetime.fromisoformat(one["startedDateTime"]).timestamp()
    for message in one["_eventSourceMessages"][:events]:
        message["time"] = start + one["timings"]["_blocked_queueing"] / 1000


@pytest.mark.parametrize("early", [1, 2, 3])
def test_events_with_the_time_of_the_request_came_before_the_next(load, early):
    rec, plain = load(lambda one: looked_late(one, early))[0], fnb.load(DATA / "chrome.har")[0]
    came, true = rec.events, plain.events["t_ms"]
    assert came["t_ms"].tolist() == [true[early]] * early + true.tolist()[early:]
    earliest_ms = came["t_ms"] - came["uncertainty_us"] / 1000
    assert (earliest_ms <= true).all()
    assert earliest_ms[0] == pytest.approx(rec.summary()["time_to_headers_ms"], abs=1.1)
    assert came["coalesced"].tolist() == [0 < place < early for place in range(4)]
    assert any(f"{early} event" in text and "time of the request" in text for text in rec.warnings)
    # The stages that end or begin there have no time; those behind them do.
    known = fnb.Recordings([rec]).latency().table.set_index("stage")["left_out"]
    assert known[NAMES].tolist() == [1] * (early + 1) + [0] * (3 - early)


def test_where_every_event_has_the_time_of_the_request_no_time_is_used(load):
    rec = load(lambda one: looked_late(one, 4))[0]
    assert any("No times are used" in text for text in rec.warnings)
    assert rec.events["t_ms"].nunique() == 1
    known = fnb.Recordings([rec]).latency().table.set_index("stage")["left_out"]
    assert known[NAMES].tolist() == [1] * 4


def drop(name):
    return lambda one: one.pop(name)


def without_text(one):
    one["response"]["content"].pop("text")


def fewer_messages(one):
    del one["_eventSourceMessages"][0]


def other_name(one):
    one["_eventSourceMessages"][1]["eventName"] = "another"


def other_data(one):
    one["_eventSourceMessages"][1]["data"] = "{}"


def backwards(one):
    one["_eventSourceMessages"].reverse()
    times = sorted(m["time"] for m in one["_eventSourceMessages"])
    one["_eventSourceMessages"].reverse()
    for message, time in zip(one["_eventSourceMessages"], reversed(times), strict=True):
        message["time"] = time


def long_before(one):
    for message in one["_eventSourceMessages"]:
        message["time"] -= 3600


@pytest.mark.parametrize("change", [fewer_messages, other_name, other_data])
def test_messages_and_text_that_disagree_give_no_times(load, change):
    rec = load(change)[0]
    assert rec.events["event"].tolist() == NAMES
    assert rec.events["total_minor"].notna().sum() == 3
    assert any("disagree" in text and "the text counts" in text for text in rec.warnings)
    assert rec.events["t_ms"].nunique() == 1


def long_after(one):
    for message in one["_eventSourceMessages"]:
        message["time"] += 3600


def in_milliseconds(one):
    for message in one["_eventSourceMessages"]:
        message["time"] *= 1000


def as_texts(one):
    for message in one["_eventSourceMessages"]:
        message["time"] = str(message["time"])


@pytest.mark.parametrize("change", [backwards, long_before, long_after, in_milliseconds, as_texts])
def test_times_that_cannot_be_are_not_used(load, change):
    rec = load(change)[0]
    assert any("they are not used" in text for text in rec.warnings)
    assert any(text.startswith("No times are used: each event came") for text in rec.warnings)
    assert rec.events["t_ms"].nunique() == 1
    assert rec.outcome == "placed"


def as_base64(one, encode=bytes, lines=base64.b64encode):
    content = one["response"]["content"]
    content |= {"encoding": "base64", "text": lines(encode(content["text"].encode())).decode()}


@pytest.mark.parametrize(
    "change",
    [
        as_base64,
        lambda one: as_base64(one, lines=base64.encodebytes),
        lambda one: as_base64(one, gzip.compress),
        lambda one: as_base64(
            one, lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])
        ),
    ],
)
def test_a_body_is_read_however_it_is_written(load, change):
    def without_times(one):
        change(one)
        del one["_eventSourceMessages"]

    whole = fnb.load(DATA / "chrome.har")[0]
    assert load(change)[0].records()[1:] == whole.records()[1:]
    totals = [rec.snapshots["total_minor"].tolist() for rec in (whole, load(without_times)[0])]
    assert totals[0] == totals[1]


@pytest.mark.parametrize("text", ["@@", base64.b64encode(b"\x1f\x8bno gzip at all").decode()])
def test_a_body_that_cannot_be_read_leaves_the_other_orders(tmp_path, command, text):
    har = stored("chrome.har")
    broken = json.loads(json.dumps(order_of(har)))
    broken["response"]["content"] |= {"encoding": "base64", "text": text}
    har["log"]["entries"].append(broken)
    (tmp_path / "two.har").write_text(json.dumps(har))
    recs = fnb.load(tmp_path / "two.har")
    assert recs.orders["outcome"].tolist() == ["placed"]
    assert "entry 4 cannot be read and is left out" in recs.warnings[0]
    # Nobody can look what is in it.
    assert command("clean", tmp_path / "two.har")[0] == 0
    cleaned = stored(tmp_path / "two.har")["log"]["entries"][3]
    assert cleaned["response"]["content"]["text"] == ""


@pytest.mark.parametrize(
    "written",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        # As a browser writes half a surrogate pair of a page.
        lambda text: text.replace("Sample", "Sample\\ud83d", 1).encode(),
        lambda text: text.replace('"cookies"', '"_odd": "\\udc00", "cookies"', 1).encode(),
    ],
)
def test_a_har_is_read_however_its_text_is_written(tmp_path, written):
    (tmp_path / "a.har").write_bytes(written((DATA / "chrome.har").read_text()))
    assert fnb.load(tmp_path / "a.har").orders["order_number"].tolist() == ["100004711"]


@pytest.mark.parametrize("name", ["browser.json", "browser", "\u8ba2\u5355.HAR"])
def test_a_har_may_have_any_name(tmp_path, name):
    shutil.copy(DATA / "chrome.har", tmp_path / name)
    assert fnb.load(tmp_path / name).orders["order_number"].tolist() == ["100004711"]


def test_a_page_that_left_early_has_its_messages(load):
    rec = load(without_text)[0]
    assert rec.records()[1:-1] == fnb.load(DATA / "chrome.har")[0].records()[1:-1]


def test_sanitized_and_without_text_names_and_times_are_known(load):
    rec = load(without_text, "chrome-sanitized.har")[0]
    whole = fnb.load(DATA / "chrome.har")[0]
    assert rec.events["t_ms"].tolist() == whole.events["t_ms"].tolist()
    assert (rec.outcome, rec.order_exists, rec.cart) == ("placed", "unknown", None)
    assert any("not what was in them" in text for text in rec.warnings)


def test_without_text_and_messages_nothing_is_known_of_the_order(load):
    def without(one):
        without_text(one)
        one.pop("_eventSourceMessages")

    rec = load(without)[0]
    assert (rec.outcome, rec.order_exists) == ("incomplete", "unknown")
    assert any("no text of the response" in text for text in rec.warnings)


def answered(status, body, mime="application/json", error=None):
    def change(one):
        one.pop("_eventSourceMessages")
        response = one["response"]
        response["status"] = status
        response["headers"] = [{"name": "content-type", "value": mime}]
        response["content"] = {"size": len(body), "mimeType": mime, "text": body}
        if error:
            response["_error"] = error

    return change


@pytest.mark.parametrize(
    ("change", "outcome", "exists"),
    [
        (answered(400, '{"error": "ErrorInvalidInput"}'), "http_error", "no"),
        (answered(200, '{"platform_order_number": "7001"}'), "placed", "yes"),
        (answered(502, "<html><title>Bad gateway</title>", "text/html"), "http_error", "unknown"),
        (answered(0, "", error="net::ERR_CONNECTION_RESET"), "transport_error", "unknown"),
        (
            answered(200, "event: item-added\ndata: {}\n\n", "text/event-stream"),
            "incomplete",
            "unknown",
        ),
        (
            answered(
                200, "event: item-added\ndata: {}\n\n", "text/event-stream", "net::ERR_ABORTED"
            ),
            "transport_error",
            "unknown",
        ),
    ],
)
def test_the_recorder_judges_what_came(load, change, outcome, exists):
    rec = load(change)[0]
    assert (rec.outcome, rec.order_exists) == (outcome, exists)


def test_a_har_is_read_in_a_running_loop():
    async def read():
        return fnb.load(DATA / "chrome.har")[0].outcome

    assert asyncio.run(read()) == "placed"


def test_a_folder_may_hold_hars_and_journals(lab, tmp_path):
    rec = lab.place(fnb.Order.example(), progress=False)
    shutil.copy(next(lab.journal.rglob(f"{rec.recording_id}.jsonl")), tmp_path)
    rec.har(tmp_path / "same.har")
    shutil.copy(DATA / "chrome.har", tmp_path / "OTHER.HAR")
    recs = fnb.load(tmp_path)
    assert len(recs) == 2
    assert ["OTHER.HAR, 1 order: times are those of" in text for text in recs.warnings] == [True]
    assert recs.orders["environment"].tolist() == ["external", "custom"]


def test_what_is_asked_for_is_known_and_the_card_is_not():
    rec = fnb.load(DATA / "chrome.har")[0]
    item = fnb.Order.example().items[0]
    assert rec.items == [{"variant_id": item.variant_id, "quantity": item.quantity}]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"log": {}}', '{"log": {"entries": 7}}', "\0"])
def test_a_file_that_is_no_har_says_so(tmp_path, text):
    (tmp_path / "bad.har").write_text(text)
    recs = fnb.load(tmp_path / "bad.har")
    assert len(recs) == 0
    assert "is not a HAR file" in recs.warnings[0]


def test_a_har_without_orders_says_what_to_do(tmp_path):
    har = stored("chrome.har")
    har["log"]["entries"] = har["log"]["entries"][:1]
    (tmp_path / "none.har").write_text(json.dumps(har))
    assert "Open the network panel before you order" in fnb.load(tmp_path / "none.har").warnings[0]


def places(value, path=()):
    """Return each place of a JSON value."""
    yield path
    for key, one in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    ):
        yield from places(one, (*path, key))


PLACES = [path for path in places(order_of(stored("chrome.har"))) if path]
ODD = st.sampled_from([None, True, -1, 0, 2**70, 1e300, "", "x", [], {}, [None], [[]], {"text": 7}])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), odd=ODD)
def test_whatever_a_stranger_writes_loading_ends_in_a_recording_or_a_sentence(load, place, odd):
    def change(one):
        for key in place[:-1]:
            one = one[key]
        one[place[-1]] = odd

    if place == ("request", "method"):
        return
    recs = load(change)
    assert len(recs.orders) or recs.warnings
    assert len(recs.latency().table) >= 0
