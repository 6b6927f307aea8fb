"""The shops: what each sells and what it is like to order there."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from firmly_nb.sim.catalog import SIZES, Merchant, Product, fault_product, luma_products
from firmly_nb.sim.catalog import make_product as product

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
}


@cache
def merchants() -> Mapping[str, Merchant]:
    """Return all shops by domain."""
    return {shop.domain: shop for shop in _shops()}


def _shops() -> Iterator[Merchant]:
    luma = (*luma_products(), fault_product())
    yield Merchant(
        "staging.luma.gift",
        "Luma",
        "magento",
        "the demo shop: as the server's profile says",
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


def _homeware() -> Iterator[Product]:
    glaze = {"Glaze": ("Sand", "Slate", "Moss")}
    for number, (title, price, weight) in enumerate(
        [("Stoneware Mug", 1850, 400), ("Serving Bowl", 4200, 1300), ("Side Plate", 1600, 500)]
    ):
        ids = (f"BR{number:02}", title.lower().replace(" ", "-"))
        yield product(ids, title, price, glaze, kind="Homeware", weight_g=weight)
    for title, price in [("Linen Apron", 3850), ("Tea Towel", 1275), ("Table Runner", 4999)]:
        ids = (f"LN-{title[:3].upper()}", title.lower().replace(" ", "-"))
        yield product(ids, title, price, {"Color": ("Natural", "Indigo", "Rust", "Olive")})


def _outdoor() -> Iterator[Product]:
    colors = {"Color": ("Navy", "Sun")}
    yield product(("HB-JKT", "storm-jacket"), "Storm Jacket", 18900, {"Size": SIZES, **colors})
    yield product(("HB-TRS", "deck-trousers"), "Deck Trousers", 9450, {"Size": SIZES, **colors})
    boats = {"Model": ("One Seat", "Two Seat")}
    yield product(
        ("HB-KYK", "folding-kayak"),
        "Folding Kayak",
        64900,
        boats,
        kind="Boats",
        weight_g=14_000,
        warehouse="boathouse",
    )
    blades = {"Length": ("220", "230", "240")}
    yield product(
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
        yield product((f"FN{number:02}", handle), title, 1299 + 350 * number, pots, kind="Plants")
    soil = {"Mix": ("Fern", "Orchid", "Cactus"), "Size": ("2 l", "5 l")}
    yield product(("FN-SOIL", "potting-soil"), "Potting Soil", 895, soil, weight_g=2_200)
    yield product(("FN-MIST", "brass-mister"), "Brass Mister", 2450, {"Finish": ("Raw", "Aged")})


def _department_store() -> Iterator[Product]:
    colors = ("Black", "White", "Red", "Blue")
    options = {"Size": SIZES, "Color": colors}
    for number in range(100):
        kind = ("Shirt", "Dress", "Trousers", "Coat", "Shoe")[number % 5]
        ids = (f"KT{number:03}", f"{kind.lower()}-{number:03}")
        price = 1995 + (number * 737) % 20_000
        yield product(ids, f"{kind} No. {number}", price, options, weight_g=200 + number * 10 % 900)


def _sneakers() -> Iterator[Product]:
    sizes = tuple(str(size) for size in range(7, 14))
    for number, title in enumerate(["Low Court", "High Court", "Runner"]):
        ids = (f"VS{number}", title.lower().replace(" ", "-"))
        stocks = {f"VS{number}-13-Chalk": 1}
        options = {"Size": sizes, "Color": ("Chalk", "Ink")}
        price = 12_000 + 2_500 * number
        yield product(ids, title, price, options, kind="Shoes", weight_g=1_000, stocks=stocks)


def _candles() -> Iterator[Product]:
    scents = {"Scent": ("Cedar", "Fig", "Smoke"), "Size": ("Small", "Large")}
    yield product(("EC-CDL", "soy-candle"), "Soy Candle", 2400, scents, kind="Candles")
    oils = {"Scent": ("Cedar", "Fig", "Smoke", "Rose", "Salt"), "Size": ("Small", "Large")}
    yield product(("EC-OIL", "scented-oil"), "Scented Oil", 1650, oils, kind="Candles")
    yield product(("EC-MTC", "long-matches"), "Long Matches", 650, {"Tip": ("Red", "Green")})
    yield product(("EC-SNF", "snuffer"), "Snuffer", 1850, {"Metal": ("Brass", "Steel")})


def _stationery() -> Iterator[Product]:
    inks = {"Ink": ("Black", "Blue", "Red")}
    yield product(("SR-PEN", "fountain-pen"), "Fountain Pen", 4800, inks, kind="Writing")
    nibs = {"Nib": ("EF", "F", "M", "B"), "Color": ("Black", "Indigo", "Jade")}
    yield product(("SR-BRS", "brush-pen"), "Brush Pen", 620, nibs, kind="Writing")
    tape = {"Pattern": ("Waves", "Cranes", "Plain")}
    yield product(("SR-TPE", "paper-tape"), "Paper Tape", 380, tape, kind="Paper", weight_g=40)
    sizes = {"Size": ("A5", "A6"), "Ruling": ("Dots", "Lines")}
    yield product(("SR-NTB", "notebook"), "Notebook", 1250, sizes, kind="Paper")
