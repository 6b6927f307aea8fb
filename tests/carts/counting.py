"""Orders of merchants that count in known ways, to be learned and checked.

``pick(low, high)`` gives a whole number: a draw of hypothesis, or one of ``random.Random``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from firmly_nb.api.money import Money

Json = dict[str, Any]
Pick = Callable[[int, int], int]
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Counting:
    """How a merchant counts; the answers are those of the table of conventions."""

    tax: str = "on top"
    rate: Fraction = Fraction(101, 1000)
    tax_unit: str = "by order"
    halves: str = "half up"
    taxes_shipping: bool = False
    prices: str = "by piece"
    line_discount: str = ""
    cart_discount: str = ""
    credit: str = ""
    addons: str = ""
    is_stated_twice: bool = False
    has_member: bool = False
    n_shipments: int = 1
    currency: str = "EUR"
    signs: int = 1

    @property
    def answers(self) -> dict[str, str]:
        """The truth of each question."""
        return {
            "tax": self.tax,
            "rounding": self.prices,
            "rounding of tax": self.tax_unit,
            "halves": self.halves,
            "tax on shipping": "taxed" if self.taxes_shipping else "not taxed",
            "shipping": "the sum of the chosen methods",
            "line discount": "" if self.is_stated_twice else self.line_discount,
            "cart discount": self.cart_discount,
            "discount stated twice": "taken off once" if self.is_stated_twice else "",
            "store credit": self.credit,
            "add-ons": self.addons,
            "membership": "not in the total" if self.has_member else "",
        }


def rounded(exact: Fraction, halves: str = "half up") -> int:
    """Round a positive amount to whole minor units."""
    whole = floor(exact)
    rest = exact - whole
    up = rest > HALF or (rest == HALF and (halves == "half up" or whole % 2 == 1))
    return whole + up


def order(pick: Pick, how: Counting, number: int = 1) -> list[tuple[str, Json]]:
    """Make the events of one order: filled, priced, placed."""
    lines, exact = _lines(pick, how)
    shipping = [pick(1, 15) * 100 - 5 for _ in range(how.n_shipments)]
    cart = _cart(pick, how, lines, exact, shipping, number)
    bare = _cart(pick, how, lines, exact, [], number, rest=cart)
    placed = cart | {"platform_order_number": str(1000 + number), "cart_status": "submitted"}
    return [
        ("creating-cart", {}),
        ("item-added", {"cart": bare}),
        ("shipping-updated", {"cart": cart}),
        ("order-placed", {"order": placed}),
    ]


def _lines(pick: Pick, how: Counting) -> tuple[list[Json], list[Fraction]]:
    lines: list[Json] = []
    exact: list[Fraction] = []
    for number in range(pick(2, 5)):
        hundredths = pick(20_000, 2_000_000)
        price = (
            Fraction(hundredths, 100) if how.prices != "by piece" else Fraction(hundredths // 100)
        )
        pieces = pick(1, 5)
        full = price * pieces
        sku = f"S{hundredths}-{number}"
        line = {
            "line_item_id": f"item_{number}",
            "sku": sku,
            "variant_id": sku,
            "description": "A thing",
            "quantity": pieces,
            "price": _money(rounded(price), how),
            "line_price": _money(rounded(full), how),
            "requires_shipping": True,
        }
        lines.append(line)
        exact.append(full)
    return lines, exact


def _money(minor: int, how: Counting) -> Json:
    return Money(minor, how.currency).wire()


def _cart(
    pick: Pick,
    how: Counting,
    lines: list[Json],
    exact: list[Fraction],
    shipping: list[int],
    number: int,
    rest: Json | None = None,
) -> Json:
    """Count a cart up; ``rest`` is the cart that it becomes, whose random parts it shares."""
    prices = list(map(rounded, exact))
    sub_total = rounded(sum(exact, Fraction(0))) if how.prices == "by order" else sum(prices)
    extra: Json = dict(rest["extra"]) if rest else {}
    off = 0
    if how.line_discount:
        at = extra.setdefault("line_off", pick(10, 190))
        if rest is None:
            lines[0]["line_discount"] = _money(how.signs * at, how)
            if how.line_discount == "in the line price":
                lines[0]["line_price"] = _money(prices[0] - at, how)
        if how.line_discount == "in the total":
            off += at
        else:
            sub_total -= at
    return _summed(pick, how, lines, sub_total, off, shipping, number, extra)


def _summed(
    pick: Pick,
    how: Counting,
    lines: list[Json],
    sub_total: int,
    off: int,
    shipping: list[int],
    number: int,
    extra: Json,
) -> Json:
    cart: Json = {
        "cart_id": f"cart_{number}",
        "shop_id": "a.test",
        "cart_status": "active",
        "line_items": list(lines),
        "extra": extra,
    }
    if how.cart_discount:
        discount = extra.setdefault("cart_off", pick(20, 199))
        cart["cart_discount"] = _money(how.signs * discount, how)
        if how.cart_discount == "in the subtotal":
            sub_total -= discount
        else:
            off += discount
    if how.is_stated_twice:
        cart["cart_discount"] = lines[0]["line_discount"]
    if how.has_member:
        member = extra.setdefault("member", pick(500, 3000))
        cart["line_items"].append(
            {
                "line_item_id": "item_m",
                "sku": "CLUB",
                "variant_id": "CLUB",
                "quantity": 1,
                "price": _money(member, how),
                "line_price": _money(member, how),
                "fixed_quantity": True,
                "recurring": "monthly",
                "requires_shipping": False,
            }
        )
    cart["shipments"] = [
        {
            "shipment_id": f"ship_{at}",
            "line_item_ids": [line["line_item_id"] for line in lines[at :: how.n_shipments]],
        }
        for at in range(how.n_shipments)
    ]
    for part, price in zip(cart["shipments"], shipping, strict=False):
        part["shipping_method"] = {"id": "GROUND", "price": _money(price, how)}
    tax = tax_of(how, lines, sub_total, sum(shipping)) if shipping or how.tax == "inside" else 0
    total = sub_total + sum(shipping) - off + (tax if how.tax == "on top" else 0)
    if how.addons:
        addons = extra.setdefault("addons", pick(200, 900))
        cart["addon_total"] = _money(addons, how)
        total += addons if how.addons == "in the total" else 0
    if how.credit:
        credit = extra.setdefault("credit", pick(10, 150))
        cart["store_credit"] = _money(credit, how)
        total -= credit if how.credit == "taken off the total" else 0
    amounts = {"sub_total": sub_total, "shipping_total": sum(shipping), "tax_total": tax}
    address = {"country": "DE", "state_or_province": "BE", "city": "Berlin"}
    cart |= {name: _money(minor, how) for name, minor in (amounts | {"total": total}).items()}
    return cart | ({"shipping_info": address} if shipping else {})


def tax_of(how: Counting, lines: list[Json], sub_total: int, shipping: int) -> int:
    """Return the tax of a cart."""
    rate = how.rate / (1 + how.rate) if how.tax == "inside" else how.rate
    taxed = shipping if how.taxes_shipping else 0
    if how.tax_unit == "by order":
        return rounded(rate * (sub_total + taxed), how.halves)
    if how.tax_unit == "by line":
        parts = [(line["line_price"]["number"], 1) for line in lines]
    else:
        parts = [(line["price"]["number"], line["quantity"]) for line in lines]
    taxes = [times * rounded(rate * amount, how.halves) for amount, times in [*parts, (taxed, 1)]]
    return sum(taxes)
