"""What a lab can ask besides placing orders, each question to be waited for or awaited."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb import browsing
from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.portal import awaited, submit, wait

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.placing import Bench
    from firmly_nb.recording.recording import Recording


class BrowsingFace:
    """The thin face of ``browsing``; a :class:`Lab` has it."""

    _bench: Bench

    def session(self, *, renew: bool = False) -> pd.Series[Any]:
        """Return the device's session: ``device_id``, ``expires``; the token stays inside."""
        return wait(submit(partial(browsing.session, renew=renew), self._bench))

    async def session_async(self, *, renew: bool = False) -> pd.Series[Any]:
        """See :meth:`session`."""
        return await awaited(submit(partial(browsing.session, renew=renew), self._bench))

    def public_key(self) -> dict[str, Any]:
        """Return the public key for cards: ``kid`` and the JWK."""
        return wait(submit(browsing.public_key, self._bench))

    async def public_key_async(self) -> dict[str, Any]:
        """See :meth:`public_key`."""
        return await awaited(submit(browsing.public_key, self._bench))

    def products(self, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """List a merchant's products: ``handle``, ``title``, ``url``."""
        return wait(submit(browsing.products, self._bench, domain))

    async def products_async(self, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """See :meth:`products`."""
        return await awaited(submit(browsing.products, self._bench, domain))

    def variants(self, handle: str, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """List what can be ordered of a product: one row a variant, with what ``Item`` needs."""
        return wait(submit(browsing.variants, self._bench, domain, handle))

    async def variants_async(self, handle: str, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """See :meth:`variants`."""
        return await awaited(submit(browsing.variants, self._bench, domain, handle))

    def search(self, query: str, **filters: Any) -> pd.DataFrame:
        """Search products over all merchants: ``domain``, ``handle``, ``title``, prices."""
        return wait(submit(browsing.search, self._bench, query, filters))

    async def search_async(self, query: str, **filters: Any) -> pd.DataFrame:
        """See :meth:`search`."""
        return await awaited(submit(browsing.search, self._bench, query, filters))

    def cart(self, of: str | Recording = DEMO_MERCHANT) -> dict[str, Any]:
        """Return the cart of an order, or of this lab's last order at a merchant.

        After an order with an unknown end: ``cart_status`` "submitted" with a
        ``platform_order_number`` means that it went through. Orders that ran at the same time have
        carts of their own: give the recording then. Secrets are taken out.
        """
        return wait(submit(browsing.cart, self._bench, of))

    async def cart_async(self, of: str | Recording = DEMO_MERCHANT) -> dict[str, Any]:
        """See :meth:`cart`."""
        return await awaited(submit(browsing.cart, self._bench, of))
