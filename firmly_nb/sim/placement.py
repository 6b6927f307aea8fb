"""One order, step by step: the cart after each step, and the event that says so.

Everything is worked out before the first byte is sent: a list of steps, and from it the script of
the event stream, which bytes are due at what time. :mod:`firmly_nb.sim.stream` sends them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.sim.answers import API, ApiError, error_event
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.sim.cart import (
    Cart,
    Change,
    Confirmation,
    Notice,
    add_line,
    bill_to,
    check_stock,
    new_cart,
    ship_to,
)
from firmly_nb.sim.cart_forms import FORMS
from firmly_nb.sim.counting import half_up

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from firmly_nb.sim.keys import PaymentSummary
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.settings import Settings


STOCK_RACE_SHARE = 0.3
PRICE_INCREASE_PERCENT = 5


@dataclass(frozen=True, slots=True)
class Step:
    """An event's stage and payload, and the cart at that time."""

    stage: str
    payload: Mapping[str, Any]
    cart: Cart
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class CheckedOrder:
    """An order that passed validation.

    Attributes
    ----------
    cart
        The cart to complete, or None where the order brings its items itself.
    order_number
        The number that it gets if all goes well.
    version
        1 or 2: the form of the cart in the response.
    """

    merchant: Merchant
    items: Sequence[tuple[Mapping[str, Any], int]]
    shipping_info: Mapping[str, str] | None
    billing_info: Mapping[str, str]
    payment: PaymentSummary
    order_number: str
    version: int = 2
    fault: str = ""
    cart: Cart | None = None


def play(order: CheckedOrder, rng: random.Random) -> list[Step]:
    """Work an order out, up to its end or its first error."""
    steps: list[Step] = []
    cart = order.cart or new_cart(order.merchant)
    for stage, change in _changes(order, rng):
        try:
            _fail_on_purpose(order, stage)
            cart = change(cart)
        except ApiError as error:
            steps.append(Step(stage, {}, cart, error))
            break
        steps.append(Step(stage, _payload(order, stage, cart), cart))
    return steps


def _changes(order: CheckedOrder, rng: random.Random) -> Iterator[tuple[str, Change]]:
    if order.cart is None:
        yield "creating-cart", lambda cart: cart
        for reference, quantity in order.items:
            yield "item-added", partial(add_line, reference=reference, quantity=quantity)
        yield "shipping-updated", lambda cart: _ship(order, cart)
    yield "order-placed", lambda cart: _submit(order, cart, rng)


def _payload(order: CheckedOrder, stage: str, cart: Cart) -> dict[str, Any]:
    if stage == "creating-cart":
        return {}
    return {"order" if stage == "order-placed" else "cart": FORMS[order.version](cart)}


def _fail_on_purpose(order: CheckedOrder, stage: str) -> None:
    fault = FAULTS.get(order.fault)
    # To complete a cart is one call: it fails for each of them.
    if fault and fault.do == "fail" and (order.cart or fault.parameters["stage"] == stage):
        raise ApiError(fault.parameters["error"], fault.parameters["description"])
    if stage in {"item-added", "order-placed"} and "closed" in order.merchant.traits:
        raise ApiError("ErrorStoreUnavailable", "the merchant is temporarily unavailable")


def _ship(order: CheckedOrder, cart: Cart) -> Cart:
    cart = ship_to(cart, order.shipping_info or {})
    cart = bill_to(cart, order.billing_info)
    traits = order.merchant.traits
    if "price-increase" in traits:
        cart = _raise_prices(cart)
    if "removes-items" in traits and len(cart.lines) > 1:
        cart = remove_last_line(cart)
    if "notices" in traits:
        notice = Notice("LOW_STOCK", "There are few pieces left.", _ids(cart))
        cart = replace(cart, notices=(*cart.notices, notice))
    return cart


def _raise_prices(cart: Cart) -> Cart:
    raised = tuple(
        replace(
            line, hundredths=100 * half_up(line.hundredths * (100 + PRICE_INCREASE_PERCENT), 10_000)
        )
        for line in cart.lines
    )
    notice = Notice("PRICE_INCREASED", "The price has gone up since you added it.", _ids(cart))
    return replace(cart, lines=raised, notices=(*cart.notices, notice))


def remove_last_line(cart: Cart) -> Cart:
    """Take the last line out of a cart, and say so in a notice."""
    gone = cart.lines[-1]
    notice = Notice("CART_ITEMS_REMOVED", f"{gone.variant.title} is no longer available.")
    return replace(cart, lines=cart.lines[:-1], notices=(*cart.notices, notice))


def _ids(cart: Cart) -> tuple[str, ...]:
    return tuple(line.line_item_id for line in cart.lines)


def _submit(order: CheckedOrder, cart: Cart, rng: random.Random) -> Cart:
    for line in cart.lines:
        check_stock(line.variant, line.quantity)
    if "stock-race" in order.merchant.traits and rng.random() < STOCK_RACE_SHARE:
        raise ApiError("ErrorNotEnoughStock", "the last piece has just been sold")
    order.payment.charge()
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    confirmation = Confirmation(order.order_number, now, order.payment)
    return replace(bill_to(cart, order.billing_info), confirmation=confirmation)


# The guide's names for the stages of the reference page; it has none for item-added.
GUIDE_NAMES: Mapping[str, str] = {
    one["stage"]: one["name"] for one in API["events"]["guide"]["names"]
}


@dataclass(frozen=True, slots=True)
class Emission:
    """Bytes that are due at a time.

    Attributes
    ----------
    stage
        The step of the order, in the reference page's words; empty for bytes outside of its
        events.
    event
        The event's name on the wire.
    due_ms
        Time of sending in ms, counted from the start of the stream.
    drawn_ms
        The delay that was drawn for its stage.
    chunks
        Bytes of each send.
    cart
        The device's cart from then on; None leaves it unchanged.
    then
        The next thing: the stream goes ``on`` (to its end, if nothing follows), the
        connection is ``cut`` or ``reset``, or nothing ever comes again (``stall``).
    """

    stage: str
    event: str
    due_ms: float
    drawn_ms: float
    chunks: tuple[bytes, ...]
    cart: Cart | None = None
    then: str = "on"


def format_event(name: str, data: Any) -> bytes:
    r"""Write an event as the reference stream has it.

    Examples
    --------
    >>> format_event("creating-cart", {})
    b'event: creating-cart\ndata: {}\n\n'
    """
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def write_script(
    steps: Sequence[Step], delays: Sequence[tuple[str, float]], settings: Settings
) -> list[Emission]:
    """Lay an order's steps out in time; an error comes when its stage would have ended."""
    script: list[Emission] = []
    due_ms = 0.0
    for step, (stage, drawn_ms) in zip(steps, delays, strict=False):
        due_ms += drawn_ms
        name = wire_name(step, settings)
        if name is None:
            continue
        data = error_event(step.error, settings) if step.error else step.payload
        chunk = format_event(name, data)
        script.append(Emission(stage, name, due_ms, drawn_ms, (chunk,), cart=step.cart))
    return script


def wire_name(step: Step, settings: Settings) -> str | None:
    """Return an event's name, in the vocabulary that is set."""
    if step.error:
        return "error"
    return step.stage if settings.event_names == "reference" else GUIDE_NAMES.get(step.stage)
