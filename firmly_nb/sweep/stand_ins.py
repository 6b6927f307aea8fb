"""What to order at a merchant that a grid names without items.

Merchants sell different items. Before a sweep's first order the merchant's own catalogue is asked:
what the order has where that is sold there, else the first things that can be ordered. What was
found is said, tagged and written down, so that a resumed sweep orders the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.models import InvalidOrder, Item, Order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.placing import Bench
    from firmly_nb.sweep.plan import Variant

# A merchant whose first products are all sold out is better asked by a person.
LOOKED_AT = 20
PAGE = 100  # the smallest there is
LONGEST_TITLE = 60


@dataclass(frozen=True, slots=True)
class StandIn:
    """What is ordered at a merchant in place of an order's own items, line by line."""

    domain: str
    instead_of: tuple[str, ...]
    items: tuple[dict[str, Any], ...]
    said: str

    @classmethod
    def read(cls, written: dict[str, Any]) -> StandIn:
        """Return it from what was written down."""
        items = tuple(dict(item) for item in written["items"])
        return cls(written["domain"], tuple(written["instead_of"]), items, written["said"])

    def written(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def fits(self, variant: Variant) -> bool:
        """Whether it is what such an order needs."""
        return variant.find_items and _key(variant.order) == (self.domain, self.instead_of)

    def settle(self, variant: Variant) -> Variant:
        """Return an order with the items found, as many pieces of each line as it had."""
        lines = zip(self.items, variant.order.items, strict=True)
        items = [Item(**{**found, "quantity": line.quantity}) for found, line in lines]
        order = variant.order
        fields = {name: getattr(order, name) for name in type(order).model_fields}
        label = " + ".join(item.variant_id for item in items)
        tags = {**variant.tags, "items": label}
        return replace(
            variant, order=Order(**{**fields, "items": items}), tags=tags, find_items=False
        )


def settled(variant: Variant, found: Iterable[StandIn]) -> Variant:
    """Return an order as it is to be placed."""
    return next((one.settle(variant) for one in found if one.fits(variant)), variant)


async def find_stand_ins(bench: Bench, variants: Iterable[Variant]) -> list[StandIn]:
    """Look up what is to be ordered where it is not known yet; nothing is ordered.

    Raises
    ------
    ValueError
        If a merchant has nothing that can be ordered instead.
    FirmlyError
        If the catalogue cannot be asked.
    """
    missing = {_key(v.order): v.order for v in variants if v.find_items}
    async with bench.devices().take() as device:
        shop = _Shop(bench, device.session.access_token)
        return [await shop.find(order) for order in missing.values()]


@dataclass(frozen=True, slots=True)
class _Found:
    item: Item
    words: str


@dataclass
class _Shop:
    bench: Bench
    token: SecretStr

    async def find(self, order: Order) -> StandIn:
        domain, wanted = _key(order)
        sells = await self._sells(order)
        if sells:
            items = order.items
            said = f"{domain} sells {_listed(wanted)}, too"
        else:
            found = [one async for one in self._first(domain, len(order.items))]
            if len(found) < len(order.items):
                raise ValueError(_nothing_found(order))
            items = tuple(one.item for one in found)
            why = f"{domain} does not sell {_listed(wanted)}"
            if sells is None:
                why = f"whether {domain} sells {_listed(wanted)} is not known without handles"
            there = _listed(one.words for one in found)
            said = f"{why}: the first of its catalogue is ordered there, {there}"
        kept = tuple(item.model_dump(exclude={"quantity"}, mode="json") for item in items)
        return StandIn(domain, wanted, kept, said)

    async def _sells(self, order: Order) -> bool | None:
        """Whether a merchant sells each of an order's items; None if one has no handles to ask."""
        if not all(item.variant_handles for item in order.items):
            return None
        for item in order.items:
            handles = item.variant_handles or ()
            there = await self._variants(order.domain, handles[0])
            if item.variant_id not in {one.item.variant_id for one in there}:
                return False
        return True

    async def _first(self, domain: str, number: int) -> AsyncIterator[_Found]:
        """Give out one variant each of a merchant's first products that can be ordered."""
        client = self.bench.client()
        listed = await client.products(domain, self.token, size=PAGE)
        for product in listed[:LOOKED_AT]:
            handle = product.get("handle") if isinstance(product, dict) else None
            there = await self._variants(domain, handle) if isinstance(handle, str) else []
            if there and number > 0:
                number -= 1
                yield there[0]
            if not number:
                return

    async def _variants(self, domain: str, handle: str) -> list[_Found]:
        """Return the variants of a product that can be ordered now."""
        try:
            product = await self.bench.client().product(domain, handle, self.token)
        except FirmlyError as error:
            if error.http_status == 404:
                return []
            raise
        variants = product.get("variants")
        found = [_found(product, one) for one in variants] if isinstance(variants, list) else []
        return [one for one in found if one]


def _found(product: dict[str, Any], variant: Any) -> _Found | None:
    """Return a variant of the catalogue as an item; None if it cannot be ordered."""
    reference = variant.get("add_to_cart_ref") if isinstance(variant, dict) else None
    if not isinstance(reference, dict) or variant.get("available") is False:
        return None
    names = ("variant_id", "product_id", "variant_handles")
    try:
        item = Item(**{name: reference[name] for name in names if reference.get(name)})
    except InvalidOrder:
        return None
    title = _printable(product.get("title"))
    return _Found(item, f"{_printable(item.variant_id)} ({title})" if title else item.variant_id)


def _key(order: Order) -> tuple[str, tuple[str, ...]]:
    return order.domain, tuple(item.variant_id for item in order.items)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def _printable(text: Any) -> str:
    """Return a merchant's text fit for a line of a terminal."""
    words = " ".join(str(text or "").split())
    return "".join(letter for letter in words if letter.isprintable())[:LONGEST_TITLE]


def _nothing_found(order: Order) -> str:
    wanted, domain = _listed(item.variant_id for item in order.items), order.domain
    return (
        f"what is to be ordered at {domain}? Neither {wanted} was found there, nor enough in its "
        f"first {LOOKED_AT} products that can be ordered instead. Name it: "
        f'items={{"{domain}": fnb.Item(variant_id=...)}}; lab.products("{domain}") lists what '
        "there is. Nothing was sent."
    )
