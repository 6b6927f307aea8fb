"""Routes of the card service: the public key, Place Order and Complete Order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from firmly_nb.sim import validation
from firmly_nb.sim.answer_faults import answer_instead
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.card import PaymentSummary, read_card
from firmly_nb.sim.cart_change import FORMS, InTurn, who_and_where
from firmly_nb.sim.crypto import open_jwe, public_jwk, public_pem
from firmly_nb.sim.ordering import answer_order, chosen_fault
from firmly_nb.sim.placement import Attempt, remove_last_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.catalog import Merchant
    from firmly_nb.sim.world import World


async def public_key(request: Request) -> Response:
    """Get Public Key (firmly-api.md, section 3.1).

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
    """Place Order v2 (firmly-api.md, sections 4.1 to 4.5).

    Documented: request, event names, that ``item-added`` and ``shipping-updated`` carry the cart
    and ``order-placed`` the order. Inferred: what is wrong with the request itself (token, body,
    card, captcha) is an ordinary error answer; what the shop finds out later (product, stock,
    country, payment, shop not reachable) is an ``error`` event once the stream has started. One
    ``item-added`` for each item; the cheapest shipping is taken; the device's cart at that shop is
    replaced.
    """
    return await _place(request, 2)


async def place_order_v1(request: Request) -> Response:
    """Place Order v1 (sections 4.1 and 4.2); items ``{variant_id, quantity}`` are inferred."""
    return await _place(request, 1)


async def _place(request: Request, version: int) -> Response:
    world, device_id, merchant = who_and_where(request)
    body = await validation.read_object(request)
    async with world.desk:
        read_items = validation.items if version == 2 else validation.simple_items
        items = read_items(body.get("items"))
        fault = chosen_fault(world, request, merchant, [ref["variant_id"] for ref, _ in items])
        shipping_info = validation.address(body.get("shipping_info"), "shipping_info")
        paid = await _read_payment(world, merchant, body)
        instead = answer_instead(fault)
        if instead:
            return instead
        attempt = Attempt(
            merchant=merchant,
            items=items,
            shipping_info=shipping_info,
            billing_info=paid.billing_info,
            payment=paid.summary,
            order_number=world.count_order(merchant.domain),
            version=version,
            fault=fault,
        )
        return answer_order(world, request, device_id, attempt)


async def complete_order(request: Request) -> Response:
    """Complete Order v2 (firmly-api.md, section 5.1).

    Documented: an existing Full Cart, ``encrypted_card``, ``billing_info``, the five errors; no
    ``sse``. Inferred: an empty or absent cart is ``ErrorCartNotFound``, a missing address
    ``ErrorMissingRequiredParameters``, a submitted cart ``ErrorInvalidState``. A shop may answer
    200 with a changed cart instead of an order (``CART_ITEMS_REMOVED``, seen in code).
    """
    return await _complete(request, 2)


async def complete_order_v1(request: Request) -> Response:
    """Complete Order v1 (firmly-api.md, section 5.1): the same for a Simple Cart."""
    return await _complete(request, 1)


async def _complete(request: Request, version: int) -> Response:
    world, device_id, merchant = who_and_where(request)
    body = await validation.read_object(request)
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
            return json_answer(FORMS[version](cart))
        attempt = Attempt(
            merchant=merchant,
            items=[],
            shipping_info=cart.shipping_info,
            billing_info=paid.billing_info,
            payment=paid.summary,
            order_number=world.count_order(merchant.domain),
            version=version,
            fault=fault,
            cart=cart,
        )
        return answer_order(world, request, device_id, attempt)

    return InTurn(world, device_id, complete)


def _completable(cart: Cart | None) -> Cart:
    if cart is None or not cart.lines:
        raise ApiError("ErrorCartNotFound", "this device has nothing in a cart at this merchant")
    if cart.confirmation:
        raise ApiError("ErrorInvalidState", "the cart was submitted and can only be read")
    if cart.shipping_info is None:
        raise ApiError("ErrorMissingRequiredParameters", "shipping_info: is not set")
    return cart


@dataclass(frozen=True, slots=True)
class Paid:
    """Who pays with what."""

    summary: PaymentSummary
    billing_info: Mapping[str, str]


async def _read_payment(world: World, merchant: Merchant, body: dict[str, Any]) -> Paid:
    billing_info = validation.address(body.get("billing_info"), "billing_info")
    _check_captcha(merchant, body.get("captcha_token"))
    plaintext = await asyncio.to_thread(open_jwe, body.get("encrypted_card"), world.keys)
    return Paid(read_card(plaintext, world.settings.lenient_card), billing_info)


def _check_captcha(merchant: Merchant, token: Any) -> None:
    """Refuse a missing captcha token where one is needed; the error is inferred (section 8)."""
    if token is not None:
        validation.text(token, "captcha_token", 4_096)
    elif "captcha" in merchant.traits:
        raise ApiError("ErrorMissingRequiredParameters", "captcha_token: this merchant needs one")


PAYMENT = "/api/v{version}/payment/domains/{{domain}}/{verb}"
ROUTES = [
    Route("/api/v1/payment/key", public_key, methods=["GET"]),
    Route(PAYMENT.format(version=1, verb="place-order"), place_order_v1, methods=["POST"]),
    Route(PAYMENT.format(version=2, verb="place-order"), place_order, methods=["POST"]),
    Route(PAYMENT.format(version=1, verb="complete-order"), complete_order_v1, methods=["POST"]),
    Route(PAYMENT.format(version=2, verb="complete-order"), complete_order, methods=["POST"]),
]
