"""Routes of the Simple Cart (v1). It is the same cart as v2's, in a flat form (section 5.1)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from firmly_nb.sim import cart as carts
from firmly_nb.sim import shipping, validation
from firmly_nb.sim.answers import ApiError, invalid
from firmly_nb.sim.cart_change import change, read
from firmly_nb.sim.cart_routes import clear_codes, read_codes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def get_cart(request: Request) -> Response:
    """Get Cart, v1 (section 6.2): empty if there is none."""
    return await read(request, 1)


async def add_item(request: Request) -> Response:
    """Add Item, v1 (section 6.2): SKU and quantity in the path; body ``{variant_handles?}``.

    ``fast_mode`` is accepted and changes nothing (what it does is not documented).
    """
    body = await validation.read_optional_object(request)
    reference = _reference(request.path_params["sku"], body)
    number = request.path_params["quantity"]
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise invalid("quantity: must be a whole number")
    quantity = validation.quantity(int(number), "quantity")
    flush = _flags(request)

    def add(cart: carts.Cart) -> carts.Cart:
        return carts.add_line(carts.clear(cart) if flush else cart, reference, quantity)

    return await change(request, 1, "item-added", add, starts=True)


async def update_item(request: Request) -> Response:
    """Update Item, v1 (section 6.2): ``{quantity, variant_handles?}`` for the line of a SKU."""
    body = await validation.read_object(request)
    _flags(request)
    reference = _reference(request.path_params["sku"], body)
    quantity = validation.quantity(body.get("quantity"), "quantity", 0)

    def update(cart: carts.Cart) -> carts.Cart:
        sku = reference["variant_id"]
        line = next((one for one in cart.lines if one.variant.variant_id == sku), None)
        if line is None:
            raise ApiError("ErrorLineItemNotFound", "the cart has no line of this SKU")
        return carts.set_quantity(cart, line.line_item_id, quantity)

    return await change(request, 1, "item-added", update)


def _reference(sku: str, body: dict[str, Any]) -> dict[str, Any]:
    handles = body.get("variant_handles")
    if handles is not None:
        validation.texts(handles, "variant_handles")
    return {"variant_id": validation.text(sku, "sku")}


def _flags(request: Request) -> bool:
    query = request.query_params
    validation.flag(query.get("fast_mode"), "fast_mode")
    return validation.flag(query.get("flush_cart"), "flush_cart")


async def clear_cart(request: Request) -> Response:
    """Clear Cart, v1 (section 6.2)."""
    return await change(request, 1, "creating-cart", carts.clear)


async def set_shipping_info(request: Request) -> Response:
    """Set Shipping Info, v1 (section 6.2); here ``phone`` is optional (section 6.5)."""
    body = await validation.read_object(request)
    address = validation.address(body, "shipping_info", phone_required=False)
    return await change(request, 1, "shipping-updated", partial(carts.ship_to, address=address))


async def set_shipping_method(request: Request) -> Response:
    """Set Shipping Method, v1 (section 6.2): ``{shipping_method: "<sku>"}`` for the whole cart."""
    body = await validation.read_object(request)
    method_id = validation.text(body.get("shipping_method"), "shipping_method")

    def choose(cart: carts.Cart) -> carts.Cart:
        for shipment in shipping.shipments(cart):
            cart = shipping.choose_method(cart, shipment.shipment_id, method_id)
        return cart

    return await change(request, 1, "shipping-updated", choose)


async def add_promo_codes(request: Request) -> Response:
    """Add promo codes, v1 (section 6.2; seen in code, not documented)."""
    codes = await read_codes(request)
    return await change(request, 1, "creating-cart", partial(carts.add_promo_codes, codes=codes))


async def clear_promo_codes(request: Request) -> Response:
    """Clear promo codes, v1 (section 6.2; seen in code, not documented)."""
    return await change(request, 1, "creating-cart", clear_codes)


CART = "/api/v1/domains/{domain}/cart"
ROUTES = [
    Route(CART, get_cart, methods=["GET"]),
    Route(CART + "/line-items/{sku}/quantity/{quantity}", add_item, methods=["POST"]),
    Route(CART + "/line-items/{sku}", update_item, methods=["PUT"]),
    Route(CART + "/line-items", clear_cart, methods=["DELETE"]),
    Route(CART + "/shipping-info", set_shipping_info, methods=["POST"]),
    Route(CART + "/shipping-method", set_shipping_method, methods=["POST"]),
    Route(CART + "/promo-codes", add_promo_codes, methods=["POST"]),
    Route(CART + "/promo-codes", clear_promo_codes, methods=["DELETE"]),
]
