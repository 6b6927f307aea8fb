"""What an order is made of: valid ones round-trip, others say which field is wrong and how."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.models import (
    EXAMPLE_ADDRESS,
    TEST_CARDS,
    Address,
    Card,
    InvalidOrder,
    Item,
    Order,
)
from firmly_nb.api.secrets import SecretStr

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: text.strip() == text
)
emails = st.from_regex(r"[a-z.+-]{1,10}@[a-z]{1,10}\.[a-z]{2,5}", fullmatch=True)
required = {name: words for name in EXAMPLE_ADDRESS if name != "email"}
addresses = st.fixed_dictionaries(
    {**required, "email": emails}, optional={"address2": words, "company": words}
)
items = st.fixed_dictionaries(
    {"variant_id": words, "quantity": st.integers(1, 100_000)},
    optional={"product_id": words, "variant_handles": st.lists(words, max_size=3)},
)


@given(addresses, st.none() | addresses, st.lists(items, min_size=1, max_size=4))
def test_an_order_says_on_the_wire_what_was_put_in(shipping, billing, lines):
    order = Order(
        domain="staging.luma.gift", items=lines, shipping_info=shipping, billing_info=billing
    )
    body = order.wire("jwe")
    assert body["shipping_info"] == shipping
    assert body["billing_info"] == (billing or shipping)
    assert body["encrypted_card"] == "jwe"
    assert [
        {**line["add_to_cart_ref"], "quantity": line["quantity"]} for line in body["items"]
    ] == lines
    assert order.quantity == sum(line["quantity"] for line in lines)
    assert set(body) == {"shipping_info", "billing_info", "encrypted_card", "items"}


@given(addresses, st.lists(items, min_size=1, max_size=4))
def test_an_order_survives_json_but_for_its_secret(shipping, lines):
    order = Order(domain="shop.test", items=lines, shipping_info=shipping, captcha_token="s3cret!")
    back = Order.model_validate_json(order.model_dump_json())
    assert back.model_copy(update={"captcha_token": None}) == order.model_copy(
        update={"captcha_token": None}
    )
    assert "s3cret!" not in order.model_dump_json()


def test_the_captcha_token_goes_out_on_the_wire_only():
    order = Order.example(captcha_token="planted-captcha")
    assert order.wire("jwe")["captcha_token"] == "planted-captcha"
    assert "planted-captcha" not in f"{order!r} {order} {order.model_dump()}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Staging.Luma.GIFT", "staging.luma.gift"), ("shop.test.", "shop.test")],
)
def test_a_domain_is_kept_in_one_form(given, kept):
    assert Order.example(domain=given).domain == kept


@pytest.mark.parametrize(
    "domain",
    ["", "luma", "https://luma.gift", "luma.gift/", "luma.gift:443", "a@luma.gift", "a b.gift",
     "-a.gift", "a-.gift", "..", "luma..gift", "x" * 64 + ".gift", "lümà.gift", "luma.gift\n.evil",
     "luma.gift?x", "luma.gift#x", "luma.gift%2f"],
)  # fmt: skip
def test_what_is_no_bare_host_name_is_no_domain(domain):
    with pytest.raises(InvalidOrder, match="domain: is no merchant domain; expected"):
        Order.example(domain=domain)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"quantity": 0}, "items[0].quantity", "greater than or equal to 1"),
        ({"quantity": -1}, "items[0].quantity", "greater than or equal to 1"),
        ({"quantity": "2"}, "items[0].quantity", "valid integer"),
        ({"quantity": True}, "items[0].quantity", "valid integer"),
        ({"quantity": 1.0}, "items[0].quantity", "valid integer"),
        ({"quantity": 100_001}, "items[0].quantity", "less than or equal"),
        ({"items": []}, "items", "at least 1"),
        ({"items": [{}]}, "items[0].variant_id", "is required"),
        ({"items": [{"variant_id": " "}]}, "items[0].variant_id", "must not be empty"),
        ({"items": [{"variant_id": "a", "size": "XS"}]}, "items[0].size", "is not a field"),
        ({"shipping_info": None}, "shipping_info", "Address"),
        ({"promo_code": "x"}, "promo_code", "is not a field of the API"),
        (
            {"shipping_info": {**EXAMPLE_ADDRESS, "email": "ada"}},
            "shipping_info.email",
            "is no e-mail address; expected",
        ),
        (
            {"billing_info": {**EXAMPLE_ADDRESS, "city": ""}},
            "billing_info.city",
            "must not be empty",
        ),
    ],
)
def test_an_invalid_order_names_the_field_and_what_is_expected(changes, field, text):
    with pytest.raises(InvalidOrder) as caught:
        Order.example(**changes)
    assert [name for name, _ in caught.value.problems] == [field]
    assert text in caught.value.problems[0][1]
    assert f"{field}: " in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(InvalidOrder) as caught:
        Order(domain="?", items=[{"quantity": 0}], shipping_info=Address.example())
    fields = {field for field, _ in caught.value.problems}
    assert fields == {"domain", "items[0].variant_id", "items[0].quantity"}


def test_one_item_may_stand_alone():
    item = Item(variant_id="WS12-XS-Orange", quantity=2)
    assert Order.example(items=item).items == (item,)


def test_an_order_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Order.example().domain = "shop.test"


@pytest.mark.parametrize("kind", TEST_CARDS)
def test_test_cards_are_test_cards(kind):
    card = Card.test(kind)
    assert card.is_test
    assert repr(card).endswith(f"ends in {TEST_CARDS[kind][-4:]})")
    assert TEST_CARDS[kind] not in repr(card)


def test_a_number_may_be_written_in_groups():
    card = Card.test(number="4111 1111-1111 1111", verification_value=" 123 ")
    assert card.number.get_secret_value() == "4111111111111111"
    assert card.verification_value.get_secret_value() == "123"
    assert Card.test(number=SecretStr("4111-1111-1111-1111")) == Card.test()


def test_an_unknown_test_card_names_the_known_ones():
    with pytest.raises(ValueError, match=r"no test card 'maestro'; there are visa, .*amex"):
        Card.test("maestro")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("number", "4111", "must be 12 to 19 digits"),
        ("number", "4111x11111111111", "must be 12 to 19 digits"),
        ("number", "\uff14" + "\uff11" * 15, "must be 12 to 19 digits"),
        ("number", 4111111111111111, "string"),
        ("verification_value", "12", "must be 3 or 4 digits"),
        ("verification_value", "12345", "must be 3 or 4 digits"),
        ("month", "1", "must be two digits, 01 to 12"),
        ("month", "13", "must be two digits, 01 to 12"),
        ("year", "30", "must be four digits, like 2030"),
        ("year", "1999", "must be four digits, like 2030"),
        ("name", "", "must not be empty"),
    ],
)
def test_an_invalid_card_says_what_is_wrong_and_repeats_nothing(field, value, text):
    with pytest.raises(InvalidOrder) as caught:
        Card.test(**{field: value})
    assert caught.value.problems[0][0] == field
    assert text in caught.value.problems[0][1]
    if value and len(str(value)) > 2:
        assert str(value) not in str(caught.value)


def test_an_invalid_order_travels_between_processes():
    with pytest.raises(InvalidOrder) as caught:
        Order.example(quantity=0)
    back = pickle.loads(pickle.dumps(caught.value))
    assert str(back) == str(caught.value)
    assert back.problems == caught.value.problems
