"""The cart or order in an event or a response, and its order number.

This is the only place that looks for them. The tables of orders, events and carts, the recording,
budgets and widgets ask here, so all of them see the same cart in the same bytes.

The API sends a cart in one of three forms::

    {"order": {...}}   {"cart": {...}}   {...}

Which object is the cart, first match:

1. The object under ``order``, then the one under ``cart``, if it has a field of a cart.
2. The data itself, if it has a field of a cart. ``total`` alone does not count: progress may be
   told as ``{"done": 1, "total": 4}``. An error counts only with ``line_items``: one that names
   its cart by ``cart_id`` is no cart.
3. The object under ``order``, then the one under ``cart``, if anything is in it.
4. The data itself, if it has an order number and is no error.

Nothing deeper is a cart of the event: ``merchant_custom_data`` may hold another complete cart,
which says what the order would cost otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.event_names import SUCCESS
from firmly_nb.api.money import read_money
from firmly_nb.api.values import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmly_nb.api.money import Money


Json = dict[str, Any]
NAMES = ("order", "cart")
ORDER_NUMBER = "platform_order_number"
DEEPEST = 8  # levels of objects in which an order number is looked for
OWN_FIELDS = frozenset({"cart_id", "cart_status", "line_items", "sub_total"})
FIELDS = OWN_FIELDS | {"total"}


class Snapshot(NamedTuple):
    """Cart or order in an event or a response.

    Attributes
    ----------
    kind
        ``order`` where it was sent as one, or has an order number; else ``cart``.
    data
        The cart as the merchant sent it.
    order_number
        The merchant's order number, in the cart or beside it; None where there is none.
    """

    kind: str
    data: Json
    order_number: str | None

    @property
    def total(self) -> Money | None:
        """Total of the cart, to be paid; None if the cart has none."""
        return read_money(self.data.get("total"))

    @property
    def cart_id(self) -> str | None:
        """Id of the cart; None if it has none."""
        return plain_text(self.data.get("cart_id"))


def find_snapshot(data: object, event: str = "") -> Snapshot | None:
    """Find the cart or order in the data of an event, or in a response.

    Parameters
    ----------
    data
        The decoded JSON.
    event
        The event's name; at ``order-placed`` and ``order_completed`` a cart is an order.

    Examples
    --------
    >>> find_snapshot({"cart": {"cart_id": "c1"}})
    Snapshot(kind='cart', data={'cart_id': 'c1'}, order_number=None)
    >>> find_snapshot({"cart_id": "c1", "platform_order_number": 7}).order_number
    '7'
    >>> find_snapshot({"error": "ErrorPaymentDeclined", "cart_id": "c1"}) is None
    True
    """
    if not isinstance(data, dict):
        return None
    number = _beside_the_cart(data)
    hit = _find(data, has_number=number is not None)
    if hit is None:
        return None
    kind, cart = hit
    is_order = number is not None or event in SUCCESS
    return Snapshot("order" if is_order else kind, cart, number)


def order_number(data: object) -> str | None:
    """Read the merchant's order number in an event's data or a response, whatever its form.

    It stands in the order, in the cart, beside them, or in an object that holds these. A text is
    taken as it is, without the blanks around it, and a whole number as a text. Nothing else is an
    order number. Lists are not looked into: they hold what is ordered, not whether it was. Neither
    is ``merchant_custom_data``, which may hold another order.

    Examples
    --------
    >>> order_number({"order": {"platform_order_number": "100004711"}})
    '100004711'
    >>> order_number({"platform_order_number": 7}), order_number({"platform_order_number": ""})
    ('7', None)
    >>> order_number({"data": {"order": {"platform_order_number": 7}}})
    '7'
    """
    if not isinstance(data, dict):
        return None
    if number := _beside_the_cart(data):
        return number
    level = [data]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, dict)]
        for each in level:
            if number := _number(each.get(ORDER_NUMBER)):
                return number
    return None


def _inside(data: Json) -> Iterable[Any]:
    """Return where an order can be in an object; of a cart not in each of its amounts."""
    if "line_items" in data:
        return [data.get(key) for key in NAMES]
    return [value for key, value in data.items() if key != "merchant_custom_data"]


def _beside_the_cart(data: Json) -> str | None:
    for key in NAMES:
        cart = data.get(key)
        if isinstance(cart, dict) and (number := _number(cart.get(ORDER_NUMBER))):
            return number
    return _number(data.get(ORDER_NUMBER))


def _number(sent: object) -> str | None:
    return None if sent is None else (plain_text(sent) or "").strip() or None


def _find(data: Json, *, has_number: bool) -> tuple[str, Json] | None:
    for key in NAMES:
        cart = data.get(key)
        if isinstance(cart, dict) and not FIELDS.isdisjoint(cart):
            return key, cart
    is_error = data.get("error") is not None
    if "line_items" in data or not (is_error or OWN_FIELDS.isdisjoint(data)):
        return "cart", data
    for key in NAMES:
        if isinstance(data.get(key), dict) and data[key]:
            return key, data[key]
    return ("order", data) if has_number and not is_error else None
