"""The merchants: their products, their behaviour, and the regions they ship to.

The demo merchant's two well-known products carry the ids that firmly's pages show; everything else
is invented. Orders do not use up stock, so that a sweep of thousands of orders finds the same
merchant from first to last. Tax rates are plausible and fixed, so that a price can be checked by
hand; they are not tax advice.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from firmly_nb.sim.behaviour import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


FAULT_PREFIX = "FAULT-"
PLENTY = 1_000_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing that can be put into a cart; its price is in hundredths of a minor unit."""

    variant_id: str
    product_id: str
    handles: tuple[str, ...]
    title: str
    options: tuple[str, ...]
    hundredths: int
    msrp: int
    stock: int
    weight_g: int
    image: str
    warehouse: str = "main"

    @property
    def price(self) -> int:
        """Price as it is shown, in minor units, rounded half up."""
        return (self.hundredths + 50) // 100

    @property
    def description(self) -> str:
        """Options as one text, for people."""
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
    """A merchant, its products and its behaviour.

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
        """Variants by id."""
        return {one.variant_id: one for product in self.products for one in product.variants}

    @cached_property
    def by_handle(self) -> dict[str, Product]:
        """Products by handle."""
        return {product.handle: product for product in self.products}


def make_product(
    ids: tuple[str, str],
    title: str,
    price: float | Mapping[str, float],
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
        In minor units, of which two decimals count; or one for each value of the first option.
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
        own = price if isinstance(price, float | int) else price[choice[0]]
        return Variant(
            variant_id=variant_id,
            product_id=product_id,
            handles=(handle, "-".join(choice).lower().replace(" ", "-")),
            title=title,
            options=choice,
            hundredths=round(own * 100),
            msrp=int(own + own // 5 // 100 * 100),
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
    (("WJ06", "juno-jacket"), "Juno Jacket", 7700, ("Blue", "Green", "Purple"), 850),
    (("WT09", "breathe-easy-tank"), "Breathe-Easy Tank", 3400, ("White", "Yellow"), 150),
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


TRAITS: Mapping[str, str] = {
    "closed": "every order ends with ErrorStoreUnavailable",
    "captcha": "place-order and complete-order need a captcha_token",
    "stock-race": "in 3 of 10 orders the last piece is gone when the order is placed",
    "price-increase": "prices rise by 5 % after item-added, with the notice PRICE_INCREASED",
    "removes-items": "the last of several lines is gone when shipping is set (CART_ITEMS_REMOVED)",
    "notices": "carts carry a notice about low stock",
    "crooked": "every order's carts have a fault, each of the cart-... faults in turn",
    "pickup": "shipments can be picked up in a store",
    "scheduled": "shipments can be delivered on a chosen day",
    "keeps-promo-codes": "promo codes cannot be taken off: ErrorClearPromoCodeNotAllowed",
    "tax-inside": "the tax is inside of the prices, and is told before there is an address",
    "tax-by-piece": "tax is rounded for each piece, half to even, and for shipping",
    "rounds-once": "prices have hundredths of a cent, and only their sum is rounded",
    "order-discount": "a tenth is taken off every order",
    "members": "a tenth is taken off each line for members, and is stated for the cart as well",
    "store-credit": "store credit of 5.00 is taken off the total",
    "credit-shown": "store credit and reward points are shown, and not taken off",
    "front-end": "carts have the shapes of firmly's own front end: amounts without number, "
    "a membership outside of all sums, a second cart inside, line items of an order with one id",
}


@cache
def merchants() -> Mapping[str, Merchant]:
    """Return all merchants by domain."""
    return {shop.domain: shop for shop in _shops()}


def _shops() -> Iterator[Merchant]:
    luma = (*luma_products(), fault_product())
    yield Merchant(
        "staging.luma.gift",
        "Luma",
        "magento",
        "the demo merchant: as the server's profile says",
        luma,
        countries=frozenset({"US", "CA"}),
        promo_codes={"LUMA10": 10, "LUMA25": 25, "SUMMER19": 0},
        traits=frozenset({"pickup"}),
    )
    yield Merchant(
        "closed.luma.gift",
        "Luma (closed)",
        "magento",
        "temporarily unavailable: every order ends with ErrorStoreUnavailable",
        luma,
        traits=frozenset({"closed"}),
    )
    yield Merchant(
        "brook.example.test",
        "Brook & Stone",
        "shopify",
        "fast and steady",
        (*_homeware(), fault_product()),
        profile="calm",
        promo_codes={"WELCOME": 15},
    )
    yield Merchant(
        "harbor.example.test",
        "Harbor Outfitters",
        "bigcommerce",
        "slow shipping quotes; two warehouses, so two shipments; pickup and chosen days",
        (*_outdoor(), fault_product()),
        profile="slow-shipping",
        promo_codes={"SAIL5": 5},
        traits=frozenset({"pickup", "scheduled"}),
    )
    yield Merchant(
        "fern.example.test",
        "Fern Botanicals",
        "shopify",
        "a tax service with two modes",
        (*_plants(), fault_product()),
        profile="bimodal",
    )
    yield Merchant(
        "kite.example.test",
        "Kite Department Store",
        "sfcc",
        "2,000 variants; slower by the minute: delays double within the hour",
        (*_department_store(), fault_product()),
        profile="degrading",
    )
    yield Merchant(
        "vault.example.test",
        "Vault Sneakers",
        "sfcc",
        "needs a captcha_token; the last pair is gone in 3 of 10 orders",
        (*_sneakers(), fault_product()),
        traits=frozenset({"captcha", "stock-race"}),
    )
    yield Merchant(
        "ember.example.test",
        "Ember Candles",
        "bigcommerce",
        "prices rise and lines vanish between snapshots; notices",
        (*_candles(), fault_product()),
        traits=frozenset({"price-increase", "removes-items", "notices"}),
    )
    yield Merchant(
        "tangle.example.test",
        "Tangle Goods",
        "bigcommerce",
        "its carts are wrong: each order has the next of the cart-... faults",
        (*_homeware(), fault_product()),
        profile="calm",
        traits=frozenset({"crooked"}),
    )
    yield Merchant(
        "sora.example.test",
        "Sora Stationery",
        "shopify",
        "prices in yen, a currency without decimals; ships to Japan",
        (*_stationery(), fault_product()),
        currency="JPY",
        countries=frozenset({"JP"}),
        profile="calm",
    )
    yield from _shops_that_count_otherwise()


def _shops_that_count_otherwise() -> Iterator[Merchant]:
    """Make a merchant for each way of counting; none has delays of its own to tell."""
    yield Merchant(
        "linden.example.test",
        "Linden Furniture",
        "shopware",
        "prices with 19 % tax inside; ships to Germany",
        (*_furniture(), fault_product()),
        currency="EUR",
        countries=frozenset({"DE"}),
        profile="calm",
        promo_codes={"LINDEN5": 5},
        traits=frozenset({"tax-inside"}),
    )
    yield Merchant(
        "abacus.example.test",
        "Abacus Office Supplies",
        "bigcommerce",
        "rounds tax for each piece, half to even",
        (*_office(), fault_product()),
        profile="calm",
        traits=frozenset({"tax-by-piece"}),
    )
    yield Merchant(
        "dozen.example.test",
        "By the Dozen",
        "shopify",
        "shows rounded prices: three at 3.33 cost 10.00",
        (*_by_the_dozen(), fault_product()),
        profile="calm",
    )
    yield Merchant(
        "ounce.example.test",
        "The Loose Ounce",
        "shopify",
        "rounds once for the order: its lines may add up to a cent more or less",
        (*_by_the_dozen(), fault_product()),
        profile="calm",
        traits=frozenset({"rounds-once"}),
    )
    yield Merchant(
        "tally.example.test",
        "Tally Outlet",
        "magento",
        "takes a tenth off every order; promo codes cannot be taken off again",
        (*_homeware(), fault_product()),
        profile="calm",
        promo_codes={"TALLY5": 5},
        traits=frozenset({"order-discount", "keeps-promo-codes"}),
    )
    yield Merchant(
        "purse.example.test",
        "Purse & Penny",
        "bigcommerce",
        "takes store credit of 5.00 off the total",
        (*_homeware(), fault_product()),
        profile="calm",
        traits=frozenset({"store-credit"}),
    )
    yield Merchant(
        "club.example.test",
        "Club Noir",
        "sfcc",
        "the shapes of firmly's own front end: a membership, a discount stated twice, two carts",
        (*_homeware(), fault_product()),
        profile="calm",
        traits=frozenset({"members", "credit-shown", "front-end"}),
    )


def _homeware() -> Iterator[Product]:
    glaze = {"Glaze": ("Sand", "Slate", "Moss")}
    for number, (title, price, weight) in enumerate(
        [("Stoneware Mug", 1850, 400), ("Serving Bowl", 4200, 1300), ("Side Plate", 1600, 500)]
    ):
        ids = (f"BR{number:02}", title.lower().replace(" ", "-"))
        yield make_product(ids, title, price, glaze, kind="Homeware", weight_g=weight)
    for title, price in [("Linen Apron", 3850), ("Tea Towel", 1275), ("Table Runner", 4999)]:
        ids = (f"LN-{title[:3].upper()}", title.lower().replace(" ", "-"))
        yield make_product(ids, title, price, {"Color": ("Natural", "Indigo", "Rust", "Olive")})


def _furniture() -> Iterator[Product]:
    covers = {"Material": ("Leather", "Cotton", "Wool"), "Color": ("Brown", "Blue", "Gray")}
    yield make_product(
        ("LF-SOF", "modern-leather-sofa"),
        "Modern Leather Sofa",
        {"Leather": 319_999, "Cotton": 249_999, "Wool": 279_999},
        covers,
        kind="Furniture",
        weight_g=38_000,
    )
    for number, (title, price, weight) in enumerate(
        [("Reading Lamp", 11_900, 1_900), ("Side Table", 8_990, 6_500), ("Stool", 5_450, 3_800)]
    ):
        ids = (f"LF{number:02}", title.lower().replace(" ", "-"))
        finish = {"Finish": ("Oak", "Walnut", "Black")}
        yield make_product(ids, title, price, finish, kind="Furniture", weight_g=weight)
    for number, (title, price) in enumerate([("Cushion", 2_495), ("Throw", 6_999)]):
        ids = (f"LFX{number}", title.lower())
        yield make_product(ids, title, price, {"Color": ("Brown", "Blue", "Gray")}, kind="Textiles")


def _office() -> Iterator[Product]:
    inks = {"Ink": ("Black", "Blue", "Red", "Green")}
    for number, (title, price) in enumerate(
        [("Gel Pen", 249), ("Marker", 379), ("Highlighter", 195), ("Fineliner", 325)]
    ):
        ids = (f"AB{number:02}", title.lower().replace(" ", "-"))
        yield make_product(ids, title, price, inks, kind="Office", weight_g=20)
    papers = {"Ruling": ("Dots", "Lines", "Squares")}
    for number, (title, price) in enumerate([("Notepad", 475), ("Ring Binder", 895)]):
        ids = (f"ABP{number}", title.lower().replace(" ", "-"))
        yield make_product(ids, title, price, papers, kind="Office", weight_g=320)


def _by_the_dozen() -> Iterator[Product]:
    """Make products whose prices are those of a dozen, or of three, divided."""
    for number, (title, price) in enumerate(
        [("Fresh Egg", 333.33), ("Macaron", 1294.9), ("Bagel", 208.33), ("Oyster", 416.67)]
    ):
        ids = (f"DZ{number:02}", title.lower().replace(" ", "-"))
        prices = {"Plain": price, "Smoked": price + 41.66, "Organic": price + 66.67}
        sorts = {"Sort": tuple(prices), "Size": ("S", "L")}
        yield make_product(ids, title, prices, sorts, kind="Food", weight_g=60)


def _outdoor() -> Iterator[Product]:
    colors = {"Color": ("Navy", "Sun")}
    yield make_product(("HB-JKT", "storm-jacket"), "Storm Jacket", 18900, {"Size": SIZES, **colors})
    yield make_product(
        ("HB-TRS", "deck-trousers"), "Deck Trousers", 9450, {"Size": SIZES, **colors}
    )
    boats = {"Model": ("One Seat", "Two Seat")}
    yield make_product(
        ("HB-KYK", "folding-kayak"),
        "Folding Kayak",
        64900,
        boats,
        kind="Boats",
        weight_g=14_000,
        warehouse="boathouse",
    )
    blades = {"Length": ("220", "230", "240")}
    yield make_product(
        ("HB-PDL", "paddle"),
        "Paddle",
        7995,
        blades,
        kind="Boats",
        weight_g=1_100,
        warehouse="boathouse",
    )


def _plants() -> Iterator[Product]:
    pots = {"Pot": ("9 cm", "12 cm", "17 cm")}
    for number, title in enumerate(["Boston Fern", "Maidenhair", "Bird's Nest Fern", "Staghorn"]):
        handle = title.lower().replace(" ", "-").replace("'", "")
        yield make_product(
            (f"FN{number:02}", handle), title, 1299 + 350 * number, pots, kind="Plants"
        )
    soil = {"Mix": ("Fern", "Orchid", "Cactus"), "Size": ("2 l", "5 l")}
    yield make_product(("FN-SOIL", "potting-soil"), "Potting Soil", 895, soil, weight_g=2_200)
    yield make_product(
        ("FN-MIST", "brass-mister"), "Brass Mister", 2450, {"Finish": ("Raw", "Aged")}
    )


def _department_store() -> Iterator[Product]:
    colors = ("Black", "White", "Red", "Blue")
    options = {"Size": SIZES, "Color": colors}
    for number in range(100):
        kind = ("Shirt", "Dress", "Trousers", "Coat", "Shoe")[number % 5]
        ids = (f"KT{number:03}", f"{kind.lower()}-{number:03}")
        price = 1995 + (number * 737) % 20_000
        yield make_product(
            ids, f"{kind} No. {number}", price, options, weight_g=200 + number * 10 % 900
        )


def _sneakers() -> Iterator[Product]:
    sizes = tuple(str(size) for size in range(7, 14))
    for number, title in enumerate(["Low Court", "High Court", "Runner"]):
        ids = (f"VS{number}", title.lower().replace(" ", "-"))
        stocks = {f"VS{number}-13-Chalk": 1}
        options = {"Size": sizes, "Color": ("Chalk", "Ink")}
        price = 12_000 + 2_500 * number
        yield make_product(ids, title, price, options, kind="Shoes", weight_g=1_000, stocks=stocks)


def _candles() -> Iterator[Product]:
    scents = {"Scent": ("Cedar", "Fig", "Smoke"), "Size": ("Small", "Large")}
    yield make_product(("EC-CDL", "soy-candle"), "Soy Candle", 2400, scents, kind="Candles")
    oils = {"Scent": ("Cedar", "Fig", "Smoke", "Rose", "Salt"), "Size": ("Small", "Large")}
    yield make_product(("EC-OIL", "scented-oil"), "Scented Oil", 1650, oils, kind="Candles")
    yield make_product(("EC-MTC", "long-matches"), "Long Matches", 650, {"Tip": ("Red", "Green")})
    yield make_product(("EC-SNF", "snuffer"), "Snuffer", 1850, {"Metal": ("Brass", "Steel")})


def _stationery() -> Iterator[Product]:
    inks = {"Ink": ("Black", "Blue", "Red")}
    yield make_product(("SR-PEN", "fountain-pen"), "Fountain Pen", 4800, inks, kind="Writing")
    nibs = {"Nib": ("EF", "F", "M", "B"), "Color": ("Black", "Indigo", "Jade")}
    yield make_product(("SR-BRS", "brush-pen"), "Brush Pen", 620, nibs, kind="Writing")
    tape = {"Pattern": ("Waves", "Cranes", "Plain")}
    yield make_product(("SR-TPE", "paper-tape"), "Paper Tape", 380, tape, kind="Paper", weight_g=40)
    sizes = {"Size": ("A5", "A6"), "Ruling": ("Dots", "Lines")}
    yield make_product(("SR-NTB", "notebook"), "Notebook", 1250, sizes, kind="Paper")


COUNTRIES = {
    "US": "United States",
    "CA": "Canada",
    "JP": "Japan",
    "GB": "United Kingdom",
    "KW": "Kuwait",
    "DE": "Germany",
}
COUNTRY_CODES = {
    **{name.casefold(): code for code, name in COUNTRIES.items()},
    **{code.casefold(): code for code in COUNTRIES},
    "usa": "US",
    "u.s.": "US",
    "united states of america": "US",
    "uk": "GB",
    "great britain": "GB",
    "deutschland": "DE",
}
# Code, name, tax rate in 1/100 %, zone, whether shipping is taxed. Zone 1 is near the warehouses in
# Washington, zone 4 over the sea or a border.
_STATES = """
AL,Alabama,924,3,1      AK,Alaska,0,4,0          AZ,Arizona,840,2,0       AR,Arkansas,947,3,1
CA,California,882,2,0   CO,Colorado,777,2,0      CT,Connecticut,635,3,1   DE,Delaware,0,3,0
DC,District of Columbia,600,3,1                  FL,Florida,702,3,1       GA,Georgia,735,3,1
HI,Hawaii,444,4,1       ID,Idaho,602,1,0         IL,Illinois,885,3,1      IN,Indiana,700,3,1
IA,Iowa,694,3,0         KS,Kansas,868,3,1        KY,Kentucky,600,3,1      LA,Louisiana,955,3,0
ME,Maine,550,3,0        MD,Maryland,600,3,0      MA,Massachusetts,625,3,0 MI,Michigan,600,3,1
MN,Minnesota,749,3,1    MS,Mississippi,707,3,1   MO,Missouri,830,3,0      MT,Montana,0,2,0
NE,Nebraska,694,3,1     NV,Nevada,823,2,0        NH,New Hampshire,0,3,0   NJ,New Jersey,660,3,1
NM,New Mexico,772,2,1   NY,New York,852,3,1      NC,North Carolina,698,3,1
ND,North Dakota,696,3,1 OH,Ohio,722,3,1          OK,Oklahoma,895,3,0      OR,Oregon,0,1,0
PA,Pennsylvania,634,3,1 RI,Rhode Island,700,3,1  SC,South Carolina,744,3,1
SD,South Dakota,640,3,1 TN,Tennessee,955,3,1     TX,Texas,820,3,1         UT,Utah,719,2,0
VT,Vermont,624,3,1      VA,Virginia,575,3,0      WA,Washington,1010,1,0   WV,West Virginia,657,3,1
WI,Wisconsin,543,3,1    WY,Wyoming,536,2,1
"""
# Countries whose states make no difference: tax rate, zone, whether shipping is taxed.
_ABROAD = {
    "CA": (500, 4, True),
    "JP": (1000, 1, True),
    "GB": (2000, 1, True),
    "KW": (0, 1, False),
    "DE": (1900, 1, True),
}


@dataclass(frozen=True, slots=True)
class Region:
    """A state or country, as prices depend on it."""

    country: str
    state: str
    tax_rate: int
    zone: int
    taxes_shipping: bool


def _read_states() -> dict[str, Region]:
    known: dict[str, Region] = {}
    for row in re.findall(r"([A-Z]{2}),([A-Za-z ]+?),(\d+),(\d),(\d)", _STATES):
        code, name, rate, zone, taxes_shipping = row
        region = Region("US", code, int(rate), int(zone), taxes_shipping == "1")
        known[code.casefold()] = known[name.casefold()] = region
    return known


STATES = _read_states()


def country_code(text: str) -> str | None:
    """Return the ISO code of a country given by code or name, or None.

    Examples
    --------
    >>> country_code("United States"), country_code("us"), country_code("Atlantis")
    ('US', 'US', None)
    """
    return COUNTRY_CODES.get(text.strip().casefold())


def find_region(country: str, state: str) -> Region | None:
    """Return the region of an address, by codes or names, or None where there is none.

    Examples
    --------
    >>> find_region("United States", "washington").tax_rate
    1010
    >>> find_region("US", "Narnia") is None
    True
    """
    code = country_code(country)
    if code == "US":
        return STATES.get(state.strip().casefold())
    if code is None:
        return None
    rate, zone, taxes_shipping = _ABROAD[code]
    return Region(code, state.strip(), rate, zone, taxes_shipping)
