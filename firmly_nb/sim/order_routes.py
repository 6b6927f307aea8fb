"""Routes of all that an order takes: a session, the public key, Place Order, Complete Order.

And of a device over all shops: its active carts and its postal code.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.cart import FORMS, full_cart, not_submitted
from firmly_nb.sim.cart_routes import version_of
from firmly_nb.sim.faults import answer_instead
from firmly_nb.sim.keys import (
    PaymentSummary,
    open_jwe,
    public_jwk,
    public_pem,
    read_card,
)
from firmly_nb.sim.ordering import answer_order, chosen_fault
from firmly_nb.sim.placement import CheckedOrder, remove_last_line
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World


LIFETIME_LIMIT_S = 400 * 24 * 3600


async def public_key(request: Request) -> Response:
    """Get Public Key.

    Documented: formats JWK, PEM and RSA, header ``x-firmly-kid``, no authentication. Inferred: an
    unknown format is ``ErrorInvalidInputBody``; the format's name is read in any case.
    """
    world: World = request.app.state.world
    form = request.query_params.get("format", "JWK").upper()
    key = await asyncio.to_thread(lambda: world.keys.present)
    headers = {"x-firmly-kid": str(key["kid"])}
    if form == "JWK":
        return json_answer(public_jwk(key), headers=headers)
    if form in {"PEM", "RSA"}:
        return Response(public_pem(key, form), 200, headers, media_type="text/plain")
    raise invalid("format: must be JWK, PEM or RSA")


async def place_order(request: Request) -> Response:
    """Place Order; v1 takes items ``{variant_id, quantity}`` (inferred) and gives a Simple Cart.

    Documented: request, event names, that ``item-added`` and ``shipping-updated`` carry the cart
    and ``order-placed`` the order. Inferred: what is wrong with the request itself (token, body,
    card, captcha) is an ordinary error answer; what the shop finds out later (product, stock,
    country, payment, shop not reachable) is an ``error`` event once the stream has started. One
    ``item-added`` for each item; the cheapest shipping is taken; the device's cart at that shop is
    replaced.
    """
    world, device_id, merchant = who_and_where(request)
    body = await bodies.read_object(request)
    async with world.desk:
        version = version_of(request)
        items = bodies.items(body.get("items"), version)
        fault = chosen_fault(world, request, merchant, [ref["variant_id"] for ref, _ in items])
        shipping_info = bodies.address(body.get("shipping_info"), "shipping_info")
        paid = await _read_payment(world, merchant, body)
        instead = answer_instead(fault)
        if instead:
            return instead
        order = CheckedOrder(
            merchant=merchant,
            items=items,
            shipping_info=shipping_info,
            billing_info=paid.billing_info,
            payment=paid.summary,
            order_number=world.count_order(merchant.domain),
            version=version,
            fault=fault,
        )
        return answer_order(world, request, device_id, order)


async def complete_order(request: Request) -> Response:
    """Complete Order; v1 is the same for a Simple Cart.

    Documented: an existing cart, ``encrypted_card``, ``billing_info``, the five errors; no
    ``sse``. Inferred: an empty or absent cart is ``ErrorCartNotFound``, a missing address
    ``ErrorMissingRequiredParameters``, a submitted cart ``ErrorInvalidState``. A shop may answer
    200 with a changed cart instead of an order (``CART_ITEMS_REMOVED``, seen in code).
    """
    world, device_id, merchant = who_and_where(request)
    body = await bodies.read_object(request)
    paid = await _read_payment(world, merchant, body)
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
        order = CheckedOrder(
            merchant=merchant,
            items=[],
            shipping_info=cart.shipping_info,
            billing_info=paid.billing_info,
            payment=paid.summary,
            order_number=world.count_order(merchant.domain),
            version=version_of(request),
            fault=fault,
            cart=cart,
        )
        return answer_order(world, request, device_id, order)

    return InTurn(world, device_id, complete)


class InTurn(Response):
    """An answer that is found and sent while no other request of the device is worked on.

    Two requests to complete one cart must not both find that it can be completed.
    """

    def __init__(self, world: World, device_id: str, find: Callable[[], Response]) -> None:
        super().__init__()
        self._world = world
        self._device_id = device_id
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the turn, then answer."""
        async with self._world.turn(self._device_id):
            await self._find()(scope, receive, send)


def _completable(cart: Cart | None) -> Cart:
    if cart is None or not cart.lines:
        raise ApiError("ErrorCartNotFound", "this device has nothing in a cart at this merchant")
    if not_submitted(cart).shipping_info is None:
        raise ApiError("ErrorMissingRequiredParameters", "shipping_info: is not set")
    return cart


@dataclass(frozen=True, slots=True)
class Paid:
    """Who pays with what."""

    summary: PaymentSummary
    billing_info: Mapping[str, str]


async def _read_payment(world: World, merchant: Merchant, body: dict[str, Any]) -> Paid:
    billing_info = bodies.address(body.get("billing_info"), "billing_info")
    _check_captcha(merchant, body.get("captcha_token"))
    plaintext = await asyncio.to_thread(open_jwe, body.get("encrypted_card"), world.keys)
    return Paid(read_card(plaintext, world.settings.lenient_card), billing_info)


def _check_captcha(merchant: Merchant, token: Any) -> None:
    """Refuse a missing captcha token where one is needed; the error is inferred."""
    if token is not None:
        bodies.text(token, "captcha_token", 4_096)
    elif "captcha" in merchant.traits:
        raise ApiError("ErrorMissingRequiredParameters", "captcha_token: this merchant needs one")


async def browser_session(request: Request) -> Response:
    """Browser Session: from an app id to a device token.

    Documented: header ``x-firmly-app-id``; no body for a new device, ``{"access_token": ...}`` to
    renew until a week after expiry; the answer's fields. Inferred: a renewed session keeps its
    device and says ``device_created: false``; a token that is none gives ``InvalidJWTToken``. The
    simulator's own header ``x-sim-token-lifetime`` sets the lifetime in seconds (negative: already
    expired).
    """
    world: World = request.app.state.world
    if request.headers.get("x-firmly-app-id") != world.app_id:
        raise _with_message("InvalidAppId", "the app id is missing or unknown")
    body = await bodies.read_optional_object(request)
    renewing = body.get("access_token") is not None
    try:
        device_id = world.tokens.renew(body["access_token"]) if renewing else str(uuid.uuid4())
    except ApiError as error:
        raise _with_message(error.error, error.description) from None
    lifetime_s = _lifetime(request, world.settings.token_lifetime_s)
    token, claims = await asyncio.to_thread(world.tokens.issue, device_id, lifetime_s)
    return json_answer(
        {
            "device_created": not renewing,
            "access_token": token,
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


async def active_domains(request: Request) -> Response:
    """Active Domains: shops where the device has a cart with something in it.

    Inferred: "active" means that there are lines and the cart was not submitted.
    """
    world: World = request.app.state.world
    carts = _active(world, world.device(request).device_id)
    return json_answer({"domains": [cart.merchant.domain for cart in carts]})


async def active_carts(request: Request) -> Response:
    """Active Carts: ``{domains, carts}``; ``excludes`` leaves shops out."""
    world: World = request.app.state.world
    carts = _active(world, world.device(request).device_id)
    excluded = request.query_params.get("excludes", "").split(",")
    shown = [cart for cart in carts if cart.merchant.domain not in excluded]
    domains = [cart.merchant.domain for cart in shown]
    return json_answer({"domains": domains, "carts": [full_cart(cart) for cart in shown]})


def _active(world: World, device_id: str) -> list[Cart]:
    return [cart for cart in world.carts_of(device_id) if cart.lines and not cart.confirmation]


async def get_postal_code(request: Request) -> Response:
    """Get Postal Code; an unset one is ``""``, as on its own page."""
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    return json_answer({"postal_code": world.postal_code(device_id)})


async def set_postal_code(request: Request) -> Response:
    """Set Postal Code; a wrong one is ``ValidationError``.

    Inferred: which postal codes are right (3 to 10 letters, digits, blanks and dashes).
    """
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    body = await bodies.read_object(request)
    postal_code = body.get("postal_code")
    if not isinstance(postal_code, str) or not bodies.is_postal_code(postal_code):
        raise ApiError("ValidationError", "postal_code: is no postal code")
    world.set_postal_code(device_id, postal_code.strip())
    return json_answer({"postal_code": postal_code.strip()})


PAYMENT = "/api/v{version}/payment/domains/{{domain}}/{verb}"
ROUTES = [
    Route("/api/v1/browser-session", browser_session, methods=["POST"]),
    Route("/api/v1/payment/key", public_key, methods=["GET"]),
    Route(PAYMENT.format(version=1, verb="place-order"), place_order, methods=["POST"]),
    Route(PAYMENT.format(version=2, verb="place-order"), place_order, methods=["POST"]),
    Route(PAYMENT.format(version=1, verb="complete-order"), complete_order, methods=["POST"]),
    Route(PAYMENT.format(version=2, verb="complete-order"), complete_order, methods=["POST"]),
    Route("/api/v2/carts/active-domains", active_domains, methods=["GET"]),
    Route("/api/v2/carts/active", active_carts, methods=["GET"]),
    Route("/api/v1/carts/active", active_carts, methods=["GET"]),
    Route("/api/v2/carts/postal-code", get_postal_code, methods=["GET"]),
    Route("/api/v2/carts/postal-code", set_postal_code, methods=["POST"]),
]
