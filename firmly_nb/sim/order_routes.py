"""Routes of an order: a session, the public key, Place Order, Complete Order.

And of a device over all merchants: its active carts and its postal code.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from typing_extensions import override

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.behaviour import FAULTS, draw, make_rng
from firmly_nb.sim.bodies import answers, version_of
from firmly_nb.sim.cart import not_submitted
from firmly_nb.sim.cart_forms import FORMS, full_cart
from firmly_nb.sim.faults import (
    answer_instead,
    chosen_fault,
    comes_instead,
    relabel,
    spoil,
    spoil_carts,
)
from firmly_nb.sim.keys import (
    PaymentSummary,
    open_jwe,
    public_jwk,
    public_pem,
    read_card,
)
from firmly_nb.sim.placement import CheckedOrder, play, remove_last_line, write_script
from firmly_nb.sim.replay import replayed
from firmly_nb.sim.stream import EventStream, PlainAnswer, arrival_entry
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World


LIFETIME_LIMIT_S = 400 * 24 * 3600
LONGEST_REQUEST_ID = 200


@answers("PublicKey", parameters=bodies.KeyForm, auth=False)
async def public_key(request: Request, asked: bodies.KeyForm) -> Response:
    """Return the public key."""
    world: World = request.app.state.world
    await world.keys.made()
    key = world.keys.present
    headers = {"x-firmly-kid": str(key["kid"])}
    if asked.format == "JWK":
        return json_answer(public_jwk(key), headers=headers)
    return Response(public_pem(key, asked.format), 200, headers, media_type="text/plain")


@answers(
    "Cart",
    bodies.PlaceOrder,
    bodies.Streamed,
    simple=bodies.SimplePlaceOrder,
)
async def place_order(
    request: Request, body: bodies.PlaceOrder | bodies.SimplePlaceOrder, query: bodies.Streamed
) -> Response:
    """Place an order, and answer with its events or with the order."""
    world, device_id, merchant = who_and_where(request)
    async with world.desk:
        items = [item.pair() for item in body.items]
        fault = chosen_fault(world, request, merchant, [ref["variant_id"] for ref, _ in items])
        payment = await _read_payment(world, merchant, body)
        sse = query.sse.lower() == "true"
        fault = "" if world.tape else fault
        facts = _arrived(request, merchant, body, fault, mode="sse" if sse else "plain")
        if world.tape:
            return replayed(request, device_id, merchant.domain, items, facts)
        if comes_instead(fault):
            return answer_instead(fault)
        order = CheckedOrder(
            merchant=merchant,
            items=items,
            shipping_info=body.shipping_info.given(),
            billing_info=body.billing_info.given(),
            payment=payment,
            order_number=str(facts["order"]),
            version=version_of(request),
            fault=fault,
        )
        return answer_order(request, device_id, order, facts)


@answers("Cart", bodies.CompleteOrder)
async def complete_order(request: Request, body: bodies.CompleteOrder) -> Response:
    """Order the device's cart."""
    world, device_id, merchant = who_and_where(request)
    payment = await _read_payment(world, merchant, body)
    fault = chosen_fault(world, request, merchant, [])
    if comes_instead(fault):
        _arrived(request, merchant, body, fault)
        return answer_instead(fault)

    def complete() -> Response:
        cart = _completable(world.cart(device_id, merchant))
        if "removes-items" in merchant.traits and len(cart.lines) > 1:
            cart = remove_last_line(cart)
            world.put_cart(device_id, cart)
            return json_answer(FORMS[version_of(request)](cart))
        facts = _arrived(request, merchant, body, fault)
        order = CheckedOrder(
            merchant=merchant,
            items=[],
            shipping_info=cart.shipping_info,
            billing_info=body.billing_info.given(),
            payment=payment,
            order_number=str(facts["order"]),
            version=version_of(request),
            fault=fault,
            cart=cart,
        )
        return answer_order(request, device_id, order, facts)

    return InTurn(world, device_id, complete)


def answer_order(
    request: Request, device_id: str, order: CheckedOrder, facts: dict[str, Any]
) -> Response:
    """Work an order out, draw its delays, and return the response that is sent in their time."""
    world: World = request.app.state.world
    domain = order.merchant.domain
    order_no = world.orders_at(domain) - 1
    rng = make_rng(world.settings.seed, domain, order_no)
    profile_name, profile = world.profile(order.merchant, request.headers.get("x-sim-profile"))
    moment = world.moment(order_no)
    delays = draw(profile, rng, len(order.items), moment)
    delays = delays[-1:] if order.cart else delays
    steps = spoil_carts(play(order, rng), order.fault)
    last = steps[-1]
    facts |= {
        "cart_id": last.cart.cart_id,
        "order_number": "" if last.error else order.order_number,
        "error": last.error.error if last.error else "",
        "profile": profile_name,
    }
    if facts["mode"] == "plain":
        return PlainAnswer(world, steps, delays, device_id, facts)
    script = spoil(write_script(steps, delays, world.settings), order.fault)
    stream = EventStream(world, script, device_id, facts)
    relabel(stream, order.fault)
    return stream


def _arrived(
    request: Request,
    merchant: Merchant,
    body: bodies.CompleteOrder,
    fault: str,
    *,
    mode: str = "plain",
) -> dict[str, Any]:
    """Count an order, note whether it came before, and return what the truth log has of it."""
    world: World = request.app.state.world
    number = world.count_order(merchant.domain)
    request_id = request.headers.get("x-firmly-request-id", "")[:LONGEST_REQUEST_ID]
    # What was refused ordered nothing, so a client may send it again.
    refused = comes_instead(fault) and FAULTS[fault].order_exists == "no"
    marks = {} if refused else {"encrypted_card": body.encrypted_card, "request_id": request_id}
    repeats = world.first_of(number, **marks)
    facts = {
        "order": int(number),
        "request_id": request_id,
        "domain": merchant.domain,
        "cart_id": "",
        "order_number": "",
        "error": "",
        "mode": mode,
        "profile": "",
        "fault": fault,
        **repeats,
    }
    world.recent.append(facts)
    if repeats:
        world.repeats.append(facts)
        # Whatever it is answered with, and whether or not anybody is there to read that.
        world.truth.add(arrival_entry(facts))
    return facts


class InTurn(Response):
    """A response that is found and sent while no other request of the device is worked on.

    Two requests to complete one cart must not both find that it can be completed.
    """

    def __init__(self, world: World, device_id: str, find: Callable[[], Response]) -> None:
        super().__init__()
        self._world = world
        self._device_id = device_id
        self._find = find

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._world.turn(self._device_id):
            await self._find()(scope, receive, send)


def _completable(cart: Cart | None) -> Cart:
    if cart is None or not cart.lines:
        raise ApiError("ErrorCartNotFound", "this device has nothing in a cart at this merchant")
    if not_submitted(cart).shipping_info is None:
        raise ApiError("ErrorMissingRequiredParameters", "shipping_info: is not set")
    return cart


async def _read_payment(
    world: World, merchant: Merchant, body: bodies.CompleteOrder
) -> PaymentSummary:
    if body.captcha_token is None and "captcha" in merchant.traits:
        raise ApiError("ErrorMissingRequiredParameters", "captcha_token: this merchant needs one")
    await world.keys.made()
    plaintext = open_jwe(body.encrypted_card, world.keys)
    return read_card(plaintext, world.settings.lenient_card)


@answers(
    "Session",
    bodies.Renewal,
    optional=True,
    auth=False,
    headers={"x-firmly-app-id": True, "x-sim-token-lifetime": False},
)
async def browser_session(request: Request, renewal: bodies.Renewal) -> Response:
    """Make a device token for an app id, or renew one.

    The simulator's own header ``x-sim-token-lifetime`` sets the lifetime in seconds (negative:
    already expired).
    """
    world: World = request.app.state.world
    if request.headers.get("x-firmly-app-id") != world.app_id:
        raise _with_message("InvalidAppId", "the app id is missing or unknown")
    token = renewal.access_token
    try:
        device_id = str(uuid.uuid4()) if token is None else world.tokens.renew(token)
    except ApiError as error:
        raise _with_message(error.error, error.description) from None
    lifetime_s = _lifetime(request, world.settings.token_lifetime_s)
    await world.tokens.made()
    made, claims = world.tokens.issue(device_id, lifetime_s)
    return json_answer(
        {
            "device_created": token is None,
            "access_token": made,
            "expires_in": lifetime_s,
            "expires": claims.expires,
            "device_id": device_id,
        }
    )


def _lifetime(request: Request, default: int) -> int:
    asked = request.headers.get("x-sim-token-lifetime")
    if asked is None:
        return default
    try:
        seconds = int(asked)
    except ValueError:
        raise invalid("x-sim-token-lifetime: must be whole seconds") from None
    if abs(seconds) > LIFETIME_LIMIT_S:
        raise invalid("x-sim-token-lifetime: is too far away")
    return seconds


def _with_message(error: str, description: str) -> ApiError:
    """Return an error in the shape of the authentication pages."""
    made = ApiError(error, description)
    made.auth_page = True
    return made


@answers("ActiveDomains")
async def active_domains(request: Request) -> Response:
    """Return the merchants where the device has an active cart."""
    return json_answer({"domains": [cart.merchant.domain for cart in _active(request)]})


@answers("ActiveCarts", parameters=bodies.Excludes)
async def active_carts(request: Request, asked: bodies.Excludes) -> Response:
    """Return the device's active carts."""
    excluded = asked.excludes.split(",")
    shown = [cart for cart in _active(request) if cart.merchant.domain not in excluded]
    domains = [cart.merchant.domain for cart in shown]
    return json_answer({"domains": domains, "carts": [full_cart(cart) for cart in shown]})


def _active(request: Request) -> list[Cart]:
    world: World = request.app.state.world
    carts = world.carts_of(request.state.device_id)
    return [cart for cart in carts if cart.lines and not cart.confirmation]


@answers("PostalCode")
async def get_postal_code(request: Request) -> Response:
    """Return the device's postal code."""
    world: World = request.app.state.world
    return json_answer({"postal_code": world.postal_code(request.state.device_id)})


@answers("PostalCode", bodies.NewPostalCode)
async def set_postal_code(request: Request, new: bodies.NewPostalCode) -> Response:
    """Keep the device's postal code."""
    world: World = request.app.state.world
    world.set_postal_code(request.state.device_id, new.postal_code)
    return json_answer({"postal_code": new.postal_code})
