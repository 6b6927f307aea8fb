"""Merchants and what they sell.

firmly-api.md, section 10. The demo merchant's two well-known products carry the ids that firmly's
pages show; everything else is invented. Stock is not used up by orders, so that a sweep of
thousands of orders sees the same shop from first to last.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from firmly_nb.sim.behaviour import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAULT_PREFIX = "FAULT-"
PLENTY = 1_000_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing that can be put into a cart."""

    variant_id: str
    product_id: str
    handles: tuple[str, ...]
    title: str
    options: tuple[str, ...]
    price: int
    msrp: int
    stock: int
    weight_g: int
    image: str
    warehouse: str = "main"

    @property
    def description(self) -> str:
        """The options as a person reads them."""
        return " / ".join(self.options)


@dataclass(frozen=True, slots=True)
class Product:
    """A product with its variants."""

    product_id: str
    title: str
    handle: str
    description: str
    kind: str
    options: Mapping[str, tuple[str, ...]]
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Merchant:
    """A shop: who it is, what it sells and what it is like to order there.

    Attributes
    ----------
    profile
        Latency profile; empty for the server's.
    traits
        What is special about it, see :data:`firmly_nb.sim.merchants.TRAITS`.
    """

    domain: str
    display_name: str
    platform_id: str
    character: str
    products: tuple[Product, ...]
    currency: str = "USD"
    countries: frozenset[str] = frozenset({"US"})
    profile: str = ""
    traits: frozenset[str] = frozenset()
    promo_codes: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """All variants by id."""
        return {one.variant_id: one for product in self.products for one in product.variants}

    @cached_property
    def by_handle(self) -> dict[str, Product]:
        """All products by handle."""
        return {product.handle: product for product in self.products}


def make_product(
    ids: tuple[str, str],
    title: str,
    price: int,
    options: Mapping[str, tuple[str, ...]],
    *,
    kind: str = "Clothing",
    weight_g: int = 250,
    stocks: Mapping[str, int] | None = None,
    warehouse: str = "main",
) -> Product:
    """Make a product with a variant for each combination of options.

    Parameters
    ----------
    ids
        Product id and handle.
    price
        In minor units.
    stocks
        Stock of single variants by id; the others have plenty.

    Examples
    --------
    >>> tee = make_product(("WS12", "radiant-tee"), "Radiant Tee", 2200, {"Size": ("XS",)})
    >>> tee.variants[0].variant_id, tee.variants[0].handles
    ('WS12-XS', ('radiant-tee', 'xs'))
    """
    product_id, handle = ids

    def variant(choice: tuple[str, ...]) -> Variant:
        variant_id = "-".join([product_id, *choice])
        return Variant(
            variant_id=variant_id,
            product_id=product_id,
            handles=(handle, "-".join(choice).lower().replace(" ", "-")),
            title=title,
            options=choice,
            price=price,
            msrp=price + price // 5 // 100 * 100,
            stock=(stocks or {}).get(variant_id, PLENTY),
            weight_g=weight_g,
            image=f"https://images.example.test/{product_id.lower()}.jpg",
            warehouse=warehouse,
        )

    made = tuple(variant(choice) for choice in itertools.product(*options.values()))
    return Product(product_id, title, handle, f"{title}, {kind.lower()}.", kind, options, made)


def fault_product() -> Product:
    """Make the product whose variants provoke a fault each; every merchant has it."""
    names = tuple(name.upper() for name in FAULTS)
    return make_product(
        ("FAULT", "fault"), "Fault sampler", 1000, {"Fault": names}, kind="Testing", weight_g=0
    )


def fault_of(variant_id: str) -> str | None:
    """Return the fault that a variant id asks for.

    Examples
    --------
    >>> fault_of("FAULT-EARLY-END"), fault_of("WS12-XS-Orange")
    ('early-end', None)
    """
    name = variant_id.removeprefix(FAULT_PREFIX).lower()
    return name if variant_id.startswith(FAULT_PREFIX) and name in FAULTS else None


SIZES = ("XS", "S", "M", "L", "XL")


def luma_products() -> Iterator[Product]:
    """Make the demo catalogue of ``staging.luma.gift``."""
    size_color = {"Size": SIZES, "Color": ("Orange", "Blue", "Purple")}
    low = {"WS12-XL-Purple": 0, "WS12-L-Purple": 3}
    yield make_product(("WS12", "radiant-tee"), "Radiant Tee", 2200, size_color, stocks=low)
    gray = {"Size": SIZES, "Color": ("Gray", "Black", "Red")}
    yield make_product(("MH07", "hero-hoodie"), "Hero Hoodie", 5400, gray, weight_g=700)
    for ids, title, price, colors, weight in _CLOTHES:
        clothes = {"Size": SIZES, "Color": colors}
        low = {f"{ids[0]}-XS-{colors[0]}": 2, f"{ids[0]}-XL-{colors[-1]}": 0}
        stocks = low if ids[0] in {"MJ01", "WT09"} else {}
        yield make_product(ids, title, price, clothes, weight_g=weight, stocks=stocks)
    for ids, title, price, options, weight in _GEAR:
        yield make_product(ids, title, price, options, kind="Gear", weight_g=weight)


_CLOTHES: tuple[tuple[tuple[str, str], str, int, tuple[str, ...], int], ...] = (
    (("MJ01", "beacon-jacket"), "Beacon Jacket", 8900, ("Green", "Red"), 900),
    (("WT09", "breathe-tank"), "Breathe Tank", 3400, ("White", "Yellow"), 150),
    (("WP03", "karmen-yoga-pant"), "Karmen Yoga Pant", 3900, ("Black", "Gray"), 300),
    (("MS04", "gobi-tee"), "Gobi Tee", 2900, ("Blue", "Orange"), 200),
    (("WH02", "selene-hoodie"), "Selene Hoodie", 4200, ("Blue", "Purple"), 600),
    (("MP12", "cronus-pant"), "Cronus Pant", 4800, ("Black", "Blue"), 450),
)
_GEAR: tuple[tuple[tuple[str, str], str, int, Mapping[str, tuple[str, ...]], int], ...] = (
    (("24-MB01", "joust-duffle"), "Joust Duffle", 3400, {"Color": ("Blue", "Gray")}, 1200),
    (("24-WG08", "yoga-strap"), "Yoga Strap", 1400, {"Length": ("6 ft", "8 ft", "10 ft")}, 150),
    (("24-UG06", "water-bottle"), "Water Bottle", 700, {"Color": ("Clear", "Blue")}, 180),
    (("24-WB04", "push-it-bag"), "Push It Bag", 4500, {"Color": ("Black",)}, 800),
    (("24-MG04", "aim-watch"), "Aim Watch", 9999, {"Strap": ("Black", "Brown")}, 90),
    (("24-UG01", "foam-roller"), "Foam Roller", 1999, {"Density": ("Soft", "Firm")}, 2600),
)
