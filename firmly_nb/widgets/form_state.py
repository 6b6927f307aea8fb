"""What stands in an order form, as plain JSON, and the order that it makes.

A draft holds what was typed, also where that is wrong or not finished; an ``Order`` is what the
models made of it. Number and verification value of a card and captcha tokens are in neither: they
leave the page once, at the moment of placing (design.md, section 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import Address, Order

if TYPE_CHECKING:
    from firmly_nb.api.secrets import SecretStr

ADDRESS_FIELDS = tuple(Address.model_fields)
OPTIONAL_FIELDS = frozenset({"address2", "company"})
TYPED = "typed"  # the name of a card that is no test card by name
CARD_FIELDS = ("name", "month", "year")


def no_address() -> dict[str, str]:
    """Return an address of which nothing is typed yet."""
    return dict.fromkeys(ADDRESS_FIELDS, "")


@dataclass(frozen=True)
class Draft:
    """Everything in a form that is no secret.

    Attributes
    ----------
    items
        Rows: what ``Item`` wants, and beside it ``handle`` and ``title`` of the product where it
        was picked from the catalogue. ``raw`` marks a row that was typed by hand.
    card_name
        A test card by name, or ``"typed"``.
    card
        What of a typed card is no secret: ``name``, ``month``, ``year``.
    """

    merchant: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)
    shipping: dict[str, str] = field(default_factory=no_address)
    same_billing: bool = True
    billing: dict[str, str] = field(default_factory=no_address)
    card_name: str = "visa"
    card: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CARD_FIELDS, ""))
    sse: bool = True
    warm: bool = True
    times: int | None = 1


FIELDS = tuple(Draft.__dataclass_fields__)
KINDS: dict[str, tuple[type, ...]] = {
    "merchant": (str,),
    "items": (list,),
    "shipping": (dict,),
    "same_billing": (bool,),
    "billing": (dict,),
    "card_name": (str,),
    "card": (dict,),
    "sse": (bool,),
    "warm": (bool,),
    "times": (int, type(None)),
}


def changed_draft(draft: Draft, changes: Any) -> Draft:
    """Return a draft with some of its fields changed; names that are none are left out.

    What is in a field may be wrong, which its form then says; but it must be of the field's kind.

    Raises
    ------
    TypeError
        If it is not.

    Examples
    --------
    >>> changed_draft(Draft(), {"merchant": "staging.luma.gift", "other": 1}).merchant
    'staging.luma.gift'
    """
    if not isinstance(changes, Mapping):
        raise TypeError(f"a draft is changed by its fields' names, not by {_kind(changes)}")
    known = {name: changes[name] for name in FIELDS if name in changes}
    for name, value in known.items():
        if not isinstance(value, KINDS[name]):
            wanted = " or ".join(kind.__name__ for kind in KINDS[name])
            raise TypeError(f"{name} takes {wanted}, got {_kind(value)}")
    return replace(draft, **known)


def order_from(draft: Draft, captcha_token: SecretStr | None = None) -> Order:
    """Make the order of a draft.

    Raises
    ------
    InvalidOrder
        With each field that is wrong.

    Examples
    --------
    >>> order_from(Draft(**changes_for(Order.example()))) == Order.example()
    True
    """
    return Order(
        domain=draft.merchant,
        items=[_item(row) for row in draft.items],
        shipping_info=_address(draft.shipping),
        billing_info=None if draft.same_billing else _address(draft.billing),
        captcha_token=captcha_token,
    )


def changes_for(order: Order) -> dict[str, Any]:
    """Return the fields of a draft that make this order; a captcha token is left behind."""
    billing = order.billing_info
    return {
        "merchant": order.domain,
        "items": [_row(item.model_dump(mode="json")) for item in order.items],
        "shipping": _typed_address(order.shipping_info),
        "same_billing": billing is None,
        "billing": _typed_address(billing) if billing else no_address(),
    }


def _kind(value: Any) -> str:
    return type(value).__name__


def _item(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        return {}
    handles = row.get("variant_handles")
    return {
        "variant_id": row.get("variant_id"),
        "product_id": row.get("product_id") or None,
        "variant_handles": tuple(handles) if isinstance(handles, list) and handles else handles,
        "quantity": row.get("quantity"),
    }


def _row(item: dict[str, Any]) -> dict[str, Any]:
    handles = item["variant_handles"] or []
    # The first handle is the product's name in URLs (firmly-api.md, section 10).
    known = {"handle": handles[0] if handles else "", "title": "", "raw": not handles}
    return {**item, **known}


def _address(typed: Any) -> Any:
    if not isinstance(typed, dict):
        return typed
    return {name: text for name, text in typed.items() if text or name not in OPTIONAL_FIELDS}


def _typed_address(address: Address) -> dict[str, str]:
    return {name: getattr(address, name) or "" for name in ADDRESS_FIELDS}
