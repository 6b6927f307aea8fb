"""A cart looks like a cart, and whatever a merchant sends is only ever text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from firmly_nb.carts.changes import changes, summary
from firmly_nb.carts.show import MINUS, cart_html, cart_text, changes_html, changes_text

TAGS = {"div", "table", "tbody", "tr", "th", "td", "bdi", "b", "code", "span", "small", "br", "s"}
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</table><a href=x>",
    "&amp;",
]


class Shown(HTMLParser):
    """What a browser would make of it: tags, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f" {data}"


def shown(html: str) -> Shown:
    page = Shown(html)
    assert page.open == []
    assert set(page.tags) <= TAGS
    assert page.attributes <= {"style", "title", "scope"}
    assert not re.search(r"url\(|https?:", html)
    return page


def test_a_cart_shows_lines_shipments_and_totals(build):
    lines = [build.line(number=1), build.line("MUG-BLUE-S", 1850, 2, number=2)]
    order = build.recording(lines, 625, 374)[-1][1]
    order["order"]["cart_discount"] = build.money(500)
    order["order"]["coupons"] = ["SAVE5"]
    order["order"]["notices"] = [{"code": "PRICE_INCREASED", "message": "A price went up"}]
    html, text = shown(cart_html(order)).text, cart_text(order)
    for words in ("Luma", "100004711", "submitted", "MUG-BLUE-S", "Ground", "4-6 business days"):
        assert words in html
    for words in (
        "Luma",
        "order 100004711",
        "Radiant Tee (XS / Orange",
        "2 \N{MULTIPLICATION SIGN} 18.50",
        "SAVE5",
    ):
        assert words in text
    for words in ("37.00", "6.25", "59.00", "\N{MINUS SIGN}5.00", "3.74", "68.99", "USD"):
        assert words in html
        assert words in text
    assert "PRICE_INCREASED: A price went up" in html
    assert "! PRICE_INCREASED: A price went up" in text


def test_an_amount_is_written_in_its_currencys_form(build):
    cart = build.cart([build.line(price=1250, currency="JPY")], currency="JPY")
    assert "JPY 1\u202f250" in cart_text(cart)
    cart["line_items"][0] |= {name: build.money(1250, "KWD") for name in ("price", "line_price")}
    assert "1.250 KWD" in cart_text(cart)


@pytest.mark.parametrize("evil", EVIL)
def test_what_a_merchant_sends_is_escaped_everywhere(build, evil):
    line = build.line() | {"description": evil, "variant_description": evil, "sku": evil}
    cart = build.cart([line]) | {
        "display_name": evil,
        "cart_status": evil,
        "platform_order_number": evil,
        "coupons": [evil],
        "notices": [{"code": evil, "message": evil}],
    }
    cart["shipments"][0]["shipping_method"] = {"id": evil, "estimated_delivery": evil}
    cart["total"]["currency"] = evil
    page = shown(cart_html(cart))
    assert page.text.count(evil) >= 9
    found = changes(build.events([(evil, {"cart": build.cart()}), (evil, {"cart": cart})]))
    page = shown(changes_html(found))
    assert page.text.count(evil) >= 6


def test_no_escape_sequence_or_reversed_text_gets_through(build):
    cart = build.cart([build.line() | {"description": "a\x1b[31m\u202eb\x07c"}])
    for text in (cart_text(cart), cart_html(cart)):
        assert "a·[31m·b·c" in text


def test_no_name_of_an_event_steers_the_terminal_that_tells_its_changes(build):
    harm = "b\x1b[31m\u202ea"
    found = changes(build.events([(harm, build.cart()), (harm, build.order(build.cart()))]))
    for text in (summary(found), changes_text(found)):
        assert "b·[31m·a" in text
        assert not set(text) & set("\x1b\u202e")


def test_text_keeps_its_columns(build):
    long = build.line("X" * 150, 1_000_000_00, 3) | {"description": "word " * 40}
    for row in cart_text(build.cart([long, build.line(number=2)])).splitlines():
        assert len(row) <= 80


def test_five_thousand_lines_are_counted_not_shown(build):
    cart = build.cart([build.line(number=n) for n in range(5000)])
    assert "and 4\u202f950 more lines" in cart_text(cart)
    html = cart_html(cart)
    assert "and 4\u202f950 more lines" in shown(html).text
    assert len(html) < 100_000


@pytest.mark.parametrize("cart", [{}, {"line_items": []}, {"cart": {}}, {"line_items": "none"}])
def test_an_empty_cart_says_so(cart):
    assert "The cart is empty." in shown(cart_html(cart)).text
    assert "The cart is empty." in cart_text(cart)


def test_missing_amounts_are_a_dash_never_a_zero(build):
    text = cart_text({"line_items": [{"description": "Mug"}]})
    assert text.count("—") == 6
    assert "0.00" not in text


def test_changes_say_with_signs_what_they_say_with_colours(build):
    before, after = build.cart([build.line("A", number=1)]), build.cart([build.line("B", number=2)])
    after["total"] = build.money(2300)
    found = changes(build.events([("item-added", before), ("shipping-updated", after)]))
    text = changes_text(found)
    assert text.splitlines()[0] == "shipping-updated"
    assert re.search(rf"^  {MINUS}  line_items\[A\]", text, re.MULTILINE)
    assert re.search(r"^  \+  line_items\[B\]", text, re.MULTILINE)
    assert re.search(r"^  → +total +22\.00 → 23\.00$", text, re.MULTILINE)
    html = shown(changes_html(found)).text
    for words in ("+", "\N{MINUS SIGN}", "→", "line_items[A]", "22.00", "23.00"):
        assert words in html


def test_changes_of_many_orders_name_the_order_and_are_bounded(build):
    found = changes(build.events(*[build.recording() for _ in range(40)]))
    assert "r1 · shipping-updated" in shown(changes_html(found)).text
    assert f"and {len(found) - 10} more changes" in shown(changes_html(found, most=10)).text
    assert f"and {len(found) - 10} more changes" in changes_text(found, most=10)


def test_no_changes_say_so(build):
    found = changes(build.events())
    assert "no changes" in shown(changes_html(found)).text
    assert changes_text(found) == "no changes"


def test_payment_and_links_are_told_in_words_not_as_json(build):
    before, after = build.cart(), build.order(build.cart())
    after["payment_summary"] = {
        "payment_type": "CreditCard",
        "card_holder_name": "Ada Example",
        "last_four": "1111",
        "card_type": "Visa",
    }
    after["urls"] = {"thank_you_page": "https://shop.test/thanks", "more": {"a": 1}}
    found = changes(build.events([("item-added", before), ("order-placed", {"order": after})]))
    text = changes_text(found)
    assert re.search(r"payment_summary +Visa ending in 1111$", text, re.MULTILINE)
    assert re.search(r"urls +thank you page shop\.test/thanks, more …$", text, re.MULTILINE)
    assert "{" not in text


def test_a_currency_and_a_price_of_any_length_are_shown():
    """A currency of 40 letters left no room for the words beside it: showing the cart failed."""
    for currency, number in (("\x1b[31m" * 40, 3700), ("USD", 10**29), ("x" * 10_000, -(10**17))):
        price = {"currency": currency, "number": number}
        line = {"description": "Mug" * 900, "quantity": 2, "price": price, "line_price": price}
        shown = cart_text({"line_items": [line], "total": price, "cart_status": "active"})
        assert "Mug" in shown
        assert "\x1b" not in shown
        assert len(shown) < 3_000
