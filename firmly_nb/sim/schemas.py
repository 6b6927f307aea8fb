"""JSON schemas of what goes over the wire; the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Any

from firmly_nb.sim.regions import COUNTRIES
from firmly_nb.sim.validation import LONGEST_TEXT, MOST_ITEMS, MOST_PIECES

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
# A text that is not blank.
WORD: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"\S"}
OPTIONAL_TEXT: Schema = {"type": ["string", "null"], "maxLength": LONGEST_TEXT}
ANY_OBJECT: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    """Refer to a component.

    Examples
    --------
    >>> ref("Money")
    {'$ref': '#/components/schemas/Money'}
    """
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **more: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **more}


def thing(required: Schema, **optional: Schema) -> Schema:
    """Return the schema of an object: required fields, then optional ones.

    Examples
    --------
    >>> thing({"a": TEXT}, b=BOOLEAN)["required"]
    ['a']
    """
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


MONEY = ref("Money")
PIECES: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_PIECES}
ADDRESS_WORDS = {
    "first_name": WORD,
    "last_name": WORD,
    "email": {**WORD, "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"},
    "address1": WORD,
    "city": WORD,
    "state_or_province": WORD,
    "country": {"type": "string", "enum": [*COUNTRIES, *COUNTRIES.values()]},
    "postal_code": WORD,
}
REFERENCE = thing(
    {"variant_id": WORD},
    product_id={**WORD, "type": ["string", "null"]},
    variant_handles={"type": ["array", "null"], "items": WORD, "maxItems": 100},
)
PAYMENT_FIELDS = {"encrypted_card": {**TEXT, "maxLength": 8192}, "billing_info": ref("Address")}
CAPTCHA: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 4096}
CART_HEAD = {
    "cart_id": TEXT,
    "platform_id": TEXT,
    "shop_id": TEXT,
    "display_name": TEXT,
    "cart_status": {"enum": ["active", "submitted", "item_not_shippable", "checkout_blocked"]},
    "line_items": array(ref("LineItem")),
    "payment_method_options": array(ANY_OBJECT),
    "coupons": array(TEXT),
    "sub_total": MONEY,
    "shipping_total": MONEY,
    "total": MONEY,
    "urls": ANY_OBJECT,
}
CART_EXTRAS = {
    "cart_discount": MONEY,
    "shipping_info": ref("SimpleAddress"),
    "billing_info": ref("SimpleAddress"),
    "platform_order_number": TEXT,
    "submitted_at": {"type": "string", "format": "date-time"},
    "payment_summary": ANY_OBJECT,
    "shop_properties": ANY_OBJECT,
}
METHOD = {"description": TEXT, "price": MONEY, "estimated_delivery": TEXT}
FULFILMENT = thing({"id": TEXT, "name": TEXT}, description=TEXT)

COMPONENTS: dict[str, Schema] = {
    "Money": thing(
        {"currency": {"type": "string", "pattern": "^[A-Z]{3}$"}, "value": {"type": "number"}},
        number={"type": "integer"},
        symbol=TEXT,
    ),
    "Address": thing(
        {**ADDRESS_WORDS, "phone": WORD}, address2=OPTIONAL_TEXT, company=OPTIONAL_TEXT
    ),
    "SimpleAddress": thing(
        ADDRESS_WORDS, phone=OPTIONAL_TEXT, address2=OPTIONAL_TEXT, company=OPTIONAL_TEXT
    ),
    "Item": thing({"add_to_cart_ref": REFERENCE, "quantity": PIECES}),
    "SimpleItem": thing({"variant_id": WORD, "quantity": PIECES}),
    "PlaceOrder": thing(
        {
            **PAYMENT_FIELDS,
            "shipping_info": ref("Address"),
            "items": array(ref("Item"), minItems=1, maxItems=MOST_ITEMS),
        },
        captcha_token=CAPTCHA,
    ),
    "SimplePlaceOrder": thing(
        {
            **PAYMENT_FIELDS,
            "shipping_info": ref("Address"),
            "items": array(ref("SimpleItem"), minItems=1, maxItems=MOST_ITEMS),
        },
        captcha_token=CAPTCHA,
    ),
    "CompleteOrder": thing(PAYMENT_FIELDS, captcha_token=CAPTCHA),
    "LineItem": thing(
        {
            "line_item_id": TEXT,
            "platform_line_item_id": TEXT,
            "sku": TEXT,
            "base_sku": TEXT,
            "description": TEXT,
            "quantity": {"type": "integer", "minimum": 1},
            "price": MONEY,
            "line_price": MONEY,
            "image": ANY_OBJECT,
            "requires_shipping": BOOLEAN,
        },
        variant_id=TEXT,
        variant_description=TEXT,
        msrp=MONEY,
    ),
    "Shipment": thing(
        {
            "shipment_id": TEXT,
            "line_item_ids": array(TEXT),
            "fulfillment_type": FULFILMENT,
            "fulfillment_type_options": array(FULFILMENT),
            "shipping_method_options": array(thing({"id": TEXT, **METHOD})),
        },
        shipping_method=thing({"id": TEXT, **METHOD}),
        notes=TEXT,
        selected_date={"type": "string", "format": "date"},
        selected_location=ANY_OBJECT,
    ),
    "Cart": thing(
        {
            **CART_HEAD,
            "shipments": array(ref("Shipment")),
            "notices": array(thing({"code": TEXT}, message=TEXT, line_item_ids=array(TEXT))),
            "addons": thing({"offers": array(ANY_OBJECT), "selections": array(ANY_OBJECT)}),
            "tax_total": MONEY,
            "addon_total": MONEY,
            "schema_version": {"const": "2.0"},
        },
        **CART_EXTRAS,
    ),
    "SimpleCart": thing(
        {
            **CART_HEAD,
            "shipping_method_options": array(thing({"sku": TEXT, **METHOD})),
            "notice": array(TEXT),
            "features": ANY_OBJECT,
            "tax": MONEY,
        },
        shipping_method=thing({"sku": TEXT, **METHOD}),
        **CART_EXTRAS,
    ),
    "Session": thing(
        {
            "device_created": BOOLEAN,
            "access_token": TEXT,
            "expires_in": {"type": "integer"},
            "expires": {"type": "integer"},
            "device_id": {"type": "string", "format": "uuid"},
        }
    ),
    "PublicKey": thing(
        {"kid": TEXT, "kty": {"const": "RSA"}, "n": TEXT, "e": TEXT, "use": {"const": "enc"}}
    ),
    "ProductEntry": thing({"loc": TEXT, "handle": TEXT, "title": TEXT, "image": ANY_OBJECT}),
    "Variant": thing(
        {
            "handle": TEXT,
            "sku": TEXT,
            "title": TEXT,
            "display_name": TEXT,
            "add_to_cart_ref": REFERENCE,
            "price": MONEY,
            "available": BOOLEAN,
            "variant_option_list": array(TEXT),
            "images": array(ANY_OBJECT),
        },
        msrp=MONEY,
        weight={"type": "number"},
        messages=array(thing({"type": TEXT, "text": TEXT})),
    ),
    "Product": thing(
        {
            "base_sku": TEXT,
            "title": TEXT,
            "handle": TEXT,
            "description": TEXT,
            "images": array(ANY_OBJECT),
            "variant_option_values": array(ANY_OBJECT),
            "variants": array(ref("Variant")),
        },
        pdp_url=TEXT,
        product_type=TEXT,
        domain=TEXT,
        domain_name=TEXT,
        brand=TEXT,
        price_range=ANY_OBJECT,
        has_available_variants=BOOLEAN,
        tags=array(TEXT),
    ),
    "SearchResult": thing(
        {
            "products": array(ref("Product")),
            "page_size": {"type": "integer"},
            "time_taken_ms": {"type": "integer"},
            "next_page": {"type": ["string", "null"]},
        }
    ),
    "Error": {
        "oneOf": [
            thing({"code": {"type": "integer"}, "error": TEXT, "description": TEXT}),
            thing({"error": TEXT, "message": TEXT}),
        ]
    },
}
