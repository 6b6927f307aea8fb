"""Changing a device's cart: one request at a time, and the whole cart as the answer.

firmly-api.md, sections 6 and 7.4. Inferred: a submitted cart is read-only (``ErrorInvalidState``),
but adding something starts a new cart; a change to a cart that does not exist is
``ErrorCartNotFound``; a change takes as long as the stage of an order that it resembles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from firmly_nb.sim.answer_faults import answer_instead
from firmly_nb.sim.answers import ApiError, json_answer
from firmly_nb.sim.cart import Cart, new_cart
from firmly_nb.sim.cart_faults import spoil_cart
from firmly_nb.sim.cart_json import full_cart, simple_cart
from firmly_nb.sim.delays import draw, make_rng
from firmly_nb.sim.ordering import fault_by_header

if TYPE_CHECKING:
    from starlette.requests import Request

    from firmly_nb.sim.catalog import Merchant
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World

Change = Callable[[Cart], Cart]
FORMS = {1: simple_cart, 2: full_cart}


class InTurn(Response):
    """An answer that is found and sent while no other request of the device is worked on.

    Two requests to complete one cart must not both find that it can be completed.
    """

    def __init__(self, world: World, device_id: str, find: Callable[[], Response]) -> None:
        super().__init__()
        self._world = world
        self._device_id = device_id
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the turn, then answer."""
        async with self._world.turn(self._device_id):
            await self._find()(scope, receive, send)


async def read(request: Request, version: int) -> Response:
    """Answer with the device's cart; a device without one gets an empty cart."""
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    async with world.turn(device_id):
        cart = world.cart(device_id, merchant)
        if cart is None:
            cart = new_cart(merchant)
            world.put_cart(device_id, cart)
    return answer_instead(fault) or _answer(cart, version, fault)


async def change(
    request: Request, version: int, stage: str, make: Change, *, starts: bool = False
) -> Response:
    """Change the device's cart and answer with the whole of it.

    Parameters
    ----------
    version
        1 or 2: the form of the answer.
    stage
        The stage of an order whose delay the change takes.
    make
        From the cart as it is to the cart as it will be.
    starts
        Whether the change makes a cart where there is none, or only a submitted one.
    """
    world, device_id, merchant = who_and_where(request)
    fault = fault_by_header(request)
    instead = answer_instead(fault)
    if instead:
        return instead
    async with world.turn(device_id):
        cart = make(_changeable(world.cart(device_id, merchant), merchant, starts=starts))
        await _take_time(world, request, merchant, stage)
        world.put_cart(device_id, cart)
    return _answer(cart, version, fault)


def who_and_where(request: Request) -> tuple[World, str, Merchant]:
    """Return the state, the device that asks and the shop that it asks."""
    world: World = request.app.state.world
    device_id = world.device(request).device_id
    return world, device_id, world.merchant(request.path_params["domain"])


def _changeable(cart: Cart | None, merchant: Merchant, *, starts: bool) -> Cart:
    if "closed" in merchant.traits:
        raise ApiError("ErrorStoreUnavailable", "the merchant is temporarily unavailable")
    if starts and (cart is None or cart.confirmation):
        return new_cart(merchant)
    if cart is None:
        raise ApiError("ErrorCartNotFound", "this device has no cart at this merchant")
    if cart.confirmation:
        raise ApiError("ErrorInvalidState", "the cart was submitted and can only be read")
    return cart


async def _take_time(world: World, request: Request, merchant: Merchant, stage: str) -> None:
    _, profile = world.profile(merchant, request.headers.get("x-sim-profile"))
    number = world.count_change()
    rng = make_rng(world.settings.seed, merchant.domain, "change", number)
    moment = world.moment(world.orders_at(merchant.domain))
    await asyncio.sleep(dict(draw(profile, rng, 1, moment))[stage] / 1000)


def _answer(cart: Cart, version: int, fault: str) -> Response:
    body: dict[str, Any] = FORMS[version](cart)
    return json_answer(spoil_cart(body, fault) if cart.lines else body)
