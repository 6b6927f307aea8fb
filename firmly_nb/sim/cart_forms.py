"""A cart as the API writes it: as Full Cart (v2) and as Simple Cart (v1).

Some merchants have fields and shapes that no page describes: those of firmly's own front end.
Their amounts have no ``number``. A membership is in no sum, and a second cart says what the order
costs without it. A confirmation has neither ``cart_id`` nor ``cart_status``.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from firmly_nb.sim.cart import FULFILMENT, Cart, shipments, totals
from firmly_nb.sim.counting import MEMBERS_PERCENT, STORE_CREDIT, Json, Totals, money

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmly_nb.sim.cart import Line, Method, Notice, Shipment
    from firmly_nb.sim.merchants import Merchant


NO_ID = "00000000-0000-0000-0000-000000000000"
MEMBERSHIP = 1999


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
    made = {
        **_head(cart),
        "shipments": [_shipment(part, cart) for part in parts],
        **_addresses(cart),
        **_payment(cart),
        "notices": [_notice(notice) for notice in cart.notices],
        "addons": {"offers": [], "selections": []},
        **_costs(costs, cart),
        "tax_total": money(costs.tax, currency),
        "addon_total": money(0, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
        "schema_version": "2.0",
    }
    return _as_in_the_front_end(cart, made) if "front-end" in cart.merchant.traits else made


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
        **_costs(costs, cart),
        "tax": money(costs.tax, currency),
        "total": money(costs.total, currency),
        **_foot(cart),
    }
    chosen = next((part.method for part in parts if part.method), None)
    if chosen:
        joint = replace(chosen, price=costs.shipping)
        made["shipping_method"] = _simple_method(joint, currency)
    if "front-end" not in cart.merchant.traits:
        return made
    if cart.shipping_info is not None:
        made["shipping_info_options"] = [{"id": "address_1", **cart.shipping_info}]
    return _as_in_the_front_end(cart, made)


# By the version of the API.
FORMS: Mapping[int, Callable[[Cart], Json]] = {1: simple_cart, 2: full_cart}


def _as_in_the_front_end(cart: Cart, made: Json) -> Json:
    """Return a cart with what firmly's own front end shows of some merchants."""
    shown = dict(made)
    if cart.lines:
        shown["line_items"] = [*made["line_items"], _membership(cart)]
        plain = replace(cart.merchant, traits=cart.merchant.traits - {"members", "front-end"})
        other = full_cart(replace(cart, merchant=plain, confirmation=None))
        shown["merchant_custom_data"] = {"alternative_cart_details": other}
    if cart.confirmation:
        del shown["cart_id"], shown["cart_status"]
        shown["line_items"] = [{**line, "line_item_id": NO_ID} for line in shown["line_items"]]
        if "shipments" in made:
            shown["shipments"] = [
                {**part, "line_item_ids": [NO_ID] * len(part["line_item_ids"])}
                for part in made["shipments"]
            ]
        card = shown.pop("payment_summary")
        shown["payment_method"] = {
            **card,
            "month": f"{card['month']:02}",
            "year": str(card["year"]),
        }
        shown["handle"] = base64.b64encode(f"simulated {cart.cart_id}".encode()).decode()
    return cast("Json", _without_number(shown))


def _membership(cart: Cart) -> Json:
    amount = money(MEMBERSHIP, cart.merchant.currency)
    return {
        "line_item_id": f"item_{cart.cart_id.removeprefix('cart_')}_membership",
        "platform_line_item_id": "membership",
        "sku": "MEMBERSHIP",
        "base_sku": "MEMBERSHIP",
        "variant_id": "MEMBERSHIP",
        "description": "Membership",
        "variant_description": f"{MEMBERS_PERCENT} % off every order",
        "quantity": 1,
        "price": amount,
        "line_price": amount,
        "image": {"url": "https://images.example.test/membership.jpg", "alt": "Membership"},
        "fixed_quantity": True,
        "recurring": "monthly",
        "requires_shipping": False,
    }


def _without_number(value: Any) -> Any:
    """Return JSON whose amounts have only ``currency``, ``value`` and ``symbol``."""
    if isinstance(value, dict):
        is_amount = "currency" in value
        return {
            name: _without_number(inner)
            for name, inner in value.items()
            if not (is_amount and name == "number")
        }
    return [_without_number(inner) for inner in value] if isinstance(value, list) else value


def _head(cart: Cart) -> Json:
    return {
        "cart_id": cart.cart_id,
        "platform_id": cart.merchant.platform_id,
        "shop_id": cart.merchant.domain,
        "display_name": cart.merchant.display_name,
        "cart_status": status(cart),
        "line_items": [_line(line, cart.merchant) for line in cart.lines],
    }


def _payment(cart: Cart) -> Json:
    return {
        "payment_method_options": [{"type": "CreditCard", "wallet": "user"}],
        "coupons": list(cart.promo_codes),
    }


def _costs(costs: Totals, cart: Cart) -> Json:
    traits = cart.merchant.traits

    def amount(minor: int) -> Json:
        return money(minor, cart.merchant.currency)

    made: Json = {"sub_total": amount(costs.sub_total)}
    if costs.discount:
        made["cart_discount"] = amount(costs.discount)
    if costs.sale:
        is_vip = "members" in traits
        steps = {"Members" if is_vip else "Sale": costs.sale}
        if costs.discount != costs.sale:
            steps["Promo codes"] = costs.discount - costs.sale
        made["cart_discount_breakdown"] = [
            {"label": label, "step": step, "discount": amount(minor), "is_vip": is_vip}
            for step, (label, minor) in enumerate(steps.items(), 1)
        ]
        if is_vip:
            made["vip_discount"] = amount(costs.sale)
    if costs.credit:
        made["store_credit"] = amount(costs.credit)
    if cart.lines and "credit-shown" in traits:
        points = {"reward_points": 300, "available_reward_points": 800}
        made |= {name: amount(minor) for name, minor in points.items()}
        made["store_credit"] = amount(STORE_CREDIT)
    if "store_credit" in made:
        made["available_store_credit"] = amount(5 * STORE_CREDIT)
    return {**made, "shipping_total": amount(costs.shipping)}


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


def _line(line: Line, merchant: Merchant) -> Json:
    variant, priced, currency = line.variant, line.priced, merchant.currency
    made = {
        "line_item_id": line.line_item_id,
        "platform_line_item_id": str(line.position),
        "sku": variant.variant_id,
        "base_sku": variant.product_id,
        "variant_id": variant.variant_id,
        "description": variant.title,
        "variant_description": variant.description,
        "quantity": line.quantity,
        "price": money(priced.price, currency),
        "line_price": money(priced.line_price, currency),
        "msrp": money(max(variant.msrp, priced.price), currency),
        "image": {"url": variant.image, "alt": variant.title, "type": "default"},
        "requires_shipping": True,
    }
    if "members" in merchant.traits and priced.members_discount:
        made["line_discount"] = money(priced.members_discount, currency)
    return made


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
