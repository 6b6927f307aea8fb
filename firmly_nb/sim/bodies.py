"""What goes over the wire: how bodies are read and checked, and their JSON schemas.

An error names the field that is wrong, never its value, which may be a secret. The OpenAPI document
is made of the schemas.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.sim.answers import ApiError, invalid
from firmly_nb.sim.merchants import COUNTRIES, country_code, find_region

if TYPE_CHECKING:
    from starlette.requests import Request

    from firmly_nb.sim.settings import Settings


PAGE_SIZES = (100, 500, 1000, 2000)
LARGEST_PAGE = 100
REQUIRED_IN_ADDRESS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "address1",
    "city",
    "state_or_province",
    "country",
    "postal_code",
)
OPTIONAL_IN_ADDRESS = ("address2", "company")
LONGEST_TEXT = 500
MOST_ITEMS = 250  # each is told with the whole cart, so the stream grows with the square
MOST_PIECES = 1_000_000
LARGEST_BODY = 1 << 20
# So much of a body that is too large is read nevertheless, so that its sender reads the answer.
MOST_DRAINED = 16 << 20
HANG_UP = {"connection": "close"}
POSTAL_CODES = {"US": r"[0-9]{5}(-[0-9]{4})?", "CA": r"[A-Za-z][0-9][A-Za-z] ?[0-9][A-Za-z][0-9]"}


async def read_body(request: Request, largest: int = LARGEST_BODY) -> bytes:
    """Read a request's body, up to a size; a larger one is refused."""
    settings: Settings = request.app.state.world.settings
    parts = bytearray()
    size = 0
    try:
        async with asyncio.timeout(settings.patience_s):
            async for part in request.stream():
                size += len(part)
                if size <= largest:
                    parts += part
                elif size > MOST_DRAINED:
                    break
    except TimeoutError:
        raise invalid("the body did not arrive in time", 408, HANG_UP) from None
    if size > largest:
        raise invalid(f"the body is larger than {largest} bytes", 413, HANG_UP)
    return bytes(parts)


async def read_object(request: Request) -> dict[str, Any]:
    """Read a request's body as a JSON object.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if the content type is another, the body no JSON or no object.
    """
    body = await read_body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid("Content-Type must be application/json")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is no JSON (line {error.lineno}, column {error.colno})") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


async def read_optional_object(request: Request) -> dict[str, Any]:
    """Read a body that may be absent."""
    if request.headers.get("content-length", "0") == "0" and (
        "transfer-encoding" not in request.headers
    ):
        return {}
    return await read_object(request)


def text(value: Any, where: str, longest: int = LONGEST_TEXT) -> str:
    """Return a non-empty text of bounded length.

    Examples
    --------
    >>> text(" Ada ", "first_name")
    'Ada'
    """
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{where}: must be a non-empty string")
    if len(value) > longest:
        raise invalid(f"{where}: must have at most {longest} characters")
    return value.strip()


def quantity(value: Any, where: str, least: int = 1) -> int:
    """Return a number of pieces; JSON has one number type, so 2.0 is one too.

    Examples
    --------
    >>> quantity(2.0, "quantity")
    2
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{where}: must be a whole number")
    if isinstance(value, float) and not value.is_integer():
        raise invalid(f"{where}: must be a whole number")
    if not least <= value <= MOST_PIECES:
        raise invalid(f"{where}: must be {least} to {MOST_PIECES}")
    return int(value)


def address(value: Any, where: str, phone_required: bool = True) -> dict[str, str]:
    """Return a checked address with its known fields, country as its code.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, naming the field; ``ErrorCountryNotSupported`` for a country that
        no merchant here ships to.
    """
    if not isinstance(value, dict):
        raise invalid(f"{where}: must be an object")
    optional = OPTIONAL_IN_ADDRESS if phone_required else (*OPTIONAL_IN_ADDRESS, "phone")
    required = [name for name in REQUIRED_IN_ADDRESS if name not in optional]
    checked = {name: text(value.get(name), f"{where}.{name}") for name in required}
    for name in optional:
        if value.get(name) is not None:
            checked[name] = _optional_text(value[name], f"{where}.{name}")
    _check_region(checked, where)
    return checked


def _optional_text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise invalid(f"{where}: must be a string of at most {LONGEST_TEXT} characters")
    return value.strip()


def _check_region(checked: dict[str, str], where: str) -> None:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", checked["email"]):
        raise invalid(f"{where}.email: must be an e-mail address")
    country = country_code(checked["country"])
    if country is None:
        known = ", ".join(COUNTRIES)
        raise ApiError("ErrorCountryNotSupported", f"{where}.country: supported are {known}")
    checked["country"] = country
    pattern = POSTAL_CODES.get(country, r"[A-Za-z0-9 -]{2,12}")
    if not re.fullmatch(pattern, checked["postal_code"]):
        raise invalid(f"{where}.postal_code: is no postal code of {country}")
    if find_region(country, checked["state_or_province"]) is None:
        raise invalid(f"{where}.state_or_province: is no state of {country}")


def is_postal_code(value: str) -> bool:
    """Whether a text can be a postal code somewhere.

    Examples
    --------
    >>> is_postal_code("98101"), is_postal_code("?")
    (True, False)
    """
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 -]{1,8}[A-Za-z0-9]", value.strip()))


def date(value: Any, where: str) -> str:
    """Return a day in the form YYYY-MM-DD."""
    try:
        return dt.date.fromisoformat(text(value, where)).isoformat()
    except ValueError:
        raise invalid(f"{where}: must be a day as YYYY-MM-DD") from None


def flag(value: str | None, where: str) -> bool:
    """Return a query's ``true`` or ``false``; absent is false."""
    if value not in {None, "true", "false"}:
        raise invalid(f"{where}: must be true or false")
    return value == "true"


def product_reference(value: Any, where: str) -> dict[str, Any]:
    """Return a checked ``add_to_cart_ref``: ``variant_id``, and what else was given."""
    if not isinstance(value, dict):
        raise invalid(f"{where}: must be an object with a variant_id")
    checked: dict[str, Any] = {"variant_id": text(value.get("variant_id"), f"{where}.variant_id")}
    if value.get("product_id") is not None:
        checked["product_id"] = text(value["product_id"], f"{where}.product_id")
    handles = value.get("variant_handles")
    if handles is not None:
        checked["variant_handles"] = texts(handles, f"{where}.variant_handles")
    return checked


def texts(value: Any, where: str, most: int = 100) -> list[str]:
    """Return a checked list of texts."""
    if not isinstance(value, list) or len(value) > most:
        raise invalid(f"{where}: must be a list of at most {most} strings")
    return [text(one, f"{where}[{n}]") for n, one in enumerate(value)]


def items(value: Any, version: int) -> list[tuple[dict[str, Any], int]]:
    """Return the checked items of a Place Order body, as pairs of reference and quantity.

    In v2 an item has an ``add_to_cart_ref``, in v1 it is one itself (inferred).
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_ITEMS:
        raise invalid(f"items: must be a list of 1 to {MOST_ITEMS} items")
    checked = []
    for n, one in enumerate(value):
        if version == 1:
            reference = product_reference(one, f"items[{n}]")
        elif isinstance(one, dict):
            given = one.get("add_to_cart_ref")
            reference = product_reference(given, f"items[{n}].add_to_cart_ref")
        else:
            raise invalid(f"items[{n}]: must be an object")
        checked.append((reference, quantity(one.get("quantity"), f"items[{n}].quantity")))
    return checked


Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
# A text that is not blank.
FILLED: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"\S"}
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


def place_order_of(item: str) -> Schema:
    """Return the schema of a Place Order body with items of a kind."""
    items = array(ref(item), minItems=1, maxItems=MOST_ITEMS)
    required = {**PAYMENT_FIELDS, "shipping_info": ref("Address"), "items": items}
    return thing(required, captcha_token=CAPTCHA)


MONEY = ref("Money")
PIECES: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_PIECES}
ADDRESS_FIELDS = {
    "first_name": FILLED,
    "last_name": FILLED,
    "email": {**FILLED, "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"},
    "address1": FILLED,
    "city": FILLED,
    "state_or_province": FILLED,
    "country": {"type": "string", "enum": [*COUNTRIES, *COUNTRIES.values()]},
    "postal_code": FILLED,
}
HANDLES: Schema = {"type": ["array", "null"], "items": FILLED, "maxItems": 100}
REFERENCE = thing(
    {"variant_id": FILLED},
    product_id={**FILLED, "type": ["string", "null"]},
    variant_handles=HANDLES,
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
        {**ADDRESS_FIELDS, "phone": FILLED}, address2=OPTIONAL_TEXT, company=OPTIONAL_TEXT
    ),
    "SimpleAddress": thing(
        ADDRESS_FIELDS, phone=OPTIONAL_TEXT, address2=OPTIONAL_TEXT, company=OPTIONAL_TEXT
    ),
    "Item": thing({"add_to_cart_ref": REFERENCE, "quantity": PIECES}),
    "SimpleItem": thing({"variant_id": FILLED, "quantity": PIECES}),
    "PlaceOrder": place_order_of("Item"),
    "SimplePlaceOrder": place_order_of("SimpleItem"),
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
