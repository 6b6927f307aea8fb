"""A cart and what it costs: plain immutable data, and functions from cart to cart.

All amounts are integers in minor units. Rules (the API's pages give none, and their samples do not
add up; all guessed):

- ``line_price = price * quantity``; ``sub_total`` is the sum of the line prices;
- ``cart_discount`` is a percentage of ``sub_total``, rounded half up, and is a positive amount;
- tax and shipping are 0 until there is an address;
- ``tax_total`` is the rate of the address's state on ``sub_total - cart_discount``, and on
  shipping where the state taxes it, rounded half up once for the cart;
- ``total = sub_total - cart_discount + shipping_total + tax_total + addon_total``.

Lines from one warehouse travel together, by default in the cheapest way (documented for carts,
guessed for orders). At the end: a cart as the API writes it, as Full Cart (v2) and as Simple Cart
(v1).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.merchants import find_region

if TYPE_CHECKING:
    from firmly_nb.sim.keys import PaymentSummary
    from firmly_nb.sim.merchants import Merchant, Variant


MOST_LINES = 1_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cart."""

    line_item_id: str
    position: int
    variant: Variant
    quantity: int
    price: int

    @property
    def line_price(self) -> int:
        """Price times quantity, in minor units."""
        return self.price * self.quantity


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
    line = Line(make_id("item"), position, variant, quantity, variant.price)
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


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of a cart, in minor units."""

    sub_total: int
    discount: int
    shipping: int
    tax: int

    @property
    def total(self) -> int:
        """Amount to pay, in minor units."""
        return self.sub_total - self.discount + self.shipping + self.tax


def totals(cart: Cart, parts: tuple[Shipment, ...]) -> Totals:
    """Add a cart and its shipments up."""
    shipping = sum(part.price for part in parts)
    sub_total = sum(line.line_price for line in cart.lines)
    discount = half_up(sub_total * cart.discount_percent, 100)
    return Totals(sub_total, discount, shipping, _tax(cart, sub_total - discount, shipping))


def _tax(cart: Cart, goods: int, shipping: int) -> int:
    if cart.shipping_info is None:
        return 0
    where = find_region(cart.shipping_info["country"], cart.shipping_info["state_or_province"])
    if where is None:
        return 0
    taxed = goods + (shipping if where.taxes_shipping else 0)
    return half_up(taxed * where.tax_rate, 10_000)


def half_up(amount: int, divisor: int) -> int:
    """Divide, rounding half up.

    Examples
    --------
    >>> half_up(2200 * 1010, 10_000), half_up(5, 10)
    (222, 1)
    """
    return (2 * amount + divisor) // (2 * divisor)


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


# Symbol and number of decimals of the currencies that occur here.
CURRENCIES = {"USD": ("$", 2), "EUR": ("€", 2), "JPY": ("¥", 0)}


def money(minor: int, currency: str) -> Json:
    """Return a money object.

    Examples
    --------
    >>> money(625, "USD")
    {'currency': 'USD', 'value': 6.25, 'number': 625, 'symbol': '$'}
    >>> money(625, "JPY")["value"]
    625.0
    """
    symbol, decimals = CURRENCIES[currency]
    value = minor / 10**decimals  # the float next to the exact amount
    return {"currency": currency, "value": value, "number": minor, "symbol": symbol}


def status(cart: Cart) -> str:
    """Return ``cart_status``, computed from the cart's state."""
    if cart.confirmation:
        return "submitted"
    if any(notice.code == "ITEM_NOT_SHIPPABLE" for notice in cart.notices):
        return "item_not_shippable"
    return "active"


def full_cart(cart: Cart) -> Json:
    """Return a cart in v2 form; that an order says ``tax_total`` is guessed from carts."""
    parts = shipments(cart)
    costs = totals(cart, parts)
    currency = cart.merchant.currency
    return {
        **_head(cart),
        "shipments": [_shipment(part, cart) for part in parts],
        **_addresses(cart),
        **_payment(cart),
        "notices": [_notice(notice) for notice in cart.notices],
        "addons": {"offers": [], "selections": []},
        **_costs(costs, currency),
        "tax_total": money(costs.tax, currency),
        "addon_total": money(0, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
        "schema_version": "2.0",
    }


def simple_cart(cart: Cart) -> Json:
    """Return a cart in v1 form: flat, one shipping method for the cart."""
    parts = shipments(cart)
    costs = totals(cart, parts)
    currency = cart.merchant.currency
    made = {
        **_head(cart),
        **_addresses(cart),
        "shipping_method_options": [_simple_method(one, currency) for one in _joint(parts)],
        **_payment(cart),
        "notice": [notice.code for notice in cart.notices],
        "features": {"promo_codes": bool(cart.merchant.promo_codes), "paypal": False},
        **_costs(costs, currency),
        "tax": money(costs.tax, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
    }
    chosen = next((part.method for part in parts if part.method), None)
    if chosen:
        joint = replace(chosen, price=costs.shipping)
        made["shipping_method"] = _simple_method(joint, currency)
    return made


# By the version of the API.
FORMS: Mapping[int, Callable[[Cart], Json]] = {1: simple_cart, 2: full_cart}


def _head(cart: Cart) -> Json:
    return {
        "cart_id": cart.cart_id,
        "platform_id": cart.merchant.platform_id,
        "shop_id": cart.merchant.domain,
        "display_name": cart.merchant.display_name,
        "cart_status": status(cart),
        "line_items": [_line(line, cart.merchant.currency) for line in cart.lines],
    }


def _payment(cart: Cart) -> Json:
    return {
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": list(cart.promo_codes),
    }


def _costs(costs: Totals, currency: str) -> Json:
    return {
        "sub_total": money(costs.sub_total, currency),
        **({"cart_discount": money(costs.discount, currency)} if costs.discount else {}),
        "shipping_total": money(costs.shipping, currency),
    }


def _foot(cart: Cart) -> Json:
    done = cart.confirmation
    extra: Json = {"urls": {}}
    if "captcha" in cart.merchant.traits:
        extra["shop_properties"] = {"captcha": _captcha(cart.merchant.domain)}
    if done:
        page = f"https://{cart.merchant.domain}/checkout/success"
        extra["urls"] = {"thank_you_page": page}
        extra["platform_order_number"] = done.order_number
        extra["submitted_at"] = done.submitted_at
        extra["payment_summary"] = done.payment.wire()
    return extra


def _captcha(domain: str) -> Json:
    """Return a cart's demand for a captcha; the flag is a text, not a boolean."""
    return {
        "type": "recaptcha-v3",
        "api_key": "simulated-site-key",
        "url": f"https://{domain}/",
        "captcha_on_place_order": "true",
    }


def _addresses(cart: Cart) -> Json:
    made: Json = {}
    if cart.shipping_info is not None:
        made["shipping_info"] = dict(cart.shipping_info)
    billing = cart.billing_info or (cart.shipping_info if cart.confirmation else None)
    if billing is not None:
        made["billing_info"] = dict(billing)
    return made


def _line(line: Line, currency: str) -> Json:
    variant = line.variant
    return {
        "line_item_id": line.line_item_id,
        "platform_line_item_id": str(line.position),
        "sku": variant.variant_id,
        "base_sku": variant.product_id,
        "variant_id": variant.variant_id,
        "description": variant.title,
        "variant_description": variant.description,
        "quantity": line.quantity,
        "price": money(line.price, currency),
        "line_price": money(line.line_price, currency),
        "msrp": money(max(variant.msrp, line.price), currency),
        "image": {"url": variant.image, "alt": variant.title, "type": "default"},
        "requires_shipping": True,
    }


def _shipment(part: Shipment, cart: Cart) -> Json:
    currency = cart.merchant.currency
    made: Json = {
        "shipment_id": part.shipment_id,
        "line_item_ids": [line.line_item_id for line in part.lines],
        "fulfillment_type": _fulfilment(part.fulfilment),
        "fulfillment_type_options": [_fulfilment(kind) for kind in part.options],
        "shipping_method_options": [_method(one, currency) for one in part.methods],
    }
    if part.method:
        made["shipping_method"] = _method(part.method, currency)
    return {**made, **cart.details.get(part.shipment_id, {})}


def _fulfilment(kind: str) -> Json:
    name, description = FULFILMENT[kind]
    return {"id": kind, "name": name, "description": description}


def _method(method: Method, currency: str) -> Json:
    return {
        "id": method.method_id,
        "description": method.name,
        "price": money(method.price, currency),
        "estimated_delivery": method.days,
    }


def _simple_method(method: Method, currency: str) -> Json:
    made = _method(method, currency)
    return {"sku": made.pop("id"), **made}


def _joint(parts: tuple[Shipment, ...]) -> list[Method]:
    """Return the methods that all shipments offer, each with the price of all of them."""
    offers: list[Mapping[str, Method]] = [
        {method.method_id: method for method in part.methods} for part in parts if part.methods
    ]
    if not offers:
        return []
    common = [name for name in offers[0] if all(name in offer for offer in offers)]
    return [
        replace(offers[0][name], price=sum(offer[name].price for offer in offers))
        for name in common
    ]


def _notice(notice: Notice) -> Json:
    """Return a notice; its shape is guessed."""
    return {
        "code": notice.code,
        "message": notice.message,
        "line_item_ids": list(notice.line_item_ids),
    }
