"""What an order will cost, asked of the merchant beforehand.

A cart with the same items and the same address is made and its total is read, shipping and tax
included; then it is emptied. It is never ordered. It belongs to a device of its own, so that no
other cart is touched (firmly-api.md, section 6.1; the cheapest shipping is chosen as in Place
Order, section 4.1).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.snapshots import find_snapshot

if TYPE_CHECKING:
    from firmly_nb.api.client import FirmlyClient, Session
    from firmly_nb.api.models import Order
    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.sweep.budget import Amount

FRESH_S = 60.0
UNKNOWN = "what the order costs is not known, and money is a limit"


@dataclass
class Quotes:
    """Asks merchants what orders cost, one after the other: a device has one call at a time."""

    client: FirmlyClient
    app_id: SecretStr
    _session: Session | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, order: Order) -> Amount:
        """Return the total of an order in minor units and its currency.

        Raises
        ------
        FirmlyError
            If the merchant does not say; with a budget of money such an order cannot be sent.
        """
        async with self._asking:
            token = await self._token()
            try:
                cart = find_snapshot(await self._cart(order, token))
            except FirmlyError as error:
                error.description = f"{UNKNOWN}: {error.description}"
                raise
            finally:
                with suppress(FirmlyError):
                    await self.client.change_cart("DELETE", order.domain, "line-items", token)
        total = cart.total if cart else None
        if total is None:
            raise FirmlyError("NoTotal", f"{UNKNOWN}: its cart has no total that can be read")
        return total

    async def _cart(self, order: Order, token: SecretStr) -> dict[str, Any]:
        change = partial(self.client.change_cart, "POST", order.domain)
        for number, item in enumerate(order.items):
            path = "line-items" if number else "line-items?flush_cart=true"
            await change(path, token, item.wire())
        address = order.shipping_info.model_dump(exclude_none=True)
        return await change("shipping-info", token, address)

    async def _token(self) -> SecretStr:
        if self._session is None or self._session.expires - time.time() < FRESH_S:
            self._session = await self.client.browser_session(self.app_id)
        return self._session.access_token
