"""An order's event stream as a script: which bytes at what time, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.sim.answers import error_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.placement import Step
    from firmly_nb.sim.settings import Settings

# firmly-api.md, section 4.4: the reference page's names, and those of the one-step guide. Which
# stage of the one is which of the other is inferred; stages without a name are not told.
GUIDE_NAMES: Mapping[str, str | None] = {
    "creating-cart": "order_processing",
    "item-added": None,
    "shipping-updated": "payment_processing",
    "order-placed": "order_completed",
}


@dataclass(frozen=True, slots=True)
class Emission:
    """Bytes that are due at a time.

    Attributes
    ----------
    stage
        The step of the order, in the reference page's words; empty for bytes that are no event of
        it.
    event
        The event's name on the wire.
    due_ms
        When it is to be sent, counted from the start of the stream.
    drawn_ms
        The delay that was drawn for its stage.
    chunks
        What is sent, each in one send.
    cart
        What the device's cart is from then on; None leaves it as it is.
    then
        What happens afterwards: the stream goes ``on`` (to its end, if nothing follows), the
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
    return step.stage if settings.event_names == "reference" else GUIDE_NAMES[step.stage]
