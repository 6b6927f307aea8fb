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
    bare_domain,
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
    with pytest.raises(InvalidOrder, match=r"domain: not a merchant domain\. Example: staging"):
        Order.example(domain=domain)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"quantity": 0}, "items[0].quantity", "must be at least 1."),
        ({"quantity": -1}, "items[0].quantity", "must be at least 1."),
        ({"quantity": "2"}, "items[0].quantity", "must be a whole number."),
        ({"quantity": True}, "items[0].quantity", "must be a whole number."),
        ({"quantity": 1.0}, "items[0].quantity", "must be a whole number."),
        ({"quantity": 100_001}, "items[0].quantity", "must be at most 100000."),
        ({"items": []}, "items", "at least 1"),
        ({"items": [{}]}, "items[0].variant_id", "is required"),
        ({"items": [{"variant_id": " "}]}, "items[0].variant_id", "must not be empty"),
        (
            {"items": [{"variant_id": "a", "quantitiy": 2}]},
            "items[0].quantitiy",
            "not a field of the API.",
        ),
        ({"shipping_info": None}, "shipping_info", "Address"),
        ({"promo_code": "x"}, "promo_code", "not a field of the API."),
        (
            {"shipping_info": {**EXAMPLE_ADDRESS, "email": "ada"}},
            "shipping_info.email",
            "not a valid e-mail address. Example: ada@example.test.",
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


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("domian", "not a field of the API. Did you mean domain?"),
        ("item", "not a field of the API. Did you mean items?"),
        ("shipping_inof", "not a field of the API. Did you mean shipping_info?"),
        (
            "promo_code",
            (
                "not a field of the API. Use domain, items, shipping_info, billing_info, "
                "captcha_token."
            ),
        ),
    ],
)
def test_a_misspelt_field_is_met_with_the_one_that_was_meant(slip, said):
    with pytest.raises(InvalidOrder) as caught:
        Order.example(**{slip: "planted"})
    assert caught.value.problems == ((slip, said),)
    assert "planted" not in str(caught.value)


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
    with pytest.raises(ValueError, match=r"^Unknown test card 'maestro'\. Use visa, .*amex"):
        Card.test("maestro")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("number", "4111", "must be 12 to 19 digits"),
        ("number", "4111x11111111111", "must be 12 to 19 digits"),
        ("number", "\uff14" + "\uff11" * 15, "must be 12 to 19 digits"),
        ("number", 4111111111111111, "must be a text."),
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


LABEL = "x" * 63


@pytest.mark.parametrize(
    "domain",
    ["a.b", "0.1", "a1b.c2d", "a-b.c--d.test", f"{LABEL}.test", f"shop.{LABEL}", "A.B.",
     f"a.{LABEL}.test",
     ".".join([LABEL, LABEL, LABEL, "x" * 61])],
)  # fmt: skip
def test_a_domain_is_labels_of_letters_digits_and_inner_hyphens(domain):
    """RFC 1123, section 2.1: labels of 1 to 63, at most 253 together."""
    assert bare_domain(domain) == domain.lower().rstrip(".")


@pytest.mark.parametrize(
    "domain",
    ["a", "a.", ".a.b", "a..b", "a.-b", "a.b-", "-a.b", "a-.b", "a.b-.c", "a_b.c", "a.b_c", "*.a.b",
     f"{LABEL}x.test", f"shop.{LABEL}x", ".".join([LABEL, LABEL, LABEL, "x" * 62])],
)  # fmt: skip
def test_another_domain_is_refused(domain):
    with pytest.raises(ValueError, match=r"^not a merchant domain\."):
        bare_domain(domain)


@pytest.mark.parametrize("email", ["a@b.c", "a.b+c@d-e.f.test", "\u00e4@\u00f6.test", "a@b.c.d"])
def test_an_address_that_mail_can_go_to_is_taken(email):
    assert Address.example(email=f" {email} ").email == email


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@b", "@b.c", "a@.c", "a@b.", "a@b@c.d", "a@b.c@d", "a b@c.d", "a@b c.d", "a@b.c d",
     "a@@b.c", "a@b.c\nd", "a.b"],
)  # fmt: skip
def test_what_no_mail_can_go_to_is_refused(email):
    with pytest.raises(InvalidOrder, match=r"email: not a valid e-mail address\."):
        Address.example(email=email)


@pytest.mark.parametrize("field", sorted(EXAMPLE_ADDRESS.keys() - {"email"}))
def test_a_field_of_an_address_has_one_to_five_hundred_characters(field):
    for length in (1, 500):
        assert getattr(Address.example(**{field: "x" * length}), field) == "x" * length
    for text, said in (("", "must not be empty"), (" ", "must not be empty"), ("x" * 501, "500")):
        with pytest.raises(InvalidOrder, match=said) as caught:
            Address.example(**{field: text})
        assert [name for name, _ in caught.value.problems] == [field]
        assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("quantity", [1, 2, 99_999, 100_000])
def test_a_line_is_one_to_a_hundred_thousand_pieces(quantity):
    assert Order.example(quantity=quantity).quantity == quantity
    assert Item(variant_id="a").quantity == 1
    assert Order.example().quantity == 1


def test_an_order_has_at_most_a_thousand_lines():
    item = Item(variant_id="a", quantity=3)
    assert Order.example(items=[item] * 1_000).quantity == 3_000
    with pytest.raises(InvalidOrder, match="at most 1000"):
        Order.example(items=[item] * 1_001)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("number", ["4" * 12, "5" * 13, "6" * 18, "4" * 19, "4111 1111\t1111-1111"]),
        ("verification_value", ["123", "0000", "1-2 3"]),
        ("month", [f"{month:02}" for month in range(1, 13)]),
        ("year", ["2000", "2026", "2099"]),
        ("name", ["A", "x" * 500]),
    ],
)
def test_a_possible_card_is_taken(field, values):
    for value in values:
        assert Card.test(**{field: value}).is_test == (
            field != "number" or value.startswith("4111")
        )


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("number", ["4" * 11, "4" * 20, "", "411111111111111 a", "4111_1111_1111_1111"]),
        ("verification_value", ["1", "12345", "", "12a", "\uff11\uff12\uff13"]),
        ("month", ["00", "13", "20", "010", "1", "", "0a", " 1", "\uff11\uff12"]),
        ("year", ["1999", "2100", "200", "20000", "", "20a0", "99", "\uff12030"]),
        ("name", ["", " ", "x" * 501]),
    ],
)
def test_an_impossible_card_is_refused(field, values):
    for value in values:
        with pytest.raises(InvalidOrder) as caught:
            Card.test(**{field: value})
        assert [name for name, _ in caught.value.problems] == [field]


# Written out: a number that is lost from the product's own table must not take its test with it.
TEST_NUMBERS = {
    "visa": "4111111111111111",
    "visa2": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "declined": "4000000000000002",
}


def test_the_test_cards_are_those_that_the_networks_publish():
    assert TEST_CARDS == TEST_NUMBERS
    for number in TEST_NUMBERS.values():
        nearly = number[:-1] + str((int(number[-1]) + 1) % 10)
        assert Card.test(number=number).is_test
        assert not Card.test(number=nearly).is_test
        assert not Card.test(number=f"{number}0").is_test


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("visa", "Card(Visa test, ends in 1111)"), ("amex", "Card(Amex test, ends in 0005)")],
)
def test_a_card_shows_its_last_four_digits(kind, shown):
    card = Card.test(kind)
    assert repr(card) == str(card) == f"{card}" == shown
    real = Card.test(number="4012888888881881")
    assert repr(real) == "Card(not a test card, ends in 1881)"
    for text in (repr(real), str(real.model_dump()), real.model_dump_json()):
        assert "40128" not in text


def test_a_card_that_was_refused_has_nothing_to_show():
    assert repr(Card.model_construct()) == "Card()"


def test_a_test_card_is_complete():
    card = Card.test()
    assert (card.name, card.month, card.year) == ("Ada Example", "12", "2030")
    assert card.verification_value.get_secret_value() == "123"
    assert Card.test("amex").verification_value.get_secret_value() == "1234"


def test_neither_a_card_nor_a_captcha_token_is_pickled():
    with pytest.raises(TypeError, match="A card cannot be pickled"):
        pickle.dumps(Card.test())
    with pytest.raises(TypeError, match="a captcha token cannot be pickled"):
        pickle.dumps(Order.example(captcha_token="planted"))
    order = Order.example()
    assert pickle.loads(pickle.dumps(order)) == order


def test_what_is_left_out_is_not_sent():
    body = Order.example().wire("jwe")
    assert set(body) == {"encrypted_card", "billing_info", "shipping_info", "items"}
    assert "address2" not in body["shipping_info"]
    assert body["items"] == [
        {
            "add_to_cart_ref": {
                "variant_id": "WS12-XS-Orange",
                "product_id": "WS12",
                "variant_handles": ["radiant-tee", "xs-orange"],
            },
            "quantity": 1,
        }
    ]


def test_billing_is_where_it_goes_to_unless_it_is_said():
    billing = Address.example(city="Tacoma")
    body = Order.example(billing_info=billing).wire("jwe")
    assert (body["billing_info"]["city"], body["shipping_info"]["city"]) == ("Tacoma", "Seattle")


def test_a_setting_of_a_field_is_refused_without_its_value():
    with pytest.raises(
        ValueError, match=r"^Order\.captcha_token cannot be set: Order is frozen"
    ) as caught:
        Order.example().captcha_token = "planted"
    assert "planted" not in repr(caught.value)


def test_a_problem_inside_of_another_model_says_the_whole_way():
    lines = [{"variant_id": "a"}, {"variant_id": "", "quantity": 0}]
    with pytest.raises(InvalidOrder) as caught:
        Order.example(items=lines, billing_info={"first_name": ""})
    fields = dict(caught.value.problems)
    assert fields["items[1].variant_id"] == "must not be empty."
    assert fields["items[1].quantity"].endswith("must be at least 1.")
    assert fields["billing_info.first_name"] == "must not be empty."
    assert fields["billing_info.city"] == "is required."
    assert not {"items", "billing_info", "items[0]"} & fields.keys()
    assert str(caught.value).startswith("Order is not valid:\n  items[1].variant_id: must")
