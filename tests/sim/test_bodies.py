"""A request is stated once: what its schema refuses, its check refuses, and names where."""

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from firmly_nb.sim import bodies
from firmly_nb.sim.answers import ERRORS, ApiError
from firmly_nb.sim.openapi import components

ADDRESS = {
    "first_name": "Ada",
    "last_name": "Example",
    "email": "ada@example.test",
    "phone": "2065550100",
    "address1": "10 Sample Way",
    "address2": "Back yard",
    "company": "",
    "city": "Seattle",
    "state_or_province": "WA",
    "country": "US",
    "postal_code": "98101",
}
REFERENCE = {"variant_id": "WS12-XS-Orange", "product_id": "WS12", "variant_handles": ["a", "b"]}
ITEM = {"add_to_cart_ref": REFERENCE, "quantity": 1}
PAID = {"billing_info": ADDRESS, "captcha_token": "t", "encrypted_card": "a.b.c.d.e"}
GOOD = {
    bodies.CartAddress: ADDRESS,
    bodies.SimpleAddress: ADDRESS,
    bodies.Item: ITEM,
    bodies.CompleteOrder: PAID,
    bodies.PlaceOrder: {**PAID, "shipping_info": ADDRESS, "items": [ITEM, ITEM]},
    bodies.SimplePlaceOrder: {
        **PAID,
        "shipping_info": ADDRESS,
        "items": [{**REFERENCE, "quantity": 2}],
    },
    bodies.Renewal: {"access_token": "a.b.c"},
    bodies.NewQuantity: {"quantity": 0},
    bodies.SimpleNewQuantity: {"quantity": 0, "variant_handles": ["a"]},
    bodies.SimpleHandles: {"variant_handles": ["a"]},
    bodies.OfShipment: {"shipment_id": "s"},
    bodies.ShippingMethod: {
        "shipment_id": "s",
        "shipping_method_id": "m",
        "notes": "Ring twice",
        "selected_date": "2031-02-03",
    },
    bodies.SimpleShippingMethod: {"shipping_method": "m"},
    bodies.FulfillmentType: {"shipment_id": "s", "fulfillment_type": "f", "location_id": "l"},
    bodies.PromoCodes: {"promo_codes": ["A", "B"]},
    bodies.NewPostalCode: {"postal_code": "98101"},
    bodies.Search: {
        "query": "tee",
        "page_size": 5,
        "filters": {"domains": ["a"], "min_price": 1, "max_price": 2, "in_stock": True},
    },
}
# What a schema cannot say: a postal code or state of the country, and a day that there is.
BEYOND = ("postal_code", "state_or_province", "selected_date")
LARGE = [["a"] * 101, [{}] * 251, "x" * 501, "x" * 4_097, "x" * 8_193]
VALUES = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    st.sampled_from(["", " ", "x", "US", "Japan", "98101", "2031-02-30", 2.0, 1.5, 0, 10**7]),
    st.sampled_from([[], {}, [1], [" "], [None], {"a": 1}, *LARGE]),
)


def test_each_body_that_is_taken_has_a_good_one_here():
    known = bodies.OPERATIONS.values()
    assert set(GOOD) == {model for one in known for model in (one.body, one.simple) if model}


@cache
def schema_of(model):
    made = components()
    return Draft202012Validator(
        {**made[model.__name__], "components": {"schemas": made}},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


@pytest.mark.parametrize("model", GOOD, ids=lambda model: model.__name__)
def test_what_is_good_is_taken_and_kept(model):
    assert schema_of(model).is_valid(GOOD[model])
    assert bodies.checked(model, GOOD[model]).given() == GOOD[model]


@pytest.mark.parametrize("model", GOOD, ids=lambda model: model.__name__)
def test_the_examples_of_the_document_are_taken(model):
    for example in schema_of(model).schema.get("examples", []):
        assert bodies.checked(model, example)


def parts(value, path=()):
    """Paths of everything that is within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, dict | list):
            yield from parts(one, (*path, key))


PLACES = [(model, path) for model, good in GOOD.items() for path in parts(good)]


def changed(value, path, change):
    copy = json.loads(json.dumps(value))
    at = copy
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return copy


def named(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def refusal(model, value):
    try:
        bodies.checked(model, value)
    except ApiError as error:
        return error
    return None


@given(st.sampled_from(PLACES), VALUES)
@settings(deadline=None)
def test_what_the_schema_refuses_is_refused_where_it_is_wrong(place, value):
    model, path = place
    body = changed(GOOD[model], path, lambda at, key: at.__setitem__(key, value))
    allowed, refused = schema_of(model).is_valid(body), refusal(model, body)
    if refused:
        assert refused.error in ERRORS
        where = refused.description.partition(":")[0]
        # A country decides what is right in the two fields after it.
        assert where.startswith(named(path)) or where.endswith(BEYOND)
        assert not allowed or where.endswith(BEYOND) or path[-1] == "country"
    else:
        # Other spellings of a country are understood, and other forms of a day. Whether a token is
        # one is for the session to say, in its own error.
        assert allowed or path[-1] in {"country", "selected_date", "access_token"}


@pytest.mark.parametrize(
    ("model", "path"), PLACES, ids=lambda one: one.__name__ if callable(one) else named(one)
)
def test_what_is_absent_is_refused_where_the_schema_needs_it(model, path):
    body = changed(GOOD[model], path, lambda at, key: at.pop(key))
    refused = refusal(model, body)
    assert (refused is None) == schema_of(model).is_valid(body)
    if refused:
        where = named(path).removesuffix("[0]")  # without its only element a list is too short
        assert refused.description.startswith(f"{where}: must be ")


@pytest.mark.parametrize(
    ("model", "change", "error", "words"),
    [
        ("Item", {"quantity": True}, "", "quantity: must be a whole number"),
        ("Item", {"quantity": 1.5}, "", "quantity: must be a whole number"),
        ("Item", {"quantity": 10**7}, "", "quantity: must be 1 to 1000000"),
        ("Item", {"add_to_cart_ref": None}, "", "add_to_cart_ref: must be an object with a vari"),
        ("OfShipment", {"shipment_id": " "}, "", "shipment_id: must be a non-empty string"),
        ("OfShipment", {"shipment_id": "x" * 501}, "", "shipment_id: must have at most 500 chara"),
        ("CartAddress", {"email": "ada"}, "", "email: must be an e-mail address"),
        ("CartAddress", {"city": "\x1c"}, "", "city: must be a non-empty string"),
        (
            "CartAddress",
            {"address2": 5},
            "",
            "address2: must be a string of at most 500 characters",
        ),
        ("CartAddress", {"postal_code": "9810"}, "", "postal_code: must be a postal code of US"),
        (
            "CartAddress",
            {"state_or_province": "Narnia"},
            "ErrorInvalidState",
            "state_or_province: must be a state",
        ),
        (
            "CartAddress",
            {"country": "Atlantis"},
            "ErrorCountryNotSupported",
            "country: must be one of US, CA, JP, GB, KW, DE",
        ),
        (
            "PlaceOrder",
            {"shipping_info": ADDRESS | {"state_or_province": "Narnia"}},
            "",
            "shipping_info.state_or_province: must be a state",
        ),
        ("PlaceOrder", {"items": []}, "", "items: must be a list of 1 to 250 items"),
        ("PlaceOrder", {"items": [3]}, "", "items[0]: must be an object"),
        ("SimplePlaceOrder", {"items": [3]}, "", "items[0]: must be an object with a variant_id"),
        ("PlaceOrder", {"encrypted_card": 3}, "", "encrypted_card: must be a compact JWE"),
        ("PromoCodes", {"promo_codes": "A"}, "", "promo_codes: must be a list of 1 to 10 strings"),
        ("ShippingMethod", {"selected_date": "soon"}, "", "selected_date: must be a day as YYYY"),
        (
            "NewPostalCode",
            {"postal_code": "?"},
            "ValidationError",
            "postal_code: must be a postal",
        ),
        ("Search", {"page_size": 101}, "InvalidRequest", "page_size: must be 1 to 100"),
        ("Search", {"filters": []}, "InvalidRequest", "filters: must be an object"),
        (
            "Search",
            {"filters": {"in_stock": 1}},
            "InvalidRequest",
            "filters.in_stock: must be true or false",
        ),
        (
            "Search",
            {"filters": {"domains": ["a"] * 101}},
            "",
            "filters.domains: must be a list of at most 100 strings",
        ),
    ],
)
def test_an_error_says_what_is_right_in_the_apis_own_name(model, change, error, words):
    kind = getattr(bodies, model)
    refused = refusal(kind, {**GOOD[kind], **change})
    assert refused.error == (error or "ErrorInvalidInputBody")
    assert refused.description.startswith(words)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("size=7", "size: must be one of 100, 500, 1000, 2000"),
        ("page=0", "page: must be a number from 1 on"),
        ("page=5.0", "page: must be a number from 1 on"),
        ("page=%2B5", "page: must be a number from 1 on"),
        ("page=%EF%BC%91", "page: must be a number from 1 on"),
    ],
)
def test_a_parameter_is_checked_and_documented_once(client, query, words):
    path = f"/api/v1/domains-products/staging.luma.gift?{query}"
    answer = client.http.get(path, headers=client.auth)
    assert answer.json() == {"code": 400, "error": "ErrorInvalidInputBody", "description": words}


def test_who_is_not_known_is_told_that_before_anything_else(client):
    answer = client.http.post("/api/v2/carts/postal-code", content=b"{")
    assert (answer.status_code, answer.json()["error"]) == (401, "MissingAuthHeader")
