"""Routes of an order: a session, the public key, Place Order, Complete Order.

And of a device over all merchants: its active carts and its postal code.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from typing_extensions import override

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.behaviour import draw, make_rng
from firmly_nb.sim.bodies import answers, version_of
from firmly_nb.sim.cart import not_submitted
from firmly_nb.sim.cart_forms import FORMS, full_cart
from firmly_nb.sim.faults import answer_instead, chosen_fault, relabel, spoil, spoil_carts
from firmly_nb.sim.keys import (
    PaymentSummary,
    open_jwe,
    public_jwk,
    public_pem,
    read_card,
)
from firmly_nb.sim.placement import CheckedOrder, Step, play, remove_last_line, write_script
from firmly_nb.sim.replay import replayed
from firmly_nb.sim.stream import EventStream, PlainAnswer
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    key = await asyncio.to_thread(lambda: world.keys.present)
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
        if world.tape:
            facts = _replay_facts(world, request, merchant, body, sse=sse)
            return replayed(request, device_id, merchant.domain, items, facts)
        instead = answer_instead(fault)
        if instead:
            return instead
        number = world.count_order(merchant.domain)
        order = CheckedOrder(
            merchant=merchant,
            items=items,
            shipping_info=body.shipping_info.given(),
            billing_info=body.billing_info.given(),
            payment=payment,
            order_number=number,
            version=version_of(request),
            fault=fault,
            repeats=_repeats(world, request, body, number),
        )
        return answer_order(world, request, device_id, order, sse=sse)


@answers("Cart", bodies.CompleteOrder)
async def complete_order(request: Request, body: bodies.CompleteOrder) -> Response:
    """Order the device's cart."""
    world, device_id, merchant = who_and_where(request)
    payment = await _read_payment(world, merchant, body)
    fault = chosen_fault(world, request, merchant, [])
    instead = answer_instead(fault)
    if instead:
        return instead

    def complete() -> Response:
        cart = _completable(world.cart(device_id, merchant))
        if "removes-items" in merchant.traits and len(cart.lines) > 1:
            cart = remove_last_line(cart)
            world.put_cart(device_id, cart)
            return json_answer(FORMS[version_of(request)](cart))
        number = world.count_order(merchant.domain)
        order = CheckedOrder(
            merchant=merchant,
            items=[],
            shipping_info=cart.shipping_info,
            billing_info=body.billing_info.given(),
            payment=payment,
            order_number=number,
            version=version_of(request),
            fault=fault,
            cart=cart,
            repeats=_repeats(world, request, body, number),
        )
        return answer_order(world, request, device_id, order)

    return InTurn(world, device_id, complete)


def answer_order(
    world: World, request: Request, device_id: str, order: CheckedOrder, *, sse: bool = False
) -> Response:
    """Work an order out, draw its delays, and return the response that is sent in their time."""
    domain = order.merchant.domain
    order_no = world.orders_at(domain) - 1
    rng = make_rng(world.settings.seed, domain, order_no)
    profile_name, profile = world.profile(order.merchant, request.headers.get("x-sim-profile"))
    moment = world.moment(order_no)
    delays = draw(profile, rng, len(order.items), moment)
    delays = delays[-1:] if order.cart else delays
    steps = spoil_carts(play(order, rng), order.fault)
    facts = _facts(request, order, steps, "sse" if sse else "plain", profile_name)
    world.recent.append(facts)
    if order.repeats:
        world.repeats.append(facts)
    if not sse:
        return PlainAnswer(world, steps, delays, device_id, facts)
    script = spoil(write_script(steps, delays, world.settings), order.fault)
    stream = EventStream(world, script, device_id, facts)
    relabel(stream, order.fault)
    return stream


def _facts(
    request: Request, order: CheckedOrder, steps: Sequence[Step], mode: str, profile: str
) -> dict[str, Any]:
    last = steps[-1]
    return {
        "order": int(order.order_number),
        "request_id": request.headers.get("x-firmly-request-id", "")[:LONGEST_REQUEST_ID],
        "domain": order.merchant.domain,
        "cart_id": last.cart.cart_id,
        "order_number": "" if last.error else order.order_number,
        "error": last.error.error if last.error else "",
        "mode": mode,
        "profile": profile,
        "fault": order.fault,
        **order.repeats,
    }


def _replay_facts(
    world: World, request: Request, merchant: Merchant, body: bodies.CompleteOrder, *, sse: bool
) -> dict[str, Any]:
    number = world.count_order(merchant.domain)
    facts = {
        "order": int(number),
        "request_id": request.headers.get("x-firmly-request-id", "")[:LONGEST_REQUEST_ID],
        "domain": merchant.domain,
        "cart_id": "",
        "order_number": "",
        "error": "",
        "mode": "sse" if sse else "plain",
        "profile": "replay",
        "fault": "",
        **_repeats(world, request, body, number),
    }
    if "repeats" in facts:
        world.repeats.append(facts)
    return facts


def _repeats(
    world: World, request: Request, body: bodies.CompleteOrder, number: str
) -> Mapping[str, str]:
    card = body.encrypted_card
    request_id = request.headers.get("x-firmly-request-id", "")[:LONGEST_REQUEST_ID]
    return world.first_of(number, encrypted_card=card, request_id=request_id)


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
    plaintext = await asyncio.to_thread(open_jwe, body.encrypted_card, world.keys)
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
    made, claims = await asyncio.to_thread(world.tokens.issue, device_id, lifetime_s)
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
