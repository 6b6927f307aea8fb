"""Routes of the Full Cart (v2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from firmly_nb.sim.answers import json_answer
from firmly_nb.sim.cart import new_cart
from firmly_nb.sim.cart_json import full_cart

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World


async def get_cart(request: Request) -> Response:
    """Get Cart (section 6.1); a device without one gets an empty cart (inferred from v1)."""
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    merchant = world.merchant(request.path_params["domain"])
    async with world.turn(device_id):
        cart = world.cart(device_id, merchant)
        if cart is None:
            cart = new_cart(merchant)
            world.put_cart(device_id, cart)
    return json_answer(full_cart(cart))


CART = "/api/v2/domains/{domain}/cart"
ROUTES = [
    Route(CART, get_cart, methods=["GET"]),
    Route(CART + "/", get_cart, methods=["GET"]),
]
