"""A cart and what it costs: plain immutable data, and functions from cart to cart.

firmly-api.md, sections 6.4 and 6.6. All amounts are integers in minor units. Rules (the API's
pages give none, and their samples do not add up; all inferred):

- ``line_price = price * quantity``; ``sub_total`` is the sum of the line prices;
- ``cart_discount`` is a percentage of ``sub_total``, rounded half up, and is a positive amount;
- tax and shipping are 0 until there is an address;
- ``tax_total`` is the rate of the address's state on ``sub_total - cart_discount``, and on
  shipping where the state taxes it, rounded half up once for the cart;
- ``total = sub_total - cart_discount + shipping_total + tax_total + addon_total``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.regions import find_region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.sim.card import PaymentSummary
    from firmly_nb.sim.catalog import Merchant, Variant

MOST_LINES = 1_000


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
        """What the line costs."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What turns a cart into an order."""

    order_number: str
    submitted_at: str
    payment: PaymentSummary


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a shop wants to say about a cart."""

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
        """How much the promo codes take off."""
        return min(sum(self.merchant.promo_codes.get(code, 0) for code in self.promo_codes), 90)


def new_cart(merchant: Merchant) -> Cart:
    """Return an empty cart with an id of its own."""
    return Cart(make_id("cart"), merchant)


def make_id(kind: str) -> str:
    """Return an id in the form that firmly's samples have: a word and 26 characters."""
    return f"{kind}_01{uuid.uuid4().hex[:24].upper()}"


def add_line(cart: Cart, reference: Mapping[str, Any], quantity: int) -> Cart:
    """Add pieces of a variant; a variant that is in the cart gets more of them.

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
    """Refuse more pieces than there are."""
    if quantity > variant.stock:
        raise ApiError("ErrorNotEnoughStock", f"{variant.variant_id}: {variant.stock} in stock")


def set_quantity(cart: Cart, line_item_id: str, quantity: int) -> Cart:
    """Change how many pieces a line has; 0 removes it.

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
    """Take everything out; id, addresses and payment options stay (section 6.1)."""
    return replace(
        cart, lines=(), promo_codes=(), methods={}, fulfilment={}, details={}, notices=()
    )


def ship_to(cart: Cart, address: Mapping[str, str]) -> Cart:
    """Set the address that shipping and tax depend on; the cheapest methods are chosen anew.

    Raises
    ------
    ApiError
        ``ErrorCountryNotSupported``, where the merchant does not ship to.
    """
    if address["country"] not in cart.merchant.countries:
        known = ", ".join(sorted(cart.merchant.countries))
        raise ApiError("ErrorCountryNotSupported", f"the merchant ships to {known} only")
    return replace(cart, shipping_info=address, methods={})


def bill_to(cart: Cart, address: Mapping[str, str]) -> Cart:
    """Set who pays."""
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
    """What a cart costs, in minor units."""

    sub_total: int
    discount: int
    shipping: int
    tax: int

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.sub_total - self.discount + self.shipping + self.tax


def totals(cart: Cart, shipping: int) -> Totals:
    """Add a cart up, with its shipping as priced by :mod:`firmly_nb.sim.shipping`."""
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
