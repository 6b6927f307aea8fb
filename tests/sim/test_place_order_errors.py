"""Every documented error of Place Order, provoked by a documented input."""

import json

import pytest

URL = "/api/v2/payment/domains/staging.luma.gift/place-order"


def assert_error(answer, status, name, *words):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"code", "error", "description"}
    assert (body["code"], body["error"]) == (status, name)
    for word in words:
        assert word in body["description"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": [{"quantity": 1}]}, "add_to_cart_ref"),
        ({"items": [{"add_to_cart_ref": {"variant_id": "WS12-XS-Orange"}}]}, "items[0].quantity"),
        ({"items": [{"add_to_cart_ref": {"variant_id": "x"}, "quantity": 0}]}, "quantity"),
        ({"items": [{"add_to_cart_ref": {"variant_id": "x"}, "quantity": 1.5}]}, "quantity"),
        ({"items": [{"add_to_cart_ref": {"variant_id": 3}, "quantity": 1}]}, "variant_id"),
        ({"items": [{"add_to_cart_ref": {"variant_id": "x"}, "quantity": 1}] * 251}, "items"),
        ({"billing_info": None}, "billing_info"),
        ({"shipping_info": {}}, "shipping_info.first_name"),
        ({"encrypted_card": None}, "encrypted_card"),
    ],
)
def test_an_invalid_body_is_refused_with_the_fields_name(client, changes, words):
    for sse in (False, True):
        answer = client.place(sse=sse, **changes)
        assert_error(answer, 400, "ErrorInvalidInputBody", words)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("postal_code", "9810"),
        ("state_or_province", "Narnia"),
        ("city", ""),
        ("phone", None),
        ("address2", 5),
    ],
)
def test_an_invalid_address_is_refused_without_its_value(client, address, field, value):
    answer = client.place(shipping_info={**address, field: value})
    assert_error(answer, 400, "ErrorInvalidInputBody", f"shipping_info.{field}")
    assert "nobody" not in answer.text


def test_a_body_that_is_no_json_is_refused(client):
    headers = {**client.auth, "content-type": "application/json"}
    for text in (b"{", b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'):
        answer = client.http.post(URL, headers=headers, content=text)
        assert_error(answer, 400, "ErrorInvalidInputBody")


def test_another_content_type_is_refused(client):
    headers = {**client.auth, "content-type": "text/plain"}
    answer = client.http.post(URL, headers=headers, content=json.dumps(client.body()))
    assert_error(answer, 400, "ErrorInvalidInputBody", "Content-Type")


LATE_ERRORS = [
    ("WS12-XS-Nothing", {}, 404, "ErrorProductNotFound"),
    ("WS12-XL-Purple", {}, 400, "ErrorNotEnoughStock"),
    ("WS12-L-Purple", {"quantity": 4}, 400, "ErrorNotEnoughStock"),
]


@pytest.mark.parametrize(("variant_id", "more", "status", "name"), LATE_ERRORS)
def test_what_the_shop_finds_out_is_an_error_event(
    client, make_item, variant_id, more, status, name
):
    item = {**make_item(variant_id), **more}
    assert_error(client.place(item), status, name)
    told = client.stream(item)
    assert [event for event, _ in told] == ["creating-cart", "error"]
    assert (told[-1][1]["code"], told[-1][1]["error"]) == (status, name)


def test_a_product_id_that_does_not_fit_is_not_found(client, make_item):
    answer = client.place(make_item("WS12-XS-Orange", product_id="MH07"))
    assert_error(answer, 404, "ErrorProductNotFound")


def test_a_declined_card_ends_the_stream_after_shipping_updated(client, card):
    declined = {**card, "number": "4000000000000002"}
    assert_error(client.place(card=declined), 422, "ErrorPaymentDeclined")
    told = client.stream(card=declined)
    assert [event for event, _ in told] == [
        "creating-cart",
        "item-added",
        "shipping-updated",
        "error",
    ]
    assert told[-1][1]["error"] == "ErrorPaymentDeclined"
    assert client.call("GET", "").json()["cart_status"] == "active"


def test_a_closed_store_is_unavailable(client):
    assert_error(client.place(domain="closed.luma.gift"), 503, "ErrorStoreUnavailable")
    told = client.stream(domain="closed.luma.gift")
    assert [event for event, _ in told] == ["creating-cart", "error"]
    assert told[-1][1]["error"] == "ErrorStoreUnavailable"


def test_a_merchant_that_is_not_enabled_is_forbidden(client):
    assert_error(client.place(domain="shop.example.test"), 403, "Forbidden")


def test_a_country_that_the_shop_does_not_ship_to_is_an_error_event(client, address):
    abroad = {
        **address,
        "country": "Japan",
        "postal_code": "100-0001",
        "state_or_province": "Tokyo",
    }
    assert_error(client.place(shipping_info=abroad), 400, "ErrorCountryNotSupported")
    told = client.stream(shipping_info=abroad)
    assert [event for event, _ in told] == ["creating-cart", "item-added", "error"]
    nowhere = {**address, "country": "Atlantis"}
    assert_error(client.place(sse=True, shipping_info=nowhere), 400, "ErrorCountryNotSupported")


def test_statuses_that_contradict_each_other_are_an_option(start, make_item):
    client = start(statuses="endpoint")
    assert_error(client.place(make_item("WS12-XL-Purple")), 422, "ErrorNotEnoughStock")
    assert_error(client.place(domain="closed.luma.gift"), 500, "ErrorStoreUnavailable")


def test_error_shapes_are_an_option(start, make_item):
    client = start(error_shape="message", error_event="nested")
    body = client.place(make_item("nothing")).json()
    assert set(body) == {"error", "message"}
    told = client.stream(make_item("nothing"))
    assert told[-1][1]["error"]["error"] == "ErrorProductNotFound"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_token_is_said_to_be_missing(client, value):
    headers = {} if value is None else {"x-firmly-authorization": value}
    answer = client.http.post(URL, headers=headers, json=client.body())
    assert_error(answer, 401, "MissingAuthHeader")


def test_a_bad_token_is_said_to_be_invalid(client):
    head, body, signature = client.token.split(".")
    tampered = f"{head}.{body[:-4]}AAAA.{signature}"
    for token in ("nonsense", tampered, "a.b.c", "x" * 10_000, f"{head}.{body}."):
        answer = client.place(headers={"x-firmly-authorization": token})
        assert_error(answer, 401, "InvalidJWTToken")


def test_an_expired_token_is_said_to_have_expired(client):
    session = client.http.post(
        "/api/v1/browser-session",
        headers={"x-firmly-app-id": client.simulator.app_id, "x-sim-token-lifetime": "-1"},
    ).json()
    answer = client.place(headers={"x-firmly-authorization": session["access_token"]})
    assert_error(answer, 401, "TokenExpired")
