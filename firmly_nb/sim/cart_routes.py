"""Routes of a device's cart: the Full Cart (v2), and the Simple Cart (v1), a flat form of it.

Changes of one device wait for each other. A change takes as long as the stage of an order that it
resembles. The response is the whole cart in the form of the path's version. Guessed: a submitted
cart is read-only (``ErrorInvalidState``), but adding something starts a new one; a change to a cart
that does not exist is ``ErrorCartNotFound``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb.sim import bodies
from firmly_nb.sim import cart as carts
from firmly_nb.sim.answers import ApiError, json_answer
from firmly_nb.sim.behaviour import draw, make_rng
from firmly_nb.sim.bodies import answers, version_of
from firmly_nb.sim.cart import Cart, first_cart, new_cart
from firmly_nb.sim.cart_forms import FORMS
from firmly_nb.sim.counting import money
from firmly_nb.sim.faults import (
    answer_instead,
    comes_instead,
    fail_on_purpose,
    fault_by_header,
    spoil_cart,
)
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.cart import Change
    from firmly_nb.sim.counting import Json
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.world import World


DAYS = 5
SLOTS = (("08:00", "12:00", "Morning"), ("13:00", "17:00", "Afternoon"))
WINDOW_PRICE = 995


@answers("Cart")
async def get_cart(request: Request) -> Response:
    """Return the device's cart, a new one if it has none."""
    world, device_id, merchant = who_and_where(request)
    if world.tape:
        return json_answer(world.tape.cart_of(device_id, merchant.domain))
    fault = fault_by_header(request)
    async with world.turn(device_id):
        # To look changes nothing: a cart that was never made is made by its first line item.
        cart = world.cart(device_id, merchant) or first_cart(merchant, device_id)
    return answer_instead(fault) if comes_instead(fault) else _answer(request, cart, fault)


@answers("Cart", bodies.Item, bodies.Flush)
async def add_line_item(request: Request, item: bodies.Item, query: bodies.Flush) -> Response:
    """Add a quantity of a variant."""
    return await _add(request, *item.pair(), query.flush_cart)


@answers("Cart", bodies.SimpleHandles, bodies.AddItem, optional=True)
async def add_item(
    request: Request, _: bodies.SimpleHandles, parameters: bodies.AddItem
) -> Response:
    """Add a quantity of a SKU."""
    reference = {"variant_id": parameters.sku}
    return await _add(request, reference, parameters.quantity, parameters.flush_cart)


async def _add(request: Request, reference: Json, quantity: int, flush: str) -> Response:
    def add(cart: Cart) -> Cart:
        return carts.add_line(carts.clear(cart) if flush == "true" else cart, reference, quantity)

    return await _change(request, "item-added", add, starts=True)


@answers("Cart", bodies.NewQuantity)
async def update_line_item(request: Request, new: bodies.NewQuantity) -> Response:
    """Change a line's quantity."""
    line_item_id = request.path_params["line_item_id"]
    make = partial(carts.set_quantity, line_item_id=line_item_id, quantity=new.quantity)
    return await _change(request, "item-added", make)


@answers("Cart", bodies.SimpleNewQuantity, bodies.FastMode)
async def update_item(
    request: Request, new: bodies.SimpleNewQuantity, parameters: bodies.FastMode
) -> Response:
    """Change the quantity of the line of a SKU."""

    def update(cart: Cart) -> Cart:
        found = (one for one in cart.lines if one.variant.variant_id == parameters.sku)
        line = next(found, None)
        if line is None:
            raise ApiError("ErrorLineItemNotFound", "the cart has no line of this SKU")
        return carts.set_quantity(cart, line.line_item_id, new.quantity)

    return await _change(request, "item-added", update)


@answers("Cart")
async def clear_cart(request: Request) -> Response:
    """Take everything out."""
    return await _change(request, "creating-cart", carts.clear)


@answers("Cart", bodies.CartAddress, simple=bodies.SimpleAddress, where="shipping_info")
async def set_shipping_info(request: Request, address: bodies.SimpleAddress) -> Response:
    """Set the shipping address."""
    make = partial(carts.ship_to, address=address.given())
    return await _change(request, "shipping-updated", make)


@answers("Cart", bodies.CartAddress, where="billing_info")
async def set_billing_info(request: Request, address: bodies.CartAddress) -> Response:
    """Set the billing address."""
    return await _change(request, "creating-cart", partial(carts.bill_to, address=address.given()))


@answers("Cart", bodies.ShippingMethod)
async def set_shipping_method(request: Request, chosen: bodies.ShippingMethod) -> Response:
    """Choose the shipping method of a shipment."""
    choose = partial(
        carts.choose_method, shipment_id=chosen.shipment_id, method_id=chosen.shipping_method_id
    )
    details = chosen.model_dump(include={"notes", "selected_date"}, exclude_none=True)
    return await _choose(request, choose, chosen.shipment_id, details)


@answers("Cart", bodies.SimpleShippingMethod)
async def set_one_shipping_method(
    request: Request, chosen: bodies.SimpleShippingMethod
) -> Response:
    """Choose the shipping method of all shipments."""

    def choose(cart: Cart) -> Cart:
        for shipment in carts.shipments(cart):
            cart = carts.choose_method(cart, shipment.shipment_id, chosen.shipping_method)
        return cart

    return await _change(request, "shipping-updated", choose)


@answers("Cart", bodies.FulfillmentType)
async def set_fulfillment_type(request: Request, chosen: bodies.FulfillmentType) -> Response:
    """Choose the fulfillment type of a shipment."""
    choose = partial(
        carts.choose_fulfilment, shipment_id=chosen.shipment_id, kind=chosen.fulfillment_type
    )
    where = chosen.location_id
    details = {"selected_location": {"location_id": where}} if where else {}
    return await _choose(request, choose, chosen.shipment_id, details)


async def _choose(
    request: Request, choose: Change, shipment_id: str, details: dict[str, Any]
) -> Response:
    """Choose something for a shipment, and keep the other details of the request."""

    def make(cart: Cart) -> Cart:
        cart = choose(cart)
        return replace(cart, details={**cart.details, shipment_id: details})

    return await _change(request, "shipping-updated", make)


@answers("Availability", bodies.OfShipment)
async def get_availability(request: Request, asked: bodies.OfShipment) -> Response:
    """Return days and times of a shipment."""
    world, device_id, merchant = who_and_where(request)
    cart = _existing(world.cart(device_id, merchant))
    shipment = carts.find_shipment(cart, asked.shipment_id)
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


@answers("Cart", bodies.PromoCodes)
async def add_promo_codes(request: Request, codes: bodies.PromoCodes) -> Response:
    """Apply promo codes."""
    make = partial(carts.add_promo_codes, codes=codes.promo_codes)
    return await _change(request, "creating-cart", make)


@answers("Cart")
async def clear_promo_codes(request: Request) -> Response:
    """Take all promo codes off."""
    return await _change(request, "creating-cart", carts.clear_promo_codes)


async def _change(request: Request, stage: str, make: Change, *, starts: bool = False) -> Response:
    """Change the device's cart and answer with the whole of it.

    Parameters
    ----------
    stage
        The stage of an order whose delay the change takes.
    make
        Change of the cart.
    starts
        Whether the change makes a cart if there is none, or only a submitted one.
    """
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    if comes_instead(fault):
        return answer_instead(fault)
    fail_on_purpose(fault, stage)
    async with world.turn(device_id):
        before = world.cart(device_id, merchant)
        if before is None and starts:
            before = first_cart(merchant, device_id)
        cart = make(_changeable(before, merchant, starts=starts))
        await _take_time(world, request, merchant, stage)
        world.put_cart(device_id, cart)
    return _answer(request, cart, fault)


def _changeable(cart: Cart | None, merchant: Merchant, *, starts: bool) -> Cart:
    if "closed" in merchant.traits:
        raise ApiError("ErrorStoreUnavailable", "the merchant is temporarily unavailable")
    if starts and cart and cart.confirmation:
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
