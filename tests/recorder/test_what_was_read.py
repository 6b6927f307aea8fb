"""What was read of what servers, gateways and proxies send: one row a kind."""

from __future__ import annotations

import gzip
import json
import sys
import tracemalloc
import zlib

import pytest

import firmly_nb as fnb
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.widgets.cart_view import CartReading
from firmly_nb.wire import encodings
from tests.recorder.order_server import CHUNKED, STREAM, TOKEN, chunk, event, run

pytestmark = pytest.mark.anyio


def usd(minor):
    return {"currency": "USD", "number": minor, "value": minor / 100}


CART = {"cart_id": "c1", "cart_status": "active", "line_items": [], "total": usd(4699)}
ORDER = {**CART, "cart_status": "submitted", "platform_order_number": "T-1", "total": usd(5199)}
TEXT = json.dumps({"order": ORDER})


def placed(data):
    """Return a stream of a cart and an order, whose event has this data."""
    line = data if isinstance(data, bytes) else data.encode()
    events = [
        event("shipping-updated", {"cart": CART}),
        b"event: order-placed\ndata: %b\n\n" % line,
    ]

    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    return behave


# The data of order-placed, and why it was not read.
UNREAD = {
    "NaN": (TEXT.replace("5199", "NaN"), "NaN"),
    "infinity": (TEXT.replace("5199", "-Infinity"), "NaN"),
    "1e400": (TEXT.replace("5199", "1e400"), "1e400"),
    "half a surrogate pair": (TEXT.replace("T-1", r"\ud800"), "half a surrogate pair"),
    "broken UTF-8": (TEXT.encode().replace(b"T-1", b"T-\xff"), "not UTF-8"),
    "latin-1": (TEXT.replace("T-1", "Té1").encode("latin-1"), "not UTF-8"),
    "cut off": (TEXT[:60], "not whole JSON"),
    "cut off before any field": ('{"ord', "not whole JSON"),
    "two values": (TEXT + TEXT, "not whole JSON"),
    "single quotes": (TEXT.replace('"', "'"), "not whole JSON"),
    "a comma too many": (TEXT.replace("}}", "},}"), "not whole JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "not whole JSON"),
    "a script prefix": (")]}'," + TEXT, "not whole JSON"),
    "a page": ("<html><style>a{}</style></html>", "not whole JSON"),
    "JSON inside a text": (json.dumps(TEXT), "JSON inside a text"),
    "JSON inside a text, twice": (json.dumps(json.dumps(TEXT)), "JSON inside a text"),
    "JSON inside a field": (
        json.dumps({"order": TEXT}), "in the text at order, and not an object"),
    "a list": (json.dumps([{"order": ORDER}]), "a JSON list"),
    "an empty list": ("[]", "a JSON list"),
    "a list inside order": (json.dumps({"order": [ORDER]}), "at order[]"),
    "a number": ("7", "a JSON value"),
    "a truth value": ("true", "a JSON value"),
    "plain text": ("OK", "is text"),
    "camelCase": (
        json.dumps({"order": {"cartId": "c", "lineItems": []}}), "at order, in another spelling"),
    "nested too deeply": ('{"a":' * 2000 + "1" + "}" * 2000, "is nested too deeply"),
    "camelCase at the top": (json.dumps({"cartId": "c", "subTotal": usd(1)}), "at the top"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREAD)
async def test_nothing_takes_the_place_of_an_order_that_was_not_read(kind):
    data, reason = UNREAD[kind]
    rec = await run(placed(data))
    order = rec.summary()
    assert (order["order_number"], order["total_minor"], order["currency"]) == (None, None, None)
    assert (rec.outcome, rec.order_exists, rec.cart) == ("placed", "unknown", None)
    assert [len(rec.snapshots), rec.snapshots["seq"].tolist()] == [1, [1]]
    assert rec.checks.not_read["seq"].tolist() == [2]
    assert rec.checks.headline().endswith("; 1 cart not read")
    assert "The cart of event 2 was not read" in repr(rec.checks)
    assert rec.checks.findings["event"].eq("shipping-updated").all()
    (warning,) = rec.warnings
    assert warning.startswith("the cart of event 2 'order-placed' was not read: its")
    assert reason in warning
    with pytest.raises(LookupError, match="The cart of event 2 was not read: its"):
        rec.show_cart()
    assert "51.99" not in repr(rec)
    assert "46.99" not in repr(rec)


# A number is read wherever it stands; the cart only where carts are.
@pytest.mark.parametrize(
    "data",
    [
        {"data": {"order": ORDER}},
        {"result": {"cart": ORDER}},
        {"data": {"data": {"data": ORDER}}},
        {"type": "order", "payload": {"platform_order_number": "T-1", "total": usd(5199)}},
    ],
)
async def test_of_another_nesting_the_number_is_read_and_the_cart_is_not(data):
    rec = await run(placed(json.dumps(data)))
    assert (rec.order_number, rec.summary()["total_minor"], rec.cart) == ("T-1", None, None)
    assert "its cart is at" in rec.warnings[0]


# Data without a cart takes nothing away from the one before it.
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("message", "[DONE]"),
        ("message", "ping"),
        ("message", "7"),
        ("message", "[]"),
        ("message", '{"done": 1, "total": 4}'),
        ("note", '{"of": {"cart_id": "c1"}, "text": "line_items are counted"}'),
        ("error", '{"error": "ErrorStoreUnavailable", "cart_status": "active"}'),
        ("error", "declined"),
        ("order-placed", "{}"),
        ("order-placed", '{"merchant_custom_data": {"cart": {"line_items": []}}}'),
    ],
)
async def test_data_without_a_cart_is_not_called_unread(name, data):
    async def behave(wire):
        await wire.stream(event("shipping-updated", {"cart": CART}), event(name, data))
        await wire.finish()

    rec = await run(behave)
    assert (rec.summary()["total_minor"], rec.cart) == (4699, CART)
    assert rec.checks.not_read.empty
    assert not [warning for warning in rec.warnings if "not read" in warning]


async def test_a_cart_after_one_that_was_not_read_is_shown_and_not_compared_across_it():
    events = [
        event("item-added", {"cart": CART}),
        event("shipping-updated", "{"),
        event("order-placed", {"order": ORDER}),
    ]

    async def behave(wire):
        await wire.stream(*events)
        await wire.finish()

    rec = await run(behave)
    assert (rec.order_number, rec.summary()["total_minor"]) == ("T-1", 5199)
    assert not rec.checks.findings["check"].isin(["order-total", "lines-kept"]).any()
    with pytest.raises(LookupError, match="event 2 was not read"):
        rec.show_cart(2)


# What comes after an order of 51.99 USD, and the total of the order.
AFTERWARDS = {
    "the next cart": (ORDER, [("creating-cart", {"cart": {**CART, "cart_id": "c2"}})], 5199),
    "the same cart, as it was": (ORDER, [("shipping-updated", {"cart": CART})], 5199),
    "the order again, with another total": (
        ORDER, [("order-placed", {"order": {**ORDER, "total": usd(9999)}})], 5199),
    "the order again, unread": (ORDER, [("order-placed", '{"order": {"cart')], 5199),
    "the total of an order without one": (
        {"platform_order_number": "T-1"}, [("receipt", {"order": ORDER})], 5199),
    "the order with its number, after one without": (
        {"note": "done"}, [("order-placed", {"order": ORDER})], 5199),
    "another order's total": (
        {"platform_order_number": "T-1"},
        [("receipt", {"order": {**ORDER, "platform_order_number": "T-2"}})], None),
}  # fmt: skip


@pytest.mark.parametrize("kind", AFTERWARDS)
async def test_no_later_cart_takes_the_place_of_the_order(kind):
    order, later, total = AFTERWARDS[kind]

    async def behave(wire):
        await wire.stream(event("order-placed", {"order": order}), *(event(*one) for one in later))
        await wire.finish()

    rec = await run(behave)
    assert (rec.order_number, rec.summary()["total_minor"]) == ("T-1", total)
    assert rec.orders["total_minor"].isna().all() == (total is None)


async def test_a_currency_is_shown_at_the_length_of_a_name():
    behave = placed(json.dumps({"order": {**ORDER, "total": {**usd(5), "currency": "U" * 500}}}))
    assert len(repr(await run(behave)).partition(" · ")[0]) < 250


async def test_many_events_that_were_not_read_are_one_warning():
    async def behave(wire):
        await wire.stream(*[event("item-added", "{")] * 5)
        await wire.finish()

    rec = await run(behave)
    (warning,) = rec.warnings
    assert "event 1 'item-added', and of 4 events after it, was not read" in warning


@pytest.mark.parametrize("milestones", [["a", "done"], None])
async def test_a_milestone_of_ones_own_without_an_object_is_not_read(milestones):
    async def behave(wire):
        await wire.stream(event("a", {"cart": CART}), event("done", "fine"))
        await wire.finish()

    rec = await run(behave, milestones=milestones)
    assert rec.summary()["total_minor"] == (None if milestones else 4699)
    assert rec.checks.not_read["seq"].tolist() == ([2] if milestones else [])


async def test_a_saved_set_says_the_same(tmp_path):
    rec = await run(placed(TEXT[:60]))
    Recordings([rec]).save(tmp_path / "set")
    (again,) = fnb.load(tmp_path / "set")
    assert (again.cart, again.summary()["total_minor"], again.warnings) == (
        None,
        None,
        rec.warnings,
    )
    assert repr(again.checks) == repr(rec.checks)


async def test_the_view_of_carts_shows_no_other_cart_in_its_place():
    view = CartReading(await run(placed(TEXT[:60])))
    assert view.last == 2
    assert view.sheet(2) == {"seq": 2, "lines": None, "unread": "its data is not whole JSON"}
    assert "46.99" in view.text(1)
    assert "46.99" not in view.text(2) + view.html(2)
    assert "The cart was not read: its data is not whole JSON." in view.text(2)


def answer(status, body="", kind="text/html", **headers):
    """Return a response with this body."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]

    async def behave(wire):
        await wire.send("\r\n".join([*head, *lines, "", ""]).encode() + content)

    return behave


PAGE = "<!DOCTYPE html>\n<html><head><style>p{}</style>%s</head><body>%s</body></html>"
NGINX = PAGE % ("<title>502 Bad Gateway</title>", "<center><h1>502</h1></center>" + "<br>" * 200)
S3 = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No &amp; no</Message></Error>"
PROBLEM = {"type": "about:blank", "title": "Teapot", "status": 418, "detail": "short and stout"}

# What came; the error's kind, name and description, and whether there is an order.
REFUSED = {
    "code as the name": (
        answer(422, '{"code": "ErrorPaymentDeclined", "message": "no funds"}'),
        "PaymentDeclined", "ErrorPaymentDeclined", "no funds", "no"),
    "code inside error": (
        answer(502, '{"error": {"code": "ErrorPaymentDeclined", "message": "no funds"}}'),
        "PaymentDeclined", "ErrorPaymentDeclined", "no funds", "no"),
    "code inside errors": (
        answer(422, '{"errors": [{"code": "ErrorNotEnoughStock", "detail": "2 left"}]}'),
        "NotEnoughStock", "ErrorNotEnoughStock", "2 left", "no"),
    "a phrase beside the code": (
        answer(422, '{"error": "Unprocessable", "code": "ErrorPaymentDeclined"}'),
        "PaymentDeclined", "ErrorPaymentDeclined", "", "no"),
    "a number as code": (
        answer(500, '{"code": "500", "message": "boom"}'),
        "FirmlyError", "HTTP 500", "boom", "unknown"),
    "a problem document": (
        answer(418, json.dumps(PROBLEM), "application/problem+json"),
        "FirmlyError", "HTTP 418", "short and stout", "unknown"),
    "a page that limits the rate": (
        answer(429, PAGE % ("<title>Slow down</title>", "x")),
        "RateLimited", "HTTP 429", "Slow down", "no"),
    "an unknown name that limits the rate": (
        answer(429, '{"error": "Throttled"}'), "RateLimited", "Throttled", "", "no"),
    "an empty answer that limits the rate": (
        answer(429), "RateLimited", "HTTP 429", "empty body", "no"),
    "the page of a gateway": (
        answer(502, NGINX), "FirmlyError", "HTTP 502", "502 Bad Gateway", "unknown"),
    "a page with a heading only": (
        answer(504, PAGE % ("<title> </title>", "<h1 class='x'>Time&#39;s up</h1><p>Ray</p>")),
        "FirmlyError", "HTTP 504", "Time's up", "unknown"),
    "a page with neither": (
        answer(503, "<p>Be back\n<b>soon</b><script>track()</script></p>", "text/plain"),
        "FirmlyError", "HTTP 503", "Be back soon", "unknown"),
    "a page without text": (
        answer(503, "<html><script>x"), "FirmlyError", "HTTP 503", "a page without text",
        "unknown"),
    "XML": (
        answer(403, S3, "application/xml"), "FirmlyError", "HTTP 403", "AccessDenied No & no",
        "no"),
    "plain text": (
        answer(500, "upstream connect error", "text/plain"),
        "FirmlyError", "HTTP 500", "upstream connect error", "unknown"),
    "empty": (answer(500), "FirmlyError", "HTTP 500", "empty body", "unknown"),
    "a redirect": (
        answer(302, NGINX, Location="https://user:pw@login.test:8443/in/?token=x#y"),
        "FirmlyError", "HTTP 302", "it redirects to login.test/in/, which is not followed",
        "unknown"),
    "a redirect to a path": (
        answer(307, Location="/elsewhere"),
        "FirmlyError", "HTTP 307", "it redirects to /elsewhere, which is not followed", "unknown"),
    "a redirect to nowhere": (
        answer(301, NGINX),
        "FirmlyError", "HTTP 301", "it redirects without saying where to", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_an_error_says(kind):
    behave, error_type, name, description, exists = REFUSED[kind]
    rec = await run(behave)
    error = rec.error
    assert (type(error).__name__, error.error, error.description) == (error_type, name, description)
    assert (rec.outcome, rec.order_exists, rec.warnings) == ("http_error", exists, [])


async def test_the_page_of_a_gateway_holds_no_secret_in_another_writing():
    escaped = "".join(f"&#{ord(letter)};" for letter in TOKEN)
    rec = await run(answer(502, f"<title>{escaped} {TOKEN}</title>"))
    assert rec.error.description == "[redacted] [redacted]"


# Values of Content-Type, each in a header of its own, and whether an event stream is read.
STREAM_KINDS = {
    "the last of two": (["text/html", "text/event-stream"], True),
    "the first of two": (["text/event-stream", "text/html"], False),
    "the last of three": (["a/b", "text/html", "text/event-stream"], True),
    "one header with two": (["text/html, text/event-stream;charset=utf-8"], True),
    "a last one that is none": (["text/event-stream", "utf-8"], True),
    "a last one that is empty": (["text/event-stream", ""], True),
    "a last one that is any": (["text/event-stream", "*/*"], True),
    "a comma in a parameter": (['text/event-stream; x="a, text/html"'], True),
    "upper case": (["TEXT/HTML", "Text/Event-Stream"], True),
}


@pytest.mark.parametrize("kind", STREAM_KINDS)
async def test_the_last_content_type_counts(kind):
    values, is_stream = STREAM_KINDS[kind]
    lines = "".join(f"Content-Type: {value}\r\n" for value in values)

    async def behave(wire):
        await wire.send(f"HTTP/1.1 200 OK\r\n{lines}{CHUNKED}")
        await wire.send(chunk(event("order-placed", {"order": ORDER})))
        await wire.finish()

    rec = await run(behave)
    assert (rec.order_number, len(rec.events)) == (("T-1", 1) if is_stream else (None, 0))


# Bytes before an order-placed that is whole, bytes after it, and what is said of both.
LEFT_OVER = {
    "bare JSON": (b'{"error": "Busy"}\n\n', b"", ["18 bytes outside", '{"error": "Busy"}']),
    "JSON in lines": (b'{\n "error": "Busy"\n}\n', b"", ["21 bytes", '{ "error": "Busy" }']),
    "a page": (NGINX.encode() + b"\n", b"", ["outside", "502 Bad Gateway"]),
    "plain text": (b"upstream timed out\n", b"", ["19 bytes", "upstream timed out"]),
    "a name without data": (b"event: order-placed\n\n", b"", ["event: order-placed"]),
    "a field of a wrong name": (b'Data: {"a": 1}\n\n', b"", ["15 bytes", 'Data: {"a": 1}']),
    "a secret": (
        f'{{"payment_handle": "sesame", "x": "{TOKEN}"}}\n'.encode(), b"",
        ['"payment_handle": "[redacted]", "x": "[redacted]"']),
    "a secret where it is cut": (
        b"x" * 195 + TOKEN.encode() + b"\n", b"", ["xxx[red…"]),
    "an unfinished event": (
        b"", b'event: error\ndata: {"error": "Err', ["33 bytes of it", "event: error data: {"]),
    "an unfinished line": (b"", b"data", ["4 bytes of it came, beginning: data"]),
    "an unfinished page": (
        b"", b"<html><title>504 Time-out</title>", ["33 bytes of it", ": 504 Time-out"]),
    "an unfinished secret": (
        b"", f'data: {{"access_token": "{TOKEN}'.encode(), ['"access_token": "[redacted]"']),
    "a large unfinished event": (
        b"", b"event: big\ndata: " + b"y" * 300_000, ["bytes of it came", "event: big"]),
    "bare JSON without a line end": (b"", b'{"error": "Busy"}', ["17 bytes of it came", "Busy"]),
    "a heartbeat that was cut": (b"", b": pi", []),
    "an id alone": (b"id: 7\n\nretry: 3000\n\n", b"id: 8\n", []),
    "heartbeats": (b": hello\n\n:\n\n", b": bye\n", []),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEFT_OVER)
async def test_what_is_no_event_is_told(kind):
    before, after, told = LEFT_OVER[kind]
    pieces = [before, b"\n" + event("order-placed", {"order": ORDER}), after]

    async def behave(wire):
        await wire.stream(*filter(None, pieces))
        await wire.finish()

    rec = await run(behave)
    assert (rec.outcome, rec.order_number, rec.cart) == ("placed", "T-1", ORDER)
    assert len(rec.warnings) == bool(told)
    text = " ".join(rec.warnings)
    assert [words for words in told if words not in text] == []
    assert TOKEN[:8] not in text
    assert "sesame" not in text


def gzipped(*parts, flush=zlib.Z_SYNC_FLUSH):
    machine = zlib.compressobj(wbits=31)
    pieces = [machine.compress(part) + machine.flush(flush) for part in parts]
    return [*pieces, machine.flush()]


def raw(data):
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


def encoded(encoding, *chunks, kind="text/event-stream", status="200 OK"):
    async def behave(wire):
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Encoding: {encoding}\r\n"
        await wire.send(head + CHUNKED)
        for one in chunks:
            await wire.send(chunk(one))
        await wire.finish()

    return behave


EVENTS = [event("item-added", {"cart": CART}), event("order-placed", {"order": ORDER})]
WHOLE = b"".join(EVENTS)
# The encoding that is named, and the chunks that come.
READABLE = {
    "gzip": ("gzip", [gzip.compress(WHOLE)]),
    "x-gzip in upper case": ("X-GZIP", [gzip.compress(WHOLE)]),
    "gzip that is flushed after each event": ("gzip", gzipped(*EVENTS)),
    "gzip in two parts": ("gzip", [gzip.compress(EVENTS[0]), gzip.compress(EVENTS[1])]),
    "gzip in two parts of one chunk": (
        "gzip",
        [gzip.compress(EVENTS[0]) + gzip.compress(EVENTS[1])],
    ),
    "gzip byte by byte": ("gzip", [bytes([byte]) for byte in gzip.compress(WHOLE)]),
    "gzip with padding": ("gzip", [gzip.compress(WHOLE), b"\0" * 600, b"\x1f\x8a"]),
    "deflate with a header": ("deflate", [zlib.compress(WHOLE)]),
    "raw deflate": ("deflate", [raw(WHOLE)]),
    "deflate, then gzip": ("deflate, gzip", [gzip.compress(zlib.compress(WHOLE))]),
    "gzip twice, with identity": ("gzip, identity, gzip", [gzip.compress(gzip.compress(WHOLE))]),
}


@pytest.mark.parametrize("kind", READABLE)
async def test_a_compressed_stream_is_decoded(kind):
    encoding, chunks = READABLE[kind]
    rec = await run(encoded(encoding, *chunks))
    assert (rec.outcome, rec.order_number, rec.cart) == ("placed", "T-1", ORDER)
    assert rec.events["event"].tolist() == ["item-added", "order-placed"]
    (warning,) = rec.warnings
    assert warning.startswith("the response is compressed (")
    assert warning.endswith("times inside one compressed block are upper bounds")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_stream_that_only_says_that_it_is_compressed_is_read(encoding):
    rec = await run(encoded(encoding, *EVENTS))
    assert (rec.outcome, rec.order_number, rec.cart) == ("placed", "T-1", ORDER)
    assert rec.warnings == [f"the response says that it is compressed ({encoding}), but is not"]
    assert "compressed" not in set(rec.caveats["code"])


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("identity", []), ("", []), ("utf-8", ["the response has an unknown encoding (utf-8)"])],
)
async def test_what_is_no_encoding_changes_nothing(encoding, said):
    rec = await run(encoded(encoding, *EVENTS))
    assert (rec.order_number, len(rec.events)) == ("T-1", 2)
    assert [warning.partition(";")[0] for warning in rec.warnings] == said


async def test_the_time_of_a_block_that_came_in_pieces_is_an_upper_bound():
    """Nothing comes out of the first piece, so the event may be as old as that."""
    whole = gzip.compress(event("order-placed", {"order": ORDER}))

    async def behave(wire):
        await wire.send(f"{STREAM}Content-Encoding: gzip\r\n{CHUNKED}")
        await wire.send(chunk(gzip.compress(event("item-added"))) + chunk(whole[:10]))
        await wire.told(1)
        await wire.send(chunk(whole[10:]))
        await wire.finish()

    rec = await run(behave)
    first, second = rec.events["t_ms"]
    assert rec.events["uncertainty_us"].iloc[1] / 1000 >= (second - first) * 0.99


async def test_a_compressed_confirmation_and_a_compressed_error_are_read():
    body = gzip.compress(json.dumps(ORDER).encode())
    rec = await run(encoded("gzip", body, kind="application/json"), sse=False)
    assert (rec.outcome, rec.order_number, rec.cart) == ("placed", "T-1", ORDER)
    body = zlib.compress(b'{"error": "ErrorPaymentDeclined", "description": "no funds"}')
    rec = await run(encoded("deflate", body, kind="application/json", status="422 No"))
    assert (rec.error.error, rec.order_exists) == ("ErrorPaymentDeclined", "no")
    assert rec.warnings == ["the response is compressed (deflate) although identity was asked for"]


# Not decoded: what the error says, and whether there is an order.
@pytest.mark.parametrize(
    ("encoding", "status", "code", "said", "exists"),
    [
        ("compress", "200 OK", "UnreadableEncoding", "encoded with compress, which", "unknown"),
        ("dcz", "201 Created", "UnreadableEncoding", "encoded with dcz, which", "unknown"),
        ("gzip, x-compress", "200 OK", "UnreadableEncoding", "with compress, which", "unknown"),
        (", ".join(["gzip"] * 5), "200 OK", "UnreadableEncoding", "5 times over", "unknown"),
        ("compress", "503 Busy", "HTTP 503", "encoded with compress", "unknown"),
        ("compress", "422 No", "HTTP 422", "encoded with compress", "no"),
    ],
)
async def test_an_encoding_that_cannot_be_decoded_is_named(encoding, status, code, said, exists):
    rec = await run(encoded(encoding, b"\x1f\x9d\x90", status=status))
    assert (rec.outcome, rec.order_exists) == ("http_error", exists)
    assert (rec.error.error, said in rec.error.description) == (code, True)
    assert len(rec.events) == 0


@pytest.mark.parametrize("name", ["br", "zstd"])
async def test_an_encoding_of_a_library_that_is_not_installed_is_named(name, monkeypatch):
    for library in ("brotli", "brotlicffi", "zstandard", "compression.zstd"):
        monkeypatch.setitem(sys.modules, library, None)
    rec = await run(encoded(name, b"\x0b\x02\x80"))
    assert (rec.outcome, rec.order_exists) == ("http_error", "unknown")
    assert f"encoded with {name}, which cannot be decoded without the library" in repr(rec.error)


async def test_damaged_data_ends_the_order_and_keeps_what_came_before():
    pieces = gzipped(EVENTS[0])
    rec = await run(encoded("gzip", pieces[0], b"\xff" * 100))
    assert (rec.outcome, rec.order_exists, len(rec.events)) == ("transport_error", "unknown", 1)
    assert rec.error.error == "DecodingError"
    assert rec.error.description == "the gzip data of the response is damaged"


@pytest.mark.parametrize("cuts", [1, 40, 10_000])
async def test_what_damaged_data_holds_does_not_depend_on_how_it_came(cuts):
    whole = gzip.compress(WHOLE)[:-8] + b"\0" * 8
    pieces = [whole[at : at + cuts] for at in range(0, len(whole), cuts)]
    rec = await run(encoded("gzip", *pieces))
    assert (rec.outcome, rec.order_number, len(rec.events)) == ("placed", "T-1", 2)
    assert rec.warnings[-1] == "the gzip data of the response is damaged"


async def test_compressed_data_that_ends_too_early_says_so():
    rec = await run(encoded("gzip", *gzipped(*EVENTS)[:-1]))
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert rec.warnings[-1] == "the compressed response ended before its end"


LARGE = b"x" * 30_000_000
# What unfolds, how often it is packed, and what is said of it.
BOMBS = {
    "a comment": (b": " + LARGE + b"\n", 1, "above max_event_bytes=2097152"),
    "a comment, packed twice": (b": " + LARGE + b"\n", 2, "above max_event_bytes=2097152"),
    "an event": (b"data: " + LARGE + b"\n\n", 1, "above max_event_bytes=2097152"),
    "an event, packed three times": (b"data: " + LARGE + b"\n\n", 3, "above max_event_bytes"),
    "many events": (b"data:1\n\n" * 50_000, 1, "events beyond max_events=10."),
    "many events, packed twice": (b"data:1\n\n" * 50_000, 2, "events beyond max_events=10."),
}


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_read_to_its_end_and_takes_no_memory(kind, monkeypatch):
    monkeypatch.setattr(encodings, "PIECE_BYTES", 16_000)
    content, layers, said = BOMBS[kind]
    bomb = content + event("order-placed", {"order": ORDER})
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    behave = encoded(", ".join(["gzip"] * layers), bomb)
    tracemalloc.start()
    try:
        rec = await run(behave, max_events=10, timeout_s=300)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert any(said in words for words in rec.warnings)
    assert most < (3_000_000 if "events" in kind else 10_000_000)


async def test_an_event_larger_than_the_stream_may_be_is_dropped_by_that_limit():
    whole = event("order-placed", {"order": ORDER, "pad": "x" * 5_000})

    async def behave(wire):
        await wire.stream(whole)
        await wire.finish()

    rec = await run(behave, max_stream_bytes=1_000)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert any("above max_stream_bytes=1000. To keep more, pass max_st" in w for w in rec.warnings)


async def test_a_confirmation_beyond_its_limit_is_read_for_its_number():
    text = json.dumps({"pad": "x" * 200_000, **ORDER})
    for sse in (True, False):
        rec = await run(answer(200, text, "application/json"), max_event_bytes=1_000, sse=sse)
        assert (rec.outcome, rec.order_number) == ("placed", "T-1")
        assert rec.orders["order_latency_ms"].notna().all()


async def test_of_an_error_page_without_an_end_the_begin_is_enough():
    async def behave(wire):
        await wire.send(f"HTTP/1.1 502 Bad\r\nContent-Type: text/html\r\n{CHUNKED}")
        while True:
            await wire.send(chunk(b"<br>" * 10_000))

    rec = await run(behave)
    assert (rec.outcome, rec.order_exists) == ("http_error", "unknown")
    # The end was ours, and is in no time.
    assert rec.orders["order_latency_ms"].isna().all()
    assert rec.orders["stream_left_open"].all()


async def test_an_id_that_holds_for_every_event_counts_each_time():
    async def behave(wire):
        await wire.send(STREAM + "\r\nid: " + "n" * 1_000_000 + "\n")
        await wire.send("data: 1\n\n" * 100)
        await wire.send(event("order-placed", {"order": ORDER}))

    rec = await run(behave)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")
    assert len(rec.events) == 68  # 67 MB, and the one that tells the end
    assert max(len(each.id) for each in rec._events) == 1_000


@pytest.mark.parametrize(
    ("body", "number", "reason"),
    [
        ({"data": {"order": ORDER}}, "T-1", "at data.order"),
        (TEXT, None, "is JSON inside a text"),
        ([{"data": {"order": ORDER}}], "T-1", "at data.order"),
        ({"order": TEXT}, None, "at order"),
    ],
)
async def test_a_confirmation_that_was_not_read_says_so(body, number, reason):
    rec = await run(answer(200, json.dumps(body), "application/json"), sse=False)
    assert (rec.order_number, rec.cart, rec.summary()["total_minor"]) == (number, None, None)
    assert rec.warnings[0].startswith("the cart of the response was not read: its")
    assert reason in rec.warnings[0]
    assert rec.checks.not_read["event"].tolist() == ["confirmation"]


DECLINED = '{"code": "ErrorPaymentDeclined", "message": "no funds"}'
# JSON that is only called an event stream: how it ended, its number, its error.
BARE = {
    "on one line": (TEXT, "200", "placed", "T-1", None),
    "with a line end": (TEXT + "\n\n", "200", "placed", "T-1", None),
    "on many lines": (json.dumps({"order": ORDER}, indent=2), "201", "placed", "T-1", None),
    "a listed error": (DECLINED, "200", "http_error", None, "ErrorPaymentDeclined"),
    "a refusal": (DECLINED + "\n", "422", "http_error", None, "ErrorPaymentDeclined"),
    "a refusal with a number": (TEXT, "500", "http_error", "T-1", "HTTP 500"),
    "an error of no list": ('{"error": "Busy"}', "200", "incomplete", None, None),
    "half of it": (TEXT[:80], "200", "incomplete", None, None),
}


@pytest.mark.parametrize("kind", BARE)
async def test_json_that_is_only_called_an_event_stream_is_read(kind):
    body, status, outcome, number, error = BARE[kind]
    rec = await run(answer(status, body, "text/event-stream"))
    assert (rec.outcome, rec.order_number) == (outcome, number)
    assert (rec.error and rec.error.error) == error
    assert "beginning: {" in rec.warnings[-1]
