"""Checks of the amounts: that a cart's sums are right, to the minor unit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import contradicts, currency_code, format_minor
from firmly_nb.carts.cart_view import CartView, path_of
from firmly_nb.carts.check_registry import Finding, check
from firmly_nb.carts.fields import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmly_nb.carts.find import Json

MOST_FINDINGS = 20  # of one kind in one cart: a cart of 5,000 wrong lines is wrong once
PARTS = {"shipping_total": "shipping", "tax_total": "tax", "addon_total": "addons"}


@check(name="line-price", severity="error")
def line_price(cart: CartView) -> list[Finding] | None:
    """Check that a line's price is its price x quantity, before or after the line's discount."""
    looked = [
        line
        for line in cart.lines
        if None not in (line.price_minor, line.quantity, line.line_price_minor)
    ]
    if not looked:
        return None
    findings = []
    for line in looked:
        full = line.price_minor * line.quantity
        off = abs(line.discount_minor or 0)
        if line.line_price_minor in (full, full - off):
            continue
        name, money = line.name, _form(line.currency)
        less = f" - {money(off)}" if off else ""
        expected = f"{line.quantity} x {money(line.price_minor)}{less} = {money(full - off)}"
        found = money(line.line_price_minor)
        sentence = f"The line {name} costs {found}, but {expected}."
        findings.append(Finding(f"{line.path}.line_price", expected, found, sentence))
    return findings[:MOST_FINDINGS]


@check(name="subtotal", severity="error")
def subtotal(cart: CartView) -> list[Finding] | None:
    """Check that the subtotal is the sum of the lines, before or after the lines' discounts."""
    lines = [line.line_price_minor for line in cart.lines]
    stated = cart.row.sub_total_minor
    if stated is None or None in lines or _is_mixed(cart):
        return None
    full, off = sum(lines), sum(abs(line.discount_minor or 0) for line in cart.lines)
    if stated in (full, full - off):
        return []
    money = _form(cart.row.currency)
    sentence = f"The subtotal is {money(stated)}, but the lines add up to {money(full)}."
    return [Finding("sub_total", money(full), money(stated), sentence)]


@check(name="total", severity="error")
def total(cart: CartView) -> list[Finding] | None:
    """Check that the total is subtotal + shipping + tax + addons - discounts."""
    row = cart.row
    if row.total_minor is None or row.sub_total_minor is None or _is_mixed(cart):
        return None
    costs = {word: getattr(row, f"{name}_minor") or 0 for name, word in PARTS.items()}
    expected = row.sub_total_minor + sum(costs.values()) - abs(row.cart_discount_minor or 0)
    off = sum(abs(line.discount_minor or 0) for line in cart.lines)
    credit = abs(row.store_credit_minor or 0)
    # A line's discount is in the subtotal of some merchants, and credit in the total of some.
    if row.total_minor in {expected - a - b for a in (0, off) for b in (0, credit)}:
        return []
    money = _form(row.currency)
    terms = [f"{word} {money(minor)}" for word, minor in costs.items() if minor]
    sum_of = " + ".join([f"subtotal {money(row.sub_total_minor)}", *terms])
    if row.cart_discount_minor:
        sum_of += f" - discount {money(abs(row.cart_discount_minor))}"
    sentence = (
        f"The total is {money(row.total_minor)}, but {sum_of} = {money(expected)}"
        f"{_hint(expected - row.total_minor, costs)}."
    )
    return [Finding("total", money(expected), money(row.total_minor), sentence)]


@check(name="one-currency", severity="error")
def one_currency(cart: CartView) -> list[Finding] | None:
    """Check that all amounts of a cart are in one currency, that of the snapshot before."""
    seen = cart.currencies
    if not seen:
        return None
    usual = cart.row.currency or seen.most_common(1)[0][0]
    before = cart.before.row.currency if cart.before else None
    findings = [
        Finding(path, usual, other, f"{path} is in {other}, the total in {usual}.")
        for path, other in _in_other_currencies(cart, usual)
    ]
    if before and usual != before:
        sentence = f"The total is in {usual}; in the snapshot before it was in {before}."
        findings.append(Finding("total.currency", before, usual, sentence))
    return findings


@check(name="number-agrees-with-value", severity="error")
def number_agrees_with_value(cart: CartView) -> list[Finding] | None:
    """Check that an amount's number (minor units) and value (decimal) say the same.

    One that contradicts itself is null in every table.
    """
    looked = False
    findings: list[Finding] = []
    for keys, money in cart.amounts:
        if None in (money.get("number"), money.get("value"), currency_code(money["currency"])):
            continue
        looked = True
        if contradicts(money) and len(findings) < MOST_FINDINGS:
            path = path_of(cart.data, keys)
            expected, found = _plain(money["number"]), _plain(money["value"])
            currency = _plain(money["currency"])
            sentence = f"{path} says number {expected} and value {found} {currency}: not read."
            findings.append(Finding(path, f"number {expected}", f"value {found}", sentence))
    return findings if looked else None


@check(name="order-total", severity="error")
def order_total(cart: CartView) -> list[Finding] | None:
    """Check that the order's total is the total of the last cart before it."""
    last = cart.last_cart
    if not cart.is_order or last is None:
        return None
    paid, shown = cart.row.total_minor, last.row.total_minor
    if paid is None or shown is None or cart.row.currency != last.row.currency:
        return None
    if paid == shown:
        return []
    money = _form(cart.row.currency)
    sentence = f"The order costs {money(paid)}, the cart before it {money(shown)}."
    return [Finding("total", money(shown), money(paid), sentence)]


def _form(currency: str | None) -> Callable[[int], str]:
    """Return what writes amounts of one currency."""
    return partial(format_minor, currency=currency or "")


def _plain(value: Any) -> str:
    text = str(read_text(value)) if isinstance(value, str) else type(value).__name__
    if isinstance(value, (int, float)):
        text = format(value, ".15g") if abs(value) < 1e300 else "a huge number"
    return text[:40]


def _is_mixed(cart: CartView) -> bool:
    """Tell whether amounts cannot be added up; `one_currency` says so, not the sums."""
    totals = ("sub_total", "shipping_total", "tax_total", "tax", "addon_total", "total")
    moneys = [cart.data.get(name) for name in (*totals, "cart_discount")]
    said = [currency_code(money.get("currency")) for money in moneys if isinstance(money, dict)]
    said += [line.currency for line in cart.lines]
    return len(set(said) - {None}) > 1


def _in_other_currencies(cart: CartView, usual: str) -> Iterator[tuple[str, str]]:
    if set(cart.currencies) == {usual}:
        return
    said = ((keys, currency_code(money["currency"])) for keys, money in cart.amounts)
    others = [(keys, code) for keys, code in said if code is not None and code != usual]
    for keys, currency in others[:MOST_FINDINGS]:
        yield path_of(cart.data, keys), _plain(currency)


def _hint(missing: int, costs: Json) -> str:
    """Say what the difference is, where it is a part of the bill."""
    for word, minor in costs.items():
        if minor and missing == minor:
            return f" (the difference is the {word}; prices may include it)"
    return ""
