"""Ways of counting: from the lines of a cart to its total, and amounts as the API writes them.

All amounts are integers in minor units. The API's pages give no rules, and their samples do not add
up, so these are guessed. A merchant counts like this, unless one of its traits
(:data:`firmly_nb.sim.merchants.TRAITS`) says otherwise:

- a line costs its price times its quantity, rounded half up; ``sub_total`` is the sum of the lines;
- ``cart_discount`` is a percentage of ``sub_total``, rounded half up, and is a positive amount;
- tax and shipping are 0 until there is an address;
- tax is the rate of the address's state on ``sub_total - cart_discount``, and on shipping where the
  state taxes it, rounded half up once for the cart;
- ``total = sub_total - cart_discount + shipping_total + tax``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.sim.merchants import find_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.sim.merchants import Merchant, Region


Json = dict[str, Any]

SALE_PERCENT, MEMBERS_PERCENT = 10, 10
STORE_CREDIT = 500


class Priced(NamedTuple):
    """Price of a piece as shown, and of the line in hundredths of a minor unit."""

    price: int
    quantity: int
    hundredths: int

    @property
    def line_price(self) -> int:
        """Price of the line, in minor units."""
        return half_up(self.hundredths, 100)

    @property
    def members_discount(self) -> int:
        """Members' discount on the line, in minor units."""
        return half_up(self.line_price * MEMBERS_PERCENT, 100)


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of a cart, in minor units.

    Attributes
    ----------
    sale
        The part of the discount that needs no promo code.
    credit
        Store credit that is taken off the total.
    is_inside
        Whether the tax is inside of the other amounts.
    """

    sub_total: int
    discount: int
    shipping: int
    tax: int
    sale: int = 0
    credit: int = 0
    is_inside: bool = False

    @property
    def due(self) -> int:
        """Amount to pay before store credit, in minor units."""
        taxed = self.sub_total - self.discount + self.shipping
        return taxed if self.is_inside else taxed + self.tax

    @property
    def total(self) -> int:
        """Amount to pay, in minor units."""
        return self.due - self.credit


def add_up(
    merchant: Merchant,
    lines: Sequence[Priced],
    shipping: int,
    address: Mapping[str, str] | None,
    promo_percent: int,
) -> Totals:
    """Add a cart up, as its merchant does."""
    traits = merchant.traits
    sub_total = sum(line.line_price for line in lines)
    if "rounds-once" in traits:
        sub_total = half_up(sum(line.hundredths for line in lines), 100)
    sale = 0
    if "order-discount" in traits:
        sale = half_up(sub_total * SALE_PERCENT, 100)
    if "members" in traits:
        sale = sum(line.members_discount for line in lines)
    discount = min(sale + half_up(sub_total * promo_percent, 100), sub_total)
    region = _region(merchant, address)
    tax = _tax(merchant, lines, sub_total - discount, shipping, region) if region else 0
    is_inside = "tax-inside" in traits
    totals = Totals(sub_total, discount, shipping, tax, sale, is_inside=is_inside)
    if "store-credit" not in traits:
        return totals
    credit = min(STORE_CREDIT, totals.due)
    return Totals(sub_total, discount, shipping, tax, sale, credit, is_inside)


def _region(merchant: Merchant, address: Mapping[str, str] | None) -> Region | None:
    if address is not None:
        return find_region(address["country"], address["state_or_province"])
    # Prices with tax are shown to people who have not said yet where they live.
    return find_region(min(merchant.countries), "") if "tax-inside" in merchant.traits else None


def _tax(
    merchant: Merchant, lines: Sequence[Priced], goods: int, shipping: int, region: Region
) -> int:
    shipped = shipping if region.taxes_shipping else 0
    rate = region.tax_rate
    if "tax-inside" in merchant.traits:
        return half_up((goods + shipped) * rate, 10_000 + rate)
    if "tax-by-piece" in merchant.traits:
        pieces = [(line.price, line.quantity) for line in lines]
        taxes = [times * half_even(amount * rate, 10_000) for amount, times in pieces]
        return sum(taxes) + half_even(shipped * rate, 10_000)
    return half_up((goods + shipped) * rate, 10_000)


def half_up(amount: int, divisor: int) -> int:
    """Divide, rounding half up.

    Examples
    --------
    >>> half_up(2200 * 1010, 10_000), half_up(5, 10)
    (222, 1)
    """
    return (2 * amount + divisor) // (2 * divisor)


def half_even(amount: int, divisor: int) -> int:
    """Divide, rounding half to even.

    Examples
    --------
    >>> half_even(5, 10), half_even(15, 10), half_even(16, 10)
    (0, 2, 2)
    """
    whole, rest = divmod(amount, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


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
