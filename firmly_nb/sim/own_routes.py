"""The simulator's own routes, which the real API does not have: a page, its tables, its truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from firmly_nb.sim.answers import json_answer
from firmly_nb.sim.behaviour import FAULTS, PROFILES
from firmly_nb.sim.merchants import TRAITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from firmly_nb.sim.world import World


async def page(request: Request) -> Response:
    """Show merchants, routes, faults and recent orders to a person."""
    from firmly_nb.sim.page import render_page

    world: World = request.app.state.world
    return HTMLResponse(
        render_page(world, request.app.state.api_routes), headers={"content-security-policy": CSP}
    )


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    from firmly_nb.sim.openapi import build_openapi

    return json_answer(build_openapi(request.app.state.api_routes))


async def faults(request: Request) -> Response:
    """Return all faults, with the outcome that a client should report."""
    del request
    return json_answer(_table(FAULTS))


async def profiles(request: Request) -> Response:
    """Return all latency profiles with their distributions."""
    del request
    return json_answer(_table(PROFILES))


async def merchants(request: Request) -> Response:
    """Return all merchants, and what is special about them."""
    world: World = request.app.state.world
    shops = [
        {
            "domain": shop.domain,
            "display_name": shop.display_name,
            "platform_id": shop.platform_id,
            "character": shop.character,
            "currency": shop.currency,
            "countries": sorted(shop.countries),
            "profile": shop.profile or world.settings.profile,
            "traits": {name: TRAITS[name] for name in sorted(shop.traits)},
            "promo_codes": dict(shop.promo_codes),
            "variants": len(shop.variants),
        }
        for shop in world.merchants.values()
    ]
    return json_answer(shops)


async def truth(request: Request) -> Response:
    """Return the truth log's last entries; ``?order=100004711`` those of one order."""
    world: World = request.app.state.world
    order = request.query_params.get("order")
    kept = [one for one in world.truth.recent if order in {None, str(one["order"])}]
    return json_answer(kept)


async def rotate_key(request: Request) -> Response:
    """Put a new card key in place; the one before it stays valid."""
    world: World = request.app.state.world
    return json_answer({"kid": await world.rotate_key()})


def _table(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **asdict(one)} for name, one in known.items()]


CSP = "default-src 'none'; style-src 'unsafe-inline'"
ROUTES = [
    Route("/", page, methods=["GET"]),
    Route("/openapi.json", openapi, methods=["GET"]),
    Route("/sim/faults", faults, methods=["GET"]),
    Route("/sim/profiles", profiles, methods=["GET"]),
    Route("/sim/merchants", merchants, methods=["GET"]),
    Route("/sim/truth", truth, methods=["GET"]),
    Route("/sim/rotate-key", rotate_key, methods=["POST"]),
]
