"""Checks of what a cart must say at all, and of the status it says it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import contradicts
from firmly_nb.carts.check_registry import Finding, check

if TYPE_CHECKING:
    from firmly_nb.carts.cart_view import CartView

# Fields that both versions of the API document (firmly-api.md, section 6.4), and from when on.
CART_FIELDS = ("cart_id", "cart_status", "line_items")
FILLED_FIELDS = ("sub_total", "total")
PRICED_FIELDS = ("shipping_total", "tax_total")
LINE_FIELDS = ("line_item_id", "sku", "quantity", "price", "line_price")
SPELLINGS = {"tax_total": ("tax_total", "tax"), "sku": ("sku", "id", "variant_id")}
AMOUNTS = frozenset({"sub_total", "total", "shipping_total", "tax_total", "price", "line_price"})
OPEN_EVENTS = frozenset({"item-added", "shipping-updated"})
MOST_FINDINGS = 20


@check(name="required-fields", severity="error")
def required_fields(cart: CartView) -> list[Finding] | None:
    """Check that every field that all carts are documented to have is there and can be read."""
    names = list(CART_FIELDS)
    if cart.lines:
        names += FILLED_FIELDS
    if cart.lines and (cart.is_order or cart.row.event == "shipping-updated"):
        names += PRICED_FIELDS
    findings = [_lacking(name, name, cart.row, cart.data) for name in names]
    if cart.is_order and cart.row.order_number is None:
        findings.append(_without_number(cart))
    raw_lines = cart.data.get("line_items")
    sent = [each for each in raw_lines if type(each) is dict] if type(raw_lines) is list else []
    for line, raw in zip(cart.lines, sent, strict=True):
        findings += [_lacking(f"{line.path}.{f}", f, line, raw) for f in LINE_FIELDS]
    return [finding for finding in findings if finding][:MOST_FINDINGS]


@check(name="status-fits-event", severity="error")
def status_fits_event(cart: CartView) -> list[Finding] | None:
    """Check that a cart is active while it is filled; an order is submitted."""
    status = cart.row.cart_status
    if status is None or not (cart.is_order or cart.row.event in OPEN_EVENTS):
        return None
    expected = "submitted" if cart.is_order else "active"
    if status == expected:
        return []
    event = cart.row.event
    if status in ("submitted", "active"):
        sentence = f"The status at {event} is {status}; it should be {expected}."
        return [Finding("cart_status", expected, status, sentence)]
    sentence = f"The merchant says {status} at {event}."
    return [Finding("cart_status", expected, status, sentence, "warning")]


def _without_number(cart: CartView) -> Finding:
    path = "platform_order_number"
    if cart.data.get(path) is None:
        return Finding(path, "a value", "nothing", f"{path} is missing.")
    return Finding(path, "a number", "no number", f"{path} is there, but is no order number.")


def _lacking(path: str, name: str, row: Any, raw: dict[str, Any]) -> Finding | None:
    spellings = SPELLINGS.get(name, (name,))
    sent = [raw[each] for each in spellings if raw.get(each) is not None]
    if not sent:
        return Finding(path, "a value", "nothing", f"{path} is missing.")
    if name in AMOUNTS and getattr(row, f"{name}_minor") is None:
        if any(map(contradicts, sent)):
            return None  # the check of numbers and values says it better
        return Finding(path, "an amount", "no amount", f"{path} is there, but is no amount.")
    if name == "line_items" and not isinstance(sent[0], list):
        return Finding(path, "a list", "no list", f"{path} is there, but is no list.")
    if name == "quantity" and row.quantity is None:
        return Finding(path, "a number", "no number", f"{path} is there, but is no whole number.")
    return None
