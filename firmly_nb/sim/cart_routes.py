"""Routes of the Full Cart (v2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from firmly_nb.sim import cart as carts
from firmly_nb.sim import shipping, validation
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.availability import availability, chosen_location
from firmly_nb.sim.cart_change import change, read, who_and_where

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MOST_CODES = 10


async def get_cart(request: Request) -> Response:
    """Get Cart (section 6.1); with and without the trailing slash, as sources differ.

    Inferred, from the v1 page: a device without a cart gets an empty one.
    """
    return await read(request, 2)


async def add_line_item(request: Request) -> Response:
    """Add Line Item (section 6.1): ``{add_to_cart_ref, quantity}``, query ``flush_cart``."""
    body = await validation.read_object(request)
    reference = validation.product_reference(body.get("add_to_cart_ref"), "add_to_cart_ref")
    quantity = validation.quantity(body.get("quantity"), "quantity")
    flush = validation.flag(request.query_params.get("flush_cart"), "flush_cart")

    def add(cart: carts.Cart) -> carts.Cart:
        return carts.add_line(carts.clear(cart) if flush else cart, reference, quantity)

    return await change(request, 2, "item-added", add, starts=True)


async def update_line_item(request: Request) -> Response:
    """Update Line Item (section 6.1): ``{quantity}``; 0 removes the line."""
    body = await validation.read_object(request)
    quantity = validation.quantity(body.get("quantity"), "quantity", 0)
    line_item_id = request.path_params["line_item_id"]
    make = partial(carts.set_quantity, line_item_id=line_item_id, quantity=quantity)
    return await change(request, 2, "item-added", make)


async def clear_cart(request: Request) -> Response:
    """Clear Cart (section 6.1); id, addresses and payment options stay."""
    return await change(request, 2, "creating-cart", carts.clear)


async def set_shipping_info(request: Request) -> Response:
    """Set Shipping Info (section 6.1); the cheapest methods are chosen."""
    body = await validation.read_object(request)
    address = validation.address(body, "shipping_info")
    return await change(request, 2, "shipping-updated", partial(carts.ship_to, address=address))


async def set_billing_info(request: Request) -> Response:
    """Set Billing Info (section 6.1)."""
    body = await validation.read_object(request)
    address = validation.address(body, "billing_info")
    return await change(request, 2, "creating-cart", partial(carts.bill_to, address=address))


async def set_shipping_method(request: Request) -> Response:
    """Set Shipping Method (section 6.1), at the documented path.

    The other path that a known client uses, ``/cart/shipments/shipping-method``, is not served: it
    answers ``RouteNotFound``, as was seen in UAT. Inferred: a method that is not offered is
    ``ErrorInvalidInputBody``.
    """
    body = await validation.read_object(request)
    shipment_id = validation.text(body.get("shipment_id"), "shipment_id")
    method_id = validation.text(body.get("shipping_method_id"), "shipping_method_id")
    details = _details(body)

    def choose(cart: carts.Cart) -> carts.Cart:
        cart = shipping.choose_method(cart, shipment_id, method_id)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await change(request, 2, "shipping-updated", choose)


def _details(body: dict[str, Any]) -> dict[str, Any]:
    details = {}
    if body.get("notes") is not None:
        details["notes"] = validation.text(body["notes"], "notes")
    if body.get("selected_date") is not None:
        details["selected_date"] = validation.date(body["selected_date"], "selected_date")
    return details


async def set_fulfillment_type(request: Request) -> Response:
    """Set Fulfillment Type (section 6.1); both ids of pickup are understood (section 6.4.2)."""
    body = await validation.read_object(request)
    shipment_id = validation.text(body.get("shipment_id"), "shipment_id")
    kind = validation.text(body.get("fulfillment_type"), "fulfillment_type")
    details = {}
    if body.get("location_id") is not None:
        details = chosen_location(validation.text(body["location_id"], "location_id"))

    def choose(cart: carts.Cart) -> carts.Cart:
        cart = shipping.choose_fulfilment(cart, shipment_id, kind)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await change(request, 2, "shipping-updated", choose)


async def get_availability(request: Request) -> Response:
    """Get Availability (sections 6.1 and 6.4.4); only for shipments with scheduled delivery."""
    body = await validation.read_object(request)
    world, device_id, merchant = who_and_where(request)
    cart = world.cart(device_id, merchant)
    if cart is None:
        raise ApiError("ErrorCartNotFound", "this device has no cart at this merchant")
    shipment = shipping.find_shipment(cart, body.get("shipment_id"))
    if shipment.fulfilment != shipping.SCHEDULED:
        raise ApiError("ErrorInvalidState", "the shipment is not delivered on a chosen day")
    return json_answer(availability(shipment.shipment_id, merchant.currency))


async def add_promo_codes(request: Request) -> Response:
    """Add Promo Codes (section 6.1): ``{promo_codes: [1 to 10]}``; all of them or none."""
    codes = await read_codes(request)
    return await change(request, 2, "creating-cart", partial(carts.add_promo_codes, codes=codes))


async def clear_promo_codes(request: Request) -> Response:
    """Clear Promo Codes (section 6.1)."""
    return await change(request, 2, "creating-cart", clear_codes)


async def read_codes(request: Request) -> list[str]:
    """Return the promo codes of a body."""
    body = await validation.read_object(request)
    codes = validation.texts(body.get("promo_codes"), "promo_codes", MOST_CODES)
    if not codes:
        raise invalid(f"promo_codes: must be a list of 1 to {MOST_CODES} strings")
    return codes


def clear_codes(cart: carts.Cart) -> carts.Cart:
    """Take all promo codes off a cart."""
    return replace(cart, promo_codes=())


CART = "/api/v2/domains/{domain}/cart"
ROUTES = [
    Route(CART, get_cart, methods=["GET"]),
    Route(CART + "/", get_cart, methods=["GET"]),
    Route(CART + "/line-items", add_line_item, methods=["POST"]),
    Route(CART + "/line-items", clear_cart, methods=["DELETE"]),
    Route(CART + "/line-items/{line_item_id}", update_line_item, methods=["PUT"]),
    Route(CART + "/shipping-info", set_shipping_info, methods=["POST", "PUT"]),
    Route(CART + "/billing-info", set_billing_info, methods=["POST"]),
    Route(CART + "/shipment/methods", set_shipping_method, methods=["POST"]),
    Route(CART + "/shipments/fulfillment-type", set_fulfillment_type, methods=["POST"]),
    Route(CART + "/shipments/get-availability", get_availability, methods=["POST"]),
    Route(CART + "/promo-codes", add_promo_codes, methods=["POST", "PUT"]),
    Route(CART + "/promo-codes", clear_promo_codes, methods=["DELETE"]),
]
