"""What is wrong in a form, in the models' words; the draft and the order it makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb import environments
from firmly_nb.api.models import TEST_CARDS, InvalidOrder
from firmly_nb.widgets.draft import (
    ADDRESS_FIELDS,
    CARD_RULES,
    Draft,
    changes_for,
    kinds_of,
    order_from,
    problems,
)

STAGING = environments.staging()
GOOD = vars(Draft(**changes_for(fnb.Order.example())))


def wrong(**changes):
    return problems(Draft(**{**GOOD, **changes}), STAGING)


def test_the_example_is_right():
    assert wrong() == {}


@pytest.mark.parametrize("name", sorted(set(ADDRESS_FIELDS) - {"address2", "company"}))
def test_each_field_of_an_address_is_asked_for(name):
    empty = {**GOOD["shipping"], name: ""}
    assert list(wrong(shipping=empty)) == [f"shipping_info.{name}"]
    assert list(wrong(billing=empty)) == []
    own = {**GOOD["shipping"], name: ""}
    assert list(wrong(billing=own, same_billing=False)) == [f"billing_info.{name}"]


def test_the_words_are_the_models_own():
    address = {**GOOD["shipping"], "email": "ada"}
    with pytest.raises(InvalidOrder) as caught:
        fnb.Address(**address)
    assert wrong(shipping=address) == {
        f"shipping_info.{path}": text for path, text in caught.value.problems if path == "email"
    }


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"merchant": "luma"}, "domain", "not a merchant domain"),
        ({"merchant": "bestbuy.com"}, "domain", "not on the allow-list"),
        ({"items": []}, "items", "add at least one item"),
        ({"items": [{"quantity": 1}]}, "items[0].variant_id", "pick a product"),
        ({"items": [{"quantity": 1, "raw": True}]}, "items[0].variant_id", "must be a text."),
        (
            {"items": [{"variant_id": "", "quantity": 1, "raw": True}]},
            "items[0].variant_id",
            "empty",
        ),
        (
            {"items": [{"variant_id": "a", "quantity": 0}]},
            "items[0].quantity",
            "whole number from 1",
        ),
        ({"items": [{"variant_id": "a", "quantity": 1.5}]}, "items[0].quantity", "whole number"),
        ({"items": [{"variant_id": "a", "quantity": None}]}, "items[0].quantity", "whole number"),
        ({"card_name": "gold"}, "card_name", "Use visa"),
        ({"card_name": "typed"}, "card.month", "two digits"),
        ({"times": None}, "times", "1 to 100"),
        ({"times": 101}, "times", "lab.sweep"),
    ],
)
def test_each_thing_that_is_wrong_is_said_at_its_field(changes, path, text):
    assert text in wrong(**changes)[path]


def test_the_merchant_is_asked_about_whatever_else_is_wrong():
    assert "allow-list" in wrong(merchant="BestBuy.com.", items=[])["domain"]


@pytest.mark.parametrize("name", TEST_CARDS)
def test_every_test_card_by_name_is_right(name):
    assert wrong(card_name=name) == {}


def test_what_the_page_asks_of_a_card_is_what_the_model_asks():
    """Number and CVV never leave the page to be checked, so the page has the rules itself."""
    for name, (pattern, words) in CARD_RULES.items():
        with pytest.raises(InvalidOrder) as caught:
            fnb.Card.test(**{name: "1"})
        assert caught.value.problems == ((name, words),)
        low, high = pattern.partition("{")[2].rstrip("}").split(",")
        for length in range(1, 25):
            fits = int(low) <= length <= int(high)
            try:
                fnb.Card.test(**{name: "1" * length})
            except InvalidOrder:
                assert not fits
            else:
                assert fits


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


OBJECTS = st.dictionaries(st.sampled_from([*ADDRESS_FIELDS, "other"]), JSON, max_size=3)
ROWS = st.lists(OBJECTS | JSON, max_size=3)


@given(items=ROWS, shipping=OBJECTS, billing=OBJECTS, card=OBJECTS)
def test_whatever_a_page_sends_is_told_and_never_raised(items, shipping, billing, card):
    draft = Draft("?", items, shipping, False, billing, "typed", card)
    assert all(isinstance(text, str) and text for text in problems(draft, STAGING).values())


def test_a_draft_knows_no_secret():
    assert not {"number", "verification_value", "captcha_token"} & set(kinds_of(Draft))
    order = fnb.Order.example(captcha_token="token")
    assert "token" not in repr(changes_for(order))


def test_every_order_survives_its_draft():
    order = fnb.Order.example(
        items=[fnb.Item(variant_id="a", quantity=3), fnb.Item(variant_id="b", product_id="p")],
        billing_info=fnb.Address.example(address2="2nd floor"),
    )
    assert order_from(Draft(**changes_for(order))) == order
