"""Secrets and addresses of a HAR: taken out of the file, and never in what is loaded from it."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

import firmly_nb as fnb
from tests.api.test_personal import ECHOES, NAMES, PLANTED
from tests.exchange.test_har import problems

DATA = Path(__file__).parent / "data"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.planted-token-Zq7kP0vX.c2lnbmVk"
CARD = "eyJhbGciOiJSU0EifQ.a2V5.aXY.planted-card-Zq7k.dGFn"
COOKIE = "planted-cookie-Zq7kP0vX"
APP_ID = "5b0c0f6e-planted-4c1d"
CAPTCHA = "planted-captcha-Zq7k"
SECRETS = (TOKEN, CARD, COOKIE, APP_ID, CAPTCHA)
SENT = "2026-11-28T16:49:{seconds:06.3f}Z"
TRACES = ("zoe.oquill", "zoë", "quill", "5550147", "555-0147", "planted.example", "nted way")


def pairs(**values):
    return [{"name": name.replace("_", "-"), "value": value} for name, value in values.items()]


def entry(url, body, answer, mime="application/json", **more):
    return {
        "startedDateTime": SENT.format(seconds=10.986),
        "time": 500.0,
        "timings": {
            "blocked": 1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 9, "receive": 490,
        },
        "cache": {},
        "request": {
            "method": "POST",
            "url": url,
            "httpVersion": "h2",
            "headers": pairs(
                x_firmly_authorization=TOKEN, x_firmly_app_id=APP_ID,
                Authorization=f"Bearer {TOKEN}", cookie=f"sid={COOKIE}", accept="*/*",
                x_own_name=PLANTED["last_name"],
                referer=f"https://a.test/?email={quote(PLANTED['email'])}&token={COOKIE}",
            ),
            "cookies": pairs(sid=COOKIE),
            "queryString": pairs(access_token=TOKEN, email=PLANTED["email"], sse="true"),
            "postData": {"mimeType": "application/json", "params": [], "text": json.dumps(body)},
            "headersSize": -1,
            "bodySize": -1,
        },
        "response": {
            "status": 200,
            "statusText": "",
            "httpVersion": "h2",
            "headers": pairs(set_cookie=f"sid={COOKIE}; HttpOnly", via="1.1 squid", x_trace=TOKEN),
            "cookies": pairs(sid=COOKIE),
            "content": {"size": len(answer), "mimeType": mime, "text": answer},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        **more,
    }  # fmt: skip


def stream(way):
    """An event stream that repeats everything that it was told, in fields and in texts."""
    said = [way(PLANTED[name]) for name in NAMES]
    cart = {
        "notice": [*said, f"token {TOKEN}", f"card {CARD}"],
        "shipping_info": PLANTED,
        "payment_handle": "ab|cd-planted-handle",
        "cart_status": "active",
    }
    answer = {"order": {"platform_order_number": "7001", "note": " ".join(said)}}
    events = [("item-added", json.dumps({"cart": cart})), ("order-placed", json.dumps(answer))]
    return events, "".join(f"event: {name}\ndata: {data}\n\n" for name, data in events)


WAYS = sorted(ECHOES)


def placed(number, way):
    """An order of which everything is repeated in one way; each starts a little later."""
    events, text = stream(ECHOES[way])
    order = {
        "encrypted_card": CARD, "captcha_token": CAPTCHA, "shipping_info": PLANTED,
        "billing_info": PLANTED,
        "items": [{"add_to_cart_ref": {"variant_id": "v-1"}, "quantity": 2}],
    }  # fmt: skip
    messages = [
        {
            "time": 1795884551.058 + number / 10 + n / 10,
            "eventName": name,
            "eventId": "",
            "data": data,
        }
        for n, (name, data) in enumerate(events)
    ]
    where = "https://cc.firmly.work/api/v2/payment/domains/a.test/place-order"
    url = f"{where}?sse=true&access_token={TOKEN}"
    return entry(
        url, order, text, "text/event-stream",
        startedDateTime=SENT.format(seconds=10.986 + number / 10), _eventSourceMessages=messages,
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A HAR with secrets and addresses wherever one may be: in each way, one order."""
    form = entry("https://a.test/account", {}, "<p>thanks</p>", "text/html")
    form["request"]["postData"] = {
        "mimeType": "application/x-www-form-urlencoded",
        "text": f"email={quote(PLANTED['email'])}&lastName={quote(PLANTED['last_name'])}&q=tee",
        "params": pairs(email=PLANTED["email"], q="tee"),
    }
    coded = entry("https://a.test/api", {"firstName": PLANTED["first_name"]}, "")
    coded["response"]["content"] |= {
        "encoding": "base64",
        "text": base64.b64encode(
            json.dumps({"to": PLANTED["email"], "t": TOKEN}).encode()
        ).decode(),
    }
    har = {
        "log": {
            "version": "1.2",
            "creator": {"name": "WebInspector", "version": "537.36"},
            "pages": [],
            "entries": [*(placed(n, way) for n, way in enumerate(WAYS)), form, coded],
            "comment": f"of {PLANTED['email']}, with {COOKIE}",
        }
    }
    path = tmp_path_factory.mktemp("planted") / "planted.har"
    path.write_text(json.dumps(har))
    return path


@pytest.fixture(scope="module")
def loaded(planted):
    """What is loaded from it: an order for each way."""
    return fnb.load(planted)


def search(text):
    """Return which secrets and traces of the address a text has, however they are written."""
    found = [s for s in SECRETS for form in (s, quote(s, safe="")) if form in text]
    lower = text.lower() + json.dumps(text).lower()
    return found + [trace for trace in TRACES if trace in lower]


def every_string(value):
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from every_string(one)
    elif isinstance(value, list):
        for one in value:
            yield from every_string(one)
    elif isinstance(value, str):
        yield value
        if not value.startswith("http"):
            with suppress(ValueError):
                yield base64.b64decode(value, validate=True).decode()


def test_all_that_is_searched_for_is_there(planted, loaded):
    for one in json.loads(planted.read_text())["log"]["entries"][: len(WAYS)]:
        assert len(search(json.dumps(one))) >= len(SECRETS)
    assert loaded.orders["outcome"].tolist() == ["placed"] * len(WAYS)


@pytest.mark.parametrize("number", range(len(WAYS)), ids=WAYS)
def test_nothing_planted_is_kept_of_an_order(loaded, number):
    rec = loaded[number]
    told = [
        str(rec.records()), str(rec.warnings), str(rec.items), rec.events.to_csv(),
        rec.headers.to_csv(), repr(rec), rec._repr_html_(), rec.ticket(), rec.curl(),
    ]  # fmt: skip
    for text in told:
        assert search(text) == []
    assert rec.order_number == "7001"
    assert rec.items == [{"variant_id": "v-1", "quantity": 2}]
    assert rec.headers["value"].tolist() == ["1.1 squid"]


@pytest.mark.parametrize("orders", [1, len(WAYS)])
def test_nothing_planted_is_in_what_is_written_of_them(loaded, tmp_path, orders):
    recs = loaded[:orders]
    recs.save(tmp_path / "set", keep_personal=True)
    fnb.report(recs, tmp_path / "report.html", pictures=False)
    told = [
        recs.events.to_csv(), recs.orders.to_csv(), recs.headers.to_csv(), repr(recs),
        (tmp_path / "report.html").read_text(), recs.har(tmp_path / "again.har").read_text(),
        *(str(rec.records()) for rec in fnb.load(tmp_path / "set")),
    ]  # fmt: skip
    for text in told:
        assert search(text) == []


def test_nothing_planted_is_in_a_file_that_was_cleaned(planted, tmp_path, command):
    before = json.loads(planted.read_text())
    path = tmp_path / "planted.har"
    path.write_text(planted.read_text())
    code, said, _ = command("clean", path)
    assert code == 0
    assert "without secrets and addresses now" in said
    har = json.loads(path.read_text())
    for text in every_string(har):
        assert search(text) == [], text
    assert len(har["log"]["entries"]) == len(before["log"]["entries"])
    assert problems(har) == []
    again = command("clean", path)
    assert "nothing to take out" in again[1]
    # What was not private is there: the orders load with their times.
    recs = fnb.load(path)
    assert len(recs) == len(WAYS)
    for rec in recs:
        assert rec.order_number == "7001"
        assert rec.events["t_ms"].round().tolist() == [72.0, 172.0]


def test_the_same_recording_is_loaded_before_and_after(tmp_path, command):
    code, _, _ = command("clean", DATA / "chrome.har", "--output", tmp_path / "clean.har")
    assert code == 0
    whole, clean = fnb.load(DATA / "chrome.har"), fnb.load(tmp_path / "clean.har")
    start, *rest = whole[0].records()
    again, *others = clean[0].records()
    assert start == again
    # Of what came only the sizes differ: an address is longer than its mask.
    assert [replace(one, **{"size": 0} if hasattr(one, "size") else {}) for one in rest] == [
        replace(one, **{"size": 0} if hasattr(one, "size") else {}) for one in others
    ]
    entries = json.loads((tmp_path / "clean.har").read_text())["log"]["entries"]
    assert [one["time"] for one in entries] == [
        one["time"] for one in json.loads((DATA / "chrome.har").read_text())["log"]["entries"]
    ]


@pytest.mark.parametrize("text", ["", "[1]", '{"log": 7}'])
def test_a_file_that_is_no_har_is_left_as_it_is(tmp_path, command, text):
    (tmp_path / "a.har").write_text(text)
    code, _, said = command("clean", tmp_path / "a.har")
    assert code == 2
    assert "FNB440" in said
    assert (tmp_path / "a.har").read_text() == text


def test_a_file_that_is_missing_says_so(tmp_path, command):
    code, _, said = command("clean", tmp_path / "none.har")
    assert (code, "FNB440" in said) == (2, True)


def test_what_is_a_picture_is_taken_out(tmp_path, command):
    har = json.loads((DATA / "chrome.har").read_text())
    content = har["log"]["entries"][0]["response"]["content"]
    content |= {
        "mimeType": "image/png",
        "encoding": "base64",
        "text": base64.b64encode(b"\x89PNG\xff").decode(),
    }
    (tmp_path / "a.har").write_text(json.dumps(har))
    command("clean", tmp_path / "a.har")
    cleaned = json.loads((tmp_path / "a.har").read_text())["log"]["entries"][0]
    assert cleaned["response"]["content"]["text"] == ""
