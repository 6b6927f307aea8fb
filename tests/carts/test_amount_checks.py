"""The checks of amounts, one by one: lines, subtotal, total, currency, order."""

from __future__ import annotations

from typing import Any

import pytest

from firmly_nb.carts.report import checks
from tests.carts.looked import clean, counted, of, of_each, one, plant

Json = dict[str, Any]


@pytest.mark.parametrize("in_the_price", [True, False])
def test_discounts_of_lines_may_be_in_their_price_or_not(build, in_the_price):
    def discount(cart: Json) -> None:
        line = cart["line_items"][0]
        line["line_discount"] = build.money(300)
        if in_the_price:
            line["line_price"] = build.money(line["line_price"]["number"] - 300)
            cart["sub_total"] = build.money(cart["sub_total"]["number"] - 300)
        cart["total"] = build.money(cart["total"]["number"] - 300)

    assert checks(build.events(plant(clean(build), discount, since=0))).empty


def test_a_discount_on_the_cart_is_taken_off_whatever_its_sign(build):
    for sign in (1, -1):

        def discount(cart: Json, sign: int = sign) -> None:
            cart["cart_discount"] = build.money(sign * 500)
            cart["total"] = build.money(cart["total"]["number"] - 500)

        assert checks(build.events(plant(clean(build), discount))).empty


def test_a_wrong_line_price_is_said_in_the_lines_own_currency(build):
    cart = build.cart([build.line("A", 300, 4, currency="JPY")], currency="JPY")
    cart["line_items"][0]["line_price"] = build.money(1203, "JPY")
    assert of(build.events(one(cart)), "line-price") == [
        (
            "line_items[A].line_price",
            "4 x 300 = 1\u202f200",
            "1\u202f203",
            "Line item A costs 1\u202f203, but 4 x 300 = 1\u202f200.",
            "error",
        )
    ]


@pytest.mark.parametrize("discount", [300, -300])
def test_a_lines_discount_is_taken_off_its_price_once_or_not_at_all(build, discount):
    def discounted(line_price: int) -> Json:
        cart = build.cart([build.line("A", 1850, 2)])
        cart["line_items"][0] |= {
            "line_discount": build.money(discount),
            "line_price": build.money(line_price),
        }
        return cart

    prices = [3100, 3398, 3399, 3400, 3401, 3402, 3698, 3699, 3700, 3701, 3702, 4000]
    found = of_each(build, list(map(discounted, prices)), "line-price")
    for price, findings in zip(prices, found, strict=True):
        # The price that is shown may be rounded: half a cent for each piece.
        is_near = min(abs(price - 3400), abs(price - 3700)) <= 1
        wrong = [] if is_near else ["2 x 18.50 - 3.00 = 34.00"]
        assert [each[1] for each in findings] == wrong


def test_one_wrong_line_among_others_is_found_wherever_it_stands(build):
    for place in range(3):
        cart = build.cart([build.line(f"S{n}", number=n) for n in range(3)])
        cart["line_items"][place]["line_price"] = build.money(1)
        found = of(build.events(one(cart)), "line-price")
        assert [each[0] for each in found] == [f"line_items[S{place}].line_price"]


@pytest.mark.parametrize("field", ["price", "quantity", "line_price"])
def test_a_line_that_lacks_a_factor_is_not_multiplied(build, field):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    del cart["line_items"][0][field]
    assert counted(build.events(one(cart)), "line-price") == (1, 0, 0)
    del cart["line_items"][1][field]
    assert counted(build.events(one(cart)), "line-price") == (0, 1, 0)


def test_the_subtotal_is_the_sum_of_the_lines_with_or_without_their_discounts(build):
    def summed(sub_total: int, discounts: tuple[int, ...] = (300, -200)) -> Json:
        lines = [build.line("A", 1000, 2, 1), build.line("B", 500, 1, 2)]
        for line, discount in zip(lines, discounts, strict=False):
            line["line_discount"] = build.money(discount)
        return build.cart(lines) | {"sub_total": build.money(sub_total)}

    right = [summed(2500, ()), *map(summed, (2500, 2000, 1999, 2501))]
    assert of_each(build, right, "subtotal") == [[]] * 5
    # One cent off may be rounding: two lines of half a cent each.
    amounts = [1998, 2002, 2100, 2400, 2498, 2502, 2600]
    found = of_each(build, list(map(summed, amounts)), "subtotal")
    for wrong, findings in zip(amounts, found, strict=True):
        assert findings == [
            (
                "sub_total",
                "25.00",
                f"{wrong / 100:.2f}",
                f"The subtotal is {wrong / 100:.2f}, but the line items add up to 25.00.",
                "error",
            )
        ]


def test_the_subtotal_of_lines_without_a_price_is_not_judged(build):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)])
    assert counted(build.events(one(cart)), "subtotal") == (1, 0, 0)
    cart["line_items"][0]["line_price"] = None
    assert counted(build.events(one(cart)), "subtotal") == (0, 1, 0)
    without = build.cart([build.line()])
    del without["sub_total"]
    assert counted(build.events(one(without)), "subtotal") == (0, 1, 0)


PARTS_OF_A_BILL = {
    "shipping_total": 625,
    "tax_total": 222,
    "addon_total": 110,
    "cart_discount": -500,
}


def bill(build: Any, total: int, **parts: int) -> Json:
    amounts = {name: build.money(minor) for name, minor in parts.items()}
    return build.cart([build.line("A", 5000)]) | amounts | {"total": build.money(total)}


@pytest.mark.parametrize("name", PARTS_OF_A_BILL)
def test_each_part_of_the_bill_counts_once(build, name):
    minor = PARTS_OF_A_BILL[name]
    right = 5000 + minor
    totals = [right, 5000, 5000 - minor, right + minor, right - 1, right + 1]
    found = of_each(build, [bill(build, each, **{name: minor}) for each in totals], "total")
    # Tax may be inside of the prices, and add-ons may be paid apart.
    left_out = 0 if name in ("tax_total", "addon_total") else 1
    # A discount that is taken off twice is found by its own check.
    twice = 0 if name == "cart_discount" else 1
    assert list(map(len, found)) == [0, left_out, 1, twice, 1, 1]


def test_a_wrong_total_is_said_with_all_parts_of_the_bill(build):
    events = build.events(one(bill(build, 5000, **PARTS_OF_A_BILL)))
    costs = "subtotal 50.00 + shipping 6.25 + tax 2.22 + addons 1.10"
    added_up = f"{costs} - discount 5.00 = 54.57."
    assert of(events, "total") == [
        (
            "total",
            "54.57",
            "50.00",
            f"The total is 50.00, but {added_up}",
            "error",
        )
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_store_credit_and_discounts_of_lines_may_be_taken_off_the_total_or_not(build, sign):
    def reduced(total: int) -> Json:
        cart = bill(build, total, store_credit=sign * 700)
        cart["line_items"][0]["line_discount"] = build.money(sign * 300)
        return cart

    totals = range(3000, 6100, 100)
    found = of_each(build, list(map(reduced, totals)), "total")
    assert [total for total, findings in zip(totals, found, strict=True) if not findings] == [
        *(3700, 4000, 4300),
        *(4400, 4700, 5000),
    ]
    again = of_each(build, list(map(reduced, totals)), "discount-once")
    assert [total for total, findings in zip(totals, again, strict=True) if findings] == [
        3700,
        4400,
    ]


@pytest.mark.parametrize("field", ["sub_total", "total"])
def test_a_bill_without_one_of_its_ends_is_not_added_up(build, field):
    cart = bill(build, 1)
    assert counted(build.events(one(cart)), "total") == (1, 0, 1)
    del cart[field]
    assert counted(build.events(one(cart)), "total") == (0, 1, 0)


@pytest.mark.parametrize(
    "field",
    ["sub_total", "shipping_total", "tax_total", "tax", "addon_total", "total", "cart_discount"],
)
def test_amounts_in_two_currencies_are_not_added_up(build, field):
    cart = bill(build, 1) | {field: build.money(1, "EUR")}
    assert counted(build.events(one(cart)), "total") == (0, 1, 0)
    assert counted(build.events(one(cart)), "subtotal") == (0, 1, 0)
    assert counted(build.events(one(cart)), "one-currency")[2] > 0


def test_lines_in_two_currencies_are_not_added_up(build):
    cart = build.cart([build.line("A", number=1), build.line("B", number=2, currency="EUR")])
    cart["sub_total"] = build.money(1)
    for name in ("subtotal", "total"):
        assert counted(build.events(one(cart)), name) == (0, 1, 0)


def test_the_usual_currency_of_a_cart_is_that_of_its_total(build):
    """Also where most other amounts are in another one: the total is what is paid."""
    cart = build.cart([build.line("A", number=1), build.line("B", number=2)], currency="USD")
    cart["total"] = build.money(4400, "EUR")
    found = of(build.events(one(cart)), "one-currency")
    assert {each[1:] for each in found if each[0] == "sub_total"} == {
        ("EUR", "USD", "sub_total is in USD, the total in EUR.", "error")
    }
    assert {each[0] for each in found} == {
        "sub_total",
        "shipping_total",
        "tax_total",
        *(f"line_items[{name}].{field}" for name in "AB" for field in ("price", "line_price")),
    }


def without_totals(build: Any, currencies: list[str]) -> Json:
    """A cart whose only amounts are the prices of its lines."""
    names = ("sub_total", "shipping_total", "tax_total", "total")
    cart = build.cart([build.line(f"S{n}", number=n) for n in range(len(currencies))])
    for line, currency in zip(cart["line_items"], currencies, strict=True):
        del line["line_price"]
        line["price"] = build.money(100, currency)
    return {key: value for key, value in cart.items() if key not in names}


@pytest.mark.parametrize("currencies", [["EUR", "USD", "USD"], ["USD", "USD", "EUR"]])
def test_without_totals_the_usual_currency_is_that_of_most_amounts(build, currencies):
    place = currencies.index("EUR")
    found = of(build.events(one(without_totals(build, currencies))), "one-currency")
    assert [each[:3] for each in found] == [(f"line_items[S{place}].price", "USD", "EUR")]


def test_a_total_in_another_currency_than_before_is_found(build):
    first = build.cart([build.line("A", currency="USD")], currency="USD")
    then = build.cart([build.line("A", currency="EUR")], currency="EUR")
    events = build.events([*one(first), *one(then, "shipping-updated"), *one(then, "order-placed")])
    sentence = "The total is in EUR; in the snapshot before it was in USD."
    assert of(events, "one-currency") == [("total.currency", "USD", "EUR", sentence, "error")]


def test_a_cart_without_amounts_has_no_currency(build):
    assert counted(build.events(one({"cart_id": "c", "line_items": []})), "one-currency") == (
        0,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("money", "sentence"),
    [
        ({"currency": "USD", "number": 222, "value": 2.22}, None),
        ({"currency": "JPY", "number": 222, "value": 222}, None),
        ({"currency": "KWD", "number": 2220, "value": "2.220"}, None),
        ({"currency": "USD", "number": 222}, None),
        ({"currency": "USD", "value": 2.22}, None),
        ({"currency": "USD", "number": None, "value": 2.22}, None),
        ({"currency": "USD", "number": 222, "value": None}, None),
        ({"currency": 840, "number": 222, "value": 9}, None),
        ({"currency": "USD", "number": 222, "value": 2.23}, "number 222 and value 2.23 USD"),
        ({"currency": "USD", "number": 222, "value": 222}, "number 222 and value 222 USD"),
        ({"currency": "JPY", "number": 222, "value": 2.22}, "number 222 and value 2.22 JPY"),
        ({"currency": "USD", "number": 222, "value": "free"}, "number 222 and value free USD"),
        ({"currency": "USD", "number": 222, "value": []}, "number 222 and value list USD"),
        ({"currency": "USD", "number": 1, "value": 1e300}, "number 1 and value a huge number USD"),
        ({"currency": "USD", "number": 1, "value": 9e299}, "number 1 and value 9e+299 USD"),
        (
            {"currency": "USD", "number": 1, "value": 0.1234567890123456789},
            "number 1 and value 0.123456789012346 USD",
        ),
        ({"currency": "USD", "number": 1, "value": "x" * 50}, f"number 1 and value {'x' * 40} USD"),
    ],
)
def test_number_and_value_of_an_amount_say_the_same(build, money, sentence):
    found = of(build.events(one({"cart_id": "c", "x": {"fee": money}})), "number-agrees-with-value")
    said = [f"x.fee says {sentence}: not read."] if sentence else []
    assert [(each[0], each[3], each[4]) for each in found] == [
        ("x.fee", text, "error") for text in said
    ]


def test_without_number_and_value_together_nothing_was_compared(build):
    cart = {"cart_id": "c", "total": {"currency": "USD", "value": 1}}
    name = "number-agrees-with-value"
    assert counted(build.events(one(cart)), name) == (0, 1, 0)
    cart["sub_total"] = {"currency": "USD", "value": 1, "number": 100}
    assert counted(build.events(one(cart)), name) == (1, 0, 0)


def test_the_order_is_held_against_the_last_cart(build):
    first, last = build.cart([build.line("A", 1000)]), build.cart([build.line("A", 2000)])
    order = build.order(build.cart([build.line("A", 2001)]))
    events = build.events([*one(first), *one(last), *one(order, "order-placed")])
    sentence = "The order costs 20.01, the cart before it 20.00."
    assert of(events, "order-total") == [("total", "20.00", "20.01", sentence, "error")]
    assert counted(events, "order-total") == (1, 2, 1)


def test_an_order_said_twice_is_held_against_the_cart_both_times(build):
    cart, order = build.cart([build.line("A", 1000)]), build.order(build.cart([build.line("A")]))
    again = [("order-placed", {"order": order}), ("order-confirmed", {"order": order})]
    assert counted(build.events([*one(cart), *again]), "order-total") == (2, 1, 2)


@pytest.mark.parametrize(
    ("cart", "order"),
    [
        (("USD", 1000), ("EUR", 900)),
        (("USD", None), ("USD", 900)),
        (("USD", 1000), ("USD", None)),
    ],
)
def test_totals_that_cannot_be_compared_are_not(build, cart, order):
    def priced(currency: str, total: int | None) -> Json:
        made = build.cart([build.line("A", 1000, currency=currency)], currency=currency)
        return made | {"total": None if total is None else build.money(total, currency)}

    events = build.events([*one(priced(*cart)), *one(build.order(priced(*order)), "order-placed")])
    assert counted(events, "order-total") == (0, 2, 0)
