"""Faults in action: on a stream's script, on its carts, or instead of the whole response.

The table of the faults, ``faults.json``, names these functions and their arguments.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from typing_extensions import override

from firmly_nb.sim.answers import ApiError, invalid
from firmly_nb.sim.behaviour import CART_FAULTS, FAULTS, STAGES
from firmly_nb.sim.cart_forms import NO_ID
from firmly_nb.sim.counting import CURRENCIES, Json, money
from firmly_nb.sim.merchants import Merchant, fault_of
from firmly_nb.sim.placement import Emission, format_event
from firmly_nb.sim.wire import until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from firmly_nb.sim.placement import Step
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World


Script = list[Emission]


def spoil(script: Script, fault: str) -> Script:
    """Return the script with a fault in it; an unknown or empty name changes nothing."""
    known = FAULTS.get(fault)
    if known is None or known.acts != "stream":
        return script
    if known.do in EVENTS:
        rewrite = partial(EVENTS[known.do], **known.parameters)
        return [replace(one, chunks=rewrite(one.chunks[0])) for one in script]
    return SCRIPTS[known.do](script, **known.parameters)


def last_of(script: Script, stage: str) -> int:
    """Return the position of a stage's last event; 0, if the stage never comes."""
    return max((n for n, one in enumerate(script) if one.stage == stage), default=0)


def _with_chunk(script: Script, at: int, chunk: bytes) -> Script:
    return [*script[:at], replace(script[at], chunks=(chunk,)), *script[at + 1 :]]


def _end(script: Script, after: str, then: str, half: bool = False) -> Script:
    at = last_of(script, after)
    (text,) = script[at].chunks
    kept = text[: len(text) // 2] if half else text
    return [*script[:at], replace(script[at], chunks=(kept,), then=then)]


def _unsaid(script: Script, then: str) -> Script:
    last = script[-1]
    if last.event == "error":
        return script
    return [*script[:-1], replace(last, stage="", event="", chunks=(), then=then)]


def _unended(script: Script) -> Script:
    return _with_chunk(script, len(script) - 1, script[-1].chunks[0].removesuffix(b"\n"))


def _swap(script: Script, one: str, other: str) -> Script:
    at, later = last_of(script, one), last_of(script, other)
    if at >= later:
        return script
    swapped = list(script)
    swapped[at] = replace(script[later], due_ms=script[at].due_ms)
    swapped[later] = replace(script[at], due_ms=script[later].due_ms)
    return swapped


def _repeat(script: Script) -> Script:
    return [part for one in script for part in (one, one)]


def _buffer(script: Script) -> Script:
    joined = b"".join(one.chunks[0] for one in script)
    return [
        *(replace(one, chunks=()) for one in script[:-1]),
        replace(script[-1], chunks=(joined,)),
    ]


def _break_data(script: Script, event: str) -> Script:
    at = last_of(script, event)
    name = script[at].event.encode()
    return _with_chunk(script, at, b"event: " + name + b'\ndata: {"cart": {"cart_id": \n\n')


def _pad(script: Script, event: str, size: int) -> Script:
    at = last_of(script, event)
    padding = b'{"cart":{"padding":"' + b"x" * size + b'",'
    return _with_chunk(script, at, script[at].chunks[0].replace(b'{"cart":{', padding, 1))


def _insert(script: Script, text: str) -> Script:
    """Put bytes halfway through the stage that each event ends."""
    return [
        part
        for one in script
        for part in (
            Emission("", "", one.due_ms - one.drawn_ms * 0.5, 0.0, (text.encode("latin-1"),)),
            one,
        )
    ]


def _begin(script: Script, text: str) -> Script:
    return _with_chunk(script, 0, text.encode("latin-1") + script[0].chunks[0])


def _error_after(script: Script, error: str, delay_ms: float) -> Script:
    late = {"code": 500, "error": error, "description": "after the order was placed"}
    due_ms = script[-1].due_ms + delay_ms
    return [*script, Emission("", "error", due_ms, delay_ms, (format_event("error", late),))]


def _line_ends(text: bytes, end: str) -> tuple[bytes, ...]:
    return (text.replace(b"\n", end.encode()),)


def _no_space(text: bytes) -> tuple[bytes, ...]:
    return (text.replace(b"event: ", b"event:", 1).replace(b"data: ", b"data:", 1),)


def _multi_line(text: bytes) -> tuple[bytes, ...]:
    head, _, data = text.partition(b"data: ")
    lines = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).split(b"\n")
    return (head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n",)


def _pieces(text: bytes, count: int | None) -> tuple[bytes, ...]:
    size = -(-len(text) // count) if count else 1
    return tuple(text[n : n + size] for n in range(0, len(text), size))


def _ids(text: bytes, retry: int) -> tuple[bytes, ...]:
    return (b"id: %d\nretry: %d\n" % (len(text), retry) + text,)


SCRIPTS: Mapping[str, Callable[..., Script]] = {
    "end": _end,
    "unsaid": _unsaid,
    "unended": _unended,
    "swap": _swap,
    "repeat": _repeat,
    "buffer": _buffer,
    "break_data": _break_data,
    "pad": _pad,
    "insert": _insert,
    "begin": _begin,
    "error_after": _error_after,
}
EVENTS: Mapping[str, Callable[..., tuple[bytes, ...]]] = {
    "line_ends": _line_ends,
    "no_space": _no_space,
    "multi_line": _multi_line,
    "pieces": _pieces,
    "ids": _ids,
}


def spoil_carts(steps: list[Step], fault: str) -> list[Step]:
    """Return the steps with a fault in their carts; an unknown or empty name changes nothing."""
    if fault not in CART_FAULTS:
        return steps
    return [
        replace(
            step,
            payload={
                name: spoil_cart(cart, fault, step.stage) for name, cart in step.payload.items()
            },
        )
        for step in steps
    ]


def spoil_cart(cart: Json, fault: str, stage: str = "order-placed") -> Json:
    """Return a cart with a fault in it, as it would be at a stage of an order."""
    known = CART_FAULTS.get(fault)
    if known is None:
        return cart
    parameters = dict(known.parameters)
    first = parameters.pop("from", "item-added")
    if STAGES.index(stage) < STAGES.index(first):
        return cart
    return CARTS[known.do](cart, **parameters)


def _minor(amount: Json) -> int:
    """Return an amount in minor units; some merchants send its value alone."""
    if "number" in amount:
        return int(amount["number"])
    _, decimals = CURRENCIES[amount["currency"]]
    return round(float(amount["value"]) * 10.0**decimals)


def _more(amount: Json, by: int) -> Json:
    """Return a larger amount, written as the merchant writes it."""
    made = money(_minor(amount) + by, amount["currency"])
    return {name: made[name] for name in amount}


def _add_to(cart: Json, **by: int) -> Json:
    return {**cart, **{name: _more(cart[name], minor) for name, minor in by.items()}}


def _with_first(cart: Json, first: Json) -> Json:
    return {**cart, "line_items": [first, *cart["line_items"][1:]]}


def _wrong_amount(cart: Json, name: str, by: int) -> Json:
    return _add_to(cart, **{name: by})


def _price_change(cart: Json, by: int) -> Json:
    first = cart["line_items"][0]
    more = by * first["quantity"]
    raised = _with_first(cart, _add_to(first, price=by, line_price=more))
    return _add_to(raised, sub_total=more, total=more)


def _item_removed(cart: Json) -> Json:
    return {**cart, "line_items": cart["line_items"][:-1]}


def _missing_field(cart: Json, name: str) -> Json:
    return {key: value for key, value in cart.items() if key != name}


def _other_currency(cart: Json, name: str) -> Json:
    other = "EUR" if cart["total"]["currency"] == "USD" else "USD"
    made = money(_minor(cart[name]), other)
    return {**cart, name: {key: made[key] for key in cart[name]}}


def _has_ids(cart: Json) -> bool:
    """Return whether line items have ids: in some orders they all have one of zeros."""
    return str(cart["line_items"][0]["line_item_id"]) != NO_ID


def _duplicated_line(cart: Json) -> Json:
    if not _has_ids(cart):
        return cart
    return {**cart, "line_items": [cart["line_items"][0], *cart["line_items"]]}


def _reduced_thrice(cart: Json, percent: int) -> Json:
    first = cart["line_items"][0]
    stated = first.get("line_discount")
    off = _minor(stated) if stated else max(1, _minor(first["line_price"]) * percent // 100)
    discount = stated or money(off, _currency(cart))
    reduced = {**_add_to(first, line_price=-off), "line_discount": discount}
    return _add_to(_with_first(cart, reduced), sub_total=-2 * off, total=-3 * off)


def _currency(cart: Json) -> str:
    return str(cart["total"]["currency"])


def _dearer_method(cart: Json, by: int) -> Json:
    """Raise the price of the chosen method: in v2 it is that of a shipment."""
    if "shipments" not in cart:
        method = cart.get("shipping_method")
        return {**cart, "shipping_method": _add_to(method, price=by)} if method else cart
    parts = list(cart["shipments"])
    for at, part in enumerate(parts):
        if "shipping_method" in part:
            parts[at] = {**part, "shipping_method": _add_to(part["shipping_method"], price=by)}
            break
    return {**cart, "shipments": parts}


def _negative(cart: Json, names: Sequence[str]) -> Json:
    """Turn the first of the amounts that the cart has below zero."""
    name = next(each for each in names if each in cart)
    minor = _minor(cart[name])
    return _add_to(cart, **{name: -2 * minor if minor else -100})


def _other_text(cart: Json, name: str, text: str) -> Json:
    return {**cart, name: text}


def _other_country(cart: Json, country: str, instead: str) -> Json:
    address = cart.get("shipping_info")
    if not address:
        return cart
    code = instead if address["country"] == country else country
    return {**cart, "shipping_info": {**address, "country": code}}


def _notice(cart: Json, code: str, message: str) -> Json:
    if "notice" in cart:  # v1 has codes alone
        return {**cart, "notice": [*cart["notice"], code]}
    ids = [cart["line_items"][0]["line_item_id"]]
    notice = {"code": code, "message": message, "line_item_ids": ids}
    return {**cart, "notices": [*cart.get("notices", ()), notice]}


def _contradiction(cart: Json, name: str, by: int) -> Json:
    amount = cart[name]
    value = _more(amount, by)["value"]
    return {**cart, name: {**amount, "number": _minor(amount), "value": value}}


def _one_id(cart: Json) -> Json:
    if not _has_ids(cart):
        return cart
    first = cart["line_items"][0]
    other = {**_add_to(first, line_price=_minor(first["price"])), "quantity": first["quantity"] + 1}
    return {**cart, "line_items": [*cart["line_items"], other]}


CARTS: Mapping[str, Callable[..., Json]] = {
    "wrong_amount": _wrong_amount,
    "price_change": _price_change,
    "item_removed": _item_removed,
    "missing_field": _missing_field,
    "other_currency": _other_currency,
    "duplicated_line": _duplicated_line,
    "reduced_thrice": _reduced_thrice,
    "dearer_method": _dearer_method,
    "negative": _negative,
    "other_text": _other_text,
    "other_country": _other_country,
    "notice": _notice,
    "contradiction": _contradiction,
    "one_id": _one_id,
}


class Silence(Response):
    """A response that never comes, until the client goes away; or a reset instead."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self._reset = reset

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._reset:
            scope["wire"].reset()
        await until_gone(receive)


def _respond(text: str = "", **how: Any) -> Response:
    return Response(text or None, how.pop("status"), **how)


def _raise_error(
    error: str, description: str, headers: Mapping[str, str] | None = None
) -> Response:
    raise ApiError(error, description, headers=headers)


ANSWERS: Mapping[str, Callable[..., Response]] = {
    "respond": _respond,
    "raise_error": _raise_error,
    "silence": Silence,
}


def comes_instead(fault: str) -> bool:
    """Return whether another response comes instead of the real one."""
    return fault in FAULTS and FAULTS[fault].acts == "answer"


def answer_instead(fault: str) -> Response:
    """Return the response that a fault gives instead of the real one.

    Raises
    ------
    ApiError
        For the faults that are errors of the API.
    """
    known = FAULTS[fault]
    return ANSWERS[known.do](**known.parameters)


def fail_on_purpose(fault: str, stage: str) -> None:
    """Fail a change of a cart, if the fault fails the stage of an order that it resembles.

    Raises
    ------
    ApiError
        That of the fault.
    """
    known = FAULTS.get(fault)
    if known and known.do == "fail" and known.parameters["stage"] == stage:
        raise ApiError(known.parameters["error"], known.parameters["description"])


def relabel(answer: Response, fault: str) -> None:
    """Give a response another content type, if the fault does that."""
    known = FAULTS.get(fault)
    if known and known.do == "relabel":
        answer.headers["content-type"] = known.parameters["media_type"]


def chosen_fault(
    world: World, request: Request, merchant: Merchant, variant_ids: Sequence[str]
) -> str:
    """Return the fault of an order: by header, by a ``FAULT-...`` item, or the server's.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if the header names an unknown one.
    """
    asked = fault_by_header(request)
    by_item = next((name for name in map(fault_of, variant_ids) if name), "")
    if asked or by_item:
        return asked or by_item
    if "crooked" in merchant.traits:
        return list(CART_FAULTS)[world.orders_at(merchant.domain) % len(CART_FAULTS)]
    settings = world.settings
    if settings.fault and world.happens(settings.fault_rate, merchant.domain, world.n_orders):
        return settings.fault
    return ""


def fault_by_header(request: Request) -> str:
    """Return the fault that a request's ``x-sim-fault`` names, or an empty text.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if the name is unknown.
    """
    asked = request.headers.get("x-sim-fault", "").strip().lower()
    if asked and asked not in FAULTS:
        near = get_close_matches(asked, FAULTS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise invalid(f"x-sim-fault: must be a fault of /sim/faults{hint}")
    return asked
