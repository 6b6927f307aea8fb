"""The OpenAPI document: the API's description, the models of requests, the schemas of responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from typing_extensions import override

# They fill OPERATIONS.
from firmly_nb.sim import cart_routes, catalogue_routes, order_routes  # noqa: F401 - they register their routes
from firmly_nb.sim.answers import API, calls
from firmly_nb.sim.bodies import OPERATIONS
from firmly_nb.sim.merchants import merchants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.sim.bodies import Operation


Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
JSON = "application/json"
ANY_OBJECT: Schema = {"type": "object"}
REF = "#/components/schemas/"
IN_PATH: Schema = {
    "domain": {"type": "string", "enum": list(merchants())},
    "handle": {**TEXT, "minLength": 1, "examples": ["radiant-tee"]},
    "line_item_id": {**TEXT, "minLength": 1},
}


def ref(name: str) -> Schema:
    """Refer to a component.

    Examples
    --------
    >>> ref("Money")
    {'$ref': '#/components/schemas/Money'}
    """
    return {"$ref": REF + name}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def thing(required: Schema, **optional: Schema) -> Schema:
    """Return the schema of an object: required fields, then optional ones.

    Examples
    --------
    >>> thing({"a": TEXT}, b=BOOLEAN)["required"]
    ['a']
    """
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def described(kind: str, version: int, further: str = "") -> Schema:
    """Return the schema of an object of the API's description, in a version of the API.

    ``further`` is a kind whose fields it may have as well.
    """
    fields = [one for one in API["fields"][kind] if version in one["in"]]
    extra = [one for one in API["fields"].get(further, ()) if version in one["in"]]
    needed = {one["name"]: _field(one, version) for one in fields if not one.get("optional")}
    optional = [one for one in (*fields, *extra) if one["name"] not in needed]
    return thing(needed, **{one["name"]: _field(one, version) for one in optional})


def _field(field: Schema, version: int) -> Schema:
    if field["type"] == "money":
        return ref("Money")
    inner = described(field["of"], version) if "of" in field else {}
    if field["type"] == "array":
        return array(inner)
    kind = [field["type"], "null"] if field.get("or_null") else field["type"]
    return {"type": kind, **({"enum": field["values"]} if "values" in field else inner)}


RESPONSES: dict[str, Schema] = {
    "Money": described("money", 2),
    "Cart": described("cart", 2, "order"),
    "SimpleCart": described("cart", 1, "order"),
    "Session": described("session", 1),
    "PublicKey": described("public_key", 1),
    "ProductEntry": described("product_entry", 1),
    "Variant": described("variant", 1),
    "Product": described("product", 1),
    "SearchResult": described("search_result", 1),
    "Error": {
        "oneOf": [
            thing({"code": {"type": "integer"}, "error": TEXT, "description": TEXT}),
            thing({"error": TEXT, "message": TEXT}),
        ]
    },
    "Products": array(ref("Product")),
    "ProductEntries": array(ref("ProductEntry")),
    "Availability": ANY_OBJECT,
    "SearchOptions": ANY_OBJECT,
    "ActiveDomains": thing({"domains": array(TEXT)}),
    "ActiveCarts": thing({"domains": array(TEXT), "carts": array(ref("Cart"))}),
    "PostalCode": thing({"postal_code": TEXT}),
}


class Untitled(GenerateJsonSchema):
    """JSON schemas without titles: they would repeat the names of the fields."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def components() -> Schema:
    """Return all schemas: those of requests are made from the models that check them."""
    known = OPERATIONS.values()
    models = dict.fromkeys(m for one in known for m in (one.body, one.simple) if m)
    _, made = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=REF + "{model}",
        schema_generator=Untitled,
    )
    return {**made["$defs"], **RESPONSES}


def build_openapi() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint, method, path, mark in calls():
        operation = _operation(endpoint, method, path, mark)
        paths.setdefault(path, {})[method.lower()] = operation
    about = (
        "Made from what is known of the API. A call's description says how surely each thing is "
        f"known: {'; '.join(f'{mark}: {text}' for mark, text in API['marks'].items())}. "
        "See docs/firmly-api.md#how-sure-a-statement-is. What only the simulator has: "
        "docs/simulator.md#where-firmlys-own-pages-disagree and docs/simulator.md#faults."
    )
    device = {"type": "apiKey", "in": "header", "name": "x-firmly-authorization"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "A simulator of firmly's API", "version": "1", "description": about},
        "paths": paths,
        "components": {"schemas": components(), "securitySchemes": {"device": device}},
    }


def _operation(endpoint: Schema, method: str, path: str, mark: str) -> dict[str, Any]:
    known = OPERATIONS[endpoint["id"]]
    version = 1 if path.startswith("/api/v1/") else 2
    slug = re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")
    made: dict[str, Any] = {
        "operationId": slug if not path.endswith("/") else f"{slug}_slash",
        "summary": f"{endpoint['name']}: {endpoint['summary']}",
        "description": _description(endpoint, mark),
        "parameters": list(_parameters(path, known)),
        "responses": {"200": _success(endpoint, known, version), **_errors()},
        "security": [{"device": []}] if known.auth else [],
    }
    body = known.body_of(version)
    if body:
        made["requestBody"] = {
            "required": not known.optional,
            "content": {JSON: {"schema": ref(body.__name__)}},
        }
    return made


def _description(endpoint: Schema, mark: str) -> str:
    """Return how surely things are known, on which pages, and what only the simulator has."""
    known: dict[str, list[str]] = endpoint.get("known", {})
    pages = " ".join(API["site"] + API["pages"][page] for page in endpoint["pages"])
    told = [
        f"This path: {mark}.",
        *(
            f"{name.capitalize()}: {' '.join(known[name])}"
            for name in API["marks"]
            if name in known
        ),
        f"Errors on its page: {', '.join(endpoint['errors'])}." if "errors" in endpoint else "",
        f"See docs/firmly-api.md#{endpoint['section']} {pages}".strip(),
        OPERATIONS[endpoint["id"]].details,
    ]
    return "\n\n".join(filter(None, told))


def _parameters(path: str, known: Operation) -> Iterator[dict[str, Any]]:
    model = known.parameters
    schema: Schema = model.model_json_schema(schema_generator=Untitled) if model else {}
    stated: Schema = {**IN_PATH, **schema.get("properties", {})}
    in_path = re.findall(r"\{(\w+)\}", path)
    for name in in_path:
        yield _parameter(name, "path", stated[name], True)
    for name, one in schema.get("properties", {}).items():
        if name not in in_path:
            yield _parameter(name, "query", one, name in schema.get("required", ()))
    for name, needed in known.headers.items():
        yield _parameter(name, "header", TEXT, needed)


def _parameter(name: str, where: str, schema: Schema, required: bool) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _success(endpoint: Schema, known: Operation, version: int) -> dict[str, Any]:
    name = "SimpleCart" if (known.gives, version) == ("Cart", 1) else known.gives
    content: dict[str, Any] = {JSON: {"schema": ref(name)}}
    content.update({kind: {"schema": TEXT} for kind in endpoint.get("types", ()) if kind != JSON})
    headers = {
        one["name"]: {"schema": TEXT, "required": not one.get("optional")}
        for one in API["headers"]
        if endpoint["id"] in one["calls"]
    }
    return {"description": "As asked for", "content": content, "headers": headers}


def _errors() -> dict[str, Any]:
    content = {JSON: {"schema": ref("Error")}}
    return {
        status: {"description": text, "content": content}
        for status, text in API["statuses"].items()
    }
