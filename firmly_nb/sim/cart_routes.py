"""Routes of a device's cart: the Full Cart (v2), and the Simple Cart (v1), a flat form of it.

A change is worked on while no other request of the device is, takes as long as the stage of an
order that it resembles, and is answered with the whole cart in the form of the path's version.
Inferred: a submitted cart is read-only (``ErrorInvalidState``), but adding something starts a new
one; a change to a cart that does not exist is ``ErrorCartNotFound``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from firmly_nb.sim import bodies
from firmly_nb.sim import cart as carts
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.behaviour import draw, make_rng
from firmly_nb.sim.cart import FORMS, Cart, money, new_cart
from firmly_nb.sim.faults import answer_instead, spoil_cart
from firmly_nb.sim.ordering import fault_by_header
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.cart import Change, Json
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.world import World


MOST_CODES = 10
DAYS = 5
SLOTS = (("08:00", "12:00", "Morning"), ("13:00", "17:00", "Afternoon"))
WINDOW_PRICE = 995


async def get_cart(request: Request) -> Response:
    """Get Cart; with and without the trailing slash, as sources differ.

    A device without a cart gets an empty one (documented for v1, inferred for v2).
    """
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    async with world.turn(device_id):
        cart = world.cart(device_id, merchant)
        if cart is None:
            cart = new_cart(merchant)
            world.put_cart(device_id, cart)
    return answer_instead(fault) or _answer(request, cart, fault)


async def add_line_item(request: Request) -> Response:
    """Add Line Item: ``{add_to_cart_ref, quantity}``, query ``flush_cart``."""
    body = await bodies.read_object(request)
    reference = bodies.product_reference(body.get("add_to_cart_ref"), "add_to_cart_ref")
    quantity = bodies.quantity(body.get("quantity"), "quantity")
    return await _add(request, reference, quantity, flush=_flag(request, "flush_cart"))


async def add_item(request: Request) -> Response:
    """Add Item, v1: SKU and quantity in the path; body ``{variant_handles?}``.

    ``fast_mode`` is accepted and changes nothing (what it does is not documented).
    """
    body = await bodies.read_optional_object(request)
    reference = _sku_reference(request, body)
    number = request.path_params["quantity"]
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise invalid("quantity: must be a whole number")
    quantity = bodies.quantity(int(number), "quantity")
    _flag(request, "fast_mode")
    return await _add(request, reference, quantity, flush=_flag(request, "flush_cart"))


async def _add(
    request: Request, reference: dict[str, Any], quantity: int, *, flush: bool
) -> Response:
    def add(cart: Cart) -> Cart:
        return carts.add_line(carts.clear(cart) if flush else cart, reference, quantity)

    return await _change(request, "item-added", add, starts=True)


async def update_line_item(request: Request) -> Response:
    """Update Line Item: ``{quantity}``; 0 removes the line."""
    body = await bodies.read_object(request)
    quantity = bodies.quantity(body.get("quantity"), "quantity", 0)
    line_item_id = request.path_params["line_item_id"]
    make = partial(carts.set_quantity, line_item_id=line_item_id, quantity=quantity)
    return await _change(request, "item-added", make)


async def update_item(request: Request) -> Response:
    """Update Item, v1: ``{quantity, variant_handles?}`` for the line of a SKU."""
    body = await bodies.read_object(request)
    for name in ("fast_mode", "flush_cart"):
        _flag(request, name)
    sku = _sku_reference(request, body)["variant_id"]
    quantity = bodies.quantity(body.get("quantity"), "quantity", 0)

    def update(cart: Cart) -> Cart:
        line = next((one for one in cart.lines if one.variant.variant_id == sku), None)
        if line is None:
            raise ApiError("ErrorLineItemNotFound", "the cart has no line of this SKU")
        return carts.set_quantity(cart, line.line_item_id, quantity)

    return await _change(request, "item-added", update)


def _sku_reference(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    handles = body.get("variant_handles")
    if handles is not None:
        bodies.texts(handles, "variant_handles")
    return {"variant_id": bodies.text(request.path_params["sku"], "sku")}


def _flag(request: Request, name: str) -> bool:
    return bodies.flag(request.query_params.get(name), name)


async def clear_cart(request: Request) -> Response:
    """Clear Cart; id, addresses and payment options stay."""
    return await _change(request, "creating-cart", carts.clear)


async def set_shipping_info(request: Request) -> Response:
    """Set Shipping Info; the cheapest methods are chosen. In v1 ``phone`` is optional."""
    body = await bodies.read_object(request)
    address = bodies.address(body, "shipping_info", phone_required=version_of(request) == 2)
    return await _change(request, "shipping-updated", partial(carts.ship_to, address=address))


async def set_billing_info(request: Request) -> Response:
    """Set Billing Info."""
    body = await bodies.read_object(request)
    address = bodies.address(body, "billing_info")
    return await _change(request, "creating-cart", partial(carts.bill_to, address=address))


async def set_shipping_method(request: Request) -> Response:
    """Set Shipping Method, at the documented path.

    The other path that a known client uses, ``/cart/shipments/shipping-method``, is not served: it
    answers ``RouteNotFound``, as was seen in UAT. Inferred: a method that is not offered is
    ``ErrorInvalidInputBody``.
    """
    body = await bodies.read_object(request)
    shipment_id = bodies.text(body.get("shipment_id"), "shipment_id")
    method_id = bodies.text(body.get("shipping_method_id"), "shipping_method_id")
    details = {}
    if body.get("notes") is not None:
        details["notes"] = bodies.text(body["notes"], "notes")
    if body.get("selected_date") is not None:
        details["selected_date"] = bodies.date(body["selected_date"], "selected_date")

    choose = partial(carts.choose_method, shipment_id=shipment_id, method_id=method_id)
    return await _choose(request, choose, shipment_id, details)


async def set_one_shipping_method(request: Request) -> Response:
    """Set Shipping Method, v1: ``{shipping_method: "<sku>"}`` for the whole cart."""
    body = await bodies.read_object(request)
    method_id = bodies.text(body.get("shipping_method"), "shipping_method")

    def choose(cart: Cart) -> Cart:
        for shipment in carts.shipments(cart):
            cart = carts.choose_method(cart, shipment.shipment_id, method_id)
        return cart

    return await _change(request, "shipping-updated", choose)


async def set_fulfillment_type(request: Request) -> Response:
    """Set Fulfillment Type; both ids of pickup that the pages name are understood."""
    body = await bodies.read_object(request)
    shipment_id = bodies.text(body.get("shipment_id"), "shipment_id")
    kind = bodies.text(body.get("fulfillment_type"), "fulfillment_type")
    details: dict[str, Any] = {}
    if body.get("location_id") is not None:
        location_id = bodies.text(body["location_id"], "location_id")
        details["selected_location"] = {"location_id": location_id}

    choose = partial(carts.choose_fulfilment, shipment_id=shipment_id, kind=kind)
    return await _choose(request, choose, shipment_id, details)


async def _choose(
    request: Request, choose: Change, shipment_id: str, details: dict[str, Any]
) -> Response:
    """Choose something for a shipment, and note what else was said of it."""

    def make(cart: Cart) -> Cart:
        cart = choose(cart)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await _change(request, "shipping-updated", make)


async def get_availability(request: Request) -> Response:
    """Get Availability; only for shipments with scheduled delivery."""
    body = await bodies.read_object(request)
    world, device_id, merchant = who_and_where(request)
    cart = _existing(world.cart(device_id, merchant))
    shipment = carts.find_shipment(cart, body.get("shipment_id"))
    if shipment.fulfilment != carts.SCHEDULED:
        raise ApiError("ErrorInvalidState", "the shipment is not delivered on a chosen day")
    return json_answer(_availability(shipment.shipment_id, merchant.currency))


def _availability(shipment_id: str, currency: str) -> Json:
    """Return the next days with their time slots, and one delivery window over all of them."""
    today = datetime.now(UTC).date()
    days = [(today + timedelta(days=n)).isoformat() for n in range(2, 2 + DAYS)]
    return {
        "shipment_id": shipment_id,
        "fulfillment_type": "SCHEDULED_DELIVERY",
        "available_dates": [_day(day) for day in days],
        "delivery_windows": [
            {
                "window_id": "week",
                "name": "Any of these days",
                "description": "We choose the day",
                "price": money(WINDOW_PRICE, currency),
                "date_range": {"start_date": days[0], "end_date": days[-1]},
            }
        ],
    }


def _day(day: str) -> Json:
    return {
        "date": day,
        "description": datetime.fromisoformat(day).strftime("%A"),
        "time_slots": [
            {
                "slot_id": f"{day}-{n}",
                "start_time": start,
                "end_time": end,
                "description": name,
                "available": True,
            }
            for n, (start, end, name) in enumerate(SLOTS)
        ],
    }


async def add_promo_codes(request: Request) -> Response:
    """Add Promo Codes: ``{promo_codes: [1 to 10]}``; all of them or none.

    The v1 route is not documented; it was seen in code.
    """
    body = await bodies.read_object(request)
    codes = bodies.texts(body.get("promo_codes"), "promo_codes", MOST_CODES)
    if not codes:
        raise invalid(f"promo_codes: must be a list of 1 to {MOST_CODES} strings")
    return await _change(request, "creating-cart", partial(carts.add_promo_codes, codes=codes))


async def clear_promo_codes(request: Request) -> Response:
    """Clear Promo Codes. The v1 route is not documented; it was seen in code."""
    return await _change(request, "creating-cart", lambda cart: replace(cart, promo_codes=()))


FULL_CART = "/api/v2/domains/{domain}/cart"
SIMPLE_CART = "/api/v1/domains/{domain}/cart"
ROUTES = [
    Route(FULL_CART, get_cart, methods=["GET"]),
    Route(FULL_CART + "/", get_cart, methods=["GET"]),
    Route(FULL_CART + "/line-items", add_line_item, methods=["POST"]),
    Route(FULL_CART + "/line-items", clear_cart, methods=["DELETE"]),
    Route(FULL_CART + "/line-items/{line_item_id}", update_line_item, methods=["PUT"]),
    Route(FULL_CART + "/shipping-info", set_shipping_info, methods=["POST", "PUT"]),
    Route(FULL_CART + "/billing-info", set_billing_info, methods=["POST"]),
    Route(FULL_CART + "/shipment/methods", set_shipping_method, methods=["POST"]),
    Route(FULL_CART + "/shipments/fulfillment-type", set_fulfillment_type, methods=["POST"]),
    Route(FULL_CART + "/shipments/get-availability", get_availability, methods=["POST"]),
    Route(FULL_CART + "/promo-codes", add_promo_codes, methods=["POST", "PUT"]),
    Route(FULL_CART + "/promo-codes", clear_promo_codes, methods=["DELETE"]),
    Route(SIMPLE_CART, get_cart, methods=["GET"]),
    Route(SIMPLE_CART + "/line-items/{sku}/quantity/{quantity}", add_item, methods=["POST"]),
    Route(SIMPLE_CART + "/line-items/{sku}", update_item, methods=["PUT"]),
    Route(SIMPLE_CART + "/line-items", clear_cart, methods=["DELETE"]),
    Route(SIMPLE_CART + "/shipping-info", set_shipping_info, methods=["POST"]),
    Route(SIMPLE_CART + "/shipping-method", set_one_shipping_method, methods=["POST"]),
    Route(SIMPLE_CART + "/promo-codes", add_promo_codes, methods=["POST"]),
    Route(SIMPLE_CART + "/promo-codes", clear_promo_codes, methods=["DELETE"]),
]


def version_of(request: Request) -> int:
    """Return which version of the API a path belongs to: 1 or 2, the form of the cart."""
    return 1 if request.url.path.startswith("/api/v1/") else 2


async def _change(request: Request, stage: str, make: Change, *, starts: bool = False) -> Response:
    """Change the device's cart and answer with the whole of it.

    Parameters
    ----------
    stage
        The stage of an order whose delay the change takes.
    make
        From the cart as it is to the cart as it will be.
    starts
        Whether the change makes a cart where there is none, or only a submitted one.
    """
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    instead = answer_instead(fault)
    if instead:
        return instead
    async with world.turn(device_id):
        cart = make(_changeable(world.cart(device_id, merchant), merchant, starts=starts))
        await _take_time(world, request, merchant, stage)
        world.put_cart(device_id, cart)
    return _answer(request, cart, fault)


def _changeable(cart: Cart | None, merchant: Merchant, *, starts: bool) -> Cart:
    if "closed" in merchant.traits:
        raise ApiError("ErrorStoreUnavailable", "the merchant is temporarily unavailable")
    if starts and (cart is None or cart.confirmation):
        return new_cart(merchant)
    return carts.not_submitted(_existing(cart))


def _existing(cart: Cart | None) -> Cart:
    if cart is None:
        raise ApiError("ErrorCartNotFound", "this device has no cart at this merchant")
    return cart


async def _take_time(world: World, request: Request, merchant: Merchant, stage: str) -> None:
    _, profile = world.profile(merchant, request.headers.get("x-sim-profile"))
    rng = make_rng(world.settings.seed, merchant.domain, "change", world.count_change())
    moment = world.moment(world.orders_at(merchant.domain))
    await asyncio.sleep(dict(draw(profile, rng, 1, moment))[stage] / 1000)


def _answer(request: Request, cart: Cart, fault: str) -> Response:
    body = FORMS[version_of(request)](cart)
    return json_answer(spoil_cart(body, fault) if cart.lines else body)
