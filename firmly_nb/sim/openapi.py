"""The OpenAPI document, made from the routes themselves, their docstrings and the schemas."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.sim import cart_routes, catalogue_routes, order_routes
from firmly_nb.sim.bodies import (
    ADDRESS_FIELDS,
    ANY_OBJECT,
    COMPONENTS,
    FILLED,
    HANDLES,
    LARGEST_PAGE,
    LONGEST_TEXT,
    PAGE_SIZES,
    PIECES,
    REFERENCE,
    TEXT,
    Schema,
    array,
    ref,
    thing,
)
from firmly_nb.sim.merchants import merchants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.routing import Route


ERRORS: Mapping[str, str] = {
    "400": "The request, or what the shop makes of it, is refused",
    "401": "The token is missing, not valid or too old",
    "403": "No access to that merchant",
    "404": "There is no such thing",
    "405": "The path has no such method",
    "408": "The request did not arrive in time",
    "413": "The body is too large",
    "422": "The shop refuses it",
    "429": "Too many requests (a fault)",
    "500": "A fault, or a contradiction between pages",
    "503": "The shop or the service is not available",
}
BOOL_QUERY: Schema = {"enum": ["true", "false"]}
SHIPMENT = {"shipment_id": FILLED}
CODES = thing({"promo_codes": array(FILLED, minItems=1, maxItems=10)})
BELOW: Schema = {**PIECES, "minimum": 0}
PAGE: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers with, beyond what its path and docstring say."""

    answer: Schema
    body: Schema | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    auth: bool = True
    stream: bool = False
    body_required: bool = True
    headers: Mapping[str, bool] = field(default_factory=dict)


IN_PATH: Mapping[str, Schema] = {
    "domain": {"type": "string", "enum": list(merchants())},
    "quantity": {"type": "string", "pattern": "^[1-9][0-9]{0,5}$"},
    "handle": {**FILLED, "examples": ["radiant-tee"]},
    "sku": {**FILLED, "examples": ["WS12-XS-Orange"]},
}
ITEM = {"add_to_cart_ref": {"variant_id": "WS12-XS-Orange"}, "quantity": 1}
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Example",
    "email": "ada@example.test",
    "phone": "2065550100",
    "address1": "10 Sample Way",
    "city": "Seattle",
    "state_or_province": "WA",
    "country": "US",
    "postal_code": "98101",
}
# Bodies that are accepted as they stand, by the last part of the path.
EXAMPLES: Mapping[str, Any] = {
    "line-items": ITEM,
    "shipping-info": ADDRESS,
    "billing-info": ADDRESS,
    "promo-codes": {"promo_codes": ["LUMA10"]},
    "postal-code": {"postal_code": "98101"},
    "search": {"query": "hoodie", "page_size": 5},
}
CART = ref("Cart")
# What paths of v1 have instead, where they share a function with v2.
IN_V1: Sequence[tuple[Schema, Schema]] = (
    (CART, ref("SimpleCart")),
    (ref("PlaceOrder"), ref("SimplePlaceOrder")),
    (
        ref("Address"),
        thing(ADDRESS_FIELDS, phone={"type": ["string", "null"], "maxLength": LONGEST_TEXT}),
    ),
)
FLUSH = {"flush_cart": BOOL_QUERY}
# By the function that answers.
OPERATIONS: Mapping[Callable[..., Any], Operation] = {
    order_routes.browser_session: Operation(
        ref("Session"),
        {"type": "object", "properties": {"access_token": TEXT}},
        auth=False,
        body_required=False,
        headers={"x-firmly-app-id": True, "x-sim-token-lifetime": False},
    ),
    order_routes.public_key: Operation(
        ref("PublicKey"), query={"format": {"enum": ["JWK", "PEM", "RSA"]}}, auth=False
    ),
    order_routes.place_order: Operation(
        CART, ref("PlaceOrder"), query={"sse": BOOL_QUERY}, stream=True
    ),
    order_routes.complete_order: Operation(CART, ref("CompleteOrder")),
    cart_routes.get_cart: Operation(CART),
    cart_routes.add_line_item: Operation(
        CART, thing({"add_to_cart_ref": REFERENCE, "quantity": PIECES}), FLUSH
    ),
    cart_routes.update_line_item: Operation(CART, thing({"quantity": BELOW})),
    cart_routes.clear_cart: Operation(CART),
    cart_routes.set_shipping_info: Operation(CART, ref("Address")),
    cart_routes.set_billing_info: Operation(CART, ref("Address")),
    cart_routes.set_shipping_method: Operation(
        CART,
        thing(
            {**SHIPMENT, "shipping_method_id": FILLED},
            notes={**FILLED, "type": ["string", "null"]},
            selected_date={"type": ["string", "null"], "format": "date"},
        ),
    ),
    cart_routes.set_fulfillment_type: Operation(
        CART,
        thing(
            {**SHIPMENT, "fulfillment_type": FILLED},
            location_id={**FILLED, "type": ["string", "null"]},
        ),
    ),
    cart_routes.get_availability: Operation(ANY_OBJECT, thing(SHIPMENT)),
    cart_routes.add_promo_codes: Operation(CART, CODES),
    cart_routes.clear_promo_codes: Operation(CART),
    cart_routes.add_item: Operation(
        CART,
        thing({}, variant_handles=HANDLES),
        {**FLUSH, "fast_mode": BOOL_QUERY},
        body_required=False,
    ),
    cart_routes.update_item: Operation(
        CART,
        thing({"quantity": BELOW}, variant_handles=HANDLES),
        {"fast_mode": BOOL_QUERY},
    ),
    cart_routes.set_one_shipping_method: Operation(CART, thing({"shipping_method": FILLED})),
    order_routes.active_domains: Operation(thing({"domains": array(TEXT)})),
    order_routes.active_carts: Operation(
        thing({"domains": array(TEXT), "carts": array(CART)}), query={"excludes": TEXT}
    ),
    order_routes.get_postal_code: Operation(thing({"postal_code": TEXT})),
    order_routes.set_postal_code: Operation(
        thing({"postal_code": TEXT}), thing({"postal_code": FILLED})
    ),
    catalogue_routes.all_products: Operation(
        array(ref("ProductEntry")), query={"page": PAGE, "size": {"enum": list(PAGE_SIZES)}}
    ),
    catalogue_routes.expanded_products: Operation(array(ref("Product")), auth=False),
    catalogue_routes.one_product: Operation(ref("Product"), query={"postal_code": TEXT}),
    catalogue_routes.product_from_url: Operation(
        ref("Product"), query={"url": {**FILLED, "maxLength": 2_000}, "postal_code": TEXT}
    ),
    catalogue_routes.search: Operation(
        ref("SearchResult"),
        thing(
            {"query": FILLED},
            page_size={"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
            filters={
                "type": ["object", "null"],
                "properties": {
                    "domains": {"type": ["array", "null"], "items": FILLED, "maxItems": 100},
                    "min_price": {**BELOW, "type": ["integer", "null"]},
                    "max_price": {**BELOW, "type": ["integer", "null"]},
                    "in_stock": {"type": "boolean"},
                },
            },
        ),
        {"page": PAGE},
    ),
    catalogue_routes.search_options: Operation(ANY_OBJECT),
}


def build_openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document for the routes of the API."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(path, {})[method.lower()] = _operation(route, path, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "A simulator of firmly's API",
            "version": "1",
            "description": "Made from what is known of the API; what is inferred is said to be.",
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "device": {"type": "apiKey", "in": "header", "name": "x-firmly-authorization"}
            },
        },
    }


def _operation(route: Route, path: str, method: str) -> dict[str, Any]:
    known = OPERATIONS[route.endpoint]
    if path.startswith("/api/v1/"):
        known = replace(known, answer=_in_v1(known.answer), body=_in_v1(known.body))
    summary, _, details = inspect.cleandoc(route.endpoint.__doc__ or "").partition("\n")
    slug = re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")
    made: dict[str, Any] = {
        "operationId": slug if not path.endswith("/") else f"{slug}_slash",
        "summary": summary,
        "description": details.strip(),
        "parameters": _parameters(path, known),
        "responses": {"200": _success(known, route.endpoint.__name__), **_errors()},
        "security": [{"device": []}] if known.auth else [],
    }
    if known.body is not None:
        media: dict[str, Any] = {"schema": known.body}
        example = EXAMPLES.get(path.rpartition("/")[2])
        if example:
            media["example"] = example
        made["requestBody"] = {
            "required": known.body_required,
            "content": {"application/json": media},
        }
    return made


def _in_v1(schema: Any) -> Any:
    return next((simple for full, simple in IN_V1 if full == schema), schema)


def _parameters(path: str, known: Operation) -> Sequence[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [
        *(_parameter(name, "path", IN_PATH.get(name, FILLED), True) for name in names),
        *(_parameter(name, "query", schema, name == "url") for name, schema in known.query.items()),
        *(_parameter(name, "header", TEXT, needed) for name, needed in known.headers.items()),
    ]


def _parameter(name: str, where: str, schema: Schema, required: bool) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _success(known: Operation, name: str) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": known.answer}}
    if known.stream:
        content["text/event-stream"] = {"schema": TEXT}
    if name == "public_key":
        content["text/plain"] = {"schema": TEXT}
    return {"description": "As asked for", "content": content}


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": ref("Error")}}
    return {status: {"description": text, "content": content} for status, text in ERRORS.items()}
