"""Routes of a device over all shops: its active carts and its postal code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from firmly_nb.sim import validation
from firmly_nb.sim.answers import ApiError, json_answer
from firmly_nb.sim.cart_json import full_cart

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.world import World


async def active_domains(request: Request) -> Response:
    """Active Domains (section 6.1): shops where the device has a cart with something in it.

    Inferred: "active" means that there are lines and the cart was not submitted.
    """
    world: World = request.app.state.world
    carts = _active(world, world.device(request).device_id)
    return json_answer({"domains": [cart.merchant.domain for cart in carts]})


async def active_carts(request: Request) -> Response:
    """Active Carts (section 6.1): ``{domains, carts}``; ``excludes`` leaves shops out."""
    world: World = request.app.state.world
    carts = _active(world, world.device(request).device_id)
    excluded = request.query_params.get("excludes", "").split(",")
    shown = [cart for cart in carts if cart.merchant.domain not in excluded]
    domains = [cart.merchant.domain for cart in shown]
    return json_answer({"domains": domains, "carts": [full_cart(cart) for cart in shown]})


def _active(world: World, device_id: str) -> list[Cart]:
    return [cart for cart in world.carts_of(device_id) if cart.lines and not cart.confirmation]


async def get_postal_code(request: Request) -> Response:
    """Get Postal Code (section 6.1); an unset one is ``""``, as on its own page (section 13.15)."""
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    return json_answer({"postal_code": world.postal_code(device_id)})


async def set_postal_code(request: Request) -> Response:
    """Set Postal Code (section 6.1); a wrong one is ``ValidationError`` (section 7.2).

    Inferred: which postal codes are right (3 to 10 letters, digits, blanks and dashes).
    """
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    body = await validation.read_object(request)
    postal_code = body.get("postal_code")
    if not isinstance(postal_code, str) or not validation.is_postal_code(postal_code):
        raise ApiError("ValidationError", "postal_code: is no postal code")
    world.set_postal_code(device_id, postal_code.strip())
    return json_answer({"postal_code": postal_code.strip()})


ROUTES = [
    Route("/api/v2/carts/active-domains", active_domains, methods=["GET"]),
    Route("/api/v2/carts/active", active_carts, methods=["GET"]),
    Route("/api/v1/carts/active", active_carts, methods=["GET"]),
    Route("/api/v2/carts/postal-code", get_postal_code, methods=["GET"]),
    Route("/api/v2/carts/postal-code", set_postal_code, methods=["POST"]),
]
