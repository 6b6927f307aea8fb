"""Routes of the catalogue and of the search over all merchants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ApiError, json_answer
from firmly_nb.sim.bodies import answers
from firmly_nb.sim.counting import Json, money
from firmly_nb.sim.merchants import Merchant, Product, Variant
from firmly_nb.sim.world import who_and_where

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World


@answers("ProductEntries", parameters=bodies.ProductPages)
async def all_products(request: Request, shown: bodies.ProductPages) -> Response:
    """Return a page of a merchant's products."""
    _, _, merchant = who_and_where(request)
    page = merchant.products[(shown.page - 1) * shown.size : shown.page * shown.size]
    return json_answer([_entry(merchant, product) for product in page])


@answers("Products", auth=False)
async def expanded_products(request: Request) -> Response:
    """Return a merchant's products with their variants."""
    world: World = request.app.state.world
    merchant = world.merchant(request.path_params["domain"])
    return json_answer([product_json(merchant, product) for product in merchant.products])


@answers("Product", parameters=bodies.Nearby)
async def one_product(request: Request, nearby: bodies.Nearby) -> Response:
    """Return one product."""
    del nearby
    _, _, merchant = who_and_where(request)
    return json_answer(product_json(merchant, _find(merchant, request.path_params["handle"])))


@answers("Product", parameters=bodies.ProductUrl)
async def product_from_url(request: Request, asked: bodies.ProductUrl) -> Response:
    """Return the product of a merchant's page."""
    world: World = request.app.state.world
    domain, _, path = asked.url.partition("://")[2].partition("/")
    merchant = world.merchant(domain)
    handle = path.partition("?")[0].strip("/").removesuffix(".html").rpartition("/")[2]
    return json_answer(product_json(merchant, _find(merchant, handle)))


@answers("SearchResult", bodies.Search, bodies.SearchPages)
async def search(request: Request, asked: bodies.Search, shown: bodies.SearchPages) -> Response:
    """Search the products of all merchants."""
    world: World = request.app.state.world
    words = asked.query.lower().split()
    filters = asked.filters or bodies.Filters()
    size, page = asked.page_size, shown.page
    hits = [hit for hit in _all(world, filters.domains) if _matches(hit, words, filters)]
    more = f"/api/v1/discovery/search?page={page + 1}" if page * size < len(hits) else None
    products = [_hit(merchant, product) for merchant, product in hits[(page - 1) * size :][:size]]
    return json_answer(
        {"products": products, "page_size": size, "time_taken_ms": 1, "next_page": more}
    )


@answers("SearchOptions")
async def search_options(request: Request) -> Response:
    """Return the options that variants differ in."""
    world: World = request.app.state.world
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


def _matches(hit: Hit, words: list[str], filters: bodies.Filters) -> bool:
    product = hit[1]
    options = " ".join(value for values in product.options.values() for value in values)
    texts = (product.title, product.kind, product.handle, product.product_id, options)
    text = " ".join((*texts, hit[0].domain, hit[0].display_name)).lower()
    text += " t-shirt tshirt shirt" if "tee" in text.split() else ""
    ids = {variant.variant_id.lower() for variant in product.variants}
    prices = [variant.price for variant in product.variants]
    return (
        all(word in ids or word in text or word.removesuffix("s") in text for word in words)
        and (filters.max_price is None or min(prices) <= filters.max_price)
        and max(prices) >= (filters.min_price or 0)
        and any(_is_wanted(product, variant, filters) for variant in product.variants)
    )


def _is_wanted(product: Product, variant: Variant, filters: bodies.Filters) -> bool:
    """Return whether a variant has the options that are asked for, and is in stock if need be."""
    names = [name.casefold() for name in product.options]
    has = dict(zip(names, variant.options, strict=True))
    return (not filters.in_stock or variant.stock > 0) and all(
        has.get(asked.option.casefold()) in asked.values for asked in filters.variants or ()
    )


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
