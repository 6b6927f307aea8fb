"""How an order ended, for what servers, gateways and proxies answer: one row a kind."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from firmly_nb.recordings.show import verdict
from tests.recorder.order_server import CHUNKED, TOKEN, chunk, event, run

pytestmark = pytest.mark.anyio

NUMBER = {"platform_order_number": "T-1", "cart_status": "submitted"}
DECLINED = {"code": 422, "error": "ErrorPaymentDeclined", "description": "no funds"}
WHOLE = [("creating-cart", {}), ("order-placed", {"order": NUMBER})]


def stream(events, status="200 OK", kind="text/event-stream"):
    async def behave(wire):
        await wire.send(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{CHUNKED}")
        for name, data in events:
            await wire.send(chunk(event(name, data)))
        await wire.finish()

    return behave


def body(content, status="200 OK", kind="application/json"):
    text = content if isinstance(content, str) else json.dumps(content)

    async def behave(wire):
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
        await wire.send(head + text)

    return behave


def answer(*pieces, end="close"):
    """Send bytes as they are; then close, reset or wait until the client has gone."""

    async def behave(wire):
        for piece in pieces:
            await wire.send(piece)
        if end == "reset":
            await wire.told(len(pieces) - 1)  # a reset takes with it what was not read yet
            wire.reset()
        elif end == "open":
            await wire.gone()

    return behave


def head(status="200 OK", **fields):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])


TYPE = {"Content_Type": "text/event-stream"}
JSON = {"Content_Type": "application/json"}
SSE = head(**TYPE)  # and the end of the connection is the end of the stream
DONE = event("order-placed", {"order": NUMBER})
CART = {"cart_id": "c", "cart_status": "active", "line_items": []}


def page(status, title="Bad"):
    return body(f"<html><title>{title}</title></html>", status, "text/html")


def error(name, code=422):
    return {"code": code, "error": name, "description": "so it is"}


# What came, how it ended, whether there is an order, its number, the error's name, what is said.
ROWS = {
    "201 with a whole stream": (
        stream(WHOLE, "201 Created"), "placed", "yes", "T-1", None, "HTTP 201"),
    "202 with a whole stream": (
        stream(WHOLE, "202 Accepted"), "placed", "yes", "T-1", None, "HTTP 202"),
    "206 with a whole stream": (
        stream(WHOLE, "206 Partial"), "placed", "yes", "T-1", None, "HTTP 206"),
    "201 with a confirmation": (
        body(NUMBER, "201 Created"), "placed", "yes", "T-1", None,
        "HTTP 201 with application/json"),
    "200 with a confirmation": (
        body({"order": NUMBER}), "placed", "yes", "T-1", None,
        "expected was HTTP 200 with text/event"),
    "200 with a confirmation that is called text": (
        body(NUMBER, kind="text/plain"), "placed", "yes", "T-1", None, "text/plain"),
    "200 with a listed error as JSON": (
        body(DECLINED), "http_error", "no", None, "ErrorPaymentDeclined", "application/json"),
    "200 with a cart as JSON": (
        body({"cart_id": "c", "cart_status": "active"}), "http_error", "unknown", None,
        "UnexpectedContentType", "application/json"),
    "200 with a page": (
        body("<html>hello</html>", kind="text/html"), "http_error", "unknown", None,
        "UnexpectedContentType", "text/html"),
    "422 as a stream with an error event": (
        stream([("error", DECLINED)], "422 No"), "http_error", "no", None, "ErrorPaymentDeclined",
        ""),
    "400 as a stream without an error event": (
        stream([("note", {})], "400 No"), "http_error", "no", None, "HTTP 400", ""),
    "502 as a stream with an error event": (
        stream([("error", {"error": "BadGateway"})], "502 No"), "http_error", "unknown", None,
        "BadGateway", ""),
    "500 as a stream with a listed error": (
        stream([("error", DECLINED)], "500 No"), "http_error", "no", None, "ErrorPaymentDeclined",
        ""),
    "400 as a stream with an order number": (
        stream(WHOLE, "400 No"), "http_error", "yes", "T-1", "HTTP 400", ""),
    "events of unknown names with an order number": (
        stream([("cart-created", {}), ("line-added", {}), ("order_placed", NUMBER)]),
        "placed", "yes", "T-1", None,
        "milestones=['cart-created', 'line-added', 'order_placed']"),
    "an event without a name with an order number": (
        stream([("message", {"order": NUMBER})]), "placed", "yes", "T-1", None, "'message'"),
    "an unknown name with a number of an active cart": (
        stream([("cart", {"cart": {**NUMBER, "cart_status": "active"}})]), "incomplete", "yes",
        "T-1",
        None, "the cart of order T-1 is 'active', not 'submitted'"),
    "an unknown name with a listed error": (
        stream([("creating-cart", {}), ("order-failed", DECLINED)]), "error_event", "no", None,
        "ErrorPaymentDeclined", "'order-failed'"),
    "an unknown name with an error of no list": (
        stream([("note", {"error": "of our own"})]), "incomplete", "unknown", None, None,
        "'note', with the error of our own, is no known event name"),
    "a listed error under an unknown name, then placed": (
        stream([("warning", DECLINED), *WHOLE]), "placed", "yes", "T-1", None,
        "'warning' came before the order was placed, with the error ErrorPaymentDeclined"),
    "an order number under an unknown name, then placed": (
        stream([("payment", NUMBER), *WHOLE]), "placed", "yes", "T-1", None, ""),
    "an order number under an unknown name, then an error event": (
        stream([("payment", NUMBER), ("error", DECLINED)]), "error_event", "yes", "T-1",
        "ErrorPaymentDeclined", ""),
    "placed twice with one number": (
        stream([*WHOLE, WHOLE[-1]]), "placed", "yes", "T-1", None, "came 2 times"),
    "placed twice with two numbers": (
        stream([*WHOLE, ("order-placed", {"platform_order_number": "T-2"})]), "placed", "yes",
        "T-1",
        None, "2 orders may exist: T-1 and T-2"),
    "placed three times with three numbers": (
        stream([("order-placed", {"platform_order_number": f"T-{n}"}) for n in (1, 2, 3)]),
        "placed", "yes", "T-1", None, "3 orders may exist: T-1 and T-2 and T-3"),
    "placed without a number": (
        stream([("order-placed", {"cart_status": "active"})]), "placed", "unknown", None, None, ""),
}  # fmt: skip


# More of the same, by what is unusual about it.
MORE_ROWS = {
    # Statuses.
    "203 with a whole stream": (
        stream(WHOLE, "203 Transformed"), "placed", "yes", "T-1", None, "HTTP 203"),
    "204 without a body": (
        answer(head("204 No Content")), "http_error", "unknown", None, "HTTP 204", "HTTP 204"),
    "205 without a body": (
        answer(head("205 Reset", Content_Length=0)), "http_error", "unknown", None, "HTTP 205",
        "HTTP 205"),
    "299 with a whole stream": (
        stream(WHOLE, "299 Ours"), "placed", "yes", "T-1", None, "HTTP 299"),
    "301 to another place": (
        answer(head("301 Moved", Location="/else", Content_Length=0)), "http_error", "unknown",
        None, "HTTP 301", ""),
    "304 not modified": (
        answer(head("304 Not Modified")), "http_error", "unknown", None, "HTTP 304", ""),
    "402 with a listed error": (
        body(error("ErrorPaymentDeclined"), "402 Pay"), "http_error", "no", None,
        "ErrorPaymentDeclined", ""),
    "402 with a page": (page("402 Pay"), "http_error", "unknown", None, "HTTP 402", ""),
    "407 of a proxy": (page("407 Proxy"), "http_error", "unknown", None, "HTTP 407", ""),
    "408 with a page": (page("408 Slow"), "http_error", "unknown", None, "HTTP 408", ""),
    "411 without a body": (
        answer(head("411 Length", Content_Length=0)), "http_error", "unknown", None, "HTTP 411",
        ""),
    "413 of a gateway": (page("413 Large"), "http_error", "no", None, "HTTP 413", ""),
    "425 too early": (page("425 Early"), "http_error", "unknown", None, "HTTP 425", ""),
    "429 with a page": (page("429 Many"), "http_error", "no", None, "HTTP 429", ""),
    "431 of a gateway": (page("431 Headers"), "http_error", "no", None, "HTTP 431", ""),
    "499 of a gateway": (page("499 Gone"), "http_error", "unknown", None, "HTTP 499", ""),
    "500 with a listed 4xx error": (
        body(error("TokenExpired", 401), "500 No"), "http_error", "unknown", None,
        "TokenExpired", ""),
    "502 with an order number": (
        body({"order": NUMBER}, "502 Bad"), "http_error", "yes", "T-1", "HTTP 502", ""),
    "504 with a cart": (
        body({"cart": CART}, "504 Late"), "http_error", "unknown", None, "HTTP 504", ""),
    "520 of a gateway": (page("520 Unknown"), "http_error", "unknown", None, "HTTP 520", ""),
    "599 without a body": (
        answer(head("599 ?", Content_Length=0)), "http_error", "unknown", None, "HTTP 599", ""),
    "200 after 100 and 103": (
        answer(head("100 Continue"), head("103 Early Hints", Link="</a>"), SSE, DONE), "placed",
        "yes", "T-1", None, ""),
    "a status without words": (
        answer(head("200", **TYPE), DONE), "placed", "yes", "T-1", None, ""),
    # Headers.
    "a type in capitals with parameters": (
        answer(head(Content_Type="Text/Event-Stream;charset=UTF-8"), DONE), "placed", "yes",
        "T-1", None, ""),
    "a stream without a type": (
        answer(head(), DONE), "placed", "yes", "T-1", None, "no content type"),
    "a stream that is called text": (
        answer(head(Content_Type="text/plain"), DONE), "placed", "yes", "T-1", None,
        "text/plain"),
    "a stream of bytes that begins with a heartbeat": (
        answer(head(Content_Type="application/octet-stream"), ":\n\n", DONE), "placed", "yes",
        "T-1", None, "application/octet-stream"),
    "a stream without a type that comes byte by byte": (
        answer(head(), *[bytes([byte]) for byte in b"\xef\xbb\xbf" + DONE]), "placed", "yes",
        "T-1", None, "no content type"),
    "a refusal as a stream that is called text": (
        answer(head("422 No", Content_Type="text/plain"), event("error", DECLINED)), "http_error",
        "no", None, "ErrorPaymentDeclined", ""),
    "a stream that is called a page": (
        answer(head(Content_Type="text/html"), DONE), "http_error", "unknown", None,
        "UnexpectedContentType", "text/html"),
    "text that is no stream": (
        body("event of the year", kind="text/plain"), "http_error", "unknown", None,
        "UnexpectedContentType", "text/plain"),
    "a number on one of several lines of JSON": (
        body('{"done": 1}\n' + json.dumps(NUMBER) + "\n", kind="application/x-ndjson"), "placed",
        "yes", "T-1", None, "x-ndjson"),
    "a listed error on one of several lines of JSON": (
        body('{"done": 1}\n' + json.dumps(DECLINED), kind="application/json"), "http_error", "no",
        None, "ErrorPaymentDeclined", "application/json"),
    "a confirmation with an error beside its number": (
        body({"order": NUMBER, **DECLINED}), "placed", "yes", "T-1", None,
        "has an error beside its number: ErrorPaymentDeclined"),
    "200 with an error of no list": (
        body({"code": 500, "error": "InternalError"}), "http_error", "unknown", None,
        "UnexpectedContentType", "application/json"),
    "a confirmation without a type": (
        answer(head(), json.dumps(NUMBER)), "placed", "yes", "T-1", None, "no content type"),
    "a confirmation of a type of its own": (
        body(NUMBER, kind="application/vnd.shop+json"), "placed", "yes", "T-1", None, "vnd.shop"),
    "a header that is long": (
        answer(head(**TYPE, X_Long="x" * 20_000), DONE), "placed", "yes", "T-1", None, ""),
    "a header twice": (
        answer("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Type: text/event-stream\r\n\r\n",
               DONE), "placed", "yes", "T-1", None, ""),
    "an older HTTP": (
        answer(f"HTTP/1.0{SSE[8:]}", DONE), "placed", "yes", "T-1", None, ""),
    # Framing.
    "a newer HTTP": (
        answer(b"\0\0\x12\4\0\0\0\0\0"), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "a length below zero": (
        answer(head(**TYPE, Content_Length=-1), DONE), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "a broken chunk after the success": (
        answer(SSE[:-2] + CHUNKED, chunk(DONE), "zz\r\n"), "placed", "yes", "T-1", None, ""),
    "a stream of a known length": (
        answer(head(**TYPE, Content_Length=len(DONE)), DONE), "placed", "yes", "T-1", None, ""),
    "a stream that is shorter than its length": (
        answer(head(**TYPE, Content_Length=9_999), DONE), "placed", "yes", "T-1", None, ""),
    "a stream that is shorter than its length, before any success": (
        answer(head(**TYPE, Content_Length=9_999), event("creating-cart")), "transport_error",
        "unknown", None, "RemoteProtocolError", ""),
    "a whole confirmation that is shorter than its length": (
        answer(head(**JSON, Content_Length=9_999), json.dumps(NUMBER)), "transport_error", "yes",
        "T-1", "RemoteProtocolError", "expected"),
    "a whole confirmation, then silence": (
        answer(head(**JSON), json.dumps(NUMBER), end="open"), "timeout", "yes", "T-1", "Timeout",
        "expected"),
    "a whole confirmation in an error, then silence": (
        answer(head("502 Bad", **JSON), json.dumps(NUMBER), end="open"), "timeout", "yes", "T-1",
        "Timeout", "the response was HTTP 502, and did not end"),
    "half a confirmation": (
        answer(head(**JSON, Content_Length=9_999), json.dumps(NUMBER)[:-1]), "transport_error",
        "unknown", None, "RemoteProtocolError", "expected"),
    "chunks without an end": (
        answer(SSE[:-2] + CHUNKED, chunk(event("creating-cart"))), "transport_error", "unknown",
        None, "RemoteProtocolError", ""),
    "chunks with extensions and trailers": (
        answer(SSE[:-2] + CHUNKED, b"%x;a=b\r\n%s\r\n" % (len(DONE), DONE),
               "0\r\nX-Sum: 1\r\n\r\n"), "placed", "yes", "T-1", None, ""),
    "no HTTP": (
        answer("SSH-2.0-OpenSSH\r\n\r\n"), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "nothing at all": (
        answer(), "transport_error", "unknown", None, "RemoteProtocolError", ""),
    "half a head": (
        answer("HTTP/1.1 200 OK\r\nContent-Ty"), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "an empty stream": (answer(SSE), "incomplete", "unknown", None, None, ""),
    "heartbeats and nothing else": (
        answer(SSE, ": beat\n\n" * 3), "incomplete", "unknown", None, None, ""),
    "a success that is not ended": (
        answer(SSE, DONE[:-1]), "incomplete", "unknown", None, None, "the last event did not end"),
    "a success after half an event": (
        answer(SSE, "event: note\ndata: {\n\n", DONE), "placed", "yes", "T-1", None,
        "of event 1 'note' was not read"),
    "more after the success": (
        stream([*WHOLE, ("survey", {"stars": 5})]), "placed", "yes", "T-1", None, ""),
    # Encodings.
    "a byte order mark": (
        answer(SSE, b"\xef\xbb\xbf", DONE), "placed", "yes", "T-1", None, ""),
    "line ends of a carriage return": (
        answer(SSE, DONE.replace(b"\n", b"\r")), "placed", "yes", "T-1", None, ""),
    "data on several lines": (
        answer(SSE, 'event: order-placed\ndata: {"platform_order_number":\ndata: "T-1"}\n\n'),
        "placed", "yes", "T-1", None, ""),
    "a number beside broken UTF-8": (
        answer(SSE, b'event: order-placed\ndata: {"platform_order_number": "T-1", "": "\xff"}\n\n'),
        "placed", "unknown", None, None, "has bytes that are not UTF-8"),
    "escapes in the number": (
        answer(SSE, 'event: order-placed\ndata: {"platform_order_number": "\\u0054-1"}\n\n'),
        "placed", "yes", "T-1", None, ""),
    "a byte order mark before a confirmation": (
        answer(head(**JSON), b"\xef\xbb\xbf", json.dumps(NUMBER)), "placed", "yes", "T-1", None,
        "expected"),
    "a byte order mark before an error": (
        answer(head("422 No", **JSON), b"\xef\xbb\xbf", json.dumps(DECLINED)), "http_error", "no",
        None, "ErrorPaymentDeclined", ""),
    # Names.
    "a success with a blank behind it": (
        answer(SSE, DONE.replace(b"placed", b"placed ")), "placed", "yes", "T-1", None,
        "'order-placed '"),
    "a success that was first named otherwise": (
        answer(SSE, b"event: note\n", DONE), "placed", "yes", "T-1", None, ""),
    "the other vocabulary": (
        stream([("order_processing", {}), ("payment_processing", {}),
                ("order_completed", {"order": NUMBER})]), "placed", "yes", "T-1", None, ""),
    "both vocabularies say placed": (
        stream([*WHOLE, ("order_completed", {"order": NUMBER})]), "placed", "yes", "T-1", None,
        ""),
    "a success in capitals": (
        stream([("Order-Placed", {"order": NUMBER})]), "placed", "yes", "T-1", None,
        "'Order-Placed'"),
    "an error in capitals": (
        stream([("Error", DECLINED)]), "error_event", "no", None, "ErrorPaymentDeclined",
        "'Error'"),
    "events without names, then an order number": (
        stream([("message", {"type": "creating-cart"}), ("message", {"order": NUMBER})]),
        "placed", "yes", "T-1", None, "Events before it have the same name"),
    "an error in an envelope": (
        stream([("message", {"event": "error", "data": DECLINED})]), "error_event", "no", None,
        "ErrorPaymentDeclined", "'message'"),
    "an error in a list": (
        stream([("error", [DECLINED])]), "error_event", "no", None, "ErrorPaymentDeclined", ""),
    "an error without a name": (
        stream([("message", DECLINED)]), "error_event", "no", None, "ErrorPaymentDeclined",
        "'message'"),
    "a milestone with a listed error": (
        stream([("item-added", DECLINED)]), "incomplete", "unknown", None, None,
        "'item-added', with the error ErrorPaymentDeclined, is a milestone, and no end of"),
    "a milestone with an order number": (
        stream([("shipping-updated", {"cart": NUMBER})]), "incomplete", "yes", "T-1", None, ""),
    "a failure of no list under an unknown name": (
        stream([("payment_failed", {"error": "OfOurOwn"})]), "incomplete", "unknown", None, None,
        "'payment_failed', with the error OfOurOwn, is no known event name, and was not taken"),
    # Shapes.
    "a number that is true": (
        stream([("order-placed", {"platform_order_number": True})]), "placed", "unknown", None,
        None, ""),
    "a number that is an object": (
        stream([("order-placed", {"platform_order_number": {"id": 1}})]), "placed", "unknown",
        None, None, ""),
    "a confirmation in a list": (
        body([NUMBER]), "placed", "yes", "T-1", None, "expected"),
    "a confirmation that is null": (
        body("null"), "http_error", "unknown", None, "UnexpectedContentType", "expected"),
    "an error event, then a number under an unknown name": (
        stream([("error", DECLINED), ("receipt", NUMBER)]), "error_event", "yes", "T-1",
        "ErrorPaymentDeclined", ""),
    "a number that is a number": (
        stream([("order-placed", {"order": {"platform_order_number": 7001}})]), "placed", "yes",
        "7001", None, ""),
    "a number of blanks": (
        stream([("order-placed", {"platform_order_number": "  "})]), "placed", "unknown", None,
        None, ""),
    "a number that is called null": (
        stream([("order-placed", {"platform_order_number": "null"})]), "placed", "unknown", None,
        None, ""),
    "a number that is called undefined": (
        stream([("receipt", {"platform_order_number": "undefined"})]), "incomplete", "unknown",
        None, None, ""),
    "a number that is null": (
        stream([("order-placed", {"platform_order_number": None})]), "placed", "unknown", None,
        None, ""),
    "a number in a list": (
        stream([("order-placed", [NUMBER])]), "placed", "unknown", None, None,
        "its data is a JSON list"),
    "a number some levels down": (
        stream([("order-placed", {"data": {"result": {"order": NUMBER}}})]), "placed", "yes",
        "T-1", None, "its cart is at data.result.order"),
    "a success without data": (
        answer(SSE, "event: order-placed\ndata\n\n"), "placed", "unknown", None, None, ""),
    "a success whose data is null": (
        stream([("order-placed", "null")]), "placed", "unknown", None, None, ""),
    "an error without a name inside": (
        stream([("error", {})]), "error_event", "unknown", None, "UnknownError", ""),
    "an error whose data is a text": (
        stream([("error", '"ErrorPaymentDeclined"')]), "error_event", "unknown", None,
        "UnknownError", ""),
    "an error event of a gateway": (
        stream([("error", error("GatewayTimeout", 504))]), "error_event", "unknown", None,
        "GatewayTimeout", ""),
    "an error event of the API's own failure": (
        stream([("error", error("InternalError", 500))]), "error_event", "unknown", None,
        "InternalError", ""),
    "an error event with an order number": (
        stream([("error", {**DECLINED, **NUMBER})]), "error_event", "yes", "T-1",
        "ErrorPaymentDeclined", ""),
    "an error event inside an object": (
        stream([("error", {"error": DECLINED})]), "error_event", "no", None,
        "ErrorPaymentDeclined", ""),
    "two error events": (
        stream([("error", error("ErrorNotEnoughStock")), ("error", DECLINED)]), "error_event",
        "no", None, "ErrorNotEnoughStock", ""),
    "an error event, then placed": (
        stream([("error", DECLINED), *WHOLE]), "placed", "yes", "T-1", None,
        "came after an error event"),
    "placed, then an error event": (
        stream([*WHOLE, ("error", error("InternalError", 500))]), "placed", "yes", "T-1", None,
        "after the order was placed"),
    "placed without a number, then an error event": (
        stream([("order-placed", {}), ("error", DECLINED)]), "placed", "unknown", None, None,
        "after the order was placed"),
    "placed without a number, then with one": (
        stream([("order-placed", {}), WHOLE[-1]]), "placed", "yes", "T-1", None, "came 2 times"),
    # Ends.
    "a reset before anything": (
        answer(end="reset"), "transport_error", "unknown", None, "ReadError", ""),
    "a reset after a cart": (
        answer(SSE, event("creating-cart", {"cart": CART}), end="reset"), "transport_error",
        "unknown", None, "ReadError", ""),
    "a reset after the success": (
        answer(SSE, DONE, end="reset"), "placed", "yes", "T-1", None, ""),
    "a reset after an error event": (
        answer(SSE, event("error", DECLINED), end="reset"), "error_event", "no", None,
        "ErrorPaymentDeclined", ""),
    "a reset after a number under an unknown name": (
        answer(SSE, event("receipt", NUMBER), end="reset"), "placed", "yes", "T-1", None,
        "'receipt'"),
    "silence after the request": (
        answer(end="open"), "timeout", "unknown", None, "Timeout", ""),
    "silence after the head": (
        answer(SSE, end="open"), "timeout", "unknown", None, "Timeout", ""),
    "silence in a confirmation": (
        answer(head(**JSON, Content_Length=99), "{", end="open"), "timeout", "unknown", None,
        "Timeout", "expected"),
    "silence in an error": (
        answer(head("422 No", Content_Length=99), "{", end="open"), "timeout", "no", None,
        "Timeout", "the response was HTTP 422, and did not end"),
    "a stream left open after the success": (
        answer(SSE, DONE, end="open"), "placed", "yes", "T-1", None, "left the stream open"),
    "a stream left open after a number under an unknown name": (
        answer(SSE, event("receipt", NUMBER), end="open"), "placed", "yes", "T-1", None,
        "left the stream open"),
    "201 with nothing but a place": (
        answer(head("201 Created", Location="/orders/7", Content_Length=0)), "http_error",
        "unknown", None, "HTTP 201", "with no content type"),
    "202 with a status": (
        body({"status": "pending"}, "202 Accepted"), "http_error", "unknown", None, "HTTP 202",
        "the response was HTTP 202"),
    "207 with a whole stream": (
        answer(head("207 Multi", **TYPE), DONE), "placed", "yes", "T-1", None, "HTTP 207"),
    "226 with a confirmation": (
        body({"order": NUMBER}, "226 IM Used"), "placed", "yes", "T-1", None, "HTTP 226"),
    "302 to a login": (
        answer(head("302 Found", Location="https://login.test/sso", Content_Length=0)),
        "http_error", "unknown", None, "HTTP 302", ""),
    "308 with an order number": (
        body({"order": NUMBER}, "308 There"), "http_error", "yes", "T-1", "HTTP 308", ""),
    "403 with a page": (page("403 No"), "http_error", "no", None, "HTTP 403", ""),
    "406 with a page": (page("406 No"), "http_error", "unknown", None, "HTTP 406", ""),
    "410 with a page": (page("410 Gone"), "http_error", "unknown", None, "HTTP 410", ""),
    "412 with a page": (page("412 No"), "http_error", "unknown", None, "HTTP 412", ""),
    "421 with a page": (page("421 Not here"), "http_error", "unknown", None, "HTTP 421", ""),
    "451 with a page": (page("451 Law"), "http_error", "unknown", None, "HTTP 451", ""),
    "460 of a balancer": (page("460 Gone"), "http_error", "unknown", None, "HTTP 460", ""),
    "501 with a page": (page("501 What"), "http_error", "unknown", None, "HTTP 501", ""),
    "511 of a portal": (page("511 Login"), "http_error", "unknown", None, "HTTP 511", ""),
    "524 of a gateway": (page("524 Late"), "http_error", "unknown", None, "HTTP 524", ""),
    "529 of a gateway": (page("529 Full"), "http_error", "unknown", None, "HTTP 529", ""),
    "999 without a body": (
        answer(head("999 X", Content_Length=0)), "http_error", "unknown", None, "HTTP 999", ""),
    "a status below all": (
        answer(head("099 X", Content_Length=0)), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "another protocol from now on": (
        answer(head("101 Now", Upgrade="websocket", Connection="Upgrade")), "transport_error",
        "unknown", None, "RemoteProtocolError", ""),
    "lines of JSON with the order": (
        answer(head(Content_Type="application/x-ndjson"),
               json.dumps({"event": "item-added"}) + "\n" + json.dumps({"order": NUMBER}) + "\n"),
        "placed", "yes", "T-1", None, "application/x-ndjson"),
    "a confirmation in XML": (
        answer(head(Content_Type="application/xml"),
               "<order><platform_order_number>T-1</platform_order_number></order>"),
        "http_error", "unknown", None, "UnexpectedContentType", "application/xml"),
    "a confirmation in a call of a script": (
        answer(head(Content_Type="application/javascript"), 'cb({"order": 1})'),
        "http_error", "unknown", None, "UnexpectedContentType", "application/javascript"),
    "a confirmation behind a guard": (
        answer(head(**JSON), ")]}',\n" + json.dumps({"order": NUMBER})),
        "placed", "yes", "T-1", None, "application/json"),
    "a stream in UTF-16": (
        answer(SSE, DONE.decode().encode("utf-16")), "incomplete", "unknown", None, None,
        "bytes outside its events"),
    "a cart in Latin-1, then placed": (
        answer(SSE, 'event: item-added\ndata: {"a": "Zo\xeb"}\n\n'.encode("latin-1") + DONE),
        "placed", "yes", "T-1", None, "not UTF-8"),
    "a page as data of a success": (
        stream([("order-placed", "<html><title>504</title></html>")]), "placed", "unknown", None,
        None, "its data is text"),
    "a page in a stream": (
        answer(SSE, "<html><title>504 Late</title></html>"), "incomplete", "unknown", None, None,
        "504 Late"),
    "a confirmation in a stream": (
        answer(SSE, json.dumps({"order": NUMBER})), "placed", "yes", "T-1", None, "did not end"),
    "a name in another style with an order number": (
        stream([("orderPlaced", {"order": NUMBER})]), "placed", "yes", "T-1", None,
        "milestones=['orderPlaced']"),
    "a success inside an envelope that is a text": (
        stream([("", {"type": "order-placed", "data": json.dumps({"order": NUMBER})})]),
        "incomplete", "unknown", None, None, "in the text at data"),
    "a success as JSON inside a text, twice": (
        stream([("order-placed", json.dumps(json.dumps(json.dumps({"order": NUMBER}))))]),
        "placed", "unknown", None, None, "JSON inside a text"),
    "a success with a comma too many": (
        stream([("order-placed", '{"order": {"platform_order_number": "T-1",}}')]), "placed",
        "unknown", None, None, "not whole JSON"),
    "two numbers under one name in JSON": (
        stream([("order-placed",
                 '{"order": {"platform_order_number": "T-9", "platform_order_number": "T-1"}}')]),
        "placed", "yes", "T-1", None, ""),
    "the order number in a heartbeat": (
        answer(SSE, ": " + json.dumps({"order": NUMBER}) + "\n\n"), "incomplete", "unknown", None,
        None, ""),
    "a success with a part of its end": (
        answer(SSE, DONE[:-1]), "incomplete", "unknown", None, None, "did not end"),
    "an error event with a list": (
        stream([("error", [error("ErrorPaymentDeclined")])]), "error_event", "no", None,
        "ErrorPaymentDeclined", ""),
    "an error event with a code alone": (
        stream([("error", {"code": 422, "message": "no"})]), "error_event", "unknown", None,
        "UnknownError", ""),
    "an event that says that it failed": (
        stream([("result", {"success": False})]), "incomplete", "unknown", None, None,
        "'result', with success is false, is no known event name"),
    "lengths that contradict": (
        answer(head(**TYPE, Content_Length=5)[:-2] + "Content-Length: 90\r\n\r\n", DONE),
        "transport_error", "unknown", None, "RemoteProtocolError", ""),
    "a length beside chunks": (
        answer(head(**TYPE, Content_Length=5)[:-2] + CHUNKED, chunk(DONE), "0\r\n\r\n"),
        "placed", "yes", "T-1", None, ""),
    "a second response behind the first": (
        answer(head(**TYPE, Content_Length=len(DONE)), DONE + b"HTTP/1.1 500 No\r\n\r\n"),
        "placed", "yes", "T-1", None, ""),
    "an alert of TLS": (
        answer(b"\x15\x03\x01\0\2\2\x28"), "transport_error", "unknown", None,
        "RemoteProtocolError", ""),
    "a problem of a gateway": (
        answer(head("422 No", Content_Type="application/problem+json"),
               json.dumps({"title": "No", "status": 422})),
        "http_error", "no", None, "HTTP 422", ""),
    "200 that says true": (
        body("true"), "http_error", "unknown", None, "UnexpectedContentType", "application/json"),
    **{f"an order number that is {sign!r}": (
        stream([("order-placed", {"order": {**NUMBER, "platform_order_number": sign}})]), "placed",
        "unknown", None, None, "")
       for sign in (0, -1, "0", "000", "-", "--", "N/A", "n/a", "Pending", "unknown", "TBD",
                    "-1.0", "+0", "HTTP 502", "${order.1}", "null-0",
                    "\uff10", "false", "(null)", "[object Object]", "{{number}}", "\u200b",
                    "not yet assigned", TOKEN, 10**25, 7001.5)},
    # What speaks against the success that it comes with.
    **{f"placed with a cart that is {status!r}": (
        stream([("order-placed", {"order": {**NUMBER, "cart_status": status}})]), "placed", "yes",
        "T-1", None, f"the cart of order T-1 is {status!r}, not 'submitted'")
       for status in ("active", "cancelled", "checkout_blocked", "FAILED")},
    **{f"an unknown name with a cart that is {status!r}": (
        stream([("receipt", {"cart": {**NUMBER, "cart_status": status}})]), "incomplete", "yes",
        "T-1", None, f"the cart of order T-1 is {status!r}, not 'submitted'")
       for status in ("Active", "cancelled", "item_not_shippable")},
    **{f"an order number in {name!r}": (
        stream([(name, NUMBER)]), "incomplete", "yes", "T-1", None,
        f"{name!r} has an order number, and was not taken for the order's success")
       for name in ("order-cancelled", "ORDER_FAILED", "payment declined", "rolledBack", "Error")},
    "an unknown name with a number and an error of no list": (
        stream([("receipt", {"error": "Boom", **NUMBER})]), "incomplete", "yes", "T-1", None,
        "its name or its data says otherwise"),
    "an unknown name with a number and a listed error": (
        stream([("receipt", {**DECLINED, **NUMBER})]), "error_event", "yes", "T-1",
        "ErrorPaymentDeclined", "taken for an error event"),
    "a confirmation whose cart is active": (
        body({"order": {**NUMBER, "cart_status": "active"}}), "placed", "yes", "T-1", None,
        "is 'active', not 'submitted'"),
    "an error whose cart is cancelled": (
        body({"order": {**NUMBER, "cart_status": "cancelled"}}, "502 Bad"), "http_error", "yes",
        "T-1", "HTTP 502", "is 'cancelled', not 'submitted'"),
    "placed with a listed error": (
        stream([("order-placed", {**DECLINED, **NUMBER})]), "placed", "yes", "T-1", None,
        "has an error beside its number: ErrorPaymentDeclined"),
    "placed with an error and without a number": (
        stream([("order-placed", {"error": "Boom"})]), "placed", "unknown", None, None,
        "has an error in its data: Boom"),
    "two numbers in one event": (
        stream([("order-placed", {"order": NUMBER, "platform_order_number": "T-2"})]), "placed",
        "yes", "T-1", None, "2 orders may exist: T-1 and T-2"),
    "two numbers in one confirmation": (
        body({"order": NUMBER, "cart": {"platform_order_number": "T-2"}}), "placed", "yes", "T-1",
        None, "2 orders may exist: T-1 and T-2"),
    "lines of JSON with two numbers": (
        body("\n".join(json.dumps({"platform_order_number": n}) for n in ("T-1", "T-2"))),
        "placed", "yes", "T-1", None, "2 orders may exist: T-1 and T-2"),
    "lines of JSON with an error before the number": (
        body(json.dumps(DECLINED) + "\n" + json.dumps(NUMBER)), "placed", "yes", "T-1", None,
        "has an error beside its number: ErrorPaymentDeclined"),
    **{f"{status} as a stream that says placed without a number": (
        stream([("order-placed", {})], f"{status} No"), "http_error", "unknown", None,
        f"HTTP {status}", "")
       for status in (400, 429, 500)},
    "milestones after an error event": (
        stream([("error", DECLINED), ("item-added", {}), ("shipping-updated", {})]),
        "error_event", "no", None, "ErrorPaymentDeclined",
        "2 milestones came after the error: item-added, shipping-updated"),
    "a listed error with a blank behind it": (
        stream([("error", error("ErrorPaymentDeclined "))]), "error_event", "no", None,
        "ErrorPaymentDeclined", ""),
    # Redirects that no library can read, and bodies of another charset.
    **{f"a redirect to {place!r}": (
        answer(head("302 Found", Location=place, Content_Length=0)), "http_error", "unknown", None,
        "HTTP 302", "")
       for place in ("javascript:go()", "http://[::1", "http://xn--a", "mailto:a@b.test", "?a=b")},
    "an order number in a redirect that cannot be read": (
        answer(head("308 There", **JSON, Location="http:x"), json.dumps({"order": NUMBER})),
        "http_error", "yes", "T-1", "HTTP 308", ""),
    "a refusal in Latin-1": (
        answer(head("402 Pay", Content_Type="application/json; charset=ISO-8859-1"),
               json.dumps({**DECLINED, "description": "refus\xe9"},
                          ensure_ascii=False).encode("latin-1")),
        "http_error", "no", None, "ErrorPaymentDeclined", ""),
    "a confirmation in UTF-16": (
        answer(head(Content_Type="application/json;charset=utf-16"),
               json.dumps({"order": NUMBER}).encode("utf-16")),
        "placed", "yes", "T-1", None, "application/json"),
    "a confirmation in UTF-8 that is called Latin-1": (
        answer(head(Content_Type="application/json;charset=latin1"),
               json.dumps({"order": {**NUMBER, "note": "Zo\xeb"}}, ensure_ascii=False)),
        "placed", "yes", "T-1", None, "application/json"),
    # What comes after the success.
    "placed, then a cancelled order under an unknown name": (
        stream([*WHOLE, ("update", {"order": {**NUMBER, "cart_status": "cancelled"}})]), "placed",
        "yes", "T-1", None, "'update' came after the order was placed, with cart 'cancelled'"),
    "placed, then an unknown name that says no": (
        stream([*WHOLE, ("order-cancelled", {})]), "placed", "yes", "T-1", None,
        "'order-cancelled' came after the order was placed; the order counts as placed"),
    "placed, then many names that say no": (
        stream([*WHOLE, *((f"cancel-{n}", {}) for n in range(9))]), "placed", "yes", "T-1", None,
        "further events that say otherwise came after the order was placed"),
    "placed, then a listed error under an unknown name": (
        stream([*WHOLE, ("note", DECLINED)]), "placed", "yes", "T-1", None,
        "'note' came after the order was placed, with the error ErrorPaymentDeclined"),
    "placed by its content, then an unknown name that says no": (
        stream([("receipt", NUMBER), ("payment-failed", {})]), "placed", "yes", "T-1", None,
        "'payment-failed' came after the order was placed"),
    "placed, then an error event with another number": (
        stream([*WHOLE, ("error", {**DECLINED, "platform_order_number": "T-2"})]), "placed", "yes",
        "T-1", None, "2 orders may exist: T-1 and T-2. The first counts."),
    "an order and a cart, and the cart has the number": (
        stream([("order-placed", {"order": CART, "cart": NUMBER})]), "placed", "yes", "T-1", None,
        ""),
    # Names that hold what is ours, or a megabyte.
    "the token as the name of a success": (
        stream([(f"a-{TOKEN}", NUMBER)]), "placed", "yes", "T-1", None, "'a-[redacted]'"),
    "the token as the name of an error": (
        stream([(TOKEN, DECLINED)]), "error_event", "no", None, "ErrorPaymentDeclined",
        "'[redacted]'"),
    "a name of a megabyte": (
        stream([("n" * 1_000_000, NUMBER)]), "placed", "yes", "T-1", None, "nnn…'"),
    # Bytes that no header explains.
    **{f"{kind} without a header": (
        answer(SSE, content), "incomplete", "unknown", None, None,
        f"(looks {kind}-compressed though no header says so)")
       for kind, content in (("gzip", gzip.compress(DONE)), ("deflate", zlib.compress(DONE)),
                             ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\x21\0"), ("zip", b"PK\x03\x04"))},
    "gzip inside gzip, named once": (
        answer(head(**TYPE, Content_Encoding="gzip"), gzip.compress(gzip.compress(DONE))),
        "incomplete", "unknown", None, None, "looks gzip-compressed"),
    "gzip after an event": (
        answer(SSE, event("creating-cart"), gzip.compress(DONE)), "incomplete", "unknown", None,
        None, "looks gzip-compressed"),
    "noise": (
        answer(SSE, bytes(range(128, 256))), "incomplete", "unknown", None, None,
        "(bytes that are not text)"),
    # What a name or a field says against the number, or of a part of the way.
    **{f"an order number in {name!r}": (
        stream([(name, NUMBER)]), "incomplete", "yes", "T-1", None,
        f"{name!r} has an order number, and was not taken for the order's success")
       for name in ("orderNotPlaced", "no-order", "payment_unsuccessful", "order-pending",
                    "payment_intent.requires_action", "ON_HOLD", "partially-placed", "storniert")},
    **{f"an order number in {name!r}, which says nothing": (
        stream([(name, NUMBER)]), "placed", "yes", "T-1", None, repr(name))
       for name in ("notification", "order_no", "submission", "order.placed.v2")},
    **{f"placed, and {said}": (
        stream([("order-placed", {"order": NUMBER, **beside})]), "placed", "yes", "T-1", None,
        f"the order has a status beside its number: {said}")
       for said, beside in (("success is false", {"success": False}),
                            ("ok is false", {"ok": "False"}),
                            ("status is failed", {"status": "failed"}),
                            ("code is 502", {"code": 502, "message": "x"}))},
    **{f"placed, with the notice {sent!r}": (
        stream([("order-placed", {"order": {**NUMBER, "notices": sent}})]), "placed", "yes", "T-1",
        None, f"the order has a notice beside its number: {said}")
       for sent, said in ((["CART_ITEMS_REMOVED"], "CART_ITEMS_REMOVED"),
                          ({"code": "PRICE_INCREASED"}, "PRICE_INCREASED"),
                          ([{"code": "X", "message": "gone"}, 5], "X: gone and 5"))},
    "placed without a number, and the cart came back to be looked at": (
        stream([("order-placed", {"cart": {"cart_status": "active",
                                           "notice": ["CART_ITEMS_REMOVED"]}})]),
        "placed", "unknown", None, None, "the order has a notice in its data: CART_ITEMS_REMOVED"),
    "placed, and success is true": (
        stream([("order-placed", {"order": {**NUMBER, "status": "pending"}, "success": True})]),
        "placed", "yes", "T-1", None, ""),
    "an unknown name with a number and a field that says no": (
        stream([("message", {"type": "order-failed", "data": {"order": NUMBER}})]), "incomplete",
        "yes", "T-1", None, "its name or its data says otherwise"),
    "placed with an error inside the order": (
        stream([("order-placed", {"order": {**NUMBER, "error": {"message": "no mail"}}})]),
        "placed", "yes", "T-1", None, "has an error beside its number: no mail"),
    "placed with an error that has no name": (
        stream([("order-placed", {**NUMBER, "error": True})]), "placed", "yes", "T-1", None,
        "has an error beside its number: without a name or words"),
    "placed with a status of its cart that is no text": (
        stream([("order-placed", {"order": {**NUMBER, "cart_status": ["active"]}})]), "placed",
        "yes", "T-1", None, "not 'submitted'"),
    # What events of unknown names say before the end, and instead of one.
    "a name that says no, then placed": (
        stream([("order-failed", {}), *WHOLE]), "placed", "yes", "T-1", None,
        "'order-failed' came before the order was placed; the order counts as placed"),
    "a name that says not yet, then placed": (
        stream([("payment-pending", {}), *WHOLE]), "placed", "yes", "T-1", None, ""),
    "a name that says not yet, and nothing more": (
        stream([("creating-cart", {}), ("requires_action", {})]), "incomplete", "unknown", None,
        None, "'requires_action' is no known event name, and was not taken for the order's end"),
    "422 as a stream with a listed error under an unknown name": (
        stream([("order-failed", DECLINED)], "422 No"), "http_error", "no", None,
        "ErrorPaymentDeclined", "taken for an error event"),
    # Several orders, several errors.
    "placed without a number, then with two": (
        stream([("order-placed", {}), WHOLE[-1], ("order-placed", {"platform_order_number": 2})]),
        "placed", "yes", "T-1", None, "2 orders may exist: T-1 and 2. The first counts."),
    "orders of several merchants": (
        stream([("order-placed", {"orders": [NUMBER, {"platform_order_number": "T-2"}]})]),
        "placed", "yes", "T-1", None, "2 orders may exist: T-1 and T-2"),
    "orders by merchant": (
        stream([("order-placed", {"of": {"a.test": NUMBER, "b.test": {**NUMBER,
                                  "platform_order_number": "T-2"}}})]),
        "placed", "yes", "T-1", None, "2 orders may exist: T-1 and T-2"),
    "an order of which a part failed": (
        stream([("order-placed", {"order": NUMBER,
                                  "failed_items": [{"error": "ErrorNotEnoughStock"}]})]),
        "placed", "yes", "T-1", None, "has an error beside its number: ErrorNotEnoughStock"),
    "a milestone with an error, then placed": (
        stream([("item-added", {"cart": CART, "error": "ErrorNotEnoughStock"}), *WHOLE]),
        "placed", "yes", "T-1", None,
        "'item-added' came before the order was placed, with the error ErrorNotEnoughStock"),
    "lines of JSON that are called a stream": (
        answer(SSE, '{"event": "item-added"}\n' + json.dumps({"order": NUMBER}) + "\n"), "placed",
        "yes", "T-1", None, "bytes outside its events"),
    "an old order in a list": (
        stream([("order-placed", {"previous_orders": [NUMBER]})]), "placed", "unknown", None, None,
        "previous_orders[]"),
    "a listed error behind another one": (
        body({"errors": [{"code": "Boom"}, {"code": "ErrorPaymentDeclined"}]}, "500 No"),
        "http_error", "no", None, "ErrorPaymentDeclined", ""),
    "an error of GraphQL": (
        body({"errors": [{"message": "no", "extensions": {"code": "ErrorPaymentDeclined"}}]}),
        "http_error", "no", None, "ErrorPaymentDeclined", "application/json"),
    # Bodies in pieces.
    "lines of JSON of which the last is cut": (
        body(json.dumps({"order": NUMBER}) + '\n{"event": "err', kind="application/x-ndjson"),
        "placed", "yes", "T-1", None, "x-ndjson"),
    "a JSON text sequence": (
        body("\x1e" + json.dumps({"order": NUMBER}) + "\n", kind="application/json-seq"),
        "placed", "yes", "T-1", None, "json-seq"),
    "a list of events with an error": (
        body([{"event": "creating-cart"}, {"event": "error", "data": DECLINED}]), "http_error",
        "no", None, "ErrorPaymentDeclined", "application/json"),
    "a confirmation behind the events of a stream": (
        answer(SSE, event("creating-cart"), json.dumps({"order": NUMBER})), "placed", "yes", "T-1",
        None, "did not end"),
    "a whole refusal, then silence": (
        answer(head("500 No", **JSON), json.dumps(DECLINED), end="open"), "http_error", "no", None,
        "ErrorPaymentDeclined", "the response did not end after its JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*ROWS, *MORE_ROWS])
async def test_how_it_ended(kind):
    behave, outcome, exists, number, error, said = (ROWS | MORE_ROWS)[kind]
    rec = await run(behave, timeout_s=3.0 if "silence" in kind or "left open" in kind else 60.0)
    assert (rec.outcome, rec.order_exists, rec.order_number) == (outcome, exists, number)
    assert (rec.error and rec.error.error) == error
    assert said in " ".join(rec.warnings)
    assert bool(said) == bool(rec.warnings)
    words = verdict(rec)
    assert TOKEN not in repr(rec)
    assert max(map(len, rec.warnings), default=0) < 1_000
    assert ("Nothing was ordered." in words) == (exists == "no")
    assert ("The order may exist" in words) == (exists == "unknown")
    assert (number or "") in words
    assert words.startswith("Placed:") == (outcome == "placed" and exists == "yes")
    assert ("exists." in words) == (exists == "yes" and outcome != "placed")


async def test_a_stream_without_a_milestone_is_told_from_one_without_an_event():
    nothing, unknown = await run(stream([])), await run(stream([("note", {})]))
    assert "the stream ended before any event" in verdict(nothing)
    assert "the stream ended before any milestone" in verdict(unknown)


SECOND = {**NUMBER, "platform_order_number": "T-2"}
ORDERS_OF_ONE_STREAM = {
    "two numbers": ([WHOLE[-1], ("order-placed", SECOND)], ["2 orders: T-1 and T-2."]),
    "two numbers, each twice": (
        [WHOLE[-1], WHOLE[-1], ("order-placed", SECOND), ("order-placed", SECOND), WHOLE[-1]],
        ["2 orders: T-1 and T-2."]),
    "three numbers": (
        [WHOLE[-1], ("order-placed", SECOND), ("order-placed", {"platform_order_number": 3})],
        ["2 orders: T-1 and T-2.", "3 orders: T-1 and T-2 and 3."]),
    "two numbers of both vocabularies": (
        [WHOLE[-1], ("order_completed", {"order": SECOND})],
        ["2 orders: T-1 and T-2."]),
    "a number under an unknown name, then another": (
        [("receipt", NUMBER), ("order-placed", {"cart": SECOND})],
        ["2 orders: T-1 and T-2."]),
    "the order before, and this one": ([("creating-cart", SECOND), WHOLE[-1]], []),
    "an active cart with a number, and this one": (
        [("cart", {"cart": {**SECOND, "cart_status": "active"}}), WHOLE[-1]], []),
    "one number twice": ([WHOLE[-1], WHOLE[-1]], []),
    "a number and none": ([WHOLE[-1], ("order-placed", {"cart_status": "submitted"})], []),
}  # fmt: skip


@pytest.mark.parametrize("kind", ORDERS_OF_ONE_STREAM)
async def test_two_orders_in_one_stream_are_a_finding(kind):
    events, said = ORDERS_OF_ONE_STREAM[kind]
    rec = await run(stream(events))
    found = rec.checks.findings
    found = found[found["check"] == "one-order"]
    counting = f"{rec.order_number} and T-"
    assert any(counting in words for words in rec.warnings) == bool(said)
    assert found["sentence"].tolist() == said
    assert (found["severity"] == "error").all()
    assert rec.order_number == ("T-2" if "unknown name" in kind else "T-1")


async def test_the_time_of_the_first_success_counts():
    async def behave(wire):
        await wire.stream(event("order-placed", NUMBER))
        await wire.told(1)
        await wire.send(chunk(event("order-placed", NUMBER)))
        await wire.finish()

    rec = await run(behave)
    first, second = rec.events["t_ms"]
    assert rec.orders["time_to_order_placed_ms"].iloc[0] == first < second


async def test_a_success_by_content_has_its_time():
    rec = await run(stream([("a", {}), ("b", NUMBER), ("c", {})]))
    assert rec.orders["time_to_order_placed_ms"].iloc[0] == rec.events["t_ms"].iloc[1]


async def test_milestones_that_are_given_name_the_success():
    start = {"milestones": ["cart-created", "order_placed"]}
    rec = await run(stream([("cart-created", {}), ("order_placed", NUMBER)]), **start)
    assert (rec.outcome, rec.order_number, rec.warnings) == ("placed", "T-1", [])


async def test_a_stream_that_was_asked_for_as_json_is_read():
    rec = await run(stream(WHOLE), sse=False)
    assert (rec.outcome, rec.order_number, len(rec.events)) == ("placed", "T-1", 2)
    assert "expected was HTTP 200 with application/json" in rec.warnings[0]


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("<html><title>Sign in to the network</title></html>", "text/html", "Sign in to the"),
        ({"code": 500, "error": "InternalError", "description": "boom"}, "application/json",
         "InternalError: boom"),
        ({"errors": [{"message": "boom"}], "data": None}, "application/json", "boom"),
        ("at capacity", "text/plain", "at capacity"),
    ],
)  # fmt: skip
async def test_a_response_that_is_not_understood_is_quoted(content, kind, said):
    rec = await run(body(content, kind=kind))
    expected = f"expected an event stream, got {kind}: {said}"
    assert rec.error.description.startswith(expected)
    assert said in verdict(rec)


@pytest.mark.parametrize("status", [422, 502])
@pytest.mark.parametrize("name", ["SimulatorGone", "Timeout", "NoTotal", "UntrustedIssuer"])
async def test_an_error_of_a_server_has_no_advice_about_another_one_of_its_name(name, status):
    for behave in (body(error(name), f"{status} No"), stream([("error", error(name))])):
        rec = await run(behave)
        assert (rec.error.error, rec.error.advice) == (name, "")
        assert verdict(rec).endswith("So it is.")


@pytest.mark.parametrize(
    ("behave", "again"),
    [
        (stream([("error", DECLINED)]), True),
        (body(DECLINED, "422 No"), True),
        (stream([("error", {**DECLINED, **NUMBER})]), False),
        (body({**DECLINED, **NUMBER}, "422 No"), False),
        (stream([("error", error("ServiceUnavailable", 503))]), False),
        (stream([("order-placed", {})], "429 Many"), False),
    ],
)
async def test_to_order_again_is_advised_only_where_there_is_no_order(behave, again):
    words = verdict(await run(behave))
    assert ("another test card" in words) == again
    assert "again later" not in words
    assert "more slowly" not in words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ICY 200 OK\r\n\r\n", "Illegal status line: 'ICY 200 OK'."),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "Illegal header line: 'no colon'."),
        (SSE[:-2] + CHUNKED + "-1\r\n", "Illegal chunk header: '-1"),
        (head(**TYPE, X_Long="x" * 200_000), "too long to be read."),
        (SSE[:-2] + CHUNKED + "1;" + "a" * 200_000, "too long to be read."),
        (head("101 Now", Upgrade="h2c", Connection="Upgrade"), "switched to another protocol"),
    ],
)
async def test_what_is_no_http_is_told_without_names_of_python(content, said):
    words = verdict(await run(answer(content)))
    assert said in words
    assert "bytearray" not in words


async def test_the_last_milestone_of_a_failed_order_came_before_its_error():
    rec = await run(stream([("creating-cart", {}), ("error", DECLINED), ("item-added", {})]))
    assert rec.summary()["last_milestone"] == "creating-cart"
    assert "after creating-cart" in verdict(rec)


async def test_what_stages_cannot_be_named_by_is_not_advised():
    events = [("message", {"type": "creating-cart"}), ("message", {"order": NUMBER})]
    rec = await run(stream(events))
    assert not any("milestones=" in words for words in rec.warnings)


async def test_a_page_inside_an_error_event_is_told_by_its_title():
    rec = await run(stream([("error", "<html><title>504 Time-out</title><br></html>")]))
    assert (rec.error.description, rec.order_exists) == ("504 Time-out", "unknown")
