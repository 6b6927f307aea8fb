"""What each fault does: to a stream's script, to its carts, or instead of the whole answer.

What the faults are and what a client should report is in :mod:`firmly_nb.sim.behaviour`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.cart import Json, money
from firmly_nb.sim.placement import Emission, format_event
from firmly_nb.sim.stream import until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmly_nb.sim.placement import Step
    from firmly_nb.sim.wire import Receive, Scope, Send


Script = list[Emission]
HUGE_BYTES = 4 << 20
GARBAGE = b"\xff\xfe\x00\x80 not: a field \xc3\x28\n: \xf0\x9f\n\n"


def spoil(script: Script, fault: str) -> Script:
    """Return the script with a fault in it; an unknown or empty name changes nothing."""
    if fault in CHANGES:
        return CHANGES[fault](script)
    if fault in REWRITES:
        return [replace(one, chunks=REWRITES[fault](one.chunks[0])) for one in script]
    return script


def _end_after(stage: str, then: str, extra: bytes = b"") -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        at = last_of(script, stage)
        chunks = (script[at].chunks[0] + extra,) if extra else script[at].chunks
        return [*script[:at], replace(script[at], chunks=chunks, then=then)]

    return change


def last_of(script: Script, stage: str) -> int:
    """Return where a stage's last event is; the first event of all, if the stage never comes."""
    return max((n for n, one in enumerate(script) if one.stage == stage), default=0)


def _half_event(script: Script) -> Script:
    at = last_of(script, "shipping-updated")
    half = script[at].chunks[0][: len(script[at].chunks[0]) // 2]
    return [*script[:at], replace(script[at], chunks=(half,), then="end")]


def _without_confirmation(then: str) -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        last = script[-1]
        if last.event == "error":
            return script
        return [*script[:-1], replace(last, stage="", event="", chunks=(), then=then)]

    return change


def _no_last_blank_line(script: Script) -> Script:
    last = script[-1]
    return [*script[:-1], replace(last, chunks=(last.chunks[0].removesuffix(b"\n"),))]


def _reordered(script: Script) -> Script:
    at, other = last_of(script, "item-added"), last_of(script, "shipping-updated")
    if at >= other:
        return script
    swapped = list(script)
    swapped[at] = replace(script[other], due_ms=script[at].due_ms)
    swapped[other] = replace(script[at], due_ms=script[other].due_ms)
    return swapped


def _buffered(script: Script) -> Script:
    joined = b"".join(one.chunks[0] for one in script)
    return [
        *(replace(one, chunks=()) for one in script[:-1]),
        replace(script[-1], chunks=(joined,)),
    ]


def _strange_data(script: Script) -> Script:
    at = last_of(script, "item-added")
    name = script[at].event.encode()
    broken = replace(script[at], chunks=(b"event: " + name + b'\ndata: {"cart": {"cart_id": \n\n',))
    return [*script[:at], broken, *script[at + 1 :]]


def _huge(script: Script) -> Script:
    at = last_of(script, "item-added")
    text = script[at].chunks[0]
    grown = text.replace(b'{"cart":{', b'{"cart":{"padding":"' + b"x" * HUGE_BYTES + b'",', 1)
    return [*script[:at], replace(script[at], chunks=(grown,)), *script[at + 1 :]]


def _inserted(extra: bytes) -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        return [part for one in script for part in (_before(one, extra), one)]

    return change


def _before(one: Emission, extra: bytes) -> Emission:
    """Return bytes that are due halfway through the stage that an event ends."""
    return Emission("", "", one.due_ms - one.drawn_ms * 0.5, 0.0, (extra,))


def _bom(script: Script) -> Script:
    first = script[0]
    return [replace(first, chunks=(b"\xef\xbb\xbf" + first.chunks[0],)), *script[1:]]


def _error_after(script: Script) -> Script:
    last = script[-1]
    late = {"code": 500, "error": "InternalError", "description": "after the order was placed"}
    return [*script, Emission("", "error", last.due_ms + 5, 5.0, (format_event("error", late),))]


def _lines(text: bytes, end: bytes) -> tuple[bytes, ...]:
    return (text.replace(b"\n", end),)


def _multi_line(text: bytes) -> tuple[bytes, ...]:
    """Spread the data over several lines."""
    head, _, data = text.partition(b"data: ")
    lines = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).split(b"\n")
    return (head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n",)


def _split(text: bytes) -> tuple[bytes, ...]:
    middle = len(text) // 2
    return (text[:middle], text[middle:])


def _with_id(text: bytes) -> tuple[bytes, ...]:
    return (b"id: %d\nretry: 3000\n" % len(text) + text,)


CHANGES: Mapping[str, Callable[[Script], Script]] = {
    "early-end": _end_after("item-added", "end"),
    "cut": _end_after("item-added", "cut"),
    "reset": _end_after("item-added", "reset"),
    "stall": _end_after("item-added", "stall"),
    "broken-chunk": _end_after("item-added", "broken-chunk"),
    "half-event": _half_event,
    "lost-confirmation": _without_confirmation("end"),
    "reset-after-order": _without_confirmation("reset"),
    "no-last-blank-line": _no_last_blank_line,
    "reordered": _reordered,
    "duplicated": lambda script: [part for one in script for part in (one, one)],
    "buffered": _buffered,
    "garbage-data": _strange_data,
    "garbage": _inserted(GARBAGE),
    "comments": _inserted(b": heartbeat\n\n"),
    "unknown-events": _inserted(
        b'event: loyalty-points\ndata: {"points": 12}\n\ndata: {"x": 1}\n\n'
    ),
    "huge": _huge,
    "bom": _bom,
    "error-after-order": _error_after,
}
REWRITES: Mapping[str, Callable[[bytes], tuple[bytes, ...]]] = {
    "crlf": lambda text: _lines(text, b"\r\n"),
    "cr": lambda text: _lines(text, b"\r"),
    "no-space": lambda text: (
        text.replace(b"event: ", b"event:", 1).replace(b"data: ", b"data:", 1),
    ),
    "multi-line": _multi_line,
    "trickle": lambda text: tuple(text[n : n + 1] for n in range(len(text))),
    "split": _split,
    "ids-and-retry": _with_id,
}


def spoil_carts(steps: list[Step], fault: str) -> list[Step]:
    """Return the steps with a fault in their carts; an unknown or empty name changes nothing."""
    change = CART_FAULTS.get(fault)
    if change is None:
        return steps
    return [_spoil(step, change) for step in steps]


def spoil_cart(cart: Json, fault: str) -> Json:
    """Return a single cart with a fault in it, as it would be late in an order."""
    change = CART_FAULTS.get(fault)
    return change("order-placed", dict(cart)) if change else cart


def _spoil(step: Step, change: Callable[[str, Json], Json]) -> Step:
    payload = {name: change(step.stage, dict(cart)) for name, cart in step.payload.items()}
    return replace(step, payload=payload)


def _wrong_total(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart["total"] = money(cart["total"]["number"] + 1, cart["total"]["currency"])
    return cart


def _price_change(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        first, *others = cart["line_items"]
        currency = first["price"]["currency"]
        price = first["price"]["number"] + 100
        raised = {"price": money(price, currency)}
        raised["line_price"] = money(price * first["quantity"], currency)
        cart["line_items"] = [{**first, **raised}, *others]
        for name in ("sub_total", "total"):
            cart[name] = money(cart[name]["number"] + 100 * first["quantity"], currency)
    return cart


def _item_removed(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart["line_items"] = cart["line_items"][:-1]
    return cart


def _missing_field(stage: str, cart: Json) -> Json:
    if stage != "item-added":
        cart.pop("sub_total")
    return cart


def _other_currency(_stage: str, cart: Json) -> Json:
    other = "EUR" if cart["total"]["currency"] == "USD" else "USD"
    cart["shipping_total"] = money(cart["shipping_total"]["number"], other)
    return cart


def _duplicated_line(_stage: str, cart: Json) -> Json:
    cart["line_items"] = [cart["line_items"][0], *cart["line_items"]]
    return cart


CART_FAULTS: Mapping[str, Callable[[str, Json], Json]] = {
    "cart-wrong-total": _wrong_total,
    "cart-price-change": _price_change,
    "cart-item-removed": _item_removed,
    "cart-missing-field": _missing_field,
    "cart-other-currency": _other_currency,
    "cart-duplicated-line": _duplicated_line,
}


HTML = "<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"
ERRORS: Mapping[str, ApiError] = {
    "invalid-input": ApiError("ErrorInvalidInputBody", "refused on purpose"),
    "token-expired": ApiError("TokenExpired", "the device token has expired; renew the session"),
    "rate-limited": ApiError(
        "RateLimitExceeded", "too many requests", headers={"Retry-After": "2"}
    ),
    "unavailable": ApiError("ServiceUnavailable", "maintenance", headers={"Retry-After": "1"}),
    "internal-error": ApiError("InternalError", "something went wrong"),
}


class Silence(Response):
    """No answer at all, until the client goes away; or a reset instead."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Wait, or break off."""
        if self._reset:
            scope["wire"].reset()
        await until_gone(receive)


def answer_instead(fault: str) -> Response | None:
    """Return the answer that a fault gives instead of the real one, or None.

    Raises
    ------
    ApiError
        For the faults that are errors of the API.
    """
    if fault in ERRORS:
        raise ERRORS[fault]
    if fault in {"silent", "reset-at-once"}:
        return Silence(reset=fault == "reset-at-once")
    if fault == "bad-gateway":
        return Response(HTML, 502, media_type="text/html")
    if fault == "empty-answer":
        return Response(None, 500)
    if fault == "redirect":
        return Response(None, 307, {"location": "/elsewhere"})
    return None
