"""Routes of the catalogue and of the search over all shops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ApiError, json_answer
from firmly_nb.sim.bodies import LARGEST_PAGE, PAGE_SIZES
from firmly_nb.sim.cart import Json, money
from firmly_nb.sim.merchants import Merchant, Product, Variant
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World


HIGHEST_PRICE = 10**12


async def all_products(request: Request) -> Response:
    """Get All Products: a short entry for each, in pages."""
    _, _, merchant = who_and_where(request)
    size = _number(request, "size", 2000)
    page = _number(request, "page", 1)
    if size not in PAGE_SIZES:
        raise ApiError("ErrorInvalidInputBody", f"size: must be one of {PAGE_SIZES}")
    shown = merchant.products[(page - 1) * size : page * size]
    return json_answer([_entry(merchant, product) for product in shown])


async def expanded_products(request: Request) -> Response:
    """Return a shop's full products; seen in demo code, without authentication."""
    world: World = request.app.state.world
    merchant = world.merchant(request.path_params["domain"])
    return json_answer([product_json(merchant, product) for product in merchant.products])


async def one_product(request: Request) -> Response:
    """Get Product; an unknown handle is ``ErrorProductNotFound`` (inferred)."""
    _, _, merchant = who_and_where(request)
    return json_answer(product_json(merchant, _find(merchant, request.path_params["handle"])))


async def product_from_url(request: Request) -> Response:
    """Get Product from URL; the last part of the page's path is the handle."""
    world: World = request.app.state.world
    world.device(request)
    url = bodies.text(request.query_params.get("url"), "url", 2_000)
    domain, _, path = url.partition("://")[2].partition("/")
    merchant = world.merchant(domain)
    handle = path.partition("?")[0].strip("/").removesuffix(".html").rpartition("/")[2]
    return json_answer(product_json(merchant, _find(merchant, handle)))


async def search(request: Request) -> Response:
    """Discovery Search.

    Documented: body, answer, prices in integer cents, an empty list where nothing is found or a
    shop is not enabled. Inferred: all words of the query must occur in title, kind or handle;
    ``next_page`` is a path with ``page``.
    """
    world: World = request.app.state.world
    world.device(request)
    body = await bodies.read_object(request)
    words = bodies.text(body.get("query"), "query").lower().split()
    filters = _filters(body)
    size = bodies.quantity(body.get("page_size", 20), "page_size")
    if size > LARGEST_PAGE:
        raise ApiError("InvalidRequest", f"page_size: is at most {LARGEST_PAGE}")
    page = _number(request, "page", 1)
    hits = [hit for hit in _all(world, filters.domains) if _matches(hit, words, filters)]
    shown = hits[(page - 1) * size : page * size]
    more = f"/api/v1/discovery/search?page={page + 1}" if page * size < len(hits) else None
    products = [_hit(merchant, product) for merchant, product in shown]
    return json_answer(
        {"products": products, "page_size": size, "time_taken_ms": 1, "next_page": more}
    )


async def search_options(request: Request) -> Response:
    """Discovery Options: the options that variants differ in."""
    world: World = request.app.state.world
    world.device(request)
    values: dict[str, dict[str, None]] = {}
    for _, product in _all(world, None):
        for option, choices in product.options.items():
            values.setdefault(option, {}).update(dict.fromkeys(choices))
    options = [{"option": name, "values": list(found)} for name, found in values.items()]
    return json_answer({"options": {"variant_options": options}})


Hit = tuple[Merchant, Product]


def _all(world: World, domains: list[str] | None) -> list[Hit]:
    shops = [shop for shop in world.merchants.values() if domains is None or shop.domain in domains]
    return [
        (shop, product) for shop in shops for product in shop.products if product.kind != "Testing"
    ]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search is narrowed to; prices in cents."""

    domains: list[str] | None
    min_price: int
    max_price: int
    in_stock: bool


def _filters(body: dict[str, Any]) -> Filters:
    asked = {} if body.get("filters") is None else body["filters"]
    if not isinstance(asked, dict) or not isinstance(asked.get("in_stock", False), bool):
        raise ApiError("InvalidRequest", "filters: must be an object, in_stock true or false")
    domains = asked.get("domains")
    return Filters(
        domains=None if domains is None else bodies.texts(domains, "filters.domains"),
        min_price=_bound(asked, "min_price", 0),
        max_price=_bound(asked, "max_price", HIGHEST_PRICE),
        in_stock=asked.get("in_stock", False),
    )


def _bound(asked: dict[str, Any], name: str, default: int) -> int:
    value = asked.get(name)
    return default if value is None else bodies.quantity(value, f"filters.{name}", 0)


def _matches(hit: Hit, words: list[str], filters: Filters) -> bool:
    product = hit[1]
    text = f"{product.title} {product.kind} {product.handle} {hit[0].domain}".lower()
    prices = [variant.price for variant in product.variants]
    return (
        all(word in text for word in words)
        and min(prices) <= filters.max_price
        and max(prices) >= filters.min_price
        and (not filters.in_stock or any(variant.stock for variant in product.variants))
    )


def _number(request: Request, name: str, default: int) -> int:
    asked = request.query_params.get(name)
    if asked is None:
        return default
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= 10_000):
        raise ApiError("ErrorInvalidInputBody", f"{name}: must be a number from 1 on")
    return int(asked)


def _find(merchant: Merchant, handle: str) -> Product:
    product = merchant.by_handle.get(handle)
    if product is None:
        raise ApiError("ErrorProductNotFound", "the merchant has no product of that handle")
    return product


def _page(merchant: Merchant, product: Product) -> str:
    return f"https://{merchant.domain}/{product.handle}.html"


def _entry(merchant: Merchant, product: Product) -> Json:
    return {
        "loc": _page(merchant, product),
        "handle": product.handle,
        "title": product.title,
        "image": {"url": product.variants[0].image},
    }


def product_json(merchant: Merchant, product: Product) -> Json:
    """Return a product as the API writes it."""
    return {
        "base_sku": product.product_id,
        "title": product.title,
        "handle": product.handle,
        "description": product.description,
        "pdp_url": _page(merchant, product),
        "product_type": product.kind,
        "images": [{"url": product.variants[0].image, "type": "default"}],
        "variant_option_values": [
            _option(product, n, name, values)
            for n, (name, values) in enumerate(product.options.items())
        ],
        "variants": [_variant(merchant, variant) for variant in product.variants],
    }


def _option(product: Product, n: int, name: str, values: tuple[str, ...]) -> Json:
    def available(value: str) -> bool:
        return any(one.stock for one in product.variants if one.options[n] == value)

    return {
        "display_name": name,
        "property_accessor": f"option{n + 1}",
        "position": n + 1,
        "option_values": [
            {"display_name": value, "value": value, "available": available(value)}
            for value in values
        ],
    }


def _variant(merchant: Merchant, variant: Variant) -> Json:
    made: Json = {
        "handle": variant.handles[-1],
        "sku": variant.variant_id,
        "title": variant.title,
        "display_name": f"{variant.title}, {variant.description}",
        "add_to_cart_ref": {
            "variant_id": variant.variant_id,
            "product_id": variant.product_id,
            "variant_handles": list(variant.handles),
        },
        "price": money(variant.price, merchant.currency),
        "msrp": money(variant.msrp, merchant.currency),
        "available": variant.stock > 0,
        "variant_option_list": list(variant.options),
        "images": [{"url": variant.image, "type": "default"}],
        "weight": variant.weight_g,
    }
    made.update({f"option{n}": value for n, value in enumerate(variant.options, 1)})
    if 0 < variant.stock < 5:
        made["messages"] = [{"type": "stock", "text": f"Only {variant.stock} left"}]
    return made


def _hit(merchant: Merchant, product: Product) -> Json:
    prices = [variant.price for variant in product.variants]
    return {
        **product_json(merchant, product),
        "domain": merchant.domain,
        "domain_name": merchant.display_name,
        "brand": merchant.display_name,
        "price_range": {"min": min(prices), "max": max(prices)},
        "has_available_variants": any(variant.stock for variant in product.variants),
        "tags": [product.kind.lower()],
    }


PRODUCTS = "/api/v1/domains-products/{domain}"
ROUTES = [
    Route(PRODUCTS, all_products, methods=["GET"]),
    Route(PRODUCTS + "/_expanded", expanded_products, methods=["GET"]),
    Route(PRODUCTS + "/{handle:path}", one_product, methods=["GET"]),
    Route("/api/v1/domains-pdp", product_from_url, methods=["GET"]),
    Route("/api/v1/discovery/search", search, methods=["POST"]),
    Route("/api/v1/discovery/options", search_options, methods=["GET"]),
]
