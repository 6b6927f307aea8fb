"""Checks of the lines: that the cart holds what was asked for, once, at one price."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.carts.check_registry import Finding, check
from firmly_nb.carts.paths import below, element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.carts.cart_view import CartView


@check(name="quantity", severity="error")
def quantity(cart: CartView) -> list[Finding] | None:
    """Check that every line holds at least one piece."""
    looked = [line for line in cart.lines if line.quantity is not None]
    if not looked:
        return None
    return [
        Finding(
            f"{line.path}.quantity",
            "at least 1",
            str(line.quantity),
            f"The line {line.name} holds {line.quantity} pieces.",
        )
        for line in looked
        if line.quantity < 1
    ]


@check(name="lines-once", severity="error")
def lines_once(cart: CartView) -> list[Finding] | None:
    """Check that no line is in the cart twice."""
    if not cart.lines:
        return None
    ids = Counter(line.line_item_id for line in cart.lines if line.line_item_id)
    first = {line.line_item_id: line.path for line in reversed(cart.lines)}
    first_of_name = {line.name: line.path for line in reversed(cart.lines)}
    twice = [
        Finding(
            first[line_id],
            f"{line_id} once",
            f"{count} times",
            f"The line {line_id} is in the cart {count} times.",
        )
        for line_id, count in ids.items()
        if count > 1
    ]
    variants = Counter(
        line.name
        for line in cart.lines
        if (line.variant_id or line.sku) and ids[line.line_item_id] <= 1
    )
    split = [
        Finding(
            first_of_name[name],
            "one line",
            f"{count} lines",
            f"{name} is in {count} lines of its own.",
            "warning",
        )
        for name, count in variants.items()
        if count > 1
    ]
    return twice + split


@check(name="lines-kept", severity="error")
def lines_kept(cart: CartView) -> list[Finding] | None:
    """Check that what was in the cart in the snapshot before is still in it, as many pieces."""
    if cart.before is None or not cart.before.lines:
        return None
    return list(_lost(cart, cart.before))


@check(name="prices-kept", severity="error")
def prices_kept(cart: CartView) -> list[Finding] | None:
    """Check that a line's price is what it was in the snapshot before."""
    if cart.before is None:
        return None
    pairs = [
        (old, new)
        for old, new in _pairs(cart.before, cart)
        if new is not None
        and None not in (old.price_minor, new.price_minor)
        and old.currency == new.currency
    ]
    if not pairs:
        return None
    findings = []
    for old, new in pairs:
        if old.price_minor == new.price_minor:
            continue
        name, currency = new.name, new.currency or ""
        was, now = (format_minor(line.price_minor, currency) for line in (old, new))
        sentence = f"The price of {name} went from {was} to {now}."
        findings.append(Finding(f"{new.path}.price", was, now, sentence))
    return findings


@check(name="as-asked", severity="error")
def as_asked(cart: CartView) -> list[Finding] | None:
    """Check that the cart holds what was asked for, as many pieces, and nothing else."""
    if cart.asked is None or cart.is_partial:
        return None
    held: Counter[str] = Counter()
    for line in cart.lines:
        known = [each for each in (line.variant_id, line.sku) if each is not None]
        name = next((each for each in known if each in cart.asked), known[0] if known else "?")
        held[name] += line.quantity or 0
    if cart.asked.keys().isdisjoint(held) and not any(line.variant_id for line in cart.lines):
        return _as_many(cart.asked.total(), held.total())  # the merchant names no variants
    return [
        Finding(
            below(element("line_items", name), "quantity"),
            str(cart.asked[name]),
            str(held[name]),
            f"{cart.asked[name]} of {name} asked for, {held[name]} in the cart.",
        )
        for name in dict.fromkeys([*cart.asked, *held])
        if cart.asked[name] != held[name]
    ]


@check(name="shipments-cover-lines", severity="error")
def shipments_cover_lines(cart: CartView) -> list[Finding] | None:
    """Check that every line to be sent is in exactly one shipment, and no other is."""
    parts = [part for part in cart.shipments if part.shipment_id or part.line_item_ids]
    lines = {line.line_item_id: line for line in cart.lines if line.line_item_id}
    if not parts or not lines or not any(part.line_item_ids for part in parts):
        return None
    times = Counter(each for part in parts for each in part.line_item_ids if isinstance(each, str))
    findings = []
    for line_id, line in lines.items():
        allowed = (0, 1) if line.requires_shipping is False else (1,)
        if times[line_id] not in allowed:
            name = line.name
            sentence = f"The line {name} is in {times[line_id]} shipments."
            findings.append(Finding(line.path, "1 shipment", str(times[line_id]), sentence))
    for line_id in times.keys() - lines.keys():
        sentence = f"A shipment names the line {line_id}, which is not in the cart."
        findings.append(Finding("shipments.line_item_ids", "a line of the cart", line_id, sentence))
    return findings


def _as_many(asked: int, held: int) -> list[Finding]:
    if asked == held:
        return []
    sentence = f"{asked} pieces asked for, {held} in the cart."
    return [Finding("line_items", f"{asked} pieces", f"{held} pieces", sentence)]


def _pairs(before: CartView, after: CartView) -> Iterator[tuple[Any, Any | None]]:
    """Match lines by their ids or, where those were made anew, by their names."""
    by_id = {line.line_item_id: line for line in after.lines if line.line_item_id}
    by_name = {line.name: line for line in reversed(after.lines)}
    for line in before.lines:
        yield line, by_id.get(line.line_item_id) or by_name.get(line.name)


def _lost(cart: CartView, before: CartView) -> Iterator[Finding]:
    for old, new in _pairs(before, cart):
        name = old.name
        if new is None:
            pieces = f"{old.quantity} of {name}" if old.quantity is not None else name
            sentence = f"{pieces} was in the cart before and is not in it now."
            yield Finding(old.path, pieces, "not there", sentence)
        elif None in (old.quantity, new.quantity) or old.quantity == new.quantity:
            continue
        elif new.quantity < old.quantity or not before.is_partial:
            sentence = f"The quantity of {name} went from {old.quantity} to {new.quantity}."
            path = f"{new.path}.quantity"
            yield Finding(path, str(old.quantity), str(new.quantity), sentence)
