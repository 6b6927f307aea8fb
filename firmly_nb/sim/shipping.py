"""Shipments of a cart, how each can be sent and what that costs.

firmly-api.md, sections 6.1, 6.4.2 and 6.4.4. Lines from one warehouse travel together. The default
is the cheapest method (documented for carts, inferred for place-order).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.regions import find_region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.sim.cart import Cart, Line

SHIP, PICKUP, SCHEDULED = "SHIP_TO_ADDRESS", "IN_STORE_PICKUP", "SCHEDULED_DELIVERY"
PICKUP_TWIN = "PICKUP_IN_STORE"  # the same thing on another page (section 6.4.2)
FULFILMENT: Mapping[str, tuple[str, str]] = {
    SHIP: ("Ship to Address", "Parcel to your door"),
    PICKUP: ("In-Store Pickup", "Collect it from a store"),
    SCHEDULED: ("Scheduled Delivery", "On a day of your choice"),
}
INCLUDED_G = 2_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A way of shipping: its price in each zone, and for each started kilogram over two."""

    name: str
    days: str
    by_zone: tuple[int, int, int, int | None]
    per_kg: int


RATES: Mapping[str, Rate] = {
    "GROUND": Rate("Ground", "4-6 business days", (625, 795, 895, 1850), 150),
    "TWO_DAY": Rate("Two day", "2 business days", (1400, 1650, 1895, None), 300),
    "OVERNIGHT": Rate("Overnight", "1 business day", (2800, 3400, 3900, None), 550),
}


@dataclass(frozen=True, slots=True)
class Method:
    """A method that is offered for a shipment."""

    method_id: str
    name: str
    days: str
    price: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """Lines that travel together."""

    shipment_id: str
    lines: tuple[Line, ...]
    fulfilment: str
    options: tuple[str, ...]
    methods: tuple[Method, ...]
    method: Method | None

    @property
    def price(self) -> int:
        """What sending it costs."""
        return self.method.price if self.method else 0


def shipments(cart: Cart) -> tuple[Shipment, ...]:
    """Return a cart's shipments, one for each warehouse that something comes from."""
    warehouses = dict.fromkeys(line.variant.warehouse for line in cart.lines)
    return tuple(_shipment(cart, warehouse) for warehouse in warehouses)


def shipping_total(cart: Cart) -> int:
    """Return what sending everything costs."""
    return sum(shipment.price for shipment in shipments(cart))


def _shipment(cart: Cart, warehouse: str) -> Shipment:
    lines = tuple(line for line in cart.lines if line.variant.warehouse == warehouse)
    shipment_id = f"ship_{cart.cart_id.removeprefix('cart_')}_{warehouse}"
    options = [SHIP]
    options += [PICKUP] if "pickup" in cart.merchant.traits else []
    options += [SCHEDULED] if "scheduled" in cart.merchant.traits else []
    fulfilment = cart.fulfilment.get(shipment_id, SHIP)
    methods = _methods(cart, lines) if fulfilment != PICKUP else ()
    chosen = cart.methods.get(shipment_id)
    method = next((one for one in methods if one.method_id == chosen), None)
    if method is None and methods:
        method = min(methods, key=lambda one: one.price)
    return Shipment(shipment_id, lines, fulfilment, tuple(options), methods, method)


def _methods(cart: Cart, lines: tuple[Line, ...]) -> tuple[Method, ...]:
    where = cart.shipping_info
    region = find_region(where["country"], where["state_or_province"]) if where else None
    if region is None:
        return ()
    grams = sum(line.variant.weight_g * line.quantity for line in lines)
    extra_kg = max(0, -(-(grams - INCLUDED_G) // 1000))
    offered = []
    for method_id, rate in RATES.items():
        base = rate.by_zone[region.zone - 1]
        if base is not None:
            price = base + extra_kg * rate.per_kg
            offered.append(Method(method_id, rate.name, rate.days, price))
    return tuple(offered)


def find_shipment(cart: Cart, shipment_id: Any) -> Shipment:
    """Return a shipment by its id.

    Raises
    ------
    ApiError
        ``ErrorShipmentNotFound``.
    """
    found = next((one for one in shipments(cart) if one.shipment_id == shipment_id), None)
    if found is None:
        raise ApiError("ErrorShipmentNotFound", "the cart has no such shipment")
    return found


def choose_method(cart: Cart, shipment_id: Any, method_id: Any) -> Cart:
    """Choose how a shipment is sent.

    Raises
    ------
    ApiError
        ``ErrorShipmentNotFound``, or ``ErrorInvalidInputBody`` for a method that is not offered.
    """
    shipment = find_shipment(cart, shipment_id)
    if method_id not in {one.method_id for one in shipment.methods}:
        raise ApiError("ErrorInvalidInputBody", "shipping_method_id: is not among the options")
    return replace(cart, methods={**cart.methods, shipment.shipment_id: method_id})


def choose_fulfilment(cart: Cart, shipment_id: Any, kind: Any) -> Cart:
    """Choose what happens with a shipment.

    Raises
    ------
    ApiError
        ``ErrorShipmentNotFound``, or ``ErrorInvalidInputBody`` for a type that is not offered.
    """
    shipment = find_shipment(cart, shipment_id)
    kind = PICKUP if kind == PICKUP_TWIN else kind
    if kind not in shipment.options:
        raise ApiError("ErrorInvalidInputBody", "fulfillment_type: is not among the options")
    return replace(cart, fulfilment={**cart.fulfilment, shipment.shipment_id: kind})
