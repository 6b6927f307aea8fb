"""Routes of the Full Cart (v2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from firmly_nb.sim import bodies
from firmly_nb.sim import cart as carts
from firmly_nb.sim.answers import ApiError, invalid, json_answer
from firmly_nb.sim.behaviour import draw, make_rng
from firmly_nb.sim.cart import Cart, full_cart, money, new_cart, simple_cart
from firmly_nb.sim.faults import answer_instead, spoil_cart
from firmly_nb.sim.ordering import fault_by_header

if TYPE_CHECKING:
    from starlette.requests import Request

    from firmly_nb.sim.cart import Json
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World


# Changing a device's cart: one request at a time, and the whole cart as the answer.
#
# firmly-api.md, sections 6 and 7.4. Inferred: a submitted cart is read-only
# (``ErrorInvalidState``), but adding something starts a new cart; a change to a cart that does not
# exist is ``ErrorCartNotFound``; a change takes as long as the stage of an order that it
# resembles.


Change = Callable[[Cart], Cart]
FORMS = {1: simple_cart, 2: full_cart}


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


async def read(request: Request, version: int) -> Response:
    """Answer with the device's cart; a device without one gets an empty cart."""
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    async with world.turn(device_id):
        cart = world.cart(device_id, merchant)
        if cart is None:
            cart = new_cart(merchant)
            world.put_cart(device_id, cart)
    return answer_instead(fault) or _answer(cart, version, fault)


async def change(
    request: Request, version: int, stage: str, make: Change, *, starts: bool = False
) -> Response:
    """Change the device's cart and answer with the whole of it.

    Parameters
    ----------
    version
        1 or 2: the form of the answer.
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
    return _answer(cart, version, fault)


def who_and_where(request: Request) -> tuple[World, str, Merchant]:
    """Return the state, the device that asks and the shop that it asks."""
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    return world, device_id, world.merchant(request.path_params["domain"])


def _changeable(cart: Cart | None, merchant: Merchant, *, starts: bool) -> Cart:
    if "closed" in merchant.traits:
        raise ApiError("ErrorStoreUnavailable", "the merchant is temporarily unavailable")
    if starts and (cart is None or cart.confirmation):
        return new_cart(merchant)
    if cart is None:
        raise ApiError("ErrorCartNotFound", "this device has no cart at this merchant")
    if cart.confirmation:
        raise ApiError("ErrorInvalidState", "the cart was submitted and can only be read")
    return cart


async def _take_time(world: World, request: Request, merchant: Merchant, stage: str) -> None:
    _, profile = world.profile(merchant, request.headers.get("x-sim-profile"))
    number = world.count_change()
    rng = make_rng(world.settings.seed, merchant.domain, "change", number)
    moment = world.moment(world.orders_at(merchant.domain))
    await asyncio.sleep(dict(draw(profile, rng, 1, moment))[stage] / 1000)


def _answer(cart: Cart, version: int, fault: str) -> Response:
    body: dict[str, Any] = FORMS[version](cart)
    return json_answer(spoil_cart(body, fault) if cart.lines else body)


# On which days something can be delivered (firmly-api.md, section 6.4.4).


DAYS = 5
SLOTS = (("08:00", "12:00", "Morning"), ("13:00", "17:00", "Afternoon"))
WINDOW_PRICE = 995


def availability(shipment_id: str, currency: str) -> Json:
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


def chosen_location(location_id: str) -> dict[str, Any]:
    """Return how a shipment tells of the store that it is collected from."""
    return {"selected_location": {"location_id": location_id}}


MOST_CODES = 10


async def get_cart(request: Request) -> Response:
    """Get Cart (section 6.1); with and without the trailing slash, as sources differ.

    Inferred, from the v1 page: a device without a cart gets an empty one.
    """
    return await read(request, 2)


async def add_line_item(request: Request) -> Response:
    """Add Line Item (section 6.1): ``{add_to_cart_ref, quantity}``, query ``flush_cart``."""
    body = await bodies.read_object(request)
    reference = bodies.product_reference(body.get("add_to_cart_ref"), "add_to_cart_ref")
    quantity = bodies.quantity(body.get("quantity"), "quantity")
    flush = bodies.flag(request.query_params.get("flush_cart"), "flush_cart")

    def add(cart: carts.Cart) -> carts.Cart:
        return carts.add_line(carts.clear(cart) if flush else cart, reference, quantity)

    return await change(request, 2, "item-added", add, starts=True)


async def update_line_item(request: Request) -> Response:
    """Update Line Item (section 6.1): ``{quantity}``; 0 removes the line."""
    body = await bodies.read_object(request)
    quantity = bodies.quantity(body.get("quantity"), "quantity", 0)
    line_item_id = request.path_params["line_item_id"]
    make = partial(carts.set_quantity, line_item_id=line_item_id, quantity=quantity)
    return await change(request, 2, "item-added", make)


async def clear_cart(request: Request) -> Response:
    """Clear Cart (section 6.1); id, addresses and payment options stay."""
    return await change(request, 2, "creating-cart", carts.clear)


async def set_shipping_info(request: Request) -> Response:
    """Set Shipping Info (section 6.1); the cheapest methods are chosen."""
    body = await bodies.read_object(request)
    address = bodies.address(body, "shipping_info")
    return await change(request, 2, "shipping-updated", partial(carts.ship_to, address=address))


async def set_billing_info(request: Request) -> Response:
    """Set Billing Info (section 6.1)."""
    body = await bodies.read_object(request)
    address = bodies.address(body, "billing_info")
    return await change(request, 2, "creating-cart", partial(carts.bill_to, address=address))


async def set_shipping_method(request: Request) -> Response:
    """Set Shipping Method (section 6.1), at the documented path.

    The other path that a known client uses, ``/cart/shipments/shipping-method``, is not served: it
    answers ``RouteNotFound``, as was seen in UAT. Inferred: a method that is not offered is
    ``ErrorInvalidInputBody``.
    """
    body = await bodies.read_object(request)
    shipment_id = bodies.text(body.get("shipment_id"), "shipment_id")
    method_id = bodies.text(body.get("shipping_method_id"), "shipping_method_id")
    details = _details(body)

    def choose(cart: carts.Cart) -> carts.Cart:
        cart = carts.choose_method(cart, shipment_id, method_id)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await change(request, 2, "shipping-updated", choose)


def _details(body: dict[str, Any]) -> dict[str, Any]:
    details = {}
    if body.get("notes") is not None:
        details["notes"] = bodies.text(body["notes"], "notes")
    if body.get("selected_date") is not None:
        details["selected_date"] = bodies.date(body["selected_date"], "selected_date")
    return details


async def set_fulfillment_type(request: Request) -> Response:
    """Set Fulfillment Type (section 6.1); both ids of pickup are understood (section 6.4.2)."""
    body = await bodies.read_object(request)
    shipment_id = bodies.text(body.get("shipment_id"), "shipment_id")
    kind = bodies.text(body.get("fulfillment_type"), "fulfillment_type")
    details = {}
    if body.get("location_id") is not None:
        details = chosen_location(bodies.text(body["location_id"], "location_id"))

    def choose(cart: carts.Cart) -> carts.Cart:
        cart = carts.choose_fulfilment(cart, shipment_id, kind)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await change(request, 2, "shipping-updated", choose)


async def get_availability(request: Request) -> Response:
    """Get Availability (sections 6.1 and 6.4.4); only for shipments with scheduled delivery."""
    body = await bodies.read_object(request)
    world, device_id, merchant = who_and_where(request)
    cart = world.cart(device_id, merchant)
    if cart is None:
        raise ApiError("ErrorCartNotFound", "this device has no cart at this merchant")
    shipment = carts.find_shipment(cart, body.get("shipment_id"))
    if shipment.fulfilment != carts.SCHEDULED:
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
    body = await bodies.read_object(request)
    codes = bodies.texts(body.get("promo_codes"), "promo_codes", MOST_CODES)
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


# Routes of the Simple Cart (v1). It is the same cart as v2's, in a flat form (section 5.1).


async def simple_get_cart(request: Request) -> Response:
    """Get Cart, v1 (section 6.2): empty if there is none."""
    return await read(request, 1)


async def add_item(request: Request) -> Response:
    """Add Item, v1 (section 6.2): SKU and quantity in the path; body ``{variant_handles?}``.

    ``fast_mode`` is accepted and changes nothing (what it does is not documented).
    """
    body = await bodies.read_optional_object(request)
    reference = _reference(request.path_params["sku"], body)
    number = request.path_params["quantity"]
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise invalid("quantity: must be a whole number")
    quantity = bodies.quantity(int(number), "quantity")
    flush = _flags(request)

    def add(cart: carts.Cart) -> carts.Cart:
        return carts.add_line(carts.clear(cart) if flush else cart, reference, quantity)

    return await change(request, 1, "item-added", add, starts=True)


async def update_item(request: Request) -> Response:
    """Update Item, v1 (section 6.2): ``{quantity, variant_handles?}`` for the line of a SKU."""
    body = await bodies.read_object(request)
    _flags(request)
    reference = _reference(request.path_params["sku"], body)
    quantity = bodies.quantity(body.get("quantity"), "quantity", 0)

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
        bodies.texts(handles, "variant_handles")
    return {"variant_id": bodies.text(sku, "sku")}


def _flags(request: Request) -> bool:
    query = request.query_params
    bodies.flag(query.get("fast_mode"), "fast_mode")
    return bodies.flag(query.get("flush_cart"), "flush_cart")


async def simple_clear_cart(request: Request) -> Response:
    """Clear Cart, v1 (section 6.2)."""
    return await change(request, 1, "creating-cart", carts.clear)


async def simple_set_shipping_info(request: Request) -> Response:
    """Set Shipping Info, v1 (section 6.2); here ``phone`` is optional (section 6.5)."""
    body = await bodies.read_object(request)
    address = bodies.address(body, "shipping_info", phone_required=False)
    return await change(request, 1, "shipping-updated", partial(carts.ship_to, address=address))


async def simple_set_shipping_method(request: Request) -> Response:
    """Set Shipping Method, v1 (section 6.2): ``{shipping_method: "<sku>"}`` for the whole cart."""
    body = await bodies.read_object(request)
    method_id = bodies.text(body.get("shipping_method"), "shipping_method")

    def choose(cart: carts.Cart) -> carts.Cart:
        for shipment in carts.shipments(cart):
            cart = carts.choose_method(cart, shipment.shipment_id, method_id)
        return cart

    return await change(request, 1, "shipping-updated", choose)


async def simple_add_promo_codes(request: Request) -> Response:
    """Add promo codes, v1 (section 6.2; seen in code, not documented)."""
    codes = await read_codes(request)
    return await change(request, 1, "creating-cart", partial(carts.add_promo_codes, codes=codes))


async def simple_clear_promo_codes(request: Request) -> Response:
    """Clear promo codes, v1 (section 6.2; seen in code, not documented)."""
    return await change(request, 1, "creating-cart", clear_codes)


SIMPLE_CART = "/api/v1/domains/{domain}/cart"
SIMPLE_ROUTES = [
    Route(SIMPLE_CART, simple_get_cart, methods=["GET"]),
    Route(SIMPLE_CART + "/line-items/{sku}/quantity/{quantity}", add_item, methods=["POST"]),
    Route(SIMPLE_CART + "/line-items/{sku}", update_item, methods=["PUT"]),
    Route(SIMPLE_CART + "/line-items", simple_clear_cart, methods=["DELETE"]),
    Route(SIMPLE_CART + "/shipping-info", simple_set_shipping_info, methods=["POST"]),
    Route(SIMPLE_CART + "/shipping-method", simple_set_shipping_method, methods=["POST"]),
    Route(SIMPLE_CART + "/promo-codes", simple_add_promo_codes, methods=["POST"]),
    Route(SIMPLE_CART + "/promo-codes", simple_clear_promo_codes, methods=["DELETE"]),
]
