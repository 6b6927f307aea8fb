"""A cart as the API writes it: Full Cart (v2), Simple Cart (v1), and the order that comes of it.

firmly-api.md, sections 6.3, 6.4, 6.6 and 6.7. The shape of a notice is inferred; that a v2 order
says ``tax_total`` is inferred from the v2 cart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.sim.cart import Cart, Line, totals
from firmly_nb.sim.shipping import FULFILMENT, Method, Shipment, shipments

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
# Symbol and number of decimals of the currencies that occur here.
CURRENCIES = {"USD": ("$", 2), "EUR": ("€", 2), "JPY": ("¥", 0)}


def money(minor: int, currency: str) -> Json:
    """Return a money object (section 6.3).

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
    """Return ``cart_status``, computed from the cart's state (section 6.4)."""
    if cart.confirmation:
        return "submitted"
    if any(notice.code == "ITEM_NOT_SHIPPABLE" for notice in cart.notices):
        return "item_not_shippable"
    return "active"


def full_cart(cart: Cart) -> Json:
    """Return a cart in v2 form."""
    parts = shipments(cart)
    costs = totals(cart, sum(part.price for part in parts))
    currency = cart.merchant.currency
    return {
        **_head(cart),
        "line_items": [_line(line, currency) for line in cart.lines],
        "shipments": [_shipment(part, cart) for part in parts],
        **_addresses(cart),
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": list(cart.promo_codes),
        "notices": [_notice(notice) for notice in cart.notices],
        "addons": {"offers": [], "selections": []},
        "sub_total": money(costs.sub_total, currency),
        **({"cart_discount": money(costs.discount, currency)} if costs.discount else {}),
        "shipping_total": money(costs.shipping, currency),
        "tax_total": money(costs.tax, currency),
        "addon_total": money(0, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
        "schema_version": "2.0",
    }


def simple_cart(cart: Cart) -> Json:
    """Return a cart in v1 form: flat, one shipping method for the cart."""
    parts = shipments(cart)
    costs = totals(cart, sum(part.price for part in parts))
    currency = cart.merchant.currency
    made = {
        **_head(cart),
        "line_items": [_line(line, currency) for line in cart.lines],
        **_addresses(cart),
        "shipping_method_options": [_simple_method(one, currency) for one in _joint(parts)],
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": list(cart.promo_codes),
        "notice": [notice.code for notice in cart.notices],
        "features": {"promo_codes": bool(cart.merchant.promo_codes), "paypal": False},
        "sub_total": money(costs.sub_total, currency),
        **({"cart_discount": money(costs.discount, currency)} if costs.discount else {}),
        "shipping_total": money(costs.shipping, currency),
        "tax": money(costs.tax, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
    }
    chosen = next((part.method for part in parts if part.method), None)
    if chosen:
        joint = Method(chosen.method_id, chosen.name, chosen.days, costs.shipping)
        made["shipping_method"] = _simple_method(joint, currency)
    return made


def _head(cart: Cart) -> Json:
    return {
        "cart_id": cart.cart_id,
        "platform_id": cart.merchant.platform_id,
        "shop_id": cart.merchant.domain,
        "display_name": cart.merchant.display_name,
        "cart_status": status(cart),
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
    """Return the signal of section 8; the flag is a text there, not a boolean."""
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
        Method(
            name,
            offers[0][name].name,
            offers[0][name].days,
            sum(offer[name].price for offer in offers),
        )
        for name in common
    ]


def _notice(notice: Any) -> Json:
    return {
        "code": notice.code,
        "message": notice.message,
        "line_item_ids": list(notice.line_item_ids),
    }
