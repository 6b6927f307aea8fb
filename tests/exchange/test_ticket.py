"""The ticket of an order: what is in it, what is not, and that it survives an e-mail."""

from __future__ import annotations

import asyncio
import re

import pytest

import firmly_nb as fnb
from firmly_nb.recorder.records import End, decode, encode
from tests.recorder.made_records import NAMES, SECOND, cart, event, start
from tests.recorder.order_server import CHUNKED, JWE, TOKEN, chunk, run
from tests.recorder.order_server import event as sent

PLACED = {"order": {"cart_id": "c-77", "platform_order_number": "100004711"}}
PERSONAL = ["Zoë O'Quill", "Zoë", "O'Quill", "zoe.oquill@planted.example", "99 Planted Way"]
HEAD = (
    "HTTP/1.1 200 OK\r\nVia: 1.1 squid\r\nVia: 1.0 edge\r\nX-Request-Id: up-1\r\n"
    f"Server: {TOKEN}\r\nX-Firmly-Trace: {JWE}\r\nSet-Cookie: sid=planted-cookie\r\n"
    "Authorization: planted-auth\r\nX-Firmly-Note: for 99%20Planted%20Way\r\n"
    "X-Served-By: zoe.oquill@planted.example\r\nX-Cache: card 4111 1111 1111 1111\r\n"
)


def recorded(head, *events, request_id="r-1", **changes):
    """Record an order whose server sends a head and events, each when the last one was read."""

    async def behave(wire):
        await wire.send(head)
        for number, one in enumerate(events):
            await wire.told(number)
            await wire.send(chunk(one))
        await wire.finish()

    return asyncio.run(run(behave, request_id=request_id, server="cc.example.test", **changes))


def placed(number=1, t_ns=10_000_001, **changes):
    events = [
        event(n, name, PLACED if n == 4 else cart(), t_ns=n * t_ns, coalesced=n == 3)
        for n, name in enumerate(NAMES, start=1)
    ]
    end = End("placed", 5 * t_ns, t_headers_ns=1_000_000, http_status=200)
    return fnb.Recording([start(number, request_id=f"q-{number}", **changes), *events, end])


@pytest.fixture(scope="module")
def hostile():
    """An order whose server repeats in its headers whatever it was sent."""
    rest = "Content-Type: text/event-stream\r\n" + CHUNKED
    events = [sent(name, PLACED if name == NAMES[-1] else {}) for name in NAMES]
    return recorded(HEAD + rest, *events, personal=PERSONAL)


def test_a_ticket_says_which_order_it_was_and_how_it_went(hostile):
    text = hostile.ticket()
    assert re.search(r"(?m)^When +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$", text)
    for label, value in {
        "Environment": "custom, cc.example.test",
        "Merchant": "shop.test",
        "Request id": "r-1",
        "Cart id": "c-77",
        "Order number": "100004711",
        "Order exists": "yes (order number)",
        "Outcome": "placed, HTTP 200, after order-placed",
    }.items():
        assert re.search(rf"(?m)^{label} +{re.escape(value)}$", text), text
    assert "  via: 1.1 squid\n  via: 1.0 edge\n  x-request-id: up-1\n" in text


def test_a_ticket_has_neither_secret_nor_personal_data(hostile):
    text = hostile.ticket()
    found = [
        trace for trace in ("planted", "zoe", "zo\\xeb", "quill", "4111") if trace in text.lower()
    ]
    assert not found, text
    assert "  x-firmly-note: for ***\n" in text


def test_headers_that_repeat_the_request_are_written_down_without_it(hostile):
    end = hostile.records()[-1]
    shown = f"{hostile.headers.to_csv()}{end!r}{encode(end).decode()}"
    for secret in (TOKEN, JWE, "planted-cookie", "planted-auth", "4111", "zoe.oquill"):
        assert secret not in shown
    table = hostile.headers.set_index("name")["value"]
    assert table["via"].tolist() == ["1.1 squid", "1.0 edge"]
    assert table["server"] == table["x-firmly-trace"] == table["x-cache"] == "[redacted]"
    assert table["x-firmly-note"] == "for ***"


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Slow Down", "502 Bad Gateway", "520 X"])
def test_a_gateway_that_refuses_tells_its_headers(status):
    page = "<html><title>No</title></html>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"

    async def behave(wire):
        await wire.send(f"{head}CF-RAY: 8f2a-FRA\r\nRetry-After: 7\r\n\r\n{page}")

    rec = asyncio.run(run(behave, request_id="r-2"))
    assert rec.headers.set_index("name")["value"]["cf-ray"] == "8f2a-FRA"
    assert rec.orders["proxies"].tolist() == ["cf-ray"]
    text = rec.ticket()
    assert "  retry-after: 7\n" in text
    assert re.search(rf"(?m)^Outcome +.*HTTP {status[:3]}\b", text)


def test_an_order_without_a_response_says_so():
    begun = start(1, request_id="q", server="cc.example.test")
    end = End("transport_error", SECOND, error_code="ConnectError", sent=False)
    text = fnb.Recording([begun, end]).ticket()
    assert re.search(r"(?m)^Outcome +\S.*ConnectError, no response$", text)
    assert text.endswith("Headers of the response\n  none\n")
    assert "recording cut off" in fnb.Recording([begun]).ticket()


def test_a_stage_without_a_time_has_a_reason_instead():
    lines = placed().ticket().splitlines()
    stages = [line.split(maxsplit=1)[1] for line in lines if line.strip().startswith(NAMES)]
    assert stages[0].startswith("10.0 ms")
    assert stages[2] == "not known: begin and end came together"


def test_a_ticket_is_plain_text_of_80_columns():
    wide = "漢字\u202e\x1b[31m " * 60
    begun = start(1, domain="a.test", request_id="q" * 200, server="s" * 100)
    end = End("placed", SECOND, http_status=200, headers=[["via", wide], ["server", "x" * 300]])
    events = [event(1, NAMES[0]), event(2, NAMES[-1], {"order": {"platform_order_number": wide}})]
    text = fnb.Recording([begun, *events, end]).ticket()
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert repr(text) == text
    assert "<pre>" in text._repr_html_()


def test_a_saved_header_is_masked_and_asked_by_sql(hostile, tmp_path):
    fnb.Recordings([hostile]).save(tmp_path / "set")
    loaded = fnb.load(tmp_path / "set")
    for table in (loaded.headers, loaded[0].headers, loaded.relation("headers").df()):
        said = dict(zip(table["name"], table["value"], strict=True))
        assert said["x-firmly-note"] == "for ***"
        assert table["value"].tolist()[:2] == ["1.1 squid", "1.0 edge"]
        assert list(table.columns) == ["recording_id", "name", "value"]
    assert len(loaded[:0].headers) == len(loaded[:0].relation("headers").df()) == 0
    assert loaded[0].ticket() == hostile.ticket()


def test_recordings_of_older_versions_have_no_headers():
    old = encode(placed().records()[-1]).replace(b',"headers":[]', b"")
    assert decode(old).headers == []


def test_a_header_in_a_journal_that_is_no_pair_is_passed_over():
    line = encode(End("placed", 1, headers=[["via", "x"]])).replace(
        b'["via","x"]', b'["via"],["a","b"]'
    )
    assert decode(line).headers == [["a", "b"]]


def test_the_command_prints_the_slowest_or_a_named_order(tmp_path, command):
    recs = [placed(1), placed(2, t_ns=90_000_000), placed(3)]
    fnb.Recordings(recs).save(tmp_path / "set")
    code, printed, said = command("ticket", tmp_path / "set")
    assert (printed, code) == (recs[1].ticket(), 0)
    assert "the slowest of 3 orders" in said
    for named in ("r3", "q-3"):
        assert command("ticket", tmp_path / "set", "--id", named)[1] == recs[2].ticket()
    code, _, said = command("ticket", tmp_path / "set", "--id", "r9")
    assert code == 2
    assert "No recording 'r9' in" in said
    assert "[FNB323]" in " ".join(said.split())
