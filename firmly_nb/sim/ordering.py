"""From a validated order to its answer: fault, profile, delays, and a stream or a plain body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import invalid
from firmly_nb.sim.behaviour import FAULTS, draw, make_rng
from firmly_nb.sim.faults import CART_FAULTS, spoil, spoil_carts
from firmly_nb.sim.merchants import Merchant, fault_of
from firmly_nb.sim.placement import CheckedOrder, Step, play, write_script
from firmly_nb.sim.stream import EventStream, PlainAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from firmly_nb.sim.world import World


LONGEST_REQUEST_ID = 200
CROOKED = tuple(CART_FAULTS)


def chosen_fault(
    world: World, request: Request, merchant: Merchant, variant_ids: Sequence[str]
) -> str:
    """Return the fault of an order: by header, by a ``FAULT-...`` item, or the server's; or none.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if the header names none that exists.
    """
    asked = fault_by_header(request)
    by_item = next((name for name in map(fault_of, variant_ids) if name), "")
    if asked or by_item:
        return asked or by_item
    if "crooked" in merchant.traits:
        return CROOKED[world.orders_at(merchant.domain) % len(CROOKED)]
    settings = world.settings
    if settings.fault and world.happens(settings.fault_rate, merchant.domain, world.n_orders):
        return settings.fault
    return ""


def fault_by_header(request: Request) -> str:
    """Return the fault that a request's ``x-sim-fault`` names, or none.

    Raises
    ------
    ApiError
        ``ErrorInvalidInputBody``, if there is none of that name.
    """
    asked = request.headers.get("x-sim-fault", "").strip().lower()
    if asked and asked not in FAULTS:
        raise invalid("x-sim-fault: there is no such fault")
    return asked


def answer_order(
    world: World, request: Request, device_id: str, order: CheckedOrder, *, sse: bool = False
) -> Response:
    """Work an order out, draw its delays, and return the answer that will be sent in their time."""
    domain = order.merchant.domain
    order_no = world.orders_at(domain) - 1
    rng = make_rng(world.settings.seed, domain, order_no)
    profile_name, profile = world.profile(order.merchant, request.headers.get("x-sim-profile"))
    moment = world.moment(order_no)
    delays = draw(profile, rng, len(order.items), moment)
    delays = delays[-1:] if order.cart else delays
    steps = spoil_carts(play(order, rng), order.fault)
    facts = _facts(request, order, steps, "sse" if sse else "plain", profile_name)
    world.recent.append(facts)
    if not sse:
        return PlainAnswer(world, steps, delays, device_id, facts)
    script = spoil(write_script(steps, delays, world.settings), order.fault)
    stream = EventStream(world, script, device_id, facts)
    if order.fault == "content-type":
        stream.headers["content-type"] = "text/html; charset=utf-8"
    return stream


def _facts(
    request: Request, order: CheckedOrder, steps: Sequence[Step], mode: str, profile: str
) -> dict[str, Any]:
    last = steps[-1]
    return {
        "order": int(order.order_number),
        "request_id": request.headers.get("x-firmly-request-id", "")[:LONGEST_REQUEST_ID],
        "domain": order.merchant.domain,
        "cart_id": last.cart.cart_id,
        "order_number": "" if last.error else order.order_number,
        "error": last.error.error if last.error else "",
        "mode": mode,
        "profile": profile,
        "fault": order.fault,
    }
