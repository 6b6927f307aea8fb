"""The checks of the amounts: that a cart adds up as its merchant counts, to the minor unit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import contradicts, currency_code, format_minor
from firmly_nb.carts import contents
from firmly_nb.carts.changes import AMOUNT_NAMES
from firmly_nb.carts.checked import (
    CHECKS,
    CheckedCart,
    Finding,
    Skipped,
    Told,
    check,
    path_of,
    remove_check,
)
from firmly_nb.carts.contents import MOST_FINDINGS, plain
from firmly_nb.carts.sums import (
    ADDONS,
    CREDIT,
    LINE_DISCOUNT,
    ONCE,
    ROUNDING,
    SHIPPING,
    STATED_TWICE,
    SUM_OF_METHODS,
    TAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmly_nb.carts.sums import Solution, Sums

__all__ = ["CHECKS", "CheckedCart", "Finding", "Skipped", "check", "contents", "remove_check"]


COSTS = ("shipping_total", "tax_total", "addon_total")
NEVER_NEGATIVE = ("total", "shipping_total", "tax_total")
# Questions whose answer shows in the total, and so is held against it.
IN_THE_TOTAL = (TAX, ADDONS, CREDIT, LINE_DISCOUNT, "cart discount")


@check(name="line-price", severity="error")
def line_price(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that a line price is price x quantity, less its discount, as far as rounded."""
    looked = [
        line
        for line in cart.lines
        if None not in (line.price_minor, line.pieces, line.line_price_minor)
    ]
    if not looked:
        return cart.unread_lines("price", "quantity", "line_price")
    if cart.is_mixed:
        return [_wrong_line(*each) for each in _odd_of_each(cart)][:MOST_FINDINGS]
    if cart.sums.is_open and not cart.sums.wrong_lines:
        return None
    findings = [_wrong_line(*each) for each in cart.sums.wrong_lines]
    if not findings:
        findings = [*_other_than_before(cart)]
    if not findings and cart.sums.rounded_lines and ROUNDING in cart.told:
        findings = [*_rounded_lines(cart, cart.told[ROUNDING])]
    return findings[:MOST_FINDINGS]


def _odd_of_each(cart: CheckedCart) -> Iterator[tuple[Any, int, int]]:
    """Judge each line by itself, where amounts cannot be added up."""
    for line in cart.lines:
        alone = CheckedCart(cart.row._replace(sub_total_minor=None), {}, [line])
        if line.price_minor is not None and line.pieces is not None:
            yield from alone.sums.wrong_lines


def _wrong_line(line: Any, full: int, off: int) -> Finding:
    name, money = line.name, _form(line.currency)
    less = f" - {money(off)}" if off else ""
    expected = f"{_pieces(line.pieces)} x {money(line.price_minor)}{less} = {money(full - off)}"
    found = money(line.line_price_minor)
    sentence = f"Line item {name} costs {found}, but {expected}."
    return Finding(f"{line.path}.line_price", expected, found, sentence)


def _pieces(pieces: Any) -> str:
    return str(pieces) if type(pieces) is int else f"{float(pieces):.9g}"


def _other_than_before(cart: CheckedCart) -> Iterator[Finding]:
    """Find lines of another price than in the snapshot before, though nothing else changed."""
    before = cart.before
    if before is None or before.is_mixed or not cart.sums.rounded_lines:
        return
    if _discounts_of(cart) or _discounts_of(before):
        return
    for old, new in contents.pairs(before, cart):
        if new is None or (old.price_minor, old.pieces) != (new.price_minor, new.pieces):
            continue
        if None in (old.line_price_minor, new.line_price_minor, new.pieces, new.price_minor):
            continue
        if old.line_price_minor == new.price_minor * new.pieces != new.line_price_minor:
            money = _form(new.currency)
            was, now = money(old.line_price_minor), money(new.line_price_minor)
            sentence = f"Line item {new.name} costs {now}; at the same price it cost {was} before."
            yield Finding(f"{new.path}.line_price", was, now, sentence)


def _discounts_of(cart: CheckedCart) -> bool:
    sums = cart.sums
    return bool(sums.reductions or sums.has_open_code or sums.spread)


def _rounded_lines(cart: CheckedCart, told: Told) -> Iterator[Finding]:
    """Say which lines are rounded where the merchant multiplies the price that it shows."""
    if told.answer != "by piece":
        return
    for line in cart.lines:
        if None in (line.price_minor, line.pieces, line.line_price_minor):
            continue
        full = line.price_minor * line.pieces
        off = abs(line.discount_minor or 0)
        if line.line_price_minor in (full, full - off):
            continue
        money = _form(line.currency)
        expected = f"{_pieces(line.pieces)} x {money(line.price_minor)} = {money(round(full))}"
        found = money(line.line_price_minor)
        sentence = f"Line item {line.name} costs {found}, but {expected}: {_by(cart, told)}."
        yield Finding(f"{line.path}.line_price", expected, found, sentence, "info")


def _by(cart: CheckedCart, told: Told) -> str:
    """Say how many carts of the merchant count otherwise."""
    of = told.n_for + told.n_against
    return f"{told.n_for} of {of} carts of {cart.merchant or 'this merchant'} round {told.answer}"


@check(name="subtotal", severity="error")
def subtotal(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that the subtotal is the sum of the line items, before or after discounts."""
    lines = [line.line_price_minor for line in cart.lines]
    stated = cart.row.sub_total_minor
    if stated is None or None in lines:
        return cart.unread("sub_total") or cart.unread_lines("line_price")
    if cart.is_mixed or cart.is_bare:
        return None
    sums = cart.sums
    money = _form(cart.row.currency)
    off, reason = sums.subtotal_off, ""
    if not off and sums.by_rounding:
        told = cart.told.get(ROUNDING)
        if told and told.answer != "by order":
            off, reason = sums.by_rounding, f": {_by(cart, told)}"
        elif _same_lines_before(cart):
            off, reason = sums.by_rounding, ", as they did in the snapshot before"
    if not off:
        return None if sums.is_open else []
    full = sums.lines_total or 0
    sentence = (
        f"The subtotal is {money(stated)}, but the line items add up to {money(full)}{reason}."
    )
    return [Finding("sub_total", money(full), money(stated), sentence)]


def _same_lines_before(cart: CheckedCart) -> bool:
    """Return whether the snapshot before had the same lines, and their sum as its subtotal."""
    before = cart.before
    if before is None or before.is_mixed or _discounts_of(cart) or _discounts_of(before):
        return False
    own, earlier = (
        sorted((line.name, str(line.pieces), line.line_price_minor or 0) for line in each.lines)
        for each in (cart, before)
    )
    return own == earlier and before.row.sub_total_minor == before.sums.lines_total


@check(name="total", severity="error")
def total(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that the total is the sum of its parts, as the merchant counts."""
    row = cart.row
    if row.total_minor is None or row.sub_total_minor is None:
        return cart.unread("total", "sub_total")
    if any(cart.unread(name) for name in (*COSTS, "cart_discount", "store_credit")):
        return Skipped.NOT_READ
    if cart.is_mixed or any((getattr(row, f"{name}_minor") or 0) < 0 for name in NEVER_NEGATIVE):
        return None
    sums = cart.sums
    if sums.solutions:
        return _against_the_others(cart, sums)
    if sums.is_open:
        return None
    return [] if sums.repeated else [_wrong_total(cart, sums.expected or 0)]


def _wrong_total(cart: CheckedCart, expected: int) -> Finding:
    row = cart.row
    money = _form(row.currency)
    costs = {AMOUNT_NAMES[name]: getattr(row, f"{name}_minor") or 0 for name in COSTS}
    terms = [f"{name} {money(minor)}" for name, minor in costs.items() if minor]
    sum_of = " + ".join([f"subtotal {money(row.sub_total_minor)}", *terms])
    discount = row.sub_total_minor + sum(costs.values()) - expected
    if discount:
        sum_of += f" - discount {money(discount)}"
    is_alone = not terms and not discount
    sum_of = "the subtotal alone is" if is_alone else f"{sum_of} ="
    sentence = f"The total is {money(row.total_minor)}, but {sum_of} {money(expected)}."
    return Finding("total", money(expected), money(row.total_minor), sentence)


def _against_the_others(cart: CheckedCart, sums: Sums) -> list[Finding]:
    """Hold a cart that adds up in its own way against the way of its merchant's other carts."""
    if not cart.told:
        return []
    ways = [sums.answers(way) for way in sums.solutions]
    for question in IN_THE_TOTAL:
        told = cart.told.get(question)
        said = {answers.get(question) for answers in ways}
        if told is None or None in said or told.answer in said:
            continue
        return [_other_convention(cart, question, told, sums.solutions[0], ways[0][question])]
    return []


def _other_convention(
    cart: CheckedCart, question: str, told: Told, way: Solution, found: str
) -> Finding:
    row = cart.row
    money = _form(row.currency)
    of = told.n_for + told.n_against
    merchant = cart.merchant or "this merchant"
    is_, it = ("are", "they are") if question == ADDONS else ("is", "it is")
    words = f"the {question} {is_} {found}"
    sentence = (
        f"The total is {money(row.total_minor)}: {words}; "
        f"in {told.n_for} of {of} carts of {merchant} {it} {told.answer}."
    )
    expected = told.answer
    if question == TAX:
        tax = row.tax_total_minor or 0
        other = row.total_minor + (tax if told.answer != way.tax == "inside" else -tax)
        expected = f"{money(other)} ({told.answer})"
    return Finding("total", expected, f"{money(row.total_minor)} ({found})", sentence)


@check(name="discount-once", severity="error")
def discount_once(cart: CheckedCart) -> list[Finding] | None:
    """Check that a discount is taken off once: at the line item, the subtotal or the total."""
    if cart.is_mixed or cart.is_bare or not cart.sums.reductions:
        return None
    sums = cart.sums
    if sums.solutions:
        return _twice_by_convention(cart, sums)
    if not sums.repeated:
        return [] if not sums.is_open else None
    way = sums.repeated[0]
    money = _form(cart.row.currency)
    parts = {
        "line prices": sums.off_line + sums.spread,
        "subtotal": way.before or 0,
        "total": way.after,
    }
    places = [f"{money(minor)} in the {place}" for place, minor in parts.items() if minor]
    stated = sums.off_line + sums.off_later + sums.off_cart or sum(sums.reductions)
    taken = sum(parts.values())
    sentence = (
        f"Discounts of {money(stated)} are stated, but {money(taken)} is taken off: "
        f"{', '.join(places[:-1])} and {places[-1]}."
    )
    return [Finding("cart_discount", money(stated), money(taken), sentence)]


def _twice_by_convention(cart: CheckedCart, sums: Sums) -> list[Finding]:
    told = cart.told.get(STATED_TWICE)
    said = {sums.answers(way).get(STATED_TWICE) for way in sums.solutions}
    if told is None or told.answer != ONCE or None in said or ONCE in said:
        return []
    money, off = _form(cart.row.currency), sums.off_cart
    of = told.n_for + told.n_against
    sentence = (
        f"The discount of {money(off)} at the line and for the cart is taken off twice; "
        f"in {told.n_for} of {of} carts of {cart.merchant} it is taken off once."
    )
    return [Finding("cart_discount", money(off), money(2 * off), sentence)]


@check(name="shipping-methods", severity="error")
def shipping_methods(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that shipping is the sum of the chosen methods, or less by a discount."""
    stated, chosen = cart.row.shipping_total_minor, cart.chosen
    if stated is None:
        return cart.unread("shipping_total")
    if chosen is None or cart.is_mixed or stated < 0 or _in_another_currency(cart):
        return None
    told = cart.told.get(SHIPPING)
    if stated == chosen:
        return []
    if told and told.answer != SUM_OF_METHODS:
        return None
    if _is_shipping_reduced(cart, chosen - stated) or _is_net(cart, stated, chosen):
        return []
    money = _form(cart.row.currency)
    sentence = (
        f"Shipping is {money(stated)}, but the chosen "
        f"{'method costs' if len(cart.shipments) == 1 else 'methods cost'} {money(chosen)}."
    )
    return [Finding("shipping_total", money(chosen), money(stated), sentence)]


def _is_shipping_reduced(cart: CheckedCart, less: int) -> bool:
    """Return whether a discount can be what shipping is cheaper by."""
    sums = cart.sums
    if less > 0 and (less in sums.reductions or sums.has_open_code):
        return True
    # Free shipping that no discount is named for.
    return less > 0 and cart.row.shipping_total_minor == 0


def _is_net(cart: CheckedCart, stated: int, chosen: int) -> bool:
    """Return whether the methods' prices are with the cart's tax, and shipping is without."""
    row = cart.row
    tax, goods = row.tax_total_minor or 0, (row.sub_total_minor or 0) + stated
    if tax <= 0 or goods <= 0 or stated <= 0:
        return False
    return abs((chosen - stated) * goods - tax * stated) <= goods + stated


def _in_another_currency(cart: CheckedCart) -> bool:
    return any(part.currency not in (None, cart.row.currency) for part in cart.shipments)


@check(name="not-negative", severity="error")
def not_negative(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that total, shipping and tax are not below zero."""
    amounts = {name: getattr(cart.row, f"{name}_minor") for name in NEVER_NEGATIVE}
    if set(amounts.values()) == {None}:
        return cart.unread(*NEVER_NEGATIVE)
    money = _form(cart.row.currency)
    return [
        Finding(
            name,
            "zero or more",
            money(minor),
            f"The {AMOUNT_NAMES[name]} is {money(minor)}, below zero.",
        )
        for name, minor in amounts.items()
        if minor is not None and minor < 0
    ]


@check(name="one-currency", severity="error")
def one_currency(cart: CheckedCart) -> list[Finding] | None:
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
def number_agrees_with_value(cart: CheckedCart) -> list[Finding] | None:
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
            expected, found = plain(money["number"]), plain(money["value"])
            currency = plain(money["currency"])
            sentence = f"{path} says number {expected} and value {found} {currency}: not read."
            findings.append(Finding(path, f"number {expected}", f"value {found}", sentence))
    return findings if looked else None


@check(name="order-total", severity="error")
def order_total(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that the order's total is the total of the last cart before it."""
    last = cart.last_cart
    if not cart.is_order or last is None:
        return None
    paid, shown = cart.row.total_minor, last.row.total_minor
    if paid is None or shown is None:
        return cart.unread("total") or last.unread("total")
    if cart.row.currency != last.row.currency or paid < 0:
        return None
    if paid == shown:
        return []
    money = _form(cart.row.currency)
    sentence = f"The order costs {money(paid)}, the cart before it {money(shown)}."
    return [Finding("total", money(shown), money(paid), sentence)]


def _form(currency: str | None) -> Callable[[int], str]:
    """Return what writes amounts of one currency."""
    return partial(format_minor, currency=currency or "")


def _in_other_currencies(cart: CheckedCart, usual: str) -> Iterator[tuple[str, str]]:
    if set(cart.currencies) == {usual}:
        return
    said = ((keys, currency_code(money["currency"])) for keys, money in cart.amounts)
    others = [(keys, code) for keys, code in said if code is not None and code != usual]
    for keys, currency in others[:MOST_FINDINGS]:
        yield path_of(cart.data, keys), plain(currency)
