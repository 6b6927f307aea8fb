"""The firmly API as it is on the wire.

- ``models``: :class:`Order`, :class:`Item`, :class:`Address`, :class:`Card`: what is ordered;
- ``errors``: :class:`FirmlyError` and its kinds: what the API answers where something is wrong;
- ``money``: :func:`read_money`, :func:`format_minor` and the like: amounts as whole minor units;
- ``snapshots``: :func:`find_snapshot`, :func:`order_number` and the like: the cart in an event;
- ``client``, ``card``: :class:`FirmlyClient` makes each call, :func:`encrypt_card` seals a card;
- ``secrets``: :func:`redact` takes secrets out of what is shown or written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.api.card import PublicKey, encrypt_card, read_public_key
    from firmly_nb.api.client import FirmlyClient, Session
    from firmly_nb.api.errors import (
        CartNotFound,
        FirmlyError,
        Forbidden,
        InvalidAppId,
        InvalidInput,
        NotEnoughStock,
        PaymentDeclined,
        ProductNotFound,
        RateLimited,
        StoreUnavailable,
        Unauthorized,
    )
    from firmly_nb.api.models import Address, Card, InvalidOrder, Item, Order
    from firmly_nb.api.money import Money, format_minor, from_minor, read_money, to_minor
    from firmly_nb.api.personal import mask_personal
    from firmly_nb.api.secrets import redact, redact_text
    from firmly_nb.api.snapshots import Snapshot, find_snapshot, order_number, why_unread

__all__ = [
    "Address",
    "Card",
    "CartNotFound",
    "FirmlyClient",
    "FirmlyError",
    "Forbidden",
    "InvalidAppId",
    "InvalidInput",
    "InvalidOrder",
    "Item",
    "Money",
    "NotEnoughStock",
    "Order",
    "PaymentDeclined",
    "ProductNotFound",
    "PublicKey",
    "RateLimited",
    "Session",
    "Snapshot",
    "StoreUnavailable",
    "Unauthorized",
    "encrypt_card",
    "find_snapshot",
    "format_minor",
    "from_minor",
    "mask_personal",
    "order_number",
    "read_money",
    "read_public_key",
    "redact",
    "redact_text",
    "to_minor",
    "why_unread",
]

show(
    __name__,
    {
        "card": "PublicKey encrypt_card read_public_key",
        "client": "FirmlyClient Session",
        "errors": (
            "CartNotFound FirmlyError Forbidden InvalidAppId InvalidInput NotEnoughStock "
            "PaymentDeclined ProductNotFound RateLimited StoreUnavailable Unauthorized"
        ),
        "models": "Address Card InvalidOrder Item Order",
        "money": "Money format_minor from_minor read_money to_minor",
        "personal": "mask_personal",
        "secrets": "redact redact_text",
        "snapshots": "Snapshot find_snapshot order_number why_unread",
    },
)
