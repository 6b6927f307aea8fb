"""An order made call by call with an existing cart: its steps, and each step's request.

Place Order does in one call what a :class:`Flow` does in several: line items, the shipping address,
perhaps a shipping method and promo codes, and Complete Order at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self
from urllib.parse import quote

from pydantic import Field

from firmly_nb.api.event_names import COMPLETE_ORDER
from firmly_nb.api.models import Address, ApiModel, InvalidOrder, Item, Order, Text
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import coded_error, quoted, unknown, wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firmly_nb.api.secrets import SecretStr


DEMO_DOMAIN = "staging.luma.gift"
MOST_CODES = 10


class Step(ApiModel):
    """Call that changes a cart, with its arguments; made by the functions of ``STEPS``."""

    name: Text
    item: Item | None = None
    line: Text | None = None
    quantity: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 0
    address: Address | None = None
    method: Text | None = None
    shipment_id: Text | None = None
    codes: Annotated[tuple[Text, ...], Field(max_length=MOST_CODES)] = ()
    flush_cart: bool = False

    @property
    def event(self) -> str:
        """Name of the event, and so of the stage, that its response becomes."""
        return self.name.replace("_", "-")


def add_line_item(item: Item, *, flush_cart: bool = False) -> Step:
    """Add an item; with ``flush_cart`` the cart is emptied first."""
    if not isinstance(item, Item):
        raise wrong_type("item", "a fnb.Item", item, 'fnb.Item(variant_id="WS12-XS-Orange")')
    return Step(name="add_line_item", item=item, flush_cart=flush_cart)


def update_line_item(line: Item | str, quantity: int) -> Step:
    """Change the quantity of a line item, named by its id, variant or item; 0 removes it."""
    return Step(name="update_line_item", line=_line(line), quantity=quantity)


def remove_line_item(line: Item | str) -> Step:
    """Remove a line item, named by its id, variant or item."""
    return Step(name="remove_line_item", line=_line(line))


def set_shipping_info(address: Address) -> Step:
    """Set the shipping address."""
    return Step(name="set_shipping_info", address=_address(address))


def set_billing_info(address: Address) -> Step:
    """Set the billing address of the cart."""
    return Step(name="set_billing_info", address=_address(address))


def set_shipping_method(method: str, shipment_id: str | None = None) -> Step:
    """Choose a shipping method by its id; the shipment must be named if several offer it."""
    return Step(name="set_shipping_method", method=method, shipment_id=shipment_id)


def add_promo_code(*codes: str) -> Step:
    """Apply 1 to 10 promo codes."""
    if not codes:
        raise InvalidOrder("Step", [("codes", 'must have at least one entry. Example: "LUMA10".')])
    return Step(name="add_promo_code", codes=codes)


def clear_promo_codes() -> Step:
    """Take all promo codes off."""
    return Step(name="clear_promo_codes")


STEPS: Mapping[str, Callable[..., Step]] = {
    one.__name__: one
    for one in (
        add_line_item,
        update_line_item,
        remove_line_item,
        set_shipping_info,
        set_billing_info,
        set_shipping_method,
        add_promo_code,
        clear_promo_codes,
    )
}


def _line(line: Any) -> str:
    if not isinstance(line, Item | str):
        raise wrong_type("line", "an id, a variant or a fnb.Item", line, '"WS12-XS-Orange"')
    return line.variant_id if isinstance(line, Item) else line


def _address(address: Any) -> Address:
    if not isinstance(address, Address):
        raise wrong_type("address", "a fnb.Address", address, "fnb.Address.example()")
    return address


class Request(NamedTuple):
    """Request of a step: its method, the path behind ``/cart/`` and its body."""

    method: str
    path: str
    body: dict[str, Any]


def request_of(step: Step, cart: Mapping[str, Any] | None) -> Request:
    """Return the request of a step, given the cart as it was seen last.

    Raises
    ------
    LookupError
        If it is not clear which shipment is meant.

    Examples
    --------
    >>> request_of(update_line_item("A", 2), {"line_items": [{"line_item_id": "i1", "sku": "A"}]})
    Request(method='PUT', path='line-items/i1', body={'quantity': 2})
    """
    match step.name:
        case "add_line_item":
            flush = "?flush_cart=true" if step.flush_cart else ""
            return Request("POST", f"line-items{flush}", step.item.wire() if step.item else {})
        case "update_line_item" | "remove_line_item":
            line_id = quote(_line_id(step.line or "", cart), safe="")
            return Request("PUT", f"line-items/{line_id}", {"quantity": step.quantity})
        case "set_shipping_info" | "set_billing_info":
            path = step.name.removeprefix("set_").replace("_", "-")
            body = step.address.model_dump(exclude_none=True) if step.address else {}
            return Request("POST", path, body)
        case "set_shipping_method":
            shipment_id = step.shipment_id or _shipment_with(step.method or "", cart)
            body = {"shipment_id": shipment_id, "shipping_method_id": step.method}
            return Request("POST", "shipment/methods", body)
        case "add_promo_code":
            return Request("POST", "promo-codes", {"promo_codes": list(step.codes)})
        case _:
            return Request("DELETE", "promo-codes", {})


def complete_request(
    encrypted_card: str, billing_info: Address, captcha_token: SecretStr | None
) -> Request:
    """Return the request of Complete Order."""
    body: dict[str, Any] = {
        "encrypted_card": encrypted_card,
        "billing_info": billing_info.model_dump(exclude_none=True),
    }
    if captcha_token is not None:
        body["captcha_token"] = captcha_token.get_secret_value()
    return Request("POST", COMPLETE_ORDER, body)


def lines_of(cart: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return what a cart holds in the form of a recording's items; empty where it says nothing.

    Examples
    --------
    >>> lines_of({"line_items": [{"sku": "A", "quantity": 2}]})
    [{'variant_id': 'A', 'quantity': 2}]
    """
    found = []
    for line in _objects(cart, "line_items"):
        variant, quantity = line.get("variant_id") or line.get("sku"), line.get("quantity")
        # A quantity of 1.5 stands in the cart's table; what was asked for is whole.
        whole = quantity if type(quantity) is int else 1
        found.append({"variant_id": str(variant or ""), "quantity": whole})
    return found


def _line_id(line: str, cart: Mapping[str, Any] | None) -> str:
    lines = _objects(cart, "line_items")
    if line not in {one.get("line_item_id") for one in lines}:
        named = [one for one in lines if line in {one.get("variant_id"), one.get("sku")}]
        if len(named) == 1:
            return str(named[0].get("line_item_id"))
    # Whether there is such a line is for the merchant to say.
    return line


def _shipment_with(method: str, cart: Mapping[str, Any] | None) -> str:
    """Return the shipment that offers a method.

    Raises
    ------
    LookupError
        If none or several offer it.
    """
    offered = {
        str(one.get("shipment_id")): [
            str(option.get("id")) for option in _objects(one, "shipping_method_options")
        ]
        for one in _objects(cart, "shipments")
    }
    found = [shipment for shipment, methods in offered.items() if method in methods]
    if len(found) == 1:
        return found[0]
    if not found:
        methods = sorted({one for methods in offered.values() for one in methods})
        there = f"Offered are {', '.join(methods)}." if methods else "Set the shipping info first."
        text = f"No shipment of the cart offers method {quoted(method)}. {there}"
    else:
        text = (
            f"{len(found)} shipments offer method {quoted(method)}: {', '.join(found)}. Name one "
            "with shipment_id."
        )
    raise coded_error(LookupError, "FNB110", f"{text} Nothing was sent.")


def _objects(of: Mapping[str, Any] | None, name: str) -> list[dict[str, Any]]:
    values = of.get(name) if of else None
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


@public
class Flow(Order):
    """Order that is made call by call with an existing cart: its steps, then Complete Order.

    ``lab.place`` and ``lab.sweep`` take it like any order. The first line item is added to an
    empty cart, so that what an earlier order left is not ordered.

    Parameters
    ----------
    steps
        Calls in sequence: tuples of a name and its arguments, the names being the methods of
        ``lab.flow()``. One must add a line item, one must set the shipping info.
    domain
        The merchant; by default the demo merchant.
    billing_info
        Billing address; by default the shipping address.
    captcha_token
        For merchants that need one.

    Raises
    ------
    InvalidOrder
        If a step is missing or wrong; it names each one.

    Examples
    --------
    >>> flow = Flow([
    ...     ("add_line_item", Item(variant_id="WS12-XS-Orange")),
    ...     ("set_shipping_info", Address.example()),
    ...     ("set_shipping_method", "TWO_DAY"),
    ... ])
    >>> flow
    Flow(staging.luma.gift: add_line_item, set_shipping_info, set_shipping_method, complete_order)
    >>> Flow.of(Order.example(quantity=2)).items[0].quantity
    2
    """

    steps: Annotated[tuple[Step, ...], Field(exclude=True, repr=False)] = ()
    by_calls: ClassVar[bool] = True

    def __init__(
        self,
        steps: Iterable[Any] = (),
        *,
        domain: str = DEMO_DOMAIN,
        billing_info: Address | None = None,
        captcha_token: SecretStr | str | None = None,
    ) -> None:
        read = tuple(map(_read_step, _listed(steps)))
        addresses = [step.address for step in read if step.name == "set_shipping_info"]
        items = _items_of(read)
        problems = []
        if not items:
            problems.append(("steps", 'must add a line item: ("add_line_item", fnb.Item(...)).'))
        if not addresses:
            text = 'must set the shipping info: ("set_shipping_info", fnb.Address.example()).'
            problems.append(("steps", text))
        if problems:
            raise InvalidOrder("Flow", problems[:1])
        fields = {
            "domain": domain,
            "items": items,
            "shipping_info": addresses[-1],
            "billing_info": billing_info,
            "captcha_token": captcha_token,
            "steps": read,
        }
        super().__init__(**fields)

    @classmethod
    def example(cls, quantity: int = 1, **changes: Any) -> Self:
        """Return the flow of ``Order.example``: a line item, the address, the order.

        Parameters
        ----------
        quantity
            Quantity of the example's line item.
        **changes
            Fields of the flow that differ.

        Raises
        ------
        InvalidOrder
            If a field is missing or wrong; it names each one.

        Examples
        --------
        >>> Flow.example(quantity=2).quantity
        2
        """
        return cls.of(Order.example(quantity, **changes))

    @classmethod
    def of(cls, order: Order) -> Self:
        """Return the flow that does what an order does: each item, the address, the order.

        Parameters
        ----------
        order
            Order whose items and address the steps send.

        Raises
        ------
        TypeError
            If it is not an ``Order``.

        Examples
        --------
        ::

            fnb.Flow.of(order)
        """
        if not isinstance(order, Order):
            raise wrong_type("order", "a fnb.Order", order, "fnb.Order.example()")
        adds = [("add_line_item", item) for item in order.items]
        return cls(
            [*adds, ("set_shipping_info", order.shipping_info)],
            domain=order.domain,
            billing_info=order.billing_info,
            captcha_token=order.captcha_token,
        )

    def changed(self, **changes: Any) -> Self:
        """Return a flow with some fields of its order changed; its other steps stay.

        Parameters
        ----------
        **changes
            Fields of the flow that differ.

        Raises
        ------
        InvalidOrder
            If a field is missing or wrong; it names each one.

        Examples
        --------
        ::

            fnb.Flow.example().changed(domain="staging.luma.gift")
        """
        steps: list[Step] = list(self.steps)
        if "items" in changes:
            items = changes["items"]
            listed = (items,) if isinstance(items, Item) else tuple(items)
            others = [step for step in steps if "line_item" not in step.name]
            steps = [*map(add_line_item, listed), *others]
        if "shipping_info" in changes:
            new = set_shipping_info(changes["shipping_info"])
            steps = [new if step.name == new.name else step for step in steps]
        kept = {
            name: changes.get(name, getattr(self, name))
            for name in ("domain", "billing_info", "captcha_token")
        }
        return type(self)(steps, **kept)

    def __repr__(self) -> str:
        names = [*(step.name for step in self.steps), COMPLETE_ORDER.replace("-", "_")]
        return f"Flow({self.domain}: {', '.join(names)})"

    __str__ = __repr__


def _listed(steps: Any) -> Sequence[Any]:
    if isinstance(steps, str | bytes | dict) or not isinstance(steps, Iterable):
        wanted = "a list of steps"
        raise wrong_type("steps", wanted, steps, '[("add_line_item", fnb.Item(...)), ...]')
    return list(steps)


def _read_step(given: Any) -> Step:
    """Read a step: a tuple of a name and its arguments, the last of which may be named."""
    if isinstance(given, Step):
        return given
    if not isinstance(given, tuple | list) or not given or not isinstance(given[0], str):
        wanted = "a tuple of a name and its arguments"
        raise wrong_type("each step", wanted, given, '("set_shipping_method", "TWO_DAY")')
    name, *arguments = given
    if name not in STEPS:
        raise coded_error(ValueError, "FNB111", unknown("step", name, list(STEPS), "Flow()"))
    named = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    try:
        signature(STEPS[name]).bind(*arguments, **named)
    except TypeError as error:
        text = f"Step {name} of Flow(): {error}. Pass {signature(STEPS[name])}."
        raise coded_error(ValueError, "FNB111", text) from None
    return STEPS[name](*arguments, **named)


def _items_of(steps: Iterable[Step]) -> tuple[Item, ...]:
    """Return what the steps leave in the cart, as far as they name it by variant."""
    held: list[Item] = []
    for step in steps:
        if step.item:
            held.append(step.item)
        elif step.line is not None:
            at = next((n for n, item in enumerate(held) if item.variant_id == step.line), None)
            if at is not None:
                item = held.pop(at)
                if step.quantity:
                    held.insert(at, Item(**{**dict(item), "quantity": step.quantity}))
    return tuple(held)
