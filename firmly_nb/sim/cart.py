"""A cart and what is done to it: plain immutable data, and functions from cart to cart.

What a cart costs is added up in :mod:`firmly_nb.sim.counting`, in minor units. Lines from one
warehouse travel together, by default in the cheapest way (documented for carts, guessed for
orders). :mod:`firmly_nb.sim.cart_forms` writes a cart as the API does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.counting import Priced, Totals, add_up, half_up
from firmly_nb.sim.merchants import find_region

if TYPE_CHECKING:
    from firmly_nb.sim.keys import PaymentSummary
    from firmly_nb.sim.merchants import Merchant, Variant


MOST_LINES = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cart; its price is in hundredths of a minor unit, and is shown rounded."""

    line_item_id: str
    position: int
    variant: Variant
    quantity: int
    hundredths: int

    @property
    def priced(self) -> Priced:
        """Price of a piece and of the line."""
        return Priced(half_up(self.hundredths, 100), self.quantity, self.hundredths * self.quantity)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Order number, time and payment that turn a cart into an order."""

    order_number: str
    submitted_at: str
    payment: PaymentSummary


@dataclass(frozen=True, slots=True)
class Notice:
    """A merchant's remark about a cart."""

    code: str
    message: str
    line_item_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cart:
    """A device's cart at one merchant."""

    cart_id: str
    merchant: Merchant
    lines: tuple[Line, ...] = ()
    shipping_info: Mapping[str, str] | None = None
    billing_info: Mapping[str, str] | None = None
    promo_codes: tuple[str, ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    fulfilment: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    confirmation: Confirmation | None = None

    @property
    def discount_percent(self) -> int:
        """Discount of all promo codes, in percent."""
        return min(sum(self.merchant.promo_codes.get(code, 0) for code in self.promo_codes), 90)


# A change of a cart.
Change = Callable[[Cart], Cart]


def new_cart(merchant: Merchant) -> Cart:
    """Return an empty cart with an id of its own."""
    return Cart(make_id("cart"), merchant)


def first_cart(merchant: Merchant, device_id: str) -> Cart:
    """Return the empty cart of a device that never had one there: the same whoever asks, and when.

    Whether it is looked at before its first line item makes no difference.
    """
    name = uuid.uuid5(uuid.NAMESPACE_DNS, f"{device_id}.{merchant.domain}")
    return Cart(f"cart_01{name.hex[:24].upper()}", merchant)


def not_submitted(cart: Cart) -> Cart:
    """Refuse a cart that has become an order (which error that gives is guessed)."""
    if cart.confirmation:
        raise ApiError("ErrorInvalidState", "the cart was submitted and can only be read")
    return cart


def make_id(kind: str) -> str:
    """Return an id in the form that firmly's samples have: a word and 26 characters."""
    return f"{kind}_01{uuid.uuid4().hex[:24].upper()}"


def add_line(cart: Cart, reference: Mapping[str, Any], quantity: int) -> Cart:
    """Add a quantity of a variant; a variant that is in the cart gets more.

    Raises
    ------
    ApiError
        ``ErrorProductNotFound`` or ``ErrorNotEnoughStock``.
    """
    variant = find_variant(cart.merchant, reference)
    held = next((line for line in cart.lines if line.variant is variant), None)
    check_stock(variant, quantity + (held.quantity if held else 0))
    if held:
        return _with_quantity(cart, held, held.quantity + quantity)
    if len(cart.lines) >= MOST_LINES:
        raise ApiError("ErrorInvalidInputBody", f"a cart has at most {MOST_LINES} lines")
    position = max((line.position for line in cart.lines), default=-1) + 1
    line = Line(make_id("item"), position, variant, quantity, variant.hundredths)
    return replace(cart, lines=(*cart.lines, line))


def find_variant(merchant: Merchant, reference: Mapping[str, Any]) -> Variant:
    """Return the variant of an ``add_to_cart_ref``; ``variant_id`` alone is enough."""
    variant = merchant.variants.get(reference["variant_id"])
    product_id = reference.get("product_id")
    if variant is None or product_id not in {None, variant.product_id}:
        raise ApiError("ErrorProductNotFound", "the merchant has no such variant")
    return variant


def check_stock(variant: Variant, quantity: int) -> None:
    """Refuse a quantity above the stock."""
    if quantity > variant.stock:
        raise ApiError("ErrorNotEnoughStock", f"{variant.variant_id}: {variant.stock} in stock")


def set_quantity(cart: Cart, line_item_id: str, quantity: int) -> Cart:
    """Change the quantity of a line; 0 removes it.

    Raises
    ------
    ApiError
        ``ErrorLineItemNotFound`` or ``ErrorNotEnoughStock``.
    """
    line = next((one for one in cart.lines if one.line_item_id == line_item_id), None)
    if line is None:
        raise ApiError("ErrorLineItemNotFound", "the cart has no such line")
    if quantity:
        check_stock(line.variant, quantity)
    return _with_quantity(cart, line, quantity)


def _with_quantity(cart: Cart, line: Line, quantity: int) -> Cart:
    changed = (replace(one, quantity=quantity) if one is line else one for one in cart.lines)
    return replace(cart, lines=tuple(one for one in changed if one.quantity))


def clear(cart: Cart) -> Cart:
    """Take everything out; id, addresses and payment options stay."""
    return replace(
        cart, lines=(), promo_codes=(), methods={}, fulfilment={}, details={}, notices=()
    )


def ship_to(cart: Cart, address: Mapping[str, str]) -> Cart:
    """Set the address that shipping and tax depend on, and choose the cheapest methods anew.

    Raises
    ------
    ApiError
        ``ErrorCountryNotSupported``, if the merchant does not ship there.
    """
    if address["country"] not in cart.merchant.countries:
        known = ", ".join(sorted(cart.merchant.countries))
        raise ApiError("ErrorCountryNotSupported", f"the merchant ships to {known} only")
    return replace(cart, shipping_info=address, methods={})


def bill_to(cart: Cart, address: Mapping[str, str]) -> Cart:
    """Set the address of who pays."""
    return replace(cart, billing_info=address)


def add_promo_codes(cart: Cart, codes: list[str]) -> Cart:
    """Apply promo codes.

    Raises
    ------
    ApiError
        ``ErrorInvalidPromoCode`` for an unknown one, ``ErrorPromoNotAvailable`` for an expired one.
    """
    for code in codes:
        percent = cart.merchant.promo_codes.get(code)
        if percent is None:
            raise ApiError("ErrorInvalidPromoCode", "the merchant has no such promo code")
        if percent == 0:
            raise ApiError("ErrorPromoNotAvailable", "the promo code has expired")
    return replace(cart, promo_codes=tuple(dict.fromkeys([*cart.promo_codes, *codes])))


def clear_promo_codes(cart: Cart) -> Cart:
    """Take all promo codes off.

    Raises
    ------
    ApiError
        ``ErrorClearPromoCodeNotAllowed``, where the merchant has that switched off.
    """
    if "keeps-promo-codes" in cart.merchant.traits:
        words = "the merchant does not let promo codes be taken off"
        raise ApiError("ErrorClearPromoCodeNotAllowed", words)
    return replace(cart, promo_codes=())


def totals(cart: Cart, parts: tuple[Shipment, ...]) -> Totals:
    """Add a cart and its shipments up."""
    return add_up(
        cart.merchant,
        [line.priced for line in cart.lines],
        sum(part.price for part in parts),
        cart.shipping_info,
        cart.discount_percent,
    )


SHIP, PICKUP, SCHEDULED = "SHIP_TO_ADDRESS", "IN_STORE_PICKUP", "SCHEDULED_DELIVERY"
PICKUP_TWIN = "PICKUP_IN_STORE"  # the same thing on another page
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
        """Price of the chosen shipping method, in minor units; 0 without one."""
        return self.method.price if self.method else 0


def shipments(cart: Cart) -> tuple[Shipment, ...]:
    """Return a cart's shipments, one for each warehouse that something comes from."""
    warehouses = dict.fromkeys(line.variant.warehouse for line in cart.lines)
    return tuple(_new_shipment(cart, warehouse) for warehouse in warehouses)


def _new_shipment(cart: Cart, warehouse: str) -> Shipment:
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
    """Choose the shipping method of a shipment.

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
    """Choose the fulfillment type of a shipment.

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
